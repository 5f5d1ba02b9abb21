/** The adapter contract, at both ends of the range of Anthropic SDKs that the package takes, in both kinds of loop. */
import { inspect } from 'node:util'
import { governed, permitted } from '@haldir/anthropic'
import { type AdapterDriver, adapterContract } from '@haldir/testing'
import { z } from 'zod'
import { scriptedProvider } from './anthropic-model.ts'
import { type Version, versions } from './anthropic-versions.ts'

type AnyTool = { name: string; run(args: unknown, context?: object): unknown; parse(content: unknown): unknown }
type RunContext = { signal?: AbortSignal } | undefined

class Keeper {
  readonly #value = 'private'
  readonly #label = 'from the prototype'
  readonly name = 'instance'
  readonly description = 'keeps something'
  readonly input_schema = { type: 'object' as const }

  get label(): string {
    return this.#label
  }

  parse(content: unknown): unknown {
    return this.#label && content
  }

  async run(): Promise<{ kept: string }> {
    return { kept: this.#value }
  }
}

const NO_ITEMS = 'a tool of the SDK answers once: there is nothing that reads items'
const NO_CONTEXT = 'the runner hands nothing of the application to its tools'
const ONE_ID = 'a runner that starts tools while the reply streams runs one call of those that share an id'
const NO_ID = 'before 0.84 the runner does not tell its tools which call it is'
const NO_SIGNAL = 'before 0.84 the runner tells its tools nothing of its signal'

function driverFor(version: Version, streaming: boolean): AdapterDriver<AnyTool> {
  const { betaTool, betaZodTool, tellsTools } = version
  const eager = streaming && tellsTools
  return {
    framework: `${version.name}${streaming ? ', streaming' : ''}${eager ? ' and starting tools meanwhile' : ''}`,
    package: '@haldir/anthropic',
    replaces: ['run', 'parse'],
    build({ name, description, takesAmount, run }) {
      const running = (args: unknown, context?: RunContext) => run?.(args, () => context?.signal) as string
      // One kind of tool checks its arguments itself, the other leaves that to the schema.
      return (takesAmount && streaming
        ? betaZodTool({ name, description, inputSchema: z.object({ amount: z.number() }), run: running as never })
        : betaTool({
            name,
            description,
            inputSchema: takesAmount
              ? { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] }
              : { type: 'object' },
            run: running as never,
          })) as unknown as AnyTool
    },
    buildInstance: () => new Keeper(),
    buildElsewhere: () => ({ type: 'web_search_20250305', name: 'elsewhere' }) as unknown as AnyTool,
    wrap: (bare, rule, where) => governed(bare, rule, where),
    permitted: (tools, session) => permitted(tools, session),
    skip: {
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
      "the session may come in the framework's context": NO_CONTEXT,
      'text in the context is no session, not even an id or a token': NO_CONTEXT,
      'sessions that disagree are refused': NO_CONTEXT,
      ...(eager ? { 'the same, when the model repeats one call id for all of them': ONE_ID } : {}),
      ...(tellsTools
        ? {}
        : {
            "the framework's own id of a call stands in its entries": NO_ID,
            "the caller's signal reaches the running tool": NO_SIGNAL,
            'a caller who gives up while it waits has it called off': NO_SIGNAL,
            'a call whose caller gave up before it ran does not run': NO_SIGNAL,
          }),
    },

    async loop(tools, calls, { signal, retrying } = {}) {
      const provider = scriptedProvider(calls)
      const client = new version.Anthropic({
        apiKey: 'none',
        fetch: provider.fetch as never,
        maxRetries: retrying ? 2 : 0,
      })
      const got = new Map<string, { value?: unknown; error?: unknown }[]>()
      const runner = client.beta.messages.toolRunner(
        {
          model: 'scripted',
          max_tokens: 100,
          messages: [{ role: 'user', content: 'go on' }],
          tools: Object.values(tools).map((tool) => tapped(tool, got)) as never,
          ...(streaming ? { stream: true } : {}),
          ...(eager ? { runToolsEagerly: true } : {}),
        },
        signal ? { signal } : {},
      )
      const last = await runner
      const results = provider.results()
      return {
        answers: calls.map(({ id, tool }, index) => {
          const wanted = id ?? `turn-1-call-${index}`
          const content = results.find(({ tool_use_id }) => tool_use_id === wanted)?.content
          const read = typeof content === 'string' ? content : (JSON.stringify(content) ?? '')
          return { read, ...got.get(tool)?.shift() }
        }),
        told: provider.asked[0]?.tools,
        turns: provider.asked.length,
        text: last.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join(''),
        everything: inspect([provider.asked, last, runner.params.messages], WHOLE),
      }
    },

    async call(bare, args, { signal } = {}) {
      const toolUse = { type: 'tool_use', id: 'direct', name: bare.name, input: args }
      try {
        const value = await bare.run(
          bare.parse(args),
          ...(tellsTools ? [{ toolUse, toolUseBlock: toolUse, signal }] : []),
        )
        return { read: JSON.stringify(value) ?? '', value }
      } catch (error) {
        const { name, message } = error as Error
        return { read: name === 'ToolError' ? message : `Error: ${message}`, error }
      }
    },
  }
}

/** The same tool, that also says what the runner gets from it: it shows no errors. */
function tapped(tool: AnyTool, got: Map<string, { value?: unknown; error?: unknown }[]>): AnyTool {
  const answers: { value?: unknown; error?: unknown }[] = []
  got.set(tool.name, answers)
  const run = async (...args: [unknown, object?]) => {
    const answer: { value?: unknown; error?: unknown } = {}
    answers.push(answer)
    try {
      answer.value = await tool.run(...args)
      return answer.value
    } catch (error) {
      answer.error = error
      throw error
    }
  }
  const parse = (content: unknown) => tool.parse(content)
  return Object.create(Object.getPrototypeOf(tool), {
    ...Object.getOwnPropertyDescriptors(tool),
    run: { value: run, enumerable: true },
    parse: { value: parse, enumerable: true },
  })
}

const WHOLE = { depth: Number.POSITIVE_INFINITY, maxArrayLength: null, maxStringLength: null } as const

for (const version of versions) {
  adapterContract(driverFor(version, false))
  adapterContract(driverFor(version, true))
}
