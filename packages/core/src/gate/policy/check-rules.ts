/** Problems that rules have with one another. */
import { isDeepStrictEqual } from 'node:util'
import { canonical } from '../../call.ts'
import type { CheckedRule, PolicyProblem } from './check.ts'
import { compileGlob, exactText } from './glob.ts'
import type { Rule } from './policy.ts'
import { patternsOf } from './reads.ts'

/** Rules that others make idle, that say what another says, or that allow everything. */
export function ruleProblems(rules: readonly CheckedRule[]): PolicyProblem[] {
  const unconditional = rules.filter(({ compiled }) => !compiled.when && !compiled.unless)
  return [
    ...rules.flatMap((rule) => shadowed(rule, unconditional)),
    ...duplicates(rules),
    ...unconditional.flatMap(wide),
  ]
}

function shadowed({ compiled: { rule }, id, at }: CheckedRule, unconditional: readonly CheckedRule[]): PolicyProblem[] {
  if (rule.then === 'deny') return []
  const stricter = unconditional.find(({ compiled: { rule: other } }) => {
    const outranks = other.then === 'deny' || (other.then === 'ask' && rule.then === 'allow')
    return outranks && isWithin(rule, other)
  })
  if (!stricter) return []
  const does = stricter.compiled.rule.then === 'deny' ? 'denies' : 'asks for'
  const message = `the rule \`${id}\` has no say: \`${stricter.id}\` ${does} every call that it is for`
  return [{ level: 'warning', code: 'shadowed', rule: id, at, message }]
}

/** Whether every call that a rule is for is one that another is for. In doubt, not. */
function isWithin(rule: Rule, other: Rule): boolean {
  return (['tools', 'agents', 'tenants'] as const).every((field) => covers(other[field], rule[field]))
}

function covers(wide: Rule['tools'], narrow: Rule['tools']): boolean {
  const globs = patternsOf(wide).map(compileGlob)
  // A star made a letter that no name has is matched only by another star: what matches it, matches all it stands for.
  const texts = patternsOf(narrow).map((pattern) => exactText(pattern) ?? pattern.replaceAll('*', '\uE000'))
  return texts.every((text) => globs.some((matches) => matches(text)))
}

function duplicates(rules: readonly CheckedRule[]): PolicyProblem[] {
  const seen = new Map<string, CheckedRule[]>()
  const problems: PolicyProblem[] = []
  for (const one of rules) {
    const key = meaningOf(one.compiled.rule)
    const others = seen.get(key) ?? []
    const twin = others.find((other) => sameFunctions(one.compiled.rule, other.compiled.rule))
    others.push(one)
    seen.set(key, others)
    if (!twin) continue
    const message = `the rule \`${one.id}\` says what \`${twin.id}\` says`
    problems.push({ level: 'warning', code: 'duplicate', rule: one.id, at: one.at, message })
  }
  return problems
}

/** All of a rule but its names for itself, as text in which functions are not told apart for certain. */
function meaningOf({ id: _, because: __, tools, agents, tenants, ...rest }: Rule): string {
  return canonical({ ...rest, names: [tools, agents, tenants].map((names) => [...new Set(patternsOf(names))].sort()) })
}

function sameFunctions(a: Rule, b: Rule): boolean {
  return isDeepStrictEqual(a.when, b.when) && isDeepStrictEqual(a.unless, b.unless)
}

function wide({ compiled: { rule }, id, at }: CheckedRule): PolicyProblem[] {
  if (rule.then !== 'allow' || !covers(rule.tools, undefined)) return []
  const message = `the rule \`${id}\` allows every tool, also those that are added later; name the tools in \`tools\`, or say \`when\``
  return [{ level: 'warning', code: 'wide-allow', rule: id, at, message }]
}
