/**
 * OpenTelemetry: traces and metrics of governed calls, by the conventions for generative AI. `@opentelemetry/api` is an
 * optional peer, and only this subpath imports it.
 */
import { type Meter, metrics, type Tracer, trace } from '@opentelemetry/api'
import { ConfigError } from './errors.ts'
import { checkKeys } from './options.ts'
import { SCHEMA_URL, SCOPE } from './telemetry/conventions.ts'
import { Metrics } from './telemetry/metrics.ts'
import { CallSpans, type ToolSpan } from './telemetry/spans.ts'
import type { CallFacts, CallTelemetry, Decision, RunEnd, Span, Telemetry } from './telemetry/telemetry.ts'

export { SCHEMA_URL } from './telemetry/conventions.ts'
export type {
  ApprovalEnd,
  CallFacts,
  CallTelemetry,
  Decision,
  RunEnd,
  Span,
  Telemetry,
  TrailGauges,
} from './telemetry/telemetry.ts'

export interface OpenTelemetryOptions {
  /** Makes the spans; that of the global provider unless given. */
  readonly tracer?: Tracer
  /** Counts; that of the global provider unless given. */
  readonly meter?: Meter
  /**
   * `own` (default): each run of a tool has a span of ours, a child of what is active. `active`: what is active where a
   * call comes from is the framework's own span of that call, and takes our attributes instead; where nothing is, there
   * is one of ours. A span's name can not be read, so only you know which it is.
   */
  readonly toolSpan?: ToolSpan
}

/** For `createHaldir({ telemetry })`. Throws `ConfigError` that names the option. */
export function openTelemetry(options: OpenTelemetryOptions = {}): Telemetry {
  checkKeys(options, ['tracer', 'meter', 'toolSpan'], 'options of `openTelemetry`')
  const { tracer, meter, toolSpan = 'own' } = options
  if (tracer !== undefined && typeof tracer?.startSpan !== 'function') throw invalid('tracer', 'is a tracer')
  if (meter !== undefined && typeof meter?.createHistogram !== 'function') throw invalid('meter', 'is a meter')
  if (toolSpan !== 'own' && toolSpan !== 'active') throw invalid('toolSpan', 'is `own` or `active`')
  // A global tracer finds its provider later; a global meter does not.
  const spansBy = tracer ?? trace.getTracerProvider().getTracer(SCOPE, undefined, { schemaUrl: SCHEMA_URL })
  const counted = new Metrics(() => meter ?? metrics.getMeter(SCOPE, undefined, { schemaUrl: SCHEMA_URL }))
  return Object.freeze({
    call: () => new TracedCall(new CallSpans(spansBy, toolSpan), counted),
    spent: counted.spent.bind(counted),
    approvalEnded: counted.approvalEnded.bind(counted),
    watch: counted.watch.bind(counted),
  })
}

class TracedCall implements CallTelemetry {
  readonly #spans: CallSpans
  readonly #metrics: Metrics
  #call: CallFacts | undefined
  #from = 0

  constructor(spans: CallSpans, counted: Metrics) {
    this.#spans = spans
    this.#metrics = counted
  }

  stopped(call: CallFacts, decision: Decision, time: Span): void {
    both(
      () => this.#metrics.decided(call, decision),
      () => this.#spans.stopped(call, decision, time),
    )
  }

  began(call: CallFacts, decision: Decision, time: Span): void {
    this.#call = call
    this.#from = time.to
    both(
      () => this.#metrics.decided(call, decision),
      () => this.#spans.began(call, decision, time),
    )
  }

  inside(work: () => void): void {
    this.#spans.inside(work)
  }

  ended(end: RunEnd, time: Span): void {
    both(
      () => this.#call && this.#metrics.ran(this.#call, (time.to - this.#from) / 1_000, end.error),
      () => this.#spans.ended(end, time),
    )
  }
}

/** A meter that throws takes no span away. */
function both(one: () => void, other: () => void): void {
  try {
    one()
  } finally {
    other()
  }
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
