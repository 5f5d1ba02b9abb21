/** Reading the trail back: entries, or pages of them. */
import { type Chained, type Chains, merged, type Read, ranked } from './chains.ts'
import { type Positions, writeCursor } from './cursor.ts'
import type { Entry } from './entry.ts'
import { type CompiledFilter, compileFilter, type Filter, invalid } from './filter.ts'

/** Entries of the trail, and where to go on. */
export interface Page {
  readonly entries: readonly Entry[]
  /**
   * Give it as `after`: what comes next, now or later. It stands for a place in each writer's chain, so entries that
   * are written meanwhile, in whatever process and with whatever time, are in a later page, once.
   */
  readonly next: string
  /** Whether the page is full: there may be more already. */
  readonly more: boolean
}

export type PageFilter = Omit<Filter, 'order'>

/** How many entries a page has unless told. */
export const PAGE = 100

/** The entries that match, with their lines. Throws `ConfigError` for a filter it does not understand. */
export async function* find(chains: Chains, filter: Filter): AsyncGenerator<Read> {
  const compiled = compileFilter(filter)
  let left = compiled.limit
  if (left <= 0) return
  for await (const reads of inOrder(ranked(await chains()), compiled)) {
    for (const read of reads) {
      if (!compiled.matches(read.entry)) continue
      yield read
      if (--left <= 0) return
    }
  }
}

export async function* query(chains: Chains, filter: Filter): AsyncGenerator<Entry> {
  for await (const { entry } of find(chains, filter)) yield entry
}

export async function page(chains: Chains, filter: PageFilter): Promise<Page> {
  const compiled = compilePage(filter)
  const all = ranked(await chains())
  const positions = kept(compiled.after, all)
  const entries: Entry[] = []
  reading: for await (const reads of inOrder(all, compiled)) {
    for (const { entry, chain, position } of reads) {
      positions.set(chain.name, position + 1)
      if (compiled.matches(entry) && entries.push(entry) === compiled.limit) break reading
    }
  }
  return { entries, next: writeCursor(positions), more: entries.length === compiled.limit }
}

export function compilePage(filter: PageFilter): CompiledFilter {
  if ('order' in filter) throw invalid('order', 'of a page is always that of time')
  const compiled = compileFilter({ ...filter, limit: filter.limit ?? PAGE })
  if (compiled.limit === 0) throw invalid('limit', 'of a page is a whole number from 1 on')
  return compiled
}

/** What a cursor says of the writers that are still there. */
export function kept(after: Positions | undefined, chains: readonly { readonly name: string }[]): Map<string, number> {
  const positions = new Map<string, number>()
  for (const { name } of chains) {
    const position = after?.get(name)
    if (position !== undefined) positions.set(name, position)
  }
  return positions
}

/** What a filter wants looked at, in the order it wants it. */
export async function* inOrder(all: readonly Chained[], filter: CompiledFilter): AsyncGenerator<readonly Read[]> {
  const { writers, after, order } = filter
  const chains = writers ? all.filter(({ writer }) => writers.has(writer)) : all
  if (order === 'time') yield* merged(chains, after)
  else for (const chain of chains) yield* merged([chain], after)
}
