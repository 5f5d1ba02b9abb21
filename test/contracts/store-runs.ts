/** Random runs of the verbs of a store. */
import fc from 'fast-check'
import {
  advance,
  cancel,
  crash,
  create,
  expire,
  extend,
  ownMeter,
  renew,
  revoke,
  settle,
  setWall,
  take,
} from './store-commands.ts'
import type { Runs } from './store-following.ts'
import { type Cap, DAY, HOUR, type MeterKey, RATE, SESSIONS, STANDING } from './store-reference.ts'

const CALLS = ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7']

const anyCall = fc.constantFrom(...CALLS)
const anySession = fc.constantFrom(...Object.keys(SESSIONS))
const anyMs = fc.constantFrom(1, 999, 60_000, HOUR, 3 * HOUR)
const micros = fc.bigInt({ min: 0n, max: 16n })
const anyLimit = fc.constantFrom(undefined, undefined, 5n, 100n)
const anyStanding = fc
  .tuple(fc.constantFrom(...STANDING), anyLimit)
  .map(([meter, limit]): MeterKey => (limit === undefined ? meter : { ...meter, limit }))
const real = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(anySession, fc.nat({ max: 2 })).map(([session, place]) => ownMeter(session, place)),
  },
  { weight: 4, arbitrary: anyStanding },
  { weight: 2, arbitrary: fc.constant<MeterKey>(RATE) },
)
const ghostly = fc.oneof({ weight: 30, arbitrary: real }, fc.constant<MeterKey>({ key: 'nobody|0', window: 'total' }))
const chargesOn = (meter: fc.Arbitrary<MeterKey>) => fc.array(fc.record({ meter, micros }), { maxLength: 5 })
const more = fc.record({ once: fc.constantFrom('k0', 'k1'), memo: fc.constantFrom('m0', 'm1') }, { requiredKeys: [] })
const anyCap = fc.record<Cap>({
  count: fc.constantFrom('sessions', 'agents'),
  per: fc.constantFrom('tenant', 'agent'),
  limit: fc.nat({ max: 3 }),
})
const both = fc.constantFrom('admit' as const, 'admit' as const, 'reserve' as const)

export const storeRuns: Runs = fc.commands(
  [
    fc.tuple(anySession, fc.constantFrom(2 * HOUR, 30 * HOUR), fc.array(anyCap, { maxLength: 2 })).map(create),
    fc.tuple(both, anyCall, anySession, chargesOn(ghostly), anyMs, more).map(take),
    fc.tuple(both, anyCall, fc.constant('s0'), chargesOn(real), anyMs, more).map(take),
    fc.tuple(fc.constant('admit' as const), anyCall, fc.constant('s3'), chargesOn(real), anyMs, more).map(take),
    fc.tuple(anyCall, fc.option(chargesOn(real), { nil: undefined })).map(settle),
    fc.tuple(anyCall, fc.constant(undefined)).map(settle),
    fc.tuple(anyCall).map(cancel),
    fc.tuple(fc.subarray(CALLS), anyMs).map(renew),
    fc.tuple(fc.integer({ min: 1, max: 3 })).map(expire),
    fc.tuple(fc.constantFrom(1, 999, 5_000, 60_000, HOUR, 3 * HOUR, 20 * HOUR)).map(advance),
    fc.tuple(fc.constantFrom(-30 * HOUR, -2 * HOUR, -1, 60_000, HOUR)).map(setWall),
    fc.tuple(fc.constantFrom('s0', 's1')).map(revoke),
    fc.tuple(anySession, fc.constantFrom(HOUR, 20 * HOUR, 3 * DAY)).map(extend),
    fc.constant<[]>([]).map(crash),
  ],
  { size: '+1' },
)
