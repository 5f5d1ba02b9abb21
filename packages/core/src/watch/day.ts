/** Which day a moment falls on, by the calendar of a zone. */
import { invalid } from './filter.ts'

/** Answers the day of a time as entries have it: `2026-01-31`. Throws `ConfigError` for a zone nobody knows. */
export function dayIn(zone = 'UTC'): (at: string) => string {
  if (zone === 'UTC') return (at) => at.slice(0, 10)
  // An offset is no zone: it says nothing of summer time.
  if (typeof zone !== 'string' || !/^[A-Za-z]/.test(zone)) throw unknown()
  let format: Intl.DateTimeFormat
  try {
    const parts = { year: 'numeric', month: '2-digit', day: '2-digit' } as const
    format = new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', { timeZone: zone, ...parts })
  } catch {
    throw unknown()
  }
  // Entries come by their time, many in one minute; asking the zone costs more than all the rest.
  let minute = ''
  let day = ''
  return (at) => {
    if (at.slice(0, 16) === minute) return day
    const date = new Date(at)
    // A month 13, in an entry that was tampered with.
    if (Number.isNaN(date.getTime())) return at.slice(0, 10)
    minute = at.slice(0, 16)
    const parts = Object.fromEntries(format.formatToParts(date).map(({ type, value }) => [type, value]))
    day = `${String(parts.year).padStart(4, '0')}-${parts.month}-${parts.day}`
    return day
  }
}

function unknown() {
  return invalid('zone', 'is an IANA zone such as `Europe/Berlin`')
}
