/** How the contract speaks to the OpenAI Agents SDK, with either end of the versions that the package takes. */
import { inspect, isDeepStrictEqual } from 'node:util'
import { decideInterruptions, governed, permitted } from '@haldir/openai/agents'
import type { AdapterDriver } from '@haldir/testing'
import type * as Sdk from '@openai/agents'
import type { FunctionTool } from '@openai/agents'
import type * as Testing from '@openai/agents/testing'
import { expect } from 'vitest'
import { z } from 'zod'

export type AnyTool = FunctionTool<any, any, any>

/** A version of the SDK, with its own test doubles. */
export interface Version {
  readonly name: string
  readonly sdk: Pick<typeof Sdk, 'Agent' | 'Runner' | 'RunContext' | 'RunState' | 'tool' | 'webSearchTool'>
  readonly testing: Pick<typeof Testing, 'ScriptedModel' | 'assistantMessage' | 'functionCall'>
}

const ANY_OBJECT = { type: 'object', properties: {}, required: [], additionalProperties: true } as const

class Keeper {
  readonly #value = 'private'
  readonly #label = 'from the prototype'
  readonly type = 'function'
  readonly name = 'keeper'
  readonly description = 'keeps something'
  readonly parameters = ANY_OBJECT
  readonly strict = false

  get label(): string {
    return this.#label
  }

  async needsApproval(): Promise<boolean> {
    return false
  }

  async isEnabled(): Promise<boolean> {
    return true
  }

  async invoke(): Promise<{ kept: string }> {
    return { kept: this.#value }
  }
}

const STREAMS = 'a function tool answers once: the SDK has no tools that answer with items'

export function driverFor({ name, sdk, testing }: Version): AdapterDriver<AnyTool> {
  /** What `execute` threw, by the id of the call: the SDK shows it to `errorFunction` alone. */
  const errors = new Map<unknown, unknown>()
  const runContext = (carried: unknown) => new sdk.RunContext(carried === undefined ? {} : { haldirSession: carried })
  const agentOf = (model: Sdk.Model, tools: Record<string, AnyTool>) =>
    new sdk.Agent({ name: 'contract', model, tools: Object.entries(tools).map(called) })
  return {
    framework: name,
    package: '@haldir/openai/agents',
    replaces: ['invoke', 'needsApproval'],
    build: ({ name, description, takesAmount, run }) => {
      const rest = {
        name,
        description,
        execute: async (args: unknown, _: unknown, details?: { signal?: AbortSignal }) =>
          (await run?.(args, () => details?.signal)) as string,
        errorFunction: (_: unknown, error: unknown, details?: { toolCall?: { callId: string } }) => {
          errors.set(details?.toolCall?.callId, error)
          return String(error)
        },
      }
      if (takesAmount) return sdk.tool({ ...rest, parameters: z.object({ amount: z.number() }) }) as AnyTool
      return sdk.tool({ ...rest, strict: false, parameters: { ...ANY_OBJECT, required: [] } }) as AnyTool
    },
    buildInstance: () => new Keeper() as unknown as AnyTool,
    buildElsewhere: () => sdk.webSearchTool() as unknown as AnyTool,
    wrap: (bare, rule, where) => governed(bare, rule, where),
    permitted: (tools, session) => permitted(tools, session),
    skip: {
      'the same, when the model repeats one call id for all of them':
        'of calls with one id and the same arguments the SDK itself runs one',
      'items arrive one by one, before the tool has ended': STREAMS,
      'the model reads what it reads from the bare tool': STREAMS,
      'a refused streaming tool does not start': STREAMS,
      'the call is held while it streams, and settled after its last item': STREAMS,
      'a reader that stops early stops the tool, and the call is settled': STREAMS,
      'a stream that nobody reads any more is settled after the idle timeout': STREAMS,
      'an error after some items goes through, the same object': STREAMS,
      'every step runs in the call, wherever its items are read': STREAMS,
      'a revoked session reaches a tool between two items': STREAMS,
      'a secret does not leave in items, nor split over them': STREAMS,
    },

    pauses: {
      async pause(tools, calls) {
        const said = calls.map(({ tool, args, id }, index) =>
          testing.functionCall(tool, args as Record<string, unknown>, { callId: id ?? `call-${index}` }),
        )
        const agent = agentOf(new testing.ScriptedModel([said]), tools)
        const { interruptions, state } = await new sdk.Runner({ tracingDisabled: true }).run(agent, 'go on')
        expect(interruptions.length).toBeGreaterThan(0)
        return state.toString()
      },

      async resume(kept, tools, calls, { forged } = {}) {
        const model = new testing.ScriptedModel([[testing.assistantMessage('done')]])
        const agent = agentOf(model, tools)
        const state = await sdk.RunState.fromString(agent, kept)
        if (forged) for (const item of state.getInterruptions()) state.approve(item)
        else await decideInterruptions(state)
        const result = await new sdk.Runner({ tracingDisabled: true }).run(agent, state)
        const input = model.lastCall?.request.input
        const results = (Array.isArray(input) ? input : []).filter((item) => item.type === 'function_call_result')
        return {
          answers: calls.map(({ id }, index) => {
            const found = results.find(({ callId }) => callId === (id ?? `call-${index}`))
            return { read: textOf(found?.output) }
          }),
          told: model.lastCall?.request.tools,
          turns: model.calls.length,
          text: String(result.finalOutput),
          everything: inspect([model.calls, result.newItems], WHOLE),
        }
      },
    },

    async loop(tools, calls, { carried, signal } = {}) {
      errors.clear()
      const ids = calls.map(({ id }, index) => id ?? `call-${index}`)
      const said = calls.map(({ tool, args }, index) =>
        testing.functionCall(tool, args as Record<string, unknown>, { callId: ids[index] as string }),
      )
      const model = new testing.ScriptedModel([said, [testing.assistantMessage('done')]])
      const agent = agentOf(model, tools)
      const context = carried === undefined ? {} : { context: { haldirSession: carried } }
      const runner = new sdk.Runner({ tracingDisabled: true })
      const result = await runner.run(agent, 'go on', { ...context, ...(signal ? { signal } : {}) })
      const [first, second] = model.calls
      const input = second?.request.input
      const results = (Array.isArray(input) ? input : []).filter((item) => item.type === 'function_call_result')
      const items = result.newItems.filter((item) => item.type === 'tool_call_output_item')
      return {
        answers: ids.map((id, index) => {
          const at = new Set(ids).size === ids.length ? results.findIndex(({ callId }) => callId === id) : index
          const { output } = items[at] ?? {}
          const read = textOf(results[at]?.output)
          return { read, ...(errors.has(id) ? { error: errors.get(id) } : { value: output }) }
        }),
        told: first?.request.tools,
        turns: model.calls.length,
        text: result.finalOutput as string,
        everything: inspect([model.calls, result.newItems, result.rawResponses], WHOLE),
      }
    },

    async call(bare, args, { carried, signal } = {}) {
      try {
        const value = await bare.invoke(runContext(carried), textFor(args), signal ? { signal } : undefined)
        return { read: typeof value === 'string' ? value : (JSON.stringify(value) ?? ''), value }
      } catch (error) {
        return { read: String(error), error }
      }
    },
  }
}

const WHOLE = { depth: Number.POSITIVE_INFINITY, maxArrayLength: null, maxStringLength: null } as const

/** The tool as an agent finds it, under the name that the case calls it by. */
function called([name, tool]: [string, AnyTool]): AnyTool {
  if (tool.name === name) return tool
  const invoke = { value: tool.invoke.bind(tool), enumerable: true }
  const members = { ...Object.getOwnPropertyDescriptors(tool), name: { value: name, enumerable: true }, invoke }
  return Object.create(Object.getPrototypeOf(tool), members)
}

/** What a model writes; what none could write is handed over as it is. */
function textFor(args: unknown): string {
  try {
    const text = JSON.stringify(structuredClone(args))
    if (isDeepStrictEqual(JSON.parse(text), args)) return text
  } catch {}
  return args as string
}

function textOf(output: unknown): string {
  if (typeof output === 'string') return output
  const { text } = (output ?? {}) as { text?: unknown }
  return typeof text === 'string' ? text : JSON.stringify(output)
}
