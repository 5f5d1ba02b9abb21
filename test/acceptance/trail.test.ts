import { randomUUID } from 'node:crypto'
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError, createHaldir, type Entry, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { verifyFiles } from '@haldir/core/verify'
import { fakeClock, fakeIds } from '@haldir/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { entriesOf, proves } from '../promises.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-trail-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const look = governed(async () => 'seen', { name: 'look', scope: 'read' })
const pay = governed(async ({ amount }: { amount: number }) => amount, {
  name: 'pay',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
})

describe('the trail in files', () => {
  it('verifies without the application, and names an inner entry that was changed', async () => {
    proves('trail-immutable')
    const audit = join(folder, 'audit')
    const haldir = createHaldir({ sinks: [fileSink(audit)] })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read', 'spend:50'] })
    for (const amount of [1, 2, 3]) await session.run(() => pay({ amount }))
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, problems: [], orphans: [] })
    await haldir.close()
    expect(await verifyFiles(audit)).toMatchObject({ ok: true, writers: [{ entries: 9, closed: true }] })

    const [name] = readdirSync(audit)
    const before = readFileSync(join(audit, name as string), 'utf8')
    const lines = before.split('\n')
    lines[4] = (lines[4] as string).replace('"amount":"2"', '"amount":"9"')
    writeFileSync(join(audit, name as string), lines.join('\n'))
    const { ok, problems } = await verifyFiles(audit)
    expect(ok).toBe(false)
    expect(problems).toEqual([
      expect.objectContaining({ kind: 'hash', place: `${name}:5`, entry: expect.stringMatching(/:4$/) }),
    ])
    // Verifying only reads.
    expect(readFileSync(join(audit, name as string), 'utf8')).toBe(lines.join('\n'))
  })

  it('misses neither a cut end nor a vanished file, when the store is asked', async () => {
    const audit = join(folder, 'audit')
    const store = memoryStore()
    const first = createHaldir({ store, sinks: [fileSink(audit)] })
    const session = await first.createSession({ agent: 'bot', scopes: ['read'] })
    await session.run(() => look())
    await first.close()
    const [name = ''] = readdirSync(audit)
    const second = createHaldir({ store, sinks: [fileSink(audit)] })
    await second.createSession({ agent: 'bot', scopes: ['read'] })
    expect((await second.trail.verify()).ok).toBe(true)

    copyFileSync(join(audit, name), join(folder, name))
    const text = readFileSync(join(audit, name), 'utf8')
    writeFileSync(join(audit, name), text.slice(0, text.trimEnd().lastIndexOf('\n') + 1))
    expect((await verifyFiles(audit)).ok).toBe(true)
    expect((await second.trail.verify()).problems).toEqual([expect.objectContaining({ kind: 'truncated' })])
    rmSync(join(audit, name))
    expect((await second.trail.verify()).problems).toEqual([expect.objectContaining({ kind: 'missing-writer' })])
    await second.close()
  })

  it('records what a crash cut off, and where', async () => {
    const audit = join(folder, 'audit')
    const first = createHaldir({ sinks: [fileSink(audit)] })
    await first.createSession({ agent: 'bot', scopes: [] })
    const [name = ''] = readdirSync(audit).filter((file) => file.endsWith('.jsonl'))
    writeFileSync(join(audit, name), '{"v":1,"torn', { flag: 'a' })
    rmSync(join(audit, name.replace('-1.jsonl', '.lock')))
    expect((await verifyFiles(audit)).problems[0]?.kind).toBe('torn')

    const second = createHaldir({ sinks: [fileSink(audit)] })
    await second.createSession({ agent: 'bot', scopes: [] })
    const [entry] = await collect(second.trail.query({ type: 'recovery' }))
    expect(entry?.data).toEqual({ writer: name.slice(6, -8), file: name, bytes: 12 })
    expect((await verifyFiles(audit)).ok).toBe(true)
    await second.close()
  })

  it('throws for a folder that is none', async () => {
    await expect(verifyFiles(join(folder, 'nowhere'))).rejects.toSatisfy(ConfigError.isInstance)
  })
})

describe('query', () => {
  it('answers by agent, tenant, tool, type, code and time, and refuses what it does not understand', async () => {
    proves('trail-query', 'every-call-logged')
    const clock = fakeClock()
    const haldir = createHaldir({ clock, store: memoryStore({ clock }), sinks: [memorySink()], name: 'orders' })
    const bot = await haldir.createSession({ agent: 'order-bot', tenant: 'acme', scopes: ['spend:5'], ttl: '2d' })
    const other = await haldir.createSession({ agent: 'mail-bot', scopes: ['read'] })
    await bot.run(() => pay({ amount: 4 }))
    await other.run(() => look())
    await clock.advance(3_600_000)
    await expect(bot.run(() => pay({ amount: 4 }))).rejects.toThrow('budget-exceeded')

    const ask = async (filter: object) => (await collect(haldir.trail.query(filter))).map(({ type }) => type)
    expect(await ask({ agent: 'order-bot' })).toEqual(['session-created', 'intent', 'outcome', 'refusal'])
    expect(await ask({ tenant: 'default' })).toEqual(['session-created', 'intent', 'outcome'])
    expect(await ask({ tool: 'pay', type: ['intent', 'refusal'] })).toEqual(['intent', 'refusal'])
    expect(await ask({ code: 'budget-exceeded' })).toEqual(['refusal'])
    expect(await ask({ since: new Date(clock.now()) })).toEqual(['refusal'])
    expect(await ask({ until: new Date(clock.now()), session: bot.id, limit: 2 })).toEqual([
      'session-created',
      'intent',
    ])
    const [intent] = await collect(haldir.trail.query({ agent: 'order-bot', type: 'intent' }))
    expect(intent).toMatchObject({ at: '2026-01-01T00:00:00.000Z', haldir: 'orders', tool: 'pay', session: bot.id })
    for (const bad of [{ agnet: 'x' }, { type: 'intend' }, { since: 'yesterday' }, { limit: -1 }]) {
      await expect(ask(bad)).rejects.toSatisfy(ConfigError.isInstance)
    }
    await haldir.close()
  })
})

describe('several sinks', () => {
  it('get the same lines, hashed once; one that is not required never refuses', async () => {
    const [first, second] = [memorySink(), memorySink()]
    const copy = memorySink({ required: false })
    const haldir = createHaldir({ sinks: [first, second, copy], ids: fakeIds('i') })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await session.run(() => look())
    await haldir.flush()
    await haldir.close()
    expect(first.lines).toEqual(second.lines)
    expect(copy.lines).toEqual(first.lines)
    expect(entriesOf(first.lines).map(({ type }) => type)).toEqual([
      'writer-opened',
      'session-created',
      'intent',
      'outcome',
      'writer-closed',
    ])
  })
})

async function collect(entries: AsyncIterable<Entry>): Promise<Entry[]> {
  return Array.fromAsync(entries)
}

describe('the trail of two machines on one store', () => {
  it('is whole where both folders are, and what one machine lacks is named', async () => {
    const store = memoryStore()
    const [here, there, all] = ['here', 'there', 'all'].map((name) => join(folder, name)) as [string, string, string]
    const machines = [here, there].map((audit) => createHaldir({ store, sinks: [fileSink(audit)] }))
    for (const haldir of machines) {
      const session = await haldir.createSession({ agent: 'a', scopes: ['read'] })
      await governed(async () => 'seen', { name: `look-${randomUUID()}`, scope: 'read' }, { haldir, session })()
    }
    for (const haldir of machines) {
      const { ok, writers, problems } = await haldir.trail.verify()
      expect({ ok, seen: writers.length, kinds: problems.map(({ kind }) => kind) }).toEqual({
        ok: false,
        seen: 1,
        kinds: ['missing-writer'],
      })
    }
    expect(await verifyFiles(here)).toMatchObject({ ok: true })
    const known = await store.writer.list()
    for (const audit of [here, there]) cpSync(audit, all, { recursive: true })
    expect(await verifyFiles(all, { writers: known })).toMatchObject({ ok: true, writers: [{}, {}] })
    const [first] = readdirSync(there).filter((name) => name.endsWith('.jsonl'))
    rmSync(join(all, first as string))
    expect(await verifyFiles(all, { writers: known })).toMatchObject({
      ok: false,
      problems: [{ kind: 'missing-writer' }],
    })
    for (const haldir of machines) await haldir.close()
  })
})
