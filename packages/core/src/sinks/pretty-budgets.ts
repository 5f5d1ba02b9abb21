/**
 * What sessions have spent of their budgets, as far as one trail tells: of those whose beginning stands in it, and
 * without what other processes spend of the same. It is for looking at; the store alone decides.
 */
import { formatMicros } from '../money.ts'
import { microsOf, type SeenAmount } from './pretty-entry.ts'

const KEEP = 1_000
const BUDGET = /^spend:(\d+(?:\.\d+)?)(?::([A-Z]{3})(?:\/(hour|day|week|month))?)?$/

/** One limit, and how much of it is gone. */
export interface Budget {
  readonly unit: string
  readonly limit: bigint
  /** `total`, or a calendar window (UTC); a meter counts anew in each. */
  readonly window: string
  /** The window that `used` and `held` are of, by its name. */
  current: string
  used: bigint
  /** Set aside for calls that run. */
  held: bigint
  /** Of a session that the caller's was delegated from. */
  readonly inherited?: boolean
}

/** Who pays: a session, and those it was delegated from. */
export interface Payer {
  readonly session?: string | undefined
  readonly chain: readonly string[]
}

export class Budgets {
  /** By session. The oldest is forgotten first: then its calls have no bar any more. */
  readonly #known = new Map<string, readonly Budget[]>()

  /** A session begins: its scopes say what it may spend. */
  open(session: string, scopes: readonly string[]): void {
    const budgets = scopes.flatMap((scope): Budget[] => {
      const [, decimal = '', unit = 'USD', window = 'total'] = BUDGET.exec(scope) ?? []
      const limit = microsOf(decimal)
      return limit === undefined ? [] : [{ unit, limit, window, current: '', used: 0n, held: 0n }]
    })
    this.#known.set(session, budgets)
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= KEEP) break
      this.#known.delete(oldest)
    }
  }

  /** A call sets amounts aside, at the time `at`; `give` takes them off again, by the same time. */
  hold(payer: Payer, amounts: readonly SeenAmount[], at: string): void {
    this.#add(payer, amounts, at, 'held', 1n)
  }

  give(payer: Payer, amounts: readonly SeenAmount[], at: string): void {
    this.#add(payer, amounts, at, 'held', -1n)
  }

  /** Amounts are spent. They count in the window in which their call was admitted. */
  spend(payer: Payer, amounts: readonly SeenAmount[], at: string): void {
    this.#add(payer, amounts, at, 'used', 1n)
  }

  /** Of the limits on these amounts, the one with the least left: the payer's own, or one further up. */
  tightest(payer: Payer, amounts: readonly SeenAmount[], at: string): Budget | undefined {
    let found: Budget | undefined
    for (const budget of this.#of(payer)) {
      if (!amounts.some(({ unit }) => unit === budget.unit)) continue
      turn(budget, at)
      if (!found || left(budget) < left(found)) found = budget
    }
    if (!found || !this.#known.get(payer.session ?? '')?.includes(found)) return found && { ...found, inherited: true }
    return found
  }

  #add(payer: Payer, amounts: readonly SeenAmount[], at: string, what: 'used' | 'held', sign: bigint): void {
    for (const budget of this.#of(payer)) {
      for (const { unit, micros } of amounts) {
        if (unit === budget.unit && turn(budget, at)) budget[what] += sign * micros
      }
    }
  }

  /** Every budget that a payer's calls count on: its own first, then those further up, the nearest first. */
  #of({ session, chain }: Payer): Budget[] {
    const payers = [...(session === undefined ? [] : [session]), ...[...chain].reverse()]
    return payers.flatMap((id) => this.#known.get(id) ?? [])
  }
}

function left({ limit, used, held }: Budget): bigint {
  return limit - used - held
}

/** Begins the window that a moment falls into. `false`: it is one that has passed, and nothing counts there any more. */
function turn(budget: Budget, at: string): boolean {
  const name = windowOf(budget.window, at)
  if (name < budget.current) return false
  if (name > budget.current) Object.assign(budget, { current: name, used: 0n, held: 0n })
  return true
}

/** Names a window by when it begins, so that later ones come later in the alphabet. */
function windowOf(window: string, at: string): string {
  if (window === 'total') return ''
  if (window === 'hour') return at.slice(0, 13)
  if (window === 'month') return at.slice(0, 7)
  if (window === 'day') return at.slice(0, 10)
  const day = new Date(`${at.slice(0, 10)}T00:00:00Z`)
  if (Number.isNaN(day.getTime())) return ''
  // Weeks begin on Monday.
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7))
  return day.toISOString().slice(0, 10)
}

const FULL = '█'
const HELD = '▒'
const FREE = '░'

/** `▕███▒░░░▏ 29.99/50 USD`: spent, set aside, left. Any spending shows, and only what is gone looks gone. */
export function drawBar(budget: Budget, cells: number): string {
  const { unit, limit, window, inherited } = budget
  const used = filled(budget.used, limit, cells)
  const taken = Math.max(used, filled(budget.used + budget.held, limit, cells))
  const bar = FULL.repeat(used) + HELD.repeat(taken - used) + FREE.repeat(cells - taken)
  const name = `${unit}${window === 'total' ? '' : `/${window}`}${inherited ? ' (parent)' : ''}`
  return `▕${bar}▏ ${decimalOf(budget.used, unit)}/${decimalOf(limit, unit)} ${name}`
}

function filled(part: bigint, limit: bigint, cells: number): number {
  if (part >= limit) return cells
  if (part <= 0n) return 0
  const share = Number((part * BigInt(cells) * 2n + limit) / (limit * 2n))
  return Math.min(cells - 1, Math.max(1, share))
}

/** An amount as people write it: `9.5` dollars are `9.50`. */
export function decimalOf(micros: bigint, unit: string): string {
  const decimal = formatMicros(micros)
  return /^[A-Z]{3}$/.test(unit) ? decimal.replace(/\.\d$/, '$&0') : decimal
}

/** How much of a budget is gone or set aside, in percent. */
export function percentOf({ used, held, limit }: Budget): number {
  return limit === 0n ? 100 : Number(((used + held) * 100n) / limit)
}
