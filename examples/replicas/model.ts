import type { LanguageModelV4GenerateResult } from '@ai-sdk/provider'
import { MockLanguageModelV4 } from 'ai/test'

/** A model that says what it was told to: it buys one label for the order, then has a word about it. */
export function modelFor(order: string): MockLanguageModelV4 {
  const input = JSON.stringify({ order })
  return new MockLanguageModelV4({
    doGenerate: async ({ prompt }) =>
      prompt.at(-1)?.role === 'tool'
        ? says([{ type: 'text', text: 'That is all for this order.' }], 'stop')
        : says([{ type: 'tool-call', toolCallId: order, toolName: 'buy_label', input }], 'tool-calls'),
  })
}

function says(
  content: LanguageModelV4GenerateResult['content'],
  unified: 'stop' | 'tool-calls',
): LanguageModelV4GenerateResult {
  const usage = {
    inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 0, text: 0, reasoning: 0 },
  }
  return { content, finishReason: { unified, raw: undefined }, usage, warnings: [] }
}
