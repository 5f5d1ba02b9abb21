import { governed } from '@haldir/ai-sdk'
import { generateText, type LanguageModel, stepCountIs, tool } from 'ai'
import { charge, type Order, type Receipt, type Tool } from '../orders.ts'
import { callIds, DESCRIPTION, type FrameworkBench, inputSchema, RULE } from './framework.ts'

type Execute = (order: Order, options: { toolCallId: string; messages: [] }) => Promise<Receipt>

export function aiSdk(): FrameworkBench {
  const running = (execute: Tool) => tool({ description: DESCRIPTION, inputSchema, execute })
  const bare = running(charge)
  const wrapped = governed(bare, RULE)
  /** `execute`, called as the SDK calls it. */
  const called = (execute: Execute, self: unknown): Tool => {
    const id = callIds()
    return (order) => Reflect.apply(execute, self, [order, { toolCallId: id(), messages: [] }])
  }
  const looped =
    (charge: typeof bare): Tool<unknown> =>
    (order) =>
      generateText({ model: scripted(order), prompt: 'charge it', tools: { charge }, stopWhen: stepCountIs(3) })
  return {
    name: 'AI SDK',
    way: 'execute',
    bare: called(bare.execute as unknown as Execute, bare),
    governed: called(wrapped.execute as unknown as Execute, wrapped),
    loop: { bare: looped(bare), governed: looped(wrapped), around: (run) => looped(running(run)) },
  }
}

type Model = Exclude<LanguageModel, string>
type Generate = Extract<Model, { specificationVersion: 'v4' }>['doGenerate']

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

/** Calls the tool, and when it has been answered, is done. */
function scripted(order: Order): Model {
  const doGenerate: Generate = async ({ prompt }) => {
    const answered = prompt.at(-1)?.role === 'tool'
    const call = {
      type: 'tool-call',
      toolCallId: order.orderId,
      toolName: 'charge',
      input: JSON.stringify(order),
    } as const
    return {
      content: answered ? [{ type: 'text', text: 'done' }] : [call],
      finishReason: { unified: answered ? 'stop' : 'tool-calls', raw: undefined },
      usage,
      warnings: [],
    }
  }
  return {
    specificationVersion: 'v4',
    provider: 'bench',
    modelId: 'scripted',
    supportedUrls: {},
    doGenerate,
    doStream: () => Promise.reject(new Error('this model does not stream')),
  }
}
