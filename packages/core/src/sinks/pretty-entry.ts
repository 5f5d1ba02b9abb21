/** An entry as the pretty sink reads it from its line: loosely, for it must show what it does not know, too. */
import { parseDecimal } from '../money.ts'

export interface SeenAmount {
  readonly unit: string
  readonly micros: bigint
}

/** What stands in the line under the same names; of the wrong type it is absent. */
export interface SeenEntry {
  readonly at: string
  readonly type: string
  readonly agent?: string
  readonly session?: string
  readonly chain: readonly string[]
  readonly call?: string
  readonly tool?: string
  readonly code?: string
  readonly held: readonly SeenAmount[]
  readonly spent: readonly SeenAmount[]
  readonly enforced: boolean
  readonly durationMs?: number
  readonly data: Readonly<Record<string, unknown>>
}

/** `undefined`: no entry at all. */
export function readEntry(line: string): SeenEntry | undefined {
  let raw: unknown
  try {
    raw = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!isObject(raw) || typeof raw.type !== 'string' || typeof raw.at !== 'string') return undefined
  const { at, type, chain, held, spent, enforced, durationMs, data } = raw
  const texts: Partial<Record<'agent' | 'session' | 'call' | 'tool' | 'code', string>> = {}
  for (const key of ['agent', 'session', 'call', 'tool', 'code'] as const) {
    if (typeof raw[key] === 'string') texts[key] = raw[key]
  }
  return {
    ...texts,
    at,
    type,
    chain: textsOf(chain),
    held: amountsOf(held),
    spent: amountsOf(spent),
    enforced: enforced !== false,
    ...(typeof durationMs === 'number' ? { durationMs } : {}),
    data: isObject(data) ? data : {},
  }
}

/** Amounts as entries write them. What is none is left out: it is shown, and nothing rests on it. */
export function amountsOf(list: unknown): readonly SeenAmount[] {
  if (!Array.isArray(list)) return []
  return list.flatMap((one) => {
    if (!isObject(one) || typeof one.unit !== 'string' || typeof one.amount !== 'string') return []
    const micros = microsOf(one.amount)
    return micros === undefined ? [] : [{ unit: one.unit, micros }]
  })
}

export function microsOf(decimal: string): bigint | undefined {
  try {
    return parseDecimal(decimal)
  } catch {
    return undefined
  }
}

export function textsOf(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.filter((one) => typeof one === 'string') : []
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
