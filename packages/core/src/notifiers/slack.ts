/** Tells a Slack channel of signals. */
import { SlackApi } from '../approvers/slack/api.ts'
import { checkedUrl, isToken, type SlackFetch } from '../approvers/slack/options.ts'
import { inline } from '../approvers/slack/text.ts'
import { Unavailable } from '../errors.ts'
import { check, checkKeys } from '../options.ts'
import type { Notice, Notifier } from './notifier.ts'

export interface SlackNotifierOptions {
  /** A bot token with `chat:write`. */
  readonly token: string
  /** Where messages are posted: a channel's id, or a `#name`. The bot has to be in it. */
  readonly channel: string
  /** Where Slack's API is; `https://slack.com/api/` unless given. `http:` only on this machine. */
  readonly apiUrl?: string
  /** `globalThis.fetch` unless given. */
  readonly fetch?: SlackFetch
  /** Named where it fails; `slack` unless given. */
  readonly name?: string
}

const KEYS = ['token', 'channel', 'apiUrl', 'fetch', 'name']
const MARKS: Readonly<Record<Notice['severity'], string>> = { low: '○', medium: '●', high: '▲' }
/** Words of Slack's for what may pass by itself. */
const PASSING = new Set(['ratelimited', 'internal_error', 'fatal_error', 'service_unavailable', 'request_timeout'])

/** Throws `ConfigError`, naming the option and never its value. */
export function slackNotifier(options: SlackNotifierOptions): Notifier {
  checkKeys(options, KEYS, 'options of `slackNotifier`')
  const { token, channel, apiUrl = 'https://slack.com/api/', fetch: own, name = 'slack' } = options
  check('token', isToken(token), 'is a bot token, such as one that begins with `xoxb-`')
  const sound = typeof channel === 'string' && /^#?[^\s#@]{1,100}$/.test(channel)
  check('channel', sound, 'is the id or `#name` of a channel')
  check('fetch', own === undefined || typeof own === 'function', 'is a function')
  check('name', typeof name === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(name), 'is 1 to 64 letters, digits or `_.-`')
  const url = checkedUrl(apiUrl)
  const send: SlackFetch = own ?? ((to, init) => globalThis.fetch(to, init))
  let api: SlackApi | undefined
  return {
    name,
    async notify(notice, { clock, signal }) {
      api ??= new SlackApi({ token, apiUrl: url, send, clock })
      const told = await api.call('chat.postMessage', { channel, ...messageOf(notice) }, signal)
      if (told.ok) return
      const error = new Unavailable(`\`chat.postMessage\` was refused: \`${told.error}\``)
      throw Object.assign(error, { final: !PASSING.has(told.error) })
    },
  }
}

function messageOf({ signal, severity, text, agent, tenant, session, reactions }: Notice): Record<string, unknown> {
  // Who wrote what stands in code, where it mentions nobody and links nowhere.
  const what = `${MARKS[severity]} *${signal}* (${severity}): ${inline(text, 400)}`
  const whose = [agent, tenant, session].map((name) => inline(name, 128)).join(' · ')
  const done = reactions.filter((reaction) => reaction === 'ask' || reaction === 'suspend')
  const next = done.length === 0 ? [] : [done.map((reaction) => DONE[reaction]).join(' ')]
  const blocks = [what, [whose, ...next].join('\n')].map((part) => {
    return { type: 'section', text: { type: 'mrkdwn', text: part } }
  })
  return { text: `${signal}: ${inline(text, 400)}`, blocks, unfurl_links: false, unfurl_media: false }
}

const DONE: Readonly<Record<string, string>> = {
  ask: 'A person is asked about its next calls.',
  suspend: 'The session is suspended until it is released.',
}
