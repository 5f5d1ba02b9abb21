/** Brings the card of an approval up to date: posts it, or edits the one that was posted. */
import { Unavailable } from '../../errors.ts'
import type { Approval } from '../approver.ts'
import { type Answer, refusedBy, type SlackApi } from './api.ts'
import { type Card, cardOf } from './card.ts'

/** Where a card is. */
export interface CardNote {
  readonly channel: string
  readonly ts: string
}

/** Slack takes the card for too large, or for wrong: a plainer one may pass. */
const MISFIT = new Set(['invalid_blocks', 'invalid_blocks_format', 'msg_blocks_too_long', 'msg_too_long'])
/** The card is gone, or can't be edited any more: that will not change. */
const GONE = new Set([
  'message_not_found',
  'cant_update_message',
  'edit_window_closed',
  'channel_not_found',
  'is_archived',
  'is_inactive',
])
/** Nothing in a card is turned into a mention, a link or a preview. */
const INERT = { parse: 'none', link_names: false, unfurl_links: false, unfurl_media: false }

/** Answers where a new card is. Rejects when it should be tried again. */
export async function showCard(
  api: SlackApi,
  channel: string,
  approval: Approval,
  note: unknown,
  signal: AbortSignal,
): Promise<CardNote | undefined> {
  const at = readNote(note)
  // Nobody has seen it, and there is nothing to decide any more.
  if (!at && approval.state !== 'pending') return undefined
  const method = at ? 'chat.update' : 'chat.postMessage'
  const send = (card: Card): Promise<Answer> =>
    api.call(method, at ? { ...at, ...card, parse: 'none', link_names: false } : { channel, ...card, ...INERT }, signal)
  let told = await send(cardOf(approval))
  if (!told.ok && MISFIT.has(told.error)) told = await send(cardOf(approval, true))
  if (!told.ok) {
    if (at && GONE.has(told.error)) return undefined
    throw refusedBy(method, told.error)
  }
  if (at) return undefined
  const posted = readNote(told.answer)
  if (!posted) throw new Unavailable(`\`${method}\` answered nonsense`)
  return posted
}

export function readNote(note: unknown): CardNote | undefined {
  const { channel, ts } = (note ?? {}) as { channel?: unknown; ts?: unknown }
  return typeof channel === 'string' && typeof ts === 'string' ? { channel, ts } : undefined
}
