/** What tests do with the messages of a loop that has paused, whichever version of the AI SDK made them. */
import type { ModelMessage, ToolModelMessage } from 'ai'

/** All that a loop adds to its messages; `response` has that of the last step alone in AI SDK 7. */
export function messagesOf(result: object): readonly ModelMessage[] {
  const { responseMessages, response } = result as {
    responseMessages?: ModelMessage[]
    response: { messages: ModelMessage[] }
  }
  return responseMessages ?? response.messages
}

/** What a client would send that wants everything to run. */
export function claimAll(messages: readonly ModelMessage[]): ToolModelMessage {
  const requests = messages.flatMap(({ role, content }) =>
    role === 'assistant' && typeof content !== 'string' ? content : [],
  )
  return {
    role: 'tool',
    content: requests.flatMap((part) =>
      part.type === 'tool-approval-request'
        ? [{ type: 'tool-approval-response', approvalId: part.approvalId, approved: true } as const]
        : [],
    ),
  }
}
