/** Several processes and the approvals of one SQLite file: each is decided once and used once, whoever dies. */
import type { Store } from '@haldir/core'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Program, scratch } from './process.ts'

proves('invariant-8')

const IDS = Array.from({ length: 100 }, (_, n) => `p${n}`)
const HOUR = 3_600_000

/** A store with approvals of one session; they are approved, if they should be. */
async function housed(path: string, approved: boolean, ids = IDS): Promise<Store> {
  const store = sqliteStore(path)
  const row = { id: 's', tokenHash: 's', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [], ttlMs: HOUR }
  await store.session.create(row, [{ key: 'usd', window: 'total', limit: 9_999n }])
  for (const id of ids) {
    const about = { id, tenant: 't', session: 's', agent: 'a', tool: 'charge', binding: id, data: {}, ttlMs: HOUR }
    await store.approval.request(about, { session: 9_999, agent: 9_999 }, ['slack'])
    if (approved) await store.approval.change(id, 1, { state: 'approved' })
  }
  return store
}

/** What each of these programs was the one to do. */
async function race(
  path: string,
  all: readonly { readonly name: string; readonly does: string }[],
): Promise<string[][]> {
  const programs = all.map((one) => new Program('decide', { path, ids: IDS, ...one }))
  try {
    await Promise.all(programs.map((program) => program.said('ready')))
    for (const program of programs) program.tell('go')
    expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual(all.map(() => 0))
    return programs.map(({ lines }) => JSON.parse(lines.at(-1) as string))
  } finally {
    await Promise.all(programs.map((program) => program.kill()))
  }
}

it('of two processes that decide at once exactly one is heard, each time', { timeout: 120_000 }, async () => {
  const folder = scratch()
  try {
    const store = await housed(folder.path('haldir.db'), false)
    const says = ['approved', 'denied'] as const
    const heard = await race(
      folder.path('haldir.db'),
      says.map((does) => ({ name: does, does })),
    )
    expect(heard.flat().sort()).toEqual([...IDS].sort())
    for (const [index, state] of says.entries()) {
      for (const id of heard[index] ?? []) {
        expect(await store.approval.get(id)).toMatchObject({ state, version: 2, data: { by: state } })
      }
    }
    await store.close?.()
  } finally {
    folder.remove()
  }
})

it('of two processes that run calls with one approval exactly one may, each time', { timeout: 120_000 }, async () => {
  const folder = scratch()
  try {
    const store = await housed(folder.path('haldir.db'), true)
    const names = ['a', 'b']
    const ran = await race(
      folder.path('haldir.db'),
      names.map((name) => ({ name, does: 'admit' })),
    )
    expect(ran.flat().sort()).toEqual([...IDS].sort())
    for (const [index, name] of names.entries()) {
      for (const id of ran[index] ?? []) {
        expect(await store.approval.get(id)).toMatchObject({ usedBy: `${name} ${id}` })
        expect(await store.hold.get(`${name} ${id}`)).toMatchObject({ state: 'running' })
      }
    }
    expect(await store.meters.read([{ key: 'usd', window: 'total' }])).toMatchObject([{ held: 100n }])
    await store.close?.()
  } finally {
    folder.remove()
  }
})

it('a process that is killed leaves no approval used without its call, and no call without its approval', {
  timeout: 120_000,
}, async () => {
  const folder = scratch()
  const path = folder.path('haldir.db')
  const ids = Array.from({ length: 2_000 }, (_, n) => `p${n}`)
  const store = await housed(path, true, ids)
  const killed: Program[] = []
  try {
    // Each takes up where the one before it was killed.
    for (const [name, times] of [
      ['a', 1],
      ['b', 100],
      ['c', 400],
    ] as const) {
      const program = new Program('decide', { path, ids, name, does: 'admit' })
      killed.push(program)
      await program.said('ready')
      program.tell('go')
      await program.said('did', times)
      await program.kill()
    }
    let held = 0n
    for (const id of ids) {
      const row = await store.approval.get(id)
      const holds: string[] = []
      for (const name of ['a', 'b', 'c']) if (await store.hold.get(`${name} ${id}`)) holds.push(`${name} ${id}`)
      expect({ id, usedBy: row?.usedBy }).toEqual({ id, usedBy: holds[0] })
      expect(holds.length).toBeLessThanOrEqual(1)
      held += BigInt(holds.length)
    }
    expect(held).toBeGreaterThanOrEqual(400n)
    expect(await store.meters.read([{ key: 'usd', window: 'total' }])).toMatchObject([{ held }])
  } finally {
    await Promise.all(killed.map((program) => program.kill()))
    await store.close?.()
    folder.remove()
  }
})
