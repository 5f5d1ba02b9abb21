import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isAlive, releaseLock, takeLock } from './lock.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-lock-'))
  path = join(folder, 'a.lock')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const lock = (more: object) => JSON.stringify({ pid: process.pid, host: hostname(), started: '1', ...more })

describe('a lock', () => {
  it('says who has it for as long as it is not given back', () => {
    expect(isAlive(path)).toBe(false)
    takeLock(path)
    expect(isAlive(path)).toBe(true)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() })
    // Once more is no error: it is ours.
    takeLock(path)
    expect(readdirSync(folder)).toEqual(['a.lock'])
    releaseLock(path)
    releaseLock(path)
    expect(isAlive(path)).toBe(false)
  })

  it('of a living process is not taken, nor that of a process nobody here can ask', () => {
    for (const text of [lock({ pid: 1, started: startOfInit() }), lock({ host: 'elsewhere' })]) {
      writeFileSync(path, text)
      expect(isAlive(path)).toBe(true)
      expect(() => takeLock(path)).toThrow('another process has this lock')
      expect(readFileSync(path, 'utf8')).toBe(text)
    }
    expect(readdirSync(folder)).toEqual(['a.lock'])
  })

  it('of a dead one is taken over, also when its number was given to another process, and when it is no lock', () => {
    for (const text of [lock({ pid: 2 ** 22 + 1 }), lock({}), 'nonsense', '']) {
      writeFileSync(path, text)
      expect(isAlive(path)).toBe(false)
      takeLock(path)
      expect(isAlive(path)).toBe(true)
      expect(readdirSync(folder)).toEqual(['a.lock'])
    }
  })

  it('is written over what an attempt left aside that found no room', () => {
    writeFileSync(`${path}.new`, '{"pid"')
    takeLock(path)
    expect(isAlive(path)).toBe(true)
    expect(readdirSync(folder)).toEqual(['a.lock'])
  })
})

function startOfInit(): string {
  const stat = readFileSync('/proc/1/stat', 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] as string
}
