import type { LanguageModelV4Content, LanguageModelV4GenerateResult } from '@ai-sdk/provider'
import { MockLanguageModelV4 } from 'ai/test'

/** A model that says what it was told to: it lists the invoices, pays one after the other, then has a last word. */
export const model = new MockLanguageModelV4({
  doGenerate: async ({ prompt }) => {
    const answers = prompt.filter(({ role }) => role === 'tool')
    const call = calls[answers.length]
    const paid = JSON.stringify(answers).split('"paid"').length - 1
    return call ? says(call, 'tool-calls') : says({ type: 'text', text: `${paid} of 3 invoices are paid.` }, 'stop')
  },
})

const calls = [
  toolCall('list_invoices', {}),
  toolCall('pay', { invoice: 'A1', amount: 29.99 }),
  toolCall('pay', { invoice: 'A2', amount: 34.5 }),
  toolCall('pay', { invoice: 'A3', amount: 9.5 }),
]

function toolCall(toolName: string, args: object): LanguageModelV4Content {
  return { type: 'tool-call', toolCallId: JSON.stringify([toolName, args]), toolName, input: JSON.stringify(args) }
}

function says(content: LanguageModelV4Content, unified: 'tool-calls' | 'stop'): LanguageModelV4GenerateResult {
  const usage = {
    inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 0, text: 0, reasoning: 0 },
  }
  return { content: [content], finishReason: { unified, raw: undefined }, usage, warnings: [] }
}
