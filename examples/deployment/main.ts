// #region server
import { createHaldir, Denied, envKey, governed, type Session, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'

// Once in a process, not once in a request.
const haldir = createHaldir({
  name: 'orders',
  store: sqliteStore('haldir.db'),
  sinks: [fileSink('audit')],
  vault: { keys: [envKey('HALDIR_KEY')] },
  deadline: '5s', // how long store, sinks and keys may take before a call is refused
  holdFor: '15m', // how long a hold counts as running when its process gives no sign of life
})
const charge = governed(async ({ amount }: { amount: number }) => `charged ${amount}`, {
  name: 'charge',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
})

// Once in a request or a job: a session for what it may do.
async function handle(user: string, amount: number): Promise<string> {
  const session = await haldir.createSession({
    agent: 'order-bot',
    scopes: ['spend:50'],
    attributes: { user },
    ttl: '5m',
  })
  try {
    return await session.run(() => charge({ amount }))
  } catch (error) {
    if (!Denied.isInstance(error)) throw error
    return error.code
  } finally {
    await session.revoke('the request is answered')
  }
}

// What processes that died have left is ended by any process that lives.
const sweeping = setInterval(() => void haldir.sweep().catch(() => {}), 60_000)

async function stop(): Promise<void> {
  clearInterval(sweeping)
  try {
    await haldir.close() // takes no more calls, waits for those that run, closes trail and store
  } finally {
    // What is yours and comes after it: the pool, the client of the store.
  }
}
process.once('SIGTERM', () => {
  stop().catch((error: Error) => {
    console.error(error.message)
    process.exitCode = 1
  })
})
// #endregion server

console.log(await handle('ada', 29.99), await handle('ada', 60))

// #region health
const { ok, owed, trail, faults } = haldir.health()
console.log({ ok, owed, waiting: trail.waiting, faults })
// #endregion health

// #region worker
// The token is a bearer secret: who holds it acts as the session. It goes where secrets may go.
const job = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '10m' })
const message = { token: job.token, amount: 20 }

async function work({ token, amount }: { token: string; amount: number }): Promise<string> {
  const session = await haldir.attach(token) // in another process: its own haldir on the same store
  return session.run(() => charge({ amount }))
}
console.log(await work(message), `left ${(await job.budget())[0]?.left}`)
// #endregion worker

// #region cli
async function main(session: Session): Promise<void> {
  const stopped = () => void session.revoke('Ctrl-C') // aborts session.signal and the signals of its calls
  process.once('SIGINT', stopped)
  try {
    await session.run(() => charge({ amount: 5 }))
  } finally {
    process.removeListener('SIGINT', stopped)
    await haldir.close()
  }
}
// #endregion cli

clearInterval(sweeping)
await main(job)
