/** Calls of OpenAI tools that wait for a person: the SDK has no pause of its own, so its loops end with what they wait for. */
import { governed as governedFunction, type Haldir, type Policy, Suspended, usd } from '@haldir/core'
import { type GovernableTool, governed, type RunToolCallsOptions, runToolCalls, SuspendedCalls } from '@haldir/openai'
import { ResponsesToolRunner, runnerFunction } from 'openai/helpers/responses-tool-runner'
import { zodResponsesFunction } from 'openai/helpers/zod'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { completionOf, type ModelCall, responseOf, scriptedClient, versions } from '../contracts/openai-client.ts'
import { proves } from '../promises.ts'
import { fleet } from './scene.ts'

const policy: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', because: 'large payments' }],
}
const RULE = { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }
const parameters = { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] }
const SENTENCE =
  'Suspended (approval-pending): large payments; a person has been asked, and nothing has run. Do not repeat this call; go on with other work.'

/** Two processes of a fleet, each with the same tool. */
async function scene() {
  const shared = fleet('memory')
  const options = { policy, approvals: { mode: 'suspend' } } as const
  const [one, two] = [shared.house(options), shared.house(options)]
  const session = await one.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
  const there = await two.haldir.attach(session.token)
  const ran: number[] = []
  const pay = async ({ amount }: { amount: number }) => {
    ran.push(amount)
    return `paid ${amount}`
  }
  const chatTool = (haldir: Haldir): GovernableTool =>
    governed(
      { type: 'function', function: { name: 'pay', description: '', parameters, parse: JSON.parse, function: pay } },
      { name: 'pay', ...RULE },
      { haldir },
    )
  const responseTool = (haldir: Haldir): GovernableTool =>
    governed(
      { type: 'function', name: 'pay', description: '', parameters, function: pay } as never,
      { name: 'pay', ...RULE },
      { haldir },
    )
  const asked = () => two.haldir.approvals.list({ session: session.id })
  return {
    ...two,
    first: one.haldir,
    clock: shared.clock,
    session,
    there,
    ran,
    chatTool,
    responseTool,
    asked,
    async decide(amount: number, say: object) {
      const found = (await asked()).find(({ args }) => (args as { amount: number }).amount === amount)
      const whole = { by: 'alice', ...say } as { by: string; approve: boolean }
      return two.haldir.approvals.decide(found?.id as string, whole)
    },
  }
}

const calls = (...amounts: number[]): ModelCall[] =>
  amounts.map((amount, index) => ({ tool: 'pay', args: { amount }, id: `call-${index}` }))

const caught = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('it was not suspended'),
    (error: unknown) => error,
  )

describe.each(versions)('runTools of $name', ({ OpenAI, major }) => {
  it('rejects, and its `cause` is what the call waits with; it is resumed by itself, and the loop goes on', async () => {
    const { first, session, haldir, there, chatTool, ran, decide } = await scene()
    const { client } = scriptedClient(OpenAI, [calls(20)])
    const begin = { model: 'x', messages: [{ role: 'user', content: 'go' }], tools: [chatTool(first)] }
    const runner = session.run(() => client.chat.completions.runTools(begin as never))
    const error = (await caught(runner.finalContent())) as Error
    expect([error.constructor.name, error.message]).toEqual(['OpenAIError', SENTENCE])
    const { cause } = error
    if (!Suspended.isInstance(cause)) return expect.fail('it is not suspended')
    expect(ran).toEqual([])
    // What is kept: the messages, and which approval is awaited.
    const kept = JSON.stringify({ messages: runner.messages, approvalId: cause.approvalId })

    await decide(20, { approve: true })
    const { messages, approvalId } = JSON.parse(kept)
    chatTool(haldir)
    const content = String(await haldir.approvals.resume(approvalId))
    messages.push({ role: 'tool', tool_call_id: messages.at(-1).tool_calls[0].id, content })
    const again = scriptedClient(OpenAI, [])
    const rest = { model: 'x', messages, tools: [chatTool(haldir)] }
    expect(await there.run(() => again.client.chat.completions.runTools(rest as never)).finalContent()).toBe('done')
    expect([ran, again.requests[0].messages.at(-1).content]).toEqual([[20], 'paid 20'])
  })

  it('is told the same by the same call, and lets it run after a yes', async () => {
    const { haldir, there, chatTool, ran, decide, asked } = await scene()
    const run = () => {
      const { client } = scriptedClient(OpenAI, [calls(20)])
      const params = { model: 'x', messages: [{ role: 'user', content: 'go' }], tools: [chatTool(haldir)] }
      return there.run(() => client.chat.completions.runTools(params as never).finalContent())
    }
    const [one, two] = [(await caught(run())) as Error, (await caught(run())) as Error]
    expect((one.cause as Suspended).approvalId).toBe((two.cause as Suspended).approvalId)
    expect(await asked()).toHaveLength(1)
    await decide(20, { approve: true })
    expect([await run(), ran]).toEqual(['done', [20]])
    // Used up: the next one asks again.
    expect(Suspended.isInstance(((await caught(run())) as Error).cause)).toBe(true)
    expect(ran).toEqual([20])
  })

  it('loses what other calls of the turn have answered, though they have run', async () => {
    const { haldir, there, chatTool, ran } = await scene()
    const { client } = scriptedClient(OpenAI, [calls(20, 5)])
    const params = { model: 'x', messages: [{ role: 'user', content: 'go' }], tools: [chatTool(haldir)] }
    const runner = there.run(() => client.chat.completions.runTools(params as never))
    await caught(runner.finalContent())
    // Version 5 has run none yet.
    expect(ran).toEqual(major === 5 ? [] : [5])
    expect(runner.messages.filter(({ role }) => role === 'tool')).toEqual([])
  })
})

/** Both APIs, by hand: an answer of the model, its tool, and what outputs look like. */
const byHand = [
  {
    api: 'Responses',
    answer: (...amounts: number[]) => responseOf(calls(...amounts)),
    toolOf: 'responseTool',
    output: (id: string, output: unknown) => ({ type: 'function_call_output', call_id: id, output }),
  },
  {
    api: 'Chat Completions',
    answer: (...amounts: number[]) => completionOf(calls(...amounts)),
    toolOf: 'chatTool',
    output: (id: string, content: unknown) => ({ role: 'tool', tool_call_id: id, content }),
  },
] as const

describe.each(byHand)('runToolCalls with $api', ({ answer, toolOf, output }) => {
  const run = (made: Awaited<ReturnType<typeof scene>>, source: object, options: RunToolCallsOptions = {}) =>
    runToolCalls(source as never, [made[toolOf](made.haldir)], { session: made.there, ...options })

  it('runs all others, and then rejects with what waits and what the others answered', async () => {
    proves('invariant-8')
    const made = await scene()
    const { session, first, ran, asked, decide, entries } = made
    const source = answer(5, 20, 7, 30)
    const error = await caught(runToolCalls(source as never, [made[toolOf](first)], { session }))
    if (!SuspendedCalls.isInstance(error)) return expect.fail(String(error))
    expect([error.name, error.code, error.message]).toEqual(['SuspendedCalls', 'approval-pending', SENTENCE])
    const known = await asked()
    const idOf = (ref: string) => known.find((one) => one.ref === ref)?.id
    expect(error.calls.map(({ callId, suspended }) => [callId, suspended.approvalId])).toEqual([
      ['call-1', idOf('call-1')],
      ['call-3', idOf('call-3')],
    ])
    expect(Suspended.isInstance(error) && error.approvalId).toBe(idOf('call-1'))
    expect(error.outputs).toEqual([output('call-0', 'paid 5'), output('call-2', 'paid 7')])
    expect(ran.toSorted()).toEqual([5, 7])
    const kept = JSON.stringify({ source, outputs: error.outputs })

    await decide(20, { approve: true })
    const again = JSON.parse(kept)
    // One is still open: the other one runs, and is answered for.
    const still = await caught(run(made, again.source, { answered: again.outputs }))
    if (!SuspendedCalls.isInstance(still)) return expect.fail(String(still))
    expect([still.calls.length, still.outputs.length, ran.length]).toEqual([1, 3, 3])
    await decide(30, { approve: false, reason: 'too much' })
    expect(await run(made, again.source, { answered: JSON.parse(JSON.stringify(still.outputs)) })).toEqual([
      output('call-0', 'paid 5'),
      output('call-1', 'paid 20'),
      output('call-2', 'paid 7'),
      output(
        'call-3',
        'Denied (approval-denied): a person has denied it: too much. Do not ask again for the same action.',
      ),
    ])
    expect(ran.toSorted()).toEqual([20, 5, 7])
    expect(entries('approval-used')).toHaveLength(1)
  })

  it('runs what was approved once, whatever is handed over', async () => {
    const made = await scene()
    const { ran, decide } = made
    await caught(run(made, answer(20)))
    await decide(20, { approve: true })
    // Other arguments under the same id are another call.
    const [forged] = await run(made, answer(999))
    expect(JSON.stringify(forged)).toContain('Denied (approval-denied): what was approved is another call')
    expect(await run(made, answer(20))).toEqual([output('call-0', 'paid 20')])
    const [replayed] = await run(made, answer(20))
    expect(JSON.stringify(replayed)).toContain(
      'Denied (duplicate-call): the approval of this call has been used already',
    )
    expect(ran).toEqual([20])
  })

  it('tells the model when it is too late, and when the session was revoked', async () => {
    const late = await scene()
    await caught(run(late, answer(20)))
    await late.clock.advance(86_400_001)
    expect(JSON.stringify(await run(late, answer(20)))).toContain('Denied (approval-expired)')
    const revoked = await scene()
    await caught(run(revoked, answer(20)))
    await revoked.decide(20, { approve: true })
    await revoked.session.revoke('stop')
    expect(JSON.stringify(await run(revoked, answer(20)))).toContain('Denied (session-revoked)')
    expect([late.ran, revoked.ran]).toEqual([[], []])
  })

  it('does not tell `onError` of a pause: it is no error of the tool', async () => {
    const made = await scene()
    const told: unknown[] = []
    const error = await caught(run(made, answer(20), { onError: (error) => void told.push(error) }))
    expect([SuspendedCalls.isInstance(error), told]).toEqual([true, []])
  })

  it('takes for `answered` only what answers calls', async () => {
    const made = await scene()
    for (const answered of ['x', [{}], [{ call_id: 7, output: 'x' }], [{ call_id: 'call-0' }], [null], {}]) {
      const error = await caught(run(made, answer(5), { answered: answered as never }))
      expect(error).toMatchObject({ code: 'invalid-option', path: 'answered' })
    }
    expect(made.ran).toEqual([])
  })
})

it('the runner of openai 7 stops, and says of no error what it was: the approval is in the list', async () => {
  const { haldir, there, ran, asked } = await scene()
  const parameters = z.object({ amount: z.number() })
  const bare = zodResponsesFunction({
    name: 'pay',
    parameters,
    function: async ({ amount }) => `paid ${ran.push(amount)}`,
  })
  const pay = governed(bare, { name: 'pay', ...RULE }, { haldir })
  const { client, requests } = scriptedClient(versions[0]?.OpenAI as never, [calls(20)])
  const runner = new ResponsesToolRunner({ functions: [runnerFunction(pay)] })
  const params = { model: 'scripted', input: [{ role: 'user' as const, content: 'go' }] }
  const error = await caught(there.run(() => runner.run(client, params)))
  expect(error).toMatchObject({ attemptedCallIds: ['call-0'], completedCallIds: [] })
  const [pending] = await asked()
  expect([requests.length, ran, pending?.state]).toEqual([1, [], 'pending'])
  await haldir.approvals.decide(pending?.id as string, { approve: true, by: 'alice' })
  expect(await haldir.approvals.resume(pending?.id as string)).toBe('paid 1')
})

it('a governed function within a tool suspends the call of the tool', async () => {
  const { haldir, there } = await scene()
  const transfer = governedFunction(async (_: { amount: number }) => 'sent', { name: 'pay', ...RULE }, { haldir })
  const outer = { type: 'function', name: 'outer', parameters, function: (args: { amount: number }) => transfer(args) }
  const tools = [governed(outer as GovernableTool, { name: 'outer', scope: [] }, { haldir })]
  const source = responseOf([{ tool: 'outer', args: { amount: 20 }, id: 'call-0' }])
  const error = await caught(there.run(() => runToolCalls(source as never, tools, { session: there })))
  if (!SuspendedCalls.isInstance(error)) return expect.fail(String(error))
  await haldir.approvals.decide(error.approvalId, { approve: true, by: 'alice' })
  const [output] = await there.run(() => runToolCalls(source as never, tools, { session: there }))
  expect(output).toMatchObject({ call_id: 'call-0', output: 'sent' })
})
