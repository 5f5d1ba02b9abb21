import { createHash, createPublicKey, verify } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createHaldir, type Entry } from '@haldir/core'
import { checkConsistency, checkInclusion, createSigningKey, notesIn } from '@haldir/core/checkpoints'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { verifyFiles } from '@haldir/core/verify'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Program, pause, scratch } from './process.ts'
import { callsWith, missing, recorded } from './records.ts'

const KILLS = 12
const WORKERS = 3
const { signingKey: key, publicKey } = createSigningKey('acme.example/haldir')

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** The SPKI form of the key that `publicKey` holds. */
const raw = Buffer.from(publicKey.split('+').slice(2).join('+'), 'base64').subarray(1)
const spki = createPublicKey({
  key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]),
  format: 'der',
  type: 'spki',
})

describe('kill -9 with checkpoints on, twelve times', { timeout: 240_000 }, () => {
  it('never leaves a checkpoint that somebody was shown and the files do not hold', async () => {
    proves('trail-signed', 'trail-witnessed')
    const folder = scratch()
    cleanup.push(folder.remove)
    const [store, audit, notes] = [folder.path('haldir.db'), folder.path('audit'), folder.path('notes')]
    const shown = new Set<string>()
    const done = new Set<string>()
    for (let round = 0; round < KILLS / WORKERS; round++) {
      const workers = Array.from({ length: WORKERS }, () => new Program('sign', { store, audit, notes, key }))
      cleanup.push(() => Promise.all(workers.map((worker) => worker.kill())))
      await Promise.all(
        workers.map(async (worker) => {
          // Somebody was shown some, the first at least: that is what the next moment must not make untrue.
          await worker.said('{', 1 + (round % 4))
          await pause(Math.random() * 100)
          await worker.kill()
        }),
      )
      for (const line of workers.flatMap(({ lines }) => lines)) {
        if (line.startsWith('done ')) done.add(line.slice(5))
        else if (line.startsWith('{')) shown.add((JSON.parse(line) as { note: string }).note)
      }
    }
    // The next start cuts off what was not finished.
    const haldir = createHaldir({ store: sqliteStore(store), sinks: [fileSink(audit)] })
    cleanup.push(() => haldir.close())
    await haldir.createSession({ agent: 'next', scopes: ['read'] })
    expect((await verifyFiles(audit)).problems).toEqual([])
    expect((await haldir.trail.verify()).problems).toEqual([])

    const entries = recorded(audit) as unknown as Entry[]
    expect(missing(done, callsWith(recorded(audit), 'outcome'))).toEqual([])
    const chains = Object.values(Object.groupBy(entries, ({ writer }) => writer)) as Entry[][]
    const stored = new Map<string, Entry>()
    for (const chain of chains) {
      for (const entry of chain.filter(({ type }) => type === 'checkpoint')) {
        const note = entry.data.note as string
        const [text = '', signature = ''] = note.split('\n\n')
        const lines = text.split('\n')
        expect(lines[0]).toBe(`acme.example/haldir/${entry.writer}`)
        expect(Number(lines[1])).toBe(entry.seq)
        expect(lines[3]).toBe(`head ${entry.prev}`)
        const bytes = Buffer.from(signature.trim().split(' ')[2] as string, 'base64')
        expect(verify(null, Buffer.from(`${text}\n`), spki, bytes.subarray(4))).toBe(true)
        stored.set(note, entry)
      }
    }
    if (existsSync(notes)) for (const note of notesIn(readFileSync(notes, 'utf8'))) shown.add(note)
    console.info(`kill -9: ${JSON.stringify({ shown: shown.size, stored: stored.size, done: done.size })}`)
    // Whoever was shown a checkpoint finds it in the files: to him, nothing was cut off.
    expect(missing(shown, new Set(stored.keys()))).toEqual([])
    expect(shown.size).toBeGreaterThanOrEqual(KILLS)
    // No two of them disagree, however the process died.
    const sizes = [...stored.values()].map(({ writer, seq }) => `${writer} ${seq}`)
    expect(new Set(sizes).size).toBe(stored.size)
    for (const chain of chains.slice(0, 4)) {
      const checkpoints = chain.filter(({ type }) => type === 'checkpoint')
      const [first, last] = [checkpoints.at(0), checkpoints.at(-1)]
      if (!first || !last) continue
      const continued = await haldir.trail.proveConsistency(first.data.note as string)
      expect(checkConsistency(continued, publicKey)).toMatchObject({ ok: true, newer: { size: last.seq } })
      const proof = await haldir.trail.prove(chain[0]?.id as string)
      expect(checkInclusion(proof, publicKey).ok).toBe(true)
      expect(
        createHash('sha256')
          .update(proof.entry.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}'))
          .digest('hex'),
      ).toBe(chain[0]?.hash)
    }
  })
})
