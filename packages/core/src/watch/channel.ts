/**
 * The way to one sink: keeps entries in order, one write at a time, everything that waits in one batch. What a sink
 * refuses stays in front and is offered again before anything newer.
 */
import { type Clock, isPromise, within } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { type Recovery, type Retire, type Sink, WriterEnded } from '../sinks/sink.ts'
import { Batch, together } from './batch.ts'

/** How many lines may wait for a sink that is down. */
const KEEP = 1_000

export class Channel {
  readonly name: string
  readonly required: boolean
  #dropped = 0
  readonly #sink: Sink
  readonly #clock: Clock
  readonly #deadlineMs: number
  readonly #onEnded: () => void
  #opened = false
  #opening: Promise<void> | undefined
  #writer = ''
  /** Lines not accepted yet, oldest first. While a write is under way, the first `#flying` of them are in it. */
  #lines: string[] = []
  /** Of the next write. */
  readonly #batch: Batch = new Batch()
  #flying = 0
  /** The end of this turn is waited for, to write at once what comes until then. */
  #gathering = false
  #hung = false
  #down = false
  /** Nothing is written before it is opened again: its writer has ended. */
  #ended = false
  /** What is under way is of a writer that has ended. */
  #stale = false

  /** `onEnded` is called when the sink no longer knows what it has stored. */
  constructor(sink: Sink, clock: Clock, deadlineMs: number, onEnded: () => void = () => {}) {
    this.name = sink.name
    this.required = sink.required !== false
    this.#sink = sink
    this.#clock = clock
    this.#deadlineMs = deadlineMs
    this.#onEnded = onEnded
  }

  /** Entries that did not get in, and those that the sink had to give up afterwards. */
  get dropped(): number {
    return this.#dropped + (this.#sink.lost ?? 0)
  }

  get waiting(): number {
    return this.#lines.length
  }

  /** Does not accept, and keeps as much as it may. One that is only busy is bounded by the calls that wait for it. */
  get crowded(): boolean {
    return this.#down && this.#lines.length >= KEEP
  }

  /** The last write was refused, or hangs. */
  get down(): boolean {
    return this.#down
  }

  /** `retire` records that the sink is about to let a file go. A copy is given none: its files are not the record. */
  async open(writer: string, retire?: Retire): Promise<readonly Recovery[]> {
    if (this.#opened) return []
    let found: unknown
    try {
      const opening = this.#sink.open?.(writer, retire)
      found = isPromise(opening) ? await within(opening, this.#deadlineMs, this.#clock, this.name) : opening
    } catch (cause) {
      if (this.required && WriterEnded.is(cause)) this.#onEnded()
      throw this.#refusal(cause)
    }
    this.#opened = true
    this.#ended = false
    return (found as { recovered?: readonly Recovery[] } | undefined)?.recovered ?? []
  }

  /** Opens a sink that is not required when its first line comes. */
  openLater(writer: string): void {
    this.#writer = writer
  }

  /** Resolves when no write is under way. Throws when one hangs. */
  async idle(): Promise<void> {
    if (this.#hung) throw this.#refusal()
    // Its failure is known to whoever waits for the entry.
    if (this.#busy) await this.#batch.wait().catch(() => {})
    if (this.#hung || this.#busy) throw this.#refusal()
  }

  /** Another writer follows. What waits is the old one's: the trail says it again, or it is lost to this sink. */
  renew(writer: string): void {
    if (!this.required) this.#dropped += this.#lines.length - this.#flying
    this.#lines.length = this.#flying
    this.#stale = this.#flying > 0
    this.#ended = true
    this.#opened = false
    this.#opening = undefined
    this.#down = false
    this.#writer = writer
  }

  /**
   * Offers a line, after all that waits. `undefined`: accepted. A promise: accepted when it resolves. Throws when the
   * sink refuses at once or hangs; the line then waits in front of the next.
   */
  accept(line: string): Promise<void> | undefined {
    this.#lines.push(line)
    if (this.#hung) throw this.#refusal()
    if (this.#busy) return this.#batch.wait()
    if (!this.#sink.gathers) return this.#writeAll()
    this.#gather()
    return this.#batch.wait()
  }

  /** Offers a line to a sink that may lose it: never throws, never waits. */
  offer(line: string): void {
    if (this.#lines.length - this.#flying >= KEEP) {
      this.#lines.splice(this.#flying, 1)
      this.#dropped++
    }
    if (!this.#opened) {
      this.#lines.push(line)
      this.#opening ??= this.#openIdle().then(
        () => void this.retry(),
        () => {
          this.#opening = undefined
        },
      )
      return
    }
    try {
      this.accept(line)?.then(undefined, () => {})
    } catch {
      // The line waits; `dropped` counts it if it never gets in.
    }
  }

  /** What is under way is of the writer before. */
  async #openIdle(): Promise<void> {
    if (this.#busy) await this.idle()
    await this.open(this.#writer)
  }

  /** Offers again what waits. Answers whether the sink has taken all of it at once. */
  retry(): boolean {
    if (this.#busy || this.#hung) return false
    try {
      const written = this.#write()
      if (written) this.#land(written)
      return !written
    } catch {
      return false
    }
  }

  /** Offers again what waits. Resolves when all of it is accepted. */
  async again(): Promise<void> {
    if (!this.#opened || this.#hung) {
      if (this.#lines.length > 0) throw this.#refusal()
      return
    }
    // A write under way is followed by one of all that waits; a second beside it would write lines twice.
    const landed = this.#busy ? this.#batch.wait() : this.#writeAll()
    // The caller waits for this, so it keeps the process alive, whoever else would not have waited for the sink.
    if (landed) await within(landed, this.#deadlineMs, this.#clock, this.name)
  }

  /** Resolves when everything is accepted and the sink has flushed. */
  async flush(): Promise<void> {
    if (!this.#opened && this.#lines.length === 0) return
    await this.again()
    if (this.#hung) return
    const flushed = this.#sink.flush?.()
    if (isPromise(flushed)) await within(flushed, this.#deadlineMs, this.#clock, this.name)
  }

  async close(): Promise<void> {
    const closed = this.#sink.close?.()
    if (isPromise(closed)) await within(closed, this.#deadlineMs, this.#clock, this.name)
  }

  /** Writes everything that waits. `undefined`: accepted at once. Throws when refused at once. */
  #writeAll(): Promise<void> | undefined {
    const written = this.#write()
    if (!written) return undefined
    const accepted = this.#batch.wait()
    this.#land(written)
    return accepted
  }

  /** One write of everything that waits. Throws when refused at once. */
  #write(): PromiseLike<unknown> | undefined {
    const count = this.#lines.length
    if (count === 0) return undefined
    if (this.#ended) throw this.#refusal()
    let answer: unknown
    try {
      answer = this.#sink.write(count === 1 ? (this.#lines[0] as string) : together(this.#lines))
    } catch (cause) {
      this.#refused(cause)
      throw this.#refusal(cause)
    }
    if (isPromise(answer)) {
      this.#flying = count
      return answer
    }
    this.#down = answer === false
    if (this.#down) throw this.#refusal()
    this.#lines.length = 0
    return undefined
  }

  /** Follows a write under way to its end, then writes what has come meanwhile. */
  #land(written: PromiseLike<unknown>): void {
    const batch = this.#batch.take()
    let over = false
    const landed = (accepted: boolean, cause?: unknown) => {
      over = true
      if (accepted || this.#stale) this.#lines.splice(0, this.#flying)
      if (!accepted && this.#stale) this.#dropped += this.#flying
      this.#flying = 0
      this.#stale = false
      this.#hung = false
      this.#down = false
      if (!accepted) this.#refused(cause)
      if (accepted) batch?.resolve()
      else batch?.reject(this.#refusal(cause))
      if (!this.#batch.waited) return
      if (this.#sink.gathers) this.#gather()
      else this.#next()
    }
    written.then(
      (answer) => landed(answer !== false),
      (cause) => landed(false, cause),
    )
    within(written, this.#deadlineMs, this.#clock, this.name, this.required).then(undefined, (cause) => {
      if (over) return
      // The write hangs. Nobody waits any longer, and what comes now is refused until the sink answers.
      this.#hung = true
      this.#down = true
      for (const waiting of [batch, this.#batch.take()]) waiting?.reject(this.#refusal(cause))
    })
  }

  get #busy(): boolean {
    return this.#flying > 0 || this.#gathering
  }

  /** Those who have just been answered come with their next lines before this turn ends. */
  #gather(): void {
    this.#gathering = true
    setImmediate(() => {
      this.#gathering = false
      this.#next()
    })
  }

  #next(): void {
    try {
      const written = this.#write()
      if (written) this.#land(written)
      else this.#batch.take()?.resolve()
    } catch (error) {
      this.#batch.take()?.reject(error)
    }
  }

  #refused(cause: unknown): void {
    this.#down = true
    if (!WriterEnded.is(cause)) return
    this.#ended = true
    if (this.required) this.#onEnded()
    else {
      // A copy ends no chain. It is opened again before the next line, and offered what it did not accept.
      this.#opened = false
      this.#opening = undefined
    }
  }

  #refusal(cause?: unknown): Unavailable {
    return new Unavailable(`the sink \`${this.name}\` did not accept an entry`, { cause })
  }
}
