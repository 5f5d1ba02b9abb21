/** Patterns of texts, made ready once: names of tools, agents and tenants, and regular expressions. */
import { RE2JS } from 're2js'
import { compileGlob, exactText, type Matcher, MOST_STEPS } from './glob.ts'

/** A matcher for a rule's `tools`, `agents` or `tenants`. `undefined`: every name matches. */
export function compileNames(names: string | readonly string[] | undefined): Matcher | undefined {
  if (names === undefined) return undefined
  const list = typeof names === 'string' ? [names] : names
  if (list.some((name) => /^\*+$/.test(name))) return undefined
  return compileGlobs(list)
}

/** A matcher for any of several globs; those without a star cost one look-up, however many. */
export function compileGlobs(globs: readonly string[]): Matcher {
  const exact = new Set<string>()
  const others: Matcher[] = []
  for (const glob of globs) {
    const text = exactText(glob)
    if (text === undefined) others.push(compileGlob(glob))
    else exact.add(text)
  }
  const [one] = exact
  const [other] = others
  if (others.length === 0) return exact.size === 1 ? (text) => text === one : (text) => exact.has(text)
  if (exact.size === 0 && others.length === 1) return other as Matcher
  return (text) => exact.has(text) || others.some((matches) => matches(text))
}

/** The names a rule is for, when every one of them is written out. `undefined`: it has stars, or is for all. */
export function exactNames(names: string | readonly string[] | undefined): readonly string[] | undefined {
  if (names === undefined) return undefined
  const texts = (typeof names === 'string' ? [names] : names).map(exactText)
  return texts.every((text) => text !== undefined) ? [...new Set(texts)] : undefined
}

/** Instructions of a compiled regular expression. Counted repeats multiply them, and each may look at each character. */
const LARGEST_PROGRAM = 5_000

/** What is wrong with a regular expression, as the end of a sentence that begins with where it stands. */
export function regexProblem(source: string): string | undefined {
  if (source.length > 1_000) return 'is longer than 1,000 characters'
  try {
    if (RE2JS.compile(source).programSize() <= LARGEST_PROGRAM) return undefined
    return 'repeats too much to be matched in good time'
  } catch {
    // The engine's own message quotes the pattern; the path is enough to find it.
    return 'is not a regular expression of RE2’s syntax, which has no look-around and no back-references'
  }
}

/** A matcher that finds a regular expression anywhere in a text, in time linear in the text. Throws for endless texts. */
export function compileRegex(source: string): Matcher {
  const regex = RE2JS.compile(source)
  const longest = MOST_STEPS / regex.programSize()
  return (text) => {
    if (text.length > longest) throw new RangeError('the text is too long for the pattern')
    return regex.test(text)
  }
}
