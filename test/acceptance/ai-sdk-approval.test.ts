/** `toolApproval()`: AI SDK 7 asks before a call. What it is told is for show; the gate in `execute` decides. */
import { governed, toolApproval } from '@haldir/ai-sdk'
import { createHaldir, Denied, type Entry, type Haldir, type HaldirOptions, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import {
  generateText,
  jsonSchema,
  type ModelMessage,
  readUIMessageStream,
  stepCountIs,
  streamText,
  type Tool,
  ToolLoopAgent,
  type ToolSet,
  tool,
  toUIMessageStream,
  type UIMessage,
} from 'ai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedModel } from '../contracts/ai-sdk-model.ts'
import { entriesOf, proves } from '../promises.ts'

const sink = { now: memorySink() }
let haldir: Haldir
let session: Session

const policy: HaldirOptions['policy'] = {
  default: 'allow',
  allowByDefault: true,
  rules: [
    { id: 'large', tools: 'pay', when: { 'args.amount': { gt: 100 } }, then: 'deny', because: 'too much at once' },
    {
      id: 'middling',
      tools: 'pay',
      when: { 'args.amount': { gt: 10 } },
      then: 'ask',
      because: 'someone looks at this',
    },
  ],
}

async function begin(options: HaldirOptions = {}): Promise<void> {
  sink.now = memorySink()
  haldir = createHaldir({ sinks: [sink.now], policy: policy as never, ...options })
  session = await haldir.createSession({ agent: 'bot', scopes: ['read', 'spend:1000'] })
}
beforeEach(() => begin())
afterEach(() => haldir.close())

const entries = (...types: Entry['type'][]) => entriesOf(sink.now.lines).filter(({ type }) => types.includes(type))
const stopWhen = stepCountIs(3)
const prompt = 'go on'
const amount = z.object({ amount: z.number() })
let paid: number[] = []
beforeEach(() => {
  paid = []
})

function payTools(extra: Partial<Tool<{ amount: number }, string>> = {}) {
  const pay = tool({
    inputSchema: amount,
    execute: async ({ amount }: { amount: number }) => {
      paid.push(amount)
      return `paid ${amount}`
    },
    ...(extra as object),
  })
  return governed({ pay }, { pay: { scope: 'spend', cost: ({ amount }) => usd(amount) } }, { haldir })
}

const paying = (...amounts: number[]) => amounts.map((amount) => ({ tool: 'pay', args: { amount } }))

/** What the model read in answer to its last calls. */
function readBy(model: ReturnType<typeof scriptedModel>): unknown[] {
  const message = (model.doGenerateCalls.at(-1) ?? model.doStreamCalls.at(-1))?.prompt.at(-1)
  if (message?.role !== 'tool') return []
  return message.content.flatMap((part) => (part.type === 'tool-result' ? [part.output] : []))
}

const TOO_MUCH = 'Denied (policy-denied): too much at once. Do not retry this call; go on without this action.'

describe('a call that would be refused', () => {
  it('is denied before it begins: the model reads the safe sentence, and the loop goes on', async () => {
    const tools = payTools()
    const model = scriptedModel(paying(500, 5))
    const { text, steps } = await session.run(() =>
      generateText({ model, tools, toolApproval: toolApproval(), prompt, stopWhen }),
    )
    expect(text).toBe('done')
    expect(readBy(model)).toEqual([
      { type: 'execution-denied', reason: TOO_MUCH },
      { type: 'text', value: 'paid 5' },
    ])
    expect(paid).toEqual([5])
    expect(steps[0]?.content.filter(({ type }) => type === 'tool-error')).toEqual([])
  })

  it.each(['generateText', 'streamText', 'ToolLoopAgent'])('is on record once, as what it is: %s', async (way) => {
    proves('every-call-logged')
    const tools = payTools()
    const model = scriptedModel([{ tool: 'pay', args: { amount: 500 }, id: 'their-id' }])
    const options = { model, tools, toolApproval: toolApproval(), stopWhen }
    await session.run(async () => {
      if (way === 'generateText') await generateText({ ...options, prompt })
      else if (way === 'streamText') await streamText({ ...options, prompt }).consumeStream()
      else await new ToolLoopAgent(options).generate({ prompt })
    })
    expect(readBy(model)).toEqual([{ type: 'execution-denied', reason: TOO_MUCH }])
    const [refusal, ...others] = entries('intent', 'outcome', 'refusal')
    expect(others).toEqual([])
    expect(refusal).toMatchObject({
      tool: 'pay',
      session: session.id,
      ref: 'their-id',
      verdict: 'deny',
      code: 'policy-denied',
      rule: 'large',
      data: { reason: 'too much at once' },
    })
    expect(refusal?.call).toMatch(/./)
    expect(refusal?.digest).toMatch(/./)
    expect(await haldir.trail.verify()).toMatchObject({ ok: true })
  })

  it('is denied for want of a session, of a scope, of an argument that makes sense', async () => {
    const tools = payTools()
    const ask = (input: unknown, toolsContext: object = {}) =>
      toolApproval()({ toolCall: { toolName: 'pay', toolCallId: 'c', input }, tools, toolsContext, messages: [] })
    const reason = (code: string) => ({ type: 'denied', reason: expect.stringMatching(`^Denied \\(${code}\\): `) })
    expect(await ask({ amount: 5 })).toEqual(reason('no-session'))
    expect(await ask({ amount: 5 }, { pay: { haldirSession: session.token } })).toEqual(reason('no-session'))
    expect(await ask({ amount: 5 }, { pay: { haldirSession: session } })).toEqual({ type: 'not-applicable' })
    expect(await session.run(() => ask({ amount: -5 }))).toEqual(reason('invalid-arguments'))
    expect(await session.run(() => ask(new Proxy({}, {})))).toEqual(reason('invalid-arguments'))
    const reader = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    expect(await reader.run(() => ask({ amount: 5 }))).toEqual(reason('scope-missing'))
    await session.revoke()
    expect(await session.run(() => ask({ amount: 5 }))).toEqual(reason('session-revoked'))
    expect(entries('refusal').map(({ code }) => code)).toEqual([
      'no-session',
      'no-session',
      'invalid-arguments',
      'invalid-arguments',
      'scope-missing',
      'session-revoked',
    ])
  })

  it('is denied when judging breaks', async () => {
    proves('invariant-6')
    await haldir.close()
    await begin({ guards: [() => Promise.reject(new Error('the guard is down'))] })
    const tools = payTools()
    const model = scriptedModel(paying(5))
    await session.run(() => generateText({ model, tools, toolApproval: toolApproval(), prompt, stopWhen }))
    expect(readBy(model)).toMatchObject([{ type: 'execution-denied', reason: /^Denied \(unavailable\): / }])
    expect(paid).toEqual([])
  })

  it('runs in shadow mode, and is observed there', async () => {
    proves('shadow-runs')
    await haldir.close()
    await begin({ mode: 'shadow' })
    const tools = payTools()
    const model = scriptedModel(paying(500))
    await session.run(() => generateText({ model, tools, toolApproval: toolApproval(), prompt, stopWhen }))
    expect(readBy(model)).toEqual([{ type: 'text', value: 'paid 500' }])
    expect(entries('refusal')).toMatchObject([{ code: 'policy-denied', enforced: false }])
  })
})

describe('a call that is let through', () => {
  it('is judged again when it runs: what has changed meanwhile counts', async () => {
    proves('instant-revoke')
    const answer = toolApproval()
    const tools = payTools()
    const model = scriptedModel(paying(5))
    await session.run(() =>
      generateText({
        model,
        tools,
        prompt,
        stopWhen,
        toolApproval: async (question) => {
          const said = await answer(question)
          await session.revoke('meanwhile')
          return said
        },
      }),
    )
    expect(readBy(model)).toMatchObject([{ type: 'error-text', value: /^Denied \(session-revoked\)/ }])
    expect([paid, entries('refusal').length]).toEqual([[], 1])
  })

  it('takes and records nothing beforehand', async () => {
    const tools = payTools()
    const question = { toolCall: { toolName: 'pay', toolCallId: 'c', input: { amount: 5 } }, tools, toolsContext: {} }
    await session.run(() => toolApproval()({ ...question, messages: [] }))
    expect(entries('intent', 'outcome', 'refusal')).toEqual([])
    expect((await session.budget())[0]?.held.decimal).toBe('0')
  })

  it('the gate asks nothing of it: without `toolApproval` everything is refused just the same', async () => {
    const tools = payTools()
    const model = scriptedModel(paying(500))
    await session.run(() => generateText({ model, tools, prompt, stopWhen }))
    expect(readBy(model)).toEqual([{ type: 'error-text', value: TOO_MUCH }])
  })
})

describe('a call that a person has to decide', () => {
  it('pauses the loop with the reason; the answer of the SDK alone does not let it run', async () => {
    const tools = payTools()
    const messages: ModelMessage[] = [{ role: 'user', content: 'pay' }]
    const options = { tools, toolApproval: toolApproval(), stopWhen }
    const paused = await session.run(() => generateText({ ...options, model: scriptedModel(paying(50)), messages }))
    const [request] = paused.content.filter((part) => part.type === 'tool-approval-request')
    expect(request).toMatchObject({ reason: 'someone looks at this' })
    expect(entries('intent', 'outcome', 'refusal')).toEqual([])

    const answer = { type: 'tool-approval-response', approvalId: request!.approvalId, approved: true } as const
    const resumed: ModelMessage[] = [...messages, ...paused.responseMessages, { role: 'tool', content: [answer] }]
    const model = scriptedModel()
    await session.run(() => generateText({ ...options, model, messages: resumed }))
    expect(JSON.stringify(model.doGenerateCalls[0]?.prompt)).toContain('Denied (approval-unavailable)')
    expect(paid).toEqual([])
    expect(entries('refusal')).toMatchObject([{ code: 'approval-unavailable', verdict: 'ask', rule: 'middling' }])
  })

  it('was approved by a person and is denied by the policy of today: once on record, and it does not run', async () => {
    const tools = payTools()
    const messages: ModelMessage[] = [{ role: 'user', content: 'pay' }]
    const options = { tools, toolApproval: toolApproval(), stopWhen }
    const paused = await session.run(() => generateText({ ...options, model: scriptedModel(paying(50)), messages }))
    const [request] = paused.content.filter((part) => part.type === 'tool-approval-request')
    await haldir.loadPolicy({ default: 'deny', rules: [] })
    const answer = { type: 'tool-approval-response', approvalId: request!.approvalId, approved: true } as const
    const resumed: ModelMessage[] = [...messages, ...paused.responseMessages, { role: 'tool', content: [answer] }]
    const model = scriptedModel()
    await session.run(() => generateText({ ...options, model, messages: resumed }))
    expect(JSON.stringify(model.doGenerateCalls[0]?.prompt)).toContain('Denied (policy-denied)')
    expect([paid, entries('refusal').map(({ code }) => code)]).toEqual([[], ['policy-denied']])
  })
})

describe("a tool's own `needsApproval`", () => {
  const needs = { needsApproval: ({ amount }: { amount: number }) => amount > 3 } as object

  it('is asked where nobody is asked here: a function of the application would pass over it', async () => {
    const tools = payTools(needs)
    const options = { tools, toolApproval: toolApproval(), prompt, stopWhen }
    const [paused, free] = await session.run(async () => [
      await generateText({ ...options, model: scriptedModel(paying(5)) }),
      await generateText({ ...options, model: scriptedModel(paying(2)) }),
    ])
    expect(paused?.content.map(({ type }) => type)).toContain('tool-approval-request')
    expect([free?.text, paid]).toEqual(['done', [2]])
  })

  it('is heeded when it is plainly true, and of tools that are not governed', async () => {
    const plain = tool({ inputSchema: amount, needsApproval: true, execute: async () => 'ran' })
    const loose = tool({ inputSchema: amount, needsApproval: async ({ amount }) => amount > 1, execute: async () => 1 })
    const free = tool({ inputSchema: amount, execute: async () => 'free' })
    const tools: ToolSet = { plain: governed(plain, { name: 'plain', scope: [] }, { session }), loose, free }
    const ask = (toolName: string) =>
      toolApproval()({
        toolCall: { toolName, toolCallId: 'c', input: { amount: 5 } },
        tools,
        toolsContext: {},
        messages: [],
      })
    const user = { type: 'user-approval' }
    const nobody = { type: 'not-applicable' }
    const named = ['plain', 'loose', 'free', 'missing', 'toString', '__proto__']
    expect(await Promise.all(named.map(ask))).toEqual([user, user, nobody, nobody, nobody, nobody])
  })

  it('gets its call as from the SDK: the tool as `this`, the id, the messages, the context that its schema makes', async () => {
    const seen: unknown[] = []
    const contextSchemas = {
      standard: z.object({ limit: z.number().default(3), haldirSession: z.custom<Session>().optional() }),
      own: jsonSchema<{ limit: number }>(
        {},
        {
          validate: (value) => ({ success: true, value: { limit: 3, ...(value as object) } }),
        },
      ),
      lazy: () => jsonSchema<{ limit: number }>({}, { validate: () => ({ success: true, value: { limit: 3 } }) }),
      unchecked: jsonSchema<{ limit: number }>({}),
    }
    for (const [name, contextSchema] of Object.entries(contextSchemas)) {
      const asked = tool({
        inputSchema: amount,
        contextSchema: contextSchema as z.ZodType<{ limit: number }>,
        needsApproval(this: unknown, input: { amount: number }, options: any) {
          seen.push([name, this === tools.asked, input, options.toolCallId, options.messages, options.context])
          return input.amount > options.context.limit
        },
        execute: async () => 'ran',
      } as never) as Tool
      const tools: ToolSet = governed({ asked }, { asked: { scope: [] } }, { session })
      const context = name === 'unchecked' ? { limit: 3 } : {}
      const toolCall = { toolName: 'asked', toolCallId: 'c', input: { amount: 5 } }
      const messages = [{ role: 'user', content: 'x' }]
      const toolsContext = { asked: context }
      expect(await toolApproval()({ toolCall, tools, toolsContext, messages })).toEqual({ type: 'user-approval' })
      expect(seen.at(-1)).toEqual([name, true, { amount: 5 }, 'c', messages, { limit: 3 }])
    }
  })

  it('a context that does not fit stops the loop, as it does without all this', async () => {
    const contextSchema = z.object({ limit: z.number() })
    const strict = tool({ inputSchema: amount, contextSchema, execute: async () => 'ran' })
    const tools = governed({ strict }, { strict: { scope: [] } }, { session })
    const question = { toolCall: { toolName: 'strict', toolCallId: 'c', input: { amount: 5 } }, tools, messages: [] }
    const toolsContext = { strict: { limit: 'three' } }
    await expect(toolApproval()({ ...question, toolsContext })).rejects.toMatchObject({ path: 'toolsContext' })
    const own = jsonSchema<object>({}, { validate: () => ({ success: false, error: new Error('secret value') }) })
    const tool2 = { ...tools.strict, contextSchema: own }
    const failing = toolApproval()({ ...question, tools: { strict: tool2 }, toolsContext })
    await expect(failing).rejects.not.toThrow('secret value')
  })
})

describe('the session', () => {
  it('comes from `toolsContext`, as the schema of the tool lets it pass', async () => {
    const contextSchema = z.object({ haldirSession: z.custom<Session>() })
    const read = tool({ inputSchema: z.object({}), contextSchema, execute: async () => 'read' })
    const blind = tool({
      inputSchema: z.object({}),
      contextSchema: z.object({ region: z.string() }),
      execute: async () => 'read',
    })
    const tools = governed({ read, blind }, { read: { scope: 'read' }, blind: { scope: 'read' } }, { haldir })
    const model = scriptedModel([
      { tool: 'read', args: {} },
      { tool: 'blind', args: {} },
    ])
    const blindly = { region: 'eu', haldirSession: session }
    await generateText({
      model,
      tools,
      toolsContext: { read: { haldirSession: session }, blind: blindly },
      toolApproval: toolApproval(),
      prompt,
      stopWhen,
    })
    expect(readBy(model)).toMatchObject([
      { type: 'text', value: 'read' },
      { type: 'execution-denied', reason: /^Denied \(no-session\)/ },
    ])
  })
})

describe('a browser', () => {
  it('sees the call as denied, with the safe sentence, and nothing else of it', async () => {
    const tools = payTools()
    const model = scriptedModel(paying(500))
    const result = session.run(() => streamText({ model, tools, toolApproval: toolApproval(), prompt, stopWhen }))
    let last: UIMessage | undefined
    const chunks: object[] = []
    const [one, other] = toUIMessageStream({ stream: result.fullStream, tools }).tee()
    for await (const chunk of one) chunks.push(chunk)
    for await (const message of readUIMessageStream({ stream: other })) last = message
    expect(last?.parts).toContainEqual(
      expect.objectContaining({
        type: 'tool-pay',
        state: 'output-denied',
        approval: expect.objectContaining({ approved: false, reason: TOO_MUCH }),
      }),
    )
    const [refusal] = entries('refusal')
    const text = JSON.stringify(chunks)
    expect(text).toContain(TOO_MUCH)
    for (const hidden of [refusal?.call as string, 'stack', session.id, session.token, 'large', 'retryable']) {
      expect(text).not.toContain(hidden)
    }
  })
})

it('the sentence is that of the denial', () => {
  expect(new Denied('policy-denied', 'too much at once', '').message).toBe(TOO_MUCH)
})
