import type { HaldirOptions } from '@haldir/core'
import { fakeClock, fakeIds } from '@haldir/testing/clock'

let count = 0

/** Time that stands still, ids and random bytes that count, for a page that reads the same every time. */
export const still: Pick<HaldirOptions, 'clock' | 'ids' | 'random'> = {
  clock: fakeClock(),
  ids: fakeIds('id'),
  random: (bytes) => Buffer.alloc(bytes, ++count),
}
