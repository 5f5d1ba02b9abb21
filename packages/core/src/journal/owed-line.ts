/** What is owed as one line of JSON: amounts as decimal strings. */
import type { Charge, MeterKey } from '../stores/store.ts'
import { isZone, WINDOWS, type Window } from '../stores/window.ts'
import type { Owed } from './journal.ts'

export function lineOf({ call, end, spent }: Owed): string {
  return `${JSON.stringify({ call, end, ...(spent && { spent: spent.map(chargeText) }) })}\n`
}

export function paidLine(call: string): string {
  return `${JSON.stringify({ paid: call })}\n`
}

function chargeText({ meter: { limit, rate, ...meter }, micros }: Charge): object {
  return {
    meter: {
      ...meter,
      ...(limit !== undefined && { limit: String(limit) }),
      ...(rate && { rate: { limit: String(rate.limit), periodMs: rate.periodMs, burst: String(rate.burst) } }),
    },
    micros: String(micros),
  }
}

/** Reads a line. `undefined`: it is none, such as one that was not finished when its process died. */
export function readLine(line: string): Owed | { readonly paid: string } | undefined {
  try {
    const read = JSON.parse(line) as { paid?: unknown; call?: unknown; end?: unknown; spent?: unknown }
    if (typeof read.paid === 'string') return { paid: read.paid }
    const { call, end, spent } = read
    if (typeof call !== 'string' || (end !== 'settle' && end !== 'cancel')) return undefined
    if (spent === undefined) return { call, end }
    return Array.isArray(spent) ? { call, end, spent: spent.map(chargeFrom) } : undefined
  } catch {
    return undefined
  }
}

/** Throws when it is none. */
function chargeFrom(text: { meter?: Record<string, unknown>; micros?: unknown }): Charge {
  const { key, window, zone, limit, rate } = text.meter ?? {}
  const sound = typeof key === 'string' && WINDOWS.includes(window as Window) && (zone === undefined || isZone(zone))
  if (!sound) throw new TypeError('not a meter')
  const meter: MeterKey = {
    key,
    window: window as Window,
    ...(zone !== undefined && { zone: zone as string }),
    ...(limit !== undefined && { limit: wholeFrom(limit) }),
    ...(rate !== undefined && { rate: rateFrom(rate as Record<string, unknown>) }),
  }
  return { meter, micros: wholeFrom(text.micros) }
}

function rateFrom({ limit, periodMs, burst }: Record<string, unknown>) {
  if (typeof periodMs !== 'number' || !Number.isSafeInteger(periodMs)) throw new TypeError('not a period')
  return { limit: wholeFrom(limit), periodMs, burst: wholeFrom(burst) }
}

function wholeFrom(text: unknown): bigint {
  if (typeof text !== 'string' || !/^\d{1,30}$/.test(text)) throw new TypeError('not an amount')
  return BigInt(text)
}
