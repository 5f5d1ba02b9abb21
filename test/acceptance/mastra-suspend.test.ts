/** Agents and workflows of Mastra pause for people where they can be resumed. What wakes them is no answer. */
import { governed } from '@haldir/ai-sdk'
import { createHaldir, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { Mastra } from '@mastra/core/mastra'
import { InMemoryStore } from '@mastra/core/storage'
import { createTool } from '@mastra/core/tools'
import { createStep, createWorkflow } from '@mastra/core/workflows'
import { tool as plainTool } from 'ai6'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { carrying, mastraAgent } from '../contracts/mastra.ts'

let haldir: Haldir
let session: Session
let seen: unknown[]

beforeEach(async () => {
  const policy = { default: 'ask', rules: [] } as const
  haldir = createHaldir({ sinks: [memorySink()], policy, approvals: { mode: 'suspend' } })
  session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'] })
  seen = []
})
afterEach(() => haldir.close())

const amount = z.object({ amount: z.number() })

/** A tool that looks at what its agent or workflow was resumed with. */
function payTool(more: object = {}) {
  const tool = createTool({
    id: 'pay',
    description: 'pays',
    inputSchema: amount,
    outputSchema: z.object({ paid: z.boolean() }),
    execute: async (_, context) => {
      const { agent, workflow, ...rest } = context as Record<string, any>
      seen.push([rest.resumeData, (agent ?? workflow)?.resumeData, (agent ?? workflow)?.suspendPayload])
      return { paid: true }
    },
    ...more,
  })
  return governed(tool, { name: 'pay', scope: 'spend', cost: ({ amount }) => usd(amount) }, { session })
}

const NOTHING = [undefined, undefined, undefined]

async function decide(approve: boolean): Promise<void> {
  const [asked] = await haldir.approvals.list({ state: 'pending' })
  await haldir.approvals.decide(asked?.id as string, { approve, by: 'alice' })
}

describe('an agent that keeps what it pauses with', () => {
  it('says what it waits for, goes on once, and does not show the tool what has woken it', async () => {
    const { agent, run } = mastraAgent({ pay: payTool() }, [{ tool: 'pay', args: { amount: 5 }, id: 'c1' }])
    new Mastra({ agents: { agent }, storage: new InMemoryStore(), logger: false })
    const { finishReason, runId, suspendPayload } = await run()
    const [asked] = await haldir.approvals.list()
    expect([finishReason, suspendPayload.suspendPayload]).toEqual([
      'suspended',
      { haldir: { approvalId: asked?.id, reason: asked?.reason, expiresAt: asked?.expiresAt.toISOString() } },
    ])
    expect(asked).toMatchObject({ ref: 'c1', args: { amount: 5 } })
    // Woken without an answer, it pauses again.
    const wake = async () => {
      const woken = await agent.resumeStream({ approved: true }, { runId: runId as string, toolCallId: 'c1' })
      await woken.consumeStream()
      return woken.finishReason
    }
    expect([await wake(), seen]).toEqual(['suspended', []])
    await decide(true)
    expect([await wake(), seen]).toEqual(['stop', [NOTHING]])
    await wake().catch(() => {})
    expect(seen).toHaveLength(1)
  })

  it('is not paused for a tool that says itself what a pause holds: the model reads that somebody was asked', async () => {
    for (const schema of ['suspendSchema', 'resumeSchema']) {
      const pay = payTool({ [schema]: z.object({ yes: z.boolean() }) })
      const { agent, run, results } = mastraAgent({ pay }, [{ tool: 'pay', args: { amount: 5 } }])
      new Mastra({ agents: { agent }, storage: new InMemoryStore(), logger: false })
      expect((await run()).text).toBe('done')
      expect(results()[0]?.output).toMatchObject({ value: expect.stringMatching(/^Suspended \(approval-pending\)/) })
    }
    expect(seen).toEqual([])
  })
})

it('an agent that keeps nothing goes on, and the call is resumed without it', async () => {
  const { run, results } = mastraAgent({ pay: payTool() }, [{ tool: 'pay', args: { amount: 5 } }])
  expect((await run()).text).toBe('done')
  expect(results()[0]?.output).toMatchObject({ value: expect.stringMatching(/^Suspended \(approval-pending\)/) })
  await decide(true)
  const [asked] = await haldir.approvals.list()
  expect(await haldir.approvals.resume(asked?.id as string)).toEqual({ paid: true })
  expect(seen).toEqual([NOTHING])
})

it('a workflow pauses at its step, and goes on with what the store says', async () => {
  const ends: unknown[] = []
  for (const approve of [true, false]) {
    const w = createWorkflow({ id: 'w', inputSchema: amount, outputSchema: z.object({ paid: z.boolean() }) })
      .then(createStep(payTool()))
      .commit()
    const mastra = new Mastra({ workflows: { w }, storage: new InMemoryStore(), logger: false })
    const run = await mastra.getWorkflow('w').createRun()
    const requestContext = carrying(session)
    expect(await run.start({ inputData: { amount: 3 }, requestContext })).toMatchObject({ status: 'suspended' })
    // What Mastra keeps of the context holds no session any more.
    const wake = () => run.resume({ resumeData: { approved: true }, requestContext })
    expect(await wake()).toMatchObject({ status: 'suspended' })
    await decide(approve)
    ends.push(await wake())
  }
  expect(ends).toMatchObject([
    { status: 'success', result: { paid: true } },
    { status: 'failed', error: { message: expect.stringMatching(/^Denied \(approval-denied\)/) } },
  ])
  expect(seen).toEqual([NOTHING])
})

it('a pause of its own is left to a tool: what it was resumed with, it is shown', async () => {
  const tool = createTool({
    id: 'sure',
    description: 'asks',
    inputSchema: amount,
    execute: async (_, context) => {
      const { resumeData, suspend } = (context.agent ?? {}) as any
      seen.push(resumeData)
      return resumeData ? { paid: true } : suspend({ why: 'sure?' })
    },
  })
  await haldir.loadPolicy({ default: 'allow', allowByDefault: true, rules: [] })
  const sure = governed(tool, { name: 'sure', scope: [] }, { session })
  const { agent, run } = mastraAgent({ sure }, [{ tool: 'sure', args: { amount: 5 }, id: 'c1' }])
  new Mastra({ agents: { agent }, storage: new InMemoryStore(), logger: false })
  const { runId } = await run()
  await agent.resumeGenerate({ yes: true }, { runId: runId as string, toolCallId: 'c1' })
  expect(seen).toEqual([undefined, { yes: true }])
})

it('tools of the AI SDK among them do not pause it: Mastra does not say which call it asks about', async () => {
  const pay = plainTool({ inputSchema: amount, execute: async () => seen.push('paid') })
  const tools = governed({ pay }, { pay: { scope: 'spend', cost: usd(1) } }, { session })
  const { agent, run, results } = mastraAgent(tools as never, [{ tool: 'pay', args: { amount: 5 }, id: 'c1' }])
  new Mastra({ agents: { agent }, storage: new InMemoryStore(), logger: false })
  expect((await run()).text).toBe('done')
  expect(results()[0]?.output).toMatchObject({ value: expect.stringMatching(/^Suspended \(approval-pending\)/) })
  expect(await haldir.approvals.list()).toMatchObject([{ ref: 'c1' }])
  expect(seen).toEqual([])
})
