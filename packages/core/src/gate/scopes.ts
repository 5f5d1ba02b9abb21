/**
 * Scopes: what a session may do. Segments are joined by `:`; a granted scope covers a required one when its segments
 * are a prefix of it, `*` covers one segment and a trailing `*` one or more. `spend` is reserved: it always says how
 * much, and is read apart from the others.
 */
import { ConfigError } from '../errors.ts'
import { parseDecimal } from '../money.ts'
import type { Window } from '../stores/window.ts'
import { isWindow, WINDOWS } from '../stores/window.ts'

const SEGMENT = /^[A-Za-z0-9_.-]+$/
const CURRENCY = /^[A-Z]{3}$/

/** What a list of granted scopes means, worked out once per session. */
export interface Grant {
  /** The scopes as they were written. */
  readonly scopes: readonly string[]
  /** The granted scopes other than `spend`, as segments. */
  readonly patterns: readonly (readonly string[])[]
  /** The budgets the `spend` scopes create. */
  readonly budgets: readonly Budget[]
  /** Whether anything may be spent at all. */
  readonly spend: boolean
  /** `spend:*`: currencies without a budget are not limited. */
  readonly unlimited: boolean
}

/** One limit on spending: `spend:50:USD/day` is `{ unit: 'USD', limit: 50000000n, window: 'day' }`. */
export interface Budget {
  readonly unit: string
  readonly limit: bigint
  readonly window: Window
  /** As it was written. */
  readonly scope: string
}

/** Reads the scopes of a session. Throws `ConfigError` with code `invalid-scope`, naming the field. */
export function parseGrant(scopes: readonly string[], path = 'scopes'): Grant {
  if (!Array.isArray(scopes)) throw invalid(path, `\`${path}\` is an array of scopes`)
  const patterns: string[][] = []
  const budgets: Budget[] = []
  const limited = new Map<string, string>()
  let unlimited = false
  for (const [index, scope] of scopes.entries()) {
    const at = `${path}.${index}`
    const segments = segmentsOf(scope, at)
    if (segments[0] !== 'spend') patterns.push(segments)
    else if (scope === 'spend:*') unlimited = true
    else {
      const budget = parseBudget(segments, at, scope)
      const name = `${budget.unit}/${budget.window}`
      const other = limited.get(name)
      if (other) throw invalid(at, `\`${at}\` limits the same currency and window as \`${other}\``)
      limited.set(name, at)
      budgets.push(budget)
    }
  }
  return { scopes: Object.freeze([...scopes]), patterns, budgets, spend: unlimited || budgets.length > 0, unlimited }
}

/** A scope that a tool or a secret requires, read once when it is named. Throws `ConfigError`. */
export function parseRequired(scope: string, path = 'scope'): readonly string[] {
  const segments = segmentsOf(scope, path)
  if (segments.includes('*')) throw invalid(path, `\`${path}\` names one scope; \`*\` is for what a session is granted`)
  if (segments[0] === 'spend' && segments.length > 1) {
    throw invalid(path, `\`${path}\` requires \`spend\` alone; how much a call spends is its \`cost\``)
  }
  return segments
}

/** Whether a grant covers a required scope. Pure. */
export function covers(grant: Grant, required: readonly string[]): boolean {
  // Invariant: a wildcard never grants `spend`; only a `spend:…` scope does.
  if (required[0] === 'spend') return grant.spend
  return grant.patterns.some((pattern) => matches(pattern, required))
}

function matches(pattern: readonly string[], required: readonly string[]): boolean {
  if (pattern.length > required.length) return false
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] !== '*' && pattern[i] !== required[i]) return false
  }
  return true
}

function segmentsOf(scope: unknown, path: string): string[] {
  if (typeof scope !== 'string') throw invalid(path, `\`${path}\` is a string such as \`gmail:read\``)
  if (scope.length > 256) throw invalid(path, `\`${path}\` is longer than 256 characters`)
  const segments = scope.split(':')
  // A spend scope's last segment may carry a window, `USD/day`, which is checked apart.
  const plain = segments[0] === 'spend' ? segments.slice(0, 1) : segments
  if (!plain.every((segment) => segment === '*' || SEGMENT.test(segment))) {
    throw invalid(path, `\`${path}\` is segments of letters, digits, \`_\`, \`.\`, \`-\` or \`*\`, joined by \`:\``)
  }
  return segments
}

function parseBudget(segments: readonly string[], path: string, scope: string): Budget {
  const [, limit = '', tail = 'USD', ...rest] = segments
  const [unit = '', window = 'total', ...more] = tail.split('/')
  const shape = `\`${path}\` is \`spend:50\`, \`spend:50:EUR\`, \`spend:50:USD/day\`, or \`spend:*\` for no limit`
  if (rest.length > 0 || more.length > 0 || !CURRENCY.test(unit)) throw invalid(path, shape)
  if (!isWindow(window) || tail.endsWith('/total')) {
    throw invalid(path, `\`${path}\` names a window other than ${WINDOWS.filter((w) => w !== 'total').join(', ')}`)
  }
  try {
    return { unit, limit: parseDecimal(limit), window, scope }
  } catch {
    throw invalid(path, shape)
  }
}

function invalid(path: string, message: string): ConfigError {
  return new ConfigError('invalid-scope', path, message)
}
