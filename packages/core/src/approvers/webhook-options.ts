/** The options of `webhookApprover`: every one checked by name, with its default. */
import { type Duration, parseDuration } from '../duration.ts'
import { ConfigError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { parseSecret, type SigningSecret } from '../standard-webhooks.ts'
import { isName, NAME } from './name.ts'

/** A `fetch`, as far as it is used here: Node's own fits. */
export type PostFunction = (
  url: string,
  init: {
    readonly method: 'POST'
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
    readonly redirect: 'manual'
    readonly signal: AbortSignal
  },
) => Promise<Response>

export interface WebhookApproverOptions {
  /** Who is told: an `https` URL, or one of this machine. */
  readonly url: string
  /**
   * What messages are signed with: `whsec_` (24 to 64 bytes) or `whsk_` (Ed25519), in base64. Every message carries a
   * signature by each, callbacks may be signed with any, and links are made with the first: to change a secret, put the
   * new one before the old, and take the old one away when receivers know the new one.
   */
  readonly secrets: readonly string[]
  /** Where `haldir.fetch` is mounted, as people reach it: `https://app.example.com`. Absent: no decision links. */
  readonly baseUrl?: string
  /**
   * Who may decide here. Each gets links of his own, which decide as `<name>:<approver>`, and only they may stand in the
   * `by` of a callback. Absent: whoever holds the link decides, as `<name>:link`, and a callback may name anyone.
   */
  readonly approvers?: readonly string[]
  /** Names the channel; `webhook` unless given. Two webhooks of one haldir need two names. */
  readonly name?: string
  /** Where its own requests lead, below `baseUrl`; `/haldir/<name>` unless given. */
  readonly path?: string
  /** How long the receiver may take to answer: 15 seconds, and at most 20, as any channel. */
  readonly timeout?: Duration
  /** Sends the messages; `globalThis.fetch` unless given. It must follow no redirect. */
  readonly fetch?: PostFunction
}

export interface CheckedWebhook {
  readonly name: string
  readonly url: string
  readonly secrets: readonly SigningSecret[]
  readonly base: string | undefined
  readonly approvers: readonly string[] | undefined
  /** Its segments. */
  readonly path: readonly string[]
  readonly timeoutMs: number
  readonly post: PostFunction | undefined
}

const MOST_MS = 20_000
const KEYS = ['url', 'secrets', 'baseUrl', 'approvers', 'name', 'path', 'timeout', 'fetch'] as const

/** Throws `ConfigError`, naming the option. */
export function checkWebhookOptions(options: WebhookApproverOptions): CheckedWebhook {
  checkKeys(options, KEYS, 'options of `webhookApprover`')
  const { name = 'webhook', approvers, timeout = '15s', fetch } = options
  if (typeof name !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    throw invalid('name', 'is 1 to 64 letters, digits, `_` or `-`')
  }
  const { path = `/haldir/${name}` } = options
  if (typeof path !== 'string' || !/^(\/[A-Za-z0-9._~-]+)+$/.test(path) || /\/\.\.?(\/|$)/.test(path)) {
    throw invalid('path', 'is a path such as `/haldir/webhook`')
  }
  if (fetch !== undefined && typeof fetch !== 'function') throw invalid('fetch', 'is a function')
  const timeoutMs = parseDuration(timeout, 'timeout')
  // No channel is given longer: what is due would be handed to somebody else.
  if (timeoutMs > MOST_MS) throw invalid('timeout', 'is at most 20 seconds')
  return {
    name,
    url: checkedUrl(options.url, 'url').href,
    secrets: checkedSecrets(options.secrets),
    base: options.baseUrl === undefined ? undefined : baseOf(options.baseUrl) + path,
    approvers: approvers === undefined ? undefined : checkedApprovers(approvers),
    path: path.slice(1).split('/'),
    timeoutMs,
    post: fetch,
  }
}

function checkedSecrets(secrets: unknown): readonly SigningSecret[] {
  if (!Array.isArray(secrets) || secrets.length === 0 || secrets.length > 8) {
    throw invalid('secrets', 'is a list of 1 to 8 secrets')
  }
  return secrets.map((secret, index) => parseSecret(secret, `secrets.${index}`))
}

function checkedApprovers(approvers: unknown): readonly string[] {
  if (!Array.isArray(approvers) || approvers.length === 0 || approvers.length > 100) {
    throw invalid('approvers', 'is a list of 1 to 100 names')
  }
  for (const [index, approver] of approvers.entries()) {
    if (!isName(approver)) throw invalid(`approvers.${index}`, `is ${NAME}`)
    if (approvers.indexOf(approver) !== index) throw invalid(`approvers.${index}`, 'is named once')
  }
  return [...approvers]
}

/** Without the slash at its end, so that a path fits behind it. */
function baseOf(text: string): string {
  const url = checkedUrl(text, 'baseUrl')
  if (url.search !== '') throw invalid('baseUrl', 'has no query')
  return url.href.replace(/\/$/, '')
}

function checkedUrl(text: unknown, option: string): URL {
  const url = typeof text === 'string' ? URL.parse(text) : null
  if (!url || !/^https?:$/.test(url.protocol)) throw invalid(option, 'is an `https` URL')
  // What goes there is arguments, or tokens that decide.
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw invalid(option, 'is `https` where it leaves the machine')
  if (url.username !== '' || url.password !== '' || url.hash !== '') throw invalid(option, 'has no user and no `#`')
  return url
}

function isLoopback(host: string): boolean {
  return /^(localhost|([a-z0-9-]+\.)+localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(host)
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
