/** What `@haldir/openai/agents` knows of the SDK's own tools from outside, and what happens where it can't know. */
import { createHaldir, currentCall, type Entry, envKey, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed } from '@haldir/openai/agents'
import { type FunctionTool, invokeFunctionTool, RunContext, tool } from '@openai/agents'
import * as older from 'agents017'
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

describe('a tool of another copy of the SDK', () => {
  it('is refused what does not fit, and its words for errors are not asked about what does', async () => {
    const heard: unknown[] = []
    const ran: unknown[] = []
    const foreign = older.tool({
      name: 'outer',
      description: '',
      parameters: z.object({ n: z.coerce.number() }),
      execute: async (args) => ran.push(args) as never,
      errorFunction: (_: unknown, error: unknown) => heard.push(error) as never,
    }) as unknown as AnyTool
    const wrapped = governed(foreign, { ...rule, cost: ({ n }: { n: number }) => usd(n) }, { session })
    for (const text of ['{"n":"q"}', '{"n":', '[]', '""']) {
      expect(await ask(wrapped, text)).toMatch(/^Denied \(invalid-arguments\): /)
    }
    expect([ran, await used()]).toEqual([[], String(usd(0))])
    heard.length = 0
    await ask(wrapped, '{"n":"2"}')
    expect([heard, ran, await used()]).toEqual([[], [{ n: 2 }], String(usd(2))])
  })

  it('tells its errors without the secrets in them', async () => {
    await haldir.vault.put('key', 'sk_live_7c1d9e52b0', { scope: 'read' })
    const foreign = older.tool({
      name: 'outer',
      description: '',
      parameters: z.object({}),
      execute: async () => {
        throw new Error(`no such key: ${currentCall().secret('key').reveal()}`)
      },
      errorFunction: (_: unknown, error: unknown) => String(error),
    }) as unknown as AnyTool
    const wrapped = governed(foreign, { ...rule, secrets: ['key'] }, { session })
    expect(await ask(wrapped, '{}')).toBe('Error: no such key: [redacted:key]')
  })
})
