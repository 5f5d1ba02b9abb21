/** What is remembered stays as small as it was, whatever comes; and nothing that comes breaks it. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Entry } from '../entry.ts'
import { SignalEngine } from './engine.ts'
import { Lru } from './lru.ts'
import { observedEntry } from './observing.ts'
import { detectSignals } from './offline.ts'
import { checkEngine } from './options.ts'
import type { Observation } from './signal.ts'

const START = Date.parse('2026-01-05T12:00:00Z')

describe('memory', () => {
  it('a million observations of ever new agents, sessions, tools, units, codes and digests', () => {
    const engine = new SignalEngine(checkEngine({ agents: 50 }))
    let random = 1
    const next = (most: number) => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fffffff
      return (random >>> 8) % most
    }
    const observe = (index: number) => {
      const type = next(10) > 1 ? 'intent' : next(2) === 0 ? 'outcome' : 'refusal'
      engine.observe({
        at: START + index * 100,
        type,
        tenant: 't',
        agent: `agent-${next(100) === 0 ? index : next(40)}`,
        session: `s-${index >> 3}`,
        tool: `tool-${index >> 1}`,
        code: `code-${next(500)}`,
        digest: next(1 << 22)
          .toString(16)
          .padStart(64, '0'),
        spent: [{ unit: `unit-${next(12)}`, amount: next(1_000) }],
      })
    }
    global.gc?.()
    for (let index = 0; index < 100_000; index++) observe(index)
    global.gc?.()
    const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
    for (let index = 100_000; index < 300_000; index++) observe(index)
    global.gc?.()
    const grown = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers - before
    expect(engine.agents).toBe(50)
    expect(grown).toBeLessThan(8 * 2 ** 20)
    // Some seconds; a machine that does other things as well takes longer.
  }, 240_000)

  it('a map of what was heard of last never holds more, and drops what was not asked for longest', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.integer({ min: 0, max: 40 })), (most, keys) => {
        const lru = new Lru(most, () => ({}))
        const order: number[] = []
        for (const key of keys) {
          lru.of(String(key))
          if (order.includes(key)) order.splice(order.indexOf(key), 1)
          order.push(key)
          if (order.length > most) order.shift()
          expect([...lru.entries()].map(([name]) => Number(name))).toEqual(order)
        }
      }),
    )
  })
})

describe('what comes is garbage', () => {
  const time = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(Number.NaN, Infinity, -1, 8.64e15, START))
  const observation = fc.record({
    at: time,
    type: fc.constantFrom('intent', 'refusal', 'outcome', 'signal'),
    tenant: fc.string(),
    agent: fc.string(),
    session: fc.string(),
    tool: fc.option(fc.string(), { nil: undefined }),
    code: fc.option(fc.string(), { nil: undefined }),
    digest: fc.option(fc.string(), { nil: undefined }),
    spent: fc.option(fc.array(fc.record({ unit: fc.string(), amount: fc.double() }), { maxLength: 3 }), {
      nil: undefined,
    }),
  })

  it('observations of any time, forth and back, raise no error', () => {
    fc.assert(
      fc.property(fc.array(observation, { maxLength: 60 }), (all) => {
        const engine = new SignalEngine(checkEngine({ detectors: { 'off-hours': { learn: 1, active: 1 } } }))
        for (const one of all) {
          engine.learn(one as Observation)
          for (const signal of engine.observe(one as Observation)) {
            expect(Number.isFinite(signal.value)).toBe(true)
            expect(Number.isFinite(signal.threshold)).toBe(true)
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  it('entries of any shape are no observation, or a sound one', async () => {
    const anything = fc.oneof(
      fc.anything(),
      fc.record({
        type: fc.constant('intent'),
        agent: fc.anything(),
        at: fc.anything(),
        tenant: fc.string(),
        session: fc.string(),
        spent: fc.anything(),
      }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(anything, { maxLength: 20 }), async (all) => {
        for (const one of all) {
          const seen = observedEntry(one as Entry)
          if (seen) expect([typeof seen.agent, Number.isFinite(seen.at)]).toEqual(['string', true])
        }
        const from = async function* () {
          yield* all as Entry[]
        }
        for await (const signal of detectSignals(from())) expect(signal.agent).toBeTypeOf('string')
      }),
      { numRuns: 200 },
    )
  })

  it('a clock that was set back, or leapt ahead and came back, is watched on', () => {
    const engine = new SignalEngine(checkEngine({}))
    const see = (at: number) =>
      engine.observe({ at, type: 'intent', tenant: 't', agent: 'bot', session: 's', tool: 'x', digest: 'a'.repeat(64) })
    see(START + 1_000 * 86_400_000)
    const raised = Array.from({ length: 8 }, (_, index) => see(START - index)).flat()
    expect(raised.map(({ signal }) => signal)).toEqual(['loop'])
    // What was told before it was set back further is no reason to be quiet.
    const again = Array.from({ length: 9 }, (_, index) => see(START - 86_400_000 - index)).flat()
    expect(again.map(({ signal }) => signal)).toEqual(['loop'])
  })
})
