/** Conditions that can never hold, or never be evaluated. */
import { nearest } from '../../options.ts'
import type { CheckedRule, PolicyProblem } from './check.ts'
import { itemsOf, type Place, readsOf } from './reads.ts'
import { type Impossible, impossible, type Wanted } from './satisfiable.ts'
import { locate } from './schema-paths.ts'
import type { Tree } from './tree.ts'

/** A place in a rule that can't hold, and why. */
interface Finding {
  readonly at: string
  readonly why: Impossible
  /** The whole rule never matches, not only a part of it. */
  readonly whole: boolean
}

/** Checked as the rule stands, then for each tool it names, then for what all other tools it is for have in common. */
export function conditionProblems(rule: CheckedRule): PolicyProblem[] {
  const found = new Map<string, PolicyProblem>()
  const add = (findings: readonly Finding[], tool?: string) => {
    for (const finding of findings) {
      if (!found.has(finding.at)) found.set(finding.at, problemOf(rule, finding, tool))
    }
  }
  add(findingsOf(rule, undefined))
  for (const { name, schema } of rule.named) add(findingsOf(rule, schema), name)
  let common: readonly Finding[] | undefined
  for (const { schema } of rule.reached) {
    const findings = findingsOf(rule, schema)
    common = common ? common.filter(({ at }) => findings.some((other) => other.at === at)) : findings
    if (common.length === 0) break
  }
  add(common ?? [])
  return [...found.values()]
}

function problemOf(
  { id, compiled }: CheckedRule,
  { at, why, whole }: Finding,
  tool: string | undefined,
): PolicyProblem {
  // What can't be evaluated is enough for a rule to deny or ask, and not for one to allow.
  const errs = why.kind === 'type' && compiled.rule.then !== 'allow'
  const subject = whole ? `the rule \`${id}\`` : `\`${at}\``
  const never = errs ? 'is never evaluated' : whole ? 'never matches' : 'never holds'
  const of = tool === undefined ? '' : ` for the tool \`${tool}\``
  return {
    level: whole || errs ? 'error' : 'warning',
    code: errs ? 'always-error' : 'never-matches',
    rule: id,
    at,
    message: `${subject} ${never}${of}: ${why.message}`,
  }
}

function findingsOf({ compiled: { when, unless } }: CheckedRule, schema: unknown): readonly Finding[] {
  const whole = wholeOf(when, unless, schema)
  if (whole) return [whole]
  const findings: Finding[] = []
  const part = (wanted: Wanted) => {
    const why = impossible([wanted], schema)
    if (why) findings.push({ at: wanted.tree.at, why, whole: false })
    return why !== undefined
  }
  if (unless) part({ tree: unless, truth: true })
  for (const tree of [when, unless]) if (tree) walk(tree, undefined, part)
  return [...findings, ...strayFindings({ when, unless }, schema)]
}

/** Values in a list, or of a `ne`, that the schema does not list: the rule goes on without them, and nobody notices. */
function strayFindings(trees: { when: Tree | undefined; unless: Tree | undefined }, schema: unknown): Finding[] {
  return readsOf(trees).flatMap(({ tree, path, keys }): Finding[] => {
    if (keys === undefined || tree.kind !== 'leaf' || tree.sized || tree.path !== path || !('value' in tree.operand))
      return []
    const { value } = tree.operand
    const located = locate(schema, keys)
    if (located.kind !== 'known' || !located.enum || !['in', 'notIn', 'ne'].includes(tree.op)) return []
    const known = located.enum
    return [value].flat().flatMap((one, index): Finding[] => {
      if (known.includes(one)) return []
      const near =
        typeof one === 'string'
          ? nearest(
              one,
              known.filter((other) => typeof other === 'string'),
            )
          : undefined
      const message = `the schema lists other values${near === undefined ? '' : `; did you mean \`${near}\`?`}`
      const at = Array.isArray(value) ? `${tree.at}.${index}` : tree.at
      return [{ at, why: { kind: 'contradiction', message }, whole: false }]
    })
  })
}

/** Why a rule as a whole never matches. */
function wholeOf(when: Tree | undefined, unless: Tree | undefined, schema: unknown): Finding | undefined {
  if (when) {
    const why = impossible([{ tree: when, truth: true }], schema)
    if (why) return { at: when.at, why, whole: true }
  }
  if (!unless) return undefined
  const why = impossible([...(when ? [{ tree: when, truth: true }] : []), { tree: unless, truth: false }], schema)
  return why && { at: unless.at, why, whole: true }
}

/** Looks at each way of an `any`, and at what is said of items: a rule may match and yet have a part that is dead. */
function walk(tree: Tree, items: Place | undefined, isDead: (wanted: Wanted) => boolean): void {
  switch (tree.kind) {
    case 'all':
      for (const part of tree.trees) walk(part, items, isDead)
      return
    case 'any':
      for (const part of tree.trees) if (!isDead({ tree: part, truth: true, items })) walk(part, items, isDead)
      return
    case 'not':
      walk(tree.tree, items, isDead)
      return
    case 'each': {
      const inner = itemsOf(tree, items)
      if (!isDead({ tree: tree.tree, truth: true, items: inner })) walk(tree.tree, inner, isDead)
      return
    }
    case 'leaf':
    case 'function':
  }
}
