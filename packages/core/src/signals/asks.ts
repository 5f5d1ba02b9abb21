/** Whose next calls a person is asked about, for a signal. Of this process alone: judging reads no store. */
import { Lru } from '../watch/signals/lru.ts'
import type { Signal } from '../watch/signals/signal.ts'

export interface SignalAsk {
  /** `signal:<name>`: what asks, and what a yes is bound to. */
  readonly rule: string
  readonly reason: string
}

/** Whose calls they are. Not picked from a session's own type: what is internal there is not in its declaration. */
interface Asked {
  readonly id: string
  /** The sessions it was delegated from. */
  readonly chain: readonly string[]
  readonly agent: string
  readonly tenant: string
}

interface Held extends SignalAsk {
  readonly session: string
  readonly until: number
}

/** Sessions and agents that are held at once: those held last. */
const MOST = 10_000

export class SignalAsks {
  readonly #held = new Lru<Map<string, Held>>(MOST, () => new Map())

  /** Holds the session, and the agent when the signal is about all that it does. `now`: the monotonic clock. */
  hold(signal: Signal, now: number, forMs: number): void {
    const { session, scope } = signal
    const rule = `signal:${signal.signal}`
    const reason = `the signal \`${signal.signal}\` was raised, and a person has to decide meanwhile`
    const keys = scope === 'agent' ? [sessionKey(session), agentKey(signal)] : [sessionKey(session)]
    for (const key of keys) this.#held.of(key).set(rule, { rule, reason, session, until: now + forMs })
  }

  /** What asks about the calls of a session: for itself, for those it was delegated from, for its agent. */
  of({ id, chain, agent, tenant }: Asked, now: number): SignalAsk[] {
    if (this.#held.size === 0) return []
    const found = new Map<string, SignalAsk>()
    for (const key of [sessionKey(id), ...chain.map(sessionKey), agentKey({ agent, tenant })]) {
      if (!this.#held.has(key)) continue
      const rules = this.#held.of(key)
      for (const [rule, held] of rules) {
        if (held.until > now) found.set(rule, held)
        else rules.delete(rule)
      }
      if (rules.size === 0) this.#held.delete(key)
    }
    return [...found.values()]
  }

  /** Whether something is held for what was raised in this session. */
  holds(session: string): boolean {
    return [...this.#held.values()].some((rules) => [...rules.values()].some((held) => held.session === session))
  }

  /** Lets go of what signals in this session have held. */
  release(session: string): void {
    for (const [key, rules] of [...this.#held.entries()]) {
      for (const [rule, held] of rules) if (held.session === session) rules.delete(rule)
      if (rules.size === 0) this.#held.delete(key)
    }
  }
}

function sessionKey(id: string): string {
  return `session|${id}`
}

function agentKey({ tenant, agent }: Pick<Signal, 'tenant' | 'agent'>): string {
  return `agent|${tenant}|${agent}`
}
