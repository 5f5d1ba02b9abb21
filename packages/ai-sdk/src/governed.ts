/**
 * `governed` for tools of the Vercel AI SDK. The gate sits inside `execute`, the one place every way of running a tool
 * comes through; everything else of the tool stays as it is.
 */
import type { CurrentCall } from '@haldir/core'
import {
  type AdapterRequest,
  carriedIn,
  copyTool,
  definitionOf,
  type GovernedHandle,
  governTool,
  isGeneratorFunction,
  isIterable,
  jsonSchemaOf,
  lastItem,
  leaveUngoverned,
  markWrapped,
  onlyItem,
  refuseTwice,
  type ToolOptions,
  thrownFor,
  type Ungovernable,
  type Where,
  withoutItems,
  wrapAny,
} from '@haldir/core/adapter'
import { withHints } from './hints.ts'
import { isMastra, lendSignal, type MastraContext, misfitFor, pauseFor, requestSession } from './mastra.ts'
import { addPause } from './pause.ts'

/**
 * Any tool of the AI SDK: built with `tool()`, `dynamicTool()`, an object, an instance of a class; or of Mastra, which
 * have an `id`, built with `createTool()`.
 */
export type GovernableTool = { readonly execute?: ((...args: any[]) => any) | undefined } & (
  | { readonly inputSchema: unknown }
  | { readonly inputSchema?: unknown; readonly id: string; readonly requireApproval?: unknown }
)

type ExecuteOf<T> = 'execute' extends keyof T ? NonNullable<T['execute']> : unknown
type ArgsOf<T> = ExecuteOf<T> extends (args: infer A, ...rest: any[]) => any ? A : unknown
type ResultOf<T> =
  ExecuteOf<T> extends (...args: any[]) => infer R
    ? Awaited<Exclude<R, AsyncIterable<any>>> | (R extends AsyncIterable<infer Item> ? Item : never)
    : unknown

/** What a tool requires, costs and may use. `cost`, `actual` and `scope` see the tool's own types. */
export interface ToolRule<Args = any, Result = any> extends ToolOptions<Args, Result>, Ungovernable {
  /** Says that `execute` answers preliminary results although it is no `async function*`. */
  readonly streaming?: boolean
}

/** The options that the AI SDK gives to `execute`; Mastra gives its own. */
type ExecuteOptions = MastraContext & {
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
  return wrapAny<GovernableTool, ToolRule>(target, rules, {
    own: '@haldir/ai-sdk',
    isTool: (value) => isTool(value) && typeof value.execute === 'function',
    knows: isTool,
    wrap: (tool, name, rule) => wrap(tool, name, rule, where),
  })
}

function wrap(tool: GovernableTool, name: string, rule: ToolRule, where: Where): GovernableTool {
  const { ungovernable: _, streaming: announced, ...ruled } = rule
  const why = whyUngovernable(tool)
  const mastra = isMastra(tool)
  const framework = mastra ? 'mastra' : 'ai-sdk'
  if (why !== undefined) {
    const { streaming: _, ...left } = rule
    return leaveUngoverned(tool, { name, framework, why, rule: left }, where)
  }
  const original = tool.execute as (...args: any[]) => unknown
  refuseTwice(original, name)
  const streaming = announced ?? isGeneratorFunction(original)
  const options = withHints(ruled, tool)
  const run = (args: unknown, call: CurrentCall, context: unknown): unknown => {
    const given = context as ExecuteOptions | undefined
    if (mastra) return lendSignal(given, call.signal, (lent) => Reflect.apply(original, tool, [args, lent]))
    const answer = Reflect.apply(original, tool, [args, innerOptions(given, call)])
    // As the SDK does, items are looked for in what `execute` answers at once, not in what a promise resolves to.
    if (streaming) return isIterable(answer) ? answer : onlyItem(answer)
    return isIterable(answer) ? lastItem(answer) : answer
  }
  const schema = jsonSchemaOf(tool.inputSchema)
  const definition = definitionOf(tool, name, schema)
  const handle = governTool({ framework, name, options, definition, schema, run }, where)
  const execute = streaming ? streamingExecute(handle) : plainExecute(handle, tool)
  markWrapped(execute, handle)
  const { experimental_toolCaller: caller } = tool as { experimental_toolCaller?: ToolCaller }
  // The SDK does not run a caller of tools, but what `bind` makes of it for each step.
  const bind = (tools: unknown) => wrap(caller?.bind?.(tools) as GovernableTool, name, rule, where)
  const bound = caller?.type === 'local' && caller.bind ? { experimental_toolCaller: { ...caller, bind } } : {}
  const copy = copyTool(tool, { execute, ...bound })
  // Mastra has a pause of its own, and no id of the call in it that people could be asked about.
  if (!mastra && maySuspend(handle, where)) addPause(copy, handle, requestOf)
  return copy
}

/** In doubt they may: a tool can belong to a haldir that is not made yet. */
function maySuspend(handle: GovernedHandle, { haldir, session }: Where): boolean {
  return (!haldir && !session) || handle.suspends()
}

/** A tool that calls other tools for the model: code mode. */
type ToolCaller = { readonly type?: string; readonly bind?: (tools: unknown) => unknown }

/** Why calls of a tool would not come through its `execute`. */
function whyUngovernable(tool: GovernableTool): string | undefined {
  const { execute, isProviderExecuted } = tool as GovernableTool & { isProviderExecuted?: boolean }
  if (typeof execute !== 'function' || isProviderExecuted === true) {
    return 'runs at the provider or in the client, where no call can be governed'
  }
  const searches = (tool as { [TOOL_SEARCH]?: boolean })[TOOL_SEARCH] === true
  return searches ? 'is run by the SDK itself, which does not use its `execute`' : undefined
}

const TOOL_SEARCH = Symbol.for('vercel.ai.toolSearch')

/** The SDK looks at what `execute` answers at once, so a streaming tool must stay a generator function. */
function streamingExecute(handle: GovernedHandle) {
  return async function* execute(args: unknown, options?: ExecuteOptions) {
    const outcome = await handle.stream(requestOf(args, options))
    if (outcome.status === 'ran') yield* outcome.items
    else throw thrownFor(outcome)
  }
}

function plainExecute(handle: GovernedHandle, tool: GovernableTool) {
  return async function execute(args: unknown, options?: ExecuteOptions): Promise<unknown> {
    const misfit = misfitFor(tool, args, options)
    const outcome = await handle.execute({ ...requestOf(args, options), misfit })
    if (outcome.status === 'ran') return withoutItems(outcome.value)
    const paused = outcome.status === 'suspended' ? pauseFor(tool, options, outcome.suspended) : undefined
    if (paused) return paused
    // The SDK goes on after a throw: the model reads `String(error)`, which of a denial is its safe sentence alone.
    throw thrownFor(outcome)
  }
}

function requestOf(args: unknown, options: ExecuteOptions | undefined): AdapterRequest {
  const session = carriedIn(options?.context) ?? carriedIn(options?.experimental_context) ?? requestSession(options)
  const ref = options?.toolCallId ?? options?.agent?.toolCallId
  return { args, ref, signal: options?.abortSignal, session, context: options }
}

/** The same options, but for a signal that also aborts when the session ends; made when the tool looks at it. */
function innerOptions(options: ExecuteOptions | undefined, call: CurrentCall): ExecuteOptions {
  return {
    ...options,
    get abortSignal() {
      return call.signal
    },
  }
}

function isTool(value: unknown): value is GovernableTool {
  return typeof value === 'object' && value !== null && 'inputSchema' in value
}
