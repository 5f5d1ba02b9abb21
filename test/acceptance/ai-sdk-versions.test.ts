/** What holds under each version of the AI SDK beyond the contract: agents, hooks, kinds of tools, browsers, models. */
import { governed, meterModel } from '@haldir/ai-sdk'
import { createHaldir, currentCall, Denied, type Entry, envKey, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { createUIMessageStreamResponse, type Tool, type ToolSet, toUIMessageStream } from 'ai'
import * as sdk5 from 'ai5'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { versions } from '../contracts/ai-sdk-versions.ts'
import { proves } from '../promises.ts'

let haldir: Haldir
let session: Session

beforeEach(async () => {
  const env = { HALDIR_KEY: 'c0'.repeat(32) }
  haldir = createHaldir({ sinks: [memorySink()], vault: { keys: [envKey('HALDIR_KEY', { env })] } })
  session = await haldir.createSession({ agent: 'bot', scopes: ['read', 'spend:100'] })
})
afterEach(() => haldir.close())

const prompt = 'go on'
const inputSchema = z.object({}).loose()

async function entries(...types: Entry['type'][]): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({})) if (types.includes(entry.type)) found.push(entry)
  return found
}

/** What the model read in answer to its last calls. */
function readBy(model: { doGenerateCalls: any[]; doStreamCalls: any[] }): any[] {
  const message = (model.doGenerateCalls.at(-1) ?? model.doStreamCalls.at(-1))?.prompt.at(-1)
  if (message?.role !== 'tool') return []
  return message.content.flatMap((part: { type: string; output: unknown }) =>
    part.type === 'tool-result' ? [part.output] : [],
  )
}

const denial = (code: string) => ({ type: 'error-text', value: expect.stringMatching(`^Denied \\(${code}\\): `) })

describe.each(versions)('$name', ({ major, sdk, model: scripted, carrying, context }) => {
  const stopWhen = sdk.stepCountIs(3)

  describe('an agent', () => {
    const Agent = major === 5 ? (sdk5.Experimental_Agent as unknown as typeof sdk.ToolLoopAgent) : sdk.ToolLoopAgent
    const calls = [
      { tool: 'fine', args: {} },
      { tool: 'no', args: {} },
    ]
    const make = (settings: object = {}, contextSchema?: object) => {
      const extra = contextSchema ? { contextSchema } : {}
      const tools = governed(
        {
          fine: sdk.tool({ inputSchema, execute: async () => currentCall().session.agent, ...extra } as never) as Tool,
          no: sdk.tool({ inputSchema, execute: async () => 'no', ...extra } as never) as Tool,
        },
        { fine: { scope: 'read' }, no: { scope: 'delete' } },
        { haldir },
      ) as ToolSet
      const model = scripted(calls)
      return { model, agent: new Agent({ model, tools, stopWhen, ...settings }), tools }
    }
    const expected = [{ type: 'text', value: 'bot' }, denial('scope-missing')]

    it('is governed under the ambient session, whole or streamed', async () => {
      proves('framework-agnostic')
      const whole = make()
      expect((await session.run(() => whole.agent.generate({ prompt }))).text).toBe('done')
      expect(readBy(whole.model)).toEqual(expected)
      const streamed = make()
      const result = await session.run(() => streamed.agent.stream({ prompt }))
      expect(await result.text).toBe('done')
      // 5 answers in the order in which the calls have ended.
      expect(readBy(streamed.model)).toHaveLength(2)
      expect(readBy(streamed.model)).toEqual(expect.arrayContaining(expected))
    })

    it('without a session does nothing', async () => {
      proves('no-session-no-access')
      const { agent, model } = make()
      expect((await agent.generate({ prompt })).text).toBe('done')
      expect(readBy(model)).toEqual([denial('no-session'), denial('no-session')])
    })

    it('takes the session from its context, and no text for one', async () => {
      const contextSchema = major === 7 ? z.object({ haldirSession: z.custom<Session>() }) : undefined
      const carried = (haldirSession: unknown) => carrying({ fine: 1, no: 1 }, { haldirSession })
      const own = make(carried(session), contextSchema)
      await own.agent.generate({ prompt })
      expect(readBy(own.model)).toEqual(expected)
      const text = make(carried(session.token), contextSchema)
      await text.agent.generate({ prompt })
      expect(readBy(text.model)).toEqual([denial('no-session'), denial('no-session')])
    })

    it('stops with `session.signal`: the model is not asked again', async () => {
      proves('instant-revoke')
      const stop = sdk.tool({ inputSchema, execute: () => session.revoke('enough') })
      const tools = governed({ stop }, { stop: { scope: 'read' } }, { session }) as ToolSet
      const again = [{ tool: 'stop', args: {} }]
      const model = scripted(again, again, again)
      const agent = new Agent({ model, tools, stopWhen })
      const loop = agent.generate({ prompt, abortSignal: session.signal })
      await expect(loop).rejects.toSatisfy((error) => Denied.isInstance(error) && error.code === 'session-revoked')
      expect(model.doGenerateCalls).toHaveLength(1)
    })
  })

  describe('the hooks of a tool', () => {
    it('`toModelOutput` gets what is left when secrets are out, on the tool that it belongs to', async () => {
      proves('agents-never-see-keys')
      await haldir.vault.put('key', 'sk-live-0123456789', { scope: 'read' })
      class LookUp {
        readonly #prefix = 'order'
        readonly inputSchema = inputSchema
        readonly seen: unknown[] = []
        async execute() {
          return { id: 7, key: currentCall().secret('key').reveal() }
        }
        toModelOutput(given: any) {
          const output = major === 5 ? given : given.output
          this.seen.push(output)
          return { type: 'text', value: `${this.#prefix} ${output.id} ${output.key}` }
        }
      }
      const original = new LookUp()
      const lookUp = governed(original as any, { name: 'lookUp', scope: 'read', secrets: ['key'] }, { session })
      const model = scripted([{ tool: 'lookUp', args: {} }])
      await sdk.generateText({ model, tools: { lookUp }, prompt, stopWhen })
      const [read] = readBy(model)
      expect(read.value).toMatch(/^order 7 /)
      expect(JSON.stringify([read, original.seen, model.doGenerateCalls])).not.toContain('sk-live')
    })

    it('`onInputAvailable` is called as before', async () => {
      const heard: unknown[] = []
      const onInputAvailable = ({ input, toolCallId }: any) => void heard.push([toolCallId, input])
      const hooked = sdk.tool({ inputSchema, onInputAvailable, execute: async () => void heard.push('ran') })
      const tools = governed({ hooked }, { hooked: { scope: 'read' } }, { session })
      const model = scripted([{ tool: 'hooked', args: { id: 7 }, id: 'c1' }])
      await sdk.streamText({ model, tools, prompt, stopWhen }).consumeStream()
      expect(heard).toEqual([['c1', { id: 7 }], 'ran'])
    })

    it(
      major === 5
        ? '`needsApproval` does not exist; it is left on the tool, and the gate decides'
        : '`needsApproval` pauses the loop, and an approved call is decided when it runs',
      async () => {
        let ran = 0
        const pay = sdk.tool({
          inputSchema: z.object({ amount: z.number() }),
          needsApproval: ({ amount }: { amount: number }) => amount > 1,
          execute: async () => `paid ${++ran}`,
        })
        const tools = governed({ pay }, { pay: { scope: 'spend', cost: ({ amount }) => usd(amount) } }, { session })
        const messages: any[] = [{ role: 'user', content: 'pay' }]
        const model = scripted([{ tool: 'pay', args: { amount: 60 } }])
        const paused: any = await sdk.generateText({ model, tools, messages, stopWhen })
        expect(tools.pay.needsApproval).toBe(pay.needsApproval)
        if (major === 5) return expect([ran, paused.text]).toEqual([1, 'done'])
        const [request] = paused.content.filter(({ type }: { type: string }) => type === 'tool-approval-request')
        expect([ran, (await entries('intent', 'refusal')).length]).toEqual([0, 0])
        const answer = { type: 'tool-approval-response', approvalId: request.approvalId, approved: true }
        const resumed = [...messages, ...paused.response.messages, { role: 'tool', content: [answer] }]
        await sdk.generateText({ model: scripted(), tools, messages: resumed, stopWhen })
        expect(ran).toBe(1)
        // The same messages once more: the SDK would run it again, and the budget says no.
        const again = scripted()
        await sdk.generateText({ model: again, tools, messages: resumed, stopWhen })
        expect(JSON.stringify(again.doGenerateCalls[0]?.prompt)).toContain('Denied (budget-exceeded)')
        expect(ran).toBe(1)
      },
    )
  })

  it('a dynamic tool stays one, and is governed', async () => {
    const dynamic = sdk.dynamicTool({ inputSchema: sdk.jsonSchema({ type: 'object' }), execute: async (args) => args })
    const tools = governed({ dynamic, denied: dynamic }, { dynamic: { scope: 'read' }, denied: { scope: 'delete' } })
    const model = scripted([
      { tool: 'dynamic', args: { id: 7 } },
      { tool: 'denied', args: {} },
    ])
    const { steps } = await session.run(() => sdk.generateText({ model, tools: tools as ToolSet, prompt, stopWhen }))
    expect(tools.dynamic.type).toBe('dynamic')
    expect(readBy(model)).toEqual([{ type: 'json', value: { id: 7 } }, denial('scope-missing')])
    expect(steps[0]?.content.filter(({ type }) => type !== 'tool-call')).toMatchObject([
      { type: 'tool-result', dynamic: true },
      { type: 'tool-error', dynamic: true },
    ])
  })

  it('the options of `execute` reach the tool whole', async () => {
    let seen: any
    const bare = sdk.tool({
      inputSchema,
      execute: async (_, options) => {
        seen = options
      },
    })
    const wrapped = governed(bare, { name: 'bare', scope: 'read' }, { session })
    const given = { toolCallId: 'c', messages: [], [context]: { region: 'eu' }, future: 'kept' }
    await wrapped.execute?.({}, given as never)
    const { abortSignal, ...rest } = seen
    expect(rest).toEqual(given)
    expect(abortSignal).toBeInstanceOf(AbortSignal)
  })

  describe('a browser', () => {
    it('sees of a denial the safe sentence, or less: never a stack, a path, a value, an id', async () => {
      const canary = 'argument-canary'
      const remove = sdk.tool({ inputSchema, execute: async () => 1 })
      const tools = governed({ remove }, { remove: { scope: 'delete' } }, { haldir })
      const model = scripted([{ tool: 'remove', args: { path: canary } }])
      const result: any = session.run(() => sdk.streamText({ model, tools, prompt, stopWhen }))
      const stream = major === 7 ? toUIMessageStream({ stream: result.fullStream, tools }) : result.toUIMessageStream()
      const make = major === 7 ? createUIMessageStreamResponse : sdk.createUIMessageStreamResponse
      const body = await (make as typeof createUIMessageStreamResponse)({ stream }).text()
      const [read] = readBy(model)
      expect(read).toEqual(denial('scope-missing'))
      const errors = [...body.matchAll(/"errorText":"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => JSON.parse(`"${text}"`))
      // Only 7 shows errors of tools as they are; 5 and 6 say their own sentence unless told how to show errors.
      expect(errors).toEqual([major === 7 ? read.value : 'An error occurred.'])
      // The arguments of the call are the model's own words, and shown as such: once, when the input is available.
      expect(body.replaceAll(/\{"type":"tool-input-[^\n]*/g, '')).not.toContain(canary)
      const [refusal] = await entries('refusal')
      for (const hidden of [refusal?.call as string, session.id, session.token, '.ts:', 'node_modules', 'retryable']) {
        expect(body).not.toContain(hidden)
      }
    })

    it('sees the same sentence where the application shows errors itself', async () => {
      const remove = sdk.tool({ inputSchema, execute: async () => 1 })
      const tools = governed({ remove }, { remove: { scope: 'delete' } }, { haldir })
      const model = scripted([{ tool: 'remove', args: {} }])
      const result: any = session.run(() => sdk.streamText({ model, tools, prompt, stopWhen }))
      const chunks: any[] = []
      const onError = (error: unknown) => String(error)
      for await (const chunk of result.toUIMessageStream({ onError })) chunks.push(chunk)
      const [read] = readBy(model)
      expect(chunks.flatMap(({ errorText }) => (errorText === undefined ? [] : [errorText]))).toEqual([read.value])
    })
  })

  describe('`meterModel`', () => {
    /** A dollar a token: the scripted models say one in and one out. */
    const prices = { '*': { input: 1_000_000, output: 1_000_000 } }
    const left = async () => (await session.budget())[0]?.left.decimal

    it('charges every call, whole or streamed, to the session that its tools spend from', async () => {
      proves('per-session-budget')
      const pay = sdk.tool({ inputSchema, execute: async () => 'paid' })
      const tools = governed({ pay }, { pay: { scope: 'spend', cost: usd(10) } }, { haldir })
      const model = scripted([{ tool: 'pay', args: {} }])
      const metered = meterModel(model, { prices, reserve: usd(2) })
      expect(metered.specificationVersion).toBe(model.specificationVersion)
      const { text } = await session.run(() => sdk.generateText({ model: metered, tools, prompt, stopWhen }))
      expect([text, await left()]).toEqual(['done', '86'])
      await session.run(() => sdk.streamText({ model: metered, prompt }).consumeStream())
      expect(await left()).toBe('84')
      expect((await entries('outcome')).map(({ tool, spent }) => [tool, spent?.[0]?.amount])).toEqual([
        ['model:mock-model-id', '2'],
        ['pay', '10'],
        ['model:mock-model-id', '2'],
        ['model:mock-model-id', '2'],
      ])
    })

    it('ends the loop when the budget is gone, before the provider is called', async () => {
      const poor = await haldir.createSession({ agent: 'bot', scopes: ['spend:3'] })
      const model = scripted()
      const metered = meterModel(model, { prices, session: poor, reserve: usd(2) })
      await sdk.generateText({ model: metered, prompt })
      const refused = sdk.generateText({ model: metered, prompt })
      await expect(refused).rejects.toMatchObject({ code: 'budget-exceeded' })
      expect(model.doGenerateCalls).toHaveLength(1)
    })

    it('aborts with the session, and refuses without one', async () => {
      const metered = meterModel(scripted(), { prices })
      await expect(sdk.generateText({ model: metered, prompt })).rejects.toMatchObject({ code: 'no-session' })
      let signal: AbortSignal | undefined
      const model = scripted()
      const slow = Object.assign(Object.create(model), {
        doGenerate: ({ abortSignal }: { abortSignal: AbortSignal }) => {
          signal = abortSignal
          return session.revoke('enough').then(() => Promise.reject(abortSignal.reason))
        },
      })
      const loop = sdk.generateText({ model: meterModel(slow as typeof model, { prices, session }), prompt })
      await expect(loop).rejects.toMatchObject({ code: 'session-revoked' })
      expect(signal?.aborted).toBe(true)
    })
  })
})
