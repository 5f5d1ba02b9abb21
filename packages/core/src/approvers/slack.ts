/**
 * People decide in Slack: a card for each approval, with buttons, and clicks that come back signed. Without a library of
 * Slack's: what is needed of its API are five methods.
 */
import { type Clock, within } from '../clock.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import type { Approver, ApproverPort } from './approver.ts'
import { rawBody } from './raw-body.ts'
import { SlackApi } from './slack/api.ts'
import { Clicks } from './slack/clicks.ts'
import { Groups } from './slack/groups.ts'
import { readInteraction } from './slack/interaction.ts'
import { type CheckedSlack, checkSlack, type SlackApproverOptions } from './slack/options.ts'
import { showCard } from './slack/show.ts'
import { type Refused, Signatures } from './slack/signature.ts'

export type { SlackApproverOptions, SlackFetch, SlackRequest } from './slack/options.ts'

/** Slack waits three seconds for an answer; what is not done by then goes on behind it. */
const ANSWER_MS = 2_500
const MOST_BYTES = 1_000_000
const EMPTY: Refused = {
  status: 400,
  why: 'the body is empty or was read already: mount `haldir.fetch` before what parses bodies',
}

interface Live {
  readonly port: ApproverPort
  readonly api: SlackApi
  readonly clicks: Clicks
}

/**
 * An approver that asks in a channel of Slack. The app's Request URL for interactivity leads to `haldir.fetch`, at a path
 * that ends in `/haldir/slack`. Throws `ConfigError`.
 *
 * Who may decide is who is named by `approvers`, and by the rule that asks where that names somebody; everybody else is
 * told so when they click. A request counts once in this process; in several, the store sees to it that a decision does.
 * A call whose arguments do not all fit the card can be denied there, but not approved.
 */
export function slackApprover(options: SlackApproverOptions): Approver {
  const checked = checkSlack(options)
  const { name, channel, path, signingSecret } = checked
  const signatures = new Signatures(signingSecret)
  let live: Live | undefined
  // Nothing but functions and a name: who prints it sees neither token nor signing secret.
  return {
    name,
    open(port) {
      if (live) throw new ConfigError('invalid-option', 'approvers', 'a `slackApprover` belongs to one haldir')
      live = join(checked, port)
    },
    async show(approval, note, signal) {
      if (!live) throw new Unavailable('the approver is not open')
      return showCard(live.api, channel, approval, note, signal)
    },
    fetch: async (request) => {
      if (!new URL(request.url).pathname.endsWith(path)) return undefined
      if (!live) return plain(503, 'the approver is not open')
      // Links are looked at by all kinds of programs: to look at one decides nothing, and is not worth an entry.
      if (request.method !== 'POST') return plain(405, 'only `POST` is answered here', { allow: 'POST' })
      return answer(request, live, signatures)
    },
    close() {
      live = undefined
    },
  }
}

function join({ token, apiUrl, send, approvers, channel }: CheckedSlack, port: ApproverPort): Live {
  const { clock } = port
  const api = new SlackApi({ token, apiUrl, send, clock })
  const groups = new Groups(api, clock)
  return { port, api, clicks: new Clicks({ port, api, groups, approvers, channel }) }
}

/** Answers in time, whatever becomes of it. */
async function answer(request: Request, { port, clicks }: Live, signatures: Signatures): Promise<Response> {
  const { clock } = port
  const limit = timeLimit(clock)
  const refuse = async ({ status, why }: Refused) => {
    await limit(port.reject({ why })).catch(() => {})
    return plain(status, why)
  }
  const late = { ok: false, status: 408, why: 'the body did not come in time' } as const
  const raw = await limit(rawBody(request, MOST_BYTES)).catch(() => late)
  if (!raw.ok) return refuse(raw)
  // What parses bodies may leave nothing behind, not even a word of it.
  if (raw.bytes.length === 0) return refuse(EMPTY)
  const genuine = signatures.check(request.headers, raw.bytes, clock.now())
  if ('status' in genuine) return refuse(genuine)
  if (genuine.again) return new Response(null)
  const interaction = readInteraction(raw.bytes)
  if (!interaction) return refuse({ status: 400, why: 'the payload is none that Slack sends' })
  if (interaction.kind === 'other') return new Response(null)
  const work = interaction.kind === 'click' ? clicks.click(interaction) : clicks.submit(interaction)
  return limit(work).catch(() => new Response(null))
}

/** Lets several steps take no longer together than Slack waits. */
function timeLimit(clock: Clock): <T>(work: Promise<T>) => Promise<T> {
  const began = clock.monotonic()
  return (work) => within(work, Math.max(0, ANSWER_MS - (clock.monotonic() - began)), clock, 'the approver', false)
}

function plain(status: number, why: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${why}\n`, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers },
  })
}
