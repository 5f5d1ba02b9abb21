import type { Clock } from '@haldir/core'

/** A clock that stands still until it is told to move. */
export interface FakeClock extends Clock {
  /** Moves both clocks on and fires what is due, in order, letting promises settle in between. */
  advance(ms: number): Promise<void>
  /** Sets the wall clock alone, back or forth, as an administrator does. */
  setWall(ms: number): void
  /** How many timers are waiting. */
  readonly timers: number
}

interface Timer {
  readonly at: number
  readonly callback: () => void
}

/** Starts at 2026-01-01T00:00:00Z unless told otherwise. */
export function fakeClock(start: number = Date.UTC(2026, 0, 1)): FakeClock {
  let wall = start
  let ticks = 0
  const timers = new Set<Timer>()
  return {
    now: () => wall,
    monotonic: () => ticks,
    setTimeout(callback, ms) {
      const timer = { at: ticks + Math.max(0, ms), callback }
      timers.add(timer)
      return { cancel: () => timers.delete(timer) }
    },
    async advance(ms) {
      const end = ticks + ms
      for (;;) {
        await settled()
        const due = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
        if (!due) break
        timers.delete(due)
        wall += due.at - ticks
        ticks = due.at
        due.callback()
      }
      wall += end - ticks
      ticks = end
      await settled()
    },
    setWall(ms) {
      wall = ms
    },
    get timers() {
      return timers.size
    },
  }
}

/** Lets everything that waits for promises alone go on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Ids that tell their order: `id-1`, `id-2`. */
export function fakeIds(prefix = 'id'): () => string {
  let count = 0
  return () => `${prefix}-${++count}`
}
