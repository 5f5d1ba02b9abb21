import OpenAI from 'openai'

const calls = [29.99, 34.5].map((amount, index) => ({
  id: `call-${index}`,
  type: 'function',
  function: { name: 'charge', arguments: JSON.stringify({ amount }) },
}))

/**
 * Stands in for the real client, without key or network: its model asks for two charges at once, then says a word to
 * the user.
 */
export const client = new OpenAI({
  apiKey: 'none',
  fetch: async (_, init) => {
    const { messages } = JSON.parse(String(init?.body))
    const answered = messages.at(-1).role === 'tool'
    const message = answered ? { content: 'One of the two orders is settled.' } : { content: null, tool_calls: calls }
    return Response.json({
      id: 'completion',
      object: 'chat.completion',
      created: 0,
      model: 'gpt-5',
      choices: [
        { index: 0, finish_reason: answered ? 'stop' : 'tool_calls', message: { role: 'assistant', ...message } },
      ],
    })
  },
})
