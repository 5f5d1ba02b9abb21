/** One pass of one call through the path: what is known of it so far, and how it is told of when it ends early. */
import type { KeyObject } from 'node:crypto'
import type { Snapshot } from './call.ts'
import { type Clock, isPromise, type MaybePromise, within } from './clock.ts'
import type { Frame } from './context.ts'
import type { CurrentCall } from './current-call.ts'
import { type DenialCode, Denied } from './errors.ts'
import type { Faults } from './faults.ts'
import type { Holds } from './gate/meters.ts'
import type { Session } from './gate/sessions.ts'
import type { CallRequest, GovernedTool, Identity, NotRun } from './governor.ts'
import type { Amount } from './money.ts'
import type { Charge, Store } from './stores/store.ts'
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
}

/** What the house keeps for a session, beside the session itself. */
export interface Belongings {
  /** The session's members in an entry, as JSON text. */
  readonly fragment: string
  readonly digestKey: { readonly id: string; readonly key: KeyObject }
  /** The secrets revealed in it so far. */
  readonly redactor: Redactor
}

/** Everything the path needs of the haldir it belongs to. */
export interface House {
  readonly clock: Clock
  readonly ids: () => string
  readonly store: Store
  readonly trail: WrittenTrail
  readonly vault: SealedVault
  readonly holds: Holds
  /** What failed outside, for `health()`. */
  readonly faults: Faults
  /** How long any part outside may take to answer. */
  readonly deadlineMs: number
  readonly belongings: WeakMap<Session, Belongings>
  /** Calls between step 4 and their end, which `close` waits for. */
  readonly running: Set<Pass>
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
  readonly belongings: Belongings | undefined

  // Step 1
  snapshot!: Snapshot
  // Step 2
  session!: Session
  digest: string | undefined
  // Step 3: what it rests on, the most it costs, and what that means for the session's meters
  rule: string | undefined
  amounts: readonly Amount[] = []
  charges: readonly Charge[] = []
  // Step 4: whether a hold was taken
  holding = false
  // Step 5: whether an intent stands in the chain
  intended = false
  // Step 6
  frame!: Frame
  current: CurrentCall | undefined
  revealed = false
  // Step 7: when it began, by the monotonic clock
  began = 0
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

  /** Refuses when nothing was taken yet. */
  async refuse(refusal: Refusal): Promise<NotRun> {
    const { code, reason, rule } = this.#shown(refusal)
    this.house.running.delete(this)
    const data = this.amounts.length > 0 ? { reason, cost: this.amounts } : { reason }
    await this.house.trail.conclude(this.draft('refusal', { verdict: 'deny', code, rule, data }))
    return { status: 'denied', denial: new Denied(code, reason, this.id, rule) }
  }

  /** Refuses after something was taken: the hold goes back, and an intent is closed by its outcome. */
  async callOff(refusal: Refusal): Promise<NotRun> {
    await this.#giveBack()
    if (!this.intended) return this.refuse(refusal)
    const { code, reason, rule } = this.#shown(refusal)
    await this.house.trail.conclude(this.draft('outcome', { code, rule, data: { ended: NOT_RUN, reason } }))
    return { status: 'denied', denial: new Denied(code, reason, this.id, rule) }
  }

  /** The caller gave up before the tool ran: no refusal, but its own reason. */
  async abandon(error: unknown): Promise<NotRun> {
    await this.#giveBack()
    await this.house.trail.conclude(
      this.draft('outcome', { data: { ended: NOT_RUN, reason: 'the caller aborted before the tool ran' } }),
    )
    return { status: 'failed', error }
  }

  /** An entry about this call. */
  draft(type: Draft['type'], rest: Omit<Draft, 'type' | 'session' | 'call'>): Draft {
    const { belongings, digest, id, request, tool } = this
    this.#fragment ||= callFragment(
      { id, ref: this.#ref(request.ref), digest },
      tool.fragment,
      belongings?.digestKey.id,
    )
    return { ...rest, type, session: belongings?.fragment ?? NOBODY, call: this.#fragment }
  }

  /** Waits for a part outside the path, but only so long; what answers at once costs nothing. */
  soon<T>(work: MaybePromise<T>, what: string): MaybePromise<T> {
    return isPromise(work) ? within(work, this.house.deadlineMs, this.house.clock, what) : work
  }

  /** The framework's id of a call comes from the model: it is recorded, but bounded and never trusted. */
  #ref(ref: unknown): string | undefined {
    if (typeof ref !== 'string') return undefined
    return this.belongings?.redactor.text(ref).slice(0, MAX_REF).toWellFormed() ?? ref.slice(0, MAX_REF).toWellFormed()
  }

  /** A reason may name a path in the arguments; a secret that was put there as a key is not repeated. */
  #shown(refusal: Refusal): Refusal {
    const redactor = this.belongings?.redactor
    return !redactor || redactor.empty ? refusal : { ...refusal, reason: redactor.text(refusal.reason) }
  }

  async #giveBack(): Promise<void> {
    this.current?.end()
    this.house.running.delete(this)
    if (this.holding) await this.house.holds.cancel(this.id)
    this.holding = false
  }
}

const NOT_RUN: Ended = 'not-run'
const MAX_REF = 128
