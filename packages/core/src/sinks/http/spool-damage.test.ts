/** Spools that somebody has damaged, or that are full: nothing that is not a line is sent, and nothing is passed over. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Spool } from './spool.ts'

let folder: string
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'haldir-spool-')), 'mine')
  mkdirSync(folder)
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

const SIZE = { entries: 4, bytes: 200 }
const made = () => new Spool(folder, { segment: 20 })

/** Everything that is left, in the order it leaves. */
function drained(spool: Spool): string[] {
  const left: string[] = []
  for (let batch = spool.next(SIZE); batch; batch = spool.next(SIZE)) {
    left.push(...batch.lines)
    spool.settle([])
  }
  return left
}

describe('a full spool', () => {
  it('gives up lines of later files, too, while a batch of an earlier one is under way', () => {
    const spool = made()
    for (let n = 10; n < 30; n++) spool.append(`line-${n}\n`)
    const batch = spool.next({ entries: 1, bytes: 100 })
    expect(batch?.lines).toEqual(['line-10'])
    expect(spool.dropOldest(8 * 12)).toBe(12)
    expect([spool.entries, spool.bytes]).toEqual([8, 64])
    // Whoever comes after a crash sends the batch as it was, and then what was kept.
    const next = made()
    expect([next.entries, next.bytes]).toEqual([8, 64])
    expect(next.next(SIZE)).toEqual(batch)
    expect(next.dropOldest(1)).toBe(1)
    expect(drained(next)).toEqual(['line-10', ...[24, 25, 26, 27, 28, 29].map((n) => `line-${n}`)])
    expect([next.entries, next.bytes, next.close()]).toEqual([0, 0, false])
  })

  it('keeps the file of that batch until the whole of it is settled', () => {
    const spool = made()
    for (let n = 10; n < 16; n++) spool.append(`line-${n}\n`)
    spool.next({ entries: 2, bytes: 100 })
    spool.dropOldest(8 * 3)
    spool.settle([[0], [1]])
    spool.next(SIZE)
    spool.settle([])
    expect(drained(made())).toEqual(['line-11', 'line-15'])
  })
})

describe('a damaged spool', () => {
  it('sends no part of a line when a file was cut off under a batch', () => {
    const first = made()
    first.append('aaaa\nbbbb\ncccc\n')
    first.next(SIZE)
    truncateSync(join(folder, '1.jsonl'), 12)
    const next = made()
    next.append('dddd\n')
    expect(drained(next)).toEqual(['aaaa', 'bbbb', 'dddd'])
    expect([next.entries, next.bytes]).toEqual([0, 0])
  })

  it('passes no line over for a note that is not as it was written', () => {
    const first = made()
    for (let n = 0; n < 9; n++) first.append(`line-${n}\n`)
    first.next({ entries: 1, bytes: 100 })
    first.settle([])
    const path = join(folder, 'note.json')
    const text = readFileSync(path, 'utf8')
    expect(text).toContain('"segment":1,"at":7')
    for (const wrong of ['"segment":9,"at":7', '"segment":2,"at":7', '"segment":1,"at":9']) {
      writeFileSync(path, text.replace('"segment":1,"at":7', wrong))
      // Better twice than never.
      expect(made().entries).toBe(9)
    }
  })

  it('goes on where it is found when somebody has taken its folder away while it was written', () => {
    const spool = made()
    spool.append('a\n')
    rmSync(folder, { recursive: true })
    expect(spool.next(SIZE)).toBeUndefined()
    spool.append('b\n')
    expect(drained(made())).toEqual(['b'])
  })
})
