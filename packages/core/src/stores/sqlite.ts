/**
 * The embedded default: one SQLite file, shared by the processes of one machine (a local disk; never a network share).
 * Every verb is one `BEGIN IMMEDIATE` transaction. A busy database is waited for briefly and then retried without
 * blocking the event loop, until a deadline.
 */
import { type Clock, type MaybePromise, steadyTime, systemClock } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { bornInto, type Life } from './lineage.ts'
import { isBusy, open } from './sqlite-open.ts'
import { type HoldRow, isEnded, type LifeRow, type MeterRow, NOTHING, secretFrom, sessionFrom } from './sqlite-rows.ts'
import type {
  Admission,
  AdmitRequest,
  Charge,
  Expired,
  MeterKey,
  SealedSecret,
  Settlement,
  Store,
  WriterRow,
} from './store.ts'
import { rowOf } from './window.ts'

export interface SqliteStoreOptions {
  readonly clock?: Clock
  /** A number in [0, 1) that spreads retries; `Math.random` unless given. */
  readonly random?: () => number
  /** `true`: an answered verb survives a power cut too, not only the death of the process; about ten times slower. */
  readonly durable?: boolean
  /** How long a busy database is retried, in milliseconds. */
  readonly patienceMs?: number
}

/** What a hold keeps of each charge: meter key, row key, micro-units as text. */
type Part = readonly [meter: string, row: string, micros: string]

const DAY_MS = 86_400_000
/** How many admits pass between two looks for ended holds to forget, and how many rows a look takes in. */
const TIDY_EVERY = 256
const LOOK = 1_024

export function sqliteStore(path: string, options: SqliteStoreOptions = {}): Store {
  checkKeys(options, ['clock', 'random', 'durable', 'patienceMs'], 'options of `sqliteStore`')
  const { clock = systemClock, random = Math.random, patienceMs = 5_000 } = options
  const { db, sql, time } = open(path, options.durable === true)
  const now = steadyTime(clock, time)
  let saved = time
  let admits = 0
  let looked = 0
  let closed = false

  /** Runs one transaction. */
  function atomically<T>(work: (at: number) => T): MaybePromise<T> {
    return patiently(() => transact(work))
  }

  /** Answers at once unless the database is busy; then it is asked again, a little later each time. */
  function patiently<T>(work: () => T): MaybePromise<T> {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error)) throw error
      return retry(work, clock.monotonic() + patienceMs, 2)
    }
  }

  async function retry<T>(work: () => T, deadline: number, delay: number): Promise<T> {
    await new Promise<void>((wake) => void clock.setTimeout(wake, delay * (0.5 + random())))
    try {
      return work()
    } catch (error) {
      if (!isBusy(error)) throw error
      if (clock.monotonic() > deadline) throw new Unavailable('the SQLite store stayed busy')
      return retry(work, deadline, Math.min(delay * 2, 100))
    }
  }

  function transact<T>(work: (at: number) => T): T {
    sql.begin.run()
    try {
      const at = now()
      const result = work(at)
      const due = at - saved >= 1_000
      if (due) sql.writeTime.run(at)
      sql.commit.run()
      if (due) saved = at
      return result
    } catch (error) {
      undo()
      throw error
    }
  }

  function undo(): void {
    try {
      sql.rollback.run()
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full.
    }
  }

  function take(request: AdmitRequest, state: 'running' | 'reserved'): MaybePromise<Admission> {
    const { call, session, charges, leaseMs } = request
    return atomically((at): Admission => {
      const row = sql.sessionLife.get(session) as LifeRow | undefined
      if (!row) return { ok: false, refused: 'no-session' }
      // Invariant: a revoked session admits nothing. Revoking marks the whole tree at once, and a child ends no later
      // than its parent, so a session's own row speaks for its ancestors.
      if (row.revoked_at !== null) return { ok: false, refused: 'session-revoked' }
      if (at >= row.expires_at) return { ok: false, refused: 'session-expired' }
      const before = sql.readHold.get(call) as HoldRow | undefined
      if (before) return resume(call, before, state, at, leaseMs)
      if (charges.length === 0) return { ok: true, at }
      const parts: Part[] = []
      for (const charge of charges) {
        const { key, window } = charge.meter
        const name = rowOf(key, window, at)
        if (!hold(name, charge)) {
          // Nothing is kept of a refused admit: what was held on other meters is given back before the commit.
          for (const [, taken, micros] of parts) sql.holdMeter.run(-BigInt(micros), taken)
          const missing = sql.readMeter.get(name) === undefined
          return { ok: false, refused: missing ? 'unavailable' : 'budget-exceeded', meter: key }
        }
        parts.push([key, name, String(charge.micros)])
      }
      sql.insertHold.run(call, session, state, at + leaseMs, JSON.stringify(parts))
      if (++admits % TIDY_EVERY === 0) tidy(at)
      return { ok: true, at }
    })
  }

  /** Holds on one row, if there is room. The first use of a window makes its row from the meter's. */
  function hold(name: string, { meter, micros }: Charge): boolean {
    // Invariant: held + used never exceeds the limit: the check and the change are one statement.
    if (sql.holdWithin.run(micros, name, micros).changes === 1) return true
    if (meter.window === 'total' || sql.readMeter.get(name) !== undefined) return false
    if (sql.openWindow.run(name, meter.key).changes === 0) return false
    return sql.holdWithin.run(micros, name, micros).changes === 1
  }

  /** The same call again: a repeated verb is the same hold, and an admit lets a reserved one run. */
  function resume(call: string, hold: HoldRow, state: string, at: number, leaseMs: number): Admission {
    const live = hold.state === 'running' || (hold.state === 'reserved' && hold.lease > at)
    if (!live) return { ok: false, refused: 'unavailable' }
    if (hold.state === 'reserved' && state === 'running') sql.endHold.run('running', at + leaseMs, call)
    return { ok: true, at }
  }

  /** Replaces what a hold counts for by what was spent. Answers whether a meter is now over its limit. */
  function count(hold: HoldRow, spent: readonly Charge[] | undefined, at: number): boolean {
    const parts = JSON.parse(hold.parts) as Part[]
    const held = hold.state === 'orphaned' ? sql.useMeter : sql.holdMeter
    const touched = new Set<string>()
    for (const [, row, micros] of parts) {
      held.run(-BigInt(micros), row)
      if (!spent) sql.useMeter.run(BigInt(micros), row)
      touched.add(row)
    }
    for (const { meter, micros } of spent ?? []) {
      const row = parts.find(([key]) => key === meter.key)?.[1] ?? rowOf(meter.key, meter.window, at)
      if (sql.useMeter.run(micros, row).changes === 0 && sql.openWindow.run(row, meter.key).changes === 1) {
        sql.useMeter.run(micros, row)
      }
      touched.add(row)
    }
    return [...touched].some((row) => sql.isOver.get(row) !== undefined)
  }

  /** Forgets holds that ended more than a day ago, some rows at a time. */
  function tidy(at: number): void {
    const { rows, last } = sql.lookEnd.get(looked, LOOK) as { rows: number; last: number | null }
    if (last !== null) sql.forget.run(looked, last, at - DAY_MS)
    looked = rows < LOOK || last === null ? 0 : last
  }

  function lifeOf(session: string): Life | undefined {
    const row = sql.sessionLife.get(session) as LifeRow | undefined
    return row && { expiresAt: row.expires_at, ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }) }
  }

  return {
    session: {
      create: ({ ttlMs, ...row }, meters) =>
        atomically((at) => {
          const session = bornInto({ ...row, createdAt: at, expiresAt: at + ttlMs }, row.chain.map(lifeOf))
          const { id, tokenHash, tenant, agent, scopes, attributes, chain, expiresAt, revokedAt = null } = session
          const json = [scopes, attributes, chain].map((part) => JSON.stringify(part))
          sql.insertSession.run(id, tokenHash, tenant, agent, ...json, at, expiresAt, revokedAt)
          for (const ancestor of chain) sql.insertLineage.run(ancestor, id)
          for (const { key, limit } of meters) sql.insertMeter.run(key, limit)
          return session
        }),
      get: (by) =>
        patiently(() => {
          const row = 'id' in by ? sql.sessionById.get(by.id) : sql.sessionByToken.get(by.tokenHash)
          return row && sessionFrom(row)
        }),
      revokeTree: (id) => atomically((at) => sql.revokeTree.all(at, id, id).map((row) => (row as { id: string }).id)),
    },

    meters: {
      // In one transaction: meters that a call charges together are never seen half charged.
      read: (keys: readonly MeterKey[]) =>
        atomically((at) =>
          keys.map(({ key, window }) => {
            const row = sql.readMeter.get(rowOf(key, window, at)) as MeterRow | undefined
            if (row || window === 'total') return row && { limit: row.cap, used: row.used, held: row.held }
            const meter = sql.readMeter.get(key) as MeterRow | undefined
            return meter && { limit: meter.cap, used: 0n, held: 0n }
          }),
        ),
    },

    admit: (request) => take(request, 'running'),
    reserve: (request) => take(request, 'reserved'),

    settle: ({ call, spent }) =>
      atomically((at): Settlement => {
        const hold = sql.readHold.get(call) as HoldRow | undefined
        if (!hold && !spent?.length) return { state: 'unknown', overrun: false }
        if (hold && isEnded(hold.state)) return { state: hold.state, overrun: false }
        const overrun = count(hold ?? NOTHING, spent, at)
        if (hold) sql.endHold.run('settled', at, call)
        else sql.insertHold.run(call, '', 'settled', at, '[]')
        return { state: 'settled', overrun }
      }),

    cancel: (call) =>
      atomically((at): Settlement => {
        const hold = sql.readHold.get(call) as HoldRow | undefined
        if (!hold) {
          sql.insertHold.run(call, '', 'released', at, '[]')
          return { state: 'unknown', overrun: false }
        }
        // Invariant: an orphan stays counted; only a late settle may change it.
        if (hold.state === 'orphaned' || isEnded(hold.state)) return { state: hold.state, overrun: false }
        for (const [, row, micros] of JSON.parse(hold.parts) as Part[]) sql.holdMeter.run(-BigInt(micros), row)
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
        for (const hold of sql.due.all(at, limit) as unknown as (HoldRow & { call: string })[]) {
          for (const [, row, micros] of JSON.parse(hold.parts) as Part[]) {
            sql.holdMeter.run(-BigInt(micros), row)
            // Invariant: time never gives a running hold back. It may have been spent, so it is counted as spent.
            if (hold.state === 'running') sql.useMeter.run(BigInt(micros), row)
          }
          sql.endHold.run(hold.state === 'running' ? 'orphaned' : 'released', at, hold.call)
          ;(hold.state === 'running' ? orphaned : released).push(hold.call)
        }
        tidy(at)
        return { released, orphaned }
      }),

    secret: {
      put: (secret) =>
        atomically(() => {
          const { tenant, name, version, ...rest } = secret
          return sql.insertSecret.run(tenant, name, version, JSON.stringify(rest)).changes === 1
        }),
      get: (tenant, name) => patiently(() => secretFrom(sql.readSecret.get(tenant, name))),
      list: (tenant) => patiently(() => sql.listSecrets.all(tenant).map((row) => secretFrom(row) as SealedSecret)),
      delete: (tenant, name) => atomically(() => Number(sql.deleteSecret.run(tenant, name).changes) > 0),
    },

    writer: {
      put: ({ id, ...rest }) => atomically(() => void sql.putWriter.run(id, JSON.stringify(rest))),
      list: () =>
        patiently(() =>
          (sql.listWriters.all() as { id: string; data: string }[]).map(
            ({ id, data }): WriterRow => ({ id, ...JSON.parse(data) }),
          ),
        ),
    },

    close() {
      if (!closed) db.close()
      closed = true
    },
  }
}
