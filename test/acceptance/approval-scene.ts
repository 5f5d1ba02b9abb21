/** What tests of approvals stand on. */
import type { Approval, Approver, ApproverPort, Haldir } from '@haldir/core'

export interface Pay {
  amount: number
  to?: string
}

/** A channel that keeps what it was shown. */
export function channel(name = 'desk') {
  const shown: { state: string; id: string; votes: number; argsText: string }[] = []
  let port: ApproverPort | undefined
  let failing: unknown
  const approver: Approver = {
    name,
    open(given) {
      port = given
    },
    show(approval: Approval, note) {
      if (failing !== undefined) throw failing
      const { state, id, votes, argsText } = approval
      shown.push({ state, id, votes: votes.length, argsText })
      return note ?? { card: id }
    },
  }
  const fail = (error: unknown) => {
    failing = error
  }
  return { approver, shown, fail, port: () => port as ApproverPort }
}

/** The newest pending approval, as soon as there is one. */
export async function pendingOf(haldir: Haldir): Promise<Approval> {
  for (let tries = 0; tries < 100; tries++) {
    const [one] = await haldir.approvals.list({ state: 'pending' })
    if (one) return one
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('nothing is pending')
}

/** What somebody is told who can't have it. */
export function caughtBy(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  )
}
