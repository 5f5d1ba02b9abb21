/**
 * Sealing: each version of a secret has a data key of its own, which a key provider wraps. What a secret is and who may
 * use it is bound to the ciphertext, so moving it elsewhere or widening it makes it unreadable; which key wraps it is
 * bound to the wrap alone, so that another one can take its place without the secret being opened.
 */
import { ask, type Clock, type MaybePromise } from '../clock.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import type { SealedSecret } from '../stores/store.ts'
import { openBytes, type Random, sealBytes } from './cipher.ts'
import type { KeyProvider } from './keys.ts'

export interface SealerParts {
  /** The first is the current one: it wraps. All of them unwrap. */
  readonly keys: readonly KeyProvider[]
  readonly random: Random
  readonly clock: Clock
  readonly deadlineMs: number
}

/** What stands in `keyId` of what is stored without a wrapping key. */
export const PLAIN = 'none'

/** A version, before it is sealed. */
export type Row = Omit<SealedSecret, 'keyId' | 'wrapped' | 'sealed'>

export class Sealer {
  readonly #parts: SealerParts

  constructor(parts: SealerParts) {
    this.#parts = parts
  }

  /** The id of the key that wraps now. */
  get current(): string | undefined {
    return this.#parts.keys[0]?.id
  }

  /** Wipes `plain`. */
  async seal(row: Row, plain: Buffer): Promise<SealedSecret> {
    const { random } = this.#parts
    const dataKey = random(32)
    try {
      // Sealed before the provider sees the data key: one that wipes what it was given must not wipe what seals.
      const sealed = sealBytes(dataKey, plain, contextOf(row), random).toString('base64')
      return { ...row, ...(await this.#wrap(row, dataKey)), sealed }
    } finally {
      dataKey.fill(0)
      plain.fill(0)
    }
  }

  /** Unseals. Throws `Unavailable` when the key is not here, does not answer, or the record was tampered with. */
  async open(secret: SealedSecret): Promise<Buffer> {
    const dataKey = await this.#unwrap(secret)
    try {
      return openBytes(dataKey, Buffer.from(secret.sealed, 'base64'), contextOf(secret))
    } catch (cause) {
      throw new Unavailable('the secret could not be unsealed', { cause })
    } finally {
      wipe(dataKey)
    }
  }

  /**
   * The same version with its data key wrapped by the current key; the secret itself is not opened. `undefined`, and the
   * reason told to `fault`, when the key that wraps it now is not here or does not open it: that keeps no other version
   * from being taken over. A current key that does not wrap is thrown.
   */
  async rewrap(secret: SealedSecret, fault: (error: unknown) => void): Promise<SealedSecret | undefined> {
    let dataKey: Uint8Array
    try {
      dataKey = await this.#unwrap(secret)
    } catch (error) {
      fault(error)
      return undefined
    }
    try {
      return { ...secret, ...(await this.#wrap(secret, dataKey)) }
    } finally {
      wipe(dataKey)
    }
  }

  async #unwrap(secret: SealedSecret): Promise<Uint8Array> {
    const key = this.#parts.keys.find(({ id }) => id === secret.keyId)
    if (!key) throw new Unavailable('the key that seals this secret is not among `vault.keys`')
    try {
      const wrapped = Buffer.from(secret.wrapped, 'base64')
      const dataKey = await this.#ask(() => key.unwrap(wrapped, wrapContextOf(secret, key.id)))
      if (!(dataKey instanceof Uint8Array) || dataKey.length !== 32) throw new Error('not a data key')
      return dataKey
    } catch (cause) {
      throw new Unavailable('the secret could not be unsealed', { cause })
    }
  }

  async #wrap(row: Row, dataKey: Uint8Array): Promise<Pick<SealedSecret, 'keyId' | 'wrapped'>> {
    const [key] = this.#parts.keys
    if (!key) throw new ConfigError('invalid-option', 'vault.keys', 'a secret needs a key: set `vault.keys`')
    const context = wrapContextOf(row, key.id)
    const kept = Buffer.from(dataKey)
    const given = Uint8Array.from(dataKey)
    try {
      const bytes = await this.#ask(() => key.wrap(given, context))
      if (!(bytes instanceof Uint8Array) || bytes.length === 0) {
        throw new Unavailable('the vault key did not answer with bytes')
      }
      // Encoded at once: a provider may answer with bytes that it wipes later.
      const wrapped = Buffer.from(bytes).toString('base64')
      // A key that can't open what it closed would lock the secret away for ever.
      const back = await this.#ask(() => key.unwrap(Buffer.from(wrapped, 'base64'), context))
      if (!(back instanceof Uint8Array) || !kept.equals(back)) {
        throw new Unavailable('the vault key does not unwrap what it wrapped')
      }
      return { keyId: key.id, wrapped }
    } finally {
      kept.fill(0)
      given.fill(0)
    }
  }

  #ask<T>(work: () => MaybePromise<T>): Promise<T> {
    return ask(work, this.#parts.deadlineMs, this.#parts.clock, 'vault key')
  }
}

/** A provider may have answered with bytes that nobody can write. */
function wipe(bytes: Uint8Array): void {
  try {
    bytes.fill(0)
  } catch {
    // Then it is the provider's to wipe.
  }
}

/** The additional data of the secret: what a ciphertext is bound to, without ambiguity. */
function contextOf({ tenant, name, version, scope, tools, hosts }: Row): Buffer {
  return Buffer.from(JSON.stringify(['haldir.secret.v1', tenant, name, version, scope, tools, hosts]))
}

/** The additional data of its data key's wrap. */
function wrapContextOf({ tenant, name, version }: Row, keyId: string): Buffer {
  return Buffer.from(JSON.stringify(['haldir.data-key.v1', tenant, name, version, keyId]))
}
