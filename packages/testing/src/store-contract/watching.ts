import type { Hint } from '@haldir/core'
import { expect } from 'vitest'
import { ask, decided } from './asking.ts'
import { HOUR, MINUTE, type Scene, type StoreCase } from './scene.ts'

/** How long a hint may take, by the machine's clock, before it counts as lost. */
const PATIENCE_MS = 5_000

type About = 'sessions' | 'approvals'

/** What one watcher has heard. */
class Heard {
  readonly hints: Hint[] = []
  readonly stop: () => void

  constructor({ store }: Scene) {
    if (!store.watch) throw new Error('this store tells nobody of changes')
    this.stop = store.watch((hint) => void this.hints.push(hint))
  }

  has(about: About, id: string): boolean {
    return this.hints.some((hint) => hint.about === 'everything' || (hint.about === about && hint.ids.includes(id)))
  }
}

/**
 * Waits until something is so. A store may tell of a change by a timer of the clock it was given, or when a server calls:
 * both go on while we wait, and neither takes long.
 */
async function until({ clock }: Scene, so: () => boolean | Promise<boolean>): Promise<boolean> {
  const end = performance.now() + PATIENCE_MS
  while (!(await so())) {
    if (performance.now() > end) return false
    await clock.advance(5)
    await new Promise((wake) => setTimeout(wake, 2))
  }
  return true
}

/** Asserts that a watcher is told of each of these, and that what it is told of can be seen by then. */
async function expectTold(scene: Scene, heard: Heard, about: About, ids: readonly string[]): Promise<void> {
  await until(scene, () => ids.every((id) => heard.has(about, id)))
  expect(ids.filter((id) => heard.has(about, id))).toEqual(ids)
  heard.hints.length = 0
}

/** What every hint is about, done by one store object and heard by a watcher of `at`. */
const TOLD: readonly (readonly [title: string, (at: Scene, by: Scene) => Promise<void>])[] = [
  [
    'revoking tells of the session and of everything delegated from it',
    async (at, by) => {
      await by.session({ id: 'root' })
      await by.session({ id: 'child', chain: ['root'] })
      await by.session({ id: 'grandchild', chain: ['root', 'child'] })
      const heard = new Heard(at)
      await by.store.session.revokeTree('root')
      await expectTold(at, heard, 'sessions', ['root', 'child', 'grandchild'])
      for (const id of ['root', 'child', 'grandchild']) {
        expect(await at.store.session.get({ id })).toHaveProperty('revokedAt')
      }
    },
  ],
  [
    'who is told of a change, and looks, sees it',
    async (at, by) => {
      await by.session()
      const looks: Promise<boolean>[] = []
      const look = async () => (await at.store.session.get({ id: 's' }))?.revokedAt !== undefined
      const stop = at.store.watch?.(() => void looks.push(look()))
      await by.store.session.revokeTree('s')
      expect(await until(at, async () => (await Promise.all(looks)).includes(true))).toBe(true)
      stop?.()
    },
  ],
  [
    'suspending and resuming tell of every session that stands still, or may act again',
    async (at, by) => {
      await by.session({ id: 'root' })
      await by.session({ id: 'child', chain: ['root'] })
      const heard = new Heard(at)
      await by.store.session.suspendTree('root', 'r')
      await expectTold(at, heard, 'sessions', ['root', 'child'])
      expect(await at.store.session.get({ id: 'child' })).toHaveProperty('suspended')
      await by.store.session.resumeTree('root')
      await expectTold(at, heard, 'sessions', ['root', 'child'])
      expect(await at.store.session.get({ id: 'child' })).not.toHaveProperty('suspended')
    },
  ],
  [
    'extending tells of the session',
    async (at, by) => {
      const { expiresAt } = await by.session()
      const heard = new Heard(at)
      await by.store.session.extend('s', 2 * HOUR)
      await expectTold(at, heard, 'sessions', ['s'])
      expect((await at.store.session.get({ id: 's' }))?.expiresAt).toBeGreaterThan(expiresAt)
    },
  ],
  [
    'asking for an approval, changing it and using it tell of it',
    async (at, by) => {
      await by.session()
      const heard = new Heard(at)
      await ask(by)
      await expectTold(at, heard, 'approvals', ['p'])
      expect(await at.store.approval.get('p')).toMatchObject({ state: 'pending' })
      await by.store.approval.change('p', 1, { state: 'denied' })
      await expectTold(at, heard, 'approvals', ['p'])
      expect(await at.store.approval.get('p')).toMatchObject({ state: 'denied' })
      await by.store.approval.use('p', 'c')
      await expectTold(at, heard, 'approvals', ['p'])
      expect(await at.store.approval.get('p')).toMatchObject({ usedBy: 'c' })
    },
  ],
  [
    'an admit that uses an approval tells of it',
    async (at, by) => {
      await by.session()
      await decided(by, { state: 'approved' })
      const heard = new Heard(at)
      await by.expectAdmitted('c', [], { consent: { id: 'p', binding: 'b' } })
      await expectTold(at, heard, 'approvals', ['p'])
      expect(await at.store.approval.get('p')).toMatchObject({ usedBy: 'c' })
    },
  ],
  [
    'ending an approval whose time is over tells of it',
    async (at, by) => {
      await by.session()
      await ask(by, { ttlMs: MINUTE })
      await by.clock.advance(MINUTE)
      const heard = new Heard(at)
      // The store's now may be behind the clock that was just moved on.
      await until(by, async () => (await by.store.approval.expire(9)).length > 0)
      await expectTold(at, heard, 'approvals', ['p'])
      expect(await at.store.approval.get('p')).toMatchObject({ state: 'expired' })
    },
  ],
]

/** Of a store that has `watch`. */
export const WATCHING: readonly StoreCase[] = [
  ...TOLD.map(([title, run]) => ({ title, run: (scene: Scene) => run(scene, scene) })),
  {
    title: 'a watcher that has stopped hears nothing, and the others go on',
    async run(scene) {
      await scene.session({ id: 'one' })
      await scene.session({ id: 'two' })
      const [gone, stays] = [new Heard(scene), new Heard(scene)]
      await scene.store.session.revokeTree('one')
      await until(scene, () => gone.has('sessions', 'one'))
      await expectTold(scene, stays, 'sessions', ['one'])
      gone.stop()
      // Twice is once.
      gone.stop()
      gone.hints.length = 0
      await scene.store.session.revokeTree('two')
      await expectTold(scene, stays, 'sessions', ['two'])
      await scene.clock.advance(1_000)
      expect(gone.hints).toEqual([])
      stays.stop()
    },
  },
  {
    title: 'one function that watches twice and stops once still hears',
    async run(scene) {
      await scene.session()
      const hints: Hint[] = []
      const listener = (hint: Hint) => void hints.push(hint)
      const stops = [scene.store.watch?.(listener), scene.store.watch?.(listener)]
      stops[0]?.()
      await scene.store.session.revokeTree('s')
      expect(await until(scene, () => hints.length > 0)).toBe(true)
      stops[1]?.()
    },
  },
  {
    title: 'a watcher that throws or rejects harms neither the verb nor the others',
    async run(scene) {
      await scene.session({ id: 'one' })
      await scene.session({ id: 'two' })
      let told = 0
      scene.store.watch?.(() => {
        told++
        throw new Error('a watcher that throws')
      })
      scene.store.watch?.((async () => {
        throw new Error('a watcher that rejects')
      }) as () => void)
      const heard = new Heard(scene)
      for (const id of ['one', 'two']) {
        expect(await scene.store.session.revokeTree(id)).toEqual([id])
        await expectTold(scene, heard, 'sessions', [id])
      }
      expect(told).toBeGreaterThan(1)
    },
  },
  {
    title: 'a watcher is told after the verb and may ask the store, never inside of it or of another watcher',
    async run(scene) {
      for (const id of ['one', 'two']) await scene.session({ id })
      let inside = 0
      let deepest = 0
      const told = new Set<string>()
      scene.store.watch?.((hint) => {
        deepest = Math.max(deepest, ++inside)
        // From inside of a hint: what it changes is told of later.
        if (told.size === 0) void scene.store.session.revokeTree('two')
        for (const id of hint.about === 'sessions' ? hint.ids : ['one', 'two']) told.add(id)
        inside--
      })
      inside++
      const revoking = scene.store.session.revokeTree('one')
      inside--
      await revoking
      expect(await until(scene, () => told.size === 2)).toBe(true)
      const revoked = async () => (await scene.store.session.get({ id: 'two' }))?.revokedAt !== undefined
      expect(await until(scene, revoked)).toBe(true)
      expect(deepest).toBe(1)
    },
  },
]

/** Of one that has `watch` and can be opened again: what another process does is told. */
export const WATCHING_OTHERS: readonly StoreCase[] = TOLD.map(([title, run]) => ({
  title: `${title}, done by another process`,
  async run(scene: Scene) {
    await run(scene, await scene.reopened(scene.clock))
  },
}))
