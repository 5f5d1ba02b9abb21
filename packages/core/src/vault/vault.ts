/**
 * Secrets at rest: each version is sealed under a data key of its own, which a key provider wraps. Name, tenant,
 * version, scope and tools are bound to the ciphertext, so moving it elsewhere or widening it makes it unreadable.
 */
import type { Clock, MaybePromise } from '../clock.ts'
import { ask } from '../clock.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import { checkKeys } from '../options.ts'
import type { SealedSecret, SecretVerbs } from '../stores/store.ts'
import { openBytes, type Random, sealBytes } from './cipher.ts'
import type { KeyProvider } from './keys.ts'

export interface VaultParts {
  readonly keys: readonly KeyProvider[]
  readonly secrets: SecretVerbs
  readonly random: Random
  readonly clock: Clock
  readonly deadlineMs: number
  /** Checks the scope's shape; the vault knows nothing of scopes otherwise. */
  readonly checkScope: (scope: string, path: string) => void
  /** Writes `secret-put`; the secret is stored only after it is accepted. */
  readonly recordPut: (secret: { tenant: string; name: string; version: number }) => MaybePromise<void>
}

export interface PutOptions {
  /** What a session must hold to use the secret. */
  readonly scope: string
  /** The tools that may use it; every tool that names it, when absent. */
  readonly tools?: readonly string[]
  readonly tenant?: string
}

const NAME = /^[A-Za-z0-9_.-]{1,128}$/
const TOOL = /^[A-Za-z0-9_.:/-]{1,128}$/
const TENANT = /^[A-Za-z0-9_.:@/-]{1,128}$/
const OPTIONS = ['scope', 'tools', 'tenant'] as const

/** What an application sees of the vault. Values come out nowhere but inside a running call. */
export interface Vault {
  /**
   * Seals a value as the newest version of a secret. Throws `ConfigError` for a bad name, value or option, and
   * `Unavailable` when key, store or trail do not answer; then nothing is stored.
   */
  put(name: string, value: string, options: PutOptions): Promise<{ name: string; version: number }>
}

export class SealedVault implements Vault {
  readonly #parts: VaultParts

  constructor(parts: VaultParts) {
    this.#parts = parts
  }

  /**
   * Seals a value as the newest version of a secret. Throws `ConfigError` for a bad name, value or option, and
   * `Unavailable` when key, store or trail do not answer; then nothing is stored.
   */
  async put(name: string, value: string, options: PutOptions): Promise<{ name: string; version: number }> {
    const { tenant, scope, tools } = this.#checked(name, value, options)
    for (let tries = 0; tries < TRIES; tries++) {
      const newest = await this.find(tenant, name)
      const version = (newest?.version ?? 0) + 1
      if (!Number.isSafeInteger(version)) throw new Unavailable('the newest version in the store is not a number')
      const sealed = await this.#seal({ tenant, name, version, scope, tools }, Buffer.from(value, 'utf8'))
      await this.#parts.recordPut({ tenant, name, version })
      // Another process may have taken this version meanwhile; then the next one is tried.
      if (await this.#ask(() => this.#parts.secrets.put(sealed), 'store.secret.put')) return { name, version }
    }
    throw new Unavailable('`store.secret.put` took no version of the secret')
  }

  /** The newest version, still sealed; `undefined` when there is none. */
  find(tenant: string, name: string): Promise<SealedSecret | undefined> {
    return this.#ask(() => this.#parts.secrets.get(tenant, name), 'store.secret.get')
  }

  /** Unseals. Throws `Unavailable` when the key is not here, does not answer, or the record was tampered with. */
  async open(secret: SealedSecret): Promise<Buffer> {
    const key = this.#parts.keys.find(({ id }) => id === secret.keyId)
    if (!key) throw new Unavailable('the key that seals this secret is not among `vault.keys`')
    try {
      const context = contextOf(secret)
      const dataKey = await this.#ask(() => key.unwrap(Buffer.from(secret.wrapped, 'base64'), context), 'vault key')
      return openBytes(dataKey, Buffer.from(secret.sealed, 'base64'), context)
    } catch (cause) {
      throw new Unavailable('the secret could not be unsealed', { cause })
    }
  }

  /**
   * The 32-byte key of a tenant's digests, made on first use and kept in the store: sealed when there is a wrapping
   * key, else plain. Two processes that make it at once agree on the one the store took first.
   */
  async digestKey(tenant: string): Promise<{ id: string; key: Buffer; sealed: boolean }> {
    const { secrets, random, keys } = this.#parts
    for (let tries = 0; tries < TRIES; tries++) {
      const found = await this.find(tenant, DIGEST_KEY)
      const plain = found?.keyId === PLAIN && found.wrapped === ''
      // A plain key that was made before there was a wrapping key, or put there by someone who can write the store, is
      // followed by a sealed one; what it digested keeps its name.
      if (found && !(plain && keys.length > 0)) {
        const key = plain ? Buffer.from(String(found.sealed), 'base64') : await this.open(found)
        if (key.length !== 32) throw new Unavailable('the digest key in the store is not 32 bytes')
        return { id: `${tenant}.${found.version}`, key, sealed: !plain }
      }
      const row = { tenant, name: DIGEST_KEY, version: (found?.version ?? 0) + 1, scope: '', tools: [] }
      const key = Buffer.from(random(32))
      const made =
        keys.length > 0
          ? await this.#seal(row, key)
          : { ...row, keyId: PLAIN, wrapped: '', sealed: key.toString('base64') }
      await this.#ask(() => secrets.put(made), 'store.secret.put')
    }
    throw new Unavailable('`store.secret.put` did not keep the digest key')
  }

  async #seal(row: Omit<SealedSecret, 'keyId' | 'wrapped' | 'sealed'>, plain: Buffer): Promise<SealedSecret> {
    const [key] = this.#parts.keys
    if (!key) throw new ConfigError('invalid-option', 'vault.keys', 'a secret needs a key: set `vault.keys`')
    const context = contextOf({ ...row, keyId: key.id })
    const dataKey = this.#parts.random(32)
    const kept = Buffer.from(dataKey)
    try {
      // Sealed before the provider sees the data key: one that wipes what it was given must not wipe what seals.
      const sealed = sealBytes(dataKey, plain, context, this.#parts.random).toString('base64')
      const bytes = await this.#ask(() => key.wrap(dataKey, context), 'vault key')
      if (!(bytes instanceof Uint8Array) || bytes.length === 0) {
        throw new Unavailable('the vault key did not answer with bytes')
      }
      // Encoded before the data key is wiped: a provider may answer with the very bytes it was given.
      const wrapped = Buffer.from(bytes).toString('base64')
      // A key that can't open what it closed would lock the secret away for ever.
      const back = await this.#ask(() => key.unwrap(Buffer.from(wrapped, 'base64'), context), 'vault key')
      if (!(back instanceof Uint8Array) || !kept.equals(back)) {
        throw new Unavailable('the vault key does not unwrap what it wrapped')
      }
      return { ...row, keyId: key.id, wrapped, sealed }
    } finally {
      dataKey.fill(0)
      kept.fill(0)
      plain.fill(0)
    }
  }

  /** What was asked for, in values of our own: the caller's may change while key and store are waited for. */
  #checked(name: string, value: string, options: PutOptions): Required<PutOptions> {
    if (typeof name !== 'string' || !NAME.test(name))
      throw invalid('name', 'is 1 to 128 letters, digits, `_`, `.` or `-`')
    // Half a surrogate pair would be stored as another character.
    if (typeof value !== 'string' || value === '' || !value.isWellFormed()) {
      throw invalid('value', 'is well-formed text that is not empty')
    }
    checkKeys(options, OPTIONS, 'options of a secret')
    const { scope, tools, tenant = 'default' } = options
    this.#parts.checkScope(scope, 'scope')
    if (typeof tenant !== 'string' || !TENANT.test(tenant)) {
      throw invalid('tenant', 'is 1 to 128 letters, digits, `_`, `.`, `:`, `@`, `/` or `-`')
    }
    if (tools === undefined) return { scope, tools: [], tenant }
    // An empty list would read as no tool and mean every tool.
    const named = Array.isArray(tools) && tools.length > 0
    if (!named || !tools.every((tool) => typeof tool === 'string' && TOOL.test(tool))) {
      throw invalid('tools', 'is a list of at least one tool name')
    }
    return { scope, tools: [...tools], tenant }
  }

  #ask<T>(work: () => MaybePromise<T>, what: string): Promise<T> {
    return ask(work, this.#parts.deadlineMs, this.#parts.clock, what)
  }
}

/** How often a write that another process came before is tried again. */
const TRIES = 16

/** Not a name that `put` allows. */
const DIGEST_KEY = '$digest'
const PLAIN = 'none'

/** The additional data: what a ciphertext is bound to, without ambiguity. */
function contextOf({ tenant, name, version, keyId, scope, tools }: Omit<SealedSecret, 'wrapped' | 'sealed'>): Buffer {
  return Buffer.from(JSON.stringify(['haldir.secret.v1', tenant, name, version, keyId, scope, tools]))
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
