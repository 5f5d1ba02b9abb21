/** Policy in the path of a call: what it is judged on, who is told what, and how another one is put in force. */
import { governed as governedTools } from '@haldir/ai-sdk'
import {
  ConfigError,
  createHaldir,
  currentCall,
  Denied,
  type Entry,
  governed,
  type Haldir,
  type HaldirOptions,
  type KeyProvider,
  type Policy,
  type Rule,
  type Session,
  type Sink,
  usd,
} from '@haldir/core'
import { type AdapterRequest, governTool, type ToolAnnotations } from '@haldir/core/adapter'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { type FakeClock, fakeClock } from '@haldir/testing'
import { tool } from 'ai'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { entriesOf, proves } from '../promises.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const haldir of open.splice(0)) await haldir.close()
})

function house(options: HaldirOptions = {}) {
  const trail = memorySink()
  const clock = fakeClock(Date.UTC(2026, 0, 5, 12))
  const haldir = createHaldir({ clock, sinks: [trail], ...options })
  open.push(haldir)
  return { haldir, clock: clock as FakeClock, trail, entries: () => entriesOf(trail.lines) }
}

const policyOf = (...rules: Rule[]): Policy => ({ default: 'deny', rules })
const verdicts = (entries: readonly Entry[]) =>
  entries.flatMap(({ type, verdict, rule, code }) => (verdict ? [[type, verdict, rule, code]] : []))

/** Calls a tool once and says what came of it: the rule that let it run, or the code and the rule that did not. */
async function judged(
  { haldir, entries }: Pick<ReturnType<typeof house>, 'haldir' | 'entries'>,
  session: Session,
  name: string,
  args: unknown = {},
  more: { scope?: string | string[]; annotations?: ToolAnnotations } = {},
) {
  const { execute } = governTool(
    { framework: 'test', name, options: { scope: [], ...more }, run: () => 'ran' },
    { haldir },
  )
  const done = await execute({ args, session })
  const entry = entries().findLast(({ type }) => type === 'intent' || type === 'refusal')
  if (done.status !== 'denied') return `ran by ${entry?.rule}`
  return `${done.denial.code} by ${done.denial.rule}`
}

/** The same, for a call that is made in another way. */
async function outcomeOf({ entries }: Pick<ReturnType<typeof house>, 'entries'>, call: () => Promise<unknown>) {
  const error = await call().catch((thrown: unknown) => thrown)
  if (Denied.isInstance(error)) return `${error.code} by ${error.rule}`
  return `${error} by ${entries().findLast(({ type }) => type === 'intent')?.rule}`
}

describe('a verdict', () => {
  it('is that of the scopes alone where there is no policy', async () => {
    const { haldir, entries } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const rooms = { haldir, entries }
    expect(await judged(rooms, session, 'look', {}, { scope: 'read' })).toBe('ran by scope:read')
    expect(await judged(rooms, session, 'look', {}, { scope: 'write' })).toBe('scope-missing by scope:write')
    expect(entries().some(({ policyHash, type }) => policyHash !== undefined || type === 'policy-loaded')).toBe(false)
    expect(haldir.health().policyHash).toBeUndefined()
  })

  it.each<[string, Rule['then'][], Policy['default'], string]>([
    ['deny wins over ask and allow', ['allow', 'ask', 'deny'], 'deny', 'policy-denied by deny-2'],
    ['ask wins over allow', ['allow', 'ask'], 'deny', 'approval-unavailable by ask-1'],
    ['allow wins over the default', ['allow'], 'deny', 'ran by allow-0'],
    ['nothing matches: the default denies', [], 'deny', 'policy-denied by default'],
    ['nothing matches: the default asks', [], 'ask', 'approval-unavailable by default'],
  ])('%s', async (_, thens, fallback, outcome) => {
    proves('policy-judges')
    const rules = thens.map((then, index) => ({ id: `${then}-${index}`, then }))
    const one = house({ policy: { default: fallback, rules } })
    const other = house({ policy: { default: fallback, rules: rules.toReversed() } })
    for (const rooms of [one, other]) {
      const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
      expect(await judged(rooms, session, 'look')).toBe(outcome)
    }
  })

  it('allows by default only where `allowByDefault` says so beside it', async () => {
    expect(() => createHaldir({ sinks: [memorySink()], policy: { default: 'allow', rules: [] } })).toThrow(ConfigError)
    const rooms = house({ policy: { default: 'allow', allowByDefault: true, rules: [] } })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    expect(await judged(rooms, session, 'look')).toBe('ran by default')
  })

  it('comes after the scopes: what they refuse, no rule is asked about, and none can give', async () => {
    const when = vi.fn(() => true)
    const rooms = house({ policy: { ...policyOf({ id: 'all', then: 'allow', when }), version: 1 } })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: ['read'] })
    expect(await judged(rooms, session, 'drop', {}, { scope: 'write' })).toBe('scope-missing by scope:write')
    expect(when).not.toHaveBeenCalled()
  })
})

describe('what is told of it', () => {
  const rules: Rule[] = [
    { id: 'small-refunds', tools: 'refund', then: 'allow', when: { 'args.amount': { lte: 50 } } },
    {
      id: 'no-big-refunds',
      tools: 'refund',
      then: 'deny',
      when: { 'args.amount': { gt: 500 } },
      because: 'a refund over 500 is for people.',
    },
    { id: 'ask-refunds', tools: 'refund', then: 'ask', when: { 'args.amount': { gt: 50 } } },
  ]

  it('names the rule and its reason, in the denial and in the entry, and no value', async () => {
    proves('policy-judges')
    const { haldir, entries } = house({ policy: policyOf(...rules) })
    const hash = haldir.health().policyHash
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] })
    const ran = vi.fn(async (_: { amount: number; note: string }) => 'ran')
    const refund = governed(ran, { name: 'refund', scope: 'spend', cost: ({ amount }) => usd(amount) })
    const call = (amount: number) => session.run(() => refund({ amount, note: 'for Mrs Carmichael' }))
    const big = await call(770_077).catch((error) => error)
    expect(Denied.isInstance(big)).toBe(true)
    expect(big).toMatchObject({ code: 'policy-denied', rule: 'no-big-refunds', retryable: false })
    expect(big.message).toBe(
      'Denied (policy-denied): a refund over 500 is for people. Do not retry this call; go on without this action.',
    )
    const asked = await call(177.313377).catch((error) => error)
    expect(asked).toMatchObject({ code: 'approval-unavailable', rule: 'ask-refunds' })
    await call(50)
    expect(ran).toHaveBeenCalledTimes(1)
    expect(verdicts(entries())).toEqual([
      ['refusal', 'deny', 'no-big-refunds', 'policy-denied'],
      ['refusal', 'ask', 'ask-refunds', 'approval-unavailable'],
      ['intent', 'allow', 'small-refunds', undefined],
    ])
    const about = entries().filter(({ call }) => call !== undefined)
    expect(about.map(({ policyHash }) => policyHash)).toEqual([hash, hash, hash, hash])
    expect(about[0]?.data.reason).toBe('a refund over 500 is for people')
    const told = JSON.stringify([entries(), big.message, asked.message])
    for (const value of ['770077', '177.313377', 'Carmichael']) expect(told.split(value).length).toBeLessThan(3)
    expect(told).not.toContain('Carmichael')
  })

  it('takes nothing on any meter when it denies or asks', async () => {
    const { haldir } = house({
      policy: policyOf(...rules),
      meters: [
        { unit: 'calls', per: 'tenant', limit: 10 },
        { unit: 'calls', per: 'agent', limit: 1, every: '1h' },
      ],
    })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] })
    const refund = governed(async (_: { amount: number }) => 'ran', {
      name: 'refund',
      scope: 'spend',
      cost: ({ amount }) => usd(amount),
      once: ({ amount }) => `${amount}`,
    })
    const before = JSON.stringify((await session.budget()).map(({ left }) => `${left}`))
    for (const amount of [600, 100, 600, 100]) {
      await session.run(() => refund({ amount })).catch(() => {})
      expect(JSON.stringify((await session.budget()).map(({ left }) => `${left}`))).toBe(before)
    }
    // The rate, too, has room for its one call.
    expect(await session.run(() => refund({ amount: 50 }))).toBe('ran')
  })

  it('repeats no secret that stands in the arguments, whatever the rule reads', async () => {
    proves('invariant-7')
    const secret = 'a-secret-of-the-service'
    const key: KeyProvider = { id: 'k', wrap: (bytes) => bytes.slice(), unwrap: (bytes) => bytes.slice() }
    const { haldir, trail } = house({
      vault: { keys: [key] },
      policy: {
        version: 1,
        default: 'deny',
        rules: [
          { id: 'use', tools: 'use', then: 'allow' },
          { id: 'no-tokens', tools: 'send', then: 'deny', when: { 'args.text': { contains: secret.slice(2, 8) } } },
          {
            id: 'throws',
            tools: 'post',
            then: 'deny',
            when: ({ args }) => {
              throw new Error(JSON.stringify(args))
            },
          },
        ],
      },
      guards: [
        {
          name: 'talker',
          decide: async ({ args, tool }) => ({
            verdict: tool.name === 'use' ? 'allow' : 'deny',
            reason: `${JSON.stringify(args)} is wrong`,
          }),
        },
      ],
    })
    await haldir.vault.put('api_key', secret, { scope: 'read' })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const use = governed(async () => void currentCall().secret('api_key').reveal(), {
      name: 'use',
      scope: 'read',
      secrets: ['api_key'],
    })
    await session.run(() => use())
    const told: string[] = []
    for (const name of ['send', 'post', 'other']) {
      const { execute, prepare } = governTool({ framework: 'test', name, options: { scope: [] }, run: () => 'ran' })
      const done = await execute({ args: { text: secret }, session })
      told.push(done.status === 'denied' ? done.denial.message : done.status)
      told.push((await prepare({ args: { text: secret }, session })).reason)
    }
    expect(told.every((text) => text.length > 10)).toBe(true)
    expect([...told, ...trail.lines, JSON.stringify(haldir.health())].join('\n')).not.toContain(secret)
  })
})

describe('what a call is judged on', () => {
  it('is the snapshot: nothing that happens to the arguments afterwards changes it', async () => {
    proves('invariant-2')
    const seen: unknown[] = []
    const rooms = house({
      policy: {
        version: 1,
        default: 'deny',
        rules: [
          {
            id: 'small',
            then: 'allow',
            when: ({ args }) => {
              seen.push(args)
              expect(() => Object.assign(args as object, { amount: 1 })).toThrow(TypeError)
              expect(() => (args as { items: string[] }).items.push('x')).toThrow(TypeError)
              return (args as { amount: number }).amount < 10
            },
          },
        ],
      },
      guards: [async () => 'allow' as const],
    })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    const ran: unknown[] = []
    const pay = governed(async (args: { amount: number; items: string[] }) => void ran.push(args), {
      name: 'pay',
      scope: [],
    })
    const args = { amount: 5, items: ['book'] }
    const running = session.run(() => pay(args))
    args.amount = 5_000
    args.items.push('house')
    await running
    expect(ran).toEqual([{ amount: 5, items: ['book'] }])
    expect(seen).toEqual(ran)
    expect(seen[0]).not.toBe(args)
  })

  it('holds dates, URLs and bigints as a policy compares them', async () => {
    const rooms = house({
      policy: policyOf(
        { id: 'late', then: 'deny', when: { 'args.due': { lt: '2026-01-01T00:00:00.000Z' } } },
        { id: 'elsewhere', then: 'deny', when: { 'args.link': { not: { startsWith: 'https://example.com/' } } } },
        { id: 'huge', then: 'deny', when: { 'args.count': { gt: 1_000 } } },
        { id: 'fine', then: 'allow', when: { 'args.due': { exists: true } } },
      ),
    })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    const good = { due: new Date('2026-02-01'), link: new URL('https://example.com/a'), count: 5n }
    expect(await judged(rooms, session, 'ship', good)).toBe('ran by fine')
    expect(await judged(rooms, session, 'ship', { ...good, due: new Date('2025-12-31') })).toBe('policy-denied by late')
    const elsewhere = new URL('https://example.com.evil.org/')
    expect(await judged(rooms, session, 'ship', { ...good, link: elsewhere })).toBe('policy-denied by elsewhere')
    expect(await judged(rooms, session, 'ship', { ...good, count: 10n ** 30n })).toBe('policy-denied by huge')
  })

  it('a date that a rule’s function sets back still runs as it was called', async () => {
    proves('invariant-2')
    const rooms = house({
      policy: {
        version: 1,
        default: 'deny',
        rules: [{ id: 'sets', then: 'allow', when: ({ args }) => !!(args as { due: Date }).due.setTime(0) || true }],
      },
    })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    const ship = governed(async ({ due }: { due: Date }) => due.toISOString(), { name: 'ship', scope: [] })
    expect(await session.run(() => ship({ due: new Date('2026-02-01') }))).toBe('2026-02-01T00:00:00.000Z')
  })

  const annotated = policyOf(
    { id: 'reads', then: 'allow', when: { 'tool.readOnly': true } },
    { id: 'destroys', then: 'deny', when: { 'tool.destructive': true } },
    { id: 'web', then: 'deny', when: { 'tool.openWorld': true, 'tool.labels.team': 'billing' } },
    { id: 'again', then: 'allow', when: { 'tool.idempotent': true } },
  )
  const annotations: [string, ToolAnnotations | undefined, string][] = [
    ['nothing said: the worst', undefined, 'policy-denied by destroys'],
    ['read-only, and so not destructive', { readOnly: true }, 'ran by reads'],
    [
      'read-only and destructive, if somebody says so',
      { readOnly: true, destructive: true },
      'policy-denied by destroys',
    ],
    ['not destructive', { destructive: false }, 'policy-denied by default'],
    ['idempotent', { destructive: false, idempotent: true }, 'ran by again'],
    ['labelled', { readOnly: true, labels: { team: 'billing' } }, 'policy-denied by web'],
    ['labelled, in a closed world', { readOnly: true, openWorld: false, labels: { team: 'billing' } }, 'ran by reads'],
  ]

  it.each(annotations)('is what the tool is said to be, in core: %s', async (_, said, outcome) => {
    const rooms = house({ policy: annotated })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    expect(await judged(rooms, session, 'some', {}, said ? { annotations: said } : {})).toBe(outcome)
  })

  it.each(annotations)('is what the tool is said to be, in the AI SDK: %s', async (_, said, outcome) => {
    const rooms = house({ policy: annotated })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    const some = governedTools(
      tool({ inputSchema: z.object({}), execute: async () => 'ran' }),
      { name: 'some', scope: [], ...(said && { annotations: said }) },
      { session },
    )
    const options = { toolCallId: 'c', messages: [] } as never
    expect(await outcomeOf(rooms, async () => some.execute?.({}, options))).toBe(outcome)
  })

  const callers: [string, Partial<Rule>, string][] = [
    ['the agent', { agents: 'order-*' }, 'ran by rule'],
    ['another agent', { agents: ['refund-bot', 'mail-*'] }, 'policy-denied by default'],
    ['the tenant', { tenants: 'acme' }, 'ran by rule'],
    ['another tenant', { tenants: 'umbrella' }, 'policy-denied by default'],
    ['the agent of another tenant', { agents: 'order-bot', tenants: 'umbrella' }, 'policy-denied by default'],
    ['what the session was told', { when: { 'session.attributes.user.role': 'admin' } }, 'ran by rule'],
    ['what it was not told', { when: { 'session.attributes.user.name': 'root' } }, 'policy-denied by default'],
    ['the scopes it holds', { when: { 'session.scopes': { contains: 'orders' } } }, 'ran by rule'],
    ['how deep it was delegated', { when: { 'session.depth': 0 } }, 'ran by rule'],
  ]

  it.each(callers)('is whose doing it is: %s', async (_, rule, outcome) => {
    const rooms = house({ policy: policyOf({ id: 'rule', then: 'allow', ...rule }) })
    const attributes = { user: { role: 'admin' } }
    const session = await rooms.haldir.createSession({
      agent: 'order-bot',
      tenant: 'acme',
      scopes: ['orders'],
      attributes,
    })
    attributes.user.role = 'nobody'
    expect(await judged(rooms, session, 'some')).toBe(outcome)
  })

  it('is the hour by the injected clock, in the zone of the policy', async () => {
    const rooms = house({
      policy: {
        zone: 'America/New_York',
        default: 'deny',
        rules: [{ id: 'office', then: 'allow', when: { 'time.hour': { gte: 9, lt: 17 }, 'time.weekday': 'mon' } }],
      },
    })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [], ttl: '7d' })
    // Noon in Greenwich, on a Monday in January, is seven in New York.
    expect(await judged(rooms, session, 'some')).toBe('policy-denied by default')
    await rooms.clock.advance(2 * 3_600_000)
    expect(await judged(rooms, session, 'some')).toBe('ran by office')
    await rooms.clock.advance(24 * 3_600_000)
    expect(await judged(rooms, session, 'some')).toBe('policy-denied by default')
  })
})

describe('a chain of sessions', () => {
  const rules: Rule[] = [
    { id: 'base', then: 'allow' },
    { id: 'parent-asks', tools: ['mail', 'both'], agents: 'parent', then: 'ask' },
    { id: 'parent-denied', tools: 'drop', agents: 'parent', then: 'deny' },
    { id: 'child-denied', tools: 'wipe', agents: 'child', then: 'deny' },
    { id: 'child-asks', tools: 'both', agents: 'child', then: 'ask' },
  ]

  it('is judged for every identity in it, and the strictest verdict counts', async () => {
    proves('policy-judges')
    const rooms = house({ policy: policyOf(...rules) })
    const parent = await rooms.haldir.createSession({ agent: 'parent', scopes: ['read'] })
    const child = await parent.delegate({ agent: 'child', scopes: ['read'] })
    const grandchild = await child.delegate({ agent: 'grandchild', scopes: ['read'] })
    const ask = 'approval-unavailable by'
    for (const [name, ...outcomes] of [
      ['look', 'ran by base', 'ran by base', 'ran by base'],
      ['mail', `${ask} parent-asks`, `${ask} parent-asks`, `${ask} parent-asks`],
      ['drop', 'policy-denied by parent-denied', 'policy-denied by parent-denied', 'policy-denied by parent-denied'],
      ['wipe', 'ran by base', 'policy-denied by child-denied', 'policy-denied by child-denied'],
      ['both', `${ask} parent-asks`, `${ask} child-asks`, `${ask} child-asks`],
    ] as const) {
      for (const [index, session] of [parent, child, grandchild].entries()) {
        expect(await judged(rooms, session, name), `${name} ${index}`).toBe(outcomes[index])
      }
    }
    const entry = rooms.entries().at(-1)
    expect(entry).toMatchObject({ agent: 'grandchild', chain: [parent.id, child.id], rule: 'child-asks' })
  })

  it('judges the same for a session that was attached elsewhere', async () => {
    const clock = fakeClock()
    const store = memoryStore({ clock })
    const here = house({ store, clock })
    const there = house({ store, clock, policy: policyOf(...rules) })
    const parent = await here.haldir.createSession({ agent: 'parent', scopes: [] })
    const child = await parent.delegate({ agent: 'child', scopes: [] })
    const attached = await there.haldir.attach(child.token)
    expect(await judged(there, attached, 'drop')).toBe('policy-denied by parent-denied')
    expect(await judged(there, attached, 'mail')).toBe('approval-unavailable by parent-asks')
  })
})

it('a session that is attached twice at once has one handle', async () => {
  const clock = fakeClock()
  const store = memoryStore({ clock })
  const parent = await house({ store, clock }).haldir.createSession({ agent: 'parent', scopes: [] })
  const child = await parent.delegate({ agent: 'child', scopes: [] })
  const { haldir } = house({ store, clock })
  const [one, two] = await Promise.all([haldir.attach(child.token), haldir.attach(child.token)])
  expect(one).toBe(two)
})

describe('functions in a policy', () => {
  it('need a version beside them, and stand in the hash by it', () => {
    const when = () => true
    const rules: Rule[] = [{ id: 'f', then: 'allow', when }]
    expect(() => house({ policy: { default: 'deny', rules } })).toThrow(/version/)
    const [one, two, same] = [1, 2, 1].map((version) => house({ policy: { version, default: 'deny', rules } }))
    expect(one?.haldir.health().policyHash).not.toBe(two?.haldir.health().policyHash)
    expect(one?.haldir.health().policyHash).toBe(same?.haldir.health().policyHash)
  })

  const broken: [string, () => unknown][] = [
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['rejects', async () => Promise.reject(new Error('no'))],
    ['answers a promise of the opposite', async () => false],
    ['answers nothing', () => undefined],
    ['answers something true', () => 'yes'],
  ]
  it.each(broken)('one that %s never helps: its `deny` and `ask` match, its `allow` does not', async (_, when) => {
    proves('invariant-6')
    const condition = when as () => boolean
    const outcomes: string[] = []
    for (const then of ['deny', 'ask', 'allow'] as const) {
      const rules: Rule[] = [{ id: 'broken', then, when: condition }]
      if (then !== 'allow') rules.push({ id: 'base', then: 'allow' })
      const rooms = house({ policy: { version: 1, default: 'deny', rules } })
      const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
      outcomes.push(await judged(rooms, session, 'some'))
    }
    expect(outcomes).toEqual(['policy-denied by broken', 'approval-unavailable by broken', 'policy-denied by default'])
  })
})

describe('`prepare`', () => {
  it('says what `execute` then decides, and takes, mints and records nothing', async () => {
    const rules: Rule[] = (['deny', 'ask', 'allow'] as const).map((then) => ({
      id: then,
      then,
      when: { [`args.${then}`]: true },
    }))
    let minted = 0
    const { haldir, trail } = house({
      policy: policyOf(...rules),
      guards: [async ({ args }) => (args as { guard?: 'ask' | 'deny' }).guard ?? 'allow'],
      ids: () => `id-${minted++}`,
    })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read', 'spend:1000'] })
    const tools = ['read', 'write', 'spend'].map((scope) =>
      governTool({
        framework: 'test',
        name: `needs-${scope}`,
        options: { scope, ...(scope === 'spend' && { cost: ({ cost }: { cost?: number }) => usd(cost ?? 1) }) },
        run: () => 'ran',
      }),
    )
    const flag = fc.option(fc.boolean(), { nil: undefined })
    const args = fc.record({
      deny: flag,
      ask: flag,
      allow: flag,
      guard: fc.constantFrom(undefined, 'ask', 'deny'),
      cost: fc.constantFrom(undefined, 1, -1),
      hostile: fc.constantFrom(undefined, undefined, undefined, () => {}),
    })
    // What chance seldom makes: nothing but a rule that allows, or one that asks.
    const plain = { deny: undefined, allow: true, guard: undefined, cost: undefined, hostile: undefined }
    const reading = tools[0] as (typeof tools)[number]
    const examples = [undefined, true].map((ask): [typeof plain & { ask: typeof ask }, typeof reading, boolean] => [
      { ...plain, ask },
      reading,
      true,
    ])
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(args, fc.constantFrom(...tools), fc.boolean(), async (args, tool, known) => {
        const request: AdapterRequest = known ? { args, session } : { args, session: 'a string' }
        const [lines, ids] = [trail.lines.length, minted]
        const budget = (await session.budget()).map(({ left }) => `${left}`)
        const told = await tool.prepare(request)
        expect([trail.lines.length, minted]).toEqual([lines, ids])
        expect((await session.budget()).map(({ left }) => `${left}`)).toEqual(budget)
        const done = await tool.execute(request)
        seen.add(told.code ?? told.verdict)
        if (done.status === 'ran') {
          expect(told).toMatchObject({ verdict: 'allow' })
          return
        }
        if (done.status !== 'denied') expect.fail('it failed')
        const { code, rule, message } = done.denial
        if (code === 'approval-unavailable') expect(told).toMatchObject({ verdict: 'ask', rule })
        else expect(told).toMatchObject({ verdict: 'deny', code })
        expect(told.rule).toBe(rule)
        expect(message).toContain(told.reason.replace(/\.$/, ''))
      }),
      { numRuns: 300, examples },
    )
    expect([...seen].sort()).toEqual([
      'allow',
      'ask',
      'invalid-arguments',
      'no-session',
      'policy-denied',
      'scope-missing',
    ])
  })
})

describe('`loadPolicy`', () => {
  const first: Policy = { name: 'first', default: 'deny', rules: [{ id: 'one', then: 'allow' }] }
  const second: Policy = { name: 'second', version: '2.0', default: 'deny', rules: [{ id: 'two', then: 'deny' }] }

  it('puts another one in force at once, also for sessions that are there, and records it before its first verdict', async () => {
    proves('policy-swap')
    const rooms = house({ policy: first })
    const { haldir, entries } = rooms
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    expect(await judged(rooms, session, 'some')).toBe('ran by one')
    const { hash } = await haldir.loadPolicy(second)
    expect(haldir.health().policyHash).toBe(hash)
    expect(haldir.surface().policyHash).toBe(hash)
    expect(await judged(rooms, session, 'some')).toBe('policy-denied by two')
    const told = entries().map(({ type, policyHash, data }) => [type, policyHash, data.name, data.version])
    const old = told.find(([type]) => type === 'policy-loaded')?.[1]
    expect(old).not.toBe(hash)
    expect(told).toEqual([
      ['writer-opened', undefined, undefined, undefined],
      ['policy-loaded', old, 'first', undefined],
      ['session-created', undefined, undefined, undefined],
      ['intent', old, undefined, undefined],
      ['outcome', old, undefined, undefined],
      ['policy-loaded', hash, 'second', '2.0'],
      ['refusal', hash, undefined, undefined],
    ])
  })

  it('leaves a call that has begun to the policy that judged it', async () => {
    proves('policy-swap')
    const verdict = Promise.withResolvers<'allow'>()
    const rooms = house({
      policy: first,
      guards: [
        {
          name: 'slow',
          decide: async ({ tool }) => (tool.name === 'slow' ? verdict.promise : 'allow'),
        },
      ],
    })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    const old = rooms.haldir.health().policyHash
    const running = judged(rooms, session, 'slow')
    await rooms.clock.advance(10)
    const { hash } = await rooms.haldir.loadPolicy(second)
    verdict.resolve('allow')
    expect(await running).toBe('ran by one')
    const own = rooms.entries().filter(({ tool }) => tool === 'slow')
    expect(own.map(({ policyHash }) => policyHash)).toEqual([old, old])
    expect(await judged(rooms, session, 'slow')).toBe('policy-denied by two')
    expect(rooms.entries().at(-1)?.policyHash).toBe(hash)
  })

  it('keeps the old one when the new one is not sound', async () => {
    const rooms = house({ policy: first })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    const lines = rooms.trail.lines.length
    const unsound: unknown[] = [
      undefined,
      'deny',
      { rules: [] },
      { default: 'allow', rules: [] },
      { default: 'deny', rules: [{ id: 'a', then: 'perhaps' }] },
      { default: 'deny', rules: [{ id: 'a', then: 'deny', when: { 'args.a': { greater: 1 } } }] },
      { default: 'deny', rules: [{ id: 'a', then: 'deny', when: () => true }] },
    ]
    for (const policy of unsound) {
      const error = await rooms.haldir.loadPolicy(policy as Policy).catch((thrown) => thrown)
      expect(ConfigError.isInstance(error) && error.code).toBe('invalid-policy')
    }
    expect(rooms.trail.lines.length).toBe(lines)
    expect(await judged(rooms, session, 'some')).toBe('ran by one')
  })

  it('keeps the old one when the trail does not take it, and takes it later', async () => {
    proves('policy-swap')
    const trail = memorySink()
    let down = false
    const sink: Sink = {
      ...trail,
      write: (lines) => {
        if (down) throw new Error('disk full')
        return trail.write(lines)
      },
    }
    const clock = fakeClock()
    const { haldir } = house({ policy: first, sinks: [sink], clock })
    const rooms = { haldir, entries: () => entriesOf(trail.lines) }
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const old = haldir.health().policyHash
    down = true
    await expect(haldir.loadPolicy(second)).rejects.toMatchObject({ code: 'unavailable' })
    expect(haldir.health().policyHash).toBe(old)
    down = false
    expect(await judged(rooms, session, 'some')).toBe('ran by one')
    // Whoever reads the trail is not left with a policy that was never in force.
    const last = rooms.entries().findLast(({ type }) => type === 'policy-loaded')
    expect(last?.policyHash).toBe(old)
    await haldir.loadPolicy(second)
    expect(await judged(rooms, session, 'some')).toBe('policy-denied by two')
  })

  it('loaded many at a time: the last one stays, and each call names the one that judged it', async () => {
    proves('policy-swap')
    const trail = memorySink()
    const sink: Sink = {
      ...trail,
      write: (lines) => new Promise<void>((resolve) => setImmediate(() => resolve(trail.write(lines) as undefined))),
    }
    const { haldir } = house({ sinks: [sink], policy: first })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const some = governed(async () => 'ran', { name: 'some', scope: [] })
    const policies = Array.from(
      { length: 20 },
      (_, index): Policy => ({
        name: `p${index}`,
        default: 'deny',
        rules: [{ id: `rule-${index}`, then: 'allow' }],
      }),
    )
    const loads = policies.flatMap((policy) => [haldir.loadPolicy(policy), session.run(() => some())])
    await Promise.all(loads)
    await session.run(() => some())
    const rule = new Map<string, string>()
    const loaded: string[] = []
    for (const { type, policyHash = '', rule: decided, data } of entriesOf(trail.lines)) {
      if (type === 'policy-loaded') {
        loaded.push(String(data.name))
        rule.set(policyHash, String(data.name).replace('p', 'rule-').replace('first', 'one'))
      } else if (type === 'intent') {
        // Recorded before, and by the rule of that very policy.
        expect(rule.get(policyHash)).toBe(decided)
      }
    }
    expect(loaded).toEqual(['first', ...policies.map(({ name }) => name)])
    expect(rule.get(haldir.health().policyHash as string)).toBe('rule-19')
    expect(entriesOf(trail.lines).findLast(({ type }) => type === 'intent')?.rule).toBe('rule-19')
  })

  it('before the first session: the trail has every policy in the order they came into force', async () => {
    const rooms = house({ policy: first })
    const [session] = await Promise.all([
      rooms.haldir.createSession({ agent: 'bot', scopes: [] }),
      rooms.haldir.loadPolicy(second),
    ])
    expect(await judged(rooms, session, 'some')).toBe('policy-denied by two')
    const other = house({ policy: first })
    const [, late] = await Promise.all([
      other.haldir.loadPolicy(second),
      other.haldir.createSession({ agent: 'bot', scopes: [] }),
    ])
    expect(await judged(other, late, 'some')).toBe('policy-denied by two')
    for (const { entries } of [rooms, other]) {
      const loaded = entries().filter(({ type }) => type === 'policy-loaded')
      expect(loaded.at(-1)?.data.name).toBe('second')
    }
  })

  it('two at once, of which the trail refuses the first: the last entry names the one in force', async () => {
    proves('policy-swap')
    const trail = memorySink()
    let refusals = 0
    const sink: Sink = {
      ...trail,
      write: (lines) => {
        if (refusals-- > 0) throw new Error('disk full')
        return trail.write(lines)
      },
    }
    const { haldir } = house({ policy: first, sinks: [sink] })
    await haldir.createSession({ agent: 'bot', scopes: [] })
    refusals = 1
    const third: Policy = { ...second, name: 'third' }
    const loads = await Promise.allSettled([haldir.loadPolicy(second), haldir.loadPolicy(third)])
    expect(loads.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    await haldir.flush()
    const last = entriesOf(trail.lines).findLast(({ type }) => type === 'policy-loaded')
    expect([last?.data.name, last?.policyHash]).toEqual(['third', haldir.health().policyHash])
  })

  it('is refused by a haldir that is closed', async () => {
    const { haldir } = house()
    await haldir.close()
    await expect(haldir.loadPolicy(first)).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('a rule that reads an argument the tool does not have', () => {
  const typo = (tools: string | undefined, then: Rule['then'] = 'deny'): Policy => ({
    default: 'deny',
    rules: [
      { id: 'base', then: 'allow' },
      { id: 'typo', ...(tools && { tools }), then, when: { 'args.amonut': { gt: 5 } } },
    ],
  })
  const refund = () =>
    tool({ inputSchema: z.object({ amount: z.number(), to: z.string() }), execute: async () => 'ran' })
  const options = { toolCallId: 'c', messages: [] } as never
  const args = { amount: 500, to: 'x' }
  const listed = (haldir: Haldir) =>
    haldir.surface().tools.find(({ name, framework }) => name === 'refund' && framework === 'ai-sdk')

  it('is an error at once where the tool is wrapped for this haldir', async () => {
    proves('policy-fits')
    const { haldir } = house({ policy: typo('refund') })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    for (const where of [{ haldir }, { session }, { haldir, session }]) {
      expect(() => governedTools({ refund: refund() }, { refund: { scope: [] } }, where)).toThrow(ConfigError)
      try {
        governedTools(refund(), { name: 'refund', scope: [] }, where)
        expect.fail('it was wrapped')
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid-policy', path: 'rules.1.when.args.amonut.gt' })
        expect(String(error)).toContain('did you mean `amount`')
      }
    }
    expect(listed(haldir)).toBeUndefined()
  })

  it('refuses the calls of a tool that could not be checked before, and says so', async () => {
    proves('policy-fits')
    const rooms = house({ policy: typo('refund', 'allow') })
    const { refund: wrapped } = governedTools({ refund: refund() }, { refund: { scope: [] } })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    expect(await outcomeOf(rooms, () => session.run(async () => wrapped.execute?.(args, options)))).toBe(
      'unavailable by typo',
    )
    expect(listed(rooms.haldir)?.problems[0]).toContain('`amonut`')
    expect(rooms.haldir.health().warnings.join()).toContain('calls of `refund` are refused')
    // Mended, it runs; nothing of the tool has changed.
    await rooms.haldir.loadPolicy(
      policyOf({ id: 'mended', tools: 'refund', then: 'allow', when: { 'args.amount': 500 } }),
    )
    expect(await session.run(async () => wrapped.execute?.(args, options))).toBe('ran')
    expect(rooms.haldir.health().warnings.join()).not.toContain('refused')
  })

  it('can not be loaded for a tool that is bound to this haldir', async () => {
    proves('policy-fits')
    const rooms = house()
    const bound = governedTools({ refund: refund() }, { refund: { scope: [] } }, { haldir: rooms.haldir })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    const call = () => session.run(async () => bound.refund.execute?.(args, options))
    await expect(rooms.haldir.loadPolicy(typo('refund'))).rejects.toMatchObject({ code: 'invalid-policy' })
    expect(rooms.haldir.health().policyHash).toBeUndefined()
    expect(await call()).toBe('ran')
  })

  it.each(['*', 're*', undefined])('is fine in a rule that is for many tools (%s)', async (tools) => {
    const rooms = house({ policy: typo(tools) })
    const bound = governedTools({ refund: refund() }, { refund: { scope: [] } }, { haldir: rooms.haldir })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    expect(await session.run(async () => bound.refund.execute?.(args, options))).toBe('ran')
    expect(listed(rooms.haldir)?.problems).toEqual([])
  })

  it('is not looked for where the arguments have no schema', async () => {
    const rooms = house({ policy: typo('look') })
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    expect(await judged(rooms, session, 'look', { amount: 6 })).toBe('ran by base')
    expect(await judged(rooms, session, 'look', { amonut: 6 })).toBe('policy-denied by typo')
  })
})
