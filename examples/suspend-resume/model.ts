import { MockLanguageModelV4 } from 'ai/test'

/** Stands in for a model of AI SDK 7: it asks for one payment, and tells the user what it has read of it. */
export const model = new MockLanguageModelV4({
  doGenerate: async ({ prompt }) => {
    const last = prompt.at(-1)
    const result = last?.role === 'tool' ? last.content.find((part) => part.type === 'tool-result') : undefined
    const read = result && 'value' in result.output ? result.output.value : 'nothing'
    return {
      content: result
        ? [{ type: 'text', text: `I have read: ${read}` }]
        : [
            {
              type: 'tool-call',
              toolCallId: 'call-1',
              toolName: 'pay',
              input: JSON.stringify({ to: 'acme', amount: 250 }),
            },
          ],
      finishReason: { unified: result ? 'stop' : 'tool-calls', raw: undefined },
      usage: {
        inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 0, text: 0, reasoning: 0 },
      },
      warnings: [],
    }
  },
})
