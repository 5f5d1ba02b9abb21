/** Reads what scripts answer; throws for what they never answer. */
import { unexpected } from './failures.ts'

/** What a verb's script said (`ok`, `no`, `edge`, …), the store's now, and the rest. */
export interface Reply {
  readonly said: string
  readonly now: number
  readonly rest: readonly unknown[]
}

/** A number alone is the time, of a verb that has nothing more to say. */
export function replyFrom(value: unknown): Reply {
  if (!Array.isArray(value)) return { said: 'ok', now: whole(value), rest: [] }
  const [said, now, ...rest] = list(value)
  return { said: text(said), now: whole(now), rest }
}

export function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw unexpected()
  return value
}

export function text(value: unknown): string {
  if (typeof value !== 'string') throw unexpected()
  return value
}

export function maybe<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === null || value === undefined ? undefined : read(value)
}

/** A whole number, as a number or as text: some clients answer all numbers so. */
export function whole(value: unknown): number {
  const number =
    typeof value === 'number' ? value : typeof value === 'string' && value !== '' ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(number)) throw unexpected()
  return number
}

export function micros(value: unknown): bigint {
  if (typeof value !== 'string' || !/^\d{1,19}$/.test(value)) throw unexpected()
  return BigInt(value)
}

export function texts(value: unknown): readonly string[] {
  return list(value).map(text)
}

/** A hash: names and values in turn. Nothing in it: there is none. */
export function hash(value: unknown): ReadonlyMap<string, string> | undefined {
  const flat = texts(value)
  if (flat.length === 0) return undefined
  const fields = new Map<string, string>()
  for (let place = 0; place < flat.length; place += 2) fields.set(flat[place] as string, text(flat[place + 1]))
  return fields
}

export function json<T>(value: unknown): T {
  try {
    return JSON.parse(text(value)) as T
  } catch {
    throw unexpected()
  }
}
