import { fakeClock, fakeIds } from '@haldir/testing/clock'

/** A clock that stands still until the next day comes, and ids that count, for a page that reads the same every time. */
export const clock = fakeClock()
export const ids = fakeIds('id')
export const nextDay = (): Promise<void> => clock.advance(86_400_000)
