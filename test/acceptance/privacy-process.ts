/** A process of its own, on the store and the trail of another one: reads what that has sealed, and erases it. */
import { text } from 'node:stream/consumers'
import { createHaldir, type Entry, envKey } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'

const [folder = ''] = process.argv.slice(2)
const entry = JSON.parse(await text(process.stdin)) as Entry
const haldir = createHaldir({
  vault: { keys: [envKey('KEY')] },
  store: sqliteStore(`${folder}/haldir.db`),
  sinks: [fileSink(`${folder}/audit`)],
})
const { trail } = haldir
const told = [
  await trail.reveal(entry),
  await trail.erase({ tenant: 'acme', subject: 'C-77001' }),
  await trail.reveal(entry),
]
await haldir.close()
console.log(JSON.stringify(told))
