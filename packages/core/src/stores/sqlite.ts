/**
 * The embedded default: one SQLite file, shared by the processes of one machine (a local disk; never a network share).
 * Every verb is one `BEGIN IMMEDIATE` transaction. A busy database is waited for briefly and then retried without
 * blocking the event loop, until a deadline.
 */
import { closeSync, openSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type Clock, type MaybePromise, steadyTime, systemClock } from '../clock.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import { SCHEMA, STATEMENTS } from './sqlite-schema.ts'
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
/** How long SQLite itself waits for a lock: it blocks the event loop, so it is short. */
const BUSY_MS = 50
/** How many admits pass between two looks for ended holds to forget. */
const TIDY_EVERY = 256

export function sqliteStore(path: string, options: SqliteStoreOptions = {}): Store {
  const { clock = systemClock, random = Math.random, patienceMs = 5_000 } = options
  const db = open(path, options.durable === true)
  const sql = prepare(db)
  let saved = Number(sql.readTime.get()?.value ?? 0)
  const now = steadyTime(clock, saved)
  let admits = 0

  /** Runs one transaction. Answers at once unless the database is busy; then it is retried, a little later each time. */
  function atomically<T>(work: (at: number) => T): MaybePromise<T> {
    try {
      return transact(work)
    } catch (error) {
      if (!isBusy(error)) throw error
      return retry(work, clock.monotonic() + patienceMs, 2)
    }
  }

  async function retry<T>(work: (at: number) => T, deadline: number, delay: number): Promise<T> {
    await new Promise<void>((wake) => void clock.setTimeout(wake, delay * (0.5 + random())))
    try {
      return transact(work)
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
      if (at - saved >= 1_000) {
        sql.writeTime.run(at)
        saved = at
      }
      sql.commit.run()
      return result
    } catch (error) {
      if (db.isTransaction) sql.rollback.run()
      throw error
    }
  }

  function take(request: AdmitRequest, state: 'running' | 'reserved'): MaybePromise<Admission> {
    const { call, session, charges, leaseMs } = request
    return atomically((at): Admission => {
      const row = sql.sessionLife.get(session) as { expires_at: number; revoked_at: number | null } | undefined
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
      if (++admits % TIDY_EVERY === 0) sql.forget.run(at - DAY_MS)
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

  return {
    session: {
      create: ({ ttlMs, ...row }, meters) =>
        atomically((at) => {
          const session: SessionRow = { ...row, createdAt: at, expiresAt: at + ttlMs }
          const { id, tokenHash, tenant, agent, scopes, attributes, chain } = session
          const json = [scopes, attributes, chain].map((part) => JSON.stringify(part))
          sql.insertSession.run(id, tokenHash, tenant, agent, ...json, at, session.expiresAt)
          for (const ancestor of chain) sql.insertLineage.run(ancestor, id)
          for (const { key, limit } of meters) sql.insertMeter.run(key, limit)
          return session
        }),
      get(by) {
        const row = 'id' in by ? sql.sessionById.get(by.id) : sql.sessionByToken.get(by.tokenHash)
        return row && sessionFrom(row)
      },
      revokeTree: (id) => atomically((at) => sql.revokeTree.all(at, id, id).map((row) => (row as { id: string }).id)),
    },

    meters: {
      read(keys: readonly MeterKey[]) {
        const at = now()
        return keys.map(({ key, window }) => {
          const row = sql.readMeter.get(rowOf(key, window, at)) as MeterRow | undefined
          if (row || window === 'total') return row && { limit: row.cap, used: row.used, held: row.held }
          const meter = sql.readMeter.get(key) as MeterRow | undefined
          return meter && { limit: meter.cap, used: 0n, held: 0n }
        })
      },
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
        sql.forget.run(at - DAY_MS)
        return { released, orphaned }
      }),

    secret: {
      put: (secret) =>
        atomically(() => {
          const { tenant, name, version, ...rest } = secret
          return sql.insertSecret.run(tenant, name, version, JSON.stringify(rest)).changes === 1
        }),
      get: (tenant, name) => secretFrom(sql.readSecret.get(tenant, name)),
      list: (tenant) => sql.listSecrets.all(tenant).map((row) => secretFrom(row) as SealedSecret),
      delete: (tenant, name) => atomically(() => Number(sql.deleteSecret.run(tenant, name).changes) > 0),
    },

    writer: {
      put: ({ id, ...rest }) => atomically(() => void sql.putWriter.run(id, JSON.stringify(rest))),
      list: () =>
        (sql.listWriters.all() as { id: string; data: string }[]).map(
          ({ id, data }): WriterRow => ({ id, ...JSON.parse(data) }),
        ),
    },

    close() {
      if (db.isOpen) db.close()
    },
  }
}

interface HoldRow {
  readonly state: HoldState
  readonly lease: number
  readonly parts: string
}

interface MeterRow {
  readonly cap: bigint
  readonly used: bigint
  readonly held: bigint
}

/** The hold of a call that was admitted without one. */
const NOTHING: HoldRow = { state: 'running', lease: 0, parts: '[]' }

function isEnded(state: HoldState): boolean {
  return state === 'settled' || state === 'released'
}

function sessionFrom(row: Record<string, unknown>): SessionRow {
  const { id, token_hash, tenant, agent, scopes, attributes, chain, created_at, expires_at, revoked_at } = row
  return {
    id: id as string,
    tokenHash: token_hash as string,
    tenant: tenant as string,
    agent: agent as string,
    scopes: JSON.parse(scopes as string),
    attributes: JSON.parse(attributes as string),
    chain: JSON.parse(chain as string),
    createdAt: created_at as number,
    expiresAt: expires_at as number,
    ...(revoked_at === null ? {} : { revokedAt: revoked_at as number }),
  }
}

function secretFrom(row: Record<string, unknown> | undefined): SealedSecret | undefined {
  if (!row) return undefined
  const { tenant, name, version, data } = row as { tenant: string; name: string; version: number; data: string }
  return { tenant, name, version, ...JSON.parse(data) }
}

/** Opens the file with mode 0600 (its journal inherits that) and makes what is missing in it. */
function open(path: string, durable: boolean): DatabaseSync {
  if (typeof path !== 'string' || path === '') throw new ConfigError('invalid-option', 'path', '`path` names a file')
  try {
    if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600))
    const { DatabaseSync } = sqlite()
    const db = new DatabaseSync(path)
    // Several processes may start at once; making the schema is worth a longer wait than a call is.
    db.exec('PRAGMA busy_timeout = 5000')
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
    db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`)
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
    return db
  } catch (cause) {
    const error = new ConfigError('invalid-option', 'path', 'the SQLite store at `path` could not be opened')
    error.cause = cause
    throw error
  }
}

function prepare(db: DatabaseSync): Record<keyof typeof STATEMENTS, StatementSync> {
  const entries = Object.entries(STATEMENTS).map(([name, text]) => [name, db.prepare(text)] as const)
  const sql = Object.fromEntries(entries) as Record<keyof typeof STATEMENTS, StatementSync>
  // Amounts are 64-bit; everything else fits a number.
  sql.readMeter.setReadBigInts(true)
  return sql
}

/** Loads `node:sqlite` without the warning that Node 22 prints for it. */
function sqlite(): typeof import('node:sqlite') {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return process.getBuiltinModule('node:sqlite')
  } finally {
    process.emitWarning = emitWarning
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number } | null)?.errcode
  return typeof code === 'number' && ((code & 0xff) === 5 || (code & 0xff) === 6)
}
