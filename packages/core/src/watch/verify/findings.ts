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
  readonly #omitted: Omitted = new Map()

  add(problem: Problem, after = 0): void {
    const count = (this.#count.get(problem.writer) ?? 0) + 1
    this.#count.set(problem.writer, count)
    // The first of each writer stands, whatever the others fill the list with.
    if (this.#found.length < MOST || count === 1) this.#found.push({ problem, after })
    else this.#omit(problem, after)
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
    const omitted = this.#omitted.get(writer)
    // Nothing is kept of each: they are excused together, or not at all.
    if (omitted && omitted.after >= entries) omitted.forgivable = 0
  }

  get problems(): Problem[] {
    return this.#found.map(({ problem }) => problem)
  }

  get omitted(): number {
    let count = 0
    for (const { forgivable, others } of this.#omitted.values()) count += forgivable + others
    return count
  }

  #omit({ writer, kind }: Problem, after: number): void {
    const omitted = this.#omitted.get(writer) ?? { forgivable: 0, after: Number.POSITIVE_INFINITY, others: 0 }
    this.#omitted.set(writer, omitted)
    if (FORGIVABLE.has(kind)) {
      omitted.forgivable++
      omitted.after = Math.min(omitted.after, after)
    } else omitted.others++
  }
}

/** Of each writer how many more problems there are, and behind how many entries the first was met that may be excused. */
type Omitted = Map<string, { forgivable: number; after: number; others: number }>

/** What a write that failed may leave behind. */
const FORGIVABLE = new Set(['malformed', 'hash', 'sequence', 'link', 'torn'])
