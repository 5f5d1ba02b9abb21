/**
 * `governed` for tools of the OpenAI SDK. The gate sits inside the tool's function, the one place both `runTools` and
 * `runToolCalls` come through; the API is sent the same tool.
 */
import type { CurrentCall } from '@haldir/core'
import {
  type AdapterRequest,
  carriedIn,
  copyTool,
  definitionOf,
  type Executed,
  type GovernedHandle,
  governTool,
  jsonSchemaOf,
  leaveUngoverned,
  type Misfit,
  markWrapped,
  misfitOf,
  refuseTwice,
  type ToolOptions,
  thrownFor,
  UNREADABLE,
  type Ungovernable,
  type Where,
  withoutItems,
  wrapAny,
} from '@haldir/core/adapter'
import { type Read, reader, readJson, readOf } from './reading.ts'
import { callbackOf, FRAMEWORK, type GovernableTool, isTool, nameOf, type Parse, type Shape, shapeOf } from './shape.ts'
import type { ArgsOf, ListRules, ResultOf } from './types.ts'

/** What a tool requires, costs and may use. `cost`, `actual` and `scope` see the tool's own types. */
export interface ToolRule<Args = any, Result = any> extends ToolOptions<Args, Result>, Ungovernable {}

/**
 * Wraps one tool: every call of the result runs under a session, or is refused. The result has the same type. Throws
 * `ConfigError` for bad options, for a tool without a function here, and for a tool that is governed already.
 */
export function governed<T extends GovernableTool>(
  tool: T,
  rule: ToolRule<ArgsOf<NoInfer<T>>, ResultOf<NoInfer<T>>> & { readonly name: string },
  where?: Where,
): T
/** Wraps a list of tools. Every tool needs a rule, under the name that the model calls it by. */
export function governed<L extends readonly GovernableTool[]>(tools: L, rules: ListRules<L>, where?: Where): L
/** Wraps a set of tools, each under its key. Every key needs a rule. */
export function governed<S extends Record<string, GovernableTool>>(
  tools: S,
  rules: { readonly [K in keyof S]: ToolRule<ArgsOf<S[K]>, ResultOf<S[K]>> },
  where?: Where,
): S
export function governed(target: any, rules: any, where: Where = {}): unknown {
  const each = (tool: GovernableTool, name: string, rule: ToolRule) => wrap(tool, name, rule, where)
  return wrapAny<GovernableTool, ToolRule>(target, rules, { own: '@haldir/openai', isTool, nameOf, wrap: each })
}

function wrap(tool: GovernableTool, name: string, rule: ToolRule, where: Where): GovernableTool {
  const shape = shapeOf(tool)
  if (!shape) return leaveUngoverned(tool, { name, framework: FRAMEWORK, why: ELSEWHERE, rule }, where)
  const { ungovernable: _, ...options } = rule
  const { owner, takesText, told } = shape
  const original = callbackOf(shape)
  refuseTwice(original, name)
  const run = (args: unknown, call: CurrentCall, context: unknown): unknown => {
    // A call that is resumed by itself comes with nothing.
    const [given, ...rest] = (context ?? []) as unknown[]
    return Reflect.apply(original, owner, [takesText ? JSON.stringify(args) : args, beside(given, call), ...rest])
  }
  const schema = jsonSchemaOf(told.parameters)
  const parse = shape.parse && (owner[shape.parse] as Parse)
  // Where the tool's own reading checks nothing, what is judged is checked.
  const fits = misfitOf(schema)
  const misfit = parse === undefined || parse === JSON.parse ? fits : undefined
  const definition = definitionOf(told, name, schema)
  const handle = governTool({ framework: FRAMEWORK, name, options, definition, schema, misfit, run }, where)
  const gate = gateOf(handle, shape)
  // The SDK takes a tool's name from its function when it has no other.
  for (const member of ['name', 'length'] as const) {
    Object.defineProperty(gate, member, { value: original[member], configurable: true })
  }
  markWrapped(gate, handle)
  wheres.set(gate, where)
  return copyOf(tool, shape, gate, parse, fits)
}

const wheres = new WeakMap<object, Where>()

/** Where governed tools belong to, as far as they all say the same. */
export function whereOf(gates: Iterable<object>): Where {
  const all = [...gates].map((gate) => wheres.get(gate) ?? {})
  const [{ haldir, session } = {}] = all
  return {
    ...(haldir && all.every((one) => one.haldir === haldir) && { haldir }),
    ...(session && all.every((one) => one.session === session) && { session }),
  }
}

const ELSEWHERE = 'has no function here: it runs where no call can be governed, or the application answers it itself'

/** The same tool with the gate for its function, and with a `parse` that leaves every refusal to the gate. */
function copyOf<T extends GovernableTool>(
  tool: T,
  { owner, call }: Shape,
  gate: unknown,
  parse: Parse | undefined,
  misfit: Misfit | undefined,
): T {
  if (call === 'function' && (owner as unknown) !== tool) {
    const read = parse && { parse: reader(parse, owner, misfit, parse !== JSON.parse) }
    return copyTool(tool, { function: copyTool(owner, { function: gate, ...read }) })
  }
  // What the Responses API is sent has no such member, so nothing that copies what it sends sees it.
  if (!parse) return redefine(copyTool(tool, { function: gate }), 'function', { enumerable: false })
  const read = reader(parse, tool, misfit, false)
  const $parseRaw = function (this: unknown, text: string): unknown {
    const args = read(text)
    // `parse` of the SDK asks the tool itself, for whoever reads the answer: there, what does not fit is nothing.
    const ofTool = (this as { $brand?: unknown } | undefined)?.$brand !== undefined
    return ofTool && readOf(args).misfit !== undefined ? null : args
  }
  const copy = copyTool(tool, { $callback: gate, $parseRaw })
  for (const member of ['$callback', '$parseRaw']) {
    const { writable, configurable } = Object.getOwnPropertyDescriptor(tool, member) ?? {}
    redefine(copy, member, { writable, configurable } as PropertyDescriptor)
  }
  return copy
}

function redefine<T extends object>(tool: T, member: string, flags: PropertyDescriptor): T {
  return Object.defineProperty(tool, member, flags)
}

/** What stands in the place of the tool's function. */
function gateOf(handle: GovernedHandle, { call, parse }: Shape) {
  return async (args: unknown, ...beside: unknown[]): Promise<unknown> => {
    // `null` is what a tool of a helper reads where arguments do not fit, if it is asked by no runner.
    const read = call === '$callback' && args === null ? UNFIT : readOf(parse ? args : readJson(args))
    return answerOf(await handle.execute(requestOf(read, beside)))
  }
}

const UNFIT = { args: UNREADABLE, misfit: 'the arguments do not fit the tool' }

/** A denial is an answer like another, or the SDK would give the run up; the tool's own error is thrown as it is. */
function answerOf(outcome: Executed): unknown {
  if (outcome.status === 'denied') return outcome.denial.message
  if (outcome.status !== 'ran') throw thrownFor(outcome)
  return withoutItems(outcome.value)
}

/** What a tool is given beside its arguments: by `runTools` the runner, by `runToolCalls` a signal and the call's id. */
interface Beside {
  readonly controller?: { readonly signal?: AbortSignal; abort(reason?: unknown): void }
  readonly signal?: AbortSignal
  readonly callId?: string
}

function requestOf(read: Read, [given, toolContext]: readonly unknown[]): AdapterRequest {
  const { controller, signal, callId } = (given ?? {}) as Beside
  const context = [given, ...(toolContext === undefined ? [] : [toolContext])]
  const session = carriedIn(toolContext)
  return { ...read, ref: callId, signal: controller?.signal ?? signal, session, context }
}

/** The same runner, but for a signal that also aborts when the session ends; made when the tool looks at it. */
function beside(given: unknown, call: CurrentCall): object {
  const { controller } = (given ?? {}) as Beside
  const own = {
    get signal() {
      return call.signal
    },
    /** Where there is no runner, this stands for it, too. */
    get controller() {
      return own
    },
    abort: (reason?: unknown) => controller?.abort(reason),
  }
  if (!controller) return own
  return new Proxy(given as object, {
    get(runner, member) {
      if (member === 'controller') return own
      const value = Reflect.get(runner, member, runner)
      // Its methods work on its private fields.
      return typeof value === 'function' ? value.bind(runner) : value
    },
  })
}
