/** Decisions that come as signed JSON: `POST <path>/callback`. */

import { checkSigned, type SigningSecret, TOLERANCE } from '../standard-webhooks.ts'
import type { ApproverPort, Said, Say, SayRefusal } from './approver.ts'
import { isName, NAME } from './name.ts'
import { LOST, rawBody } from './raw-body.ts'

export interface CallbackOptions {
  /** The channel; whoever decides is known as `<name>:<by>`. */
  readonly name: string
  readonly secrets: readonly SigningSecret[]
  /** Who may be named in `by`; anyone, unless given. */
  readonly approvers?: readonly string[] | undefined
}

/** What a callback says, checked. */
interface Decision {
  readonly id: string
  readonly say: Say & { readonly digest: string }
}

/** Arguments of a megabyte, and what is around them. */
const MOST_BYTES = 2 ** 20 + 65_536
/** Of all messages that a clock could still let in; each of them was signed with the secret. */
const MOST_MARKS = 10_000

/** What a refusal comes to in HTTP. */
export const STATUS: Readonly<Record<SayRefusal, number>> = {
  unknown: 404,
  decided: 409,
  expired: 410,
  'not-approver': 403,
  'self-approval': 403,
  voted: 409,
  'other-digest': 409,
  invalid: 422,
}

export class Callback {
  readonly #options: CallbackOptions
  /** Messages that were heard, until when their times would let them in again. */
  readonly #heard = new Map<string, number>()

  constructor(options: CallbackOptions) {
    this.#options = options
  }

  async answer(request: Request, port: ApproverPort): Promise<Response> {
    if (request.method !== 'POST') return problem(405, 'a callback is a `POST`', {}, { allow: 'POST' })
    const refuse = async (status: number, why: string, headers?: Readonly<Record<string, string>>) => {
      await port.reject({ why })
      return problem(status, why, {}, headers)
    }
    const body = await rawBody(request, MOST_BYTES)
    if (!body.ok) return refuse(body.status, body.why)
    if (body.bytes.length === 0) return refuse(400, LOST)
    const checked = checkSigned(this.#options.secrets, request.headers, body.bytes, port.clock.now())
    if (!checked.ok) return refuse(401, checked.why, { 'www-authenticate': 'StandardWebhooks' })
    const decision = decisionOf(body.bytes, this.#options.name)
    if (typeof decision === 'string') return refuse(400, decision)
    const { id, say } = decision
    // Invariant: of one message, however often it comes, one is heard. What it led to stands in the store.
    if (!this.#hear(checked.mark, port.clock.monotonic())) {
      const why = 'the message was received before'
      await port.reject({ why, id, by: say.by })
      return problem(409, why, { code: 'replayed' })
    }
    const { approvers, name } = this.#options
    if (approvers && !approvers.some((one) => say.by === `${name}:${one}`)) {
      const why = 'whoever decides is not among the `approvers` of the channel'
      await port.reject({ why, id, by: say.by })
      return problem(403, why, { code: 'not-approver' })
    }
    let said: Said
    try {
      said = await port.say(id, say)
    } catch {
      // Nothing was taken, so the same message may come again.
      this.#heard.delete(checked.mark)
      return unavailable()
    }
    const state = said.approval && { state: said.approval.state }
    if (!said.ok) return problem(STATUS[said.refused], said.why, { code: said.refused, ...state })
    return Response.json({ ok: true, ...state }, { headers: { 'cache-control': 'no-store' } })
  }

  #hear(mark: string, now: number): boolean {
    if (this.#heard.has(mark)) return false
    for (const [old, until] of this.#heard) {
      if (until > now && this.#heard.size < MOST_MARKS) break
      this.#heard.delete(old)
    }
    // From the far end of what is let in to the near one; times are whole seconds.
    this.#heard.set(mark, now + 1_000 * (2 * TOLERANCE + 1))
    return true
  }
}

/** A text says what is wrong with it. */
function decisionOf(bytes: Uint8Array, channel: string): Decision | string {
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return 'the body is not JSON'
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return 'the body is not a JSON object'
  const given = body as Readonly<Record<string, unknown>>
  // An argument under a misspelt name would be a yes to something else.
  const stranger = Object.keys(given).some((key) => !KEYS.has(key))
  if (stranger) return `the body has members besides ${[...KEYS].map((key) => `\`${key}\``).join(', ')}`
  const { approval, digest, decision, by, groups = [], reason, grant } = given
  if (!isText(approval, 128)) return '`approval` is the id of an approval'
  if (!isText(digest, 256)) return '`digest` is that of the approval, as it was shown'
  if (decision !== 'approve' && decision !== 'deny') return '`decision` is `approve` or `deny`'
  if (!isName(by)) return `\`by\` is ${NAME}`
  if (!Array.isArray(groups) || groups.length > 100 || !groups.every(isName))
    return `\`groups\` are a list, each ${NAME}`
  if (reason !== undefined && !isText(reason, 1_000)) return '`reason` is a text of up to 1,000 characters'
  if (grant !== undefined && typeof grant !== 'boolean') return '`grant` is `true` or `false`'
  return {
    id: approval,
    say: {
      approve: decision === 'approve',
      // Invariant: nobody who comes this way is taken for somebody of another channel.
      by: `${channel}:${by}`,
      groups: groups.map((group) => `${channel}:${group}`),
      digest,
      ...(reason === undefined ? {} : { reason }),
      ...(Object.hasOwn(given, 'args') ? { args: given.args } : {}),
      ...(grant === true ? { grant } : {}),
    },
  }
}

const KEYS = new Set(['approval', 'digest', 'decision', 'by', 'groups', 'reason', 'args', 'grant'])

function isText(value: unknown, most: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= most
}

export function unavailable(): Response {
  return problem(503, 'the decision could not be recorded; nothing has changed', { code: 'unavailable' })
}

/** What went wrong, as RFC 9457 has it. */
export function problem(
  status: number,
  detail: string,
  more: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = { type: 'about:blank', title: TITLES[status] ?? 'Refused', status, detail, ...more }
  return Response.json(body, {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
  })
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  503: 'Service Unavailable',
}
