/** A policy made ready: checked, its conditions turned into closures, its rules sorted by tool. */
import { createHash } from 'node:crypto'
import { canonical } from '../../call.ts'
import { all, any, called, each, not, sized } from './combine.ts'
import { type ReadyRule, type ToolRules, toolRules } from './judge.ts'
import { compareWithPath, compareWithValue, type Test } from './operators.ts'
import { parseCondition } from './parse.ts'
import { compileNames, exactNames } from './patterns.ts'
import type { Policy, Rule, Subject } from './policy.ts'
import { readerOf } from './read-path.ts'
import { checkDocument } from './schema.ts'
import { ERROR, TRUE, type Tree, type Truth } from './tree.ts'
import { type Calendar, calendarOf } from './zone.ts'

export type { ToolRules } from './judge.ts'

export interface CompiledPolicy {
  /** The private, frozen copy that was compiled. */
  readonly policy: Policy
  /** SHA-256 (hex) of the document's canonical JSON, in which a function is `{"$function":true}`. */
  readonly hash: string
  readonly rules: readonly CompiledRule[]
  /** The rules of one tool, worked out once and remembered. */
  forTool(name: string): ToolRules
}

export interface CompiledRule {
  readonly rule: Rule
  /** Its place in the document. */
  readonly index: number
  readonly when?: Tree
  readonly unless?: Tree
  /** Whether it is for the session's agent and tenant; also when those can't be read. Never throws. */
  applies(subject: Subject): boolean
  /** What `when` and `unless` come to together. Never throws. */
  truth(subject: Subject): Truth
}

/** How many tools are remembered. Beyond it all are forgotten: names that someone makes up can't fill the memory. */
const MOST_TOOLS = 4_096

/** Checks and compiles a document. Throws `ConfigError` (`invalid-policy`). */
export function compilePolicy(document: Policy | unknown): CompiledPolicy {
  const policy = checkDocument(document)
  const calendar = calendarOf(policy.zone)
  const rules = policy.rules.map((rule, index) => readyRule(rule, index, calendar))
  const { exact, others } = indexOf(rules)
  const known = new Map<string, ToolRules>()
  return {
    policy,
    hash: hashOf(policy),
    rules: Object.freeze(rules.map(({ compiled }) => compiled)),
    forTool(name) {
      const remembered = known.get(name)
      if (remembered) return remembered
      const own = [...(exact.get(name) ?? []), ...others.filter(({ matches }) => matches(name)).map(({ rule }) => rule)]
      const made = toolRules(
        own.sort((a, b) => a.compiled.index - b.compiled.index),
        policy.default,
      )
      if (known.size >= MOST_TOOLS) known.clear()
      known.set(name, made)
      return made
    },
  }
}

/** Turns a tree into a closure. It throws only where the subject itself does when it is read. */
export function compileTree(tree: Tree, zone?: string): (subject: Subject, item?: unknown) => Truth {
  const test = testOf(tree, calendarOf(zone))
  return (subject, item) => safely(test, subject, item)
}

function readyRule(rule: Rule, index: number, calendar: Calendar): ReadyRule {
  const when = rule.when === undefined ? undefined : parseCondition(rule.when, `rules.${index}.when`)
  const unless = rule.unless === undefined ? undefined : parseCondition(rule.unless, `rules.${index}.unless`)
  const test = ruleTest(when && testOf(when, calendar), unless && testOf(unless, calendar))
  const callers = callersOf(rule)
  const [agent, ...more] = rule.tenants === undefined ? (exactNames(rule.agents) ?? []) : []
  const alone = more.length === 0 ? agent : undefined
  const compiled: CompiledRule = {
    rule,
    index,
    ...(when && { when }),
    ...(unless && { unless }),
    applies: (subject) => {
      try {
        return callers === undefined || callers(subject)
      } catch {
        return true
      }
    },
    truth: test === undefined ? () => TRUE : (subject) => safely(test, subject, undefined),
  }
  return { compiled, agent: alone, callers: alone === undefined ? callers : undefined, test }
}

/** What can't be read is an error, which never helps the caller. */
function safely(test: Test, subject: Subject, item: unknown): Truth {
  try {
    return test(subject, item)
  } catch {
    return ERROR
  }
}

function ruleTest(when: Test | undefined, unless: Test | undefined): Test | undefined {
  if (unless === undefined) return when
  return when === undefined ? not(unless) : all([when, not(unless)])
}

/** `undefined`: the rule is for every agent and every tenant. */
function callersOf({ agents, tenants }: Rule): ((subject: Subject) => boolean) | undefined {
  const agent = compileNames(agents)
  const tenant = compileNames(tenants)
  if (!tenant) return agent && (({ session }) => agent(session.agent))
  if (!agent) return ({ session }) => tenant(session.tenant)
  return ({ session }) => agent(session.agent) && tenant(session.tenant)
}

function testOf(tree: Tree, calendar: Calendar): Test {
  switch (tree.kind) {
    case 'all':
      return all(tree.trees.map((part) => testOf(part, calendar)))
    case 'any':
      return any(tree.trees.map((part) => testOf(part, calendar)))
    case 'not':
      return not(testOf(tree.tree, calendar))
    case 'each':
      return each(tree.mode, readerOf(tree.path, calendar), testOf(tree.tree, calendar))
    case 'function':
      return called(tree.test)
    case 'leaf': {
      const value = readerOf(tree.path, calendar)
      const read = tree.sized ? sized(value) : value
      return 'path' in tree.operand
        ? compareWithPath(tree.op, read, readerOf(tree.operand.path, calendar))
        : compareWithValue(tree.op, read, tree.operand.value)
    }
  }
}

/** Rules by the names of their tools, as far as those are written out; a rule with a `*` is tried for each new name. */
function indexOf(rules: readonly ReadyRule[]): {
  readonly exact: ReadonlyMap<string, readonly ReadyRule[]>
  readonly others: readonly { readonly rule: ReadyRule; matches(name: string): boolean }[]
} {
  const exact = new Map<string, ReadyRule[]>()
  const others: { rule: ReadyRule; matches(name: string): boolean }[] = []
  for (const rule of rules) {
    const { tools } = rule.compiled.rule
    const names = exactNames(tools)
    if (names === undefined) others.push({ rule, matches: compileNames(tools) ?? (() => true) })
    for (const name of names ?? []) {
      const own = exact.get(name)
      if (own) own.push(rule)
      else exact.set(name, [rule])
    }
  }
  return { exact, others }
}

/** SHA-256 (hex) of a document or a part of one, as canonical JSON. */
export function hashOf(part: Policy | readonly object[]): string {
  return createHash('sha256')
    .update(canonical(withoutFunctions(part)))
    .digest('hex')
}

function withoutFunctions(value: unknown): unknown {
  if (typeof value === 'function') return { $function: true }
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withoutFunctions)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutFunctions(item)]))
}
