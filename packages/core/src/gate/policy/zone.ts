/** What `time.*` is at a moment, in one zone. */
import { nearest } from '../../options.ts'

export interface TimeFacts {
  readonly hour: number
  readonly minute: number
  readonly weekday: string
  readonly day: number
  readonly month: number
  readonly year: number
  readonly date: string
  readonly clock: string
}

/** `undefined`: the moment is none that a calendar of four-digit years has. */
export type Calendar = (now: number) => TimeFacts | undefined

const SUNDAY_FIRST = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
// A day inside the years 1 to 9999, so that no zone is outside of them.
const FIRST = -62_135_510_400_000
const LAST = 253_402_214_400_000

/** What is wrong with the name of a zone, as the end of a sentence that begins with where it stands. */
export function zoneProblem(zone: string): string | undefined {
  try {
    // An offset such as `+02:00` is a zone to some engines, and would not know of daylight saving.
    if (/^[A-Za-z]/.test(zone) && new Intl.DateTimeFormat('en-US', { timeZone: zone })) return undefined
  } catch {
    // A RangeError: there is no such zone.
  }
  const near = nearest(zone, Intl.supportedValuesOf('timeZone'))
  return `is not an IANA zone such as \`Europe/Berlin\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`
}

/** Reads moments in a zone. The latest second is remembered: the rules of one call, and of many, ask for the same. */
export function calendarOf(zone = 'UTC'): Calendar {
  const read = isUtc(zone) ? utc : zoned(zone)
  let second = Number.NaN
  let facts: TimeFacts | undefined
  return (now) => {
    const asked = Math.floor(now / 1_000)
    if (asked === second) return facts
    facts = now >= FIRST && now <= LAST ? read(now) : undefined
    second = asked
    return facts
  }
}

function isUtc(zone: string): boolean {
  return new Intl.DateTimeFormat('en-US', { timeZone: zone }).resolvedOptions().timeZone === 'UTC'
}

function utc(now: number): TimeFacts {
  const date = new Date(now)
  return factsOf(
    date.getUTCFullYear(),
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    SUNDAY_FIRST[date.getUTCDay()] as string,
  )
}

function zoned(zone: string): (now: number) => TimeFacts {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    weekday: 'short',
  })
  return (now) => {
    const parts: Record<string, string> = {}
    for (const { type, value } of format.formatToParts(now)) parts[type] = value
    const { year, month, day, hour, minute, weekday = '' } = parts
    return factsOf(Number(year), Number(month), Number(day), Number(hour), Number(minute), weekday.toLowerCase())
  }
}

function factsOf(year: number, month: number, day: number, hour: number, minute: number, weekday: string): TimeFacts {
  const date = `${padded(year, 4)}-${padded(month, 2)}-${padded(day, 2)}`
  return { hour, minute, weekday, day, month, year, date, clock: `${padded(hour, 2)}:${padded(minute, 2)}` }
}

function padded(number: number, width: number): string {
  return String(number).padStart(width, '0')
}
