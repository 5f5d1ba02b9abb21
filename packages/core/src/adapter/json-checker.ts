/**
 * Checks arguments by a JSON Schema that somebody else wrote, an MCP server, say, and that a model answers to. Neither
 * can make it take long: patterns are matched in time linear in the text, and a schema that multiplies is given up on.
 */
import { format, type OutputUnit, type Schema, type SchemaDraft, Validator } from '@cfworker/json-schema'
import { RE2JS } from 're2js'
import { canonical } from '../call.ts'
import { compileRegex, regexProblem } from '../gate/policy/patterns.ts'
import { quickFits } from './json-fits.ts'

/** What checking found. Empty: the arguments fit. */
export interface Checked {
  readonly errors: readonly OutputUnit[]
  /** The schema as it was checked by: where the errors point. */
  readonly schema: object
}

export interface Checker {
  /** Throws when it can't be told whether arguments fit. */
  check(args: unknown): Checked
  /** Names of arguments that stand in the schema. Whatever else arguments are called, the caller made up. */
  readonly names: ReadonlySet<string>
}

/** How many parts of arguments may be held against parts of the schema: more than enough for 10,000 values. */
const MOST_STEPS = 250_000
/** How many comparisons `uniqueItems` may take by comparing each with each. */
const MOST_PAIRS = 1_000_000

/** Throws for what is no schema. The schema itself is left as it is, and may change afterwards. */
export function jsonChecker(schema: object): Checker {
  const text = JSON.stringify(schema)
  const budget: Budget = { left: 0 }
  const prepared = (names?: readonly string[], unique = true) => new Prepared(text, budget, names, unique)
  const usual = prepared()
  const fits = usual.hasPatterns ? undefined : withFormats(usual.matchers, () => quickFits(usual.root))
  return {
    names: usual.names,
    check(args) {
      if (fits?.(args)) return { errors: [], schema: usual.root }
      let how = usual
      const repeats = usual.hasUnique && pairsIn(args) > MOST_PAIRS ? hasDuplicates(args) : undefined
      if (repeats === true) throw new RangeError('too many items to compare each with each')
      // Which names a pattern means can be told as soon as the names are there; that nothing stands twice, too.
      if (usual.hasPatterns || repeats === false) how = prepared([...keysIn(args)], repeats !== false)
      budget.left = MOST_STEPS
      const { errors } = withFormats(how.matchers, () => how.validator.validate(args))
      return { errors, schema: how.root }
    },
  }
}

type Matchers = Readonly<Record<string, (text: string) => boolean>>

/**
 * The validator looks for formats in one object of its own, for all schemas of the process. Ours stand there only while
 * it works: nothing is left of schemas that are gone, and nobody else's schema meets them.
 */
function withFormats<T>(matchers: Matchers, work: () => T): T {
  Object.assign(format, matchers)
  try {
    return work()
  } finally {
    for (const name of Object.keys(matchers)) delete format[name]
  }
}

interface Budget {
  left: number
}

type Node = Record<string, unknown>

const ONE = new Set([
  'additionalItems',
  'unevaluatedItems',
  'contains',
  'additionalProperties',
  'unevaluatedProperties',
  'propertyNames',
  'not',
  'if',
  'then',
  'else',
])
const MANY = new Set(['prefixItems', 'allOf', 'anyOf', 'oneOf'])
const NAMED = new Set(['$defs', 'definitions', 'properties', 'dependentSchemas', 'dependencies'])
const PLAIN = new Set([
  '$schema',
  '$id',
  '$anchor',
  '$ref',
  '$recursiveRef',
  '$recursiveAnchor',
  'type',
  'enum',
  'const',
  'required',
  'dependentRequired',
  'minProperties',
  'maxProperties',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minContains',
  'maxContains',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'format',
])

/** A private copy of a schema, in the words that the validator is sure to understand. */
class Prepared {
  readonly root: object
  readonly validator: Validator
  readonly names: Set<string> = new Set()
  /** Matches patterns, as formats. */
  readonly matchers: Record<string, (text: string) => boolean> = {}
  hasPatterns = false
  hasUnique = false
  readonly #draft: SchemaDraft
  readonly #budget: Budget
  readonly #present: readonly string[]
  readonly #unique: boolean
  /** The text of every reference: what none of them leads to need not be a schema. */
  #references = ''

  constructor(text: string, budget: Budget, present: readonly string[] = [], unique: boolean) {
    const root = JSON.parse(text, (key, value) => {
      if (key === '$ref' && typeof value === 'string') this.#references += `${decoded(value)}/`
      return value
    }) as Node
    this.#draft = draftOf(root.$schema)
    this.#budget = budget
    this.#present = present
    this.#unique = unique
    this.#prepare(root)
    this.root = root
    this.validator = new Validator(root as Schema, this.#draft, false)
  }

  #prepare(node: unknown): void {
    if (typeof node !== 'object' || node === null) return
    if (Array.isArray(node)) {
      for (const one of node) this.#prepare(one)
      return
    }
    this.#translate(node as Node)
    for (const [key, value] of Object.entries(node)) {
      if (ONE.has(key) || MANY.has(key) || key === 'items') this.#prepare(value)
      else if (NAMED.has(key) && isObject(value)) {
        for (const [name, one] of Object.entries(value)) {
          if (key === 'properties') this.names.add(name)
          // Of `dependencies`, some are lists of names.
          if (!Array.isArray(one)) this.#prepare(one)
        }
      } else if (PLAIN.has(key) || (key === 'id' && this.#draft === '4')) {
        if (key === 'required' && Array.isArray(value)) for (const name of value) this.names.add(String(name))
        if (key === 'uniqueItems' && value === true) this.hasUnique = true
      } else if (this.#references.includes(`/${key}/`)) this.#prepare(value)
      // Examples, hints and whatever else is only said of a schema.
      else delete (node as Node)[key]
    }
    this.#count(node)
  }

  /** Whatever the validator would not understand, or not in good time. */
  #translate(node: Node): void {
    const { pattern, patternProperties, type, nullable, minimum, maximum } = node
    delete node.pattern
    delete node.patternProperties
    if (typeof pattern === 'string') this.#match(node, pattern)
    if (isObject(patternProperties)) this.#matchNames(node, patternProperties)
    if (!this.#unique) delete node.uniqueItems
    if (typeof node.format !== 'string' || !this.#knows(node.format)) delete node.format
    // OpenAPI's word for it.
    if (nullable === true && type !== undefined) node.type = [...new Set([type, 'null'].flat())]
    if (this.#draft === '4') return
    // As draft 4 had it.
    if (node.exclusiveMinimum === true) Object.assign(node, { exclusiveMinimum: minimum })
    if (node.exclusiveMaximum === true) Object.assign(node, { exclusiveMaximum: maximum })
    for (const key of ['exclusiveMinimum', 'exclusiveMaximum']) if (typeof node[key] !== 'number') delete node[key]
  }

  /** As a format the validator leaves the matching to us. */
  #match(node: Node, pattern: string): void {
    const matcher = linear(pattern)
    if (!matcher) return
    const name = PATTERN + pattern
    this.matchers[name] = matcher
    node.allOf = [...(Array.isArray(node.allOf) ? node.allOf : []), { format: name }]
  }

  #knows(name: string): boolean {
    return FORMATS.has(name) || Object.hasOwn(this.matchers, name)
  }

  #matchNames(node: Node, patternProperties: Node): void {
    this.hasPatterns = true
    const properties: Node = isObject(node.properties) ? node.properties : {}
    const own = new Set(Object.keys(properties))
    for (const [pattern, schema] of Object.entries(patternProperties)) {
      const matches = linear(pattern)
      // Whether a name is allowed would depend on a guess.
      if (!matches) throw new TypeError('a pattern of names that can not be matched in linear time')
      for (const name of this.#present) {
        if (!matches(name)) continue
        const copy = structuredClone(schema)
        properties[name] = Object.hasOwn(properties, name) ? { allOf: [properties[name], copy] } : copy
      }
    }
    for (const name of own) this.names.add(name)
    const keys = Object.keys(properties)
    if (keys.length > 0) node.properties = properties
  }

  /** Makes the validator count its steps: it reads this member of every schema that it comes to. */
  #count(node: object): void {
    if (Object.hasOwn(node, '$recursiveRef')) return
    const budget = this.#budget
    Object.defineProperty(node, '__absolute_recursive_ref__', {
      get() {
        if (--budget.left < 0) throw new RangeError('too many steps')
        return undefined
      },
    })
  }
}

/** Of a pattern that is a format: what stands before it. */
export const PATTERN = 'haldir:pattern:'

/** Formats that are checked; others only say something. `url` is no format of JSON Schema, and can take for ever. */
const FORMATS = new Set(Object.keys(format).filter((name) => name !== 'url'))

/**
 * A matcher that takes linear time. `undefined`: there is none, for look-around and the like. Such a pattern is left to
 * the tool, as a schema's `description` is.
 */
function linear(pattern: string): ((text: string) => boolean) | undefined {
  try {
    const source = RE2JS.translateRegExp(pattern)
    return regexProblem(source) === undefined ? compileRegex(source) : undefined
  } catch {
    return undefined
  }
}

function draftOf($schema: unknown): SchemaDraft {
  if (typeof $schema !== 'string') return '2020-12'
  if ($schema.includes('draft-04')) return '4'
  if (/draft-0[67]/.test($schema)) return '7'
  return $schema.includes('2019-09') ? '2019-09' : '2020-12'
}

function decoded(reference: string): string {
  try {
    return decodeURIComponent(reference).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    return reference
  }
}

function isObject(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function* partsOf(value: unknown): Generator<object> {
  if (typeof value !== 'object' || value === null) return
  yield value
  for (const part of Object.values(value)) yield* partsOf(part)
}

function keysIn(args: unknown): Set<string> {
  const keys = new Set<string>()
  for (const part of partsOf(args)) if (!Array.isArray(part)) for (const key of Object.keys(part)) keys.add(key)
  return keys
}

function pairsIn(args: unknown): number {
  let pairs = 0
  for (const part of partsOf(args)) if (Array.isArray(part)) pairs += part.length ** 2
  return pairs
}

/** Whether any list in the arguments holds something twice. */
function hasDuplicates(args: unknown): boolean {
  for (const part of partsOf(args)) {
    if (Array.isArray(part) && new Set(part.map((item) => canonical(item))).size < part.length) return true
  }
  return false
}
