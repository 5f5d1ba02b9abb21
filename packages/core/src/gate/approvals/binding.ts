/** What a yes is for, as one hash, and what people see of it. */
import { hash } from 'node:crypto'
import { canonical } from '../../call.ts'
import { printableLines } from '../../printable.ts'

/** Everything that must be the same when the approval is used. */
export interface Bound {
  readonly session: string
  readonly chain: readonly string[]
  readonly tool: string
  readonly toolHash: string | undefined
  readonly digestKey: string
  readonly digest: string
  /** Hash of the rules that ask. */
  readonly rules: string
}

/** Invariant: session and chain, tool and its definition, arguments and asking rules; of any other, it is another hash. */
export function bindingOf({ session, chain, tool, toolHash, digestKey, digest, rules }: Bound): string {
  const parts = ['haldir.approval.v1', session, chain, tool, toolHash ?? null, digestKey, digest, rules]
  return hash('sha256', JSON.stringify(parts), 'hex')
}

/** The canonical text of the arguments that a grant holds to; what is absent is told apart from every value. */
export function grantText(args: unknown, paths: readonly string[]): string {
  return `grant ${canonical(paths.map((path) => [path, ...pick(args, path.split('.'))]))}`
}

function pick(value: unknown, [key, ...rest]: readonly string[]): readonly unknown[] {
  if (key === undefined) return value === undefined ? [] : [value]
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return []
  return pick((value as Record<string, unknown>)[key], rest)
}

/** A snapshot as plain JSON data. */
export function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Date) return value.toISOString()
  if (value instanceof URL) return value.href
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

/** The same for people: whole, and nothing in it acts, hides or turns round. */
export function argsText(args: unknown): string {
  return args === undefined ? '(no arguments)' : printableLines(JSON.stringify(args, null, 2))
}

/** Reads what `canonical` has written. Throws for anything else. */
export function fromCanonical(text: string): unknown {
  return text === '' ? undefined : revived(JSON.parse(text))
}

function revived(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(revived)
  const { $haldir: tag, v } = value as { $haldir?: unknown; v?: unknown }
  if (tag === 'date') return new Date(String(v))
  if (tag === 'url') return new URL(String(v))
  if (tag === 'bigint') return BigInt(String(v))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revived(item)]))
}
