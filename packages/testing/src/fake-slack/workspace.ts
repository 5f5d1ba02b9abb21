/** What a fake Slack keeps, and what its methods do with it. */
import type { Clock } from '@haldir/core'
import { type Json, objectOf, wrongBlocks, wrongView } from './blocks.ts'

export interface SlackMessage {
  readonly channel: string
  readonly ts: string
  readonly text: string
  readonly blocks: readonly Json[]
}

export interface SlackEphemeral {
  readonly channel: string
  readonly user: string
  readonly text: string
}

/** A form that was opened for somebody. */
export interface SlackView {
  readonly id: string
  readonly user: string
  readonly callback_id?: string
  readonly private_metadata?: string
  readonly blocks: readonly Json[]
}

/** What a method answers: Slack's word for what is wrong, or what it has done. */
type Outcome = { readonly error: string } | Json

interface Trigger {
  readonly user: string
  readonly at: number
}

const TRIGGER_MS = 3_000

export class Workspace {
  readonly messages: SlackMessage[] = []
  readonly ephemerals: SlackEphemeral[] = []
  readonly views: SlackView[] = []
  readonly groups: Map<string, readonly string[]>
  readonly #clock: Pick<Clock, 'now'>
  readonly #triggers = new Map<string, Trigger>()
  #count = 0

  constructor(clock: Pick<Clock, 'now'>, groups: Readonly<Record<string, readonly string[]>>) {
    this.#clock = clock
    this.groups = new Map(Object.entries(groups))
  }

  /** Lets one form be opened for a user, for three seconds. */
  trigger(user: string): string {
    const id = `${++this.#count}.trigger`
    this.#triggers.set(id, { user, at: this.#clock.now() })
    return id
  }

  readonly methods: Readonly<Record<string, (body: Json) => Outcome>> = {
    'auth.test': () => ({ user_id: 'U0BOT', team_id: 'T0FAKE' }),

    'chat.postMessage': ({ channel, text = '', blocks = [] }) => {
      const at = channelOf(channel)
      if (at === undefined) return { error: 'channel_not_found' }
      if (text === '' && Array.isArray(blocks) && blocks.length === 0) return { error: 'no_text' }
      const wrong = wrongBlocks(blocks)
      if (wrong) return { error: wrong }
      const ts = `${Math.floor(this.#clock.now() / 1_000)}.${String(++this.#count).padStart(6, '0')}`
      const message = { channel: at, ts, text: String(text), blocks: blocks as Json[] }
      this.messages.push(message)
      return { channel: at, ts, message }
    },

    // What is not given stays as it was.
    'chat.update': ({ channel, ts, text, blocks }) => {
      const index = this.messages.findIndex((message) => message.channel === channel && message.ts === ts)
      const message = this.messages[index]
      if (!message) return { error: 'message_not_found' }
      const wrong = blocks === undefined ? undefined : wrongBlocks(blocks)
      if (wrong) return { error: wrong }
      const updated = {
        ...message,
        ...(text === undefined ? {} : { text: String(text) }),
        ...(blocks === undefined ? {} : { blocks: blocks as Json[] }),
      }
      this.messages[index] = updated
      return { channel, ts, text: updated.text }
    },

    'chat.postEphemeral': ({ channel, user, text = '' }) => {
      const at = channelOf(channel)
      if (at === undefined) return { error: 'channel_not_found' }
      if (typeof user !== 'string' || user === '') return { error: 'user_not_in_channel' }
      if (text === '') return { error: 'no_text' }
      this.ephemerals.push({ channel: at, user, text: String(text) })
      return { message_ts: `${++this.#count}.0` }
    },

    'views.open': ({ trigger_id: id, view }) => {
      const trigger = this.#triggers.get(String(id))
      if (!trigger) return { error: 'invalid_trigger_id' }
      this.#triggers.delete(String(id))
      if (this.#clock.now() - trigger.at > TRIGGER_MS) return { error: 'expired_trigger_id' }
      const wrong = wrongView(view)
      if (wrong) return { error: wrong }
      const opened = { ...(view as SlackView), id: `V${++this.#count}`, user: trigger.user }
      this.views.push(opened)
      return { view: { id: opened.id } }
    },

    'usergroups.users.list': ({ usergroup }) => {
      const users = this.groups.get(String(usergroup))
      return users ? { users } : { error: 'no_such_subteam' }
    },
  }
}

/** The button of a message with this `action_id`, as it would be sent back. */
export function buttonOf(message: SlackMessage, action: string): Json | undefined {
  for (const block of message.blocks) {
    const { type, elements } = objectOf(block)
    if (type !== 'actions' || !Array.isArray(elements)) continue
    const found = elements.map(objectOf).find((element) => element.action_id === action)
    if (found) return found
  }
  return undefined
}

/** A channel by its id; the id of one that is named `#so`. */
function channelOf(channel: unknown): string | undefined {
  if (typeof channel !== 'string' || channel === '') return undefined
  return channel.startsWith('#')
    ? `C${channel
        .slice(1)
        .toUpperCase()
        .replace(/[^A-Z0-9]/g, '')}`
    : channel
}
