/** What `@haldir/openai/agents` knows of the SDK's own tools from outside, and what happens where it can't know. */
import { createHaldir, currentCall, type Entry, envKey, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed } from '@haldir/openai/agents'
import { Agent, type FunctionTool, invokeFunctionTool, RunContext, Runner, tool } from '@openai/agents'
import * as older from 'agents017'
import * as testing from 'agents017/testing'
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

type AnyTool = FunctionTool<any, any, any>

const ask = (one: AnyTool, text: string, signal = new AbortController().signal) =>
  one.invoke(new RunContext({}), text, { signal } as never)

async function ended(): Promise<unknown[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({ type: 'outcome' })) found.push(entry)
  return found.map(({ data }) => [data?.ended, data?.error])
}

async function used(): Promise<string> {
  const [line] = await session.budget()
  return String(line?.used)
}

const ANY = { type: 'object' as const, properties: {}, required: [] as string[], additionalProperties: true as const }
const rule = { name: 'outer', scope: 'spend', cost: usd(1), onFailure: 'release' } as const

describe('a tool that hands what it is told of its call to another', () => {
  let got: unknown[]
  beforeEach(() => {
    got = []
  })

  const inner = (fails: boolean) =>
    tool({
      name: 'inner',
      description: '',
      parameters: z.object({ x: z.number() }),
      execute: async (args) => {
        got.push(structuredClone(args))
        if (fails) throw new Error('inner broke')
        return 'inner ran'
      },
      errorFunction: () => 'inner explained',
    }) as AnyTool

  type Way = (one: AnyTool, text: string, context: unknown, details: unknown) => Promise<unknown>
  const outer = (one: AnyTool, text: string, way: Way, fails = false) =>
    tool({
      name: 'outer',
      description: '',
      parameters: z.object({ y: z.string() }),
      execute: async ({ y }, context, details) => {
        const read = await way(one, text, context, details)
        if (fails) throw new RangeError('outer broke')
        return `${y}: ${read}, ${details?.signal?.aborted}`
      },
      errorFunction: (_, error) => `outer explained ${error}`,
    }) as AnyTool

  const ways: Record<string, Way> = {
    'as it is': (one, text, context, details) => one.invoke(context as never, text, details as never),
    'as a copy': (one, text, context, details) => one.invoke(context as never, text, { ...(details as object) }),
    'by way of the SDK': (one, text, context, details) =>
      invokeFunctionTool({ tool: one, runContext: context as never, input: text, details: details as never }),
  }

  describe.each(Object.entries(ways))('%s', (_, way) => {
    it.each([
      ['runs', '{"x":1}', false, 'y: inner ran, false', [{ x: 1 }]],
      ['fails', '{"x":1}', true, 'y: inner explained, false', [{ x: 1 }]],
      ['is given what is no JSON', '{"x":', false, 'y: inner explained, false', []],
      ['is given what does not fit', '{"x":"1"}', false, 'y: inner explained, false', []],
    ])('and that one %s: both do what they do without a gate', async (_, text, fails, read, ran) => {
      const bare = outer(inner(fails), text, way)
      expect([await ask(bare, '{"y":"y"}'), got.splice(0)]).toEqual([read, ran])
      expect([await ask(governed(bare, rule, { session }), '{"y":"y"}'), got]).toEqual([read, ran])
      expect([await ended(), await used()]).toEqual([[['ok', undefined]], String(usd(1))])
    })

    it('is never taken for failed where it can’t be told which of the two has', async () => {
      const wrapped = governed(outer(inner(true), '{"x":1}', way, true), rule, { session })
      expect(await ask(wrapped, '{"y":"y"}')).toBe('outer explained RangeError: outer broke')
      expect(got).toEqual([{ x: 1 }])
      const told = way !== ways['as it is']
      expect(await ended()).toEqual([told ? ['failed', 'RangeError'] : ['ok', undefined]])
      expect(await used()).toBe(String(usd(told ? 0 : 1)))
    })

    it('governed, each by its own rule', async () => {
      const gated = governed(inner(true), { name: 'inner', scope: 'read' }, { session })
      expect(await ask(governed(outer(gated, '{"x":1}', way, true), rule, { session }), '{"y":"y"}')).toBe(
        'outer explained RangeError: outer broke',
      )
      expect(got).toEqual([{ x: 1 }])
      expect(await ended()).toEqual([
        ['failed', 'Error'],
        ['failed', 'RangeError'],
      ])
    })
  })
})

describe('a failure is told from an answer', () => {
  const fails = () => {
    let runs = 0
    const bare = tool({
      name: 'outer',
      description: '',
      parameters: z.object({}),
      execute: async (_, __, details) => {
        runs++
        // A tool may look as often as it likes, and is told the truth.
        for (let look = 0; look < 3; look++) if (details?.signal?.aborted) return 'aborted'
        throw new RangeError('boom')
      },
      errorFunction: (_, error) => `explained ${error}`,
    }) as AnyTool
    return { bare, runs: () => runs }
  }

  const stacks: Record<string, (error: unknown, sites: unknown) => unknown> = {
    'lists of places': (_, sites) => sites,
    'one text for all': () => 'somewhere',
    nothing: () => undefined,
    'an error': () => {
      throw new Error('no stacks here')
    },
  }

  it.each(Object.entries(stacks))('where the application makes %s of stacks', async (_, prepare) => {
    const { prepareStackTrace } = Error
    try {
      const { bare, runs } = fails()
      Error.prepareStackTrace = prepare
      const wrapped = governed(bare, rule, { session })
      expect([await ask(wrapped, '{}'), runs()]).toEqual(['explained RangeError: boom', 1])
      expect(Error.prepareStackTrace).toBe(prepare)
    } finally {
      Object.assign(Error, { prepareStackTrace })
    }
    expect(await ended()).toEqual([['failed', 'RangeError']])
  })

  it('where stacks are switched off', async () => {
    const { stackTraceLimit } = Error
    const { bare, runs } = fails()
    try {
      Error.stackTraceLimit = 0
      const wrapped = governed(bare, rule, { session })
      expect([await ask(wrapped, '{}'), runs()]).toEqual(['explained RangeError: boom', 1])
      expect(Error.stackTraceLimit).toBe(0)
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
    expect(await ended()).toEqual([['failed', 'RangeError']])
  })

  it.each(['stackTraceLimit', 'prepareStackTrace'])(
    'not where `Error.%s` is locked: it is an answer then',
    async (member) => {
      const before = Object.getOwnPropertyDescriptor(Error, member)
      const { bare, runs } = fails()
      try {
        const value = Error[member as 'stackTraceLimit']
        Object.defineProperty(Error, member, { value, writable: false, configurable: true })
        vi.resetModules()
        const fresh = await import('@haldir/openai/agents')
        const wrapped = fresh.governed(bare, rule, { session })
        expect([await ask(wrapped, '{}'), runs()]).toEqual(['explained RangeError: boom', 1])
      } finally {
        if (before) Object.defineProperty(Error, member, before)
        else Reflect.deleteProperty(Error, member)
      }
      expect([await ended(), await used()]).toEqual([[['ok', undefined]], String(usd(1))])
    },
  )
})

it('that has a timeout of its own and fails before has failed, by the SDK’s hand', async () => {
  const bare = tool({
    name: 'outer',
    description: '',
    parameters: z.object({}),
    timeoutMs: 60_000,
    execute: async () => {
      throw new RangeError('boom')
    },
  }) as AnyTool
  const wrapped = governed(bare, rule, { session })
  const details = { signal: new AbortController().signal } as never
  const runContext = new RunContext({})
  await invokeFunctionTool({ tool: wrapped, runContext, input: '{}', details })
  expect([await ended(), await used()]).toEqual([[['failed', 'RangeError']], String(usd(0))])
})

describe('a tool of another copy of the SDK', () => {
  const foreign = (heard: unknown[], execute: (args: { n: number }) => unknown) =>
    older.tool({
      name: 'outer',
      description: '',
      parameters: z.object({ n: z.coerce.number() }),
      execute: async (args) => (await execute(args)) as string,
      errorFunction: (_: unknown, error: unknown) => {
        heard.push(error)
        return `explained ${error}`
      },
    }) as unknown as AnyTool
  const gate = { ...rule, cost: ({ n }: { n: number }) => usd(n) }

  /** What the model reads, from the runner of that copy. */
  const run = async (one: AnyTool, ...calls: object[]) => {
    const said = calls.map((args, index) => testing.functionCall('outer', args as never, { callId: `c${index}` }))
    const model = new testing.ScriptedModel([said, [testing.assistantMessage('done')]])
    const agent = new older.Agent({ name: 'agent', model, tools: [one as never] })
    await new older.Runner({ tracingDisabled: true }).run(agent, 'go on')
    const input = model.lastCall?.request.input as { type: string; output: { text: string } }[]
    return input.filter(({ type }) => type === 'function_call_result').map(({ output }) => output.text)
  }

  it('in its own runner is judged by what its parser makes, and has failed when it has', async () => {
    const heard: unknown[] = []
    const ran: unknown[] = []
    const boom = new RangeError('boom')
    const fails = (args: { n: number }) => {
      ran.push(args)
      if (args.n === 2) throw boom
      return 'ran'
    }
    const wrapped = governed(foreign(heard, fails), gate, { session })
    expect([heard, ran]).toEqual([[], []])
    expect(await run(wrapped, { n: 'q' }, { n: '3' }, { n: '4' })).toEqual([
      expect.stringMatching(/^Denied \(invalid-arguments\): /),
      'ran',
      expect.stringMatching(/^Denied \(budget-exceeded\): /),
    ])
    heard.length = 0
    expect(await run(wrapped, { n: 2 })).toEqual(['explained RangeError: boom'])
    expect([heard, ran]).toEqual([[boom], [{ n: 3 }, { n: 2 }]])
    expect([await ended(), await used()]).toEqual([
      [
        ['ok', undefined],
        ['failed', 'Error'],
      ],
      String(usd(3)),
    ])
  })

  it('that no runner of its own has spoken for is judged by what the model was shown, and answers', async () => {
    vi.resetModules()
    const fresh = await import('@haldir/openai/agents')
    const heard: unknown[] = []
    const ran: unknown[] = []
    const fails = (args: { n: number }) => {
      ran.push(args)
      throw new RangeError('boom')
    }
    const wrapped = fresh.governed(foreign(heard, fails), gate, { session })
    for (const text of ['{"n":"2"}', '{"n":', '[]', '""', '{"n":9}']) {
      expect(await ask(wrapped, text)).toMatch(/^Denied \((invalid-arguments|budget-exceeded)\): /)
    }
    expect([heard, ran]).toEqual([[], []])
    expect(await ask(wrapped, '{"n":2}')).toBe('explained RangeError: boom')
    expect([heard.length, ran, await ended(), await used()]).toEqual([
      1,
      [{ n: 2 }],
      [['ok', undefined]],
      String(usd(2)),
    ])
  })

  it('tells its errors without the secrets in them', async () => {
    await haldir.vault.put('key', 'sk_live_7c1d9e52b0', { scope: 'read' })
    const leaks = foreign([], () => {
      throw new Error(`no such key: ${currentCall().secret('key').reveal()}`)
    })
    const wrapped = governed(leaks, { ...gate, secrets: ['key'] }, { session })
    const told = 'explained Error: no such key: [redacted:key]'
    expect([await ask(wrapped, '{"n":1}'), await run(wrapped, { n: 1 })]).toEqual([told, [told]])
  })

  it('that looks the same and never calls back runs nothing but what was judged, once', async () => {
    const ran: unknown[] = []
    const like = tool({ name: 'outer', description: '', strict: false, parameters: ANY, execute: async () => '' })
    // As versions before 0.12 have it: the same outside, and inside nothing that could be told when to stop.
    const build = new Function(
      ...['FUNCTION_TOOL_TIMEOUT_ALREADY_ENFORCED', 'invokeWithoutTimeout', 'invokeFunctionToolWithTimeout'],
      ...['name', 'timeoutMs', 'timeoutBehavior', 'timeoutErrorFunction'],
      `return ${like.invoke}`,
    )
    const run = async (_: unknown, text: string) => `${ran.push(JSON.parse(text))}`
    const invoke = build(Symbol('functionToolTimeoutAlreadyEnforced'), run, ({ runContext, input }: any) =>
      run(runContext, input),
    )
    expect(`${invoke}`).toBe(`${like.invoke}`)
    const cost = ({ n }: any) => usd(n ?? 0)
    const wrapped = governed({ ...like, invoke } as AnyTool, { ...rule, cost }, { session })
    expect(ran).toEqual([])
    expect(await ask(wrapped, '{"n":9}')).toMatch(/^Denied \(budget-exceeded\): /)
    expect(await ask(wrapped, '"text"')).toMatch(/^Denied \(invalid-arguments\): /)
    expect(ran).toEqual([])
    expect(await ask(wrapped, '{"n":1}')).toBe('1')
    expect([ran, await used()]).toEqual([[{ n: 1 }], String(usd(1))])
    // A runner that waits for a callback speaks for its own copy alone.
    const said = [{ n: 9 }, { n: 2 }].map((args, index) => testing.functionCall('outer', args, { callId: `c${index}` }))
    const model = new testing.ScriptedModel([said, [testing.assistantMessage('done')]])
    await new Runner({ tracingDisabled: true }).run(
      new Agent({ name: 'a', model: model as never, tools: [wrapped] }),
      '',
    )
    expect([ran, await used()]).toEqual([[{ n: 1 }, { n: 2 }], String(usd(3))])
  })
})
