/** What LangChain does beyond the common contract: how it parses, how it is told of denials, what it hands to tools. */
import { currentCall, Denied, envKey, usd } from '@haldir/core'
import { governed } from '@haldir/langchain'
import { AIMessage, ToolMessage } from '@langchain/core/messages'
import { DynamicStructuredTool, tool } from '@langchain/core/tools'
import { Command, interrupt, MemorySaver, MessagesAnnotation, StateGraph } from '@langchain/langgraph'
import { ToolNode } from '@langchain/langgraph/prebuilt'
import { createAgent, createMiddleware, toolRetryMiddleware } from 'langchain'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { proves } from '../promises.ts'
import { agentRun, answersIn, home, input, script, toolCall } from './langchain-scene.ts'

const amount = z.object({ amount: z.number() })

function payTool(got: unknown[] = [], fields: object = {}) {
  return tool(
    async (args) => {
      got.push(args)
      return `paid ${args.amount}`
    },
    { name: 'pay', description: 'pays', schema: amount, ...fields },
  )
}

const PAY = { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }
const looking = createMiddleware({ name: 'looking', wrapToolCall: (request, handler) => handler(request) })
const retrying = () => toolRetryMiddleware({ maxRetries: 2, initialDelayMs: 1, jitter: false })

describe('a call within a call', () => {
  const kinds: [string, (got: unknown[]) => any][] = [
    ['tool()', (got) => payTool(got)],
    [
      'tool() with JSON Schema',
      (got) =>
        tool(async (args: any) => got.push(args), {
          name: 'pay',
          schema: { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] } as const,
        }),
    ],
  ]
  it.each(kinds)('is judged by what the tool would run with: %s', async (_, make) => {
    proves('invariant-2', 'per-session-budget')
    const { session, entries } = await home()
    const got: unknown[] = []
    const pay = governed(make(got), PAY, { session })
    const hidden = { type: 'tool_call', id: 'other', amount: 1, args: { amount: 9_999 } }
    const deeper = { type: 'tool_call', amount: 1, args: { type: 'tool_call', amount: 2, args: { amount: 9_999 } } }
    const fine = { type: 'tool_call', id: 'other', amount: 9_999, args: { amount: 3 } }
    const calls = [hidden, deeper, fine].map((args, index) => ({ tool: 'pay', args, id: `c${index}` }))
    const { answers } = await agentRun([pay], [calls])
    // Each answer belongs to its own call, whatever id stood in the arguments.
    expect(answers.map(({ tool_call_id }) => tool_call_id)).toEqual(['c0', 'c1', 'c2'])
    expect(answers.map(({ status }) => status)).toEqual(['error', 'error', 'success'])
    expect(String(answers[0]?.content)).toMatch(/^Denied \(budget-exceeded\)/)
    expect(got).toEqual([{ amount: 3 }])
    const [intent] = await entries('intent')
    expect(intent?.held).toEqual([{ unit: 'USD', amount: '3' }])
    expect(await entries('refusal')).toHaveLength(2)
  })

  it('is not what the tool finds in its config either', async () => {
    const { session } = await home()
    let seen: any
    const pay = tool(
      async (_, config) => {
        seen = config.toolCall
        return 'paid'
      },
      { name: 'pay', schema: amount },
    )
    const args = { type: 'tool_call', amount: 9_999, args: { amount: 1 } }
    await governed(pay, PAY, { session }).invoke(toolCall('pay', args, 'c1'))
    expect(seen).toEqual({ type: 'tool_call', name: 'pay', id: 'c1', args: { amount: 1 } })
  })

  it('that has no end is refused, whatever id it has', async () => {
    const { session, entries } = await home()
    const args: Record<string, unknown> = { type: 'tool_call', id: 'other', amount: 1 }
    args.args = args
    const got: unknown[] = []
    const pay = governed(payTool(got), PAY, { session })
    expect(await pay.invoke(toolCall('pay', args, 'c1'))).toMatchObject({ status: 'error', tool_call_id: 'c1' })
    expect(got).toEqual([])
    expect(await entries()).toMatchObject([{ type: 'refusal', code: 'invalid-arguments', ref: 'c1' }])
  })

  it('through the old `call`, too', async () => {
    const { session } = await home()
    const got: unknown[] = []
    const pay = governed(payTool(got), PAY, { session })
    const denied = await pay.call(toolCall('pay', { amount: 6 }, 'c7'))
    expect(denied).toMatchObject({ status: 'error', tool_call_id: 'c7' })
    await expect(pay.call({ amount: 6 }, [] as object)).rejects.toMatchObject({ code: 'budget-exceeded' })
    expect(await pay.call({ amount: 1 })).toBe('paid 1')
    expect(got).toEqual([{ amount: 1 }])
  })
})

describe('a denial', () => {
  const calls = [{ tool: 'pay', args: { amount: 6 }, id: 'c1' }]

  it.each([
    ['without middleware', []],
    ['with middleware round tools', [looking]],
    ['with retries', [retrying()]],
    ['with both', [retrying(), looking]],
  ])('answers the call as an error of that tool, and the loop goes on: %s', async (_, middleware) => {
    const { session, entries } = await home()
    const got: unknown[] = []
    const { answers, text } = await agentRun([governed(payTool(got), PAY, { session })], [calls], middleware)
    expect(answers).toHaveLength(1)
    expect(answers[0]).toMatchObject({ status: 'error', tool_call_id: 'c1', name: 'pay' })
    expect(answers[0]?.content).toBe(
      "Denied (budget-exceeded): the call costs more than is left of the session's budget. Do not retry this call; go on without spending.",
    )
    expect([text, got]).toEqual(['done', []])
    expect((await entries()).map(({ type, ref }) => [type, ref])).toEqual([['refusal', 'c1']])
  })

  it.each([true, false])('answers a bare ToolNode with handleToolErrors: %s', async (handleToolErrors) => {
    const { session } = await home()
    const node = new ToolNode([governed(payTool(), PAY, { session })], { handleToolErrors })
    const asks = new AIMessage({ content: '', tool_calls: [toolCall('pay', { amount: 6 }, 'c1')] })
    const graph = new StateGraph(MessagesAnnotation).addNode('tools', node).addEdge('__start__', 'tools').compile()
    for (const { messages } of [await node.invoke({ messages: [asks] }), await graph.invoke({ messages: [asks] })]) {
      expect(messages.at(-1)).toMatchObject({ status: 'error', tool_call_id: 'c1' })
      expect(messages.at(-1)?.content).toMatch(/^Denied \(budget-exceeded\)/)
    }
  })

  it('of a tool with artifacts is no artifact', async () => {
    const { session } = await home()
    const pay = tool(async ({ amount }) => [`paid ${amount}`, { receipt: amount }], {
      name: 'pay',
      schema: amount,
      responseFormat: 'content_and_artifact',
    })
    let priced: unknown
    const actual = (result: any) => {
      priced = result
      return usd(result[1].receipt)
    }
    const tools = [governed(pay, { ...PAY, actual }, { session })]
    const turn = [{ tool: 'pay', args: { amount: 2 }, id: 'c0' }, ...calls]
    const { answers } = await agentRun(tools, [turn], [looking])
    expect(answers[0]).toMatchObject({ content: 'paid 2', artifact: { receipt: 2 }, status: 'success' })
    expect(answers[1]).toMatchObject({ status: 'error' })
    expect(answers[1]?.artifact).toBeUndefined()
    expect(priced).toEqual(['paid 2', { receipt: 2 }])
  })

  it('does not end the loop in the place of a tool that would', async () => {
    const { session } = await home()
    const pay = governed(payTool([], { returnDirect: true }), PAY, { session })
    expect((await agentRun([pay], [calls])).text).toBe('done')
    expect((await agentRun([pay], [[{ tool: 'pay', args: { amount: 1 } }]])).text).toBe('paid 1')
  })

  it('bears the name that the tool has by then', async () => {
    const { session } = await home()
    const pay = governed(payTool(), PAY, { session })
    pay.name = 'renamed' as never
    expect(await pay.invoke(toolCall('renamed', { amount: 6 }))).toMatchObject({ name: 'renamed', status: 'error' })
  })

  it('is thrown where there is no call to answer', async () => {
    const { session } = await home()
    const pay = governed(payTool(), PAY, { session })
    const error = await pay.invoke({ amount: 6 }).then(undefined, (thrown) => thrown)
    expect(Denied.isInstance(error) && error.code).toBe('budget-exceeded')
  })

  it('answers a call of which only the id is known', async () => {
    const { session } = await home()
    const pay = governed(payTool(), PAY, { session })
    const told = await pay.invoke({ amount: 6 }, { toolCallId: 'c9' } as object)
    expect(told).toMatchObject({ status: 'error', tool_call_id: 'c9' })
    expect(await pay.invoke({ amount: 1 }, { toolCallId: 'c9' } as object)).toBe('paid 1')
  })

  it('answers a call that came without an id', async () => {
    const { session } = await home()
    const pay = governed(payTool(), PAY, { session })
    const nameless = { ...toolCall('pay', { amount: 6 }), id: undefined }
    const node = new ToolNode([pay], { handleToolErrors: false })
    const asks = new AIMessage({ content: '', tool_calls: [nameless] })
    const { messages } = await node.invoke({ messages: [asks] })
    for (const told of [messages.at(-1), await pay.invoke(nameless)]) {
      expect(told).toMatchObject({ status: 'error', content: expect.stringMatching(/^Denied \(budget-exceeded\)/) })
    }
  })

  it('reaches who streams', async () => {
    const { session } = await home()
    const tools = [governed(payTool(), PAY, { session })]
    const agent = createAgent({ model: script(calls).model, tools })
    const told: string[] = []
    for await (const [message] of await agent.stream(input, { streamMode: 'messages' })) {
      if (ToolMessage.isInstance(message)) told.push(String(message.content))
    }
    expect(told).toEqual([expect.stringMatching(/^Denied \(budget-exceeded\)/)])
  })

  it('that a running tool meets is told like any other', async () => {
    const { haldir, session } = await home()
    const inner = governed(payTool(), PAY, { haldir })
    const outer = tool(async () => inner.invoke({ amount: 6 }), { name: 'outer', schema: z.object({}) })
    const tools = [governed(outer, { scope: 'read' }, { haldir })]
    for (const middleware of [[], [looking], [retrying()]]) {
      const { answers } = await session.run(() => agentRun(tools, [[{ tool: 'outer', args: {} }]], middleware))
      expect(answers[0]).toMatchObject({ status: 'error', name: 'outer' })
      expect(answers[0]?.content).toMatch(/^Denied \(budget-exceeded\): [^\n]*$/)
    }
  })

  it('because the session ended while the tool ran does not ask for another try', async () => {
    proves('instant-revoke')
    const { session } = await home()
    const slow = tool(
      async () => {
        await session.revoke('stop')
        await new Promise((resolve) => setTimeout(resolve, 50))
        return 'late'
      },
      { name: 'slow', schema: z.object({}) },
    )
    const { answers } = await agentRun([governed(slow, { scope: 'read' }, { session })], [[{ tool: 'slow', args: {} }]])
    expect(answers[0]?.content).toMatch(/^Denied \(session-revoked\): [^\n]*$/)
  })
})

describe('arguments that do not fit', () => {
  const wrong = [{ tool: 'pay', args: { amount: 'argument-canary' }, id: 'c1' }]
  const json = { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] } as const

  it.each([
    ['zod', {}],
    ['zod, told in full', { verboseParsingErrors: true }],
    ['JSON Schema', { schema: json }],
    ['JSON Schema, told in full', { schema: json, verboseParsingErrors: true }],
  ])('are refused on record, in words a model can use: %s', async (_, fields) => {
    const { session, entries, sink } = await home()
    const got: unknown[] = []
    for (const middleware of [[], [looking], [retrying()]]) {
      const { answers, text } = await agentRun([governed(payTool(got, fields), PAY, { session })], [wrong], middleware)
      expect(answers[0]).toMatchObject({ status: 'error', tool_call_id: 'c1', name: 'pay' })
      expect(answers[0]?.content).toMatch(
        /^Denied \(invalid-arguments\): the arguments do not fit the tool: `amount` [^\n]*$/,
      )
      expect(answers[0]?.content).not.toContain('canary')
      expect(text).toBe('done')
    }
    const refusals = await entries('refusal')
    expect(refusals.map(({ code, tool, ref }) => [code, tool, ref])).toEqual(
      Array(3).fill(['invalid-arguments', 'pay', 'c1']),
    )
    expect(await entries('intent')).toEqual([])
    expect(sink.lines.join('')).not.toContain('canary')
    expect(got).toEqual([])
  })

  it('are refused on record also where LangChain can not write them down', async () => {
    const { session, entries } = await home()
    const circular: Record<string, unknown> = { amount: 'x' }
    circular.self = circular
    const throwing = {
      get amount() {
        throw new Error('no')
      },
    }
    const hostile = [circular, { amount: 1n }, throwing]
    const got: unknown[] = []
    for (const schema of [amount, json]) {
      const pay = governed(payTool(got, { schema }), PAY, { session })
      for (const args of hostile) {
        const told = await pay.invoke(toolCall('pay', args))
        expect(told).toMatchObject({ content: expect.stringMatching(/^Denied \(invalid-arguments\)/) })
      }
    }
    expect(got).toEqual([])
    expect((await entries()).map(({ type, code }) => [type, code])).toEqual(
      Array(6).fill(['refusal', 'invalid-arguments']),
    )
  })

  it('are refused on record also where LangChain alone can tell', async () => {
    const { session, entries } = await home()
    // Look-around is matched in no linear time.
    const schema = { type: 'object', properties: { order: { type: 'string', pattern: '^(?=A).*$' } } } as const
    const find = governed(
      tool(async () => 'found', { name: 'find', schema }),
      { scope: 'read' },
      { session },
    )
    expect(await find.invoke(toolCall('find', { order: 'A1' }))).toMatchObject({ content: 'found' })
    const told: any = await find.invoke(toolCall('find', { order: 'argument-canary' }))
    expect(told.content).toMatch(/^Denied \(invalid-arguments\): the arguments do not fit the tool\. [^\n]*$/)
    expect(told.content).not.toContain('canary')
    expect(await entries('refusal')).toHaveLength(1)
  })

  it('are thrown as a denial where there is no call to answer', async () => {
    const { session } = await home()
    const pay = governed(payTool(), PAY, { session })
    await expect(pay.invoke({} as never)).rejects.toMatchObject({ name: 'Denied', code: 'invalid-arguments' })
    await expect(pay.invoke(undefined as never)).rejects.toMatchObject({ code: 'invalid-arguments' })
  })

  it('of a tool that the tool calls are its own affair', async () => {
    const { session, entries } = await home()
    const inner = payTool()
    const outer = tool(async () => inner.invoke({ amount: 'x' } as never), { name: 'outer', schema: z.object({}) })
    const bare = await agentRun([outer], [[{ tool: 'outer', args: {} }]])
    const { answers } = await agentRun(
      [governed(outer, { scope: 'read' }, { session })],
      [[{ tool: 'outer', args: {} }]],
    )
    const first = (content: unknown) => String(content).split('\n')[0]
    expect(first(answers[0]?.content)).toBe(first(bare.answers[0]?.content))
    expect(await entries('refusal')).toEqual([])
    expect((await entries('outcome'))[0]?.data).toMatchObject({ ended: 'failed' })
  })

  it('fail as they would without Haldir in shadow mode', async () => {
    proves('shadow-runs')
    const { session, entries } = await home({ mode: 'shadow' })
    const bare = await agentRun([payTool()], [wrong])
    const { answers } = await agentRun([governed(payTool(), PAY, { session })], [wrong])
    const first = (content: unknown) => String(content).split('\n')[0]
    expect(first(answers[0]?.content)).toBe(first(bare.answers[0]?.content))
    expect(await entries('refusal')).toMatchObject([{ code: 'invalid-arguments', enforced: false }])
  })

  it('of zod 3 are not repeated either', async () => {
    const { z: z3 } = await import('zod/v3')
    const { session } = await home()
    const pick = tool(async () => 'picked', { name: 'pick', schema: z3.object({ color: z3.enum(['red']) }) as never })
    const calls = [{ tool: 'pick', args: { color: "argument-canary', received 'x" } }]
    const { answers } = await agentRun([governed(pick, { scope: 'read' }, { session })], [calls])
    expect(answers[0]?.content).toContain('`color` is not one of ["red"].')
    expect(answers[0]?.content).not.toContain('canary')
  })
})

describe('what a tool is handed', () => {
  it('is what the schema made of the arguments, which is also what is judged', async () => {
    proves('invariant-2')
    const { session } = await home()
    const seen: unknown[] = []
    const schema = z.object({ amount: z.string().transform(Number), note: z.string().default('none') })
    const pay = tool(
      async (args) => {
        seen.push(structuredClone(args))
        args.amount = 77
        return 'paid'
      },
      { name: 'pay', schema },
    )
    const priced: unknown[] = []
    const rule = {
      scope: 'spend',
      cost: (args: { amount: number }) => usd(args.amount),
      actual: (_: string, args: unknown) => {
        priced.push(args)
        return usd(1)
      },
    }
    const args = { amount: '4', extra: true }
    const answer: any = await governed(pay, rule, { session }).invoke(toolCall('pay', args))
    expect(answer.content).toBe('paid')
    expect([seen, priced]).toEqual([[{ amount: 4, note: 'none' }], [{ amount: 4, note: 'none' }]])
    expect(args).toEqual({ amount: '4', extra: true })
  })

  it('is its config, with a signal that ends with the session', async () => {
    const { session } = await home()
    const configs: any[] = []
    const look = new DynamicStructuredTool({
      name: 'look',
      description: '',
      schema: z.object({}),
      func: async (_, manager, config: any) => {
        configs.push({ ...config, manager, aborted: config.signal.aborted })
        return 'seen'
      },
    })
    const config = { configurable: { thread: 7 }, metadata: { of: 'mine' }, tags: ['one'], callbacks: [{}] }
    await governed(look, { scope: 'read' }, { session }).invoke({}, config)
    expect(configs[0]).toMatchObject({ configurable: { thread: 7 }, tags: ['one'], aborted: false })
    expect(configs[0].metadata).toMatchObject({ of: 'mine' })
    expect(configs[0].manager).toBeDefined()
  })

  it('in an agent is state, store and writer, too', async () => {
    const { session } = await home()
    const seen: any[] = []
    const look = tool(
      async (_, runtime: any) => {
        seen.push(runtime)
        runtime.writer?.('working')
        return 'seen'
      },
      { name: 'look', schema: z.object({}) },
    )
    const agent = createAgent({
      model: script([{ tool: 'look', args: {}, id: 'c1' }]).model,
      tools: [governed(look, { scope: 'read' }, { session })],
    })
    const written: unknown[] = []
    for await (const one of await agent.stream(input, { streamMode: 'custom' })) written.push(one)
    expect(seen[0]).toMatchObject({ toolCallId: 'c1', state: { messages: expect.any(Array) } })
    expect(written).toEqual(['working'])
  })
})

describe('what a tool answers', () => {
  it('passes as it is: messages and commands', async () => {
    const { session } = await home()
    const message = new ToolMessage({ content: 'mine', tool_call_id: 'c1', status: 'error' })
    const command = new Command({ update: { messages: [new ToolMessage({ content: 'done', tool_call_id: 'c1' })] } })
    for (const answer of [message, command]) {
      const made = tool(async () => answer, { name: 'made', schema: z.object({}) })
      const governedTool = governed(made, { scope: 'read' }, { session })
      expect(await governedTool.invoke(toolCall('made', {}, 'c1'))).toBe(answer)
      expect(await governedTool.invoke({})).toBe(answer)
    }
    const made = tool(async () => command, { name: 'made', schema: z.object({}) })
    const { answers } = await agentRun(
      [governed(made, { scope: 'read' }, { session })],
      [[{ tool: 'made', args: {}, id: 'c1' }]],
      [looking],
    )
    expect(answers[0]?.content).toBe('done')
  })

  it('after a secret was revealed passes only if it can be searched', async () => {
    proves('agents-never-see-keys', 'invariant-7')
    const keys = [envKey('KEY', { env: { KEY: 'c0'.repeat(32) } })]
    const { haldir, session } = await home({ vault: { keys } })
    await haldir.vault.put('key', 'sk_live_secret_canary', { scope: 'read' })
    const answers = {
      text: () => `it is ${currentCall().secret('key').reveal()}`,
      message: () => new ToolMessage({ content: currentCall().secret('key').reveal(), tool_call_id: 'c1' }),
    }
    for (const [name, answer] of Object.entries(answers)) {
      const made = tool(async () => answer(), { name, schema: z.object({}) })
      const told: any = await governed(made, { scope: 'read', secrets: ['key'] }, { session }).invoke(
        toolCall(name, {}),
      )
      expect(JSON.stringify(told)).not.toContain('canary')
      expect(told.content).toMatch(name === 'text' ? /^it is \[redacted:key\]$/ : /^Denied \(unavailable\)/)
    }
  })

  it.each(['tool()', 'func', 'class'])('item by item is read to its end: events, then the result: %s', async (kind) => {
    const { session, entries } = await home()
    async function* count(_args: unknown): AsyncGenerator<number, string> {
      yield 1
      yield 2
      return 'counted'
    }
    const fields = { name: 'count', description: 'counts', schema: z.object({}) }
    class Count extends DynamicStructuredTool<any> {
      protected override _call(args: unknown): any {
        return count(args)
      }
    }
    const made: any =
      kind === 'tool()'
        ? tool(count as never, fields)
        : kind === 'func'
          ? new DynamicStructuredTool({ ...fields, func: count as never })
          : new Count({ ...fields, func: async () => 'never' })
    const priced: unknown[] = []
    const actual = (result: unknown) => {
      priced.push(result)
      return usd(0)
    }
    const events: unknown[] = []
    const callbacks = [{ handleToolEvent: (event: unknown) => void events.push(event) }]
    const told = await governed(made, { scope: 'read', actual }, { session }).invoke(toolCall('count', {}), {
      callbacks,
    })
    expect([events, told.content, priced]).toEqual([[1, 2], 'counted', ['counted']])
    expect(await entries('outcome')).toHaveLength(1)
  })
})

describe('what goes wrong around a tool', () => {
  it('is no refusal: an answer that is no pair', async () => {
    const { session, entries } = await home()
    const fields = { name: 'odd', schema: z.object({}) }
    const odd = tool(async () => 'no pair', { ...fields, responseFormat: 'content_and_artifact' } as never) as any
    const message = (made: any) => made.invoke({}).then(undefined, (error: Error) => error.message)
    expect(await message(governed(odd, { scope: 'read' }, { session }))).toBe(await message(odd))
    expect(await entries('refusal')).toEqual([])
    expect(await entries('outcome')).toHaveLength(1)
  })

  it('ends a generator whose items may not go out', async () => {
    const keys = [envKey('KEY', { env: { KEY: 'c0'.repeat(32) } })]
    const { haldir, session } = await home({ vault: { keys } })
    await haldir.vault.put('key', 'sk_live_secret_canary', { scope: 'read' })
    const log: string[] = []
    const leaks = tool(
      async function* () {
        try {
          currentCall().secret('key').reveal()
          yield new Map([['hidden', 'sk_live_secret_canary']])
          log.push('went on')
        } finally {
          log.push('closed')
        }
      } as never,
      { name: 'leaks', schema: z.object({}) },
    )
    const events: unknown[] = []
    const callbacks = [{ handleToolEvent: (event: unknown) => void events.push(event) }]
    const told = await governed(leaks, { scope: 'read', secrets: ['key'] }, { session }).invoke(toolCall('leaks', {}), {
      callbacks,
    } as object)
    expect(told).toMatchObject({ status: 'error', content: expect.stringMatching(/^Denied \(unavailable\)/) })
    expect([log, events]).toEqual([['closed'], []])
  })
})

describe('callbacks', () => {
  it('hear of a governed tool what they hear of the bare one', async () => {
    const { session } = await home()
    const heard = async (made: any, args: unknown) => {
      const log: unknown[] = []
      const note = (name: string) => (said: unknown) => void log.push([name, String((said as any)?.content ?? said)])
      const callbacks = [
        {
          handleToolStart: (_: unknown, given: unknown, ...rest: unknown[]) =>
            void log.push(['start', given, rest.at(-2), rest.at(-1)]),
          handleToolEnd: note('end'),
          handleToolError: note('error'),
        },
      ]
      await made.invoke(toolCall('pay', args, 'c1'), { callbacks }).catch(() => {})
      return log
    }
    const failing = tool(async () => Promise.reject(new Error('no')), { name: 'pay', schema: amount })
    for (const made of [payTool(), failing]) {
      const tools = governed([made], { pay: PAY }, { session })
      expect(await heard(tools[0], { amount: 1 })).toEqual(await heard(made, { amount: 1 }))
    }
    expect(await heard(governed(payTool(), PAY, { session }), { amount: 9 })).toEqual([
      ['start', expect.anything(), expect.anything(), 'c1'],
      ['end', expect.stringMatching(/^Denied/)],
    ])
  })
})

it('a handler of events that fails is no error of the tool', async () => {
  const { session, entries } = await home()
  const count = tool(
    async function* () {
      yield 1
      return 'counted'
    } as never,
    { name: 'count', schema: z.object({}) },
  )
  const heard = async (made: any) => {
    const log: string[] = []
    const failing = {
      raiseError: true,
      awaitHandlers: true,
      handleToolEvent: () => Promise.reject(new Error('handler')),
      handleToolError: (error: Error) => void log.push(error.message),
      handleToolEnd: (message: ToolMessage) => void log.push(String(message.content)),
    }
    await made.invoke(toolCall('count', {}), { callbacks: [failing] })
    return log
  }
  expect(await heard(governed(count, { scope: 'read' }, { session }))).toEqual(await heard(count))
  expect((await entries('outcome'))[0]?.data).toMatchObject({ ended: 'ok' })
})

describe('an interrupt', () => {
  it('passes as it is, and the call is judged and paid for again when the run goes on', async () => {
    const { session, entries } = await home()
    const asked: unknown[] = []
    const pay = tool(
      async ({ amount }) => {
        asked.push(amount)
        return `${interrupt({ pay: amount })}: paid ${amount}`
      },
      { name: 'pay', schema: amount },
    )
    const tools = [governed(pay, { ...PAY, onFailure: 'release' }, { session })]
    const model = script([{ tool: 'pay', args: { amount: 4 } }]).model
    const agent = createAgent({
      model,
      tools,
      checkpointer: new MemorySaver(),
      middleware: [looking] as unknown[] as [],
    })
    const config = { configurable: { thread_id: '1' } }
    const paused: any = await agent.invoke(input, config)
    expect(paused.__interrupt__).toMatchObject([{ value: { pay: 4 } }])
    const { messages } = await agent.invoke(new Command({ resume: 'fine' }), config)
    expect(answersIn(messages)[0]?.content).toBe('fine: paid 4')
    expect(asked).toEqual([4, 4])
    expect((await entries()).map(({ type, data }) => [type, data.error ?? ''])).toEqual([
      ['intent', ''],
      ['outcome', 'GraphInterrupt'],
      ['intent', ''],
      ['outcome', ''],
    ])
    const [line] = await session.budget()
    expect(String(line?.used)).toBe(String(usd(4)))
  })
})

describe('the session', () => {
  const whose = tool(async () => currentCall().session.id, { name: 'whose', schema: z.object({}) })
  const calls = [{ tool: 'whose', args: {} }]

  it('in `configurable` is in no checkpoint and no metadata', async () => {
    const { haldir, session } = await home()
    const checkpointer = new MemorySaver()
    const metadata: unknown[] = []
    const callbacks = [{ handleToolStart: (...said: unknown[]) => void metadata.push(said) }]
    const agent = createAgent({
      model: script(calls).model,
      tools: [governed(whose, { scope: 'read' }, { haldir })],
      checkpointer,
    })
    const config = { configurable: { thread_id: '1', haldirSession: session }, callbacks }
    const { messages } = await agent.invoke(input, config)
    expect(answersIn(messages)[0]?.content).toBe(session.id)
    const kept: unknown[] = []
    for await (const one of checkpointer.list({ configurable: { thread_id: '1' } })) kept.push(one)
    expect(kept.length).toBeGreaterThan(0)
    const everything =
      JSON.stringify([kept, metadata, checkpointer.storage, messages]) + new TextDecoder().decode(flat(checkpointer))
    expect(everything).not.toContain(session.token)
  })

  it('that is ambient stays with what was started in it: streams, events, two at once', async () => {
    const { haldir, session } = await home()
    const other = await haldir.createSession({ agent: 'other', scopes: ['read'] })
    const tools = [governed(whose, { scope: 'read' }, { haldir })]
    const run = async (one: typeof session) => {
      const stream = await one.run(() =>
        createAgent({ model: script(calls).model, tools }).stream(input, { streamMode: 'values' }),
      )
      let last: any
      for await (const state of stream) last = state
      return answersIn(last.messages)[0]?.content
    }
    expect(await Promise.all([run(session), run(other)])).toEqual([session.id, other.id])
    const ends: unknown[] = []
    await session.run(async () => {
      const agent = createAgent({ model: script(calls).model, tools })
      for await (const { event, data } of agent.streamEvents(input, { version: 'v2' })) {
        if (event === 'on_tool_end') ends.push(data.output.content)
      }
    })
    expect(ends).toEqual([session.id])
  })
})

describe('an abort', () => {
  it("by the session's signal stops the loop", async () => {
    const { session } = await home()
    const stop = tool(async () => session.revoke('enough').then(() => 'late'), { name: 'stop', schema: z.object({}) })
    const model = script([{ tool: 'stop', args: {} }], 'never')
    const agent = createAgent({ model: model.model, tools: [governed(stop, { scope: 'read' }, { session })] })
    await expect(agent.invoke(input, { signal: session.signal })).rejects.toThrow()
    expect(model.asked).toHaveLength(1)
  })
})

it('a tool that fails is run again by retries as often as the bare one, each time for its price', async () => {
  proves('every-call-logged')
  const { session, entries } = await home()
  let tries = 0
  const flaky = tool(async () => (++tries < 3 ? Promise.reject(new Error('flaky')) : 'fine'), {
    name: 'flaky',
    schema: z.object({}),
  })
  const rule = { scope: 'spend', cost: usd(1) }
  const { answers } = await agentRun(
    [governed(flaky, rule, { session })],
    [[{ tool: 'flaky', args: {} }]],
    [retrying()],
  )
  expect(answers[0]?.content).toBe('fine')
  expect(await entries('intent')).toHaveLength(3)
  expect(String((await session.budget())[0]?.used)).toBe(String(usd(3)))
})

/** Every byte that a checkpointer has kept. */
function flat({ storage, writes }: MemorySaver): Uint8Array {
  const parts: number[] = []
  const walk = (value: unknown): void => {
    if (value instanceof Uint8Array) parts.push(...value)
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk)
  }
  walk([storage, writes])
  return Uint8Array.from(parts)
}
