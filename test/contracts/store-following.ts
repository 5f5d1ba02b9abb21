/** Runs random commands on a store and on the reference, side by side; the first run that differs is made small. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MaybePromise, Store } from '@haldir/core'
import { memoryStore } from '@haldir/core/stores/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { type FakeClock, fakeClock } from '@haldir/testing'
import fc from 'fast-check'
import { create, type Real } from './store-commands.ts'
import { HOUR, Reference } from './store-reference.ts'

/** What random runs are made of. */
export type Runs = fc.Arbitrary<Iterable<fc.AsyncCommand<Reference, Real>>>

export interface Opened {
  readonly store: Store
  readonly reopen?: () => MaybePromise<Store>
  close(): MaybePromise<void>
}

/** Opens an empty store for each run. */
export function follows(
  commands: Runs,
  open: (clock: FakeClock) => MaybePromise<Opened>,
  numRuns: number,
): Promise<void> {
  const property = fc.asyncProperty(commands, async (list) => {
    // Shortly before Lord Howe puts its clocks back by half an hour, on a Saturday.
    const clock = fakeClock(Date.UTC(2026, 3, 4, 13, 20))
    const opened = await open(clock)
    try {
      const setup = () => ({ model: new Reference(clock.now()), real: { clock, ...opened } })
      const begin = [create(['s0', 30 * HOUR, []]), create(['s3', 90 * HOUR, []])]
      await fc.asyncModelRun(setup, [...begin, ...list])
    } finally {
      await opened.close()
    }
  })
  return fc.assert(property, { numRuns })
}

export function followsInMemory(commands: Runs, numRuns: number): Promise<void> {
  return follows(commands, (clock) => ({ store: memoryStore({ clock }), close() {} }), numRuns)
}

/** Each run in a file of its own, which another process may open at any time. */
export async function followsInFiles(commands: Runs, numRuns: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'haldir-model-'))
  let files = 0
  const open = (clock: FakeClock): Opened => {
    const path = join(directory, `${files++}.db`)
    const stores: Store[] = []
    const reopen = () => {
      const store = sqliteStore(path, { clock })
      stores.push(store)
      return store
    }
    return { store: reopen(), reopen, close: () => stores.forEach((store) => void store.close?.()) }
  }
  try {
    await follows(commands, open, numRuns)
  } finally {
    rmSync(directory, { recursive: true })
  }
}
