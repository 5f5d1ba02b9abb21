/** Admits, reserves and ends holds, and reads meters. */
import {
  type Admission,
  type AdmitRequest,
  type Bucket,
  type Expired,
  type HoldRow,
  type HoldState,
  type MeterKey,
  type MeterState,
  type Settlement,
  type SettleRequest,
  type Store,
  tooFast,
} from '@haldir/core/store'
import { argsOf, readArgs } from './charges.ts'
import type { Engine } from './engine.ts'
import { unexpected } from './failures.ts'
import { Lane } from './lane.ts'
import { list, maybe, micros, type Reply, text, texts, whole } from './replies.ts'
import { spread } from './spread.ts'
import type { Tenants } from './tenants.ts'

type Holds = Pick<Store, 'admit' | 'reserve' | 'settle' | 'cancel' | 'renew' | 'expire' | 'hold' | 'meters'>

const STATES: readonly string[] = ['reserved', 'running', 'settled', 'released', 'orphaned', 'unknown']
const REFUSALS: readonly string[] = [
  'no-session',
  'session-expired',
  'session-revoked',
  'session-suspended',
  'duplicate-call',
  'budget-exceeded',
  'rate-exceeded',
  'approval-pending',
  'approval-denied',
  'approval-expired',
  'approval-used',
  'unavailable',
]

export function redisHolds(engine: Engine, tenants: Tenants): Holds {
  const { moments } = engine
  const lane = new Lane(engine)

  async function take(request: AdmitRequest, state: 'running' | 'reserved'): Promise<Admission> {
    const known = tenants.sessions.get(request.session)
    // No word is waited for when the tenant is known: what was sent before reaches the server before.
    const tenant = known ?? (await tenants.ofSession(request.session))
    if (tenant === undefined) return { ok: false, refused: 'no-session' }
    const { call, charges, once, memo, consent } = request
    tenants.active(tenant)
    tenants.calls.set(call, tenant)
    for (const { meter } of charges) tenants.meters.set(meter.key, tenant)
    const rates = charges.some(({ meter }) => meter.rate)
    const isMore = rates || once !== undefined || memo !== undefined || consent !== undefined
    const alone = () => takeAlone(tenant, request, state, isMore ? { once, memo, ...consent, rates } : undefined)
    // What wants nothing but amounts goes with the others of its kind that are asked for in the same turn.
    if (state === 'reserved' || isMore || charges.length === 0) return alone()
    return lane.admit(tenant, request, alone)
  }

  async function takeAlone(
    tenant: string,
    request: AdmitRequest,
    state: 'running' | 'reserved',
    more: object | undefined,
  ): Promise<Admission> {
    const { call, session, charges, leaseMs } = request
    const text = more ? wellFormed(more) : ''
    const reply = await engine.askAt('admit', tenant, (now) => {
      const [window, ...charged] = argsOf(charges, moments, now)
      return [`${state} ${leaseMs} ${window || ' '} ${text}`, call, session, ...charged]
    })
    return admissionFrom(reply, request)
  }

  function admissionFrom({ said, now, rest }: Reply, { charges }: AdmitRequest): Admission {
    if (said === 'ok') return { ok: true, at: now }
    const refused = text(rest[0])
    if (said !== 'no' || !REFUSALS.includes(refused)) throw unexpected()
    if (refused === 'session-suspended') return { ok: false, refused, rule: text(rest[1]) }
    if (rest.length < 2) return { ok: false, refused } as Admission
    const meter = charges[whole(rest[1])]?.meter
    if (!meter) throw unexpected()
    if (refused !== 'rate-exceeded') return { ok: false, refused, meter: meter.key } as Admission
    if (!meter.rate) throw unexpected()
    const bucket: Bucket = { level: micros(rest[2]), at: whole(rest[3]) }
    return tooFast(bucket, meter.rate, meter.key, charges, now)
  }

  async function settle({ call, spent }: SettleRequest): Promise<Settlement> {
    const said = !spent ? 'nothing' : spent.some(({ meter }) => meter.rate) ? 'rates' : 'all'
    const send = (tenant: string, counted: boolean) =>
      engine.askAt('settle', tenant, (now) => {
        const args = argsOf(spent ?? [], moments, now)
        return [call, counted ? '1' : '0', said, ...args]
      })
    const known = tenants.calls.get(call)
    if (known !== undefined) return settlementFrom(await send(known, true))
    const found = await tenants.seek(
      (tenant) => send(tenant, false),
      ({ rest }) => rest[0] !== 'unknown',
    )
    const first = spent?.[0]
    if (found || !first) return found ? settlementFrom(found.reply) : { state: 'unknown', overrun: false }
    // Nobody holds anything for it, but it has spent: that counts where its meters are.
    const tenant = (await find(first.meter)) ?? (await tenants.homeOf(first.meter.key))
    tenants.calls.set(call, tenant)
    return settlementFrom(await send(tenant, true))
  }

  async function find(meter: MeterKey): Promise<string | undefined> {
    return (await tenants.ofMeter(meter.key)) ?? (await seekMeters([meter])).get(meter.key)?.tenant
  }

  /** Of meters whose tenant is not known: who has a row of them. */
  async function seekMeters(
    keys: readonly MeterKey[],
  ): Promise<Map<string, { readonly tenant: string; readonly state: MeterState }>> {
    const all = await tenants.all()
    const found = new Map<string, { readonly tenant: string; readonly state: MeterState }>()
    await Promise.all(
      all.map(async (tenant) => {
        for (const [index, state] of (await readIn(tenant, keys)).entries()) {
          const key = (keys[index] as MeterKey).key
          if (!state?.here || found.has(key)) continue
          tenants.meters.set(key, tenant)
          found.set(key, { tenant, state: state.state })
        }
      }),
    )
    return found
  }

  async function readIn(tenant: string, keys: readonly MeterKey[]): Promise<readonly (Read | undefined)[]> {
    const { rest } = await engine.askAt('read', tenant, (now) => readArgs(keys, moments, now))
    const states = list(rest[0])
    if (states.length !== keys.length) throw unexpected()
    return states.map(stateFrom)
  }

  /** Meters of one tenant are read in one step: those that a call charges together are never seen half charged. */
  async function read(keys: readonly MeterKey[]): Promise<readonly (MeterState | undefined)[]> {
    const homes = new Map<string | undefined, number[]>()
    for (const [index, { key }] of keys.entries()) {
      const home = tenants.meters.get(key) ?? (await tenants.ofMeter(key))
      homes.set(home, [...(homes.get(home) ?? []), index])
    }
    const states: (MeterState | undefined)[] = keys.map(() => undefined)
    await Promise.all(
      [...homes].map(async ([tenant, places]) => {
        const asked = places.map((place) => keys[place] as MeterKey)
        if (tenant !== undefined) {
          const found = await readIn(tenant, asked)
          for (const [index, place] of places.entries()) states[place] = found[index]?.state
          return
        }
        const found = await seekMeters(asked)
        for (const place of places)
          states[place] = found.get((keys[place] as MeterKey).key)?.state ?? fresh(keys[place])
      }),
    )
    return states
  }

  /** By tenant, as far as they are known. */
  async function renew(calls: readonly string[], leaseMs: number): Promise<void> {
    const homes = new Map<string, string[]>()
    const unknown: string[] = []
    for (const call of calls) {
      const tenant = tenants.calls.get(call)
      if (tenant === undefined) unknown.push(call)
      else homes.set(tenant, [...(homes.get(tenant) ?? []), call])
    }
    if (unknown.length > 0) {
      for (const tenant of await tenants.all()) homes.set(tenant, [...(homes.get(tenant) ?? []), ...unknown])
    }
    await Promise.all([...homes].map(([tenant, own]) => engine.ask('renew', tenant, [String(leaseMs), ...own])))
  }

  return {
    admit: (request) => take(request, 'running'),
    reserve: (request) => take(request, 'reserved'),
    settle,

    async cancel(call) {
      const known = tenants.calls.get(call)
      const send = (tenant: string) => engine.ask('cancel', tenant, [call])
      if (known !== undefined) return { state: stateOf((await send(known)).rest[0]), overrun: false }
      // Where nobody knows it, it leaves a tombstone: in each slot, since its admit may be on its way to any.
      const found = await tenants.seek(send, ({ rest }) => rest[0] !== 'unknown')
      return { state: found ? stateOf(found.reply.rest[0]) : 'unknown', overrun: false }
    },

    renew,

    async expire(limit): Promise<Expired> {
      const released: string[] = []
      const orphaned: string[] = []
      for (const { tenant, count } of await spread(engine, tenants, ['leases'], limit)) {
        if (count === 0) continue
        const { rest } = await engine.ask('expire', tenant, [String(count)])
        released.push(...texts(rest[0]))
        orphaned.push(...texts(rest[1]))
      }
      return { released, orphaned }
    },

    hold: {
      async get(call) {
        const known = tenants.calls.get(call)
        const send = (tenant: string) => engine.ask('hold', tenant, [call])
        if (known !== undefined) return holdFrom(await send(known))
        const found = await tenants.seek(send, (reply) => holdFrom(reply) !== undefined)
        if (found) tenants.calls.set(call, found.tenant)
        return found && holdFrom(found.reply)
      },
    },

    meters: { read },
  }
}

interface Read {
  readonly here: boolean
  readonly state: MeterState
}

function stateFrom(value: unknown): Read | undefined {
  const [here, limit, used, held] = list(value)
  if (here === undefined) return undefined
  return { here: whole(here) === 1, state: { limit: micros(limit), used: micros(used), held: micros(held) } }
}

/** A standing meter that nobody has charged yet. */
function fresh(meter: MeterKey | undefined): MeterState | undefined {
  const limit = meter?.rate?.burst ?? meter?.limit
  return limit === undefined ? undefined : { limit, used: 0n, held: 0n }
}

function settlementFrom({ rest }: Reply): Settlement {
  return { state: stateOf(rest[0]), overrun: whole(rest[1]) === 1 }
}

function stateOf(value: unknown): HoldState | 'unknown' {
  if (!STATES.includes(text(value))) throw unexpected()
  return value as HoldState | 'unknown'
}

function holdFrom({ rest }: Reply): HoldRow | undefined {
  const state = maybe(rest[1], stateOf)
  if (state === undefined || state === 'unknown') return undefined
  const memo = maybe(rest[2], text)
  return { session: text(rest[0]), state, ...(memo === undefined ? {} : { memo }) }
}

/** As JSON that Lua can read: text is what it is when it is sent as it is. */
function wellFormed(value: object): string {
  return JSON.stringify(value, (_, one) => (typeof one === 'string' ? one.toWellFormed() : one))
}

/** Text that may be missing, told apart from text that is empty. */
export function optional(value: string | undefined): string {
  return value === undefined ? '' : `=${value}`
}
