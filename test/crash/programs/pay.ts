/** Pays $1 after $1 until the budget is gone, unless it dies first, at a chosen point of a chosen payment. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { createHaldir, Denied, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { input, pause, say } from './speak.ts'
import { openStore, type StoreSpec } from './store.ts'

const { store, audit, token, payments, holdFor, die } = input<{
  store: StoreSpec
  audit: string
  token: string
  payments: string
  holdFor: string
  die: { at: string; payment: number }
}>()

let begun = 0
function maybeDie(at: string, payment: number): void {
  if (die.at === at && die.payment === payment) process.kill(process.pid, 'SIGKILL')
}

/** The payment service: what stands in its file has been paid. */
function transfer(): void {
  const fd = openSync(payments, 'a')
  writeSync(fd, 'paid 1 USD\n')
  fsyncSync(fd)
  closeSync(fd)
}

const haldir = createHaldir({ store: await openStore(store), sinks: [fileSink(audit)], holdFor })
const session = await haldir.attach(token)
const { orphaned } = await haldir.sweep()
say(`orphaned ${orphaned.length}`)

const pay = governed(
  async () => {
    const payment = ++begun
    maybeDie('begun', payment)
    transfer()
    maybeDie('paid', payment)
    await pause(3)
    return payment
  },
  { name: 'pay', scope: 'spend', cost: usd(1) },
  { haldir, session },
)

async function lane(): Promise<void> {
  for (;;) {
    try {
      maybeDie('settled', (await pay()) as number)
    } catch (error) {
      return say(`refused ${Denied.isInstance(error) ? error.code : String(error)}`)
    }
  }
}
await Promise.all(Array.from({ length: 4 }, lane))
await haldir.close()
process.exit(0)
