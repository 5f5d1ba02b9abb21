/**
 * Every way in which somebody who can write the files might change a trail of 2,000 entries, and who finds it. What is
 * exhaustive: every bit of every line of a small trail that has every kind of entry; one bit of every byte of the large
 * one, many flips at a time, far enough apart that each must be found by itself; every line deleted, doubled and swapped
 * with the next; every line end, and every byte of the last lines, cut behind; every 100th entry, all of it hashed anew.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { block, chainOf, hashedAnew, hashOf, kindsOf, keysOf, type Made, verifyBytes } from './tamper-scene.ts'
import { verifyTrail } from '../../packages/core/src/watch/verify.ts'

const ENTRIES = 2_000
const { signer, publicKey } = keysOf('acme.example/haldir')
const key = publicKey
let made: Made
let lines: readonly string[]
/** Where each line begins. */
let starts: number[]
let whole: Buffer

function startsOf(lines: readonly string[]): number[] {
  let at = 0
  return lines.map((line) => {
    const start = at
    at += Buffer.byteLength(line)
    return start
  })
}

beforeAll(() => {
  made = chainOf(ENTRIES, { signer })
  lines = made.lines
  starts = startsOf(lines)
  whole = Buffer.from(lines.join(''))
})

const last = () => made.notes.at(-1) as string
const rows = () => [{ id: 'w', genesis: hashOf(lines[0] as string), entries: lines.length, head: made.head, closed: true }]
const found = async (changed: readonly string[] | Buffer, options = {}) => (await verifyBytes(changed, options)).problems

it('nobody has touched it: whole, signed, and covered to its end', async () => {
  const { ok, writers, orphans, problems } = await verifyBytes(lines, { key, tree: true, exact: true, trusted: made.notes, writers: rows(), heartbeat: '2m' })
  expect({ ok, problems, orphans }).toEqual({ ok: true, problems: [], orphans: [] })
  expect(lines.length).toBeGreaterThanOrEqual(ENTRIES)
  expect(new Set(lines.map((line) => JSON.parse(line).type)).size).toBeGreaterThan(20)
  const checkpoint = { size: lines.length - 1, time: expect.any(String) }
  expect(writers).toEqual([{ id: 'w', entries: lines.length, head: made.head, closed: true, checkpoint, uncovered: 0 }])
})

describe('a bit that is flipped', () => {
  it('is found at each place of each kind of entry, and the entry is named', async () => {
    proves('trail-immutable')
    const small = chainOf(210, { signer, every: 20 }).lines
    const at = startsOf(small)
    const bytes = Buffer.from(small.join(''))
    const longest = Math.max(...small.map((line) => Buffer.byteLength(line)))
    let flips = 0
    // Every other line at once: each flip is found in its own line, and stays without effect on the one after the next.
    for (let bit = 0; bit < (longest - 1) * 8; bit++) {
      for (const odd of [0, 1]) {
        const changed = Buffer.from(bytes)
        const places: string[] = []
        for (let index = odd; index < small.length; index += 2) {
          const length = Buffer.byteLength(small[index] as string) - 1
          const byte = bit >> 3
          if (byte >= length) continue
          // A newline in the middle makes two lines of one, and moves the numbers of all others.
          if (((bytes[(at[index] as number) + byte] as number) ^ (1 << (bit & 7))) === 10) continue
          changed[(at[index] as number) + byte] ^= 1 << (bit & 7)
          places.push(`audit-w-1.jsonl:${index + 1}`)
        }
        const problems = await found(changed)
        const named = problems.map(({ place }) => place)
        if (named.join() !== places.join()) {
          expect({ bit, named: named.filter((place) => !places.includes(place as string)) }).toEqual({ bit, named: [] })
          expect(named).toEqual(expect.arrayContaining(places))
        }
        flips += places.length
      }
    }
    expect(flips).toBeGreaterThan(500_000)
  }, 60_000)
})
