import { expect } from 'vitest'
import { ask, decided, expectDue } from './asking.ts'
import { DAY, MINUTE, type StoreCase } from './scene.ts'

const channels = ['slack', 'web']

export const TELLING: readonly StoreCase[] = [
  {
    title: 'each channel of an approval has to be told at once, and by one who has taken that on alone',
    async run(scene) {
      await scene.session()
      const row = await ask(scene, { channels: ['slack', 'web', 'slack'] })
      const { due } = scene.store.approval
      const handed = await Promise.all(Array.from({ length: 5 }, async () => due(channels, 9, MINUTE)))
      const each = channels.map((channel) => ({ row, channel, attempt: 1 }))
      expect(handed.flat().sort((a, b) => (a.channel < b.channel ? -1 : 1))).toEqual(each)
      await scene.clock.advance(MINUTE - 1)
      expect(await due(channels, 9, MINUTE)).toEqual([])
      await scene.clock.advance(1)
      for (const attempt of [2, 3]) {
        expect(await due(channels, 9, MINUTE)).toMatchObject(Array(2).fill({ attempt }))
        await scene.clock.advance(MINUTE)
      }
    },
  },
  {
    title: 'what has to be told is handed out for the channels that are named alone',
    async run(scene) {
      await scene.session()
      await ask(scene, { id: '1', channels: ['slack'] })
      await ask(scene, { id: '2', channels: ['web'] })
      await expectDue(scene, ['none'], [])
      await expectDue(scene, [], [])
      await expectDue(scene, ['web', 'none'], ['2→web'])
      await expectDue(scene, channels, ['1→slack'])
    },
  },
  {
    title: 'what has been due the longest is handed out first, no more than asked for',
    async run(scene) {
      await scene.session()
      for (const id of ['1', '2', '3', '4']) {
        await ask(scene, { id, channels: [id === '3' ? 'web' : 'slack'] })
        await scene.clock.advance(1)
      }
      await scene.store.approval.change('1', 1, { data: {} })
      const take = async (limit: number) =>
        (await scene.store.approval.due(['web', 'slack', 'web'], limit, MINUTE)).map(({ row }) => row.id)
      expect(await take(0)).toEqual([])
      expect(await take(1)).toEqual(['2'])
      expect(await take(2)).toEqual(['3', '4'])
      expect(await take(9)).toEqual(['1'])
      expect(await take(9)).toEqual([])
    },
  },
  {
    title: 'a channel that shows it is told again when it has changed, and counted anew',
    async run(scene) {
      await scene.session()
      await ask(scene, { channels })
      const { due, shown, change } = scene.store.approval
      await due(channels, 9, MINUTE)
      await shown('p', 'slack', 1)
      await scene.clock.advance(MINUTE)
      await expectDue(scene, channels, ['p→web'])
      // One shows it, the other is leased: both are due at once.
      await change('p', 1, { data: { votes: 1 } })
      const again = await due(channels, 9, MINUTE)
      expect(again).toMatchObject(Array(2).fill({ attempt: 1, row: { version: 2, data: { votes: 1 } } }))
      await shown('p', 'slack', 2)
      await shown('p', 'web', 2)
      await scene.clock.advance(DAY)
      await expectDue(scene, channels, [])
    },
  },
  {
    title: 'a channel that shows it as it was before has to be told again at once',
    async run(scene) {
      await scene.session()
      await ask(scene, { channels: ['slack'] })
      const { due, shown, change } = scene.store.approval
      await due(channels, 9, MINUTE)
      await change('p', 1, { state: 'approved' })
      await due(channels, 9, MINUTE)
      await shown('p', 'slack', 1, 'card 1')
      expect(await due(channels, 9, MINUTE)).toMatchObject([{ row: { state: 'approved' }, attempt: 2, note: 'card 1' }])
      await shown('p', 'slack', 2)
      await scene.clock.advance(MINUTE)
      await expectDue(scene, channels, [])
      // Whoever had the first delivery comes late, and has perhaps just shown the old one over the new one.
      await shown('p', 'slack', 1)
      await expectDue(scene, channels, ['p→slack'])
    },
  },
  {
    title: 'every way an approval can end is told: decided, withdrawn, expired',
    async run(scene) {
      await scene.session()
      const ids = ['denied', 'withdrawn', 'expired'] as const
      for (const id of ids) {
        await ask(scene, { id, channels: ['slack'] })
        await scene.store.approval.shown(id, 'slack', 1)
      }
      await expectDue(scene, channels, [])
      await scene.store.approval.change('denied', 1, { state: 'denied' })
      await scene.clock.advance(1)
      await scene.store.approval.change('withdrawn', 1, { state: 'withdrawn' })
      await scene.clock.advance(5 * MINUTE)
      await scene.store.approval.expire(9)
      const due = await scene.store.approval.due(channels, 9, MINUTE)
      expect(due.map(({ row }) => [row.id, row.state])).toEqual(ids.map((id) => [id, id]))
    },
  },
  {
    title: 'a channel’s note is kept until there is another, apart from what other channels noted',
    async run(scene) {
      await scene.session()
      await ask(scene, { channels })
      await ask(scene, { id: 'q', channels })
      const { due, shown, note } = scene.store.approval
      expect(await note('p', 'slack')).toBeUndefined()
      expect(await due(channels, 9, 0)).not.toContainEqual(expect.objectContaining({ note: expect.anything() }))
      const card = { ts: '1.2', blocks: [1, null] }
      await shown('p', 'slack', 1, card)
      card.ts = 'changed'
      await shown('p', 'slack', 1)
      await shown('p', 'web', 0, 'elsewhere')
      const kept = { ts: '1.2', blocks: [1, null] }
      const answered = (await note('p', 'slack')) as typeof card
      expect(answered).toEqual(kept)
      answered.blocks.push(2)
      expect(await note('p', 'slack')).toEqual(kept)
      expect(await note('p', 'web')).toBe('elsewhere')
      expect(await note('q', 'slack')).toBeUndefined()
      await scene.store.approval.change('p', 1, { state: 'denied' })
      const told = await due(['slack'], 9, MINUTE)
      expect(told.find(({ row }) => row.id === 'p')?.note).toEqual(kept)
      await shown('p', 'slack', 2, false)
      expect(await note('p', 'slack')).toBe(false)
    },
  },
  {
    title: 'telling it can be put off, to the millisecond; what has changed since is not put off with it',
    async run(scene) {
      await scene.session()
      await ask(scene, { channels: ['slack'] })
      const { due, later, shown, change } = scene.store.approval
      await due(channels, 9, MINUTE)
      await later('p', 'slack', 5_000)
      await scene.clock.advance(4_999)
      await expectDue(scene, channels, [])
      await scene.clock.advance(1)
      expect(await due(channels, 9, MINUTE)).toMatchObject([{ attempt: 2 }])
      await change('p', 1, { state: 'denied' })
      await later('p', 'slack', 5_000)
      expect(await due(channels, 9, MINUTE)).toMatchObject([{ attempt: 1, row: { state: 'denied' } }])
      // Someone else has shown it meanwhile.
      await shown('p', 'slack', 2)
      await later('p', 'slack', 5_000)
      await scene.clock.advance(DAY)
      await expectDue(scene, channels, [])
    },
  },
  {
    title: 'what is said of an approval or a channel that is not known changes nothing',
    async run(scene) {
      await scene.session()
      await decided(scene, { state: 'denied' }, { channels: ['slack'] })
      for (const [id, channel] of [
        ['q', 'slack'],
        ['p', 'web'],
      ] as const) {
        await scene.store.approval.shown(id, channel, 2, 'a card')
        await scene.store.approval.later(id, channel, 0)
        expect(await scene.store.approval.note(id, channel)).toBeUndefined()
      }
      await expectDue(scene, channels, ['p→slack'])
    },
  },
]
