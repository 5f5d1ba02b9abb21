import {
  DAY,
  HOUR,
  type MeterKey,
  MINUTE,
  meter,
  type NewMeter,
  on,
  onStanding,
  type Scene,
  type StoreCase,
} from './scene.ts'

/** Moves on to a moment given as an ISO time, or to so many milliseconds before it. */
async function go(scene: Scene, to: string, before = 0): Promise<void> {
  await scene.clock.advance(Date.parse(to) - before - scene.clock.now())
}

/** Uses a meter up in the window that begins and ends at these moments; it is fresh before, and fresh again after. */
async function expectWindow(scene: Scene, window: NewMeter['window'], zone: string, from: string, until: string) {
  const own = meter(`s|${window}`, 10n, window, zone)
  const standing: MeterKey = { key: `t|${window}|${zone}`, window, zone, limit: 10n }
  const spend = async (call: string, micros: bigint) => {
    await scene.expectAdmitted(call, [on(own, micros), onStanding(standing, micros)])
    await scene.settle(call)
  }
  const expectUsed = async (used: bigint) => {
    await scene.expectMeter(own, used, 0n)
    await scene.expectStanding(standing, used)
  }
  await scene.session({ ttlMs: 900 * DAY, meters: [own] })
  await go(scene, from, 1)
  await spend('before', 10n)
  await scene.clock.advance(1)
  await expectUsed(0n)
  await spend('first', 4n)
  await go(scene, until, 1)
  await spend('last', 6n)
  await scene.expectRefused('more', [on(own, 1n)], 'budget-exceeded', own)
  await scene.expectRefused('more', [onStanding(standing, 1n)], 'budget-exceeded', standing)
  await scene.clock.advance(1)
  await expectUsed(0n)
  await spend('after', 10n)
}

export const ZONES: readonly StoreCase[] = [
  {
    title: 'a day in a zone begins at midnight there, and is one window when it has 23 hours',
    run: (scene) => expectWindow(scene, 'day', 'Europe/Berlin', '2026-03-28T23:00Z', '2026-03-29T22:00Z'),
  },
  {
    title: 'a day of 25 hours is one window',
    run: (scene) => expectWindow(scene, 'day', 'Europe/Berlin', '2026-10-24T22:00Z', '2026-10-25T23:00Z'),
  },
  {
    title: 'an hour that comes twice is a window each time',
    run: (scene) => expectWindow(scene, 'hour', 'America/New_York', '2026-11-01T06:00Z', '2026-11-01T07:00Z'),
  },
  {
    title: 'half an hour that comes twice is a window each time',
    run: (scene) => expectWindow(scene, 'hour', 'Australia/Lord_Howe', '2026-04-04T15:00Z', '2026-04-04T15:30Z'),
  },
  {
    title: 'an hour of a zone that is not a whole hour from UTC begins on its own hour',
    run: (scene) => expectWindow(scene, 'hour', 'Asia/Kathmandu', '2026-01-07T03:15Z', '2026-01-07T04:15Z'),
  },
  {
    title: 'a week in a zone begins on Monday there, also when clocks are changed in it',
    run: (scene) => expectWindow(scene, 'week', 'America/New_York', '2026-03-02T05:00Z', '2026-03-09T04:00Z'),
  },
  {
    title: 'a month in a zone begins on its first day there, also when clocks are changed in it',
    run: (scene) => expectWindow(scene, 'month', 'Europe/Berlin', '2026-02-28T23:00Z', '2026-03-31T22:00Z'),
  },
  {
    title: 'a month in a zone ahead of UTC begins in what is still the old month elsewhere',
    run: (scene) => expectWindow(scene, 'month', 'Pacific/Kiritimati', '2026-01-31T10:00Z', '2026-02-28T10:00Z'),
  },
  {
    title: 'one call may charge the days of several zones, and each begins anew at its own midnight',
    async run(scene) {
      const zones = ['UTC', 'Asia/Tokyo', 'America/Los_Angeles']
      const meters = zones.map((zone): MeterKey => ({ key: `t|day@${zone}`, window: 'day', zone, limit: 9n }))
      const [utc, tokyo, angeles] = meters as [MeterKey, MeterKey, MeterKey]
      await scene.session({ ttlMs: 9 * DAY })
      await go(scene, '2026-01-05T14:30Z')
      await scene.expectAdmitted(
        'c',
        meters.map((each) => onStanding(each, 5n)),
      )
      await scene.settle('c')
      await go(scene, '2026-01-05T15:00Z')
      for (const [each, used] of [
        [utc, 5n],
        [tokyo, 0n],
        [angeles, 5n],
      ] as const)
        await scene.expectStanding(each, used)
      await go(scene, '2026-01-06T00:00Z')
      for (const [each, used] of [
        [utc, 0n],
        [tokyo, 0n],
        [angeles, 5n],
      ] as const)
        await scene.expectStanding(each, used)
      await scene.expectRefused(
        'd',
        meters.map((each) => onStanding(each, 5n)),
        'budget-exceeded',
        angeles,
      )
      await go(scene, '2026-01-06T08:00Z')
      await scene.expectStanding(angeles, 0n)
    },
  },
  {
    title: 'a wall clock set back does not bring the day before back in a zone either',
    async run(scene) {
      const daily: MeterKey = { key: 't|day', window: 'day', zone: 'Europe/Berlin', limit: 5n }
      await scene.session({ ttlMs: 9 * DAY })
      await go(scene, '2026-01-05T23:00Z')
      await scene.expectAdmitted('c', [onStanding(daily, 5n)])
      for (const back of [MINUTE, 2 * HOUR, 3 * DAY]) {
        scene.clock.setWall(Date.parse('2026-01-05T23:00Z') - back)
        await scene.expectStanding(daily, 0n, 5n)
        await scene.expectRefused('d', [onStanding(daily, 1n)], 'budget-exceeded', daily)
      }
    },
  },
]
