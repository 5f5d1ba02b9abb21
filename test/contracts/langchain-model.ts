/** A chat model of LangChain that says what it is told to, turn by turn, and remembers what it was asked and told. */
import type { BaseChatModel } from '@langchain/core/language_models/chat_models'
import type { BaseMessage } from '@langchain/core/messages'

export interface ModelCall {
  readonly tool: string
  readonly args: unknown
  readonly id?: string
}

/** Text, or the calls of one turn. After the last turn it says `done`. */
export type Turn = string | readonly ModelCall[]

export interface ScriptedModel {
  readonly model: BaseChatModel
  /** The messages of each turn. */
  readonly asked: BaseMessage[][]
  /** The tools of the last turn. */
  readonly told: unknown[]
}

/** The classes a version makes models and messages from. */
interface Classes {
  readonly BaseChatModel: new (fields: object) => object
  readonly AIMessage: new (fields: object) => BaseMessage
}

export function scriptedModel({ BaseChatModel, AIMessage }: Classes, ...turns: readonly Turn[]): ScriptedModel {
  const asked: BaseMessage[][] = []
  const told: unknown[] = []
  class Scripted extends BaseChatModel {
    _llmType(): string {
      return 'scripted'
    }

    bindTools(tools: unknown[]): this {
      told.splice(0, told.length, ...tools)
      return this
    }

    async _generate(messages: BaseMessage[]) {
      const turn = turns[asked.length] ?? 'done'
      asked.push([...messages])
      const calls = typeof turn === 'string' ? [] : turn
      const message = new AIMessage({
        content: typeof turn === 'string' ? turn : '',
        tool_calls: calls.map(({ tool, args, id }, index) => ({
          name: tool,
          args,
          id: id ?? `turn-${asked.length}-call-${index}`,
          type: 'tool_call',
        })),
      })
      return { generations: [{ text: '', message }] }
    }
  }
  return { model: new Scripted({}) as object as BaseChatModel, asked, told }
}
