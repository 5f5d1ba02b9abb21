import { mkdirSync } from 'node:fs'
import { createHaldir } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { memoryStore } from '@haldir/core/stores/memory'
import { openTrailIndex } from '@haldir/core/trail-index'
import { openTrail } from '@haldir/core/verify'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Program, pause, scratch } from './process.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})
const ids = (entries: readonly { id: string }[]) => entries.map(({ id }) => id)

function scene() {
  const folder = scratch()
  cleanup.push(folder.remove)
  const [audit, database] = [folder.path('audit'), folder.path('index.db')]
  mkdirSync(audit)
  const program = (name: string, input: object) => {
    const one = new Program(name, { audit, database, ...input })
    cleanup.push(() => one.kill())
    return one
  }
  const index = openTrailIndex({ directory: audit, database })
  cleanup.push(() => index.close())
  return { audit, database, program, index, path: folder.path }
}

describe('while several processes write, and some of them die', { timeout: 240_000 }, () => {
  it('a reader of pages misses nothing, the index answers as the files do, and the sums are those of the outcomes', async () => {
    proves('trail-pages', 'trail-index', 'trail-spend')
    const { audit, program, index, path } = scene()
    const writers = ['a', 'b', 'c'].map((agent) => program('spend', { agent, calls: agent === 'b' ? 1_000_000 : 60 }))
    const files = openTrail(audit)
    const followed: string[] = []
    const indexed: string[] = []
    let [after, behind]: [string | undefined, string | undefined] = [undefined, undefined]
    const step = async () => {
      const page = await files.page({ limit: 37, ...(after === undefined ? {} : { after }) })
      followed.push(...ids(page.entries))
      after = page.next
      await index.refresh()
      const other = await index.page({ limit: 53, ...(behind === undefined ? {} : { after: behind }) })
      indexed.push(...ids(other.entries))
      behind = other.next
      return page.more || other.more
    }
    for (let n = 0; n < 10; n++) await step()
    await Promise.all(writers.map((one) => one.said('ready')))
    for (let n = 0; n < 10; n++) await step()
    await (writers[1] as Program).kill()
    // One that comes later, when the others are long at work.
    const late = program('spend', { agent: 'd', calls: 20 })
    let over = false
    const done = Promise.all([writers[0], writers[2], late].map((one) => one?.ended)).then(() => {
      over = true
    })
    while (!over) await step()
    await done
    // What a process that died left unfinished is cut off when the next one opens the folder.
    const haldir = createHaldir({ store: memoryStore(), sinks: [fileSink(audit)] })
    cleanup.push(() => haldir.close())
    await haldir.createSession({ agent: 'e', scopes: ['read'] })
    while (await step());

    const all = await Array.fromAsync(haldir.trail.query())
    expect(all.length).toBeGreaterThan(250)
    expect(new Set(all.map(({ writer }) => writer)).size).toBe(5)
    expect(new Set(followed).size).toBe(followed.length)
    expect(followed.toSorted()).toEqual(ids(all).toSorted())
    expect(indexed.toSorted()).toEqual(ids(all).toSorted())
    expect(await Array.fromAsync(index.query())).toEqual(all)

    const outcomes = Map.groupBy(
      all.filter(({ type }) => type === 'outcome'),
      ({ agent }) => agent,
    )
    const rows = await haldir.trail.spend({ by: 'agent' })
    expect(await index.spend({ by: 'agent' })).toEqual(rows)
    expect(rows.map(({ agent }) => agent)).toEqual(['a', 'b', 'c', 'd'])
    for (const { agent, spent, outcomes: count } of rows) {
      expect(count).toBe(outcomes.get(agent as string)?.length)
      expect(Math.round(Number(spent) * 10)).toBe(count)
    }
    expect(rows.find(({ agent }) => agent === 'a')).toMatchObject({ spent: '6', open: '0' })

    const exported = await haldir.trail.export({ to: path('all.jsonl'), format: 'jsonl' })
    expect(exported).toMatchObject({ entries: all.length, writers: { length: 5 } })
  })
})

describe('kill -9 of those who index', { timeout: 240_000 }, () => {
  it('leaves an index that goes on, holds every entry once, and answers as the files do', async () => {
    proves('trail-index')
    const { audit, database, program } = scene()
    const writers = ['a', 'b'].map((agent) => program('spend', { agent, calls: 500 }))
    await Promise.all(writers.map((one) => one.said('ready')))
    let cut = 0
    for (let round = 0; round < 4; round++) {
      // Two at once, so that one dies while the other waits for what it holds.
      const two = [0, 1].map(() => program('index', { times: 1_000_000 }))
      await Promise.all(two.map((one) => one.said('ready')))
      await pause(10 + 30 * round)
      for (const one of two) if ((await one.kill()) === 'SIGKILL') cut++
    }
    expect(cut).toBe(8)
    await Promise.all(writers.map((one) => one.ended))
    const index = openTrailIndex({ directory: audit, database })
    cleanup.push(() => index.close())
    const { reread } = await index.refresh()
    expect(reread).toEqual([])
    const all = await Array.fromAsync(openTrail(audit).query())
    expect(all.length).toBeGreaterThan(2_000)
    expect(await Array.fromAsync(index.query())).toEqual(all)
  })
})
