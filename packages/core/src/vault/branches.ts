/** Where a node of a tree of letters leads beyond its first child: few of all nodes have any. A table in one piece. */
export class Branches {
  /** Where the root leads by the letters of Latin-1. */
  readonly first: Int32Array = new Int32Array(256)
  // Open addressing with linear probing; 0 is an empty place, for no branch leads to the root.
  #from = new Int32Array(64)
  #letter = new Uint16Array(64)
  #to = new Int32Array(64)
  #mask = 63
  #count = 0

  /** 0: nowhere. */
  get(from: number, letter: number): number {
    if (from === 0 && letter < 256) return this.first[letter] as number
    const mask = this.#mask
    for (let at = placeOf(from, letter) & mask; ; at = (at + 1) & mask) {
      const to = this.#to[at] as number
      if (to === 0 || (this.#from[at] === from && this.#letter[at] === letter)) return to
    }
  }

  /** Adds one that is not there yet. */
  add(from: number, letter: number, to: number): void {
    if (from === 0 && letter < 256) {
      this.first[letter] = to
      return
    }
    // Invariant: at least half of the places are empty, so every search ends soon.
    if (++this.#count * 2 > this.#mask) this.#double()
    this.#place(from, letter, to)
  }

  #place(from: number, letter: number, to: number): void {
    let at = placeOf(from, letter) & this.#mask
    while (this.#to[at] !== 0) at = (at + 1) & this.#mask
    this.#from[at] = from
    this.#letter[at] = letter
    this.#to[at] = to
  }

  #double(): void {
    const [from, letter, to] = [this.#from, this.#letter, this.#to]
    const size = to.length * 2
    this.#from = new Int32Array(size)
    this.#letter = new Uint16Array(size)
    this.#to = new Int32Array(size)
    this.#mask = size - 1
    for (const [at, node] of to.entries()) {
      if (node !== 0) this.#place(from[at] as number, letter[at] as number, node)
    }
  }
}

function placeOf(from: number, letter: number): number {
  const mixed = Math.imul(from ^ Math.imul(letter, 0x85ebca6b), 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}
