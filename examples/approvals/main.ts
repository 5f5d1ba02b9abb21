// #region readme
import { createHaldir, governed, Suspended, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'

const haldir = createHaldir({
  sinks: [memorySink()],
  policy: {
    default: 'allow',
    allowByDefault: true,
    rules: [
      {
        id: 'large',
        tools: 'pay',
        when: { 'args.amount': { gt: 100 } },
        then: 'ask',
        because: 'payments above $100 need a yes',
        approvers: ['ann', 'bob', 'cid'],
        quorum: 2,
        timeout: '30m',
      },
    ],
  },
  approvals: { mode: 'suspend', resume: () => ({ conversation: 'c-17' }) }, // kept for whoever wakes the run
})
const pay = governed(async ({ to, amount }: { to: string; amount: number }) => `paid ${amount} to ${to}`, {
  name: 'pay',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
})
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:500'], ttl: '1d' })

// Told at least once of every decision, also of one that was made in another process; again if this rejects.
haldir.approvals.onDecided(async ({ id, state, resume }) => {
  console.log('decided:', state, resume)
  if (state === 'approved') console.log(await haldir.approvals.resume(id).catch((error) => error.message))
})

await session
  .run(() => pay({ to: 'acme', amount: 250 }))
  .catch(async (error) => {
    if (!Suspended.isInstance(error)) throw error
    console.log(error.message)
    const asked = await haldir.approvals.get(error.approvalId)
    console.log(`${asked?.agent} · ${asked?.tool} · ${asked?.cost} of ${asked?.left} left`, asked?.args)

    // What your own page does when somebody presses a button. Who that is, it knows from its own login.
    await haldir.approvals.decide(error.approvalId, { approve: true, by: 'ann' })
    await haldir.approvals
      .decide(error.approvalId, { approve: true, by: 'eve' })
      .catch((refused) => console.log(refused.code))
    await haldir.approvals.decide(error.approvalId, { approve: true, by: 'bob', reason: 'known supplier' })
  })
await haldir.sweep() // delivers what is due; in an application it happens by itself
await haldir.approvals
  .resume((await haldir.approvals.list())[0]?.id ?? '')
  .catch(({ code }) => console.log('again:', code))
// #endregion readme

await haldir.close()
