/** Hints of what other processes have changed, and connections that are lost meanwhile. */
import { PGlite } from '@electric-sql/pglite'
import type { Store } from '@haldir/core'
import { type PostgresStore, postgresStore } from '@haldir/postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lacking, type PostgresServer, startPostgres } from '../servers/postgres.ts'
import { type Wire, wireTo } from '../servers/proxy.ts'

const lack = lacking()
if (lack !== undefined) console.info(`skipped: ${lack}`)

type Hint = Parameters<Parameters<NonNullable<Store['watch']>>[0]>[0]

/** What a store is told, and how to wait for it. */
class Told {
  readonly hints: Hint[] = []
  readonly stop: () => void
  #wake: () => void = () => {}

  constructor(store: PostgresStore) {
    this.stop = store.watch((hint) => {
      this.hints.push(hint)
      this.#wake()
      throw new Error('who is told may fail')
    })
  }

  async of(about: Hint['about'], id?: string): Promise<void> {
    while (!this.hints.some((hint) => hint.about === about && (!id || ('ids' in hint && hint.ids.includes(id))))) {
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    }
  }
}

const row = (id: string, chain: string[] = []) => ({
  ...{ id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain, ttlMs: 3_600_000 },
})
const approval = { id: 'p', tenant: 't', session: 's', agent: 'a', tool: 'x', binding: 'b', data: {}, ttlMs: 60_000 }

async function everyHint(told: Told, other: PostgresStore): Promise<void> {
  await other.session.create(row('s'), [])
  await other.session.create(row('child', ['s']), [])
  await other.approval.request(approval, { session: 5, agent: 5 }, [])
  await told.of('approvals', 'p')
  for (const change of [
    () => other.approval.change('p', 1, { state: 'approved' }),
    () => other.approval.use('p', 'c'),
  ]) {
    told.hints.length = 0
    await change()
    await told.of('approvals', 'p')
  }
  for (const change of [
    () => other.session.extend('s', 7_200_000),
    () => other.session.suspendTree('s', 'r'),
    () => other.session.resumeTree('s'),
    () => other.session.revokeTree('s'),
  ]) {
    told.hints.length = 0
    await change()
    await told.of('sessions', 's')
  }
  expect(told.hints).toContainEqual({ about: 'sessions', ids: expect.arrayContaining(['s', 'child']) })
}

describe.skipIf(lack !== undefined)('on a server', () => {
  let server: PostgresServer
  let wire: Wire
  let pool: pg.Pool
  let watching: pg.Pool

  beforeAll(async () => {
    server = await startPostgres()
    wire = await wireTo(server.port)
    pool = new pg.Pool({ connectionString: server.url })
    watching = new pg.Pool({ connectionString: server.url.replace(`${server.port}`, `${wire.port}`) })
  })
  afterAll(async () => {
    await watching?.end()
    await pool?.end()
    await wire?.close()
    await server?.stop()
  })

  it('tells of revokes, suspensions, resumptions, extensions and approvals of other processes', async () => {
    const store = postgresStore(watching, { schema: 'told' })
    const told = new Told(store)
    await told.of('everything')
    await everyHint(told, postgresStore(pool, { schema: 'told' }))
    await store.close()
    expect(watching.totalCount).toBe(0)
  })

  it('connects again by itself when the connection is lost, and says that anything may have changed', async () => {
    const store = postgresStore(watching, { schema: 'lost' })
    const other = postgresStore(pool, { schema: 'lost' })
    const told = new Told(store)
    await told.of('everything')
    for (let turn = 0; turn < 2; turn++) {
      told.hints.length = 0
      wire.refuses = turn > 0
      wire.cut()
      setTimeout(() => {
        wire.refuses = false
      }, 300)
      await told.of('everything')
      await other.session.create(row(`s${turn}`), [])
      await other.session.revokeTree(`s${turn}`)
      await told.of('sessions', `s${turn}`)
    }
    told.stop()
    expect(watching.totalCount).toBe(0)
    await store.close()
  })

  it('says that anything may have changed when there is more than fits a notification', async () => {
    const store = postgresStore(pool, { schema: 'many' })
    const told = new Told(store)
    await told.of('everything')
    await store.session.create(row('root'), [])
    for (let n = 0; n < 300; n++) await store.session.create(row(`${'descendant '.repeat(3)}${n}`, ['root']), [])
    told.hints.length = 0
    expect(await store.session.revokeTree('root')).toHaveLength(301)
    await told.of('everything')
    await store.close()
  })
})

describe('embedded', () => {
  it('tells of them as well', async () => {
    const database = new PGlite()
    const store = postgresStore(database)
    const told = new Told(store)
    await everyHint(told, store)
    await store.close()
    await database.close()
  })
})
