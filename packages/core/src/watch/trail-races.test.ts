/** What comes at the same time: endings, openings, closings. */
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { Unavailable } from '../errors.ts'
import { memorySink } from '../sinks/memory.ts'
import { type Recovery, type Sink, WriterEnded } from '../sinks/sink.ts'
import { memoryStore } from '../stores/memory.ts'
import { type Draft, NOBODY } from './chain.ts'
import type { Entry } from './entry.ts'
import { readingOf } from './reading.ts'
import { WrittenTrail } from './trail.ts'
import type { TrailParts } from './trail-parts.ts'

const intent: Draft = { type: 'intent', session: NOBODY }
const outcome: Draft = { type: 'outcome', session: NOBODY }
const numbered = (draft: Draft, n: number): Draft => ({ ...draft, data: { n } })

function scene(sinks: readonly Sink[], parts: Partial<TrailParts> = {}) {
  const clock = fakeClock()
  const registry = memoryStore({ clock }).writer
  let writers = 0
  const ids = () => `w${++writers}`
  const given = { haldir: 'h', ids, sinks, registry, clock, deadlineMs: 5_000, ...parts }
  const trail = new WrittenTrail(given)
  return { clock, trail, reading: readingOf({ ...given, flush: () => trail.flush() }) }
}

/** A sink that answers when the test says so, and how. */
function held(name = 'held') {
  const { lines, ...sink } = memorySink()
  const waiting: { lines: string; settle: (error?: Error) => void }[] = []
  const state = { holds: false, opens: 0, ended: false }
  const write = (text: string): Promise<void> | undefined => {
    if (state.ended) throw new WriterEnded('ended')
    if (!state.holds) {
      sink.write(text)
      return undefined
    }
    return new Promise((resolve, reject) => {
      const settle = (error?: Error) => {
        if (error) {
          state.ended = error instanceof WriterEnded
          reject(error)
        } else {
          sink.write(text)
          resolve()
        }
      }
      waiting.push({ lines: text, settle })
    })
  }
  const open = (_writer: string) => {
    state.opens++
    state.ended = false
    return undefined
  }
  return { state, waiting, lines: () => lines, sink: { ...sink, name, write, open } satisfies Sink }
}

const entriesOf = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as Entry)
const brief = (lines: readonly string[]) => entriesOf(lines).map(({ id, type }) => `${id} ${type}`)
const inTime = <T>(work: Promise<T>) =>
  Promise.race([work, pause(2_000, undefined, { ref: false }).then(() => Promise.reject(new Error('hangs')))])

describe('a writer that ends', () => {
  it('while it tells of what was cut off is followed by one that tells of all of it', async () => {
    const sink = memorySink()
    const found: Recovery[] = ['a', 'b', 'c'].map((writer) => ({ writer, file: `${writer}-1`, bytes: 1 }))
    let ended = false
    let spoilt = true
    const write = (lines: string) => {
      if (spoilt && lines.includes('"recovery"')) {
        ended = true
        spoilt = false
      }
      if (ended) throw new WriterEnded('no')
      sink.write(lines)
    }
    const open = () => {
      ended = false
      return { recovered: found.splice(0) }
    }
    const { trail, reading } = scene([{ ...sink, open, write }])
    await inTime(Promise.allSettled([trail.record(intent)]))
    await inTime(Promise.resolve(trail.record(outcome)))
    const told = entriesOf(sink.lines).flatMap(({ type, data }) => (type === 'recovery' ? [data.writer] : []))
    expect(told.toSorted()).toEqual(['a', 'b', 'c'])
    expect(await reading.verify()).toMatchObject({ ok: true })
  })

  it('is named with all that was accepted, also what another sink was late with', async () => {
    const first = held('first')
    const second = held('second')
    const { trail, reading } = scene([first.sink, second.sink])
    await trail.record(intent)
    second.state.holds = true
    const late = trail.record(numbered(outcome, 1)) as Promise<void>
    first.state.holds = true
    const lost = Promise.allSettled([trail.record(numbered(outcome, 2))])
    first.waiting[0]?.settle(new WriterEnded('no'))
    await turn()
    first.state.holds = false
    second.state.holds = false
    const next = trail.record(numbered(intent, 3)) as Promise<void>
    while (second.waiting.length > 0) {
      second.waiting.shift()?.settle()
      await turn()
    }
    await inTime(Promise.all([late, lost, next]))
    const entries = entriesOf(first.lines())
    const opened = entries.find(({ type, data }) => type === 'writer-opened' && data.after)
    const before = entries.filter(({ writer }) => writer === 'w1')
    expect(brief(first.lines())).toEqual([
      'w1:0 writer-opened',
      'w1:1 intent',
      'w1:2 outcome',
      'w2:0 writer-opened',
      'w2:1 outcome',
      'w2:2 intent',
    ])
    expect(opened?.data.after).toMatchObject({ writer: 'w1', entries: 3, head: before.at(-1)?.hash })
    expect(await reading.verify()).toMatchObject({ ok: true })
  })

  it('is offered nothing more, even by those who waited behind what ended it', async () => {
    const writes: string[] = []
    const sink = memorySink()
    let ends = false
    const write = async (lines: string) => {
      writes.push(lines)
      if (!ends) return void sink.write(lines)
      ends = false
      throw new WriterEnded('once')
    }
    const { trail, reading } = scene([{ ...sink, write }])
    await trail.record(intent)
    ends = true
    const all = [1, 2, 3].map((n) => trail.record(numbered(outcome, n)) as Promise<void>)
    await Promise.allSettled(all)
    await trail.record(numbered(intent, 4))
    expect(brief(sink.lines)).toEqual([
      'w1:0 writer-opened',
      'w1:1 intent',
      'w2:0 writer-opened',
      'w2:1 outcome',
      'w2:2 outcome',
      'w2:3 outcome',
      'w2:4 intent',
    ])
    expect(await reading.verify()).toMatchObject({ ok: true })
  })

  it('while the trail closes leaves nothing unsaid', async () => {
    const { sink, state, waiting, lines } = held()
    const { trail, reading } = scene([sink])
    await trail.record(intent)
    state.holds = true
    const ended = Promise.resolve(trail.conclude(outcome))
    const closed = trail.close()
    state.holds = false
    waiting[0]?.settle(new WriterEnded('no'))
    await inTime(Promise.all([ended, closed]))
    expect(brief(lines())).toEqual([
      'w1:0 writer-opened',
      'w1:1 intent',
      'w2:0 writer-opened',
      'w2:1 outcome',
      'w2:2 writer-closed',
    ])
    expect(await reading.verify()).toMatchObject({ ok: true })
    expect(trail.health().waiting).toBe(0)
  })

  it('has what came while nothing could be opened observed, too, once', async () => {
    const seen: unknown[] = []
    const { sink, state } = held()
    let opens = true
    const open = (writer: string) => {
      if (!opens) throw new Error('disk full')
      return sink.open(writer)
    }
    const { trail } = scene([{ ...sink, open }], { observe: ({ type, data }) => seen.push([type, data?.n]) })
    await trail.record(numbered(intent, 0))
    state.ended = true
    opens = false
    await trail.conclude(numbered(outcome, 1))
    await trail.conclude(numbered(outcome, 2))
    opens = true
    await trail.flush()
    expect(seen).toEqual([
      ['intent', 0],
      ['outcome', 1],
      ['outcome', 2],
    ])
  })
})

describe('a copy', () => {
  it('is opened for the next writer when it has answered for the one before; what it refuses then is lost to it', async () => {
    const sink = memorySink()
    const copy = held('copy')
    const calls: string[] = []
    let ended = false
    const write = (lines: string) => {
      if (ended) throw new WriterEnded('no')
      sink.write(lines)
    }
    const open = () => {
      ended = false
      return undefined
    }
    const { state, waiting } = copy
    const other = {
      ...copy.sink,
      required: false,
      open(writer: string) {
        calls.push(`open ${writer} while ${waiting.length} are under way`)
        return copy.sink.open(writer)
      },
    }
    const { trail } = scene([{ ...sink, open, write }, other])
    await trail.record(intent)
    await trail.flush()
    state.holds = true
    await trail.record(numbered(outcome, 1))
    ended = true
    await trail.conclude(numbered(outcome, 2))
    await trail.record(numbered(intent, 3))
    state.holds = false
    waiting.shift()?.settle(new Error('away'))
    for (let turns = 0; turns < 3; turns++) await turn()
    await trail.flush()
    expect(calls).toEqual(['open w1 while 0 are under way', 'open w2 while 0 are under way'])
    expect(brief(copy.lines())).toEqual([
      'w1:0 writer-opened',
      'w1:1 intent',
      'w2:0 writer-opened',
      'w2:1 outcome',
      'w2:2 intent',
    ])
    // One was under way, one waited behind it.
    expect(trail.health().dropped).toEqual({ copy: 2 })
  })
})

describe('closing', () => {
  it('while the trail opens waits for that, and closes what was opened', async () => {
    const { sink, lines } = held()
    let go: () => void = () => {}
    let closed = 0
    const open = () =>
      new Promise<undefined>((opened) => {
        go = () => opened(undefined)
      })
    const { trail } = scene([{ ...sink, open, close: () => void closed++ }])
    const first = Promise.allSettled([trail.record(intent)])
    const closing = trail.close()
    await turn()
    expect(closed).toBe(0)
    go()
    await inTime(Promise.all([first, closing]))
    expect(closed).toBe(1)
    expect(brief(lines())).toEqual(['w1:0 writer-opened', 'w1:1 intent', 'w1:2 writer-closed'])
  })

  it('comes after what is flushed while the trail opens', async () => {
    const { sink, lines } = held()
    let go: () => void = () => {}
    const open = () =>
      new Promise<undefined>((opened) => {
        go = () => opened(undefined)
      })
    const { trail } = scene([{ ...sink, open }])
    const first = trail.record(intent)
    const flushed = trail.flush().then(() => brief(lines()))
    go()
    expect(await inTime(flushed)).toEqual(['w1:0 writer-opened', 'w1:1 intent'])
    await first
    await trail.close()
  })

  it('twice at once is once', async () => {
    const { sink, state, lines } = held()
    const { trail } = scene([sink])
    await trail.record(intent)
    state.ended = true
    await trail.conclude(outcome)
    await inTime(Promise.all([trail.close(), trail.close()]))
    expect(brief(lines()).slice(2)).toEqual(['w2:0 writer-opened', 'w2:1 outcome', 'w2:2 writer-closed'])
  })
})

describe('opening', () => {
  it('is over only when the first entry stands, also at the second attempt', async () => {
    const { sink, lines } = held()
    let full = true
    const write = (text: string) => {
      if (full) throw new Error('ENOSPC')
      sink.write(text)
    }
    const puts: number[] = []
    const registry = { put: ({ entries }: { entries: number }) => void puts.push(entries), list: () => [] }
    const { trail } = scene([{ ...sink, write }], { registry })
    for (let times = 0; times < 3; times++) {
      await expect((async () => trail.record(intent))()).rejects.toBeInstanceOf(Unavailable)
    }
    expect(puts).toEqual([])
    full = false
    await trail.record(intent)
    expect(puts).toEqual([1])
    expect(brief(lines())).toEqual(['w1:0 writer-opened', 'w1:1 intent'])
  })
})
