/** What the Anthropic SDK does beyond the common contract: its helpers, its runners, its toolsets, its ways to fail. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Anthropic from '@anthropic-ai/sdk'
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { betaStandardSchemaTool } from '@anthropic-ai/sdk/helpers/beta/standard-schema'
import { BetaAbstractComputerToolset20260801 } from '@anthropic-ai/sdk/helpers/beta/toolsets'
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import { ToolError } from '@anthropic-ai/sdk/lib/tools/ToolError'
import { governed, permitted } from '@haldir/anthropic'
import {
  ConfigError,
  createHaldir,
  currentCall,
  Denied,
  type Entry,
  envKey,
  type Haldir,
  type HaldirOptions,
  type Session,
  usd,
} from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Provider, scriptedProvider, type Turn } from '../contracts/anthropic-model.ts'
import { versions } from '../contracts/anthropic-versions.ts'
import { proves } from '../promises.ts'

let haldir: Haldir
let session: Session

async function open(options: HaldirOptions = {}): Promise<void> {
  await haldir?.close()
  const keys = [envKey('KEY', { env: { KEY: 'c0'.repeat(32) } })]
  haldir = createHaldir({ sinks: [memorySink()], vault: { keys }, ...options })
  session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:5'] })
}
beforeEach(() => open())
afterEach(() => haldir.close())

async function entries(type: Entry['type']): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({ type })) found.push(entry)
  return found
}

interface RunOptions {
  readonly SDK?: typeof Anthropic
  readonly params?: object
  readonly signal?: AbortSignal
}

function runnerOf(tools: readonly unknown[], turns: readonly Turn[], { SDK = Anthropic, params, signal }: RunOptions) {
  const provider = scriptedProvider(...turns)
  const client = new SDK({ apiKey: 'none', fetch: provider.fetch as never, maxRetries: 0 })
  const runner = client.beta.messages.toolRunner(
    { model: 'scripted', max_tokens: 9, messages: [{ role: 'user', content: 'go' }], tools: tools as [], ...params },
    signal ? { signal } : {},
  )
  return { provider, runner }
}

/** Runs a loop to its end; answers what the model read, and what it was asked. */
async function drive(tools: readonly unknown[], calls: Turn, options: RunOptions = {}) {
  const { provider, runner } = runnerOf(tools, [calls], options)
  await runner
  return { results: provider.results(), provider }
}

const anyObject = { type: 'object' as const }
/** A tool that answers `value`, and counts how often it ran. */
function counting(name: string, value: unknown = 'ran') {
  let runs = 0
  const run = async (): Promise<any> => {
    runs++
    return value
  }
  return Object.assign(betaTool({ name, description: name, inputSchema: anyObject, run }), { runs: () => runs })
}

const result = (content: unknown, id = 'turn-1-call-0') => ({ type: 'tool_result', tool_use_id: id, content })
const failure = (content: unknown, id?: string) => ({ ...result(content, id), is_error: true })

describe('a denial', () => {
  const require = createRequire(import.meta.url)
  const copies = [
    ['the ES module', Anthropic],
    ['CommonJS', require('@anthropic-ai/sdk').default as typeof Anthropic],
    ['an older version', versions[1]?.Anthropic as typeof Anthropic],
    ['an older version, in CommonJS', require('anthropic0').default as typeof Anthropic],
  ] as const

  it.each(copies)(
    'is what the model reads, word for word and as an error, when the runner is of %s',
    async (_, SDK) => {
      proves('framework-agnostic', 'scoped-permissions')
      for (const stream of [false, true]) {
        const tool = governed(counting('remove'), { name: 'remove', scope: 'delete' }, { session })
        const { results } = await drive([tool], [{ tool: 'remove', args: {} }], { SDK, params: { stream } })
        const { message } = new Denied('scope-missing', 'the session does not hold the scope `delete`', '')
        expect(results).toEqual([failure(message)])
        expect(tool.runs()).toBe(0)
      }
    },
  )

  it('is a `ToolError` with the denial as its cause, for whoever calls `run`', async () => {
    const tool = governed(counting('remove'), { name: 'remove', scope: 'delete' }, { session })
    const error = await Promise.resolve(tool.run({})).then(undefined, (thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ToolError)
    const { cause } = error as Error
    expect(Denied.isInstance(cause) && [cause.code, cause.message]).toEqual(['scope-missing', (error as Error).message])
  })

  it('is told when nobody can say where the call came from', async () => {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    try {
      const tool = governed(counting('remove'), { name: 'remove', scope: 'delete' }, { session })
      const { results } = await drive([tool], [{ tool: 'remove', args: {} }])
      expect(results).toEqual([failure(expect.stringMatching(/^Denied \(scope-missing\): /))])
    } finally {
      Error.stackTraceLimit = limit
    }
  })

  it('is told when the runner that called has no class for it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'haldir-runner-'))
    try {
      const file = join(folder, 'lib/tools/BetaToolRunner.mjs')
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, 'export const call = async (tool) => await tool.run({})')
      const { call } = await import(/* @vite-ignore */ pathToFileURL(file).href)
      const tool = governed(counting('remove'), { name: 'remove', scope: 'delete' }, { session })
      const read = await call(tool).then(undefined, (error: unknown) => error)
      expect(read).toBeInstanceOf(ToolError)
      expect(read).toMatchObject({ content: expect.stringMatching(/^Denied \(scope-missing\): /) })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('takes no name of a function for the file of a runner', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'haldir-runner-'))
    try {
      const file = join(folder, 'lib/tools/ToolError.mjs')
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, 'globalThis.taken = true; export class ToolError extends Error {}')
      const tool = governed(counting('remove'), { name: 'remove', scope: 'delete' }, { session })
      // Names of functions may come from anywhere: a server's name of its tool, say.
      const named = `x (${folder}/lib/tools/BetaToolRunner.mjs:1:1)`
      const calls = { [named]: async () => await tool.run({}) }
      const read = await Promise.resolve(calls[named]?.()).then(undefined, (error: unknown) => error)
      expect(read).toBeInstanceOf(ToolError)
      expect(globalThis).not.toHaveProperty('taken')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('is told where the application has stacks written in its own way, as source maps do', async () => {
    const own = Error.prepareStackTrace
    const written = () => 'Error\n    at another/place.ts:1:1'
    Error.prepareStackTrace = written
    try {
      const tool = governed(counting('remove'), { name: 'remove', scope: 'delete' }, { session })
      const SDK = require('anthropic0').default as typeof Anthropic
      const { results } = await drive([tool], [{ tool: 'remove', args: {} }], { SDK })
      expect(results).toEqual([failure(expect.stringMatching(/^Denied \(scope-missing\): /))])
      expect(Error.prepareStackTrace).toBe(written)
    } finally {
      Error.prepareStackTrace = own
    }
  })

  it('does not end a loop before `max_iterations` does', async () => {
    const tool = governed(counting('remove'), { name: 'remove', scope: 'delete' }, { session })
    const turn = [{ tool: 'remove', args: {} }]
    const { provider, runner } = runnerOf([tool], [turn, turn, turn, turn], { params: { max_iterations: 3 } })
    await runner
    expect(provider.asked).toHaveLength(3)
    expect(await entries('refusal')).toHaveLength(3)
  })
})

describe('arguments that do not fit', () => {
  const zodPay = (run: (args: { amount: number }) => string) =>
    betaZodTool({ name: 'pay', description: 'pays', inputSchema: z.object({ amount: z.number() }), run })
  const jsonPay = (run: (args: any) => string) =>
    betaTool({
      name: 'pay',
      description: 'pays',
      inputSchema: { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] },
      run,
    })
  const standardPay = (run: (args: { amount: number }) => string) =>
    betaStandardSchemaTool({ name: 'pay', description: 'pays', inputSchema: z.object({ amount: z.number() }), run })
  const ownPay = (run: (args: any) => string) => ({
    ...jsonPay(run),
    parse(content: unknown) {
      if (typeof (content as { amount: unknown }).amount !== 'number') throw new Error(`bad ${JSON.stringify(content)}`)
      return content
    },
  })
  const bare = (run: (args: any) => string) => Object.assign(jsonPay(run), { parse: undefined as never })
  const rule = { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }

  it.each([
    ['betaZodTool', zodPay],
    ['betaTool', jsonPay],
    ['betaStandardSchemaTool', standardPay],
    ['a `parse` of its own', ownPay],
    ['no `parse`', bare],
  ])('are refused before anything is held, on record and in words a model can use: %s', async (_, make) => {
    proves('misfits-refused')
    const ran: unknown[] = []
    const pay = make((args) => {
      ran.push(args)
      return 'paid'
    })
    const [tool] = governed([pay], { pay: rule }, { session })
    const canary = 'card-4111'
    const { results } = await drive(
      [tool],
      [
        { tool: 'pay', args: { amount: canary } },
        { tool: 'pay', args: {} },
        { tool: 'pay', args: { amount: 2 } },
      ],
    )
    for (const { content, is_error } of results.slice(0, 2)) {
      expect(content).toMatch(/^Denied \(invalid-arguments\): the arguments do not fit the tool: `amount` /)
      expect(content).not.toContain(canary)
      expect(is_error).toBe(true)
    }
    expect(results[2]).toEqual(result('paid', 'turn-1-call-2'))
    expect(ran).toEqual([{ amount: 2 }])
    expect((await entries('refusal')).map(({ code }) => code)).toEqual(['invalid-arguments', 'invalid-arguments'])
    expect(await entries('intent')).toHaveLength(1)
  })

  it('what `parse` makes of arguments is what is judged, and what runs', async () => {
    const seen: unknown[] = []
    const run = (args: unknown) => {
      seen.push(args)
      return 'booked'
    }
    const inputSchema = z.object({ on: z.string().trim(), note: z.string().default('none') })
    const book = betaZodTool({ name: 'book', description: 'books', inputSchema, run })
    const textOnly = { type: 'object', properties: { on: { type: 'string' } } } as const
    const dated = {
      ...betaTool({ name: 'dated', description: 'books', inputSchema: textOnly, run }),
      parse: (content: unknown) => ({ on: new Date((content as { on: string }).on) }),
    }
    const judged: unknown[] = []
    const scope = (args: unknown) => {
      judged.push(args)
      return 'read'
    }
    const tools = governed([book, dated], { book: { scope }, dated: { scope } }, { session })
    const args = { on: ' 2026-01-02 ', more: 'unknown' }
    const { results } = await drive(tools, [
      { tool: 'book', args },
      { tool: 'dated', args },
    ])
    expect(results.map(({ content }) => content)).toEqual(['booked', 'booked'])
    expect(seen).toEqual([{ on: '2026-01-02', note: 'none' }, { on: new Date(args.on) }])
    expect(judged).toEqual(seen)
    expect(judged[0]).not.toBe(seen[0])
  })

  it('are told by what the schema itself says, where that is more than its JSON Schema can', async () => {
    const even = betaZodTool({
      name: 'even',
      description: 'takes even numbers',
      inputSchema: z.object({ n: z.number().refine((n) => n % 2 === 0, 'must be even.') }),
      run: () => 'ran',
    })
    const tool = governed(even, { name: 'even', scope: 'read' }, { session })
    const { results } = await drive([tool], [{ tool: 'even', args: { n: 7 } }])
    expect(results).toEqual([failure(expect.stringContaining('do not fit the tool: `n` must be even. Do not repeat'))])
  })

  it('are refused when a loop of one’s own leaves `parse` out', async () => {
    await open()
    for (const make of [zodPay, jsonPay, ownPay, bare]) {
      const bare = make(() => 'paid')
      const tool = governed(bare, { name: 'pay', scope: 'read' }, { session })
      const refused = /^Denied \(invalid-arguments\): .*`amount` /
      await expect(tool.run({ amount: '2' as never })).rejects.toThrow(refused)
      expect(await tool.run({ amount: 2 })).toBe('paid')
      expect(await tool.run((tool.parse?.({ amount: 1 }) ?? { amount: 1 }) as { amount: number })).toBe('paid')
      // Whatever came before.
      await expect(tool.run({ amount: '2' as never })).rejects.toThrow(refused)
    }
    expect(await entries('refusal')).toHaveLength(8)
  })

  it('are told apart where `parse` hands on some of what it gets, and not the rest', async () => {
    const old = {
      ...jsonPay(({ amount, cents }) => `paid ${amount ?? cents}`),
      parse: (content: any) => (content.cents === undefined ? content : { cents: Number(content.cents) }),
    }
    const tool = governed(old, { name: 'pay', scope: 'read' }, { session })
    const [made, bad] = [tool.parse({ cents: '7' }), tool.parse({ amount: 'two' })]
    expect(await tool.run(made)).toBe('paid 7')
    await expect(tool.run(bad)).rejects.toThrow(/^Denied \(invalid-arguments\)/)
    expect(await tool.run(made)).toBe('paid 7')
  })

  it('in shadow mode come to what they come to with the bare tool, and are on record', async () => {
    await open({ mode: 'shadow' })
    for (const make of [zodPay, jsonPay]) {
      const call = [{ tool: 'pay', args: { amount: 'two' } }]
      const bare = await drive([make((args) => `paid ${args.amount}`)], call)
      const tool = governed(
        make((args) => `paid ${args.amount}`),
        { name: 'pay', ...rule },
        { session },
      )
      const { results } = await drive([tool], call)
      expect(results).toEqual(bare.results)
    }
    expect(haldir.health().observed).toMatchObject({ 'invalid-arguments': 2 })
  })

  it('`parse` is called once for each call, on the tool itself', async () => {
    const parsed: unknown[] = []
    const own = {
      ...counting('own'),
      parse(this: unknown, content: unknown) {
        parsed.push(this, content)
        return content
      },
    }
    await drive([governed(own, { name: 'own', scope: 'read' }, { session })], [{ tool: 'own', args: { a: 1 } }])
    expect(parsed).toEqual([own, { a: 1 }])
    expect(parsed[0]).toBe(own)
  })
})

describe('what a runner tells a tool of its call', () => {
  it('reaches the tool, with what was judged in place of what the model wrote', async () => {
    let seen: any
    let args: unknown
    const look = betaTool({
      name: 'look',
      description: 'looks',
      inputSchema: anyObject,
      async run(given, context) {
        args = given
        seen = context
        return 'seen'
      },
    })
    const tool = governed(look, { name: 'look', scope: 'read' }, { session })
    await drive([tool], [{ tool: 'look', args: { id: 7 }, id: 'toolu_1' }])
    expect(seen.toolUse).toMatchObject({ id: 'toolu_1', name: 'look', input: { id: 7 } })
    expect(seen.toolUse.input).toBe(args)
    expect(seen.toolUseBlock).toBe(seen.toolUse)
    expect(seen.signal).toBeInstanceOf(AbortSignal)
    expect((await entries('intent')).map(({ ref }) => ref)).toEqual(['toolu_1'])
  })

  it('is nothing the model can still change', async () => {
    let seen: unknown
    const input = { amount: 1 }
    const toolUse = { type: 'tool_use', id: 'c', name: 'pay', input } as never
    const pay = betaTool({
      name: 'pay',
      description: 'pays',
      inputSchema: anyObject,
      run(_, context) {
        seen = context?.toolUse.input
        return 'paid'
      },
    })
    const tool = governed(pay, { name: 'pay', scope: 'spend', cost: ({ amount }: any) => usd(amount) }, { session })
    const running = tool.run(input, { toolUse, toolUseBlock: toolUse })
    input.amount = 9_999
    await running
    expect(seen).toEqual({ amount: 1 })
  })

  it("carries the runner's abort to a tool that runs, and the end of the session", async () => {
    for (const end of ['abort', 'revoke'] as const) {
      let reason: unknown
      let started = () => {}
      const running = new Promise<void>((resolve) => {
        started = resolve
      })
      const waits = betaTool({
        name: 'waits',
        description: 'waits',
        inputSchema: anyObject,
        async run(_, context) {
          started()
          await new Promise((resolve) => context?.signal?.addEventListener('abort', resolve))
          reason = context?.signal?.reason
          return 'stopped'
        },
      })
      const caller = new AbortController()
      const tool = governed(waits, { name: 'waits', scope: 'read' }, { session })
      const driven = drive([tool], [{ tool: 'waits', args: {} }], { signal: caller.signal })
      await running
      const why = new Error('enough')
      if (end === 'abort') caller.abort(why)
      else await session.revoke('enough')
      if (end === 'abort') await expect(driven).rejects.toThrow()
      else expect((await driven).results).toEqual([result('stopped')])
      if (end === 'abort') expect(reason).toBe(why)
      else expect(Denied.isInstance(reason) && reason.code).toBe('session-revoked')
    }
  })

  it('ends the loop that was given `session.signal`, when the session is revoked', async () => {
    const stops = betaTool({
      name: 'stops',
      description: 'stops',
      inputSchema: anyObject,
      run: async () => String(await session.revoke('enough')),
    })
    const turn = [{ tool: 'stops', args: {} }]
    const tool = governed(stops, { name: 'stops', scope: 'read' }, { session })
    const { provider, runner } = runnerOf([tool], [turn, turn], { signal: session.signal })
    await expect(runner.runUntilDone()).rejects.toThrow()
    expect(provider.asked).toHaveLength(1)
  })

  it('may carry the session, in a loop of one’s own: a handle, and nothing else', async () => {
    const who = betaTool({
      name: 'who',
      description: 'says who',
      inputSchema: anyObject,
      run: () => currentCall().session.id,
    })
    const tool = governed(who, { name: 'who', scope: 'read' }, { haldir })
    const carrying = (haldirSession: unknown) => tool.run({}, { haldirSession } as never)
    expect(await carrying(session)).toBe(session.id)
    for (const text of [session.token, session.id, { ...session }]) {
      await expect(carrying(text)).rejects.toThrow(/^Denied \(no-session\)/)
    }
    await expect(tool.run({})).rejects.toThrow(/^Denied \(no-session\)/)
  })

  it('a version that tells nothing runs all the same', async () => {
    const old = versions[1]
    if (!old) throw new Error('there is an older version')
    const rest: unknown[] = []
    const tool = governed(
      old.betaTool({
        name: 'old',
        description: 'old',
        inputSchema: anyObject,
        run: (_, context) => {
          rest.push(context?.toolUse, context?.signal)
          return 'ran'
        },
      }),
      { name: 'old', scope: 'read' },
      { session },
    )
    const { results } = await drive([tool], [{ tool: 'old', args: {} }], { SDK: old.Anthropic })
    expect(results).toEqual([result('ran')])
    expect(rest).toEqual([undefined, expect.any(AbortSignal)])
    expect((await entries('intent')).map(({ ref }) => ref)).toEqual([undefined])
  })
})

describe('what a tool answers', () => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGk=' } }

  it('passes as it is: blocks, and the blocks of its own `ToolError`', async () => {
    const blocks = [{ type: 'text', text: 'a' }, image]
    const fails = betaTool({
      name: 'fails',
      description: 'fails',
      inputSchema: anyObject,
      run: () => Promise.reject(new ToolError(blocks as never)),
    })
    const tools = governed([counting('blocks', blocks), fails], { blocks: { scope: 'read' }, fails: { scope: 'read' } })
    const calls = [
      { tool: 'blocks', args: {} },
      { tool: 'fails', args: {} },
    ]
    const { results } = await session.run(() => drive(tools, calls))
    expect(results).toEqual([result(blocks), failure(blocks, 'turn-1-call-1')])
    expect((await entries('outcome')).map(({ data }) => data.ended).sort()).toEqual(['failed', 'ok'])
  })

  it('leaves without the secrets it revealed, also in the blocks of a `ToolError`', async () => {
    proves('agents-never-see-keys', 'invariant-7')
    await haldir.vault.put('key', 'sk_live_canary_9f8e7d', { scope: 'read' })
    const leaks = betaTool({
      name: 'leaks',
      description: 'leaks',
      inputSchema: anyObject,
      run: () => {
        throw new ToolError([{ type: 'text', text: `sent ${currentCall().secret('key').reveal()}` }])
      },
    })
    const tool = governed(leaks, { name: 'leaks', scope: 'read', secrets: ['key'] }, { session })
    const { results } = await drive([tool], [{ tool: 'leaks', args: {} }])
    expect(results).toEqual([failure([{ type: 'text', text: 'sent [redacted:key]' }])])
  })
})

describe('the helpers of the SDK', () => {
  it.each(versions)(
    'the memory tool is governed, command by command: $name',
    async ({ Anthropic: SDK, betaMemoryTool }) => {
      const done: string[] = []
      const handler = (command: { command: string }) => {
        done.push(command.command)
        return command.command
      }
      const names = ['view', 'create', 'str_replace', 'insert', 'delete', 'rename']
      const memory = betaMemoryTool(Object.fromEntries(names.map((name) => [name, handler])) as never)
      const scope = ({ command }: { command: string }) => `memory:${command}`
      const holder = await haldir.createSession({ agent: 'a', scopes: ['memory:view', 'memory:create'] })
      const tool = governed(memory, { name: 'memory', scope }, { session: holder })
      const calls = ['view', 'delete', 'create'].map((command) => ({
        tool: 'memory',
        args: { command, path: '/memories' },
      }))
      const { results, provider } = await drive([tool], calls, { SDK })
      expect(provider.asked[0]?.tools).toEqual([{ type: 'memory_20250818', name: 'memory' }])
      expect(results.map(({ content }) => String(content).slice(0, 22))).toEqual([
        'view',
        'Denied (scope-missing)',
        'create',
      ])
      expect(done.sort()).toEqual(['create', 'view'])
    },
  )

  it.each(versions)(
    'tools of an MCP server are governed as a list, by name: $name',
    async ({ Anthropic: SDK, mcpTools }) => {
      const called: unknown[] = []
      const server = {
        async callTool(params: { name: string; arguments?: Record<string, unknown> }) {
          called.push(params)
          return { content: [{ type: 'text' as const, text: params.name }], isError: params.name === 'breaks' }
        },
      }
      const found = mcpTools(
        [
          { name: 'look', inputSchema: { type: 'object', properties: { id: { type: 'number' } }, required: ['id'] } },
          // What a schema leaves out the SDK fills with null.
          { name: 'breaks', inputSchema: { type: 'object' } },
          { name: 'remove', inputSchema: { type: 'object' } },
        ],
        server,
      )
      const tools = governed(
        found,
        { look: { scope: 'read' }, breaks: { scope: 'read' }, remove: { scope: 'delete' } },
        { session },
      )
      const marks = (list: readonly object[]) => list.map((tool) => Object.getOwnPropertySymbols(tool).length)
      expect(marks(tools)).toEqual(marks(found))
      const calls = [
        { tool: 'look', args: { id: 'x' } },
        { tool: 'look', args: { id: 7 } },
        { tool: 'breaks', args: {} },
        { tool: 'remove', args: {} },
      ]
      const { results } = await drive(tools, calls, { SDK })
      const text = (text: string) => [{ type: 'text', text }]
      expect(results).toEqual([
        failure(expect.stringMatching(/^Denied \(invalid-arguments\): .*`id` is not of type number/)),
        result(text('look'), 'turn-1-call-1'),
        failure(text('breaks'), 'turn-1-call-2'),
        failure(expect.stringMatching(/^Denied \(scope-missing\)/), 'turn-1-call-3'),
      ])
      expect(called).toEqual([
        { name: 'look', arguments: { id: 7 } },
        { name: 'breaks', arguments: {} },
      ])
      expect(permitted(tools, session).map(({ name }) => name as string)).toEqual(['look', 'breaks'])
    },
  )
})

describe('toolsets', () => {
  class Desk extends BetaAbstractComputerToolset20260801 {
    readonly #clicks: unknown[] = []

    get clicks(): readonly unknown[] {
      return this.#clicks
    }

    override async left_click(_: unknown, input: object): Promise<undefined> {
      this.#clicks.push(input)
    }
  }
  const name = 'computer_toolset_20260801'
  const click = (x: number) => ({ tool: 'left_click', args: { coordinate: [x, 2] }, toolset: 'computer' })
  const make = () => {
    const desk = new Desk({ confirm: () => true })
    const rule = { scope: ({ name }: { name: string }) => `computer:${name}` }
    return { desk, tools: governed([desk], { [name]: rule }, { haldir }) }
  }

  it('are governed call by call: a rule sees the name of the tool and its input', async () => {
    const { desk, tools } = make()
    const bare = await drive([new Desk({ confirm: () => true })], [click(1)])
    const allowed = await haldir.createSession({ agent: 'a', scopes: ['computer:left_click'] })
    const { results, provider } = await allowed.run(() => drive(tools, [click(1)]))
    expect(results).toEqual(bare.results)
    expect(provider.asked[0]?.tools).toEqual(bare.provider.asked[0]?.tools)
    expect(desk.clicks).toEqual([{ coordinate: [1, 2] }])
    expect((await entries('intent')).map(({ tool, ref }) => [tool, ref])).toEqual([[name, 'turn-1-call-0']])
  })

  it('that are denied do nothing, and the rest of the turn is not run', async () => {
    const { desk, tools } = make()
    const { results } = await session.run(() => drive(tools, [click(1), click(2)]))
    expect(results).toEqual([
      { ...failure(expect.stringMatching(/^Denied \(scope-missing\): /)), toolset_name: 'computer' },
      { ...failure(expect.stringMatching(/^Not executed/), 'turn-1-call-1'), toolset_name: 'computer' },
    ])
    expect(desk.clicks).toEqual([])
  })

  it('run what was judged, whatever becomes of the call meanwhile', async () => {
    const { desk, tools } = make()
    const [tool] = tools
    const input = { coordinate: [1, 2] }
    const toolUse = { type: 'tool_use', id: 'c', name: 'left_click', input, toolset_name: 'computer' }
    const allowed = await haldir.createSession({ agent: 'a', scopes: ['computer:left_click'] })
    const running = allowed.run(() => tool.run({ toolUse, toolUseBlock: toolUse } as never, toolUse as never))
    toolUse.name = 'double_click'
    input.coordinate[0] = 9_999
    await running
    expect(desk.clicks).toEqual([{ coordinate: [1, 2] }])
  })

  it('have no second way round the gate', async () => {
    const { desk, tools } = make()
    const [tool] = tools
    const toolUse = {
      type: 'tool_use',
      id: 'c',
      name: 'left_click',
      input: { coordinate: [1, 2] },
      toolset_name: 'computer',
    }
    const { content } = await session.run(() => tool.toolResult(toolUse as never))
    expect(content).toMatch(/^Denied \(scope-missing\): /)
    expect([desk.clicks, tool.clicks]).toEqual([[], []])
  })
})

describe('tools that do not run here', () => {
  const elsewhere: Record<string, object> = {
    web_search: { type: 'web_search_20250305', name: 'web_search' },
    bash: { type: 'bash_20250124', name: 'bash' },
    shop: { type: 'mcp_toolset', mcp_server_name: 'shop' },
    plain: { name: 'plain', input_schema: { type: 'object' } },
    computer_toolset_20260801: { type: 'computer_toolset_20260801' },
  }

  it.each(Object.entries(elsewhere))('are an error, or listed: %s', async (name, tool) => {
    const refusal = expect.objectContaining({ name: 'ConfigError', code: 'ungovernable', path: name })
    expect(() => governed([tool as never], { [name]: { scope: 'read' } }, { haldir })).toThrow(refusal)
    const rules = { [name]: { scope: 'read', ungovernable: 'allow' as const } }
    const tools = governed([tool as { type: string }], rules, { haldir })
    expect(tools).toEqual([tool])
    expect(haldir.surface().tools).toContainEqual(expect.objectContaining({ name, governed: false }))
    expect(permitted(tools, session)).toEqual(tools)
  })
})

describe('lists and sets', () => {
  it('keep their order and their types, and each tool needs a rule', () => {
    const list = [counting('b'), counting('1'), counting('a')]
    const rules = { a: { scope: 'read' }, b: { scope: 'read' }, 1: { scope: 'read' } }
    expect(governed(list, rules).map(({ name }) => name as string)).toEqual(['b', '1', 'a'])
    const set = governed({ x: counting('a') }, { x: { scope: 'read' } })
    expect(Object.keys(set)).toEqual(['x'])
    const code = (work: () => unknown) => {
      try {
        work()
      } catch (error) {
        if (ConfigError.isInstance(error)) return [error.code, error.path]
      }
      return undefined
    }
    expect(code(() => governed(list, { a: { scope: 'read' }, b: { scope: 'read' } }))).toEqual(['invalid-option', '1'])
    expect(code(() => governed(list, { ...rules, c: { scope: 'read' } }))?.[0]).toBe('invalid-option')
    expect(code(() => governed([counting('a'), counting('a')], { a: { scope: 'read' } }))?.[0]).toBe('invalid-option')
    expect(code(() => governed(counting('a'), { scope: 'read' } as never))).toEqual(['invalid-option', 'name'])
    expect(code(() => governed([null] as never, { 0: { scope: 'read' } } as never))?.[0]).toBe('ungovernable')
    expect(
      code(() => governed([{ inputSchema: {}, execute: () => 1 }] as never, { 0: { scope: 'read' } } as never)),
    ).toEqual(['ungovernable', '0'])
  })
})

describe('the runner', () => {
  it('starts when it is awaited or iterated, under the session that it was made or begun under', async () => {
    const tool = governed(counting('late'), { name: 'late', scope: 'read' }, { haldir })
    const call: Turn = [{ tool: 'late', args: {} }]
    const inside = runnerOf([tool], [call], {})
    await session.run(() => inside.runner.runUntilDone())
    expect(inside.provider.results()).toEqual([result('ran')])
    const handed = runnerOf([tool], [call], {})
    await session.run(() => handed.runner)
    expect(handed.provider.results()).toEqual([result('ran')])
    const iterated = runnerOf([tool], [call], {})
    for await (const _ of session.run(() => iterated.runner));
    expect(iterated.provider.results()).toEqual([result('ran')])
    const outside = runnerOf([tool], [call], {})
    await outside.runner
    expect(outside.provider.results()).toEqual([failure(expect.stringMatching(/^Denied \(no-session\)/))])
  })

  it('`generateToolResponse` runs no call twice that the runner has run, nor the other way round', async () => {
    const tool = governed(counting('once'), { name: 'once', scope: 'read' }, { session })
    const { provider, runner } = runnerOf([tool], [[{ tool: 'once', args: {} }]], {})
    for await (const message of runner) {
      if (message.stop_reason === 'tool_use') await runner.generateToolResponse()
      await runner.generateToolResponse()
    }
    expect(tool.runs()).toBe(1)
    expect(await entries('intent')).toHaveLength(1)
    expect(provider.asked).toHaveLength(2)
  })

  it('that runs a call again, because its messages were changed, makes another governed call', async () => {
    const tool = governed(counting('again'), { name: 'again', scope: 'spend', cost: usd(3) }, { session })
    const { runner } = runnerOf([tool], [[{ tool: 'again', args: {} }]], {})
    const read: unknown[] = []
    for await (const message of runner) {
      if (message.stop_reason !== 'tool_use') continue
      for (let time = 0; time < 2; time++) {
        const answer = await runner.generateToolResponse()
        for (const { content } of (answer?.content ?? []) as { content: unknown }[]) read.push(content)
        if (time === 0) runner.setMessagesParams((params) => params)
      }
      break
    }
    expect(read).toEqual(['ran', expect.stringMatching(/^Denied \(budget-exceeded\)/)])
    expect(tool.runs()).toBe(1)
  })

  it('that starts tools while the reply streams starts none that is denied', async () => {
    const tools = governed([counting('fine'), counting('no')], { fine: { scope: 'read' }, no: { scope: 'delete' } })
    const calls = [
      { tool: 'no', args: {} },
      { tool: 'fine', args: {} },
    ]
    const { provider, runner } = runnerOf(tools, [calls], { params: { stream: true, runToolsEagerly: true } })
    let during = -1
    await session.run(async () => {
      for await (const stream of runner) {
        await (stream as unknown as { finalMessage(): Promise<unknown> }).finalMessage()
        if (during < 0) {
          await new Promise((resolve) => setTimeout(resolve, 20))
          during = (await entries('intent')).length
        }
      }
    })
    expect(during).toBe(1)
    expect(tools.map((tool) => tool.runs())).toEqual([1, 0])
    expect((provider as Provider).results()).toEqual([
      failure(expect.stringMatching(/^Denied \(scope-missing\)/)),
      result('ran', 'turn-1-call-1'),
    ])
  })
})

it('a tool that answers items has answered nothing the SDK reads, and nothing of it runs later', async () => {
  let ran = false
  const items = (async function* () {
    ran = true
    yield 'a'
  })()
  const tool = governed(counting('list', items), { name: 'list', scope: 'read' }, { session })
  expect(await tool.run({})).toBe(items)
  expect(await items.next()).toEqual({ done: true, value: undefined })
  expect(ran).toBe(false)
})
