/** What tests of telemetry look at: the real SDK with exporters that keep everything in memory. */
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { afterAll, beforeAll } from 'vitest'

beforeAll(() => void context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()))
afterAll(() => context.disable())

export interface Seen {
  readonly provider: TracerProvider
  readonly meters: MeterProvider
  /** The spans that have ended, in this order. */
  spans(): ReadableSpan[]
  /** By name, with what stands under it, indented. */
  tree(): string[]
  named(name: string): ReadableSpan
  /** The points of a metric, each its attributes and value. */
  points(metric: string): Promise<Record<string, unknown>[]>
}

export function seen(): Seen {
  const kept = new InMemorySpanExporter()
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: kept })] })
  const numbers = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter: numbers, exportIntervalMillis: 2 ** 30 })
  const meters = new MeterProvider({ readers: [reader] })
  const spans = () => kept.getFinishedSpans()
  const under = (parent: string | undefined, indent: string): string[] =>
    spans()
      .filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent)
      .flatMap((span) => [indent + span.name, ...under(span.spanContext().spanId, `${indent}  `)])
  return {
    provider,
    meters,
    spans,
    tree: () => under(undefined, ''),
    named(name) {
      const found = spans().filter((span) => span.name === name)
      if (found.length !== 1) throw new Error(`there are ${found.length} spans \`${name}\``)
      return found[0] as ReadableSpan
    },
    async points(metric) {
      await reader.forceFlush()
      const metrics =
        numbers
          .getMetrics()
          .at(-1)
          ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? []
      const points = metrics.find(({ descriptor }) => descriptor.name === metric)?.dataPoints ?? []
      return points.map(({ attributes, value }) => ({ ...attributes, value }))
    },
  }
}
