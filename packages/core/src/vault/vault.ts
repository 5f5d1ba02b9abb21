/** Secrets at rest: put, replaced, listed, deleted; and texts that other rows of the store keep. */
import { ask, isPromise, type MaybePromise } from '../clock.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import { checkKeys } from '../options.ts'
import type { SealedSecret, SecretVerbs, StoredSecret } from '../stores/store.ts'
import { DIGEST_KEY, type KeptKey, KeptKeys, RESERVED, TRIES } from './kept-keys.ts'
import { checkedRewrap, type RewrapOptions, type Rewrapped, type RewrapSteps, rewrapEach } from './rewrap.ts'
import { PLAIN, Sealer, type SealerParts } from './seal.ts'
import { infoOf, type SecretInfo } from './secret-info.ts'
import {
  checkedName,
  checkedPut,
  checkedTenant,
  checkedValue,
  type PutOptions,
  type TenantOption,
} from './secret-options.ts'

export type { RewrapOptions, Rewrapped } from './rewrap.ts'
export type { SecretInfo } from './secret-info.ts'
export type { PutOptions, TenantOption } from './secret-options.ts'

/** What the trail is told of a secret, before it is so. */
export interface SecretChange {
  readonly type: 'secret-put' | 'secret-rotated' | 'secret-deleted'
  readonly tenant: string
  readonly name: string
  readonly version: number
  /** The key that wraps it from now on, when nothing else of it changes. */
  readonly key?: string
}

export interface VaultParts extends SealerParts {
  readonly secrets: SecretVerbs
  /** Checks the scope's shape; the vault knows nothing of scopes otherwise. */
  readonly checkScope: (scope: string, path: string) => void
  /** Writes an entry; what it tells of happens only after it is accepted. */
  readonly record: (change: SecretChange) => MaybePromise<void>
  /** A use could not be noted: nothing waits for that. */
  readonly fault: (error: unknown) => void
}

/** What an application sees of the vault. Values come out nowhere but inside a running call. */
export interface Vault {
  /**
   * Seals a value as the newest version of a secret. Throws `ConfigError` for a bad name, value or option, and
   * `Unavailable` when key, store or trail do not answer; then nothing is stored.
   */
  put(name: string, value: string, options: PutOptions): Promise<{ name: string; version: number }>
  /**
   * Gives a secret a new value; scope, tools and hosts stay. Calls that run keep the value they were given, later ones
   * get this one. Throws as `put` does, `ConfigError` when there is no such secret, and `Unavailable` when the version
   * before does not open: who may use it is taken over only from what is really bound to it. `put` says it anew.
   */
  rotate(name: string, value: string, options?: TenantOption): Promise<{ name: string; version: number }>
  /** The secrets of a tenant, by name: who may use them and when they were used last, never what they are. */
  list(options?: TenantOption): Promise<readonly SecretInfo[]>
  /** Deletes every version of a secret; answers whether there was one. Calls that run keep what they were given. */
  delete(name: string, options?: TenantOption): Promise<boolean>
  /**
   * Wraps the data keys of all versions by the current key, the first of `vault.keys`; the others have to be there
   * still, behind it. No secret is opened. Each version is one step that is recorded and done or not done, so a run that
   * was cut short is taken up by the next; when `left` is 0 the old keys can go. Throws `Unavailable` when store, trail
   * or the current key do not answer.
   */
  rewrap(options?: RewrapOptions): Promise<Rewrapped>
}

export class SealedVault implements Vault {
  /** Keys of the haldir's own. */
  readonly kept: KeptKeys
  readonly #parts: VaultParts
  readonly #sealer: Sealer
  /** When uses were noted last, by the monotonic clock. */
  readonly #noted = new Map<string, number>()

  constructor(parts: VaultParts) {
    this.#parts = parts
    this.#sealer = new Sealer(parts)
    this.kept = new KeptKeys(parts, this.#sealer)
  }

  async put(name: string, value: string, options: PutOptions): Promise<{ name: string; version: number }> {
    checkedName(name)
    checkedValue(value)
    const checked = checkedPut(options, this.#parts.checkScope)
    return this.#add('secret-put', name, value, checked.tenant, async () => checked)
  }

  async rotate(name: string, value: string, options: TenantOption = {}): Promise<{ name: string; version: number }> {
    checkedName(name)
    checkedValue(value)
    const tenant = tenantOf(options)
    return this.#add('secret-rotated', name, value, tenant, async (newest) => {
      if (!newest) throw new ConfigError('invalid-option', 'name', `there is no secret \`${name}\``)
      // Invariant: who may use a secret is taken over only from what is really bound to it.
      const old = await this.open(newest)
      old.fill(0)
      return newest
    })
  }

  async #add(
    type: SecretChange['type'],
    name: string,
    value: string,
    tenant: string,
    restricted: (newest: SealedSecret | undefined) => Promise<Pick<SealedSecret, 'scope' | 'tools' | 'hosts'>>,
  ): Promise<{ name: string; version: number }> {
    for (let tries = 0; tries < TRIES; tries++) {
      const newest = await this.find(tenant, name)
      const { scope, tools, hosts } = await restricted(newest)
      const version = (newest?.version ?? 0) + 1
      if (!Number.isSafeInteger(version)) throw new Unavailable('the newest version in the store is not a number')
      const row = { tenant, name, version, scope, tools, hosts }
      const sealed = await this.#sealer.seal(row, Buffer.from(value, 'utf8'))
      await this.#parts.record({ type, tenant, name, version })
      // Another process may have put, rotated or deleted it meanwhile; then what there is now is looked at again.
      const put = () => this.#parts.secrets.put(sealed, newest ?? null)
      if (await this.#ask(put, 'store.secret.put')) return { name, version }
    }
    throw new Unavailable('`store.secret.put` took no version of the secret')
  }

  async list(options: TenantOption = {}): Promise<readonly SecretInfo[]> {
    const byName = Map.groupBy(await this.#versions(tenantOf(options)), ({ name }) => name)
    try {
      const names = [...byName.keys()].filter((name) => !name.startsWith(RESERVED)).sort()
      return names.map((name) => infoOf(byName.get(name) as StoredSecret[]))
    } catch (cause) {
      throw new Unavailable('`store.secret.list` answered nonsense', { cause })
    }
  }

  async delete(name: string, options: TenantOption = {}): Promise<boolean> {
    checkedName(name)
    const tenant = tenantOf(options)
    const newest = await this.find(tenant, name)
    if (!newest) return false
    await this.#parts.record({ type: 'secret-deleted', tenant, name, version: newest.version })
    return this.#ask(() => this.#parts.secrets.delete(tenant, name), 'store.secret.delete')
  }

  async rewrap(options: RewrapOptions = {}): Promise<Rewrapped> {
    const { tenant, limit } = checkedRewrap(options)
    const { secrets, record, fault } = this.#parts
    const steps: RewrapSteps = {
      sealer: this.#sealer,
      record,
      fault,
      store: (fresh, was) => this.#ask(() => secrets.rewrap(fresh, was), 'store.secret.rewrap'),
    }
    return rewrapEach(await this.#versions(tenant), limit, steps)
  }

  /** The newest version, still sealed; `undefined` when there is none. */
  find(tenant: string, name: string): Promise<SealedSecret | undefined> {
    return this.kept.find(tenant, name)
  }

  /** Unseals. Throws `Unavailable` when the key is not here, does not answer, or the record was tampered with. */
  open(secret: SealedSecret): Promise<Buffer> {
    return this.#sealer.open(secret)
  }

  /** Notes that a call was given a secret; at most once a minute for each, so that it costs a call nothing. Never throws. */
  noteUse({ tenant, name }: SealedSecret): void {
    const { clock, secrets, fault } = this.#parts
    try {
      const id = `${tenant}|${name}`
      const now = clock.monotonic()
      if (now - (this.#noted.get(id) ?? Number.NEGATIVE_INFINITY) < NOTE_EVERY_MS) return
      this.#noted.set(id, now)
      const noting = secrets.used(tenant, name)
      if (isPromise(noting)) noting.then(undefined, fault)
    } catch (error) {
      fault(error)
    }
  }

  /** The key of a tenant's digests. */
  async digestKey(tenant: string): Promise<KeptKey> {
    const { id, key, sealed } = await this.kept.of(tenant, DIGEST_KEY)
    return { id, key, sealed }
  }

  /** Seals a text that some row of the store keeps, bound to its name; only encoded when there is no wrapping key. */
  async sealText(tenant: string, name: string, text: string): Promise<SealedText> {
    if (this.#parts.keys.length === 0) {
      return { keyId: PLAIN, wrapped: '', sealed: Buffer.from(text, 'utf8').toString('base64') }
    }
    const { keyId, wrapped, sealed } = await this.#sealer.seal(textRow(tenant, name), Buffer.from(text, 'utf8'))
    return { keyId, wrapped, sealed }
  }

  /** Throws `Unavailable` when the key is not here, does not answer, or the text is another's or was tampered with. */
  async openText(tenant: string, name: string, text: SealedText): Promise<string> {
    const { keys } = this.#parts
    if (text.keyId === PLAIN) {
      // With a wrapping key nothing is stored plain: somebody who can write the store has put it there.
      if (keys.length > 0) throw new Unavailable('a text that has to be sealed is not')
      return Buffer.from(String(text.sealed), 'base64').toString('utf8')
    }
    return (await this.#sealer.open({ ...textRow(tenant, name), ...text })).toString('utf8')
  }

  async #versions(tenant: string | undefined): Promise<readonly StoredSecret[]> {
    const listed = await this.#ask(() => this.#parts.secrets.list(tenant), 'store.secret.list')
    const sound = Array.isArray(listed) && listed.every((one) => typeof one?.name === 'string')
    if (!sound) throw new Unavailable('`store.secret.list` answered nonsense')
    return listed
  }

  #ask<T>(work: () => MaybePromise<T>, what: string): Promise<T> {
    return ask(work, this.#parts.deadlineMs, this.#parts.clock, what)
  }
}

const NOTE_EVERY_MS = 60_000

/** A text at rest in a row that is not the vault's. */
export type SealedText = Pick<SealedSecret, 'keyId' | 'wrapped' | 'sealed'>

/** As if it were a secret, of a name that `put` does not allow. */
function textRow(tenant: string, name: string): Omit<SealedSecret, keyof SealedText> {
  return { tenant, name: `$${name}`, version: 1, scope: '', tools: [], hosts: [] }
}

function tenantOf(options: TenantOption): string {
  checkKeys(options, ['tenant'], 'options')
  return checkedTenant(options.tenant)
}
