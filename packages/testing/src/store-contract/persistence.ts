import { expect } from 'vitest'
import { fakeClock } from '../clock.ts'
import { ask, decided, expectDue, request } from './asking.ts'
import { DAY, HOUR, MINUTE, meter, newSession, on, onStanding, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)

export const PERSISTENCE: readonly StoreCase[] = [
  {
    title: 'sessions, meters, holds, tombstones, secrets and writers are there when the store is opened again',
    async run(scene) {
      const row = await scene.session({ meters: [usd] })
      await scene.expectAdmitted('running', [on(usd, 10n)])
      await scene.expectAdmitted('settled', [on(usd, 5n)])
      await scene.settle('settled')
      await scene.cancel('cancelled')
      const secret = {
        tenant: 't',
        name: 'key',
        version: 1,
        keyId: 'k',
        scope: 'read',
        tools: [],
        hosts: [],
        wrapped: 'w',
        sealed: 's',
      }
      await scene.store.secret.put(secret)
      const writer = { id: 'w', genesis: 'g', entries: 3, head: 'h', closed: false }
      await scene.store.writer.put(writer)

      const again = await scene.reopened(fakeClock(scene.clock.now()))
      expect(await again.store.session.get({ id: 's' })).toEqual(row)
      await again.expectMeter(usd, 5n, 10n)
      await again.expectRefused('cancelled', [on(usd, 1n)], 'unavailable')
      await again.expectRefused('settled', [on(usd, 1n)], 'unavailable')
      expect(await again.settle('running', [on(usd, 7n)])).toEqual({ state: 'settled', overrun: false })
      await again.expectMeter(usd, 12n, 0n)
      expect(await again.store.secret.get('t', 'key')).toEqual(secret)
      expect(await again.store.writer.list()).toEqual([writer])
    },
  },
  {
    title: 'a revoked session is still revoked when the store is opened again',
    async run(scene) {
      await scene.session()
      await scene.store.session.revokeTree('s')
      const again = await scene.reopened(fakeClock(scene.clock.now()))
      await again.expectRefused('c', [], 'session-revoked')
    },
  },
  {
    title: 'a store that is opened again with its clock set back by two hours does not extend a session',
    async run(scene) {
      await scene.session({ ttlMs: HOUR })
      await scene.clock.advance(30 * MINUTE)
      await scene.expectAdmitted('c', [])
      const again = await scene.reopened(fakeClock(scene.clock.now() - 2 * HOUR))
      // What the store did not write down of the time that passed may come back: at most a second.
      await again.clock.advance(29 * MINUTE)
      await again.expectAdmitted('d', [])
      await again.clock.advance(MINUTE + 1_000)
      await again.expectRefused('e', [], 'session-expired')
    },
  },
  {
    title: 'a store that is opened again with its clock set back does not refill a window',
    async run(scene) {
      const daily = meter('daily', 10n, 'day')
      await scene.session({ ttlMs: 9 * DAY, meters: [daily] })
      await scene.clock.advance(DAY + HOUR)
      await scene.expectAdmitted('c', [on(daily, 10n)])
      const again = await scene.reopened(fakeClock(scene.clock.now() - 2 * HOUR))
      await again.expectRefused('d', [on(daily, 1n)], 'budget-exceeded', daily)
    },
  },
  {
    title: 'standing meters, rates, `once` keys, memos and extensions are there when the store is opened again',
    async run(scene) {
      const daily = { key: 't|day', window: 'day', zone: 'Asia/Tokyo', limit: 9n } as const
      const rate = { key: 't|rate', window: 'total', rate: { limit: 10n, periodMs: MINUTE, burst: 4n } } as const
      await scene.session()
      await scene.store.session.extend('s', DAY)
      await scene.reserve('c', [onStanding(daily, 5n), onStanding(rate, 4n)], { once: 'k', memo: 'two pens' })
      const again = await scene.reopened(fakeClock(scene.clock.now() + 6_000))
      await again.expectStanding(daily, 0n, 5n)
      await again.expectStanding(rate, 3n)
      await again.expectRefused('d', [onStanding(daily, 5n)], 'budget-exceeded', daily)
      expect(await again.admit('d', [], { once: 'k' })).toEqual({ ok: false, refused: 'duplicate-call' })
      expect(await again.store.hold.get('c')).toEqual({ session: 's', state: 'reserved', memo: 'two pens' })
      expect(await again.store.session.get({ id: 's' })).toMatchObject({ expiresAt: scene.clock.now() + DAY })
      await again.expectAdmitted('c', [])
      await again.settle('c')
      expect(await scene.admit('d', [], { once: 'k' })).toEqual({ ok: false, refused: 'duplicate-call' })
    },
  },
  {
    title: 'a store that only refused anything keeps the time that passed',
    async run(scene) {
      await scene.session({ ttlMs: HOUR })
      await scene.clock.advance(30 * MINUTE)
      await scene.expectRefused('c', [on(usd, 1n)], 'unavailable', usd)
      const again = await scene.reopened(fakeClock(scene.clock.now() - 2 * HOUR))
      await again.clock.advance(30 * MINUTE + 1_000)
      await again.expectRefused('d', [], 'session-expired')
    },
  },
  {
    title: 'approvals, what was said of them and what channels noted are there when the store is opened again',
    async run(scene) {
      await scene.session({ ttlMs: DAY })
      const channels = ['slack', 'web']
      const asked = { ref: 'r', grant: { binding: 'g' }, data: { args: ['x'] }, channels }
      const approved = await decided(scene, { state: 'approved', grantMs: HOUR }, asked)
      await scene.expectAdmitted('c', [], { consent: { id: 'p', binding: 'b' } })
      const pending = await ask(scene, { id: 'q', channels })
      await scene.store.approval.due(['slack'], 9, MINUTE)
      await scene.store.approval.shown('q', 'slack', 1, { ts: '1.2' })
      const again = await scene.reopened(fakeClock(scene.clock.now()))
      const usedAt = scene.clock.now()
      expect(await again.store.approval.get('p')).toEqual({ ...approved, usedBy: 'c', usedAt })
      expect(await again.store.approval.get('q')).toEqual(pending)
      expect(await again.store.approval.note('q', 'slack')).toEqual({ ts: '1.2' })
      await expectDue(again, channels, ['p→web', 'q→web'])
      expect(await again.admit('d', [], { consent: { id: 'p', binding: 'b' } })).toMatchObject({
        refused: 'approval-used',
      })
      await again.expectAdmitted('d', [], { consent: { id: 'p', binding: 'g', grant: true } })
      await again.clock.advance(5 * MINUTE)
      expect(await again.store.approval.expire(9)).toMatchObject([{ id: 'q', data: {} }])
    },
  },
  {
    title: 'a store that is opened again with its clock set back does not extend an approval',
    async run(scene) {
      await scene.session({ ttlMs: DAY })
      await ask(scene, { ttlMs: 10 * MINUTE })
      await scene.clock.advance(9 * MINUTE)
      await scene.expectAdmitted('c', [])
      const again = await scene.reopened(fakeClock(scene.clock.now() - 2 * HOUR))
      await again.clock.advance(MINUTE + 1_000)
      expect(await again.store.approval.change('p', 1, { state: 'approved' })).toBeUndefined()
    },
  },
  {
    title: 'two processes on one store decide once, use once, ask no more than the limit, and tell a channel once',
    async run(scene) {
      await scene.session()
      const other = await scene.reopened(scene.clock)
      const limits = { session: 1, agent: 9 }
      await ask(scene, { limits, channels: ['slack'] })
      expect(await request(other, { id: 'q', limits })).toMatchObject({ refused: 'too-many', per: 'session' })
      await expectDue(other, ['slack'], ['p→slack'])
      await expectDue(scene, ['slack'], [])
      const row = await other.store.approval.change('p', 1, { state: 'approved' })
      expect(await scene.store.approval.change('p', 1, { state: 'denied' })).toBeUndefined()
      expect(await scene.store.approval.get('p')).toEqual(row)
      const consent = { id: 'p', binding: 'b' }
      await scene.expectAdmitted('c', [], { consent })
      expect(await other.admit('d', [], { consent })).toEqual({ ok: false, refused: 'approval-used' })
      expect(await other.store.approval.use('p', 'd')).toBe(false)
      await expectDue(scene, ['slack'], ['p→slack'])
      await expectDue(other, ['slack'], [])
    },
  },
  {
    title: 'two processes on one store share caps, rates and `once` keys',
    async run(scene) {
      const rate = { key: 't|rate', window: 'total', rate: { limit: 10n, periodMs: MINUTE, burst: 4n } } as const
      const caps = [{ count: 'sessions', per: 'tenant', limit: 2 }] as const
      const other = await scene.reopened(scene.clock)
      await scene.session()
      await other.session({ id: 'o' })
      for (const each of [scene, other]) {
        const made = await each.store.session.create(newSession({ id: 'x' }), [], caps)
        expect(made).toEqual({ refused: 'quota-exceeded', cap: caps[0] })
      }
      await scene.expectAdmitted('a', [onStanding(rate, 2n)], { once: 'k' })
      await other.expectAdmitted('b', [onStanding(rate, 2n)])
      expect(await other.admit('d', [], { once: 'k' })).toEqual({ ok: false, refused: 'duplicate-call' })
      expect(await other.admit('e', [onStanding(rate, 1n)])).toMatchObject({ refused: 'rate-exceeded', retryMs: 6_000 })
      expect(await scene.admit('e', [onStanding(rate, 1n)])).toMatchObject({ refused: 'rate-exceeded', retryMs: 6_000 })
    },
  },
  {
    title: 'two processes on one store share one budget',
    async run(scene) {
      await scene.session({ meters: [usd] })
      const other = await scene.reopened(scene.clock)
      for (let call = 0; call < 25; call++) {
        await scene.expectAdmitted(`a${call}`, [on(usd, 1n)])
        await other.expectAdmitted(`b${call}`, [on(usd, 1n)])
      }
      await scene.expectRefused('a', [on(usd, 1n)], 'budget-exceeded', usd)
      await other.expectRefused('b', [on(usd, 1n)], 'budget-exceeded', usd)
      await other.store.session.revokeTree('s')
      await scene.expectRefused('c', [], 'session-revoked')
    },
  },
]
