/** Records calls in a small trail until it is done or killed, and says of each how far it came. */
import { createHaldir, currentCall, governed, HaldirError } from '@haldir/core'
import { type FileSinkOptions, fileSink } from '@haldir/core/sinks/file'
import { input, pause, say, told } from './speak.ts'

export interface RecordInput {
  readonly audit: string
  readonly sink: FileSinkOptions
  /** How many calls are under way at once. */
  readonly lanes: number
  /** Calls of each lane; absent: until it is killed. */
  readonly calls?: number
  /** Writers get these ids, so that what they write to is known beforehand. */
  readonly ids?: string
  /** The last calls wait until nothing is refused any more. */
  readonly recovers?: boolean
  /** Opens its trail when it is told to. */
  readonly waits?: boolean
}

const { audit, sink, lanes, calls = Number.POSITIVE_INFINITY, ids, recovers, waits } = input<RecordInput>()

let made = 0
const haldir = createHaldir({
  sinks: [fileSink(audit, sink)],
  deadline: '60s',
  ...(ids !== undefined && { ids: () => `${ids}${++made}` }),
})

if (waits) {
  say('waiting')
  await told('go')
}

/** Does it until it is not refused. */
async function insist<T>(what: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await what()
    } catch (error) {
      say(`refused ${HaldirError.isInstance(error) ? error.code : String(error)}`)
      await pause(1)
    }
  }
}

const session = await insist(() => haldir.createSession({ agent: 'recorder', scopes: ['read'] }))
let sayer = (id: string) => say(`begun ${id}`)
const work = governed(
  async () => {
    const { id } = currentCall()
    sayer(id)
    return id
  },
  { name: 'work', scope: 'read' },
  { haldir, session },
)

async function lane(): Promise<void> {
  for (let call = 0; call < calls; call++) {
    try {
      const id = await work()
      // The outcome of a call that ran may still wait for a sink that is down.
      if (haldir.health().trail.waiting === 0) say(`done ${id}`)
    } catch (error) {
      say(`refused ${HaldirError.isInstance(error) ? error.code : String(error)}`)
    }
    if (calls === Number.POSITIVE_INFINITY) await pause(0)
  }
}

say('ready')
await Promise.all(Array.from({ length: lanes }, lane))
if (recovers) {
  await insist(work)
  await insist(() => haldir.flush())
  say(`waiting ${haldir.health().trail.waiting}`)
}
sayer = () => {}
await haldir.close()
say('closed')
process.exit(0)
