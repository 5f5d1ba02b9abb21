import { describe, expect, it } from 'vitest'
import { ConfigError } from '../errors.ts'
import type { SessionRow } from '../stores/store.ts'
import { type Leave, leaveOf } from './leaves.ts'
import { type MeterOptions, StandingMeters } from './standing.ts'

const quota: MeterOptions = { unit: 'calls', per: 'tenant', limit: 1_000, window: 'month' }

function refusal(...options: unknown[]): ConfigError {
  try {
    new StandingMeters(options as MeterOptions[], '')
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).code).toBe('invalid-option')
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

function leave(id: string, agent: string, scopes: readonly string[] = [], tenant = 'acme'): Leave {
  const rest = { tokenHash: '', attributes: {}, chain: [], createdAt: 0, expiresAt: 1 }
  const row: SessionRow = { ...rest, id, agent, tenant, scopes }
  return leaveOf(row, '')
}

const keys = (meters: StandingMeters, leaves: readonly Leave[], tool = 'pay') =>
  meters.forCall(leaves, tool).map(({ at }) => at.key)

describe('an option that can not work', () => {
  it.each([
    ['meters.0.per', { per: 'tennant' }, '`tenant`'],
    ['meters.0.per', { per: undefined }, '`session`, `agent`, `tenant`, `tool`'],
    ['meters.0.per', { per: 'toString' }, '`tool`'],
    ['meters.0.window', { window: 'mnth' }, '`month`'],
    ['meters.0.window', { window: 'fortnight' }, '`week`'],
    ['meters.0.window', { window: 30 }, '`month`'],
    ['meters.0.zone', { zone: 'Europe/Berln' }, '`Europe/Berlin`'],
    ['meters.0.zone', { zone: '+02:00' }, '`Europe/Berlin`'],
    ['meters.0.zone', { zone: 'Europe/Berlin', window: undefined }, '`window`'],
    ['meters.0.windw', { windw: 'day' }, '`window`'],
    ['meters.0.limits', { limits: 1 }, '`limit`'],
    ['meters.0.limit', { limit: -1 }, '`meters.0.limit`'],
    ['meters.0.limit', { limit: Number.NaN }, '`meters.0.limit`'],
    ['meters.0.limit', { limit: Number.POSITIVE_INFINITY }, '`meters.0.limit`'],
    ['meters.0.limit', { limit: '1e3' }, '`meters.0.limit`'],
    ['meters.0.limit', { limit: undefined }, '`meters.0.limit`'],
    ['meters.0.limit', { limit: [1] }, '`meters.0.limit`'],
    ['meters.0.limit', { limit: 0.0000001 }, '`meters.0.limit`'],
    ['meters.0.unit', { unit: 'so many calls' }, '`meters.0.unit`'],
    ['meters.0.unit', { unit: undefined }, '`meters.0.unit`'],
    ['meters.0.unit', { unit: 'call' }, '`calls`'],
    ['meters.0.unit', { unit: 'Calls' }, '`calls`'],
    ['meters.0.unit', { unit: 'session', window: undefined }, '`sessions`'],
    ['meters.0.unit', { unit: 'AGENTS', window: undefined }, '`agents`'],
    ['meters.0.unit', { unit: 'token' }, '`tokens`'],
    ['meters.0.unit', { unit: 'usd' }, '`USD`'],
    ['meters.0.unit', { unit: 'Eur' }, '`EUR`'],
    ['meters.0.name', { name: '' }, '`meters.0.name`'],
    ['meters.0.name', { name: 'a|b' }, '`meters.0.name`'],
    ['meters.0.name', { name: 'standing:quota' }, '`meters.0.name`'],
    ['meters.0.name', { name: 7 }, '`meters.0.name`'],
    ['meters.0.every', { window: undefined, every: 'often' }, '`meters.0.every`'],
    ['meters.0.every', { window: undefined, every: 0 }, '`meters.0.every`'],
    ['meters.0.window', { every: '1m' }, '`every`'],
    ['meters.0.limit', { window: undefined, every: '1m', limit: 0 }, 'zero'],
    ['meters.0.burst', { burst: 5 }, '`every`'],
    ['meters.0.burst', { window: undefined, every: '1m', burst: -1 }, '`meters.0.burst`'],
    ['meters.0.burst', { window: undefined, every: '1m', burst: 0 }, 'zero'],
    ['meters.0.tools', { tools: [] }, '`meters.0.tools`'],
    ['meters.0.tools', { tools: '' }, '`meters.0.tools`'],
    ['meters.0.tools', { tools: ['pay', 7] }, '`meters.0.tools`'],
    ['meters.0.agents', { agents: /bot/ }, '`meters.0.agents`'],
    ['meters.0.tenants', { tenants: [''] }, '`meters.0.tenants`'],
    ['meters.0.window', { unit: 'agents', window: 'month' }, '`agents`'],
    ['meters.0.agents', { unit: 'sessions', window: undefined, agents: 'bot' }, '`sessions`'],
    ['meters.0.per', { unit: 'agents', per: 'agent' }, '`tenant`'],
    ['meters.0.per', { unit: 'sessions', per: 'tool' }, '`tenant`'],
    ['meters.0.limit', { unit: 'sessions', limit: 1.5 }, 'whole'],
    ['meters.0.limit', { unit: 'agents', limit: '3' }, 'whole'],
    ['meters.0.limit', { unit: 'agents', limit: -3 }, 'whole'],
  ])('is named: `%s` of %j', (path, change, told) => {
    const { unit } = change as { unit?: string }
    const base = unit === 'agents' || unit === 'sessions' ? { unit, per: 'tenant', limit: 3 } : quota
    const options: Record<string, unknown> = { ...base, ...change }
    for (const [key, value] of Object.entries(change)) {
      if (value === undefined && (key === 'window' || key === 'zone')) delete options[key]
    }
    const error = refusal(options)
    expect(error.path).toBe(path)
    expect(error.message).toContain(told)
    expect(error.message).not.toMatch(/so many|often|\/bot\/|Berln/)
  })

  it.each([[null], [7], ['calls'], [[]]])('is named when it is no object: %j', (one) => {
    expect(refusal(quota, one).path).toBe('meters.1')
  })

  it('is no list', () => {
    expect(() => new StandingMeters({} as never, '')).toThrow(ConfigError)
  })
})

describe('two meters that count the same', () => {
  it.each([
    [quota, quota],
    [quota, { ...quota, limit: 5 }],
    [quota, { ...quota, tools: 'pay' }],
    [
      { ...quota, name: 'a' },
      { ...quota, name: 'a', limit: 5 },
    ],
    [quota, { ...quota, name: 'quota' }],
  ])('need names: %j and %j', (one, other) => {
    const error = refusal(one, other)
    expect(error.path).toBe('meters.1')
    expect(error.message).toContain('`meters.0`')
    expect(error.message).toContain('`name`')
  })

  it.each([
    [{ ...quota, name: 'other' }],
    [{ ...quota, per: 'agent' }],
    [{ ...quota, unit: 'tokens' }],
    [{ ...quota, window: 'day' }],
    [{ ...quota, zone: 'Europe/Berlin' }],
    [{ unit: 'calls', per: 'tenant', limit: 9, every: '1m' }],
  ] as [MeterOptions][])('are two when they differ: %j', (other) => {
    const meters = new StandingMeters([quota, other], '')
    expect(new Set(keys(meters, [leave('s', 'bot')])).size).toBe(2)
  })
})

describe('a call', () => {
  const each = (['session', 'agent', 'tenant', 'tool'] as const).map(
    (per) => ({ ...quota, per, window: 'day' }) as const,
  )

  it('counts on one meter for each thing, of everyone in its chain, and on each once', () => {
    const meters = new StandingMeters(each, '')
    const leaves = [leave('child', 'bot'), leave('parent', 'bot'), leave('root', 'boss')]
    expect(keys(meters, leaves).map((key) => key.split('|')[1])).toEqual([
      'session:child',
      'session:parent',
      'session:root',
      'agent:bot',
      'agent:boss',
      'tenant:acme',
      'tool:pay',
    ])
  })

  it('counts apart for every tenant', () => {
    const meters = new StandingMeters(each, '')
    const [mine, other] = [leave('s', 'bot'), leave('s', 'bot', [], 'other')].map((one) => keys(meters, [one]))
    expect(mine?.filter((key) => other?.includes(key))).toEqual([])
  })

  it.each(['budget', undefined])(
    'counts on a standing budget beside the one its session has made (name %s)',
    (name) => {
      const standing = { unit: 'USD', per: 'session', limit: 5, ...(name && { name }) } as const
      const meters = new StandingMeters([standing, { ...standing, window: 'day' }], '')
      const leaves = [leave('s', 'bot', ['spend:50', 'spend:50:USD/day'])]
      const found = meters.forCall(leaves, 'pay')
      expect(found.map(({ limit }) => limit)).toEqual([50_000_000n, 50_000_000n, 5_000_000n, 5_000_000n])
      expect(new Set(found.map(({ at }) => at.key)).size).toBe(4)
    },
  )

  it.each([
    [{ tools: 'pay' }, 'pay', true],
    [{ tools: 'pay' }, 'payout', false],
    [{ tools: 'pay*' }, 'payout', true],
    [{ tools: ['read', '*.send'] }, 'gmail.send', true],
    [{ tools: ['read', '*.send'] }, 'gmail.sender', false],
    [{ tools: '*' }, 'anything', true],
    [{ agents: 'bot-*' }, 'pay', false],
    [{ agents: ['bot-*', 'bot'] }, 'pay', true],
    [{ tenants: 'a*e' }, 'pay', true],
    [{ tenants: 'ACME' }, 'pay', false],
    [{ tools: 'pay', agents: 'bot', tenants: 'acme' }, 'pay', true],
    [{ tools: 'pay', agents: 'bot', tenants: 'other' }, 'pay', false],
    [{ tools: '(a+)+$' }, 'aaaaaaaa', false],
  ])('is counted by a meter with %j when its tool is %s: %s', (filter, tool, counted) => {
    const meters = new StandingMeters([{ ...quota, ...filter }], '')
    expect(keys(meters, [leave('s', 'bot')], tool)).toHaveLength(counted ? 1 : 0)
    expect(meters.counts(leave('s', 'bot'), tool, 'calls')).toBe(counted)
    expect(meters.counts(leave('s', 'bot'), tool, 'USD')).toBe(false)
  })

  it('is counted for a parent that the filter is about, though not for the child', () => {
    const meters = new StandingMeters([{ ...quota, per: 'agent', agents: 'boss' }], '')
    expect(keys(meters, [leave('child', 'bot'), leave('root', 'boss')])).toEqual([
      'acme|agent:boss|calls|month|standing:quota',
    ])
  })
})

it('names what it limits as refusals show it', () => {
  const meters = new StandingMeters(
    [
      quota,
      { unit: 'USD', per: 'agent', limit: '2.50', window: 'day', zone: 'Asia/Tokyo' },
      { unit: 'tokens', per: 'tool', limit: 9, every: '1m', burst: 3 },
      { unit: 'EUR', per: 'session', limit: 9, name: 'travel' },
    ],
    '',
  )
  const found = meters.forCall([leave('s', 'bot')], 'pay')
  expect(found.map(({ rule, code }) => [rule, code])).toEqual([
    ['quota:calls/month@tenant', 'quota-exceeded'],
    ['budget:USD/day@agent', 'budget-exceeded'],
    ['rate:tokens@tool', 'rate-exceeded'],
    ['travel', 'budget-exceeded'],
  ])
  expect(found[1]?.at).toMatchObject({ window: 'day', zone: 'Asia/Tokyo', limit: 2_500_000n })
  expect(found[2]?.at).toMatchObject({
    window: 'total',
    rate: { limit: 9_000_000n, periodMs: 60_000, burst: 3_000_000n },
  })
  expect(found[2]?.at).not.toHaveProperty('limit')
  // Rates, and what counts one tool alone, are no line of a session's budget.
  expect(meters.lasting([leave('s', 'bot')]).map(({ rule }) => rule)).toEqual([
    'quota:calls/month@tenant',
    'budget:USD/day@agent',
    'travel',
  ])
})

it('limits how many live at once, for the tenants it names', () => {
  const meters = new StandingMeters(
    [
      { unit: 'agents', per: 'tenant', limit: 3 },
      { unit: 'sessions', per: 'agent', limit: 2, tenants: 'ac*' },
    ],
    '',
  )
  expect(meters.capsOn('acme')).toEqual([
    { count: 'agents', per: 'tenant', limit: 3 },
    { count: 'sessions', per: 'agent', limit: 2 },
  ])
  expect(meters.capsOn('other')).toEqual([{ count: 'agents', per: 'tenant', limit: 3 }])
  expect(keys(meters, [leave('s', 'bot')])).toEqual([])
})

it('keeps what is counted apart under keys of its own', () => {
  expect(keys(new StandingMeters([quota], 'shadow|'), [leave('s', 'bot')])).toEqual([
    'shadow|acme|tenant:acme|calls|month|standing:quota',
  ])
})

it('spells a zone as everyone does, however it was written: one window, not two', () => {
  const counted = (zone: string) => {
    const meters = new StandingMeters([{ unit: 'calls', per: 'tenant', limit: 1, window: 'day', zone }], '')
    const [meter] = meters.forCall([leave('s', 'a')], 'read')
    return `${meter?.at.key} ${meter?.at.zone}`
  }
  for (const same of [
    ['europe/berlin', 'Europe/Berlin', 'EUROPE/BERLIN'],
    // Other names of the same zone.
    ['US/Eastern', 'us/eastern', 'America/New_York'],
    ['Asia/Calcutta', 'Asia/Kolkata', 'asia/kolkata'],
    ['UTC', 'utc', 'Etc/UTC'],
  ]) {
    expect(new Set(same.map(counted)).size, same[0]).toBe(1)
  }
  expect(counted('Europe/Berlin')).not.toBe(counted('Europe/Paris'))
})

describe('what is told', () => {
  it.each<[unknown, string]>([
    [{ ...quota, windw: 1 }, '`windw` is not among the fields of a meter; did you mean `window`?'],
    [{ ...quota, unit: 'call' }, '`meters.0.unit` is not known; did you mean `calls`?'],
    [{ ...quota, name: 'a b' }, '`meters.0.name` is 1 to 64 letters, digits, `_`, `.` or `-`'],
    [{ ...quota, per: 'tennant' }, '`meters.0.per` is not known; did you mean `tenant`?'],
    [{ ...quota, per: 7 }, '`meters.0.per` is one of `session`, `agent`, `tenant`, `tool`'],
    [{ ...quota, zone: 'Europe/Berln' }, '`meters.0.zone` is an IANA time zone; did you mean `Europe/Berlin`?'],
    [{ ...quota, zone: 7 }, '`meters.0.zone` is an IANA time zone; such as `Europe/Berlin`'],
    [{ ...quota, zone: 'Mars' }, '`meters.0.zone` is an IANA time zone; such as `Europe/Berlin`'],
    [{ ...quota, window: undefined, zone: 'UTC' }, '`meters.0.zone` needs a `window`'],
    [
      { ...quota, tools: [] },
      '`meters.0.tools` is a name, or a list of at least one; `*` stands for any run of characters',
    ],
    [{ ...quota, burst: 1 }, '`meters.0.burst` belongs to a rate; say `every`, too'],
    [{ ...quota, every: '1m' }, '`meters.0.window` does not go with `every`: a rate has no windows'],
    [{ unit: 'sessions', per: 'tenant', limit: -1 }, '`meters.0.limit` is a whole number, not negative'],
    [
      { unit: 'sessions', per: 'tenant', limit: 1, tenants: [] },
      '`meters.0.tenants` is a name, or a list of at least one',
    ],
  ])('of an option that can not work (%#)', (options, message) => {
    expect(refusal(options).message).toContain(message)
  })

  it('of meters that are no list, and of two that count the same', () => {
    expect(() => new StandingMeters({} as never, '')).toThrow('`meters` is a list of meters')
    expect(refusal(quota, quota).message).toBe('`meters.1` counts the same as `meters.0`; give each a `name`')
  })

  it.each<[Partial<MeterOptions>, string, string, string]>([
    [
      {},
      'quota:calls/month@tenant',
      'quota-exceeded',
      'not enough is left of the quota of `calls` a month for this tenant',
    ],
    [
      { window: 'total', per: 'agent', unit: 'USD' },
      'budget:USD@agent',
      'budget-exceeded',
      'not enough is left of the budget of `USD` for this agent',
    ],
    [
      { window: undefined as never, every: '1m', per: 'tool' },
      'rate:calls@tool',
      'rate-exceeded',
      'the rate of `calls` for this tool is used up for now',
    ],
    [{ name: 'own' }, 'own', 'quota-exceeded', 'not enough is left of the quota of `calls` a month for this tenant'],
  ])('to a call that does not fit %j', (change, rule, code, reason) => {
    const options = Object.fromEntries(
      Object.entries({ ...quota, ...change }).filter(([, value]) => value !== undefined),
    )
    const meters = new StandingMeters([options as unknown as MeterOptions], '')
    expect(meters.forCall([leave('s', 'a')], 'pay')).toEqual([expect.objectContaining({ rule, code, reason })])
    expect(meters.namesFor('pay')).toEqual([rule])
  })
})

describe("what a session's `budget` shows", () => {
  it('is what counts whatever tool is called, and no rate', () => {
    const lasting = { ...quota, name: 'lasting' }
    const meters = new StandingMeters(
      [
        lasting,
        { ...quota, name: 'some', tools: 'pay' },
        { ...quota, name: 'each', per: 'tool' },
        { unit: 'calls', per: 'tenant', limit: 5, every: '1m', name: 'rate' },
      ],
      '',
    )
    expect(meters.lasting([leave('s', 'a')]).map(({ rule }) => rule)).toEqual(['lasting'])
    expect(meters.namesFor('pay')).toEqual(['lasting', 'some', 'each', 'rate'])
    expect(meters.namesFor('look')).toEqual(['lasting', 'each', 'rate'])
  })
})

it("any word is a unit of someone's own, and rates for different times count apart", () => {
  const rate = (every: '1m' | '1h'): MeterOptions => ({ unit: 'abc', per: 'tenant', limit: 5, every })
  const meters = new StandingMeters([rate('1m'), rate('1h')], '')
  expect(keys(meters, [leave('s', 'a')])).toEqual([
    'acme|tenant:acme|abc|every:60000|standing:rate',
    'acme|tenant:acme|abc|every:3600000|standing:rate',
  ])
})

it('a limit of nothing is a limit', () => {
  expect(new StandingMeters([{ unit: 'sessions', per: 'tenant', limit: 0 }], '').capsOn('acme')).toEqual([
    { count: 'sessions', per: 'tenant', limit: 0 },
  ])
})
