/** `runToolCalls`: what a model's answer can hold, in the Responses API and in Chat Completions. */
import { createHaldir, currentCall, Denied, type Entry, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { type GovernableTool, governed, type ResponseLike, runToolCalls } from '@haldir/openai'
import type OpenAI from 'openai'
import { ResponsesToolRunner, runnerFunction } from 'openai/helpers/responses-tool-runner'
import { zodFunction, zodResponsesFunction } from 'openai/helpers/zod'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { completionOf, type ModelCall, responseOf, scriptedClient, versions } from '../contracts/openai-client.ts'

let haldir: Haldir
let session: Session

beforeEach(async () => {
  haldir = createHaldir({ sinks: [memorySink()] })
  session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:5'] })
})
afterEach(() => haldir.close())

const ANY = { type: 'object', properties: {}, additionalProperties: true }
type Completion = OpenAI.Chat.Completions.ChatCompletion
const CANARY = 'argument-canary-31cd'

async function entries(filter: { type?: Entry['type']; tool?: string } = {}): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query(filter)) found.push(entry)
  return found
}

const refusals = async () => (await entries({ type: 'refusal' })).map(({ tool, code, rule }) => [tool, code, rule])

/** A function tool of the Responses API. */
function tool(name: string, fn: (args: any, beside: any) => unknown = () => name, parameters: object = ANY): any {
  return { type: 'function', name, description: `the tool ${name}`, parameters, strict: false, function: fn }
}

function respond(calls: readonly ModelCall[], status?: string): ResponseLike {
  return responseOf(calls, 1, status) as ResponseLike
}

const outputs = (items: readonly { output: string }[]) => items.map(({ output }) => output)

describe('a response', () => {
  it('has all its calls answered, in their order, whatever became of each', async () => {
    const slow = async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return { found: 1 }
    }
    const fails = () => Promise.reject(new RangeError('out of stock\n    at secretPlace (/srv/app.js:1:1)'))
    const tools = governed(
      [tool('slow', slow), tool('fails', fails), tool('none', () => undefined), tool('pay', () => 'paid')],
      {
        slow: { scope: 'read' },
        fails: { scope: 'read' },
        none: { scope: 'read' },
        pay: { scope: 'spend', cost: usd(3) },
      },
      { session },
    )
    const calls = ['slow', 'fails', 'pay', 'none', 'pay', 'nobody'].map((name) => ({ tool: name, args: {} }))
    const items = await runToolCalls(respond([...calls, { tool: 'slow', args: `{"to": "${CANARY}` }]), tools)
    expect(items.map(({ type }) => type)).toEqual(new Array(7).fill('function_call_output'))
    expect(items.map(({ call_id }) => call_id)).toEqual([0, 1, 2, 3, 4, 5, 6].map((index) => `turn-1-call-${index}`))
    expect(outputs(items)).toEqual([
      '{"found":1}',
      'The tool failed: out of stock',
      'paid',
      'undefined',
      expect.stringMatching(/^Denied \(budget-exceeded\): /),
      expect.stringMatching(/^Denied \(invalid-arguments\): there is no tool `nobody`/),
      expect.stringMatching(/^Denied \(invalid-arguments\): the arguments are not valid JSON/),
    ])
    expect((await refusals()).map(([name, code]) => [name, code])).toEqual(
      expect.arrayContaining([
        ['pay', 'budget-exceeded'],
        ['nobody', 'invalid-arguments'],
        ['slow', 'invalid-arguments'],
      ]),
    )
    const refs = (await entries({ tool: 'none' })).map(({ ref }) => ref)
    expect(refs).toEqual(['turn-1-call-3', 'turn-1-call-3'])
  })

  it('may be its `output` alone, and of no calls nothing comes', async () => {
    const tools = governed({ look: tool('look') }, { look: { scope: 'read' } }, { session })
    const { output } = respond([{ tool: 'look', args: {} }])
    expect(outputs(await runToolCalls(output, tools))).toEqual(['look'])
    expect(await runToolCalls(responseOf('done') as ResponseLike, tools)).toEqual([])
    expect(await runToolCalls([], tools)).toEqual([])
  })

  it('has both of two calls with one id answered', async () => {
    let ran = 0
    const tools = governed([tool('pay', () => ++ran)], { pay: { scope: 'spend', cost: usd(3) } }, { session })
    const call = { tool: 'pay', args: {}, id: 'same' }
    const items = await runToolCalls(respond([call, call]), tools)
    expect(items.map(({ call_id }) => call_id)).toEqual(['same', 'same'])
    expect(outputs(items).filter((text) => text.startsWith('Denied (budget-exceeded)'))).toHaveLength(1)
    expect(ran).toBe(1)
  })

  it.each(['incomplete', 'failed', 'cancelled', 'in_progress', 'queued'])(
    'that is %s runs nothing, though a call looks whole',
    async (status) => {
      let ran = 0
      const tools = governed([tool('pay', () => ++ran)], { pay: { scope: 'read' } }, { session })
      const items = await runToolCalls(
        respond(
          [
            { tool: 'pay', args: {} },
            { tool: 'pay', args: '{"a' },
          ],
          status,
        ),
        tools,
      )
      const sentence = /^Denied \(invalid-arguments\): the answer ended before the call was complete\. Do not repeat/
      expect(outputs(items)).toEqual([expect.stringMatching(sentence), expect.stringMatching(sentence)])
      expect([ran, (await refusals()).length]).toEqual([0, 2])
    },
  )

  it('runs no call that is itself cut off', async () => {
    const tools = governed([tool('pay')], { pay: { scope: 'read' } }, { session })
    const { output } = respond([1, 2, 3].map(() => ({ tool: 'pay', args: {} }))) as { output: any[] }
    output[1].status = 'incomplete'
    output[2].status = 'in_progress'
    const denied = expect.stringMatching(/^Denied/)
    expect(outputs(await runToolCalls(output, tools))).toEqual(['pay', denied, denied])
  })

  it('leaves to the application what only it can answer', async () => {
    const own = { type: 'function', name: 'own', parameters: ANY, strict: false }
    const [look, left] = governed(
      [tool('look'), own],
      { look: { scope: 'read' }, own: { scope: [], ungovernable: 'allow' } },
      { session },
    )
    const tools = [
      look,
      left,
      { type: 'web_search' },
      { type: 'custom', name: 'code' },
      { type: 'mcp', server_label: 'x' },
    ]
    const { output } = respond([
      { tool: 'own', args: {} },
      { tool: 'look', args: {} },
    ])
    const others = [
      { type: 'custom_tool_call', call_id: 'c', name: 'code', input: 'print(1)' },
      { type: 'mcp_approval_request', id: 'm', name: 'pay', arguments: '{}', server_label: 'x' },
      { type: 'web_search_call', id: 'w', status: 'completed' },
      { type: 'reasoning', id: 'r', summary: [] },
    ]
    expect(await runToolCalls([...others, ...output], tools)).toEqual([
      { type: 'function_call_output', call_id: 'turn-1-call-1', output: 'look' },
    ])
  })

  it('finds tools in their namespaces, and there alone', async () => {
    const rule = { remove: { scope: 'read' } }
    const crm = governed([tool('remove', () => 'of crm')], rule, { session })
    const top = governed([tool('remove', () => 'of none')], rule, { session })
    const tools = [...top, { type: 'namespace', name: 'crm', description: '', tools: crm }]
    const { output } = respond([1, 2, 3, 4].map(() => ({ tool: 'remove', args: {} }))) as { output: any[] }
    for (const [index, namespace] of [undefined, 'crm', 'billing', 'remove'].entries())
      output[index].namespace = namespace
    const [none, ofCrm, unknown, alone] = outputs(await runToolCalls(output, tools, { session }))
    expect([none, ofCrm, alone]).toEqual(['of none', 'of crm', 'of none'])
    expect(unknown).toMatch(/^Denied \(invalid-arguments\): there is no tool `remove`/)
  })
})

describe('a chat completion', () => {
  const look = () => ({
    type: 'function' as const,
    function: { name: 'look', parameters: ANY, function: (text: string) => `looked ${text}` },
  })
  const calls = [
    { tool: 'look', args: { a: 1 }, id: 'one' },
    { tool: 'pay', args: { amount: 9 }, id: 'two' },
  ]
  const pay = () =>
    zodFunction({ name: 'pay', parameters: z.object({ amount: z.number().max(8) }), function: async () => 'paid' })

  it('is answered with messages, as is its message alone', async () => {
    const tools = governed([look(), pay()], { look: { scope: 'read' }, pay: { scope: 'read' } }, { session })
    const completion = completionOf(calls) as Completion
    const messages = await runToolCalls(completion, tools)
    expect(messages).toEqual([
      { role: 'tool', tool_call_id: 'one', content: 'looked {"a":1}' },
      { role: 'tool', tool_call_id: 'two', content: expect.stringContaining('`amount` Too big') },
    ])
    expect(await runToolCalls(completion.choices[0]?.message as Completion['choices'][0]['message'], tools)).toEqual(
      messages,
    )
    expect(await runToolCalls(completionOf('done') as Completion, tools)).toEqual([])
  })

  it.each(['length', 'content_filter'])('that ended for %s runs nothing', async (reason) => {
    const tools = governed([look()], { look: { scope: 'read' } }, { session })
    const [message] = await runToolCalls(completionOf(calls.slice(0, 1), 1, reason) as Completion, tools)
    expect(message?.content).toMatch(/^Denied \(invalid-arguments\): the answer ended before the call was complete/)
    expect(await entries({ type: 'intent' })).toEqual([])
  })

  it('with several choices is nobody’s to choose from', async () => {
    const tools = governed([look()], { look: { scope: 'read' } }, { session })
    const { choices } = completionOf(calls) as Completion
    await expect(runToolCalls({ choices: [...choices, ...choices] }, tools)).rejects.toThrow('several `choices`')
  })

  it('leaves calls of custom tools to the application', async () => {
    const tools = governed([look()], { look: { scope: 'read' } }, { session })
    const message = {
      role: 'assistant' as const,
      tool_calls: [{ id: 'c', type: 'custom', custom: { name: 'look', input: '' } }],
    }
    expect(await runToolCalls(message, tools)).toEqual([])
  })
})

describe('names and arguments nobody expects', () => {
  it.each([
    'constructor',
    '__proto__',
    'toString',
    'hasOwnProperty',
    'session.charge',
    'a b\n`c`',
    '',
    'x'.repeat(500),
  ])('a tool called %j is not known, and on record', async (name) => {
    const tools = governed([tool('look')], { look: { scope: 'read' } })
    const [item] = await runToolCalls(respond([{ tool: name, args: {} }]), tools, { session })
    expect(item?.output).toMatch(/^Denied \(invalid-arguments\): there is no tool/)
    expect(item?.output).not.toContain('\n')
    expect(await refusals()).toEqual([[expect.stringMatching(/^[\w.]+$/), 'invalid-arguments', 'unknown-tool']])
  })

  it('a tool that is not known, with arguments that are no JSON: the model reads what it can mend', async () => {
    for (const name of ['nobody', '__proto__']) {
      const [item] = await runToolCalls(respond([{ tool: name, args: `{"to": "${CANARY}` }]), [], { session })
      expect(item?.output).toMatch(/^Denied \(invalid-arguments\): the arguments are not valid JSON\. /)
    }
    expect((await refusals()).map(([, code]) => code)).toEqual(['invalid-arguments', 'invalid-arguments'])
  })

  it('names that are no text, and arguments that are none or read already', async () => {
    const got: unknown[] = []
    const tools = governed([tool('look', (args) => void got.push(args))], { look: { scope: 'read' } }, { session })
    const call = { type: 'function_call', call_id: 'x', name: 'look' }
    const calls = [
      { ...call, name: 7, arguments: '{}' },
      { ...call },
      { ...call, arguments: null },
      { ...call, arguments: '' },
      { ...call, arguments: { a: 1 } },
    ]
    const [unknown, ...known] = outputs(await runToolCalls(calls, tools, { session }))
    expect(unknown).toMatch(/there is no tool of that name/)
    expect(known).toEqual(['undefined', 'undefined', 'undefined', 'undefined'])
    expect(got).toEqual([{}, {}, {}, { a: 1 }])
  })

  it.each([['null'], ['[]'], ['"text"'], ['1e999'], ['{"__proto__":{"amount":1}}']])(
    'the arguments %s',
    async (args) => {
      const parameters = { type: 'object', properties: { amount: { type: 'number' } } }
      let ran = 0
      const tools = governed([tool('pay', () => ++ran, parameters)], { pay: { scope: 'read' } }, { session })
      const [item] = await runToolCalls(respond([{ tool: 'pay', args }]), tools)
      expect(item?.output).toMatch(/^Denied \(invalid-arguments\)/)
      expect(ran).toBe(0)
    },
  )
})

describe('tools', () => {
  it('that are not governed end it before anything runs', async () => {
    let ran = 0
    const look = () => tool('look', () => ++ran)
    const [wrapped] = governed([look()], { look: { scope: 'read' } }, { session })
    const response = respond([{ tool: 'look', args: {} }])
    const refusal = expect.objectContaining({ name: 'ConfigError', code: 'ungovernable', path: 'bare' })
    await expect(runToolCalls(response, [wrapped, tool('bare')])).rejects.toEqual(refusal)
    const bare = zodResponsesFunction({ name: 'bare', parameters: z.object({}), function: () => ++ran })
    await expect(runToolCalls(response, [wrapped, bare])).rejects.toEqual(refusal)
    await expect(runToolCalls(response, [wrapped, { ...wrapped, name: 'bare' }])).rejects.toEqual(refusal)
    await expect(runToolCalls(response, [wrapped, wrapped])).rejects.toThrow('`look` stands twice in `tools`')
    expect(ran).toBe(0)
    await expect(runToolCalls(response, null as never)).rejects.toThrow('`tools`')
    const [none] = outputs(await runToolCalls(response, [undefined, null] as never, { session }))
    expect(none).toMatch(/there is no tool `look`/)
    await expect(runToolCalls({ text: 1 } as never, [])).rejects.toThrow('`runToolCalls` takes a response')
    await expect(runToolCalls(null as never, [])).rejects.toThrow('`runToolCalls` takes a response')
    await expect(runToolCalls(response, [wrapped], { sesion: session } as never)).rejects.toThrow('`sesion`')
  })

  it('may have been governed by another copy of the package', async () => {
    vi.resetModules()
    const other = await import('@haldir/openai')
    expect(other.governed).not.toBe(governed)
    const got: unknown[] = []
    const keep = (args: unknown) => void got.push(args)
    const pay = zodResponsesFunction({ name: 'pay', parameters: z.object({ amount: z.number() }), function: keep })
    const rules = { look: { scope: 'read' }, pay: { scope: 'read' } }
    const tools = other.governed([tool('look', keep), pay], rules, { session })
    const texts = ['{"amount":1}', '{"amount"', '{"amount":"x"}']
    const calls = texts.flatMap((args) => ['look', 'pay'].map((name) => ({ tool: name, args })))
    const [look, paid, ...rest] = outputs(await runToolCalls(respond(calls), tools))
    expect([look, paid]).toEqual(['undefined', 'undefined'])
    const denied = expect.stringMatching(/^Denied \(invalid-arguments\)/)
    expect(rest).toEqual([denied, denied, 'undefined', denied])
    expect(got).toHaveLength(3)
    expect(got).toEqual(expect.arrayContaining([{ amount: 1 }, { amount: 'x' }]))
    expect(outputs(await runToolCalls(respond(calls, 'incomplete'), tools))).toEqual(new Array(6).fill(denied))
  })

  it('are sent as the API knows them, and can be cloned', async () => {
    const bare = tool('look')
    const [look] = governed([bare], { look: { scope: 'read' } }, { session })
    const known = { type: 'function', name: 'look', description: 'the tool look', parameters: ANY, strict: false }
    expect(structuredClone(look)).toEqual(known)
    expect(Object.keys(look)).toEqual(Object.keys(known))
    for (const { OpenAI } of versions) {
      const { client, requests } = scriptedClient(OpenAI, ['done', 'done'])
      await client.responses.create({ model: 'scripted', input: 'hello', tools: [look] })
      await client.responses.create({ model: 'scripted', input: 'hello', tools: [bare] })
      expect(requests.map(({ tools }) => tools)).toEqual([[known], [known]])
    }
  })

  it('made by zodResponsesFunction read what zod reads, also through `responses.parse`', async () => {
    const got: unknown[] = []
    const parameters = z.object({ amount: z.number().max(5), to: z.string().transform((text) => text.length) })
    const bare = zodResponsesFunction({
      name: 'pay',
      parameters: z.object({ amount: z.number().max(5) }),
      function: (args) => void got.push(args),
    })
    expect(parameters.parse({ amount: 1, to: 'abc' })).toEqual({ amount: 1, to: 3 })
    const tools = governed([bare], { pay: { scope: 'spend', cost: ({ amount }: any) => usd(amount) } }, { session })
    const turn = [
      { tool: 'pay', args: { amount: 2, more: CANARY } },
      { tool: 'pay', args: { amount: 6 } },
      { tool: 'pay', args: '{"amount"' },
    ]
    const { client } = scriptedClient(versions[0]?.OpenAI as never, [turn])
    const response = await client.responses.parse({ model: 'scripted', input: 'go', tools })
    const parsed = response.output.map((item) => (item.type === 'function_call' ? item.parsed_arguments : undefined))
    expect(parsed).toEqual([{ amount: 2 }, null, null])
    expect(outputs(await runToolCalls(response, tools))).toEqual([
      'undefined',
      expect.stringContaining('`amount` Too big'),
      expect.stringContaining('the arguments are not valid JSON'),
    ])
    expect(got).toEqual([{ amount: 2 }])
    expect(await refusals()).toHaveLength(2)
  })

  it('run in the runner of openai 7, where what does not fit is refused, too', async () => {
    const run = async (args: { amount: number }) => `paid ${args.amount}`
    const bare = zodResponsesFunction({ name: 'pay', parameters: z.object({ amount: z.number() }), function: run })
    const pay = governed(bare, { name: 'pay', scope: 'spend', cost: ({ amount }) => usd(amount) }, { haldir })
    const turn = [2, 4, 'x'].map((amount) => ({ tool: 'pay', args: { amount } }))
    const { client, requests } = scriptedClient(versions[0]?.OpenAI as never, [turn])
    const runner = new ResponsesToolRunner({ functions: [runnerFunction(pay)] })
    const params = { model: 'scripted', input: [{ role: 'user' as const, content: 'go' }] }
    await session.run(() => runner.run(client, params))
    const read = requests[1].input.flatMap((item: any) => (item.type === 'function_call_output' ? [item.output] : []))
    expect(read).toEqual([
      'paid 2',
      expect.stringMatching(/^Denied \(budget-exceeded\)/),
      expect.stringMatching(/^Denied \(invalid-arguments\)/),
    ])
    expect((await refusals()).map(([, code]) => code)).toEqual(['budget-exceeded', 'invalid-arguments'])
  })
})

describe('errors', () => {
  const failing = (error: unknown, name = 'fails') => tool(name, () => Promise.reject(error))
  const answerTo = async (error: unknown, options = {}) => {
    const tools = governed([failing(error)], { fails: { scope: 'read' } }, { session })
    const [item] = await runToolCalls(respond([{ tool: 'fails', args: {} }]), tools, options)
    return item?.output
  }

  it('are told by their first line, never by more', async () => {
    expect(await answerTo(new Error('no such order'))).toBe('The tool failed: no such order')
    expect(await answerTo(new Error('no\r\nselect * from orders'))).toBe('The tool failed: no')
    expect(await answerTo(new Error('x'.repeat(9_999)))).toHaveLength('The tool failed: '.length + 300)
    expect(await answerTo('in words')).toBe('The tool failed: in words')
    for (const odd of [new Error(''), undefined, null, 7, { message: 7 }, { code: CANARY }]) {
      expect(await answerTo(odd)).toBe('The tool failed.')
    }
    const denied = new Denied('scope-missing', 'the session does not hold the scope `x`', 'call')
    expect(await answerTo(denied)).toBe(denied.message)
  })

  it('go to `onError`, which may say what the model reads', async () => {
    const boom = new Error('secret place')
    const seen: unknown[] = []
    const onError = (error: unknown, call: object) => {
      seen.push([error, call])
      return 'The shop is closed.'
    }
    expect(await answerTo(boom, { onError })).toBe('The shop is closed.')
    expect(seen).toEqual([[boom, { name: 'fails', callId: 'turn-1-call-0' }]])
    expect(await answerTo(boom, { onError: async () => undefined })).toBe('The tool failed: secret place')
  })

  it('end it all when `onError` throws, once the others are over', async () => {
    let finished = false
    const slow = tool('slow', async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      finished = true
    })
    const boom = new Error('stop')
    const tools = governed([failing(boom), slow], { fails: { scope: 'read' }, slow: { scope: 'read' } }, { session })
    const onError = (error: unknown) => {
      throw error
    }
    const calls = ['fails', 'slow'].map((name) => ({ tool: name, args: {} }))
    await expect(runToolCalls(respond(calls), tools, { onError })).rejects.toBe(boom)
    expect(finished).toBe(true)
  })

  it('are not what a result is that has no JSON: the tool has run', async () => {
    const cycle: { again?: object } = {}
    cycle.again = cycle
    const tools = governed([tool('big', () => 1n), tool('cycle', () => cycle), tool('fn', () => Symbol('x'))], {
      big: { scope: 'read' },
      cycle: { scope: 'read' },
      fn: { scope: 'read' },
    })
    const calls = ['big', 'cycle', 'fn'].map((name) => ({ tool: name, args: {} }))
    const [big, circular, symbol] = outputs(await session.run(() => runToolCalls(respond(calls), tools)))
    expect(big).toBe('The tool ran, but what it answered can not be written as JSON.')
    expect(circular).toBe(big)
    expect(symbol).toBe('Symbol(x)')
  })
})

describe('whose calls they are', () => {
  const who = () => tool('who', () => currentCall().session.agent)
  const response = respond([{ tool: 'who', args: {} }])

  it('is said by the option, the tools or the surroundings, and these must agree', async () => {
    const other = await haldir.createSession({ agent: 'other', scopes: ['read'] })
    const free = governed([who()], { who: { scope: 'read' } }, { haldir })
    const fixed = governed([who()], { who: { scope: 'read' } }, { session })
    const ask = async (tools: readonly GovernableTool[], options = {}) =>
      outputs(await runToolCalls(response, tools, options))[0]
    expect(await ask(free, { session })).toBe('order-bot')
    expect(await ask(free, { session: other })).toBe('other')
    expect(await ask(fixed)).toBe('order-bot')
    expect(await session.run(() => ask(free))).toBe('order-bot')
    const denied = expect.stringMatching(/^Denied \(no-session\)/)
    expect(await ask(free)).toEqual(denied)
    expect(await ask(fixed, { session: other })).toEqual(denied)
    expect(await other.run(() => ask(fixed))).toEqual(denied)
    expect(await other.run(() => ask(free, { session }))).toEqual(denied)
    for (const odd of [session.token, session.id, { ...session }, {}]) {
      expect(await ask(free, { session: odd })).toEqual(denied)
      expect(await session.run(() => ask(free, { session: odd }))).toEqual(denied)
    }
    expect(await ask(free, { session: undefined })).toEqual(denied)
  })

  it('counts for a tool that nobody knows: it is on record where a session or a haldir can be told', async () => {
    const unknown = respond([{ tool: 'nobody', args: { to: CANARY } }])
    const another = createHaldir({ sinks: [memorySink()] })
    const elsewhere = await another.createSession({ agent: 'elsewhere', scopes: ['read'] })
    const own = governed([who()], { who: { scope: 'read' } }, { session: elsewhere })
    expect(outputs(await runToolCalls(unknown, own))[0]).toMatch(/there is no tool `nobody`/)
    expect(outputs(await runToolCalls(unknown, own, { session }))[0]).toMatch(/^Denied \(no-session\)/)
    // Tools of two sessions do not say whose a call of neither is.
    const both = [...own, ...governed([tool('mine')], { mine: { scope: 'read' } }, { session })]
    expect(outputs(await runToolCalls(unknown, both))[0]).toMatch(/^Denied \(no-session\)/)
    expect(await refusals()).toEqual([])
    // With two haldirs in the process, it has to be said which.
    await runToolCalls(unknown, [], { haldir })
    await another.close()
    await runToolCalls(unknown, [], { session })
    await runToolCalls(unknown, [], { haldir })
    await session.run(() => runToolCalls(unknown, []))
    const codes = (await refusals()).map(([name, code]) => [name, code])
    expect(codes).toEqual([
      ['nobody', 'no-session'],
      ['nobody', 'invalid-arguments'],
      ['nobody', 'no-session'],
      ['nobody', 'invalid-arguments'],
    ])
  })
})

describe('an abort', () => {
  it('reaches what runs and stops what does not run yet; every call is answered', async () => {
    const caller = new AbortController()
    const seen: unknown[] = []
    const waits = tool('waits', async (_, { signal }) => {
      setTimeout(() => caller.abort(new Error('enough')), 1)
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      seen.push(signal.reason, currentCall().signal.reason)
      signal.throwIfAborted()
    })
    const tools = governed([waits], { waits: { scope: 'read' } }, { session })
    const call = respond([{ tool: 'waits', args: {} }])
    expect(outputs(await runToolCalls(call, tools, { signal: caller.signal }))).toEqual(['The tool failed: enough'])
    expect(seen).toEqual([caller.signal.reason, caller.signal.reason])
    expect(outputs(await runToolCalls(call, tools, { signal: caller.signal }))).toEqual(['The tool failed: enough'])
    expect(seen).toHaveLength(2)
    expect((await entries({ type: 'outcome' })).map(({ data }) => data.ended)).toEqual(['failed', 'not-run'])
  })

  it('by the session’s end reaches the signal of a tool for `runTools`, too', async () => {
    const look = async (_: string, runner: any) => {
      await session.revoke('stop')
      return runner.controller.signal.reason.code
    }
    const tools = governed(
      [{ type: 'function', function: { name: 'look', parameters: ANY, function: look } }],
      { look: { scope: 'read' } },
      { session },
    )
    const completion = completionOf([{ tool: 'look', args: {} }]) as Completion
    expect((await runToolCalls(completion, tools))[0]?.content).toBe('session-revoked')
  })
})
