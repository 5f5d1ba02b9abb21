/** The Web API of a fake Slack: takes requests as Slack does, answers, is slow, fails or is down when told to. */
import type { Json } from './blocks.ts'
import type { Workspace } from './workspace.ts'

/** A request to the API, and what it was answered. */
export interface SlackCall {
  readonly method: string
  readonly body: Json
  /** HTTP's status; 0 when there was no answer. */
  readonly status: number
  /** Slack's word for what was wrong, if something was. */
  readonly error?: string
}

/** How a method fails. */
export interface SlackFailure {
  /** Slack's word for it, such as `channel_not_found`; comes with status 200 unless told otherwise. */
  readonly error?: string
  readonly status?: number
  /** Seconds that Slack wants to be left alone. */
  readonly retryAfter?: number
  /** How often, before it works again; always unless given. */
  readonly times?: number
}

export interface ApiRequest {
  readonly method: string
  readonly authorization: string | null
  readonly type: string | null
  readonly body: string
}

/** What a server sends. */
export interface ApiAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Slack's reads take forms alone; of the others, these take JSON. */
const TAKES_JSON = new Set(['chat.postMessage', 'chat.update', 'chat.postEphemeral', 'views.open', 'auth.test'])

export class FakeApi {
  readonly calls: SlackCall[] = []
  readonly #workspace: Workspace
  readonly #token: string
  readonly #failures = new Map<string, { readonly failure: SlackFailure; left: number }>()
  readonly #hanging = new Set<string>()
  #down = false

  constructor(workspace: Workspace, token: string) {
    this.#workspace = workspace
    this.#token = token
  }

  fail(method: string, failure: SlackFailure): void {
    this.#failures.set(method, { failure, left: failure.times ?? Number.POSITIVE_INFINITY })
  }

  hang(method: string): void {
    this.#hanging.add(method)
  }

  down(): void {
    this.#down = true
  }

  up(): void {
    this.#down = false
    this.#failures.clear()
    this.#hanging.clear()
  }

  /** `down`: nothing answers. `hangs`: nothing answers yet. */
  answer({ method, authorization, type, body }: ApiRequest): ApiAnswer | 'down' | 'hangs' {
    const form = !type?.startsWith('application/json')
    const read = readBody(body, form)
    const note = (status: number, error?: string) => {
      this.calls.push({ method, body: read ?? {}, status, ...(error === undefined ? {} : { error }) })
    }
    if (this.#down || this.#hanging.has(method)) {
      note(0)
      return this.#down ? 'down' : 'hangs'
    }
    const failure = this.#failureOf(method)
    if (failure) {
      const { status = failure.error === undefined ? 500 : 200, retryAfter } = failure
      const error = failure.error ?? (status === 429 ? 'ratelimited' : 'internal_error')
      note(status, error)
      return json({ ok: false, error }, status, retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) })
    }
    const told = this.#do(method, read, form, authorization)
    const error = typeof told.error === 'string' ? told.error : undefined
    note(200, error)
    return json(error === undefined ? { ok: true, ...told } : { ok: false, error })
  }

  #do(method: string, body: Json | undefined, form: boolean, authorization: string | null): Json {
    if (authorization === null) return { error: 'not_authed' }
    if (authorization !== `Bearer ${this.#token}`) return { error: 'invalid_auth' }
    const act = Object.hasOwn(this.#workspace.methods, method) ? this.#workspace.methods[method] : undefined
    if (!act) return { error: 'unknown_method' }
    if (!body) return { error: form ? 'invalid_form_data' : 'invalid_json' }
    // As if nothing had been given.
    return act(form || TAKES_JSON.has(method) ? body : {})
  }

  #failureOf(method: string): SlackFailure | undefined {
    const told = this.#failures.get(method)
    if (!told) return undefined
    told.left -= 1
    if (told.left <= 0) this.#failures.delete(method)
    return told.failure
  }
}

/** In a form, blocks and views are JSON in a field. */
function readBody(body: string, form: boolean): Json | undefined {
  try {
    if (!form) return JSON.parse(body)
    const fields = Object.fromEntries(new URLSearchParams(body))
    const read = (name: string) => (fields[name] === undefined ? {} : { [name]: JSON.parse(fields[name]) })
    return { ...fields, ...read('blocks'), ...read('view') }
  } catch {
    return undefined
  }
}

function json(body: Json, status = 200, headers: Readonly<Record<string, string>> = {}): ApiAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(body),
  }
}
