/** Calls of one answer of the model, some of which wait for a person. */
import { ConfigError, Suspended } from '@haldir/core'

/** An item for the `input` of the next request. */
export interface FunctionCallOutput {
  readonly type: 'function_call_output'
  readonly call_id: string
  readonly output: string
}

/** A message for the `messages` of the next request. */
export interface ToolMessage {
  readonly role: 'tool'
  readonly tool_call_id: string
  readonly content: string
}

export type CallOutput = FunctionCallOutput | ToolMessage

/** A call that waits. `callId` is the model's own id of it. */
export interface SuspendedCall {
  readonly callId: string
  readonly suspended: Suspended
}

/**
 * Some calls wait for a person, and the model can't be answered yet. The others have run, and are answered in `outputs`:
 * keep these with the response, and hand them to `runToolCalls` again as `answered` when people have decided. As a
 * `Suspended` it is the first of `calls`.
 */
export class SuspendedCalls extends Suspended {
  readonly calls: readonly SuspendedCall[]
  /** JSON data. */
  readonly outputs: readonly CallOutput[]

  constructor(calls: readonly [SuspendedCall, ...SuspendedCall[]], outputs: readonly CallOutput[]) {
    const [{ suspended }] = calls
    super(suspended.reason, suspended.approvalId, suspended.callId, suspended.expiresAt)
    this.calls = calls
    this.outputs = outputs
  }

  override get name(): string {
    return 'SuspendedCalls'
  }

  static override isInstance(value: unknown): value is SuspendedCalls {
    return Suspended.isInstance(value) && 'outputs' in value && 'calls' in value
  }
}

/** What was answered before, by the id of the call. Throws `ConfigError` for anything else. */
export function answeredBy(outputs: unknown): ReadonlyMap<string, CallOutput> {
  const answered = new Map<string, CallOutput>()
  for (const output of Array.isArray(outputs) ? outputs : [undefined]) {
    const { call_id, tool_call_id, output: text, content = text } = (output ?? {}) as Record<string, unknown>
    const id = call_id ?? tool_call_id
    if (typeof id !== 'string' || typeof content !== 'string') {
      throw new ConfigError('invalid-option', 'answered', '`answered` is the `outputs` of a `SuspendedCalls`')
    }
    answered.set(id, output)
  }
  return answered
}
