/** What an application sees of signals, and how it lets go of what they hold. */
import { ask } from '../clock.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import type { CheckedOptions } from '../haldir-options.ts'
import type { House } from '../pass.ts'
import { isSessionRow } from '../session-rows.ts'
import { sessionFragment } from '../watch/chain.ts'
import type { Trail } from '../watch/reading.ts'
import { type RaisedSignal, Signals as Watching } from './signals.ts'

export interface Signals {
  /** The signals that this haldir has raised, the newest last; the last 200. */
  list(): readonly RaisedSignal[]
  /** Calls `handler` for every signal from now on, after it is recorded; the answer ends that. */
  onSignal(handler: (signal: RaisedSignal) => void): () => void
  /**
   * Lets a session act again that a signal holds: one that is suspended, in every process on the store, and what is asked
   * about in this one. Answers whether something held it. Rejects `Unavailable` when the trail or the store does not take
   * it; then it is still held.
   */
  release(session: string): Promise<boolean>
}

/** Held apart from the class `Haldir`, so that nothing else of the house is reachable from it. */
export function signalsOf(house: House, { signals, name }: CheckedOptions, trail: Trail): Signals {
  if (signals) house.signals = new Watching(house, signals, name, trail)
  return Object.freeze({
    list: () => house.signals?.list() ?? [],
    onSignal: (handler: (signal: RaisedSignal) => void) => house.signals?.onSignal(handler) ?? (() => {}),
    release: (session: string) => release(house, session),
  })
}

async function release({ store, trail, deadlineMs, clock, apart, signals }: House, id: string): Promise<boolean> {
  if (typeof id !== 'string' || id === '') throw new ConfigError('invalid-option', 'session', '`session` is an id')
  const row = await ask(() => store.session.get({ id }), deadlineMs, clock, 'store.session.get')
  if (!row) return false
  if (!isSessionRow(row) || row.id !== id) throw new Unavailable('`store.session.get` answered nonsense')
  const suspended = row.suspended?.by === id
  if (!suspended && !signals?.holds(id)) return false
  const { agent, chain } = row
  const tenant = row.tenant.startsWith(apart) ? row.tenant.slice(apart.length) : row.tenant
  const session = sessionFragment({ tenant, agent, id, chain })
  const rule = suspended ? row.suspended?.rule : undefined
  // Invariant: what lets somebody act again is on record before it does.
  await trail.record({ type: 'signal', session, rule, data: { released: true } })
  if (suspended) await ask(() => store.session.resumeTree(id), deadlineMs, clock, 'store.session.resumeTree')
  signals?.release({ id, tenant, agent })
  return true
}
