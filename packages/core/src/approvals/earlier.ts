/**
 * Calls that nobody has to decide about, but that people were asked about when they came before: the policy is another
 * one by now, and a framework goes on with what it has kept. What was asked of such a call decides it all the same.
 */
import type { Pass } from '../pass.ts'
import type { ApprovalRow } from '../stores/approvals.ts'
import type { Approvals } from './approvals.ts'
import { refOf, waitingOf } from './asking.ts'
import { keptIn } from './rows.ts'

/** Whether a framework may have kept this call while people were asked. */
export function mayComeBack({ request, house, tool }: Pass): boolean {
  return request.ref !== undefined && !!house.approvals && waitingOf({ house, tool }) === 'suspend'
}

/**
 * What decides such a call; nothing, where nobody was asked about it.
 *
 * Invariant: it runs once, however often it is sent again. A yes is used up, and a question that is still open is ended by
 * the one who goes on without an answer.
 */
export async function earlierOf(pass: Pass, approvals: Approvals): Promise<ApprovalRow | undefined> {
  const digest = pass.digest as string
  const row = await askedUnder(pass, approvals, digest)
  if (!row || !isFor(row, digest)) return undefined
  // Another tool is another call; but what has run does not run again.
  if (row.usedBy === undefined && keptIn(row).toolHash !== pass.tool.hash) return undefined
  if (row.state !== 'pending') return row
  const ended = await approvals.withdraw(row.id, 'nobody has to decide it any more')
  return ended ? undefined : approvals.row(row.id)
}

/**
 * What was asked under the name that a framework has for this call. Models use names again: where there are several, that
 * which was asked of this call, else the newest.
 */
export async function askedUnder(
  { request, session, tool }: Pass,
  approvals: Approvals,
  digest: string,
): Promise<ApprovalRow | undefined> {
  const query = { session: session.id, tool: tool.name, ref: refOf(request.ref as string) }
  const newest = await approvals.ask((verbs) => verbs.find(query), 'find')
  if (!newest || isFor(newest, digest)) return newest
  const all = await approvals.ask((verbs) => verbs.list({ session: session.id, limit: 1_000 }), 'list')
  return all.find((row) => row.tool === query.tool && row.ref === query.ref && isFor(row, digest)) ?? newest
}

/** Whether it was asked of a call with this digest, whatever an approver has made of that. */
export function isFor(row: ApprovalRow, digest: string): boolean {
  const kept = keptIn(row)
  return kept.digest === digest || kept.edited?.was === digest
}
