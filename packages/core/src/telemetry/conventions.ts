/**
 * Names that spans and metrics go by. `gen_ai.*` and `error.type` are those of the OpenTelemetry conventions for
 * generative AI (github.com/open-telemetry/semantic-conventions-genai), which are in development and in no package that
 * is meant to last; so they stand here, under the version they were read in. `haldir.*` is ours: nothing there covers
 * decisions, approvals or spending.
 */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev'

/** The instrumentation scope. */
export const SCOPE = '@haldir/core'

export const EXECUTE_TOOL = 'execute_tool'
export const OPERATION_NAME = 'gen_ai.operation.name'
export const TOOL_NAME = 'gen_ai.tool.name'
export const TOOL_TYPE = 'gen_ai.tool.type'
export const TOOL_CALL_ID = 'gen_ai.tool.call.id'
export const AGENT_NAME = 'gen_ai.agent.name'
export const ERROR_TYPE = 'error.type'
export const EXECUTE_TOOL_DURATION = 'gen_ai.execute_tool.duration'
/** Boundaries that the conventions give for durations of operations, in seconds. */
export const DURATION_BUCKETS: readonly number[] = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
]

export const DECISION = 'haldir.decision'
export const DECISION_OUTCOME = 'haldir.decision.outcome'
export const DECISION_CODE = 'haldir.decision.code'
export const DECISION_RULE = 'haldir.decision.rule'
export const ENFORCED = 'haldir.enforced'
export const ABORTED = 'haldir.aborted'
export const CALL_ID = 'haldir.call.id'
export const SESSION_ID = 'haldir.session.id'
export const TENANT = 'haldir.tenant'
export const POLICY_HASH = 'haldir.policy.hash'
export const APPROVAL_ID = 'haldir.approval.id'
export const APPROVAL_BY = 'haldir.approval.by'
/** Exact amounts, such as `29.99 USD`, one for each unit. */
export const HELD = 'haldir.held'
export const SPENT = 'haldir.spent'
export const WITHHELD = 'haldir.result.withheld'

export const DECISIONS = 'haldir.decisions'
export const SPEND = 'haldir.spend'
export const UNIT = 'haldir.unit'
export const APPROVAL_WAIT = 'haldir.approval.wait'
export const APPROVAL_OUTCOME = 'haldir.approval.outcome'
/** From a second to a day. */
export const WAIT_BUCKETS: readonly number[] = [1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 43_200, 86_400]
export const TRAIL_WAITING = 'haldir.trail.waiting'
export const TRAIL_DROPPED = 'haldir.trail.dropped'
export const TRAIL_UNRECORDED = 'haldir.trail.unrecorded'
export const SINK = 'haldir.sink'
export const NAME = 'haldir.name'
