import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { proves } from '../../../../test/promises.ts'
import type { StoredLine } from '../sinks/sink.ts'
import type { WriterRow } from '../stores/store.ts'
import { Chain, callFragment, lineHash, NOBODY, toolFragment } from './chain.ts'
import { verifyLines } from './verify.ts'

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
})
