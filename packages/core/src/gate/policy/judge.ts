/** Judging a call by the rules of one tool. */
import type { CompiledRule } from './compile.ts'
import type { Test } from './operators.ts'
import type { Decision, PolicyVerdict, Rule, Subject } from './policy.ts'
import { ERROR, FALSE, TRUE, type Truth } from './tree.ts'

export interface ToolRules {
  /** The rules that are for this tool, in the order of the document. */
  readonly rules: readonly CompiledRule[]
  /** Pure and synchronous; never throws. */
  judge(subject: Subject): Decision
}

/** A rule in the parts that judging needs. */
export interface ReadyRule {
  readonly compiled: CompiledRule
  /** The only agent it is for, when it is for one and no more is asked about who calls. */
  readonly agent: string | undefined
  /** Whether it is for who calls. `undefined`: there is nothing to ask, or nothing but `agent`. */
  readonly callers: ((subject: Subject) => boolean) | undefined
  /** `undefined`: it has no conditions. */
  readonly test: Test | undefined
}

/** The same and its decision, laid out flat: with many rules in use, a call costs as many places as it visits. */
interface Judge extends Omit<ReadyRule, 'compiled'> {
  readonly decision: Decision
  readonly rule: Rule
}

const NOBODY: readonly Rule[] = Object.freeze([])

/** The rules of one tool. */
class Rules implements ToolRules {
  readonly rules: readonly CompiledRule[]
  /** Those that deny, then those that ask, then those that allow. */
  readonly #judges: readonly Judge[]
  readonly #asksFrom: number
  readonly #allowsFrom: number
  readonly #none: Decision

  constructor(rules: readonly ReadyRule[], fallback: PolicyVerdict) {
    const denying = judgesOf('deny', rules)
    const asking = judgesOf('ask', rules)
    this.rules = Object.freeze(rules.map(({ compiled }) => compiled))
    this.#judges = [...denying, ...asking, ...judgesOf('allow', rules)]
    this.#asksFrom = denying.length
    this.#allowsFrom = denying.length + asking.length
    this.#none = decision(fallback, 'default', `no rule matches, and the default is \`${fallback}\``)
  }

  judge(subject: Subject): Decision {
    const judges = this.#judges
    let index = 0
    // Invariant: a condition that can't be evaluated never helps the caller: it is enough to deny and to ask, …
    for (; index < this.#asksFrom; index++) {
      const judge = judges[index] as Judge
      if (truthOf(judge, subject) >= ERROR) return judge.decision
    }
    if (index < this.#allowsFrom) {
      const asking = this.#ask(subject)
      if (asking) return asking
      index = this.#allowsFrom
    }
    // … and not enough to allow.
    for (; index < judges.length; index++) {
      const judge = judges[index] as Judge
      if (truthOf(judge, subject) === TRUE) return judge.decision
    }
    return this.#none
  }

  /** Every rule that asks is part of the question. */
  #ask(subject: Subject): Decision | undefined {
    let first: Decision | undefined
    let asking: Rule[] | undefined
    for (let index = this.#asksFrom; index < this.#allowsFrom; index++) {
      const judge = this.#judges[index] as Judge
      if (truthOf(judge, subject) < ERROR) continue
      if (!first) first = judge.decision
      else if (asking) asking.push(judge.rule)
      else asking = [...first.asking, judge.rule]
    }
    return first && asking ? Object.freeze({ ...first, asking: Object.freeze(asking) }) : first
  }
}

/** `rules` stand in the order of the document. */
export function toolRules(rules: readonly ReadyRule[], fallback: PolicyVerdict): ToolRules {
  return new Rules(rules, fallback)
}

/** What can't be read is an error. */
function truthOf({ agent, callers, test }: Judge, subject: Subject): Truth {
  try {
    if (agent !== undefined && subject.session.agent !== agent) return FALSE
    if (callers !== undefined && !callers(subject)) return FALSE
    return test === undefined ? TRUE : test(subject, undefined)
  } catch {
    return ERROR
  }
}

function judgesOf(verdict: PolicyVerdict, rules: readonly ReadyRule[]): readonly Judge[] {
  const own = rules.filter(({ compiled }) => compiled.rule.then === verdict)
  return own.map(({ compiled: { rule }, agent, callers, test }) => {
    const reason = rule.because ?? `rule \`${rule.id}\` ${SAYS[verdict]}`
    const asking = verdict === 'ask' ? Object.freeze([rule]) : NOBODY
    return { decision: decision(verdict, rule.id, reason, asking), agent, callers, test, rule }
  })
}

const SAYS: Readonly<Record<PolicyVerdict, string>> = {
  allow: 'allows this call',
  ask: 'asks for approval of this call',
  deny: 'denies this call',
}

function decision(verdict: PolicyVerdict, rule: string, reason: string, asking: readonly Rule[] = NOBODY): Decision {
  return Object.freeze({ verdict, rule, reason, asking })
}
