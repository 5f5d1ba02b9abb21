import Anthropic from '@anthropic-ai/sdk'

/**
 * Stands in for the provider, without key or network: the model asks for two charges at once, then says a word to the
 * user.
 */
export const client = new Anthropic({
  apiKey: 'none',
  fetch: async (_, init) => {
    const answered = String(init?.body).includes('"tool_result"')
    const charges = [29.99, 34.5].map((amount, index) => ({
      type: 'tool_use',
      id: `toolu_${index}`,
      name: 'charge',
      input: { amount },
    }))
    return Response.json({
      id: 'msg',
      type: 'message',
      role: 'assistant',
      model: 'scripted',
      content: answered ? [{ type: 'text', text: 'One of the two orders is settled.' }] : charges,
      stop_reason: answered ? 'end_turn' : 'tool_use',
      stop_sequence: null,
      usage: { input_tokens: 0, output_tokens: 0 },
    })
  },
})
