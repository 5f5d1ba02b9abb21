/** Checking chains: reads only, keeps nothing but where each chain stands and which intents are still open. */
import type { StoredLine } from '../sinks/sink.ts'
import type { WriterRow } from '../stores/store.ts'
import { GENESIS, lineHash } from './chain.ts'

/** What a verification found. `ok` is true when there is no problem; orphans are not a problem of the record. */
export interface Verification {
  readonly ok: boolean
  readonly writers: readonly VerifiedWriter[]
  readonly problems: readonly Problem[]
  /** Calls whose intent has no outcome: they may or may not have happened when their process died. */
  readonly orphans: readonly Orphan[]
}

export interface VerifiedWriter {
  readonly id: string
  readonly entries: number
  /** Hash of the last entry. */
  readonly head: string
  /** Whether it ended in good order. */
  readonly closed: boolean
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
  /** The last line was never finished. */
  | 'torn'
  /** Something follows the entry that closed the chain. */
  | 'after-close'
  /** The chain is shorter than the store knows it to be. */
  | 'truncated'
  /** The store knows a writer whose chain is not here. */
  | 'missing-writer'

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

const HASH_MEMBER = /,"hash":"([0-9a-f]{64})"\}$/

/** Checks every line against its own hash and its place in its writer's chain. */
export async function verifyLines(
  lines: AsyncIterable<StoredLine>,
  registered: readonly WriterRow[] = [],
): Promise<Verification> {
  const expected = new Map(registered.map((row) => [row.id, row]))
  const chains = new Map<string, Progress>()
  const problems: Problem[] = []
  const open = new Map<string, Orphan>()
  for await (const stored of lines) {
    let chain = chains.get(stored.writer)
    if (!chain) {
      chain = new Progress(stored.writer, expected.get(stored.writer))
      chains.set(stored.writer, chain)
    }
    const problem = chain.follow(stored, open)
    if (problem) problems.push(problem)
  }
  for (const [id, row] of expected) {
    const chain = chains.get(id)
    if (!chain) problems.push(missing(id))
    else if (chain.entries < row.entries) problems.push(truncated(id, chain.entries, row.entries))
    else if (!chain.sawHead) problems.push(rewritten(id, row.entries))
  }
  const writers = [...chains.values()].map(({ id, entries, head, closed }) => ({ id, entries, head, closed }))
  return { ok: problems.length === 0, writers, problems, orphans: [...open.values()] }
}

/** How far one chain has been followed. */
class Progress {
  readonly id: string
  entries = 0
  head = GENESIS
  closed = false
  /** Whether the entry that the store knows as the head was met at its place. */
  sawHead: boolean
  readonly #row: WriterRow | undefined
  #last = ''

  constructor(id: string, row: WriterRow | undefined) {
    this.id = id
    this.#row = row
    this.sawHead = row === undefined
  }

  /** Follows one line. Goes on behind a problem with what the line says of itself, so that one change is one problem. */
  follow({ line, place, torn, resumes }: StoredLine, open: Map<string, Orphan>): Problem | undefined {
    const at = { writer: this.id, place }
    if (torn) return { ...at, kind: 'torn', message: `the last line at ${place} was never finished` }
    const stated = HASH_MEMBER.exec(line)?.[1]
    const entry = parse(line)
    if (!entry || stated === undefined) return { ...at, kind: 'malformed', message: `${place} is not an entry` }

    const { seq, prev } = entry
    const named = { ...at, entry: entry.id }
    if (resumes && this.entries === 0) [this.entries, this.head] = [seq, prev]
    let problem: Problem | undefined
    if (lineHash(`${line.slice(0, -HASH_SUFFIX)}}`) !== stated) {
      problem = { ...named, kind: 'hash', message: `entry ${seq} was changed (${place})` }
    } else if (entry.writer !== this.id || seq !== this.entries) {
      const message = `entry ${seq} stands where entry ${this.entries} should be (${place})`
      problem = { ...named, kind: 'sequence', message }
    } else if (prev !== this.head) {
      problem = {
        ...named,
        kind: 'link',
        message: `entry ${seq} does not follow the one before it (${place})`,
      }
    } else if (this.closed && !(entry.type === 'checkpoint' && this.#last === 'writer-closed')) {
      problem = {
        ...named,
        kind: 'after-close',
        message: `entry ${seq} follows the end of its chain (${place})`,
      }
    }
    this.entries = seq + 1
    this.head = stated
    if (this.#row && this.entries === this.#row.entries && stated === this.#row.head) this.sawHead = true
    if (entry.type === 'writer-closed') this.closed = true
    this.#last = entry.type
    if (entry.type === 'intent') {
      const { call = '', tool = '', session, at: time } = entry
      open.set(call, { call, tool, session: session ?? '', at: time, writer: this.id })
    } else if (entry.type === 'outcome') open.delete(entry.call ?? '')
    return problem
  }
}

const HASH_SUFFIX = ',"hash":""}'.length + 64

interface Told {
  readonly id: string
  readonly writer: string
  readonly seq: number
  readonly prev: string
  readonly type: string
  readonly at: string
  readonly call?: string
  readonly tool?: string
  readonly session: string | null
}

function parse(line: string): Told | undefined {
  try {
    const entry = JSON.parse(line) as Told & { v: number }
    const { v, id, writer, seq, prev, type } = entry
    const whole = v === 1 && Number.isSafeInteger(seq) && [id, writer, prev, type].every((t) => typeof t === 'string')
    return whole ? entry : undefined
  } catch {
    return undefined
  }
}

function missing(writer: string): Problem {
  return { kind: 'missing-writer', writer, message: `the chain of writer \`${writer}\` is not here` }
}

function truncated(writer: string, found: number, known: number): Problem {
  const message = `the chain of writer \`${writer}\` ends after ${found} entries; it had at least ${known}`
  return { kind: 'truncated', writer, message }
}

function rewritten(writer: string, known: number): Problem {
  const message = `entry ${known - 1} of writer \`${writer}\` is not the one the store knows`
  return { kind: 'hash', writer, message }
}
