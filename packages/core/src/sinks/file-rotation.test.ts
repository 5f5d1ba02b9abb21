import fs, { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyFiles } from '../verify.ts'
import { Chain, NOBODY } from '../watch/chain.ts'
import { type FileSinkOptions, fileSink } from './file.ts'

const DAY = 86_400_000
const NOON = Date.UTC(2026, 0, 1, 12)

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-rotation-'))
})
const { openSync, writeSync, fdatasync, fsyncSync, ftruncateSync, closeSync, unlinkSync } = fs
const real = { openSync, writeSync, fdatasync, fsyncSync, ftruncateSync, closeSync, unlinkSync }
afterEach(() => {
  Object.assign(fs, real)
  syncBuiltinESMExports()
  rmSync(folder, { recursive: true, force: true })
})

/** A writer's chain, and the sink that it goes to. */
function scene(options: FileSinkOptions = {}) {
  const chain = new Chain('w', 'haldir')
  const sink = fileSink(folder, options)
  sink.open?.('w')
  const line = (text = '', at = NOON) => chain.append({ type: 'signal', session: NOBODY, data: { text } }, at)
  return { chain, sink, line }
}

const files = () => readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
const textOf = (number: number) => readFileSync(join(folder, `audit-w-${number}.jsonl`), 'utf8')

describe('a file that has become large', () => {
  it('is followed by another, in which the chain goes on; no line stands in two', async () => {
    const { sink, line, chain } = scene({ rotate: { size: 2_048 } })
    const lines = Array.from({ length: 60 }, (_, index) => line('ü'.repeat(index)))
    for (const one of lines) sink.write(one)
    await sink.close?.()
    const count = files().length
    expect(count).toBeGreaterThan(8)
    let text = ''
    for (let number = 1; number <= count; number++) {
      const part = textOf(number)
      expect(part.endsWith('\n')).toBe(true)
      expect(Buffer.byteLength(part)).toBeLessThanOrEqual(2_048)
      // As full as it could be.
      const next = lines
        .join('')
        .slice(text.length + part.length)
        .split('\n')[0] as string
      if (number < count) expect(Buffer.byteLength(part) + Buffer.byteLength(next) + 1).toBeGreaterThan(2_048)
      expect(statSync(join(folder, `audit-w-${number}.jsonl`)).mode & 0o777).toBe(0o600)
      text += part
    }
    expect(text).toBe(lines.join(''))
    const { ok, writers } = await verifyFiles(folder)
    expect({ ok, writers }).toMatchObject({ ok: true, writers: [{ id: 'w', entries: 60, head: chain.head }] })
    // In order: the tenth file is not read before the second.
    const read = await Array.fromAsync(sink.read?.() ?? [])
    expect(read.map((stored) => `${stored.line}\n`)).toEqual(lines)
  })

  it('may be as large as a batch that is larger: it is taken as a whole', () => {
    const { sink, line } = scene({ rotate: { size: 1_024 } })
    // The first, too: no file is left empty.
    sink.write(line('x'.repeat(2_000)))
    const batch = Array.from({ length: 20 }, () => line()).join('')
    sink.write(batch)
    sink.write(line())
    expect(files()).toHaveLength(3)
    expect(textOf(2)).toBe(batch)
  })

  it('goes on when no other can be made, and is followed by one later', async () => {
    const { sink, line } = scene({ rotate: { size: 1_024 } })
    let attempts = 0
    let full = true
    fs.openSync = ((path: string, flags: string, mode?: number) => {
      if (flags !== 'ax' || !full) return real.openSync(path, flags, mode)
      attempts++
      throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' })
    }) as typeof fs.openSync
    syncBuiltinESMExports()
    const write = (bytes: number) => {
      for (let written = 0; written < bytes; ) {
        const text = line('x'.repeat(400))
        sink.write(text)
        written += text.length
      }
    }
    write(40_000)
    expect([files().length, attempts]).toEqual([1, 1])
    // Not at every line.
    write(65_536 * 2)
    expect([files().length, attempts]).toEqual([1, 3])
    full = false
    write(65_536 + 4_096)
    expect(files().length).toBeGreaterThan(2)
    expect((await verifyFiles(folder)).problems).toEqual([])
  })

  it('is written in full again when the disk was full at its first line', () => {
    const { sink, line } = scene({ rotate: { size: 1_024 } })
    const lines = [line('x'.repeat(600)), line('x'.repeat(600))] as const
    sink.write(lines[0])
    fs.writeSync = (() => {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
    }) as typeof fs.writeSync
    syncBuiltinESMExports()
    for (let times = 0; times < 3; times++) expect(() => sink.write(lines[1])).toThrow('ENOSPC')
    Object.assign(fs, real)
    syncBuiltinESMExports()
    sink.write(lines[1])
    expect(files()).toHaveLength(2)
    expect([textOf(1), textOf(2)]).toEqual(lines)
  })
})

describe('a day that begins', () => {
  it('begins a file, by the time in the entries; a clock that is set back does not', async () => {
    const { sink, line } = scene()
    const days = [NOON, NOON + 1, NOON + DAY / 2, NOON - DAY, NOON + DAY, NOON + DAY * 3]
    for (const at of days) sink.write(line(`${at}`, at))
    expect(files()).toHaveLength(3)
    const at = (number: number) => [...textOf(number).matchAll(/"at":"([^"T]+)/g)].map(([, day]) => day)
    expect([at(1), at(2), at(3)]).toEqual([
      ['2026-01-01', '2026-01-01'],
      ['2026-01-02', '2025-12-31', '2026-01-02'],
      ['2026-01-04'],
    ])
    expect((await verifyFiles(folder)).ok).toBe(true)
  })

  it.each<[string, FileSinkOptions, number]>([
    ['does so unless told', {}, 2],
    ['does not when told', { rotate: { daily: false } }, 1],
    ['does not when files never follow one another', { rotate: false }, 1],
  ])('%s', (_, options, count) => {
    const { sink, line } = scene(options)
    sink.write(line('', NOON))
    sink.write(line('', NOON + DAY))
    expect(files()).toHaveLength(count)
  })
})

describe('the options of a file sink', () => {
  it.each<[FileSinkOptions, string]>([
    [{ rotate: { size: '64 MB' } }, '`size` is such as'],
    [{ rotate: { size: '64mb' } }, '`size` is such as'],
    [{ rotate: { size: 1_023 } }, 'at least 1,024'],
    [{ rotate: { size: Number.POSITIVE_INFINITY } }, '`size` is such as'],
    [{ rotate: { daily: 'yes' as unknown as boolean } }, '`daily` is true or false'],
    [{ rotate: { sise: 1 } as object }, 'did you mean `size`'],
    [{ rotate: true as unknown as false }, 'are an object'],
    [{ durable: 'yes' as unknown as boolean }, '`durable` is true or false'],
    [{ keep: '1h' }, '`keep` is at least a day'],
    [{ keep: 'for ever' }, '`keep` is a duration'],
    [{ keep: '183d', required: false }, '`keep` needs a sink that is `required`'],
    [{ kept: '183d' } as object, 'did you mean `keep`'],
  ])('%j can not be meant', (options, message) => {
    expect(() => fileSink(folder, options)).toThrow(message)
  })

  it.each<FileSinkOptions>([
    { rotate: { size: '1KB' } },
    { rotate: { size: '2GB', daily: false } },
    { keep: '30d' },
    { keep: '3650d' },
    { keep: 86_400_000 },
  ])('%j can', (options) => {
    expect(fileSink(folder, options).name).toBe('file')
  })

  it('are sizes of 1,024 bytes', () => {
    const { sink, line } = scene({ rotate: { size: '1KB' } })
    const one = line('x'.repeat(1_024 - line('').length))
    expect(one.length).toBeLessThan(1_025)
    sink.write(one)
    sink.write(line())
    expect(files()).toHaveLength(2)
  })
})
