/** Telemetry inside a real loop of the AI SDK, alone and beside the AI SDK's own. */
import { OpenTelemetry } from '@ai-sdk/otel'
import { governed } from '@haldir/ai-sdk'
import { createHaldir, type Haldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { type OpenTelemetryOptions, openTelemetry } from '@haldir/core/telemetry'
import { generateText, isStepCount, streamText, tool } from 'ai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedModel } from '../contracts/ai-sdk-model.ts'
import { proves } from '../promises.ts'
import { turns } from './scene.ts'
import { type Seen, seen } from './telemetry-scene.ts'

let at: Seen
let haldir: Haldir
beforeEach(() => {
  at = seen()
})
afterEach(() => haldir.close())

const prompt = 'go on'
const stopWhen = isStepCount(4)
const model = () =>
  scriptedModel([{ tool: 'charge', args: { amount: 5 } }], [{ tool: 'charge', args: { amount: 500 } }])

async function scene(options: OpenTelemetryOptions = {}) {
  const tracer = at.provider.getTracer('haldir')
  haldir = createHaldir({ sinks: [memorySink()], telemetry: openTelemetry({ tracer, ...options }) })
  const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'] })
  const charge = tool({
    inputSchema: z.object({ amount: z.number() }),
    execute: async ({ amount }) => {
      await at.provider.getTracer('app').startActiveSpan('POST /charges', async (span) => {
        await turns(2)
        span.end()
      })
      return { charged: amount }
    },
  })
  const tools = governed(
    { charge },
    { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } },
    { haldir, session },
  )
  return { tools, session }
}

/** The AI SDK's own spans by the same conventions, in the same place. */
const theirs = () => ({ integrations: [new OpenTelemetry({ tracer: at.provider.getTracer('ai') })] })
const names = () => at.tree().map((line) => line.trim())

describe('a loop of the AI SDK', () => {
  it('leaves a span for each call, with the id the model gave it', async () => {
    proves('telemetry-tells', 'framework-agnostic')
    const { tools } = await scene()
    await at.provider.getTracer('app').startActiveSpan('request', async (span) => {
      await generateText({ model: model(), tools, prompt, stopWhen })
      span.end()
    })
    expect(at.tree()).toEqual(['request', '  execute_tool charge', '    POST /charges', '  haldir.decision charge'])
    expect(at.named('execute_tool charge').attributes).toMatchObject({
      'gen_ai.tool.call.id': expect.stringMatching(/./),
      'gen_ai.agent.name': 'order-bot',
      'haldir.decision.outcome': 'allow',
    })
    expect(at.named('haldir.decision charge').attributes).toMatchObject({
      'gen_ai.tool.call.id': expect.stringMatching(/./),
      'haldir.decision.code': 'budget-exceeded',
    })
  })

  it.each([['generateText'], ['streamText']])(
    '%s: ours are children of the AI SDK’s span of the same call',
    async (way) => {
      const { tools } = await scene()
      const options = { model: model(), tools, prompt, stopWhen, telemetry: theirs() }
      if (way === 'streamText') await streamText(options).consumeStream()
      else await generateText(options)
      const parentOf = (name: string, scope: string) => {
        const own = at.spans().filter((span) => span.name === name && span.instrumentationScope.name === scope)
        expect(own).toHaveLength(1)
        const parent = at.spans().find((span) => span.spanContext().spanId === own[0]?.parentSpanContext?.spanId)
        return [parent?.instrumentationScope.name, parent?.name]
      }
      expect(parentOf('execute_tool charge', 'haldir')).toEqual(['ai', 'execute_tool charge'])
      expect(parentOf('haldir.decision charge', 'haldir')).toEqual(['ai', 'execute_tool charge'])
      expect(parentOf('POST /charges', 'app')).toEqual(['haldir', 'execute_tool charge'])
    },
  )

  it('with `toolSpan: active` the AI SDK’s span is the only one of a run, and has what is ours', async () => {
    const { tools, session } = await scene({ toolSpan: 'active' })
    await generateText({ model: model(), tools, prompt, stopWhen, telemetry: theirs() })
    const [ran, refused, ...others] = at.spans().filter(({ name }) => name === 'execute_tool charge')
    expect(others).toEqual([])
    expect(ran?.instrumentationScope.name).toBe('ai')
    expect(ran?.attributes).toMatchObject({
      'gen_ai.tool.name': 'charge',
      'haldir.decision.outcome': 'allow',
      'haldir.session.id': session.id,
      'haldir.spent': ['5 USD'],
    })
    expect(refused?.attributes['haldir.decision.outcome']).toBeUndefined()
    const decision = at.named('haldir.decision charge')
    expect(decision.parentSpanContext?.spanId).toBe(refused?.spanContext().spanId)
    expect(names().filter((name) => name === 'POST /charges')).toHaveLength(1)
  })
})
