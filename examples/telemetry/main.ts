// #region readme
import { createHaldir, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { openTelemetry } from '@haldir/core/telemetry'
import { trace } from '@opentelemetry/api'
import { printCounters, printSpans } from './console.ts' // sets OpenTelemetry up; here it keeps everything in memory

const haldir = createHaldir({ sinks: [memorySink()], telemetry: openTelemetry() })
const tracer = trace.getTracer('shop')

const tools = governed(
  {
    charge: ({ amount }: { amount: number }) =>
      // What a tool does becomes a child of its span.
      tracer.startActiveSpan('POST /charges', async (span) => {
        span.end()
        return { charged: amount }
      }),
    ship: async (_: { order: string }) => Promise.reject(new TypeError('no warehouse for order A1')),
    wipe: async (_: { table: string }) => 'gone',
  },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount) },
    ship: { scope: 'orders:ship' },
    wipe: { scope: 'admin' },
  },
)
const session = await haldir.createSession({ agent: 'order-bot', tenant: 'acme', scopes: ['spend:50', 'orders'] })
await tracer.startActiveSpan('POST /chat', async (request) => {
  await session.run(async () => {
    await tools.charge({ amount: 29.99 })
    await tools.ship({ order: 'A1' }).catch(() => {})
    await tools.wipe({ table: 'orders' }).catch(() => {})
    await tools.charge({ amount: 34.5 }).catch(() => {})
  })
  request.end()
})
await haldir.close()

printSpans()
await printCounters('haldir.decisions', 'haldir.spend')
// #endregion readme
