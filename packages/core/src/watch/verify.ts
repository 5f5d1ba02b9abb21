/** Checking chains: reads only, keeps nothing but where each chain stands and which intents are still open. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Sink, StoredBlock, StoredLine } from '../sinks/sink.ts'
import type { Problem, Verification, VerifiedWriter, VerifyOptions } from './verification.ts'
import { ChainCheck } from './verify/chain-check.ts'
import { CheckpointCheck, readTrusted } from './verify/checkpoint-check.ts'
import { Findings } from './verify/findings.ts'
import { Known } from './verify/known.ts'
import { OpenCalls } from './verify/open-calls.ts'
import { hashesAt } from './verify/reread.ts'
import { type Rules, rulesOf } from './verify/rules.ts'
import type { Stand } from './verify/told.ts'

/** What lines are read from: a sink, or as much of one as reading takes. */
export type Source = Pick<Sink, 'read' | 'readBlocks'>

/** Checks every line against its own hash and its place in its writer's chain. Throws `ConfigError`. */
export async function verifyTrail(source: Source, options: VerifyOptions = {}): Promise<Verification> {
  const rules = rulesOf(options)
  for (let left = ATTEMPTS; ; left--) {
    const verifying = new Verifying(rules)
    if (source.readBlocks) await verifying.followBlocks(source.readBlocks())
    else if (source.read) await verifying.followLines(source.read())
    const found = await verifying.finish(source)
    // A file may be let go of meanwhile, and what tells of it may have been read before it was written.
    if (!verifying.gone || left === 1) return found
  }
}

const ATTEMPTS = 3

const LINES_A_TURN = 1_000

class Verifying {
  readonly #rules: Rules
  readonly #findings = new Findings()
  readonly #calls = new OpenCalls()
  readonly #known: Known
  readonly #chains = new Map<string, ChainCheck>()
  /** Of the writer that is read now. */
  #file = ''
  #number = 0
  #empty = false
  /** A file went while this was reading. */
  gone = false

  constructor(rules: Rules) {
    this.#rules = rules
    this.#known = new Known(rules.writers)
    for (const [index, note] of rules.trusted.entries()) {
      const read = readTrusted(note, rules.keys)
      if (typeof read !== 'string') {
        const { size: entries, head } = read.checkpoint
        this.#known.add({ writer: read.writer, entries, head }, 'a trusted checkpoint')
      } else {
        const message = `the trusted checkpoint ${index + 1} ${read}`
        this.#findings.add({ kind: 'checkpoint', writer: '', message })
      }
    }
  }

  async followLines(lines: AsyncIterable<StoredLine>): Promise<void> {
    let count = 0
    for await (const { writer, line, place, torn, resumes } of lines) {
      const chain = this.#chains.get(writer) ?? this.#begin(writer)
      if (resumes && chain.entries === 0) {
        chain.excused = true
        chain.resume()
      }
      if (torn) chain.torn(place)
      else chain.followLine(line, place)
      if (++count % LINES_A_TURN === 0) await turn()
    }
  }

  async followBlocks(blocks: Iterable<StoredBlock> | AsyncIterable<StoredBlock>): Promise<void> {
    let bytes = 0
    for await (const block of blocks) {
      this.#block(block)
      bytes += block.bytes.length
      this.#rules.progress?.(bytes)
      // Whoever else lives in this process has a turn.
      if (block.bytes.length > 0) await turn()
    }
  }

  #block(block: StoredBlock): void {
    const { writer, file, bytes, torn, oversized, unreadable } = block
    const known = this.#chains.get(writer)
    const chain = known ?? this.#begin(writer)
    if (block.gone) this.gone = true
    if (file !== this.#file) this.#beginFile(chain, block, known === undefined)
    if (unreadable !== undefined) {
      chain.problem('unreadable', `\`${file}\` ${unreadable}`)
      chain.resume()
    } else if (oversized) chain.skipLine('malformed', file)
    else if (torn) chain.skipLine('torn', file)
    else chain.followBlock(block)
    if (unreadable !== undefined || oversized || bytes.length > 0) this.#empty = false
  }

  #beginFile(chain: ChainCheck, { writer, file, number }: StoredBlock, first: boolean): void {
    const expected = first ? 1 : this.#number + 1
    if (first && number > 1) {
      // What is missing may have been let go of on purpose: that is known at the end.
      chain.first = number
      chain.resume()
    } else if (number > expected) {
      const name = file.replace(/\d+\.jsonl$/, `${expected}.jsonl`)
      chain.problem('missing-segment', `\`${name}\` of writer \`${writer}\` is missing`)
      chain.resume()
    } else if (!first && this.#empty) {
      chain.problem('missing-segment', `\`${this.#file}\` is empty, although \`${file}\` follows`)
      chain.resume()
    }
    this.#file = file
    this.#number = number
    this.#empty = true
    chain.beginFile()
  }

  #begin(writer: string): ChainCheck {
    const chain = new ChainCheck(writer, {
      findings: this.#findings,
      calls: this.#calls,
      exact: this.#rules.exact,
      marks: this.#known.marksOf(writer),
      checkpoints: new CheckpointCheck(writer, this.#rules),
      tell: (entry, seq) => this.#known.tell(entry, writer, seq),
    })
    this.#chains.set(writer, chain)
    return chain
  }

  /** What can be said only when every chain was seen. */
  async finish(source: Source): Promise<Verification> {
    await this.#compareEnded(source)
    // Invariant: with a key, nobody who can't sign can say that something was let go of.
    const anybody = this.#rules.keys.length === 0
    this.#known.settle((writer, seq) => anybody || (this.#chains.get(writer)?.vouched ?? 0) > seq)
    for (const chain of this.#chains.values()) this.#finish(chain)
    for (const writer of this.#known.writers) {
      if (!this.#chains.has(writer) && !this.#known.isWhollyGone(writer)) this.#add(missing(writer))
    }
    const { problems, omitted } = this.#findings
    const writers = [...this.#chains.values()].map((chain) => this.#toldOf(chain))
    const ok = problems.length === 0 && omitted === 0
    const found = { ok, writers, problems, orphans: this.#calls.orphans() }
    return omitted === 0 ? found : { ...found, omitted }
  }

  #finish(chain: ChainCheck): void {
    const { id, entries, missed, base, checkpoints } = chain
    if (missed && !(entries === 0 && this.#known.isWhollyGone(id))) {
      const knows = missed.by === 'the store' ? 'it had at least' : `${missed.by} knows`
      const message = `the chain of writer \`${id}\` ends after ${entries} entries; ${knows} ${missed.entries}`
      this.#add({ kind: 'truncated', writer: id, message })
    }
    if (base && !chain.excused && !this.#known.isGone(id, base.entries, base.head)) {
      const message = `the chain of writer \`${id}\` begins with entry ${base.entries}, in its file ${chain.first}, and nothing on record let go of those before`
      this.#add({ kind: 'missing-segment', writer: id, message })
    }
    const { signed } = this.#rules
    const needed = signed === 'unknown' ? chain.vouched === 0 : signed
    if (needed && !checkpoints.last && entries > 0) {
      const nobody = signed === 'unknown' ? ', and nobody knows of it' : ''
      const message = `the chain of writer \`${id}\` has no checkpoint that holds${nobody}`
      this.#add({ kind: 'unsigned', writer: id, message })
    }
    const silent = chain.closed ? undefined : checkpoints.silence(chain.at)
    if (silent) this.#add({ ...silent, writer: id })
  }

  /** Writers that had to end: their successors say what must be there at least. What follows there does not count. */
  async #compareEnded(source: Source): Promise<void> {
    const inside: Stand[] = []
    for (const stand of this.#known.after) {
      const { writer, entries, head } = stand
      const chain = this.#chains.get(writer)
      const mark = { entries, head, by: 'the writer after it' } as const
      if (!chain) this.#known.add(stand, mark.by)
      else if (chain.entries < entries) {
        const message = `the chain of writer \`${writer}\` ends after ${chain.entries} entries; the writer after it knows ${entries}`
        this.#add({ kind: 'truncated', writer, message })
      } else if (chain.entries > entries || chain.wentBack) inside.push(stand)
      else if (chain.head !== head) chain.differs(mark)
      // Invariant: nothing is excused that is known from elsewhere, whoever says what of its writer.
      this.#findings.forgive(writer, Math.max(entries, chain?.known ?? 0))
    }
    if (inside.length === 0) return
    // Rare: these files are read a second time, and nothing is kept for it the first time.
    const hashes = await hashesAt(source, inside)
    for (const { writer, entries, head } of inside) {
      const chain = this.#chains.get(writer)
      if (chain?.base && chain.base.entries >= entries) continue
      if (hashes.get(`${writer}:${entries - 1}`) !== head) chain?.differs({ entries, head, by: 'the writer after it' })
    }
  }

  #toldOf({ id, entries, head, closed, base, excused, checkpoints }: ChainCheck): VerifiedWriter {
    const told = { id, entries, head, closed, ...(base && !excused && { retained: base.entries }) }
    if (this.#rules.keys.length === 0) return told
    const { last } = checkpoints
    // The entry of a checkpoint has nothing of its own.
    const uncovered = last ? entries - last.size - 1 : entries
    return { ...told, ...(last && { checkpoint: { size: last.size, time: last.time } }), uncovered }
  }

  #add(problem: Problem): void {
    this.#findings.add(problem)
  }
}

function missing(writer: string): Problem {
  return { kind: 'missing-writer', writer, message: `the chain of writer \`${writer}\` is not here` }
}
