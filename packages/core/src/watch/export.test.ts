import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { proves } from '../../../../test/promises.ts'
import { systemClock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import { amount, usd } from '../money.ts'
import { memorySink } from '../sinks/memory.ts'
import { Chain, callFragment, lineHash, NOBODY, sessionFragment, toolFragment } from './chain.ts'
import { chainsIn } from './chains.ts'
import { checkExport } from './check-export.ts'
import { csvRow } from './csv.ts'
import type { Entry } from './entry.ts'
import { type ExportOptions, exportEntries } from './export.ts'
import { formatManifest, type Manifest, openManifest } from './manifest.ts'
import { createKeys, openNote, signerOf, verifierFor } from './note.ts'

const NOON = Date.UTC(2026, 0, 1, 12)
const clock = { ...systemClock, now: () => NOON }
const keys = createKeys('acme.example/haldir', (count) => new Uint8Array(count).fill(7))
const others = createKeys('acme.example/haldir', (count) => new Uint8Array(count).fill(8))
const signer = signerOf(keys.signingKey) ?? expect.fail()

let folder: string
let to: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-export-'))
  to = join(folder, 'trail.out')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Two processes, a few entries of each. */
function trail(count = 3) {
  const sink = memorySink({ keep: 1_000_000 })
  const written: { line: string; at: number; writer: string }[] = []
  for (const writer of ['w1', 'w2']) {
    const chain = new Chain(writer, 'haldir')
    for (let n = 0; n < count; n++) {
      const at = NOON + n * 10 + (writer === 'w2' ? 5 : 0)
      const session = sessionFragment({ tenant: 'acme', agent: n % 2 ? '=cmd|"x"!A1' : 'désk', id: 's', chain: ['p'] })
      const call = callFragment({ id: `c${n}` }, toolFragment({ name: 'pay' }), undefined)
      const spent = [usd('29.99'), amount('tokens', 900)]
      const line = chain.append({ type: 'outcome', session, call, spent, data: { ended: 'ok', why: 'a,\r\n"b"' } }, at)
      sink.write(line)
      written.push({ line, at, writer })
    }
  }
  const lines = written.toSorted((a, b) => a.at - b.at).map(({ line }) => line)
  const run = (options: Partial<ExportOptions> | object) =>
    exportEntries(() => chainsIn([sink]), { to, format: 'jsonl', ...options }, clock)
  return { sink, lines, run }
}
const kinds = async (...args: Parameters<typeof checkExport>) => {
  const { ok, problems } = await checkExport(...args)
  expect(ok).toBe(problems.length === 0)
  return problems.map(({ kind }) => kind)
}

describe('an export', () => {
  it('as lines is the lines as they are, in the order of their time, for their owner alone', async () => {
    const { lines, run } = trail()
    const { manifest, files, ...told } = await run({})
    const text = readFileSync(to, 'utf8')
    expect(text).toBe(lines.join(''))
    for (const line of text.trimEnd().split('\n')) {
      const { hash } = JSON.parse(line)
      expect(lineHash(line.replace(`,"hash":"${hash}"`, ''))).toBe(hash)
    }
    const last = lines.map((line) => JSON.parse(line) as Entry).filter(({ seq }) => seq === 2)
    expect(told).toEqual({
      format: 'jsonl',
      filter: {},
      entries: 6,
      bytes: Buffer.byteLength(text),
      sha256: createHash('sha256').update(text).digest('hex'),
      time: '2026-01-01T12:00:00.000Z',
      writers: last.map(({ writer, hash }) => ({ id: writer, from: 0, to: 2, head: hash })),
      signed: false,
    })
    expect(files).toEqual({ export: to, manifest: `${to}.manifest` })
    expect(readFileSync(`${to}.manifest`, 'utf8')).toBe(manifest)
    expect(readdirSync(folder)).toEqual(['trail.out', 'trail.out.manifest'])
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600)
  })

  it('holds what is asked for; its manifest says what that was, and how far each chain was read', async () => {
    const { lines, run } = trail()
    const since = new Date(NOON + 10)
    const told = await run({ filter: { agent: '=cmd|"x"!A1', since, until: undefined } })
    expect(readFileSync(to, 'utf8')).toBe(lines.slice(2, 4).join(''))
    expect(told).toMatchObject({ entries: 2, filter: { agent: '=cmd|"x"!A1', since: since.toISOString() } })
    expect(told.writers.map(({ to }) => to)).toEqual([2, 2])
    expect((await run({ filter: { limit: 3 } })).writers.map(({ to }) => to)).toEqual([1, 0])
    expect((await run({ filter: { writer: 'w2' } })).writers.map(({ id }) => id)).toEqual(['w2'])
    expect(await run({ filter: { limit: 0 } })).toMatchObject({ entries: 0, bytes: 0, writers: [] })
    expect(await checkExport(to)).toMatchObject({ ok: true, signed: false, manifest: { entries: 0 } })
  })

  it('is signed as a note that others can open', async () => {
    const { run } = trail()
    const { manifest, signed } = await run({ signer })
    expect(signed).toBe(true)
    const opened = openNote(manifest, [verifierFor(keys.publicKey) ?? expect.fail()])
    expect(opened).toMatchObject({ signatures: [{ name: 'acme.example/haldir' }] })
    expect(manifest.split('\n').slice(0, 4)).toEqual(['haldir-export/v1', 'format jsonl', 'filter {}', 'entries 6'])
    expect(await checkExport(to, keys.publicKey)).toMatchObject({ ok: true, signed: true, problems: [] })
  })

  it('replaces one of before, and leaves it alone when it fails', async () => {
    const { run, lines } = trail()
    await run({ signer })
    const failing = { ...signer, sign: () => new Uint8Array(3) }
    await expect(run({ format: 'csv', signer: failing })).rejects.toMatchObject({ code: 'unavailable' })
    const progress = () => {
      throw new Error('enough')
    }
    await expect(run({ format: 'csv', progress })).rejects.toThrow('enough')
    await expect(run({ progress: () => Promise.reject(new Error('later')) })).rejects.toThrow('later')
    expect(readdirSync(folder)).toEqual(['trail.out', 'trail.out.manifest'])
    expect(await kinds(to, keys.publicKey)).toEqual([])
    await run({ filter: { limit: 1 } })
    expect(readFileSync(to, 'utf8')).toBe(lines[0])
  })

  it('tells how far it is', async () => {
    const { run } = trail(400)
    const told: { entries: number; bytes: number }[] = []
    const { entries, bytes } = await run({ progress: (done: { entries: number; bytes: number }) => told.push(done) })
    expect(told.length).toBeGreaterThan(3)
    expect(told.at(-1)).toEqual({ entries, bytes })
    expect(told.map((one) => one.bytes)).toEqual(told.map((one) => one.bytes).toSorted((a, b) => a - b))
  })

  it('goes to a stream, no faster than it takes it, and does not end it', async () => {
    const { run, lines } = trail(400)
    const stream = new PassThrough({ highWaterMark: 1 })
    const parts: Buffer[] = []
    const reading = (async () => {
      for await (const part of stream) parts.push(part)
    })()
    const listening = stream.listenerCount('error')
    const { files, manifest } = await run({ to: stream, signer })
    expect([files, stream.writableEnded, stream.listenerCount('error')]).toEqual([undefined, false, listening])
    stream.end()
    await reading
    writeFileSync(to, Buffer.concat(parts))
    writeFileSync(`${to}.else`, manifest)
    expect(Buffer.concat(parts).toString()).toBe(lines.join(''))
    expect(await kinds(to, keys.publicKey, { manifest: `${to}.else` })).toEqual([])

    const web = new TransformStream<Uint8Array, Uint8Array>()
    const text = new Response(web.readable).text()
    await run({ to: web.writable })
    await web.writable.close()
    expect(await text).toBe(lines.join(''))
  })

  it('rejects when a stream does', async () => {
    const broken = new Writable({ write: (_, __, done) => done(new Error('gone')) })
    await expect(trail().run({ to: broken })).rejects.toThrow('gone')
  })

  it.each<[object, string]>([
    [{ to: '' }, '`to` names a file, or is a stream'],
    [{ to: 7 }, '`to` names a file, or is a stream'],
    [{ format: 'xml' }, '`format` is `jsonl` or `csv`'],
    [{ filter: { agnet: 'x' } }, 'did you mean `agent`?'],
    [{ signer: 'key' }, '`signer` has `sign`'],
    [{ progress: true }, '`progress` is a function'],
    [{ formt: 'csv' }, 'did you mean `format`?'],
  ])('with %o is refused', async (options, message) => {
    const error = await trail()
      .run(options)
      .then(undefined, (error: unknown) => error)
    expect(ConfigError.isInstance(error)).toBe(true)
    expect(String(error)).toContain(message)
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('checking an export', () => {
  it('finds every bit that was flipped, in what was exported and in its manifest', async () => {
    proves('trail-export')
    await trail(1).run({ signer })
    for (const path of [to, `${to}.manifest`]) {
      const whole = readFileSync(path)
      for (let bit = 0; bit < whole.length * 8; bit += 13) {
        const changed = Buffer.from(whole)
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
        writeFileSync(path, changed)
        expect(await kinds(to, keys.publicKey), `bit ${bit}`).not.toEqual([])
      }
      writeFileSync(path, whole)
    }
    expect(await kinds(to, keys.publicKey)).toEqual([])
  })

  it('names what is wrong', async () => {
    const { run } = trail()
    expect(await kinds(to)).toEqual(['manifest'])
    const unsigned = await run({})
    expect(await kinds(to)).toEqual([])
    expect(await kinds(to, keys.publicKey)).toEqual(['unsigned'])
    await run({ signer })
    expect(await kinds(to, others.publicKey)).toEqual(['unsigned'])
    const whole = readFileSync(to)
    writeFileSync(to, whole.subarray(1))
    expect(await kinds(to, keys.publicKey)).toEqual(['bytes'])
    writeFileSync(to, Buffer.from(whole.toString().replace('29.99', '29.98')))
    expect(await kinds(to, keys.publicKey)).toEqual(['sha256'])
    rmSync(to)
    expect(await kinds(to, keys.publicKey)).toEqual(['unreadable'])
    const text = readFileSync(`${to}.manifest`, 'utf8')
    writeFileSync(`${to}.manifest`, text.replace('entries 6', 'entries 7'))
    expect(await kinds(to, keys.publicKey)).toEqual(['signature'])
    writeFileSync(`${to}.manifest`, 'nothing of the kind')
    expect(await kinds(to, keys.publicKey)).toEqual(['manifest'])
    expect(await kinds(to)).toEqual(['manifest'])
    await expect(checkExport(to, 'no key')).rejects.toThrow('`publicKey` is not a public key')
    expect(unsigned.signed).toBe(false)
  })

  it('does not take a checkpoint of the same key for a manifest', async () => {
    await trail().run({ signer })
    const { text } = openNote(readFileSync(`${to}.manifest`, 'utf8'), [
      verifierFor(keys.publicKey) ?? expect.fail(),
    ]) as { text: string }
    expect(text.startsWith('haldir-export/v1\n')).toBe(true)
    expect(openManifest(`acme.example/haldir/w\n5\n${'A'.repeat(43)}=\n`, undefined)).toEqual({ problem: 'malformed' })
  })

  it('finds a line that was changed before it was exported', async () => {
    const { sink, run } = trail()
    const [, second = ''] = sink.lines
    const changed = memorySink()
    changed.write(`${sink.lines[0]}\n${second.replace('29.99', '2.99')}\n`)
    await exportEntries(() => chainsIn([changed]), { to, format: 'jsonl', signer }, clock)
    expect(await checkExport(to, keys.publicKey)).toMatchObject({
      problems: [{ kind: 'entry', message: 'line 2 is not what its own hash says' }],
    })
    await run({ format: 'csv', signer })
    expect(await kinds(to, keys.publicKey)).toEqual([])
  })

  it('reads back every manifest that is written', () => {
    const hex = fc
      .array(fc.integer({ min: 0, max: 255 }), { minLength: 32, maxLength: 32 })
      .map((bytes) => Buffer.from(bytes).toString('hex'))
    const manifest: fc.Arbitrary<Manifest> = fc.record({
      format: fc.constantFrom('jsonl', 'csv'),
      filter: fc.dictionary(
        fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'),
        fc.string({ unit: 'grapheme' }),
      ),
      entries: fc.nat(),
      bytes: fc.nat(),
      sha256: hex,
      time: fc.constant('2026-01-01T12:00:00.000Z'),
      writers: fc.array(fc.record({ id: fc.string({ unit: 'grapheme' }), from: fc.nat(), to: fc.nat(), head: hex }), {
        maxLength: 4,
      }),
    })
    const manifestOf = (text: string): Manifest => ({
      format: 'csv',
      filter: { tenant: text },
      entries: 0,
      bytes: 0,
      sha256: '0'.repeat(64),
      time: '2026-01-01T12:00:00.000Z',
      writers: [{ id: text, from: 0, to: 0, head: '0'.repeat(64) }],
    })
    fc.assert(
      fc.property(manifest, (one) => {
        const plain = JSON.parse(JSON.stringify(one))
        expect(openManifest(formatManifest(one), undefined)).toEqual({ manifest: plain, signed: false })
      }),
      // What JavaScript takes for the end of a line, and JSON does not.
      { examples: [[manifestOf('a\u2028b\u2029')]] },
    )
  })
})

describe('CSV', () => {
  const read = (text: string) => parse(text, { columns: true, relax_column_count: false }) as Record<string, string>[]
  /** What the documentation tells a machine to do. */
  const undone = (cell: string | undefined) => cell?.replace(/^'/, '')

  it('is read back by others', async () => {
    const { lines, run } = trail()
    await run({ format: 'csv' })
    const text = readFileSync(to, 'utf8')
    const rows = read(text)
    expect(rows).toHaveLength(6)
    for (const [index, row] of rows.entries()) {
      const entry = JSON.parse(lines[index] as string) as Entry
      for (const name of [
        'id',
        'writer',
        'at',
        'type',
        'haldir',
        'tenant',
        'agent',
        'session',
        'call',
        'tool',
        'prev',
        'hash',
      ] as const) {
        expect(undone(row[name]), name).toBe(entry[name])
      }
      expect(row.seq).toBe(String(entry.seq))
      expect(row.spent).toBe('29.99 USD;900 tokens')
      expect(row.held).toBe('')
      expect([row.code, row.ref, row.verdict, row.more]).toEqual(['', '', '', ''])
      expect(JSON.parse(row.data as string)).toEqual(entry.data)
      expect(JSON.parse(row.chain as string)).toEqual(['p'])
    }
    expect(text.startsWith('id,writer,seq,at,type,')).toBe(true)
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
  })

  it('has nothing in it that a spreadsheet runs, and every text can be had back', () => {
    const entry = JSON.parse(new Chain('w', 'h').append({ type: 'signal', session: NOBODY }, NOON)) as Entry
    const nasty = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc
        .tuple(
          fc.constantFrom('=', '+', '-', '@', '\t', '\r', '\n', "'", "''=", '＝', '＋', '－', '＠', '"', ','),
          fc.string(),
        )
        .map(([a, b]) => a + b),
    )
    fc.assert(
      fc.property(nasty, nasty, (agent, unknown) => {
        const header =
          'id,writer,seq,at,type,haldir,tenant,agent,session,chain,call,ref,tool,toolHash,digest,digestKey,verdict,rule,policyHash,code,held,spent,enforced,durationMs,data,prev,hash,v,more\r\n'
        const [row = {}, ...more] = read(
          header + csvRow({ ...entry, agent, data: { [unknown]: agent }, later: unknown } as Entry),
        )
        expect(more).toEqual([])
        for (const cell of Object.values(row)) expect(cell).not.toMatch(/^[=+\-@\t\r\n＝＋－＠]/)
        expect(undone(row.agent)).toBe(agent)
        expect(JSON.parse(row.data as string)).toEqual({ [unknown]: agent })
        expect(JSON.parse(undone(row.more) as string)).toEqual({ later: unknown })
      }),
    )
  })
})
