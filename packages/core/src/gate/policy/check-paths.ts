/** Problems with the names of tools and of their arguments. */
import { nearest } from '../../options.ts'
import type { CheckedRule, KnownTool, PolicyProblem } from './check.ts'
import { exactText } from './glob.ts'
import { misfitMessage } from './misfits.ts'
import { compileNames } from './patterns.ts'
import { itemsOf, type Key, type Place, patternsOf, placeOf, type Read, readsOf, treeReads } from './reads.ts'
import { type Located, locate } from './schema-paths.ts'
import { ABSENT, ERROR, FALSE, TRUE, type Tree, type Truth } from './tree.ts'

/** Patterns of a rule that no known tool matches. */
export function toolProblems({ compiled, id, at }: CheckedRule, tools: readonly KnownTool[]): PolicyProblem[] {
  const given = compiled.rule.tools
  if (given === undefined) return []
  const names = tools.map(({ name }) => name)
  return patternsOf(given).flatMap((pattern, index): PolicyProblem[] => {
    const matches = compileNames(pattern)
    if (!matches || names.some(matches)) return []
    const name = exactText(pattern)
    const near = name === undefined ? undefined : nearest(name, names)
    // A policy may be for more tools than are known here; a name that is nearly right is another matter.
    const level = near === undefined ? 'warning' : 'error'
    const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
    const message = `the rule \`${id}\` is for \`${pattern}\`, which no known tool is called${hint}`
    const place = typeof given === 'string' ? `${at}.tools` : `${at}.tools.${index}`
    return [{ level, code: 'unknown-tool', rule: id, at: place, message }]
  })
}

/** Paths that the tools' schemas do not have, and those that a caller may leave out to get past a rule. */
export function argumentProblems(rule: CheckedRule): PolicyProblem[] {
  const reads = readsOf(rule.compiled).filter(({ keys }) => keys !== undefined)
  const told = new Set<string>()
  return [...reads.flatMap((read) => unknownPath(rule, read, told)), ...evasions(rule)]
}

function unknownPath(
  { id, named, reached }: CheckedRule,
  { path, at, keys }: Read,
  told: Set<string>,
): PolicyProblem[] {
  // A name that is not there is told once for each tool, not for each test of it or of what would stand below.
  const isNew = (tool: string, name: string) => told.size < told.add(`${tool} ${name}`).size
  const unknown = (tool: KnownTool) => asUnknown(locate(tool.schema, keys as readonly Key[]))
  const problems: PolicyProblem[] = []
  for (const tool of named) {
    const located = unknown(tool)
    if (!located || !isNew(tool.name, located.at)) continue
    const message = misfitMessage(id, path.text, tool.name, located)
    problems.push({ level: 'error', code: 'unknown-path', rule: id, at, message })
  }
  // A rule for many tools may ask for what only some of them take; for what none takes, hardly.
  let first: (Located & { kind: 'unknown' }) | undefined
  for (const tool of reached) {
    const located = unknown(tool)
    if (!located) return problems
    if (first?.near === undefined) first = located
  }
  if (first && isNew('*', first.at)) {
    const hint = first.near === undefined ? '' : `; did you mean \`${first.near}\`?`
    const message = `the rule \`${id}\` reads \`${path.text}\`, but no tool it is for has an argument \`${first.at}\`${hint}`
    problems.push({ level: 'warning', code: 'unknown-path', rule: id, at, message })
  }
  return problems
}

function asUnknown(located: Located): (Located & { kind: 'unknown' }) | undefined {
  return located.kind === 'unknown' ? located : undefined
}

/** A rule that stops calls by an argument which may be left out stops nobody who leaves it out. */
function evasions({ compiled, id, named, reached }: CheckedRule): PolicyProblem[] {
  const { rule, when } = compiled
  if (rule.then === 'allow' || when === undefined) return []
  const reads = [...treeReads(when)]
  const asked = reads.filter(({ tree }) => tree.kind === 'leaf' && tree.op === 'exists')
  const problems = new Map<string, PolicyProblem>()
  for (const { path, at, keys } of reads) {
    if (keys === undefined || problems.has(path.text)) continue
    // Who says `exists` of it has thought of that.
    if (asked.some((other) => other.keys && startsWith(keys, other.keys))) continue
    if (greatest(truths(when, keys)) >= ERROR) continue
    const tool = [...named, ...reached].find(({ schema }) => {
      const located = locate(schema, keys)
      return located.kind === 'known' && located.optional
    })
    if (!tool) continue
    const message = `a call of \`${tool.name}\` evades the rule \`${id}\` by leaving \`${path.text}\` out, which is optional; say \`exists\` of it, too`
    problems.set(path.text, { level: 'warning', code: 'deny-on-optional', rule: id, at, message })
  }
  return [...problems.values()]
}

const ANY: readonly Truth[] = [FALSE, ABSENT, ERROR, TRUE]

/** All that a condition can come to when one argument is left out. */
function truths(tree: Tree, missing: readonly Key[], items?: Place): readonly Truth[] {
  switch (tree.kind) {
    case 'all':
      return combined(
        tree.trees.map((part) => truths(part, missing, items)),
        Math.min,
      )
    case 'any':
      return combined(
        tree.trees.map((part) => truths(part, missing, items)),
        Math.max,
      )
    case 'not':
      return truths(tree.tree, missing, items).map((truth) => (truth === TRUE ? FALSE : truth === FALSE ? TRUE : ERROR))
    case 'leaf': {
      if (!isMissing(placeOf(tree.path, items), missing)) return ANY
      if (tree.op !== 'exists') return [ABSENT]
      return 'value' in tree.operand && tree.operand.value === false ? [TRUE] : [FALSE]
    }
    case 'each':
      // With no items at all nothing is left out; what is asked is what happens with some.
      return isMissing(placeOf(tree.path, items), missing) ? [ABSENT] : truths(tree.tree, missing, itemsOf(tree, items))
    case 'function':
      return ANY
  }
}

function combined(parts: readonly (readonly Truth[])[], pick: (a: number, b: number) => number): readonly Truth[] {
  const [first = ANY, ...rest] = parts
  return rest.reduce((before, part) => [...new Set(before.flatMap((a) => part.map((b) => pick(a, b) as Truth)))], first)
}

function greatest(all: readonly Truth[]): Truth {
  return Math.max(...all) as Truth
}

function isMissing({ root, keys }: Place, missing: readonly Key[]): boolean {
  return root === 'args' && startsWith(keys, missing)
}

function startsWith(keys: readonly Key[], first: readonly Key[]): boolean {
  return first.length <= keys.length && first.every((key, index) => keys[index] === key)
}
