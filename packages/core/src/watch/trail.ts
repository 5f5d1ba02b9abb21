/**
 * The trail: step 5 and step 10 of the path. Every entry is hashed once and given to every sink. `record` answers when
 * every required sink has accepted; if one has not, the entry keeps its place and is offered again before the next. When
 * a sink no longer knows what it has stored, the writer ends, and another one says again what was not accepted.
 */
import { isPromise, type MaybePromise } from '../clock.ts'
import { Unavailable, Unplaced } from '../errors.ts'
import type { Expired, Recovery } from '../sinks/sink.ts'
import { Accepted } from './accepted.ts'
import { type Chain, type Draft, NOBODY } from './chain.ts'
import { Channels } from './channels.ts'
import type { Notary, Signed } from './checkpoints.ts'
import { emptyChain, openingOf, quietly } from './opening.ts'
import { Register } from './register.ts'
import { claims, type Placed, type Stand, type TrailHealth, type TrailParts } from './trail-parts.ts'

export class WrittenTrail {
  readonly #parts: TrailParts
  readonly #sinks: Channels
  readonly #recovered: Recovery[] = []
  readonly #register: Register
  #chain: Chain
  readonly #accepted: Accepted
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
  /** The checkpoint that this chain begins with, until it is accepted. */
  #first: Signed | undefined
  /** The latest checkpoint that is on its way. */
  #sealing: Promise<void> | undefined

  constructor(parts: TrailParts) {
    this.#parts = parts
    this.#register = new Register(parts)
    this.#chain = emptyChain(parts, parts.ids())
    this.#accepted = new Accepted(this.#chain.writer)
    this.#sinks = new Channels(parts, () => this.#end())
  }

  /**
   * Records one entry; at once when every required sink accepts at once. Throws or rejects `Unavailable` when one did
   * not within the deadline: the caller must then not go on. `Unplaced` says besides that the entry is not in the chain
   * at all; otherwise it is, and will reach the sink before anything later does.
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
        if (this.#before && claims(draft, this.#parts.enforced)) {
          this.#again.push({ seq: -1, draft, at })
          throw new Unavailable('the trail could not be opened again', { cause })
        }
        this.#unrecorded++
        throw new Unplaced('the trail could not be opened', { cause })
      },
    )
  }

  /**
   * Records what can't be undone any more. Never throws: what a sink refuses waits in front of the next entry; what gets
   * no place at all, as after `close`, is counted.
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
    await this.#opening?.catch(() => {})
    if (this.#before && !this.#closed) await this.#start()
    if (!this.#open) return
    const { writer, entries, head } = this.#chain
    const optional = this.#sinks.flushOptional()
    await this.#sinks.flush()
    this.#accepted.upTo(writer, entries, head)
    await optional
    await this.#sealing
    await this.#put(false)
    await this.#parts.notary?.settled()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    // What came with the opening, and what an ended writer has left unsaid, is said before the end, if a sink takes it.
    if (this.#opening || this.#before) await this.#start().catch(() => {})
    if (this.#closed) return
    this.#closed = true
    try {
      await this.#finish()
      // What was under way has ended the writer: the one after it says the rest, and closes.
      if (this.#before)
        await this.#start().then(
          () => this.#finish(),
          () => {},
        )
    } finally {
      await Promise.all([this.#parts.notary?.close(), this.#sinks.close()])
    }
  }

  /** The end of the chain. Nothing may follow the entry that closes it, but a checkpoint that covers it. */
  async #finish(): Promise<void> {
    const { notary } = this.#parts
    notary?.stop()
    if (!this.#open) return
    const last = quietly(() => this.#append({ type: 'writer-closed', session: NOBODY }))
    if (notary && notary.signed < this.#chain.entries - 1) this.#checkpoint(notary)
    await last
    await this.#sealing
    if (!this.#open) return
    const { writer, entries, head } = this.#chain
    const [flushed] = await Promise.allSettled([this.#sinks.flush()])
    await this.#sinks.flushOptional()
    const whole = flushed.status === 'fulfilled'
    if (whole) this.#accepted.upTo(writer, entries, head)
    await this.#put(whole)
  }

  health(): TrailHealth {
    const waiting = Math.max(this.#accepted.missing, this.#sinks.waiting) + this.#again.length
    const health = { waiting, unrecorded: this.#unrecorded, dropped: this.#sinks.dropped }
    const { notary } = this.#parts
    return notary ? { ...health, checkpoints: notary.health() } : health
  }

  #append(draft: Draft): MaybePromise<void> {
    const must = claims(draft, this.#parts.enforced)
    // While a sink is down only so much is kept. What has not happened yet gets no place past that: a count, no hole.
    const crowded = must ? undefined : this.#sinks.crowded()
    if (crowded) {
      this.#unrecorded++
      this.#gap++
      throw new Unplaced(`the sink \`${crowded.name}\` does not accept entries`)
    }
    if (this.#gap > 0) {
      const unrecorded = this.#gap
      this.#gap = 0
      // Placed whatever the sink says; so must be the entry after it. It waits for the sink, as every entry does.
      void quietly(() => this.#write({ type: 'gap', session: NOBODY, data: { unrecorded } }))
    }
    const { notary } = this.#parts
    const written = this.#write(draft)
    if (notary?.due) this.#checkpoint(notary)
    return written
  }

  /** Signs the head of the chain and appends that, in one turn: nothing comes between. Never throws. */
  #checkpoint(notary: Notary): Promise<void> | undefined {
    // What a sink refuses may never be stored, in a chain that has ended then: it must not have been signed.
    if (!this.#open || this.#sinks.down) return undefined
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

  /** Nothing has happened for a while: a checkpoint says so, if the trail can be written. One that opens makes its own. */
  async #beat(notary: Notary): Promise<void> {
    if (this.#before && !this.#closed) await this.#start().catch(() => {})
    else if (!this.#closed) this.#checkpoint(notary)
  }

  #write(draft: Draft, at: number = this.#parts.clock.now()): MaybePromise<void> {
    this.#parts.observe?.(draft, at)
    return this.#place(draft, at)
  }

  /** Gives a draft its place and offers its line to every sink, in order. */
  #place(draft: Draft, at: number): MaybePromise<void> {
    const line = this.#chain.append(draft, at)
    this.#parts.notary?.add(this.#chain.head)
    return this.#offer(line, draft, at)
  }

  /** Offers what was placed last to every sink. */
  #offer(line: string, draft: Draft, at: number): MaybePromise<void> {
    const { writer, entries, head } = this.#chain
    const pending: Promise<void>[] = []
    let failure: unknown
    for (const channel of this.#sinks.required) {
      try {
        const accepted = channel.accept(line)
        if (accepted) pending.push(accepted)
      } catch (error) {
        failure = error
      }
    }
    for (const channel of this.#sinks.optional) channel.offer(line)
    // Invariant: every required sink has accepted, or the caller is told that the entry does not stand.
    if (pending.length > 0) {
      const all: Promise<unknown> = pending.length === 1 ? (pending[0] as Promise<void>) : Promise.all(pending)
      const answered =
        failure === undefined ? all.then(() => this.#accepted.upTo(writer, entries, head)) : Promise.allSettled(pending)
      this.#accepted.lacks({ seq: entries - 1, draft, at, answered })
      if (failure === undefined) return answered as Promise<void>
    } else if (failure !== undefined) this.#accepted.lacks({ seq: entries - 1, draft, at })
    if (failure !== undefined) throw failure
    this.#accepted.upTo(writer, entries, head)
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
    await this.#sinks.open(writer, (expired) => this.#retire(expired), this.#recovered)
    // Nobody is told that it stands before it does: it is the proof that the sinks take entries again.
    if (this.#chain.entries > 0) {
      const { entries, head } = this.#chain
      await this.#sinks.again()
      this.#accepted.upTo(writer, entries, head)
    } else {
      const { chain, lines, draft, at, signed } = openingOf(this.#parts, writer, this.#before)
      this.#chain = chain
      this.#first = signed
      await this.#offer(lines, draft, at)
    }
    const { notary } = this.#parts
    if (this.#first) notary?.stands(this.#first)
    this.#first = undefined
    await this.#put(false)
    // All at once and in order: nothing newer comes between. What never had a place was not observed yet.
    const say = async ({ seq, draft, at }: Placed) => (seq < 0 ? this.#write(draft, at) : this.#place(draft, at))
    await Promise.allSettled(this.#again.splice(0).map(say))
    if (this.#ended) throw new Unavailable('the trail has ended again')
    this.#before = undefined
    this.#open = true
    notary?.start(() => void this.#beat(notary))
    // Not by `record`: if this ends the writer, too, that would wait for this very opening.
    while (this.#open && this.#recovered.length > 0) {
      const data = { ...this.#recovered.shift() }
      await quietly(() => this.#append({ type: 'recovery', session: NOBODY, data }))
    }
  }

  /** A sink no longer knows what it has stored: nothing may follow in this chain. */
  #end(): void {
    this.#open = false
    this.#ended = true
    this.#before = this.#accepted.stand ?? this.#before
  }

  /** Another writer's chain, which begins with what the one before could not get accepted. */
  async #succeed(): Promise<void> {
    // A sink that hangs lets nothing begin. What all have accepted by then is not said again, and must be there.
    await this.#sinks.idle()
    await this.#accepted.answered()
    this.#before = this.#accepted.stand ?? this.#before
    this.#chain = emptyChain(this.#parts, this.#parts.ids())
    this.#again.unshift(...this.#accepted.begin(this.#chain.writer))
    this.#sinks.renew(this.#chain.writer)
    this.#ended = false
  }

  #put(closed: boolean): Promise<void> {
    return this.#register.put(this.#chain.genesis, this.#accepted, closed)
  }
}
