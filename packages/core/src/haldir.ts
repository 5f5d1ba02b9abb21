/** `createHaldir`: options become parts, joined. The only file that knows all three pillars. */
import { Approvals as Asked } from './approvals/approvals.ts'
import { type Approvals, answerRequest, approvalsFace } from './approvals/face.ts'
import { paymentFragment } from './authorization.ts'
import { ask, type MaybePromise } from './clock.ts'
import { joinHaldirs, toolsOf } from './context.ts'
import { ConfigError, Unavailable, Unplaced } from './errors.ts'
import { FETCH } from './fetch.ts'
import { compilePolicy } from './gate/policy/compile.ts'
import { LoadedPolicy } from './gate/policy/loaded.ts'
import type { Policy } from './gate/policy/policy.ts'
import type { Session } from './gate/sessions.ts'
import { governorOver } from './governing.ts'
import { type GovernedTool, type Governor, setGovernor } from './governor.ts'
import { type CheckedOptions, checkHaldirOptions, type HaldirOptions } from './haldir-options.ts'
import type { Health } from './health.ts'
import { assemble } from './house.ts'
import type { House } from './pass.ts'
import { PAYMENT, type Payments, paymentsOf } from './payments.ts'
import { privacyOf } from './privacy.ts'
import type { SessionOptions } from './session-options.ts'
import { Sessions } from './sessions.ts'
import { standIn } from './shadow.ts'
import { type Signals, signalsOf } from './signals/face.ts'
import type { Expired } from './stores/store.ts'
import { type CallExplanation, type ExplainCall, explainCall, type Surface, surfaceOf } from './surface.ts'
import { shownVault } from './vault/shown-vault.ts'
import type { Vault } from './vault/vault.ts'
import { NOBODY } from './watch/chain.ts'
import { knownOf } from './watch/checkpoint-options.ts'
import type { TrailPrivacy } from './watch/privacy.ts'
import { readingOf, type Trail } from './watch/reading.ts'

/** Assembles a governor. Throws `ConfigError` that names the option. */
export function createHaldir(options: HaldirOptions = {}): Haldir {
  return new Haldir(checkHaldirOptions(options))
}

export class Haldir {
  /** Credentials at rest. */
  readonly vault: Vault
  /** The audit log. */
  readonly trail: Trail & TrailPrivacy
  /** Payments that are no tool call. */
  readonly payments: Payments
  /** What people are asked, and what they have said. */
  readonly approvals: Approvals
  /** What was not as usual, and letting go of what is held for that. */
  readonly signals: Signals
  /**
   * Answers what comes in from channels: clicks in Slack, decision links, signed callbacks. To be mounted where those
   * lead, before anything that reads bodies; it may be passed on by itself. Never rejects; 404 for what no channel knows.
   */
  readonly fetch: (request: Request) => Promise<Response>
  readonly #house: House
  readonly #governor: Governor
  readonly #sessions: Sessions
  readonly #warnings = new Set<string>()
  readonly #leave: () => void
  /** The policy that the trail knows of: recorded before the first session is opened under it. */
  #announced: { readonly policy: LoadedPolicy; readonly done: Promise<void> } | undefined
  /** The latest policy that is being put in force. */
  #loading: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined

  /** @internal Use `createHaldir`. */
  constructor(options: CheckedOptions) {
    for (const own of OWN_TOOLS) checkFit(options.policy && new LoadedPolicy(options.policy), own)
    const house = assemble(options, (warning) => this.#warnings.add(warning))
    const { shadow, trail, vault, clock, deadlineMs } = house
    this.#house = house
    this.#governor = governorOver(house, options.name, (tool) => checkFit(house.policy, tool))
    this.#sessions = new Sessions({ house, governor: this.#governor, random: options.random })
    const { approvals, random } = options
    // In shadow mode nobody is asked.
    if (approvals && !shadow) house.approvals = new Asked(house, approvals, this.#sessions, random)
    this.fetch = (request) => answerRequest(house.approvals, request)
    this.approvals = approvalsFace(() => house.approvals, this.#governor)
    if (shadow) house.nobody = standIn(house, this.#governor, this.#sessions, options.random)
    const { sinks, checkpoints } = options
    const signed = checkpoints && (() => knownOf(checkpoints))
    const reading = { sinks, registry: house.store.writer, clock, deadlineMs, flush: () => trail.flush(), signed }
    this.trail = Object.freeze({ ...readingOf(reading), ...privacyOf(house) })
    this.signals = signalsOf(house, options, this.trail)
    this.vault = shownVault(vault, (secret) =>
      this.#warnings.add(`the secret \`${secret}\` is too short to be redacted`),
    )
    this.payments = paymentsOf(house, () => this.sweep())
    setGovernor(this, this.#governor)
    this.#leave = joinHaldirs(this.#governor)
  }

  /**
   * Opens a session: an agent's leave to act. Throws `ConfigError` for a bad option or scope, `Denied` when a quota of
   * sessions or agents leaves no room, `Unavailable` when the store or the trail does not take it; then there is none.
   */
  async createSession(options: SessionOptions): Promise<Session> {
    await this.#ready()
    return this.#sessions.create(options)
  }

  /** A handle on a session that was made elsewhere, by its bearer token. Throws `HaldirError` when there is none. */
  async attach(token: string): Promise<Session> {
    if (typeof token !== 'string') throw new ConfigError('invalid-option', 'token', '`token` is a string')
    await this.#ready()
    return this.#sessions.attach(token)
  }

  /**
   * Puts a policy in force, in one step: a call is judged by the old one or by the new one, never by parts of both.
   * Throws `ConfigError` for a policy that is not sound or that reads arguments a tool does not have, `Unavailable` when
   * the trail does not accept the entry; then the old one stays.
   */
  async loadPolicy(policy: Policy): Promise<{ readonly hash: string }> {
    const loaded = new LoadedPolicy(compilePolicy(policy))
    for (const own of OWN_TOOLS) checkFit(loaded, own)
    for (const { tool, governor } of toolsOf(this.#governor)) if (tool && governor) checkFit(loaded, tool)
    // One after the other, and the old one is on record first: entries of policies stand in the order in which they
    // came into force.
    const put = this.#loading.then(() => this.#putInForce(loaded))
    this.#loading = put.catch(() => {})
    await put
    return { hash: loaded.hash }
  }

  async #putInForce(loaded: LoadedPolicy): Promise<void> {
    await this.#ready()
    const announced = { policy: loaded, done: this.#announce(loaded) }
    try {
      await announced.done
    } catch (error) {
      // The entry may still reach the sink. Whoever reads it then must not take it for the policy in force.
      const old = this.#house.policy
      if (old && !(error instanceof Unplaced)) void this.#announce(old).catch(() => {})
      throw error
    }
    this.#announced = announced
    this.#house.policy = loaded
  }

  /** What is governed in this process: every wrapped tool, what it requires, and which rules are about it. */
  surface(): Surface {
    return surfaceOf(this.#house, this.#governor)
  }

  /** Why a call would be allowed or refused by scopes and policy. For people: never show it to a model. */
  explain(call: ExplainCall): CallExplanation {
    return explainCall(this.#house, this.#governor, call)
  }

  /** What works and what does not, without asking anything outside. */
  health(): Health {
    const trail = this.#house.trail.health()
    const { open, holds, shadow, policy, observed, faults, store } = this.#house
    const warnings = [...this.#warnings]
    if (shadow) warnings.push('shadow mode: nothing is refused')
    for (const { name, problems } of this.surface().tools) {
      if (problems.length > 0) warnings.push(`calls of \`${name}\` are refused: ${problems.join('; ')}`)
    }
    const works = store.health.ok && trail.checkpoints?.failing !== true
    return {
      ok: open && trail.waiting === 0 && trail.unrecorded === 0 && holds.owed === 0 && works,
      open,
      mode: shadow ? 'shadow' : 'enforce',
      ...(policy ? { policyHash: policy.hash } : {}),
      trail,
      store: { ok: store.health.ok },
      owed: holds.owed,
      observed: Object.fromEntries(observed),
      warnings,
      faults: faults.list(),
    }
  }

  /** Ends holds whose lease is over, at most `limit`: reserved ones are released, running ones counted as spent. */
  async sweep(limit = 1_000): Promise<Expired> {
    const { store, trail, approvals } = this.#house
    await approvals?.expire(limit)
    const expired = await this.#ask(() => store.expire(limit), 'store.expire')
    // What was authorized and never captured has an intent in the trail: it is closed. What was set aside while people
    // were asked has none, and no memo.
    for (const call of expired.released) {
      const hold = await this.#ask(() => store.hold.get(call), 'store.hold.get').catch(() => undefined)
      if (hold && hold.memo === undefined) continue
      const data = { ended: 'not-run', reason: 'the authorization has expired' }
      await trail.conclude({ type: 'outcome', session: NOBODY, call: paymentFragment(call), data })
    }
    await approvals?.deliveries.settled()
    return expired
  }

  /**
   * Resolves when everything recorded so far is accepted, every settle taken, and channels have been tried; rejects
   * `Unavailable` if entries or settles are still owed.
   */
  async flush(): Promise<void> {
    await this.#house.approvals?.deliveries.settled()
    await this.#house.holds.flush()
    await this.#house.signals?.settled()
    await this.#house.trail.flush()
    if (this.#house.holds.owed > 0) throw new Unavailable('the store did not take every settle')
  }

  /** Takes no more calls, waits for those that run (as long as the deadline), and closes trail and store. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#house.open = false
    this.#leave()
    this.#house.approvals?.stop()
    await this.#idle()
    this.#sessions.close()
    await this.#house.approvals?.close()
    // What still runs is told to stop; its outcome will find the trail closed, and is counted.
    for (const { current } of this.#house.running) current?.abort(new Unavailable('this haldir is closed'))
    await this.#house.holds.flush()
    this.#house.holds.close()
    await this.#house.signals?.close(this.#house.deadlineMs)
    try {
      await this.#house.trail.close()
    } finally {
      this.#house.reports?.close()
      this.#house.egress.close()
      await this.#house.store.close?.()
    }
  }

  /** `await using haldir = createHaldir()` closes it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Open, and the policy in force is on record: nothing is judged by a policy that the trail does not know. */
  async #ready(): Promise<void> {
    const { open, policy, shadow } = this.#house
    if (!open) throw new Unavailable('this haldir is closed')
    if (!policy) return
    if (this.#announced?.policy !== policy) this.#announced = { policy, done: this.#announce(policy) }
    const announced = this.#announced
    try {
      await announced.done
    } catch (error) {
      if (this.#announced === announced) this.#announced = undefined
      if (!shadow) throw error
      this.#house.faults.note('trail', error)
    }
  }

  async #announce({ hash, compiled }: LoadedPolicy): Promise<void> {
    const { name, version, rules } = compiled.policy
    const data = {
      ...(name === undefined ? {} : { name }),
      ...(version === undefined ? {} : { version }),
      rules: rules.length,
    }
    await this.#house.trail.record({ type: 'policy-loaded', session: NOBODY, policyHash: hash, data })
  }

  async #idle(): Promise<void> {
    const { clock, running, deadlineMs } = this.#house
    const end = clock.monotonic() + deadlineMs
    while (running.size > 0 && clock.monotonic() < end) {
      await new Promise<void>((wake) => void clock.setTimeout(wake, 10))
    }
  }

  #ask<T>(work: () => MaybePromise<T>, what: string): Promise<T> {
    return ask(work, this.#house.deadlineMs, this.#house.clock, what)
  }
}

/** What is called without anybody wrapping it. */
const OWN_TOOLS = [PAYMENT, FETCH]

/** A policy must not read arguments that a tool it names does not have. */
function checkFit(policy: LoadedPolicy | undefined, tool: GovernedTool): void {
  const misfit = policy?.misfits(tool)[0]
  if (misfit) throw new ConfigError('invalid-policy', misfit.at, misfit.message)
}
