/** Decisions are too quick to be timed one by one: a timing covers as many as take about a third of a millisecond. */
import { compare, type Figures, type Plan } from '../measure.ts'
import type { Decide } from './contestant.ts'
import { CALLS } from './rules.ts'

export interface Timed {
  readonly name: string
  readonly decide: Decide
}

const TIMING_MS = 0.3
const WARM_UP_MS = 20

/** Measures them against one another. Figures are in nanoseconds a decision. */
export async function timed(
  contestants: readonly Timed[],
  plan: Plan,
  progress: (done: number) => void,
): Promise<Figures[]> {
  const counts = contestants.map(({ decide }) => fitting(decide))
  const subjects = contestants.map(({ name, decide }, which) => {
    const count = counts[which] as number
    let next = 0
    return {
      name,
      call: async () => {
        run(decide, next, count)
        next = (next + count) % CALLS
      },
    }
  })
  const figures = await compare(subjects, plan, progress)
  return figures.map((of, which) => {
    const scale = 1_000 / (counts[which] as number)
    return {
      ...of,
      p50: of.p50 * scale,
      p99: of.p99 * scale,
      perSecond: of.perSecond * (counts[which] as number),
      blocks: of.blocks.map((p50) => p50 * scale),
    }
  })
}

/** How many decisions a timing covers; found when whatever is compiled on the way has been. */
function fitting(decide: Decide): number {
  const began = performance.now()
  let made = 0
  for (let count = 1; performance.now() - began < WARM_UP_MS; made += count, count *= 2)
    run(decide, made % CALLS, count)
  for (let count = 1; ; count *= 2) {
    const from = performance.now()
    run(decide, 0, count)
    const took = performance.now() - from
    if (took > TIMING_MS) return Math.max(1, Math.round((count * TIMING_MS) / took))
  }
}

let allowed = 0

function run(decide: Decide, from: number, count: number): void {
  for (let one = 0; one < count; one++) if (decide((from + one) % CALLS)) allowed++
}

/** Asked for at the end, so that no decision can be left out as unused. */
export function allowedInAll(): number {
  return allowed
}
