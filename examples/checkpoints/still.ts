import { fakeClock, fakeIds } from '@haldir/testing/clock'

/** Time that stands still, ids that count and keys that nobody should use, for a page that reads the same every time. */
export const still = {
  clock: fakeClock(),
  ids: fakeIds('id'),
  random: (bytes: number) => new Uint8Array(bytes).fill(7),
}
