/** `@haldir/testing`: for those who test with Haldir, or write a store of their own. */
export { type FakeClock, fakeClock, fakeIds } from './clock.ts'
