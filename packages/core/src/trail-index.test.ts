import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { amount as units, usd } from './money.ts'
import { openTrail } from './trail-files.ts'
import { openTrailIndex, type TrailIndex } from './trail-index.ts'
import { Chain, callFragment, type Draft, NOBODY, sessionFragment, toolFragment } from './watch/chain.ts'
import type { Filter } from './watch/filter.ts'
import type { SpendOptions } from './watch/spend.ts'

let directory: string
let index: TrailIndex
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'haldir-index-'))
  index = openTrailIndex({ directory, database: join(directory, 'index.db') })
})
afterEach(() => {
  index.close()
  rmSync(directory, { recursive: true })
})

const NOON = Date.UTC(2026, 0, 1, 12)
const ids = (entries: readonly { id: string }[]) => entries.map(({ id }) => id)

/** One writer's files, written as a file sink writes them. */
class Writer {
  readonly id: string
  readonly #chain: Chain
  segment = 1
  constructor(id: string, enforced = true) {
    this.id = id
    this.#chain = new Chain(id, 'haldir', enforced)
  }
  path(number = this.segment): string {
    return join(directory, `audit-${this.id}-${number}.jsonl`)
  }
  add(draft: Partial<Draft> & Pick<Draft, 'type'>, at = NOON): string {
    const line = this.#chain.append({ session: NOBODY, ...draft }, at)
    appendFileSync(this.path(), line)
    return line
  }
}

const desk = (agent: string, tenant = 'acme') => sessionFragment({ tenant, agent, id: `s-${agent}`, chain: [] })
const call = (id: string, tool: string) =>
  callFragment({ id, digest: 'd'.repeat(64) }, toolFragment({ name: tool }), 'k')

describe('an index', () => {
  // What one entry is made of, and what is done to the files between the questions.
  const drafted = fc.record({
    who: fc.integer({ min: 0, max: 3 }),
    type: fc.constantFrom('intent', 'outcome', 'refusal', 'secret-read'),
    agent: fc.constantFrom('desk', 'till', 'ünïcode "x"\u2028', '\ud800', '\ufffd', 'nul\0', ''),
    tool: fc.constantFrom('pay', 'look'),
    call: fc.integer({ min: 0, max: 12 }),
    minutes: fc.integer({ min: -5, max: 5 }),
    cents: fc.integer({ min: 0, max: 500 }),
  })
  const step = fc.oneof(
    { weight: 30, arbitrary: drafted.map((entry) => ({ do: 'add' as const, entry })) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('rotate' as const), who: fc.integer({ min: 0, max: 3 }) }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('ask' as const), who: fc.constant(0) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom('tear', 'expire', 'truncate', 'replace', 'garble', 'swap', 'vanish'),
        who: fc.integer({ min: 0, max: 3 }),
      }),
    },
  )
  /** Mostly not asked for: a filter of many members finds nothing. */
  const perhaps = <T>(arbitrary: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })
  const text = <T>(values: readonly T[]) =>
    perhaps(fc.oneof(fc.constantFrom(...values), fc.subarray([...values], { minLength: 2 }), fc.constant([])))
  const filtered = fc
    .record({
      agent: text(['desk', 'till', null, 'ünïcode "x"\u2028', '\ud800', 'nul\0', '']),
      tool: text(['pay', 'look', null]),
      type: text(['intent', 'outcome', 'refusal', 'writer-opened']),
      writer: text(['w0', 'w1', 'W-2']),
      call: text(['c1', 'c2', 'c3', null]),
      enforced: perhaps(fc.boolean()),
      since: perhaps(fc.integer({ min: -3, max: 3 }).map((m) => new Date(NOON + m * 60_000))),
      until: perhaps(fc.integer({ min: -1, max: 5 }).map((m) => new Date(NOON + m * 60_000))),
    })
    .map((filter) => Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as Filter)

  it('answers what the files answer, whatever becomes of them', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.array(filtered, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 7 }),
        async (steps, filters, limit) => {
          rmSync(directory, { recursive: true })
          index.close()
          directory = mkdtempSync(join(tmpdir(), 'haldir-index-'))
          index = openTrailIndex({ directory, database: join(directory, 'index.db') })
          const writers = ['w0', 'w1', 'W-2', 'ü3'].map((id, number) => new Writer(id, number !== 1))
          const cursors = new Map<number, string | undefined>()
          const compare = async () => {
            const files = openTrail(directory)
            await index.refresh()
            for (const [number, filter] of filters.entries()) {
              const all = ids(await Array.fromAsync(files.query(filter)))
              expect(ids(await Array.fromAsync(index.query(filter)))).toEqual(all)
              for (const order of ['writer', 'time'] as const) {
                const some = { ...filter, order, limit }
                expect(ids(await Array.fromAsync(index.query(some)))).toEqual(
                  ids(await Array.fromAsync(files.query(some))),
                )
              }
              // Each filter has a reader of its own, who goes on from where it stood when it was asked before.
              const after = cursors.get(number)
              const asked = { ...filter, limit, ...(after === undefined ? {} : { after }) }
              const page = await files.page(asked)
              expect(await index.page(asked)).toEqual(page)
              cursors.set(number, page.next)
              const rest = { ...filter, after: page.next }
              expect(ids(await Array.fromAsync(index.query(rest)))).toEqual(
                ids(await Array.fromAsync(files.query(rest))),
              )
              const { type: _, ...spending } = { ...filter, by: ['agent', 'day', 'tool'] } as Filter & SpendOptions
              expect(await index.spend(spending)).toEqual(await files.spend(spending))
            }
          }
          for (const one of steps) {
            if (one.do === 'ask') await compare()
            else if (one.do === 'add') {
              const { who, type, agent, tool, minutes, cents } = one.entry
              const amounts = cents === 0 ? [] : [usd(cents / 100), units('tokens', cents)]
              const what = type === 'intent' ? { held: amounts } : type === 'outcome' ? { spent: amounts } : {}
              const of = type === 'secret-read' ? {} : { call: call(`c${one.entry.call}`, tool) }
              writers[who]?.add(
                { type: type as Draft['type'], session: desk(agent), ...of, ...what },
                NOON + minutes * 60_000,
              )
            } else meddle(one.do, writers[one.who] as Writer)
          }
          await compare()
        },
      ),
      { numRuns: 80 },
    )
  })
})

describe('refreshing an index', () => {
  it('reads only what is new, and takes no line that is not finished', async () => {
    const writer = new Writer('w')
    for (let n = 0; n < 3; n++) writer.add({ type: 'intent' })
    expect(await index.refresh()).toEqual({ added: 3, reread: [], gone: [] })
    expect(await index.refresh()).toEqual({ added: 0, reread: [], gone: [] })
    const line = writer.add({ type: 'outcome' })
    truncateSync(writer.path(), statSync(writer.path()).size - 10)
    expect(await index.refresh()).toEqual({ added: 0, reread: [], gone: [] })
    appendFileSync(writer.path(), line.slice(-10))
    writer.segment++
    writer.add({ type: 'intent' })
    expect(await index.refresh()).toEqual({ added: 2, reread: [], gone: [] })
    expect(ids(await Array.fromAsync(index.query()))).toEqual(['w:0', 'w:1', 'w:2', 'w:3', 'w:4'])
  })

  it('takes a line that is longer than what is read at once', async () => {
    const writer = new Writer('w')
    const long = '🂡'.repeat(200_000)
    for (let n = 0; n < 3; n++) writer.add({ type: 'signal', data: { long } })
    expect(await index.refresh()).toMatchObject({ added: 3 })
    const [, second] = await Array.fromAsync(index.query())
    expect(second?.data.long).toBe(long)
    expect((await Array.fromAsync(openTrail(directory).query())).map(({ data }) => data.long)).toEqual([
      long,
      long,
      long,
    ])
  })

  it('forgets what retention has let go of, and does not read the rest again', async () => {
    const writer = new Writer('w')
    for (; writer.segment <= 3; writer.segment++) writer.add({ type: 'intent' }, NOON + writer.segment)
    await index.refresh()
    const { next } = await index.page({ limit: 2 })
    rmSync(writer.path(1))
    expect(await index.refresh()).toEqual({ added: 0, reread: [], gone: ['audit-w-1.jsonl'] })
    expect(ids(await Array.fromAsync(index.query()))).toEqual(['w:1', 'w:2'])
    expect(ids((await index.page({ after: next })).entries)).toEqual(['w:2'])
    for (const number of [2, 3]) rmSync(writer.path(number))
    expect(await index.refresh()).toEqual({ added: 0, reread: [], gone: ['audit-w-2.jsonl', 'audit-w-3.jsonl'] })
    expect(await Array.fromAsync(index.query())).toEqual([])
  })

  it('places what is left as one would who has never seen what is gone', async () => {
    const writer = new Writer('w')
    writer.add({ type: 'intent' }, NOON + 60_000)
    writer.segment++
    // The clock was set back in between.
    for (const second of [0, 30]) writer.add({ type: 'intent' }, NOON + second * 1_000)
    new Writer('x').add({ type: 'intent' }, NOON + 10_000)
    await index.refresh()
    expect(ids(await Array.fromAsync(index.query()))).toEqual(['x:0', 'w:0', 'w:1', 'w:2'])
    rmSync(writer.path(1))
    expect(await index.refresh()).toEqual({ added: 2, reread: ['w'], gone: ['audit-w-1.jsonl'] })
    expect(ids(await Array.fromAsync(openTrail(directory).query()))).toEqual(['w:1', 'x:0', 'w:2'])
    expect(ids(await Array.fromAsync(index.query()))).toEqual(['w:1', 'x:0', 'w:2'])
  })

  it('notices what was changed in place, replaced, cut or taken out, and reads that writer anew', async () => {
    const [one, other] = [new Writer('w'), new Writer('other')]
    for (; one.segment <= 3; one.segment++)
      for (let n = 0; n < 30; n++) one.add({ type: 'intent', session: desk('desk') })
    other.add({ type: 'intent' })
    await index.refresh()
    // What is looked at before each read is no more than the end: these change what stands far before it.
    const early = (path: string) => readFileSync(path, 'utf8').replace('desk', 'disk')
    const changes: (() => void)[] = [
      () => writeFileSync(one.path(2), early(one.path(2))),
      () => {
        writeFileSync(`${one.path(3)}.new`, early(one.path(3)) + readFileSync(one.path(3)))
        renameSync(`${one.path(3)}.new`, one.path(3))
      },
      () => writeFileSync(one.path(3), readFileSync(one.path(3), 'utf8').replaceAll('desk', 'deskly')),
      () => {
        writeFileSync(`${one.path(1)}.new`, readFileSync(one.path(1)))
        renameSync(`${one.path(1)}.new`, one.path(1))
      },
      () => truncateSync(one.path(3), statSync(one.path(3)).size - 1),
      () => appendFileSync(one.path(1), readFileSync(one.path(3))),
      () => rmSync(one.path(2)),
    ]
    for (const [number, change] of changes.entries()) {
      // Later than the file was last written to, by any clock of a file system.
      await new Promise((wake) => setTimeout(wake, 20))
      change()
      const { reread, gone } = await index.refresh()
      expect([reread, gone], `change ${number}`).toEqual([['w'], []])
      expect(await Array.fromAsync(index.query())).toEqual(await Array.fromAsync(openTrail(directory).query()))
    }
  })

  it('can begin anew', async () => {
    const writer = new Writer('w')
    writer.add({ type: 'intent' })
    await index.refresh()
    expect(await index.refresh({ rebuild: true })).toEqual({ added: 1, reread: [], gone: [] })
    expect(await Array.fromAsync(index.query())).toHaveLength(1)
  })

  it('is for its owner alone', async () => {
    new Writer('w').add({ type: 'intent' })
    await index.refresh()
    for (const name of ['index.db', 'index.db-wal', 'index.db-shm']) {
      expect(statSync(join(directory, name)).mode & 0o777, name).toBe(0o600)
    }
  })

  it('leaves nothing half done when it fails, and goes on', async () => {
    const writer = new Writer('w')
    for (let n = 0; n < 2_000; n++) writer.add({ type: 'intent', session: desk('desk') }, NOON + n)
    // A trigger that fails stands for a disk that is full in the middle of a block.
    const db = new DatabaseSync(join(directory, 'index.db'))
    db.exec(
      "CREATE TRIGGER full BEFORE INSERT ON entries WHEN new.position = 1234 BEGIN SELECT raise(ABORT, 'full'); END",
    )
    await expect(index.refresh()).rejects.toThrow('full')
    const some = await Array.fromAsync(index.query())
    expect(some.length).toBeLessThan(1_234)
    db.exec('DROP TRIGGER full')
    db.close()
    expect((await index.refresh()).added + some.length).toBe(2_000)
    expect((await Array.fromAsync(index.query())).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 2_000 }, (_, n) => n),
    )
  })

  it('waits for another one that is writing', async () => {
    new Writer('w').add({ type: 'intent' })
    const db = new DatabaseSync(join(directory, 'index.db'))
    db.exec('BEGIN IMMEDIATE')
    const refreshing = index.refresh()
    await new Promise((wake) => setTimeout(wake, 200))
    db.exec('COMMIT')
    db.close()
    expect(await refreshing).toMatchObject({ added: 1 })
  })

  it('by two at once takes every entry once', async () => {
    const writers = [new Writer('a'), new Writer('b')]
    for (let n = 0; n < 3_000; n++) writers[n % 2]?.add({ type: 'intent' }, NOON + n)
    const other = openTrailIndex({ directory, database: join(directory, 'index.db') })
    const found = await Promise.all([index.refresh(), other.refresh(), index.refresh()])
    other.close()
    await index.refresh()
    expect(found.reduce((sum, { added }) => sum + added, 0)).toBeLessThanOrEqual(3_000)
    expect(await Array.fromAsync(index.query())).toEqual(await Array.fromAsync(openTrail(directory).query()))
  })
})

describe('opening an index', () => {
  const open = (options: object) => openTrailIndex({ directory, database: join(directory, 'other.db'), ...options })

  it('of another layout empties it, and of what is no index refuses', async () => {
    new Writer('w').add({ type: 'intent' })
    open({}).close()
    const db = new DatabaseSync(join(directory, 'other.db'))
    db.exec('PRAGMA user_version = 99; DROP TABLE files; CREATE TABLE later (x)')
    db.close()
    const again = open({})
    expect(await again.refresh()).toMatchObject({ added: 1 })
    again.close()
    const foreign = new DatabaseSync(join(directory, 'mine.db'))
    foreign.exec('CREATE TABLE mine (x)')
    foreign.close()
    expect(() => open({ database: join(directory, 'mine.db') })).toThrow(
      'the file at `database` is no index of a trail',
    )
    writeFileSync(join(directory, 'text.db'), 'no database at all, but long enough to be looked at as one'.repeat(20))
    expect(() => open({ database: join(directory, 'text.db') })).toThrow('the index at `database` could not be opened')
  })

  it.each<[object, string]>([
    [{ directory: '' }, '`directory` names a folder'],
    [{ database: 7 }, '`database` names a file'],
    [{ databse: 'x' }, 'did you mean `database`?'],
  ])('with %o is refused', (options, message) => {
    expect(() => open(options)).toThrow(message)
  })

  it('of a folder that is not there yet finds nothing', async () => {
    const empty = open({ directory: join(directory, 'later') })
    expect([await empty.refresh(), await empty.page(), await empty.spend()]).toEqual([
      { added: 0, reread: [], gone: [] },
      { entries: [], next: 'AQ', more: false },
      [],
    ])
    empty.close()
  })

  it('refuses what a query over files refuses', async () => {
    await expect(index.page({ agnet: 'x' } as object)).rejects.toThrow('did you mean `agent`?')
    await expect(index.spend({ by: 'unit' } as object)).rejects.toThrow('`by` is a list of')
    await expect(Array.fromAsync(index.query({ after: '!' }))).rejects.toThrow('`after` is not a cursor')
    expect(() => index.refresh({ rebild: true } as object)).toThrow('did you mean `rebuild`?')
  })
})

/** What befalls files, by their own processes and by others. */
function meddle(how: string, writer: Writer): void {
  const path = writer.path()
  const size = statSync(path, { throwIfNoEntry: false })?.size
  if (how === 'rotate') {
    if (size) writer.segment++
  } else if (how === 'expire') {
    for (let number = 1; number < writer.segment; number++) rmSync(writer.path(number), { force: true })
  } else if (size === undefined) return
  else if (how === 'tear') appendFileSync(path, '{"v":1,"id":"half')
  else if (how === 'truncate') truncateSync(path, Math.floor(size / 2))
  else if (how === 'vanish') rmSync(path)
  else {
    const lines = readFileSync(path, 'utf8').split('\n')
    if (how === 'swap') [lines[0], lines[1]] = [lines[1] ?? '', lines[0] ?? '']
    if (how === 'garble')
      lines.splice(1, 0, 'no entry', '{"type":"outcome","at":"never","seq":-1,"spent":[{"unit":"USD","amount":"x"}]}')
    if (how === 'replace') lines.splice(0, 1)
    writeFileSync(`${path}.other`, lines.join('\n'))
    renameSync(`${path}.other`, path)
  }
}
