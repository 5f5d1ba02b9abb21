/** Transactions of an index, tried again while another process has the database. */
import type { Clock } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { isBusy } from '../stores/sqlite-file.ts'
import type { Database } from './database.ts'

/** How long another process is waited for: it writes for a few milliseconds at a time. */
const PATIENCE_MS = 10_000

export interface Transactions {
  /** All of it or, when it throws, nothing. */
  write<T>(work: () => T): Promise<T>
  /** Everything as it stands at one moment. */
  read<T>(work: () => T): Promise<T>
}

export function transactionsOf(db: Database, clock: Clock, random: () => number): Transactions {
  async function patiently<T>(begin: string, work: () => T): Promise<T> {
    const deadline = clock.monotonic() + PATIENCE_MS
    for (let delay = 2; ; delay = Math.min(delay * 2, 100)) {
      try {
        return within(begin, work)
      } catch (error) {
        if (!isBusy(error)) throw error
        if (clock.monotonic() > deadline) throw new Unavailable('the index stayed busy')
        await new Promise<void>((wake) => void clock.setTimeout(wake, delay * (0.5 + random())))
      }
    }
  }

  function within<T>(begin: string, work: () => T): T {
    db.run(begin)
    try {
      const result = work()
      db.run('COMMIT')
      return result
    } catch (error) {
      try {
        db.run('ROLLBACK')
      } catch {
        // SQLite has done it by itself, as it does when the disk is full.
      }
      throw error
    }
  }

  return {
    write: (work) => patiently('BEGIN IMMEDIATE', work),
    read: (work) => patiently('BEGIN', work),
  }
}
