/** Rotating the wrapping key: data keys are wrapped anew, one version after another; no secret is opened. */
import type { MaybePromise } from '../clock.ts'
import { checkKeys } from '../options.ts'
import type { SealedSecret, StoredSecret } from '../stores/store.ts'
import { PLAIN, type Sealer } from './seal.ts'
import { checkedTenant, invalid } from './secret-options.ts'
import type { SecretChange } from './vault.ts'

export interface RewrapOptions {
  /** Only this tenant's; everyone's unless given. */
  readonly tenant?: string
  /** At most so many versions in this run; all of them unless given. */
  readonly limit?: number
}

export interface Rewrapped {
  /** How many versions the current key has taken over in this run. */
  readonly rewrapped: number
  /** How many are still wrapped by another key: by `limit`, or because that key is not here or does not answer. */
  readonly left: number
}

/** What a run does with one version, each step after the one before. */
export interface RewrapSteps {
  readonly sealer: Sealer
  readonly record: (change: SecretChange) => MaybePromise<void>
  readonly store: (fresh: SealedSecret, was: SealedSecret) => Promise<boolean>
  /** A version can't be taken over; the run goes on. */
  readonly fault: (error: unknown) => void
}

export function checkedRewrap(options: RewrapOptions): { tenant: string | undefined; limit: number } {
  checkKeys(options, ['tenant', 'limit'], 'options of `rewrap`')
  const { tenant, limit = Number.MAX_SAFE_INTEGER } = options
  if (!Number.isSafeInteger(limit) || limit < 1) throw invalid('limit', 'is a whole number from 1 up')
  return { tenant: tenant === undefined ? undefined : checkedTenant(tenant), limit }
}

export async function rewrapEach(
  all: readonly StoredSecret[],
  limit: number,
  { sealer, record, store, fault }: RewrapSteps,
): Promise<Rewrapped> {
  const { current } = sealer
  if (current === undefined) throw invalid('vault.keys', 'is not set: there is no current key')
  const others = all.filter(({ keyId }) => keyId !== current && keyId !== PLAIN)
  let rewrapped = 0
  let gone = 0
  for (const { createdAt: _, usedAt: __, ...secret } of others) {
    if (rewrapped === limit) break
    const fresh = await sealer.rewrap(secret, fault)
    if (!fresh) continue
    const { tenant, name, version, keyId } = fresh
    await record({ type: 'secret-rotated', tenant, name, version, key: keyId })
    // Deleted meanwhile, or taken over by another process that does the same.
    if (await store(fresh, secret)) rewrapped++
    else gone++
  }
  return { rewrapped, left: others.length - rewrapped - gone }
}
