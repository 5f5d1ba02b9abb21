/**
 * `@haldir/core/trail-index`: an index over the files of a trail, in SQLite, for those who ask often. It holds nothing
 * that is not in the files, answers what they answer, and can be deleted and built anew. Nothing is verified by it.
 */
import { type Clock, systemClock } from './clock.ts'
import { ConfigError } from './errors.ts'
import { checkKeys } from './options.ts'
import { Answers } from './trail-index/answers.ts'
import { openDatabase } from './trail-index/database.ts'
import { type Refreshed, Refreshing } from './trail-index/refresh.ts'
import { transactionsOf } from './trail-index/transactions.ts'
import type { Entry } from './watch/entry.ts'
import type { Filter } from './watch/filter.ts'
import type { Page, PageFilter } from './watch/query.ts'
import type { SpendOptions } from './watch/spend.ts'
import type { SpendRow } from './watch/sums.ts'

export type { Refreshed } from './trail-index/refresh.ts'

export interface TrailIndexOptions {
  /** The folder of a file sink. */
  readonly directory: string
  /** The SQLite file, which is made if it is missing, for its owner alone. On a local disk. */
  readonly database: string
  readonly clock?: Clock
  readonly random?: () => number
}

export interface TrailIndex {
  /**
   * Reads what is new in the files since the last time, in whatever process that was. Files that are gone are forgotten;
   * those of a writer that were changed other than by adding to them are read anew. `rebuild`: all of them are.
   */
  refresh(options?: { readonly rebuild?: boolean }): Promise<Refreshed>
  /** As `haldir.trail.query` answers, of what was read at the last `refresh`. */
  query(filter?: Filter): AsyncGenerator<Entry>
  /** As `haldir.trail.page` answers; cursors of the one are good for the other. */
  page(filter?: PageFilter): Promise<Page>
  /** As `haldir.trail.spend` answers. */
  spend(options?: SpendOptions): Promise<readonly SpendRow[]>
  close(): void
}

/** Opens an index, of nothing at first: `refresh` fills it. Several processes may share one. Throws `ConfigError`. */
export function openTrailIndex(options: TrailIndexOptions): TrailIndex {
  checkKeys(options, ['directory', 'database', 'clock', 'random'], 'options of `openTrailIndex`')
  const { directory, database, clock = systemClock, random = Math.random } = options
  for (const [key, path] of Object.entries({ directory, database })) {
    if (typeof path !== 'string' || path === '') {
      throw new ConfigError('invalid-option', key, `\`${key}\` names a ${key === 'database' ? 'file' : 'folder'}`)
    }
  }
  const db = openDatabase(database)
  const transactions = transactionsOf(db, clock, random)
  const answers = new Answers(db, transactions)
  return Object.freeze({
    refresh: (how: { readonly rebuild?: boolean } = {}) => {
      checkKeys(how, ['rebuild'], 'options of `refresh`')
      return new Refreshing(db, transactions, directory).run(how.rebuild === true)
    },
    query: (filter: Filter = {}) => answers.query(filter),
    page: (filter: PageFilter = {}) => answers.page(filter),
    spend: (how: SpendOptions = {}) => answers.spend(how),
    close: () => db.close(),
  })
}
