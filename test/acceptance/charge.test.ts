/** Costs that are no tool call: they have been spent already, so they count, and whoever spends is told to stop. */
import { type Amount, amount, type MeterOptions, money, type Session, type Sink, usd } from '@haldir/core'
import { spendAhead } from '@haldir/core/adapter'
import { memorySink } from '@haldir/core/sinks/memory'
import { describe, expect, it } from 'vitest'
import { entriesOf, proves } from '../promises.ts'
import { denial, fleet, misuse, payer, reader, STORES, standing, told, turns } from './scene.ts'

describe.each(STORES)('a charge (%s)', (kind) => {
  it('counts on the session, on its ancestors and on standing meters, and is recorded', async () => {
    proves('invariant-9', 'every-call-logged')
    const meters: MeterOptions[] = [
      { unit: 'USD', per: 'tenant', limit: 100 },
      { unit: 'tokens', per: 'agent', limit: 5_000 },
      { unit: 'calls', per: 'tenant', limit: 3 },
    ]
    const { haldir, entries } = fleet(kind).house({ meters })
    const parent = await haldir.createSession({ agent: 'a', tenant: 'acme', scopes: ['spend:50'] })
    const child = await parent.delegate({ agent: 'b', scopes: ['spend:20'] })
    await child.charge([usd(0.02), amount('tokens', 900), usd('0.03')], 'tokens of a model')
    expect(await standing(child)).toEqual([
      'budget:USD: 0.05 + 0 of 20',
      'parent:budget:USD: 0.05 + 0 of 50',
      'budget:USD@tenant: 0.05 + 0 of 100',
      'quota:tokens@agent: 900 + 0 of 5000',
      'quota:tokens@agent: 900 + 0 of 5000',
      // It is no call.
      'quota:calls@tenant: 0 + 0 of 3',
    ])
    expect(entries().at(-1)).toMatchObject({
      type: 'outcome',
      tool: 'session.charge',
      agent: 'b',
      session: child.id,
      chain: [parent.id],
      spent: [
        { unit: 'USD', amount: '0.05' },
        { unit: 'tokens', amount: '900' },
      ],
      data: { ended: 'ok', why: 'tokens of a model' },
    })
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
  })

  it('that goes beyond a limit counts, says so, and blocks what comes after it', async () => {
    proves('invariant-3')
    const { haldir, entries } = fleet(kind).house()
    const parent = await haldir.createSession({ agent: 'a', scopes: ['spend:10'] })
    const child = await parent.delegate({ agent: 'b', scopes: ['spend:10'] })
    await parent.charge(usd(6), 'tokens')
    const error = await denial(child.charge(usd(5), 'tokens'))
    expect([error.code, error.callId]).toEqual(['budget-exceeded', entries().at(-1)?.call])
    expect(entries().at(-1)).toMatchObject({ spent: [{ unit: 'USD', amount: '5' }], data: { overrun: true } })
    expect(await standing(child)).toEqual(['budget:USD: 5 + 0 of 10', 'parent:budget:USD: 11 + 0 of 10'])
    for (const session of [parent, child]) {
      expect(await told(payer(session)({ amount: 0.01 }))).toBe('budget-exceeded')
      expect(await told(session.charge(usd(0.01), 'tokens'))).toBe('budget-exceeded')
    }
    expect((await parent.budget())[0]?.left.micros).toBe(0n)
  })

  it('exactly up to the limit is fine, and counts what running calls have set aside', async () => {
    const { haldir } = fleet(kind).house()
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:10'] })
    const authorization = await haldir.payments.authorize(session, { amount: usd(4), description: 'a book' })
    await session.charge(usd(6), 'tokens')
    expect(await told(session.charge(usd(0.000001), 'tokens'))).toBe('budget-exceeded')
    await authorization.void()
    await session.charge(usd(3.999999), 'tokens')
    expect(await standing(session)).toEqual(['budget:USD: 10 + 0 of 10'])
  })

  it('in a currency without a budget is recorded, counted where it can be, and refused; in other units it is recorded', async () => {
    const { haldir, entries } = fleet(kind).house()
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:10'] })
    expect(await told(session.charge([money('EUR', 1), usd(2)], 'tokens'))).toBe('budget-exceeded')
    expect(entries().at(-1)?.data).toMatchObject({ overrun: true })
    expect(await standing(session)).toEqual(['budget:USD: 2 + 0 of 10'])
    await session.charge(amount('tokens', 1_000_000), 'tokens')
    expect(entries().at(-1)).toMatchObject({ spent: [{ unit: 'tokens', amount: '1000000' }] })
    const free = await haldir.createSession({ agent: 'a', scopes: ['spend:*'] })
    await free.charge([money('EUR', 1), usd(2)], 'tokens')
    await session.charge(usd(0), 'nothing')
    expect(await standing(session)).toEqual(['budget:USD: 2 + 0 of 10'])
  })

  it('after the end of the session counts on those that still live, and is refused', async () => {
    proves('invariant-5')
    const { clock, house } = fleet(kind)
    const { haldir, entries } = house()
    const parent = await haldir.createSession({ agent: 'a', scopes: ['spend:10'], ttl: '1h' })
    const revoked = await parent.delegate({ agent: 'b', scopes: ['spend:10'] })
    const expired = await parent.delegate({ agent: 'c', scopes: ['spend:10'], ttl: '1m' })
    await revoked.revoke()
    await clock.advance(60_000)
    expect(await told(revoked.charge(usd(1), 'tokens'))).toBe('session-revoked')
    expect(await told(expired.charge(usd(2), 'tokens'))).toBe('session-expired')
    expect(await standing(parent)).toEqual(['budget:USD: 3 + 0 of 10'])
    expect(entries('outcome').map(({ agent, spent }) => [agent, spent?.[0]?.amount])).toEqual([
      ['b', '1'],
      ['c', '2'],
    ])
  })

  it('of many at once is exact, in whatever process', async () => {
    proves('invariant-3')
    const { house } = fleet(kind)
    const [here, there] = [house(), house()]
    const session = await here.haldir.createSession({ agent: 'a', scopes: ['spend:1'] })
    const attached = await there.haldir.attach(session.token)
    const work = Array.from({ length: 150 }, (_, index) =>
      told((index % 2 ? session : attached).charge(usd(0.01), 'x')),
    )
    const answers = await Promise.all(work)
    expect(answers.filter((answer) => answer === undefined)).toHaveLength(100)
    expect(answers.filter((answer) => answer === 'budget-exceeded')).toHaveLength(50)
    expect(await standing(session)).toEqual(['budget:USD: 1.5 + 0 of 1'])
  })

  it('fills a rate beyond its burst, so that calls wait for it', async () => {
    const { clock, house } = fleet(kind)
    const { haldir } = house({ meters: [{ unit: 'tokens', per: 'tenant', limit: 60, every: '1m' }] })
    const session = await haldir.createSession({ agent: 'a', scopes: [], ttl: '1d' })
    expect(await told(session.charge(amount('tokens', 90), 'x'))).toBe('budget-exceeded')
    const call = reader(session, { cost: amount('tokens', 1) })
    expect(await denial(call())).toMatchObject({ code: 'rate-exceeded', retryAfter: 31 })
    await clock.advance(31_000)
    expect(await told(call())).toBe('ran')
  })
})

describe('when a part is broken', () => {
  const dead = () => {
    throw new Error('down')
  }

  it.each([
    ['throws', dead],
    ['rejects', async () => dead()],
    ['answers nonsense', () => ({ state: 'fine' }) as never],
    ['hangs', () => new Promise<never>(() => {})],
  ])('a store that %s is told again until it has counted, and the charge is refused', async (_, broken) => {
    proves('invariant-6')
    let down = true
    const { clock, house } = fleet()
    const { haldir, entries } = house({}, (store) => ({
      settle: (request) => (down ? broken() : store.settle(request)),
    }))
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:10'], ttl: '1d' })
    const charged = told(session.charge(usd(3), 'tokens'))
    await clock.advance(5_000)
    expect(await charged).toBe('unavailable')
    expect(entries().at(-1)).toMatchObject({ spent: [{ unit: 'USD', amount: '3' }], data: { settled: false } })
    expect(haldir.health()).toMatchObject({ ok: false, owed: 1 })
    down = false
    await clock.advance(120_000)
    expect(haldir.health()).toMatchObject({ ok: true, owed: 0 })
    expect(await standing(session)).toEqual(['budget:USD: 3 + 0 of 10'])
    await haldir.flush()
    expect(await standing(session)).toEqual(['budget:USD: 3 + 0 of 10'])
  })

  it('a store that took it before its answer was lost does not count it twice', async () => {
    let lost = true
    const { clock, house } = fleet()
    const { haldir } = house({}, (store) => ({
      settle: (request) => {
        const answer = store.settle(request)
        if (lost) throw new Error('connection lost')
        return answer
      },
    }))
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:10'], ttl: '1d' })
    expect(await told(session.charge(usd(3), 'tokens'))).toBe('unavailable')
    lost = false
    await clock.advance(60_000)
    expect(await standing(session)).toEqual(['budget:USD: 3 + 0 of 10'])
  })

  it('a trail that does not accept it refuses, and it is counted all the same', async () => {
    proves('invariant-6')
    let down = false
    const sink = memorySink()
    const write = (lines: string) => (down ? dead() : sink.write(lines))
    const { haldir } = fleet().house({ sinks: [{ ...sink, write }] })
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:10'] })
    down = true
    expect(await told(session.charge(usd(3), 'tokens'))).toBe('unavailable')
    down = false
    expect(await standing(session)).toEqual(['budget:USD: 3 + 0 of 10'])
    await haldir.flush()
    expect(sink.lines.join('\n')).toContain('session.charge')
  })

  it('a haldir that is closed refuses', async () => {
    const { haldir } = fleet().house()
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:10'] })
    await haldir.close()
    expect(await told(session.charge(usd(1), 'tokens'))).toBe('unavailable')
  })
})

it.each([
  ['invalid-amount', 5, 'tokens'],
  ['invalid-amount', undefined, 'tokens'],
  ['invalid-amount', [], 'tokens'],
  ['invalid-amount', [usd(1), 5], 'tokens'],
  ['invalid-amount', { unit: 'USD', micros: 5 }, 'tokens'],
  ['invalid-option', usd(1), ''],
  ['invalid-option', usd(1), undefined],
  ['invalid-option', usd(1), { why: 'tokens' }],
])('is a `ConfigError` (%s) for %j because of %j, and counts nothing', async (code, given, why) => {
  const { haldir, entries } = fleet().house()
  const session: Session = await haldir.createSession({ agent: 'a', scopes: ['spend:10'] })
  const before = entries().length
  expect((await misuse(() => session.charge(given as Amount, why as string))).code).toBe(code)
  await turns()
  expect(entries().length).toBe(before)
  expect(await standing(session)).toEqual(['budget:USD: 0 + 0 of 10'])
})

it('is not set aside for a session that ends while its intent is written', async () => {
  proves('invariant-5')
  const trail = memorySink()
  let session: Session | undefined
  const ends: Sink = {
    ...trail,
    write: (lines) => {
      trail.write(lines)
      if (lines.includes('"type":"intent"')) void session?.revoke()
    },
  }
  const { haldir } = fleet().house({ sinks: [ends] })
  session = await haldir.createSession({ agent: 'a', scopes: ['spend:50'] })
  expect(await spendAhead(session, 'model', [usd(1)])).toMatchObject({ code: 'session-revoked' })
  await turns()
  expect(await standing(session)).toEqual(['budget:USD: 0 + 0 of 50'])
  expect(entriesOf(trail.lines).findLast(({ type }) => type === 'outcome')?.data).toMatchObject({ ended: 'not-run' })
})

it('does not repeat a secret of the session in why, nor at any length', async () => {
  proves('invariant-7')
  const key = { id: 'k', wrap: (data: Uint8Array) => data.slice(), unwrap: (data: Uint8Array) => data.slice() }
  const { haldir, lines } = fleet().house({ vault: { keys: [key] } })
  await haldir.vault.put('api_key', 'the-secret-of-acme', { scope: 'read' })
  const session = await haldir.createSession({ agent: 'a', scopes: ['read', 'spend:*'] })
  expect(await told(reader(session, { secrets: ['api_key'] })())).toBe('ran')
  await session.charge(usd(1), `tokens for the-secret-of-acme ${'x'.repeat(5_000)}`)
  expect(lines.join('\n')).not.toContain('the-secret-of-acme')
  expect(lines.at(-1)?.length).toBeLessThan(1_500)
})
