/** What people are told of an approval beside its arguments, in the order in which it matters to them. */
import { printable } from '../printable.ts'
import type { Approval, ApprovalTerm, ApprovalVote } from './approver.ts'

/** Label and text; in the text nothing acts or hides. What there is nothing to say of is left out. */
export type Fact = readonly [label: string, text: string]

export function factsOf(approval: Approval): readonly Fact[] {
  const { id, agent, tenant, tool, cost, left, reason, requester, terms, votes, edited, expiresAt } = approval
  const others = requester.filter((name) => name !== agent)
  const all: readonly Fact[] = [
    ['Agent', agent],
    ['Tenant', tenant],
    ['Tool', tool],
    ['Cost', cost.map(String).join(', ')],
    ['Budget left', left.map(String).join(', ')],
    ['Why', reason],
    ['Asked for by', others.join(', ')],
    ['Needed', terms.map(neededOf).join('; ')],
    ['Said so far', votes.map(saidOf).join('; ')],
    ['Changed', edited ? 'an approver has changed the arguments' : ''],
    ['Until', timeOf(expiresAt)],
    ['Approval', id],
  ]
  return all.filter(([, text]) => text !== '').map(([label, text]) => [label, shown(text)])
}

/** What has become of it, as a sentence without its end. */
export function endOf({ state, votes, decidedAt }: Approval): string {
  if (state === 'pending') return 'it is not decided yet'
  if (state === 'expired') return 'it expired: nobody decided in time'
  if (state === 'withdrawn') return 'it was withdrawn: the call does not wait any more'
  const people = votes.filter(({ approve }) => approve === (state === 'approved'))
  const by = people.length > 0 ? ` by ${people.map(({ by }) => shown(by)).join(', ')}` : ''
  const reason = people.flatMap((vote) => vote.reason ?? []).at(-1)
  return `it was ${state}${by}${decidedAt ? ` at ${timeOf(decidedAt)}` : ''}${reason ? `: ${shown(reason)}` : ''}`
}

/** Any text, whole, on one line that does nothing. */
export function shown(text: string): string {
  return printable(text, Number.POSITIVE_INFINITY)
}

/** To the second, in UTC. */
export function timeOf(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

function neededOf({ rule, approvers, quorum }: ApprovalTerm): string {
  const of = approvers ? ` of ${approvers.join(', ')}` : ''
  return `${quorum}${of || (quorum === 1 ? ' person' : ' people')} (${rule})`
}

function saidOf({ by, approve, reason }: ApprovalVote): string {
  return `${approve ? 'yes' : 'no'} by ${by}${reason ? `, ${reason}` : ''}`
}
