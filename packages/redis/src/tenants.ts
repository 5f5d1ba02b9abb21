/** Which tenant something belongs to, and so in which slot it lies: verbs by a bare id carry none. */
import type { Engine } from './engine.ts'
import { type Index, indexKey, tenantsKey } from './keys.ts'
import { maybe, type Reply, text, texts } from './replies.ts'

/** How much of each kind is remembered: what is forgotten takes one more round trip. */
const MOST = 50_000
/** How often the last activity of a tenant is written down. */
const MINUTE_MS = 60_000

/**
 * What was said last, and no more than so much: in two halves, of which the older is dropped when the newer is full. To
 * take single entries from the front of a large `Map` costs more the more were taken.
 */
class Recent<T> {
  #new = new Map<string, T>()
  #old = new Map<string, T>()

  get(id: string): T | undefined {
    const value = this.#new.get(id)
    if (value !== undefined) return value
    const older = this.#old.get(id)
    if (older !== undefined) this.set(id, older)
    return older
  }

  set(id: string, value: T): void {
    if (this.#new.get(id) === value) return
    this.#new.set(id, value)
    if (this.#new.size < MOST / 2) return
    this.#old = this.#new
    this.#new = new Map()
  }
}

export class Tenants {
  readonly sessions: Recent<string> = new Recent()
  readonly calls: Recent<string> = new Recent()
  readonly meters: Recent<string> = new Recent()
  readonly approvals: Recent<string> = new Recent()
  readonly #engine: Engine
  readonly #active = new Recent<number>()
  #known: Set<string> = new Set()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** Writes down that a tenant is there. Before anything of a tenant is made, this has to be waited for. */
  async touch(tenant: string): Promise<void> {
    await this.#engine.plain('touch', tenantsKey(this.#engine.prefix), [tenant])
    this.#known.add(tenant)
    this.#active.set(tenant, this.#engine.moments.estimate())
  }

  /** The same, at most once a minute, by the way: the tenant is written down already, since it has a session. */
  active(tenant: string): void {
    const last = this.#active.get(tenant)
    const now = this.#engine.moments.estimate()
    if (last !== undefined && now - last < MINUTE_MS) return
    this.#active.set(tenant, now)
    // What only keeps the order of a list may fail.
    this.touch(tenant).catch(() => {})
  }

  /** All there are, the last that did something first. */
  async all(): Promise<readonly string[]> {
    const tenants = texts(await this.#engine.plain('tenants', tenantsKey(this.#engine.prefix)))
    this.#known = new Set(tenants)
    return tenants
  }

  async ofSession(id: string): Promise<string | undefined> {
    const tenant = this.sessions.get(id) ?? (await this.look('session', id))
    if (tenant !== undefined) this.found(id, tenant)
    return tenant
  }

  /** Whose a session is. */
  found(session: string, tenant: string): void {
    this.sessions.set(session, tenant)
    this.#known.add(tenant)
  }

  /** What an index says. */
  async look(index: Index, id: string): Promise<string | undefined> {
    return maybe(await this.#engine.plain('look', indexKey(this.#engine.prefix, index, id)), text)
  }

  /**
   * Asks every tenant's slot at once, until one knows. Atomic in each slot; an id is in one of them at most, so what
   * the others answer changes nothing.
   */
  async seek(ask: (tenant: string) => Promise<Reply>, knows: (reply: Reply) => boolean): Promise<Sought | undefined> {
    const tenants = await this.all()
    const replies = await Promise.all(tenants.map(ask))
    const place = replies.findIndex(knows)
    return place < 0 ? undefined : { tenant: tenants[place] as string, reply: replies[place] as Reply }
  }

  /**
   * The tenant of a meter, as its key says, which begins with the tenant and `|`. Undefined: it has to be looked for.
   */
  async ofMeter(key: string): Promise<string | undefined> {
    const known = this.meters.get(key) ?? this.#saidBy(key)
    if (known !== undefined || !key.includes('|')) return known
    await this.all()
    return this.#saidBy(key)
  }

  /** The longest name that fits: that of one tenant may begin with another's and `|`. */
  #saidBy(key: string): string | undefined {
    const parts = key.split('|')
    for (let count = parts.length - 1; count > 0; count--) {
      const name = parts.slice(0, count).join('|')
      if (this.#known.has(name)) return name
    }
    return undefined
  }

  /** Where a meter counts that no slot has a row of. */
  async homeOf(key: string): Promise<string> {
    const [only, ...others] = await this.all()
    return only !== undefined && others.length === 0 ? only : (key.split('|', 1)[0] as string)
  }
}

export interface Sought {
  readonly tenant: string
  readonly reply: Reply
}
