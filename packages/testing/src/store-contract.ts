/**
 * What every store keeps, as a suite: give it a way to open yours, inside a test file of vitest. Each test gets a store
 * of its own, empty, with a clock that stands still; amounts are small whole micro-units.
 */
import type { Clock, MaybePromise, Store } from '@haldir/core'
import { afterEach, describe, expect, test } from 'vitest'
import { fakeClock } from './clock.ts'
import { ADMIT } from './store-contract/admit.ts'
import { CAPS } from './store-contract/caps.ts'
import { CONSENTS } from './store-contract/consents.ts'
import { DECIDING } from './store-contract/deciding.ts'
import { EXPIRY } from './store-contract/expiry.ts'
import { EXTENDING } from './store-contract/extending.ts'
import { FINDING_APPROVALS } from './store-contract/finding-approvals.ts'
import { HOLDS } from './store-contract/holds.ts'
import { ONCE } from './store-contract/once.ts'
import { PERSISTENCE } from './store-contract/persistence.ts'
import { RATES } from './store-contract/rates.ts'
import { REQUESTING } from './store-contract/requesting.ts'
import { Scene, type StoreCase } from './store-contract/scene.ts'
import { SECRETS } from './store-contract/secrets.ts'
import { SESSIONS } from './store-contract/sessions.ts'
import { SETTLE } from './store-contract/settle.ts'
import { STANDING } from './store-contract/standing.ts'
import { SUSPENDING } from './store-contract/suspending.ts'
import { TELLING } from './store-contract/telling.ts'
import { WATCHING, WATCHING_OTHERS } from './store-contract/watching.ts'
import { WINDOWS } from './store-contract/windows.ts'
import { ZONES } from './store-contract/zones.ts'

export interface StoreContract {
  readonly name: string
  /** Opens an empty store that reads this clock. */
  open(options: { readonly clock: Clock }): MaybePromise<OpenedStore>
  /** Tests this store can't pass, by name, and why. A name that is no test of the contract fails the suite. */
  readonly skip?: readonly { readonly reason: string; readonly tests: readonly string[] }[]
}

export interface OpenedStore {
  readonly store: Store
  /** Opens the same data once more, as another process would after this one has died. Absent: nothing is kept. */
  reopen?(options: { readonly clock: Clock }): MaybePromise<Store>
  /** Closes what was opened and removes the data. */
  close(): MaybePromise<void>
}

/** @internal */
export const STORE_CHAPTERS: Readonly<Record<string, readonly StoreCase[]>> = {
  sessions: SESSIONS,
  'extending sessions': EXTENDING,
  'suspending sessions': SUSPENDING,
  'caps on sessions and agents': CAPS,
  admit: ADMIT,
  holds: HOLDS,
  'settle and cancel': SETTLE,
  leases: EXPIRY,
  'calendar windows': WINDOWS,
  'calendars of zones': ZONES,
  'standing meters': STANDING,
  rates: RATES,
  '`once` keys': ONCE,
  'asking for approvals': REQUESTING,
  'deciding approvals': DECIDING,
  'finding and forgetting approvals': FINDING_APPROVALS,
  'telling channels of approvals': TELLING,
  'admits that present an approval': CONSENTS,
  'secrets and writers': SECRETS,
  'what is kept': PERSISTENCE,
  watching: WATCHING,
  'watching other processes': WATCHING_OTHERS,
}

/** Chapters of what opens the same data once more. @internal */
export const REOPENING: readonly string[] = ['what is kept', 'watching other processes']

export function storeContract({ name, open, skip = [] }: StoreContract): void {
  const reasons = new Map(skip.flatMap(({ reason, tests }) => tests.map((title) => [title, reason] as const)))
  const opened: OpenedStore[] = []

  function declare({ title, run }: StoreCase, group: string): void {
    const reason = reasons.get(title)
    if (reason !== undefined) {
      test.skip(`${title} (${reason})`, () => {})
      return
    }
    test(title, async ({ skip: leaveOut }) => {
      const clock = fakeClock()
      const one = await open({ clock })
      opened.push(one)
      leaveOut(REOPENING.includes(group) && !one.reopen, 'this store keeps nothing')
      leaveOut(group.startsWith('watching') && !one.store.watch, 'this store tells nobody of changes')
      await run(new Scene(one.store, clock, one.reopen?.bind(one)))
    })
  }

  describe(`the store contract: ${name}`, () => {
    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close()
    })

    for (const [group, cases] of Object.entries(STORE_CHAPTERS)) {
      describe(group, () => {
        for (const one of cases) declare(one, group)
      })
    }

    test('every skipped test is one of the contract', () => {
      const titles = Object.values(STORE_CHAPTERS)
        .flat()
        .map(({ title }) => title)
      expect(titles).toEqual(expect.arrayContaining([...reasons.keys()]))
    })
  })
}
