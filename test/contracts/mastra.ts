/** Mastra, as tests drive it: an agent whose model says what it is told to, with nothing on the network. */

import type { ToolsInput } from '@mastra/core/agent'
import { Agent } from '@mastra/core/agent'
import { noopLogger } from '@mastra/core/logger'
import { RequestContext } from '@mastra/core/request-context'
import { scriptedModel6, type Turn } from './ai-sdk-model.ts'

process.env.MASTRA_TELEMETRY_DISABLED = '1'

export interface MastraRun {
  readonly carried?: unknown
  readonly signal?: AbortSignal
}

export function mastraAgent(tools: ToolsInput, ...turns: readonly Turn[]) {
  return mastraAgentOn(scriptedModel6(...turns), tools)
}

export function mastraAgentOn(model: ReturnType<typeof scriptedModel6>, tools: ToolsInput) {
  const agent = new Agent({ id: 'agent', name: 'agent', instructions: 'help', model: model as never, tools })
  agent.__setLogger(noopLogger)
  return {
    agent,
    model,
    run: ({ carried, signal }: MastraRun = {}) =>
      agent.generate('go on', {
        maxSteps: 3,
        requestContext: carrying(carried),
        // All calls of a turn at once.
        toolCallConcurrency: 1_000,
        ...(signal ? { abortSignal: signal } : {}),
      }),
    /** What the model read in answer to its last calls, by their ids. */
    results: () => resultsIn(model.doGenerateCalls.at(-1)?.prompt),
  }
}

type Prompt = ReturnType<typeof scriptedModel6>['doGenerateCalls'][number]['prompt']

/** The results that a prompt ends with. */
export function resultsIn(prompt: Prompt | undefined) {
  const message = prompt?.at(-1)
  return message?.role === 'tool' ? message.content.filter((part) => part.type === 'tool-result') : []
}

export function carrying(session: unknown): RequestContext {
  const context = new RequestContext()
  if (session !== undefined) context.set('haldirSession', session)
  return context
}
