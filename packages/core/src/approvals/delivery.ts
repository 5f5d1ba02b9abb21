/**
 * What channels are owed. The store keeps it, so a process that dies leaves it to the next one: a channel is told at
 * least once how an approval stands, and again until it has taken that.
 */
import type { Approver } from '../approvers/approver.ts'
import { background, isPromise, within } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import type { Delivery } from '../stores/approvals.ts'
import type { Approvals } from './approvals.ts'

type Show = Approver['show']

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

  add(name: string, show: Show): void {
    this.#channels.set(name, new Channel(this.#approvals, name, show))
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

/** One channel: its deliveries go out beside one another, and none of them holds up another one. */
class Channel {
  readonly #approvals: Approvals
  readonly #name: string
  readonly #show: Show
  readonly #abort = new AbortController()
  /** By approval. */
  readonly #flying = new Map<string, Promise<void>>()
  #looking: Promise<void> | undefined
  #again = false
  #retry: (() => void) | undefined

  constructor(approvals: Approvals, name: string, show: Show) {
    this.#approvals = approvals
    this.#name = name
    this.#show = show
  }

  kick(): void {
    this.#again = true
    // When there is no room, the next one that lands looks again.
    if (this.#looking || this.#flying.size >= AT_ONCE || this.#abort.signal.aborted) return
    this.#looking = this.#look()
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    while (this.#looking || this.#flying.size > 0) await Promise.all([this.#looking, ...this.#flying.values()])
  }

  close(): void {
    this.#retry?.()
    this.#abort.abort()
  }

  async #look(): Promise<void> {
    const approvals = this.#approvals
    try {
      while (this.#again && this.#flying.size < AT_ONCE && !this.#abort.signal.aborted) {
        const room = AT_ONCE - this.#flying.size
        this.#again = false
        const due = await approvals.ask((verbs) => verbs.due([this.#name], room, LEASE_MS), 'due')
        for (const delivery of due) this.#send(delivery)
      }
    } catch (error) {
      approvals.house.faults.note('approvals', error)
      this.#retryIn(FIRST_PAUSE_MS)
    } finally {
      this.#looking = undefined
    }
  }

  #send(delivery: Delivery): void {
    const { id } = delivery.row
    // Invariant: of one approval, one is on its way: it does not know yet what the other will note, and would post a
    // second card. When that one lands, what has changed meanwhile is due at once.
    if (this.#flying.has(id)) return void this.#later(id, LEASE_MS)
    const flight = this.#deliver(delivery).finally(() => {
      this.#flying.delete(id)
      // There may be more, and it may have changed while it was shown.
      this.kick()
    })
    this.#flying.set(id, flight)
  }

  async #deliver({ row, note, attempt }: Delivery): Promise<void> {
    const { house } = this.#approvals
    const stop = new AbortController()
    let giveUp = () => {}
    const closed = new Promise<never>((_, reject) => {
      giveUp = () => reject(new Unavailable('the channel was closed meanwhile'))
    })
    // Of a channel that answers at once, nobody waits for this.
    closed.catch(() => {})
    this.#abort.signal.addEventListener('abort', giveUp, { once: true })
    try {
      this.#abort.signal.throwIfAborted()
      const shown = this.#show(this.#approvals.shown(row), note, stop.signal)
      const answer = isPromise(shown)
        ? // Invariant: a channel that hangs and does not mind its signal holds up no `close`.
          await Promise.race([within(shown, SHOW_MS, house.clock, `approver ${this.#name}`, false), closed])
        : shown
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
