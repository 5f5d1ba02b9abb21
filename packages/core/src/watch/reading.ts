/** Reading the trail back: what an application sees of it as `haldir.trail`. */
import { ask, type Clock, type MaybePromise } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { checkKeys } from '../options.ts'
import type { Sink, StoredLine } from '../sinks/sink.ts'
import type { WriterVerbs } from '../stores/store.ts'
import { chainsIn } from './chains.ts'
import type { ConsistencyProof } from './proof.ts'
import { type ProvenEntry, type ProveOptions, prove, proveConsistency } from './proving.ts'
import { type Questions, questionsOf } from './questions.ts'
import type { Verification, VerifyOptions } from './verification.ts'
import { verifyTrail } from './verify.ts'

/** What an application sees of the trail: reading it. Only the path of a call and its own house write to it. */
export interface Trail extends Questions {
  /**
   * Checks every chain in the first required sink that can be read, and that no registered writer is missing. Where
   * checkpoints are signed, their key is known, and what witnesses have kept; a chain of before that may have none, if
   * the store knows its writer. Throws `ConfigError` for options that it does not understand.
   */
  verify(options?: TrailVerifyOptions): Promise<Verification>
  /**
   * Proves that an entry is in what a checkpoint has signed, the latest one unless told otherwise; `checkInclusion` of
   * `@haldir/core/checkpoints` checks it without the trail. Throws `HaldirError` with the code `unknown-entry`,
   * `not-covered` (no checkpoint yet) or `not-consistent` (the trail is not what was signed).
   */
  prove(entryId: string, options?: ProveOptions): Promise<ProvenEntry>
  /**
   * Proves that a chain has only been appended to since the checkpoint `older`, a signed note, up to `newer` or its
   * latest. Throws `HaldirError` as `prove` does, or `malformed`; `not-consistent` is what tampering looks like.
   */
  proveConsistency(older: string, newer?: string): Promise<ConsistencyProof>
}

/** The writers are known: the store has them. */
export type TrailVerifyOptions = Omit<VerifyOptions, 'writers'>

export interface ReadingParts {
  /** Public key of the signer, where checkpoints are signed, and what witnesses have kept of them. */
  readonly signed?: (() => MaybePromise<{ readonly key: string; readonly trusted: readonly string[] }>) | undefined
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
    ...questionsOf(() => chainsIn(parts.sinks), clock),
    async verify(options: TrailVerifyOptions = {}) {
      // What a sink does not take now is missing from what is read, and shows as such.
      await parts.flush().catch(() => {})
      const writers = await ask(() => registry.list(), deadlineMs, clock, 'store.writer.list')
      if (!Array.isArray(writers)) throw new Unavailable('`store.writer.list` answered nonsense')
      const known = parts.signed && (await ask(parts.signed, deadlineMs, clock, 'witness.kept'))
      const trusted = [known?.trusted ?? [], options.trusted ?? []].flat()
      // A chain of before there were any has none; whoever can write files only could make one up.
      const byKey = options.key === undefined ? known !== undefined && 'unknown' : true
      const requireCheckpoints = options.requireCheckpoints ?? byKey
      return verifyTrail(readableOf(parts), { ...known, ...options, requireCheckpoints, trusted, writers })
    },
    async prove(entryId: string, options: ProveOptions = {}) {
      checkKeys(options, ['size'], 'options of `prove`')
      await parts.flush().catch(() => {})
      return prove(linesOf(parts), entryId, options)
    },
    async proveConsistency(older: string, newer?: string) {
      await parts.flush().catch(() => {})
      return proveConsistency(linesOf(parts), older, newer)
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
