import { fakeClock } from '@haldir/testing'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { ask, background, type Clock, isPromise, MAX_TIMEOUT, steadyTime, systemClock, within } from './clock.ts'
import { ConfigError, Unavailable } from './errors.ts'

afterEach(() => {
  vi.useRealTimers()
})

/** What a promise has come to so far. */
function watched(promise: Promise<unknown>): { ended: string; with?: unknown } {
  const state: { ended: string; with?: unknown } = { ended: 'waiting' }
  promise.then(
    (value) => Object.assign(state, { ended: 'resolved', with: value }),
    (error) => Object.assign(state, { ended: 'rejected', with: error }),
  )
  return state
}

describe('waiting for outside work', () => {
  test('answers what the work answers, and leaves no timer', async () => {
    const clock = fakeClock()
    expect(await within(Promise.resolve(1), 100, clock, 'store')).toBe(1)
    await expect(within(Promise.reject(new TypeError('x')), 100, clock, 'store')).rejects.toThrow(TypeError)
    expect(clock.timers).toBe(0)
  })

  test('ends at the deadline, not before, naming the part', async () => {
    const clock = fakeClock()
    const state = watched(within(new Promise(() => {}), 100, clock, 'store.admit'))
    await clock.advance(99)
    expect(state.ended).toBe('waiting')
    await clock.advance(1)
    expect(state.ended).toBe('rejected')
    expect(state.with).toBeInstanceOf(Unavailable)
    expect((state.with as Error).message).toBe('`store.admit` did not answer in time')
  })

  test.each(['answers', 'rejects'])(
    'work that %s after its deadline changes nothing and ends no process',
    async (how) => {
      const clock = fakeClock()
      const { promise, resolve, reject } = Promise.withResolvers<number>()
      const state = watched(within(promise, 100, clock, 'store'))
      await clock.advance(100)
      if (how === 'answers') resolve(1)
      else reject(new Error('late'))
      await clock.advance(100)
      expect(state.ended).toBe('rejected')
      expect(state.with).toBeInstanceOf(Unavailable)
    },
  )

  test('with `ask`, whatever goes wrong is Unavailable with its cause; an error of ours stays itself', async () => {
    const clock = fakeClock()
    const cause = new TypeError('fetch failed')
    const thrown = watched(
      ask(
        () => {
          throw cause
        },
        100,
        clock,
        'sink',
      ),
    )
    const rejected = watched(ask(() => Promise.reject(cause), 100, clock, 'sink'))
    const hanging = watched(ask(() => new Promise(() => {}), 100, clock, 'sink'))
    const own = new ConfigError('invalid-option', 'x', 'y')
    const ours = watched(ask(() => Promise.reject(own), 100, clock, 'sink'))
    await clock.advance(100)
    for (const { ended, with: error } of [thrown, rejected, hanging]) {
      expect(ended).toBe('rejected')
      expect(error).toBeInstanceOf(Unavailable)
      expect((error as Error).message).not.toContain('fetch failed')
    }
    expect((thrown.with as Error).cause).toBe(cause)
    expect(ours.with).toBe(own)
    expect(await ask(() => 5, 100, clock, 'sink')).toBe(5)
    expect(await ask(async () => 6, 100, clock, 'sink')).toBe(6)
    expect(clock.timers).toBe(0)
  })

  test('a promise is told from a value', () => {
    expect(isPromise(Promise.resolve())).toBe(true)
    for (const value of [undefined, null, 1, 'then', {}, () => {}]) expect(isPromise(value as never)).toBe(false)
  })
})

describe('a background timer', () => {
  test('fires once, or not at all when it is stopped', async () => {
    const clock = fakeClock()
    const fired: string[] = []
    background(clock, 10, () => fired.push('a'))
    const stop = background(clock, 10, () => fired.push('b'))
    stop()
    await clock.advance(100)
    expect(fired).toEqual(['a'])
  })

  test('does not keep the process alive, and a longer delay than the platform knows does not fire at once', () => {
    const delays: number[] = []
    let released = 0
    const clock: Clock = {
      ...systemClock,
      setTimeout(_, ms) {
        delays.push(ms)
        return { unref: () => released++, cancel: () => {} }
      },
    }
    background(clock, Number.MAX_SAFE_INTEGER, () => {})
    expect(delays).toEqual([MAX_TIMEOUT])
    expect(released).toBe(1)
  })

  test('of the machine can be stopped too', () => {
    vi.useFakeTimers()
    const fired: string[] = []
    background(systemClock, 10, () => fired.push('a'))()
    background(systemClock, 10, () => fired.push('b'))
    vi.advanceTimersByTime(20)
    expect(fired).toEqual(['b'])
  })
})

describe('steady time', () => {
  test('follows the wall clock forward', async () => {
    const clock = fakeClock(1_000)
    const now = steadyTime(clock)
    expect(now()).toBe(1_000)
    await clock.advance(500)
    expect(now()).toBe(1_500)
    clock.setWall(10_000)
    expect(now()).toBe(10_000)
  })

  // Invariant: a clock going backwards never extends or refills anything.
  test('goes on by the monotonic clock when the wall clock is set back', async () => {
    const clock = fakeClock(10_000)
    const now = steadyTime(clock)
    expect(now()).toBe(10_000)
    clock.setWall(0)
    expect(now()).toBe(10_000)
    await clock.advance(250)
    expect(now()).toBe(10_250)
    clock.setWall(10_100)
    expect(now()).toBe(10_250)
  })

  test('never begins below the highest time seen before', () => {
    expect(steadyTime(fakeClock(1_000), 5_000)()).toBe(5_000)
  })

  test('never goes back and loses no elapsed time, whatever the clocks do', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(5_000), fc.option(fc.integer({ min: -1_000_000, max: 1_000_000 }))), {
          maxLength: 20,
        }),
        async (steps) => {
          let wall = 1_000_000
          let ticks = 0
          const now = steadyTime({ now: () => wall, monotonic: () => ticks, setTimeout: () => undefined })
          let last = now()
          for (const [ms, jump] of steps) {
            wall += ms + (jump ?? 0)
            ticks += ms
            const time = now()
            expect(time).toBeGreaterThanOrEqual(last + ms)
            expect(time).toBeGreaterThanOrEqual(wall)
            last = time
          }
        },
      ),
    )
  })
})
