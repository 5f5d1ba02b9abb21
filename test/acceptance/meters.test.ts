/** Meters: standing quotas, budgets, rates and caps, beside those of sessions; and all of them against a naive model. */
import {
  type Amount,
  amount,
  createHaldir,
  currentCall,
  governed,
  type MeterOptions,
  money,
  type Session,
  usd,
} from '@haldir/core'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { denial, fleet, misuse, payer, reader, STORES, standing, told, turns } from './scene.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const calls = (limit: number, rest: Partial<MeterOptions> = {}): MeterOptions => ({
  unit: 'calls',
  per: 'tenant',
  limit,
  ...rest,
})
const ttl = '366d'

/** Calls until one is refused, and answers how many ran and why no more did. */
async function exhaust(call: () => Promise<unknown>, most = 2_000): Promise<string> {
  for (let ran = 0; ran < most; ran++) {
    const answer = await told(call())
    if (answer !== 'ran') return `${ran}, then ${answer}`
  }
  return `${most}`
}

describe.each(STORES)('what a failed call gives back (%s)', (kind) => {
  it('is nothing once it was counted: its lease was over, and another process has swept', async () => {
    proves('invariant-4')
    const { house, clock } = fleet(kind)
    const { haldir, entries } = house({ holdFor: '1m' }, () => ({
      renew: () => {
        throw new Error('lost')
      },
    }))
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50'] })
    const fails = async () => {
      await clock.advance(2 * MINUTE)
      await house().haldir.sweep()
      throw new Error('failed')
    }
    const options = { name: 'pay', scope: 'spend', cost: usd(2), onFailure: 'release' } as const
    await expect(governed(fails, options, { session })()).rejects.toThrow('failed')
    expect(await standing(session)).toEqual(['budget:USD: 2 + 0 of 50'])
    // The trail says what the meters say.
    expect(entries('outcome').at(-1)?.spent).toEqual([{ unit: 'USD', amount: '2' }])
  })

  it('stays held, and the trail says so, until the store takes it back', async () => {
    const { house, clock } = fleet(kind)
    let broken = true
    const { haldir, entries } = house({}, ({ cancel }) => ({
      cancel: (call) => {
        if (broken) throw new Error('lost')
        return cancel(call)
      },
    }))
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50'] })
    const options = { name: 'pay', scope: 'spend', cost: usd(2), onFailure: 'release' } as const
    const fails = async () => Promise.reject(new Error('failed'))
    await expect(governed(fails, options, { session })()).rejects.toThrow('failed')
    expect(await standing(session)).toEqual(['budget:USD: 0 + 2 of 50'])
    expect(entries('outcome').at(-1)?.data).toMatchObject({ ended: 'failed', settled: false })
    broken = false
    await clock.advance(MINUTE)
    expect(await standing(session)).toEqual(['budget:USD: 0 + 0 of 50'])
  })
})

describe.each(STORES)('a quota (%s)', (kind) => {
  it('of 1,000 calls a month for a tenant is shared by its sessions, agents and tools, and begins anew', async () => {
    proves('invariant-3')
    const { clock, house } = fleet(kind)
    const { haldir, entries } = house({ meters: [calls(1_000, { window: 'month' })] })
    const [one, two] = [
      await haldir.createSession({ agent: 'a', tenant: 'acme', scopes: [], ttl }),
      await haldir.createSession({ agent: 'b', tenant: 'acme', scopes: [], ttl }),
    ]
    const other = await haldir.createSession({ agent: 'a', tenant: 'other', scopes: [], ttl })
    expect(await exhaust(reader(one), 600)).toBe('600')
    expect(await exhaust(reader(two, {}, 'write'))).toBe('400, then quota-exceeded')
    const error = await denial(reader(one)())
    expect(error).toMatchObject({ rule: 'quota:calls/month@tenant', retryable: false })
    expect(error.message).toContain('`calls`')
    expect(entries('refusal').at(-1)).toMatchObject({ code: 'quota-exceeded', rule: 'quota:calls/month@tenant' })
    expect(await told(reader(other)())).toBe('ran')
    expect(await standing(one)).toEqual(['quota:calls/month@tenant: 1000 + 0 of 1000'])
    await clock.advance(31 * 24 * HOUR - 1)
    expect(await told(reader(one)())).toBe('quota-exceeded')
    await clock.advance(1)
    expect(await exhaust(reader(two))).toBe('1000, then quota-exceeded')
  })

  it.each([
    ['session', ['2, then quota-exceeded', '2, then quota-exceeded', '2, then quota-exceeded']],
    ['agent', ['2, then quota-exceeded', '0, then quota-exceeded', '2, then quota-exceeded']],
    ['tenant', ['2, then quota-exceeded', '0, then quota-exceeded', '0, then quota-exceeded']],
    ['tool', ['2, then quota-exceeded', '0, then quota-exceeded', '0, then quota-exceeded']],
  ] as const)('per %s counts each apart', async (per, expected) => {
    const { haldir } = fleet(kind).house({ meters: [calls(2, { per })] })
    const found: string[] = []
    for (const agent of ['a', 'a', 'b']) {
      const session = await haldir.createSession({ agent, scopes: [] })
      found.push(await exhaust(reader(session)))
      if (per === 'tool') expect(await told(reader(session, {}, `of ${agent}`.replace(' ', '-'))())).toBe('ran')
    }
    expect(found).toEqual(expected)
  })

  it('is charged for the child by everyone in its chain, once for each', async () => {
    proves('invariant-9')
    const meters = [calls(3, { per: 'session' }), calls(5, { per: 'tenant' })]
    const { haldir } = fleet(kind).house({ meters })
    const parent = await haldir.createSession({ agent: 'a', scopes: [] })
    const child = await parent.delegate({ agent: 'b', scopes: [] })
    const sibling = await parent.delegate({ agent: 'c', scopes: [] })
    expect(await exhaust(reader(child), 2)).toBe('2')
    expect(await standing(child)).toEqual([
      'quota:calls@session: 2 + 0 of 3',
      'quota:calls@session: 2 + 0 of 3',
      'quota:calls@tenant: 2 + 0 of 5',
    ])
    expect(await exhaust(reader(sibling))).toBe('1, then quota-exceeded')
    expect(await told(reader(parent)())).toBe('quota-exceeded')
  })

  it('counts only what its filters name', async () => {
    const meters = [calls(1, { tools: ['mail.*', 'pay'], agents: 'bot-*', tenants: '*corp' })]
    const { haldir } = fleet(kind).house({ meters })
    const open = (agent: string, tenant: string) => haldir.createSession({ agent, tenant, scopes: [] })
    const limited = await open('bot-1', 'big-corp')
    expect(await told(reader(limited, {}, 'mail.send')())).toBe('ran')
    expect(await told(reader(limited, {}, 'pay')())).toBe('quota-exceeded')
    expect(await exhaust(reader(limited, {}, 'payer'), 3)).toBe('3')
    for (const free of [await open('human', 'big-corp'), await open('bot-1', 'acme')]) {
      expect(await exhaust(reader(free, {}, 'mail.send'), 3)).toBe('3')
    }
  })

  it('of zero lets nothing through, and what did not run is given back', async () => {
    const none = fleet(kind).house({ meters: [calls(0)] })
    const shut = await none.haldir.createSession({ agent: 'a', scopes: [] })
    expect(await told(reader(shut)())).toBe('quota-exceeded')
    const one = fleet(kind).house({ meters: [calls(1)] })
    const session = await one.haldir.createSession({ agent: 'a', scopes: [] })
    expect(await told(reader(session, { secrets: ['no_such_secret'] }, 'secretive')())).toBe('secret-unavailable')
    expect(await told(reader(session)())).toBe('ran')
    expect(await told(reader(session)())).toBe('quota-exceeded')
  })

  it('is shared by every haldir on the store, and a changed limit counts from the restart on', async () => {
    const { house } = fleet(kind)
    const [here, there] = [house({ meters: [calls(5)] }), house({ meters: [calls(5)] })]
    const session = await here.haldir.createSession({ agent: 'a', scopes: [] })
    const attached = await there.haldir.attach(session.token)
    expect(await exhaust(reader(session), 3)).toBe('3')
    expect(await exhaust(reader(attached))).toBe('2, then quota-exceeded')
    const raised = house({ meters: [calls(7)] })
    expect(await exhaust(reader(await raised.haldir.attach(session.token)))).toBe('2, then quota-exceeded')
    const lowered = house({ meters: [calls(1)] })
    const after = await lowered.haldir.attach(session.token)
    expect(await told(reader(after)())).toBe('quota-exceeded')
    expect(await standing(after)).toEqual(['quota:calls@tenant: 7 + 0 of 1'])
    expect((await after.budget())[0]?.left.micros).toBe(0n)
  })

  it('counts as many calls as a cost in calls says', async () => {
    const { haldir } = fleet(kind).house({ meters: [calls(10)] })
    const session = await haldir.createSession({ agent: 'a', scopes: [] })
    const batch = reader(session, { cost: ({ size }: { size: number }) => amount('calls', size) }, 'batch')
    expect(await told(batch({ size: 8 }))).toBe('ran')
    expect(await told(batch({ size: 3 }))).toBe('quota-exceeded')
    expect(await told(batch({ size: 0 }))).toBe('ran')
    expect(await standing(session)).toEqual(['quota:calls@tenant: 9 + 0 of 10'])
  })
})

describe.each(STORES)('a window (%s)', (kind) => {
  it.each([
    // When March begins in Berlin it is still February in London.
    ['month', 'Europe/Berlin', '2026-02-28T22:59:59.999Z', '2026-02-28T23:00:00Z'],
    ['month', 'America/New_York', '2026-03-01T04:59:59.999Z', '2026-03-01T05:00:00Z'],
    ['month', undefined, '2024-02-29T23:59:59.999Z', '2024-03-01T00:00:00Z'],
    ['month', 'Pacific/Kiritimati', '2026-12-31T09:59:59.999Z', '2026-12-31T10:00:00Z'],
    // The day on which the clocks go forward has 23 hours, the one on which they go back 25.
    ['day', 'Europe/Berlin', '2026-03-29T21:59:59.999Z', '2026-03-29T22:00:00Z'],
    ['day', 'Europe/Berlin', '2026-10-25T22:59:59.999Z', '2026-10-25T23:00:00Z'],
    ['day', 'Asia/Kathmandu', '2026-05-05T18:14:59.999Z', '2026-05-05T18:15:00Z'],
    ['day', undefined, '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00Z'],
    // Half past two comes twice; each has an hour of its own.
    ['hour', 'Europe/Berlin', '2026-10-25T00:59:59.999Z', '2026-10-25T01:00:00Z'],
    ['week', 'Europe/Berlin', '2026-11-22T22:59:59.999Z', '2026-11-22T23:00:00Z'],
    ['week', undefined, '2027-01-03T23:59:59.999Z', '2027-01-04T00:00:00Z'],
  ] as const)('of a %s in %s ends with %s', async (window, zone, last, next) => {
    const clock = fakeClock(Date.parse(last) - 30 * MINUTE)
    const meters = [calls(2, { window, ...(zone && { zone }) })]
    const { haldir } = fleet(kind, clock).house({ meters })
    const session = await haldir.createSession({ agent: 'a', scopes: [], ttl })
    expect(await exhaust(reader(session))).toBe('2, then quota-exceeded')
    await clock.advance(Date.parse(last) - clock.now())
    expect(await told(reader(session)())).toBe('quota-exceeded')
    await clock.advance(1)
    expect(clock.now()).toBe(Date.parse(next))
    expect(await exhaust(reader(session))).toBe('2, then quota-exceeded')
  })

  it.each([
    ['2026-03-28T23:00:00Z', 23],
    ['2026-10-24T22:00:00Z', 25],
    ['2026-10-25T23:00:00Z', 24],
  ])('of a day in Berlin that begins at %s is %d hours long', async (begin, hours) => {
    const clock = fakeClock(Date.parse(begin))
    const { haldir } = fleet(kind, clock).house({ meters: [calls(1, { window: 'day', zone: 'Europe/Berlin' })] })
    const session = await haldir.createSession({ agent: 'a', scopes: [], ttl })
    const ran: number[] = []
    for (let hour = 0; hour <= 25; hour++) {
      if ((await told(reader(session)())) === 'ran') ran.push(hour)
      await clock.advance(HOUR)
    }
    expect(ran).toEqual([0, hours])
  })

  it('that a wall clock is set back into does not begin again', async () => {
    proves('invariant-10')
    const { clock, house } = fleet(kind)
    const { haldir } = house({ meters: [calls(1, { window: 'day' })] })
    const session = await haldir.createSession({ agent: 'a', scopes: [], ttl })
    expect(await exhaust(reader(session))).toBe('1, then quota-exceeded')
    await clock.advance(24 * HOUR)
    expect(await exhaust(reader(session))).toBe('1, then quota-exceeded')
    clock.setWall(clock.now() - 240 * HOUR)
    expect(await told(reader(session)())).toBe('quota-exceeded')
    await clock.advance(HOUR)
    expect(await told(reader(session)())).toBe('quota-exceeded')
  })

  it('in which a call was admitted is the one that it counts in', async () => {
    const clock = fakeClock(Date.UTC(2026, 0, 31, 23, 59))
    const meters: MeterOptions[] = [{ unit: 'USD', per: 'tenant', limit: 10, window: 'month' }]
    const { haldir } = fleet(kind, clock).house({ meters, holdFor: '1d' })
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:*'], ttl })
    let finish = () => {}
    const slow = governed(
      () =>
        new Promise<void>((resolve) => {
          finish = resolve
        }),
      { name: 'slow', scope: 'spend', cost: usd(10), actual: () => usd(7) },
      { session },
    )()
    await turns()
    expect(await standing(session)).toEqual(['budget:USD/month@tenant: 0 + 10 of 10'])
    await clock.advance(2 * MINUTE)
    expect(await standing(session)).toEqual(['budget:USD/month@tenant: 0 + 0 of 10'])
    expect(await told(payer(session)({ amount: 10 }))).toBe('ran')
    finish()
    await slow
    expect(await standing(session)).toEqual(['budget:USD/month@tenant: 10 + 0 of 10'])
  })
})

describe.each(STORES)('a rate (%s)', (kind) => {
  it('lets its burst through at once, then one in each of its intervals, and says when', async () => {
    const { clock, house } = fleet(kind)
    const { haldir, entries } = house({ meters: [calls(6, { every: '1m', burst: 3 })] })
    const session = await haldir.createSession({ agent: 'a', scopes: [], ttl })
    expect(await exhaust(reader(session))).toBe('3, then rate-exceeded')
    const error = await denial(reader(session)())
    expect(error).toMatchObject({ rule: 'rate:calls@tenant', retryable: true, retryAfter: 10 })
    expect(error.message).toContain('again after 10 s')
    expect(entries('refusal').at(-1)).toMatchObject({ code: 'rate-exceeded', rule: 'rate:calls@tenant' })
    await clock.advance(9_999)
    expect(await denial(reader(session)())).toMatchObject({ retryAfter: 1 })
    await clock.advance(1)
    expect(await exhaust(reader(session))).toBe('1, then rate-exceeded')
    // Steadily, for ever.
    for (let interval = 0; interval < 20; interval++) {
      await clock.advance(10 * SECOND)
      expect(await exhaust(reader(session))).toBe('1, then rate-exceeded')
    }
    await clock.advance(HOUR)
    expect(await exhaust(reader(session))).toBe('3, then rate-exceeded')
  })

  it('has no boundary at which twice as much gets through', async () => {
    const { clock, house } = fleet(kind, fakeClock(Date.UTC(2026, 0, 1, 0, 0, 59)))
    const { haldir } = house({ meters: [calls(10, { every: '1m' })] })
    const session = await haldir.createSession({ agent: 'a', scopes: [], ttl })
    expect(await exhaust(reader(session))).toBe('10, then rate-exceeded')
    await clock.advance(2 * SECOND)
    expect(await exhaust(reader(session))).toBe('0, then rate-exceeded')
  })

  it('refills nothing when the clock is set back, nor for another process', async () => {
    proves('invariant-10')
    const { clock, house } = fleet(kind)
    const options = { meters: [calls(1, { every: '1h' })] }
    const [here, there] = [house(options), house(options)]
    const session = await here.haldir.createSession({ agent: 'a', scopes: [], ttl })
    expect(await told(reader(session)())).toBe('ran')
    clock.setWall(clock.now() - 48 * HOUR)
    const attached = await there.haldir.attach(session.token)
    for (const one of [session, attached]) expect(await told(reader(one)())).toBe('rate-exceeded')
    await clock.advance(HOUR - 1)
    for (const one of [session, attached]) expect(await told(reader(one)())).toBe('rate-exceeded')
    await clock.advance(1)
    expect(await told(reader(attached)())).toBe('ran')
    expect(await told(reader(session)())).toBe('rate-exceeded')
  })

  it('of money lets a cost through that fits its burst, and says nothing of when for one that never will', async () => {
    const { clock, house } = fleet(kind)
    const { haldir } = house({ meters: [{ unit: 'USD', per: 'agent', limit: 60, every: '1m', burst: 10 }] })
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:1000'] })
    expect(await told(payer(session)({ amount: 10 }))).toBe('ran')
    expect(await denial(payer(session)({ amount: 5 }))).toMatchObject({ code: 'rate-exceeded', retryAfter: 5 })
    const never = await denial(payer(session)({ amount: 10.01 }))
    expect([never.code, never.retryAfter]).toEqual(['rate-exceeded', undefined])
    await clock.advance(5 * SECOND)
    expect(await told(payer(session)({ amount: 5 }))).toBe('ran')
    // What did not run is not given back to a rate, but to the budget.
    expect(await standing(session)).toEqual(['budget:USD: 15 + 0 of 1000'])
  })
})

describe.each(STORES)('several meters in one call (%s)', (kind) => {
  const meters: MeterOptions[] = [
    { unit: 'USD', per: 'tenant', limit: 20, window: 'day' },
    { unit: 'EUR', per: 'agent', limit: 20 },
    { unit: 'tokens', per: 'session', limit: 1_000 },
    calls(5),
    calls(60, { every: '1m', burst: 4, name: 'pace' }),
  ]
  type Costs = { usd?: number; eur?: number; tokens?: number }
  const cost = ({ usd: dollars, eur, tokens }: Costs): Amount[] => [
    usd(dollars ?? 0),
    money('EUR', eur ?? 0),
    amount('tokens', tokens ?? 0),
  ]

  it('are charged together, or none of them is', async () => {
    proves('invariant-3')
    const { clock, house } = fleet(kind)
    const { haldir, entries } = house({ meters })
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50', 'spend:10:EUR'] })
    const call = reader(session, { scope: 'spend', cost }, 'mixed') as (costs: Costs) => Promise<unknown>
    const lines = async () =>
      (await standing(session)).map((line) => /: (\S+) \+ (\S+) of/.exec(line)?.slice(1).join('+'))
    expect(await told(call({ usd: 10, eur: 5, tokens: 600 }))).toBe('ran')
    const stood = ['10+0', '5+0', '10+0', '5+0', '600+0', '1+0']
    expect(await lines()).toEqual(stood)
    for (const [costs, code, rule] of [
      [{ usd: 11 }, 'budget-exceeded', 'budget:USD/day@tenant'],
      [{ usd: 1, eur: 6 }, 'budget-exceeded', 'budget:EUR'],
      [{ usd: 1, eur: 1, tokens: 401 }, 'quota-exceeded', 'quota:tokens@session'],
      [{ usd: 41, eur: 6, tokens: 401 }, 'budget-exceeded', 'budget:USD'],
    ] as const) {
      expect(await denial(call(costs))).toMatchObject({ code, rule })
      expect(await lines()).toEqual(stood)
    }
    expect(entries('refusal').at(-1)?.data.cost).toEqual([
      { unit: 'USD', amount: '41' },
      { unit: 'EUR', amount: '6' },
      { unit: 'tokens', amount: '401' },
    ])
    // None of the four has filled the rate: three of its four are left.
    expect(await exhaust(() => call({}), 3)).toBe('3')
    expect(await denial(call({}))).toMatchObject({ code: 'rate-exceeded', rule: 'pace', retryAfter: 1 })
    await clock.advance(SECOND)
    expect(await told(call({}))).toBe('ran')
    await clock.advance(MINUTE)
    expect(await denial(call({}))).toMatchObject({ code: 'quota-exceeded' })
  })

  it('a rate that is used up burns nothing on the budgets', async () => {
    const { haldir } = fleet(kind).house({ meters: [calls(1, { every: '1h' }), calls(9)] })
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50'] })
    expect(await exhaust(() => payer(session)({ amount: 5 }))).toBe('1, then rate-exceeded')
    expect(await standing(session)).toEqual(['budget:USD: 5 + 0 of 50', 'quota:calls@tenant: 1 + 0 of 9'])
  })

  it('of parallel calls never let more through than the tightest', async () => {
    proves('invariant-3')
    const { house } = fleet(kind)
    const options = { meters: [calls(30), { unit: 'USD', per: 'tenant', limit: 100 } as const] }
    const [here, there] = [house(options), house(options)]
    const session = await here.haldir.createSession({ agent: 'a', scopes: ['spend:57'] })
    const attached = await there.haldir.attach(session.token)
    const work = Array.from({ length: 60 }, (_, index) => told(payer(index % 2 ? session : attached)({ amount: 2 })))
    const ran = (await Promise.all(work)).filter((answer) => answer === 'ran')
    expect(ran).toHaveLength(28)
    expect(await standing(session)).toEqual([
      'budget:USD: 56 + 0 of 57',
      'quota:calls@tenant: 28 + 0 of 30',
      'budget:USD@tenant: 56 + 0 of 100',
    ])
  })
})

describe('a unit that nothing counts', () => {
  it('refuses a cost in it, but for `spend:*`', async () => {
    const { haldir } = fleet().house()
    const limited = await haldir.createSession({ agent: 'a', scopes: ['spend:5'] })
    const free = await haldir.createSession({ agent: 'a', scopes: ['spend:*'] })
    const options = { scope: [], cost: amount('tokens', 5) }
    const error = await denial(reader(limited, options)())
    expect([error.code, error.message]).toEqual(['budget-exceeded', expect.stringContaining('`tokens`')])
    expect(await told(reader(limited, { cost: amount('tokens', 0) }, 'nothing')())).toBe('ran')
    expect(await told(reader(free, options)())).toBe('ran')
  })

  it('a standing meter counts it for everyone that the meter is about, and for nobody else', async () => {
    proves('invariant-9')
    const meters: MeterOptions[] = [{ unit: 'tokens', per: 'tenant', limit: 10, agents: 'worker', tools: 'think' }]
    const { haldir } = fleet().house({ meters })
    const boss = await haldir.createSession({ agent: 'boss', scopes: [] })
    const worker = await haldir.createSession({ agent: 'worker', scopes: [] })
    const think = { cost: amount('tokens', 5) }
    expect(await exhaust(reader(worker, think, 'think'))).toBe('2, then quota-exceeded')
    expect(await told(reader(worker, think, 'dream')())).toBe('budget-exceeded')
    expect(await told(reader(boss, think, 'think')())).toBe('budget-exceeded')
    // Nor does it open to the boss's child what the boss may not.
    const child = await boss.delegate({ agent: 'worker', scopes: [] })
    expect(await told(reader(child, think, 'think')())).toBe('budget-exceeded')
  })

  it('a standing budget per session holds beside the one of its scopes', async () => {
    const { haldir } = fleet().house({ meters: [{ unit: 'USD', per: 'session', limit: 5 }] })
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50'] })
    expect(await told(payer(session)({ amount: 6 }))).toBe('budget-exceeded')
    expect(await told(payer(session)({ amount: 5 }))).toBe('ran')
    expect(await standing(session)).toEqual(['budget:USD: 5 + 0 of 50', 'budget:USD@session: 5 + 0 of 5'])
  })
})

describe.each(STORES)('a cap (%s)', (kind) => {
  it('on agents lets only so many different ones live in a tenant, in every process', async () => {
    const { clock, house } = fleet(kind)
    const options = { meters: [{ unit: 'agents', per: 'tenant', limit: 2 }] as const }
    const [here, there] = [house(options), house(options)]
    const open = ({ haldir }: typeof here, agent: string, tenant = 'acme') =>
      haldir.createSession({ agent, tenant, scopes: [], ttl: '1h' })
    const first = await open(here, 'a')
    await open(here, 'a')
    const second = await open(there, 'b')
    const error = await denial(open(there, 'c'))
    expect(error).toMatchObject({ code: 'quota-exceeded', rule: 'quota:agents@tenant', retryable: false })
    expect(there.entries('refusal')).toMatchObject([
      { code: 'quota-exceeded', rule: 'quota:agents@tenant', agent: 'c', tenant: 'acme', session: null },
    ])
    expect((await open(here, 'c', 'other')).agent).toBe('c')
    expect((await open(here, 'b')).agent).toBe('b')
    expect((await denial(first.delegate({ agent: 'c', scopes: [] }))).code).toBe('quota-exceeded')
    expect((await first.delegate({ agent: 'b', scopes: [] })).agent).toBe('b')
    // Revoking every session of an agent frees its place; so does the end of them.
    await second.revoke()
    expect((await denial(open(here, 'c'))).code).toBe('quota-exceeded')
    await clock.advance(HOUR)
    expect((await open(there, 'c')).agent).toBe('c')
    expect((await open(there, 'd')).agent).toBe('d')
    expect((await denial(open(here, 'e'))).code).toBe('quota-exceeded')
  })

  it('on sessions is freed by a revoke, with the whole tree, and by expiry', async () => {
    const { clock, house } = fleet(kind)
    const meters = [
      { unit: 'sessions', per: 'tenant', limit: 3 },
      { unit: 'sessions', per: 'agent', limit: 2 },
    ] as const
    const { haldir } = house({ meters })
    const open = (agent: string, length = '1h') => haldir.createSession({ agent, scopes: [], ttl: length })
    const one = await open('a')
    await one.delegate({ agent: 'a', scopes: [] })
    expect(await denial(open('a'))).toMatchObject({ rule: 'quota:sessions@agent' })
    await open('b', '1m')
    expect(await denial(open('c'))).toMatchObject({ rule: 'quota:sessions@tenant' })
    await clock.advance(MINUTE)
    await open('c')
    expect(await denial(open('c'))).toMatchObject({ rule: 'quota:sessions@tenant' })
    await one.revoke()
    await open('c')
    await open('a')
    expect((await denial(open('a'))).code).toBe('quota-exceeded')
  })

  it('is not passed by many at once', async () => {
    proves('invariant-3')
    const { house } = fleet(kind)
    const meters = [{ unit: 'sessions', per: 'tenant', limit: 7 }] as const
    const houses = [house({ meters }), house({ meters })]
    const work = Array.from({ length: 30 }, (_, index) =>
      told((houses[index % 2] as (typeof houses)[0]).haldir.createSession({ agent: 'a', scopes: [] })),
    )
    const made = (await Promise.all(work)).filter((answer) => answer !== 'quota-exceeded')
    expect(made).toHaveLength(7)
  })
})

it('a meter that can not work is refused when the haldir is made, by its path', async () => {
  for (const [meter, path] of [
    [{ ...calls(1), windw: 'day' }, 'meters.1.windw'],
    [{ ...calls(1), window: 'mont' }, 'meters.1.window'],
    [{ ...calls(1), zone: 'Mars/Base', window: 'day' }, 'meters.1.zone'],
    [calls(1), 'meters.1'],
  ] as const) {
    expect((await misuse(() => createHaldir({ meters: [calls(1), meter] as never }))).path).toBe(path)
  }
})

// ── Against a naive model ──

interface Node {
  readonly session: Session
  readonly chain: readonly Node[]
  /** In cents; `undefined`: not limited. */
  readonly limit: number | undefined
  used: number
  held: number
}

type Step =
  | { kind: 'delegate'; at: number; limit: number | undefined }
  | { kind: 'call'; at: number; cost: number; actual: number; fails: boolean }
  | { kind: 'charge'; at: number; cost: number }
  | { kind: 'authorize'; at: number; cost: number }
  | { kind: 'capture' | 'void'; at: number; part: number }

const index = fc.nat({ max: 50 })
const cents = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 400 }))
const limit = fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined, freq: 5 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('delegate' as const), at: index, limit }),
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('call' as const),
      at: index,
      cost: cents,
      actual: fc.double({ min: 0, max: 1, noNaN: true }),
      fails: fc.boolean(),
    }) as fc.Arbitrary<Step>,
  },
  fc.record({ kind: fc.constant('charge' as const), at: index, cost: cents }),
  fc.record({ kind: fc.constant('authorize' as const), at: index, cost: cents }),
  fc.record({
    kind: fc.constantFrom('capture' as const, 'void' as const),
    at: index,
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  }) as fc.Arbitrary<Step>,
)

const dollars = (n: number) => usd((n / 100).toFixed(2))

/** Cents as they stand in the store, on a session's own budget. */
async function stands({ session, limit }: Node): Promise<{ used: number; held: number } | undefined> {
  if (limit === undefined) return undefined
  const own = (await session.budget())[0]
  return { used: Number(own?.used.micros) / 10_000, held: Number(own?.held.micros) / 10_000 }
}

it('no tree of sessions spends more than a limit in it, and nothing is refused that fits all limits of its chain', async () => {
  proves('invariant-3', 'invariant-9', 'per-session-budget')
  const clock = fakeClock()
  const sinks = [{ name: 'nowhere', write: () => true }]
  const counts = { tried: 0, ran: 0, refused: 0, deep: 0, beyond: 0 }
  await fc.assert(
    fc.asyncProperty(limit, fc.array(step, { minLength: 5, maxLength: 30 }), async (first, steps) => {
      counts.tried++
      const haldir = createHaldir({ clock, store: memoryStore({ clock }), sinks })
      const scopesOf = (size: number | undefined) => [
        size === undefined ? 'spend:*' : `spend:${(size / 100).toFixed(2)}`,
      ]
      const root = await haldir.createSession({ agent: 'a', scopes: scopesOf(first) })
      const nodes: Node[] = [{ session: root, chain: [], limit: first, used: 0, held: 0 }]
      const open: {
        node: Node
        cost: number
        authorization: { capture(part: Amount): Promise<void>; void(): Promise<void> }
      }[] = []
      const lineOf = (node: Node) => [node, ...node.chain]
      const fits = (node: Node, cost: number) =>
        lineOf(node).every(({ limit, used, held }) => limit === undefined || used + held + cost <= limit)
      for (const one of steps) {
        const node = nodes[one.at % nodes.length] as Node
        if (one.kind === 'delegate') {
          const tightest = Math.min(...lineOf(node).map((each) => each.limit ?? Number.POSITIVE_INFINITY))
          const may = one.limit === undefined ? tightest === Number.POSITIVE_INFINITY : one.limit <= tightest
          const delegated = node.session.delegate({ agent: 'a', scopes: scopesOf(one.limit) })
          if (!may || node.chain.length >= 8) {
            await misuse(() => delegated)
            continue
          }
          nodes.push({ session: await delegated, chain: lineOf(node), limit: one.limit, used: 0, held: 0 })
          counts.deep = Math.max(counts.deep, node.chain.length + 1)
        } else if (one.kind === 'call') {
          const spent = Math.floor(one.cost * one.actual)
          const run = async () => {
            currentCall().spent(dollars(spent))
            if (one.fails) throw new RangeError('the tool failed')
            return 'ran'
          }
          const options = { name: 'pay', scope: 'spend', cost: dollars(one.cost) }
          const answer = await told(governed(run, options, { session: node.session })()).catch((error) => {
            expect(error).toBeInstanceOf(RangeError)
            return 'ran'
          })
          expect(answer).toBe(fits(node, one.cost) ? 'ran' : 'budget-exceeded')
          counts[answer === 'ran' ? 'ran' : 'refused']++
          if (answer === 'ran') for (const each of lineOf(node)) each.used += spent
        } else if (one.kind === 'charge') {
          // It has been spent already, so it counts. Only then is it told that it was too much.
          const over = !fits(node, one.cost)
          for (const each of lineOf(node)) each.used += one.cost
          expect(await told(node.session.charge(dollars(one.cost), 'tokens'))).toBe(
            over ? 'budget-exceeded' : undefined,
          )
          if (over) counts.beyond++
        } else if (one.kind === 'authorize') {
          const answer = await told(
            haldir.payments.authorize(node.session, { amount: dollars(one.cost), description: 'a thing' }),
          )
          expect(typeof answer === 'string' ? answer : 'ran').toBe(fits(node, one.cost) ? 'ran' : 'budget-exceeded')
          if (typeof answer === 'string') continue
          for (const each of lineOf(node)) each.held += one.cost
          open.push({ node, cost: one.cost, authorization: answer })
        } else if (open.length > 0) {
          const [ended] = open.splice(one.at % open.length, 1)
          if (!ended) continue
          const part = one.kind === 'void' ? 0 : Math.max(1, Math.floor(ended.cost * one.part))
          await (part === 0 ? ended.authorization.void() : ended.authorization.capture(dollars(part)))
          for (const each of lineOf(ended.node)) {
            each.held -= ended.cost
            each.used += part
          }
        }
      }
      for (const node of nodes) {
        const state = await stands(node)
        if (state) expect(state).toEqual({ used: node.used, held: node.held })
      }
      await haldir.close()
    }),
    { numRuns: 1_000 },
  )
  // The generator reaches what it is for.
  expect(counts.ran).toBeGreaterThan(counts.tried)
  expect(counts.refused).toBeGreaterThan(counts.tried)
  expect(counts.beyond).toBeGreaterThan(counts.tried / 10)
  expect(counts.deep).toBeGreaterThan(1)
}, 60_000)

it('nor when all its calls run at once', async () => {
  proves('invariant-3', 'invariant-9')
  const sinks = [{ name: 'nowhere', write: () => true }]
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.tuple(index, fc.integer({ min: 1, max: 30 })), { minLength: 5, maxLength: 25 }),
      async (limits, work) => {
        const haldir = createHaldir({ sinks })
        const nodes: Node[] = []
        for (const [at, wanted] of limits.entries()) {
          const parent = nodes[(at - 1) >> 1]
          const size = Math.min(wanted, parent?.limit ?? wanted)
          const options = { agent: 'a', scopes: [`spend:${(size / 100).toFixed(2)}`] }
          const session = await (parent ? parent.session.delegate(options) : haldir.createSession(options))
          nodes.push({ session, chain: parent ? [parent, ...parent.chain] : [], limit: size, used: 0, held: 0 })
        }
        await Promise.all(
          work.map(async ([at, cost]) => {
            const node = nodes[at % nodes.length] as Node
            const options = { name: 'pay', scope: 'spend', cost: dollars(cost) }
            const answer = await told(governed(async () => turns(1), options, { session: node.session })())
            if (answer !== 'budget-exceeded') for (const each of [node, ...node.chain]) each.used += cost
          }),
        )
        for (const node of nodes) {
          expect(await stands(node)).toEqual({ used: node.used, held: 0 })
          expect(node.used).toBeLessThanOrEqual(node.limit as number)
        }
        await haldir.close()
      },
    ),
    { numRuns: 200 },
  )
})
