/** Payments without a tool: authorize sets aside, capture spends, void and time give back. */
import {
  type HaldirOptions,
  money,
  type PaymentOptions,
  type Policy,
  type Session,
  type Store,
  usd,
} from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { describe, expect, it } from 'vitest'
import { entriesOf, proves } from '../promises.ts'
import { denial, fleet, type House, misuse, payer, STORES, standing, told, turns } from './scene.ts'

const MINUTE = 60_000
const book = { amount: usd(29.99), description: 'a book' }
const asOf = (amount: number, rest: Partial<PaymentOptions> = {}) => ({ ...book, amount: usd(amount), ...rest })

/** A house with a session that may spend $50. */
async function shop(kind: (typeof STORES)[number] = 'memory', options: HaldirOptions = {}) {
  const { clock, house } = fleet(kind)
  const own = house(options)
  const session = await own.haldir.createSession({ agent: 'a', tenant: 'acme', scopes: ['spend:50'], ttl: '7d' })
  return { clock, house, ...own, session, stands: async () => (await standing(session))[0]?.slice(12) }
}

describe.each(STORES)('a payment (%s)', (kind) => {
  it('is set aside when it is authorized, spent when it is captured, and stands in the trail', async () => {
    proves('invariant-3', 'every-call-logged')
    const { haldir, session, stands, entries } = await shop(kind)
    const payment = await haldir.payments.authorize(session, book)
    expect(payment.status).toBe('authorized')
    expect(await stands()).toBe('0 + 29.99 of 50')
    expect(entries().at(-1)).toMatchObject({
      type: 'intent',
      tool: 'payments.authorize',
      verdict: 'allow',
      rule: 'scope:spend',
      held: [{ unit: 'USD', amount: '29.99' }],
      data: { description: 'a book' },
      call: payment.id,
    })
    expect((await haldir.trail.verify()).orphans).toHaveLength(1)
    await payment.capture()
    expect([payment.status, `${payment.captured}`]).toEqual(['captured', '29.99 USD'])
    expect(await stands()).toBe('29.99 + 0 of 50')
    expect(entries().at(-1)).toMatchObject({
      type: 'outcome',
      call: payment.id,
      spent: [{ unit: 'USD', amount: '29.99' }],
      data: { ended: 'ok' },
    })
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
  })

  it('of which a part is captured gives back the rest', async () => {
    const { haldir, session, stands } = await shop(kind)
    const payment = await haldir.payments.authorize(session, asOf(40))
    await payment.capture(usd(12.5))
    expect(await stands()).toBe('12.5 + 0 of 50')
    expect(await told(payer(session)({ amount: 37.5 }))).toBe('ran')
  })

  it('that is voided costs nothing, and once more is the same', async () => {
    const { haldir, session, stands, entries } = await shop(kind)
    const payment = await haldir.payments.authorize(session, asOf(40))
    await payment.void()
    await payment.void()
    expect([payment.status, await stands()]).toEqual(['voided', '0 + 0 of 50'])
    expect(entries('outcome')).toMatchObject([{ call: payment.id, data: { ended: 'not-run' } }])
    expect(await told(payment.capture())).toBe('unavailable')
    expect(await stands()).toBe('0 + 0 of 50')
  })

  it('that is never captured gives its budget back by itself, and its intent is closed', async () => {
    const { clock, haldir, session, stands, entries } = await shop(kind)
    const payment = await haldir.payments.authorize(session, asOf(40))
    const brief = await haldir.payments.authorize(session, asOf(1, { expires: '30s' }))
    expect(payment.expiresAt.getTime()).toBe(clock.now() + 10 * MINUTE)
    await clock.advance(MINUTE)
    expect(await stands()).toBe('0 + 40 of 50')
    expect(entries('outcome')).toMatchObject([{ call: brief.id, data: { ended: 'not-run' } }])
    await clock.advance(9 * MINUTE - 1)
    expect(await stands()).toBe('0 + 40 of 50')
    await clock.advance(2)
    expect(await stands()).toBe('0 + 0 of 50')
    expect(entries('outcome').at(-1)).toMatchObject({ call: payment.id, data: { ended: 'not-run' } })
    expect((await haldir.trail.verify()).orphans).toEqual([])
    expect((await denial(payment.capture())).code).toBe('unavailable')
    expect(payment.status).toBe('voided')
    expect(await stands()).toBe('0 + 0 of 50')
  })

  it('that has expired is not captured, though nobody has swept yet', async () => {
    proves('invariant-10')
    const { clock, haldir, session } = await shop(kind)
    const payment = await haldir.payments.authorize(session, asOf(40, { expires: '1m' }))
    // All timers of this process are late; its clock is set back, too.
    const late = fleet(kind, { ...clock, setTimeout: () => ({ cancel: () => {} }) }).house()
    const own = await late.haldir.createSession({ agent: 'a', scopes: ['spend:50'], ttl: '7d' })
    const other = await late.haldir.payments.authorize(own, asOf(40, { expires: '1m' }))
    clock.setWall(clock.now() - 60 * MINUTE)
    await clock.advance(MINUTE + 1)
    for (const one of [payment, other]) expect(await told(one.capture())).toBe('unavailable')
    await late.haldir.sweep()
    expect((await standing(own))[0]).toBe('budget:USD: 0 + 0 of 50')
  })

  it('of longer than a timer can wait gives its budget back by itself, too', async () => {
    const { clock, haldir, session, stands } = await shop(kind)
    await session.extend('366d')
    await haldir.payments.authorize(session, asOf(40, { expires: '30d' }))
    await clock.advance(25 * 24 * 60 * MINUTE)
    expect(await stands()).toBe('0 + 40 of 50')
    await clock.advance(5 * 24 * 60 * MINUTE + 1)
    expect(await stands()).toBe('0 + 0 of 50')
  })

  it('is captured once: again, and beside itself, is refused', async () => {
    proves('invariant-3', 'invariant-4')
    const { haldir, session, stands, entries } = await shop(kind)
    const payment = await haldir.payments.authorize(session, asOf(10))
    await payment.capture()
    expect(await told(payment.capture())).toBe('duplicate-call')
    expect(await told(payment.void())).toBe('duplicate-call')
    const other = await haldir.payments.authorize(session, asOf(20))
    const answers = await Promise.all([1, 20, 5].map((part) => told(other.capture(usd(part)))))
    expect(answers).toEqual([undefined, 'duplicate-call', 'duplicate-call'])
    expect(await stands()).toBe('11 + 0 of 50')
    expect(entries('outcome')).toHaveLength(2)
  })

  it('is found, captured and refused in another process', async () => {
    proves('invariant-3')
    const { house, haldir, session, stands } = await shop(kind)
    const there = house()
    const attached = await there.haldir.attach(session.token)
    const payment = await haldir.payments.authorize(session, asOf(30))
    const found = await there.haldir.payments.find(attached, payment.id)
    expect(found).toMatchObject({ id: payment.id, status: 'authorized', expiresAt: payment.expiresAt })
    expect(`${found?.amount}`).toBe('30 USD')
    await found?.capture(usd(7))
    expect(await stands()).toBe('7 + 0 of 50')
    expect(there.entries('outcome')).toMatchObject([{ call: payment.id, spent: [{ amount: '7' }] }])
    expect(await told(payment.capture())).toBe('duplicate-call')
    expect(payment.status).toBe('captured')
    const again = await there.haldir.payments.find(attached, payment.id)
    expect(again?.status).toBe('captured')
    expect(await told(again?.void() as Promise<void>)).toBe('duplicate-call')
    expect(await stands()).toBe('7 + 0 of 50')
  })

  it('is captured by one of two processes that do so at once', async () => {
    proves('invariant-3', 'invariant-4')
    const { house, haldir, session, stands } = await shop(kind)
    const there = house()
    const payment = await haldir.payments.authorize(session, asOf(30))
    const found = await there.haldir.payments.find(await there.haldir.attach(session.token), payment.id)
    const answers = await Promise.all([told(payment.capture(usd(10))), told(found?.capture(usd(20)) as Promise<void>)])
    expect(answers).toEqual([undefined, 'duplicate-call'])
    expect(await stands()).toBe('10 + 0 of 50')
  })

  it('that ended long ago is not captured by a handle that has not heard of it', async () => {
    proves('invariant-3', 'invariant-4')
    const { clock, house, haldir, session, stands } = await shop(kind)
    const there = house()
    const attached = await there.haldir.attach(session.token)
    const payments = [
      await haldir.payments.authorize(session, asOf(10)),
      await haldir.payments.authorize(session, asOf(20)),
    ]
    const handles = await Promise.all(payments.map(({ id }) => there.haldir.payments.find(attached, id)))
    await payments[0]?.capture()
    await clock.advance(11 * MINUTE)
    for (let day = 0; day < 3; day++) {
      await clock.advance(25 * 60 * MINUTE)
      // Now the store has forgotten both.
      await haldir.sweep()
    }
    for (const handle of [...handles, payments[1]]) {
      for (const part of [usd(5), undefined]) {
        expect(['unavailable', 'duplicate-call']).toContain(await told(handle?.capture(part) as Promise<void>))
      }
    }
    expect(await stands()).toBe('10 + 0 of 50')
  })

  it('whose capture was begun by a process that died counts as spent, and is not captured again', async () => {
    proves('invariant-4')
    const { clock, house } = fleet(kind)
    const dying = house({ holdFor: '1m' }, () => ({ settle: () => new Promise<never>(() => {}) }))
    const living = house({ holdFor: '1m' })
    const session = await dying.haldir.createSession({ agent: 'a', scopes: ['spend:50'], ttl: '7d' })
    const payment = await dying.haldir.payments.authorize(session, asOf(40))
    void payment.capture(usd(30))
    await turns()
    const attached = await living.haldir.attach(session.token)
    const found = await living.haldir.payments.find(attached, payment.id)
    expect(found?.status).toBe('authorized')
    expect(await told(found?.capture() as Promise<void>)).toBe('duplicate-call')
    expect(found?.status).toBe('authorized')
    await clock.advance(2 * MINUTE)
    await living.haldir.sweep()
    expect((await standing(attached))[0]).toBe('budget:USD: 40 + 0 of 50')
    expect((await living.haldir.payments.find(attached, payment.id))?.status).toBe('captured')
    for (const hours of [0, 25]) {
      await clock.advance(hours * 60 * MINUTE)
      expect(await told(found?.capture() as Promise<void>)).toBe('duplicate-call')
    }
    expect((await standing(attached))[0]).toBe('budget:USD: 40 + 0 of 50')
  })

  it('that is voided while it is captured is one of the two', async () => {
    proves('invariant-4')
    const { house, haldir, session, stands } = await shop(kind)
    const there = house()
    const attached = await there.haldir.attach(session.token)
    for (let early = 0; early < 8; early++) {
      const payment = await haldir.payments.authorize(session, asOf(1))
      const found = await there.haldir.payments.find(attached, payment.id)
      const before = Number((await session.budget())[0]?.used.decimal)
      const capturing = told(payment.capture())
      for (let turn = 0; turn < early; turn++) await null
      const [captured, voided] = await Promise.all([capturing, told(found?.void() as Promise<void>)])
      expect([captured, voided].filter((answer) => answer === undefined)).toHaveLength(1)
      expect(await stands()).toBe(`${before + (captured === undefined ? 1 : 0)} + 0 of 50`)
    }
  })

  it('that was captured is not voided, though the store has not counted it yet', async () => {
    proves('invariant-3', 'invariant-4')
    const { house, clock } = fleet(kind)
    let broken = false
    const { haldir } = house({}, ({ settle }) => ({
      settle: (request) => {
        if (broken) throw new Error('lost')
        return settle(request)
      },
    }))
    const session = await haldir.createSession({ agent: 'a', tenant: 'acme', scopes: ['spend:50'], ttl: '7d' })
    const there = house()
    const order = asOf(20, { idempotencyKey: 'order-1' })
    const payment = await haldir.payments.authorize(session, order)
    broken = true
    await payment.capture()
    for (const who of [haldir, there.haldir]) {
      const found = await who.payments.find(await who.attach(session.token), payment.id)
      expect(await told(found?.void() as Promise<void>)).toBe('duplicate-call')
      expect(await told(found?.capture() as Promise<void>)).toBe('duplicate-call')
    }
    broken = false
    await clock.advance(MINUTE)
    // The same order is the same payment, once.
    expect((await haldir.payments.authorize(session, order)).id).toBe(payment.id)
    expect((await standing(session))[0]).toBe('budget:USD: 20 + 0 of 50')
  })

  it('that was voided is not captured, though the store has not given it back yet', async () => {
    proves('invariant-4')
    const { house, clock } = fleet(kind)
    let lost = ''
    const { haldir } = house({}, ({ cancel }) => ({
      cancel: (call) => {
        if (call === lost) throw new Error('lost')
        return cancel(call)
      },
    }))
    const session = await haldir.createSession({ agent: 'a', tenant: 'acme', scopes: ['spend:50'], ttl: '7d' })
    const there = house()
    const payment = await haldir.payments.authorize(session, asOf(20))
    const attached = await there.haldir.attach(session.token)
    const [found, other] = [
      await there.haldir.payments.find(attached, payment.id),
      await there.haldir.payments.find(attached, payment.id),
    ]
    lost = payment.id
    await payment.void()
    expect(await told(found?.capture() as Promise<void>)).toBe('duplicate-call')
    lost = ''
    await clock.advance(MINUTE)
    expect((await standing(session))[0]).toBe('budget:USD: 0 + 0 of 50')
    expect(await told(found?.capture() as Promise<void>)).toBe('unavailable')
    // Voided there as well, and not once more on record.
    for (const handle of [found, other]) {
      await handle?.void()
      expect(handle?.status).toBe('voided')
    }
    expect(there.entries('outcome')).toEqual([])
  })

  it('can be voided after its session has expired', async () => {
    const { clock, haldir, session, stands } = await shop(kind)
    const child = await session.delegate({ agent: 'c', scopes: ['spend:50'], ttl: '1m' })
    const payment = await haldir.payments.authorize(child, asOf(10))
    await clock.advance(MINUTE)
    expect(await told(payment.capture())).toBe('session-expired')
    await payment.void()
    expect([payment.status, await stands()]).toEqual(['voided', '0 + 0 of 50'])
  })

  it('that is being captured when its session ends is not voided', async () => {
    proves('invariant-4')
    const { house } = fleet(kind)
    const { haldir } = house({}, () => ({
      settle: () => {
        throw new Error('lost')
      },
    }))
    const session = await haldir.createSession({ agent: 'a', tenant: 'acme', scopes: ['spend:50'], ttl: '7d' })
    const there = house()
    const payment = await haldir.payments.authorize(session, asOf(20))
    const found = await there.haldir.payments.find(await there.haldir.attach(session.token), payment.id)
    await payment.capture()
    await session.revoke()
    expect(await told(found?.void() as Promise<void>)).toBe('duplicate-call')
  })

  it('is found by the session that made it alone', async () => {
    const { haldir, session } = await shop(kind)
    const other = await haldir.createSession({ agent: 'b', tenant: 'acme', scopes: ['spend:50'] })
    const child = await session.delegate({ agent: 'c', scopes: ['spend:50'] })
    const payment = await haldir.payments.authorize(session, asOf(30))
    expect(await haldir.payments.find(session, payment.id)).toBeDefined()
    for (const stranger of [other, child]) expect(await haldir.payments.find(stranger, payment.id)).toBeUndefined()
    expect(await haldir.payments.find(session, 'nothing')).toBeUndefined()
    expect(await haldir.payments.find(session, '')).toBeUndefined()
    expect((await misuse(() => haldir.payments.find(session, 7 as never))).path).toBe('id')
    expect((await misuse(() => haldir.payments.find({} as Session, payment.id))).path).toBe('session')
    expect((await misuse(() => fleet(kind).house().haldir.payments.find(session, payment.id))).path).toBe('session')
  })

  it('is not captured after a revoke, of the session or of a parent, and can be voided', async () => {
    proves('invariant-5')
    const { haldir, session, stands } = await shop(kind)
    const child = await session.delegate({ agent: 'c', scopes: ['spend:50'] })
    const [own, childs] = [
      await haldir.payments.authorize(session, asOf(10)),
      await haldir.payments.authorize(child, asOf(10)),
    ]
    expect(await stands()).toBe('0 + 20 of 50')
    await session.revoke()
    for (const payment of [own, childs]) expect(await told(payment.capture())).toBe('session-revoked')
    expect(await told(haldir.payments.authorize(session, book))).toBe('session-revoked')
    expect(await stands()).toBe('0 + 20 of 50')
    await own.void()
    await childs.void()
    expect(await stands()).toBe('0 + 0 of 50')
  })

  it('is metered on everyone in the chain of its session, and on standing meters', async () => {
    proves('invariant-9')
    const { clock, house } = fleet(kind)
    const { haldir } = house({
      meters: [
        { unit: 'calls', per: 'tenant', limit: 2, tools: 'payments.*' },
        { unit: 'USD', per: 'tenant', limit: 100, window: 'month' },
      ],
    })
    const parent = await haldir.createSession({ agent: 'a', scopes: ['spend:50'], ttl: '60d' })
    const child = await parent.delegate({ agent: 'b', scopes: ['spend:40'], ttl: '60d' })
    const payment = await haldir.payments.authorize(child, asOf(40, { expires: '40d' }))
    const voided = await haldir.payments.authorize(parent, asOf(10))
    expect(await told(haldir.payments.authorize(parent, asOf(1)))).toBe('budget-exceeded')
    await voided.void()
    expect(await told(haldir.payments.authorize(parent, asOf(11)))).toBe('budget-exceeded')
    await (await haldir.payments.authorize(parent, asOf(1))).capture()
    expect((await denial(haldir.payments.authorize(parent, asOf(1)))).code).toBe('quota-exceeded')
    await payment.capture(usd(25))
    expect(await standing(child)).toEqual([
      'budget:USD: 25 + 0 of 40',
      'parent:budget:USD: 26 + 0 of 50',
      'budget:USD/month@tenant: 26 + 0 of 100',
    ])
    // It counts in the month it was authorized in.
    await clock.advance(32 * 24 * 60 * MINUTE)
    expect((await standing(child))[2]).toBe('budget:USD/month@tenant: 0 + 0 of 100')
  })

  it('100 at once of $1 on $50: exactly 50', async () => {
    proves('invariant-3')
    const { house, haldir, session, stands } = await shop(kind)
    const there = house()
    const attached = await there.haldir.attach(session.token)
    const work = Array.from({ length: 100 }, (_, index) =>
      told(
        index % 2 ? haldir.payments.authorize(session, asOf(1)) : there.haldir.payments.authorize(attached, asOf(1)),
      ),
    )
    const answers = await Promise.all(work)
    expect(answers.filter((answer) => answer === 'budget-exceeded')).toHaveLength(50)
    expect(await stands()).toBe('0 + 50 of 50')
    for (const one of answers) if (typeof one !== 'string') await one.capture()
    expect(await stands()).toBe('50 + 0 of 50')
  })
})

describe.each(STORES)('an idempotency key (%s)', (kind) => {
  const keyed = asOf(10, { idempotencyKey: 'order-1' })

  it('makes the same request the same payment, in every process, also once it is captured', async () => {
    const { clock, house, haldir, session, stands, entries } = await shop(kind)
    const there = house()
    const attached = await there.haldir.attach(session.token)
    const payment = await haldir.payments.authorize(session, keyed)
    const again = await haldir.payments.authorize(session, { ...keyed, expires: '1h' })
    const elsewhere = await there.haldir.payments.authorize(attached, keyed)
    expect([again.id, elsewhere.id]).toEqual([payment.id, payment.id])
    expect(elsewhere.expiresAt).toEqual(payment.expiresAt)
    expect(await stands()).toBe('0 + 10 of 50')
    await elsewhere.capture()
    const after = await haldir.payments.authorize(session, keyed)
    expect([after.id, after.status]).toEqual([payment.id, 'captured'])
    expect(await told(after.capture())).toBe('duplicate-call')
    await clock.advance(23 * 60 * MINUTE)
    expect((await haldir.payments.authorize(session, keyed)).status).toBe('captured')
    expect(await stands()).toBe('10 + 0 of 50')
    expect(entries('intent')).toHaveLength(1)
  })

  it('with another amount, currency or description is refused', async () => {
    const { haldir, session, stands } = await shop(kind)
    await haldir.payments.authorize(session, keyed)
    for (const other of [
      { ...keyed, amount: usd(10.01) },
      { ...keyed, description: 'another book' },
    ]) {
      expect((await denial(haldir.payments.authorize(session, other))).code).toBe('duplicate-call')
    }
    expect(await stands()).toBe('0 + 10 of 50')
  })

  it('is the tenant’s: a process that starts again, in another session, does not pay twice', async () => {
    const { haldir, session, entries } = await shop(kind)
    const other = await haldir.createSession({ agent: 'a', tenant: 'acme', scopes: ['spend:50'] })
    const first = await haldir.payments.authorize(session, keyed)
    const taken = await denial(haldir.payments.authorize(other, keyed))
    expect(taken).toMatchObject({ code: 'duplicate-call', retryable: false })
    expect(taken.message).toContain('this idempotency key belongs to another payment')
    expect((await standing(other))[0]).toBe('budget:USD: 0 + 0 of 50')
    const elsewhere = await haldir.createSession({ agent: 'a', tenant: 'other', scopes: ['spend:50'] })
    await haldir.payments.authorize(elsewhere, keyed)
    await first.void()
    await haldir.payments.authorize(other, keyed)
    expect((await standing(other))[0]).toBe('budget:USD: 0 + 10 of 50')
    expect(entries('intent')).toHaveLength(3)
  })

  it('of 20 requests at once sets aside once, under one intent', async () => {
    proves('invariant-3')
    const { haldir, session, stands, entries } = await shop(kind)
    const work = Array.from({ length: 20 }, () => haldir.payments.authorize(session, keyed))
    const payments = await Promise.all(work)
    expect(new Set(payments.map(({ id }) => id)).size).toBe(1)
    expect(await stands()).toBe('0 + 10 of 50')
    expect(entries('intent')).toHaveLength(1)
    const answers = await Promise.all(payments.map((payment) => told(payment.capture())))
    expect(answers.filter((answer) => answer === undefined)).toHaveLength(1)
    expect(await stands()).toBe('10 + 0 of 50')
  })

  it('is free again once its payment was voided or has expired', async () => {
    const { clock, haldir, session, stands } = await shop(kind)
    const first = await haldir.payments.authorize(session, keyed)
    await first.void()
    const second = await haldir.payments.authorize(session, keyed)
    expect([second.status, second.id === first.id]).toEqual(['authorized', false])
    expect(await stands()).toBe('0 + 10 of 50')
    await clock.advance(11 * MINUTE)
    const third = await haldir.payments.authorize(session, { ...keyed, amount: usd(11) })
    await third.capture()
    expect(await stands()).toBe('11 + 0 of 50')
    expect((await denial(haldir.payments.authorize(session, keyed))).code).toBe('duplicate-call')
  })

  it('is free again once its payment has expired, though nobody has swept yet', async () => {
    const { clock, house } = fleet(kind)
    const { haldir } = house({ clock: { ...clock, setTimeout: () => ({ cancel: () => {} }) } })
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50'], ttl: '7d' })
    const first = await haldir.payments.authorize(session, keyed)
    await clock.advance(10 * MINUTE)
    const second = await haldir.payments.authorize(session, keyed)
    expect(second.id).not.toBe(first.id)
    await second.capture()
    expect(await told(first.capture())).toBe('unavailable')
    await haldir.sweep()
    expect((await standing(session))[0]).toBe('budget:USD: 10 + 0 of 50')
  })
})

describe('a payment that is refused', () => {
  it.each([
    ['no `spend`', ['read'], book, 'scope-missing'],
    ['only `*`', ['*'], book, 'scope-missing'],
    ['another currency', ['spend:50:EUR'], book, 'budget-exceeded'],
    ['too small a budget', ['spend:29.98'], book, 'budget-exceeded'],
    ['a budget of zero', ['spend:0'], asOf(0.000001), 'budget-exceeded'],
  ] as const)('for a session with %s takes nothing and is recorded', async (_, scopes, options, code) => {
    proves('scoped-permissions')
    const { haldir, entries } = fleet().house()
    const session = await haldir.createSession({ agent: 'a', scopes })
    expect((await denial(haldir.payments.authorize(session, options))).code).toBe(code)
    expect(entries().at(-1)).toMatchObject({ type: 'refusal', tool: 'payments.authorize', code })
  })

  it.each([
    ['amount', { amount: 29.99 }],
    ['amount', { amount: usd(0) }],
    ['amount', { amount: undefined }],
    ['amount', { amount: { unit: 'USD', micros: '5' } }],
    ['amount', { amount: [usd(1)] }],
    ['description', { description: '' }],
    ['description', { description: 7 }],
    ['description', { description: 'x'.repeat(501) }],
    ['idempotencyKey', { idempotencyKey: '' }],
    ['idempotencyKey', { idempotencyKey: 7 }],
    ['idempotencyKey', { idempotencyKey: 'x'.repeat(256) }],
    ['expires', { expires: 'soon' }],
    ['expires', { expires: 0 }],
    ['idempotencykey', { idempotencykey: 'k' }],
  ])('for a bad `%s` is a `ConfigError`, and nothing is recorded', async (path, change) => {
    const { haldir, session, entries } = await shop()
    const before = entries().length
    expect((await misuse(() => haldir.payments.authorize(session, { ...book, ...change } as never))).path).toBe(path)
    expect((await misuse(() => haldir.payments.authorize({} as Session, book))).path).toBe('session')
    expect(entries().length).toBe(before)
  })

  it('no amount can be made that is negative or no number', async () => {
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY, '-1', '1e2', '']) {
      expect((await misuse(() => usd(value))).code).toBe('invalid-amount')
    }
  })

  it('nor a capture of more, of nothing or of another currency; the payment stays', async () => {
    const { haldir, session, stands } = await shop()
    const payment = await haldir.payments.authorize(session, asOf(10))
    for (const part of [usd(10.000001), usd(0), money('EUR', 1), 5, null, { unit: 'USD', micros: 5 }]) {
      expect((await misuse(() => payment.capture(part as never))).code).toBe('invalid-amount')
    }
    expect(await stands()).toBe('0 + 10 of 50')
    await payment.capture(usd(10))
    expect(await stands()).toBe('10 + 0 of 50')
  })

  it('not by a rule that misspells what a payment has: that is an error where the policy is put in force', async () => {
    const misspelt: Policy = {
      default: 'deny',
      rules: [{ id: 'big', tools: 'payments.authorize', when: { 'args.amout': { gt: 20 } }, then: 'deny' }],
    }
    const error = await misuse(() => fleet().house({ policy: misspelt }))
    expect([error.code, error.path]).toEqual(['invalid-policy', 'rules.0.when.args.amout.gt'])
    expect(error.message).toContain('did you mean `amount`?')
    const { haldir } = fleet().house()
    expect((await misuse(() => haldir.loadPolicy(misspelt))).message).toBe(error.message)
  })

  it('by a rule, a guard, or a rule that asks', async () => {
    const policy: Policy = {
      default: 'allow',
      allowByDefault: true,
      rules: [
        { id: 'big', tools: 'payments.authorize', when: { 'args.amount': { gt: 20 } }, then: 'deny' },
        { id: 'euros', tools: 'payments.*', when: { 'args.currency': 'EUR' }, then: 'ask' },
        { id: 'wine', tools: 'payments.authorize', when: { 'args.description': { contains: 'wine' } }, then: 'deny' },
      ],
    }
    const guards = [
      { name: 'no-cents', decide: async ({ args }: any) => (args.amount % 1 === 0 ? 'allow' : 'deny') as 'deny' },
    ]
    const { haldir, entries } = fleet().house({ policy, guards })
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50', 'spend:50:EUR'] })
    const child = await session.delegate({ agent: 'b', scopes: ['spend:50'] })
    for (const [who, options, code, rule] of [
      [session, asOf(21), 'policy-denied', 'big'],
      [child, asOf(21), 'policy-denied', 'big'],
      [session, { ...book, amount: money('EUR', 5) }, 'approval-unavailable', 'euros'],
      [session, asOf(5, { description: 'red wine' }), 'policy-denied', 'wine'],
      [session, asOf(5.5), 'policy-denied', 'guard:no-cents'],
    ] as const) {
      expect(await denial(haldir.payments.authorize(who, options))).toMatchObject({ code, rule })
    }
    expect(entries('intent')).toEqual([])
    await (await haldir.payments.authorize(session, asOf(20))).capture()
  })

  it('of another haldir, or of one that is closed', async () => {
    const { haldir, session } = await shop()
    const other = fleet().house()
    expect((await denial(other.haldir.payments.authorize(session, book))).code).toBe('no-session')
    const payment = await haldir.payments.authorize(session, book)
    await haldir.close()
    expect((await denial(haldir.payments.authorize(session, book))).code).toBe('unavailable')
    expect((await denial(payment.capture())).code).toBe('unavailable')
  })
})

it('a process that dies between authorize and capture leaves an intent that is visible, and a budget that comes back', async () => {
  proves('invariant-1', 'invariant-4')
  const sink = memorySink()
  const { clock, house } = fleet('sqlite')
  const dying = house({ sinks: [sink], clock: { ...clock, setTimeout: () => ({ cancel: () => {} }) } })
  const session = await dying.haldir.createSession({ agent: 'a', scopes: ['spend:50'] })
  const payment = await dying.haldir.payments.authorize(session, asOf(40))
  // Nothing of that process is heard again; another one begins, on the same store and trail.
  const next = house({ sinks: [{ ...sink, write: sink.write }] })
  const attached = await next.haldir.attach(session.token)
  expect((await next.haldir.trail.verify()).orphans).toMatchObject([{ call: payment.id, tool: 'payments.authorize' }])
  await clock.advance(11 * MINUTE)
  expect((await next.haldir.sweep()).released).toEqual([payment.id])
  expect((await next.haldir.trail.verify()).orphans).toEqual([])
  expect(await standing(attached)).toEqual(['budget:USD: 0 + 0 of 50'])
})

describe('a store that fails', () => {
  const dead = () => {
    throw new Error('down')
  }
  const ways = {
    'throws before': (_: () => unknown) => dead(),
    'throws after': (work: () => unknown) => {
      work()
      return dead()
    },
    'rejects after': async (work: () => unknown) => {
      work()
      return dead()
    },
    'hangs before': (_: () => unknown) => new Promise(() => {}),
    'hangs after': (work: () => unknown) => {
      work()
      return new Promise(() => {})
    },
    'answers nonsense': (_: () => unknown) => ({ ok: 'yes', state: 'fine' }),
  }
  type Way = keyof typeof ways
  const names = Object.keys(ways) as Way[]

  /** A shop whose store fails at one verb as long as it is told to. */
  async function failing(verb: 'reserve' | 'admit' | 'settle' | 'cancel', way: Way) {
    let down = false
    const { clock, house } = fleet()
    const own: House = house({}, (store: Store) => ({
      [verb]: (request: never) => (down ? ways[way](() => store[verb](request)) : store[verb](request)),
    }))
    const session = await own.haldir.createSession({ agent: 'a', scopes: ['spend:50'], ttl: '7d' })
    const stands = async () => (await standing(session))[0]?.slice(12)
    const patient = async <T>(work: Promise<T>) => {
      const answer = told(work)
      await clock.advance(5_000)
      return answer
    }
    const fail = (now: boolean) => {
      down = now
    }
    return { ...own, clock, session, stands, patient, fail }
  }

  it.each(names)('to reserve (%s) refuses, and holds nothing; the same key may be tried again', async (way) => {
    proves('invariant-6')
    const { haldir, session, stands, patient, fail, clock } = await failing('reserve', way)
    const keyed = asOf(40, { idempotencyKey: 'order-1' })
    fail(true)
    expect(await patient(haldir.payments.authorize(session, keyed))).toBe('unavailable')
    expect(await patient(haldir.payments.authorize(session, asOf(40)))).toBe('unavailable')
    fail(false)
    await clock.advance(MINUTE)
    expect(await stands()).toBe('0 + 0 of 50')
    const payment = await haldir.payments.authorize(session, keyed)
    expect(payment.status).toBe('authorized')
    expect(await stands()).toBe('0 + 40 of 50')
    await payment.capture()
    expect(await stands()).toBe('40 + 0 of 50')
  })

  it.each(names)('to admit (%s) refuses the capture, which may be tried again', async (way) => {
    proves('invariant-6')
    const { haldir, session, stands, patient, fail } = await failing('admit', way)
    const payment = await haldir.payments.authorize(session, asOf(40))
    fail(true)
    expect(await patient(payment.capture(usd(30)))).toBe('unavailable')
    fail(false)
    expect(payment.status).toBe('authorized')
    await payment.capture(usd(30))
    expect(await stands()).toBe('30 + 0 of 50')
  })

  it.each(names)('to settle (%s) does not undo the capture: it is counted, and settled later', async (way) => {
    proves('invariant-3')
    const { haldir, session, stands, patient, fail, clock } = await failing('settle', way)
    const payment = await haldir.payments.authorize(session, asOf(40))
    fail(true)
    expect(await patient(payment.capture(usd(30)))).toBeUndefined()
    expect(haldir.health().owed).toBeGreaterThan(0)
    expect(await told(payer(session)({ amount: 21 }))).toBe('budget-exceeded')
    // Until the store has taken it, nobody else may capture it.
    const found = await haldir.payments.find(session, payment.id)
    expect(await patient(found?.capture(usd(5)) as Promise<void>)).toBe('duplicate-call')
    fail(false)
    await clock.advance(2 * MINUTE)
    expect(haldir.health().owed).toBe(0)
    expect(await stands()).toBe('30 + 0 of 50')
  })

  it.each(names)('to cancel (%s) is told again until the void is done', async (way) => {
    const { haldir, session, stands, patient, fail, clock } = await failing('cancel', way)
    const payment = await haldir.payments.authorize(session, asOf(40))
    fail(true)
    expect(await patient(payment.void())).toBeUndefined()
    fail(false)
    await clock.advance(2 * MINUTE)
    expect(await stands()).toBe('0 + 0 of 50')
    expect(await told(payment.capture())).toBe('unavailable')
  })

  it('to answer what it knows of a payment is `unavailable`', async () => {
    const { house } = fleet()
    const { haldir } = house({}, () => ({ hold: { get: dead } }))
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50'] })
    await expect(haldir.payments.find(session, 'pay')).rejects.toMatchObject({ code: 'unavailable' })
    const keyed = asOf(1, { idempotencyKey: 'k' })
    expect(await told(haldir.payments.authorize(session, keyed))).toBe('unavailable')
    expect((await standing(session))[0]).toBe('budget:USD: 0 + 0 of 50')
  })
})

describe('a trail that does not accept', () => {
  it('any more entries leaves no outcome of a payment whose intent has no place in it', async () => {
    proves('invariant-1')
    let down = false
    const sink = memorySink()
    const write = (lines: string) => {
      if (down) throw new Error('disk full')
      return sink.write(lines)
    }
    const { haldir, session, stands } = await shop('memory', { sinks: [{ name: 'full', write }] })
    down = true
    for (let tries = 0; tries < 600; tries++) {
      expect(await told(haldir.payments.authorize(session, asOf(1)))).toBe('unavailable')
    }
    down = false
    await haldir.flush()
    expect(await stands()).toBe('0 + 0 of 50')
    const entries = entriesOf(sink.lines)
    const calls = (type: string) => entries.flatMap((entry) => (entry.type === type ? [entry.call] : [])).sort()
    expect(calls('intent').length).toBeGreaterThan(400)
    expect(calls('intent').length).toBeLessThan(600)
    expect(calls('outcome')).toEqual(calls('intent'))
  })

  it('the intent refuses the payment, and gives it back; the same key may be tried again', async () => {
    proves('invariant-1', 'invariant-6')
    let down = false
    const sink = memorySink()
    const write = (lines: string) => {
      if (down) throw new Error('disk full')
      return sink.write(lines)
    }
    const { haldir, session, stands } = await shop('memory', {
      sinks: [{ ...sink, write, read: () => sink.read?.() as never }],
    })
    const keyed = asOf(40, { idempotencyKey: 'order-1' })
    down = true
    const work = [keyed, keyed, asOf(1)].map((options) => told(haldir.payments.authorize(session, options)))
    expect(await Promise.all(work)).toEqual(['unavailable', 'unavailable', 'unavailable'])
    await turns()
    expect(await stands()).toBe('0 + 0 of 50')
    down = false
    const payment = await haldir.payments.authorize(session, keyed)
    await payment.capture()
    expect(await stands()).toBe('40 + 0 of 50')
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
  })
})
