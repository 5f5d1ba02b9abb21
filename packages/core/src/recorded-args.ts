/** One walk over the arguments of a call: what of them is shown, fingerprinted and sealed. Pure and bounded. */
import { types } from 'node:util'
import { canonical } from './call.ts'
import { keysText } from './gate/policy/reads.ts'
import { cut } from './printable.ts'
import type { Marks, RecordPath } from './record-paths.ts'

/** How much an entry holds of them: collectors cut off, or refuse, what is long. */
export const BOUNDS = { text: 256, path: 256, shown: 4_096, fingerprints: 64, sealed: 8_192 } as const

/** What was found, by its path. */
export interface Picked {
  readonly shown: Map<string, unknown>
  /** The texts to be hashed. */
  readonly hashed: Map<string, string>
  /** The canonical texts to be sealed. */
  readonly sealed: Map<string, string>
  /** How many values were named and left out, for they were too many or too long. */
  omitted: number
}

/** What does not leave in plain: secrets revealed in the session. */
export interface Clean {
  text(text: string): string
  value(value: unknown): { readonly value: unknown }
  /** A name that no path leads to; as it is, unless given. */
  name?(name: string): string
}

/** The scalars of a snapshot, as the text that is hashed: what is written differently is hashed alike. */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? undefined : value.toISOString()
  return value instanceof URL ? value.href : undefined
}

/** `parts`: what this walk is about. Arguments that are masked differ from those that are hashed. */
export function pick(
  args: unknown,
  marks: Marks,
  clean: Clean,
  parts: { readonly plain: boolean; readonly hashed: boolean },
): Picked {
  const walk = new Walk(clean, parts)
  walk.visit(args, [marks], { show: false, hidden: false, hash: false })
  return walk.picked
}

/** What holds of everything below a place. */
interface Under {
  readonly show: boolean
  readonly hidden: boolean
  readonly hash: boolean
}

class Walk {
  readonly picked: Picked = { shown: new Map(), hashed: new Map(), sealed: new Map(), omitted: 0 }
  readonly #clean: Clean
  readonly #parts: { readonly plain: boolean; readonly hashed: boolean }
  readonly #keys: (string | number)[] = []
  #shown = 0
  #sealed = 0

  constructor(clean: Clean, parts: { readonly plain: boolean; readonly hashed: boolean }) {
    this.#clean = clean
    this.#parts = parts
  }

  visit(value: unknown, nodes: readonly Marks[], above: Under): void {
    if (value === undefined) return
    const marked = (mark: 'show' | 'hide' | 'fingerprint' | 'seal') => nodes.some(({ here }) => here.has(mark))
    if (marked('seal')) this.#seal(value)
    const hash = above.hash || marked('fingerprint')
    const show = above.show || marked('show')
    // Invariant: what is named to be hidden is not shown, whatever shows the things around it.
    const hidden = above.hidden || hash || marked('seal') || marked('hide')
    const under = { show, hash, hidden }
    if (Array.isArray(value)) this.#items(value, nodes, under)
    else if (isPlain(value)) this.#members(value, nodes, under)
    else this.#scalar(value, nodes, under)
  }

  #scalar(value: unknown, nodes: readonly Marks[], { show, hash, hidden }: Under): void {
    if (hash) this.#hash(value)
    // A text where an object should be may hold, as its JSON, what was named to be hidden in it.
    if (show && !hidden && !nodes.some(({ guarded }) => guarded)) this.#show(value)
  }

  #items(items: readonly unknown[], nodes: readonly Marks[], under: Under): void {
    // A name that meets a list means each of its items: what is to be hidden must not be missed for a star.
    const through = nodes.filter(({ names }) => names.size > 0).map(namesOf)
    for (const [index, item] of items.entries()) {
      const next = nodes.flatMap((node) => [node.each, node.items.get(index)]).filter((node) => node !== undefined)
      this.#below(index, item, [...next, ...through], under)
    }
  }

  #members(value: Readonly<Record<string, unknown>>, nodes: readonly Marks[], under: Under): void {
    // An object where a list should be: nobody knows which of its members were meant.
    const misfit = nodes.some(({ guarded, each, items }) => guarded && (each !== undefined || items.size > 0))
    const here = misfit ? { ...under, hidden: true } : under
    const everything = here.hash || (here.show && !here.hidden)
    const names = everything ? Object.keys(value) : new Set(nodes.flatMap((node) => [...node.names.keys()]))
    for (const name of names) {
      if (!Object.hasOwn(value, name)) continue
      const next = nodes.map((node) => node.names.get(name)).filter((node) => node !== undefined)
      this.#below(name, value[name], next, here)
    }
  }

  #below(key: string | number, value: unknown, nodes: readonly Marks[], under: Under): void {
    if (nodes.length === 0 && !under.hash && (!under.show || under.hidden)) return
    const named = nodes.length > 0 || typeof key === 'number'
    this.#keys.push(named ? key : (this.#clean.name?.(key) ?? key))
    this.visit(value, nodes, under)
    this.#keys.pop()
  }

  #show(value: unknown): void {
    if (!this.#parts.plain) return
    // Invariant: redacted before it is cut; of a secret that is cut through most would stay.
    const redacted = this.#clean.value(value).value
    const shown =
      redacted === null
        ? null
        : typeof redacted === 'number' || typeof redacted === 'boolean'
          ? redacted
          : cut(scalarText(redacted) ?? '', BOUNDS.text)
    this.#keep(this.picked.shown, shown, (path) => {
      const size = Buffer.byteLength(JSON.stringify(shown)) + Buffer.byteLength(path)
      if (this.#shown + size > BOUNDS.shown) return false
      this.#shown += size
      return true
    })
  }

  #hash(value: unknown): void {
    const text = this.#parts.hashed ? scalarText(value) : undefined
    if (text === undefined) return
    this.#keep(this.picked.hashed, text, () => this.picked.hashed.size < BOUNDS.fingerprints)
  }

  #seal(value: unknown): void {
    if (!this.#parts.plain) return
    const text = canonical(this.#clean.value(value).value)
    this.#keep(this.picked.sealed, text, (path) => {
      const size = Buffer.byteLength(text) + Buffer.byteLength(path)
      if (this.#sealed + size > BOUNDS.sealed) return false
      this.#sealed += size
      return true
    })
  }

  /** A path is made of keys, which a model may have chosen. */
  #keep<T>(into: Map<string, T>, value: T, fits: (path: string) => boolean): void {
    const path = this.#clean.text(keysText(this.#keys) || '(root)')
    if (path.length <= BOUNDS.path && !into.has(path) && fits(path)) into.set(path, value)
    else this.picked.omitted++
  }
}

/** A node as it goes on through a list: by names alone. */
function namesOf({ names, guarded }: Marks): Marks {
  return { here: new Set(), names, items: new Map(), each: undefined, guarded }
}

/** The value at a path without stars, if something is there. */
export function valueAt(args: unknown, path: RecordPath): unknown {
  let at = args
  for (const key of path) {
    const fits = typeof key === 'number' ? Array.isArray(at) : isPlain(at)
    if (!fits || typeof key === 'object' || !Object.hasOwn(at as object, key)) return undefined
    at = (at as Record<string | number, unknown>)[key]
  }
  return at
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
