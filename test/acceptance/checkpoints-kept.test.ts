/** What an honest trail does meanwhile is no tampering: files that go, clocks that are set back, lines half written. */
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHaldir, type Haldir, type HaldirOptions, type Store } from '@haldir/core'
import { fileWitness, notesIn, type Signer } from '@haldir/core/checkpoints'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { verifyFiles } from '@haldir/core/verify'
import { fakeClock } from '@haldir/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyTrail } from '../../packages/core/src/watch/verify.ts'
import { KEYS, signer } from './checkpoint-scene.ts'
import { chainOf, keysOf, readBlocks } from './tamper-scene.ts'

const key = KEYS.publicKey
const DAY = 86_400_000
let folder: string
let audit: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-kept-'))
  audit = join(folder, 'audit')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const files = () => readdirSync(audit).filter((name) => name.endsWith('.jsonl'))

describe('files that are let go of', () => {
  const clock = fakeClock()
  const witness = () => join(folder, 'notes')
  /** Two days on, with one more writer. */
  async function another(own: Signer = signer, keep?: '1d') {
    const haldir = createHaldir({
      sinks: [fileSink(audit, keep ? { keep } : {})],
      store: memoryStore({ clock }),
      clock,
      checkpoints: { signer: own, witnesses: [fileWitness(witness())] },
    })
    await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    do await new Promise((turn) => setTimeout(turn, 1))
    while (existsSync(join(audit, 'retention.lock')))
    return haldir
  }

  it('are signed for before they go, so that nobody else can say so', async () => {
    await (await another()).close()
    const [first = ''] = files()
    await clock.advance(2 * DAY)
    const haldir = await another(signer, '1d')
    expect(files()).not.toContain(first)
    const trusted = notesIn(readFileSync(witness(), 'utf8'))
    // At once: a process that dies now leaves a trail that is whole.
    expect(await verifyFiles(audit, { key, trusted })).toMatchObject({ ok: true, problems: [] })
    expect((await haldir.trail.verify()).problems).toEqual([])
    await haldir.close()
    expect(await verifyFiles(audit, { key, trusted })).toMatchObject({ ok: true })
  })

  it('stay as long as nobody can sign for them', async () => {
    await (await another()).close()
    const [first = ''] = files()
    await clock.advance(2 * DAY)
    let times = 0
    const broken = {
      ...signer,
      sign(message: Uint8Array) {
        // The chain has begun; then the key is gone.
        if (times++ > 0) throw new Error('no key today')
        return signer.sign(message)
      },
    }
    const haldir = await another(broken, '1d')
    expect(times).toBeGreaterThan(1)
    expect(files()).toContain(first)
    await haldir.close()
  })
})

describe('a chain without a checkpoint', () => {
  const openWith = (store: Store, checkpoints?: HaldirOptions['checkpoints']) =>
    createHaldir({ sinks: [fileSink(audit)], store, ...(checkpoints && { checkpoints }) })
  const used = async (haldir: Haldir) => {
    await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await haldir.close()
  }

  it('is fine where the store knows it, from before there were any; made up, it is a problem', async () => {
    const store = memoryStore()
    await used(openWith(store))
    const haldir = openWith(store, { signer })
    await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    expect((await haldir.trail.verify()).problems).toEqual([])
    // Written by someone who reaches the files and neither store nor key.
    const { lines } = chainOf(6, { writer: 'nobody', closed: false })
    writeFileSync(join(audit, 'audit-nobody-1.jsonl'), lines.join(''))
    const { problems } = await haldir.trail.verify()
    expect(problems).toMatchObject([
      { kind: 'unsigned', writer: 'nobody', message: expect.stringContaining('nobody knows') },
    ])
    expect((await haldir.trail.verify({ requireCheckpoints: false })).problems).toEqual([])
    expect((await haldir.trail.verify({ key })).problems.map(({ kind }) => kind)).toEqual(['unsigned', 'unsigned'])
    await haldir.close()
  })

  it('is not told apart without checkpoints: another store is another memory', async () => {
    await used(openWith(memoryStore()))
    const haldir = openWith(memoryStore())
    expect((await haldir.trail.verify()).problems).toEqual([])
    await haldir.close()
  })
})

it('a clock that is set back makes no checkpoint look rolled back', async () => {
  let back = 0
  const clock = fakeClock()
  const now = clock.now.bind(clock)
  const sink = memorySink()
  const haldir = createHaldir({
    sinks: [sink],
    store: memoryStore({ clock }),
    clock: Object.assign(clock, { now: () => now() - back }),
    checkpoints: { signer, every: 2 },
  })
  for (let n = 0; n < 6; n++) {
    await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    back += 5_000
  }
  expect((await haldir.trail.verify({ key })).problems).toEqual([])
  await haldir.close()
  expect((await verifyTrail(sink, { key, heartbeat: '1m' })).problems).toEqual([])
})

describe('a folder that changes while it is read', () => {
  const { signer: own, publicKey } = keysOf('acme.example/haldir')
  const old = chainOf(40, { writer: 'a', signer: own, every: 10 })
  const name = (writer: string, number = 1) => join(folder, `audit-${writer}-${number}.jsonl`)
  beforeEach(() => {
    writeFileSync(name('a'), old.lines.slice(0, 20).join(''))
    writeFileSync(name('a', 2), old.lines.slice(20).join(''))
    writeFileSync(name('b'), chainOf(40, { writer: 'b', signer: own, began: 1e12 }).lines.join(''))
  })

  it('is read again when a file went: what tells of it may be in what was read before', async () => {
    let times = 0
    const source = {
      *readBlocks() {
        times++
        for (const block of readBlocks(folder)) {
          yield block
          // Between one file and the next, the first one of another writer is let go of, and that is put on record.
          if (block.writer !== 'b' || !existsSync(name('a'))) continue
          rmSync(name('a'))
          const told = { writer: 'a', entries: 20, head: JSON.parse(old.lines[19] as string).hash }
          const more = chainOf(20, { writer: 'c', signer: own, every: 5, retention: told })
          writeFileSync(name('c'), more.lines.join(''))
        }
      },
    }
    const found = await verifyTrail(source, { key: publicKey })
    expect(found).toMatchObject({
      ok: true,
      problems: [],
      writers: [{ id: 'b' }, { id: 'c' }, { id: 'a', retained: 20 }],
    })
    expect(times).toBe(2)
  })

  it('and goes on changing is told of as it is', async () => {
    let times = 0
    const source = {
      *readBlocks() {
        times++
        writeFileSync(name('a'), old.lines.slice(0, 20).join(''))
        for (const block of readBlocks(folder)) {
          yield block
          rmSync(name('a'), { force: true })
        }
      },
    }
    expect((await verifyTrail(source)).problems).toMatchObject([{ kind: 'unreadable' }, { kind: 'missing-segment' }])
    expect(times).toBe(3)
  })

  it('a line that grows while it is looked at is not there yet; one that does not was never finished', async () => {
    appendFileSync(name('b'), '{"v":1,"id"')
    let grow = true
    const source = {
      *readBlocks() {
        for (const block of readBlocks(folder)) {
          yield block
          if (grow && block.writer === 'b') appendFileSync(name('b'), ':')
        }
      },
    }
    expect((await verifyTrail(source)).problems).toEqual([])
    grow = false
    expect((await verifyTrail(source)).problems).toMatchObject([{ kind: 'torn', writer: 'b' }])
  })
})
