/** Who has to say yes, and what their saying comes to. Pure: rows and clocks are other rooms'. */
import type { ApprovalTerm, Say, SayRefusal } from '../../approvers/approver.ts'
import { parseDuration } from '../../duration.ts'
import { hashOf } from '../policy/compile.ts'
import type { Rule } from '../policy/policy.ts'

/** A reason why a person has to decide: a rule that asks, a guard, or the policy's default. */
export type Asking = Pick<Rule, 'id' | 'approvers' | 'quorum' | 'timeout' | 'grant'> & {
  /** Of the policy, where a condition is a function: no hash sees into it. */
  readonly version?: string | number
}

/** Rules as what asks. */
export function askingOf(rules: readonly Rule[], version: string | number | undefined): readonly Asking[] {
  return rules.map((rule) => (version !== undefined && holdsFunction(rule) ? { ...rule, version } : rule))
}

function holdsFunction(part: unknown): boolean {
  if (typeof part === 'function') return true
  return typeof part === 'object' && part !== null && Object.values(part).some(holdsFunction)
}

/** One for each of them: every one has to have its yes. */
export function termsOf(asking: readonly Asking[]): readonly ApprovalTerm[] {
  return asking.map(({ id, approvers, quorum = 1 }) => ({ rule: id, quorum, ...(approvers ? { approvers } : {}) }))
}

/** Names what asks, with everything that it says: a yes to other rules, or to what they said before, is no yes. */
export function askingHash(asking: readonly Asking[]): string {
  return hashOf([...asking].sort((a, b) => (a.id < b.id ? -1 : 1)))
}

/** How long people have: the shortest of what the rules say, or else `standard`. */
export function timeoutOf(asking: readonly Asking[], standard: number): number {
  const said = asking.flatMap(({ timeout }) => (timeout === undefined ? [] : [parseDuration(timeout, 'timeout')]))
  return said.length > 0 ? Math.min(...said) : standard
}

/** The grant that may be given: only if everything that asks allows one, for the shortest time, with all they name. */
export function grantOf(asking: readonly Asking[]): { forMs: number; args: readonly string[] } | undefined {
  const grants = asking.map(({ grant }) => grant)
  if (grants.length === 0 || !grants.every((grant) => grant !== undefined)) return undefined
  const forMs = Math.min(...grants.map((grant) => parseDuration(grant.for, 'grant.for')))
  return { forMs, args: [...new Set(grants.flatMap(({ args }) => args))].sort() }
}

/** What somebody has said, as it is kept. */
export interface Vote {
  readonly by: string
  readonly at: number
  readonly approve: boolean
  readonly reason?: string
  /** The rules it counts for. */
  readonly rules: readonly string[]
  /** What it was said of. */
  readonly digest: string
  /** It is also a yes to all calls of the same kind. */
  readonly grant?: true
}

/** What a decision is made on. */
export interface Question {
  readonly terms: readonly ApprovalTerm[]
  readonly requester: readonly string[]
  readonly votes: readonly Vote[]
  readonly digest: string
}

/**
 * The rules that a person's word counts for, or why it counts for none. Names stand with their channel (`slack:U123`:
 * only through it) or without (`U123`: through any).
 */
export function countsFor(
  { terms, requester, votes, digest }: Question,
  say: Pick<Say, 'approve' | 'by' | 'groups'>,
): readonly string[] | SayRefusal {
  const { by, groups = [], approve } = say
  // Invariant: nobody decides what they have asked for, in whichever way they come.
  if (requester.some((one) => samePerson(one, by))) return 'self-approval'
  const rules = terms.filter(({ approvers }) => !approvers || names(approvers, [by, ...groups])).map(({ rule }) => rule)
  if (rules.length === 0) return 'not-approver'
  const voted = votes.some((vote) => vote.digest === digest && vote.approve === approve && samePerson(vote.by, by))
  return voted ? 'voted' : rules
}

/** What has been decided by now. One no is enough; a yes needs every rule's own number of different people. */
export function tally({ terms, votes, digest }: Omit<Question, 'requester'>): 'approved' | 'denied' | undefined {
  // What was said of other arguments is no word on these.
  const valid = votes.filter((vote) => vote.digest === digest)
  if (valid.some(({ approve }) => !approve)) return 'denied'
  const enough = ({ rule, quorum }: ApprovalTerm) => {
    const people: string[] = []
    for (const { by, rules } of valid) {
      if (rules.includes(rule) && !people.some((one) => samePerson(one, by))) people.push(by)
    }
    return people.length >= quorum
  }
  return terms.every(enough) ? 'approved' : undefined
}

function names(approvers: readonly string[], people: readonly string[]): boolean {
  return people.some((one) => approvers.some((name) => name === one || name === bare(one)))
}

/** By name, whichever channel they come through: in doubt two names are one person. */
function samePerson(one: string, other: string): boolean {
  return looks(one) === looks(other)
}

function looks(name: string): string {
  return bare(name).normalize('NFKC').trim().toLowerCase()
}

function bare(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}
