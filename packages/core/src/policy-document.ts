/**
 * A policy file as plain data. YAML 1.2 of the core schema, read strictly: what one reader of YAML takes this way and
 * another that way (a key that stands twice, merge keys, tags, several documents, version 1.1) is an error with its
 * place. JSON files go the same way, after `JSON.parse` has said that they are JSON.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type YAMLError,
  type YAMLMap,
} from 'yaml'
import { ConfigError } from './errors.ts'

/** How much a document may hold, with every alias written out. */
const MOST_VALUES = 200_000
const DEEPEST = 100

/** A document, and where its parts stand in the text. */
export class PolicyDocument {
  readonly data: unknown
  readonly #root: Node | null
  readonly #lines: LineCounter
  readonly #what: string

  /** Throws `ConfigError` with code `invalid-policy`. `what` names the document in messages: `the policy`. */
  constructor(text: string, format: 'yaml' | 'json', what: string) {
    this.#lines = new LineCounter()
    this.#what = what
    if (format === 'json') checkJson(text, what)
    const document = this.#parse(text)
    this.#root = document.contents
    this.data = new Reader(document, (message, node) => this.#invalid(message, node?.range?.[0])).read()
  }

  /**
   * The same error, with the line and column that its path leads to. A path joins keys with dots, and keys may hold
   * dots (`args.amount`): at each map the longest key that fits is taken.
   */
  located(error: unknown): unknown {
    if (!ConfigError.isInstance(error)) return error
    const offset = this.#offsetOf(error.path)
    return new ConfigError(error.code, error.path, `${this.#place(offset)} of ${this.#what}: ${error.message}`)
  }

  #parse(text: string): Document {
    let found: readonly Document[]
    try {
      found = parseAllDocuments(text, { ...STRICT, lineCounter: this.#lines }) as readonly Document[]
    } catch {
      throw this.#invalid('is too deep, or broken in a way that has no name')
    }
    const [document, second] = found
    if (!document) throw this.#invalid('is empty')
    if (second) throw this.#invalid('is one document, not several', second.range?.[0])
    const problem: YAMLError | undefined = document.errors[0] ?? document.warnings[0]
    if (problem) throw this.#invalid(WORDS[problem.code] ?? 'is not valid YAML', problem.pos[0])
    if (document.directives?.yaml.version !== '1.2') throw this.#invalid('is YAML 1.2; another version is named', 0)
    return document
  }

  #offsetOf(path: string): number | undefined {
    let rest = path
    let node: unknown = this.#root
    let offset = this.#root?.range?.[0]
    while (rest !== '') {
      if (isMap(node)) {
        const pair = longestKey(node, rest)
        if (!pair) return offset
        const key = (pair.key as { value: string; range?: [number, number, number] | null }) ?? {}
        offset = key.range?.[0] ?? offset
        rest = rest.slice(String(key.value).length + 1)
        node = pair.value
      } else if (isSeq(node)) {
        const [, index = '', more = ''] = /^(\d+)(?:\.(.*))?$/s.exec(rest) ?? []
        const item = index === '' ? undefined : (node.items[Number(index)] as Node | undefined)
        if (!item) return offset
        offset = item.range?.[0] ?? offset
        rest = more
        node = item
      } else return offset
    }
    return offset
  }

  #invalid(message: string, offset?: number): ConfigError {
    const place = offset === undefined ? '' : `, at ${this.#place(offset)}`
    return new ConfigError('invalid-policy', '', `${this.#what} ${message}${place}`)
  }

  #place(offset = 0): string {
    const { line, col } = this.#lines.linePos(offset)
    return `line ${Math.max(1, line)}, column ${Math.max(1, col)}`
  }
}

const STRICT = {
  version: '1.2',
  schema: 'core',
  strict: true,
  // Checked below: the parser compares every key with every other.
  uniqueKeys: false,
  stringKeys: true,
  merge: false,
  resolveKnownTags: false,
  // Numbers of JavaScript would round a long integer before anyone could tell.
  intAsBigInt: true,
  prettyErrors: false,
  logLevel: 'silent',
} as const

/** The parser's own messages quote the text; these do not. */
const WORDS: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'gives an alias an anchor or a tag',
  BAD_ALIAS: 'has an alias or anchor without a proper name',
  BAD_DIRECTIVE: 'has a directive other than `%YAML 1.2`',
  BAD_DQ_ESCAPE: 'has a backslash in double quotes that begins no known escape; single quotes take it as it is',
  BAD_INDENT: 'is not indented evenly, or has a bracket that is not closed',
  BAD_SCALAR_START: 'has a text that begins with a character YAML keeps for itself; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'has a map or list on the line of a key; begin it on the next line',
  BLOCK_IN_FLOW: 'has an indented list or map inside of brackets',
  KEY_OVER_1024_CHARS: 'has a key of more than 1,024 characters',
  MISSING_CHAR: 'lacks a character such as a comma, a colon, a quote or a bracket',
  MULTILINE_IMPLICIT_KEY: 'has a key that goes over several lines, or lacks a colon',
  MULTIPLE_ANCHORS: 'has two anchors at one value',
  MULTIPLE_DOCS: 'is one document, not several',
  MULTIPLE_TAGS: 'has two tags at one value',
  NON_STRING_KEY: 'has a key that is no text',
  TAB_AS_INDENT: 'is indented with a tab',
  TAG_RESOLVE_FAILED: 'has a tag that is not of the core schema',
  UNEXPECTED_TOKEN: 'has something where YAML expects something else',
}

/** Walks the nodes into fresh plain data: nothing is shared, so an alias costs what it stands for. */
class Reader {
  readonly #document: Document
  readonly #invalid: (message: string, node?: Node) => ConfigError
  readonly #anchors = new Map<string, Node>()
  #values = 0
  /** How many aliases are being written out around this value. */
  #aliased = 0

  constructor(document: Document, invalid: (message: string, node?: Node) => ConfigError) {
    this.#document = document
    this.#invalid = invalid
  }

  read(): unknown {
    return this.#plain(this.#document.contents, 0)
  }

  #plain(node: unknown, depth: number): unknown {
    const own = node as Node & { anchor?: string }
    if (++this.#values > MOST_VALUES)
      throw this.#invalid(`has more than ${MOST_VALUES} values, aliases written out`, own)
    if (depth > DEEPEST) throw this.#invalid(`is more than ${DEEPEST} levels deep`, own)
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source)
      if (!target) throw this.#invalid('has an alias whose anchor does not stand before it', node)
      this.#aliased++
      const copy = this.#plain(target, depth + 1)
      this.#aliased--
      return copy
    }
    if (own?.anchor !== undefined && this.#aliased === 0) this.#anchors.set(own.anchor, own)
    if (isMap(node)) return this.#map(node, depth)
    if (isSeq(node)) return node.items.map((item) => this.#plain(item, depth + 1))
    return isScalar(node) ? this.#scalar(node.value, own) : null
  }

  #map(node: YAMLMap, depth: number): object {
    const map: Record<string, unknown> = {}
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? key.value : key
      if (typeof name !== 'string') throw this.#invalid('has a key that is no text', node)
      if (name === '<<') throw this.#invalid('has a merge key, which YAML 1.2 does not know', key as Node)
      if (Object.hasOwn(map, name)) throw this.#invalid('has a key that stands twice in one map', key as Node)
      if (name === '__proto__') throw this.#invalid('has the key `__proto__`', key as Node)
      map[name] = this.#plain(value, depth + 1)
    }
    return map
  }

  #scalar(value: unknown, node: Node): unknown {
    if (typeof value === 'bigint') {
      const number = Number(value)
      if (Number.isSafeInteger(number)) return number
      throw this.#invalid('has an integer beyond 2^53, which no number holds exactly', node)
    }
    if (typeof value === 'number' && !Number.isFinite(value))
      throw this.#invalid('has a number that is not finite', node)
    return value ?? null
  }
}

/** JSON is nearly YAML, but not the other way: a `.json` file must be what other readers of JSON take, too. */
function checkJson(text: string, what: string): void {
  try {
    JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    throw new ConfigError('invalid-policy', '', `${what} is not valid JSON`)
  }
}

function longestKey(map: YAMLMap, path: string): YAMLMap['items'][number] | undefined {
  let best: YAMLMap['items'][number] | undefined
  let length = -1
  for (const pair of map.items) {
    const name = isScalar(pair.key) ? String(pair.key.value) : ''
    if (name.length > length && (path === name || path.startsWith(`${name}.`))) [best, length] = [pair, name.length]
  }
  return best
}
