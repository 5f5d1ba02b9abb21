/** Takes batches out of queues, one request at a time, and comes back later for what did not get through. */
import { background, type Clock, within } from '../../clock.ts'
import { Unavailable } from '../../errors.ts'
import type { Tally } from './counts.ts'
import type { Post, Posted } from './post.ts'
import type { Batch, BatchSize, Queue } from './queue.ts'

export interface SenderParts {
  readonly name: string
  readonly post: Post
  readonly size: BatchSize
  /** How long an entry waits for others to go with it. */
  readonly everyMs: number
  readonly backoff: Backoff
  readonly clock: Clock
  readonly random: () => number
  readonly tally: Tally
  /** Sets aside what the receiver will never take. Throws when it can't: the entry then is not given up. */
  refuse(line: string, why: string, batch: string): void
  /** A queue has nothing left. */
  emptied(queue: Queue): void
}

export interface Backoff {
  readonly firstMs: number
  readonly mostMs: number
}

interface Waiter {
  /** How many entries must have left the queues. */
  readonly target: number
  readonly resolve: () => void
}

/** A receiver that asks to be left alone for longer is asked again after this all the same. */
const LONGEST = 15 * 60_000

/** Exponential with full jitter: as long as any wait up to the limit, so that senders do not come back all at once. */
export function delayOf(failures: number, { firstMs, mostMs }: Backoff, random: () => number, afterMs = 0): number {
  const limit = Math.min(mostMs, firstMs * 2 ** Math.min(30, failures - 1))
  return Math.max(Math.min(afterMs, LONGEST), Math.floor(random() * limit))
}

export class Sender {
  readonly #parts: SenderParts
  /** What others have left first, the own one last. */
  readonly #queues: Queue[]
  #gone = 0
  #failures = 0
  #busy = false
  #stopped = false
  /** Stops the timer that waits for more entries, or for the receiver. */
  #cancel: (() => void) | undefined
  #backing = false
  #waiters: Waiter[] = []

  constructor(parts: SenderParts, queues: readonly Queue[]) {
    this.#parts = parts
    this.#queues = [...queues]
  }

  get entries(): number {
    return this.#queues.reduce((sum, { entries }) => sum + entries, 0)
  }

  get bytes(): number {
    return this.#queues.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** There may be something to send. */
  poke(): void {
    if (this.#busy || this.#backing || this.#stopped || this.entries === 0) return
    const { size, everyMs, clock } = this.#parts
    if (this.entries >= size.entries || this.bytes >= size.bytes) this.#start()
    else {
      this.#cancel ??= background(clock, everyMs, () => {
        this.#cancel = undefined
        this.#start()
      })
    }
  }

  /** Gives up the oldest entries, as many as are so many bytes if there are; answers how many. */
  dropOldest(bytes: number): number {
    const before = this.bytes
    let count = 0
    for (const queue of this.#queues) {
      const missing = bytes - (before - this.bytes)
      if (missing > 0) count += queue.dropOldest(missing)
    }
    this.#left(count)
    return count
  }

  /** Resolves when all that is queued now has left the queues. Rejects with `Unavailable` when that takes too long. */
  async flush(deadlineMs: number): Promise<void> {
    if (this.entries === 0) return
    const { clock, name, tally } = this.#parts
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiter = { target: this.#gone + this.entries, resolve }
    this.#waiters.push(waiter)
    // At once, whatever it was waiting for.
    if (!this.#busy) this.#start()
    try {
      await within(promise, deadlineMs, clock, name)
    } catch {
      const why = tally.failing === undefined ? 'the receiver is too slow' : tally.failing
      throw new Unavailable(`\`${name}\` could not send all of its entries: ${why}`)
    } finally {
      this.#waiters = this.#waiters.filter((one) => one !== waiter)
    }
  }

  /** Nothing is sent any more. */
  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    this.#cancel = undefined
  }

  #start(): void {
    if (this.#busy || this.#stopped) return
    this.#cancel?.()
    this.#cancel = undefined
    this.#backing = false
    this.#busy = true
    this.#run().then((wait) => {
      this.#busy = false
      if (wait !== undefined) this.#later(wait)
      // What has come since it looked last.
      else this.poke()
    })
  }

  /** Sends until nothing is left. Answers after how long to come back when something did not get through. */
  async #run(): Promise<number | undefined> {
    const { size, post, tally } = this.#parts
    try {
      for (let queue = this.#first(); queue && !this.#stopped; queue = this.#first()) {
        const held = queue.entries
        const batch = queue.next(size)
        this.#vanished(queue, held - queue.entries)
        if (!batch) continue
        if (this.#failures > 0) tally.retried++
        const posted = await post.send(batch)
        // What became of it is the next process's to find out: it stands in the spool as it was.
        if (this.#stopped) return undefined
        const wait = this.#landed(queue, batch, posted)
        if (wait !== undefined) return wait
      }
      return undefined
    } catch (error) {
      return this.#failed(error instanceof Unavailable ? error.message : 'the spool could not be read or written', 0)
    }
  }

  #first(): Queue | undefined {
    return this.#queues.find(({ entries }) => entries > 0)
  }

  #landed(queue: Queue, batch: Batch, posted: Posted): number | undefined {
    const { tally } = this.#parts
    const count = batch.lines.length
    if (posted.kind === 'later') return this.#failed(posted.why, posted.afterMs)
    if (posted.kind === 'split' && count > 1) {
      const places = batch.lines.map((_, index) => index)
      const half = Math.ceil(count / 2)
      queue.settle([places.slice(0, half), places.slice(half)])
      return undefined
    }
    const { refused, again, reduced } =
      posted.kind === 'taken' ? posted : { refused: [{ index: 0, why: posted.why }], again: [], reduced: 0 }
    for (const { index, why } of refused) this.#parts.refuse(batch.lines[index] as string, why, batch.id)
    queue.settle(again.length > 0 ? [again] : [])
    tally.rejected += refused.length
    tally.reduced += reduced
    tally.sent += count - refused.length - again.length
    this.#left(count - again.length)
    if (queue.entries === 0) this.#emptied(queue)
    this.#failures = 0
    // Those that were only busy are given time; those behind one that was refused were never looked at.
    if (again.length > 0 && refused.length === 0)
      return this.#failed('the receiver did not take every entry', undefined)
    tally.failing = undefined
    return undefined
  }

  /** Somebody has taken away what was in a spool. */
  #vanished(queue: Queue, count: number): void {
    this.#parts.tally.dropped += count
    this.#left(count)
    if (queue.entries === 0) this.#emptied(queue)
  }

  #emptied(queue: Queue): void {
    // The own one, which is the last, is written on.
    const at = this.#queues.indexOf(queue)
    if (at >= 0 && at < this.#queues.length - 1) {
      this.#queues.splice(at, 1)
      this.#parts.emptied(queue)
    }
  }

  #failed(why: string, afterMs: number | undefined): number {
    const { tally, backoff, random } = this.#parts
    tally.failing = why
    this.#failures++
    return delayOf(this.#failures, backoff, random, afterMs)
  }

  #later(ms: number): void {
    if (this.#stopped) return
    this.#backing = true
    this.#cancel = background(this.#parts.clock, ms, () => {
      this.#cancel = undefined
      this.#start()
    })
  }

  #left(count: number): void {
    this.#gone += count
    for (const { target, resolve } of this.#waiters) if (this.#gone >= target) resolve()
  }
}
