import { SHORTEST } from './redact.ts'
import type { Vault } from './vault.ts'

/** What an application sees of the vault: nothing that reveals. */
export function shownVault(vault: Vault, tooShort: (secret: string) => void): Vault {
  const noting = async <T>(secret: string, value: string, done: Promise<T>): Promise<T> => {
    const answer = await done
    if (Buffer.byteLength(value) < SHORTEST) tooShort(secret)
    return answer
  }
  return Object.freeze({
    put: (name, value, options) => noting(name, value, vault.put(name, value, options)),
    rotate: (name, value, options) => noting(name, value, vault.rotate(name, value, options)),
    list: (options) => vault.list(options),
    delete: (name, options) => vault.delete(name, options),
    rewrap: (options) => vault.rewrap(options),
  } satisfies Vault)
}
