/**
 * What every approver keeps, as a suite: give it a way to open yours, inside a test file of vitest. Each case gets a
 * channel of its own and speaks to it as a haldir does; the last ones let a real one do that.
 */
import type { MaybePromise } from '@haldir/core'
import { DECIDING, FORGED } from './approver-contract/deciding.ts'
import { FAILING } from './approver-contract/failing.ts'
import { GOVERNED } from './approver-contract/governed.ts'
import { type ApproverCase, ApproverScene, type OpenedApprover } from './approver-contract/scene.ts'
import { ENDS, SHOWING } from './approver-contract/showing.ts'
import type { FakeClock } from './clock.ts'
import { register } from './suite.ts'

export type { OpenedApprover, Person, PersonAnswer, Shown } from './approver-contract/scene.ts'

/** What only the driver of an approver can offer; see `OpenedApprover`. `break` goes with `mend`, `other` is a person. */
export type ApproverWays = 'decide' | 'other' | 'another' | 'forgeries' | 'replay' | 'break'

export interface ApproverContract {
  readonly name: string
  /** Opens a channel of its own, whose time is this clock's; `open` of the approver itself is called by the cases. */
  open(options: { readonly clock: FakeClock }): MaybePromise<OpenedApprover>
  /** Cases this approver can't pass, by title, each with the reason. A title that is no case fails the suite. */
  readonly skip?: Readonly<Record<string, string>>
  /** What the driver does not offer, each with the reason; what needs it is left out. */
  readonly lacks?: Readonly<Partial<Record<ApproverWays, string>>>
}

/** @internal */
export const APPROVER_CHAPTERS: Readonly<Record<string, readonly ApproverCase[]>> = {
  'what people see': SHOWING,
  'when it is over': ENDS,
  'what people say': DECIDING,
  'what nobody said': FORGED,
  'when it can not be reached': FAILING,
  'under a haldir': GOVERNED,
}

const WAYS: readonly ApproverWays[] = ['decide', 'other', 'another', 'forgeries', 'replay', 'break']

/** @internal */
export function approverOffers({ opened, approver }: ApproverScene, need: string): boolean {
  if (need === 'fetch') return approver.fetch !== undefined
  if (need === 'other') return opened.people[1] !== undefined
  if (need === 'break') return opened.break !== undefined && opened.mend !== undefined
  return (opened as unknown as Record<string, unknown>)[need] !== undefined
}

/** Registers the suite with vitest. */
export function approverContract({ name, open, skip, lacks }: ApproverContract): void {
  register({
    title: `the approver contract: ${name}`,
    chapters: APPROVER_CHAPTERS,
    accounted: WAYS,
    offers: approverOffers,
    skip,
    lacks,
    async open() {
      const scene = await ApproverScene.open(open)
      return { scene, close: () => scene.close() }
    },
  })
}
