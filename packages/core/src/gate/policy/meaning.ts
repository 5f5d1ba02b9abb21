/** What the shape of a document can't say: the sense of its fields together, its conditions, its patterns. */
import { parseDuration } from '../../duration.ts'
import { globProblem } from './glob.ts'
import { parseCondition } from './parse.ts'
import type { Policy, Rule } from './policy.ts'
import { below, problem } from './problem.ts'
import type { Tree } from './tree.ts'
import { zoneProblem } from './zone.ts'

/** Fields of rules that ask, and of no others. */
const ASKING = ['approvers', 'quorum', 'timeout', 'onTimeout', 'selfApproval', 'grant'] as const

/** Checks a document whose shape is right. Throws `ConfigError`. */
export function checkMeaning(policy: Policy): void {
  if (policy.default === 'allow' && policy.allowByDefault !== true) {
    throw problem('default', 'is `allow`, which needs `allowByDefault: true` beside it')
  }
  if (policy.allowByDefault && policy.default !== 'allow') {
    throw problem('allowByDefault', 'is said of a `default` other than `allow`')
  }
  const wrong = policy.zone === undefined ? undefined : zoneProblem(policy.zone)
  if (wrong !== undefined) throw problem('zone', wrong)
  const seen = new Map<string, number>()
  for (const [index, one] of policy.rules.entries()) {
    const at = `rules.${index}`
    if (one.id === 'default')
      throw problem(`${at}.id`, 'is reserved: it names what becomes of a call that no rule matches')
    const other = seen.get(one.id)
    if (other !== undefined) throw problem(`${at}.id`, `is the id of \`rules.${other}\`, too`)
    seen.set(one.id, index)
    checkRule(one, at, policy.version !== undefined)
  }
}

function checkRule(rule: Rule, at: string, versioned: boolean): void {
  for (const field of ['tools', 'agents', 'tenants'] as const) checkNames(rule[field], field, `${at}.${field}`)
  for (const field of ['when', 'unless'] as const) {
    if (rule[field] === undefined) continue
    const tree = parseCondition(rule[field], `${at}.${field}`)
    const place = versioned ? undefined : functionIn(tree)
    if (place !== undefined)
      throw problem(place, 'is a function, which needs a `version` of the policy: no hash sees into it')
  }
  if (rule.then !== 'ask') {
    const field = ASKING.find((field) => rule[field] !== undefined)
    if (field) throw problem(`${at}.${field}`, 'is for rules that `ask`')
  }
  if (rule.approvers && (rule.quorum ?? 1) > new Set(rule.approvers).size) {
    throw problem(`${at}.quorum`, 'is more than there are approvers')
  }
  if (rule.timeout !== undefined) checkTimeout(rule.timeout, `${at}.timeout`)
  if (rule.grant !== undefined) checkTimeout(rule.grant.for, `${at}.grant.for`)
}

/** What names are made of; a pattern with anything else in it is a rule for nobody, such as `pay, refund` or `!delete`. */
const NAMES: Readonly<Record<'tools' | 'agents' | 'tenants', RegExp>> = {
  tools: /^[A-Za-z0-9_.:/*-]+$/,
  agents: /^[A-Za-z0-9_.:@/*-]+$/,
  tenants: /^[A-Za-z0-9_.:@/*-]+$/,
}

function nameProblem(name: string, field: keyof typeof NAMES): string | undefined {
  if (NAMES[field].test(name)) return undefined
  const letters = `letters, digits, \`_\`, \`.\`, \`:\`${field === 'tools' ? '' : ', `@`'}, \`/\` and \`-\``
  return `has a character that no name has; names are of ${letters}, and \`*\` stands for any run of them; several names are a list`
}

function checkNames(given: string | readonly string[] | undefined, field: keyof typeof NAMES, at: string): void {
  for (const [index, name] of [given ?? []].flat().entries()) {
    const wrong = globProblem(name) ?? nameProblem(name, field)
    if (wrong !== undefined) throw problem(typeof given === 'string' ? at : below(at, index), wrong)
  }
}

function checkTimeout(timeout: string, at: string): void {
  try {
    parseDuration(timeout, at)
  } catch {
    throw problem(at, 'is not a duration such as `30s`, `5m`, `1h` or `7d`')
  }
}

/** Where the first function of a condition stands. */
function functionIn(tree: Tree): string | undefined {
  if (tree.kind === 'function') return tree.at
  if (tree.kind === 'all' || tree.kind === 'any') return tree.trees.map(functionIn).find((at) => at !== undefined)
  if (tree.kind === 'not') return functionIn(tree.tree)
  // No function stands in `every` or `some`.
  return undefined
}
