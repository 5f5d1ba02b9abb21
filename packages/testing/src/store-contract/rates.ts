import { expect } from 'vitest'
import { HOUR, MINUTE, meter, on, onStanding, type Scene, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)
/** Ten a minute, four at once: one leaks out every six seconds. */
const rate = {
  key: 't|tenant:t|calls|total|rate',
  window: 'total',
  rate: { limit: 10n, periodMs: MINUTE, burst: 4n },
} as const
const one = [onStanding(rate, 1n)]

async function retryOf(scene: Scene, call: string, micros: bigint): Promise<number | undefined> {
  const admission = await scene.admit(call, [onStanding(rate, micros)])
  expect(admission).toMatchObject({ ok: false, refused: 'rate-exceeded', meter: rate.key })
  return 'retryMs' in admission ? admission.retryMs : undefined
}

export const RATES: readonly StoreCase[] = [
  {
    title: 'a rate admits its burst at once, and then one each time that one has leaked out',
    async run(scene) {
      await scene.session()
      await scene.expectStanding(rate, 0n)
      for (let call = 0; call < 4; call++) await scene.expectAdmitted(`c${call}`, one)
      await scene.expectStanding(rate, 4n)
      expect(await retryOf(scene, 'd', 1n)).toBe(6_000)
      await scene.clock.advance(5_999)
      expect(await retryOf(scene, 'd', 1n)).toBe(1)
      await scene.clock.advance(1)
      await scene.expectAdmitted('d', one)
      expect(await retryOf(scene, 'e', 1n)).toBe(6_000)
    },
  },
  {
    title: 'a rate lets no more through around the end of a minute than at any other time',
    async run(scene) {
      await scene.session()
      await scene.clock.advance(MINUTE - 1)
      for (let call = 0; call < 4; call++) await scene.expectAdmitted(`c${call}`, one)
      await scene.clock.advance(1)
      expect(await retryOf(scene, 'd', 1n)).toBe(5_999)
    },
  },
  {
    title: 'in any hour a rate admits its limit and its burst, and no more',
    async run(scene) {
      const calls = { ...rate, rate: { limit: 10_000_000n, periodMs: MINUTE, burst: 4_000_000n } }
      await scene.session({ ttlMs: 9 * HOUR })
      let admitted = 0
      for (let turn = 0; turn < 1_200; turn++) {
        if ((await scene.admit(`c${turn}`, [onStanding(calls, 1_000_000n)])).ok) admitted++
        await scene.clock.advance(3_000)
      }
      expect(admitted).toBe(4 + 599)
    },
  },
  {
    title: 'a rate says after how many milliseconds the same would be admitted, and is right to the millisecond',
    async run(scene) {
      const odd = { ...rate, rate: { limit: 7n, periodMs: 1_000, burst: 5n } }
      await scene.session()
      await scene.expectAdmitted('c', [onStanding(odd, 5n)])
      for (const micros of [3n, 1n, 5n]) {
        await scene.clock.advance(37)
        const admission = await scene.admit('d', [onStanding(odd, micros)])
        const retryMs = ('retryMs' in admission && admission.retryMs) || 0
        await scene.clock.advance(retryMs - 1)
        expect(await scene.admit('d', [onStanding(odd, micros)])).toMatchObject({
          refused: 'rate-exceeded',
          retryMs: 1,
        })
        await scene.clock.advance(1)
        await scene.expectAdmitted(`of ${micros}`, [onStanding(odd, micros)])
      }
    },
  },
  {
    title: 'what is more than the burst is never admitted by a rate, and nothing is said about when',
    async run(scene) {
      await scene.session()
      expect(await retryOf(scene, 'c', 5n)).toBeUndefined()
      expect(await scene.admit('d', [onStanding(rate, 3n), onStanding(rate, 2n)])).toEqual({
        ok: false,
        refused: 'rate-exceeded',
        meter: rate.key,
      })
      await scene.expectStanding(rate, 0n)
    },
  },
  {
    title: 'a rate that is named twice in one call counts both, and waits for both',
    async run(scene) {
      await scene.session()
      await scene.expectAdmitted('c', [onStanding(rate, 2n), onStanding(rate, 1n)])
      await scene.expectStanding(rate, 3n)
      expect(await scene.admit('d', [onStanding(rate, 1n), onStanding(rate, 2n)])).toMatchObject({ retryMs: 12_000 })
      await scene.expectStanding(rate, 3n)
    },
  },
  {
    title: 'the same call again, or admitted after it was reserved, counts once on a rate',
    async run(scene) {
      await scene.session()
      for (let turn = 0; turn < 3; turn++) await scene.expectAdmitted('c', one)
      await scene.reserve('d', one)
      await scene.expectAdmitted('d', one)
      await scene.expectStanding(rate, 2n)
      expect(await scene.store.hold.get('c')).toMatchObject({ state: 'running' })
    },
  },
  {
    title: 'neither cancelling nor settling gives back what a rate has counted, nor counts it again',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [onStanding(rate, 1n), on(usd, 5n)])
      await scene.expectAdmitted('d', [onStanding(rate, 1n), on(usd, 5n)])
      expect(await scene.cancel('c')).toEqual({ state: 'released', overrun: false })
      expect(await scene.settle('d', [onStanding(rate, 9n), on(usd, 2n)])).toEqual({ state: 'settled', overrun: false })
      await scene.expectStanding(rate, 2n)
      await scene.expectMeter(usd, 2n, 0n)
    },
  },
  {
    title: 'what was spent without a hold fills a rate beyond its burst, which then leaks out before it admits again',
    async run(scene) {
      await scene.session()
      expect(await scene.settle('c', [onStanding(rate, 4n)])).toEqual({ state: 'settled', overrun: false })
      expect(await scene.settle('d', [onStanding(rate, 10n)])).toEqual({ state: 'settled', overrun: true })
      expect(await scene.settle('d', [onStanding(rate, 10n)])).toEqual({ state: 'settled', overrun: false })
      await scene.expectStanding(rate, 14n)
      expect(await retryOf(scene, 'e', 1n)).toBe(66_000)
      await scene.clock.advance(66_000)
      await scene.expectAdmitted('e', one)
    },
  },
  {
    title: 'a changed rate holds from the next call on',
    async run(scene) {
      await scene.session()
      await scene.expectAdmitted('c', [onStanding(rate, 4n)])
      const wider = { ...rate, rate: { ...rate.rate, burst: 6n } }
      await scene.expectAdmitted('d', [onStanding(wider, 2n)])
      const none = { ...rate, rate: { ...rate.rate, limit: 0n } }
      await scene.clock.advance(HOUR / 2)
      await scene.expectRefused('e', [onStanding(none, 1n)], 'rate-exceeded', rate)
      await scene.expectAdmitted('e', [onStanding(rate, 4n)])
    },
  },
  {
    title: 'a wall clock set back does not refill a rate',
    async run(scene) {
      await scene.session()
      await scene.clock.advance(HOUR / 2)
      await scene.expectAdmitted('c', [onStanding(rate, 4n)])
      scene.clock.setWall(scene.clock.now() - 2 * HOUR)
      expect(await retryOf(scene, 'd', 1n)).toBe(6_000)
      await scene.clock.advance(6_000)
      await scene.expectAdmitted('d', one)
    },
  },
]
