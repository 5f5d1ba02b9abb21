import { setImmediate } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import {
  currentCall,
  currentFrame,
  type Frame,
  inFrame,
  joinHaldirs,
  keepFrame,
  markWrapped,
  onlyHaldir,
  refuseTwice,
} from './context.ts'
import type { CurrentCall } from './current-call.ts'
import { ConfigError } from './errors.ts'
import type { Session } from './gate/sessions.ts'
import type { Governor } from './governor.ts'

const frameOf = (id: string): Frame => ({ session: { id } as Session })
const here = () => currentFrame()?.session.id

describe('a frame', () => {
  test('surrounds a function, what it starts and what it awaits, and nothing else', async () => {
    const seen: unknown[] = []
    const inside = inFrame(frameOf('a'), async () => {
      seen.push(here())
      await setImmediate()
      seen.push(here())
      await inFrame(frameOf('b'), async () => seen.push(here()))
      seen.push(here())
    })
    expect(here()).toBeUndefined()
    await inside
    expect(seen).toEqual(['a', 'a', 'b', 'a'])
    expect(here()).toBeUndefined()
  })

  test('passes arguments, results and errors through', () => {
    expect(inFrame(frameOf('a'), (x: number, y: number) => x + y, 1, 2)).toBe(3)
    expect(() =>
      inFrame(frameOf('a'), () => {
        throw new TypeError('x')
      }),
    ).toThrow(TypeError)
  })

  test('knows the call that runs; outside of one, asking for it is an error that says so', () => {
    const call = { id: 'c' } as CurrentCall
    expect(inFrame({ ...frameOf('a'), call }, () => currentCall())).toBe(call)
    for (const ask of [() => currentCall(), () => inFrame(frameOf('a'), () => currentCall())]) {
      expect(ask).toThrow(ConfigError)
      expect(ask).toThrow('`currentCall()` works only inside a governed tool')
    }
  })
})

describe('a frame that is kept', () => {
  test('holds in every step of an async generator that is read outside, or in another frame', async () => {
    const seen: unknown[] = []
    async function* work() {
      try {
        seen.push(here())
        await setImmediate()
        const sent: unknown = yield here()
        seen.push(sent, here())
        yield here()
      } finally {
        seen.push(`end ${here()}`)
      }
    }
    const items = keepFrame(frameOf('a'), work) as AsyncGenerator<unknown, void, unknown>
    expect(await inFrame(frameOf('b'), () => items.next())).toEqual({ done: false, value: 'a' })
    expect(await items.next('sent')).toEqual({ done: false, value: 'a' })
    expect(await inFrame(frameOf('b'), () => items.return())).toEqual({ done: true, value: undefined })
    expect(seen).toEqual(['a', 'sent', 'a', 'end a'])
    expect(here()).toBeUndefined()
  })

  test('leaves a generator what it was to its reader', async () => {
    async function* count() {
      yield 1
      yield 2
    }
    const items = keepFrame(frameOf('a'), count)
    expect(items).toBeInstanceOf(count)
    const read: number[] = []
    for await (const item of items) read.push(item)
    expect(read).toEqual([1, 2])
    const sync = keepFrame(frameOf('a'), function* () {
      yield here()
    })
    expect([...sync]).toEqual(['a'])
  })

  test('holds when an error is thrown into a generator, and for the error it throws', async () => {
    const items = keepFrame(frameOf('a'), async function* () {
      try {
        yield 1
      } catch (error) {
        yield `${(error as Error).message} in ${here()}`
      }
      throw new Error(`out of ${here()}`)
    })
    await items.next()
    expect((await items.throw(new Error('x'))).value).toBe('x in a')
    await expect(items.next()).rejects.toThrow('out of a')
  })

  test('two generators of two frames, read in turn, do not mix', async () => {
    const of = (id: string) =>
      keepFrame(frameOf(id), async function* () {
        for (let step = 0; step < 3; step++) {
          await setImmediate()
          yield here()
        }
      })
    const [a, b] = [of('a'), of('b')]
    const seen: unknown[] = []
    for (let step = 0; step < 3; step++) {
      seen.push(...(await Promise.all([a.next(), b.next()])).map(({ value }) => value))
    }
    expect(seen).toEqual(['a', 'b', 'a', 'b', 'a', 'b'])
  })

  test('holds where something begins that is only then awaited, however that is asked for', async () => {
    const seen: unknown[] = []
    const begun = async () => seen.push(here())
    const query = () => ({
      then: (done: () => void, failed?: () => void) => begun().then(done, failed),
      catch: (failed: () => void) => begun().catch(failed),
      finally: (done: () => void) => begun().finally(done),
    })
    class Lazy extends Promise<unknown> {
      override then(...callbacks: any[]): Promise<any> {
        return begun().then(...callbacks)
      }
    }
    const lazy = (id: string) => keepFrame(frameOf(id), query)
    await inFrame(frameOf('b'), async () => {
      await lazy('then')
      await lazy('catch').catch(() => undefined)
      await lazy('finally').finally(() => undefined)
      await keepFrame(frameOf('promise'), (): PromiseLike<unknown> => new Lazy(() => undefined))
    })
    expect(seen).toEqual(['then', 'catch', 'finally', 'promise'])
    // What is called back is the caller's.
    await inFrame(frameOf('b'), () => lazy('a').then(() => seen.push(here())))
    await lazy('a').finally(() => seen.push(here()))
    expect(seen.slice(4)).toEqual(['a', 'b', 'a', undefined])
    // The innermost frame is the one that counts.
    await keepFrame(frameOf('outer'), () => lazy('inner'))
    expect(seen.at(-1)).toBe('inner')
  })

  test('holds in every step of what is iterated later, whatever kind of iterator it has', async () => {
    class Loop {
      readonly #name = 'loop'
      async *[Symbol.asyncIterator]() {
        yield `${this.#name} ${here()}`
        yield here()
      }
    }
    const own = {
      left: 2,
      async next() {
        return { done: this.left-- === 0, value: here() }
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
    const stream = () =>
      new ReadableStream(
        {
          pull(controller) {
            controller.enqueue(here())
            controller.close()
          },
        },
        { highWaterMark: 0 },
      )
    const read = async (items: AsyncIterable<unknown>) => {
      const found: unknown[] = []
      await inFrame(frameOf('b'), async () => {
        for await (const item of items) found.push(item, here())
      })
      return found
    }
    const loop = keepFrame(frameOf('a'), () => new Loop())
    expect(loop).toBeInstanceOf(Loop)
    expect(await read(loop)).toEqual(['loop a', 'b', 'a', 'b'])
    const kept = keepFrame(frameOf('a'), () => own)
    expect(kept).toBe(own)
    expect(await read(kept)).toEqual(['a', 'b', 'a', 'b'])
    // Nothing but what the iterator has is there: a loop that is left early asks for `return` only then.
    own.left = 2
    for await (const item of kept) {
      expect(item).toBe('a')
      break
    }
    expect(await read(keepFrame(frameOf('a'), stream))).toEqual(['a', 'b'])
  })

  test('returns anything else untouched', async () => {
    const value = { next: () => 1 }
    expect(keepFrame(frameOf('a'), () => value)).toBe(value)
    expect(await keepFrame(frameOf('a'), async () => here())).toBe('a')
    expect(keepFrame(frameOf('a'), () => undefined)).toBeUndefined()
    const running = Promise.resolve()
    const closed = Object.freeze({ [Symbol.asyncIterator]: async function* () {} })
    const hidden = new Proxy({ then: () => undefined }, {})
    for (const one of [running, closed, hidden]) {
      const before = Reflect.ownKeys(one)
      expect(Object.is(keepFrame(frameOf('a'), () => one) as unknown, one)).toBe(true)
      expect(Reflect.ownKeys(one)).toEqual(before)
    }
  })
})

describe('one process', () => {
  const governor = (name: string) => ({ name }) as Governor

  test('has an only haldir when exactly one is open', () => {
    const [a, b] = [governor('a'), governor('b')]
    expect(onlyHaldir()).toBeUndefined()
    const leaveA = joinHaldirs(a)
    expect(onlyHaldir()).toBe(a)
    const leaveB = joinHaldirs(b)
    expect(onlyHaldir()).toBeUndefined()
    leaveA()
    expect(onlyHaldir()).toBe(b)
    leaveB()
    leaveB()
    expect(onlyHaldir()).toBeUndefined()
  })

  test('does not count a haldir that nobody holds any more', async () => {
    const kept = governor('kept')
    const leave = joinHaldirs(kept)
    ;(() => joinHaldirs(governor('lost')))()
    await setImmediate()
    ;(globalThis as { gc?: () => void }).gc?.()
    expect(onlyHaldir()).toBe(kept)
    leave()
  })

  test('sees the same frames, haldirs and wrapped tools in two copies of the package', async () => {
    vi.resetModules()
    const copy = await import('./context.ts')
    expect(copy.inFrame).not.toBe(inFrame)
    expect(inFrame(frameOf('a'), () => copy.currentFrame()?.session.id)).toBe('a')
    const own = governor('own')
    const leave = copy.joinHaldirs(own)
    expect(onlyHaldir()).toBe(own)
    leave()
    const tool = () => {}
    copy.markWrapped(tool)
    expect(() => refuseTwice(tool, 'charge')).toThrow(
      expect.objectContaining({ code: 'wrapped-twice', path: 'charge', message: '`charge` is governed already' }),
    )
    expect(() => copy.refuseTwice(() => {}, 'charge')).not.toThrow()
    markWrapped(tool)
  })
})
