/** Loops of the AI SDK that pause for people: suspended to JSON in one process, resumed from it in another. */
import { approvalResponses, governed } from '@haldir/ai-sdk'
import { type Approval, type HaldirOptions, type Policy, type Session, type ToolOptions, usd } from '@haldir/core'
import type { ModelMessage, Tool, ToolModelMessage, ToolSet } from 'ai'
import { expect } from 'vitest'
import { z } from 'zod'
import { claimAll, messagesOf } from '../contracts/ai-sdk-messages.ts'
import type { ModelCall } from '../contracts/ai-sdk-model.ts'
import { type Version, versions } from '../contracts/ai-sdk-versions.ts'
import { fleet, type House, type STORES } from './scene.ts'

/** Those that can pause. */
export const PAUSING: readonly Version[] = versions.filter(({ major }) => major > 5)

export const policy: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', because: 'large payments' }],
}

export type Way = 'generateText' | 'streamText' | 'ToolLoopAgent'

export interface LoopSettings {
  readonly way?: Way
  /** Options of the SDK besides. */
  readonly more?: object
  readonly tools?: ToolSet
}

export interface Ended {
  /** What the model read of each call, by the id of the call. */
  readonly read: Readonly<Record<string, string>>
  readonly text: string
  /** Everything that was said, as JSON. */
  readonly json: string
}

export const pays = (amount: number, id = 'call-1'): ModelCall => ({ tool: 'pay', args: { amount }, id })

/** Two processes of a fleet. `paid`: what the tool has run with, in whichever of them. */
export async function suspendable(
  version: Version,
  {
    kind = 'memory',
    options = {},
    rule = {},
    tool: own = {},
  }: {
    readonly kind?: (typeof STORES)[number]
    readonly options?: HaldirOptions
    readonly rule?: Partial<ToolOptions>
    readonly tool?: object
  } = {},
) {
  const shared = fleet(kind)
  const settings: HaldirOptions = { policy, approvals: { mode: 'suspend' }, ...options }
  const [here, there] = [shared.house(settings), shared.house(settings)]
  const session = await here.haldir.createSession({ agent: 'bot', scopes: ['read', 'spend:1000'], ttl: '7d' })
  const elsewhere = await there.haldir.attach(session.token)
  const paid: number[] = []

  const toolsOf = ({ haldir }: House): ToolSet => {
    const pay = version.sdk.tool({
      description: 'pays',
      inputSchema: z.object({ amount: z.number() }),
      execute: async ({ amount }: { amount: number }) => {
        paid.push(amount)
        return `paid ${amount}`
      },
      ...own,
    } as Tool<{ amount: number }, string>)
    return governed({ pay }, { pay: { scope: 'spend', cost: ({ amount }) => usd(amount), ...rule } }, { haldir })
  }

  async function loop(
    turns: readonly (readonly ModelCall[])[],
    messages: readonly ModelMessage[],
    at: House,
    as: Session,
    { way = 'generateText', more = {}, tools = toolsOf(at) }: LoopSettings = {},
  ): Promise<Ended> {
    const { sdk } = version
    const model = version.model(...turns)
    const given = { model, tools, stopWhen: sdk.stepCountIs(4), ...more }
    const result: any = await as.run(async () => {
      if (way === 'generateText') return sdk.generateText({ ...given, messages: [...messages] })
      if (way === 'ToolLoopAgent') return new sdk.ToolLoopAgent(given).generate({ messages: [...messages] })
      const streamed = sdk.streamText({ ...given, messages: [...messages] })
      await streamed.consumeStream()
      const added = (streamed as { responseMessages?: unknown }).responseMessages
      return { text: await streamed.text, response: await streamed.response, responseMessages: await added }
    })
    const read: Record<string, string> = {}
    for (const { prompt } of [...model.doGenerateCalls, ...model.doStreamCalls]) {
      for (const { role, content } of prompt) {
        if (role !== 'tool') continue
        for (const part of content) if (part.type === 'tool-result') read[part.toolCallId] = textOf(part.output)
      }
    }
    return { read, text: result.text, json: JSON.stringify([...messages, ...messagesOf(result)]) }
  }

  /** What people are asked, by the amount that it is about. */
  async function asked(amount?: number): Promise<Approval> {
    const all = await there.haldir.approvals.list()
    const found = all.find(({ args }) => amount === undefined || (args as { amount: number }).amount === amount)
    return found ?? expect.fail('nobody was asked')
  }

  return {
    ...shared,
    here,
    there,
    session,
    elsewhere,
    paid,
    toolsOf,
    /** Runs until the loop pauses. Answers what an application would keep. */
    pause: async (calls: readonly ModelCall[], how: LoopSettings = {}): Promise<string> => {
      const { json } = await loop([calls], [{ role: 'user', content: 'pay' }], here, session, how)
      return json
    },
    /** The messages go on in the other process, with what the store says; `undefined` when that is nothing yet. */
    resume: async (json: string, how: LoopSettings = {}): Promise<Ended | undefined> => {
      const messages: ModelMessage[] = JSON.parse(json)
      const answer = await approvalResponses(messages, { session: elsewhere })
      return answer && loop([], [...messages, answer], there, elsewhere, how)
    },
    /** The messages go on with a message that says yes to everything, or with that one. */
    force: (json: string, how: LoopSettings = {}, answer?: ToolModelMessage): Promise<Ended> => {
      const messages: ModelMessage[] = JSON.parse(json)
      return loop([], [...messages, answer ?? claimAll(messages)], there, elsewhere, how)
    },
    loop,
    asked,
    async decide(approve: boolean, say: object = {}, amount?: number): Promise<Approval> {
      const { id } = await asked(amount)
      return there.haldir.approvals.decide(id, { approve, by: 'alice', ...say })
    },
  }
}

function textOf(output: { type: string; value?: unknown; reason?: string }): string {
  if (output.type === 'execution-denied') return `${output.reason}`
  return typeof output.value === 'string' ? output.value : JSON.stringify(output.value)
}
