/** Each detector by itself, through the engine, by its options: as an application has them. */
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { SignalEngine } from './engine.ts'
import { checkEngine, type DetectorOptions } from './options.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, type Observation, SIGNALS, type Signal } from './signal.ts'

/** A Monday at noon. */
const NOON = Date.parse('2026-01-05T12:00:00Z')
const OFF = Object.fromEntries(SIGNALS.map((signal) => [signal, false])) as DetectorOptions

/** An agent, and what is raised about what it does. */
class Agent {
  readonly raised: Signal[] = []
  readonly engine: SignalEngine
  at = NOON

  constructor(detectors: DetectorOptions) {
    this.engine = new SignalEngine(checkEngine({ detectors: { ...OFF, ...detectors } }))
  }

  see(rest: Partial<Observation> = {}): readonly Signal[] {
    const seen = { at: this.at, type: 'intent', tenant: 't', agent: 'bot', session: 's', tool: 'x', ...rest } as const
    const raised = this.engine.observe(seen)
    this.raised.push(...raised)
    return raised
  }

  learn(rest: Partial<Observation> = {}): void {
    this.engine.learn({ at: this.at, type: 'intent', tenant: 't', agent: 'bot', session: 's', tool: 'x', ...rest })
  }

  spend(amount: number, unit = 'USD'): readonly Signal[] {
    return this.see({ type: 'outcome', spent: [{ unit, amount }] })
  }

  refuse(code = 'scope-missing', session = 's'): readonly Signal[] {
    return this.see({ type: 'refusal', code, session })
  }

  calls(text: string, pauseMs = 1_000): void {
    for (const one of text) {
      this.see({ digest: one.charCodeAt(0).toString(16).padEnd(64, '0') })
      this.at += pauseMs
    }
  }

  /** Days of ten amounts each, begun at noon. */
  days(count: number, amount: (day: number) => number): void {
    for (let day = 0; day < count; day++) {
      for (let turn = 0; turn < 10; turn++) {
        this.spend(amount(day))
        this.at += (90 * MINUTE_MS) / 10
      }
      this.at += DAY_MS - 90 * MINUTE_MS
    }
  }
}

describe('spend-spike', () => {
  const detectors = { 'spend-spike': {} }

  it('tells of one amount above three times the usual high, once, and not of one below', () => {
    const agent = new Agent(detectors)
    agent.days(6, () => 10)
    expect(agent.spend(29)).toEqual([])
    expect(agent.spend(31)).toMatchObject([
      { signal: 'spend-spike', kind: 'one', value: 31, threshold: 30, unit: 'USD', severity: 'medium', agent: 'bot' },
    ])
    expect(agent.spend(500)).toEqual([])
    agent.at += HOUR_MS
    expect(agent.spend(500)).toMatchObject([{ kind: 'one', severity: 'high' }])
  })

  it('tells of an hour and of a day of amounts that are each as usual', () => {
    const hour = new Agent(detectors)
    hour.days(6, () => 10)
    for (let turn = 0; turn < 40; turn++) hour.spend(10)
    expect(hour.raised).toMatchObject([{ kind: 'hour', windowMs: HOUR_MS }])
    const day = new Agent(detectors)
    day.days(6, () => 10)
    for (let turn = 0; turn < 35; turn++) {
      day.spend(10)
      day.at += 20 * MINUTE_MS
    }
    expect(day.raised).toMatchObject([{ kind: 'day', threshold: 300, windowMs: DAY_MS }])
  })

  it('says nothing while it learns, and nothing of small change', () => {
    const agent = new Agent(detectors)
    agent.days(4, () => 10)
    expect(agent.spend(1_000)).toEqual([])
    const cents = new Agent(detectors)
    cents.days(6, () => 0.01)
    expect(cents.spend(0.9)).toEqual([])
    expect(cents.spend(1.1)).toHaveLength(1)
  })

  it('one wild day makes nothing usual', () => {
    const agent = new Agent(detectors)
    agent.days(20, (day) => (day === 10 ? 1_000 : 10))
    agent.raised.length = 0
    expect(agent.spend(100)).toMatchObject([{ kind: 'one', threshold: 30 }])
  })

  it('tells of a ramp of three percent a day that no day is a spike in', () => {
    const agent = new Agent(detectors)
    agent.days(30, () => 10)
    agent.days(45, (day) => 10 * 1.03 ** day)
    expect(agent.raised.length).toBeGreaterThan(0)
    expect(new Set(agent.raised.map(({ kind }) => kind))).toEqual(new Set(['drift']))
    expect(agent.raised.length).toBeLessThan(8)
  })

  it('grows used to what grows slowly, and keeps units apart', () => {
    const agent = new Agent(detectors)
    agent.days(120, (day) => 10 * 1.005 ** day)
    expect(agent.raised).toEqual([])
    expect(agent.spend(5_000, 'EUR')).toEqual([])
    expect(agent.spend(5_000, 'USD')).toHaveLength(1)
  })

  it('what was read from the trail counts, in whichever order', () => {
    const agent = new Agent(detectors)
    for (const day of [3, 6, 1, 5, 2, 4]) {
      for (let turn = 0; turn < 10; turn++) {
        agent.learn({ at: NOON - day * DAY_MS, type: 'outcome', spent: [{ unit: 'USD', amount: 10 }] })
      }
    }
    expect(agent.raised).toEqual([])
    expect(agent.spend(29)).toEqual([])
    expect(agent.spend(31)).toHaveLength(1)
  })
})

describe('off-hours', () => {
  it('written hours: tells of calls outside of them, by the clocks of the zone', () => {
    const agent = new Agent({
      'off-hours': { hours: { 'mon-fri': '07:00-19:00', sat: '22:00-02:00' }, zone: 'Europe/Berlin' },
    })
    const at = (text: string) => {
      agent.at = Date.parse(text)
      return agent.see().length
    }
    // In winter Berlin is an hour ahead.
    expect(at('2026-01-05T06:00:00Z')).toBe(0)
    expect(at('2026-01-05T17:59:00Z')).toBe(0)
    expect(at('2026-01-05T18:00:00Z')).toBe(1)
    expect(at('2026-01-10T12:00:00Z')).toBe(1)
    // Past midnight, into Sunday.
    expect(at('2026-01-11T00:30:00Z')).toBe(0)
    expect(at('2026-01-11T01:30:00Z')).toBe(1)
  })

  const work = (agent: Agent, days: number) => {
    const begun = agent.at
    for (let day = 0; day < days; day++) {
      if (day % 7 >= 5) continue
      for (let hour = -3; hour < 5; hour++) {
        agent.at = begun + day * DAY_MS + hour * HOUR_MS
        agent.see()
      }
    }
    agent.at = begun + days * DAY_MS
  }

  it('learned hours: tells of a night and of a Sunday, and not of an hour before the usual ones', () => {
    const agent = new Agent({ 'off-hours': {} })
    work(agent, 14)
    expect(agent.raised).toEqual([])
    const [monday] = [agent.at]
    agent.at = monday - 4 * HOUR_MS
    expect(agent.see()).toEqual([])
    agent.at = monday + 15 * HOUR_MS
    expect(agent.see()).toMatchObject([{ signal: 'off-hours', kind: 'learned', scope: 'agent' }])
    agent.at = monday + 6 * DAY_MS
    expect(agent.see()).toHaveLength(1)
  })

  it('says nothing in the first two weeks, and nothing of an agent that is seldom heard of', () => {
    const agent = new Agent({ 'off-hours': {} })
    work(agent, 10)
    agent.at += 15 * HOUR_MS
    expect(agent.see()).toEqual([])
    const seldom = new Agent({ 'off-hours': {} })
    for (let day = 0; day < 30; day++) {
      seldom.at = NOON + day * DAY_MS
      seldom.see()
    }
    seldom.at += 12 * HOUR_MS
    expect(seldom.see()).toEqual([])
  })
})

describe('repeated-denials', () => {
  const detectors = { 'repeated-denials': {} }

  it('six with one code in one session within ten minutes, once', () => {
    const agent = new Agent(detectors)
    for (let turn = 0; turn < 5; turn++) expect(agent.refuse()).toEqual([])
    expect(agent.refuse()).toMatchObject([
      { signal: 'repeated-denials', kind: 'session', code: 'scope-missing', value: 6 },
    ])
    for (let turn = 0; turn < 20; turn++) expect(agent.refuse()).toEqual([])
  })

  it('fifteen of one agent, in as many sessions', () => {
    const agent = new Agent(detectors)
    for (let turn = 0; turn < 15; turn++) agent.refuse('policy-denied', `s${turn}`)
    expect(agent.raised).toMatchObject([{ kind: 'agent', session: 's14', value: 15 }])
  })

  it('not: spread over time, over codes, among many calls, or of what says nothing about the agent', () => {
    const slow = new Agent(detectors)
    for (let turn = 0; turn < 30; turn++) {
      slow.refuse()
      slow.at += 2 * MINUTE_MS
    }
    const codes = new Agent(detectors)
    for (let turn = 0; turn < 10; turn++) codes.refuse(turn % 2 ? 'scope-missing' : 'policy-denied')
    const busy = new Agent(detectors)
    for (let turn = 0; turn < 10; turn++) {
      busy.refuse()
      for (let calls = 0; calls < 4; calls++) busy.see()
    }
    const ours = new Agent(detectors)
    for (const code of ['approval-pending', 'rate-exceeded', 'unavailable']) {
      for (let turn = 0; turn < 30; turn++) ours.refuse(code)
    }
    for (const agent of [slow, codes, busy, ours]) expect(agent.raised).toEqual([])
  })
})

describe('first-use', () => {
  const known = (agent: Agent, days = 8) => {
    for (let day = 0; day < days; day++) {
      for (let turn = 0; turn < 20; turn++) agent.see({ tool: turn % 2 ? 'read' : 'write' })
      agent.at += DAY_MS
    }
  }

  it('tells of a tool that a known agent has never used, once', () => {
    const agent = new Agent({ 'first-use': {} })
    known(agent)
    expect(agent.raised).toEqual([])
    expect(agent.see({ type: 'refusal', code: 'scope-missing', tool: 'pay' })).toEqual([])
    expect(agent.see({ tool: 'pay' })).toMatchObject([{ signal: 'first-use', tool: 'pay', severity: 'low' }])
    expect(agent.see({ tool: 'pay' })).toEqual([])
  })

  it('says nothing in the first week, nor of an agent whose tools are often new', () => {
    const agent = new Agent({ 'first-use': {} })
    known(agent, 6)
    expect(agent.see({ tool: 'pay' })).toEqual([])
    const curious = new Agent({ 'first-use': {} })
    for (let turn = 0; turn < 300; turn++) {
      curious.see({ tool: turn % 10 ? 'read' : `tool-${turn}` })
      curious.at += HOUR_MS
    }
    expect(curious.raised).toEqual([])
  })
})

describe('burst', () => {
  it('three times the busiest minute of usual days, and at least thirty', () => {
    const agent = new Agent({ burst: {} })
    for (let day = 0; day < 6; day++) {
      for (let turn = 0; turn < 20; turn++) agent.see()
      agent.at += DAY_MS
    }
    for (let turn = 0; turn < 60; turn++) expect(agent.see()).toEqual([])
    expect(agent.see()).toMatchObject([{ signal: 'burst', value: 61, threshold: 60, windowMs: MINUTE_MS }])
    expect(agent.see()).toEqual([])
  })

  it('of an agent that is not known, only what is much for anybody; across the turn of a minute, too', () => {
    const agent = new Agent({ burst: {} })
    agent.at = NOON + 59_999
    for (let turn = 0; turn < 200; turn++) agent.see()
    agent.at += 1_000
    for (let turn = 0; turn < 103; turn++) agent.see()
    expect(agent.raised).toEqual([])
    agent.see()
    expect(agent.raised).toHaveLength(1)
  })
})

describe('loop', () => {
  const raisedBy = (text: string, pauseMs?: number, options = {}) => {
    const agent = new Agent({ loop: options })
    agent.calls(text, pauseMs)
    return agent.raised.map(({ kind }) => kind)
  }

  it('the same call eight times in a row, two to four calls in turn four times, one among others', () => {
    expect(raisedBy('aaaaaaa')).toEqual([])
    expect(raisedBy('aaaaaaaa')).toEqual(['1'])
    expect(raisedBy('abababa')).toEqual([])
    expect(raisedBy('xabababab')).toEqual(['2'])
    expect(raisedBy('abcabcabcabc')).toEqual(['3'])
    expect(raisedBy('abcdabcdabcdabcd')).toEqual(['4'])
    expect(raisedBy('abacadaeafagahaiajaka')).toEqual([])
    expect(raisedBy('abacadaeafagahaiajakalam')).toEqual(['among'])
  })

  it('not: far apart, in several sessions, of a tool that is excepted, without a digest, or waiting for a person', () => {
    expect(raisedBy('aaaaaaaaaaaaaaaa', 10 * MINUTE_MS)).toEqual([])
    expect(raisedBy('aaaaaaaaaaaaaaaa', 1_000, { except: ['x'] })).toEqual([])
    const agent = new Agent({ loop: {} })
    for (let turn = 0; turn < 20; turn++) {
      agent.see({ session: `s${turn}`, digest: 'a'.repeat(64) })
      agent.see({})
      agent.see({ type: 'refusal', code: 'approval-pending', digest: 'a'.repeat(64) })
      agent.see({ type: 'outcome', digest: 'a'.repeat(64) })
    }
    expect(agent.raised).toEqual([])
  })

  it('goes on being told of once an hour; after somebody has looked at it, at once', () => {
    const agent = new Agent({ loop: {} })
    agent.calls('a'.repeat(90), MINUTE_MS)
    expect(agent.raised).toHaveLength(2)
    agent.engine.release('t', 'bot', 's')
    agent.calls('a'.repeat(7))
    expect(agent.raised).toHaveLength(2)
    agent.calls('a')
    expect(agent.raised).toHaveLength(3)
  })
})

describe('options', () => {
  const wrong: readonly (readonly [unknown, string])[] = [
    [{ detectors: { spend: {} } }, 'detectors.spend'],
    [{ detectors: { loop: { repeat: 2 } } }, 'detectors.loop.repeat'],
    [{ detectors: { loop: { repeats: 1 } } }, 'detectors.loop.repeats'],
    [{ detectors: { loop: { among: 33 } } }, 'detectors.loop.among'],
    [{ detectors: { loop: { except: 'x' } } }, 'detectors.loop.except'],
    [{ detectors: { loop: { coolDown: 'soon' } } }, 'detectors.loop.coolDown'],
    [{ detectors: { 'spend-spike': { factor: 1 } } }, 'detectors.spend-spike.factor'],
    [{ detectors: { 'spend-spike': { atLeast: -1 } } }, 'detectors.spend-spike.atLeast'],
    [{ detectors: { 'spend-spike': { drift: Number.NaN } } }, 'detectors.spend-spike.drift'],
    [{ detectors: { 'off-hours': { zone: 'Mars' } } }, 'detectors.off-hours.zone'],
    [{ detectors: { 'off-hours': { hours: { mo: '1-2' } } } }, 'detectors.off-hours.hours'],
    [{ detectors: { 'off-hours': { hours: { mon: 7 } } } }, 'detectors.off-hours.hours'],
    [{ detectors: { 'repeated-denials': { window: 0 } } }, 'detectors.repeated-denials.window'],
    [{ agents: 0 }, 'agents'],
  ]

  it.each(wrong)('%j is refused, and named', (options, path) => {
    expect(() => checkEngine(options as never)).toThrow(ConfigError)
    expect(() => checkEngine(options as never)).toThrow(expect.objectContaining({ path }))
  })
})
