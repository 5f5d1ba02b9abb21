/** What stands in spans and metrics, by the real SDK. */
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { amount, usd } from './money.ts'
import { type CallFacts, type Decision, type OpenTelemetryOptions, openTelemetry, SCHEMA_URL } from './telemetry.ts'

const spans = new InMemorySpanExporter()
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] })
const tracer = provider.getTracer('test')

let numbers: InMemoryMetricExporter
let reader: PeriodicExportingMetricReader
let meters: MeterProvider

beforeAll(() => void context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()))
afterAll(() => {
  context.disable()
  trace.disable()
})
beforeEach(() => {
  spans.reset()
  numbers = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  reader = new PeriodicExportingMetricReader({ exporter: numbers, exportIntervalMillis: 2 ** 30 })
  meters = new MeterProvider({ readers: [reader] })
})
afterEach(() => meters.shutdown())

const made = (options: OpenTelemetryOptions = {}) =>
  openTelemetry({ tracer, meter: meters.getMeter('test'), ...options })

const CALL: CallFacts = {
  id: 'call-1',
  tool: 'charge',
  ref: 'toolu_1',
  session: 'session-1',
  agent: 'order-bot',
  tenant: 'acme',
  policyHash: 'f00',
}
const ALLOWED: Decision = {
  outcome: 'allow',
  code: undefined,
  rule: 'small-charges',
  enforced: undefined,
  held: [usd('29.99'), amount('tokens', 900)],
  approval: undefined,
  waited: false,
  aborted: false,
}
const END = { error: undefined, spent: [usd('12.5')], withheld: false }
const T = 1_767_225_600_000

function finished(): ReadableSpan[] {
  return spans.getFinishedSpans()
}

async function measured() {
  await reader.forceFlush()
  const [resource] = numbers.getMetrics().slice(-1)
  return (resource?.scopeMetrics ?? [])
    .flatMap(({ metrics }) => metrics)
    .map(({ descriptor, dataPoints }) => ({
      ...descriptor,
      points: dataPoints as { attributes: object; value: any }[],
    }))
}

async function pointsOf(name: string) {
  return (await measured())
    .find((metric) => metric.name === name)
    ?.points.map(({ attributes, value }) => ({ ...attributes, value }))
}

describe('a call that runs', () => {
  it('is one span, with what was decided on it, for exactly as long as the tool ran', () => {
    const call = made().call()
    call.began(CALL, ALLOWED, { from: T, to: T + 4.25 })
    call.ended(END, { from: T, to: T + 1_004.5 })
    const [span, ...others] = finished()
    expect(others).toEqual([])
    expect(span).toMatchObject({ name: 'execute_tool charge', kind: SpanKind.INTERNAL, events: [] })
    expect(span?.status).toEqual({ code: SpanStatusCode.UNSET })
    expect(span?.startTime).toEqual([T / 1_000, 4_250_000])
    expect(span?.endTime).toEqual([T / 1_000 + 1, 4_500_000])
    expect(span?.attributes).toEqual({
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'charge',
      'gen_ai.tool.type': 'function',
      'gen_ai.tool.call.id': 'toolu_1',
      'gen_ai.agent.name': 'order-bot',
      'haldir.decision.outcome': 'allow',
      'haldir.decision.rule': 'small-charges',
      'haldir.call.id': 'call-1',
      'haldir.session.id': 'session-1',
      'haldir.tenant': 'acme',
      'haldir.policy.hash': 'f00',
      'haldir.held': ['29.99 USD', '900 tokens'],
      'haldir.spent': ['12.5 USD'],
    })
  })

  it('belongs to what was active when it came, and what its tool starts belongs to it', () => {
    const telemetry = made()
    const outer = tracer.startSpan('agent')
    const call = context.with(trace.setSpan(context.active(), outer), () => telemetry.call())
    // Told from somewhere else, as the reader of a stream is.
    call.began(CALL, ALLOWED, { from: T, to: T })
    let ran = 0
    call.inside(() => {
      ran++
      tracer.startSpan('GET').end()
    })
    call.inside(() => void tracer.startSpan('GET again').end())
    expect(trace.getActiveSpan()).toBeUndefined()
    call.ended(END, { from: T, to: T })
    const named = (name: string) => finished().find((span) => span.name === name) as ReadableSpan
    const own = named('execute_tool charge')
    expect(ran).toBe(1)
    expect(own.parentSpanContext?.spanId).toBe(outer.spanContext().spanId)
    for (const name of ['GET', 'GET again']) {
      expect(named(name).parentSpanContext?.spanId).toBe(own.spanContext().spanId)
    }
  })

  it('failed: the class of the error, and no word of it', () => {
    const call = made().call()
    call.began(CALL, ALLOWED, { from: T, to: T })
    call.ended({ ...END, error: 'TypeError', withheld: true }, { from: T, to: T })
    const [span] = finished()
    expect(span?.status).toEqual({ code: SpanStatusCode.ERROR })
    expect(span?.attributes).toMatchObject({ 'error.type': 'TypeError', 'haldir.result.withheld': true })
    expect(span?.events).toEqual([])
  })

  it('after a person was waited for: how long the decision took is a span of its own, beside it', () => {
    const call = made().call()
    const approval = { id: 'approval-1', by: ['U1', 'U2'] }
    call.began(CALL, { ...ALLOWED, waited: true, approval }, { from: T, to: T + 60_000 })
    call.ended(END, { from: T, to: T + 61_000 })
    expect(finished().map(({ name, startTime, endTime }) => [name, startTime[0], endTime[0]])).toEqual([
      ['haldir.decision charge', T / 1_000, T / 1_000 + 60],
      ['execute_tool charge', T / 1_000 + 60, T / 1_000 + 61],
    ])
    for (const { attributes } of finished()) {
      expect(attributes).toMatchObject({ 'haldir.approval.id': 'approval-1', 'haldir.approval.by': ['U1', 'U2'] })
    }
  })
})

describe('a call that does not run', () => {
  it('is a span of the decision alone, and no error', () => {
    const call = made().call()
    const denied = { ...ALLOWED, outcome: 'deny', code: 'scope-missing', rule: 'scope:admin', held: [] } as const
    call.stopped({ ...CALL, ref: undefined, policyHash: undefined }, denied, { from: T, to: T + 1 })
    const [span, ...others] = finished()
    expect(others).toEqual([])
    expect(span).toMatchObject({ name: 'haldir.decision charge', kind: SpanKind.INTERNAL })
    expect(span?.status).toEqual({ code: SpanStatusCode.UNSET })
    expect(span?.attributes).toEqual({
      'gen_ai.tool.name': 'charge',
      'gen_ai.tool.type': 'function',
      'gen_ai.agent.name': 'order-bot',
      'haldir.decision.outcome': 'deny',
      'haldir.decision.code': 'scope-missing',
      'haldir.decision.rule': 'scope:admin',
      'haldir.call.id': 'call-1',
      'haldir.session.id': 'session-1',
      'haldir.tenant': 'acme',
    })
  })

  it('is an error when something is broken', () => {
    made()
      .call()
      .stopped(CALL, { ...ALLOWED, outcome: 'deny', code: 'unavailable' }, { from: T, to: T })
    expect(finished()[0]?.status).toEqual({ code: SpanStatusCode.ERROR })
    expect(finished()[0]?.attributes).toMatchObject({ 'error.type': 'unavailable' })
  })

  it('says what is not known by leaving it out', () => {
    const nobody = { session: undefined, agent: undefined, tenant: undefined, policyHash: undefined, ref: undefined }
    const decision = { ...ALLOWED, outcome: 'deny', code: 'no-session', rule: undefined, held: [] } as const
    made()
      .call()
      .stopped({ ...CALL, ...nobody, id: '' }, decision, { from: T, to: T })
    expect(finished()[0]?.attributes).toEqual({
      'gen_ai.tool.name': 'charge',
      'gen_ai.tool.type': 'function',
      'haldir.decision.outcome': 'deny',
      'haldir.decision.code': 'no-session',
    })
  })

  it('may have been given up, or been judged only', () => {
    made()
      .call()
      .stopped(CALL, { ...ALLOWED, aborted: true, enforced: false }, { from: T, to: T })
    expect(finished()[0]?.attributes).toMatchObject({ 'haldir.aborted': true, 'haldir.enforced': false })
  })
})

describe('`toolSpan: active`', () => {
  it('puts what is ours on the span that is active, and leaves its end, name and state alone', () => {
    const theirs = tracer.startSpan('execute_tool charge', { attributes: { 'gen_ai.tool.name': 'charge' } })
    const there = trace.setSpan(context.active(), theirs)
    const call = context.with(there, () => made({ toolSpan: 'active' }).call())
    call.began(CALL, ALLOWED, { from: T, to: T })
    context.with(there, () => call.inside(() => void tracer.startSpan('GET').end()))
    call.ended({ ...END, error: 'TypeError' }, { from: T, to: T })
    expect(finished().map(({ name }) => name)).toEqual(['GET'])
    theirs.end()
    const [inner, own] = finished()
    expect(inner?.parentSpanContext?.spanId).toBe(theirs.spanContext().spanId)
    expect(own?.status).toEqual({ code: SpanStatusCode.UNSET })
    expect(own?.attributes).toEqual({
      'gen_ai.tool.name': 'charge',
      'haldir.decision.outcome': 'allow',
      'haldir.decision.rule': 'small-charges',
      'haldir.call.id': 'call-1',
      'haldir.session.id': 'session-1',
      'haldir.tenant': 'acme',
      'haldir.policy.hash': 'f00',
      'haldir.held': ['29.99 USD', '900 tokens'],
      'haldir.spent': ['12.5 USD'],
    })
  })

  it('makes one of ours under one that nobody records', () => {
    const remote = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }
    const there = trace.setSpanContext(context.active(), remote)
    const call = context.with(there, () => made({ toolSpan: 'active' }).call())
    call.began(CALL, ALLOWED, { from: T, to: T })
    call.ended(END, { from: T, to: T })
    expect(finished().map(({ name, parentSpanContext }) => [name, parentSpanContext?.spanId])).toEqual([
      ['execute_tool charge', remote.spanId],
    ])
  })

  it('makes one of ours where none is active', () => {
    const call = made({ toolSpan: 'active' }).call()
    call.began(CALL, ALLOWED, { from: T, to: T })
    call.ended(END, { from: T, to: T })
    expect(finished().map(({ name }) => name)).toEqual(['execute_tool charge'])
  })
})

describe('metrics', () => {
  it('count decisions, durations and spending, without an id', async () => {
    const telemetry = made()
    const runs = telemetry.call()
    runs.began(CALL, ALLOWED, { from: T, to: T + 1_000 })
    runs.ended({ ...END, error: 'TypeError' }, { from: T, to: T + 1_500 })
    telemetry
      .call()
      .stopped(CALL, { ...ALLOWED, outcome: 'deny', code: 'policy-denied', enforced: false }, { from: T, to: T })
    telemetry.spent('charge', [usd('0.1'), amount('tokens', 900)])
    telemetry.spent('charge', [usd('0.2')])
    telemetry.approvalEnded('approved', 90)
    const found = await measured()
    expect(found.map(({ name, unit }) => [name, unit])).toEqual(
      expect.arrayContaining([
        ['haldir.decisions', '{decision}'],
        ['gen_ai.execute_tool.duration', 's'],
        ['haldir.spend', ''],
        ['haldir.approval.wait', 's'],
      ]),
    )
    const charge = { 'gen_ai.tool.name': 'charge' }
    expect(await pointsOf('haldir.decisions')).toEqual([
      { ...charge, 'haldir.decision.outcome': 'allow', value: 1 },
      {
        ...charge,
        'haldir.decision.outcome': 'deny',
        'haldir.decision.code': 'policy-denied',
        'haldir.enforced': false,
        value: 1,
      },
    ])
    expect(await pointsOf('haldir.spend')).toEqual([
      { ...charge, 'haldir.unit': 'USD', value: expect.closeTo(0.3) },
      { ...charge, 'haldir.unit': 'tokens', value: 900 },
    ])
    const [duration] = (await pointsOf('gen_ai.execute_tool.duration')) ?? []
    expect(duration).toMatchObject({
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'charge',
      'gen_ai.tool.type': 'function',
      'gen_ai.agent.name': 'order-bot',
      'error.type': 'TypeError',
      value: { count: 1, sum: 0.5 },
    })
    expect(duration?.value.buckets.boundaries).toContain(0.64)
    const [wait] = (await pointsOf('haldir.approval.wait')) ?? []
    expect(wait).toMatchObject({ 'haldir.approval.outcome': 'approved', value: { count: 1, sum: 90 } })
    expect(wait?.value.buckets.boundaries).toContain(86_400)
    const ids = [CALL.id, CALL.ref, CALL.session, CALL.tenant, CALL.policyHash]
    for (const { points } of found) {
      for (const { attributes } of points)
        for (const value of Object.values(attributes)) expect(ids).not.toContain(value)
    }
  })

  it('know so many kinds of errors and no more: a tool may name its own after what it was called with', async () => {
    const telemetry = made()
    for (let n = 0; n < 150; n++) {
      const runs = telemetry.call()
      runs.began(CALL, ALLOWED, { from: T, to: T })
      runs.ended({ ...END, error: `Order${n}Error` }, { from: T, to: T })
    }
    const points = await pointsOf('gen_ai.execute_tool.duration')
    expect(points).toHaveLength(101)
    expect(points?.at(-1)).toMatchObject({ 'error.type': '_OTHER', value: { count: 50 } })
  })

  it('look at the trail of every haldir that is open, when they are read', async () => {
    const telemetry = made()
    let waiting = 2
    const stop = telemetry.watch('shop', () => ({ waiting, unrecorded: 3, dropped: { http: 5, 'http-2': 0 } }))
    telemetry.watch('gone', () => undefined)
    telemetry.spent('x', [usd(1)])
    const shop = { 'haldir.name': 'shop' }
    expect(await pointsOf('haldir.trail.waiting')).toEqual([{ ...shop, value: 2 }])
    expect(await pointsOf('haldir.trail.unrecorded')).toEqual([{ ...shop, value: 3 }])
    expect(await pointsOf('haldir.trail.dropped')).toEqual([
      { ...shop, 'haldir.sink': 'http', value: 5 },
      { ...shop, 'haldir.sink': 'http-2', value: 0 },
    ])
    waiting = 0
    expect(await pointsOf('haldir.trail.waiting')).toEqual([{ ...shop, value: 0 }])
    stop()
    waiting = 7
    expect(await pointsOf('haldir.trail.waiting')).not.toContainEqual({ ...shop, value: 7 })
  })
})

describe('options', () => {
  it.each([
    [{ tracer: {} }, 'tracer'],
    [{ meter: {} }, 'meter'],
    [{ toolSpan: 'theirs' }, 'toolSpan'],
    [{ tracr: tracer }, 'tracr'],
  ])('%o is refused by name', (options, path) => {
    expect(() => openTelemetry(options as never)).toThrow(expect.objectContaining({ code: 'invalid-option', path }))
  })

  it('are the global providers unless given, also when those are registered later, with the version of the conventions', async () => {
    const { metrics } = await import('@opentelemetry/api')
    const telemetry = openTelemetry()
    trace.setGlobalTracerProvider(provider)
    metrics.setGlobalMeterProvider(meters)
    try {
      telemetry.call().stopped(CALL, ALLOWED, { from: T, to: T })
      await reader.forceFlush()
      expect(finished()[0]?.instrumentationScope).toMatchObject({ name: '@haldir/core', schemaUrl: SCHEMA_URL })
      expect(numbers.getMetrics().at(-1)?.scopeMetrics[0]?.scope).toMatchObject({
        name: '@haldir/core',
        schemaUrl: SCHEMA_URL,
      })
    } finally {
      trace.disable()
      metrics.disable()
    }
  })

  it('a meter that throws takes no span away', () => {
    const broken = { createHistogram() {}, createObservableGauge: () => expect.fail('broken') } as never
    const call = openTelemetry({ tracer, meter: broken }).call()
    expect(() => call.stopped(CALL, ALLOWED, { from: T, to: T })).toThrow()
    expect(finished()).toHaveLength(1)
  })

  it('a meter that throws is asked again, and what it has made does not observe once more each time', () => {
    let watched = 0
    const observable = { addCallback: () => watched++ }
    const broken = {
      createHistogram: () => expect.fail('broken'),
      createCounter() {},
      createObservableGauge: () => observable,
      createObservableCounter: () => observable,
    } as never
    const telemetry = openTelemetry({ tracer, meter: broken })
    for (let n = 0; n < 5; n++) expect(() => telemetry.spent('x', [usd(1)])).toThrow('broken')
    expect(watched).toBe(0)
  })
})
