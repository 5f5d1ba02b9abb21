import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calendarOf, zoneProblem } from './zone.ts'

const at = (zone: string | undefined, iso: string) => calendarOf(zone)(Date.parse(iso))

describe('a moment', () => {
  test('is read in UTC unless a zone is given', () => {
    expect(at(undefined, '2026-11-23T07:43:59.999Z')).toEqual({
      hour: 7,
      minute: 43,
      weekday: 'mon',
      day: 23,
      month: 11,
      year: 2026,
      date: '2026-11-23',
      clock: '07:43',
    })
  })

  test.each([
    // Winter to summer: 02:00 becomes 03:00.
    ['Europe/Berlin', '2026-03-29T00:59:59Z', '2026-03-29', '01:59', 'sun'],
    ['Europe/Berlin', '2026-03-29T01:00:00Z', '2026-03-29', '03:00', 'sun'],
    // Summer to winter: the hour from 02:00 comes twice.
    ['Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25', '02:30', 'sun'],
    ['Europe/Berlin', '2026-10-25T01:30:00Z', '2026-10-25', '02:30', 'sun'],
    ['Europe/Berlin', '2026-10-25T02:30:00Z', '2026-10-25', '03:30', 'sun'],
    ['America/New_York', '2026-03-08T06:59:00Z', '2026-03-08', '01:59', 'sun'],
    ['America/New_York', '2026-03-08T07:00:00Z', '2026-03-08', '03:00', 'sun'],
    // Half an hour of daylight saving, and a quarter of an hour of offset.
    ['Australia/Lord_Howe', '2026-10-03T15:29:00Z', '2026-10-04', '01:59', 'sun'],
    ['Australia/Lord_Howe', '2026-10-03T15:30:00Z', '2026-10-04', '02:30', 'sun'],
    ['Asia/Kathmandu', '2026-01-01T00:00:00Z', '2026-01-01', '05:45', 'thu'],
    // Another day, month and year than in UTC.
    ['Pacific/Auckland', '2026-12-31T12:00:00Z', '2027-01-01', '01:00', 'fri'],
    ['America/Los_Angeles', '2028-03-01T07:00:00Z', '2028-02-29', '23:00', 'tue'],
    // Midnight is 00:00, not 24:00.
    ['Europe/Berlin', '2026-06-30T22:00:00Z', '2026-07-01', '00:00', 'wed'],
    // A whole day that never was: Samoa went from the 29th to the 31st.
    ['Pacific/Apia', '2011-12-30T09:59:00Z', '2011-12-29', '23:59', 'thu'],
    ['Pacific/Apia', '2011-12-30T10:00:00Z', '2011-12-31', '00:00', 'sat'],
  ])('in %s at %s', (zone, iso, date, clock, weekday) => {
    expect(at(zone, iso)).toMatchObject({ date, clock, weekday, hour: Number(clock.slice(0, 2)) })
  })

  test('is read alike with and without the short way for UTC', () => {
    const [short, long] = [calendarOf('UTC'), calendarOf('Africa/Abidjan')]
    fc.assert(
      // Abidjan has kept the time of Greenwich since 1912.
      fc.property(fc.integer({ min: 0, max: 253_402_214_400_000 }), (now) => {
        expect(long(now)).toEqual(short(now))
      }),
    )
  })

  test('is nothing when no clock answers so', () => {
    const calendar = calendarOf('Europe/Berlin')
    for (const now of [Number.NaN, Number.POSITIVE_INFINITY, 8.64e15, -8.64e15]) expect(calendar(now)).toBeUndefined()
    expect(calendar(0)).toMatchObject({ date: '1970-01-01', clock: '01:00' })
    expect(calendar(Number.NaN)).toBeUndefined()
  })

  test('is remembered for a second and no longer', () => {
    const calendar = calendarOf('Europe/Berlin')
    const first = calendar(59_000)
    expect(calendar(59_999)).toBe(first)
    expect(calendar(60_000)).toMatchObject({ minute: 1 })
    expect(calendar(59_500)).toMatchObject({ minute: 0 })
  })
})

describe('a zone', () => {
  test.each(['UTC', 'Etc/UTC', 'Europe/Berlin', 'US/Pacific', 'Asia/Kolkata'])('%s is known', (zone) => {
    expect(zoneProblem(zone)).toBeUndefined()
  })

  test.each([
    ['Europe/Berln', 'did you mean `Europe/Berlin`?'],
    ['Mars/Olympus', 'is not an IANA zone'],
    ['+02:00', 'is not an IANA zone'],
    ['', 'is not an IANA zone'],
    ['Europe/Berlin\n', 'is not an IANA zone'],
  ])('%j is not', (zone, because) => {
    expect(zoneProblem(zone)).toContain(because)
  })
})
