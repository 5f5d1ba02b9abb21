/** A provider of the Anthropic SDK that says what it is told to, turn by turn, and remembers what it was asked. */

export interface ModelCall {
  readonly tool: string
  readonly args: unknown
  readonly id?: string
  /** Of a call to one tool of a toolset: the toolset. */
  readonly toolset?: string
}

/** Text, or the calls of one turn. After the last turn it says `done`. */
export type Turn = string | readonly ModelCall[]

export interface ToolResult {
  readonly type: 'tool_result'
  readonly tool_use_id: string
  readonly content: unknown
  readonly is_error?: boolean
}

export interface Asked {
  readonly tools: unknown
  readonly messages: readonly { readonly role: string; readonly content: unknown }[]
}

export interface Provider {
  /** For the option `fetch` of a client. */
  readonly fetch: (url: unknown, init?: { body?: unknown; signal?: AbortSignal | null }) => Promise<Response>
  readonly asked: Asked[]
  /** What the model read of its calls, in their order, when it was asked last. */
  results(): ToolResult[]
}

export function scriptedProvider(...turns: readonly Turn[]): Provider {
  const asked: Asked[] = []
  return {
    asked,
    async fetch(_, init) {
      init?.signal?.throwIfAborted()
      const body = JSON.parse(String(init?.body))
      asked.push(body)
      const message = messageOf(turns[asked.length - 1] ?? 'done', asked.length)
      if (!body.stream) return Response.json(message)
      return new Response(eventsOf(message), { headers: { 'content-type': 'text/event-stream' } })
    },
    results() {
      const content = asked.at(-1)?.messages.at(-1)?.content
      return Array.isArray(content) ? content.filter(({ type }) => type === 'tool_result') : []
    },
  }
}

function messageOf(turn: Turn, asked: number) {
  const content =
    typeof turn === 'string'
      ? [{ type: 'text', text: turn }]
      : turn.map(({ tool, args, id, toolset }, index) => ({
          type: 'tool_use',
          id: id ?? `turn-${asked}-call-${index}`,
          name: tool,
          input: args,
          ...(toolset && { toolset_name: toolset }),
        }))
  return {
    id: `message-${asked}`,
    type: 'message',
    role: 'assistant',
    model: 'scripted',
    content,
    stop_reason: typeof turn === 'string' ? 'end_turn' : 'tool_use',
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 },
  }
}

/** The same message as a stream of server-sent events. */
function eventsOf(message: ReturnType<typeof messageOf>): string {
  const blocks = message.content.flatMap((block, index) => {
    const calls = 'input' in block
    const start = calls ? { ...block, input: {} } : { type: 'text', text: '' }
    const delta = calls
      ? { type: 'input_json_delta', partial_json: JSON.stringify(block.input) }
      : { type: 'text_delta', text: (block as { text: string }).text }
    return [
      { type: 'content_block_start', index, content_block: start },
      { type: 'content_block_delta', index, delta },
      { type: 'content_block_stop', index },
    ]
  })
  const { stop_reason, stop_sequence, usage } = message
  const events = [
    { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
    ...blocks,
    { type: 'message_delta', delta: { stop_reason, stop_sequence }, usage },
    { type: 'message_stop' },
  ]
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
}
