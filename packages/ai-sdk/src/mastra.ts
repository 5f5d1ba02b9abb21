/**
 * Tools of Mastra, which have the shape of the AI SDK's. What `execute` gets second is Mastra's own, and it checks
 * arguments there itself, once more after the agent has: answering a value, which would be too late to refuse a call.
 */
import { misfitFrom } from '@haldir/core/adapter'

/** What Mastra gives to `execute` beside the arguments, as far as the adapter reads it. */
export interface MastraContext {
  readonly requestContext?: { get?(key: string): unknown }
  readonly agent?: { readonly toolCallId?: string }
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
 * Calls with the context holding another signal, for as long as Mastra takes to read it. It has to be the same object:
 * by that Mastra knows which arguments it has checked.
 */
export function lendSignal<T>(context: object | undefined, signal: AbortSignal, call: (context: object) => T): T {
  const own = context && Object.getOwnPropertyDescriptor(context, 'abortSignal')
  const lent = { value: signal, enumerable: true, configurable: true, writable: true }
  if (!context || !Reflect.defineProperty(context, 'abortSignal', lent)) {
    return call({ ...context, abortSignal: signal })
  }
  try {
    return call(context)
  } finally {
    Reflect.deleteProperty(context, 'abortSignal')
    if (own) Reflect.defineProperty(context, 'abortSignal', own)
  }
}
