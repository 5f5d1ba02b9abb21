/** Tools that answer with items, through the wrapper of core: when they end, what they cost, what comes out. */
import { createHaldir, currentCall, Denied, envKey, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { entriesOf } from '../promises.ts'

const SECRET = 'a-secret-of-the-service'
const clock = fakeClock()
const sink = memorySink()
const keys = [envKey('KEY', { env: { KEY: Buffer.alloc(32, 3).toString('hex') } })]
const haldir = createHaldir({ clock, store: memoryStore({ clock }), sinks: [sink], vault: { keys }, holdFor: '1m' })
await haldir.vault.put('key', SECRET, { scope: 'spend' })
let session: Awaited<ReturnType<typeof haldir.createSession>>

beforeEach(async () => {
  session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'], ttl: '1d' })
})

const streaming = <T>(body: () => AsyncGenerator<T>, more: object = {}) =>
  governed(body, { name: 'items', scope: 'spend', cost: () => usd(10), ...more })
const outcome = () => entriesOf(sink.lines).findLast(({ type }) => type === 'outcome')
const line = async () => (await session.budget()).map(({ used, held }) => `${used}, ${held}`)[0]

describe('a governed generator', () => {
  it('gives each item when the tool does, and settles after the last', async () => {
    const steps: string[] = []
    const items = streaming(
      async function* () {
        for (const item of ['a', 'b']) {
          steps.push(`makes ${item}`)
          yield item
        }
      },
      { actual: (last: string) => usd(last === 'b' ? 3 : 9) },
    )
    for await (const item of session.run(() => items())) {
      steps.push(`reads ${item}`)
      expect(await line()).toBe('0 USD, 10 USD')
    }
    expect(steps).toEqual(['makes a', 'reads a', 'makes b', 'reads b'])
    expect(await line()).toBe('3 USD, 0 USD')
    expect(outcome()?.data).toEqual({ ended: 'ok' })
  })

  it('is settled when its reader stops early, after the tool has cleaned up', async () => {
    let cleaned = false
    const items = streaming(async function* () {
      try {
        yield 1
        yield 2
      } finally {
        cleaned = true
        currentCall().spent(usd(2))
      }
    })
    for await (const _ of session.run(() => items())) break
    expect(cleaned).toBe(true)
    expect(await line()).toBe('2 USD, 0 USD')
    expect(outcome()?.data).toEqual({ ended: 'ok', stopped: true })
  })

  it('is settled when nobody reads on, once a lease has passed', async () => {
    const items = session.run(() =>
      streaming(async function* () {
        yield 1
        yield 2
      })(),
    )
    expect(await items.next()).toEqual({ done: false, value: 1 })
    await clock.advance(59_000)
    expect(await line()).toBe('0 USD, 10 USD')
    await clock.advance(2_000)
    expect(await line()).toBe('10 USD, 0 USD')
    expect(outcome()?.data).toEqual({ ended: 'ok', abandoned: true, stopped: true })
    // A reader that comes back must not take a part for the whole.
    await expect(items.next()).rejects.toMatchObject({ code: 'unavailable' })
    expect(await items.next()).toEqual({ done: true, value: undefined })
  })

  it('does not count a tool that takes its time as abandoned', async () => {
    let finish = () => {}
    const items = session.run(() =>
      streaming(async function* () {
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        yield 'late'
      })(),
    )
    const first = items.next()
    await clock.advance(600_000)
    finish()
    expect(await first).toEqual({ done: false, value: 'late' })
    await items.return(undefined)
  })

  it('hands on the error of the tool as it is, after what came before it', async () => {
    const error = new Error('broken off')
    const items = session.run(() =>
      streaming(
        async function* () {
          currentCall().secret('key').reveal()
          yield 'one a-sec'
          throw error
        },
        { secrets: ['key'] },
      )(),
    )
    expect(await items.next()).toEqual({ done: false, value: 'one a-sec' })
    await expect(items.next()).rejects.toBe(error)
    expect(await items.next()).toEqual({ done: true, value: undefined })
    expect(outcome()?.data).toEqual({ ended: 'failed', error: 'Error' })
    expect(await line()).toBe('10 USD, 0 USD')
  })

  it('ends with a denial when an item can not be searched for the secret it used', async () => {
    let closed = false
    const items = session.run(() =>
      streaming(
        async function* (): AsyncGenerator<unknown> {
          try {
            yield 'fine'
            yield Buffer.from(currentCall().secret('key').reveal())
            yield 'never'
          } finally {
            closed = true
          }
        },
        { secrets: ['key'] },
      )(),
    )
    expect(await items.next()).toEqual({ done: false, value: 'fine' })
    await expect(items.next()).rejects.toSatisfy(Denied.isInstance)
    expect(closed).toBe(true)
    expect(outcome()?.data).toMatchObject({ ended: 'ok', withheld: true })
  })

  it('is refused at the first item, when it is refused, and never begins', async () => {
    let began = false
    const items = session.run(() =>
      governed(
        async function* () {
          began = true
          yield 1
        },
        { name: 'items', scope: 'records' },
      )(),
    )
    await expect(items.next()).rejects.toMatchObject({ code: 'scope-missing' })
    expect(began).toBe(false)
  })

  it('answers several requests at once one after the other', async () => {
    const items = session.run(() =>
      streaming(async function* () {
        yield 1
        yield 2
      })(),
    )
    const all = await Promise.all([items.next(), items.next(), items.next()])
    expect(all.map(({ value }) => value)).toEqual([1, 2, undefined])
  })
})
