/** Meters and what is charged on them, as the functions in the database take and answer them. */
import type { Admission, AdmitRequest, Charge, MeterKey, MeterState, Settlement } from '@haldir/core/store'
import type { Answer } from './verbs.ts'

/** One admit, reserve, settle or cancel, as `act` takes it. */
export type Operation = Readonly<Record<string, unknown>>

const MOST = 9_223_372_036_854_775_807n

/** What `admit_one` takes, of an admit with one charge on a total of its session and nothing else. */
export function plainly(operation: Operation): readonly unknown[] | undefined {
  const { do: verb, call, session, charges, lease, once, memo = null, consent } = operation
  if (verb !== 'admit' || once !== undefined || consent !== undefined) return undefined
  const [charge, another] = charges as readonly Answer[]
  if (!charge || another || charge.w !== undefined || charge.limit !== undefined || charge.rate) return undefined
  if (BigInt(charge.m as string) > MOST) return undefined
  // On its way as plain text half a surrogate pair would become another character. JSON keeps it, and is refused.
  for (const text of [call, session, charge.s] as string[]) if (!text.isWellFormed()) return undefined
  return [call, session, charge.s, charge.m, lease, memo]
}

/** `s`: the row but for the name of its window; `w` and `z`: what names it. Amounts travel as text. */
function slotOf({ key, window, zone, limit, rate }: MeterKey): Record<string, unknown> {
  if (rate) {
    return {
      s: `~|${key}`,
      rate: { limit: String(rate.limit), period: String(rate.periodMs), burst: String(rate.burst) },
    }
  }
  return {
    s: `|${key}`,
    ...(window === 'total' ? {} : { w: window, ...(zone === undefined || zone === 'UTC' ? {} : { z: zone }) }),
    ...(limit === undefined ? {} : { limit: String(limit) }),
  }
}

function chargesOf(charges: readonly Charge[]): readonly unknown[] {
  return charges.map(({ meter, micros }) => ({ ...slotOf(meter), m: String(micros) }))
}

export function takeOf(request: AdmitRequest, verb: 'admit' | 'reserve'): Operation {
  const { call, session, charges, leaseMs, once, memo, consent } = request
  return {
    do: verb,
    call,
    session,
    charges: chargesOf(charges),
    lease: Math.trunc(leaseMs),
    ...(once === undefined ? {} : { once }),
    // JSON text within JSON: text of a database holds no NUL.
    ...(memo === undefined ? {} : { memo: JSON.stringify(memo) }),
    ...(consent && { consent }),
  }
}

export function settleOf(call: string, spent: readonly Charge[] | undefined): Operation {
  return { do: 'settle', call, ...(spent && { charges: chargesOf(spent) }) }
}

export function admissionFrom({ charges }: AdmitRequest, answer: Answer): Admission {
  if (answer.ok === true) return { ok: true, at: answer.at as number }
  const { refused, charge, retryMs, rule } = answer
  const meter = typeof charge === 'number' ? charges[charge]?.meter.key : undefined
  return {
    ok: false,
    refused: refused as 'unavailable',
    ...(meter === undefined ? {} : { meter }),
    ...(retryMs === undefined ? {} : { retryMs: retryMs as number }),
    ...(typeof rule === 'string' ? { rule } : {}),
  }
}

export function settlementFrom({ state, overrun = false }: Answer): Settlement {
  return { state: state as Settlement['state'], overrun: overrun as boolean }
}

export function slotsOf(keys: readonly MeterKey[]): readonly unknown[] {
  return keys.map(slotOf)
}

export function stateFrom({ limit, rate }: MeterKey, kept: Answer | null): MeterState | undefined {
  if (rate) return { limit: rate.burst, used: BigInt((kept?.used as string) ?? 0), held: 0n }
  if (kept) {
    const { used, held } = kept as { used: string; held: string }
    return { limit: limit ?? BigInt(kept.limit as string), used: BigInt(used), held: BigInt(held) }
  }
  return limit === undefined ? undefined : { limit, used: 0n, held: 0n }
}
