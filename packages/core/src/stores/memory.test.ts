import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { memoryStore } from './memory.ts'

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
})
