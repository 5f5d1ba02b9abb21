/** Headers of one's own: where tokens go. What is wrong with them is said without showing any. */
import type { MaybePromise } from '../../clock.ts'
import { ConfigError } from '../../errors.ts'

export type Headers = Readonly<Record<string, string>>

/** A function is asked before every request, so a token may be one that ends. */
export type HeaderSource = Headers | (() => MaybePromise<Headers>)

/** A field's name (RFC 9110, section 5.1). */
const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/
const VALUE = /^[\t\x20-\x7e]{0,8192}$/
/** What says where a request goes, where it ends and what it is. */
const RESERVED =
  /^(host|connection|content-(length|type|encoding)|transfer-encoding|te|trailer|upgrade|expect|webhook-.*)$/

/** Names in lower case. Throws `ConfigError` that names the header, if it has a name that can be shown. */
export function checkHeaders(headers: unknown, path: string): Headers {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) throw invalid(path, 'is an object')
  const checked: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (!NAME.test(name)) throw invalid(path, 'has names of letters, digits and `-`')
    const key = name.toLowerCase()
    if (RESERVED.test(key)) throw invalid(`${path}.${key}`, 'is set by the sink')
    if (typeof value !== 'string' || !VALUE.test(value))
      throw invalid(`${path}.${key}`, 'is a text that a header can have')
    checked[key] = value
  }
  return checked
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
