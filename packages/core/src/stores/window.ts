/** Calendar windows. A meter with a window counts in one row per window; the next window is a new row. */
import { ConfigError, Unavailable } from '../errors.ts'
import type { MeterKey } from './store.ts'

/** How long a meter counts before it starts again. `total` never does; a week begins on Monday. */
export type Window = 'total' | 'hour' | 'day' | 'week' | 'month'

export const WINDOWS: readonly Window[] = ['total', 'hour', 'day', 'week', 'month']

export function isWindow(value: unknown): value is Window {
  return WINDOWS.includes(value as Window)
}

/** Whether this names a time zone of the IANA database, as `Europe/Berlin` does. An offset such as `+02:00` does not. */
export function isZone(text: unknown): text is string {
  if (typeof text !== 'string' || !/^[A-Za-z]/.test(text)) return false
  try {
    offsets(text)
    return true
  } catch {
    return false
  }
}

/** The row that a meter counts in at a moment of the store's clock. A window is named without `|`, so no two are one. */
export function rowOf(meter: MeterKey, now: number): string {
  return `${windowOf(meter, now)}|${meter.key}`
}

/** The key of the meter that a row belongs to. */
export function meterOf(row: string): string {
  return row.slice(row.indexOf('|') + 1)
}

/** Names the window that a moment falls into, by the calendar of the meter's zone: `2026-11-03@Europe/Berlin`. */
export function windowOf({ window, zone }: Pick<MeterKey, 'window' | 'zone'>, now: number): string {
  if (window === 'total') return ''
  const calendar = zone === undefined || zone === 'UTC' ? UTC : calendarOf(zone)
  const minute = Math.floor(now / MINUTE_MS)
  if (calendar.minute !== minute) {
    calendar.minute = minute
    calendar.names = {}
  }
  calendar.names[window] ??= name(window, now, calendar)
  return calendar.names[window]
}

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/**
 * The calendar of one zone, and the names of its windows in the minute that was asked for last: a busy meter asks
 * again and again in the same minute, and asking the zone costs more than all the rest. No zone has had a window that
 * begins within a minute since 1972.
 */
interface Calendar {
  /** Local time less UTC at a moment, in milliseconds. */
  readonly offset: (now: number) => number
  /** What marks its names as its own. Absent: UTC. */
  readonly zone?: string
  minute: number
  names: Partial<Record<Window, string>>
}

const UTC: Calendar = { offset: () => 0, minute: Number.NaN, names: {} }
const calendars = new Map<string, Calendar>()

function calendarOf(zone: string): Calendar {
  let calendar = calendars.get(zone)
  if (!calendar) {
    if (!isZone(zone)) throw new ConfigError('invalid-option', 'zone', '`zone` is an IANA zone such as `Europe/Berlin`')
    calendar = { offset: offsets(zone), zone, minute: Number.NaN, names: {} }
    calendars.set(zone, calendar)
  }
  return calendar
}

function name(window: Exclude<Window, 'total'>, now: number, { offset, zone }: Calendar): string {
  const ahead = offset(now)
  const local = new Date(now + ahead)
  const text = window === 'week' ? week(local) : local.toISOString().slice(0, PRECISION[window])
  if (zone === undefined) return text
  // When the clock is put back, an hour comes twice by its name: the offset tells the two apart.
  return `${text}${window === 'hour' ? signed(ahead) : ''}@${zone}`
}

// How much of an ISO timestamp names the window: 2026-11-23T04, 2026-11-23, 2026-11.
const PRECISION = { hour: 13, day: 10, month: 7 } as const

/** The week of a date as ISO 8601 counts them: `2026-W53`. A week belongs to the year that its Thursday is in. */
function week(date: Date): string {
  const day = Math.floor(date.getTime() / DAY_MS)
  // The first day of 1970 was a Thursday, three days after a Monday.
  const weekday = (((day + 3) % 7) + 7) % 7
  const thursday = day - weekday + 3
  const year = new Date(thursday * DAY_MS).getUTCFullYear()
  const number = 1 + Math.floor((thursday - Date.UTC(year, 0, 1) / DAY_MS) / 7)
  return `${year}-W${String(number).padStart(2, '0')}`
}

/** Reads a zone's offset from the platform. Throws when it does not know the zone. */
function offsets(zone: string): (now: number) => number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
  return (now) => {
    const found = OFFSET.exec(format.format(now))
    if (!found) throw new Unavailable('the platform did not tell the offset of a zone')
    const [, sign, hours = 0, minutes = 0, seconds = 0] = found
    const size = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000
    return sign === '-' ? -size : size
  }
}

// `GMT`, `GMT+05:45`, and in old times `GMT-00:44:30`.
const OFFSET = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/

function signed(ms: number): string {
  const time = new Date(Math.abs(ms)).toISOString().slice(11, 16)
  return `${ms < 0 ? '-' : '+'}${time}`
}
