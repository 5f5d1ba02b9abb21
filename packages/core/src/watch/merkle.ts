/**
 * The Merkle tree over the entries of one chain (RFC 6962, section 2.1). A leaf is an entry's hash as 32 bytes. Trees and
 * proofs are made in one pass over the leaves with memory that grows with the logarithm of their number.
 */
import { hash } from 'node:crypto'

/** A SHA-256 hash as 32 characters of latin1: strings are hashed, joined and compared faster than buffers. */
export type Hash = string

/** Root of the tree without leaves. */
export const EMPTY_ROOT: Hash = hash('sha256', '', 'binary')

// Written and hashed in one turn, so one of each is enough.
const leaf = Buffer.alloc(33)
const node = Buffer.alloc(65)
leaf[0] = 0x00
node[0] = 0x01

/** The leaf of an entry, from its hash: 64 hex digits. */
export function leafOf(entryHash: string): Hash {
  leaf.write(entryHash, 1, 32, 'hex')
  return hash('sha256', leaf, 'binary')
}

/** The leaf of any data. */
export function leafHash(data: Uint8Array): Hash {
  return hash('sha256', Buffer.concat([leaf.subarray(0, 1), data]), 'binary')
}

export function nodeHash(left: Hash, right: Hash): Hash {
  node.write(left, 1, 32, 'latin1')
  node.write(right, 33, 32, 'latin1')
  return hash('sha256', node, 'binary')
}

export function toBase64(value: Hash): string {
  return Buffer.from(value, 'latin1').toString('base64')
}

/** `undefined` for what is not a hash in base64, in its only spelling. */
export function fromBase64(text: unknown): Hash | undefined {
  if (typeof text !== 'string' || !/^[A-Za-z0-9+/]{43}=$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === 32 && bytes.toString('base64') === text ? bytes.toString('latin1') : undefined
}

/** A tree that leaves are appended to. Keeps the roots of its whole subtrees only, the largest first. */
export class Tree {
  #size = 0
  readonly #whole: Hash[] = []

  get size(): number {
    return this.#size
  }

  append(added: Hash): void {
    let top = added
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) top = nodeHash(this.#whole.pop() as Hash, top)
    this.#whole.push(top)
    this.#size++
  }

  root(): Hash {
    let top = this.#whole.at(-1) ?? EMPTY_ROOT
    for (let index = this.#whole.length - 2; index >= 0; index--) top = nodeHash(this.#whole[index] as Hash, top)
    return top
  }
}

/** Leaves from `from` up to, without, `to`: a subtree whose root belongs to a proof. */
export type Range = readonly [from: number, to: number]

/** What the proof is made of that the leaf at `index` is in the tree of `size` leaves (RFC 6962, 2.1.1), in its order. */
export function inclusionRanges(index: number, size: number): readonly Range[] {
  if (!isSize(index) || !isSize(size) || index >= size) throw new RangeError('no such leaf')
  const ranges: Range[] = []
  for (let from = 0, to = size; to - from > 1; ) {
    const middle = from + leftOf(to - from)
    // The outermost comes last in a proof.
    ranges.unshift(index < middle ? [middle, to] : [from, middle])
    if (index < middle) to = middle
    else from = middle
  }
  return ranges
}

/** The same of the proof that the tree of `older` leaves is a beginning of that of `size` (RFC 6962, 2.1.2). */
export function consistencyRanges(older: number, size: number): readonly Range[] {
  if (!isSize(older) || !isSize(size) || older > size) throw new RangeError('no such trees')
  const ranges: Range[] = []
  let from = 0
  let to = size
  while (older > 0 && older < to) {
    const middle = from + leftOf(to - from)
    ranges.unshift(older <= middle ? [middle, to] : [from, middle])
    if (older <= middle) to = middle
    else from = middle
  }
  // The older tree itself is known to whoever checks.
  if (older > 0 && from > 0) ranges.unshift([from, to])
  return ranges
}

/** RFC 9162, 2.1.3.2. */
export function verifyInclusion(index: number, size: number, of: Hash, path: readonly Hash[], root: Hash): boolean {
  if (!isSize(index) || !isSize(size) || index >= size) return false
  let at = index
  let last = size - 1
  let top = of
  for (const next of path) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      top = nodeHash(next, top)
      for (; at % 2 === 0 && at !== 0; at /= 2) last = half(last)
    } else top = nodeHash(top, next)
    at = half(at)
    last = half(last)
  }
  return last === 0 && top === root
}

/** RFC 9162, 2.1.4.2; the empty tree is a beginning of every other, without proof. */
export function verifyConsistency(
  older: number,
  size: number,
  olderRoot: Hash,
  root: Hash,
  path: readonly Hash[],
): boolean {
  if (!isSize(older) || !isSize(size) || older > size) return false
  if (older === size) return path.length === 0 && olderRoot === root
  if (older === 0) return path.length === 0 && olderRoot === EMPTY_ROOT
  let at = older - 1
  let last = size - 1
  for (; at % 2 === 1; at = half(at)) last = half(last)
  // Of a whole subtree, the proof leaves its root out.
  const [first, ...rest] = at === 0 ? [olderRoot, ...path] : path
  if (first === undefined || path.length === 0) return false
  let before = first
  let top = first
  for (const next of rest) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      before = nodeHash(next, before)
      top = nodeHash(next, top)
      for (; at % 2 === 0 && at !== 0; at /= 2) last = half(last)
    } else top = nodeHash(top, next)
    at = half(at)
    last = half(last)
  }
  return last === 0 && before === olderRoot && top === root
}

/** How many leaves stand on the left of a tree of so many: the largest power of two below. */
function leftOf(size: number): number {
  let left = 1
  while (left * 2 < size) left *= 2
  return left
}

/** Not by shifting: that ends at 32 bits. */
function half(value: number): number {
  return Math.floor(value / 2)
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
