/** What a random run does to a store and to the naive reference, and the comparison of the two after each step. */
import type { MaybePromise, Store } from '@haldir/core'
import type { FakeClock } from '@haldir/testing'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Consent } from './approval-reference.ts'
import {
  type Cap,
  type Charge,
  type Held,
  type MeterKey,
  OWN,
  RATE,
  type Reference,
  SESSIONS,
  STANDING,
  windowAt,
} from './store-reference.ts'

/** A store under test. */
export interface Real {
  store: Store
  readonly clock: FakeClock
  /** Opens the same data again, as the next process does. Absent: nothing is kept. */
  readonly reopen?: () => MaybePromise<Store>
}

/** One command: what it does to both, and then the comparison of everything that can be read. */
export function command<A extends readonly unknown[]>(
  name: string,
  apply: (model: Reference, real: Real, ...args: A) => Promise<void>,
  check: (model: Reference, ...args: A) => boolean = () => true,
): (args: A) => fc.AsyncCommand<Reference, Real> {
  return (args) => ({
    check: (model) => check(model, ...args),
    run: async (model, real) => {
      await apply(model, real, ...args)
      await compare(model, real.store)
    },
    toString: () => `${name}(${fc.stringify(args).slice(1, -1)})`,
  })
}

async function compare(model: Reference, store: Store): Promise<void> {
  const own = Object.keys(SESSIONS).flatMap((id) => OWN.map((_, place) => ownMeter(id, place)))
  const meters = [...own, ...STANDING]
  const expected: unknown[] = meters.map((meter) => {
    const limit = model.limitOf(meter)
    const window = windowAt(meter, model.time)
    const { used, held } = model.sum(meter.key, window)
    // Invariant 3, of the meters whose limit never changes.
    if (meter.limit === undefined && limit !== undefined && used + held > limit) {
      expect([...model.overrun]).toContain(`${meter.key}@${window}`)
    }
    return limit === undefined ? undefined : { limit, used, held }
  })
  expected.push({ limit: RATE.rate.burst, used: model.level(model.time), held: 0n })
  const found: unknown[] = [...(await store.meters.read([...meters, RATE]))]
  for (const { call, session, state, memo, ends } of model.holds) {
    if (!model.remembers(call)) continue
    expected.push({ ends: Math.min(ends, 1), session, state, ...(memo === undefined ? {} : { memo }) })
    found.push({ ends, ...(await store.hold.get(call)) })
  }
  for (const { id, expiresAt, revokedAt } of model.sessions) {
    const row = await store.session.get({ id })
    expected.push({ id, expiresAt, revokedAt })
    found.push({ id, expiresAt: row?.expiresAt, revokedAt: row?.revokedAt })
  }
  expected.push(...model.approvals.kept.map(({ row }) => row).reverse())
  found.push(...(await store.approval.list({ limit: 99 })))
  for (const { row, told } of model.approvals.kept) {
    for (const { channel, note } of told) {
      expected.push(note)
      found.push(await store.approval.note(row.id, channel))
    }
  }
  // All at once: to compare them one by one would take most of the time of a run.
  expect(found).toEqual(expected)
}

/** A meter of a session, as a request names it. */
export function ownMeter(session: string, place: number): MeterKey {
  const { limit: _, ...rest } = OWN[place] as (typeof OWN)[2]
  return { key: `${session}|${place}`, ...rest }
}

export const create = command(
  'create',
  async (model, { store }, id: string, ttlMs: number, caps: readonly Cap[]) => {
    const { agent, chain } = SESSIONS[id] as (typeof SESSIONS)[string]
    const row = { id, tokenHash: id, tenant: 't', agent, scopes: [], attributes: {}, chain, ttlMs }
    const meters = OWN.map((meter, place) => ({ ...meter, key: `${id}|${place}` }))
    const made = await store.session.create(row, meters, caps)
    const ancestors = chain.map((ancestor) => model.session(ancestor))
    const ends = ancestors.map((ancestor) => ancestor?.expiresAt ?? 0)
    const revokedAt = ancestors.find((ancestor) => ancestor?.revokedAt !== undefined)?.revokedAt
    model.sessions.push({ id, agent, chain, expiresAt: Math.min(model.time + ttlMs, ...ends), revokedAt })
    const cap = caps.find((each) => model.count(each, agent) > each.limit)
    if (cap) model.sessions.pop()
    if (cap) expect(made).toEqual({ refused: 'quota-exceeded', cap })
    else expect(made).toMatchObject({ id, createdAt: model.time })
  },
  (model, id) => !model.session(id) && !!SESSIONS[id]?.chain.every((ancestor) => model.session(ancestor)),
)

export const extend = command('extend', async (model, { store }, id: string, ttlMs: number) => {
  const row = await store.session.extend(id, ttlMs)
  const session = model.session(id)
  if (!session) return expect(row).toBeUndefined()
  const ends = session.chain.map((ancestor) => model.session(ancestor)?.expiresAt ?? 0)
  if (model.isLive(session)) session.expiresAt = Math.max(session.expiresAt, Math.min(model.time + ttlMs, ...ends))
  expect(row).toMatchObject({ id, expiresAt: session.expiresAt })
})

export const revoke = command('revoke', async (model, { store }, id: string) => {
  const tree = model.sessions.filter((one) => one.id === id || one.chain.includes(id))
  const ended = tree.filter(({ revokedAt }) => revokedAt === undefined)
  expect([...(await store.session.revokeTree(id))].sort()).toEqual(ended.map((one) => one.id).sort())
  for (const session of ended) session.revokedAt = model.time
})

export const take = command(
  'take',
  async (
    model,
    { store },
    verb: 'admit' | 'reserve',
    call: string,
    id: string,
    charges: readonly Charge[],
    leaseMs: number,
    { once, memo, consent }: { readonly once?: string; readonly memo?: string; readonly consent?: Consent },
  ) => {
    const more = { ...(once ? { once } : {}), ...(memo ? { memo } : {}), ...(consent ? { consent } : {}) }
    const request = { call, session: id, charges, leaseMs, ...more }
    const admission = await store[verb](request)
    const no = (refusal: object) => expect(admission).toEqual({ ok: false, ...refusal })
    const session = model.session(id)
    if (!session) return no({ refused: 'no-session' })
    if (session.revokedAt !== undefined) return no({ refused: 'session-revoked' })
    if (session.expiresAt <= model.time) return no({ refused: 'session-expired' })
    const presented = verb === 'admit' ? consent : undefined
    const refused = presented && model.approvals.refusal(presented, call, id, model.time)
    if (refused) return no({ refused })
    const yes = () => {
      // Invariant 8: whoever is admitted uses it, and who is refused does not.
      if (presented && !presented.grant) model.approvals.use(presented.id, call, model.time)
      expect(admission).toEqual({ ok: true, at: model.time })
    }
    const hold = model.hold(call)
    if (hold) {
      const lives = hold.state === 'running' || (hold.state === 'reserved' && hold.lease > model.time)
      if (!lives || hold.session !== id) return no({ refused: 'unavailable' })
      if (hold.state === 'reserved' && verb === 'admit')
        Object.assign(hold, { state: 'running', lease: model.time + leaseMs })
      return yes()
    }
    if (once && model.taken(once, call)) return no({ refused: 'duplicate-call' })
    const refusal = model.refusal(charges)
    if (refusal) return no(refusal)
    for (const { meter, micros } of charges)
      if (meter.rate) model.counted.push({ key: meter.key, at: model.time, micros })
    model.see(charges)
    if (verb === 'reserve' || charges.length > 0 || once) {
      const state = verb === 'admit' ? 'running' : 'reserved'
      const rest = { lease: model.time + leaseMs, since: 0, spent: [], ends: 0, once, memo: memo || undefined }
      model.holds.push({ call, session: id, state, held: model.parts(charges), ...rest })
    }
    // Invariant 3, at the moment it is decided. Who names a meter twice may do so with two limits; the later one holds.
    for (const { meter } of new Map(charges.map((charge) => [charge.meter.key, charge])).values()) {
      const { used, held } = model.sum(meter.key, windowAt(meter, model.time))
      if (!meter.rate) expect(used + held <= (model.limitOf(meter) as bigint)).toBe(true)
    }
    yes()
  },
  (model, _verb, call) => model.remembers(call),
)

export const settle = command(
  'settle',
  async (model, { store }, call: string, spent: readonly Charge[] | undefined) => {
    const settlement = await store.settle(spent ? { call, spent } : { call })
    const known = model.hold(call)
    if (!known && !spent?.length) return expect(settlement).toEqual({ state: 'unknown', overrun: false })
    if (known && known.state !== 'running' && known.state !== 'orphaned') {
      return expect(settlement).toEqual({ state: known.state, overrun: false })
    }
    const none = { call, session: '', once: undefined, memo: undefined, held: [], spent: [] }
    const hold: Held = known ?? { ...none, state: 'running', lease: 0, since: 0, ends: 0 }
    if (!known) {
      model.holds.push(hold)
      for (const { meter, micros } of spent ?? []) {
        if (meter.rate) model.counted.push({ key: meter.key, at: model.time, micros })
      }
    }
    model.see(spent ?? [], hold)
    hold.spent = spent ? model.parts(spent, hold) : hold.held
    model.end(hold, 'settled')
    const over = [...hold.held, ...hold.spent].filter((part) => model.isOver(part))
    for (const { key, window } of over) model.overrun.add(`${key}@${window}`)
    const flooded = !known && !!spent?.some(({ meter }) => meter.rate) && model.level(model.time) > RATE.rate.burst
    expect(settlement).toEqual({ state: 'settled', overrun: over.length > 0 || flooded })
  },
  // A session's meter that was never made can not be charged.
  (model, call, spent) =>
    model.remembers(call) && !!(spent ?? []).every(({ meter }) => meter.rate || model.limitOf(meter)),
)

export const cancel = command(
  'cancel',
  async (model, { store }, call: string) => {
    const { state } = await store.cancel(call)
    const hold = model.hold(call)
    if (!hold) {
      expect(state).toBe('unknown')
      const none = { session: '', once: undefined, memo: undefined, held: [], spent: [], lease: 0 }
      model.holds.push({ call, ...none, state: 'released', since: model.time, ends: 1 })
      return
    }
    if (hold.state === 'reserved' || hold.state === 'running') model.end(hold, 'released')
    expect(state).toBe(hold.state)
  },
  (model, call) => model.remembers(call),
)

export const renew = command('renew', async (model, { store }, calls: readonly string[], leaseMs: number) => {
  await store.renew(calls, leaseMs)
  for (const call of calls) {
    const hold = model.hold(call)
    if (hold?.state === 'running') hold.lease = Math.max(hold.lease, model.time + leaseMs)
  }
})

export const expire = command('expire', async (model, { store }, limit: number) => {
  const live = model.holds.filter(({ state }) => state === 'reserved' || state === 'running')
  const due = live.filter(({ lease }) => lease <= model.time)
  const find = (call: string, state: string) => due.find((hold) => hold.call === call && hold.state === state) as Held
  const { released, orphaned } = await store.expire(limit)
  // Which of them, when there are more, is the store's choice.
  expect(released.length + orphaned.length).toBe(Math.min(limit, due.length))
  for (const call of released) model.end(find(call, 'reserved'), 'released')
  for (const call of orphaned) Object.assign(find(call, 'running'), { state: 'orphaned', since: model.time })
})

export const advance = command('advance', async (model, { clock }, ms: number) => {
  await clock.advance(ms)
  model.time = Math.max(model.time + ms, clock.now())
})

export const setWall = command('setWall', async (model, { clock }, by: number) => {
  clock.setWall(clock.now() + by)
  model.time = Math.max(model.time, clock.now())
})

/** The process dies, and another goes on; by then the wall clock is right again. */
export const crash = command('crash', async (model, real) => {
  if (!real.reopen) return
  real.clock.setWall(model.time)
  real.store = await real.reopen()
})
