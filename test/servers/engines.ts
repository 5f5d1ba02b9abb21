/** The engines that several processes can share, each started for one test file, and places in them for one test each. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import type { StoreSpec } from '../crash/programs/store.ts'
import { lacking, startPostgres } from './postgres.ts'
import { NO_REDIS, redisProgram, startRedis } from './redis.ts'

export interface RunningEngine {
  /** A place that no other test uses. `port`: reached by that one instead, where it is a server. */
  place(port?: number): StoreSpec
  /** Where it is a server. */
  readonly server?: { readonly port: number; kill(): Promise<void>; restart(): Promise<void> }
  stop(): Promise<void>
}

export interface Engine {
  readonly name: string
  /** Why it can't run here. */
  readonly unable: string | undefined
  start(): Promise<RunningEngine>
}

/**
 * Starts an engine for the tests of a `describe`, and stops it behind them. Why it can't is printed: a hook of tests that
 * are all skipped would never run.
 */
export function engineFor({ name, unable, start }: Engine): () => RunningEngine {
  let running: RunningEngine | undefined
  if (unable !== undefined) console.info(`skipped: ${name}: ${unable}`)
  beforeAll(async () => {
    running = await start()
  })
  afterAll(() => running?.stop())
  return () => running as RunningEngine
}

const fresh = () => `p${randomBytes(6).toString('hex')}`

export const SQLITE: Engine = {
  name: 'SQLite',
  unable: undefined,
  async start() {
    const folder = mkdtempSync(join(tmpdir(), 'haldir-engine-'))
    return {
      place: () => join(folder, `${fresh()}.db`),
      stop: async () => rmSync(folder, { recursive: true, force: true }),
    }
  },
}

export const REDIS: Engine = {
  name: 'Redis',
  unable: redisProgram() ? undefined : NO_REDIS,
  async start() {
    // It writes to its file before it answers. With `everysec` it may put that off by two seconds, and a kill -9 loses it.
    const server = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    if (!server) throw new Error(NO_REDIS)
    return {
      place: (port = server.port) => ({ redis: `redis://127.0.0.1:${port}`, prefix: `${fresh()}:` }),
      server,
      stop: () => server.stop(),
    }
  },
}

export const POSTGRES: Engine = {
  name: 'PostgreSQL',
  unable: lacking(),
  async start() {
    const server = await startPostgres()
    const at = (port: number) => server.url.replace(`:${server.port}/`, `:${port}/`)
    return {
      place: (port = server.port) => ({ postgres: at(port), schema: fresh() }),
      server: { port: server.port, kill: () => server.kill(), restart: () => server.start() },
      stop: () => server.stop(),
    }
  },
}
