/** Who may say yes, how many of them, for how long, and what comes of everything else that is said. */
import { governed, type Haldir, type Policy, type Rule, type Session, usd } from '@haldir/core'
import { describe, expect, it } from 'vitest'
import { caughtBy, channel, type Pay, pendingOf } from './approval-scene.ts'
import { fleet, STORES } from './scene.ts'

const asks = (rule: Partial<Rule> = {}): Policy => ({
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', ...rule }],
})

async function scene(policy: Policy, options: object = {}, kind: (typeof STORES)[number] = 'memory') {
  const shared = fleet(kind)
  const desk = channel()
  const { haldir, entries, store } = shared.house({ policy, approvers: [desk.approver], ...options })
  const session = await haldir.createSession({
    agent: 'bot',
    scopes: ['spend:1000'],
    ttl: '2d',
    attributes: { requester: ['carol', 'slack:U7'] },
  })
  const paid: Pay[] = []
  const pay = payFor(haldir, session, paid)
  return { shared, haldir, entries, store, session, pay, paid, desk, pending: () => pendingOf(haldir) }
}

function payFor(haldir: Haldir, session: Session, paid: Pay[]) {
  return governed(
    async (args: Pay) => {
      paid.push(args)
      return `paid ${args.amount}`
    },
    { name: 'pay', scope: 'spend', cost: ({ amount }: Pay) => usd(amount) },
    { haldir, session },
  )
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 5))

describe.each(STORES)('who decides (%s)', (kind) => {
  it.each([
    ['somebody who is not named', { approvers: ['alice'] }, { by: 'mallory' }, 'not-approver'],
    ['somebody of another channel', { approvers: ['slack:U1'] }, { by: 'webhook:U1' }, 'not-approver'],
    [
      'somebody of another group',
      { approvers: ['slack:S1'] },
      { by: 'slack:U1', groups: ['slack:S2'] },
      'not-approver',
    ],
    ['the agent itself', {}, { by: 'bot' }, 'self-approval'],
    ['the agent through a channel', {}, { by: 'webhook:bot' }, 'self-approval'],
    ['the agent in capitals', {}, { by: 'BOT' }, 'self-approval'],
    ['whoever it acts for', {}, { by: 'carol' }, 'self-approval'],
    ['whoever it acts for, though named', { approvers: ['U7', 'x'] }, { by: 'slack:U7' }, 'self-approval'],
    ['nobody', {}, { by: '' }, 'invalid'],
    ['a number', {}, { by: 7 }, 'invalid'],
    ['someone who was shown another call', {}, { by: 'alice', digest: '0'.repeat(64) }, 'other-digest'],
    ['someone who grants what no rule lets him', {}, { by: 'alice', grant: true }, 'invalid'],
    ['someone with hostile arguments', {}, { by: 'alice', args: { then: () => 1 } }, 'invalid'],
  ])('refuses %s, on record, and nothing changes', async (_, rule, say, code) => {
    const { pay, haldir, pending, entries, paid, shared } = await scene(asks(rule as Partial<Rule>), {}, kind)
    const calling = caughtBy(pay({ amount: 50 }))
    const { id } = await pending()
    await expect(haldir.approvals.decide(id, { approve: true, ...say } as never)).rejects.toMatchObject({ code })
    expect(await haldir.approvals.get(id)).toMatchObject({ state: 'pending', votes: [] })
    expect(entries('approval-rejected').at(-1)?.data).toMatchObject({ approval: id, why: code })
    expect(entries('approval-voted')).toEqual([])
    await shared.clock.advance(301_000)
    expect(await calling).toMatchObject({ code: 'approval-expired' })
    expect(paid).toEqual([])
  })

  it.each([
    ['a name through any channel', ['U1'], { by: 'slack:U1' }],
    ['a name through the channel it says', ['slack:U1'], { by: 'slack:U1' }],
    ['a group', ['S1'], { by: 'slack:U9', groups: ['slack:S1'] }],
    ['a group of its channel', ['slack:S1'], { by: 'slack:U9', groups: ['slack:S1'] }],
  ])('takes %s', async (_, approvers, say) => {
    const { pay, haldir, pending } = await scene(asks({ approvers }), {}, kind)
    const calling = pay({ amount: 50 })
    const { id } = await pending()
    expect(await haldir.approvals.decide(id, { approve: true, ...say })).toMatchObject({ state: 'approved' })
    expect(await calling).toBe('paid 50')
  })

  it('wants as many different people as the rule says', async () => {
    const { pay, haldir, pending, paid, desk, entries } = await scene(
      asks({ quorum: 2, approvers: ['a', 'b', 'c'] }),
      {},
      kind,
    )
    const calling = pay({ amount: 50 })
    const { id } = await pending()
    const yes = (by: string) => haldir.approvals.decide(id, { approve: true, by })
    expect(await yes('a')).toMatchObject({ state: 'pending', votes: [{ by: 'a' }] })
    await expect(yes('a')).rejects.toMatchObject({ code: 'voted' })
    await expect(yes('slack:a')).rejects.toMatchObject({ code: 'voted' })
    await turn()
    expect(paid).toEqual([])
    expect(await yes('b')).toMatchObject({ state: 'approved' })
    expect(await calling).toBe('paid 50')
    expect(entries('approval-voted').map(({ data }) => data.by)).toEqual(['a', 'b'])
    expect(entries('approval-decided').map(({ data }) => data.by)).toEqual([['a', 'b']])
    expect(desk.shown.map(({ votes, state }) => `${state} ${votes}`)).toContain('pending 1')
  })

  it('names as those who decided only who has seen what runs', async () => {
    const { pay, haldir, pending, entries, paid } = await scene(asks({ quorum: 2 }), {}, kind)
    const calling = pay({ amount: 50 })
    const { id } = await pending()
    await haldir.approvals.decide(id, { approve: true, by: 'ann' })
    const edit = { approve: true, by: 'bob', args: { amount: 20 } }
    expect(await haldir.approvals.decide(id, edit)).toMatchObject({ state: 'pending', votes: [{ by: 'bob' }] })
    await haldir.approvals.decide(id, { approve: true, by: 'cid' })
    expect(await calling).toBe('paid 20')
    expect(paid).toEqual([{ amount: 20 }])
    for (const type of ['approval-decided', 'approval-used'] as const) {
      expect(entries(type).map(({ data }) => data.by)).toEqual([['bob', 'cid']])
    }
  })

  it('takes one no for an answer, whoever has said yes', async () => {
    const { pay, haldir, pending, paid } = await scene(asks({ quorum: 2 }), {}, kind)
    const calling = caughtBy(pay({ amount: 50 }))
    const { id } = await pending()
    await haldir.approvals.decide(id, { approve: true, by: 'a' })
    await haldir.approvals.decide(id, { approve: false, by: 'b' })
    expect(await calling).toMatchObject({ code: 'approval-denied' })
    await expect(haldir.approvals.decide(id, { approve: true, by: 'c' })).rejects.toMatchObject({ code: 'decided' })
    expect(paid).toEqual([])
  })

  it('wants a yes for every rule that asks, of whoever that rule names', async () => {
    const policy = asks({ approvers: ['finance'] })
    const both = {
      ...policy,
      rules: [...policy.rules, { id: 'night', then: 'ask', approvers: ['ops', 'boss'] } as Rule],
    }
    const { pay, haldir, pending } = await scene(both, {}, kind)
    const calling = pay({ amount: 50 })
    const { id, terms } = await pending()
    expect(terms.map(({ rule }) => rule)).toEqual(['big', 'night'])
    expect(await haldir.approvals.decide(id, { approve: true, by: 'finance' })).toMatchObject({ state: 'pending' })
    expect(await haldir.approvals.decide(id, { approve: true, by: 'boss' })).toMatchObject({ state: 'approved' })
    expect(await calling).toBe('paid 50')
  })

  it('lets one of two who decide at once decide', async () => {
    for (let round = 0; round < 10; round++) {
      const { pay, haldir, pending, paid, entries } = await scene(asks(), {}, kind)
      const calling = caughtBy(pay({ amount: 50 }))
      const { id } = await pending()
      const say = (by: string, approve: boolean) =>
        haldir.approvals.decide(id, { approve, by }).then(
          () => by,
          () => '',
        )
      const won = (await Promise.all([say('a', true), say('b', false), say('c', true)])).filter((by) => by !== '')
      expect(won).toHaveLength(1)
      expect(entries('approval-decided')).toHaveLength(1)
      const error = await calling
      expect(paid).toHaveLength(error === undefined ? 1 : 0)
    }
  })
})

it('takes nobody for a requester whose name is none', async () => {
  const { haldir } = await scene(asks())
  for (const requester of [7, { id: 'carol' }, ['carol', null]]) {
    const making = haldir.createSession({ agent: 'bot', scopes: [], attributes: { requester } })
    await expect(making).rejects.toMatchObject({ code: 'invalid-option', path: 'attributes.requester' })
  }
})

describe('not too many at once', () => {
  it('lets a session have five pending, and an agent twenty', async () => {
    const { pay, haldir, shared, paid, entries } = await scene(asks())
    const waiting = Array.from({ length: 5 }, () => caughtBy(pay({ amount: 50 })))
    await turn()
    const error = await caughtBy(pay({ amount: 50 }))
    expect(error).toMatchObject({ code: 'quota-exceeded', rule: 'pending-approvals@session' })
    for (let n = 0; n < 3; n++) {
      const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
      const other = payFor(haldir, session, paid)
      for (let m = 0; m < 5; m++) waiting.push(caughtBy(other({ amount: 50 })))
    }
    await turn()
    const last = payFor(haldir, await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] }), paid)
    expect(await caughtBy(last({ amount: 50 }))).toMatchObject({ rule: 'pending-approvals@agent' })
    expect(entries('approval-requested')).toHaveLength(20)
    await shared.clock.advance(301_000)
    expect((await Promise.all(waiting)).map((one) => (one as { code: string }).code)).toEqual(
      Array(20).fill('approval-expired'),
    )
    expect(paid).toEqual([])
  })

  it('is as many as the application says', async () => {
    const { pay } = await scene(asks(), { approvals: { pending: { session: 1 } } })
    void caughtBy(pay({ amount: 50 }))
    await turn()
    expect(await caughtBy(pay({ amount: 50 }))).toMatchObject({ code: 'quota-exceeded' })
  })
})

describe.each(STORES)('a yes for a while (%s)', (kind) => {
  const rule = { grant: { for: '15m', args: ['to'] } }

  it('is for the same tool and the same of the named arguments, and ends', async () => {
    const { pay, haldir, pending, shared, entries, paid } = await scene(
      asks(rule),
      { approvals: { mode: 'suspend' } },
      kind,
    )
    await caughtBy(pay({ amount: 50, to: 'bob' }))
    const asked = await pending()
    expect(asked.grant).toMatchObject({ forMs: 900_000, args: ['to'] })
    await haldir.approvals.decide(asked.id, { approve: true, by: 'alice', grant: true })
    expect(await pay({ amount: 50, to: 'bob' })).toBe('paid 50')
    expect(await pay({ amount: 70, to: 'bob' })).toBe('paid 70')
    expect(await caughtBy(pay({ amount: 50, to: 'eve' }))).toMatchObject({ code: 'approval-pending' })
    expect(await caughtBy(pay({ amount: 50 }))).toMatchObject({ code: 'approval-pending' })
    expect(entries('approval-used').map(({ data }) => [data.by, data.grant])).toEqual([
      [['alice'], undefined],
      [['alice'], true],
    ])
    await shared.clock.advance(900_000)
    expect(await caughtBy(pay({ amount: 70, to: 'bob' }))).toMatchObject({ code: 'approval-pending' })
    expect(paid).toHaveLength(2)
  })

  it('is for one session, and for the rules that asked', async () => {
    const { pay, haldir, pending, paid } = await scene(asks(rule), { approvals: { mode: 'suspend' } }, kind)
    await caughtBy(pay({ amount: 50, to: 'bob' }))
    await haldir.approvals.decide((await pending()).id, { approve: true, by: 'alice', grant: true })
    const other = payFor(haldir, await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] }), paid)
    expect(await caughtBy(other({ amount: 50, to: 'bob' }))).toMatchObject({ code: 'approval-pending' })
    await haldir.loadPolicy(asks({ ...rule, quorum: 2 }))
    expect(await caughtBy(pay({ amount: 50, to: 'bob' }))).toMatchObject({ code: 'approval-pending' })
    expect(paid).toEqual([])
  })

  it('is not given with other arguments than were asked about, nor where one rule says nothing of it', async () => {
    const policy = asks(rule)
    const { pay, haldir, pending } = await scene(policy, { approvals: { mode: 'suspend' } }, kind)
    await caughtBy(pay({ amount: 50, to: 'bob' }))
    const { id } = await pending()
    const say = { approve: true, by: 'alice', grant: true, args: { amount: 11, to: 'eve' } }
    await expect(haldir.approvals.decide(id, say)).rejects.toMatchObject({ code: 'invalid' })
    await haldir.loadPolicy({ ...policy, rules: [...policy.rules, { id: 'also', then: 'ask' }] })
    await caughtBy(pay({ amount: 51, to: 'bob' }))
    expect((await pending()).grant).toBeUndefined()
  })
})

it('lets a thousand pending approvals expire on time', async () => {
  const { pay, shared, haldir, session, entries } = await scene(asks(), {
    approvals: { mode: 'suspend', timeout: '1h', pending: { session: 1_000, agent: 1_000 } },
  })
  for (let n = 0; n < 1_000; n++) await caughtBy(pay({ amount: 11 + n / 1_000 }))
  expect(await haldir.approvals.list({ state: 'pending', limit: 2_000 })).toHaveLength(1_000)
  await shared.clock.advance(3_599_000)
  expect(await haldir.approvals.list({ state: 'pending', limit: 2_000 })).toHaveLength(1_000)
  await shared.clock.advance(6_000)
  expect(entries('approval-expired')).toHaveLength(1_000)
  expect(await haldir.approvals.list({ state: 'expired', limit: 2_000 })).toHaveLength(1_000)
  expect((await session.budget())[0]?.held.toString()).toBe('0 USD')
})

it('lets two hundred waiting calls expire on time, each told', async () => {
  const { pay, shared, paid } = await scene(asks({ timeout: '90s' }), {
    approvals: { pending: { session: 1_000, agent: 1_000 } },
  })
  const waiting = Array.from({ length: 20 }, () => caughtBy(pay({ amount: 50 })))
  await shared.clock.advance(89_000)
  let ended = 0
  for (const one of waiting) void one.then(() => ended++)
  await turn()
  expect(ended).toBe(0)
  await shared.clock.advance(1_100)
  await turn()
  expect(ended).toBe(20)
  expect((await Promise.all(waiting)).every((one) => (one as { code?: string }).code === 'approval-expired')).toBe(true)
  expect(paid).toEqual([])
})
