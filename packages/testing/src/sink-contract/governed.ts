/** The trail of a real haldir, kept by the sink. */
import { createHaldir, type Entry, entrySchema, governed, type Haldir, type Sink, type Store, usd } from '@haldir/core'
import { type MemorySink, memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { expect } from 'vitest'
import type { SinkCase, SinkScene } from './scene.ts'

interface House {
  readonly haldir: Haldir
  /** What the haldir wrote, beside the sink under test. */
  readonly beside: MemorySink
}

/** A haldir whose trail goes to the sink under test first, and to memory. */
function house(sink: Sink, store: Store = memoryStore()): House {
  const beside = memorySink()
  return { haldir: createHaldir({ sinks: [sink, beside], store }), beside }
}

/** Calls that run, fail and are refused, some of them at once. */
async function work(haldir: Haldir, times: number): Promise<void> {
  const session = await haldir.createSession({ agent: 'bot', tenant: 'acme', scopes: ['read', 'spend:50'] })
  const tools = governed(
    {
      look: async ({ n }: { n: number }) => n,
      fail: async (_: { n: number }) => Promise.reject(new TypeError('no')),
      pay: async ({ n }: { n: number }) => n,
      wipe: async (_: { n: number }) => 'gone',
    },
    {
      look: { scope: 'read' },
      fail: { scope: 'read' },
      pay: { scope: 'spend', cost: usd(1) },
      wipe: { scope: 'admin' },
    },
    { session },
  )
  const calls = Array.from({ length: times }, (_, n) => Object.values(tools).map((tool) => tool({ n })))
  await Promise.allSettled(calls.flat())
  await session.revoke('das war’s 🧾\u2028fin')
}

async function closing(haldirs: readonly Haldir[], run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } finally {
    for (const haldir of haldirs) await haldir.close().catch(() => {})
  }
}

const textOf = ({ lines }: MemorySink) => lines.map((line) => `${line}\n`)

/** What is read of a tool in the sink under test, or beside it. */
async function entriesOf(scene: SinkScene, { beside }: House, tool: string): Promise<Entry[]> {
  const lines = (await scene.kept())?.split('\n').filter((line) => line !== '') ?? beside.lines
  return lines.map((line) => entrySchema.parse(JSON.parse(line))).filter((entry) => entry.tool === tool)
}

export const GOVERNED: readonly SinkCase[] = [
  {
    title: 'the trail of a haldir is kept as it was written, and is whole',
    async run(scene) {
      const home = house(scene.sink)
      await closing([home.haldir], async () => {
        await work(home.haldir, 3)
        await home.haldir.flush()
        await scene.expectKept(textOf(home.beside))
        await scene.expectWhole(home.haldir)
        for (const line of home.beside.lines) entrySchema.parse(JSON.parse(line))
        await home.haldir.close()
        // The last entry, too, if somebody can look at it now.
        if (scene.opened.stored) await scene.expectKept(textOf(home.beside))
      })
    },
  },
  {
    title: '200 calls at once do not get mixed up',
    async run(scene) {
      const home = house(scene.sink)
      await closing([home.haldir], async () => {
        await work(home.haldir, 50)
        await home.haldir.flush()
        expect(home.beside.lines.length).toBeGreaterThan(250)
        await scene.expectKept(textOf(home.beside))
        await scene.expectWhole(home.haldir)
      })
    },
  },
  {
    title: 'while nothing can be stored nothing runs, and afterwards the trail is whole',
    needs: ['break'],
    async run(scene) {
      const home = house(scene.sink)
      await closing([home.haldir], async () => {
        const { haldir } = home
        let ran = 0
        const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
        const look = governed(async () => ++ran, { name: 'look', scope: 'spend', cost: usd(1) }, { session })
        await look()
        await scene.break()
        const required = scene.sink.required !== false
        const refused = expect.objectContaining({ code: 'unavailable' })
        for (let times = 0; times < 3; times++) {
          if (required) await expect(look()).rejects.toEqual(refused)
          else await look()
        }
        expect(ran).toBe(required ? 1 : 4)
        await scene.mend()
        await look()
        await haldir.flush()
        await scene.expectKept(textOf(home.beside))
        await scene.expectWhole(haldir)
        const ended = (await entriesOf(scene, home, 'look')).filter(({ type }) => type === 'outcome')
        expect(ended.filter(({ data }) => data.ended === 'ok')).toHaveLength(required ? 2 : 5)
        expect(haldir.health().trail).toMatchObject({ waiting: 0, unrecorded: 0 })
        const [line] = await session.budget()
        expect(String(line?.used)).toBe(String(usd(required ? 2 : 5)))
      })
    },
  },
  {
    title: 'what a tool did is on record although nothing could be stored when it ended',
    needs: ['break'],
    async run(scene) {
      const home = house(scene.sink)
      await closing([home.haldir], async () => {
        const session = await home.haldir.createSession({ agent: 'bot', scopes: ['read'] })
        const breaks = async () => {
          await scene.break()
          return 'done'
        }
        const look = governed(breaks, { name: 'look', scope: 'read' }, { session })
        expect(await look()).toBe('done')
        await scene.mend()
        await home.haldir.flush()
        const entries = await entriesOf(scene, home, 'look')
        expect(entries.map(({ type }) => type)).toEqual(['intent', 'outcome'])
        await scene.expectWhole(home.haldir)
      })
    },
  },
]

export const KEEPING: readonly SinkCase[] = [
  {
    title: 'what was accepted is there when the process has died, and the next writer leaves it alone',
    needs: ['reopen', 'stored'],
    async run(scene) {
      await scene.open()
      const lines = scene.pen.lines(10)
      for (const line of lines) await scene.write(line)
      const next = await scene.reopened('w2')
      await scene.expectKept(lines)
      expect(next).not.toBe(scene.sink)
      await next.close?.()
      await scene.expectKept(lines)
    },
  },
  {
    title: 'two writers at once keep a chain each',
    needs: ['reopen'],
    async run(scene) {
      const store = memoryStore()
      const one = house(scene.sink, store)
      const other = house(await (scene.opened.reopen as () => Sink | Promise<Sink>)(), store)
      await closing([one.haldir, other.haldir], async () => {
        await Promise.all([work(one.haldir, 5), work(other.haldir, 5), work(one.haldir, 5)])
        await Promise.all([one.haldir.flush(), other.haldir.flush()])
        const kept = (await scene.kept())?.split('\n').map((line) => `${line}\n`) ?? []
        for (const { beside } of [one, other]) {
          const mine = new Set(textOf(beside))
          expect(kept.filter((line) => mine.has(line))).toEqual(textOf(beside))
        }
        if (scene.sink.read) {
          const found = await other.haldir.trail.verify()
          expect(found).toMatchObject({ ok: true, problems: [], orphans: [] })
          expect(found.writers).toHaveLength(2)
        }
        await scene.expectWhole()
      })
    },
  },
]
