/**
 * The turn that a call takes between 3 and 4 when a person has to decide: an approval for exactly this call is found,
 * or asked for; and after a yes everything is judged again, by today's policy. Step 4 uses the approval up.
 */
import { misfitOf } from '../adapter/misfit.ts'
import { stillLive } from '../before.ts'
import { Hostile, type Snapshot, snapshot } from '../call.ts'
import { ASKED, Denied, Suspended } from '../errors.ts'
import { bindingOf, fromCanonical } from '../gate/approvals/binding.ts'
import { askingHash } from '../gate/approvals/terms.ts'
import type { ApprovalStatus, Identity } from '../governor.ts'
import { nobodyToAsk, sentence } from '../judge.ts'
import { judged } from '../judging.ts'
import { type Ask, type House, type Pass, type Refusal, shownBy } from '../pass.ts'
import type { ApprovalRow } from '../stores/approvals.ts'
import type { Charge } from '../stores/store.ts'
import type { Approvals } from './approvals.ts'
import { boundTo, type Question, questionOf, refOf, request, wait, waitingOf } from './asking.ts'
import { askedUnder, earlierOf, isFor } from './earlier.ts'
import { decidersOf, keptIn } from './rows.ts'

/** Invariant: a broken store, trail or key refuses. */
const UNASKED: Refusal = { code: 'unavailable', reason: 'whether a person has approved this call can not be told' }

/** How often other rules may come to ask while people decide. */
const MOST_TURNS = 3

/** Answers why the call does not go on now. */
export async function decide(pass: Pass): Promise<Refusal | undefined> {
  const { approvals } = pass.house
  if (!approvals) return nobodyToAsk(pass)
  try {
    const { ask, request } = pass
    const asks = ask !== undefined || request.approval !== undefined
    const earlier = asks ? undefined : await earlierOf(pass, approvals)
    if (!asks && !earlier) return undefined
    pass.ask ??= askOf(earlier ?? (await approvals.row(request.approval as string)))
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      const question = questionOf(pass)
      const answered = await answerTo(pass, approvals, question, turn === 0, earlier)
      if ('code' in answered) return answered
      const { row, grant } = answered
      const unusable = grant ? undefined : ((await whyNot(pass, approvals, row)) ?? (await takeEdits(pass, row)))
      if (unusable) return unusable
      const { charges } = pass
      pass.ask = undefined
      // Invariant: a yes does not outlive the session, and today's rules judge again.
      const denied = stillLive(pass.session) ?? (await judged(pass))
      if (denied) return denied
      if (pass.holding && !sameCharges(charges, pass.charges)) await beginAnew(pass)
      const { asked, grantBinding } = question
      const asking = pass.ask as Ask | undefined
      if (asking && askingHash(asking.asking) !== asked.rules) {
        // Others ask now: they are asked as well.
        await beginAnew(pass)
        continue
      }
      const { session, tool, digest } = pass
      pass.approvers = decidersOf(row)
      pass.consent = grant
        ? { id: row.id, binding: grantBinding as string, grant: true }
        : { id: row.id, binding: bindingOf({ ...asked, digest: digest as string, ...boundTo(session, tool) }) }
      return undefined
    }
  } catch (error) {
    pass.house.faults.note('approvals', error)
    return UNASKED
  }
  return { code: 'approval-unavailable', reason: 'who has to approve this call keeps changing' }
}

/** What became of a question that was put ahead of a call. */
export type Posed = 'asked' | 'granted' | 'over'

/**
 * For a framework that pauses by itself: makes sure that people are asked, without going on. Answers `asked` when they
 * are now, or have said yes to what has not run yet; `granted` when somebody has said yes to all calls of this kind;
 * `over` when it has ended in another way: nobody will decide it any more; else why they can't be asked.
 */
export async function pose(pass: Pass, approvals: Approvals): Promise<Posed | Refusal> {
  try {
    const answered = await answerTo(pass, approvals, questionOf(pass), true)
    if ('code' in answered) return answered.suspended ? 'asked' : answered
    if (answered.grant) return 'granted'
    return isOpen(answered.row, pass.house.clock.now()) ? 'asked' : 'over'
  } catch (error) {
    pass.house.faults.note('approvals', error)
    return UNASKED
  }
}

/** Nothing asks any more. What is resumed uses its yes up all the same, so that it runs once. */
function askOf(row: ApprovalRow | undefined): Ask {
  if (!row) return { rule: 'approval', reason: 'a person has to decide', asking: [] }
  const { reason, rules, terms } = keptIn(row)
  return { rule: terms[0]?.rule ?? 'approval', reason, asking: [], rules }
}

interface Answered {
  readonly row: ApprovalRow
  readonly grant: boolean
}

/** The approval of this call, decided or over; or why the call does not go on now. */
async function answerTo(
  pass: Pass,
  approvals: Approvals,
  question: Question,
  first: boolean,
  earlier?: ApprovalRow,
): Promise<Answered | Refusal> {
  // Invariant: what was asked of a call decides it, once. A grant is for calls that nobody was asked about.
  const known = (first && earlier) || (await find(pass, approvals, question, first))
  if (known && 'code' in known) return known
  if (known) return known.state === 'pending' ? paused(pass, known) : { row: known, grant: false }
  const { grantBinding } = question
  const { id: session } = pass.session
  if (grantBinding !== undefined) {
    const granted = await approvals.ask((verbs) => verbs.find({ session, grant: grantBinding }), 'find')
    if (granted) return { row: granted, grant: true }
  }
  const row = await request(pass, approvals, question)
  if ('code' in row) return row
  if (waitingOf(pass) === 'suspend') return paused(pass, row)
  const decided = await wait(pass, approvals, row)
  return 'code' in decided ? decided : { row: decided, grant: false }
}

/** What was asked of this very call before: by the approval it is resumed with, or as its framework calls it. */
async function find(
  pass: Pass,
  approvals: Approvals,
  question: Question,
  first: boolean,
): Promise<ApprovalRow | Refusal | undefined> {
  const { request, session, tool, house } = pass
  const { asked, binding } = question
  if (request.approval !== undefined && first) {
    const row = await approvals.row(request.approval)
    if (row?.session !== session.id || row.tool !== tool.name || !isFor(row, asked.digest)) {
      return mismatch(approvals, request.approval)
    }
    const open = row.state === 'pending' || isOpen(row, house.clock.now())
    if (!open || keptIn(row).rules === asked.rules) return row
    // Others ask by now. They may have been asked already, when it was resumed before.
  }
  if (waitingOf(pass) === 'wait') return undefined
  const row =
    request.ref === undefined
      ? await approvals.ask((verbs) => verbs.find({ session: session.id, binding }), 'find')
      : await askedUnder(pass, approvals, asked.digest)
  if (!row) return undefined
  const { rules, toolHash } = keptIn(row)
  // Models use an id again for another call; but what was approved and has not run is for those arguments alone.
  if (!isFor(row, asked.digest)) return isOpen(row, house.clock.now()) ? mismatch(approvals, row.id) : undefined
  // What has run does not run again, whatever has changed since; else other rules, or another tool, ask anew.
  const same = rules === asked.rules && toolHash === tool.hash
  return same || row.usedBy !== undefined ? row : undefined
}

function isOpen({ state, usedBy, expiresAt }: ApprovalRow, now: number): boolean {
  return state === 'approved' && usedBy === undefined && now < expiresAt
}

async function mismatch(approvals: Approvals, id: string): Promise<Refusal> {
  await approvals.reject('call', { id, why: 'other-digest' })
  return { code: 'approval-denied', reason: 'what was approved is another call: its arguments or its tool differ' }
}

function paused(pass: Pass, { id, expiresAt }: ApprovalRow): Refusal {
  const { rule, reason } = pass.ask as Ask
  const suspended = new Suspended(sentence(pass, reason), id, pass.id, new Date(expiresAt))
  return { code: 'approval-pending', reason: `${suspended.reason}; ${ASKED}`, rule, suspended }
}

/** Why a decided approval does not let the call go on. */
async function whyNot(pass: Pass, approvals: Approvals, row: ApprovalRow): Promise<Refusal | undefined> {
  const rule = pass.ask?.rule as string
  const { state, usedBy, ref } = row
  if (state === 'approved') {
    if (usedBy === undefined) return undefined
    return { code: 'duplicate-call', reason: 'the approval of this call has been used already', rule }
  }
  // Told once. The same call by hand, later, is another question.
  if (state === 'denied' && ref === undefined) await approvals.ask((verbs) => verbs.use(row.id, pass.id), 'use')
  return { ...noYes(pass, row), rule }
}

/** That it ended without a yes, and how. */
function noYes(pass: Pick<Pass, 'shown'>, row: ApprovalRow): Refusal {
  if (row.state === 'expired') return { code: 'approval-expired', reason: 'nobody decided in time' }
  if (row.state === 'withdrawn') return { code: 'approval-expired', reason: 'the request for approval was withdrawn' }
  const said = keptIn(row).votes.findLast(({ approve }) => !approve)?.reason
  const reason = said === undefined ? 'a person has denied it' : `a person has denied it: ${sentence(pass, said)}`
  return { code: 'approval-denied', reason }
}

/**
 * What has become of the question about a call, by what its framework calls it: for a framework that has paused, and is
 * to be told. It decides nothing; the call is judged when it comes. Rejects `Unavailable` when the store does not answer.
 */
export async function answered(
  house: House,
  tool: string,
  ref: string | undefined,
  who: Identity,
): Promise<ApprovalStatus | undefined> {
  const { approvals } = house
  if (!approvals || typeof who === 'string' || ref === undefined) return undefined
  await approvals.expire(100)
  const query = { session: who.id, tool, ref: refOf(ref) }
  const row = await approvals.ask((verbs) => verbs.find(query), 'find')
  if (!row) return undefined
  const approval = approvals.shown(row)
  if (row.state === 'pending' || row.state === 'approved') return { status: row.state, approval }
  const { code, reason } = noYes({ shown: (told) => shownBy(house.belongings.get(who), told) }, row)
  return { status: 'denied', approval, denial: new Denied(code, reason, keptIn(row).call) }
}

/** Takes the arguments that the approver wants instead. They are another call, and judged and priced as such. */
async function takeEdits(pass: Pass, row: ApprovalRow): Promise<Refusal | undefined> {
  const { house, belongings, tool, session } = pass
  const { edited, digest } = keptIn(row)
  if (!edited || pass.digest === digest) return undefined
  const taken = snapshot(
    fromCanonical(await house.vault.openText(session.tenant, `approval.${row.id}.edited`, edited.sealed)),
  )
  // Invariant: what runs is what was approved.
  if (taken instanceof Hostile || belongings?.digestKey.digest(tool.name, taken.text) !== digest) return UNREADABLE
  // Its framework has not seen these: by the tool's own schema, as far as that is known.
  const misfit = tool.misfit ?? misfitOf(tool.schema)
  const reason = misfit?.(taken.args)
  if (reason !== undefined) return { code: 'invalid-arguments', reason }
  await beginAnew(pass, taken)
  return undefined
}

const UNREADABLE: Refusal = { code: 'unavailable', reason: 'the arguments that were approved could not be read' }

/** What was set aside for it before does not fit any more: it goes on as another call, which holds nothing yet. */
async function beginAnew(pass: Pass, taken: Snapshot = pass.snapshot): Promise<void> {
  const { house, id, belongings, tool } = pass
  if (pass.holding) await house.holds.cancel(id)
  const digest = belongings?.digestKey.digest(tool.name, taken.text) as string
  pass.become(pass.holding ? house.ids() : id, taken, digest)
}

function sameCharges(one: readonly Charge[], other: readonly Charge[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ meter, micros }, at) => other[at]?.meter.key === meter.key && other[at]?.micros === micros)
  )
}
