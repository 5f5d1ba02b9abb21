import { expect } from 'vitest'
import { HOUR, MINUTE, meter, on, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)

export const SESSIONS: readonly StoreCase[] = [
  {
    title: 'a new session is answered with its times by the clock of the store, and found by id and by token',
    async run({ store, clock }) {
      const row = {
        id: 's',
        tokenHash: 'ab12',
        tenant: 'acme',
        agent: 'bot',
        scopes: ['read', 'spend:50'],
        attributes: { order: { id: 7, tags: ['x'] } },
        chain: [],
      }
      const made = await store.session.create({ ...row, ttlMs: HOUR }, [usd])
      expect(made).toEqual({ ...row, createdAt: clock.now(), expiresAt: clock.now() + HOUR })
      expect(await store.session.get({ id: 's' })).toEqual(made)
      expect(await store.session.get({ tokenHash: 'ab12' })).toEqual(made)
      expect(await store.session.get({ id: 'ab12' })).toBeUndefined()
      expect(await store.session.get({ tokenHash: 's' })).toBeUndefined()
    },
  },
  {
    title: 'a taken id is refused and leaves the session that has it as it was',
    async run(scene) {
      const first = await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 20n)])
      await expect(async () => scene.session({ ttlMs: 99 * HOUR, meters: [meter('more', 9n)] })).rejects.toThrow()
      expect(await scene.store.session.get({ id: 's' })).toEqual(first)
      expect(await scene.store.meters.read([{ key: 'more', window: 'total' }])).toEqual([undefined])
      await scene.expectMeter(usd, 0n, 20n)
    },
  },
  {
    title: 'a taken token is refused, and so is the key of a meter that is taken',
    async run(scene) {
      await scene.session({ meters: [usd] })
      const other = { id: 'o', tokenHash: 'o', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
      await expect(async () =>
        scene.store.session.create({ ...other, tokenHash: 'hash of s', ttlMs: HOUR }, []),
      ).rejects.toThrow()
      await scene.expectAdmitted('c', [on(usd, 20n)])
      await expect(async () => scene.store.session.create({ ...other, ttlMs: HOUR }, [usd])).rejects.toThrow()
      expect(await scene.store.session.get({ id: 'o' })).toBeUndefined()
      await scene.expectMeter(usd, 0n, 20n)
    },
  },
  {
    title: 'a session that is not known admits nothing, also without a charge',
    async run(scene) {
      await scene.expectRefused('c', [], 'no-session')
      await scene.expectRefused('d', [on(usd, 1n)], 'no-session')
    },
  },
  {
    title: 'a session admits up to its last millisecond and nothing from then on',
    async run(scene) {
      await scene.session({ ttlMs: HOUR, meters: [usd] })
      await scene.clock.advance(HOUR - 1)
      await scene.expectAdmitted('c', [on(usd, 1n)])
      await scene.clock.advance(1)
      await scene.expectRefused('d', [on(usd, 1n)], 'session-expired')
      await scene.expectRefused('e', [], 'session-expired')
      await scene.expectMeter(usd, 0n, 1n)
    },
  },
  {
    title: 'a wall clock set back does not extend a session',
    async run(scene) {
      await scene.session({ ttlMs: HOUR })
      await scene.clock.advance(30 * MINUTE)
      await scene.expectAdmitted('c', [])
      scene.clock.setWall(scene.clock.now() - 2 * HOUR)
      await scene.clock.advance(30 * MINUTE - 1)
      await scene.expectAdmitted('d', [])
      await scene.clock.advance(1)
      await scene.expectRefused('e', [], 'session-expired')
    },
  },
  {
    title: 'a wall clock set back does not help a session made after that either',
    async run(scene) {
      await scene.session({ id: 'old' })
      const before = scene.clock.now()
      scene.clock.setWall(before - 2 * HOUR)
      expect(await scene.session({ ttlMs: HOUR })).toMatchObject({ createdAt: before, expiresAt: before + HOUR })
    },
  },
  {
    title: 'a revoked session admits nothing, and says since when it is revoked',
    async run(scene) {
      const row = await scene.session({ meters: [usd] })
      await scene.clock.advance(5)
      expect(await scene.store.session.revokeTree('s')).toEqual(['s'])
      await scene.expectRefused('c', [on(usd, 1n)], 'session-revoked')
      await scene.expectRefused('d', [], 'session-revoked')
      expect(await scene.store.session.get({ id: 's' })).toEqual({ ...row, revokedAt: row.createdAt + 5 })
      expect(row).not.toHaveProperty('revokedAt')
    },
  },
  {
    title: 'revoking reaches every descendant, names what it ended, and spares the others',
    async run(scene) {
      await scene.session({ id: 'root' })
      await scene.session({ id: 'child', chain: ['root'] })
      await scene.session({ id: 'grandchild', chain: ['root', 'child'] })
      await scene.session({ id: 'sibling', chain: ['root'] })
      await scene.session({ id: 'stranger' })
      expect([...(await scene.store.session.revokeTree('child'))].sort()).toEqual(['child', 'grandchild'])
      expect([...(await scene.store.session.revokeTree('root'))].sort()).toEqual(['root', 'sibling'])
      for (const session of ['root', 'child', 'grandchild', 'sibling']) {
        expect(await scene.admit(`c-${session}`, [], { session })).toEqual({ ok: false, refused: 'session-revoked' })
      }
      await scene.expectAdmitted('c', [], { session: 'stranger' })
    },
  },
  {
    title: 'revoking once more, or what is not known, ends nothing',
    async run(scene) {
      await scene.session()
      await scene.store.session.revokeTree('s')
      expect(await scene.store.session.revokeTree('s')).toEqual([])
      expect(await scene.store.session.revokeTree('nobody')).toEqual([])
    },
  },
  {
    title: 'a session made from a revoked one, however late, admits nothing',
    async run(scene) {
      await scene.session({ id: 'root' })
      await scene.session({ id: 'child', chain: ['root'] })
      await scene.store.session.revokeTree('root')
      const made = await scene.session({ id: 'late', chain: ['root', 'child'] })
      expect(made.revokedAt).toBeDefined()
      expect(await scene.admit('c', [], { session: 'late' })).toEqual({ ok: false, refused: 'session-revoked' })
    },
  },
  {
    title: 'a session ends no later than the ones it was made from',
    async run(scene) {
      await scene.session({ id: 'root', ttlMs: HOUR })
      await scene.session({ id: 'child', chain: ['root'], ttlMs: 10 * MINUTE })
      const made = await scene.session({ id: 'grandchild', chain: ['root', 'child'], ttlMs: 9 * HOUR })
      expect(made.expiresAt).toBe(scene.clock.now() + 10 * MINUTE)
      await scene.clock.advance(10 * MINUTE)
      const admission = await scene.admit('c', [], { session: 'grandchild' })
      expect(admission).toEqual({ ok: false, refused: 'session-expired' })
    },
  },
  {
    title: 'a session made from one that is not known is refused',
    async run(scene) {
      await expect(async () => scene.session({ chain: ['nobody'] })).rejects.toThrow()
      expect(await scene.store.session.get({ id: 's' })).toBeUndefined()
    },
  },
  {
    title: 'what was admitted before the end of its session can still be settled',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 20n)])
      await scene.expectAdmitted('d', [on(usd, 20n)])
      await scene.store.session.revokeTree('s')
      await scene.clock.advance(2 * HOUR)
      expect(await scene.settle('c', [on(usd, 15n)])).toEqual({ state: 'settled', overrun: false })
      expect(await scene.cancel('d')).toEqual({ state: 'released', overrun: false })
      await scene.expectMeter(usd, 15n, 0n)
    },
  },
  {
    title: 'what was reserved before its session ended is not admitted after',
    async run(scene) {
      await scene.session({ meters: [usd] })
      expect(await scene.reserve('c', [on(usd, 20n)])).toMatchObject({ ok: true })
      await scene.store.session.revokeTree('s')
      await scene.expectRefused('c', [on(usd, 20n)], 'session-revoked')
    },
  },
]
