/** Sealed secrets as a store keeps them. */
import type { MaybePromise } from '../clock.ts'

/** One version of a sealed secret. Nothing in it can be read without the wrapping key. */
export interface SealedSecret {
  readonly tenant: string
  readonly name: string
  readonly version: number
  readonly keyId: string
  readonly scope: string
  readonly tools: readonly string[]
  /** The hosts that a governed `fetch` may send it to; none, when empty. */
  readonly hosts: readonly string[]
  /** The data key, wrapped by the key provider; base64. */
  readonly wrapped: string
  /** Nonce, ciphertext and tag; base64. */
  readonly sealed: string
}

/** A version as the store lists it. Times are the store's own, in milliseconds since the epoch. */
export interface StoredSecret extends SealedSecret {
  readonly createdAt: number
  /** When the secret, in whichever version, was noted as used last. */
  readonly usedAt?: number
}

export interface SecretVerbs {
  /**
   * Adds a version; `false` when that version exists already. With `after`, only when that is the newest version, as it
   * was sealed; `null`: when there is none.
   */
  put(secret: SealedSecret, after?: SealedSecret | null): MaybePromise<boolean>
  /** The newest version. */
  get(tenant: string, name: string): MaybePromise<SealedSecret | undefined>
  /** Every version of every secret: a tenant's, or, without one, all there are. */
  list(tenant?: string): MaybePromise<readonly StoredSecret[]>
  /**
   * Replaces `keyId` and `wrapped` of a version, and nothing else of it, if its data key is still wrapped as `was` has
   * it; else `false`. Two processes that rewrap at once can't undo one another.
   */
  rewrap(secret: SealedSecret, was: SealedSecret): MaybePromise<boolean>
  /** Notes that a secret was used now. */
  used(tenant: string, name: string): MaybePromise<void>
  /** Deletes every version; answers whether there was one. */
  delete(tenant: string, name: string): MaybePromise<boolean>
}
