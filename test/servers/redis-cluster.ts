/** Three servers of our own as one cluster, each with a third of the slots. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Redis } from 'ioredis'
import { type RedisServer, startRedis } from './redis.ts'

export interface RedisCluster {
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  stop(): Promise<void>
}

const SLOTS = 16_384
/** Above its own port, where a server talks to the others. */
const BUS = 10_000

export async function startCluster(): Promise<RedisCluster | undefined> {
  const servers: RedisServer[] = []
  const clients: Redis[] = []
  const stop = async () => {
    for (const client of clients) client.disconnect()
    for (const server of servers) await server.stop()
  }
  try {
    for (let n = 0; n < 3; n++) {
      const server = await startRedis({ 'cluster-enabled': 'yes', 'cluster-node-timeout': '2000' }, await portWithBus())
      if (!server) return undefined
      servers.push(server)
      clients.push(new Redis(server.port, '127.0.0.1'))
    }
    const [first] = servers as [RedisServer]
    for (const [n, client] of clients.entries()) {
      const [from, to] = [n, n + 1].map((third) => Math.floor((third * SLOTS) / 3)) as [number, number]
      await client.cluster('ADDSLOTS', ...Array.from({ length: to - from }, (_, index) => from + index))
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(n + 1))
      if (n > 0) await client.cluster('MEET', '127.0.0.1', first.port)
    }
    for (const client of clients) {
      while (!(await client.cluster('INFO')).includes('cluster_state:ok')) await pause(20)
      while ((await knownTo(client)) < servers.length) await pause(20)
    }
    return { nodes: servers.map(({ port }) => ({ host: '127.0.0.1', port })), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function knownTo(client: Redis): Promise<number> {
  return ((await client.cluster('SLOTS')) as unknown[]).length
}

async function portWithBus(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 30_000)
    if ((await isFree(port)) && (await isFree(port + BUS))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    await new Promise((closed) => server.close(closed))
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms))
}
