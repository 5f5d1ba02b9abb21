/**
 * Step 7 for a tool that answers with items. The call lasts until the last item is out, the reader stops early, or
 * nobody has asked for an item for as long as a lease; then, once, it is settled and recorded.
 */
import { mustScan, withhold } from './after.ts'
import { stillLive } from './before.ts'
import { background, type MaybePromise, within } from './clock.ts'
import { searchYield } from './credentials.ts'
import { Unavailable } from './errors.ts'
import { type Executed, type NotRun, thrownFor } from './governor.ts'
import type { Pass } from './pass.ts'
import { Queue } from './vault/queue.ts'
import { YieldRedactor } from './vault/redact-yields.ts'

type Step = IteratorResult<unknown, void>

/** `open` starts the tool, or answers what it has answered already (`begun`); `finish` is steps 8 to 10. */
export function followItems(
  pass: Pass,
  open: () => unknown,
  finish: (pass: Pass, ended: Executed) => Promise<Executed>,
  begun = false,
): AsyncGenerator<unknown, void, undefined> {
  const items = new Items(pass, open, finish, begun)
  return {
    next: () => items.turn(() => items.next()),
    return: () => items.turn(() => items.stop()),
    throw: (error) =>
      items.turn(async () => {
        await items.stop()
        throw error
      }),
    [Symbol.asyncIterator]() {
      return this
    },
    async [Symbol.asyncDispose]() {
      await this.return()
    },
  }
}

const DONE: Step = { done: true, value: undefined }

class Items {
  readonly #pass: Pass
  readonly #open: () => unknown
  readonly #finish: (pass: Pass, ended: Executed) => Promise<Executed>
  /** What ran before its first item was asked for has run, whatever ends it then. */
  readonly #begun: boolean
  readonly #yields: YieldRedactor
  #source: AsyncIterator<unknown> | undefined
  #ready = new Queue<unknown>()
  #last: unknown
  #over = false
  #failure: { readonly error: unknown } | undefined
  #queue: Promise<unknown> = Promise.resolve()
  #turns = 0
  #asked: number
  #disarm: (() => void) | undefined

  constructor(
    pass: Pass,
    open: () => unknown,
    finish: (pass: Pass, ended: Executed) => Promise<Executed>,
    begun: boolean,
  ) {
    this.#pass = pass
    pass.streamed = true
    this.#open = open
    this.#finish = finish
    this.#begun = begun
    this.#yields = new YieldRedactor((pass.belongings as NonNullable<Pass['belongings']>).redactor)
    this.#asked = pass.house.clock.monotonic()
    this.#watch(pass.house.holds.leaseMs)
  }

  /** One request of the reader after another, as a generator has it. */
  turn(work: () => Promise<Step>): Promise<Step> {
    this.#turns++
    const done = this.#queue.then(work).finally(() => {
      this.#turns--
      this.#asked = this.#pass.house.clock.monotonic()
    })
    this.#queue = done.then(
      () => {},
      () => {},
    )
    return done
  }

  async next(): Promise<Step> {
    while (this.#ready.length === 0) {
      if (this.#failure) {
        const { error } = this.#failure
        this.#failure = undefined
        throw error
      }
      if (this.#over) return DONE
      await this.#advance()
    }
    return { done: false, value: this.#ready.take(1)[0] }
  }

  /** Asks the tool for one item. */
  async #advance(): Promise<void> {
    const pass = this.#pass
    // What ended between `stream()` and the first request does not begin.
    if (!this.#source && !this.#begun) {
      const over = stillLive(pass.session)
      const aborted = pass.request.signal?.aborted
      if (over && !pass.house.shadow) return this.#notRun(await pass.refuse(over))
      if (aborted) return this.#notRun(await pass.abandon(pass.request.signal?.reason))
    }
    let step: IteratorResult<unknown>
    try {
      this.#source ??= await this.#start()
      const source = this.#source
      step = await pass.inside(() => source.next())
      if (typeof step !== 'object' || step === null) throw new TypeError('the tool answered no step')
    } catch (error) {
      return this.#exhausted({ status: 'failed', error })
    }
    if (step.done) return this.#exhausted({ status: 'ran', value: this.#last })
    this.#last = step.value
    if (pass.belongings?.redactor.empty !== false) return this.#offer([step.value])
    const { items, opaque } = this.#yields.push(step.value, mustScan(pass))
    if (opaque && mustScan(pass)) {
      await this.#close()
      return this.#end(withhold(pass))
    }
    return this.#offer(items)
  }

  /** There are no more yields: what waited comes out before the reader is told. */
  async #exhausted(ended: Executed): Promise<void> {
    await this.#offer(this.#yields.end())
    if (!this.#over) await this.#end(ended)
  }

  /** Lets items out to the reader. */
  #offer(items: readonly unknown[]): MaybePromise<void> {
    if (this.#pass.house.detection?.results) return this.#search(items)
    // One by one: a call takes only so many arguments.
    for (const item of items) this.#ready.push(item)
  }

  /** Lets items out when each was searched for credentials, on its own. One that may not go out ends the call. */
  async #search(items: readonly unknown[]): Promise<void> {
    for (const item of items) {
      const shown = await searchYield(this.#pass, item)
      if (shown.status === 'denied') {
        await this.#close()
        return this.#end(shown)
      }
      if (shown.status === 'ran') this.#ready.push(shown.value)
    }
  }

  async #start(): Promise<AsyncIterator<unknown>> {
    return this.#pass.inside(async () => {
      const answer = (await this.#open()) as AsyncIterable<unknown>
      return answer[Symbol.asyncIterator]()
    })
  }

  /** Ends the call. What the reader must be told comes after the items that are ready. */
  async #end(ended: Executed): Promise<void> {
    this.#over = true
    this.#disarm?.()
    // What was withheld has still run: it is settled as such, and the reader is told why it gets no more.
    const shown = await this.#finish(
      this.#pass,
      ended.status === 'denied' ? { status: 'ran', value: this.#last } : ended,
    )
    if (ended.status === 'denied') this.#failure = { error: ended.denial }
    else if (shown.status === 'failed') this.#failure = { error: shown.error }
    else if (shown.status === 'denied' && ended.status === 'failed') this.#failure = { error: shown.denial }
  }

  #notRun(told: NotRun): void {
    this.#over = true
    this.#disarm?.()
    this.#failure = { error: thrownFor(told) }
  }

  /** The reader wants no more. */
  async stop(): Promise<Step> {
    if (this.#over) return DONE
    this.#ready = new Queue()
    this.#over = true
    if (!this.#source && !this.#begun) {
      this.#disarm?.()
      await this.#pass.abandon(undefined)
      return DONE
    }
    this.#pass.notes.stopped = true
    this.#source ??= await this.#start().catch(() => undefined)
    await this.#close()
    this.#disarm?.()
    await this.#finish(this.#pass, { status: 'ran', value: this.#last })
    return DONE
  }

  /** Lets the tool clean up. It has only so long, and what it throws then has no reader. */
  async #close(): Promise<void> {
    const { house } = this.#pass
    try {
      const closing = this.#pass.inside(() => this.#source?.return?.())
      if (closing) await within(closing, house.deadlineMs, house.clock, 'tool')
    } catch {
      this.#pass.notes.cleanup = 'failed'
    }
  }

  /** A reader that went away without a word must not keep the hold for ever. */
  #watch(wait: number): void {
    const { clock, holds } = this.#pass.house
    this.#disarm = background(clock, wait, () => {
      if (this.#over) return
      const idle = this.#turns > 0 ? 0 : clock.monotonic() - this.#asked
      if (idle < holds.leaseMs) return this.#watch(holds.leaseMs - idle)
      this.#pass.notes.abandoned = true
      this.turn(async () => {
        const done = await this.stop()
        this.#failure = { error: new Unavailable('nobody asked for an item in time; the call was ended') }
        return done
      }).then(undefined, () => {})
    })
  }
}
