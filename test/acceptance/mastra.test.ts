/** What Mastra does beyond the common contract: request contexts, its own checks, suspending, workflows. */
import { governed } from '@haldir/ai-sdk'
import { createHaldir, currentCall, type Entry, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { Mastra } from '@mastra/core/mastra'
import { InMemoryStore } from '@mastra/core/storage'
import { createTool } from '@mastra/core/tools'
import { createStep, createWorkflow, type Workflow } from '@mastra/core/workflows'
import { tool as plainTool } from 'ai6'
import { MockLanguageModelV3 } from 'ai6/test'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedModel6 } from '../contracts/ai-sdk-model.ts'
import { carrying, mastraAgent, mastraAgentOn } from '../contracts/mastra.ts'
import { proves } from '../promises.ts'

let haldir: Haldir
let session: Session

beforeEach(async () => {
  haldir = createHaldir({ sinks: [memorySink()] })
  session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:5'] })
})
afterEach(() => haldir.close())

async function entries(type: Entry['type']): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({ type })) found.push(entry)
  return found
}

const amount = z.object({ amount: z.number() })

/** A tool that keeps what it got. */
function keeping(id: string, inputSchema: z.ZodType = amount) {
  const got: { args: any; context: any }[] = []
  const tool = createTool({
    id,
    description: id,
    inputSchema: inputSchema as typeof amount,
    outputSchema: z.object({ paid: z.boolean() }),
    execute: async (args, context) => {
      got.push({ args, context })
      return { paid: true }
    },
  })
  return { tool, got }
}

/** Keeps what is suspended in memory, and says nothing. */
function mastraWith<W extends Record<string, Workflow>>(workflows: W) {
  return new Mastra({ workflows, storage: new InMemoryStore(), logger: false })
}

describe('in an agent', () => {
  it('the session comes in the request context, and the call has its id', async () => {
    proves('framework-agnostic')
    const pay = keeping('pay')
    const tools = governed(
      { pay: pay.tool },
      { pay: { scope: 'spend', cost: ({ amount }) => usd(amount) } },
      { haldir },
    )
    const { run, results } = mastraAgent(tools, [
      { tool: 'pay', args: { amount: 2 }, id: 'c1' },
      { tool: 'pay', args: { amount: 4 }, id: 'c2' },
    ])
    expect((await run({ carried: session })).text).toBe('done')
    expect(results().map(({ output }) => output)).toEqual([
      { type: 'json', value: { paid: true } },
      { type: 'error-text', value: expect.stringMatching(/^Denied \(budget-exceeded\): [^\n]*$/) },
    ])
    expect(pay.got.map(({ args }) => args)).toEqual([{ amount: 2 }])
    expect(pay.got[0]?.context.agent.toolCallId).toBe('c1')
    expect((await entries('intent')).map(({ ref, session: id }) => [ref, id])).toEqual([['c1', session.id]])
    expect((await entries('refusal')).map(({ ref }) => ref)).toEqual(['c2'])
  })

  it('text in the request context is no session: it may have come with a request', async () => {
    const pay = keeping('pay')
    const tools = governed({ pay: pay.tool }, { pay: { scope: 'read' } }, { haldir })
    for (const carried of [session.token, session.id, JSON.parse(JSON.stringify(session))]) {
      const { run, results } = mastraAgent(tools, [{ tool: 'pay', args: { amount: 2 } }])
      await run({ carried })
      expect(results()[0]?.output).toMatchObject({ value: expect.stringMatching(/^Denied \(no-session\)/) })
    }
    expect(pay.got).toEqual([])
  })

  it('arguments that do not fit are answered by the agent, and nothing is held', async () => {
    const pay = keeping('pay')
    const tools = governed(
      { pay: pay.tool },
      { pay: { scope: 'spend', cost: ({ amount }) => usd(amount) } },
      { session },
    )
    const { run, results } = mastraAgent(tools, [{ tool: 'pay', args: { amount: 'two' } }])
    await run()
    expect(results()[0]?.output).toMatchObject({ type: 'json', value: { error: true } })
    expect([pay.got, await entries('intent')]).toEqual([[], []])
  })

  it('what the agent has checked is not checked again: a schema may make something else of it', async () => {
    const inputSchema = z.object({ amount: z.string().transform(Number) })
    // Of models of this provider the agent checks what comes against a schema of its own making.
    const turns = () => {
      const { doGenerate, doStream } = scriptedModel6([{ tool: 'pay', args: { amount: '2' } }])
      return new MockLanguageModelV3({ provider: 'openai.chat', modelId: 'gpt-4o', doGenerate, doStream } as never)
    }
    const bare = keeping('pay', inputSchema)
    const bareAgent = mastraAgentOn(turns(), { pay: bare.tool })
    await bareAgent.run()
    expect(bare.got.map(({ args }) => args)).toEqual([{ amount: 2 }])

    const pay = keeping('pay', inputSchema)
    const judged: unknown[] = []
    const cost = (args: { amount: number }) => {
      judged.push(args.amount)
      return usd(args.amount)
    }
    const agent = mastraAgentOn(turns(), governed({ pay: pay.tool }, { pay: { scope: 'spend', cost } }, { session }))
    await agent.run()
    expect(pay.got.map(({ args }) => args)).toEqual([{ amount: 2 }])
    expect([judged, agent.results()]).toEqual([[2], bareAgent.results()])
  })

  it('the tool gets one signal, which also aborts when the session ends', async () => {
    let reason: unknown
    const stop = createTool({
      id: 'stop',
      description: 'stops',
      inputSchema: z.object({}),
      execute: async (_, context) => {
        expect(context.abortSignal).toBe(currentCall().signal)
        await session.revoke('enough')
        reason = context.abortSignal?.reason
        return {}
      },
    })
    await mastraAgent(governed({ stop }, { stop: { scope: 'read' } }, { session }), [{ tool: 'stop', args: {} }]).run()
    expect(reason).toMatchObject({ code: 'session-revoked' })
  })

  it('`requireApproval` stops the agent as before; what an approved call may do is decided when it runs', async () => {
    const pay = keeping('pay')
    pay.tool.requireApproval = true
    const tools = governed(
      { pay: pay.tool },
      { pay: { scope: 'spend', cost: ({ amount }) => usd(amount) } },
      { session },
    )
    for (const [value, read] of [
      [3, { paid: true }],
      [4, expect.stringMatching(/^Denied \(budget-exceeded\)/)],
    ] as const) {
      const { agent, run, results } = mastraAgent(tools, [{ tool: 'pay', args: { amount: value }, id: 'c1' }])
      new Mastra({ agents: { agent }, storage: new InMemoryStore(), logger: false })
      const { finishReason, runId } = await run()
      expect([finishReason, pay.got.length, await entries('refusal')]).toEqual(['suspended', value - 3, []])
      await agent.approveToolCallGenerate({ runId: runId as string, toolCallId: 'c1' })
      expect(results().at(-1)?.output).toMatchObject({ value: read })
    }
    expect(pay.got).toHaveLength(1)
  })

  it('tools of the AI SDK among them find the session in the request context, too', async () => {
    const who = plainTool({ inputSchema: z.object({}), execute: async () => currentCall().session.id })
    const { run, results } = mastraAgent(governed({ who }, { who: { scope: 'read' } }, { haldir }) as never, [
      { tool: 'who', args: {} },
    ])
    await run({ carried: session })
    expect(results()[0]?.output).toEqual({ type: 'text', value: session.id })
  })
})

describe('called by others', () => {
  it('arguments that do not fit are refused before anything is held, without what they are', async () => {
    const pay = keeping('pay')
    const tool = governed(pay.tool, { name: 'pay', scope: 'spend', cost: ({ amount }) => usd(amount) }, { session })
    const call = (args: unknown) => tool.execute?.(args as { amount: number }, {} as never)
    await expect(call({ amount: 'card-4111' })).rejects.toThrow(/^Denied \(invalid-arguments\): .*`amount` (?!.*4111)/)
    await expect(call(undefined)).rejects.toMatchObject({ code: 'invalid-arguments' })
    expect(await call({ amount: 2 })).toEqual({ paid: true })
    expect((await entries('refusal')).map(({ code }) => code)).toEqual(['invalid-arguments', 'invalid-arguments'])
    expect(await entries('intent')).toHaveLength(1)
  })

  it('what Mastra would make fit does not fit: what runs is what was judged', async () => {
    const ask = keeping('ask', z.object({ prompt: z.string() }))
    const tool = governed(ask.tool, { name: 'ask', scope: 'read' }, { session })
    await expect(tool.execute?.({ query: 'delete all' } as never, {} as never)).rejects.toMatchObject({
      code: 'invalid-arguments',
    })
    expect(ask.got).toEqual([])
  })

  it('a context that the caller keeps is as it was', async () => {
    const pay = keeping('pay')
    const tool = governed(pay.tool, { name: 'pay', scope: 'read' }, { haldir })
    const { signal } = new AbortController()
    const contexts = [
      { requestContext: carrying(session) },
      { requestContext: carrying(session), abortSignal: signal },
      Object.freeze({ requestContext: carrying(session), abortSignal: signal }),
    ]
    for (const context of contexts) {
      const before = { ...context }
      const running = Promise.all([1, 2].map((amount) => tool.execute?.({ amount }, context as never)))
      expect(context).toEqual(before)
      expect(await running).toEqual([{ paid: true }, { paid: true }])
      expect(Reflect.ownKeys(context)).toEqual(Reflect.ownKeys(before))
    }
    const signals = new Set(pay.got.map(({ context }) => context.abortSignal))
    expect(signals.size).toBe(6)
    expect(signals.has(signal)).toBe(false)
  })

  it('a step of a workflow is governed, and a denial fails it', async () => {
    const pay = keeping('pay')
    const tool = governed(pay.tool, { name: 'pay', scope: 'spend', cost: ({ amount }) => usd(amount) }, { haldir })
    const w = createWorkflow({ id: 'w', inputSchema: amount, outputSchema: z.object({ paid: z.boolean() }) })
      .then(createStep(tool))
      .commit()
    const workflow = mastraWith({ w }).getWorkflow('w')
    const start = async (value: number) => {
      const run = await workflow.createRun()
      return run.start({ inputData: { amount: value }, requestContext: carrying(session) })
    }
    expect(await start(3)).toMatchObject({ status: 'success', result: { paid: true } })
    expect(await start(4)).toMatchObject({
      status: 'failed',
      error: { message: expect.stringMatching(/^Denied \(budget-exceeded\)/) },
    })
    expect(pay.got).toHaveLength(1)
    expect(pay.got[0]?.context.workflow).toBeDefined()
  })

  it('a tool that suspends is called again when it is resumed, and that is another call', async () => {
    const seen: unknown[] = []
    const tool = createTool({
      id: 'pay',
      description: 'pays',
      inputSchema: amount,
      outputSchema: z.object({ paid: z.boolean() }),
      suspendSchema: z.object({ why: z.string() }),
      resumeSchema: z.object({ yes: z.boolean() }),
      execute: async (_, context) => {
        const { resumeData, suspend } = (context.workflow ?? {}) as any
        seen.push(resumeData)
        if (!resumeData) return suspend({ why: 'sure?' })
        return { paid: true }
      },
    })
    const cost = ({ amount }: { amount: number }) => usd(amount)
    // What was only asked for has cost nothing.
    const actual = (result: unknown, args: { amount: number }) => usd(result === undefined ? 0 : args.amount)
    const wrapped = governed(tool, { name: 'pay', scope: 'spend', cost, actual }, { session })
    const w = createWorkflow({ id: 'w', inputSchema: amount, outputSchema: z.object({ paid: z.boolean() }) })
      .then(createStep(wrapped))
      .commit()
    const workflow = mastraWith({ w }).getWorkflow('w')
    const run = await workflow.createRun()
    expect(await run.start({ inputData: { amount: 3 } })).toMatchObject({ status: 'suspended' })
    expect(await run.resume({ resumeData: { yes: true } })).toMatchObject({ status: 'success' })
    expect(seen).toEqual([undefined, { yes: true }])
    expect((await entries('outcome')).map(({ spent }) => spent)).toEqual([
      [{ unit: 'USD', amount: '0' }],
      [{ unit: 'USD', amount: '3' }],
    ])
  })
})

it('a policy and the surface know them as tools of Mastra, with the hints of their server', async () => {
  const found = createTool({
    id: 'look',
    description: 'looks',
    inputSchema: z.object({}),
    execute: async () => ({}),
    mcp: { annotations: { readOnlyHint: true } },
  })
  await haldir.close()
  haldir = createHaldir({
    sinks: [memorySink()],
    policy: {
      version: '1',
      default: 'deny',
      rules: [{ id: 'reads', when: { 'tool.readOnly': true, 'tool.framework': 'mastra' }, then: 'allow' }],
    },
  })
  session = await haldir.createSession({ agent: 'a', scopes: ['read'] })
  const tool = governed(found, { name: 'look', scope: 'read' }, { session })
  expect(await tool.execute?.({}, {} as never)).toEqual({})
  expect(haldir.surface().tools).toContainEqual(expect.objectContaining({ name: 'look', framework: 'mastra' }))
})

it('what fails the output schema has run: its answer passes as Mastra makes it, and the call is paid for', async () => {
  const odd = createTool({
    id: 'odd',
    description: 'answers oddly',
    inputSchema: amount,
    outputSchema: z.object({ paid: z.boolean() }),
    execute: async () => ({ paid: 'maybe' }) as never,
  })
  const bare = await odd.execute?.({ amount: 2 }, {} as never)
  const tool = governed(odd, { name: 'odd', scope: 'spend', cost: ({ amount }) => usd(amount) }, { session })
  expect(await tool.execute?.({ amount: 2 }, {} as never)).toEqual(bare)
  expect(bare).toMatchObject({ error: true })
  expect((await entries('outcome')).map(({ spent }) => spent)).toEqual([[{ unit: 'USD', amount: '2' }]])
})
