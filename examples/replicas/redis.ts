/** A Redis for the example: the one that `REDIS_URL` names, or a `redis-server` of its own that ends with it. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

export interface Started {
  readonly url: string
  stop(): Promise<void>
}

/** `undefined`: there is none to be had, or the one that `REDIS_URL` names does not answer. */
export async function startRedis(): Promise<Started | undefined> {
  const { REDIS_URL } = process.env
  if (REDIS_URL) return (await answers(REDIS_URL)) ? { url: REDIS_URL, stop: async () => {} } : undefined
  const directory = mkdtempSync(join(tmpdir(), 'haldir-replicas-'))
  const port = String(await freePort())
  const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--maxmemory-policy', 'noeviction']
  const server = spawn('redis-server', args, { cwd: directory, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()))
  const ready = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.once('exit', () => resolve(false))
    server.stdout.on('data', (text) => {
      if (String(text).includes('Ready to accept connections')) resolve(true)
    })
  })
  const stop = async () => {
    server.kill()
    await ended
    rmSync(directory, { recursive: true })
  }
  if (ready) return { url: `redis://127.0.0.1:${port}`, stop }
  rmSync(directory, { recursive: true })
  return undefined
}

/** Asks once, for at most two seconds. */
async function answers(url: string): Promise<boolean> {
  const options = { maxRetriesPerRequest: 1, retryStrategy: () => 200, connectTimeout: 500, commandTimeout: 2_000 }
  const redis = new Redis(url, options)
  redis.on('error', () => {}) // what is wrong is told by the answer
  try {
    return (await redis.ping()) === 'PONG'
  } catch {
    return false
  } finally {
    redis.disconnect()
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })
}
