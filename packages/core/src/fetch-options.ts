/** What a governed request is asked for: checked, and in values of our own. */
import { ConfigError } from './errors.ts'
import type { FetchOptions } from './gate/sessions.ts'
import { checkKeys } from './options.ts'
import type { Refusal } from './pass.ts'

export interface SecretHeader {
  readonly header: string
  readonly secret: string
  readonly template: string
}

export interface CheckedFetch {
  /** What was given as the URL. */
  readonly text: string
  /** `undefined` when it leads nowhere. */
  readonly url: URL | undefined
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly secretHeaders: readonly SecretHeader[]
  readonly body: string | Uint8Array<ArrayBuffer> | undefined
  readonly signal: AbortSignal | undefined
  /** What is wrong with what may have come from a model: refused, and recorded as such. */
  readonly problem: Refusal | undefined
}

const METHOD = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/
/** A field's name (RFC 9110, section 5.1), in the case that Node gives it. */
const HEADER = /^[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/
/** What only the client may set: where the request goes, and where it ends. */
const RESERVED = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
])
const TEMPLATE = /^((?!\{\{)[\x21-\x7e](?:(?!\{\{)[\t\x20-\x7e])*)?\{\{([A-Za-z0-9_.-]{1,128})\}\}$/

/** Throws `ConfigError` for what a developer has written wrongly; what is wrong with a value is a `problem`. */
export function checkedFetch(to: unknown, options: FetchOptions): CheckedFetch {
  if (typeof to !== 'string' && !(to instanceof URL)) throw invalid('url', 'is a text or a URL')
  checkKeys(options, ['method', 'headers', 'body', 'secretHeaders', 'signal'], 'options of `fetch`')
  const { method = 'GET', signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('signal', 'is an `AbortSignal`')
  const text = String(to)
  const url = urlOf(text)
  const secretHeaders = secretHeadersOf(options.secretHeaders)
  const { body, type } = bodyOf(options.body)
  const { headers, problem } = headersOf(options.headers)
  if (type !== undefined) headers['content-type'] ??= type
  const request = { text, url, method: String(method).toUpperCase(), headers, secretHeaders, body, signal }
  const doubled = secretHeaders.some(({ header }) => Object.hasOwn(headers, header))
  const taken = doubled ? wrong('`headers` names one that a secret goes into') : undefined
  return { ...request, problem: problemOf(request) ?? problem ?? taken }
}

function problemOf({ url, method, body }: Omit<CheckedFetch, 'problem'>): Refusal | undefined {
  if (!url) return wrong('`url` is no http or https URL without a user in it')
  if (!METHOD.test(method)) return wrong('`method` is none that can be asked for')
  if (body !== undefined && /^(GET|HEAD)$/.test(method)) return wrong('a `GET` has no `body`')
  return undefined
}

function urlOf(text: string): URL | undefined {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) return undefined
  // What stands behind the # is never sent; a dot at the end of a host leads to the same host under another name.
  url.hash = ''
  url.hostname = url.hostname.replace(/\.+$/, '')
  return url
}

function headersOf(given: unknown = {}): { headers: Record<string, string>; problem: Refusal | undefined } {
  if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof Headers) {
    throw invalid('headers', 'is an object of texts')
  }
  const headers: Record<string, string> = {}
  let problem: Refusal | undefined
  for (const [name, value] of Object.entries(given)) {
    const header = name.toLowerCase()
    if (!HEADER.test(header) || RESERVED.has(header)) problem ??= wrong('`headers` names one that may not be set')
    else if (typeof value !== 'string') problem ??= wrong('`headers` holds what is no text')
    else if (Object.hasOwn(headers, header)) problem ??= wrong('`headers` names one twice')
    else if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) problem ??= wrong('`headers` holds what no header may')
    else headers[header] = value
  }
  return { headers, problem }
}

function secretHeadersOf(given: unknown = {}): readonly SecretHeader[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid('secretHeaders', 'is an object such as `{ authorization: "Bearer {{stripe_key}}" }`')
  }
  const known = new Set<string>()
  return Object.entries(given).map(([name, template]) => {
    const header = name.toLowerCase()
    if (!HEADER.test(header) || RESERVED.has(header) || known.has(header)) {
      throw invalid('secretHeaders', 'names headers that may be set, each once')
    }
    known.add(header)
    const secret = typeof template === 'string' ? TEMPLATE.exec(template)?.[2] : undefined
    if (secret === undefined) {
      throw invalid(
        `secretHeaders.${header}`,
        'is a text that ends in the name of a secret, such as `Bearer {{stripe_key}}`',
      )
    }
    return { header, secret, template: template as string }
  })
}

/** Bytes are copied: the caller's may change while the call is judged. */
function bodyOf(body: unknown): { body: CheckedFetch['body']; type?: string } {
  if (body === undefined) return { body }
  if (typeof body === 'string') return { body, type: 'text/plain;charset=UTF-8' }
  if (body instanceof URLSearchParams) {
    return { body: body.toString(), type: 'application/x-www-form-urlencoded;charset=UTF-8' }
  }
  if (body instanceof Uint8Array) return { body: Uint8Array.from(body) }
  throw invalid('body', 'is a text, a `Uint8Array` or `URLSearchParams`')
}

function wrong(reason: string): Refusal {
  return { code: 'invalid-arguments', reason, rule: 'fetch' }
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
