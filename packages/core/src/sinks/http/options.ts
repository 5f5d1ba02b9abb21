/** The options of `httpSink`: every one checked by name, with its default. */
import { type Clock, systemClock } from '../../clock.ts'
import { type Duration, parseDuration } from '../../duration.ts'
import { namesPrivatePlace } from '../../egress/address.ts'
import type { FetchFunction, LookupNames } from '../../egress/transport.ts'
import { ConfigError } from '../../errors.ts'
import { namesHost, parseHost } from '../../hosts.ts'
import { checkKeys } from '../../options.ts'
import { parseSecret, type SigningSecret } from '../../standard-webhooks.ts'
import type { Encoder } from '../encoders/encoder.ts'
import { jsonl } from '../encoders/jsonl.ts'
import { checkHeaders, type HeaderSource } from './headers.ts'
import type { BatchSize } from './queue.ts'

/** What happens to an entry that does not fit into the queue any more. */
export type WhenFull = 'refuse' | 'drop-oldest' | 'drop-newest'

export interface HttpSinkOptions {
  /** Where entries are posted: `https`, without a user or a password; tokens go into `headers`. */
  readonly url: string
  /** `true` unless given: no call runs before its entry is in the spool or, without one, with the receiver. */
  readonly required?: boolean
  /** Names the sink in `health()` and its files in the spool; `http` unless given. */
  readonly name?: string
  /** How the receiver wants entries; `jsonl()` unless given. */
  readonly encoder?: Encoder
  /** Sent with every request; a function is asked each time. Never shown. */
  readonly headers?: HeaderSource
  /** Signs every request as Standard Webhooks has it: `whsec_…` or `whsk_…`; several while one is changed for another. */
  readonly secret?: string | readonly string[]
  /** A folder where entries wait until the receiver has taken them, whatever becomes of the process. */
  readonly spool?: string
  /** Sends each write before it is accepted: for what is frozen between requests. Not with a `spool`. */
  readonly immediate?: boolean
  /** How much goes into a request, and how long an entry waits for others: 100 entries, 1 MB before compression, 1 s. */
  readonly batch?: { readonly entries?: number; readonly bytes?: number; readonly every?: Duration }
  /** Bodies of at least so many bytes are compressed: 1024; `false` for none. */
  readonly gzip?: number | false
  /** How many bytes of entries may wait: 64 MB in memory, 1 GB in a spool. */
  readonly queue?: number
  /** `refuse` for a required sink, which can have no other; `drop-oldest` otherwise. */
  readonly whenFull?: WhenFull
  /** How long to wait before sending again: at most 1 s at first, twice that each time, never more than 1 min. */
  readonly backoff?: { readonly first?: Duration; readonly most?: Duration }
  /** How long the receiver may take to answer: 10 s. */
  readonly timeout?: Duration
  /** How long `flush`, `close` and a write with `immediate` try before they give up: 4 s. */
  readonly deadline?: Duration
  /** Private hosts that are meant, such as `127.0.0.1:8088` or `splunk.internal:8088`. Only they may have `http`. */
  readonly privateHosts?: readonly string[]
  /** Resolves names; the system's resolver unless given. */
  readonly lookup?: LookupNames
  /** Sends requests; a client of Haldir's own unless given, which connects to what was checked. */
  readonly fetch?: FetchFunction
  readonly clock?: Clock
  /** From 0 to below 1, for jitter. */
  readonly random?: () => number
}

export interface CheckedHttp {
  readonly url: URL
  readonly required: boolean
  readonly name: string
  readonly encoder: Encoder
  readonly headers: HeaderSource
  readonly secrets: readonly SigningSecret[]
  readonly spool: string | undefined
  readonly immediate: boolean
  readonly batch: BatchSize
  readonly everyMs: number
  readonly gzip: number
  readonly mostBytes: number
  readonly whenFull: WhenFull
  readonly backoff: { readonly firstMs: number; readonly mostMs: number }
  readonly timeoutMs: number
  readonly deadlineMs: number
  readonly privateHosts: readonly string[]
  readonly lookup: LookupNames | undefined
  readonly fetch: FetchFunction | undefined
  readonly clock: Clock
  readonly random: () => number
}

const KEYS = [
  'url',
  'required',
  'name',
  'encoder',
  'headers',
  'secret',
  'spool',
  'immediate',
  'batch',
  'gzip',
  'queue',
  'whenFull',
  'backoff',
  'timeout',
  'deadline',
  'privateHosts',
  'lookup',
  'fetch',
  'clock',
  'random',
]

/** Throws `ConfigError`, naming the option. */
export function checkHttpOptions(options: HttpSinkOptions): CheckedHttp {
  checkKeys(options, KEYS, 'options of `httpSink`')
  const { required = true, name = 'http', encoder = jsonl(), headers = {}, spool } = options
  const { batch = {}, gzip = 1_024, backoff = {}, lookup, fetch, clock = systemClock, random = Math.random } = options
  if (typeof required !== 'boolean') throw invalid('required', 'is `true` or `false`')
  if (typeof name !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    throw invalid('name', 'is 1 to 64 letters, digits, `_` or `-`')
  }
  if (typeof encoder?.encode !== 'function' || typeof encoder.contentType !== 'string') {
    throw invalid(
      'encoder',
      'is one of `@haldir/core/sinks/encoders`, or has `encode` and a `contentType` as they have',
    )
  }
  if (spool !== undefined && (typeof spool !== 'string' || spool === '')) throw invalid('spool', 'names a folder')
  // Without a spool, what a required sink has accepted must be with the receiver: there is nowhere else to keep it.
  const { immediate = required && spool === undefined } = options
  if (typeof immediate !== 'boolean') throw invalid('immediate', 'is `true` or `false`')
  if (immediate && spool !== undefined)
    throw invalid('immediate', 'goes without a `spool`: one of them accepts the entry')
  if (!immediate && required && spool === undefined) {
    throw invalid('immediate', 'is `true` for a required sink without a `spool`')
  }
  const { whenFull = required ? 'refuse' : 'drop-oldest' } = options
  if (!['refuse', 'drop-oldest', 'drop-newest'].includes(whenFull)) {
    throw invalid('whenFull', 'is `refuse`, `drop-oldest` or `drop-newest`')
  }
  if (required && whenFull !== 'refuse') throw invalid('whenFull', 'is `refuse` for a required sink: it loses nothing')
  for (const [option, value] of Object.entries({ lookup, fetch, random })) {
    if (value !== undefined && typeof value !== 'function') throw invalid(option, 'is a function')
  }
  checkKeys(batch, ['entries', 'bytes', 'every'], 'options of `batch`', 'batch')
  checkKeys(backoff, ['first', 'most'], 'options of `backoff`', 'backoff')
  const most = encoder.most?.entries ?? 10_000
  const privateHosts = checkedHosts(options.privateHosts)
  return {
    url: checkedUrl(options.url, privateHosts),
    required,
    name,
    encoder,
    headers: typeof headers === 'function' ? headers : checkHeaders(headers, 'headers'),
    secrets: options.secret === undefined ? [] : checkedSecrets(options.secret),
    spool,
    immediate,
    batch: {
      entries: whole(batch.entries ?? Math.min(100, most), 'batch.entries', 1, most),
      bytes: whole(batch.bytes ?? 1_000_000, 'batch.bytes', 1_000, 16_000_000),
    },
    everyMs: parseDuration(batch.every ?? '1s', 'batch.every'),
    gzip: gzip === false ? Number.POSITIVE_INFINITY : whole(gzip, 'gzip', 0, 16_000_000),
    mostBytes: whole(options.queue ?? (spool ? 1024 ** 3 : 64 * 1024 ** 2), 'queue', 10_000, 1024 ** 4),
    whenFull,
    backoff: {
      firstMs: parseDuration(backoff.first ?? '1s', 'backoff.first'),
      mostMs: parseDuration(backoff.most ?? '1m', 'backoff.most'),
    },
    timeoutMs: parseDuration(options.timeout ?? '10s', 'timeout'),
    deadlineMs: parseDuration(options.deadline ?? '4s', 'deadline'),
    privateHosts,
    lookup,
    fetch,
    clock,
    random,
  }
}

function checkedUrl(text: unknown, privateHosts: readonly string[]): URL {
  const url = typeof text === 'string' ? URL.parse(text) : null
  if (!url || !/^https?:$/.test(url.protocol)) throw invalid('url', 'is an `https` URL')
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    throw invalid('url', 'has no user, no password and no `#`; a token goes into `headers`')
  }
  if (namesHost(privateHosts, url)) return url
  if (namesPrivatePlace(url)) throw invalid('url', 'leads to a private host, which `privateHosts` does not name')
  if (url.protocol === 'http:') throw invalid('url', 'is `https`, except for a host in `privateHosts`')
  return url
}

function checkedHosts(hosts: unknown = []): readonly string[] {
  if (!Array.isArray(hosts)) throw invalid('privateHosts', 'is a list of hosts')
  return hosts.map((host, index) => {
    const parsed = parseHost(host)
    if (parsed === undefined) throw invalid(`privateHosts.${index}`, 'is a host such as `splunk.internal:8088`')
    return parsed
  })
}

function checkedSecrets(secret: unknown): readonly SigningSecret[] {
  if (!Array.isArray(secret)) return [parseSecret(secret, 'secret')]
  if (secret.length === 0 || secret.length > 8) throw invalid('secret', 'is one secret, or a list of 1 to 8')
  return secret.map((one, index) => parseSecret(one, `secret.${index}`))
}

function whole(value: unknown, path: string, least: number, most: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return value as number
  throw invalid(path, `is a whole number from ${least} to ${most}`)
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
