/** How the adapter contract speaks to the AI SDK, in each version that the package takes. */
import { inspect } from 'node:util'
import { approvalResponses, governed, permitted } from '@haldir/ai-sdk'
import type { AdapterDriver, NativePause } from '@haldir/testing'
import type { ModelMessage, Tool, ToolSet } from 'ai'
import { expect } from 'vitest'
import { z } from 'zod'
import { claimAll, messagesOf } from './ai-sdk-messages.ts'
import type { Version } from './ai-sdk-versions.ts'

export type AnyTool = Tool<any, any, any> & { execute?: (args: unknown, options: object) => unknown }

const anyObject = z.object({}).loose()

class Keeper {
  readonly #value = 'private'
  readonly #label = 'from the prototype'
  readonly description = 'keeps something'
  readonly inputSchema = anyObject

  get label(): string {
    return this.#label
  }

  async execute(): Promise<{ kept: string }> {
    return { kept: this.#value }
  }
}

export function driverFor(version: Version): AdapterDriver<AnyTool> {
  const { name, major, sdk, model: scripted, carrying, context: under } = version
  const loopOptions = (tools: ToolSet, carried: unknown) => {
    const context = carried === undefined ? {} : carrying(tools, { haldirSession: carried })
    return { tools, stopWhen: sdk.stepCountIs(3), ...context }
  }
  const executeOptions = (carried: unknown, abortSignal: AbortSignal | undefined) => {
    const context = carried === undefined ? undefined : { haldirSession: carried }
    return { toolCallId: 'direct', messages: [], [under]: context, ...(abortSignal ? { abortSignal } : {}) }
  }
  return {
    framework: name,
    package: '@haldir/ai-sdk',
    replaces: ['execute', 'needsApproval'],
    build: ({ description, takesAmount, run, items }) =>
      sdk.tool({
        description,
        inputSchema: takesAmount ? z.object({ amount: z.number() }) : anyObject,
        execute: items
          ? async function* (args: unknown, options: { abortSignal?: AbortSignal }) {
              yield* items(args, () => options.abortSignal)
            }
          : (args: unknown, options: { abortSignal?: AbortSignal }) => run?.(args, () => options.abortSignal),
      }) as AnyTool,
    buildInstance: () => new Keeper() as unknown as AnyTool,
    buildElsewhere: () =>
      sdk.tool({ description: 'runs in the browser', inputSchema: anyObject, outputSchema: z.string() }) as AnyTool,
    wrap: (bare, rule, where) => governed(bare, rule, where),
    permitted: (tools, session) => permitted(tools, session),
    skip: {
      'such a call is on record, without what was wrong in it':
        'the SDK answers such a call itself and never hands it to the tool',
    },

    // AI SDK 5 does not pause.
    ...(major === 5 ? {} : { pauses: pausesOf(version) }),

    async loop(tools, calls, { carried, signal, retrying } = {}) {
      const model = scripted(calls)
      const result = await sdk.generateText({
        model,
        prompt: 'go on',
        ...loopOptions(tools, carried),
        ...(signal ? { abortSignal: signal } : {}),
        maxRetries: retrying ? 2 : 0,
      })
      const [first, second] = model.doGenerateCalls
      const answered = second?.prompt.at(-1)
      const parts = answered?.role === 'tool' ? answered.content.filter((part) => part.type === 'tool-result') : []
      const errors = result.steps[0]?.content.filter((part) => part.type === 'tool-error') ?? []
      const results = result.steps[0]?.content.filter((part) => part.type === 'tool-result') ?? []
      return {
        answers: calls.map(({ id }, index) => {
          const wanted = id ?? `turn-1-call-${index}`
          const output = parts.find(({ toolCallId }) => toolCallId === wanted)?.output
          const value = results.find(({ toolCallId }) => toolCallId === wanted)?.output
          const error = errors.find(({ toolCallId }) => toolCallId === wanted)?.error
          return { read: textOf(output), ...(error === undefined ? { value } : { error }) }
        }),
        told: first?.tools,
        turns: model.doGenerateCalls.length,
        text: result.text,
        everything: inspect([model.doGenerateCalls, result.steps, result.response.messages], WHOLE),
      }
    },

    async call(bare, args, { carried, signal } = {}) {
      try {
        const value = await bare.execute?.(args, executeOptions(carried, signal))
        return { read: JSON.stringify(value) ?? '', value }
      } catch (error) {
        return { read: String(error), error }
      }
    },

    async *stream(tools, call, { carried, signal } = {}) {
      const { fullStream } = sdk.streamText({
        model: scripted([call]),
        prompt: 'go on',
        ...loopOptions(tools, carried),
        ...(signal ? { abortSignal: signal } : {}),
      })
      for await (const part of fullStream) {
        if (part.type === 'tool-error') throw part.error
        if (part.type === 'tool-result' && part.preliminary) yield part.output
      }
    },

    open(bare, args, { carried, signal } = {}) {
      const items = bare.execute?.(args, executeOptions(carried, signal)) as AsyncIterable<unknown>
      return items[Symbol.asyncIterator]()
    },
  }
}

/** The messages as JSON, and the message that answers them. */
function pausesOf({ sdk, model: scripted }: Version): NativePause<AnyTool> {
  const stopWhen = sdk.stepCountIs(3)
  return {
    async pause(tools, calls) {
      const prompt = { role: 'user', content: 'go on' } as const
      const result = await sdk.generateText({ model: scripted(calls), tools, messages: [prompt], stopWhen })
      expect(result.content.map(({ type }) => type)).toContain('tool-approval-request')
      return JSON.stringify([prompt, ...messagesOf(result)])
    },

    async resume(kept, tools, calls, { forged } = {}) {
      const messages: ModelMessage[] = JSON.parse(kept)
      const answer = forged ? claimAll(messages) : await approvalResponses(messages, { tools })
      const model = scripted()
      const result = answer && (await sdk.generateText({ model, tools, messages: [...messages, answer], stopWhen }))
      const read = model.doGenerateCalls[0]?.prompt.flatMap(({ role, content }) => (role === 'tool' ? content : []))
      return {
        answers: calls.map(({ id }, index) => {
          const wanted = id ?? `turn-1-call-${index}`
          const part = read?.find((part) => part.type === 'tool-result' && part.toolCallId === wanted)
          return { read: part?.type === 'tool-result' ? textOf(part.output) : '' }
        }),
        told: model.doGenerateCalls[0]?.tools,
        turns: model.doGenerateCalls.length,
        text: result?.text ?? '',
        everything: inspect([model.doGenerateCalls, result?.steps], WHOLE),
      }
    },
  }
}

const WHOLE = { depth: Number.POSITIVE_INFINITY, maxArrayLength: null, maxStringLength: null } as const

/** What a provider would send: the text of a result, or its JSON. */
function textOf(output: { type: string; value?: unknown; reason?: string } | undefined): string {
  if (output?.type === 'execution-denied') return output.reason ?? ''
  return typeof output?.value === 'string' ? output.value : JSON.stringify(output?.value)
}
