import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { proves } from '../../../../test/promises.ts'
import type { StoredLine } from '../sinks/sink.ts'
import type { WriterRow } from '../stores/store.ts'
import { Chain, callFragment, lineHash, NOBODY, sessionFragment, toolFragment } from './chain.ts'
import { verifyTrail } from './verify.ts'

const tool = toolFragment({ name: 'pay' })

/** A whole life of a writer: opened, calls with intent and outcome, closed. */
function trail(calls: number, writer = 'w', closed = true): { lines: string[]; chain: Chain } {
  const chain = new Chain(writer, 'haldir')
  const lines = [chain.append({ type: 'writer-opened', session: NOBODY }, 0)]
  for (let n = 0; n < calls; n++) {
    const call = callFragment({ id: `${writer}-c${n}` }, tool, undefined)
    lines.push(
      chain.append({ type: 'intent', session: NOBODY, call }, n),
      chain.append({ type: 'outcome', session: NOBODY, call }, n),
    )
  }
  if (closed) lines.push(chain.append({ type: 'writer-closed', session: NOBODY }, calls))
  return { lines: lines.map((line) => line.trimEnd()), chain }
}

async function* stored(lines: readonly string[], writer = 'w'): AsyncGenerator<StoredLine> {
  for (const [index, line] of lines.entries()) yield { writer, place: `f:${index + 1}`, line }
}

const verifyLines = (lines: AsyncIterable<StoredLine>, writers: WriterRow[] = []) =>
  verifyTrail({ read: () => lines }, { writers })
const verify = (lines: readonly string[], rows: WriterRow[] = []) => verifyLines(stored(lines), rows)
const rowOf = (chain: Chain, closed = true): WriterRow => ({
  id: chain.writer,
  genesis: chain.genesis,
  entries: chain.entries,
  head: chain.head,
  closed,
})

describe('verifyLines', () => {
  it('finds nothing wrong with a whole trail', async () => {
    const { lines, chain } = trail(5)
    expect(await verify(lines, [rowOf(chain)])).toEqual({
      ok: true,
      writers: [{ id: 'w', entries: 12, head: chain.head, closed: true }],
      problems: [],
      orphans: [],
    })
  })

  it('finds every flipped bit of every inner entry, and names the entry', async () => {
    proves('trail-immutable')
    const { lines, chain } = trail(2)
    const rows = [rowOf(chain)]
    let flips = 0
    for (const [index, line] of lines.entries()) {
      const bytes = Buffer.from(line)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const changed = Buffer.from(bytes)
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
        const text = changed.toString('latin1')
        const { ok, problems } = await verify(lines.with(index, text), rows)
        if (ok) throw new Error(`a flip of bit ${bit} in line ${index + 1} was not found`)
        expect(problems[0]?.place).toBe(`f:${index + 1}`)
        flips++
      }
    }
    expect(flips).toBeGreaterThan(10_000)
  })

  it('finds entries that were deleted, swapped, repeated or brought in', async () => {
    const { lines, chain } = trail(4)
    const rows = [rowOf(chain)]
    const foreign = trail(4, 'w').lines
    await fc.assert(
      fc.asyncProperty(
        fc.nat(lines.length - 1),
        fc.nat(lines.length - 1),
        fc.constantFrom('delete', 'swap', 'repeat'),
        async (a, b, how) => {
          const changed = [...lines]
          if (how === 'delete') changed.splice(a, 1)
          else if (how === 'repeat') changed.splice(b, 0, lines[a] as string)
          else if (a !== b) [changed[a], changed[b]] = [changed[b] as string, changed[a] as string]
          else return
          expect((await verify(changed, rows)).ok).toBe(false)
        },
      ),
      { numRuns: 200 },
    )
    expect((await verify([...lines.slice(0, 3), foreign[5] as string, ...lines.slice(3)], rows)).ok).toBe(false)
  })

  it('finds an entry that was changed and hashed anew, at the entry after it', async () => {
    const { lines } = trail(3)
    const body = (lines[2] as string).replace('"outcome"', '"refusal"').replace(/,"hash":"[0-9a-f]{64}"\}$/, '')
    const forged = `${body},"hash":"${lineHash(`${body}}`)}"}`
    const { problems } = await verify(lines.with(2, forged))
    expect(problems).toEqual([expect.objectContaining({ kind: 'link', entry: 'w:3', place: 'f:4' })])
  })

  it('names one change as one problem and goes on behind it', async () => {
    const { lines } = trail(3)
    const { problems } = await verify(lines.with(3, (lines[3] as string).replace('"seq":3', '"seq":3 ')))
    expect(problems).toEqual([expect.objectContaining({ kind: 'hash', entry: 'w:3' })])
  })

  it('misses a cut end without the store, and finds it with it', async () => {
    const { lines, chain } = trail(3)
    const cut = lines.slice(0, -2)
    expect((await verify(cut)).ok).toBe(true)
    expect((await verify(cut, [rowOf(chain)])).problems[0]).toMatchObject({ kind: 'truncated', writer: 'w' })
  })

  it('finds a trail that was rewritten as a whole, and a writer that vanished, with the store', async () => {
    const { chain } = trail(3)
    const rewritten = trail(3).lines.map((line) => line)
    const other = new Chain('w', 'haldir')
    const forged = rewritten.map((line) =>
      other.append({ type: 'signal', session: NOBODY, data: { was: JSON.parse(line).type } }, 9).trimEnd(),
    )
    expect((await verify(forged)).ok).toBe(true)
    expect((await verify(forged, [rowOf(chain)])).ok).toBe(false)
    expect((await verify([], [rowOf(chain)])).problems).toEqual([
      expect.objectContaining({ kind: 'missing-writer', writer: 'w' }),
    ])
  })

  it('lists intents without an outcome as orphans, which are no problem of the record', async () => {
    const { lines } = trail(3, 'w', false)
    const { ok, orphans, writers } = await verify(lines.slice(0, -1))
    expect(ok).toBe(true)
    expect(orphans).toEqual([expect.objectContaining({ call: 'w-c2', tool: 'pay', writer: 'w' })])
    expect(writers[0]?.closed).toBe(false)
  })

  it('takes a chain whose beginning was let go of on purpose from where it resumes', async () => {
    const { lines, chain } = trail(3)
    async function* later(): AsyncGenerator<StoredLine> {
      for (const [index, line] of lines.slice(3).entries())
        yield { writer: 'w', place: `m:${index}`, line, resumes: index === 0 }
    }
    expect(await verifyLines(later(), [rowOf(chain)])).toMatchObject({ ok: true, writers: [{ entries: 8 }] })
    expect((await verify(lines.slice(3), [rowOf(chain)])).ok).toBe(false)
  })

  it('finds what follows the end of a chain, and a line that was never finished', async () => {
    const { lines, chain } = trail(1)
    const after = chain.append({ type: 'signal', session: NOBODY }, 9).trimEnd()
    expect((await verify([...lines, after])).problems[0]?.kind).toBe('after-close')
    async function* torn(): AsyncGenerator<StoredLine> {
      yield* stored(lines)
      yield { writer: 'w', place: 'f:9', line: '{"v":1,"id', torn: true }
    }
    expect((await verifyLines(torn())).problems[0]).toMatchObject({ kind: 'torn', place: 'f:9' })
  })

  it.each<[string, object]>([
    ['no version', { v: undefined }],
    ['another version', { v: 2 }],
    ['a place that is no whole number', { seq: 0.5 }],
    ['no id', { id: undefined }],
    ['no writer', { writer: undefined }],
    ['no type', { type: undefined }],
    ['nothing before it', { prev: null }],
  ])('takes a line for no entry that has %s, and goes on behind it', async (_, spoilt) => {
    const { lines } = trail(0)
    const { hash: _hash, ...entry } = JSON.parse(lines[0] as string)
    const body = JSON.stringify({ ...entry, ...spoilt }).slice(0, -1)
    const spoiled = `${body},"hash":"${lineHash(`${body}}`)}"}`
    expect((await verify([spoiled])).problems).toEqual([
      { kind: 'malformed', writer: 'w', place: 'f:1', message: 'f:1 is not an entry' },
    ])
    expect((await verify(['no json', `{"v":1,"hash":"${'0'.repeat(64)}"}`, ...lines])).problems.length).toBe(2)
  })

  it('says of each problem where it is and what it is', async () => {
    const { lines, chain } = trail(1)
    const after = chain.append({ type: 'signal', session: NOBODY }, 9).trimEnd()
    const second = lines[1] as string
    const whole = [...lines, after]
    const kinds = async (changed: readonly string[]) => (await verify(changed)).problems
    expect(await kinds(whole)).toEqual([
      {
        kind: 'after-close',
        writer: 'w',
        entry: 'w:4',
        place: 'f:5',
        message: 'entry 4 follows the end of its chain (f:5)',
      },
    ])
    expect(await kinds(lines.with(1, second.replace('"tool":"pay"', '"tool":"PAY"')))).toEqual([
      { kind: 'hash', writer: 'w', entry: 'w:1', place: 'f:2', message: 'entry 1 was changed (f:2)' },
    ])
    expect(await kinds(lines.toSpliced(1, 1))).toEqual([
      {
        kind: 'sequence',
        writer: 'w',
        entry: 'w:2',
        place: 'f:2',
        message: 'entry 2 stands where entry 1 should be (f:2)',
      },
    ])
    const other = new Chain('w', 'other')
    const foreign = other.append({ type: 'writer-opened', session: NOBODY }, 0).trimEnd()
    expect(await kinds(lines.with(0, foreign))).toEqual([
      {
        kind: 'link',
        writer: 'w',
        entry: 'w:1',
        place: 'f:2',
        message: 'entry 1 does not follow the one before it (f:2)',
      },
    ])
    const strange = new Chain('v', 'haldir').append({ type: 'writer-opened', session: NOBODY }, 0).trimEnd()
    expect(await kinds([strange])).toEqual([
      {
        kind: 'foreign',
        writer: 'w',
        entry: 'v:0',
        place: 'f:1',
        message: 'an entry of writer `v` stands in this chain (f:1)',
      },
    ])
    async function* torn(): AsyncGenerator<StoredLine> {
      yield { writer: 'w', place: 'f:9', line: lines[0] as string, torn: true }
    }
    expect((await verifyLines(torn())).problems).toEqual([
      { kind: 'torn', writer: 'w', place: 'f:9', message: 'the last line at f:9 was never finished' },
    ])
  })

  it('says what the store knows better', async () => {
    const { lines, chain } = trail(1)
    const problems = async (found: readonly string[], row: Partial<WriterRow>) =>
      (await verify(found, [{ ...rowOf(chain), ...row }])).problems
    expect(await problems(lines, {})).toEqual([])
    expect(await problems(lines, { entries: 2, head: JSON.parse(lines[1] as string).hash })).toEqual([])
    expect(await problems(lines.slice(0, 2), {})).toEqual([
      { kind: 'truncated', writer: 'w', message: 'the chain of writer `w` ends after 2 entries; it had at least 4' },
    ])
    // Its head is somewhere else, or there is none like it.
    for (const row of [{ entries: 3 }, { head: 'f'.repeat(64) }]) {
      expect(await problems(lines, row)).toEqual([
        {
          kind: 'rewritten',
          writer: 'w',
          message: `entry ${(row.entries ?? 4) - 1} of writer \`w\` is not the one the store knows`,
        },
      ])
    }
    expect(await problems([], {})).toEqual([
      { kind: 'missing-writer', writer: 'w', message: 'the chain of writer `w` is not here' },
    ])
  })

  it('follows each writer on its own, and lists their orphans with whose they were', async () => {
    const session = sessionFragment({ tenant: 't', agent: 'a', id: 's1', chain: [] })
    const first = new Chain('a', 'haldir')
    const second = new Chain('b', 'haldir')
    const intent = (chain: Chain, id: string, at: number) =>
      chain.append({ type: 'intent', session, call: callFragment({ id }, tool, undefined) }, at).trimEnd()
    const read = (chain: Chain, id: string) =>
      chain.append({ type: 'secret-read', session, call: callFragment({ id }, tool, undefined) }, 4).trimEnd()
    const bare = second.append({ type: 'intent', session: NOBODY }, 3).trimEnd()
    async function* mixed(): AsyncGenerator<StoredLine> {
      yield { writer: 'b', place: 'b:1', line: bare }
      yield { writer: 'a', place: 'a:1', line: intent(first, 'c1', 1) }
      yield { writer: 'b', place: 'b:2', line: intent(second, 'c2', 2) }
      yield { writer: 'a', place: 'a:2', line: intent(first, 'c3', 3) }
      // Only an outcome ends a call.
      yield { writer: 'a', place: 'a:3', line: read(first, 'c3') }
    }
    const { problems, writers, orphans } = await verifyLines(mixed())
    expect(problems).toEqual([])
    expect(writers).toEqual([
      { id: 'b', entries: 2, head: second.head, closed: false },
      { id: 'a', entries: 3, head: first.head, closed: false },
    ])
    expect(orphans).toEqual([
      { call: 'c1', tool: 'pay', session: 's1', at: '1970-01-01T00:00:00.001Z', writer: 'a' },
      { call: 'c2', tool: 'pay', session: 's1', at: '1970-01-01T00:00:00.002Z', writer: 'b' },
      { call: '', tool: '', session: '', at: '1970-01-01T00:00:00.003Z', writer: 'b' },
      { call: 'c3', tool: 'pay', session: 's1', at: '1970-01-01T00:00:00.003Z', writer: 'a' },
    ])
  })

  it('lets a chain begin late only at its beginning', async () => {
    const { lines } = trail(2)
    async function* resumed(at: number): AsyncGenerator<StoredLine> {
      for (const [index, line] of lines.toSpliced(2, 1).entries())
        yield { writer: 'w', place: `m:${index}`, line, resumes: index === at }
    }
    expect((await verifyLines(resumed(2))).problems.map(({ kind }) => kind)).toEqual(['sequence'])
  })
})
