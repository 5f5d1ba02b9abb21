import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { memoryStore } from './memory.ts'
import type { Store } from './store.ts'

const HOUR = 3_600_000

function row(id: string) {
  return { id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [], ttlMs: HOUR }
}

describe('the memory store stays flat', () => {
  it('forgets sessions that have long been over, with their meters, and keeps the others', async () => {
    const clock = fakeClock()
    const store = memoryStore({ clock })
    const meter = (id: string) => ({ key: id, window: 'total', limit: 5n }) as const
    for (let n = 0; n < 1_500; n++) await store.session.create(row(`old ${n}`), [meter(`old ${n}`)])
    await clock.advance(HOUR)
    await store.session.create(row('younger'), [meter('younger')])
    // Over, but only just: a call of it is still told why it is refused.
    expect(await store.admit({ call: 'c', session: 'old 0', charges: [], leaseMs: 1 })).toMatchObject({
      refused: 'session-expired',
    })
    await clock.advance(HOUR)
    for (let n = 0; n < 3_000; n++) await store.session.create(row(`new ${n}`), [meter(`new ${n}`)])
    expect(await store.session.get({ id: 'old 0' })).toBeUndefined()
    expect(await store.session.get({ tokenHash: 'old 0' })).toBeUndefined()
    expect(await store.meters.read(['old 0', 'younger'].map((key) => ({ key, window: 'total' as const })))).toEqual([
      undefined,
      { limit: 5n, used: 0n, held: 0n },
    ])
    expect(await store.session.get({ id: 'younger' })).toMatchObject({ id: 'younger' })
  })

  it('remembers at least ten thousand ended holds, and not every one there ever was', async () => {
    const store = memoryStore({ clock: fakeClock() })
    for (let n = 0; n <= 20_000; n++) await store.cancel(`c${n}`)
    for (const late of ['c10000', 'c19999'])
      expect(await store.settle({ call: late })).toMatchObject({ state: 'released' })
    expect(await store.settle({ call: 'c0' })).toMatchObject({ state: 'unknown' })
  })

  it('forgets `once` keys that are free again', async () => {
    await expectFlat(async (store, call) => {
      await store.admit({ call, session: 's', charges: [], leaseMs: HOUR, once: `the key of ${call}` })
      await store.settle({ call })
    })
  })

  it('forgets windows that have passed', async () => {
    await expectFlat((store, call) => {
      const meter = { key: `the meter of ${call}`, window: 'day', limit: 9n } as const
      return store.settle({ call, spent: [{ meter, micros: 1n }] })
    })
  })

  it('forgets rates that have leaked out', async () => {
    await expectFlat((store, call) => {
      const rate = { limit: 1n, periodMs: 1_000, burst: 9n }
      const meter = { key: `the rate of ${call}`, window: 'total', rate } as const
      return store.settle({ call, spent: [{ meter, micros: 1n }] })
    })
  })

  it('forgets approvals that ended more than 30 days ago, and what channels noted of them', async () => {
    const clock = fakeClock()
    const store = memoryStore({ clock })
    await store.session.create({ ...row('s'), ttlMs: 999 * 24 * HOUR }, [])
    const grant = { binding: 'g' }
    const days: number[] = [used()]
    for (let day = 1; day <= 90; day++) {
      for (let n = 0; n < 300; n++) {
        const id = `${day} ${n}`
        const about = { id, tenant: 't', session: 's', agent: 'a', tool: 'x', binding: `the binding of ${id}`, grant }
        await store.approval.request({ ...about, data: {}, ttlMs: HOUR }, { session: 999, agent: 999 }, ['slack'])
        await store.approval.shown(id, 'slack', 1, `the card of ${id}`)
        if (n % 2) await store.approval.change(id, 1, { state: 'approved', grantMs: HOUR })
      }
      for (let hour = 0; hour < 24; hour++) {
        await clock.advance(HOUR)
        await store.approval.expire(1_000)
      }
      if (day % 30 === 0) days.push(used())
    }
    const [begin = 0, first = 0, second = 0, third = 0] = days
    expect(third - second).toBeLessThan((first - begin) / 4)
    expect(await store.approval.list({ limit: 99_999 })).toHaveLength(30 * 300)
    expect(await store.approval.note('1 1', 'slack')).toBeUndefined()
  })

  it('never forgets a total, nor the window it is in', async () => {
    const clock = fakeClock()
    const store = memoryStore({ clock })
    const total = { key: 'total', window: 'total', limit: 9n } as const
    const month = { key: 'month', window: 'month', limit: 9n } as const
    await store.settle({ call: 'c', spent: [total, month].map((meter) => ({ meter, micros: 9n })) })
    await clock.advance(24 * HOUR)
    for (let n = 0; n < 5_000; n++) {
      const meter = { key: `${n}`, window: 'hour', limit: 9n } as const
      await store.settle({ call: `${n}`, spent: [{ meter, micros: 1n }] })
      if (n % 500 === 0) await clock.advance(HOUR)
    }
    expect(await store.meters.read([total, month])).toEqual(Array(2).fill({ limit: 9n, used: 9n, held: 0n }))
  })
})

/** Does the same many times a day, for many days: the later days must not add what the first ones did. */
async function expectFlat(work: (store: Store, call: string) => unknown): Promise<void> {
  const clock = fakeClock()
  const store = memoryStore({ clock })
  await store.session.create({ ...row('s'), ttlMs: 99 * 24 * HOUR }, [])
  const days: number[] = [used()]
  for (let day = 1; day <= 9; day++) {
    for (let n = 0; n < 10_000; n++) await work(store, `call ${day} ${n}`)
    await clock.advance(24 * HOUR)
    days.push(used())
  }
  const [begin = 0, , , third = 0] = days
  expect((days.at(-1) as number) - third).toBeLessThan((third - begin) / 2)
}

function used(): number {
  ;(globalThis as { gc?: () => void }).gc?.()
  return process.memoryUsage().heapUsed
}
