/** Guards: decision points outside the policy, which can only be stricter, and never hold a call up for long. */
import {
  createHaldir,
  Denied,
  type Guard,
  type GuardAnswer,
  type GuardCall,
  governed,
  type HaldirOptions,
  type PolicyClient,
  policyGuard,
  usd,
} from '@haldir/core'
import { governTool } from '@haldir/core/adapter'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { fakeClock } from '@haldir/testing'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { entriesOf, proves } from '../promises.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const haldir of open.splice(0)) await haldir.close()
})

function house(guards: readonly Guard[], options: HaldirOptions = {}) {
  const trail = memorySink()
  const clock = fakeClock()
  const haldir = createHaldir({ clock, sinks: [trail], guards, ...options })
  open.push(haldir)
  return { haldir, clock, entries: () => entriesOf(trail.lines) }
}

/** A house with these guards and a session, in which one tool is called. */
async function asked(guards: readonly Guard[], options: HaldirOptions = {}, args: unknown = {}) {
  const rooms = house(guards, options)
  const session = await rooms.haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
  const run = vi.fn(() => 'ran')
  const tool = governTool({ framework: 'test', name: 'pay', options: { scope: 'spend', cost: usd(5) }, run })
  const request = { args, session }
  const [prepared, done] = [await tool.prepare(request), await tool.execute(request)]
  const denial = done.status === 'denied' ? done.denial : undefined
  expect(run).toHaveBeenCalledTimes(denial ? 0 : 1)
  // Whatever is decided, a denial has taken nothing.
  const [line] = await session.budget()
  expect(`${line?.left}`).toBe(denial ? '50 USD' : '45 USD')
  return { ...rooms, session, prepared, denial, last: rooms.entries().at(-1) }
}

const rules = (then: 'allow' | 'ask' | 'deny'): HaldirOptions => ({
  policy: { default: 'deny', rules: [{ id: 'rule', then }] },
})
const never = () => new Promise<never>(() => {})

describe('what a guard says', () => {
  const answers: [string, Guard, string | undefined, string | undefined][] = [
    ['allow', { name: 'x', decide: () => 'allow' as never }, undefined, undefined],
    ['deny', { name: 'x', decide: async () => 'deny' }, 'policy-denied', 'the guard `x` denies this call'],
    ['ask', { name: 'x', decide: async () => 'ask' as const }, 'approval-unavailable', 'the guard `x` wants a person'],
    [
      'deny, and why',
      { name: 'x', decide: async () => ({ verdict: 'deny', reason: 'the score is 0.97.' }) },
      'policy-denied',
      ': the score is 0.97. Do not retry',
    ],
    ['nonsense', { name: 'x', decide: () => 'sure' as never }, 'unavailable', 'the guard `x` did not decide'],
    [
      'nothing, for it throws',
      {
        name: 'x',
        decide: () => {
          throw new Error('password hunter2hunter2')
        },
      },
      'unavailable',
      'the guard `x` did not decide',
    ],
    ['nothing, for it rejects', { name: 'x', decide: () => Promise.reject(new Error('no')) }, 'unavailable', 'did not'],
  ]

  it.each(answers)('%s: is done, told, recorded, and what `prepare` says', async (_, guard, code, says) => {
    proves('guards-stricter', 'invariant-6')
    const { denial, last, prepared, haldir } = await asked([guard], rules('allow'))
    expect(denial?.code).toBe(code)
    expect(denial?.rule).toBe(code && 'guard:x')
    expect(prepared.verdict).toBe(code === undefined ? 'allow' : code === 'approval-unavailable' ? 'ask' : 'deny')
    expect(prepared.rule).toBe(code ? 'guard:x' : 'rule')
    if (!code) return expect(last).toMatchObject({ type: 'outcome' })
    expect(denial?.message).toContain(says)
    expect(last).toMatchObject({ type: 'refusal', code, rule: 'guard:x', policyHash: haldir.health().policyHash })
    expect(last?.verdict).toBe(code === 'approval-unavailable' ? 'ask' : 'deny')
    expect(JSON.stringify([last, haldir.health()])).not.toContain('hunter2')
    expect(haldir.health().faults.map(({ part }) => part)).toEqual(code === 'unavailable' ? ['guard:x'] : [])
  })

  it('can only be stricter, whatever the rules and the other guards have said', async () => {
    proves('guards-stricter')
    const verdict = fc.constantFrom('allow' as const, 'ask' as const, 'deny' as const)
    const strictness = { allow: 0, ask: 1, deny: 2 }
    await fc.assert(
      fc.asyncProperty(verdict, fc.array(verdict, { maxLength: 4 }), async (rule, said) => {
        const guards = said.map((one, index): Guard => ({ name: `g${index}`, decide: async () => one }))
        const { denial } = await asked(guards, rules(rule))
        const strictest = [rule, ...said].reduce((a, b) => (strictness[b] > strictness[a] ? b : a))
        const codes = { allow: undefined, ask: 'approval-unavailable', deny: 'policy-denied' }
        expect(denial?.code).toBe(codes[strictest])
        // The first that said so is named.
        const first = rule === strictest ? 'rule' : `guard:g${said.indexOf(strictest)}`
        expect(denial?.rule).toBe(strictest === 'allow' ? undefined : first)
      }),
      { numRuns: 100 },
    )
  })

  it('is asked only about what scopes and rules have let through, in order, and not after a denial', async () => {
    const order: string[] = []
    const guard = (name: string, answer: GuardAnswer): Guard => ({
      name,
      decide: async () => {
        order.push(name)
        return answer
      },
    })
    await asked([guard('a', 'allow')], rules('deny'))
    expect(order).toEqual([])
    await asked([guard('a', 'ask'), guard('b', 'allow'), guard('c', 'deny'), guard('d', 'allow')], rules('allow'))
    // Once for `prepare` and once for `execute`.
    expect(order.join('')).toBe('abcabc')
  })

  it('works without a policy', async () => {
    const seen: GuardCall[] = []
    const guard: Guard = async (call) => {
      seen.push(call)
      return 'allow'
    }
    await asked([guard], {}, { amount: 5 })
    expect(seen[0]).toMatchObject({ verdict: 'allow', rule: 'scope:spend', args: { amount: 5 } })
    expect(seen[0]?.tool).toMatchObject({ name: 'pay', framework: 'test', destructive: true })
    expect(seen[0]?.session).toMatchObject({ agent: 'bot', tenant: 'default', depth: 0 })
  })
})

describe('the deadline of a guard', () => {
  it('is one second: then the call is refused, and a late answer changes nothing', async () => {
    proves('guards-stricter', 'invariant-6')
    const late = Promise.withResolvers<GuardAnswer>()
    let signal: AbortSignal | undefined
    const rooms = house([
      {
        name: 'slow',
        decide: (_, options) => {
          signal = options.signal
          return late.promise
        },
      },
    ])
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const tool = vi.fn(async () => 'ran')
    let told: unknown
    const call = session.run(() => governed(tool, { name: 'look', scope: 'read' })()).catch((error) => (told = error))
    await rooms.clock.advance(999)
    expect(told).toBeUndefined()
    expect(signal?.aborted).toBe(false)
    await rooms.clock.advance(1)
    await call
    expect(told).toMatchObject({ code: 'unavailable', rule: 'guard:slow' })
    expect(signal?.aborted).toBe(true)
    late.resolve('allow')
    await rooms.clock.advance(10_000)
    expect(tool).not.toHaveBeenCalled()
    expect(rooms.entries().filter(({ tool }) => tool === 'look')).toHaveLength(1)
    expect(rooms.clock.timers).toBe(0)
  })

  it('is enough for one that is slow but in time; and one that ends the session meanwhile does not let it run', async () => {
    const { promise, resolve } = Promise.withResolvers<GuardAnswer>()
    const rooms = house([() => promise])
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const tool = vi.fn(async () => 'ran')
    const look = governed(tool, { name: 'look', scope: 'read' })
    const calls = [session.run(() => look()), session.run(() => look())]
    const told = Promise.allSettled(calls)
    await rooms.clock.advance(900)
    resolve('allow')
    expect((await told).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])

    const gone = house([{ name: 'ends', decide: () => other.revoke().then(() => 'allow') }])
    const other = await gone.haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await expect(other.run(() => look())).rejects.toMatchObject({ code: 'session-revoked' })
    expect(tool).toHaveBeenCalledTimes(2)
  })

  it('is each guard’s own, and the whole takes no longer than all of them one after another', async () => {
    const guards = ['a', 'b', 'c'].map(
      (name): Guard => ({ name, decide: async ({ args }) => (args === name ? 'allow' : never()) }),
    )
    const rooms = house(guards)
    const session = await rooms.haldir.createSession({ agent: 'bot', scopes: [] })
    const { execute } = governTool({ framework: 'test', name: 'look', options: { scope: [] }, run: () => 'ran' })
    const done = execute({ args: 'a', session })
    await rooms.clock.advance(1_000)
    expect(await done).toMatchObject({ status: 'denied', denial: { rule: 'guard:b' } })
  })
})

describe('a chain of sessions', () => {
  it('is asked about once for each identity, and the strictest answer counts', async () => {
    proves('guards-stricter')
    const seen: GuardCall[] = []
    const guard: Guard = {
      name: 'watch',
      decide: async (call) => {
        seen.push(call)
        return (call.args as { deny?: string }).deny === call.session.agent ? 'deny' : 'allow'
      },
    }
    const { haldir, entries } = house([guard])
    const parent = await haldir.createSession({ agent: 'parent', scopes: ['read'], attributes: { team: 'a' } })
    const child = await parent.delegate({ agent: 'child', scopes: ['read'] })
    const { execute } = governTool({ framework: 'test', name: 'look', options: { scope: 'read' }, run: () => 'ran' })
    expect(await execute({ args: {}, session: child })).toMatchObject({ status: 'ran' })
    expect(seen.map(({ session }) => [session.agent, session.depth])).toEqual([
      ['child', 1],
      ['parent', 0],
    ])
    expect(seen[1]?.session.attributes).toEqual({ team: 'a' })
    for (const deny of ['parent', 'child']) {
      expect(await execute({ args: { deny }, session: child })).toMatchObject({ denial: { rule: 'guard:watch' } })
      expect(entries().at(-1)).toMatchObject({ agent: 'child', chain: [parent.id], code: 'policy-denied' })
    }
    seen.length = 0
    await execute({ args: { deny: 'child' }, session: parent })
    expect(seen.map(({ session }) => session.agent)).toEqual(['parent'])
  })
})

describe('what a guard is shown', () => {
  it.each([
    ['memory', memoryStore],
    ['SQLite', () => sqliteStore(':memory:')],
  ])('can not be changed by it, neither for the next guard nor for the call (%s)', async (_, store) => {
    proves('invariant-2', 'guards-stricter')
    const attempts: ((call: any) => unknown)[] = [
      (call) => (call.verdict = 'allow'),
      (call) => (call.rule = 'mine'),
      (call) => (call.args = { amount: 0 }),
      (call) => (call.args.amount = 0),
      (call) => call.args.items.push('x'),
      (call) => (call.args.to.name = 'me'),
      (call) => (call.session.agent = 'admin'),
      (call) => (call.session.attributes.role = 'admin'),
      (call) => (call.session.attributes.user.name = 'admin'),
      (call) => call.session.scopes.push('admin'),
      (call) => (call.tool.readOnly = true),
      (call) => (call.tool.labels.team = 'mine'),
    ]
    let failed = 0
    const seen: unknown[] = []
    const guards: Guard[] = [
      async (call) => {
        for (const attempt of attempts) {
          try {
            attempt(call)
          } catch {
            failed++
          }
        }
        return 'allow'
      },
      async (call) => {
        seen.push(structuredClone(call))
        return 'allow'
      },
    ]
    const shared = store()
    const rooms = house(guards, { store: shared })
    const attributes = { role: 'none', user: { name: 'ann' } }
    const made = await rooms.haldir.createSession({ agent: 'bot', scopes: ['read'], attributes })
    // In another process the row comes from the store.
    const elsewhere = createHaldir({ sinks: [memorySink()], store: shared, guards })
    open.push(elsewhere)
    for (const [haldir, session] of [
      [rooms.haldir, made],
      [elsewhere, await elsewhere.attach(made.token)],
    ] as const) {
      const args = { amount: 5, items: ['book'], to: { name: 'you' } }
      const run = vi.fn((_: unknown) => 'ran')
      const tool = { framework: 'test', name: 'look', options: { scope: 'read' }, run }
      expect(await governTool(tool, { haldir }).execute({ args, session })).toMatchObject({ status: 'ran' })
      expect(run.mock.calls[0]?.[0]).toEqual(args)
      expect(seen.pop()).toMatchObject({
        args,
        verdict: 'allow',
        rule: 'scope:read',
        session: { agent: 'bot', scopes: ['read'], attributes },
        tool: { readOnly: false, labels: {} },
      })
    }
    expect(failed).toBe(attempts.length * 2)
  })
})

describe('a policy engine', () => {
  it('is asked with the call, and decides as a guard', async () => {
    proves('guards-stricter')
    const client: PolicyClient = {
      evaluate: async (path, input) => {
        expect(path).toBe('agent/call')
        const { amount } = (input as GuardCall).args as { amount: number }
        return amount > 10 ? { allow: false, reason: 'more than ten' } : { allow: true }
      },
    }
    const guard = policyGuard(client, { path: 'agent/call' })
    expect((await asked([guard], {}, { amount: 5 })).denial).toBeUndefined()
    const { denial } = await asked([guard], {}, { amount: 50 })
    expect(denial).toMatchObject({ code: 'policy-denied', rule: 'guard:agent/call' })
    expect(denial?.message).toContain('more than ten')
    expect((await asked([guard], rules('ask'), { amount: 5 })).denial).toMatchObject({ rule: 'rule' })
  })

  it.each([undefined, null, {}, [], [{ result: true }], { result: true }, 'yes', 1])(
    'that answers something else refuses: %j',
    async (answer) => {
      proves('invariant-6')
      const { denial } = await asked([policyGuard({ evaluate: async () => answer }, { path: 'p' })])
      expect(Denied.isInstance(denial) && denial.code).toBe('unavailable')
    },
  )
})

it('a date that one guard sets is still what it was, for the next guard, for the price and for the tool', async () => {
  const seen: number[] = []
  const haldir = createHaldir({
    clock: fakeClock(),
    sinks: [memorySink()],
    guards: [
      async ({ args }) => {
        ;(args as { due: Date }).due.setTime(0)
        return 'allow'
      },
      async ({ args }) => {
        seen.push((args as { due: Date }).due.getTime())
        return 'allow'
      },
    ],
  })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
  const pay = governed(async ({ due }: { due: Date }) => due.getTime(), {
    name: 'pay',
    scope: 'spend',
    cost: ({ due }) => {
      seen.push(due.getTime())
      return usd(1)
    },
  })
  expect(await session.run(() => pay({ due: new Date(5_000) }))).toBe(5_000)
  expect(seen).toEqual([5_000, 5_000])
  await haldir.close()
})
