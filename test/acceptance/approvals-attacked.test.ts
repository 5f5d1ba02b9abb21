/** What somebody would try who wants more than the yes that was given; and parts that lie, hang or take their time. */
import {
  governed,
  type Haldir,
  type HaldirOptions,
  type Policy,
  type Rule,
  type Session,
  type Store,
  type Suspended,
  usd,
} from '@haldir/core'
import { governTool } from '@haldir/core/adapter'
import { describe, expect, it } from 'vitest'
import { caughtBy, channel, type Pay, pendingOf } from './approval-scene.ts'
import { fleet, STORES, turns } from './scene.ts'

const asks = (rule: Partial<Rule> = {}): Policy => ({
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', ...rule }],
})
const suspend = { approvals: { mode: 'suspend' } } as const
const cost = ({ amount }: Pay) => usd(amount)

type Verbs = Store['approval']

interface Setting {
  rule?: Partial<Rule>
  options?: HaldirOptions
  kind?: (typeof STORES)[number]
  /** The store as this process has it. */
  verbs?: (sound: Verbs) => Partial<Verbs>
}

async function scene({ rule, options = suspend, kind = 'memory', verbs }: Setting = {}) {
  const shared = fleet(kind)
  const change = (store: Store) => ({ approval: { ...store.approval, ...verbs?.(store.approval) } })
  const { haldir, entries } = shared.house({ policy: asks(rule), approvers: [channel().approver], ...options }, change)
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
  const paid: Pay[] = []
  const decide = (id: string, by: string, more: object = {}) =>
    haldir.approvals.decide(id, { approve: true, by, ...more })
  const pending = () => pendingOf(haldir)
  return { shared, haldir, entries, session, paid, decide, pending, pay: payFor(haldir, session, paid) }
}

function payFor(haldir: Haldir, session: Session, paid: Pay[] = []) {
  const run = async (args: Pay) => {
    paid.push(args)
    return `paid ${args.amount}`
  }
  return governed(run, { name: 'pay', scope: 'spend', cost }, { haldir, session })
}

async function suspendedId(calling: Promise<unknown>): Promise<string> {
  return ((await caughtBy(calling)) as Suspended).approvalId
}

describe.each(STORES)('a yes for a while (%s)', (kind) => {
  const rule = { quorum: 2, grant: { for: '15m', args: ['to'] } }

  it('is nothing that one of two can give', async () => {
    const { pay, decide } = await scene({ rule, kind })
    const id = await suspendedId(pay({ amount: 50, to: 'bob' }))
    await decide(id, 'ann')
    expect(await decide(id, 'ben', { grant: true })).toMatchObject({ state: 'approved' })
    expect(await pay({ amount: 50, to: 'bob' })).toBe('paid 50')
    expect(await caughtBy(pay({ amount: 70, to: 'bob' }))).toMatchObject({ code: 'approval-pending' })
  })

  it('is what both can give', async () => {
    const { pay, decide } = await scene({ rule, kind })
    const id = await suspendedId(pay({ amount: 50, to: 'bob' }))
    await decide(id, 'ann', { grant: true })
    await decide(id, 'ben', { grant: true })
    expect(await pay({ amount: 70, to: 'bob' })).toBe('paid 70')
  })

  it('is not given any more when an approver has changed the arguments', async () => {
    const { pay, decide, haldir } = await scene({ rule, kind })
    const id = await suspendedId(pay({ amount: 50, to: 'mallory' }))
    await decide(id, 'ann', { args: { amount: 50, to: 'bob' } })
    expect((await haldir.approvals.get(id))?.grant).toBeUndefined()
    expect(await caughtBy(decide(id, 'ben', { grant: true }))).toMatchObject({ code: 'invalid' })
    await decide(id, 'ben')
    expect(await caughtBy(pay({ amount: 700, to: 'mallory' }))).toMatchObject({ code: 'approval-pending' })
  })
})

describe.each(STORES)('an approver who changes the arguments (%s)', (kind) => {
  it('gets no yes from who was about to say it of the ones before', async () => {
    let first: (() => Promise<unknown>) | undefined
    const verbs = (sound: Verbs): Partial<Verbs> => ({
      async change(...args) {
        const before = first
        first = undefined
        await before?.()
        return sound.change(...args)
      },
    })
    const { pay, decide, haldir } = await scene({ rule: { quorum: 2 }, kind, verbs })
    const id = await suspendedId(pay({ amount: 50, to: 'bob' }))
    first = () => decide(id, 'eve', { args: { amount: 900, to: 'eve' } })
    expect(await caughtBy(decide(id, 'ann'))).toMatchObject({ code: 'other-digest' })
    const { state, votes } = (await haldir.approvals.get(id)) ?? {}
    expect([state, votes?.map(({ by }) => by)]).toEqual(['pending', ['eve']])
  })

  it('does not leave the old cost beside the new arguments', async () => {
    const { pay, decide, haldir, paid } = await scene({ rule: { quorum: 2 }, kind })
    const id = await suspendedId(pay({ amount: 50 }))
    expect(await decide(id, 'ann', { args: { amount: 900 } })).toMatchObject({ args: { amount: 900 }, cost: [] })
    await decide(id, 'ben')
    expect(await haldir.approvals.resume(id)).toBe('paid 900')
    expect(paid).toEqual([{ amount: 900 }])
  })
})

it('takes one who spells a name otherwise for the same person', async () => {
  const { pay, decide } = await scene({ rule: { quorum: 2 } })
  const id = await suspendedId(pay({ amount: 50 }))
  await decide(id, 'ann')
  for (const by of ['ann ', 'slack: Ann', 'ａnn'])
    expect(await caughtBy(decide(id, by))).toMatchObject({ code: 'voted' })
  expect(await caughtBy(decide(id, ' bot'))).toMatchObject({ code: 'self-approval' })
})

describe('a store that', () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1e15])('gives people %s: nobody waits so long', async (expiresAt) => {
    const verbs = (sound: Verbs): Partial<Verbs> => ({
      async request(...args) {
        const made = await sound.request(...args)
        return made.ok ? { ok: true, row: { ...made.row, expiresAt } } : made
      },
      async get(id) {
        const row = await sound.get(id)
        return row && { ...row, expiresAt, state: 'pending' }
      },
      expire: () => [],
    })
    const { pay, shared } = await scene({ options: {}, verbs })
    let error: unknown
    void caughtBy(pay({ amount: 50 })).then((caught) => {
      error = caught
    })
    for (let second = 0; second < 320 && !error; second++) await shared.clock.advance(1_000)
    expect(error).toMatchObject({ code: 'unavailable' })
  })

  it('loses its answer leaves no question that nobody waits for', async () => {
    const verbs = (sound: Verbs): Partial<Verbs> => ({
      async request(...args) {
        await sound.request(...args)
        throw new Error('lost')
      },
    })
    const { pay, shared, haldir, session } = await scene({ options: {}, verbs })
    expect(await caughtBy(pay({ amount: 50 }))).toMatchObject({ code: 'unavailable' })
    await shared.clock.advance(10)
    expect(await haldir.approvals.list({ state: 'pending' })).toEqual([])
    expect((await session.budget())[0]?.held.toString()).toBe('0 USD')
  })
})

describe('an application that is told of decisions', () => {
  it('is told by a process that has no channel, of what another one decides later', async () => {
    const shared = fleet('sqlite')
    const [here, there] = [shared.house({ policy: asks(), ...suspend }), shared.house({ policy: asks(), ...suspend })]
    const heard: string[] = []
    there.haldir.approvals.onDecided(({ state }) => heard.push(state))
    const session = await here.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
    const id = await suspendedId(payFor(here.haldir, session)({ amount: 50 }))
    await here.haldir.approvals.decide(id, { approve: true, by: 'ann' })
    await shared.clock.advance(10_000)
    expect(heard).toEqual(['approved'])
  })

  it('is told everywhere, though one handler does not take it', async () => {
    const { pay, haldir, shared, decide } = await scene()
    const heard: string[] = []
    haldir.approvals.onDecided(() => Promise.reject(new Error('no')))
    haldir.approvals.onDecided(({ state }) => heard.push(state))
    await decide(await suspendedId(pay({ amount: 50 })), 'ann')
    await shared.clock.advance(100)
    expect(heard).toEqual(['approved'])
  })

  it('is not told again while it still works on it', async () => {
    const { pay, haldir, shared, decide } = await scene()
    let told = 0
    let done = () => {}
    haldir.approvals.onDecided(() => {
      told++
      return new Promise<void>((resolve) => {
        done = resolve
      })
    })
    await decide(await suspendedId(pay({ amount: 50 })), 'ann')
    await shared.clock.advance(300_000)
    done()
    await shared.clock.advance(300_000)
    expect(told).toBe(1)
  })

  it('keeps what it wants to find with it as data: a promise is none, and ends no process', async () => {
    const failed: unknown[] = []
    const note = (error: unknown) => failed.push(error)
    process.on('unhandledRejection', note)
    const { pay } = await scene({
      options: { approvals: { mode: 'suspend', resume: () => Promise.reject(new Error()) } },
    })
    await caughtBy(pay({ amount: 50 }))
    await turns(5)
    process.off('unhandledRejection', note)
    expect(failed).toEqual([])
  })
})

it('attaches with its token a session that was known by its id before', async () => {
  const shared = fleet()
  const [here, there] = [shared.house({ policy: asks(), ...suspend }), shared.house({ policy: asks(), ...suspend })]
  const session = await here.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
  const id = await suspendedId(payFor(here.haldir, session)({ amount: 50 }))
  await there.haldir.approvals.decide(id, { approve: true, by: 'ann', reason: 'fine' })
  expect((await there.haldir.attach(session.token)).token).toBe(session.token)
})

it('records how a call ended whose caller gave up as somebody said yes', async () => {
  const controller = new AbortController()
  const verbs = (sound: Verbs): Partial<Verbs> => ({
    async change(...args) {
      const row = await sound.change(...args)
      controller.abort(new Error('enough'))
      return row
    },
  })
  const { haldir, session, paid, entries, decide, pending } = await scene({ options: {}, verbs })
  const run = (args: unknown) => paid.push(args as Pay)
  const options = { scope: 'spend', cost }
  const tool = governTool({ framework: 'test', name: 'pay', options, run }, { haldir, session })
  const calling = tool.execute({ args: { amount: 30 }, signal: controller.signal })
  expect(await decide((await pending()).id, 'ann')).toMatchObject({ state: 'approved' })
  expect(await calling).toEqual({ status: 'failed', error: new Error('enough') })
  expect(paid).toEqual([])
  const [asked] = entries('approval-requested')
  expect(entries('refusal')).toMatchObject([{ call: asked?.call, code: 'approval-unavailable' }])
})

it.each(['show', 'close'] as const)('closes, whatever `%s` of a channel is up to', async (verb) => {
  const hangs = { name: 'hangs', show: () => undefined, [verb]: () => new Promise(() => {}) }
  const { pay, haldir, shared } = await scene({ options: { ...suspend, approvers: [hangs as never] } })
  await caughtBy(pay({ amount: 50 }))
  let closed = false
  void haldir.close().then(() => {
    closed = true
  })
  for (let second = 0; second < 12; second++) await shared.clock.advance(1_000)
  expect(closed).toBe(true)
})

it('resumes a call with the tool of its own session, and with that of no other one', async () => {
  const { haldir } = fleet().house({ policy: asks(), ...suspend })
  const ran: string[] = []
  const wrap = async (agent: string) => {
    const session = await haldir.createSession({ agent, scopes: [] })
    return governed(async (_: Pay) => void ran.push(agent), { name: 'pay', scope: [] }, { haldir, session })
  }
  const tools = [await wrap('a'), await wrap('b'), await wrap('c')]
  const id = await suspendedId((tools[1] as (typeof tools)[0])({ amount: 50 }))
  await haldir.approvals.decide(id, { approve: true, by: 'ann' })
  await haldir.approvals.resume(id)
  expect(ran).toEqual(['b'])
})

describe.each(STORES)('what was set aside (%s)', (kind) => {
  async function waits(shared = fleet(kind)) {
    // A process that dies does not give anything back.
    const dies = () => ({ cancel: () => new Promise<never>(() => {}) })
    const { haldir } = shared.house({ policy: asks(), approvals: {} }, dies)
    const parent = await haldir.createSession({ agent: 'boss', scopes: ['spend:1000'], ttl: '2d' })
    const child = await parent.delegate({ agent: 'bot', scopes: ['spend:100'], ttl: '1d' })
    void caughtBy(payFor(haldir, child)({ amount: 50 }))
    const { id } = await pendingOf(haldir)
    const other = shared.house({ policy: asks(), approvals: {} })
    const held = async () => (await (await other.haldir.attach(parent.token)).budget())[0]?.held.toString()
    expect(await held()).toBe('50 USD')
    return { shared, other, child, held, id }
  }

  it('for a dead process is given back when the session is revoked in another one', async () => {
    const { other, child, held } = await waits()
    await (await other.haldir.attach(child.token)).revoke()
    expect(await held()).toBe('0 USD')
  })

  it('is given back in time, and is no payment that was authorized', async () => {
    const { shared, other, child } = await waits()
    await other.store.reserve({ call: 'lapsed', session: child.id, charges: [], leaseMs: 1_000 })
    await shared.clock.advance(2_000)
    await other.haldir.sweep()
    expect(await other.store.hold.get('lapsed')).toMatchObject({ state: 'released' })
    expect(other.entries('outcome')).toEqual([])
  })
})

it('writes no more than so much of what counts for nothing, also about an approval that there is', async () => {
  const { pay, decide, entries, shared } = await scene()
  const id = await suspendedId(pay({ amount: 50 }))
  for (let n = 0; n < 300; n++) await caughtBy(decide(id, 'bot'))
  expect(entries('approval-rejected')).toHaveLength(100)
  await shared.clock.advance(1_000)
  await caughtBy(decide('nothing', 'eve'))
  await caughtBy(decide(id, 'bot'))
  expect(entries('approval-rejected').at(-1)?.data).toMatchObject({ approval: id, unrecorded: 200 })
})

it('asks nobody in shadow mode, and lets an application set itself up all the same', async () => {
  const { pay, haldir } = await scene({ options: { ...suspend, mode: 'shadow' } })
  const stop = haldir.approvals.onDecided(() => {})
  expect(await pay({ amount: 50 })).toBe('paid 50')
  expect([await haldir.approvals.list(), await haldir.approvals.get('x')]).toEqual([[], undefined])
  expect(await caughtBy(haldir.approvals.resume('x'))).toMatchObject({ code: 'unknown' })
  stop()
})

describe('a call that its framework knows by a name', () => {
  async function named(policy = asks()) {
    const shared = fleet()
    const { haldir } = shared.house({ policy, ...suspend })
    const session = await haldir.createSession({ agent: 'bot', scopes: [], ttl: '7d' })
    const ran: unknown[] = []
    const run = (args: unknown) => ran.push(args)
    const tool = governTool({ framework: 'test', name: 'pay', options: { scope: [] }, run }, { haldir, session })
    const ask = async (ref: string | undefined, amount = 50) => {
      const outcome = await tool.execute({ args: { amount }, ref })
      return outcome.status === 'suspended' ? outcome.suspended.approvalId : outcome
    }
    return { shared, haldir, ran, ask }
  }

  it.each([undefined, 'call_1'])(
    '(%s) asks once more when other rules ask, however often it is resumed',
    async (ref) => {
      const { haldir, ran, ask } = await named()
      const id = (await ask(ref)) as string
      await haldir.approvals.decide(id, { approve: true, by: 'ann' })
      await haldir.loadPolicy(asks({ quorum: 2 }))
      const anew = await suspendedId(haldir.approvals.resume(id))
      expect(await suspendedId(haldir.approvals.resume(id))).toBe(anew)
      for (const by of ['ann', 'ben']) await haldir.approvals.decide(anew, { approve: true, by })
      await haldir.approvals.resume(id)
      await caughtBy(haldir.approvals.resume(id))
      expect(await caughtBy(haldir.approvals.resume(anew))).toMatchObject({ code: 'duplicate-call' })
      expect(ran).toHaveLength(1)
    },
  )

  it('is another one under the same name once nobody can use what was said of the first', async () => {
    const { shared, haldir, ask } = await named()
    await haldir.approvals.decide((await ask('call_0')) as string, { approve: true, by: 'ann' })
    expect(await ask('call_0', 60)).toMatchObject({ status: 'denied', denial: { code: 'approval-denied' } })
    await shared.clock.advance(2 * 86_400_000)
    expect(await ask('call_0', 60)).toEqual(expect.any(String))
  })
})

it('tells of what else was decided while one is still worked on, however many there are', async () => {
  const { pay, haldir, shared, decide } = await scene({
    options: { approvals: { mode: 'suspend', pending: { session: 100, agent: 100 } } },
  })
  const ids: string[] = []
  for (let amount = 50; amount < 110; amount++) ids.push(await suspendedId(pay({ amount })))
  const told = new Set<string>()
  haldir.approvals.onDecided(({ id }) => {
    told.add(id)
    return told.size === 1 ? new Promise(() => {}) : undefined
  })
  for (const id of ids) await decide(id, 'ann')
  await shared.clock.advance(1_000)
  expect(told.size).toBe(60)
})
