/** Where it is kept how calls have ended, while the store does not take it: so that it outlives the process. */
import type { Charge } from '../stores/store.ts'

/** How the hold of a call has to end. */
export interface Owed {
  readonly call: string
  /** `settle`: it was spent, all of it or what `spent` says. `cancel`: it is given back. */
  readonly end: 'settle' | 'cancel'
  readonly spent?: readonly Charge[]
}

export interface Journal {
  /** Keeps what the store has not taken. Throws when it can't: then only this process knows of it. */
  keep(owed: Owed): void
  /** The store has taken it. What comes back all the same is taken by the store as what it is: said already. */
  paid(call: string): void
  /**
   * What processes that are gone have left; it is this one's from now on. Throws when something of it can't be read or
   * kept, after all that can be.
   */
  adopt(): Iterable<Owed>
  /** Leaves to others what is not paid. */
  close(): void
}
