/** What a Slack approver is made of: checked, and in values of our own. */
import { check, checkKeys } from '../../options.ts'

/** A `fetch`, as far as it is used here: Node's own fits. */
export type SlackFetch = (url: string, init: SlackRequest) => Promise<Response>

/** What Slack's API is asked with. Redirects are never followed: the token goes nowhere else. */
export interface SlackRequest {
  readonly method: 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly redirect: 'error'
  readonly signal: AbortSignal
}

export interface SlackApproverOptions {
  /** A bot token with `chat:write`, and `usergroups:read` where user groups decide. */
  readonly token: string
  /** Where cards are posted: a channel's id, or a `#name`. The bot has to be in it. */
  readonly channel: string
  /** Signs what Slack sends, on the page "Basic Information" of the app. */
  readonly signingSecret: string
  /**
   * Who may decide: ids of users (`U…`, `W…`) and of user groups (`S…`). `'channel'`: whoever sees a card, which in a
   * public or shared channel may be anybody. There is no default.
   */
  readonly approvers: readonly string[] | 'channel'
  /** Where Slack's API is; `https://slack.com/api/` unless given. `http:` only on this machine. */
  readonly apiUrl?: string
  /** `globalThis.fetch` unless given. */
  readonly fetch?: SlackFetch
  /** How the path of the app's Request URL ends; `/haldir/slack` unless given. */
  readonly path?: string
  /** Names the channel in the store and in the trail; `slack` unless given. Two of them need two names, and two paths. */
  readonly name?: string
}

export interface CheckedSlack {
  readonly token: string
  readonly channel: string
  readonly signingSecret: string
  readonly approvers: Approvers
  readonly apiUrl: string
  readonly send: SlackFetch
  readonly path: string
  readonly name: string
}

/** `anyone`: whoever sees a card. */
export interface Approvers {
  readonly anyone: boolean
  readonly users: ReadonlySet<string>
  readonly groups: readonly string[]
}

const KEYS = ['token', 'channel', 'signingSecret', 'approvers', 'apiUrl', 'fetch', 'path', 'name']
const ID = /^(?:slack:)?([UWS][A-Z0-9]{1,40})$/

/** Throws `ConfigError`, naming the option and never its value. */
export function checkSlack(options: SlackApproverOptions): CheckedSlack {
  checkKeys(options, KEYS, 'options of `slackApprover`')
  const {
    token,
    channel,
    signingSecret,
    approvers,
    apiUrl = 'https://slack.com/api/',
    path = '/haldir/slack',
  } = options
  const { name = 'slack', fetch: own } = options
  check('token', isToken(token), 'is a bot token, such as one that begins with `xoxb-`')
  check(
    'channel',
    typeof channel === 'string' && /^#?[^\s#@]{1,100}$/.test(channel),
    'is the id or `#name` of a channel',
  )
  check('signingSecret', isToken(signingSecret), 'is the signing secret of the Slack app')
  check('fetch', own === undefined || typeof own === 'function', 'is a function')
  const whole = typeof path === 'string' && /^(\/[A-Za-z0-9._~-]+)+$/.test(path)
  check('path', whole, 'is a path such as `/haldir/slack`')
  check('name', typeof name === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(name), 'is 1 to 64 letters, digits or `_.-`')
  return {
    token,
    channel,
    signingSecret,
    approvers: checkedApprovers(approvers),
    apiUrl: checkedUrl(apiUrl),
    // Looked up for each request: whoever instruments the global one later is not passed by.
    send: own ?? ((url, init) => globalThis.fetch(url, init)),
    path,
    name,
  }
}

function checkedApprovers(approvers: unknown): Approvers {
  if (approvers === 'channel') return { anyone: true, users: new Set(), groups: [] }
  // Invariant: who may decide is always said. Nobody may click who is not named, unless everybody is meant.
  const some = Array.isArray(approvers) && approvers.length > 0
  check('approvers', some, "lists who may decide, such as `['U123', 'S123']`; `'channel'` means whoever sees a card")
  const ids = (approvers as unknown[]).map((given, index) => {
    const id = typeof given === 'string' ? ID.exec(given)?.[1] : undefined
    check(`approvers.${index}`, id !== undefined, 'is the id of a user (`U…`, `W…`) or of a user group (`S…`)')
    return id as string
  })
  return {
    anyone: false,
    users: new Set(ids.filter((id) => !id.startsWith('S'))),
    groups: [...new Set(ids.filter((id) => id.startsWith('S')))],
  }
}

/** Where Slack's API is. Throws `ConfigError`. */
export function checkedUrl(given: unknown): string {
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined
  const own = url && (url.hostname === 'localhost' || url.hostname === '[::1]' || /^127\.[\d.]+$/.test(url.hostname))
  const bare = url && !url.username && !url.password && !url.search && !url.hash
  const safe = url && (url.protocol === 'https:' || (url.protocol === 'http:' && own))
  check('apiUrl', bare && safe, 'is a URL of `https:`, or of `http:` on this machine')
  const { href } = url as URL
  return href.endsWith('/') ? href : `${href}/`
}

/** What can stand in a header, and is no empty key. */
export function isToken(value: unknown): boolean {
  return typeof value === 'string' && /^[\x21-\x7e]{1,1000}$/.test(value)
}
