/** Sessions: an agent's leave to act. Step 2 of the path asks here whether the session still lives. */
import { hash } from 'node:crypto'
import { background, type Clock } from '../clock.ts'
import { currentFrame, type Frame, keepFrame } from '../context.ts'
import type { Duration } from '../duration.ts'
import { ConfigError, Denied } from '../errors.ts'
import type { Governor } from '../governor.ts'
import type { Amount } from '../money.ts'
import { showAs } from '../show.ts'
import type { SessionRow } from '../stores/store.ts'
import { CallSignal } from './call-signal.ts'
import type { Leave } from './leaves.ts'
import type { BudgetLine } from './meters.ts'

/** What a session is made of; only this package sees it. */
export interface SessionParts {
  readonly row: SessionRow
  readonly token: string
  /** Its own leave to act, and then that of every session it was delegated from, the nearest first. */
  readonly leaves: readonly [Leave, ...Leave[]]
  readonly governor: Governor
  readonly clock: Clock
  /** How long it lives from now on, in milliseconds. */
  readonly leftMs: number
  readonly acts: SessionActs
}

/** What a session can be asked to do beyond this process: its haldir does it. */
export interface SessionActs {
  /** Ends it in the store, and records that. */
  revoke(session: Session, reason: string): Promise<void>
  delegate(session: Session, options: DelegateOptions): Promise<Session>
  extend(session: Session, ttl: Duration): Promise<void>
  charge(session: Session, amount: Amount | readonly Amount[], why: string): Promise<void>
  fetch(session: Session, url: string | URL, options?: FetchOptions): Promise<Response>
  budget(session: Session): Promise<readonly BudgetLine[]>
}

/** What a session passes on of its leave to act. */
export interface DelegateOptions {
  /** Which agent acts with it. */
  readonly agent: string
  /** No more than the session holds itself; limits within its limits. */
  readonly scopes: readonly string[]
  /** How long it lives: an hour unless given, and never longer than the session it comes from. */
  readonly ttl?: Duration
  /** Plain data about the session. */
  readonly attributes?: Readonly<Record<string, unknown>>
}

/** A request to the network. */
export interface FetchOptions {
  /** `GET` unless given. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | URLSearchParams
  /**
   * Headers that hold a secret, whose name stands in `{{…}}`: `{ authorization: 'Bearer {{stripe_key}}' }`. The secret
   * must name the host among its `hosts`. The value is put in where the request leaves and is seen by nobody else.
   */
  readonly secretHeaders?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Why a session admits nothing any more. */
export type Over = 'session-expired' | 'session-revoked'

const BRAND = Symbol.for('haldir.session')

/** A handle on a session. `id` may be shown and logged; `token` is the bearer secret and never shows by itself. */
export class Session {
  #parts: SessionParts
  #row: SessionRow
  /** When it ends by the monotonic clock, which nobody can set back. */
  #deadline: number
  readonly #live = new Set<CallSignal>()
  #over: Over | undefined
  #controller: AbortController | undefined
  #disarm: (() => void) | undefined

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.#row = parts.row
    this.#deadline = parts.clock.monotonic() + parts.leftMs
    if (parts.row.revokedAt !== undefined) this.#over = 'session-revoked'
  }

  get id(): string {
    return this.#row.id
  }

  get agent(): string {
    return this.#row.agent
  }

  get tenant(): string {
    return this.#row.tenant
  }

  get scopes(): readonly string[] {
    return this.#parts.leaves[0].grant.scopes
  }

  get attributes(): Readonly<Record<string, unknown>> {
    return this.#row.attributes
  }

  get expiresAt(): Date {
    return new Date(this.#row.expiresAt)
  }

  /** The bearer secret: `haldir.attach(token)` elsewhere acts as this session. Empty in a call resumed without it. */
  get token(): string {
    return this.#parts.token
  }

  /** Aborts when the session is revoked or expires. Give it to the framework to stop the whole loop. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      const over = this.over()
      if (over && this.#stops(over)) this.#controller.abort(this.#reason())
      else if (!over) this.#arm()
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
   * any process on the same store; calls that run are told through their signals, at once or within 5 s.
   */
  async revoke(reason = 'revoked'): Promise<void> {
    this.end('session-revoked')
    await this.#parts.acts.revoke(this, reason)
  }

  /**
   * Passes on part of this leave to another agent. What the child does is judged and metered as this session's doing,
   * too, and revoking this session ends it. Throws `ConfigError` for more than the session holds itself or a chain that
   * grows too long, `Denied` when it is over or a quota leaves no room, `Unavailable` when store or trail do not take it.
   */
  delegate(options: DelegateOptions): Promise<Session> {
    return this.#parts.acts.delegate(this, options)
  }

  /**
   * Lets the session live for `ttl` from now, if that is longer than it would have: no longer than the sessions it was
   * delegated from. Other processes learn of it as of a revoke, or when they attach. Throws `Denied` when it is over.
   */
  extend(ttl: Duration): Promise<void> {
    return this.#parts.acts.extend(this, ttl)
  }

  /**
   * Counts a cost that is no tool call, such as the tokens of a model, and records it. It has been spent, so it counts
   * even where it goes beyond a limit; then this rejects with `Denied` (`budget-exceeded`), so that a loop stops.
   */
  charge(amount: Amount | readonly Amount[], why: string): Promise<void> {
    return this.#parts.acts.charge(this, amount, why)
  }

  /**
   * Makes a request as a governed call: the tool `session.fetch` to policies and meters. `secretHeaders` are sent over
   * https alone, unless the host is private and meant. No redirect is followed, and no private address is spoken to, named
   * or resolved to. The answer is free of the session's secrets. Rejects with `Denied` when it is refused.
   */
  fetch(url: string | URL, options?: FetchOptions): Promise<Response> {
    return this.#parts.acts.fetch(this, url, options)
  }

  /** What is left to spend: one line for each limit on it, on those it was delegated from, and standing ones. */
  budget(): Promise<readonly BudgetLine[]> {
    return this.#parts.acts.budget(this)
  }

  toJSON(): { id: string; agent: string; tenant: string; scopes: readonly string[]; expiresAt: Date } {
    const { id, agent, tenant, scopes, expiresAt } = this
    return { id, agent, tenant, scopes, expiresAt }
  }

  /** @internal */
  get leaves(): readonly [Leave, ...Leave[]] {
    return this.#parts.leaves
  }

  /** @internal */
  get chain(): readonly string[] {
    return this.#row.chain
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

  /** The row as the store has it now: it may have ended, or live longer, for `leftMs` at most. @internal */
  refresh(row: SessionRow, leftMs: number, token = ''): void {
    if (token) this.#parts = { ...this.#parts, token }
    if (row.revokedAt !== undefined) this.end('session-revoked')
    if (this.over()) return
    // Invariant: a wall clock that was set back extends nothing. What was gained is told by the store's clock alone.
    const gained = row.expiresAt - this.#row.expiresAt
    this.#row = row
    if (gained > 0) this.#deadline = Math.min(this.#deadline + gained, this.#parts.clock.monotonic() + leftMs)
    // The timer that is set notices that time is left, and is set again.
  }

  /** Marks it over here and aborts what runs. @internal */
  end(why: Over): void {
    this.#over ??= why
    this.#disarm?.()
    if (!this.#stops(why)) return
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

  /** In shadow mode time stops nothing; a revoke is what somebody has asked for. */
  #stops(over: Over): boolean {
    return over === 'session-revoked' || !this.#parts.governor.shadow
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
  try {
    if (typeof value !== 'object' || value === null || (value as { [BRAND]?: boolean })[BRAND] !== true) return false
    // A Proxy around a session, or an object made from one, is none: it holds nothing of its own.
    return typeof (value as Session).id === 'string'
  } catch {
    return false
  }
}

/** Why a session that is over admits nothing. */
export function whyOver(over: Over): string {
  return over === 'session-revoked' ? 'the session was revoked' : 'the session has expired'
}

/** What the store keeps of a token. */
export function tokenHash(token: string): string {
  return hash('sha256', token, 'hex')
}
