/** What compiles with every version of the OpenAI SDK: `openai-any-version.test.ts` puts each in the place of `openai`. */
import { type Session, usd } from '@haldir/core'
import { governed, permitted, runToolCalls } from '@haldir/openai'
import type OpenAI from 'openai'
import { zodFunction, zodResponsesFunction } from 'openai/helpers/zod'
import { z } from 'zod'

declare const client: OpenAI
declare const session: Session

const model = 'gpt-5'
const messages = [{ role: 'user' as const, content: 'go on' }]
const parameters = z.object({ amount: z.number() })

const charge = {
  type: 'function' as const,
  function: {
    name: 'charge',
    description: 'charges a card',
    parameters: { type: 'object' as const, properties: {} },
    parse: (text: string): { amount: number } => JSON.parse(text),
    function: async ({ amount }: { amount: number }) => ({ total: amount }),
  },
}
const refund = zodFunction({ name: 'refund', parameters, function: async ({ amount }) => amount })
const pay = zodResponsesFunction({ name: 'pay', parameters, function: async ({ amount }) => amount })
const look = {
  type: 'function' as const,
  name: 'look',
  description: 'looks',
  parameters: {},
  strict: false,
  function: async ({ id }: { id: string }) => id,
}

const tools = governed(
  { charge, refund },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount), actual: ({ total }) => usd(total) },
    refund: { scope: 'spend', cost: ({ amount }) => usd(amount) },
  },
)
const answering = governed(
  { pay, look },
  { pay: { scope: 'spend', cost: ({ amount }) => usd(amount) }, look: { scope: ({ id }) => id.trim() } },
)

export async function loops(): Promise<string[]> {
  await client.chat.completions.runTools({ model, messages, tools: [tools.charge] }).finalContent()
  const runner = client.chat.completions.runTools({
    model,
    messages,
    tools: permitted([tools.refund], session),
    stream: true,
  })
  await runner.finalContent()
  const completion = await client.chat.completions.create({ model, messages, tools: [tools.charge, tools.refund] })
  const told = await runToolCalls(completion, tools)
  await client.chat.completions.create({ model, messages: [...messages, ...told] })
  const response = await client.responses.create({ model, input: 'go', tools: Object.values(answering) })
  const outputs = await runToolCalls(response, answering, { session })
  await client.responses.create({ model, input: outputs, previous_response_id: response.id })
  return outputs.map(({ output }) => output)
}

// @ts-expect-error the arguments have no `price`
governed({ charge }, { charge: { scope: 'spend', cost: ({ price }) => usd(price) } })
// @ts-expect-error the arguments have no `price`
governed({ refund }, { refund: { scope: 'spend', cost: ({ price }) => usd(price) } })
// @ts-expect-error the arguments have no `price`
governed({ pay }, { pay: { scope: 'spend', cost: ({ price }) => usd(price) } })
