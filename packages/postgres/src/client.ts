/** How statements reach the database, and how what comes back is told apart. */
import type { Clock } from '@haldir/core'
import { background, Unavailable } from '@haldir/core/store'

/** What every client offers: `pg` (a `Pool`), PGlite, and others that take a text with `$1` and answer rows. */
export interface PostgresClient {
  query(text: string, values?: unknown[]): PromiseLike<{ readonly rows: unknown[] }>
  /**
   * Of a pool: one connection of its own, which takes `{ text, name }` in place of a text, as `pg` does, unless `prepare` is
   * `false`. Without it, `listen` is needed for `watch`.
   */
  connect?(): PromiseLike<unknown>
  /** As PGlite has it; answers how to stop. */
  listen?(channel: string, callback: (payload: string) => void): PromiseLike<(...args: never[]) => PromiseLike<void>>
  on?(event: 'error' | 'acquire', listener: (...told: never[]) => void): unknown
}

/** A statement with a `name` is parsed by the server once for each connection, where the client is a pool. */
export interface Statement {
  readonly text: string
  readonly name?: string | undefined
}

/** A connection of a pool. */
export interface Connection {
  query(text: string, values?: unknown[]): PromiseLike<{ readonly rows: unknown[] }>
  query(statement: Statement, values: unknown[]): PromiseLike<{ readonly rows: unknown[] }>
  release(destroy?: boolean): void
  on(event: string, listener: (told: { readonly payload?: string }) => void): unknown
  removeAllListeners?(event: string): unknown
  unref?(): void
  /** `I`: outside of any transaction. Newer versions of `pg` have it. */
  getTransactionStatus?(): string | null
}

/** A connection from the pool; `undefined`: this client has no pool. */
export async function connection(client: PostgresClient): Promise<Connection | undefined> {
  for (;;) {
    const got = (await client.connect?.()) as Connection | undefined
    if (typeof got?.release !== 'function') return undefined
    // Somebody gave it back within a transaction: what is done there would be undone with it.
    const status = got.getTransactionStatus?.() ?? 'I'
    if (status === 'I') return got
    got.release(true)
  }
}

/** The SQLSTATE of an error that the server has answered: then nothing of the statement is kept. */
export function stateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  // Node's own errors have a `code` as well, but no severity.
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && severity !== undefined ? code : undefined
}

const WORDS: Readonly<Record<string, string>> = {
  '28000': 'the server does not let this user in',
  '28P01': 'the server does not let this user in',
  '3D000': 'the database does not exist',
  '42501': 'the user lacks a right: see "The schema" in the README',
  HAL02: 'transactions have to be `read committed`',
  ECONNREFUSED: 'nobody answers at that address (`ECONNREFUSED`)',
  ENOTFOUND: 'the name of the server is not known (`ENOTFOUND`)',
  ETIMEDOUT: 'the server does not answer (`ETIMEDOUT`)',
}

/** What failed and, where the set-up is known to be wrong, why: in fixed words, since what the server says may repeat values. */
export function failure(what: string, error: unknown): Unavailable {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  const why = typeof code === 'string' && Object.hasOwn(WORDS, code) ? `: ${WORDS[code]}` : ''
  const state = stateOf(error)
  const cause = state === undefined ? error : new Error(`PostgreSQL answered with SQLSTATE ${state}`)
  return new Unavailable(what + why, { cause })
}

/** Another transaction was in the way: the same may well succeed at once. */
export function isConflict(error: unknown): boolean {
  const state = stateOf(error)
  return state === '40001' || state === '40P01'
}

/**
 * What is between us and the server has given the statement to another connection than the one it was prepared on: there
 * nobody knows it, or it is there already. Nothing was carried out.
 */
export function isUnprepared(error: unknown): boolean {
  const state = stateOf(error)
  return state === '26000' || state === '42P05'
}

/**
 * Sends one statement. Without an answer in `ms` it rejects and the connection is closed, so that one that hangs does
 * not stay in the pool: then nobody knows whether the statement was carried out.
 */
export async function ask(
  client: PostgresClient,
  statement: Statement,
  values: unknown[],
  ms: number,
  clock: Clock,
): Promise<readonly unknown[]> {
  let late = false
  let own: Connection | undefined
  let stop: () => void = () => {}
  const deadline = new Promise<never>((_, reject) => {
    stop = background(clock, ms, () => {
      late = true
      own?.release(true)
      reject(new Unavailable('PostgreSQL did not answer in time'))
    })
  })
  // Older versions of `pg` write into what they are given: each query gets an object of its own.
  const { text, name } = statement
  const work = async () => {
    if (client.connect === undefined) return (await client.query(text, values)).rows
    own = await connection(client)
    if (own === undefined) return (await client.query(text, values)).rows
    if (late) {
      own.release()
      throw new Unavailable('PostgreSQL did not answer in time')
    }
    try {
      const { rows } = await (name === undefined ? own.query(text, values) : own.query({ text, name }, values))
      if (!late) own.release()
      return rows
    } catch (error) {
      // What the server has answered leaves the connection as it was, unless it is closing it.
      const state = stateOf(error)
      if (!late) own.release(state === undefined || state.startsWith('57') || state.startsWith('08'))
      throw error
    }
  }
  const working = work()
  working.catch(() => {})
  try {
    return await Promise.race([working, deadline])
  } finally {
    stop()
  }
}

const heard = new WeakSet<object>()

/**
 * A connection that dies is replaced; unheard, its error would end the process. The pool hears of it only while it has
 * the connection itself, and is listened to instead at the moment it hands it out: its death may be the next it says.
 */
export function hear(client: PostgresClient): void {
  if (client.on === undefined || heard.has(client)) return
  heard.add(client)
  client.on('error', () => {})
  client.on('acquire', (connection: Connection) => {
    if (heard.has(connection)) return
    heard.add(connection)
    connection.on('error', () => {})
  })
}
