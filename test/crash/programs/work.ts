/** Works until it is killed or told to stop, several calls at a time, and says of each how far it came. */
import { createHaldir, currentCall, Denied, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { input, pause, say, told } from './speak.ts'
import { openStore, type StoreSpec } from './store.ts'

const {
  store,
  audit,
  token,
  holdFor,
  lanes = 8,
  restMs = 0,
} = input<{ store: StoreSpec; audit: string; token: string; holdFor: string; lanes?: number; restMs?: number }>()

const haldir = createHaldir({ store: await openStore(store), sinks: [fileSink(audit)], holdFor })
const session = await haldir.attach(token)
const { orphaned } = await haldir.sweep()

class Failed extends Error {
  readonly call: string
  constructor(call: string) {
    super('the tool failed')
    this.call = call
  }
}

let calls = 0
const work = governed(
  async () => {
    const { id } = currentCall()
    say(`begun ${id}`)
    const number = ++calls
    await pause(number % 5)
    if (number % 7 === 0) throw new Failed(id)
    return id
  },
  { name: 'work', scope: 'spend', cost: usd(1) },
  { haldir, session },
)

let stopping = false
async function lane(): Promise<void> {
  while (!stopping) {
    try {
      say(`done ${await work()}`)
      await pause(restMs)
    } catch (error) {
      if (error instanceof Failed) say(`done ${error.call}`)
      else if (Denied.isInstance(error)) say(`denied ${error.callId} ${error.code}`)
      else say(`broken ${String(error)}`)
      await pause(Denied.isInstance(error) && error.code === 'unavailable' ? 25 : 1)
    }
  }
}

say(orphaned.length > 0 ? `ready, after ${orphaned.length} orphans` : 'ready')
void told('stop').then(() => {
  stopping = true
})
await Promise.all(Array.from({ length: lanes }, lane))
while (haldir.health().owed > 0) await haldir.flush().catch(() => pause(5))
await haldir.close()
process.exit(0)
