/** What Slack sends when somebody clicks, or submits the form for a reason. Read only after its signature was verified. */

/** Fixed, so that cards which were posted by earlier versions still work. */
export const ACTIONS = {
  approve: 'haldir_approve',
  deny: 'haldir_deny',
  reason: 'haldir_deny_reason',
  grant: 'haldir_grant',
  view: 'haldir_view',
} as const
export const REASON_BLOCK = 'reason'

/** What a button or a form is about. */
export interface Target {
  readonly id: string
  readonly digest: string
  /** Where the card is that a form was opened from. */
  readonly channel?: string
}

export interface Click {
  readonly kind: 'click'
  readonly action: 'approve' | 'deny' | 'reason' | 'grant'
  readonly user: string
  /** `undefined`: the button does not say what it is about. */
  readonly target: Target | undefined
  /** Where it was clicked. */
  readonly channel: string | undefined
  /** The message it was clicked on, by the time that Slack knows it by. */
  readonly ts: string | undefined
  /** Lets a form be opened, for three seconds. */
  readonly trigger: string | undefined
  /** The workspace it came from. Of a shared channel there are several. */
  readonly team: string | undefined
}

export interface Submission {
  readonly kind: 'submission'
  readonly user: string
  readonly target: Target | undefined
  readonly reason: string
  readonly team: string | undefined
}

/** `undefined`: it makes no sense. `other`: it is not meant for an approver. */
export type Interaction = Click | Submission | { readonly kind: 'other' }

type Json = Readonly<Record<string, unknown>>

/** Reads the body, a form with one field `payload`. */
export function readInteraction(body: Uint8Array): Interaction | undefined {
  const payload = objectIn(new URLSearchParams(new TextDecoder().decode(body)).get('payload'))
  if (!payload) return undefined
  const { type } = payload
  if (typeof type !== 'string') return undefined
  if (type === 'block_actions') return readClick(payload)
  if (type === 'view_submission') return readSubmission(payload)
  return { kind: 'other' }
}

function readClick(payload: Json): Interaction | undefined {
  const { actions, user, channel, container, team, trigger_id: trigger } = payload
  if (!Array.isArray(actions)) return undefined
  const names = Object.entries(ACTIONS).filter(([name]) => name !== 'view')
  for (const action of actions.map(objectOf)) {
    const [name] = names.find(([, id]) => id === action?.action_id) ?? []
    if (name === undefined) continue
    const who = userOf(user)
    if (who === undefined) return undefined
    return {
      kind: 'click',
      action: name as Click['action'],
      user: who,
      target: readTarget(action?.value),
      channel: textOf(objectOf(channel)?.id) ?? textOf(objectOf(container)?.channel_id),
      ts: textOf(objectOf(container)?.message_ts),
      trigger: textOf(trigger),
      team: textOf(objectOf(team)?.id),
    }
  }
  return { kind: 'other' }
}

function readSubmission({ view, user, team }: Json): Interaction | undefined {
  const { callback_id: callback, private_metadata: about, state } = objectOf(view) ?? {}
  if (callback !== ACTIONS.reason) return { kind: 'other' }
  const who = userOf(user)
  if (who === undefined) return undefined
  const block = objectOf(objectOf(objectOf(state)?.values)?.[REASON_BLOCK])
  const reason = textOf(objectOf(block?.[REASON_BLOCK])?.value) ?? ''
  return { kind: 'submission', user: who, target: readTarget(about), reason, team: textOf(objectOf(team)?.id) }
}

export function writeTarget(target: Target): string {
  return JSON.stringify(target)
}

function readTarget(value: unknown): Target | undefined {
  const { id, digest, channel } = objectIn(value) ?? {}
  if (typeof id !== 'string' || typeof digest !== 'string' || id === '' || digest === '') return undefined
  return typeof channel === 'string' ? { id, digest, channel } : { id, digest }
}

/** Never what somebody is called, nor of which workspace: names change, and a user of a shared channel has several. */
function userOf(user: unknown): string | undefined {
  const id = objectOf(user)?.id
  return typeof id === 'string' && /^[UW][A-Z0-9]{1,40}$/.test(id) ? id : undefined
}

function objectIn(text: unknown): Json | undefined {
  try {
    return typeof text === 'string' ? objectOf(JSON.parse(text)) : undefined
  } catch {
    return undefined
  }
}

function objectOf(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null ? (value as Json) : undefined
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
