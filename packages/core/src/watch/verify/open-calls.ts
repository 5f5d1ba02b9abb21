/**
 * The calls whose intent was met and whose outcome was not. Few are open at a time, and nearly every one is closed soon:
 * ids are kept as bytes in a row of slots and looked for from the newest on; only what does not fit is a text in a map.
 */
import type { Orphan } from '../verification.ts'
import { same, viewOf } from './bytes.ts'

const SLOTS = 64
const SLOT = 64
/** Bytes are compared four at a time. */
const LEAST = 4
const QUOTE = 34

/** Of an intent: whose call it was. `undefined` while its line still lies in the block and nobody asked. */
type Whose = Orphan | undefined

export class OpenCalls {
  readonly #ids: Buffer = Buffer.alloc(SLOTS * SLOT)
  readonly #view: DataView = viewOf(this.#ids)
  readonly #lengths: Int32Array = new Int32Array(SLOTS)
  /** Where in the block the line of a slot begins. */
  readonly #lines: Int32Array = new Int32Array(SLOTS)
  readonly #whose: Whose[] = new Array<Whose>(SLOTS)
  #used = 0
  readonly #others = new Map<string, Orphan>()
  readonly #scratch: Buffer = Buffer.alloc(SLOT)
  readonly #scratchView: DataView = viewOf(this.#scratch)

  /** How long the id is that begins at `at`: up to its closing quote. `-1` when it is none that fits a slot. */
  static lengthAt(bytes: Buffer, at: number): number {
    let length = 0
    while (length < SLOT && bytes[at + length] !== QUOTE) length++
    return length < LEAST || length === SLOT ? -1 : length
  }

  /**
   * An intent, whose id of `length` bytes stands at `at` in a line that begins at `line`. False when there is no room:
   * then it has to be said with `open`.
   */
  openAt(view: DataView, at: number, length: number, line: number): boolean {
    const slot = this.#find(view, at, length)
    if (slot < 0 && this.#used === SLOTS) return false
    const into = slot < 0 ? this.#used++ : slot
    const from = into * SLOT
    for (let index = 0; index < length - 4; index += 4) this.#copy(view, at + index, from + index)
    this.#copy(view, at + length - 4, from + length - 4)
    this.#lengths[into] = length
    this.#lines[into] = line
    this.#whose[into] = undefined
    return true
  }

  /** An outcome. */
  closeAt(view: DataView, at: number, length: number): void {
    const slot = this.#find(view, at, length)
    if (slot >= 0) this.#free(slot)
    // An intent may have been said twice, by a writer that ended and the one after it.
    if (this.#others.size > 0) this.#others.delete(textAt(view, at, length))
  }

  open(orphan: Orphan): void {
    this.close(orphan.call)
    this.#others.set(orphan.call, orphan)
  }

  close(call: string): void {
    const length = this.#scratch.write(call, 'latin1')
    const slot = length >= LEAST && length === call.length ? this.#find(this.#scratchView, 0, length) : -1
    if (slot >= 0) this.#free(slot)
    this.#others.delete(call)
  }

  /** The block is done with: what is still open in it is read out, before other bytes take its place. */
  settle(whose: (line: number) => Orphan): void {
    for (let slot = 0; slot < this.#used; slot++) this.#whose[slot] ??= whose(this.#lines[slot] as number)
    // Whatever has filled the slots, if it stays open it makes room.
    if (this.#used < SLOTS / 2) return
    for (let slot = 0; slot < this.#used; slot++) {
      const orphan = this.#whose[slot] as Orphan
      this.#others.set(orphan.call, orphan)
      this.#whose[slot] = undefined
    }
    this.#used = 0
  }

  /** By the time of their intents. Asked at the end, when every block is settled. */
  orphans(): Orphan[] {
    const open = new Map(this.#others)
    for (const orphan of this.#whose.slice(0, this.#used)) if (orphan) open.set(orphan.call, orphan)
    return [...open.values()].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
  }

  #find(view: DataView, at: number, length: number): number {
    for (let slot = this.#used - 1; slot >= 0; slot--) {
      if (this.#lengths[slot] === length && same(view, at, this.#view, slot * SLOT, length)) return slot
    }
    return -1
  }

  #free(slot: number): void {
    const last = --this.#used
    if (last !== slot) {
      this.#ids.copyWithin(slot * SLOT, last * SLOT, (last + 1) * SLOT)
      this.#lengths[slot] = this.#lengths[last] as number
      this.#lines[slot] = this.#lines[last] as number
      this.#whose[slot] = this.#whose[last]
    }
    this.#whose[last] = undefined
  }

  #copy(view: DataView, at: number, to: number): void {
    this.#view.setInt32(to, view.getInt32(at))
  }
}

function textAt(view: DataView, at: number, length: number): string {
  return Buffer.from(view.buffer, view.byteOffset + at, length).toString('latin1', 0, length)
}
