import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fakeClock } from '@haldir/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError, Unavailable } from '../errors.ts'
import { sqliteStore } from './sqlite.ts'
import { STATEMENTS, VERSION } from './sqlite-schema.ts'
import type { Hint, Store } from './store.ts'

const DAY = 86_400_000
const meter = { key: 'usd', window: 'total', limit: 1_000_000n } as const
const usd = { key: 'usd', window: 'total' } as const

let directory: string
let path: string
const open: { close?(): unknown }[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'haldir-sqlite-'))
  path = join(directory, 'haldir.db')
})
afterEach(() => {
  for (const one of open.splice(0)) one.close?.()
  rmSync(directory, { recursive: true })
})

function store(clock = fakeClock()): Store {
  const opened = sqliteStore(path, { clock, random: () => 0.5 })
  open.push(opened)
  return opened
}

function session(to: Store, id = 's', attributes: Record<string, unknown> = {}, meters = [meter]) {
  const row = { id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes, chain: [], ttlMs: 300 * DAY }
  return to.session.create(row, meters)
}

function request(call: string, leaseMs = 1_000) {
  return { call, session: 's', charges: [{ meter: usd, micros: 1n }], leaseMs }
}

/** What makes a file of layout 5 one of layout 4. */
const NO_CHANGES = `DROP TRIGGER session_changed; DROP TRIGGER approval_made; DROP TRIGGER approval_changed;
  DROP TABLE changes; PRAGMA user_version = 4`

/** Another process that has the file to itself. */
function writer(): DatabaseSync {
  const other = new DatabaseSync(path)
  open.push(other)
  return other
}

describe('the file', () => {
  it('can be read by its owner alone, and so can its journal', async () => {
    const one = store()
    await session(one)
    const files = readdirSync(directory)
    expect(files).toContain('haldir.db-wal')
    for (const name of files) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
  })

  it('that can not be opened is a ConfigError that names the option and does not repeat the path', () => {
    mkdirSync(path)
    for (const bad of [path, '', 7 as unknown as string]) {
      try {
        sqliteStore(bad)
        expect.fail('it opened')
      } catch (error) {
        expect(ConfigError.isInstance(error)).toBe(true)
        expect(error).toMatchObject({ code: 'invalid-option', path: 'path' })
        expect(String(error)).not.toContain(directory)
      }
    }
  })

  it('that something else keeps its tables in, or that is no database, is refused and left as it was', () => {
    const other = writer()
    other.exec('CREATE TABLE orders (id TEXT)')
    chmodSync(path, 0o600)
    expect(() => store()).toThrow(ConfigError)
    expect(other.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'orders' }])
    path = join(directory, 'text.db')
    writeFileSync(path, 'these are words, and no pages of a database\n'.repeat(99))
    expect(() => store()).toThrow(ConfigError)
  })

  it('of another version is refused, and says so', async () => {
    await session(store())
    const other = writer()
    for (const version of [0, 2, VERSION + 1]) {
      other.exec(`PRAGMA user_version = ${version}`)
      expect(() => store()).toThrow('no store of this version')
    }
    other.exec(`PRAGMA user_version = ${VERSION}`)
    expect(await store().session.get({ id: 's' })).toMatchObject({ id: 's' })
  })

  it('of an earlier version is brought up to date, with everything in it', async () => {
    await session(store(), 'old')
    const other = writer()
    other.exec(NO_CHANGES)
    other.exec(`DROP INDEX sessions_suspended; ALTER TABLE sessions DROP COLUMN suspended_by;
      ALTER TABLE sessions DROP COLUMN suspended_rule; PRAGMA user_version = 3`)
    for (const again of [store(), store()]) {
      expect(await again.session.get({ id: 'old' })).toEqual(
        expect.not.objectContaining({ suspended: expect.anything() }),
      )
      expect(await again.admit({ ...request('c'), session: 'old' })).toMatchObject({ ok: true })
    }
    expect(await store().session.suspendTree('old', 'r')).toEqual(['old'])
    expect(await store().admit({ ...request('d'), session: 'old' })).toMatchObject({ refused: 'session-suspended' })
    expect(other.prepare('PRAGMA user_version').get()).toEqual({ user_version: VERSION })
  })

  it('of the version before tells of changes from then on, also of those of a process of that version', async () => {
    const older = store()
    await session(older)
    const other = writer()
    other.exec(NO_CHANGES)
    const clock = fakeClock()
    const one = store(clock)
    expect(other.prepare('PRAGMA user_version').get()).toEqual({ user_version: VERSION })
    const hints: Hint[] = []
    one.watch?.((hint) => hints.push(hint))
    // What it prepared knows of no list of changes; the file keeps that itself.
    other.prepare('UPDATE sessions SET revoked_at = 1 WHERE id = ?').run('s')
    await clock.advance(25)
    expect(hints).toEqual([{ about: 'sessions', ids: ['s'] }])
  })

  it('may be closed twice; a closed store throws', async () => {
    const one = store()
    await one.close?.()
    await one.close?.()
    expect(() => one.admit(request('c'))).toThrow()
  })
})

describe('a verb that fails half way', () => {
  it('leaves nothing behind, and the store goes on', async () => {
    const one = store()
    await session(one)
    // The second meter is taken: by then the session and the first meter have been written.
    const fresh = { ...meter, key: 'fresh' }
    expect(() => session(one, 'o', {}, [fresh, meter] as never)).toThrow()
    expect(() => session(one, 'o', { big: 1n })).toThrow()
    expect(await one.session.get({ id: 'o' })).toBeUndefined()
    expect(await one.meters.read([{ ...usd, key: 'fresh' }])).toEqual([undefined])
    expect(await one.admit(request('c'))).toMatchObject({ ok: true })
    expect(await session(one, 'o', {}, [fresh] as never)).toMatchObject({ id: 'o' })
  })
})

describe('a database that another process holds', () => {
  it('is asked again without blocking, and then answers', async () => {
    const clock = fakeClock()
    const one = store(clock)
    await session(one)
    const other = writer()
    other.exec('BEGIN IMMEDIATE')
    const admission = one.admit(request('c'))
    expect(admission).toBeInstanceOf(Promise)
    await clock.advance(100)
    other.exec('COMMIT')
    await clock.advance(100)
    expect(await admission).toMatchObject({ ok: true })
    expect(await one.meters.read([usd])).toMatchObject([{ held: 1n }])
  })

  it('for too long is unavailable, and nothing was taken', async () => {
    const clock = fakeClock()
    const one = sqliteStore(path, { clock, patienceMs: 300 })
    open.push(one)
    await session(one)
    const other = writer()
    other.exec('BEGIN IMMEDIATE')
    const admission = Promise.resolve(one.admit(request('c'))).catch((error) => error)
    await clock.advance(1_000)
    expect(await admission).toBeInstanceOf(Unavailable)
    other.exec('COMMIT')
    expect(await one.meters.read([usd])).toMatchObject([{ held: 0n }])
  })

  it('refuses a call all the same once it can tell', async () => {
    const clock = fakeClock()
    const one = store(clock)
    await session(one)
    await clock.advance(5_000)
    const other = writer()
    other.exec('BEGIN IMMEDIATE')
    const admission = one.admit({ ...request('c'), charges: [{ meter: usd, micros: 9_000_000n }] })
    await clock.advance(100)
    other.exec('COMMIT')
    await clock.advance(100)
    expect(await admission).toEqual({ ok: false, refused: 'budget-exceeded', meter: 'usd' })
  })

  it('can still be read from', async () => {
    const one = store()
    await session(one)
    writer().exec('BEGIN IMMEDIATE')
    expect(await one.session.get({ id: 's' })).toMatchObject({ id: 's' })
  })
})

describe('holds that have ended', () => {
  const count = () => Number(writer().prepare('SELECT count(*) AS rows FROM holds').get()?.rows)

  it('are remembered for a day and then forgotten, also behind thousands of orphans', async () => {
    const clock = fakeClock()
    const one = store(clock)
    await session(one)
    for (let call = 0; call < 2_000; call++) await one.admit(request(`orphan ${call}`))
    await clock.advance(1_000)
    await one.expire(2_000)
    for (let call = 0; call < 500; call++) {
      await one.admit(request(`settled ${call}`))
      await one.settle({ call: `settled ${call}` })
    }
    await clock.advance(DAY)
    for (let turn = 0; turn < 4; turn++) await one.expire(1)
    expect(count()).toBe(2_500)
    await clock.advance(1)
    for (let turn = 0; turn < 4; turn++) await one.expire(1)
    expect(count()).toBe(2_000)
    // What they counted for stays.
    expect(await one.meters.read([usd])).toMatchObject([{ used: 2_500n, held: 0n }])
  })

  it('are forgotten by admits alone, too', async () => {
    const clock = fakeClock()
    const one = store(clock)
    await session(one)
    for (let call = 0; call < 300; call++) await one.cancel(`old ${call}`)
    await clock.advance(DAY + 1)
    for (let call = 0; call < 600; call++) await one.admit(request(`new ${call}`))
    expect(count()).toBe(600)
  })
})

describe('what is asked for at every call', () => {
  it('is found by an index, however much is kept', () => {
    store()
    const other = writer()
    const plans = (
      ['onceTaken', 'due', 'sessionsOfTenant', 'sessionsOfAgent', 'agentsOfTenant', 'readHold'] as const
    ).map((name) => {
      const steps = other.prepare(`EXPLAIN QUERY PLAN ${STATEMENTS[name]}`).all()
      return [
        name,
        steps.map(({ detail }) => String(detail)).filter((detail) => /^(SCAN|SEARCH) (holds|sessions)/.test(detail)),
      ]
    })
    for (const [name, steps] of plans) {
      expect([name, steps]).toEqual([name, [expect.stringMatching(/^SEARCH .* USING .*INDEX/)]])
    }
  })
})

it('no statement uses a parameter twice: the oldest Node that is supported can not', () => {
  expect(Object.entries(STATEMENTS).filter(([, text]) => /\?\d/.test(text))).toEqual([])
})

it('a secret is what its row is filed under, whatever its data says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'haldir-moved-'))
  const path = join(folder, 'haldir.db')
  const store = sqliteStore(path)
  const secret = {
    tenant: 'acme',
    name: 'bank',
    version: 1,
    keyId: 'k',
    scope: 's',
    tools: [],
    hosts: [],
    wrapped: 'w',
    sealed: 'x',
  }
  await store.secret.put(secret)
  const db = new DatabaseSync(path)
  const data = JSON.stringify(secret)
  db.prepare('INSERT INTO secrets VALUES (?, ?, ?, ?, ?, ?, ?)').run('evil', 'mine', 7, 'k', 'w', data, 0)
  db.close()
  expect(await store.secret.get('evil', 'mine')).toEqual({ ...secret, tenant: 'evil', name: 'mine', version: 7 })
  await store.close?.()
  rmSync(folder, { recursive: true })
})
