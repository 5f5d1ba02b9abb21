/** One session governs tools of every framework in one process: one budget, one trail, one revocation. */
import Anthropic from '@anthropic-ai/sdk'
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import { governed as governedAi } from '@haldir/ai-sdk'
import { governed as governedAnthropic } from '@haldir/anthropic'
import { createHaldir, governed, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed as governedLangchain } from '@haldir/langchain'
import { governed as governedOpenai, runToolCalls } from '@haldir/openai'
import { governed as governedAgents } from '@haldir/openai/agents'
import { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { AIMessage, type BaseMessage } from '@langchain/core/messages'
import { tool as langchainTool } from '@langchain/core/tools'
import { createTool } from '@mastra/core/tools'
import { Agent, tool as agentsTool, Runner } from '@openai/agents'
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing'
import { generateText, stepCountIs, tool } from 'ai'
import { createAgent } from 'langchain'
import OpenAI from 'openai'
import { zodFunction, zodResponsesFunction } from 'openai/helpers/zod'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedModel as aiModel } from '../contracts/ai-sdk-model.ts'
import { scriptedProvider } from '../contracts/anthropic-model.ts'
import { scriptedModel as langchainModel } from '../contracts/langchain-model.ts'
import { mastraAgent } from '../contracts/mastra.ts'
import { responseOf, scriptedClient } from '../contracts/openai-client.ts'
import { proves } from '../promises.ts'

let haldir: Haldir
beforeEach(() => {
  haldir = createHaldir({ sinks: [memorySink()] })
})
afterEach(() => haldir.close())

const parameters = z.object({ amount: z.number() })
const description = 'Buys something'
const rule = (name: string) => ({ name, scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) })

/** For each framework: runs its own loop with a model that buys `times` times at once; answers what the model read. */
function shops(bought: string[]): Record<string, (amount: number, times: number) => Promise<string[]>> {
  const execute = (shop: string) => async (_: { amount: number }) => {
    bought.push(shop)
    return `${shop} sold it`
  }
  const calls = (shop: string, amount: number, times: number) =>
    Array.from({ length: times }, (_, index) => ({ tool: shop, args: { amount }, id: `${shop}-${index}` }))
  const plain = governed(execute('plain'), rule('plain'), { haldir })
  const ai = governedAi(tool({ description, inputSchema: parameters, execute: execute('ai') }), rule('ai'), { haldir })
  const langchain = governedLangchain(
    langchainTool(execute('langchain'), { name: 'langchain', description, schema: parameters }),
    rule('langchain'),
    { haldir },
  )
  const openai = governedOpenai(
    zodFunction({ name: 'openai', description, parameters, function: execute('openai') }),
    rule('openai'),
    { haldir },
  )
  const responses = governedOpenai(
    zodResponsesFunction({ name: 'responses', description, parameters, function: execute('responses') }),
    rule('responses'),
    { haldir },
  )
  const agents = governedAgents(
    agentsTool({ name: 'agents', description, parameters, execute: execute('agents') }),
    rule('agents'),
    { haldir },
  )
  const anthropic = governedAnthropic(
    betaZodTool({ name: 'anthropic', description, inputSchema: parameters, run: execute('anthropic') }),
    rule('anthropic'),
    { haldir },
  )
  const mastra = governedAi(
    createTool({ id: 'mastra', description, inputSchema: parameters, execute: execute('mastra') }),
    rule('mastra'),
    { haldir },
  )
  return {
    plain: (amount, times) =>
      Promise.all(Array.from({ length: times }, () => plain({ amount }).catch((denied) => denied.message))),

    async ai(amount, times) {
      const model = aiModel(calls('ai', amount, times))
      await generateText({ model, tools: { ai }, prompt: 'buy', stopWhen: stepCountIs(3) })
      const read = model.doGenerateCalls.at(-1)?.prompt.at(-1)?.content as { output: { value: string } }[]
      return read.map(({ output }) => output.value)
    },

    async langchain(amount, times) {
      const { model, asked } = langchainModel(
        { BaseChatModel: BaseChatModel as never, AIMessage: AIMessage as never },
        calls('langchain', amount, times),
      )
      await createAgent({ model, tools: [langchain] }).invoke({ messages: [{ role: 'user', content: 'buy' }] })
      const read = asked.at(-1) as BaseMessage[]
      return read.slice(-times).map(({ content }) => String(content))
    },

    async openai(amount, times) {
      const { client, requests } = scriptedClient(OpenAI, [calls('openai', amount, times)])
      const messages = [{ role: 'user' as const, content: 'buy' }]
      await client.chat.completions.runTools({ model: 'scripted', messages, tools: [openai] }).done()
      return requests
        .at(-1)
        .messages.slice(-times)
        .map(({ content }: { content: string }) => content)
    },

    async responses(amount, times) {
      const response = responseOf(calls('responses', amount, times)) as OpenAI.Responses.Response
      return (await runToolCalls(response, [responses])).map(({ output }) => output)
    },

    async agents(amount, times) {
      const made = calls('agents', amount, times).map(({ id, args }) => functionCall('agents', args, { callId: id }))
      const model = new ScriptedModel([made, [assistantMessage('done')]])
      const runner = new Runner({ tracingDisabled: true })
      const { newItems } = await runner.run(new Agent({ name: 'buyer', model, tools: [agents] }), 'buy')
      return newItems.flatMap((item) => (item.type === 'tool_call_output_item' ? [String(item.output)] : []))
    },

    async anthropic(amount, times) {
      const provider = scriptedProvider(calls('anthropic', amount, times))
      const client = new Anthropic({ apiKey: 'none', fetch: provider.fetch as never, maxRetries: 0 })
      const messages = [{ role: 'user' as const, content: 'buy' }]
      const request = { model: 'scripted', max_tokens: 100, messages, tools: [anthropic], max_iterations: 2 }
      await client.beta.messages.toolRunner(request).runUntilDone()
      return provider.results().map(({ content }) => String(content))
    },

    async mastra(amount, times) {
      const loop = mastraAgent({ mastra }, calls('mastra', amount, times))
      await loop.run()
      return loop.results().map(({ output }) => String((output as { value: unknown }).value))
    },
  }
}

const DENIED = (code: string) => expect.stringMatching(new RegExp(`^Denied \\(${code}\\): `))

async function left(session: Session): Promise<string> {
  const [line] = await session.budget()
  return `${line?.left} ${line?.held}`
}

it('one budget pays for all of them, in turn, and no framework gets more than is left', async () => {
  proves('framework-agnostic', 'one-session', 'per-session-budget', 'invariant-3')
  const bought: string[] = []
  const all = shops(bought)
  const names = Object.keys(all)
  const session = await haldir.createSession({ agent: 'buyer', scopes: [`spend:${names.length * 2}`] })
  for (const [name, buy] of Object.entries(all)) {
    expect(await session.run(() => buy(1, 1)), name).toEqual([`${name} sold it`])
  }
  expect([bought, await left(session)]).toEqual([names, '8 USD 0 USD'])
  // What is left is not enough for any of them.
  for (const [name, buy] of Object.entries(all)) {
    expect(await session.run(() => buy(8.01, 1)), name).toEqual([DENIED('budget-exceeded')])
  }
  expect([bought, await left(session)]).toEqual([names, '8 USD 0 USD'])
  // The last of it goes in one framework, and is gone in all the others.
  expect(await session.run(() => (all.openai as (typeof all)[string])(8, 1))).toEqual(['openai sold it'])
  for (const [name, buy] of Object.entries(all)) {
    expect(await session.run(() => buy(0.000001, 1)), name).toEqual([DENIED('budget-exceeded')])
  }
  expect((await haldir.trail.verify()).ok).toBe(true)
})

it('eighty calls at once through eight loops on a budget of fifty: fifty run', async () => {
  proves('invariant-3')
  const bought: string[] = []
  const session = await haldir.createSession({ agent: 'buyer', scopes: ['spend:50'] })
  const read = await session.run(() => Promise.all(Object.values(shops(bought)).map((buy) => buy(1, 10))))
  expect(read.flat()).toHaveLength(80)
  expect(read.flat().filter((text) => text.endsWith('sold it'))).toHaveLength(50)
  expect(read.flat().filter((text) => text.startsWith('Denied (budget-exceeded)'))).toHaveLength(30)
  expect([bought.length, await left(session)]).toEqual([50, '0 USD 0 USD'])
})

it('the trail names each framework’s calls alike, and a revoked session is over in every one', async () => {
  proves('instant-revoke', 'every-call-logged')
  const bought: string[] = []
  const all = shops(bought)
  const session = await haldir.createSession({ agent: 'buyer', scopes: ['spend:50'] })
  for (const buy of Object.values(all)) await session.run(() => buy(1, 1))
  await session.revoke('done')
  for (const [name, buy] of Object.entries(all)) {
    expect(await session.run(() => buy(1, 1)), name).toEqual([DENIED('session-revoked')])
  }
  expect(bought).toEqual(Object.keys(all))
  const told: unknown[] = []
  for await (const { type, tool, code, session: id, held, spent } of haldir.trail.query()) {
    if (tool && id === session.id) told.push([tool, type, code, ...held, ...spent])
  }
  const one = { unit: 'USD', amount: '1' }
  expect(told).toEqual([
    ...Object.keys(all).flatMap((name) => [
      [name, 'intent', undefined, one],
      [name, 'outcome', undefined, one],
    ]),
    ...Object.keys(all).map((name) => [name, 'refusal', 'session-revoked']),
  ])
})
