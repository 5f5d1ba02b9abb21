/** What a person says, and whether it counts. One decision comes of it, however many say something at once. */
import type { Said, Say, SayRefusal } from '../approvers/approver.ts'
import { Hostile, snapshot } from '../call.ts'
import { bindingOf } from '../gate/approvals/binding.ts'
import { countsFor, tally, type Vote } from '../gate/approvals/terms.ts'
import type { ApprovalChange, ApprovalRow } from '../stores/approvals.ts'
import type { Approvals } from './approvals.ts'
import { decidersOf, draftOf, type Kept, keptIn, redactedArgs, TRIES } from './rows.ts'

/** Rejects `Unavailable` when the store or the trail does not take it; then nothing is decided. */
export async function speak(approvals: Approvals, channel: string, id: string, say: Say): Promise<Said> {
  const refuse = (row: ApprovalRow | undefined, refused: SayRefusal, why: string) =>
    refuseWord(approvals, channel, { row, refused, why, say, id })
  const wrong = wrongIn(say)
  if (wrong) return refuse(undefined, 'invalid', wrong)
  let voted = false
  let { digest } = say
  for (let tries = 0; tries < TRIES; tries++) {
    const row = await approvals.row(String(id))
    if (!row) return refuse(undefined, 'unknown', WHY.unknown)
    // Invariant: what somebody else makes of the arguments meanwhile is not what this one has said yes to.
    digest ??= keptIn(row).digest
    const refused = whyNot(row, { ...say, digest })
    if (refused) return refuse(row, refused, whyOf(refused, row))
    const redacted = await withoutSecrets(approvals, row, say)
    const edit = await editOf(approvals, row, redacted)
    if (edit instanceof Hostile) return refuse(row, 'invalid', `The new arguments hold ${edit.what}.`)
    const { vote, next } = voteOf(approvals, row, redacted, edit)
    // Invariant: nothing is decided that is not on record.
    if (!voted)
      await approvals.house.trail.record(draftOf(row, 'approval-voted', { channel, ...fromOf(say), ...recorded(vote) }))
    voted = true
    const changed = await approvals.ask((verbs) => verbs.change(row.id, row.version, next), 'change')
    if (changed) return accept(approvals, changed)
    // Somebody else was first, or its time is over: then there is another version, or nobody can decide it.
    const now = await approvals.row(row.id)
    if (now?.version === row.version) {
      await approvals.expire(TRIES)
      return refuse(row, 'expired', WHY.expired)
    }
  }
  return refuse(undefined, 'decided', 'Others were faster again and again; look at how it stands.')
}

async function accept(approvals: Approvals, row: ApprovalRow): Promise<Said> {
  if (row.state !== 'pending') {
    const data = {
      state: row.state,
      by: decidersOf(row),
      ...(keptIn(row).edited ? { edited: keptIn(row).digest } : {}),
      ...(row.grant?.until === undefined ? {} : { grantUntil: new Date(row.grant.until).toISOString() }),
    }
    await approvals.house.trail.conclude(draftOf(row, 'approval-decided', data))
    approvals.house.reports?.approvalEnded(row)
  }
  approvals.changed(row.id)
  return { ok: true, approval: approvals.shown(row) }
}

/** What people type is kept and shown: a secret that the session knows is not. */
async function withoutSecrets({ house, sessions }: Approvals, row: ApprovalRow, say: Say): Promise<Say> {
  if (say.reason === undefined) return say
  const session = await sessions.handle(row.session)
  const redactor = session && house.belongings.get(session)?.redactor
  return redactor ? { ...say, reason: redactor.text(say.reason) } : say
}

function whyNot(row: ApprovalRow, say: Say): SayRefusal | undefined {
  if (row.state === 'expired') return 'expired'
  if (row.state !== 'pending') return 'decided'
  const kept = keptIn(row)
  // Invariant: what was shown is what is decided.
  if (say.digest !== undefined && say.digest !== kept.digest) return 'other-digest'
  if (say.grant && (!kept.grant || say.args !== undefined)) return 'invalid'
  const counts = countsFor(kept, say)
  return typeof counts === 'string' ? counts : undefined
}

/** What is decided from now on, if the arguments were changed. */
interface Edit {
  readonly binding: string
  readonly kept: Pick<Kept, 'digest' | 'args' | 'cost' | 'edited'>
}

async function editOf(approvals: Approvals, row: ApprovalRow, say: Say): Promise<Edit | Hostile | undefined> {
  if (say.args === undefined || !say.approve) return undefined
  const taken = snapshot(say.args)
  if (taken instanceof Hostile) return taken
  const { house, sessions } = approvals
  const kept = keptIn(row)
  const key = await sessions.digestKey(row.tenant)
  const digest = key.digest(row.tool, taken.text)
  if (digest === kept.digest) return undefined
  const { tenant, session, tool } = row
  const { chain, toolHash, rules } = kept
  const binding = bindingOf({ session, chain, tool, toolHash, digestKey: key.id, digest, rules })
  const sealed = await house.vault.sealText(tenant, `approval.${row.id}.edited`, taken.text)
  const was = kept.edited?.was ?? kept.digest
  const args = redactedArgs(house, await sessions.handle(session), taken.args)
  // What they cost is not known before the call is priced again, where its tool is.
  return { binding, kept: { digest, args, cost: [], edited: { was, sealed } } }
}

function voteOf(
  { house }: Approvals,
  row: ApprovalRow,
  say: Say,
  edit: Edit | undefined,
): { vote: Vote; next: ApprovalChange } {
  const { grant, ...asked } = keptIn(row)
  // Invariant: a grant is for what was asked for; nobody gives it once the arguments are others.
  const kept: Kept = edit ? { ...asked, ...edit.kept } : { ...asked, ...(grant ? { grant } : {}) }
  const vote: Vote = {
    by: say.by,
    at: house.clock.now(),
    approve: say.approve,
    ...(say.reason === undefined || say.reason === '' ? {} : { reason: say.reason }),
    rules: countsFor({ ...kept, votes: [] }, say) as readonly string[],
    digest: kept.digest,
    ...(say.grant ? { grant: true } : {}),
  }
  const votes = [...kept.votes, vote]
  const state = tally({ ...kept, votes })
  // Invariant: a grant needs everyone's yes to it that the call itself needs.
  const granting = tally({ ...kept, votes: votes.filter((one) => one.grant) }) === 'approved'
  const granted = state === 'approved' && granting && kept.grant ? { grantMs: kept.grant.forMs } : {}
  const data = { ...kept, votes } as unknown as Record<string, unknown>
  return { vote, next: { ...(state ? { state } : {}), ...(edit ? { binding: edit.binding } : {}), ...granted, data } }
}

function fromOf({ from }: Say): { readonly from?: string } {
  return from === undefined ? {} : { from }
}

function recorded({ by, approve, reason, rules, digest, grant }: Vote): Record<string, unknown> {
  return { by, approve, rules, ...(reason === undefined ? {} : { reason }), ...(grant ? { grant } : {}), digest }
}

interface Word {
  readonly row: ApprovalRow | undefined
  readonly refused: SayRefusal
  readonly why: string
  readonly say: Say
  readonly id: unknown
}

async function refuseWord(approvals: Approvals, channel: string, { row, refused, why, say, id }: Word): Promise<Said> {
  const by = typeof say?.by === 'string' ? { by: say.by } : {}
  await approvals.reject(channel, { why: refused, ...(typeof id === 'string' ? { id } : {}), ...by })
  return { ok: false, refused, why, ...(row ? { approval: approvals.shown(row) } : {}) }
}

function whyOf(refused: SayRefusal, { state }: ApprovalRow): string {
  if (refused === 'decided') return `This was ${state} already.`
  return WHY[refused]
}

const WHY: Readonly<Record<SayRefusal, string>> = {
  unknown: 'There is no such approval.',
  decided: 'This was decided already.',
  expired: 'This has expired: nobody decided in time.',
  'not-approver': 'You are not among those who may decide this.',
  'self-approval': 'Who asks for something does not approve it.',
  voted: 'You have said so already; others have to say yes as well.',
  'other-digest': 'This call is not the one that you were shown.',
  invalid: 'This can not be decided like that.',
}

/** What comes from a channel is checked like anything else that comes from outside. */
function wrongIn(say: Say): string | undefined {
  const { by, groups = [], approve, reason = '', from = '', grant = false } = say ?? {}
  if (typeof approve !== 'boolean') return '`approve` is true or false.'
  if (typeof by !== 'string' || by.length === 0 || by.length > 200) return '`by` says who decides.'
  if (!Array.isArray(groups) || !groups.every((group) => typeof group === 'string'))
    return '`groups` is a list of names.'
  if (typeof reason !== 'string' || reason.length > 1_000) return 'The reason has at most 1,000 characters.'
  if (typeof from !== 'string' || from.length > 200) return '`from` says where, in up to 200 characters.'
  return typeof grant === 'boolean' ? undefined : '`grant` is true or false.'
}
