/**
 * A tree that proofs can be made of while it grows, without keeping its leaves: on both sides of each mark, whole
 * subtrees are kept apart that would otherwise have become one. That is what proofs are made of (RFC 6962, 2.1).
 */
import { consistencyRanges, EMPTY_ROOT, type Hash, inclusionRanges, nodeHash, type Range } from './merkle.ts'

/** A whole subtree: the root over `width` leaves, a power of two, from the leaf `from` on. */
interface Part {
  readonly from: number
  readonly width: number
  readonly root: Hash
}

export class ProvingTree {
  #size = 0
  #parts: Part[] = []
  readonly #marks: Set<number>

  /** A proof of the leaf `n` needs marks at `n` and `n + 1`, one of consistency with `n` leaves a mark at `n`. */
  constructor(marks: readonly number[] = []) {
    this.#marks = new Set(marks)
  }

  get size(): number {
    return this.#size
  }

  get marks(): readonly number[] {
    return [...this.#marks]
  }

  append(root: Hash): void {
    join(this.#parts, { from: this.#size, width: 1, root }, this.#marks)
    this.#size++
  }

  root(): Hash {
    return this.#size === 0 ? EMPTY_ROOT : rootOf(this.#parts)
  }

  /** Keeps apart what stands before this place and what comes after it. */
  mark(): void {
    this.#marks.add(this.#size)
  }

  unmark(place: number): void {
    if (!this.#marks.delete(place)) return
    const parts: Part[] = []
    for (const part of this.#parts) join(parts, part, this.#marks)
    this.#parts = parts
  }

  /** The tree as it is now; it does not grow with this one. */
  copy(): ProvingTree {
    const copy = new ProvingTree([...this.#marks])
    copy.#parts = [...this.#parts]
    copy.#size = this.#size
    return copy
  }

  /** Throws `RangeError` for a leaf without marks. */
  inclusion(index: number): Hash[] {
    return inclusionRanges(index, this.#size).map((range) => this.#over(range))
  }

  /** That the tree of `older` leaves is a beginning of this one. Throws `RangeError` when there is no mark. */
  consistency(older: number): Hash[] {
    return consistencyRanges(older, this.#size).map((range) => this.#over(range))
  }

  #over([from, to]: Range): Hash {
    const parts = this.#parts.filter((part) => part.from >= from && part.from + part.width <= to)
    const covered = parts.reduce((sum, { width }) => sum + width, 0)
    if (covered !== to - from) throw new RangeError('no mark was set there')
    return rootOf(parts)
  }
}

const NONE: ReadonlySet<number> = new Set()

/** Adds a part at the end, and makes one of all that are whole together. */
function join(parts: Part[], added: Part, marks: ReadonlySet<number>): void {
  let last = added
  for (let before = parts.at(-1); before; before = parts.at(-1)) {
    const { from, width } = before
    if (width !== last.width || from % (2 * width) !== 0 || marks.has(last.from)) break
    parts.pop()
    last = { from, width: 2 * width, root: nodeHash(before.root, last.root) }
  }
  parts.push(last)
}

/** The root over parts that stand side by side, the first of them where a subtree begins. */
function rootOf(parts: readonly Part[]): Hash {
  const whole: Part[] = []
  for (const part of parts) join(whole, part, NONE)
  let top = (whole.at(-1) as Part).root
  for (let index = whole.length - 2; index >= 0; index--) top = nodeHash((whole[index] as Part).root, top)
  return top
}
