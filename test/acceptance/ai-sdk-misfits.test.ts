/** `recordMisfits`: what the SDK turns away before any tool sees it is on record all the same. */
import { governed, recordMisfits } from '@haldir/ai-sdk'
import { createHaldir, type Entry, type HaldirOptions, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { versions } from '../contracts/ai-sdk-versions.ts'
import { proves } from '../promises.ts'
import { misuse } from './scene.ts'

const CANARY = 'misfit-canary-77ab'

function house(options: HaldirOptions = {}) {
  const haldir = createHaldir({ sinks: [memorySink()], ...options })
  return {
    haldir,
    [Symbol.asyncDispose]: () => haldir.close(),
    async entries(): Promise<Entry[]> {
      const found: Entry[] = []
      for await (const entry of haldir.trail.query()) if (entry.tool) found.push(entry)
      return found
    },
  }
}

describe.each(versions)('$name', ({ major, sdk, model }) => {
  const make = (ran: unknown[]) => ({
    pay: sdk.tool({
      inputSchema: z.object({ amount: z.number() }),
      execute: async (args: { amount: number }) => {
        ran.push(args)
        return 'paid'
      },
    }),
  })
  const rules = { pay: { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) } }
  const calls = [
    { tool: 'pay', args: { amount: CANARY }, id: 'ref-misfit' },
    { tool: 'pay', args: { amount: 2 }, id: 'ref-good' },
    { tool: 'nobody', args: { CANARY }, id: 'ref-unknown' },
    { tool: `${CANARY} `, args: {}, id: 'ref-odd' },
    // 5 and 6 take what every object inherits for a tool, and end there.
    ...(major < 7 ? [] : [{ tool: 'constructor', args: {}, id: 'ref-inherited' }]),
  ]

  it('records misfits and unknown names as refused, with nothing of their arguments, and the loop goes on', async () => {
    proves('every-call-logged')
    await using home = house()
    const ran: unknown[] = []
    const session = await home.haldir.createSession({ agent: 'bot', scopes: ['spend:5'] })
    const tools = governed(make(ran), rules, { haldir: home.haldir })
    const { text } = await session.run(() =>
      sdk.generateText({
        model: model(calls),
        tools,
        prompt: 'go on',
        stopWhen: sdk.stepCountIs(3),
        experimental_repairToolCall: recordMisfits(),
      }),
    )
    expect([text, ran]).toEqual(['done', [{ amount: 2 }]])
    const entries = await home.entries()
    const refused = entries.filter(({ type }) => type === 'refusal')
    expect(refused.map(({ tool, code, ref, session: id }) => [ref, tool, code, id])).toEqual(
      expect.arrayContaining([
        ['ref-misfit', 'pay', 'invalid-arguments', session.id],
        ['ref-unknown', 'nobody', 'invalid-arguments', session.id],
        ['ref-odd', 'unknown', 'invalid-arguments', session.id],
      ]),
    )
    expect(refused).toHaveLength(calls.length - 1)
    expect(entries.filter(({ type }) => type === 'intent').map(({ ref }) => ref)).toEqual(['ref-good'])
    expect(JSON.stringify(entries)).not.toContain(CANARY)
  })

  it('leaves a repair of one’s own its say: what it repairs is judged like any other call', async () => {
    await using home = house()
    const ran: unknown[] = []
    const session = await home.haldir.createSession({ agent: 'bot', scopes: ['spend:5'] })
    const tools = governed(make(ran), rules, { session })
    const repair = async ({ toolCall }: { toolCall: any }) =>
      toolCall.toolName === 'nobody' ? { ...toolCall, toolName: 'pay', input: '{"amount":9}' } : null
    await sdk.generateText({
      model: model(calls.slice(0, 3)),
      tools,
      prompt: 'go on',
      stopWhen: sdk.stepCountIs(3),
      experimental_repairToolCall: recordMisfits({ session, repair }),
    })
    expect((await home.entries()).map(({ ref, type, code }) => [ref, type, code])).toEqual(
      expect.arrayContaining([
        ['ref-misfit', 'refusal', 'invalid-arguments'],
        ['ref-unknown', 'refusal', 'budget-exceeded'],
      ]),
    )
    expect(ran).toEqual([{ amount: 2 }])
  })

  it('in shadow mode records them, too, and runs nothing', async () => {
    await using home = house({ mode: 'shadow' })
    const ran: unknown[] = []
    const session = await home.haldir.createSession({ agent: 'bot', scopes: ['spend:5'] })
    const tools = governed(make(ran), rules, { session })
    const { text } = await sdk.generateText({
      model: model([calls[0]!, calls[2]!]),
      tools,
      prompt: 'go on',
      stopWhen: sdk.stepCountIs(3),
      experimental_repairToolCall: recordMisfits({ session }),
    })
    expect([text, ran]).toEqual(['done', []])
    expect((await home.entries()).map(({ type }) => type)).not.toContain('intent')
  })
})

it('takes a slip in its options for one', async () => {
  expect(await misuse(() => recordMisfits({ repair: 5 as never }))).toMatchObject({ path: 'repair' })
  expect(await misuse(() => recordMisfits({ session: 'token' as never }))).toMatchObject({ path: 'session' })
  expect(await misuse(() => recordMisfits({ sessions: 1 } as never))).toMatchObject({ path: 'sessions' })
})
