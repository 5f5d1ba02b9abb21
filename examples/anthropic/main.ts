import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import { governed } from '@haldir/anthropic'
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { z } from 'zod'
import { client } from './client.ts' // yours is `new Anthropic()`; here one whose model says what it was told to

const charge = betaZodTool({
  name: 'charge',
  description: 'Charge a card',
  inputSchema: z.object({ amount: z.number() }),
  run: async ({ amount }) => `charged ${amount}`,
})

const haldir = createHaldir({ sinks: [memorySink()] })
const tools = governed([charge], { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1h' })

const runner = client.beta.messages.toolRunner(
  {
    model: 'claude-sonnet-5-5',
    max_tokens: 1024,
    messages: [{ role: 'user', content: 'Settle both orders' }],
    tools,
  },
  { signal: session.signal }, // ends the loop when the session is revoked
)
const message = await session.run(() => runner.runUntilDone())

const [, , results] = runner.params.messages
for (const block of results?.content ?? []) {
  if (typeof block !== 'string' && block.type === 'tool_result') console.log(block.is_error ?? false, block.content)
}
for (const block of message.content) if (block.type === 'text') console.log(block.text)
const [budget] = await session.budget()
console.log('left', `${budget?.left}`, '· trail ok', (await haldir.trail.verify()).ok)

await haldir.close()
