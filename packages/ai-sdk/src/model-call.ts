/** One call of a model, from the moment that its cost is set aside until it is counted, with or without an answer. */
import type { Amount } from '@haldir/core'
import type { Spending } from '@haldir/core/adapter'
import { costOf, larger, mostFor, ofMicros, type PlainUsage, type Rates, type Usage, usageOf } from './prices.ts'

/** Text has about four bytes for a token, and seldom less than three. */
const BYTES_A_TOKEN = 3

/** How many tokens that may be, at most. */
export function tokensIn(bytes: number): number {
  return Math.ceil(bytes / BYTES_A_TOKEN)
}

/** How many bytes of text, or of a file, something holds. */
export function sizeOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (typeof value !== 'object' || value === null) return 0
  if (ArrayBuffer.isView(value)) return value.byteLength
  if (Array.isArray(value)) return value.reduce<number>((size, item) => size + sizeOf(item), 0)
  return Object.entries(value).reduce((size, [key, item]) => size + sizeOf(key) + sizeOf(item), 0)
}

export interface Bill {
  readonly spending: Spending
  readonly rates: Rates
  /** What was set aside. */
  readonly aside: readonly Amount[]
  /** Tokens of the prompt, as estimated. */
  readonly prompt: number
}

/** It ends once, whatever comes first. */
export class ModelCall {
  /** Bytes that came out so far. */
  seen = 0
  readonly #bill: Bill
  readonly #signals: AbortSignal[]
  readonly #controller = new AbortController()
  #ending: Promise<void> | undefined

  constructor(bill: Bill, signals: readonly (AbortSignal | undefined)[]) {
    this.#bill = bill
    this.#signals = signals.filter((signal) => signal !== undefined)
    for (const signal of this.#signals) {
      if (signal.aborted) this.#controller.abort(signal.reason)
      else signal.addEventListener('abort', this.#abort)
    }
  }

  /** Aborts with the caller and with the session. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** There is an answer: counts what its usage says. Where that is silent, no less than `fail` would. */
  end(usage: Usage | PlainUsage | undefined): Promise<void> {
    const { rates, aside } = this.#bill
    const { amounts, known } = costOf(usageOf(usage), rates)
    return this.#over(known ? amounts : larger(aside, larger(amounts, this.#soFar())))
  }

  /** Nobody knows what it has cost: counts what was set aside, or what has come out already if that is more. */
  fail(error: unknown): Promise<void> {
    const { aside } = this.#bill
    const most = larger(aside, this.#soFar())
    return this.#over(most.every((one) => aside.includes(one)) ? undefined : most, { error })
  }

  /** The provider has not begun: counts nothing. */
  free(error: unknown): Promise<void> {
    return this.#over([ofMicros(this.#bill.rates.currency, 0n)], { error })
  }

  /**
   * The same parts, one for each that is asked for. The call ends with the part that tells its usage, else when the
   * parts do, with an answer or an error, and when the reader stops or the signal aborts.
   */
  follow<Part extends StreamPart>(stream: ReadableStream<Part>): ReadableStream<Part> {
    const parts = stream.getReader()
    return new ReadableStream<Part>(
      {
        start: (controller) => {
          // Not left to the provider: it may not listen, and nobody may be reading any more.
          const stop = () => {
            const { reason } = this.signal
            controller.error(reason)
            parts.cancel(reason).catch(() => {})
            void this.fail(reason)
          }
          if (this.signal.aborted) stop()
          else this.signal.addEventListener('abort', stop, { once: true })
        },
        pull: async (controller) => {
          try {
            const { done, value: part } = await parts.read()
            // Counted before the reader goes on: the next call must meet what this one has left.
            if (done) {
              await this.end(undefined)
              return controller.close()
            }
            // An `error` part ends nothing: the usage may still follow it.
            if (part.type === 'finish') await this.end((part as { usage?: Usage }).usage)
            else this.seen += sizeOf((part as { delta?: unknown }).delta)
            controller.enqueue(part)
          } catch (error) {
            await this.fail(error)
            throw error
          }
        },
        cancel: async (reason) => {
          await this.fail(reason)
          await parts.cancel(reason)
        },
      },
      { highWaterMark: 0 },
    )
  }

  /** What has come in and out until now costs at most. */
  #soFar(): readonly Amount[] {
    return mostFor(this.#bill.rates, this.#bill.prompt, tokensIn(this.seen))
  }

  /** Whoever comes later waits for the same end. */
  #over(spent: readonly Amount[] | undefined, failure?: { readonly error: unknown }): Promise<void> {
    this.#ending ??= this.#bill.spending.end(spent, failure)
    // Signals live longer than calls: nothing of this one stays with them.
    for (const signal of this.#signals.splice(0)) signal.removeEventListener('abort', this.#abort)
    return this.#ending
  }

  readonly #abort = (event: Event): void => this.#controller.abort((event.target as AbortSignal).reason)
}

interface StreamPart {
  readonly type: string
}
