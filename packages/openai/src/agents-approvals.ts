/** How a run of the SDK pauses for people whom Haldir asks, and how it is told what they have said. */
import { ConfigError, type Session } from '@haldir/core'
import { carriedIn, checkKeys, type GovernedHandle, handleOf, isSession } from '@haldir/core/adapter'
import type { Reader } from './agents-reading.ts'

export type NeedsApproval = (runContext: any, input: any, callId?: string, ...rest: unknown[]) => unknown

/**
 * Where calls are suspended, and nowhere else, this stands in the place of a tool's `needsApproval`: the SDK knows its
 * own ones, and pauses for less with those. People are asked, and the run pauses, where the policy wants that. The answer
 * is the same each time, whatever they have said by then: a run that is resumed with nothing decided asks again, and
 * takes a no for leave. What is refused anyway needs no pause.
 */
export function pausing<T extends object>(tool: T, handle: GovernedHandle, read: Reader): T {
  let { needsApproval: own } = tool as { needsApproval?: NeedsApproval }
  const asking: NeedsApproval = async (runContext, input, callId, ...rest) => {
    const { args, misfit } = await read({ runContext, text: JSON.stringify(input), details: undefined })
    const session = carriedIn((runContext as { context?: unknown } | undefined)?.context)
    const { verdict, suspends } = await handle.askAhead({ args, misfit, ref: callId, session })
    if (verdict === 'deny' || suspends) return verdict === 'ask'
    return own ? Reflect.apply(own, tool, [runContext, input, callId, ...rest]) : false
  }
  return Object.defineProperty(tool, 'needsApproval', {
    get: () => (handle.suspends() ? asking : own),
    set(needsApproval) {
      own = needsApproval
    },
    enumerable: true,
  })
}

/** The state of a run, of any version of the SDK. */
export interface InterruptedState {
  getInterruptions(): readonly unknown[]
  approve(item: any): void
  reject(item: any, options: { message: string }): void
}

export interface DecideInterruptionsOptions {
  /** Whose calls they are, where neither the tools, the run's context nor the surroundings say so. */
  readonly session?: Session | undefined
}

/**
 * Tells the state of an interrupted run what people have said of the calls of its governed tools: it approves those with
 * a yes, and rejects those with a no, or that nobody decided in time, in words that the model may read. Answers whether
 * none is left open. It decides nothing by itself: each call is judged when it runs, by what the store says then. Calls
 * that people were not asked about through Haldir are left for the application. Rejects `Unavailable` when the store does
 * not answer.
 */
export async function decideInterruptions(
  state: InterruptedState,
  options: DecideInterruptionsOptions = {},
): Promise<boolean> {
  checkKeys(options, ['session'], 'options of `decideInterruptions`')
  const { session } = options
  if (session !== undefined && !isSession(session)) {
    throw new ConfigError('invalid-option', 'session', '`session` is what `createSession` or `attach` answered')
  }
  const { _context } = state as { _context?: { readonly context?: unknown } }
  const carried = session ?? carriedIn(_context?.context)
  let open = 0
  for (const item of state.getInterruptions() as readonly Interruption[]) {
    const said = await saidOf(item, carried)
    if (said === 'approved') state.approve(item)
    else if (said === undefined) open++
    else state.reject(item, { message: said })
  }
  return open === 0
}

interface Interruption {
  readonly agent?: { readonly tools?: readonly { readonly name?: unknown; readonly invoke?: unknown }[] }
  readonly rawItem: { readonly type?: unknown; readonly callId?: unknown; readonly name?: unknown; arguments?: unknown }
}

/** A yes, the words of a no, or nothing where there is none of both. */
async function saidOf({ agent, rawItem }: Interruption, session: unknown): Promise<string | undefined> {
  const { type, callId, name, arguments: text } = rawItem
  if (type !== 'function_call' || typeof callId !== 'string') return undefined
  for (const tool of agent?.tools ?? []) {
    const handle = tool.name === name ? handleOf(tool.invoke) : undefined
    if (!handle) continue
    // For what is no arguments at all the SDK pauses by itself, and asks nobody what it would run: nothing.
    if (!isObject(text)) return 'approved'
    const answer = await handle.answered({ args: undefined, ref: callId, session })
    if (answer?.status === 'denied') return answer.denial.message
    if (answer) return answer.status === 'approved' ? 'approved' : undefined
  }
  return undefined
}

function isObject(text: unknown): boolean {
  try {
    const read: unknown = JSON.parse(text as string)
    return typeof read === 'object' && read !== null && !Array.isArray(read)
  } catch {
    return false
  }
}
