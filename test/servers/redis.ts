/**
 * A throw-away Redis or Valkey server on a free port of this machine, in a folder of its own; or, where there is no such
 * program, the one that `REDIS_URL` names, of which only keys under a prefix of the test's own are touched.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** A prefix that no other test has. */
  prefix(): string
  /** Ends the process at once, as `kill -9` does. */
  kill(): Promise<void>
  /** Starts it again, on the same port, with what is on disk. */
  restart(): Promise<void>
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

/** Why there is no server; then its tests are skipped, with this reason. */
export const NO_REDIS = 'there is neither `redis-server` nor `valkey-server`, and `REDIS_URL` is not set'

export function redisProgram(): string | undefined {
  return ['redis-server', 'valkey-server'].find((name) => {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}

const running = new Set<ChildProcess>()
// What a failing test leaves running ends with its process.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a server of our own. Without a program for it: undefined. */
export async function startRedis(
  config: Readonly<Record<string, string>> = {},
  given?: number,
): Promise<RedisServer | undefined> {
  const program = redisProgram()
  if (!program) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'haldir-redis-'))
  const port = given ?? (await freePort())
  const options = { bind: '127.0.0.1', appendonly: 'no', save: '', 'maxmemory-policy': 'noeviction', ...config }
  const args = ['--port', String(port), '--dir', folder, '--daemonize', 'no']
  for (const [name, value] of Object.entries(options)) args.push(`--${name}`, value)
  let child: ChildProcess
  const start = async () => {
    child = spawn(program, args, { stdio: 'ignore' })
    const own = child
    running.add(own)
    own.once('exit', () => running.delete(own))
    await answering(port)
  }
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const over = once(child, 'exit')
    child.kill(signal)
    await over
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    prefix: () => `${randomUUID()}:`,
    kill: () => end('SIGKILL'),
    restart: start,
    async stop() {
      await end('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A server for tests that need no more than one: our own, or the one of `REDIS_URL`. Neither: undefined. */
export async function anyRedis(): Promise<Pick<RedisServer, 'url' | 'prefix' | 'stop'> | undefined> {
  const own = await startRedis()
  const url = process.env.REDIS_URL
  if (own || !url) return own
  const prefix = `haldir-test-${randomUUID()}:`
  return {
    url,
    prefix: () => `${prefix}${randomUUID()}:`,
    stop: () => removeKeys(url, prefix),
  }
}

/** Removes every key under a prefix, and no other. */
export async function removeKeys(url: string, prefix: string): Promise<void> {
  const client = new Redis(url)
  try {
    for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 })) {
      if (keys.length > 0) await client.unlink(keys)
    }
  } finally {
    client.disconnect()
  }
}

async function answering(port: number): Promise<void> {
  const client = new Redis(port, '127.0.0.1', {
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
    maxLoadingRetryTime: 20,
  })
  client.on('error', () => {})
  try {
    await client.ping()
  } finally {
    client.disconnect()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((closed) => server.close(closed))
  return port
}
