/**
 * Whether a condition can hold for any call at all, as far as that can be told from its text and a tool's schema. It is
 * taken apart into ways to hold, each a list of single tests; a way is out when tests of one path exclude one another.
 * In doubt, a condition can hold.
 */
import { type Fact, factsProblem } from './facts.ts'
import { itemsOf, type Place, placeOf } from './reads.ts'
import type { Tree } from './tree.ts'

/** Why a condition can't hold: `type` when a test can't be evaluated for what the schema says stands there. */
export interface Impossible {
  readonly kind: 'contradiction' | 'type'
  readonly message: string
}

/** How many ways are tried before a condition is taken to hold in one of those left. */
const MOST_WAYS = 2_000

/** A tree, and whether it is wanted true or false. */
export interface Wanted {
  readonly tree: Tree
  readonly truth: boolean
  readonly items?: Place | undefined
}

/** Why these can't all come out as wanted in one call; `undefined` when they may. */
export function impossible(wanted: readonly Wanted[], schema: unknown): Impossible | undefined {
  return new Search(schema).impossible(wanted, [])
}

class Search {
  readonly #schema: unknown
  #ways = 0

  constructor(schema: unknown) {
    this.#schema = schema
  }

  impossible(pending: readonly Wanted[], facts: readonly Fact[]): Impossible | undefined {
    const [first, ...rest] = pending
    if (first === undefined) {
      if (++this.#ways > MOST_WAYS) return undefined
      return factsProblem(facts, this.#schema) ?? this.#listsProblem(facts)
    }
    const { tree, truth, items } = first
    switch (tree.kind) {
      case 'not':
        return this.impossible([{ tree: tree.tree, truth: !truth, items }, ...rest], facts)
      case 'all':
      case 'any': {
        const parts = tree.trees.map((part): Wanted => ({ tree: part, truth, items }))
        // `all` is true when each part is; it is false as soon as one is: a way for each. `any` the other way round.
        if ((tree.kind === 'all') === truth) return this.impossible([...parts, ...rest], facts)
        let why: Impossible | undefined
        for (const part of parts) {
          const one = this.impossible([part, ...rest], facts)
          if (!one) return undefined
          why ??= one
        }
        return why
      }
      case 'leaf':
        return this.impossible(rest, [...facts, { tree, truth, place: placeOf(tree.path, items) }])
      case 'each':
        return this.impossible(rest, [...facts, { tree, truth, place: placeOf(tree.path, items), items }])
      case 'function':
        return this.impossible(rest, facts)
    }
  }

  /** An item that `some` asks for must also be what `every` says of all items of the same list. */
  #listsProblem(facts: readonly Fact[]): Impossible | undefined {
    const lists = facts.flatMap((fact) => (fact.tree.kind === 'each' ? [{ ...fact, tree: fact.tree }] : []))
    for (const { tree, truth, items } of lists) {
      // Not every item passes: some item fails.
      if ((tree.mode === 'some') !== truth) continue
      const others = lists.filter(
        (other) => other.tree.path.text === tree.path.text && (other.tree.mode === 'every') === other.truth,
      )
      const wanted = [{ tree, truth }, ...others].map(
        (one): Wanted => ({ tree: one.tree.tree, truth: one.truth, items: itemsOf(one.tree, items) }),
      )
      const why = this.impossible(wanted, [])
      if (why) return why
    }
    return undefined
  }
}
