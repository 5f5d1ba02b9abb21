/** Sessions: an agent's leave to act. Step 2 of the path asks here whether the session still lives. */
import { hash } from 'node:crypto'
import { background, type Clock } from '../clock.ts'
import { currentFrame, type Frame, keepFrame } from '../context.ts'
import { ConfigError, Denied } from '../errors.ts'
import type { Governor } from '../governor.ts'
import { showAs } from '../show.ts'
import type { SessionRow } from '../stores/store.ts'
import type { BudgetLine, SessionMeter } from './meters.ts'
import type { Grant } from './scopes.ts'

/** What a session is made of; only this package sees it. */
export interface SessionParts {
  readonly row: SessionRow
  readonly token: string
  readonly grant: Grant
  readonly meters: readonly SessionMeter[]
  readonly governor: Governor
  readonly clock: Clock
  /** How long it lives from now on, in milliseconds. */
  readonly leftMs: number
  /** Ends it in the store, and records that. */
  readonly revoke: (session: Session, reason: string) => Promise<void>
  readonly readMeters: (meters: readonly SessionMeter[]) => Promise<readonly BudgetLine[]>
}

/** Why a session admits nothing any more. */
export type Over = 'session-expired' | 'session-revoked'

const BRAND = Symbol.for('haldir.session')

/** A handle on a session. `id` may be shown and logged; `token` is the bearer secret and never shows by itself. */
export class Session {
  readonly #parts: SessionParts
  /** When it ends by the monotonic clock, which nobody can set back. */
  readonly #deadline: number
  readonly #live = new Set<CallSignal>()
  #over: Over | undefined
  #controller: AbortController | undefined
  #disarm: (() => void) | undefined

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.#deadline = parts.clock.monotonic() + parts.leftMs
    if (parts.row.revokedAt !== undefined) this.#over = 'session-revoked'
  }

  get id(): string {
    return this.#parts.row.id
  }

  get agent(): string {
    return this.#parts.row.agent
  }

  get tenant(): string {
    return this.#parts.row.tenant
  }

  get scopes(): readonly string[] {
    return this.#parts.grant.scopes
  }

  get attributes(): Readonly<Record<string, unknown>> {
    return this.#parts.row.attributes
  }

  get expiresAt(): Date {
    return new Date(this.#parts.row.expiresAt)
  }

  /** The bearer secret: `haldir.attach(token)` in another process acts as this session. */
  get token(): string {
    return this.#parts.token
  }

  /** Aborts when the session is revoked or expires. Give it to the framework to stop the whole loop. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.over()) this.#controller.abort(this.#reason())
      else this.#arm()
    }
    return this.#controller.signal
  }

  /** Runs a function with this as the ambient session, through every `await` and every step of a generator. */
  run<T>(work: () => T): T {
    if (typeof work !== 'function') throw new ConfigError('invalid-option', 'run', '`run` takes a function')
    return keepFrame(this.#frame(), work)
  }

  /** A function that always runs with this as the ambient session: for callbacks that are called from elsewhere. */
  bind<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => R {
    const session = this
    return function (this: unknown, ...args) {
      return session.run(() => Reflect.apply(work, this, args) as R)
    }
  }

  /**
   * Ends the session and everything delegated from it. When this resolves no call of theirs is admitted any more, in
   * any process on the same store; calls that run in this process are told through their signals.
   */
  async revoke(reason = 'revoked'): Promise<void> {
    this.end('session-revoked')
    await this.#parts.revoke(this, reason)
  }

  /** What is left to spend, one line for each limit. */
  budget(): Promise<readonly BudgetLine[]> {
    return this.#parts.readMeters(this.#parts.meters)
  }

  toJSON(): { id: string; agent: string; tenant: string; scopes: readonly string[]; expiresAt: Date } {
    const { id, agent, tenant, scopes, expiresAt } = this
    return { id, agent, tenant, scopes, expiresAt }
  }

  /** @internal */
  get grant(): Grant {
    return this.#parts.grant
  }

  /** @internal */
  get meters(): readonly SessionMeter[] {
    return this.#parts.meters
  }

  /** @internal */
  get chain(): readonly string[] {
    return this.#parts.row.chain
  }

  /** @internal */
  get governor(): Governor {
    return this.#parts.governor
  }

  /** Whether this process knows that the session is over. The store has the last word, at admit. @internal */
  over(): Over | undefined {
    if (!this.#over && this.#parts.clock.monotonic() >= this.#deadline) this.end('session-expired')
    return this.#over
  }

  /** Marks it over here and aborts what runs. @internal */
  end(why: Over): void {
    this.#over ??= why
    this.#disarm?.()
    this.#controller?.abort(this.#reason())
    for (const call of this.#live) call.abort(this.#reason())
    this.#live.clear()
  }

  /** The signal of one call: aborts with the session or with the caller. @internal */
  callSignal(caller: AbortSignal | undefined): CallSignal {
    return new CallSignal(caller, this, this.#live)
  }

  #frame(): Frame {
    const call = currentFrame()?.call
    return call?.session === this ? { session: this, call } : { session: this }
  }

  /** Why it ends a call now; when it does not yet, a timer is set to notice. @internal */
  endsNow(): Denied | undefined {
    return this.over() ? this.#reason() : this.#arm()
  }

  #reason(): Denied {
    const over = this.#over ?? 'session-expired'
    return new Denied(over, whyOver(over), '')
  }

  /** One timer a session, from the first time someone could be told; held weakly, so it keeps no session alive. */
  #arm(): undefined {
    if (this.#disarm) return
    const held = new WeakRef(this)
    const { clock } = this.#parts
    const tick = () => {
      const session = held.deref()
      // A timer may be cut short (`setTimeout` has a longest delay): then it is set again.
      if (session && !session.over()) session.#disarm = background(clock, session.#deadline - clock.monotonic(), tick)
    }
    this.#disarm = background(clock, this.#deadline - clock.monotonic(), tick)
  }
}

// On the prototype: sessions made by another copy of this package are recognised too.
Object.defineProperty(Session.prototype, BRAND, { value: true })
showAs(Session, ({ id, agent }) => `Session ${id} (${agent})`)

export function isSession(value: unknown): value is Session {
  return typeof value === 'object' && value !== null && (value as { [BRAND]?: boolean })[BRAND] === true
}

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

/** Why a session that is over admits nothing. */
export function whyOver(over: Over): string {
  return over === 'session-revoked' ? 'the session was revoked' : 'the session has expired'
}

/** What the store keeps of a token. */
export function tokenHash(token: string): string {
  return hash('sha256', token, 'hex')
}
