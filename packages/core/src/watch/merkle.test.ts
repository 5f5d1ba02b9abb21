import { hash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import {
  consistencyRanges,
  EMPTY_ROOT,
  fromBase64,
  type Hash,
  inclusionRanges,
  leafHash,
  leafOf,
  nodeHash,
  Tree,
  toBase64,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts'
import { ProvingTree } from './proving-tree.ts'

const hexOf = (value: Hash) => Buffer.from(value, 'latin1').toString('hex')
const ofHex = (text: string) => Buffer.from(text, 'hex').toString('latin1')

/** The tree as RFC 6962, section 2.1, defines it. */
function naive(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return EMPTY_ROOT
  if (leaves.length === 1) return leaves[0] as Hash
  let left = 1
  while (left * 2 < leaves.length) left *= 2
  return nodeHash(naive(leaves.slice(0, left)), naive(leaves.slice(left)))
}

function inclusion(index: number, leaves: readonly Hash[]): readonly Hash[] {
  const tree = new ProvingTree([index, index + 1])
  for (const leaf of leaves) tree.append(leaf)
  return tree.inclusion(index)
}

function consistency(older: number, leaves: readonly Hash[]): readonly Hash[] {
  const tree = new ProvingTree([older])
  for (const leaf of leaves) tree.append(leaf)
  return tree.consistency(older)
}

const leavesOf = (size: number) => Array.from({ length: size }, (_, n) => leafOf(hash('sha256', `entry ${n}`, 'hex')))
const roots = (leaves: readonly Hash[]) =>
  Array.from({ length: leaves.length + 1 }, (_, n) => naive(leaves.slice(0, n)))

// The tree that implementations of Certificate Transparency are tested with.
const DATA = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

describe('the tree of Certificate Transparency', () => {
  const leaves = DATA.map((data) => leafHash(Buffer.from(data, 'hex')))

  it('has the known roots', () => {
    const tree = new Tree()
    expect(hexOf(tree.root())).toBe(ROOTS[0])
    for (const [index, leaf] of leaves.entries()) {
      tree.append(leaf)
      expect(hexOf(tree.root())).toBe(ROOTS[index + 1])
      expect(tree.size).toBe(index + 1)
    }
  })

  test.each([
    [0, 1, []],
    [
      0,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      5,
      8,
      [
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
    [
      1,
      5,
      [
        '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ])('proves leaf %i of %i as known', (index, size, known) => {
    expect(inclusion(index, leaves.slice(0, size)).map(hexOf)).toEqual(known)
  })

  test.each([
    [1, 1, []],
    [
      1,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      6,
      8,
      [
        '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [
      2,
      5,
      [
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ])('proves that the tree of %i is a beginning of that of %i as known', (older, size, known) => {
    expect(consistency(older, leaves.slice(0, size)).map(hexOf)).toEqual(known)
  })
})

it('takes 32 bytes of an entry’s hash as a leaf', () => {
  const entry = hash('sha256', 'entry', 'hex')
  expect(leafOf(entry)).toBe(leafHash(Buffer.from(entry, 'hex')))
  expect(hexOf(leafOf(entry))).toBe(hash('sha256', Buffer.from(`00${entry}`, 'hex'), 'hex'))
})

const SIZES = 40

it('appends what the naive tree is made of, and proves every leaf of every size', () => {
  const leaves = leavesOf(SIZES)
  const root = roots(leaves)
  const tree = new Tree()
  for (let size = 1; size <= SIZES; size++) {
    tree.append(leaves[size - 1] as Hash)
    expect(tree.root()).toBe(root[size])
    for (let index = 0; index < size; index++) {
      const path = inclusion(index, leaves.slice(0, size))
      expect(path.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)))
      expect(verifyInclusion(index, size, leaves[index] as Hash, path, root[size] as Hash)).toBe(true)
      // Of no other leaf, no other place, no other tree.
      expect(verifyInclusion(index, size, leaves[size] ?? EMPTY_ROOT, path, root[size] as Hash)).toBe(false)
      expect(verifyInclusion(index + 1, size, leaves[index] as Hash, path, root[size] as Hash)).toBe(false)
      expect(verifyInclusion(index, size, leaves[index] as Hash, path, root[size - 1] as Hash)).toBe(false)
      expect(verifyInclusion(index, size, leaves[index] as Hash, [...path, EMPTY_ROOT], root[size] as Hash)).toBe(false)
      expect(verifyInclusion(index, size, leaves[index] as Hash, path.slice(1), root[size] as Hash)).toBe(size === 1)
    }
  }
})

it('proves every tree to be a beginning of every later one, and of no other', () => {
  const leaves = leavesOf(SIZES)
  const root = roots(leaves)
  const forged = roots(leaves.map((leaf, n) => (n === 0 ? EMPTY_ROOT : leaf)))
  for (let size = 0; size <= SIZES; size++) {
    for (let older = 0; older <= size; older++) {
      const path = consistency(older, leaves.slice(0, size))
      const check = (from: Hash | undefined, to: Hash | undefined, with_ = path) =>
        verifyConsistency(older, size, from as Hash, to as Hash, with_)
      expect(check(root[older], root[size]), `${older} of ${size}`).toBe(true)
      if (older > 0) expect(check(root[older], forged[size])).toBe(false)
      if (older > 0) expect(check(forged[older], root[size])).toBe(false)
      expect(check(root[older], root[size], [...path, EMPTY_ROOT])).toBe(false)
      if (path.length > 0) expect(check(root[older], root[size], path.slice(0, -1))).toBe(false)
      for (const index of path.keys()) {
        expect(check(root[older], root[size], path.with(index, forged[1] as Hash))).toBe(false)
      }
      if (older < size)
        expect(verifyConsistency(size, older, root[size] as Hash, root[older] as Hash, path)).toBe(false)
    }
  }
})

it('refuses a proof in which any bit is changed', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 300 }),
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      (size, where, which, bit) => {
        const leaves = leavesOf(size)
        const index = where % size
        const root = naive(leaves)
        const path = inclusion(index, leaves)
        expect(verifyInclusion(index, size, leaves[index] as Hash, path, root)).toBe(true)
        const at = which % path.length
        const bytes = Buffer.from(path[at] as Hash, 'latin1')
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
        const changed = path.with(at, bytes.toString('latin1'))
        expect(verifyInclusion(index, size, leaves[index] as Hash, changed, root)).toBe(false)
        const older = index + 1
        const first = naive(leaves.slice(0, older))
        const consistent = consistency(older, leaves)
        expect(verifyConsistency(older, size, first, root, consistent)).toBe(true)
      },
    ),
    { numRuns: 100 },
  )
})

it('answers `false`, and no more, for numbers that are none', () => {
  for (const bad of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    expect(verifyInclusion(bad, 8, EMPTY_ROOT, [], EMPTY_ROOT)).toBe(false)
    expect(verifyInclusion(0, bad, EMPTY_ROOT, [], EMPTY_ROOT)).toBe(false)
    expect(verifyConsistency(bad, 8, EMPTY_ROOT, EMPTY_ROOT, [])).toBe(false)
    expect(verifyConsistency(1, bad, EMPTY_ROOT, EMPTY_ROOT, [])).toBe(false)
    expect(() => inclusionRanges(bad, 8)).toThrow(RangeError)
    expect(() => consistencyRanges(1, bad)).toThrow(RangeError)
  }
  expect(() => inclusionRanges(8, 8)).toThrow(RangeError)
  expect(() => consistencyRanges(9, 8)).toThrow(RangeError)
})

it('does not take a part of a tree for the whole', () => {
  const [first, second] = leavesOf(2) as [Hash, Hash]
  expect(verifyInclusion(0, 1, first, [], first)).toBe(true)
  expect(verifyInclusion(0, 2, first, [], first)).toBe(false)
  expect(verifyInclusion(0, 3, first, [second], nodeHash(first, second))).toBe(false)
  expect(verifyConsistency(1, 3, first, nodeHash(first, second), [second])).toBe(false)
})

it('is right beyond 32 bits', () => {
  const size = 2 ** 40 + 1
  const path = [EMPTY_ROOT]
  expect(
    verifyInclusion(2 ** 40, size, leafOf('00'.repeat(32)), path, nodeHash(EMPTY_ROOT, leafOf('00'.repeat(32)))),
  ).toBe(true)
  expect(inclusionRanges(2 ** 40, size)).toEqual([[0, 2 ** 40]])
})

describe('a tree that proofs are made of', () => {
  it('has the same root, wherever marks are, and proves to every mark from every size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(64), { maxLength: 6 }),
        fc.array(fc.nat(64), { maxLength: 4 }),
        fc.integer({ min: 1, max: 64 }),
        (marks, gone, size) => {
          const leaves = leavesOf(size)
          const tree = new ProvingTree()
          const roots: Hash[] = [tree.root()]
          const left = new Set<number>()
          for (const [index, leaf] of leaves.entries()) {
            if (marks.includes(index)) {
              tree.mark()
              left.add(index)
            }
            tree.append(leaf)
            roots.push(tree.root())
            if (gone.includes(index)) {
              const mark = gone[index % gone.length] as number
              tree.unmark(mark)
              left.delete(mark)
            }
          }
          expect(tree.size).toBe(size)
          const copy = tree.copy()
          copy.append(leaves[0] as Hash)
          expect(roots).toEqual(Array.from({ length: size + 1 }, (_, n) => naive(leaves.slice(0, n))))
          for (const older of left) {
            const path = tree.consistency(older)
            expect(verifyConsistency(older, size, roots[older] as Hash, roots[size] as Hash, path)).toBe(true)
            const later = copy.consistency(older)
            expect(verifyConsistency(older, size + 1, roots[older] as Hash, copy.root(), later)).toBe(true)
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  it('says so when a mark is missing', () => {
    const tree = new ProvingTree([4])
    for (const leaf of leavesOf(8)) tree.append(leaf)
    expect(tree.consistency(4)).toHaveLength(1)
    expect(() => tree.consistency(3)).toThrow(RangeError)
    expect(() => tree.inclusion(5)).toThrow(RangeError)
    tree.unmark(4)
    expect(() => tree.consistency(4)).toThrow(RangeError)
    expect(tree.root()).toBe(naive(leavesOf(8)))
  })
})

it('spells a hash in one way only', () => {
  const root = ofHex(ROOTS[3] as string)
  expect(fromBase64(toBase64(root))).toBe(root)
  const text = toBase64(root)
  for (const other of [
    text.slice(0, -1),
    `${text} `,
    `${text}\n`,
    text.replace('=', ''),
    `${text.slice(0, 42)}9=`,
    '',
    1,
  ]) {
    expect(fromBase64(other)).toBeUndefined()
  }
})
