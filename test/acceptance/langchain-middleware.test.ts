/** `haldirMiddleware` in agents of `langchain`, beside other middleware. */
import { usd } from '@haldir/core'
import { governed, haldirMiddleware } from '@haldir/langchain'
import { tool } from '@langchain/core/tools'
import { Command, MemorySaver } from '@langchain/langgraph'
import {
  createAgent,
  createMiddleware,
  humanInTheLoopMiddleware,
  toolCallLimitMiddleware,
  toolErrorMiddleware,
  toolRetryMiddleware,
} from 'langchain'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { proves } from '../promises.ts'
import { agentRun, answersIn, home, input, script } from './langchain-scene.ts'

const named = (name: string, got: unknown[] = []) =>
  tool(
    async (args) => {
      got.push(args)
      return `${name} ran`
    },
    { name, description: `does ${name}`, schema: z.object({ amount: z.number().optional() }) },
  )
const names = (tools: unknown[]) => tools.map((one) => (one as { name: string }).name)

describe('a call of a tool that does not exist', () => {
  const calls = [
    { tool: 'nothing', args: { amount: 'argument-canary' }, id: 'c1' },
    { tool: 'look', args: {}, id: 'c2' },
  ]

  it.each([
    ['alone', []],
    ['beside retries', [toolRetryMiddleware({ maxRetries: 2, initialDelayMs: 1 })]],
    [
      'beside limits and errors',
      [toolCallLimitMiddleware({ runLimit: 9 } as never), toolErrorMiddleware({ onError: String })],
    ],
  ])('is refused on record, and the loop goes on: %s', async (_, others) => {
    proves('every-call-logged')
    const { session, entries, sink } = await home()
    const tools = governed(
      [named('look'), named('hidden')],
      { look: { scope: 'read' }, hidden: { scope: 'write' } },
      { session },
    )
    const { answers, text } = await agentRun(tools, [calls], [...others, haldirMiddleware({ session })])
    expect(answers[0]).toMatchObject({ status: 'error', tool_call_id: 'c1', name: 'nothing' })
    expect(answers[0]?.content).toMatch(/^Denied \(invalid-arguments\): there is no tool `nothing`\. [^\n]*$/)
    expect(answers[0]?.content).not.toContain('hidden')
    expect([answers[1]?.content, text]).toEqual(['look ran', 'done'])
    expect((await entries('refusal')).map(({ tool, code, rule, ref }) => [tool, code, rule, ref])).toEqual([
      ['nothing', 'invalid-arguments', 'unknown-tool', 'c1'],
    ])
    expect(sink.lines.join('')).not.toContain('canary')
  })

  it('finds its session in `configurable`, or ambient', async () => {
    const { haldir, session, entries } = await home()
    const middleware = [haldirMiddleware({ haldir })]
    await agentRun([], [calls.slice(0, 1)], middleware, { configurable: { haldirSession: session } })
    await session.run(() => agentRun([], [calls.slice(0, 1)], middleware))
    await agentRun([], [calls.slice(0, 1)], middleware)
    expect((await entries('refusal')).map(({ session, code }) => [session ?? null, code])).toEqual([
      [session.id, 'invalid-arguments'],
      [session.id, 'invalid-arguments'],
      [null, 'no-session'],
    ])
  })

  it('is answered as without it in shadow mode', async () => {
    const { session, entries } = await home({ mode: 'shadow' })
    const bare = await agentRun([named('look')], [calls.slice(0, 1)])
    const { answers } = await agentRun([named('look')], [calls.slice(0, 1)], [haldirMiddleware({ session })])
    expect(answers[0]?.content).toBe(bare.answers[0]?.content)
    expect(await entries('refusal')).toMatchObject([{ tool: 'nothing', enforced: false }])
  })

  it('is none when other middleware before it brings the tool along', async () => {
    const { session } = await home()
    const look = governed(named('nothing'), { scope: 'read' }, { session })
    const bringing = createMiddleware({
      name: 'bringing',
      wrapToolCall: (request, handler) => handler({ ...request, tool: look }),
    })
    const { answers } = await agentRun([], [[{ tool: 'nothing', args: {} }]], [bringing, haldirMiddleware({ session })])
    expect(answers[0]?.content).toBe('nothing ran')
  })
})

describe('what the model is shown', () => {
  it('are the tools that the session could use, and those that are not governed', async () => {
    proves('scoped-permissions')
    const { session, haldir } = await home()
    const rules = { look: { scope: 'read' }, hidden: { scope: 'write' } }
    const tools = [...governed([named('look'), named('hidden')], rules, { haldir }), named('bare')]
    for (const middleware of [haldirMiddleware({ session }), haldirMiddleware()]) {
      const { told, answers } = await session.run(() => agentRun(tools, [[{ tool: 'hidden', args: {} }]], [middleware]))
      expect(names(told)).toEqual(['look', 'bare'])
      // What is not shown is judged all the same.
      expect(answers[0]?.content).toMatch(/^Denied \(scope-missing\)/)
    }
    const carried = { configurable: { haldirSession: session } }
    expect(names((await agentRun(tools, [], [haldirMiddleware()], carried)).told)).toEqual(['look', 'bare'])
    expect(names((await agentRun(tools, [], [haldirMiddleware()])).told)).toEqual(['look', 'hidden', 'bare'])
    const text = { configurable: { haldirSession: session.token } }
    expect(names((await agentRun(tools, [], [haldirMiddleware()], text)).told)).toEqual(['look', 'hidden', 'bare'])
  })

  it('are also the tools that come with the middleware, once', async () => {
    const { session } = await home()
    const [look] = governed([named('look')], { look: { scope: 'read' } }, { session })
    const middleware = haldirMiddleware({ tools: [look], session })
    for (const tools of [[], [look]]) {
      const { told, answers } = await agentRun(tools, [[{ tool: 'look', args: {} }]], [middleware])
      expect(names(told)).toEqual(['look'])
      expect(answers[0]?.content).toBe('look ran')
    }
  })
})

it('options that can not work are an error at once', () => {
  const slip = (options: object, path: string) =>
    expect(() => haldirMiddleware(options as never)).toThrow(expect.objectContaining({ name: 'ConfigError', path }))
  slip({ tool: [] }, 'tool')
  slip({ tools: [named('bare')] }, 'tools')
  slip({ tools: {} }, 'tools')
  slip({ session: 'token' }, 'session')
  slip({ haldir: {} }, 'haldir')
})

it('arguments that a person has edited are judged again', async () => {
  proves('invariant-2')
  const { session, entries } = await home()
  const got: unknown[] = []
  const rule = { scope: 'spend', cost: ({ amount = 0 }: { amount?: number | undefined }) => usd(amount) }
  const pay = governed(named('pay', got), rule, { session })
  const agent = createAgent({
    model: script([{ tool: 'pay', args: { amount: 1 }, id: 'c1' }], [{ tool: 'pay', args: { amount: 1 }, id: 'c2' }])
      .model,
    tools: [pay],
    middleware: [
      humanInTheLoopMiddleware({ interruptOn: { pay: true } } as never),
      haldirMiddleware({ session }),
    ] as unknown[] as [],
    checkpointer: new MemorySaver(),
  })
  const config = { configurable: { thread_id: '1' } }
  const edited = (amount: number) =>
    new Command({ resume: { decisions: [{ type: 'edit', editedAction: { name: 'pay', args: { amount } } }] } })
  await agent.invoke(input, config)
  expect(got).toEqual([])
  await agent.invoke(edited(9_999), config)
  const { messages } = await agent.invoke(edited(2), config)
  const answers = answersIn(messages).map(({ content }) => String(content))
  expect(answers).toEqual([expect.stringMatching(/^Denied \(budget-exceeded\)/), 'pay ran'])
  expect(got).toEqual([{ amount: 2 }])
  expect((await entries('intent')).map(({ held }) => held)).toEqual([[{ unit: 'USD', amount: '2' }]])
})
