/**
 * The HTTP sink: entries are posted to a collector, in batches, compressed and signed. With a spool they wait on disk
 * until the collector has taken them, so neither an outage nor the death of the process loses one; the batches, too,
 * stand there before they are sent, so one that is sent again is the same request, and a receiver can tell.
 */
import type { MaybePromise } from '../clock.ts'
import { Transport } from '../egress/transport.ts'
import { Unavailable } from '../errors.ts'
import { type HttpCounts, noCounts } from './http/counts.ts'
import { Immediate } from './http/immediate.ts'
import { type CheckedHttp, checkHttpOptions, type HttpSinkOptions } from './http/options.ts'
import { Post } from './http/post.ts'
import { linesIn, MemoryQueue, type Queue } from './http/queue.ts'
import { Sender } from './http/sender.ts'
import type { Spool } from './http/spool.ts'
import { SpoolFolder } from './http/spool-folder.ts'
import type { Sink, SinkOpened } from './sink.ts'

export type { FetchFunction, LookupNames, SentRequest } from '../egress/transport.ts'
export type { HttpCounts } from './http/counts.ts'
export type { HeaderSource, Headers } from './http/headers.ts'
export type { HttpSinkOptions, WhenFull } from './http/options.ts'

export interface HttpSink extends Sink {
  readonly counts: HttpCounts
  /** Sends all that is queued now. Rejects with `Unavailable` when that can't be done within `deadline`. */
  flush(): Promise<void>
  close(): Promise<void>
}

/**
 * Posts the trail to a URL. A required sink with a `spool` accepts an entry when it is in the spool; without one, when
 * the receiver has taken it; one with `required: false` at once. Throws `ConfigError`, none of which repeats a secret.
 */
export function httpSink(options: HttpSinkOptions): HttpSink {
  return new PostingSink(checkHttpOptions(options))
}

/** Where entries go while the sink is open. */
interface Open {
  readonly post: Post
  readonly sender: Sender | undefined
  readonly immediate: Immediate | undefined
  readonly own: Queue
  readonly spools: readonly Spool[]
}

class PostingSink implements HttpSink {
  readonly name: string
  readonly required: boolean
  readonly #options: CheckedHttp
  readonly #tally = noCounts()
  readonly #folder: SpoolFolder | undefined
  #open: Open | undefined
  /** Entries that were in the spool when the sink was closed: the next one's. */
  #left = 0
  /** The last `flush` did not get through, and nothing has come since: closing need not wait for it once more. */
  #inVain = false

  constructor(options: CheckedHttp) {
    this.#options = options
    this.name = options.name
    this.required = options.required
    if (options.spool !== undefined) this.#folder = new SpoolFolder(options.spool, options.name)
  }

  get counts(): HttpCounts {
    const { failing, ...tally } = this.#tally
    const { sender, immediate } = this.#open ?? {}
    const queued = (sender?.entries ?? 0) + (immediate?.entries ?? 0) + this.#left
    return { ...tally, queued, ...(failing === undefined ? {} : { failing }) }
  }

  get lost(): number {
    // What was set aside in the spool is not lost.
    return this.#tally.dropped + (this.#folder ? 0 : this.#tally.rejected)
  }

  open(writer: string): SinkOpened | undefined {
    // A writer that follows another goes on where that one ended.
    if (this.#open) return undefined
    const { url, encoder, headers, secrets, gzip, timeoutMs, clock, privateHosts, lookup, fetch } = this.#options
    const { own, left } = this.#queues(writer)
    const transport = new Transport({ fetch, lookup, privateHosts, clock, deadlineMs: timeoutMs })
    const post = new Post({ url, transport, encoder, headers, secrets, gzip, timeoutMs, clock })
    const { name, required, batch: size, everyMs, backoff, random, deadlineMs } = this.#options
    const tally = this.#tally
    const parts = { name, required, post, size, everyMs, backoff, clock, random, tally, deadlineMs }
    const immediate = this.#options.immediate ? new Immediate(parts) : undefined
    const refuse = (line: string, why: string, batch: string) => this.#setAside(line, why, batch)
    const emptied = (queue: Queue) => this.#folder?.release(queue as Spool)
    const sender = immediate ? undefined : new Sender({ ...parts, refuse, emptied }, [...left, own])
    this.#left = 0
    this.#open = { post, sender, immediate, own, spools: [...left, ...(this.#folder ? [own as Spool] : [])] }
    sender?.poke()
    return undefined
  }

  write(lines: string): MaybePromise<unknown> {
    const { sender, immediate, own } = this.#opened()
    this.#inVain = false
    if (immediate) return immediate.deliver(lines)
    if (!sender || !this.#makeRoom(sender, lines)) return undefined
    own.append(lines)
    sender.poke()
    return undefined
  }

  async flush(): Promise<void> {
    const { sender } = this.#open ?? {}
    if (!sender) return
    try {
      await sender.flush(this.#options.deadlineMs)
    } catch (error) {
      this.#inVain = true
      throw error
    }
  }

  async close(): Promise<void> {
    const open = this.#open
    if (!open) return
    if (!this.#inVain) await this.flush().catch(() => {})
    // Somebody else has closed it meanwhile.
    if (this.#open !== open) return
    this.#open = undefined
    const { sender, post, spools } = open
    sender?.stop()
    post.stop()
    // What is left in memory ends here, and that is said.
    if (this.#folder) this.#left = sender?.entries ?? 0
    else this.#tally.dropped += sender?.entries ?? 0
    for (const spool of spools) this.#folder?.release(spool)
  }

  #queues(writer: string): { readonly own: Queue; readonly left: readonly Spool[] } {
    const folder = this.#folder
    if (!folder) return { own: new MemoryQueue(), left: [] }
    const own = folder.make(writer)
    try {
      return { own, left: folder.adopt() }
    } catch (error) {
      folder.release(own)
      throw error
    }
  }

  /** `false`: the entries are given up. Throws when there is no room and none may be. */
  #makeRoom(sender: Sender, lines: string): boolean {
    const { mostBytes, whenFull, name } = this.#options
    const over = sender.bytes + Buffer.byteLength(lines) - mostBytes
    if (over <= 0) return true
    if (whenFull === 'drop-newest') {
      this.#tally.dropped += linesIn(lines).length
      return false
    }
    if (whenFull === 'drop-oldest') this.#tally.dropped += sender.dropOldest(over)
    if (sender.bytes + Buffer.byteLength(lines) > mostBytes) throw new Unavailable(`the queue of \`${name}\` is full`)
    return true
  }

  #setAside(line: string, why: string, batch: string): void {
    const at = new Date(this.#options.clock.now()).toISOString()
    this.#folder?.refuse({ at, why, batch, line })
  }

  #opened(): Open {
    if (!this.#open) throw new Unavailable(`\`${this.name}\` is not open`)
    return this.#open
  }
}
