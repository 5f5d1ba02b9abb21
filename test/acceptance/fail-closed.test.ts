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
