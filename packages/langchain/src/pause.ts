/** How a call that waits for a person pauses a graph of LangGraph, and is known again when the graph goes on. */
import type { Suspended } from '@haldir/core'
import type { GovernedHandle } from '@haldir/core/adapter'

/** What a graph hands to what it runs, as far as a pause needs it. */
export interface Pausable {
  readonly configurable?: object
  /** Answers what the graph was resumed with, as often as it was, and else throws what pauses it. From 1.1 on. */
  readonly interrupt?: unknown
}

/**
 * What names a call for as long as it may pause: models and providers use the ids of calls again in other threads. It is
 * the same each time the graph comes to the call.
 */
export function refIn(
  handle: GovernedHandle,
  id: string | undefined,
  config: Pausable | undefined,
): string | undefined {
  const { thread_id: thread } = (config?.configurable ?? {}) as { readonly thread_id?: unknown }
  const named = typeof thread === 'string' || typeof thread === 'number'
  return id !== undefined && named && handle.suspends() ? `${id}@${thread}` : id
}

/**
 * What to throw so that the graph pauses; nothing, where there is no graph, or none that keeps checkpoints. What a graph
 * is resumed with is no answer: that stands in the store, and the store has just been asked.
 */
export function pauseOf(
  { approvalId, reason, expiresAt }: Suspended,
  tool: string,
  config: Pausable | undefined,
): unknown {
  return interrupted(config, { haldir: { approvalId, tool, reason, expiresAt: expiresAt.toISOString() } })
}

/**
 * For a call that was paused and may run now. What woke the graph is still there for whoever asks next: a tool that
 * pauses by itself must not take that for the answer to its own question.
 */
export function takeWakes(config: Pausable | undefined): void {
  interrupted(config, undefined)
}

function interrupted(config: Pausable | undefined, told: unknown): unknown {
  const { interrupt } = config ?? {}
  if (typeof interrupt !== 'function') return undefined
  try {
    for (let taken = 0; taken < MOST_WAKES; taken++) interrupt(told)
  } catch (thrown) {
    // Without checkpoints it throws an error like any other.
    return (thrown as { readonly is_bubble_up?: unknown } | null | undefined)?.is_bubble_up === true
      ? thrown
      : undefined
  }
  return undefined
}

/** Something that never pauses is no graph. */
const MOST_WAKES = 10_000
