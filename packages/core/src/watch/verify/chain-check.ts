/** Follows one writer's chain, as bytes where its lines have their usual form, and as text where they have not. */
import type { StoredBlock } from '../../sinks/sink.ts'
import { GENESIS, lineHash } from '../chain.ts'
import type { Orphan, Problem, ProblemKind } from '../verification.ts'
import { piece, stands, viewOf } from './bytes.ts'
import type { CheckpointCheck } from './checkpoint-check.ts'
import type { Findings } from './findings.ts'
import { LineForm } from './line-form.ts'
import { OpenCalls } from './open-calls.ts'
import { isExact, parseTold, type Told } from './told.ts'

const NEWLINE = 10
const HASH_MEMBER = /,"hash":"([0-9a-f]{64})"\}$/
const HASH_SUFFIX = ',"hash":""}'.length + 64
const INTENT = piece('intent",')
const OUTCOME = piece('outcome",')
const CHECKPOINT = piece('checkpoint",')
const CALL = piece(',"call":"')
const CALL_TEXT = ',"call":"'

/** A place in a chain where someone else knows the head. */
export interface Mark {
  readonly entries: number
  readonly head: string
  /** Who knows it, for messages. */
  readonly by: 'the store' | 'a trusted checkpoint' | 'the writer after it'
}

export interface ChainParts {
  readonly findings: Findings
  readonly calls: OpenCalls
  readonly exact: boolean
  /** In ascending order. */
  readonly marks: readonly Mark[]
  readonly checkpoints: CheckpointCheck
  /** Told of every entry that says something of other chains. */
  readonly tell: (entry: Told, seq: number) => void
}

export class ChainCheck {
  readonly id: string
  readonly checkpoints: CheckpointCheck
  entries = 0
  /** How many entries at its beginning are not here, and the hash of the last of them. */
  base: { readonly entries: number; readonly head: string } | undefined
  /** The number of its first file. */
  first = 1
  /** Its beginning is kept by something that lets go of it and says so itself. */
  excused = false
  /** An entry said that it stands where another one was met. */
  wentBack = false
  readonly #parts: ChainParts
  readonly #form: LineForm
  readonly #tree: boolean
  /** 1 behind `writer-closed`, 2 behind the checkpoint that may follow it. */
  #closed = 0
  /** The next entry is taken from where it says it is. */
  #resuming = false
  /** How many lines were no entries since the last that was one: as many `seq` may be missing. */
  #lost = 0
  /** Hash of the text of the last entry, where that is not the one it states. */
  #computed = ''
  /** How many lines of the present file were met. */
  #line = 0
  #mark = 0
  #nextMark: number
  /** The highest place whose head is the one that is known elsewhere. */
  #met = 0
  /** Where in a line, seen from behind its type, the id of its call was last. */
  #callAt = 0

  constructor(id: string, parts: ChainParts) {
    this.id = id
    this.#parts = parts
    this.checkpoints = parts.checkpoints
    this.#tree = parts.checkpoints.tree
    this.#form = new LineForm(id)
    this.#form.expect(0, GENESIS)
    this.#nextMark = parts.marks[0]?.entries ?? Number.POSITIVE_INFINITY
  }

  get head(): string {
    return this.#form.prev
  }

  get closed(): boolean {
    return this.#closed > 0
  }

  /** Time of the last entry. */
  get at(): string {
    return this.#form.time
  }

  /** What comes next is not what follows on the last line: it is taken from where it says it is. */
  resume(): void {
    this.#resuming = true
  }

  /** Follows whole lines. What is still open at their end is read out of them. */
  followBlock({ bytes, file }: StoredBlock): void {
    const view = viewOf(bytes)
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, start)
      this.#line++
      if (this.#closed > 0 || this.#resuming || this.#parts.exact || !this.#followBytes(bytes, view, start, end)) {
        this.followLine(textOf(bytes, start, end), `${file}:${this.#line}`)
      }
      start = end + 1
    }
    this.#parts.calls.settle((start) => orphanOf(bytes, start, this.id))
  }

  /** False when the line is not the next entry in its usual form: then it has to be looked at as text. */
  #followBytes(bytes: Buffer, view: DataView, start: number, end: number): boolean {
    const type = this.#form.follow(bytes, view, start, end)
    if (type < 0) return false
    const seq = this.entries++
    this.#lost = 0
    this.#computed = ''
    if (this.#tree) this.checkpoints.grow(seq, this.head, stands(view, type, CHECKPOINT))
    if (this.entries >= this.#nextMark) this.#meet()
    if (stands(view, type, INTENT)) this.#call(bytes, view, start, end, type + INTENT.byteLength, true)
    else if (stands(view, type, OUTCOME)) this.#call(bytes, view, start, end, type + OUTCOME.byteLength, false)
    else if (TOLD.has(bytes.toString('latin1', type, bytes.indexOf(QUOTE, type)))) {
      const entry = parseTold(bytes.toString('utf8', start, end))
      if (entry) this.#take(entry)
      else this.#problem('malformed', `entry ${seq} is hashed right and is no entry`)
    }
    return true
  }

  /** An intent or an outcome whose members behind the type begin at `from`. */
  #call(bytes: Buffer, view: DataView, start: number, end: number, from: number, intent: boolean): void {
    if (!stands(view, from + this.#callAt, CALL)) {
      const found = bytes.indexOf(CALL_TEXT, from, 'latin1')
      this.#callAt = found >= 0 && found < end ? found - from : 0
    }
    const id = from + this.#callAt + CALL.byteLength
    const length = this.#callAt > 0 ? OpenCalls.lengthAt(bytes, id) : -1
    const { calls } = this.#parts
    if (length > 0 && !intent) calls.closeAt(view, id, length)
    else if (length < 0 || !calls.openAt(view, id, length, start)) {
      const orphan = orphanOf(bytes, start, this.id)
      if (intent) calls.open(orphan)
      else calls.close(orphan.call)
    }
  }

  /** Follows one line as text. Goes on behind a problem with what the line says of itself: one change is one problem. */
  followLine(line: string, place: string): void {
    const stated = HASH_MEMBER.exec(line)?.[1]
    const entry = parseTold(line)
    if (!entry || stated === undefined) {
      this.#lost++
      this.#problem('malformed', `${place} is not an entry`, { place })
      return
    }
    const { seq, prev } = entry
    if (seq < this.entries) this.wentBack = true
    if (this.#resuming) this.#resume(seq, prev)
    else if (seq > this.entries && seq - this.entries <= this.#lost) this.#expect(seq, prev)
    this.#lost = 0
    const at = { place, entry: entry.id }
    const computed = lineHash(`${line.slice(0, -HASH_SUFFIX)}}`)
    let whole = false
    if (computed !== stated) {
      this.#problem('hash', `entry ${seq} was changed (${place})`, at)
    } else if (entry.writer !== this.id) {
      this.#problem('foreign', `an entry of writer \`${entry.writer}\` stands in this chain (${place})`, at)
    } else if (seq !== this.entries) {
      this.#problem('sequence', `entry ${seq} stands where entry ${this.entries} should be (${place})`, at)
    } else if (prev !== this.head && prev !== this.#computed) {
      this.#problem('link', `entry ${seq} does not follow the one before it (${place})`, at)
    } else if (this.#closed === 2 || (this.#closed === 1 && entry.type !== 'checkpoint')) {
      this.#problem('after-close', `entry ${seq} follows the end of its chain (${place})`, at)
    } else if (this.#parts.exact && !isExact(line)) {
      this.#problem('malformed', `entry ${seq} is not written as an entry is (${place})`, at)
    } else whole = true
    // What a changed entry says of its place may be the change; so may be its hash.
    this.#computed = computed === stated ? '' : computed
    this.#expect(computed === stated ? seq + 1 : this.entries + 1, stated)
    this.#form.seen(entry.at)
    if (this.#tree) this.checkpoints.grow(this.entries - 1, stated, entry.type === 'checkpoint')
    if (this.entries >= this.#nextMark) this.#meet()
    if (entry.type === 'intent') this.#parts.calls.open(toOrphan(entry, this.id))
    else if (entry.type === 'outcome') this.#parts.calls.close(entry.call ?? '')
    if (whole) this.#take(entry)
    else if (entry.type === 'writer-closed') this.#closed = 1
  }

  /** Another file of this writer begins. */
  beginFile(): void {
    this.#line = 0
  }

  /** A line of a file that can't be looked at: it never ended, or has no end in sight. */
  skipLine(kind: 'torn' | 'malformed', file: string): void {
    const place = `${file}:${++this.#line}`
    if (kind === 'torn') this.torn(place)
    else {
      this.#lost++
      this.#problem(kind, `${place} is not an entry: it is longer than any`, { place })
    }
  }

  torn(place: string): void {
    this.#lost++
    this.#problem('torn', `the last line at ${place} was never finished`, { place })
  }

  problem(kind: ProblemKind, message: string): void {
    this.#problem(kind, message)
  }

  /** An entry that stands in its place and says something of chains. */
  #take(entry: Told): void {
    if (entry.seq === 0) this.checkpoints.begin(entry.at)
    if (this.#closed === 1) this.#closed = 2
    if (entry.type === 'writer-closed') this.#closed = 1
    if (entry.type !== 'checkpoint')
      this.#parts.tell(entry, this.wentBack ? Number.POSITIVE_INFINITY : this.entries - 1)
    else for (const { kind, message } of this.checkpoints.meet(entry)) this.#problem(kind, message, { entry: entry.id })
  }

  #problem(kind: ProblemKind, message: string, where: Partial<Problem> = {}): void {
    this.#parts.findings.add({ kind, writer: this.id, ...where, message }, this.entries)
  }

  #expect(seq: number, prev: string): void {
    this.entries = seq
    this.#form.expect(seq, prev)
  }

  #resume(seq: number, prev: string): void {
    this.#resuming = false
    if (this.entries === 0 && this.base === undefined && seq > 0) this.base = { entries: seq, head: prev }
    this.#expect(seq, prev)
    // What is not here can't be compared; a head that is known at this very place can.
    if (this.entries >= this.#nextMark) this.#meet()
  }

  /** Someone knows the head at this place. What was stepped over is behind a problem, or not here. */
  #meet(): void {
    const { marks } = this.#parts
    for (let mark = marks[this.#mark]; mark && mark.entries <= this.entries; mark = marks[++this.#mark]) {
      if (mark.entries !== this.entries) continue
      if (mark.head === this.head) this.#met = mark.entries
      else this.differs(mark)
    }
    this.#nextMark = marks[this.#mark]?.entries ?? Number.POSITIVE_INFINITY
  }

  /** The head at a mark is another one. */
  differs({ entries, by }: Mark): void {
    const message = `entry ${entries - 1} of writer \`${this.id}\` is not the one ${by} knows`
    this.#parts.findings.add({ kind: 'rewritten', writer: this.id, message }, entries - 1)
  }

  /** How many entries are what a checkpoint, the store or a trusted checkpoint says. Nothing else is said for the others. */
  get vouched(): number {
    return Math.max(this.checkpoints.last?.size ?? 0, this.#met)
  }

  /** How many entries there must be. */
  get known(): number {
    return Math.max(this.vouched, this.#parts.marks.at(-1)?.entries ?? 0)
  }

  /** The highest place that is known and was never reached. */
  get missed(): Mark | undefined {
    return this.#parts.marks.findLast(({ entries }) => entries > this.entries)
  }
}

/** Empty for bytes that are not the UTF-8 of the text that they are read as. */
function textOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end)
  const sound = !text.includes('\ufffd') || bytes.compare(Buffer.from(text), 0, undefined, start, end) === 0
  return sound ? text : ''
}

const QUOTE = 34
/** Types that say something of chains. */
const TOLD = new Set(['writer-opened', 'writer-closed', 'checkpoint', 'retention'])

function orphanOf(bytes: Buffer, start: number, writer: string): Orphan {
  const line = bytes.toString('utf8', start, bytes.indexOf(NEWLINE, start))
  const entry = parseTold(line)
  return toOrphan(entry ?? ({ session: null, at: '' } as Told), writer)
}

function toOrphan({ call = '', tool = '', session, at }: Told, writer: string): Orphan {
  return { call, tool, session: session ?? '', at, writer }
}
