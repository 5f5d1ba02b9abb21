/** The options of `createHaldir` that say how people are asked. */
import type { Approver } from '../approvers/approver.ts'
import { type Duration, parseDuration } from '../duration.ts'
import { ConfigError } from '../errors.ts'
import type { Session } from '../gate/sessions.ts'
import { checkKeys } from '../options.ts'
import type { CheckedApprovals } from './approvals.ts'

export interface ApprovalOptions {
  /** What becomes of a call meanwhile: it waits, or it is suspended. `wait` unless given; a tool may say otherwise. */
  readonly mode?: 'wait' | 'suspend'
  /** How long people have, where the rule does not say: 5 minutes in `wait`, a day in `suspend`, unless given. */
  readonly timeout?: Duration
  /** How many approvals may be pending at once; 5 of a session and 20 of an agent unless given. */
  readonly pending?: { readonly session?: number; readonly agent?: number }
  /** Where people can see all of an approval: an address that its id is added to, or a function of the id. */
  readonly url?: string | ((id: string) => string)
  /**
   * What the application wants to find with an approval when it is decided, such as which run to wake: asked where the
   * call was made, answers JSON data.
   */
  readonly resume?: (call: {
    readonly session: Session
    readonly tool: string
    readonly ref: string | undefined
  }) => unknown
}

const NAME = /^[A-Za-z0-9_.-]{1,64}$/

/** `undefined`: nobody can be asked. Throws `ConfigError`, naming the option. */
export function checkApprovals(
  approvers: readonly Approver[] | undefined,
  options: ApprovalOptions | undefined,
): CheckedApprovals | undefined {
  if (approvers === undefined && options === undefined) return undefined
  const { mode = 'wait', timeout, pending = {}, url, resume } = options ?? {}
  checkKeys(options ?? {}, ['mode', 'timeout', 'pending', 'url', 'resume'], 'options of `approvals`', 'approvals')
  if (mode !== 'wait' && mode !== 'suspend') throw invalid('approvals.mode', 'is `wait` or `suspend`')
  checkKeys(pending, ['session', 'agent'], 'options of `pending`', 'approvals.pending')
  const { session = 5, agent = 20 } = pending
  for (const [name, limit] of Object.entries({ session, agent })) {
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw invalid(`approvals.pending.${name}`, 'is a whole number, at least 1')
  }
  if (resume !== undefined && typeof resume !== 'function') throw invalid('approvals.resume', 'is a function')
  const said = timeout === undefined ? undefined : parseDuration(timeout, 'approvals.timeout')
  return {
    approvers: checkedApprovers(approvers ?? []),
    mode,
    waitMs: said ?? 300_000,
    suspendMs: said ?? 86_400_000,
    limits: { session, agent },
    url: urlOf(url),
    resume,
  }
}

function checkedApprovers(approvers: readonly Approver[]): readonly Approver[] {
  if (!Array.isArray(approvers)) throw invalid('approvers', 'is a list of approvers')
  for (const [index, approver] of approvers.entries()) {
    if (typeof approver?.show !== 'function' || !NAME.test(approver.name)) {
      throw invalid(`approvers.${index}`, 'is not an approver')
    }
    if (approvers.findIndex(({ name }) => name === approver.name) !== index) {
      throw invalid(`approvers.${index}`, 'has a `name` that no other approver has')
    }
  }
  return [...approvers]
}

function urlOf(url: ApprovalOptions['url']): CheckedApprovals['url'] {
  if (url === undefined || typeof url === 'function') return url
  if (typeof url !== 'string' || !URL.canParse(url))
    throw invalid('approvals.url', 'is an address, or a function of an id')
  return (id) => `${url.replace(/\/$/, '')}/${id}`
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
