/** The call as its own tool sees it. */
import { ConfigError, Denied } from './errors.ts'
import type { CallSignal } from './gate/call-signal.ts'
import { amountsOf, sum } from './gate/meters.ts'
import type { Session } from './gate/sessions.ts'
import { type Amount, MAX_MICROS } from './money.ts'
import { showAs } from './show.ts'

/** A secret made available to a call. Only `reveal` shows it. */
export class Secret {
  readonly name: string
  readonly #reveal: () => string

  constructor(name: string, reveal: () => string) {
    this.name = name
    this.#reveal = reveal
  }

  /** The value. It is removed from the plain data that the session's calls return or throw. Throws after the call's end. */
  reveal(): string {
    return this.#reveal()
  }

  toString(): string {
    return `[secret ${this.name}]`
  }

  toJSON(): string {
    return this.toString()
  }
}

showAs(Secret, String)

/** A secret that a call was given. */
interface HeldSecret {
  readonly bytes: Buffer
  /** The tool names it and may reveal it; else it only goes into its arguments. */
  readonly named: boolean
  readonly revealed: () => void
}

/** `currentCall()` inside a governed tool. */
export class CurrentCall {
  readonly id: string
  readonly tool: string
  readonly session: Session
  /** The id of the approval that has let it through, where a person had to decide. */
  declare readonly approval?: string
  readonly #signal: CallSignal
  readonly #secrets = new Map<string, HeldSecret>()
  #spent: readonly Amount[] | undefined
  #ended = false

  constructor(id: string, tool: string, session: Session, signal: CallSignal, approval?: string) {
    this.id = id
    this.tool = tool
    this.session = session
    this.#signal = signal
    if (approval !== undefined) this.approval = approval
  }

  /** Aborts when the caller aborts, and when the session is revoked or expires. */
  get signal(): AbortSignal {
    return this.#signal.signal
  }

  /** A secret that the tool's `secrets` name. Throws `Denied` for any other. */
  secret(name: string): Secret {
    const held = this.#secrets.get(name)
    if (!held?.named) throw new Denied('secret-unavailable', 'the tool does not name this secret', this.id)
    return new Secret(name, () => {
      if (this.#ended) throw new Denied('secret-unavailable', 'the call has ended', this.id)
      return shownBy(held)
    })
  }

  /** Adds to what this call has really cost. Once it is called, it decides: neither `cost` nor `actual` does. */
  spent(amount: Amount | readonly Amount[]): void {
    if (this.#ended) throw new ConfigError('invalid-amount', 'spent', '`spent()` came after the end of the call')
    const amounts = amountsOf(amount)
    if (!amounts) throw new ConfigError('invalid-amount', 'spent', '`spent()` takes amounts, such as `usd(1.25)`')
    const total = sum([...(this.#spent ?? []), ...amounts])
    if (total.some(({ micros }) => micros > MAX_MICROS)) {
      throw new ConfigError('invalid-amount', 'spent', '`spent()` adds up to more than an amount may be')
    }
    this.#spent = total
  }

  toJSON(): { id: string; tool: string } {
    return { id: this.id, tool: this.tool }
  }

  /** @internal */
  hold(name: string, secret: HeldSecret): void {
    this.#secrets.set(name, secret)
  }

  /** The value of a secret that goes into what the tool is called with. @internal */
  take(name: string): string | undefined {
    const held = this.#secrets.get(name)
    return held && shownBy(held)
  }

  /** @internal */
  abort(reason: unknown): void {
    this.#signal.abort(reason)
  }

  /** @internal */
  get ended(): boolean {
    return this.#ended
  }

  /** What `spent` was told. @internal */
  get reported(): readonly Amount[] | undefined {
    return this.#spent
  }

  /** Takes the secrets away and lets go of the signal. @internal */
  end(): void {
    this.#ended = true
    this.#signal.end()
    for (const { bytes } of this.#secrets.values()) bytes.fill(0)
    this.#secrets.clear()
  }
}

function shownBy({ bytes, revealed }: HeldSecret): string {
  const value = bytes.toString('utf8')
  revealed()
  return value
}
