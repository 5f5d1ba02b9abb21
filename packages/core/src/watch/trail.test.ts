import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { Unavailable, Unplaced } from '../errors.ts'
import { memorySink } from '../sinks/memory.ts'
import type { Sink } from '../sinks/sink.ts'
import { WriterEnded } from '../sinks/sink.ts'
import { memoryStore } from '../stores/memory.ts'
import type { WriterRow } from '../stores/store.ts'
import { type Draft, NOBODY } from './chain.ts'
import type { Entry } from './entry.ts'
import { readingOf } from './reading.ts'
import { WrittenTrail } from './trail.ts'
import type { TrailParts } from './trail-parts.ts'

const DEADLINE = 5_000
const signal: Draft = { type: 'signal', session: NOBODY }
const outcome: Draft = { type: 'outcome', session: NOBODY, data: { ended: 'ok' } }

/** A trail on real parts, and what was registered of it. */
function scene(parts: Partial<TrailParts> = {}) {
  const clock = fakeClock()
  const { writer } = memoryStore({ clock })
  const rows: WriterRow[] = []
  const registry = {
    list: () => writer.list(),
    put: (row: WriterRow) => {
      rows.push(row)
      return writer.put(row)
    },
  }
  const sink = memorySink()
  let writers = 0
  const ids = () => (writers++ === 0 ? 'w' : `w${writers}`)
  const given = { haldir: 'h', ids, sinks: [sink], registry, clock, deadlineMs: DEADLINE, ...parts }
  const trail = new WrittenTrail(given)
  return { clock, rows, sink, trail, reading: readingOf({ ...given, flush: () => trail.flush() }) }
}

/** A memory sink that does as the test says: accepts, throws, or answers `false`, at once or later. */
function moody(options: Partial<Sink> = {}) {
  const sink = memorySink()
  const mood: { now: 'accepts' | 'throws' | 'declines'; later: boolean } = { now: 'accepts', later: false }
  const take = (lines: string) => {
    if (mood.now === 'throws') throw new Error('disk full')
    return mood.now === 'accepts' ? sink.write(lines) : false
  }
  const write = (lines: string) => (mood.later ? Promise.resolve().then(() => take(lines)) : take(lines))
  return { mood, lines: sink.lines, sink: { ...sink, write, ...options } satisfies Sink }
}

const entriesOf = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as Entry)
const typesOf = (lines: readonly string[]) => entriesOf(lines).map(({ type }) => type)
const failure = async (work: () => unknown) => {
  try {
    await work()
    return undefined
  } catch (error) {
    return error as Error
  }
}

describe('recording', () => {
  it('opens with the first entry, and afterwards costs no promise where every sink accepts at once', async () => {
    const { trail, sink } = scene()
    await trail.record(signal)
    expect(trail.record(outcome)).toBe(undefined)
    expect(typesOf(sink.lines)).toEqual(['writer-opened', 'signal', 'outcome'])
    expect(trail.health()).toEqual({ waiting: 0, unrecorded: 0, dropped: {} })
  })

  it('opens once for all that come before it is open', async () => {
    const opened: string[] = []
    const { sink, lines } = moody({ open: async (writer) => void opened.push(writer) })
    const { trail } = scene({ sinks: [sink] })
    await Promise.all([trail.record(signal), trail.record(signal)])
    expect(opened).toEqual(['w'])
    expect(typesOf(lines)).toEqual(['writer-opened', 'signal', 'signal'])
  })

  it('places nothing while it can not be opened, says so, and tries again at the next entry', async () => {
    let works = false
    const open = () => {
      if (!works) throw new Error('no such folder')
      return undefined
    }
    const { sink, lines } = moody({ open })
    const { trail } = scene({ sinks: [sink] })
    const error = await failure(() => trail.record(signal))
    expect(error).toBeInstanceOf(Unplaced)
    expect(error?.message).toBe('the trail could not be opened')
    expect(error?.cause).toBeInstanceOf(Unavailable)
    expect(lines).toEqual([])
    works = true
    await trail.record(signal)
    expect(typesOf(lines)).toEqual(['writer-opened', 'signal'])
  })

  it('says only once that it was opened, when registering it failed the first time', async () => {
    let works = false
    const put = () => {
      if (!works) throw new Error('connection lost')
    }
    const { trail, sink } = scene({ registry: { put, list: () => [] } })
    expect(await failure(() => trail.record(signal))).toMatchObject({ message: 'the trail could not be opened' })
    works = true
    await trail.record(signal)
    expect(typesOf(sink.lines)).toEqual(['writer-opened', 'signal'])
  })

  it('records what a sink had to cut off when it opened, once', async () => {
    const recovered = [
      { writer: 'dead', file: 'a.jsonl', bytes: 7 },
      { writer: 'gone', file: 'b.jsonl', bytes: 9 },
    ]
    const { sink, lines } = moody({ open: () => ({ recovered }) })
    const { trail } = scene({ sinks: [sink] })
    await trail.record(signal)
    await trail.record(signal)
    expect(typesOf(lines)).toEqual(['writer-opened', 'recovery', 'recovery', 'signal', 'signal'])
    expect(entriesOf(lines.slice(1, 3)).map(({ data }) => data)).toEqual(recovered)
  })

  it('tells the caller when one of several required sinks refuses, and when it accepts later', async () => {
    const [slow, hasty] = [moody(), moody()]
    const { trail } = scene({ sinks: [slow.sink, hasty.sink] })
    await trail.record(signal)
    slow.mood.later = true
    await trail.record(signal)
    hasty.mood.now = 'declines'
    // The other one refuses as well, later; nobody waits for that any more.
    slow.mood.now = 'throws'
    expect(await failure(() => trail.record(signal))).toMatchObject({
      code: 'unavailable',
      message: 'the sink `memory` did not accept an entry',
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(trail.health().waiting).toBe(1)
    slow.mood.now = 'accepts'
    expect(await failure(() => trail.record(signal))).toBeInstanceOf(Unavailable)
    hasty.mood.now = slow.mood.now = 'accepts'
    await trail.record(signal)
    expect(trail.health().waiting).toBe(0)
    expect(slow.lines).toEqual(hasty.lines)
  })

  it('concludes without a word whatever the sinks do', async () => {
    const { sink, mood, lines } = moody()
    const { trail } = scene({ sinks: [sink] })
    await trail.conclude(outcome)
    mood.now = 'throws'
    expect(trail.conclude(outcome)).toBe(undefined)
    mood.later = true
    expect(await trail.conclude(outcome)).toBe(undefined)
    mood.now = 'accepts'
    await trail.flush()
    expect(typesOf(lines)).toEqual(['writer-opened', 'outcome', 'outcome', 'outcome'])
  })
})

/** Fills what is kept for a sink, 1,000 lines, with entries it refuses. */
async function crowd(trail: WrittenTrail, mood: ReturnType<typeof moody>['mood']) {
  await trail.record(signal)
  Object.assign(mood, { now: 'throws', later: true })
  const answers = Array.from({ length: 1_000 }, () => failure(() => trail.record(signal)))
  for (const error of await Promise.all(answers)) {
    if (!(error instanceof Unavailable) || error instanceof Unplaced)
      throw new Error('it has a place', { cause: error })
  }
  mood.later = false
  expect(trail.health()).toMatchObject({ waiting: 1_000, unrecorded: 0 })
}

describe('a required sink that is down for long', () => {
  it('costs what has not happened yet its place, never what has; the hole is told of when it is back', async () => {
    const { sink, mood, lines } = moody()
    const { trail, reading } = scene({ sinks: [sink] })
    await crowd(trail, mood)
    for (let count = 0; count < 3; count++) {
      const error = await failure(() => trail.record(signal))
      expect(error).toBeInstanceOf(Unplaced)
      expect(error?.message).toBe('the sink `memory` does not accept entries')
    }
    expect(trail.health()).toMatchObject({ waiting: 1_000, unrecorded: 3 })
    // It stands before the outcome: what is missing was missing by then.
    expect(await failure(() => trail.record(outcome))).not.toBeInstanceOf(Unplaced)
    expect(trail.health()).toMatchObject({ waiting: 1_002, unrecorded: 3 })
    mood.now = 'accepts'
    await trail.record(signal)
    await trail.record(signal)
    expect(trail.health()).toMatchObject({ waiting: 0, unrecorded: 3 })
    const late = entriesOf(lines.slice(1_002))
    expect(late.map(({ type }) => type)).toEqual(['gap', 'outcome', 'signal', 'signal'])
    expect(late[0]?.data).toEqual({ unrecorded: 3 })
    expect(await reading.verify()).toMatchObject({ ok: true, problems: [] })
  })

  it('has its hole told of even if it takes the note of it later, or not at once', async () => {
    const { sink, mood, lines } = moody()
    const { trail } = scene({ sinks: [sink] })
    await crowd(trail, mood)
    expect(await failure(() => trail.record(signal))).toBeInstanceOf(Unplaced)
    mood.later = true
    // It rejects both, later: the note is nobody's to wait for.
    expect(await failure(() => trail.record(outcome))).toBeInstanceOf(Unavailable)
    await new Promise((resolve) => setImmediate(resolve))
    mood.now = 'accepts'
    await trail.flush()
    expect(entriesOf(lines.slice(1_002)).map(({ type, data }) => [type, data])).toEqual([
      ['gap', { unrecorded: 1 }],
      ['outcome', { ended: 'ok' }],
    ])
  })

  it('costs an outcome its place in shadow mode, where its call ran without an intent', async () => {
    const { sink, mood } = moody()
    const { trail } = scene({ sinks: [sink], enforced: false })
    await crowd(trail, mood)
    expect(await failure(() => trail.record(outcome))).toBeInstanceOf(Unplaced)
  })
})

describe('a writer whose sink no longer knows what it has stored', () => {
  /** A memory sink of which the test says when it ends the writer, and what it has stored by then. */
  function ending({ later = false } = {}) {
    const sink = memorySink()
    const mood = { ends: false, opens: true, stores: false }
    const opened: string[] = []
    let ended = false
    const write = (lines: string) => {
      if (mood.ends && !ended) {
        ended = true
        if (mood.stores) sink.write(lines)
      }
      if (ended) throw new WriterEnded('the disk did not say')
      sink.write(lines)
    }
    const open = (writer: string) => {
      if (!mood.opens) throw new Error('disk full')
      opened.push(writer)
      ended = false
      return undefined
    }
    const slow = async (lines: string) => write(lines)
    return { mood, opened, lines: sink.lines, sink: { ...sink, open, write: later ? slow : write } satisfies Sink }
  }
  const brief = (lines: readonly string[]) => entriesOf(lines).map(({ id, type }) => `${id} ${type}`)

  it.each([false, true])(
    'ends; the next one names it and says again what was not accepted (later: %s)',
    async (later) => {
      const { sink, mood, lines, opened } = ending({ later })
      const { trail, reading, rows } = scene({ sinks: [sink] })
      await trail.record(signal)
      mood.ends = true
      expect(await failure(() => trail.record({ ...signal, data: { lost: 1 } }))).toBeInstanceOf(Unavailable)
      mood.ends = false
      expect(trail.health().waiting).toBe(1)
      await trail.conclude(outcome)
      expect(brief(lines)).toEqual([
        'w:0 writer-opened',
        'w:1 signal',
        'w2:0 writer-opened',
        'w2:1 signal',
        'w2:2 outcome',
      ])
      const [, before, next, again] = entriesOf(lines)
      expect(next?.data).toEqual({ after: { writer: 'w', entries: 2, head: before?.hash } })
      expect(again?.data).toEqual({ lost: 1 })
      expect(opened).toEqual(['w', 'w2'])
      expect(trail.health()).toEqual({ waiting: 0, unrecorded: 0, dropped: {} })
      await trail.flush()
      expect(rows.at(-1)).toMatchObject({ id: 'w2', entries: 3 })
      expect(await reading.verify()).toMatchObject({
        ok: true,
        writers: [
          { id: 'w', entries: 2 },
          { id: 'w2', entries: 3 },
        ],
      })
    },
  )

  it('says again, in order, all that was under way together', async () => {
    const { sink, mood, lines } = ending({ later: true })
    const { trail, reading } = scene({ sinks: [sink] })
    await trail.record(signal)
    mood.ends = true
    mood.stores = true
    const number = (n: number): Draft => ({ ...signal, data: { n } })
    const refused = await Promise.all([1, 2, 3].map((n) => failure(() => trail.record(number(n)))))
    expect(refused.every((error) => error instanceof Unavailable)).toBe(true)
    mood.ends = false
    await trail.record(number(4))
    // The first was stored after all: nobody could know.
    const numbers = entriesOf(lines)
      .filter(({ type }) => type === 'signal')
      .map(({ writer, data }) => [writer, data.n])
    expect(numbers).toEqual([
      ['w', undefined],
      ['w', 1],
      ['w2', 1],
      ['w2', 2],
      ['w2', 3],
      ['w2', 4],
    ])
    expect(await reading.verify()).toMatchObject({ ok: true })
  })

  it('refuses until a new one can be opened; an outcome that comes meanwhile is not lost', async () => {
    const { sink, mood, lines } = ending()
    const { trail } = scene({ sinks: [sink] })
    await trail.record(signal)
    mood.ends = true
    mood.opens = false
    await failure(() => trail.record({ ...outcome, data: { n: 1 } }))
    expect(await failure(() => trail.record(signal))).toBeInstanceOf(Unplaced)
    await trail.conclude({ ...outcome, data: { n: 2 } })
    expect(await failure(() => trail.flush())).toBeInstanceOf(Unavailable)
    expect(trail.health()).toMatchObject({ waiting: 2, unrecorded: 1 })
    mood.ends = false
    mood.opens = true
    await trail.flush()
    expect(brief(lines).slice(2)).toEqual(['w2:0 writer-opened', 'w2:1 outcome', 'w2:2 outcome'])
    expect(
      entriesOf(lines)
        .slice(3)
        .map(({ data }) => data.n),
    ).toEqual([1, 2])
  })

  it('ends again and again, and what was said of the last good one stays', async () => {
    const { sink, mood, lines } = ending()
    const { trail, reading } = scene({ sinks: [sink] })
    await trail.record(signal)
    const head = entriesOf(lines).at(-1)?.hash
    mood.ends = true
    await trail.conclude(outcome)
    for (let count = 0; count < 3; count++) expect(await failure(() => trail.record(signal))).toBeInstanceOf(Unplaced)
    mood.ends = false
    await trail.record(signal)
    expect(brief(lines).slice(2)).toEqual(['w5:0 writer-opened', 'w5:1 outcome', 'w5:2 signal'])
    expect(entriesOf(lines)[2]?.data).toEqual({ after: { writer: 'w', entries: 2, head } })
    expect(await reading.verify()).toMatchObject({ ok: true })
  })

  it('says what is left before it closes', async () => {
    const { sink, mood, lines, opened } = ending()
    const { trail } = scene({ sinks: [sink] })
    await trail.record(signal)
    mood.ends = true
    await trail.conclude(outcome)
    mood.ends = false
    await trail.close()
    expect(brief(lines).slice(2)).toEqual(['w2:0 writer-opened', 'w2:1 outcome', 'w2:2 writer-closed'])
    expect(opened).toEqual(['w', 'w2'])
  })

  it('takes every sink along; one that may lose entries counts what it loses', async () => {
    const { sink, mood } = ending()
    const other = ending()
    const copy = { ...ending(), fails: true }
    const write = (lines: string) => {
      if (copy.fails) throw new Error('away')
      copy.sink.write(lines)
    }
    const { trail } = scene({ sinks: [sink, other.sink, { ...copy.sink, name: 'copy', required: false, write }] })
    await trail.record(signal)
    mood.ends = true
    await trail.conclude(outcome)
    mood.ends = false
    copy.fails = false
    await trail.record(signal)
    expect(brief(other.lines)).toEqual([
      'w:0 writer-opened',
      'w:1 signal',
      'w:2 outcome',
      'w2:0 writer-opened',
      'w2:1 outcome',
      'w2:2 signal',
    ])
    await trail.flush()
    expect(other.opened).toEqual(['w', 'w2'])
    expect(trail.health().dropped).toEqual({ copy: 3 })
    expect(brief(copy.lines)).toEqual(['w2:0 writer-opened', 'w2:1 outcome', 'w2:2 signal'])
  })

  it('is followed by what observes entries once, whatever is said again', async () => {
    const { sink, mood } = ending()
    const seen: string[] = []
    const { trail } = scene({ sinks: [sink], observe: ({ type }) => void seen.push(type) })
    await trail.record(signal)
    mood.ends = true
    await trail.conclude(outcome)
    mood.ends = false
    await trail.record(signal)
    expect(seen).toEqual(['signal', 'outcome', 'signal'])
  })
})

describe('reading', () => {
  it('reads the first required sink that can be read back', async () => {
    const copy = memorySink({ required: false })
    const write = () => {}
    const { trail, reading, sink } = scene({ sinks: [copy, { name: 'blind', write }, memorySink(), memorySink()] })
    await trail.record(signal)
    expect(sink.lines).toEqual([])
    expect((await Array.fromAsync(reading.query())).map(({ type }) => type)).toEqual(['writer-opened', 'signal'])
    expect(await reading.verify()).toMatchObject({ ok: true, writers: [{ id: 'w', entries: 2, closed: false }] })
    expect((await Array.fromAsync(reading.query({ type: 'signal' }))).length).toBe(1)

    const blind = scene({ sinks: [memorySink({ required: false }), { name: 'blind', write }] })
    await blind.trail.record(signal)
    expect(await failure(() => Array.fromAsync(blind.reading.query()))).toMatchObject({
      code: 'unavailable',
      message: 'no required sink can be read back',
    })
  })

  it('verifies what stands, also while a sink refuses; not without knowing which writers there are', async () => {
    const { sink, mood } = moody()
    const { trail, reading } = scene({ sinks: [sink] })
    await trail.record(signal)
    mood.now = 'throws'
    await failure(() => trail.record(signal))
    expect(await reading.verify()).toMatchObject({ ok: true, writers: [{ entries: 2 }] })
    mood.now = 'accepts'
    expect(await reading.verify()).toMatchObject({ ok: true, writers: [{ entries: 3 }] })

    for (const [list, message] of [
      [() => ({}) as never, '`store.writer.list` answered nonsense'],
      [() => Promise.reject(new Error('lost')), '`store.writer.list` failed'],
    ] as const) {
      const blind = scene({ registry: { put: () => {}, list } })
      await blind.trail.record(signal)
      expect(await failure(() => blind.reading.verify())).toMatchObject({ code: 'unavailable', message })
    }
  })
})

describe('what the store knows of a chain', () => {
  it('is how far every required sink has it: at opening, at each flush, at the end', async () => {
    const first = moody()
    const second = moody()
    const { trail, rows } = scene({ sinks: [first.sink, second.sink] })
    await trail.flush()
    expect(rows).toEqual([])
    await trail.record(signal)
    const at = (index: number) => entriesOf(first.lines)[index] as Entry
    const genesis = at(0).hash
    expect(rows).toEqual([{ id: 'w', genesis, entries: 1, head: genesis, closed: false }])

    await trail.record(signal)
    await trail.flush()
    expect(rows.at(-1)).toEqual({ id: 'w', genesis, entries: 3, head: at(2).hash, closed: false })

    // One of them has not got it: after a crash, claiming more would look like a cut.
    second.mood.now = 'declines'
    await failure(() => trail.record(signal))
    expect(await failure(() => trail.flush())).toBeInstanceOf(Unavailable)
    second.mood.now = 'accepts'
    await trail.flush()
    expect(rows.at(-1)).toEqual({ id: 'w', genesis, entries: 4, head: at(3).hash, closed: false })

    await trail.close()
    expect(rows.at(-1)).toEqual({ id: 'w', genesis, entries: 5, head: at(4).hash, closed: true })
  })

  it('grows when a sink accepts later', async () => {
    const { sink, mood, lines } = moody({ flush: () => Promise.reject(new Error('busy')) })
    const { trail, rows } = scene({ sinks: [sink] })
    mood.later = true
    await trail.record(signal)
    await trail.record(signal)
    await trail.close()
    expect(lines.length).toBe(4)
    // All of it was accepted, but the sink can't say that it is safe.
    expect(rows.at(-1)).toMatchObject({ entries: 4, closed: false })
  })

  it('never shrinks: a flush that ends late knows less than the entry that came meanwhile', async () => {
    let ends: (() => void) | undefined
    const { sink } = moody({
      flush: () =>
        new Promise<void>((resolve) => {
          ends = resolve
        }),
    })
    const { trail, rows } = scene({ sinks: [sink] })
    await trail.record(signal)
    const flushed = trail.flush()
    await new Promise((resolve) => setImmediate(resolve))
    await trail.record(signal)
    ends?.()
    await flushed
    expect(rows.at(-1)).toMatchObject({ entries: 3 })
  })

  it('is the end, too, when a sink takes it only at the second offer, even one that was crowded', async () => {
    for (const crowded of [false, true]) {
      const { sink, mood, lines } = moody()
      const { trail, rows } = scene({ sinks: [sink] })
      await (crowded ? crowd(trail, mood) : trail.record(signal))
      mood.now = 'declines'
      const closed = trail.close()
      mood.now = 'accepts'
      await closed
      expect(typesOf(lines).at(-1)).toBe('writer-closed')
      expect(rows.at(-1)).toMatchObject({ entries: lines.length, closed: true })
    }
  })

  it('is not that it was closed, when one of two required sinks lacks the end', async () => {
    const [first, second] = [moody(), moody()]
    const { trail, rows } = scene({ sinks: [first.sink, second.sink] })
    await trail.record(signal)
    second.mood.now = 'throws'
    await trail.close()
    expect([first.lines.length, second.lines.length]).toEqual([3, 2])
    expect(rows.at(-1)).toMatchObject({ entries: 2, closed: false })
  })

  it('is not that it was closed, when a required sink lacks the end', async () => {
    const { sink, mood, lines } = moody()
    const { trail, rows } = scene({ sinks: [sink] })
    await trail.record(signal)
    mood.now = 'throws'
    await trail.close()
    expect(lines.length).toBe(2)
    expect(rows.at(-1)).toMatchObject({ entries: 2, closed: false })
  })
})

describe('sinks that are not required', () => {
  it('are opened with their first line, get what the others get, and are counted by name', async () => {
    const calls: string[] = []
    const copy = moody({ required: false, name: 'copy', open: (writer) => void calls.push(`open ${writer}`) })
    const { trail, sink } = scene({ sinks: [memorySink(), copy.sink] })
    expect(calls).toEqual([])
    await trail.record(signal)
    await trail.flush()
    expect(calls).toEqual(['open w'])
    expect(typesOf(copy.lines)).toEqual(['writer-opened', 'signal'])
    expect(sink.lines).toEqual([])
    Object.assign(copy.mood, { now: 'throws', later: true })
    // One is on its way, 1,000 are kept.
    for (let count = 0; count < 1_003; count++) trail.record(signal)
    expect(trail.health()).toEqual({ waiting: 0, unrecorded: 0, dropped: { copy: 2 } })
  })

  it('are flushed with the others, and fail nothing', async () => {
    const flushed: string[] = []
    const flush = (name: string, fails: boolean) => async () => {
      flushed.push(name)
      if (fails) throw new Error('lost')
    }
    const copy = moody({ required: false, flush: flush('copy', true) })
    const { sink } = moody({ flush: flush('first', false) })
    const { trail, rows } = scene({ sinks: [sink, copy.sink] })
    await trail.record(signal)
    await trail.flush()
    expect(flushed.toSorted()).toEqual(['copy', 'first'])
    await trail.close()
    expect(flushed.length).toBe(4)
    expect(rows.at(-1)).toMatchObject({ entries: 3, closed: true })
  })
})

describe('closing', () => {
  it('is the last entry; what comes later gets no place, and is counted', async () => {
    const { trail, sink, rows } = scene()
    await trail.record(signal)
    await trail.close()
    expect(typesOf(sink.lines)).toEqual(['writer-opened', 'signal', 'writer-closed'])
    const error = await failure(() => trail.record(signal))
    expect(error).toBeInstanceOf(Unplaced)
    expect(error?.message).toBe('the trail is closed')
    expect(trail.conclude(outcome)).toBe(undefined)
    expect(trail.health().unrecorded).toBe(2)
    const registered = rows.length
    await trail.close()
    expect([sink.lines.length, rows.length]).toEqual([3, registered])
  })

  it('leaves no trace of a trail that was never used, and closes its sinks all the same', async () => {
    let closed = 0
    const { sink, lines } = moody({ close: () => void closed++ })
    const { trail, rows } = scene({ sinks: [sink] })
    await trail.close()
    expect([lines, rows, closed]).toEqual([[], [], 1])
  })

  it('closes every sink, also when the store fails and when one of them does', async () => {
    const closed: string[] = []
    const ends = (name: string, required: boolean) =>
      moody({
        required,
        close: async () => {
          closed.push(name)
          throw new Error('busy')
        },
      }).sink
    let works = true
    const put = () => {
      if (!works) throw new Error('connection lost')
    }
    const sinks = [ends('first', true), ends('copy', false), ends('second', true)]
    const { trail } = scene({ sinks, registry: { put, list: () => [] } })
    await trail.record(signal)
    works = false
    expect(await failure(() => trail.close())).toMatchObject({ message: '`store.writer.put` failed' })
    expect(closed.toSorted()).toEqual(['copy', 'first', 'second'])
  })
})
