import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fakeClock } from '@haldir/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { REMEMBER_MS } from './approvals.ts'
import { sqliteStore } from './sqlite.ts'
import { STATEMENTS } from './sqlite-schema.ts'
import type { Store } from './store.ts'

const DAY = 86_400_000
const clock = fakeClock()
let directory: string
let store: Store
let reader: DatabaseSync

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'haldir-approvals-'))
  store = sqliteStore(join(directory, 'haldir.db'), { clock })
  reader = new DatabaseSync(join(directory, 'haldir.db'))
  const row = { id: 's', tokenHash: 's', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
  await store.session.create({ ...row, ttlMs: 99 * DAY }, [])
})
afterEach(async () => {
  reader.close()
  await store.close?.()
  rmSync(directory, { recursive: true })
})

const count = (table: string) => Number(reader.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.rows)

function ask(id: string, channels: readonly string[] = []) {
  const about = { id, tenant: 't', session: 's', agent: 'a', tool: 'charge', binding: 'b', data: {}, ttlMs: DAY }
  return store.approval.request(about, { session: 9_999, agent: 9_999 }, channels)
}

it('what is looked for while calls run is found by an index, however much is kept', () => {
  const names = Object.keys(STATEMENTS) as (keyof typeof STATEMENTS)[]
  const about = names.filter((name) => / (approvals|deliveries) /.test(STATEMENTS[name]) && !name.startsWith('insert'))
  expect(about.length).toBeGreaterThan(15)
  for (const name of about) {
    const plan = reader.prepare(`EXPLAIN QUERY PLAN ${STATEMENTS[name]}`).all()
    const steps = plan.map(({ detail }) => String(detail))
    // The lists that people look through are sorted, and one of them reads all there is until it has enough.
    const listed = name.startsWith('list')
    if (name === 'listApprovals') expect(steps).toEqual(['SCAN approvals'])
    for (const step of name === 'listApprovals' ? [] : steps) {
      expect([name, step]).toEqual([
        name,
        expect.stringMatching(listed ? /INDEX|TEMP/ : /^SEARCH .* USING|SUBQUERY|BLOOM FILTER/),
      ])
    }
  }
})

it('forgets approvals with their deliveries some at a time, each only once', async () => {
  for (let n = 0; n < 600; n++) {
    await ask(`p${n}`, ['slack', 'web'])
    await store.approval.change(`p${n}`, 1, { state: 'denied' })
  }
  await ask('pending', ['slack'])
  await clock.advance(REMEMBER_MS)
  await store.approval.expire(9)
  expect([count('approvals'), count('deliveries')]).toEqual([601, 1_201])
  await clock.advance(1)
  await store.approval.expire(9)
  const left = count('approvals')
  expect(left).toBeLessThan(601)
  expect(left).toBeGreaterThan(1)
  for (let turn = 0; turn < 4; turn++) await store.approval.expire(9)
  expect([count('approvals'), count('deliveries')]).toEqual([1, 1])
})
