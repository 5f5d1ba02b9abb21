/** What a receiver is told: how an approval stands now. */
import { hash } from 'node:crypto'
import type { Message } from '../standard-webhooks.ts'
import type { Approval } from './approver.ts'
import type { DecisionLinks, LinkPair } from './webhook-links.ts'

export type WebhookEventType =
  | 'approval.requested'
  | 'approval.voted'
  | 'approval.approved'
  | 'approval.denied'
  | 'approval.expired'
  | 'approval.withdrawn'

/** The body of a message, as JSON has it: times are ISO 8601, amounts `{ unit, amount }` with a decimal text. */
export interface WebhookEvent {
  readonly type: WebhookEventType
  /** When it happened; when it is sent stands in the headers. */
  readonly timestamp: string
  readonly data: {
    readonly approval: Approval
    /** While it is pending, and nobody in particular is named who decides. */
    readonly links?: LinkPair
    /** While it is pending: each of those who may decide, with links that decide in his name. */
    readonly approvers?: readonly { readonly by: string; readonly links: LinkPair }[]
  }
}

export function eventOf(
  channel: string,
  approval: Approval,
  links: DecisionLinks | undefined,
  approvers: readonly string[] | undefined,
): Message {
  const { id, state, digest, votes } = approval
  const type: WebhookEventType =
    state !== 'pending' ? `approval.${state}` : votes.length > 0 ? 'approval.voted' : 'approval.requested'
  const event: WebhookEvent = {
    type,
    timestamp: happenedAt(approval).toISOString(),
    data: { approval, ...(links && state === 'pending' ? linksOf(approval, links, approvers) : {}) },
  }
  // Of the approval and what is told of it, so whoever sends it again sends it under the same id.
  const told = JSON.stringify([channel, id, type, digest, votes.length])
  return { id: `msg_${hash('sha256', told, 'base64url')}`, body: JSON.stringify(event) }
}

function linksOf(approval: Approval, links: DecisionLinks, approvers: readonly string[] | undefined) {
  if (!approvers) return { links: links.pair(approval) }
  return { approvers: approvers.map((by) => ({ by, links: links.pair(approval, by) })) }
}

function happenedAt({ state, votes, createdAt, decidedAt, expiresAt }: Approval): Date {
  if (state === 'pending') return votes.at(-1)?.at ?? createdAt
  return decidedAt ?? (state === 'expired' ? expiresAt : createdAt)
}
