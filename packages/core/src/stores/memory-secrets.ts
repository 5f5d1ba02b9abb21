/** Sealed secrets of the memory store: every version, by tenant and name. */
import type { SealedSecret, SecretVerbs, StoredSecret } from './store.ts'

interface Kept {
  versions: readonly StoredSecret[]
  usedAt?: number
}

export function memorySecrets(now: () => number): SecretVerbs {
  const secrets = new Map<string, Kept>()
  const idOf = (tenant: string, name: string) => `${tenant}|${name}`

  return {
    put(secret, after) {
      const id = idOf(secret.tenant, secret.name)
      const kept = secrets.get(id) ?? { versions: [] }
      const newest = kept.versions.at(-1)
      if (after !== undefined && (newest?.version !== after?.version || newest?.sealed !== after?.sealed)) return false
      if (kept.versions.some(({ version }) => version === secret.version)) return false
      const versions = [...kept.versions, { ...secret, createdAt: now() }]
      secrets.set(id, { ...kept, versions: versions.sort((a, b) => a.version - b.version) })
      return true
    },

    get(tenant, name) {
      const newest = secrets.get(idOf(tenant, name))?.versions.at(-1)
      return newest && sealed(newest)
    },

    list: (tenant) =>
      [...secrets.values()].flatMap(({ versions, usedAt }) =>
        versions
          .filter((secret) => tenant === undefined || secret.tenant === tenant)
          .map((secret) => ({ ...secret, ...(usedAt === undefined ? {} : { usedAt }) })),
      ),

    rewrap({ tenant, name, version, keyId, wrapped }, was) {
      const kept = secrets.get(idOf(tenant, name))
      const old = kept?.versions.find((one) => one.version === version)
      if (!kept || !old || old.keyId !== was.keyId || old.wrapped !== was.wrapped) return false
      kept.versions = kept.versions.map((one) => (one === old ? { ...old, keyId, wrapped } : one))
      return true
    },

    used(tenant, name) {
      const kept = secrets.get(idOf(tenant, name))
      if (kept) kept.usedAt = now()
    },

    delete: (tenant, name) => secrets.delete(idOf(tenant, name)),
  }
}

function sealed({ createdAt: _, ...secret }: StoredSecret): SealedSecret {
  return secret
}
