import { expect } from 'vitest'
import { fakeClock } from '../clock.ts'
import { DAY, HOUR, MINUTE, meter, on, type StoreCase } from './scene.ts'

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
