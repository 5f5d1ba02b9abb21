import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Batch, MemoryQueue, type Queue } from './queue.ts'
import { Spool } from './spool.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-spool-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const SIZE = { entries: 4, bytes: 200 }
const take = (queue: Queue) => queue.next(SIZE)?.lines ?? []

type Step =
  | { readonly do: 'append'; readonly lines: readonly number[] }
  | { readonly do: 'next' | 'settle' | 'split' | 'again' | 'reopen' }
  | { readonly do: 'drop'; readonly bytes: number }

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('append' as const), lines: fc.array(fc.nat(120), { maxLength: 9 }) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('next' as const, 'settle', 'split', 'again', 'reopen') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), bytes: fc.nat(400) }) },
)

/** What a sender does with the batch that was under way. */
function settled({ lines }: Batch, how: string): number[][] {
  const all = lines.map((_, index) => index)
  if (how === 'split') return lines.length > 1 ? [all.slice(0, 1), all.slice(1)] : [all]
  return how === 'again' ? [all.filter((index) => index % 2 === 0)] : []
}

it('a spool that is opened again and again is the queue that it would be in memory', () => {
  fc.assert(
    fc.property(fc.array(step as fc.Arbitrary<Step>, { maxLength: 60 }), (steps) => {
      rmSync(folder, { recursive: true, force: true })
      folder = mkdtempSync(join(tmpdir(), 'haldir-spool-'))
      const model = new MemoryQueue()
      let spool = new Spool(folder, { segment: 300 })
      let count = 0
      for (const one of steps) {
        if (one.do === 'append') {
          const text = one.lines.map((length) => `${count++}${'ü'.repeat(length)}\n`).join('')
          model.append(text)
          spool.append(text)
        } else if (one.do === 'reopen') spool = new Spool(folder, { segment: 300 })
        else if (one.do === 'drop') {
          expect(spool.dropOldest(one.bytes)).toBe(model.dropOldest(one.bytes))
        } else {
          const batch = model.next(SIZE)
          const same = spool.next(SIZE)
          // What is cut at the end of a file may be smaller than memory would cut it.
          if (!batch || !same) {
            expect(same).toEqual(batch)
            continue
          }
          expect(same.lines[0]).toBe(batch.lines[0])
          if (same.lines.length !== batch.lines.length) return
          expect(same).toEqual(batch)
          if (one.do !== 'next') {
            model.settle(settled(batch, one.do))
            spool.settle(settled(batch, one.do))
          }
        }
        expect([spool.entries, spool.bytes]).toEqual([model.entries, model.bytes])
      }
    }),
    { numRuns: 60 },
  )
})

it('every line leaves a spool once and in order, whenever its process dies', () => {
  fc.assert(
    fc.property(fc.array(step as fc.Arbitrary<Step>, { maxLength: 80 }), (steps) => {
      rmSync(folder, { recursive: true, force: true })
      folder = mkdtempSync(join(tmpdir(), 'haldir-spool-'))
      let spool = new Spool(folder, { segment: 150 })
      const left: string[] = []
      const written: string[] = []
      for (const one of steps) {
        if (one.do === 'append') {
          for (const length of one.lines) {
            const line = `${written.length}${'x'.repeat(length)}`
            written.push(line)
            spool.append(`${line}\n`)
          }
        } else if (one.do === 'reopen') spool = new Spool(folder, { segment: 150 })
        else if (one.do === 'split') {
          const batch = spool.next(SIZE)
          if (batch) spool.settle(settled(batch, 'split'))
        } else if (one.do === 'settle') {
          left.push(...take(spool))
          spool.settle([])
        } else spool.next(SIZE)
      }
      for (let lines = take(spool); lines.length > 0; lines = take(spool)) {
        left.push(...lines)
        spool.settle([])
      }
      expect(left).toEqual(written)
      expect([spool.entries, spool.bytes]).toEqual([0, 0])
    }),
    { numRuns: 40 },
  )
})

describe('a spool', () => {
  it('sends the batch that was under way again as it was, though more has come since', () => {
    const first = new Spool(folder)
    first.append('a\nb\n')
    const batch = first.next(SIZE)
    first.append('c\n')
    const next = new Spool(folder)
    next.append('d\n')
    expect(next.next(SIZE)).toEqual(batch)
    next.settle([])
    expect([take(next), next.settle([]), take(next)]).toEqual([['c'], undefined, ['d']])
  })

  it('sends what was settled by nobody again, when its note is broken', () => {
    const first = new Spool(folder)
    first.append('a\nb\n')
    first.next({ entries: 1, bytes: 100 })
    first.settle([])
    expect(take(new Spool(folder))).toEqual(['b'])
    for (const broken of ['', '{"segment":1,"at":-3,"batches":[]}', '{"segment":1,"at":1,"batches":[[[0,900]]]}']) {
      writeFileSync(join(folder, 'note.json'), broken)
      expect(take(new Spool(folder))).toEqual(['a', 'b'])
    }
  })

  it('never sends half a line that a dead process has left', () => {
    new Spool(folder).append('a\n')
    appendFileSync(join(folder, '1.jsonl'), '{"half')
    const next = new Spool(folder)
    expect([next.entries, take(next)]).toEqual([1, ['a']])
    next.settle([])
    next.append('b\n')
    expect(take(next)).toEqual(['b'])
  })

  it('reads a line to its end, however long it is, and no more than fits behind it', () => {
    const lines = ['x'.repeat(300_000), 'b', 'c'.repeat(150), 'd'.repeat(150)]
    const spool = new Spool(folder)
    spool.append(lines.map((line) => `${line}\n`).join(''))
    const batches = lines.map(() => {
      const taken = take(spool)
      spool.settle([])
      return taken
    })
    expect(batches).toEqual([[lines[0]], ['b', lines[2]], [lines[3]], []])
  })

  it('keeps no file that is sent', () => {
    const spool = new Spool(folder, { segment: 100 })
    for (let n = 0; n < 50; n++) {
      spool.append(`${'x'.repeat(60)}${n}\n`)
      while (spool.next(SIZE)) spool.settle([])
    }
    expect(readdirSync(folder).filter((name) => name.endsWith('.jsonl')).length).toBeLessThanOrEqual(1)
    expect(spool.close()).toBe(false)
  })

  it('goes on when somebody has taken a file away', () => {
    const spool = new Spool(folder)
    spool.append('a\nb\n')
    spool.next(SIZE)
    rmSync(join(folder, '1.jsonl'))
    const next = new Spool(folder)
    next.append('c\n')
    expect([take(next), next.settle([]), next.entries]).toEqual([['c'], undefined, 0])
  })

  it('notes a batch before it is sent, and that it is settled', () => {
    const spool = new Spool(folder)
    spool.append('a\nbb\n')
    spool.next(SIZE)
    const note = () => JSON.parse(readFileSync(join(folder, 'note.json'), 'utf8'))
    expect(note()).toMatchObject({
      segment: 1,
      at: 5,
      batches: [
        [
          [0, 2],
          [2, 5],
        ],
      ],
    })
    spool.settle([[1]])
    expect(note()).toMatchObject({ segment: 1, at: 5, batches: [[[2, 5]]] })
    spool.settle([])
    expect(note()).toMatchObject({ segment: 1, at: 5, batches: [] })
  })
})
