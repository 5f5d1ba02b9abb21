/** What bad files verifying meets: each is named, none is a crash. And whatever is done to bytes at random is found. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '@haldir/core'
import { type Problem, type VerifyOptions, verifyFiles } from '@haldir/core/verify'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lineHash } from '../../packages/core/src/watch/chain.ts'
import { chainOf, hashOf, keysOf, kindsOf, type Made, verifyBytes } from './tamper-scene.ts'

const { signer, publicKey: key } = keysOf('acme.example/haldir')
const made = chainOf(90, { signer, every: 20 })
let folder: string
const file = (number = 1, writer = 'w') => join(folder, `audit-${writer}-${number}.jsonl`)

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-tamper-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Writes a chain in three files. */
function segments({ lines, writer }: Made = made): void {
  const third = Math.floor(lines.length / 3)
  writeFileSync(file(1, writer), lines.slice(0, third).join(''))
  writeFileSync(file(2, writer), lines.slice(third, third * 2).join(''))
  writeFileSync(file(3, writer), lines.slice(third * 2).join(''))
}

async function problems(options: VerifyOptions = {}): Promise<readonly Problem[]> {
  return (await verifyFiles(folder, options)).problems
}

describe('several files of one writer', () => {
  beforeEach(() => segments())

  it('are one chain', async () => {
    expect(await verifyFiles(folder, { key, tree: true, exact: true, trusted: made.notes })).toMatchObject({
      ok: true,
      writers: [{ id: 'w', entries: made.lines.length, head: made.head, closed: true, uncovered: 0 }],
    })
  })

  it('of which one in the middle is missing: it is named', async () => {
    rmSync(file(2))
    expect(await problems()).toEqual([
      { kind: 'missing-segment', writer: 'w', message: '`audit-w-2.jsonl` of writer `w` is missing' },
    ])
  })

  it('of which the first is missing, and nothing on record let go of it', async () => {
    rmSync(file(1))
    expect(kindsOf({ problems: await problems() })).toEqual(['missing-segment'])
  })

  it('of which the last is missing: what the store or a trusted checkpoint knows shows it', async () => {
    rmSync(file(3))
    expect((await verifyFiles(folder, { key })).ok).toBe(true)
    expect(kindsOf({ problems: await problems({ trusted: made.notes }) })).toEqual(['truncated'])
    const row = { id: 'w', genesis: '', entries: 90, head: made.head, closed: true }
    expect(kindsOf({ problems: await problems({ writers: [row] }) })).toEqual(['truncated'])
  })

  it('of which one is empty although others follow', async () => {
    truncateSync(file(2))
    expect(await problems()).toEqual([
      {
        kind: 'missing-segment',
        writer: 'w',
        message: '`audit-w-2.jsonl` is empty, although `audit-w-3.jsonl` follows',
      },
    ])
  })

  it('that have changed places', async () => {
    renameSync(file(1), file(9))
    renameSync(file(3), file(1))
    renameSync(file(9), file(3))
    expect(new Set(kindsOf({ problems: await problems() }))).toEqual(new Set(['sequence', 'after-close']))
  })

  it('one of which stands there twice', async () => {
    writeFileSync(file(4), made.lines.slice(60).join(''))
    expect(kindsOf({ problems: await problems() })).toContain('sequence')
    writeFileSync(join(folder, 'audit-w-01.jsonl'), made.lines[0] as string)
    expect(await problems()).toContainEqual(
      expect.objectContaining({
        kind: 'unreadable',
        message: '`audit-w-01.jsonl` is not the name of a file of the trail',
      }),
    )
  })
})

describe('what is not a file of the trail', () => {
  const other = chainOf(50, { signer, every: 20, writer: 'v' })

  it('another writer’s file under a new name is named by its first entry, also with the key', async () => {
    writeFileSync(file(1, 'u'), other.lines.join(''))
    expect((await problems({ key }))[0]).toMatchObject({
      kind: 'foreign',
      writer: 'u',
      entry: 'v:0',
      place: 'audit-u-1.jsonl:1',
    })
    segments()
    renameSync(file(1, 'u'), file(4))
    expect((await problems())[0]).toMatchObject({ kind: 'foreign', entry: 'v:0', place: 'audit-w-4.jsonl:1' })
  })

  it.each<[string, () => void, RegExp]>([
    ['a folder', () => mkdirSync(file()), /is not a file|EISDIR/],
    ['a link to itself', () => symlinkSync(file(), file()), /ELOOP/],
    ['a link to nothing', () => symlinkSync(join(folder, 'nothing'), file()), /ENOENT/],
    ['a pipe that nobody writes', () => void execFileSync('mkfifo', [file()]), /is not a file/],
  ])('%s', async (_, make, message) => {
    make()
    expect(await problems()).toEqual([{ kind: 'unreadable', writer: 'w', message: expect.stringMatching(message) }])
  })

  it.skipIf(process.getuid?.() === 0)('a file that may not be read (root reads everything)', async () => {
    writeFileSync(file(), made.lines.join(''))
    chmodSync(file(), 0)
    expect(await problems()).toMatchObject([{ kind: 'unreadable', message: expect.stringContaining('EACCES') }])
  })

  it('an empty file is a chain without entries: a process may have died there', async () => {
    segments()
    writeFileSync(file(1, 'v'), '')
    expect(await verifyFiles(folder)).toMatchObject({ ok: true, writers: [{ id: 'w' }, { id: 'v', entries: 0 }] })
    const row = { id: 'v', genesis: '', entries: 5, head: made.head, closed: false }
    expect(await problems({ writers: [row] })).toMatchObject([{ kind: 'truncated', writer: 'v' }])
    rmSync(file(1))
    rmSync(file(2))
    rmSync(file(3))
    expect(await problems()).toMatchObject([{ kind: 'missing-writer' }])
  })

  it('a folder that is none is a `ConfigError`, and so are options that nobody understands', async () => {
    await expect(verifyFiles(join(folder, 'nowhere'))).rejects.toSatisfy(ConfigError.isInstance)
    for (const options of [
      { kee: key },
      { key: 'no key' },
      { trusted: 7 },
      { heartbeat: 'soon' },
      { exact: 1 },
      { writers: {} },
    ]) {
      await expect(verifyFiles(folder, options as VerifyOptions)).rejects.toSatisfy(ConfigError.isInstance)
    }
  })
})

describe('bytes that are no entries', () => {
  const text = () => made.lines.join('')

  it.each<[string, () => string | Buffer, Partial<Problem>]>([
    [
      'garbage',
      () => Buffer.from(Array.from({ length: 50_000 }, (_, n) => (n * 7_919 + (n >> 3)) % 256)),
      { kind: 'malformed', place: 'audit-w-1.jsonl:1' },
    ],
    ['nothing but zeros', () => Buffer.alloc(3_000_000), { kind: 'torn', place: 'audit-w-1.jsonl:1' }],
    ['nothing but newlines', () => '\n'.repeat(5_000), { kind: 'malformed', place: 'audit-w-1.jsonl:1' }],
    [
      'lines that end as on Windows',
      () => text().replaceAll('\n', '\r\n'),
      { kind: 'malformed', place: 'audit-w-1.jsonl:1' },
    ],
    ['a byte order mark', () => `\ufeff${text()}`, { kind: 'malformed', place: 'audit-w-1.jsonl:1' }],
    ['another encoding', () => Buffer.from(text(), 'utf16le'), { kind: 'malformed', place: 'audit-w-1.jsonl:1' }],
    [
      'a NUL in a line',
      () => text().replace('"seq":7,', '"seq":7,\0'),
      { kind: 'malformed', place: 'audit-w-1.jsonl:8' },
    ],
    ['a NUL between lines', () => text().replace('\n', '\n\0\n'), { kind: 'malformed', place: 'audit-w-1.jsonl:2' }],
    [
      'a line of 10 MB',
      () => text().replace('\n', `\n{"v":1,"data":"${'x'.repeat(1e7)}"}\n`),
      { kind: 'malformed', place: 'audit-w-1.jsonl:2' },
    ],
    [
      'a line of 70 MB',
      () => text().replace('\n', `\n${'x'.repeat(7e7)}\n`),
      { kind: 'malformed', place: 'audit-w-1.jsonl:2' },
    ],
    [
      'an end of 70 MB',
      () => `${text()}${'x'.repeat(7e7)}`,
      { kind: 'torn', place: `audit-w-1.jsonl:${made.lines.length + 1}` },
    ],
    ['brackets without an end', () => `${'['.repeat(1e6)}\n`, { kind: 'malformed', place: 'audit-w-1.jsonl:1' }],
    [
      'a number that is none of ours',
      () => text().replace('"seq":3,', '"seq":1e999,'),
      { kind: 'malformed', place: 'audit-w-1.jsonl:4' },
    ],
  ])('%s', async (_, bytes, expected) => {
    writeFileSync(file(), bytes())
    const found = await verifyFiles(folder, { key })
    expect(found.ok).toBe(false)
    expect(found.problems[0]).toMatchObject({ writer: 'w', ...expected })
    // However many there are: as many are listed as anybody reads.
    expect(found.problems.length).toBeLessThanOrEqual(1_002)
    if (found.problems.length > 1_000) expect(found.omitted).toBeGreaterThan(0)
  })

  it('one line too many or spoilt is one problem, and what follows is looked at as ever', async () => {
    writeFileSync(file(), text().replace('\n', `\n${'x'.repeat(7e7)}\n`))
    expect((await problems({ key })).map(({ kind }) => kind)).toEqual(['malformed'])
    writeFileSync(file(), made.lines.with(30, 'spoilt\n').join(''))
    expect((await problems({ key })).map(({ place }) => place)).toEqual(['audit-w-1.jsonl:31'])
  })
})

describe('a line that is hashed right and is not what it seems', () => {
  const open = chainOf(50, { closed: false })
  const row = { id: 'w', genesis: '', entries: 50, head: open.head, closed: false }
  const forge = (change: (body: string) => string) => {
    const body = change((open.lines[49] as string).replace(/,"hash":"[0-9a-f]{64}"\}\n$/, ''))
    return [...open.lines.slice(0, 49), `${body},"hash":"${lineHash(`${body}}`)}"}\n`]
  }

  it.each<[string, (body: string) => string]>([
    ['says its type twice', (body) => body.replace('"haldir":', '"type":"signal","haldir":')],
    ['has space in it', (body) => body.replace('"haldir":', ' "haldir":')],
    ['lacks a member', (body) => body.replace('"held":[],', '')],
    ['is broken in the middle', (body) => body.replace('"held":[],', '"held":[,')],
  ])('%s: found when all is parsed', async (_, change) => {
    expect((await verifyBytes(forge(change), { exact: true })).problems[0]).toMatchObject({ kind: 'malformed' })
  })

  it('is found by the store in any case', async () => {
    const forged = forge((body) => body.replace('"held":[],', ''))
    expect(hashOf(forged.at(-1) as string)).not.toBe(open.head)
    // Whoever hashes anew could as well have written a lie that is an entry.
    expect((await verifyBytes(forged)).ok).toBe(true)
    expect(kindsOf(await verifyBytes(forged, { writers: [row] }))).toEqual(['rewritten'])
  })
})

it('whatever is done to the bytes is found, and nothing is that was not done', async () => {
  const whole = Buffer.from(made.lines.join(''))
  const row = { id: 'w', genesis: '', entries: 90, head: made.head, closed: true }
  const edit = fc.record({
    at: fc.nat(whole.length),
    remove: fc.oneof(fc.nat(3), fc.nat(5_000)),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom('\n', '{}', '}\n{', '"', '\r\n', ...made.lines.slice(0, 3)).map((text) => Buffer.from(text)),
      // What stands elsewhere in the file.
      fc.tuple(fc.nat(whole.length), fc.nat(2_000)).map(([from, length]) => whole.subarray(from, from + length)),
    ),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
      let changed: Buffer = whole
      for (const { at, remove, insert } of edits) {
        changed = Buffer.concat([changed.subarray(0, at), insert, changed.subarray(at + remove)])
      }
      const { ok, problems } = await verifyBytes(changed, { writers: [row], trusted: made.notes.at(-1) as string })
      expect(ok, JSON.stringify(problems)).toBe(changed.equals(whole))
    }),
    { numRuns: 500 },
  )
})
