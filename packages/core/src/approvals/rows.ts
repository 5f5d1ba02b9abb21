/** What core keeps in the row of an approval, and what people and applications see of it. */
import type { Approval } from '../approvers/approver.ts'
import { argsText, plain } from '../gate/approvals/binding.ts'
import { askingHash, grantOf, termsOf, type Vote } from '../gate/approvals/terms.ts'
import type { Session } from '../gate/sessions.ts'
import { type Amount, amount } from '../money.ts'
import type { Ask, House, Pass } from '../pass.ts'
import type { ApprovalRow } from '../stores/approvals.ts'
import type { SealedText } from '../vault/vault.ts'
import { callFragment, type Draft, sessionFragment, toolFragment } from '../watch/chain.ts'

interface KeptAmount {
  readonly unit: string
  readonly amount: string
}

/** The `data` of a row. */
export interface Kept {
  /** The call that has asked; in `wait` also that of the hold. */
  readonly call: string
  /** The framework's own id of it, as entries have it. */
  readonly ref?: string
  readonly waiting: 'wait' | 'suspend'
  readonly chain: readonly string[]
  readonly toolHash?: string
  readonly digest: string
  readonly digestKey: string
  /** Hash of the rules that ask. */
  readonly rules: string
  readonly policyHash?: string
  readonly reason: string
  readonly terms: Approval['terms']
  readonly requester: readonly string[]
  readonly votes: readonly Vote[]
  /** Redacted, as plain JSON data. */
  readonly args: unknown
  readonly cost: readonly KeptAmount[]
  readonly left: readonly KeptAmount[]
  readonly grant?: { readonly forMs: number; readonly args: readonly string[] }
  readonly resume?: unknown
  /** The arguments themselves, for the one who resumes the call. */
  readonly sealed?: SealedText
  /** What an approver wants to run instead. `was`: the digest of what was asked for. */
  readonly edited?: { readonly was: string; readonly sealed: SealedText }
}

export function keptIn(row: ApprovalRow): Kept {
  return row.data as unknown as Kept
}

/** The part of it that is the question itself. */
export type Asked = Omit<Kept, 'call' | 'ref' | 'waiting' | 'args' | 'cost' | 'left' | 'resume' | 'sealed' | 'edited'>

/** What is the same for every approval of a call: who has to say yes, to what. */
export function askedOf({ ask, session, tool, digest, belongings, policyHash }: Pass): Asked {
  const { reason, asking, rules = askingHash(asking) } = ask as Ask
  const grant = grantOf(asking)
  return {
    chain: session.chain,
    ...(tool.hash === undefined ? {} : { toolHash: tool.hash }),
    digest: digest as string,
    digestKey: belongings?.digestKey.id as string,
    rules,
    ...(policyHash === undefined ? {} : { policyHash }),
    reason,
    terms: termsOf(asking),
    requester: requestersOf(session.leaves.map(({ facts }) => facts)),
    votes: [],
    ...(grant ? { grant } : {}),
  }
}

/** Arguments as people see them: without the secrets that the session knows. */
export function redactedArgs(house: House, session: Session | undefined, args: unknown): unknown {
  const redactor = session && house.belongings.get(session)?.redactor
  const shown = plain(args)
  return redactor ? redactor.value(shown).value : shown
}

/** The agents of a chain, and whom their sessions' `requester` attributes name. */
function requestersOf(
  identities: readonly { readonly agent: string; readonly attributes: Readonly<Record<string, unknown>> }[],
): readonly string[] {
  const named = identities.flatMap(({ agent, attributes: { requester } }) => [agent, requester].flat())
  return [...new Set(named.filter((one) => typeof one === 'string'))]
}

export function keptAmounts(amounts: readonly Amount[]): readonly KeptAmount[] {
  return amounts.map(({ unit, decimal }) => ({ unit, amount: decimal }))
}

function amountsIn(kept: readonly KeptAmount[]): readonly Amount[] {
  return kept.map(({ unit, amount: decimal }) => amount(unit, decimal))
}

/** What people have said of the arguments as they are now: a word on other ones is none on these. */
function validVotes(row: ApprovalRow): readonly Vote[] {
  const { votes, digest } = keptIn(row)
  return votes.filter((vote) => vote.digest === digest)
}

/** Who has decided it, for the trail. */
export function decidersOf(row: ApprovalRow): readonly string[] {
  return validVotes(row).flatMap(({ by, approve }) => (approve === (row.state === 'approved') ? [by] : []))
}

/** An approval as it is shown. */
export function shownApproval(row: ApprovalRow, url: ((id: string) => string) | undefined): Approval {
  const { id, state, tenant, session, agent, tool, createdAt, expiresAt, decidedAt, usedBy, usedAt } = row
  const { ref, digest, reason, terms, requester, args, cost, left, grant, resume, edited } = keptIn(row)
  const until = row.grant?.until
  return Object.freeze({
    id,
    state,
    tenant,
    session,
    agent,
    tool,
    ...(ref === undefined ? {} : { ref }),
    digest,
    reason,
    terms,
    args,
    argsText: argsText(args),
    cost: amountsIn(cost),
    left: amountsIn(left),
    requester,
    votes: validVotes(row).map((vote) => ({
      by: vote.by,
      approve: vote.approve,
      at: new Date(vote.at),
      ...(vote.reason === undefined ? {} : { reason: vote.reason }),
    })),
    ...(grant ? { grant: { ...grant, ...(until === undefined ? {} : { until: new Date(until) }) } } : {}),
    edited: edited !== undefined,
    createdAt: new Date(createdAt),
    expiresAt: new Date(expiresAt),
    ...(decidedAt === undefined ? {} : { decidedAt: new Date(decidedAt) }),
    ...(usedBy === undefined ? {} : { usedBy }),
    ...(usedAt === undefined ? {} : { usedAt: new Date(usedAt) }),
    ...(resume === undefined ? {} : { resume }),
    ...(url ? { url: url(id) } : {}),
  })
}

/** An entry about an approval, by whoever has the row: maybe long after, in another process. */
export function draftOf(row: ApprovalRow, type: Draft['type'], data: Record<string, unknown>): Draft {
  const { tenant, agent, session, tool, id: approval } = row
  const { chain, call, ref, digest, digestKey, toolHash } = keptIn(row)
  return {
    type,
    session: sessionFragment({ tenant, agent, id: session, chain }),
    call: callFragment({ id: call, ref, digest }, toolFragment({ name: tool, hash: toolHash }), digestKey),
    data: { approval, ...data },
  }
}

/** How often a change that another one came before is tried again. */
export const TRIES = 32
