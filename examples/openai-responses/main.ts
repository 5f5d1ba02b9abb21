/** The Responses API: it leaves the loop to the application, and `runToolCalls` is what the loop does with the calls. */
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed, runToolCalls } from '@haldir/openai'
import type OpenAI from 'openai'
import { zodResponsesFunction } from 'openai/helpers/zod'
import { z } from 'zod'
import { client } from './client.ts' // yours, such as new OpenAI(); here one whose model says what it was told to

const haldir = createHaldir({ sinks: [memorySink()] })
const session = await haldir.createSession({ agent: 'support-bot', scopes: ['orders:read', 'spend:20'] })

// #region readme
const lookUp = {
  type: 'function' as const,
  name: 'look_up',
  description: 'Find an order',
  parameters: {
    type: 'object',
    properties: { id: { type: 'string' } },
    required: ['id'],
    additionalProperties: false,
  },
  strict: true,
  function: async ({ id }: { id: string }) => ({ id, paid: 39.98 }), // what runs it; the API is not sent this
}
const refund = zodResponsesFunction({
  name: 'refund',
  description: 'Pay something back',
  parameters: z.object({ id: z.string(), amount: z.number().positive() }),
  function: async ({ amount }) => `refunded ${amount}`,
})

const tools = governed([lookUp, refund], {
  look_up: { scope: 'orders:read' },
  refund: { scope: 'spend', cost: ({ amount }) => usd(amount) },
})

let input: OpenAI.Responses.ResponseInput = [{ role: 'user', content: 'Refund order 7' }]
let previous_response_id: string | null = null
while (input.length > 0) {
  const response: OpenAI.Responses.Response = await client.responses.create({
    model: 'gpt-5',
    input,
    tools,
    previous_response_id,
  })
  if (response.output_text) console.log(response.output_text)
  input = await runToolCalls(response, tools, { session })
  for (const { output } of input as { output: string }[]) console.log('->', output)
  previous_response_id = response.id
}
// #endregion readme

await haldir.close()
