/** Sealed secrets of the SQLite store. */
import type { Statements } from './sqlite-open.ts'
import { secretFrom, storedSecretFrom } from './sqlite-rows.ts'
import type { Transactions } from './sqlite-transact.ts'
import type { SecretVerbs } from './store.ts'

export function sqliteSecrets(sql: Statements, { atomically, patiently }: Transactions): SecretVerbs {
  return {
    put: ({ tenant, name, version, keyId, wrapped, ...rest }, after) =>
      atomically((at) => {
        if (after !== undefined) {
          const newest = secretFrom(sql.readSecret.get(tenant, name))
          if (newest?.version !== after?.version || newest?.sealed !== after?.sealed) return false
        }
        const { changes } = sql.insertSecret.run(tenant, name, version, keyId, wrapped, JSON.stringify(rest), at)
        return Number(changes) === 1
      }),

    get: (tenant, name) => patiently(() => secretFrom(sql.readSecret.get(tenant, name))),

    list: (tenant) => patiently(() => sql.listSecrets.all(tenant ?? null, tenant ?? null).map(storedSecretFrom)),

    rewrap: ({ tenant, name, version, keyId, wrapped }, was) =>
      atomically(() => {
        const { changes } = sql.rewrapSecret.run(keyId, wrapped, tenant, name, version, was.keyId, was.wrapped)
        return Number(changes) === 1
      }),

    used: (tenant, name) => atomically((at) => void sql.noteUse.run(at, tenant, name)),

    delete: (tenant, name) =>
      atomically(() => {
        sql.forgetUse.run(tenant, name)
        return Number(sql.deleteSecret.run(tenant, name).changes) > 0
      }),
  }
}
