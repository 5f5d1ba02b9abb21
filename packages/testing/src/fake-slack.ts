/** A Slack for tests: takes what an app posts, and clicks on it. Nothing of it needs vitest. */
import type { Server } from 'node:http'
import type { Clock } from '@haldir/core'
import { FakeApi, type SlackCall, type SlackFailure } from './fake-slack/api.ts'
import { requestOf, type SendOptions, type Sent, signed, slackSignature } from './fake-slack/deliver.ts'
import { clickPayload, submitPayload } from './fake-slack/payloads.ts'
import { closeServer, listening, urlOf } from './fake-slack/server.ts'
import { buttonOf, type SlackEphemeral, type SlackMessage, type SlackView, Workspace } from './fake-slack/workspace.ts'

export type { SlackCall, SlackFailure } from './fake-slack/api.ts'
export type { SendOptions } from './fake-slack/deliver.ts'
export type { SlackEphemeral, SlackMessage, SlackView } from './fake-slack/workspace.ts'

export interface FakeSlackOptions {
  /** The bot token it takes; `xoxb-fake` unless given. */
  readonly token?: string
  /** Signs what it sends. */
  readonly signingSecret?: string
  /** Dates what it sends and posts; the machine's unless given. */
  readonly clock?: Pick<Clock, 'now'>
  /** The members of each user group. */
  readonly groups?: Readonly<Record<string, readonly string[]>>
}

/** The app under test: `haldir.fetch`, or an approver's own `fetch`. */
export type Deliver = (request: Request) => Promise<Response | undefined>

/** Who clicks, and how the click is sent. */
export interface ClickOptions extends SendOptions {
  readonly user: string
  /** Where the message is seen, if not where it was posted. */
  readonly channel?: string
  readonly team?: string
}

export interface FakeSlack {
  readonly token: string
  readonly signingSecret: string
  /** For `slackApprover({ apiUrl, fetch })`, without a server. */
  readonly apiUrl: string
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  /** Starts a server on 127.0.0.1; answers the API's URL. `close` stops it. */
  listen(): Promise<string>
  close(): Promise<void>
  /** Every request to the API, in order. */
  readonly calls: readonly SlackCall[]
  /** The messages as they stand now. */
  readonly messages: readonly SlackMessage[]
  readonly ephemerals: readonly SlackEphemeral[]
  /** The forms that were opened. */
  readonly views: readonly SlackView[]
  /** The newest message as it stands now. Throws when there is none. */
  message(): SlackMessage
  /** All that a message shows, as one text. */
  textOf(message: SlackMessage): string
  /** The `action_id`s of the buttons of a message. */
  buttonsOf(message: SlackMessage): readonly string[]
  /** Changes who is in a user group. */
  group(id: string, members: readonly string[]): void
  /** A method fails, until `up`. */
  fail(method: string, failure: SlackFailure): void
  /** A method never answers, until `up`. */
  hang(method: string): void
  /** Nothing can be reached, until `up`. */
  down(): void
  up(): void
  /** Clicks a button of a message as it was when it was looked at. Throws when it has no such button. */
  click(message: SlackMessage, action: string, by: ClickOptions, deliver: Deliver): Promise<Response>
  /** Submits a form with what was typed, by the `block_id` of each input. */
  submit(
    view: SlackView,
    typed: Readonly<Record<string, string>>,
    by: ClickOptions | string,
    deliver: Deliver,
  ): Promise<Response>
  /** Sends any payload, signed. */
  send(payload: Readonly<Record<string, unknown>>, deliver: Deliver, options?: SendOptions): Promise<Response>
  /**
   * Sends the last request once more, byte for byte. `retry`: as Slack does that by itself, so many times before.
   * `age`: signed anew, and dated so many seconds back.
   */
  resend(deliver: Deliver, options?: { readonly retry?: number; readonly age?: number }): Promise<Response>
}

export function fakeSlack(options: FakeSlackOptions = {}): FakeSlack {
  const { token = 'xoxb-fake', signingSecret = 'fake-signing-secret', clock = { now: Date.now }, groups = {} } = options
  const workspace = new Workspace(clock, groups)
  const api = new FakeApi(workspace, token)
  let server: Server | undefined
  let last: Sent | undefined

  const deliverTo = async (deliver: Deliver, sent: Sent, more?: Readonly<Record<string, string>>) => {
    last = sent
    const response = await deliver(requestOf(sent, more))
    if (!response) throw new Error(`nobody answers at \`${new URL(sent.url).pathname}\``)
    return response
  }
  const send: FakeSlack['send'] = (payload, deliver, how) =>
    deliverTo(deliver, signed(payload, signingSecret, clock.now(), how))

  return {
    token,
    signingSecret,
    apiUrl: 'https://slack.test/api/',
    async fetch(url, init) {
      const headers = new Headers(init.headers)
      const answer = api.answer({
        method: new URL(url).pathname.split('/').at(-1) ?? '',
        authorization: headers.get('authorization'),
        type: headers.get('content-type'),
        body: String(init.body ?? ''),
      })
      if (answer === 'down') throw new TypeError('fetch failed')
      if (answer === 'hangs') return aborted(init.signal ?? undefined)
      return new Response(answer.body, answer)
    },
    async listen() {
      server ??= await listening(api)
      return urlOf(server)
    },
    async close() {
      const closing = server
      server = undefined
      if (closing) await closeServer(closing)
    },
    calls: api.calls,
    messages: workspace.messages,
    ephemerals: workspace.ephemerals,
    views: workspace.views,
    message() {
      const message = workspace.messages.at(-1)
      if (!message) throw new Error('nothing was posted')
      return message
    },
    textOf: ({ blocks }) => textsIn(blocks).join('\n'),
    buttonsOf: ({ blocks }) => blocks.flatMap(({ elements }) => buttonIds(elements)),
    group: (id, members) => void workspace.groups.set(id, members),
    fail: (method, failure) => api.fail(method, failure),
    hang: (method) => api.hang(method),
    down: () => api.down(),
    up: () => api.up(),
    async click(message, action, by, deliver) {
      const { user, channel = message.channel, team = 'T0FAKE', ...how } = by
      const button = buttonOf(message, action)
      if (!button) throw new Error(`the message has no button \`${action}\``)
      const payload = clickPayload({
        message,
        button,
        user,
        channel,
        team,
        trigger: workspace.trigger(user),
        now: clock.now(),
      })
      return send(payload, deliver, how)
    },
    async submit(view, typed, by, deliver) {
      const { user, team = 'T0FAKE', channel: _, ...how } = typeof by === 'string' ? { user: by } : by
      const payload = submitPayload({ view, typed, user, team, trigger: workspace.trigger(user) })
      return send(payload, deliver, how)
    },
    send,
    async resend(deliver, { retry, age } = {}) {
      if (!last) throw new Error('nothing was sent')
      const more =
        retry === undefined ? {} : { 'x-slack-retry-num': String(retry), 'x-slack-retry-reason': 'http_timeout' }
      if (age === undefined) return deliverTo(deliver, last, more)
      const time = String(Math.floor(clock.now() / 1_000) - age)
      const signature = slackSignature(signingSecret, time, last.body)
      const headers = { ...last.headers, 'x-slack-request-timestamp': time, 'x-slack-signature': signature }
      return deliverTo(deliver, { ...last, headers }, more)
    },
  }
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(new DOMException('This operation was aborted', 'AbortError'))
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end, { once: true })
  })
}

function textsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, one]) =>
    key === 'text' && typeof one === 'string' ? [one] : textsIn(one),
  )
}

function buttonIds(elements: unknown): string[] {
  if (!Array.isArray(elements)) return []
  return elements.flatMap(({ action_id: id }: { action_id?: unknown }) => (typeof id === 'string' ? [id] : []))
}
