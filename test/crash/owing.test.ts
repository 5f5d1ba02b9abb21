import { readdirSync } from 'node:fs'
import { createHaldir, type Haldir, usd } from '@haldir/core'
import { fileJournal } from '@haldir/core/journal'
import { memorySink } from '@haldir/core/sinks/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Program, pause, scratch } from './process.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

describe('a process that dies while its store is away', () => {
  it('leaves how its calls have ended to the next one, which tells the store', async () => {
    proves('invariant-4', 'per-session-budget')
    const folder = scratch()
    cleanup.push(folder.remove)
    const open = (journal: boolean): Haldir => {
      const haldir = createHaldir({
        store: sqliteStore(folder.path('haldir.db')),
        sinks: [memorySink()],
        ...(journal && { journal: fileJournal(folder.path('owed')) }),
      })
      cleanup.push(() => haldir.close())
      return haldir
    }
    const watcher = open(false)
    const session = await watcher.createSession({ agent: 'payer', scopes: ['spend:50'] })
    const stands = async () => {
      const [line] = await session.budget()
      return { used: line?.used, held: line?.held }
    }
    const [store, audit, journal] = ['haldir.db', 'audit', 'owed'].map((name) => folder.path(name))
    const program = new Program('owe', { store, audit, journal, token: session.token })
    cleanup.push(() => program.kill())
    await program.said('owes 3')
    expect(await program.kill()).toBe('SIGKILL')
    expect(await stands()).toEqual({ used: usd(0), held: usd(15) })
    // One that keeps no journal knows nothing of it.
    await watcher.flush()
    expect(await stands()).toEqual({ used: usd(0), held: usd(15) })

    const next = open(true)
    while (next.health().owed > 0) await pause(5)
    expect(await stands()).toEqual({ used: usd(4), held: usd(0) })
    await next.close()
    expect(readdirSync(folder.path('owed'))).toEqual([])
    // Said once more, the store would have counted it twice.
    open(true)
    await pause(20)
    expect(await stands()).toEqual({ used: usd(4), held: usd(0) })
  })
})
