/** What the tests of `@haldir/langchain` stand on: a haldir, a session, and an agent whose model is scripted. */
import { createHaldir, type Entry, type Haldir, type HaldirOptions, type Session } from '@haldir/core'
import { type MemorySink, memorySink } from '@haldir/core/sinks/memory'
import { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { AIMessage, type BaseMessage, type ToolMessage } from '@langchain/core/messages'
import { createAgent } from 'langchain'
import { afterEach } from 'vitest'
import { type ScriptedModel, scriptedModel, type Turn } from '../contracts/langchain-model.ts'

const open: Haldir[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((haldir) => haldir.close()))
})

export interface Home {
  readonly haldir: Haldir
  readonly session: Session
  readonly sink: MemorySink
  entries(type?: Entry['type']): Promise<Entry[]>
}

/** A session with the scopes `read` and `spend:5`, unless others are named. */
export async function home(options: HaldirOptions = {}, scopes: string[] = ['read', 'spend:5']): Promise<Home> {
  const sink = memorySink()
  const haldir = createHaldir({ sinks: [sink], ...options })
  open.push(haldir)
  const session = await haldir.createSession({ agent: 'order-bot', scopes })
  return {
    haldir,
    session,
    sink,
    async entries(type) {
      const found: Entry[] = []
      for await (const entry of haldir.trail.query(type ? { type } : {})) {
        if (type || ['intent', 'outcome', 'refusal'].includes(entry.type)) found.push(entry)
      }
      return found
    },
  }
}

export function script(...turns: readonly Turn[]): ScriptedModel {
  return scriptedModel({ BaseChatModel, AIMessage } as unknown as Parameters<typeof scriptedModel>[0], ...turns)
}

export const input = { messages: [{ role: 'user' as const, content: 'go on' }] }

/** The messages that answer calls. */
export function answersIn(messages: readonly BaseMessage[]): ToolMessage[] {
  return messages.filter((message): message is ToolMessage => message.getType() === 'tool')
}

/** Runs an agent with these calls; answers what the model read of each, and what it ended with. */
export async function agentRun(
  tools: unknown[],
  turns: readonly Turn[],
  middleware: unknown[] = [],
  config: object = {},
) {
  const scripted = script(...turns)
  const agent = createAgent({ model: scripted.model, tools: tools as [], middleware: middleware as [] })
  const { messages } = await agent.invoke(input, config)
  return { answers: answersIn(messages), text: String(messages.at(-1)?.content), ...scripted }
}

export function toolCall(name: string, args: unknown, id = 'call-1'): any {
  return { type: 'tool_call', name, args, id }
}
