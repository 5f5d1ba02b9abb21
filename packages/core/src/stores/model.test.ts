/**
 * Random commands on a store and on a naive reference, side by side. The reference keeps no running totals: it keeps
 * every hold there ever was, and adds them up anew whenever it is asked.
 */
import { type FakeClock, fakeClock } from '@haldir/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { memoryStore } from './memory.ts'
import { sqliteStore } from './sqlite.ts'
import type { Charge, NewMeter, Store } from './store.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const SESSIONS = ['s0', 's1']
const CALLS = ['c0', 'c1', 'c2', 'c3', 'c4', 'c5']
/** Each session has these three; a charge names one by its place, and place 3 is a meter that nobody made. */
const METERS = [
  { window: 'total', limit: 40n },
  { window: 'hour', limit: 12n },
  { window: 'day', limit: 25n },
] as const
const LENGTH = { hour: HOUR, day: DAY } as const

type Item = readonly [place: number, micros: bigint]

/** An amount on a meter, in the window that was current when it was taken. */
interface Part {
  readonly meter: string
  readonly window: number
  readonly micros: bigint
}

interface Hold {
  state: 'reserved' | 'running' | 'orphaned' | 'settled' | 'released'
  lease: number
  endedAt: number
  readonly held: readonly Part[]
  spent: readonly Part[]
  ends: number
}

class Reference {
  time = 0
  readonly sessions = new Map<string, { expiresAt: number; revoked: boolean }>()
  readonly holds = new Map<string, Hold>()
  /** Meter rows that a settle pushed above the limit. */
  readonly overrun = new Set<string>()

  meter(session: string, place: number): NewMeter {
    const { window, limit } = METERS[place] ?? { window: 'total', limit: 0n }
    return { key: `${session}|${place}`, window, limit }
  }

  charges(session: string, items: readonly Item[]): Charge[] {
    return items.map(([place, micros]) => ({ meter: this.meter(session, place), micros }))
  }

  windowOf({ window }: { window: string }): number {
    return window === 'hour' || window === 'day' ? Math.floor(this.time / LENGTH[window]) : 0
  }

  parts(charges: readonly Charge[], of?: Hold): Part[] {
    return charges.map(({ meter, micros }) => {
      const window = of?.held.find((part) => part.meter === meter.key)?.window ?? this.windowOf(meter)
      return { meter: meter.key, window, micros }
    })
  }

  sum(meter: string, window: number): { used: bigint; held: bigint } {
    let [used, held] = [0n, 0n]
    for (const hold of this.holds.values()) {
      const total = (parts: readonly Part[]) =>
        parts.filter((part) => part.meter === meter && part.window === window).reduce((sum, p) => sum + p.micros, 0n)
      if (hold.state === 'reserved' || hold.state === 'running') held += total(hold.held)
      if (hold.state === 'orphaned') used += total(hold.held)
      if (hold.state === 'settled') used += total(hold.spent)
    }
    return { used, held }
  }

  over(meter: string, window: number): boolean {
    const { used, held } = this.sum(meter, window)
    return used + held > (this.limitOf(meter) as bigint)
  }

  limitOf(meter: string): bigint | undefined {
    return METERS[Number(meter.split('|')[1])]?.limit
  }

  end(hold: Hold, state: 'settled' | 'released'): void {
    hold.state = state
    hold.endedAt = this.time
    hold.ends++
  }
}

interface Real {
  readonly store: Store
  readonly clock: FakeClock
}

/** One command: what it does to both, and the comparison of everything that can be read afterwards. */
abstract class Command implements fc.AsyncCommand<Reference, Real> {
  abstract check(model: Reference): boolean

  async run(model: Reference, real: Real): Promise<void> {
    await this.apply(model, real)
    for (const session of model.sessions.keys()) {
      const meters = METERS.map((_, place) => model.meter(session, place))
      const states = await real.store.meters.read(meters)
      for (const [index, meter] of meters.entries()) {
        const window = model.windowOf(meter)
        const { used, held } = model.sum(meter.key, window)
        expect(states[index]).toEqual({ limit: meter.limit, used, held })
        if (!model.overrun.has(`${meter.key}|${window}`)) expect(used + held <= meter.limit).toBe(true)
      }
    }
    for (const hold of model.holds.values()) expect(hold.ends).toBeLessThanOrEqual(1)
  }

  abstract apply(model: Reference, real: Real): Promise<void>
  abstract toString(): string
}

/** Builds a command class from what it does; the arguments are what fast-check prints. */
function command<A extends readonly unknown[]>(
  name: string,
  apply: (model: Reference, real: Real, ...args: A) => Promise<void>,
  check: (model: Reference, ...args: A) => boolean = () => true,
): (args: A) => fc.AsyncCommand<Reference, Real> {
  return (args) =>
    new (class extends Command {
      check(model: Reference): boolean {
        return check(model, ...args)
      }
      apply(model: Reference, real: Real): Promise<void> {
        return apply(model, real, ...args)
      }
      toString(): string {
        return `${name}(${fc.stringify(args).slice(1, -1)})`
      }
    })()
}

const create = command(
  'create',
  async (model, { store }, id: string, ttlMs: number) => {
    const meters = METERS.map((_, place) => model.meter(id, place))
    const row = { id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [], ttlMs }
    const made = await store.session.create(row, meters)
    expect(made.expiresAt).toBe(model.time + ttlMs)
    model.sessions.set(id, { expiresAt: model.time + ttlMs, revoked: false })
  },
  (model, id) => !model.sessions.has(id),
)

const revoke = command('revoke', async (model, { store }, id: string) => {
  const session = model.sessions.get(id)
  expect(await store.session.revokeTree(id)).toEqual(session && !session.revoked ? [id] : [])
  if (session) session.revoked = true
})

const take = command(
  'take',
  async (
    model,
    { store },
    verb: 'admit' | 'reserve',
    call: string,
    id: string,
    items: readonly Item[],
    leaseMs: number,
  ) => {
    const charges = model.charges(id, items)
    const admission = await store[verb]({ call, session: id, charges, leaseMs })
    const session = model.sessions.get(id)
    const hold = model.holds.get(call)
    const no = (refused: string) => expect(admission).toEqual({ ok: false, refused })
    if (!session) return no('no-session')
    if (session.revoked) return no('session-revoked')
    if (session.expiresAt <= model.time) return no('session-expired')
    if (hold) {
      const alive = hold.state === 'running' || (hold.state === 'reserved' && hold.lease > model.time)
      if (!alive) return no('unavailable')
      if (hold.state === 'reserved' && verb === 'admit') {
        hold.state = 'running'
        hold.lease = model.time + leaseMs
      }
      return expect(admission).toEqual({ ok: true, at: model.time })
    }
    const wanted = new Map<string, bigint>()
    for (const { meter, micros } of charges) {
      wanted.set(meter.key, (wanted.get(meter.key) ?? 0n) + micros)
      const { used, held } = model.sum(meter.key, model.windowOf(meter))
      const limit = model.limitOf(meter.key)
      if (limit !== undefined && used + held + (wanted.get(meter.key) as bigint) <= limit) continue
      const refused = limit === undefined ? 'unavailable' : 'budget-exceeded'
      return expect(admission).toEqual({ ok: false, refused, meter: meter.key })
    }
    if (charges.length > 0) {
      const state = verb === 'admit' ? 'running' : 'reserved'
      const lease = model.time + leaseMs
      model.holds.set(call, { state, lease, endedAt: 0, held: model.parts(charges), spent: [], ends: 0 })
    }
    expect(admission).toEqual({ ok: true, at: model.time })
  },
  (model, _verb, call) => remembered(model, call),
)

const settle = command(
  'settle',
  async (model, { store }, call: string, id: string, items: readonly Item[] | undefined) => {
    const charges = items && model.charges(id, items)
    const settlement = await store.settle(charges ? { call, spent: charges } : { call })
    let hold = model.holds.get(call)
    if (!hold && !charges?.length) return expect(settlement).toEqual({ state: 'unknown', overrun: false })
    if (hold?.state === 'settled' || hold?.state === 'released') {
      return expect(settlement).toEqual({ state: hold.state, overrun: false })
    }
    if (!hold) {
      hold = { state: 'running', lease: 0, endedAt: 0, held: [], spent: [], ends: 0 }
      model.holds.set(call, hold)
    }
    hold.spent = charges ? model.parts(charges, hold) : hold.held
    model.end(hold, 'settled')
    const over = [...hold.held, ...hold.spent].filter(({ meter, window }) => model.over(meter, window))
    for (const { meter, window } of over) model.overrun.add(`${meter}|${window}`)
    expect(settlement).toEqual({ state: 'settled', overrun: over.length > 0 })
  },
  // What is spent belongs to a session that exists; a meter that was never made can not be charged.
  (model, call, id) => remembered(model, call) && model.sessions.has(id),
)

const cancel = command(
  'cancel',
  async (model, { store }, call: string) => {
    const { state } = await store.cancel(call)
    const hold = model.holds.get(call)
    if (!hold) {
      expect(state).toBe('unknown')
      const tombstone: Hold = { state: 'released', lease: 0, endedAt: model.time, held: [], spent: [], ends: 1 }
      model.holds.set(call, tombstone)
    } else {
      if (hold.state === 'reserved' || hold.state === 'running') model.end(hold, 'released')
      expect(state).toBe(hold.state)
    }
  },
  (model, call) => remembered(model, call),
)

const renew = command('renew', async (model, { store }, calls: readonly string[], leaseMs: number) => {
  await store.renew(calls, leaseMs)
  for (const call of calls) {
    const hold = model.holds.get(call)
    if (hold?.state === 'running') hold.lease = Math.max(hold.lease, model.time + leaseMs)
  }
})

const expire = command('expire', async (model, { store }, limit: number) => {
  const live = [...model.holds].filter(([, { state }]) => state === 'reserved' || state === 'running')
  const due = new Map(live.filter(([, { lease }]) => lease <= model.time))
  const { released, orphaned } = await store.expire(limit)
  // Which of them, when there are more, is the store's choice.
  expect(released.length + orphaned.length).toBe(Math.min(limit, due.size))
  for (const call of released) {
    expect(due.get(call)?.state).toBe('reserved')
    model.end(due.get(call) as Hold, 'released')
  }
  for (const call of orphaned) {
    expect(due.get(call)?.state).toBe('running')
    ;(due.get(call) as Hold).state = 'orphaned'
  }
})

const advance = command('advance', async (model, { clock }, ms: number) => {
  await clock.advance(ms)
  model.time = Math.max(model.time + ms, clock.now())
})

const setWall = command('setWall', async (model, { clock }, by: number) => {
  clock.setWall(clock.now() + by)
  model.time = Math.max(model.time, clock.now())
})

/** An ended hold may be forgotten after a day; until then it must not be. */
function remembered(model: Reference, call: string): boolean {
  const hold = model.holds.get(call)
  return !hold || hold.ends === 0 || model.time - hold.endedAt < DAY
}

const anyCall = fc.constantFrom(...CALLS)
const anySession = fc.constantFrom(...SESSIONS)
const anyMs = fc.constantFrom(1, 999, 60_000, HOUR, 3 * HOUR)
const micros = fc.bigInt({ min: 0n, max: 14n })
const real = fc.tuple(fc.nat({ max: 2 }), micros)
const ghostly = fc.tuple(fc.oneof({ weight: 20, arbitrary: fc.nat({ max: 2 }) }, fc.constant(3)), micros)
const items = fc.array(ghostly, { maxLength: 4 })
const spent = fc.option(fc.array(real, { maxLength: 3 }), { nil: undefined })

const commands = fc.commands(
  [
    fc.tuple(anySession, fc.constantFrom(2 * HOUR, 30 * HOUR)).map(create),
    fc.tuple(fc.constantFrom('admit' as const, 'reserve' as const), anyCall, anySession, items, anyMs).map(take),
    fc.tuple(fc.constant('admit' as const), anyCall, anySession, items, anyMs).map(take),
    fc.tuple(anyCall, anySession, spent).map(settle),
    fc.tuple(anyCall).map(cancel),
    fc.tuple(fc.subarray(CALLS), anyMs).map(renew),
    fc.tuple(fc.integer({ min: 1, max: 3 })).map(expire),
    fc.tuple(anyMs).map(advance),
    fc.tuple(fc.constantFrom(-30 * HOUR, -2 * HOUR, -1, 60_000, HOUR)).map(setWall),
    fc.tuple(fc.constantFrom('s0')).map(revoke),
  ],
  { size: '+1' },
)

function follows(open: (clock: FakeClock) => Store, numRuns: number): Promise<void> {
  const property = fc.asyncProperty(commands, async (list) => {
    const clock = fakeClock(Date.UTC(2026, 0, 31, 21, 30))
    const store = open(clock)
    try {
      const setup = () => {
        const model = new Reference()
        model.time = clock.now()
        return { model, real: { store, clock } }
      }
      await fc.asyncModelRun(setup, [create(['s0', 30 * HOUR]), ...list])
    } finally {
      await store.close?.()
    }
  })
  return fc.assert(property, { numRuns })
}

describe('a store, against a naive reference', () => {
  it('memory: every answer and every sum is the same', { timeout: 60_000 }, () =>
    follows((clock) => memoryStore({ clock }), 1_000),
  )

  it('sqlite: every answer and every sum is the same', { timeout: 60_000 }, () =>
    follows((clock) => sqliteStore(':memory:', { clock }), 200),
  )
})
