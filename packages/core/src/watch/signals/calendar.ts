/** Hours of the week, in a zone, and the hours that somebody has written down. */
import { ConfigError } from '../../errors.ts'

const QUARTER_MS = 900_000
const NAMES = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']

/** Minutes since Monday 00:00 on the clocks of a zone. No zone differs from UTC by less than whole quarters of an hour. */
export function weekMinutes(zone: string, path: string): (at: number) => number {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
  } catch {
    throw new ConfigError('invalid-option', path, `\`${path}\` is a zone such as \`Europe/Berlin\``)
  }
  let quarter = Number.NaN
  let minutes = 0
  // Formatting is slow, and most calls share a quarter of an hour.
  return (at) => {
    const now = Math.floor(at / QUARTER_MS)
    if (now !== quarter) {
      const parts = Object.fromEntries(format.formatToParts(now * QUARTER_MS).map(({ type, value }) => [type, value]))
      const day = NAMES.indexOf((parts.weekday as string).toLowerCase())
      minutes = day * 1_440 + Number(parts.hour) * 60 + Number(parts.minute)
      quarter = now
    }
    return minutes + Math.floor((at - now * QUARTER_MS) / 60_000)
  }
}

const WEEK = 7 * 1_440
const DAYS = /^([a-z]{3})(?:-([a-z]{3}))?$/
const TIMES = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)$/

/**
 * Reads `{ 'mon-fri': '07:00-19:00', sat: '10:00-14:00' }`: whether a minute of the week is one of these. Hours that end
 * before they begin go on past midnight. Throws `ConfigError` that names `path`.
 */
export function parseHours(hours: Readonly<Record<string, string>>, path: string): (minute: number) => boolean {
  const open = new Uint8Array(WEEK)
  for (const [days, times] of Object.entries(hours)) {
    const [, first = '', last = first] = DAYS.exec(days) ?? []
    const [from, to] = [NAMES.indexOf(first), NAMES.indexOf(last)]
    const [, h1, m1, h2, m2] = (typeof times === 'string' && TIMES.exec(times)) || []
    if (from < 0 || to < 0 || h1 === undefined) {
      const shape = "holds days and times, such as `{ 'mon-fri': '07:00-19:00' }`"
      throw new ConfigError('invalid-option', path, `\`${path}\` ${shape}`)
    }
    const begin = Number(h1) * 60 + Number(m1)
    const end = Number(h2) * 60 + Number(m2)
    const length = end > begin ? end - begin : end + 1_440 - begin
    for (let day = from; ; day = (day + 1) % 7) {
      for (let minute = 0; minute < length; minute++) open[(day * 1_440 + begin + minute) % WEEK] = 1
      if (day === to) break
    }
  }
  return (minute) => open[minute] === 1
}
