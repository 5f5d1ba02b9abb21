/** Stand in for two models, without key or network: one looks something up, the other orders two reports at once. */
import { fakeModel } from '@langchain/core/testing'
import { MockLanguageModelV4 } from 'ai/test'
import { AIMessage } from 'langchain'

export const researcher = fakeModel()
  .respondWithTools([{ name: 'look_up', args: { topic: 'solar panels' }, id: 'call-1' }])
  .respond(new AIMessage('There are three.'))

export const buyer = new MockLanguageModelV4({
  doGenerate: async ({ prompt }) => {
    const answered = prompt.at(-1)?.role === 'tool'
    const orders = [5, 4].map((price, index) => ({
      type: 'tool-call' as const,
      toolCallId: `call-${index}`,
      toolName: 'order',
      input: JSON.stringify({ price }),
    }))
    return {
      content: answered ? [{ type: 'text', text: 'One report is ordered.' }] : orders,
      finishReason: { unified: answered ? 'stop' : 'tool-calls', raw: undefined },
      usage: {
        inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 0, text: 0, reasoning: 0 },
      },
      warnings: [],
    }
  },
})
