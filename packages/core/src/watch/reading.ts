/** Reading the trail back: what an application sees of it as `haldir.trail`. */
import { ask, type Clock, type MaybePromise } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import type { Sink, StoredLine } from '../sinks/sink.ts'
import type { WriterVerbs } from '../stores/store.ts'
import type { Entry } from './entry.ts'
import { type Filter, query } from './query.ts'
import type { Verification, VerifyOptions } from './verification.ts'
import { verifyTrail } from './verify.ts'

/** What an application sees of the trail: reading it. Only the path of a call and its own house write to it. */
export interface Trail {
  /** The entries that match, one writer's after another's. Throws `ConfigError` for a filter it does not understand. */
  query(filter?: Filter): AsyncGenerator<Entry>
  /**
   * Checks every chain in the first required sink that can be read, and that no registered writer is missing. Where
   * checkpoints are signed here, their key is known. Throws `ConfigError` for options that it does not understand.
   */
  verify(options?: TrailVerifyOptions): Promise<Verification>
}

/** The writers are known: the store has them. */
export type TrailVerifyOptions = Omit<VerifyOptions, 'writers'>

export interface ReadingParts {
  /** Public key of the signer, where checkpoints are signed, and what witnesses have kept of them. */
  readonly signed?: () => MaybePromise<Pick<VerifyOptions, 'key' | 'trusted'>>
  readonly sinks: readonly Sink[]
  readonly registry: WriterVerbs
  readonly clock: Clock
  readonly deadlineMs: number
  /** Hands over to the sinks what is not there yet. */
  readonly flush: () => Promise<void>
}

export function readingOf(parts: ReadingParts): Trail {
  const { registry, clock, deadlineMs } = parts
  return Object.freeze({
    query: (filter: Filter = {}) => query(linesOf(parts), filter),
    async verify(options: TrailVerifyOptions = {}) {
      // What a sink does not take now is missing from what is read, and shows as such.
      await parts.flush().catch(() => {})
      const writers = await ask(() => registry.list(), deadlineMs, clock, 'store.writer.list')
      if (!Array.isArray(writers)) throw new Unavailable('`store.writer.list` answered nonsense')
      const known = await parts.signed?.()
      const trusted = [known?.trusted ?? [], options.trusted ?? []].flat()
      return verifyTrail(readableOf(parts), { ...known, ...options, trusted, writers })
    },
  })
}

async function* linesOf(parts: ReadingParts): AsyncGenerator<StoredLine> {
  yield* readableOf(parts).read()
}

/** The sink that the trail is read from: the first required one that can be. */
function readableOf({ sinks }: ReadingParts): Sink & Required<Pick<Sink, 'read'>> {
  const readable = sinks.find((sink) => sink.required !== false && sink.read)
  if (!readable?.read) throw new Unavailable('no required sink can be read back')
  return readable as Sink & Required<Pick<Sink, 'read'>>
}
