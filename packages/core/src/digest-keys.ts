/** The keys that the tenants of a process digest with: each is read once in a while. */
import type { Clock } from './clock.ts'
import { DigestKey } from './digest-key.ts'
import type { KeptKey } from './vault/kept-keys.ts'

/** For how long a key that was destroyed by another process is still used here, at most. */
export const KEY_LIFETIME_MS = 60_000

interface Known {
  readonly found: Promise<DigestKey>
  /** By the monotonic clock. */
  readonly until: number
  key?: DigestKey
}

export class DigestKeys {
  readonly #read: (tenant: string) => Promise<KeptKey>
  readonly #clock: Clock
  readonly #unsealed: () => void
  readonly #known = new Map<string, Known>()

  /** `unsealed` is told when a key is not guarded by a wrapping key. */
  constructor(read: (tenant: string) => Promise<KeptKey>, clock: Clock, unsealed: () => void) {
    this.#read = read
    this.#clock = clock
    this.#unsealed = unsealed
  }

  /** The key, if it is at hand. */
  at(tenant: string): DigestKey | undefined {
    return this.#fresh(tenant)?.key
  }

  /** Rejects `Unavailable` when the store or the vault key does not answer; then the next one asks again. */
  of(tenant: string): Promise<DigestKey> {
    const fresh = this.#fresh(tenant)
    if (fresh) return fresh.found
    const found = this.#read(tenant).then(({ id, key, sealed }) => {
      if (!sealed) this.#unsealed()
      known.key = new DigestKey(id, key)
      return known.key
    })
    const known: Known = { found, until: this.#clock.monotonic() + KEY_LIFETIME_MS }
    found.catch(() => {
      if (this.#known.get(tenant) === known) this.#known.delete(tenant)
    })
    this.#known.set(tenant, known)
    return found
  }

  /** As the store has it now, whatever was read before. */
  anew(tenant: string): Promise<DigestKey> {
    this.#known.delete(tenant)
    return this.of(tenant)
  }

  /** It was destroyed. */
  forget(tenant: string): void {
    this.#known.delete(tenant)
  }

  #fresh(tenant: string): Known | undefined {
    const known = this.#known.get(tenant)
    return known && this.#clock.monotonic() < known.until ? known : undefined
  }
}
