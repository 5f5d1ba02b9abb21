/** What a haldir does for sessions beyond one process: opens, delegates, extends and ends them in the store. */
import { chargeSession } from './charge.ts'
import { ask, type MaybePromise } from './clock.ts'
import { DigestKey } from './digest-key.ts'
import { type Duration, parseDuration } from './duration.ts'
import { ConfigError, Denied, HaldirError, Unavailable } from './errors.ts'
import { fetchFor } from './fetch.ts'
import { checkWithin, DEEPEST, type Leave, leaveOf } from './gate/leaves.ts'
import { asParents, type BudgetLine, budgetLines, keysOf } from './gate/meters.ts'
import {
  type DelegateOptions,
  type FetchOptions,
  Session,
  type SessionActs,
  tokenHash,
  whyOver,
} from './gate/sessions.ts'
import type { Governor } from './governor.ts'
import type { Amount } from './money.ts'
import { checkKeys } from './options.ts'
import type { Belongings, House } from './pass.ts'
import { SessionHandles } from './session-handles.ts'
import { type CheckedSession, checkSessionOptions, type SessionOptions } from './session-options.ts'
import { isCapReached, isSessionRow, readSession } from './session-rows.ts'
import { StoreWatch } from './store-watch.ts'
import type { Cap, CapReached, NewSession, SessionRow } from './stores/store.ts'
import { Redactor } from './vault/redact.ts'
import { sessionFragment } from './watch/chain.ts'
import type { EntryType } from './watch/entry.ts'

export interface SessionsParts {
  readonly house: House
  readonly governor: Governor
  readonly random: (bytes: number) => Uint8Array
}

export class Sessions implements SessionActs {
  readonly #house: House
  readonly #governor: Governor
  readonly #random: (bytes: number) => Uint8Array
  readonly #handles = new SessionHandles()
  readonly #watch: StoreWatch

  constructor({ house, governor, random }: SessionsParts) {
    this.#house = house
    this.#governor = governor
    this.#random = random
    this.#watch = new StoreWatch(house, this.#handles)
    house.watch = this.#watch
  }

  /** Nothing of what other processes do is of interest any more. */
  close(): void {
    this.#watch.close()
  }

  create(options: SessionOptions): Promise<Session> {
    return this.#make(checkSessionOptions(options))
  }

  async delegate(parent: Session, options: DelegateOptions): Promise<Session> {
    checkKeys(options, ['agent', 'scopes', 'ttl', 'attributes'], 'options of `delegate`')
    const checked = checkSessionOptions({ ...options, tenant: parent.tenant })
    if (parent.chain.length >= DEEPEST) {
      const message = `a session is delegated through at most ${DEEPEST} others`
      throw new ConfigError('invalid-option', 'delegate', message)
    }
    const { shadow, nobody } = this.#house
    // What could not be attached in shadow mode has nothing to pass on, and stops nobody all the same.
    if (parent === nobody) return this.#make(checked)
    // Every one of them: a limit from further up need not stand in the parent's own grant.
    for (const { grant } of parent.leaves) checkWithin(grant, checked.grant)
    if (!shadow) checkLive(parent)
    return this.#make(checked, parent)
  }

  attach(token: string): Promise<Session> {
    return this.#shadowed(() => this.#watch.opening(() => this.#attached(token)), this.#house.nobody as Session)
  }

  /** A handle by id: the one in use, or a new one without the token, which the store does not know. */
  async handle(id: string): Promise<Session | undefined> {
    const known = this.#handles.get(id)
    if (known && !known.over()) return known
    const { store, clock } = this.#house
    return this.#watch.opening(async () => {
      const row = await readSession(this.#house, () => store.session.get({ id }), 'store.session.get')
      if (!row) return undefined
      if (row.id !== id) throw new Unavailable('`store.session.get` answered nonsense')
      return this.#open(row, known?.token ?? '', row.expiresAt - clock.now(), () => this.#ancestors(row.chain))
    })
  }

  async #attached(token: string): Promise<Session> {
    const { store, clock } = this.#house
    const by = { tokenHash: tokenHash(token) }
    const row = await readSession(this.#house, () => store.session.get(by), 'store.session.get')
    if (!row) throw new HaldirError('no-session', 'no session has this token')
    // A store that answers another's row must not make its caller act as somebody else.
    if (row.tokenHash !== by.tokenHash) throw new Unavailable('`store.session.get` answered nonsense')
    return this.#open(row, token, row.expiresAt - clock.now(), () => this.#ancestors(row.chain))
  }

  async revoke(session: Session, reason: string): Promise<void> {
    const { trail } = this.#house
    // Invariant: when this returns, no process admits a call of the session: the store has it before the trail does.
    const revoked = await this.#shadowed(() => this.#revokeTree(session.id), [])
    // Handles of what was delegated from it learn of it at once, in this process.
    for (const id of revoked) this.#handles.get(id)?.end('session-revoked')
    if (revoked.length === 0) return
    await this.#house.approvals?.withdrawOf(revoked, 'the session was revoked')
    const { redactor, fragment } = this.#belongings(session)
    const data = { reason: redactor.text(String(reason)).slice(0, 200), sessions: revoked.length }
    await trail.conclude({ type: 'session-revoked', session: fragment, data })
  }

  async #revokeTree(id: string): Promise<readonly string[]> {
    const { store } = this.#house
    const revoked = await this.#ask(() => store.session.revokeTree(id), 'store.session.revokeTree')
    if (!Array.isArray(revoked)) throw new Unavailable('`store.session.revokeTree` answered nonsense')
    return revoked
  }

  async extend(session: Session, ttl: Duration): Promise<void> {
    const ttlMs = parseDuration(ttl, 'ttl')
    await this.#shadowed(() => this.#extended(session, ttlMs), undefined)
  }

  async #extended(session: Session, ttlMs: number): Promise<void> {
    const { store, trail } = this.#house
    // What has ended here, also by a revoke that the store has not taken, gains no life there.
    checkLive(session)
    const extend = () => store.session.extend(session.id, ttlMs)
    const row = await readSession(this.#house, extend, 'store.session.extend')
    if (!row) throw new HaldirError('no-session', 'the store does not know this session')
    session.refresh(row, ttlMs)
    checkLive(session)
    const data = { expiresAt: session.expiresAt.toISOString() }
    await trail.record({ type: 'session-extended', session: this.#belongings(session).fragment, data })
  }

  fetch(session: Session, url: string | URL, options?: FetchOptions): Promise<Response> {
    return fetchFor(this.#house, session, url, options)
  }

  charge(session: Session, amount: Amount | readonly Amount[], why: string): Promise<void> {
    return chargeSession(this.#house, session, amount, why)
  }

  budget(session: Session): Promise<readonly BudgetLine[]> {
    const { store, standing } = this.#house
    const meters = standing.lasting(session.leaves)
    const read = async () => {
      const states = await this.#ask(() => store.meters.read(keysOf(meters)), 'store.meters.read')
      return budgetLines(meters, states)
    }
    // In shadow mode nothing limits a session whose meters can't be read.
    return this.#shadowed(read, [])
  }

  #make(checked: CheckedSession, parent?: Session): Promise<Session> {
    return this.#watch.opening(() => this.#made(checked, parent))
  }

  async #made({ agent, tenant, grant, ttlMs, attributes }: CheckedSession, parent?: Session): Promise<Session> {
    const { store, trail } = this.#house
    const id = this.#house.ids()
    const token = Buffer.from(this.#random(32)).toString('base64url')
    const chain = parent ? [...parent.chain, parent.id] : []
    const { scopes } = grant
    const made: NewSession = { id, tokenHash: tokenHash(token), tenant, agent, scopes, attributes, chain, ttlMs }
    const row = await this.#create(made)
    const leftMs = Math.min(ttlMs, row.expiresAt - row.createdAt)
    const type: EntryType = parent ? 'session-delegated' : 'session-created'
    try {
      const leaves = parent ? inherited(parent.leaves) : []
      const session = await this.#open(row, token, leftMs, () => Promise.resolve(leaves))
      if (!this.#house.shadow) checkLive(session)
      const data = { scopes, expiresAt: session.expiresAt.toISOString() }
      const { fragment } = this.#belongings(session)
      await this.#shadowed(async () => trail.record({ type, session: fragment, data }), undefined)
      return session
    } catch (error) {
      // The token was never handed out; a session nobody recorded must not live on in the store either.
      await this.#ask(() => store.session.revokeTree(id), 'store.session.revokeTree').catch(() => {})
      throw error
    }
  }

  /** The row of a new session, with its meters. Throws `Denied` when a quota leaves no room for it. */
  async #create(made: NewSession): Promise<SessionRow> {
    const { store, standing, apart, clock, shadow } = this.#house
    const now = clock.now()
    const own: SessionRow = { ...made, createdAt: now, expiresAt: now + made.ttlMs }
    const meters = leaveOf(own, apart).meters.map(({ at, limit }) => ({ ...at, limit }))
    const kept = { ...made, tenant: apart + made.tenant }
    const create = async (caps: readonly Cap[]) => {
      const row = await this.#ask(() => store.session.create(kept, meters, caps), 'store.session.create')
      if (isCapReached(row) && caps.length > 0) return row
      if (isCapReached(row) || !isSessionRow(row) || row.id !== made.id) {
        throw new Unavailable('`store.session.create` answered nonsense')
      }
      return { ...row, tenant: made.tenant }
    }
    const row = await this.#shadowed<SessionRow | CapReached>(() => create(standing.capsOn(made.tenant)), own)
    if (!isCapReached(row)) return row
    const refused = await this.#full(row.cap, made)
    if (!shadow) throw refused
    return (await this.#shadowed(() => create([]), own)) as SessionRow
  }

  /** A quota of sessions or agents is used up: that is recorded, and told. */
  async #full({ count, per }: Cap, { tenant, agent, chain }: NewSession): Promise<Denied> {
    const { trail, observed, shadow } = this.#house
    const code = 'quota-exceeded'
    const rule = `quota:${count}@${per}`
    const reason = `as many ${count} as this ${per} may have live already`
    if (shadow) observed.set(code, (observed.get(code) ?? 0) + 1)
    const session = sessionFragment({ tenant, agent, id: null, chain })
    await trail.conclude({ type: 'refusal', session, verdict: 'deny', code, rule, data: { reason } })
    return new Denied(code, reason, '', rule)
  }

  async #open(
    row: SessionRow,
    token: string,
    leftMs: number,
    ancestors: () => Promise<readonly Leave[]>,
  ): Promise<Session> {
    const known = this.#handles.get(row.id)
    known?.refresh(row, leftMs, token)
    // A handle that has ended stays ended; of a session that was extended elsewhere meanwhile, there is a new one.
    const revived = known?.over() === 'session-expired' && row.revokedAt === undefined && leftMs > 0
    if (known && !revived) return known
    const { clock, belongings, apart } = this.#house
    const leaves = [leaveOf(row, apart), ...(await ancestors())] as const
    const own = known && belongings.get(known)
    const digestKey = own?.digestKey ?? (await this.digestKey(row.tenant))
    // Someone else may have attached it while this one waited.
    const meanwhile = this.#handles.get(row.id)
    if (meanwhile && meanwhile !== known) {
      meanwhile.refresh(row, leftMs, token)
      return meanwhile
    }
    const session = new Session({ row, token, leaves, governor: this.#governor, clock, leftMs, acts: this })
    this.#handles.put(session)
    const fresh = { fragment: sessionFragment(row), digestKey, redactor: new Redactor(), meters: new Map() }
    belongings.set(session, own ?? fresh)
    return session
  }

  /** The leaves to act of the sessions that one was delegated from, the nearest first. */
  async #ancestors(chain: readonly string[]): Promise<readonly Leave[]> {
    const { store, apart } = this.#house
    const leaves: Leave[] = []
    for (const id of [...chain].reverse()) {
      const row = await readSession(this.#house, () => store.session.get({ id }), 'store.session.get')
      if (row?.id !== id) throw new Unavailable('a session that this one comes from is not known')
      leaves.push(leaveOf(row, apart))
    }
    return inherited(leaves)
  }

  #belongings(session: Session): Belongings {
    return this.#house.belongings.get(session) as Belongings
  }

  digestKey(tenant: string): Promise<Belongings['digestKey']> {
    // Of no use to anyone later, but a call can be recorded with it.
    return this.#shadowed(() => this.#house.digestKeys.of(tenant), new DigestKey('unkept', this.#random(32)))
  }

  /** In shadow mode a part that fails is counted, and work goes on with `instead`. */
  async #shadowed<T>(work: () => Promise<T>, instead: T): Promise<T> {
    if (!this.#house.shadow) return work()
    try {
      return await work()
    } catch (error) {
      this.#house.faults.note('session', error)
      return instead
    }
  }

  #ask<T>(work: () => MaybePromise<T>, what: string): Promise<T> {
    return ask(work, this.#house.deadlineMs, this.#house.clock, what)
  }
}

/** Leaves as those that delegate pass them on: their meters are named as a parent's. */
function inherited(leaves: readonly Leave[]): readonly Leave[] {
  return leaves.map((leave) => ({ ...leave, meters: asParents(leave.meters) }))
}

function checkLive(session: Session): void {
  const over = session.over()
  if (over) throw new Denied(over, whyOver(over), '')
}
