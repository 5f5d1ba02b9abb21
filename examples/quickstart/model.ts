import type { LanguageModelV4GenerateResult } from '@ai-sdk/provider'
import { MockLanguageModelV4 } from 'ai/test'

/** A model that says what it was told to say: two charges at once, then a word to the user. No network, no key. */
export const model = new MockLanguageModelV4({
  doGenerate: async ({ prompt }) => (prompt.at(-1)?.role === 'tool' ? finished : charges),
})

const usage: LanguageModelV4GenerateResult['usage'] = {
  inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 0, text: 0, reasoning: 0 },
}

const charges: LanguageModelV4GenerateResult = {
  content: [29.99, 34.5].map((amount, index) => ({
    type: 'tool-call',
    toolCallId: `call-${index}`,
    toolName: 'charge',
    input: JSON.stringify({ amount }),
  })),
  finishReason: { unified: 'tool-calls', raw: undefined },
  usage,
  warnings: [],
}

const finished: LanguageModelV4GenerateResult = {
  content: [{ type: 'text', text: 'One of the two orders is settled.' }],
  finishReason: { unified: 'stop', raw: undefined },
  usage,
  warnings: [],
}
