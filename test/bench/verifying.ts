/** How fast a trail is verified, beside reading its file and hashing its lines and nothing else. */
import { hash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { createSigningKey, envSigner } from '@haldir/core/checkpoints'
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
  const key = await writeTrail(directory, entries, (done) => progress(done / 2))
  const floor: number[] = []
  const verify: number[] = []
  let found = 0
  for (let turn = 0; turn <= times; turn++) {
    const began = performance.now()
    found = readAndHash(directory)
    const between = performance.now()
    const { ok, writers } = await verifyFiles(directory, { key })
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

/** A trail with checkpoints, as it is by default. Answers the key that they are signed with. */
async function writeTrail(directory: string, entries: number, progress: (done: number) => void): Promise<string> {
  const { signingKey, publicKey } = createSigningKey('bench.example/haldir')
  const signer = envSigner('KEY', { env: { KEY: signingKey } })
  const { within, close } = await house({ sinks: [fileSink(directory)], checkpoints: { signer } })
  const call = chargeTool()
  for (let made = 0; made < entries / 2; made++) {
    await within(async () => void (await call(orderAt(made))))
    if (made % 5_000 === 0) progress((made * 2) / entries)
  }
  await close()
  return publicKey
}

/**
 * As fast as reading and hashing goes: large blocks, each line hashed where it lies. Answers how many lines there are.
 * Throws when a line's hash is not that of its text.
 */
function readAndHash(directory: string): number {
  let lines = 0
  const block = Buffer.allocUnsafeSlow(2 ** 20)
  for (const name of readdirSync(directory)) {
    const fd = openSync(join(directory, name), 'r')
    const { size } = fstatSync(fd)
    let kept = 0
    for (let position = 0; position < size; ) {
      const read = readSync(fd, block, kept, Math.min(block.length - kept, size - position), position)
      position += read
      const whole = block.subarray(0, kept + read).lastIndexOf(NEWLINE) + 1
      for (let start = 0, end = block.indexOf(NEWLINE); start < whole; end = block.indexOf(NEWLINE, start)) {
        // A line ends in `,"hash":"<64 digits>"}`, and is hashed as if it ended before.
        block[end - 75] = BRACE
        const text = new Uint8Array(block.buffer, start, end - 74 - start)
        if (hash('sha256', text, 'hex') !== block.toString('latin1', end - 66, end - 2)) {
          throw new Error('a line was changed')
        }
        start = end + 1
        lines++
      }
      block.copyWithin(0, whole, kept + read)
      kept += read - whole
    }
    closeSync(fd)
  }
  return lines
}

const NEWLINE = 10
const BRACE = 125
