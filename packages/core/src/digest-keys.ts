/** The digest keys of the tenants that a process works for: each is read once. */
import { DigestKey } from './digest-key.ts'
import type { House } from './pass.ts'

export class DigestKeys {
  readonly #house: House
  readonly #warn: (warning: string) => void
  readonly #known = new Map<string, Promise<DigestKey>>()

  constructor(house: House, warn: (warning: string) => void) {
    this.#house = house
    this.#warn = warn
  }

  /** Rejects `Unavailable` when the store or the vault key does not answer; then the next one asks again. */
  of(tenant: string): Promise<DigestKey> {
    const known = this.#known.get(tenant)
    if (known) return known
    const found = this.#house.vault.digestKey(tenant).then(({ id, key, sealed }) => {
      if (!sealed) this.#warn('digest keys are stored unsealed: set `vault.keys`')
      return new DigestKey(id, key)
    })
    found.catch(() => this.#known.delete(tenant))
    this.#known.set(tenant, found)
    return found
  }
}
