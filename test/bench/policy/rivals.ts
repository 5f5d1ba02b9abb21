/**
 * The others, each as its own documentation would have it: whatever it can parse, index or build beforehand is done
 * beforehand, and none is asked for a promise where it can answer at once.
 */
import { createMongoAbility, type MongoAbility, type RawRuleOf, subject } from '@casl/ability'
import { preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import { ConflictResolutionStrategy, PolicyEngine } from '@microsoft/agent-governance-sdk'
import { type Enforcer, newEnforcer, newModelFromString, StringAdapter } from 'casbin'
import type { Contestant, Decide } from './contestant.ts'
import { AGENTS, type BenchCall, type BenchRule } from './rules.ts'

/** An ability for each agent, as CASL has one for each user. Its last matching rule wins, so what denies comes last. */
const casl: Contestant = {
  name: 'CASL, an ability an agent',
  from: '@casl/ability',
  engine: (rules, calls) => {
    const denyLast = [...rules].sort((one, other) => one.effect.localeCompare(other.effect))
    const abilities = new Map(
      AGENTS.map((name) => {
        const own = denyLast.filter(({ agent }) => agent === undefined || agent === name)
        return [name as string, createMongoAbility(own.map(caslRule))]
      }),
    )
    const requests = calls.map(({ tool, agent, amount }) => ({ tool, agent, call: subject('Call', { amount }) }))
    return (index) => {
      const { tool, agent, call } = requests[index] as (typeof requests)[number]
      return abilities.get(agent)?.can(tool, call) === true
    }
  },
}

function caslRule({ tool, over, effect }: BenchRule): RawRuleOf<MongoAbility> {
  return {
    action: tool,
    subject: 'Call',
    inverted: effect === 'deny',
    ...(over !== undefined && { conditions: { amount: { $gt: over } } }),
  }
}

/** Policies are parsed once and kept under a name. */
const cedar: Contestant = {
  name: 'Cedar, one policy set',
  from: '@cedar-policy/cedar-wasm',
  engine: (rules, calls) => {
    const set = policySet(rules)
    return cedarDecide(calls, () => set)
  },
}

/** The same, with a set for each tool: the index that Cedar itself does not keep. */
const cedarPerTool: Contestant = {
  name: 'Cedar, a policy set a tool',
  from: '@cedar-policy/cedar-wasm',
  engine: (rules, calls) => {
    const sets = new Map([...Map.groupBy(rules, ({ tool }) => tool)].map(([tool, own]) => [tool, policySet(own)]))
    const none = policySet([])
    return cedarDecide(calls, (tool) => sets.get(tool) ?? none)
  },
}

let policySets = 0

function policySet(rules: readonly BenchRule[]): string {
  const id = `bench_${policySets++}`
  const parsed = preparsePolicySet(id, { staticPolicies: rules.map(cedarPolicy).join('\n') })
  if (parsed.type !== 'success') throw new Error(parsed.errors[0]?.message)
  return id
}

/** No attribute of an entity matters, so there are no entities to pass. */
function cedarDecide(calls: readonly BenchCall[], setOf: (tool: string) => string): Decide {
  const requests = calls.map(({ tool, agent, amount }) => ({
    principal: { type: 'Agent', id: agent },
    action: { type: 'Action', id: tool },
    resource: { type: 'Shop', id: 'shop' },
    context: { amount },
    entities: [],
    preparsedPolicySetId: setOf(tool),
  }))
  return (index) => {
    const answer = statefulIsAuthorized(requests[index] as (typeof requests)[number])
    return answer.type === 'success' && answer.response.decision === 'allow'
  }
}

function cedarPolicy({ tool, agent, over, effect }: BenchRule): string {
  const principal = agent === undefined ? 'principal' : `principal == Agent::"${agent}"`
  const when = over === undefined ? '' : ` when { context.amount > ${over} }`
  return `${effect === 'allow' ? 'permit' : 'forbid'}(${principal}, action == Action::"${tool}", resource)${when};`
}

const CASBIN_MODEL = `
[request_definition]
r = agent, tool, amount
[policy_definition]
p = agent, tool, over, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.tool == p.tool && (p.agent == "*" || r.agent == p.agent) && r.amount > p.over
`

/** Its cache of decisions is passed by: it keeps only requests made of text alone. */
const casbin: Contestant = {
  name: 'Casbin, one enforcer',
  from: 'casbin',
  engine: async (rules, calls) => {
    const enforcer = await enforcerOf(rules)
    return (index) => {
      const { agent, tool, amount } = calls[index] as (typeof calls)[number]
      return enforcer.enforceSync(agent, tool, amount)
    }
  },
}

/** As Casbin's own advice for many rules has it: each enforcer holds only what can match. */
const casbinPerTool: Contestant = {
  name: 'Casbin, an enforcer a tool',
  from: 'casbin',
  engine: async (rules, calls) => {
    const enforcers = new Map<string, Enforcer>()
    for (const [tool, own] of Map.groupBy(rules, ({ tool }) => tool)) enforcers.set(tool, await enforcerOf(own))
    return (index) => {
      const { agent, tool, amount } = calls[index] as (typeof calls)[number]
      return enforcers.get(tool)?.enforceSync(agent, tool, amount) === true
    }
  },
}

function enforcerOf(rules: readonly BenchRule[]): Promise<Enforcer> {
  const lines = rules.map(({ agent = '*', tool, over = -1, effect }) => `p, ${agent}, ${tool}, ${over}, ${effect}`)
  return newEnforcer(newModelFromString(CASBIN_MODEL), new StringAdapter(lines.join('\n')))
}

/** Its flat rules know equality alone; its policy documents compare. One document for all agents, one for each. */
const agentGovernance: Contestant = {
  name: 'Agent Governance SDK, documents',
  from: '@microsoft/agent-governance-sdk',
  engine: (rules, calls) => {
    const engine = new PolicyEngine([], ConflictResolutionStrategy.DenyOverrides)
    for (const [agent = '*', own] of Map.groupBy(rules, ({ agent }) => agent)) {
      engine.loadPolicy({
        name: `of ${agent}`,
        agents: [agent],
        default_action: 'deny',
        rules: own.map(({ id, tool, over, effect }) => ({
          name: id,
          condition: `tool == '${tool}'${over === undefined ? '' : ` and amount > ${over}`}`,
          ruleAction: effect,
        })),
      })
    }
    const requests = calls.map(({ tool, agent, amount }) => ({ agent, context: { tool, amount } }))
    return (index) => {
      const { agent, context } = requests[index] as (typeof requests)[number]
      return engine.evaluatePolicy(agent, context).allowed
    }
  },
}

export const rivals: readonly Contestant[] = [casl, casbinPerTool, casbin, agentGovernance, cedarPerTool, cedar]
