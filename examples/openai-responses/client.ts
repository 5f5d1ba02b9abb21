import OpenAI from 'openai'

const turns = [
  [{ name: 'look_up', arguments: '{"id":"7"}' }],
  [
    { name: 'refund', arguments: '{"id":"7","amount":39.98}' },
    { name: 'refund', arguments: '{"id":"7","amount":"all"}' },
    { name: 'refund', arguments: '{"id":"7","amount":20}' },
    { name: 'delete_order', arguments: '{"id":"7"}' },
  ],
]

let asked = 0

/** Stands in for the real client, without key or network: its model tries what it may not, and settles for less. */
export const client = new OpenAI({
  apiKey: 'none',
  fetch: async () => {
    const calls = turns[asked++]
    const output = calls?.map((call, index) => ({
      ...call,
      type: 'function_call',
      id: `item-${asked}-${index}`,
      call_id: `call-${asked}-${index}`,
      status: 'completed',
    })) ?? [
      {
        type: 'message',
        id: 'message',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'Refunded in part.', annotations: [] }],
      },
    ]
    return Response.json({
      id: `response-${asked}`,
      object: 'response',
      created_at: 0,
      status: 'completed',
      model: 'gpt-5',
      output,
    })
  },
})
