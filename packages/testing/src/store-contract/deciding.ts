import { expect } from 'vitest'
import { ask, decided, request } from './asking.ts'
import { HOUR, MINUTE, type Scene, type StoreCase } from './scene.ts'

/** Asserts that nothing of an approval was changed. */
async function expectUnchanged(scene: Scene, change: Parameters<Scene['store']['approval']['change']>): Promise<void> {
  const before = await scene.store.approval.get(change[0])
  expect(await scene.store.approval.change(...change)).toBeUndefined()
  expect(await scene.store.approval.get(change[0])).toEqual(before)
}

export const DECIDING: readonly StoreCase[] = [
  {
    title: 'of many who decide at once one is heard, and what he said stays',
    async run(scene) {
      await scene.session()
      await ask(scene)
      await scene.clock.advance(MINUTE)
      const says = Array.from({ length: 20 }, async (_, index) =>
        scene.store.approval.change('p', 1, { state: index % 2 ? 'approved' : 'denied', data: { by: index } }),
      )
      const heard = (await Promise.all(says)).filter((row) => row !== undefined)
      expect(heard).toHaveLength(1)
      expect(heard).toMatchObject([{ version: 2, decidedAt: scene.clock.now() }])
      expect(await scene.store.approval.get('p')).toEqual(heard[0])
      for (const version of [1, 2, 3]) {
        await expectUnchanged(scene, ['p', version, { state: 'denied' }])
        await expectUnchanged(scene, ['p', version, { state: 'withdrawn' }])
        await expectUnchanged(scene, ['p', version, { data: {} }])
      }
    },
  },
  {
    title: 'a vote leaves it pending, and of votes given at once none is lost',
    async run(scene) {
      await scene.session()
      await ask(scene, { data: { votes: [] } })
      async function vote(by: number): Promise<void> {
        const row = await scene.store.approval.get('p')
        const votes = [...((row?.data.votes as number[]) ?? []), by]
        if (!(await scene.store.approval.change('p', row?.version ?? 0, { data: { votes } }))) await vote(by)
      }
      await Promise.all(Array.from({ length: 10 }, (_, by) => vote(by)))
      const row = await scene.store.approval.get('p')
      expect(row).toMatchObject({ version: 11, state: 'pending' })
      expect(row).not.toHaveProperty('decidedAt')
      expect(new Set(row?.data.votes as number[]).size).toBe(10)
    },
  },
  {
    title: 'a change changes what it names, and nothing else',
    async run(scene) {
      await scene.session()
      const row = await ask(scene, { grant: { binding: 'g' }, ref: 'r', data: { a: 1, b: 2 } })
      await scene.clock.advance(MINUTE)
      const now = scene.clock.now()
      const { change } = scene.store.approval
      expect(await change('p', 1, { binding: 'edited' })).toEqual({ ...row, version: 2, binding: 'edited' })
      expect(await change('p', 2, { data: { c: 3 } })).toEqual({
        ...row,
        version: 3,
        binding: 'edited',
        data: { c: 3 },
      })
      const approved = { version: 4, state: 'approved', decidedAt: now, grant: { binding: 'g', until: now + HOUR } }
      const after = { ...row, binding: 'edited', data: { c: 3 }, ...approved }
      expect(await change('p', 3, { state: 'approved', grantMs: HOUR })).toEqual(after)
      expect(await scene.store.approval.get('p')).toEqual(after)
      expect(await change('nobody', 1, { state: 'approved' })).toBeUndefined()
    },
  },
  {
    title: 'no grant is given that was not asked for',
    async run(scene) {
      await scene.session()
      const row = await decided(scene, { state: 'approved', grantMs: HOUR })
      expect(row).not.toHaveProperty('grant')
    },
  },
  {
    title: 'nobody decides from its end on, to the millisecond: then it can only be ended, and not before as expired',
    async run(scene) {
      await scene.session()
      for (const id of ['p', 'q', 'r']) await ask(scene, { id })
      await expectUnchanged(scene, ['p', 1, { state: 'expired' }])
      await scene.clock.advance(5 * MINUTE - 1)
      await expectUnchanged(scene, ['p', 1, { state: 'expired' }])
      expect(await scene.store.approval.change('r', 1, { state: 'approved' })).toMatchObject({ state: 'approved' })
      await scene.clock.advance(1)
      for (const state of ['approved', 'denied'] as const) await expectUnchanged(scene, ['p', 1, { state }])
      await expectUnchanged(scene, ['p', 1, { data: { votes: 1 } }])
      expect(await scene.store.approval.change('p', 1, { state: 'expired' })).toMatchObject({
        state: 'expired',
        version: 2,
        decidedAt: scene.clock.now(),
      })
      expect(await scene.store.approval.change('q', 1, { state: 'withdrawn' })).toMatchObject({ state: 'withdrawn' })
    },
  },
  {
    title: 'a wall clock set back does not lengthen an approval',
    async run(scene) {
      await scene.session()
      await ask(scene)
      scene.clock.setWall(scene.clock.now() - 2 * HOUR)
      await scene.clock.advance(5 * MINUTE)
      await expectUnchanged(scene, ['p', 1, { state: 'approved' }])
      expect(await scene.store.approval.expire(9)).toMatchObject([{ id: 'p' }])
    },
  },
  {
    title: 'what was answered stays as it was, and nobody changes what is kept through it',
    async run(scene) {
      await scene.session()
      const data = { args: { to: ['ann'] } }
      const first = await ask(scene, { data, grant: { binding: 'g' } })
      data.args.to.push('bob')
      const { change, get } = scene.store.approval
      const voted = { votes: ['ann'] }
      const second = await change('p', 1, { data: voted, grantMs: HOUR })
      voted.votes.push('bob')
      const answered = second?.data.votes as string[]
      answered.push('eve')
      await change('p', 2, { state: 'approved' })
      await scene.store.approval.use('p', 'c')
      expect(first).toMatchObject({ version: 1, state: 'pending', data: { args: { to: ['ann'] } } })
      expect(first.grant).toEqual({ binding: 'g' })
      expect(second).toMatchObject({ version: 2, state: 'pending' })
      expect(second).not.toHaveProperty('usedBy')
      expect(await get('p')).toMatchObject({ data: { votes: ['ann'] } })
    },
  },
  {
    title: 'a change that can not be written, since it is no JSON, throws and is no change at all',
    async run(scene) {
      await scene.session()
      const row = await ask(scene, { channels: ['c'] })
      const { change, get, shown, due, note } = scene.store.approval
      await shown('p', 'c', 1)
      const amount = { amount: 1n }
      await expect((async () => request(scene, { id: 'q', data: amount }))()).rejects.toThrow()
      await expect((async () => change('p', 1, { state: 'approved', data: amount }))()).rejects.toThrow()
      await expect((async () => shown('p', 'c', 0, amount))()).rejects.toThrow()
      expect(await scene.store.approval.list({ limit: 9 })).toEqual([row])
      expect(await get('p')).toEqual(row)
      expect(await note('p', 'c')).toBeUndefined()
      expect(await due(['c'], 9, MINUTE)).toEqual([])
      expect(await change('p', 1, { state: 'denied' })).toMatchObject({ version: 2 })
    },
  },
  {
    title: 'a decided approval is used by one call, once; a pending one by none',
    async run(scene) {
      await scene.session()
      await ask(scene)
      const { use, change, get } = scene.store.approval
      expect(await use('p', 'c')).toBe(false)
      expect(await use('nobody', 'c')).toBe(false)
      await change('p', 1, { state: 'denied' })
      await scene.clock.advance(MINUTE)
      const uses = await Promise.all(Array.from({ length: 20 }, async (_, index) => use('p', `c${index}`)))
      expect(uses.filter((used) => used)).toHaveLength(1)
      expect(await get('p')).toMatchObject({ usedBy: `c${uses.indexOf(true)}`, usedAt: scene.clock.now() })
      expect(await get('p')).toMatchObject({ state: 'denied', version: 2 })
    },
  },
]
