/**
 * `haldir.approvals.resume` runs a call without the framework that has made it, in a process that has the same tool:
 * every kind of tool of every adapter answers what it answers there, and gets what was judged.
 */

import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { BetaAbstractComputerToolset20260801 } from '@anthropic-ai/sdk/helpers/beta/toolsets'
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import { governed as governedAnthropic } from '@haldir/anthropic'
import {
  currentCall,
  governed as governedFunction,
  type Haldir,
  type Policy,
  type Session,
  Suspended,
} from '@haldir/core'
import { governed as governedLangChain } from '@haldir/langchain'
import { governed as governedOpenAI, runToolCalls } from '@haldir/openai'
import { governed as governedAgents } from '@haldir/openai/agents'
import { RunnableLambda } from '@langchain/core/runnables'
import { DynamicStructuredTool, DynamicTool, tool as langchainTool, StructuredTool, Tool } from '@langchain/core/tools'
import { Agent, tool as agentsTool, RunContext, Runner } from '@openai/agents'
import { assistantMessage, ScriptedModel } from '@openai/agents/testing'
import { zodFunction, zodResponsesFunction } from 'openai/helpers/zod'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { proves } from '../promises.ts'
import { fleet } from './scene.ts'

const policy: Policy = { default: 'ask', rules: [] }

/** What a tool does: remembers what it got, and in which call. */
type Body = (args: unknown) => string
interface Kind {
  build(body: Body): any
  wrap(tool: any, haldir: Haldir): any
  call(tool: any): unknown
  /** What the call is made with, and what `resume` answers. */
  got: unknown
  answer: unknown
}

const rule = { name: 'work', scope: [] }
const schema = z.object({ amount: z.number(), note: z.string().default('none') })
const json = {
  type: 'object',
  properties: { amount: { type: 'number' } },
  required: ['amount'],
  additionalProperties: true,
}
const plain = { got: { amount: 1 }, answer: 'did' }
const filled = { got: { amount: 1, note: 'none' }, answer: 'did' }

const langchain = {
  wrap: (tool: any, haldir: Haldir) => governedLangChain(tool, rule, { haldir }),
  call: (tool: any) => tool.invoke({ amount: 1 }),
}
class Structured extends StructuredTool {
  readonly #body: Body
  name = 'work'
  description = ''
  schema = schema
  constructor(body: Body) {
    super()
    this.#body = body
  }
  protected async _call(args: unknown): Promise<string> {
    return this.#body(args)
  }
}
class Outright extends Structured {
  readonly #mine: Body
  constructor(body: Body) {
    super(body)
    this.#mine = body
  }
  override async invoke(input: unknown): Promise<any> {
    return this.#mine(input)
  }
}
class Text extends Tool {
  readonly #body: Body
  name = 'work'
  description = ''
  constructor(body: Body) {
    super()
    this.#body = body
  }
  protected async _call(text: string): Promise<string> {
    return this.#body(text)
  }
}
const described = { name: 'work', description: '', schema }
const text = { call: (tool: any) => tool.invoke('x'), got: 'x', answer: 'did' }

const anthropic = {
  wrap: (tool: any, haldir: Haldir) => governedAnthropic(tool, rule, { haldir }),
  call: (tool: any) => tool.run(tool.parse?.({ amount: 1 }) ?? { amount: 1 }),
}
class Computer extends BetaAbstractComputerToolset20260801 {
  readonly #body: Body
  constructor(body: Body) {
    super({ display_width_px: 1, display_height_px: 1 } as never)
    this.#body = body
  }
  override async run(_: unknown, use: any): Promise<any> {
    return this.#body({ name: use.name, input: use.input })
  }
}

const agents = {
  wrap: (tool: any, haldir: Haldir) => governedAgents(tool, rule, { haldir }),
  call: async (tool: any) => {
    // Outside of a run its answer is words.
    const said: string = await tool.invoke(new RunContext(), '{"amount":1}', { toolCall: { callId: 'call' } })
    throw new Error(said)
  },
}

const kinds: Record<string, Kind> = {
  'a function': {
    build: (body) => async (args: object) => body(args),
    wrap: (tool, haldir) => governedFunction(tool, rule, { haldir }),
    call: (tool) => tool({ amount: 1 }),
    ...plain,
  },
  'LangChain, tool()': {
    ...langchain,
    build: (body) => langchainTool(async (args) => body(args), described),
    ...filled,
  },
  'LangChain, a generator': {
    ...langchain,
    build: (body) =>
      langchainTool(
        async function* (args: unknown) {
          yield 'an event'
          return body(args)
        } as never,
        described,
      ),
    ...filled,
  },
  'LangChain, content and artifact': {
    ...langchain,
    build: (body) =>
      langchainTool(async (args) => [body(args), { big: true }], {
        ...described,
        responseFormat: 'content_and_artifact',
      }),
    ...filled,
    answer: ['did', { big: true }],
  },
  'LangChain, DynamicStructuredTool': {
    ...langchain,
    build: (body) => new DynamicStructuredTool({ ...described, func: async (args) => body(args) }),
    ...filled,
  },
  'LangChain, DynamicTool': {
    ...langchain,
    build: (body) => new DynamicTool({ name: 'work', description: '', func: async (input) => body(input) }),
    ...text,
  },
  'LangChain, a class': { ...langchain, build: (body) => new Structured(body), ...filled },
  'LangChain, a class of text': { ...langchain, build: (body) => new Text(body), ...text },
  'LangChain, a class with its own invoke': { ...langchain, build: (body) => new Outright(body), ...filled },
  'LangChain, a runnable': {
    ...langchain,
    build: (body) => RunnableLambda.from(async (args: unknown) => body(args)).asTool(described as never),
    call: (tool) => tool.invoke({ type: 'tool_call', name: 'work', args: { amount: 1 }, id: undefined }),
    ...filled,
  },
  'OpenAI, runTools': {
    build: (body) => ({
      type: 'function',
      function: { name: 'work', parameters: json, parse: JSON.parse, function: async (args: unknown) => body(args) },
    }),
    wrap: (tool, haldir) => governedOpenAI(tool, rule, { haldir }),
    call: (tool) => tool.function.function({ amount: 1 }, {}),
    ...plain,
  },
  'OpenAI, a function that takes text': {
    build: (body) => ({
      type: 'function',
      function: { name: 'work', parameters: json, function: async (args: string) => body(JSON.parse(args)) },
    }),
    wrap: (tool, haldir) => governedOpenAI(tool, rule, { haldir }),
    call: (tool) => tool.function.function('{"amount":1}', {}),
    ...plain,
  },
  'OpenAI, zodFunction': {
    build: (body) => zodFunction({ name: 'work', parameters: schema, function: async (args) => body(args) }),
    wrap: (tool, haldir) => governedOpenAI(tool, rule, { haldir }),
    call: (tool) => tool.$callback(tool.$parseRaw('{"amount":1}')),
    ...filled,
  },
  'OpenAI, zodResponsesFunction': {
    build: (body) => zodResponsesFunction({ name: 'work', parameters: schema, function: async (args) => body(args) }),
    wrap: (tool, haldir) => governedOpenAI(tool, rule, { haldir }),
    call: (tool) =>
      runToolCalls([{ type: 'function_call', call_id: 'c', name: 'work', arguments: '{"amount":1}' }] as never, [tool]),
    ...filled,
  },
  'Agents SDK, tool()': {
    ...agents,
    build: (body) =>
      agentsTool({ name: 'work', description: '', parameters: schema, execute: async (args) => body(args) }),
    ...filled,
  },
  'Agents SDK, JSON Schema': {
    ...agents,
    build: (body) =>
      agentsTool({
        name: 'work',
        description: '',
        strict: false,
        parameters: json as never,
        execute: async (args) => body(args),
      }),
    ...plain,
  },
  'Agents SDK, by hand': {
    ...agents,
    build: (body) => ({
      type: 'function',
      name: 'work',
      description: '',
      parameters: json,
      strict: false,
      needsApproval: async () => false,
      isEnabled: async () => true,
      invoke: async (_: unknown, args: string) => body(JSON.parse(args)),
    }),
    ...plain,
  },
  'Agents SDK, an agent': {
    wrap: (tool, haldir) => governedAgents(tool, rule, { haldir }),
    build: (body) => {
      const inner = agentsTool({ name: 'inner', description: '', parameters: z.object({}), execute: async () => '' })
      const model = new ScriptedModel([[assistantMessage('did')]])
      const agent = new Agent({
        name: 'nested',
        model,
        tools: [inner],
        instructions: () => body({ input: 'x' }),
      })
      return agent.asTool({ toolName: 'work', toolDescription: '' })
    },
    call: async (tool) => {
      const said: string = await tool.invoke(new RunContext(), '{"input":"x"}', { toolCall: { callId: 'call' } })
      throw new Error(said)
    },
    got: { input: 'x' },
    answer: 'did',
  },
  'Anthropic, betaZodTool': {
    ...anthropic,
    build: (body) =>
      betaZodTool({ name: 'work', description: '', inputSchema: schema, run: async (args) => body(args) }),
    ...filled,
  },
  'Anthropic, betaTool': {
    ...anthropic,
    build: (body) =>
      betaTool({ name: 'work', description: '', inputSchema: json as never, run: async (args) => body(args) }),
    ...plain,
  },
  'Anthropic, a toolset': {
    ...anthropic,
    build: (body) => new Computer(body),
    call: (tool) => tool.run({}, { type: 'tool_use', id: 'c', name: 'left_click', input: { at: [1, 2] } }),
    got: { name: 'left_click', input: { at: [1, 2] } },
    answer: 'did',
  },
}

async function scene(kind: Kind) {
  const shared = fleet('memory')
  const options = { policy, approvals: { mode: 'suspend' } } as const
  const [one, two] = [shared.house(options), shared.house(options)]
  const session = await one.haldir.createSession({ agent: 'bot', scopes: [], ttl: '2d' })
  const got: unknown[] = []
  const whose: (Session | undefined)[] = []
  const body: Body = (args) => {
    got.push(args)
    whose.push(currentCall().session)
    expect(currentCall().signal.aborted).toBe(false)
    return 'did'
  }
  const tool = kind.wrap(kind.build(body), one.haldir)
  const error: any = await session.run(async () => kind.call(tool)).catch((caught: unknown) => caught)
  const [asked] = await two.haldir.approvals.list()
  // The process ends here: the other one has a tool of its own.
  const there = kind.wrap(kind.build(body), two.haldir)
  return { ...two, session, got, whose, error, id: asked?.id as string, asked, there, body }
}

describe.each(Object.entries(kinds))('%s', (_, kind) => {
  it('is resumed in another process, once', async () => {
    proves('invariant-2', 'invariant-8')
    const { haldir, session, got, whose, error, id, asked, entries } = await scene(kind)
    expect(String(error?.content ?? error)).toContain('Suspended (approval-pending): ')
    expect([asked?.args, got]).toEqual([kind.got, []])
    await expect(haldir.approvals.resume(id)).rejects.toSatisfy(Suspended.isInstance)
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    expect(await haldir.approvals.resume(id)).toEqual(kind.answer)
    expect([got, whose.map((one) => one?.id)]).toEqual([[kind.got], [session.id]])
    await expect(haldir.approvals.resume(id)).rejects.toMatchObject({ code: 'duplicate-call' })
    expect([got.length, entries('outcome').map(({ data }) => data?.ended)]).toEqual([1, ['ok']])
  })

  it('fails with its own error', async () => {
    const failing = {
      ...kind,
      build: (body: Body) =>
        kind.build((args) => {
          body(args)
          throw new Error('no luck')
        }),
    }
    const { haldir, id, entries } = await scene(failing)
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await expect(haldir.approvals.resume(id)).rejects.toThrow('no luck')
    expect(entries('outcome').map(({ data }) => data?.ended)).toEqual(['failed'])
  })
})

describe('what is resumed without its framework', () => {
  it.each([
    ['gets what was judged, though its schema makes something else of it', 9, 'resolves'],
    ['must be what its schema can read once more', 3, 'rejects'],
  ] as const)('of the Agents SDK %s', async (_, most, ends) => {
    const note = z
      .string()
      .max(most)
      .overwrite((said) => `${said}!`)
    const kind: Kind = {
      ...agents,
      build: (body) =>
        agentsTool({
          name: 'work',
          description: '',
          parameters: z.object({ note }),
          execute: async (args) => body(args),
        }),
      call: async (tool) => {
        const said: string = await tool.invoke(new RunContext(), '{"note":"abc"}', { toolCall: { callId: 'call' } })
        throw new Error(said)
      },
      ...plain,
    }
    const { haldir, id, asked, got } = await scene(kind)
    expect(asked?.args).toEqual({ note: 'abc!' })
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    const resumed = haldir.approvals.resume(id)
    if (ends === 'resolves') await expect(resumed).resolves.toBe('did')
    else await expect(resumed).rejects.toMatchObject({ code: 'invalid-arguments' })
    expect(got).toEqual(ends === 'resolves' ? [{ note: 'abc!' }] : [])
  })

  it('answers items, of a function that does', async () => {
    const kind: Kind = {
      build: (body) =>
        async function* work(args: unknown) {
          yield body(args)
          yield 'more'
        },
      wrap: (tool, haldir) => governedFunction(tool, rule, { haldir }),
      call: (tool) => tool({ amount: 1 }).next(),
      ...plain,
    }
    const { haldir, id, entries } = await scene(kind)
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    const items: unknown[] = []
    for await (const item of (await haldir.approvals.resume(id)) as AsyncIterable<unknown>) items.push(item)
    expect([items, entries('outcome').length]).toEqual([['did', 'more'], 1])
  })
})

it('a tool of the Agents SDK that is an instance keeps its own wish for approval', async () => {
  class Own {
    readonly #wish = true
    readonly type = 'function'
    readonly name = 'work'
    readonly description = ''
    readonly parameters = json
    readonly strict = false
    async needsApproval(): Promise<boolean> {
      return this.#wish
    }
    async isEnabled(): Promise<boolean> {
      return true
    }
    async invoke(): Promise<string> {
      return 'did'
    }
  }
  const open: Policy = { default: 'allow', allowByDefault: true, rules: [] }
  for (const approvals of [{ mode: 'suspend' }, {}] as const) {
    const { haldir } = fleet('memory').house({ policy: open, approvals })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const wrapped = governedAgents(new Own() as never, rule, { haldir, session }) as any
    const call = {
      type: 'function_call',
      id: 'i',
      callId: 'c',
      name: 'work',
      arguments: '{"amount":1}',
      status: 'completed',
    }
    const agent = new Agent({ name: 'a', model: new ScriptedModel([[call as never]]), tools: [wrapped] })
    const { interruptions } = await new Runner({ tracingDisabled: true }).run(agent, 'go')
    expect(interruptions).toHaveLength(1)
  }
})
