/** What a haldir governs, and why it would decide as it does: for reviews and for people, never for models. */
import { Hostile, snapshot } from './call.ts'
import { toolsOf, type WrappedTool } from './context.ts'
import { ConfigError } from './errors.ts'
import { FETCH } from './fetch.ts'
import { type Explanation, explainPolicy } from './gate/policy/explain.ts'
import type { Misfit } from './gate/policy/misfits.ts'
import type { SessionFacts, ToolFacts } from './gate/policy/policy.ts'
import { covers, type Grant, parseGrant, parseRequired } from './gate/scopes.ts'
import { isSession, type Session } from './gate/sessions.ts'
import type { GovernedTool, Governor } from './governor.ts'
import { checkKeys } from './options.ts'
import type { House } from './pass.ts'
import { PAYMENT } from './payments.ts'

/** One tool, as it was wrapped. */
export interface SurfaceTool {
  readonly name: string
  readonly framework: string
  /** `false`: it was wrapped with `ungovernable: 'allow'`, and no call of it comes through here. */
  readonly governed: boolean
  /** The scopes it requires; absent when they are read from the arguments. */
  readonly scopes?: readonly string[]
  /** Whether a call costs something. */
  readonly priced: boolean
  /** Whether calls are made at most once by a key. */
  readonly once: boolean
  readonly secrets: readonly string[]
  readonly annotations?: ToolFacts
  /** Ids of the rules that may have a say in its calls. */
  readonly rules: readonly string[]
  /** The standing meters that its calls may count on, as refusals name them. */
  readonly meters: readonly string[]
  /** Why its calls are refused, whatever they are. */
  readonly problems: readonly string[]
}

/** Everything that calls of a haldir may come through, in this process. */
export interface Surface {
  readonly mode: 'enforce' | 'shadow'
  readonly policyHash?: string
  readonly guards: readonly string[]
  readonly tools: readonly SurfaceTool[]
}

export function surfaceOf(house: House, governor: Governor): Surface {
  const tools = toolsOf(governor).map((wrapped) => surfaceTool(house, wrapped))
  tools.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  return {
    mode: house.shadow ? 'shadow' : 'enforce',
    ...(house.policy ? { policyHash: house.policy.hash } : {}),
    guards: house.guards.map(({ name }) => name),
    tools,
  }
}

function surfaceTool({ policy, standing }: House, { name, framework, tool }: WrappedTool): SurfaceTool {
  if (!tool)
    return {
      name,
      framework,
      governed: false,
      priced: false,
      once: false,
      secrets: [],
      rules: [],
      meters: [],
      problems: [],
    }
  return {
    name,
    framework,
    governed: true,
    ...(tool.scopes ? { scopes: tool.scopes } : {}),
    priced: tool.cost !== undefined,
    once: tool.once !== undefined,
    secrets: tool.unseals,
    annotations: tool.facts,
    rules: policy ? policy.compiled.forTool(name).rules.map(({ rule }) => rule.id) : [],
    meters: standing.namesFor(name),
    problems: policy ? policy.misfits(tool).map(({ message }) => message) : [],
  }
}

/** A call that may never have been made. */
export interface ExplainCall {
  /** The name of a tool; one that is wrapped in this process is known with its scopes and annotations. */
  readonly tool: string
  readonly args?: unknown
  /** A session, or what is to be supposed of one. */
  readonly session:
    | Session
    | {
        readonly agent: string
        readonly tenant?: string
        readonly scopes?: readonly string[]
        readonly attributes?: Readonly<Record<string, unknown>>
      }
  /** The moment for `time.*`; now unless given. */
  readonly at?: Date
}

/** What would be decided before meters, guards and people, and why. */
export interface CallExplanation {
  readonly verdict: 'allow' | 'ask' | 'deny'
  readonly rule: string
  readonly reason: string
  /** Whether each scope that the tool requires is held, by every identity in the chain. */
  readonly scopes: readonly { readonly scope: string; readonly held: boolean }[]
  /** What the policy says for each identity, the session's own first. */
  readonly policy: readonly (Explanation & { readonly agent: string })[]
}

const NO_ANNOTATIONS = { readOnly: false, destructive: true, idempotent: false, openWorld: true, labels: {} }

/** Takes nothing, records nothing. Throws `ConfigError` for a call it does not understand. */
export function explainCall(house: House, governor: Governor, call: ExplainCall): CallExplanation {
  checkKeys(call, ['tool', 'args', 'session', 'at'], 'fields of a call to explain')
  if (typeof call.tool !== 'string') throw invalid('tool', 'names a tool')
  const taken = snapshot(call.args ?? {})
  if (taken instanceof Hostile) throw invalid('args', 'is plain data')
  const now = call.at === undefined ? house.clock.now() : Number(call.at)
  if (!Number.isFinite(now)) throw invalid('at', 'is a date')
  const wrapped = toolsOf(governor).find(({ name, tool }) => tool && name === call.tool)?.tool
  // Nobody wraps what authorizations and requests are known as.
  const tool = wrapped ?? [PAYMENT, FETCH].find(({ name }) => name === call.tool)
  const grants = identitiesOf(call.session)
  const scopes = scopesOf(tool, taken.args).map((scope) => ({
    scope,
    held: grants.every(({ grant }) => covers(grant, parseRequired(scope))),
  }))
  const facts = tool?.facts ?? { ...NO_ANNOTATIONS, name: call.tool, framework: 'unknown' }
  const { policy: loaded } = house
  const policy = grants.map(({ facts: session }) => ({
    agent: session.agent,
    ...(loaded
      ? explainPolicy(loaded.compiled, { args: taken.args, session, tool: facts, now })
      : { verdict: 'allow' as const, rule: 'no-policy', reason: 'there is no policy; scopes alone judge', rules: [] }),
  }))
  const misfit = tool && loaded?.misfits(tool)[0]
  return { ...strictest(scopes, misfit, policy), scopes, policy }
}

function strictest(
  scopes: CallExplanation['scopes'],
  misfit: Misfit | undefined,
  policy: CallExplanation['policy'],
): Pick<CallExplanation, 'verdict' | 'rule' | 'reason'> {
  const missing = scopes.find(({ held }) => !held)
  if (missing) {
    const reason = `the session does not hold the scope \`${missing.scope}\``
    return { verdict: 'deny', rule: `scope:${missing.scope}`, reason }
  }
  if (misfit) return { verdict: 'deny', rule: misfit.rule, reason: misfit.message }
  const { verdict, rule, reason } = (policy.find((one) => one.verdict === 'deny') ??
    policy.find((one) => one.verdict === 'ask') ??
    policy[0]) as Explanation
  return { verdict, rule, reason }
}

/** The scopes a call requires. */
function scopesOf(tool: GovernedTool | undefined, args: unknown): readonly string[] {
  if (!tool) return []
  try {
    return tool.required(args).scopes.map((scope) => scope.join(':'))
  } catch {
    throw invalid('args', 'does not say which scope the tool requires')
  }
}

function identitiesOf(session: ExplainCall['session']): readonly { facts: SessionFacts; grant: Grant }[] {
  if (isSession(session)) return session.leaves
  checkKeys(session, ['agent', 'tenant', 'scopes', 'attributes'], 'fields of a supposed session', 'session')
  const { agent, tenant = 'default', scopes = [], attributes = {} } = session
  if (typeof agent !== 'string') throw invalid('session.agent', 'names an agent')
  const grant = parseGrant(scopes, 'session.scopes')
  return [{ facts: { id: 'supposed', agent, tenant, scopes, attributes, depth: 0 }, grant }]
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
