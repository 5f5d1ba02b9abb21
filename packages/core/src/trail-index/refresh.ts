/** Bringing an index up to date: what is new in the files is added, what is gone from them is taken out. */
import { hash } from 'node:crypto'
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { SQLInputValue } from 'node:sqlite'
import { type Block, blocksOf, linesIn, segmentsByWriter } from '../sinks/file-chains.ts'
import type { Segment } from '../sinks/segments.ts'
import { soundTime } from '../sinks/sink.ts'
import { placed } from '../watch/chains.ts'
import { MEMBERS, parseEntry, textOf } from '../watch/filter.ts'
import type { Database } from './database.ts'
import type { Transactions } from './transactions.ts'

export interface Refreshed {
  /** How many entries were added. */
  readonly added: number
  /** Writers whose files were changed other than by adding to them, and were read anew. */
  readonly reread: readonly string[]
  /** Files that are gone, and with them what the index held of them. */
  readonly gone: readonly string[]
}

/** What the index knows of a file. */
interface Known {
  readonly name: string
  readonly number: number
  readonly inode: string
  readonly changed: string
  readonly size: number
  readonly tail: string
  readonly first: string
  readonly next: number
  readonly time: string
}

interface Plan {
  /** The files do not go on from what is known: all of this writer is read anew. */
  readonly reset: boolean
  /** Its first files, which were let go of. */
  readonly gone: readonly Known[]
}

const BLOCK = 262_144
const TAIL = 4_096

export class Refreshing {
  readonly #db: Database
  readonly #transactions: Transactions
  readonly #directory: string
  readonly #reread: string[] = []
  readonly #gone: string[] = []
  #added = 0

  constructor(db: Database, transactions: Transactions, directory: string) {
    this.#db = db
    this.#transactions = transactions
    this.#directory = directory
  }

  /** `rebuild`: forgets everything first. */
  async run(rebuild: boolean): Promise<Refreshed> {
    if (rebuild) {
      await this.#transactions.write(() => {
        this.#db.run('DELETE FROM entries')
        this.#db.run('DELETE FROM files')
      })
    }
    const writers = segmentsByWriter(this.#directory)
    const known = this.#db.all('SELECT DISTINCT writer FROM files').map(({ writer }) => String(writer))
    for (const writer of known) if (!writers.has(writer)) await this.#settle(writer, [])
    for (const [writer, segments] of writers) {
      await this.#settle(writer, segments)
      for (const segment of segments) await this.#follow(writer, segment)
    }
    if (this.#added >= MANY) {
      // So that SQLite knows which index serves which question; a sample will do.
      await this.#transactions.write(() => {
        this.#db.run('PRAGMA analysis_limit = 400')
        this.#db.run('PRAGMA optimize')
      })
    }
    return { added: this.#added, reread: this.#reread, gone: this.#gone }
  }

  /** Takes out what the files of a writer no longer say. Looked at once more before anything is changed. */
  async #settle(writer: string, segments: readonly Segment[]): Promise<void> {
    const idle = ({ reset, gone }: Plan) => !reset && gone.length === 0
    if (idle(this.#plan(writer, segments))) return
    const { reset, gone } = await this.#transactions.write(() => {
      const plan = this.#plan(writer, segments)
      if (plan.reset) this.#forget(writer)
      else if (!idle(plan) && !this.#drop(writer, plan.gone)) {
        this.#forget(writer)
        return { ...plan, reset: true }
      }
      return plan
    })
    if (reset) this.#reread.push(writer)
    this.#gone.push(...gone.map(({ name }) => name))
  }

  #plan(writer: string, segments: readonly Segment[]): Plan {
    const known = this.#filesOf(writer)
    const names = new Set(known.map(({ name }) => name))
    const last = known.at(-1)?.number ?? 0
    // One in which nothing whole was written is not known, and need not be.
    const matter = ({ name, number }: Segment) =>
      names.has(name) || (number < last && hasLine(join(this.#directory, name), 0))
    const found = segments.filter(matter)
    const there = new Set(found.map(({ name }) => name))
    const firstThere = known.findIndex(({ name }) => there.has(name))
    const gone = firstThere < 0 ? known : known.slice(0, firstThere)
    const left = known.slice(gone.length)
    // What is left of the known files are the first that there are, none between them missing or new.
    const goesOn = left.every((file, index) => {
      return file.name === found[index]?.name && this.#goesOn(file, index === left.length - 1)
    })
    return { reset: !goesOn, gone }
  }

  /** Whether a file is as it was, or has only been added to; only to the last one anything is added. */
  #goesOn({ name, inode, size, changed, tail }: Known, last: boolean): boolean {
    const path = join(this.#directory, name)
    const now = statOf(path)
    if (!now || now.inode !== inode || now.size < size) return false
    if (now.size === size && now.changed === changed) return true
    // Written to, and not longer than it was: what stands in it was changed, or at least nobody can tell.
    if (now.size === size && changed !== '') return false
    return (last || now.size === size || !hasLine(path, size)) && tailOf(path, size) === tail
  }

  #filesOf(writer: string): Known[] {
    return this.#db.all('SELECT * FROM files WHERE writer = ? ORDER BY number', writer) as unknown as Known[]
  }

  #forget(writer: string): void {
    this.#db.run('DELETE FROM entries WHERE writer = ?', writer)
    this.#db.run('DELETE FROM files WHERE writer = ?', writer)
  }

  /** Answers `false` when what is left would be placed otherwise by one who reads it anew. */
  #drop(writer: string, gone: readonly Known[]): boolean {
    const end = gone.at(-1)?.next ?? 0
    this.#db.run('DELETE FROM entries WHERE writer = ? AND position < ?', writer, end)
    for (const { name } of gone) this.#db.run('DELETE FROM files WHERE name = ?', name)
    const first = this.#db.get('SELECT * FROM entries WHERE writer = ? ORDER BY position LIMIT 1', writer)
    if (!first) return true
    const { position, time } = placed(parseEntry(String(first.line)), 0, '')
    return position === first.position && time === first.time
  }

  /** Adds what is new in one file: block by block, each with how far it reaches, or nothing of it. */
  async #follow(writer: string, segment: Segment): Promise<void> {
    const path = join(this.#directory, segment.name)
    let from = -1
    for (;;) {
      const now = statOf(path)
      const size = Number(this.#db.get('SELECT size FROM files WHERE name = ?', segment.name)?.size ?? 0)
      // Where another process was quicker, it is gone on from where that one has come to.
      if (!now || now.size <= size || size === from) return
      from = size
      if (await this.#read(writer, segment, path, now, from)) return
    }
  }

  /** Answers `false` when what it has read is not what comes next any more. */
  async #read(writer: string, segment: Segment, path: string, now: Stat, from: number): Promise<boolean> {
    for await (const block of blocksOf(path, from, BLOCK)) {
      const added = await this.#transactions.write(() => this.#take(writer, segment, path, now, block))
      if (added === undefined) return false
      this.#added += added
    }
    return true
  }

  #take(writer: string, segment: Segment, path: string, now: Stat, block: Block): number | undefined {
    const { text, start, end } = block
    const files = this.#filesOf(writer)
    const known = files.find(({ name }) => name === segment.name)
    if ((known?.size ?? 0) !== start || (known && known.inode !== now.inode)) return undefined
    const before = known ?? files.at(-1)
    if (before && before.number > segment.number) return undefined
    const lines = linesIn(text)
    let [next, time, added] = [before?.next ?? 0, before?.time ?? '', 0]
    for (const line of lines) {
      const entry = parseEntry(line)
      const place = placed(entry, next, time)
      next = place.position + 1
      time = place.time
      if (!entry) continue
      added++
      const { enforced, held, spent } = entry
      const values: SQLInputValue[] = [writer, place.position, time, soundTime(entry.at) || null]
      values.push(typeof enforced === 'boolean' ? Number(enforced) : null, filled(held), filled(spent))
      for (const member of MEMBERS) values.push(textOf(entry, member))
      this.#db.run(INSERT, ...values, line)
    }
    const changed = now.size === end ? now.changed : ''
    const first = known?.first ?? (lines[0] as string)
    const row = [writer, segment.number, now.inode, changed, end, tailOf(path, end), first, next, time]
    this.#db.run(PUT_FILE, segment.name, ...row)
    return added
  }
}

const MANY = 1_000
const INSERT = `INSERT INTO entries (writer, position, time, at, enforced, held, spent,
  ${MEMBERS.map((member) => `"${member}"`).join(', ')}, line) VALUES (${'?, '.repeat(7 + MEMBERS.length)}?)`
const PUT_FILE = `INSERT OR REPLACE INTO files (name, writer, number, inode, changed, size, tail, first, next, time)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

function filled(amounts: unknown): number {
  return Array.isArray(amounts) && amounts.length > 0 ? 1 : 0
}

interface Stat {
  readonly inode: string
  readonly size: number
  readonly changed: string
}

function statOf(path: string): Stat | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found && { inode: String(found.ino), size: Number(found.size), changed: String(found.mtimeNs) }
}

/** Hash of what stands right before `end`. */
function tailOf(path: string, end: number): string {
  return hash('sha256', bytesOf(path, Math.max(0, end - TAIL), end), 'hex')
}

/** Whether a whole line stands behind `start`. Looks no further than a line may be long. */
function hasLine(path: string, start: number): boolean {
  return bytesOf(path, start, start + BLOCK).includes('\n')
}

function bytesOf(path: string, start: number, end: number): Buffer {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(end - start)
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, start))
  } finally {
    closeSync(fd)
  }
}
