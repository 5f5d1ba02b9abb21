import { createHaldir, governed } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { httpSink } from '@haldir/core/sinks/http'
import { verifyFiles } from '@haldir/core/verify'
import { collect } from './collector.ts' // stands for Splunk, Loki or a service of your own, on this machine

const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const away = await collect('collected', secret)
await away.stop() // the collector is down

const shipping = () =>
  httpSink({
    url: `http://${away.host}/trail`,
    privateHosts: [away.host], // this machine: refused unless it is named
    spool: 'spool', // entries wait here, whatever becomes of the process
    secret,
    deadline: '1s',
  })
const first = shipping()
const haldir = createHaldir({ sinks: [fileSink('audit'), first] })
const charge = governed(async ({ amount }: { amount: number }) => `charged ${amount}`, { name: 'charge', scope: 'pay' })
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['pay'] })
await session.run(async () => {
  for (const amount of [5, 10, 15]) console.log(await charge({ amount }))
})
await haldir.close()
console.log({ left: first.counts.queued, why: first.counts.failing })

// Later, in another process: the collector is back, and so is what was left.
const collector = await collect('collected', secret, away.port)
const second = shipping()
const next = createHaldir({ sinks: [fileSink('audit'), second] })
await next.createSession({ agent: 'order-bot', scopes: ['pay'] })
await next.flush()
await next.close()
await collector.stop()
console.log(second.counts)

// Where the trail arrived it is checked as it is where it was written.
for (const folder of ['audit', 'collected']) {
  const { ok, writers } = await verifyFiles(folder)
  const entries = writers.map((writer) => writer.entries).sort()
  console.log(folder, { ok, entries })
}
