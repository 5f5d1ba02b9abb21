import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type FakeClock, fakeClock } from '@haldir/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Clock } from '../clock.ts'
import { sqliteStore } from './sqlite.ts'
import type { Statements } from './sqlite-open.ts'
import { STATEMENTS } from './sqlite-schema.ts'
import { SqliteWatching } from './sqlite-watching.ts'
import type { Hint, Store } from './store.ts'

const HOUR = 3_600_000
let clock: FakeClock
let path: string
let mine: Store
let theirs: Store

beforeEach(async () => {
  clock = fakeClock()
  path = join(mkdtempSync(join(tmpdir(), 'haldir-watching-')), 'haldir.db')
  mine = sqliteStore(path, { clock })
  theirs = sqliteStore(path, { clock: fakeClock() })
  await session('s')
})
afterEach(async () => {
  await mine.close?.()
  await theirs.close?.()
  rmSync(join(path, '..'), { recursive: true })
})

function session(id: string, chain: readonly string[] = []) {
  const row = { id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain, ttlMs: HOUR }
  return mine.session.create(row, [{ key: `usd ${id}`, window: 'total', limit: 9n }])
}

function heardFrom(store: Store): Hint[] {
  const hints: Hint[] = []
  store.watch?.((hint) => hints.push(hint))
  return hints
}

/** Statements as the store runs them, counted by name. */
function counted(): { readonly sql: Statements; readonly runs: Record<string, number> } {
  const db = new DatabaseSync(path)
  const runs: Record<string, number> = {}
  const sql = Object.fromEntries(
    Object.entries(STATEMENTS).map(([name, text]) => {
      const statement = db.prepare(text)
      const count = (verb: 'get' | 'all') => (given: string) => {
        runs[name] = (runs[name] ?? 0) + 1
        return statement[verb](...(given === undefined ? [] : [given]))
      }
      return [name, { get: count('get'), all: count('all') }]
    }),
  )
  return { sql: sql as unknown as Statements, runs }
}

it('tells exactly what another process has changed, at the next look, and each change once', async () => {
  const hints = heardFrom(mine)
  await session('child', ['s'])
  await theirs.session.suspendTree('child', 'r')
  await theirs.session.revokeTree('s')
  expect(hints).toEqual([])
  await clock.advance(25)
  expect(hints).toEqual([{ about: 'sessions', ids: ['child', 's'] }])
  await clock.advance(1_000)
  expect(hints).toHaveLength(1)
})

it('tells what this process has changed without waiting for a look, and not again', async () => {
  const hints = heardFrom(mine)
  await mine.session.extend('s', 2 * HOUR)
  await Promise.resolve()
  expect(hints).toEqual([{ about: 'sessions', ids: ['s'] }])
  await theirs.session.revokeTree('s')
  await clock.advance(25)
  expect(hints).toEqual([
    { about: 'sessions', ids: ['s'] },
    { about: 'sessions', ids: ['s'] },
  ])
})

it('tells nothing of calls that come and go, of refusals, or of what changed nothing', async () => {
  const hints = heardFrom(mine)
  const charges = [{ meter: { key: 'usd s', window: 'total' }, micros: 5n }] as const
  for (const call of ['c', 'd', 'e']) await theirs.admit({ call, session: 's', charges, leaseMs: HOUR })
  await theirs.settle({ call: 'c' })
  await theirs.session.extend('s', 1)
  await theirs.session.revokeTree('nobody')
  await clock.advance(100)
  expect(hints).toEqual([])
})

it('tells that anything may have changed, when more has than the file keeps', async () => {
  const hints = heardFrom(mine)
  const other = new DatabaseSync(path)
  const revoke = other.prepare('UPDATE sessions SET revoked_at = ?')
  other.exec('BEGIN')
  for (let n = 0; n < 5_000; n++) revoke.run(n)
  other.exec('COMMIT')
  expect(Number(other.prepare('SELECT count(*) AS rows FROM changes').get()?.rows)).toBe(4_096)
  other.close()
  await clock.advance(25)
  expect(hints).toEqual([{ about: 'everything' }])
  await theirs.session.suspendTree('s', 'r')
  await clock.advance(25)
  expect(hints.slice(1)).toEqual([{ about: 'sessions', ids: ['s'] }])
})

it('looks only while somebody watches and the store is open', async () => {
  expect(clock.timers).toBe(0)
  const stops = [mine.watch?.(() => {}), mine.watch?.(() => {})]
  expect(clock.timers).toBe(1)
  stops[0]?.()
  expect(clock.timers).toBe(1)
  stops[1]?.()
  stops[1]?.()
  expect(clock.timers).toBe(0)
  mine.watch?.(() => {})
  await mine.close?.()
  expect(clock.timers).toBe(0)
  mine.watch?.(() => {})?.()
  expect(clock.timers).toBe(0)
})

it('what changed before somebody watched is not told', async () => {
  await theirs.session.revokeTree('s')
  const hints = heardFrom(mine)
  await clock.advance(100)
  expect(hints).toEqual([])
})

it('a look is one small read, and a second one when another process has committed', async () => {
  const { sql, runs } = counted()
  const watching = new SqliteWatching(sql, clock as Clock)
  watching.watch(() => {})
  await clock.advance(250)
  expect(runs).toEqual({ dataVersion: 11, lastChange: 1 })
  for (let n = 0; n < 100; n++) await theirs.admit({ call: `c${n}`, session: 's', charges: [], leaseMs: 1 })
  await clock.advance(250)
  expect(runs).toEqual({ dataVersion: 21, lastChange: 1 })
  await theirs.cancel('x')
  await clock.advance(250)
  expect(runs).toEqual({ dataVersion: 31, lastChange: 1, changesSince: 1 })
  watching.close()
})

it('looks again when it could not read, and tells what it has missed', async () => {
  const { sql, runs } = counted()
  const { get } = sql.dataVersion
  const { all } = sql.changesSince
  const fail = () => {
    throw new Error('the disk is gone')
  }
  const watching = new SqliteWatching(sql, clock as Clock)
  const hints: Hint[] = []
  watching.watch((hint) => hints.push(hint))
  sql.dataVersion.get = fail
  await theirs.session.suspendTree('s', 'r')
  await clock.advance(50)
  sql.dataVersion.get = get
  sql.changesSince.all = fail
  await clock.advance(50)
  sql.changesSince.all = all
  expect(hints).toEqual([])
  await clock.advance(25)
  expect(hints).toEqual([{ about: 'sessions', ids: ['s'] }])
  expect(runs.changesSince).toBe(1)
  watching.close()
  // Of one that can't even say what there is, nobody knows what changes.
  sql.lastChange.get = fail
  const late = new SqliteWatching(sql, clock as Clock)
  late.watch((hint) => hints.push(hint))
  await clock.advance(50)
  sql.lastChange.get = () => ({ seq: 7 })
  await clock.advance(25)
  expect(hints.slice(1)).toEqual([{ about: 'everything' }])
  late.close()
})
