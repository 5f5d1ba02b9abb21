/** What approvals lean on, broken: no call runs without its yes, none waits for ever, and nobody is forgotten. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Approver,
  type Entry,
  governed,
  type Haldir,
  type HaldirOptions,
  type Policy,
  type Session,
  type Sink,
  type Store,
  type Suspended,
  usd,
} from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { type FakeClock, fakeClock } from '@haldir/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { entriesOf, proves } from '../promises.ts'
import { caughtBy, channel, type Pay, pendingOf } from './approval-scene.ts'
import { fleet, turns } from './scene.ts'

type ApprovalRow = NonNullable<Awaited<ReturnType<Store['approval']['get']>>>

const policy: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask' }],
}

const BROKEN: Record<string, () => unknown> = {
  throws: () => {
    throw new Error('password hunter2hunter2')
  },
  rejects: async () => {
    throw new Error('password hunter2hunter2')
  },
  hangs: () => new Promise(() => {}),
  'answers nothing': () => undefined,
  'answers nonsense': () => ({ ok: 'yes', state: 'approved', id: 7 }),
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

/** A haldir on a store of which verbs can be broken while it works. */
async function scene(options: HaldirOptions = {}) {
  const clock = fakeClock()
  const sound = memoryStore({ clock })
  const breaks: Partial<Record<string, () => unknown>> = {}
  const approval = new Proxy(sound.approval, {
    get: (target, verb: string) => breaks[verb] ?? Reflect.get(target, verb),
  })
  const store: Store = new Proxy(
    { ...sound, approval },
    { get: (target, verb: string) => breaks[`store.${verb}`] ?? Reflect.get(target, verb) },
  )
  const sink = memorySink()
  const sinks = { write: undefined as Sink['write'] | undefined }
  const fleetOf = fleet('memory', clock)
  const desk = channel()
  const breakable = new Proxy<Sink>(sink, {
    get: (target, verb) => (verb === 'write' && sinks.write) || Reflect.get(target, verb),
  })
  const entries = (type: Entry['type']) => entriesOf(sink.lines).filter((entry) => entry.type === type)
  const { haldir } = fleetOf.house({
    store,
    policy,
    approvers: [desk.approver],
    sinks: [breakable],
    ...options,
  })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
  const paid: Pay[] = []
  return {
    store,
    clock,
    breaks,
    sinks,
    haldir,
    entries,
    session,
    paid,
    desk,
    pay: payFor(haldir, session, paid),
    fleet: fleetOf,
  }
}

describe.each(Object.entries(BROKEN))('a store that %s', (_, broken) => {
  it.each(['find', 'request', 'get', 'expire', 'store.reserve'])(
    'in `%s`: the call is refused, in time',
    async (verb) => {
      proves('invariant-6')
      const { breaks, pay, paid, clock, haldir, session } = await scene()
      breaks[verb] = broken
      // `find` is of a suspended call, or one that a grant may be for.
      const suspends = verb === 'find'
      const tool = governed(
        async (args: Pay) => void paid.push(args),
        {
          name: 'pay',
          scope: 'spend',
          cost: ({ amount }: Pay) => usd(amount),
          ...(suspends ? { approval: 'suspend' as const } : {}),
        },
        { haldir, session },
      )
      const calling = caughtBy((suspends ? tool : pay)({ amount: 50 }))
      let error: unknown
      void calling.then((told) => {
        error = told
      })
      for (let second = 0; second < 320 && error === undefined; second++) await clock.advance(1_000)
      // Where nothing but the look for what is over is broken, the call ends all the same: nobody has answered.
      // A store that has lost all there was to look for has no approval of this call, and people are asked.
      const codes = ['unavailable', 'approval-expired', 'approval-pending']
      expect(codes).toContain((error as { code?: string })?.code)
      expect(String(error)).not.toContain('hunter2')
      expect(paid).toEqual([])
    },
  )

  it('in `change`: nothing is decided', async () => {
    const { breaks, pay, paid, haldir, clock } = await scene()
    const calling = caughtBy(pay({ amount: 50 }))
    const { id } = await pendingOf(haldir)
    breaks.change = broken
    const deciding = caughtBy(haldir.approvals.decide(id, { approve: true, by: 'alice' }))
    await clock.advance(200_000)
    const refused = await deciding
    delete breaks.change
    if (broken !== BROKEN['answers nonsense']) {
      expect(refused).toBeDefined()
      expect((await haldir.approvals.get(id))?.state).toBe('pending')
    }
    await clock.advance(200_000)
    expect(await calling).toMatchObject({ code: 'approval-expired' })
    expect(paid).toEqual([])
  })

  it('in `admit`, after the yes: refused, and the yes is not used', async () => {
    const { breaks, pay, paid, haldir, clock } = await scene()
    const calling = caughtBy(pay({ amount: 50 }))
    const { id } = await pendingOf(haldir)
    breaks['store.admit'] = broken
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await clock.advance(20_000)
    expect(await calling).toMatchObject({ code: 'unavailable' })
    expect(paid).toEqual([])
  })
})

describe('a trail that accepts nothing', () => {
  it('keeps a question from being asked, and what was asked is withdrawn', async () => {
    const { sinks, pay, paid, haldir, desk } = await scene()
    sinks.write = () => {
      throw new Error('full')
    }
    expect(await caughtBy(pay({ amount: 50 }))).toMatchObject({ code: 'unavailable' })
    expect(await haldir.approvals.list({ state: 'pending' })).toEqual([])
    expect(desk.shown.map(({ state }) => state)).not.toContain('pending')
    expect(paid).toEqual([])
  })

  it('keeps a decision from being made', async () => {
    const { sinks, pay, paid, haldir, clock } = await scene()
    const calling = caughtBy(pay({ amount: 50 }))
    const { id } = await pendingOf(haldir)
    sinks.write = () => {
      throw new Error('full')
    }
    await expect(haldir.approvals.decide(id, { approve: true, by: 'alice' })).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect((await haldir.approvals.get(id))?.state).toBe('pending')
    sinks.write = undefined
    await clock.advance(301_000)
    expect(await calling).toMatchObject({ code: 'approval-expired' })
    expect(paid).toEqual([])
  })

  it('keeps a yes from being used for anything', async () => {
    const { sinks, pay, paid, haldir, session } = await scene({ approvals: { mode: 'suspend' } })
    const { approvalId: id } = (await caughtBy(pay({ amount: 50 }))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    sinks.write = () => {
      throw new Error('full')
    }
    expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'unavailable' })
    expect(paid).toEqual([])
    expect((await session.budget())[0]?.held.toString()).toBe('0 USD')
  })
})

describe('a channel that is down', () => {
  it('stalls nothing, and is told how it all ended when it is well again', async () => {
    const { desk, pay, haldir, clock, paid } = await scene()
    desk.fail(new Error('Slack is down, hunter2hunter2'))
    const calling = pay({ amount: 50 })
    const { id } = await pendingOf(haldir)
    await clock.advance(10_000)
    expect(desk.shown).toEqual([])
    desk.fail(undefined)
    await clock.advance(60_000)
    expect(desk.shown.map(({ state }) => state)).toEqual(['pending'])
    desk.fail(new Error('down again'))
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    expect(await calling).toBe('paid 50')
    desk.fail(undefined)
    await clock.advance(60_000)
    expect(desk.shown.map(({ state }) => state)).toEqual(['pending', 'approved'])
    expect(paid).toHaveLength(1)
    expect(JSON.stringify(haldir.health().faults)).not.toContain('hunter2')
  })

  it('that hangs holds up no other channel', async () => {
    const other = channel('other')
    const hangs = { name: 'hangs', show: () => new Promise(() => {}) }
    const { pay, haldir, clock } = await scene({ approvers: [hangs, other.approver] })
    const calling = pay({ amount: 50 })
    const { id } = await pendingOf(haldir)
    await clock.advance(1_000)
    expect(other.shown.map(({ state }) => state)).toEqual(['pending'])
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    expect(await calling).toBe('paid 50')
    await clock.advance(1_000)
    expect(other.shown.map(({ state }) => state)).toEqual(['pending', 'approved'])
  })

  it('that hangs on one approval is shown the others', async () => {
    const shown: string[] = []
    const approver: Approver = {
      name: 'slow',
      show: ({ id }) => (shown.push(id) === 1 ? new Promise(() => {}) : {}),
    }
    const { pay, haldir, clock } = await scene({ approvers: [approver] })
    void caughtBy(pay({ amount: 50 }))
    await pendingOf(haldir)
    await clock.advance(100)
    void caughtBy(pay({ amount: 60 }))
    await clock.advance(100)
    expect(new Set(shown).size).toBe(2)
    // And the first again, when it has had its time.
    await clock.advance(25_000)
    expect([shown.length, shown[2]]).toEqual([3, shown[0]])
  })

  it('that is slow is shown what has changed when it is done, and not beside that', async () => {
    const shown: unknown[] = []
    let clock: FakeClock | undefined
    const approver: Approver = {
      name: 'slow',
      async show({ votes }, note) {
        shown.push([votes.length, note])
        await new Promise<void>((done) => clock?.setTimeout(done, 3_000))
        return note ?? { card: shown.length }
      },
    }
    const rules = [{ ...policy.rules[0], quorum: 3 }] as Policy['rules']
    const there = await scene({ approvers: [approver], policy: { ...policy, rules } })
    clock = there.clock
    void caughtBy(there.pay({ amount: 50 }))
    const { id } = await pendingOf(there.haldir)
    await clock.advance(1_000)
    await there.haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await clock.advance(1_000)
    expect(shown).toEqual([[0, undefined]])
    await clock.advance(5_000)
    expect(shown).toEqual([
      [0, undefined],
      [1, { card: 1 }],
    ])
  })

  it('waits as long as it has said', async () => {
    const { desk, pay, haldir, clock } = await scene()
    desk.fail(Object.assign(new Error('429'), { retryAfterMs: 30_000 }))
    void caughtBy(pay({ amount: 50 }))
    await pendingOf(haldir)
    await clock.advance(100)
    desk.fail(undefined)
    await clock.advance(25_000)
    expect(desk.shown).toEqual([])
    await clock.advance(12_000)
    expect(desk.shown).toHaveLength(1)
  })
})

describe('an application that is told of decisions', () => {
  it('is told again until it has taken it', async () => {
    const { pay, haldir, clock } = await scene({ approvals: { mode: 'suspend' } })
    let tries = 0
    haldir.approvals.onDecided(async () => {
      if (++tries < 3) throw new Error('not yet')
    })
    const { approvalId: id } = (await caughtBy(pay({ amount: 50 }))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await clock.advance(30_000)
    expect(tries).toBe(3)
    await clock.advance(600_000)
    expect(tries).toBe(3)
  })

  it('takes as long as what it resumes: it is not told twice meanwhile, nor does the next one wait', async () => {
    const { pay, haldir, clock } = await scene({ approvals: { mode: 'suspend' } })
    const told: unknown[] = []
    haldir.approvals.onDecided(async ({ args }) => {
      const { amount } = args as Pay
      told.push(amount)
      if (amount === 50) await new Promise<void>((done) => clock.setTimeout(done, 200_000))
      told.push(`${amount} done`)
    })
    for (const amount of [50, 60]) {
      const { approvalId: id } = (await caughtBy(pay({ amount }))) as Suspended
      await haldir.approvals.decide(id, { approve: true, by: 'alice' })
      await clock.advance(1_000)
    }
    expect(told).toEqual([50, 60, '60 done'])
    await clock.advance(1_000_000)
    expect(told).toEqual([50, 60, '60 done', '50 done'])
  })

  it('may close the haldir when it has heard what it waited for', async () => {
    const { pay, haldir, clock } = await scene({ approvals: { mode: 'suspend' } })
    let closed = false
    haldir.approvals.onDecided(async () => {
      await haldir.close()
      closed = true
    })
    const { approvalId: id } = (await caughtBy(pay({ amount: 50 }))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    for (let seconds = 0; seconds < 10 && !closed; seconds++) await clock.advance(1_000)
    expect(closed).toBe(true)
  })

  it('is told in another process, of what was decided while nobody listened', async () => {
    const shared = fleet()
    const one = shared.house({ policy, approvals: { mode: 'suspend', resume: ({ tool }) => ({ run: 7, tool }) } })
    const session = await one.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
    const { approvalId: id } = (await caughtBy(payFor(one.haldir, session, [])({ amount: 50 }))) as Suspended
    await one.haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await one.haldir.close()
    const other = shared.house({ policy, approvals: { mode: 'suspend' } })
    const heard: unknown[] = []
    other.haldir.approvals.onDecided((approval) => heard.push([approval.id, approval.state, approval.resume]))
    await shared.clock.advance(10_000)
    expect(heard).toEqual([[id, 'approved', { run: 7, tool: 'pay' }]])
    const paid: Pay[] = []
    const tool = payFor(other.haldir, await other.haldir.attach(session.token), paid)
    expect(await other.haldir.approvals.resume(id)).toBe('paid 50')
    expect(paid).toEqual([{ amount: 50 }])
    expect(tool).toBeDefined()
  })
})

describe('another process', () => {
  it('learns of a revoke while its call waits', async () => {
    proves('invariant-5')
    const shared = fleet('sqlite')
    const [here, there] = [shared.house({ policy, approvals: {} }), shared.house({ policy, approvals: {} })]
    const session = await here.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] })
    const paid: Pay[] = []
    const calling = caughtBy(payFor(there.haldir, await there.haldir.attach(session.token), paid)({ amount: 50 }))
    await pendingOf(here.haldir)
    await session.revoke('stop')
    await shared.clock.advance(1_000)
    expect(await calling).toMatchObject({ code: 'session-revoked' })
    expect(paid).toEqual([])
  })

  it('decides for a call that waits here', async () => {
    const shared = fleet('sqlite')
    const [here, there] = [shared.house({ policy, approvals: {} }), shared.house({ policy, approvals: {} })]
    const session = await here.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] })
    const calling = payFor(here.haldir, session, [])({ amount: 50 })
    const { id } = await pendingOf(there.haldir)
    await there.haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await shared.clock.advance(1_000)
    expect(await calling).toBe('paid 50')
  })

  it('shows the end of what a dead one has asked', async () => {
    const shared = fleet()
    const desks = [channel(), channel()]
    const dead = shared.house({ policy, approvers: [desks[0]?.approver as never] })
    const session = await dead.haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
    void caughtBy(payFor(dead.haldir, session, [])({ amount: 50 }))
    await pendingOf(dead.haldir)
    await shared.clock.advance(100)
    expect(desks[0]?.shown).toHaveLength(1)
    // The next one looks for what is due; which of the two comes first does not matter, nor does either tell it twice.
    const next = shared.house({ policy, approvers: [desks[1]?.approver as never] })
    await shared.clock.advance(400_000)
    expect([...(desks[0]?.shown ?? []), ...(desks[1]?.shown ?? [])].map(({ state }) => state)).toEqual([
      'pending',
      'expired',
    ])
    expect((await next.haldir.attach(session.token)).id).toBe(session.id)
  })
})

describe('what is kept of a suspended call', () => {
  const folders: string[] = []
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  })

  it('is sealed, when there is a key, and opens for nobody else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'haldir-sealed-'))
    folders.push(folder)
    const shared = fleet('sqlite')
    const key = {
      id: 'k',
      wrap: (bytes: Uint8Array) => bytes.map((byte) => byte ^ 7),
      unwrap: (bytes: Uint8Array) => bytes.map((byte) => byte ^ 7),
    }
    const { haldir } = shared.house({ policy, approvals: { mode: 'suspend' }, vault: { keys: [key] } })
    await haldir.vault.put('iban', 'DE89370400440532013000', { scope: 'spend' })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'] })
    const paid: Pay[] = []
    const pay = governed(
      async (args: Pay) => paid.push(args),
      {
        name: 'pay',
        scope: 'spend',
        cost: ({ amount }: Pay) => usd(amount),
        secrets: ['iban'],
      },
      { haldir, session },
    )
    // Once revealed in the session, it is looked for in all that people and stores are shown.
    await pay({ amount: 1 })
    const { approvalId: id } = (await caughtBy(pay({ amount: 50, to: 'DE89370400440532013000' }))) as Suspended
    expect(shared.bytes()).not.toContain('DE89370400440532013000')
    expect((await haldir.approvals.get(id))?.argsText).not.toContain('DE89370400440532013000')
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await haldir.approvals.resume(id)
    expect(paid.at(-1)).toEqual({ amount: 50, to: 'DE89370400440532013000' })
  })

  it('is dates, addresses and large integers again', async () => {
    const { haldir, session } = await scene({ approvals: { mode: 'suspend' }, policy: { default: 'ask', rules: [] } })
    const seen: unknown[] = []
    const tool = governed(async (args: object) => seen.push(args), { name: 'odd', scope: [] }, { haldir, session })
    const args = { at: new Date(5), to: new URL('https://example.test/x'), n: 2n ** 70n, list: [null, { a: -0 }] }
    const { approvalId: id } = (await caughtBy(tool(args))) as Suspended
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    await haldir.approvals.resume(id)
    expect(seen).toEqual([{ ...args, list: [null, { a: 0 }] }])
  })
})

it('runs no arguments that somebody has put in the place of those that were approved', async () => {
  const { breaks, store, haldir, pay, paid } = await scene({ approvals: { mode: 'suspend' } })
  const { approvalId: id } = (await caughtBy(pay({ amount: 50, to: 'bob' }))) as Suspended
  await haldir.approvals.decide(id, { approve: true, by: 'alice', args: { amount: 40, to: 'bob' } })
  const row = (await store.approval.get(id)) as ApprovalRow
  const sealed = Buffer.from('{"amount":40,"to":"eve"}').toString('base64')
  const { edited } = row.data as { edited: { was: string; sealed: object } }
  const data = { ...row.data, edited: { ...edited, sealed: { ...edited.sealed, sealed } } }
  breaks.get = () => ({ ...row, data })
  expect(await caughtBy(haldir.approvals.resume(id))).toMatchObject({ code: 'unavailable' })
  delete breaks.get
  expect(await haldir.approvals.resume(id)).toBe('paid 40')
  expect(paid).toEqual([{ amount: 40, to: 'bob' }])
})

describe('a haldir that closes', () => {
  it('ends the calls that wait, and lets go of its channels', async () => {
    const { pay, haldir, paid } = await scene()
    const calling = caughtBy(pay({ amount: 50 }))
    await pendingOf(haldir)
    await Promise.race([haldir.close(), turns(200)])
    expect(await calling).toMatchObject({ code: 'unavailable' })
    expect(paid).toEqual([])
  })
})

it('lets strangers fill no trail: what is left out is counted', async () => {
  const { haldir, entries, desk, clock } = await scene()
  for (let n = 0; n < 500; n++) await desk.port().reject({ why: 'a wrong signature' })
  expect(entries('approval-rejected')).toHaveLength(100)
  await clock.advance(1_000)
  for (let n = 0; n < 3; n++) await desk.port().reject({ why: 'a wrong signature' })
  expect(
    entries('approval-rejected')
      .map(({ data }) => data.unrecorded)
      .filter(Boolean),
  ).toEqual([400])
  await expect(haldir.approvals.decide('nothing', { approve: true, by: 'eve' })).rejects.toMatchObject({
    code: 'unknown',
  })
})
