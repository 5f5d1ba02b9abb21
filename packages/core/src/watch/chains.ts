/** Reading several chains side by side: their entries in the order of their time, those of one writer as it wrote them. */
import { Unavailable } from '../errors.ts'
import { type Sink, type StoredChain, type StoredLine, soundTime } from '../sinks/sink.ts'
import { nameOf, type Positions } from './cursor.ts'
import type { Entry } from './entry.ts'
import { parseEntry } from './filter.ts'

/** An entry, its line, and where it stands. */
export interface Read {
  readonly entry: Entry
  readonly line: string
  readonly chain: Chained
  readonly position: number
  /** The latest time its chain has reached up to here: a clock that was set back does not move an entry forward. */
  readonly time: string
}

/** A chain among others. */
export interface Chained extends StoredChain {
  /** What a cursor calls it. */
  readonly name: string
  /** Its place by the writer's id: of entries of one time, it decides which comes first. */
  readonly rank: number
  /** The time of its first entry, which can be waited with until that time has come. */
  readonly began: string
}

/** Whose chains there are to read, in the order they began. */
export type Chains = () => Promise<readonly StoredChain[]>

/** The chains of the sink that the trail is read from: the first required one that can be. */
export async function chainsIn(sinks: readonly Sink[]): Promise<readonly StoredChain[]> {
  const sink = sinks.find(({ required, read, chains }) => required !== false && (read || chains))
  if (!sink) throw new Unavailable('no required sink can be read back')
  if (sink.chains) return sink.chains()
  const read = () => (sink.read as NonNullable<Sink['read']>)()
  const firsts = new Map<string, string>()
  for await (const { writer, line, torn } of read()) if (!torn && !firsts.has(writer)) firsts.set(writer, line)
  return [...firsts].map(([writer, first]) => ({ writer, first, read: () => linesOf(read(), writer) }))
}

async function* linesOf(lines: AsyncIterable<StoredLine>, writer: string): AsyncGenerator<StoredLine[]> {
  for await (const line of lines) if (line.writer === writer) yield [line]
}

/** Gives each chain its name and rank; in the order they began. */
export function ranked(chains: readonly StoredChain[]): Chained[] {
  const bytes = chains.map(({ writer }) => Buffer.from(writer))
  // As SQLite compares text, by its bytes.
  const order = bytes.map((_, index) => index).sort((a, b) => Buffer.compare(bytes[a] as Buffer, bytes[b] as Buffer))
  const found = order.map((index, rank) => {
    const chain = chains[index] as StoredChain
    const { writer, first } = chain
    const began = soundTime(parseEntry(first)?.at)
    return { writer, first, began, name: nameOf(writer), rank, read: () => chain.read() }
  })
  return found.sort((a, b) => (a.began < b.began ? -1 : a.began > b.began ? 1 : a.rank - b.rank))
}

/**
 * The entries of all these chains behind the given positions, by `time`, then by writer, then by position: a few at a
 * time, and never more of a chain in memory than it gives at once. `chains` stand in the order they began.
 */
export async function* merged(chains: readonly Chained[], from?: Positions): AsyncGenerator<readonly Read[]> {
  const waiting = [...chains].reverse()
  const heads: Head[] = []
  try {
    for (;;) {
      let first = least(heads)
      // A chain is opened no sooner than its time has come: there may be thousands, and few live at one time.
      for (let next = waiting.at(-1); next && (!first || next.began <= first.time); next = waiting.at(-1)) {
        waiting.pop()
        const head = new Head(next, from?.get(next.name) ?? 0)
        heads.push(head)
        if (!(await head.fill())) heads.splice(heads.indexOf(head), 1)
        first = least(heads)
      }
      if (!first) return
      const other = least(heads, first)
      yield first.take(other, waiting.at(-1)?.began)
      if (!first.ready && !(await first.fill())) heads.splice(heads.indexOf(first), 1)
    }
  } finally {
    for (const head of heads) await head.close()
  }
}

function least(heads: readonly Head[], but?: Head): Head | undefined {
  let found: Head | undefined
  for (const head of heads) if (head !== but && (!found || head.before(found))) found = head
  return found
}

/** How far one chain has been read. */
class Head {
  readonly #chain: Chained
  readonly #from: number
  readonly #batches: AsyncIterator<readonly Pick<StoredLine, 'line' | 'torn'>[]>
  #batch: Read[] = []
  #index = 0
  #next = 0
  #time = ''

  constructor(chain: Chained, from: number) {
    this.#chain = chain
    this.#from = from
    this.#batches = chain.read()[Symbol.asyncIterator]()
  }

  get time(): string {
    return (this.#batch[this.#index] as Read).time
  }

  get ready(): boolean {
    return this.#index < this.#batch.length
  }

  before(other: Head): boolean {
    return this.time < other.time || (this.time === other.time && this.#chain.rank < other.#chain.rank)
  }

  /** Reads on to the next entry behind its place. Answers whether there is one. */
  async fill(): Promise<boolean> {
    this.#batch = []
    this.#index = 0
    while (this.#batch.length === 0) {
      const { value, done } = await this.#batches.next()
      if (done) return false
      for (const { line, torn } of value) if (!torn) this.#read(line)
    }
    return true
  }

  #read(line: string): void {
    const entry = parseEntry(line)
    const { position, time } = placed(entry, this.#next, this.#time)
    this.#next = position + 1
    this.#time = time
    if (entry && position >= this.#from) this.#batch.push({ entry, line, chain: this.#chain, position, time })
  }

  /** What comes before the other chain's next entry, and before the time at which yet another begins. */
  take(other: Head | undefined, began: string | undefined): readonly Read[] {
    const start = this.#index
    do this.#index++
    while (this.ready && !(other && !this.before(other)) && !(began !== undefined && this.time >= began))
    return start === 0 && !this.ready ? this.#batch : this.#batch.slice(start, this.#index)
  }

  async close(): Promise<void> {
    await this.#batches.return?.()
  }
}

/**
 * The place of a line in its chain, given that of the line before: its own `seq`, where that leads on. Of what was
 * tampered with, no two lines have one place, and none is passed over.
 */
export function placed(entry: Entry | undefined, next: number, before: string): { position: number; time: string } {
  const { seq, at } = entry ?? {}
  const position = Number.isSafeInteger(seq) && (seq as number) < FAR ? Math.max(next, seq as number) : next
  const time = soundTime(at)
  return { position, time: time > before ? time : before }
}

/** No chain is that long, and behind it there is room for all that may follow. */
const FAR = 2 ** 52
