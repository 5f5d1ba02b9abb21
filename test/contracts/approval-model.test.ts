/** Random commands on the approvals of a store and on a naive reference: every answer and every row is the same. */
import { describe, it } from 'vitest'
import { proves } from '../promises.ts'
import { approvalRuns } from './approval-runs.ts'
import { followsInFiles, followsInMemory } from './store-following.ts'

proves('invariant-8')

describe('the approvals of a store, against a naive reference', () => {
  it('memory: every answer and every row is the same', { timeout: 480_000 }, () => followsInMemory(approvalRuns, 3_000))

  it('sqlite: every answer and every row is the same, whenever the process dies', { timeout: 480_000 }, () =>
    followsInFiles(approvalRuns, 500),
  )
})
