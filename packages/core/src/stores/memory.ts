/** A store for one process: exact and immediate, gone when the process ends. */

import { type Clock, steadyTime, systemClock } from '../clock.ts'
import { checkKeys } from '../options.ts'
import { bornInto } from './lineage.ts'
import type {
  Admission,
  AdmitRequest,
  Charge,
  Expired,
  HoldState,
  MeterKey,
  SealedSecret,
  SessionRow,
  Settlement,
  Store,
  WriterRow,
} from './store.ts'
import { rowOf } from './window.ts'

export interface MemoryStoreOptions {
  readonly clock?: Clock
}

interface Session {
  /** Replaced, never changed: a row that was answered stays as it was. */
  row: SessionRow
  readonly meters: readonly string[]
}

/** A meter and the row it counts in now. A hold keeps its own row, so a window that has passed is let go of here. */
interface Meter {
  readonly limit: bigint
  row: Row
}

interface Row {
  readonly key: string
  readonly limit: bigint
  used: bigint
  held: bigint
}

interface Hold {
  state: 'reserved' | 'running' | 'orphaned'
  lease: number
  readonly parts: readonly { readonly key: string; readonly row: Row; readonly micros: bigint }[]
}

/** The hold of a call that was admitted without one. */
const NOTHING: Hold = { state: 'running', lease: 0, parts: [] }

/** How many ended holds are remembered at least, so that a repeated verb finds its hold; memory stays flat. */
const REMEMBERED = 10_000
/** How long a session that is over is still told apart from one that never was. */
const KEEP_MS = 3_600_000

export function memoryStore(options: MemoryStoreOptions = {}): Store {
  checkKeys(options, ['clock'], 'options of `memoryStore`')
  const { clock = systemClock } = options
  const now = steadyTime(clock)
  const sessions = new Map<string, Session>()
  const byToken = new Map<string, string>()
  const meters = new Map<string, Meter>()
  const holds = new Map<string, Hold>()
  const ended = remembering<'settled' | 'released'>()
  const secrets = new Map<string, SealedSecret[]>()
  const writers = new Map<string, WriterRow>()
  let crowded = 1_000

  function rowAt({ key, window }: MeterKey, at: number): Row | undefined {
    const meter = meters.get(key)
    if (!meter || window === 'total') return meter?.row
    const name = rowOf(key, window, at)
    if (meter.row.key !== name) meter.row = { key: name, limit: meter.limit, used: 0n, held: 0n }
    return meter.row
  }

  function take(request: AdmitRequest, state: 'running' | 'reserved'): Admission {
    const { call, charges, leaseMs } = request
    const at = now()
    const session = sessions.get(request.session)?.row
    if (!session) return { ok: false, refused: 'no-session' }
    // Invariant: a revoked session admits nothing. Revoking marks the whole tree at once, and a child ends no later
    // than its parent, so a session's own row speaks for its ancestors.
    if (session.revokedAt !== undefined) return { ok: false, refused: 'session-revoked' }
    if (at >= session.expiresAt) return { ok: false, refused: 'session-expired' }
    if (ended.get(call)) return { ok: false, refused: 'unavailable' }
    const before = holds.get(call)
    if (before) return resume(before, state, at, leaseMs)
    if (charges.length === 0) return { ok: true, at }
    const parts: { key: string; row: Row; micros: bigint }[] = []
    for (const { meter, micros } of charges) {
      const row = rowAt(meter, at)
      // Invariant: held + used never exceeds the limit, and a call takes from all its meters or from none.
      if (!row || row.used + row.held + micros > row.limit) {
        for (const part of parts) part.row.held -= part.micros
        return { ok: false, refused: row ? 'budget-exceeded' : 'unavailable', meter: meter.key }
      }
      row.held += micros
      parts.push({ key: meter.key, row, micros })
    }
    holds.set(call, { state, lease: at + leaseMs, parts })
    return { ok: true, at }
  }

  /** The same call again: a repeated verb is the same hold, and an admit lets a reserved one run. */
  function resume(hold: Hold, state: 'running' | 'reserved', at: number, leaseMs: number): Admission {
    if (hold.state === 'orphaned' || (hold.state === 'reserved' && hold.lease <= at)) {
      return { ok: false, refused: 'unavailable' }
    }
    if (hold.state === 'reserved' && state === 'running') {
      hold.state = 'running'
      hold.lease = at + leaseMs
    }
    return { ok: true, at }
  }

  /** Ends a hold for good. */
  function end(call: string, state: 'settled' | 'released'): void {
    holds.delete(call)
    ended.set(call, state)
  }

  function giveBack(hold: Hold): void {
    for (const { row, micros } of hold.parts) row.held -= micros
  }

  /** Replaces what a hold counts for by what was spent. Answers whether a meter is now over its limit. */
  function count(hold: Hold, spent: readonly Charge[] | undefined, at: number): boolean {
    const touched: Row[] = []
    for (const { row, micros } of hold.parts) {
      if (hold.state === 'orphaned') row.used -= micros
      else row.held -= micros
      if (!spent) row.used += micros
      touched.push(row)
    }
    for (const { meter, micros } of spent ?? []) {
      const row = hold.parts.find((part) => part.key === meter.key)?.row ?? rowAt(meter, at)
      if (!row) continue
      row.used += micros
      touched.push(row)
    }
    return touched.some((row) => row.used + row.held > row.limit)
  }

  /** Forgets sessions long over, now and then, so that a process that makes many stays flat. */
  function tidy(at: number): void {
    if (sessions.size < crowded) return
    for (const { row, meters: keys } of sessions.values()) {
      if (row.expiresAt + KEEP_MS > at) continue
      sessions.delete(row.id)
      byToken.delete(row.tokenHash)
      for (const key of keys) meters.delete(key)
    }
    crowded = Math.max(1_000, sessions.size * 2)
  }

  return {
    session: {
      create({ ttlMs, ...rest }, newMeters) {
        if (sessions.has(rest.id) || byToken.has(rest.tokenHash)) throw new Error('this session exists already')
        const keys = newMeters.map(({ key }) => key)
        if (new Set(keys).size < keys.length || keys.some((key) => meters.has(key))) {
          throw new Error('a meter of this session exists already')
        }
        const createdAt = now()
        const ancestors = rest.chain.map((id) => sessions.get(id)?.row)
        const row = bornInto({ ...rest, createdAt, expiresAt: createdAt + ttlMs }, ancestors)
        tidy(createdAt)
        sessions.set(row.id, { row, meters: keys })
        byToken.set(row.tokenHash, row.id)
        for (const { key, window, limit } of newMeters) {
          meters.set(key, { limit, row: { key: rowOf(key, window, createdAt), limit, used: 0n, held: 0n } })
        }
        return row
      },
      get: (by) => sessions.get('id' in by ? by.id : (byToken.get(by.tokenHash) ?? ''))?.row,
      revokeTree(id) {
        const at = now()
        const revoked: string[] = []
        for (const session of sessions.values()) {
          const { row } = session
          if ((row.id !== id && !row.chain.includes(id)) || row.revokedAt !== undefined) continue
          session.row = { ...row, revokedAt: at }
          revoked.push(row.id)
        }
        return revoked
      },
    },

    meters: {
      read(keys) {
        const at = now()
        return keys.map((key) => {
          const row = rowAt(key, at)
          return row && { limit: row.limit, used: row.used, held: row.held }
        })
      },
    },

    admit: (request) => take(request, 'running'),
    reserve: (request) => take(request, 'reserved'),

    settle({ call, spent }): Settlement {
      const hold = holds.get(call) ?? (spent?.length && !ended.get(call) ? NOTHING : undefined)
      if (!hold) return { state: ended.get(call) ?? 'unknown', overrun: false }
      const overrun = count(hold, spent, now())
      end(call, 'settled')
      return { state: 'settled', overrun }
    },

    cancel(call): Settlement {
      const hold = holds.get(call)
      if (!hold) {
        const state: HoldState | 'unknown' = ended.get(call) ?? 'unknown'
        if (state === 'unknown') end(call, 'released')
        return { state, overrun: false }
      }
      // Invariant: an orphan stays counted; only a late settle may change it.
      if (hold.state === 'orphaned') return { state: 'orphaned', overrun: false }
      giveBack(hold)
      end(call, 'released')
      return { state: 'released', overrun: false }
    },

    renew(calls, leaseMs) {
      const lease = now() + leaseMs
      for (const call of calls) {
        const hold = holds.get(call)
        if (hold?.state === 'running') hold.lease = Math.max(hold.lease, lease)
      }
    },

    expire(limit): Expired {
      const at = now()
      const released: string[] = []
      const orphaned: string[] = []
      for (const [call, hold] of holds) {
        if (released.length + orphaned.length >= limit) break
        if (hold.state === 'orphaned' || hold.lease > at) continue
        giveBack(hold)
        if (hold.state === 'reserved') {
          end(call, 'released')
          released.push(call)
          continue
        }
        // Invariant: time never gives a running hold back. It may have been spent, so it is counted as spent.
        for (const { row, micros } of hold.parts) row.used += micros
        hold.state = 'orphaned'
        orphaned.push(call)
      }
      return { released, orphaned }
    },

    secret: {
      put(secret) {
        const id = `${secret.tenant}|${secret.name}`
        const versions = secrets.get(id) ?? []
        if (versions.some(({ version }) => version === secret.version)) return false
        secrets.set(
          id,
          [...versions, secret].sort((a, b) => a.version - b.version),
        )
        return true
      },
      get: (tenant, name) => secrets.get(`${tenant}|${name}`)?.at(-1),
      list: (tenant) => [...secrets.values()].flat().filter((secret) => secret.tenant === tenant),
      delete: (tenant, name) => secrets.delete(`${tenant}|${name}`),
    },

    writer: {
      put: (row) => void writers.set(row.id, row),
      list: () => [...writers.values()],
    },
  }
}

/**
 * Remembers the newest entries, at least `REMEMBERED` of them. Two maps by turns: taking the oldest out of one map, one
 * at a time, costs more with every entry that was taken out before.
 */
function remembering<V>() {
  let newer = new Map<string, V>()
  let older = new Map<string, V>()
  return {
    get: (key: string): V | undefined => newer.get(key) ?? older.get(key),
    set(key: string, value: V): void {
      newer.set(key, value)
      if (newer.size < REMEMBERED) return
      older = newer
      newer = new Map()
    },
  }
}
