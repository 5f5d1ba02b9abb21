/**
 * Every text of a value, written one below the other, as a detector reads them: a member stands beside its key, for
 * many credentials are told by what they are called; the lines of a list follow each other, for a key may be spread
 * over them. Looks into what `redact-values.ts` looks into, and runs none of the value's own code either.
 */
import { pathOf } from '../call.ts'
import { hrefOf, kindOf } from './redact-clean.ts'
import { errorProperty } from './redact-values.ts'

/** The way to where something stands. */
interface Step {
  readonly above: Step | undefined
  readonly key: string | number
}

/** One text of the value. */
export interface Piece {
  readonly text: string
  /** Where it begins in all of them. */
  readonly start: number
  readonly step: Step | undefined
}

interface Visit {
  readonly value: unknown
  readonly step: Step | undefined
}

const NO_TEXTS: readonly Visit[] = []
const INDEX = /^(0|[1-9]\d*)$/

export class Texts {
  /** In the order in which they stand. */
  readonly pieces: readonly Piece[]
  /** All of them. */
  readonly joined: string
  /** Whether there was more than `limit` of it. What is beyond was left out. */
  readonly cut: boolean
  readonly #pieces: Piece[] = []
  readonly #parts: string[] = []
  readonly #limit: number
  #length = 0
  #cut = false

  /** `limit`: how long all texts together may become. Never throws. */
  constructor(value: unknown, limit: number) {
    this.#limit = limit
    const seen = new Set<object>()
    // Not by recursion: values may be deep. The last one in is the first one out, so members wait in reverse.
    const waiting: Visit[] = [{ value, step: undefined }]
    for (let visit = waiting.pop(); visit && !this.#cut; visit = waiting.pop()) {
      const { step } = visit
      const named = typeof step?.key === 'string' && step.key !== ''
      if (named) this.#write('\n', step.key as string, step)
      if (typeof visit.value === 'string') this.#write(named ? ': ' : '\n', visit.value, step)
      if (typeof visit.value !== 'object' || visit.value === null || seen.has(visit.value)) continue
      seen.add(visit.value)
      const inside = textsIn(visit.value, step)
      if (typeof inside === 'string') this.#write(named ? ': ' : '\n', inside, step)
      else for (let at = inside.length - 1; at >= 0; at--) waiting.push(inside[at] as Visit)
    }
    this.pieces = this.#pieces
    this.joined = this.#parts.join('')
    this.cut = this.#cut
  }

  #write(before: string, text: string, step: Step | undefined): void {
    const room = this.#limit - this.#length - before.length
    this.#cut ||= text.length > room
    if (room <= 0) return
    this.#length += before.length
    this.#pieces.push({ text, start: this.#length, step })
    this.#parts.push(before, text.length > room ? text.slice(0, room) : text)
    this.#length += Math.min(text.length, room)
  }
}

/** Where a piece stands; keys in which something was found are not repeated. */
export function placeOf({ step }: Piece, found: ReadonlyMap<string, unknown>): string {
  const keys: (string | number)[] = []
  for (let at = step; at; at = at.above) keys.push(typeof at.key === 'string' && found.has(at.key) ? '?' : at.key)
  return pathOf(keys.reverse()).slice(0, LONGEST_PLACE) || '(root)'
}

const LONGEST_PLACE = 256

/** The members of an object that may hold texts, or the one text that it is. */
function textsIn(value: object, step: Step | undefined): string | readonly Visit[] {
  try {
    const kind = kindOf(value)
    if (kind === 'closed') return NO_TEXTS
    return kind === 'url' ? hrefOf(value) : membersOf(value, kind, step)
  } catch {
    // It threw while it was looked at.
    return NO_TEXTS
  }
}

function membersOf(value: object, kind: 'plain' | 'array' | 'error', above: Step | undefined): readonly Visit[] {
  const keys =
    kind === 'error' ? new Set([...Reflect.ownKeys(value), 'name', 'message', 'stack']) : Reflect.ownKeys(value)
  const members: Visit[] = []
  for (const key of keys) {
    if (kind === 'array' && key === 'length') continue
    const own = Object.getOwnPropertyDescriptor(value, key)
    const property = kind === 'error' ? errorProperty(value, key, own) : own
    // An accessor is not run: it has a name, and no value.
    members.push({ value: property?.value, step: { above, key: nameOf(key, kind) } })
  }
  return members
}

function nameOf(key: PropertyKey, kind: 'plain' | 'array' | 'error'): string | number {
  if (typeof key === 'symbol') return ''
  return kind === 'array' && INDEX.test(String(key)) ? Number(key) : String(key)
}
