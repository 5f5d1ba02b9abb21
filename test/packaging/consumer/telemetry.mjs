/** `node telemetry.mjs`: what a tracer of the user's own is told, by whichever OpenTelemetry API is installed. */
import { createHaldir, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { openTelemetry } from '@haldir/core/telemetry'

const span = { setAttribute: () => span, setAttributes: () => span, setStatus: () => span, isRecording: () => true }
const tracer = {
  startSpan(name, { attributes }) {
    console.log(name, attributes['haldir.decision.code'] ?? 'allowed')
    return { ...span, end: () => console.log('ended', name) }
  },
}
const haldir = createHaldir({ sinks: [memorySink()], telemetry: openTelemetry({ tracer }) })
const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1'] })
const pay = governed(async () => console.log('paid'), { name: 'pay', scope: 'spend', cost: () => usd(1) }, { session })
await pay()
await pay().catch(({ code }) => console.log('refused', code))
if (haldir.health().faults.length > 0) throw new Error('telemetry has failed')
await haldir.close()
