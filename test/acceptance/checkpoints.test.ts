import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigError, createHaldir, type Entry, governed, type HaldirOptions, type Sink } from '@haldir/core'
import { checkConsistency, checkInclusion, envSigner } from '@haldir/core/checkpoints'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { verifyFiles } from '@haldir/core/verify'
import { fakeClock, fakeIds } from '@haldir/testing'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { entriesOf, proves } from '../promises.ts'
import { checkedCheckpoints, isSigned, KEYS, noteOf, readNote, signer } from './checkpoint-scene.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-checkpoints-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const look = governed(async () => 'seen', { name: 'look', scope: 'read' })

/** A haldir in memory, by a clock that stands still, with some calls. */
async function scene(options: Partial<HaldirOptions['checkpoints']> = {}, more: HaldirOptions = {}) {
  const clock = fakeClock()
  const sink = memorySink()
  const store = memoryStore({ clock })
  const haldir = createHaldir({
    sinks: [sink],
    store,
    clock,
    ids: fakeIds('id'),
    checkpoints: { signer, ...options },
    ...more,
  })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
  const call = async (times = 1) => {
    for (let n = 0; n < times; n++) await session.run(() => look())
  }
  const entries = () => entriesOf(sink.lines)
  const types = () => entries().map(({ type }) => type)
  const made = () => checkedCheckpoints(entries())
  return { clock, sink, store, haldir, session, call, entries, types, made }
}

describe('checkpoints', () => {
  it('come every so many entries, and cover all that stands before them', async () => {
    proves('trail-signed')
    const { call, made, haldir, entries } = await scene({ every: 5 })
    await call(10)
    expect(made().map(({ size }) => size)).toEqual([1, 6, 11, 16, 21, 26])
    expect(entries()[6]?.type).toBe('checkpoint')
    expect(haldir.health()).toMatchObject({ ok: true, trail: { checkpoints: { made: 6, failed: 0, failing: false } } })
    await haldir.close()
  })

  it('may follow every entry', async () => {
    const { call, types, made, haldir } = await scene({ every: 1 })
    await call(2)
    expect(made().map(({ size }) => size)).toEqual([1, 3, 5, 7, 9, 11])
    expect(types()).toHaveLength(12)
    await haldir.close()
  })

  it('begin when the chain does: a process that dies young leaves nothing unsigned', async () => {
    proves('trail-signed')
    const audit = join(folder, 'audit')
    const haldir = createHaldir({ sinks: [fileSink(audit)], checkpoints: { signer } })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await session.run(() => look())
    // Abandoned here, as by a kill: neither flushed nor closed.
    const left = await verifyFiles(audit, { key: KEYS.publicKey })
    expect(left).toMatchObject({ ok: true, problems: [], writers: [{ closed: false, uncovered: 3 }] })
    const required = await verifyFiles(audit, { key: KEYS.publicKey, requireCheckpoints: true })
    expect(required).toMatchObject({ ok: true, problems: [] })
    await haldir.close()
  })

  it('come after so long, also when nothing has happened, so that silence can be told from a cut end', async () => {
    const { clock, made, haldir, call } = await scene({ interval: '1m' })
    await clock.advance(59_999)
    expect(made().map(({ rest }) => rest[1])).toEqual(['time 2026-01-01T00:00:00.000Z'])
    await clock.advance(1)
    expect(made().map(({ rest }) => rest[1])[1]).toBe('time 2026-01-01T00:01:00.000Z')
    await call(1)
    await clock.advance(180_000)
    expect(made().map(({ rest }) => rest[1]?.slice(16, 21))).toEqual(['00:00', '00:01', '00:02', '00:03', '00:04'])
    await haldir.close()
    expect(clock.timers).toBe(0)
  })

  it('do not come by the clock when there was one by number since', async () => {
    const { clock, made, haldir, call } = await scene({ every: 4, interval: '1m' })
    await clock.advance(40_000)
    await call(1)
    expect(made().map(({ size }) => size)).toEqual([1, 5])
    await clock.advance(59_999)
    expect(made()).toHaveLength(2)
    await clock.advance(1)
    expect(made()).toHaveLength(3)
    await haldir.close()
  })

  it('end the chain: the last one covers the entry that closes it', async () => {
    const { call, types, made, haldir, entries } = await scene()
    await call(1)
    await haldir.close()
    expect(types().slice(-2)).toEqual(['writer-closed', 'checkpoint'])
    expect(made().at(-1)?.size).toBe(entries().length - 1)
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, problems: [], writers: [{ closed: true }] })
  })

  it('end it with one, where one is due at that moment', async () => {
    const { types, haldir } = await scene({ every: 3 })
    const opened = ['writer-opened', 'checkpoint', 'session-created']
    expect(types()).toEqual(opened)
    await haldir.close()
    expect(types()).toEqual([...opened, 'writer-closed', 'checkpoint'])
    expect((await haldir.trail.verify()).problems).toEqual([])
  })

  it('are all that may follow the end, and only one', async () => {
    const audit = join(folder, 'audit')
    const haldir = createHaldir({ sinks: [fileSink(audit)], checkpoints: { signer } })
    await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await haldir.close()
    expect((await verifyFiles(audit)).problems).toEqual([])
  })

  it('are registered in the store, without anybody asking for it', async () => {
    const { store, call, clock, haldir } = await scene({ every: 5 })
    await call(2)
    await clock.advance(0)
    expect(await store.writer.list()).toMatchObject([{ entries: 7, closed: false }])
    await haldir.close()
    expect(await store.writer.list()).toMatchObject([{ entries: 10, closed: true }])
  })

  it('cost nothing where they are not configured: no timer, no entry', async () => {
    const clock = fakeClock()
    const sink = memorySink()
    const haldir = createHaldir({ sinks: [sink], clock, store: memoryStore({ clock }) })
    await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    expect(clock.timers).toBe(0)
    await clock.advance(600_000)
    await haldir.close()
    expect(entriesOf(sink.lines).map(({ type }) => type)).toEqual(['writer-opened', 'session-created', 'writer-closed'])
    expect(haldir.health().trail.checkpoints).toBeUndefined()
  })

  it('fold many entries at once, and between calls', async () => {
    const { call, made, haldir } = await scene({ every: 2_500 })
    await call(700)
    await new Promise((later) => setImmediate(later))
    await call(700)
    expect(made().map(({ size }) => size)).toEqual([1, 2_501])
    await haldir.close()
    expect(made()).toHaveLength(3)
  })
})

describe('a signer', () => {
  test.each([
    [
      'that fails',
      () => {
        throw new Error('the card was taken out')
      },
    ],
    ['that answers nonsense', () => 'signature' as unknown as Uint8Array],
    ['that answers another’s signature', () => new Uint8Array(64)],
    ['that answers later', () => Promise.resolve(new Uint8Array(64)) as unknown as Uint8Array],
  ])('%s stops no call once the trail has begun, and is seen', async (_, broken) => {
    let sign: (message: Uint8Array) => Uint8Array = signer.sign
    const own = { name: signer.name, publicKey: signer.publicKey, sign: (message: Uint8Array) => sign(message) }
    const { call, haldir, made } = await scene({ signer: own, every: 4 })
    sign = broken
    await call(5)
    expect(made().map(({ size }) => size)).toEqual([1])
    // Tried when the next is due, not at every call.
    expect(haldir.health()).toMatchObject({ ok: false, trail: { checkpoints: { made: 1, failed: 3, failing: true } } })
    expect(haldir.health().faults).toMatchObject([{ part: 'signer', count: 3 }])
    expect(JSON.stringify(haldir.health())).not.toContain('card')
    sign = signer.sign
    await call(2)
    expect(made().map(({ size }) => size)).toEqual([1, 17])
    expect(haldir.health()).toMatchObject({ ok: true, trail: { checkpoints: { failed: 3, failing: false } } })
    await haldir.close()
  })

  it('that fails from the start lets no chain begin: nothing is written and nothing runs', async () => {
    let sign: (message: Uint8Array) => Uint8Array = () => new Uint8Array(64)
    const own = { name: signer.name, publicKey: signer.publicKey, sign: (message: Uint8Array) => sign(message) }
    const sink = memorySink()
    const haldir = createHaldir({ sinks: [sink], checkpoints: { signer: own } })
    const created = () => haldir.createSession({ agent: 'bot', scopes: ['read'] })
    for (let n = 0; n < 2; n++) await expect(created()).rejects.toMatchObject({ code: 'unavailable' })
    expect(sink.lines).toEqual([])
    expect(haldir.health()).toMatchObject({ ok: false, trail: { checkpoints: { made: 0, failed: 2, failing: true } } })
    sign = signer.sign
    await (await created()).run(() => look())
    const entries = entriesOf(sink.lines)
    expect(entries.slice(0, 2).map(({ seq, type }) => [seq, type])).toEqual([
      [0, 'writer-opened'],
      [1, 'checkpoint'],
    ])
    expect(new Set(entries.map(({ writer }) => writer)).size).toBe(1)
    expect(checkedCheckpoints(entries).map(({ size }) => size)).toEqual([1])
    await haldir.close()
    expect((await haldir.trail.verify({ key: signer.publicKey })).problems).toEqual([])
  })

  it('has signed before anything is written: the first write holds a checkpoint', async () => {
    const inner = memorySink()
    const writes: string[] = []
    const sink: Sink = {
      ...inner,
      write(lines) {
        writes.push(lines)
        return inner.write(lines)
      },
    }
    const { haldir } = await scene({}, { sinks: [sink] })
    expect(writes[0]?.match(/"type":"[a-z-]+"/g)).toEqual(['"type":"writer-opened"', '"type":"checkpoint"'])
    await haldir.close()
  })

  it('that calls a tool while it signs has not signed what is there then', async () => {
    let again: (() => unknown) | undefined
    const own = {
      ...signer,
      sign(message: Uint8Array) {
        again?.()
        return signer.sign(message)
      },
    }
    const { call, haldir, made, session } = await scene({ signer: own, every: 4 })
    again = () => {
      again = undefined
      session.run(() => look()).catch(() => {})
    }
    await call(3)
    expect(made().length).toBeGreaterThan(1)
    await haldir.close()
    expect((await haldir.trail.verify()).problems).toEqual([])
  })
})

describe('a sink', () => {
  const refusing = () => {
    const inner = memorySink()
    let refuse: unknown
    const sink: Sink = {
      ...inner,
      name: 'moody',
      write(lines) {
        if (refuse) throw refuse
        return inner.write(lines)
      },
    }
    return {
      inner,
      sink,
      refuse: (error: unknown) => {
        refuse = error
      },
    }
  }

  it('that is down is signed nothing for: what waits may never be stored', async () => {
    const { inner, sink, refuse } = refusing()
    const { clock, haldir, session } = await scene({ interval: '1m' }, { sinks: [sink] })
    refuse(new Error('no room'))
    await expect(session.run(() => look())).rejects.toMatchObject({ code: 'unavailable' })
    await clock.advance(180_000)
    refuse(undefined)
    await session.run(() => look())
    expect(checkedCheckpoints(entriesOf(inner.lines)).map(({ size }) => size)).toEqual([1])
    await clock.advance(60_000)
    expect(checkedCheckpoints(entriesOf(inner.lines))).toHaveLength(2)
    await haldir.close()
    expect((await haldir.trail.verify()).problems).toEqual([])
  })

  it('that has lost count ends the chain, its tree and its checkpoints; the next chain has its own', async () => {
    const { inner, sink, refuse } = refusing()
    const { haldir, session } = await scene({ every: 4 }, { sinks: [sink] })
    for (let n = 0; n < 3; n++) await session.run(() => look())
    refuse(Object.assign(new Error('unknown'), { code: 'writer-ended' }))
    await expect(session.run(() => look())).rejects.toMatchObject({ code: 'unavailable' })
    refuse(undefined)
    for (let n = 0; n < 3; n++) await session.run(() => look())
    await haldir.close()
    const chains = Object.values(Object.groupBy(entriesOf(inner.lines), ({ writer }) => writer)) as Entry[][]
    expect(chains).toHaveLength(2)
    for (const chain of chains) expect(checkedCheckpoints(chain).length).toBeGreaterThan(1)
    expect(chains[0]?.at(-1)?.type).not.toBe('writer-closed')
  })

  it('that takes entries again is found by the next beat, and another chain begins', async () => {
    const { inner, sink, refuse } = refusing()
    const { haldir, session, clock } = await scene({ interval: '1m' }, { sinks: [sink] })
    refuse(Object.assign(new Error('unknown'), { code: 'writer-ended' }))
    await expect(session.run(() => look())).rejects.toMatchObject({ code: 'unavailable' })
    await clock.advance(60_000)
    expect(inner.lines).toHaveLength(3)
    refuse(undefined)
    await clock.advance(60_000)
    const chains = Object.values(Object.groupBy(entriesOf(inner.lines), ({ writer }) => writer)) as Entry[][]
    expect(chains).toHaveLength(2)
    expect(checkedCheckpoints(chains[1] as Entry[])).toHaveLength(1)
    expect(haldir.health().ok).toBe(true)
    await haldir.close()
  })

  it('that refuses the checkpoint itself does not get it said again by another writer', async () => {
    const { inner, sink, refuse } = refusing()
    const ended = Object.assign(new Error('unknown'), { code: 'writer-ended' })
    const write = sink.write
    const choosy: Sink = {
      ...sink,
      write(lines) {
        const late = inner.lines.length > 2 && !lines.includes('"after"')
        if (late && inner.lines.every((line) => !line.includes('"after"')) && lines.includes('"type":"checkpoint"'))
          throw ended
        return write(lines)
      },
    }
    const { haldir, session } = await scene({ every: 4 }, { sinks: [choosy] })
    refuse(undefined)
    for (let n = 0; n < 6; n++) await session.run(() => look())
    await haldir.close()
    const chains = Object.values(Object.groupBy(entriesOf(inner.lines), ({ writer }) => writer)) as Entry[][]
    expect(chains).toHaveLength(2)
    expect(checkedCheckpoints(chains[0] as Entry[]).map(({ size }) => size)).toEqual([1])
    expect(checkedCheckpoints(chains[1] as Entry[]).length).toBeGreaterThan(1)
  })

  it('that refuses the first of all ends that writer, and the next begins signed', async () => {
    const inner = memorySink()
    let once = true
    const sink: Sink = {
      ...inner,
      name: 'moody',
      write(lines) {
        if (!once || !lines.includes('"type":"checkpoint"')) return inner.write(lines)
        once = false
        throw Object.assign(new Error('unknown'), { code: 'writer-ended' })
      },
    }
    const haldir = createHaldir({ sinks: [sink], checkpoints: { signer } })
    const created = () => haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await expect(created()).rejects.toMatchObject({ code: 'unavailable' })
    await (await created()).run(() => look())
    await haldir.flush()
    const chains = Object.values(Object.groupBy(entriesOf(inner.lines), ({ writer }) => writer)) as Entry[][]
    expect(chains.map((chain) => checkedCheckpoints(chain).length)).toEqual([1])
    await haldir.close()
    expect((await haldir.trail.verify()).problems).toEqual([])
  })

  it('that is always busy gets checkpoints as well', async () => {
    const inner = memorySink()
    const slow: Sink = {
      ...inner,
      name: 'slow',
      async write(lines) {
        await new Promise((later) => setImmediate(later))
        inner.write(lines)
      },
    }
    const { haldir, session } = await scene({ every: 20 }, { sinks: [slow] })
    const lane = async () => {
      for (let n = 0; n < 10; n++) await session.run(() => look())
    }
    await Promise.all(Array.from({ length: 8 }, lane))
    const checked = checkedCheckpoints(entriesOf(inner.lines))
    expect(checked.length).toBeGreaterThanOrEqual(7)
    await haldir.close()
    expect((await haldir.trail.verify()).problems).toEqual([])
  })
})

describe('the option `checkpoints`', () => {
  const bad = (checkpoints: unknown) => () => createHaldir({ checkpoints: checkpoints as never, sinks: [memorySink()] })

  test.each([
    ['checkpoints.signer', {}],
    ['checkpoints.signer', { signer: { sign: () => new Uint8Array(64), name: 'a', publicKey: 'b' } }],
    ['checkpoints.signer', { signer: { ...signer, name: 'other.example' } }],
    ['checkpoints.signer', { signer: KEYS.signingKey }],
    ['checkpoints.evry', { signer, evry: 1 }],
    ['checkpoints.every', { signer, every: 0 }],
    ['checkpoints.every', { signer, every: 1.5 }],
    ['checkpoints.interval', { signer, interval: 'soon' }],
    ['checkpoints.witnesses', { signer, witnesses: {} }],
    ['checkpoints.witnesses.0', { signer, witnesses: [{ name: 'a' }] }],
    [
      'checkpoints.witnesses.1',
      {
        signer,
        witnesses: [
          { name: 'a', add: () => {} },
          { name: 'a', add: () => {} },
        ],
      },
    ],
  ])('names %s', (path, options) => {
    expect(bad(options)).toThrow(expect.objectContaining({ code: 'invalid-option', path }))
    try {
      bad(options)()
    } catch (error) {
      expect((error as ConfigError).message).not.toContain('PRIVATE')
    }
  })
})

describe('proofs', () => {
  it('of every entry hold without the trail, and of no other', async () => {
    proves('trail-proofs')
    const { haldir, call, entries } = await scene({ every: 7 })
    await call(12)
    const all = entries()
    const latest = all.findLast(({ type }) => type === 'checkpoint') as Entry
    for (const entry of all.slice(0, latest.seq)) {
      const proof = await haldir.trail.prove(entry.id)
      expect(proof).toMatchObject({ index: entry.seq, size: latest.seq, checkpoint: noteOf(latest) })
      expect(JSON.parse(proof.entry)).toEqual(entry)
      const checked = checkInclusion(proof, KEYS.publicKey)
      expect(checked).toMatchObject({ ok: true, entry: proof.entry, checkpoint: { size: latest.seq }, cosigned: [] })
      expect(checkInclusion(proof.text, KEYS.publicKey)).toEqual(checked)
    }
    await haldir.close()
  })

  it('against an earlier checkpoint, and of what is not covered yet', async () => {
    const { haldir, call, entries } = await scene({ every: 7 })
    await call(6)
    const first = entries()[0] as Entry
    const proof = await haldir.trail.prove(first.id, { size: 8 })
    expect(checkInclusion(proof, KEYS.publicKey)).toMatchObject({ ok: true, checkpoint: { size: 8 } })
    const fails = (id: string, options = {}) => expect(haldir.trail.prove(id, options)).rejects
    await fails(entries().at(-1)?.id as string).toMatchObject({ code: 'not-covered' })
    await fails(entries()[9]?.id as string, { size: 8 }).toMatchObject({ code: 'not-covered' })
    await fails(first.id, { size: 9 }).toMatchObject({ code: 'not-covered' })
    await fails(first.id, { sise: 9 }).toMatchObject({ code: 'invalid-option' })
    for (const id of ['', 'x', `${first.writer}:99`, 'nobody:0', `${first.writer}:01`, `${first.writer}:-1`]) {
      await fails(id).toMatchObject({ code: 'unknown-entry' })
    }
    await haldir.close()
  })

  it('are refused when anything in them is changed', async () => {
    const { haldir, call, entries } = await scene({ every: 7 })
    await call(12)
    const other = createHaldir({ sinks: [memorySink()], checkpoints: { signer, every: 2 } })
    await other.createSession({ agent: 'x', scopes: ['read'] })
    await other.flush()
    const foreign = (await Array.fromAsync(other.trail.query({ type: 'checkpoint' })))[0] as Entry
    const proof = await haldir.trail.prove(entries()[4]?.id as string)
    const third = await haldir.trail.prove(entries()[5]?.id as string)
    const wrong: [string, unknown][] = [
      ['entry', { ...proof, entry: proof.entry.replace('"ended":"ok"', '"ended":"no"') }],
      ['entry', { ...proof, entry: third.entry }],
      ['entry', { ...proof, index: 5 }],
      ['entry', { ...proof, size: 8 }],
      ['malformed', { ...proof, entry: undefined }],
      ['malformed', { ...proof, path: 'x' }],
      ['malformed', { ...proof, path: [...proof.path.slice(1), 'x'] }],
      ['malformed', { ...proof, path: Array(65).fill(proof.path[0]) }],
      ['path', { ...proof, path: proof.path.slice(1) }],
      ['path', { ...proof, path: [...proof.path, proof.path[0]] }],
      ['path', { ...proof, path: third.path }],
      ['unsigned', { ...proof, checkpoint: noteOf(foreign) }],
      ['signature', { ...proof, checkpoint: proof.checkpoint.replace('time 2026', 'time 2025') }],
      ['malformed', { ...proof, checkpoint: 'x' }],
      ['malformed', undefined],
      ['malformed', ''],
      ['malformed', proof.text.replace('@v1', '@v2')],
      ['malformed', proof.text.replace('index 4', 'index 04')],
      ['entry', proof.text.replace('index 4', 'index 5')],
      ['malformed', proof.text.slice(0, -1)],
    ]
    for (const [problem, changed] of wrong) {
      expect(checkInclusion(changed as string, KEYS.publicKey), `${problem} ${JSON.stringify(changed)}`).toEqual({
        ok: false,
        problem,
      })
    }
    expect(checkInclusion(proof, 'x')).toEqual({ ok: false, problem: 'key' })
    expect(checkInclusion(proof, KEYS.publicKey, ['x'])).toEqual({ ok: false, problem: 'key' })
    await haldir.close()
    await other.close()
  })

  it('are refused after any single change to their text', async () => {
    const { haldir, call, entries } = await scene({ every: 7 })
    await call(6)
    const { text } = await haldir.trail.prove(entries()[3]?.id as string)
    expect(checkInclusion(text, KEYS.publicKey).ok).toBe(true)
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ unit: 'binary', maxLength: 2 }), (at, other) => {
        for (const length of [0, 1]) {
          const changed = `${text.slice(0, at)}${other}${text.slice(at + length)}`
          if (changed !== text) expect(checkInclusion(changed, KEYS.publicKey).ok).toBe(false)
        }
      }),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (proof, key) => {
        expect(checkInclusion(proof as string, KEYS.publicKey).ok).toBe(false)
        expect(checkInclusion(text, key as string).ok).toBe(false)
        expect(checkConsistency(proof as never, KEYS.publicKey).ok).toBe(false)
      }),
    )
    await haldir.close()
  })

  it('are not made of a trail that is not what was signed', async () => {
    const audit = join(folder, 'audit')
    const haldir = createHaldir({ sinks: [fileSink(audit)], checkpoints: { signer, every: 5 } })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    for (let n = 0; n < 6; n++) await session.run(() => look())
    const path = join(audit, readdirSync(audit).find((name) => name.endsWith('.jsonl')) as string)
    const whole = readFileSync(path, 'utf8')
    const lines = whole.split('\n')
    const id = (JSON.parse(lines[2] as string) as Entry).id
    const older = noteOf(JSON.parse(lines[6] as string) as Entry)
    const ok = await haldir.trail.proveConsistency(older)
    expect(checkConsistency(ok, KEYS.publicKey)).toMatchObject({ ok: true, older: { size: 6 }, newer: { size: 16 } })
    // All that carries the hash of one entry is changed: as somebody does who rewrites the file.
    for (const at of [1, 7]) {
      const hash = (JSON.parse(lines[at] as string) as Entry).hash
      writeFileSync(path, whole.replaceAll(hash, '0'.repeat(64)))
      await expect(haldir.trail.prove(id)).rejects.toMatchObject({ code: 'not-consistent' })
      await expect(haldir.trail.proveConsistency(older)).rejects.toMatchObject({ code: 'not-consistent' })
    }
    writeFileSync(path, `${lines.slice(0, 4).join('\n')}\n`)
    await expect(haldir.trail.proveConsistency(older)).rejects.toMatchObject({ code: 'not-consistent' })
    await expect(haldir.trail.prove(id)).rejects.toMatchObject({ code: 'not-covered' })
    writeFileSync(path, whole.replace(/^.*\n/, 'x\n'))
    await expect(haldir.trail.prove(id)).rejects.toMatchObject({ code: 'not-consistent' })
    writeFileSync(path, whole)
    await haldir.close()
  })

  it('of consistency hold between all checkpoints of a chain, and between no others', async () => {
    const { haldir, call, entries } = await scene({ every: 3 })
    await call(10)
    const notes = entries()
      .filter(({ type }) => type === 'checkpoint')
      .map(noteOf)
    for (const [from, older] of notes.entries()) {
      for (const newer of notes.slice(from)) {
        const proof = await haldir.trail.proveConsistency(older, newer)
        expect(proof).toMatchObject({ older, newer })
        expect(checkConsistency(proof, KEYS.publicKey)).toMatchObject({ ok: true })
        const twisted = { older: newer, newer: older, path: proof.path }
        if (older !== newer) {
          expect(checkConsistency(twisted, KEYS.publicKey).ok).toBe(false)
          await expect(haldir.trail.proveConsistency(newer, older)).rejects.toMatchObject({ code: 'not-consistent' })
          const cut = { ...proof, path: proof.path.slice(1) }
          expect(checkConsistency(cut, KEYS.publicKey)).toEqual({ ok: false, problem: 'path' })
        }
      }
    }
    const latest = await haldir.trail.proveConsistency(notes[0] as string)
    expect(latest.newer).toBe(notes.at(-1))
    const forged = (notes[1] as string).replace('time 2026', 'time 2025')
    expect(checkConsistency({ ...latest, newer: forged }, KEYS.publicKey)).toEqual({ ok: false, problem: 'signature' })
    expect(checkConsistency({ ...latest, older: forged }, KEYS.publicKey)).toEqual({ ok: false, problem: 'signature' })
    for (const bad of [undefined, {}, { ...latest, path: 1 }, { ...latest, older: 1 }]) {
      expect(checkConsistency(bad as never, KEYS.publicKey)).toEqual({ ok: false, problem: 'malformed' })
    }
    await expect(haldir.trail.proveConsistency('x')).rejects.toMatchObject({ code: 'malformed' })
    await haldir.close()
  })

  it('of the trail of several writers are each writer’s own', async () => {
    const audit = join(folder, 'audit')
    const writers = ['one', 'two'].map((name) =>
      createHaldir({ name, sinks: [fileSink(audit)], checkpoints: { signer, every: 4 } }),
    )
    for (const haldir of writers) {
      const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
      for (let n = 0; n < 4; n++) await session.run(() => look())
    }
    const [one] = writers
    for await (const { id, type } of one?.trail.query({ type: 'intent' }) ?? []) {
      expect(type).toBe('intent')
      const proof = await one?.trail.prove(id).catch(({ code }) => code)
      if (typeof proof === 'object') expect(checkInclusion(proof, KEYS.publicKey).ok).toBe(true)
      else expect(proof).toBe('not-covered')
    }
    for (const haldir of writers) await haldir.close()
  })
})

it('the key of another haldir signs under the same name, and is told apart', async () => {
  const { call, haldir, entries } = await scene({ every: 5 })
  await call(2)
  const note = readNote(noteOf(entries()[6]))
  expect(isSigned(note)).toBe(true)
  expect(isSigned({ ...note, text: note.text.replace('time', 'tame') })).toBe(false)
  expect(() => envSigner('KEY', { env: { KEY: KEYS.publicKey } })).toThrow('does not hold a signing key')
  await haldir.close()
})
