/** What chains say of one another, and what checkpoints say of time. */
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
import { Chain, callFragment, lineHash, NOBODY, toolFragment } from '../chain.ts'
import { EMPTY_ROOT, toBase64 } from '../merkle.ts'
import { formatCheckpoint, signNote } from '../note.ts'
import type { VerifyOptions } from '../verification.ts'
import { verifyTrail } from '../verify.ts'

const { signer, publicKey: key } = keysOf('acme.example/haldir')
const tool = toolFragment({ name: 'pay' })

/** Verifies chains in the order given, each in one file, or in files of so many lines. */
const verify = (blocks: readonly StoredBlock[][], options: VerifyOptions = {}) =>
  verifyTrail({ readBlocks: (only) => blocks.flat().filter(({ writer }) => !only || only.has(writer)) }, options)
const whole = ({ lines, writer }: Made) => block(lines, { writer })
const standOf = ({ lines, writer }: Made, entries: number) => ({
  writer,
  entries,
  head: hashOf(lines[entries - 1] as string),
})

describe('a writer that another one came after', () => {
  const ended = chainOf(20, { writer: 'a', closed: false })
  const after = (entries: number) =>
    chainOf(10, { writer: 'b', began: 1.8e12, first: { data: { after: standOf(ended, entries) } } })

  it('must have what its successor knows; what else it has does not count', async () => {
    expect(await verify([whole(ended), whole(after(20))])).toMatchObject({ ok: true })
    expect(await verify([whole(ended), whole(after(15))])).toMatchObject({ ok: true })
    const spoilt = [...ended.lines.slice(0, 17), '\0\0\0\n', (ended.lines[18] as string).replace('"', "'"), '{"half']
    expect(await verify([block(spoilt, { writer: 'a' }), whole(after(15))])).toMatchObject({ ok: true, problems: [] })
    expect(kindsOf(await verify([block(spoilt, { writer: 'a' }), whole(after(18))]))).toEqual([
      'malformed',
      'torn',
      'truncated',
    ])
    expect(kindsOf(await verify([block(spoilt, { writer: 'a' })]))).toEqual(['malformed', 'torn'])
  })

  it('and is shorter, another, or gone, is named', async () => {
    const cut = { ...ended, lines: ended.lines.slice(0, 12) }
    expect((await verify([whole(cut), whole(after(15))])).problems).toEqual([
      {
        kind: 'truncated',
        writer: 'a',
        message: 'the chain of writer `a` ends after 12 entries; the writer after it knows 15',
      },
    ])
    const forged = { ...ended, lines: hashedAnew(ended.lines, 3, (line) => line.replace('haldir"', 'halfir"')) }
    for (const entries of [15, 20]) {
      expect((await verify([whole(forged), whole(after(entries))])).problems).toEqual([
        {
          kind: 'rewritten',
          writer: 'a',
          message: `entry ${entries - 1} of writer \`a\` is not the one the writer after it knows`,
        },
      ])
    }
    expect(kindsOf(await verify([whole(after(15))]))).toEqual(['missing-writer'])
  })
})

describe('what was let go of on purpose', () => {
  const old = chainOf(60, { writer: 'a', signer, every: 20 })
  const files = () =>
    [0, 1, 2].flatMap((n) => block(old.lines.slice(n * 20, (n + 1) * 20), { writer: 'a', number: n + 1 }))
  const told = (entries: number, head?: string) => {
    const chain = new Chain('b', 'haldir')
    const data = { ...standOf(old, entries), ...(head && { head }), file: 'audit-a-1.jsonl' }
    return block(
      [
        chain.append({ type: 'writer-opened', session: NOBODY }, 1.8e12),
        chain.append({ type: 'retention', session: NOBODY, data }, 1.8e12),
      ],
      { writer: 'b' },
    )
  }
  const row = { id: 'a', genesis: '', entries: 60, head: old.head, closed: true }
  // With the key, what nobody vouches for excuses nothing.
  const teller = {
    id: 'b',
    genesis: '',
    entries: 2,
    head: told(20)[0]?.bytes.toString().slice(-67, -3) ?? '',
    closed: false,
  }

  it('is missing from the beginning and no problem, when it is on record', async () => {
    expect(
      await verify([files().slice(1), told(20)], {
        key,
        writers: [row, teller],
        tree: true,
        requireCheckpoints: false,
      }),
    ).toMatchObject({
      ok: true,
      writers: [{ id: 'a', entries: 60, retained: 20, head: old.head }, { id: 'b' }],
    })
    expect(await verify([files().slice(2), told(20)]).then(kindsOf)).toEqual(['missing-segment'])
    expect(await verify([files().slice(1), told(20, 'f'.repeat(64))]).then(kindsOf)).toEqual(['missing-segment'])
    expect(await verify([files().slice(1)]).then(kindsOf)).toEqual(['missing-segment'])
    // Told of, and still there: the process died in between.
    expect(await verify([files(), told(20)])).toMatchObject({ ok: true })
  })

  it('may be a whole chain, as long as nobody knows more of it', async () => {
    expect(await verify([told(60)], { writers: [row] })).toMatchObject({ ok: true })
    expect(await verify([told(40)], { writers: [row] }).then(kindsOf)).toEqual(['missing-writer'])
    expect(await verify([told(60, 'f'.repeat(64))], { writers: [row] }).then(kindsOf)).toEqual(['missing-writer'])
  })

  it('hides nothing behind it: what is known at the place where the rest begins is compared', async () => {
    const trusted = old.notes
    const options = { key, trusted, writers: [teller], requireCheckpoints: false }
    expect(await verify([files().slice(1), told(20)], options)).toMatchObject({ ok: true })
    const wrong = { ...row, entries: 20, head: 'f'.repeat(64) }
    expect(await verify([files().slice(1), told(20)], { writers: [wrong] }).then(kindsOf)).toEqual(['rewritten'])
  })
})

describe('checkpoints', () => {
  it('must be signed by one of the keys; an old one counts as long as it is named', async () => {
    const later = keysOf('acme.example/other')
    const first = chainOf(30, { signer, every: 10, writer: 'a' })
    const second = chainOf(30, { signer: later.signer, every: 10, writer: 'b', began: 1.8e12 })
    const both = [whole(first), whole(second)]
    expect(await verify(both, { key: [key, later.publicKey] })).toMatchObject({ ok: true })
    expect(new Set(kindsOf(await verify(both, { key })))).toEqual(new Set(['checkpoint', 'unsigned']))
    expect(await verify([whole(first)], { key })).toMatchObject({ ok: true })
  })

  it('are missed when a key is given, unless they need not be', async () => {
    const bare = chainOf(30, {})
    expect((await verify([whole(bare)], { key })).problems).toEqual([
      { kind: 'unsigned', writer: 'w', message: 'the chain of writer `w` has no checkpoint that holds' },
    ])
    expect(await verify([whole(bare)], { key, requireCheckpoints: false })).toMatchObject({
      ok: true,
      writers: [{ uncovered: bare.lines.length }],
    })
  })

  it('prove silence: none may be further from the next than the heartbeat', async () => {
    const beating = chainOf(60, { signer, every: 20 })
    expect(await verify([whole(beating)], { key, heartbeat: '20s' })).toMatchObject({ ok: true })
    const { problems } = await verify([whole(beating)], { key, heartbeat: '19s' })
    expect(problems[0]).toEqual({
      kind: 'silence',
      writer: 'w',
      entry: 'w:39',
      message: 'writer `w` has no checkpoint between 2023-11-14T22:13:39.000Z and 2023-11-14T22:13:59.000Z',
    })
    // One that goes on without any is found, too; one that ended without a word is not: it may have died.
    const open = chainOf(45, { signer, every: 20, closed: false })
    expect(await verify([whole(open)], { key, heartbeat: '20s' })).toMatchObject({ ok: true })
    expect(
      kindsOf(await verify([whole({ ...open, lines: open.lines.slice(0, 20) })], { key, heartbeat: '20s' })),
    ).toEqual([])
    const going = chainOf(45, { signer, every: 30, closed: false })
    expect((await verify([whole(going)], { key, heartbeat: '29s' })).ok).toBe(true)
    expect(kindsOf(await verify([whole({ ...going, lines: going.lines })], { key, heartbeat: '14s' }))).toEqual([
      'silence',
    ])
  })

  it('that sign a root which is not that of the entries are found with the tree', async () => {
    const lying = { ...signer, sign: signer.sign.bind(signer) }
    const made = chainOf(40, { signer: lying, every: 10, root: 'A'.repeat(43).concat('=') })
    expect(await verify([whole(made)], { key })).toMatchObject({ ok: true })
    expect(kindsOf(await verify([whole(made)], { key, tree: true }))).toEqual(['checkpoint'])
  })

  it('kept elsewhere are trusted for what they say, and named when they are none', async () => {
    const made = chainOf(60, { signer, every: 20 })
    const note = made.notes[1] as string
    expect(await verify([whole(made)], { key, trusted: made.notes })).toMatchObject({ ok: true })
    const stranger = chainOf(60, { signer: keysOf('acme.example/haldir').signer, every: 20 }).notes[1] as string
    const strange = async (trusted: string) => (await verify([whole(made)], { key, trusted })).problems
    expect(await strange(stranger)).toEqual([
      { kind: 'checkpoint', writer: '', message: 'the trusted checkpoint 1 is not signed by a known key' },
    ])
    expect(await strange('nothing')).toMatchObject([{ message: 'the trusted checkpoint 1 is no signed note' }])
    expect(await strange(note.replace('time 2', 'time 3'))).toMatchObject([
      { message: expect.stringContaining('does not hold') },
    ])
    expect(kindsOf(await verify([], { key, trusted: note }))).toEqual(['missing-writer'])
  })
})

describe('a line in the usual form', () => {
  const { lines } = chainOf(40, { closed: false })
  const file = (changed: readonly string[]) => verify([block(changed)])

  it('must be hashed right and linked to the one before', async () => {
    const changed = (lines[10] as string).replace('acme', 'emca')
    expect((await file(lines.with(10, changed))).problems).toMatchObject([{ kind: 'hash', entry: 'w:10' }])
    const forged = hashedAnew(lines, 10, (line) => line.replace('"haldir":"haldir"', '"haldir":"halfir"'))[10] as string
    expect((await file(lines.with(10, forged))).problems).toMatchObject([{ kind: 'link', entry: 'w:11' }])
    // A hash that was changed is one problem, and what follows on the true one is none.
    const other = (lines[10] as string).replace(/[0-9a-f]"\}\n$/, (end) => `${end[0] === '0' ? '1' : '0'}"}\n`)
    expect((await file(lines.with(10, other))).problems).toMatchObject([{ kind: 'hash', entry: 'w:10' }])
  })

  it('can not follow on an entry further back, whose text was changed', async () => {
    const changed = (lines[10] as string).replace('acme', 'emca')
    const body = changed.replace(/,"hash":"[0-9a-f]{64}"\}\n$/, '}')
    const forged = rehashed(lines[20] as string, lineHash(body))
    expect((await file(lines.with(10, changed).with(20, forged))).problems).toMatchObject([
      { kind: 'hash', entry: 'w:10' },
      { kind: 'link', entry: 'w:20' },
      { kind: 'link', entry: 'w:21' },
    ])
  })
})

describe('the entry of a checkpoint', () => {
  interface Second {
    size?: number
    head?: string
    time?: number
    at?: number
    session?: string
    data?: object
  }
  const writer = 'w'
  /** Two checkpoints, the second of which is made as told. */
  const verified = (second: Second) => {
    const chain = new Chain(writer, 'haldir')
    const lines: string[] = []
    const seal = (told: Second) => {
      const { size = chain.entries, head = chain.head, time = chain.entries, session = NOBODY, data = {} } = told
      const { at = time } = told
      const origin = `${signer.name}/${writer}`
      const text = { origin, size, head, root: toBase64(EMPTY_ROOT), time: new Date(time).toISOString() }
      const note = signNote(formatCheckpoint(text), signer, origin)
      lines.push(chain.append({ type: 'checkpoint', session, data: { note, ...data } }, at))
    }
    for (let n = 0; n < 3; n++) lines.push(chain.append({ type: 'signal', session: NOBODY }, n))
    seal({})
    lines.push(chain.append({ type: 'signal', session: NOBODY }, 4))
    seal(second)
    return verify([block(lines)], { key })
  }

  it.each<[string, Parameters<typeof verified>[0], string]>([
    ['covers fewer entries', { size: 4 }, 'covers 4 entries and stands behind 5'],
    ['covers more entries', { size: 6 }, 'covers 6 entries and stands behind 5'],
    [
      'knows another head',
      { head: 'f'.repeat(64) },
      'something between the checkpoint at 3 and entry 5 was written anew',
    ],
    ['is older than the one before', { time: 2 }, 'is older than the one before it'],
    ['has another time than its note', { at: 9 }, 'does not stand in an entry of its own form'],
    ['is somebody’s', { session: NOBODY.replace('null', '"acme"') }, 'does not stand in an entry of its own form'],
    ['says more', { data: { more: 1 } }, 'does not stand in an entry of its own form'],
  ])('that %s is named', async (_, second, message) => {
    const { problems } = await verified(second)
    expect(problems).toMatchObject([{ entry: 'w:5', message: expect.stringContaining(message) }])
  })

  it('may say what witnesses have signed', async () => {
    expect((await verified({ data: { cosigned: [{ size: 3, signatures: [] }] } })).problems).toEqual([])
  })
})

function rehashed(line: string, prev: string): string {
  const body = line.replace(/"prev":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}\n$/, `"prev":"${prev}"`)
  return `${body},"hash":"${lineHash(`${body}}`)}"}\n`
}

describe('calls', () => {
  it('that one writer began may be ended by another; what nobody ended is an orphan, by the time of its intent', async () => {
    const [a, b] = [new Chain('a', 'haldir'), new Chain('b', 'haldir')]
    const call = (id: string) => callFragment({ id }, tool, undefined)
    const line = (chain: Chain, type: 'intent' | 'outcome', id: string, at: number) =>
      chain.append({ type, session: NOBODY, call: call(id) }, at)
    // Short ids, long ones, more than are kept as bytes, and one that is said twice.
    const ids = Array.from({ length: 300 }, (_, n) => (n % 3 === 0 ? `${n}` : `call-${n}-${'x'.repeat(n % 90)}`))
    const first = ids.map((id, n) => line(a, 'intent', id, n))
    const again = line(b, 'intent', ids[7] as string, 1_000)
    const ended = ids.filter((_, n) => n % 50 !== 0).map((id, n) => line(b, 'outcome', id, 2_000 + n))
    const { ok, orphans } = await verify([block(first, { writer: 'a' }), block([again, ...ended], { writer: 'b' })])
    expect(ok).toBe(true)
    expect(orphans.map(({ call, at }) => [call, Date.parse(at)])).toEqual(
      [0, 50, 100, 150, 200, 250].map((n) => [ids[n], n]),
    )
    expect(orphans[0]).toMatchObject({ tool: 'pay', session: '', writer: 'a' })
  })
})

it('lists as many problems as anybody reads, the first of each writer among them, and counts the others', async () => {
  const spoilt = (writer: string) =>
    block(
      Array.from({ length: 5_000 }, () => 'spoilt\n'),
      { writer },
    )
  const { ok, problems, omitted } = await verify([spoilt('a'), spoilt('b')])
  expect({ ok, listed: problems.length, omitted }).toEqual({ ok: false, listed: 1_001, omitted: 8_999 })
  expect(problems.at(-1)).toMatchObject({ writer: 'b', place: 'audit-b-1.jsonl:1' })
})
