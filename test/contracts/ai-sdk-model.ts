/** A model of the AI SDK that says what it is told to, turn by turn, and remembers what it was asked. */
import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { convertArrayToReadableStream, MockLanguageModelV4 } from 'ai/test'

export interface ModelCall {
  readonly tool: string
  readonly args: unknown
  readonly id?: string
}

/** Text, or the calls of one turn. After the last turn it says `done`. */
export type Turn = string | readonly ModelCall[]

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

export function scriptedModel(...turns: readonly Turn[]): MockLanguageModelV4 {
  let asked = 0
  const next = () => contentOf(turns[asked++] ?? 'done', asked)
  return new MockLanguageModelV4({
    doGenerate: async () => {
      const content = next()
      return { content, usage, finishReason: { unified: reasonFor(content), raw: undefined }, warnings: [] }
    },
    doStream: async () => {
      const content = next()
      const parts = content.flatMap((part, index): LanguageModelV4StreamPart[] =>
        part.type === 'tool-call'
          ? [
              { type: 'tool-input-start', id: part.toolCallId, toolName: part.toolName },
              { type: 'tool-input-delta', id: part.toolCallId, delta: part.input },
              { type: 'tool-input-end', id: part.toolCallId },
              part,
            ]
          : [
              { type: 'text-start', id: `${index}` },
              { type: 'text-delta', id: `${index}`, delta: part.text },
              { type: 'text-end', id: `${index}` },
            ],
      )
      const finishReason = { unified: reasonFor(content), raw: undefined }
      return { stream: convertArrayToReadableStream([...parts, { type: 'finish', usage, finishReason }]) }
    },
  })
}

type Content =
  | { type: 'text'; text: string }
  | { type: 'tool-call'; toolCallId: string; toolName: string; input: string }

function contentOf(turn: Turn, number: number): Content[] {
  if (typeof turn === 'string') return [{ type: 'text', text: turn }]
  return turn.map(({ tool, args, id }, index) => ({
    type: 'tool-call',
    toolCallId: id ?? `turn-${number}-call-${index}`,
    toolName: tool,
    input: JSON.stringify(args),
  }))
}

function reasonFor(content: readonly Content[]): 'tool-calls' | 'stop' {
  return content.some(({ type }) => type === 'tool-call') ? 'tool-calls' : 'stop'
}
