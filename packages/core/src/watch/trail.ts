/**
 * The trail: step 5 and step 10 of the path. Every entry is hashed once and given to every sink. `record` answers when
 * every required sink has accepted; if one has not, the entry keeps its place and is offered again before the next.
 */
import type { Clock, MaybePromise } from '../clock.ts'
import { ask, isPromise } from '../clock.ts'
import { Unavailable, Unplaced } from '../errors.ts'
import type { Recovery, Sink, StoredLine } from '../sinks/sink.ts'
import type { WriterVerbs } from '../stores/store.ts'
import { Chain, type Draft, GENESIS, NOBODY } from './chain.ts'
import { Channel } from './channel.ts'
import type { Entry } from './entry.ts'
import { type Filter, query } from './query.ts'
import { type Verification, verifyLines } from './verify.ts'

export interface TrailParts {
  readonly haldir: string
  readonly writer: string
  readonly sinks: readonly Sink[]
  /** Where writers are registered, so that a missing chain is noticed. */
  readonly registry: WriterVerbs
  readonly clock: Clock
  readonly deadlineMs: number
  /** `false`: what these entries tell of was judged, not enforced. */
  readonly enforced?: boolean
}

/** What the trail could not do, for `health()`. */
export interface TrailHealth {
  /** Entries that a required sink has not accepted yet; no further call runs until they are in. */
  readonly waiting: number
  /** Entries that could not be given a place while a sink was down. */
  readonly unrecorded: number
  /** For each sink that is not required: entries it lost. */
  readonly dropped: Readonly<Record<string, number>>
}

/** What an application sees of the trail: reading it. Only the path of a call and its own house write to it. */
export interface Trail {
  /** The entries that match, one writer's after another's. Throws `ConfigError` for a filter it does not understand. */
  query(filter?: Filter): AsyncGenerator<Entry>
  /** Checks every chain in the first required sink that can be read, and that no registered writer is missing. */
  verify(): Promise<Verification>
}

export class WrittenTrail implements Trail {
  readonly #parts: TrailParts
  readonly #chain: Chain
  readonly #required: readonly Channel[]
  readonly #optional: readonly Channel[]
  #opening: Promise<void> | undefined
  #accepted = { entries: 0, head: GENESIS }
  readonly #recovered: Recovery[] = []
  #open = false
  #closed = false
  #unrecorded = 0
  #gap = 0

  constructor(parts: TrailParts) {
    this.#parts = parts
    this.#chain = new Chain(parts.writer, parts.haldir, parts.enforced)
    const channels = parts.sinks.map((sink) => new Channel(sink, parts.clock, parts.deadlineMs))
    this.#required = channels.filter((channel) => channel.required)
    this.#optional = channels.filter((channel) => !channel.required)
  }

  /**
   * Records one entry. Returns at once when every required sink accepts at once. Throws or rejects `Unavailable` when
   * a required sink did not accept within the deadline: the caller must then not go on. `Unplaced` says besides that
   * the entry is not in the chain at all; otherwise it is, and will reach the sink before anything later does.
   */
  record(draft: Draft): MaybePromise<void> {
    if (this.#open && !this.#closed) return this.#append(draft)
    if (this.#closed) {
      this.#unrecorded++
      throw new Unplaced('the trail is closed')
    }
    return this.#start().then(
      () => this.#append(draft),
      (cause) => {
        throw new Unplaced('the trail could not be opened', { cause })
      },
    )
  }

  /**
   * Records what can't be undone any more. Never throws: what a sink refuses waits in front of the next entry, and
   * nothing else is accepted before it; what gets no place at all, as after `close`, is counted.
   */
  conclude(draft: Draft): MaybePromise<void> {
    try {
      const done = this.record(draft)
      return isPromise(done) ? done.then(undefined, () => {}) : undefined
    } catch {
      return undefined
    }
  }

  /** The entries that match, one writer's after another's. */
  query(filter: Filter = {}): AsyncGenerator<Entry> {
    return query(this.#read(), filter)
  }

  /** Checks every chain in the first required sink that can be read, and that no registered writer is missing. */
  async verify(): Promise<Verification> {
    // What a sink does not take now is missing from what is read, and shows as such.
    await this.flush().catch(() => {})
    const { registry, clock, deadlineMs } = this.#parts
    const writers = await ask(() => registry.list(), deadlineMs, clock, 'store.writer.list')
    if (!Array.isArray(writers)) throw new Unavailable('`store.writer.list` answered nonsense')
    return verifyLines(this.#read(), writers)
  }

  /** Offers again what sinks have not accepted, flushes them, and registers how long the chain is. */
  async flush(): Promise<void> {
    if (!this.#open) return
    const { entries, head } = this.#chain
    const optional = this.#optional.map((channel) => channel.flush())
    await Promise.all(this.#required.map((channel) => channel.flush()))
    this.#stands(entries, head)
    await Promise.allSettled(optional)
    await this.#register(false)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    const last = this.#open ? this.conclude({ type: 'writer-closed', session: NOBODY }) : undefined
    // At once: nothing may follow the entry that closes the chain.
    this.#closed = true
    await last
    const channels = [...this.#required, ...this.#optional]
    try {
      if (this.#open) {
        const { entries, head } = this.#chain
        const flushed = await Promise.allSettled(this.#required.map((channel) => channel.flush()))
        await Promise.allSettled(this.#optional.map((channel) => channel.flush()))
        const whole = flushed.every(({ status }) => status === 'fulfilled')
        if (whole) this.#stands(entries, head)
        await this.#register(whole)
      }
    } finally {
      await Promise.allSettled(channels.map((channel) => channel.close()))
    }
  }

  health(): TrailHealth {
    const waiting = Math.max(0, ...this.#required.map((channel) => channel.waiting))
    const dropped = Object.fromEntries(this.#optional.map((channel) => [channel.name, channel.dropped]))
    return { waiting, unrecorded: this.#unrecorded, dropped }
  }

  #append(draft: Draft): MaybePromise<void> {
    // In shadow mode calls run without an intent, for as long as a sink is down: their outcomes have no claim to a place.
    const must = draft.type === 'writer-closed' || (draft.type === 'outcome' && this.#parts.enforced !== false)
    for (const channel of this.#required) {
      // While a sink is down only so much is kept for it. Past that, what has not happened yet gets no place at all,
      // so that the chain has no hole; how much was left out is recorded when the sink accepts again.
      if (!must && channel.crowded && !channel.retry()) {
        this.#unrecorded++
        this.#gap++
        throw new Unplaced(`the sink \`${channel.name}\` does not accept entries`)
      }
    }
    if (this.#gap > 0) {
      const unrecorded = this.#gap
      this.#gap = 0
      // Placed whatever the sink says; so must be the entry after it.
      try {
        const noted = this.#write({ type: 'gap', session: NOBODY, data: { unrecorded } })
        if (isPromise(noted)) noted.then(undefined, () => {})
      } catch {
        // It waits for the sink, as every entry does.
      }
    }
    return this.#write(draft)
  }

  /** Gives a draft its place and offers its line to every sink, in order. */
  #write(draft: Draft): MaybePromise<void> {
    const line = this.#chain.append(draft, this.#parts.clock.now())
    const { entries, head } = this.#chain
    const pending: PromiseLike<void>[] = []
    let failure: unknown
    for (const channel of this.#required) {
      try {
        const accepted = channel.accept(line)
        if (accepted) pending.push(accepted)
      } catch (error) {
        failure = error
      }
    }
    for (const channel of this.#optional) channel.offer(line)
    // Invariant: every required sink has accepted, or the caller is told that the entry does not stand.
    if (pending.length > 0) {
      const all = Promise.all(pending)
      if (failure === undefined) return all.then(() => this.#stands(entries, head))
      all.then(undefined, () => {})
    }
    if (failure !== undefined) throw failure
    this.#stands(entries, head)
    return undefined
  }

  /** Opens the sinks and the chain. Tried again at every entry until it succeeds. */
  #start(): Promise<void> {
    this.#opening ??= this.#begin().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #begin(): Promise<void> {
    const { writer } = this.#parts
    for (const channel of this.#required) this.#recovered.push(...(await channel.open(writer)))
    for (const channel of this.#optional) channel.openLater(writer)
    if (this.#chain.entries === 0) await this.#write({ type: 'writer-opened', session: NOBODY })
    await this.#register(false)
    this.#open = true
    for (let next = this.#recovered.shift(); next; next = this.#recovered.shift()) {
      await this.conclude({ type: 'recovery', session: NOBODY, data: { ...next } })
    }
  }

  /** Up to here every required sink has every entry. Only that is registered: more would look cut off after a crash. */
  #stands(entries: number, head: string): void {
    if (entries > this.#accepted.entries) this.#accepted = { entries, head }
  }

  async #register(closed: boolean): Promise<void> {
    const { registry, clock, deadlineMs, writer: id } = this.#parts
    const { genesis } = this.#chain
    const { entries, head } = this.#accepted
    await ask(() => registry.put({ id, genesis, entries, head, closed }), deadlineMs, clock, 'store.writer.put')
  }

  async *#read(): AsyncGenerator<StoredLine> {
    const readable = this.#parts.sinks.find((sink) => sink.required !== false && sink.read)
    if (!readable?.read) throw new Unavailable('no required sink can be read back')
    yield* readable.read()
  }
}
