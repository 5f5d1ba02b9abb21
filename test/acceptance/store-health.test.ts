/** What `health()` says of a store: whoever asked it, the last thing that it did counts. */
import { ConfigError, createHaldir, governed, type Haldir, type HaldirOptions, type Store, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'

type Way = (good: () => unknown) => unknown

const refused = Object.assign(new Error('10.0.0.1:6379 as root'), { code: 'ECONNREFUSED' })
const WAYS: Record<string, Way> = {
  throws: () => {
    throw refused
  },
  rejects: () => Promise.reject(refused),
  hangs: () => new Promise(() => {}),
}

/** A haldir whose store can be broken as a whole, or verb by verb. */
function scene(options: HaldirOptions = {}) {
  const clock = fakeClock()
  const broken = { of: (_part: string): Way | undefined => undefined }
  const breakable = (verbs: object, name: string): object =>
    new Proxy(verbs, {
      get(target, verb) {
        const found = Reflect.get(target, verb)
        const part = `${name}.${String(verb)}`
        if (typeof found === 'object' && found !== null) return breakable(found, part)
        if (typeof found !== 'function' || part === 'store.watch') return found
        return (...of: never[]) => {
          const good = () => found.apply(target, of)
          const way = broken.of(part)
          return way ? way(good) : good()
        }
      },
    })
  const store = breakable(memoryStore({ clock }), 'store') as Store
  const haldir = createHaldir({ clock, store, sinks: [memorySink()], ...options })
  /** What becomes of work while a minute passes. */
  const soon = async <T>(work: Promise<T>): Promise<T | Error> => {
    const answer = work.catch((error: Error) => error)
    for (let second = 0; second < 60; second++) await clock.advance(1_000)
    return answer
  }
  return { clock, haldir, soon, broken }
}

const told = (haldir: Haldir) => {
  const { ok, store, faults } = haldir.health()
  return { ok, store: store.ok, faults: faults.map(({ part, last }) => `${part} ${last}`) }
}

const GOOD = { ok: true, store: true }

describe.each(Object.entries(WAYS))('a store that %s', (how, way) => {
  it('is told what it is owed as soon as it answers again, whoever asks', async () => {
    const { clock, haldir, soon, broken } = scene()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:10'], ttl: '1h' })
    const pay = governed(async () => 'paid', { name: 'pay', scope: 'spend', cost: () => usd(10), actual: () => usd(1) })
    broken.of = (part) => (part === 'store.settle' ? way : undefined)
    expect(await soon(session.run(() => pay()))).toBe('paid')
    broken.of = () => way
    for (let minute = 0; minute < 10; minute++) await soon(haldir.sweep())
    broken.of = () => undefined
    expect(haldir.health().owed).toBe(1)
    await haldir.sweep()
    // What hangs is given up after 5 seconds; otherwise half a second lies between two turns.
    await clock.advance(how === 'hangs' ? 5_501 : 500)
    expect(haldir.health()).toMatchObject({ owed: 0, store: { ok: true } })
    expect((await session.budget())[0]?.left.decimal).toBe('9')
  })

  it('rejects `close`, after which all the same nothing is taken any more and what was written stays', async () => {
    const sink = memorySink()
    const { haldir, soon, broken } = scene({ sinks: [sink] })
    const look = governed(async () => 'seen', { name: 'look', scope: 'read' }, { haldir })
    const session = await haldir.createSession({ agent: 'a', scopes: ['read'], ttl: '1h' })
    await session.run(() => look())
    broken.of = (part) => (part === 'store.writer.put' ? way : undefined)
    const ends = [await soon(haldir.close()), await soon(haldir.close())]
    expect(ends).toEqual([expect.objectContaining({ code: 'unavailable' }), ends[0]])
    expect(await soon(session.run(() => look()))).toMatchObject({ code: 'unavailable' })
    const types = sink.lines.map((line) => JSON.parse(line).type)
    expect(types.slice(-3)).toEqual(['intent', 'outcome', 'writer-closed'])
  })

  const last = (part: string) => (how === 'hangs' ? `\`${part}\` did not answer in time` : 'ECONNREFUSED')

  it('is no store in good order after `createSession`, until it answers again without any traffic', async () => {
    const { haldir, soon, broken } = scene()
    expect(told(haldir)).toEqual({ ...GOOD, faults: [] })
    broken.of = () => way
    expect(await soon(haldir.createSession({ agent: 'bot', scopes: [] }))).toMatchObject({ code: 'unavailable' })
    const faults = told(haldir).faults
    expect(faults).toContain(`store.session.create ${last('store.session.create')}`)
    expect(told(haldir)).toMatchObject({ ok: false, store: false })
    expect(await soon(haldir.sweep())).toMatchObject({ code: 'unavailable' })
    expect(told(haldir)).toMatchObject({ ok: false, store: false })
    broken.of = () => undefined
    await haldir.sweep()
    expect(told(haldir)).toMatchObject(GOOD)
    expect(told(haldir).faults).toContain(`store.expire ${last('store.expire')}`)
    expect(JSON.stringify(haldir.health())).not.toContain('root')
  })

  it('is counted once for each verb that fails, whoever asks', async () => {
    const { haldir, soon, broken } = scene()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const pay = governed(async () => 'paid', { name: 'pay', scope: 'spend', cost: () => usd(1) })
    const asked: Record<string, () => Promise<unknown>> = {
      'store.session.get': () => haldir.attach(session.token),
      'store.meters.read': () => session.budget(),
      'store.session.extend': () => session.extend('2h'),
      'store.secret.list': () => haldir.vault.list(),
      'store.expire': () => haldir.sweep(),
      'store.admit': () => session.run(() => pay()),
      'store.session.revokeTree': () => session.revoke('done'),
    }
    for (const [part, ask] of Object.entries(asked)) {
      broken.of = (verb) => (verb === part ? way : undefined)
      const count = () => haldir.health().faults.find((fault) => fault.part === part)?.count
      expect(await soon(ask()), part).toBeInstanceOf(Error)
      expect(count(), part).toBe(1)
      expect(haldir.health().faults.find((fault) => fault.part === part)?.last).toBe(last(part))
      broken.of = () => undefined
      await haldir.sweep()
      expect(haldir.health().ok, part).toBe(true)
    }
  })

  it('stops nothing in shadow mode, and shows all the same', async () => {
    const { haldir, soon, broken } = scene({ mode: 'shadow' })
    broken.of = (verb) => (verb.startsWith('store.session.') ? way : undefined)
    const session = await soon(haldir.createSession({ agent: 'bot', scopes: [] }))
    expect(session).not.toBeInstanceOf(Error)
    expect(told(haldir).faults).toContain(`store.session.create ${last('store.session.create')}`)
    broken.of = () => way
    await soon(haldir.sweep())
    expect(told(haldir)).toMatchObject({ ok: false, store: false })
    broken.of = () => undefined
    await haldir.sweep()
    expect(told(haldir)).toMatchObject(GOOD)
  })
})

it('takes a refusal for an answer', async () => {
  const { haldir, broken } = scene()
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1'] })
  const pay = governed(async () => 'paid', { name: 'pay', scope: 'spend', cost: () => usd(2) })
  await expect(session.run(() => pay())).rejects.toMatchObject({ code: 'budget-exceeded' })
  await expect(haldir.attach('nobody has this')).rejects.toMatchObject({ code: 'no-session' })
  broken.of = () => () => {
    throw new ConfigError('invalid-amount', 'cost', 'an amount is out of what this store counts exactly')
  }
  await expect(haldir.sweep()).rejects.toMatchObject({ code: 'invalid-amount' })
  expect(told(haldir)).toEqual({ ...GOOD, faults: [] })
})

it('takes what comes after the deadline for no answer, and counts it once', async () => {
  const { clock, haldir, soon, broken } = scene()
  for (const late of [(good: () => unknown) => good(), () => Promise.reject(refused)]) {
    broken.of = () => (good) =>
      new Promise((resolve) => {
        clock.setTimeout(() => resolve(late(good)), 30_000)
      })
    await soon(haldir.sweep())
    expect(told(haldir)).toMatchObject({ ok: false, store: false })
  }
  expect(haldir.health().faults).toEqual([
    { part: 'store.expire', count: 2, last: '`store.expire` did not answer in time' },
  ])
})

it('counts what throws no error', async () => {
  const { haldir, broken } = scene()
  broken.of = () => () => {
    throw undefined
  }
  await expect(haldir.sweep()).rejects.toMatchObject({ code: 'unavailable' })
  expect(told(haldir)).toEqual({ ok: false, store: false, faults: ['store.expire `store.expire` failed'] })
})

it('closes a store that haldirs share with the last of them', async () => {
  let closed = 0
  const store: Store = { ...memoryStore(), close: () => void closed++ }
  const haldirs = [1, 2].map(() => createHaldir({ store, sinks: [memorySink()] }))
  await haldirs[0]?.close()
  expect(closed).toBe(0)
  await haldirs[1]?.close()
  expect(closed).toBe(1)
})
