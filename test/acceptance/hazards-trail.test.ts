/** What goes wrong with trail and store over many calls: sinks that are slow, down or hang, crashes, closing. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHaldir, currentCall, governed, type HaldirOptions, type Sink, type Store, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { entriesOf, proves } from '../promises.ts'

const SECRET = 'a-secret-of-the-service'
const key = {
  id: 'k',
  wrap: (dataKey: Uint8Array) => dataKey.slice(),
  unwrap: (wrapped: Uint8Array) => wrapped.slice(),
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

async function houseOn(options: HaldirOptions) {
  const haldir = createHaldir(options)
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50000'], ttl: '1d' })
  const look = governed(async () => 'ran', { name: 'look', scope: [] }, { session })
  return { haldir, session, look }
}

/** A sink that takes a few turns for each write, and notices when it is called meanwhile. */
function slowSink() {
  const sink = memorySink()
  const seen = { writes: 0, most: 0 }
  const write = async (lines: string) => {
    seen.most = Math.max(seen.most, ++seen.writes)
    for (let turns = 0; turns < 3; turns++) await turn()
    sink.write(lines)
    seen.writes--
  }
  return { sink: { ...sink, write } satisfies Sink, lines: sink.lines, seen }
}

describe('a call that began before a sink went down, and ends when it is crowded', () => {
  it.each([false, true])('has its outcome on record when the sink is back (answering later: %s)', async (later) => {
    proves('invariant-1')
    const sink = memorySink()
    let down = false
    const take: Sink['write'] = (lines) => {
      if (down) throw new Error('disk full')
      sink.write(lines)
    }
    const write: Sink['write'] = later ? async (lines) => take(lines) : take
    const { haldir, session, look } = await houseOn({ sinks: [{ ...sink, write }] })
    let finish = () => {}
    let id = ''
    const work = () => {
      id = currentCall().id
      return new Promise<void>((resolve) => {
        finish = resolve
      })
    }
    const long = governed(work, { name: 'long', scope: [] }, { session })()
    while (id === '') await turn()
    down = true
    for (let times = 0; times < 1_100; times++) await expect(look()).rejects.toMatchObject({ code: 'unavailable' })
    expect(haldir.health().trail.unrecorded).toBeGreaterThan(0)
    finish()
    await long
    down = false
    await haldir.flush()
    expect(await look()).toBe('ran')
    await haldir.flush()
    const entries = entriesOf(sink.lines)
    const ends = entries.filter(({ type, call }) => type === 'outcome' && call === id)
    expect(ends.map(({ data }) => data)).toEqual([{ ended: 'ok' }])
    expect(entries.filter(({ type }) => type === 'gap').length).toBe(1)
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, problems: [], orphans: [] })
  })
})

it('knows after a crash how long the flushed chain was', async () => {
  proves('trail-immutable')
  const directory = mkdtempSync(join(tmpdir(), 'haldir-hazards-'))
  const store = memoryStore()
  const { haldir, look } = await houseOn({ store, sinks: [fileSink(directory)] })
  const other = createHaldir({ store, sinks: [fileSink(directory)] })
  onTestFinished(async () => {
    await Promise.all([haldir.close(), other.close()])
    rmSync(directory, { recursive: true })
  })
  for (let times = 0; times < 5; times++) await look()
  await haldir.flush()

  const file = join(directory, readdirSync(directory).find((name) => name.endsWith('.jsonl')) as string)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const last = JSON.parse(lines.at(-1) as string)
  expect(await store.writer.list()).toMatchObject([{ id: last.writer, entries: lines.length, head: last.hash }])
  expect(await other.trail.verify()).toMatchObject({ ok: true })
  writeFileSync(file, `${lines.slice(0, -1).join('\n')}\n`)
  const { ok, problems } = await other.trail.verify()
  expect(ok).toBe(false)
  expect(problems).toMatchObject([{ kind: 'truncated', writer: last.writer }])
})

describe('a sink that is slow', () => {
  it('is waited for by `verify`, after calls and while they go on', async () => {
    const slow = slowSink()
    const { haldir, look } = await houseOn({ sinks: [slow.sink] })
    await look()
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, problems: [], orphans: [] })
    const calls = Array.from({ length: 30 }, async (_, index) => {
      for (let turns = 0; turns < index; turns++) await turn()
      return look()
    })
    for (let times = 0; times < 5; times++) expect((await haldir.trail.verify()).problems).toEqual([])
    await Promise.all(calls)
    const { ok, orphans, writers } = await haldir.trail.verify()
    expect({ ok, orphans, entries: writers[0]?.entries }).toEqual({ ok: true, orphans: [], entries: slow.lines.length })
  })

  it('gets what waits for it before `verify` reads, also after it was down', async () => {
    const slow = slowSink()
    let down = false
    const write = (lines: string) => (down ? Promise.resolve(false) : slow.sink.write(lines))
    const { haldir, look } = await houseOn({ sinks: [{ ...slow.sink, write }] })
    down = true
    await expect(look()).rejects.toMatchObject({ code: 'unavailable' })
    const before = slow.lines.length
    down = false
    const { ok, writers } = await haldir.trail.verify()
    expect({ ok, entries: writers[0]?.entries }).toEqual({ ok: true, entries: before + 2 })
  })

  it('gets one write at a time, each line once, however often it is flushed', async () => {
    const slow = slowSink()
    const { haldir, look } = await houseOn({ sinks: [slow.sink] })
    const work = Array.from({ length: 60 }, async (_, index) => {
      for (let turns = 0; turns < index; turns++) await turn()
      await (index % 3 === 0 ? haldir.flush() : look())
    })
    await Promise.all(work)
    await haldir.flush()
    expect(slow.seen.most).toBe(1)
    expect(entriesOf(slow.lines).map(({ seq }) => seq)).toEqual(slow.lines.map((_, index) => index))
    expect(entriesOf(slow.lines).filter(({ type }) => type === 'outcome').length).toBe(40)
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
  })
})

describe('closing', () => {
  it.each(['throws', 'rejects'])('delivers what is owed to a store that %s until then', async (how) => {
    const clock = fakeClock()
    const store = memoryStore({ clock })
    let down = true
    const settle: Store['settle'] = (request) => {
      if (!down) return store.settle(request)
      if (how === 'rejects') return Promise.reject(new Error('connection lost'))
      throw new Error('connection lost')
    }
    const sinks = [memorySink()]
    const { haldir, session } = await houseOn({ clock, store: { ...store, settle }, sinks })
    const options = { name: 'pay', scope: 'spend', cost: () => usd(10), actual: () => usd(4) }
    expect(await governed(async () => 'paid', options, { session })()).toBe('paid')
    expect(haldir.health().owed).toBe(1)
    down = false
    await haldir.close()
    expect(haldir.health().owed).toBe(0)
    expect((await session.budget()).map(({ used, held }) => `${used}, ${held}`)).toEqual(['4 USD, 0 USD'])
  })

  describe.each([true, false])('with a sink that hangs (required: %s)', (required) => {
    it.each(['write', 'flush', 'close'])('in `%s`, ends in time, as `flush` and `verify` do', async (verb) => {
      proves('invariant-6')
      const clock = fakeClock()
      const store = memoryStore({ clock })
      const sink = memorySink()
      let hung = false
      const real = { write: sink.write, flush: () => {}, close: () => {} } as Record<string, (lines: string) => unknown>
      const hang = (lines: string) => (hung ? new Promise(() => {}) : real[verb]?.(lines))
      const odd = { ...sink, name: 'odd', required, [verb]: hang } as Sink
      const sinks = required ? [odd] : [memorySink(), odd]
      const { haldir, look } = await houseOn({ clock, store, sinks })
      /** How long it takes, by the clock, until it has ended in whatever way. */
      const timeOf = async (work: Promise<unknown>) => {
        const began = clock.monotonic()
        let ended: 'resolved' | 'rejected' | undefined
        work.then(
          () => {
            ended = 'resolved'
          },
          () => {
            ended = 'rejected'
          },
        )
        for (let second = 0; second < 60; second++) {
          await clock.advance(0)
          if (ended) break
          await clock.advance(1_000)
        }
        return { ended, inTime: clock.monotonic() - began <= 6_000 }
      }
      expect(await look()).toBe('ran')
      hung = true
      const call = await timeOf(look())
      expect(call).toEqual({ ended: required && verb === 'write' ? 'rejected' : 'resolved', inTime: true })
      const flushed = required && verb !== 'close' ? 'rejected' : 'resolved'
      expect(await timeOf(haldir.flush())).toEqual({ ended: flushed, inTime: true })
      expect(await timeOf(haldir.trail.verify())).toEqual({ ended: 'resolved', inTime: true })
      const { ended, inTime } = await timeOf(haldir.close())
      expect(ended).toBeDefined()
      expect(inTime).toBe(true)
    })
  })
})

it('knows one session by one mind, however often it is attached', async () => {
  proves('invariant-7', 'instant-revoke')
  const haldir = createHaldir({ sinks: [memorySink()], vault: { keys: [key] } })
  await haldir.vault.put('api_key', SECRET, { scope: 'read' })
  const made = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
  const one = await haldir.attach(made.token)
  const two = await haldir.attach(made.token)
  const { signal } = two
  const reveal = async () => void currentCall().secret('api_key').reveal()
  const echo = governed(async () => `it is ${SECRET}`, { name: 'echo', scope: [] })
  expect(await two.run(() => echo())).toBe(`it is ${SECRET}`)
  await governed(reveal, { name: 'reveal', scope: [], secrets: ['api_key'] }, { session: one })()
  expect(await two.run(() => echo())).toBe('it is [redacted:api_key]')
  expect(await made.run(() => echo())).toBe('it is [redacted:api_key]')
  await one.revoke()
  expect(signal.aborted).toBe(true)
  expect(made.signal.aborted).toBe(true)
  await expect(two.run(() => echo())).rejects.toMatchObject({ code: 'session-revoked' })
})

it('leaves no timer behind for a stream that has ended, in whatever way', async () => {
  const clock = fakeClock()
  const { haldir, session } = await houseOn({ clock, sinks: [memorySink()], holdFor: '1m' })
  const body = async function* ({ fail }: { fail: boolean }) {
    yield 1
    if (fail) throw new Error('broken off')
    yield 2
  }
  const items = governed(body, { name: 'items', scope: 'spend', cost: () => usd(1) }, { session })
  for await (const _ of items({ fail: false }));
  const { timers } = clock
  for (let times = 0; times < 50; times++) {
    for await (const _ of items({ fail: false }));
    for await (const _ of items({ fail: false })) break
    await expect(Array.fromAsync(items({ fail: true }))).rejects.toThrow('broken off')
  }
  expect(clock.timers).toBeLessThanOrEqual(timers)
  await haldir.close()
  await clock.advance(120_000)
  expect(clock.timers).toBe(0)
})
