/** What somebody writes who has the files and no key: entries that excuse what he did, where no checkpoint covers them. */
import { describe, expect, it } from 'vitest'
import {
  block,
  chainOf,
  hashedAnew,
  hashOf,
  keysOf,
  kindsOf,
  type Made,
} from '../../../../../test/acceptance/tamper-scene.ts'
import type { StoredBlock } from '../../sinks/sink.ts'
import { lineHash } from '../chain.ts'
import type { VerifyOptions } from '../verification.ts'
import { verifyTrail } from '../verify.ts'

const { signer, publicKey: key } = keysOf('acme.example/haldir')
const verify = (blocks: readonly StoredBlock[][], options: VerifyOptions = {}) =>
  verifyTrail({ readBlocks: (only) => blocks.flat().filter(({ writer }) => !only || only.has(writer)) }, options)
const whole = ({ lines, writer }: Made) => block(lines, { writer })
const standOf = ({ lines, writer }: Made, entries: number) => ({
  writer,
  entries,
  head: hashOf(lines[entries - 1] as string),
})

/** One entry more, at the end of an open chain. */
function forged({ lines }: Pick<Made, 'lines'>, type: string, data: unknown): string[] {
  const last = JSON.parse(lines.at(-1) as string)
  const { hash: prev, seq, writer } = last
  const entry = { ...last, id: `${writer}:${seq + 1}`, seq: seq + 1, type, tenant: null, agent: null, session: null }
  const { v, id, at, haldir } = entry
  const nobody = { tenant: null, agent: null, session: null, chain: [], held: [], spent: [], enforced: true }
  const body = JSON.stringify({ v, id, writer, seq: seq + 1, at, type, haldir, ...nobody, data, prev })
  return [...lines, `${body.slice(0, -1)},"hash":"${lineHash(body)}"}\n`]
}

/** Changed, and its hash left as it was. */
const changed = (lines: readonly string[], at: number) =>
  lines.with(at, (lines[at] as string).replace('"haldir":"haldir"', '"haldir":"halfir"'))

describe('an entry that says another writer came after', () => {
  const victim = chainOf(60, { writer: 'a', signer, every: 20 })
  const open = chainOf(50, { writer: 'b', signer, every: 20, closed: false, began: 1.8e12 })

  it.each([3, 0, -1])('excuses nothing that a checkpoint covers, from entry %s on', async (entries) => {
    const head = entries > 0 ? standOf(victim, entries).head : '0'.repeat(64)
    const after = { after: { writer: 'a', entries, head } }
    const hidden = { ...victim, lines: changed(victim.lines, 10) }
    expect(kindsOf(await verify([whole(hidden), whole(open)], { key }))).toEqual(['hash'])
    const other = { ...open, lines: forged(open, 'writer-opened', after) }
    expect(kindsOf(await verify([whole(hidden), whole(other)], { key }))).toContain('hash')
    // Nor when it stands in the same chain, or where an honest one would.
    const own = chainOf(50, { writer: 'a', signer, every: 20, closed: false })
    const self = { ...own, lines: forged({ lines: changed(own.lines, 10) }, 'writer-opened', after) }
    expect(kindsOf(await verify([whole(self)], { key }))).toContain('hash')
    const bare = chainOf(5, { writer: 'c', first: { data: after } })
    expect(kindsOf(await verify([whole(hidden), whole(bare)], { key, requireCheckpoints: false }))).toContain('hash')
  })

  it('excuses nothing that the store or a trusted checkpoint knows', async () => {
    const bare = chainOf(60, { writer: 'a', closed: false })
    const row = { id: 'a', genesis: '', entries: 50, head: hashOf(bare.lines[49] as string), closed: false }
    const hidden = { ...bare, lines: changed(bare.lines, 10) }
    const after = chainOf(5, { writer: 'c', first: { data: { after: standOf(bare, 5) } } })
    expect(kindsOf(await verify([whole(hidden), whole(after)], { writers: [row] }))).toEqual(['hash'])
    const behind = { ...bare, lines: changed(bare.lines, 55) }
    expect(await verify([whole(behind), whole(after)], { writers: [row] })).toMatchObject({ ok: true })
  })

  it('and a thousand problems that it excuses hide no other', async () => {
    const files = [block(victim.lines.slice(30), { writer: 'a', number: 2 })]
    const noise = Array.from({ length: 1_500 }, () => 'noise\n')
    const own = block([...chainOf(30, { writer: 'd' }).lines.slice(10), ...noise], { writer: 'd', number: 2 })
    const after = chainOf(5, { writer: 'c', first: { data: { after: { writer: 'd', entries: 30, head: 'x' } } } })
    const { ok, problems, omitted = 0 } = await verify([own, ...files, whole(after)])
    expect(ok).toBe(false)
    expect(problems.map(({ kind, writer }) => `${kind} ${writer}`)).toContain('missing-segment a')
    expect(problems.length + omitted).toBeGreaterThan(2)
    // What is wrong with the same writer's chain is found when there is no room for it any more.
    const spoilt = chainOf(30, { writer: 'd', closed: false })
    const foreign = open.lines[0] as string
    const rest = block([...spoilt.lines, ...noise, foreign], { writer: 'd' })
    const next = chainOf(5, { writer: 'c', first: { data: { after: standOf(spoilt, 30) } } })
    expect(await verify([rest, whole(next)])).toMatchObject({ ok: false, problems: [], omitted: 2 })
    const found = await verify([
      block([...chainOf(30, { writer: 'd', closed: false }).lines, ...noise], { writer: 'd' }),
      whole(
        chainOf(5, {
          writer: 'c',
          first: { data: { after: standOf(chainOf(30, { writer: 'd', closed: false }), 30) } },
        }),
      ),
    ])
    expect(found).toMatchObject({ ok: true, problems: [] })
    expect(found.omitted).toBeUndefined()
  })
})

describe('lines behind the end of a writer that another one came after', () => {
  const rehashed = (lines: readonly string[]) =>
    hashedAnew(lines, 45, (line) => line.replace('"haldir":"haldir"', '"haldir":"halfir"'))

  it('can not say again what was there before it was written anew', async () => {
    const ended = chainOf(55, { writer: 'a', signer, every: 20, closed: false })
    const after = chainOf(30, { writer: 'b', signer, every: 10, first: { data: { after: standOf(ended, 55) } } })
    const lines = [...rehashed(ended.lines), ended.lines[54] as string]
    for (const more of [[], [ended.lines[53] as string], ['noise\n', ended.lines[54] as string]]) {
      const found = await verify([whole({ ...ended, lines: [...lines, ...more] }), whole(after)], { key })
      expect(kindsOf(found)).toEqual([expect.stringMatching(/^(rewritten|truncated)$/)])
    }
    expect(
      await verify([whole({ ...ended, lines: [...ended.lines, 'noise\n'] }), whole(after)], { key }),
    ).toMatchObject({
      ok: true,
    })
  })

  it('can not step over the place that the store or a trusted checkpoint knows', async () => {
    const made = chainOf(60, { writer: 'a', signer, every: 20, closed: false })
    const row = { id: 'a', genesis: '', entries: 55, head: hashOf(made.lines[54] as string), closed: false }
    const short = { ...made, lines: [...made.lines.slice(0, 45), made.lines[57] as string] }
    const after = chainOf(5, { writer: 'c', first: { data: { after: standOf(made, 45) } } })
    const options = { key, writers: [row], requireCheckpoints: false }
    expect((await verify([whole(short), whole(after)], options)).ok).toBe(false)
  })

  it('can not go back to where entries are covered', async () => {
    const old = chainOf(60, { writer: 'a', signer, every: 20 })
    const rest = block(old.lines.slice(20), { writer: 'a', number: 2 })
    const open = chainOf(50, { writer: 'b', signer, every: 20, closed: false, began: 1.8e12 })
    const lie = forged({ lines: open.lines.slice(0, 10) }, 'retention', standOf(old, 20))
    const back = { ...open, lines: [...open.lines, open.lines[9] as string, lie.at(-1) as string] }
    const after = chainOf(5, { writer: 'c', began: 1.9e12, first: { data: { after: standOf(open, 50) } } })
    const found = await verify([rest, whole(back), whole(after)], { key, requireCheckpoints: false })
    expect(kindsOf(found)).toContain('missing-segment')
  })
})

describe('an entry that says something was let go of', () => {
  const old = chainOf(60, { writer: 'a', signer, every: 20 })
  const open = chainOf(50, { writer: 'b', signer, every: 20, closed: false, began: 1.8e12 })
  const rest = [20, 40].flatMap((from, n) => block(old.lines.slice(from, from + 20), { writer: 'a', number: n + 2 }))
  const lie = { ...open, lines: forged(open, 'retention', standOf(old, 20)) }

  it('counts with the key where a checkpoint covers it, or the store knows it', async () => {
    expect(kindsOf(await verify([rest, whole(lie)], { key }))).toEqual(['missing-segment'])
    const self = chainOf(50, { writer: 'a', signer, every: 20, closed: false })
    const cut = forged(self, 'retention', standOf(self, 20)).slice(20)
    expect(kindsOf(await verify([block(cut, { writer: 'a', number: 2 })], { key }))).toEqual(['missing-segment'])
    const row = {
      id: 'b',
      genesis: '',
      entries: lie.lines.length,
      head: hashOf(lie.lines.at(-1) as string),
      closed: false,
    }
    expect(await verify([rest, whole(lie)], { key, writers: [row] })).toMatchObject({ ok: true })
    expect(
      kindsOf(
        await verify([rest, whole(lie)], {
          key,
          writers: [{ ...row, entries: 30, head: hashOf(lie.lines[29] as string) }],
        }),
      ),
    ).toEqual(['missing-segment'])
  })

  it('excuses no chain that a trusted checkpoint knows', async () => {
    const gone = { ...open, lines: forged(open, 'retention', standOf(old, 60)) }
    expect(kindsOf(await verify([whole(gone)], { key, trusted: old.notes }))).toEqual(['missing-writer'])
    const unsigned = chainOf(5, { writer: 'c' })
    const told = {
      ...unsigned,
      lines: forged(chainOf(5, { writer: 'c', closed: false }), 'retention', standOf(old, 60)),
    }
    const options = { key, trusted: old.notes, requireCheckpoints: false }
    expect(kindsOf(await verify([whole(told)], options))).toEqual(['missing-writer'])
  })
})

it('bytes that are no UTF-8 are not the character that they are read as', async () => {
  const text = 'a \ufffd b'
  const made = forged(chainOf(10, { writer: 'w', closed: false }), 'signal', { text })
  const bytes = Buffer.from(made.join(''))
  expect((await verify([block(bytes)])).ok).toBe(true)
  const at = bytes.indexOf(Buffer.from('\ufffd'))
  for (const other of [[0xff], [0xf1, 0xbf, 0xbd], [0xc3]]) {
    const spoilt = Buffer.concat([bytes.subarray(0, at), Buffer.from(other), bytes.subarray(at + 3)])
    expect(kindsOf(await verify([block(spoilt)]))).not.toEqual([])
  }
})
