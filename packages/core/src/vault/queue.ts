/** First in, first out: what an array does slowly when it is long. */
export class Queue<T> {
  #items: T[] = []
  #first = 0

  get length(): number {
    return this.#items.length - this.#first
  }

  /** Counted from the one that is next. */
  at(index: number): T | undefined {
    return this.#items[this.#first + index]
  }

  get last(): T | undefined {
    return this.length > 0 ? this.#items.at(-1) : undefined
  }

  push(item: T): void {
    this.#items.push(item)
  }

  /** Takes the last one back. */
  pop(): void {
    if (this.length > 0) this.#items.pop()
  }

  /** Takes out the next ones. */
  take(count: number): T[] {
    const taken = this.#items.slice(this.#first, this.#first + count)
    this.#first += taken.length
    // Each is moved once at most for one that has gone.
    if (this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first)
      this.#first = 0
    }
    return taken
  }

  *[Symbol.iterator](): Generator<T> {
    for (let index = this.#first; index < this.#items.length; index++) yield this.#items[index] as T
  }
}
