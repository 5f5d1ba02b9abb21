/** The shorter way for plain admits answers and leaves behind what the general one does, in whatever state things are. */
import { migrate } from '@haldir/postgres'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { absent, anyPostgres, type SharedPostgres } from '../servers/postgres.ts'

proves('invariant-3', 'invariant-4', 'invariant-5')

const lack = absent()
if (lack !== undefined) console.info(`skipped: ${lack}`)

const NOW = 2_000_000_000_000
const SESSIONS = {
  live: [NOW + 1_000, null, null],
  revoked: [NOW + 1_000, 5, null],
  suspended: [NOW + 1_000, null, 'x'],
  expired: [NOW, null, null],
  over: [NOW - 5, 5, 'x'],
} as const
const METERS = { room: [10, 2, 3], full: [5, 2, 3], overrun: [5, 9, 0], tight: [6, 2, 3], none: [0, 0, 0] } as const
const HOLDS = {
  running: ['live', 'running', NOW + 50],
  reserved: ['live', 'reserved', NOW + 50],
  late: ['live', 'reserved', NOW],
  released: ['live', 'released', NOW - 50],
  settled: ['live', 'settled', NOW - 50],
  orphaned: ['live', 'orphaned', NOW - 50],
  another: ['revoked', 'running', NOW + 50],
  buried: ['', 'released', NOW - 50],
} as const

const calls = ['new', 'newer', ...Object.keys(HOLDS)]
const sessions = [...Object.keys(SESSIONS), 'missing']
const meters = [...Object.keys(METERS), 'missing']

interface Plain {
  readonly call: string
  readonly session: string
  readonly meter: string
  readonly micros: string
}

describe.skipIf(lack !== undefined)('a plain admit', () => {
  let server: SharedPostgres
  let client: pg.Client

  beforeAll(async () => {
    server = await anyPostgres()
    client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await migrate({ query: (text, values) => client.query(text, values) })
    for (const [id, [ends, revoked, by]] of Object.entries(SESSIONS)) {
      const values = [id, ends, revoked, by]
      await client.query(
        `INSERT INTO haldir.sessions VALUES ($1, $1, 't', 'a', '[]', '{}', '{}', '{}', 0, $2, $3, $4, $4)`,
        values,
      )
    }
    for (const [key, [cap, used, held]] of Object.entries(METERS)) {
      await client.query('INSERT INTO haldir.meters (slot, cap, used, held) VALUES ($1, $2, $3, $4)', [
        `|${key}`,
        cap,
        used,
        held,
      ])
    }
    for (const [call, [session, state, lease]] of Object.entries(HOLDS)) {
      const kept = call === 'buried' ? [[], []] : [['|room'], [1]]
      await client.query('INSERT INTO haldir.holds VALUES ($1, $2, $3, $4, $5, $6)', [
        call,
        session,
        state,
        lease,
        ...kept,
      ])
    }
  })
  afterAll(async () => {
    await client?.end()
    await server?.stop()
  })

  /** What it answers, and what is kept then; afterwards all is as it was. */
  async function tried(plain: readonly Plain[], text: string, values: unknown[]): Promise<unknown> {
    await client.query('BEGIN')
    try {
      const { rows } = await client.query(`SELECT ${text} AS answer`, values)
      if (rows[0].answer.known === true) {
        expect(Object.keys(HOLDS)).toContain(plain[0]?.call)
        const body = [bodyOf(plain)]
        rows.splice(0, 1, ...(await client.query('SELECT haldir.act($1::text::jsonb) AS answer', body)).rows)
      }
      const answer =
        typeof rows[0].answer === 'number'
          ? { at: rows[0].answer, answers: plain.map(() => ({ ok: true })) }
          : rows[0].answer
      const kept = await client.query(`SELECT (SELECT jsonb_agg(m ORDER BY slot) FROM haldir.meters m) AS meters,
        (SELECT jsonb_agg(h ORDER BY call) FROM haldir.holds h) AS holds`)
      return { answer, kept: kept.rows }
    } finally {
      await client.query('ROLLBACK')
    }
  }

  const bodyOf = (plain: readonly Plain[]) => {
    const ops = plain.map(({ call, session, meter, micros }) => ({
      ...{ do: 'admit', call, session, lease: 100, charges: [{ s: `|${meter}`, m: micros }] },
    }))
    return JSON.stringify({ sent: NOW, ops })
  }
  const general = (plain: readonly Plain[]) => tried(plain, 'haldir.act($1::text::jsonb)', [bodyOf(plain)])

  it('alone', { timeout: 60_000 }, async () => {
    for (const session of sessions) {
      for (const meter of meters) {
        for (const call of calls) {
          for (const micros of ['0', '2']) {
            const one = { call, session, meter, micros }
            const values = [call, session, `|${meter}`, micros, 100, null, NOW, null]
            const short = await tried([one], 'haldir.admit_one($1, $2, $3, $4, $5, $6, $7, $8)', values)
            expect([one, short]).toEqual([one, await general([one])])
          }
        }
      }
    }
  })

  it('with others', { timeout: 60_000 }, async () => {
    const often = <T>(usual: T, all: readonly T[]) => fc.oneof(fc.constant(usual), fc.constantFrom(...all))
    const plain = fc.record({
      call: fc.oneof(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom(...calls)),
      session: often('live', sessions),
      meter: often('room', meters),
      micros: fc.constantFrom('0', '1', '2', '9223372036854775807'),
    })
    const property = fc.asyncProperty(fc.array(plain, { minLength: 2, maxLength: 5 }), async (batch) => {
      expect(await tried(batch, 'haldir.admit_many($1::text::jsonb)', [bodyOf(batch)])).toEqual(await general(batch))
    })
    await fc.assert(property, { numRuns: 400 })
  })
})
