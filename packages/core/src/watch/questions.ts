/** What can be asked of a trail, wherever its chains are read from. */
import type { Clock } from '../clock.ts'
import type { Chains } from './chains.ts'
import type { Entry } from './entry.ts'
import { type Exported, type ExportOptions, exportEntries } from './export.ts'
import type { Filter } from './filter.ts'
import { type Page, type PageFilter, page, query } from './query.ts'
import { type SpendOptions, spend } from './spend.ts'
import type { SpendRow } from './sums.ts'

export interface Questions {
  /** The entries that match, by their time. Throws `ConfigError` for a filter it does not understand. */
  query(filter?: Filter): AsyncGenerator<Entry>
  /** So many entries that match, 100 unless `limit` says otherwise, and a cursor with which to go on: see `Page`. */
  page(filter?: PageFilter): Promise<Page>
  /** What was spent, added up by agent, tool, day or whatever `by` says: exact, apart for each unit. */
  spend(options?: SpendOptions): Promise<readonly SpendRow[]>
  /** Writes the entries that match to a file or a stream, with a manifest that can be signed. */
  export(options: ExportOptions): Promise<Exported>
}

export function questionsOf(chains: Chains, clock: Clock): Questions {
  return {
    query: (filter = {}) => query(chains, filter),
    page: (filter = {}) => page(chains, filter),
    spend: (options = {}) => spend(chains, options),
    export: (options) => exportEntries(chains, options, clock),
  }
}
