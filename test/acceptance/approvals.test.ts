/** A person decides: what a yes is for, and what it is not for. */
import { Denied, governed, type HaldirOptions, type Policy, Suspended, type ToolOptions, usd } from '@haldir/core'
import { describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { caughtBy, channel, type Pay, pendingOf } from './approval-scene.ts'
import { fleet, STORES } from './scene.ts'

const policy: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', because: 'large payments' }],
}

async function scene(
  options: HaldirOptions = {},
  kind: (typeof STORES)[number] = 'memory',
  tool: Partial<ToolOptions> = {},
) {
  const house = fleet(kind)
  const desk = channel()
  const { haldir, entries } = house.house({ policy, approvers: [desk.approver], ...options })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:100'], ttl: '2d' })
  const paid: Pay[] = []
  const pay = governed(
    async (args: Pay) => {
      paid.push(args)
      return `paid ${args.amount}`
    },
    { name: 'pay', scope: 'spend', cost: ({ amount }: Pay) => usd(amount), ...tool },
    { haldir, session },
  )
  return { fleet: house, haldir, entries, session, pay, paid, desk, pending: () => pendingOf(haldir) }
}

describe.each(STORES)('a call that waits (%s)', (kind) => {
  it('runs, once, after a yes; the trail tells the story', async () => {
    proves('invariant-8')
    const { pay, paid, pending, haldir, entries, session } = await scene({}, kind)
    const calling = pay({ amount: 29.99 })
    const asked = await pending()
    expect(asked).toMatchObject({ tool: 'pay', agent: 'bot', state: 'pending', reason: 'large payments' })
    expect(asked.args).toEqual({ amount: 29.99 })
    expect(asked.cost.map(String)).toEqual(['29.99 USD'])
    expect(asked.left.map(String)).toEqual(['100 USD'])
    // What it costs is set aside meanwhile.
    expect((await session.budget())[0]?.held.toString()).toBe('29.99 USD')
    await haldir.approvals.decide(asked.id, { approve: true, by: 'alice' })
    expect(await calling).toBe('paid 29.99')
    expect(paid).toEqual([{ amount: 29.99 }])
    const used = await haldir.approvals.get(asked.id)
    expect(used).toMatchObject({ state: 'approved', votes: [{ by: 'alice', approve: true }] })
    const call = entries('intent').at(-1)?.call
    expect(used?.usedBy).toBe(call)
    const story = entries().filter((entry) => entry.call === call)
    expect(story.map(({ type }) => type)).toEqual([
      'approval-requested',
      'approval-voted',
      'approval-decided',
      'approval-used',
      'intent',
      'outcome',
    ])
    const [budget] = await session.budget()
    expect([budget?.used.toString(), budget?.held.toString()]).toEqual(['29.99 USD', '0 USD'])
  })

  it('does not run after a no, which tells the model why', async () => {
    const { pay, paid, pending, haldir, session } = await scene({}, kind)
    const calling = caughtBy(pay({ amount: 29.99 }))
    const asked = await pending()
    await haldir.approvals.decide(asked.id, { approve: false, by: 'alice', reason: 'too much' })
    const error = await calling
    expect(error).toMatchObject({ code: 'approval-denied', rule: 'big' })
    expect(String(error)).toBe(
      'Denied (approval-denied): a person has denied it: too much. Do not ask again for the same action.',
    )
    expect(paid).toEqual([])
    expect((await session.budget())[0]?.held.toString()).toBe('0 USD')
  })

  it('is denied when nobody answers in time, and the card says so', async () => {
    const {
      pay,
      paid,
      fleet: { clock },
      pending,
      desk,
      entries,
      session,
    } = await scene({}, kind)
    const calling = caughtBy(pay({ amount: 29.99 }))
    await pending()
    await clock.advance(299_000)
    expect((await session.budget())[0]?.held.toString()).toBe('29.99 USD')
    await clock.advance(2_000)
    expect(await calling).toMatchObject({ code: 'approval-expired' })
    expect(paid).toEqual([])
    expect((await session.budget())[0]?.held.toString()).toBe('0 USD')
    expect(desk.shown.map(({ state }) => state)).toEqual(['pending', 'expired'])
    expect(entries('approval-expired')).toHaveLength(1)
  })

  it('is refused when the session is revoked meanwhile', async () => {
    proves('invariant-5')
    const {
      pay,
      paid,
      pending,
      session,
      desk,
      fleet: { clock },
      haldir,
    } = await scene({}, kind)
    const calling = caughtBy(pay({ amount: 29.99 }))
    const { id } = await pending()
    await session.revoke('stop')
    expect(await calling).toMatchObject({ code: 'session-revoked' })
    await clock.advance(10)
    expect((await haldir.approvals.get(id))?.state).toBe('withdrawn')
    await expect(haldir.approvals.decide(id, { approve: true, by: 'alice' })).rejects.toMatchObject({ code: 'decided' })
    expect(paid).toEqual([])
    expect(desk.shown.at(-1)?.state).toBe('withdrawn')
  })

  it('ends for the caller who gives up', async () => {
    const { haldir, session, paid, pending, entries } = await scene({}, kind)
    const { governTool } = await import('@haldir/core/adapter')
    const run = (args: unknown) => paid.push(args as Pay)
    const options = { scope: 'spend', cost: ({ amount }: Pay) => usd(amount) }
    const tool = governTool({ framework: 'test', name: 'pay', options, run }, { haldir, session })
    const controller = new AbortController()
    const calling = tool.execute({ args: { amount: 30 }, signal: controller.signal })
    const { id } = await pending()
    controller.abort(new Error('enough'))
    expect(await calling).toEqual({ status: 'failed', error: new Error('enough') })
    expect((await haldir.approvals.get(id))?.state).toBe('withdrawn')
    expect((await session.budget())[0]?.held.toString()).toBe('0 USD')
    expect(entries('approval-withdrawn')).toHaveLength(1)
  })

  it('asks those as well whose rule has come to ask meanwhile', async () => {
    const { pay, paid, pending, haldir, session } = await scene({}, kind)
    const calling = pay({ amount: 30 })
    const { id } = await pending()
    await haldir.loadPolicy({ ...policy, rules: [...policy.rules, { id: 'night', tools: 'pay', then: 'ask' }] })
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    const again = await pending()
    expect(again.terms.map(({ rule }) => rule)).toEqual(['big', 'night'])
    expect(paid).toEqual([])
    expect((await session.budget())[0]?.held.toString()).toBe('30 USD')
    await haldir.approvals.decide(again.id, { approve: true, by: 'alice' })
    expect(await calling).toBe('paid 30')
    expect((await haldir.approvals.get(id))?.usedBy).toBeUndefined()
    const [budget] = await session.budget()
    expect([budget?.used.toString(), budget?.held.toString()]).toEqual(['30 USD', '0 USD'])
  })

  it('is one of two equal calls: each needs a yes of its own', async () => {
    const { pay, paid, pending, haldir } = await scene({}, kind)
    const both = [caughtBy(pay({ amount: 20 })), caughtBy(pay({ amount: 20 }))]
    await pending()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const asked = await haldir.approvals.list({ state: 'pending' })
    expect(asked).toHaveLength(2)
    await haldir.approvals.decide(asked[0]?.id as string, { approve: true, by: 'alice' })
    await haldir.approvals.decide(asked[1]?.id as string, { approve: false, by: 'alice' })
    const ended = await Promise.all(both)
    expect(ended.filter((error) => error === undefined)).toHaveLength(1)
    expect(paid).toHaveLength(1)
  })

  it('runs with what the approver has made of it', async () => {
    proves('invariant-2')
    const { pay, paid, pending, haldir, session, entries } = await scene({}, kind)
    const calling = pay({ amount: 90, to: 'bob' })
    const { id, digest } = await pending()
    await haldir.approvals.decide(id, { approve: true, by: 'alice', args: { amount: 12, to: 'bob' } })
    expect(await calling).toBe('paid 12')
    expect(paid).toEqual([{ amount: 12, to: 'bob' }])
    expect((await session.budget())[0]?.used.toString()).toBe('12 USD')
    expect((await session.budget())[0]?.held.toString()).toBe('0 USD')
    const intent = entries('intent').at(-1)
    expect(intent?.digest).not.toBe(digest)
    expect(entries('approval-decided')[0]?.data).toMatchObject({ edited: intent?.digest })
  })
})

describe.each(STORES)('a call that is suspended (%s)', (kind) => {
  const suspended = (tool: Partial<ToolOptions> = {}) => scene({ approvals: { mode: 'suspend' } }, kind, tool)

  it('is resumed once, after a yes', async () => {
    const { pay, paid, haldir, session } = await suspended()
    const error = await caughtBy(pay({ amount: 30 }))
    expect(Suspended.isInstance(error)).toBe(true)
    const { approvalId: id } = error as Suspended
    // Nothing is set aside.
    expect((await session.budget())[0]?.held.toString()).toBe('0 USD')
    expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'approval-pending', approvalId: id })
    // Calling again asks nobody again.
    expect(await caughtBy(pay({ amount: 30 }))).toMatchObject({ approvalId: id })
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    expect(paid).toEqual([])
    expect(await haldir.approvals.resume(id)).toBe('paid 30')
    expect(paid).toEqual([{ amount: 30 }])
    expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'duplicate-call' })
    expect(paid).toHaveLength(1)
  })

  it('is not resumed with other arguments, after a revoke, or when today is against it', async () => {
    const { pay, paid, haldir, session } = await suspended()
    const { approvalId: id } = (await caughtBy(pay({ amount: 30 }))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    // Other arguments are another call.
    expect(await caughtBy(pay({ amount: 31 }))).toMatchObject({ code: 'approval-pending' })
    await haldir.loadPolicy({ ...policy, rules: [...policy.rules, { id: 'no', tools: 'pay', then: 'deny' }] })
    expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'policy-denied', rule: 'no' })
    await haldir.loadPolicy(policy)
    await session.revoke('stop')
    expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'session-revoked' })
    expect(paid).toEqual([])
  })

  it('is resumed once, also when no rule asks any more', async () => {
    const { pay, paid, haldir } = await suspended()
    const { approvalId: id } = (await caughtBy(pay({ amount: 30 }))) as Suspended
    await haldir.loadPolicy({ ...policy, rules: [] })
    expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'approval-pending', approvalId: id })
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    const both = await Promise.all([haldir.approvals.resume(id), haldir.approvals.resume(id)].map(caughtBy))
    expect(both.map((error) => (error as { code?: string } | undefined)?.code).sort()).toEqual([
      'duplicate-call',
      undefined,
    ])
    expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'duplicate-call' })
    expect(paid).toHaveLength(1)
  })

  it('asks anew when other rules ask by then', async () => {
    const { pay, paid, haldir } = await suspended()
    const { approvalId: id } = (await caughtBy(pay({ amount: 30 }))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    const more = { ...policy, rules: [...policy.rules, { id: 'night', tools: 'pay', then: 'ask' as const }] }
    await haldir.loadPolicy(more)
    const again = (await caughtBy(haldir.approvals.resume(id))) as Suspended
    expect(again).toMatchObject({ code: 'approval-pending' })
    expect(again.approvalId).not.toBe(id)
    await haldir.approvals.decide(again.approvalId, { approve: true, by: 'alice' })
    expect(await haldir.approvals.resume(again.approvalId)).toBe('paid 30')
    // The first yes was to fewer rules than ask now.
    await caughtBy(haldir.approvals.resume(id))
    expect(paid).toHaveLength(1)
  })

  it('asks anew when a condition that is a function may have changed', async () => {
    const rule = { id: 'big', tools: 'pay', then: 'ask' as const }
    const version = (version: number): Policy => ({
      default: 'deny',
      version,
      rules: [{ ...rule, when: () => true }],
    })
    const { pay, paid, haldir } = await scene({ approvals: { mode: 'suspend' }, policy: version(1) }, kind)
    const { approvalId: id } = (await caughtBy(pay({ amount: 30 }))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await haldir.loadPolicy(version(2))
    expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'approval-pending' })
    await haldir.loadPolicy(version(1))
    expect(await haldir.approvals.resume(id)).toBe('paid 30')
    expect(paid).toHaveLength(1)
  })

  it('is not resumed by a tool of the same name that is defined otherwise', async () => {
    const { pay, haldir, session, fleet } = await suspended()
    const { approvalId: id } = (await caughtBy(pay({ amount: 30 }))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    const other = fleet.house({ policy, approvals: { mode: 'suspend' } })
    const ran: Pay[] = []
    const schema = { type: 'object', properties: { amount: { type: 'number' } } }
    const changed = governed(
      async (args: Pay) => ran.push(args),
      { name: 'pay', scope: 'spend', cost: ({ amount }: Pay) => usd(amount), schema },
      { haldir: other.haldir, session: await other.haldir.attach(session.token) },
    )
    expect(await caughtBy(other.haldir.approvals.resume(id))).toMatchObject({ code: 'invalid-option', path: 'resume' })
    expect(changed).toBeDefined()
    expect(ran).toEqual([])
    expect((await haldir.approvals.get(id))?.usedBy).toBeUndefined()
  })

  it('survives a failed admit: the yes is still there', async () => {
    const { pay, paid, haldir } = await suspended()
    const { approvalId: id } = (await caughtBy(pay({ amount: 95 }))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await pay({ amount: 8 })
    expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'budget-exceeded' })
    expect((await haldir.approvals.get(id))?.usedBy).toBeUndefined()
    expect(paid).toHaveLength(1)
  })

  it('tells the application when it is decided', async () => {
    const {
      pay,
      haldir,
      fleet: { clock },
    } = await suspended()
    const heard: string[] = []
    haldir.approvals.onDecided(({ id, state }) => heard.push(`${id} ${state}`))
    const { approvalId: id } = (await caughtBy(pay({ amount: 30 }))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await clock.advance(10)
    expect(heard).toEqual([`${id} approved`])
  })
})

it('a denial by a person is no denial by the policy, and each says what to do next', () => {
  expect(Denied.isInstance(new Suspended('x', 'id', 'call', new Date(0)))).toBe(false)
})
