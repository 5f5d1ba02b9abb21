import { ConfigError } from './errors.ts'

/** Throws for a key that is not known, naming the nearest one that is: a misspelt option must not be ignored. */
export function checkKeys(options: unknown, known: readonly string[], what: string, below = ''): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigError('invalid-option', below, `the ${what} are an object`)
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const near = nearest(key, known)
    const hint =
      near === undefined ? `known are ${known.map((name) => `\`${name}\``).join(', ')}` : `did you mean \`${near}\`?`
    throw new ConfigError(
      'invalid-option',
      below === '' ? key : `${below}.${key}`,
      `\`${key}\` is not among the ${what}; ${hint}`,
    )
  }
}

/** Throws for an option that is not as it must be: `path` names it, `shape` says how it is. */
export function check(path: string, sound: unknown, shape: string): void {
  if (!sound) throw new ConfigError('invalid-option', path, `\`${path}\` ${shape}`)
}

/** The known name that a misspelt one is at most two edits away from. */
export function nearest(key: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = 3
  for (const name of known) {
    const distance = edits(key.toLowerCase(), name.toLowerCase())
    if (distance < least) [best, least] = [name, distance]
  }
  return best
}

/** Levenshtein distance, one row at a time. */
function edits(a: string, b: string): number {
  if (a.length > 64) return Number.POSITIVE_INFINITY
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
