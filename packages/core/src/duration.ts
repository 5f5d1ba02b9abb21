import { ConfigError } from './errors.ts'

/** A length of time: `'30s'`, `'5m'`, `'1h'`, `'7d'`, `'250ms'`, or a number of milliseconds. */
export type Duration = string | number

const DAY = 86_400_000
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: DAY }
const LONGEST = 366 * DAY

/** Milliseconds, at least 1 and at most `longest`, 366 days unless given. Throws `ConfigError` that names `path`. */
export function parseDuration(value: Duration, path: string, longest: number = LONGEST): number {
  const [, count, unit] = typeof value === 'string' ? (/^(\d{1,12})(ms|s|m|h|d)$/.exec(value) ?? []) : []
  const ms = typeof value === 'number' ? value : Number(count) * (UNITS[unit ?? ''] ?? Number.NaN)
  if (Number.isInteger(ms) && ms >= 1 && ms <= longest) return ms
  const shape = `a duration such as \`'30s'\`, \`'5m'\`, \`'1h'\` or \`'7d'\`, or whole milliseconds, up to ${longest / DAY} days`
  throw new ConfigError('invalid-option', path, `\`${path}\` is ${shape}`)
}
