/** The adapter contract, for tools of Mastra: they are governed by the adapter of the AI SDK. */
import { inspect } from 'node:util'
import { governed, permitted } from '@haldir/ai-sdk'
import { type AdapterDriver, adapterContract, type NativePause } from '@haldir/testing'
import { Mastra } from '@mastra/core/mastra'
import { InMemoryStore } from '@mastra/core/storage'
import { createTool, Tool } from '@mastra/core/tools'
import { expect } from 'vitest'
import { z } from 'zod'
import { carrying, mastraAgent, resultsIn } from './mastra.ts'

type AnyTool = { id: string; execute?: ((args: unknown, context?: object) => Promise<unknown>) | undefined }
type Got = { value?: unknown; error?: unknown }

const anyObject = z.object({}).loose()

class Keeper extends Tool {
  readonly #value = 'private'
  readonly #label = 'from the prototype'

  constructor() {
    super({
      id: 'instance',
      description: 'keeps something',
      inputSchema: anyObject,
      execute: async () => ({ kept: this.#value }),
    } as ConstructorParameters<typeof Tool>[0])
  }

  get label(): string {
    return this.#label
  }
}

const NO_ITEMS = 'a tool of Mastra answers once: there is nothing that reads items'

/** Where agents keep what they have paused with. */
const storage = new InMemoryStore()

/** The name of a run, whose state Mastra keeps. It is woken call by call; with what, decides nothing. */
const pauses: NativePause<AnyTool> = {
  async pause(tools, calls) {
    const { agent, run } = mastraAgent(tools as never, calls)
    new Mastra({ agents: { agent }, storage, logger: false })
    const { finishReason, runId } = await run()
    expect(finishReason).toBe('suspended')
    return runId as string
  },

  async resume(runId, tools, calls, { forged } = {}) {
    const { agent, model } = mastraAgent(tools as never)
    new Mastra({ agents: { agent }, storage, logger: false })
    let text = ''
    for (const [index, { tool, id }] of calls.entries()) {
      if (tool !== 'pay') continue
      const toolCallId = id ?? `turn-1-call-${index}`
      const woken = await agent.resumeStream({ approved: forged ?? true }, { runId, toolCallId })
      await woken.consumeStream()
      if ((await woken.finishReason) !== 'suspended') text = await woken.text
    }
    const said = model.doStreamCalls
    const read = resultsIn(said.at(-1)?.prompt)
    return {
      answers: calls.map(({ id }, index) => {
        const part = read.find(({ toolCallId }) => toolCallId === (id ?? `turn-1-call-${index}`))
        return { read: textOf(part?.output as { value?: unknown } | undefined) }
      }),
      told: said[0]?.tools,
      turns: said.length,
      text,
      everything: inspect(said, WHOLE),
    }
  },
}

const driver: AdapterDriver<AnyTool> = {
  framework: 'Mastra',
  package: '@haldir/ai-sdk',
  replaces: ['execute'],
  build: ({ name, description, takesAmount, run }) =>
    createTool({
      id: name,
      description,
      inputSchema: (takesAmount ? z.object({ amount: z.number() }) : anyObject) as typeof anyObject,
      execute: async (args, context) => run?.(args, () => context?.abortSignal),
    }) as unknown as AnyTool,
  buildInstance: () => new Keeper() as unknown as AnyTool,
  buildElsewhere: () =>
    createTool({ id: 'elsewhere', description: 'runs in the browser', inputSchema: anyObject }) as unknown as AnyTool,
  wrap: (bare, rule, where) => governed(bare, rule, where),
  pauses,
  permitted: (tools, session) => permitted(tools, session),
  skip: {
    'such a call is on record, without what was wrong in it':
      'the agent answers such a call itself and never hands it to the tool',
    'items arrive one by one, before the tool has ended': NO_ITEMS,
    'the model reads what it reads from the bare tool': NO_ITEMS,
    'a refused streaming tool does not start': NO_ITEMS,
    'the call is held while it streams, and settled after its last item': NO_ITEMS,
    'a reader that stops early stops the tool, and the call is settled': NO_ITEMS,
    'a stream that nobody reads any more is settled after the idle timeout': NO_ITEMS,
    'an error after some items goes through, the same object': NO_ITEMS,
    'every step runs in the call, wherever its items are read': NO_ITEMS,
    'a revoked session reaches a tool between two items': NO_ITEMS,
    'a secret does not leave in items, nor split over them': NO_ITEMS,
  },

  async loop(tools, calls, options = {}) {
    const got = new Map<string, Got[]>()
    const tapped = Object.fromEntries(Object.entries(tools).map(([name, tool]) => [name, tap(name, tool, got)]))
    const { model, run, results } = mastraAgent(tapped as never, calls)
    const output = await run(options)
    const read = results()
    return {
      answers: calls.map(({ id, tool }, index) => {
        const wanted = id ?? `turn-1-call-${index}`
        const answer = read.find(({ toolCallId }) => toolCallId === wanted)?.output as { value?: unknown } | undefined
        return { read: textOf(answer), ...got.get(tool)?.shift() }
      }),
      told: model.doGenerateCalls[0]?.tools,
      turns: model.doGenerateCalls.length,
      text: output.text,
      everything: inspect([model.doGenerateCalls, output.steps, output.response.messages], WHOLE),
    }
  },

  async call(bare, args, { carried, signal } = {}) {
    const agent = { agentId: 'agent', toolCallId: 'direct', messages: [] }
    try {
      const value = await bare.execute?.(args, { agent, requestContext: carrying(carried), abortSignal: signal })
      return { read: JSON.stringify(value) ?? '', value }
    } catch (error) {
      return { read: String(error), error }
    }
  },
}

/** What a provider would send. */
function textOf(output: { value?: unknown } | undefined): string {
  return typeof output?.value === 'string' ? output.value : (JSON.stringify(output?.value) ?? '')
}

/** The same tool, that also says what Mastra gets from it: it wraps errors. */
function tap(name: string, tool: AnyTool, got: Map<string, Got[]>): AnyTool {
  const answers: Got[] = []
  got.set(name, answers)
  const execute = async (args: unknown, context?: object) => {
    const answer: Got = {}
    answers.push(answer)
    try {
      answer.value = await tool.execute?.(args, context)
      return answer.value
    } catch (error) {
      answer.error = error
      throw error
    }
  }
  return Object.create(Object.getPrototypeOf(tool), {
    ...Object.getOwnPropertyDescriptors(tool),
    execute: { value: execute, enumerable: true },
  })
}

const WHOLE = { depth: Number.POSITIVE_INFINITY, maxArrayLength: null, maxStringLength: null } as const

adapterContract(driver)
