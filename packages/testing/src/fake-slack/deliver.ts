/** What Slack sends to an app: a signed form with one field `payload`. */
import { createHmac } from 'node:crypto'
import type { Json } from './blocks.ts'

/** How a request is sent, and what is wrong with it when something has to be. */
export interface SendOptions {
  /** Where the app listens; `http://127.0.0.1/haldir/slack` unless given. */
  readonly url?: string
  /** Signs with this instead of the app's signing secret. */
  readonly secret?: string
  /** How many seconds ago it was sent; negative: in the future. */
  readonly age?: number
  /** The whole body, instead of a form with the payload. */
  readonly body?: string
  /** Header by header, what is sent instead; `null`: nothing. */
  readonly headers?: Readonly<Record<string, string | null>>
}

/** A request as it was sent: it can be sent again. */
export interface Sent {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export function signed(payload: Json, signingSecret: string, now: number, options: SendOptions = {}): Sent {
  const { url = 'http://127.0.0.1/haldir/slack', secret = signingSecret, age = 0, headers = {} } = options
  const { body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString() } = options
  const time = String(Math.floor(now / 1_000) - age)
  const own: Record<string, string> = {
    'content-type': 'application/x-www-form-urlencoded',
    'user-agent': 'Slackbot 1.0 (+https://api.slack.com/robots)',
    'x-slack-request-timestamp': time,
    'x-slack-signature': slackSignature(secret, time, body),
  }
  for (const [name, value] of Object.entries(headers)) {
    if (value === null) delete own[name.toLowerCase()]
    else own[name.toLowerCase()] = value
  }
  return { url, headers: own, body }
}

/** `v0=` and the HMAC-SHA256 over `v0:<timestamp>:<raw body>`, in hex. */
export function slackSignature(secret: string, timestamp: string, body: string): string {
  return `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`
}

export function requestOf({ url, headers, body }: Sent, more: Readonly<Record<string, string>> = {}): Request {
  return new Request(url, { method: 'POST', headers: { ...headers, ...more }, body })
}
