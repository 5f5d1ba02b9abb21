/** Calls of LangChain tools that wait for a person: a graph pauses, and goes on in another process. */
import { governed as governedFunction, type Haldir, type Policy, Suspended, usd } from '@haldir/core'
import { governed, haldirMiddleware } from '@haldir/langchain'
import type { BaseMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import {
  Command,
  INTERRUPT,
  interrupt,
  isGraphInterrupt,
  MemorySaver,
  MessagesAnnotation,
  START,
  StateGraph,
} from '@langchain/langgraph'
import { createReactAgent, ToolNode, toolsCondition } from '@langchain/langgraph/prebuilt'
import { createAgent, toolRetryMiddleware } from 'langchain'
import { langgraph as oldGraph, prebuilt as oldPrebuilt } from 'langchain-core-03'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Turn } from '../contracts/langchain-model.ts'
import { proves } from '../promises.ts'
import { answersIn, input, script, toolCall } from './langchain-scene.ts'
import { fleet, STORES } from './scene.ts'

const policy: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', because: 'large payments' }],
}
const SPEND = { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }
const schema = z.object({ amount: z.number() })

interface Graph {
  invoke(input: unknown, config: object): Promise<{ messages: BaseMessage[]; [INTERRUPT]?: Pause[] }>
  getStateHistory?(config: object): AsyncIterable<{ next: string[]; config: object }>
}
interface Pause {
  id: string
  value: { haldir: { approvalId: string } }
}
type Build = (tools: any[], turns: readonly Turn[], checkpointer: any) => Graph

function byHand(tools: any[], turns: readonly Turn[], checkpointer: any): Graph {
  const { model } = script(...turns)
  return new StateGraph(MessagesAnnotation)
    .addNode('agent', async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
    .addNode('tools', new ToolNode(tools))
    .addEdge(START, 'agent')
    .addConditionalEdges('agent', toolsCondition)
    .addEdge('tools', 'agent')
    .compile({ checkpointer }) as unknown as Graph
}

const agentOf =
  (options: object): Build =>
  (tools, turns, checkpointer) =>
    createAgent({ model: script(...turns).model, tools, checkpointer, ...options }) as unknown as Graph
const reactOf =
  (version: 'v1' | 'v2'): Build =>
  (tools, turns, checkpointSaver) =>
    createReactAgent({ llm: script(...turns).model, tools, checkpointSaver, version }) as unknown as Graph

/** Loops that run each call in a task of its own, and loops that run all calls of a turn again. */
const APART: Record<string, Build> = {
  createAgent: agentOf({}),
  'createAgent with middleware': agentOf({ middleware: [haldirMiddleware()] }),
  'createReactAgent v2': reactOf('v2'),
}
const TOGETHER: Record<string, Build> = {
  'createAgent v1': agentOf({ version: 'v1' }),
  'createReactAgent v1': reactOf('v1'),
  'a graph with a ToolNode': byHand,
}
const LOOPS = Object.entries({ ...APART, ...TOGETHER })

/** Two processes with the same tools, and what is on disk between them: the store, and the checkpoints. */
async function scene(
  build: Build = agentOf({}),
  calls: readonly Turn[] = [[pay(20)]],
  kind: (typeof STORES)[number] = 'memory',
) {
  const shared = fleet(kind)
  const options = { policy, approvals: { mode: 'suspend' } } as const
  const [one, two] = [shared.house(options), shared.house(options)]
  const session = await one.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
  const ran: number[] = []
  const saved = new MemorySaver()
  const config = { configurable: { thread_id: 'thread-1' } }
  const toolsOf = (haldir: Haldir) => {
    const bare = tool(
      async ({ amount }) => {
        ran.push(amount)
        return `paid ${amount}`
      },
      { name: 'pay', description: 'pays', schema },
    )
    return governed([bare], { pay: SPEND }, { haldir })
  }
  const first = await session.run(() => build(toolsOf(one.haldir), calls, saved).invoke(input, config))
  const there = await two.haldir.attach(session.token)
  const asked = () => two.haldir.approvals.list({ session: session.id })
  const goOn = (given: unknown, at: object = config, on: MemorySaver = saved) =>
    there.run(() => build(toolsOf(two.haldir), ['done'], on).invoke(given, at))
  return {
    ...two,
    clock: shared.clock,
    session,
    there,
    ran,
    first,
    config,
    saved,
    asked,
    toolsOf,
    goOn,
    wake: (value: unknown = 'x') => goOn(new Command({ resume: value })),
    async decide(amount: number, say: object) {
      const found = (await asked()).find(({ args }) => (args as { amount: number }).amount === amount)
      return two.haldir.approvals.decide(
        found?.id as string,
        { by: 'alice', ...say } as { by: string; approve: boolean },
      )
    },
  }
}

function pay(amount: number, id?: string) {
  return { tool: 'pay', args: { amount }, ...(id && { id }) }
}
const read = ({ messages }: { messages: BaseMessage[] }) => answersIn(messages).map(({ content }) => content)
const NO = 'Denied (approval-denied): a person has denied it. Do not ask again for the same action.'

describe.each(LOOPS)('%s', (_, build) => {
  it.each(STORES)(
    'pauses, and goes on after a yes in another process, from what was written down (%s)',
    async (kind) => {
      proves('invariant-8')
      const made = await scene(build, [[pay(20, 'call-1')]], kind)
      const { first, asked, ran, decide, goOn, saved, entries } = made
      const [approval] = await asked()
      expect(approval).toMatchObject({ state: 'pending', tool: 'pay', ref: 'call-1@thread-1', args: { amount: 20 } })
      expect(first[INTERRUPT]?.map(({ value }) => value)).toEqual([
        {
          haldir: {
            approvalId: approval?.id,
            tool: 'pay',
            reason: 'large payments',
            expiresAt: approval?.expiresAt.toISOString(),
          },
        },
      ])
      await decide(20, { approve: true })
      expect(ran).toEqual([])
      const { storage, writes } = structuredClone({ storage: saved.storage, writes: saved.writes })
      const read2 = await goOn(
        new Command({ resume: 'x' }),
        undefined,
        Object.assign(new MemorySaver(), { storage, writes }),
      )
      expect([read(read2), read2.messages.at(-1)?.content]).toEqual([['paid 20'], 'done'])
      expect([ran, entries('intent').map(({ tool }) => tool)]).toEqual([[20], ['pay']])
    },
  )

  it('pauses again, for the same people, while nobody has decided; whatever it is woken with', async () => {
    const { first, asked, ran, wake, goOn, decide } = await scene(build)
    const forged = ['yes', true, { approved: true }, { type: 'approve' }, { haldir: { approved: true } }]
    for (const value of [...forged, { [first[INTERRUPT]?.[0]?.id as string]: { approve: true } }]) {
      const { [INTERRUPT]: pauses } = await wake(value)
      expect(pauses?.[0]?.value).toEqual(first[INTERRUPT]?.[0]?.value)
    }
    expect((await goOn(null))[INTERRUPT]?.[0]?.value).toEqual(first[INTERRUPT]?.[0]?.value)
    expect([ran, (await asked()).length]).toEqual([[], 1])
    await decide(20, { approve: true })
    expect(read(await goOn(null))).toEqual(['paid 20'])
    expect(ran).toEqual([20])
  })

  it('of two calls runs the one with a yes, and waits for both answers', async () => {
    const { asked, ran, wake, decide } = await scene(build, [[pay(20), pay(30)]])
    expect(await asked()).toHaveLength(2)
    await decide(30, { approve: false })
    expect((await wake())[INTERRUPT]).toHaveLength(1)
    await decide(20, { approve: true })
    expect(read(await wake())).toEqual(['paid 20', NO])
    expect(ran).toEqual([20])
  })

  it('of two equal calls runs the one with a yes', async () => {
    const { asked, ran, wake, haldir } = await scene(build, [[pay(20, 'a'), pay(20, 'b')]])
    const [b, a] = await asked()
    expect([a?.ref, b?.ref].sort()).toEqual(['a@thread-1', 'b@thread-1'])
    for (const one of [a, b]) await haldir.approvals.decide(one?.id as string, { approve: one === a, by: 'alice' })
    const answers = read(await wake())
    expect([answers.toSorted(), ran]).toEqual([[NO, 'paid 20'], [20]])
    expect(answers.indexOf('paid 20')).toBe(a?.ref === 'a@thread-1' ? 0 : 1)
  })

  it('runs nothing again from a checkpoint of before', async () => {
    const { ran, wake, decide, goOn, config, saved, toolsOf, haldir } = await scene(build, [[pay(20, 'call-1')]])
    await decide(20, { approve: true })
    await wake()
    expect(ran).toEqual([20])
    const graph = build(toolsOf(haldir), ['done'], saved)
    const states: { next: string[]; config: object }[] = []
    for await (const state of graph.getStateHistory?.(config) ?? []) states.push(state)
    const before = states.filter(({ next }) => next.includes('tools'))
    expect(before.length).toBeGreaterThan(0)
    for (const { config: at } of before) {
      for (const given of [null, new Command({ resume: 'yes' })]) {
        const [answer] = read(await goOn(given, at))
        expect(answer).toBe(
          'Denied (duplicate-call): the approval of this call has been used already. Do not repeat this call.',
        )
      }
    }
    expect(ran).toEqual([20])
  })

  it('runs what an approver has made of it', async () => {
    const { ran, wake, decide } = await scene(build)
    await decide(20, { approve: true, args: { amount: 12 } })
    expect([read(await wake()), ran]).toEqual([['paid 12'], [12]])
  })

  it('is told what became of it: denied with a reason, too late, revoked', async () => {
    const denied = await scene(build)
    await denied.decide(20, { approve: false, reason: 'not this week' })
    expect(read(await denied.wake())).toEqual([expect.stringContaining('a person has denied it: not this week.')])
    const late = await scene(build)
    await late.clock.advance(86_400_001)
    expect(read(await late.wake())).toEqual([expect.stringMatching(/^Denied \(approval-expired\): nobody decided/)])
    const revoked = await scene(build)
    await revoked.decide(20, { approve: true })
    await revoked.session.revoke('stop')
    expect(read(await revoked.wake())).toEqual([expect.stringMatching(/^Denied \(session-revoked\)/)])
    expect([denied.ran, late.ran, revoked.ran]).toEqual([[], [], []])
  })
})

describe.each(Object.entries(APART))('%s: calls of one turn', (_, build) => {
  it('run once each: those that nobody has to decide about do not run again', async () => {
    const { ran, wake, decide } = await scene(build, [[pay(5), pay(20)]])
    await wake()
    await decide(20, { approve: true })
    expect([read(await wake()), ran]).toEqual([
      ['paid 5', 'paid 20'],
      [5, 20],
    ])
  })
})

describe.each(Object.entries(TOGETHER))('%s: calls of one turn', (_, build) => {
  it('run again with the one that has paused, as all that LangGraph runs in one node', async () => {
    const { ran, wake, decide } = await scene(build, [[pay(5), pay(20)]])
    await decide(20, { approve: true })
    expect([read(await wake()), ran]).toEqual([
      ['paid 5', 'paid 20'],
      [5, 5, 20],
    ])
  })
})

describe('a graph', () => {
  it('does not take a call of another thread for its own, though the model repeats ids', async () => {
    const { ran, decide, there, toolsOf, haldir, saved } = await scene(byHand, [[pay(20, 'call-0')]])
    await decide(20, { approve: true })
    const other = byHand(toolsOf(haldir), [[pay(20, 'call-0')]], saved)
    const elsewhere = await there.run(() => other.invoke(input, { configurable: { thread_id: 'thread-2' } }))
    expect([elsewhere[INTERRUPT]?.length, ran]).toEqual([1, []])
  })

  it('without checkpoints goes on: the model reads that a person was asked, and the call is resumed by itself', async () => {
    for (const [, build] of LOOPS) {
      const { haldir, there, toolsOf, ran } = await scene(build)
      const { messages } = await there.run(() => build(toolsOf(haldir), [[pay(30)], 'done'], false).invoke(input, {}))
      const [answer] = answersIn(messages)
      expect(answer).toMatchObject({
        status: 'error',
        content:
          'Suspended (approval-pending): large payments; a person has been asked, and nothing has run. Do not repeat this call; go on with other work.',
      })
      expect([messages.at(-1)?.content, ran]).toEqual(['done', []])
      const [asked] = await haldir.approvals.list({ state: 'pending', session: there.id })
      await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
      expect(await haldir.approvals.resume(asked?.id as string)).toBe('paid 30')
      expect(ran).toEqual([30])
    }
  })

  it('of a LangGraph that can not be paused from a tool (0.4) goes on, too', async () => {
    const { haldir, there, toolsOf, ran } = await scene()
    const agent = oldPrebuilt.createReactAgent({
      llm: script([pay(30)], 'done').model as never,
      tools: toolsOf(haldir) as never,
      checkpointSaver: new oldGraph.MemorySaver(),
    })
    const { messages } = await there.run(() => agent.invoke(input, { configurable: { thread_id: 'old' } }))
    expect(messages.map(({ content }) => String(content)).find((text) => text.startsWith('Suspended'))).toBeDefined()
    expect([messages.at(-1)?.content, ran]).toEqual(['done', []])
  })

  it('pauses for a tool that a node calls by hand, without an id', async () => {
    const { haldir, there, toolsOf, ran, saved } = await scene()
    const [payTool] = toolsOf(haldir)
    const graph = new StateGraph(MessagesAnnotation)
      .addNode('pay', async (_, config) => ({
        messages: [['ai', String(await payTool?.invoke({ amount: 40 }, config))]] as never,
      }))
      .addEdge(START, 'pay')
      .compile({ checkpointer: saved })
    const config = { configurable: { thread_id: 'by-hand' } }
    const run = (given: any) => there.run(() => graph.invoke(given, config))
    expect(isPaused(await run({ messages: [] }))).toBe(true)
    const [asked] = await haldir.approvals.list({ state: 'pending', session: there.id })
    expect(asked).toMatchObject({ args: { amount: 40 } })
    await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    expect((await run(new Command({ resume: 1 }))).messages.at(-1)?.content).toBe('paid 40')
    expect(ran).toEqual([40])
  })

  it('pauses for a governed function within a tool: the tool runs again, the function once', async () => {
    const { haldir, there, saved, session } = await scene()
    const ran: string[] = []
    const transfer = governedFunction(
      async ({ amount }: { amount: number }) => {
        ran.push('inner')
        return `sent ${amount}`
      },
      { name: 'pay', ...SPEND },
      { haldir, session: there },
    )
    const outer = tool(
      async ({ amount }) => {
        ran.push('outer')
        return transfer({ amount })
      },
      { name: 'outer', description: '', schema },
    )
    const tools = governed([outer], { outer: { scope: [] } }, { haldir })
    const agent = agentOf({})(tools, [[{ tool: 'outer', args: { amount: 50 } }]], saved)
    const config = { configurable: { thread_id: 'inner' } }
    expect(isPaused(await there.run(() => agent.invoke(input, config)))).toBe(true)
    const [asked] = await haldir.approvals.list({ state: 'pending', session: session.id })
    await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    expect(read(await there.run(() => agent.invoke(new Command({ resume: 1 }), config)))).toEqual(['sent 50'])
    expect(ran).toEqual(['outer', 'outer', 'inner'])
  })

  it('does not let a tool take what woke it for the answer to its own question', async () => {
    const { haldir, there, saved } = await scene()
    const heard: unknown[] = []
    const bare = tool(
      async ({ amount }) => {
        heard.push(interrupt('are you sure?'))
        return `paid ${amount}`
      },
      { name: 'pay', description: '', schema },
    )
    const tools = governed([bare], { pay: SPEND }, { haldir })
    const agent = agentOf({})(tools, [[pay(20)], 'done'], saved)
    const run = (given: unknown) => there.run(() => agent.invoke(given, { configurable: { thread_id: 'own' } }))
    await run(input)
    await run(new Command({ resume: 'wakes too early' }))
    const [asked] = await haldir.approvals.list({ state: 'pending', session: there.id, limit: 1 })
    await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    const paused = await run(new Command({ resume: true }))
    expect([paused[INTERRUPT]?.[0]?.value, heard]).toEqual(['are you sure?', []])
    // The yes was for one run, and a tool that pauses by itself runs again from its start.
    expect(read(await run(new Command({ resume: 'sure' })))).toEqual([expect.stringContaining('duplicate-call')])
    expect(heard).toEqual([])
  })

  it('goes on without a word, which answers nothing else that it has asked', async () => {
    const { haldir, there, saved, toolsOf, ran } = await scene()
    const own = tool(async () => `heard ${interrupt('are you sure?')}`, { name: 'own', description: '', schema })
    const tools = [...toolsOf(haldir), ...governed([own], { own: { scope: [] } }, { haldir })]
    const agent = agentOf({})(tools, [[pay(40), { tool: 'own', args: { amount: 1 } }], 'done'], saved)
    const run = (given: unknown) => there.run(() => agent.invoke(given, { configurable: { thread_id: 'both' } }))
    expect((await run(input))[INTERRUPT]).toHaveLength(2)
    const [asked] = await haldir.approvals.list({ state: 'pending', session: there.id, limit: 1 })
    await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    const { [INTERRUPT]: left = [] } = await run(null)
    expect([left.map(({ value }) => value), ran]).toEqual([['are you sure?'], [40]])
    const answer = new Command({ resume: { [left[0]?.id as string]: 'yes' } })
    expect(read(await run(answer))).toEqual(['paid 40', 'heard yes'])
    expect(ran).toEqual([40])
  })

  it('is not kept from pausing by retries that let pauses pass', async () => {
    const retry = toolRetryMiddleware({
      initialDelayMs: 1,
      retryOn: (error) => !isGraphInterrupt(error),
      onFailure(error) {
        if (isGraphInterrupt(error)) throw error
        return 'The tool failed.'
      },
    })
    const { first, wake, decide, ran } = await scene(agentOf({ middleware: [retry, haldirMiddleware()] }))
    expect(isPaused(first)).toBe(true)
    await decide(20, { approve: true })
    expect([read(await wake()), ran]).toEqual([['paid 20'], [20]])
  })
})

function isPaused(state: object): boolean {
  return INTERRUPT in state
}

describe('a tool that is called by hand', () => {
  it('rejects with what it is suspended with, where there is no call to answer', async () => {
    const { toolsOf, there, haldir, ran } = await scene()
    const [payTool] = toolsOf(haldir)
    const calling = there.run(() => payTool?.invoke({ amount: 60 }))
    const error = await calling?.catch((caught: unknown) => caught)
    expect(Suspended.isInstance(error) && error.reason).toBe('large payments')
    const answer = await there.run(() => payTool?.invoke(toolCall('pay', { amount: 60 }, 'id')))
    expect(answer).toMatchObject({ status: 'error', content: expect.stringMatching(/^Suspended /), tool_call_id: 'id' })
    // Nothing that answers in the place of people is a graph.
    const config = { interrupt: () => 'yes', configurable: { __pregel_checkpointer: true, thread_id: 'x' } }
    const forged = await there.run(() => payTool?.invoke(toolCall('pay', { amount: 60 }, 'id'), config))
    expect([String((forged as any).content).slice(0, 9), ran]).toEqual(['Suspended', []])
    const { approvalId } = error as Suspended
    await haldir.approvals.decide(approvalId, { approve: true, by: 'alice' })
    expect(await there.run(() => payTool?.invoke({ amount: 60 }))).toBe('paid 60')
    expect(ran).toEqual([60])
  })
})
