import { expect } from 'vitest'
import { bare, DAY, HOUR, MINUTE, meter, type NewMeter, on, type Scene, type StoreCase } from './scene.ts'

const TTL = 400 * DAY

/** Uses a meter up one moment before its window ends, and again in the next. */
async function expectFresh(scene: Scene, window: NewMeter['window'], lastMoment: number): Promise<void> {
  const limited = meter(`per ${window}`, 10n, window)
  await scene.session({ ttlMs: TTL, meters: [limited] })
  await scene.clock.advance(lastMoment - scene.clock.now())
  await scene.expectAdmitted('c', [on(limited, 10n)])
  await scene.settle('c')
  await scene.expectRefused('d', [on(limited, 1n)], 'budget-exceeded', limited)
  await scene.clock.advance(1)
  expect(await scene.store.meters.read([bare(limited)])).toEqual([{ limit: 10n, used: 0n, held: 0n }])
  await scene.expectAdmitted('d', [on(limited, 10n)])
  await scene.expectRefused('e', [on(limited, 1n)], 'budget-exceeded', limited)
}

export const WINDOWS: readonly StoreCase[] = [
  {
    title: 'an hour begins anew on the hour',
    run: (scene) => expectFresh(scene, 'hour', Date.UTC(2026, 0, 1, 8) - 1),
  },
  {
    title: 'a day begins anew at midnight UTC',
    run: (scene) => expectFresh(scene, 'day', Date.UTC(2026, 2, 29) - 1),
  },
  {
    title: 'a week begins anew on Monday',
    run: (scene) => expectFresh(scene, 'week', Date.UTC(2026, 0, 5) - 1),
  },
  {
    title: 'a week goes on over the end of a year',
    async run(scene) {
      const weekly = meter('weekly', 10n, 'week')
      await scene.session({ ttlMs: TTL, meters: [weekly] })
      await scene.clock.advance(Date.UTC(2026, 11, 31, 23) - scene.clock.now())
      await scene.expectAdmitted('c', [on(weekly, 10n)])
      await scene.clock.advance(Date.UTC(2027, 0, 4) - 1 - scene.clock.now())
      await scene.expectMeter(weekly, 0n, 10n)
      await scene.clock.advance(1)
      await scene.expectMeter(weekly, 0n, 0n)
    },
  },
  {
    title: 'a month begins anew on its first day, short months too',
    run: (scene) => expectFresh(scene, 'month', Date.UTC(2026, 2, 1) - 1),
  },
  {
    title: 'a month begins anew with the year',
    run: (scene) => expectFresh(scene, 'month', Date.UTC(2027, 0, 1) - 1),
  },
  {
    title: 'a total never begins anew',
    async run(scene) {
      const total = meter('total', 10n)
      await scene.session({ ttlMs: TTL, meters: [total] })
      await scene.expectAdmitted('c', [on(total, 10n)])
      await scene.settle('c')
      await scene.clock.advance(366 * DAY)
      await scene.expectRefused('d', [on(total, 1n)], 'budget-exceeded', total)
    },
  },
  {
    title: 'a meter with a window can be read before its first use',
    async run(scene) {
      const daily = meter('daily', 10n, 'day')
      await scene.session({ ttlMs: TTL, meters: [daily] })
      expect(await scene.store.meters.read([bare(daily)])).toEqual([{ limit: 10n, used: 0n, held: 0n }])
    },
  },
  {
    title: 'a hold settles in the window it was admitted in',
    async run(scene) {
      const daily = meter('daily', 10n, 'day')
      await scene.session({ ttlMs: TTL, meters: [daily] })
      for (const call of ['all', 'lower', 'higher', 'cancelled']) await scene.expectAdmitted(call, [on(daily, 2n)])
      await scene.clock.advance(DAY)
      await scene.expectAdmitted('today', [on(daily, 3n)])
      expect(await scene.settle('all')).toEqual({ state: 'settled', overrun: false })
      expect(await scene.settle('lower', [on(daily, 1n)])).toEqual({ state: 'settled', overrun: false })
      expect(await scene.settle('higher', [on(daily, 9n)])).toEqual({ state: 'settled', overrun: true })
      expect(await scene.cancel('cancelled')).toEqual({ state: 'released', overrun: false })
      await scene.expectMeter(daily, 0n, 3n)
      await scene.expectAdmitted('rest of today', [on(daily, 7n)])
    },
  },
  {
    title: 'a hold that is orphaned, and settled late, stays in the window it was admitted in',
    async run(scene) {
      const daily = meter('daily', 10n, 'day')
      await scene.session({ ttlMs: TTL, meters: [daily] })
      await scene.expectAdmitted('c', [on(daily, 8n)])
      await scene.clock.advance(DAY)
      await scene.expectAdmitted('today', [on(daily, 3n)])
      expect(await scene.store.expire(10)).toEqual({ released: [], orphaned: ['c'] })
      await scene.expectMeter(daily, 0n, 3n)
      await scene.settle('c', [on(daily, 1n)])
      await scene.expectMeter(daily, 0n, 3n)
    },
  },
  {
    title: 'a hold reserved in the old window and admitted in the new one takes nothing more',
    async run(scene) {
      const hourly = meter('hourly', 10n, 'hour')
      await scene.session({ ttlMs: TTL, meters: [hourly] })
      await scene.clock.advance(HOUR - MINUTE)
      await scene.reserve('c', [on(hourly, 8n)], { leaseMs: 10 * MINUTE })
      await scene.clock.advance(2 * MINUTE)
      await scene.expectAdmitted('c', [on(hourly, 8n)])
      await scene.settle('c')
      await scene.expectMeter(hourly, 0n, 0n)
    },
  },
  {
    title: 'what is spent without a hold counts in the window of its settle',
    async run(scene) {
      const daily = meter('daily', 10n, 'day')
      await scene.session({ ttlMs: TTL, meters: [daily] })
      await scene.clock.advance(DAY)
      expect(await scene.settle('c', [on(daily, 11n)])).toEqual({ state: 'settled', overrun: true })
      await scene.expectMeter(daily, 11n, 0n)
      await scene.clock.advance(DAY)
      await scene.expectMeter(daily, 0n, 0n)
    },
  },
  {
    title: 'one call may charge a day and a total together, all or none',
    async run(scene) {
      const daily = meter('daily', 10n, 'day')
      const total = meter('total', 15n)
      await scene.session({ ttlMs: TTL, meters: [daily, total] })
      const both = [on(daily, 10n), on(total, 10n)]
      await scene.expectAdmitted('c', both)
      await scene.settle('c')
      await scene.clock.advance(DAY)
      await scene.expectRefused('d', both, 'budget-exceeded', total)
      await scene.expectMeter(daily, 0n, 0n)
      await scene.expectMeter(total, 10n, 0n)
    },
  },
  {
    title: 'a wall clock set back does not bring an old window back, nor refill the one it is in',
    async run(scene) {
      const daily = meter('daily', 10n, 'day')
      await scene.session({ ttlMs: TTL, meters: [daily] })
      await scene.clock.advance(DAY)
      await scene.expectAdmitted('c', [on(daily, 10n)])
      await scene.settle('c')
      for (const back of [2 * HOUR, DAY, 3 * DAY]) {
        scene.clock.setWall(Date.UTC(2026, 0, 2) - back)
        await scene.expectRefused('d', [on(daily, 1n)], 'budget-exceeded', daily)
        await scene.expectMeter(daily, 10n, 0n)
      }
    },
  },
]
