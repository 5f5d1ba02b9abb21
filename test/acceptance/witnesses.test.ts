import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHaldir, type Entry, governed, type Sink } from '@haldir/core'
import {
  checkInclusion,
  fileWitness,
  type HttpWitnessOptions,
  httpWitness,
  notesIn,
  type Witness,
  type WitnessAnswer,
  type WitnessedCheckpoint,
} from '@haldir/core/checkpoints'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { verifyFiles } from '@haldir/core/verify'
import { fakeClock } from '@haldir/testing'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { entriesOf, proves } from '../promises.ts'
import { checkedCheckpoints, KEYS, noteOf, readNote, signer, WitnessServer } from './checkpoint-scene.ts'

let server: WitnessServer
let folder: string
beforeEach(async () => {
  server = new WitnessServer()
  await server.listen()
  folder = mkdtempSync(join(tmpdir(), 'haldir-witness-'))
})
afterEach(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

const look = governed(async () => 'seen', { name: 'look', scope: 'read' })

const witness = (options: Partial<HttpWitnessOptions> = {}) =>
  httpWitness({
    url: `http://${server.host}/log`,
    name: 'w1',
    vkey: server.vkey,
    privateHosts: [server.host],
    ...options,
  })

async function scene(witnesses: readonly Witness[], every = 4) {
  const sink = memorySink()
  const haldir = createHaldir({ sinks: [sink], checkpoints: { signer, every, witnesses, interval: '1h' } })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
  const entries = () => entriesOf(sink.lines)
  const call = async (times = 1) => {
    for (let n = 0; n < times; n++) await session.run(() => look())
  }
  const health = () => haldir.health().trail.checkpoints?.witnesses.w1
  return { haldir, call, entries, health, sink }
}

/** The last checkpoint of the only chain. */
const last = (entries: readonly Entry[]) => entries.findLast(({ type }) => type === 'checkpoint') as Entry

describe('a witness over HTTP', () => {
  it('is shown checkpoints with proofs that it can check, and what it signs stands in the next', async () => {
    proves('trail-witnessed')
    const { haldir, call, entries, health } = await scene([witness()])
    for (let n = 0; n < 8; n++) {
      await call(n)
      await haldir.flush()
    }
    await haldir.close()
    const checkpoints = checkedCheckpoints(entries())
    expect(new Set(server.answers)).toEqual(new Set([200]))
    expect(server.answers.length).toBeGreaterThan(6)
    expect(health()).toEqual({ size: last(entries()).seq, failed: 0 })
    // The last of all has been shown too: nothing can be cut off behind it.
    const [[origin, seen]] = [...server.seen] as [[string, { size: number; root: Buffer }]]
    expect(origin).toBe(`acme.example/haldir/${entries()[0]?.writer}`)
    expect(seen.size).toBe(entries().length - 1)
    expect(seen.root).toEqual(checkpoints.at(-1)?.root)
    const cosigned = entries().flatMap(({ data }) => (data.cosigned ?? []) as { size: number; signatures: string[] }[])
    expect(cosigned.length).toBeGreaterThan(5)
    // Said once, and of a checkpoint that was made.
    expect(new Set(cosigned.map(({ size }) => size)).size).toBe(cosigned.length)
    for (const { size, signatures } of cosigned) {
      const note = noteOf(entries()[size])
      expect(signatures).toHaveLength(1)
      expect(readNote(`${note}${signatures[0]}\n`).lines.map(({ name }) => name)).toEqual([origin, server.name])
    }
  })

  it('signs proofs as well: one holds against both keys', async () => {
    const { haldir, call, entries } = await scene([witness()])
    await call(3)
    await haldir.flush()
    await call(6)
    const proof = await haldir.trail.prove(entries()[1]?.id as string)
    const checked = checkInclusion(proof, KEYS.publicKey, [server.vkey])
    expect(checked).toMatchObject({ ok: true, cosigned: [{ name: server.name, time: 1_767_225_600 }] })
    expect(checkInclusion(proof.text, KEYS.publicKey, [server.vkey])).toEqual(checked)
    expect(checkInclusion(proof, KEYS.publicKey)).toMatchObject({ ok: true, cosigned: [] })
    await haldir.close()
  })

  it.each([
    ['down', 'the witness answered with status 503'],
    ['redirect', 'the witness answered with status 302'],
    ['garbage', 'the witness did not sign the checkpoint'],
    ['huge', 'the witness answered too much'],
    ['unsigned', 'the witness did not sign the checkpoint'],
    ['lost', expect.any(String)],
  ] as const)(
    'that is in trouble (%s) stops no call, is counted, and catches up with the next checkpoint',
    async (trouble, why) => {
      const { haldir, call, entries, health } = await scene([witness()])
      await call(1)
      await haldir.flush()
      expect(health()).toEqual({ size: 5, failed: 0 })
      server.trouble = trouble
      await call(2)
      await haldir.flush()
      await call(6)
      await haldir.flush()
      const failed = health()?.failed as number
      expect(failed).toBeGreaterThanOrEqual(2)
      expect(health()?.size).toBe(5)
      expect(haldir.health().faults).toContainEqual({ part: 'witness w1', count: failed, last: why })
      server.trouble = undefined
      await call(6)
      await haldir.close()
      expect(health()).toEqual({ size: last(entries()).seq, failed })
      expect((await haldir.trail.verify()).problems).toEqual([])
      // What it has taken without an answer is found out by asking, not by proving something else.
      expect(server.answers).not.toContain(422)
    },
  )

  it('that does not answer is not waited for by calls, and not for ever by `close`', async () => {
    server.trouble = 'slow'
    const { haldir, call, health } = await scene([witness({ timeout: '50ms' })])
    await call(20)
    await haldir.close()
    expect(health()).toMatchObject({ size: 0 })
    expect(health()?.failed).toBeGreaterThan(0)
  })

  it('that knows another chain under this name is a failure, whatever is said to it', async () => {
    const { haldir, call, entries, health } = await scene([witness()])
    await call(1)
    await haldir.flush()
    const [origin] = server.seen.keys()
    server.seen.set(origin as string, { size: 3, root: Buffer.alloc(32) })
    await call(4)
    await haldir.flush()
    expect(server.answers).toContain(409)
    expect(health()?.failed).toBeGreaterThan(0)
    // One whose tree is another although its size is right gets no proof that holds.
    server.seen.set(origin as string, { size: 5, root: Buffer.alloc(32) })
    await call(4)
    await haldir.flush()
    expect(server.answers).toContain(422)
    expect(health()?.size).toBe(5)
    await haldir.close()
    checkedCheckpoints(entries())
  })

  it('that has forgotten everything is told from the beginning', async () => {
    const { haldir, call, entries, health } = await scene([witness()])
    await call(2)
    await haldir.flush()
    server.seen.clear()
    await call(4)
    await haldir.close()
    expect(server.olds).toContain(0)
    expect(health()).toEqual({ size: last(entries()).seq, failed: 0 })
  })

  it.each([
    [
      404,
      () => {
        server.known = () => false
      },
    ],
    [
      403,
      () => {
        server.trusts = () => false
      },
    ],
  ])('that answers %i has not taken it', async (status, make) => {
    make()
    const { haldir, call, health } = await scene([witness()])
    await call(3)
    await haldir.close()
    expect(new Set(server.answers)).toEqual(new Set([status]))
    expect(health()).toMatchObject({ size: 0 })
  })

  it('whose key is not known is shown them all the same, and nothing of its answers is kept', async () => {
    const { vkey: _, ...rest } = { url: `http://${server.host}/log`, vkey: '', privateHosts: [server.host] }
    const { haldir, call, entries } = await scene([httpWitness(rest)])
    await call(6)
    await haldir.close()
    expect(server.answers.every((status) => status === 200)).toBe(true)
    expect(entries().every(({ data }) => data.cosigned === undefined)).toBe(true)
    server.trouble = 'down'
    const second = await scene([httpWitness({ ...rest, name: 'w1' })])
    await second.haldir.close()
    expect(second.health()).toEqual({ size: 0, failed: 2 })
  })

  it('of another key than it was said to be has signed nothing', async () => {
    const other = new WitnessServer()
    const { haldir, call, health } = await scene([witness({ vkey: other.vkey })])
    await call(3)
    await haldir.close()
    expect(health()).toMatchObject({ size: 0 })
  })

  it('of one writer knows nothing of another’s chain', async () => {
    for (let n = 0; n < 2; n++) {
      const { haldir, call } = await scene([witness()])
      await call(3)
      await haldir.close()
    }
    expect(server.seen.size).toBe(2)
    expect(new Set(server.answers)).toEqual(new Set([200]))
  })

  it('gets the last checkpoint of a trail whose sinks and store take their time, and the chain counts as closed', async () => {
    const later = () => new Promise<void>((done) => void setTimeout(done, 5))
    const inner = memorySink()
    const store = memoryStore()
    const { put } = store.writer
    const sink: Sink = { ...inner, name: 'slow', write: async (lines) => later().then(() => inner.write(lines)) }
    const writer = { ...store.writer, put: async (row: Parameters<typeof put>[0]) => later().then(() => put(row)) }
    const haldir = createHaldir({
      sinks: [sink],
      store: { ...store, writer },
      checkpoints: { signer, every: 3, witnesses: [witness()] },
    })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await session.run(() => look())
    await haldir.close()
    const entries = entriesOf(inner.lines)
    expect(entries.at(-1)?.type).toBe('checkpoint')
    expect([...server.seen.values()]).toMatchObject([{ size: entries.length - 1 }])
    expect(await store.writer.list()).toMatchObject([{ entries: entries.length, closed: true }])
  })

  it('gets the last checkpoint where nothing but `close` was called', async () => {
    const { haldir, entries } = await scene([witness()], 1_000)
    await haldir.close()
    expect([...server.seen.values()]).toMatchObject([{ size: entries().length - 1 }])
  })
})

describe('where a witness may be', () => {
  test.each([
    ['nothing', undefined],
    ['no URL', 'witness'],
    ['plain http', 'http://witness.example.com/'],
    ['this machine', 'https://127.0.0.1/'],
    ['this machine, spelt otherwise', 'https://0x7f.1/'],
    ['cloud metadata', 'https://169.254.169.254/'],
    ['a name that leads inside', 'https://localhost/'],
    ['a file', 'file:///etc/passwd'],
    ['a user', 'https://me:secret@witness.example.com/'],
    ['a query', 'https://witness.example.com/?to=x'],
  ])('not %s', (_, url) => {
    expect(() => httpWitness({ url: url as string })).toThrow(
      expect.objectContaining({ code: 'invalid-option', path: 'url' }),
    )
    try {
      httpWitness({ url: url as string })
    } catch (error) {
      expect(String(error)).not.toContain('secret')
    }
  })

  test.each([
    ['vkey', { vkey: KEYS.signingKey }],
    ['privateHosts', { privateHosts: 'x' }],
    ['privateHosts.0', { privateHosts: ['http://x'] }],
    ['timeout', { timeout: 'soon' }],
    ['fetch', { fetch: 1 }],
    ['lookup', { lookup: 1 }],
    ['name', { name: '' }],
    ['key', { key: 1 }],
  ])('and the option %s is checked', (path, options) => {
    const made = () => httpWitness({ url: 'https://witness.example.com', ...(options as object) })
    expect(made).toThrow(expect.objectContaining({ code: 'invalid-option', path }))
  })

  it('not behind a name that leads inside when it is looked up', async () => {
    const looked: string[] = []
    const lookup = (name: string) => {
      looked.push(name)
      return ['127.0.0.1']
    }
    const url = `https://witness.example.com:${server.host.split(':')[1]}/log`
    const { haldir, call, health } = await scene([witness({ url, lookup })])
    await call(3)
    await haldir.close()
    expect(looked).toContain('witness.example.com')
    expect(server.connections).toBe(0)
    expect(health()).toMatchObject({ size: 0 })
  })

  it('speaks by a `fetch` of one’s own, which is told to follow nothing', async () => {
    const asked: [string, RequestInit][] = []
    const fetch = async (url: string, init: RequestInit) => {
      asked.push([url, init])
      return new Response('', { status: 500 })
    }
    const { haldir, call } = await scene([
      httpWitness({ url: 'https://witness.example.com/a/', fetch, clock: fakeClock() }),
    ])
    await call(3)
    await haldir.close()
    expect(asked[0]?.[0]).toBe('https://witness.example.com/a/add-checkpoint')
    expect(asked[0]?.[1]).toMatchObject({ method: 'POST', redirect: 'manual' })
    expect(asked[0]?.[1].body).toMatch(/^old 0\n\nacme\.example\/haldir\//)
  })
})

describe('a file as a witness', () => {
  it('holds every checkpoint it was shown, one note after another, for its owner alone', async () => {
    const path = join(folder, 'checkpoints')
    const { haldir, call, entries } = await scene([fileWitness(path)])
    for (let n = 0; n < 4; n++) {
      await call(3)
      await haldir.flush()
    }
    await haldir.close()
    const notes = notesIn(readFileSync(path, 'utf8'))
    const made = new Set(
      entries()
        .filter(({ type }) => type === 'checkpoint')
        .map(noteOf),
    )
    expect(notes.length).toBeGreaterThan(3)
    for (const note of notes) expect(made).toContain(note)
    expect(notes.at(-1)).toBe(noteOf(last(entries())))
    expect(statSync(path).mode & 0o777).toBe(0o600)
    // What was cut short in the middle of a write is no note.
    const text = readFileSync(path, 'utf8')
    for (let end = text.length - 2; end > text.length - 120; end--) {
      expect(notesIn(text.slice(0, end))).toEqual(notes.slice(0, -1))
    }
  })

  it('holds what the trail is verified against: a cut end is found, wherever it was cut', async () => {
    proves('trail-witnessed', 'trail-signed')
    const [audit, path] = [join(folder, 'audit'), join(folder, 'checkpoints')]
    const witnesses = [fileWitness(path), witness()]
    const haldir = createHaldir({ sinks: [fileSink(audit)], checkpoints: { signer, every: 5, witnesses } })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    for (let n = 0; n < 10; n++) {
      await session.run(() => look())
      await haldir.flush()
    }
    await haldir.close()
    const trusted = notesIn(readFileSync(path, 'utf8'))
    const verified = () => verifyFiles(audit, { key: KEYS.publicKey, trusted, tree: true })
    expect(await verified()).toMatchObject({ ok: true, problems: [], writers: [{ uncovered: 0 }] })
    const file = join(audit, readdirSync(audit).find((name) => name.endsWith('.jsonl')) as string)
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
    for (let left = 1; left < lines.length - 1; left++) {
      writeFileSync(file, `${lines.slice(0, left).join('\n')}\n`)
      expect((await verified()).problems.map(({ kind }) => kind)).toContain('truncated')
    }
  })

  it('that can not be written stops nothing', async () => {
    const { haldir, call } = await scene([fileWitness(join(folder, 'missing', 'checkpoints'))])
    await call(6)
    await haldir.close()
    const [seen] = Object.values(haldir.health().trail.checkpoints?.witnesses ?? {})
    expect(seen).toMatchObject({ size: 0 })
    expect(seen?.failed).toBeGreaterThan(0)
    expect(haldir.health().faults).toContainEqual(expect.objectContaining({ last: 'ENOENT' }))
  })

  test.each([undefined, '', 1, 'a\0b'])('%j is no path', (path) => {
    expect(() => fileWitness(path as string)).toThrow(expect.objectContaining({ code: 'invalid-option', path: 'path' }))
  })
})

describe('a witness of one’s own', () => {
  const own = (add: (checkpoint: WitnessedCheckpoint) => unknown): Witness => ({
    name: 'w1',
    add: add as (checkpoint: WitnessedCheckpoint) => WitnessAnswer,
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no'))],
    ['answers a text', () => 'yes'],
    ['answers no list', () => ({ cosignatures: 'x' })],
    ['answers lines that are none', () => ({ cosignatures: ['x\n\n— y z'] })],
    ['answers too many', () => ({ cosignatures: Array(17).fill('— w AAAAAAAAAAAA') })],
    ['answers a size that is none', () => ({ size: 'x' })],
    ['answers the size it was asked with', ({ oldSize }: WitnessedCheckpoint) => ({ size: oldSize + 1 })],
    ['forgets again and again', () => ({ size: 0 })],
  ])('that %s has not taken it, and stops nothing', async (_, add) => {
    const { haldir, call, entries, health } = await scene([own(add)])
    await call(8)
    await haldir.close()
    expect(health()?.size).toBe(0)
    expect(health()?.failed).toBeGreaterThan(0)
    expect((await haldir.trail.verify()).problems).toEqual([])
    expect(entries().every(({ data }) => data.cosigned === undefined)).toBe(true)
  })

  it('is offered one at a time, and of those that wait the latest', async () => {
    const seen: [number, number][] = []
    let go: () => void = () => {}
    const { haldir, call, entries } = await scene([
      own(({ size, oldSize }) => {
        seen.push([oldSize, size])
        return new Promise<void>((taken) => {
          go = taken
        })
      }),
    ])
    await call(10)
    expect(seen).toEqual([[0, 1]])
    const latest = last(entries()).seq
    expect(latest).toBeGreaterThan(20)
    go()
    await new Promise((later) => setImmediate(later))
    expect(seen).toEqual([
      [0, 1],
      [1, latest],
    ])
    go()
    const closing = haldir.close()
    for (let turn = 0; turn < 20 && seen.length < 3; turn++) await new Promise((later) => setImmediate(later))
    go()
    await closing
    expect(seen.at(-1)?.[0]).toBe(latest)
  })

  it('is let go of when the haldir closes', async () => {
    let closed = 0
    const { haldir } = await scene([{ ...own(() => undefined), close: () => void closed++ }])
    await haldir.close()
    expect(closed).toBe(1)
  })
})
