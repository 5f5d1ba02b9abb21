import { expect } from 'vitest'
import { ask, request } from './asking.ts'
import { HOUR, MINUTE, type StoreCase } from './scene.ts'

const TOO_MANY = { ok: false, refused: 'too-many' }

export const REQUESTING: readonly StoreCase[] = [
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
]
