/** Letting go of files that were kept long enough, each after an entry of the trail that says so. */
import { hash } from 'node:crypto'
import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { firstLine, readSegment } from './file-directory.ts'
import type { FileWriter } from './file-writer.ts'
import { isAlive, releaseLock, takeLock } from './lock.ts'
import { lockOf, type Segment, segmentsOf } from './segments.ts'
import type { Expired, Retire } from './sink.ts'

/** What it needs to know of an entry. */
interface Told {
  readonly writer: string
  readonly seq: number
  readonly at: string
  readonly type: string
  readonly prev: string
  readonly hash: string
  readonly data: Partial<Expired>
}

/** Looks for such files whenever a file is begun: when the trail opens, and at each rotation. */
export class Keeping {
  readonly #directory: string
  readonly #keep: number | undefined
  #work: Promise<void> | undefined
  #stopped = false

  /** `keep` in milliseconds; `undefined`: nothing is ever let go. */
  constructor(directory: string, keep: number | undefined) {
    this.#directory = directory
    this.#keep = keep
  }

  /** A file was begun with this line: what time it is stands in there. */
  begun(line: string, own: FileWriter, retire: Retire | undefined): void {
    const now = Date.parse(/"at":"([^"]+)"/.exec(line)?.[1] ?? '')
    if (this.#keep === undefined || !retire || this.#work || Number.isNaN(now)) return
    const before = now - this.#keep
    this.#stopped = false
    this.#work = this.#letGo(before, own, retire).finally(() => {
      this.#work = undefined
    })
  }

  /** No further file goes. Resolves when the one under way has gone or stayed. */
  stop(): Promise<void> | undefined {
    this.#stopped = true
    return this.#work
  }

  /** Never rejects: a file that can't go now is looked at again with the next one that is begun. */
  async #letGo(before: number, own: FileWriter, retire: Retire): Promise<void> {
    // One process at a time, so that no file is told of twice.
    const lock = join(this.#directory, 'retention.lock')
    try {
      takeLock(lock, `${lock}.new.${process.pid}`)
    } catch {
      return
    }
    try {
      for (const [writer, segments] of segmentsOf(this.#directory)) {
        const mine = writer === own.writer
        if (!mine && isAlive(lockOf(this.#directory, writer))) continue
        await this.#letGoOf(mine ? segments.filter(({ number }) => number < own.number) : segments, before, retire)
      }
    } catch {
      // What was to be told of was not accepted, or the folder is gone.
    } finally {
      releaseLock(lock)
    }
  }

  /** The oldest first, so that what remains of a chain is its end. */
  async #letGoOf(segments: readonly Segment[], before: number, retire: Retire): Promise<void> {
    for (const [index, segment] of segments.entries()) {
      if (this.#stopped) return
      const found = await this.#examine(segment, segments[index + 1], before)
      // Empty: only behind others that have gone. Alone it may be all that is left to see.
      if (!found || this.#stopped || (found.length === 0 && index === 0)) return
      // Invariant: on record first, then gone. What the file itself tells of other files is told again.
      for (const expired of found) await retire(expired)
      unlinkSync(join(this.#directory, segment.name))
    }
  }

  /**
   * What is to be on record before a file may go; `undefined` when it may not. Only a file that is whole in itself goes:
   * whoever makes an entry look old by changing it does not get it removed, and what was damaged remains to be seen.
   */
  async #examine(segment: Segment, next: Segment | undefined, before: number): Promise<Expired[] | undefined> {
    const first = parse(firstLine(this.#directory, segment) ?? '')
    if (!first) return (await isEmpty(this.#directory, segment)) ? [] : undefined
    if (!(Date.parse(first.at) < before)) return undefined
    const told = new Map<string, Expired>()
    let last: Told | undefined
    for await (const { line, torn } of readSegment(this.#directory, segment)) {
      const entry = torn ? undefined : parse(line)
      const follows = last ? entry?.seq === last.seq + 1 && entry.prev === last.hash : true
      if (!entry || !follows || entry.writer !== segment.writer || hashOf(line) !== entry.hash) return undefined
      last = entry
      if (entry.type === 'retention') keepHighest(told, entry.data)
    }
    if (!last || !(Date.parse(last.at) < before)) return undefined
    const after = next && parse(firstLine(this.#directory, next) ?? '')
    if (after && after.prev !== last.hash) return undefined
    // Of this writer itself, more is told now.
    told.delete(segment.writer)
    const { writer, name: file } = segment
    const { seq: to, hash: head, at: until } = last
    return [...told.values(), { writer, file, entries: to + 1, head, from: first.seq, to, until }]
  }
}

function keepHighest(told: Map<string, Expired>, data: Partial<Expired>): void {
  const { writer, entries } = data
  if (typeof writer !== 'string' || typeof entries !== 'number') return
  if (entries > (told.get(writer)?.entries ?? 0)) told.set(writer, data as Expired)
}

async function isEmpty(directory: string, segment: Segment): Promise<boolean> {
  for await (const _ of readSegment(directory, segment)) return false
  return true
}

/** SHA-256 of a line without its hash member, which stands at its end. */
function hashOf(line: string): string {
  return hash('sha256', `${line.slice(0, -HASH_MEMBER)}}`, 'hex')
}

const HASH_MEMBER = ',"hash":""}'.length + 64

function parse(line: string): Told | undefined {
  try {
    const entry = JSON.parse(line) as Told & { v: number }
    const { v, writer, seq, at, type, prev, hash: own } = entry
    const texts = [writer, at, type, prev, own].every((text) => typeof text === 'string')
    return v === 1 && Number.isSafeInteger(seq) && texts ? entry : undefined
  } catch {
    return undefined
  }
}
