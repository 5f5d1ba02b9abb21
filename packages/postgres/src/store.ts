/**
 * One budget, one revoke and one-use approvals for every process on a PostgreSQL database. Each verb is one statement: a
 * call of a function that the migrations have made, so the database does it as a whole or not at all.
 */
import { type Clock, type Store, systemClock } from '@haldir/core'
import { check, checkKeys, type HoldState } from '@haldir/core/store'
import { postgresApprovals } from './approvals.ts'
import { hear, type PostgresClient } from './client.ts'
import { Lane } from './lane.ts'
import { admissionFrom, settlementFrom, settleOf, slotsOf, stateFrom, takeOf } from './meters.ts'
import { type SchemaOptions, schemaOf } from './migrations.ts'
import { postgresSecrets, postgresWriters } from './secrets.ts'
import { postgresSessions } from './sessions.ts'
import { type Answer, unavailable, verbs } from './verbs.ts'
import { Watch } from './watch.ts'

export interface PostgresStoreOptions extends SchemaOptions {
  /** `false`: somebody else applies `migrationSql()`; the store only looks whether it is there. */
  readonly migrate?: boolean
  /**
   * `false`: every statement is sent as if it were the first, for a pooler that is slower for prepared ones, or a pool whose
   * connections take texts alone. Where prepared ones get lost on the way the store notices, and does so from then on.
   */
  readonly prepare?: boolean
  /** How long a statement may take, in milliseconds; 5,000 unless given. Afterwards its connection is closed. */
  readonly timeoutMs?: number
  /** Rules the store's time in place of the server's clock: for tests. */
  readonly clock?: Clock
  /** A number in [0, 1) that spreads retries; `Math.random` unless given. */
  readonly random?: () => number
}

/** A store whose every verb answers with a promise. */
export type PostgresStore = Store & Required<Pick<Store, 'watch'>> & { close(): Promise<void> }

/**
 * A store in PostgreSQL 13 or later, or in PGlite. The client stays yours: `close` ends it not.
 *
 * @throws ConfigError `invalid-option`
 */
export function postgresStore(client: PostgresClient, options: PostgresStoreOptions = {}): PostgresStore {
  checkKeys(options, ['schema', 'migrate', 'prepare', 'timeoutMs', 'clock', 'random'], 'options of `postgresStore`')
  const { migrate = true, prepare = true, timeoutMs = 5_000, clock, random = Math.random } = options
  check('timeoutMs', Number.isFinite(timeoutMs) && timeoutMs > 0, 'is a positive number of milliseconds')
  const schema = schemaOf(options.schema ?? 'haldir')
  const all = verbs({ client, schema, clock, migrate, prepare, timeoutMs, random })
  const lane = new Lane(all)
  const watch = new Watch(client, schema, clock ?? systemClock)
  hear(client)

  async function ask(verb: string, body: Record<string, unknown>): Promise<Answer> {
    try {
      return await all.call(verb, body)
    } catch (error) {
      throw unavailable(error)
    }
  }

  return {
    session: postgresSessions(all),
    approval: postgresApprovals(all),
    secret: postgresSecrets(all),
    writer: postgresWriters(all),

    meters: {
      async read(keys) {
        const { meters } = await ask('read_meters', { meters: slotsOf(keys) })
        return keys.map((key, index) => stateFrom(key, (meters as (Answer | null)[])[index] ?? null))
      },
    },

    hold: {
      async get(call) {
        const { hold } = (await ask('get_hold', { call })) as { hold: Record<string, string | null> | null }
        if (!hold) return undefined
        const { session, state, memo } = hold
        const kept = typeof memo === 'string' ? { memo: JSON.parse(memo) as string } : {}
        return { session: session as string, state: state as HoldState, ...kept }
      },
    },

    admit: async (request) => admissionFrom(request, await lane.send(takeOf(request, 'admit'))),
    reserve: async (request) => admissionFrom(request, await lane.send(takeOf(request, 'reserve'))),
    settle: async ({ call, spent }) => settlementFrom(await lane.send(settleOf(call, spent))),
    cancel: async (call) => settlementFrom(await lane.send({ do: 'cancel', call })),

    async renew(calls, leaseMs) {
      await ask('renew', { calls, lease: Math.trunc(leaseMs) })
    },

    async expire(limit) {
      const { released, orphaned } = await ask('expire', { limit })
      return { released: released as string[], orphaned: orphaned as string[] }
    },

    watch: (listener) => watch.add(listener),

    async close() {
      watch.close()
    },
  }
}
