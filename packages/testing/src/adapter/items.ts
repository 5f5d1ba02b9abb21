/** Tools that answer with items: they still stream, and each call is settled once, however its reader ends. */
import { currentCall, type Session, usd } from '@haldir/core'
import { expect } from 'vitest'
import { fakeClock } from '../clock.ts'
import { type AdapterDriver, type ToolBody, way } from './driver.ts'
import { type Cases, expectDenial, gate, house } from './house.ts'

/** A body that counts to `last`, and keeps a note of how far it came and that it cleaned up. */
function counter(last: number): ToolBody & { readonly log: (number | 'closed')[] } {
  const log: (number | 'closed')[] = []
  return {
    name: 'count',
    description: 'counts',
    log,
    async *items() {
      try {
        for (let n = 1; n <= last; n++) {
          log.push(n)
          yield n
        }
      } finally {
        log.push('closed')
      }
    },
  }
}

const RULE = { name: 'count', scope: 'spend', cost: usd(3), actual: (last: unknown) => usd(last as number) }
const CALL = { tool: 'count', args: {} }

function open(driver: AdapterDriver, body: ToolBody, session: Session): AsyncIterator<unknown> {
  return way(driver, 'open')(driver.wrap(driver.build(body), RULE, { session }), {})
}

async function meters(session: Session): Promise<string[]> {
  const [line] = await session.budget()
  return [String(line?.held), String(line?.used)]
}

const [NOTHING, ONE, TWO, THREE] = [0, 1, 2, 3].map((n) => String(usd(n))) as [string, string, string, string]

export const items: Cases = {
  'items arrive one by one, before the tool has ended': async (driver) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const read = gate()
    const body: ToolBody = {
      name: 'count',
      description: 'waits for its reader',
      async *items() {
        yield 'first'
        // Only a reader that got the first item lets the tool go on.
        await read.opened
        yield 'last'
      },
    }
    const tool = driver.wrap(driver.build(body), { ...RULE, actual: () => usd(1) }, { session })
    const got: unknown[] = []
    for await (const item of way(driver, 'stream')({ count: tool }, CALL)) {
      got.push(item)
      read.open()
    }
    expect(got).toEqual(['first', 'last'])
    expect(await meters(session)).toEqual([NOTHING, ONE])
  },

  'the model reads what it reads from the bare tool': async (driver) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const bare = await driver.loop({ count: driver.build(counter(3)) }, [CALL])
    const tool = driver.wrap(driver.build(counter(3)), RULE, { session })
    const governed = await driver.loop({ count: tool }, [CALL])
    expect(governed.answers).toEqual(bare.answers)
    expect([governed.told, governed.turns]).toEqual([bare.told, bare.turns])
  },

  'a refused streaming tool does not start': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const body = counter(3)
    const tool = driver.wrap(driver.build(body), RULE, { session })
    const { answers, text } = await driver.loop({ count: tool }, [CALL])
    expectDenial(answers[0]!, 'scope-missing')
    expect([text, body.log]).toEqual(['done', []])
  },

  'the call is held while it streams, and settled after its last item': async (driver) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const reader = open(driver, counter(2), session)
    expect(await reader.next()).toEqual({ done: false, value: 1 })
    expect(await meters(session)).toEqual([THREE, NOTHING])
    expect(await reader.next()).toEqual({ done: false, value: 2 })
    expect(await home.entries({ type: 'outcome' })).toEqual([])
    expect((await reader.next()).done).toBe(true)
    expect(await meters(session)).toEqual([NOTHING, TWO])
    expect(await home.entries({ type: 'outcome' })).toHaveLength(1)
    expect((await reader.next()).done).toBe(true)
    expect(await home.entries({ type: 'outcome' })).toHaveLength(1)
  },

  'a reader that stops early stops the tool, and the call is settled': async (driver) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const body = counter(9)
    const reader = open(driver, body, session)
    await reader.next()
    await reader.return?.()
    expect(body.log).toEqual([1, 'closed'])
    expect(await meters(session)).toEqual([NOTHING, ONE])
    const [outcome] = await home.entries({ type: 'outcome' })
    expect(outcome?.data).toMatchObject({ ended: 'ok', stopped: true })
    expect((await reader.next()).done).toBe(true)
  },

  'a stream that nobody reads any more is settled after the idle timeout': async (driver) => {
    const clock = fakeClock()
    await using home = house({ clock, holdFor: '1m' })
    const session = await home.newSession('spend:5')
    const body = counter(9)
    const reader = open(driver, body, session)
    await reader.next()
    await clock.advance(59_000)
    expect(await home.entries({ type: 'outcome' })).toEqual([])
    await clock.advance(2_000)
    expect(body.log).toEqual([1, 'closed'])
    expect(await meters(session)).toEqual([NOTHING, ONE])
    const [outcome] = await home.entries({ type: 'outcome' })
    expect(outcome?.data).toMatchObject({ ended: 'ok', abandoned: true })
  },

  'an error after some items goes through, the same object': async (driver) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const boom = new Error('in the middle')
    const body: ToolBody = {
      name: 'count',
      description: 'breaks',
      async *items() {
        yield 1
        throw boom
      },
    }
    const reader = open(driver, body, session)
    await reader.next()
    expect(await reader.next().then(undefined, (error) => error)).toBe(boom)
    expect(await meters(session)).toEqual([NOTHING, THREE])
  },

  'every step runs in the call, wherever its items are read': async (driver) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const other = await home.newSession('read')
    const calls: string[] = []
    const body: ToolBody = {
      name: 'count',
      description: 'looks around',
      async *items() {
        for (let n = 1; n < 4; n++) {
          calls.push(currentCall().session.id)
          await null
          calls.push(currentCall().id)
          yield n
        }
      },
    }
    const reader = open(driver, body, session)
    await reader.next()
    await other.run(() => reader.next())
    await reader.next()
    await reader.next()
    expect(new Set(calls).size).toBe(2)
    expect(calls).toHaveLength(6)
    expect(calls[0]).toBe(session.id)
  },

  'a revoked session reaches a tool between two items': async (driver) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const body: ToolBody = {
      name: 'count',
      description: 'stops when it is told',
      async *items(_, frameworkSignal) {
        const signal = frameworkSignal()
        for (let n = 1; n < 100 && !signal?.aborted && !currentCall().signal.aborted; n++) yield n
      },
    }
    const reader = open(driver, body, session)
    await reader.next()
    await session.revoke('stop')
    expect((await reader.next()).done).toBe(true)
  },
}
