/** `node alone.mjs`: core without any of its optional peers. */
import { createHaldir, governed } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'

const haldir = createHaldir({ sinks: [memorySink()] })
const session = await haldir.createSession({ agent: 'bot', scopes: [] })
console.log(await governed(async () => 'ran', { name: 'read', scope: [] }, { session })())
await haldir.close()
const subpath = '@haldir/core/telemetry'
await import(subpath).then(
  () => console.log(`${subpath} loads`),
  ({ message }) => console.log(`${subpath}: ${message.split(' imported from ')[0]}`),
)
