/** A memory store that breaks a promise, and which cases of the store contract notice it. */
import type { Clock, Store } from '@haldir/core'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { Scene } from '../../packages/testing/src/store-contract/scene.ts'
import { STORE_CHAPTERS } from '../../packages/testing/src/store-contract.ts'
import { failing } from './broken.ts'

/** What of a sound store is done otherwise. */
export type Break = (store: Store, clock: Clock) => Partial<Store>

/** The titles of the cases that fail. */
export const run = (broken: Break = () => ({}), only?: readonly string[]): Promise<string[]> =>
  failing(
    STORE_CHAPTERS,
    async () => {
      const clock = fakeClock()
      const store = memoryStore({ clock })
      const wrong = { ...store, ...broken(store, clock) }
      // The other process keeps its promises.
      return { scene: new Scene(wrong, clock, () => store), close: async () => {} }
    },
    () => true,
    only,
  )

/** An answer of the store, one turn later. */
export const later = async <T>(answer: T): Promise<Awaited<T>> => {
  await new Promise((resolve) => setImmediate(resolve))
  return await answer
}
