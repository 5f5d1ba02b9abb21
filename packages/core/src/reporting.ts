/** Tells telemetry of calls, and keeps calls safe from it: whatever it does, the call goes on as if it were not there. */
import { type Clock, disregard } from './clock.ts'
import type { Faults } from './faults.ts'
import type { Amount } from './money.ts'
import type { Pass, Refusal } from './pass.ts'
import type { ApprovalRow } from './stores/approvals.ts'
import type { CallFacts, CallTelemetry, Decision, RunEnd, Span, Telemetry, TrailGauges } from './telemetry/telemetry.ts'

/** How the path speaks to telemetry. Nothing here throws. */
export class Reports {
  readonly #telemetry: Telemetry
  readonly #clock: Clock
  readonly #faults: Faults
  #unwatch: (() => void) | undefined

  constructor(telemetry: Telemetry, clock: Clock, faults: Faults) {
    this.#telemetry = telemetry
    this.#clock = clock
    this.#faults = faults
  }

  /** A call has come. To be called before anything is awaited: its parent is what is active now. */
  call(): CallReport {
    return new CallReport(
      this.attempt(() => this.#telemetry.call()),
      this.#clock,
      this,
    )
  }

  spent(tool: string, amounts: readonly Amount[]): void {
    if (amounts.length > 0) this.attempt(() => this.#telemetry.spent(tool, amounts))
  }

  /** An approval that is not pending any more. Both times are the store's. */
  approvalEnded({ state, createdAt, decidedAt }: ApprovalRow): void {
    if (state === 'pending' || decidedAt === undefined) return
    this.attempt(() => this.#telemetry.approvalEnded(state, (decidedAt - createdAt) / 1_000))
  }

  /** Held weakly: a haldir that nobody uses any more goes, though nobody has closed it. */
  watch(haldir: string, trail: { health(): TrailGauges }): void {
    const held = new WeakRef(trail)
    this.#unwatch = this.attempt(() => this.#telemetry.watch(haldir, () => held.deref()?.health()))
  }

  close(): void {
    this.attempt(() => this.#unwatch?.())
  }

  /** Invariant: telemetry that throws, or answers a promise that rejects, touches nothing but a counter. */
  attempt<T>(work: () => T): T | undefined {
    try {
      const answer = work()
      disregard(answer)
      return answer
    } catch (error) {
      this.#faults.note('telemetry', error)
      return undefined
    }
  }
}

/** One call, as it is told. */
export class CallReport {
  readonly #telemetry: CallTelemetry | undefined
  readonly #clock: Clock
  readonly #reports: Reports
  readonly #came: number | undefined
  readonly #ticked: number
  #began = false
  #returned: Span | undefined

  constructor(telemetry: CallTelemetry | undefined, clock: Clock, reports: Reports) {
    this.#telemetry = telemetry
    this.#clock = clock
    this.#reports = reports
    this.#came = reports.attempt(() => clock.now())
    this.#ticked = reports.attempt(() => clock.monotonic()) ?? 0
  }

  /** Its tool does not run: it is refused, suspended, or given up. */
  stopped(pass: Pass, outcome: Decision['outcome'], refusal: Refusal | undefined, aborted: boolean): void {
    const known = decisionOf(pass)
    const id = refusal?.suspended?.approvalId ?? known.approval?.id
    this.#stop(pass, {
      ...known,
      outcome,
      code: refusal?.code,
      rule: refusal ? refusal.rule : known.rule,
      // What was set aside has been given back.
      held: [],
      // What is refused in shadow mode really was.
      enforced: pass.house.shadow ? refusal !== undefined : undefined,
      approval: id === undefined ? undefined : { id, by: pass.approvers },
      aborted,
    })
  }

  /** It was allowed, and there is no tool to run. */
  allowed(pass: Pass): void {
    this.#stop(pass, decisionOf(pass))
  }

  #stop(pass: Pass, decision: Decision): void {
    this.#tell((to, time) => to.stopped(factsOf(pass), decision, time))
  }

  /** Does a part of the tool's run. The first of them begins it. */
  inside<T>(pass: Pass, work: () => T): T {
    if (!this.#began) this.#begin(pass)
    const told = this.#telemetry
    if (!told) return work()
    let done: { readonly value: T } | { readonly error: unknown } | undefined
    const once = () => {
      if (done) return
      try {
        done = { value: work() }
      } catch (error) {
        done = { error }
      }
    }
    this.#reports.attempt(() => told.inside(once))
    // Invariant: the tool runs once, whether telemetry has called it or not, and its own error is what is thrown.
    once()
    const { value, error } = done as { readonly value?: T; readonly error?: unknown }
    if ('error' in (done as object)) throw error
    return value as T
  }

  /** The tool has ended; what that means is told later. */
  returned(): void {
    this.#returned ??= this.#time()
  }

  ended(end: RunEnd): void {
    this.#tell((to, time) => to.ended(end, this.#returned ?? time))
  }

  #begin(pass: Pass): void {
    this.#began = true
    this.#tell((to, time) => to.began(factsOf(pass), decisionOf(pass), time))
  }

  #tell(what: (to: CallTelemetry, time: Span) => void): void {
    const to = this.#telemetry
    const time = to && this.#time()
    if (to && time) this.#reports.attempt(() => what(to, time))
  }

  #time(): Span | undefined {
    const from = this.#came
    const ticked = this.#reports.attempt(() => this.#clock.monotonic())
    if (from === undefined || ticked === undefined) return undefined
    const to = from + Math.max(0, ticked - this.#ticked)
    return Number.isFinite(to) ? { from, to } : undefined
  }
}

function factsOf({ id, tool, ref, house, belongings, who, policyHash }: Pass): CallFacts {
  const session = belongings && typeof who !== 'string' && who !== house.nobody ? who : undefined
  const { id: own, agent, tenant } = session ?? {}
  return { id, tool: tool.name, ref, session: own, agent, tenant, policyHash }
}

/** What is decided of a call that runs. */
function decisionOf({ house, rule, admitted, amounts, consent, approvers, asked, observed, request }: Pass): Decision {
  const approval = consent?.id ?? asked ?? request.approval
  return {
    outcome: observed ? verdictOf(observed) : 'allow',
    code: observed?.code,
    rule: observed ? observed.rule : rule,
    enforced: house.shadow ? false : undefined,
    held: admitted ? amounts : [],
    approval: approval === undefined ? undefined : { id: approval, by: approvers },
    waited: consent !== undefined && consent.id === asked,
    aborted: false,
  }
}

/** Whether it was refused, or has to be asked about. */
export function verdictOf({ code }: Pick<Refusal, 'code'>): 'deny' | 'ask' {
  return code === 'approval-unavailable' || code === 'approval-pending' ? 'ask' : 'deny'
}
