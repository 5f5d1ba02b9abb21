/**
 * Tools of Mastra, which have the shape of the AI SDK's. What `execute` gets second is Mastra's own, and it checks
 * arguments there itself, once more after the agent has: answering a value, which would be too late to refuse a call.
 */
import type { Suspended } from '@haldir/core'
import { misfitFrom } from '@haldir/core/adapter'

/** What Mastra gives to `execute` beside the arguments, as far as the adapter reads it. */
export interface MastraContext {
  readonly requestContext?: { get?(key: string): unknown }
  /** Without storage nothing that pauses can be resumed. */
  readonly mastra?: { getStorage?(): unknown }
  readonly agent?: Pausable & { readonly toolCallId?: string }
  readonly workflow?: Pausable
}

/** An agent's call, or a step of a workflow. */
interface Pausable {
  suspend?(payload: object): unknown
  readonly resumeData?: unknown
  /** What it was paused with, when it was. */
  readonly suspendPayload?: { readonly haldir?: unknown } | null
}

/** Built with `createTool`, by any copy of Mastra. */
export function isMastra(tool: object): boolean {
  return (tool as { [MARKER]?: unknown })[MARKER] === true
}

const MARKER = Symbol.for('mastra.core.tool.Tool')

/** The session in the request context, whatever stands there. */
export function requestSession(context: MastraContext | undefined): unknown {
  return context?.requestContext?.get?.('haldirSession')
}

/** What is wrong with arguments that no agent has checked: those of a workflow, or of whoever calls the tool. */
export function misfitFor(tool: object, args: unknown, context: MastraContext | undefined): string | undefined {
  const { inputSchema } = tool as { inputSchema?: { '~standard'?: { validate?(value: unknown): unknown } } }
  if (!isMastra(tool) || context?.agent) return undefined
  try {
    const { issues } = (inputSchema?.['~standard']?.validate?.(args) ?? {}) as { issues?: unknown }
    return issues ? misfitFrom(issues) : undefined
  } catch {
    return misfitFrom([])
  }
}

/**
 * Pauses the agent or the workflow for people; nothing, where that could not be resumed, or where the tool has schemas of
 * its own for what a pause says. What it is resumed with is no answer: the call comes again, and the store is asked.
 */
export function pauseFor(
  tool: object,
  context: MastraContext | undefined,
  { approvalId, reason, expiresAt }: Suspended,
): Promise<unknown> | undefined {
  const { suspendSchema, resumeSchema } = tool as { suspendSchema?: unknown; resumeSchema?: unknown }
  const at = context?.agent ?? context?.workflow
  if (suspendSchema || resumeSchema || !at?.suspend || !context?.mastra?.getStorage?.()) return undefined
  return Promise.resolve(at.suspend({ haldir: { approvalId, reason, expiresAt: expiresAt.toISOString() } }))
}

/**
 * Calls with the context holding another signal, for as long as Mastra takes to read it. It has to be the same object:
 * by that Mastra knows which arguments it has checked. What has ended a pause for people is not shown to the tool, which
 * might take it for the answer to a question of its own.
 */
export function lendSignal<T>(
  context: MastraContext | undefined,
  signal: AbortSignal,
  call: (context: object) => T,
): T {
  const lent = { abortSignal: signal, ...withoutWake(context) }
  const own = Object.getOwnPropertyDescriptors(context ?? {})
  const isLent = Object.entries(lent).every(
    ([name, value]) =>
      context && Reflect.defineProperty(context, name, { value, enumerable: true, configurable: true, writable: true }),
  )
  try {
    return call(isLent ? (context as object) : { ...context, ...lent })
  } finally {
    for (const name of context ? Object.keys(lent) : []) {
      const before = (own as Record<string, PropertyDescriptor>)[name]
      Reflect.deleteProperty(context as object, name)
      if (before) Reflect.defineProperty(context as object, name, before)
    }
  }
}

/** The members of a context that say what a pause of ours has ended with, without that. */
function withoutWake(context: MastraContext | undefined): object {
  const { agent, workflow } = context ?? {}
  if (!(agent ?? workflow)?.suspendPayload?.haldir) return {}
  const nothing = { resumeData: undefined, suspendPayload: undefined }
  return {
    ...nothing,
    ...(agent && { agent: { ...agent, ...nothing } }),
    ...(workflow && { workflow: { ...workflow, ...nothing } }),
  }
}
