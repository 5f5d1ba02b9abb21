/** The tables and functions, as numbered migrations: text that runs once, whoever applies it. */
import { type Clock, systemClock } from '@haldir/core'
import { check, checkKeys, Unavailable } from '@haldir/core/store'
import { ask, failure, type PostgresClient, stateOf } from './client.ts'
import { ACT } from './sql/act.ts'
import { APPROVALS } from './sql/approvals.ts'
import { DELIVERIES } from './sql/deliveries.ts'
import { ENDING } from './sql/ending.ts'
import { ENTRIES } from './sql/entries.ts'
import { GUARD } from './sql/guard.ts'
import { PLAIN } from './sql/plain.ts'
import { SESSIONS } from './sql/sessions.ts'
import { TABLES } from './sql/tables.ts'
import { TAKE } from './sql/take.ts'
import { TIME } from './sql/time.ts'

/** Never changed once published: what comes later is another one. */
const MIGRATIONS: readonly string[] = [
  [TABLES, TIME, ACT, TAKE, PLAIN, ENDING, SESSIONS, APPROVALS, DELIVERIES, ENTRIES, GUARD].join(''),
]

/** Of the two-part advisory locks: the first part of ours. */
const LOCK = 1_212_238_848

export interface SchemaOptions {
  /** The schema that everything is kept in: `haldir` unless given. Lower-case letters, digits and `_`, at most 48. */
  readonly schema?: string
}

/** Checks the name of a schema: it becomes part of statements. */
export function schemaOf(schema: unknown): string {
  const sound = typeof schema === 'string' && /^[a-z_][a-z0-9_]{0,47}$/.test(schema) && !schema.startsWith('pg_')
  check('schema', sound, 'is a name of lower-case letters, digits and `_`, at most 48 of them')
  return schema as string
}

/** A text written for the schema `haldir`, for another one. */
export function inSchema(text: string, schema: string): string {
  return text
    .replaceAll('haldir.', `"${schema}".`)
    .replaceAll('@schema@', schema)
    .replace(/@lock@( \+ \d)?/g, (_, kind = '') => `${LOCK}${kind}`)
}

/**
 * The text of all migrations, one statement, for who applies them by hand. It is one transaction, does nothing twice, and
 * refuses a database that is newer.
 *
 * @throws ConfigError `invalid-option`
 */
export function migrationSql(options: SchemaOptions = {}): string {
  checkKeys(options, ['schema'], 'options of `migrationSql`')
  return textOf(schemaOf(options.schema ?? 'haldir'))
}

function textOf(schema: string): string {
  const steps = MIGRATIONS.map((text, index) => {
    const number = index + 1
    return `
  IF NOT EXISTS (SELECT FROM haldir.migrations WHERE number = ${number}) THEN
    EXECUTE $migration_${number}$${text}$migration_${number}$;
    INSERT INTO haldir.migrations (number) VALUES (${number});
  END IF;`
  })
  // Looked for before it is made: who may only use what is there must be able to run this, too.
  const text = `DO $haldir$
DECLARE
  _path text := pg_catalog.current_setting('search_path');
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  PERFORM pg_advisory_xact_lock(@lock@, hashtext('@schema@'));
  IF current_setting('server_version_num')::int < 130000 OR current_setting('server_encoding') <> 'UTF8' THEN
    RAISE EXCEPTION 'haldir needs PostgreSQL 13 or later and a database in UTF8' USING ERRCODE = 'HAL06';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '@schema@') THEN CREATE SCHEMA "@schema@"; END IF;
  IF to_regclass('haldir.migrations') IS NULL THEN
    CREATE TABLE haldir.migrations (number int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
  END IF;
  IF EXISTS (SELECT FROM haldir.migrations WHERE number > ${MIGRATIONS.length}) THEN
    RAISE EXCEPTION 'haldir: this database is newer than the package' USING ERRCODE = 'HAL01';
  END IF;${steps.join('')}
  PERFORM set_config('search_path', _path, true);
END $haldir$`
  return inSchema(text, schema)
}

/**
 * Makes what is missing in the database. Processes that do this at once wait for one another, and one of them does it.
 *
 * @throws ConfigError `invalid-option`; Unavailable: the database can't be reached, is newer, or does not let us
 */
export async function migrate(client: PostgresClient, options: SchemaOptions = {}): Promise<void> {
  checkKeys(options, ['schema'], 'options of `migrate`')
  const schema = schemaOf(options.schema ?? 'haldir')
  await prepare(client, schema, true, systemClock)
}

const MIGRATE_MS = 60_000

/** Migrates, or looks whether somebody has. */
export async function prepare(client: PostgresClient, schema: string, own: boolean, clock: Clock): Promise<void> {
  try {
    if (own) {
      await ask(client, { text: textOf(schema) }, [], MIGRATE_MS, clock)
      return
    }
    const text = inSchema('SELECT coalesce(max(number), 0)::text AS number FROM haldir.migrations', schema)
    const [row] = (await ask(client, { text }, [], MIGRATE_MS, clock)) as { number: string }[]
    const number = Number(row?.number)
    if (number > MIGRATIONS.length) throw newer(schema)
    if (number < MIGRATIONS.length) throw behind(schema)
  } catch (cause) {
    if (cause instanceof Unavailable) throw cause
    const state = stateOf(cause)
    if (state === 'HAL01') throw newer(schema)
    if (state === '42P01' || state === '3F000') throw behind(schema)
    if (state === 'HAL06') throw new Unavailable('Haldir needs PostgreSQL 13 or later and a database in UTF8')
    throw failure(`the schema \`${schema}\` could not be prepared`, cause)
  }
}

function newer(schema: string): Unavailable {
  return new Unavailable(`the schema \`${schema}\` is newer than this version of @haldir/postgres`)
}

function behind(schema: string): Unavailable {
  return new Unavailable(`the schema \`${schema}\` is not up to date: apply \`migrationSql()\``)
}
