/** Runs paid calls while its store does not take how they end, and waits to be killed. */
import { createHaldir, governed, type Store, usd } from '@haldir/core'
import { fileJournal } from '@haldir/core/journal'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { input, say } from './speak.ts'

const { store: path, audit, journal, token } = input<{ store: string; audit: string; journal: string; token: string }>()

const inner = sqliteStore(path)
const gone = () => Promise.reject(new Error('the connection was lost'))
const store: Store = { ...inner, settle: gone, cancel: gone }
const haldir = createHaldir({ store, sinks: [fileSink(audit)], journal: fileJournal(journal) })
const session = await haldir.attach(token)
const pay = governed(
  async ({ fails }: { fails: boolean }) => {
    if (fails) throw new Error('not delivered')
  },
  { name: 'pay', scope: 'spend', cost: usd(5), actual: () => usd(2), onFailure: 'release' },
  { haldir, session },
)
await pay({ fails: false })
await pay({ fails: false })
await pay({ fails: true }).catch(() => {})
say(`owes ${haldir.health().owed}`)
setInterval(() => {}, 1_000)
