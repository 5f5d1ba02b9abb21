/** At most once: a key that only one call may have while it runs, and for a day after it. */
import { type Denied, governed, type Session, usd } from '@haldir/core'
import { describe, expect, it, vi } from 'vitest'
import { proves } from '../promises.ts'
import { denial, fleet, payer, reader, STORES, standing, told, turns } from './scene.ts'

const HOUR = 3_600_000
const once = ({ key }: { key: string }) => key

/** A tool that runs until it is told to end. */
function slow(session: Session, options: object = {}) {
  const ends: ((error?: Error) => void)[] = []
  const run = (_: { key: string }) =>
    new Promise<string>((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve('ran'))))
  return { call: governed(run, { name: 'order', scope: [], once, ...options }, { session }), ends }
}

describe.each(STORES)('a key (%s)', (kind) => {
  it('is refused while a call that has it runs, and for 24 hours after it settled', async () => {
    const { clock, house } = fleet(kind)
    const { haldir, entries } = house()
    const session = await haldir.createSession({ agent: 'a', scopes: [], ttl: '30d' })
    const { call, ends } = slow(session)
    const first = call({ key: 'order-1' })
    await turns()
    const error = await denial(call({ key: 'order-1' }))
    expect([error.code, error.retryable]).toEqual(['duplicate-call', false])
    expect(entries('refusal').at(-1)).toMatchObject({ code: 'duplicate-call', tool: 'order' })
    const other = call({ key: 'order-2' })
    await turns()
    expect(ends).toHaveLength(2)
    for (const end of ends.splice(0)) end()
    expect(await Promise.all([first, other])).toEqual(['ran', 'ran'])
    for (const hours of [0, 12, 11.999]) {
      await clock.advance(hours * HOUR)
      expect(await told(call({ key: 'order-1' }))).toBe('duplicate-call')
    }
    await clock.advance(0.001 * HOUR)
    const again = call({ key: 'order-1' })
    await turns()
    ends[0]?.()
    expect(await again).toBe('ran')
  })

  it('belongs to one tool of one tenant, whoever calls, in every process', async () => {
    const { house } = fleet(kind)
    const [here, there] = [house(), house()]
    const open = (agent: string, tenant: string, { haldir } = here) =>
      haldir.createSession({ agent, tenant, scopes: [] })
    const session = await open('a', 'acme')
    const options = { once }
    expect(await told(reader(session, options, 'order')({ key: 'k' }))).toBe('ran')
    for (const same of [
      session,
      await open('b', 'acme'),
      await open('c', 'acme', there),
      await there.haldir.attach(session.token),
    ]) {
      expect(await told(reader(same, options, 'order')({ key: 'k' }))).toBe('duplicate-call')
    }
    expect(await told(reader(session, options, 'refund')({ key: 'k' }))).toBe('ran')
    expect(await told(reader(await open('a', 'other', there), options, 'order')({ key: 'k' }))).toBe('ran')
    const child = await session.delegate({ agent: 'd', scopes: [] })
    expect(await told(reader(child, options, 'refund')({ key: 'k' }))).toBe('duplicate-call')
  })

  it('lets one of many at once through, in whatever process', async () => {
    proves('invariant-3')
    const { house } = fleet(kind)
    const [here, there] = [house(), house()]
    const session = await here.haldir.createSession({ agent: 'a', scopes: ['spend:50'] })
    const attached = await there.haldir.attach(session.token)
    const work = Array.from({ length: 20 }, (_, index) =>
      told(payer(index % 2 ? session : attached, { once })({ amount: 5, key: 'k' })),
    )
    expect((await Promise.all(work)).sort()).toEqual([...Array(19).fill('duplicate-call'), 'ran'])
    // Those that were refused have burnt nothing.
    expect(await standing(session)).toEqual(['budget:USD: 5 + 0 of 50'])
  })

  it('is free again when the call did not run, or failed where failing costs nothing', async () => {
    const { haldir } = fleet(kind).house()
    const session = await haldir.createSession({ agent: 'a', scopes: [] })
    const tool = vi.fn(async (_: { key: string }) => 'ran')
    const secretive = governed(tool, { name: 'order', scope: [], once, secrets: ['missing'] }, { session })
    const plain = governed(tool, { name: 'order', scope: [], once }, { session })
    expect(await told(secretive({ key: 'k' }))).toBe('secret-unavailable')
    expect(await told(plain({ key: 'k' }))).toBe('ran')
    expect(tool).toHaveBeenCalledTimes(1)

    const down = new Error('down')
    const released = slow(session, { onFailure: 'release' })
    const failing = released.call({ key: 'r' })
    await turns()
    released.ends[0]?.(down)
    await expect(failing).rejects.toBe(down)
    expect(await told(plain({ key: 'r' }))).toBe('ran')

    // It may have gone through: then the key is used up.
    const kept = slow(session)
    const lost = kept.call({ key: 'f' })
    await turns()
    kept.ends[0]?.(down)
    await expect(lost).rejects.toBe(down)
    expect(await told(plain({ key: 'f' }))).toBe('duplicate-call')
  })

  it('is used up by a call that nobody knows the end of', async () => {
    proves('invariant-4')
    const { clock, house } = fleet(kind)
    const [dying, living] = [house({ holdFor: '1m' }, () => ({ renew: () => {} })), house({ holdFor: '1m' })]
    const session = await dying.haldir.createSession({ agent: 'a', scopes: [], ttl: '30d' })
    void slow(session).call({ key: 'k' })
    await turns()
    const attached = await living.haldir.attach(session.token)
    const again = () => told(reader(attached, { once }, 'order')({ key: 'k' }))
    await clock.advance(2 * 60_000)
    expect(await again()).toBe('duplicate-call')
    expect((await living.haldir.sweep()).orphaned).toHaveLength(1)
    await clock.advance(23 * HOUR)
    expect(await again()).toBe('duplicate-call')
    await clock.advance(HOUR)
    expect(await again()).toBe('ran')
  })

  it('is not used up by a call that the budget refuses', async () => {
    const { haldir } = fleet(kind).house()
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:5'] })
    const pay = payer(session, { once })
    expect(await told(pay({ amount: 6, key: 'k' }))).toBe('budget-exceeded')
    expect(await told(pay({ amount: 5, key: 'k' }))).toBe('ran')
  })
})

const BAD: readonly [string, () => unknown, string][] = [
  [
    'throws',
    () => {
      throw new Error('a-secret-key')
    },
    'invalid-arguments',
  ],
  ['answers a number', () => 7, 'unavailable'],
  ['answers nothing', () => undefined, 'unavailable'],
  ['answers an empty text', () => '', 'unavailable'],
  ['answers a promise', async () => 'k', 'unavailable'],
  ['answers a promise that rejects', async () => Promise.reject(new Error('k')), 'unavailable'],
  ['answers an object', () => ({ toString: () => 'k' }), 'unavailable'],
]

it.each(BAD)('a `once` that %s refuses, takes nothing and tells nothing', async (_, bad, code) => {
  proves('invariant-6')
  const { haldir, lines } = fleet().house()
  const session = await haldir.createSession({ agent: 'a', scopes: ['spend:5'] })
  const tool = vi.fn(async () => 'ran')
  const options = { name: 'order', scope: 'spend', cost: usd(1) }
  const call = governed(tool, { ...options, once: bad as never }, { session })
  const error: Denied = await denial(call())
  expect(error.code).toBe(code)
  expect(tool).not.toHaveBeenCalled()
  expect(await standing(session)).toEqual(['budget:USD: 0 + 0 of 5'])
  expect(error.message + lines.join('')).not.toContain('a-secret-key')
})

it('a key stands in the clear in no store and no entry', async () => {
  proves('invariant-7')
  const { house, bytes } = fleet('sqlite')
  const { haldir, lines } = house()
  const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50'] })
  const key = 'card-4242-4242-of-jane'
  const pay = payer(session, { once: () => key })
  expect(await told(pay({ amount: 5 }))).toBe('ran')
  expect(await told(pay({ amount: 5 }))).toBe('duplicate-call')
  const paid = { amount: usd(1), description: 'a book', idempotencyKey: key }
  await (await haldir.payments.authorize(session, paid)).capture()
  await haldir.flush()
  for (const text of [bytes(), lines.join('\n')]) {
    expect(text).toContain('USD')
    // Not of digits alone: those stand in hashes by chance.
    expect(text).not.toContain('jane')
  }
})
