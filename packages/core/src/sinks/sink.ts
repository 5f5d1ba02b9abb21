/** Where entries go. */
import type { MaybePromise } from '../clock.ts'

export interface Sink {
  /** A short name for messages and `health()`. */
  readonly name: string
  /** `false`: a copy that may be late or lose entries, and never holds a call up. Every other sink must accept first. */
  readonly required?: boolean
  /** `true`: a write costs the same however long it is, so lines of one turn of the event loop are best written at once. */
  readonly gathers?: boolean
  /**
   * Called once before the first entry of a writer, and again until it succeeds. Called for another writer, it lets go
   * of the one before, whose chain has ended. For a copy that threw `WriterEnded` it is called for the same writer again.
   * A sink that deletes what was kept long enough asks `retire` first; only required sinks are given it.
   */
  open?(writer: string, retire?: Retire): MaybePromise<SinkOpened | undefined>
  /**
   * Accepts whole lines, each ending in a newline, in order: all of them or, by throwing or answering `false`, none.
   * Haldir never calls it again before it has answered. A sink that can't say what it has stored throws `WriterEnded`.
   */
  write(lines: string): MaybePromise<unknown>
  /** Every stored line, one writer's after another's, each in the order written; for `query` and `verify`. */
  read?(): AsyncIterable<StoredLine>
  /**
   * The same, each writer's lines apart, so that those of several can be read side by side: in the order of their time.
   * Without it `read` is run through once for every writer.
   */
  chains?(): MaybePromise<readonly StoredChain[]>
  /**
   * The same as bytes, for `verify`, which is several times as fast then. Of all writers, or of those in `only`. What
   * can't be read is said, not thrown. A block holds until the next is asked for.
   */
  readBlocks?(only?: ReadonlySet<string>): Iterable<StoredBlock> | AsyncIterable<StoredBlock>
  /** Entries that it accepted and then had to give up; for `health()`. */
  readonly lost?: number
  flush?(): MaybePromise<void>
  close?(): MaybePromise<void>
}

/**
 * What a sink throws that no longer knows what of a writer's lines it has stored: after a failed `fsync`, or a write
 * that was cut short. Nothing may follow in that chain. Haldir ends the writer and opens the sink for another one, which
 * names the last entry that was accepted and says again what was not.
 */
export class WriterEnded extends Error {
  readonly code = 'writer-ended'

  /** By its `code`, so that a sink needs no class of ours. */
  static is(error: unknown): boolean {
    return (error as { code?: unknown } | null | undefined)?.code === 'writer-ended'
  }
}

/**
 * Puts on record that a file is about to be removed. Accepted, the file may go; thrown or rejected, it must stay: what
 * is not on record can't be told from tampering. Not to be called before `open` has answered.
 */
export type Retire = (expired: Expired) => MaybePromise<void>

/** A whole file of one writer that was kept long enough; `data` of an entry `retention`. */
export interface Expired {
  readonly writer: string
  readonly file: string
  /** How many entries of this writer are gone with it and what went before, counted from its first. */
  readonly entries: number
  /** Hash of the last of them. */
  readonly head: string
  /** `seq` of the first and of the last entry in this file. */
  readonly from: number
  readonly to: number
  /** When the last of them was written. */
  readonly until: string
}

/** What a sink found when it opened: tails of lines that a crash cut off, now removed. */
export interface SinkOpened {
  readonly recovered: readonly Recovery[]
}

export interface Recovery {
  readonly writer: string
  readonly file: string
  /** How many bytes of an unfinished line were cut off. */
  readonly bytes: number
}

/** The lines of one writer. */
export interface StoredChain {
  readonly writer: string
  /** The first of its lines that is there; empty when there is none. */
  readonly first: string
  /** Its lines in the order written, several at a time; one that was never finished may be left out. */
  read(): AsyncIterable<readonly Pick<StoredLine, 'line' | 'torn'>[]>
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** A time as entries have it: UTC, of fixed width, so that text compares as time does. Empty for anything else. */
export function soundTime(at: unknown): string {
  return typeof at === 'string' && TIME.test(at) ? at : ''
}

export interface StoredLine {
  /** The writer whose chain this line belongs to, as the sink files it. */
  readonly writer: string
  /** Where it stands, for messages: a file's name and a line number. */
  readonly place: string
  readonly line: string
  /** What stood before it was let go of on purpose: a sink in memory keeps only so much. */
  readonly resumes?: boolean
  /** The line has no newline at its end: it was never finished. */
  readonly torn?: boolean
}

/** Lines of one file as they are stored. Each file has at least one block, which is the first and may be empty. */
export interface StoredBlock {
  readonly writer: string
  /** The file's name, for messages. */
  readonly file: string
  /** Which of the writer's files: from 1, without holes. */
  readonly number: number
  /** Whole lines, each with its newline. Whoever verifies may write here, and leaves it as it was. */
  readonly bytes: Buffer
  /** The bytes are the last line, which was never finished. */
  readonly torn?: boolean
  /** There is a line here that is longer than any entry. */
  readonly oversized?: boolean
  /** Why this file can't be read, as the end of a sentence. */
  readonly unreadable?: string
  /** It can't be read because it is not there any more: it went after reading had begun. */
  readonly gone?: boolean
}
