/**
 * Traffic as agents make it, with anomalies at known places: seeded, so that it is the same each time. Days and weekends,
 * amounts with heavy tails, agents that are busy all day and agents that are seldom heard of.
 */
import type { Entry } from '@haldir/core'
import type { SignalName } from '@haldir/core/signals'

export const MINUTE = 60_000
export const HOUR: number = 60 * MINUTE
export const DAY: number = 24 * HOUR
/** A Monday. */
const START = Date.parse('2026-01-05T00:00:00Z')

/** What was done to the traffic, and the signal that has to tell of it. */
export interface Anomaly {
  readonly kind: string
  readonly signal: SignalName
  readonly agent: string
  readonly from: number
  readonly until: number
}

export interface Traffic {
  readonly entries: readonly Entry[]
  readonly anomalies: readonly Anomaly[]
  readonly agents: number
  readonly days: number
}

export type Event = Pick<Entry, 'type' | 'agent' | 'session' | 'spent'> & {
  readonly time: number
  readonly tool: string
  readonly code?: string
  readonly digest?: string
}

/** Mulberry32: small, and good enough for this. */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }

  whole(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1))
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next())
  }

  /** Few are often, many seldom. */
  zipf(count: number): number {
    return Math.min(count - 1, Math.floor(count ** this.next()) - 1)
  }

  digest(): string {
    const part = () => this.whole(0, 0xfffffff).toString(16).padStart(8, '0')
    return `${part()}${part()}`.padEnd(64, '0')
  }
}

/** How an agent lives. */
interface Habit {
  readonly name: string
  /** Calls on a working day. */
  readonly calls: number
  /** On days of the weekend, as a part of that. */
  readonly weekend: number
  /** How busy it is at an hour of the day, 0 to 1. */
  readonly hour: (hour: number) => number
  readonly amount: (dice: Dice) => number
  /** How often a call costs something. */
  readonly pays: number
  readonly tools: number
  /** Milliseconds between the calls of a session. */
  readonly pace: readonly [number, number]
  readonly session: readonly [number, number]
  /** How often a call is the same as the last one. */
  readonly again: number
}

const office = (hour: number) => (hour >= 8 && hour < 18 ? 1 : 0)
const always = (hour: number) => 0.6 + 0.4 * Math.sin(((hour - 9) / 24) * 2 * Math.PI)
const lognormal = (scale: number, sigma: number) => (dice: Dice) => scale * Math.exp(sigma * dice.normal())
const pareto = (scale: number, alpha: number) => (dice: Dice) => scale * (1 - dice.next()) ** (-1 / alpha)

export const HABITS: readonly Habit[] = [
  {
    name: 'office',
    calls: 150,
    weekend: 0,
    hour: office,
    amount: lognormal(20, 1),
    pays: 0.3,
    tools: 8,
    pace: [2_000, 40_000],
    session: [4, 25],
    again: 0.05,
  },
  {
    name: 'service',
    calls: 500,
    weekend: 0.5,
    hour: always,
    amount: pareto(5, 2),
    pays: 0.4,
    tools: 12,
    pace: [500, 20_000],
    session: [3, 12],
    again: 0.05,
  },
  {
    name: 'nightly',
    calls: 250,
    weekend: 1,
    hour: (hour) => (hour === 2 ? 1 : 0),
    amount: lognormal(2, 0.6),
    pays: 0.5,
    tools: 4,
    pace: [1_000, 6_000],
    session: [60, 120],
    again: 0.02,
  },
  {
    name: 'seldom',
    calls: 14,
    weekend: 0.4,
    hour: (hour) => (hour >= 9 && hour < 22 ? 1 : 0),
    amount: lognormal(40, 1.2),
    pays: 0.4,
    tools: 10,
    pace: [5_000, 90_000],
    session: [2, 6],
    again: 0.05,
  },
  {
    name: 'hourly',
    calls: 400,
    weekend: 1,
    hour: () => 1,
    amount: lognormal(0.5, 0.8),
    pays: 0.2,
    tools: 5,
    pace: [300, 2_500],
    session: [15, 22],
    again: 0.02,
  },
  {
    name: 'poller',
    calls: 200,
    weekend: 0.2,
    hour: office,
    amount: pareto(3, 2.5),
    pays: 0.2,
    tools: 9,
    pace: [5_000, 60_000],
    session: [5, 20],
    again: 0.35,
  },
]

/** How far a life changes in the course of a ramp, on a day. */
type Ramp = (day: number) => number

class Life {
  readonly events: Event[] = []
  readonly agent: string
  readonly habit: Habit
  readonly dice: Dice
  #sessions = 0

  constructor(agent: string, habit: Habit, dice: Dice) {
    this.agent = agent
    this.habit = habit
    this.dice = dice
  }

  live(days: number, ramp: Ramp): void {
    const { calls, weekend, hour, session } = this.habit
    const load = Array.from({ length: 24 }, (_, at) => hour(at))
    const sum = load.reduce((one, other) => one + other, 0)
    const mean = (session[0] + session[1]) / 2
    for (let day = 0; day < days; day++) {
      const part = day % 7 >= 5 ? weekend : 1
      // Some days are busier than others, and business grows a little.
      const busy = Math.exp(0.15 * this.dice.normal()) * 1.002 ** day
      for (let at = 0; at < 24; at++) {
        const wanted = (calls * part * busy * (load[at] as number)) / sum / mean
        const sessions = Math.floor(wanted) + (this.dice.next() < wanted % 1 ? 1 : 0)
        for (let index = 0; index < sessions; index++) {
          const from = START + day * DAY + at * HOUR + this.dice.next() * HOUR
          this.session(from, this.dice.whole(...session), ramp(day))
        }
      }
    }
  }

  session(from: number, length: number, more = 1): void {
    const session = this.open()
    const { again, pace, tools } = this.habit
    let time = from
    let [tool, digest] = ['', '']
    for (let index = 0; index < length; index++) {
      if (index === 0 || this.dice.next() >= again) {
        tool = `tool-${this.dice.zipf(tools)}`
        digest = this.dice.digest()
      }
      time += this.dice.between(...pace)
      // Now and then something is refused, and tried once or twice more.
      if (this.dice.next() < 0.015) {
        const code = this.dice.next() < 0.5 ? 'scope-missing' : 'policy-denied'
        for (let tries = this.dice.whole(1, 3); tries > 0; tries--) {
          this.refuse(session, time, tool, digest, code)
          time += this.dice.between(...pace)
        }
      } else this.call(session, time, tool, digest, this.dice.next() < this.habit.pays ? more : 0)
    }
  }

  open(): string {
    return `${this.agent}-${++this.#sessions}`
  }

  call(session: string, time: number, tool: string, digest: string, pays: number): void {
    const amount = pays > 0 ? pays * this.habit.amount(this.dice) : 0
    this.pay(session, time, tool, digest, amount)
  }

  pay(session: string, time: number, tool: string, digest: string, amount: number): void {
    const spent = amount > 0 ? [{ unit: 'USD', amount: amount.toFixed(2) }] : []
    this.events.push({ type: 'intent', time, agent: this.agent, session, tool, digest, spent: [] })
    this.events.push({ type: 'outcome', time: time + 200, agent: this.agent, session, tool, digest, spent })
  }

  refuse(session: string, time: number, tool: string, digest: string, code: string): void {
    this.events.push({ type: 'refusal', time, agent: this.agent, session, tool, digest, code, spent: [] })
  }
}

type Inject = (life: Life, at: number) => number
/** Each does something to an agent at a time, and answers until when. */
const INJECTED: Readonly<Record<string, readonly [SignalName, Inject, habits?: readonly string[]]>> = {
  'one amount': [
    'spend-spike',
    (life, at) => {
      const usual = Array.from({ length: 400 }, () => life.habit.amount(life.dice)).sort((a, b) => a - b)
      life.pay(life.open(), at, 'tool-0', life.dice.digest(), 12 * (usual.at(-2) as number))
      return at + MINUTE
    },
  ],
  'an hour of spending': [
    'spend-spike',
    (life, at) => {
      const session = life.open()
      const usual =
        life.habit.calls *
        life.habit.pays *
        (Array.from({ length: 400 }, () => life.habit.amount(life.dice)).reduce((a, b) => a + b, 0) / 400)
      for (let index = 0; index < 20; index++)
        life.pay(session, at + index * 60_000, 'tool-0', life.dice.digest(), usual / 2)
      return at + HOUR
    },
  ],
  'a night': [
    'off-hours',
    (life, at) => {
      const night = Math.floor(at / DAY) * DAY + 3 * HOUR + life.dice.whole(0, 20 * MINUTE)
      life.session(night, 6)
      return night + HOUR
    },
    ['office', 'poller'],
  ],
  'denials in a session': [
    'repeated-denials',
    (life, at) => {
      const session = life.open()
      for (let index = 0; index < 10; index++)
        life.refuse(session, at + index * 15_000, 'tool-0', life.dice.digest(), 'scope-missing')
      return at + 10 * MINUTE
    },
  ],
  'denials all over': [
    'repeated-denials',
    (life, at) => {
      for (let index = 0; index < 30; index++)
        life.refuse(life.open(), at + index * 10_000, 'tool-0', life.dice.digest(), 'policy-denied')
      return at + 10 * MINUTE
    },
  ],
  'a new tool': [
    'first-use',
    (life, at) => {
      life.call(life.open(), at, `never-used-${at}`, life.dice.digest(), 0)
      return at + MINUTE
    },
    ['office', 'service', 'nightly', 'hourly', 'poller'],
  ],
  'a burst': [
    'burst',
    (life, at) => {
      for (let index = 0; index < 400; index++)
        life.call(life.open(), at + index * 200, 'tool-0', life.dice.digest(), 0)
      return at + 5 * MINUTE
    },
  ],
  'the same call': [
    'loop',
    (life, at) => {
      const [session, digest] = [life.open(), life.dice.digest()]
      for (let index = 0; index < 10; index++) life.call(session, at + index * 4_000, 'tool-0', digest, 0)
      return at + 5 * MINUTE
    },
  ],
  'two calls in turn': [
    'loop',
    (life, at) => {
      const [session, ...digests] = [life.open(), life.dice.digest(), life.dice.digest()]
      for (let index = 0; index < 12; index++)
        life.call(session, at + index * 4_000, `tool-${index % 2}`, digests[index % 2] as string, 0)
      return at + 5 * MINUTE
    },
  ],
  'three calls in turn': [
    'loop',
    (life, at) => {
      const [session, ...digests] = [life.open(), life.dice.digest(), life.dice.digest(), life.dice.digest()]
      for (let index = 0; index < 18; index++)
        life.call(session, at + index * 4_000, `tool-${index % 3}`, digests[index % 3] as string, 0)
      return at + 5 * MINUTE
    },
  ],
  'a call among others': [
    'loop',
    (life, at) => {
      const [session, digest] = [life.open(), life.dice.digest()]
      for (let index = 0; index < 40; index++) {
        const same = index % 2 === 0 || life.dice.next() < 0.2
        life.call(session, at + index * 4_000, 'tool-0', same ? digest : life.dice.digest(), 0)
      }
      return at + 5 * MINUTE
    },
  ],
}
/** From when on there are anomalies: before that, agents are learned. */
const LEARNED = 35

/** `perHabit`: how many agents live each life. One more of each has a ramp, and nothing else. */
export function traffic(seed: number, { days = 84, perHabit = 2, ramp = 0.04 } = {}): Traffic {
  const dice = new Dice(seed)
  const lives: Life[] = []
  const anomalies: Anomaly[] = []
  for (const habit of HABITS) {
    for (let index = 0; index <= perHabit; index++) {
      const agent = `${habit.name}-${index}`
      const life = new Life(agent, habit, new Dice(dice.whole(1, 2 ** 31)))
      lives.push(life)
      if (index === perHabit) {
        const begins = LEARNED + 5
        life.live(days, (day) => (1 + ramp) ** Math.max(0, day - begins))
        const [from, until] = [START + begins * DAY, START + days * DAY]
        anomalies.push({ kind: 'a slow ramp', signal: 'spend-spike', agent, from, until })
        continue
      }
      life.live(days, () => 1)
      // One of each, on days of their own.
      let day = LEARNED
      for (const [kind, [signal, inject, habits]] of Object.entries(INJECTED)) {
        if (habits && !habits.includes(habit.name)) continue
        day += 3 + (day % 7 >= 2 ? 2 : 0)
        while (day % 7 >= 5) day++
        if (day >= days - 1) break
        const busy = habit.name === 'nightly' ? 2 : 11
        const at = START + day * DAY + busy * HOUR + life.dice.whole(0, 20 * MINUTE)
        anomalies.push({ kind, signal, agent, from: kind === 'a night' ? at - 9 * HOUR : at, until: inject(life, at) })
      }
    }
  }
  const events = lives.flatMap(({ events }) => events).sort((a, b) => a.time - b.time)
  return { entries: events.map(entryOf), anomalies, agents: lives.length, days }
}

/** As much of an entry as detectors read. */
export function entryOf({ time, ...rest }: Event): Entry {
  return { ...rest, tenant: 'acme', at: new Date(time).toISOString(), enforced: true } as unknown as Entry
}
