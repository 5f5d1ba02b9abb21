/** What rules read: every path of their conditions, and where in the call's arguments it leads. */
import { exactText } from './glob.ts'
import type { Rule } from './policy.ts'
import type { Path, Tree } from './tree.ts'

/** Stands for any item of an array, where `every` and `some` look. */
export const ANY_ITEM: unique symbol = Symbol('any item')

export type Key = string | number | typeof ANY_ITEM

export type Leaf = Tree & { kind: 'leaf' }
export type Each = Tree & { kind: 'each' }

/** One path that a condition reads. */
export interface Read {
  readonly path: Path
  /** Where it stands in the document. */
  readonly at: string
  /** The keys from the arguments on; `undefined` when it reads something else. */
  readonly keys: readonly Key[] | undefined
  readonly tree: Leaf | Each
}

/** Where the items of an `every` or `some` stand: the root that its path begins with, and the keys from there on. */
export interface Place {
  readonly root: string
  readonly keys: readonly Key[]
}

/** A path from its true root on: `item` is any item of the array around it. */
export function placeOf(path: Path, items: Place | undefined): Place {
  if (path.root !== 'item') return path
  return { root: items?.root ?? 'item', keys: [...(items?.keys ?? []), ...path.keys] }
}

/** Where the items of an array are. */
export function itemsOf(tree: Each, items: Place | undefined): Place {
  const { root, keys } = placeOf(tree.path, items)
  return { root, keys: [...keys, ANY_ITEM] }
}

/** Every path that a rule's conditions read. */
export function readsOf({
  when,
  unless,
}: {
  readonly when?: Tree | undefined
  readonly unless?: Tree | undefined
}): readonly Read[] {
  return [when, unless].flatMap((tree) => (tree === undefined ? [] : [...treeReads(tree)]))
}

/** Every path that a condition reads, operands too. */
export function* treeReads(tree: Tree, items?: Place): Generator<Read> {
  switch (tree.kind) {
    case 'all':
    case 'any':
      for (const part of tree.trees) yield* treeReads(part, items)
      return
    case 'not':
      yield* treeReads(tree.tree, items)
      return
    case 'leaf':
      yield read(tree.path, tree, items)
      if ('path' in tree.operand) yield read(tree.operand.path, tree, items)
      return
    case 'each':
      yield read(tree.path, tree, items)
      yield* treeReads(tree.tree, itemsOf(tree, items))
      return
    case 'function':
  }
}

function read(path: Path, tree: Leaf | Each, items: Place | undefined): Read {
  const { root, keys } = placeOf(path, items)
  return { path, at: tree.at, keys: root === 'args' ? keys : undefined, tree }
}

/** One pattern or several, or none, as a list: none is every name. */
export function patternsOf(patterns: string | readonly string[] | undefined): readonly string[] {
  return patterns === undefined ? ['*'] : typeof patterns === 'string' ? [patterns] : patterns
}

/** Whether a rule names a tool, rather than reach it by a wildcard. */
export function namesExactly(tools: Rule['tools'], name: string): boolean {
  return tools !== undefined && patternsOf(tools).some((pattern) => exactText(pattern) === name)
}

/** Keys as a path has them: `items[0].price`; any item is `[]`. */
export function keysText(keys: readonly Key[]): string {
  let text = ''
  for (const key of keys) {
    if (key === ANY_ITEM) text += '[]'
    else if (typeof key === 'number') text += `[${key}]`
    else if (!/^[A-Za-z_$][A-Za-z0-9_$-]*$/.test(key)) text += `[${JSON.stringify(key)}]`
    else text += text === '' ? key : `.${key}`
  }
  return text
}
