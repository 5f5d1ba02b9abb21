/** Step 3 of the path: what scopes, policy and guards say of a call, and what it costs. Takes nothing. */
import { disregard, isPromise } from './clock.ts'
import { ConfigError } from './errors.ts'
import { type Asking, askingOf } from './gate/approvals/terms.ts'
import { askGuard, type GuardCall } from './gate/guards.ts'
import { allCover, type Leave, uncovered } from './gate/leaves.ts'
import { amountsOf, chargesOn, type Meter } from './gate/meters.ts'
import type { Decision } from './gate/policy/policy.ts'
import type { Requirement } from './governor.ts'
import type { Amount } from './money.ts'
import type { Ask, Belongings, Pass, Refusal } from './pass.ts'

/** 3: the tool's schema, scopes, what the tool itself refuses, then the policy. Pure and synchronous. */
export function judge(pass: Pass): Refusal | undefined {
  const refused = checkSchema(pass) ?? checkScopes(pass) ?? pass.tool.refuses?.(pass.snapshot.args) ?? checkPolicy(pass)
  return refused ?? askForSignals(pass)
}

/** Arguments that the tool does not take are refused before anything else reads them. */
function checkSchema({ tool, request, snapshot }: Pass): Refusal | undefined {
  const reason = request.misfit ?? tool.misfit?.(snapshot.args)
  return reason === undefined ? undefined : { code: 'invalid-arguments', reason }
}

/** Every scope the tool requires must be granted to every identity in the chain. */
function checkScopes(pass: Pass): Refusal | undefined {
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
    if (allCover(session.leaves, scope)) continue
    if (required.fromArgs) {
      return { code: 'scope-missing', reason: 'the session does not hold the scope this call requires', rule: 'scope' }
    }
    const name = scope.join(':')
    return { code: 'scope-missing', reason: `the session does not hold the scope \`${name}\``, rule: `scope:${name}` }
  }
  return undefined
}

/** The policy judges for every identity in the chain; the strictest verdict counts. */
function checkPolicy(pass: Pass): Refusal | undefined {
  const { house, tool, session } = pass
  const { policy } = house
  if (!policy) return undefined
  pass.policyHash = policy.hash
  const misfit = policy.misfits(tool)[0]
  if (misfit) {
    const reason = 'a rule of the policy names an argument that this tool does not have'
    return { code: 'unavailable', reason, rule: misfit.rule }
  }
  const rules = policy.compiled.forTool(tool.name)
  const now = house.clock.now()
  let strictest: Decision | undefined
  for (const { facts } of session.leaves) {
    const decision = rules.judge({ args: pass.snapshot.args, session: facts, tool: tool.facts, now })
    if (decision.verdict === 'deny') return denied(pass, decision.rule, decision.reason)
    if (decision.verdict === 'ask')
      wantsPerson(pass, decision.rule, decision.reason, askingOf(decision.asking, policy.compiled.policy.version))
    if (!strictest || (decision.verdict === 'ask' && strictest.verdict !== 'ask')) strictest = decision
  }
  pass.rule = (strictest as Decision).rule
  return undefined
}

/** What a signal has been raised for is asked about, as by any rule. */
function askForSignals(pass: Pass): undefined {
  for (const { rule, reason } of pass.house.signals?.asks(pass.session) ?? []) wantsPerson(pass, rule, reason)
}

/** A person has to decide. Everything that asks, for whichever identity, is part of the question. */
function wantsPerson(pass: Pass, rule: string, reason: string, asking: readonly Asking[] = []): void {
  const asks = asking.length > 0 ? asking : [{ id: rule }]
  const known = pass.ask?.asking ?? []
  const more = asks.filter(({ id }) => !known.some((one) => one.id === id))
  pass.ask = { rule: pass.ask?.rule ?? rule, reason: pass.ask?.reason ?? reason, asking: [...known, ...more] }
}

function denied(pass: Pass, rule: string, reason: string): Refusal {
  return { code: 'policy-denied', reason: sentence(pass, reason), rule }
}

/** Guards see what the rules have let through, for every identity; each has a second, and may only be stricter. */
export async function guard(pass: Pass): Promise<Refusal | undefined> {
  const { house, tool, session, snapshot } = pass
  const said = { verdict: pass.ask ? 'ask' : 'allow', rule: pass.rule as string } as const
  // What one guard does to its view, no other one sees: it is frozen, and dates, which can't be, are its own.
  const viewOf = ({ facts }: Leave): GuardCall =>
    Object.freeze({
      tool: tool.facts,
      args: snapshot.frozen ? snapshot.args : snapshot.revive(),
      session: facts,
      ...said,
    })
  for (const one of house.guards) {
    const rule = `guard:${one.name}`
    try {
      const opinions = await Promise.all(session.leaves.map((leaf) => askGuard(one, viewOf(leaf), house.clock)))
      for (const { verdict, reason } of opinions) {
        if (verdict === 'deny') return denied(pass, rule, reason ?? `the guard \`${one.name}\` denies this call`)
        if (verdict === 'ask') wantsPerson(pass, rule, reason ?? `the guard \`${one.name}\` wants a person to decide`)
      }
    } catch (error) {
      // Invariant: a guard that throws, hangs or answers nonsense refuses.
      house.faults.note(rule, error)
      return { code: 'unavailable', reason: `the guard \`${one.name}\` did not decide`, rule }
    }
  }
  return undefined
}

/** A person has to decide, and there is nobody to ask. */
export function nobodyToAsk(pass: Pass): Refusal {
  const { reason, rule } = pass.ask as Ask
  const why = `${sentence(pass, reason)}; a person has to decide, and nobody can be asked`
  return { code: 'approval-unavailable', reason: why, rule }
}

/** The most the call can cost, and what it counts on. A positive cost needs a meter of its unit, or `spend:*`. */
export function price(pass: Pass): Refusal | undefined {
  const { house, tool } = pass
  pass.meters = metersOf(pass)
  if (tool.cost) {
    let cost: unknown
    try {
      cost = tool.cost(pass.snapshot.args)
    } catch (error) {
      house.faults.note(`cost of ${tool.name}`, error)
      // The model may read what an amount looks like, in our own words: an error's may hold anything.
      const why = ConfigError.isInstance(error) && error.code === 'invalid-amount' ? `: ${AMOUNT_SHAPE}` : ''
      return { code: 'invalid-arguments', reason: `what this call costs can not be told from its arguments${why}` }
    }
    const amounts = amountsOf(cost)
    if (!amounts) {
      disregard(cost)
      const what = isPromise(cost) ? '`cost` answered a promise; it is synchronous' : '`cost` answered no amount'
      house.faults.note(`cost of ${tool.name}`, new ConfigError('invalid-amount', 'cost', what))
      return { code: 'unavailable', reason: 'the tool did not say what this call costs' }
    }
    pass.amounts = amounts
  }
  pass.charges = chargesOn(pass.meters, pass.amounts, true)
  const unit = unlimited(pass, pass.amounts)
  return unit === undefined
    ? undefined
    : { code: 'budget-exceeded', reason: `the session has no budget in \`${unit}\`` }
}

/** The first unit of some amounts that no meter limits for one of the identities, though money and the like must be. */
export function unlimited({ house, session, tool }: Pass, amounts: readonly Amount[]): string | undefined {
  if (amounts.length === 0) return undefined
  return uncovered(session.leaves, amounts, (leave, unit) => house.standing.counts(leave, tool.name, unit))
}

/** Worked out once for each session and tool. */
function metersOf({ house, session, tool, belongings }: Pass): readonly Meter[] {
  const { name } = tool
  let meters = belongings?.meters.get(name)
  if (!meters) {
    meters = house.standing.forCall(session.leaves, name)
    belongings?.meters.set(name, meters)
  }
  return meters
}

/** A key that no other call may have, as the store knows it: nobody can read the arguments out of it. */
export function onceKey(pass: Pass): string | Refusal | undefined {
  const { house, tool, session, snapshot, belongings } = pass
  if (!tool.once || !belongings) return undefined
  let key: unknown
  try {
    key = tool.once(snapshot.args)
  } catch (error) {
    house.faults.note(`once of ${tool.name}`, error)
    return { code: 'invalid-arguments', reason: 'what makes this call the only one can not be told from its arguments' }
  }
  if (typeof key === 'string' && key !== '') return onceOf(house.apart, session.tenant, tool.name, belongings, key)
  disregard(key)
  house.faults.note(`once of ${tool.name}`, new ConfigError('invalid-option', 'once', '`once` answers a text'))
  return { code: 'unavailable', reason: 'the tool did not say what makes this call the only one' }
}

const AMOUNT_SHAPE = 'an amount is a plain decimal such as `29.99`, not negative, with at most six decimals'

/** The key as a store has it: a digest under the tenant's own key. */
export function onceOf(apart: string, tenant: string, tool: string, { digestKey }: Belongings, key: string): string {
  return `${apart}${tenant}|${tool}|${digestKey.digest(tool, `once ${key}`)}`
}

/** A reason stands inside a sentence: without a full stop of its own, and not at any length. */
export function sentence(pass: Pick<Pass, 'shown'>, reason: string): string {
  // Invariant: redacted before it is cut; of a secret that is cut through most would stay.
  return pass
    .shown({ reason })
    .reason.slice(0, 300)
    .toWellFormed()
    .replace(/[.\s]+$/, '')
}
