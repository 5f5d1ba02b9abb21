/** A model that looks an order up, asks for more than it may have, then for less, and then is done. */
import { MockLanguageModelV4 } from 'ai/test'

const turns = [
  ['look_up', { order: 7 }],
  ['refund', { order: 7, amount: 45 }],
  ['refund', { order: 7, amount: 20 }],
] as const
const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

export const model: MockLanguageModelV4 = new MockLanguageModelV4({
  doGenerate: async () => {
    const at = model.doGenerateCalls.length - 1
    const [toolName, input] = turns[at] ?? []
    if (!toolName) {
      const finishReason = { unified: 'stop', raw: undefined } as const
      return { content: [{ type: 'text', text: 'Refunded in part.' }], usage, finishReason, warnings: [] }
    }
    return {
      content: [{ type: 'tool-call', toolCallId: `call-${at}`, toolName, input: JSON.stringify(input) }],
      usage,
      finishReason: { unified: 'tool-calls', raw: undefined },
      warnings: [],
    }
  },
})
