import { expect } from 'vitest'
import { MINUTE, meter, on, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)

export const HOLDS: readonly StoreCase[] = [
  {
    title: 'a hold is answered with its session, its state and what was kept with it, through its whole life',
    async run(scene) {
      const { store } = scene
      await scene.session({ meters: [usd] })
      const request = { session: 's', charges: [on(usd, 1n)], leaseMs: MINUTE, memo: 'two pens' }
      expect(await store.hold.get('c')).toBeUndefined()
      await store.reserve({ ...request, call: 'c' })
      expect(await store.hold.get('c')).toEqual({ session: 's', state: 'reserved', memo: 'two pens' })
      await store.admit({ ...request, call: 'c', memo: 'other words' })
      expect(await store.hold.get('c')).toEqual({ session: 's', state: 'running', memo: 'two pens' })
      await scene.clock.advance(MINUTE)
      await store.expire(10)
      expect(await store.hold.get('c')).toEqual({ session: 's', state: 'orphaned', memo: 'two pens' })
      await store.settle({ call: 'c' })
      expect(await store.hold.get('c')).toEqual({ session: 's', state: 'settled', memo: 'two pens' })
    },
  },
  {
    title: 'a hold that was given back, and what stands for a call nobody knew, are answered as ended',
    async run(scene) {
      const { hold } = scene.store
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [on(usd, 1n)])
      await scene.cancel('c')
      expect(await hold.get('c')).toEqual({ session: 's', state: 'released' })
      await scene.reserve('d', [])
      await scene.clock.advance(MINUTE)
      await scene.store.expire(10)
      expect(await hold.get('d')).toEqual({ session: 's', state: 'released' })
      await scene.cancel('e')
      expect(await hold.get('e')).toEqual({ session: '', state: 'released' })
      await scene.settle('f', [on(usd, 1n)])
      expect(await hold.get('f')).toEqual({ session: '', state: 'settled' })
    },
  },
  {
    title: 'what is kept with a hold comes back as it was, whatever it is written in',
    async run(scene) {
      const { store, clock } = scene
      const pens = meter('pens | 3 4', 50n)
      const texts = ['', ' ', '7 9 ', 'zwölf Füße 😀', 'a\nb\r\n"{}|c', '-']
      await scene.session({ id: 'ß 1 2', meters: [usd, pens] })
      const charges = [on(usd, 1n), on(pens, 2n)]
      for (const [place, memo] of texts.entries()) {
        const [call, session, once] = [`${memo} ${place}`, 'ß 1 2', `${memo} once`]
        await store.reserve({ call, session, charges, leaseMs: MINUTE, memo, once })
        await store.admit({ call, session, charges, leaseMs: MINUTE })
        await store.renew([call], 2 * MINUTE)
        expect(await store.hold.get(call)).toEqual({ session, state: 'running', memo })
        const again = { call: 'again', session, charges, leaseMs: MINUTE, once }
        expect(await store.admit(again)).toMatchObject({ refused: 'duplicate-call' })
        await clock.advance(MINUTE)
        await store.settle({ call })
        expect(await store.hold.get(call)).toEqual({ session, state: 'settled', memo })
        expect(await store.admit(again)).toMatchObject({ refused: 'duplicate-call' })
      }
      const [first, second] = await store.meters.read([usd, pens])
      expect([first, second]).toMatchObject([
        { used: 6n, held: 0n },
        { used: 12n, held: 0n },
      ])
    },
  },
  {
    title: 'reserving makes a hold even when nothing is charged; admitting nothing makes none',
    async run(scene) {
      await scene.session()
      expect(await scene.reserve('c', [])).toEqual({ ok: true, at: scene.clock.now() })
      expect(await scene.store.hold.get('c')).toEqual({ session: 's', state: 'reserved' })
      await scene.expectAdmitted('d', [])
      expect(await scene.store.hold.get('d')).toBeUndefined()
      await scene.clock.advance(MINUTE)
      expect(await scene.store.expire(10)).toEqual({ released: ['c'], orphaned: [] })
      await scene.expectRefused('c', [], 'unavailable')
    },
  },
  {
    title: 'a reserved hold can not be settled: it stays as it is until it runs',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [on(usd, 30n)])
      for (const spent of [undefined, [], [on(usd, 50n)]]) {
        expect(await scene.settle('c', spent)).toEqual({ state: 'reserved', overrun: false })
      }
      await scene.expectMeter(usd, 0n, 30n)
      await scene.expectAdmitted('c', [on(usd, 30n)])
      expect(await scene.settle('c', [on(usd, 20n)])).toEqual({ state: 'settled', overrun: false })
      await scene.expectMeter(usd, 20n, 0n)
    },
  },
  {
    title: 'an admit of a reserved hold takes nothing more, whatever it charges',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.reserve('c', [on(usd, 30n)])
      await scene.expectAdmitted('c', [on(usd, 50n), on(meter('ghost', 1n), 1n)])
      await scene.expectMeter(usd, 0n, 30n)
      await scene.reserve('d', [on(usd, 1n)])
      await scene.expectAdmitted('d', [])
      await scene.expectMeter(usd, 0n, 31n)
    },
  },
  {
    title: 'a reserved hold of a session that is over, and a hold of another session, can not be admitted',
    async run(scene) {
      await scene.session({ meters: [usd], ttlMs: MINUTE })
      await scene.session({ id: 'o' })
      await scene.reserve('c', [on(usd, 30n)], { leaseMs: 9 * MINUTE })
      for (const verb of ['admit', 'reserve'] as const) {
        expect(await scene[verb]('c', [on(usd, 30n)], { session: 'o' })).toEqual({ ok: false, refused: 'unavailable' })
      }
      expect(await scene.store.hold.get('c')).toEqual({ session: 's', state: 'reserved' })
      await scene.clock.advance(MINUTE)
      await scene.expectRefused('c', [on(usd, 30n)], 'session-expired')
      expect(await scene.cancel('c')).toEqual({ state: 'released', overrun: false })
      await scene.expectMeter(usd, 0n, 0n)
    },
  },
]
