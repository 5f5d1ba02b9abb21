/**
 * What is sound in a policy and yet can't be meant: names that no tool has, rules that never match, rules that others
 * make idle. Nothing here is part of judging; it is for whoever writes a policy, before it is in force.
 */
import { ConfigError } from '../../errors.ts'
import { checkKeys } from '../../options.ts'
import { conditionProblems } from './check-conditions.ts'
import { argumentProblems, toolProblems } from './check-paths.ts'
import { patternProblems } from './check-patterns.ts'
import { ruleProblems } from './check-rules.ts'
import { textProblems } from './check-texts.ts'
import { type CompiledPolicy, type CompiledRule, compilePolicy } from './compile.ts'
import { compileNames } from './patterns.ts'
import { namesExactly } from './reads.ts'

/** A tool that the policy is for. */
export interface KnownTool {
  readonly name: string
  /** JSON Schema of its arguments; unknown unless given. */
  readonly schema?: unknown
}

export type ProblemCode =
  | 'invalid-policy'
  | 'unknown-path'
  | 'unknown-tool'
  | 'never-matches'
  | 'always-error'
  | 'deny-on-optional'
  | 'shadowed'
  | 'duplicate'
  | 'unanchored-pattern'
  | 'literal-text'
  | 'wide-allow'

export interface PolicyProblem {
  /** An error can't be meant; a warning may be. */
  readonly level: 'error' | 'warning'
  readonly code: ProblemCode
  /** Id of the rule. */
  readonly rule?: string
  /** Where it stands in the policy: `rules.3.when.args.amount.gt`. */
  readonly at: string
  readonly message: string
}

export interface PolicyCheck {
  /** There is no error; there may be warnings. */
  readonly ok: boolean
  readonly problems: readonly PolicyProblem[]
}

/** A rule, and the known tools that it is for. */
export interface CheckedRule {
  readonly compiled: CompiledRule
  readonly id: string
  /** `rules.3` */
  readonly at: string
  /** Tools that it names. */
  readonly named: readonly KnownTool[]
  /** Tools that it reaches by a wildcard, or as one of all. */
  readonly reached: readonly KnownTool[]
}

/**
 * Looks a policy over. With the `tools` it is for, their names and the paths into their arguments are checked, too. A
 * document that is no policy is reported as one problem, not thrown; wrong `options` throw `ConfigError`.
 */
export function checkPolicy(policy: unknown, options: { readonly tools?: readonly KnownTool[] } = {}): PolicyCheck {
  checkKeys(options, ['tools'], 'options of `checkPolicy`')
  const { tools } = options
  if (tools !== undefined) checkTools(tools)
  let compiled: CompiledPolicy
  try {
    compiled = compilePolicy(policy)
  } catch (error) {
    if (!ConfigError.isInstance(error)) throw error
    const { path, message } = error
    return { ok: false, problems: [{ level: 'error', code: 'invalid-policy', at: path, message }] }
  }
  const rules = compiled.rules.map((rule) => checkedRule(rule, tools ?? []))
  const problems = [
    ...(tools === undefined ? [] : rules.flatMap((rule) => toolProblems(rule, tools))),
    ...rules.flatMap((rule) => [
      ...argumentProblems(rule),
      ...conditionProblems(rule),
      ...patternProblems(rule),
      ...textProblems(rule),
    ]),
    ...ruleProblems(rules),
  ]
  return { ok: problems.every(({ level }) => level !== 'error'), problems }
}

function checkTools(tools: unknown): void {
  const named = (tool: unknown) =>
    typeof tool === 'object' && tool !== null && typeof (tool as { name?: unknown }).name === 'string'
  if (Array.isArray(tools) && tools.every(named)) return
  throw new ConfigError('invalid-option', 'tools', '`tools` is a list of `{ name, schema }`')
}

function checkedRule(compiled: CompiledRule, tools: readonly KnownTool[]): CheckedRule {
  const { id, tools: patterns } = compiled.rule
  const matches = compileNames(patterns) ?? (() => true)
  const own = tools.filter(({ name }) => matches(name))
  return {
    compiled,
    id,
    at: `rules.${compiled.index}`,
    named: own.filter(({ name }) => namesExactly(patterns, name)),
    reached: own.filter(({ name }) => !namesExactly(patterns, name)),
  }
}
