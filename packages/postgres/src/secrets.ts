/** Sealed secrets of the PostgreSQL store, and the writers of the trail. */
import type { SealedSecret, SecretVerbs, StoredSecret, WriterRow, WriterVerbs } from '@haldir/core/store'
import { type Answer, unavailable, type Verbs } from './verbs.ts'

async function ask({ call }: Verbs, verb: string, body: Record<string, unknown>): Promise<Answer> {
  try {
    return await call(verb, body)
  } catch (error) {
    throw unavailable(error)
  }
}

export function postgresSecrets(verbs: Verbs): SecretVerbs {
  return {
    async put({ scope, tools, hosts, ...rest }, after) {
      const secret = { ...rest, data: JSON.stringify({ scope, tools, hosts }) }
      const follows = after === undefined ? {} : { after: after && { version: after.version, sealed: after.sealed } }
      return (await ask(verbs, 'put_secret', { secret, ...follows })).put as boolean
    },
    async get(tenant, name) {
      const { row } = await ask(verbs, 'get_secret', { tenant, name })
      return row ? secretFrom(row as Answer) : undefined
    },
    async list(tenant) {
      const { rows } = await ask(verbs, 'list_secrets', tenant === undefined ? {} : { tenant })
      return (rows as Answer[]).map((row): StoredSecret => {
        const { createdAt, usedAt } = row as { createdAt: number; usedAt: number | null }
        return { ...secretFrom(row), createdAt, ...(usedAt === null ? {} : { usedAt }) }
      })
    },
    async rewrap({ tenant, name, version, keyId, wrapped }, was) {
      const body = { tenant, name, version, keyId, wrapped, wasKeyId: was.keyId, wasWrapped: was.wrapped }
      return (await ask(verbs, 'rewrap_secret', body)).rewrapped as boolean
    },
    async used(tenant, name) {
      await ask(verbs, 'note_use', { tenant, name })
    },
    delete: async (tenant, name) => (await ask(verbs, 'delete_secret', { tenant, name })).deleted as boolean,
  }
}

function secretFrom(row: Answer): SealedSecret {
  const { tenant, name, version, keyId, wrapped, sealed, data } = row
  return {
    ...JSON.parse(data as string),
    tenant,
    name,
    version,
    keyId,
    wrapped,
    sealed,
  }
}

export function postgresWriters(verbs: Verbs): WriterVerbs {
  return {
    async put({ id, ...rest }) {
      await ask(verbs, 'put_writer', { id, data: JSON.stringify(rest) })
    },
    async list() {
      const { rows } = await ask(verbs, 'list_writers', {})
      return (rows as { id: string; data: string }[]).map(({ id, data }): WriterRow => ({ id, ...JSON.parse(data) }))
    },
  }
}
