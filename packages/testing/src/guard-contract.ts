/**
 * What every guard keeps, as a suite: give it a way to open yours, with calls that it should allow and refuse, inside a
 * test file of vitest. Guards are asked as a real haldir asks them, and alone.
 */
import type { MaybePromise } from '@haldir/core'
import { FAILING, SAYING, SHOWN, STRICTER } from './guard-contract/cases.ts'
import { type GuardCase, GuardScene, type OpenedGuard } from './guard-contract/scene.ts'
import { register } from './suite.ts'

export type { OpenedGuard, SampleCall } from './guard-contract/scene.ts'

export interface GuardContract {
  readonly name: string
  open(): MaybePromise<OpenedGuard>
  /** Cases this guard can't pass, by title, each with the reason. A title that is no case fails the suite. */
  readonly skip?: Readonly<Record<string, string>>
  /** Why nothing can be broken, of a guard that asks nobody. */
  readonly lacks?: { readonly break?: string }
}

/** @internal */
export const GUARD_CHAPTERS: Readonly<Record<string, readonly GuardCase[]>> = {
  'what it says': SAYING,
  'it can only be stricter': STRICTER,
  'the call it is shown': SHOWN,
  'when it can not say': FAILING,
}

/** @internal */
export function guardOffers({ opened }: GuardScene, need: string): boolean {
  return need === 'break' && opened.break !== undefined && opened.mend !== undefined
}

/** Registers the suite with vitest. */
export function guardContract({ name, open, skip, lacks }: GuardContract): void {
  register({
    title: `the guard contract: ${name}`,
    chapters: GUARD_CHAPTERS,
    accounted: ['break'],
    offers: guardOffers,
    skip,
    lacks,
    async open() {
      const opened = await open()
      return { scene: new GuardScene(opened), close: async () => opened.close?.() }
    },
  })
}
