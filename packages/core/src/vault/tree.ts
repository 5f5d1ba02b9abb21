/**
 * A tree of letters: a node for each beginning of the texts that were added. Nodes are numbered as they come and keep
 * their numbers, so a text that is added costs as much as it is long, and most of its nodes stand in a row: there one
 * number says what follows. A node weighs six bytes.
 */
import { Branches } from './branches.ts'

/** The node of the empty text; also says that there is none. */
export const ROOT = 0
/** Of what follows a node: its letter leads to the next number. Compared together with the letter. */
export const CHAIN = 0x1_0000
/** Of what follows a node: some letters lead to branches. */
export const FORK = 0x2_0000
export const CHAIN_LETTER = 0x1_ffff

/** Lengths above it count as it. */
const LONGEST = 0xffff

/** The first node of a row. */
interface Head {
  readonly node: number
  readonly parent: number
  readonly letter: number
  readonly depth: number
}

export class Tree {
  /** What follows each node. Another array when it has grown. */
  next: Int32Array = new Int32Array(256)
  readonly branches: Branches = new Branches()
  /** The length of the shortest text that goes on after a node; 0 when none does. */
  #least = new Uint16Array(256)
  #nodes = 1
  /** In the order of their nodes. */
  readonly #heads: Head[] = []

  /** Adds a text that is not empty; answers its node. */
  add(text: string): number {
    const length = Math.min(text.length, LONGEST)
    const least = this.#least
    let node = ROOT
    for (let at = 0; at < text.length; at++) {
      if (least[node] === 0 || (least[node] as number) > length) least[node] = length
      const next = this.child(node, text.charCodeAt(at))
      if (next === ROOT) return this.#grow(node, text, at, length)
      node = next
    }
    return node
  }

  child(node: number, letter: number): number {
    const follows = this.next[node] as number
    if ((follows & CHAIN_LETTER) === (letter | CHAIN)) return node + 1
    return follows & FORK || node === ROOT ? this.branches.get(node, letter) : ROOT
  }

  parent(node: number): number {
    return this.#chained(node) ? node - 1 : this.#head(node).parent
  }

  /** The last letter of a node's text. */
  letter(node: number): number {
    return this.#chained(node) ? (this.next[node - 1] as number) & 0xffff : this.#head(node).letter
  }

  /** How long a node's text is. */
  depth(node: number): number {
    if (node === ROOT) return 0
    const head = this.#head(node)
    return head.depth + node - head.node
  }

  /** The length of the shortest text that goes on after a node; 0 when none does. */
  least(node: number): number {
    return this.#least[node] as number
  }

  #grow(parent: number, text: string, from: number, length: number): number {
    const node = this.#nodes
    this.#nodes += text.length - from
    if (this.#nodes > this.next.length) this.#enlarge()
    const { next } = this
    const letter = text.charCodeAt(from)
    next[parent] = (next[parent] as number) | FORK
    this.branches.add(parent, letter, node)
    this.#heads.push({ node, parent, letter, depth: from + 1 })
    for (let at = from + 1; at < text.length; at++) next[node + at - from - 1] = text.charCodeAt(at) | CHAIN
    const last = this.#nodes - 1
    this.#least.fill(length, node, last)
    return last
  }

  #enlarge(): void {
    let size = this.next.length
    while (size < this.#nodes) size *= 2
    const [next, least] = [this.next, this.#least]
    this.next = new Int32Array(size)
    this.next.set(next)
    this.#least = new Uint16Array(size)
    this.#least.set(least)
  }

  #chained(node: number): boolean {
    return ((this.next[node - 1] as number) & CHAIN) !== 0
  }

  /** Of the row a node stands in. */
  #head(node: number): Head {
    const heads = this.#heads
    let low = 0
    let high = heads.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((heads[middle] as Head).node <= node) low = middle
      else high = middle - 1
    }
    return heads[low] as Head
  }
}
