/**
 * What stands behind a channel in its own tests: approvals in memory, changed one after the other by their version, and
 * the rules of deciding as far as a channel sees them. What a haldir does is tested with a haldir.
 */
import { randomBytes } from 'node:crypto'
import type { Amount } from '@haldir/core'
import { type FakeClock, fakeClock } from '@haldir/testing/clock'
import type {
  Approval,
  ApprovalVote,
  Approver,
  ApproverPort,
  Said,
  Say,
  SayRefusal,
} from '../packages/core/src/approvers/approver.ts'
import { Unavailable } from '../packages/core/src/errors.ts'

export type Rejected = Parameters<ApproverPort['reject']>[0]

export interface Desk {
  readonly clock: FakeClock
  readonly port: ApproverPort
  /** What counted for nothing before anybody was asked. */
  readonly rejected: readonly Rejected[]
  /** Everything that was handed over, and what came of it. */
  readonly said: readonly { readonly id: string; readonly say: Say; readonly said: Said }[]
  /** A pending approval; five minutes are given for it. */
  ask(what?: Partial<Approval>): Approval
  get(id: string): Approval
  /** Changes an approval from outside: a decision elsewhere, the end of its time, a revoked session. */
  set(id: string, change: Partial<Approval>): void
  /** Shows what has changed since it was shown, as a haldir does. Rejects when the channel does; then it is still due. */
  show(approver: Approver, signal?: AbortSignal): Promise<void>
  /** The store does not answer any more: for ever, or by refusing. */
  fails(how: 'refuses' | 'hangs' | undefined): void
}

export function desk(clock: FakeClock = fakeClock()): Desk {
  const rows = new Map<string, { approval: Approval; version: number; shown: number }>()
  const notes = new Map<string, unknown>()
  const rejected: Rejected[] = []
  const said: { id: string; say: Say; said: Said }[] = []
  let broken: 'refuses' | 'hangs' | undefined
  let count = 0

  const reach = async () => {
    if (broken === 'refuses') throw new Unavailable('`store.approval` did not answer')
    if (broken === 'hangs') await new Promise(() => {})
  }
  const row = (id: string) => {
    const found = rows.get(id)
    if (!found) throw new Error(`there is no approval \`${id}\``)
    return found
  }
  const change = (id: string, version: number, what: Partial<Approval>): boolean => {
    const found = row(id)
    if (found.version !== version) return false
    rows.set(id, { ...found, version: version + 1, approval: { ...found.approval, ...what } })
    return true
  }
  const say = async (id: string, given: Say): Promise<Said> => {
    await reach()
    const found = rows.get(id)
    if (!found) return no('unknown')
    const { approval, version } = found
    const refused = refusalOf(approval, given, clock.now())
    if (refused) return no(refused, approval)
    // Another may say something meanwhile: then it is looked at again, as it is by now.
    await reach()
    if (!change(id, version, after(approval, given, clock.now()))) return say(id, given)
    return { ok: true, approval: row(id).approval }
  }
  const port: ApproverPort = {
    async say(id, given) {
      const answer = await say(id, given)
      said.push({ id, say: given, said: answer })
      return answer
    },
    async get(id) {
      await reach()
      return rows.get(id)?.approval
    },
    async note(id) {
      await reach()
      return notes.get(id)
    },
    async reject(what) {
      rejected.push(what)
    },
    clock,
    random: (bytes) => randomBytes(bytes),
  }
  return {
    clock,
    port,
    rejected,
    said,
    ask(what = {}) {
      const id = what.id ?? `approval-${++count}`
      const args = what.args ?? { amount: 29.99, to: 'alice' }
      const approval: Approval = {
        id,
        state: 'pending',
        tenant: 'acme',
        session: 'session-1',
        agent: 'order-bot',
        tool: 'charge',
        digest: `${count}`.padStart(64, 'd'),
        reason: 'payments need a person',
        terms: [{ rule: 'big-payments', quorum: 1 }],
        args,
        argsText: JSON.stringify(args, null, 2),
        cost: [] as Amount[],
        left: [] as Amount[],
        requester: ['order-bot'],
        votes: [],
        edited: false,
        createdAt: new Date(clock.now()),
        expiresAt: new Date(clock.now() + 300_000),
        ...what,
      }
      rows.set(id, { approval, version: 1, shown: 0 })
      return approval
    },
    get: (id) => row(id).approval,
    set(id, what) {
      change(id, row(id).version, what)
    },
    async show(approver, signal = new AbortController().signal) {
      for (const [id, { approval, version, shown }] of rows) {
        if (shown === version) continue
        const note = await approver.show(approval, notes.get(id), signal)
        if (note !== undefined) notes.set(id, note)
        // JSON data, as a store keeps it.
        notes.set(id, notes.has(id) ? JSON.parse(JSON.stringify(notes.get(id))) : undefined)
        rows.set(id, { ...row(id), shown: version })
      }
    },
    fails(how) {
      broken = how
    },
  }
}

const SENTENCES: Readonly<Record<SayRefusal, string>> = {
  unknown: 'There is no such approval.',
  decided: 'It has been decided already.',
  expired: 'Its time is over.',
  'not-approver': 'The rule names others.',
  'self-approval': 'Nobody decides on what they have asked for.',
  voted: 'You have decided already.',
  'other-digest': 'It has been changed since it was shown to you.',
  invalid: 'That can not be decided.',
}

function no(refused: SayRefusal, approval?: Approval): Said {
  return { ok: false, refused, why: SENTENCES[refused], ...(approval ? { approval } : {}) }
}

function refusalOf(approval: Approval, { by, digest, groups = [] }: Say, now: number): SayRefusal | undefined {
  const { state, expiresAt, requester, votes, terms } = approval
  if (state === 'expired' || (state === 'pending' && now >= expiresAt.getTime())) return 'expired'
  if (state !== 'pending') return 'decided'
  if (digest !== approval.digest) return 'other-digest'
  if (requester.includes(by)) return 'self-approval'
  if (votes.some((vote) => vote.by === by)) return 'voted'
  const names = new Set([by, by.replace('slack:', ''), ...groups, ...groups.map((one) => one.replace('slack:', ''))])
  const may = terms.some(({ approvers }) => !approvers || approvers.some((one) => names.has(one)))
  return may ? undefined : 'not-approver'
}

function after(approval: Approval, { by, approve, reason, grant }: Say, now: number): Partial<Approval> {
  const vote: ApprovalVote = { by, approve, at: new Date(now), ...(reason === undefined ? {} : { reason }) }
  const votes = [...approval.votes, vote]
  const enough = votes.filter((one) => one.approve).length >= Math.max(...approval.terms.map(({ quorum }) => quorum))
  if (approve && !enough) return { votes }
  const until = grant && approval.grant ? { ...approval.grant, until: new Date(now + approval.grant.forMs) } : undefined
  const ended = { votes, decidedAt: new Date(now), ...(until ? { grant: until } : {}) }
  return { ...ended, state: approve ? 'approved' : 'denied' }
}
