/**
 * Looks for many texts at once, in time that grows with the text that is read and not with how many are looked for: an
 * automaton after Aho and Corasick (Efficient string matching, 1975) over UTF-16 units. A node stands for a beginning
 * of a needle; after a text the automaton is at the node of the longest end of it that is such a beginning.
 */
import { Sieve } from './sieve.ts'
import { CHAIN, CHAIN_LETTER, FORK, ROOT, Tree } from './tree.ts'

/** Told of each place where needles end: the number of the longest of them, and the place. */
export type Take = (needle: number, end: number) => void

export class Needles {
  readonly #texts: string[] = []
  readonly #sieve = new Sieve()
  readonly #tree = new Tree()
  /** The needle that is a node. */
  readonly #whole = new Map<number, number>()

  // The rest is found out when a text leads to a node and forgotten when a needle is added. So adding is cheap, and
  // what no text leads to costs nothing.

  /**
   * To where a node falls back: to the longest true end of its text that is a node as well. That one's number + 1; 0
   * when it is not known; negative when a needle ends at the node.
   */
  #links = new Int32Array(0)
  /** The nodes whose link is known. */
  readonly #linked: number[] = []
  /** The longest needle that ends at a node, when it is not the node. */
  readonly #within = new Map<number, number>()
  readonly #tells = new Map<number, number>()
  /** Where the last walk ended. */
  #reached = ROOT

  /** The length of the shortest, but never more than is worth knowing. */
  get shortest(): number {
    return this.#sieve.length
  }

  /** All of them, by number. */
  get texts(): readonly string[] {
    return this.#texts
  }

  /** Adds one that is not empty; answers whether it is new. */
  add(text: string): boolean {
    const node = this.#tree.add(text)
    if (this.#whole.has(node)) return false
    this.#forget()
    this.#whole.set(node, this.#texts.length)
    this.#sieve.add(text, this.#texts)
    this.#texts.push(text)
    return true
  }

  /** Finds every place of a text where needles end. */
  find(text: string, take: Take): void {
    this.#sift(text, 0, take)
  }

  /**
   * Reads on from the node after what came before, at first `ROOT`, and answers the node after the text. No needle may
   * have been added in between. Places count from the beginning of the text.
   */
  read(text: string, node: number, take: Take): number {
    this.#reached = node
    const from = this.#sift(text, node === ROOT ? 0 : this.#walk(text, 0, node, take, true), take)
    // No needle begins and ends in what is left, but one may begin.
    if (from < text.length) this.#walk(text, from, ROOT, take, false)
    return this.#reached
  }

  /** How long the end of a text is that begins a needle, and less than all of it. */
  begun(node: number): number {
    return this.#tree.depth(this.#open(node))
  }

  /** The longest such end that has at least `shortest` letters and is at least half of a needle; 0 when none is. */
  telling(node: number, shortest: number): number {
    const from = this.#open(node)
    let at = from
    let told = this.#tells.get(at)
    while (told === undefined) {
      const depth = this.#tree.depth(at)
      const least = this.#tree.least(at)
      if (depth < shortest) told = 0
      else if (least > 0 && least <= depth * 2) told = depth
      else {
        at = this.#fall(at)
        told = this.#tells.get(at)
      }
    }
    this.#tells.set(from, told)
    return told
  }

  /** Goes through a text from where nothing is begun. Answers from where it is too short for a needle to begin. */
  #sift(text: string, from: number, take: Take): number {
    const sieve = this.#sieve
    const pausing = sieve.worthwhile
    let at = sieve.skip(text, from)
    while (at + sieve.length <= text.length) at = sieve.skip(text, this.#walk(text, at, ROOT, take, pausing))
    return at
  }

  /** Reads letter by letter to the end, or, `pausing`, until nothing is begun; answers where that is. */
  #walk(text: string, from: number, start: number, take: Take, pausing: boolean): number {
    const { next, branches } = this.#tree
    const { first } = branches
    // Links of before are good; of an array that is too short none is, for a needle has been added.
    if (this.#links.length < next.length) this.#links = new Int32Array(next.length)
    const links = this.#links
    let node = start
    let at = from
    while (at < text.length) {
      const letter = text.charCodeAt(at++)
      for (;;) {
        if (node === ROOT) {
          node = letter < 256 ? (first[letter] as number) : branches.get(ROOT, letter)
          break
        }
        const follows = next[node] as number
        if ((follows & CHAIN_LETTER) === (letter | CHAIN)) {
          node++
          break
        }
        const branch = follows & FORK ? branches.get(node, letter) : ROOT
        if (branch !== ROOT) {
          node = branch
          break
        }
        node = Math.abs(links[node] || this.#link(node)) - 1
      }
      if (node === ROOT) {
        if (pausing) break
      } else if ((links[node] || this.#link(node)) < 0) take(this.#longest(node), at)
    }
    this.#reached = node
    return at
  }

  #longest(node: number): number {
    return (this.#whole.get(node) ?? this.#within.get(node)) as number
  }

  /** Nothing goes on after some nodes. What goes on after their text goes on after a node they fall back to. */
  #open(node: number): number {
    let open = node
    while (open !== ROOT && this.#tree.least(open) === 0) open = this.#fall(open)
    return open
  }

  #fall(node: number): number {
    return Math.abs(this.#links[node] || this.#link(node)) - 1
  }

  /**
   * Finds out a node's link from that of its parent and of those on the way, whose texts are shorter. Without recursion:
   * a secret may be long. All links together cost no more than the needles are long.
   */
  #link(node: number): number {
    const tree = this.#tree
    const links = this.#links
    // What is being found out, each for the one before it, and how far that has come.
    const nodes = [node]
    const places = [UNBEGUN]
    while (nodes.length > 0) {
      const top = nodes.length - 1
      const one = nodes[top] as number
      const letter = tree.letter(one)
      const parent = tree.parent(one)
      let at = places[top] as number
      let target = ROOT
      let missing = ROOT
      if (parent !== ROOT) {
        if (at === UNBEGUN && links[parent] === 0) missing = parent
        else if (at === UNBEGUN) at = this.#fall(parent)
        while (missing === ROOT) {
          target = tree.child(at, letter)
          if (target !== ROOT && links[target] === 0) missing = target
          if (target !== ROOT || at === ROOT) break
          if (links[at] === 0) missing = at
          else at = this.#fall(at)
        }
      }
      if (missing === ROOT) {
        this.#set(one, target)
        nodes.pop()
        places.pop()
      } else {
        places[top] = at
        nodes.push(missing)
        places.push(UNBEGUN)
      }
    }
    return links[node] as number
  }

  #set(node: number, target: number): void {
    const links = this.#links
    const whole = this.#whole.has(node)
    const inner = target !== ROOT && (links[target] as number) < 0
    if (inner && !whole) this.#within.set(node, this.#longest(target))
    links[node] = whole || inner ? -(target + 1) : target + 1
    this.#linked.push(node)
  }

  #forget(): void {
    for (const node of this.#linked) this.#links[node] = 0
    this.#linked.length = 0
    this.#within.clear()
    this.#tells.clear()
  }
}

const UNBEGUN = -1
