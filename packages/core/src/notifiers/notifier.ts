/** Who is told of signals. */
import type { Clock, MaybePromise } from '../clock.ts'
import type { Signal } from '../watch/signals/signal.ts'

/** A signal that was raised, as people are told of it. */
export interface Notice extends Signal {
  /** Unique. The same when it is sent again. */
  readonly id: string
  /** Name of the haldir that raised it. */
  readonly haldir: string
  /** What is done about it. */
  readonly reactions: readonly string[]
  /** One sentence. Names of agents and tools stand in it as they are. */
  readonly text: string
}

export interface Notifier {
  /** Named where one fails. */
  readonly name: string
  /**
   * Tells of a signal. Rejects when it could not: it is asked again a few times, later by `retryAfterMs` of the error if
   * that has one, and not at all when the error has `final: true`. No call waits for it.
   */
  notify(notice: Notice, port: NotifierPort): MaybePromise<void>
}

export interface NotifierPort {
  readonly clock: Clock
  /** Aborts when nobody waits any more. */
  readonly signal: AbortSignal
}
