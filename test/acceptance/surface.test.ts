/** Seeing what is governed, and why a call would be decided as it is. */
import { governed as governedTools } from '@haldir/ai-sdk'
import {
  type CallExplanation,
  ConfigError,
  createHaldir,
  type Guard,
  governed,
  type Haldir,
  type HaldirOptions,
  type Policy,
  type Rule,
  type Session,
  usd,
} from '@haldir/core'
import { governTool } from '@haldir/core/adapter'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { tool } from 'ai'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
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
  return { haldir, clock, trail }
}

const listed = (haldir: Haldir, name: string) => haldir.surface().tools.filter((one) => one.name === name)

describe('`surface()`', () => {
  const policy: Policy = {
    default: 'deny',
    rules: [
      { id: 'all', then: 'allow' },
      { id: 'refunds', tools: 's.refund', then: 'ask', when: { 'args.amount': { gt: 5 } } },
      { id: 'others', tools: ['t.*'], then: 'deny' },
      { id: 'bots', tools: 's.*', agents: 'other-*', then: 'deny' },
    ],
  }

  it('lists every tool with what it requires, costs and may use, and the rules about it', () => {
    proves('surface-complete')
    const guards: Guard[] = [{ name: 'opa', decide: async () => 'allow' }]
    const { haldir } = house({ policy, guards })
    const where = { haldir }
    const kept = [
      governed(
        async () => 1,
        { name: 's.look', scope: 'read', annotations: { readOnly: true, labels: { team: 'x' } } },
        where,
      ),
      governed(
        async (_: { amount: number }) => 1,
        {
          name: 's.refund',
          scope: ['spend', 'orders:refund'],
          cost: ({ amount }) => usd(amount),
          once: ({ amount }) => `${amount}`,
          secrets: ['stripe_key'],
        },
        where,
      ),
      governed(async (_: { to: string }) => 1, { name: 's.mail', scope: ({ to }) => `mail:${to}` }, where),
      governed(async () => 1, { name: 's.free', scope: [] }, where),
    ]
    const surface = haldir.surface()
    expect(kept).toHaveLength(4)
    expect(surface).toMatchObject({ mode: 'enforce', guards: ['opa'], policyHash: haldir.health().policyHash })
    const common = {
      framework: 'function',
      governed: true,
      priced: false,
      once: false,
      secrets: [],
      meters: [],
      problems: [],
    }
    const worst = { readOnly: false, destructive: true, idempotent: false, openWorld: true, labels: {} }
    const own = surface.tools.filter(({ name }) => name.startsWith('s.'))
    expect(own).toEqual([
      {
        ...common,
        name: 's.free',
        scopes: [],
        rules: ['all', 'bots'],
        annotations: { ...worst, name: 's.free', framework: 'function' },
      },
      {
        ...common,
        name: 's.look',
        scopes: ['read'],
        rules: ['all', 'bots'],
        annotations: {
          ...worst,
          name: 's.look',
          framework: 'function',
          readOnly: true,
          destructive: false,
          labels: { team: 'x' },
        },
      },
      {
        ...common,
        name: 's.mail',
        rules: ['all', 'bots'],
        annotations: { ...worst, name: 's.mail', framework: 'function' },
      },
      {
        ...common,
        name: 's.refund',
        scopes: ['spend', 'orders:refund'],
        priced: true,
        once: true,
        secrets: ['stripe_key'],
        rules: ['all', 'refunds', 'bots'],
        annotations: { ...worst, name: 's.refund', framework: 'function' },
      },
    ])
    expect(JSON.parse(JSON.stringify(surface))).toMatchObject({ mode: 'enforce' })
  })

  it('lists tools of no haldir in particular for each of them, and no tool of another one', async () => {
    proves('surface-complete')
    const [one, two] = [house().haldir, house({ mode: 'shadow' }).haldir]
    const session = await two.createSession({ agent: 'bot', scopes: [] })
    const kept = [
      governed(async () => 1, { name: 'of-one', scope: [] }, { haldir: one }),
      governed(async () => 1, { name: 'of-two', scope: [] }, { session }),
      governed(async () => 1, { name: 'of-any', scope: [] }),
    ]
    expect(kept.length).toBe(3)
    const names = (haldir: Haldir) =>
      haldir
        .surface()
        .tools.map(({ name }) => name)
        .filter((name) => name.startsWith('of-'))
    expect(names(one)).toEqual(['of-any', 'of-one'])
    expect(names(two)).toEqual(['of-any', 'of-two'])
    expect([one.surface().mode, two.surface().mode]).toEqual(['enforce', 'shadow'])
  })

  it('forgets a tool that nobody can call any more', async () => {
    proves('surface-complete')
    const { haldir } = house()
    let kept: unknown = governed(async () => 1, { name: 'kept', scope: [] }, { haldir })
    const wrap = () =>
      Array.from({ length: 50 }, (_, index) =>
        governed(async () => 1, { name: `gone-${index}`, scope: [] }, { haldir }),
      )
    expect(wrap()).toHaveLength(50)
    for (let turn = 0; turn < 5; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      globalThis.gc?.()
    }
    expect(haldir.surface().tools.filter(({ name }) => name.startsWith('gone-')).length).toBeLessThan(5)
    expect(listed(haldir, 'kept')).toHaveLength(1)
    expect(kept).toBeTypeOf('function')
    kept = undefined
  })

  it('does not list what was refused when it was wrapped', () => {
    const { haldir } = house()
    expect(() => governed(async () => 1, { name: 'unsound', scope: 'a b' }, { haldir })).toThrow(ConfigError)
    expect(listed(haldir, 'unsound')).toEqual([])
  })

  it('lists a tool that can not be governed as such, if the developer says so; else it is an error', async () => {
    proves('surface-complete')
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const another = house().haldir
    const client = tool({ inputSchema: z.object({}) })
    const provider = tool({
      type: 'provider',
      id: 'openai.web_search',
      args: {},
      inputSchema: z.object({}),
      isProviderExecuted: true,
    } as never)
    const tools = { client, provider } as Record<string, { inputSchema: unknown }>
    for (const name of ['client', 'provider']) {
      const bare = tools[name] as never
      expect(() => governedTools(bare, { name: `left-${name}`, scope: [] } as never, { haldir })).toThrow(/`left-/)
      expect(listed(haldir, `left-${name}`)).toEqual([])
      const rule = { name: `left-${name}`, scope: [], ungovernable: 'allow' } as never
      expect(governedTools(bare, rule, name === 'client' ? { haldir } : { session })).toBe(bare)
      expect(listed(haldir, `left-${name}`)).toEqual([
        {
          name: `left-${name}`,
          framework: 'ai-sdk',
          governed: false,
          priced: false,
          once: false,
          secrets: [],
          rules: [],
          meters: [],
          problems: [],
        },
      ])
      expect(listed(another, `left-${name}`)).toEqual([])
    }
    // Leave to go ungoverned is not taken by a tool that can be governed.
    const local = tool({ inputSchema: z.object({}), execute: async () => 'ran' })
    const wrapped = governedTools(local, { name: 'left-not', scope: [], ungovernable: 'allow' }, { haldir })
    expect(wrapped).not.toBe(local)
    expect(listed(haldir, 'left-not')[0]?.governed).toBe(true)
    expect(() => governedTools(client as never, { name: 'c', scope: [], ungovernable: 'yes' } as never)).toThrow(
      ConfigError,
    )
  })
})

describe('`health()`', () => {
  it('says in which mode, under which policy, and what can not be called', async () => {
    const { haldir } = house()
    expect(haldir.health()).toMatchObject({ ok: true, mode: 'enforce', observed: {}, warnings: [] })
    expect(house({ mode: 'shadow' }).haldir.health()).toMatchObject({
      mode: 'shadow',
      warnings: ['shadow mode: nothing is refused'],
    })
    const { hash } = await haldir.loadPolicy({ default: 'deny', rules: [] })
    expect(haldir.health().policyHash).toBe(hash)
  })
})

describe('`explain()`', () => {
  it('says what decides, part by part, for a session that there is or might be', async () => {
    const { haldir } = house({
      policy: {
        default: 'deny',
        rules: [
          { id: 'small', tools: 'e.refund', then: 'allow', when: { 'args.amount': { lte: 50 } } },
          { id: 'night', then: 'deny', when: { 'time.hour': { lt: 6 } } },
          { id: 'trainees', tools: 'e.*', then: 'ask', when: { 'session.attributes.trainee': true } },
        ],
      },
    })
    const kept = governed(async (_: { amount: number }) => 1, { name: 'e.refund', scope: 'orders:refund' }, { haldir })
    expect(kept).toBeTypeOf('function')
    const supposed = { agent: 'bot', scopes: ['orders'] }
    const call = { tool: 'e.refund', args: { amount: 20 }, session: supposed }
    expect(haldir.explain(call)).toMatchObject({
      verdict: 'allow',
      rule: 'small',
      scopes: [{ scope: 'orders:refund', held: true }],
      policy: [
        { agent: 'bot', verdict: 'allow', rules: [{ id: 'small', matches: true, when: { truth: 'true' } }, {}, {}] },
      ],
    })
    expect(haldir.explain({ ...call, args: { amount: 60 } })).toMatchObject({ verdict: 'deny', rule: 'default' })
    expect(haldir.explain({ ...call, at: new Date('2026-01-05T03:00:00Z') })).toMatchObject({ rule: 'night' })
    const trainee = { ...supposed, attributes: { trainee: true } }
    expect(haldir.explain({ ...call, session: trainee })).toMatchObject({ verdict: 'ask', rule: 'trainees' })
    expect(haldir.explain({ ...call, session: { agent: 'bot' } })).toMatchObject({
      verdict: 'deny',
      rule: 'scope:orders:refund',
      scopes: [{ held: false }],
    })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['orders'] })
    expect(haldir.explain({ ...call, session })).toEqual(haldir.explain(call))
    expect(haldir.explain({ ...call, tool: 'unheard-of' })).toMatchObject({ verdict: 'deny', scopes: [] })
    expect(() => JSON.stringify(haldir.explain(call))).not.toThrow()
  })

  it.each<[string, unknown]>([
    ['tool', { session: { agent: 'bot' } }],
    ['args', { tool: 't', args: { f: () => {} }, session: { agent: 'bot' } }],
    ['at', { tool: 't', session: { agent: 'bot' }, at: new Date('never') }],
    ['session.agent', { tool: 't', session: {} }],
    ['session.scopes.0', { tool: 't', session: { agent: 'bot', scopes: ['a b'] } }],
    ['session.scpoes', { tool: 't', session: { agent: 'bot', scpoes: [] } }],
    ['tol', { tol: 't', session: { agent: 'bot' } }],
  ])('refuses what it does not understand, naming `%s`', (path, call) => {
    const { haldir } = house()
    try {
      haldir.explain(call as never)
      expect.fail('it was explained')
    } catch (error) {
      expect(ConfigError.isInstance(error)).toBe(true)
      expect((error as ConfigError).path).toBe(path)
    }
  })

  it('agrees with what a call decides, for any policy, arguments and chain; and touches nothing', async () => {
    proves('explain-true')
    const condition = fc.constantFrom<Rule['when']>(
      undefined,
      { 'args.a': { gt: 1 } },
      { 'args.b': { exists: true } },
      { 'args.b': 'x' },
      { not: { 'args.a': { lte: 2 } } },
      { 'session.depth': { gte: 1 } },
      { 'session.attributes.level': { gt: 1 } },
      { 'tool.readOnly': true },
      { any: [{ 'args.a': 1 }, { 'session.scopes': { contains: 'write' } }] },
    )
    const rule = fc.record({
      tools: fc.constantFrom(undefined, '*', 'p.read', 'p.wr*'),
      agents: fc.constantFrom(undefined, 'root', ['child', 'grandchild']),
      then: fc.constantFrom('allow' as const, 'ask' as const, 'deny' as const),
      when: condition,
    })
    const policies = fc.record({
      default: fc.constantFrom('ask' as const, 'deny' as const),
      rules: fc
        .array(rule, { maxLength: 6 })
        .map((rules) => rules.map((one, index) => ({ id: `r${index}`, ...defined(one) }) as Rule)),
    })
    const args = fc.record(
      { a: fc.constantFrom<unknown>(0, 1, 2, 3, '1', null, 3n), b: fc.constantFrom('x', 'y', null) },
      { requiredKeys: [] },
    )
    const { haldir, trail } = house()
    const root = await haldir.createSession({ agent: 'root', scopes: ['read', 'write'], attributes: { level: 1 } })
    const child = await root.delegate({ agent: 'child', scopes: ['read', 'write'], attributes: { level: 2 } })
    const grandchild = await child.delegate({ agent: 'grandchild', scopes: ['read'] })
    const tools = (['read', 'write'] as const).map((scope) =>
      governTool(
        {
          framework: 'test',
          name: `p.${scope}`,
          options: { scope, annotations: { readOnly: scope === 'read' } },
          run: () => 'ran',
        },
        { haldir },
      ),
    )
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(policies, args, fc.nat(1), fc.nat(2), async (policy, args, which, who) => {
        await haldir.loadPolicy(policy)
        const session = [root, child, grandchild][who] as Session
        const lines = trail.lines.length
        const told = haldir.explain({ tool: which ? 'p.write' : 'p.read', args, session })
        expect(trail.lines.length).toBe(lines)
        const done = await tools[which]?.execute({ args, session })
        seen.add(told.verdict)
        expect([told.verdict, told.rule]).toEqual(decided(done as never, trail.lines))
        if (who === 0) {
          const { agent, scopes, attributes } = session
          const supposed = haldir.explain({
            tool: which ? 'p.write' : 'p.read',
            args,
            session: { agent, scopes, attributes },
          })
          expect(supposed).toEqual(told)
        }
      }),
      { numRuns: 400 },
    )
    expect(seen).toEqual(new Set(['allow', 'ask', 'deny']))
  })

  it('knows what a payment requires and is, though nobody wraps it', async () => {
    proves('explain-true')
    const { haldir } = house({
      policy: {
        default: 'allow',
        allowByDefault: true,
        rules: [{ id: 'risky', when: { 'tool.destructive': true }, then: 'deny' }],
      },
    })
    const call = { tool: 'payments.authorize', args: { amount: 5, currency: 'USD', description: 'a book' } }
    for (const scopes of [['spend:50'], ['read']]) {
      const session = await haldir.createSession({ agent: 'bot', scopes })
      const paid = await haldir.payments.authorize(session, { amount: usd(5), description: 'a book' }).then(
        () => 'default',
        ({ rule }) => rule,
      )
      expect(haldir.explain({ ...call, session }).rule).toBe(paid)
    }
  })

  it('says that a call is refused whose rule does not fit the tool', async () => {
    proves('explain-true')
    const { haldir } = house({
      policy: {
        default: 'deny',
        rules: [{ id: 'typo', tools: 'fit', then: 'allow', when: { 'args.amonut': { exists: false } } }],
      },
    })
    const execute = async () => 'ran'
    const fit = governedTools(tool({ inputSchema: z.object({ amount: z.number() }), execute }), {
      name: 'fit',
      scope: [],
    })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const told = haldir.explain({ tool: 'fit', args: { amount: 1 }, session })
    expect(told).toMatchObject({ verdict: 'deny', rule: 'typo' })
    expect(told.reason).toContain('`amonut`')
    const call = session.run(async () => fit.execute?.({ amount: 1 }, { toolCallId: 'c', messages: [] } as never))
    await expect(call).rejects.toMatchObject({ code: 'unavailable', rule: 'typo' })
  })

  it('takes nothing on meters, and works while the store is down', async () => {
    const clock = fakeClock()
    const memory = memoryStore({ clock })
    let down = false
    const store = new Proxy(memory, {
      get: (target, verb) => {
        if (down) throw new Error('down')
        return Reflect.get(target, verb)
      },
    })
    const { haldir } = house({ store, clock })
    const kept = governed(async () => 1, { name: 'dear', scope: 'spend', cost: usd(30), once: () => 'x' }, { haldir })
    expect(kept).toBeTypeOf('function')
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    down = true
    const told: CallExplanation[] = []
    for (let turn = 0; turn < 3; turn++) told.push(haldir.explain({ tool: 'dear', session }))
    down = false
    expect(told.map(({ verdict }) => verdict)).toEqual(['allow', 'allow', 'allow'])
    expect(`${(await session.budget())[0]?.left}`).toBe('50 USD')
  })
})

function defined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Partial<T>
}

/** What a call came to, in the words of an explanation. */
function decided(done: Awaited<ReturnType<ReturnType<typeof governTool>['execute']>>, lines: readonly string[]) {
  if (done.status !== 'denied') return ['allow', entriesOf(lines.slice(-2))[0]?.rule]
  const { code, rule } = done.denial
  return [code === 'approval-unavailable' ? 'ask' : 'deny', rule]
}

describe('the meters of a tool', () => {
  it('stand in its surface, as refusals name them', () => {
    const { haldir } = house({
      meters: [
        { unit: 'calls', per: 'tenant', limit: 1_000, window: 'month' },
        { unit: 'calls', per: 'session', limit: 2, every: '1m', tools: 'm.mail*', name: 'mail' },
      ],
    })
    const kept = governed(
      { 'm.mail': async () => 1, 'm.look': async () => 1 },
      { 'm.mail': { scope: [] }, 'm.look': { scope: [] } },
      { haldir },
    )
    const meters = haldir.surface().tools.filter(({ name }) => Object.hasOwn(kept, name))
    expect(meters.map(({ name, meters }) => [name, meters])).toEqual([
      ['m.look', ['quota:calls/month@tenant']],
      ['m.mail', ['quota:calls/month@tenant', 'mail']],
    ])
  })
})
