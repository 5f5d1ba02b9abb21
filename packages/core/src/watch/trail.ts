/**
 * The trail: step 5 and step 10 of the path. Every entry is hashed once and given to every sink. `record` answers when
 * every required sink has accepted; if one has not, the entry keeps its place and is offered again before the next. When
 * a sink no longer knows what it has stored, the writer ends, and another one says again what was not accepted.
 */
import { isPromise, type MaybePromise } from '../clock.ts'
import { Unavailable, Unplaced } from '../errors.ts'
import type { Expired, Recovery } from '../sinks/sink.ts'
import { Chain, type Draft, GENESIS, NOBODY } from './chain.ts'
import { Channel } from './channel.ts'
import type { Notary } from './checkpoints.ts'
import { Register } from './register.ts'
import { OF_ONE_CHAIN, type Placed, type Stand, type TrailHealth, type TrailParts } from './trail-parts.ts'

export class WrittenTrail {
  readonly #parts: TrailParts
  readonly #required: readonly Channel[]
  readonly #optional: readonly Channel[]
  readonly #recovered: Recovery[] = []
  readonly #register: Register
  #chain: Chain
  #accepted: Stand
  /** What has a place and is not accepted by every required sink, in order. */
  #unaccepted: Placed[] = []
  /** The chain of this writer has ended: the next entry goes to another one's, which names this one. */
  #ended = false
  #before: Stand | undefined
  /** What the next writer says again, in order. */
  #again: Placed[] = []
  #opening: Promise<void> | undefined
  #open = false
  #closed = false
  #unrecorded = 0
  #gap = 0
  /** The latest checkpoint that is on its way. */
  #sealing: Promise<void> | undefined

  constructor(parts: TrailParts) {
    this.#parts = parts
    this.#register = new Register(parts)
    this.#chain = this.#newChain()
    this.#accepted = { writer: this.#chain.writer, entries: 0, head: GENESIS }
    const end = () => this.#end()
    const channels = parts.sinks.map((sink) => new Channel(sink, parts.clock, parts.deadlineMs, end))
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
    const at = this.#parts.clock.now()
    return this.#start().then(
      () => this.#append(draft),
      (cause) => {
        // It is about a call that has run while the writer before was alive: the next one says it first.
        if (this.#before && this.#must(draft)) {
          this.#again.push({ seq: -1, draft, at })
          throw new Unavailable('the trail could not be opened again', { cause })
        }
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

  /** Offers again what sinks have not accepted, flushes them, and registers how long the chain is. */
  async flush(): Promise<void> {
    if (this.#before && !this.#closed) await this.#start()
    if (!this.#open) return
    const chain = this.#chain
    const { entries, head } = chain
    const optional = this.#optional.map((channel) => channel.flush())
    await Promise.all(this.#required.map((channel) => channel.flush()))
    this.#stands(chain, entries, head)
    await Promise.allSettled(optional)
    await this.#sealing
    await this.#put(false)
    await this.#parts.notary?.settled()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    // What an ended writer has left unsaid is said before the end, if a sink takes it.
    if (this.#before && !this.#open) await this.#start().catch(() => {})
    const { notary } = this.#parts
    notary?.stop()
    const last = this.#open ? this.conclude({ type: 'writer-closed', session: NOBODY }) : undefined
    // At once: nothing may follow the entry that closes the chain, but a checkpoint that covers it.
    if (notary && notary.signed < this.#chain.entries - 1) this.#checkpoint(notary)
    this.#closed = true
    await last
    await this.#sealing
    const channels = [...this.#required, ...this.#optional]
    try {
      if (this.#open) {
        const { entries, head } = this.#chain
        const flushed = await Promise.allSettled(this.#required.map((channel) => channel.flush()))
        await Promise.allSettled(this.#optional.map((channel) => channel.flush()))
        const whole = flushed.every(({ status }) => status === 'fulfilled')
        if (whole) this.#stands(this.#chain, entries, head)
        await this.#put(whole)
      }
    } finally {
      await Promise.allSettled([notary?.close(), ...channels.map((channel) => channel.close())])
    }
  }

  health(): TrailHealth {
    const waiting = Math.max(this.#unaccepted.length, ...this.#required.map((channel) => channel.waiting))
    const dropped = Object.fromEntries(this.#optional.map((channel) => [channel.name, channel.dropped]))
    const health = { waiting: waiting + this.#again.length, unrecorded: this.#unrecorded, dropped }
    const { notary } = this.#parts
    return notary ? { ...health, checkpoints: notary.health() } : health
  }

  #append(draft: Draft): MaybePromise<void> {
    const must = this.#must(draft)
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
      void (async () => this.#write({ type: 'gap', session: NOBODY, data: { unrecorded } }))().catch(() => {})
    }
    const { notary } = this.#parts
    const written = this.#write(draft)
    if (notary?.due) this.#checkpoint(notary)
    return written
  }

  /** Signs the head of the chain and appends that, in one turn: nothing comes between. Never throws. */
  #checkpoint(notary: Notary): Promise<void> | undefined {
    // What a sink refuses may never be stored, in a chain that has ended then: it must not have been signed.
    if (!this.#open || this.#closed || this.#required.some(({ down }) => down)) return undefined
    const signed = notary.sign(this.#parts.clock.now())
    if (!signed) return undefined
    // Invariant: nobody is shown a checkpoint before it is where it is looked for.
    const stands = (async () => this.#write(signed.draft, signed.at))().then(() => notary.stands(signed))
    this.#sealing = stands.then(() => this.#put(false)).catch(() => {})
    return stands
  }

  /** Asked before a file is deleted: what is not on record as let go was taken away. */
  async #retire(expired: Expired): Promise<void> {
    await this.record({ type: 'retention', session: NOBODY, data: { ...expired } })
    const { notary } = this.#parts
    // Invariant: signed, too, before it goes: whoever can't sign can't say so either.
    const stands = notary ? this.#checkpoint(notary) : Promise.resolve()
    if (!stands) throw new Unavailable('what is let go of could not be signed for')
    await stands
  }

  /** Nothing has happened for a while: a checkpoint says so, if the trail can be written. */
  async #beat(notary: Notary): Promise<void> {
    if (this.#before) await this.#start().catch(() => {})
    this.#checkpoint(notary)
  }

  /** In shadow mode calls run without an intent while a sink is down: their outcomes have no claim to a place. */
  #must({ type }: Draft): boolean {
    return type === 'writer-closed' || (type === 'outcome' && this.#parts.enforced !== false)
  }

  #write(draft: Draft, at: number = this.#parts.clock.now()): MaybePromise<void> {
    this.#parts.observe?.(draft, at)
    return this.#place(draft, at)
  }

  /** Gives a draft its place and offers its line to every sink, in order. */
  #place(draft: Draft, at: number): MaybePromise<void> {
    const chain = this.#chain
    const line = chain.append(draft, at)
    const { entries, head } = chain
    this.#parts.notary?.add(head)
    const pending: Promise<void>[] = []
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
      const all: Promise<unknown> = pending.length === 1 ? (pending[0] as Promise<void>) : Promise.all(pending)
      const answered =
        failure === undefined ? all.then(() => this.#stands(chain, entries, head)) : Promise.allSettled(pending)
      this.#unaccepted.push({ seq: entries - 1, draft, at, answered })
      if (failure === undefined) return answered as Promise<void>
    } else if (failure !== undefined) this.#unaccepted.push({ seq: entries - 1, draft, at })
    if (failure !== undefined) throw failure
    this.#stands(chain, entries, head)
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
    if (this.#ended) await this.#succeed()
    const { writer } = this.#chain
    const retire = (expired: Expired) => this.#retire(expired)
    for (const channel of this.#required) this.#recovered.push(...(await channel.open(writer, retire)))
    for (const channel of this.#optional) channel.openLater(writer)
    if (this.#chain.entries === 0) {
      const after = this.#before ? { data: { after: this.#before } } : {}
      // Nobody is told that it stands before it does: it is the proof that the sinks take entries again.
      await this.#place({ type: 'writer-opened', session: NOBODY, ...after }, this.#parts.clock.now())
    }
    await this.#put(false)
    // All of it at once, in order, so that nothing newer comes between. What is not accepted now waits as usual.
    await Promise.allSettled(this.#again.splice(0).map(async ({ draft, at }) => this.#place(draft, at)))
    if (this.#ended) throw new Unavailable('the trail has ended again')
    this.#before = undefined
    this.#open = true
    const { notary } = this.#parts
    notary?.start(() => void this.#beat(notary))
    for (let next = this.#recovered.shift(); next; next = this.#recovered.shift()) {
      await this.conclude({ type: 'recovery', session: NOBODY, data: { ...next } })
    }
  }

  /** A sink no longer knows what it has stored: nothing may follow in this chain. */
  #end(): void {
    this.#open = false
    this.#ended = true
    if (this.#accepted.entries > 0) this.#before = this.#accepted
  }

  /** Another writer's chain, which begins with what the one before could not get accepted. */
  async #succeed(): Promise<void> {
    // What is under way may still be accepted. A sink that hangs lets nothing begin.
    for (const channel of this.#required) await channel.idle()
    await Promise.allSettled(this.#unaccepted.map(({ answered }) => answered))
    this.#again.unshift(...this.#unaccepted.filter(({ draft }) => !OF_ONE_CHAIN.has(draft.type)))
    this.#unaccepted = []
    this.#chain = this.#newChain()
    this.#accepted = { writer: this.#chain.writer, entries: 0, head: GENESIS }
    for (const channel of [...this.#required, ...this.#optional]) channel.renew(this.#chain.writer)
    this.#ended = false
  }

  #newChain(): Chain {
    const { ids, haldir, enforced, notary } = this.#parts
    const chain = new Chain(ids(), haldir, enforced)
    notary?.begin(chain.writer)
    return chain
  }

  /** Up to here every required sink has every entry. Only that is registered: more would look cut off after a crash. */
  #stands({ writer }: Chain, entries: number, head: string): void {
    if (writer !== this.#accepted.writer || entries <= this.#accepted.entries) return
    this.#accepted = { writer, entries, head }
    let accepted = 0
    while ((this.#unaccepted[accepted]?.seq ?? entries) < entries) accepted++
    if (accepted > 0) this.#unaccepted.splice(0, accepted)
  }

  #put(closed: boolean): Promise<void> {
    return this.#register.put(this.#chain.genesis, this.#accepted, closed)
  }
}
