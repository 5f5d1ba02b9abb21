/** The store contract on a cluster: a server of it refuses a script that touches a slot other than that of its key. */
import type { Store } from '@haldir/core'
import { redisStore } from '@haldir/redis'
import { storeContract } from '@haldir/testing'
import { Cluster, type Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { skipped } from '../crash/process.ts'
import { startCluster } from '../servers/redis-cluster.ts'

const cluster = await startCluster()
const client = cluster && new Cluster([...cluster.nodes])
afterAll(async () => {
  client?.disconnect()
  await cluster?.stop()
})

if (cluster && client) {
  let prefixes = 0
  storeContract({
    name: 'a redis cluster',
    open({ clock: first }) {
      const prefix = `p${prefixes++}:`
      const stores: Store[] = []
      const open = ({ clock }: { clock: typeof first }) => {
        const store = redisStore(client, { prefix, clock })
        stores.push(store)
        return store
      }
      return {
        store: open({ clock: first }),
        reopen: open,
        close: () => stores.forEach((store) => void store.close?.()),
      }
    },
  })

  describe('a redis cluster', () => {
    it('keeps each tenant in one slot, and tenants on all its servers', async () => {
      const store = redisStore(client, { prefix: 'slots:' })
      const tenants = Array.from({ length: 24 }, (_, n) => `tenant ${n} }{`)
      for (const tenant of tenants) {
        const meter = { key: `${tenant}|session:${tenant}|USD|total|budget`, window: 'total' } as const
        const about = { tenant, agent: 'a', scopes: [], attributes: {}, chain: [], ttlMs: 60_000 }
        await store.session.create({ id: tenant, tokenHash: tenant, ...about }, [{ ...meter, limit: 9n }])
        const call = { call: tenant, session: tenant, leaseMs: 60_000, once: tenant, memo: 'm' }
        expect(await store.admit({ ...call, charges: [{ meter, micros: 1n }] })).toMatchObject({ ok: true })
      }
      const slots = new Map<string, Set<number>>()
      const holders = new Set<Redis>()
      for (const node of client.nodes('master')) {
        for (const key of await node.keys('slots:{*')) {
          const tag = key.slice(0, key.indexOf('}'))
          slots.set(tag, (slots.get(tag) ?? new Set()).add(await node.cluster('KEYSLOT', key)))
          holders.add(node)
        }
      }
      expect(slots.size).toBe(tenants.length)
      for (const of of slots.values()) expect(of.size).toBe(1)
      expect(holders.size).toBe(3)
      const other = redisStore(client, { prefix: 'slots:' })
      expect(await other.settle({ call: tenants[7] as string })).toEqual({ state: 'settled', overrun: false })
    })

    it('refuses while a slot is on its way to another server, and counts nothing anew', async () => {
      const store = redisStore(client, { prefix: 'moving:' })
      const about = { tenant: 'moving', agent: 'a', scopes: [], attributes: {}, chain: [], ttlMs: 60_000 }
      await store.session.create({ id: 's', tokenHash: 'moved', ...about }, [])
      const meter = { key: 'moving|tenant:moving|USD|total|standing:quota', window: 'total', limit: 5n } as const
      const admit = (call: string) =>
        (async () => store.admit({ call, session: 's', leaseMs: 60_000, charges: [{ meter, micros: 3n }] }))()
      expect(await admit('a')).toMatchObject({ ok: true })
      const servers = client.nodes('master')
      const slot = await (servers[0] as Redis).cluster('KEYSLOT', 'moving:{moving}')
      const counts = await Promise.all(servers.map((server) => server.cluster('COUNTKEYSINSLOT', slot)))
      const place = counts.findIndex((count) => Number(count) > 0)
      const [from, to] = [servers[place], servers[(place + 1) % 3]] as [Redis, Redis]
      const [source, target] = await Promise.all([from.cluster('MYID'), to.cluster('MYID')])
      await to.cluster('SETSLOT', slot, 'IMPORTING', source)
      await from.cluster('SETSLOT', slot, 'MIGRATING', target)
      const keys = (await from.cluster('GETKEYSINSLOT', slot, 100)) as string[]
      const move = (some: readonly string[]) =>
        from.call('MIGRATE', '127.0.0.1', String(to.options.port), '', '0', '5000', 'KEYS', ...some)
      // The worst order: first what says that the session lives, and last what was spent.
      const first = keys.filter((key) => /:(clock|s:s)$/.test(key))
      expect(first).toHaveLength(2)
      await move(first)
      await expect(admit('b')).rejects.toMatchObject({ code: 'unavailable' })
      await move(keys.filter((key) => !first.includes(key)))
      for (const server of [to, from]) await server.cluster('SETSLOT', slot, 'NODE', target)
      expect(await admit('c')).toEqual({ ok: false, refused: 'budget-exceeded', meter: meter.key })
      expect(await store.meters.read([meter])).toEqual([{ limit: 5n, used: 0n, held: 3n }])
    })

    it('is refused when one of its servers may evict', async () => {
      const [node] = client.nodes('master')
      await node?.config('SET', 'maxmemory-policy', 'allkeys-lru')
      try {
        const verb = Promise.resolve(redisStore(client, { prefix: 'evicting:' }).writer.list())
        await expect(verb).rejects.toMatchObject({ code: 'unavailable' })
      } finally {
        await node?.config('SET', 'maxmemory-policy', 'noeviction')
      }
    })
  })
} else {
  describe('the store contract: a redis cluster', () => {
    it('needs servers of our own', (context) => skipped(context, 'there is neither `redis-server` nor `valkey-server`'))
  })
}
