import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import {
  type Amount,
  ConfigError,
  createHaldir,
  currentCall,
  Denied,
  governed,
  type Haldir,
  type Session,
  usd,
} from './index.ts'
import { memorySink } from './sinks/memory.ts'
import type { Entry } from './watch/entry.ts'

let haldir: Haldir
let session: Session

beforeEach(async () => {
  haldir = createHaldir({ sinks: [memorySink()] })
  session = await haldir.createSession({ agent: 'bot', scopes: ['read', 'spend:5'] })
})
afterEach(() => haldir.close())

const READ = { name: 'fn', scope: 'read' }

async function entries(type: Entry['type']): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({ type })) found.push(entry)
  return found
}

async function* count(): AsyncGenerator<number> {
  yield 1
  yield 2
}

describe('the wrapper', () => {
  it('passes none or one argument, as it was called', async () => {
    const given: unknown[][] = []
    const fn = governed(async (...args: [({ a: number } | string)?]) => void given.push(args), READ, { session })
    await fn()
    await fn({ a: 1 })
    await fn('text')
    expect(given).toEqual([[], [{ a: 1 }], ['text']])
  })

  it('refuses a second argument: it would reach the tool unjudged', async () => {
    const ran = vi.fn(async () => 1)
    const fn = governed(ran, READ, { session }) as (...args: unknown[]) => Promise<number>
    const denial = await fn({ a: 1 }, 'second-canary').catch((error) => error)
    expect(denial).toMatchObject({ code: 'invalid-arguments' })
    expect(denial.message).not.toContain('second-canary')
    expect(denial.message).toMatch(/more.than.one.argument/)
    await expect(fn(undefined, undefined)).rejects.toMatchObject({ code: 'invalid-arguments' })
    expect(ran).not.toHaveBeenCalled()
  })

  it('refuses a second argument of a streaming function, too', async () => {
    const fn = governed(count, READ, { session }) as (...args: unknown[]) => AsyncGenerator<number>
    await expect(fn({}, {}).next()).rejects.toMatchObject({ code: 'invalid-arguments' })
  })

  it('keeps `this`, the name and the length', async () => {
    class Shop {
      readonly #open = true
      charge = governed(this.#charge, { name: 'charge', scope: 'read' }, { session })
      items = governed(this.#items, { name: 'items', scope: 'read' }, { session })

      async #charge(args: { to: string }) {
        return `${args.to} ${this.#open}`
      }

      async *#items() {
        yield this.#open
      }
    }
    const shop = new Shop()
    expect(await shop.charge({ to: 'ann' })).toBe('ann true')
    for await (const item of shop.items()) expect(item).toBe(true)
    async function named(args: { a: number }) {
      return args.a
    }
    const fn = governed(named, { name: 'other-name', scope: 'read' }, { session })
    expect([fn.name, fn.length]).toEqual(['named', 1])
    expect(governed(async () => 1, READ).length).toBe(0)
  })

  it('rethrows the error of the function, the same object, thrown at once or later', async () => {
    const boom = Object.assign(new Error('boom'), { extra: 1 })
    for (const original of [
      async () => Promise.reject(boom),
      (): Promise<never> => {
        throw boom
      },
    ]) {
      const fn = governed(original, READ, { session })
      expect(await fn().catch((error) => error)).toBe(boom)
    }
    const odd = governed(() => Promise.reject('text'), READ, { session })
    expect(await odd().catch((error) => error)).toBe('text')
  })

  it('rejects with `Denied` when the call is refused, and the function does not run', async () => {
    const original = vi.fn(async () => 1)
    const fn = governed(original, { name: 'remove', scope: 'delete' }, { session })
    const denial = await fn().catch((error) => error)
    expect(Denied.isInstance(denial)).toBe(true)
    expect(denial).toMatchObject({ code: 'scope-missing', rule: 'scope:delete', retryable: false })
    expect(String(denial)).toMatch(/^Denied \(scope-missing\): .*`delete`.* do not retry this call/i)
    const [refusal] = await entries('refusal')
    expect(denial.callId).toBe(refusal?.call)
    expect(original).not.toHaveBeenCalled()
  })

  it('the signal of the call ends with the session', async () => {
    const fn = governed(
      () => {
        const { signal } = currentCall()
        return new Promise<unknown>((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)))
      },
      READ,
      { session },
    )
    const running = fn()
    await vi.waitFor(async () => expect(await entries('intent')).toHaveLength(1))
    await session.revoke('enough')
    expect(await running).toMatchObject({ code: 'session-revoked' })
  })
})

describe('items', () => {
  it('come one by one, and the call is settled after the last', async () => {
    const rule = { name: 'count', scope: 'spend', cost: usd(3), actual: (last: number) => usd(last) }
    const items = governed(count, rule, { session })()
    expect(await items.next()).toEqual({ done: false, value: 1 })
    expect(String((await session.budget())[0]?.held)).toBe(String(usd(3)))
    expect(await items.next()).toEqual({ done: false, value: 2 })
    expect((await items.next()).done).toBe(true)
    const [line] = await session.budget()
    expect([line?.held, line?.used].map(String)).toEqual([usd(0), usd(2)].map(String))
  })

  it('of a plain function need `streaming: true`', async () => {
    const plain = () => count()
    const got: number[] = []
    for await (const item of governed(plain, { ...READ, streaming: true }, { session })()) got.push(item)
    expect(got).toEqual([1, 2])
    const unannounced = governed(plain, READ, { session })() as unknown as Promise<never>
    await expect(unannounced).rejects.toMatchObject({ name: 'ConfigError', path: 'streaming' })
  })

  it('keep the session of the call, wherever they are read', async () => {
    const other = await haldir.createSession({ agent: 'other', scopes: ['read'] })
    const agents: string[] = []
    const fn = governed(
      async function* () {
        for (let n = 0; n < 3; n++) {
          agents.push(currentCall().session.agent)
          await null
          yield n
        }
      },
      READ,
      { haldir },
    )
    const items = session.run(() => fn())
    await items.next()
    await other.run(() => items.next())
    await items.next()
    await items.return(undefined)
    expect(agents).toEqual(['bot', 'bot', 'bot'])
    expect((await entries('outcome')).map(({ agent }) => agent)).toEqual(['bot'])
  })

  it('of a refused call reject at the first one', async () => {
    const items = governed(count, { name: 'count', scope: 'delete' }, { session })()
    await expect(items.next()).rejects.toMatchObject({ code: 'scope-missing' })
    expect((await items.next()).done).toBe(true)
  })
})

describe('a set', () => {
  it('wraps each function under its key', async () => {
    const set = governed(
      { one: async () => 1, items: count },
      { one: { scope: 'read' }, items: { scope: 'read' } },
      { session },
    )
    expect(Object.keys(set)).toEqual(['one', 'items'])
    expect(await set.one()).toBe(1)
    for await (const item of set.items()) if (item === 1) break
    expect((await entries('intent')).map(({ tool }) => tool)).toEqual(['one', 'items'])
  })

  it('needs exactly one rule for each function', () => {
    const one = async () => 1
    const wrong = (code: string, path: string) => expect.objectContaining({ name: 'ConfigError', code, path })
    expect(() => governed({ one, two: one }, { one: { scope: 'read' } } as never)).toThrow(
      wrong('invalid-option', 'two'),
    )
    const rules = { one: { scope: 'read' }, two: { scope: 'read' } }
    expect(() => governed({ one }, rules as never)).toThrow(wrong('invalid-option', 'two'))
    expect(() => governed({ one: 1 } as never, { one: rules.one } as never)).toThrow(wrong('ungovernable', 'one'))
  })

  it('and its options are checked before anything runs', () => {
    const one = async () => 1
    for (const options of [undefined, null, 'text', 1]) {
      expect(() => governed(one, options as never)).toThrow(ConfigError)
      expect(() => governed({ one }, options as never)).toThrow(ConfigError)
      expect(() => governed({ one }, { one: options } as never)).toThrow(ConfigError)
    }
    for (const target of [undefined, null, 'text', 1]) {
      expect(() => governed(target as never, READ)).toThrow(expect.objectContaining({ code: 'ungovernable' }))
    }
  })

  it('refuses what is governed already', () => {
    const fn = governed(async () => 1, READ)
    const twice = expect.objectContaining({ name: 'ConfigError', code: 'wrapped-twice', path: 'again' })
    expect(() => governed(fn, { name: 'again', scope: 'read' })).toThrow(twice)
    expect(() => governed({ again: fn }, { again: { scope: 'read' } })).toThrow(twice)
  })
})

describe('a schema', () => {
  const json = {
    type: 'object',
    properties: { amount: { type: 'number', minimum: 0 } },
    required: ['amount'],
    additionalProperties: false,
  }
  const zod = z.strictObject({ amount: z.number().min(0) })

  it.each([
    ['JSON Schema', json],
    ['a zod schema', zod],
  ])('%s refuses what does not fit it before anything is held, and says what', async (_, schema) => {
    const pay = vi.fn(async ({ amount }: { amount: number }) => amount)
    const options = { name: 'pay', scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount), schema }
    const paid = governed(pay, options, { session })
    const told = async (args: unknown) => (await paid(args as never).catch((error) => error)).message
    expect(await told({ amount: 'canary' })).toBe(
      'Denied (invalid-arguments): the arguments do not fit the tool: `amount` is not of type number. ' +
        'Do not repeat this call with the same arguments.',
    )
    expect(await told({})).toContain('`amount` is missing')
    expect(await told({ amount: -77 })).toContain('`amount` does not fit `minimum` 0')
    expect(await told({ amount: 1, other: 1 })).toContain('has an argument that the tool does not know')
    expect(await told(undefined)).toContain('Denied (invalid-arguments)')
    expect(pay).not.toHaveBeenCalled()
    expect(await entries('intent')).toEqual([])
    expect(await entries('refusal')).toHaveLength(5)
    expect(JSON.stringify(await entries('refusal'))).not.toMatch(/canary|-77(?![0-9a-f])/)
    expect(await paid({ amount: 2 })).toBe(2)
  })

  it('lets what does not fit through in shadow mode, and records it', async () => {
    const shadow = createHaldir({ sinks: [memorySink()], mode: 'shadow' })
    const anyone = await shadow.createSession({ agent: 'bot', scopes: ['read'] })
    const fn = governed(async (args: object) => args, { ...READ, schema: json }, { session: anyone })
    expect(await fn({ amount: 'much' })).toEqual({ amount: 'much' })
    expect(shadow.health().observed).toMatchObject({ 'invalid-arguments': 1 })
    await shadow.close()
  })
})

describe('the ambient session', () => {
  it('stays through awaits, callbacks and timers', async () => {
    const fn = governed(async () => currentCall().session.id, READ, { haldir })
    const ids = await session.run(async () => {
      await null
      const soon = new Promise<string>((resolve, reject) => setImmediate(() => void fn().then(resolve, reject)))
      return [await fn(), await soon]
    })
    expect(ids).toEqual([session.id, session.id])
    await expect(fn()).rejects.toMatchObject({ code: 'no-session' })
  })

  it('stays in every step of a generator that `run` answers, of either kind', async () => {
    const fn = governed(async () => currentCall().session.id, READ, { haldir })
    const later = session.run(async function* () {
      try {
        yield await fn()
        await null
        yield await fn()
      } finally {
        yield await fn()
      }
    })
    expect([(await later.next()).value, (await later.next()).value]).toEqual([session.id, session.id])
    expect((await later.return(undefined)).value).toBe(session.id)
    const now = session.run(function* () {
      yield fn()
      yield fn()
    })
    expect(await Promise.all([...now])).toEqual([session.id, session.id])
    expect(later[Symbol.asyncIterator]()).toBe(later)
  })

  it('stays in what begins only when it is awaited or iterated, as runners do', async () => {
    const whose = governed(async () => currentCall().session.id, READ)
    class Runner {
      readonly #work = whose
      then(done: (value: unknown) => unknown, failed: (error: unknown) => unknown) {
        return this.#work().then(done, failed)
      }
      async *[Symbol.asyncIterator]() {
        yield await this.#work()
        yield await this.#work()
      }
    }
    const runner = session.run(() => new Runner())
    expect(runner).toBeInstanceOf(Runner)
    expect(Object.keys(runner)).toEqual([])
    expect(await runner).toBe(session.id)
    const seen: unknown[] = []
    for await (const id of session.run(() => new Runner())) seen.push(id)
    expect(seen).toEqual([session.id, session.id])
    await expect(new Runner()).rejects.toMatchObject({ code: 'no-session' })
    // A promise stands for what runs already; what can't be changed is left as it is.
    const promise = Promise.resolve(1)
    expect(session.run(() => promise)).toBe(promise)
    expect(Object.hasOwn(promise, 'then')).toBe(false)
    const frozen = Object.freeze(new Runner())
    expect(session.run(() => frozen)).toBe(frozen)
  })

  it('`bind` carries it into a callback that is called from elsewhere', async () => {
    const other = await haldir.createSession({ agent: 'other', scopes: ['read'] })
    const fn = governed(async () => currentCall().session.id, READ, { haldir })
    const bound = session.bind(async (a: number, b: number) => [a + b, await fn()])
    expect(await bound(1, 2)).toEqual([3, session.id])
    expect(await other.run(() => bound(1, 2))).toEqual([3, session.id])
  })

  it('inside a call it is the session of the call, so that calls may call', async () => {
    const inner = governed(async () => currentCall().id, { name: 'inner', scope: 'read' }, { haldir })
    const outer = governed(
      async () => {
        const before = currentCall().id
        return [before, await inner(), currentCall().id]
      },
      { name: 'outer', scope: 'read' },
      { session },
    )
    const [before, within, after] = await outer()
    expect(before).toBe(after)
    expect(within).not.toBe(before)
  })

  it('`currentCall()` outside of a call says so', async () => {
    expect(() => currentCall()).toThrow(ConfigError)
    expect(() => session.run(() => currentCall())).toThrow('only inside a governed tool')
    const fn = governed(async () => currentCall(), READ, { session })
    expect((await fn()).tool).toBe('fn')
    expect(() => currentCall()).toThrow(ConfigError)
  })
})

describe('two copies of this package in one process', () => {
  type Core = typeof import('./index.ts')
  let copy: Core

  beforeEach(async () => {
    vi.resetModules()
    copy = await import('./index.ts')
    expect(copy.governed).not.toBe(governed)
    expect(copy.Denied).not.toBe(Denied)
  })

  it('a session made by one governs a tool wrapped by the other, explicit or ambient', async () => {
    const make = (fn: () => Promise<string>, where: object) =>
      copy.governed(fn, { name: 'pay', scope: 'spend', cost: copy.usd(2), actual: () => copy.usd(1) }, where)
    const explicit = make(async () => copy.currentCall().session.id, { session })
    const ambient = make(async () => currentCall().session.id, { haldir })
    const found = make(async () => currentCall().id, {})
    expect(await explicit()).toBe(session.id)
    expect(await session.run(() => ambient())).toBe(session.id)
    expect(await session.run(() => found())).toMatch(/./)
    const [line] = await session.budget()
    expect(String(line?.used)).toBe(String(usd(3)))
    expect(await entries('intent')).toHaveLength(3)
  })

  it('what one refuses the other recognises, and no error of another kind', async () => {
    const refused = copy.governed(async () => 1, { name: 'remove', scope: 'delete' }, { session })
    const denial = await refused().catch((error: unknown) => error)
    expect([Denied.isInstance(denial), copy.Denied.isInstance(denial)]).toEqual([true, true])
    expect([ConfigError.isInstance(denial), copy.HaldirError.isInstance(denial)]).toEqual([false, true])
    const foreign = new copy.ConfigError('invalid-option', 'x', 'x')
    expect([ConfigError.isInstance(foreign), Denied.isInstance(foreign)]).toEqual([true, false])
    for (const other of [new Error('x'), { code: 'no-session' }, null, 'Denied']) {
      expect(Denied.isInstance(other)).toBe(false)
    }
  })

  it('they count haldirs together: with two open, nobody guesses', async () => {
    const fn = copy.governed(async () => 1, READ)
    await expect(fn()).rejects.toMatchObject({ code: 'no-session' })
    expect(await entries('refusal')).toHaveLength(1)
    const second = copy.createHaldir({ sinks: [memorySink()] })
    await expect(governed(async () => 1, READ)()).rejects.toMatchObject({ code: 'no-session' })
    // Neither trail was picked for it.
    expect(await entries('refusal')).toHaveLength(1)
    await second.close()
  })

  it('what one has wrapped the other does not wrap again', () => {
    const fn = governed(async () => 1, READ)
    expect(() => copy.governed(fn, READ)).toThrow(expect.objectContaining({ code: 'wrapped-twice' }))
  })

  it('amounts of one are amounts to the other, and look-alikes are not', async () => {
    const charge = (cost: Amount) => governed(async () => 1, { name: 'pay', scope: 'spend', cost }, { session })
    expect(await charge(copy.usd(1))()).toBe(1)
    expect(() => charge({ unit: 'USD', micros: 1_000_000n } as Amount)).toThrow(ConfigError)
  })

  it('`run` of one is ambient to the generators of the other', async () => {
    const items = copy.governed(
      async function* () {
        yield copy.currentCall().session.id
        yield currentCall().session.id
      },
      READ,
      { haldir },
    )
    const reader = session.run(() => items())
    expect((await reader.next()).value).toBe(session.id)
    expect((await reader.next()).value).toBe(session.id)
    expect((await reader.next()).done).toBe(true)
  })
})

it.each(['session.fetch', 'session.charge', 'payments.authorize'])('no tool is called `%s`', (name) => {
  expect(() => governed(async () => {}, { name, scope: [] })).toThrow('the name of a tool of Haldir')
})
