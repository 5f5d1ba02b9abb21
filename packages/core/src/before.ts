/** Steps 1, 2 and 4 to 6 of the path, one function each. Each answers a refusal, or nothing and the way is free. */
import { Hostile, snapshot } from './call.ts'
import { isPromise } from './clock.ts'
import { CurrentCall } from './current-call.ts'
import { Unplaced } from './errors.ts'
import { allCover } from './gate/leaves.ts'
import type { Meter } from './gate/meters.ts'
import { parseRequired } from './gate/scopes.ts'
import { type Session, whyOver } from './gate/sessions.ts'
import { namesHost } from './hosts.ts'
import { onceKey } from './judge.ts'
import type { Pass, Refusal } from './pass.ts'
import { insertSecrets } from './secret-args.ts'
import type { Admission, AdmitRefusal } from './stores/store.ts'

/** 1: arguments become a private copy. */
export function fix(pass: Pass): Refusal | undefined {
  const taken = snapshot(pass.request.args)
  if (taken instanceof Hostile) return { code: 'invalid-arguments', reason: pass.request.misfit ?? taken.reason }
  pass.snapshot = taken
  return undefined
}

/** 2: whose call it is, and whether that session lives as far as this process knows. */
export function identify(pass: Pass): Refusal | undefined {
  const { who: session, belongings } = pass
  if (typeof session === 'string') return { code: 'no-session', reason: session }
  if (session === pass.house.nobody) return { code: 'no-session', reason: 'the session could not be attached' }
  if (!belongings) return { code: 'no-session', reason: 'the session belongs to another haldir' }
  pass.session = session
  pass.digest = belongings.digestKey.digest(pass.tool.name, pass.snapshot.text)
  if (!pass.house.open) return { code: 'unavailable', reason: 'this haldir is closed' }
  return stillLive(session)
}

/** Whether the session has ended meanwhile. */
export function stillLive(session: Session): Refusal | undefined {
  const over = session.over()
  return over && { code: over, reason: whyOver(over) }
}

/** 4: one atomic step of the store. */
export async function admit(pass: Pass): Promise<Refusal | undefined> {
  const { house, id, session, charges } = pass
  const once = onceKey(pass)
  if (typeof once === 'object') return once
  let admission: Admission
  house.running.add(pass)
  try {
    const request = { call: id, session: session.id, charges, leaseMs: house.holds.leaseMs, ...(once && { once }) }
    if (pass.consent) Object.assign(request, { consent: pass.consent })
    admission = checked(await pass.soon(house.store.admit(request), 'store.admit'))
  } catch (error) {
    house.faults.note('store.admit', error)
    // Invariant: a broken store refuses. Nobody knows whether it was taken: the refusal stands, and the hold is given
    // back, now or when it arrives. Not waited for: a store that hangs would take a second deadline.
    if (charges.length > 0 || once !== undefined || pass.consent) void house.holds.cancel(id)
    return { code: 'unavailable', reason: 'the store did not admit the call' }
  }
  if (admission.ok) {
    pass.admitted = true
    // One that was reserved while a person was asked is there, whatever it holds.
    pass.holding ||= charges.length > 0 || once !== undefined
    if (pass.holding) house.holds.begin(id)
    return undefined
  }
  const { refused } = admission
  if (refused === 'session-revoked' || refused === 'session-expired') session.end(refused)
  return refusalOf(admission, pass.meters)
}

/** What the caller is told of a refused admission. A limit is named by its meter, whatever kind it is. */
export function refusalOf(
  { refused, meter, retryMs, rule: by }: Extract<Admission, { ok: false }>,
  meters: readonly Meter[],
): Refusal {
  if (refused === 'session-suspended') return suspendedBy(by)
  const limit = meter === undefined ? undefined : meters.find(({ at }) => at.key === meter)
  if (!limit || (refused !== 'budget-exceeded' && refused !== 'rate-exceeded')) {
    const code = refused === 'approval-used' ? 'duplicate-call' : refused
    return { code, reason: REASONS[refused], ...(limit && { rule: limit.rule }) }
  }
  const { code, reason, rule } = limit
  return { code, reason, rule, ...(retryMs === undefined ? {} : { retryAfter: Math.ceil(retryMs / 1_000) }) }
}

/** The session stands still since something about it was not as usual, until the application releases it. */
export function suspendedBy(rule: string | undefined): Refusal {
  return { code: 'policy-denied', reason: REASONS['session-suspended'], rule: rule ?? 'session-suspended' }
}

/** 5: the intent is on record before anything happens. */
export async function intend(pass: Pass): Promise<Refusal | undefined> {
  const said = pass.tool.record && pass.house.recorder.forIntent(pass)
  const args = isPromise(said) ? await said : said
  if (args && 'code' in args) return args
  const unused = pass.consent ? await recordUse(pass) : undefined
  if (unused) return unused
  pass.intended = true
  try {
    const { rule, amounts: held, searched } = pass
    const data = (searched || args) && { data: { ...searched, ...(args && { args }) } }
    await pass.house.trail.record(pass.draft('intent', { verdict: 'allow', rule, held, ...data }))
  } catch (error) {
    pass.house.faults.note('trail', error)
    // An intent that is in the chain reaches the sink some day; then it must be closed.
    pass.intended = !(error instanceof Unplaced)
    return { code: 'unavailable', reason: 'the audit trail did not accept the call' }
  }
  enter(pass)
  return undefined
}

/** Invariant: the use of a yes is on record before what it was for. */
async function recordUse(pass: Pass): Promise<Refusal | undefined> {
  const { consent, approvers: by, house } = pass
  try {
    const data = { approval: consent?.id, by, ...(consent?.grant ? { grant: true } : {}) }
    await house.trail.record(pass.draft('approval-used', { data }))
    return undefined
  } catch (error) {
    house.faults.note('trail', error)
    return { code: 'unavailable', reason: 'the audit trail did not accept the use of the approval' }
  }
}

/** The call as its tool will see it. */
export function enter(pass: Pass): void {
  const { house, session, id, tool, request } = pass
  // In shadow mode the end of a session stops nothing that runs: then the signal is that of one that never ends.
  const signal = (house.nobody ?? session).callSignal(request.signal)
  pass.current = new CurrentCall(id, tool.name, session, signal, pass.consent?.id)
  pass.frame = { session, call: pass.current }
  pass.began = house.clock.monotonic()
  house.watch?.running()
}

/** 6: the secrets the tool names, if the session's scopes and the secret's own restrictions allow. */
export async function unseal(pass: Pass): Promise<Refusal | undefined> {
  for (const name of pass.tool.unseals) {
    try {
      const refused = await unsealOne(pass, name)
      if (refused) return { code: 'secret-unavailable', reason: refused, rule: `secret:${name}` }
    } catch (error) {
      pass.house.faults.note('vault', error)
      return { code: 'unavailable', reason: `the secret \`${name}\` could not be unsealed` }
    }
  }
  return undefined
}

/** Answers why the call may not have it. */
async function unsealOne(pass: Pass, name: string): Promise<string | undefined> {
  const { house, session, tool, current, belongings } = pass
  const sealed = await house.vault.find(session.tenant, name)
  if (!sealed) return `there is no secret \`${name}\``
  if (!allCover(session.leaves, parseRequired(sealed.scope))) {
    return `the session does not hold the scope that the secret \`${name}\` requires`
  }
  const mayUse = (user: string | undefined) => user !== undefined && sealed.tools.includes(user)
  if (sealed.tools.length > 0 && !mayUse(tool.name) && !mayUse(tool.within)) {
    return `the secret \`${name}\` is not for this tool`
  }
  // Invariant: a secret leaves for a host that it names, over https, or for a private place that is meant.
  const { destination } = tool
  if (destination && !namesHost(sealed.hosts, destination)) return `the secret \`${name}\` is not for this host`
  if (destination?.protocol === 'http:' && !house.egress.permits(destination)) {
    return `the secret \`${name}\` is sent over https alone`
  }
  const bytes = await house.vault.open(sealed)
  // Invariant: a secret is handed out only after the entry that says so.
  await house.trail.record(pass.draft('secret-read', { data: { secret: name, version: sealed.version } }))
  house.vault.noteUse(sealed)
  // Looked for from now on, not only once it is revealed: a tool may have kept it from an earlier call.
  belongings?.redactor.add(name, bytes.toString('utf8'))
  const revealed = () => {
    pass.revealed = true
  }
  current?.hold(name, { bytes, named: tool.secrets.includes(name), revealed })
  return undefined
}

/** What the tool is called with: an unfrozen private copy of what was judged, with secrets where it says so. */
export function argsFor({ tool, snapshot, current }: Pass): unknown {
  const args = snapshot.revive()
  return tool.secretArgs.length === 0 ? args : insertSecrets(args, tool.secretArgs, (name) => current?.take(name))
}

const REASONS: Record<AdmitRefusal, string> = {
  'no-session': 'the session is not known',
  'session-expired': whyOver('session-expired'),
  'session-revoked': whyOver('session-revoked'),
  'session-suspended': 'the session is suspended until somebody releases it',
  'duplicate-call': 'a call that means the same runs, or has run within a day',
  'budget-exceeded': 'the call costs more than is left',
  'rate-exceeded': 'the rate is used up for now',
  'approval-pending': 'nobody has approved this call yet',
  'approval-denied': 'the approval is not for this call',
  'approval-expired': 'the approval has expired',
  'approval-used': 'the approval of this call has been used already',
  unavailable: 'the store could not answer for the budget',
}

/** A store that answers nonsense has not admitted anything. */
export function checked(answer: Admission): Admission {
  if (answer?.ok === true && typeof answer.at === 'number') return answer
  const { ok, refused, retryMs = 0, rule = '' } = (answer ?? {}) as Partial<Extract<Admission, { ok: false }>>
  if (ok === false && Object.hasOwn(REASONS, refused as string) && Number.isFinite(retryMs) && typeof rule === 'string')
    return answer
  throw new Error('the store answered nonsense')
}
