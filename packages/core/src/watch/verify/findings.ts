/** Collects problems: as many as anybody reads, however many there are, so that a spoilt trail fills no memory. */
import type { Problem } from '../verification.ts'

const MOST = 1_000

interface Found {
  readonly problem: Problem
  /** How many entries of its writer stood before it. */
  readonly after: number
}

export class Findings {
  readonly #found: Found[] = []
  readonly #count = new Map<string, number>()
  #omitted = 0

  add(problem: Problem, after = 0): void {
    const count = (this.#count.get(problem.writer) ?? 0) + 1
    this.#count.set(problem.writer, count)
    // The first of each writer stands, whatever the others fill the list with.
    if (this.#found.length < MOST || count === 1) this.#found.push({ problem, after })
    else this.#omitted++
  }

  /** Whether anything is wrong with the chain of a writer. */
  has(writer: string): boolean {
    return this.#count.has(writer)
  }

  /** Takes back what was found in a chain behind its first `entries`. */
  forgive(writer: string, entries: number): void {
    for (let index = this.#found.length - 1; index >= 0; index--) {
      const { problem, after } = this.#found[index] as Found
      if (problem.writer === writer && after >= entries && FORGIVABLE.has(problem.kind)) this.#found.splice(index, 1)
    }
  }

  get problems(): Problem[] {
    return this.#found.map(({ problem }) => problem)
  }

  get omitted(): number {
    return this.#omitted
  }
}

/** What a write that failed may leave behind. */
const FORGIVABLE = new Set(['malformed', 'hash', 'sequence', 'link', 'torn'])
