/** Many calls at a time on a durable trail, beside the same lines through a bare group commit. */
import { closeSync, fdatasync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileSink } from '@haldir/core/sinks/file'
import { type Figures, type Plan, percentile } from './measure.ts'
import { orderAt } from './orders.ts'
import { chargeTool, house } from './subjects.ts'

/** How many calls are in flight. */
const FLIGHT = 64
/** Calls of each, one after the other, in one timing. */
const EACH = 8

/**
 * Two lines for each call, the second after the first is on the disk. All lines that come while one commit is under way
 * are the next: one write, one `fdatasync`.
 */
function groupCommit(path: string): { commit(line: string): Promise<void>; close(): void } {
  const fd = openSync(path, 'ax', 0o600)
  let waiting: { line: string; done: () => void }[] = []
  let busy = false
  const next = () => {
    const batch = waiting
    waiting = []
    busy = batch.length > 0
    if (!busy) return
    writeSync(fd, batch.map(({ line }) => line).join(''))
    fdatasync(fd, (error) => {
      if (error) throw error
      for (const { done } of batch) done()
      next()
    })
  }
  return {
    commit: (line) =>
      new Promise((done) => {
        waiting.push({ line, done })
        if (!busy) next()
      }),
    close: () => closeSync(fd),
  }
}

async function flight(call: (index: number) => Promise<unknown>): Promise<void> {
  const lane = async (number: number) => {
    for (let index = 0; index < EACH; index++) await call(number + index)
  }
  await Promise.all(Array.from({ length: FLIGHT }, (_, number) => lane(number)))
}

/** Times of one call, 64 in flight: the bare commit's, and the governed call's. `lines` are the two of one call. */
export async function durable(
  directory: string,
  lines: readonly [string, string],
  { rounds }: Pick<Plan, 'rounds'>,
  progress: (done: number) => void,
): Promise<readonly [bare: Figures, whole: Figures]> {
  const file = groupCommit(join(directory, 'durable.jsonl'))
  const { within, close } = await house({ sinks: [fileSink(join(directory, 'durable'), { durable: true })] })
  const charge = chargeTool()
  const subjects = [
    () =>
      flight(async () => {
        await file.commit(lines[0])
        await file.commit(lines[1])
      }),
    () => within(() => flight((index) => charge(orderAt(index)))),
  ] as const
  const blocks: [number[], number[]] = [[], []]
  for (let round = -20; round < rounds; round++) {
    for (const turn of [0, 1]) {
      const which = ((round + turn) & 1) as 0 | 1
      const began = performance.now()
      await subjects[which]()
      const took = ((performance.now() - began) * 1_000) / (FLIGHT * EACH)
      if (round >= 0) blocks[which].push(took)
    }
    progress(Math.max(0, round + 1) / rounds)
  }
  await close()
  file.close()
  const figures = (name: string, times: number[]): Figures => ({
    name,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    perSecond: 1e6 / percentile(times, 0.5),
    blocks: times,
  })
  return [
    figures(`bare group commit, ${FLIGHT} in flight`, blocks[0]),
    figures(`whole call: durable trail, ${FLIGHT} in flight`, blocks[1]),
  ]
}
