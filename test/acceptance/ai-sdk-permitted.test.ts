/** `permitted`: what a model is shown of a set of tools. It hides nothing that could be called, and it is no gate. */
import { type GovernableTool, governed, permitted } from '@haldir/ai-sdk'
import { createHaldir, type Haldir, type HaldirOptions, type Rule, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { fakeClock } from '@haldir/testing'
import { generateText, stepCountIs, tool } from 'ai'
import * as sdk6 from 'ai6'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedModel, scriptedModel6 } from '../contracts/ai-sdk-model.ts'
import { proves } from '../promises.ts'
import { misuse } from './scene.ts'

const open: Haldir[] = []
afterEach(() => Promise.all(open.splice(0).map((haldir) => haldir.close())))

function house(options: HaldirOptions = {}): Haldir {
  const haldir = createHaldir({ sinks: [memorySink()], ...options })
  open.push(haldir)
  return haldir
}

const bare = () => tool({ inputSchema: z.object({}).loose(), execute: async (args) => args })

const rules = {
  read: { scope: 'read' },
  remove: { scope: ['read', 'files:delete'] },
  pay: { scope: 'spend', cost: usd(1) },
  any: { scope: [] },
  ofArgs: { scope: ({ as }: { as?: unknown }) => String(as) },
}

function toolsOf(haldir?: Haldir) {
  const tools = { read: bare(), remove: bare(), pay: bare(), any: bare(), ofArgs: bare() }
  return governed(tools, rules, haldir ? { haldir } : {})
}

const names = (tools: object) => Object.keys(tools)

describe('`permitted`', () => {
  it('answers the tools whose scopes the session holds, in their order, and the very same ones', async () => {
    proves('scoped-permissions', 'shown-is-permitted')
    const haldir = house()
    const tools = toolsOf(haldir)
    const given = async (...scopes: string[]) =>
      names(permitted(tools, await haldir.createSession({ agent: 'bot', scopes })))
    expect(await given()).toEqual(['any', 'ofArgs'])
    expect(await given('read')).toEqual(['read', 'any', 'ofArgs'])
    expect(await given('read', 'files', 'spend:5')).toEqual(['read', 'remove', 'pay', 'any', 'ofArgs'])
    expect(await given('*')).toEqual(['read', 'remove', 'any', 'ofArgs'])
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const shown = permitted(tools, session)
    expect(shown.read).toBe(tools.read)
    expect(names(tools)).toEqual(names(rules))
  })

  it('heeds every identity in the chain', async () => {
    proves('invariant-9')
    const haldir = house({
      policy: { default: 'deny', rules: [{ id: 'a', tools: ['read', 'any'], agents: 'parent', then: 'allow' }] },
    })
    const tools = toolsOf(haldir)
    const parent = await haldir.createSession({ agent: 'parent', scopes: ['read'] })
    expect(names(permitted(tools, parent))).toEqual(['read', 'any'])
    const child = await parent.delegate({ agent: 'child', scopes: ['read'] })
    expect(names(permitted(tools, child))).toEqual([])
    await haldir.loadPolicy({ default: 'deny', rules: [{ id: 'a', tools: 'read', agents: 'child', then: 'allow' }] })
    expect(names(permitted(tools, child))).toEqual([])
    await haldir.loadPolicy({ default: 'deny', rules: [{ id: 'a', tools: 'read', then: 'ask' }] })
    expect(names(permitted(tools, child))).toEqual(['read'])
  })

  it('hides what a policy denies whatever the arguments, and shows what depends on them', async () => {
    const haldir = house({
      policy: {
        default: 'allow',
        allowByDefault: true,
        rules: [
          { id: 'a', tools: 'read', then: 'deny' },
          { id: 'b', tools: 'any', when: { 'args.path': { startsWith: '/etc' } }, then: 'deny' },
          { id: 'c', tools: 'ofArgs', when: { 'session.attributes.team': 'ops' }, then: 'deny' },
        ],
      },
    })
    const tools = toolsOf(haldir)
    const attributes = { team: 'ops' }
    const ops = await haldir.createSession({ agent: 'bot', scopes: ['read', 'files'], attributes })
    expect(names(permitted(tools, ops))).toEqual(['remove', 'any'])
    const other = await haldir.createSession({ agent: 'bot', scopes: ['read', 'files'] })
    expect(names(permitted(tools, other))).toEqual(['remove', 'any', 'ofArgs'])
  })

  it('is as of now: by the clock of the haldir, and by the policy in force', async () => {
    const clock = fakeClock(Date.parse('2026-01-05T08:59:00Z'))
    const rule: Rule = { id: 'hours', when: { 'time.hour': { gte: 9 } }, then: 'allow' }
    const haldir = house({ clock, policy: { default: 'deny', rules: [rule] } })
    const tools = governed({ any: bare() }, { any: { scope: [] } }, { haldir })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    expect(names(permitted(tools, session))).toEqual([])
    await clock.advance(60_000)
    expect(names(permitted(tools, session))).toEqual(['any'])
  })

  it('hides a tool that every call is refused of because a rule does not fit it', async () => {
    const haldir = house()
    const strict = tool({ inputSchema: z.object({ q: z.string() }), execute: async () => 1 })
    const tools = governed({ strict }, { strict: { scope: [] } })
    const policy = {
      default: 'allow',
      allowByDefault: true,
      rules: [{ id: 'a', tools: 'strict', when: { 'args.query': 'x' }, then: 'deny' }],
    } as const
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    expect(names(permitted(tools, session))).toEqual(['strict'])
    const misfit = house({ policy })
    const elsewhere = await misfit.createSession({ agent: 'bot', scopes: [] })
    expect(names(permitted(tools, elsewhere))).toEqual([])
  })

  it('permits nothing to a session that is over, or whose haldir is closed', async () => {
    proves('instant-revoke')
    const clock = fakeClock()
    const haldir = house({ clock })
    const remote = {
      type: 'provider',
      id: 'acme.search',
      args: {},
      isProviderExecuted: true,
      inputSchema: z.object({}),
    }
    const tools = governed(
      { any: bare(), remote: remote as GovernableTool },
      { any: { scope: [] }, remote: { scope: [], ungovernable: 'allow' } },
      { haldir },
    )
    const revoked = await haldir.createSession({ agent: 'bot', scopes: [] })
    expect(names(permitted(tools, revoked))).toEqual(['any', 'remote'])
    await revoked.revoke()
    expect(names(permitted(tools, revoked))).toEqual([])
    const short = await haldir.createSession({ agent: 'bot', scopes: [], ttl: '1m' })
    await clock.advance(60_000)
    expect(names(permitted(tools, short))).toEqual([])
    const closed = await haldir.createSession({ agent: 'bot', scopes: [] })
    await haldir.close()
    expect(names(permitted(tools, closed))).toEqual([])
  })

  it('permits nothing to a session that the tools do not belong to', async () => {
    const [one, other] = [house(), house()]
    const [mine, theirs] = (await Promise.all(
      [one, one, other].map((haldir) => haldir.createSession({ agent: 'bot', scopes: [] })),
    )) as [Session, Session, Session]
    const own = governed({ any: bare() }, { any: { scope: [] } }, { session: mine })
    expect([names(permitted(own, mine)), names(permitted(own, theirs))]).toEqual([['any'], []])
    const atOne = governed({ any: bare() }, { any: { scope: [] } }, { haldir: one })
    const stranger = await other.createSession({ agent: 'bot', scopes: [] })
    expect([names(permitted(atOne, theirs)), names(permitted(atOne, stranger))]).toEqual([['any'], []])
  })

  it('in shadow mode leaves nothing out', async () => {
    proves('shadow-runs')
    const haldir = house({ mode: 'shadow', policy: { default: 'deny', rules: [] } })
    const tools = toolsOf(haldir)
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    expect(names(permitted(tools, session))).toEqual(names(rules))
    const other = await haldir.createSession({ agent: 'other', scopes: [] })
    const inBrowser = tool({ inputSchema: z.object({}), outputSchema: z.string() })
    const bound = governed(
      { any: bare(), inBrowser },
      { any: { scope: [] }, inBrowser: { scope: [], ungovernable: 'allow' } },
      { session: other },
    )
    await session.revoke()
    expect(names(permitted(tools, session))).toEqual(names(rules))
    expect(names(permitted(bound, session))).toEqual(['any', 'inBrowser'])
  })

  it('leaves out what runs elsewhere when its scope is missing: nothing else can be done about it', async () => {
    const haldir = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const inBrowser = () => tool({ inputSchema: z.object({}), outputSchema: z.string() })
    const tools = governed(
      { reads: inBrowser(), manages: inBrowser() },
      { reads: { scope: 'read', ungovernable: 'allow' }, manages: { scope: 'admin', ungovernable: 'allow' } },
      { haldir },
    )
    expect(names(permitted(tools, session))).toEqual(['reads'])
    const misspelt = { inBrowser: { scope: 'read', scopes: 'admin', ungovernable: 'allow' } } as never
    expect(await misuse(() => governed({ inBrowser: inBrowser() }, misspelt, { haldir }))).toMatchObject({
      path: 'inBrowser.scopes',
    })
  })

  it('takes a tool that is not governed for a slip, and anything but a session', async () => {
    const haldir = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const tools = governed({ any: bare() }, { any: { scope: [] } }, { haldir })
    const mixed = await misuse(() => permitted({ ...tools, plain: bare() }, session))
    expect(mixed).toMatchObject({ code: 'ungovernable', path: 'plain' })
    const inBrowser = tool({ inputSchema: z.object({}), outputSchema: z.string() })
    expect(await misuse(() => permitted({ inBrowser }, session))).toMatchObject({ code: 'ungovernable' })
    for (const nobody of [session.token, session.id, undefined, {}]) {
      expect(await misuse(() => permitted(tools, nobody as never))).toMatchObject({ path: 'session' })
    }
    expect(await misuse(() => permitted(undefined as never, session))).toMatchObject({ path: 'tools' })
  })

  it('knows a governed tool that was copied, and takes nothing and records nothing', async () => {
    const sink = memorySink()
    const haldir = house({ sinks: [sink] })
    const tools = toolsOf(haldir)
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1'] })
    const before = sink.lines.length
    expect(names(permitted({ pay: { ...tools.pay, description: 'pays' } }, session))).toEqual(['pay'])
    expect(sink.lines).toHaveLength(before)
    expect((await session.budget())[0]?.held.decimal).toBe('0')
  })

  it('is what the model is told of, and the gate still decides', async () => {
    const haldir = house()
    const tools = toolsOf(haldir)
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const calls = [
      { tool: 'read', args: {} },
      { tool: 'ofArgs', args: { as: 'admin' } },
    ]
    const loops = [
      [scriptedModel(calls), generateText],
      [scriptedModel6(calls), sdk6.generateText as unknown as typeof generateText],
    ] as const
    for (const [model, generate] of loops) {
      const shown = permitted(tools, session)
      const { steps } = await session.run(() =>
        generate({
          model: model as ReturnType<typeof scriptedModel>,
          tools: shown,
          prompt: 'x',
          stopWhen: stepCountIs(2),
        }),
      )
      expect(model.doGenerateCalls[0]?.tools?.map(({ name }) => name)).toEqual(['read', 'any', 'ofArgs'])
      expect(steps[0]?.content.filter(({ type }) => type === 'tool-error')).toMatchObject([
        { toolName: 'ofArgs', error: { code: 'scope-missing' } },
      ])
    }
  })
})

describe('whatever the session and the policy', () => {
  const scope = fc.constantFrom('read', 'files', 'files:delete', 'mail:*', '*', 'spend:5')
  const condition = fc.constantFrom<Rule['when']>(
    { 'args.n': { gt: 1 } },
    { 'args.n': { exists: true } },
    { 'args.as': 'read' },
    { 'session.attributes.team': 'ops' },
    { 'session.depth': 0 },
    { 'tool.readOnly': true },
    { not: { 'args.n': 2 } },
    { any: [{ 'session.agent': 'child' }, { 'args.n': 1 }] },
    { all: [{ 'session.depth': { gt: 0 } }, { 'args.n': 1 }] },
  )
  const rule = fc.record(
    {
      tools: fc.subarray(names(rules), { minLength: 1 }),
      agents: fc.constantFrom('parent', 'child', '*'),
      when: condition,
      unless: condition,
      then: fc.constantFrom('allow', 'ask', 'deny'),
    },
    { requiredKeys: ['then'] },
  )
  const args = fc.record({ n: fc.constantFrom(1, 2, 'x', null), as: scope }, { requiredKeys: [] })

  it('hides no tool of which the gate would let some call through', async () => {
    proves('explain-true')
    let hidden = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('allow', 'ask', 'deny'),
        fc.array(rule, { maxLength: 4 }),
        fc.uniqueArray(scope, { maxLength: 4 }),
        fc.boolean(),
        fc.array(args, { minLength: 4, maxLength: 6 }),
        async (fallback, given, scopes, delegated, calls) => {
          const numbered = given.map((one, index) => ({ id: `rule-${index}`, ...one })) as Rule[]
          const byDefault =
            fallback === 'allow' ? ({ default: 'allow', allowByDefault: true } as const) : { default: fallback }
          await using haldir = createHaldir({
            sinks: [memorySink()],
            policy: { ...byDefault, rules: numbered } as never,
          })
          const tools = toolsOf(haldir)
          const attributes = { team: 'ops' }
          const parent = await haldir.createSession({ agent: 'parent', scopes, attributes })
          const session = delegated ? await parent.delegate({ agent: 'child', scopes: scopes.slice(1) }) : parent
          const shown = permitted(tools, session)
          for (const [name, one] of Object.entries(tools)) {
            if (name in shown) continue
            hidden++
            for (const call of calls) {
              const options = { toolCallId: 'c', messages: [], context: undefined as never }
              const refused = session.run(() => one.execute(call, options)) as Promise<unknown>
              await expect(refused).rejects.toMatchObject({ code: /scope-missing|policy-denied|invalid-arguments/ })
            }
          }
        },
      ),
      { numRuns: 100 },
    )
    expect(hidden).toBeGreaterThan(50)
  })
})
