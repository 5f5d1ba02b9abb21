/**
 * Where the gate of a tool stands: in the innermost method that every way of calling the tool comes through, and that
 * gets the arguments the tool will run with.
 */
import { copyTool, type GovernedHandle, markWrapped } from '@haldir/core/adapter'
import { parseCallbackConfigArg } from '@langchain/core/callbacks/manager'
import { Runnable } from '@langchain/core/runnables'
import { Tool } from '@langchain/core/tools'
import { type Config, cameThrough, idOf, type Manager, pass } from './pass.ts'
import { type Fit, fit, fitTwice, isToolCall, unwrapped } from './schema.ts'

type Method = (...args: any[]) => unknown

/** Whatever of these members a tool has. */
export interface AnyTool {
  readonly name: string
  readonly description?: unknown
  readonly schema?: unknown
  readonly responseFormat?: unknown
  readonly invoke: Method
  readonly call?: Method
  readonly _call?: Method
  readonly func?: Method
  readonly bound?: Runnable
}

/** The members that can be a tool's gate. */
export function gatesOf(tool: Partial<AnyTool> | null | undefined): object[] {
  const found = [tool?._call, tool?.func, tool?.invoke, tool?.call, tool?.bound]
  return found.filter((gate) => gate !== undefined && gate !== null)
}

/** A copy of the tool with the gate in it, and the gate marked as such. */
export function gate(tool: AnyTool, handle: GovernedHandle): AnyTool {
  const { base, gates, overridden } = gateOf(tool, handle)
  for (const one of Object.values(gates)) markWrapped(one, handle)
  return copyTool(tool, { ...overridden, ...gates }, base)
}

/** Starts a tool without the framework that has called it. */
export function startOf(tool: AnyTool): (args: unknown, config: Config) => unknown {
  const { _call } = tool
  const inner = _call && tool.call && callsInner(tool, familyOf(tool).base)
  return (args, config) => (inner ? Reflect.apply(_call, tool, [args, undefined, config]) : tool.invoke(args, config))
}

function gateOf(tool: AnyTool, handle: GovernedHandle): Family & { gates: Record<string, object> } {
  const [prototype] = levels(tool)
  if (tool.bound && nameOf(prototype) === 'RunnableToolLike' && !Object.hasOwn(tool, 'invoke')) {
    return { base: prototype, gates: { bound: new BoundGate(tool, handle) }, overridden: {} }
  }
  const { _call, func, invoke, call } = tool
  const family = familyOf(tool)
  const inner = {
    ...(_call && { _call: called(tool, _call, handle) }),
    ...(func && { func: called(tool, func, handle) }),
  }
  const outer =
    call && callsInner(tool, family.base)
      ? { call: fitting(call, handle) }
      : { invoke: asking(tool, invoke, handle), ...(call && { call: asking(tool, call, handle) }) }
  return { ...family, gates: { ...inner, ...outer } }
}

/** The gate in `_call` and `func`, which get the parsed arguments. */
function called(tool: AnyTool, method: Method, handle: GovernedHandle): Method {
  return function _call(this: AnyTool | undefined, args: unknown, manager?: Manager, config?: Config) {
    const { name, responseFormat } = this ?? tool
    return pass(handle, name, {
      args,
      config,
      listens: manager ?? {},
      paired: responseFormat === 'content_and_artifact',
      start: (judged, inner) => Reflect.apply(method, tool, [judged, manager, inner]),
    })
  }
}

/**
 * Around `call`, which parses: what does not fit never comes to the gate, and what LangChain says of it may be anything
 * up to a stack trace. Then the gate is asked after all, to refuse it.
 */
function fitting(method: Method, handle: GovernedHandle): Method {
  return async function call(this: AnyTool, input: unknown, given: any, tags: unknown) {
    const args = unwrapped(input)
    let config = configOf(given)
    // An id that stands in the arguments must not replace that of the call.
    if (isToolCall(input) && idOf(config) === undefined) config = { ...config, toolCall: input }
    try {
      return await Reflect.apply(method, this, [args, config, tags])
    } catch (error) {
      if (cameThrough(error)) throw error
      // What LangChain can't write down it can't even refuse, and fails with something else.
      const { misfit = isParsing(error) ? NO_FIT : undefined } = await fit(this.schema, args)
      if (misfit === undefined) throw error
      return pass(handle, this.name, { args, misfit, config, start: () => Promise.reject(error) })
    }
  }
}

const NO_FIT = 'the arguments do not fit the tool'

/** The gate in a method that the tool's own class has put before `_call`: nobody can tell what it does by itself. */
function asking(tool: AnyTool, method: Method, handle: GovernedHandle): Method {
  return async function invoke(input: unknown, given?: any, ...rest: unknown[]) {
    const read = await fitTwice(tool.schema, unwrapped(input))
    return ask(handle, tool.name, input, configOf(given), read, (judged, inner) => {
      const outer = isToolCall(input) && judged !== input ? { ...input, args: judged } : judged
      return Reflect.apply(method, tool, [outer, inner, ...rest])
    })
  }
}

/** The gate in the place of what a runnable tool is bound to: it stays there in whatever is made of the tool. */
class BoundGate extends Runnable {
  lc_namespace: string[] = ['haldir', 'langchain']
  readonly #tool: AnyTool
  readonly #handle: GovernedHandle

  constructor(tool: AnyTool, handle: GovernedHandle) {
    super()
    this.#tool = tool
    this.#handle = handle
  }

  async invoke(input: unknown, config?: Config): Promise<any> {
    const { name, schema } = this.#tool
    const bound = this.#tool.bound as Runnable
    // What is no call is not parsed. What was parsed here is no call any more, and is not parsed again.
    const read = isToolCall(input) ? await fit(schema, unwrapped(input)) : { args: input }
    return ask(this.#handle, name, input, config, read, (judged, inner) => bound.invoke(judged, inner))
  }

  override getName(suffix?: string): string {
    return (this.#tool.bound as Runnable).getName(suffix)
  }
}

/** Asks before everything else. What does not fit runs in shadow mode alone, and there as it would without a gate. */
function ask(
  handle: GovernedHandle,
  name: string,
  input: unknown,
  given: Config | undefined,
  read: Fit,
  start: (args: unknown, config: Config) => unknown,
): Promise<unknown> {
  const config = isToolCall(input) ? { ...given, toolCall: input } : given
  if (read.misfit === undefined) return pass(handle, name, { args: read.args, config, start })
  const { misfit } = read
  return pass(handle, name, { args: unwrapped(input), misfit, config, start: (_, inner) => start(input, inner) })
}

/** What is given may be callbacks alone. */
function configOf(given: any): Config {
  return parseCallbackConfigArg(given) as Config
}

function isParsing(error: unknown): boolean {
  // `ToolInputParsingException`, of whichever copy of the package.
  return error instanceof Error && 'output' in error
}

/** Whether `invoke` and `call` are LangChain's own, and so do nothing but parse and go on to `_call`. */
function callsInner(tool: AnyTool, base: object | undefined): boolean {
  if (!base || !tool._call || tool.invoke !== (base as Partial<AnyTool>).invoke) return false
  const owner = [tool, ...levels(tool)].find((level) => Object.hasOwn(level, 'call'))
  return owner === base || owner === Tool.prototype || /^Dynamic(Structured)?Tool$/.test(nameOf(owner) ?? '')
}

interface Family {
  readonly base: object | undefined
  readonly overridden: Readonly<Record<string, unknown>>
}

/**
 * What a tool has of LangChain: the level of its prototypes from which on all is the framework's, and for what its own
 * class puts before methods of every runnable, which must not run by themselves, those methods.
 */
function familyOf(tool: AnyTool): Family {
  const all = levels(tool)
  const runnable = all.findLast((level) => Object.hasOwn(level, 'pipe') && Object.hasOwn(level, 'stream'))
  const structured = all.findLast((level) =>
    ['invoke', 'call', 'lc_namespace'].every((key) => Object.hasOwn(level, key)),
  )
  const base = structured ?? runnable
  const overridden: Record<string, unknown> = {}
  for (const name of runnable ? Object.getOwnPropertyNames(runnable) : []) {
    const own = (runnable as Record<string, unknown>)[name]
    if (name === 'constructor' || typeof own !== 'function') continue
    if ((tool as unknown as Record<string, unknown>)[name] !== own) overridden[name] = own
  }
  return { base, overridden }
}

/** LangChain's own name of a class, which classes made from it do not have of their own. */
function nameOf(prototype: object | undefined): string | undefined {
  const made = (prototype as { constructor?: { lc_name?: () => string } } | undefined)?.constructor
  return made && Object.hasOwn(made, 'lc_name') ? made.lc_name?.() : undefined
}

/** The prototypes, the nearest first. */
function levels(tool: object): object[] {
  const level = Object.getPrototypeOf(tool)
  return level && level !== Object.prototype ? [level, ...levels(level)] : []
}
