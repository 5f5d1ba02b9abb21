/** Tells notifiers of signals, in the background: no call waits for it, and what fails is tried a few times. */
import { background, type Clock, isPromise, within } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import type { Faults } from '../faults.ts'
import type { Notice, Notifier } from '../notifiers/notifier.ts'

/** How long one attempt may take, and how often it is tried. */
const ATTEMPT_MS = 15_000
const ATTEMPTS = 4
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
/** Notices under way to one notifier; when there are more, the next ones are dropped, and counted. */
const AT_ONCE = 50

/** What a notifier says of its failure. */
interface Failed {
  readonly final?: unknown
  readonly retryAfterMs?: unknown
}

export class Telling {
  readonly #notifiers: readonly Notifier[]
  readonly #clock: Clock
  readonly #faults: Faults
  readonly #stop = new AbortController()
  readonly #flying = new Map<Notifier, number>()
  readonly #working = new Set<Promise<unknown>>()
  readonly #trying = new Set<Promise<unknown>>()

  constructor(notifiers: readonly Notifier[], clock: Clock, faults: Faults) {
    this.#notifiers = notifiers
    this.#clock = clock
    this.#faults = faults
  }

  tell(notice: Notice): void {
    for (const notifier of this.#notifiers) {
      const flying = this.#flying.get(notifier) ?? 0
      if (flying >= AT_ONCE || this.#stop.signal.aborted) {
        this.#faults.note(partOf(notifier), new Unavailable('too many signals wait to be told'))
        continue
      }
      this.#flying.set(notifier, flying + 1)
      const landed = () => void this.#flying.set(notifier, (this.#flying.get(notifier) ?? 1) - 1)
      this.#track(this.#working, this.#deliver(notifier, notice).finally(landed))
    }
  }

  /** Resolves when everybody was tried to be told, once. */
  async tried(): Promise<void> {
    while (this.#trying.size > 0) await Promise.all(this.#trying)
  }

  /** Nobody is told any more. What is on its way is given up. */
  async close(): Promise<void> {
    this.#stop.abort()
    while (this.#working.size > 0) await Promise.all(this.#working)
  }

  async #deliver(notifier: Notifier, notice: Notice): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS && !this.#stop.signal.aborted; attempt++) {
      const trying = this.#attempt(notifier, notice)
      if (attempt === 1) this.#track(this.#trying, trying)
      const failed = await trying
      if (!failed || failed.final === true || attempt === ATTEMPTS) return
      const { retryAfterMs } = failed
      const own = FIRST_PAUSE_MS * 4 ** (attempt - 1)
      await this.#pause(typeof retryAfterMs === 'number' && retryAfterMs > 0 ? retryAfterMs : own)
    }
  }

  /** Answers what went wrong. Never rejects. */
  async #attempt(notifier: Notifier, notice: Notice): Promise<Failed | undefined> {
    const stop = new AbortController()
    const ended = Promise.withResolvers<never>()
    ended.promise.catch(() => {})
    const end = () => {
      ended.reject(new Unavailable('nobody waits for it any more'))
      stop.abort()
    }
    this.#stop.signal.addEventListener('abort', end, { once: true })
    try {
      const told = notifier.notify(notice, { clock: this.#clock, signal: stop.signal })
      // A notifier that minds no signal holds nothing up, either.
      const work = isPromise(told) ? Promise.race([told, ended.promise]) : undefined
      if (work) await within(work, ATTEMPT_MS, this.#clock, partOf(notifier), false)
      return undefined
    } catch (error) {
      this.#faults.note(partOf(notifier), error)
      return (error ?? {}) as Failed
    } finally {
      this.#stop.signal.removeEventListener('abort', end)
      stop.abort()
    }
  }

  #track(set: Set<Promise<unknown>>, work: Promise<unknown>): void {
    set.add(work)
    void work.finally(() => set.delete(work))
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stop
      const done = () => {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = background(this.#clock, Math.min(ms, LONGEST_PAUSE_MS), done)
      signal.addEventListener('abort', done, { once: true })
      if (signal.aborted) done()
    })
  }
}

function partOf({ name }: Notifier): string {
  return `notifier ${name}`
}
