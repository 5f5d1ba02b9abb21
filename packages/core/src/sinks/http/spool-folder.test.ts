import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { holder } from '../lock.ts'
import { SpoolFolder } from './spool-folder.ts'

let path: string
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'haldir-spool-')), 'spool')
})
afterEach(() => rmSync(join(path, '..'), { recursive: true, force: true }))

const SIZE = { entries: 10, bytes: 1_000 }
const left = (name: string, text = 'a\n') => {
  mkdirSync(join(path, name), { recursive: true })
  writeFileSync(join(path, name, '1.jsonl'), text)
}
const plain = (text: string) => text.replace(/[^A-Za-z0-9_-]/g, '_')

describe('a folder that several processes spool into', () => {
  it('takes over what dead processes have left, once, and nothing else', () => {
    const { pid, started, host } = holder()
    left('http.a.left')
    // No process has such a number.
    left(`http.b.99999999.1.${plain(host)}`)
    // The number is this one's, but not the process.
    left(`http.c.${pid}.1.${plain(host)}`)
    left(`http.d.${pid}.${started}.${plain(host)}`)
    left('http.e.99999999.1.another-host')
    left('other.f.left')
    left('http')
    writeFileSync(join(path, 'refused-http.jsonl'), '')
    const one = new SpoolFolder(path, 'http')
    const adopted = one.adopt()
    expect(adopted.map(({ folder }) => folder.slice(path.length + 1).split('.')[1])).toEqual(['a', 'b', 'c'])
    expect(new SpoolFolder(path, 'http').adopt()).toEqual([])
    for (const spool of adopted) {
      expect(spool.next(SIZE)?.lines).toEqual(['a'])
      spool.settle([])
      one.release(spool)
    }
    expect(readdirSync(path).map((name) => name.split('.')[1])).toEqual([undefined, 'd', 'e', 'f', 'jsonl'])
  })

  it('passes over what is gone when its turn comes', () => {
    left('http.a.left')
    symlinkSync(join(path, 'nowhere'), join(path, 'http.0.left'))
    expect(new SpoolFolder(path, 'http').adopt().map(({ entries }) => entries)).toEqual([1])
  })

  it('is nobody’s to read but its owner’s', () => {
    const folder = new SpoolFolder(path, 'http')
    const spool = folder.make('w')
    spool.append('a\n')
    spool.next(SIZE)
    folder.refuse({ why: 'x' })
    const modes = readdirSync(path, { recursive: true }).map((name) => {
      const { mode } = statSync(join(path, String(name)))
      return `${(mode & 0o777).toString(8)}`
    })
    expect(modes.sort()).toEqual(['600', '600', '600', '700'])
    expect((statSync(path).mode & 0o777).toString(8)).toBe('700')
    expect(readFileSync(join(path, 'refused-http.jsonl'), 'utf8')).toBe('{"why":"x"}\n')
  })
})
