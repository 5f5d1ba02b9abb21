/** The versions of LangChain that the package takes, and the kinds of tools it has, as the adapter contract drives them. */
import { inspect } from 'node:util'
import { governed, permitted } from '@haldir/langchain'
import type { AdapterDriver, NativePause, ScriptedCall } from '@haldir/testing'
import type * as chatModels from '@langchain/core/language_models/chat_models'
import type * as coreMessages from '@langchain/core/messages'
import type * as coreRunnables from '@langchain/core/runnables'
import type * as coreTools from '@langchain/core/tools'
import type * as functionCalling from '@langchain/core/utils/function_calling'
import { expect } from 'vitest'
import { z } from 'zod'
import { type ScriptedModel, scriptedModel } from './langchain-model.ts'

/** A version, and a loop of it. What the driver uses of the classes is the same in all. */
export interface Version {
  readonly name: string
  readonly models: Pick<typeof chatModels, 'BaseChatModel'>
  readonly messages: Pick<typeof coreMessages, 'AIMessage'>
  readonly tools: Pick<typeof coreTools, 'StructuredTool' | 'tool'>
  readonly runnables: Pick<typeof coreRunnables, 'RunnableLambda'>
  readonly toOpenAI: typeof functionCalling.convertToOpenAITool
  /** An agent of these tools; with whatever retry there is. */
  agent(model: ScriptedModel['model'], tools: AnyTool[], retrying: boolean): Agent
  /** An agent with a checkpointer, where that can be paused from within a tool. */
  readonly pausing?: (model: ScriptedModel['model'], tools: AnyTool[]) => PausingAgent
  /** The events of a tool arrive in the stream. */
  readonly events: boolean
  /** `tool()` lets go of its function as soon as the signal aborts. */
  readonly races: boolean
}

export interface Agent {
  invoke(input: object, config: object): Promise<{ messages: coreMessages.BaseMessage[] }>
  stream(input: object, config: object): Promise<AsyncIterable<any>>
}

/** `at`: where a thread is now, so that it can be begun again from there. */
export interface PausingAgent extends Agent {
  at(config: object): Promise<object>
  command(resume: unknown): object
}

export type AnyTool = coreTools.StructuredTool & { func?: unknown }

export type Kind = 'tool' | 'class' | 'runnable'

const anyObject = z.object({}).loose()
const amountOnly = z.object({ amount: z.number() })
const WHOLE = { depth: Number.POSITIVE_INFINITY, maxArrayLength: null, maxStringLength: null } as const

export function driverFor(version: Version, kind: Kind): AdapterDriver<any> {
  const { StructuredTool, tool } = version.tools
  const classes = { ...version.models, ...version.messages } as unknown as Parameters<typeof scriptedModel>[0]

  class Keeper extends StructuredTool {
    readonly #value = 'private'
    readonly #label = 'from the prototype'
    name = 'instance'
    description = 'keeps something'
    schema = anyObject

    get label(): string {
      return this.#label
    }

    protected async _call(): Promise<unknown> {
      return { kept: this.#value }
    }
  }

  function build({ name, description, takesAmount, run, items }: Parameters<AdapterDriver['build']>[0]): unknown {
    const schema = takesAmount ? amountOnly : anyObject
    const work = items
      ? async function* (args: unknown, signal: () => AbortSignal | undefined) {
          let last: unknown
          for await (const item of items(args, signal)) {
            last = item
            yield item
          }
          return last
        }
      : async (args: unknown, signal: () => AbortSignal | undefined) => run?.(args, signal)
    if (kind === 'tool') {
      // JSON Schema hands over what it was given itself.
      const plain = takesAmount
        ? { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] }
        : { type: 'object', properties: {} }
      // LangChain notes in such a schema where its parts are when it first looks at it.
      tool(async () => '', { name, schema: plain as never })
        .invoke({} as never)
        .catch(() => {})
      return tool(((args: unknown, config: { signal?: AbortSignal }) => work(args, () => config.signal)) as never, {
        name,
        description,
        schema: plain as never,
      })
    }
    if (kind === 'runnable') {
      return version.runnables.RunnableLambda.from((args: unknown, config) => work(args, () => config.signal)).asTool({
        name,
        description,
        schema: schema as never,
      })
    }
    class Built extends StructuredTool {
      name = name
      description = description
      schema = schema
      protected _call(args: unknown, _: unknown, config?: { signal?: AbortSignal }): any {
        return work(args, () => config?.signal)
      }
    }
    return new Built()
  }

  const configOf = (carried: unknown, signal: AbortSignal | undefined) => ({
    ...(carried === undefined ? {} : { configurable: { haldirSession: carried } }),
    ...(signal ? { signal } : {}),
  })
  const input = { messages: [{ role: 'user', content: 'go on' }] }
  const races =
    kind === 'runnable' || (kind === 'tool' && version.races)
      ? 'LangChain answers the abort itself and drops what the function answers'
      : ''
  const reads = 'LangChain reads a generator to its end by itself: nobody else holds its reader'
  const noEvents = 'this version, or this kind of tool, has no events of tools'
  const streams = version.events && kind !== 'runnable'

  const answersOf = (messages: readonly coreMessages.BaseMessage[], calls: readonly ScriptedCall[]) =>
    calls.map(({ id }, index) => {
      const wanted = id ?? `turn-1-call-${index}`
      const answered = messages.filter((message) => message.getType() === 'tool') as coreMessages.ToolMessage[]
      return answered.find(({ tool_call_id }) => tool_call_id === wanted)
    })
  let threads = 0
  const { pausing } = version
  const pauses: NativePause<AnyTool> | undefined = pausing && {
    async pause(tools, calls) {
      const config = { configurable: { thread_id: `thread-${threads++}` } }
      const agent = pausing(scriptedModel(classes, calls).model, Object.values(tools))
      expect(await agent.invoke(input, config)).toHaveProperty('__interrupt__')
      return JSON.stringify(await agent.at(config))
    },

    async resume(kept, tools, calls, { forged } = {}) {
      const { model, asked } = scriptedModel(classes)
      const agent = pausing(model, Object.values(tools))
      const woken = agent.command(forged ? { type: 'approve', approved: true } : 'decided')
      const { messages } = await agent.invoke(woken, JSON.parse(kept))
      return {
        answers: answersOf(messages, calls).map((message) => ({ read: String(message?.content) })),
        told: undefined,
        turns: asked.length,
        text: String(messages.at(-1)?.content),
        everything: inspect([asked, messages], WHOLE),
      }
    },
  }

  return {
    framework: `${version.name}, ${kind}`,
    package: '@haldir/langchain',
    replaces: kind === 'runnable' ? ['bound'] : ['_call', 'call', 'func'],
    build,
    buildInstance: () => new Keeper(),
    buildElsewhere: () => ({ type: 'web_search_20250305', name: 'elsewhere' }),
    wrap: (bare, rule, where) => governed(bare, rule, where),
    permitted: (tools, session) => permitted(tools, session),
    skip: {
      'what runs is what was judged, whatever the caller and the tool do to the arguments':
        'LangChain parses first, so the call is judged some microtasks after the caller let go of its arguments',
      ...(races && {
        "the caller's signal reaches the running tool": races,
        'revoking the session reaches the running tool': races,
      }),
      ...(kind !== 'tool' && {
        'hostile arguments do not reach the tool':
          'zod makes plain copies of arguments before the gate, and those are judged',
      }),
      ...Object.fromEntries(OPENED.map((title) => [title, reads])),
      ...(!version.events &&
        kind !== 'runnable' && {
          'the model reads what it reads from the bare tool':
            'this version reads no generators: the model gets `{}` of the bare tool, and the result of the governed one',
        }),
      ...(!streams && Object.fromEntries(STREAMED.map((title) => [title, noEvents]))),
    },

    ...(pauses && { pauses }),

    async loop(tools, calls, { carried, signal, retrying = false } = {}) {
      const { model, asked, told } = scriptedModel(classes, calls)
      const agent = version.agent(model, Object.values(tools), retrying)
      // A runnable tool has no run of a tool, but runs of its own, which show what happens inside of it.
      const inside = new Set<unknown>()
      const errors: unknown[] = []
      const heard: unknown[] = []
      const callbacks = [
        {
          handleToolStart: (...said: unknown[]) => void heard.push(said),
          handleToolEnd: (...said: unknown[]) => void heard.push(said),
          handleToolError: (error: unknown) => void errors.push(error),
          handleChainError: (error: unknown) => void inside.add(error),
        },
      ]
      const { messages } = await agent.invoke(input, { ...configOf(carried, signal), callbacks })
      const left = kind === 'runnable' ? [...inside] : [...errors]
      return {
        answers: answersOf(asked[1] ?? [], calls).map((message) => {
          const read = String(message?.content)
          const failed = message?.status === 'error' && !read.startsWith('Denied')
          return { read, ...(failed ? { error: left.shift() } : { value: read }) }
        }),
        told: told.map((one) => version.toOpenAI(one as never)),
        turns: asked.length,
        text: String(messages.at(-1)?.content),
        everything: inspect([asked, messages, heard, errors], WHOLE),
      }
    },

    async call(bare, args, { carried, signal } = {}) {
      try {
        const value: unknown = await bare.invoke(args, configOf(carried, signal))
        return { read: JSON.stringify(value) ?? '', value }
      } catch (error) {
        return { read: String(error), error }
      }
    },

    ...(streams && {
      async *stream(tools: Record<string, AnyTool>, call: { tool: string; args: object }) {
        const agent = version.agent(scriptedModel(classes, [call]).model, Object.values(tools), false)
        for await (const event of await agent.stream(input, { streamMode: 'tools' })) {
          if (event.event === 'on_tool_error') throw event.error
          if (event.event === 'on_tool_event') yield event.data
        }
      },
    }),
  }
}

const OPENED = [
  'the call is held while it streams, and settled after its last item',
  'a reader that stops early stops the tool, and the call is settled',
  'a stream that nobody reads any more is settled after the idle timeout',
  'an error after some items goes through, the same object',
  'every step runs in the call, wherever its items are read',
  'a revoked session reaches a tool between two items',
]
const STREAMED = [
  'items arrive one by one, before the tool has ended',
  'a secret does not leave in items, nor split over them',
]
