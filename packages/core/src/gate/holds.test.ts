import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import type { Journal, Owed } from '../journal/journal.ts'
import { usd } from '../money.ts'
import { memoryStore } from '../stores/memory.ts'
import type { Settlement } from '../stores/store.ts'
import { Holds } from './holds.ts'
import { chargesOn, sessionMeters } from './meters.ts'
import { parseGrant } from './scopes.ts'

const metersOf = (...scopes: string[]) => sessionMeters('acme', 's1', parseGrant(scopes).budgets)

describe('holds', () => {
  const settled: Settlement = { state: 'settled', overrun: false }
  /** Holds on a store of which the test says how settles, cancels and renewals end. */
  function scene(leaseMs = 30_000, journal?: Journal) {
    const clock = fakeClock()
    const asked: unknown[][] = []
    const failed: unknown[] = []
    const mood: { answer: () => any; renew: () => any } = { answer: () => settled, renew: () => undefined }
    const store = {
      ...memoryStore({ clock }),
      settle: (request: unknown) => asked.push(['settle', request]) && mood.answer(),
      cancel: (call: unknown) => asked.push(['cancel', call]) && mood.answer(),
      renew: (calls: readonly string[], ms: number) => asked.push(['renew', calls, ms]) && mood.renew(),
    }
    const holds = new Holds({
      store,
      clock,
      deadlineMs: 5_000,
      leaseMs,
      journal,
      failed: (part, error) => failed.push(part === 'store.settle' ? error : [part, error]),
    })
    return { clock, asked, failed, mood, holds }
  }
  const fails = () => {
    throw new Error('connection lost')
  }

  it('end at once where the store answers at once', () => {
    const { holds, asked, failed } = scene()
    const spent = chargesOn(metersOf('spend:50'), [usd(1)])
    expect(holds.leaseMs).toBe(30_000)
    expect([holds.settle('a', spent), holds.settle('b', undefined), holds.cancel('c')]).toEqual([
      settled,
      settled,
      settled,
    ])
    expect(asked).toEqual([
      ['settle', { call: 'a', spent }],
      ['settle', { call: 'b' }],
      ['cancel', 'c'],
    ])
    expect([failed, holds.owed]).toEqual([[], 0])
  })

  it.each<[string, () => unknown, string]>([
    ['throws', fails, 'connection lost'],
    ['rejects', () => Promise.reject(new Error('connection lost')), 'connection lost'],
    ['answers nonsense', () => undefined, '`store.settle` answered nonsense'],
    ['answers no state', () => ({ state: 'running' }), '`store.settle` answered nonsense'],
    ['answers nonsense later', async () => ({}), '`store.settle` answered nonsense'],
  ])(
    'are owed, and told of, when the store %s; and offered again at longer and longer intervals',
    async (_, how, message) => {
      const { holds, asked, failed, mood, clock } = scene()
      mood.answer = how
      expect(await holds.settle('a', undefined)).toBe(undefined)
      expect([holds.owed, failed]).toEqual([1, [expect.objectContaining({ message })]])
      // After 0.5, 1, 2 … seconds, and then every 5.
      const offered: number[] = []
      for (let half = 1; half <= 60; half++) {
        const before = asked.length
        await clock.advance(500)
        if (asked.length > before) offered.push(half / 2)
      }
      expect(offered).toEqual([0.5, 1.5, 3.5, 7.5, 12.5, 17.5, 22.5, 27.5])
      mood.answer = async () => settled
      await holds.flush()
      expect(holds.owed).toBe(0)
      const last = asked.length
      await clock.advance(120_000)
      expect([asked.length, clock.timers]).toEqual([last, 0])
    },
  )

  it('are owed when the store does not answer in time, and one timer offers all of them again', async () => {
    const { holds, asked, failed, mood, clock } = scene()
    mood.answer = () => new Promise(() => {})
    const late = holds.settle('a', undefined)
    await clock.advance(5_000)
    expect(await late).toBe(undefined)
    expect(failed).toEqual([expect.objectContaining({ message: '`store.settle` did not answer in time' })])
    mood.answer = fails
    holds.cancel('b')
    expect([holds.owed, clock.timers]).toEqual([2, 1])
    mood.answer = () => settled
    await clock.advance(500)
    expect(asked.slice(-2)).toEqual([
      ['settle', { call: 'a' }],
      ['cancel', 'b'],
    ])
    expect([holds.owed, clock.timers]).toEqual([0, 0])
    // The next one begins with a short interval again.
    mood.answer = fails
    holds.cancel('c')
    mood.answer = () => settled
    await clock.advance(500)
    expect(holds.owed).toBe(0)
  })

  it('are renewed three times within a lease, each that has run for a while, as long as any runs', async () => {
    const { holds, asked, clock } = scene()
    holds.begin('a')
    await clock.advance(6_000)
    holds.begin('b')
    expect(clock.timers).toBe(1)
    await clock.advance(3_999)
    expect(asked).toEqual([])
    await clock.advance(1)
    // `b` is too young to need it.
    expect(asked).toEqual([['renew', ['a'], 30_000]])
    await clock.advance(10_000)
    expect(asked[1]).toEqual(['renew', ['a', 'b'], 30_000])
    holds.settle('a', undefined)
    await clock.advance(10_000)
    expect(asked.at(-1)).toEqual(['renew', ['b'], 30_000])
    holds.cancel('b')
    const last = asked.length
    await clock.advance(60_000)
    expect([asked.length, clock.timers]).toEqual([last, 0])
    holds.begin('c')
    expect(clock.timers).toBe(1)
  })

  it('are renewed from the middle of an interval on, and nothing is asked where none is old enough', async () => {
    const { holds, asked, clock } = scene()
    holds.begin('a')
    await clock.advance(5_000)
    holds.begin('b')
    holds.cancel('a')
    await clock.advance(5_000)
    expect(asked.at(-1)).toEqual(['renew', ['b'], 30_000])
    holds.cancel('b')
    await clock.advance(10_000)
    const { asked: none, holds: others, clock: time } = scene()
    others.begin('a')
    await time.advance(9_000)
    others.cancel('a')
    others.begin('b')
    await time.advance(1_000)
    expect(none.filter(([verb]) => verb === 'renew')).toEqual([])
  })

  it('are renewed in the next round when a renewal fails or hangs', async () => {
    const { holds, asked, failed, mood, clock } = scene()
    const renewals = () => asked.filter(([verb]) => verb === 'renew').length
    holds.begin('a')
    mood.renew = fails
    await clock.advance(10_000)
    mood.renew = () => new Promise(() => {})
    await clock.advance(10_000)
    expect(renewals()).toBe(2)
    await clock.advance(5_000)
    mood.renew = () => undefined
    await clock.advance(10_000)
    expect([renewals(), failed]).toEqual([3, []])
  })

  it('of the shortest lease are renewed without haste', async () => {
    const { holds, asked, clock } = scene(1)
    holds.begin('a')
    await clock.advance(0)
    expect(asked).toEqual([])
    await clock.advance(1)
    expect(asked).toEqual([['renew', ['a'], 1]])
  })

  it('are neither renewed nor offered again once it is closed', async () => {
    const { holds, asked, mood, clock } = scene()
    holds.close()
    expect(clock.timers).toBe(0)
    const other = scene()
    other.mood.answer = fails
    other.holds.begin('a')
    other.holds.begin('b')
    other.holds.settle('a', undefined)
    expect(other.clock.timers).toBe(2)
    other.holds.close()
    expect(other.clock.timers).toBe(0)
    // What was under way when it closed begins nothing anew.
    holds.begin('c')
    mood.answer = fails
    holds.settle('d', undefined)
    await clock.advance(60_000)
    expect(clock.timers).toBe(0)
    expect(asked.length).toBeLessThan(5)
  })

  describe('that a journal keeps', () => {
    function journaled(left: readonly Owed[] = []) {
      const said: unknown[][] = []
      const broken: { throws?: true } = {}
      const say = (what: string) => (of: unknown) => {
        if (broken.throws) throw new Error('no room')
        said.push([what, of])
      }
      const adopt = () => {
        if (broken.throws) throw new Error('no folder')
        return left
      }
      const journal: Journal = { keep: say('keep'), paid: say('paid'), adopt, close: () => void said.push(['close']) }
      return { said, broken, journal }
    }

    it('are kept when the store does not take their end, once, until it does', async () => {
      const { said, journal } = journaled()
      const { clock, mood, holds } = scene(30_000, journal)
      holds.settle('a', undefined)
      expect(said).toEqual([])
      mood.answer = fails
      const spent = chargesOn(metersOf('spend:50'), [usd(1)])
      holds.settle('b', spent)
      holds.cancel('c')
      const kept = [
        ['keep', { call: 'b', end: 'settle', spent }],
        ['keep', { call: 'c', end: 'cancel' }],
      ]
      await clock.advance(5_000)
      expect(said).toEqual(kept)
      mood.answer = () => settled
      await clock.advance(60_000)
      expect(said).toEqual([...kept, ['paid', 'b'], ['paid', 'c']])
      holds.close()
      expect(said.at(-1)).toEqual(['close'])
    })

    it('were left by processes that are gone: they are told at once, and again until the store takes them', async () => {
      const { said, journal } = journaled([
        { call: 'x', end: 'settle' },
        { call: 'y', end: 'cancel' },
      ])
      const { asked, clock, mood, holds } = scene(30_000, journal)
      mood.answer = fails
      holds.adopt()
      expect(holds.owed).toBe(2)
      await clock.advance(1)
      expect(asked).toEqual([
        ['settle', { call: 'x' }],
        ['cancel', 'y'],
      ])
      mood.answer = () => settled
      await clock.advance(1_000)
      expect([holds.owed, said]).toEqual([
        0,
        [
          ['paid', 'x'],
          ['paid', 'y'],
        ],
      ])
    })

    it('say nothing any more that has been overtaken', async () => {
      const { said, journal } = journaled()
      const { asked, clock, mood, holds } = scene(30_000, journal)
      mood.answer = fails
      holds.settle('a', undefined)
      const late = Promise.withResolvers<Settlement>()
      mood.answer = () => late.promise
      // The retry is under way when the same call is said to be cancelled, and that is not taken either.
      await clock.advance(500)
      mood.answer = fails
      holds.cancel('a')
      late.reject(new Error('connection lost'))
      await clock.advance(1)
      expect(said.map(([what, of]) => [what, (of as Owed).end])).toEqual([
        ['keep', 'settle'],
        ['keep', 'cancel'],
      ])
      mood.answer = () => settled
      await clock.advance(60_000)
      expect(asked.at(-1)).toEqual(['cancel', 'a'])
      expect([holds.owed, said.at(-1)]).toEqual([0, ['paid', 'a']])
    })

    it('are told some at a time, and not all of them to a store that is away', async () => {
      const left = Array.from({ length: 200 }, (_, n): Owed => ({ call: `x${n}`, end: 'cancel' }))
      const { asked, clock, mood, holds } = scene(30_000, journaled(left).journal)
      mood.answer = fails
      holds.adopt()
      await clock.advance(1)
      expect(asked).toHaveLength(64)
      mood.answer = () => settled
      await clock.advance(1_000)
      expect([holds.owed, asked.length]).toEqual([0, 264])
    })

    it('are tried all the same while the journal is broken, and that is told', async () => {
      const { broken, journal } = journaled()
      const { clock, failed, mood, holds } = scene(30_000, journal)
      broken.throws = true
      holds.adopt()
      mood.answer = fails
      holds.settle('a', undefined)
      mood.answer = () => settled
      await clock.advance(1_000)
      expect(holds.owed).toBe(0)
      expect(failed).toMatchObject([
        ['journal', { message: 'no folder' }],
        { message: 'connection lost' },
        ['journal', { message: 'no room' }],
        ['journal', { message: 'no room' }],
      ])
    })
  })

  it('that never ran count for nothing, also when time has ended them before the store could be told', async () => {
    const { asked, clock, mood, holds } = scene()
    mood.answer = fails
    void holds.cancel('a')
    mood.answer = () => (asked.at(-1)?.[0] === 'cancel' ? { state: 'orphaned', overrun: false } : settled)
    await clock.advance(500)
    expect(asked).toEqual([
      ['cancel', 'a'],
      ['cancel', 'a'],
      ['settle', { call: 'a', spent: [] }],
    ])
    expect(holds.owed).toBe(0)
    // Said at once it is the caller who learns that it came too late.
    mood.answer = () => ({ state: 'orphaned', overrun: false })
    expect(holds.cancel('b')).toMatchObject({ state: 'orphaned' })
    expect(asked).toHaveLength(4)
  })

  it('are told soon to a store that answers again, by one turn alone', async () => {
    const { asked, clock, mood, holds } = scene()
    holds.retry()
    mood.answer = fails
    holds.settle('a', undefined)
    await clock.advance(60_000)
    const before = asked.length
    const late = Promise.withResolvers<Settlement>()
    mood.answer = () => late.promise
    holds.retry()
    await clock.advance(500)
    holds.retry()
    await clock.advance(500)
    expect(asked).toHaveLength(before + 1)
    late.resolve(settled)
    await clock.advance(60_000)
    expect([asked.length, holds.owed]).toEqual([before + 1, 0])
  })

  it('that are never taken are not offered at every word of a store that answers all others', async () => {
    const { asked, clock, mood, holds } = scene()
    mood.answer = fails
    holds.settle('a', undefined)
    for (let ms = 0; ms < 10_000; ms += 10) {
      holds.retry()
      await clock.advance(10)
    }
    expect(asked.length).toBeGreaterThan(15)
    expect(asked.length).toBeLessThanOrEqual(23)
    // Left alone it is offered less and less often again.
    await clock.advance(10_000)
    expect(asked.length).toBeLessThanOrEqual(28)
  })
})
