/** Calls of Anthropic tools that wait for a person: a runner makes results of all errors, so its loop goes on. */
import { governed } from '@haldir/anthropic'
import { Denied, governed as governedFunction, type Haldir, type Policy, Suspended, usd } from '@haldir/core'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedProvider, type Turn } from '../contracts/anthropic-model.ts'
import { type Version, versions } from '../contracts/anthropic-versions.ts'
import { proves } from '../promises.ts'
import { fleet } from './scene.ts'

const policy: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', because: 'large payments' }],
}
const RULE = { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }
const SENTENCE =
  'Suspended (approval-pending): large payments; a person has been asked, and nothing has run. Do not repeat this call; go on with other work.'

async function scene({ betaZodTool }: Version) {
  const shared = fleet('memory')
  const options = { policy, approvals: { mode: 'suspend' } } as const
  const [one, two] = [shared.house(options), shared.house(options)]
  const session = await one.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
  const ran: number[] = []
  const toolsOf = (haldir: Haldir) => {
    const pay = betaZodTool({
      name: 'pay',
      description: '',
      inputSchema: z.object({ amount: z.number() }),
      run: async ({ amount }) => {
        ran.push(amount)
        return `paid ${amount}`
      },
    })
    return governed([pay], { pay: RULE }, { haldir })
  }
  return { ...two, first: one.haldir, session, there: await two.haldir.attach(session.token), ran, toolsOf }
}

function runnerOf(
  { Anthropic }: Version,
  tools: readonly unknown[],
  turns: readonly Turn[],
  messages: unknown[] = [{ role: 'user', content: 'go' }],
) {
  const provider = scriptedProvider(...turns)
  const client = new Anthropic({ apiKey: 'none', fetch: provider.fetch as never, maxRetries: 0 })
  const params = { model: 'scripted', max_tokens: 9, messages, tools }
  return { provider, runner: client.beta.messages.toolRunner(params as never) }
}

const calls = (...amounts: number[]) =>
  amounts.map((amount, at) => ({ tool: 'pay', args: { amount }, id: `call-${at}` }))
const caught = (work: unknown) =>
  Promise.resolve(work).then(
    () => expect.fail('it was not suspended'),
    (error: unknown) => error,
  )

describe.each(versions)('$name', (version) => {
  it('tells the model that a person was asked, word for word; the call is resumed by itself, in another process', async () => {
    proves('invariant-8')
    const { first, session, haldir, toolsOf, ran, entries } = await scene(version)
    const { provider, runner } = runnerOf(version, toolsOf(first), [calls(20, 5)])
    const message = (await session.run(() => runner.runUntilDone())) as { content: unknown }
    expect(message.content).toEqual([{ type: 'text', text: 'done' }])
    expect(provider.results().map(({ content, is_error }) => [content, is_error === true])).toEqual([
      [SENTENCE, true],
      ['paid 5', false],
    ])
    expect(ran).toEqual([5])
    const [asked] = await haldir.approvals.list({ session: session.id, state: 'pending' })
    await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    toolsOf(haldir)
    expect(await haldir.approvals.resume(asked?.id as string)).toBe('paid 20')
    await expect(haldir.approvals.resume(asked?.id as string)).rejects.toMatchObject({ code: 'duplicate-call' })
    expect([ran, entries('approval-used').length]).toEqual([[5, 20], 1])
  })

  it('rejects with what it is suspended with, for whoever calls `run` and can stop', async () => {
    const { there, toolsOf, haldir, ran } = await scene(version)
    const [pay] = toolsOf(haldir)
    const call = () => there.run(() => pay?.run({ amount: 20 }))
    const error = await caught(call())
    if (!Suspended.isInstance(error)) return expect.fail(String(error))
    expect((await caught(call())) as Suspended).toMatchObject({ approvalId: error.approvalId })
    await haldir.approvals.decide(error.approvalId, { approve: true, by: 'alice' })
    expect([await call(), ran]).toEqual(['paid 20', [20]])
  })

  it('rejects with a denial as ever, and tells a runner of a governed function within a tool', async () => {
    const { there, haldir, toolsOf } = await scene(version)
    const [pay] = toolsOf(haldir)
    const denied = (await caught(there.run(() => pay?.run({ amount: 2_000 })))) as Error
    expect([denied instanceof Error, Denied.isInstance(denied.cause)]).toEqual([true, true])
    const transfer = governedFunction(async (_: { amount: number }) => 'sent', { name: 'pay', ...RULE }, { haldir })
    const outer = version.betaZodTool({
      name: 'outer',
      description: '',
      inputSchema: z.object({ amount: z.number() }),
      run: async ({ amount }) => transfer({ amount }),
    })
    const tools = governed([outer], { outer: { scope: [] } }, { haldir })
    const { provider, runner } = runnerOf(version, tools, [[{ tool: 'outer', args: { amount: 20 } }]])
    await there.run(() => runner.runUntilDone())
    expect(provider.results()).toMatchObject([{ content: SENTENCE, is_error: true }])
  })

  it('can be stopped before the model reads that, and go on with what came of it', async () => {
    const { first, session, there, haldir, toolsOf, ran } = await scene(version)
    const { provider, runner } = runnerOf(version, toolsOf(first), [calls(5, 20)])
    let kept = ''
    await session.run(async () => {
      for await (const message of runner) {
        // Runs the calls of this turn, once.
        const answers = await runner.generateToolResponse()
        const waiting = await first.approvals.list({ session: session.id, state: 'pending' })
        if (waiting.length === 0) continue
        const { content } = message as { content: unknown }
        kept = JSON.stringify({
          messages: [...runner.params.messages, { role: 'assistant', content }],
          answers,
          waiting,
        })
        break
      }
    })
    expect([provider.asked.length, ran]).toEqual([1, [5]])

    const { messages, answers, waiting } = JSON.parse(kept)
    expect(messages.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant'])
    const tools = toolsOf(haldir)
    await haldir.approvals.decide(waiting[0].id, { approve: true, by: 'alice' })
    for (const block of answers.content) {
      // Older versions do not tell tools which call they answer; then there is the sentence.
      const approval = waiting.find(({ ref = block.tool_use_id }) => ref === block.tool_use_id && block.is_error)
      if (!approval) continue
      const value = await haldir.approvals.resume(approval.id)
      Object.assign(block, { content: String(value), is_error: false })
    }
    const again = runnerOf(version, tools, [], [...messages, answers])
    await there.run(() => again.runner.runUntilDone())
    expect(again.provider.results().map(({ content }) => content)).toEqual(['paid 5', 'paid 20'])
    expect(ran).toEqual([5, 20])
  })

  it('goes no further than `max_iterations`: people are asked, and the model is not told', async () => {
    const { session, first, toolsOf, ran, asked } = await scene(version).then(async (made) => ({
      ...made,
      asked: () => made.haldir.approvals.list({ session: made.session.id }),
    }))
    const provider = scriptedProvider(calls(20))
    const client = new version.Anthropic({ apiKey: 'none', fetch: provider.fetch as never, maxRetries: 0 })
    const messages = [{ role: 'user', content: 'go' }]
    const params = { model: 'scripted', max_tokens: 9, messages, tools: toolsOf(first), max_iterations: 1 }
    await session.run(() => client.beta.messages.toolRunner(params as never).runUntilDone())
    expect([provider.asked.length, ran, (await asked()).map(({ state }) => state)]).toEqual([1, [], ['pending']])
  })
})
