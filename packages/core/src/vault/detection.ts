/**
 * Credentials that nobody has put into the vault: a detector says where they stand in the texts of a value. What is
 * found is told by its kind and its place, never by what it is.
 */
import { ask, type Clock, type MaybePromise } from '../clock.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { ValueWalk } from './redact-values.ts'
import { placeOf, Texts } from './texts.ts'

/** Finds credentials in a text. `secretlint` of `@haldir/core/detect` makes one from a well-kept set of rules. */
export interface Detector {
  /** How `health()` names it: 1 to 64 letters, digits or `_.:/-`. */
  readonly name: string
  /**
   * Where credentials stand in a text, as offsets of its UTF-16 units. The text is that of a whole value: its texts one
   * below the other, members as `key: text`. One that throws, answers nonsense or does not answer in time has failed;
   * the signal is aborted once nobody waits for the answer any more.
   */
  find(text: string, options: { readonly signal: AbortSignal }): MaybePromise<readonly FoundCredential[]>
}

export interface FoundCredential {
  readonly start: number
  /** Behind its last unit. */
  readonly end: number
  /** What it is, such as `aws` or `github`: 1 to 64 letters, digits or `_.-`. Entries and the model read it. */
  readonly kind: string
}

/** What is done about credentials that nobody has put into the vault. At least one of `results` and `arguments`. */
export interface DetectOptions {
  /** What finds them. */
  readonly credentials: Detector
  /**
   * In the plain data of results, errors and yields. `flag`: the outcome says where one stands. `redact`: it is also
   * taken out of what leaves the call, which is withheld when the search fails.
   */
  readonly results?: 'flag' | 'redact'
  /**
   * In arguments. `flag`: the intent says where one stands. `refuse`: the call does not run, nor does one that could
   * not be searched.
   */
  readonly arguments?: 'flag' | 'refuse'
  /** How much text of one value is searched, in UTF-16 units: 16 million. One that has more counts as not searched. */
  readonly limit?: number
}

/** The options as they were checked. */
export interface Detection extends DetectOptions {
  readonly limit: number
}

/** What is known of one credential: its kind, and where it stands. */
export interface Detected {
  readonly kind: string
  readonly at: string
}

/** What came of searching a value. */
export interface Findings {
  readonly detected: readonly Detected[]
  /** Why the value, or the rest of it, was not searched. */
  readonly unscanned?: 'failed' | 'too-large'
  /** The value without them; the same one when there are none. */
  redacted(value: unknown): unknown
}

const LIMIT = 16_000_000
const NAME = /^[A-Za-z0-9_.:/-]{1,64}$/
const KIND = /^[A-Za-z0-9_.-]{1,64}$/

/** Throws `ConfigError`, naming the option. */
export function checkDetection(options: DetectOptions | undefined): Detection | undefined {
  if (options === undefined) return undefined
  checkKeys(options, ['credentials', 'results', 'arguments', 'limit'], 'options of `detect`', 'detect')
  const { credentials, results, arguments: args, limit = LIMIT } = options
  if (typeof credentials?.find !== 'function' || typeof credentials.name !== 'string' || !NAME.test(credentials.name)) {
    throw invalid('detect.credentials', 'is a detector: a `name` of letters, digits or `_.:/-`, and a `find`')
  }
  if (results === undefined && args === undefined) throw invalid('detect', 'says `results`, `arguments` or both')
  if (![undefined, 'flag', 'redact'].includes(results)) throw invalid('detect.results', 'is `flag` or `redact`')
  if (![undefined, 'flag', 'refuse'].includes(args)) throw invalid('detect.arguments', 'is `flag` or `refuse`')
  if (!Number.isSafeInteger(limit) || limit < 1) throw invalid('detect.limit', 'is a whole number from 1 up')
  return { ...options, limit }
}

/** Nothing was found, for it could not be looked for. */
export const FAILED: Findings = { detected: [], unscanned: 'failed', redacted: (value) => value }
const CLEAN: Findings = { detected: [], redacted: (value) => value }

/** Searches a value. Rejects with `Unavailable` when the detector fails. */
export async function search(value: unknown, detection: Detection, ms: number, clock: Clock): Promise<Findings> {
  const texts = new Texts(value, detection.limit)
  const cut = texts.cut ? ({ unscanned: 'too-large' } as const) : {}
  if (texts.joined === '') return { ...CLEAN, ...cut }
  const { credentials } = detection
  const stopping = new AbortController()
  let found: readonly FoundCredential[]
  try {
    const work = () => credentials.find(texts.joined, { signal: stopping.signal })
    found = inOrder(await ask(work, ms, clock, `detector ${credentials.name}`), texts.joined.length)
  } finally {
    // What it may still be doing is of no use any more.
    stopping.abort()
  }
  return found.length === 0 ? { ...CLEAN, ...cut } : { ...findingsOf(found, texts), ...cut }
}

/** A detector that answers nonsense has not searched anything. */
function inOrder(answer: unknown, length: number): readonly FoundCredential[] {
  const sound = Array.isArray(answer) && answer.every((one) => isFound(one, length))
  if (!sound) throw new Unavailable('the detector answered nonsense')
  return answer.toSorted((a, b) => a.start - b.start || b.end - a.end)
}

function isFound(answer: unknown, length: number): answer is FoundCredential {
  const { start, end, kind } = (answer ?? {}) as Partial<FoundCredential>
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end)
  if (!whole || typeof kind !== 'string' || !KIND.test(kind)) return false
  return (start as number) >= 0 && (start as number) < (end as number) && (end as number) <= length
}

/** What stands in one text, each once: the same text may be there many times. */
type Spans = Map<string, FoundCredential>

function findingsOf(found: readonly FoundCredential[], texts: Texts): Findings {
  const { pieces } = texts
  const spans = new Map<string, Spans>()
  const first: { kind: string; piece: number }[] = []
  let begin = 0
  for (const { start, end, kind } of found) {
    // Those that end before this one begins are behind all that follow, too.
    while (begin < pieces.length && endOf(pieces, begin) <= start) begin++
    let touched = false
    for (let at = begin; at < pieces.length && (pieces[at]?.start as number) < end; at++) {
      const { text, start: offset } = pieces[at] as (typeof pieces)[number]
      const own = { start: Math.max(0, start - offset), end: Math.min(text.length, end - offset), kind }
      if (own.start >= own.end) continue
      if (!touched) first.push({ kind, piece: at })
      touched = true
      const known: Spans = spans.get(text) ?? new Map()
      spans.set(text, known.set(`${own.start} ${own.end} ${kind}`, own))
    }
  }
  const detected = new Map<string, Detected>()
  for (const { kind, piece } of first) {
    const at = placeOf(pieces[piece] as (typeof pieces)[number], spans)
    detected.set(`${kind} ${at}`, { kind, at })
  }
  return { detected: [...detected.values()], redacted: (value) => without(value, spans) }
}

function endOf(pieces: Texts['pieces'], at: number): number {
  const { start, text } = pieces[at] as Texts['pieces'][number]
  return start + text.length
}

/** A text in which something was found is replaced wherever it stands. */
function without(value: unknown, spans: ReadonlyMap<string, Spans>): unknown {
  const shown = new Map<string, string>()
  for (const [text, found] of spans) shown.set(text, marked(text, [...found.values()]))
  const text = (one: string) => shown.get(one) ?? one
  return new ValueWalk({ numeric: false, text, matches: (one) => (shown.has(one) ? [one] : []) }, false).value(value)
    .value
}

/** The longest credential of several that overlap gives the mark its kind. */
function marked(text: string, spans: readonly FoundCredential[]): string {
  let shown = ''
  let from = 0
  for (const { start, end, kind } of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    if (start >= from) shown += `${text.slice(from, start)}[redacted:${kind}]`
    from = Math.max(from, end)
  }
  return shown + text.slice(from)
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
