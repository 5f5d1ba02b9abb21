/** Every way of running tools in the AI SDK pauses for people alike; what else a tool and an application say is heeded. */
import { approvalResponses, governed, toolApproval } from '@haldir/ai-sdk'
import { ConfigError, currentCall, envKey, type HaldirOptions, type Policy, type Session, usd } from '@haldir/core'
import { copyTool } from '@haldir/core/adapter'
import {
  convertToModelMessages,
  type ModelMessage,
  readUIMessageStream,
  streamText,
  type Tool,
  type ToolSet,
  toUIMessageStream,
  type UIMessage,
} from 'ai'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedModel } from '../contracts/ai-sdk-model.ts'
import { PAUSING, pays, policy, suspendable, type Way } from './ai-sdk-suspend-scene.ts'

const WAYS: readonly Way[] = ['generateText', 'streamText', 'ToolLoopAgent']
const [seven] = PAUSING

describe.each(PAUSING)('$name', (version) => {
  it.each(WAYS)('%s pauses, and goes on once', async (way) => {
    const { pause, resume, force, paid, decide } = await suspendable(version)
    const json = await pause([pays(50), pays(5, 'small')], { way })
    expect(paid).toEqual([5])
    expect((await force(json, { way })).read['call-1']).toMatch(/^Suspended/)
    await decide(true)
    expect(await resume(json, { way })).toMatchObject({ read: { 'call-1': 'paid 50' }, text: 'done' })
    expect((await resume(json, { way }))?.read['call-1']).toMatch(/^Denied \(duplicate-call\)/)
    expect(paid).toEqual([5, 50])
  })

  it('a streaming tool pauses, too, and streams when it goes on', async () => {
    const items: number[] = []
    const execute = async function* ({ amount }: { amount: number }) {
      yield 'paying'
      items.push(amount)
      yield `paid ${amount}`
    }
    const { pause, resume, decide } = await suspendable(version, { tool: { execute } })
    const json = await pause([pays(50)], { way: 'streamText' })
    expect(items).toEqual([])
    await decide(true)
    expect((await resume(json, { way: 'streamText' }))?.read['call-1']).toBe('paid 50')
    expect((await resume(json, { way: 'streamText' }))?.read['call-1']).toMatch(/^Denied \(duplicate-call\)/)
    expect(items).toEqual([50])
  })

  it('what JSON does not keep the SDK turns away when it goes on; the call is resumed without it', async () => {
    const ran: unknown[] = []
    const inputSchema = z.object({ amount: z.number().default(20), on: z.string().transform((day) => new Date(day)) })
    const execute = async (input: unknown) => ran.push(input)
    const { pause, resume, decide, toolsOf, there } = await suspendable(version, { tool: { inputSchema, execute } })
    const tools = toolsOf(there)
    const json = await pause([{ tool: 'pay', args: { on: '2030-01-01' }, id: 'call-1' }])
    const { id } = await decide(true)
    expect((await resume(json, { tools }))?.read['call-1']).toContain('Invalid input for tool pay')
    expect(ran).toEqual([])
    await there.haldir.approvals.resume(id)
    expect(ran).toEqual([{ amount: 20, on: new Date('2030-01-01') }])
  })

  it('people are asked about a call whatever stands in the messages, but where the SDK goes on with that very call', async () => {
    const { here, session, toolsOf } = await suspendable(version)
    const { needsApproval } = toolsOf(here).pay as { needsApproval: (input: unknown, options: object) => unknown }
    const answered = (result: object[]) => [
      {
        role: 'assistant',
        content: [
          { type: 'tool-call', toolCallId: 'one', toolName: 'pay', input: { amount: 40 } },
          { type: 'tool-approval-request', approvalId: 'a', toolCallId: 'one' },
        ],
      },
      { role: 'tool', content: [{ type: 'tool-approval-response', approvalId: 'a', approved: true }, ...result] },
    ]
    const result = { type: 'tool-result', toolCallId: 'one', toolName: 'pay', output: { type: 'text', value: 'paid' } }
    const asks = (toolCallId: string, messages: unknown[]) =>
      session.run(() => needsApproval({ amount: 50 }, { toolCallId, messages }))
    const pending = async () => (await here.haldir.approvals.list()).map(({ ref }) => ref).sort()
    expect([await asks('one', answered([])), await pending()]).toEqual([true, []])
    expect([await asks('two', answered([])), await pending()]).toEqual([true, ['two']])
    expect([await asks('one', answered([result])), await pending()]).toEqual([true, ['one', 'two']])
    // Only the SDK's own kind of message counts.
    const said = JSON.parse(JSON.stringify(answered([])).replaceAll('one', 'three').replaceAll('tool"', 'user"'))
    expect([await asks('three', said), await pending()]).toEqual([true, ['one', 'three', 'two']])
  })

  it('an id that a model uses for two calls at once is an id of neither: nothing runs', async () => {
    const { pause, resume, force, decide, paid } = await suspendable(version)
    const json = await pause([pays(50, 'same'), pays(60, 'same')])
    await decide(true, {}, 60)
    for (let time = 0; time < 2; time++) await force(json).catch(() => {})
    await decide(true, {}, 50)
    for (let time = 0; time < 2; time++) expect((await resume(json))?.read.same).toMatch(/^Denied \(approval-denied\)/)
    expect(paid).toEqual([])
  })

  it('a later step pauses as the first one does', async () => {
    const { loop, resume, decide, here, session, paid } = await suspendable(version)
    const { json } = await loop([[pays(5, 'one')], [pays(50, 'two')]], [{ role: 'user', content: 'go' }], here, session)
    expect(paid).toEqual([5])
    await decide(true)
    expect(await resume(json)).toMatchObject({ read: { one: 'paid 5', two: 'paid 50' }, text: 'done' })
    expect(paid).toEqual([5, 50])
  })

  it('requests that the SDK signs are taken as they are; a changed one ends the loop, and nothing runs', async () => {
    const more = { experimental_toolApprovalSecret: 'a secret of the application' }
    const { pause, resume, force, paid, decide } = await suspendable(version)
    const json = await pause([pays(50)], { more })
    expect(json).toContain('"signature"')
    await decide(true)
    const tampered = json.replaceAll('{"amount":50}', '{"amount":60}')
    await expect(force(tampered, { more })).rejects.toThrow(/signature/i)
    expect((await resume(json, { more }))?.read['call-1']).toBe('paid 50')
    expect((await resume(json, { more }))?.read['call-1']).toMatch(/^Denied \(duplicate-call\)/)
    expect(paid).toEqual([50])
  })

  it('a denial is one of `execute`: on record once, with the sentence, and nobody is asked', async () => {
    const rules: Policy['rules'] = [
      ...policy.rules,
      { id: 'never', tools: 'pay', when: { 'args.amount': { gt: 500 } }, then: 'deny' },
    ]
    const { loop, paid, here, session } = await suspendable(version, { options: { policy: { ...policy, rules } } })
    const { read, text } = await loop([[pays(600)]], [{ role: 'user', content: 'go' }], here, session)
    expect(read['call-1']).toMatch(/^Denied \(policy-denied\)/)
    expect([text, paid, here.entries('refusal').length]).toEqual(['done', [], 1])
    expect(await here.haldir.approvals.list()).toEqual([])
  })

  it('people are not flooded: what is too much is refused, and the rest is asked about', async () => {
    const { pause, here, paid } = await suspendable(version)
    const json = await pause(Array.from({ length: 7 }, (_, at) => pays(50 + at, `call-${at}`)))
    expect(await here.haldir.approvals.list({ state: 'pending' })).toHaveLength(5)
    expect(json.match(/"tool-approval-request"/g)).toHaveLength(5)
    expect(json.match(/Denied \(quota-exceeded\)/g)).toHaveLength(2)
    expect(paid).toEqual([])
  })

  it('when the store does not answer, nothing pauses and nothing runs', async () => {
    const { loop, there, elsewhere, paid } = await suspendable(version)
    Object.assign(there.store.approval, { find: () => Promise.reject(new Error('down')) })
    const { read, text } = await loop([[pays(50)]], [{ role: 'user', content: 'go' }], there, elsewhere)
    expect(read['call-1']).toMatch(/^Denied \(unavailable\)/)
    expect([text, paid]).toEqual(['done', []])
  })

  it('what an approver has allowed for a while does not pause', async () => {
    const rules: Policy['rules'] = policy.rules.map((rule) => ({ ...rule, grant: { for: '15m', args: [] } }))
    const { pause, resume, decide, loop, here, session, paid, clock } = await suspendable(version, {
      options: { policy: { ...policy, rules } },
    })
    const json = await pause([pays(50)])
    await decide(true, { grant: true })
    await resume(json)
    const again = () => loop([[pays(60, `at-${paid.length}`)]], [{ role: 'user', content: 'go' }], here, session)
    expect((await again()).text).toBe('done')
    expect(paid).toEqual([50, 60])
    await clock.advance(16 * 60_000)
    expect((await again()).text).toBe('')
    expect(paid).toEqual([50, 60])
  })

  it('the session may come in the context of the SDK', async () => {
    const { pause, paid, there, elsewhere, toolsOf, here, session } = await suspendable(version, {
      tool: { contextSchema: z.object({ haldirSession: z.custom<Session>() }) },
    })
    const carried = { more: version.carrying({ pay: 1 }, { haldirSession: session }) }
    const json = await pause([pays(50)], { ...carried, tools: toolsOf(here) })
    const [asked] = await here.haldir.approvals.list()
    await here.haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    const messages: ModelMessage[] = JSON.parse(json)
    const answer = await approvalResponses(messages, { session: elsewhere })
    const result = await version.sdk.generateText({
      model: version.model(),
      tools: toolsOf(there),
      messages: [...messages, ...(answer ? [answer] : [])],
      ...version.carrying({ pay: 1 }, { haldirSession: elsewhere }),
    })
    expect([result.text, paid]).toEqual(['done', [50]])
  })
})

describe('where calls wait, or nobody can be asked', () => {
  it.each([
    ['waits', { approvals: { mode: 'wait' } }, {}],
    ['waits by its own rule', { approvals: { mode: 'suspend' } }, { approval: 'wait' }],
    ['asks nobody', { approvals: undefined as never }, {}],
    ['only watches', { mode: 'shadow' }, {}],
  ] as const)('a tool has no `needsApproval` but its own: %s', async (_, options, rule) => {
    const { toolsOf, here } = await suspendable(seven!, { options, rule })
    expect('needsApproval' in (toolsOf(here).pay as Tool)).toBe(false)
  })

  it('a tool whose haldir is not known yet has an empty place for it', async () => {
    const bare = { inputSchema: z.object({}), execute: async () => 1 }
    const { here } = await suspendable(seven!, { options: { approvals: { mode: 'wait' } } })
    const tool: object = governed(bare, { name: 'later', scope: [] })
    const look = (session: Session) => session.run(() => (tool as Tool).needsApproval)
    const session = await here.haldir.createSession({ agent: 'bot', scopes: [] })
    expect(look(session)).toBeUndefined()
    const suspending = await suspendable(seven!)
    expect(look(suspending.session)).toBeTypeOf('function')
  })

  it('such a tool pauses for nobody whose calls wait, though others suspend in the same process', async () => {
    const waits = await suspendable(seven!, { options: { approvals: { mode: 'wait' } } })
    await suspendable(seven!)
    const bare = { inputSchema: z.object({}), execute: async () => 1 }
    const tool: object = governed(bare, { name: 'pay', scope: [] })
    await waits.here.haldir.loadPolicy({ default: 'ask', rules: [] })
    const { needsApproval } = tool as { needsApproval: (input: unknown, options: object) => unknown }
    const context = { haldirSession: waits.session }
    expect(await needsApproval({}, { toolCallId: 'call-1', messages: [], context })).toBe(false)
    expect(await waits.here.haldir.approvals.list()).toEqual([])
  })

  it('one tool may suspend where the others wait', async () => {
    const options = { approvals: { mode: 'wait' } } as const
    const { pause, resume, decide, paid } = await suspendable(seven!, { options, rule: { approval: 'suspend' } })
    const json = await pause([pays(50)])
    await decide(true)
    await resume(json)
    expect(paid).toEqual([50])
  })

  it('the place that is for it can be written to, as before', async () => {
    const { toolsOf, here } = await suspendable(seven!)
    const pay: { needsApproval?: unknown } = toolsOf(here).pay as Tool
    expect(Object.keys(pay)).toContain('needsApproval')
    expect(pay.needsApproval).toBeTypeOf('function')
    pay.needsApproval = true
    expect(pay.needsApproval).toBe(true)
    expect(Object.keys(pay)).toContain('needsApproval')
  })
})

describe("a tool's own `needsApproval`", () => {
  const needsApproval = ({ amount }: { amount: number }) => amount === 5

  it.each(PAUSING)(
    'is asked where the policy asks nobody, and answered by the application ($name)',
    async (version) => {
      const { pause, loop, paid, elsewhere, there, decide } = await suspendable(version, { tool: { needsApproval } })
      const json = await pause([pays(5, 'own'), pays(50, 'asked'), pays(6, 'free')])
      expect(paid).toEqual([6])
      const messages: ModelMessage[] = JSON.parse(json)
      await expect(approvalResponses(messages, { session: elsewhere })).rejects.toMatchObject({ code: 'unknown' })
      await decide(true)
      const asked: unknown[] = []
      const others = (call: unknown) => {
        asked.push(call)
        return asked.length > 1 ? { approved: true } : undefined
      }
      expect(await approvalResponses(messages, { session: elsewhere, others })).toBeUndefined()
      const answer = (await approvalResponses(messages, { session: elsewhere, others })) as NonNullable<
        Awaited<ReturnType<typeof approvalResponses>>
      >
      expect(asked[0]).toMatchObject({ toolName: 'pay', toolCallId: 'own', input: { amount: 5 } })
      const { read } = await loop([], [...messages, answer], there, elsewhere)
      expect(read).toMatchObject({ own: 'paid 5', asked: 'paid 50' })
      expect(paid).toEqual([6, 5, 50])
    },
  )

  it('is answered by what the messages say already, unless something else is given', async () => {
    const { pause, elsewhere } = await suspendable(seven!, { tool: { needsApproval } })
    const messages: ModelMessage[] = JSON.parse(await pause([pays(5, 'own')]))
    const [request] = messages.flatMap(({ content }) =>
      typeof content === 'string' ? [] : content.filter((part) => part.type === 'tool-approval-request'),
    )
    const { approvalId } = request as { approvalId: string }
    const said = { type: 'tool-approval-response', approvalId, approved: false, reason: 'not now' } as const
    const answered = await approvalResponses([...messages, { role: 'tool', content: [said] }], { session: elsewhere })
    expect(answered).toEqual({ role: 'tool', content: [said] })
  })

  it('is looked up when it is asked, and runs on the tool', async () => {
    const seen: unknown[] = []
    const { toolsOf, here, session, pause, paid } = await suspendable(seven!)
    const bare = {
      ...(toolsOf(here).pay as Tool),
      execute: async ({ amount }: { amount: number }) => paid.push(amount),
      get needsApproval() {
        return function (this: unknown, input: unknown, { toolCallId }: { toolCallId: string }) {
          seen.push(this === tools.pay, input, toolCallId)
          return true
        }
      },
    }
    const tools = governed({ pay: bare as Tool }, { pay: { scope: 'spend', cost: usd(1) } }, { session })
    const json = await pause([pays(5)], { tools })
    expect(json).toContain('tool-approval-request')
    expect([seen, paid]).toEqual([[true, { amount: 5 }, 'call-1'], []])
  })

  it('keeps its private fields where the tool is an instance of a class', async () => {
    class Payer {
      readonly #limit = 3
      readonly inputSchema = z.object({ amount: z.number() })
      readonly description = 'pays'
      needsApproval({ amount }: { amount: number }) {
        return amount > this.#limit
      }
      async execute() {
        return 'paid'
      }
    }
    const { here, there, session, pause } = await suspendable(seven!)
    for (const { haldir } of [here, there]) {
      const tools = governed({ pay: new Payer() }, { pay: { scope: 'spend', cost: usd(1) } }, { haldir }) as never
      const json = await pause([pays(5, 'more'), pays(2, 'less')], { tools })
      if (haldir === here.haldir) expect(json.match(/"tool-approval-request"/g)).toHaveLength(1)
    }
    expect(session.id).toBeTypeOf('string')
  })
})

describe('`toolApproval()` of AI SDK 7', () => {
  const more = { toolApproval: toolApproval() }

  it('pauses where calls are suspended, with the reason, and goes on with what the store says', async () => {
    const { pause, resume, force, paid, decide, here } = await suspendable(seven!)
    const json = await pause([pays(50)], { more })
    expect(json).toContain('large payments')
    expect(here.entries('approval-requested')).toHaveLength(1)
    expect((await force(json, { more })).read['call-1']).toMatch(/^Suspended/)
    await decide(true)
    expect((await resume(json, { more }))?.read['call-1']).toBe('paid 50')
    expect((await resume(json, { more }))?.read['call-1']).toMatch(/^Denied \(duplicate-call\)/)
    expect(paid).toEqual([50])
  })

  it('asks the own `needsApproval` of a tool, not the gate in its place', async () => {
    const guarded: string[] = []
    const guards: HaldirOptions['guards'] = [
      async ({ verdict }) => {
        guarded.push(verdict)
        return verdict
      },
    ]
    const { loop, here, session, paid } = await suspendable(seven!, { options: { guards } })
    await loop([[pays(5)]], [{ role: 'user', content: 'go' }], here, session, { more })
    expect([paid, guarded]).toEqual([[5], ['allow', 'allow']])
  })

  it('lets a call come that waits, and asks people once', async () => {
    const { loop, paid, here, session, clock } = await suspendable(seven!, { options: { approvals: { mode: 'wait' } } })
    const looping = loop([[pays(50)]], [{ role: 'user', content: 'go' }], here, session, { more })
    const asked = await (async () => {
      for (;;) {
        const [one] = await here.haldir.approvals.list({ state: 'pending' })
        if (one) return one
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    await here.haldir.approvals.decide(asked.id, { approve: true, by: 'alice' })
    await clock.advance(1)
    expect(await looping).toMatchObject({ read: { 'call-1': 'paid 50' }, text: 'done' })
    expect([paid, here.entries('approval-requested').length]).toEqual([[50], 1])
  })

  it('that says yes to everything is passed over by the gate: the model reads that somebody was asked', async () => {
    const { loop, paid, here, session, decide } = await suspendable(seven!)
    const how = { more: { toolApproval: { pay: 'approved' } } }
    const { read, text } = await loop([[pays(50)]], [{ role: 'user', content: 'go' }], here, session, how)
    expect(read['call-1']).toMatch(/^Suspended \(approval-pending\)/)
    expect([text, paid]).toEqual(['done', []])
    const { id } = await decide(true)
    expect(await here.haldir.approvals.resume(id)).toBe('paid 50')
    expect(paid).toEqual([50])
  })
})

describe('`approvalResponses`', () => {
  it('finds the approval of a tool that something else has wrapped again, or that has another name', async () => {
    const { pause, elsewhere, here, there, decide, toolsOf } = await suspendable(seven!)
    const again = (tool: Tool): Tool => copyTool(tool, { execute: (...all: [never, never]) => tool.execute?.(...all) })
    const bare = { inputSchema: z.object({ amount: z.number() }), execute: async () => 'paid' }
    const setOf = (at: typeof here): ToolSet => ({
      pay: again(toolsOf(at).pay as Tool),
      settle: governed(bare, { name: 'pay', scope: 'spend', cost: usd(1) }, { haldir: at.haldir }) as Tool,
    })
    const calls = [pays(50, 'one'), { tool: 'settle', args: { amount: 60 }, id: 'two' }]
    const json = await pause(calls, { tools: setOf(here) })
    await decide(true, {}, 50)
    await decide(false, {}, 60)
    const answer = await approvalResponses(JSON.parse(json), { session: elsewhere, tools: setOf(there) })
    expect(answer?.content).toMatchObject([
      { approved: true },
      { approved: false, reason: expect.stringMatching(/^Denied/) },
    ])
  })

  it('takes the ambient session, and nothing for one that is none', async () => {
    const { pause, elsewhere, decide } = await suspendable(seven!)
    const messages = JSON.parse(await pause([pays(50)]))
    await decide(true)
    expect(await elsewhere.run(() => approvalResponses(messages))).toMatchObject({ content: [{ approved: true }] })
    const misused = [
      approvalResponses(messages),
      approvalResponses(messages, { session: elsewhere.token as never }),
      approvalResponses('[]' as never, { session: elsewhere }),
      approvalResponses(messages, { session: elsewhere, tool: {} } as never),
      approvalResponses(messages, { session: elsewhere, tools: 'pay' as never }),
      approvalResponses(messages, { session: elsewhere, others: true as never }),
    ]
    for (const slip of await Promise.allSettled(misused)) {
      expect(slip.status === 'rejected' && ConfigError.isInstance(slip.reason)).toBe(true)
    }
  })

  it('has nothing to answer where nothing is open, whatever stands in the messages', async () => {
    const { pause, resume, elsewhere, decide } = await suspendable(seven!)
    const json = await pause([pays(50)])
    await decide(true)
    const ended = await resume(json)
    const odd = [
      null,
      'text',
      {},
      { role: 'assistant' },
      { role: 'assistant', content: [null, 'x', { type: 'tool-call' }] },
    ]
    for (const messages of [[], JSON.parse(ended?.json as string), odd]) {
      expect(await approvalResponses(messages, { session: elsewhere })).toBeUndefined()
    }
  })

  it('answers what has no result, with the call that the SDK would run', async () => {
    const { elsewhere } = await suspendable(seven!)
    const call = (toolCallId: string, amount: number) =>
      ({ type: 'tool-call', toolCallId, toolName: 'pay', input: { amount } }) as const
    const request = (toolCallId: string) =>
      ({ type: 'tool-approval-request', approvalId: `of ${toolCallId}`, toolCallId }) as const
    const step = [call('one', 1), call('two', 2), call('two', 3), request('one'), request('two')]
    const result = { type: 'tool-result', toolCallId: 'one', toolName: 'pay', output: { type: 'text', value: 'paid' } }
    const messages = [
      { role: 'assistant', content: step },
      { role: 'tool', content: [result] },
    ]
    const asked: unknown[] = []
    const others = (paused: unknown) => {
      asked.push(paused)
      return { approved: false, reason: 'no' }
    }
    const answer = await approvalResponses(messages, { session: elsewhere, others })
    expect(answer?.content).toMatchObject([{ approvalId: 'of two', approved: false, reason: 'no' }])
    expect(asked).toEqual([{ approvalId: 'of two', toolCallId: 'two', toolName: 'pay', input: { amount: 3 } }])
  })

  it('answers a call of the last step, though its id had a result in an earlier one', async () => {
    const { loop, here, session, elsewhere, decide } = await suspendable(seven!)
    const { json } = await loop(
      [[pays(5, 'call-0')], [pays(50, 'call-0')]],
      [{ role: 'user', content: 'go' }],
      here,
      session,
    )
    const messages = JSON.parse(json)
    expect(await approvalResponses(messages, { session: elsewhere })).toBeUndefined()
    await decide(true)
    expect(await approvalResponses(messages, { session: elsewhere })).toMatchObject({ content: [{ approved: true }] })
  })

  it('says no secret that somebody has put into their reason', async () => {
    const keys = [envKey('SUSPEND_KEY', { env: { SUSPEND_KEY: 'c0'.repeat(32) } })]
    const { loop, here, there, elsewhere, pause, asked } = await suspendable(seven!, {
      options: { vault: { keys } },
      rule: { secrets: ['bank'] },
      tool: { execute: async () => void currentCall().secret('bank').reveal() },
    })
    await there.haldir.vault.put('bank', 'the-bank-key-4711', { scope: 'spend' })
    await loop([[pays(5, 'small')]], [{ role: 'user', content: 'go' }], there, elsewhere)
    const json = await pause([pays(50)])
    // Where it is decided nobody knows the secret.
    const say = { approve: false, by: 'alice', reason: 'not with the-bank-key-4711' }
    await here.haldir.approvals.decide((await asked()).id, say)
    const answer = await approvalResponses(JSON.parse(json), { session: elsewhere })
    expect(answer?.content[0]?.reason).toMatch(/^Denied \(approval-denied\): a person has denied it: not with /)
    expect(JSON.stringify(answer)).not.toContain('4711')
  })

  it('asks the store of the session alone: under another one nobody was asked', async () => {
    const { pause, there, decide } = await suspendable(seven!)
    const messages = JSON.parse(await pause([pays(50)]))
    await decide(true)
    const other = await there.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] })
    await expect(approvalResponses(messages, { session: other })).rejects.toMatchObject({ code: 'unknown' })
  })
})

it('a conversation of `useChat` is resumed on the server, in the same message', async () => {
  const { elsewhere, session, here, there, toolsOf, decide, paid } = await suspendable(seven!)
  const chat = async (messages: UIMessage[], model: ReturnType<typeof scriptedModel>, at: typeof here, as: Session) => {
    const said = await convertToModelMessages(messages)
    const answer = await approvalResponses(said, { session: as })
    const tools = toolsOf(at)
    const result = as.run(() => streamText({ model, tools, messages: answer ? [...said, answer] : said }))
    const stream = toUIMessageStream({ stream: result.fullStream, tools, originalMessages: messages })
    const before = messages.at(-1)
    let last: UIMessage | undefined
    const reading = readUIMessageStream({ stream, ...(before?.role === 'assistant' ? { message: before } : {}) })
    for await (const message of reading) last = message
    return JSON.parse(JSON.stringify(last)) as UIMessage
  }
  const user: UIMessage = { id: 'u', role: 'user', parts: [{ type: 'text', text: 'pay' }] }
  const paused = await chat([user], scriptedModel([pays(50)]), here, session)
  expect(paused.parts).toContainEqual(expect.objectContaining({ type: 'tool-pay', state: 'approval-requested' }))
  await decide(true)
  const ended = await chat([user, paused], scriptedModel(), there, elsewhere)
  expect(ended.id).toBe(paused.id)
  expect(ended.parts).toContainEqual(
    expect.objectContaining({ type: 'tool-pay', toolCallId: 'call-1', state: 'output-available', output: 'paid 50' }),
  )
  expect(paid).toEqual([50])
})
