import { HaldirError, Unavailable } from './errors.ts'

/**
 * Where time comes from. `now` is the wall clock in milliseconds since the epoch; `monotonic` is milliseconds from any
 * origin and never goes back; `setTimeout` returns a handle with `cancel()`, or one that `clearTimeout` understands.
 */
export interface Clock {
  now(): number
  monotonic(): number
  setTimeout(callback: () => void, ms: number): unknown
}

/** The machine's clock. The only place in core that reads it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
}

/** A value that may come now or later: in-process stores and sinks answer at once and cost no promise. */
export type MaybePromise<T> = T | PromiseLike<T>

export function isPromise<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | null | undefined)?.then === 'function'
}

/** Someone answered a promise where none is wanted: what becomes of it must not end the process. */
export function disregard(value: unknown): void {
  if (isPromise(value)) value.then(undefined, () => {})
}

/** Starts a timer that is not allowed to keep the process alive; the answer stops it. */
export function background(clock: Clock, ms: number, callback: () => void): () => void {
  const timer = clock.setTimeout(callback, Math.min(ms, MAX_TIMEOUT))
  ;(timer as { unref?: () => void } | null)?.unref?.()
  return () => cancelTimer(timer)
}

/** `setTimeout` fires at once for a longer delay than this. */
export const MAX_TIMEOUT: number = 2 ** 31 - 1

/**
 * Waits for outside work, but not for ever: rejects with `Unavailable` after `ms`. The work itself can't be stopped;
 * what it answers later is dropped, and a late rejection is swallowed so that it can't end the process. Someone waits
 * for the answer, so the timer keeps the process alive, unless `keepAlive` says that nobody does.
 */
export function within<T>(work: PromiseLike<T>, ms: number, clock: Clock, what: string, keepAlive = true): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => {
      const error = new Unavailable(`\`${what}\` did not answer in time`)
      givenUp.get(work)?.(error)
      reject(error)
    }
    const timer = clock.setTimeout(late, Math.min(ms, MAX_TIMEOUT))
    if (!keepAlive) (timer as { unref?: () => void } | null)?.unref?.()
    work.then(
      (value) => {
        cancelTimer(timer)
        resolve(value)
      },
      (error) => {
        cancelTimer(timer)
        reject(error)
      },
    )
  })
}

/** Whom it concerns that nobody waits for a piece of work any more. */
const givenUp = new WeakMap<PromiseLike<unknown>, (error: Unavailable) => void>()

/** Calls `told` when `within` has given the work up. */
export function whenGivenUp(work: PromiseLike<unknown>, told: (error: Unavailable) => void): void {
  givenUp.set(work, told)
}

/**
 * Asks an outside part. Whatever goes wrong with it, the answer is `Unavailable`; its own error is the cause.
 * `keepAlive` as in `within`.
 */
export async function ask<T>(
  work: () => MaybePromise<T>,
  ms: number,
  clock: Clock,
  what: string,
  keepAlive = true,
): Promise<T> {
  try {
    const answer = work()
    return isPromise(answer) ? await within(answer, ms, clock, what, keepAlive) : answer
  } catch (cause) {
    if (HaldirError.isInstance(cause)) throw cause
    throw new Unavailable(`\`${what}\` failed`, { cause })
  }
}

/**
 * A wall clock for expiries and windows that only moves forward. When the wall clock is set back, time goes on by the
 * monotonic clock, so nothing gains life and no window comes twice; `floor` carries the highest time seen before.
 */
export function steadyTime(clock: Clock, floor = 0): () => number {
  // Read at once: a wall clock that is set back before the first question is noticed, too.
  const began = clock.now()
  let time = Number.isFinite(began) ? Math.max(floor, began) : floor
  let ticked = clock.monotonic()
  return () => {
    const tick = clock.monotonic()
    // Invariant: a clock going backwards never extends or refills anything.
    const next = Math.max(clock.now(), time + Math.max(0, tick - ticked))
    // A clock that answers nonsense would make every comparison with an expiry false.
    if (!Number.isFinite(next)) throw new Unavailable('the clock did not answer with a time')
    time = next
    ticked = tick
    return Math.floor(time)
  }
}

/** Stops a timer of a clock. */
export function cancelTimer(timer: unknown): void {
  const own = timer as { cancel?: () => void } | null
  if (typeof own?.cancel === 'function') own.cancel()
  else clearTimeout(timer as NodeJS.Timeout)
}
