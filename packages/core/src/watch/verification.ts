/** What verifying a trail is asked, and what it answers. */
import type { Duration } from '../duration.ts'
import type { WriterRow } from '../stores/store.ts'

export interface VerifyOptions {
  /**
   * Public keys of those who sign checkpoints, `<name>+<id>+<base64>`: several when a key was replaced. With them, every
   * checkpoint must be signed by one of them, and every chain must have one.
   */
  readonly key?: string | readonly string[]
  /** Checkpoints that were kept elsewhere: the notes of a witness, or the last one seen. Each must be in its chain. */
  readonly trusted?: string | readonly string[]
  /** What the store knows of each writer. */
  readonly writers?: readonly WriterRow[]
  /** Computes the Merkle root of every checkpoint (RFC 6962), too. Not of a chain whose beginning was let go of. */
  readonly tree?: boolean
  /** The longest time a writer may be without a checkpoint, from its first entry to its end. */
  readonly heartbeat?: Duration
  /**
   * Which chains without a checkpoint are a problem: all (`true`; so it is where a key is given), none (`false`), or those
   * that neither `writers` nor `trusted` know anything of (`'unknown'`).
   */
  readonly requireCheckpoints?: boolean | 'unknown'
  /** Parses every entry and checks it against the schema: see `malformed`. Some fifteen times as slow. */
  readonly exact?: boolean
  /** Told now and then how many bytes have been checked. */
  readonly progress?: (bytes: number) => void
}

/** What a verification found. `ok` is true when there is no problem; orphans are not a problem of the record. */
export interface Verification {
  readonly ok: boolean
  readonly writers: readonly VerifiedWriter[]
  /** In the order they were found, at most 1,000 of them: the first is where to begin. */
  readonly problems: readonly Problem[]
  /** How many more problems there are than `problems` lists. */
  readonly omitted?: number
  /** Calls whose intent has no outcome: they may or may not have happened when their process died. */
  readonly orphans: readonly Orphan[]
}

export interface VerifiedWriter {
  readonly id: string
  /** How long its chain is, with what was let go of on purpose. */
  readonly entries: number
  /** Hash of the last entry. */
  readonly head: string
  /** Whether it ended in good order. */
  readonly closed: boolean
  /** How many entries at its beginning were let go of on purpose. */
  readonly retained?: number
  /** The last checkpoint that holds; only when there are checkpoints. */
  readonly checkpoint?: { readonly size: number; readonly time: string }
  /**
   * How many entries at its end no checkpoint covers; only when there are checkpoints, or a key. That these were cut off
   * or written anew is found by what is kept elsewhere alone: the store, or a trusted checkpoint.
   */
  readonly uncovered?: number
}

export type ProblemKind =
  /** A line is no entry. */
  | 'malformed'
  /** An entry was changed: its hash is not that of its text. */
  | 'hash'
  /** Entries are missing, repeated or out of order. */
  | 'sequence'
  /** An entry does not follow the one before it: something before it was changed and hashed anew. */
  | 'link'
  /** An entry of another writer's chain. */
  | 'foreign'
  /** The last line was never finished. */
  | 'torn'
  /** Something follows the entry that closed the chain. */
  | 'after-close'
  /** The chain is shorter than the store, a trusted checkpoint or the writer after it knows it to be. */
  | 'truncated'
  /** Entries were written and hashed anew: a checkpoint, the store or the writer after knows another head. */
  | 'rewritten'
  /** The store or a trusted checkpoint knows a writer whose chain is not here. */
  | 'missing-writer'
  /** One of a writer's files is missing, or empty although others follow. */
  | 'missing-segment'
  /** A file can't be read, or is no file. */
  | 'unreadable'
  /** A checkpoint is none, is not signed by a known key, or is of another chain, place or time. */
  | 'checkpoint'
  /** A chain has no checkpoint that holds, although a key is given. */
  | 'unsigned'
  /** Too long a time without a checkpoint. */
  | 'silence'

export interface Problem {
  readonly kind: ProblemKind
  readonly writer: string
  /** Id of the entry that shows the problem, where there is one. */
  readonly entry?: string
  /** File and line. */
  readonly place?: string
  readonly message: string
}

export interface Orphan {
  readonly call: string
  readonly tool: string
  readonly session: string
  readonly at: string
  readonly writer: string
}
