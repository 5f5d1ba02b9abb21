/** What `haldir.health()` answers. */
import type { Fault } from './faults.ts'
import type { TrailHealth } from './watch/trail-parts.ts'

export interface Health {
  readonly ok: boolean
  readonly open: boolean
  readonly mode: 'enforce' | 'shadow'
  /** Hash of the policy in force. */
  readonly policyHash?: string
  readonly trail: TrailHealth
  /** Whether the last verb of the store that was asked for was answered, and in time. A refusal is an answer. */
  readonly store: { readonly ok: boolean }
  /** Settles and cancels that the store has not taken yet. */
  readonly owed: number
  /** In shadow mode: what would have been refused so far, by code. */
  readonly observed: Readonly<Record<string, number>>
  readonly warnings: readonly string[]
  /** What failed outside of Haldir since it was made: the cause behind refusals that say `unavailable`. */
  readonly faults: readonly Fault[]
}
