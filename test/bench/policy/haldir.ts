/** Haldir's side: the same rules as a policy document, and rows of its own for what costs it more. */
import {
  type ConditionMap,
  compilePolicy,
  type Policy,
  type Rule,
  type SessionFacts,
  type Subject,
  type ToolFacts,
} from '@haldir/core/policy'
import type { Contestant, Decide } from './contestant.ts'
import { AGENTS, type BenchCall, type BenchRule, callsOf, reference, rulesOf } from './rules.ts'
import type { Timed } from './timing.ts'

const NOON = Date.UTC(2026, 0, 15, 12)

export const haldir: Contestant = {
  name: 'Haldir',
  engine: (rules, calls) => decideBy({ default: 'deny', rules: rules.map(ruleOf) }, subjectsOf(calls)),
}

/** What costs more than a comparison, or could. Throws when one answer is wrong. */
export function ownRows(): Timed[] {
  const rules = rulesOf(1_000)
  const tools = [...new Set(rules.map(({ tool }) => tool))]
  const calls = callsOf(rules).filter(({ tool }) => tool !== 'tool_unknown')
  const few = callsOf(rulesOf(10))
  return [
    {
      name: 'calls of the first three tools alone',
      decide: checked(rules.map(ruleOf), few, (call) => reference(rules, call)),
    },
    {
      name: 'three patterns a call',
      decide: checked(
        tools.flatMap((tool) =>
          threeAndAllow(tool, (which) => ({ 'args.account': { matches: `^(iban|card)_[a-f0-9]+_${which}$` } })),
        ),
        calls,
        () => true,
      ),
    },
    {
      name: 'three conditions on the hour in Berlin',
      decide: checked(
        tools.flatMap((tool) => threeAndAllow(tool, (which) => ({ 'time.hour': { gte: 21 + which } }))),
        calls,
        () => true,
      ),
    },
    {
      name: 'all on one tool, 999 comparisons a call',
      decide: checked(
        [
          ...Array.from({ length: 999 }, (_, which) => overRule('tool_0', which)),
          { id: 'allow', tools: 'tool_0', then: 'allow' },
        ],
        calls.map((call) => ({ ...call, tool: 'tool_0' })),
        () => true,
      ),
    },
  ]
}

/** Four rules of a tool: three that are looked at to their end and do not match, one that allows. */
function threeAndAllow(tool: string, when: (which: number) => ConditionMap): Rule[] {
  const denying = [1, 2, 3].map(
    (which): Rule => ({ id: `${tool}.${which}`, tools: tool, when: when(which), then: 'deny' }),
  )
  return [...denying, { id: `${tool}.allow`, tools: tool, then: 'allow' }]
}

function overRule(tools: string, which: number): Rule {
  return { id: `over_${which}`, tools, when: { 'args.amount': { gt: 1e9 + which } }, then: 'deny' }
}

function checked(rules: readonly Rule[], calls: readonly BenchCall[], answer: (call: BenchCall) => boolean): Decide {
  const decide = decideBy({ zone: 'Europe/Berlin', default: 'deny', rules }, subjectsOf(calls))
  for (const [index, call] of calls.entries()) if (decide(index) !== answer(call)) throw new Error('a wrong answer')
  return (index) => decide(index % calls.length)
}

function decideBy(policy: Policy, subjects: readonly Subject[]): Decide {
  const compiled = compilePolicy(policy)
  return (index) => {
    const subject = subjects[index] as Subject
    return compiled.forTool(subject.tool.name).judge(subject).verdict === 'allow'
  }
}

function ruleOf({ id, tool, agent, over, effect }: BenchRule): Rule {
  return {
    id,
    tools: tool,
    ...(agent !== undefined && { agents: agent }),
    ...(over !== undefined && { when: { 'args.amount': { gt: over } } }),
    then: effect,
  }
}

/** Made beforehand, as the requests of the others are: a process has one session an agent and one set of facts a tool. */
function subjectsOf(calls: readonly BenchCall[]): Subject[] {
  const sessions = new Map(AGENTS.map((agent) => [agent as string, sessionOf(agent)]))
  const tools = new Map(calls.map(({ tool }) => [tool, toolOf(tool)]))
  return calls.map(({ tool, agent, amount }) => ({
    args: Object.freeze({ amount, account: 'card_19b4c07e' }),
    session: sessions.get(agent) as SessionFacts,
    tool: tools.get(tool) as ToolFacts,
    now: NOON,
  }))
}

function sessionOf(agent: string): SessionFacts {
  return { id: `ses_${agent}`, agent, tenant: 'default', scopes: [], attributes: {}, depth: 0 }
}

function toolOf(name: string): ToolFacts {
  const annotations = { readOnly: false, destructive: true, idempotent: false, openWorld: true }
  return { name, framework: 'core', ...annotations, labels: {} }
}
