/** An OpenTelemetry SDK that keeps everything in memory and prints it; yours sends it somewhere. */
import { context, metrics, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'

const spans = new InMemorySpanExporter()
const numbers = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: numbers, exportIntervalMillis: 60_000 })
const meters = new MeterProvider({ readers: [reader] })

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] }))
metrics.setGlobalMeterProvider(meters)

/** Ids differ from run to run: what is printed of them is nothing. */
const PRIVATE = new Set(['haldir.call.id', 'haldir.session.id', 'gen_ai.tool.type', 'gen_ai.operation.name'])

/** The spans as a tree, in the order in which they ended, with what stands on them. */
export function printSpans(parent?: string, indent = ''): void {
  const under = spans.getFinishedSpans().filter((span) => span.parentSpanContext?.spanId === parent)
  for (const span of under) {
    console.log(indent + span.name)
    for (const [name, value] of Object.entries(span.attributes)) {
      if (!PRIVATE.has(name) && name !== 'gen_ai.tool.name') console.log(`${indent}    ${name} = ${value}`)
    }
    printSpans(span.spanContext().spanId, `${indent}  `)
  }
}

/** The counters: each with its attributes and its value. */
export async function printCounters(...names: readonly string[]): Promise<void> {
  await reader.forceFlush()
  const found =
    numbers
      .getMetrics()
      .at(-1)
      ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? []
  for (const { descriptor, dataPoints } of found.filter((metric) => names.includes(metric.descriptor.name))) {
    for (const { attributes, value } of dataPoints) {
      console.log(descriptor.name, Object.values(attributes).join(' '), value)
    }
  }
  await meters.shutdown()
}
