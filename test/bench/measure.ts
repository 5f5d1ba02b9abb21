/**
 * How the figures are taken. Subjects that are compared take turns in short blocks, so that whatever else the machine
 * does hits all of them. Every call is timed by itself with `performance.now()`, whose own cost (about 0.05 µs) stands
 * in every figure; what is faster than that can show is timed in batches.
 */

/** Something whose calls are timed. */
export interface Subject {
  readonly name: string
  readonly call: (index: number) => Promise<unknown>
  /** What a block of calls runs in: an ambient session, say. */
  readonly within?: (block: () => Promise<void>) => Promise<void>
  /** How many calls one timing covers; 1 unless given. */
  readonly batch?: number
}

/** What was measured of one subject, in microseconds. */
export interface Figures {
  readonly name: string
  readonly p50: number
  readonly p99: number
  readonly perSecond: number
  /** The p50 of each block, in the order of the rounds. */
  readonly blocks: readonly number[]
}

export interface Plan {
  readonly rounds: number
  /** Timings in a block. */
  readonly size: number
  /** Timings before anything counts. */
  readonly warmUp: number
}

/** Measures subjects against one another. `progress` is told how much is done, from 0 to 1. */
export async function compare(
  subjects: readonly Subject[],
  { rounds, size, warmUp }: Plan,
  progress: (done: number) => void = () => {},
): Promise<Figures[]> {
  const taken = subjects.map(() => new Float64Array(rounds * size))
  const blocks = subjects.map((): number[] => [])
  for (let done = 0; done < warmUp; done += size) {
    for (const subject of subjects) await block(subject, new Float64Array(size))
    progress(0)
  }
  for (let round = 0; round < rounds; round++) {
    // Each round begins with the next subject: none always runs on what the same other one has left behind.
    for (let turn = 0; turn < subjects.length; turn++) {
      const which = (round + turn) % subjects.length
      const times = (taken[which] as Float64Array).subarray(round * size, (round + 1) * size)
      await block(subjects[which] as Subject, times)
      blocks[which]?.push(percentile(times, 0.5))
    }
    progress((round + 1) / rounds)
  }
  return subjects.map(({ name }, which) => {
    const times = taken[which] as Float64Array
    const total = times.reduce((sum, time) => sum + time, 0)
    return {
      name,
      p50: percentile(times, 0.5),
      p99: percentile(times, 0.99),
      perSecond: (times.length / total) * 1e6,
      blocks: blocks[which] as number[],
    }
  })
}

/** How a subject stands to another: the median over the rounds of their blocks' p50, one over the other. */
export function ratio(subject: Figures, floor: Figures): number {
  return percentile(
    subject.blocks.map((p50, round) => p50 / (floor.blocks[round] as number)),
    0.5,
  )
}

/** How much more a subject takes than another, or than nothing, in microseconds: the median over the rounds of their blocks' p50s. */
export function above(subject: Figures, floor?: Figures): number {
  return percentile(
    subject.blocks.map((p50, round) => p50 - (floor?.blocks[round] ?? 0)),
    0.5,
  )
}

export function percentile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number
}

/** Fills `times` with microseconds a call. */
export async function block({ call, within, batch = 1 }: Subject, times: Float64Array): Promise<void> {
  const work = async () => {
    for (let index = 0; index < times.length; index++) {
      const began = performance.now()
      for (let one = 0; one < batch; one++) await call(index + one)
      times[index] = ((performance.now() - began) * 1_000) / batch
    }
  }
  await (within ? within(work) : work())
  // Lets timers and what waits for the end of a turn have theirs, outside of every timing.
  await new Promise((turn) => setImmediate(turn))
}
