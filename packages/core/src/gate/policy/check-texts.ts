/** Texts that read like something else: a path, a comparison, a number, another language's pattern. */
import { ConfigError } from '../../errors.ts'
import type { CheckedRule, PolicyProblem } from './check.ts'
import { parsePath } from './paths.ts'
import { type Leaf, readsOf } from './reads.ts'

/**
 * A text that is compared as it stands is never wrong, and yet may not be what was meant: a rule that waits for the
 * text `session.agent` waits for ever. What such a text means elsewhere is told; the text itself is not repeated.
 */
export function textProblems({ compiled, id }: CheckedRule): PolicyProblem[] {
  return readsOf(compiled).flatMap(({ tree, path }): PolicyProblem[] => {
    if (tree.kind !== 'leaf' || tree.path !== path || !('value' in tree.operand)) return []
    const { value } = tree.operand
    return [value].flat().flatMap((one, index): PolicyProblem[] => {
      const why = typeof one === 'string' ? meaningOf(tree.op, one) : undefined
      if (why === undefined) return []
      const at = Array.isArray(value) ? `${tree.at}.${index}` : tree.at
      return [{ level: 'warning', code: 'literal-text', rule: id, at, message: `the text of \`${at}\` ${why}` }]
    })
  })
}

function meaningOf(op: Leaf['op'], text: string): string | undefined {
  if (op === 'matches')
    return LIKE_LITERAL.test(text) ? 'has slashes around it, which are part of the pattern' : undefined
  if (op === 'glob')
    return LIKE_GLOB.test(text) ? 'has more than `*` in it, and in a glob only `*` is special' : undefined
  if (isPath(text)) return 'reads like a path; another path is written `{ path: … }`'
  if (/\$\{|\{\{/.test(text)) return 'reads like a template, in which nothing is filled in'
  if (/^\s*(<=?|>=?|[!=]==?)\s*[$€£+-]?\d/.test(text))
    return 'reads like a comparison; operators are keys, such as `gt`'
  if (ORDERS.includes(op) && LIKE_NUMBER.test(text)) {
    return 'reads like a number, and is compared letter by letter; a number is written without quotes and signs'
  }
  return undefined
}

const ORDERS: readonly string[] = ['gt', 'gte', 'lt', 'lte']
const LIKE_NUMBER = /^\s*[$€£]?\s*[+-]?(\d[\d_,.' ]*(e[+-]?\d+)?|\.?inf(inity)?|\.?nan)\s*[$€£%]?\s*$/i
/** `/^pay/i`: as JavaScript and Perl write a pattern. */
const LIKE_LITERAL = /^\/(\^.*|.*\$|.+(?=\/[gimsuy]+$))\/[gimsuy]*$/
/** `[ab]`, `{a,b}`, a leading `!`; a `?` but the one that begins a query. */
const LIKE_GLOB = /^!|\[[^\]]+\]|\{[^}]*,[^}]*\}|\?(?![\w%.-]*=)/

function isPath(text: string): boolean {
  if (!/^(args|session|tool|time|item)[.[]/.test(text)) return false
  try {
    parsePath(text, '', true)
    return true
  } catch (error) {
    if (ConfigError.isInstance(error)) return false
    throw error
  }
}
