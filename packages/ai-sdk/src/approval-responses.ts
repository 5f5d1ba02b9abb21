/** Going on after a pause: what the SDK is told of the calls that it asked about, as it stands in the store. */
import { ConfigError, HaldirError, type Session } from '@haldir/core'
import { ambientSession, answeredOf, checkKeys, handleOf, isSession } from '@haldir/core/adapter'
import { type Part, partsOf } from './messages.ts'

/** A call that the loop has paused for, as its messages have it. */
export interface PausedCall {
  readonly approvalId: string
  readonly toolCallId: string
  readonly toolName: string
  readonly input: unknown
}

export interface ApprovalResponsesOptions {
  /** Whose calls they are: the ambient session, unless given. */
  readonly session?: Session
  /** The tools that the loop goes on with: needed where one is governed under another name than the model calls it by. */
  readonly tools?: object
  /**
   * Answers what nobody was asked about through Haldir, such as what a tool's own `needsApproval` asks. `undefined`: not
   * answered yet. Unless given, the answer counts that stands in the messages already.
   */
  readonly others?: (
    call: PausedCall,
  ) => MaybePromise<{ readonly approved: boolean; readonly reason?: string } | undefined>
}

type MaybePromise<T> = T | PromiseLike<T>

/** What `generateText` and the others go on with, after the messages. */
export interface ApprovalResponses {
  role: 'tool'
  content: ApprovalResponse[]
}

export interface ApprovalResponse {
  type: 'tool-approval-response'
  approvalId: string
  approved: boolean
  reason?: string
}

/**
 * The message that answers every open `tool-approval-request` of stored messages (AI SDK 6 and 7), to be added to them.
 * `undefined` while people have not decided on all of them, for the SDK goes on with a step as a whole; and when nothing
 * is open. Changes nothing: whether a call runs is decided when it comes, by the store, whatever a message says.
 *
 * Rejects with `ConfigError` without a session, with `HaldirError` and the code `unknown` for a call that nobody was
 * asked about and nobody answers, and with `Unavailable` when the store does not say.
 */
export async function approvalResponses(
  messages: readonly unknown[],
  options: ApprovalResponsesOptions = {},
): Promise<ApprovalResponses | undefined> {
  const session = check(messages, options)
  const { paused, said } = openIn(messages)
  const content: ApprovalResponse[] = []
  for (const call of paused) {
    const answer = (await decided(call, session, options.tools)) ?? (await other(call, options, said))
    if (answer === 'pending') return undefined
    const { approved, reason } = answer
    const why = reason === undefined ? {} : { reason }
    content.push({ type: 'tool-approval-response', approvalId: call.approvalId, approved, ...why })
  }
  return content.length > 0 ? { role: 'tool', content } : undefined
}

type Answer = { readonly approved: boolean; readonly reason?: string } | 'pending'

/** What the store says; nothing, where nobody was asked. */
async function decided(call: PausedCall, session: Session, tools: object = {}): Promise<Answer | undefined> {
  const { toolName, toolCallId: ref, input: args } = call
  const handle = handleOf((tools as Record<string, { execute?: unknown } | undefined>)[toolName]?.execute)
  const known = await (handle ? handle.answered({ args, ref, session }) : answeredOf(session, toolName, ref))
  if (!known) return undefined
  if (known.status === 'denied') return { approved: false, reason: known.denial.message }
  return known.status === 'approved' ? { approved: true } : 'pending'
}

async function other(
  call: PausedCall,
  { others }: ApprovalResponsesOptions,
  said: ReadonlyMap<unknown, Part>,
): Promise<Answer> {
  if (others) return (await others(call)) ?? 'pending'
  const { approved, reason } = said.get(call.approvalId) ?? {}
  if (typeof approved === 'boolean') return { approved, ...(typeof reason === 'string' ? { reason } : {}) }
  throw new HaldirError('unknown', 'nobody was asked about one of the calls under this session: `others` may answer it')
}

/** The calls that the last step has paused for and that have no result, and what is said of them already. */
function openIn(messages: readonly unknown[]): { paused: readonly PausedCall[]; said: ReadonlyMap<unknown, Part> } {
  const at = messages.findLastIndex((message) => (message as { role?: unknown } | null)?.role === 'assistant')
  const step = partsOf(messages[at], 'assistant')
  const after = messages.slice(at + 1).flatMap((message) => partsOf(message, 'tool'))
  const ended = new Set(after.flatMap(({ type, toolCallId }) => (type === 'tool-result' ? [toolCallId] : [])))
  const said = new Map(
    after.filter(({ type }) => type === 'tool-approval-response').map((part) => [part.approvalId, part]),
  )
  const paused = step.flatMap(({ type, approvalId, toolCallId }): PausedCall[] => {
    if (type !== 'tool-approval-request' || typeof approvalId !== 'string' || typeof toolCallId !== 'string') return []
    if (ended.has(toolCallId)) return []
    // The SDK runs the last one of an id.
    const call = step.findLast((part) => part.type === 'tool-call' && part.toolCallId === toolCallId)
    return [{ approvalId, toolCallId, toolName: String(call?.toolName), input: call?.input }]
  })
  return { paused, said }
}

function check(messages: readonly unknown[], options: ApprovalResponsesOptions): Session {
  checkKeys(options, ['tools', 'session', 'others'], 'options of `approvalResponses`')
  const { tools = {}, session = ambientSession(), others } = options
  if (!Array.isArray(messages)) throw invalid('messages', 'is the list of messages that the loop has paused with')
  if (typeof tools !== 'object' || tools === null)
    throw invalid('tools', 'is the set of tools that the loop goes on with')
  if (others !== undefined && typeof others !== 'function') throw invalid('others', 'is a function')
  if (!isSession(session))
    throw invalid('session', 'is what `createSession` or `attach` answered; there is no ambient one')
  return session
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
