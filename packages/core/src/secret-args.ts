/**
 * `secretArgs`: secrets that stand in the arguments of a tool one does not own. The developer names path and secret; a
 * model writes the placeholder there, or nothing, and never sees what the tool gets.
 */
import { ConfigError } from './errors.ts'
import type { Refusal } from './pass.ts'

/** A secret, and the path of the argument that it takes the place of. */
export interface SecretArg {
  readonly path: readonly string[]
  readonly name: string
}

/** What a model may write where a secret goes. */
const PLACEHOLDER = '{{secret}}'

const KEY = /^[A-Za-z0-9_$-]{1,128}$/
const NAME = /^[A-Za-z0-9_.-]{1,128}$/

/** Throws `ConfigError` for a path that is none, or that another one leads through. */
export function parseSecretArgs(given: unknown = {}): readonly SecretArg[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid('secretArgs', 'is an object: a secret for each path, such as `headers.authorization`')
  }
  const parsed = Object.entries(given).map(([text, name]): SecretArg => {
    const path = text.split('.')
    const sound = path.every((key) => KEY.test(key) && key !== '__proto__')
    if (!sound)
      throw invalid('secretArgs', 'names paths by keys with dots between them, such as `headers.authorization`')
    if (typeof name !== 'string' || !NAME.test(name)) throw invalid(`secretArgs.${text}`, 'is the name of a secret')
    return { path, name }
  })
  for (const one of parsed) {
    for (const other of parsed) {
      if (one === other || !one.path.every((key, level) => key === other.path[level])) continue
      throw invalid(`secretArgs.${other.path.join('.')}`, 'leads through another path of `secretArgs`')
    }
  }
  return parsed
}

/**
 * What is wrong with where the arguments have the placeholder, if anything: the value at a path is the placeholder, or
 * there is none. A text that is the placeholder elsewhere is refused: someone wants a secret where none goes. In longer
 * texts it means nothing.
 */
export function misplaced(args: unknown, secretArgs: readonly SecretArg[]): Refusal | undefined {
  const places = new Set<string>()
  for (const { path } of secretArgs) {
    const text = path.join('.')
    places.add(text)
    let at = args
    for (const [level, key] of path.entries()) {
      if (at !== undefined && !isPlain(at)) {
        return refusal(`the arguments hold no object at \`${path.slice(0, level).join('.') || '(root)'}\``)
      }
      at = at !== undefined && Object.hasOwn(at, key) ? at[key] : undefined
    }
    if (at !== undefined && at !== PLACEHOLDER) {
      return refusal(`\`${text}\` is filled in by the application: leave it out, or write \`${PLACEHOLDER}\``)
    }
  }
  return strayIn(args, '', places) ? refusal(`\`${PLACEHOLDER}\` stands where no secret goes`) : undefined
}

/** Puts the secrets in a copy of the arguments that is the tool's alone; answers it. */
export function insertSecrets(
  args: unknown,
  secretArgs: readonly SecretArg[],
  secretOf: (name: string) => string | undefined,
): unknown {
  const root = args === undefined ? {} : args
  for (const { path, name } of secretArgs) {
    const value = secretOf(name)
    const holder = value === undefined ? undefined : holderOf(root, path)
    const key = path.at(-1) as string
    // Invariant: what was judged is what runs: nothing is replaced but the placeholder.
    if (holder && (!Object.hasOwn(holder, key) || holder[key] === PLACEHOLDER)) holder[key] = value
  }
  return root
}

/** The object that the last key of a path belongs to, made where there is none yet. */
function holderOf(root: unknown, path: readonly string[]): Record<string, unknown> | undefined {
  let at = root
  for (const key of path.slice(0, -1)) {
    if (!isPlain(at)) return undefined
    if (!Object.hasOwn(at, key)) at[key] = {}
    at = at[key]
  }
  return isPlain(at) ? at : undefined
}

/** Snapshots are at most 64 levels deep. A key with a dot in it spells no path that was named. */
function strayIn(value: unknown, path: string, places: ReadonlySet<string>): boolean {
  if (value === PLACEHOLDER) return !places.has(path)
  if (Array.isArray(value)) return value.some((item) => strayIn(item, '[]', places))
  if (!isPlain(value)) return false
  return Object.entries(value).some(([key, item]) => {
    const below = key.includes('.') || key === '' || path === '[]' ? '[]' : path === '' ? key : `${path}.${key}`
    return strayIn(item, below, places)
  })
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function refusal(reason: string): Refusal {
  return { code: 'invalid-arguments', reason, rule: 'secretArgs' }
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
