/**
 * `governed` for tools of the Vercel AI SDK. The gate sits inside `execute`, the one place every way of running a tool
 * comes through; everything else of the tool stays as it is.
 */
import { ConfigError, type CurrentCall } from '@haldir/core'
import {
  type AdapterRequest,
  type GovernedHandle,
  governTool,
  markWrapped,
  refuseTwice,
  type ToolOptions,
  type Where,
} from '@haldir/core/adapter'
import { copyTool } from './copy-tool.ts'

/** Any tool of the AI SDK: built with `tool()`, `dynamicTool()`, an object, an instance of a class. */
export type GovernableTool = { readonly execute?: ((...args: any[]) => any) | undefined; readonly inputSchema: unknown }

type ArgsOf<T> = 'execute' extends keyof T
  ? NonNullable<T['execute']> extends (args: infer A, ...rest: any[]) => any
    ? A
    : unknown
  : unknown

type ResultOf<T> = 'execute' extends keyof T
  ? NonNullable<T['execute']> extends (...args: any[]) => infer R
    ? Awaited<Exclude<R, AsyncIterable<any>>> | (R extends AsyncIterable<infer Item> ? Item : never)
    : unknown
  : unknown

/** What a tool requires, costs and may use. `cost`, `actual` and `scope` see the tool's own types. */
export interface ToolRule<Args = any, Result = any> extends ToolOptions<Args, Result> {
  /** Says that `execute` answers preliminary results although it is no `async function*`. */
  readonly streaming?: boolean
}

/** The options that the AI SDK gives to `execute`. */
type ExecuteOptions = {
  readonly toolCallId?: string
  readonly abortSignal?: AbortSignal
  /** AI SDK 7; 6 has `experimental_context`. */
  readonly context?: unknown
  readonly experimental_context?: unknown
}

/**
 * Wraps one tool: every call of the result runs under a session, or is refused. The result has the same type. Throws
 * `ConfigError` for bad options, for a tool without local `execute`, and for a tool that is governed already.
 */
export function governed<T extends GovernableTool>(
  tool: T,
  rule: ToolRule<ArgsOf<NoInfer<T>>, ResultOf<NoInfer<T>>> & { readonly name: string },
  where?: Where,
): T
/** Wraps a set of tools, each under its key. Every key needs a rule. */
export function governed<S extends Record<string, GovernableTool>>(
  tools: S,
  rules: { readonly [K in keyof S]: ToolRule<ArgsOf<S[K]>, ResultOf<S[K]>> },
  where?: Where,
): S
export function governed(target: any, rules: any, where: Where = {}): unknown {
  if (typeof target !== 'object' || target === null) throw ungovernable('', 'is not a tool')
  if ('inputSchema' in target && typeof rules?.name === 'string') {
    const { name, ...rule } = rules
    return wrap(target, name, rule, where)
  }
  if (typeof rules !== 'object' || rules === null) throw invalid('rules', 'names a rule for each tool')
  for (const name of Object.keys(rules)) if (!Object.hasOwn(target, name)) throw invalid(name, 'is not among the tools')
  const set: Record<string, unknown> = {}
  for (const [name, tool] of Object.entries(target)) {
    if (!Object.hasOwn(rules, name)) throw invalid(name, 'has no rule')
    set[name] = wrap(tool as GovernableTool, name, rules[name], where)
  }
  return set
}

function wrap(tool: GovernableTool, name: string, rule: ToolRule, where: Where): GovernableTool {
  if (typeof tool !== 'object' || tool === null || !('inputSchema' in tool)) throw ungovernable(name, 'is not a tool')
  const { execute } = tool
  if (typeof execute !== 'function') {
    throw ungovernable(
      name,
      'has no `execute` here: it runs at the provider or in the client, where no call can be governed',
    )
  }
  refuseTwice(tool, name)
  if (typeof rule !== 'object' || rule === null) throw invalid(name, 'has no rule')
  const { streaming = isGeneratorFunction(execute), ...options } = rule
  const handle = governTool(
    {
      framework: 'ai-sdk',
      name,
      options,
      definition: definitionOf(tool, name),
      run: (args, call, context) => {
        const answer = Reflect.apply(execute, tool, [args, innerOptions(context as ExecuteOptions | undefined, call)])
        return streaming ? answer : lastOf(answer)
      },
    },
    where,
  )
  const copy = copyTool(tool, streaming ? streamingExecute(handle) : plainExecute(handle))
  markWrapped(copy)
  return copy
}

/** The SDK looks at what `execute` answers at once, so a streaming tool must stay a generator function. */
function streamingExecute(handle: GovernedHandle) {
  return async function* execute(args: unknown, options?: ExecuteOptions) {
    const outcome = await handle.stream(requestOf(args, options))
    if (outcome.status === 'ran') yield* outcome.items
    else throw outcome.status === 'failed' ? outcome.error : outcome.denial
  }
}

function plainExecute(handle: GovernedHandle) {
  return async function execute(args: unknown, options?: ExecuteOptions): Promise<unknown> {
    const outcome = await handle.execute(requestOf(args, options))
    if (outcome.status === 'ran') return outcome.value
    // The SDK goes on after a throw: the model reads `String(error)`, which of a denial is its safe sentence alone.
    throw outcome.status === 'failed' ? outcome.error : outcome.denial
  }
}

function requestOf(args: unknown, options: ExecuteOptions | undefined): AdapterRequest {
  return {
    args,
    ref: options?.toolCallId,
    signal: options?.abortSignal,
    session: sessionIn(options?.context) ?? sessionIn(options?.experimental_context),
    context: options,
  }
}

function sessionIn(context: unknown): unknown {
  return typeof context === 'object' && context !== null
    ? (context as { haldirSession?: unknown }).haldirSession
    : undefined
}

/**
 * The options for the original `execute`: the same, but for a signal that also aborts when the session ends. It is
 * made when the tool looks at it; most never do.
 */
function innerOptions(options: ExecuteOptions | undefined, call: CurrentCall): ExecuteOptions {
  const inner = Object.create(Object.getPrototypeOf(options ?? {}), Object.getOwnPropertyDescriptors(options ?? {}))
  return Object.defineProperty(inner, 'abortSignal', { get: () => call.signal, enumerable: true, configurable: true })
}

/** A plain function may answer preliminary results all the same; unannounced, only the last one counts. */
async function lastOf(answer: unknown): Promise<unknown> {
  const value = await answer
  if (typeof (value as AsyncIterable<unknown> | null)?.[Symbol.asyncIterator] !== 'function') return value
  let last: unknown
  for await (const item of value as AsyncIterable<unknown>) last = item
  return last
}

/** What the tool is, for the hash in every entry: what the model is told of it, as far as that is plain data. */
function definitionOf(tool: GovernableTool, name: string): unknown {
  const { description, inputSchema } = tool as { description?: unknown; inputSchema: unknown }
  return {
    name,
    description: typeof description === 'string' ? description : undefined,
    inputSchema: jsonSchemaOf(inputSchema),
  }
}

/** A schema as JSON Schema, where it offers that: `jsonSchema()` of the SDK, or any Standard JSON Schema. */
function jsonSchemaOf(schema: any): unknown {
  try {
    const direct = schema?.jsonSchema
    if (typeof direct === 'object' && typeof direct?.then !== 'function') return JSON.parse(JSON.stringify(direct))
    const standard = schema?.['~standard']?.jsonSchema?.input?.({ target: 'draft-2020-12' })
    return standard === undefined ? undefined : JSON.parse(JSON.stringify(standard))
  } catch {
    return undefined
  }
}

function isGeneratorFunction(execute: unknown): boolean {
  return Object.prototype.toString.call(execute) === '[object AsyncGeneratorFunction]'
}

function ungovernable(name: string, what: string): ConfigError {
  return new ConfigError('ungovernable', name, `\`${name || 'tool'}\` ${what}`)
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
