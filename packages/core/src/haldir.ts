/** `createHaldir`: options become parts, joined. The only file that knows all three pillars. */
import { createSecretKey } from 'node:crypto'
import { ask, type MaybePromise } from './clock.ts'
import { joinHaldirs } from './context.ts'
import { ConfigError, HaldirError, Unavailable } from './errors.ts'
import { type Fault, Faults } from './faults.ts'
import { budgetLines, Holds, sessionMeters } from './gate/meters.ts'
import { parseGrant, parseRequired } from './gate/scopes.ts'
import { Session, tokenHash } from './gate/sessions.ts'
import { type Governor, setGovernor } from './governor.ts'
import { type CheckedOptions, checkHaldirOptions, type HaldirOptions } from './haldir-options.ts'
import type { Belongings, House } from './pass.ts'
import { execute, prepare, stream } from './pipeline.ts'
import { checkSessionOptions, type SessionOptions } from './session-options.ts'
import type { Expired, NewSession, SessionRow, Store } from './stores/store.ts'
import { Redactor, SHORTEST } from './vault/redact.ts'
import { SealedVault, type Vault } from './vault/vault.ts'
import { sessionFragment } from './watch/chain.ts'
import { type Trail, type TrailHealth, WrittenTrail } from './watch/trail.ts'

export interface Health {
  readonly ok: boolean
  readonly open: boolean
  readonly trail: TrailHealth
  /** Settles and cancels that the store has not taken yet. */
  readonly owed: number
  readonly warnings: readonly string[]
  /** What failed outside of Haldir since it was made: the cause behind refusals that say `unavailable`. */
  readonly faults: readonly Fault[]
}

/** Assembles a governor. Throws `ConfigError` that names the option. */
export function createHaldir(options: HaldirOptions = {}): Haldir {
  return new Haldir(checkHaldirOptions(options))
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
  /** The handles in use, by id: two of one session would not know of each other's secrets and end. */
  readonly #sessions = new Map<string, WeakRef<Session>>()
  readonly #forgotten = new FinalizationRegistry<string>((id) => {
    if (!this.#sessions.get(id)?.deref()) this.#sessions.delete(id)
  })
  readonly #warnings = new Set<string>()
  readonly #leave: () => void
  #closing: Promise<void> | undefined

  /** @internal Use `createHaldir`. */
  constructor(options: CheckedOptions) {
    const { name, clock, random, ids, deadlineMs, leaseMs, store, sinks, keys } = options
    this.#random = random
    const trail = new WrittenTrail({ haldir: name, writer: ids(), sinks, registry: store.writer, clock, deadlineMs })
    this.trail = Object.freeze({ query: trail.query.bind(trail), verify: trail.verify.bind(trail) })
    const vault = new SealedVault({
      keys,
      secrets: store.secret,
      random,
      clock,
      deadlineMs,
      checkScope: parseRequired,
      recordPut: ({ tenant, name: secret, version }) => {
        const session = sessionFragment({ tenant, agent: null, id: null, chain: [] })
        return trail.record({ type: 'secret-put', session, data: { secret, version } })
      },
    })
    this.vault = Object.freeze({
      put: async (...[secret, value, put]: Parameters<Vault['put']>) => {
        const done = await vault.put(secret, value, put)
        if (Buffer.byteLength(value) < SHORTEST)
          this.#warnings.add(`the secret \`${secret}\` is too short to be redacted`)
        return done
      },
    })
    const faults = new Faults()
    const holds = new Holds(store, clock, deadlineMs, leaseMs, (error) => faults.note('store.settle', error))
    this.#house = {
      clock,
      ids,
      store,
      trail,
      vault,
      holds,
      faults,
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
    joinStore(store)
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
    const row = await this.#ask(() => this.#house.store.session.create(made, meters), 'store.session.create')
    if (!isSessionRow(row) || row.id !== id) throw new Unavailable('`store.session.create` answered nonsense')
    const session = this.#open(row, token, ttlMs, digestKey)
    try {
      const data = { scopes, expiresAt: session.expiresAt.toISOString() }
      await this.#house.trail.record({ type: 'session-created', session: this.#belongings(session).fragment, data })
    } catch (error) {
      // The token was never handed out; a session nobody recorded must not live on in the store either.
      await this.#ask(() => this.#house.store.session.revokeTree(id), 'store.session.revokeTree').catch(() => {})
      throw error
    }
    return session
  }

  /** A handle on a session that was made elsewhere, by its bearer token. Throws `HaldirError` when there is none. */
  async attach(token: string): Promise<Session> {
    if (typeof token !== 'string') throw new ConfigError('invalid-option', 'token', '`token` is a string')
    this.#mustBeOpen()
    const by = { tokenHash: tokenHash(token) }
    const row = await this.#ask(() => this.#house.store.session.get(by), 'store.session.get')
    if (row === undefined || row === null) throw new HaldirError('no-session', 'no session has this token')
    if (!isSessionRow(row)) throw new Unavailable('`store.session.get` answered nonsense')
    const leftMs = row.expiresAt - this.#house.clock.now()
    return this.#open(row, token, leftMs, await this.#digestKey(row.tenant))
  }

  /** What works and what does not, without asking anything outside. */
  health(): Health {
    const trail = this.#house.trail.health()
    const { open, holds } = this.#house
    const ok = open && trail.waiting === 0 && trail.unrecorded === 0 && holds.owed === 0
    return { ok, open, trail, owed: holds.owed, warnings: [...this.#warnings], faults: this.#house.faults.list() }
  }

  /** Ends holds whose lease is over, at most `limit`: reserved ones are released, running ones counted as spent. */
  sweep(limit = 1_000): Promise<Expired> {
    return this.#ask(() => this.#house.store.expire(limit), 'store.expire')
  }

  /** Resolves when everything recorded so far is accepted, and every settle taken; rejects `Unavailable` if it is not. */
  async flush(): Promise<void> {
    await this.#house.holds.flush()
    await this.#house.trail.flush()
    if (this.#house.holds.owed > 0) throw new Unavailable('the store did not take every settle')
  }

  /** Takes no more calls, waits for those that run (as long as the deadline), and closes trail and store. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#house.open = false
    this.#leave()
    await this.#idle()
    // What still runs is told to stop; its outcome will find the trail closed, and is counted.
    for (const { current } of this.#house.running) current?.abort(new Unavailable('this haldir is closed'))
    await this.#house.holds.flush()
    this.#house.holds.close()
    try {
      await this.#house.trail.close()
    } finally {
      await leaveStore(this.#house.store)
    }
  }

  /** `await using haldir = createHaldir()` closes it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(row: SessionRow, token: string, leftMs: number, digestKey: Belongings['digestKey']): Session {
    const known = this.#sessions.get(row.id)?.deref()
    if (known) {
      if (row.revokedAt !== undefined) known.end('session-revoked')
      return known
    }
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
      readMeters: (meters) => this.#ask(() => budgetLines(store, meters), 'store.meters.read'),
    })
    this.#sessions.set(row.id, new WeakRef(session))
    this.#forgotten.register(session, row.id)
    belongings.set(session, { fragment: sessionFragment(row), digestKey, redactor: new Redactor() })
    return session
  }

  async #revoke(session: Session, reason: string): Promise<void> {
    // Invariant: when this returns, no process admits a call of the session: the store has it before the trail does.
    const revoked = await this.#ask(() => this.#house.store.session.revokeTree(session.id), 'store.session.revokeTree')
    if (!Array.isArray(revoked)) throw new Unavailable('`store.session.revokeTree` answered nonsense')
    if (revoked.length === 0) return
    const { redactor, fragment } = this.#belongings(session)
    const data = { reason: redactor.text(String(reason)).slice(0, 200), sessions: revoked.length }
    await this.#house.trail.conclude({ type: 'session-revoked', session: fragment, data })
  }

  #belongings(session: Session): Belongings {
    return this.#house.belongings.get(session) as Belongings
  }

  /** Read once per process and tenant. */
  #digestKey(tenant: string): Promise<Belongings['digestKey']> {
    let found = this.#digestKeys.get(tenant)
    if (!found) {
      found = this.#house.vault.digestKey(tenant).then(({ id, key, sealed }) => {
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

  #ask<T>(work: () => MaybePromise<T>, what: string): Promise<T> {
    return ask(work, this.#house.deadlineMs, this.#house.clock, what)
  }
}

/** How many haldirs use a store object: the last one to close closes it. */
const users = new WeakMap<Store, number>()

function joinStore(store: Store): void {
  users.set(store, (users.get(store) ?? 0) + 1)
}

async function leaveStore(store: Store): Promise<void> {
  const left = (users.get(store) ?? 1) - 1
  users.set(store, left)
  if (left === 0) await store.close?.()
}

/** A store that answers nonsense has no session. */
function isSessionRow(row: SessionRow | undefined): row is SessionRow {
  const { id, agent, tenant, scopes, chain, expiresAt } = row ?? {}
  const named = [id, agent, tenant].every((text) => typeof text === 'string')
  return named && Array.isArray(scopes) && Array.isArray(chain) && Number.isFinite(expiresAt)
}
