/** `runToolCalls`: for loops written by hand, with the Responses API or with Chat Completions. */
import { ConfigError, Denied, type Haldir, type Session, Suspended } from '@haldir/core'
import { checkKeys, handleOf, permitsOf, UNREADABLE, unknownTool, type Where } from '@haldir/core/adapter'
import { type CallSource, callsOf, type MessageLike, type ResponseLike, type ToolCall } from './calls.ts'
import { whereOf } from './governed.ts'
import { readJson, readOf } from './reading.ts'
import { callbackOf, FRAMEWORK, type GovernableTool, nameOf, type Parse, type Shape, shapeOf } from './shape.ts'
import {
  answeredBy,
  type CallOutput,
  type FunctionCallOutput,
  type SuspendedCall,
  SuspendedCalls,
  type ToolMessage,
} from './suspended-calls.ts'

export interface RunToolCallsOptions {
  /** Whose calls they are, where neither the tools nor the surroundings say so. */
  readonly session?: Session | undefined
  /** On whose trail a call of an unknown tool goes, where neither the tools nor a session say so. */
  readonly haldir?: Haldir | undefined
  /** Aborts the calls. They are still answered. */
  readonly signal?: AbortSignal | undefined
  /** What was answered before some calls were suspended (`outputs` of `SuspendedCalls`): those calls do not run again. */
  readonly answered?: readonly CallOutput[] | undefined
  /** Is told of each error a tool threw. The model reads what it answers, if that is text; what it throws ends it all. */
  readonly onError?: ((error: unknown, call: { readonly name: string; readonly callId: string }) => unknown) | undefined
}

type Tools = Readonly<Record<string, GovernableTool>> | readonly GovernableTool[]

/**
 * Runs the function calls of a response, all at once, and answers each with an item for the next request, in their
 * order: a result, a denial, or that the tool failed. Calls that are broken, cut off or of no known tool are refused, and
 * on record. Left alone, for the application to answer, are calls of custom and of hosted tools, approval requests, and
 * functions that were left ungoverned. Rejects with `ConfigError` for a tool that is not governed, before anything runs,
 * and with `SuspendedCalls` when people have to decide about some calls, after all others have run.
 */
export function runToolCalls(
  response: ResponseLike | ResponseLike['output'],
  tools: Tools,
  options?: RunToolCallsOptions,
): Promise<FunctionCallOutput[]>
/** The same for a chat completion, or its message. */
export function runToolCalls(
  completion: { readonly choices: readonly { readonly message: MessageLike }[] } | MessageLike,
  tools: Tools,
  options?: RunToolCallsOptions,
): Promise<ToolMessage[]>
export async function runToolCalls(
  source: CallSource,
  tools: Tools,
  options: RunToolCallsOptions = {},
): Promise<CallOutput[]> {
  checkKeys(options, ['session', 'haldir', 'signal', 'answered', 'onError'], 'options of `runToolCalls`')
  const { kind, calls } = callsOf(source)
  const find = finder(tools)
  const { haldir, answered = [] } = options
  const where = { ...whereOf(find.gates), ...(haldir && { haldir }) }
  const known = answeredBy(answered)
  // As `runTools` does: nothing is left running when it rejects.
  const settled = await Promise.allSettled(
    calls.map((call) => known.get(call.id) ?? answer(call, find.tool(call), where, options)),
  )
  const waiting: SuspendedCall[] = []
  const outputs = settled.flatMap((one, index): CallOutput[] => {
    if (one.status === 'rejected') throw one.reason
    const { value } = one
    const { id } = calls[index] as ToolCall
    if (Suspended.isInstance(value)) waiting.push({ callId: id, suspended: value })
    if (typeof value === 'object') return Suspended.isInstance(value) ? [] : [value]
    if (value === undefined) return []
    return kind === 'response'
      ? [{ type: 'function_call_output', call_id: id, output: value }]
      : [{ role: 'tool', tool_call_id: id, content: value }]
  })
  // Without an answer to each call the model can't go on.
  const [first, ...others] = waiting
  if (first) throw new SuspendedCalls([first, ...others], outputs)
  return outputs
}

/** A governed tool, or that the application answers for it. */
type Found = Shape | 'left' | undefined

/** What the model reads; nothing, where the application answers; or that a person has to decide first. */
async function answer(
  { id: ref, name, text, cut }: ToolCall,
  shape: Found,
  where: Where,
  { session, signal, onError }: RunToolCallsOptions,
): Promise<string | Suspended | undefined> {
  if (shape === 'left') return undefined
  const handle = shape && handleOf(callbackOf(shape))
  if (!shape || !handle || cut) {
    const read = cut ? { args: UNREADABLE, misfit: CUT } : readOf(readJson(text))
    const refused = handle ?? unknownTool(FRAMEWORK, name, where)
    const outcome = await refused.execute({ ...read, ref, session, signal })
    return outcome.status === 'denied' ? outcome.denial.message : FAILED
  }
  const beside = [{ signal, callId: ref }, ...(session === undefined ? [] : [{ haldirSession: session }])]
  let failed: string | undefined
  try {
    // Where the tool has no `parse`, the gate reads the text.
    const args = shape.parse ? await (shape.owner[shape.parse] as Parse).call(undefined, text) : text
    const value = await callbackOf(shape)(args, ...beside)
    failed = UNWRITTEN
    return written(value)
  } catch (error) {
    if (Suspended.isInstance(error)) return error
    const said = await onError?.(error, { name, callId: ref })
    return typeof said === 'string' ? said : (failed ?? errorText(error))
  }
}

const CUT = 'the answer ended before the call was complete'
const FAILED = 'The tool failed.'
const UNWRITTEN = 'The tool ran, but what it answered can not be written as JSON.'

/** As `runTools` writes results. */
function written(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))
}

/** What a tool's own error says, without what may stand below it: a stack, a query. */
function errorText(error: unknown): string {
  if (Denied.isInstance(error)) return error.message
  const { message = error } = (error ?? {}) as { message?: unknown }
  const [line = ''] = typeof message === 'string' ? message.trim().split(/[\r\n]/, 1) : []
  return line === '' ? FAILED : `The tool failed: ${line.slice(0, 300)}`
}

/** Finds tools by what the model calls them. A namespace of the Responses API is a set of its own. */
function finder(tools: Tools) {
  if (typeof tools !== 'object' || tools === null) {
    throw new ConfigError('invalid-option', 'tools', '`tools` is an object or a list of governed tools')
  }
  const known = named(Object.values(tools))
  const namespaces = new Map<unknown, ReadonlyMap<string, Found>>()
  for (const tool of Object.values(tools) as (NamespaceLike | undefined)[]) {
    if (tool?.type === 'namespace' && Array.isArray(tool.tools)) namespaces.set(tool.name, named(tool.tools))
  }
  const shapes = [known, ...namespaces.values()].flatMap((set) => [...set.values()])
  return {
    gates: shapes.flatMap((shape) => (typeof shape === 'object' ? [callbackOf(shape)] : [])),
    tool({ name, namespace }: ToolCall): Found {
      if (namespace === undefined || namespace === null) return known.get(name)
      // A tool that was searched for is called as if it were alone in a namespace of its name.
      return (namespaces.get(namespace) ?? (namespace === name ? known : undefined))?.get(name)
    },
  }
}

interface NamespaceLike extends GovernableTool {
  readonly name?: unknown
  readonly tools?: unknown
}

function named(tools: readonly GovernableTool[]): ReadonlyMap<string, Found> {
  const found = new Map<string, Found>()
  for (const tool of tools) {
    if (tool?.type !== 'function') continue
    const name = nameOf(tool)
    if (found.has(name)) throw new ConfigError('invalid-option', 'tools', `\`${name}\` stands twice in \`tools\``)
    const shape = shapeOf(tool)
    const gate = shape ? callbackOf(shape) : tool
    if (!permitsOf(tool, gate)) throw new ConfigError('ungovernable', name, `\`${name}\` is not governed`)
    found.set(name, shape ?? 'left')
  }
  return found
}
