/** Messages of the SDK as they come from wherever the application has kept them: anything may stand there. */

/** A part of a message, as far as the adapter reads it. */
export interface Part {
  readonly type?: unknown
  readonly toolCallId?: unknown
  readonly toolName?: unknown
  readonly input?: unknown
  readonly approvalId?: unknown
  readonly approved?: unknown
  readonly reason?: unknown
}

/** The parts of a message, if it is of that role and has any. */
export function partsOf(message: unknown, role: string): readonly Part[] {
  const { role: found, content } = (message ?? {}) as { readonly role?: unknown; readonly content?: unknown }
  if (found !== role || !Array.isArray(content)) return []
  return content.filter((part) => typeof part === 'object' && part !== null)
}
