/** What the OpenAI Agents SDK does beyond the common contract: its parsers, its words for errors, the ways it runs tools. */
import { createHaldir, currentCall, type Entry, envKey, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed } from '@haldir/openai/agents'
import { Agent, RunContext, Runner, type Tool, ToolCallError, tool } from '@openai/agents'
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'

let haldir: Haldir
let session: Session

beforeEach(async () => {
  const keys = [envKey('AGENTS_KEY', { env: { AGENTS_KEY: 'a9'.repeat(32) } })]
  haldir = createHaldir({ sinks: [memorySink()], vault: { keys } })
  session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:5'] })
})
afterEach(() => haldir.close())

const runner = new Runner({ tracingDisabled: true })

type Call = readonly [name: string, args: Record<string, unknown> | string]

/** Says these calls at once, and then a word. */
function scripted(...calls: readonly Call[]): ScriptedModel {
  const said = calls.map(([name, args], index) => functionCall(name, args, { callId: `c${index}` }))
  return new ScriptedModel([said, [assistantMessage('done')]])
}

/** What the model reads in answer to these calls of a loop. */
async function answersTo(tools: readonly unknown[], ...calls: readonly Call[]): Promise<unknown[]> {
  const model = scripted(...calls)
  const agent = new Agent({ name: 'agent', model, tools: tools as Tool[] })
  const { finalOutput } = await runner.run(agent, 'go on')
  expect(finalOutput).toBe('done')
  return readBy(model)
}

function readBy(model: ScriptedModel): unknown[] {
  const { input } = model.lastCall?.request ?? { input: '' }
  const results = Array.isArray(input) ? input.filter((item) => item.type === 'function_call_result') : []
  return results.map(({ output }) => (output as { text?: string }).text ?? output)
}

async function entries(type: Entry['type']): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({ type })) found.push(entry)
  return found
}

async function meters(): Promise<string[]> {
  const [line] = await session.budget()
  return [String(line?.held), String(line?.used)]
}

describe('the arguments', () => {
  const parameters = z.object({
    amount: z.coerce.number().default(3),
    note: z.string().trim().optional(),
    list: z.array(z.number()).default([1]),
  })

  it('are judged as the tool’s own schema makes them, and the tool gets those', async () => {
    const seen: Record<string, unknown[]> = { cost: [], ran: [], approval: [], custom: [] }
    const pay = tool({
      name: 'pay',
      description: 'pays',
      parameters,
      needsApproval: async (_, args) => void seen.approval?.push(args) as never,
      customDataExtractor: ({ input }) => void seen.custom?.push(input) as never,
      execute: async (args) => {
        seen.ran?.push(structuredClone(args))
        args.amount = 99
        return 'paid'
      },
    })
    const rule = {
      name: 'pay',
      scope: 'spend',
      cost: (args: { amount: number }) => {
        seen.cost?.push(args)
        return usd(args.amount)
      },
    }
    const wrapped = governed(pay, rule, { session })
    const read = await answersTo([wrapped], ['pay', { note: null }], ['pay', { amount: '2', note: ' a ', extra: 1 }])
    expect(read).toEqual(['paid', 'paid'])
    const made = [
      { amount: 3, list: [1] },
      { amount: 2, note: 'a', list: [1] },
    ]
    expect(seen).toEqual({ cost: made, ran: made, approval: made, custom: made })
    expect(Object.isFrozen(seen.cost?.[0])).toBe(true)
    expect(await meters()).toEqual([usd(0), usd(5)].map(String))
  })

  it('that only the schema’s own rules refuse are refused before anything is held, and nobody is asked', async () => {
    let asked = 0
    const pay = tool({
      name: 'pay',
      description: 'pays',
      parameters: z.object({ amount: z.number().refine((amount) => amount % 2 === 0, 'is odd') }),
      needsApproval: async () => {
        asked++
        return true
      },
      execute: async () => 'paid',
    })
    const wrapped = governed(pay, { name: 'pay', scope: 'spend', cost: usd(1) }, { session })
    const [read] = await answersTo([wrapped], ['pay', { amount: 3 }])
    expect(read).toMatch(/^Denied \(invalid-arguments\): the arguments do not fit the tool\./)
    expect(await entries('refusal')).toMatchObject([{ tool: 'pay', ref: 'c0', code: 'invalid-arguments' }])
    expect([asked, await entries('intent')]).toEqual([0, []])
    // The schema's own words are known where the SDK may tell of what tools are given.
    vi.stubEnv('OPENAI_AGENTS_DONT_LOG_TOOL_DATA', '0')
    expect((await answersTo([wrapped], ['pay', { amount: 3 }]))[0]).toMatch(/tool: `amount` is odd\./)
    vi.unstubAllEnvs()
  })

  it('that leave out what may be null are taken, as by the bare tool', async () => {
    const parameters = {
      type: 'object' as const,
      properties: { id: { type: 'number' as const }, note: { type: 'string' as const } },
      required: ['id'],
      additionalProperties: false as const,
    }
    const look = tool({ name: 'look', description: '', parameters, execute: async (args) => JSON.stringify(args) })
    const wrapped = governed(look, { name: 'look', scope: 'read' }, { session })
    for (const tools of [[look], [wrapped]]) {
      expect(await answersTo(tools, ['look', { id: 1 }], ['look', { id: 2, note: null }])).toEqual([
        '{"id":1}',
        '{"id":2}',
      ])
    }
    // The SDK does not check JSON Schema; the gate does.
    const [read, other] = await answersTo([wrapped], ['look', { id: 'one' }], ['look', { id: 1, more: 2 }])
    expect(read).toMatch(/^Denied \(invalid-arguments\): .*`id` is not of type number/)
    expect(other).toMatch(/^Denied \(invalid-arguments\): .*has an argument that the tool does not know/)
  })

  it('that are not JSON are refused when they reach the tool; in a loop the SDK answers them itself', async () => {
    const look = tool({ name: 'look', description: '', parameters: z.object({}), execute: async () => 'ran' })
    const wrapped = governed(look, { name: 'look', scope: 'read' }, { session })
    expect(await wrapped.invoke(new RunContext({}), '{"a":')).toMatch(/^Denied \(invalid-arguments\): .*not JSON/)
    expect(await entries('refusal')).toMatchObject([{ tool: 'look', code: 'invalid-arguments' }])
    expect(await answersTo([wrapped], ['look', '{"a":'])).toEqual(await answersTo([look], ['look', '{"a":']))
    expect(await entries('intent')).toEqual([])
  })

  it('reach a tool that was made by hand as the JSON of what was judged', async () => {
    const got: unknown[] = []
    const parameters = {
      type: 'object' as const,
      properties: { id: { type: 'number' as const } },
      required: ['id'],
      additionalProperties: true as const,
    }
    const hand = {
      type: 'function' as const,
      name: 'hand',
      description: '',
      parameters,
      strict: false,
      needsApproval: async () => false,
      isEnabled: async () => true,
      async invoke(_: unknown, text: string, details?: { signal?: AbortSignal }) {
        const heard: unknown[] = [this === hand, text]
        got.push(heard)
        heard.push(details?.signal instanceof AbortSignal)
        return 'ran'
      },
    }
    const wrapped = governed(hand, { name: 'hand', scope: 'read' }, { session })
    expect(got).toEqual([])
    expect(await wrapped.invoke(undefined, '{ "id": 1, "id": 2, "x": [ ] }')).toBe('ran')
    expect(got).toEqual([[true, '{"id":2,"x":[]}', true]])
    expect(await wrapped.invoke(undefined, '{}')).toMatch(/^Denied \(invalid-arguments\): .*`id` is missing/)
    const seeming = { toString: () => '{"id":1}' } as unknown as string
    expect(await wrapped.invoke(undefined, seeming)).toMatch(/^Denied \(invalid-arguments\): /)
    expect(got).toHaveLength(1)
  })

  it('may hold what JSON text can smuggle, and are refused then', async () => {
    const any = { type: 'object' as const, properties: {}, required: [], additionalProperties: true as const }
    const ran: unknown[] = []
    const look = tool({
      name: 'look',
      description: '',
      strict: false,
      parameters: any,
      execute: async (args) => void ran.push(args) as never,
    })
    const wrapped = governed(look, { name: 'look', scope: 'read' }, { session })
    for (const text of [
      '{"__proto__":{"a":1}}',
      '{"$haldir":1}',
      '{"a":"\\ud800"}',
      `{"a":${'['.repeat(99)}${']'.repeat(99)}}`,
    ]) {
      expect(await wrapped.invoke(new RunContext({}), text)).toMatch(/^Denied \(invalid-arguments\)/)
    }
    expect(ran).toEqual([])
  })

  it('get secrets at the paths that the rule names, and nobody else sees those', async () => {
    await haldir.vault.put('key', 'sk_live_7c1d9e52b0', { scope: 'read' })
    const seen: unknown[] = []
    const ask = tool({
      name: 'ask',
      description: '',
      parameters: z.object({ q: z.string(), auth: z.string().default('{{secret}}') }),
      customDataExtractor: ({ input, toolCall }) => void seen.push(input, toolCall.arguments) as never,
      execute: async (args) => `asked with ${args.auth}: ${args.auth === 'sk_live_7c1d9e52b0'}`,
    })
    const wrapped = governed(ask, { name: 'ask', scope: 'read', secretArgs: { auth: 'key' } }, { session })
    expect(await answersTo([wrapped], ['ask', { q: 'a' }])).toEqual(['asked with [redacted:key]: true'])
    expect(seen).toEqual([{ q: 'a', auth: '{{secret}}' }, '{"q":"a"}'])
  })

  it('are what was judged, also where the schema makes something else of them the next time', async () => {
    let turn = 0
    const got: unknown[] = []
    const schema = (answer: () => unknown) => ({
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: () => ({ value: answer() }),
        jsonSchema: { input: () => ({ type: 'object', properties: {} }), output: () => ({ type: 'object' }) },
      },
    })
    const made = (answer: () => unknown) =>
      governed(
        tool({
          name: 'made',
          description: '',
          parameters: schema(answer) as never,
          execute: async (args: unknown) => void got.push(args) as never,
        }),
        { name: 'made', scope: 'spend', cost: ((args: { amount?: number }) => usd(args.amount ?? 0)) as never },
        { session },
      )
    await made(() => ({ amount: 1, [`turn${++turn}`]: true })).invoke(new RunContext({}), '{}')
    // Once to see whether it checks anything, once when it was judged, once when it ran.
    expect([turn, got.splice(0)]).toEqual([3, [{ amount: 1, turn2: true }]])
    // What nothing can be put into runs when it is the same.
    await made(() => Object.freeze({ amount: 2 })).invoke(new RunContext({}), '{}')
    expect(got.splice(0)).toEqual([{ amount: 2 }])
    const other = made(() => Object.freeze({ amount: 0, turn: ++turn }))
    expect(await other.invoke(new RunContext({}), '{}')).toMatch(/^Denied \(invalid-arguments\): /)
    expect([got, await meters()]).toEqual([[], [usd(0), usd(3)].map(String)])
    // Nor does anything stay that was hidden from who judged.
    const hidden = Symbol('hidden')
    let more = 0
    const grown = made(() =>
      more++ < 2 ? {} : Object.defineProperty({ [hidden]: 9 }, 'amount', { value: 9, configurable: true }),
    )
    await grown.invoke(new RunContext({}), '{}')
    expect([more, got.splice(0).map((args) => Reflect.ownKeys(args as object))]).toEqual([3, [[]]])
    const stuck = made(() => (more++ < 5 ? {} : Object.defineProperty({}, 'amount', { value: 9 })))
    expect(await stuck.invoke(new RunContext({}), '{}')).toMatch(/^Denied \(invalid-arguments\): /)
    expect([more, got]).toEqual([6, []])
  })
})

describe('the tool’s own errors', () => {
  const boom = Object.assign(new RangeError('boom'), { status: 503 })
  const failing = (more: object = {}) =>
    tool({
      name: 'fails',
      description: '',
      parameters: z.object({}),
      execute: async (_, __, details) => {
        // A tool may look at its signal as it likes.
        if (details?.signal?.aborted) return 'aborted'
        await null
        if (details?.signal?.aborted) return 'aborted'
        throw boom
      },
      ...more,
    })
  const rule = { name: 'fails', scope: 'spend', cost: usd(2), onFailure: 'release' } as const

  it('are told in the words of the bare tool, and recorded as what they are', async () => {
    const wrapped = governed(failing(), rule, { session })
    expect(await answersTo([wrapped], ['fails', {}])).toEqual(await answersTo([failing()], ['fails', {}]))
    const [outcome] = await entries('outcome')
    expect(outcome?.data).toMatchObject({ ended: 'failed', error: 'RangeError' })
    expect(await meters()).toEqual([usd(0), usd(0)].map(String))
  })

  it('reach the developer’s `errorFunction` once, the same object', async () => {
    const heard: unknown[] = []
    const errorFunction = (context: unknown, error: unknown, details?: { toolCall?: { callId: string } }) => {
      heard.push([context instanceof RunContext, error === boom, details?.toolCall?.callId])
      return 'explained'
    }
    const wrapped = governed(failing({ errorFunction }), rule, { session })
    expect(await answersTo([wrapped], ['fails', {}])).toEqual(['explained'])
    expect(heard).toEqual([[true, true, 'c0']])
    expect((await entries('outcome'))[0]?.data).toMatchObject({ ended: 'failed', error: 'RangeError' })
  })

  it('end the run where the tool has no words for them', async () => {
    const wrapped = governed(failing({ errorFunction: null }), rule, { session })
    const agent = new Agent({ name: 'agent', model: scripted(['fails', {}]), tools: [wrapped] })
    const error = await runner.run(agent, 'go on').catch((error) => error)
    expect(error).toBeInstanceOf(ToolCallError)
    expect(error.error).toBe(boom)
    expect((await entries('outcome'))[0]?.data).toMatchObject({ ended: 'failed', error: 'RangeError' })
  })

  it('hold no secret when they are told', async () => {
    await haldir.vault.put('key', 'sk_live_7c1d9e52b0', { scope: 'read' })
    const leaks = tool({
      name: 'leaks',
      description: '',
      parameters: z.object({}),
      execute: async () => {
        throw new Error(`no such key: ${currentCall().secret('key').reveal()}`)
      },
      errorFunction: (_, error) => String(error),
    })
    const wrapped = governed(leaks, { name: 'leaks', scope: 'read', secrets: ['key'] }, { session })
    expect(await answersTo([wrapped], ['leaks', {}])).toEqual(['Error: no such key: [redacted:key]'])
  })

  it('that are denials read as such, whatever words the tool has for errors', async () => {
    const curious = tool({
      name: 'curious',
      description: '',
      parameters: z.object({}),
      execute: async () => currentCall().secret('key').reveal(),
    })
    const wrapped = governed(curious, { name: 'curious', scope: 'read' }, { session })
    expect((await answersTo([wrapped], ['curious', {}]))[0]).toMatch(/^Denied \(secret-unavailable\): /)
  })

  it('are answers like any other where the engine does not tell which line of code reads something', async () => {
    vi.spyOn(Error, 'captureStackTrace').mockImplementation((one) => Object.assign(one, { stack: 'somewhere' }))
    vi.resetModules()
    const fresh = await import('@haldir/openai/agents')
    const wrapped = fresh.governed(failing(), rule, { session })
    const read = await answersTo([wrapped], ['fails', {}])
    vi.restoreAllMocks()
    // The tool is not told that it was aborted.
    expect(read).toEqual(await answersTo([failing()], ['fails', {}]))
    expect((await entries('outcome'))[0]?.data).toMatchObject({ ended: 'ok' })
  })
})
