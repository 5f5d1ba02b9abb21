import { expect } from 'vitest'
import { DAY, HOUR, MINUTE, meter, on, type Scene, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)
const once = 't|charge|order 7'
const DUPLICATE = { ok: false, refused: 'duplicate-call' }

async function expectTaken(scene: Scene, call: string): Promise<void> {
  expect(await scene.admit(call, [on(usd, 1n)], { once })).toEqual(DUPLICATE)
  expect(await scene.reserve(call, [], { once })).toEqual(DUPLICATE)
}

export const ONCE: readonly StoreCase[] = [
  {
    title: 'one call at a time has a `once` key; it is no duplicate of itself',
    async run(scene) {
      await scene.session({ meters: [usd] })
      for (let turn = 0; turn < 2; turn++) await scene.expectAdmitted('c', [on(usd, 1n)], { once })
      await expectTaken(scene, 'd')
      await scene.expectAdmitted('e', [on(usd, 1n)], { once: 't|charge|order 8' })
      await scene.expectAdmitted('f', [on(usd, 1n)])
      await scene.expectMeter(usd, 0n, 3n)
    },
  },
  {
    title: 'of a hundred calls at once with one `once` key exactly one is admitted',
    async run(scene) {
      await scene.session({ meters: [usd] })
      const calls = Array.from({ length: 100 }, (_, index) => scene.admit(`c${index}`, [on(usd, 1n)], { once }))
      const admissions = await Promise.all(calls)
      expect(admissions.filter(({ ok }) => ok)).toHaveLength(1)
      expect(admissions.filter(({ ok }) => !ok)).toEqual(Array(99).fill(DUPLICATE))
      await scene.expectMeter(usd, 0n, 1n)
    },
  },
  {
    title: 'a `once` key is taken for 24 hours after its call settled, to the millisecond',
    async run(scene) {
      await scene.session({ meters: [usd], ttlMs: 9 * DAY })
      await scene.expectAdmitted('c', [on(usd, 1n)], { once })
      await scene.clock.advance(HOUR)
      await scene.settle('c')
      for (const ms of [0, DAY - 1]) {
        await scene.clock.advance(ms)
        await scene.store.expire(10)
        await expectTaken(scene, 'd')
      }
      await scene.clock.advance(1)
      await scene.expectAdmitted('d', [on(usd, 1n)], { once })
      await expectTaken(scene, 'e')
    },
  },
  {
    title: 'a `once` key is taken for its 24 hours, however many others are used meanwhile',
    async run(scene) {
      await scene.session({ ttlMs: 9 * DAY })
      const key = (hour: number) => ({ once: `order of hour ${hour}` })
      for (let hour = 0; hour < 60; hour++) {
        await scene.expectAdmitted(`c${hour}`, [], key(hour))
        await scene.settle(`c${hour}`)
        const oldest = Math.max(0, hour - 23)
        for (const one of [oldest, hour]) expect(await scene.admit(`d${hour}`, [], key(one))).toEqual(DUPLICATE)
        await scene.clock.advance(HOUR)
      }
      await scene.expectAdmitted('e', [], key(36))
    },
  },
  {
    title: 'a call that charges nothing keeps its `once` key all the same',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [], { once })
      await expectTaken(scene, 'd')
      expect(await scene.settle('c', [])).toEqual({ state: 'settled', overrun: false })
      await expectTaken(scene, 'd')
    },
  },
  {
    title: 'cancelling frees a `once` key, of a running hold and of a reserved one',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [], { once })
      await scene.cancel('c')
      await scene.reserve('d', [], { once })
      await expectTaken(scene, 'e')
      await scene.cancel('d')
      await scene.expectAdmitted('e', [], { once })
    },
  },
  {
    title: 'a reserved hold whose lease is over has no `once` key any more, swept or not',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [], { once })
      await scene.clock.advance(MINUTE - 1)
      await expectTaken(scene, 'd')
      await scene.clock.advance(1)
      await scene.expectAdmitted('d', [], { once })
      expect(await scene.store.expire(10)).toEqual({ released: ['c'], orphaned: [] })
      // What ended earlier does not free the key of the call that has it now.
      await expectTaken(scene, 'e')
    },
  },
  {
    title: 'an admit of a reserved hold keeps its `once` key',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [on(usd, 1n)], { once })
      await scene.expectAdmitted('c', [on(usd, 1n)], { once })
      await scene.clock.advance(10 * MINUTE)
      await expectTaken(scene, 'd')
    },
  },
  {
    title: 'an orphan keeps its `once` key for 24 hours, since it may have run; a late settle for 24 hours more',
    async run(scene) {
      await scene.session({ meters: [usd], ttlMs: 9 * DAY })
      await scene.expectAdmitted('c', [], { once })
      await scene.clock.advance(HOUR)
      await expectTaken(scene, 'd')
      await scene.store.expire(10)
      await scene.cancel('c')
      await scene.clock.advance(DAY - 1)
      await expectTaken(scene, 'd')
      await scene.settle('c')
      await scene.clock.advance(DAY - 1)
      await expectTaken(scene, 'd')
      await scene.clock.advance(1)
      await scene.expectAdmitted('d', [], { once })
    },
  },
  {
    title: 'a refused call takes no `once` key, and a wall clock set back frees none later',
    async run(scene) {
      await scene.session({ meters: [usd], ttlMs: 9 * DAY })
      expect(await scene.admit('c', [on(usd, 51n)], { once })).toMatchObject({ refused: 'budget-exceeded' })
      await scene.expectAdmitted('d', [on(usd, 1n)], { once })
      await scene.settle('d')
      scene.clock.setWall(scene.clock.now() - 30 * DAY)
      await expectTaken(scene, 'e')
      await scene.clock.advance(DAY)
      await scene.expectAdmitted('e', [], { once })
    },
  },
]
