import type { Clock, MaybePromise, Store } from '@haldir/core'
import { expect } from 'vitest'
import type { FakeClock } from '../clock.ts'

/** The store's own types, as its verbs carry them. */
type Create = Parameters<Store['session']['create']>
export type NewMeter = Create[1][number]
export type SessionRow = Exclude<Awaited<ReturnType<Store['session']['create']>>, { readonly refused: string }>
type Request = Parameters<Store['admit']>[0]
export type Charge = Request['charges'][number]
export type MeterKey = Charge['meter']
export type Admission = Awaited<ReturnType<Store['admit']>>
export type Settlement = Awaited<ReturnType<Store['settle']>>

/** One test of the contract. */
export interface StoreCase {
  readonly title: string
  run(scene: Scene): Promise<void>
}

export const MINUTE = 60_000
export const HOUR: number = 60 * MINUTE
export const DAY: number = 24 * HOUR

export interface SceneSession {
  readonly id?: string
  readonly agent?: string
  readonly tenant?: string
  readonly chain?: readonly string[]
  readonly ttlMs?: number
  readonly meters?: readonly NewMeter[]
}

/** A meter of a session, with its limit. */
export function meter(key: string, limit: bigint, window: NewMeter['window'] = 'total', zone?: string): NewMeter {
  return { key, window, limit, ...(zone === undefined ? {} : { zone }) }
}

/** A session's meter as a request names it: its limit stands in the store. */
export function bare({ key, window, zone }: MeterKey): MeterKey {
  return { key, window, ...(zone === undefined ? {} : { zone }) }
}

/** A charge on a meter of a session. */
export function on(charged: MeterKey, micros: bigint): Charge {
  return { meter: bare(charged), micros }
}

/** A charge on a standing meter: what it counts by comes with it. */
export function onStanding(charged: MeterKey, micros: bigint): Charge {
  return { meter: charged, micros }
}

/** Session `s` of an hour, unless told otherwise. */
export function newSession({
  id = 's',
  agent = 'a',
  tenant = 't',
  chain = [],
  ttlMs = HOUR,
}: SceneSession = {}): Create[0] {
  return { id, tokenHash: `hash of ${id}`, tenant, agent, scopes: [], attributes: {}, chain, ttlMs }
}

/** A store, its clock, and the verbs with everything a test does not care about filled in. */
export class Scene {
  readonly store: Store
  readonly clock: FakeClock
  readonly #reopen: ((options: { clock: Clock }) => MaybePromise<Store>) | undefined

  constructor(store: Store, clock: FakeClock, reopen?: (options: { clock: Clock }) => MaybePromise<Store>) {
    this.store = store
    this.clock = clock
    this.#reopen = reopen
  }

  /** The same data in the hands of another process, with a clock of its own. */
  async reopened(clock: FakeClock): Promise<Scene> {
    if (!this.#reopen) throw new Error('this store can not be opened again')
    return new Scene(await this.#reopen({ clock }), clock)
  }

  /** Makes session `s` of an hour, unless told otherwise. */
  async session({ meters = [], ...rest }: SceneSession = {}): Promise<SessionRow> {
    const made = await this.store.session.create(newSession(rest), meters)
    if ('refused' in made) throw new Error('a session without a cap was refused')
    return made
  }

  async admit(call: string, charges: readonly Charge[], rest: Partial<Request> = {}): Promise<Admission> {
    return this.store.admit({ call, session: 's', charges, leaseMs: MINUTE, ...rest })
  }

  async reserve(call: string, charges: readonly Charge[], rest: Partial<Request> = {}): Promise<Admission> {
    return this.store.reserve({ call, session: 's', charges, leaseMs: MINUTE, ...rest })
  }

  async settle(call: string, spent?: readonly Charge[]): Promise<Settlement> {
    return this.store.settle(spent ? { call, spent } : { call })
  }

  async cancel(call: string): Promise<Settlement> {
    return this.store.cancel(call)
  }

  /** Asserts that a meter of a session stands at exactly these amounts. */
  async expectMeter(read: MeterKey, used: bigint, held: bigint): Promise<void> {
    const [state] = await this.store.meters.read([bare(read)])
    expect({ used: state?.used, held: state?.held }).toEqual({ used, held })
  }

  /** Asserts that a standing meter stands at exactly these amounts. */
  async expectStanding(read: MeterKey, used: bigint, held = 0n): Promise<void> {
    const limit = read.rate?.burst ?? read.limit
    expect(await this.store.meters.read([read])).toEqual([{ limit, used, held }])
  }

  /** Asserts that a call is admitted. */
  async expectAdmitted(call: string, charges: readonly Charge[], rest: Partial<Request> = {}): Promise<void> {
    expect(await this.admit(call, charges, rest)).toMatchObject({ ok: true })
  }

  /** Asserts that a call is refused, why, and for which meter. */
  async expectRefused(call: string, charges: readonly Charge[], refused: string, by?: MeterKey): Promise<void> {
    const admission = await this.admit(call, charges)
    expect(admission).toEqual(by ? { ok: false, refused, meter: by.key } : { ok: false, refused })
  }
}
