/** Clients of the OpenAI SDK whose server says what it is told to, turn by turn, and remembers what it was asked. */
import OpenAI7 from 'openai'
import { zodFunction, zodResponsesFunction } from 'openai/helpers/zod'
import OpenAI5 from 'openai5'
import * as helpers5 from 'openai5/helpers/zod'
import OpenAI6 from 'openai6'
import * as helpers6 from 'openai6/helpers/zod'

/** A version of the SDK. What tests use of it is the same in all. */
export interface Version {
  readonly name: string
  readonly major: 5 | 6 | 7
  readonly OpenAI: typeof OpenAI7
  readonly helpers: { zodFunction: typeof zodFunction; zodResponsesFunction: typeof zodResponsesFunction }
}

export const versions: readonly Version[] = [
  { name: 'openai 7', major: 7, OpenAI: OpenAI7, helpers: { zodFunction, zodResponsesFunction } },
  {
    name: 'openai 6',
    major: 6,
    OpenAI: OpenAI6 as unknown as typeof OpenAI7,
    helpers: helpers6 as unknown as Version['helpers'],
  },
  {
    name: 'openai 5',
    major: 5,
    OpenAI: OpenAI5 as unknown as typeof OpenAI7,
    helpers: helpers5 as unknown as Version['helpers'],
  },
]

export interface ModelCall {
  readonly tool: string
  /** Text is sent as it is, whatever it is. */
  readonly args: unknown
  readonly id?: string
}

/** Text, or the calls of one turn, or a whole body. After the last turn the model says `done`. */
export type Turn = string | readonly ModelCall[] | { readonly body: object }

export interface Scripted {
  readonly client: OpenAI7
  /** The bodies of the requests. */
  readonly requests: any[]
}

/** A client for both APIs: which one is asked is told from the request. */
export function scriptedClient(
  OpenAI: typeof OpenAI7,
  turns: readonly Turn[],
  options: { readonly maxRetries?: number } = {},
): Scripted {
  const requests: any[] = []
  const fetch = async (url: unknown, init?: { body?: unknown; signal?: AbortSignal | null }): Promise<Response> => {
    init?.signal?.throwIfAborted()
    const request = JSON.parse(String(init?.body))
    requests.push(request)
    const turn = turns[requests.length - 1] ?? 'done'
    const make = String(url).includes('/responses') ? responseOf : completionOf
    const body = typeof turn === 'object' && 'body' in turn ? turn.body : make(turn, requests.length)
    if (request.stream !== true) return Response.json(body)
    return new Response(streamOf(body), { headers: { 'content-type': 'text/event-stream' } })
  }
  const client = new OpenAI({
    apiKey: 'none',
    maxRetries: options.maxRetries ?? 0,
    fetch: fetch as typeof globalThis.fetch,
  })
  return { client, requests }
}

function textOf(args: unknown): string {
  return typeof args === 'string' ? args : JSON.stringify(args)
}

/** A chat completion. */
export function completionOf(turn: string | readonly ModelCall[], number = 1, finish?: string): object {
  const message =
    typeof turn === 'string'
      ? { role: 'assistant', content: turn, refusal: null }
      : {
          role: 'assistant',
          content: null,
          refusal: null,
          tool_calls: turn.map(({ tool, args, id }, index) => ({
            id: id ?? `turn-${number}-call-${index}`,
            type: 'function',
            function: { name: tool, arguments: textOf(args) },
          })),
        }
  const finish_reason = finish ?? (typeof turn === 'string' ? 'stop' : 'tool_calls')
  return {
    id: `completion-${number}`,
    object: 'chat.completion',
    created: 1,
    model: 'scripted',
    choices: [{ index: 0, message, finish_reason, logprobs: null }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  }
}

/** A response of the Responses API. */
export function responseOf(turn: string | readonly ModelCall[], number = 1, status = 'completed'): object {
  const output =
    typeof turn === 'string'
      ? [
          {
            type: 'message',
            id: `message-${number}`,
            role: 'assistant',
            status: 'completed',
            content: [{ type: 'output_text', text: turn, annotations: [] }],
          },
        ]
      : turn.map(({ tool, args, id }, index) => ({
          type: 'function_call',
          id: `item-${number}-${index}`,
          call_id: id ?? `turn-${number}-call-${index}`,
          name: tool,
          arguments: textOf(args),
          status: 'completed',
        }))
  return { id: `response-${number}`, object: 'response', created_at: 1, status, model: 'scripted', output }
}

/** The same completion in pieces, as a stream of chat completions has them. */
function streamOf(completion: any): string {
  const [{ message, finish_reason }] = completion.choices
  const shared = { id: completion.id, object: 'chat.completion.chunk', created: 1, model: 'scripted' }
  const calls = (message.tool_calls ?? []).flatMap((call: any, index: number) => {
    const text: string = call.function.arguments
    const half = Math.ceil(text.length / 2)
    const first = { ...call, index, function: { ...call.function, arguments: text.slice(0, half) } }
    return [first, { index, function: { arguments: text.slice(half) } }].map((piece) => ({ tool_calls: [piece] }))
  })
  const deltas = [{ role: 'assistant', content: message.content }, ...calls]
  const chunks = [
    ...deltas.map((delta) => ({ ...shared, choices: [{ index: 0, delta, finish_reason: null }] })),
    { ...shared, choices: [{ index: 0, delta: {}, finish_reason }] },
  ]
  return [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), 'data: [DONE]\n\n'].join('')
}
