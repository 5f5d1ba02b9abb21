/** What the tests of sessions, meters and payments stand on: haldirs on one store, as processes of a fleet have it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Amounts,
  ConfigError,
  createHaldir,
  Denied,
  type Entry,
  governed,
  type Haldir,
  type HaldirOptions,
  type Session,
  type Store,
  type ToolOptions,
  usd,
} from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { type FakeClock, fakeClock } from '@haldir/testing'
import { afterEach, expect } from 'vitest'
import { entriesOf } from '../promises.ts'

const open: Haldir[] = []
const directories: string[] = []

afterEach(async () => {
  // A store that a test has made hang, or a clock that stands still, keeps nobody waiting.
  await Promise.allSettled(open.splice(0).map((haldir) => Promise.race([haldir.close(), turns(50)])))
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

/** Both stores that are built in: what one promises, the other keeps. */
export const STORES = ['memory', 'sqlite'] as const

export interface Fleet {
  readonly clock: FakeClock
  /** Another process of the fleet: a haldir of its own, with a connection of its own. */
  house(options?: HaldirOptions, change?: (store: Store) => Partial<Store>): House
  /** Every byte that the store has written to disk. */
  bytes(): string
}

export interface House {
  readonly haldir: Haldir
  readonly store: Store
  readonly lines: readonly string[]
  entries(type?: Entry['type']): Entry[]
}

/**
 * `watching`: a SQLite file is looked at many times a second, and a clock that a test moves on by months would fire all of
 * these timers; so only those tests that are about it have it.
 */
export function fleet(
  kind: (typeof STORES)[number] = 'memory',
  clock: FakeClock = fakeClock(),
  { watching = kind === 'memory' }: { readonly watching?: boolean } = {},
): Fleet {
  const shared = kind === 'memory' ? memoryStore({ clock }) : undefined
  const directory = kind === 'sqlite' ? mkdtempSync(join(tmpdir(), 'haldir-fleet-')) : ''
  if (directory) directories.push(directory)
  const path = join(directory, 'haldir.db')
  return {
    clock,
    house(options = {}, change = () => ({})) {
      const { watch, ...rest } = shared ?? sqliteStore(path, { clock })
      const sound: Store = watching && watch ? { ...rest, watch } : rest
      const store = { ...sound, ...change(sound) }
      const sink = memorySink()
      const haldir = createHaldir({ clock, store, sinks: [sink], ...options })
      open.push(haldir)
      const entries = (type?: Entry['type']) => entriesOf(sink.lines).filter((entry) => !type || entry.type === type)
      return { haldir, store, lines: sink.lines, entries }
    },
    bytes: () => ['', '-wal'].map((tail) => readFileSync(path + tail, 'latin1')).join(''),
  }
}

/** What became of a call: what it answered, or the code it was refused with. Any other error fails the test. */
export async function told<T>(work: Promise<T>): Promise<T | string> {
  try {
    return await work
  } catch (error) {
    if (!Denied.isInstance(error)) throw error
    return error.code
  }
}

/** The denial that work ends with. */
export async function denial(work: Promise<unknown>): Promise<Denied> {
  const error = await work.then(
    () => expect.fail('it was not refused'),
    (caught: unknown) => caught,
  )
  expect(Denied.isInstance(error), String(error)).toBe(true)
  return error as Denied
}

/** The `ConfigError` that work ends with, thrown or rejected. */
export async function misuse(work: () => unknown): Promise<ConfigError> {
  try {
    await work()
  } catch (error) {
    expect(ConfigError.isInstance(error), String(error)).toBe(true)
    return error as ConfigError
  }
  return expect.fail('nothing was refused')
}

/** A tool that costs what its argument says, and answers `ran`. */
export function payer(session: Session, options: Partial<ToolOptions> = {}, name = 'pay') {
  const run = async (_: { amount?: number; key?: unknown }) => 'ran'
  const cost = ({ amount = 1 }: { amount?: number }): Amounts => usd(amount)
  return governed(run, { name, scope: 'spend', cost, ...options }, { session })
}

/** A tool without a cost. */
export function reader(session: Session, options: Partial<ToolOptions> = {}, name = 'read') {
  return governed(async (_: object = {}) => 'ran', { name, scope: [], ...options }, { session })
}

/** `rule: used + held of limit`, a line for each meter. */
export async function standing(session: Session): Promise<string[]> {
  return (await session.budget()).map((line) => {
    const [used, held, limit] = [line.used, line.held, line.limit].map(({ decimal }) => decimal)
    return `${line.rule}: ${used} + ${held} of ${limit}`
  })
}

/** Lets everything that waits for promises alone go on. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
