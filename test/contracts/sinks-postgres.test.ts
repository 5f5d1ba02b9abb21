import { PGlite } from '@electric-sql/pglite'
import { createHaldir, type Sink } from '@haldir/core'
import { type PostgresClient, postgresSink } from '@haldir/postgres'
import { type OpenedSink, sinkContract } from '@haldir/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Pen } from '../../packages/testing/src/sink-contract/pen.ts'
import { skipped } from '../crash/process.ts'
import { absent, anyPostgres, emptied, lacking, type SharedPostgres } from '../servers/postgres.ts'

const schema = `sinks_${process.pid}`

/** Each case finds the table empty. */
function opener(client: () => PostgresClient) {
  return async (): Promise<OpenedSink> => {
    const run = async <T>(text: string, values: unknown[] = []) => (await client().query(text, values)).rows as T[]
    const sinks: Sink[] = []
    const make = () => {
      const sink = postgresSink(client(), { schema })
      sinks.push(sink)
      return sink
    }
    const sink = make()
    // Whatever a case breaks first has to be there.
    await sink.chains?.()
    let spoiled = false
    return {
      sink,
      reopen: make,
      async stored() {
        const rows = await run<{ line: string }>(`SELECT line FROM ${schema}.entries ORDER BY at, writer, seq`)
        return rows.map(({ line }) => `${line}\n`).join('')
      },
      async break() {
        await run(`ALTER TABLE ${schema}.entries RENAME TO entries_away`)
      },
      /** Every place is taken by another line, whoever writes. */
      async spoil() {
        spoiled = true
        await run(`CREATE FUNCTION ${schema}.taken() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'taken' USING ERRCODE = 'HAL05'; END $$`)
        await run(`CREATE TRIGGER taken BEFORE INSERT ON ${schema}.entries EXECUTE FUNCTION ${schema}.taken()`)
      },
      async mend() {
        if (spoiled) await run(`DROP FUNCTION ${schema}.taken() CASCADE`)
        else await run(`ALTER TABLE ${schema}.entries_away RENAME TO entries`)
        spoiled = false
      },
      async close() {
        for (const each of sinks) await each.close?.()
        await emptied(client(), schema)
      },
    }
  }
}

const lack = absent()
if (lack !== undefined) console.info(`skipped: ${lack}`)

describe.skipIf(lack !== undefined)('on a server', () => {
  let server: SharedPostgres
  let pool: pg.Pool

  beforeAll(async () => {
    server = await anyPostgres()
    pool = new pg.Pool({ connectionString: server.url, allowExitOnIdle: true })
  })
  afterAll(async () => {
    await pool?.end()
    await server?.stop()
  })

  sinkContract({ name: 'postgres', open: opener(() => pool) })

  it('takes lines again whose answer was lost, also with others behind them, and keeps each once', async () => {
    const opened = await opener(() => pool)()
    const lines = new Pen('w1').lines(5)
    await opened.sink.write(lines.slice(0, 3).join(''))
    await opened.sink.write(lines.slice(0, 3).join(''))
    await opened.sink.write(lines.join(''))
    expect(await opened.stored?.()).toBe(lines.join(''))
    await opened.close()
  })

  it('refuses another line at a place that is taken, and keeps nothing of that write', async () => {
    const opened = await opener(() => pool)()
    const lines = new Pen('w1').lines(3)
    await opened.sink.write(lines[0] as string)
    const other = new Pen('w1')
    const forged = other.lines(4, 'other words')
    await expect(async () => opened.sink.write(forged.join(''))).rejects.toMatchObject({ code: 'writer-ended' })
    await expect(async () => opened.sink.write(lines[1] as string)).rejects.toMatchObject({ code: 'writer-ended' })
    expect(await opened.stored?.()).toBe(lines[0])
    await opened.close()
  })

  it('takes whatever a line says: what no column can hold is in the line all the same', async () => {
    const opened = await opener(() => pool)()
    const hostile = ['nul \u0000 in it', 'half \ud800 a pair', 'long '.repeat(3), '\\u0000', '"; DROP TABLE x; --']
    // Text that does not get shorter when it is packed, as an index tries to.
    const long = Array.from({ length: 9_000 }, (_, n) => String.fromCodePoint(0x4e00 + ((n * 7_919) % 20_000))).join('')
    const lines = [...hostile, long].map((text, seq) => {
      const members = { type: 'refusal', tenant: text, agent: text, session: text, tool: text }
      return `${JSON.stringify({ writer: 'w1', seq, at: `${seq === 1 ? '0000' : '2026'}-11-03T10:00:00.000Z`, ...members })}\n`
    })
    for (const line of lines) await opened.sink.write(line)
    await opened.sink.write(lines.join(''))
    const { rows } = await pool.query(`SELECT line, tool FROM ${schema}.entries ORDER BY seq`)
    expect(rows.map(({ line }) => `${line}\n`).join('')).toBe(lines.join(''))
    expect(rows[3].tool).toBe(hostile[3])
    expect(rows[0].tool).toBe('nul \ufffd in it')
    await opened.close()
  })

  it('takes lines of a megabyte, several at once', async () => {
    const opened = await opener(() => pool)()
    const lines = new Pen('w1').lines(4, 'x'.repeat(1_000_000))
    await opened.sink.write(lines.join(''))
    const read: string[] = []
    for await (const { line } of opened.sink.read?.() ?? []) read.push(`${line}\n`)
    expect(read.join('') === lines.join('')).toBe(true)
    await opened.close()
  })

  it('needs no right but to insert and to select', async (context) => {
    // Roles belong to a whole server, so they are made in our own alone.
    const none = lacking()
    if (none !== undefined) return skipped(context, none)
    const opened = await opener(() => pool)()
    await opened.sink.open?.('w0')
    const role = `auditor_${process.pid}`
    await pool.query(`CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT SELECT ON ${schema}.migrations TO ${role}; GRANT INSERT, SELECT ON ${schema}.entries TO ${role}`)
    const auditor = new pg.Pool({ connectionString: server.url.replace('haldir@', `${role}@`) })
    const sink = postgresSink(auditor, { schema })
    const haldir = createHaldir({ sinks: [sink] })
    const session = await haldir.createSession({ agent: 'bot', tenant: 'acme', scopes: ['read'] })
    await session.revoke('done')
    await haldir.flush()
    const found = []
    for await (const entry of haldir.trail.query({ agent: 'bot' })) found.push(entry.type)
    expect(found).toEqual(['session-created', 'session-revoked'])
    expect(await haldir.trail.verify()).toMatchObject({ ok: true, problems: [] })
    for (const forbidden of ['DELETE FROM', 'TRUNCATE', 'DROP TABLE']) {
      await expect(auditor.query(`${forbidden} ${schema}.entries`)).rejects.toThrow()
    }
    await haldir.close()
    await auditor.end()
    await opened.close()
  })
})

describe('embedded', () => {
  let database: PGlite

  beforeAll(() => {
    database = new PGlite()
  })
  afterAll(() => database.close())

  sinkContract({ name: 'PGlite', open: opener(() => database) })
})
