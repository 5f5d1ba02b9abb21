/** How a receiver wants entries, and what its answers mean. */

/** One entry on its way out. */
export interface SentEntry {
  readonly id: string
  /** As it stands in the trail, without its newline: what its hash was made of. */
  readonly line: string
  /** The same, read; `undefined` when the line is not one. */
  readonly entry: Readonly<Record<string, unknown>> | undefined
}

export interface Encoded {
  readonly body: string
  /** Which of the entries are in the body, in its order. All in theirs, unless given. */
  readonly order?: readonly number[]
  /** Entries that this receiver can't be sent, with the reason. */
  readonly refused?: readonly RefusedEntry[]
  /** How many entries were made smaller, so that the receiver does not cut them. */
  readonly reduced?: number
}

export interface RefusedEntry {
  /** Which one: its place among the entries. */
  readonly index: number
  /** Why, as a sentence without any of the entry's values. */
  readonly why: string
}

/** A receiver's answer. */
export interface Answer {
  readonly status: number
  /** The beginning of its body. */
  readonly text: string
}

/**
 * What an answer means. `taken`: every entry, but for those that are `refused` for ever and those to send `again`.
 * `later`: none now. `split`: something in it is refused; fewer at a time will show what.
 */
export type Judgement =
  | { readonly kind: 'taken'; readonly refused?: readonly RefusedEntry[]; readonly again?: readonly number[] }
  | { readonly kind: 'later' | 'split'; readonly why?: string }

export interface Encoder {
  /** A short name, for messages. */
  readonly name: string
  readonly contentType: string
  /** Sent with every request, such as a token. Never shown. */
  readonly headers?: Readonly<Record<string, string>>
  /** The most that one request may hold: entries, and bytes of the body before compression. */
  readonly most?: { readonly entries?: number; readonly bytes?: number }
  /** The same entries give the same body, so that a repeated request is one. `now`: milliseconds since the epoch. */
  encode(entries: readonly SentEntry[], now: number): Encoded
  /** Judges an answer; places are those in the body. `undefined`: by its status alone, see `judgeStatus`. */
  judge?(answer: Answer, count: number): Judgement | undefined
}

/**
 * What a status says by itself. 2xx: taken. 400, 409, 413, 414, 422, 431: something in the request is wrong, so it is
 * split until it is known what. Everything else (a limit, a fault, a redirect, a token that is not accepted, a path that
 * is not there) tells of the receiver and not of an entry: later.
 */
export function judgeStatus(status: number): Judgement {
  if (status >= 200 && status < 300) return { kind: 'taken' }
  return { kind: MALFORMED.has(status) ? 'split' : 'later' }
}

const MALFORMED = new Set([400, 409, 413, 414, 422, 431])

/** Reads a line. */
export function sentEntry(line: string): SentEntry {
  let entry: Readonly<Record<string, unknown>> | undefined
  try {
    const read: unknown = JSON.parse(line)
    if (typeof read === 'object' && read !== null && !Array.isArray(read)) entry = read as typeof entry
  } catch {
    // It is sent as it is, or refused, as the encoder wants it.
  }
  return { id: textIn(entry, 'id') ?? '', line, entry }
}

export function textIn(entry: SentEntry['entry'], key: string): string | undefined {
  const value = entry?.[key]
  return typeof value === 'string' ? value : undefined
}

/** When an entry was written, in milliseconds since the epoch. */
export function timeOf({ entry }: SentEntry): number | undefined {
  const at = Date.parse(textIn(entry, 'at') ?? '')
  return Number.isNaN(at) ? undefined : at
}

export interface EncodedEach {
  readonly parts: readonly string[]
  readonly order: readonly number[]
  readonly refused: readonly RefusedEntry[]
}

/** Encodes one by one; what can't be read is refused. */
export function eachOf(entries: readonly SentEntry[], encode: (sent: SentEntry, at: number) => string): EncodedEach {
  const parts: string[] = []
  const order: number[] = []
  const refused: RefusedEntry[] = []
  for (const [index, sent] of entries.entries()) {
    const at = timeOf(sent)
    if (at === undefined || sent.id === '') {
      refused.push({ index, why: 'it is no entry' })
      continue
    }
    parts.push(encode(sent, at))
    order.push(index)
  }
  return { parts, order, refused }
}

/** JSON of a text's keys in front of a line's own, so that the line itself stays as it is. */
export function spliced(head: object, line: string): string {
  return `${JSON.stringify(head).slice(0, -1)},${line.slice(1)}`
}
