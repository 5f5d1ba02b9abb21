/**
 * What channels are owed. The store keeps it, so a process that dies leaves it to the next one: a channel is told at
 * least once how an approval stands, and again until it has taken that.
 */
import type { Approval } from '../approvers/approver.ts'
import { background, isPromise, within } from '../clock.ts'
import type { Delivery } from '../stores/approvals.ts'
import type { Approvals } from './approvals.ts'

type Show = (approval: Approval, note: unknown, signal: AbortSignal) => unknown

/** What is told: a channel, which has to answer in time, or handlers of the application, which may have work to do. */
export interface Told {
  readonly show: Show
  readonly inTime: boolean
}

/** How long a channel may take, and how long nobody else tries the same meanwhile. */
const SHOW_MS = 20_000
const LEASE_MS = 60_000
const AT_ONCE = 20
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000

export class Deliveries {
  readonly #approvals: Approvals
  readonly #channels = new Map<string, Channel>()
  #closed = false

  constructor(approvals: Approvals) {
    this.#approvals = approvals
  }

  add(name: string, told: Told): void {
    this.#channels.set(name, new Channel(this.#approvals, name, told))
    this.kick()
  }

  remove(name: string): void {
    this.#channels.get(name)?.close()
    this.#channels.delete(name)
  }

  /** Looks for what is due, in the background. */
  kick(): void {
    if (this.#closed) return
    for (const channel of this.#channels.values()) channel.kick()
  }

  /** Resolves when everything that is due now has been tried. */
  async settled(): Promise<void> {
    this.kick()
    await Promise.all([...this.#channels.values()].map((channel) => channel.idle()))
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const channel of this.#channels.values()) channel.close()
    await Promise.all([...this.#channels.values()].map((channel) => channel.idle()))
  }
}

/** One channel: its deliveries go out beside one another, and none of them holds up another, or another channel's. */
class Channel {
  readonly #approvals: Approvals
  readonly #name: string
  readonly #told: Told
  readonly #abort = new AbortController()
  /** By approval: nobody is told of one again before he is done with it. */
  readonly #underWay = new Map<string, Promise<void>>()
  #looked: Promise<void> = Promise.resolve()
  #looking = false
  #again = false
  #retry: (() => void) | undefined

  constructor(approvals: Approvals, name: string, told: Told) {
    this.#approvals = approvals
    this.#name = name
    this.#told = told
  }

  kick(): void {
    this.#again = true
    if (this.#looking || this.#abort.signal.aborted) return
    this.#looking = true
    this.#looked = this.#look()
  }

  /** Resolves when all that was due has been tried, or has had its time. */
  async idle(): Promise<void> {
    const { clock } = this.#approvals.house
    do {
      await this.#looked
      // A handler can't be told to stop, and may itself be what closes the haldir.
      const left = this.#abort.signal.aborted && !this.#told.inTime ? 0 : SHOW_MS
      await within(Promise.all(this.#underWay.values()), left, clock, this.#name, false).catch(() => {})
    } while (this.#looking)
  }

  close(): void {
    this.#retry?.()
    this.#abort.abort()
  }

  async #look(): Promise<void> {
    const { approvals, name } = { approvals: this.#approvals, name: this.#name }
    try {
      while (this.#again && !this.#abort.signal.aborted) {
        const room = AT_ONCE - this.#underWay.size
        // Whoever is done next looks again.
        if (room <= 0) return
        this.#again = false
        const due = await approvals.ask((verbs) => verbs.due([name], room, LEASE_MS), 'due')
        if (due.length > 0) this.#again = true
        for (const delivery of due) this.#begin(delivery)
      }
    } catch (error) {
      approvals.house.faults.note('approvals', error)
      this.#retryIn(FIRST_PAUSE_MS)
    } finally {
      this.#looking = false
    }
  }

  #begin(delivery: Delivery): void {
    const { id } = delivery.row
    // Its lease was over before whoever is told was done: it goes on.
    if (this.#underWay.has(id)) return void this.#later(id, LEASE_MS)
    const done = this.#deliver(delivery).then(() => {
      this.#underWay.delete(id)
      // There is room for more; and what has changed meanwhile is due.
      this.kick()
    })
    this.#underWay.set(id, done)
  }

  /** Never rejects. */
  async #deliver({ row, note, attempt }: Delivery): Promise<void> {
    const { house } = this.#approvals
    const stop = new AbortController()
    const giveUp = () => stop.abort()
    this.#abort.signal.addEventListener('abort', giveUp, { once: true })
    try {
      const shown = this.#told.show(this.#approvals.shown(row), note, stop.signal)
      const limited = isPromise(shown) && this.#told.inTime
      const answer = limited ? await within(shown, SHOW_MS, house.clock, `approver ${this.#name}`, false) : await shown
      await this.#approvals.ask((verbs) => verbs.shown(row.id, this.#name, row.version, answer ?? undefined), 'shown')
    } catch (error) {
      stop.abort()
      house.faults.note(`approver ${this.#name}`, error)
      const pause = pauseAfter(attempt, error)
      await this.#later(row.id, pause)
      this.#retryIn(pause)
    } finally {
      this.#abort.signal.removeEventListener('abort', giveUp)
    }
  }

  /** The lease would bring it back, too, if the store does not take this. */
  async #later(id: string, ms: number): Promise<void> {
    await this.#approvals.ask((verbs) => verbs.later(id, this.#name, ms), 'later').catch(() => {})
  }

  #retryIn(ms: number): void {
    if (this.#retry || this.#abort.signal.aborted) return
    this.#retry = background(this.#approvals.house.clock, ms, () => {
      this.#retry = undefined
      this.kick()
    })
  }
}

/** Twice as long each time, unless the channel has said how long. */
function pauseAfter(attempt: number, error: unknown): number {
  const { retryAfterMs } = (error ?? {}) as { retryAfterMs?: unknown }
  const own = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_PAUSE_MS)
  return typeof retryAfterMs === 'number' && retryAfterMs > 0 ? Math.min(retryAfterMs, 3_600_000) : own
}
