/** Approvals of the memory store, and who has to be told of them. */
import { type BareApproval, born, changed, fits, forgetAt } from './approval-life.ts'
import {
  type ApprovalChange,
  type ApprovalFilter,
  type ApprovalQuery,
  type ApprovalRow,
  type ApprovalVerbs,
  type Consent,
  type ConsentRefusal,
  consentRefusal,
  type Delivery,
  type NewApproval,
  type PendingLimits,
  type Requested,
} from './approvals.ts'
import type { MemorySessions } from './memory-sessions.ts'
import type { AdmitRequest } from './store.ts'

interface Kept {
  /** Counts approvals in the order they were made. */
  readonly made: number
  /** Replaced, never changed. */
  row: BareApproval
  /** JSON: what was answered is nobody's way into what is kept. */
  data: string
  readonly told: Map<string, Told>
}

/** How far a channel has been told of an approval. */
interface Told {
  /** When it is to be told; `undefined`: it shows the approval as it is. */
  due: number | undefined
  attempt: number
  /** JSON. */
  note: string | undefined
}

/** How many rows one look for approvals to forget takes in. */
const LOOK = 1_024

export class MemoryApprovals implements ApprovalVerbs {
  readonly #now: () => number
  readonly #sessions: MemorySessions
  readonly #byId = new Map<string, Kept>()
  /** By what approvals are looked for; those that are pending are listed apart as well. */
  readonly #index = new Map<string, Set<Kept>>()
  /** The approvals that a channel has yet to be told of. */
  readonly #untold = new Map<string, Set<Kept>>()
  #made = 0
  #look: Iterator<Kept> | undefined

  constructor(now: () => number, sessions: MemorySessions) {
    this.#now = now
    this.#sessions = sessions
  }

  request(approval: NewApproval, limits: PendingLimits, channels: readonly string[]): Requested {
    const at = this.#now()
    const { id, session, tenant, agent } = approval
    const life = this.#sessions.life(session, at)
    if (typeof life === 'string') return { ok: false, refused: life }
    const before = this.#byId.get(id)
    if (before) {
      if (before.row.session !== session) throw new Error('an approval with this id exists already')
      return { ok: true, row: answer(before) }
    }
    if (this.#pending(['session', session], at) >= limits.session) return tooMany('session')
    if (this.#pending(['agent', tenant, agent], at) >= limits.agent) return tooMany('agent')
    const data = JSON.stringify(approval.data)
    const kept: Kept = { made: this.#made++, row: born(approval, life.expiresAt, at), data, told: new Map() }
    this.#byId.set(id, kept)
    this.#list(kept)
    for (const channel of channels) {
      kept.told.set(channel, { due: at, attempt: 0, note: undefined })
      add(this.#untold, channel, kept)
    }
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
      .slice(-limit || Number.POSITIVE_INFINITY)
      .reverse()
      .map(answer)
  }

  change(id: string, version: number, { data, ...change }: ApprovalChange): ApprovalRow | undefined {
    const kept = this.#byId.get(id)
    const at = this.#now()
    const row = kept && changed(kept.row, version, change, at)
    if (!row) return undefined
    const text = data === undefined ? kept.data : JSON.stringify(data)
    this.#replace(kept, row, at)
    kept.data = text
    return answer(kept)
  }

  use(id: string, call: string): boolean {
    const kept = this.#byId.get(id)
    if (!kept || kept.row.state === 'pending' || kept.row.usedBy !== undefined) return false
    kept.row = { ...kept.row, usedBy: call, usedAt: this.#now() }
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
    const at = this.#now()
    const due: { kept: Kept; channel: string; told: Told; since: number }[] = []
    for (const channel of new Set(channels)) {
      for (const kept of this.#untold.get(channel) ?? []) {
        const told = kept.told.get(channel)
        if (told?.due !== undefined && told.due <= at) due.push({ kept, channel, told, since: told.due })
      }
    }
    due.sort((a, b) => a.since - b.since || a.kept.made - b.kept.made)
    return due.slice(0, limit).map(({ kept, channel, told }) => {
      told.due = at + leaseMs
      told.attempt++
      const { attempt, note } = told
      return { row: answer(kept), channel, attempt, ...(note === undefined ? {} : { note: JSON.parse(note) }) }
    })
  }

  shown(id: string, channel: string, version: number, note?: unknown): void {
    const kept = this.#byId.get(id)
    const told = kept?.told.get(channel)
    if (!told) return
    const text = JSON.stringify(note)
    if (text !== undefined) told.note = text
    if (kept?.row.version === version) {
      told.due = undefined
      remove(this.#untold, channel, kept)
    } else told.due = this.#now()
  }

  later(id: string, channel: string, delayMs: number): void {
    const told = this.#byId.get(id)?.told.get(channel)
    // What has changed since it was handed out is not put off: that is another delivery.
    if (told?.due !== undefined && told.attempt > 0) told.due = this.#now() + delayMs
  }

  note(id: string, channel: string): unknown {
    const note = this.#byId.get(id)?.told.get(channel)?.note
    return note === undefined ? undefined : JSON.parse(note)
  }

  /** Why a consent does not let a call pass, if so. */
  refusal(consent: Consent, request: AdmitRequest, at: number): ConsentRefusal | undefined {
    return consentRefusal(this.#byId.get(consent.id)?.row, consent, request, at)
  }

  /** A call was admitted by this. */
  consume({ id, grant }: Consent, call: string, at: number): void {
    const kept = this.#byId.get(id)
    if (!grant && kept && kept.row.usedBy === undefined) kept.row = { ...kept.row, usedBy: call, usedAt: at }
  }

  #pending(key: readonly string[], at: number): number {
    let count = 0
    for (const { row } of this.#index.get(JSON.stringify(key)) ?? []) if (at < row.expiresAt) count++
    return count
  }

  /** Everyone is due to be told at once of how it is now. */
  #replace(kept: Kept, row: BareApproval, at: number): void {
    this.#unlist(kept)
    kept.row = row
    this.#list(kept)
    for (const [channel, told] of kept.told) {
      told.due = at
      told.attempt = 0
      add(this.#untold, channel, kept)
    }
  }

  #list(kept: Kept): void {
    for (const key of keysOf(kept.row)) add(this.#index, key, kept)
  }

  #unlist(kept: Kept): void {
    for (const key of keysOf(kept.row)) remove(this.#index, key, kept)
  }

  /** Looks at the next rows, and forgets those that ended long ago. */
  #forget(at: number): void {
    for (let looked = 0; looked < LOOK; looked++) {
      this.#look ??= this.#byId.values()
      const { done, value } = this.#look.next()
      if (done) {
        this.#look = undefined
        return
      }
      const forgetFrom = forgetAt(value.row)
      if (forgetFrom === undefined || at <= forgetFrom) continue
      this.#byId.delete(value.row.id)
      this.#unlist(value)
      for (const channel of value.told.keys()) remove(this.#untold, channel, value)
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

function keyOf(query: ApprovalQuery): string {
  if ('ref' in query) return JSON.stringify(['ref', query.session, query.tool, query.ref])
  if ('grant' in query) return JSON.stringify(['grant', query.session, query.grant])
  return JSON.stringify(['binding', query.session, query.binding])
}

function keysOf({ session, tenant, agent, tool, ref, binding, grant, state }: BareApproval): string[] {
  const keys = [ref === undefined ? keyOf({ session, binding }) : keyOf({ session, tool, ref })]
  if (grant) keys.push(keyOf({ session, grant: grant.binding }))
  if (state !== 'pending') return keys
  return [...keys, PENDING, JSON.stringify(['session', session]), JSON.stringify(['agent', tenant, agent])]
}

function add(sets: Map<string, Set<Kept>>, key: string, kept: Kept): void {
  const set = sets.get(key)
  if (set) set.add(kept)
  else sets.set(key, new Set([kept]))
}

function remove(sets: Map<string, Set<Kept>>, key: string, kept: Kept): void {
  const set = sets.get(key)
  if (set?.delete(kept) && set.size === 0) sets.delete(key)
}
