import { hash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import {
  consistencyProof,
  EMPTY_ROOT,
  fromBase64,
  type Hash,
  inclusionProof,
  leafHash,
  leafOf,
  nodeHash,
  type Proof,
  Tree,
  toBase64,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts'

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

function fed(proof: Proof, leaves: readonly Hash[]): readonly Hash[] {
  for (const leaf of leaves) proof.append(leaf)
  return proof.path() as readonly Hash[]
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
    expect(fed(inclusionProof(index, size), leaves.slice(0, size)).map(hexOf)).toEqual(known)
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
    expect(fed(consistencyProof(older, size), leaves.slice(0, size)).map(hexOf)).toEqual(known)
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
      const path = fed(inclusionProof(index, size), leaves.slice(0, size))
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
      const path = fed(consistencyProof(older, size), leaves.slice(0, size))
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
        const path = fed(inclusionProof(index, size), leaves)
        expect(verifyInclusion(index, size, leaves[index] as Hash, path, root)).toBe(true)
        const at = which % path.length
        const bytes = Buffer.from(path[at] as Hash, 'latin1')
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
        const changed = path.with(at, bytes.toString('latin1'))
        expect(verifyInclusion(index, size, leaves[index] as Hash, changed, root)).toBe(false)
        const older = index + 1
        const first = naive(leaves.slice(0, older))
        const consistent = fed(consistencyProof(older, size), leaves)
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
    expect(() => inclusionProof(bad, 8)).toThrow(RangeError)
    expect(() => consistencyProof(1, bad)).toThrow(RangeError)
  }
  expect(() => inclusionProof(8, 8)).toThrow(RangeError)
  expect(() => consistencyProof(9, 8)).toThrow(RangeError)
})

it('is right beyond 32 bits', () => {
  const size = 2 ** 40 + 1
  const path = [EMPTY_ROOT]
  expect(
    verifyInclusion(2 ** 40, size, leafOf('00'.repeat(32)), path, nodeHash(EMPTY_ROOT, leafOf('00'.repeat(32)))),
  ).toBe(true)
  expect(inclusionProof(2 ** 40, size).path()).toBeUndefined()
})

it('is not done while leaves are missing, and takes no notice of more', () => {
  const leaves = leavesOf(9)
  const proof = inclusionProof(2, 8)
  for (const leaf of leaves.slice(0, 7)) proof.append(leaf)
  expect(proof.path()).toBeUndefined()
  proof.append(leaves[7] as Hash)
  const path = proof.path()
  proof.append(leaves[8] as Hash)
  expect(proof.path()).toEqual(path)
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
