import type { Session } from './sessions.ts'

/** The signal of one call, made only when somebody looks at it. */
export class CallSignal {
  readonly #caller: AbortSignal | undefined
  readonly #session: Session
  readonly #live: Set<CallSignal>
  #controller: AbortController | undefined
  #ended = false

  constructor(caller: AbortSignal | undefined, session: Session, live: Set<CallSignal>) {
    this.#caller = caller
    this.#session = session
    this.#live = live
  }

  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal
    this.#controller = new AbortController()
    const over = this.#session.endsNow()
    if (over) this.#controller.abort(over)
    else if (this.#caller?.aborted) this.#controller.abort(this.#caller.reason)
    else if (!this.#ended) {
      this.#caller?.addEventListener('abort', this.#follow, { once: true })
      this.#live.add(this)
    }
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#controller?.abort(reason)
  }

  /** The call has ended: nothing long-lived may keep hold of it. */
  end(): void {
    this.#ended = true
    if (!this.#controller) return
    this.#caller?.removeEventListener('abort', this.#follow)
    this.#live.delete(this)
  }

  readonly #follow = (): void => this.abort(this.#caller?.reason)
}
