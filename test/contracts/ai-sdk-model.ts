/** Models of the AI SDK that say what they are told to, turn by turn, and remember what they were asked. */
import type { LanguageModelV2StreamPart, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { convertArrayToReadableStream, MockLanguageModelV4 } from 'ai/test'
import { MockLanguageModelV2 } from 'ai5/test'
import { MockLanguageModelV3 } from 'ai6/test'

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

/** A model of AI SDK 7. */
export function scriptedModel(...turns: readonly Turn[]): MockLanguageModelV4 {
  return new MockLanguageModelV4(script(turns))
}

/** A model of AI SDK 6. */
export function scriptedModel6(...turns: readonly Turn[]): MockLanguageModelV3 {
  return new MockLanguageModelV3(script(turns) as ConstructorParameters<typeof MockLanguageModelV3>[0])
}

/** A model of AI SDK 5, which says less of tokens and of why it has ended. */
export function scriptedModel5(...turns: readonly Turn[]): MockLanguageModelV2 {
  const { doGenerate, doStream } = script(turns)
  const plain = { usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } }
  const plainly = {
    doGenerate: async () => {
      const { content, finishReason } = await doGenerate()
      return { content, ...plain, finishReason: finishReason.unified, warnings: [] }
    },
    doStream: async () => {
      const parts = [...(await doStream()).parts] as LanguageModelV2StreamPart[]
      const finishReason = parts.some(({ type }) => type === 'tool-call') ? 'tool-calls' : 'stop'
      parts.splice(-1, 1, { type: 'finish', finishReason, ...plain })
      return { stream: convertArrayToReadableStream(parts) }
    },
  }
  return new MockLanguageModelV2(plainly as ConstructorParameters<typeof MockLanguageModelV2>[0])
}

function script(turns: readonly Turn[]) {
  let asked = 0
  const next = () => contentOf(turns[asked++] ?? 'done', asked)
  return {
    doGenerate: async () => {
      const content = next()
      return { content, usage, finishReason: { unified: reasonFor(content), raw: undefined }, warnings: [] }
    },
    doStream: async () => {
      const content = next()
      const said = content.flatMap((part, index): LanguageModelV4StreamPart[] =>
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
      const parts: LanguageModelV4StreamPart[] = [...said, { type: 'finish', usage, finishReason }]
      return { parts, stream: convertArrayToReadableStream(parts) }
    },
  }
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
