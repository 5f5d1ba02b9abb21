/**
 * Leaves to act. A call is judged and metered for every identity in its session's chain, so that a child can never do
 * what its parent could not; a leave is what one of these identities may do by itself.
 */
import { ConfigError } from '../errors.ts'
import type { Amount } from '../money.ts'
import type { SessionRow } from '../stores/store.ts'
import { WINDOWS, type Window } from '../stores/window.ts'
import { type Meter, sessionMeters } from './meters.ts'
import type { SessionFacts } from './policy/policy.ts'
import { type Budget, covers, type Grant, parseGrant } from './scopes.ts'

export interface Leave {
  /** As policies and guards see it. */
  readonly facts: SessionFacts
  readonly grant: Grant
  /** Those its own scopes have made. */
  readonly meters: readonly Meter[]
}

/** How many sessions a session may have been delegated through. */
export const DEEPEST = 8

/** What a session may do by itself, worked out once. `apart` begins the keys of its meters. */
export function leaveOf({ id, agent, tenant, scopes, attributes, chain }: SessionRow, apart: string): Leave {
  const grant = parseGrant(scopes)
  const facts = { id, agent, tenant, scopes: grant.scopes, attributes, depth: chain.length }
  return { facts: frozen(facts), grant, meters: sessionMeters(tenant, id, grant.budgets, apart) }
}

/** Policies and guards are functions of the application's: none of them may change what the next one is told. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const part of Object.values(Object.freeze(value))) frozen(part)
  return value
}

/** Whether every identity of a chain holds a scope. */
export function allCover(leaves: readonly Leave[], required: readonly string[]): boolean {
  // Invariant: a child holds nothing that its parents do not hold.
  return leaves.every(({ grant }) => covers(grant, required))
}

/**
 * The first unit that costs something and that one of the identities has no meter for: of its own, or standing, which
 * is asked for only then. `spend:*` needs none.
 */
export function uncovered(
  leaves: readonly Leave[],
  amounts: readonly Amount[],
  standing: (leave: Leave, unit: string) => boolean,
): string | undefined {
  for (const { unit, micros } of amounts) {
    if (micros === 0n) continue
    // Invariant: a parent's meter is no leave for its child to spend, nor a child's for its parent.
    const counted = (leave: Leave) =>
      leave.grant.unlimited || leave.meters.some((meter) => meter.unit === unit) || standing(leave, unit)
    if (!leaves.every(counted)) return unit
  }
  return undefined
}

/** Throws `ConfigError` when a child would be granted more than its parent has, naming the scope. */
export function checkWithin(parent: Grant, child: Grant): void {
  for (const [index, scope] of child.scopes.entries()) {
    if (isWithin(parent, scope, child)) continue
    const path = `scopes.${index}`
    throw new ConfigError('invalid-scope', path, `\`${path}\` grants more than the session it is delegated from holds`)
  }
}

function isWithin(parent: Grant, scope: string, child: Grant): boolean {
  if (scope === 'spend:*') return parent.unlimited
  if (scope.startsWith('spend:')) {
    const budget = child.budgets.find((one) => one.scope === scope)
    return budget !== undefined && fits(parent, budget)
  }
  const segments = scope.split(':')
  return parent.patterns.some(
    (pattern) =>
      pattern.length <= segments.length && pattern.every((part, at) => part === '*' || part === segments[at]),
  )
}

/** The windows that lie within one: what is spent in them is spent in it, too. */
const WITHIN: Readonly<Record<Window, readonly Window[]>> = {
  total: WINDOWS,
  month: ['day', 'hour'],
  week: ['day', 'hour'],
  day: ['hour'],
  hour: [],
}

/**
 * Limits are compared where they can be: with the parent's for the same window, or else with those for windows that
 * this one lies within. Others (a total against a day's budget) are left to the meters: the parent's are charged by every call of the child.
 */
function fits({ budgets, unlimited }: Grant, { unit, limit, window }: Budget): boolean {
  const same = budgets.filter((budget) => budget.unit === unit)
  if (same.length === 0) return unlimited
  const own = same.filter((budget) => budget.window === window)
  const above = own.length > 0 ? own : same.filter((budget) => WITHIN[budget.window].includes(window))
  return above.every((budget) => limit <= budget.limit)
}
