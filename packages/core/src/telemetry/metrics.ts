/** Calls as numbers. No attribute is an id: what there is of each of them is as many as there are tools, codes, units. */
import type { Counter, Histogram, Meter, ObservableResult } from '@opentelemetry/api'
import type { Amount } from '../money.ts'
import {
  AGENT_NAME,
  APPROVAL_OUTCOME,
  APPROVAL_WAIT,
  DECISION_CODE,
  DECISION_OUTCOME,
  DECISIONS,
  DURATION_BUCKETS,
  ENFORCED,
  ERROR_TYPE,
  EXECUTE_TOOL,
  EXECUTE_TOOL_DURATION,
  NAME,
  OPERATION_NAME,
  SINK,
  SPEND,
  TOOL_NAME,
  TOOL_TYPE,
  TRAIL_DROPPED,
  TRAIL_UNRECORDED,
  TRAIL_WAITING,
  UNIT,
  WAIT_BUCKETS,
} from './conventions.ts'
import type { ApprovalEnd, CallFacts, Decision, TrailGauges } from './telemetry.ts'

interface Instruments {
  readonly decisions: Counter
  readonly duration: Histogram
  readonly spend: Counter
  readonly wait: Histogram
}

interface Watched {
  readonly haldir: string
  readonly read: () => TrailGauges | undefined
}

/** A tool names its errors as it likes, also after what it was called with. */
const MOST_ERRORS = 100

export class Metrics {
  readonly #meter: () => Meter
  readonly #errors = new Set<string>()
  readonly #watched = new Set<Watched>()
  #made: Instruments | undefined

  /** `meter` is asked for when there is something to count: one that is asked for before there is an SDK counts nothing. */
  constructor(meter: () => Meter) {
    this.#meter = meter
  }

  decided({ tool }: CallFacts, { outcome, code, enforced }: Decision): void {
    this.#instruments.decisions.add(1, {
      [TOOL_NAME]: tool,
      [DECISION_OUTCOME]: outcome,
      ...(code === undefined ? {} : { [DECISION_CODE]: code }),
      ...(enforced === undefined ? {} : { [ENFORCED]: enforced }),
    })
  }

  ran({ tool, agent }: CallFacts, seconds: number, error: string | undefined): void {
    this.#instruments.duration.record(seconds, {
      [OPERATION_NAME]: EXECUTE_TOOL,
      [TOOL_NAME]: tool,
      [TOOL_TYPE]: 'function',
      ...(agent === undefined ? {} : { [AGENT_NAME]: agent }),
      ...(error === undefined ? {} : { [ERROR_TYPE]: this.#oneOfFew(error) }),
    })
  }

  spent(tool: string, amounts: readonly Amount[]): void {
    for (const { unit, decimal } of amounts) {
      this.#instruments.spend.add(Number(decimal), { [TOOL_NAME]: tool, [UNIT]: unit })
    }
  }

  approvalEnded(how: ApprovalEnd, seconds: number): void {
    this.#instruments.wait.record(seconds, { [APPROVAL_OUTCOME]: how })
  }

  watch(haldir: string, read: () => TrailGauges | undefined): () => void {
    const watched = { haldir, read }
    this.#watched.add(watched)
    return () => void this.#watched.delete(watched)
  }

  /** `_OTHER` is what the conventions have for an `error.type` that has no name of its own. */
  #oneOfFew(error: string): string {
    if (this.#errors.size < MOST_ERRORS) this.#errors.add(error)
    return this.#errors.has(error) ? error : '_OTHER'
  }

  get #instruments(): Instruments {
    this.#made ??= this.#make(this.#meter())
    return this.#made
  }

  #make(meter: Meter): Instruments {
    const made = {
      decisions: meter.createCounter(DECISIONS, { description: 'Calls that were decided', unit: '{decision}' }),
      duration: meter.createHistogram(EXECUTE_TOOL_DURATION, {
        description: 'How long tools ran',
        unit: 's',
        advice: { explicitBucketBoundaries: [...DURATION_BUCKETS] },
      }),
      spend: meter.createCounter(SPEND, { description: 'What was spent, each unit on its own' }),
      wait: meter.createHistogram(APPROVAL_WAIT, {
        description: 'How long approvals were pending',
        unit: 's',
        advice: { explicitBucketBoundaries: [...WAIT_BUCKETS] },
      }),
    }
    // Last: a meter that throws before is asked again at the next call, and must not observe once more each time.
    const gauge = meter.createObservableGauge(TRAIL_WAITING, {
      description: 'Entries that a required sink has not accepted yet',
      unit: '{entry}',
    })
    gauge.addCallback((to) => this.#observe(to, ({ waiting }) => [[waiting, {}]]))
    const unrecorded = meter.createObservableCounter(TRAIL_UNRECORDED, {
      description: 'Entries that got no place in the trail',
      unit: '{entry}',
    })
    unrecorded.addCallback((to) => this.#observe(to, (stands) => [[stands.unrecorded, {}]]))
    const dropped = meter.createObservableCounter(TRAIL_DROPPED, {
      description: 'Entries that a sink which is not required has lost',
      unit: '{entry}',
    })
    dropped.addCallback((to) =>
      this.#observe(to, (stands) => Object.entries(stands.dropped).map(([sink, lost]) => [lost, { [SINK]: sink }])),
    )
    return made
  }

  #observe(
    to: ObservableResult,
    of: (stands: TrailGauges) => readonly (readonly [number, Readonly<Record<string, string>>])[],
  ): void {
    for (const { haldir, read } of this.#watched) {
      const stands = read()
      for (const [value, more] of stands ? of(stands) : []) to.observe(value, { [NAME]: haldir, ...more })
    }
  }
}
