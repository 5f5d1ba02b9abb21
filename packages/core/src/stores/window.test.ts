import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../errors.ts'
import { isWindow, isZone, meterOf, rowOf, type Window, windowOf } from './window.ts'

const MINUTE = 60_000
const DAY = 1_440 * MINUTE
const CUT = ['hour', 'day', 'week', 'month'] as const

function nameOf(window: Window, zone: string | undefined, at: number): string {
  return windowOf(zone === undefined ? { window } : { window, zone }, at)
}

/** The window of a moment by what a calendar on the wall shows, worked out another way: part by part. */
function shown(window: Window, format: Intl.DateTimeFormat, at: number): string {
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]))
  const [year, month, day, hour] = (['year', 'month', 'day', 'hour'] as const).map((type) => Number(parts.get(type)))
  const date = Date.UTC(year as number, (month as number) - 1, day)
  if (window === 'month') return `${year}/${month}`
  if (window === 'day') return `${year}/${month}/${day}`
  // Whole weeks since a Monday.
  if (window === 'week') return String(Math.floor((date - Date.UTC(1973, 0, 1)) / (7 * DAY)))
  return `${year}/${month}/${day} ${hour} ${parts.get('timeZoneName')}`
}

function wall(zone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    hourCycle: 'h23',
    timeZoneName: 'shortOffset',
  })
}

/** The windows of a stretch of time, each with how many minutes it lasts there. */
function windowsBetween(window: Window, zone: string, from: number, until: number): [string, number][] {
  const found: [string, number][] = []
  for (let at = from; at < until; at += MINUTE) {
    const name = nameOf(window, zone, at)
    const last = found.at(-1)
    if (last?.[0] === name) last[1]++
    else found.push([name, 1])
  }
  return found
}

describe('the row a meter counts in', () => {
  const moment = Date.UTC(2026, 10, 3, 4, 5, 6)
  const row = (window: Window, zone?: string) => rowOf({ key: 'm', window, ...(zone ? { zone } : {}) }, moment)

  it('is one for each hour, day, week and month of UTC, and one for a total', () => {
    expect((['total', ...CUT] as const).map((window) => row(window))).toEqual([
      '|m',
      '2026-11-03T04|m',
      '2026-11-03|m',
      '2026-W45|m',
      '2026-11|m',
    ])
    expect(row('day', 'UTC')).toBe(row('day'))
  })

  it('names the zone whose calendar cuts it', () => {
    expect(CUT.map((window) => row(window, 'America/New_York'))).toEqual([
      '2026-11-02T23-05:00@America/New_York|m',
      '2026-11-02@America/New_York|m',
      '2026-W45@America/New_York|m',
      '2026-11@America/New_York|m',
    ])
    expect(row('hour', 'Asia/Kathmandu')).toBe('2026-11-03T09+05:45@Asia/Kathmandu|m')
  })

  it('is never that of another meter, whatever the keys are', () => {
    const key = fc.string({ unit: fc.constantFrom('|', 'm', '2', '2026-11', '2026-11-03') })
    const meter = fc.record({ key, window: fc.constantFrom<Window>('total', ...CUT) })
    fc.assert(
      fc.property(meter, meter, (one, other) => {
        const same = one.key === other.key && one.window === other.window
        expect(rowOf(one, moment) === rowOf(other, moment)).toBe(same)
        expect(meterOf(rowOf(one, moment))).toBe(one.key)
      }),
    )
  })

  it('of a week is the one that ISO 8601 counts', () => {
    for (const [date, week] of [
      ['2021-01-03', '2020-W53'],
      ['2021-01-04', '2021-W01'],
      ['2024-12-29', '2024-W52'],
      ['2024-12-30', '2025-W01'],
      ['2026-12-31', '2026-W53'],
      ['2027-01-03', '2026-W53'],
      ['2027-01-04', '2027-W01'],
      ['1969-12-28', '1969-W52'],
      ['1969-12-29', '1970-W01'],
    ] as const) {
      expect(nameOf('week', undefined, Date.parse(date)), date).toBe(week)
      expect(nameOf('week', undefined, Date.parse(date) + DAY - 1), date).toBe(week)
    }
  })

  it('of a zone nobody knows is refused, without repeating what was given', () => {
    expect(() => nameOf('day', 'Mars/Olympus', moment)).toThrow(ConfigError)
    expect(() => nameOf('day', 'Mars/Olympus', moment)).not.toThrow(/Olympus/)
  })
})

describe('where clocks are changed', () => {
  it('a day of 23 or 25 hours is one window', () => {
    const berlin = (from: string) =>
      windowsBetween('day', 'Europe/Berlin', Date.parse(from), Date.parse(from) + 3 * DAY)
    expect(berlin('2026-03-27T23:00Z').slice(0, 2)).toEqual([
      ['2026-03-28@Europe/Berlin', 1_440],
      ['2026-03-29@Europe/Berlin', 1_380],
    ])
    expect(berlin('2026-10-23T22:00Z').slice(0, 2)).toEqual([
      ['2026-10-24@Europe/Berlin', 1_440],
      ['2026-10-25@Europe/Berlin', 1_500],
    ])
  })

  it('an hour that comes twice is two windows, and one that is left out is none', () => {
    const hours = (from: string) =>
      windowsBetween('hour', 'America/New_York', Date.parse(from), Date.parse(from) + 4 * 60 * MINUTE)
    expect(hours('2026-11-01T04:00Z').map(([name]) => name.slice(11, 19))).toEqual([
      '00-04:00',
      '01-04:00',
      '01-05:00',
      '02-05:00',
    ])
    expect(hours('2026-03-08T05:00Z').map(([name]) => name.slice(11, 19))).toEqual([
      '00-05:00',
      '01-05:00',
      '03-04:00',
      '04-04:00',
    ])
  })

  it('by half an hour, the half that comes twice is a window of its own', () => {
    const zone = 'Australia/Lord_Howe'
    const from = Date.parse('2026-04-04T13:00Z')
    const found = windowsBetween('hour', zone, from, from + 4 * 60 * MINUTE)
    expect(found.map(([name, minutes]) => [name.slice(11, 19), minutes])).toEqual([
      ['00+11:00', 60],
      ['01+11:00', 60],
      ['01+10:30', 30],
      ['02+10:30', 60],
      ['03+10:30', 30],
    ])
  })

  it('a date that a country left out is no window', () => {
    const from = Date.parse('2011-12-29T10:00Z')
    expect(windowsBetween('day', 'Pacific/Apia', from, from + 2 * DAY).map(([name]) => name.slice(0, 10))).toEqual([
      '2011-12-29',
      '2011-12-31',
    ])
  })

  it('a month is an hour shorter or longer', () => {
    const month = (from: string) =>
      windowsBetween('month', 'Europe/Berlin', Date.parse(from), Date.parse(from) + 32 * DAY)[0]
    expect(month('2026-02-28T23:00Z')).toEqual(['2026-03@Europe/Berlin', 31 * 1_440 - 60])
    expect(month('2026-09-30T22:00Z')).toEqual(['2026-10@Europe/Berlin', 31 * 1_440 + 60])
  })

  // Where the rules are odd: shifts of half an hour or two hours, odd offsets, midnight itself, a date left out.
  const ODD: readonly (readonly [zone: string, changes: readonly string[]])[] = [
    ['Europe/Berlin', ['2026-03-29T01:00Z', '2026-10-25T01:00Z']],
    ['America/New_York', ['2026-03-08T07:00Z', '2026-11-01T06:00Z']],
    ['Australia/Lord_Howe', ['2026-04-04T15:00Z', '2026-10-03T15:30Z']],
    ['Asia/Kathmandu', ['1985-12-31T18:30Z', '2026-01-31T18:15Z']],
    ['Pacific/Apia', ['2011-12-30T10:00Z', '2012-03-31T14:00Z']],
    ['Pacific/Chatham', ['2026-04-04T14:00Z', '2026-09-26T14:00Z']],
    ['Antarctica/Troll', ['2026-03-29T01:00Z', '2026-10-25T01:00Z']],
    ['America/Santiago', ['2026-04-05T03:00Z', '2026-09-06T04:00Z']],
    ['America/Nuuk', ['2026-03-29T01:00Z', '2026-10-25T01:00Z']],
    ['Asia/Pyongyang', ['2015-08-14T15:00Z', '2018-05-04T15:00Z']],
    ['America/St_Johns', ['2011-03-13T03:31Z', '2011-11-06T02:31Z']],
  ]

  it.each(ODD)('%s: a window lasts exactly as long as the wall calendar shows the same', (zone, changes) => {
    const format = wall(zone)
    for (const change of changes) {
      const from = Date.parse(change) - 6 * 60 * MINUTE
      for (const window of CUT) {
        let before: [string, string] | undefined
        for (let at = from; at < from + 12 * 60 * MINUTE; at += MINUTE) {
          const now: [string, string] = [nameOf(window, zone, at), shown(window, format, at)]
          if (before) expect([window, at, now[0] === before[0]]).toEqual([window, at, now[1] === before[1]])
          before = now
        }
      }
    }
  })

  it('any two moments are in the same window exactly when the wall calendar shows the same', () => {
    const formats = new Map(ODD.map(([zone]) => [zone, wall(zone)]))
    const moments = fc.integer({ min: Date.UTC(1973, 0), max: Date.UTC(2037, 0) })
    const apart = fc.oneof(fc.integer({ min: 0, max: 3 * 60 * MINUTE }), fc.integer({ min: 0, max: 40 * DAY }))
    fc.assert(
      fc.property(
        moments,
        apart,
        fc.constantFrom(...formats.keys()),
        fc.constantFrom(...CUT),
        (one, gap, zone, window) => {
          const format = formats.get(zone) as Intl.DateTimeFormat
          const same = shown(window, format, one) === shown(window, format, one + gap)
          expect(nameOf(window, zone, one) === nameOf(window, zone, one + gap)).toBe(same)
        },
      ),
      { numRuns: 3_000 },
    )
  })
})

describe('what is a window, and what a zone', () => {
  it('knows its windows', () => {
    expect((['total', ...CUT] as const).every(isWindow)).toBe(true)
    expect(['year', '', undefined, 'toString'].some(isWindow)).toBe(false)
  })

  it('knows zones by name, and nothing that is none', () => {
    expect(['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'America/Argentina/Ushuaia', 'Etc/GMT+5'].every(isZone)).toBe(
      true,
    )
    const none = ['', '+02:00', '-05:00', ' UTC', 'Europe/Berlyn', 'Europe|Berlin', 7, null, undefined, {}, ['UTC']]
    expect(none.filter(isZone)).toEqual([])
  })
})
