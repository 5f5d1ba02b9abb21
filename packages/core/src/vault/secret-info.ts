/** What may be shown of a secret. */
import type { StoredSecret } from '../stores/store.ts'

/** A secret as it may be shown. */
export interface SecretInfo {
  readonly name: string
  readonly tenant: string
  readonly scope: string
  /** The tools that may use it; every one that names it, when empty. */
  readonly tools: readonly string[]
  /** The hosts that `session.fetch` may send it to. */
  readonly hosts: readonly string[]
  /** The newest version: the one that calls are given. */
  readonly version: number
  readonly versions: readonly {
    readonly version: number
    readonly createdAt: Date
    /** Id of the key that wraps it. */
    readonly key: string
  }[]
  /** When a call was last given it, to the minute; absent when none was. */
  readonly lastUsedAt?: Date
}

/** Of all versions of one secret; there is at least one. */
export function infoOf(stored: readonly StoredSecret[]): SecretInfo {
  const versions = stored.toSorted((a, b) => a.version - b.version)
  const { tenant, name, scope, tools, hosts, version, usedAt } = versions.at(-1) as StoredSecret
  return {
    name,
    tenant,
    scope,
    tools: [...tools],
    hosts: [...hosts],
    version,
    versions: versions.map((one) => ({ version: one.version, createdAt: new Date(one.createdAt), key: one.keyId })),
    ...(usedAt === undefined ? {} : { lastUsedAt: new Date(usedAt) }),
  }
}
