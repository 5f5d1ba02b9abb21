/**
 * The closed family of errors. Every message is one sentence (a denial adds its code's next step), names things in
 * backticks and never contains a value, an argument or a secret: a model, a browser and a log may all read it.
 */

/** Why a call was refused. `retryable` codes may be tried again later; the others never succeed unchanged. */
export type DenialCode =
  | 'no-session'
  | 'session-expired'
  | 'session-revoked'
  | 'scope-missing'
  | 'policy-denied'
  | 'budget-exceeded'
  | 'rate-exceeded'
  | 'quota-exceeded'
  | 'duplicate-call'
  | 'approval-denied'
  | 'approval-expired'
  | 'approval-pending'
  | 'approval-unavailable'
  | 'invalid-arguments'
  | 'secret-unavailable'
  | 'unavailable'

/** What was wrong with something the developer wrote. */
export type ConfigCode =
  | 'invalid-option'
  | 'invalid-scope'
  | 'invalid-policy'
  | 'invalid-amount'
  | 'ungovernable'
  | 'wrapped-twice'

/** Each code's own next step, as the model reads it. None invites a retry of the same call. */
const NEXT_STEP: Record<DenialCode, string> = {
  'no-session': 'Do not retry this call.',
  'session-expired': 'Stop using tools and finish with what you have.',
  'session-revoked': 'Stop using tools.',
  'scope-missing': 'Do not retry this call; go on without this action.',
  'policy-denied': 'Do not retry this call; go on without this action.',
  'budget-exceeded': 'Do not retry this call; go on without spending.',
  'rate-exceeded': 'Go on with other work.',
  'quota-exceeded': 'Do not retry this call.',
  'duplicate-call': 'Do not repeat this call.',
  'approval-denied': 'Do not ask again for the same action.',
  'approval-expired': 'Do not retry this call; go on without this action and say that nobody answered.',
  'approval-pending': 'Do not repeat this call; go on with other work.',
  'approval-unavailable': 'Do not retry this call.',
  'invalid-arguments': 'Do not repeat this call with the same arguments.',
  'secret-unavailable': 'Do not retry this call.',
  unavailable: 'Do not retry this call.',
}

/** How a call stands that waits for a person. */
export const ASKED = 'a person has been asked, and nothing has run'

const BRAND = Symbol.for('haldir.error')

/** The root of every error Haldir throws. Test with `HaldirError.isInstance`: it holds across two copies of the package. */
export class HaldirError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  override get name(): string {
    return 'HaldirError'
  }

  /** The message alone: some frameworks show a model `String(error)`. */
  override toString(): string {
    return this.message
  }

  static isInstance(value: unknown): value is HaldirError {
    return brandOf(value) !== undefined
  }
}

/** A call was refused. The tool did not run, unless the message says that its result was withheld. */
export class Denied extends HaldirError {
  declare readonly code: DenialCode
  /** The rule that decided, when it has a name. */
  declare readonly rule?: string
  /** The id of the refused call, as it stands in the trail. */
  readonly callId: string
  /** Whether the same call may succeed later, unchanged. */
  readonly retryable: boolean
  /** After how many seconds a rate has room again. */
  declare readonly retryAfter?: number

  constructor(code: DenialCode, reason: string, callId: string, rule?: string, retryAfter?: number) {
    const wait = retryAfter === undefined ? '' : ` It may be tried again after ${retryAfter} s.`
    super(code, `Denied (${code}): ${reason}.${wait} ${NEXT_STEP[code]}`)
    this.callId = callId
    this.retryable = code === 'rate-exceeded' || code === 'approval-pending'
    if (rule !== undefined) this.rule = rule
    if (retryAfter !== undefined) this.retryAfter = retryAfter
  }

  override get name(): string {
    return 'Denied'
  }

  static override isInstance(value: unknown): value is Denied {
    return brandOf(value) === 'denied'
  }
}

/**
 * The call is paused: a person has been asked, and nothing has run. Carry `approvalId` along; `haldir.approvals.resume`
 * runs the call, once, when it was approved.
 */
export class Suspended extends HaldirError {
  declare readonly code: 'approval-pending'
  readonly approvalId: string
  /** Why a person has to decide. */
  readonly reason: string
  /** The id of the paused call, as it stands in the trail. */
  readonly callId: string
  /** When nobody can approve it any more. */
  readonly expiresAt: Date

  constructor(reason: string, approvalId: string, callId: string, expiresAt: Date) {
    super('approval-pending', `Suspended (approval-pending): ${reason}; ${ASKED}. ${NEXT_STEP['approval-pending']}`)
    this.approvalId = approvalId
    this.reason = reason
    this.callId = callId
    this.expiresAt = expiresAt
  }

  override get name(): string {
    return 'Suspended'
  }

  static override isInstance(value: unknown): value is Suspended {
    return brandOf(value) === 'suspended'
  }
}

/** The developer wrote something that can't work. `path` names the field, such as `scopes.1` or `vault.keys`. */
export class ConfigError extends HaldirError {
  declare readonly code: ConfigCode
  readonly path: string

  constructor(code: ConfigCode, path: string, message: string) {
    super(code, message)
    this.path = path
  }

  override get name(): string {
    return 'ConfigError'
  }

  static override isInstance(value: unknown): value is ConfigError {
    return brandOf(value) === 'config'
  }
}

/** A part that Haldir depends on (store, sink, key, clock) did not answer or answered nonsense. */
export class Unavailable extends HaldirError {
  constructor(message: string, options?: ErrorOptions) {
    super('unavailable', message, options)
  }
}

/** An entry got no place in its chain: as far as the trail goes, it never was. */
export class Unplaced extends Unavailable {}

type Kind = 'error' | 'denied' | 'suspended' | 'config'

// The brand stands on the prototypes, so subclasses inherit it and two copies of this package recognise each other's.
Object.defineProperty(HaldirError.prototype, BRAND, { value: 'error' satisfies Kind })
Object.defineProperty(Denied.prototype, BRAND, { value: 'denied' satisfies Kind })
Object.defineProperty(Suspended.prototype, BRAND, { value: 'suspended' satisfies Kind })
Object.defineProperty(ConfigError.prototype, BRAND, { value: 'config' satisfies Kind })

function brandOf(value: unknown): Kind | undefined {
  return typeof value === 'object' && value !== null ? (value as { [BRAND]?: Kind })[BRAND] : undefined
}
