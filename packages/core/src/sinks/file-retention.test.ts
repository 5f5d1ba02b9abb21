import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fakeClock } from '@haldir/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { proves } from '../../../../test/promises.ts'
import { memoryStore } from '../stores/memory.ts'
import { Chain, type Draft, NOBODY } from '../watch/chain.ts'
import type { Entry } from '../watch/entry.ts'
import { WrittenTrail } from '../watch/trail.ts'
import { type FileSinkOptions, fileSink } from './file.ts'
import type { Expired, Retire } from './sink.ts'

const DAY = 86_400_000
const OLD = Date.UTC(2026, 0, 1, 12)
const NOW = OLD + 200 * DAY
const signal: Draft = { type: 'signal', session: NOBODY }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-keep-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const pathOf = (name: string) => join(folder, `audit-${name}.jsonl`)
const names = () =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => name.slice('audit-'.length, -'.jsonl'.length))
    .sort()

/** Files of a dead writer: of each, the times of its entries. */
function dead(writer: string, files: readonly (readonly number[])[], draft: Draft = signal): Chain {
  const chain = new Chain(writer, 'haldir')
  for (const [index, times] of files.entries()) {
    writeFileSync(pathOf(`${writer}-${index + 1}`), times.map((at) => chain.append(draft, at)).join(''))
  }
  return chain
}

/** Opens a sink, writes its first line, and waits for what it lets go of. Answers what it told of. */
async function open(options: FileSinkOptions = { keep: '183d' }, at = NOW, refuse?: (one: Expired) => boolean) {
  const told: Expired[] = []
  const there: boolean[] = []
  const retire: Retire = async (expired) => {
    there.push(existsSync(join(folder, expired.file)))
    if (refuse?.(expired)) throw new Error('not accepted')
    told.push(expired)
  }
  const sink = fileSink(folder, options)
  await sink.open?.('w', retire)
  await sink.write(new Chain('w', 'haldir').append(signal, at))
  await settled()
  await sink.close?.()
  return { told, there }
}

/** Waits until nobody holds the lock any more. */
async function settled(): Promise<void> {
  do await new Promise((turn) => setTimeout(turn, 1))
  while (existsSync(join(folder, 'retention.lock')))
}

describe('files that were kept long enough', () => {
  it('go, oldest first, each after it was told of: how far that chain is gone, and the hash of the last', async () => {
    proves('trail-kept')
    const chain = dead('a', [[OLD, OLD + 1], [OLD + DAY], [NOW - DAY]])
    const lastOf = (name: string) => JSON.parse(readFileSync(pathOf(name), 'utf8').trimEnd().split('\n').at(-1) ?? '')
    const heads = [lastOf('a-1').hash, lastOf('a-2').hash]
    const { told, there } = await open()
    const until = (at: number) => new Date(at).toISOString()
    expect(told).toEqual([
      { writer: 'a', file: 'audit-a-1.jsonl', entries: 2, head: heads[0], from: 0, to: 1, until: until(OLD + 1) },
      { writer: 'a', file: 'audit-a-2.jsonl', entries: 3, head: heads[1], from: 2, to: 2, until: until(OLD + DAY) },
    ])
    expect(there).toEqual([true, true])
    expect(names()).toEqual(['a-3', 'w-1'])
    expect(chain.entries).toBe(4)
  })

  it('go to the last one of a dead writer, with the empty one it had begun', async () => {
    dead('a', [[OLD], []])
    dead('b', [[]])
    const { told } = await open()
    expect(told.map(({ file }) => file)).toEqual(['audit-a-1.jsonl'])
    // What is empty and alone may be all that somebody left.
    expect(names()).toEqual(['b-1', 'w-1'])
  })

  it('stay when it is not accepted that they go, and are told of again next time', async () => {
    dead('a', [[OLD], [OLD]])
    const first = await open(undefined, NOW, ({ file }) => file.endsWith('-2.jsonl'))
    expect([first.told.length, names()]).toEqual([1, ['a-2', 'w-1']])
    rmSync(pathOf('w-1'))
    const second = await open()
    expect([second.told.map(({ entries }) => entries), names()]).toEqual([[2], ['w-1']])
  })

  it('stay when their writer lives, here or where nobody can ask', async () => {
    for (const [writer, lock] of [
      ['a', readFileSync(lockOfMine(), 'utf8')],
      ['b', JSON.stringify({ pid: 1, host: 'elsewhere', started: '1' })],
    ] as const) {
      dead(writer, [[OLD], [OLD]])
      writeFileSync(join(folder, `audit-${writer}.lock`), lock)
    }
    expect((await open()).told).toEqual([])
    expect(names()).toHaveLength(5)
  })

  it('stay when nobody said how long they are kept, or nobody can be told', async () => {
    dead('a', [[OLD]])
    expect((await open({})).told).toEqual([])
    rmSync(pathOf('w-1'))
    const sink = fileSink(folder, { keep: '1d' })
    sink.open?.('w')
    sink.write(new Chain('w', 'haldir').append(signal, NOW))
    await settled()
    expect(names()).toEqual(['a-1', 'w-1'])
    await sink.close?.()
  })

  it('stay until the last entry in them is old enough, to the millisecond', async () => {
    dead('a', [[OLD, NOW - 183 * DAY]])
    expect((await open()).told).toEqual([])
    rmSync(pathOf('w-1'))
    expect((await open(undefined, NOW + 1)).told).toHaveLength(1)
  })

  it('stay while another process lets files go', async () => {
    dead('a', [[OLD]])
    const other = JSON.stringify({ pid: 1, host: 'elsewhere', started: '1' })
    writeFileSync(join(folder, 'retention.lock'), other)
    const sink = fileSink(folder, { keep: '183d' })
    const told: Expired[] = []
    sink.open?.('w', (one) => void told.push(one))
    sink.write(new Chain('w', 'haldir').append(signal, NOW))
    await sink.close?.()
    expect([told, names()]).toEqual([[], ['a-1', 'w-1']])
    expect(readFileSync(join(folder, 'retention.lock'), 'utf8')).toBe(other)
  })
})

describe('a file that is not whole in itself', () => {
  /** Of each: the files of `a` as they were, and what has become of the first. */
  it.each<[string, readonly (readonly number[])[], (text: string) => string]>([
    ['that was made to look old', [[NOW, NOW]], (text) => text.replaceAll('2026-07', '2026-01')],
    ['of which an entry was changed', [[OLD, OLD]], (text) => text.replace('"enforced":true', '"enforced":false')],
    ['of which an entry is gone', [[OLD, OLD, OLD]], (text) => text.split('\n').toSpliced(1, 1).join('\n')],
    ['whose end is gone', [[OLD, OLD], [NOW]], (text) => `${text.split('\n')[0]}\n`],
    ['that is torn, with another behind it', [[OLD], [NOW]], (text) => `${text}{"v":1`],
    ['that holds another writer’s chain', [[OLD]], () => new Chain('b', 'haldir').append(signal, OLD)],
    ['that holds no entries', [[OLD]], () => 'nonsense\n'],
  ])('is left for all to see: %s', async (_, files, change) => {
    dead('a', files)
    writeFileSync(pathOf('a-1'), change(readFileSync(pathOf('a-1'), 'utf8')))
    const before = names()
    const text = readFileSync(pathOf('a-1'), 'utf8')
    expect((await open()).told).toEqual([])
    expect(names()).toEqual([...before, 'w-1'])
    expect(readFileSync(pathOf('a-1'), 'utf8')).toBe(text)
  })
})

describe('what such a file told of other files', () => {
  it('is told again before it goes, for each writer the most', async () => {
    const gone = (writer: string, entries: number) => ({ writer, file: `audit-${writer}-1.jsonl`, entries, head: 'h' })
    const chain = new Chain('a', 'haldir')
    const drafts = [gone('x', 3), gone('x', 5), gone('y', 1), gone('a', 2)].map(
      (data): Draft => ({
        type: 'retention',
        session: NOBODY,
        data,
      }),
    )
    writeFileSync(pathOf('a-1'), drafts.map((draft) => chain.append(draft, OLD)).join(''))
    const { told } = await open()
    expect(told.map(({ writer, entries }) => [writer, entries])).toEqual([
      ['x', 5],
      ['y', 1],
      ['a', 4],
    ])
  })
})

describe('under a trail', () => {
  it('they are on record, and the own ones go as new ones are begun, never the one that is written', async () => {
    const clock = fakeClock(OLD)
    const sink = fileSink(folder, { keep: '30d' })
    const registry = memoryStore({ clock }).writer
    const trail = new WrittenTrail({ haldir: 'h', ids: () => 'w', sinks: [sink], registry, clock, deadlineMs: 5_000 })
    for (let day = 0; day < 40; day++) {
      await trail.record(signal)
      await settled()
      await clock.advance(DAY)
    }
    await trail.close()
    const kept = names().map((name) => Number(name.slice(2)))
    expect(kept.sort((a, b) => a - b)).toEqual(Array.from({ length: 32 }, (_, index) => index + 10))
    const read = await Array.fromAsync(sink.read?.() ?? [])
    const entries = read.map(({ line }) => JSON.parse(line) as Entry)
    const told = entries.filter(({ type }) => type === 'retention').at(-1) as Entry
    expect(told.data).toMatchObject({ writer: 'w', file: 'audit-w-9.jsonl' })
    // What is left begins where that says.
    expect([entries[0]?.seq, entries[0]?.prev]).toEqual([told.data.entries, told.data.head])
  })

  it('closing does not wait for files that are still to be looked at', async () => {
    for (let n = 0; n < 30; n++) dead(`d${n}`, [[OLD]])
    const clock = fakeClock(NOW)
    const sink = fileSink(folder, { keep: '30d' })
    const registry = memoryStore({ clock }).writer
    const trail = new WrittenTrail({ haldir: 'h', ids: () => 'w', sinks: [sink], registry, clock, deadlineMs: 5_000 })
    await trail.record(signal)
    await trail.close()
    // Whatever has gone is on record, and nothing else.
    const told = (await Array.fromAsync(sink.read?.() ?? []))
      .map(({ line }) => JSON.parse(line) as Entry)
      .filter(({ type, writer }) => type === 'retention' && writer === 'w')
    const left = names().filter((name) => name.startsWith('d')).length
    expect(told.length).toBeGreaterThanOrEqual(30 - left)
    expect(told.length - (30 - left)).toBeLessThanOrEqual(1)
    expect(readdirSync(folder)).not.toContain('retention.lock')
  })
})

/** A lock of this very process. */
function lockOfMine(): string {
  const probe = mkdtempSync(join(tmpdir(), 'haldir-probe-'))
  fileSink(probe).open?.('p')
  return join(probe, 'audit-p.lock')
}
