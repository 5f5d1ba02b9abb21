/**
 * `governed` for tools of the Anthropic SDK. The gate sits inside `run`, the one place every runner and every loop of
 * one's own comes through; everything else of the tool stays as it is, but that `parse` refuses instead of throwing.
 */
import {
  copyTool,
  definitionOf,
  jsonSchemaOf,
  leaveUngoverned,
  refuseTwice,
  type ToolOptions,
  type Ungovernable,
  type Where,
  wrapAny,
} from '@haldir/core/adapter'
import { gateOf, isToolset, type MemberCall, type Runnable } from './gate.ts'
import { parsing } from './parsing.ts'

/** Any entry of a runner's `tools`: built with `betaZodTool`, `betaTool` and the like, an object, an instance of a class. */
export type GovernableTool =
  | { readonly run: (...args: any[]) => any }
  | { readonly run?: undefined; readonly type: string }
  | { readonly run?: undefined; readonly name: string; readonly input_schema: unknown }

type RunOf<T> = 'run' extends keyof T ? NonNullable<T['run']> : unknown
type ArgsOf<T> =
  RunOf<T> extends (args: infer A, ...rest: any[]) => any ? (T extends Toolset ? MemberCall : A) : unknown
type ResultOf<T> = RunOf<T> extends (...args: any[]) => infer R ? Awaited<R> : unknown
type Toolset = { readonly type: `${string}_toolset_${number}` }

type NameOf<T> = T extends { readonly name: infer N extends string } ? N : string
type Called<T, N> = T extends { readonly name: N } ? T : never
/** Most tools of a list only say that they have a name; where the names are known, each has its rule. */
type RulesOf<T> =
  string extends NameOf<T>
    ? Readonly<Record<string, ToolRule>>
    : { readonly [N in NameOf<T>]: ToolRule<ArgsOf<Called<T, N>>, ResultOf<Called<T, N>>> }

/** What a tool requires, costs and may use. `cost`, `actual` and `scope` see the tool's own types. */
export interface ToolRule<Args = any, Result = any> extends ToolOptions<Args, Result>, Ungovernable {}

/**
 * Wraps one tool: every call of the result runs under a session, or is refused. The result has the same type. Throws
 * `ConfigError` for bad options, for a tool without `run`, and for a tool that is governed already.
 */
export function governed<T extends GovernableTool>(
  tool: T,
  rule: ToolRule<ArgsOf<NoInfer<T>>, ResultOf<NoInfer<T>>> & { readonly name: string },
  where?: Where,
): T
/** Wraps a list of tools, as a runner takes it. Every tool needs a rule under its name. */
export function governed<L extends readonly GovernableTool[] | []>(
  tools: L,
  rules: RulesOf<NoInfer<L>[number]>,
  where?: Where,
): L
/** Wraps a set of tools, each under its key. Every key needs a rule. */
export function governed<S extends Record<string, GovernableTool>>(
  tools: S,
  rules: { readonly [K in keyof S]: ToolRule<ArgsOf<S[K]>, ResultOf<S[K]>> },
  where?: Where,
): S
export function governed(target: any, rules: any, where: Where = {}): unknown {
  const each = (tool: GovernableTool, name: string, rule: ToolRule) => wrap(tool, name, rule, where)
  return wrapAny<GovernableTool, ToolRule>(target, rules, { own: '@haldir/anthropic', isTool, nameOf, wrap: each })
}

function wrap(tool: GovernableTool, name: string, rule: ToolRule, where: Where): GovernableTool {
  if (typeof tool.run !== 'function') {
    return leaveUngoverned(tool, { name, framework: FRAMEWORK, why: ELSEWHERE, rule }, where)
  }
  const { ungovernable: _, ...options } = rule
  const runnable = tool as Runnable
  refuseTwice(runnable.run, name)
  const schema = schemaOf(runnable)
  const parsed = parsing(runnable, schema)
  const described = { framework: FRAMEWORK, name, options, definition: definitionOf(tool, name, schema), schema }
  const run = gateOf(runnable, described, parsed, where)
  const { toolResult } = runnable
  const copy: GovernableTool = copyTool(tool, {
    run,
    ...(parsed.parse && { parse: parsed.parse }),
    // A toolset's own way to run a call is through `run`: the governed one.
    ...(typeof toolResult === 'function' && {
      toolResult: (...call: unknown[]) => Reflect.apply(toolResult, copy, call),
    }),
  })
  return copy
}

const ELSEWHERE = 'has no `run`: no call of it can be governed here'
const FRAMEWORK = 'anthropic'

/** The schema without members that are null: the SDK writes such for tools of MCP servers. */
function schemaOf({ input_schema }: Runnable): unknown {
  const schema = input_schema === undefined ? undefined : jsonSchemaOf(input_schema)
  return schema && Object.fromEntries(Object.entries(schema).filter(([, value]) => value !== null))
}

/** How the SDK calls a tool. */
function nameOf(tool: unknown): unknown {
  const { name, mcp_server_name: server, type } = (tool ?? {}) as Record<string, unknown>
  return name ?? server ?? type
}

/** Runs here; is a definition; or is one of the provider's own, whose types are dated, all but one. */
function isTool(value: unknown): value is GovernableTool {
  if (typeof value !== 'object' || value === null) return false
  const { run, type } = value as { run?: unknown; type?: unknown }
  if (typeof run === 'function' || 'input_schema' in value || isToolset(value)) return true
  return typeof type === 'string' && (/_\d{8}$/.test(type) || type === 'mcp_toolset')
}
