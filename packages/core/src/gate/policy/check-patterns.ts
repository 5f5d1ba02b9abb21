/** Patterns on which a permission rests and which fit more than they seem to. */
import type { CheckedRule, PolicyProblem } from './check.ts'
import type { Tree } from './tree.ts'

/**
 * A `matches` finds its pattern anywhere in a text. Where a match is what lets a call through, a pattern without `^`
 * and `$` lets through whatever has the right text somewhere in it.
 */
export function patternProblems({ compiled, id }: CheckedRule): PolicyProblem[] {
  const { rule, when, unless } = compiled
  const permits = rule.then === 'allow'
  const loose = [...looseIn(when, permits), ...looseIn(unless, !permits)]
  return loose.map((at) => ({
    level: 'warning',
    code: 'unanchored-pattern',
    rule: id,
    at,
    message: `the pattern of \`${at}\` is found anywhere in a text; begin it with \`^\` and end it with \`$\` to fit the whole`,
  }))
}

/** Where loose patterns stand whose match helps a call through: `helps` turns round with every `not`. */
function looseIn(tree: Tree | undefined, helps: boolean): string[] {
  switch (tree?.kind) {
    case 'all':
    case 'any':
      return tree.trees.flatMap((part) => looseIn(part, helps))
    case 'not':
      return looseIn(tree.tree, !helps)
    case 'each':
      return looseIn(tree.tree, helps)
    case 'leaf': {
      if (!helps || tree.op !== 'matches' || !('value' in tree.operand)) return []
      return isAnchored(String(tree.operand.value)) ? [] : [tree.at]
    }
    default:
      return []
  }
}

/** Whether each alternative of a pattern begins and ends with the text. In doubt, not. */
export function isAnchored(pattern: string): boolean {
  const [flagged = '', flags = ''] = /^\(\?([a-zA-Z]+)\)/.exec(pattern) ?? []
  // With `m`, `^` and `$` are of lines.
  if (flags.includes('m')) return false
  return alternatives(pattern.slice(flagged.length)).every((one) => /^(\^|\\A)/.test(one) && endsAnchored(one))
}

function endsAnchored(pattern: string): boolean {
  const [, backslashes = '', end] = /(\\*)(\$|z)$/.exec(pattern) ?? []
  if (end === '$') return backslashes.length % 2 === 0
  return end === 'z' && backslashes.length % 2 === 1
}

/** A pattern cut at each `|` that stands in no group, class or quotation. */
function alternatives(pattern: string): string[] {
  const found: string[] = []
  let depth = 0
  let from = 0
  let inClass = false
  for (let index = 0; index < pattern.length; index++) {
    const char = pattern[index]
    if (char === '\\') index++
    else if (inClass) inClass = char !== ']'
    else if (char === '[') {
      inClass = true
      // A bracket that comes first in a class stands for itself.
      if (pattern[index + 1] === '^') index++
      if (pattern[index + 1] === ']') index++
    } else if (char === '(') depth++
    else if (char === ')') depth--
    else if (char === '|' && depth === 0) {
      found.push(pattern.slice(from, index))
      from = index + 1
    }
  }
  return [...found, pattern.slice(from)]
}
