/** Meters: what a session may still spend. Step 4 of the path. */
import { Unavailable } from '../errors.ts'
import { Amount, asAmount } from '../money.ts'
import type { Charge, MeterKey, MeterState } from '../stores/store.ts'
import type { Window } from '../stores/window.ts'
import type { Budget } from './scopes.ts'

/** One limit as a call meets it: of its session, of one that was delegated from, or a standing one. */
export interface Meter {
  /** As the store is asked for it. */
  readonly at: MeterKey
  readonly unit: string
  readonly limit: bigint
  /** What it limits, as refusals name it: `budget:USD`, `quota:calls/month@tenant`. */
  readonly rule: string
  readonly code: 'budget-exceeded' | 'quota-exceeded' | 'rate-exceeded'
  /** Why a call that does not fit is refused. */
  readonly reason: string
}

/** One limit, and how much of it is gone. */
export interface BudgetLine {
  readonly unit: string
  /** `total`, or the calendar window that the limit is for. */
  readonly window: Window
  /** As refusals name it: `budget:USD` is the session's own; `parent:budget:USD` of one it was delegated from. */
  readonly rule: string
  readonly limit: Amount
  /** Spent by calls that have ended, or that nobody can tell the end of. */
  readonly used: Amount
  /** Set aside for calls that are running. */
  readonly held: Amount
  /** What a further call may cost; zero when more was spent than allowed. */
  readonly left: Amount
}

/** The meters that a session's budgets create. `apart` begins the keys of a haldir that counts apart (shadow mode). */
export function sessionMeters(tenant: string, session: string, budgets: readonly Budget[], apart = ''): Meter[] {
  return budgets.map(({ unit, limit, window }) => ({
    at: { key: `${apart}${tenant}|session:${session}|${unit}|${window}|budget`, window },
    rule: `budget:${unit}${window === 'total' ? '' : `/${window}`}`,
    unit,
    limit,
    code: 'budget-exceeded',
    reason: "the call costs more than is left of the session's budget",
  }))
}

/** The same meters, as a session meets them that was delegated from their own. */
export function asParents(meters: readonly Meter[]): Meter[] {
  const reason = 'the call costs more than is left of the budget of a session that this one was delegated from'
  return meters.map((meter) => {
    const rule = meter.rule.startsWith('parent:') ? meter.rule : `parent:${meter.rule}`
    return { ...meter, rule, reason }
  })
}

/** How the store is asked for meters. */
export function keysOf(meters: readonly Meter[]): readonly MeterKey[] {
  return meters.map(({ at }) => at)
}

/** Meters that were read, as people ask for them. One of a session that is missing is not zero: throws `Unavailable`. */
export function budgetLines(
  meters: readonly Meter[],
  states: readonly (MeterState | undefined)[],
): readonly BudgetLine[] {
  if (!Array.isArray(states)) throw new Unavailable('`store.meters.read` answered nonsense')
  return meters.map(({ unit, rule, at: { key, window } }, index): BudgetLine => {
    const state = states[index]
    if (!state) throw new Unavailable(`the meter \`${key}\` is missing from the store`)
    const { limit, used, held } = state
    if (![limit, used, held].every((n) => typeof n === 'bigint')) {
      throw new Unavailable('`store.meters.read` answered nonsense')
    }
    const left = limit - used - held
    const [l, u, h, r] = [limit, used, held, left > 0n ? left : 0n].map((micros) => new Amount(unit, micros))
    return { unit, window, rule, limit: l as Amount, used: u as Amount, held: h as Amount, left: r as Amount }
  })
}

/** Reads what `cost`, `actual` or `spent` gave: one amount or several, one for each unit. `undefined`: it is neither. */
export function amountsOf(given: unknown): readonly Amount[] | undefined {
  const list: unknown[] = Array.isArray(given) ? given : [given]
  const amounts: Amount[] = []
  if (list.length === 0) return undefined
  for (const one of list) {
    const own = asAmount(one)
    if (!own) return undefined
    amounts.push(own)
  }
  return amounts.length === 1 ? amounts : sum(amounts)
}

/** One amount for each unit. */
export function sum(amounts: readonly Amount[]): readonly Amount[] {
  const totals = new Map<string, bigint>()
  for (const { unit, micros } of amounts) totals.set(unit, (totals.get(unit) ?? 0n) + micros)
  return [...totals].map(([unit, micros]) => new Amount(unit, micros))
}

/** What one call counts for on meters of the unit `calls`. */
export const CALLS = 'calls'
const ONE = 1_000_000n

/**
 * What amounts mean for meters: every meter of a unit is charged. Nothing is charged for nothing. With `calls`, the
 * meters that count calls are charged for one, or for as many as the amounts say.
 */
export function chargesOn(meters: readonly Meter[], amounts: readonly Amount[], calls = false): Charge[] {
  const charges: Charge[] = []
  for (const { at, unit } of meters) {
    let micros = calls && unit === CALLS ? ONE : 0n
    for (const one of amounts) if (one.unit === unit && one.micros > micros) micros = one.micros
    if (micros > 0n) charges.push({ meter: at, micros })
  }
  return charges
}
