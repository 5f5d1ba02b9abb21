import { expect } from 'vitest'
import {
  HOUR,
  MINUTE,
  meter,
  type NewMeter,
  newSession,
  type Scene,
  type SceneSession,
  type StoreCase,
} from './scene.ts'

type Cap = NonNullable<Parameters<Scene['store']['session']['create']>[2]>[number]

const sessions: Cap = { count: 'sessions', per: 'tenant', limit: 2 }
const agents: Cap = { count: 'agents', per: 'tenant', limit: 2 }
const own: Cap = { count: 'sessions', per: 'agent', limit: 2 }

function create(scene: Scene, of: SceneSession, caps: readonly Cap[], meters: readonly NewMeter[] = []) {
  return scene.store.session.create(newSession(of), meters, caps)
}

async function expectMade(scene: Scene, of: SceneSession, ...caps: Cap[]): Promise<void> {
  expect(await create(scene, of, caps)).toMatchObject({ id: of.id })
}

async function expectCapped(scene: Scene, of: SceneSession, cap: Cap, ...others: Cap[]): Promise<void> {
  expect(await create(scene, of, [...others, cap])).toEqual({ refused: 'quota-exceeded', cap })
  expect(await scene.store.session.get({ id: of.id as string })).toBeUndefined()
}

export const CAPS: readonly StoreCase[] = [
  {
    title: 'no more sessions of a tenant live at once than its cap allows; other tenants have their own',
    async run(scene) {
      await expectMade(scene, { id: '1', agent: 'a' }, sessions)
      await expectMade(scene, { id: '2', agent: 'b' }, sessions)
      await expectCapped(scene, { id: '3', agent: 'c' }, sessions)
      await expectMade(scene, { id: '4', tenant: 'other' }, sessions)
    },
  },
  {
    title: 'no more agents of a tenant live at once than its cap allows, however many sessions each has',
    async run(scene) {
      await expectMade(scene, { id: '1', agent: 'a' }, agents)
      await expectMade(scene, { id: '2', agent: 'b' }, agents)
      await expectMade(scene, { id: '3', agent: 'b' }, agents)
      await expectCapped(scene, { id: '4', agent: 'c' }, agents)
      await scene.store.session.revokeTree('2')
      await expectCapped(scene, { id: '4', agent: 'c' }, agents)
      await scene.store.session.revokeTree('3')
      await expectMade(scene, { id: '4', agent: 'c' }, agents)
    },
  },
  {
    title:
      'no more sessions of one agent live at once than its cap allows; other agents, and its name elsewhere, do not count',
    async run(scene) {
      await expectMade(scene, { id: '1' }, own)
      await expectMade(scene, { id: '2', tenant: 'other' }, own)
      await expectMade(scene, { id: '3', agent: 'b' }, own)
      await expectMade(scene, { id: '4' }, own)
      await expectCapped(scene, { id: '5' }, own)
      await expectMade(scene, { id: '6', agent: 'b' }, own)
    },
  },
  {
    title: 'a session that was revoked or has ended makes room, at the millisecond it ends',
    async run(scene) {
      await expectMade(scene, { id: '1', ttlMs: MINUTE }, sessions)
      await expectMade(scene, { id: '2' }, sessions)
      await scene.clock.advance(MINUTE - 1)
      await expectCapped(scene, { id: '3' }, sessions)
      await scene.clock.advance(1)
      await expectMade(scene, { id: '3' }, sessions)
      await expectCapped(scene, { id: '4' }, sessions)
      await scene.store.session.revokeTree('2')
      await expectMade(scene, { id: '4' }, sessions)
      await expectCapped(scene, { id: '5' }, sessions)
    },
  },
  {
    title: 'a session that was extended is counted to its new end',
    async run(scene) {
      await expectMade(scene, { id: '1', ttlMs: MINUTE }, sessions)
      await expectMade(scene, { id: '2' }, sessions)
      await scene.store.session.extend('1', HOUR)
      await scene.clock.advance(30 * MINUTE)
      await expectCapped(scene, { id: '3' }, sessions)
    },
  },
  {
    title: 'a session that is delegated counts like any other',
    async run(scene) {
      await expectMade(scene, { id: '1' }, agents, sessions)
      await expectMade(scene, { id: '2', agent: 'b', chain: ['1'] }, agents, sessions)
      await expectCapped(scene, { id: '3', agent: 'c', chain: ['1', '2'] }, agents)
      await expectCapped(scene, { id: '3', agent: 'c', chain: ['1', '2'] }, sessions)
    },
  },
  {
    title: 'sessions made without a cap are counted by those that have one, and a lower cap ends none',
    async run(scene) {
      for (const id of ['1', '2', '3']) await scene.session({ id })
      await expectCapped(scene, { id: '4' }, sessions)
      await scene.expectAdmitted('c', [], { session: '3' })
      await expectMade(scene, { id: '4' }, { ...sessions, limit: 4 })
      await expectMade(scene, { id: '5' })
    },
  },
  {
    title: 'the first cap that leaves no room is named; a cap of none leaves room for nothing',
    async run(scene) {
      await expectMade(scene, { id: '1' }, sessions, agents, own)
      await expectMade(scene, { id: '2' }, sessions, agents, own)
      await expectCapped(scene, { id: '3' }, own, agents)
      for (const cap of [sessions, agents, own]) {
        await expectCapped(scene, { id: '9', tenant: 'empty' }, { ...cap, limit: 0 })
      }
    },
  },
  {
    title: 'a session that was refused leaves nothing behind: its id, its token and its meters are free',
    async run(scene) {
      const usd = meter('usd', 5n)
      await expectMade(scene, { id: '1' }, sessions)
      await expectMade(scene, { id: '2' }, sessions)
      expect(await create(scene, { id: '3' }, [sessions], [usd])).toMatchObject({ refused: 'quota-exceeded' })
      expect(await scene.store.session.get({ tokenHash: 'hash of 3' })).toBeUndefined()
      expect(await scene.store.meters.read([{ key: 'usd', window: 'total' }])).toEqual([undefined])
      expect(await create(scene, { id: '3' }, [{ ...sessions, limit: 3 }], [usd])).toMatchObject({ id: '3' })
    },
  },
  {
    title: 'of many sessions made at once exactly as many are made as the cap allows',
    async run(scene) {
      const cap: Cap = { count: 'sessions', per: 'tenant', limit: 7 }
      const all = Array.from({ length: 40 }, (_, n) => create(scene, { id: `${n}`, agent: `${n % 9}` }, [cap]))
      const made = await Promise.all(all)
      expect(made.filter((one) => !('refused' in one))).toHaveLength(7)
      expect(made.filter((one) => 'refused' in one)).toEqual(Array(33).fill({ refused: 'quota-exceeded', cap }))
    },
  },
]
