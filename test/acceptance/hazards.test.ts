/** What goes wrong half-way through one call: nothing runs that should not, and what was taken goes back. */
import { getEventListeners } from 'node:events'
import { inspect } from 'node:util'
import { createHaldir, currentCall, Denied, governed, type HaldirOptions, money, type Sink, usd } from '@haldir/core'
import { governTool } from '@haldir/core/adapter'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it, vi } from 'vitest'
import { entriesOf, proves } from '../promises.ts'

const SECRET = 'a-secret-of-the-service'
const key = {
  id: 'k',
  wrap: (dataKey: Uint8Array) => dataKey.slice(),
  unwrap: (wrapped: Uint8Array) => wrapped.slice(),
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** The sound parts of a house; a test puts a broken one in the place of some. */
function soundParts() {
  const clock = fakeClock()
  return { clock, store: memoryStore({ clock }), sink: memorySink() }
}

/** A session with $50, and a tool that costs $10 and needs a secret. */
async function houseWith(change: (parts: ReturnType<typeof soundParts>) => HaldirOptions = () => ({})) {
  const parts = soundParts()
  const { clock, store, sink } = parts
  const options = { clock, store, sinks: [sink], vault: { keys: [key] }, holdFor: '1m', ...change(parts) } as const
  const haldir = createHaldir(options)
  await haldir.vault.put('api_key', SECRET, { scope: 'spend' })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'], ttl: '1d' })
  const tool = vi.fn(async () => 'ran')
  const pay = governed(tool, { name: 'pay', scope: 'spend', cost: () => usd(10), secrets: ['api_key'] }, { session })
  const told = (work: Promise<unknown>) => work.catch((error) => (Denied.isInstance(error) ? error.code : error))
  const line = async () => (await session.budget()).map(({ used, held }) => `${used}, ${held}`)[0]
  const outcomes = () => entriesOf(sink.lines).filter(({ type }) => type === 'outcome')
  return { ...parts, haldir, session, tool, line, outcomes, told, call: () => told(pay()) }
}

/** A sink that answers a turn later, once `before` has let it. */
function slowly(sink: Sink, name: string, before: (lines: string) => unknown): Sink {
  const write = async (lines: string) => {
    await turn()
    return (await before(lines)) === false ? false : sink.write(lines)
  }
  return { ...sink, name, write }
}

/** A door that stands open until it is shut. */
function door() {
  let opened: Promise<void> | undefined
  let open = () => {}
  const shut = () => {
    opened = new Promise((resolve) => {
      open = resolve
    })
  }
  return { pass: () => opened, shut, open: () => open() }
}

const keyBehind = (gate: ReturnType<typeof door>) => ({
  ...key,
  unwrap: async (wrapped: Uint8Array) => {
    await gate.pass()
    return wrapped.slice()
  },
})

/** Makes the session know its secret. */
async function reveal(session: Awaited<ReturnType<typeof houseWith>>['session']) {
  const look = async () => void currentCall().secret('api_key').reveal()
  await governed(look, { name: 'look', scope: [], secrets: ['api_key'] }, { session })()
}

describe('a sink that answers later', () => {
  it.each([
    ['first', 'second'],
    ['second', 'first'],
  ])('is waited for: the call does not run when the %s refuses and the %s accepts', async (refusing) => {
    proves('invariant-1')
    let down = false
    const refuse = async (name: string) => {
      if (!down || name !== refusing) return
      // Well after the other has accepted.
      for (let turns = 0; turns < 3; turns++) await turn()
      throw new Error('disk full')
    }
    const { call, tool, line } = await houseWith(({ sink }) => ({
      sinks: [slowly(sink, 'first', () => refuse('first')), slowly(memorySink(), 'second', () => refuse('second'))],
    }))
    down = true
    expect(await call()).toBe('unavailable')
    expect(tool).not.toHaveBeenCalled()
    expect(await line()).toBe('0 USD, 0 USD')
    down = false
    expect(await call()).toBe('ran')
  })

  it('refuses by resolving to `false`, and gets what it missed first', async () => {
    let down = false
    const { call, tool, sink, haldir } = await houseWith(({ sink }) => ({
      sinks: [slowly(sink, 'later', () => !down)],
    }))
    const before = sink.lines.length
    down = true
    expect(await call()).toBe('unavailable')
    expect(tool).not.toHaveBeenCalled()
    expect(sink.lines.length).toBe(before)
    down = false
    expect(await call()).toBe('ran')
    await haldir.flush()
    const types = entriesOf(sink.lines.slice(before)).map(({ type, data }) => `${type} ${data.ended ?? ''}`.trim())
    expect(types).toEqual(['intent', 'outcome not-run', 'intent', 'secret-read', 'outcome ok'])
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
  })
})

it('does not run when the entry that says a secret is read is refused', async () => {
  let down = true
  const { call, tool, line, outcomes, haldir } = await houseWith(({ sink }) => {
    const write: Sink['write'] = (lines) => (down && lines.includes('"secret-read"') ? false : sink.write(lines))
    return { sinks: [{ ...sink, write }] }
  })
  expect(await call()).toBe('unavailable')
  expect(tool).not.toHaveBeenCalled()
  expect(await line()).toBe('0 USD, 0 USD')
  down = false
  await haldir.flush()
  expect(outcomes().map(({ data }) => data.ended)).toEqual(['not-run'])
  expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
})

it.each(['throws', 'rejects'])('gives back what a store took before its answer was lost, when it %s', async (how) => {
  proves('invariant-6')
  let lost = true
  const { call, tool, line, haldir, clock } = await houseWith(({ store }) => ({
    store: {
      ...store,
      admit: (request) => {
        const answer = store.admit(request)
        if (!lost) return answer
        if (how === 'rejects') return Promise.reject(new Error('connection lost'))
        throw new Error('connection lost')
      },
    },
  }))
  expect(await call()).toBe('unavailable')
  expect(tool).not.toHaveBeenCalled()
  expect(await line()).toBe('0 USD, 0 USD')
  await clock.advance(120_000)
  expect(await haldir.sweep()).toEqual({ released: [], orphaned: [] })
  lost = false
  expect(await call()).toBe('ran')
})

describe('a session revoked while its call', () => {
  it.each(['waits for the sink', 'waits for the key'])('%s: the tool does not run', async (where) => {
    proves('invariant-5', 'instant-revoke')
    const atSink = where.endsWith('sink')
    const gate = door()
    const { call, tool, line, outcomes, session } = await houseWith(({ sink }) =>
      atSink ? { sinks: [slowly(sink, 'gated', gate.pass)] } : { vault: { keys: [keyBehind(gate)] } },
    )
    gate.shut()
    const answer = call()
    for (let turns = 0; turns < 3; turns++) await turn()
    expect(await line()).toBe('0 USD, 10 USD')
    const revoked = session.revoke()
    await turn()
    gate.open()
    expect(await answer).toBe('session-revoked')
    await revoked
    expect(tool).not.toHaveBeenCalled()
    expect(await line()).toBe('0 USD, 0 USD')
    expect(outcomes()).toMatchObject([{ code: 'session-revoked', data: { ended: 'not-run' } }])
  })
})

it.each([false, true])(
  'leaves no session behind that nobody recorded (a sink that answers later: %s)',
  async (later) => {
    const { clock, store, sink } = soundParts()
    let id = ''
    const create: typeof store.session.create = (row, meters) => {
      id = row.id
      return store.session.create(row, meters)
    }
    const write: Sink['write'] = (lines) => {
      if (!lines.includes('"session-created"')) return sink.write(lines)
      if (later) return Promise.reject(new Error('disk full'))
      throw new Error('disk full')
    }
    const haldir = createHaldir({
      clock,
      store: { ...store, session: { ...store.session, create } },
      sinks: [{ ...sink, write }],
    })
    await expect(haldir.createSession({ agent: 'bot', scopes: [] })).rejects.toMatchObject({ code: 'unavailable' })
    expect(id).not.toBe('')
    expect(await store.session.get({ id })).toMatchObject({ revokedAt: expect.any(Number) })
  },
)

it('renews the leases of calls that have run for a while, and of none that has ended', async () => {
  const renewed: string[] = []
  const { session, clock } = await houseWith(({ store }) => ({
    store: {
      ...store,
      renew: (calls, leaseMs) => {
        renewed.push(`${clock.monotonic() / 1_000}s: ${calls.map((id) => names.get(id)).join(' ')}`)
        return store.renew(calls, leaseMs)
      },
    },
  }))
  const names = new Map<string, string>()
  const finish: Record<string, () => void> = {}
  const work = async ({ name }: { name: string }) => {
    names.set(currentCall().id, name)
    await new Promise<void>((resolve) => {
      finish[name] = resolve
    })
  }
  const long = governed(work, { name: 'long', scope: 'spend', cost: () => usd(10) }, { session })
  const early = long({ name: 'early' })
  await clock.advance(15_000)
  const late = long({ name: 'late' })
  await clock.advance(30_000)
  expect(renewed).toEqual(['20s: early', '40s: early late'])
  finish.early?.()
  await early
  await clock.advance(20_000)
  expect(renewed.slice(2)).toEqual(['60s: late'])
  finish.late?.()
  await late
  await clock.advance(120_000)
  expect(renewed.length).toBe(3)
})

it('leaves nothing on the signal of the caller, whether a call is refused, called off, given up or run', async () => {
  const gate = door()
  const { session, haldir } = await houseWith(() => ({
    vault: { keys: [keyBehind(gate)] },
  }))
  const tool = (name: string, secrets: string[], limit = 10) =>
    governTool(
      {
        framework: 'function',
        name,
        definition: { name },
        options: { scope: 'spend', cost: () => usd(limit), secrets },
        run: async (_args, call) => call.signal.aborted,
      },
      { haldir, session },
    )
  const caller = new AbortController()
  const listeners = () => getEventListeners(caller.signal, 'abort').length
  const request = { args: {}, signal: caller.signal }
  expect(await tool('ran', ['api_key']).execute(request)).toEqual({ status: 'ran', value: false })
  expect(listeners()).toBe(0)
  expect(await tool('refused', [], 99).execute(request)).toMatchObject({ denial: { code: 'budget-exceeded' } })
  expect(listeners()).toBe(0)
  const missing = await tool('called_off', ['api_key', 'no_such_secret']).execute(request)
  expect(missing).toMatchObject({ denial: { code: 'secret-unavailable' } })
  expect(listeners()).toBe(0)
  gate.shut()
  const running = tool('given_up', ['api_key']).execute(request)
  await turn()
  caller.abort('enough')
  gate.open()
  expect(await running).toEqual({ status: 'failed', error: 'enough' })
  expect(listeners()).toBe(0)
})

it('wipes the secrets of a call that is called off', async () => {
  const { session, told } = await houseWith()
  const secrets = ['api_key', 'no_such_secret']
  const tool = governed(async () => 'ran', { name: 'pay', scope: 'spend', cost: usd(1), secrets }, { session })
  const { fill } = Buffer.prototype
  let wiped = 0
  const spy = vi.spyOn(Buffer.prototype, 'fill').mockImplementation(function (this: Buffer, ...how) {
    if (this.toString() === SECRET && how[0] === 0) wiped++
    return Reflect.apply(fill, this, how)
  })
  const answer = await told(tool())
  spy.mockRestore()
  expect(answer).toBe('secret-unavailable')
  expect(wiped).toBe(1)
})

describe('a secret of the session', () => {
  it('stands in no reason, no `ref` and no name of an error', async () => {
    proves('invariant-7')
    const { session, sink, told, outcomes, haldir } = await houseWith()
    await reveal(session)
    const echo = async (_: object) => {
      throw Object.assign(new Error('no'), { name: SECRET })
    }
    const tool = governed(echo, { name: 'echo', scope: [] }, { session })
    const denial = await tool({ [SECRET]: () => {} }).catch((error: Error) => error)
    expect(Denied.isInstance(denial) && denial.code).toBe('invalid-arguments')
    expect(String(denial)).toContain('[redacted:api_key]')
    const error = await told(tool({}))
    expect(inspect([denial, error])).not.toContain(SECRET)

    const definition = { framework: 'function', name: 'by_ref', definition: {}, options: { scope: [] } }
    const byRef = governTool({ ...definition, run: async () => 'ran' }, { haldir, session })
    for (const ref of [`call ${SECRET}`, `${'x'.repeat(120)}${SECRET}`, 'y'.repeat(10_000)]) {
      expect((await byRef.execute({ args: {}, ref })).status).toBe('ran')
    }
    const refs = outcomes().flatMap(({ ref }) => ref ?? [])
    expect(refs).toEqual(['call [redacted:api_key]', expect.stringMatching(/^x{120}\[redact/), 'y'.repeat(128)])
    expect(refs.every((ref) => ref.length <= 128)).toBe(true)
    expect(sink.lines.join('\n')).not.toContain('a-secret')
  })

  it('leaves in no error, wherever a client library has put it', async () => {
    const { session } = await houseWith()
    class AxiosHeaders {
      readonly Authorization: string
      constructor(value: string) {
        this.Authorization = value
      }
    }
    class PaymentError extends Error {}
    const fail = async () => {
      const secret = currentCall().secret('api_key').reveal()
      const error = new PaymentError('card declined', { cause: new Map([[1, secret]]) })
      throw Object.assign(error, { config: { headers: new AxiosHeaders(secret) } })
    }
    const pay = governed(fail, { name: 'fail', scope: [], secrets: ['api_key'] }, { session })
    const error = await pay().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(PaymentError)
    expect((error as Error).message).toBe('card declined')
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(SECRET)
    expect(JSON.stringify(error)).not.toContain(SECRET)
  })
})

describe('what a tool says of its cost', () => {
  it('may not come later: a promise that rejects ends neither process nor budget', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const { session, told, line, outcomes } = await houseWith()
    const broken = (async () => {
      throw new Error('no price')
    }) as never
    const tool = vi.fn(async () => 'ran')
    const options = { name: 'odd', scope: 'spend', cost: () => usd(10) }
    expect(await told(governed(tool, { ...options, cost: broken }, { session })())).toBe('unavailable')
    expect(await told(governed(tool, { ...options, scope: broken }, { session })())).toBe('invalid-arguments')
    expect(tool).not.toHaveBeenCalled()
    expect(await line()).toBe('0 USD, 0 USD')
    expect(await told(governed(tool, { ...options, actual: broken }, { session })())).toBe('ran')
    expect(await line()).toBe('10 USD, 0 USD')
    expect(outcomes().at(-1)?.data).toEqual({ ended: 'ok', actual: 'failed' })
    for (let turns = 0; turns < 3; turns++) await turn()
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  it('does not get a hold back by spending in a unit that nobody counts', async () => {
    proves('invariant-3')
    const { haldir, outcomes } = await houseWith()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:5'] })
    const tool = async () => currentCall().spent(money('EUR', 1_000))
    await governed(tool, { name: 'abroad', scope: 'spend', cost: () => usd(5) }, { session })()
    expect((await session.budget()).map(({ used, held }) => `${used}, ${held}`)).toEqual(['5 USD, 0 USD'])
    expect(outcomes().at(-1)?.data).toMatchObject({ ended: 'ok', overrun: true })
  })
})
