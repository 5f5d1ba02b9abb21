/** One writer after another in one sink: the chain of the first has ended, by itself or because of the sink. */
import { createHaldir, type Entry, governed } from '@haldir/core'
import { memoryStore } from '@haldir/core/stores/memory'
import { expect } from 'vitest'
import { Pen } from './pen.ts'
import type { SinkCase, SinkScene } from './scene.ts'

/** What is kept of one writer, in order; nothing when nobody can look. */
async function linesOf(scene: SinkScene, writer: string): Promise<string[] | undefined> {
  const kept = await scene.kept()
  const mine = kept?.split('\n').filter((line) => line.includes(`"writer":"${writer}"`))
  return mine?.map((line) => `${line}\n`)
}

async function expectOf(scene: SinkScene, writer: string, lines: readonly string[]): Promise<void> {
  const kept = await linesOf(scene, writer)
  if (kept) expect(kept).toEqual(lines)
}

export const ENDED: readonly SinkCase[] = [
  {
    title: 'opened for another writer while one is open, it keeps the chains of both apart and whole',
    needs: ['open'],
    async run(scene) {
      const pens = ['w1', 'w2', 'w3'].map((writer) => new Pen(writer))
      const written = pens.map((pen) => pen.lines(5))
      for (const [index, lines] of written.entries()) {
        await scene.open(scene.sink, pens[index]?.writer)
        for (const line of lines) await scene.write(line)
      }
      for (const [index, lines] of written.entries()) await expectOf(scene, `w${index + 1}`, lines)
      if (!scene.sink.read) return
      const read = await scene.read()
      for (const { writer, line } of read) expect(line).toContain(`"writer":"${writer}"`)
      expect(read).toHaveLength(15)
    },
  },
  {
    title: 'once it does not know what it has stored it says so, and takes nothing more of that writer',
    needs: ['spoil'],
    async run(scene) {
      await scene.open()
      const [first, lost, next] = scene.pen.lines(3) as [string, string, string]
      await scene.write(first)
      await scene.spoil()
      const ended = { code: 'writer-ended' }
      expect(await scene.refused(lost)).toMatchObject(ended)
      await scene.mend()
      expect(await scene.refused(lost)).toMatchObject(ended)
      expect(await scene.refused(lost + next)).toMatchObject(ended)
      // It can't know of the one that was lost; of what it accepted before, it does.
      const kept = await linesOf(scene, 'w1')
      if (kept) expect([[first], [first, lost]]).toContainEqual(kept)
    },
  },
  {
    title: 'another writer begins where one has ended, and what that one had accepted stays',
    needs: ['spoil', 'open'],
    async run(scene) {
      await scene.open()
      const [first, lost] = scene.pen.lines(2) as [string, string]
      await scene.write(first)
      await scene.spoil()
      await scene.refused(lost)
      await scene.mend()
      await scene.open(scene.sink, 'w2')
      const lines = new Pen('w2').lines(3)
      for (const line of lines) await scene.write(line)
      await expectOf(scene, 'w2', lines)
      expect((await linesOf(scene, 'w1'))?.[0] ?? first).toBe(first)
      if (scene.sink.read) expect((await scene.verified())?.problems).toEqual([])
    },
  },
  {
    title: 'a haldir goes on by another writer, which names the one that has ended',
    needs: ['spoil', 'read'],
    async run(scene) {
      const haldir = createHaldir({ sinks: [scene.sink], store: memoryStore() })
      try {
        let ran = 0
        const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
        const look = governed(async () => ++ran, { name: 'look', scope: 'read' }, { session })
        await look()
        await scene.spoil()
        for (let times = 0; times < 3; times++) {
          await expect(look()).rejects.toMatchObject({ code: 'unavailable' })
        }
        expect(ran).toBe(1)
        await scene.mend()
        await look()
        await haldir.flush()
        const entries = (await scene.read()).map(({ line }) => JSON.parse(line) as Entry)
        const after = entries.flatMap(({ type, data }) => (type === 'writer-opened' && data.after ? [data.after] : []))
        const [first] = entries
        expect(after).toEqual([expect.objectContaining({ writer: first?.writer })])
        await scene.expectWhole(haldir)
      } finally {
        await haldir.close()
      }
    },
  },
]
