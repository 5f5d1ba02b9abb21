import { ConfigError } from '../../errors.ts'
import { nearest } from '../../options.ts'

/** An error about one place of a policy document. `what` ends the sentence that the place begins: `is not a zone`. */
export function problem(at: string, what: string): ConfigError {
  return new ConfigError('invalid-policy', at, `${at === '' ? 'the policy' : `\`${at}\``} ${what}`)
}

/** The place of a member. Keys are the author's own, but an odd one does not get to shape a message. */
export function below(at: string, key: string | number): string {
  const text = String(key)
  const shown = text.length <= 200 && !/[\p{C}`]/u.test(text) ? text : '?'
  return at === '' ? shown : `${at}.${shown}`
}

/** What to write instead of an unknown name: the nearest that is known, or all of them. */
export function hint(name: string, known: readonly string[], others: Readonly<Record<string, string>> = {}): string {
  const near = Object.hasOwn(others, name) ? others[name] : nearest(name, known)
  return near === undefined ? `known are ${known.map((one) => `\`${one}\``).join(', ')}` : `did you mean \`${near}\`?`
}
