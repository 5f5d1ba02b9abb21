/**
 * The trail in a table: a row for each line, as it was written, beside the members that people ask for. A chain of one
 * writer is kept in the order of its `seq`; rows are only ever inserted.
 */
import { type Sink, type StoredChain, type StoredLine, systemClock } from '@haldir/core'
import { check, checkKeys, soundTime, WriterEnded } from '@haldir/core/store'
import { ask, hear, type PostgresClient, stateOf } from './client.ts'
import { inSchema, prepare, type SchemaOptions, schemaOf } from './migrations.ts'
import { unavailable } from './verbs.ts'

export interface PostgresSinkOptions extends SchemaOptions {
  /** `false`: a copy that never holds a call up. */
  readonly required?: boolean
  /** `false`: somebody else applies `migrationSql()`; the sink only looks whether it is there. */
  readonly migrate?: boolean
  /** How long a statement may take, in milliseconds; 5,000 unless given. Afterwards its connection is closed. */
  readonly timeoutMs?: number
}

/** How many lines are read at once. */
const PAGE = 200

/**
 * A sink in PostgreSQL 13 or later, or in PGlite. The client stays yours: `close` ends it not.
 *
 * @throws ConfigError `invalid-option`
 */
export function postgresSink(client: PostgresClient, options: PostgresSinkOptions = {}): Sink {
  checkKeys(options, ['schema', 'required', 'migrate', 'timeoutMs'], 'options of `postgresSink`')
  const { required = true, migrate = true, timeoutMs = 5_000 } = options
  check('timeoutMs', Number.isFinite(timeoutMs) && timeoutMs > 0, 'is a positive number of milliseconds')
  const schema = schemaOf(options.schema ?? 'haldir')
  hear(client)
  let ready: Promise<void> | undefined
  let ended = false
  let closed = false

  async function run(text: string, values: unknown[]): Promise<readonly unknown[]> {
    ready ??= prepare(client, schema, migrate, systemClock)
    try {
      await ready
    } catch (error) {
      ready = undefined
      throw error
    }
    return ask(client, { text: inSchema(text, schema) }, values, timeoutMs, systemClock)
  }

  async function rows(text: string, values: unknown[]): Promise<readonly unknown[]> {
    try {
      return await run(text, values)
    } catch (error) {
      throw unavailable(error)
    }
  }

  /** The writers that have a chain, the one that began first before the others. */
  async function writers(): Promise<{ readonly writer: string; readonly first: string }[]> {
    // Goes from one writer to the next by the index: the entries between them are not read.
    const found = await rows(
      `WITH RECURSIVE found (writer) AS (
        (SELECT writer FROM haldir.entries ORDER BY writer LIMIT 1)
        UNION ALL
        SELECT (SELECT e.writer FROM haldir.entries e WHERE e.writer > found.writer ORDER BY e.writer LIMIT 1)
        FROM found WHERE found.writer IS NOT NULL
      )
      SELECT f.writer, e.line AS first FROM found f CROSS JOIN LATERAL
        (SELECT line, at FROM haldir.entries WHERE writer = f.writer ORDER BY seq LIMIT 1) e ORDER BY e.at, f.writer`,
      [],
    )
    return found as { writer: string; first: string }[]
  }

  async function* pages(writer: string): AsyncGenerator<readonly { readonly seq: string; readonly line: string }[]> {
    let after = '-1'
    for (;;) {
      const page = (await rows(
        `SELECT seq::text AS seq, line FROM haldir.entries WHERE writer = $1 AND seq > $2::text::bigint
          ORDER BY haldir.entries.seq LIMIT ${PAGE}`,
        [writer, after],
      )) as { seq: string; line: string }[]
      if (page.length > 0) yield page
      if (page.length < PAGE) return
      after = (page.at(-1) as { seq: string }).seq
    }
  }

  return {
    name: 'postgres',
    required,
    gathers: true,

    async open() {
      closed = false
      ended = false
      await rows('SELECT 1', [])
      return undefined
    },

    async write(text) {
      if (closed) throw new Error('the sink is closed')
      if (ended) throw new WriterEnded('the chain of this writer has ended')
      const lines = text.split('\n')
      // What stands behind the last newline is no line.
      if (lines.pop() !== '') throw new Error('a line of the trail does not end')
      try {
        // One statement: all of them or none. After an answer that was lost the same lines are offered again.
        await run('SELECT haldir.append($1::text::jsonb)', [JSON.stringify({ lines: lines.map(rowOf) })])
      } catch (error) {
        if (stateOf(error) === 'HAL05') {
          // Somebody else writes in the name of this writer: nothing may follow in this chain.
          ended = true
          throw new WriterEnded('another line is stored at the place of this one')
        }
        throw unavailable(error)
      }
    },

    async *read(): AsyncGenerator<StoredLine> {
      for (const { writer } of await writers()) {
        for await (const page of pages(writer)) {
          for (const { seq, line } of page) yield { writer, place: `${schema}.entries:${writer}/${seq}`, line }
        }
      }
    },

    async chains(): Promise<StoredChain[]> {
      return (await writers()).map(({ writer, first }) => ({ writer, first, read: () => pages(writer) }))
    },

    async close() {
      closed = true
    },
  }
}

/** How much of a text goes into a column: more would not fit into its index. */
const SHOWN = 200

/** A line and the members that have a column. */
function rowOf(line: string): Record<string, unknown> {
  const { writer, seq, at, type, tenant, agent, session, tool } = JSON.parse(line)
  if (typeof writer !== 'string' || !Number.isSafeInteger(seq)) throw new Error('a line of the trail has no place')
  const columns = { type, tenant, agent, session, tool }
  const texts = Object.entries(columns).map(([name, text]) => [name, columnOf(text)])
  return { writer, seq, at: momentOf(at), ...Object.fromEntries(texts), line }
}

/** What a column can hold of this, so that no text keeps a line from being written. The line itself has all of it. */
function columnOf(text: unknown): string | null {
  return typeof text === 'string' ? text.slice(0, SHOWN).toWellFormed().replaceAll('\0', '\ufffd') : null
}

function momentOf(at: unknown): string | null {
  const ms = Date.parse(soundTime(at))
  // PostgreSQL knows no year 0.
  return ms >= Date.UTC(1970) ? new Date(ms).toISOString() : null
}
