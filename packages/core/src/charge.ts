/** Costs that are no tool call, such as the tokens of a model: counted and recorded as the session's doing. */
import { record, settle } from './after.ts'
import { admit, fix, identify, intend, stillLive } from './before.ts'
import { ConfigError, Denied } from './errors.ts'
import { type Leave, uncovered } from './gate/leaves.ts'
import { amountsOf, chargesOn } from './gate/meters.ts'
import { type Session, whyOver } from './gate/sessions.ts'
import type { Executed, Spending } from './governor.ts'
import { price } from './judge.ts'
import { type Amount, amount as amountOf } from './money.ts'
import { type Belongings, type House, Pass, type Refusal } from './pass.ts'
import { letThrough } from './shadow.ts'
import { compileTool } from './tool-options.ts'
import { callFragment, toolFragment } from './watch/chain.ts'
import { AHEAD } from './watch/signals/observing.ts'

/** How entries name it, where a tool's name stands. */
const NAME = 'session.charge'
const TOOL = toolFragment({ name: NAME })
const CURRENCY = /^[A-Z]{3}$/

/**
 * The cost has been spent already, so nothing undoes it: it counts even beyond a limit or after the session's end. Then,
 * and when store or trail do not take it, this rejects with `Denied`, so that whoever spends stops.
 */
export async function chargeSession(
  house: House,
  session: Session,
  given: Amount | readonly Amount[],
  why: string,
): Promise<void> {
  const amounts = amountsOf(given)
  if (!amounts) throw new ConfigError('invalid-amount', 'charge', '`charge` takes amounts, such as `usd(0.02)`')
  if (typeof why !== 'string' || why === '') throw new ConfigError('invalid-option', 'why', '`why` is a text')
  const { fragment, digestKey, redactor } = house.belongings.get(session) as Belongings
  const id = house.ids()
  const charges = chargesOn(house.standing.forCall(session.leaves, NAME), amounts)
  const settlement = charges.length > 0 ? await house.holds.settle(id, charges) : { overrun: false }
  // Units that nothing limits are recorded only; money always needs a limit, or `spend:*`.
  const money = amounts.filter(({ unit }) => CURRENCY.test(unit))
  const standing = (leave: Leave, unit: string) => house.standing.counts(leave, NAME, unit)
  const beyond = settlement?.overrun === true || uncovered(session.leaves, money, standing) !== undefined
  const data = {
    ended: 'ok',
    why: redactor.text(why).slice(0, 200),
    ...(beyond ? { overrun: true } : {}),
    ...(settlement ? {} : { settled: false }),
  }
  house.reports?.spent(NAME, amounts)
  let recorded = true
  try {
    const call = callFragment({ id }, TOOL, digestKey.id)
    const about = { session, tool: { name: NAME } }
    await house.trail.record({ type: 'outcome', session: fragment, call, spent: amounts, data, about })
  } catch (error) {
    house.faults.note('trail', error)
    recorded = false
  }
  const over = session.over()
  let denied: Denied | undefined
  if (over) denied = new Denied(over, whyOver(over), id)
  else if (beyond) denied = new Denied('budget-exceeded', 'more was spent than the session may', id)
  else if (!settlement) denied = new Denied('unavailable', 'the store did not count what was spent', id)
  else if (!recorded) denied = new Denied('unavailable', 'the audit trail did not accept what was spent', id)
  if (!denied) return
  if (!house.shadow) throw denied
  house.observed.set(denied.code, (house.observed.get(denied.code) ?? 0) + 1)
}

/** What spending ahead is recorded and metered as, whatever its name; no policy judges it: it is no tool of the model's. */
const SPENDING = compileTool({ framework: 'haldir', name: 'spending', options: { scope: [] }, run: () => undefined })

/**
 * Sets aside what something will cost at most, before it begins; it is counted when it ends. The steps are those of a
 * call, without judging. Answers a `Denied` when the session is over or its budget does not reach. Units that nothing
 * limits, other than money, are recorded only.
 */
export async function spendAhead(
  house: House,
  session: Session,
  name: string,
  estimate: readonly Amount[],
): Promise<Spending | Denied> {
  const meters = house.standing.forCall(session.leaves, name)
  const limited = ({ unit }: Amount) => CURRENCY.test(unit) || meters.some((meter) => meter.unit === unit)
  const most = estimate.filter(limited)
  const tool = { ...SPENDING, name, fragment: toolFragment({ name }), cost: most.length > 0 ? () => most : undefined }
  const pass = new Pass(house, tool, { args: {} }, session)
  let refusal: Refusal | undefined
  try {
    pass.id = house.ids()
    refusal = fix(pass) ?? identify(pass) ?? price(pass)
    pass.rule = AHEAD
    refusal ??= (await admit(pass)) ?? (await intend(pass)) ?? stillLive(pass.session)
  } catch (error) {
    house.faults.note('charge', error)
    refusal = { code: 'unavailable', reason: 'what this costs could not be set aside' }
  }
  if (refusal && house.shadow) refusal = await letThrough(pass, refusal)
  if (refusal) {
    const told = await pass.refuse(refusal)
    return told.status === 'denied' ? told.denial : new Denied('unavailable', 'it was refused', pass.id)
  }
  return {
    async end(spent, failure) {
      const ended: Executed = failure ? { status: 'failed', ...failure } : { status: 'ran', value: undefined }
      const counted = spent?.filter(limited)
      if (counted && most.length > 0) pass.current?.spent(counted.length > 0 ? counted : most.map(nothing))
      await settle(pass, ended)
      // What nothing limits stands in the entry all the same.
      if (spent) pass.spent = spent
      await record(pass, ended, ended)
    },
  }
}

function nothing({ unit }: Amount): Amount {
  return amountOf(unit, 0)
}
