/** Tells a URL of signals, by messages signed as Standard Webhooks. */
import { background } from '../clock.ts'
import { type Duration, parseDuration } from '../duration.ts'
import { namesPrivatePlace } from '../egress/address.ts'
import { type FetchFunction, type LookupNames, Transport } from '../egress/transport.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import { namesHost, parseHost } from '../hosts.ts'
import { check, checkKeys } from '../options.ts'
import { parseSecret, type SigningSecret, signedHeaders } from '../standard-webhooks.ts'
import type { Notice, Notifier } from './notifier.ts'

export interface WebhookNotifierOptions {
  /** Who is told: an `https` URL of the public internet, or one of `privateHosts`. */
  readonly url: string
  /**
   * What messages are signed with: `whsec_` (24 to 64 bytes) or `whsk_` (Ed25519), in base64. Every message carries a
   * signature by each.
   */
  readonly secrets: readonly string[]
  /** Places that are private, and meant: `alerts.internal`, `127.0.0.1:8080`. All others are refused. */
  readonly privateHosts?: readonly string[]
  /** Named where it fails; `webhook` unless given. */
  readonly name?: string
  /** How long the receiver may take to answer; 10 seconds unless given. */
  readonly timeout?: Duration
  /** Sends the messages instead of Haldir's own client. It must follow no redirect. */
  readonly fetch?: FetchFunction
  /** The addresses of a name; the machine's resolver unless given. */
  readonly lookup?: LookupNames
}

const KEYS = ['url', 'secrets', 'privateHosts', 'name', 'timeout', 'fetch', 'lookup']
/** Answers that say that the message will never be taken, however often it is sent. */
const FINAL = (status: number) => status >= 300 && status < 500 && ![408, 425, 429].includes(status)

/** Throws `ConfigError`, naming the option and never its value. */
export function webhookNotifier(options: WebhookNotifierOptions): Notifier {
  checkKeys(options, KEYS, 'options of `webhookNotifier`')
  const { name = 'webhook', timeout = '10s', privateHosts = [], fetch, lookup } = options
  check('name', typeof name === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(name), 'is 1 to 64 letters, digits or `_.-`')
  check('fetch', fetch === undefined || typeof fetch === 'function', 'is a function')
  check('lookup', lookup === undefined || typeof lookup === 'function', 'is a function')
  check('privateHosts', Array.isArray(privateHosts), 'is a list of hosts')
  const hosts = privateHosts.map((host, index) => {
    const parsed = parseHost(host)
    check(`privateHosts.${index}`, parsed !== undefined, 'is a host such as `alerts.internal:8443`')
    return parsed as string
  })
  const secrets = checkedSecrets(options.secrets)
  const timeoutMs = parseDuration(timeout, 'timeout')
  const url = checkedUrl(options.url, hosts)
  let transport: Transport | undefined
  return {
    name,
    async notify(notice, { clock, signal }) {
      const stop = new AbortController()
      const late = Promise.withResolvers<never>()
      late.promise.catch(() => {})
      const give = (why: string) => {
        // Whether or not what sends it listens, nobody waits any longer.
        late.reject(new Unavailable(`\`${name}\` ${why}`))
        stop.abort()
      }
      const abort = () => give('is not waited for any more')
      const cancel = background(clock, timeoutMs, () => give('did not answer in time'))
      signal.addEventListener('abort', abort)
      try {
        const body = bodyOf(notice)
        const signed = signedHeaders(secrets, { id: notice.id, body }, clock.now())
        const headers = { 'content-type': 'application/json', ...signed }
        const init = { method: 'POST', headers, body, redirect: 'manual', signal: stop.signal } as const
        transport ??= new Transport({ fetch, lookup, privateHosts: hosts, clock, deadlineMs: timeoutMs })
        // Invariant: what leads into the machine or its network is not sent, whatever a name server says meanwhile.
        const answer = await Promise.race([transport.send(url, init, namesHost(hosts, url)), late.promise])
        answer.body?.cancel().catch(() => {})
        if (answer.status >= 200 && answer.status < 300) return
        const retryAfterMs = waitIn(answer.headers.get('retry-after'))
        const error = new Unavailable(`\`${name}\` answered with status ${answer.status}`)
        throw Object.assign(error, { final: FINAL(answer.status), retryAfterMs })
      } catch (error) {
        if (error instanceof Unavailable) throw error
        // What was thrown may hold the request: nothing of it goes on.
        throw new Unavailable(`\`${name}\` could not be reached`)
      } finally {
        cancel()
        signal.removeEventListener('abort', abort)
      }
    },
  }
}

function bodyOf({ at, ...notice }: Notice): string {
  return JSON.stringify({ type: 'signal.raised', timestamp: new Date(at).toISOString(), data: notice })
}

function checkedSecrets(secrets: unknown): readonly SigningSecret[] {
  check('secrets', Array.isArray(secrets) && secrets.length > 0 && secrets.length <= 8, 'is a list of 1 to 8 secrets')
  return (secrets as unknown[]).map((secret, index) => parseSecret(secret, `secrets.${index}`))
}

function checkedUrl(text: unknown, hosts: readonly string[]): URL {
  const url = typeof text === 'string' ? URL.parse(text) : null
  const bare = url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.hash === ''
  if (!bare) throw new ConfigError('invalid-option', 'url', '`url` is an `https` URL with no user and no `#`')
  const meant = namesHost(hosts, url)
  check(
    'url',
    meant || !namesPrivatePlace(url),
    'leads into a private network; name it in `privateHosts` if it is meant',
  )
  check('url', meant || url.protocol === 'https:', 'is `https` where it leaves the machine')
  return url
}

/** How long a receiver wants to be left alone, in whole seconds. */
function waitIn(value: string | null): number | undefined {
  return value !== null && /^\d{1,6}$/.test(value) ? Number(value) * 1_000 : undefined
}
