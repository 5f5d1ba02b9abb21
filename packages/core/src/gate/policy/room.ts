/**
 * Whether a policy leaves room for any call of a tool, whatever its arguments: what reads none of them is evaluated,
 * what reads them may come to anything. For what a model is shown beforehand; a call itself is judged.
 */

import { type CompiledPolicy, type CompiledRule, compileTree } from './compile.ts'
import { opposite } from './operators.ts'
import type { Subject } from './policy.ts'
import { treeReads } from './reads.ts'
import { ABSENT, ERROR, FALSE, TRUE, type Tree, type Truth } from './tree.ts'

/** Who would call which tool, and when. */
export type Caller = Omit<Subject, 'args'>

/** What a condition may come to: a bit for each truth. */
type Truths = number
type Outlook = (subject: Subject) => Truths

const TRUTHS: readonly Truth[] = [FALSE, ABSENT, ERROR, TRUE]
const bit = (truth: Truth): Truths => 1 << truth
const ANYTHING: Truths = TRUTHS.reduce<Truths>((truths, truth) => truths | bit(truth), 0)
/** A rule that denies or asks matches when its condition errs, too. */
const STRICT: Truths = bit(ERROR) | bit(TRUE)

/** Whether some call would be allowed, or a person asked. In doubt, it would. */
export function leavesRoom(compiled: CompiledPolicy, caller: Caller): boolean {
  const subject: Subject = { ...caller, args: undefined }
  const { default: fallback, zone } = compiled.policy
  const rules = compiled.forTool(caller.tool.name).rules.filter((rule) => rule.applies(subject))
  // Invariant: nothing is hidden that could be allowed. A rule denies every call only if it matches whatever they bring.
  const closes = (rule: CompiledRule) => (outlookOf(rule, zone)(subject) & ~STRICT) === 0
  const opens = (rule: CompiledRule, truths: Truths) => (outlookOf(rule, zone)(subject) & truths) !== 0
  if (rules.some((rule) => rule.rule.then === 'deny' && closes(rule))) return false
  if (fallback !== 'deny') return true
  return rules.some((rule) => {
    const { then } = rule.rule
    return then === 'allow' ? opens(rule, bit(TRUE)) : then === 'ask' && opens(rule, STRICT)
  })
}

/** Worked out once for each rule. */
const outlooks = new WeakMap<CompiledRule, Outlook>()

function outlookOf(rule: CompiledRule, zone: string | undefined): Outlook {
  let outlook = outlooks.get(rule)
  if (!outlook) {
    const { when, unless } = rule
    const parts = [...(when ? [treeOutlook(when, zone)] : []), ...(unless ? [turned(treeOutlook(unless, zone))] : [])]
    outlook = parts.reduce(
      (one, other) => joined(one, other, Math.min),
      () => bit(TRUE),
    )
    outlooks.set(rule, outlook)
  }
  return outlook
}

function treeOutlook(tree: Tree, zone: string | undefined): Outlook {
  if (!restsOnArgs(tree)) {
    const test = compileTree(tree, zone)
    return (subject) => bit(test(subject))
  }
  switch (tree.kind) {
    case 'all':
    case 'any': {
      const pick = tree.kind === 'all' ? Math.min : Math.max
      return tree.trees.map((part) => treeOutlook(part, zone)).reduce((one, other) => joined(one, other, pick))
    }
    case 'not':
      return turned(treeOutlook(tree.tree, zone))
    default:
      return () => ANYTHING
  }
}

/** Functions are given the whole call and may read anything of it. */
function restsOnArgs(tree: Tree): boolean {
  return callsFunction(tree) || [...treeReads(tree)].some(({ keys }) => keys !== undefined)
}

function callsFunction(tree: Tree): boolean {
  if (tree.kind === 'all' || tree.kind === 'any') return tree.trees.some(callsFunction)
  return tree.kind === 'function' || (tree.kind === 'not' && callsFunction(tree.tree))
}

/** `all` is the least of its parts, `any` the greatest, for whatever each may come to. */
function joined(one: Outlook, other: Outlook, pick: (a: number, b: number) => number): Outlook {
  return (subject) => {
    const [some, others] = [eachOf(one(subject)), eachOf(other(subject))]
    return some.reduce<Truths>(
      (truths, a) => others.reduce<Truths>((all, b) => all | bit(pick(a, b) as Truth), truths),
      0,
    )
  }
}

function turned(outlook: Outlook): Outlook {
  return (subject) => eachOf(outlook(subject)).reduce<Truths>((truths, truth) => truths | bit(opposite(truth)), 0)
}

function eachOf(truths: Truths): readonly Truth[] {
  return TRUTHS.filter((truth) => truths & bit(truth))
}
