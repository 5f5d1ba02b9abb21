/** What the trail is made of, and what it keeps note of. */
import type { Clock } from '../clock.ts'
import type { Sink } from '../sinks/sink.ts'
import type { WriterVerbs } from '../stores/store.ts'
import type { Draft } from './chain.ts'
import type { CheckpointHealth, Notary } from './checkpoints.ts'

export interface TrailParts {
  readonly haldir: string
  /** Makes the id of a writer. */
  readonly ids: () => string
  readonly sinks: readonly Sink[]
  /** Where writers are registered, so that a missing chain is noticed. */
  readonly registry: WriterVerbs
  readonly clock: Clock
  readonly deadlineMs: number
  /** `false`: what these entries tell of was judged, not enforced. */
  readonly enforced?: boolean
  /** Told of every entry as soon as it has its place, once. Must not throw. */
  readonly observe?: ((draft: Draft, at: number) => void) | undefined
  /** Signs the head of the chain now and then. */
  readonly notary?: Notary | undefined
}

/** What the trail could not do, for `health()`. */
export interface TrailHealth {
  /** Entries that a required sink has not accepted yet; no further call runs until they are in. */
  readonly waiting: number
  /** Entries that could not be given a place while a sink was down. */
  readonly unrecorded: number
  /** For each sink that is not required: entries it lost. */
  readonly dropped: Readonly<Record<string, number>>
  /** Where checkpoints are configured. */
  readonly checkpoints?: CheckpointHealth
}

/** An entry that has a place in a chain, or had one in a chain that ended. */
export interface Placed {
  readonly seq: number
  readonly draft: Draft
  readonly at: number
  /** Settles when every required sink has answered. */
  readonly answered?: Promise<unknown>
}

/** Where a chain stands as far as every required sink has it. */
export interface Stand {
  readonly writer: string
  readonly entries: number
  readonly head: string
}

/** What says something about one chain alone, and is not said again in the next. */
export const OF_ONE_CHAIN: ReadonlySet<string> = new Set(['writer-opened', 'writer-closed', 'checkpoint'])
