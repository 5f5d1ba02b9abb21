/** What is looked for, and reading a text for it that comes in pieces. */
import { join, type Match } from './matches.ts'
import { Needles } from './needles.ts'
import { ROOT } from './tree.ts'

/** What is looked for, and what stands instead of each. */
export class Wanted {
  readonly needles: Needles = new Needles()
  readonly #marks: string[] = []

  /** Counts on whenever one is added. */
  get size(): number {
    return this.#marks.length
  }

  /** Answers whether it is new. */
  add(text: string, mark: string): boolean {
    const added = this.needles.add(text)
    if (added) this.#marks.push(mark)
    return added
  }

  text(needle: number): string {
    return this.needles.texts[needle] as string
  }

  mark(needle: number): string {
    return this.#marks[needle] as string
  }

  /** Where they stand in a text, in order; those that overlap are one. */
  find(text: string): readonly Match[] {
    if (text.length < this.needles.shortest) return NONE
    let found: Match[] | undefined
    this.needles.find(text, (needle, end) => {
      found ??= []
      join(found, this.match(needle, end))
    })
    return found ?? NONE
  }

  match(needle: number, end: number): Match {
    return { start: end - this.text(needle).length, end, mark: this.mark(needle) }
  }
}

const NONE: readonly Match[] = []

/** Reads a text that comes in pieces. Places count from where it began. */
export class Scan {
  readonly #current: () => Wanted
  readonly #wanted: Wanted
  /** How many there were when it began. */
  readonly #size: number
  #node = ROOT
  readonly #matches: Match[] = []
  #end = 0

  constructor(current: () => Wanted) {
    this.#current = current
    this.#wanted = current()
    this.#size = this.#wanted.size
  }

  /** Something is looked for by now that was not when it began: then another one has to read what is still there. */
  get stale(): boolean {
    const wanted = this.#current()
    return wanted !== this.#wanted || wanted.size !== this.#size
  }

  /** Where the text ends so far. */
  get end(): number {
    return this.#end
  }

  /** Matches that were not taken yet, in order; those that overlap are one. */
  get matches(): readonly Match[] {
    return this.#matches
  }

  read(piece: string): void {
    const before = this.#end
    this.#node = this.#wanted.needles.read(piece, this.#node, (needle, place) => {
      join(this.#matches, this.#wanted.match(needle, before + place))
    })
    this.#end += piece.length
  }

  /** Where the longest end of the text begins that a secret begins with. */
  tail(): number {
    return this.#end - this.#wanted.needles.begun(this.#node)
  }

  /** The longest such end that tells too much of a secret, if there is one. */
  telling(shortest: number): Match | undefined {
    const length = this.#wanted.needles.telling(this.#node, shortest)
    return length === 0 ? undefined : { start: this.#end - length, end: this.#end, mark: '[redacted]' }
  }

  /** Takes out the matches that end up to a place in which none stands. */
  take(border: number): Match[] {
    let count = 0
    while (count < this.#matches.length && (this.#matches[count] as Match).end <= border) count++
    return count === 0 ? [] : this.#matches.splice(0, count)
  }
}
