/** One call of a tool through its gate, and how LangChain is told what came of it. */
import { type CurrentCall, Denied, Suspended } from '@haldir/core'
import { carriedIn, type GovernedHandle, isIterable, onlyItem, thrownFor } from '@haldir/core/adapter'
import { ToolMessage } from '@langchain/core/messages'
import { type Pausable, pauseOf, refIn, takeWakes } from './pause.ts'

/** What LangChain hands to a tool beside its arguments, as far as the gate looks at it. */
export interface Config extends Pausable {
  readonly toolCall?: { readonly id?: unknown; readonly args?: unknown }
  /** The same id, where newer versions put it. */
  readonly toolCallId?: unknown
  readonly signal?: AbortSignal
}

/** Who hears of a run: of a tool's events, and of what goes wrong with them. */
export interface Manager {
  handleToolEvent?(event: unknown): unknown
  handleToolError?(error: unknown): unknown
}

/** A call as it reaches the gate. */
export interface Asked {
  readonly args: unknown
  readonly misfit?: string | undefined
  readonly config: Config | undefined
  /** Present where LangChain takes what the tool answers for a generator, if it is one. */
  readonly listens?: Manager
  /** LangChain takes no answer of the tool but a pair of content and artifact. */
  readonly paired?: boolean
  /** Starts the original tool with what was judged. */
  start(args: unknown, config: Config): unknown
  /** How many events there were before the result, as soon as that is there. */
  events?: number
}

/** Errors that the gate has let out: their calls were judged, whatever else throws them on. */
const passed = new WeakSet<object>()

export function cameThrough(error: unknown): boolean {
  return typeof error === 'object' && error !== null && passed.has(error)
}

/** The framework's id of a call, of either place. */
export function idOf(config: Config | undefined): string | undefined {
  const id = config?.toolCall?.id ?? config?.toolCallId
  return typeof id === 'string' ? id : undefined
}

/** Takes a call through the gate. A denial is answered as a message where there is a call to answer, else thrown. */
export async function pass(handle: GovernedHandle, name: string, asked: Asked): Promise<unknown> {
  const { args, misfit, config } = asked
  const [id, session] = [idOf(config), carriedIn(config?.configurable)]
  const ref = refIn(handle, id, config)
  const request = { args, misfit, ref, session, signal: config?.signal, context: asked }
  const outcome = await handle.executeOrStream(request)
  try {
    if (outcome.status !== 'ran') throw thrownFor(outcome)
    return 'items' in outcome ? await resultOf(outcome.items, asked) : outcome.value
  } catch (why) {
    const pause = Suspended.isInstance(why) ? pauseOf(why, name, config) : undefined
    // Thrown, a denial would be run again by retries, end some runs, and reach the model with a plea to try once more.
    // A call that came without an id is one all the same.
    if (!pause && isRefusal(why) && (id !== undefined || config?.toolCall)) {
      const message = new ToolMessage({ status: 'error', content: why.message, tool_call_id: id ?? '', name })
      return asked.paired ? [message, undefined] : message
    }
    const thrown = pause ?? why
    if (typeof thrown === 'object' && thrown !== null) passed.add(thrown)
    throw thrown
  }
}

function isRefusal(why: unknown): why is Denied | Suspended {
  return Denied.isInstance(why) || Suspended.isInstance(why)
}

/** Tells of the events, and answers the result, which comes after them. */
async function resultOf(items: AsyncIterable<unknown>, asked: Asked): Promise<unknown> {
  let [result, count]: [unknown, number] = [undefined, 0]
  for await (const item of items) {
    if (count++ === asked.events) result = item
    else await tell(asked.listens, item)
  }
  return result
}

/** For `governTool`: what the tool answers, or, of a generator, its events and last its result. */
export async function runThrough(args: unknown, call: CurrentCall, context: unknown): Promise<unknown> {
  const asked = context as Asked
  if (call.approval !== undefined) takeWakes(asked.config)
  const result = await asked.start(args, innerConfig(asked.config, args, call))
  if (asked.listens && isStepped(result)) return steps(result, asked)
  if (!isIterable(result)) return result
  // What LangChain does not read by itself is a result like another.
  asked.events = 0
  return onlyItem(result)
}

/** The same for a call that is resumed without its framework: no one listens to events. */
export async function runAlone(args: unknown, call: CurrentCall, start: Asked['start']): Promise<unknown> {
  const result = await start(args, { signal: call.signal })
  if (!isStepped(result)) return result
  for (;;) {
    const { done, value } = await result.next()
    if (done) return value
  }
}

async function* steps(source: AsyncIterator<unknown>, asked: Asked): AsyncGenerator<unknown> {
  try {
    for (let events = 0; ; events++) {
      const { done, value } = await source.next()
      if (done) asked.events = events
      yield value
      if (done) return
    }
  } finally {
    await source.return?.(undefined)
  }
}

/** As LangChain tells of an event: what goes wrong with that is no error of the tool. */
async function tell(manager: Manager | undefined, event: unknown): Promise<void> {
  try {
    await manager?.handleToolEvent?.(event)
  } catch (error) {
    await manager?.handleToolError?.(error)
  }
}

/**
 * The same config, but for a signal that also aborts when the session ends, and the arguments that were judged in the
 * place of what the model wrote. Plain members: LangChain copies it again and again, and a getter makes that slow.
 */
function innerConfig(config: Config | undefined, args: unknown, { signal }: CurrentCall): Config {
  const toolCall = config?.toolCall
  if (!toolCall) return { ...config, signal }
  const said = typeof args === 'object' && args !== null ? args : { input: args }
  return { ...config, toolCall: { ...toolCall, args: said }, signal }
}

/** What LangChain reads step by step. */
function isStepped(value: unknown): value is AsyncIterator<unknown> {
  return typeof value === 'object' && typeof (value as { next?: unknown } | null)?.next === 'function'
}
