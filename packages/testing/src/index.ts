/** `@haldir/testing`: for those who test with Haldir, or write a store of their own. */

export { type AdapterDriver, adapterContract } from './adapter-contract.ts'
export { type FakeClock, fakeClock, fakeIds } from './clock.ts'
export { type OpenedStore, type StoreContract, storeContract } from './store-contract.ts'
