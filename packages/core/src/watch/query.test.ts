import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../errors.ts'
import { memorySink } from '../sinks/memory.ts'
import type { Sink, StoredChain, StoredLine } from '../sinks/sink.ts'
import { chainsIn } from './chains.ts'
import { nameOf, readCursor, writeCursor } from './cursor.ts'
import type { Entry } from './entry.ts'
import type { Filter } from './filter.ts'
import { page, query } from './query.ts'

const noon = Date.UTC(2026, 0, 1, 12)
const at = (seconds: number) => new Date(noon + seconds * 1_000).toISOString()
const entries = [
  { type: 'intent', tenant: 'a', agent: 'x', session: 's1', call: 'c1', tool: 'pay', verdict: 'allow', rule: 'r1' },
  { type: 'outcome', tenant: 'a', agent: 'x', session: 's1', call: 'c1', tool: 'pay', data: { ended: 'ok' } },
  { type: 'refusal', tenant: 'b', agent: 'y', session: 's2', call: 'c2', tool: 'look', code: 'scope-missing' },
  { type: 'secret-read', tenant: 'b', agent: null, ref: 'f1', digest: 'dd', data: { secret: 'key' }, enforced: false },
  { type: 'approval-used', tenant: null, toolHash: 'hh', policyHash: 'pp', haldir: 'h2', data: { approval: 'ap' } },
].map((entry, seq) => ({ haldir: 'h1', enforced: true, data: {}, ...entry, seq, at: at(seq) }))
const whole = entries.map((entry) => ({ line: JSON.stringify(entry) }))

let read = 0
const chainOf = (writer: string, lines: readonly Partial<StoredLine>[]): StoredChain => ({
  writer,
  first: lines.find(({ torn }) => !torn)?.line ?? '',
  async *read() {
    for (const line of lines) {
      read++
      yield [{ line: '', ...line }]
    }
  },
})
const ask = async (filter: object, lines: readonly Partial<StoredLine>[] = whole) =>
  (await Array.fromAsync(query(async () => [chainOf('w', lines)], filter as Filter))).map((entry: Entry) => entry.seq)

describe('query', () => {
  it.each<[object, number[]]>([
    [{}, [0, 1, 2, 3, 4]],
    [{ tenant: 'a' }, [0, 1]],
    [{ tenant: null }, [4]],
    [{ tenant: ['a', null] }, [0, 1, 4]],
    [{ agent: 'y' }, [2]],
    [{ agent: ['x', 'y'] }, [0, 1, 2]],
    [{ agent: [] }, []],
    [{ session: 's1' }, [0, 1]],
    [{ call: 'c2' }, [2]],
    [{ call: null }, [3, 4]],
    [{ ref: 'f1' }, [3]],
    [{ tool: 'look' }, [2]],
    [{ toolHash: 'hh' }, [4]],
    [{ digest: 'dd' }, [3]],
    [{ code: 'scope-missing' }, [2]],
    [{ code: 'unavailable' }, []],
    [{ rule: 'r1' }, [0]],
    [{ policyHash: 'pp' }, [4]],
    [{ verdict: 'allow' }, [0]],
    [{ haldir: 'h2' }, [4]],
    [{ approval: 'ap' }, [4]],
    [{ secret: 'key' }, [3]],
    [{ ended: 'ok' }, [1]],
    [{ enforced: false }, [3]],
    [{ enforced: true }, [0, 1, 2, 4]],
    [{ writer: 'w', tenant: 'a' }, [0, 1]],
    [{ writer: ['v', 'w'], tenant: 'a' }, [0, 1]],
    [{ writer: 'v' }, []],
    [{ type: 'intent' }, [0]],
    [{ type: ['intent', 'refusal'] }, [0, 2]],
    [{ type: [] }, []],
    [{ tenant: 'a', type: 'outcome' }, [1]],
    [{ tenant: 'b', type: 'outcome' }, []],
    [{ since: new Date(noon + 1_000) }, [1, 2, 3, 4]],
    [{ since: '2026-01-01T13:00:01+01:00' }, [1, 2, 3, 4]],
    [{ until: new Date(noon + 1_000) }, [0]],
    [{ since: new Date(noon), until: new Date(noon + 2_000) }, [0, 1]],
    [{ limit: 0 }, []],
    [{ limit: 2 }, [0, 1]],
    [{ limit: 3, order: 'writer' }, [0, 1, 2]],
    [{ agent: undefined, type: undefined, since: undefined, limit: undefined, after: undefined }, [0, 1, 2, 3, 4]],
  ])('%o finds %o', async (filter, found) => {
    expect(await ask(filter)).toEqual(found)
  })

  it('reads no further than it has to', async () => {
    read = 0
    expect(await ask({ limit: 0 })).toEqual([])
    expect(read).toBe(0)
    await ask({ limit: 1 })
    expect(read).toBe(1)
  })

  it('passes over what is no entry, and over a line that was never finished', async () => {
    const [first, second] = whole
    const lines = [{ line: '{"v":1,' }, { line: 'null' }, { line: '7' }, { ...first, torn: true }, second ?? {}]
    expect(await ask({}, lines)).toEqual([1])
  })

  it('finds an entry without a time unless a time is asked for', async () => {
    const lines = ['never', undefined, 7].map((at, seq) => ({ line: JSON.stringify({ ...entries[0], seq, at }) }))
    expect(await ask({}, lines)).toEqual([0, 1, 2])
    expect(await ask({ since: '0001-01-01' }, lines)).toEqual([])
    expect(await ask({ until: '9999-01-01' }, lines)).toEqual([])
  })

  it.each<[object, string, string]>([
    [{ agnet: 'x' }, 'agnet', 'did you mean `agent`?'],
    [{ agent: 7 }, 'agent', '`agent` is a text, or a list of texts'],
    [{ agent: ['x', 7] }, 'agent', '`agent` is a text, or a list of texts'],
    [{ haldir: null }, 'haldir', '`haldir` is a text, or a list of texts'],
    [{ writer: null }, 'writer', '`writer` is a text, or a list of texts'],
    [{ enforced: 'no' }, 'enforced', '`enforced` is `true` or `false`'],
    [{ limit: -1 }, 'limit', '`limit` is a whole number'],
    [{ limit: 1.5 }, 'limit', '`limit` is a whole number'],
    [{ limit: '1' }, 'limit', '`limit` is a whole number'],
    [{ order: 'newest' }, 'order', '`order` is `time` or `writer`'],
    [{ type: 'intend' }, 'type', '`type` is not a kind of entry'],
    [{ type: ['intent', 'x'] }, 'type', '`type` is not a kind of entry'],
    [{ since: 'yesterday' }, 'since', '`since` is a `Date` or RFC 3339 text'],
    [{ until: new Date(Number.NaN) }, 'until', '`until` is a `Date` or RFC 3339 text'],
    [{ after: 'seq 5' }, 'after', '`after` is not a cursor'],
  ])('%o is refused, naming `%s`', async (filter, path, message) => {
    const error = await ask(filter).then(undefined, (error: unknown) => error)
    expect(ConfigError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ code: 'invalid-option', path, message: expect.stringContaining(message) })
  })
})

/** Chains of entries whose clocks go forwards mostly: seconds since noon, one list a writer. */
const trails = fc.array(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 12 }), { minLength: 1, maxLength: 5 })
const lineOf = (writer: string, seq: number, second: number) =>
  JSON.stringify({ type: 'intent', id: `${writer}:${seq}`, writer, seq, at: at(second), agent: `a${second % 3}` })
const sinkOf = (trail: readonly (readonly number[])[], keep?: readonly number[]) => {
  const sink = memorySink()
  for (const [index, seconds] of trail.entries()) {
    const count = keep?.[index] ?? seconds.length
    for (const [seq, second] of seconds.slice(0, count).entries()) sink.write(`${lineOf(`w${index}`, seq, second)}\n`)
  }
  return sink
}
/** A sink as others write them: `read` alone. */
const plain = (sink: Sink): Sink => ({
  name: 'plain',
  write() {},
  read: () => (sink.read as NonNullable<Sink['read']>)(),
})
/** What the order is to be, by a plain sort: the latest time so far, then the writer, then the place. */
const sorted = (trail: readonly (readonly number[])[]) =>
  trail
    .flatMap((seconds, index) => {
      let latest = 0
      return seconds.map((second, seq) => {
        latest = Math.max(latest, second)
        return { latest, index, seq, id: `w${index}:${seq}` }
      })
    })
    .sort((a, b) => a.latest - b.latest || a.index - b.index || a.seq - b.seq)
    .map(({ id }) => id)
const ids = (found: readonly Entry[]) => found.map(({ id }) => id)

describe('several writers', () => {
  it('are read by their time, each in its own order', () =>
    fc.assert(
      fc.asyncProperty(trails, fc.boolean(), async (trail, bare) => {
        const sink = bare ? plain(sinkOf(trail)) : sinkOf(trail)
        expect(ids(await Array.fromAsync(query(() => chainsIn([sink]), {})))).toEqual(sorted(trail))
      }),
    ))

  it('are read one after another when that is asked for, in the order they began', async () => {
    const sink = sinkOf([[5, 6], [2, 9], [2]])
    const found = await Array.fromAsync(query(() => chainsIn([sink]), { order: 'writer' }))
    expect(ids(found)).toEqual(['w1:0', 'w1:1', 'w2:0', 'w0:0', 'w0:1'])
  })

  it('are opened no sooner than their time comes, and let go of when the reader leaves', async () => {
    const open = new Set<string>()
    let most = 0
    const chains = Array.from({ length: 50 }, (_, index): StoredChain => {
      const writer = `w${index}`
      const lines = [0, 1].map((seq) => lineOf(writer, seq, index * 10 + seq))
      return {
        writer,
        first: lines[0] as string,
        async *read() {
          open.add(writer)
          most = Math.max(most, open.size)
          try {
            for (const line of lines) yield [{ line }]
          } finally {
            open.delete(writer)
          }
        },
      }
    })
    expect(await Array.fromAsync(query(async () => chains, {}))).toHaveLength(100)
    expect(most).toBeLessThanOrEqual(2)
    await Array.fromAsync(query(async () => chains, { limit: 3 }))
    expect(open.size).toBe(0)
  })
})

describe('pages', () => {
  it('hold every entry once, whenever it is written and whatever its time', () =>
    fc.assert(
      fc.asyncProperty(
        trails,
        fc.array(fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 5, maxLength: 5 }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 5 }),
        async (trail, growth, limit) => {
          const had = [0, 0, 0, 0, 0]
          const found: string[] = []
          let after: string | undefined
          for (const more of [...growth, [12, 12, 12, 12, 12]]) {
            for (const [index, count] of more.entries()) had[index] = Math.max(had[index] ?? 0, count)
            const sink = sinkOf(trail, had)
            const filter = { limit, agent: ['a0', 'a1'], ...(after === undefined ? {} : { after }) }
            const one = await page(() => chainsIn([sink]), filter)
            found.push(...ids(one.entries))
            after = one.next
          }
          for (let more = true; more; ) {
            const filter = { limit, agent: ['a0', 'a1'], ...(after === undefined ? {} : { after }) }
            const one = await page(() => chainsIn([sinkOf(trail)]), filter)
            found.push(...ids(one.entries))
            ;({ next: after, more } = one)
          }
          const all = trail.flatMap((seconds, index) =>
            seconds.flatMap((second, seq) => (second % 3 < 2 ? [`w${index}:${seq}`] : [])),
          )
          expect(found.toSorted()).toEqual(all.toSorted())
        },
      ),
      { numRuns: 300 },
    ))

  it('follow one another in the order of a query, as long as nothing is added', () =>
    fc.assert(
      fc.asyncProperty(trails, fc.integer({ min: 1, max: 4 }), async (trail, limit) => {
        const chains = () => chainsIn([sinkOf(trail)])
        const found: string[] = []
        let one = await page(chains, { limit })
        for (; one.more; one = await page(chains, { limit, after: one.next })) found.push(...ids(one.entries))
        expect([...found, ...ids(one.entries)]).toEqual(sorted(trail))
        expect(await page(chains, { after: one.next })).toEqual({ entries: [], next: one.next, more: false })
      }),
    ))

  it('have 100 entries unless told', async () => {
    const chains = () => chainsIn([sinkOf([Array.from({ length: 120 }, (_, second) => second)])])
    const one = await page(chains, {})
    expect([one.entries.length, one.more]).toEqual([100, true])
    expect((await page(chains, { after: one.next })).entries).toHaveLength(20)
    await expect(page(chains, { limit: 0 })).rejects.toThrow('`limit` of a page is a whole number from 1 on')
    await expect(page(chains, { order: 'writer' } as object)).rejects.toThrow(
      '`order` of a page is always that of time',
    )
  })

  it('forget a writer whose files are gone', async () => {
    const { next } = await page(() => chainsIn([sinkOf([[1], [2]])]), {})
    const left = await page(() => chainsIn([sinkOf([[1]])]), { after: next })
    expect([...readCursor(left.next).keys()]).toEqual([nameOf('w0')])
  })

  it('of a chain that was tampered with pass nothing over', async () => {
    const seqs = [0, 7, 7, 2, -1, 1.5, 2 ** 53, 3]
    const lines = seqs.map((seq, index) => ({ line: JSON.stringify({ type: 'intent', seq, id: String(index) }) }))
    const found: string[] = []
    let after = writeCursor(new Map())
    for (let more = true; more; ) {
      const one = await page(async () => [chainOf('w', lines)], { limit: 1, after })
      found.push(...ids(one.entries))
      ;({ next: after, more } = one)
    }
    expect(found).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
  })
})

describe('a cursor', () => {
  it('says where it was made', () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))), (writers) => {
        const positions = new Map(writers.map(([writer, position]) => [nameOf(writer), position]))
        expect(readCursor(writeCursor(positions))).toEqual(positions)
      }),
    ))

  it.each(['', '!', 'Ag', 'AQ', 7, null, writeCursor(new Map([[nameOf('w'), 300]])).slice(0, -2)])(
    '%o is none, or empty',
    (text) => {
      if (text === 'AQ') expect(readCursor(text)).toEqual(new Map())
      else expect(() => readCursor(text as string)).toThrow(ConfigError)
    },
  )

  it('that is random bytes is refused or understood, and nothing else', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const positions = readCursor(Buffer.from([1, ...bytes]).toString('base64url'))
          for (const position of positions.values()) expect(Number.isSafeInteger(position)).toBe(true)
        } catch (error) {
          expect(ConfigError.isInstance(error)).toBe(true)
        }
      }),
    ))
})

it('a trail of which no required sink can be read is unavailable', async () => {
  const blind = { name: 'blind', write() {} }
  await expect(chainsIn([blind, { ...memorySink(), required: false }])).rejects.toMatchObject({ code: 'unavailable' })
})
