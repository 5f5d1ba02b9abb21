/** The pretty sink's lines: what each entry comes to. A call is told once, when it has ended. */

import { printable, widthOf } from '../printable.ts'
import { Budgets, decimalOf, drawBar, type Payer, percentOf } from './pretty-budgets.ts'
import { amountsOf, type SeenAmount, type SeenEntry, textsOf } from './pretty-entry.ts'

export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'bold'

/** A column of a line, without line breaks or colour. */
export interface Piece {
  readonly text: string
  readonly tone?: Tone | undefined
}

/** The columns of a line; what is missing takes no room. */
export type Columns = readonly (Piece | undefined)[]

/** What is known of a call that has not ended. */
interface Begun extends Payer {
  readonly agent?: string | undefined
  /** When its intent was recorded; its cost counts in the window of that moment. */
  readonly at: string
  readonly held: readonly SeenAmount[]
  /** Whether a meter counts it. In shadow mode, none does when it would not have been admitted. */
  readonly counted: boolean
  /** Shadow mode: what would have been refused. */
  readonly would?: SeenEntry
}

/** How many calls may be under way at once. Of more, the oldest is forgotten: its outcome is then told as it stands. */
const KEEP = 1_000
const LONGEST = { agent: 24, tool: 32, cost: 24 } as const
const TEXT = 200
const VERDICT = 9
const DURATION = 7
const TIME = /T(\d\d:\d\d:\d\d)/
/** Events that must not be overlooked. */
const LOUD = new Set(['signal', 'recovery', 'gap'])

export class Lines {
  readonly #begun = new Map<string, Begun>()
  readonly #budgets = new Budgets()
  /** How wide each column is: as the widest it has held. */
  readonly #widths = { agent: 0, tool: 0, cost: 9 }

  /** The line for an entry; `undefined` when there is nothing to tell yet. `cells`: how long a bar is. */
  of(entry: SeenEntry, cells: number): Columns | undefined {
    switch (entry.type) {
      case 'intent':
        this.#begin(entry)
        return undefined
      case 'refusal':
        return this.#refused(entry, cells)
      case 'outcome':
        return this.#ended(entry, cells)
      case 'writer-opened':
      case 'writer-closed':
        return undefined
      default:
        return this.#event(entry)
    }
  }

  #begin(entry: SeenEntry): void {
    const { agent, session, chain, at, held, call } = entry
    if (call === undefined) return
    this.#budgets.hold(entry, held, at)
    this.#keep(call, { agent, session, chain, at, held, counted: true })
  }

  #keep(call: string, begun: Begun): void {
    this.#begun.set(call, begun)
    for (const oldest of this.#begun.keys()) {
      if (this.#begun.size <= KEEP) break
      this.#begun.delete(oldest)
    }
  }

  #refused(entry: SeenEntry, cells: number): Columns | undefined {
    const { call, enforced, data } = entry
    const shadow = !enforced && data.refused !== true
    if (shadow && call !== undefined) {
      // It runs all the same, and is told when it has.
      const begun = this.#begun.get(call)
      const { agent, session, chain, at } = entry
      this.#keep(call, { ...(begun ?? { agent, session, chain, at, held: [], counted: false }), would: entry })
      return undefined
    }
    const wanted = amountsOf(data.cost)
    const reason = wanted.length > 0 ? `${amountsText(wanted)} asked for: ${reasonOf(entry)}` : reasonOf(entry)
    const verdict: Piece = shadow ? { text: `~ ${codeOf(entry)}`, tone: 'warn' } : refusal(entry)
    const bar = this.#bar(entry, wanted, entry.at, cells)
    return [...this.#head(entry), verdict, bar, { text: shadow ? `shadow: ${reason}` : reason }]
  }

  #ended(entry: SeenEntry, cells: number): Columns {
    const begun = this.#begun.get(entry.call ?? '')
    if (begun) this.#begun.delete(entry.call ?? '')
    const { agent = begun?.agent, session = begun?.session, spent, durationMs, at, data } = entry
    // An entry of nobody's can end a session's call: an authorization that has expired is swept by anyone.
    const payer = begun ?? { session, chain: entry.chain }
    const admitted = begun?.at ?? at
    if (begun) this.#budgets.give(payer, begun.held, admitted)
    if (begun?.counted !== false) this.#budgets.spend(payer, spent, admitted)

    const head = this.#head({ ...entry, ...(agent === undefined ? {} : { agent }) })
    if (data.ended === 'not-run') {
      const notRun: Piece = entry.code === undefined ? { text: '– not run', tone: 'warn' } : refusal(entry)
      return [...head, notRun, { text: reasonOf(entry) }]
    }
    const cost: Piece = { text: this.#padded('cost', amountsText(spent), true), tone: 'bold' }
    const took: Piece = { text: durationOf(durationMs).padStart(DURATION), tone: 'dim' }
    const bar = this.#bar(payer, spent, admitted, cells)
    return [...head, verdictOf(entry, begun), cost, took, bar, { text: notesOf(entry, begun), tone: 'dim' }]
  }

  #event({ at, type, agent, session, tool, data, enforced }: SeenEntry): Columns {
    if ((type === 'session-created' || type === 'session-delegated') && session !== undefined) {
      this.#budgets.open(session, textsOf(data.scopes))
    }
    const shadow = enforced ? '' : ' (shadow)'
    const loud = LOUD.has(type)
    const who = this.#padded('agent', shown(agent ?? '–', LONGEST.agent))
    const what = `${loud ? '!' : '·'} ${shown(type.replaceAll('-', ' '), 40)}${shadow}`
    const about = [tool, ...Object.entries(data).map(([name, value]) => memberText(name, value))]
    const text = about.filter((part) => part !== undefined && part !== '').join(', ')
    const tone = loud ? 'warn' : 'dim'
    return [timeOf(at), { text: who, tone: 'dim' }, { text: what, tone }, { text, tone }]
  }

  #head({ at, agent, tool }: Pick<SeenEntry, 'at' | 'agent' | 'tool'>): Piece[] {
    const who = this.#padded('agent', shown(agent ?? '–', LONGEST.agent))
    const what = this.#padded('tool', shown(tool ?? '–', LONGEST.tool))
    return [timeOf(at), { text: who }, { text: what, tone: 'bold' }]
  }

  #bar(payer: Payer, amounts: readonly SeenAmount[], at: string, cells: number): Piece | undefined {
    const budget = this.#budgets.tightest(payer, amounts, at)
    if (!budget) return undefined
    const gone = percentOf(budget)
    const tone: Tone = gone >= 100 ? 'bad' : gone >= 75 ? 'warn' : 'good'
    return { text: drawBar(budget, cells), tone }
  }

  /** A text as wide as its column, which grows with what it holds, up to a bound. */
  #padded(column: keyof typeof LONGEST, text: string, right = false): string {
    const width = widthOf(text)
    const wide = Math.max(this.#widths[column], Math.min(width, LONGEST[column]))
    this.#widths[column] = wide
    const blanks = ' '.repeat(Math.max(0, wide - width))
    return right ? blanks + text : text + blanks
  }
}

function verdictOf({ data }: SeenEntry, begun: Begun | undefined): Piece {
  if (begun?.would) return { text: `~ ${codeOf(begun.would)}`, tone: 'warn' }
  if (data.withheld === true) return { text: '! withheld', tone: 'bad' }
  if (data.ended === 'failed') return { text: '! failed'.padEnd(VERDICT), tone: 'warn' }
  return { text: '✓ allowed', tone: 'good' }
}

/** What is worth knowing of a call that ran, beside its columns. */
function notesOf({ enforced, data, spent }: SeenEntry, begun: Begun | undefined): string {
  const { error, why, ended } = data
  const failed = ended === 'failed' && typeof error === 'string' ? shown(error, TEXT) : ''
  const given = ended === 'failed' && spent.length === 0 ? amountsText(begun?.held ?? []) : ''
  return [
    begun?.would ? `shadow, so it ran: ${reasonOf(begun.would)}` : enforced ? '' : 'shadow',
    begun?.would && ended === 'failed' ? `failed: ${failed}` : failed,
    given && `${given} given back`,
    data.withheld === true ? 'it ran; its result was held back' : '',
    data.overrun === true ? 'more than was held' : '',
    data.settled === false ? 'not counted by the store yet' : '',
    typeof why === 'string' ? shown(why, TEXT) : '',
  ]
    .filter(Boolean)
    .join(', ')
}

function refusal(entry: SeenEntry): Piece {
  return { text: `✗ ${codeOf(entry)}`, tone: 'bad' }
}

function codeOf({ code }: SeenEntry): string {
  return shown(code ?? 'refused', 40)
}

function reasonOf({ data }: SeenEntry): string {
  return typeof data.reason === 'string' ? shown(data.reason, TEXT) : ''
}

/** Of what belongs to one type of entry: short members by name, texts that speak for themselves without. */
function memberText(name: string, value: unknown): string {
  if (name === 'scopes') return shown(textsOf(value).join(' '), TEXT)
  if (name === 'expiresAt') return `until ${TIME.exec(String(value))?.[1] ?? ''}`
  if (name === 'sessions') return Number(value) > 1 ? `${shown(String(value), 20)} sessions` : ''
  if (name === 'reason' || name === 'secret') return shown(String(value), TEXT)
  const plain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  return plain ? `${shown(name, 40)} ${shown(String(value), 80)}` : ''
}

function timeOf(at: string): Piece {
  return { text: TIME.exec(at)?.[1] ?? '--:--:--', tone: 'dim' }
}

function durationOf(ms: number | undefined): string {
  if (ms === undefined) return ''
  if (ms < 10) return `${ms.toFixed(1)} ms`
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

function amountsText(amounts: readonly SeenAmount[]): string {
  return amounts.map(({ unit, micros }) => `${decimalOf(micros, unit)} ${shown(unit, 32)}`).join(' + ')
}

function shown(text: string, most: number): string {
  return printable(text, most)
}
