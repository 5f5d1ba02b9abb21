/** What `runTools` of the OpenAI SDK does beyond the common contract: its texts, its helpers, its runners, its contexts. */
import { createHaldir, currentCall, Denied, type Entry, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed, permitted } from '@haldir/openai'
import { standardFunction } from 'openai/helpers/standard-schema'
import { zodFunction } from 'openai/helpers/zod'
import { ChatCompletionRunner } from 'openai/lib/ChatCompletionRunner'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type ModelCall, type Scripted, scriptedClient, versions } from '../contracts/openai-client.ts'

let haldir: Haldir
let session: Session

beforeEach(async () => {
  haldir = createHaldir({ sinks: [memorySink()] })
  session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:5'] })
})
afterEach(() => haldir.close())

const [{ OpenAI: OpenAI7 }] = versions as [(typeof versions)[0]]
const messages = [{ role: 'user' as const, content: 'go on' }]
const ANY = { type: 'object', properties: {}, additionalProperties: true }
const AMOUNT = { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] }
const CANARY = 'argument-canary-77ab'

async function entries(filter: { type?: Entry['type']; tool?: string } = {}): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query(filter)) found.push(entry)
  return found
}

/** What the model read in answer to its calls. */
function readBy({ requests }: Scripted): string[] {
  return requests.at(-1).messages.flatMap((message: any) => (message.role === 'tool' ? [message.content] : []))
}

/** Drives one turn of calls through `runTools`. */
async function run(tools: readonly any[], calls: readonly ModelCall[], client = scriptedClient(OpenAI7, [calls])) {
  const text = await client.client.chat.completions.runTools({ model: 'scripted', messages, tools }).finalContent()
  return { text, read: readBy(client), sent: client.requests[0].tools }
}

const refusals = async () => (await entries({ type: 'refusal' })).map(({ tool, code }) => [tool, code])

describe.each(versions)('$name', ({ OpenAI, helpers }) => {
  const pay = (got: unknown[]) => ({
    type: 'function' as const,
    function: {
      name: 'pay',
      description: 'pays',
      parameters: AMOUNT,
      parse: JSON.parse,
      function: async (args: { amount: number }) => {
        got.push(args)
        return { paid: args.amount }
      },
    },
  })
  const rule = { pay: { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) } }

  it('streams: a denial is read, and the run goes on', async () => {
    const got: unknown[] = []
    const tools = governed([pay(got)], rule, { session })
    const scripted = scriptedClient(OpenAI, [
      [
        { tool: 'pay', args: { amount: 3 } },
        { tool: 'pay', args: { amount: 4 } },
      ],
    ])
    const runner = scripted.client.chat.completions.runTools({ model: 'scripted', messages, tools, stream: true })
    let streamed = ''
    runner.on('content', (delta: string) => {
      streamed += delta
    })
    expect(await runner.finalContent()).toBe('done')
    expect([streamed, got]).toEqual(['done', [{ amount: 3 }]])
    expect(readBy(scripted)).toEqual(['{"paid":3}', expect.stringMatching(/^Denied \(budget-exceeded\): /)])
    expect(scripted.requests[0].tools).toEqual([
      { type: 'function', function: { name: 'pay', description: 'pays', parameters: AMOUNT } },
    ])
  })

  it('text that is not JSON is refused, on record, and the run goes on', async () => {
    const got: unknown[] = []
    const takesText = {
      name: 'note',
      description: 'notes',
      parameters: ANY,
      function: (text: string) => got.push(text),
    }
    const tools = governed(
      [pay(got), { type: 'function' as const, function: takesText }],
      { ...rule, note: { scope: 'read' } },
      { session },
    )
    const calls = ['pay', 'note'].map((tool) => ({ tool, args: `{"amount": ${CANARY}` }))
    const { read, text } = await run(tools, calls, scriptedClient(OpenAI, [calls]))
    const sentence = 'Denied (invalid-arguments): the arguments are not valid JSON. '
    expect(read).toEqual([expect.stringContaining(sentence), expect.stringContaining(sentence)])
    expect(read.join()).not.toContain(CANARY)
    expect([text, got]).toEqual(['done', []])
    expect((await refusals()).sort()).toEqual([
      ['note', 'invalid-arguments'],
      ['pay', 'invalid-arguments'],
    ])
  })

  it('a strict tool whose text is not JSON ends the run in the SDK, before any tool: nothing runs', async () => {
    const got: unknown[] = []
    const strict = { ...pay(got), function: { ...pay(got).function, strict: true } }
    const tools = governed([strict], rule, { session })
    const calls = [{ tool: 'pay', args: '{"amount":' }]
    await expect(run(tools, calls, scriptedClient(OpenAI, [calls]))).rejects.toThrow(/JSON/)
    expect([got, await entries({ tool: 'pay' })]).toEqual([[], []])
  })

  it('the tools of `parse` and of helpers keep their marks, and read what they read', async () => {
    const parameters = z.object({ amount: z.number() })
    const bare = helpers.zodFunction({ name: 'pay', description: 'pays', parameters, function: () => 1 })
    const tool = governed(bare, { name: 'pay', scope: 'read' }, { session })
    for (const member of ['$brand', '$parseRaw', '$callback'] as const) {
      const { value, ...flags } = Object.getOwnPropertyDescriptor(tool, member) ?? {}
      expect(flags).toEqual({ enumerable: false, writable: false, configurable: false })
      expect(value === bare[member]).toBe(member === '$brand')
    }
    expect(JSON.stringify(tool)).toBe(JSON.stringify(bare))
    const parsed = async (one: object, args: unknown) => {
      const { client } = scriptedClient(OpenAI, [[{ tool: 'pay', args }]])
      const params = { model: 'scripted', messages, tools: [one as never] }
      const completion = await client.chat.completions.parse(params)
      return (completion.choices[0]?.message.tool_calls?.[0] as any)?.function.parsed_arguments
    }
    expect(await parsed(tool, { amount: 2, more: 1 })).toEqual(await parsed(bare, { amount: 2, more: 1 }))
    expect(await parsed(tool, { amount: 2 })).toEqual({ amount: 2 })
    // What does not fit is nothing, so that the loop comes as far as the gate; the bare tool throws.
    expect(await parsed(tool, { amount: 'x' })).toBe(null)
    expect(await parsed(tool, '{"amount"')).toBe(null)
    await expect(parsed(bare, { amount: 'x' })).rejects.toThrow()
  })
})

it('version 5, which runs the calls of a turn in turn, spends no more when many runs go at once', async () => {
  const { OpenAI } = versions.find(({ major }) => major === 5) as (typeof versions)[0]
  let ran = 0
  const pay = {
    type: 'function' as const,
    function: { name: 'pay', description: '', parameters: ANY, parse: JSON.parse, function: async () => ++ran },
  }
  const tools = governed([pay], { pay: { scope: 'spend', cost: usd(1) } }, { session })
  const turn = [1, 2, 3].map(() => ({ tool: 'pay', args: {}, id: 'call-1' }))
  const runs = Array.from({ length: 20 }, () => run(tools, turn, scriptedClient(OpenAI, [turn])))
  const read = (await Promise.all(runs)).flatMap((one) => one.read)
  expect([ran, read.filter((text) => text.startsWith('Denied (budget-exceeded)')).length]).toEqual([5, 55])
})

describe('a function that takes text', () => {
  const noted = (parameters: object = ANY) => {
    const got: string[] = []
    const note = { name: 'note', description: '', parameters, function: (text: string) => void got.push(text) }
    return { got, tool: { type: 'function' as const, function: note } }
  }

  it('gets as JSON exactly what was judged, whatever else the text could be taken for', async () => {
    const judged: unknown[] = []
    const { got, tool } = noted()
    const cost = (args: any) => {
      judged.push(args)
      return usd(args.amount)
    }
    const tools = governed([tool], { note: { scope: 'spend', cost } }, { session })
    const { read } = await run(tools, [
      { tool: 'note', args: ' {"amount": 99, "amount": 1, "to": ["\\u0061", 1.0]} ' },
      { tool: 'note', args: '' },
    ])
    expect(judged[0]).toEqual({ amount: 1, to: ['a', 1] })
    expect(got).toEqual(['{"amount":1,"to":["a",1]}'])
    expect(read[0]).toBe('undefined')
    // No text is no arguments; what this costs can not be told.
    expect(judged[1]).toEqual({})
    expect(read[1]).toMatch(/^Denied \(/)
  })

  it('is checked by its `parameters`', async () => {
    const { got, tool } = noted({ ...AMOUNT, additionalProperties: false })
    const tools = governed([tool], { note: { scope: 'read' } }, { session })
    const wrong = ['[]', 'null', '"text"', { amount: CANARY }, { amount: 1, [CANARY]: 1 }, '{"__proto__":{"amount":1}}']
    const { read } = await run(
      tools,
      wrong.map((args) => ({ tool: 'note', args })),
    )
    for (const text of read) expect(text).toMatch(/^Denied \(invalid-arguments\): /)
    expect(read[3]).toContain('`amount` is not of type number')
    expect(got).toEqual([])
    expect(await refusals()).toHaveLength(wrong.length)
  })

  it('gets its secrets where the rule names them', async () => {
    await haldir.close()
    haldir = createHaldir({ sinks: [memorySink()], vault: { keys: [key] } })
    session = await haldir.createSession({ agent: 'order-bot', scopes: ['read'] })
    await haldir.vault.put('stripe', 'sk_live_123456789', { scope: 'read' })
    const { got, tool } = noted()
    const tools = governed([tool], { note: { scope: 'read', secretArgs: { 'headers.auth': 'stripe' } } }, { session })
    await run(tools, [{ tool: 'note', args: { headers: { auth: '{{secret}}' } } }])
    expect(got).toEqual([expect.stringContaining('sk_live_123456789')])
  })
})

const key = { id: 'k', current: true, wrap: async (data: any) => data, unwrap: async (data: any) => data } as never

describe('a `parse` of the tool’s own', () => {
  const withParse = (parse: (text: string) => any, parameters: object = AMOUNT) => {
    const got: unknown[] = []
    const fn = { name: 'pay', description: '', parameters, parse, function: async (args: any) => void got.push(args) }
    const tools = governed([{ type: 'function' as const, function: fn }], { pay: { scope: 'read' } }, { session })
    return { got, pays: (args: unknown) => run(tools, [{ tool: 'pay', args }]).then(({ read }) => read[0]) }
  }

  it('is what the tool goes by: what it answers is judged and run', async () => {
    const { got, pays } = withParse(async (text) => ({ ...JSON.parse(text), currency: 'USD' }))
    expect(await pays({ amount: 2 })).toBe('undefined')
    expect(got).toEqual([{ amount: 2, currency: 'USD' }])
  })

  it('does not stand above the schema that the model was shown', async () => {
    const { got, pays } = withParse((text) => JSON.parse(text))
    expect(await pays({ amount: CANARY })).toMatch(/^Denied \(invalid-arguments\): .*`amount` is not of type number/)
    expect(got).toEqual([])
  })

  it('that is `JSON.parse` checks nothing, so what is judged is checked', async () => {
    const { got, pays } = withParse(JSON.parse)
    expect(await pays({ amount: CANARY })).toMatch(/^Denied \(invalid-arguments\): .*`amount` is not of type number/)
    expect(got).toEqual([])
  })

  it('may read what is no JSON', async () => {
    const { got, pays } = withParse((text) => ({ amount: Number(text.split('=')[1]) }))
    expect(await pays('amount=3')).toBe('undefined')
    expect(got).toEqual([{ amount: 3 }])
  })

  it.each([
    ['zod', (text: string) => z.object({ amount: z.number().max(5) }).parse(JSON.parse(text)), /`amount` Too big/],
    ['text', (text: string) => JSON.parse(`${text}}`), /what the tool can read/],
    ['a promise', async (text: string) => Promise.reject(new Error(text)), /what the tool can read/],
    ['no error', () => Promise.reject(undefined), /what the tool can read/],
  ])('that throws %s refuses, and what it says holds no value', async (_, parse, said) => {
    const { got, pays } = withParse(parse, ANY)
    const read = await pays({ amount: 9, to: CANARY })
    expect(read).toMatch(/^Denied \(invalid-arguments\): /)
    expect(read).toMatch(said)
    expect(read).not.toContain(CANARY)
    expect([got, await refusals()]).toEqual([[], [['pay', 'invalid-arguments']]])
  })

  it('in shadow mode, what only the schema is against runs as it did before', async () => {
    await haldir.close()
    haldir = createHaldir({ sinks: [memorySink()], mode: 'shadow' })
    session = await haldir.createSession({ agent: 'order-bot', scopes: ['read'] })
    const { got, pays } = withParse((text) => JSON.parse(text))
    expect(await pays({ amount: 'two' })).toBe('undefined')
    expect(got).toEqual([{ amount: 'two' }])
    expect(await entries({ type: 'outcome' })).toMatchObject([{ enforced: false }])
  })
})

describe('helpers', () => {
  it('zodFunction: what zod says is wrong is read, and on record; a transform is what is judged', async () => {
    const got: unknown[] = []
    const parameters = z.object({ amount: z.number().max(5), to: z.enum(['a', 'b']) })
    const tool = zodFunction({ name: 'pay', parameters, function: (args) => got.push(args) })
    const tools = governed([tool], { pay: { scope: 'spend', cost: (args: any) => usd(args.amount) } }, { session })
    const { read, text } = await run(tools, [
      { tool: 'pay', args: { amount: 6, to: CANARY } },
      { tool: 'pay', args: { amount: 2, to: 'a', more: 1 } },
    ])
    expect(read[0]).toMatch(/^Denied \(invalid-arguments\): .*`amount` Too big.*`to` Invalid option/)
    expect(read[0]).not.toContain(CANARY)
    expect([read[1], text, got]).toEqual(['1', 'done', [{ amount: 2, to: 'a' }]])
    expect(await refusals()).toEqual([['pay', 'invalid-arguments']])
  })

  it('standardFunction: by the schema the model was shown, for the SDK tells of its issues in words alone', async () => {
    const validate = (value: any) =>
      typeof value.amount === 'number' ? { value } : { issues: [{ message: `got ${value.amount}`, path: ['amount'] }] }
    const schema = { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] }
    const parameters = { '~standard': { version: 1 as const, vendor: 'own', validate } }
    const tool = standardFunction({
      name: 'pay',
      parameters,
      schema: { ...schema, additionalProperties: false },
      function: () => 'paid',
    })
    const tools = governed([tool], { pay: { scope: 'read' } }, { session })
    const { read } = await run(tools, [
      { tool: 'pay', args: { amount: CANARY } },
      { tool: 'pay', args: { amount: 1 } },
    ])
    expect(read).toEqual([expect.stringContaining('`amount` is not of type number'), 'paid'])
  })
})

describe('what the tool is given', () => {
  const looking = (look: (args: any, runner: any, toolContext: any) => unknown, name?: string) => ({
    type: 'function' as const,
    function: { ...(name && { name }), description: '', parameters: ANY, parse: JSON.parse, function: look },
  })

  it('is the runner itself, but for a signal that ends with the session', async () => {
    let kept: any
    const look = async (_: unknown, runner: any) => {
      kept = { runner, signal: runner.controller.signal }
      const usage = runner.totalUsage()
      await session.revoke('stop')
      const [last] = runner.messages.slice(-1)
      return {
        same: runner instanceof ChatCompletionRunner,
        ended: runner.ended,
        last: last.role,
        usage: typeof usage.then,
      }
    }
    const tools = governed([looking(look, 'look')], { look: { scope: 'read' } }, { session })
    const { read } = await run(tools, [{ tool: 'look', args: {} }])
    expect(JSON.parse(read[0] as string)).toEqual({ same: true, ended: false, last: 'assistant', usage: 'function' })
    expect(Denied.isInstance(kept.signal.reason) && kept.signal.reason.code).toBe('session-revoked')
    expect(kept.runner.messages.at(-1).role).toBe('assistant')
  })

  it('lets it end the run', async () => {
    const look = (_: unknown, runner: any) => runner.abort()
    const tools = governed([looking(look, 'look')], { look: { scope: 'read' } }, { session })
    await expect(run(tools, [{ tool: 'look', args: {} }])).rejects.toThrow('Request was aborted.')
    const stop = (_: unknown, runner: any) => runner.controller.abort()
    const stops = governed([looking(stop, 'stop')], { stop: { scope: 'read' } }, { session })
    await expect(run(stops, [{ tool: 'stop', args: {} }])).rejects.toThrow('Request was aborted.')
  })

  it('is the context beside the session', async () => {
    let seen: unknown
    const look = (_args: unknown, _runner: unknown, context: unknown) => {
      seen = context
      return currentCall().session.agent
    }
    const tools = governed([looking(look, 'look')], { look: { scope: 'read' } }, { haldir })
    const toolContext = { haldirSession: session, region: 'eu' }
    const scripted = scriptedClient(OpenAI7, [[{ tool: 'look', args: {} }]])
    const params = { model: 'scripted', messages, tools, toolContext }
    await scripted.client.chat.completions.runTools(params).finalContent()
    expect([readBy(scripted), seen]).toEqual([['order-bot'], toolContext])
  })

  it('keeps the name of its function, where it has no other', async () => {
    async function lookUp(): Promise<string> {
      return 'found'
    }
    const tools = governed([looking(lookUp)], { lookUp: { scope: 'read' } }, { session })
    const { read, sent } = await run(tools, [{ tool: 'lookUp', args: {} }])
    expect([read, sent[0].function.name]).toEqual([['found'], 'lookUp'])
    expect(tools[0]?.function.function.name).toBe('lookUp')
  })

  it('the caller’s abort reaches it, and is on record', async () => {
    const caller = new AbortController()
    const look = async (_: unknown, runner: any) => {
      caller.abort()
      runner.controller.signal.throwIfAborted()
    }
    const tools = governed([looking(look, 'look')], { look: { scope: 'read' } }, { session })
    const { client } = scriptedClient(OpenAI7, [[{ tool: 'look', args: {} }]])
    const runner = client.chat.completions.runTools({ model: 'scripted', messages, tools }, { signal: caller.signal })
    await expect(runner.finalContent()).rejects.toThrow('Request was aborted.')
    expect(await entries({ type: 'outcome' })).toMatchObject([{ data: { ended: 'failed' } }])
  })
})

it('a function that answers items has answered `{}`, as it has without Haldir, and nothing of it runs later', async () => {
  const ran: string[] = []
  let items: AsyncGenerator | undefined
  async function* many(): AsyncGenerator<number> {
    ran.push('started')
    yield 1
  }
  const later = async () => {
    items = many()
    return items
  }
  const tool = (name: string, fn: () => unknown) => ({
    type: 'function' as const,
    function: { name, description: '', parameters: ANY, parse: JSON.parse, function: fn },
  })
  const bare = [tool('many', many), tool('later', later)]
  const calls = bare.map(({ function: { name } }) => ({ tool: name, args: {} }))
  const tools = governed(bare, { many: { scope: 'read' }, later: { scope: 'read' } }, { session })
  const expected = (await run(bare, calls)).read
  expect((await run(tools, calls)).read).toEqual(expected)
  expect(await items?.next()).toEqual({ done: true, value: undefined })
  expect(ran).toEqual([])
})

it('a tool’s own error ends the run, as it does without Haldir, when what ran beside it is over', async () => {
  const boom = new Error('out of stock')
  let finished = false
  const tool = (name: string, fn: () => unknown) => ({
    type: 'function' as const,
    function: { name, description: '', parameters: ANY, parse: JSON.parse, function: fn },
  })
  const fails = tool('fails', () => Promise.reject(boom))
  const slow = tool('slow', async () => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    finished = true
  })
  const tools = governed([fails, slow], { fails: { scope: 'read' }, slow: { scope: 'read' } }, { session })
  const error = await run(
    tools,
    [fails, slow].map(({ function: { name } }) => ({ tool: name, args: {} })),
  ).catch((e) => e)
  expect([error.message, error.cause, finished]).toEqual(['out of stock', boom, true])
})

describe('tools without a function here', () => {
  const hosted = {
    web_search: { type: 'web_search' },
    files: { type: 'mcp', server_label: 'files', server_url: 'https://example.com' },
    grammar: { type: 'custom', custom: { name: 'grammar' } },
    patch: { type: 'custom', name: 'patch' },
    local: { type: 'function', name: 'local', parameters: ANY, strict: false },
    chat: { type: 'function', function: { name: 'chat', parameters: ANY } },
    parseOnly: zodFunction({ name: 'parseOnly', parameters: z.object({}) }),
    computer: { type: 'computer_use_preview', display_width: 1 },
    unread: { type: 'function', name: 'unread', parameters: ANY, $brand: 'auto-parseable-tool', $callback: () => 1 },
  }

  it.each(Object.entries(hosted))('%s can not be governed, unless that is said', (name, tool) => {
    const refusal = expect.objectContaining({ name: 'ConfigError', code: 'ungovernable', path: name })
    const key = tool.type === 'computer_use_preview' ? tool.type : name
    const listed = expect.objectContaining({ code: 'ungovernable', path: key })
    expect(() => governed(tool as any, { name, scope: 'read' }, { haldir })).toThrow(refusal)
    expect(() => governed([tool], { [key]: { scope: 'read' } }, { haldir })).toThrow(listed)
    const allowed: any = { [key]: { ungovernable: 'allow' } }
    const list: any[] = governed([tool], allowed, { haldir })
    expect(list[0]).toBe(tool)
    expect(haldir.surface().tools.find((one) => one.name === key)).toMatchObject({
      framework: 'openai',
      governed: false,
    })
    expect(permitted(list, session)).toEqual([tool])
  })
})

it('a tool of another framework that looks like one of this SDK is told from it', () => {
  const hosted = { type: 'hosted_tool', name: 'web_search' }
  expect(() => governed(hosted, { name: 'hosted', scope: 'read', ungovernable: 'allow' })).toThrow(
    '@haldir/openai/agents',
  )
})

it('a policy that names an argument which `parameters` does not have is an error when the tool is wrapped', async () => {
  await haldir.close()
  const rules = [{ id: 'large', tools: 'pay', when: { 'args.amuont': { gt: 5 } }, then: 'deny' as const }]
  haldir = createHaldir({ sinks: [memorySink()], policy: { version: '1', default: 'deny', rules } })
  const parameters = { ...AMOUNT, additionalProperties: false }
  const pay = { type: 'function', function: { name: 'pay', description: '', parameters, function: () => 1 } }
  expect(() => governed(pay, { name: 'pay', scope: 'read' }, { haldir })).toThrow(/amuont/)
})

describe('lists', () => {
  const tool = (name: string): any => ({
    type: 'function',
    function: { name, description: '', parameters: ANY, function: () => name },
  })

  it('are governed by the names that the model knows, and keep their order', async () => {
    const bare = [tool('b'), tool('a')]
    const rules = { a: { scope: 'read' }, b: { scope: 'write' } }
    const tools = governed(bare, rules, { session })
    expect(tools.map((one) => one.function.name)).toEqual(['b', 'a'])
    expect(permitted(tools, session)).toEqual([tools[1]])
    expect(permitted({ b: tools[0], a: tools[1] }, session)).toEqual({ a: tools[1] })
    expect(
      (
        await run(
          tools,
          bare.map((one) => ({ tool: one.function.name, args: {} })),
        )
      ).read,
    ).toEqual([expect.stringMatching(/^Denied \(scope-missing\)/), 'a'])
  })

  it('need a rule for every tool, and no other', () => {
    const wrong = (code: string, path: string) => expect.objectContaining({ name: 'ConfigError', code, path })
    expect(() => governed([tool('a')], {}, { haldir })).toThrow(wrong('invalid-option', 'a'))
    const other = { a: { scope: 'read' }, other: { scope: 'read' } }
    expect(() => governed([tool('a')], other, { haldir })).toThrow(/`other`/)
    expect(() => governed([tool('a'), tool('a')], { a: { scope: 'read' } })).toThrow(wrong('invalid-option', 'tools'))
    expect(() => permitted([tool('a')], session)).toThrow(wrong('ungovernable', 'a'))
    expect(() => governed(tool('a'), { scope: 'read' } as any)).toThrow(wrong('invalid-option', 'name'))
    const [once] = governed([tool('a')], { a: { scope: 'read' } }, { haldir })
    expect(() => governed([once], { a: { scope: 'read' } })).toThrow(wrong('wrapped-twice', 'a'))
    // A spread copy of it is the same function.
    const spread = { ...once, function: { ...once.function } }
    expect(() => governed([spread], { a: { scope: 'read' } })).toThrow(wrong('wrapped-twice', 'a'))
    for (const nothing of [null, undefined, 1, 'text', {}]) {
      expect(() => governed(nothing as any, { name: 'x', scope: 'read' })).toThrow(wrong('ungovernable', 'x'))
      expect(() => governed([nothing as any], { 0: { scope: 'read' } })).toThrow(wrong('ungovernable', '0'))
    }
  })
})
