/**
 * Approvers: the channels through which people are asked. A channel shows approvals and hears what people say; it
 * decides nothing by itself. What it shows is brought up to date until it is as the store has it, so each channel has
 * one verb, `show`, which may be asked any number of times.
 */
import type { Clock, MaybePromise } from '../clock.ts'
import type { Amount } from '../money.ts'
import type { ApprovalState } from '../stores/approvals.ts'

/** An approval as people are shown it. Everything in it may be read by a person: secrets are redacted. */
export interface Approval {
  readonly id: string
  readonly state: ApprovalState
  readonly tenant: string
  readonly session: string
  readonly agent: string
  readonly tool: string
  /** The framework's own id of the call. */
  readonly ref?: string
  /** Names arguments without showing them; what is decided is decided for it. */
  readonly digest: string
  /** Why a person has to decide. */
  readonly reason: string
  /** The rules that ask, and who has to say yes for each. */
  readonly terms: readonly ApprovalTerm[]
  /** The redacted arguments: plain JSON data. */
  readonly args: unknown
  /** The same as text for a card: whole, indented, with invisible and bidirectional characters made visible. */
  readonly argsText: string
  /** The most it costs. Empty when that is nothing, or when an approver has changed the arguments: then it is priced anew. */
  readonly cost: readonly Amount[]
  /** What was left of the budgets when it was asked. */
  readonly left: readonly Amount[]
  /** Who asked: the agents of the chain, and whom the session's `requester` attribute names. None of them may decide. */
  readonly requester: readonly string[]
  /** What was said of these arguments; a word on others, before a change, is none. */
  readonly votes: readonly ApprovalVote[]
  /** For how long a yes may hold for the same tool and the same of the named arguments, if a rule allows that. */
  readonly grant?: { readonly forMs: number; readonly args: readonly string[]; readonly until?: Date }
  /** An approver changed the arguments: `args` are the new ones. */
  readonly edited: boolean
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly decidedAt?: Date
  /** The call that has used it. */
  readonly usedBy?: string
  readonly usedAt?: Date
  /** What the application wanted to keep with it. */
  readonly resume?: unknown
  /** Where all of it can be seen, if the application has said where. */
  readonly url?: string
}

export interface ApprovalTerm {
  readonly rule: string
  /** Who may say yes; anyone a channel lets decide, unless given. */
  readonly approvers?: readonly string[]
  /** How many different people have to. */
  readonly quorum: number
}

export interface ApprovalVote {
  readonly by: string
  readonly approve: boolean
  readonly at: Date
  readonly reason?: string
}

/** What a person says. */
export interface Say {
  readonly approve: boolean
  /** Who says it, as the channel knows them: `slack:U123`, `alice`. Never taken from what they typed. */
  readonly by: string
  /** Groups they are in, such as `slack:S123`. */
  readonly groups?: readonly string[]
  readonly reason?: string
  /** Where they said it, for the record: a workspace, an address. Decides nothing. */
  readonly from?: string
  /** What they were shown: a decision on anything else is refused. */
  readonly digest?: string
  /** Arguments to run with instead: judged, priced and recorded anew. */
  readonly args?: unknown
  /** Says yes to all calls of the same kind for a while, where the rule allows it and all say so whose yes is needed. */
  readonly grant?: boolean
}

/** Why something that somebody said counts for nothing. */
export type SayRefusal =
  | 'unknown'
  | 'decided'
  | 'expired'
  | 'not-approver'
  | 'self-approval'
  | 'voted'
  | 'other-digest'
  | 'invalid'

/** What came of it. `approval` is how it stands now. `why` is a sentence for the person. */
export type Said =
  | { readonly ok: true; readonly approval: Approval }
  | { readonly ok: false; readonly refused: SayRefusal; readonly why: string; readonly approval?: Approval }

/** What a channel is given when the haldir is made. */
export interface ApproverPort {
  /** Hands over what a person said. Rejects `Unavailable` when the store or the trail does not take it. */
  say(id: string, say: Say): Promise<Said>
  get(id: string): Promise<Approval | undefined>
  /** What `show` answered last. */
  note(id: string): Promise<unknown>
  /** Records that something came in that counts for nothing, such as a click with a wrong signature. Never rejects. */
  reject(what: { readonly why: string; readonly id?: string; readonly by?: string }): Promise<void>
  readonly clock: Clock
  readonly random: (bytes: number) => Uint8Array
}

export interface Approver {
  /** Names the channel in the store and in the trail; one of its kind, unless named otherwise. */
  readonly name: string
  /** Called once, before anything else. */
  open?(port: ApproverPort): void
  /**
   * Shows an approval as it is now: posts a card, or edits the one that `note` tells of. Answers what to note of it (JSON
   * data; nothing keeps the old note). Tried again with growing pauses when it rejects, until the approval is over.
   * `signal` aborts when nobody waits for it any more.
   */
  show(approval: Approval, note: unknown, signal: AbortSignal): MaybePromise<unknown>
  /** Answers a request of the channel's own; `undefined` when it is not for it. Bodies must be read raw. */
  fetch?(request: Request): Promise<Response | undefined>
  close?(): MaybePromise<void>
}
