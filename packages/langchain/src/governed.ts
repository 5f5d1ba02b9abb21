/**
 * `governed` for tools of LangChain and LangGraph. The gate sits as far inside a tool as LangChain parses, so that what
 * is judged is what runs; everything else of the tool stays as it is.
 */
import type { CurrentCall } from '@haldir/core'
import {
  definitionOf,
  governTool,
  jsonSchemaOf,
  leaveUngoverned,
  nameIn,
  refuseTwice,
  type ToolOptions,
  type Ungovernable,
  type Where,
  wrapAny,
} from '@haldir/core/adapter'
import type { StructuredTool } from '@langchain/core/tools'
import { type AnyTool, gate, gatesOf, startOf } from './gates.ts'
import { runAlone, runThrough } from './pass.ts'

/** Any tool of LangChain: made with `tool()` or `asTool()`, an instance of a class. */
export type GovernableTool =
  | { readonly name: string; readonly invoke: (...args: any[]) => any }
  /** A tool that does not run here: see `ungovernable`. */
  | { readonly name?: string; readonly type: string; readonly invoke?: never }

type FuncOf<T> = T extends { readonly func: infer F } ? F : never
type ParsedBy<S> = S extends { readonly _output: infer A } ? A : any
type ArgsOf<T> = [FuncOf<T>] extends [never]
  ? T extends { readonly schema: infer S }
    ? ParsedBy<S>
    : any
  : FuncOf<T> extends (args: infer A, ...rest: any[]) => any
    ? A
    : any
type Result<R> = R extends AsyncGenerator<any, infer Last> ? Last : Awaited<R>
type ResultOf<T> = [FuncOf<T>] extends [never]
  ? T extends StructuredTool<any, any, any, infer R>
    ? R
    : T extends { readonly invoke: (...args: any[]) => infer R }
      ? Awaited<R>
      : any
  : FuncOf<T> extends (...args: any[]) => infer R
    ? Result<R>
    : any

/** What a tool requires, costs and may use. `cost`, `actual` and `scope` see the tool's own types. */
export interface ToolRule<Args = any, Result = any> extends ToolOptions<Args, Result>, Ungovernable {}

type NameIn<L extends readonly GovernableTool[]> = L[number]['name']
/** Where the names are known, a rule for each of them; else by any name. */
type RulesFor<L extends readonly GovernableTool[]> =
  string extends NameIn<L>
    ? Readonly<Record<string, ToolRule>>
    : { readonly [T in L[number] as T['name'] & string]: ToolRule<ArgsOf<T>, ResultOf<T>> }

/**
 * Wraps one tool: every call of the result runs under a session, or is refused. The result has the same type. `name`
 * stands in entries and policies, and is the tool's own unless given. Throws `ConfigError` for bad options, for a tool
 * that does not run in this process, and for one that is governed already.
 */
export function governed<T extends GovernableTool>(
  tool: T,
  rule: ToolRule<ArgsOf<NoInfer<T>>, ResultOf<NoInfer<T>>> & { readonly name?: string },
  where?: Where,
): T
/** Wraps a list of tools, as agents take it. Every name needs a rule. */
export function governed<L extends GovernableTool[] | readonly GovernableTool[] | []>(
  tools: L,
  rules: RulesFor<NoInfer<L>>,
  where?: Where,
): L
/** Wraps a set of tools, each under its key. Every key needs a rule. */
export function governed<S extends Record<string, GovernableTool>>(
  tools: S,
  rules: { readonly [K in keyof S]: ToolRule<ArgsOf<S[K]>, ResultOf<S[K]>> },
  where?: Where,
): S
export function governed(target: any, rules: any, where: Where = {}): unknown {
  const each = (tool: AnyTool, name: string, rule: ToolRule) => wrap(tool, name, rule, where)
  // A tool of LangChain has a name, which its rule need not repeat.
  const named = isTool(target) && rules?.name === undefined ? { ...rules, name: target.name } : rules
  return wrapAny<AnyTool, ToolRule>(target, named, {
    own: '@haldir/langchain',
    isTool,
    knows: (value) => isTool(value) || isDefinition(value),
    nameOf: nameIn,
    wrap: each,
  })
}

function wrap(tool: any, name: string, rule: ToolRule, where: Where): AnyTool {
  if (!isTool(tool)) return leaveUngoverned(tool, { name, framework: FRAMEWORK, why: ELSEWHERE, rule }, where)
  const { ungovernable: _, ...options } = rule
  const schema = jsonSchemaOf(tool.schema)
  const definition = definitionOf(tool, tool.name, schema)
  for (const one of gatesOf(tool)) refuseTwice(one, name)
  const start = startOf(tool)
  const run = (args: unknown, call: CurrentCall, context: unknown): unknown =>
    context === undefined ? runAlone(args, call, start) : runThrough(args, call, context)
  const handle = governTool({ framework: FRAMEWORK, name, options, definition, schema, run }, where)
  return gate(tool, handle)
}

export const FRAMEWORK = 'langchain'
const ELSEWHERE = 'runs at the provider or in the client, where no call can be governed'

function isTool(value: unknown): value is AnyTool {
  const { invoke, schema } = (value ?? {}) as Record<string, unknown>
  return typeof value === 'object' && typeof invoke === 'function' && schema !== undefined
}

/** Says of a tool what it is, and nothing of how it runs: plain data. */
function isDefinition(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return false
  const { function: described } = value as { function?: unknown }
  const members = [value, described ?? {}].flatMap((part) => Object.values(Object.getOwnPropertyDescriptors(part)))
  return members.length > 0 && !members.some((member) => typeof member.value === 'function')
}
