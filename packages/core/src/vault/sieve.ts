/**
 * A quick look at a text before it is read letter by letter. Three letters in a row are looked up at every so many
 * places; only where they stand in the beginning of something that is looked for must the text be read.
 */

/** How many letters are looked up together. */
const GRAM = 3
/** How much of a beginning is taken in: more would make the steps longer, but fill the table. */
const MOST = 32
/** With shorter beginnings the steps would be too short to save anything. */
const LEAST = 6
/** The largest table, in words of 32 bits. */
const LARGEST = 1 << 14

export class Sieve {
  /** How long a beginning is: as long as the shortest text, so each has one of its grams on every step. */
  #length = MOST
  /** One bit for each gram of a beginning, by a hash. */
  #bits = new Uint32Array(128)
  #set = 0

  /** A text ends at least so many letters after it began. */
  get length(): number {
    return this.#length
  }

  /** Whether it saves anything. */
  get worthwhile(): boolean {
    return this.#length >= LEAST
  }

  /** Takes in one more text. `all` are those before it: a table that gets crowded is made anew. */
  add(text: string, all: readonly string[]): void {
    if (text.length < this.#length) this.#length = text.length
    this.#take(text)
    if (this.#set * 4 <= this.#bits.length * 32 || this.#bits.length >= LARGEST) return
    this.#bits = new Uint32Array(this.#bits.length * 8)
    this.#set = 0
    for (const one of all) this.#take(one)
    this.#take(text)
  }

  /** From where on a text has to be read: none of the texts begins between `from` and there. */
  skip(text: string, from: number): number {
    if (!this.worthwhile) return from
    const step = this.#length - GRAM + 1
    const bits = this.#bits
    const mask = bits.length * 32 - 1
    const last = text.length - GRAM
    // What begins in the `step` places up to `at` has the gram at `at` in its beginning.
    let at = from + step - 1
    for (; at <= last; at += step) {
      const bit = hash(text, at) & mask
      if (((bits[bit >>> 5] as number) >>> (bit & 31)) & 1) break
    }
    return at - step + 1
  }

  #take(text: string): void {
    const bits = this.#bits
    const mask = bits.length * 32 - 1
    const last = Math.min(text.length, MOST) - GRAM
    for (let at = 0; at <= last; at++) {
      const bit = hash(text, at) & mask
      const word = bits[bit >>> 5] as number
      if ((word >>> (bit & 31)) & 1) continue
      bits[bit >>> 5] = word | (1 << (bit & 31))
      this.#set++
    }
  }
}

function hash(text: string, at: number): number {
  const letters = text.charCodeAt(at) ^ (text.charCodeAt(at + 1) << 8) ^ (text.charCodeAt(at + 2) << 16)
  const mixed = Math.imul(letters, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}
