/** Who spent what: the amounts of outcomes, added up. */
import { soundTime } from '../sinks/sink.ts'
import { type Chained, type Chains, merged, ranked } from './chains.ts'
import { dayIn } from './day.ts'
import type { Entry } from './entry.ts'
import {
  CONDITIONS,
  type Compiled,
  type Conditions,
  compileConditions,
  invalid,
  known,
  parseEntry,
  timeOf,
} from './filter.ts'
import { SPEND_KEYS, type SpendKey, type SpendRow, Sums } from './sums.ts'

/** Of what was enforced, unless `enforced: false` asks for what shadow mode counted. */
export interface SpendOptions extends Omit<Conditions, 'type' | 'ended'> {
  /** One row for each of these, and for each unit; a single row for each unit unless given. */
  readonly by?: SpendKey | readonly SpendKey[]
  /** The IANA zone, such as `Europe/Berlin`, whose calendar tells days and months. UTC unless given. */
  readonly zone?: string
}

export interface CompiledSpend {
  /** Without the times: whether a call has an outcome is no matter of when. */
  readonly compiled: Compiled
  readonly since: string | undefined
  readonly until: string | undefined
  readonly sums: Sums
}

/** Throws `ConfigError` for options it does not understand. */
export function compileSpend(options: SpendOptions): CompiledSpend {
  const conditions = CONDITIONS.filter((key) => key !== 'type' && key !== 'ended')
  known(options, [...conditions, 'by', 'zone'], 'options of `spend`')
  const { by = [], zone, since, until, ...rest } = options
  const keys = [by].flat()
  if (!keys.every((key) => SPEND_KEYS.includes(key))) {
    throw invalid('by', `is a list of ${SPEND_KEYS.map((key) => `\`${key}\``).join(', ')}`)
  }
  const compiled = compileConditions({ ...rest, enforced: rest.enforced ?? true })
  const times = { since: timeOf(since, 'since'), until: timeOf(until, 'until') }
  return { compiled, ...times, sums: new Sums(keys, dayIn(zone)) }
}

/** Reads everything there is, once; a second time when there are calls without an outcome, to be sure of each. */
export async function spend(chains: Chains, options: SpendOptions): Promise<readonly SpendRow[]> {
  const { compiled, since, until, sums } = compileSpend(options)
  const all = ranked(await chains())
  const again = saidAgain(all.map(({ writer, first }) => ({ writer, entry: parseEntry(first) })))
  const open = new Map<string, Entry>()
  for await (const reads of merged(all)) {
    for (const { entry, chain, position } of reads) {
      if ((entry.type !== 'outcome' && entry.type !== 'intent') || again(chain.writer, position)) continue
      const { call } = entry
      if (entry.type === 'outcome') open.delete(call ?? '')
      if (!compiled.matches(entry) || (compiled.writers && !compiled.writers.has(chain.writer))) continue
      const at = soundTime(entry.at)
      if (at === '' || (since !== undefined && at < since) || (until !== undefined && at >= until)) continue
      if (entry.type === 'outcome') sums.spent(entry)
      else if (typeof call === 'string' && entry.held?.length > 0) open.set(call, entry)
    }
  }
  if (open.size > 0) await close(open, all)
  for (const entry of open.values()) sums.open(entry)
  return sums.rows()
}

/** An outcome may stand before its intent: in the chain of another process, whose clock is behind. */
async function close(open: Map<string, Entry>, all: readonly Chained[]): Promise<void> {
  for await (const reads of merged(all)) {
    for (const { entry } of reads) if (entry.type === 'outcome') open.delete(entry.call ?? '')
  }
}

/**
 * Whether what stands at a place is said again elsewhere, and must not count twice. The first entry of a writer that
 * came after one that had to end names how far the chain before stands; the rest of it was not accepted by every sink,
 * and the new one has said it again. `firsts`: the first entries of all writers, in the order these began.
 */
export function saidAgain(
  firsts: readonly { readonly writer: string; readonly entry: Entry | undefined }[],
): (writer: string, position: number) => boolean {
  const stands = new Map<string, number>()
  const followers = new Map<string, string>()
  for (const { writer, entry } of firsts) {
    const { after } = (entry?.type === 'writer-opened' ? entry.data : undefined) ?? {}
    const { writer: before, entries } = (after ?? {}) as { writer?: unknown; entries?: unknown }
    if (typeof before !== 'string' || typeof entries !== 'number') continue
    stands.set(before, entries)
    // Of two that came after the same one, nothing of the first was accepted.
    const earlier = followers.get(before)
    if (earlier !== undefined) stands.set(earlier, 0)
    followers.set(before, writer)
  }
  return (writer, position) => position >= (stands.get(writer) ?? Number.POSITIVE_INFINITY)
}
