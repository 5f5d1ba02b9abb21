/** The function calls of what a model answered, in either API. */
import { ConfigError } from '@haldir/core'

/** A response of the Responses API, as far as its calls go; in every version of the SDK. */
export interface ResponseLike {
  readonly output: readonly { readonly type: string }[]
  readonly status?: string | null | undefined
}

/** The message of a chat completion, as far as its calls go. */
export interface MessageLike {
  readonly role: 'assistant'
  readonly tool_calls?: readonly { readonly id: string; readonly type: string }[] | null | undefined
}

export type CallSource =
  | ResponseLike
  | ResponseLike['output']
  | { readonly choices: readonly { readonly message: MessageLike; readonly finish_reason?: unknown }[] }
  | MessageLike

export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly namespace?: unknown
  readonly text: string
  /** The model was stopped: there may be more that it did not get to say. */
  readonly cut: boolean
}

/** Throws `ConfigError` for what is no answer of a model, and for several answers at once. */
export function callsOf(source: CallSource): { readonly kind: 'response' | 'chat'; readonly calls: ToolCall[] } {
  if (Array.isArray(source)) return { kind: 'response', calls: itemsOf(source, false) }
  const { output, status, choices, role, tool_calls } = (source ?? {}) as Record<string, unknown>
  if (Array.isArray(output)) {
    const whole = status === undefined || status === null || status === 'completed'
    return { kind: 'response', calls: itemsOf(output, !whole) }
  }
  if (Array.isArray(choices)) {
    const [choice, ...others] = choices as { message?: MessageLike; finish_reason?: unknown }[]
    if (others.length > 0) {
      throw new ConfigError('invalid-option', 'choices', 'there are several `choices`: hand over the message of one')
    }
    const cut = choice?.finish_reason === 'length' || choice?.finish_reason === 'content_filter'
    return { kind: 'chat', calls: callsIn(choice?.message?.tool_calls, cut) }
  }
  if (role === 'assistant') return { kind: 'chat', calls: callsIn(tool_calls, false) }
  const what = 'takes a response or its `output`, a chat completion or its message'
  throw new ConfigError('invalid-option', 'response', `\`runToolCalls\` ${what}`)
}

interface Item {
  readonly type?: unknown
  readonly call_id?: unknown
  readonly name?: unknown
  readonly namespace?: unknown
  readonly arguments?: unknown
  readonly status?: unknown
}

function itemsOf(output: readonly Item[], cut: boolean): ToolCall[] {
  return output
    .filter((item) => item?.type === 'function_call')
    .map(({ call_id, name, namespace, arguments: text, status }) => ({
      id: call_id as string,
      name: name as string,
      namespace,
      text: textOf(text),
      cut: cut || status === 'incomplete' || status === 'in_progress',
    }))
}

function callsIn(calls: unknown, cut: boolean): ToolCall[] {
  if (!Array.isArray(calls)) return []
  return (calls as { id: string; function?: { name: string; arguments?: unknown } | null }[]).flatMap((call) => {
    const { id, function: fn } = call ?? {}
    return fn ? [{ id, name: fn.name, text: textOf(fn.arguments), cut }] : []
  })
}

/** Some servers leave out what is empty, or send what they have read already. */
function textOf(text: unknown): string {
  return typeof text === 'string' ? text : JSON.stringify(text ?? {})
}
