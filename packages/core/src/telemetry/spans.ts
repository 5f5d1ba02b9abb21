/** Calls as spans: `execute_tool {tool}` around what runs, `haldir.decision {tool}` for what does not. */

import type { Span as OpenSpan, Tracer } from '@opentelemetry/api'
import {
  type Attributes,
  type Context,
  context,
  type HrTime,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { Amount } from '../money.ts'
import {
  ABORTED,
  AGENT_NAME,
  APPROVAL_BY,
  APPROVAL_ID,
  CALL_ID,
  DECISION,
  DECISION_CODE,
  DECISION_OUTCOME,
  DECISION_RULE,
  ENFORCED,
  ERROR_TYPE,
  EXECUTE_TOOL,
  HELD,
  OPERATION_NAME,
  POLICY_HASH,
  SESSION_ID,
  SPENT,
  TENANT,
  TOOL_CALL_ID,
  TOOL_NAME,
  TOOL_TYPE,
  WITHHELD,
} from './conventions.ts'
import type { CallFacts, Decision, RunEnd, Span } from './telemetry.ts'

/**
 * Whose span a tool runs in: `own`, one of ours; `active`, the one its framework has made for the call already, where
 * there is one.
 */
export type ToolSpan = 'own' | 'active'

/** The spans of one call. */
export class CallSpans {
  readonly #tracer: Tracer
  readonly #toolSpan: ToolSpan
  /** What is active where the call comes from: the parent, whenever and wherever the rest happens. */
  readonly #parent: Context
  #inner: Context | undefined
  #span: OpenSpan | undefined
  #owned = false

  constructor(tracer: Tracer, toolSpan: ToolSpan) {
    this.#tracer = tracer
    this.#toolSpan = toolSpan
    this.#parent = context.active()
  }

  stopped(call: CallFacts, decision: Decision, time: Span): void {
    this.#decision(call, decision, time)
  }

  began(call: CallFacts, decision: Decision, time: Span): void {
    // The decision stands on the tool's span: one span a call. Only the time that a person took would not be seen.
    if (decision.waited) this.#decision(call, decision, time)
    const active = this.#toolSpan === 'active' ? trace.getSpan(this.#parent) : undefined
    if (active?.isRecording()) {
      this.#span = active
      active.setAttributes(ours(call, decision))
      return
    }
    const attributes = { [OPERATION_NAME]: EXECUTE_TOOL, ...tool(call), ...ours(call, decision) }
    const options = { kind: SpanKind.INTERNAL, attributes, startTime: hrTime(time.to) }
    const span = this.#tracer.startSpan(`${EXECUTE_TOOL} ${call.tool}`, options, this.#parent)
    this.#inner = trace.setSpan(this.#parent, span)
    this.#span = span
    this.#owned = true
  }

  inside(work: () => void): void {
    if (this.#inner) context.with(this.#inner, work)
    else work()
  }

  ended({ error, spent, withheld }: RunEnd, time: Span): void {
    const span = this.#span
    if (!span) return
    span.setAttributes({ ...amounts(SPENT, spent), ...(withheld ? { [WITHHELD]: true } : {}) })
    // Another's span is ended, and found failed, by whoever has made it.
    if (!this.#owned) return
    // No message and no exception event: what a tool's error says may hold anything.
    if (error !== undefined) span.setAttribute(ERROR_TYPE, error).setStatus({ code: SpanStatusCode.ERROR })
    span.end(hrTime(time.to))
  }

  #decision(call: CallFacts, decision: Decision, time: Span): void {
    const attributes = { ...tool(call), ...ours(call, decision) }
    const options = { kind: SpanKind.INTERNAL, attributes, startTime: hrTime(time.from) }
    const span = this.#tracer.startSpan(`${DECISION} ${call.tool}`, options, this.#parent)
    // To be refused is no error. That something is broken, so that nobody could decide, is one.
    if (decision.code === 'unavailable') {
      span.setAttribute(ERROR_TYPE, decision.code).setStatus({ code: SpanStatusCode.ERROR })
    }
    span.end(hrTime(time.to))
  }
}

function tool({ tool: name, ref, agent }: CallFacts): Attributes {
  return { [TOOL_NAME]: name, [TOOL_TYPE]: 'function', ...some(TOOL_CALL_ID, ref), ...some(AGENT_NAME, agent) }
}

function ours({ id, session, tenant, policyHash }: CallFacts, decision: Decision): Attributes {
  const { outcome, code, rule, enforced, held, approval, aborted } = decision
  return {
    [DECISION_OUTCOME]: outcome,
    ...some(DECISION_CODE, code),
    ...some(DECISION_RULE, rule),
    ...some(ENFORCED, enforced),
    ...some(CALL_ID, id || undefined),
    ...some(SESSION_ID, session),
    ...some(TENANT, tenant),
    ...some(POLICY_HASH, policyHash),
    ...amounts(HELD, held),
    ...(approval ? { [APPROVAL_ID]: approval.id } : {}),
    ...(approval && approval.by.length > 0 ? { [APPROVAL_BY]: [...approval.by] } : {}),
    ...(aborted ? { [ABORTED]: true } : {}),
  }
}

function some(name: string, value: string | boolean | undefined): Attributes {
  return value === undefined ? {} : { [name]: value }
}

function amounts(name: string, of: readonly Amount[]): Attributes {
  return of.length === 0 ? {} : { [name]: of.map(({ decimal, unit }) => `${decimal} ${unit}`) }
}

/** A plain number would be taken for one of the machine's monotonic clock when it is small. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1_000) * 1e6))]
}
