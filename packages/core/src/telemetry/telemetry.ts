/**
 * What a haldir tells of its calls while they happen, for traces and metrics. The path knows this interface and nothing
 * of what stands behind it. No member carries arguments, results, reasons or messages: what is not told leaks nowhere.
 */
import type { DenialCode } from '../errors.ts'
import type { Amount } from '../money.ts'

/** Which call it is, as far as that is known by then. */
export interface CallFacts {
  readonly id: string
  readonly tool: string
  /** The framework's own id of it: from the model, bounded and redacted. */
  readonly ref: string | undefined
  readonly session: string | undefined
  readonly agent: string | undefined
  readonly tenant: string | undefined
  readonly policyHash: string | undefined
}

/** What was decided about a call. */
export interface Decision {
  /** `ask`: a person has to decide, and has not, or nobody could be asked. */
  readonly outcome: 'allow' | 'deny' | 'ask'
  /** Why not. Which kind of verdict it is, of permission, limit, approval or content, is told by it alone. */
  readonly code: DenialCode | undefined
  readonly rule: string | undefined
  /** Of shadow mode: `false` where it was only judged, and the call runs whatever it says. */
  readonly enforced: boolean | undefined
  /** What was set aside for it. */
  readonly held: readonly Amount[]
  readonly approval: { readonly id: string; readonly by: readonly string[] } | undefined
  /** The call waited for a person. */
  readonly waited: boolean
  /** The caller gave up before it ran. */
  readonly aborted: boolean
}

/** How the run of a tool ended. */
export interface RunEnd {
  /** The code or class of its error, a bare name. */
  readonly error: string | undefined
  readonly spent: readonly Amount[]
  /** Its result was not let out. */
  readonly withheld: boolean
}

/** Times are milliseconds since the epoch, by the haldir's clock, and may have a fraction. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** One call. Told in this order: `stopped`, or `began`, any number of `inside`, and `ended`. */
export interface CallTelemetry {
  /** It does not run. */
  stopped(call: CallFacts, decision: Decision, time: Span): void
  /** Its tool begins to run. `time`: from when the call came until now. */
  began(call: CallFacts, decision: Decision, time: Span): void
  /** Does a part of the tool's run, at once, so that what it starts belongs to this call. */
  inside(work: () => void): void
  /** Its tool has ended; of one that answers with items, after the last. */
  ended(end: RunEnd, time: Span): void
}

export type ApprovalEnd = 'approved' | 'denied' | 'expired' | 'withdrawn'

/** How the trail stands. */
export interface TrailGauges {
  /** Entries that a required sink has not accepted yet. */
  readonly waiting: number
  /** Entries that got no place at all, so far. */
  readonly unrecorded: number
  /** By sink: entries it lost, so far. */
  readonly dropped: Readonly<Record<string, number>>
}

/** Whatever one of these throws is counted in `health().faults`, and nothing else comes of it. */
export interface Telemetry {
  /** A call has come. Called where its caller stands. */
  call(): CallTelemetry
  /** Something has cost this much: a tool, a captured payment, what `session.charge` counts. */
  spent(tool: string, amounts: readonly Amount[]): void
  /** What people were asked has ended, this long after. Told by the process in which it ended. */
  approvalEnded(how: ApprovalEnd, seconds: number): void
  /** Says where to look how a haldir's trail stands; `read` answers nothing once it is gone. The answer ends it. */
  watch(haldir: string, read: () => TrailGauges | undefined): () => void
}
