/** Runs of the OpenAI Agents SDK that wait for a person: interrupted, written down, and resumed in another process. */
import { governed as governedFunction, type Haldir, type Policy, type Session, usd } from '@haldir/core'
import { decideInterruptions, governed } from '@haldir/openai/agents'
import type * as Sdk from '@openai/agents'
import type * as Testing from '@openai/agents/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { proves } from '../promises.ts'
import { fleet, STORES } from './scene.ts'

const policy: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', because: 'large payments' }],
}
const RULE = { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }

type Step = ConstructorParameters<typeof Testing.ScriptedModel>[0] extends Iterable<infer S> | undefined ? S : never
type Calls = readonly (readonly [name: string, args: unknown])[]

export function agentsApprovals(sdk: typeof Sdk, testing: typeof Testing): void {
  const { Agent, Runner, RunState, tool } = sdk
  const runner = new Runner({ tracingDisabled: true })
  const DONE = [testing.assistantMessage('done')]
  const parameters = z.object({ amount: z.number(), currency: z.string().default('USD') })

  /** Each call with an id of its own; text is what the model wrote. */
  const said = (calls: Calls) =>
    calls.map(([name, args], index) => ({
      ...testing.functionCall(name, {}, { callId: `${name}-${index}` }),
      arguments: typeof args === 'string' ? args : JSON.stringify(args),
    }))

  async function scene(
    calls: Calls,
    { own, kind = 'memory' }: { own?: (args: any) => boolean; kind?: (typeof STORES)[number] } = {},
  ) {
    const shared = fleet(kind)
    const options = { policy, approvals: { mode: 'suspend' } } as const
    const [one, two] = [shared.house(options), shared.house(options)]
    const session = await one.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
    const ran: unknown[] = []
    const agentOf = (haldir: Haldir, ...turns: Step[]) => {
      const pay = tool({
        name: 'pay',
        description: 'pays',
        parameters,
        ...(own && { needsApproval: async (_: unknown, args: unknown) => own(args) }),
        execute: async (args) => {
          ran.push(args)
          return `paid ${args.amount}`
        },
      })
      const model = new testing.ScriptedModel(turns)
      const agent = new Agent({ name: 'agent', model, tools: [governed(pay, { name: 'pay', ...RULE }, { haldir })] })
      return { agent, model }
    }
    const begun = { ...one, ...agentOf(one.haldir, said(calls), DONE) }
    const first = await session.run(() => runner.run(begun.agent, 'go on'))
    const there = await two.haldir.attach(session.token)
    const asked = () => two.haldir.approvals.list({ session: session.id })
    return {
      ...two,
      clock: shared.clock,
      session,
      there,
      ran,
      first,
      asked,
      begun,
      /** What is kept of the run. */
      kept: first.state.toString(),
      async decide(amount: number, say: object) {
        const found = (await asked()).find(({ args }) => (args as { amount: number }).amount === amount)
        const whole = { by: 'alice', ...say } as { by: string; approve: boolean }
        return two.haldir.approvals.decide(found?.id as string, whole)
      },
      /** Another process goes on with what was kept: as people have decided, or as something else says. */
      async goOn(kept: string, tell?: (state: any) => unknown) {
        const { agent, model } = agentOf(two.haldir, DONE)
        return there.run(async () => {
          const state = await RunState.fromString(agent, kept)
          const decided = await (tell ?? ((one) => decideInterruptions(one, { session: there })))(state)
          const result = await runner.run(agent, state)
          return { decided, result, read: readBy(model), again: result.state.toString() }
        })
      },
    }
  }

  function readBy(model: Testing.ScriptedModel): unknown[] {
    const { input } = model.lastCall?.request ?? { input: '' }
    const results = Array.isArray(input) ? input.filter((item) => item.type === 'function_call_result') : []
    return results.map(({ output }) => (output as { text?: string }).text ?? output)
  }

  const approveAll = (state: any) => {
    for (const item of state.getInterruptions()) state.approve(item)
  }

  describe('a run that waits for a person', () => {
    it.each(STORES)('is interrupted, and goes on after a yes in another process (%s)', async (kind) => {
      proves('invariant-8')
      const { first, asked, decide, goOn, kept, ran, entries } = await scene([['pay', { amount: 20 }]], { kind })
      expect(first.interruptions).toHaveLength(1)
      expect(await asked()).toMatchObject([
        {
          state: 'pending',
          tool: 'pay',
          ref: 'pay-0',
          args: { amount: 20, currency: 'USD' },
          reason: 'large payments',
        },
      ])
      await decide(20, { approve: true })
      const { decided, result, read } = await goOn(kept)
      expect([decided, read, result.finalOutput]).toEqual([true, ['paid 20'], 'done'])
      expect(ran).toEqual([{ amount: 20, currency: 'USD' }])
      expect(entries('approval-used')).toHaveLength(1)
    })

    it('in the same process, too', async () => {
      const { first, begun, decide, session, ran } = await scene([['pay', { amount: 20 }]])
      await session.run(async () => {
        expect(await decideInterruptions(first.state)).toBe(false)
        await decide(20, { approve: true })
        expect(await decideInterruptions(first.state)).toBe(true)
        expect((await runner.run(begun.agent, first.state)).finalOutput).toBe('done')
      })
      expect(ran).toHaveLength(1)
    })

    it('asks people once, and asks again for nothing, while nobody has decided', async () => {
      const { asked, goOn, kept, ran } = await scene([['pay', { amount: 20 }]])
      const still = await goOn(kept)
      expect([still.decided, still.result.interruptions.length]).toEqual([false, 1])
      expect((await goOn(still.again)).result.interruptions).toHaveLength(1)
      expect([(await asked()).length, ran]).toEqual([1, []])
    })

    it('runs nothing for a yes that only the state knows of', async () => {
      const { goOn, kept, ran, decide } = await scene([['pay', { amount: 20 }]])
      const forged = await goOn(kept, approveAll)
      expect(forged.read).toEqual([
        'Suspended (approval-pending): large payments; a person has been asked, and nothing has run. Do not repeat this call; go on with other work.',
      ])
      const always = (state: any) => state.approve(state.getInterruptions()[0], { alwaysApprove: true })
      expect((await goOn(kept, always)).read).toEqual([expect.stringMatching(/^Suspended /)])
      expect(ran).toEqual([])
      await decide(20, { approve: false })
      expect((await goOn(kept, approveAll)).read).toEqual([expect.stringMatching(/^Denied \(approval-denied\)/)])
      expect(ran).toEqual([])
    })

    it('runs nothing for a state with other arguments', async () => {
      const { goOn, kept, ran, decide } = await scene([['pay', { amount: 20 }]])
      await decide(20, { approve: true })
      const tampered = kept.replaceAll('{\\"amount\\":20}', '{\\"amount\\":999}')
      expect(tampered).not.toBe(kept)
      for (const tell of [undefined, approveAll]) {
        // Newer versions notice by themselves that something has changed.
        const read = await goOn(tampered, tell).then(
          ({ read }) => read,
          (error) => [String(error)],
        )
        expect(read).toEqual([
          expect.stringMatching(/^Denied \(approval-denied\): what was approved is another|changed/),
        ])
      }
      expect(ran).toEqual([])
      expect((await goOn(kept)).read).toEqual(['paid 20'])
    })

    it('runs nothing again from the same state', async () => {
      const { goOn, kept, ran, decide } = await scene([['pay', { amount: 20 }]])
      await decide(20, { approve: true })
      await goOn(kept)
      const again = 'Denied (duplicate-call): the approval of this call has been used already. Do not repeat this call.'
      expect((await goOn(kept)).read).toEqual([again])
      expect((await goOn(kept, approveAll)).read).toEqual([again])
      expect(ran).toHaveLength(1)
    })

    it('of calls at once runs those with a yes, the others not, and those that nobody is asked about at once', async () => {
      const calls = [20, 5, 30].map((amount) => ['pay', { amount }] as const)
      const { goOn, kept, ran, decide, first } = await scene(calls)
      expect([first.interruptions.length, ran]).toEqual([2, [{ amount: 5, currency: 'USD' }]])
      await decide(20, { approve: true })
      const { decided, result, again } = await goOn(kept)
      expect([decided, result.interruptions.length, ran.length]).toEqual([false, 1, 2])
      await decide(30, { approve: false, reason: 'too much' })
      const { read } = await goOn(again)
      expect([...read].sort()).toEqual([
        'Denied (approval-denied): a person has denied it: too much. Do not ask again for the same action.',
        'paid 20',
        'paid 5',
      ])
      expect(ran).toHaveLength(2)
    })

    it('runs what an approver has made of it', async () => {
      const { goOn, kept, ran, decide } = await scene([['pay', { amount: 20 }]])
      await decide(20, { approve: true, args: { amount: 12, currency: 'EUR' } })
      expect((await goOn(kept)).read).toEqual(['paid 12'])
      expect(ran).toEqual([{ amount: 12, currency: 'EUR' }])
    })

    it('is told when it is too late, and when its session was revoked', async () => {
      const late = await scene([['pay', { amount: 20 }]])
      await late.clock.advance(86_400_001)
      expect((await late.goOn(late.kept)).read).toEqual([expect.stringMatching(/^Denied \(approval-expired\)/)])
      const revoked = await scene([['pay', { amount: 20 }]])
      await revoked.decide(20, { approve: true })
      await revoked.session.revoke('stop')
      expect((await revoked.goOn(revoked.kept)).read).toEqual([expect.stringMatching(/^Denied \(session-revoked\)/)])
      expect([late.ran, revoked.ran]).toEqual([[], []])
    })

    it('may be the one that another turn of the policy denies, or lets pass', async () => {
      const denied = await scene([['pay', { amount: 20 }]])
      await denied.decide(20, { approve: true })
      await denied.haldir.loadPolicy({ ...policy, rules: [{ id: 'no', tools: 'pay', then: 'deny' }] })
      expect((await denied.goOn(denied.kept)).read).toEqual([expect.stringMatching(/^Denied \(policy-denied\)/)])
      const passes = await scene([['pay', { amount: 20 }]])
      await passes.haldir.loadPolicy({ ...policy, rules: [] })
      expect((await passes.goOn(passes.kept)).read).toEqual(['paid 20'])
      expect([denied.ran.length, passes.ran.length]).toEqual([0, 1])
    })
  })

  describe('what does not wait', () => {
    it('is what is refused anyway: the run goes on, whoever else may wish for approval, and it is on record once', async () => {
      const refused = [{ amount: 2_000 }, { amount: 20, currency: 7 }].map((args) => ['pay', args] as const)
      const { first, begun, asked, ran } = await scene(refused, { own: () => true })
      expect([first.finalOutput, await asked(), ran]).toEqual(['done', [], []])
      expect(readBy(begun.model)).toEqual([
        expect.stringMatching(/^Denied \(budget-exceeded\)/),
        expect.stringMatching(/^Denied \(invalid-arguments\)/),
      ])
      expect(
        begun
          .entries('refusal')
          .map(({ code }) => code)
          .sort(),
      ).toEqual(['budget-exceeded', 'invalid-arguments'])
    })

    it('is a tool’s own wish for approval, which is the application’s to answer', async () => {
      const { first, goOn, kept, asked, ran } = await scene([['pay', { amount: 5 }]], {
        own: ({ amount }) => amount > 3,
      })
      expect([first.interruptions.length, await asked()]).toEqual([1, []])
      const { decided, result, again } = await goOn(kept)
      expect([decided, result.interruptions.length, ran]).toEqual([false, 1, []])
      expect((await goOn(again, approveAll)).read).toEqual(['paid 5'])
    })

    it.each(['{"amount": 20', '[20]', '20', '"20"', 'null'])('is %s, though the SDK may pause for it', async (text) => {
      const { first, goOn, begun, kept, asked, ran } = await scene([['pay', text]])
      const { decided, read } =
        first.interruptions.length > 0 ? await goOn(kept) : { decided: true, read: readBy(begun.model) }
      expect([decided, ran, await asked()]).toEqual([true, [], []])
      expect(read).toEqual([expect.stringMatching(/^Denied \(invalid-arguments\)|while parsing tool arguments/)])
    })

    it('is, where nothing is suspended, just what it was: the SDK answers such text itself', async () => {
      const { haldir } = fleet('memory').house({ policy })
      const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] })
      const bare = tool({ name: 'pay', description: '', parameters, execute: async () => 'paid' })
      const wrapped = governed(bare, { name: 'pay', ...RULE }, { haldir, session })
      expect(wrapped.needsApproval).toBe(bare.needsApproval)
      const model = new testing.ScriptedModel([said([['pay', '{"amount": 20']]), DONE])
      const result = await runner.run(new Agent({ name: 'agent', model, tools: [wrapped] }), 'go on')
      expect([result.finalOutput, result.interruptions]).toEqual(['done', []])
    })

    it('is a call that a grant is for', async () => {
      const granting = policy.rules.map((rule) => ({ ...rule, grant: { for: '15m', args: [] } }))
      const { haldir } = fleet('memory').house({
        policy: { ...policy, rules: granting },
        approvals: { mode: 'suspend' },
      })
      const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] })
      const bare = tool({ name: 'pay', description: '', parameters, execute: async ({ amount }) => `paid ${amount}` })
      const wrapped = governed(bare, { name: 'pay', ...RULE }, { haldir, session })
      const turns = [
        said([['pay', { amount: 20 }]]),
        said([
          ['none', {}],
          ['pay', { amount: 30 }],
        ]).slice(1),
        DONE,
      ]
      const model = new testing.ScriptedModel(turns)
      const agent = new Agent({ name: 'agent', model, tools: [wrapped] })
      const { state } = await runner.run(agent, 'go on')
      const [asked] = await haldir.approvals.list()
      await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice', grant: true })
      expect(await decideInterruptions(state)).toBe(true)
      const { finalOutput } = await runner.run(agent, state)
      expect([finalOutput, readBy(model)]).toEqual(['done', ['paid 20', 'paid 30']])
    })
  })

  it('a governed function within a tool is answered with what it is suspended with', async () => {
    const { haldir, there } = await scene([['pay', { amount: 5 }]])
    const transfer = governedFunction(async (_: { amount: number }) => 'sent', { name: 'pay', ...RULE }, { haldir })
    const outer = tool({
      name: 'outer',
      description: '',
      parameters,
      execute: async ({ amount }) => transfer({ amount }),
    })
    const model = new testing.ScriptedModel([said([['outer', { amount: 50 }]]), DONE])
    const wrapped = governed(outer, { name: 'outer', scope: [] }, { haldir })
    await there.run(() => runner.run(new Agent({ name: 'agent', model, tools: [wrapped] }), 'go on'))
    expect(readBy(model)).toEqual([expect.stringMatching(/^Suspended \(approval-pending\): large payments/)])
  })

  it('within a nested agent goes on in another process', async () => {
    const shared = fleet('memory')
    const options = { policy, approvals: { mode: 'suspend' } } as const
    const [one, two] = [shared.house(options).haldir, shared.house(options).haldir]
    const session = await one.createSession({ agent: 'bot', scopes: ['spend:1000'] })
    const ran: unknown[] = []
    const agentOf = (haldir: Haldir, ...turns: Step[]) => {
      const execute = async (args: unknown) => {
        ran.push(args)
        return 'paid'
      }
      const pay = tool({ name: 'pay', description: '', parameters, execute })
      const inner = new Agent({
        name: 'inner',
        model: new testing.ScriptedModel([said([['pay', { amount: 20 }]]), DONE].slice(turns.length === 1 ? 1 : 0)),
        tools: [governed(pay, { name: 'pay', ...RULE }, { haldir })],
      })
      return new Agent({
        name: 'outer',
        model: new testing.ScriptedModel(turns),
        tools: [inner.asTool({ toolName: 'asks', toolDescription: '' })],
      })
    }
    const first = await session.run(() => runner.run(agentOf(one, said([['asks', { input: 'x' }]]), DONE), 'go on'))
    expect(first.interruptions).toHaveLength(1)
    const [asked] = await two.approvals.list({ session: session.id })
    await two.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    const agent = agentOf(two, DONE)
    const there: Session = await two.attach(session.token)
    const state = await RunState.fromString(agent, first.state.toString())
    expect(await decideInterruptions(state, { session: there })).toBe(true)
    expect((await there.run(() => runner.run(agent, state))).finalOutput).toBe('done')
    expect(ran).toHaveLength(1)
  })

  it('the session may come in the context of the run, and must be one', async () => {
    const { haldir } = fleet('memory').house({ policy, approvals: { mode: 'suspend' } })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] })
    const pay = tool({ name: 'pay', description: '', parameters, execute: async () => 'paid' })
    const tools = [governed(pay, { name: 'pay', ...RULE }, { haldir })]
    const build = (...turns: Step[]) => new Agent({ name: 'agent', model: new testing.ScriptedModel(turns), tools })
    const context = { haldirSession: session }
    const first = await runner.run(build(said([['pay', { amount: 20 }]])), 'go on', { context })
    expect(first.interruptions).toHaveLength(1)
    const [asked] = await haldir.approvals.list()
    await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    const agent = build(DONE)
    const bare = await RunState.fromString(agent, first.state.toString())
    // What the state has kept of the session is no handle.
    expect(await decideInterruptions(bare)).toBe(false)
    const state = await RunState.fromStringWithContext(agent, first.state.toString(), new sdk.RunContext(context), {
      contextStrategy: 'replace',
    })
    expect(await decideInterruptions(state)).toBe(true)
    expect((await runner.run(agent, state)).finalOutput).toBe('done')
    const wrong = { session: session.id as never }
    await expect(decideInterruptions(state, wrong)).rejects.toMatchObject({ code: 'invalid-option', path: 'session' })
    await expect(decideInterruptions(state, { haldir } as never)).rejects.toMatchObject({ code: 'invalid-option' })
  })
}
