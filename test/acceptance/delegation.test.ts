/** Delegation: a child session can never do what its parent could not, however long the chain and wherever it runs. */
import {
  currentCall,
  governed,
  type Haldir,
  HaldirError,
  money,
  type Policy,
  type Session,
  type Store,
  usd,
} from '@haldir/core'
import { describe, expect, it, vi } from 'vitest'
import { proves } from '../promises.ts'
import { denial, fleet, misuse, payer, reader, STORES, standing, told, turns } from './scene.ts'

const MINUTE = 60_000

/** A session, its child and its grandchild, each a minute long unless told otherwise. */
async function family(haldir: Haldir, scopes: readonly string[][], ttl = '1h') {
  const [own = [], ...rest] = scopes
  const sessions = [await haldir.createSession({ agent: 'agent-0', tenant: 'acme', scopes: own, ttl })]
  for (const [index, list] of rest.entries()) {
    const parent = sessions.at(-1) as Session
    sessions.push(await parent.delegate({ agent: `agent-${index + 1}`, scopes: list, ttl }))
  }
  return sessions as [Session, Session, Session]
}

describe.each(STORES)('what is passed on (%s)', (kind) => {
  it('is refused at once when it goes beyond what the session holds, and nothing is made or recorded', async () => {
    proves('invariant-9')
    const { haldir, entries } = fleet(kind).house()
    const [session] = await family(haldir, [['gmail:read', 'spend:50', 'spend:5:EUR/day']])
    const before = entries().length
    for (const [scopes, path] of [
      [['gmail'], 'scopes.0'],
      [['gmail:read', 'gmail:*'], 'scopes.1'],
      [['*'], 'scopes.0'],
      [['spend:50.01'], 'scopes.0'],
      [['spend:*'], 'scopes.0'],
      [['spend:1:GBP'], 'scopes.0'],
      [['spend:6:EUR/day'], 'scopes.0'],
    ] as const) {
      const error = await misuse(() => session.delegate({ agent: 'child', scopes }))
      expect([error.code, error.path]).toEqual(['invalid-scope', path])
    }
    expect(entries().length).toBe(before)
    await session.delegate({ agent: 'child', scopes: ['gmail:read:inbox', 'spend:50', 'spend:5:EUR/day'] })
  })

  it('is measured against every session above, not the nearest alone', async () => {
    proves('invariant-9')
    const { haldir } = fleet(kind).house()
    const [, child] = await family(haldir, [['spend:50:USD/day'], ['spend:500']])
    expect((await misuse(() => child.delegate({ agent: 'x', scopes: ['spend:51:USD/day'] }))).path).toBe('scopes.0')
    await child.delegate({ agent: 'x', scopes: ['spend:50:USD/day'] })
  })

  it('ends no later than the parent, and stands in the trail with its chain', async () => {
    proves('invariant-9')
    const { haldir, entries } = fleet(kind).house()
    const parent = await haldir.createSession({ agent: 'boss', tenant: 'acme', scopes: ['read'], ttl: '10m' })
    const child = await parent.delegate({ agent: 'aide', scopes: ['read'], ttl: '1d' })
    const brief = await child.delegate({ agent: 'temp', scopes: [], ttl: '5m' })
    expect(child.tenant).toBe('acme')
    expect(child.expiresAt).toEqual(parent.expiresAt)
    expect(brief.expiresAt.getTime()).toBe(parent.expiresAt.getTime() - 5 * MINUTE)
    expect(entries('session-delegated')).toMatchObject([
      { agent: 'aide', session: child.id, chain: [parent.id], data: { scopes: ['read'] } },
      { agent: 'temp', session: brief.id, chain: [parent.id, child.id], data: { scopes: [] } },
    ])
    expect(await told(reader(brief)())).toBe('ran')
    expect(entries('intent').at(-1)).toMatchObject({ agent: 'temp', chain: [parent.id, child.id] })
  })

  it('stops by itself when the parent ends, however long it was to live', async () => {
    const { clock, house } = fleet(kind)
    const [parent] = await family(house().haldir, [['read']], '5m')
    const { signal } = await parent.delegate({ agent: 'aide', scopes: ['read'], ttl: '1d' })
    await clock.advance(5 * MINUTE - 1)
    expect(signal.aborted).toBe(false)
    await clock.advance(1)
    expect(signal.reason).toMatchObject({ code: 'session-expired' })
  })

  it('goes through eight others at most', async () => {
    const { haldir } = fleet(kind).house()
    let session = await haldir.createSession({ agent: 'a', scopes: ['read'] })
    for (let depth = 1; depth <= 8; depth++) session = await session.delegate({ agent: 'a', scopes: ['read'] })
    expect(session.leaves).toHaveLength(9)
    expect(await told(reader(session, { scope: 'read' })())).toBe('ran')
    expect((await misuse(() => session.delegate({ agent: 'a', scopes: [] }))).path).toBe('delegate')
  })

  it('is nothing once the parent is over', async () => {
    proves('invariant-5', 'invariant-9')
    const { clock, house } = fleet(kind)
    const { haldir } = house()
    const other = house()
    const [expired] = await family(haldir, [['read']], '1m')
    const revoked = await haldir.createSession({ agent: 'a', scopes: ['read'] })
    const elsewhere = await other.haldir.attach(revoked.token)
    await revoked.revoke()
    await clock.advance(MINUTE)
    expect((await denial(expired.delegate({ agent: 'b', scopes: [] }))).code).toBe('session-expired')
    expect((await denial(revoked.delegate({ agent: 'b', scopes: [] }))).code).toBe('session-revoked')
    // This handle does not know yet; the store does.
    expect((await denial(elsewhere.delegate({ agent: 'b', scopes: [] }))).code).toBe('session-revoked')
    expect(other.entries('session-delegated')).toEqual([])
  })
})

it.each([
  ['agent', { agent: 'a|b', scopes: [] }],
  ['agent', { scopes: [] }],
  ['scopes', { agent: 'a' }],
  ['scopes.0', { agent: 'a', scopes: ['spend'] }],
  ['ttl', { agent: 'a', scopes: [], ttl: 'soon' }],
  ['tenant', { agent: 'a', scopes: [], tenant: 'other' }],
  ['scope', { agent: 'a', scope: [] }],
  ['attributes', { agent: 'a', scopes: [], attributes: { f: () => 1 } }],
])('refuses a bad `%s` of `delegate`', async (path, options) => {
  const [session] = await family(fleet().house().haldir, [['read']])
  expect((await misuse(() => session.delegate(options as never))).path).toBe(path)
})

describe('a child is judged for everyone in its chain', () => {
  const rule = (one: Partial<Policy['rules'][number]>): Policy => ({
    default: 'allow',
    allowByDefault: true,
    rules: [{ id: 'the-rule', then: 'deny', ...one }],
  })

  it.each([
    ['by agent', rule({ agents: 'agent-0' })],
    ['by agent in the middle', rule({ agents: 'agent-1' })],
    ['by its own agent', rule({ agents: 'agent-2' })],
    ['by tenant', rule({ tenants: 'ac*' })],
    ['by scopes', rule({ when: { 'session.scopes': { contains: 'admin' } } })],
    ['by attributes of the first', rule({ when: { 'session.attributes.role': 'intern' } })],
    ['by depth', rule({ when: { 'session.depth': { eq: 0 } } })],
  ])('a rule that denies %s refuses its call', async (_, policy) => {
    proves('invariant-9')
    const { haldir, entries } = fleet().house({ policy })
    const first = await haldir.createSession({
      agent: 'agent-0',
      tenant: 'acme',
      scopes: ['read', 'admin'],
      attributes: { role: 'intern' },
    })
    const second = await first.delegate({ agent: 'agent-1', scopes: ['read'] })
    const third = await second.delegate({ agent: 'agent-2', scopes: ['read'] })
    const error = await denial(reader(third, { scope: 'read' })())
    expect([error.code, error.rule]).toEqual(['policy-denied', 'the-rule'])
    expect(entries('refusal')).toMatchObject([
      { agent: 'agent-2', code: 'policy-denied', chain: [first.id, second.id] },
    ])
  })

  it('the strictest verdict counts: an allow of the child does not outweigh an ask or the default of the parent', async () => {
    proves('invariant-9')
    const asks: Policy = {
      default: 'deny',
      rules: [
        { id: 'aides-may', agents: 'agent-1', then: 'allow' },
        { id: 'bosses-ask', agents: 'agent-0', then: 'ask' },
      ],
    }
    const one = fleet().house({ policy: asks })
    const [parent, child] = await family(one.haldir, [['read'], ['read']])
    for (const session of [parent, child]) {
      const error = await denial(reader(session)())
      expect([error.code, error.rule]).toEqual(['approval-unavailable', 'bosses-ask'])
    }
    const two = fleet().house({ policy: { ...asks, rules: asks.rules.slice(0, 1) } })
    const [, other] = await family(two.haldir, [['read'], ['read']])
    expect(await denial(reader(other)())).toMatchObject({ code: 'policy-denied', rule: 'default' })
  })

  it('a guard is asked for each identity, and one refusal is enough', async () => {
    proves('invariant-9')
    const seen: string[] = []
    const guard = {
      name: 'no-bosses',
      decide: async ({ session }: { session: { agent: string } }) => {
        seen.push(session.agent)
        return session.agent === 'agent-0' ? ('deny' as const) : ('allow' as const)
      },
    }
    const { haldir } = fleet().house({ guards: [guard] })
    const [, , grandchild] = await family(haldir, [['read'], ['read'], ['read']])
    const tool = vi.fn(async () => 'ran')
    const call = governed(tool, { name: 'read', scope: 'read' }, { session: grandchild })
    expect(await denial(call())).toMatchObject({ code: 'policy-denied', rule: 'guard:no-bosses' })
    expect(seen).toEqual(['agent-2', 'agent-1', 'agent-0'])
    expect(tool).not.toHaveBeenCalled()
  })

  it('a secret is revealed only where everyone holds its scope', async () => {
    proves('invariant-9', 'secrets-scoped')
    const key = { id: 'k', wrap: (data: Uint8Array) => data.slice(), unwrap: (data: Uint8Array) => data.slice() }
    const { haldir } = fleet().house({ vault: { keys: [key] } })
    await haldir.vault.put('api_key', 'the secret of acme', { scope: 'vault:read', tenant: 'acme' })
    const [parent, child, grandchild] = await family(haldir, [['vault', 'read'], ['vault:read'], []])
    const options = { name: 'look', scope: [], secrets: ['api_key'] }
    const look = async () => currentCall().secret('api_key').reveal().length
    expect(await governed(look, options, { session: parent })()).toBe(18)
    expect(await governed(look, options, { session: child })()).toBe(18)
    expect(await told(governed(look, options, { session: grandchild })())).toBe('secret-unavailable')
  })

  it('also when the store has been made to say that a child holds more than its parent', async () => {
    proves('invariant-9')
    const { house } = fleet()
    const key = { id: 'k', wrap: (data: Uint8Array) => data.slice(), unwrap: (data: Uint8Array) => data.slice() }
    const there = house({ vault: { keys: [key] } }, (store) => ({
      session: {
        ...store.session,
        get: async (by) => {
          const row = await store.session.get(by)
          return row && { ...row, scopes: row.agent === 'agent-1' ? ['*', 'spend:*'] : row.scopes }
        },
      },
    }))
    const [, child] = await family(house().haldir, [['read', 'spend:5'], ['read']])
    const attached = await there.haldir.attach(child.token)
    expect(attached.scopes).toEqual(['*', 'spend:*'])
    expect(await told(reader(attached, { scope: 'read' })())).toBe('ran')
    expect(await told(reader(attached, { scope: 'admin' })())).toBe('scope-missing')
    expect(await told(payer(attached)({ amount: 6 }))).toBe('budget-exceeded')
    expect(await told(payer(attached, { cost: money('EUR', 1) })({}))).toBe('budget-exceeded')
    await there.haldir.vault.put('api_key', 'the secret of acme', { scope: 'vault', tenant: 'acme' })
    expect(await told(reader(attached, { secrets: ['api_key'] }, 'look')())).toBe('secret-unavailable')
  })
})

describe.each(STORES)('a child is metered on everyone in its chain (%s)', (kind) => {
  it('every ancestor is charged, and the one that is full refuses, named as a parent', async () => {
    proves('invariant-9', 'per-session-budget')
    const { haldir } = fleet(kind).house()
    const [parent, child, grandchild] = await family(haldir, [['spend:50'], ['spend:40'], ['spend:30']])
    const sibling = await parent.delegate({ agent: 'sibling', scopes: ['spend:50'] })
    expect(await told(payer(grandchild)({ amount: 25 }))).toBe('ran')
    expect(await standing(grandchild)).toEqual([
      'budget:USD: 25 + 0 of 30',
      'parent:budget:USD: 25 + 0 of 40',
      'parent:budget:USD: 25 + 0 of 50',
    ])
    expect(await denial(payer(grandchild)({ amount: 6 }))).toMatchObject({
      code: 'budget-exceeded',
      rule: 'budget:USD',
    })
    expect(await told(payer(child)({ amount: 15 }))).toBe('ran')
    const full = await denial(payer(grandchild)({ amount: 1 }))
    expect(full).toMatchObject({ code: 'budget-exceeded', rule: 'parent:budget:USD' })
    expect(await told(payer(sibling)({ amount: 11 }))).toBe('budget-exceeded')
    expect(await told(payer(sibling)({ amount: 10 }))).toBe('ran')
    expect(await standing(parent)).toEqual(['budget:USD: 50 + 0 of 50'])
    // A refused call has burnt nothing on any of them.
    expect(await standing(child)).toEqual(['budget:USD: 40 + 0 of 40', 'parent:budget:USD: 50 + 0 of 50'])
  })

  it('in several currencies and windows at once', async () => {
    proves('invariant-9')
    const { clock, house } = fleet(kind)
    const { haldir } = house()
    const [parent, child] = await family(haldir, [['spend:10:USD/day', 'spend:30', 'spend:5:EUR'], ['spend:25']], '30d')
    expect(await told(payer(child)({ amount: 10 }))).toBe('ran')
    expect(await denial(payer(child)({ amount: 1 }))).toMatchObject({ rule: 'parent:budget:USD/day' })
    await clock.advance(24 * 60 * MINUTE)
    expect(await told(payer(child)({ amount: 10 }))).toBe('ran')
    await clock.advance(24 * 60 * MINUTE)
    expect(await denial(payer(child)({ amount: 6 }))).toMatchObject({ rule: 'budget:USD' })
    expect(await told(payer(child)({ amount: 5 }))).toBe('ran')
    expect(await standing(parent)).toEqual([
      'budget:USD/day: 5 + 0 of 10',
      'budget:USD: 25 + 0 of 30',
      'budget:EUR: 0 + 0 of 5',
    ])
  })

  it('a currency it was not given stays shut, though its parent has a budget in it', async () => {
    proves('invariant-9')
    const { haldir } = fleet(kind).house()
    const [parent, child] = await family(haldir, [['spend:50', 'spend:5:EUR'], ['spend:5:EUR']])
    const error = await denial(payer(child)({ amount: 1 }))
    expect([error.code, error.message]).toEqual(['budget-exceeded', expect.stringContaining('`USD`')])
    expect(await told(child.charge(usd(1), 'tokens'))).toBe('budget-exceeded')
    const authorized = haldir.payments.authorize(child, { amount: usd(1), description: 'a book' })
    expect((await denial(authorized)).code).toBe('budget-exceeded')
    // What was charged has been spent all the same, and counts where something counts it.
    expect(await standing(parent)).toEqual(['budget:USD: 1 + 0 of 50', 'budget:EUR: 0 + 0 of 5'])
  })

  it('`spend:*` of a child is bounded by what limits its parents', async () => {
    proves('invariant-9')
    const { haldir } = fleet(kind).house()
    const [, child, grandchild] = await family(haldir, [['spend:*', 'spend:20'], ['spend:*'], ['spend:*']])
    expect(await told(payer(grandchild)({ amount: 15 }))).toBe('ran')
    expect(await told(payer(child)({ amount: 6 }))).toBe('budget-exceeded')
    expect(await told(payer(grandchild, { cost: money('EUR', 1_000) })({}))).toBe('ran')
  })

  it('what a call has cost beyond its hold is counted on all of them, and blocks all of them', async () => {
    proves('invariant-3', 'invariant-9')
    const { haldir } = fleet(kind).house()
    const [parent, child] = await family(haldir, [['spend:10'], ['spend:5']])
    const dear = governed(
      async () => currentCall().spent(usd(12)),
      { name: 'dear', scope: 'spend', cost: usd(1) },
      { session: child },
    )
    await dear()
    expect(await standing(child)).toEqual(['budget:USD: 12 + 0 of 5', 'parent:budget:USD: 12 + 0 of 10'])
    expect(await told(payer(parent)({ amount: 1 }))).toBe('budget-exceeded')
  })
})

describe.each(STORES)('revoking the parent (%s)', (kind) => {
  it('ends everything below it, in every process, and nothing beside or above it', async () => {
    proves('invariant-5', 'invariant-9', 'instant-revoke')
    const { house } = fleet(kind)
    const [here, there] = [house(), house()]
    const [root, parent, child] = await family(here.haldir, [['read'], ['read'], ['read']])
    const grandchild = await child.delegate({ agent: 'd', scopes: ['read'] })
    const sibling = await root.delegate({ agent: 's', scopes: ['read'] })
    const attached = await there.haldir.attach(grandchild.token)
    expect(await told(reader(attached)())).toBe('ran')
    await parent.revoke('done')
    for (const session of [parent, child, grandchild, attached]) {
      expect(await told(reader(session)())).toBe('session-revoked')
      expect(await told(session.delegate({ agent: 'e', scopes: [] }))).toBe('session-revoked')
      expect(session.signal.aborted).toBe(true)
    }
    for (const session of [root, sibling]) expect(await told(reader(session)())).toBe('ran')
    expect(here.entries('session-revoked')).toMatchObject([
      { session: parent.id, data: { reason: 'done', sessions: 3 } },
    ])
    expect(await told(reader(await there.haldir.attach(child.token))())).toBe('session-revoked')
  })

  it('aborts the calls that run below it', async () => {
    proves('invariant-5', 'instant-revoke')
    const { haldir } = fleet(kind).house()
    const [parent, , grandchild] = await family(haldir, [['spend:9'], ['spend:9'], ['spend:9']])
    const wait = () =>
      new Promise<void>((_, reject) => {
        const { signal } = currentCall()
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    const options = { name: 'wait', scope: 'spend', cost: usd(2), onFailure: 'release' } as const
    const running = governed(wait, options, { session: grandchild })()
    const { signal } = grandchild
    await turns()
    expect(await standing(parent)).toEqual(['budget:USD: 0 + 2 of 9'])
    await parent.revoke()
    expect(await told(running)).toBe('session-revoked')
    expect(signal.aborted).toBe(true)
    expect(await standing(parent)).toEqual(['budget:USD: 0 + 0 of 9'])
  })

  it('from a handle that another process has attached', async () => {
    proves('invariant-5')
    const { house } = fleet(kind)
    const [here, there] = [house(), house()]
    const [parent, child] = await family(here.haldir, [['read'], ['read']])
    await (await there.haldir.attach(parent.token)).revoke()
    expect(await told(reader(child)())).toBe('session-revoked')
  })
})

describe.each(STORES)('another process that attaches a child (%s)', (kind) => {
  it('keeps its whole chain: scopes, meters, entries', async () => {
    proves('invariant-9')
    const { house } = fleet(kind)
    const policy: Policy = {
      default: 'allow',
      allowByDefault: true,
      rules: [{ id: 'first', agents: 'agent-0', tools: 'drop', then: 'deny' }],
    }
    const [here, there] = [house(), house({ policy })]
    const [root, , child] = await family(here.haldir, [['read', 'spend:10'], ['read', 'spend:8'], ['spend:5']])
    const attached = await there.haldir.attach(child.token)
    expect(attached.leaves.map(({ facts }) => facts.agent)).toEqual(['agent-2', 'agent-1', 'agent-0'])
    expect(await told(payer(attached)({ amount: 4 }))).toBe('ran')
    expect(await standing(root)).toEqual(['budget:USD: 4 + 0 of 10'])
    expect(await standing(attached)).toEqual(await standing(child))
    expect(await told(payer(root)({ amount: 6 }))).toBe('ran')
    expect(await denial(payer(attached)({ amount: 1 }))).toMatchObject({ rule: 'parent:budget:USD' })
    expect(await denial(reader(attached, {}, 'drop')())).toMatchObject({ code: 'policy-denied', rule: 'first' })
    expect(there.entries('intent').at(-1)).toMatchObject({ agent: 'agent-2', chain: child.chain })
    // And what it delegates further.
    const further = await attached.delegate({ agent: 'agent-3', scopes: ['spend:5'] })
    expect(further.chain).toEqual([...child.chain, child.id])
    expect(await denial(payer(further)({ amount: 1 }))).toMatchObject({ rule: 'parent:budget:USD' })
  })
})

it.each([
  ['missing', async () => undefined],
  ['nonsense', async () => ({ id: 7 }) as never],
  ['of another', async (store: Store, by: object) => ({ ...(await store.session.get(by as never)), id: 'x' }) as never],
  ['silent', async () => Promise.reject(new Error('down'))],
])('does not attach a child whose parent is %s in the store', async (_, answer) => {
  proves('invariant-6', 'invariant-9')
  const { house } = fleet()
  const [, child] = await family(house().haldir, [['read'], ['read']])
  const there = house({}, (store) => ({
    session: {
      ...store.session,
      get: (by) => ('id' in by ? answer(store, by) : store.session.get(by)),
    },
  }))
  const error = await there.haldir.attach(child.token).catch((caught) => caught)
  expect(HaldirError.isInstance(error) && error.code).toBe('unavailable')
})

it('attaches no session that the store answers for the token of another', async () => {
  proves('invariant-6')
  const { house } = fleet()
  const [boss] = await family(house().haldir, [['read']])
  const there = house({}, ({ session }) => ({ session: { ...session, get: () => session.get({ id: boss.id }) } }))
  const error = await there.haldir.attach('a token of nobody').catch((caught) => caught)
  expect(HaldirError.isInstance(error) && error.code).toBe('unavailable')
})

it('leaves no session in the store that was not handed out, and no quota used up by it', async () => {
  const { house } = fleet()
  let broken = true
  const meters = [{ unit: 'sessions', per: 'tenant', limit: 1 }] as const
  const { haldir } = house({ meters }, ({ secret }) => ({
    secret: {
      ...secret,
      get: (...of) => {
        if (broken) throw new Error('down')
        return secret.get(...of)
      },
    },
  }))
  const create = () => haldir.createSession({ agent: 'a', tenant: 'acme', scopes: [] })
  await expect(create()).rejects.toThrow(HaldirError)
  broken = false
  expect((await create()).agent).toBe('a')
})

describe.each(STORES)('extend (%s)', (kind) => {
  it('moves the end, tells the trail, and other processes that attach again, where the store tells nobody', async () => {
    const { clock, house } = fleet(kind, undefined, { watching: false })
    const [here, there] = [house(), house()]
    const session = await here.haldir.createSession({ agent: 'a', scopes: [], ttl: '10m' })
    const attached = await there.haldir.attach(session.token)
    const { signal } = session
    await clock.advance(5 * MINUTE)
    await session.extend('10m')
    expect(session.expiresAt.getTime()).toBe(clock.now() + 10 * MINUTE)
    expect(here.entries('session-extended')).toMatchObject([
      { session: session.id, data: { expiresAt: session.expiresAt.toISOString() } },
    ])
    await clock.advance(6 * MINUTE)
    expect(signal.aborted).toBe(false)
    expect(await told(reader(session)())).toBe('ran')
    expect(await told(reader(attached)())).toBe('session-expired')
    const again = await there.haldir.attach(session.token)
    expect(await told(reader(again)())).toBe('ran')
    await clock.advance(4 * MINUTE)
    expect(signal.aborted).toBe(true)
    expect([await told(reader(session)()), await told(reader(again)())]).toEqual(['session-expired', 'session-expired'])
  })

  it('never shortens, and never goes beyond the parents', async () => {
    proves('invariant-9')
    const { clock, house } = fleet(kind)
    const { haldir } = house()
    const parent = await haldir.createSession({ agent: 'a', scopes: [], ttl: '10m' })
    const child = await parent.delegate({ agent: 'b', scopes: [], ttl: '5m' })
    const end = child.expiresAt
    await child.extend('1m')
    expect(child.expiresAt).toEqual(end)
    await child.extend('1d')
    expect(child.expiresAt).toEqual(parent.expiresAt)
    await parent.extend('20m')
    expect(child.expiresAt.getTime()).toBe(parent.expiresAt.getTime() - 10 * MINUTE)
    const { signal } = child
    await clock.advance(10 * MINUTE)
    expect(signal.aborted).toBe(true)
    expect(await told(reader(child)())).toBe('session-expired')
    expect(await told(reader(parent)())).toBe('ran')
  })

  it('revives nothing that has expired or was revoked', async () => {
    proves('invariant-5')
    const { clock, house } = fleet(kind)
    const [here, there] = [house(), house()]
    const expired = await here.haldir.createSession({ agent: 'a', scopes: [], ttl: '1m' })
    const revoked = await here.haldir.createSession({ agent: 'a', scopes: [], ttl: '1h' })
    const [late, blind] = [await there.haldir.attach(expired.token), await there.haldir.attach(revoked.token)]
    await revoked.revoke()
    await clock.advance(MINUTE)
    for (const [session, code] of [
      [expired, 'session-expired'],
      [late, 'session-expired'],
      [revoked, 'session-revoked'],
      [blind, 'session-revoked'],
    ] as const) {
      expect((await denial(session.extend('1h'))).code).toBe(code)
      expect(await told(reader(session)())).toBe(code)
    }
    expect([...here.entries('session-extended'), ...there.entries('session-extended')]).toEqual([])
  })

  it('nor what was revoked here, while the store could not be told', async () => {
    proves('invariant-5')
    const { house } = fleet(kind)
    const { haldir } = house({}, ({ session }) => ({
      session: {
        ...session,
        revokeTree: () => {
          throw new Error('lost')
        },
      },
    }))
    const session = await haldir.createSession({ agent: 'a', scopes: [], ttl: '5m' })
    const there = house()
    const [before] = [(await there.store.session.get({ id: session.id }))?.expiresAt]
    await expect(session.revoke()).rejects.toThrow(HaldirError)
    expect(await told(session.extend('9h'))).toBe('session-revoked')
    expect((await there.store.session.get({ id: session.id }))?.expiresAt).toBe(before)
  })

  it('gains nothing from a wall clock that was set back', async () => {
    proves('invariant-10', 'invariant-9')
    const { clock, house } = fleet(kind)
    const { haldir } = house()
    const parent = await haldir.createSession({ agent: 'a', scopes: [], ttl: '10m' })
    const child = await parent.delegate({ agent: 'b', scopes: [], ttl: '5m' })
    const { signal } = child
    clock.setWall(clock.now() - 120 * MINUTE)
    await child.extend('1h')
    await clock.advance(9 * MINUTE)
    expect(await told(reader(child)())).toBe('ran')
    await clock.advance(MINUTE)
    expect(signal.aborted).toBe(true)
    expect(await told(reader(child)())).toBe('session-expired')
  })

  it.each([['soon'], [0], [-1], ['400d'], [undefined]])('refuses %j as a length of time', async (ttl) => {
    const session = await fleet(kind).house().haldir.createSession({ agent: 'a', scopes: [] })
    expect((await misuse(() => session.extend(ttl as never))).path).toBe('ttl')
  })
})
