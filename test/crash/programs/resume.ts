/** Asks for a payment, or resumes one that was approved, and dies at a chosen point of that. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { type Amount, createHaldir, Denied, governed, HaldirError, type Store, Suspended, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { input, say } from './speak.ts'

const given = input<{
  store: string
  audit: string
  token: string
  payments: string
  /** Absent: asks. */
  approval?: string
  die?: string
}>()

function maybeDie(at: string): void {
  if (given.die === at) process.kill(process.pid, 'SIGKILL')
}

const sound = sqliteStore(given.store)
const store: Store = {
  ...sound,
  async admit(request) {
    maybeDie('before admit')
    const answer = await sound.admit(request)
    maybeDie('after admit')
    return answer
  },
  async settle(request) {
    maybeDie('before settle')
    return sound.settle(request)
  },
}

const haldir = createHaldir({
  store,
  sinks: [fileSink(given.audit)],
  approvals: { mode: 'suspend' },
  policy: { default: 'deny', rules: [{ id: 'pay', tools: 'pay', then: 'ask' }] },
})
const session = await haldir.attach(given.token)
const cost = ({ amount }: { amount: number }): Amount => usd(amount)
const pay = governed(
  async ({ amount }: { amount: number }) => {
    maybeDie('before payment')
    const fd = openSync(given.payments, 'a')
    writeSync(fd, `paid ${amount} USD\n`)
    fsyncSync(fd)
    closeSync(fd)
    maybeDie('after payment')
    return `paid ${amount}`
  },
  { name: 'pay', scope: 'spend', cost },
  { haldir, session },
)

try {
  say(String(given.approval === undefined ? await pay({ amount: 30 }) : await haldir.approvals.resume(given.approval)))
} catch (error) {
  if (Suspended.isInstance(error)) say(`suspended ${error.approvalId}`)
  else say(`refused ${Denied.isInstance(error) || HaldirError.isInstance(error) ? error.code : String(error)}`)
}
await haldir.close()
process.exit(0)
