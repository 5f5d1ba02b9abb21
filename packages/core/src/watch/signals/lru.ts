/** A map that forgets what was not asked for longest, so that it never holds more than so many. */
export class Lru<T> {
  readonly #most: number
  readonly #make: () => T
  readonly #map = new Map<string, T>()
  /** The one asked for last: mostly it is asked for again, and stands where it has to. */
  #last: string | undefined
  #lastValue: T | undefined

  constructor(most: number, make: () => T) {
    this.#most = most
    this.#make = make
  }

  get size(): number {
    return this.#map.size
  }

  has(key: string): boolean {
    return this.#map.has(key)
  }

  /** What is kept under a key; made when there is nothing. */
  of(key: string): T {
    if (key === this.#last) return this.#lastValue as T
    const found = this.#map.get(key)
    // A map keeps the order of insertion: putting it in again makes it the newest.
    if (found !== undefined) this.#map.delete(key)
    const value = found ?? this.#make()
    this.#map.set(key, value)
    if (this.#map.size > this.#most) this.#map.delete(this.#map.keys().next().value as string)
    this.#last = key
    this.#lastValue = value
    return value
  }

  delete(key: string): void {
    this.#map.delete(key)
    this.#forget()
  }

  clear(): void {
    this.#map.clear()
    this.#forget()
  }

  values(): IterableIterator<T> {
    return this.#map.values()
  }

  entries(): IterableIterator<[string, T]> {
    return this.#map.entries()
  }

  #forget(): void {
    this.#last = undefined
    this.#lastValue = undefined
  }
}
