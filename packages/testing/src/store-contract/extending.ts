import { expect } from 'vitest'
import { DAY, HOUR, MINUTE, type StoreCase } from './scene.ts'

export const EXTENDING: readonly StoreCase[] = [
  {
    title: 'extending moves the end of a session to that long from now, for all that ask',
    async run(scene) {
      const row = await scene.session({ ttlMs: HOUR })
      await scene.clock.advance(30 * MINUTE)
      const later = { ...row, expiresAt: scene.clock.now() + HOUR }
      expect(await scene.store.session.extend('s', HOUR)).toEqual(later)
      expect(await scene.store.session.get({ id: 's' })).toEqual(later)
      expect(await scene.store.session.get({ tokenHash: 'hash of s' })).toEqual(later)
      expect(row.expiresAt).toBe(row.createdAt + HOUR)
      await scene.clock.advance(HOUR - 1)
      await scene.expectAdmitted('c', [])
      await scene.clock.advance(1)
      await scene.expectRefused('d', [], 'session-expired')
    },
  },
  {
    title: 'extending never shortens a session',
    async run(scene) {
      const row = await scene.session({ ttlMs: HOUR })
      for (const ttlMs of [HOUR, MINUTE, 0, -HOUR]) expect(await scene.store.session.extend('s', ttlMs)).toEqual(row)
      expect(await scene.store.session.get({ id: 's' })).toEqual(row)
    },
  },
  {
    title: 'a session that has ended or was revoked stays over',
    async run(scene) {
      const ended = await scene.session({ id: 'ended', ttlMs: MINUTE })
      await scene.session({ id: 'revoked' })
      await scene.store.session.revokeTree('revoked')
      const revoked = await scene.store.session.get({ id: 'revoked' })
      await scene.clock.advance(MINUTE)
      expect(await scene.store.session.extend('ended', DAY)).toEqual(ended)
      expect(await scene.store.session.extend('revoked', DAY)).toEqual(revoked)
      for (const [session, refused] of [
        ['ended', 'session-expired'],
        ['revoked', 'session-revoked'],
      ] as const) {
        expect(await scene.admit(`c ${session}`, [], { session })).toEqual({ ok: false, refused })
      }
    },
  },
  {
    title: 'extending a session that is not known answers nothing and makes nothing',
    async run(scene) {
      expect(await scene.store.session.extend('nobody', HOUR)).toBeUndefined()
      expect(await scene.store.session.get({ id: 'nobody' })).toBeUndefined()
    },
  },
  {
    title: 'a session is extended no further than the first end among those it was made from',
    async run(scene) {
      const start = scene.clock.now()
      await scene.session({ id: 'root', ttlMs: 3 * HOUR })
      await scene.session({ id: 'child', chain: ['root'], ttlMs: 2 * HOUR })
      await scene.session({ id: 'grandchild', chain: ['root', 'child'], ttlMs: HOUR })
      expect(await scene.store.session.extend('grandchild', DAY)).toMatchObject({ expiresAt: start + 2 * HOUR })
      expect(await scene.store.session.extend('child', DAY)).toMatchObject({ expiresAt: start + 3 * HOUR })
      expect(await scene.store.session.extend('root', DAY)).toMatchObject({ expiresAt: start + DAY })
      // Who was made from it does not follow by itself.
      expect(await scene.store.session.get({ id: 'child' })).toMatchObject({ expiresAt: start + 3 * HOUR })
      expect(await scene.store.session.extend('grandchild', DAY)).toMatchObject({ expiresAt: start + 3 * HOUR })
    },
  },
  {
    title: 'a session whose ancestor was revoked can not be extended',
    async run(scene) {
      await scene.session({ id: 'root' })
      const { expiresAt } = await scene.session({ id: 'child', chain: ['root'], ttlMs: MINUTE })
      await scene.store.session.revokeTree('root')
      expect(await scene.store.session.extend('child', HOUR)).toMatchObject({ expiresAt, revokedAt: scene.clock.now() })
    },
  },
  {
    title: 'a wall clock set back does not make an extension longer',
    async run(scene) {
      const row = await scene.session({ ttlMs: HOUR })
      scene.clock.setWall(scene.clock.now() - 2 * HOUR)
      expect(await scene.store.session.extend('s', 2 * HOUR)).toMatchObject({ expiresAt: row.createdAt + 2 * HOUR })
    },
  },
]
