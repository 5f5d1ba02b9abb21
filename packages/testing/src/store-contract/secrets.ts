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
    wrapped: `wrapped ${tenant} ${name} ${version}`,
    sealed: `sealed ${tenant} ${name} ${version}`,
  }
}

function writer(id: string, entries: number, closed = false): Writer {
  return { id, genesis: `${id} first`, entries, head: `${id} ${entries}`, closed }
}

const byVersion = (list: readonly Sealed[]) =>
  [...list].sort((a, b) => (a.name === b.name ? a.version - b.version : a.name < b.name ? -1 : 1))

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
    title: 'deleting removes every version of one secret and says whether there was one',
    async run({ store }) {
      for (const one of [sealed('a', 1), sealed('a', 2), sealed('b', 1), sealed('a', 1, 'other')]) {
        await store.secret.put(one)
      }
      expect(await store.secret.delete('t', 'a')).toBe(true)
      expect(await store.secret.delete('t', 'a')).toBe(false)
      expect(await store.secret.get('t', 'a')).toBeUndefined()
      expect(await store.secret.list('t')).toEqual([sealed('b', 1)])
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
