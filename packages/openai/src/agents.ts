/**
 * Haldir for the OpenAI Agents SDK. The gate sits inside the `invoke` of a function tool, the one place every run comes
 * through; everything else of the tool stays as it is.
 */
import { Denied, type Session, Suspended } from '@haldir/core'
import {
  carriedIn,
  copyTool,
  definitionOf,
  type GovernedHandle,
  governTool,
  jsonSchemaOf,
  leaveUngoverned,
  markWrapped,
  nameIn,
  permitsOf,
  permittedOf,
  refuseTwice,
  type ToolOptions,
  thrownFor,
  type Ungovernable,
  type Where,
  withoutItems,
  wrapAny,
} from '@haldir/core/adapter'
import { RunContext } from '@openai/agents'
import { type NeedsApproval, pausing } from './agents-approvals.ts'
import { ANSWER, type Details, type Invocation, type MadeTool, madeTool, withMembers } from './agents-made.ts'
import { type Reader, type Reading, readerOf } from './agents-reading.ts'

export type { Where } from '@haldir/core/adapter'
export { type DecideInterruptionsOptions, decideInterruptions, type InterruptedState } from './agents-approvals.ts'

/** Any tool of the SDK: made with `tool()`, with `agent.asTool()`, from an MCP server, or by hand. */
export type GovernableTool = {
  readonly type: string
  readonly name: string
  readonly invoke?: (runContext: any, input: string, details?: any) => Promise<any>
}

type ArgsOf<T> = T extends { needsApproval(runContext: any, input: infer A, ...rest: any[]): unknown } ? A : unknown
type AnswerOf<T> = T extends { invoke(...args: any[]): Promise<infer R> } ? R : unknown
/** `tool()` types every result as text, whatever `execute` answers; then nothing is known of it. */
type ResultOf<T> = [Exclude<AnswerOf<T>, string>] extends [never] ? any : Exclude<AnswerOf<T>, string>

/** What a tool requires, costs and may use. `cost`, `actual` and `scope` see the tool's own types. */
export interface ToolRule<Args = any, Result = any> extends ToolOptions<Args, Result>, Ungovernable {}

/**
 * Wraps one tool: every call of the result runs under a session, or is refused. The result has the same type. Throws
 * `ConfigError` for bad options, for a tool that is no function tool, and for a tool that is governed already.
 */
export function governed<T extends GovernableTool>(
  tool: T,
  rule: ToolRule<ArgsOf<NoInfer<T>>, ResultOf<NoInfer<T>>> & { readonly name: string },
  where?: Where,
): T
/** Wraps a list of tools, as an agent has them, each under its name. Every tool needs a rule. */
export function governed<L extends readonly GovernableTool[]>(
  tools: L,
  rules: { readonly [name: string]: ToolRule },
  where?: Where,
): { -readonly [I in keyof L]: L[I] }
/** Wraps a set of tools, each under its key. Every key needs a rule. */
export function governed<S extends Record<string, GovernableTool>>(
  tools: S,
  rules: { readonly [K in keyof S]: ToolRule<ArgsOf<S[K]>, ResultOf<S[K]>> },
  where?: Where,
): S
export function governed(target: any, rules: any, where: Where = {}): unknown {
  const each = (tool: GovernableTool, name: string, rule: ToolRule) => wrap(tool, name, rule, where)
  return wrapAny<GovernableTool, ToolRule>(target, rules, {
    own: '@haldir/openai/agents',
    isTool,
    nameOf: nameIn,
    wrap: each,
  })
}

/**
 * The tools of a set or a list that the session could use with some arguments, by its scopes and the policy as they are
 * now: what a model is not shown it does not try. It is no gate: each call is still judged. A session that is over is
 * permitted nothing, and in shadow mode nothing is left out. Throws `ConfigError` for a tool that did not come through
 * `governed`.
 */
export function permitted<L extends readonly GovernableTool[]>(tools: L, session: Session): L[number][]
export function permitted<S extends Record<string, GovernableTool>>(tools: S, session: Session): S
export function permitted(tools: any, session: Session): unknown {
  return permittedOf<GovernableTool>(tools, session, (tool) => permitsOf(tool, tool?.invoke))
}

type Tool = GovernableTool & {
  readonly invoke: (runContext: any, input: string, details?: any) => Promise<unknown>
  readonly description?: unknown
  readonly parameters?: unknown
  readonly needsApproval?: NeedsApproval
  readonly on?: (...args: unknown[]) => unknown
}

const FRAMEWORK = 'openai-agents'
const ELSEWHERE = 'is no function tool: it runs at the provider, or the SDK runs it in a way of its own'

function wrap(tool: GovernableTool, name: string, rule: ToolRule, where: Where): GovernableTool {
  if (!isFunctionTool(tool)) {
    return leaveUngoverned(tool, { name, framework: FRAMEWORK, why: ELSEWHERE, rule }, where)
  }
  const { ungovernable: _, ...options } = rule
  refuseTwice(tool.invoke, name)
  const made = madeTool(tool)
  const schema = jsonSchemaOf(tool.parameters)
  const read = readerOf(schema, made)
  const run = async (args: unknown, call: { readonly signal: AbortSignal }, context: unknown): Promise<unknown> => {
    const { invocation, direct } = (context as Call | undefined) ?? (await callAlone(args, read))
    if (direct && made) return made.run(invocation, args, () => call.signal)
    const details = withMembers(invocation.details, { signal: { get: () => call.signal } })
    return Reflect.apply(tool.invoke, tool, [invocation.runContext, JSON.stringify(args), details])
  }
  const definition = definitionOf(tool, name, schema)
  const handle = governTool({ framework: FRAMEWORK, name, options, definition, schema, run }, where)
  const invoke = invokeThrough(handle, read, made)
  markWrapped(invoke, handle)
  // A tool that is an agent answers itself when something listens to it: that would be the one without a gate.
  const governedIn = (answer: unknown) => (answer === tool ? copy : answer)
  const inherited = !Object.hasOwn(tool, 'needsApproval')
  const own = inherited ? tool.needsApproval?.bind(tool) : tool.needsApproval
  const copy: GovernableTool = copyTool(tool, {
    invoke,
    needsApproval: made?.asks ? approvalOf(tool, read) : own,
    ...(Object.hasOwn(tool, 'on') && { on: (...args: unknown[]) => governedIn(tool.on?.(...args)) }),
  })
  return pausing(copy, handle, read)
}

/** A call that is resumed without the SDK: the text, and the run, that it came with are gone. */
async function callAlone(args: unknown, read: Reader): Promise<Call> {
  const invocation = { runContext: new RunContext(), text: JSON.stringify(args ?? {}), details: undefined }
  const { direct, misfit } = await read(invocation)
  if (misfit !== undefined) throw new Denied('invalid-arguments', misfit, '')
  return { invocation, direct }
}

/** What `run` needs of a call. */
interface Call extends Pick<Reading, 'direct'> {
  readonly invocation: Invocation
}

function invokeThrough(handle: GovernedHandle, read: Reader, made: MadeTool | undefined) {
  return async function invoke(runContext: unknown, text: string, details?: Details): Promise<unknown> {
    const invocation = { runContext, text, details }
    const { args, misfit, direct } = await read(invocation)
    const outcome = await handle.execute({
      args,
      misfit,
      ref: details?.toolCall?.callId,
      signal: details?.signal,
      session: carriedIn((runContext as { context?: unknown } | undefined)?.context),
      context: { invocation, direct } satisfies Call,
    })
    if (outcome.status === 'ran') return withoutItems(outcome.value)
    const error = thrownFor(outcome)
    // What is thrown here ends the run, and what `execute` throws is hidden: the model reads what is answered. But for
    // what the caller has ended with: that ends the run.
    const refused = Denied.isInstance(error) || Suspended.isInstance(error)
    if (refused && (outcome.status !== 'failed' || !details?.signal?.aborted)) return error.message
    if (typeof error === 'object' && error !== null && ANSWER in error) return error[ANSWER]
    if (direct) return made?.tell(invocation, error)
    throw error
  }
}

/** The developer's function sees what `execute` will; a call that is going to be refused needs nobody's approval. */
function approvalOf(tool: Tool, read: Reader) {
  return async (runContext: unknown, input: unknown, ...rest: unknown[]): Promise<unknown> => {
    const { args, misfit } = await read({ runContext, text: JSON.stringify(input), details: undefined })
    if (misfit !== undefined) return false
    return Reflect.apply(tool.needsApproval as () => unknown, tool, [runContext, args, ...rest])
  }
}

/** A function tool, or one of those that the SDK runs in ways of its own. */
function isTool(value: unknown): value is GovernableTool {
  const { type, name, invoke } = (value ?? {}) as { type?: unknown; name?: unknown; invoke?: unknown }
  if (typeof name !== 'string') return false
  return type === 'function' ? typeof invoke === 'function' : OTHERS.has(type)
}

function isFunctionTool(tool: GovernableTool): tool is Tool {
  return tool.type === 'function'
}

const OTHERS = new Set<unknown>(['hosted_tool', 'computer', 'shell', 'apply_patch'])
