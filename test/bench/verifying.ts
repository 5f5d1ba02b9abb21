/** How fast a trail is verified, beside reading its file and hashing its lines and nothing else. */
import { hash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileSink } from '@haldir/core/sinks/file'
import { verifyFiles } from '@haldir/core/verify'
import { percentile } from './measure.ts'
import { orderAt } from './orders.ts'
import { chargeTool, house } from './subjects.ts'

export interface Verifying {
  readonly entries: number
  /** Entries a second. */
  readonly verify: number
  readonly floor: number
  /** Time of verifying over time of reading and hashing. */
  readonly overFloor: number
}

/** Writes a trail of that many entries below `directory` and reads it `times` times, by turns in both ways. */
export async function verifying(
  directory: string,
  entries: number,
  times: number,
  progress: (done: number) => void,
): Promise<Verifying> {
  await writeTrail(directory, entries, (done) => progress(done / 2))
  const floor: number[] = []
  const verify: number[] = []
  let found = 0
  for (let turn = 0; turn <= times; turn++) {
    const began = performance.now()
    found = readAndHash(directory)
    const between = performance.now()
    const { ok, writers } = await verifyFiles(directory)
    const ended = performance.now()
    if (!ok || writers[0]?.entries !== found) throw new Error('the trail does not verify')
    progress(0.5 + turn / times / 2)
    // The first turn warms both up.
    if (turn === 0) continue
    floor.push(between - began)
    verify.push(ended - between)
  }
  const perSecond = (ms: number[]) => (found / percentile(ms, 0.5)) * 1_000
  const overFloor = percentile(
    verify.map((ms, turn) => ms / (floor[turn] as number)),
    0.5,
  )
  return { entries: found, verify: perSecond(verify), floor: perSecond(floor), overFloor }
}

async function writeTrail(directory: string, entries: number, progress: (done: number) => void): Promise<void> {
  const { within, close } = await house({ sinks: [fileSink(directory)] })
  const call = chargeTool()
  for (let made = 0; made < entries / 2; made++) {
    await within(async () => void (await call(orderAt(made))))
    if (made % 5_000 === 0) progress((made * 2) / entries)
  }
  await close()
}

/** Answers how many lines there are. Throws when a line's hash is not that of its text. */
function readAndHash(directory: string): number {
  let lines = 0
  for (const name of readdirSync(directory)) {
    const text = readFileSync(join(directory, name), 'utf8')
    for (let start = 0, end = text.indexOf('\n'); end >= 0; start = end + 1, end = text.indexOf('\n', start)) {
      // A line ends in `,"hash":"<64 digits>"}`.
      if (hash('sha256', `${text.slice(start, end - 75)}}`, 'hex') !== text.slice(end - 66, end - 2)) {
        throw new Error('a line was changed')
      }
      lines++
    }
  }
  return lines
}
