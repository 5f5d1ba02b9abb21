/**
 * Redacting a value: first everything in it is looked at, then what holds a secret is copied, and what leads to it. In
 * two steps, and without recursion, because values may be cyclic, shared and deep.
 */
import type { Redacted } from './redact.ts'
import { hrefOf, isDate, type Kind, kindOf } from './redact-clean.ts'

/** What is looked for in the texts of a value, and what stands there instead. */
export interface Replacing {
  /** Whether a number may be what is looked for. */
  readonly numeric: boolean
  text(text: string): string
  /** Where something stands in a text; none when it is clean. */
  matches(text: string): readonly unknown[]
}

/** One object that was met. */
interface Node {
  readonly value: object
  /** What it was first met in, and the rest. */
  readonly parent: Node | undefined
  parents: Node[] | undefined
  kind: Kind
  /** Of an error. Others are asked again: that runs no code, and notes on every member would weigh more than the value. */
  members: readonly Member[]
  /** Holds a secret, itself or further down. */
  dirty: boolean
  /** Holds something that can't be looked into, itself or further down; an error keeps that to itself. */
  opaque: boolean
  /** What takes its place. */
  copy: unknown
}

interface Member {
  readonly key: PropertyKey
  readonly property: PropertyDescriptor
}

/** One walk over one value. */
export class ValueWalk {
  readonly #redactor: Replacing
  readonly #strict: boolean
  readonly #nodes = new Map<object, Node>()

  /** `strict`: an error loses what can't be looked into even when no secret was found in it. */
  constructor(redactor: Replacing, strict: boolean) {
    this.#redactor = redactor
    this.#strict = strict
  }

  value(value: unknown): Redacted {
    const top = nodeOf({ value }, 'plain')
    this.#meet(value, top)
    // The walk goes on while it meets new objects.
    for (const node of this.#nodes.values()) this.#look(node)
    const nodes = [top, ...this.#nodes.values()]
    spread(nodes, 'opaque', ({ kind }) => kind !== 'error')
    if (this.#strict) for (const node of nodes) node.dirty ||= this.#hidesSome(node)
    if (!top.dirty && !nodes.some(({ dirty }) => dirty)) return { value, opaque: top.opaque }
    spread(nodes, 'dirty', () => true)
    const dirty = [...this.#nodes.values()].filter((node) => node.dirty)
    // All copies are there before any is filled, so a cycle leads into the copies.
    for (const node of dirty) node.copy = this.#begin(node)
    for (const node of dirty) this.#fill(node)
    return { value: this.#replaced(value), opaque: top.opaque }
  }

  /** Notes what a member's value means for the object that holds it. */
  #meet(value: unknown, holder: Node): void {
    switch (typeof value) {
      case 'object': {
        if (value === null) return
        const node = this.#nodes.get(value)
        if (!node) this.#nodes.set(value, nodeOf(value, 'closed', holder))
        else if (node.parents) node.parents.push(holder)
        else node.parents = [holder]
        return
      }
      case 'function':
        holder.opaque = true
        return
      case 'symbol':
        if (this.#redactor.matches(value.description ?? '').length > 0) holder.opaque = true
        return
      default:
        if (!Object.is(this.#replaced(value), value)) holder.dirty = true
    }
  }

  #look(node: Node): void {
    try {
      node.kind = kindOf(node.value)
      if (node.kind === 'closed') node.opaque = !isDate(node.value)
      else if (node.kind === 'url') node.dirty = this.#redactor.matches(hrefOf(node.value)).length > 0
      else this.#members(node)
      if (node.kind === 'error') node.opaque = false
    } catch {
      // It threw while it was looked at: nothing can be said about it.
      node.kind = 'closed'
      node.opaque = true
    }
  }

  #members(node: Node): void {
    const members = membersOf(node)
    if (node.kind === 'error') node.members = members
    for (const { key, property } of members) {
      this.#meet(key, node)
      if ('value' in property) this.#meet(property.value, node)
      else node.opaque = true
    }
  }

  #begin({ value, kind }: Node): unknown {
    if (kind === 'plain') return Object.create(Object.getPrototypeOf(value))
    if (kind === 'array') return new Array((value as unknown[]).length)
    if (kind === 'error') return this.#emptyError(value)
    return kind === 'url' ? this.#redactor.text(hrefOf(value)) : value
  }

  /** An error of the same class, without running its constructor. The platform's own class needs its own. */
  #emptyError(error: object): Error {
    const prototype = Object.getPrototypeOf(error)
    if (prototype !== DOMException.prototype) return Object.setPrototypeOf(new Error(), prototype)
    const { message, name } = error as DOMException
    return new DOMException(this.#redactor.text(message), this.#redactor.text(name))
  }

  #fill(node: Node): void {
    const { kind, copy } = node
    if (kind === 'url' || kind === 'closed') return
    const members = kind === 'error' ? node.members : membersOf(node)
    const shown = (key: PropertyKey) => (typeof key === 'string' ? this.#redactor.text(key) : key)
    const names = members.some(({ key }) => shown(key) !== key) ? new Names() : undefined
    for (const { key, property } of members) {
      // How long a list is stays, whatever number is a secret.
      if (kind === 'array' && key === 'length') continue
      // The copy of an error leaves out what can't be looked into.
      if (kind === 'error' && this.#hides(property)) continue
      const redacted = 'value' in property ? { ...property, value: this.#replaced(property.value) } : property
      const name = shown(key)
      Object.defineProperty(copy, names && typeof name === 'string' ? names.take(name) : name, redacted)
    }
  }

  #hidesSome({ kind, members }: Node): boolean {
    return kind === 'error' && members.some(({ property }) => this.#hides(property))
  }

  #hides(property: PropertyDescriptor): boolean {
    const { value } = property
    if (!('value' in property) || typeof value === 'function' || typeof value === 'symbol') return true
    return typeof value === 'object' && value !== null && this.#nodes.get(value)?.opaque === true
  }

  #replaced(value: unknown): unknown {
    if (typeof value === 'string') return this.#redactor.text(value)
    if ((typeof value === 'number' || typeof value === 'bigint') && this.#redactor.numeric) {
      const text = String(value)
      const shown = this.#redactor.text(text)
      return shown === text ? value : shown
    }
    const node = typeof value === 'object' && value !== null ? this.#nodes.get(value) : undefined
    return node?.dirty ? node.copy : value
  }
}

/** The keys of one copy. Two forms of one secret as keys become the same mark: all but one get stars. */
class Names {
  readonly #taken = new Set<string>()
  /** How many stars were tried last, by the name without any. */
  readonly #stars = new Map<string, number>()

  take(name: string): string {
    let taken = name
    if (this.#taken.has(name)) {
      let end = name.length
      while (name.charAt(end - 1) === '*') end--
      const bare = name.slice(0, end)
      let stars = Math.max(name.length - end, this.#stars.get(bare) ?? 0)
      do taken = bare + '*'.repeat(++stars)
      while (this.#taken.has(taken))
      this.#stars.set(bare, stars)
    }
    this.#taken.add(taken)
    return taken
  }
}

function nodeOf(value: object, kind: Kind, parent?: Node): Node {
  return { value, parent, parents: undefined, kind, members: [], dirty: false, opaque: false, copy: undefined }
}

function membersOf({ value, kind }: Node): Member[] {
  if (kind !== 'error') {
    return Reflect.ownKeys(value).map((key) => {
      return { key, property: Object.getOwnPropertyDescriptor(value, key) as PropertyDescriptor }
    })
  }
  const keys = new Set([...Reflect.ownKeys(value), 'name', 'message', 'stack'])
  return Array.from(keys, (key) => {
    return { key, property: errorProperty(value, key, Object.getOwnPropertyDescriptor(value, key)) }
  })
}

/** Marks everything that leads to something marked, as far as `takes` lets it. */
function spread(nodes: readonly Node[], mark: 'dirty' | 'opaque', takes: (node: Node) => boolean): void {
  const marked = nodes.filter((node) => node[mark] && takes(node))
  const reach = (parent: Node) => {
    if (parent[mark] || !takes(parent)) return
    parent[mark] = true
    marked.push(parent)
  }
  for (const { parent, parents } of marked) {
    if (parent) reach(parent)
    parents?.forEach(reach)
  }
}

/** An error's own property as data; what it inherits of `name`, `message` and `stack` too: everybody prints those. */
export function errorProperty(
  error: object,
  key: PropertyKey,
  own: PropertyDescriptor | undefined,
): PropertyDescriptor {
  if (own && 'value' in own) return own
  // In newer engines the stack is an accessor of the engine's own.
  if (own && !(key === 'stack' && own.get === STACK)) return own
  const enumerable = own?.enumerable ?? false
  return { value: Reflect.get(error, key), writable: true, configurable: true, enumerable }
}

// Of the engine: an own accessor of the same name can't stand in for it.
const STACK = Object.getOwnPropertyDescriptor(new Error(), 'stack')?.get
