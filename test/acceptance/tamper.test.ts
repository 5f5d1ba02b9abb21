/**
 * Every way in which somebody who can write the files might change a trail of 2,000 entries, and who finds it. What is
 * exhaustive: every bit of every line of a small trail that has every kind of entry, by whole verifications; one bit of
 * every byte of the large one, by what decides whether a line is the next entry (all others are looked at as in the small
 * trail); every line deleted, doubled and swapped with the next; every line end, and every byte of the last lines, cut
 * behind; from every 100th entry on, all of it hashed anew.
 */

import { beforeAll, describe, expect, it } from 'vitest'
import { GENESIS } from '../../packages/core/src/watch/chain.ts'
import { ENTRY_TYPES } from '../../packages/core/src/watch/entry.ts'
import { viewOf } from '../../packages/core/src/watch/verify/bytes.ts'
import { LineForm } from '../../packages/core/src/watch/verify/line-form.ts'
import { proves } from '../promises.ts'
import { chainOf, hashedAnew, hashOf, keysOf, kindsOf, type Made, verifyBytes } from './tamper-scene.ts'

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

function flip(bytes: Buffer, at: number, bit: number): void {
  bytes[at] = (bytes[at] as number) ^ (1 << bit)
}

const last = () => made.notes.at(-1) as string
const rows = () => [
  { id: 'w', genesis: hashOf(lines[0] as string), entries: lines.length, head: made.head, closed: true },
]
const found = async (changed: readonly string[] | Buffer, options = {}) =>
  (await verifyBytes(changed, options)).problems

it('nobody has touched it: whole, signed, and covered to its end', async () => {
  const { ok, writers, orphans, problems } = await verifyBytes(lines, {
    key,
    tree: true,
    exact: true,
    trusted: made.notes,
    writers: rows(),
    heartbeat: '2m',
  })
  expect({ ok, problems, orphans }).toEqual({ ok: true, problems: [], orphans: [] })
  expect(lines.length).toBeGreaterThanOrEqual(ENTRIES)
  expect(new Set(lines.map((line) => JSON.parse(line).type)).size).toBeGreaterThan(20)
  const checkpoint = { size: lines.length - 1, time: expect.any(String) }
  expect(writers).toEqual([{ id: 'w', entries: lines.length, head: made.head, closed: true, checkpoint, uncovered: 0 }])
})

describe('a bit that is flipped', () => {
  it('is found at each place of each kind of entry, and the entry is named', async () => {
    proves('trail-immutable')
    const small = chainOf(76, { signer, every: 20, mix: 2 }).lines
    const at = startsOf(small)
    const bytes = Buffer.from(small.join(''))
    const longest = Math.max(...small.map((line) => Buffer.byteLength(line)))
    let flips = 0
    let newlines = 0
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
          if (((bytes[(at[index] as number) + byte] as number) ^ (1 << (bit & 7))) === 10) {
            newlines++
            continue
          }
          flip(changed, (at[index] as number) + byte, bit & 7)
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
    expect(new Set(small.map((line) => JSON.parse(line).type)).size).toBe(ENTRY_TYPES.length - 1)
    expect(flips).toBe(small.reduce((sum, line) => sum + (Buffer.byteLength(line) - 1) * 8, 0) - newlines)
  }, 180_000)

  it('is never taken for the entry that comes next, in any byte of 2,000 entries', () => {
    const form = new LineForm('w')
    const view = viewOf(whole)
    let prev = GENESIS
    let flips = 0
    for (const [index, start] of starts.entries()) {
      const end = (starts[index + 1] ?? whole.length) - 1
      for (let at = start; at < end; at++) {
        // Each bit of every fortieth line, and one of each byte of the others.
        for (
          let bit = index % 40 === 0 ? 0 : 7 - ((at + index) % 8), last = index % 40 === 0 ? 7 : bit;
          bit <= last;
          bit++
        ) {
          form.expect(index, prev)
          flip(whole, at, bit)
          const taken = form.follow(whole, view, start, end)
          flip(whole, at, bit)
          if (taken >= 0) expect({ index, at: at - start, bit }).toBeUndefined()
          flips++
        }
      }
      form.expect(index, prev)
      expect(form.follow(whole, view, start, end)).toBeGreaterThan(0)
      prev = form.prev
    }
    expect(flips).toBeGreaterThan(whole.length)
  }, 180_000)

  it('is found in every newline, which joins two lines or cuts the last', async () => {
    // Twenty at a time, far apart.
    const apart = Math.floor(lines.length / 20)
    for (let first = 0; first < apart; first += 9) {
      const changed = Buffer.from(whole)
      const joined = Array.from({ length: 20 }, (_, n) => first + n * apart)
      for (const index of joined) flip(changed, (starts[index + 1] ?? whole.length) - 1, index % 8)
      const problems = await found(changed)
      expect(problems.filter(({ kind }) => kind === 'malformed' || kind === 'torn')).toHaveLength(20)
    }
    const changed = Buffer.from(whole)
    flip(changed, whole.length - 1, 0)
    expect((await found(changed))[0]).toMatchObject({ kind: 'torn', place: `audit-w-1.jsonl:${lines.length}` })
  })
})

/** Whole verifications are dear: many changes are made at once, far enough apart that each must be found by itself. */
const APART = 40

describe('a line', () => {
  it.each<[string, (lines: string[], index: number) => void]>([
    ['deleted', (changed, index) => void changed.splice(index, 1)],
    ['written twice', (changed, index) => void changed.splice(index, 0, changed[index] as string)],
    [
      'swapped with the next',
      (changed, index) => void changed.splice(index, 2, ...changed.slice(index, index + 2).reverse()),
    ],
  ])(
    'that is %s is found, wherever it stands',
    async (_, change) => {
      for (let first = 0; first < APART; first++) {
        const changed = [...lines]
        const at: number[] = []
        // From the end on, so that no change moves another.
        for (let index = first; index < lines.length - 1; index += APART) at.unshift(index)
        for (const index of at) change(changed, index)
        const problems = await found(changed)
        const named = new Set(problems.map(({ kind }) => kind))
        expect([...named]).toEqual(['sequence'])
        expect(problems.length).toBeGreaterThanOrEqual(at.length)
        // Each by the entry that stands where it should not, or by the one that shows that something is missing.
        for (const index of at) {
          const near = [`w:${index}`, `w:${index + 1}`, `w:${index + 2}`]
          expect(
            problems.some(({ entry }) => near.includes(entry as string)),
            `entry ${index}`,
          ).toBe(true)
        }
      }
      // The last of all.
      const problems = await found(lines.slice(0, -1), { writers: rows() })
      expect(problems).toEqual([expect.objectContaining({ kind: 'truncated', writer: 'w' })])
    },
    60_000,
  )

  it('that comes from another chain is found and named', async () => {
    const other = chainOf(30, { signer, writer: 'v' }).lines
    const same = chainOf(30, { signer, began: 1.8e12 }).lines
    expect(await found(lines.toSpliced(20, 1, other[20] as string))).toMatchObject([
      { kind: 'foreign', entry: 'v:20', place: 'audit-w-1.jsonl:21' },
      { kind: 'link' },
    ])
    expect(kindsOf({ problems: await found(lines.toSpliced(20, 1, same[20] as string)) })).toContain('link')
  })
})

describe('an end that was cut off', () => {
  it('is found at every line by what the store or a trusted checkpoint knows, and at no line without', async () => {
    for (let left = 1; left < lines.length; left++) {
      const cut = whole.subarray(0, starts[left])
      expect(kindsOf(await verifyBytes(cut, { writers: rows() })), `${left} lines`).toEqual(['truncated'])
    }
    // The last checkpoint covers all but its own entry.
    for (const left of [1, 98, 99, 100, 101, 1_500, lines.length - 2, lines.length - 1]) {
      const trusting = await verifyBytes(lines.slice(0, left), { trusted: last() })
      expect(kindsOf(trusting), `${left} lines`).toEqual(left < lines.length - 1 ? ['truncated'] : [])
    }
    // With neither, nothing shows; without a single checkpoint, the key does.
    expect(kindsOf(await verifyBytes(lines.slice(0, 99), { key }))).toEqual(['unsigned'])
    const { ok, writers } = await verifyBytes(lines.slice(0, 150), { key })
    expect({ ok, uncovered: writers[0]?.uncovered, size: writers[0]?.checkpoint?.size }).toEqual({
      ok: true,
      uncovered: 50,
      size: 99,
    })
  }, 60_000)

  it('is found at every byte of the last lines', async () => {
    const small = chainOf(40, { signer, every: 20 })
    const bytes = Buffer.from(small.lines.join(''))
    const at = startsOf(small.lines)
    const row = { id: 'w', genesis: '', entries: 40, head: small.head, closed: true }
    for (let left = at.at(-4) as number; left < bytes.length; left++) {
      const kinds = kindsOf(await verifyBytes(bytes.subarray(0, left), { writers: [row] }))
      expect(kinds, `${left} bytes`).toEqual(at.includes(left) ? ['truncated'] : ['torn', 'truncated'])
    }
  }, 60_000)
})

describe('entries that were written and hashed anew', () => {
  const change = (line: string) => line.replace('"haldir":"haldir"', '"haldir":"halfir"')

  it('are found by the next checkpoint, from every 100th entry on, with the key alone', async () => {
    for (let from = 0; from < lines.length - 1; from += 100) {
      const forged = hashedAnew(lines, from, change)
      expect(kindsOf(await verifyBytes(forged, {})), `from ${from}`).toEqual(['rewritten'])
      const [problem] = (await verifyBytes(forged, { key })).problems
      // What came last and holds, and what knows better.
      const until = Math.min(from === 0 ? 99 : from + 99, lines.length - 1)
      const since = from === 0 ? 'the beginning' : `the checkpoint at ${from - 1}`
      expect(problem).toMatchObject({ kind: 'rewritten', entry: `w:${until}` })
      expect(problem?.message).toContain(`something between ${since} and entry ${until} was written anew`)
    }
  }, 60_000)

  it('can not be given the checkpoints that they had: none is signed for them', async () => {
    const bare = lines.filter((line) => !line.includes('"type":"checkpoint"'))
    const renumbered = bare.map((line, seq) =>
      line.replace(/^\{"v":1,"id":"w:\d+","writer":"w","seq":\d+/, `{"v":1,"id":"w:${seq}","writer":"w","seq":${seq}`),
    )
    const forged = hashedAnew(renumbered, 0, (line) => line)
    // Nothing in the files alone shows it; that there is a key does, and so does the store.
    expect((await verifyBytes(forged)).ok).toBe(true)
    expect(kindsOf(await verifyBytes(forged, { key }))).toEqual(['unsigned'])
    expect(kindsOf(await verifyBytes(forged, { writers: rows() }))).toEqual(['truncated'])
    expect(
      kindsOf(await verifyBytes(forged, { key, trusted: made.notes[3] as string, requireCheckpoints: false })),
    ).toEqual(['rewritten'])
  })

  it('are found behind the last checkpoint by the store alone, and the answer says how many those are', async () => {
    const open = chainOf(150, { signer, closed: false })
    const forged = hashedAnew(open.lines, 120, change)
    const row = { id: 'w', genesis: '', entries: 150, head: open.head, closed: false }
    expect(await verifyBytes(forged, { key })).toMatchObject({ ok: true, writers: [{ uncovered: 50 }] })
    expect(kindsOf(await verifyBytes(forged, { key, writers: [row] }))).toEqual(['rewritten'])
  })
})

describe('a checkpoint', () => {
  const at = (index: number) => lines.findIndex((line, place) => place >= index && line.includes('"type":"checkpoint"'))
  const withNote = (index: number, note: string) =>
    hashedAnew(lines, index, (line) => line.replace(/"note":"(?:[^"\\]|\\.)*"/, () => `"note":${JSON.stringify(note)}`))

  it.each<[string, () => readonly string[], string]>([
    [
      'rolled back to an older one',
      () => withNote(at(500), made.notes[0] as string),
      'covers 99 entries and stands behind 599',
    ],
    ['of a later place', () => withNote(at(500), made.notes.at(-1) as string), 'entries and stands behind 599'],
    [
      'of another chain',
      () => withNote(at(500), chainOf(700, { signer, writer: 'v' }).notes[5] as string),
      'is of another chain',
    ],
    [
      'signed by a stranger',
      () => withNote(at(500), chainOf(700, { signer: keysOf('acme.example/haldir').signer }).notes[5] as string),
      'is not signed by a known key',
    ],
    [
      'changed',
      () => withNote(at(500), (made.notes[5] as string).replace(/time 2/, 'time 3')),
      'has a signature that does not hold',
    ],
    ['that is nothing', () => withNote(at(500), 'nothing'), 'is no signed note'],
  ])('%s is found and named', async (_, forge, message) => {
    const { problems } = await verifyBytes(forge(), { key })
    expect(problems[0]).toMatchObject({ kind: 'checkpoint', entry: 'w:599' })
    expect(problems[0]?.message).toContain(message)
  })
})
