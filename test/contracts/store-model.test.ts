/** Random commands on a store and on a naive reference, side by side: every answer and every sum is the same. */
import { describe, it } from 'vitest'
import { proves } from '../promises.ts'
import { followsInFiles, followsInMemory } from './store-following.ts'
import { storeRuns } from './store-runs.ts'

proves('invariant-3', 'invariant-4', 'invariant-5', 'invariant-9', 'invariant-10')

describe('a store, against a naive reference', () => {
  it('memory: every answer and every sum is the same', { timeout: 480_000 }, () => followsInMemory(storeRuns, 2_000))

  it('sqlite: every answer and every sum is the same, whenever the process dies', { timeout: 480_000 }, () =>
    followsInFiles(storeRuns, 1_000),
  )
})
