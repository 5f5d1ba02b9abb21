/** `createHaldir`: options become parts, joined. The only file that knows all three pillars. */
import { createSecretKey, randomBytes, randomUUID } from 'node:crypto'
import { type Clock, isPromise, type MaybePromise, systemClock, within } from './clock.ts'
import { joinHaldirs } from './context.ts'
import { type Duration, parseDuration } from './duration.ts'
import { ConfigError, HaldirError, Unavailable } from './errors.ts'
import { budgetLines, Holds, sessionMeters } from './gate/meters.ts'
import { parseGrant, parseRequired } from './gate/scopes.ts'
import { Session, tokenHash } from './gate/sessions.ts'
import { type Governor, setGovernor } from './governor.ts'
import { checkKeys } from './options.ts'
import type { Belongings, House } from './pass.ts'
import { execute, prepare, stream } from './pipeline.ts'
import { checkSessionOptions, type SessionOptions } from './session-options.ts'
import { memorySink } from './sinks/memory.ts'
import type { Sink } from './sinks/sink.ts'
import { memoryStore } from './stores/memory.ts'
import type { Expired, NewSession, SessionRow, Store } from './stores/store.ts'
import type { KeyProvider } from './vault/keys.ts'
import { Redactor } from './vault/redact.ts'
import { Vault } from './vault/vault.ts'
import { NOBODY, sessionFragment } from './watch/chain.ts'
import { Trail, type TrailHealth } from './watch/trail.ts'

export interface HaldirOptions {
  /** Stands in every entry; tells several haldirs on one trail apart. */
  readonly name?: string
  /** Where sessions, budgets and secrets live. In memory unless given. */
  readonly store?: Store
  /** Where the trail goes; every one of them must accept an entry unless it says `required: false`. */
  readonly sinks?: readonly Sink[]
  /** The keys that seal secrets; the first seals, all of them unseal. */
  readonly vault?: { readonly keys: readonly KeyProvider[] }
  readonly mode?: 'enforce'
  /** How long store, sinks and keys may take to answer before a call is refused; 5 seconds. */
  readonly deadline?: Duration
  /** How long a hold counts as running without a sign of life from its process; 15 minutes. */
  readonly holdFor?: Duration
  readonly clock?: Clock
  /** Makes ids: unique, of letters, digits, `_` and `-`. */
  readonly ids?: () => string
  readonly random?: (bytes: number) => Uint8Array
}

export interface Health {
  readonly ok: boolean
  readonly open: boolean
  readonly trail: TrailHealth
  /** Settles and cancels that the store has not taken yet. */
  readonly owed: number
  readonly warnings: readonly string[]
}

const KEYS = ['name', 'store', 'sinks', 'vault', 'mode', 'deadline', 'holdFor', 'clock', 'ids', 'random'] as const
const STORE_VERBS = ['admit', 'reserve', 'settle', 'cancel', 'renew', 'expire'] as const
const ID = /^[A-Za-z0-9_-]{1,64}$/

/** Assembles a governor. Throws `ConfigError` that names the option. */
export function createHaldir(options: HaldirOptions = {}): Haldir {
  checkKeys(options, KEYS, 'options of `createHaldir`')
  return new Haldir(options)
}

export class Haldir {
  /** Credentials at rest. */
  readonly vault: Vault
  /** The audit log. */
  readonly trail: Trail
  readonly #house: House
  readonly #governor: Governor
  readonly #random: (bytes: number) => Uint8Array
  readonly #digestKeys = new Map<string, Promise<Belongings['digestKey']>>()
  readonly #warnings = new Set<string>()
  readonly #leave: () => void

  /** @internal Use `createHaldir`. */
  constructor(options: HaldirOptions) {
    const { name = 'haldir', clock = systemClock, random = randomBytes, mode = 'enforce' } = options
    if (typeof name !== 'string' || name === '') throw invalid('name', 'is a string')
    if (mode !== 'enforce') throw invalid('mode', 'is `enforce`')
    for (const part of ['now', 'monotonic', 'setTimeout'] as const) {
      if (typeof clock?.[part] !== 'function') throw invalid(`clock.${part}`, 'is a function')
    }
    const ids = options.ids ? checkedIds(options.ids) : randomUUID
    const deadlineMs = parseDuration(options.deadline ?? '5s', 'deadline')
    const store = options.store ?? memoryStore({ clock })
    for (const verb of STORE_VERBS) if (typeof store?.[verb] !== 'function') throw invalid('store', 'is not a store')
    const sinks = checkedSinks(options.sinks)
    this.#random = random
    this.trail = new Trail({ haldir: name, writer: ids(), sinks, registry: store.writer, clock, deadlineMs })
    this.vault = new Vault({
      keys: checkedKeys(options.vault),
      secrets: store.secret,
      random,
      clock,
      deadlineMs,
      checkScope: parseRequired,
      recordPut: ({ tenant, name: secret, version }) => {
        const fragment = NOBODY.replace('"tenant":null', `"tenant":${JSON.stringify(tenant)}`)
        return this.trail.record({ type: 'secret-put', session: fragment, data: { secret, version } })
      },
    })
    const holds = new Holds(store, clock, deadlineMs, parseDuration(options.holdFor ?? '15m', 'holdFor'))
    this.#house = {
      clock,
      ids,
      store,
      trail: this.trail,
      vault: this.vault,
      holds,
      deadlineMs,
      belongings: new WeakMap(),
      running: new Set(),
      open: true,
    }
    const house = this.#house
    this.#governor = {
      name,
      execute: (tool, request, who) => execute(house, tool, request, who),
      stream: (tool, request, who) => stream(house, tool, request, who),
      prepare: (tool, request, who) => prepare(house, tool, request, who),
    }
    setGovernor(this, this.#governor)
    this.#leave = joinHaldirs(this.#governor)
  }

  /**
   * Opens a session: an agent's leave to act. Throws `ConfigError` for a bad option or scope, `Unavailable` when the
   * store or the trail does not take it; then there is no session.
   */
  async createSession(options: SessionOptions): Promise<Session> {
    const { agent, tenant, grant, ttlMs, attributes } = checkSessionOptions(options)
    this.#mustBeOpen()
    const id = this.#house.ids()
    const token = Buffer.from(this.#random(32)).toString('base64url')
    const meters = sessionMeters(tenant, id, grant.budgets)
    const { scopes } = grant
    const made: NewSession = { id, tokenHash: tokenHash(token), tenant, agent, scopes, attributes, chain: [], ttlMs }
    const digestKey = await this.#digestKey(tenant)
    const row = await this.#soon(this.#house.store.session.create(made, meters), 'store.session.create')
    const session = this.#open(row, token, ttlMs, digestKey)
    try {
      const data = { scopes, expiresAt: session.expiresAt.toISOString() }
      await this.trail.record({ type: 'session-created', session: this.#belongings(session).fragment, data })
    } catch (error) {
      // The token was never handed out; a session nobody recorded must not live on in the store either.
      await this.#house.store.session.revokeTree(id)
      throw error
    }
    return session
  }

  /** A handle on a session that was made elsewhere, by its bearer token. Throws `HaldirError` when there is none. */
  async attach(token: string): Promise<Session> {
    if (typeof token !== 'string') throw invalid('token', 'is a string')
    this.#mustBeOpen()
    const row = await this.#soon(this.#house.store.session.get({ tokenHash: tokenHash(token) }), 'store.session.get')
    if (!row) throw new HaldirError('no-session', 'no session has this token')
    const leftMs = row.expiresAt - this.#house.clock.now()
    return this.#open(row, token, leftMs, await this.#digestKey(row.tenant))
  }

  /** What works and what does not, without asking anything outside. */
  health(): Health {
    const trail = this.trail.health()
    const { open, holds } = this.#house
    const ok = open && trail.waiting === 0 && trail.unrecorded === 0 && holds.owed === 0
    return { ok, open, trail, owed: holds.owed, warnings: [...this.#warnings] }
  }

  /** Ends holds whose lease is over, at most `limit`: reserved ones are released, running ones counted as spent. */
  sweep(limit = 1_000): Promise<Expired> {
    return this.#soon(this.#house.store.expire(limit), 'store.expire')
  }

  /** Resolves when everything recorded so far is accepted, and every settle taken. */
  async flush(): Promise<void> {
    await this.#house.holds.flush()
    await this.trail.flush()
  }

  /** Takes no more calls, waits for those that run (as long as the deadline), and closes trail and store. */
  async close(): Promise<void> {
    if (!this.#house.open) return
    this.#house.open = false
    this.#leave()
    await this.#idle()
    await this.#house.holds.flush()
    await this.trail.close()
    await this.#house.store.close?.()
  }

  /** `await using haldir = createHaldir()` closes it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(row: SessionRow, token: string, leftMs: number, digestKey: Belongings['digestKey']): Session {
    const { clock, store, belongings } = this.#house
    const grant = parseGrant(row.scopes)
    const session = new Session({
      row,
      token,
      grant,
      meters: sessionMeters(row.tenant, row.id, grant.budgets),
      governor: this.#governor,
      clock,
      leftMs,
      revoke: (revoked, reason) => this.#revoke(revoked, reason),
      readMeters: (meters) => this.#soon(budgetLines(store, meters), 'store.meters.read'),
    })
    belongings.set(session, { fragment: sessionFragment(row), digestKey, redactor: new Redactor() })
    return session
  }

  async #revoke(session: Session, reason: string): Promise<void> {
    // Invariant: when this returns, no process admits a call of the session: the store has it before the trail does.
    const revoked = await this.#soon(this.#house.store.session.revokeTree(session.id), 'store.session.revokeTree')
    if (revoked.length === 0) return
    const data = { reason: String(reason).slice(0, 200), sessions: revoked.length }
    await this.trail.conclude({ type: 'session-revoked', session: this.#belongings(session).fragment, data })
  }

  #belongings(session: Session): Belongings {
    return this.#house.belongings.get(session) as Belongings
  }

  /** Read once per process and tenant. */
  #digestKey(tenant: string): Promise<Belongings['digestKey']> {
    let found = this.#digestKeys.get(tenant)
    if (!found) {
      found = this.vault.digestKey(tenant).then(({ id, key, sealed }) => {
        if (!sealed) this.#warnings.add('digest keys are stored unsealed: set `vault.keys`')
        return { id, key: createSecretKey(key) }
      })
      found.catch(() => this.#digestKeys.delete(tenant))
      this.#digestKeys.set(tenant, found)
    }
    return found
  }

  #mustBeOpen(): void {
    if (!this.#house.open) throw new Unavailable('this haldir is closed')
  }

  async #idle(): Promise<void> {
    const { clock, running, deadlineMs } = this.#house
    const end = clock.monotonic() + deadlineMs
    while (running.size > 0 && clock.monotonic() < end) {
      await new Promise<void>((wake) => void clock.setTimeout(wake, 10))
    }
  }

  async #soon<T>(work: MaybePromise<T>, what: string): Promise<T> {
    return isPromise(work) ? within(work, this.#house.deadlineMs, this.#house.clock, what) : work
  }
}

function checkedIds(ids: () => string): () => string {
  return () => {
    const id = ids()
    if (typeof id !== 'string' || !ID.test(id)) throw invalid('ids', 'makes ids of 1 to 64 letters, digits, `_` or `-`')
    return id
  }
}

let warned = false

function checkedSinks(sinks: readonly Sink[] | undefined): readonly Sink[] {
  if (sinks === undefined) {
    if (!warned)
      process.emitWarning('no `sinks` given: the audit trail is kept in memory and lost at exit', 'HaldirWarning')
    warned = true
    return [memorySink()]
  }
  if (!Array.isArray(sinks) || sinks.length === 0) throw invalid('sinks', 'is a list of at least one sink')
  for (const [index, sink] of sinks.entries()) {
    if (typeof sink?.write !== 'function') throw invalid(`sinks.${index}`, 'is not a sink')
  }
  if (sinks.every((sink) => sink.required === false)) throw invalid('sinks', 'has at least one required sink')
  return sinks
}

function checkedKeys(vault: HaldirOptions['vault']): readonly KeyProvider[] {
  if (vault === undefined) return []
  checkKeys(vault, ['keys'], 'options of `vault`')
  if (!Array.isArray(vault.keys) || vault.keys.length === 0)
    throw invalid('vault.keys', 'is a list of at least one key')
  for (const [index, key] of vault.keys.entries()) {
    const whole = typeof key?.id === 'string' && typeof key.wrap === 'function' && typeof key.unwrap === 'function'
    if (!whole) throw invalid(`vault.keys.${index}`, 'is not a key provider')
  }
  return vault.keys
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
