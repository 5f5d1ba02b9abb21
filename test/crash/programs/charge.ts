/** Charges $1 many times on a session it attaches to, and says how that went. */
import { createHaldir, Denied, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { input, say, told } from './speak.ts'
import { openStore, type StoreSpec } from './store.ts'

const { store, audit, token, calls, fresh } = input<{
  store: StoreSpec
  audit: string
  token: string
  calls: number
  fresh?: string
}>()

const haldir = createHaldir({ store: await openStore(store), sinks: [fileSink(audit)] })
const session = await haldir.attach(token)
let ran = 0
const charge = governed(
  async () => {
    ran++
  },
  { name: 'charge', scope: 'spend', cost: usd(1) },
  { haldir, session },
)

say('ready')
await told('go')
// Every process makes this file at the same moment.
if (fresh) await (await openStore(fresh)).close?.()

let allowed = 0
const refused: Record<string, number> = {}
let left = calls
async function lane(): Promise<void> {
  while (left-- > 0) {
    try {
      await charge()
      allowed++
    } catch (error) {
      const code = Denied.isInstance(error) ? error.code : String(error)
      refused[code] = (refused[code] ?? 0) + 1
    }
  }
}
await Promise.all(Array.from({ length: 4 }, lane))
await haldir.close()
say(JSON.stringify({ ran, allowed, refused }))
process.exit(0)
