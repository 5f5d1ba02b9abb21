import { ConfigError, createHaldir, currentCall, Denied, type Entry, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { entriesOf, proves } from '../promises.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const haldir of open.splice(0)) await haldir.close()
})

function house(options: Parameters<typeof createHaldir>[0] = {}) {
  const sink = memorySink()
  const haldir = createHaldir({ sinks: [sink], ...options })
  open.push(haldir)
  return { haldir, sink, entries: () => entriesOf(sink.lines) }
}

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('the call ran'),
    (error) => {
      expect(Denied.isInstance(error)).toBe(true)
      return error as Denied
    },
  )

describe('one call, in order', () => {
  it('writes the intent before the tool runs and the outcome after it', async () => {
    proves('invariant-1', 'every-call-logged')
    const { haldir, sink } = house()
    let seen: Entry[] = []
    const pay = governed(
      async ({ amount }: { amount: number }) => {
        seen = entriesOf(sink.lines)
        return { total: amount }
      },
      { name: 'pay', scope: 'spend', cost: ({ amount }) => usd(amount), actual: ({ total }) => usd(total) },
    )
    const session = await haldir.createSession({ agent: 'bot', tenant: 'acme', scopes: ['spend:50'] })
    await session.run(() => pay({ amount: 29.99 }))

    expect(seen.at(-1)).toMatchObject({
      type: 'intent',
      tenant: 'acme',
      agent: 'bot',
      session: session.id,
      tool: 'pay',
      verdict: 'allow',
      held: [{ unit: 'USD', amount: '29.99' }],
    })
    const outcome = entriesOf(sink.lines).at(-1)
    expect(outcome).toMatchObject({ type: 'outcome', spent: [{ unit: 'USD', amount: '29.99' }], data: { ended: 'ok' } })
    expect(outcome?.call).toBe(seen.at(-1)?.call)
  })

  it('runs exactly what was judged, though the caller changes the arguments meanwhile', async () => {
    proves('invariant-2')
    const { haldir } = house()
    const ran: unknown[] = []
    const order = { amount: 5, items: [{ sku: 'a' }] }
    const pay = governed(
      async (args: typeof order) => {
        ran.push(structuredClone(args))
        args.items.push({ sku: 'the tool may change its own copy' })
      },
      {
        name: 'pay',
        scope: 'spend',
        cost: (args) => {
          // A price function that tries to change what runs gets nowhere: what it sees is frozen.
          expect(() => Object.assign(args, { amount: 9_999 })).toThrow(TypeError)
          return usd(args.amount)
        },
      },
    )
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const running = session.run(() => pay(order))
    order.amount = 9_999
    order.items[0] = { sku: 'b' }
    await running
    expect(ran).toEqual([{ amount: 5, items: [{ sku: 'a' }] }])
    expect(order.items).toEqual([{ sku: 'b' }])
  })

  it('gives equal calls the same digest and other ones another', async () => {
    const { haldir, entries } = house()
    const find = governed(async (_: { a?: number; b?: number }) => {}, { name: 'find', scope: [] })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    for (const args of [{ a: 1, b: 2 }, { b: 2, a: 1 }, { a: 1 }]) await session.run(() => find(args))
    const digests = entries().flatMap((entry) => (entry.type === 'intent' ? [entry.digest] : []))
    expect(digests[0]).toBe(digests[1])
    expect(digests[0]).not.toBe(digests[2])
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/)
  })

  it('refuses without a session, and records that', async () => {
    proves('no-session-no-access')
    const { haldir, entries } = house()
    const tool = vi.fn(async () => {})
    const error = await refusal(governed(tool, { name: 'read', scope: 'read' }, { haldir })())
    expect(error.code).toBe('no-session')
    expect(tool).not.toHaveBeenCalled()
    expect(entries().at(-1)).toMatchObject({ type: 'refusal', code: 'no-session', session: null, tool: 'read' })
  })

  it('refuses a scope that is not held, naming the rule', async () => {
    proves('scoped-permissions')
    const { haldir, entries } = house()
    const tool = vi.fn(async () => {})
    const session = await haldir.createSession({ agent: 'bot', scopes: ['records:read'] })
    const error = await refusal(governed(tool, { name: 'drop', scope: 'records:delete' }, { session })())
    expect(error).toMatchObject({ code: 'scope-missing', rule: 'scope:records:delete', retryable: false })
    expect(String(error)).toBe(error.message)
    expect(tool).not.toHaveBeenCalled()
    expect(entries().at(-1)).toMatchObject({ type: 'refusal', verdict: 'deny', code: 'scope-missing', tool: 'drop' })
  })
})

describe('budgets', () => {
  const pay = (run: (args: { amount: number }) => Promise<unknown> = async () => {}, more: object = {}) =>
    governed(run, { name: 'pay', scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount), ...more })

  it('runs exactly 50 of 100 parallel calls of $1 on a budget of $50', async () => {
    proves('invariant-3', 'per-session-budget')
    const { haldir } = house()
    let ran = 0
    const tool = pay(async () => void ran++)
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const results = await Promise.allSettled(Array.from({ length: 100 }, () => session.run(() => tool({ amount: 1 }))))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(50)
    expect(ran).toBe(50)
    const [line] = await session.budget()
    expect([`${line?.used}`, `${line?.held}`, `${line?.left}`]).toEqual(['50 USD', '0 USD', '0 USD'])
  })

  it('holds the cost while the tool runs, and gives back what was not spent', async () => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const tool = pay(
      async () => {
        const [line] = await session.budget()
        expect(`${line?.held}`).toBe('30 USD')
        return { total: '12.50' }
      },
      { actual: ({ total }: { total: string }) => usd(total) },
    )
    await session.run(() => tool({ amount: 30 }))
    expect((await session.budget()).map(({ used, left }) => `${used} / ${left}`)).toEqual(['12.5 USD / 37.5 USD'])
  })

  it('keeps the hold of a failed call as spent, unless the tool says that failing costs nothing', async () => {
    proves('invariant-4')
    const { haldir, entries } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const timeout = new Error('timed out')
    const failing = async () => Promise.reject(timeout)
    await expect(session.run(() => pay(failing)({ amount: 10 }))).rejects.toBe(timeout)
    await expect(session.run(() => pay(failing, { onFailure: 'release' })({ amount: 10 }))).rejects.toBe(timeout)
    expect(`${(await session.budget())[0]?.used}`).toBe('10 USD')
    expect(
      entries()
        .filter(({ type }) => type === 'outcome')
        .map(({ spent, data }) => [spent, data]),
    ).toEqual([
      [[{ unit: 'USD', amount: '10' }], { ended: 'failed', error: 'Error' }],
      [[], { ended: 'failed', error: 'Error' }],
    ])
  })

  it('records what the tool says it spent, even above the hold, and refuses from then on', async () => {
    const { haldir, entries } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const tool = pay(
      async () => {
        currentCall().spent(usd(40))
        currentCall().spent(usd(20))
      },
      { actual: () => usd(1) },
    )
    await session.run(() => tool({ amount: 10 }))
    expect(entries().at(-1)).toMatchObject({ spent: [{ unit: 'USD', amount: '60' }], data: { overrun: true } })
    expect((await refusal(session.run(() => tool({ amount: 1 })))).code).toBe('budget-exceeded')
  })

  it('counts what a tool without a cost says it spent', async () => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read', 'spend:5'] })
    const look = governed(async () => currentCall().spent(usd(2)), { name: 'look', scope: 'read' })
    await session.run(() => look())
    expect(`${(await session.budget())[0]?.used}`).toBe('2 USD')
  })

  it('keeps the result and the hold when `actual` fails', async () => {
    const { haldir, entries } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    for (const actual of [
      () => {
        throw new Error('no')
      },
      () => 12 as never,
      async () => usd(1) as never,
    ]) {
      const tool = pay(async () => 'the result', { actual })
      expect(await session.run(() => tool({ amount: 5 }))).toBe('the result')
      expect(entries().at(-1)).toMatchObject({
        spent: [{ unit: 'USD', amount: '5' }],
        data: { ended: 'ok', actual: 'failed' },
      })
    }
  })

  it('needs a budget in the currency of a cost, or `spend:*`', async () => {
    const { haldir } = house()
    const euros = governed(async () => 'ok', { name: 'euros', scope: 'spend', cost: () => [usd(1), usd(1)] })
    const free = await haldir.createSession({ agent: 'bot', scopes: ['spend:*'] })
    const other = await haldir.createSession({ agent: 'bot', scopes: ['spend:5:EUR'] })
    expect(await free.run(() => euros())).toBe('ok')
    expect(await refusal(other.run(() => euros()))).toMatchObject({ code: 'budget-exceeded' })
  })

  it.each([
    [
      'throws',
      () => {
        throw new TypeError('undefined is not a price')
      },
      'invalid-arguments',
    ],
    ['is not a number', ({ amount }: { amount: number }) => usd(amount), 'invalid-arguments'],
    ['is no amount', () => 5 as never, 'unavailable'],
    ['is a promise', async () => usd(1) as never, 'unavailable'],
    ['is negative, forged', () => ({ unit: 'USD', micros: -5n }) as never, 'unavailable'],
  ])('refuses a call whose cost %s', async (_, cost, code) => {
    const { haldir } = house()
    const tool = vi.fn(async () => {})
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const priced = governed(tool as (args: { amount: number }) => Promise<void>, {
      name: 'pay',
      scope: 'spend',
      cost: cost as () => never,
    })
    const error = await refusal(session.run(() => priced({ amount: 'all of it' as never })))
    expect(error.code).toBe(code)
    expect(error.message).not.toContain('all of it')
    expect(tool).not.toHaveBeenCalled()
    expect(`${(await session.budget())[0]?.left}`).toBe('50 USD')
  })
})

describe('sessions', () => {
  it('admits nothing once revoke has returned, also for a handle in another haldir on the same store', async () => {
    proves('invariant-5', 'instant-revoke')
    const store = memoryStore()
    const here = house({ store })
    const there = house({ store })
    const tool = vi.fn(async () => 'ran')
    const session = await here.haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const attached = await there.haldir.attach(session.token)
    const read = governed(tool, { name: 'read', scope: 'read' })
    expect(await attached.run(() => read())).toBe('ran')
    await session.revoke('done')
    for (const handle of [session, attached]) {
      expect((await refusal(handle.run(() => read()))).code).toBe('session-revoked')
    }
    expect(tool).toHaveBeenCalledTimes(1)
    expect(attached.signal.aborted).toBe(true)
    expect(here.entries().at(-2)).toMatchObject({ type: 'session-revoked', data: { reason: 'done', sessions: 1 } })
  })

  it('tells a running call of the revoke, and the next step of its loop', async () => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const wait = governed(
      () =>
        new Promise((_, reject) => {
          const { signal } = currentCall()
          signal.addEventListener('abort', () => reject(signal.reason))
        }),
      { name: 'wait', scope: 'read' },
    )
    const running = session.run(() => wait())
    await new Promise((resolve) => setImmediate(resolve))
    await session.revoke()
    expect((await refusal(running)).code).toBe('session-revoked')
    expect(session.signal.aborted).toBe(true)
  })

  it('expires by the clock that nobody can set back', async () => {
    proves('invariant-10', 'session-ttl')
    const clock = fakeClock()
    const { haldir } = house({ clock, store: memoryStore({ clock }) })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'], ttl: '1m' })
    const read = governed(async () => 'ran', { name: 'read', scope: 'read' })
    const { signal } = session
    await clock.advance(59_000)
    expect(await session.run(() => read())).toBe('ran')
    clock.setWall(clock.now() - 7_200_000)
    await clock.advance(1_000)
    expect(signal.aborted).toBe(true)
    expect((await refusal(session.run(() => read()))).code).toBe('session-expired')
  })

  it('shows its token nowhere by itself', async () => {
    const { haldir, sink } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const { inspect } = await import('node:util')
    const shown = [
      JSON.stringify(session),
      inspect(session, { depth: 9, showHidden: true }),
      JSON.stringify({ ...session }),
    ]
    expect(Buffer.from(session.token, 'base64url')).toHaveLength(32)
    for (const text of [...shown, ...sink.lines]) expect(text).not.toContain(session.token)
  })

  it.each([
    ['agent', { agent: '', scopes: [] }],
    ['agent', { agent: 'a|b', scopes: [] }],
    ['tenant', { agent: 'a', tenant: 7, scopes: [] }],
    ['scopes', { agent: 'a' }],
    ['scopes.0', { agent: 'a', scopes: ['spend:lots'] }],
    ['ttl', { agent: 'a', scopes: [], ttl: 'soon' }],
    ['ttl', { agent: 'a', scopes: [], ttl: 0 }],
    [
      'attributes',
      {
        agent: 'a',
        scopes: [],
        attributes: {
          get user() {
            return 1
          },
        },
      },
    ],
    ['scope', { agent: 'a', scope: [] }],
  ])('refuses a bad `%s`, naming it', async (path, options) => {
    const { haldir } = house()
    const error = await haldir.createSession(options as never).catch((caught) => caught)
    expect(ConfigError.isInstance(error)).toBe(true)
    expect(error.path).toBe(path)
    expect(error.message).not.toMatch(/lots|soon/)
  })
})
