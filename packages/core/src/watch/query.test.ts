import { describe, expect, it } from 'vitest'
import { ConfigError } from '../errors.ts'
import type { StoredLine } from '../sinks/sink.ts'
import type { Entry } from './entry.ts'
import { type Filter, query } from './query.ts'

const noon = Date.UTC(2026, 0, 1, 12)
const entries = [
  { type: 'intent', tenant: 'a', agent: 'x', session: 's1', call: 'c1', tool: 'pay' },
  { type: 'outcome', tenant: 'a', agent: 'x', session: 's1', call: 'c1', tool: 'pay' },
  { type: 'refusal', tenant: 'b', agent: 'y', session: 's2', call: 'c2', tool: 'look', code: 'scope-missing' },
].map((entry, seq) => ({ ...entry, seq, at: new Date(noon + seq * 1_000).toISOString() }))

let read = 0
async function* stored(lines: readonly Partial<StoredLine>[]): AsyncGenerator<StoredLine> {
  read = 0
  for (const line of lines) {
    read++
    yield { writer: 'w', place: `f:${read}`, line: '', ...line }
  }
}
const whole = entries.map((entry) => ({ line: JSON.stringify(entry) }))
const ask = async (filter: object, lines: readonly Partial<StoredLine>[] = whole) =>
  (await Array.fromAsync(query(stored(lines), filter as Filter))).map((entry: Entry) => entry.seq)

describe('query', () => {
  it.each<[object, number[]]>([
    [{}, [0, 1, 2]],
    [{ tenant: 'a' }, [0, 1]],
    [{ agent: 'y' }, [2]],
    [{ session: 's1' }, [0, 1]],
    [{ call: 'c2' }, [2]],
    [{ tool: 'look' }, [2]],
    [{ code: 'scope-missing' }, [2]],
    [{ code: 'unavailable' }, []],
    [{ type: 'intent' }, [0]],
    [{ type: ['intent', 'refusal'] }, [0, 2]],
    [{ type: [] }, []],
    [{ tenant: 'a', type: 'outcome' }, [1]],
    [{ tenant: 'b', type: 'outcome' }, []],
    [{ since: new Date(noon + 1_000) }, [1, 2]],
    [{ since: '2026-01-01T13:00:01+01:00' }, [1, 2]],
    [{ until: new Date(noon + 1_000) }, [0]],
    [{ since: new Date(noon), until: new Date(noon + 2_000) }, [0, 1]],
    [{ limit: 0 }, []],
    [{ limit: 2 }, [0, 1]],
    [{ limit: 3 }, [0, 1, 2]],
    [{ agent: undefined, type: undefined, since: undefined, limit: undefined }, [0, 1, 2]],
  ])('%o finds %o', async (filter, found) => {
    expect(await ask(filter)).toEqual(found)
  })

  it('reads no further than it has to', async () => {
    expect(await ask({ limit: 0 })).toEqual([])
    await ask({ limit: 1 })
    expect(read).toBe(1)
  })

  it('passes over what is no entry, and over a line that was never finished', async () => {
    const [first, second] = whole
    expect(await ask({}, [{ line: '{"v":1,' }, { ...first, torn: true }, second ?? {}])).toEqual([1])
  })

  it.each<[object, string, string]>([
    [{ agnet: 'x' }, 'agnet', '`agnet` is not something a query can ask for'],
    [{ limit: -1 }, 'limit', '`limit` is a whole number'],
    [{ limit: 1.5 }, 'limit', '`limit` is a whole number'],
    [{ limit: '1' }, 'limit', '`limit` is a whole number'],
    [{ type: 'intend' }, 'type', '`type` is not a kind of entry'],
    [{ type: ['intent', 'x'] }, 'type', '`type` is not a kind of entry'],
    [{ since: 'yesterday' }, 'since', '`since` is a `Date` or RFC 3339 text'],
    [{ until: new Date(Number.NaN) }, 'until', '`until` is a `Date` or RFC 3339 text'],
  ])('%o is refused, naming `%s`', async (filter, path, message) => {
    const error = await ask(filter).then(undefined, (error: unknown) => error)
    expect(ConfigError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ code: 'invalid-option', path, message })
  })
})
