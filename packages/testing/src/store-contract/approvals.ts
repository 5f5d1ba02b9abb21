import { expect } from 'vitest'
import { ask, decided, request } from './asking.ts'
import { HOUR, MINUTE, type Scene, type StoreCase } from './scene.ts'

const TOO_MANY = { ok: false, refused: 'too-many' }

/** Asserts that nothing of an approval was changed. */
async function expectUnchanged(scene: Scene, change: Parameters<Scene['store']['approval']['change']>): Promise<void> {
  const before = await scene.store.approval.get(change[0])
  expect(await scene.store.approval.change(...change)).toBeUndefined()
  expect(await scene.store.approval.get(change[0])).toEqual(before)
}

export const APPROVALS: readonly StoreCase[] = [
  {
    title: 'an approval is pending as it was asked for, and is read by its id',
    async run(scene) {
      await scene.session()
      const data = { args: { to: ['ann', null], sum: 1.5 }, reason: 'a large "sum"', ok: true }
      const row = await ask(scene, { ref: 'r', grant: { binding: 'g' }, data })
      const now = scene.clock.now()
      expect(row).toEqual({
        id: 'p',
        version: 1,
        state: 'pending',
        tenant: 't',
        session: 's',
        agent: 'a',
        tool: 'charge',
        ref: 'r',
        binding: 'b',
        grant: { binding: 'g' },
        createdAt: now,
        expiresAt: now + 5 * MINUTE,
        data,
      })
      expect(await scene.store.approval.get('p')).toEqual(row)
      expect(await scene.store.approval.get('q')).toBeUndefined()
    },
  },
  {
    title: 'an approval ends no later than its session',
    async run(scene) {
      await scene.session({ id: 'parent', ttlMs: 10 * MINUTE })
      await scene.session({ chain: ['parent'], ttlMs: HOUR })
      const now = scene.clock.now()
      expect(await ask(scene, { ttlMs: 10 * MINUTE - 1 })).toMatchObject({ expiresAt: now + 10 * MINUTE - 1 })
      expect(await ask(scene, { id: 'q', ttlMs: HOUR })).toMatchObject({ expiresAt: now + 10 * MINUTE })
    },
  },
  {
    title: 'nothing is asked for a session that is over, or not known',
    async run(scene) {
      await scene.session({ ttlMs: HOUR })
      await scene.session({ id: 'gone' })
      await scene.store.session.revokeTree('gone')
      expect(await request(scene, { session: 'gone' })).toEqual({ ok: false, refused: 'session-revoked' })
      expect(await request(scene, { session: 'nobody' })).toEqual({ ok: false, refused: 'no-session' })
      await scene.clock.advance(HOUR - 1)
      await ask(scene)
      await scene.clock.advance(1)
      expect(await request(scene, { id: 'q' })).toEqual({ ok: false, refused: 'session-expired' })
      expect(await scene.store.approval.list({ limit: 9 })).toHaveLength(1)
    },
  },
  {
    title: 'the same id again is the same approval, however it stands by then',
    async run(scene) {
      await scene.session()
      const limits = { session: 1, agent: 1 }
      const first = await ask(scene, { limits, channels: ['c'] })
      await scene.clock.advance(MINUTE)
      expect(await ask(scene, { limits, channels: ['c'] })).toEqual(first)
      const denied = await scene.store.approval.change('p', 1, { state: 'denied' })
      expect(await ask(scene, { limits, binding: 'other', ttlMs: HOUR })).toEqual(denied)
      expect(await scene.store.approval.list({ limit: 9 })).toEqual([denied])
    },
  },
  {
    title: 'an id that another session has is nobody else’s: asking for it throws, and changes nothing',
    async run(scene) {
      await scene.session()
      await scene.session({ id: 'o' })
      const row = await ask(scene)
      await expect((async () => request(scene, { session: 'o' }))()).rejects.toThrow()
      await expect((async () => request(scene, { tool: 'erase' }))()).rejects.toThrow()
      expect(await scene.store.approval.list({ limit: 9 })).toEqual([row])
    },
  },
  {
    title: 'as many may be pending as the limit of the session says; those that are decided or over do not count',
    async run(scene) {
      await scene.session()
      await scene.session({ id: 'o' })
      const limits = { session: 2, agent: 9 }
      await ask(scene, { id: '1', limits, ttlMs: MINUTE })
      await ask(scene, { id: '2', limits })
      expect(await request(scene, { id: '3', limits })).toEqual({ ...TOO_MANY, per: 'session' })
      await ask(scene, { id: '4', session: 'o', limits })
      await scene.clock.advance(MINUTE - 1)
      expect(await request(scene, { id: '3', limits })).toEqual({ ...TOO_MANY, per: 'session' })
      await scene.clock.advance(1)
      await ask(scene, { id: '3', limits })
      expect(await request(scene, { id: '5', limits })).toEqual({ ...TOO_MANY, per: 'session' })
      await scene.store.approval.change('2', 1, { data: { votes: 1 } })
      expect(await request(scene, { id: '5', limits })).toEqual({ ...TOO_MANY, per: 'session' })
      await scene.store.approval.change('2', 2, { state: 'approved' })
      await ask(scene, { id: '5', limits })
      expect(await scene.store.approval.list({ limit: 9 })).toHaveLength(5)
    },
  },
  {
    title: 'as many may be pending as the limit of the agent says, in all its sessions of one tenant',
    async run(scene) {
      await scene.session()
      await scene.session({ id: 'o' })
      const limits = { session: 9, agent: 2 }
      await ask(scene, { id: '1', limits })
      await ask(scene, { id: '2', session: 'o', limits })
      for (const session of ['s', 'o']) {
        expect(await request(scene, { id: '3', session, limits })).toEqual({ ...TOO_MANY, per: 'agent' })
      }
      await ask(scene, { id: '4', agent: 'other', limits })
      await ask(scene, { id: '5', tenant: 'other', limits })
      await scene.store.approval.change('2', 1, { state: 'withdrawn' })
      await ask(scene, { id: '3', limits })
    },
  },
  {
    title: 'of a hundred asked for at once exactly as many are made as the limit says',
    async run(scene) {
      await scene.session()
      const limits = { session: 5, agent: 20 }
      const asked = Array.from({ length: 100 }, (_, index) => request(scene, { id: `p${index}`, limits }))
      const answers = await Promise.all(asked)
      expect(answers.filter(({ ok }) => ok)).toHaveLength(5)
      expect(await scene.store.approval.list({ limit: 100 })).toHaveLength(5)
    },
  },
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
