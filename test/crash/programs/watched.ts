/** Runs a call for as long as nobody stops it, or one that waits for a person; says when it ended, and what came next. */
import { createHaldir, currentCall, Denied, governed } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { input, say } from './speak.ts'
import { openStore, type StoreSpec } from './store.ts'

export interface WatchedInput {
  readonly store: StoreSpec
  readonly token: string
  readonly does: 'run' | 'wait'
}

const { store, token, does } = input<WatchedInput>()
const haldir = createHaldir({
  store: await openStore(store),
  sinks: [memorySink()],
  ...(does === 'wait' ? { policy: { default: 'ask', rules: [] }, approvals: {} } : {}),
})
const session = await haldir.attach(token)
const run = async (): Promise<string> => {
  const { signal } = currentCall()
  if (does === 'wait') return 'ran'
  say('running')
  return new Promise((_, reject) => {
    // Nothing else keeps the process alive.
    setTimeout(() => reject(new Error('nobody has stopped it')), 30_000)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
const tool = governed(run, { name: 'long', scope: [] }, { session })
const call = () => tool().catch((error) => (Denied.isInstance(error) ? error.code : String(error)))

const ended = await call()
say(`ended ${Date.now()} ${ended}`)
say(`next ${does === 'run' ? await call() : 'none'} ${session.signal.aborted}`)
process.exit(0)
