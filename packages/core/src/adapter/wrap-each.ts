/** The three things that `governed` takes in every adapter: one tool, a set by name, a list of tools that have names. */
import { ConfigError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { isForeign, refuseForeign } from './frameworks.ts'

/**
 * Wraps a set of tools, each under its key. Every tool needs options and all options need a tool: one that is left out
 * by a slip would run ungoverned.
 */
export function wrapEach<T, O>(
  tools: Readonly<Record<string, T>>,
  options: Readonly<Record<string, O>>,
  wrap: (tool: T, name: string, options: O) => T,
): Record<string, T> {
  if (typeof tools !== 'object' || tools === null) {
    throw new ConfigError('ungovernable', 'tools', '`governed` takes one tool, or an object of tools')
  }
  if (typeof options !== 'object' || options === null) {
    throw new ConfigError('invalid-option', 'options', '`options` names what each tool requires')
  }
  checkKeys(options, Object.keys(tools), 'tools to govern')
  const wrapped = Object.entries(tools).map(([name, tool]): [string, T] => {
    const own = Object.hasOwn(options, name) ? options[name] : undefined
    if (typeof own !== 'object' || own === null) {
      throw new ConfigError('invalid-option', name, `\`${name}\` has no options: at least a \`scope\``)
    }
    return [name, naming(name, () => wrap(tool, name, own))]
  })
  return Object.fromEntries(wrapped)
}

/** What is wrong with one tool of a set says which: `charge.scope`. */
function naming<T>(name: string, wrap: () => T): T {
  try {
    return wrap()
  } catch (error) {
    if (!ConfigError.isInstance(error) || error.path === name) throw error
    throw new ConfigError(error.code, `${name}.${error.path}`, `\`${name}\`: ${error.message}`)
  }
}

/** The same for a list of tools, as `nameOf` says that they are called. */
export function wrapList<T, O>(
  tools: readonly T[],
  options: Readonly<Record<string, O>>,
  wrap: (tool: T, name: string, options: O) => T,
  nameOf: (tool: T) => unknown = nameIn,
): T[] {
  const named: Record<string, T> = Object.create(null)
  const keys = tools.map((tool, index) => {
    const name = nameOf(tool)
    // What has no name is no tool of the list's framework; the wrapper says what it is instead.
    const key = typeof name === 'string' ? name : String(index)
    if (key in named) throw new ConfigError('invalid-option', 'tools', `\`${key}\` stands twice in \`tools\``)
    named[key] = tool
    return key
  })
  const wrapped = wrapEach(named, options, wrap)
  // By the list, not by the names: an object puts those that are numbers first.
  return keys.map((key) => wrapped[key] as T)
}

/** How most tools say what they are called. */
export function nameIn(tool: unknown): unknown {
  return (tool as { readonly name?: unknown } | null | undefined)?.name
}

/** What an adapter says of its tools. */
export interface Wrapping<T, O> {
  /** The adapter's package: what belongs to another one is told to go there. */
  readonly own: string
  /** Whether something is a tool, or one that can't be governed; else it is a set of them. */
  isTool(value: unknown): boolean
  /** Whether something in a set or a list is one; `isTool`, if it is not given. */
  knows?(value: unknown): boolean
  /** Where it is given, lists are taken. */
  readonly nameOf?: (tool: T) => unknown
  wrap(tool: T, name: string, options: O): T
}

/**
 * `governed`, however it was called. It is one tool when the options have a `name` that is text. That a tool belongs to
 * another framework is said before anything is said of the options: there it goes by another name, or by none.
 */
export function wrapAny<T, O extends object>(
  target: any,
  options: any,
  { own, isTool, knows = isTool, nameOf = undefined, wrap }: Wrapping<T, O>,
): T | T[] | Record<string, T> {
  const check = (tool: unknown, name: string): void => {
    if (!knows(tool)) refuseForeign(tool, name, own)
  }
  if (Array.isArray(target)) {
    target.forEach((tool, index) => {
      check(tool, String(nameIn(tool) ?? index))
    })
    if (nameOf) return wrapList<T, O>(target, options, wrap, nameOf)
    throw new ConfigError('invalid-option', 'tools', '`tools` is an object: each tool stands under its name')
  }
  if (typeof options?.name === 'string') {
    const { name, ...rule } = options
    check(target, name)
    return wrap(target, name, rule as O)
  }
  if (isTool(target)) {
    throw new ConfigError('invalid-option', 'name', '`name` is missing: a single tool is wrapped under a name')
  }
  // Where the options name nothing that it has, it is no set, though some sets look like a tool.
  if (isForeign(target, own) && !Object.keys(options ?? {}).some((name) => name in target)) {
    refuseForeign(target, String(nameIn(target) ?? 'tools'), own)
  }
  for (const [name, tool] of Object.entries(target ?? {})) check(tool, name)
  return wrapEach<T, O>(target, options, wrap)
}
