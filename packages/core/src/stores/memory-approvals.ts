/** Approvals of the memory store. */
import { type BareApproval, born, changed, fits, forgetAt, same } from './approval-life.ts'
import {
  type ApprovalChange,
  type ApprovalFilter,
  type ApprovalQuery,
  type ApprovalRow,
  type Consent,
  type ConsentRefusal,
  consentRefusal,
  type Delivery,
  type NewApproval,
  type PendingLimits,
  type Requested,
} from './approvals.ts'
import { MemoryDeliveries } from './memory-deliveries.ts'
import type { MemorySessions } from './memory-sessions.ts'
import type { AdmitRequest } from './store.ts'
import type { Watchers } from './watchers.ts'

interface Kept {
  /** Counts approvals in the order they were made. */
  readonly made: number
  /** Replaced, never changed. */
  row: BareApproval
  /** JSON: what was answered is nobody's way into what is kept. */
  data: string
}

/** How many rows one look for approvals to forget takes in. */
const LOOK = 1_024

export class MemoryApprovals {
  readonly deliveries: MemoryDeliveries = new MemoryDeliveries()
  readonly #now: () => number
  readonly #sessions: MemorySessions
  readonly #watchers: Watchers
  readonly #byId = new Map<string, Kept>()
  /** By what approvals are looked for; those that are pending are listed apart as well. */
  readonly #index = new Map<string, Set<Kept>>()
  #made = 0
  #look: Iterator<Kept> | undefined

  constructor(now: () => number, sessions: MemorySessions, watchers: Watchers) {
    this.#now = now
    this.#sessions = sessions
    this.#watchers = watchers
  }

  request(approval: NewApproval, limits: PendingLimits, channels: readonly string[]): Requested {
    const at = this.#now()
    const { id, session, tenant, agent } = approval
    const life = this.#sessions.life(session, at)
    if (life === 'session-suspended') return this.#sessions.still(session)
    if (typeof life === 'string') return { ok: false, refused: life }
    const before = this.#byId.get(id)
    if (before) return { ok: true, row: same(answer(before), approval) }
    if (this.#pending(ofSession(session), at) >= limits.session) return tooMany('session')
    if (this.#pending(ofAgent(tenant, agent), at) >= limits.agent) return tooMany('agent')
    const kept = { made: this.#made++, row: born(approval, life.expiresAt, at), data: JSON.stringify(approval.data) }
    this.#byId.set(id, kept)
    this.#list(kept)
    this.deliveries.add(id, channels, at)
    this.#watchers.about('approvals', [id])
    return { ok: true, row: answer(kept) }
  }

  get(id: string): ApprovalRow | undefined {
    const kept = this.#byId.get(id)
    return kept && answer(kept)
  }

  find(query: ApprovalQuery): ApprovalRow | undefined {
    const at = this.#now()
    let newest: Kept | undefined
    for (const kept of this.#index.get(keyOf(query)) ?? []) {
      if ((newest === undefined || kept.made > newest.made) && fits(kept.row, query, at)) newest = kept
    }
    return newest && answer(newest)
  }

  list({ limit, ...filter }: ApprovalFilter): readonly ApprovalRow[] {
    const wanted = Object.entries(filter).filter(([, value]) => value !== undefined)
    return [...this.#byId.values()]
      .filter(({ row }) => wanted.every(([key, value]) => row[key as keyof typeof filter] === value))
      .reverse()
      .slice(0, limit)
      .map(answer)
  }

  change(id: string, version: number, { data, ...change }: ApprovalChange): ApprovalRow | undefined {
    const kept = this.#byId.get(id)
    const at = this.#now()
    const row = kept && changed(kept.row, version, change, at)
    if (!row) return undefined
    if (data !== undefined) kept.data = JSON.stringify(data)
    this.#replace(kept, row, at)
    return answer(kept)
  }

  use(id: string, call: string): boolean {
    const kept = this.#byId.get(id)
    if (!kept || kept.row.state === 'pending' || kept.row.usedBy !== undefined) return false
    this.#use(kept, call, this.#now())
    return true
  }

  expire(limit: number): readonly ApprovalRow[] {
    const at = this.#now()
    const over = [...(this.#index.get(PENDING) ?? [])].filter(({ row }) => at >= row.expiresAt)
    over.sort((a, b) => a.row.expiresAt - b.row.expiresAt || a.made - b.made)
    const ended = over.slice(0, limit)
    for (const kept of ended) {
      const row = changed(kept.row, kept.row.version, { state: 'expired' }, at)
      if (row) this.#replace(kept, row, at)
    }
    this.#forget(at)
    return ended.map(answer)
  }

  due(channels: readonly string[], limit: number, leaseMs: number): readonly Delivery[] {
    const made = (id: string) => this.#byId.get(id)?.made ?? 0
    return this.deliveries.handOut(channels, limit, leaseMs, this.#now(), made).flatMap(({ id, ...delivery }) => {
      const row = this.get(id)
      return row ? [{ row, ...delivery }] : []
    })
  }

  shown(id: string, channel: string, version: number, note?: unknown): void {
    this.deliveries.shown(id, channel, this.#byId.get(id)?.row.version === version, note, this.#now())
  }

  later(id: string, channel: string, delayMs: number): void {
    this.deliveries.later(id, channel, this.#now() + delayMs)
  }

  /** Why what a call presents does not let it pass, if so. */
  refusal(consent: Consent, call: AdmitRequest, at: number): ConsentRefusal | undefined {
    return consentRefusal(this.#byId.get(consent.id)?.row, consent, call, at)
  }

  /** The call that presented this was admitted. A grant is not used up. */
  consume({ id, grant }: Consent, call: string, at: number): void {
    const kept = this.#byId.get(id)
    if (!grant && kept && kept.row.usedBy === undefined) this.#use(kept, call, at)
  }

  /** How many are pending that still have time. */
  #pending(key: string, at: number): number {
    let count = 0
    for (const { row } of this.#index.get(key) ?? []) if (at < row.expiresAt) count++
    return count
  }

  #use(kept: Kept, call: string, at: number): void {
    kept.row = { ...kept.row, usedBy: call, usedAt: at }
    this.#watchers.about('approvals', [kept.row.id])
  }

  #replace(kept: Kept, row: BareApproval, at: number): void {
    this.#unlist(kept)
    kept.row = row
    this.#list(kept)
    this.deliveries.again(row.id, at)
    this.#watchers.about('approvals', [row.id])
  }

  #list(kept: Kept): void {
    for (const key of keysOf(kept.row)) {
      const set = this.#index.get(key)
      if (set) set.add(kept)
      else this.#index.set(key, new Set([kept]))
    }
  }

  #unlist(kept: Kept): void {
    for (const key of keysOf(kept.row)) {
      const set = this.#index.get(key)
      if (set?.delete(kept) && set.size === 0) this.#index.delete(key)
    }
  }

  /** Looks at the next rows, and forgets those that ended long ago: what it costs does not grow with what is kept. */
  #forget(at: number): void {
    for (let looked = 0; looked < LOOK; looked++) {
      this.#look ??= this.#byId.values()
      const { done, value } = this.#look.next()
      if (done) {
        this.#look = undefined
        return
      }
      if (at <= (forgetAt(value.row) ?? at)) continue
      this.#byId.delete(value.row.id)
      this.#unlist(value)
      this.deliveries.forget(value.row.id)
    }
  }
}

function answer({ row, data }: Kept): ApprovalRow {
  const { grant } = row
  return { ...row, ...(grant ? { grant: { ...grant } } : {}), data: JSON.parse(data) }
}

function tooMany(per: 'session' | 'agent'): Requested {
  return { ok: false, refused: 'too-many', per }
}

const PENDING = JSON.stringify(['pending'])
const ofSession = (session: string): string => JSON.stringify(['session', session])
const ofAgent = (tenant: string, agent: string): string => JSON.stringify(['agent', tenant, agent])

function keyOf(query: ApprovalQuery): string {
  if ('ref' in query) return JSON.stringify(['ref', query.session, query.tool, query.ref])
  if ('grant' in query) return JSON.stringify(['grant', query.session, query.grant])
  return JSON.stringify(['binding', query.session, query.binding])
}

function keysOf({ session, tenant, agent, tool, ref, binding, grant, state }: BareApproval): string[] {
  const keys = [ref === undefined ? keyOf({ session, binding }) : keyOf({ session, tool, ref })]
  if (grant) keys.push(keyOf({ session, grant: grant.binding }))
  return state === 'pending' ? [...keys, PENDING, ofSession(session), ofAgent(tenant, agent)] : keys
}
