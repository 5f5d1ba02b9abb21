/** The adapter contract for the OpenAI SDK: each version, each kind of tool, with `runTools` and with a loop by hand. */
import { inspect } from 'node:util'
import { Suspended } from '@haldir/core'
import {
  type GovernableTool,
  governed,
  permitted,
  type RunToolCallsOptions,
  runToolCalls,
  SuspendedCalls,
} from '@haldir/openai'
import { type AdapterDriver, adapterContract, type NativePause, type ScriptedCall } from '@haldir/testing'
import { expect } from 'vitest'
import { z } from 'zod'
import { z as z3 } from 'zod/v3'
import { completionOf, responseOf, type Scripted, scriptedClient, type Version, versions } from './openai-client.ts'

type ToolBody = Parameters<AdapterDriver['build']>[0]
type Answer = Awaited<ReturnType<AdapterDriver['call']>>
type AnyTool = GovernableTool & { readonly [member: string]: any }

const anyObject = { type: 'object', properties: {}, additionalProperties: true }
const anAmount = { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] }

type Beside = { readonly controller?: { readonly signal: AbortSignal }; readonly signal?: AbortSignal }
const signalOf = (beside: Beside | undefined) => beside?.controller?.signal ?? beside?.signal

/** A kind of tool: how it is built, where its function is, and which loop it is for. */
interface Kind {
  readonly name: string
  readonly loop: 'runTools' | 'chatByHand' | 'responsesByHand'
  readonly replaces: readonly PropertyKey[]
  build(body: ToolBody, version: Version): AnyTool
  instance?: () => AnyTool
}

class Inner {
  readonly #value = 'private'
  readonly name = 'keeper'
  readonly description = 'keeps something'
  readonly parameters = anyObject
  readonly parse = JSON.parse

  function(): { kept: string } {
    return { kept: this.#value }
  }
}

class Keeper {
  readonly #label = 'from the prototype'
  readonly type = 'function'
  readonly function = new Inner()

  get label(): string {
    return this.#label
  }
}

class ResponsesKeeper {
  readonly #value = 'private'
  readonly #label = 'from the prototype'
  readonly type = 'function'
  readonly name = 'keeper'
  readonly description = 'keeps something'
  readonly parameters = anyObject
  readonly strict = false

  get label(): string {
    return this.#label
  }

  function(): { kept: string } {
    return { kept: this.#value }
  }
}

const anything = z.object({}).loose()

function zodOf({ takesAmount }: ToolBody, { major }: Version): any {
  // Version 5 knows the older zod alone.
  if (major === 5) return takesAmount ? z3.object({ amount: z3.number() }) : z3.object({}).passthrough()
  // What takes anything at all can not be written as a strict schema.
  return takesAmount ? z.object({ amount: z.number() }) : Object.assign(z.object({}), { parse: anything.parse })
}

/** A tool whose function gets the model's text. */
function byHandOf({ name, description, takesAmount, run }: ToolBody): AnyTool {
  const parameters = takesAmount ? anAmount : anyObject
  const fn = (text: string, runner: Beside) => run?.(JSON.parse(text), () => signalOf(runner))
  return { type: 'function', function: { name, description, parameters, function: fn } }
}

const kinds: readonly Kind[] = [
  {
    name: 'runTools',
    loop: 'runTools',
    replaces: ['function'],
    build: ({ name, description, takesAmount, run }) => ({
      type: 'function',
      function: {
        name,
        description,
        parameters: takesAmount ? anAmount : anyObject,
        parse: JSON.parse,
        function: (args: unknown, runner: Beside) => run?.(args, () => signalOf(runner)),
      },
    }),
    instance: () => new Keeper() as unknown as AnyTool,
  },
  {
    name: 'runTools, functions that take text',
    loop: 'runTools',
    replaces: ['function'],
    build: (body) => byHandOf(body),
  },
  {
    name: 'runTools, zodFunction',
    loop: 'runTools',
    replaces: ['$callback', '$parseRaw'],
    build: (body, version) => {
      const { name, description, run } = body
      const callback = (args: unknown, runner: Beside) => run?.(args, () => signalOf(runner))
      const parameters = zodOf(body, version)
      return version.helpers.zodFunction({ name, description, parameters, function: callback as never }) as AnyTool
    },
  },
  {
    name: 'Chat Completions by hand',
    loop: 'chatByHand',
    replaces: ['function'],
    build: (body) => byHandOf(body),
  },
  {
    name: 'Responses',
    loop: 'responsesByHand',
    replaces: ['function'],
    build: ({ name, description, takesAmount, run }) => ({
      type: 'function',
      name,
      description,
      parameters: takesAmount ? anAmount : anyObject,
      strict: false,
      function: (args: unknown, beside: Beside) => run?.(args, () => signalOf(beside)),
    }),
    instance: () => new ResponsesKeeper() as unknown as AnyTool,
  },
  {
    name: 'Responses, zodResponsesFunction',
    loop: 'responsesByHand',
    replaces: ['$callback', '$parseRaw'],
    build: (body, version) => {
      const { name, description, run } = body
      const callback = (args: unknown, beside: Beside) => run?.(args, () => signalOf(beside))
      const parameters = zodOf(body, version)
      return version.helpers.zodResponsesFunction({
        name,
        description,
        parameters,
        function: callback as never,
      }) as AnyTool
    },
  },
]

const ITEMS = 'the SDK reads no items: a function that answers some has answered `{}`'
const APART = 'the helper makes plain objects, and the SDK calls their function apart from them'
const REJECTS = 'the SDK gives the run up when a tool throws'
const NAMELESS = '`runTools` tells a function nothing of the id of its call'
const SERIAL = 'version 5 runs the calls of a turn one after the other'
const UNCARRIED = 'version 5 has no context that reaches a tool'

function skipsOf(version: Version, { loop, instance }: Kind): Record<string, string> {
  const items = [
    'items arrive one by one, before the tool has ended',
    'the model reads what it reads from the bare tool',
    'a refused streaming tool does not start',
    'the call is held while it streams, and settled after its last item',
    'a reader that stops early stops the tool, and the call is settled',
    'a stream that nobody reads any more is settled after the idle timeout',
    'an error after some items goes through, the same object',
    'every step runs in the call, wherever its items are read',
    'a revoked session reaches a tool between two items',
    'a secret does not leave in items, nor split over them',
  ]
  const serial = loop === 'runTools' && version.major === 5
  return {
    ...Object.fromEntries(items.map((title) => [title, ITEMS])),
    ...(!instance && { 'an instance of a class runs on itself, with its private fields and its getters': APART }),
    ...(loop === 'runTools' && {
      'parallel calls do not touch one another': REJECTS,
      "the framework's own id of a call stands in its entries": NAMELESS,
    }),
    ...(loop === 'runTools' && {
      'what does not ask runs at once': 'a run that is begun again runs all calls of the turn again',
    }),
    ...(serial && {
      'of two calls at once, only the one with a yes runs': SERIAL,
      '100 parallel calls of $1 on a budget of $50: exactly 50 run': SERIAL,
      'the same, when the model repeats one call id for all of them': SERIAL,
      'two sessions at once do not mix': SERIAL,
      "the session may come in the framework's context": UNCARRIED,
      'text in the context is no session, not even an id or a token': UNCARRIED,
      'sessions that disagree are refused': UNCARRIED,
    }),
  }
}

/** What the SDK has of a pause: `runTools` ends with it, and a loop by hand hears of it. */
function pausesOf({ OpenAI }: Version, { loop }: Kind): NativePause<AnyTool> {
  const scriptOf = (calls: readonly ScriptedCall[], tools: Record<string, AnyTool>) =>
    calls.map((call) => ({ ...call, tool: nameOf(tools[call.tool]) }))
  return {
    async pause(tools, calls) {
      const script = scriptOf(calls, tools)
      if (loop === 'runTools') {
        const { answers } = await runTools(scriptedClient(OpenAI, [script]), Object.values(tools), true, {})
        expect(Suspended.isInstance(answers[0]?.error)).toBe(true)
        return ''
      }
      const source: any = (loop === 'chatByHand' ? completionOf : responseOf)(script)
      const error = await runToolCalls(source, Object.values(tools)).catch((caught: unknown) => caught)
      if (!SuspendedCalls.isInstance(error)) return expect.fail(String(error))
      return JSON.stringify({ source, answered: error.outputs })
    },

    /** By hand, the other calls are answered already. `runTools` is told the same by the model once more. */
    async resume(kept, tools, calls) {
      const list = Object.values(tools)
      if (loop === 'runTools') {
        const scripted = scriptedClient(OpenAI, [scriptOf(calls, tools)])
        const { answers, text, rest } = await runTools(scripted, list, true, {})
        if (Suspended.isInstance(answers[0]?.error)) throw answers[0]?.error
        return { answers, text, told: undefined, turns: scripted.requests.length, everything: inspect(rest, WHOLE) }
      }
      const { source, answered } = JSON.parse(kept)
      const outputs = (await runToolCalls(source, list, { answered })) as { output?: string; content?: string }[]
      const answers = outputs.map(({ output, content }) => ({ read: String(output ?? content) }))
      return { answers, text: 'done', told: undefined, turns: 0, everything: inspect(outputs, WHOLE) }
    },
  }
}

const WHOLE = { depth: Number.POSITIVE_INFINITY, maxArrayLength: null, maxStringLength: null } as const
const nameOf = (tool: AnyTool | undefined): string => tool?.name ?? tool?.function.name

function driverFor(version: Version, kind: Kind): AdapterDriver<AnyTool> {
  const wrapped = new WeakSet<object>()
  const loops = { runTools, chatByHand, responsesByHand }
  return {
    framework: `${version.name}, ${kind.name}`,
    package: '@haldir/openai',
    replaces: kind.replaces,
    build: (body) => kind.build(body, version),
    buildInstance: () => kind.instance?.() as AnyTool,
    buildElsewhere: () => ({ type: 'web_search' }),
    wrap(tool, rule, where) {
      const governing = governed(tool, rule, where)
      wrapped.add(governing)
      return governing
    },
    permitted: (tools, session) => permitted(tools, session),
    skip: skipsOf(version, kind),
    pauses: pausesOf(version, kind),

    async loop(tools, calls, options = {}) {
      const script = calls.map((call) => ({ ...call, tool: nameOf(tools[call.tool]) }))
      const scripted = scriptedClient(version.OpenAI, [script], { maxRetries: options.retrying ? 2 : 0 })
      const list = Object.values(tools)
      const { answers, text, rest } = await loops[kind.loop](
        scripted,
        list,
        list.every((tool) => wrapped.has(tool)),
        options,
      )
      const { requests } = scripted
      const everything = inspect([requests, rest], WHOLE)
      return { answers, text, told: requests[0].tools, turns: requests.length, everything }
    },

    async call(tool, args, { carried, signal } = {}) {
      const callback = tool.$callback ?? tool.function.function ?? tool.function
      const receiver = tool.$callback ? tool : typeof tool.function === 'function' ? tool : tool.function
      const beside = signal ? { controller: { signal } } : undefined
      // Of the text that a bare tool gets, a test has the object.
      const takesText = typeof tool.function === 'object' && !tool.$callback && !tool.function.parse
      const given = takesText && !wrapped.has(tool) ? JSON.stringify(args) : args
      try {
        const value = await callback.call(receiver, given, beside, carried && { haldirSession: carried })
        return { read: typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined'), value }
      } catch (error) {
        return { read: String(error), error }
      }
    },
  }
}

type Options = Parameters<NonNullable<AdapterDriver['loop']>>[2]
type Looped = { answers: Answer[]; text: string; rest: unknown }

async function runTools(
  { client, requests }: Scripted,
  tools: AnyTool[],
  _: boolean,
  options: Options,
): Promise<Looped> {
  const { carried, signal } = options ?? {}
  const toolContext = carried === undefined ? {} : { toolContext: { haldirSession: carried } }
  const messages = [{ role: 'user', content: 'go on' }]
  const params = { model: 'scripted', messages, tools, ...toolContext }
  const runner = client.chat.completions.runTools(params as never, signal ? { signal } : {})
  try {
    const text = (await runner.finalContent()) as string
    const read = requests[1]?.messages.filter(({ role }: { role: string }) => role === 'tool')
    return { answers: read.map(({ content }: { content: string }) => ({ read: content })), text, rest: runner.messages }
  } catch (error) {
    const { message, cause } = error as Error
    return { answers: [{ read: message, error: cause }], text: '', rest: [error, runner.messages] }
  }
}

async function responsesByHand(
  { client }: Scripted,
  tools: AnyTool[],
  isGoverned: boolean,
  options: Options,
): Promise<Looped> {
  const input: any[] = [{ role: 'user', content: 'go on' }]
  const answers: Answer[] = []
  for (let turn = 0; turn < 3; turn++) {
    const response = await client.responses.create({ model: 'scripted', input: [...input], tools: tools as never[] })
    const [told, errors] = telling(options)
    const calls = response.output.flatMap((item) => (item.type === 'function_call' ? [item] : []))
    const bares = async () => {
      const outputs = await Promise.all(calls.map(({ name, arguments: text }) => bare(tools, name, text)))
      return outputs.map((output, index) => {
        const call_id = calls[index]?.call_id as string
        if (output.error) errors.set(call_id, output.error)
        return { type: 'function_call_output' as const, call_id, output: output.read }
      })
    }
    const outputs = isGoverned ? await runToolCalls(response, tools, told) : await bares()
    if (outputs.length === 0) return { answers, text: response.output_text, rest: [input, response] }
    input.push(...response.output, ...outputs)
    answers.push(...outputs.map(({ call_id, output }) => answerOf(output, errors.get(call_id))))
  }
  return { answers, text: '', rest: input }
}

async function chatByHand(
  { client }: Scripted,
  tools: AnyTool[],
  isGoverned: boolean,
  options: Options,
): Promise<Looped> {
  const messages: any[] = [{ role: 'user', content: 'go on' }]
  const answers: Answer[] = []
  for (let turn = 0; turn < 3; turn++) {
    const params = { model: 'scripted', messages: [...messages], tools: tools as never[] }
    const completion = await client.chat.completions.create(params)
    const [told, errors] = telling(options)
    const message = completion.choices[0]?.message
    const bares = async () => {
      const calls = (message?.tool_calls ?? []) as { id: string; function: { name: string; arguments: string } }[]
      const outputs = await Promise.all(calls.map(({ function: fn }) => bare(tools, fn.name, fn.arguments)))
      return outputs.map(({ read, error }, index) => {
        const { id: tool_call_id } = calls[index] as { id: string }
        if (error) errors.set(tool_call_id, error)
        return { role: 'tool' as const, tool_call_id, content: read }
      })
    }
    const outputs = isGoverned ? await runToolCalls(completion, tools, told) : await bares()
    if (outputs.length === 0) return { answers, text: message?.content as string, rest: [messages, completion] }
    messages.push(message, ...outputs)
    answers.push(...outputs.map(({ tool_call_id, content }) => answerOf(content, errors.get(tool_call_id))))
  }
  return { answers, text: '', rest: messages }
}

/** The options of a loop, and the errors it is told of. */
function telling({ carried, signal }: NonNullable<Options> = {}): [RunToolCallsOptions, Map<string, unknown>] {
  const errors = new Map<string, unknown>()
  const onError = (error: unknown, { callId }: { callId: string }) => void errors.set(callId, error)
  return [{ ...(carried === undefined ? {} : { session: carried as never }), signal, onError }, errors]
}

function answerOf(read: string, error: unknown): Answer {
  return error === undefined ? { read } : { read, error }
}

/** What people write by hand. */
async function bare(tools: AnyTool[], name: string, text: string): Promise<Answer> {
  try {
    const tool = tools.find((one) => nameOf(one) === name) as AnyTool
    const args = tool.$parseRaw ? tool.$parseRaw(text) : JSON.parse(text)
    const call = () => {
      if (tool.$callback) return tool.$callback(args)
      return typeof tool.function === 'function' ? tool.function(args) : tool.function.function(text)
    }
    const value = await call()
    return { read: typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined') }
  } catch (error) {
    return { read: `The tool failed: ${(error as Error).message}`, error }
  }
}

for (const version of versions) for (const kind of kinds) adapterContract(driverFor(version, kind))
