/** The store contract notices a store that tells its watchers of changes otherwise than it promises. */
import type { Hint, Store } from '@haldir/core'
import { expect, it } from 'vitest'
import { REOPENING, STORE_CHAPTERS } from '../../packages/testing/src/store-contract.ts'
import { type Break, later, run } from './store-breaking.ts'

type Listener = (hint: Hint) => void
type Verbs = 'session' | 'approval'

/** Tells nothing of what one verb changes. */
function silent<V extends Verbs>(of: V, verb: keyof Store[V]): Break {
  return (store) => {
    let muted = false
    const hushed = async (...args: unknown[]) => {
      muted = true
      const answer = await (store[of][verb] as (...args: unknown[]) => unknown)(...args)
      await later(undefined)
      muted = false
      return answer
    }
    return {
      [of]: { ...store[of], [verb]: hushed },
      watch: (listener) => store.watch?.((hint) => muted || listener(hint)) ?? (() => {}),
    }
  }
}

/** Tells of revokes itself, and of nothing else: `when` it likes. */
function own(when: (tell: () => void, work: () => unknown) => unknown): Break {
  return (store) => {
    const listeners = new Set<{ readonly listener: Listener }>()
    return {
      session: {
        ...store.session,
        revokeTree(id) {
          const tell = () => {
            for (const { listener } of [...listeners]) listener({ about: 'everything' })
          }
          return when(tell, () => store.session.revokeTree(id)) as readonly string[]
        },
      },
      watch(listener) {
        const watcher = { listener }
        listeners.add(watcher)
        return () => void listeners.delete(watcher)
      },
    }
  }
}

const REVOKING = 'revoking tells of the session and of everything delegated from it'
const ASKING = 'asking for an approval, changing it and using it tell of it'

/** What each does wrong, and a case that fails for it. */
const BROKEN: readonly (readonly [wrong: string, broken: Break, caught: string])[] = [
  ['tells nothing of a revoke', silent('session', 'revokeTree'), REVOKING],
  [
    'tells of the session alone that was revoked',
    (store) => ({
      watch: (listener) =>
        store.watch?.((hint) => listener('ids' in hint ? { ...hint, ids: hint.ids.slice(0, 1) } : hint)) ?? (() => {}),
    }),
    REVOKING,
  ],
  [
    'tells nothing of a suspension',
    silent('session', 'suspendTree'),
    'suspending and resuming tell of every session that stands still, or may act again',
  ],
  [
    'tells nothing when a session is resumed',
    silent('session', 'resumeTree'),
    'suspending and resuming tell of every session that stands still, or may act again',
  ],
  ['tells nothing of an extension', silent('session', 'extend'), 'extending tells of the session'],
  ['tells nothing of a request', silent('approval', 'request'), ASKING],
  ['tells nothing of a decision', silent('approval', 'change'), ASKING],
  ['tells nothing of a use', silent('approval', 'use'), ASKING],
  ['tells nothing of what was over', silent('approval', 'expire'), 'ending an approval whose time is over tells of it'],
  [
    'takes the change of one kind for that of another',
    (store) => ({
      watch: (listener) =>
        store.watch?.((hint) => listener('ids' in hint ? { ...hint, about: 'sessions' } : hint)) ?? (() => {}),
    }),
    'an admit that uses an approval tells of it',
  ],
  [
    'tells inside of the verb',
    own((tell, work) => {
      tell()
      return work()
    }),
    'a watcher is told after the verb and may ask the store, never inside of it or of another watcher',
  ],
  [
    'tells before it has changed anything',
    own(async (tell, work) => {
      await later(undefined)
      tell()
      for (let turn = 0; turn < 20; turn++) await later(undefined)
      return work()
    }),
    'who is told of a change, and looks, sees it',
  ],
  [
    'lets what a watcher throws fail the verb',
    own(async (tell, work) => {
      const ids = await work()
      tell()
      return ids
    }),
    'a watcher that throws or rejects harms neither the verb nor the others',
  ],
  [
    'goes on telling who has stopped',
    (store) => ({
      watch(listener) {
        store.watch?.(listener)
        return () => {}
      },
    }),
    'a watcher that has stopped hears nothing, and the others go on',
  ],
  [
    'stops telling everybody when one stops',
    (store) => {
      const stops: (() => void)[] = []
      return {
        watch(listener) {
          stops.push(store.watch?.(listener) ?? (() => {}))
          return () => {
            for (const stop of stops) stop()
          }
        },
      }
    },
    'a watcher that has stopped hears nothing, and the others go on',
  ],
  [
    'takes a function that watches twice for one watcher',
    (store) => {
      const stops = new Map<Listener, () => void>()
      return {
        watch(listener) {
          const stop = stops.get(listener) ?? store.watch?.(listener) ?? (() => {})
          stops.set(listener, stop)
          return stop
        },
      }
    },
    'one function that watches twice and stops once still hears',
  ],
  [
    'tells of what it does itself alone',
    own(async (tell, work) => {
      const ids = await work()
      setImmediate(tell)
      return ids
    }),
    `${REVOKING}, done by another process`,
  ],
]

it('a sound store, and another process on its data, pass every case', async () => {
  const titles = REOPENING.concat('watching')
    .filter((chapter) => chapter.startsWith('watching'))
    .flatMap((chapter) => STORE_CHAPTERS[chapter] ?? [])
    .map(({ title }) => title)
  expect(titles.length).toBeGreaterThan(14)
  expect(await run(undefined, titles)).toEqual([])
})

// They mostly wait for what is never told.
it.concurrent.each(BROKEN)('a store that %s is noticed', async (_, broken, caught) => {
  expect(await run(broken, [caught])).toEqual([caught])
})
