/** Works until it is killed, several calls at a time, and says of each how far it came. */
import { createHaldir, currentCall, Denied, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { input, pause, say } from './speak.ts'

const { store, audit, token, holdFor } = input<{ store: string; audit: string; token: string; holdFor: string }>()

const haldir = createHaldir({ store: sqliteStore(store), sinks: [fileSink(audit)], holdFor })
const session = await haldir.attach(token)
await haldir.sweep()

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

async function lane(): Promise<never> {
  for (;;) {
    try {
      say(`done ${await work()}`)
    } catch (error) {
      if (error instanceof Failed) say(`done ${error.call}`)
      else if (Denied.isInstance(error)) say(`denied ${error.callId} ${error.code}`)
      else say(`broken ${String(error)}`)
      await pause(1)
    }
  }
}

say('ready')
await Promise.all(Array.from({ length: 8 }, lane))
