import { expect } from 'vitest'
import { bare, MINUTE, meter, on, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)
const eur = meter('eur', 10n)
const tokens = meter('tokens', 1_000n)
const ghost = meter('ghost', 1n)

export const ADMIT: readonly StoreCase[] = [
  {
    title: 'a budget of 50 admits fifty calls of 1, and refuses the next by its meter',
    async run(scene) {
      await scene.session({ meters: [usd] })
      for (let call = 1; call <= 50; call++) await scene.expectAdmitted(`c${call}`, [on(usd, 1n)])
      await scene.expectRefused('c51', [on(usd, 1n)], 'budget-exceeded', usd)
      await scene.expectMeter(usd, 0n, 50n)
    },
  },
  {
    title: 'of a hundred calls at once exactly fifty fit a budget of 50',
    async run(scene) {
      await scene.session({ meters: [usd] })
      const calls = Array.from({ length: 100 }, (_, index) => scene.admit(`c${index}`, [on(usd, 1n)]))
      const admissions = await Promise.all(calls)
      expect(admissions.filter(({ ok }) => ok)).toHaveLength(50)
      const refused = { ok: false, refused: 'budget-exceeded', meter: usd.key }
      expect(admissions.filter(({ ok }) => !ok)).toEqual(Array(50).fill(refused))
      await scene.expectMeter(usd, 0n, 50n)
    },
  },
  {
    title: 'what is settled and what is held count together',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)])
      await scene.settle('c')
      await scene.expectAdmitted('d', [on(usd, 15n)])
      await scene.expectRefused('e', [on(usd, 6n)], 'budget-exceeded', usd)
      await scene.expectAdmitted('f', [on(usd, 5n)])
      await scene.expectMeter(usd, 30n, 20n)
    },
  },
  {
    title: 'a limit of zero admits what costs nothing, and nothing else',
    async run(scene) {
      const none = meter('none', 0n)
      await scene.session({ meters: [none] })
      await scene.expectRefused('c', [on(none, 1n)], 'budget-exceeded', none)
      await scene.expectAdmitted('d', [on(none, 0n)])
      await scene.expectMeter(none, 0n, 0n)
    },
  },
  {
    title: 'an admission says when, by the clock of the store',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.clock.advance(1_234)
      expect(await scene.admit('c', [on(usd, 1n)])).toEqual({ ok: true, at: scene.clock.now() })
      expect(await scene.admit('d', [])).toEqual({ ok: true, at: scene.clock.now() })
    },
  },
  {
    title: 'a call takes from all its meters or from none, wherever the full one stands',
    async run(scene) {
      await scene.session({ meters: [usd, eur, tokens] })
      const fits = [on(usd, 5n), on(tokens, 900n)]
      for (const place of [0, 1, 2]) {
        await scene.expectRefused(`c${place}`, fits.toSpliced(place, 0, on(eur, 11n)), 'budget-exceeded', eur)
      }
      for (const each of [usd, eur, tokens]) await scene.expectMeter(each, 0n, 0n)
      await scene.expectAdmitted('d', [...fits, on(eur, 10n)])
      await scene.expectMeter(usd, 0n, 5n)
      await scene.expectMeter(eur, 0n, 10n)
      await scene.expectMeter(tokens, 0n, 900n)
    },
  },
  {
    title: 'a meter that is named twice in one call is charged twice, and checked for both',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectRefused('c', [on(usd, 30n), on(usd, 30n)], 'budget-exceeded', usd)
      await scene.expectMeter(usd, 0n, 0n)
      await scene.expectAdmitted('d', [on(usd, 30n), on(usd, 20n)])
      await scene.expectMeter(usd, 0n, 50n)
      await scene.settle('d')
      await scene.expectMeter(usd, 50n, 0n)
    },
  },
  {
    title: 'a meter that is missing is not zero: the call is refused as unavailable, and nothing is taken',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectRefused('c', [on(usd, 5n), on(ghost, 1n)], 'unavailable', ghost)
      await scene.expectRefused('d', [on(ghost, 0n), on(usd, 5n)], 'unavailable', ghost)
      await scene.expectRefused('e', [on({ ...ghost, window: 'day' }, 1n)], 'unavailable', ghost)
      await scene.expectMeter(usd, 0n, 0n)
    },
  },
  {
    title: 'the same call again is the same hold',
    async run(scene) {
      await scene.session({ meters: [usd] })
      for (let turn = 0; turn < 3; turn++) await scene.expectAdmitted('c', [on(usd, 30n)])
      await scene.expectMeter(usd, 0n, 30n)
      await scene.settle('c', [on(usd, 10n)])
      await scene.expectMeter(usd, 10n, 0n)
    },
  },
  {
    title: 'a refused call burns nothing: it is admitted when there is room',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('first', [on(usd, 50n)])
      await scene.expectRefused('c', [on(usd, 1n)], 'budget-exceeded', usd)
      await scene.cancel('first')
      await scene.expectAdmitted('c', [on(usd, 50n)])
    },
  },
  {
    title: 'amounts are exact up to 2^53 - 1 micro-units',
    async run(scene) {
      const most = 9_007_199_254_740_991n
      const large = meter('large', most)
      await scene.session({ meters: [large] })
      await scene.expectAdmitted('c', [on(large, most - 1n)])
      await scene.expectRefused('d', [on(large, 2n)], 'budget-exceeded', large)
      await scene.expectAdmitted('e', [on(large, 1n)])
      await scene.expectMeter(large, 0n, most)
      await scene.settle('c')
      await scene.settle('e', [on(large, most)])
      await scene.expectMeter(large, 2n * most - 1n, 0n)
      expect(await scene.store.meters.read([bare(large)])).toEqual([{ limit: most, used: 2n * most - 1n, held: 0n }])
    },
  },
  {
    title: 'meters are read in the order asked for, a missing one as undefined',
    async run(scene) {
      await scene.session({ meters: [usd, eur] })
      await scene.expectAdmitted('c', [on(eur, 4n)])
      expect(await scene.store.meters.read([eur, ghost, usd].map(bare))).toEqual([
        { limit: 10n, used: 0n, held: 4n },
        undefined,
        { limit: 50n, used: 0n, held: 0n },
      ])
      expect(await scene.store.meters.read([])).toEqual([])
    },
  },
  {
    title: 'a reserved hold counts against the limit like a running one',
    async run(scene) {
      await scene.session({ meters: [usd, eur] })
      expect(await scene.reserve('c', [on(usd, 40n), on(eur, 1n)])).toMatchObject({ ok: true })
      await scene.expectRefused('d', [on(eur, 1n), on(usd, 11n)], 'budget-exceeded', usd)
      expect(await scene.reserve('e', [on(eur, 10n)])).toEqual({
        ok: false,
        refused: 'budget-exceeded',
        meter: eur.key,
      })
      await scene.expectMeter(usd, 0n, 40n)
      await scene.expectMeter(eur, 0n, 1n)
    },
  },
  {
    title: 'an admit lets a reserved hold run, under a lease of its own, without taking twice',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [on(usd, 40n)], { leaseMs: MINUTE })
      await scene.clock.advance(MINUTE - 1)
      await scene.expectAdmitted('c', [on(usd, 40n)], { leaseMs: 10 * MINUTE })
      await scene.expectMeter(usd, 0n, 40n)
      await scene.clock.advance(5 * MINUTE)
      expect(await scene.store.expire(10)).toEqual({ released: [], orphaned: [] })
      await scene.clock.advance(5 * MINUTE)
      expect(await scene.store.expire(10)).toEqual({ released: [], orphaned: ['c'] })
    },
  },
  {
    title: 'a reserved hold whose lease is over can not be admitted, swept or not',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [on(usd, 40n)], { leaseMs: MINUTE })
      await scene.clock.advance(MINUTE)
      await scene.expectRefused('c', [on(usd, 40n)], 'unavailable')
      await scene.store.expire(10)
      await scene.expectRefused('c', [on(usd, 40n)], 'unavailable')
      await scene.expectMeter(usd, 0n, 0n)
    },
  },
  {
    title: 'reserving again neither takes twice nor stops a hold that runs',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [on(usd, 30n)])
      await scene.reserve('c', [on(usd, 30n)])
      await scene.expectMeter(usd, 0n, 30n)
      await scene.expectAdmitted('c', [on(usd, 30n)])
      await scene.reserve('c', [on(usd, 30n)])
      await scene.expectMeter(usd, 0n, 30n)
      await scene.clock.advance(MINUTE)
      expect(await scene.store.expire(10)).toEqual({ released: [], orphaned: ['c'] })
    },
  },
]
