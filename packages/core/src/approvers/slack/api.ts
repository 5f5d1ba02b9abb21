/** Slack's Web API, the few methods of it that are needed. */
import { type Clock, within } from '../../clock.ts'
import { Unavailable } from '../../errors.ts'
import type { SlackFetch } from './options.ts'

export type Method = 'chat.postMessage' | 'chat.update' | 'chat.postEphemeral' | 'views.open' | 'usergroups.users.list'

/** What Slack answered. `error` is its own word for why not, such as `channel_not_found`. */
export type Answer =
  | { readonly ok: true; readonly answer: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: string }

export interface ApiParts {
  readonly token: string
  readonly apiUrl: string
  readonly send: SlackFetch
  readonly clock: Clock
}

/** How long one request may take. */
const DEADLINE_MS = 4_000
/** Methods that only read take forms alone. */
const FORMS = new Set<Method>(['usergroups.users.list'])
const LONGEST_WAIT_S = 3_600

export class SlackApi {
  readonly #parts: ApiParts
  /** Until when a method wants to be left alone, by the monotonic clock: what is asked before then is not sent. */
  readonly #until = new Map<Method, number>()

  constructor(parts: ApiParts) {
    this.#parts = parts
  }

  /**
   * Rejects with `Unavailable` when Slack can't be reached, takes too long, has trouble or wants to be left alone; then
   * `retryAfterMs` of the error says for how long, if Slack has.
   */
  async call(method: Method, body: Readonly<Record<string, unknown>>, signal?: AbortSignal): Promise<Answer> {
    const { clock } = this.#parts
    const left = (this.#until.get(method) ?? 0) - clock.monotonic()
    if (left > 0) throw leaveAlone(method, left)
    const controller = new AbortController()
    const stop = () => controller.abort()
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted) stop()
    try {
      // A `fetch` that does not listen to its signal keeps nobody waiting, either.
      const work = Promise.race([this.#request(method, body, controller.signal), ended(controller.signal)])
      return await within(work, DEADLINE_MS, clock, method, false)
    } catch (cause) {
      if (cause instanceof Unavailable) throw cause
      throw new Unavailable(`\`${method}\` could not be reached`, { cause })
    } finally {
      signal?.removeEventListener('abort', stop)
      stop()
    }
  }

  async #request(method: Method, body: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Answer> {
    const { token, apiUrl, send } = this.#parts
    const form = FORMS.has(method)
    const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
    const response = await send(apiUrl + method, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': `${type}; charset=utf-8` },
      body: form ? new URLSearchParams(body as Record<string, string>).toString() : JSON.stringify(body),
      redirect: 'error',
      signal,
    })
    const { status } = response
    if (status === 429 || status >= 500) {
      // Nobody reads it: the connection is free again.
      response.body?.cancel().catch(() => {})
      const wait = waitOf(response)
      if (status !== 429) throw Object.assign(new Unavailable(`\`${method}\` has trouble`), { retryAfterMs: wait })
      if (wait !== undefined) this.#until.set(method, this.#parts.clock.monotonic() + wait)
      throw leaveAlone(method, wait)
    }
    const answer: unknown = await response.json().catch(() => undefined)
    const { ok, error } = (answer ?? {}) as { ok?: unknown; error?: unknown }
    if (ok === true) return { ok, answer: answer as Record<string, unknown> }
    if (ok !== false) throw new Unavailable(`\`${method}\` answered nonsense`)
    return { ok, error: typeof error === 'string' && /^[a-z_]{1,60}$/.test(error) ? error : 'unknown_error' }
  }
}

/** The error of a request that Slack refused. */
export function refusedBy(method: Method, error: string): Unavailable {
  return new Unavailable(`\`${method}\` was refused: \`${error}\``)
}

function leaveAlone(method: Method, retryAfterMs: number | undefined): Unavailable {
  return Object.assign(new Unavailable(`\`${method}\` asks to be left alone for a while`), { retryAfterMs })
}

/** How long Slack wants to be left alone; it says so in whole seconds. */
function waitOf({ headers }: Response): number | undefined {
  const seconds = headers.get('retry-after')
  if (seconds === null || !/^\d{1,9}$/.test(seconds)) return undefined
  return Math.min(Number(seconds), LONGEST_WAIT_S) * 1_000
}

function ended(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const end = () => reject(new Unavailable('nobody waits for the request any more'))
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
  // It may end after all has been said.
  promise.catch(() => {})
  return promise
}
