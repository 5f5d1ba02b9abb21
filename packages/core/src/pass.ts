/** One pass of one call through the path: what is known of it so far, and how it is told of when it ends early. */
import type { Approvals } from './approvals/approvals.ts'
import type { Snapshot } from './call.ts'
import { type Clock, isPromise, type MaybePromise, within } from './clock.ts'
import { type Frame, inFrame } from './context.ts'
import type { Searched } from './credentials.ts'
import type { CurrentCall } from './current-call.ts'
import type { DigestKey } from './digest-key.ts'
import type { DigestKeys } from './digest-keys.ts'
import type { Transport } from './egress/transport.ts'
import { type DenialCode, Denied, type Suspended } from './errors.ts'
import type { Faults } from './faults.ts'
import type { Asking } from './gate/approvals/terms.ts'
import type { NamedGuard } from './gate/guards.ts'
import type { Holds } from './gate/holds.ts'
import type { Meter } from './gate/meters.ts'
import type { LoadedPolicy } from './gate/policy/loaded.ts'
import type { Session } from './gate/sessions.ts'
import type { StandingMeters } from './gate/standing.ts'
import type { CallRequest, GovernedTool, Identity, NotRun } from './governor.ts'
import type { Amount } from './money.ts'
import type { Recorder } from './recorder.ts'
import { type CallReport, type Reports, verdictOf } from './reporting.ts'
import type { Signals } from './signals/signals.ts'
import type { MindedStore } from './store-health.ts'
import type { StoreWatch } from './store-watch.ts'
import type { Consent } from './stores/approvals.ts'
import type { Charge } from './stores/store.ts'
import type { Detection } from './vault/detection.ts'
import type { Redactor } from './vault/redact.ts'
import type { SealedVault } from './vault/vault.ts'
import { callFragment, type Draft, NOBODY } from './watch/chain.ts'
import type { Ended } from './watch/entry.ts'
import type { WrittenTrail } from './watch/trail.ts'

/** Why a step refuses. The reason is a sentence a model may read. */
export interface Refusal {
  readonly code: DenialCode
  readonly reason: string
  readonly rule?: string
  /** Of a rate: after how many seconds it has room again. */
  readonly retryAfter?: number
  /** The call waits for a person: what it is paused with. */
  readonly suspended?: Suspended
  /** The caller has given up while a person was asked. */
  readonly aborted?: true
}

/** Why a person has to decide: the first reason there is, and everything that asks. */
export interface Ask {
  readonly rule: string
  readonly reason: string
  readonly asking: readonly Asking[]
  /** Of a call that is resumed though nothing asks any more: hash of the rules that asked. */
  readonly rules?: string
}

export const UNFORESEEN: Refusal = { code: 'unavailable', reason: 'the call could not be governed' }

/** What the house keeps for a session, beside the session itself. */
export interface Belongings {
  /** The session's members in an entry, as JSON text. */
  readonly fragment: string
  readonly digestKey: DigestKey
  /** The secrets revealed in it so far. */
  readonly redactor: Redactor
  /** What its calls of a tool count on, by the tool's name. */
  readonly meters: Map<string, readonly Meter[]>
}

/** Everything the path needs of the haldir it belongs to. */
export interface House {
  readonly clock: Clock
  readonly ids: () => string
  readonly store: MindedStore
  readonly trail: WrittenTrail
  readonly vault: SealedVault
  /** The keys that calls are digested with, and recorded values are fingerprinted with. */
  readonly digestKeys: DigestKeys
  readonly fingerprintKeys: DigestKeys
  /** What entries hold of arguments. */
  readonly recorder: Recorder
  /** How requests reach the network. */
  readonly egress: Transport
  readonly holds: Holds
  readonly standing: StandingMeters
  readonly guards: readonly NamedGuard[]
  /** How people are asked; nobody can be when there is none. */
  approvals: Approvals | undefined
  /** What watches for anomalies, if anybody does. */
  signals: Signals | undefined
  /** What is done about credentials that are not in the vault. */
  readonly detection: Detection | undefined
  /** Swapped as a whole when another is loaded: a call is judged by one of them from first to last. */
  policy: LoadedPolicy | undefined
  /** Calls are judged, metered apart and recorded, but not refused. */
  readonly shadow: boolean
  /** Begins the keys of everything that is counted apart. */
  readonly apart: string
  /** In shadow mode: who acts when there is no session. */
  nobody: Session | undefined
  /** In shadow mode: what would have been refused, by code. */
  readonly observed: Map<DenialCode, number>
  /** What failed outside, for `health()`. */
  readonly faults: Faults
  /** What is told of calls while they happen, if anybody wants to know. */
  readonly reports: Reports | undefined
  /** How long any part outside may take to answer. */
  readonly deadlineMs: number
  readonly belongings: WeakMap<Session, Belongings>
  /** Calls between step 4 and their end, which `close` waits for. */
  readonly running: Set<Pass>
  watch: StoreWatch | undefined
  open: boolean
}

export class Pass {
  readonly house: House
  readonly tool: GovernedTool
  readonly request: CallRequest
  readonly who: Identity
  /** Ours, minted for this pass. Empty until then, and when judging is all that is asked. */
  id = ''
  /** Of the session, as soon as there is one: a call that is refused before step 2 is recorded as its doing, too. */
  belongings: Belongings | undefined
  /** What telemetry is told of this call, if there is any. */
  report: CallReport | undefined

  // Step 1
  snapshot!: Snapshot
  // Step 2
  session!: Session
  digest: string | undefined
  // Step 3: what it rests on, whether a person has to decide, the most it costs, and what that means for its meters
  rule: string | undefined
  policyHash: string | undefined
  ask: Ask | undefined
  /** Of the arguments, when credentials are looked for in them. */
  searched: Searched | undefined
  /** They without those credentials, and a name among them, where entries hold some of them. */
  masked: { readonly args: unknown; name(text: string): string } | undefined
  meters: readonly Meter[] = []
  amounts: readonly Amount[] = []
  charges: readonly Charge[] = []
  /** Of a person's yes: what the store is shown of it. */
  consent: Consent | undefined
  /** Who has said yes, for the trail. */
  approvers: readonly string[] = []
  /** The approval that this pass has put to people. */
  asked: string | undefined
  /** In shadow mode: why it would not have run. */
  observed: Refusal | undefined
  // Step 4: whether the store has let it in, and whether a hold was taken
  admitted = false
  holding = false
  // Step 5: whether an intent stands in the chain
  intended = false
  // Step 6
  frame!: Frame
  current: CurrentCall | undefined
  revealed = false
  // Step 7: when it began, by the monotonic clock
  began = 0
  /** What it answers are items, which are redacted and searched while they are read. */
  streamed = false
  // Step 8
  spent: readonly Amount[] = []
  /** What the outcome's `data` says beyond how it ended. */
  readonly notes: Record<string, unknown> = {}
  #fragment = ''

  constructor(house: House, tool: GovernedTool, request: CallRequest, who: Identity) {
    this.house = house
    this.tool = tool
    this.request = request
    this.who = who
    this.belongings = typeof who === 'string' ? undefined : house.belongings.get(who)
  }

  /** Refuses. What was taken goes back, and an intent is closed by its outcome. */
  async refuse(refusal: Refusal): Promise<NotRun> {
    await this.#giveBack()
    const { code, reason, rule, retryAfter, suspended } = this.shown(refusal)
    this.stopped(verdictOf(refusal), refusal)
    await this.house.trail.conclude(
      this.intended
        ? this.draft('outcome', { code, rule, data: { ended: NOT_RUN, reason } })
        : await this.#refusal(code, reason, rule, this.house.shadow),
    )
    if (suspended) return { status: 'suspended', suspended }
    return { status: 'denied', denial: new Denied(code, reason, this.id, rule, retryAfter) }
  }

  /** Shadow mode: records what would have been refused. Nothing is given back: the call goes on. */
  async observe(refusal: Refusal): Promise<void> {
    const { observed, trail } = this.house
    const { code, reason, rule } = this.shown(refusal)
    this.observed ??= refusal
    observed.set(code, (observed.get(code) ?? 0) + 1)
    await trail.conclude(await this.#refusal(code, reason, rule))
  }

  /** `refused`: in shadow mode, where most are only judged, this one really was. */
  async #refusal(code: DenialCode, reason: string, rule: string | undefined, refused = false): Promise<Draft> {
    const args = this.tool.record && (await this.house.recorder.forRefusal(this, code))
    const data = {
      reason,
      ...this.searched,
      ...(args ? { args } : {}),
      ...(this.amounts.length > 0 ? { cost: this.amounts } : {}),
      ...(refused ? { refused } : {}),
    }
    return this.draft('refusal', { verdict: verdictOf({ code }), code, rule, data })
  }

  /** The caller gave up while a person was asked: no refusal for them, but their own reason. */
  async leave(error: unknown, refusal: Refusal): Promise<NotRun> {
    await this.#giveBack()
    const { code, reason } = refusal
    this.stopped(verdictOf(refusal), refusal, true)
    await this.house.trail.conclude(await this.#refusal(code, reason, this.ask?.rule))
    return { status: 'failed', error }
  }

  /** What is judged from now on is another call: arguments that an approver has changed. Nothing is held by it yet. */
  become(id: string, snapshot: Snapshot, digest: string): void {
    this.id = id
    this.snapshot = snapshot
    this.digest = digest
    this.masked = undefined
    this.holding = false
    this.#fragment = ''
  }

  /** The caller gave up before the tool ran: no refusal, but its own reason. */
  async abandon(error: unknown): Promise<NotRun> {
    await this.#giveBack()
    this.stopped('allow', undefined, true)
    await this.house.trail.conclude(
      this.draft('outcome', { data: { ended: NOT_RUN, reason: 'the caller aborted before the tool ran' } }),
    )
    return { status: 'failed', error }
  }

  /** Tells that it does not run, also of a call that its framework's own gate has turned away. */
  stopped(outcome: 'allow' | 'deny' | 'ask', refusal: Refusal | undefined, aborted = false): void {
    const { reports } = this.house
    if (!reports) return
    this.report ??= reports.call()
    this.report.stopped(this, outcome, refusal, aborted)
  }

  /** Does a part of the tool's run, where its session, its call and its span are the current ones. */
  inside<A extends unknown[], R>(work: (...args: A) => R, ...args: A): R {
    const { report, frame } = this
    return report ? report.inside(this, () => inFrame(frame, work, ...args)) : inFrame(frame, work, ...args)
  }

  /** An entry about this call. */
  draft(type: Draft['type'], rest: Omit<Draft, 'type' | 'session' | 'call'>): Draft {
    const { belongings, digest, id, tool } = this
    this.#fragment ||= callFragment({ id, ref: this.ref, digest }, tool.fragment, belongings?.digestKey.id)
    const { policyHash } = this
    const session = belongings?.fragment ?? NOBODY
    return { ...rest, type, policyHash, session, call: this.#fragment, about: this }
  }

  /** Waits for a part outside the path, but only so long; what answers at once costs nothing. */
  soon<T>(work: MaybePromise<T>, what: string): MaybePromise<T> {
    return isPromise(work) ? within(work, this.house.deadlineMs, this.house.clock, what) : work
  }

  /** The framework's id of a call comes from the model: it is recorded, but bounded and never trusted. */
  get ref(): string | undefined {
    const { ref } = this.request
    if (typeof ref !== 'string') return undefined
    return this.belongings?.redactor.text(ref).slice(0, MAX_REF).toWellFormed() ?? ref.slice(0, MAX_REF).toWellFormed()
  }

  /** A reason may come from a guard, or name a path in the arguments: a secret that got there is not repeated. */
  shown<T extends { readonly reason: string }>(told: T): T {
    return shownBy(this.belongings, told)
  }

  async #giveBack(): Promise<void> {
    this.current?.end()
    this.house.running.delete(this)
    if (this.holding) await this.house.holds.cancel(this.id)
    this.holding = false
  }
}

export function shownBy<T extends { readonly reason: string }>(belongings: Belongings | undefined, told: T): T {
  const redactor = belongings?.redactor
  return !redactor || redactor.empty ? told : { ...told, reason: redactor.text(told.reason) }
}

const NOT_RUN: Ended = 'not-run'
const MAX_REF = 128
