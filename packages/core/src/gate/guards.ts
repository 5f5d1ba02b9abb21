/** Guards: decision points outside the policy, such as an OPA server or a classifier. They can only be stricter. */
import { type Clock, isPromise, within } from '../clock.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import { checkKeys } from '../options.ts'
import type { PolicyVerdict, SessionFacts, ToolFacts } from './policy/policy.ts'

/** A call, as a guard sees it. `args` is frozen plain data. */
export interface GuardCall {
  readonly tool: ToolFacts
  readonly args: unknown
  /** Whose doing it is. A guard is asked once for each identity in a chain of sessions. */
  readonly session: SessionFacts
  /** What the rules have said so far, and which of them. */
  readonly verdict: 'allow' | 'ask'
  readonly rule: string
}

/** What a guard answers: a verdict, and why if it wants to say. The model may read the reason. */
export type GuardAnswer = PolicyVerdict | { readonly verdict: PolicyVerdict; readonly reason?: string }

export type GuardFunction = (call: GuardCall, options: { readonly signal: AbortSignal }) => Promise<GuardAnswer>

/**
 * A decision point. One that throws, answers nothing it may, or takes longer than a second refuses the call. It may
 * answer at once, too; its type says that it does not, for only so TypeScript infers the verdict of a short function. A
 * policy client is asked for `haldir/decision`; `policyGuard` names another.
 */
export type Guard = GuardFunction | { readonly name: string; readonly decide: GuardFunction } | PolicyClient

/** A guard as it is asked. */
export interface NamedGuard {
  readonly name: string
  readonly decide: GuardFunction
}

/** What an external policy engine looks like: `@ai-sdk/policy-opa` calls it so. */
export interface PolicyClient {
  evaluate(path: string, input: unknown): PromiseLike<unknown>
}

export interface PolicyGuardOptions {
  /** The policy to evaluate; `haldir/decision` unless given. */
  readonly path?: string
  /** How entries and refusals name it; the path unless given. */
  readonly name?: string
  /** What the engine is given; the call unless given. */
  readonly input?: (call: GuardCall) => unknown
  /** Reads what the engine answers, where it is neither a verdict nor a boolean. */
  readonly result?: (result: unknown) => GuardAnswer
}

const DEADLINE_MS = 1_000
const NAME = /^[A-Za-z0-9_.:/-]{1,64}$/

/** Throws `ConfigError`, naming the guard. */
export function checkGuards(guards: readonly Guard[] = []): readonly NamedGuard[] {
  if (!Array.isArray(guards)) throw new ConfigError('invalid-option', 'guards', '`guards` is a list')
  return guards.map((given, index): NamedGuard => {
    const path = `guards.${index}`
    const guard = isClient(given) ? policyGuard(given) : given
    const { name, decide } = typeof guard === 'function' ? { name: guard.name, decide: guard } : (guard ?? {})
    if (typeof decide !== 'function') {
      throw new ConfigError('invalid-option', path, `\`${path}\` is a function, or has a \`name\` and a \`decide\``)
    }
    const own = typeof guard === 'function' && (typeof name !== 'string' || !NAME.test(name)) ? String(index) : name
    if (typeof own !== 'string' || !NAME.test(own)) {
      throw new ConfigError(
        'invalid-option',
        `${path}.name`,
        `\`${path}.name\` is 1 to 64 letters, digits or \`_.:/-\``,
      )
    }
    return { name: own, decide: typeof guard === 'function' ? guard : decide.bind(guard) }
  })
}

/**
 * A guard that asks a policy engine. Understands a boolean, a verdict, `{ verdict | decision | type, reason? }` with
 * `allow`, `approved`, `ask`, `user-approval`, `requires-approval`, `deny` or `denied`, and `{ allow: boolean }`.
 * Anything else refuses, also an engine that has no opinion: a guard is asked because its opinion is wanted.
 */
export function policyGuard(client: PolicyClient, options: PolicyGuardOptions = {}): Exclude<Guard, PolicyClient> {
  checkKeys(options, ['path', 'name', 'input', 'result'], 'options of `policyGuard`')
  const { path = 'haldir/decision', input = (call: GuardCall): unknown => call, result = verdictIn } = options
  if (typeof client?.evaluate !== 'function') {
    throw new ConfigError('invalid-option', 'client', '`client` has a function `evaluate`')
  }
  if (typeof path !== 'string' || path === '') throw new ConfigError('invalid-option', 'path', '`path` names a policy')
  const name = options.name ?? path
  return { name, decide: async (call) => result(await client.evaluate(path, input(call))) }
}

/** What a guard says of a call. Rejects when it does not say anything it may, in time. */
export async function askGuard(
  { name, decide }: NamedGuard,
  call: GuardCall,
  clock: Clock,
): Promise<{ readonly verdict: PolicyVerdict; readonly reason?: string }> {
  const controller = new AbortController()
  try {
    const answer = decide(call, { signal: controller.signal })
    return opinion(isPromise(answer) ? await within(answer, DEADLINE_MS, clock, `guard ${name}`) : answer)
  } finally {
    // What it may still be doing is of no use any more.
    controller.abort()
  }
}

function isClient(guard: Guard): guard is PolicyClient {
  return (
    typeof guard === 'object' && typeof (guard as PolicyClient | null)?.evaluate === 'function' && !('decide' in guard)
  )
}

const VERDICTS = new Set<unknown>(['allow', 'ask', 'deny'] satisfies PolicyVerdict[])

function opinion(answer: unknown): { verdict: PolicyVerdict; reason?: string } {
  const { verdict, reason } = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {}
  const said = verdict ?? answer
  if (!VERDICTS.has(said)) throw new Unavailable('a guard answered no verdict')
  return typeof reason === 'string' && reason !== ''
    ? { verdict: said as PolicyVerdict, reason }
    : { verdict: said as PolicyVerdict }
}

const WORDS: Readonly<Record<string, PolicyVerdict>> = {
  allow: 'allow',
  approved: 'allow',
  ask: 'ask',
  'user-approval': 'ask',
  'requires-approval': 'ask',
  deny: 'deny',
  denied: 'deny',
}

function verdictIn(result: unknown): GuardAnswer {
  if (typeof result === 'boolean') return result ? 'allow' : 'deny'
  if (typeof result === 'string') return wordOf(result)
  const { verdict, decision, type, allow, deny, reason } = (result ?? {}) as Record<string, unknown>
  // An engine that answers several of these must mean the same by all of them; the strictest is taken.
  const said = [verdict, decision, type].filter((one) => one !== undefined).map(wordOf)
  if (allow !== undefined) said.push(allow === true ? 'allow' : 'deny')
  // `deny` is a boolean, or the list of reasons that rules give for it; only `false` and an empty list deny nothing.
  if (deny !== undefined && deny !== false && !(Array.isArray(deny) && deny.length === 0)) said.push('deny')
  const strictest = (['deny', 'ask', 'allow'] as const).find((one) => said.includes(one))
  if (!strictest) throw new Unavailable('the policy engine answered no verdict')
  return typeof reason === 'string' ? { verdict: strictest, reason } : strictest
}

function wordOf(word: unknown): PolicyVerdict {
  const verdict = typeof word === 'string' && Object.hasOwn(WORDS, word) ? WORDS[word] : undefined
  if (!verdict) throw new Unavailable('the policy engine answered no verdict')
  return verdict
}
