/**
 * The embedded default: one SQLite file, shared by the processes of one machine (a local disk; never a network share).
 * Every verb is one `BEGIN IMMEDIATE` transaction. A busy database is waited for briefly and then retried without
 * blocking the event loop, until a deadline.
 */
import { type Clock, type MaybePromise, systemClock } from '../clock.ts'
import { checkKeys } from '../options.ts'
import { type Life, refusedBy, stillBy } from './lineage.ts'
import { consume, sqliteApprovals } from './sqlite-approvals.ts'
import { SqliteMeters } from './sqlite-meters.ts'
import { open } from './sqlite-open.ts'
import { type HeldRow, holdFrom, isEnded, type LifeRow, lifeFrom } from './sqlite-rows.ts'
import { sqliteSecrets } from './sqlite-secrets.ts'
import { sqliteSessions } from './sqlite-sessions.ts'
import { transactions } from './sqlite-transact.ts'
import { SqliteWatching } from './sqlite-watching.ts'
import type { Admission, AdmitRequest, Expired, MeterKey, Settlement, Store, WriterRow } from './store.ts'

export interface SqliteStoreOptions {
  readonly clock?: Clock
  /** A number in [0, 1) that spreads retries; `Math.random` unless given. */
  readonly random?: () => number
  /** `true`: an answered verb survives a power cut too, not only the death of the process; about ten times slower. */
  readonly durable?: boolean
  /** How long a busy database is retried, in milliseconds. */
  readonly patienceMs?: number
}

const DAY_MS = 86_400_000
/** How many admits pass between two looks for ended holds to forget, and how many rows a look takes in. */
const TIDY_EVERY = 256
const LOOK = 1_024

export function sqliteStore(path: string, options: SqliteStoreOptions = {}): Store {
  checkKeys(options, ['clock', 'random', 'durable', 'patienceMs'], 'options of `sqliteStore`')
  const { clock = systemClock, random = Math.random, patienceMs = 5_000 } = options
  const { db, sql, time } = open(path, options.durable === true)
  const watching = new SqliteWatching(sql, clock)
  const tx = transactions(sql, clock, time, random, patienceMs, () => watching.changed())
  const { atomically, changing, patiently } = tx
  const meters = new SqliteMeters(sql)
  let admits = 0
  let looked = 0
  let closed = false

  function take(request: AdmitRequest, state: 'running' | 'reserved'): MaybePromise<Admission> {
    const { call, session, charges, leaseMs, once = null, memo = null } = request
    const admit = (at: number): Admission => {
      const life = lifeFrom(sql.sessionLife.get(session) as LifeRow | undefined)
      const over = refusedBy(life, at)
      if (over === 'session-suspended') return stillBy(life as Life)
      if (over) return { ok: false, refused: over }
      // Invariant: an approval is used by one call, and only by one that is admitted: what is refused is undone.
      const refused = state === 'running' && consume(sql, request, at)
      if (refused) return { ok: false, refused }
      const before = sql.readHold.get(call) as HeldRow | undefined
      if (before) return resume(before, request, state, at)
      if (once !== null && sql.onceTaken.get(once, at, at - DAY_MS)) return { ok: false, refused: 'duplicate-call' }
      if (state === 'running' && charges.length === 0 && once === null) return { ok: true, at }
      const parts = meters.take(charges, at)
      if ('refused' in parts) return parts
      sql.insertHold.run(call, session, state, at + leaseMs, JSON.stringify(parts), once, memo)
      if (++admits % TIDY_EVERY === 0) tidy(at)
      return { ok: true, at }
    }
    // Invariant: a call takes from all its meters or from none: of one that is refused, nothing is kept.
    return (request.consent ? changing : atomically)(admit, ({ ok }) => ok)
  }

  /** The same call again: a repeated verb is the same hold, and an admit lets a reserved one run. */
  function resume(hold: HeldRow, { call, session, leaseMs }: AdmitRequest, state: string, at: number): Admission {
    const live = hold.state === 'running' || (hold.state === 'reserved' && hold.lease > at)
    if (!live || hold.session !== session) return { ok: false, refused: 'unavailable' }
    if (hold.state === 'reserved' && state === 'running') sql.endHold.run('running', at + leaseMs, call)
    return { ok: true, at }
  }

  /** Forgets holds that ended more than a day ago, some rows at a time. */
  function tidy(at: number): void {
    const { rows, last } = sql.lookEnd.get(looked, LOOK) as { rows: number; last: number | null }
    if (last !== null) sql.forget.run(looked, last, at - DAY_MS)
    looked = rows < LOOK || last === null ? 0 : last
  }

  return {
    session: sqliteSessions(sql, meters, tx),

    meters: {
      // In one transaction: meters that a call charges together are never seen half charged.
      read: (keys: readonly MeterKey[]) => atomically((at) => keys.map((key) => meters.read(key, at))),
    },

    hold: {
      get: (call) => patiently(() => holdFrom(sql.getHold.get(call))),
    },

    admit: (request) => take(request, 'running'),
    reserve: (request) => take(request, 'reserved'),

    settle: ({ call, spent }) =>
      atomically((at): Settlement => {
        const hold = sql.readHold.get(call) as HeldRow | undefined
        if (!hold && !spent?.length) return { state: 'unknown', overrun: false }
        // What has not begun to run has spent nothing.
        if (hold && (hold.state === 'reserved' || isEnded(hold.state))) return { state: hold.state, overrun: false }
        const overrun = meters.count(hold, spent, at)
        if (hold) sql.endHold.run('settled', at, call)
        else sql.insertHold.run(call, '', 'settled', at, '[]', null, null)
        return { state: 'settled', overrun }
      }),

    cancel: (call) =>
      atomically((at): Settlement => {
        const hold = sql.readHold.get(call) as HeldRow | undefined
        if (!hold) {
          sql.insertHold.run(call, '', 'released', at, '[]', null, null)
          return { state: 'unknown', overrun: false }
        }
        // Invariant: an orphan stays counted; only a late settle may change it.
        if (hold.state === 'orphaned' || isEnded(hold.state)) return { state: hold.state, overrun: false }
        meters.giveBack(hold)
        sql.endHold.run('released', at, call)
        return { state: 'released', overrun: false }
      }),

    renew: (calls, leaseMs) =>
      atomically((at) => {
        for (const call of calls) sql.renew.run(at + leaseMs, call)
      }),

    expire: (limit) =>
      atomically((at): Expired => {
        const released: string[] = []
        const orphaned: string[] = []
        for (const hold of sql.due.all(at, limit) as unknown as (HeldRow & { call: string })[]) {
          // Invariant: time never gives a running hold back. It may have been spent, so it is counted as spent.
          if (hold.state === 'running') meters.keep(hold)
          else meters.giveBack(hold)
          sql.endHold.run(hold.state === 'running' ? 'orphaned' : 'released', at, hold.call)
          ;(hold.state === 'running' ? orphaned : released).push(hold.call)
        }
        tidy(at)
        return { released, orphaned }
      }),

    approval: sqliteApprovals(sql, tx),
    secret: sqliteSecrets(sql, tx),

    writer: {
      put: ({ id, ...rest }) => atomically(() => void sql.putWriter.run(id, JSON.stringify(rest))),
      list: () =>
        patiently(() =>
          (sql.listWriters.all() as { id: string; data: string }[]).map(
            ({ id, data }): WriterRow => ({ id, ...JSON.parse(data) }),
          ),
        ),
    },

    watch: (listener) => watching.watch(listener),

    close() {
      watching.close()
      if (!closed) db.close()
      closed = true
    },
  }
}
