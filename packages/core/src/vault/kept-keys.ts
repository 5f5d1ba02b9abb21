/** Keys that a haldir makes for itself: kept among the secrets, under names that `put` does not allow. */
import { hash } from 'node:crypto'
import { ask, type MaybePromise } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import type { SealedSecret, SecretVerbs, StoredSecret } from '../stores/store.ts'
import { PLAIN, type Sealer, type SealerParts } from './seal.ts'

/** What all their names begin with. */
export const RESERVED = '$'
/** Digests of calls. */
export const DIGEST_KEY = '$digest'
/** Fingerprints of values that an auditor may search for. */
export const FINGERPRINT_KEY = '$fingerprint'
/** Values in entries that belong to nobody in particular; what follows it and a dot is the subject's fingerprint. */
export const SUBJECT_KEY = '$subject'

/** A 256-bit key, ready to use. */
export interface KeptKey {
  /** As entries name it. */
  readonly id: string
  readonly key: Buffer
  /** Whether a wrapping key guards it in the store. */
  readonly sealed: boolean
}

/** One that was asked for, and whether it was made for that. */
export interface AskedKey extends KeptKey {
  readonly made: boolean
}

export interface KeptKeysParts extends SealerParts {
  readonly secrets: SecretVerbs
}

/** How often a write that another process came before is tried again. */
export const TRIES = 16
/** How many opened keys are remembered, so that a provider far away is not asked again. */
const MOST_OPENED = 1_000

export class KeptKeys {
  readonly #parts: KeptKeysParts
  readonly #sealer: Sealer
  /** Opened keys, by the row they were opened from; the oldest first. */
  readonly #opened = new Map<string, { readonly row: SealedSecret; readonly key: Buffer }>()

  constructor(parts: KeptKeysParts, sealer: Sealer) {
    this.#parts = parts
    this.#sealer = sealer
  }

  /**
   * The key of that name, made on first use: sealed when there is a wrapping key, else plain. Two processes that make it
   * at once agree on the one the store took first. Reads the store each time, so that a key which was destroyed by any
   * process is used by none. Rejects `Unavailable` when store or wrapping key do not answer.
   */
  async of(tenant: string, name: string): Promise<AskedKey> {
    const { secrets, random, keys } = this.#parts
    let put = false
    for (let tries = 0; tries < TRIES; tries++) {
      const found = await this.find(tenant, name)
      // A plain key that was made before there was a wrapping key, or put there by someone who can write the store, is
      // followed by a sealed one; what it was used for keeps its name.
      if (found && !(isPlain(found) && keys.length > 0)) {
        return { id: keyIdOf(found), key: await this.open(found), sealed: !isPlain(found), made: put }
      }
      const key = Buffer.from(random(32))
      const version = (found?.version ?? (await this.#floor(tenant, name))) + 1
      // Of the many that subjects have, the id is the key's own: one that was destroyed is never taken for a new one.
      const scope = name.startsWith(SUBJECT_KEY) ? ownId(key) : ''
      const row = { tenant, name, version, scope, tools: [], hosts: [] }
      const made =
        keys.length > 0
          ? await this.#sealer.seal(row, key)
          : { ...row, keyId: PLAIN, wrapped: '', sealed: key.toString('base64') }
      put = (await this.#ask(() => secrets.put(made, found ?? null), 'store.secret.put')) || put
    }
    throw new Unavailable('`store.secret.put` did not keep a key')
  }

  /** The newest version, as the store has it; `undefined` when there is none. */
  async find(tenant: string, name: string): Promise<SealedSecret | undefined> {
    const found = await this.#ask(() => this.#parts.secrets.get(tenant, name), 'store.secret.get')
    if (found === undefined || found === null) return undefined
    // Invariant: a secret is opened as what was asked for: what was filed under another name or tenant is not found.
    if (found.tenant !== tenant || found.name !== name) throw new Unavailable('`store.secret.get` answered nonsense')
    return found
  }

  /** Every version, as the store has them; none when there is no such key. Makes none. */
  async versions(tenant: string, name: string): Promise<readonly SealedSecret[]> {
    const newest = await this.find(tenant, name)
    if (!newest || newest.version === 1) return newest ? [newest] : []
    return (await this.#list(tenant)).filter((row) => row.tenant === tenant && row.name === name)
  }

  /** The names of all keys of a tenant. */
  async names(tenant: string): Promise<readonly string[]> {
    const kept = (await this.#list(tenant)).filter((row) => row.tenant === tenant && isKeyName(row.name))
    return [...new Set(kept.map(({ name }) => name))]
  }

  /** Rejects `Unavailable` when the wrapping key does not answer, or the row is not what was stored. */
  async open(row: SealedSecret): Promise<Buffer> {
    const id = JSON.stringify([row.tenant, row.name, row.version])
    const opened = this.#opened.get(id)
    if (opened && opened.row.sealed === row.sealed && opened.row.wrapped === row.wrapped) return opened.key
    const key = isPlain(row) ? Buffer.from(String(row.sealed), 'base64') : await this.#sealer.open(row)
    if (key.length !== 32) throw new Unavailable('a key in the store is not 32 bytes')
    if (row.scope !== '' && ownId(key) !== row.scope) throw new Unavailable('a key in the store is not the one it says')
    if (this.#opened.size >= MOST_OPENED) this.#opened.delete(this.#opened.keys().next().value as string)
    this.#opened.set(id, { row, key })
    return key
  }

  /** Deletes every version: nothing can be told from what it was used for any more. Answers whether there was one. */
  async destroy(tenant: string, name: string): Promise<boolean> {
    const { secrets } = this.#parts
    const newest = await this.find(tenant, name)
    if (!newest) return false
    if (newest.scope === '') await this.#raiseFloor(tenant, name, newest.version + 1)
    // Not wiped: a call that is about to seal may hold it, and must not seal by zeros.
    for (const [id, { row }] of this.#opened) {
      if (row.tenant === tenant && row.name === name) this.#opened.delete(id)
    }
    return this.#ask(() => secrets.delete(tenant, name), 'store.secret.delete')
  }

  // Keys that are named by their version must not get one that was used: entries would name two keys by one id.

  async #floor(tenant: string, name: string): Promise<number> {
    return (await this.find(tenant, name + GONE))?.version ?? 0
  }

  async #raiseFloor(tenant: string, name: string, version: number): Promise<void> {
    const floor = await this.find(tenant, name + GONE)
    if (floor && floor.version >= version) return
    const row = { tenant, name: name + GONE, version, keyId: PLAIN, scope: '', tools: [], hosts: [] }
    const put = () => this.#parts.secrets.put({ ...row, wrapped: '', sealed: '' }, floor ?? null)
    if (await this.#ask(put, 'store.secret.put')) return
    // Another process destroys it as well.
    const other = await this.find(tenant, name + GONE)
    if (!other || other.version < version) throw new Unavailable('`store.secret.put` did not note a destroyed key')
  }

  async #list(tenant: string): Promise<readonly StoredSecret[]> {
    const listed = await this.#ask(() => this.#parts.secrets.list(tenant), 'store.secret.list')
    const sound = Array.isArray(listed) && listed.every((one) => typeof one?.name === 'string')
    if (!sound) throw new Unavailable('`store.secret.list` answered nonsense')
    return listed
  }

  #ask<T>(work: () => MaybePromise<T>, what: string): Promise<T> {
    return ask(work, this.#parts.deadlineMs, this.#parts.clock, what)
  }
}

/** Names the note of how far the versions of a destroyed key went. */
const GONE = '.gone'

/** How entries name the key of a row. */
export function keyIdOf({ tenant, version, scope }: SealedSecret): string {
  return scope === '' ? `${tenant}.${version}` : scope
}

function isPlain({ keyId, wrapped }: SealedSecret): boolean {
  return keyId === PLAIN && wrapped === ''
}

function isKeyName(name: string): boolean {
  return name === DIGEST_KEY || name === FINGERPRINT_KEY || name === SUBJECT_KEY || name.startsWith(`${SUBJECT_KEY}.`)
}

/** 64 bits of its hash: enough to tell keys apart, and of no use to find one. */
function ownId(key: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from('haldir kept key\0'), key]), 'hex').slice(0, 16)
}
