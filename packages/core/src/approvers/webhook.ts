/**
 * An approver for services of one's own: tells a URL of every approval, by messages signed as Standard Webhooks, and
 * hears decisions by one-use links and by signed callbacks. What could not be delivered stays owed in the store, and is
 * delivered later, by this process or the next.
 */
import { background } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { type Message, signedHeaders } from '../standard-webhooks.ts'
import type { Approval, Approver, ApproverPort } from './approver.ts'
import { Callback, problem } from './webhook-callback.ts'
import { LinkPages } from './webhook-decide.ts'
import { eventOf } from './webhook-event.ts'
import { DecisionLinks } from './webhook-links.ts'
import { type CheckedWebhook, checkWebhookOptions, type WebhookApproverOptions } from './webhook-options.ts'

export type { WebhookEvent, WebhookEventType } from './webhook-event.ts'
export type { LinkPair } from './webhook-links.ts'
export type { PostFunction, WebhookApproverOptions } from './webhook-options.ts'

/** Throws `ConfigError` for options that can't work; none of its messages repeats a secret. */
export function webhookApprover(options: WebhookApproverOptions): Approver {
  return new WebhookApprover(checkWebhookOptions(options))
}

/** Answers that mean that a message will never be wanted, however often it is sent. */
const FINAL = (status: number) => status >= 400 && status < 500 && ![401, 403, 408, 425, 429].includes(status)

class WebhookApprover implements Approver {
  readonly name: string
  readonly #options: CheckedWebhook
  readonly #links: DecisionLinks | undefined
  readonly #pages: LinkPages | undefined
  readonly #callback: Callback
  #port: ApproverPort | undefined

  constructor(options: CheckedWebhook) {
    const { name, secrets, base, approvers } = options
    this.name = name
    this.#options = options
    this.#links = base === undefined ? undefined : new DecisionLinks({ name, secrets, base, approvers })
    this.#pages = this.#links && new LinkPages(name, this.#links)
    this.#callback = new Callback({ name, secrets, approvers })
  }

  open(port: ApproverPort): void {
    this.#port = port
  }

  /** Notes the id of the last message that was accepted. */
  async show(approval: Approval, note: unknown, signal: AbortSignal): Promise<unknown> {
    const port = this.#opened()
    const message = eventOf(this.name, approval, this.#links, this.#options.approvers)
    if ((note as { sent?: unknown } | null | undefined)?.sent === message.id) return undefined
    const { status, headers } = await this.#post(message, signal, port)
    // A question has to reach somebody; news for one who has asked not to get them is no longer owed.
    const done = (status >= 200 && status < 300) || (approval.state !== 'pending' && FINAL(status))
    if (done) return { sent: message.id }
    const retryAfterMs = waitIn(headers.get('retry-after'), port.clock.now())
    throw Object.assign(new Unavailable(`\`${this.name}\` answered with status ${status}`), { retryAfterMs })
  }

  /** Its own are `<path>/callback` and `<path>/<approval>/<token>`, whatever a mount has put before. */
  async fetch(request: Request): Promise<Response | undefined> {
    const rest = restOf(new URL(request.url).pathname, this.#options.path)
    if (!rest) return undefined
    const [first = '', token, more] = rest
    if (first === 'callback' && token === undefined) return this.#callback.answer(request, this.#opened())
    if (this.#pages && token !== undefined && more === undefined) {
      const page = await this.#pages.answer(request, first, token, this.#opened())
      return request.method === 'HEAD' ? new Response(null, page) : page
    }
    return problem(404, 'there is nothing here')
  }

  async #post(message: Message, signal: AbortSignal, { clock }: ApproverPort): Promise<Response> {
    const { url, secrets, timeoutMs, post = globalThis.fetch } = this.#options
    const stop = new AbortController()
    const late = Promise.withResolvers<never>()
    const give = (why: string) => {
      // Whether or not what sends it listens, nobody waits any longer.
      late.reject(new Unavailable(`\`${this.name}\` ${why}`))
      stop.abort()
    }
    const abort = () => give('is not waited for any more')
    const cancel = background(clock, timeoutMs, () => give('did not answer in time'))
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    try {
      const headers = { 'content-type': 'application/json', ...signedHeaders(secrets, message, clock.now()) }
      const init = { method: 'POST', headers, body: message.body, redirect: 'manual', signal: stop.signal } as const
      const sent = signal.aborted ? late.promise : post(url, init)
      const answer = await Promise.race([sent, late.promise])
      // The status is all that is wanted; a body that nobody reads would hold the connection.
      answer.body?.cancel().catch(() => {})
      return answer
    } catch (error) {
      if (error instanceof Unavailable) throw error
      // What was thrown may hold the request, and with it the links: only its code goes on.
      throw new Unavailable(`\`${this.name}\` could not be reached${codeOf(error)}`)
    } finally {
      cancel()
      signal.removeEventListener('abort', abort)
      late.promise.catch(() => {})
    }
  }

  #opened(): ApproverPort {
    if (!this.#port) throw new Unavailable(`\`${this.name}\` belongs to no haldir`)
    return this.#port
  }
}

/** What stands in a path behind the last place where these segments follow each other. */
function restOf(pathname: string, segments: readonly string[]): readonly string[] | undefined {
  const parts = pathname.split('/').slice(1)
  for (let at = parts.length - segments.length; at >= 0; at--) {
    if (!segments.every((segment, index) => parts[at + index] === segment)) continue
    try {
      return parts.slice(at + segments.length).map(decodeURIComponent)
    } catch {
      return []
    }
  }
  return undefined
}

/** How long a receiver wants to be left alone, in milliseconds (RFC 9110, section 10.2.3). */
function waitIn(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now
  return ms > 0 ? ms : undefined
}

function codeOf(error: unknown): string {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } }
  const found = cause?.code ?? code
  return typeof found === 'string' && /^[A-Z][A-Z0-9_]{1,40}$/.test(found) ? `: ${found}` : ''
}
