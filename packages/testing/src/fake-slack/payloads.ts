/**
 * What Slack tells an app of a click and of a form, with all that comes along.
 * @see https://docs.slack.dev/reference/interaction-payloads
 */
import { type Json, objectOf } from './blocks.ts'
import type { SlackMessage, SlackView } from './workspace.ts'

export interface Clicked {
  readonly message: SlackMessage
  readonly button: Json
  readonly user: string
  readonly channel: string
  readonly team: string
  readonly trigger: string
  readonly now: number
}

export function clickPayload({ message, button, user, channel, team, trigger, now }: Clicked): Json {
  const { ts, text, blocks } = message
  return {
    type: 'block_actions',
    user: person(user, team),
    api_app_id: 'A0FAKE',
    token: 'not-looked-at',
    container: { type: 'message', message_ts: ts, channel_id: channel, is_ephemeral: false },
    trigger_id: trigger,
    team: { id: team, domain: 'fake' },
    enterprise: null,
    is_enterprise_install: false,
    channel: { id: channel, name: 'fake' },
    message: { type: 'message', bot_id: 'B0FAKE', ts, text, blocks },
    state: { values: {} },
    response_url: 'https://slack.test/actions/',
    actions: [{ ...button, block_id: 'actions', action_ts: String(now / 1_000) }],
  }
}

export interface Submitted {
  readonly view: SlackView
  /** By the `block_id` of each input. */
  readonly typed: Readonly<Record<string, string>>
  readonly user: string
  readonly team: string
  readonly trigger: string
}

export function submitPayload({ view, typed, user, team, trigger }: Submitted): Json {
  const inputs = view.blocks.filter(({ type }) => type === 'input')
  const values = inputs.map(({ block_id: id, element }) => {
    const { action_id: action, type } = objectOf(element)
    return [id, { [String(action)]: { type, value: typed[String(id)] ?? null } }]
  })
  return {
    type: 'view_submission',
    user: person(user, team),
    api_app_id: 'A0FAKE',
    team: { id: team, domain: 'fake' },
    trigger_id: trigger,
    view: { ...view, type: 'modal', team_id: team, hash: '1.fake', state: { values: Object.fromEntries(values) } },
    response_urls: [],
  }
}

function person(id: string, team: string): Json {
  return { id, username: id.toLowerCase(), name: id.toLowerCase(), team_id: team }
}
