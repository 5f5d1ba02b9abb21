/** `toolApproval`: the verdict as AI SDK 7 asks for it, before a call. The gate in `execute` is asked again. */
import { ConfigError } from '@haldir/core'
import { carriedIn, handleOf } from '@haldir/core/adapter'
import { asksItself } from './pause.ts'

/** What the SDK says of a call when it asks. */
export interface ToolApprovalQuestion {
  readonly toolCall: { readonly toolName: string; readonly toolCallId: string; readonly input: unknown }
  readonly tools: object | undefined
  readonly toolsContext: unknown
  readonly messages: readonly unknown[]
}

/** What it is told. `not-applicable`: nobody has to be asked; whether the call may run is decided when it does. */
export type ToolApprovalAnswer =
  | { readonly type: 'not-applicable' }
  | { readonly type: 'user-approval'; readonly reason?: string }
  | { readonly type: 'denied'; readonly reason: string }

export type ToolApproval = (question: ToolApprovalQuestion) => Promise<ToolApprovalAnswer>

/**
 * For the option `toolApproval` of `generateText`, `streamText` and `ToolLoopAgent` (AI SDK 7). A call of a governed
 * tool that would be refused is denied at once, with the safe sentence as the reason, and recorded as refused. Where the
 * policy asks for a person, the loop pauses if calls are suspended for that, or if nobody can be asked but the SDK's user;
 * a call that waits does so when it runs. A tool's own `needsApproval` is heeded as without it.
 */
export function toolApproval(): ToolApproval {
  return async ({ toolCall, tools, toolsContext, messages }) => {
    const { toolName, toolCallId, input } = toolCall
    // The name comes from the model: one that every object inherits is no tool.
    const tool = own(tools, toolName) as Approvable | undefined
    if (!tool) return NOT_APPLICABLE
    const context = await contextFor(tool, own(toolsContext, toolName))
    const said = await handleOf(tool.execute)?.preempt({ args: input, ref: toolCallId, session: carriedIn(context) })
    if (said && 'status' in said) return said.status === 'denied' ? denied(said.denial) : NOT_APPLICABLE
    // What waits for people does so when it runs.
    if (said?.verdict === 'ask' && said.suspends !== false) return { type: 'user-approval', reason: said.reason }
    // The SDK asks a tool's `needsApproval` only when nobody was asked here. `approved` would pass over it, too.
    const needed = await asksItself(tool, input, { toolCallId, messages, context })
    return needed ? { type: 'user-approval' } : NOT_APPLICABLE
  }
}

const NOT_APPLICABLE: ToolApprovalAnswer = Object.freeze({ type: 'not-applicable' })

function denied({ message }: Error): ToolApprovalAnswer {
  return { type: 'denied', reason: message }
}

interface Approvable {
  readonly execute?: unknown
  readonly needsApproval?: unknown
  readonly contextSchema?: unknown
}

function own(holder: unknown, name: string): unknown {
  return typeof holder === 'object' && holder !== null && Object.hasOwn(holder, name)
    ? (holder as Record<string, unknown>)[name]
    : undefined
}

/**
 * The context as the tool gets it: what its schema makes of what the application gave. Rejects when that does not fit,
 * as the SDK does when it runs such a tool.
 */
async function contextFor({ contextSchema }: Approvable, given: unknown): Promise<unknown> {
  // The SDK takes a schema of the Standard kind, one of its own, or a function that makes one.
  const schema =
    typeof contextSchema === 'function' && !('~standard' in contextSchema) ? contextSchema() : contextSchema
  if (schema === undefined || schema === null) return given
  const { '~standard': standard, validate } = schema as ContextSchema
  if (standard) {
    const { issues, value } = await standard.validate(given)
    if (!issues) return value
  } else {
    const checked = await validate?.(given)
    if (!checked) return given
    if (checked.success) return checked.value
  }
  throw new ConfigError('invalid-option', 'toolsContext', '`toolsContext` does not fit the `contextSchema` of its tool')
}

interface ContextSchema {
  readonly '~standard'?: { validate(value: unknown): MaybePromise<{ issues?: unknown; value?: unknown }> }
  readonly validate?: (value: unknown) => MaybePromise<{ success: boolean; value?: unknown }>
}

type MaybePromise<T> = T | PromiseLike<T>
