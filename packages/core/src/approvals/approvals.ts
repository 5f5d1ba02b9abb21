/**
 * Approvals of one haldir: asked for, waited for, decided, ended. The store has the last word on each of them; what
 * this process knows only wakes it earlier.
 */
import type { Approval, Approver } from '../approvers/approver.ts'
import { ask, background, type MaybePromise, within } from '../clock.ts'
import type { DigestKey } from '../digest-key.ts'
import { Unavailable } from '../errors.ts'
import type { Session } from '../gate/sessions.ts'
import type { House } from '../pass.ts'
import type { ApprovalRow, ApprovalVerbs, PendingLimits } from '../stores/approvals.ts'
import { NOBODY } from '../watch/chain.ts'
import { Deliveries } from './delivery.ts'
import { Ear } from './ear.ts'
import { draftOf, keptIn, shownApproval, TRIES } from './rows.ts'
import { speak } from './saying.ts'
import { Strangers } from './strangers.ts'

/** How people are asked, checked. */
export interface CheckedApprovals {
  readonly approvers: readonly Approver[]
  readonly mode: 'wait' | 'suspend'
  readonly waitMs: number
  readonly suspendMs: number
  readonly limits: PendingLimits
  readonly url: ((id: string) => string) | undefined
  readonly resume: ((call: { session: Session; tool: string; ref: string | undefined }) => unknown) | undefined
}

/** What approvals need of sessions. */
export interface ApprovalSessions {
  digestKey(tenant: string): Promise<DigestKey>
  /** The handle of a session, also of one that was opened elsewhere; `undefined` when the store does not know it. */
  handle(id: string): Promise<Session | undefined>
}

/** The channel of the application's own `onDecided`. */
export const DECIDED = '@decided'
/** How often what is due is looked for while nothing else happens. */
const TICK_MS = 5_000
const BATCH = 100

export class Approvals {
  readonly options: CheckedApprovals
  readonly house: House
  readonly sessions: ApprovalSessions
  readonly deliveries: Deliveries
  readonly #waiting = new Map<string, Set<Ear>>()
  readonly #strangers: Strangers
  /** Of what is said of approvals that there are: nobody's noise hides another's. */
  readonly #refused: Strangers
  #ticking: (() => void) | undefined
  #closed = false

  constructor(
    house: House,
    options: CheckedApprovals,
    sessions: ApprovalSessions,
    random: (bytes: number) => Uint8Array,
  ) {
    this.house = house
    this.options = options
    this.sessions = sessions
    this.deliveries = new Deliveries(this)
    this.#strangers = new Strangers(house.clock)
    this.#refused = new Strangers(house.clock)
    for (const approver of options.approvers) {
      const { name } = approver
      approver.open?.({
        say: (id, say) => speak(this, name, id, say),
        get: (id) => this.get(id),
        note: (id) => this.ask((verbs) => verbs.note(id, name), 'note'),
        reject: (what) => this.reject(name, what),
        clock: house.clock,
        random,
      })
      this.deliveries.add(name, (approval, note, signal) => approver.show(approval, note, signal))
    }
    this.#tick()
  }

  /** The channels that every approval is told through. */
  get channels(): readonly string[] {
    return [...this.options.approvers.map(({ name }) => name), DECIDED]
  }

  get closed(): boolean {
    return this.#closed
  }

  async get(id: string): Promise<Approval | undefined> {
    const row = await this.row(id)
    return row && this.shown(row)
  }

  async row(id: string): Promise<ApprovalRow | undefined> {
    const row = await this.ask((verbs) => verbs.get(id), 'get')
    if (row === undefined || row === null) return undefined
    // A store that answers another's row must not let it be taken for this one.
    if (row.id !== id || typeof row.version !== 'number')
      throw new Unavailable('`store.approval.get` answered nonsense')
    return row
  }

  shown(row: ApprovalRow): Approval {
    return shownApproval(row, this.options.url)
  }

  /** Something has changed: whoever waits for it here looks at once, and channels are told. */
  changed(id: string): void {
    this.heard([id])
    this.deliveries.kick()
    this.#tick()
  }

  /** These may have changed, or, when none is named, any of them: whoever waits for one looks at once. */
  heard(ids: readonly string[] = [...this.#waiting.keys()]): void {
    for (const id of ids) for (const ear of [...(this.#waiting.get(id) ?? [])]) ear.hear()
  }

  /** Listens for changes of an approval, until it is closed. What is heard while nobody waits is not lost. */
  listen(id: string): Ear {
    const ears = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, ears)
    const ear: Ear = new Ear(this.house.clock, () => {
      ears.delete(ear)
      if (ears.size === 0 && this.#waiting.get(id) === ears) this.#waiting.delete(id)
    })
    ears.add(ear)
    if (this.#closed) ear.hear()
    return ear
  }

  /** Ends a pending approval that nobody wants an answer to any more; answers whether this has ended it. Never rejects. */
  async withdraw(id: string, why: string): Promise<boolean> {
    try {
      for (let tries = 0; tries < TRIES; tries++) {
        const row = await this.row(id)
        if (row?.state !== 'pending') return false
        const data = { ...row.data, why }
        const done = await this.ask((verbs) => verbs.change(id, row.version, { state: 'withdrawn', data }), 'change')
        if (!done) continue
        await this.house.trail.conclude(draftOf(done, 'approval-withdrawn', { why }))
        this.house.reports?.approvalEnded(done)
        this.#giveBack(done)
        this.changed(id)
        return true
      }
    } catch (error) {
      this.house.faults.note('approvals', error)
    }
    return false
  }

  /** Ends all that sessions which are over have asked for. Never rejects. */
  async withdrawOf(sessions: readonly string[], why: string): Promise<void> {
    try {
      for (const session of sessions) {
        const rows = await this.ask((verbs) => verbs.list({ session, state: 'pending', limit: 1_000 }), 'list')
        for (const { id } of rows) await this.withdraw(id, why)
      }
    } catch (error) {
      this.house.faults.note('approvals', error)
    }
  }

  /** Ends what has waited too long: on record, its hold given back, its cards told. */
  async expire(limit: number): Promise<readonly ApprovalRow[]> {
    const { trail } = this.house
    const rows = await this.ask((verbs) => verbs.expire(limit), 'expire')
    for (const row of rows) {
      await trail.conclude(draftOf(row, 'approval-expired', {}))
      this.house.reports?.approvalEnded(row)
      this.#giveBack(row)
      this.changed(row.id)
    }
    return rows
  }

  /** What was set aside meanwhile: whoever waited may have died. */
  #giveBack(row: ApprovalRow): void {
    const { waiting, call } = keptIn(row)
    if (waiting === 'wait') void this.house.holds.cancel(call)
  }

  /** Records what came in and counts for nothing. Never rejects. */
  async reject(
    channel: string,
    what: { readonly why: string; readonly id?: string; readonly by?: string },
  ): Promise<void> {
    const { why, id, by } = what
    try {
      const row = id === undefined ? undefined : await this.row(id).catch(() => undefined)
      const data = { channel, why: cut(why), ...(by === undefined ? {} : { by: cut(by) }) }
      const told = (row ? this.#refused : this.#strangers).next()
      if (!told) return
      const type = 'approval-rejected'
      const all = told.unrecorded > 0 ? { ...data, ...told } : data
      await this.house.trail.conclude(row ? draftOf(row, type, all) : { type, session: NOBODY, data: all })
    } catch (error) {
      this.house.faults.note('approvals', error)
    }
  }

  /** Asks the store. Rejects `Unavailable` when it does not answer. */
  ask<T>(work: (verbs: ApprovalVerbs) => MaybePromise<T>, what: string): Promise<T> {
    const { store, deadlineMs, clock } = this.house
    return ask(() => work(store.approval), deadlineMs, clock, `store.approval.${what}`)
  }

  /** Whoever waits is woken, and refused. */
  stop(): void {
    this.#closed = true
    this.#ticking?.()
    this.heard()
  }

  /** Channels are told what is due, if they take it in time, and let go. What is owed then is another process's. */
  async close(): Promise<void> {
    const { clock, deadlineMs, faults } = this.house
    await within(this.deliveries.settled(), deadlineMs, clock, 'approvers').catch((error) =>
      faults.note('approvers', error),
    )
    await this.deliveries.close()
    const closing = this.options.approvers.map((approver) =>
      ask(() => approver.close?.(), deadlineMs, clock, 'approver.close').catch((error) =>
        faults.note(`approver ${approver.name}`, error),
      ),
    )
    await Promise.all(closing)
  }

  /** Looks again and again, without keeping the process alive: another may have died with something owed. */
  #tick(): void {
    if (this.#ticking || this.#closed) return
    // Held weakly: a haldir that nobody uses any more goes, though nobody has closed it.
    const held = new WeakRef(this)
    this.#ticking = background(this.house.clock, TICK_MS, () => {
      const own = held.deref()
      if (own) void own.#look()
    })
  }

  async #look(): Promise<void> {
    try {
      while ((await this.expire(BATCH)).length === BATCH);
    } catch (error) {
      this.house.faults.note('approvals', error)
    }
    this.deliveries.kick()
    this.#ticking = undefined
    this.#tick()
  }
}

/** What comes from outside stands in an entry, but not at any length. */
function cut(text: string): string {
  return String(text).slice(0, 200).toWellFormed()
}
