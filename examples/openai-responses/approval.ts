/** Calls of a response, one of which waits for a person: the others are answered, and none runs twice. */
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { type CallOutput, governed, runToolCalls, SuspendedCalls } from '@haldir/openai'

const haldir = createHaldir({
  sinks: [memorySink()],
  policy: {
    default: 'allow',
    allowByDefault: true,
    rules: [{ id: 'large', tools: 'refund', when: { 'args.amount': { gt: 100 } }, then: 'ask' }],
  },
  approvals: { mode: 'suspend' },
})
const session = await haldir.createSession({ agent: 'support-bot', scopes: ['spend:500'], ttl: '1d' })
const refund = {
  type: 'function' as const,
  name: 'refund',
  description: 'Pay something back',
  parameters: { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] },
  strict: false,
  function: async ({ amount }: { amount: number }) => `refunded ${amount}`,
}
const tools = governed([refund], { refund: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const called = (call_id: string, amount: number) => ({
  type: 'function_call' as const,
  call_id,
  name: 'refund',
  arguments: JSON.stringify({ amount }),
})
const response = { output: [called('call-1', 15), called('call-2', 120)] } // what `responses.create` answers

// #region readme
const saved = await runToolCalls(response, tools, { session }).then(
  () => '',
  (error) => {
    if (!SuspendedCalls.isInstance(error)) throw error
    for (const { callId, suspended } of error.calls) console.log(callId, suspended.message)
    return JSON.stringify({ response, answered: error.outputs })
  },
)

// What Slack, a signed link or your own page does when somebody presses a button.
const [asked] = await haldir.approvals.list({ state: 'pending' })
await haldir.approvals.decide(asked?.id ?? '', { approve: true, by: 'ann' })

// In whichever process, such as in `haldir.approvals.onDecided`:
const { response: again, answered }: { response: typeof response; answered: CallOutput[] } = JSON.parse(saved)
for (const { call_id, output } of await runToolCalls(again, tools, { session, answered })) console.log(call_id, output)
// #endregion readme

await haldir.close()
