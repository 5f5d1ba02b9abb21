/** What a framework that pauses by itself asks and is told, through the seam of adapters. */
import { currentCall, type Policy, usd } from '@haldir/core'
import { type GovernedHandle, governTool } from '@haldir/core/adapter'
import { describe, expect, it } from 'vitest'
import { fleet, STORES } from './scene.ts'

const policy: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [
    { id: 'never', tools: 'pay', when: { 'args.amount': { gt: 1_000 } }, then: 'deny' },
    { id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', because: 'large payments' },
  ],
}

function toolFor(place: Parameters<typeof governTool>[1], ran: unknown[] = [], more: object = {}): GovernedHandle {
  const run = (args: unknown) => {
    ran.push([args, currentCall().approval])
    return 'paid'
  }
  const cost = ({ amount }: { amount: number }) => usd(amount)
  return governTool({ framework: 'test', name: 'pay', options: { scope: 'spend', cost, ...more }, run }, place)
}

async function scene(kind: (typeof STORES)[number], mode: 'wait' | 'suspend' = 'suspend') {
  const shared = fleet(kind)
  const { haldir, entries } = shared.house({ policy, approvals: { mode } })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:100'], ttl: '2d' })
  const ran: unknown[] = []
  const tool = toolFor({ haldir, session }, ran)
  const pending = () => haldir.approvals.list({ state: 'pending' })
  return { shared, haldir, entries, session, tool, ran, pending }
}

const call = { args: { amount: 30 }, ref: 'call-1' }

describe.each(STORES)('a gate that can only pause (%s)', (kind) => {
  it('asks people once, however often it is asked', async () => {
    const { tool, pending, entries } = await scene(kind)
    for (let time = 0; time < 3; time++) {
      expect(await tool.askAhead(call)).toMatchObject({ verdict: 'ask', suspends: true, rule: 'big' })
    }
    expect(await pending()).toMatchObject([{ tool: 'pay', ref: 'call-1', reason: 'large payments' }])
    expect(entries('approval-requested')).toHaveLength(1)
    expect(entries('refusal')).toEqual([])
  })

  it('says the same after the answer, whatever that is, and after the use of it', async () => {
    const { tool, pending, haldir, ran } = await scene(kind)
    await tool.askAhead(call)
    const [asked] = await pending()
    await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    expect(await tool.askAhead(call)).toMatchObject({ verdict: 'ask', suspends: true })
    expect(await tool.execute(call)).toMatchObject({ status: 'ran' })
    expect(await tool.askAhead(call)).toMatchObject({ verdict: 'ask', suspends: true })
    expect(await tool.execute(call)).toMatchObject({ denial: { code: 'duplicate-call' } })
    expect(ran).toEqual([[{ amount: 30 }, asked?.id]])
  })

  it('asks nobody about what is allowed, denied, can not be paid or waits, and records nothing of it', async () => {
    const { tool, pending, entries } = await scene(kind)
    expect(await tool.askAhead({ args: { amount: 5 } })).toMatchObject({ verdict: 'allow' })
    expect(await tool.askAhead({ args: { amount: 2_000 } })).toMatchObject({ verdict: 'deny', code: 'policy-denied' })
    expect(await tool.askAhead({ args: { amount: 500 } })).toMatchObject({ verdict: 'deny', code: 'budget-exceeded' })
    expect([await pending(), entries('refusal')]).toEqual([[], []])
    const waits = await scene(kind, 'wait')
    expect(await waits.tool.askAhead(call)).toMatchObject({ verdict: 'ask', suspends: false })
    expect(await waits.pending()).toEqual([])
  })

  it('denies when nobody can be asked any more, and the call itself is refused for that', async () => {
    const { tool, entries } = await scene(kind)
    for (let time = 0; time < 5; time++) await tool.askAhead({ ...call, ref: `flood-${time}` })
    expect(await tool.askAhead(call)).toMatchObject({ verdict: 'deny', code: 'quota-exceeded' })
    expect(entries('refusal')).toEqual([])
    expect(await tool.execute(call)).toMatchObject({ denial: { code: 'quota-exceeded' } })
    expect(entries('refusal')).toHaveLength(1)
  })

  it('denies without a session, as the call would be', async () => {
    const { haldir, entries } = await scene(kind)
    expect(await toolFor({ haldir }).askAhead(call)).toMatchObject({ verdict: 'deny', code: 'no-session' })
    expect(entries('refusal')).toEqual([])
  })

  it('denies when an id can not be made', async () => {
    const { haldir } = fleet(kind).house({ policy, approvals: { mode: 'suspend' }, ids: broken() })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:100'] })
    const tool = toolFor({ haldir, session })
    expect(await tool.askAhead(call)).toMatchObject({ verdict: 'deny', code: 'unavailable' })
  })
})

/** Ids until a session is open, and none for calls. */
function broken(): () => string {
  let made = 0
  return () => {
    if (made++ > 2) throw new Error('out of ids')
    return `id-${made}`
  }
}

describe.each(STORES)('a yes for a while (%s)', (kind) => {
  const rules = policy.rules.map((rule) => (rule.id === 'big' ? { ...rule, grant: { for: '15m', args: [] } } : rule))

  it('lets later calls of the kind pass without a pause, and the one that was asked about run once', async () => {
    const { tool, haldir, pending, ran } = await scene(kind)
    await haldir.loadPolicy({ ...policy, rules })
    await tool.askAhead(call)
    await tool.askAhead({ ...call, ref: 'also-asked' })
    const asked = (await pending()).find(({ ref }) => ref === call.ref)
    await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice', grant: true })
    // It has paused, so it goes on as a call that has.
    expect(await tool.askAhead(call)).toMatchObject({ verdict: 'ask', suspends: true })
    expect(await tool.execute(call)).toMatchObject({ status: 'ran' })
    expect(await tool.execute(call)).toMatchObject({ denial: { code: 'duplicate-call' } })
    expect(await haldir.approvals.resume(asked?.id as string).catch(({ code }) => code)).toBe('duplicate-call')
    // Of another one people were asked, and have not said anything yet.
    expect(await tool.execute({ ...call, ref: 'also-asked' })).toMatchObject({ status: 'suspended' })
    const later = { ...call, ref: 'later' }
    for (const way of ['askAhead', 'preempt'] as const) {
      expect(await tool[way](later)).toMatchObject({ verdict: 'allow', rule: 'big' })
    }
    expect(await tool.answered(later)).toBeUndefined()
    expect(await tool.execute(later)).toMatchObject({ status: 'ran' })
    expect(ran).toHaveLength(2)
  })
})

describe.each(STORES)('what has become of a question (%s)', (kind) => {
  it('is nothing, pending, approved or denied, by session, tool and ref', async () => {
    const { tool, haldir, pending, shared, session } = await scene(kind)
    expect(await tool.answered(call)).toBeUndefined()
    await tool.askAhead(call)
    const [asked] = await pending()
    expect(await tool.answered(call)).toMatchObject({ status: 'pending', approval: { id: asked?.id } })
    expect(await tool.answered({ ...call, ref: 'call-2' })).toBeUndefined()
    expect(await tool.answered({ args: call.args })).toBeUndefined()
    await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'alice' })
    const other = shared.house({ policy, approvals: { mode: 'suspend' } }).haldir
    const there = toolFor({ haldir: other, session: await other.attach(session.token) })
    // The arguments are not looked at: those of the call are, when it comes.
    expect(await there.answered({ ...call, args: undefined })).toMatchObject({ status: 'approved' })
    const stranger = await other.createSession({ agent: 'bot', scopes: [] })
    expect(await toolFor({ haldir: other, session: stranger }).answered(call)).toBeUndefined()
    expect(await toolFor({ haldir: other }).answered(call)).toBeUndefined()
  })

  it('says why it is a no, in words that a model may read', async () => {
    const { tool, haldir, pending, shared, session } = await scene(kind)
    await tool.askAhead(call)
    await haldir.approvals.decide((await pending())[0]?.id as string, { approve: false, by: 'a', reason: 'too much.' })
    const said = await tool.answered(call)
    expect(said?.status === 'denied' && said.denial.message).toBe(
      'Denied (approval-denied): a person has denied it: too much. Do not ask again for the same action.',
    )
    await tool.askAhead({ ...call, ref: 'call-2' })
    const other = shared.house({ policy, approvals: { mode: 'suspend' } }).haldir
    const there = toolFor({ haldir: other, session: await other.attach(session.token) })
    // Nobody has looked since the time was over.
    await haldir.close()
    await shared.clock.advance(86_400_000)
    expect(await there.answered({ ...call, ref: 'call-2' })).toMatchObject({ denial: { code: 'approval-expired' } })
  })

  it('is nothing where nobody can be asked, and an error where the store does not say', async () => {
    const { haldir } = fleet(kind).house({ policy })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:100'] })
    expect(await toolFor({ haldir, session }).answered(call)).toBeUndefined()
    const down = fleet(kind).house({ policy, approvals: { mode: 'suspend' } }, ({ approval }) => ({
      approval: { ...approval, find: () => Promise.reject(new Error('down')) },
    }))
    const sessionThere = await down.haldir.createSession({ agent: 'bot', scopes: ['spend:100'] })
    const asking = toolFor({ haldir: down.haldir, session: sessionThere }).answered(call)
    await expect(asking).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('whether calls are suspended', () => {
  const made = (options: object) => fleet().house({ policy, ...options }).haldir

  it('is what the tool says, else its haldir', async () => {
    const [waits, suspends] = [made({ approvals: {} }), made({ approvals: { mode: 'suspend' } })]
    expect(toolFor({ haldir: waits }).suspends()).toBe(false)
    expect(toolFor({ haldir: waits }, [], { approval: 'suspend' }).suspends()).toBe(true)
    expect(toolFor({ haldir: suspends }).suspends()).toBe(true)
    expect(toolFor({ haldir: suspends }, [], { approval: 'wait' }).suspends()).toBe(false)
    const session = await waits.createSession({ agent: 'bot', scopes: [] })
    const anywhere = toolFor({})
    // Any of them may come.
    expect(anywhere.suspends()).toBe(true)
    expect(session.run(() => anywhere.suspends())).toBe(false)
  })

  it('is no where nobody can be asked, and in shadow mode', () => {
    expect(toolFor({ haldir: made({}) }, [], { approval: 'suspend' }).suspends()).toBe(false)
    const shadow = made({ approvals: { mode: 'suspend' }, mode: 'shadow' })
    expect(toolFor({ haldir: shadow }).suspends()).toBe(false)
  })
})
