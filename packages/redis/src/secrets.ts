/** Sealed secrets and writers of the Redis store. */
import type { SealedSecret, SecretVerbs, StoredSecret, WriterRow, WriterVerbs } from '@haldir/core/store'
import type { Engine } from './engine.ts'
import { unexpected } from './failures.ts'
import { writersKey } from './keys.ts'
import { hash, json, list, maybe, text, whole } from './replies.ts'
import type { Tenants } from './tenants.ts'

export function redisSecrets(engine: Engine, tenants: Tenants): SecretVerbs {
  async function listed(tenant: string): Promise<readonly StoredSecret[]> {
    const { rest } = await engine.ask('secrets', tenant, [])
    return list(rest[0]).flatMap((one) => {
      const [name, fields] = list(one)
      return storedFrom(tenant, text(name), hash(fields) ?? new Map())
    })
  }

  return {
    async put({ tenant, name, version, keyId, wrapped, sealed, ...rest }, after) {
      await tenants.touch(tenant)
      const follows = after === undefined ? ['any'] : after ? ['after', String(after.version), after.sealed] : ['none']
      const args = [name, String(version), keyId, wrapped, sealed, JSON.stringify(rest), ...follows]
      return whole((await engine.ask('put', tenant, args)).rest[0]) === 1
    },

    async get(tenant, name) {
      const { rest } = await engine.ask('newest', tenant, [name])
      const version = maybe(rest[0], whole)
      return version === undefined ? undefined : secretFrom(tenant, name, version, list(rest[1]))
    },

    async list(tenant) {
      if (tenant !== undefined) return sorted(await listed(tenant))
      return sorted((await Promise.all((await tenants.all()).map(listed))).flat())
    },

    async rewrap({ tenant, name, version, keyId, wrapped }, was) {
      const args = [name, String(version), keyId, wrapped, was.keyId, was.wrapped]
      return whole((await engine.ask('rewrap', tenant, args)).rest[0]) === 1
    },

    async used(tenant, name) {
      await engine.ask('used', tenant, [name])
    },

    async delete(tenant, name) {
      return whole((await engine.ask('delete', tenant, [name])).rest[0]) === 1
    },
  }
}

export function redisWriters(engine: Engine): WriterVerbs {
  const key = writersKey(engine.prefix)
  return {
    async put({ id, ...rest }) {
      await engine.plain('putWriter', key, [id, JSON.stringify(rest)])
    },

    async list() {
      const rows = hash(await engine.plain('writers', key)) ?? new Map<string, string>()
      const all = [...rows].map(([id, row]): WriterRow => ({ ...json<Omit<WriterRow, 'id'>>(row), id }))
      return all.sort((a, b) => (a.id < b.id ? -1 : 1))
    },
  }
}

function secretFrom(tenant: string, name: string, version: number, fields: readonly unknown[]): SealedSecret {
  const [keyId, wrapped, sealed, rest] = fields.map(text)
  if (keyId === undefined || wrapped === undefined || sealed === undefined) throw unexpected()
  return {
    ...json<Pick<SealedSecret, 'scope' | 'tools' | 'hosts'>>(rest),
    tenant,
    name,
    version,
    keyId,
    wrapped,
    sealed,
  }
}

function storedFrom(tenant: string, name: string, fields: ReadonlyMap<string, string>): readonly StoredSecret[] {
  const usedAt = maybe(fields.get('used'), whole)
  const versions = [...fields.keys()].filter((field) => /^k\d+$/.test(field)).map((field) => whole(field.slice(1)))
  return versions.map((version) => ({
    ...secretFrom(
      tenant,
      name,
      version,
      ['k', 'w', 's', 'd'].map((kind) => fields.get(`${kind}${version}`)),
    ),
    createdAt: whole(fields.get(`t${version}`)),
    ...(usedAt === undefined ? {} : { usedAt }),
  }))
}

function sorted(secrets: readonly StoredSecret[]): readonly StoredSecret[] {
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  return [...secrets].sort((a, b) => order(a.tenant, b.tenant) || order(a.name, b.name) || a.version - b.version)
}
