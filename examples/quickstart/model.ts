import { MockLanguageModelV4 } from 'ai/test'

/**
 * Stands in for a model of AI SDK 7 (6 has `MockLanguageModelV3`), without key or network: it asks for two charges at
 * once, then says a word to the user.
 */
export const model = new MockLanguageModelV4({
  doGenerate: async ({ prompt }) => {
    const answered = prompt.at(-1)?.role === 'tool'
    const charges = [29.99, 34.5].map((amount, index) => ({
      type: 'tool-call' as const,
      toolCallId: `call-${index}`,
      toolName: 'charge',
      input: JSON.stringify({ amount }),
    }))
    return {
      content: answered ? [{ type: 'text', text: 'One of the two orders is settled.' }] : charges,
      finishReason: { unified: answered ? 'stop' : 'tool-calls', raw: undefined },
      usage: {
        inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 0, text: 0, reasoning: 0 },
      },
      warnings: [],
    }
  },
})
