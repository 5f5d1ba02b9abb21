import type { HaldirOptions } from '@haldir/core'
import { fakeClock, fakeIds } from '@haldir/testing/clock'

/** Time that stands still and ids that count, for a page that reads the same every time. */
export const still: Pick<HaldirOptions, 'clock' | 'ids'> = { clock: fakeClock(), ids: fakeIds('id') }
