/** What is on the disk, and what a file sink believes of it. Faults are those of Node's own calls. */
import fs, { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fakeClock } from '@haldir/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { verifyFiles } from '../verify.ts'
import { Chain, NOBODY } from '../watch/chain.ts'
import { WrittenTrail } from '../watch/trail.ts'
import { type FileSinkOptions, fileSink } from './file.ts'
import { memorySink } from './memory.ts'
import { type Sink, WriterEnded } from './sink.ts'

const NOON = Date.UTC(2026, 0, 1, 12)

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-durable-'))
})
const { openSync, writeSync, fdatasync, fsyncSync, ftruncateSync, closeSync, unlinkSync } = fs
const real = { openSync, writeSync, fdatasync, fsyncSync, ftruncateSync, closeSync, unlinkSync }
afterEach(() => {
  mend()
  rmSync(folder, { recursive: true, force: true })
})

function fault(faults: Partial<typeof fs>): void {
  Object.assign(fs, faults)
  syncBuiltinESMExports()
}

function mend(): void {
  fault(real)
}

const failing = (code: string) => () => {
  throw Object.assign(new Error(code), { code })
}

type Sync = (fd: number, done: (error: Error | null) => void) => void

function scene(options: FileSinkOptions = {}) {
  const chain = new Chain('w', 'haldir')
  const sink = fileSink(folder, options)
  sink.open?.('w')
  const line = (text = '') => chain.append({ type: 'signal', session: NOBODY, data: { text } }, NOON)
  return { sink, line }
}

function trailOn(sinks: readonly Sink[]) {
  const clock = fakeClock()
  let writers = 0
  const ids = () => `w${++writers}`
  return new WrittenTrail({
    haldir: 'h',
    ids,
    sinks,
    registry: memoryStore({ clock }).writer,
    clock,
    deadlineMs: 5_000,
  })
}

const textOf = (name: string) => readFileSync(join(folder, `audit-${name}.jsonl`), 'utf8')
const names = () => readdirSync(folder).sort()

describe('a durable file', () => {
  it('answers when the disk has confirmed, not before; by one confirmation for all lines of a write', async () => {
    const confirm: (() => void)[] = []
    fault({ fdatasync: ((_, done) => confirm.push(() => done(null))) as Sync as typeof fs.fdatasync })
    const { sink, line } = scene({ durable: true })
    let answered = false
    const lines = line() + line() + line()
    const written = Promise.resolve(sink.write(lines)).then(() => {
      answered = true
    })
    await new Promise((turn) => setImmediate(turn))
    expect([answered, confirm.length, textOf('w-1')]).toEqual([false, 1, lines])
    confirm[0]?.()
    await written
    expect(answered).toBe(true)
  })

  it('is one commit for all that comes in a turn, and one for all that comes meanwhile', async () => {
    let commits = 0
    fault({
      fdatasync: ((fd, done) => {
        commits++
        real.fdatasync(fd, done)
      }) as Sync as typeof fs.fdatasync,
    })
    const trail = trailOn([fileSink(folder, { durable: true })])
    await trail.record({ type: 'signal', session: NOBODY })
    commits = 0
    const record = async () => trail.record({ type: 'signal', session: NOBODY })
    const first = Array.from({ length: 64 }, record)
    await new Promise((turn) => setImmediate(turn))
    const second = Array.from({ length: 64 }, record)
    await Promise.all([...first, ...second])
    expect(commits).toBe(2)
    await trail.close()
    expect((await verifyFiles(folder)).writers[0]?.entries).toBe(131)
  })

  it('has its name on the disk, too, and that of the next file, and the folder its own', () => {
    const synced: string[] = []
    const paths = new Map<number, string>()
    fault({
      openSync: ((path: string, flags: string, mode?: number) => {
        const fd = real.openSync(path, flags, mode)
        paths.set(fd, path)
        return fd
      }) as typeof fs.openSync,
      fsyncSync: ((fd: number) => void synced.push(paths.get(fd) as string)) as typeof fs.fsyncSync,
    })
    const below = join(folder, 'a', 'b')
    fileSink(below, { durable: true }).open?.('w')
    expect(synced).toEqual([join(folder, 'a'), folder, below])
    synced.length = 0
    fileSink(join(folder, 'c')).open?.('w')
    expect(synced).toEqual([])
  })

  it('can not be opened when its name can not be confirmed, leaves nothing, and can be opened later', async () => {
    fault({ fsyncSync: failing('EIO') as typeof fs.fsyncSync })
    const sink = fileSink(folder, { durable: true })
    expect(() => sink.open?.('w')).toThrow('EIO')
    expect(names()).toEqual([])
    mend()
    sink.open?.('w')
    await sink.write('{}\n')
    expect(textOf('w-1')).toBe('{}\n')
    await sink.close?.()
  })

  it('of a name that can neither be confirmed nor taken back belongs to a writer that has ended', () => {
    fault({ fsyncSync: failing('EIO') as typeof fs.fsyncSync, unlinkSync: failing('EIO') as typeof fs.unlinkSync })
    expect(() => fileSink(folder, { durable: true }).open?.('w')).toThrow(WriterEnded)
  })

  it('is closed after the commit that is under way', async () => {
    const { sink, line } = scene({ durable: true })
    const text = line()
    let answered = false
    const written = Promise.resolve(sink.write(text)).then(() => {
      answered = true
    })
    await sink.close?.()
    expect(answered).toBe(true)
    await written
    expect(names()).toEqual(['audit-w-1.jsonl'])
  })
})

describe('a file that the disk has not confirmed', () => {
  it('is never believed again: the writer has ended, and the file is cut back to what was confirmed', async () => {
    const { sink, line } = scene({ durable: true })
    const good = line()
    await sink.write(good)
    let asked = 0
    fault({
      fdatasync: ((_, done) => {
        asked++
        // The kernel says so once; asked again, it would say that all is well.
        setImmediate(done, asked === 1 ? Object.assign(new Error('EIO'), { code: 'EIO' }) : null)
      }) as Sync as typeof fs.fdatasync,
    })
    const lost = line()
    await expect(sink.write(lost)).rejects.toThrow(WriterEnded)
    expect(() => sink.write(lost)).toThrow(WriterEnded)
    expect(() => sink.write(line())).toThrow(WriterEnded)
    expect(asked).toBe(1)
    const recovered = [{ writer: 'w', file: 'audit-w-1.jsonl', bytes: lost.length }]
    expect(await sink.open?.('x')).toEqual({ recovered })
    expect(textOf('w-1')).toBe(good)
    expect(names()).toEqual(['audit-w-1.jsonl', 'audit-x-1.jsonl', 'audit-x.lock'])
    await sink.write('{}\n')
    expect(textOf('x-1')).toBe('{}\n')
  })

  it('ends its writer in a trail, whose next one names it and says again what was lost', async () => {
    const trail = trailOn([fileSink(folder, { durable: true })])
    await trail.record({ type: 'signal', session: NOBODY, data: { n: 1 } })
    fault({ fdatasync: ((_, done) => void setImmediate(done, new Error('EIO'))) as Sync as typeof fs.fdatasync })
    await expect(trail.record({ type: 'intent', session: NOBODY, data: { n: 2 } })).rejects.toThrow()
    // Nothing new begins for as long as the disk does not confirm that it did.
    await expect(trail.record({ type: 'signal', session: NOBODY, data: { n: 3 } })).rejects.toThrow()
    mend()
    await trail.record({ type: 'signal', session: NOBODY, data: { n: 4 } })
    await trail.close()
    const { problems, writers } = await verifyFiles(folder)
    expect(problems).toEqual([])
    // What began while the disk failed has left nothing.
    expect(writers.map(({ entries }) => entries > 1)).toEqual([true, true])
    expect(writers.find(({ id }) => id === 'w1')).toMatchObject({ entries: 2 })
    const last = names().findLast((name) => name.endsWith('.jsonl')) as string
    const said = textOf(last.slice('audit-'.length, -'.jsonl'.length))
    expect(said).toContain(`"after":{"writer":"w1","entries":2,`)
    expect([...said.matchAll(/"n":(\d)/g)].map(([, n]) => n)).toEqual(['2', '4'])
    expect(said).toContain('"type":"recovery"')
  })

  it.each([true, false])('nor one that can not be written (durable: %s)', (durable) => {
    const { sink, line } = scene({ durable })
    fault({ writeSync: failing('EIO') as typeof fs.writeSync })
    const text = line()
    expect(() => sink.write(text)).toThrow(WriterEnded)
    mend()
    expect(() => sink.write(text)).toThrow(WriterEnded)
    expect(textOf('w-1')).toBe('')
  })

  it('nor one whose half line can not be taken back', () => {
    const { sink, line } = scene()
    fault({
      writeSync: ((fd: number, text: string) => real.writeSync(fd, text.slice(0, 9))) as typeof fs.writeSync,
      ftruncateSync: failing('EIO') as typeof fs.ftruncateSync,
    })
    const text = line()
    expect(() => sink.write(text)).toThrow(WriterEnded)
    mend()
    expect(() => sink.write(text)).toThrow(WriterEnded)
    // Nothing of that writer was ever accepted: nothing of it is left.
    expect(sink.open?.('x')).toEqual({ recovered: [] })
    expect(names()).toEqual(['audit-x-1.jsonl', 'audit-x.lock'])
  })

  it('nor one that could not be closed when the next was begun', () => {
    const { sink, line } = scene({ rotate: { size: 1_024 } })
    sink.write(line('x'.repeat(700)))
    fault({ closeSync: failing('EIO') as typeof fs.closeSync })
    expect(() => sink.write(line('x'.repeat(700)))).toThrow(WriterEnded)
  })

  it('leaves neither files nor recoveries behind for each attempt while the disk confirms nothing', async () => {
    const trail = trailOn([fileSink(folder, { durable: true })])
    const note = async (n: number) => trail.record({ type: 'signal', session: NOBODY, data: { n } })
    await note(1)
    fault({ fdatasync: ((_, done) => void setImmediate(done, new Error('EIO'))) as Sync as typeof fs.fdatasync })
    for (let n = 2; n < 30; n++) await expect(note(n)).rejects.toThrow()
    mend()
    await note(30)
    await trail.close()
    expect(names()).toHaveLength(2)
    const said = names().map((name) => readFileSync(join(folder, name), 'utf8'))
    expect(said.join('').match(/"type":"recovery"/g)).toHaveLength(1)
    expect((await verifyFiles(folder)).problems).toEqual([])
  })

  it.each(['ENOSPC', 'EDQUOT', 'EFBIG'])(
    'is another thing than %s: the same file takes the line later',
    async (code) => {
      const { sink, line } = scene({ durable: true })
      const text = line()
      fault({ writeSync: failing(code) as typeof fs.writeSync })
      expect(() => sink.write(text)).toThrow(code)
      mend()
      await sink.write(text)
      expect(textOf('w-1')).toBe(text)
    },
  )
})

describe('a copy whose file the disk has not confirmed', () => {
  it('goes on in the next file, with what was not confirmed', async () => {
    const record = memorySink()
    const trail = trailOn([record, fileSink(folder, { durable: true, required: false })])
    const note = async (n: number) => trail.record({ type: 'signal', session: NOBODY, data: { n } })
    await note(1)
    await trail.flush()
    fault({ fdatasync: ((_, done) => void setImmediate(done, new Error('EIO'))) as Sync as typeof fs.fdatasync })
    await note(2)
    for (let turns = 0; turns < 5; turns++) await new Promise((turn) => setImmediate(turn))
    mend()
    await note(3)
    await new Promise((turn) => setTimeout(turn, 20))
    await trail.close()
    expect(textOf('w1-1') + textOf('w1-2')).toBe(record.lines.map((line) => `${line}\n`).join(''))
    expect(textOf('w1-2')).toContain('"n":2')
    expect(trail.health().dropped).toEqual({ file: 0 })
    expect((await verifyFiles(folder)).ok).toBe(true)
    expect(existsSync(join(folder, 'audit-w1.lock'))).toBe(false)
  })

  it('goes on there, too, when the next file could not be made at once', async () => {
    const { sink, line } = scene({ required: false })
    const [first, lost] = [line(), line()]
    sink.write(first)
    fault({ writeSync: failing('EIO') as typeof fs.writeSync })
    expect(() => sink.write(lost)).toThrow(WriterEnded)
    fault({ ...real, openSync: failing('EMFILE') as typeof fs.openSync })
    for (let times = 0; times < 2; times++) expect(() => sink.open?.('w')).toThrow('EMFILE')
    mend()
    sink.open?.('w')
    sink.write(lost)
    expect(textOf('w-1') + textOf('w-2')).toBe(first + lost)
    // A file of which nothing was accepted does not stay, and leaves no hole.
    const last = line()
    fault({ writeSync: failing('EIO') as typeof fs.writeSync })
    expect(() => sink.write(last)).toThrow(WriterEnded)
    mend()
    sink.open?.('w')
    fault({ writeSync: failing('EIO') as typeof fs.writeSync })
    expect(() => sink.write(last)).toThrow(WriterEnded)
    mend()
    sink.open?.('w')
    sink.write(last)
    await sink.close?.()
    expect(names()).toEqual(['audit-w-1.jsonl', 'audit-w-2.jsonl', 'audit-w-3.jsonl'])
    expect((await verifyFiles(folder)).problems).toEqual([])
  })
})

it('takes no lines of another haldir', () => {
  const { sink } = scene()
  const other = new Chain('x', 'haldir')
  expect(() => sink.write(other.append({ type: 'signal', session: NOBODY }, NOON))).toThrow('belongs to another haldir')
  expect(textOf('w-1')).toBe('')
})
