/** What compiles with every version of the AI SDK: `any-version.test.ts` puts each in the place of `ai`. */
import { governed, type MeteredModel, meterModel, permitted, toolApproval } from '@haldir/ai-sdk'
import { type Session, usd } from '@haldir/core'
import { generateText, streamText, tool, type wrapLanguageModel } from 'ai'
import { z } from 'zod'

declare const model: Parameters<typeof wrapLanguageModel>[0]['model']
declare const session: Session

const charge = tool({
  inputSchema: z.object({ amount: z.number() }),
  execute: async ({ amount }) => ({ total: amount }),
})
const tools = governed(
  { charge },
  { charge: { scope: 'spend', cost: ({ amount }) => usd(amount), actual: ({ total }) => usd(total) } },
)
const prices = { '*': { input: 1, output: 2 } }
const reserve = ({ maxOutputTokens = 0 }: { maxOutputTokens?: number | undefined }) => usd(maxOutputTokens)
const metered: MeteredModel<typeof model> = meterModel(model, { prices, session, reserve })

export async function loops(): Promise<number | undefined> {
  const { toolResults } = await generateText({ model: metered, tools: permitted(tools, session), prompt: '' })
  streamText({ model: metered, tools, prompt: '' })
  const [result] = toolResults
  return result && !result.dynamic ? result.output.total : undefined
}
export const gate: object = toolApproval()

// @ts-expect-error the arguments have no `price`
governed({ charge }, { charge: { scope: 'spend', cost: ({ price }) => usd(price) } })
// @ts-expect-error a misspelt option
meterModel(model, { prices, reserves: usd(1) })
