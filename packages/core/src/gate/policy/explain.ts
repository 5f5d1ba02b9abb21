/** Why a policy judges a call as it does: every rule, and what each part of its conditions came to. For people. */
import { type CompiledPolicy, type CompiledRule, compileTree } from './compile.ts'
import { compileNames } from './patterns.ts'
import type { PolicyVerdict, Subject } from './policy.ts'
import { readerOf } from './read-path.ts'
import { printable, says } from './says.ts'
import { ABSENT, ERROR, FALSE, TRUE, type Tree, type Truth } from './tree.ts'
import { calendarOf } from './zone.ts'

/** What a condition, or a part of one, comes to. Absent: it rests on something that is not there. */
export type TruthWord = 'true' | 'false' | 'absent' | 'error'

/** A part of a condition. Says what the policy says, never what the call brought. */
export interface ExplainedPart {
  /** Where it stands in the policy: `rules.3.when.args.amount.gt`. */
  readonly at: string
  /** `args.amount gt 100`, `all of`, `every item of args.to` … */
  readonly says: string
  readonly truth: TruthWord
  /** What it is made of. Below `every` and `some`: for the first item that settles it. */
  readonly parts: readonly ExplainedPart[]
  /** Of `every` and `some`: which item that is, counted from 0. */
  readonly item?: number
}

export interface ExplainedRule {
  readonly id: string
  readonly then: PolicyVerdict
  /** Whether it is for this tool, agent and tenant. */
  readonly applies: boolean
  /** What it is not for. */
  readonly notFor: readonly ('tool' | 'agent' | 'tenant')[]
  /** Whether it has a say in the verdict: it applies, and its conditions hold, or err where that is enough. */
  readonly matches: boolean
  /** Its conditions, when it applies. */
  readonly when?: ExplainedPart
  readonly unless?: ExplainedPart
}

/** A verdict and everything that led to it. */
export interface Explanation {
  readonly verdict: PolicyVerdict
  /** Id of the rule that decided; `default` when none matched. */
  readonly rule: string
  readonly reason: string
  /** Every rule of the policy, in its order. */
  readonly rules: readonly ExplainedRule[]
}

/** Judges a call as the policy in force does, and says why. Functions of the policy are called again for it. */
export function explainPolicy(compiled: CompiledPolicy, subject: Subject): Explanation {
  const { verdict, rule, reason } = compiled.forTool(subject.tool.name).judge(subject)
  const { zone } = compiled.policy
  return { verdict, rule, reason, rules: compiled.rules.map((one) => explainRule(one, subject, zone)) }
}

/** The same as lines of text. */
export function formatExplanation({ verdict, rule, reason, rules }: Explanation): string {
  const lines = [`${verdict}, by ${rule === 'default' ? 'the default' : `the rule ${rule}`}: ${printable(reason)}`]
  for (const one of rules) {
    if (!one.applies) continue
    lines.push(`  ${one.id} (${one.then}) ${one.matches ? 'matches' : 'does not match'}`)
    if (one.when) lines.push('    when', ...partLines(one.when, 3))
    if (one.unless) lines.push('    unless', ...partLines(one.unless, 3))
  }
  const others = rules.filter(({ applies }) => !applies)
  for (const { id, then, notFor } of others) lines.push(`  ${id} (${then}) is not for this ${notFor.join(' and ')}`)
  return lines.join('\n')
}

function partLines({ says, truth, parts, item }: ExplainedPart, depth: number): string[] {
  const which = item === undefined ? '' : `, as item ${item} shows`
  const line = `${'  '.repeat(depth)}${truth.padEnd(6)}  ${says}${which}`
  return [line, ...parts.flatMap((part) => partLines(part, depth + 1))]
}

function explainRule(compiled: CompiledRule, subject: Subject, zone: string | undefined): ExplainedRule {
  const { rule, when, unless } = compiled
  const { id, tools, agents, tenants, then } = rule
  const { session, tool } = subject
  const names = [
    ['tool', tools, tool.name],
    ['agent', agents, session.agent],
    ['tenant', tenants, session.tenant],
  ] as const
  const notFor = names.filter(([, own, name]) => compileNames(own)?.(name) === false).map(([what]) => what)
  if (notFor.length > 0) return { id, then, applies: false, notFor, matches: false }
  const parts = new Parts(subject, zone)
  return {
    id,
    then,
    applies: true,
    notFor,
    matches: compiled.truth(subject) >= (then === 'allow' ? TRUE : ERROR),
    ...(when ? { when: parts.explain(when) } : {}),
    ...(unless ? { unless: parts.explain(unless) } : {}),
  }
}

const WORDS: Readonly<Record<Truth, TruthWord>> = {
  [FALSE]: 'false',
  [ABSENT]: 'absent',
  [ERROR]: 'error',
  [TRUE]: 'true',
}

/** Evaluates the parts of conditions one by one, for one call. */
class Parts {
  readonly #subject: Subject
  readonly #zone: string | undefined

  constructor(subject: Subject, zone: string | undefined) {
    this.#subject = subject
    this.#zone = zone
  }

  explain(tree: Tree, item?: unknown): ExplainedPart {
    const { at } = tree
    const truth = WORDS[compileTree(tree, this.#zone)(this.#subject, item)]
    const explained = { at, says: says(tree), truth }
    switch (tree.kind) {
      case 'all':
      case 'any':
        return { ...explained, parts: tree.trees.map((part) => this.explain(part, item)) }
      case 'not':
        return { ...explained, parts: [this.explain(tree.tree, item)] }
      case 'each': {
        const settling = this.#settling(tree, item)
        if (!settling) return { ...explained, parts: [] }
        return { ...explained, parts: [this.explain(tree.tree, settling.item)], item: settling.index }
      }
      default:
        return { ...explained, parts: [] }
    }
  }

  /** The first item for which `every` is least, or `some` most. */
  #settling(tree: Tree & { kind: 'each' }, around: unknown): { index: number; item: unknown } | undefined {
    const list = this.#read(tree, around)
    if (!Array.isArray(list) || list.length === 0) return undefined
    const test = compileTree(tree.tree, this.#zone)
    const truths = list.map((item) => test(this.#subject, item))
    const index = truths.indexOf((tree.mode === 'every' ? Math.min : Math.max)(...truths) as Truth)
    return { index, item: list[index] }
  }

  #read(tree: Tree & { kind: 'each' }, around: unknown): unknown {
    try {
      return readerOf(tree.path, calendarOf(this.#zone))(this.#subject, around)
    } catch {
      return undefined
    }
  }
}
