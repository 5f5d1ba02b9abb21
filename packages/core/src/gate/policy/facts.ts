/** Whether single tests can hold together: of one value, of a known kind, that is there or not. */
import { nearest } from '../../options.ts'
import { compileTree } from './compile.ts'
import type { Subject } from './policy.ts'
import { type Each, keysText, type Leaf, type Place } from './reads.ts'
import type { Impossible } from './satisfiable.ts'
import { says } from './says.ts'
import { type Located, locate } from './schema-paths.ts'
import { FALSE, TRUE } from './tree.ts'
import { type Kind, kindOf } from './values.ts'

/** One test, of one place, and whether it is wanted true or false. */
export interface Fact {
  readonly tree: Leaf | Each
  readonly truth: boolean
  readonly place: Place
  readonly items?: Place | undefined
}

/** Why these can't all be so in one call; `undefined` when they may. */
export function factsProblem(facts: readonly Fact[], schema: unknown): Impossible | undefined {
  const places = new Map<string, Fact[]>()
  for (const fact of facts) {
    const name = `${fact.place.root}.${keysText(fact.place.keys)}`
    places.set(name, [...(places.get(name) ?? []), fact])
  }
  for (const own of places.values()) {
    const problem = placeProblem(own, facts, schema)
    if (problem) return problem
  }
  return undefined
}

function placeProblem(facts: readonly Fact[], others: readonly Fact[], schema: unknown): Impossible | undefined {
  const [{ place, tree }] = facts as [Fact]
  const name = tree.path.text
  const located: Located = place.root === 'args' ? locate(schema, place.keys) : { kind: 'open' }
  const absent = facts.some((fact) => presence(fact) === false)
  if (absent) {
    if (others.some((fact) => presence(fact) && isBelow(fact.place, place))) {
      return contradiction(`\`${name}\` can not be absent and be tested`)
    }
    return located.kind === 'known' && !located.optional
      ? contradiction(`\`${name}\` is never absent: it is required`)
      : undefined
  }
  const tests = facts.filter(({ tree }) => tree.kind === 'each' || tree.op !== 'exists')
  const kinds = located.kind === 'known' ? kindsOf(located.types) : undefined
  for (const { tree } of tests) {
    if (kinds && !kinds.some((kind) => mayTest(tree, kind))) {
      return { kind: 'type', message: `\`${says(tree)}\` can not be asked of ${kinds.join(' or ')}` }
    }
  }
  const common = KINDS.filter((kind) => tests.every(({ tree }) => mayTest(tree, kind)))
  if (common.length === 0) return contradiction(`no value of \`${name}\` is of a kind that all its tests are for`)
  return valuesProblem(tests, located, name) ?? sizesProblem(tests, name)
}

/** Whether a test wants its place to be there, or not to be. */
function presence({ tree, truth }: Fact): boolean {
  if (tree.kind === 'each' || tree.op !== 'exists') return true
  return ('value' in tree.operand && tree.operand.value === true) === truth
}

function isBelow(place: Place, above: Place): boolean {
  return place.root === above.root && above.keys.every((key, index) => place.keys[index] === key)
}

const KINDS: readonly Kind[] = ['null', 'string', 'number', 'boolean', 'list', 'map']
const OF_JSON: Readonly<Record<string, Kind>> = {
  null: 'null',
  string: 'string',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  array: 'list',
  object: 'map',
}

function kindsOf(types: readonly string[] | undefined): readonly Kind[] | undefined {
  const kinds = types?.map((type) => OF_JSON[type])
  return kinds?.every((kind) => kind !== undefined) ? kinds : undefined
}

/** Whether a test of such a value comes to true or false, rather than to an error. */
function mayTest(tree: Leaf | Each, kind: Kind): boolean {
  if (tree.kind === 'each') return kind === 'list'
  if (tree.sized) return kind === 'string' || kind === 'list' || kind === 'map'
  const { op, operand } = tree
  switch (op) {
    case 'exists':
      return true
    case 'startsWith':
    case 'endsWith':
    case 'matches':
    case 'glob':
      return kind === 'string'
    case 'subsetOf':
      return kind === 'list'
    case 'contains':
      return kind === 'list' || (kind === 'string' && !('value' in operand && typeof operand.value !== 'string'))
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return 'value' in operand ? kind === kindOf(operand.value) : kind === 'number' || kind === 'string'
    default: {
      if ('path' in operand || kind === 'null') return true
      const several = (op === 'in' || op === 'notIn') && Array.isArray(operand.value)
      const own = several ? (operand.value as readonly unknown[]).map(kindOf) : [kindOf(operand.value)]
      return own.every((one) => one === 'null') || own.includes(kind)
    }
  }
}

/** Of values: those that the tests or the schema list, one by one; else the bounds that the tests set. */
function valuesProblem(tests: readonly Fact[], located: Located, name: string): Impossible | undefined {
  const plain = leaves(tests, false)
  const listed = located.kind === 'known' ? located.enum : undefined
  if (plain.length === 0) return undefined
  const candidates = plain.map(listedBy).find((values) => values !== undefined) ?? listed
  if (candidates === undefined) return boundsProblem(plain, name) ?? endsProblem(plain, name)
  const left = candidates.filter((value) => plain.every((fact) => passes(fact, value)))
  if (left.length === 0) {
    return contradiction(`no value of \`${name}\` passes ${plain.map(({ tree }) => `\`${says(tree)}\``).join(' and ')}`)
  }
  if (listed === undefined || left.some((value) => listed.some((one) => equal(one, value)))) return undefined
  const [first] = left
  const near =
    typeof first === 'string'
      ? nearest(
          first,
          listed.filter((one) => typeof one === 'string'),
        )
      : undefined
  const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
  return contradiction(`\`${name}\` is never what the rule asks for: the schema lists other values${hint}`)
}

function sizesProblem(tests: readonly Fact[], name: string): Impossible | undefined {
  const sized = leaves(tests, true)
  const candidates = sized.map(listedBy).find((values) => values !== undefined)
  if (candidates === undefined) return boundsProblem(sized, `the size of ${name}`, true)
  if (candidates.some((value) => sized.every((fact) => passes(fact, value)))) return undefined
  return contradiction(`no size of \`${name}\` passes all its tests`)
}

interface LeafFact {
  readonly tree: Leaf
  readonly truth: boolean
}

/** The tests of values, or of sizes, whose operand is known. */
function leaves(tests: readonly Fact[], sized: boolean): readonly LeafFact[] {
  return tests.flatMap(({ tree, truth }) =>
    tree.kind === 'leaf' && tree.sized === sized && 'value' in tree.operand ? [{ tree, truth }] : [],
  )
}

/** The values of which a test wants one. */
function listedBy({ tree, truth }: LeafFact): readonly unknown[] | undefined {
  const { op, operand } = tree
  if (!('value' in operand)) return undefined
  if (op === (truth ? 'eq' : 'ne')) return [operand.value]
  return op === (truth ? 'in' : 'notIn') ? (operand.value as readonly unknown[]) : undefined
}

/** Asks the engine itself. */
function passes({ tree, truth }: LeafFact, value: unknown): boolean {
  const bare: Leaf = { ...tree, sized: false, path: { text: 'item', root: 'item', keys: [] } }
  return compileTree(bare)(NO_CALL, value) === (truth ? TRUE : FALSE)
}

const NO_CALL = {} as Subject

function equal(one: unknown, other: unknown): boolean {
  return kindOf(one) === kindOf(other) && JSON.stringify(one) === JSON.stringify(other)
}

/** How an order is turned round when a test is to fail. */
const OPPOSITE: Readonly<Record<string, string>> = { gt: 'lte', gte: 'lt', lt: 'gte', lte: 'gt' }

interface Bound {
  readonly fact: LeafFact
  readonly value: number | string
  /** The bound itself passes. */
  readonly closed: boolean
}

function boundsProblem(tests: readonly LeafFact[], name: string, size = false): Impossible | undefined {
  const lower: Bound[] = []
  const upper: Bound[] = []
  for (const fact of tests) {
    const { op, operand } = fact.tree
    if (!('value' in operand) || OPPOSITE[op] === undefined) continue
    const order = fact.truth ? op : (OPPOSITE[op] as string)
    const bound = { fact, value: operand.value as number | string, closed: order.endsWith('e') }
    if (order.startsWith('g')) lower.push(bound)
    else upper.push(bound)
  }
  for (const { fact, value, closed } of upper) {
    if (size && (Number(value) < 0 || (value === 0 && !closed))) return contradiction(`${name} is never below 0`)
    const low = lower.find((one) => one.value > value || (one.value === value && !(one.closed && closed)))
    if (low) return contradiction(`\`${wanted(low.fact)}\` and \`${wanted(fact)}\` exclude each other`)
  }
  return undefined
}

/** Two beginnings, or two ends, of one text: one must begin, or end, with the other. */
function endsProblem(tests: readonly LeafFact[], name: string): Impossible | undefined {
  for (const op of ['startsWith', 'endsWith'] as const) {
    const own = tests.filter(({ tree }) => tree.op === op && 'value' in tree.operand)
    const texts = (truth: boolean) =>
      own
        .filter((fact) => fact.truth === truth)
        .map(({ tree }) => ('value' in tree.operand ? String(tree.operand.value) : ''))
    const fits = (long: string, short: string) => long[op](short)
    const [yes, no] = [texts(true), texts(false)]
    if (yes.some((a) => yes.some((b) => !fits(a, b) && !fits(b, a)) || no.some((b) => fits(a, b)))) {
      return contradiction(`no text of \`${name}\` passes every \`${op}\` of the rule`)
    }
  }
  return undefined
}

function wanted({ tree, truth }: LeafFact): string {
  return truth ? says(tree) : `not ${says(tree)}`
}

function contradiction(message: string): Impossible {
  return { kind: 'contradiction', message }
}
