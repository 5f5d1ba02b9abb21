import { expect } from 'vitest'
import { MINUTE, meter, on, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)
const NOTHING = { released: [], orphaned: [] }

export const EXPIRY: readonly StoreCase[] = [
  {
    title: 'a reserved hold whose lease is over is given back',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [on(usd, 30n)], { leaseMs: MINUTE })
      await scene.clock.advance(MINUTE - 1)
      expect(await scene.store.expire(10)).toEqual(NOTHING)
      await scene.clock.advance(1)
      expect(await scene.store.expire(10)).toEqual({ released: ['c'], orphaned: [] })
      expect(await scene.store.expire(10)).toEqual(NOTHING)
      await scene.expectMeter(usd, 0n, 0n)
    },
  },
  {
    title: 'a running hold whose lease is over is counted as spent, never given back',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)], { leaseMs: MINUTE })
      await scene.clock.advance(MINUTE - 1)
      expect(await scene.store.expire(10)).toEqual(NOTHING)
      await scene.clock.advance(1)
      expect(await scene.store.expire(10)).toEqual({ released: [], orphaned: ['c'] })
      await scene.expectMeter(usd, 30n, 0n)
      for (let turn = 0; turn < 3; turn++) {
        await scene.clock.advance(MINUTE)
        expect(await scene.store.expire(10)).toEqual(NOTHING)
      }
      await scene.expectMeter(usd, 30n, 0n)
      await scene.expectRefused('d', [on(usd, 21n)], 'budget-exceeded', usd)
    },
  },
  {
    title: 'an orphan can not be cancelled, admitted, reserved or renewed',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)], { leaseMs: MINUTE })
      await scene.clock.advance(MINUTE)
      await scene.store.expire(10)
      expect(await scene.cancel('c')).toEqual({ state: 'orphaned', overrun: false })
      await scene.expectRefused('c', [on(usd, 30n)], 'unavailable')
      expect(await scene.reserve('c', [on(usd, 30n)])).toMatchObject({ ok: false, refused: 'unavailable' })
      await scene.store.renew(['c'], 10 * MINUTE)
      await scene.clock.advance(20 * MINUTE)
      expect(await scene.store.expire(10)).toEqual(NOTHING)
      await scene.expectMeter(usd, 30n, 0n)
    },
  },
  {
    title: 'a late settle corrects an orphan once, downwards',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)], { leaseMs: MINUTE })
      await scene.clock.advance(MINUTE)
      await scene.store.expire(10)
      expect(await scene.settle('c', [on(usd, 5n)])).toEqual({ state: 'settled', overrun: false })
      await scene.expectMeter(usd, 5n, 0n)
      expect(await scene.settle('c', [on(usd, 20n)])).toEqual({ state: 'settled', overrun: false })
      expect(await scene.cancel('c')).toEqual({ state: 'settled', overrun: false })
      await scene.expectMeter(usd, 5n, 0n)
    },
  },
  {
    title: 'a late settle corrects an orphan upwards, and reports what is too much',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)], { leaseMs: MINUTE })
      await scene.clock.advance(MINUTE)
      await scene.store.expire(10)
      expect(await scene.settle('c', [on(usd, 51n)])).toEqual({ state: 'settled', overrun: true })
      await scene.expectMeter(usd, 51n, 0n)
    },
  },
  {
    title: 'a late settle without an amount leaves an orphan as it was counted',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)], { leaseMs: MINUTE })
      await scene.clock.advance(MINUTE)
      await scene.store.expire(10)
      expect(await scene.settle('c')).toEqual({ state: 'settled', overrun: false })
      await scene.expectMeter(usd, 30n, 0n)
    },
  },
  {
    title: 'a running hold that is renewed does not become an orphan',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)], { leaseMs: MINUTE })
      for (let turn = 0; turn < 3; turn++) {
        await scene.clock.advance(MINUTE - 1)
        await scene.store.renew(['c', 'not known'], MINUTE)
        expect(await scene.store.expire(10)).toEqual(NOTHING)
      }
      await scene.clock.advance(MINUTE)
      expect(await scene.store.expire(10)).toEqual({ released: [], orphaned: ['c'] })
    },
  },
  {
    title: 'renewing never shortens a lease, and does nothing for a reserved hold',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)], { leaseMs: 10 * MINUTE })
      await scene.reserve('d', [on(usd, 20n)], { leaseMs: MINUTE })
      await scene.store.renew(['c', 'd'], 2 * MINUTE)
      await scene.clock.advance(MINUTE)
      expect(await scene.store.expire(10)).toEqual({ released: ['d'], orphaned: [] })
      await scene.clock.advance(5 * MINUTE)
      expect(await scene.store.expire(10)).toEqual(NOTHING)
    },
  },
  {
    title: 'a hold whose lease is over still ends as its own process says, until it is swept',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 20n)], { leaseMs: MINUTE })
      await scene.expectAdmitted('d', [on(usd, 20n)], { leaseMs: MINUTE })
      await scene.clock.advance(2 * MINUTE)
      expect(await scene.settle('c', [on(usd, 5n)])).toEqual({ state: 'settled', overrun: false })
      expect(await scene.cancel('d')).toEqual({ state: 'released', overrun: false })
      expect(await scene.store.expire(10)).toEqual(NOTHING)
      await scene.expectMeter(usd, 5n, 0n)
    },
  },
  {
    title: 'expiring ends no more holds than it is asked to, and in the end all of them',
    async run(scene) {
      await scene.session({ meters: [usd] })
      for (let call = 0; call < 5; call++) await scene.reserve(`r${call}`, [on(usd, 1n)])
      for (let call = 0; call < 5; call++) await scene.expectAdmitted(`a${call}`, [on(usd, 2n)])
      await scene.clock.advance(MINUTE)
      const ended: string[] = []
      for (const count of [4, 4, 2, 0]) {
        const { released, orphaned } = await scene.store.expire(4)
        expect(released.length + orphaned.length).toBe(count)
        expect(released.every((call) => call.startsWith('r'))).toBe(true)
        expect(orphaned.every((call) => call.startsWith('a'))).toBe(true)
        ended.push(...released, ...orphaned)
      }
      expect(new Set(ended).size).toBe(10)
      await scene.expectMeter(usd, 10n, 0n)
    },
  },
  {
    title: 'a wall clock set back does not lengthen a lease',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 20n)], { leaseMs: MINUTE })
      scene.clock.setWall(scene.clock.now() - 120 * MINUTE)
      await scene.clock.advance(MINUTE)
      expect(await scene.store.expire(10)).toEqual({ released: [], orphaned: ['c'] })
    },
  },
]
