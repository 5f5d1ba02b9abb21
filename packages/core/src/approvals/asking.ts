/** Asking a person about one call: what must hold before anyone is bothered, and waiting for the answer. */
import { checked, refusalOf, stillLive, suspendedBy } from '../before.ts'
import { ask, disregard } from '../clock.ts'
import { HaldirError, Unavailable } from '../errors.ts'
import { bindingOf, grantText } from '../gate/approvals/binding.ts'
import { timeoutOf } from '../gate/approvals/terms.ts'
import { budgetLines, keysOf } from '../gate/meters.ts'
import { type Session, whyOver } from '../gate/sessions.ts'
import type { GovernedTool } from '../governor.ts'
import { onceKey, sentence } from '../judge.ts'
import { Amount } from '../money.ts'
import type { Ask, Pass, Refusal } from '../pass.ts'
import type { ApprovalRow, NewApproval } from '../stores/approvals.ts'
import type { Approvals } from './approvals.ts'
import type { Ear } from './ear.ts'
import { askedOf, draftOf, type Kept, keptAmounts, redactedArgs } from './rows.ts'

/** How a call waits for people. */
export function waitingOf({ tool, house }: Pick<Pass, 'tool' | 'house'>): 'wait' | 'suspend' {
  return tool.waiting ?? house.approvals?.options.mode ?? 'wait'
}

/** A framework's id of a call, as approvals are found by it. It comes from the model: bounded. */
export function refOf(ref: string): string {
  return String(ref).slice(0, 200).toWellFormed()
}

export interface Question {
  readonly asked: ReturnType<typeof askedOf>
  readonly binding: string
  readonly grantBinding: string | undefined
}

/** What exactly a yes would be for. */
export function questionOf(pass: Pass): Question {
  const { session, tool, snapshot, belongings } = pass
  const asked = askedOf(pass)
  const bound = { ...asked, ...boundTo(session, tool) }
  const digest = asked.grant && belongings?.digestKey.digest(tool.name, grantText(snapshot.args, asked.grant.args))
  return {
    asked,
    binding: bindingOf(bound),
    grantBinding: digest === undefined ? undefined : bindingOf({ ...bound, digest }),
  }
}

/** Whose call it is, and of which tool. */
export function boundTo(
  session: Session,
  tool: GovernedTool,
): { session: string; tool: string; toolHash: string | undefined } {
  return { session: session.id, tool: tool.name, toolHash: tool.hash }
}

/** Puts the question: after the budget was checked, and not while too many are open already. */
export async function request(pass: Pass, approvals: Approvals, question: Question): Promise<ApprovalRow | Refusal> {
  const { house, session, request } = pass
  const waiting = waitingOf(pass)
  const { waitMs, suspendMs, limits } = approvals.options
  const ttlMs = timeoutOf((pass.ask as Ask).asking, waiting === 'wait' ? waitMs : suspendMs)
  const left = await budgetOf(pass)
  if ('code' in left) return left
  // Invariant: nobody is asked about what the session can't pay for. Who waits keeps it set aside meanwhile.
  const short = waiting === 'wait' ? await setAside(pass, ttlMs) : left.short
  if (short) return short
  const id = house.ids()
  const kept: Kept = {
    ...question.asked,
    call: pass.id,
    ...(pass.ref === undefined ? {} : { ref: pass.ref }),
    waiting,
    args: redactedArgs(house, session, pass.snapshot.args),
    cost: keptAmounts(pass.amounts),
    left: keptAmounts(left.amounts),
    reason: sentence(pass, question.asked.reason),
    ...(await carried(pass, approvals, id, waiting)),
  }
  // A call that waits is nobody else's to go on with, whatever its framework calls it.
  const key = waiting === 'wait' ? `call:${pass.id}` : request.ref
  const { grantBinding } = question
  const approval: NewApproval = {
    id,
    tenant: session.tenant,
    session: session.id,
    agent: session.agent,
    tool: pass.tool.name,
    ...(key === undefined ? {} : { ref: refOf(key) }),
    binding: question.binding,
    ...(grantBinding === undefined ? {} : { grant: { binding: grantBinding } }),
    ttlMs,
    data: kept as unknown as Record<string, unknown>,
  }
  try {
    const made = await approvals.ask((verbs) => verbs.request(approval, limits, approvals.channels), 'request')
    if (!made.ok) return notAsked(session, made)
    const { row } = made
    // Invariant: nobody waits longer than people have, whatever the store says.
    const sound = row.id === id && row.state === 'pending' && row.expiresAt - row.createdAt <= ttlMs
    if (!sound) throw new Unavailable('`store.approval.request` answered nonsense')
    return await announce(pass, approvals, row)
  } catch (error) {
    // It may have been taken all the same; then people would decide for nobody.
    void approvals.withdraw(id, 'the store did not take the request')
    throw error
  }
}

async function announce(pass: Pass, approvals: Approvals, row: ApprovalRow): Promise<ApprovalRow | Refusal> {
  const { terms, cost, waiting } = row.data as unknown as Kept
  try {
    const data = { terms, expiresAt: new Date(row.expiresAt).toISOString(), waiting, cost }
    const draft = { ...draftOf(row, 'approval-requested', data), policyHash: pass.policyHash, rule: pass.ask?.rule }
    await pass.house.trail.record({ ...draft, verdict: 'ask', held: waiting === 'wait' ? pass.amounts : [] })
  } catch (error) {
    pass.house.faults.note('trail', error)
    await approvals.withdraw(row.id, 'the audit trail did not accept the request')
    return { code: 'unavailable', reason: 'the audit trail did not accept the request for approval' }
  }
  pass.asked = row.id
  approvals.changed(row.id)
  return row
}

/** What goes with it for whoever resumes the call: the arguments themselves, and what the application wants to keep. */
async function carried(
  { session, tool, request, snapshot, house }: Pass,
  approvals: Approvals,
  id: string,
  waiting: string,
) {
  const { resume } = approvals.options
  let data: unknown
  try {
    data = resume?.({ session, tool: tool.name, ref: request.ref })
    disregard(data)
    if (data !== undefined) data = JSON.parse(JSON.stringify(data))
  } catch (error) {
    house.faults.note('approvals.resume', error)
    data = undefined
  }
  const sealed =
    waiting === 'suspend' ? await house.vault.sealText(session.tenant, `approval.${id}`, snapshot.text) : undefined
  return { ...(data === undefined ? {} : { resume: data }), ...(sealed ? { sealed } : {}) }
}

/** What is left of each unit that the call costs, and the refusal if that does not reach. */
async function budgetOf(
  pass: Pass,
): Promise<{ readonly amounts: readonly Amount[]; readonly short: Refusal | undefined } | Refusal> {
  const { house, meters, charges } = pass
  if (meters.length === 0) return { amounts: [], short: undefined }
  const read = () => house.store.meters.read(keysOf(meters))
  const lines = budgetLines(meters, await ask(read, house.deadlineMs, house.clock, 'store.meters.read'))
  const least = new Map<string, bigint>()
  let short: Refusal | undefined
  for (const [index, { unit, left }] of lines.entries()) {
    const meter = meters[index]
    const micros = charges.find((charge) => charge.meter.key === meter?.at.key)?.micros ?? 0n
    if (micros > left.micros && meter) short ??= { code: meter.code, reason: meter.reason, rule: meter.rule }
    if (meter?.code === 'budget-exceeded') {
      const known = least.get(unit)
      if (known === undefined || left.micros < known) least.set(unit, left.micros)
    }
  }
  return { amounts: [...least].map(([unit, micros]) => new Amount(unit, micros)), short }
}

/** Steps 4's half: everything is reserved for as long as people have, and not admitted yet. */
async function setAside(pass: Pass, ttlMs: number): Promise<Refusal | undefined> {
  const { house, id, session, charges } = pass
  const once = onceKey(pass)
  if (typeof once === 'object') return once
  // A little longer than people have: what they decide in the last moment is still to be admitted.
  const leaseMs = ttlMs + 2 * house.deadlineMs
  const hold = { call: id, session: session.id, charges, leaseMs, ...(once && { once }) }
  try {
    const answer = checked(await ask(() => house.store.reserve(hold), house.deadlineMs, house.clock, 'store.reserve'))
    if (!answer.ok) return refusalOf(answer, pass.meters)
  } catch (error) {
    house.faults.note('store.reserve', error)
    void house.holds.cancel(id)
    return { code: 'unavailable', reason: 'the store did not set aside what the call costs' }
  }
  pass.holding = true
  return undefined
}

function notAsked(
  session: Session,
  made: Exclude<Awaited<ReturnType<Approvals['house']['store']['approval']['request']>>, { ok: true }>,
): Refusal {
  if (made.refused === 'too-many') {
    const reason = `as many approvals as this ${made.per} may have pending wait for a person already`
    return { code: 'quota-exceeded', reason, rule: `pending-approvals@${made.per}` }
  }
  if (made.refused === 'session-suspended') return suspendedBy(made.rule)
  if (made.refused === 'no-session') return { code: 'no-session', reason: 'the session is not known' }
  session.end(made.refused)
  return { code: made.refused, reason: whyOver(made.refused) }
}

/** How often somebody else's decision is looked for. */
const POLL_MS = 500

/**
 * Waits until an approval is decided or over. Answers its row; or, when the caller gives up, the session ends or the
 * haldir closes first, why the call does not run: then the approval is withdrawn.
 */
export async function wait(pass: Pass, approvals: Approvals, asked: ApprovalRow): Promise<ApprovalRow | Refusal> {
  // From here on: what is told of while the row is read must not wait for the next look.
  const ear = approvals.listen(asked.id)
  try {
    return await waitBy(ear, pass, approvals, asked)
  } finally {
    ear.close()
  }
}

async function waitBy(ear: Ear, pass: Pass, approvals: Approvals, asked: ApprovalRow): Promise<ApprovalRow | Refusal> {
  const { house, session, request } = pass
  const { clock, deadlineMs } = house
  // Whoever closes the haldir waits until this call has been told.
  house.running.add(pass)
  const end = clock.monotonic() + (asked.expiresAt - asked.createdAt)
  // Invariant: nothing waits for ever, whatever has become of store, trail and channels.
  const last = end + deadlineMs
  for (;;) {
    const gone = await goneBy(pass, approvals)
    if (gone) {
      await approvals.withdraw(asked.id, gone.reason)
      return gone
    }
    try {
      const left = end - clock.monotonic()
      if (left <= 0) await approvals.expire(1_000)
      const row = await approvals.row(asked.id)
      if (row?.state !== 'pending') return row ?? LOST
      if (clock.monotonic() >= last) break
    } catch (error) {
      house.faults.note('approvals', error)
      if (clock.monotonic() >= last) return LOST
    }
    const pause = Math.max(1, Math.min(POLL_MS, Math.max(end - clock.monotonic(), MOMENT_MS)))
    await ear.next(pause, (wake) => {
      const signals = [request.signal, session.signal].filter((signal) => signal !== undefined)
      for (const signal of signals) signal.addEventListener('abort', wake, { once: true })
      return () => {
        for (const signal of signals) signal.removeEventListener('abort', wake)
      }
    })
  }
  await approvals.withdraw(asked.id, 'nobody decided in time')
  return LATE
}

/** While the store's clock is behind ours, it is asked again after this. */
const MOMENT_MS = 50
const LOST: Refusal = { code: 'unavailable', reason: 'the store did not say what was decided' }
const LATE: Refusal = { code: 'approval-expired', reason: 'nobody decided in time' }

/** Whether there is still someone who waits for the answer, and a session to act under, as far as anyone knows. */
async function goneBy({ request, session, house }: Pass, approvals: Approvals): Promise<Refusal | undefined> {
  if (request.signal?.aborted) return { code: 'approval-unavailable', reason: 'the caller gave up', aborted: true }
  if (approvals.closed) return { code: 'unavailable', reason: 'this haldir is closed' }
  const over = stillLive(session)
  if (over) return over
  try {
    // Revoked elsewhere: this process learns of it here.
    const get = () => house.store.session.get({ id: session.id })
    const row = await ask(get, house.deadlineMs, house.clock, 'store.session.get')
    if (row?.revokedAt !== undefined) session.end('session-revoked')
    return stillLive(session)
  } catch (error) {
    if (!HaldirError.isInstance(error)) throw error
    house.faults.note('store.session.get', error)
    return undefined
  }
}
