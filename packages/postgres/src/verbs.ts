/** One verb, one statement: each is a call of a function in the database, which answers with the time it was done at. */
import { createHash } from 'node:crypto'
import { type Clock, systemClock } from '@haldir/core'
import { steadyTime, Unavailable } from '@haldir/core/store'
import { ask, failure, isConflict, isUnprepared, type PostgresClient, type Statement } from './client.ts'
import { inSchema, prepare } from './migrations.ts'

/** `all`: the verb has answered the time alone, which says that every operation was admitted. */
export type Answer = Readonly<Record<string, unknown>>

/** What is common to all verbs of a store. */
export interface Verbs {
  call(verb: string, body: Readonly<Record<string, unknown>>): Promise<Answer>
  /** `admit_one`, whose parameters are named one by one before the time. */
  admitOne(values: readonly unknown[]): Promise<Answer>
}

export interface VerbOptions {
  readonly client: PostgresClient
  readonly schema: string
  /** Its time is sent, in place of the server's. */
  readonly clock: Clock | undefined
  readonly migrate: boolean
  /** Whether statements stay prepared on their connections, as long as that works. */
  readonly prepare: boolean
  readonly timeoutMs: number
  readonly random: () => number
}

/** How often a statement is sent again that another transaction was in the way of. */
const TRIES = 10
/** The part of the time passed in this process that counts: its clock may be a little fast. */
const SLOWER = 0.999

export function verbs({ client, schema, clock, migrate, prepare: named, timeoutMs, random }: VerbOptions): Verbs {
  const own = clock ?? systemClock
  const sent = clock && steadyTime(clock)
  let ready: Promise<void> | undefined
  let seen: { readonly at: number; readonly tick: number } | undefined

  /** The least that the store's now is: what it has told us, and what has passed since. */
  function least(): number | undefined {
    if (!seen) return undefined
    const passed = Math.max(0, own.monotonic() - seen.tick)
    return seen.at + Math.floor(clock ? passed : passed * SLOWER)
  }

  function learn(at: unknown): void {
    if (typeof at !== 'number') return
    const known = least()
    if (known === undefined || at >= known) seen = { at, tick: own.monotonic() }
  }

  let keeping = named
  async function send(statement: Statement, values: unknown[]): Promise<readonly unknown[]> {
    if (keeping) {
      try {
        return await ask(client, statement, values, timeoutMs, own)
      } catch (error) {
        if (!isUnprepared(error)) throw error
        keeping = false
      }
    }
    return ask(client, { text: statement.text }, values, timeoutMs, own)
  }

  async function once(statement: Statement, valuesAt: (time: Time) => unknown[]): Promise<Answer> {
    const time = { ...(sent && { sent: sent() }), ...(seen && { seen: least() }) }
    const [row] = await send(statement, valuesAt(time))
    // Text, and read here: what a client makes of JSON depends on how it was set up.
    const answer = JSON.parse((row as { answer: string }).answer) as Answer | number
    const told = typeof answer === 'number' ? { at: answer, all: true } : answer
    learn(told.at)
    return told
  }

  async function patiently(statement: Statement, valuesAt: (time: Time) => unknown[]): Promise<Answer> {
    await prepared()
    for (let tries = 1; ; tries++) {
      try {
        return await once(statement, valuesAt)
      } catch (error) {
        if (!isConflict(error) || tries >= TRIES) throw error
        await new Promise<void>((wake) => void own.setTimeout(wake, random() * 2 * tries))
      }
    }
  }

  async function prepared(): Promise<void> {
    ready ??= prepare(client, schema, migrate, own)
    try {
      await ready
    } catch (error) {
      // The next verb tries again.
      ready = undefined
      throw error
    }
  }

  const statements = new Map<string, Statement>()
  /** The call of a function, made once for each verb. */
  function statementOf(verb: string, parameters: string): Statement {
    const known = statements.get(verb)
    if (known) return known
    const text = inSchema(`SELECT haldir.${verb}(${parameters})::text AS answer`, schema)
    // Invariant: one name, one text, whatever version of this package others on the same connections have.
    const statement = { text, name: `haldir_${createHash('sha256').update(text).digest('hex').slice(0, 32)}` }
    statements.set(verb, statement)
    return statement
  }

  return {
    call: (verb, body) =>
      patiently(statementOf(verb, '$1::text::jsonb'), (time) => [JSON.stringify({ ...body, ...time })]),
    admitOne: (values) =>
      patiently(statementOf('admit_one', '$1, $2, $3, $4, $5, $6, $7, $8'), (time) => [
        ...values,
        time.sent ?? null,
        time.seen ?? null,
      ]),
  }
}

interface Time {
  readonly sent?: number
  readonly seen?: number | undefined
}

/** What a verb rejects with: of what the server said only its code, since the rest may repeat values. */
export function unavailable(cause: unknown): Error {
  return cause instanceof Unavailable ? cause : failure('PostgreSQL could not carry this out', cause)
}
