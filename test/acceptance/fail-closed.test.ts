/** Every part that Haldir leans on, broken in every way: the call is refused in time and its tool does not run. */
import { createHaldir, Denied, governed, HaldirError, type KeyProvider, type Sink, type Store, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { type FakeClock, fakeClock } from '@haldir/testing'
import { describe, expect, it, vi } from 'vitest'
import { entriesOf, proves } from '../promises.ts'

type Verb = (...args: never[]) => unknown

/** Ways a part breaks. Each takes the place of one of its verbs. */
const BROKEN: Record<string, Verb> = {
  throws: () => {
    throw new Error('disk on fire, password hunter2hunter2')
  },
  rejects: async () => {
    throw new Error('connection reset, password hunter2hunter2')
  },
  'throws no error': () => {
    throw undefined
  },
  hangs: () => new Promise(() => {}),
  'answers late': () => new Promise((resolve) => setTimeout(resolve, 3_600_000).unref()),
}

/** A way to break that shows only in what is answered. */
const GARBAGE: Record<string, Verb> = {
  'answers nothing': () => undefined,
  'answers nonsense': () => ({ ok: 'yes', at: 'now', state: 7 }),
  'resolves to null': async () => null,
}

const key: KeyProvider = { id: 'k', wrap: (dataKey) => dataKey.slice(), unwrap: (wrapped) => wrapped.slice() }

interface Parts {
  store?: Partial<Store>
  sink?: Partial<Sink>
  key?: Partial<KeyProvider>
}

/** A house in good order, with a session and a tool that costs and needs a secret; then parts of it break. */
async function houseThatBreaks() {
  const clock = fakeClock()
  const parts: Parts = {}
  const memory = memoryStore({ clock })
  // A haldir keeps hold of its store's groups of verbs, so a verb in a group is broken inside of it.
  const get: Store['secret']['get'] = (...of) => (parts.store?.secret ?? memory.secret).get(...of)
  const sound = { store: { ...memory, secret: { ...memory.secret, get } }, sink: memorySink(), key }
  const breakable = <T extends object>(part: T, name: keyof Parts): T =>
    new Proxy(part, { get: (target, verb) => Reflect.get(parts[name] ?? {}, verb) ?? Reflect.get(target, verb) })
  const haldir = createHaldir({
    clock,
    store: breakable(sound.store, 'store'),
    sinks: [breakable<Sink>(sound.sink, 'sink')],
    vault: { keys: [breakable(sound.key, 'key')] },
  })
  await haldir.vault.put('api_key', 'a-secret-of-the-service', { scope: 'spend' })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
  const tool = vi.fn(async () => 'ran')
  const pay = governed(tool, { name: 'pay', scope: 'spend', cost: () => usd(1), secrets: ['api_key'] })
  const call = () =>
    soon(
      clock,
      session.run(() => pay()),
    )
  return { haldir, clock, parts, sound, session, tool, call }
}

/** Waits for an answer while time passes, for at most a minute of it. */
async function soon<T>(clock: FakeClock, work: Promise<T>): Promise<T | Error> {
  const answer = work.catch((error: Error) => error)
  let done = false
  answer.then(() => {
    done = true
  })
  for (let second = 0; second < 60 && !done; second++) await clock.advance(1_000)
  if (!done) throw new Error('no answer within a minute')
  return answer
}

function expectRefused(error: unknown, codes = ['unavailable']) {
  expect(Denied.isInstance(error)).toBe(true)
  expect(codes).toContain((error as Denied).code)
  expect((error as Denied).message).not.toContain('hunter2')
}

describe.each(Object.entries({ ...BROKEN, ...GARBAGE }))('a part that %s', (_, broken) => {
  it.each<[string, Parts]>([
    ['store.admit', { store: { admit: broken as Store['admit'] } }],
    ['store.secret.get', { store: { secret: { ...memoryStore().secret, get: broken as Store['secret']['get'] } } }],
    ['key.unwrap', { key: { unwrap: broken as KeyProvider['unwrap'] } }],
  ])('in %s: refused, not run, nothing kept, and alive afterwards', async (part, breakage) => {
    proves('invariant-6')
    const { parts, sound, tool, call, session, haldir, clock } = await houseThatBreaks()
    Object.assign(parts, breakage)
    // A store that says there is no such secret is a store in good order, as far as anyone can tell.
    expectRefused(await call(), part === 'store.secret.get' ? ['unavailable', 'secret-unavailable'] : ['unavailable'])
    expect(tool).not.toHaveBeenCalled()
    expect(JSON.stringify(haldir.health().faults)).not.toContain('hunter2')
    for (const name of Object.keys(parts)) delete parts[name as keyof Parts]
    expect(`${(await session.budget())[0]?.left}`).toBe('50 USD')
    expect(await call()).toBe('ran')
    expect(entriesOf(sound.sink.lines).length).toBeGreaterThan(4)
    await soon(clock, haldir.close())
  })
})

describe.each(Object.entries({ ...BROKEN, 'answers false': () => false }))('a sink that %s', (_, broken) => {
  it('refuses the call before it runs, closes the intent, and catches up when it is well again', async () => {
    proves('invariant-1', 'invariant-6')
    const { parts, sound, tool, call, haldir, session, clock } = await houseThatBreaks()
    const before = sound.sink.lines.length
    parts.sink = { write: broken as Sink['write'] }
    expectRefused(await call())
    expectRefused(await call())
    expect(tool).not.toHaveBeenCalled()
    expect(haldir.health().ok).toBe(false)
    expect(`${(await session.budget())[0]?.left}`).toBe('50 USD')
    if (broken === BROKEN.hangs || broken === BROKEN['answers late']) return

    delete parts.sink
    expect(await call()).toBe('ran')
    const types = entriesOf(sound.sink.lines.slice(before)).map(({ type, data }) =>
      `${type} ${data.ended ?? ''}`.trim(),
    )
    expect(types).toEqual([
      'intent',
      'outcome not-run',
      'intent',
      'outcome not-run',
      'intent',
      'secret-read',
      'outcome ok',
    ])
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
    expect(haldir.health().ok).toBe(true)
    await soon(clock, haldir.close())
  })

  it('does not hold a call up when it is not required, and counts what it lost', async () => {
    const sink: Sink = { name: 'copy', required: false, write: broken as Sink['write'] }
    const trail = memorySink()
    const haldir = createHaldir({ sinks: [trail, sink] })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const look = governed(async () => 'ran', { name: 'look', scope: [] })
    for (let call = 0; call < 600; call++) expect(await session.run(() => look())).toBe('ran')
    expect(haldir.health().trail.dropped.copy).toBeGreaterThan(100)
    expect(trail.lines.length).toBeGreaterThan(1_200)
  })
})

it('says in `health()` what lies behind a refusal, by the error’s own name', async () => {
  const { parts, call, haldir } = await houseThatBreaks()
  const refusedConnection = Object.assign(new Error('10.0.0.1:5432 as root'), { code: 'ECONNREFUSED' })
  parts.store = { admit: () => Promise.reject(refusedConnection) }
  await call()
  await call()
  expect(haldir.health().faults).toEqual([{ part: 'store.admit', count: 2, last: 'ECONNREFUSED' }])
  parts.store = { admit: () => new Promise(() => {}) }
  await call()
  expect(haldir.health().faults[0]?.last).toBe('`store.admit` did not answer in time')
})

it('keeps only so much for a sink that stays down, and records how much was left out', async () => {
  const { parts, sound, call, haldir, tool } = await houseThatBreaks()
  parts.sink = { write: BROKEN.throws as Sink['write'] }
  for (let times = 0; times < 700; times++) expectRefused(await call())
  const { waiting, unrecorded } = haldir.health().trail
  expect(waiting).toBeLessThanOrEqual(1_001)
  expect(unrecorded).toBeGreaterThan(0)
  delete parts.sink
  expect(await call()).toBe('ran')
  expect(tool).toHaveBeenCalledTimes(1)
  const entries = entriesOf(sound.sink.lines)
  const gap = entries.find(({ type }) => type === 'gap')
  expect(gap?.data.unrecorded).toBe(unrecorded)
  expect(await haldir.trail.verify()).toMatchObject({ ok: true, orphans: [] })
})

it('returns the result of a call whose outcome no sink takes, and runs no other until it is in', async () => {
  const { parts, sound, session, haldir, tool, call } = await houseThatBreaks()
  const pay = governed(
    async () => {
      parts.sink = { write: BROKEN.throws as Sink['write'] }
      return 'paid'
    },
    { name: 'pay_once', scope: [] },
  )
  expect(await session.run(() => pay())).toBe('paid')
  expect(haldir.health().trail.waiting).toBe(1)
  expectRefused(await call())
  expect(tool).not.toHaveBeenCalled()
  delete parts.sink
  expect(await call()).toBe('ran')
  expect(
    entriesOf(sound.sink.lines).filter(({ tool, type }) => tool === 'pay_once' && type === 'outcome'),
  ).toHaveLength(1)
})

describe('settling while the store is down', () => {
  it('returns the result, keeps the hold, and settles when the store is back', async () => {
    const { parts, clock, session, haldir } = await houseThatBreaks()
    const pay = governed(
      async () => {
        parts.store = { settle: BROKEN.throws as Store['settle'] }
        return 'paid'
      },
      { name: 'pay', scope: 'spend', cost: () => usd(10), actual: () => usd(4) },
    )
    expect(await session.run(() => pay())).toBe('paid')
    expect(haldir.health()).toMatchObject({ ok: false, owed: 1 })
    expect(`${(await session.budget())[0]?.held}`).toBe('10 USD')
    delete parts.store
    await clock.advance(60_000)
    expect(haldir.health()).toMatchObject({ ok: true, owed: 0 })
    expect((await session.budget()).map(({ used, held }) => `${used}, ${held}`)).toEqual(['4 USD, 0 USD'])
  })
})

describe('making things while a part is broken', () => {
  it.each(Object.entries({ ...BROKEN, ...GARBAGE }))('a session is not made by a store that %s', async (_, broken) => {
    const { haldir, parts, sound, clock } = await houseThatBreaks()
    parts.store = { session: { ...sound.store.session, create: broken as Store['session']['create'] } }
    const error = await soon(clock, haldir.createSession({ agent: 'bot', scopes: [] }))
    expect(HaldirError.isInstance(error) && error.code).toBe('unavailable')
    expect(String(error)).not.toContain('hunter2')
  })

  it.each(Object.entries(BROKEN))('a session is not made when a sink %s', async (_, broken) => {
    const { haldir, parts, clock } = await houseThatBreaks()
    parts.sink = { write: broken as Sink['write'] }
    const error = await soon(clock, haldir.createSession({ agent: 'bot', scopes: [] }))
    expect(HaldirError.isInstance(error) && error.code).toBe('unavailable')
  })

  it.each(Object.entries({ ...BROKEN, ...GARBAGE }))(
    'a secret is not stored under a key that %s',
    async (_, broken) => {
      const { haldir, parts, sound, clock } = await houseThatBreaks()
      parts.key = { wrap: broken as KeyProvider['wrap'] }
      const error = await soon(clock, haldir.vault.put('other', 'another secret', { scope: 'spend' }))
      expect(HaldirError.isInstance(error) && error.code).toBe('unavailable')
      expect(sound.store.secret.get('default', 'other')).toBeUndefined()
    },
  )
})

it('refuses after one deadline when the store hangs, in admit and in the cancel that follows', async () => {
  const { parts, session, clock, tool } = await houseThatBreaks()
  parts.store = { admit: BROKEN.hangs as Store['admit'], cancel: BROKEN.hangs as Store['cancel'] }
  const pay = governed(tool, { name: 'pay', scope: 'spend', cost: () => usd(1) })
  let refused: unknown
  session
    .run(() => pay())
    .catch((error) => {
      refused = error
    })
  await clock.advance(5_000)
  expectRefused(refused)
})

describe('the matrix: every part, broken in every way', () => {
  type Good = () => unknown
  type Way = (good: Good, clock: FakeClock) => unknown
  const later = (ms: number): Way => {
    return (good, clock) => new Promise((resolve) => clock.setTimeout(() => resolve(good()), ms))
  }
  const WAYS: Record<string, Way> = {
    throws: () => {
      throw new Error('disk on fire, password hunter2hunter2')
    },
    rejects: async () => {
      throw new Error('connection reset, password hunter2hunter2')
    },
    hangs: () => new Promise(() => {}),
    'does as it is told, but too late': later(30_000),
    'answers nothing': () => undefined,
    'answers null later': async () => null,
    'answers nonsense': () => ({ ok: 'yes', at: 'now', state: 7, verdict: 'sure', refused: 'because', id: 'x' }),
    'answers a number': () => 1,
    'answers a list': () => [{}],
  }

  /** A house of which every part outside goes through here, and can be broken by its name. */
  async function matrix() {
    const clock = fakeClock()
    const broken = new Map<string, Way>()
    const through = (part: string, good: Good) =>
      broken.get(part)?.(good, clock) ?? (broken.has(part) ? undefined : good())
    const breakable = (verbs: object, name: string): object =>
      new Proxy(verbs, {
        get(target, verb) {
          const found = Reflect.get(target, verb)
          const part = `${name}.${String(verb)}`
          if (typeof found === 'function') return (...of: never[]) => through(part, () => found.apply(target, of))
          return typeof found === 'object' && found !== null ? breakable(found, part) : found
        },
      })
    const trail = memorySink()
    const haldir = createHaldir({
      clock,
      store: breakable(memoryStore({ clock }), 'store') as Store,
      sinks: [{ name: 'trail', write: (lines) => through('sink.write', () => trail.write(lines)) as undefined }],
      vault: { keys: [breakable(key, 'key') as KeyProvider] },
      policy: {
        version: 1,
        default: 'deny',
        rules: [{ id: 'base', then: 'allow', when: () => through('policy', () => true) as boolean }],
      },
      guards: [{ name: 'watch', decide: () => through('guard', () => 'allow') as never }],
    })
    await haldir.vault.put('api_key', 'a-secret-of-the-service', { scope: 'spend' })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'], ttl: '1h' })
    const tool = vi.fn(async () => 'ran')
    const pay = governed(tool, { name: 'pay', scope: 'spend', cost: () => usd(1), secrets: ['api_key'] }, { haldir })
    const acts: Record<string, () => Promise<unknown>> = {
      call: () => session.run(() => pay()),
      payment: async () => (await haldir.payments.authorize(session, { amount: usd(1), description: 'a book' })).status,
      create: async () => (await haldir.createSession({ agent: 'other', scopes: ['spend:1'] })).agent,
      attach: async () => (await haldir.attach(session.token)).agent,
      extend: () => session.extend('2h').then(() => session.expiresAt.getTime()),
      budget: async () => `${(await session.budget())[0]?.left}`,
    }
    /** How long an act took by the clock, and what came of it. */
    const timed = async (act: string) => {
      const began = clock.monotonic()
      let ended = Number.POSITIVE_INFINITY
      const answer = (acts[act] as Good)() as Promise<unknown>
      const end = () => {
        ended = clock.monotonic()
      }
      answer.then(end, end)
      return { told: await soon(clock, answer), took: ended - began }
    }
    return { haldir, clock, broken, tool, session, timed }
  }

  interface Row {
    readonly part: string
    readonly act: string
    /** What it comes to when nothing is broken. */
    readonly good: unknown
    readonly deadline: number
    /** Codes other than `unavailable`, for an answer that means something else. */
    readonly codes?: Readonly<Record<string, string>>
    /** Answers that are as good as any. */
    readonly fine?: readonly string[]
  }
  const none = { 'answers nothing': 'no-session', 'answers null later': 'no-session' }
  const sealed = { 'answers nothing': 'secret-unavailable', 'answers null later': 'secret-unavailable' }
  const rule = Object.fromEntries(Object.keys(WAYS).map((way) => [way, 'policy-denied']))
  const ROWS: readonly Row[] = [
    { part: 'store.admit', act: 'call', good: 'ran', deadline: 5_000 },
    { part: 'store.secret.get', act: 'call', good: 'ran', deadline: 5_000, codes: sealed },
    { part: 'key.unwrap', act: 'call', good: 'ran', deadline: 5_000 },
    { part: 'policy', act: 'call', good: 'ran', deadline: 0, codes: rule },
    { part: 'guard', act: 'call', good: 'ran', deadline: 1_000 },
    {
      part: 'sink.write',
      act: 'call',
      good: 'ran',
      deadline: 5_000,
      fine: ['answers nothing', 'answers null later', 'answers nonsense', 'answers a number', 'answers a list'],
    },
    { part: 'store.reserve', act: 'payment', good: 'authorized', deadline: 5_000 },
    { part: 'policy', act: 'payment', good: 'authorized', deadline: 0, codes: rule },
    { part: 'guard', act: 'payment', good: 'authorized', deadline: 1_000 },
    { part: 'store.session.create', act: 'create', good: 'other', deadline: 5_000 },
    { part: 'store.session.get', act: 'attach', good: 'bot', deadline: 5_000, codes: none },
    { part: 'store.session.extend', act: 'extend', good: Date.UTC(2026, 0, 1, 2), deadline: 5_000, codes: none },
    { part: 'store.meters.read', act: 'budget', good: '50 USD', deadline: 5_000 },
  ]

  describe.each(ROWS)('$part, when what is asked is: $act', ({ part, act, good, deadline, codes = {}, fine = [] }) => {
    it.each(Object.entries(WAYS).filter(([name]) => !fine.includes(name)))(
      '%s: refused in time, nothing run, nothing taken, and all is well afterwards',
      async (name, way) => {
        proves('invariant-6')
        const { haldir, clock, broken, tool, session, timed } = await matrix()
        const expires = session.expiresAt.getTime()
        broken.set(part, way)
        const { told, took } = await timed(act)
        expect(HaldirError.isInstance(told)).toBe(true)
        const { code, message } = told as HaldirError
        expect(code).toBe(codes[name] ?? 'unavailable')
        expect(`${message} ${JSON.stringify(haldir.health())}`).not.toContain('hunter2')
        expect(took).toBeLessThanOrEqual(deadline)
        expect(tool).not.toHaveBeenCalled()
        expect(session.expiresAt.getTime()).toBe(expires)

        broken.clear()
        // Whatever was under way arrives now.
        await clock.advance(60_000)
        expect(tool).not.toHaveBeenCalled()
        expect((await session.budget()).map(({ used, held }) => `${used}, ${held}`)).toEqual(['0 USD, 0 USD'])
        if (part === 'sink.write' && name === 'hangs') return
        expect((await timed('call')).told).toBe('ran')
        expect(haldir.health().ok).toBe(true)
      },
    )

    it('is slow, but in time: then all goes on', async () => {
      const { broken, tool, timed, session, clock } = await matrix()
      broken.set(part, later(900))
      const { told } = await timed(act)
      // A rule is synchronous: one that answers a promise has not answered.
      if (part === 'policy') expect(told).toMatchObject({ code: 'policy-denied' })
      else if (act === 'extend') expect(told).toBeGreaterThanOrEqual(good as number)
      else expect(told).toBe(good)
      broken.clear()
      await clock.advance(1_000)
      const ran = act === 'call' && part !== 'policy'
      expect(tool).toHaveBeenCalledTimes(ran ? 1 : 0)
      expect(`${(await session.budget())[0]?.used}`).toBe(ran ? '1 USD' : '0 USD')
    })
  })
})

it.each(Object.entries(GARBAGE))('a payment is not captured by a store that %s', async (_, broken) => {
  proves('invariant-6')
  const { haldir, session, parts, clock, sound } = await houseThatBreaks()
  const payment = await haldir.payments.authorize(session, { amount: usd(5), description: 'a book' })
  for (const admit of [broken, () => ({ ok: 'yes', at: 1 }), () => ({ ok: false, refused: 'toString' })]) {
    parts.store = { admit: admit as Store['admit'] }
    const error = await soon(clock, payment.capture())
    expect(HaldirError.isInstance(error) && error.code).toBe('unavailable')
    expect(payment.status).toBe('authorized')
  }
  delete parts.store
  await payment.capture()
  expect(`${(await session.budget())[0]?.used}`).toBe('5 USD')
  expect(entriesOf(sound.sink.lines).filter(({ type }) => type === 'outcome')).toHaveLength(1)
})
