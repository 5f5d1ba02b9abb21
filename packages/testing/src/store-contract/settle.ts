import { expect } from 'vitest'
import { bare, MINUTE, meter, on, type Scene, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)
const eur = meter('eur', 10n)

/** Every verb that could touch a hold, on one that has ended: none may change anything. */
async function expectFinal(scene: Scene, call: string, state: 'settled' | 'released'): Promise<void> {
  const [before] = await scene.store.meters.read([bare(usd)])
  const ended = { state, overrun: false }
  expect(await scene.settle(call, [on(usd, 7n)])).toEqual(ended)
  expect(await scene.settle(call)).toEqual(ended)
  expect(await scene.settle(call, [])).toEqual(ended)
  expect(await scene.cancel(call)).toEqual(ended)
  await scene.expectRefused(call, [on(usd, 1n)], 'unavailable')
  expect(await scene.reserve(call, [on(usd, 1n)])).toMatchObject({ ok: false })
  await scene.store.renew([call], 10 * MINUTE)
  await scene.clock.advance(20 * MINUTE)
  expect(await scene.store.expire(10)).toEqual({ released: [], orphaned: [] })
  expect(await scene.settle(call, [on(usd, 7n)])).toEqual(ended)
  expect(await scene.store.meters.read([bare(usd)])).toEqual([before])
}

export const SETTLE: readonly StoreCase[] = [
  {
    title: 'settling without an amount spends all that was held',
    async run(scene) {
      await scene.session({ meters: [usd, eur] })
      await scene.expectAdmitted('c', [on(usd, 30n), on(eur, 2n)])
      expect(await scene.settle('c')).toEqual({ state: 'settled', overrun: false })
      await scene.expectMeter(usd, 30n, 0n)
      await scene.expectMeter(eur, 2n, 0n)
    },
  },
  {
    title: 'settling lower gives the rest back',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 50n)])
      expect(await scene.settle('c', [on(usd, 20n)])).toEqual({ state: 'settled', overrun: false })
      await scene.expectMeter(usd, 20n, 0n)
      await scene.expectAdmitted('d', [on(usd, 30n)])
      await scene.expectRefused('e', [on(usd, 1n)], 'budget-exceeded', usd)
    },
  },
  {
    title: 'a held meter that settling does not name was not spent on',
    async run(scene) {
      await scene.session({ meters: [usd, eur] })
      await scene.expectAdmitted('c', [on(usd, 30n), on(eur, 2n)])
      await scene.settle('c', [on(eur, 1n)])
      await scene.expectMeter(usd, 0n, 0n)
      await scene.expectMeter(eur, 1n, 0n)
      await scene.expectAdmitted('d', [on(usd, 30n)])
      expect(await scene.settle('d', [])).toEqual({ state: 'settled', overrun: false })
      await scene.expectMeter(usd, 0n, 0n)
    },
  },
  {
    title: 'settling higher is counted, reported, and blocks what comes later',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 10n)])
      expect(await scene.settle('c', [on(usd, 51n)])).toEqual({ state: 'settled', overrun: true })
      await scene.expectMeter(usd, 51n, 0n)
      await scene.expectRefused('d', [on(usd, 1n)], 'budget-exceeded', usd)
    },
  },
  {
    title: 'settling higher within the limit is no overrun; with what others hold it may be',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 10n)])
      expect(await scene.settle('c', [on(usd, 50n)])).toEqual({ state: 'settled', overrun: false })
      const other = meter('other', 50n)
      await scene.session({ id: 'o', meters: [other] })
      await scene.expectAdmitted('d', [on(other, 10n)], { session: 'o' })
      await scene.expectAdmitted('e', [on(other, 40n)], { session: 'o' })
      expect(await scene.settle('d', [on(other, 11n)])).toEqual({ state: 'settled', overrun: true })
      await scene.expectMeter(other, 11n, 40n)
    },
  },
  {
    title: 'what was spent on a meter that was not held counts there too',
    async run(scene) {
      await scene.session({ meters: [usd, eur] })
      await scene.expectAdmitted('c', [on(usd, 30n)])
      expect(await scene.settle('c', [on(usd, 30n), on(eur, 11n)])).toEqual({ state: 'settled', overrun: true })
      await scene.expectMeter(usd, 30n, 0n)
      await scene.expectMeter(eur, 11n, 0n)
    },
  },
  {
    title: 'what a call without a hold has spent counts once',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [])
      expect(await scene.settle('c', [on(usd, 20n)])).toEqual({ state: 'settled', overrun: false })
      expect(await scene.settle('c', [on(usd, 20n)])).toEqual({ state: 'settled', overrun: false })
      await scene.expectMeter(usd, 20n, 0n)
      expect(await scene.settle('d', [on(usd, 31n)])).toEqual({ state: 'settled', overrun: true })
      await scene.expectMeter(usd, 51n, 0n)
    },
  },
  {
    title: 'what is spent on a meter that is missing is an overrun, and counts on the others',
    async run(scene) {
      await scene.session({ meters: [usd] })
      const missing = on({ ...usd, key: 'missing' }, 1n)
      expect(await scene.settle('c', [on(usd, 20n), missing])).toEqual({ state: 'settled', overrun: true })
      await scene.expectMeter(usd, 20n, 0n)
    },
  },
  {
    title: 'settling an unknown call that spent nothing changes nothing',
    async run(scene) {
      await scene.session({ meters: [usd] })
      expect(await scene.settle('c')).toEqual({ state: 'unknown', overrun: false })
      expect(await scene.settle('c', [])).toEqual({ state: 'unknown', overrun: false })
      await scene.expectAdmitted('c', [on(usd, 50n)])
    },
  },
  {
    title: 'a settle that arrives many times at once counts once',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)])
      const answers = await Promise.all(Array.from({ length: 8 }, () => scene.settle('c', [on(usd, 20n)])))
      expect(answers).toEqual(Array(8).fill({ state: 'settled', overrun: false }))
      await scene.expectMeter(usd, 20n, 0n)
    },
  },
  {
    title: 'cancelling gives everything back, of a running hold and of a reserved one',
    async run(scene) {
      await scene.session({ meters: [usd, eur] })
      await scene.expectAdmitted('c', [on(usd, 30n), on(eur, 10n)])
      await scene.reserve('d', [on(usd, 20n)])
      expect(await scene.cancel('c')).toEqual({ state: 'released', overrun: false })
      expect(await scene.cancel('d')).toEqual({ state: 'released', overrun: false })
      await scene.expectMeter(usd, 0n, 0n)
      await scene.expectMeter(eur, 0n, 0n)
    },
  },
  {
    title: 'cancelling an unknown call refuses the admit that arrives late',
    async run(scene) {
      await scene.session({ meters: [usd] })
      expect(await scene.cancel('c')).toEqual({ state: 'unknown', overrun: false })
      expect(await scene.cancel('c')).toEqual({ state: 'released', overrun: false })
      await scene.expectRefused('c', [on(usd, 1n)], 'unavailable')
      expect(await scene.reserve('c', [on(usd, 1n)])).toEqual({ ok: false, refused: 'unavailable' })
      await scene.expectRefused('c', [], 'unavailable')
      await scene.expectMeter(usd, 0n, 0n)
    },
  },
  {
    title: 'a settled hold is final',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)])
      await scene.settle('c', [on(usd, 20n)])
      await expectFinal(scene, 'c', 'settled')
    },
  },
  {
    title: 'a released hold is final',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 30n)])
      await scene.cancel('c')
      await expectFinal(scene, 'c', 'released')
    },
  },
  {
    title: 'what a call without a hold has spent is final',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.settle('c', [on(usd, 20n)])
      await expectFinal(scene, 'c', 'settled')
    },
  },
  {
    title: 'a reserved hold that time released is final',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [on(usd, 30n)])
      await scene.clock.advance(MINUTE)
      await scene.store.expire(10)
      await expectFinal(scene, 'c', 'released')
    },
  },
]
