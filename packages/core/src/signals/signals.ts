/**
 * Signals of a running haldir: entries are watched while they are written, and what is raised is recorded, told of, and
 * answered by asking a person or by suspending the session. Nothing here holds a call up.
 */
import { ask, type Clock, isPromise, within } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import type { Session } from '../gate/sessions.ts'
import type { Notice } from '../notifiers/notifier.ts'
import type { House } from '../pass.ts'
import type { Draft } from '../watch/chain.ts'
import type { Trail } from '../watch/reading.ts'
import { SignalEngine } from '../watch/signals/engine.ts'
import { observedDraft } from '../watch/signals/observing.ts'
import type { Observation, Signal } from '../watch/signals/signal.ts'
import { sayOf } from '../watch/signals/telling.ts'
import { type SignalAsk, SignalAsks } from './asks.ts'
import type { CheckedSignals } from './options.ts'
import { Telling } from './telling.ts'
import { warm } from './warming.ts'

/** How many signals are remembered for `list`, how many entries may wait while it warms up, and how long that may take. */
const LISTED = 200
const WAITING = 10_000
const WARM_MS = 60_000
/** How often a store is asked to suspend that does not answer, and how long between. */
const TRIES = 5
const PAUSE_MS = 500

/** A signal, and what was done about it. */
export type RaisedSignal = Notice

interface Seen {
  readonly seen: Observation
  readonly draft: Draft
}

export class Signals {
  readonly #house: House
  readonly #options: CheckedSignals
  readonly #name: string
  readonly #trail: Trail
  readonly #engine: SignalEngine
  readonly #asks = new SignalAsks()
  readonly #telling: Telling
  readonly #listed: RaisedSignal[] = []
  readonly #handlers = new Set<(signal: RaisedSignal) => void>()
  readonly #working = new Set<Promise<void>>()
  /** What waits while the trail is read: nothing any more when it is `undefined`; `began` once it is. */
  #waiting: Seen[] | undefined
  #began = false

  constructor(house: House, options: CheckedSignals, name: string, trail: Trail) {
    this.#house = house
    this.#options = options
    this.#name = name
    this.#trail = trail
    this.#engine = new SignalEngine(options.engine)
    this.#telling = new Telling(options.notifiers, house.clock, house.faults)
    this.#waiting = options.warmMs === undefined ? undefined : []
  }

  /** Told of every entry before it has its place: nothing may be recorded until it has. Never throws. */
  observe(draft: Draft, at: number): void {
    try {
      const seen = observedDraft(draft, at)
      if (!seen) return
      if (!this.#waiting) {
        this.#judge({ seen, draft })
        return
      }
      if (this.#waiting.length < WAITING) this.#waiting.push({ seen, draft })
      if (this.#began) return
      this.#began = true
      this.#work(this.#warm(at))
    } catch (error) {
      this.#house.faults.note('signals', error)
    }
  }

  /** What asks about a call of this session now. */
  asks(session: Session): readonly SignalAsk[] {
    return this.#house.shadow ? [] : this.#asks.of(session, this.#house.clock.monotonic())
  }

  list(): readonly RaisedSignal[] {
    return [...this.#listed]
  }

  onSignal(handler: (signal: RaisedSignal) => void): () => void {
    if (typeof handler !== 'function') throw new ConfigError('invalid-option', 'handler', '`handler` is a function')
    this.#handlers.add(handler)
    return () => void this.#handlers.delete(handler)
  }

  /** Whether a person is asked for what was raised in this session. */
  holds(session: string): boolean {
    return this.#asks.holds(session)
  }

  /** Lets go of what is held for a session, and watches it as if nothing had been. */
  release({ id, tenant, agent }: Pick<Session, 'id' | 'tenant' | 'agent'>): void {
    this.#asks.release(id)
    this.#engine.release(tenant, agent, id)
  }

  /** Resolves when what was raised is recorded and answered, and everybody was tried to be told. */
  async settled(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working)
    await this.#telling.tried()
  }

  /** A trail that does not answer while it is read, or a store, holds up no `close`. */
  async close(graceMs: number): Promise<void> {
    this.#waiting = undefined
    await within(this.settled(), graceMs, this.#house.clock, 'signals', false).catch(() => {})
    await this.#telling.close()
  }

  #judge({ seen, draft }: Seen): void {
    for (const signal of this.#engine.observe(seen)) {
      // After the entry that raised it has its place, and before anything that waits for that entry goes on.
      this.#work(Promise.resolve().then(() => this.#raise(signal, draft)))
    }
  }

  async #raise(signal: Signal, draft: Draft): Promise<void> {
    const { ids, shadow, trail, clock } = this.#house
    const wanted = this.#options.react[signal.signal]
    // In shadow mode nobody is asked, and nothing stands still.
    const reactions = wanted.filter((reaction) => !shadow || reaction === 'record' || reaction === 'notify')
    const notice: Notice = { id: ids(), haldir: this.#name, ...signal, reactions, text: sayOf(signal) }
    if (reactions.includes('ask')) this.#asks.hold(signal, clock.monotonic(), this.#options.askForMs)
    // The store first: while the entry is on its way, no further call is admitted.
    const suspending = reactions.includes('suspend') ? this.#suspend(signal) : undefined
    this.#listed.push(notice)
    if (this.#listed.length > LISTED) this.#listed.shift()
    const { signal: name, severity, value, threshold, windowMs, kind, unit, code } = signal
    const data = {
      id: notice.id,
      signal: name,
      severity,
      ...(kind === undefined ? {} : { kind }),
      value,
      threshold,
      windowMs,
      ...(unit === undefined ? {} : { unit }),
      ...(code === undefined ? {} : { denied: code }),
      reactions,
    }
    const { session, call } = draft
    await trail.conclude({ type: 'signal', session, ...(call && { call }), rule: `signal:${name}`, data })
    for (const handler of this.#handlers) {
      const failed = (error: unknown) => this.#house.faults.note('onSignal', error)
      try {
        // One that is asynchronous is not waited for; what it rejects with must not end the process.
        const done: unknown = handler(notice)
        if (isPromise(done)) done.then(undefined, failed)
      } catch (error) {
        failed(error)
      }
    }
    if (reactions.includes('notify')) this.#telling.tell(notice)
    await suspending
  }

  /** A store that is down admits nothing meanwhile; when it is back, the session must not act. */
  async #suspend(raised: Signal): Promise<void> {
    const { session, signal } = raised
    const { store, deadlineMs, clock, faults } = this.#house
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      try {
        await ask(() => store.session.suspendTree(session, `signal:${signal}`), deadlineMs, clock, 'suspendTree')
        return
      } catch (error) {
        faults.note('store.session.suspendTree', error)
        // Invariant: what was to stand still does not go on because the store did not take it: here a person is asked.
        const holdMs = attempt < TRIES ? PAUSE_MS * attempt : this.#options.askForMs
        this.#asks.hold({ ...raised, scope: 'session' }, clock.monotonic(), holdMs)
        if (attempt < TRIES) await pause(clock, PAUSE_MS * attempt)
      }
    }
  }

  async #warm(at: number): Promise<void> {
    const { clock, faults } = this.#house
    const { warmMs = 0 } = this.#options
    const end = clock.monotonic() + WARM_MS
    try {
      const late = () => !this.#waiting || this.#waiting.length >= WAITING || clock.monotonic() > end
      // Not before the entry that this began with has its place.
      await Promise.resolve()
      const type = ['intent', 'refusal', 'outcome'] as const
      const entries = this.#trail.query({ type, since: new Date(at - warmMs), until: new Date(at) })
      await warm(this.#engine, entries, late)
    } catch (error) {
      // Then agents are learned anew.
      faults.note('signals', error)
    }
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const one of waiting) this.#judge(one)
  }

  #work(work: Promise<void>): void {
    const tracked = work
      .catch((error) => this.#house.faults.note('signals', error))
      .finally(() => this.#working.delete(tracked))
    this.#working.add(tracked)
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((wake) => void clock.setTimeout(wake, ms))
}
