/** Random runs of the verbs of approvals, among those of the sessions and holds that they are for. */
import fc from 'fast-check'
import { change, due, expireApprovals, find, later, request, shown, use } from './approval-commands.ts'
import type { Change, Consent, NewApproval, Query } from './approval-reference.ts'
import {
  advance,
  cancel,
  crash,
  create,
  expire,
  extend,
  ownMeter,
  revoke,
  settle,
  setWall,
  take,
} from './store-commands.ts'
import type { Runs } from './store-following.ts'
import { DAY, HOUR, MINUTE } from './store-reference.ts'

const anyId = fc.constantFrom('p0', 'p1', 'p2', 'p3')
const anyCall = fc.constantFrom('c0', 'c1', 'c2', 'c3', 'c4')
const anySession = fc.constantFrom('s0', 's0', 's3', 's1')
const anyTool = fc.constantFrom('t0', 't0', 't1')
const anyRef = fc.constantFrom('r0', 'r1')
const anyBinding = fc.constantFrom('b0', 'b0', 'b1')
const anyMs = fc.constantFrom(1, 999, MINUTE, 10 * MINUTE, HOUR)
const channel = fc.constantFrom('slack', 'web')
const channels = fc.array(channel, { maxLength: 3 })
const data = fc.record({ votes: fc.array(fc.nat({ max: 3 }), { maxLength: 2 }) })
const behind = fc.constantFrom(0, 0, 0, 0, 1, -1)

const approval = fc
  .record(
    {
      id: anyId,
      tenant: fc.constantFrom('t', 't', 'u'),
      session: anySession,
      agent: fc.constantFrom('a', 'a', 'b'),
      tool: anyTool,
      ref: anyRef,
      binding: anyBinding,
      grant: fc.constant({ binding: 'g' }),
      data,
      ttlMs: fc.constantFrom(1, MINUTE, 10 * MINUTE, 3 * HOUR, 9 * DAY),
    },
    { requiredKeys: ['id', 'tenant', 'session', 'agent', 'tool', 'binding', 'data', 'ttlMs'] },
  )
  .map((one): NewApproval => one)
const limits = fc.record({ session: fc.constantFrom(1, 2, 9, 9), agent: fc.constantFrom(1, 3, 9, 9) })
const state = fc.constantFrom(
  'approved' as const,
  'approved' as const,
  'denied' as const,
  'expired' as const,
  'withdrawn' as const,
)
const anyChange: fc.Arbitrary<Change> = fc.record(
  { state, binding: anyBinding, grantMs: anyMs, data },
  { requiredKeys: [] },
)
const approves = fc.constant<Change>({ state: 'approved', grantMs: 10 * MINUTE })
const changes = (of: fc.Arbitrary<Change>) =>
  fc.array(fc.record({ behind, change: of }), { minLength: 1, maxLength: 2 })
const query: fc.Arbitrary<Query> = fc.oneof(
  fc.record({ session: anySession, tool: anyTool, ref: anyRef }),
  fc.record({ session: anySession, binding: anyBinding }),
  fc.record({ session: anySession, grant: fc.constant('g') }),
)
const consent: fc.Arbitrary<Consent> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ id: anyId, binding: anyBinding }) },
  {
    weight: 1,
    arbitrary: fc.record({ id: anyId, binding: fc.constantFrom('g', 'g', 'b0'), grant: fc.constant(true as const) }),
  },
)
const charges = fc.oneof(
  fc.constant([]),
  fc.constantFrom(1n, 5n, 50n).map((micros) => [{ meter: ownMeter('s0', 0), micros }]),
)
const more = fc.record({ once: fc.constant('k'), consent }, { requiredKeys: ['consent'] })
const both = fc.constantFrom('admit' as const, 'admit' as const, 'admit' as const, 'reserve' as const)
const takes = fc.tuple(both, anyCall, anySession, charges, anyMs, more)

export const approvalRuns: Runs = fc.commands(
  [
    fc.tuple(approval, limits, channels).map(request),
    fc.tuple(approval, limits, channels).map(request),
    fc.tuple(anyId, changes(anyChange)).map(change),
    fc.tuple(anyId, changes(approves)).map(change),
    takes.map(take),
    takes.map(take),
    fc.tuple(anyId, anyCall).map(use),
    fc.tuple(fc.integer({ min: 1, max: 3 })).map(expireApprovals),
    fc.tuple(query).map(find),
    fc.tuple(channels, fc.nat({ max: 4 }), anyMs).map(due),
    fc.tuple(anyId, channel, behind, fc.constantFrom<unknown[]>(undefined, null, { ts: [1] })).map(shown),
    fc.tuple(anyId, channel, anyMs).map(later),
    fc.tuple(fc.constant('s1'), fc.constant(2 * HOUR), fc.constant([])).map(create),
    fc.tuple(anySession, fc.constantFrom(HOUR, 20 * HOUR)).map(extend),
    fc.tuple(fc.constantFrom('s0', 's1')).map(revoke),
    fc.tuple(anyCall, fc.constant(undefined)).map(settle),
    fc.tuple(anyCall).map(cancel),
    fc.tuple(fc.constant(9)).map(expire),
    fc.tuple(fc.constantFrom(1, 1, 998, 998, MINUTE, MINUTE, 9 * MINUTE, 3 * HOUR, 31 * DAY)).map(advance),
    fc.tuple(fc.constantFrom(-30 * HOUR, -1, MINUTE)).map(setWall),
    fc.constant<[]>([]).map(crash),
  ],
  { size: '+1' },
)
