import fs, { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError } from '../errors.ts'
import { holder, holderText } from '../sinks/lock.ts'
import { fileJournal } from './file.ts'
import type { Owed } from './journal.ts'

let root: string
let folder: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'haldir-journal-'))
  folder = join(root, 'owed')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const files = () => readdirSync(folder).sort()
const text = () =>
  files()
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('')
/** No process has such a number. */
const DEAD = holderText({ ...holder(), pid: 99_999_999 })
const left = (name: string, lines: string) => {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), lines)
}

const BIG = 2n ** 70n
const spent: Owed = {
  call: 'a',
  end: 'settle',
  spent: [
    { meter: { key: 't|session:s|USD|total|budget', window: 'total' }, micros: BIG },
    { meter: { key: 't|d', window: 'day', zone: 'Asia/Tokyo', limit: 9n }, micros: 0n },
    { meter: { key: 't|r', window: 'total', rate: { limit: 10n, periodMs: 60_000, burst: 4n } }, micros: 1n },
  ],
}
const whole: Owed = { call: 'b', end: 'settle' }
const given: Owed = { call: 'c', end: 'cancel' }

/** Does something on a disk with room for so many bytes, the last write of which is cut short. */
function withRoomFor(bytes: number, work: () => void): void {
  const { writeSync } = fs
  let left = bytes
  fs.writeSync = ((fd: number, data: Buffer, at: number) => {
    if (left === 0) throw Object.assign(new Error('no room'), { code: 'ENOSPC' })
    const written = writeSync(fd, data, at, Math.min(left, data.length - at))
    left -= written
    return written
  }) as typeof writeSync
  syncBuiltinESMExports()
  try {
    work()
  } finally {
    fs.writeSync = writeSync
    syncBuiltinESMExports()
  }
}

describe('a journal', () => {
  it('gives back what was not paid, exactly, to whoever comes after the one that kept it', () => {
    const first = fileJournal(folder)
    for (const owed of [spent, whole, given]) first.keep(owed)
    first.paid('b')
    first.close()
    expect([...fileJournal(folder).adopt()]).toEqual([spent, given])
  })

  it('is made when something is owed, for its owner alone, and is empty when all is paid', () => {
    const journal = fileJournal(folder)
    expect([...journal.adopt()]).toEqual([])
    journal.paid('a')
    expect(readdirSync(root)).toEqual([])
    journal.keep(whole)
    expect([statSync(folder).mode & 0o777, statSync(join(folder, files()[0] as string)).mode & 0o777]).toEqual([
      0o700, 0o600,
    ])
    journal.paid('b')
    expect(text()).toBe('')
    journal.keep(given)
    expect(text()).toBe('{"call":"c","end":"cancel"}\n')
    journal.paid('c')
    journal.close()
    expect(files()).toEqual([])
  })

  it('keeps the last that was said of a call', () => {
    const journal = fileJournal(folder)
    journal.keep({ call: 'c', end: 'settle' })
    journal.keep(given)
    journal.close()
    expect([...fileJournal(folder).adopt()]).toEqual([given])
  })

  it('takes over what dead processes have left, once, and nothing of those that live', () => {
    const line = (call: string) => `{"call":"${call}","end":"cancel"}\n`
    left(`owed-7-1-1.${DEAD}.jsonl`, line('dead'))
    left('owed-7-1-2.left.jsonl', line('left'))
    left(`owed-7-1-3.${holderText(holder())}.jsonl`, line('mine'))
    left(`owed-7-1-4.${holderText({ ...holder(), host: 'elsewhere' })}.jsonl`, line('elsewhere'))
    left('notes.txt', line('not ours'))
    const one = fileJournal(folder)
    expect([...one.adopt()].map(({ call }) => call)).toEqual(['dead', 'left'])
    expect([...fileJournal(folder).adopt()]).toEqual([])
    // What was taken over is kept as its own until it is paid.
    one.paid('dead')
    one.close()
    expect([...fileJournal(folder).adopt()]).toEqual([{ call: 'left', end: 'cancel' }])
  })

  it('reads what a process that died in the middle of a line had finished, and passes over what is no line', () => {
    const odd = [
      '',
      '{}',
      'null',
      '[1]',
      '{"call":1,"end":"settle"}',
      '{"call":"x","end":"later"}',
      '{"call":"x","end":"settle","spent":{}}',
      '{"call":"x","end":"settle","spent":[{"meter":{"key":"k","window":"year"},"micros":"1"}]}',
      '{"call":"x","end":"settle","spent":[{"meter":{"key":"k","window":"day","zone":"+02:00"},"micros":"1"}]}',
      '{"call":"x","end":"settle","spent":[{"meter":{"key":"k","window":"day"},"micros":"-1"}]}',
      '{"call":"x","end":"settle","spent":[{"meter":{"key":"k","window":"day"},"micros":1}]}',
      '{"call":"x","end":"settle","spent":[null]}',
    ]
    left(`owed-7-1-1.${DEAD}.jsonl`, `${odd.join('\n')}\n{"call":"b","end":"settle"}\n{"call":"z","end":"can`)
    expect([...fileJournal(folder).adopt()]).toEqual([whole])
  })

  it('that has run out of room in the middle of a line glues nothing to it', () => {
    const journal = fileJournal(folder)
    journal.keep(whole)
    withRoomFor(10, () => expect(() => journal.keep(spent)).toThrow('no room'))
    journal.keep(given)
    journal.paid('b')
    journal.close()
    expect([...fileJournal(folder).adopt()]).toEqual([given])
  })

  it('hands over what can be read of what was left, and then says that something could not', () => {
    mkdirSync(join(folder, 'owed-7-1-2.left.jsonl'), { recursive: true })
    left('owed-7-1-1.left.jsonl', '{"call":"c","end":"cancel"}\n')
    left('owed-7-1-3.left.jsonl', '{"call":"b","end":"settle"}\n')
    const found: Owed[] = []
    const adopt = () => {
      for (const owed of fileJournal(folder).adopt()) found.push(owed)
    }
    expect(adopt).toThrow('EISDIR')
    expect(found).toEqual([given, whole])
  })

  it('hands over what it has no room to keep, and leaves that to others as well', () => {
    left('owed-7-1-1.left.jsonl', '{"call":"c","end":"cancel"}\n')
    const journal = fileJournal(folder)
    const found: Owed[] = []
    const adopt = () => {
      for (const owed of journal.adopt()) found.push(owed)
    }
    withRoomFor(10, () => expect(adopt).toThrow('no room'))
    expect(found).toEqual([given])
    expect(text()).toContain('{"call":"c","end":"cancel"}\n')
  })

  it('says when its folder can not be used, by throwing', () => {
    writeFileSync(folder, 'a file')
    expect(() => [...fileJournal(folder).adopt()]).toThrow()
    expect(() => fileJournal(folder).keep(whole)).toThrow()
    expect(() => fileJournal('')).toThrow(ConfigError)
  })

  it('of several haldirs of one process get into no file of another', () => {
    const [one, two] = [fileJournal(folder), fileJournal(folder)]
    one?.keep(whole)
    two?.keep(given)
    one?.close()
    two?.close()
    expect(files()).toHaveLength(2)
    expect([...fileJournal(folder).adopt()]).toEqual([whole, given])
  })
})
