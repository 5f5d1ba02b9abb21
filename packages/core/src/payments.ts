/**
 * Payments that are no tool call: authorize sets the amount aside, capture spends it or part of it, void gives it back.
 * An authorization is judged, admitted and recorded as a call of the tool `payments.authorize` is; its hold is only
 * reserved, so what is never captured is given back when it expires.
 */
import { Authorization, PAYMENTS, statusOf, type Terms, termsIn } from './authorization.ts'
import { checked as asAdmission, fix, identify, refusalOf } from './before.ts'
import { ask as askFor, background, MAX_TIMEOUT } from './clock.ts'
import { type Duration, parseDuration } from './duration.ts'
import { ConfigError, type Denied, Unavailable, Unplaced } from './errors.ts'
import { isSession, type Session } from './gate/sessions.ts'
import type { GovernedTool } from './governor.ts'
import { guard, judge, nobodyToAsk, onceOf, price } from './judge.ts'
import { type Amount, asAmount } from './money.ts'
import { checkKeys } from './options.ts'
import { type Belongings, type House, Pass, type Refusal } from './pass.ts'
import { letThrough } from './shadow.ts'
import type { HoldRow } from './stores/store.ts'
import { compileTool } from './tool-options.ts'

export interface PaymentOptions {
  readonly amount: Amount
  /** What is paid for. Recorded. */
  readonly description: string
  /**
   * Makes asking twice the same as asking once, for a day, also from another process: the same key with the same amount
   * and description is the same authorization of that session. Asked for with others, or in another session of the
   * tenant, the key is taken (`duplicate-call`).
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

/** The tool that policies, quotas and entries know authorizations as. A policy that misspells its arguments is refused. */
export const PAYMENT: GovernedTool = compileTool({
  framework: 'haldir',
  name: PAYMENTS,
  options: { scope: 'spend', cost: () => [], annotations: { destructive: false } },
  schema: {
    type: 'object',
    properties: { amount: { type: 'number' }, currency: { type: 'string' }, description: { type: 'string' } },
    required: ['amount', 'currency', 'description'],
    additionalProperties: false,
  },
  run: () => undefined,
})

/** Held apart from the class `Haldir`, so that nothing else of the house is reachable from it. */
export function paymentsOf(house: House, sweep: () => Promise<unknown>): Payments {
  /** What is being authorized under a key: whoever asks for the same meanwhile gets the same, under one intent. */
  const pending = new WeakMap<Session, Map<string, Promise<Authorization>>>()
  return Object.freeze({
    async authorize(session: Session, options: PaymentOptions): Promise<Authorization> {
      const order = checked(session, options)
      const { idempotencyKey: key, amount, description } = order
      if (key === undefined) return authorize(house, session, order, sweep)
      const own = pending.get(session) ?? new Map<string, Promise<Authorization>>()
      pending.set(session, own)
      const same = JSON.stringify([key, amount, description])
      const making = own.get(same) ?? authorize(house, session, order, sweep).finally(() => own.delete(same))
      own.set(same, making)
      return making
    },
    find: (session: Session, id: string) => find(house, session, id),
  })
}

async function authorize(
  house: House,
  session: Session,
  { amount, description, idempotencyKey, expiresMs }: Order,
  sweep: () => Promise<unknown>,
): Promise<Authorization> {
  const args = { amount: Number(amount.decimal), currency: amount.unit, description }
  // Whether the policy fits was asked when it was put in force.
  const pass = new Pass(house, { ...PAYMENT, schema: undefined, cost: () => amount }, { args }, session)
  const terms: Terms = { amount, expiresAt: new Date(house.clock.now() + expiresMs) }
  pass.report = house.reports?.call()
  let refusal: Refusal | undefined
  try {
    pass.id = house.ids()
    refusal = fix(pass) ?? identify(pass) ?? judge(pass)
    if (!refusal && house.guards.length > 0) refusal = await guard(pass)
    refusal ??= price(pass) ?? (pass.ask && nobodyToAsk(pass))
    if (!refusal && idempotencyKey !== undefined) {
      const once = keyed(pass, idempotencyKey)
      const known = await place(pass, once)
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
  pass.report?.allowed(pass)
  // What is not captured in time is given back without anyone having to ask for it.
  sweepAfter(house, expiresMs + 1, sweep)
  return new Authorization(house, session, pass.id, terms, 'authorized')
}

function sweepAfter(house: House, ms: number, sweep: () => Promise<unknown>): void {
  const rest = ms - MAX_TIMEOUT
  background(house.clock, ms, () => (rest > 0 ? sweepAfter(house, rest, sweep) : void sweep().catch(() => {})))
}

/** How often a key may be given back. */
const TURNS = 1_000

/**
 * The id of a payment says which key and which request it is of: the same again finds the same hold, and another
 * request finds the key taken. After one that was given back comes the next. Answers the payment that there is.
 */
async function place(pass: Pass, once: string): Promise<Authorization | undefined> {
  const { house, session, digest = '', belongings } = pass
  const what = (belongings as Belongings).digestKey.digest(session.id, digest)
  for (let turn = 1; turn <= TURNS; turn++) {
    pass.id = `pay-${once.slice(-24)}-${what.slice(0, 24)}-${turn}`
    const row = await askFor(() => house.store.hold.get(pass.id), house.deadlineMs, house.clock, 'store.hold.get')
    if (row === undefined || row === null) return undefined
    const found = authorizationOf(house, session, pass.id, row)
    const late = row.state === 'reserved' && found !== undefined && found.expiresAt.getTime() <= house.clock.now()
    if (found && found.status !== 'voided' && !late) return found
  }
  throw new Unavailable('this key was given back too often')
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
    const answer = await askFor(() => house.store.reserve(request), house.deadlineMs, house.clock, 'store.reserve')
    const admission = asAdmission(answer)
    if (!admission.ok) {
      const { refused } = admission
      if (refused === 'session-revoked' || refused === 'session-expired') session.end(refused)
      if (refused === 'duplicate-call')
        return { code: refused, reason: 'this idempotency key belongs to another payment' }
      return refusalOf(admission, pass.meters)
    }
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
    // As of any call: an intent that is in the chain must be closed.
    pass.intended = !(error instanceof Unplaced)
    return { code: 'unavailable', reason: 'the audit trail did not accept the payment' }
  }
}

async function find(house: House, session: Session, id: string): Promise<Authorization | undefined> {
  if (!isSession(session) || !house.belongings.has(session)) throw invalid('session', 'is a session of this haldir')
  if (typeof id !== 'string') throw invalid('id', 'is the id of an authorization')
  const row = await askFor(() => house.store.hold.get(id), house.deadlineMs, house.clock, 'store.hold.get')
  return row === undefined || row === null ? undefined : authorizationOf(house, session, id, row)
}

function authorizationOf(house: House, session: Session, id: string, row: HoldRow): Authorization | undefined {
  const terms = row.session === session.id ? termsIn(row.memo) : undefined
  return terms && new Authorization(house, session, id, terms, statusOf(row.state))
}

interface Args {
  readonly description: string
}

/** The key as the store has it. It is the tenant's, not the session's: a process that starts again opens another session. */
function keyed({ house, session, belongings }: Pass, key: string): string {
  return onceOf(house.apart, session.tenant, PAYMENTS, belongings as Belongings, key)
}

interface Order {
  readonly amount: Amount
  readonly description: string
  readonly idempotencyKey: string | undefined
  readonly expiresMs: number
}

function checked(session: Session, options: PaymentOptions): Order {
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
