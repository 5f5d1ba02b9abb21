/**
 * A store as naive as it can be. It keeps no running totals: it keeps every hold there ever was and everything a rate
 * has counted, and adds it all up anew whenever it is asked.
 */
import type { Store } from '@haldir/core'
import { ApprovalReference } from './approval-reference.ts'

export type Request = Parameters<Store['admit']>[0]
export type Charge = Request['charges'][number]
export type MeterKey = Charge['meter']
export type Cap = NonNullable<Parameters<Store['session']['create']>[2]>[number]
export type Refusal = Record<string, unknown>

export const MINUTE = 60_000
export const HOUR: number = 60 * MINUTE
export const DAY: number = 24 * HOUR

/** Who is made from whom: a child of a child, and one apart with the same agent. */
export const SESSIONS: Readonly<Record<string, { readonly agent: string; readonly chain: readonly string[] }>> = {
  s0: { agent: 'a', chain: [] },
  s1: { agent: 'b', chain: ['s0'] },
  s2: { agent: 'c', chain: ['s0', 's1'] },
  s3: { agent: 'a', chain: [] },
}

const LORD_HOWE = { zone: 'Australia/Lord_Howe' }
/** Every session has these; any call may charge them, as a child's charges its ancestors'. */
export const OWN = [
  { window: 'total', limit: 40n },
  { window: 'hour', limit: 14n },
  { window: 'day', limit: 25n, ...LORD_HOWE },
] as const
/** Standing meters. A charge brings its limit, one of a few. */
export const STANDING: readonly MeterKey[] = [
  { key: 'quota', window: 'total', limit: 50n },
  { key: 'hourly', window: 'hour', limit: 20n, ...LORD_HOWE },
  { key: 'weekly', window: 'week', limit: 30n, zone: 'Europe/Berlin' },
  { key: 'monthly', window: 'month', limit: 45n },
]
export const RATE = { key: 'rate', window: 'total', rate: { limit: 11n, periodMs: 7_000, burst: 20n } } as const

/** An amount on a meter, in the window that was current when it was taken. */
interface Part {
  readonly key: string
  readonly window: string
  readonly micros: bigint
}

export interface Held {
  readonly call: string
  readonly session: string
  readonly once: string | undefined
  readonly memo: string | undefined
  readonly held: readonly Part[]
  spent: readonly Part[]
  state: 'reserved' | 'running' | 'orphaned' | 'settled' | 'released'
  lease: number
  /** When it ended or was orphaned. */
  since: number
  /** How often it has ended. */
  ends: number
}

interface Session {
  readonly id: string
  readonly agent: string
  readonly chain: readonly string[]
  expiresAt: number
  revokedAt: number | undefined
}

export class Reference {
  time: number
  readonly sessions: Session[] = []
  readonly holds: Held[] = []
  readonly approvals = new ApprovalReference()
  readonly counted: { readonly key: string; readonly at: number; readonly micros: bigint }[] = []
  /** The limit that each row of a standing meter was last charged with. */
  readonly limits = new Map<string, bigint>()
  /** Rows that a settle pushed above their limit. */
  readonly overrun = new Set<string>()

  constructor(time: number) {
    this.time = time
  }

  session(id: string): Session | undefined {
    return this.sessions.find((session) => session.id === id)
  }

  isLive(session: Session): boolean {
    return session.revokedAt === undefined && session.expiresAt > this.time
  }

  /** How many there are of what a cap counts. */
  count({ count, per }: Cap, agent: string): number {
    const counted = this.sessions.filter((one) => this.isLive(one) && (per === 'tenant' || one.agent === agent))
    return count === 'sessions' ? counted.length : new Set(counted.map((one) => one.agent)).size
  }

  hold(call: string): Held | undefined {
    return this.holds.find((hold) => hold.call === call)
  }

  /** Whether a `once` key belongs to another call now. */
  taken(once: string, call: string): boolean {
    return this.holds.some(({ once: key, call: other, state, lease, since }) => {
      if (key !== once || other === call) return false
      if (state === 'running' || (state === 'reserved' && lease > this.time)) return true
      return (state === 'settled' || state === 'orphaned') && this.time - since < DAY
    })
  }

  end(hold: Held, state: 'settled' | 'released'): void {
    hold.state = state
    hold.since = this.time
    hold.ends++
  }

  /** An ended hold may be forgotten after a day; until then it must not be. */
  remembers(call: string): boolean {
    const hold = this.hold(call)
    return !hold || hold.ends === 0 || this.time - hold.since < DAY
  }

  /** The limit of a meter as a request names it; `undefined`: the meter is missing. */
  limitOf({ key, limit }: MeterKey): bigint | undefined {
    const [session, place] = key.split('|')
    return limit ?? (this.session(session as string) && OWN[Number(place)]?.limit)
  }

  parts(charges: readonly Charge[], of?: Held): Part[] {
    const counted = charges.filter(({ meter }) => !meter.rate)
    return counted.map(({ meter, micros }) => {
      const window = of?.held.find((part) => part.key === meter.key)?.window ?? windowAt(meter, this.time)
      return { key: meter.key, window, micros }
    })
  }

  sum(key: string, window: string): { used: bigint; held: bigint } {
    let [used, held] = [0n, 0n]
    for (const hold of this.holds) {
      const total = (parts: readonly Part[]) =>
        parts.filter((part) => part.key === key && part.window === window).reduce((sum, part) => sum + part.micros, 0n)
      if (hold.state === 'reserved' || hold.state === 'running') held += total(hold.held)
      if (hold.state === 'orphaned') used += total(hold.held)
      if (hold.state === 'settled') used += total(hold.spent)
    }
    return { used, held }
  }

  isOver({ key, window }: Part): boolean {
    const { used, held } = this.sum(key, window)
    const limit = this.limits.get(`${key}@${window}`) ?? this.limitOf({ key, window: 'total' })
    return limit !== undefined && used + held > limit
  }

  /** What is in a rate's bucket at a moment: everything it ever counted, replayed. */
  level(at: number): bigint {
    const { limit, periodMs } = RATE.rate
    let [level, since] = [0n, 0]
    for (const next of [...this.counted, { at, micros: 0n }]) {
      const leak = (limit * BigInt(next.at - since)) / BigInt(periodMs)
      level = (level > leak ? level - leak : 0n) + next.micros
      since = next.at
    }
    return level
  }

  /** After how long a request would fit its rate: the first of all milliseconds in which it does. */
  retryMs(wanted: bigint): number | undefined {
    const fits = (ms: number) => this.level(this.time + ms) + wanted <= RATE.rate.burst
    if (wanted > RATE.rate.burst) return undefined
    let [not, does] = [0, 1]
    while (!fits(does)) [not, does] = [does, does * 2]
    while (does - not > 1) {
      const middle = Math.floor((not + does) / 2)
      if (fits(middle)) does = middle
      else not = middle
    }
    return does
  }

  /** Why a store refuses these charges, if it does. */
  refusal(charges: readonly Charge[]): Refusal | undefined {
    for (const [index, { meter }] of charges.entries()) {
      const same = (list: readonly Charge[]) =>
        list.filter((one) => one.meter.key === meter.key).reduce((sum, { micros }) => sum + micros, 0n)
      const wanted = same(charges.slice(0, index + 1))
      if (meter.rate) {
        if (this.level(this.time) + wanted <= meter.rate.burst) continue
        const retryMs = this.retryMs(same(charges))
        return { refused: 'rate-exceeded', meter: meter.key, ...(retryMs === undefined ? {} : { retryMs }) }
      }
      const limit = this.limitOf(meter)
      if (limit === undefined) return { refused: 'unavailable', meter: meter.key }
      const { used, held } = this.sum(meter.key, windowAt(meter, this.time))
      if (used + held + wanted > limit) return { refused: 'budget-exceeded', meter: meter.key }
    }
    return undefined
  }

  /** Remembers the limits that standing meters are charged with. */
  see(charges: readonly Charge[], of?: Held): void {
    for (const { meter } of charges) {
      const [part] = this.parts([{ meter, micros: 0n }], of)
      if (part && meter.limit !== undefined) this.limits.set(`${part.key}@${part.window}`, meter.limit)
    }
  }
}

/** The last things that calendars were asked, since everything is compared at the same moment again and again. */
const asked = new Map<string, string>()
const calendars = new Map<string, Intl.DateTimeFormat>()

/** What the calendar on a wall there shows, as far as the window goes. */
export function windowAt({ window, zone = 'UTC' }: MeterKey, at: number): string {
  const question = `${window} ${zone} ${at}`
  const known = asked.get(question)
  if (known !== undefined) return known
  if (asked.size > 1_000) asked.clear()
  const answer = shownAt(window, zone, at)
  asked.set(question, answer)
  return answer
}

function shownAt(window: MeterKey['window'], zone: string, at: number): string {
  if (window === 'total') return ''
  let calendar = calendars.get(zone)
  if (!calendar) {
    const fields = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric' } as const
    calendar = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      ...fields,
      hourCycle: 'h23',
      timeZoneName: 'shortOffset',
    })
    calendars.set(zone, calendar)
  }
  const shown = new Map<string, string>(calendar.formatToParts(at).map(({ type, value }) => [type, value]))
  const [year, month, day, hour, offset] = ['year', 'month', 'day', 'hour', 'timeZoneName'].map((part) =>
    shown.get(part),
  )
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day))
  if (window === 'month') return `${year} ${month}`
  if (window === 'week') return String(Math.floor((date - Date.UTC(1973, 0, 1)) / (7 * DAY)))
  return window === 'day' ? String(date) : `${date} ${hour} ${offset}`
}
