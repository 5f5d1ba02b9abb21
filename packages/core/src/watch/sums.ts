/** Adding amounts up: exact, apart by what they are asked for by. */
import { formatMicros, parseDecimal } from '../money.ts'
import { soundTime } from '../sinks/sink.ts'
import type { Entry } from './entry.ts'

export const SPEND_KEYS = ['agent', 'tool', 'day', 'month', 'tenant', 'session', 'haldir', 'rule'] as const
/** What sums can be told apart by. Amounts of two units are never added, so every row has its `unit` besides. */
export type SpendKey = (typeof SPEND_KEYS)[number]

/** One sum. `day` is `2026-01-31`, `month` is `2026-01`; a member is `null` where entries say none. */
export interface SpendRow extends Readonly<Partial<Record<SpendKey, string | null>>> {
  readonly unit: string
  /** What outcomes say was spent: an exact decimal. What a failed call kept is among it. */
  readonly spent: string
  /** How many outcomes that is. */
  readonly outcomes: number
  /** What was set aside for calls that have no outcome: they still run, or their process died. Meters count it. */
  readonly open: string
  /** How many calls that is. */
  readonly openCalls: number
}

/** What of an entry is looked at. */
export type Counted = Pick<Entry, 'at'> & Partial<Entry>

interface Sum {
  readonly keys: readonly (string | null)[]
  readonly unit: string
  spent: bigint
  outcomes: number
  open: bigint
  openCalls: number
}

export class Sums {
  readonly #keys: readonly SpendKey[]
  readonly #dayOf: (at: string) => string
  readonly #sums = new Map<string, Sum>()

  constructor(keys: readonly SpendKey[], dayOf: (at: string) => string) {
    this.#keys = [...new Set(keys)]
    this.#dayOf = dayOf
  }

  /** Counts what an outcome spent. */
  spent(entry: Counted): void {
    for (const [unit, micros] of totals(entry.spent)) {
      const sum = this.#sum(entry, unit)
      sum.spent += micros
      sum.outcomes++
    }
  }

  /** Counts what an intent without an outcome has set aside. */
  open(entry: Counted): void {
    for (const [unit, micros] of totals(entry.held)) {
      const sum = this.#sum(entry, unit)
      sum.open += micros
      sum.openCalls++
    }
  }

  /** By the keys in the order they were given, then by unit. */
  rows(): readonly SpendRow[] {
    const rows = [...this.#sums.values()].sort((a, b) => compare([...a.keys, a.unit], [...b.keys, b.unit]))
    return rows.map(({ keys, unit, spent, outcomes, open, openCalls }) => ({
      ...Object.fromEntries(this.#keys.map((key, index) => [key, keys[index] as string | null])),
      unit,
      spent: formatMicros(spent),
      outcomes,
      open: formatMicros(open),
      openCalls,
    }))
  }

  #sum(entry: Counted, unit: string): Sum {
    const keys = this.#keys.map((key) => this.#of(entry, key))
    const name = JSON.stringify([...keys, unit])
    let sum = this.#sums.get(name)
    if (!sum) {
      sum = { keys, unit, spent: 0n, outcomes: 0, open: 0n, openCalls: 0 }
      this.#sums.set(name, sum)
    }
    return sum
  }

  #of(entry: Counted, key: SpendKey): string | null {
    if (key !== 'day' && key !== 'month') return typeof entry[key] === 'string' ? entry[key] : null
    const at = soundTime(entry.at)
    return at === '' ? null : this.#dayOf(at).slice(0, key === 'day' ? 10 : 7)
  }
}

/** What a list of amounts comes to, for each unit. What is no amount, in an entry that was tampered with, is left out. */
function totals(amounts: Entry['spent'] | undefined): Map<string, bigint> {
  const found = new Map<string, bigint>()
  if (!Array.isArray(amounts)) return found
  for (const one of amounts) {
    const { unit, amount } = (one ?? {}) as { unit?: unknown; amount?: unknown }
    if (typeof unit !== 'string' || typeof amount !== 'string') continue
    try {
      found.set(unit, (found.get(unit) ?? 0n) + parseDecimal(amount))
    } catch {
      // `verify` names the entry.
    }
  }
  return found
}

function compare(a: readonly (string | null)[], b: readonly (string | null)[]): number {
  for (const [index, one] of a.entries()) {
    const other = b[index] as string | null
    if (one === other) continue
    if (one === null) return -1
    return other === null || one > other ? 1 : -1
  }
  return 0
}
