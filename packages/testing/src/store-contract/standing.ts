import { expect } from 'vitest'
import { bare, DAY, HOUR, type MeterKey, MINUTE, meter, on, onStanding, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)
const calls: MeterKey = { key: 't|tenant:t|calls|total|quota', window: 'total', limit: 10n }
const daily: MeterKey = { key: 't|tenant:t|calls|day|quota', window: 'day', limit: 10n }
const rate = {
  key: 't|tenant:t|calls|total|rate',
  window: 'total',
  rate: { limit: 60n, periodMs: MINUTE, burst: 5n },
} as const

/** The same meter, after someone has changed its limit. */
function limited(of: MeterKey, limit: bigint): MeterKey {
  return { ...of, limit }
}

export const STANDING: readonly StoreCase[] = [
  {
    title: 'a standing meter is made by the first call that charges it, and is never missing',
    async run(scene) {
      await scene.session()
      await scene.expectStanding(calls, 0n)
      expect(await scene.store.meters.read([bare(calls)])).toEqual([undefined])
      await scene.expectAdmitted('c', [onStanding(calls, 10n)])
      await scene.expectStanding(calls, 0n, 10n)
      await scene.expectRefused('d', [onStanding(calls, 1n)], 'budget-exceeded', calls)
    },
  },
  {
    title: 'a standing meter refuses a first call that is more than its limit, and is not made by it',
    async run(scene) {
      await scene.session()
      await scene.expectRefused('c', [onStanding(calls, 11n)], 'budget-exceeded', calls)
      await scene.expectRefused('d', [onStanding(limited(calls, 0n), 1n)], 'budget-exceeded', calls)
      expect(await scene.store.meters.read([bare(calls)])).toEqual([undefined])
      await scene.expectAdmitted('e', [onStanding(calls, 10n)])
    },
  },
  {
    title: 'a standing meter is shared by all sessions that charge it, and outlives them',
    async run(scene) {
      await scene.session()
      await scene.session({ id: 'o' })
      await scene.expectAdmitted('c', [onStanding(calls, 6n)])
      await scene.settle('c')
      await scene.store.session.revokeTree('s')
      expect(await scene.admit('d', [onStanding(calls, 5n)], { session: 'o' })).toMatchObject({
        refused: 'budget-exceeded',
      })
      await scene.expectAdmitted('e', [onStanding(calls, 4n)], { session: 'o' })
      await scene.expectStanding(calls, 6n, 4n)
    },
  },
  {
    title: 'a changed limit of a standing meter holds from the next call on',
    async run(scene) {
      await scene.session()
      await scene.expectAdmitted('c', [onStanding(calls, 10n)])
      await scene.expectAdmitted('d', [onStanding(limited(calls, 15n), 5n)])
      await scene.expectRefused('e', [onStanding(limited(calls, 12n), 1n)], 'budget-exceeded', calls)
      await scene.expectStanding(limited(calls, 15n), 0n, 15n)
      await scene.settle('c', [onStanding(limited(calls, 15n), 1n)])
      await scene.expectAdmitted('f', [onStanding(limited(calls, 7n), 1n)])
    },
  },
  {
    title: 'settling tells an overrun of a standing meter by the limit it was last charged with',
    async run(scene) {
      await scene.session()
      await scene.expectAdmitted('c', [onStanding(calls, 4n)])
      await scene.expectAdmitted('d', [onStanding(calls, 4n)])
      expect(await scene.settle('c', [onStanding(calls, 6n)])).toEqual({ state: 'settled', overrun: false })
      expect(await scene.settle('d', [onStanding(calls, 5n)])).toEqual({ state: 'settled', overrun: true })
      await scene.expectStanding(calls, 11n)
      await scene.expectAdmitted('e', [onStanding(limited(calls, 20n), 4n)])
      expect(await scene.settle('e')).toEqual({ state: 'settled', overrun: false })
      await scene.expectAdmitted('f', [onStanding(limited(calls, 20n), 4n)])
      expect(await scene.settle('f', [onStanding(limited(calls, 18n), 4n)])).toEqual({
        state: 'settled',
        overrun: true,
      })
    },
  },
  {
    title: 'what was spent on a standing meter without a hold makes it, and counts there once',
    async run(scene) {
      await scene.session({ meters: [usd] })
      expect(await scene.settle('c', [onStanding(calls, 11n)])).toEqual({ state: 'settled', overrun: true })
      expect(await scene.settle('c', [onStanding(calls, 11n)])).toEqual({ state: 'settled', overrun: false })
      await scene.expectStanding(calls, 11n)
      await scene.expectAdmitted('d', [on(usd, 1n)])
      await scene.settle('d', [on(usd, 1n), onStanding(daily, 3n)])
      await scene.expectStanding(daily, 3n)
    },
  },
  {
    title: 'cancelling gives a standing meter back, and an orphan stays counted on it',
    async run(scene) {
      await scene.session()
      await scene.expectAdmitted('c', [onStanding(calls, 6n)])
      await scene.expectAdmitted('d', [onStanding(calls, 4n)])
      await scene.cancel('c')
      await scene.expectStanding(calls, 0n, 4n)
      await scene.clock.advance(MINUTE)
      await scene.store.expire(10)
      await scene.expectStanding(calls, 4n)
    },
  },
  {
    title: 'the next window of a standing meter is a row of its own, and a hold stays in the one it was taken in',
    async run(scene) {
      await scene.session({ ttlMs: 9 * DAY })
      await scene.expectAdmitted('c', [onStanding(daily, 10n)])
      await scene.clock.advance(DAY)
      await scene.expectStanding(daily, 0n)
      await scene.expectAdmitted('d', [onStanding(daily, 10n)])
      expect(await scene.settle('c', [onStanding(daily, 11n)])).toEqual({ state: 'settled', overrun: true })
      await scene.expectStanding(daily, 0n, 10n)
    },
  },
  {
    title: 'a call that is refused leaves nothing behind, whichever of its meters, rates and keys refuses',
    async run(scene) {
      await scene.session({ meters: [usd], ttlMs: 9 * HOUR })
      const zoned: MeterKey = { ...daily, key: 't|tenant:t|calls|day@Asia/Tokyo|quota', zone: 'Asia/Tokyo' }
      const fits = [on(usd, 5n), onStanding(zoned, 1n), onStanding(rate, 5n), onStanding(calls, 1n)]
      const full: readonly (readonly [MeterKey, bigint, string])[] = [
        [usd, 46n, 'budget-exceeded'],
        [zoned, 10n, 'budget-exceeded'],
        [rate, 1n, 'rate-exceeded'],
        [calls, 10n, 'budget-exceeded'],
        [meter('ghost', 1n), 0n, 'unavailable'],
      ]
      for (const [which, micros, refused] of full) {
        const charge = which.limit !== undefined && which !== usd && which.key !== 'ghost' ? onStanding : on
        const extra = which.rate ? onStanding(which, micros) : charge(which, micros)
        for (let place = 0; place <= fits.length; place++) {
          const charges = fits.toSpliced(place, 0, extra)
          const call = `${which.key} ${place}`
          expect(await scene.admit(call, charges, { once: 'k' })).toMatchObject({
            ok: false,
            refused,
            meter: which.key,
          })
          expect(await scene.reserve(call, charges, { once: 'k' })).toMatchObject({
            ok: false,
            refused,
            meter: which.key,
          })
          expect(await scene.store.hold.get(call)).toBeUndefined()
        }
      }
      await scene.expectMeter(usd, 0n, 0n)
      for (const each of [zoned, rate, calls]) await scene.expectStanding(each, 0n)
      expect(await scene.store.meters.read([bare(zoned), bare(calls)])).toEqual([undefined, undefined])
      await scene.expectAdmitted('c', fits, { once: 'k' })
      // A key that is taken refuses before anything is counted.
      expect(await scene.admit('d', fits, { once: 'k' })).toEqual({ ok: false, refused: 'duplicate-call' })
      await scene.expectMeter(usd, 0n, 5n)
      await scene.expectStanding(rate, 5n)
      await scene.expectStanding(calls, 0n, 1n)
    },
  },
]
