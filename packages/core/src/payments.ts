/**
 * Payments that are no tool call: authorize sets the amount aside, capture spends it or part of it, void gives it back.
 * An authorization is judged, admitted and recorded as a call of the tool `payments.authorize` is; its hold is only
 * reserved, so what is never captured is given back when it expires.
 */
import { Authorization, PAYMENTS, type Terms, termsIn } from './authorization.ts'
import { fix, identify, refusalOf } from './before.ts'
import { ask as askFor, background } from './clock.ts'
import { type Duration, parseDuration } from './duration.ts'
import { ConfigError, type Denied, Unavailable } from './errors.ts'
import { isSession, type Session } from './gate/sessions.ts'
import type { GovernedTool } from './governor.ts'
import { ask, guard, judge, onceOf, price } from './judge.ts'
import { type Amount, asAmount } from './money.ts'
import { checkKeys } from './options.ts'
import { type Belongings, type House, Pass, type Refusal } from './pass.ts'
import { letThrough } from './shadow.ts'
import { compileTool } from './tool-options.ts'

export interface PaymentOptions {
  readonly amount: Amount
  /** What is paid for. Recorded. */
  readonly description: string
  /**
   * Makes asking twice the same as asking once, for a day, also from another process: the same key with the same amount
   * and description is the same authorization, and with others it is refused (`duplicate-call`).
   */
  readonly idempotencyKey?: string
  /** How long the amount stays set aside; 10 minutes unless given. */
  readonly expires?: Duration
}

export interface Payments {
  /**
   * Sets an amount aside. The session needs `spend` in its currency, and a policy may have rules for the tool
   * `payments.authorize` with `args.amount` (a number), `args.currency` and `args.description`. Rejects with `Denied`
   * when it is refused, with `ConfigError` for options it does not understand.
   */
  authorize(session: Session, options: PaymentOptions): Promise<Authorization>
  /** An authorization of a session that was made elsewhere, by its id. `undefined` when the session has none such. */
  find(session: Session, id: string): Promise<Authorization | undefined>
}

/** The tool that policies, quotas and entries know authorizations as. */
const PAYMENT: GovernedTool = compileTool({
  framework: 'haldir',
  name: PAYMENTS,
  options: { scope: 'spend', cost: () => [], annotations: { destructive: false } },
  run: () => undefined,
})

/** Held apart from the class `Haldir`, so that nothing else of the house is reachable from it. */
export function paymentsOf(house: House, sweep: () => Promise<unknown>): Payments {
  return Object.freeze({
    authorize: (session: Session, options: PaymentOptions) => authorize(house, session, options, sweep),
    find: (session: Session, id: string) => find(house, session, id),
  })
}

async function authorize(
  house: House,
  session: Session,
  options: PaymentOptions,
  sweep: () => Promise<unknown>,
): Promise<Authorization> {
  const { amount, description, idempotencyKey, expiresMs } = checked(session, options)
  const args = { amount: Number(amount.decimal), currency: amount.unit, description }
  const pass = new Pass(house, { ...PAYMENT, cost: () => amount }, { args }, session)
  const terms: Terms = { amount, expiresAt: new Date(house.clock.now() + expiresMs) }
  let refusal: Refusal | undefined
  try {
    pass.id = house.ids()
    refusal = fix(pass) ?? identify(pass) ?? judge(pass)
    if (!refusal && house.guards.length > 0) refusal = await guard(pass)
    refusal ??= price(pass) ?? ask(pass)
    if (!refusal && idempotencyKey !== undefined) {
      const once = keyed(pass, idempotencyKey)
      // The id says which key and which payment: the same again is the same hold, and another one finds the key taken.
      pass.id = `pay-${once.slice(-24)}-${(pass.digest as string).slice(0, 24)}`
      const known = await find(house, session, pass.id)
      if (known) return known
      refusal = await reserve(pass, expiresMs, terms, once)
    } else if (!refusal) refusal = await reserve(pass, expiresMs, terms, undefined)
  } catch (error) {
    house.faults.note('payment', error)
    refusal = { code: 'unavailable', reason: 'the payment could not be governed' }
  }
  if (refusal && house.shadow) refusal = await letThrough(pass, refusal)
  // Only calls have an end that is waited for.
  house.running.delete(pass)
  if (refusal) throw denialOf(await pass.refuse(refusal))
  // What is not captured in time is given back without anyone having to ask for it.
  background(house.clock, expiresMs + 1, () => void sweep().catch(() => {}))
  return new Authorization(house, session, pass.id, terms, 'authorized')
}

/** Steps 4 and 5, for a hold that is only reserved. */
async function reserve(
  pass: Pass,
  leaseMs: number,
  terms: Terms,
  once: string | undefined,
): Promise<Refusal | undefined> {
  const { house, id, session, charges } = pass
  const { amount, expiresAt } = terms
  const memo = JSON.stringify({ amount: amount.decimal, unit: amount.unit, expiresAt: expiresAt.toISOString() })
  const request = { call: id, session: session.id, charges, leaseMs, memo, ...(once && { once }) }
  try {
    const admission = await askFor(() => house.store.reserve(request), house.deadlineMs, house.clock, 'store.reserve')
    if (admission?.ok !== true) return refusalOf(admission, pass.meters)
    pass.admitted = true
    pass.holding = true
  } catch (error) {
    house.faults.note('store.reserve', error)
    // Invariant: a broken store refuses; whatever it took is given back, now or when it arrives.
    void house.holds.cancel(id)
    return { code: 'unavailable', reason: 'the store did not set the amount aside' }
  }
  pass.intended = true
  try {
    const { redactor } = pass.belongings as Belongings
    const data = { description: redactor.text(String((pass.request.args as Args).description)).slice(0, 200) }
    await house.trail.record(pass.draft('intent', { verdict: 'allow', rule: pass.rule, held: pass.amounts, data }))
    return undefined
  } catch (error) {
    house.faults.note('trail', error)
    return { code: 'unavailable', reason: 'the audit trail did not accept the payment' }
  }
}

async function find(house: House, session: Session, id: string): Promise<Authorization | undefined> {
  if (!isSession(session) || !house.belongings.has(session)) throw invalid('session', 'is a session of this haldir')
  if (typeof id !== 'string') throw invalid('id', 'is the id of an authorization')
  const row = await askFor(() => house.store.hold.get(id), house.deadlineMs, house.clock, 'store.hold.get')
  if (row === undefined || row === null || row.session !== session.id) return undefined
  const terms = termsIn(row.memo)
  if (!terms) return undefined
  const { state } = row
  if (state === 'settled') return new Authorization(house, session, id, terms, 'captured')
  return new Authorization(house, session, id, terms, state === 'released' ? 'voided' : 'authorized')
}

interface Args {
  readonly description: string
}

/** The key as the store has it: of one session, for payments. */
function keyed({ house, session, belongings }: Pass, key: string): string {
  return onceOf(house.apart, session.tenant, PAYMENTS, belongings as Belongings, `${session.id} ${key}`)
}

function checked(session: Session, options: PaymentOptions) {
  if (!isSession(session)) throw invalid('session', 'is what `createSession`, `delegate` or `attach` answered')
  checkKeys(options, ['amount', 'description', 'idempotencyKey', 'expires'], 'options of `authorize`')
  const { description, idempotencyKey, expires = '10m' } = options
  const amount = asAmount(options.amount)
  if (!amount || !/^[A-Z]{3}$/.test(amount.unit) || amount.micros === 0n) {
    throw new ConfigError('invalid-amount', 'amount', '`amount` is money, more than zero, such as `usd(29.99)`')
  }
  if (typeof description !== 'string' || description === '' || description.length > 500) {
    throw invalid('description', 'is 1 to 500 characters')
  }
  if (idempotencyKey !== undefined && (typeof idempotencyKey !== 'string' || !/^.{1,255}$/s.test(idempotencyKey))) {
    throw invalid('idempotencyKey', 'is 1 to 255 characters')
  }
  return { amount, description, idempotencyKey, expiresMs: parseDuration(expires, 'expires') }
}

function denialOf(told: Awaited<ReturnType<Pass['refuse']>>): Denied | Unavailable {
  return told.status === 'denied' ? told.denial : new Unavailable('the payment was not authorized')
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
