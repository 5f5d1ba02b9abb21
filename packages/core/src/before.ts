/** Steps 1 to 6 of the path, one function each. Each answers a refusal, or nothing and the way is free. */
import { digestOf, Hostile, snapshot } from './call.ts'
import { disregard, isPromise } from './clock.ts'
import { CurrentCall } from './current-call.ts'
import { ConfigError, Unplaced } from './errors.ts'
import { amountsOf, chargesOn, unmetered } from './gate/meters.ts'
import { covers, parseRequired } from './gate/scopes.ts'
import { type Session, whyOver } from './gate/sessions.ts'
import type { Requirement } from './governor.ts'
import type { Pass, Refusal } from './pass.ts'
import type { Admission, AdmitRefusal } from './stores/store.ts'

/** 1: arguments become a private copy. */
export function fix(pass: Pass): Refusal | undefined {
  const taken = snapshot(pass.request.args)
  if (taken instanceof Hostile) return { code: 'invalid-arguments', reason: taken.reason }
  pass.snapshot = taken
  return undefined
}

/** 2: whose call it is, and whether that session lives as far as this process knows. */
export function identify(pass: Pass): Refusal | undefined {
  const { who: session, belongings } = pass
  if (typeof session === 'string') return { code: 'no-session', reason: session }
  if (!belongings) return { code: 'no-session', reason: 'the session belongs to another haldir' }
  pass.session = session
  pass.digest = digestOf(belongings.digestKey.key, pass.tool.name, pass.snapshot.text)
  if (!pass.house.open) return { code: 'unavailable', reason: 'this haldir is closed' }
  return stillLive(session)
}

/** Whether the session has ended meanwhile. */
export function stillLive(session: Session): Refusal | undefined {
  const over = session.over()
  return over && { code: over, reason: whyOver(over) }
}

/** 3: every scope the tool requires must be granted. Pure: takes nothing, asks nobody. */
export function judge(pass: Pass): Refusal | undefined {
  const { tool, session } = pass
  let required: Requirement
  try {
    required = tool.required(pass.snapshot.args)
  } catch (error) {
    pass.house.faults.note(`scope of ${tool.name}`, error)
    return { code: 'invalid-arguments', reason: 'the scope this call requires can not be told from its arguments' }
  }
  pass.rule = required.rule
  for (const scope of required.scopes) {
    if (covers(session.grant, scope)) continue
    if (required.fromArgs) {
      return { code: 'scope-missing', reason: 'the session does not hold the scope this call requires', rule: 'scope' }
    }
    const name = scope.join(':')
    return { code: 'scope-missing', reason: `the session does not hold the scope \`${name}\``, rule: `scope:${name}` }
  }
  return undefined
}

/** Still 3: the most the call can cost. A positive cost needs a meter of its unit, or a session without limits. */
export function price(pass: Pass): Refusal | undefined {
  const { tool, session } = pass
  if (!tool.cost) return undefined
  let cost: unknown
  try {
    cost = tool.cost(pass.snapshot.args)
  } catch (error) {
    pass.house.faults.note(`cost of ${tool.name}`, error)
    // The model may read what an amount looks like, in our own words: an error's may hold anything.
    const why = ConfigError.isInstance(error) && error.code === 'invalid-amount' ? `: ${AMOUNT_SHAPE}` : ''
    return { code: 'invalid-arguments', reason: `what this call costs can not be told from its arguments${why}` }
  }
  const amounts = amountsOf(cost)
  if (!amounts) {
    disregard(cost)
    const what = isPromise(cost) ? '`cost` answered a promise; it is synchronous' : '`cost` answered no amount'
    pass.house.faults.note(`cost of ${tool.name}`, new ConfigError('invalid-amount', 'cost', what))
    return { code: 'unavailable', reason: 'the tool did not say what this call costs' }
  }
  pass.amounts = amounts
  pass.charges = chargesOn(session.meters, amounts)
  const unit = session.grant.unlimited ? undefined : unmetered(session.meters, amounts)
  return unit === undefined
    ? undefined
    : { code: 'budget-exceeded', reason: `the session has no budget in \`${unit}\`` }
}

/** 4: one atomic step of the store. */
export async function admit(pass: Pass): Promise<Refusal | undefined> {
  const { house, id, session, charges } = pass
  let admission: Admission
  house.running.add(pass)
  try {
    const request = { call: id, session: session.id, charges, leaseMs: house.holds.leaseMs }
    admission = checked(await pass.soon(house.store.admit(request), 'store.admit'))
  } catch (error) {
    house.faults.note('store.admit', error)
    // Invariant: a broken store refuses. Nobody knows whether it was taken: the refusal stands, and the hold is given
    // back, now or when it arrives. Not waited for: a store that hangs would take a second deadline.
    void house.holds.cancel(id)
    return { code: 'unavailable', reason: 'the store did not admit the call' }
  }
  if (admission.ok) {
    pass.holding = charges.length > 0
    if (pass.holding) house.holds.begin(id)
    return undefined
  }
  const { refused, meter } = admission
  if (refused === 'session-revoked' || refused === 'session-expired') session.end(refused)
  const rule = session.meters.find(({ key }) => key === meter)?.rule
  return { code: refused, reason: REASONS[refused], ...(rule === undefined ? {} : { rule }) }
}

/** 5: the intent is on record before anything happens. */
export async function intend(pass: Pass): Promise<Refusal | undefined> {
  pass.intended = true
  try {
    await pass.house.trail.record(pass.draft('intent', { verdict: 'allow', rule: pass.rule, held: pass.amounts }))
  } catch (error) {
    pass.house.faults.note('trail', error)
    // An intent that is in the chain reaches the sink some day; then it must be closed.
    pass.intended = !(error instanceof Unplaced)
    return { code: 'unavailable', reason: 'the audit trail did not accept the call' }
  }
  const { session, id, tool, request } = pass
  pass.current = new CurrentCall(id, tool.name, session, session.callSignal(request.signal))
  pass.frame = { session, call: pass.current }
  pass.began = pass.house.clock.monotonic()
  return undefined
}

/** 6: the secrets the tool names, if the session's scopes and the secret's own restrictions allow. */
export async function unseal(pass: Pass): Promise<Refusal | undefined> {
  for (const name of pass.tool.secrets) {
    try {
      if (await unsealOne(pass, name)) continue
      return { code: 'secret-unavailable', reason: `the secret \`${name}\` is not available to this call` }
    } catch (error) {
      pass.house.faults.note('vault', error)
      return { code: 'unavailable', reason: `the secret \`${name}\` could not be unsealed` }
    }
  }
  return undefined
}

async function unsealOne(pass: Pass, name: string): Promise<boolean> {
  const { house, session, tool, current, belongings } = pass
  const sealed = await house.vault.find(session.tenant, name)
  if (!sealed || !covers(session.grant, parseRequired(sealed.scope))) return false
  if (sealed.tools.length > 0 && !sealed.tools.includes(tool.name)) return false
  const bytes = await house.vault.open(sealed)
  // A secret is handed out only after the entry that says so.
  await house.trail.record(pass.draft('secret-read', { data: { secret: name, version: sealed.version } }))
  // Looked for from now on, not only once it is revealed: a tool may have kept it from an earlier call.
  belongings?.redactor.add(name, bytes.toString('utf8'))
  current?.hold(name, bytes, () => {
    pass.revealed = true
  })
  return true
}

const REASONS: Record<AdmitRefusal, string> = {
  'no-session': 'the session is not known',
  'session-expired': whyOver('session-expired'),
  'session-revoked': whyOver('session-revoked'),
  'budget-exceeded': "the call costs more than is left of the session's budget",
  unavailable: 'the store could not answer for the budget',
}

const AMOUNT_SHAPE = 'an amount is a plain decimal such as `29.99`, not negative, with at most six decimals'

/** A store that answers nonsense has not admitted anything. */
function checked(answer: Admission): Admission {
  if (answer?.ok === true && typeof answer.at === 'number') return answer
  if (answer?.ok === false && Object.hasOwn(REASONS, answer.refused)) return answer
  throw new Error('the store answered nonsense')
}
