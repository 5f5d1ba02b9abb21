/** How far every required sink has the chain of a writer, and what of it they have not. */
import { GENESIS } from './chain.ts'
import { OF_ONE_CHAIN, type Placed, type Stand } from './trail-parts.ts'

export class Accepted {
  #writer: string
  #entries = 0
  #head = GENESIS
  /** What has a place and is not accepted, in order. */
  #missing: Placed[] = []

  constructor(writer: string) {
    this.#writer = writer
  }

  get writer(): string {
    return this.#writer
  }

  get entries(): number {
    return this.#entries
  }

  get head(): string {
    return this.#head
  }

  /** Where the chain stands; `undefined` when nothing of it does. */
  get stand(): Stand | undefined {
    return this.#entries === 0 ? undefined : { writer: this.#writer, entries: this.#entries, head: this.#head }
  }

  /** How many entries have a place and are not accepted. */
  get missing(): number {
    return this.#missing.length
  }

  lacks(placed: Placed): void {
    this.#missing.push(placed)
  }

  /** Up to here every required sink has every entry. Only that is registered: more would look cut off after a crash. */
  upTo(writer: string, entries: number, head: string): void {
    if (writer !== this.#writer || entries <= this.#entries) return
    this.#entries = entries
    this.#head = head
    let accepted = 0
    while ((this.#missing[accepted]?.seq ?? entries) < entries) accepted++
    if (accepted > 0) this.#missing.splice(0, accepted)
  }

  /** Resolves when every sink has answered to what is under way. */
  async answered(): Promise<void> {
    await Promise.allSettled(this.#missing.map(({ answered }) => answered))
  }

  /** Another writer begins. Answers what it has to say again. */
  begin(writer: string): Placed[] {
    const again = this.#missing.filter(({ draft }) => !OF_ONE_CHAIN.has(draft.type))
    this.#missing = []
    this.#writer = writer
    this.#entries = 0
    this.#head = GENESIS
    return again
  }
}
