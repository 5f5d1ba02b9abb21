/** Nothing runs that was not allowed, and nothing but what was judged. */
import { currentCall, usd } from '@haldir/core'
import { expect } from 'vitest'
import type { AdapterDriver, ScriptedCall } from './driver.ts'
import { bodyOf, CANARY, type Cases, expectDenial, gate, house } from './house.ts'

export const gated: Cases = {
  'what is refused does not run, and the loop goes on': async (driver) => {
    await using home = house()
    const session = await home.newSession('read', 'spend:5')
    const bodies = { remove: bodyOf('remove', 1), pay: bodyOf('pay', 1), read: bodyOf('read', 'fine') }
    const tools = {
      remove: driver.wrap(driver.build(bodies.remove), { name: 'remove', scope: 'delete' }, { haldir: home.haldir }),
      pay: driver.wrap(
        driver.build(bodies.pay),
        { name: 'pay', scope: 'spend', cost: usd(6) },
        { haldir: home.haldir },
      ),
      read: driver.wrap(driver.build(bodies.read), { name: 'read', scope: 'read' }, { haldir: home.haldir }),
    }
    const args = { to: CANARY }
    const calls = Object.keys(tools).map((tool) => ({ tool, args }))
    const { answers, turns, text } = await session.run(() => driver.loop(tools, calls))
    expect([turns, text]).toEqual([2, 'done'])
    expectDenial(answers[0]!, 'scope-missing')
    expectDenial(answers[1]!, 'budget-exceeded')
    expect(answers[2]?.read).toContain('fine')
    expect([bodies.remove.got, bodies.pay.got, bodies.read.got]).toEqual([[], [], [args]])
    expect((await home.entries({ type: 'refusal' })).map(({ tool, code }) => [tool, code])).toEqual(
      expect.arrayContaining([
        ['remove', 'scope-missing'],
        ['pay', 'budget-exceeded'],
      ]),
    )
    expect((await home.entries({ type: 'intent' })).map(({ tool }) => tool)).toEqual(['read'])
  },

  'after a session was revoked its calls are refused, and the loop goes on': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const body = bodyOf('late', 1)
    const tool = driver.wrap(driver.build(body), { name: 'late', scope: 'read' }, { haldir: home.haldir })
    await session.revoke('done')
    const { answers, text } = await session.run(() => driver.loop({ late: tool }, [{ tool: 'late', args: { CANARY } }]))
    expectDenial(answers[0]!, 'session-revoked')
    expect([text, body.got]).toEqual(['done', []])
  },

  'when the trail accepts nothing, nothing runs': async (driver) => {
    let broken = false
    const sink = {
      name: 'breaking',
      write() {
        if (broken) throw new Error(`disk full ${CANARY}`)
      },
    }
    await using home = house({ sinks: [sink] })
    const session = await home.newSession('read')
    const body = bodyOf('unwritten', 1)
    const tool = driver.wrap(driver.build(body), { name: 'unwritten', scope: 'read' }, { session })
    broken = true
    const { answers } = await driver.loop({ unwritten: tool }, [{ tool: 'unwritten', args: {} }])
    broken = false
    expectDenial(answers[0]!, 'unavailable')
    expect(body.got).toEqual([])
  },

  'the intent is on record before the tool runs, the outcome after it': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    let during: string[] = []
    const body = bodyOf('watched', async () => {
      during = (await home.entries({ call: currentCall().id })).map(({ type }) => type)
      return 1
    })
    const tool = driver.wrap(driver.build(body), { name: 'watched', scope: 'read' }, { session })
    await driver.loop({ watched: tool }, [{ tool: 'watched', args: {} }])
    expect(during).toEqual(['intent'])
    const entries = await home.entries({ tool: 'watched' })
    expect(entries.map(({ type }) => type)).toEqual(['intent', 'outcome'])
    expect(entries[0]?.toolHash).toMatch(/^[0-9a-f]{64}$/)
  },

  "the framework's own id of a call stands in its entries": async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const tool = driver.wrap(driver.build(bodyOf('named', 1)), { name: 'named', scope: 'read' }, { session })
    const denied = driver.wrap(driver.build(bodyOf('denied', 1)), { name: 'denied', scope: 'other' }, { session })
    await driver.loop({ named: tool, denied }, [
      { tool: 'named', args: {}, id: 'ref-1' },
      { tool: 'denied', args: {}, id: 'ref-2' },
    ])
    const refs = async (tool: string) => (await home.entries({ tool })).map(({ ref }) => ref)
    expect([await refs('named'), await refs('denied')]).toEqual([['ref-1', 'ref-1'], ['ref-2']])
  },

  "the framework's own retry does not run a denial again": async (driver) => {
    await using home = house()
    const session = await home.newSession('read', 'spend:5')
    const body = bodyOf('pay', 1)
    const tool = driver.wrap(driver.build(body), { name: 'pay', scope: 'spend', cost: usd(6) }, { session })
    const { turns } = await driver.loop({ pay: tool }, [{ tool: 'pay', args: {} }], { retrying: true })
    expect(turns).toBe(2)
    expect(body.got).toEqual([])
    expect(await home.entries({ tool: 'pay' })).toHaveLength(1)
  },

  '100 parallel calls of $1 on a budget of $50: exactly 50 run': (driver) =>
    overspend(driver, (index) => `call-${index}`),

  'the same, when the model repeats one call id for all of them': (driver) => overspend(driver, () => 'call-1'),

  'parallel calls do not touch one another': async (driver) => {
    await using home = house()
    const session = await home.newSession('read', 'spend:1')
    const wait = gate()
    const boom = new Error('one failed')
    const bodies = {
      waits: bodyOf('waits', () => wait.opened.then(() => 'waited')),
      fails: bodyOf('fails', () => Promise.reject(boom)),
      denied: bodyOf('denied', 1),
      quick: bodyOf('quick', () => {
        wait.open()
        return 'quick'
      }),
    }
    const tools = {
      waits: driver.wrap(driver.build(bodies.waits), { name: 'waits', scope: 'read' }, { session }),
      fails: driver.wrap(driver.build(bodies.fails), { name: 'fails', scope: 'read' }, { session }),
      denied: driver.wrap(driver.build(bodies.denied), { name: 'denied', scope: 'other' }, { session }),
      quick: driver.wrap(driver.build(bodies.quick), { name: 'quick', scope: 'read' }, { session }),
    }
    const calls = Object.keys(tools).map((tool) => ({ tool, args: {} }))
    const { answers, text } = await driver.loop(tools, calls)
    expect(answers.map(({ read }) => read)).toEqual([
      expect.stringContaining('waited'),
      expect.stringContaining('one failed'),
      expect.stringMatching(/^Denied \(scope-missing\)/),
      expect.stringContaining('quick'),
    ])
    expect(text).toBe('done')
  },

  'hostile arguments do not reach the tool': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const body = bodyOf('plain', 1)
    const tool = driver.wrap(driver.build(body), { name: 'plain', scope: 'read' }, { session })
    for (const [kind, args] of Object.entries(hostile())) {
      expectDenial(await driver.call(tool, args), 'invalid-arguments')
      expect(body.got, kind).toEqual([])
    }
    expect(await home.entries({ type: 'intent' })).toEqual([])
  },

  'what runs is what was judged, whatever the caller and the tool do to the arguments': async (driver) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const priced: unknown[] = []
    const body = bodyOf('pay', (args: { amount: number; list: number[] }) => {
      const seen = structuredClone(args)
      args.amount = 77
      args.list.push(77)
      return seen
    })
    const options = {
      name: 'pay',
      scope: 'spend',
      cost: ({ amount }: { amount: number }) => usd(amount),
      actual: (_: unknown, args: unknown) => {
        priced.push(structuredClone(args))
        return usd(1)
      },
    }
    const tool = driver.wrap(driver.build(body), options, { session })
    const args = { amount: 1, list: [1] }
    const running = driver.call(tool, args)
    args.amount = 9_999
    args.list.push(9_999)
    const { value } = await running
    expect(value).toEqual({ amount: 1, list: [1] })
    expect(priced).toEqual([{ amount: 1, list: [1] }])
    expect(args).toEqual({ amount: 9_999, list: [1, 9_999] })
    const [intent] = await home.entries({ type: 'intent' })
    expect(intent?.held).toEqual([{ unit: 'USD', amount: '1' }])
  },
}

async function overspend(driver: AdapterDriver, id: (index: number) => string): Promise<void> {
  await using home = house()
  const session = await home.newSession('spend:50')
  // Every call that runs is still running when the last one asks to.
  let waiting = 50
  const all = gate()
  const body = bodyOf('charge', () => {
    if (--waiting === 0) all.open()
    return all.opened
  })
  const tool = driver.wrap(driver.build(body), { name: 'charge', scope: 'spend', cost: usd(1) }, { session })
  const calls = Array.from({ length: 100 }, (_, index): ScriptedCall => ({ tool: 'charge', args: {}, id: id(index) }))
  await driver.loop({ charge: tool }, calls)
  expect(body.got).toHaveLength(50)
  const [line] = await session.budget()
  expect([String(line?.used), String(line?.held), String(line?.left)]).toEqual([usd(50), usd(0), usd(0)].map(String))
  expect(await home.entries({ type: 'outcome' })).toHaveLength(50)
  expect(await home.entries({ type: 'refusal', code: 'budget-exceeded' })).toHaveLength(50)
}

/** Arguments no model can write, but code between the model and the tool can. */
function hostile(): Record<string, unknown> {
  const cycle: Record<string, unknown> = { CANARY }
  cycle.again = cycle
  let deep: object = { CANARY }
  for (let level = 0; level < 20_000; level++) deep = { deep }
  class Special {
    amount = CANARY
  }
  return {
    getter: {
      get amount() {
        throw new Error(CANARY)
      },
    },
    proxy: new Proxy({ CANARY }, {}),
    'nested proxy': { list: [new Proxy({ CANARY }, {})] },
    cycle,
    deep,
    instance: new Special(),
    'own toJSON': { amount: 9, toJSON: () => ({ amount: 1 }) },
    function: { call: () => CANARY },
    symbol: { [Symbol('key')]: CANARY },
    __proto__: JSON.parse(`{"__proto__":{"amount":"${CANARY}"}}`),
    'not a number': { amount: Number.NaN },
    infinite: { amount: Number.POSITIVE_INFINITY },
    holes: { list: new Array(3) },
    'half a character': { text: '\ud800' },
    huge: { text: 'x'.repeat(2_000_000) },
  }
}
