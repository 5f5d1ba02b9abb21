import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { convertArrayToReadableStream, MockLanguageModelV4 } from 'ai/test'

/** A model that says what it was told to: it refunds $20, then all the rest, then has a word for the user. */
export const model = new MockLanguageModelV4({
  doStream: async ({ prompt }) => {
    const answers = prompt.filter(({ role }) => role === 'tool')
    const parts = refunds[answers.length] ?? closing(JSON.stringify(answers).includes('refunded'))
    return { stream: convertArrayToReadableStream(parts) }
  },
})

const usage = {
  inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 0, text: 0, reasoning: 0 },
}

const refunds = [20, 22].map((amount, index): LanguageModelV4StreamPart[] => [
  {
    type: 'tool-call',
    toolCallId: `call-${index + 1}`,
    toolName: 'refund',
    input: JSON.stringify({ order: 'A1', amount }),
  },
  { type: 'finish', usage, finishReason: { unified: 'tool-calls', raw: undefined } },
])

function closing(refunded: boolean): LanguageModelV4StreamPart[] {
  const delta = refunded ? 'I have refunded what I may.' : 'I may not refund this.'
  return [
    { type: 'text-start', id: 'text-1' },
    { type: 'text-delta', id: 'text-1', delta },
    { type: 'text-end', id: 'text-1' },
    { type: 'finish', usage, finishReason: { unified: 'stop', raw: undefined } },
  ]
}
