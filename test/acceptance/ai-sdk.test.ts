/** What the AI SDK does beyond the common contract: its hooks, its schemas, its streams, its own ways of running tools. */
import { governed } from '@haldir/ai-sdk'
import { createHaldir, currentCall, Denied, type Entry, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import {
  dynamicTool,
  experimental_toolCaller,
  generateText,
  isStepCount,
  jsonSchema,
  type ModelMessage,
  streamText,
  ToolLoopAgent,
  tool,
  toolSearch,
} from 'ai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedModel } from '../contracts/ai-sdk-model.ts'

let haldir: Haldir
let session: Session

beforeEach(async () => {
  haldir = createHaldir({ sinks: [memorySink()] })
  session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:5'] })
})
afterEach(() => haldir.close())

const stopWhen = isStepCount(4)
const prompt = 'go on'

async function entries(type: Entry['type']): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({ type })) found.push(entry)
  return found
}

/** What the model read in answer to its last calls. */
function readBy(model: ReturnType<typeof scriptedModel>): unknown[] {
  const message = (model.doGenerateCalls.at(-1) ?? model.doStreamCalls.at(-1))?.prompt.at(-1)
  if (message?.role !== 'tool') return []
  return message.content.flatMap((part) => (part.type === 'tool-result' ? [part.output] : []))
}

const sessionHandle = z.custom<Session>((value) => value === session)

describe('the session in `toolsContext`', () => {
  it('reaches the gate through a `contextSchema` that lets it pass, and the rest reaches the tool', async () => {
    let seen: unknown
    const lookUp = tool({
      inputSchema: z.object({ id: z.number() }),
      contextSchema: z.object({ haldirSession: sessionHandle, region: z.string() }),
      execute: async ({ id }, { context }) => {
        seen = context
        return `order ${id}`
      },
    })
    const tools = governed({ lookUp }, { lookUp: { scope: 'read' } }, { haldir })
    const model = scriptedModel([{ tool: 'lookUp', args: { id: 7 } }])
    const toolsContext = { lookUp: { haldirSession: session, region: 'eu' } }
    await generateText({ model, tools, toolsContext, prompt, stopWhen })
    expect(readBy(model)).toEqual([{ type: 'text', value: 'order 7' }])
    expect(seen).toEqual({ haldirSession: session, region: 'eu' })
    expect((await entries('intent')).map((entry) => entry.session)).toEqual([session.id])
  })

  it('is dropped by a `contextSchema` that does not name it, and then there is no session', async () => {
    const narrow = tool({
      inputSchema: z.object({}),
      contextSchema: z.object({ region: z.string() }),
      execute: async () => 'ran',
    })
    const tools = governed({ narrow }, { narrow: { scope: 'read' } }, { haldir })
    const model = scriptedModel([{ tool: 'narrow', args: {} }])
    const toolsContext = { narrow: { region: 'eu', haldirSession: session } }
    await generateText({ model, tools, toolsContext, prompt, stopWhen })
    expect(readBy(model)).toEqual([{ type: 'error-text', value: expect.stringMatching(/^Denied \(no-session\): /) }])
  })

  it('may differ from tool to tool', async () => {
    const other = await haldir.createSession({ agent: 'other', scopes: ['read'] })
    const contextSchema = z.object({ haldirSession: z.custom<Session>() })
    const who = () =>
      tool({ inputSchema: z.object({}), contextSchema, execute: async () => currentCall().session.agent })
    const tools = governed({ a: who(), b: who() }, { a: { scope: 'read' }, b: { scope: 'read' } }, { haldir })
    const model = scriptedModel([
      { tool: 'a', args: {} },
      { tool: 'b', args: {} },
    ])
    const toolsContext = { a: { haldirSession: session }, b: { haldirSession: other } }
    await generateText({ model, tools, toolsContext, prompt, stopWhen })
    expect(readBy(model)).toEqual([
      { type: 'text', value: 'order-bot' },
      { type: 'text', value: 'other' },
    ])
  })

  it('is `experimental_context` in AI SDK 6', async () => {
    const old = governed(
      tool({ inputSchema: z.object({}), execute: async () => currentCall().session.id }),
      { name: 'old', scope: 'read' },
      { haldir },
    )
    const options = { toolCallId: 'c', messages: [], experimental_context: { haldirSession: session } }
    expect(await old.execute({}, options as never)).toBe(session.id)
    const text = { ...options, experimental_context: { haldirSession: session.token } }
    await expect(old.execute({}, text as never)).rejects.toMatchObject({ code: 'no-session' })
  })
})

describe("the tool's own hooks", () => {
  it('`toModelOutput` makes what the model reads of a result, and has no say in a denial', async () => {
    const made: unknown[] = []
    const lookUp = tool({
      inputSchema: z.object({ id: z.number() }),
      execute: async ({ id }) => ({ id, secret: false }),
      toModelOutput({ input, output, toolCallId }) {
        made.push([toolCallId, input, output, this === undefined ? undefined : Object.hasOwn(this, 'inputSchema')])
        return { type: 'text', value: `order ${output.id}` }
      },
    })
    const rule = { scope: ({ id }: { id: number }) => (id > 10 ? 'delete' : 'read') }
    const tools = governed({ lookUp }, { lookUp: rule }, { session })
    const model = scriptedModel([
      { tool: 'lookUp', args: { id: 7 }, id: 'fine' },
      { tool: 'lookUp', args: { id: 70 }, id: 'refused' },
    ])
    await generateText({ model, tools, prompt, stopWhen })
    expect(readBy(model)).toEqual([
      { type: 'text', value: 'order 7' },
      { type: 'error-text', value: expect.stringMatching(/^Denied \(scope-missing\): /) },
    ])
    for (const [id, input, output] of made as unknown[][]) {
      expect([id, input, output]).toEqual(['fine', { id: 7 }, { id: 7, secret: false }])
    }
    expect(made).not.toEqual([])
  })

  it('`onInputStart`, `onInputDelta` and `onInputAvailable` are called as before', async () => {
    const heard: string[] = []
    const hooked = tool({
      inputSchema: z.object({ id: z.number() }),
      onInputStart: ({ toolCallId }) => void heard.push(`start ${toolCallId}`),
      onInputDelta: ({ inputTextDelta }) => void heard.push(`delta ${inputTextDelta}`),
      onInputAvailable: ({ input }) => void heard.push(`available ${input.id}`),
      execute: async ({ id }) => void heard.push(`execute ${id}`),
    })
    const tools = governed({ hooked }, { hooked: { scope: 'read' } }, { session })
    const model = scriptedModel([{ tool: 'hooked', args: { id: 7 }, id: 'c1' }])
    await streamText({ model, tools, prompt, stopWhen }).consumeStream()
    expect(heard).toEqual(['start c1', 'delta {"id":7}', 'available 7', 'execute 7'])
  })

  it('`needsApproval` pauses the loop; what an approved call may do is decided when it runs', async () => {
    let ran = 0
    const pay = tool({
      inputSchema: z.object({ amount: z.number() }),
      needsApproval: ({ amount }) => amount > 1,
      execute: async () => `paid ${++ran}`,
    })
    const tools = governed({ pay }, { pay: { scope: 'spend', cost: ({ amount }) => usd(amount) } }, { session })
    const messages: ModelMessage[] = [{ role: 'user', content: 'pay' }]
    const model = scriptedModel([{ tool: 'pay', args: { amount: 3 } }])
    const paused = await generateText({ model, tools, messages, stopWhen })
    const [request] = paused.content.filter((part) => part.type === 'tool-approval-request')
    expect(request).toBeDefined()
    expect([ran, await entries('intent'), await entries('refusal')]).toEqual([0, [], []])

    const answer = { type: 'tool-approval-response', approvalId: request!.approvalId, approved: true } as const
    const resumed: ModelMessage[] = [...messages, ...paused.responseMessages, { role: 'tool', content: [answer] }]
    expect((await generateText({ model: scriptedModel(), tools, messages: resumed, stopWhen })).text).toBe('done')
    expect([ran, (await entries('intent')).length]).toEqual([1, 1])

    // The same messages once more: the SDK runs the call again, and the budget says no.
    const again = scriptedModel()
    await generateText({ model: again, tools, messages: resumed, stopWhen })
    expect(ran).toBe(1)
    expect(JSON.stringify(again.doGenerateCalls[0]?.prompt)).toContain('Denied (budget-exceeded)')
  })
})

describe('schemas', () => {
  const json = { type: 'object' as const, properties: { id: { type: 'number' as const } }, required: ['id'] }
  const standard = {
    '~standard': {
      version: 1,
      vendor: 'by-hand',
      validate: (value: unknown) => ({ value: value as { id: number } }),
      jsonSchema: { input: () => ({ ...json }), output: () => ({ ...json }) },
    },
  } as const

  const variants = {
    zod: tool({ inputSchema: z.object({ id: z.number() }), execute: async ({ id }) => id }),
    json: tool({ inputSchema: jsonSchema<{ id: number }>(json), execute: async ({ id }) => id }),
    standard: tool({ inputSchema: standard, execute: async ({ id }: { id: number }) => id }),
    dynamic: dynamicTool({ inputSchema: jsonSchema(json), execute: async (args) => (args as { id: number }).id }),
  }

  it.each(Object.entries(variants))('a tool with a schema of this kind is governed: %s', async (name, bare) => {
    const tools = { [name]: governed(bare as typeof variants.zod, { name, scope: 'read' }, { session }) }
    const bareModel = scriptedModel([{ tool: name, args: { id: 7 } }])
    await generateText({ model: bareModel, tools: { [name]: bare }, prompt, stopWhen })
    const model = scriptedModel([{ tool: name, args: { id: 7 } }])
    const { steps } = await generateText({ model, tools, prompt, stopWhen })
    expect(model.doGenerateCalls[0]?.tools).toEqual(bareModel.doGenerateCalls[0]?.tools)
    expect(readBy(model)).toEqual([{ type: 'json', value: 7 }])
    expect(steps[0]?.toolResults.map(({ dynamic }) => dynamic ?? false)).toEqual([name === 'dynamic'])
    const [intent] = await entries('intent')
    expect(intent?.toolHash).toMatch(/^[0-9a-f]{64}$/)
  })

  it("a tool's hash changes with its schema and its description, and with nothing else", async () => {
    const make = (description: string, inputSchema: z.ZodType<any>) =>
      governed(tool({ description, inputSchema, execute: async () => 1 }), { name: 'x', scope: 'read' }, { session })
    const one = z.object({ id: z.number() })
    const tools = [make('a', one), make('a', one), make('b', one), make('a', z.object({ id: z.string() }))]
    for (const each of tools) await each.execute({}, { toolCallId: 'c', messages: [], context: {} })
    const [first, same, described, typed] = (await entries('intent')).map(({ toolHash }) => toolHash)
    expect(same).toBe(first)
    expect(new Set([first, described, typed]).size).toBe(3)
  })

  it('input that the schema refuses, and names of no tool, do not come to the gate', async () => {
    const tools = governed({ zod: variants.zod }, { zod: { scope: 'read' } }, { session })
    const model = scriptedModel([
      { tool: 'zod', args: { id: 'seven' } },
      { tool: 'nobody', args: {} },
    ])
    expect((await generateText({ model, tools, prompt, stopWhen })).text).toBe('done')
    expect(await entries('intent')).toEqual([])
  })
})

describe('ways around `execute`', () => {
  const inputSchema = z.object({})

  it('a tool that runs at the provider is refused, also when it has an `execute`', () => {
    const remote = { type: 'provider', id: 'acme.search', args: {}, isProviderExecuted: true, inputSchema }
    const refusal = expect.objectContaining({ code: 'ungovernable', path: 'search' })
    expect(() => governed({ search: remote }, { search: { scope: 'read' } })).toThrow(refusal)
    const both = { ...remote, execute: async () => 1 }
    expect(() => governed({ search: both }, { search: { scope: 'read' } })).toThrow(refusal)
    const local = { ...both, isProviderExecuted: false }
    expect(() => governed({ search: local }, { search: { scope: 'read' } })).not.toThrow()
  })

  it('the tool search of the SDK is refused: the SDK replaces its `execute`', () => {
    expect(() => governed({ find: toolSearch() }, { find: { scope: 'read' } })).toThrow(
      expect.objectContaining({ code: 'ungovernable', path: 'find' }),
    )
  })

  it('the caller of a provider stays as it is, and tools it is given stay governed', async () => {
    const definition = { type: 'provider', prepareProviderOptions: () => ({ acme: { on: true } }) } as const
    const caller = experimental_toolCaller(tool({ inputSchema, execute: async () => 'caller' }), definition)
    const tools = governed(
      { caller, read: tool({ inputSchema, execute: async () => 'read' }) },
      { caller: { scope: 'read' }, read: { scope: 'delete' } },
      { session },
    )
    expect(Object.getOwnPropertyDescriptor(tools.caller, 'experimental_toolCaller')).toEqual(
      Object.getOwnPropertyDescriptor(caller, 'experimental_toolCaller'),
    )
    const model = scriptedModel([{ tool: 'read', args: {} }])
    const experimental_toolCallers = { read: ['caller' as const] }
    await generateText({ model, tools, experimental_toolCallers, prompt, stopWhen })
    expect(readBy(model)).toEqual([{ type: 'error-text', value: expect.stringMatching(/^Denied \(scope-missing\)/) }])
  })

  it('a local caller, which the SDK binds anew for each step, is governed when bound, and so is what it calls', async () => {
    const ran: string[] = []
    const code = experimental_toolCaller(tool({ inputSchema, execute: async () => 'unbound' }), {
      type: 'local',
      bind: (bound) =>
        tool({
          inputSchema,
          execute: async (_, options) => {
            ran.push('code')
            return bound.remove?.execute?.({}, options).catch((error: unknown) => `inner: ${error}`)
          },
        }),
    })
    const remove = tool({ inputSchema, execute: async () => void ran.push('remove') })
    const make = (scope: string) =>
      governed({ code, remove }, { code: { scope }, remove: { scope: 'delete' } }, { session })
    const experimental_toolCallers = { remove: ['code' as const] }

    const refused = scriptedModel([{ tool: 'code', args: {} }])
    await generateText({ model: refused, tools: make('admin'), experimental_toolCallers, prompt, stopWhen })
    expect(readBy(refused)).toEqual([{ type: 'error-text', value: expect.stringMatching(/^Denied \(scope-missing\)/) }])
    expect(ran).toEqual([])

    const allowed = scriptedModel([{ tool: 'code', args: {} }])
    await generateText({ model: allowed, tools: make('read'), experimental_toolCallers, prompt, stopWhen })
    expect(readBy(allowed)).toEqual([
      { type: 'text', value: expect.stringMatching(/^inner: Denied \(scope-missing\)/) },
    ])
    expect(ran).toEqual(['code'])
    expect((await entries('intent')).map((entry) => entry.tool)).toEqual(['code'])
  })

  it('a `ToolLoopAgent` is governed like any loop', async () => {
    const tools = governed(
      {
        fine: tool({ inputSchema, execute: async () => 'fine' }),
        no: tool({ inputSchema, execute: async () => 'no' }),
      },
      { fine: { scope: 'read' }, no: { scope: 'delete' } },
      { haldir },
    )
    const model = scriptedModel([
      { tool: 'fine', args: {} },
      { tool: 'no', args: {} },
    ])
    const agent = new ToolLoopAgent({ model, tools })
    const { text } = await session.run(() => agent.generate({ prompt }))
    expect(text).toBe('done')
    expect(readBy(model)).toEqual([
      { type: 'text', value: 'fine' },
      { type: 'error-text', value: expect.stringMatching(/^Denied/) },
    ])
  })
})

describe('streams', () => {
  const inputSchema = z.object({ path: z.string().optional() })

  it('a browser sees of a denial the safe sentence alone', async () => {
    const tools = governed({ remove: tool({ inputSchema, execute: async () => 1 }) }, { remove: { scope: 'delete' } })
    const model = scriptedModel([{ tool: 'remove', args: { path: '/home' } }])
    const result = session.run(() => streamText({ model, tools, prompt, stopWhen }))
    const chunks: object[] = []
    // The stream is read outside of `run`: the session is the one at the start.
    for await (const chunk of result.toUIMessageStream()) chunks.push(chunk)
    const [read] = readBy(model) as { value: string }[]
    expect(read?.value).toMatch(/^Denied \(scope-missing\): /)
    expect(chunks.filter((chunk) => 'errorText' in chunk)).toEqual([
      { type: 'tool-output-error', toolCallId: 'turn-1-call-0', errorText: read?.value },
    ])
    expect(JSON.stringify(chunks)).not.toMatch(/callId"|stack|retryable/)
  })

  it('revoking in the middle stops the loop that was given `session.signal`', async () => {
    const stop = tool({ inputSchema, execute: () => session.revoke('enough') })
    const tools = governed({ stop }, { stop: { scope: 'read' } }, { session })
    const script = [{ tool: 'stop', args: {} }]

    const model = scriptedModel(script, script, script)
    const loop = generateText({ model, tools, prompt, stopWhen, abortSignal: session.signal })
    await expect(loop).rejects.toSatisfy((error) => Denied.isInstance(error) && error.code === 'session-revoked')
    expect(model.doGenerateCalls).toHaveLength(1)
  })

  it('revoking in the middle of a stream ends it, and the model is not asked again', async () => {
    const stop = tool({ inputSchema, execute: () => session.revoke('enough') })
    const tools = governed({ stop }, { stop: { scope: 'read' } }, { session })
    const model = scriptedModel([{ tool: 'stop', args: {} }], [{ tool: 'stop', args: {} }])
    const types: string[] = []
    const { fullStream } = streamText({ model, tools, prompt, stopWhen, abortSignal: session.signal })
    for await (const { type } of fullStream) types.push(type)
    expect(types).toContain('abort')
    expect(types).not.toContain('finish')
    expect(model.doStreamCalls).toHaveLength(1)
  })

  const numbers = async function* () {
    yield 1
    yield 2
  }

  it('a plain function that answers items is read to the end, and only the last one counts', async () => {
    const plain = governed(
      tool({ inputSchema, execute: () => numbers() }),
      { name: 'plain', scope: 'spend', cost: usd(3), actual: (last) => usd(last) },
      { session },
    )
    const model = scriptedModel([{ tool: 'plain', args: {} }])
    await generateText({ model, tools: { plain }, prompt, stopWhen })
    expect(readBy(model)).toEqual([{ type: 'json', value: 2 }])
    expect((await entries('outcome')).map(({ spent }) => spent)).toEqual([[{ unit: 'USD', amount: '2' }]])
  })

  it('with `streaming: true` its items stream, and a single answer is one item', async () => {
    const make = (execute: () => unknown) =>
      governed(tool({ inputSchema, execute }), { name: 'plain', scope: 'read', streaming: true }, { session })
    for (const [execute, expected] of [
      [numbers, [1, 2]],
      [async () => 'once', ['once']],
    ] as const) {
      const model = scriptedModel([{ tool: 'plain', args: {} }])
      const { fullStream } = streamText({ model, tools: { plain: make(execute) }, prompt, stopWhen })
      const preliminary: unknown[] = []
      const final: unknown[] = []
      for await (const part of fullStream) {
        if (part.type === 'tool-result') (part.preliminary ? preliminary : final).push(part.output)
      }
      expect(preliminary).toEqual(expected)
      expect(final).toEqual(expected.slice(-1))
    }
  })

  it('a promise of something iterable is its value, as it is for the bare tool', async () => {
    const body = new ReadableStream()
    const bare = tool({ inputSchema, execute: async () => body })
    const wrapped = governed(bare, { name: 'download', scope: 'read' }, { session })
    expect(await wrapped.execute({}, { toolCallId: 'c', messages: [], context: {} })).toBe(body)
  })
})

describe('the options of `execute`', () => {
  it('reach the tool whole, but for a signal that also ends with the session', async () => {
    const seen: any[] = []
    const bare = tool({
      inputSchema: z.object({}),
      execute: async (_, options) => {
        seen.push(options)
        return Object.keys(options)
      },
    })
    const given = {
      toolCallId: 'call-7',
      messages: [{ role: 'user' as const, content: 'hello' }],
      abortSignal: new AbortController().signal,
      context: { region: 'eu' },
      experimental_sandbox: { description: 'a sandbox' } as never,
      future: 'kept',
    }
    const wrapped = governed(bare, { name: 'bare', scope: 'read' }, { session })
    expect(await wrapped.execute({}, Object.freeze({ ...given }))).toEqual(Object.keys(given))
    const { abortSignal, ...rest } = seen[0]
    expect({ ...rest, abortSignal: given.abortSignal }).toEqual(given)
    expect(rest.messages).toBe(given.messages)
    expect(rest.context).toBe(given.context)
    expect(rest.experimental_sandbox).toBe(given.experimental_sandbox)
    expect(abortSignal).toBeInstanceOf(AbortSignal)
    expect((await entries('intent')).map(({ ref }) => ref)).toEqual(['call-7'])
  })

  it("the SDK's own timeout reaches the tool", async () => {
    const slow = tool({
      inputSchema: z.object({}),
      execute: (_, { abortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal?.addEventListener('abort', () => reject(abortSignal.reason))
        }),
    })
    const tools = governed({ slow }, { slow: { scope: 'read' } }, { session })
    const model = scriptedModel([{ tool: 'slow', args: {} }])
    const { text } = await generateText({ model, tools, prompt, stopWhen, timeout: { toolMs: 5 } })
    expect(text).toBe('done')
    expect((await entries('outcome')).map(({ data }) => data)).toMatchObject([
      { ended: 'failed', error: 'TimeoutError' },
    ])
  })
})

describe('wrapping', () => {
  const bare = tool({ inputSchema: z.object({}), execute: async () => 1 })
  const rule = { scope: 'read' }
  const wrong = (code: string, path: string) => expect.objectContaining({ name: 'ConfigError', code, path })

  it('a set keeps its keys and their order, and needs exactly one rule for each tool', () => {
    expect(Object.keys(governed({ b: bare, a: bare }, { a: rule, b: rule }))).toEqual(['b', 'a'])
    expect(() => governed({ a: bare, b: bare }, { a: rule } as never)).toThrow(wrong('invalid-option', 'b'))
    expect(() => governed({ a: bare }, { a: rule, b: rule } as never)).toThrow(wrong('invalid-option', 'b'))
    expect(() => governed({ a: bare }, { a: undefined } as never)).toThrow(wrong('invalid-option', 'a'))
    expect(() => governed({ a: bare }, undefined as never)).toThrow(wrong('invalid-option', 'options'))
  })

  it('what is no tool is refused', () => {
    for (const value of [undefined, null, 'text', () => 1]) {
      expect(() => governed(value as never, { name: 'x', scope: 'read' })).toThrow(wrong('ungovernable', 'x'))
      expect(() => governed({ x: value } as never, { x: rule } as never)).toThrow(wrong('ungovernable', 'x'))
    }
  })

  it('a set may hold a tool named `name`', () => {
    expect(Object.keys(governed({ name: bare }, { name: rule }))).toEqual(['name'])
  })

  it('names and options are checked', () => {
    expect(() => governed(bare, { name: 'no spaces', ...rule })).toThrow(wrong('invalid-option', 'name'))
    expect(() => governed(bare, { name: '', ...rule })).toThrow(wrong('invalid-option', 'name'))
    expect(() => governed(bare, { name: 'x' } as never)).toThrow(wrong('invalid-option', 'scope'))
    expect(() => governed(bare, { name: 'x', scope: 'read', costs: usd(1) } as never)).toThrow(
      wrong('invalid-option', 'costs'),
    )
    expect(() => governed(bare, { name: 'x', scope: 'spend' })).toThrow(wrong('invalid-option', 'cost'))
  })
})
