/** Shadow mode: whatever would have been refused runs all the same, is recorded as such, and counts on nothing real. */
import { governed as governedTools } from '@haldir/ai-sdk'
import {
  createHaldir,
  currentCall,
  Denied,
  governed,
  type HaldirOptions,
  type KeyProvider,
  type Session,
  type Sink,
  type Store,
  usd,
} from '@haldir/core'
import { governTool } from '@haldir/core/adapter'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { type FakeClock, fakeClock } from '@haldir/testing'
import { generateText, isStepCount, tool } from 'ai'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { scriptedModel } from '../contracts/ai-sdk-model.ts'
import { entriesOf, proves } from '../promises.ts'

const SECRET = 'a-secret-of-the-service'
const key: KeyProvider = { id: 'k', wrap: (dataKey) => dataKey.slice(), unwrap: (wrapped) => wrapped.slice() }
const open: { close(): Promise<void>; clock: FakeClock; broken: { store?: Broken } }[] = []
afterEach(async () => {
  for (const { close, clock, broken } of open.splice(0)) {
    delete broken.store
    await passing(clock, close())
  }
})

type Broken = (...args: never[]) => unknown

/** Waits for an answer while time passes, for at most a minute of it. */
async function passing<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let done = false
  const end = () => {
    done = true
  }
  work.then(end, end)
  for (let second = 0; second < 60 && !done; second++) await clock.advance(1_000)
  if (!done) throw new Error('no answer within a minute')
  return work
}

/** A haldir in shadow mode on a store and a sink that can be broken, verb by verb. */
async function house(options: HaldirOptions = {}) {
  const clock = fakeClock()
  const broken: { store?: Broken; sink?: Broken } = {}
  const memory = memoryStore({ clock })
  const breakable = (verbs: object): object =>
    new Proxy(verbs, {
      get(target, verb) {
        const found = Reflect.get(target, verb)
        if (typeof found === 'object' && found !== null) return breakable(found)
        return typeof found === 'function' ? (...of: never[]) => (broken.store ?? found.bind(target))(...of) : found
      },
    })
  const store = breakable(memory) as Store
  const trail = memorySink()
  const sink: Sink = {
    name: 'breakable',
    write: (lines) => (broken.sink ? (broken.sink(...([lines] as never[])) as undefined) : trail.write(lines)),
    read: () => (trail.read as NonNullable<Sink['read']>)(),
  }
  const haldir = createHaldir({ clock, store, sinks: [sink], vault: { keys: [key] }, mode: 'shadow', ...options })
  open.push({ close: () => haldir.close(), clock, broken })
  const entries = () => entriesOf(trail.lines)
  return { haldir, clock, store, memory, broken, entries, passing: <T>(work: Promise<T>) => passing(clock, work) }
}

const DEAD: Record<'throws' | 'rejects' | 'hangs' | 'answers nonsense' | 'answers nothing', Broken> = {
  throws: () => {
    throw new Error('disk on fire, password hunter2hunter2')
  },
  rejects: async () => {
    throw new Error('connection reset, password hunter2hunter2')
  },
  hangs: () => new Promise(() => {}),
  'answers nonsense': () => ({ ok: 'yes', at: 'now', state: 7, refused: 'because' }),
  'answers nothing': () => undefined,
}

describe('what enforce mode refuses', () => {
  const policy = {
    default: 'deny' as const,
    rules: [
      { id: 'reads', tools: 'read', then: 'allow' as const },
      { id: 'spends', tools: ['pay', 'pay_once', 'ping'], then: 'allow' as const },
      { id: 'no-drops', tools: 'drop', then: 'deny' as const, because: 'nothing is dropped' },
      { id: 'big', tools: 'move', then: 'ask' as const },
      { id: 'guarded', tools: 'guarded', then: 'allow' as const },
    ],
  }
  const options: HaldirOptions = {
    policy,
    guards: [{ name: 'watchman', decide: async ({ tool }) => (tool.name === 'guarded' ? 'deny' : 'allow') }],
    meters: [
      { unit: 'calls', per: 'tenant', limit: 1, window: 'month', tools: 'read' },
      { unit: 'calls', per: 'session', limit: 1, every: '1h', tools: 'ping' },
    ],
  }

  const everything: [code: string, name: string, scope: string, more: object, times?: number][] = [
    ['scope-missing', 'read', 'other:scope', {}],
    ['policy-denied', 'drop', 'read', {}],
    ['policy-denied', 'unheard-of', 'read', {}],
    ['policy-denied', 'guarded', 'read', {}],
    ['approval-unavailable', 'move', 'read', {}],
    ['budget-exceeded', 'pay', 'spend', { cost: () => usd(60) }],
    ['quota-exceeded', 'read', 'read', {}, 2],
    ['rate-exceeded', 'ping', 'read', {}, 2],
    ['duplicate-call', 'pay_once', 'spend', { cost: () => usd(1), once: () => 'the same' }, 2],
    ['invalid-arguments', 'read', 'read', { cost: () => usd(Number.NaN) }],
    ['unavailable', 'read', 'read', { cost: async () => usd(1) }],
  ]

  it.each(everything)('%s: runs, and is recorded and counted as what it would have been (%s)', async (...row) => {
    proves('shadow-runs')
    const [code, name, scope, more, times = 1] = row
    const { haldir, entries } = await house(options)
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read', 'spend:50'] })
    const ran = vi.fn(async () => 'ran')
    const wrapped = governed(ran, { name, scope, ...more } as never)
    for (let call = 0; call < times; call++) expect(await session.run(() => wrapped())).toBe('ran')
    expect(ran).toHaveBeenCalledTimes(times)
    expect(haldir.health().observed).toEqual({ [code]: 1 })
    const refusal = entries().find(({ type }) => type === 'refusal')
    expect(refusal).toMatchObject({ code, tool: name, session: session.id, enforced: false })
    expect(refusal?.verdict).toBe(code === 'approval-unavailable' ? 'ask' : 'deny')
    expect(entries().at(-1)).toMatchObject({ type: 'outcome', call: refusal?.call, data: { ended: 'ok' } })
    expect(entries().every(({ enforced }) => enforced === false)).toBe(true)
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
  })

  it('refuses in enforce mode what it let through, one by one', async () => {
    for (const [code, name, scope, more, times = 1] of everything) {
      const { haldir } = await house({ ...options, mode: 'enforce' })
      const session = await haldir.createSession({ agent: 'bot', scopes: ['read', 'spend:50'] })
      const ran = vi.fn(async () => 'ran')
      const wrapped = governed(ran, { name, scope, ...more } as never)
      for (let call = 1; call < times; call++) await session.run(() => wrapped())
      await expect(session.run(() => wrapped())).rejects.toMatchObject({ code })
      expect(ran).toHaveBeenCalledTimes(times - 1)
      expect(haldir.health().observed).toEqual({})
    }
  })

  it('no session: runs with a `currentCall()` that works, and a session that says nobody', async () => {
    proves('shadow-runs')
    const { haldir, entries } = await house()
    const seen: unknown[] = []
    const look = governed(
      async () => {
        const { id, tool, session, signal } = currentCall()
        seen.push(typeof id, tool, session.agent, session.scopes, signal.aborted)
        return 'ran'
      },
      { name: 'look', scope: 'read' },
      { haldir },
    )
    expect(await look()).toBe('ran')
    expect(seen).toEqual(['string', 'look', 'unknown', [], false])
    expect(haldir.health().observed).toEqual({ 'no-session': 1 })
    expect(entries().map(({ type, session, code }) => [type, session, code])).toEqual([
      ['writer-opened', null, undefined],
      ['refusal', null, 'no-session'],
      ['outcome', null, undefined],
    ])
  })

  it('a revoked and an expired session: their calls run, and nothing tells the tool to stop', async () => {
    proves('shadow-runs')
    const { haldir, clock } = await house()
    const revoked = await haldir.createSession({ agent: 'a', scopes: ['read'] })
    const expired = await haldir.createSession({ agent: 'b', scopes: ['read'], ttl: '1m' })
    const look = governed(async () => currentCall().signal.aborted, { name: 'look', scope: 'read' })
    await revoked.revoke('done')
    await clock.advance(60_000)
    expect(await revoked.run(() => look())).toBe(false)
    expect(await expired.run(() => look())).toBe(false)
    expect(haldir.health().observed).toEqual({ 'session-revoked': 1, 'session-expired': 1 })
  })

  it('a session that ends while its call runs does not abort the call; its caller still can', async () => {
    const { haldir, clock } = await house()
    const session = await haldir.createSession({ agent: 'a', scopes: ['read'], ttl: '1m' })
    const caller = new AbortController()
    let signal: AbortSignal | undefined
    const { execute } = governTool({
      framework: 'test',
      name: 'long',
      options: { scope: 'read' },
      run: (_, call) => {
        signal = call.signal
        return new Promise((resolve) => signal?.addEventListener('abort', () => resolve('aborted')))
      },
    })
    const running = execute({ args: {}, session, signal: caller.signal })
    await clock.advance(120_000)
    await session.revoke()
    expect(signal?.aborted).toBe(false)
    caller.abort()
    expect(await running).toEqual({ status: 'ran', value: 'aborted' })
  })

  it('quotas of sessions: the session is made', async () => {
    const { haldir, entries } = await house({ meters: [{ unit: 'sessions', per: 'tenant', limit: 1 }] })
    await haldir.createSession({ agent: 'a', scopes: [] })
    const second = await haldir.createSession({ agent: 'b', scopes: ['read'] })
    expect(await second.run(() => governed(async () => 'ran', { name: 'look', scope: 'read' })())).toBe('ran')
    expect(haldir.health().observed).toEqual({ 'quota-exceeded': 1 })
    expect(entries()).toContainEqual(expect.objectContaining({ type: 'refusal', code: 'quota-exceeded' }))
  })

  it('`prepare` lets through what `execute` does', async () => {
    const { haldir } = await house(options)
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    for (const name of ['drop', 'move', 'guarded', 'read']) {
      const { prepare, execute } = governTool({ framework: 'test', name, options: { scope: 'read' }, run: () => 'ran' })
      expect(await prepare({ args: {}, session })).toMatchObject({ verdict: 'allow' })
      expect(await execute({ args: {}, session })).toEqual({ status: 'ran', value: 'ran' })
      const hostile = { args: { f: () => {} }, session }
      expect(await prepare(hostile)).toMatchObject({ verdict: 'deny', code: 'invalid-arguments' })
      expect(await execute(hostile)).toMatchObject({ status: 'denied', denial: { code: 'invalid-arguments' } })
    }
  })
})

describe('what is refused even so', () => {
  it('hostile arguments', async () => {
    const { haldir } = await house()
    const ran = vi.fn(async (_?: unknown) => 'ran')
    const look = governed(ran, { name: 'look', scope: [] }, { haldir })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const hostile = [
      {
        get a() {
          return 1
        },
      },
      new Proxy({}, {}),
      { toJSON: () => 1 },
      { n: Number.NaN },
    ]
    for (const args of hostile) {
      await expect(session.run(() => look(args))).rejects.toMatchObject({ code: 'invalid-arguments' })
      await expect(look(args)).rejects.toMatchObject({ code: 'invalid-arguments' })
    }
    expect(ran).not.toHaveBeenCalled()
  })

  it.each(['with the tool’s scope', 'without it', 'without a session'])('a secret out of scope, %s', async (how) => {
    const { haldir, entries } = await house()
    await haldir.vault.put('api_key', SECRET, { scope: 'vault:admin' })
    const ran = vi.fn(async () => currentCall().secret('api_key').reveal())
    const use = governed(ran, { name: 'use', scope: 'read', secrets: ['api_key'] }, { haldir })
    const session = await haldir.createSession({ agent: 'bot', scopes: how.startsWith('with the') ? ['read'] : ['x'] })
    const call = how === 'without a session' ? use() : session.run(() => use())
    await expect(call).rejects.toMatchObject({ code: 'secret-unavailable' })
    expect(ran).not.toHaveBeenCalled()
    expect(JSON.stringify(entries())).not.toContain(SECRET)
  })
})

describe('secrets', () => {
  it('are revealed where the scope is held, and redacted from what a let-through call answers', async () => {
    proves('invariant-7')
    const { haldir } = await house({
      policy: { default: 'deny', rules: [] },
    })
    await haldir.vault.put('api_key', SECRET, { scope: 'read' })
    const use = governed(async () => ({ said: `key ${currentCall().secret('api_key').reveal()}` }), {
      name: 'use',
      scope: 'read',
      secrets: ['api_key'],
    })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const answer = await session.run(() => use())
    expect(answer.said).toMatch(/^key /)
    expect(answer.said).not.toContain(SECRET)
    expect(haldir.health().observed).toEqual({ 'policy-denied': 1 })
  })
})

describe('meters', () => {
  it('are apart: real budgets, quotas, rates and `once` keys on the same store are untouched', async () => {
    proves('shadow-apart')
    const {
      haldir: shadow,
      store,
      clock,
    } = await house({
      meters: [{ unit: 'calls', per: 'tenant', limit: 5 }],
    })
    const real = createHaldir({
      clock,
      store,
      sinks: [memorySink()],
      vault: { keys: [key] },
      meters: [{ unit: 'calls', per: 'tenant', limit: 5 }],
    })
    open.push({ close: () => real.close(), clock, broken: {} })
    const options = { agent: 'bot', scopes: ['spend:50'] }
    const [tried, enforced] = [await shadow.createSession(options), await real.createSession(options)]
    const before = (await enforced.budget()).map(String)
    const pay = governed(async () => 'paid', {
      name: 'pay',
      scope: 'spend',
      cost: () => usd(30),
      once: () => 'the same',
    })
    for (let call = 0; call < 8; call++) expect(await tried.run(() => pay())).toBe('paid')
    expect((await enforced.budget()).map(String)).toEqual(before)
    expect((await enforced.budget()).map(({ rule, left }) => [rule, `${left}`])).toEqual([
      ['budget:USD', '50 USD'],
      ['quota:calls@tenant', '5 calls'],
    ])
    expect(await enforced.run(() => pay())).toBe('paid')
    expect((await enforced.budget()).map(({ left }) => `${left}`)).toEqual(['20 USD', '4 calls'])
    expect(shadow.health().observed).toEqual({ 'duplicate-call': 7 })
  })

  it('are apart: sessions count on no real quota of sessions, and are no leave to act in earnest', async () => {
    proves('shadow-apart')
    const options: HaldirOptions = {
      meters: [
        { unit: 'sessions', per: 'tenant', limit: 2 },
        { unit: 'agents', per: 'tenant', limit: 1 },
      ],
    }
    const { haldir: shadow, store, clock } = await house(options)
    const real = createHaldir({ ...options, clock, store, sinks: [memorySink()], vault: { keys: [key] } })
    open.push({ close: () => real.close(), clock, broken: {} })
    const tried = await shadow.createSession({ agent: 'a', tenant: 'acme', scopes: ['read'] })
    await tried.delegate({ agent: 'b', scopes: ['read'] })
    expect(shadow.health().observed).toEqual({ 'quota-exceeded': 1 })
    const session = await real.createSession({ agent: 'c', tenant: 'acme', scopes: ['read'] })
    const child = await session.delegate({ agent: 'c', scopes: ['read'] })
    await expect(real.createSession({ agent: 'c', tenant: 'acme', scopes: [] })).rejects.toMatchObject({
      code: 'quota-exceeded',
    })
    await expect(real.attach(tried.token)).rejects.toMatchObject({ code: 'no-session' })
    // The other way round is what trying it out on live traffic needs.
    const watched = await shadow.attach(child.token)
    expect([watched.tenant, watched.agent]).toEqual(['acme', 'c'])
    const look = governed(async () => currentCall().session.tenant, { name: 'look', scope: 'read' })
    expect(await watched.run(() => look())).toBe('acme')
    expect(await tried.run(() => look())).toBe('acme')
    await tried.extend('2h')
    expect(tried.tenant).toBe('acme')
    expect(shadow.health().observed).toEqual({ 'quota-exceeded': 1 })
  })

  it('count what enforcement would have: a call that would have been refused counts on none', async () => {
    proves('shadow-apart')
    const { haldir, entries } = await house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const pay = governed(async ({ amount }: { amount: number }) => amount, {
      name: 'pay',
      scope: 'spend',
      cost: ({ amount }) => usd(amount),
      actual: (paid: number) => usd(paid - 1),
    })
    for (const amount of [30, 40, 20]) await session.run(() => pay({ amount }))
    expect((await session.budget()).map(({ used, held }) => `${used}, ${held}`)).toEqual(['48 USD, 0 USD'])
    // It has run, though, and what it cost is on record.
    const spent = entries().flatMap(({ type, spent }) => (type === 'outcome' ? spent.map(({ amount }) => amount) : []))
    expect(spent).toEqual(['29', '39', '19'])
  })

  it('are left alone by calls that a policy would have refused, whose cost is recorded', async () => {
    const { haldir, entries } = await house({ policy: { default: 'deny', rules: [] } })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    await session.run(() => governed(async () => 1, { name: 'pay', scope: 'spend', cost: usd(30) })())
    expect(entries().at(-1)).toMatchObject({ type: 'outcome', spent: [{ unit: 'USD', amount: '30' }] })
    expect(`${(await session.budget())[0]?.left}`).toBe('50 USD')
  })
})

describe('tools that stream', () => {
  it.each(['no session', 'a denied one', 'an expired one', 'an allowed one'])('run with %s', async (who) => {
    proves('shadow-runs')
    const { haldir, clock } = await house({
      policy: { default: who === 'a denied one' ? 'deny' : 'ask', rules: [] },
    })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'], ttl: '1m' })
    const items = governed(
      async function* () {
        yield currentCall().tool
        yield 2
      },
      { name: 'items', scope: 'read' },
      { haldir },
    )
    if (who === 'an expired one') await clock.advance(60_000)
    const read: unknown[] = []
    for await (const item of who === 'no session' ? items() : session.run(() => items())) read.push(item)
    expect(read).toEqual(['items', 2])
    expect(Object.values(haldir.health().observed)).toEqual([1])
  })
})

describe('the loop of the AI SDK', () => {
  it('goes on as if Haldir were not there', async () => {
    proves('shadow-runs', 'framework-agnostic')
    const { haldir } = await house({ policy: { default: 'deny', rules: [] } })
    const look = tool({ inputSchema: z.object({ id: z.number() }), execute: async ({ id }) => `order ${id}` })
    const tools = governedTools({ look }, { look: { scope: 'nobody:has:it' } }, { haldir })
    const model = scriptedModel([{ tool: 'look', args: { id: 7 } }], [{ tool: 'look', args: { id: 8 } }])
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const loop = () => generateText({ model, tools, prompt: 'go on', stopWhen: isStepCount(4) })
    const { text } = await session.run(loop)
    expect(text).toBe('done')
    const told = model.doGenerateCalls.flatMap(({ prompt }) =>
      prompt.at(-1)?.role === 'tool' ? [JSON.stringify(prompt.at(-1))] : [],
    )
    expect(told.join()).toContain('order 7')
    expect(told.join()).toContain('order 8')
    expect(haldir.health().observed).toEqual({ 'scope-missing': 2 })
  })
})

describe.each(Object.entries(DEAD))('a store that %s', (_, breakage) => {
  it('stops nothing: sessions are made, and their calls run; afterwards all is as before', async () => {
    proves('shadow-broken-parts')
    const { haldir, broken, passing, entries } = await house()
    const before = await haldir.createSession({ agent: 'early', scopes: ['read', 'spend:50'] })
    const token = before.token
    const pay = governed(async () => currentCall().session.agent, {
      name: 'pay',
      scope: 'spend',
      cost: () => usd(10),
    })
    broken.store = breakage
    const during = await passing(haldir.createSession({ agent: 'late', scopes: ['spend:50'] }))
    const attached = await passing(haldir.attach(token))
    const child = await passing(before.delegate({ agent: 'child', scopes: ['spend:5'] }))
    const grandchild = await passing(attached.delegate({ agent: 'grandchild', scopes: ['spend:5'] }))
    expect(await passing(before.run(() => pay()))).toBe('early')
    expect(await passing(during.run(() => pay()))).toBe('late')
    expect(await passing(child.run(() => pay()))).toBe('child')
    expect(await passing(grandchild.run(() => pay()))).toBe('grandchild')
    await passing(attached.run(() => pay()))
    await passing(before.extend('2h'))
    await passing(attached.extend('2h'))
    await passing(before.charge(usd(1), 'tokens'))
    await passing(attached.charge(usd(1), 'tokens'))
    expect(Array.isArray(await passing(before.budget()))).toBe(true)
    for (const session of [before, attached]) {
      for (const more of [{}, { idempotencyKey: 'order 7' }]) {
        const payment = { amount: usd(5), description: 'a book', ...more }
        await passing((await passing(haldir.payments.authorize(session, payment))).capture(usd(3)))
        await passing((await passing(haldir.payments.authorize(session, payment))).void().catch(() => {}))
      }
    }
    await passing(during.revoke('done'))
    await passing(attached.revoke('done'))
    expect(JSON.stringify(haldir.health())).not.toContain('hunter2')
    expect(haldir.health().faults.length).toBeGreaterThan(0)

    delete broken.store
    await passing(haldir.flush().catch(() => {}))
    const observed = JSON.stringify(haldir.health().observed)
    const after = await haldir.createSession({ agent: 'after', scopes: ['spend:50'] })
    expect(await after.run(() => pay())).toBe('after')
    expect(`${(await after.budget())[0]?.used}`).toBe('10 USD')
    expect(JSON.stringify(haldir.health().observed)).toBe(observed)
    expect(entries().at(-1)).toMatchObject({ type: 'outcome', agent: 'after', spent: [{ amount: '10' }] })
  })

  it('stops nothing when it is broken from the start', async () => {
    proves('shadow-broken-parts')
    const { haldir, broken, passing } = await house()
    broken.store = breakage
    const session = await passing(haldir.createSession({ agent: 'bot', scopes: ['read'] }))
    const look = governed(async () => 'ran', { name: 'look', scope: 'read' }, { haldir })
    expect(await passing(session.run(() => look()))).toBe('ran')
    expect(await passing(look())).toBe('ran')
    const free = governed(async () => 'ran', { name: 'free', scope: [] }, { haldir })
    expect(await passing((await passing(haldir.attach('no such token'))).run(() => free()))).toBe('ran')
    expect(haldir.health().observed).toEqual({ unavailable: 1, 'no-session': 2 })
  })
})

const { throws, rejects, hangs } = DEAD
describe.each(Object.entries({ throws, rejects, hangs, 'answers false': () => false }))(
  'a sink that %s',
  (how, breakage) => {
    it('stops nothing, and has what it missed when it is well again', async () => {
      proves('shadow-broken-parts')
      const { haldir, broken, passing, entries } = await house()
      const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
      const pay = governed(async () => 'paid', { name: 'pay', scope: 'spend', cost: () => usd(10) })
      broken.sink = breakage
      for (let call = 0; call < 3; call++) expect(await passing(session.run(() => pay()))).toBe('paid')
      const late = await passing(haldir.createSession({ agent: 'late', scopes: ['spend:50'] }))
      expect(await passing(late.run(() => pay()))).toBe('paid')
      await passing(session.charge(usd(1), 'tokens'))
      await passing(late.revoke())
      expect(haldir.health().observed.unavailable).toBe(5)
      expect(haldir.health().ok).toBe(false)
      if (how === 'hangs') return
      delete broken.sink
      expect(await session.run(() => pay())).toBe('paid')
      expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
      expect(entries().filter(({ type }) => type === 'outcome').length).toBe(6)
    })
  },
)

it('a sink that stays down does not fill the memory', async () => {
  const { haldir, broken, passing } = await house()
  const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
  const look = governed(async () => 'ran', { name: 'look', scope: 'read' })
  broken.sink = () => {
    throw new Error('disk full')
  }
  for (let call = 0; call < 1_500; call++) await session.run(() => look())
  const { waiting, unrecorded } = haldir.health().trail
  expect(waiting).toBeLessThanOrEqual(1_001)
  expect(unrecorded).toBeGreaterThan(1_000)
  delete broken.sink
  await session.run(() => look())
  expect(await passing(haldir.trail.verify())).toMatchObject({ ok: true })
})

describe('other parts that break', () => {
  it('a source of ids, a clock, a key, a policy’s function, a guard: the call runs', async () => {
    proves('shadow-broken-parts')
    let brokenIds = false
    let brokenClock = false
    let count = 0
    const clock = fakeClock()
    const monotonic = () => {
      if (brokenClock) throw new Error('no time')
      return clock.monotonic()
    }
    let brokenKey = false
    const { haldir } = await house({
      ids: () => (brokenIds ? '"},{"' : `i${count++}`),
      clock: { ...clock, monotonic },
      store: memoryStore({ clock }),
      vault: {
        keys: [
          {
            ...key,
            unwrap: (wrapped) => {
              if (brokenKey) throw new Error('no key')
              return wrapped.slice()
            },
          },
        ],
      },
      policy: {
        version: 1,
        default: 'allow',
        allowByDefault: true,
        rules: [
          {
            id: 'throws',
            tools: 'judged',
            then: 'deny',
            when: () => {
              throw new Error('no')
            },
          },
        ],
      },
      guards: [
        {
          name: 'sleeper',
          decide: async ({ tool }) => {
            if (tool.name === 'guarded') throw new Error('no')
            return 'allow'
          },
        },
      ],
    })
    await haldir.vault.put('api_key', SECRET, { scope: 'read' })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const call = (name: string, more = {}) =>
      session.run(() => governed(async () => 'ran', { name, scope: 'read', ...more })())
    expect(await call('judged')).toBe('ran')
    expect(await call('guarded')).toBe('ran')
    brokenIds = true
    expect(await call('look')).toBe('ran')
    brokenIds = false
    brokenClock = true
    expect(await call('look')).toBe('ran')
    brokenClock = false
    brokenKey = true
    expect(await call('look', { secrets: ['api_key'] })).toBe('ran')
    expect(haldir.health().observed).toEqual({ 'policy-denied': 1, unavailable: 4 })
  })
})

it('a denial in shadow mode is never thrown by what a session does, but for what is written wrongly', async () => {
  const { haldir, clock } = await house()
  const parent: Session = await haldir.createSession({ agent: 'a', scopes: ['read', 'spend:1'], ttl: '1m' })
  await parent.charge(usd(5), 'more than there is')
  expect(haldir.health().observed).toEqual({ 'budget-exceeded': 1 })
  await clock.advance(60_000)
  const child = await parent.delegate({ agent: 'b', scopes: ['read'] })
  expect(await child.run(() => governed(async () => 'ran', { name: 'look', scope: 'read' })())).toBe('ran')
  await parent.extend('1h')
  await parent.charge(usd(1), 'late')
  await expect(parent.delegate({ agent: 'b', scopes: ['write'] })).rejects.toMatchObject({ code: 'invalid-scope' })
  const error = await parent.delegate({ agent: 'b', scopes: ['write'] }).catch((thrown) => thrown)
  expect(Denied.isInstance(error)).toBe(false)
})

describe('time in shadow mode', () => {
  it('ends no loop: the signal of a session that has expired does not abort, that of one that was revoked does', async () => {
    const clock = fakeClock()
    const haldir = createHaldir({ mode: 'shadow', clock, sinks: [memorySink()], store: memoryStore({ clock }) })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'], ttl: '1m' })
    const { signal } = session
    await clock.advance(120_000)
    expect(signal.aborted).toBe(false)
    const other = await haldir.createSession({ agent: 'bot', scopes: ['read'], ttl: '1m' })
    const stopped = other.signal
    await other.revoke()
    expect(stopped.aborted).toBe(true)
    await haldir.close()
  })

  it('is not spent on a store that hangs: a call waits for it 250 ms, not five seconds', async () => {
    const clock = fakeClock()
    const store = memoryStore({ clock })
    const haldir = createHaldir({ mode: 'shadow', clock, sinks: [memorySink()], store })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const hanging = vi.spyOn(store, 'admit').mockImplementation(() => new Promise(() => {}))
    const tool = vi.fn(async () => 'ran')
    const call = governed(tool, { name: 'pay', scope: 'spend', cost: usd(1) }, { session })()
    await clock.advance(251)
    expect(await call).toBe('ran')
    expect(hanging).toHaveBeenCalledTimes(1)
    await haldir.close()
  })
})
