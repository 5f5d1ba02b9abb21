/** Sessions of the memory store. */
import {
  bornInto,
  extended,
  isLive,
  type Life,
  refusedBy,
  type SessionRefusal,
  stillBy,
  suspendedWith,
} from './lineage.ts'
import type { MemoryMeters } from './memory-meters.ts'
import type { Cap, CapReached, NewMeter, NewSession, SessionRow } from './store.ts'
import type { Watchers } from './watchers.ts'

interface Session {
  /** Replaced, never changed: a row that was answered stays as it was. */
  row: SessionRow
  readonly meters: readonly string[]
}

/** How long a session that is over is still told apart from one that never was. */
const KEEP_MS = 3_600_000

export class MemorySessions {
  readonly #now: () => number
  readonly #meters: MemoryMeters
  readonly #watchers: Watchers
  readonly #sessions = new Map<string, Session>()
  readonly #byToken = new Map<string, string>()
  /** The sessions of each agent of each tenant; those that are over leave when they are next counted, or forgotten. */
  readonly #tenants = new Map<string, Map<string, Set<Session>>>()
  #crowded = 1_000

  constructor(now: () => number, meters: MemoryMeters, watchers: Watchers) {
    this.#now = now
    this.#meters = meters
    this.#watchers = watchers
  }

  /** The refusal of a session that is suspended. */
  still(id: string): ReturnType<typeof stillBy> {
    return stillBy(this.#sessions.get(id)?.row ?? {})
  }

  /** A session that admits at this moment, or why it does not. */
  life(id: string, at: number): Life | SessionRefusal {
    const row = this.#sessions.get(id)?.row
    return refusedBy(row, at) ?? (row as Life)
  }

  create(
    { ttlMs, ...rest }: NewSession,
    meters: readonly NewMeter[],
    caps: readonly Cap[] = [],
  ): SessionRow | CapReached {
    if (this.#sessions.has(rest.id) || this.#byToken.has(rest.tokenHash)) {
      throw new Error('this session exists already')
    }
    const keys = meters.map(({ key }) => key)
    if (new Set(keys).size < keys.length || keys.some((key) => this.#meters.has(key))) {
      throw new Error('a meter of this session exists already')
    }
    const at = this.#now()
    const row = bornInto({ ...rest, createdAt: at, expiresAt: at + ttlMs }, this.#rows(rest.chain))
    const cap = caps.find((each) => this.#count(row, each, at) > each.limit)
    if (cap) return { refused: 'quota-exceeded', cap }
    this.#tidy(at)
    const session = { row, meters: keys }
    this.#sessions.set(row.id, session)
    this.#byToken.set(row.tokenHash, row.id)
    this.#agentOf(row).add(session)
    for (const meter of meters) this.#meters.make(meter, at)
    return row
  }

  get(by: { readonly id: string } | { readonly tokenHash: string }): SessionRow | undefined {
    return this.#sessions.get('id' in by ? by.id : (this.#byToken.get(by.tokenHash) ?? ''))?.row
  }

  extend(id: string, ttlMs: number): SessionRow | undefined {
    const session = this.#sessions.get(id)
    if (!session) return undefined
    const row = extended(session.row, ttlMs, this.#rows(session.row.chain), this.#now())
    if (row !== session.row) this.#watchers.about('sessions', [id])
    session.row = row
    return row
  }

  revokeTree(id: string): readonly string[] {
    const at = this.#now()
    const revoked: string[] = []
    for (const session of this.#sessions.values()) {
      const { row } = session
      if ((row.id !== id && !row.chain.includes(id)) || row.revokedAt !== undefined) continue
      session.row = { ...row, revokedAt: at }
      revoked.push(row.id)
    }
    this.#watchers.about('sessions', revoked)
    return revoked
  }

  suspendTree(id: string, rule: string): readonly string[] {
    const root = this.#sessions.get(id)?.row
    const suspended: string[] = []
    for (const session of root ? this.#sessions.values() : []) {
      const { row } = session
      const still = suspendedWith(row, root as SessionRow, rule)
      if (still && !row.suspended) suspended.push(row.id)
      session.row = still ?? row
    }
    this.#watchers.about('sessions', suspended)
    return suspended
  }

  resumeTree(id: string): readonly string[] {
    const resumed: string[] = []
    // The parent speaks for all ancestors; what it says holds for everything that was suspended with this session.
    const parent = this.#sessions.get(this.#sessions.get(id)?.row.chain.at(-1) ?? '')?.row.suspended
    for (const session of this.#sessions.values()) {
      const { suspended, ...row } = session.row
      if (suspended?.by !== id) continue
      session.row = parent ? { ...row, suspended: parent } : row
      if (!parent) resumed.push(row.id)
    }
    this.#watchers.about('sessions', resumed)
    return resumed
  }

  #rows(ids: readonly string[]): readonly (SessionRow | undefined)[] {
    return ids.map((id) => this.#sessions.get(id)?.row)
  }

  /** How many there would be of what a cap counts, with this session. */
  #count(row: SessionRow, { count, per }: Cap, at: number): number {
    const agents = this.#tenants.get(row.tenant) ?? new Map<string, Set<Session>>()
    let sessions = 0
    const different = new Set<string>()
    if (isLive(row, at)) {
      sessions++
      different.add(row.agent)
    }
    for (const [agent, set] of per === 'agent' ? [[row.agent, agents.get(row.agent)] as const] : agents) {
      for (const each of set ?? []) if (!isLive(each.row, at)) set?.delete(each)
      sessions += set?.size ?? 0
      if (set?.size) different.add(agent)
    }
    return count === 'agents' ? different.size : sessions
  }

  #agentOf({ tenant, agent }: SessionRow): Set<Session> {
    const agents = this.#tenants.get(tenant) ?? new Map<string, Set<Session>>()
    this.#tenants.set(tenant, agents)
    const sessions = agents.get(agent) ?? new Set()
    agents.set(agent, sessions)
    return sessions
  }

  /** Forgets sessions long over, now and then, so that a process that makes many stays flat. */
  #tidy(at: number): void {
    if (this.#sessions.size < this.#crowded) return
    for (const session of this.#sessions.values()) {
      const { row, meters } = session
      if (row.expiresAt + KEEP_MS > at) continue
      this.#sessions.delete(row.id)
      this.#byToken.delete(row.tokenHash)
      this.#meters.remove(meters)
      const agents = this.#tenants.get(row.tenant)
      const sessions = agents?.get(row.agent)
      sessions?.delete(session)
      if (sessions?.size === 0) agents?.delete(row.agent)
      if (agents?.size === 0) this.#tenants.delete(row.tenant)
    }
    this.#crowded = Math.max(1_000, this.#sessions.size * 2)
  }
}
