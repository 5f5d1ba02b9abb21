import { fakeClock } from '@haldir/testing'
import { describe, expect, test, vi } from 'vitest'
import { Unavailable } from '../errors.ts'
import { parseRequired } from '../gate/scopes.ts'
import { memoryStore } from '../stores/memory.ts'
import type { SecretVerbs } from '../stores/store.ts'
import { envKey, type KeyProvider } from './keys.ts'
import { SealedVault, type SecretChange, type VaultParts } from './vault.ts'

const VALUE = 'sk_live_51HaldirCanary'
const keyOf = (digit: string) => envKey('KEY', { env: { KEY: digit.repeat(64) } })
const OLD = keyOf('a')
const NEW = keyOf('b')

function opened(secrets: SecretVerbs, keys: readonly KeyProvider[], parts: Partial<VaultParts> = {}) {
  const changes: SecretChange[] = []
  const faults: unknown[] = []
  const clock = fakeClock()
  const vault = new SealedVault({
    keys,
    secrets,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    clock,
    deadlineMs: 5_000,
    checkScope: parseRequired,
    record: (change) => void changes.push(change),
    fault: (error) => void faults.push(error),
    ...parts,
  })
  const value = async (name: string, tenant = 'default') => {
    const found = await vault.find(tenant, name)
    return found && (await vault.open(found)).toString()
  }
  return { vault, changes, faults, clock, value }
}

const fill = async (secrets: SecretVerbs, count = 5) => {
  const { vault } = opened(secrets, [OLD])
  for (let index = 0; index < count; index++) await vault.put(`key${index}`, `${VALUE}-${index}`, { scope: 'read' })
  return vault
}

describe('a new value', () => {
  test('takes over who may use the secret, and is recorded as such', async () => {
    const { vault, changes, value } = opened(memoryStore().secret, [OLD])
    await vault.put('key', VALUE, { scope: 'spend', tools: ['charge'], hosts: ['API.example.com'], tenant: 'acme' })
    expect(await vault.rotate('key', 'another value', { tenant: 'acme' })).toEqual({ name: 'key', version: 2 })
    expect(await value('key', 'acme')).toBe('another value')
    expect(await vault.find('acme', 'key')).toMatchObject({
      scope: 'spend',
      tools: ['charge'],
      hosts: ['api.example.com'],
    })
    expect(changes.at(-1)).toEqual({ type: 'secret-rotated', tenant: 'acme', name: 'key', version: 2 })
  })

  test('of a secret that is not there is refused, and nothing is stored', async () => {
    const { vault, changes } = opened(memoryStore().secret, [OLD])
    await vault.put('key', VALUE, { scope: 'spend', tenant: 'acme' })
    await expect(vault.rotate('key', VALUE)).rejects.toMatchObject({ code: 'invalid-option', path: 'name' })
    expect(changes).toHaveLength(1)
    expect(await vault.list()).toEqual([])
  })

  test.each<[unknown, unknown, unknown, string]>([
    ['', VALUE, {}, 'name'],
    ['$digest', VALUE, {}, 'name'],
    ['key', '', {}, 'value'],
    ['key', VALUE, { tenant: 'a|b' }, 'tenant'],
    ['key', VALUE, { scope: 'read' }, 'scope'],
  ])('%j, %j, %j is refused', async (name, value, options, path) => {
    const { vault } = opened(memoryStore().secret, [OLD])
    await vault.put('key', VALUE, { scope: 'spend' })
    const refused = vault.rotate(name as string, value as string, options as object)
    await expect(refused).rejects.toMatchObject({ code: 'invalid-option', path })
  })
})

test('a new value is not put where somebody has changed in the store who may use it', async () => {
  const { secret } = memoryStore()
  const { vault, value } = opened(secret, [OLD])
  await vault.put('key', VALUE, { scope: 'spend', tools: ['charge'], hosts: ['api.example.com'] })
  const row = (await vault.find('default', 'key')) ?? expect.fail()
  for (const change of [{ scope: 'any' }, { tools: [] }, { hosts: ['evil.example'] }]) {
    await secret.delete('default', 'key')
    await secret.put({ ...row, ...change })
    await expect(vault.rotate('key', 'another value')).rejects.toBeInstanceOf(Unavailable)
    expect(await secret.list()).toHaveLength(1)
  }
  await secret.delete('default', 'key')
  await secret.put(row)
  await vault.rotate('key', 'another value')
  expect(await value('key')).toBe('another value')
})

test('a new value is not put under what a secret was before it was deleted and put anew meanwhile', async () => {
  const { secret } = memoryStore()
  const other = opened(secret, [OLD]).vault
  await other.put('key', VALUE, { scope: 'read' })
  let meanwhile: (() => Promise<unknown>) | undefined = async () => {
    await other.delete('key')
    await other.put('key', 'newer', { scope: 'payments:admin', tools: ['charge'] })
  }
  const wrap: KeyProvider['wrap'] = async (...args) => {
    const work = meanwhile
    meanwhile = undefined
    await work?.()
    return OLD.wrap(...args)
  }
  const { vault } = opened(secret, [{ ...OLD, wrap }])
  await vault.rotate('key', 'newest')
  expect((await vault.list())[0]).toMatchObject({ scope: 'payments:admin', tools: ['charge'], version: 2 })
})

describe('what may be listed', () => {
  test('is who may use a secret, its versions and its last use; never a value or a ciphertext', async () => {
    const store = memoryStore()
    const { vault } = opened(store.secret, [OLD])
    await vault.put('b', VALUE, { scope: 'spend', tools: ['charge'], hosts: ['api.example.com'] })
    await vault.put('a', VALUE, { scope: 'read' })
    await vault.put('a', 'newer', { scope: 'gmail:read' })
    await vault.put('c', VALUE, { scope: 'read', tenant: 'acme' })
    await vault.digestKey('default')
    const [a, b, ...rest] = await vault.list()
    expect(rest).toEqual([])
    expect(a).toMatchObject({ name: 'a', tenant: 'default', scope: 'gmail:read', tools: [], hosts: [], version: 2 })
    expect(a?.versions).toEqual([1, 2].map((version) => ({ version, createdAt: expect.any(Date), key: OLD.id })))
    expect(b).toMatchObject({ name: 'b', scope: 'spend', tools: ['charge'], hosts: ['api.example.com'], version: 1 })
    expect(a).not.toHaveProperty('lastUsedAt')
    const { sealed, wrapped } = (await vault.find('default', 'b')) ?? expect.fail()
    for (const hidden of [VALUE, sealed, wrapped]) expect(JSON.stringify([a, b])).not.toContain(hidden)
    expect((await vault.list({ tenant: 'acme' })).map(({ name }) => name)).toEqual(['c'])
  })

  test('a use is noted at most once a minute for each secret, whatever becomes of it', async () => {
    const { secret } = memoryStore()
    const used = vi.fn<SecretVerbs['used']>(() => Promise.reject(new Error('disk I/O error')))
    const { vault, clock, faults } = opened({ ...secret, used }, [OLD])
    await vault.put('a', VALUE, { scope: 'read' })
    await vault.put('b', VALUE, { scope: 'read' })
    const [a, b] = [await vault.find('default', 'a'), await vault.find('default', 'b')]
    for (let times = 0; times < 100; times++) vault.noteUse(a!)
    vault.noteUse(b!)
    expect(used.mock.calls).toEqual([
      ['default', 'a'],
      ['default', 'b'],
    ])
    await clock.advance(60_000)
    vault.noteUse(a!)
    expect(used).toHaveBeenCalledTimes(3)
    await clock.advance(0)
    expect(faults).toHaveLength(3)
    used.mockImplementation(() => {
      throw new Error('disk I/O error')
    })
    await clock.advance(60_000)
    expect(() => vault.noteUse(a!)).not.toThrow()
    expect(faults).toHaveLength(4)
  })
})

describe('deleting', () => {
  test('takes every version away once that is on record, and says whether there was one', async () => {
    const { secret } = memoryStore()
    const { vault, changes, value } = opened(secret, [OLD])
    await vault.put('key', VALUE, { scope: 'read' })
    await vault.put('key', VALUE, { scope: 'read' })
    expect(await vault.delete('key', { tenant: 'acme' })).toBe(false)
    expect(await vault.delete('key')).toBe(true)
    expect(await vault.delete('key')).toBe(false)
    expect(changes.slice(2)).toEqual([{ type: 'secret-deleted', tenant: 'default', name: 'key', version: 2 }])
    expect(await value('key')).toBeUndefined()
  })

  test('does not happen when the trail does not take it; the key of digests is no secret to delete', async () => {
    const { secret } = memoryStore()
    await fill(secret, 1)
    const { vault, value } = opened(secret, [OLD], { record: () => Promise.reject(new Unavailable('no trail')) })
    await expect(vault.delete('key0')).rejects.toThrow('no trail')
    expect(await value('key0')).toBe(`${VALUE}-0`)
    await expect(vault.delete('$digest')).rejects.toMatchObject({ path: 'name' })
  })
})

describe('rotating the wrapping key', () => {
  test('wraps data keys anew and nothing else, in every tenant, also those of digests', async () => {
    const { secret } = memoryStore()
    const before = await fill(secret)
    await before.put('key0', 'newer', { scope: 'read' })
    await before.put('theirs', VALUE, { scope: 'read', tenant: 'acme' })
    const digest = await before.digestKey('acme')
    const rows = await secret.list()
    const { vault, changes, value } = opened(secret, [NEW, OLD])
    expect(await vault.rewrap()).toEqual({ rewrapped: 8, left: 0 })
    const after = await secret.list()
    expect(after.map(({ keyId: _, wrapped: __, ...rest }) => rest)).toEqual(
      rows.map(({ keyId: _, wrapped: __, ...rest }) => rest),
    )
    expect(after.every(({ keyId }) => keyId === NEW.id)).toBe(true)
    expect(after.every(({ wrapped }) => !rows.some((row) => row.wrapped === wrapped))).toBe(true)
    expect(changes).toHaveLength(8)
    expect(changes[0]).toMatchObject({ type: 'secret-rotated', key: NEW.id })
    expect(await value('key0')).toBe('newer')
    // The old key can go.
    const alone = opened(secret, [NEW])
    expect(await alone.value('key3')).toBe(`${VALUE}-3`)
    expect(await alone.value('theirs', 'acme')).toBe(VALUE)
    expect(await alone.vault.digestKey('acme')).toEqual(digest)
    expect(await vault.rewrap()).toEqual({ rewrapped: 0, left: 0 })
    expect(changes).toHaveLength(8)
  })

  test('opens no secret: what is sealed is never touched', async () => {
    const { secret } = memoryStore()
    await fill(secret, 1)
    const [row] = await secret.list()
    await secret.delete('default', 'key0')
    await secret.put({ ...row!, sealed: 'not even base64 of anything' })
    expect(await opened(secret, [NEW, OLD]).vault.rewrap()).toEqual({ rewrapped: 1, left: 0 })
  })

  test('goes on where a run was cut short', async () => {
    const { secret } = memoryStore()
    await fill(secret)
    let takes = 3
    const record = () => {
      if (takes-- === 0) throw new Unavailable('the trail is broken')
    }
    const { vault } = opened(secret, [NEW, OLD], { record })
    await expect(vault.rewrap()).rejects.toThrow('the trail is broken')
    const wrappedBy = async () => Object.groupBy(await secret.list(), ({ keyId }) => keyId)
    expect((await wrappedBy())[NEW.id]).toHaveLength(3)
    const next = opened(secret, [NEW, OLD])
    expect(await next.vault.rewrap({ limit: 1 })).toEqual({ rewrapped: 1, left: 1 })
    expect(await next.vault.rewrap()).toEqual({ rewrapped: 1, left: 0 })
    for (let index = 0; index < 5; index++) expect(await next.value(`key${index}`)).toBe(`${VALUE}-${index}`)
  })

  test('at any point of a run, and after any number of deaths, everything opens', async () => {
    for (let dies = 0; dies < 12; dies++) {
      const { secret } = memoryStore()
      await fill(secret, 4)
      let steps = 0
      const mortal =
        <A extends unknown[], R>(work: (...args: A) => R) =>
        (...args: A): R => {
          if (steps++ >= dies) throw new Error('the process has died')
          return work(...args)
        }
      const dying: SecretVerbs = { ...secret, rewrap: mortal(secret.rewrap), list: mortal(secret.list) }
      const key = { ...NEW, wrap: mortal(NEW.wrap) }
      await opened(dying, [key, OLD])
        .vault.rewrap()
        .catch(() => {})
      const { value, vault } = opened(secret, [NEW, OLD])
      for (let index = 0; index < 4; index++) expect(await value(`key${index}`)).toBe(`${VALUE}-${index}`)
      expect((await vault.rewrap()).left).toBe(0)
    }
  })

  test('two runs at once undo nothing of one another', async () => {
    const { secret } = memoryStore()
    await fill(secret, 8)
    const slow: SecretVerbs = { ...secret, rewrap: async (...args) => secret.rewrap(...args) }
    const runs = await Promise.all(
      [NEW, keyOf('c')].map((key) => opened(slow, [key, NEW, OLD, keyOf('c')]).vault.rewrap()),
    )
    expect(runs[0]!.rewrapped + runs[1]!.rewrapped).toBeGreaterThanOrEqual(8)
    const { value } = opened(secret, [NEW, keyOf('c')])
    for (let index = 0; index < 8; index++) expect(await value(`key${index}`)).toBe(`${VALUE}-${index}`)
  })

  test('what was deleted or taken over by others meanwhile is not left', async () => {
    const { secret } = memoryStore()
    await fill(secret, 3)
    const { vault } = opened({ ...secret, rewrap: () => false }, [NEW, OLD])
    expect(await vault.rewrap()).toEqual({ rewrapped: 0, left: 0 })
  })

  test('what no key here opens is left and counted, and keeps the others from nothing', async () => {
    const { secret } = memoryStore()
    await fill(secret, 2)
    await opened(secret, [keyOf('c')]).vault.put('foreign', VALUE, { scope: 'read' })
    const [row] = (await secret.list()).filter(({ name }) => name === 'key0')
    await secret.rewrap({ ...row!, wrapped: row!.wrapped.replace(/^..../, 'AAAA') }, row!)
    const { vault, faults } = opened(secret, [NEW, OLD])
    expect(await vault.rewrap()).toEqual({ rewrapped: 1, left: 2 })
    expect(faults).toHaveLength(2)
    expect(faults.every((fault) => fault instanceof Unavailable)).toBe(true)
  })

  test('a current key that does not wrap ends the run, and nothing is changed', async () => {
    const { secret } = memoryStore()
    await fill(secret, 2)
    const rows = await secret.list()
    for (const wrap of [() => Promise.reject(new Error('denied')), () => new Uint8Array(), () => new Uint8Array(60)]) {
      await expect(opened(secret, [{ ...NEW, wrap }, OLD]).vault.rewrap()).rejects.toBeInstanceOf(Unavailable)
    }
    expect(await secret.list()).toEqual(rows)
  })

  test('of one tenant leaves the others alone; without keys there is nothing to rotate to', async () => {
    const { secret } = memoryStore()
    await fill(secret, 1)
    await opened(secret, [OLD]).vault.put('theirs', VALUE, { scope: 'read', tenant: 'acme' })
    const { vault } = opened(secret, [NEW, OLD])
    expect(await vault.rewrap({ tenant: 'acme' })).toEqual({ rewrapped: 1, left: 0 })
    expect((await vault.list())[0]?.versions[0]?.key).toBe(OLD.id)
    await expect(opened(secret, []).vault.rewrap()).rejects.toMatchObject({ path: 'vault.keys' })
    for (const options of [{ limit: 0 }, { limit: 1.5 }, { tenant: '' }, { limits: 1 }]) {
      await expect(vault.rewrap(options as object)).rejects.toMatchObject({ code: 'invalid-option' })
    }
  })

  test('digest keys that lie there plain are not wrapped by it', async () => {
    const { secret } = memoryStore()
    await opened(secret, []).vault.digestKey('acme')
    expect(await opened(secret, [NEW]).vault.rewrap()).toEqual({ rewrapped: 0, left: 0 })
  })
})
