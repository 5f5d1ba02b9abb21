import { expect } from 'vitest'
import { ask, decided } from './asking.ts'
import { DAY, HOUR, MINUTE, type Scene, type StoreCase } from './scene.ts'

type Query = Parameters<Scene['store']['approval']['find']>[0]

/** Asserts which approval is meant; `undefined`: none. */
async function expectFound(scene: Scene, query: Query, id: string | undefined): Promise<void> {
  const row = await scene.store.approval.find(query)
  expect(row?.id).toBe(id)
  expect(row).toEqual(id === undefined ? undefined : await scene.store.approval.get(id))
}

async function ids(scene: Scene, filter: Parameters<Scene['store']['approval']['list']>[0]): Promise<string> {
  return (await scene.store.approval.list(filter)).map(({ id }) => id).join(' ')
}

export const FINDING_APPROVALS: readonly StoreCase[] = [
  {
    title: 'the newest with a `ref` is found, whatever has become of it',
    async run(scene) {
      await scene.session({ ttlMs: 9 * DAY })
      await scene.session({ id: 'o' })
      const query = { session: 's', tool: 'charge', ref: 'r' }
      await expectFound(scene, query, undefined)
      await ask(scene, { id: '1', ref: 'r' })
      await expectFound(scene, query, '1')
      await ask(scene, { id: '2', ref: 'r' })
      await ask(scene, { id: 'other ref', ref: 'r2' })
      await ask(scene, { id: 'other tool', ref: 'r', tool: 'search' })
      await ask(scene, { id: 'other session', ref: 'r', session: 'o' })
      await ask(scene, { id: 'no ref' })
      await expectFound(scene, query, '2')
      await scene.store.approval.change('1', 1, { state: 'approved' })
      await expectFound(scene, query, '2')
      await scene.store.approval.change('2', 1, { state: 'withdrawn' })
      await scene.store.approval.use('2', 'c')
      await scene.clock.advance(DAY)
      await scene.store.approval.expire(9)
      await expectFound(scene, query, '2')
    },
  },
  {
    title: 'by what the yes is for, the newest is found that has no `ref`, is not used and not over',
    async run(scene) {
      await scene.session({ ttlMs: 9 * DAY })
      await scene.session({ id: 'o' })
      const query = { session: 's', binding: 'b' }
      await ask(scene, { id: 'with ref', ref: 'r' })
      await ask(scene, { id: 'other', binding: 'b2' })
      await ask(scene, { id: 'other session', session: 'o' })
      await expectFound(scene, query, undefined)
      await ask(scene, { id: '1' })
      await ask(scene, { id: '2', ttlMs: MINUTE })
      await expectFound(scene, query, '2')
      await scene.store.approval.change('2', 1, { state: 'approved' })
      await expectFound(scene, query, '2')
      await scene.clock.advance(MINUTE)
      await expectFound(scene, query, '1')
      await scene.store.approval.change('1', 1, { state: 'approved' })
      await scene.store.approval.use('1', 'c')
      await expectFound(scene, query, undefined)
      await decided(scene, { state: 'withdrawn' }, { id: '3' })
      await ask(scene, { id: '4', ttlMs: MINUTE })
      await scene.clock.advance(MINUTE - 1)
      await expectFound(scene, query, '4')
      await scene.clock.advance(1)
      await expectFound(scene, query, undefined)
      await scene.store.approval.expire(9)
      await expectFound(scene, query, undefined)
    },
  },
  {
    title: 'a denial is found by what it was for until it is used, also after its end',
    async run(scene) {
      await scene.session({ ttlMs: 9 * DAY })
      await decided(scene, { state: 'denied' })
      await scene.clock.advance(2 * DAY)
      await scene.store.approval.expire(9)
      await expectFound(scene, { session: 's', binding: 'b' }, 'p')
      await ask(scene, { id: 'q' })
      await expectFound(scene, { session: 's', binding: 'b' }, 'q')
      await scene.store.approval.change('q', 1, { state: 'withdrawn' })
      await scene.store.approval.use('p', 'c')
      await expectFound(scene, { session: 's', binding: 'b' }, undefined)
    },
  },
  {
    title: 'what the yes is for can be changed: it is found by what it is for now, and is no newer for it',
    async run(scene) {
      await scene.session()
      for (const [id, binding] of [
        ['1', 'b'],
        ['2', 'b2'],
      ] as const)
        await ask(scene, { id, binding })
      await scene.store.approval.change('1', 1, { binding: 'b2' })
      await expectFound(scene, { session: 's', binding: 'b' }, undefined)
      await expectFound(scene, { session: 's', binding: 'b2' }, '2')
      await scene.store.approval.change('2', 1, { binding: 'b3' })
      await expectFound(scene, { session: 's', binding: 'b2' }, '1')
    },
  },
  {
    title: 'a grant is found from when it is given until its end, to the millisecond, used or not',
    async run(scene) {
      await scene.session()
      await scene.session({ id: 'o' })
      const query = { session: 's', grant: 'g' }
      const grant = { binding: 'g' }
      await decided(scene, { state: 'approved' }, { id: 'not given', grant })
      await decided(scene, { state: 'denied', grantMs: HOUR }, { id: 'denied', grant })
      await decided(scene, { grantMs: HOUR }, { id: 'pending', grant })
      await decided(scene, { state: 'approved', grantMs: HOUR }, { id: 'other', grant: { binding: 'g2' } })
      await decided(scene, { state: 'approved', grantMs: HOUR }, { id: 'other session', grant, session: 'o' })
      await decided(scene, { state: 'approved' }, { id: 'binding', binding: 'g' })
      await expectFound(scene, query, undefined)
      await decided(scene, { state: 'approved', grantMs: 20 * MINUTE }, { id: '1', grant, ref: 'r' })
      await decided(scene, { state: 'approved', grantMs: 10 * MINUTE }, { id: '2', grant })
      await scene.store.approval.use('1', 'c')
      await scene.store.approval.use('2', 'd')
      await scene.clock.advance(10 * MINUTE - 1)
      await expectFound(scene, query, '2')
      await scene.clock.advance(1)
      await expectFound(scene, query, '1')
      await scene.clock.advance(10 * MINUTE)
      await expectFound(scene, query, undefined)
    },
  },
  {
    title: 'approvals are listed the newest first, no more than asked for, and only those that are meant',
    async run(scene) {
      await scene.session()
      await scene.session({ id: 'o' })
      await ask(scene, { id: '1', tenant: 'u' })
      await ask(scene, { id: '2', session: 'o' })
      await scene.clock.advance(MINUTE)
      await decided(scene, { state: 'denied' }, { id: '3', agent: 'x' })
      await ask(scene, { id: '4', agent: 'x' })
      expect(await ids(scene, { limit: 9 })).toBe('4 3 2 1')
      expect(await ids(scene, { limit: 2 })).toBe('4 3')
      expect(await ids(scene, { limit: 0 })).toBe('')
      expect(await ids(scene, { tenant: 't', limit: 9 })).toBe('4 3 2')
      expect(await ids(scene, { session: 'o', limit: 9 })).toBe('2')
      expect(await ids(scene, { agent: 'x', limit: 9 })).toBe('4 3')
      expect(await ids(scene, { state: 'pending', limit: 9 })).toBe('4 2 1')
      expect(await ids(scene, { state: 'pending', limit: 2 })).toBe('4 2')
      expect(await ids(scene, { state: 'denied', limit: 9 })).toBe('3')
      expect(await ids(scene, { tenant: 't', session: 's', agent: 'x', state: 'pending', limit: 9 })).toBe('4')
      expect(await ids(scene, { tenant: 'u', session: 'o', limit: 9 })).toBe('')
      const [row] = await scene.store.approval.list({ limit: 1 })
      expect(row).toEqual(await scene.store.approval.get('4'))
    },
  },
  {
    title: 'a thousand that are over are ended, the longest over first, no more at once than asked for',
    async run(scene) {
      await scene.session()
      for (let n = 0; n < 1_000; n++) await ask(scene, { id: `p${n}`, ttlMs: n < 500 ? 20 * MINUTE : 10 * MINUTE })
      await ask(scene, { id: 'decided', ttlMs: MINUTE })
      await scene.store.approval.change('decided', 1, { state: 'approved' })
      await scene.clock.advance(10 * MINUTE - 1)
      expect(await scene.store.approval.expire(2_000)).toEqual([])
      await scene.clock.advance(1)
      expect(await scene.store.approval.expire(2_000)).toHaveLength(500)
      await ask(scene, { id: 'last', ttlMs: MINUTE })
      await scene.clock.advance(10 * MINUTE)
      const ended = await scene.store.approval.expire(300)
      expect(ended).toHaveLength(300)
      for (const row of [...ended.slice(0, 2), ended.at(-1)]) {
        expect(row).toMatchObject({ state: 'expired', version: 2, decidedAt: scene.clock.now() })
        expect(row).toEqual(await scene.store.approval.get(row?.id ?? ''))
      }
      const rest = await scene.store.approval.expire(300)
      expect(ended[0]).toMatchObject({ id: 'last' })
      expect(rest).toHaveLength(201)
      expect(new Set([...ended, ...rest].map(({ id }) => id)).size).toBe(501)
      expect(await scene.store.approval.expire(300)).toEqual([])
      expect(await scene.store.approval.get('decided')).toMatchObject({ state: 'approved' })
    },
  },
  {
    title: 'an approval is remembered for 30 days after it ended, and then forgotten with what channels noted',
    async run(scene) {
      await scene.session({ ttlMs: 90 * DAY })
      const channels = ['c']
      await ask(scene, { id: 'over', channels })
      await scene.clock.advance(HOUR)
      await scene.store.approval.expire(1)
      await decided(scene, { state: 'denied' }, { id: 'denied', channels, ttlMs: DAY })
      await decided(scene, { state: 'withdrawn' }, { id: 'withdrawn', channels, ttlMs: 5 * DAY })
      await decided(scene, { state: 'approved' }, { id: 'good', channels, ttlMs: 5 * DAY })
      await decided(scene, { state: 'approved', grantMs: 5 * DAY }, { id: 'grant', grant: { binding: 'g' }, channels })
      await scene.store.approval.shown('denied', 'c', 2, 'a card')
      const sweep = async () => {
        for (let turn = 0; turn < 9; turn++) await scene.store.approval.expire(1)
      }
      await scene.clock.advance(30 * DAY)
      await sweep()
      expect(await ids(scene, { limit: 9 })).toBe('grant good withdrawn denied over')
      await scene.clock.advance(1)
      await sweep()
      // Someone could still have used these, for five days longer.
      expect(await ids(scene, { limit: 9 })).toBe('grant good')
      for (const id of ['denied', 'over']) {
        expect(await scene.store.approval.get(id)).toBeUndefined()
        expect(await scene.store.approval.note(id, 'c')).toBeUndefined()
      }
      expect(await scene.store.approval.find({ session: 's', binding: 'b' })).toBeUndefined()
      const due = await scene.store.approval.due(channels, 9, MINUTE)
      expect(due.map(({ row }) => row.id)).toEqual(['good', 'grant'])
      await scene.clock.advance(5 * DAY)
      await sweep()
      expect(await ids(scene, { limit: 9 })).toBe('')
      // Forgotten is forgotten: what is asked for now is a new one, whoever was told before.
      await ask(scene, { id: 'denied', channels })
      expect(await scene.store.approval.note('denied', 'c')).toBeUndefined()
      expect(await scene.store.approval.due(channels, 9, MINUTE)).toMatchObject([{ attempt: 1, row: { version: 1 } }])
      // What nobody has ended yet is never forgotten: whoever waits for it has not been told.
      await ask(scene, { id: 'later' })
      await scene.clock.advance(31 * DAY)
      expect(await scene.store.approval.expire(1)).toMatchObject([{ id: 'denied', state: 'expired' }])
      expect(await ids(scene, { limit: 9 })).toBe('later denied')
    },
  },
]
