import type { Store } from '@haldir/core'
import { expect } from 'vitest'
import type { StoreCase } from './scene.ts'

type Sealed = Parameters<Store['secret']['put']>[0]
type Writer = Parameters<Store['writer']['put']>[0]

function sealed(name: string, version: number, tenant = 't'): Sealed {
  return {
    tenant,
    name,
    version,
    keyId: 'k1',
    scope: 'spend',
    tools: ['charge', 'refund'],
    hosts: ['api.example.com'],
    wrapped: `wrapped ${tenant} ${name} ${version}`,
    sealed: `sealed ${tenant} ${name} ${version}`,
  }
}

function writer(id: string, entries: number, closed = false): Writer {
  return { id, genesis: `${id} first`, entries, head: `${id} ${entries}`, closed }
}

type Stored = Awaited<ReturnType<Store['secret']['list']>>[number]

/** In order, and without the store's own times. */
const byVersion = (list: readonly Stored[]) =>
  list
    .map(({ createdAt: _, usedAt: __, ...secret }) => secret)
    .sort((a, b) => (a.name === b.name ? a.version - b.version : a.name < b.name ? -1 : 1))

export const SECRETS: readonly StoreCase[] = [
  {
    title: 'the newest version of a secret is the one that is read, whole',
    async run({ store }) {
      expect(await store.secret.get('t', 'key')).toBeUndefined()
      expect(await store.secret.put(sealed('key', 2))).toBe(true)
      expect(await store.secret.put(sealed('key', 10))).toBe(true)
      expect(await store.secret.put(sealed('key', 3))).toBe(true)
      expect(await store.secret.get('t', 'key')).toEqual(sealed('key', 10))
    },
  },
  {
    title: 'a version that is taken is refused and stays as it was',
    async run({ store }) {
      expect(await store.secret.put(sealed('key', 1))).toBe(true)
      expect(await store.secret.put({ ...sealed('key', 1), sealed: 'another' })).toBe(false)
      expect(await store.secret.get('t', 'key')).toEqual(sealed('key', 1))
    },
  },
  {
    title: 'a version that is to follow another is taken only while that is the newest, as it was sealed',
    async run({ store }) {
      expect(await store.secret.put(sealed('key', 1), null)).toBe(true)
      expect(await store.secret.put(sealed('key', 2), null)).toBe(false)
      expect(await store.secret.put(sealed('key', 2), { ...sealed('key', 1), sealed: 'before' })).toBe(false)
      expect(await store.secret.put(sealed('key', 2), sealed('key', 1))).toBe(true)
      expect(await store.secret.put(sealed('key', 3), sealed('key', 1))).toBe(false)
      expect(await store.secret.put(sealed('key', 1, 'other'), null)).toBe(true)
      expect(await store.secret.get('t', 'key')).toEqual(sealed('key', 2))
    },
  },
  {
    title: 'of two puts of one version at once, one is taken',
    async run({ store }) {
      const puts = Array.from({ length: 8 }, async (_, n) => store.secret.put({ ...sealed('key', 1), keyId: `k${n}` }))
      expect((await Promise.all(puts)).filter(Boolean)).toHaveLength(1)
    },
  },
  {
    title: 'every version of a tenant is listed, and none of another tenant',
    async run({ store }) {
      for (const one of [sealed('b', 1), sealed('a', 2), sealed('a', 1), sealed('a', 1, 'other')]) {
        await store.secret.put(one)
      }
      expect(byVersion(await store.secret.list('t'))).toEqual([sealed('a', 1), sealed('a', 2), sealed('b', 1)])
      expect(await store.secret.list('nobody')).toEqual([])
      expect(await store.secret.get('nobody', 'a')).toBeUndefined()
    },
  },
  {
    title: 'without a tenant, everything is listed',
    async run({ store }) {
      for (const one of [sealed('b', 1), sealed('a', 1), sealed('c', 1, 'other')]) await store.secret.put(one)
      expect(byVersion(await store.secret.list())).toEqual([sealed('a', 1), sealed('b', 1), sealed('c', 1, 'other')])
    },
  },
  {
    title: 'a version is listed with the time at which it was taken',
    async run({ store, clock }) {
      await store.secret.put(sealed('a', 1))
      const first = clock.now()
      await clock.advance(60_000)
      await store.secret.put(sealed('a', 2))
      await store.secret.put({ ...sealed('a', 1), sealed: 'another' })
      expect((await store.secret.list('t')).map(({ createdAt }) => createdAt).sort()).toEqual([first, first + 60_000])
    },
  },
  {
    title: 'a version is wrapped anew, once, if it is wrapped as it was said to be; nothing else of it changes',
    async run({ store }) {
      const [one, two] = [sealed('a', 1), sealed('a', 2)]
      for (const version of [one, two, sealed('a', 1, 'other')]) await store.secret.put(version)
      const fresh = { ...one, keyId: 'k2', wrapped: 'wrapped anew' }
      expect(await store.secret.rewrap({ ...fresh, scope: 'all', tools: [], hosts: [], sealed: 'x' }, one)).toBe(true)
      expect(byVersion(await store.secret.list('t'))).toEqual([fresh, two])
      expect(await store.secret.list('other')).toMatchObject([sealed('a', 1, 'other')])
      expect(await store.secret.rewrap({ ...fresh, keyId: 'k3' }, one)).toBe(false)
      expect(await store.secret.rewrap({ ...fresh, keyId: 'k3' }, { ...fresh, wrapped: 'otherwise' })).toBe(false)
      expect(await store.secret.rewrap({ ...fresh, version: 3 }, { ...fresh, version: 3 })).toBe(false)
      expect(byVersion(await store.secret.list('t'))).toEqual([fresh, two])
    },
  },
  {
    title: 'of two that wrap a version anew at once, one does',
    async run({ store }) {
      const was = sealed('a', 1)
      await store.secret.put(was)
      const done = Array.from({ length: 8 }, async (_, n) => store.secret.rewrap({ ...was, keyId: `new${n}` }, was))
      expect((await Promise.all(done)).filter(Boolean)).toHaveLength(1)
    },
  },
  {
    title: 'when a secret was used last is known for all its versions, and goes with it',
    async run({ store, clock }) {
      for (const one of [sealed('a', 1), sealed('a', 2), sealed('b', 1), sealed('a', 1, 'other')]) {
        await store.secret.put(one)
      }
      const usedAt = async () =>
        (await store.secret.list()).flatMap(({ usedAt }) => (usedAt === undefined ? [] : [usedAt]))
      expect(await usedAt()).toEqual([])
      await clock.advance(1_000)
      await store.secret.used('t', 'a')
      expect(await usedAt()).toEqual([clock.now(), clock.now()])
      await clock.advance(1_000)
      await store.secret.used('t', 'a')
      await store.secret.used('t', 'nobody')
      expect(await usedAt()).toEqual([clock.now(), clock.now()])
      await store.secret.delete('t', 'a')
      await store.secret.put(sealed('a', 1))
      expect(await usedAt()).toEqual([])
      expect(await store.secret.get('t', 'a')).toEqual(sealed('a', 1))
    },
  },
  {
    title: 'deleting removes every version of one secret and says whether there was one',
    async run({ store }) {
      for (const one of [sealed('a', 1), sealed('a', 2), sealed('b', 1), sealed('a', 1, 'other')]) {
        await store.secret.put(one)
      }
      expect(await store.secret.delete('t', 'a')).toBe(true)
      expect(await store.secret.delete('t', 'a')).toBe(false)
      expect(await store.secret.get('t', 'a')).toBeUndefined()
      expect(byVersion(await store.secret.list('t'))).toEqual([sealed('b', 1)])
      expect(await store.secret.get('other', 'a')).toEqual(sealed('a', 1, 'other'))
      expect(await store.secret.put(sealed('a', 1))).toBe(true)
    },
  },
  {
    title: 'a writer is known by how it was registered last',
    async run({ store }) {
      expect(await store.writer.list()).toEqual([])
      await store.writer.put(writer('one', 1))
      await store.writer.put(writer('two', 1))
      await store.writer.put(writer('one', 40, true))
      const listed = [...(await store.writer.list())].sort((a, b) => (a.id < b.id ? -1 : 1))
      expect(listed).toEqual([writer('one', 40, true), writer('two', 1)])
    },
  },
]
