/**
 * The seam between a wrapped tool and the haldir that governs its calls. A tool may have been wrapped by another copy
 * of this package than the one that made the haldir; they meet in these shapes.
 */
import type { Approval } from './approvers/approver.ts'
import type { CurrentCall } from './current-call.ts'
import type { DenialCode, Denied, Suspended } from './errors.ts'
import type { ToolFacts } from './gate/policy/policy.ts'
import type { Session } from './gate/sessions.ts'
import type { Amount } from './money.ts'
import type { Refusal } from './pass.ts'
import type { Recording } from './record-options.ts'
import type { SecretArg } from './secret-args.ts'

/** The scopes a call requires, and how entries name that rule. */
export interface Requirement {
  readonly scopes: readonly (readonly string[])[]
  readonly rule: string
  /** Read from the arguments: then neither a denial nor an entry repeats them. */
  readonly fromArgs: boolean
}

/** A tool and everything that was worked out once, when it was wrapped. */
export interface GovernedTool {
  readonly framework: string
  readonly name: string
  /** The tool's members in an entry, as JSON text. */
  readonly fragment: string
  /** SHA-256 of its definition, where that is known. */
  readonly hash: string | undefined
  /** How its calls wait for a person, where that is not as the haldir says. */
  readonly waiting: 'wait' | 'suspend' | undefined
  /** The scopes it requires, where they are the same for every call. */
  readonly scopes: readonly string[] | undefined
  /** The scopes a call needs: fixed, or read from its arguments. Throws when the tool's own function does. */
  readonly required: (args: unknown) => Requirement
  /** The most a call can cost. */
  readonly cost: ((args: unknown) => Amount | readonly Amount[]) | undefined
  /** A key that only one call within a day may have. */
  readonly once: ((args: unknown) => string) | undefined
  /** As policies and guards see it. */
  readonly facts: ToolFacts
  /** JSON Schema of its arguments, if that is known: paths of policies are checked against it. */
  readonly schema: unknown
  /** What is wrong with arguments by that schema, where nobody else checks. Pure; does not throw. */
  readonly misfit: ((args: unknown) => string | undefined) | undefined
  /** What a call has cost, from its result. */
  readonly actual: ((result: unknown, args: unknown) => Amount | readonly Amount[]) | undefined
  /** The secrets that its calls may reveal. */
  readonly secrets: readonly string[]
  /** The secrets that are put in its arguments. */
  readonly secretArgs: readonly SecretArg[]
  /** Both. */
  readonly unseals: readonly string[]
  /** What is wrong with arguments, beyond what anyone else says of them. Pure; does not throw. */
  readonly refuses: ((args: unknown) => Refusal | undefined) | undefined
  /** Where a call leads, when its secrets are for named hosts alone. */
  readonly destination: URL | undefined
  /** The governed tool that makes the call, when it is made by one: what is its secret is the call's. */
  readonly within: string | undefined
  /** What entries hold of its arguments; nothing, when absent. */
  readonly record: Recording | undefined
  readonly releaseOnFailure: boolean
  readonly allowUnscanned: boolean
  /** The original tool. */
  readonly run: (args: unknown, call: CurrentCall, context: unknown) => unknown
}

/** One call as a framework hands it over. */
export interface CallRequest {
  readonly args: unknown
  /** Why these can't be arguments of the tool, as its framework has found: the call is refused. */
  readonly misfit?: string | undefined
  /** The framework's own id of the call: recorded, never relied on. */
  readonly ref?: string | undefined
  /** The caller's abort signal. */
  readonly signal?: AbortSignal | undefined
  /** Passed through to `run` untouched. */
  readonly context?: unknown
  /** The approval that the call is resumed with. Only ever from `haldir.approvals.resume`. */
  readonly approval?: string | undefined
}

/** Whose call it is: a session, or why none can be told. */
export type Identity = Session | string

/** What came of a call. Never an exception: how a framework is told is its adapter's business. */
export type Executed =
  | { readonly status: 'ran'; readonly value: unknown }
  | { readonly status: 'failed'; readonly error: unknown }
  | { readonly status: 'denied'; readonly denial: Denied }
  | { readonly status: 'suspended'; readonly suspended: Suspended }

/** What the caller of a call that did not start is told. */
export type NotRun = Exclude<Executed, { status: 'ran' }>

/** The same as an exception, for callers that are told by one. */
export function thrownFor(outcome: NotRun): unknown {
  if (outcome.status === 'failed') return outcome.error
  return outcome.status === 'denied' ? outcome.denial : outcome.suspended
}

/** What came of a streaming call: its items, or what kept it from starting. Iterating may throw the tool's error. */
export type Streamed = { readonly status: 'ran'; readonly items: AsyncGenerator<unknown, void, undefined> } | NotRun

/** What judging would say now. Mints no call, takes nothing, records nothing. */
export interface Prepared {
  readonly verdict: 'allow' | 'deny' | 'ask'
  readonly rule?: string
  readonly code?: DenialCode
  readonly reason: string
  readonly digest?: string
  /**
   * Of `ask`, where people can be asked: whether the call pauses for the answer (`true`). Else it waits by itself, or
   * nobody will answer any more, and it is told so when it comes.
   */
  readonly suspends?: boolean
}

/** What people have said of a call that its framework has paused. */
export type ApprovalStatus =
  | { readonly status: 'pending' | 'approved'; readonly approval: Approval }
  /** By a person, or because nobody answered in time. `denial` is what the model may read. */
  | { readonly status: 'denied'; readonly approval: Approval; readonly denial: Denied }

/** Something that costs and is no tool call, while it goes on. */
export interface Spending {
  /**
   * It is over: counts what was spent (nothing, of a unit that is not named), or, when nobody can tell, what was set
   * aside. `failure` says that it ended with an error. Never rejects. Once.
   */
  end(spent: readonly Amount[] | undefined, failure?: { readonly error: unknown }): Promise<void>
}

export interface Governor {
  readonly name: string
  /** Whether calls are only judged and recorded, not refused. */
  readonly shadow: boolean
  execute(tool: GovernedTool, request: CallRequest, identity: Identity): Promise<Executed>
  stream(tool: GovernedTool, request: CallRequest, identity: Identity): Promise<Streamed>
  /** Either, as the tool's answer says. */
  executeOrStream(tool: GovernedTool, request: CallRequest, identity: Identity): Promise<Executed | Streamed>
  prepare(tool: GovernedTool, request: CallRequest, identity: Identity): Promise<Prepared>
  /** As `prepare`; a call that it turns away is refused for good, and on record. */
  preempt(tool: GovernedTool, request: CallRequest, identity: Identity): Promise<Prepared | NotRun>
  /** As `prepare`; where people have to be asked and the call would be suspended for that, they are asked now. */
  askAhead(tool: GovernedTool, request: CallRequest, identity: Identity): Promise<Prepared>
  /** What has become of the question about a call, by the names of its tool and of itself. */
  answered(tool: string, ref: string | undefined, identity: Identity): Promise<ApprovalStatus | undefined>
  /** Whether calls of a tool are suspended where a person has to decide. */
  suspends(tool: GovernedTool): boolean
  /** Whether a session could make any call of a tool. */
  permits(tool: GovernedTool, session: Session): boolean
  /** Sets aside what something that is no tool call will cost at most. */
  spend(session: Session, name: string, estimate: readonly Amount[]): Promise<Spending | Denied>
  /** Throws `ConfigError` when the policy names arguments that the tool does not have. */
  check(tool: GovernedTool): void
}

const GOVERNOR = Symbol.for('haldir.governor.v1')

/** The governor of a haldir, also of one made by another copy of this package. */
export function governorOf(haldir: object): Governor | undefined {
  return (haldir as { [GOVERNOR]?: Governor })[GOVERNOR]
}

export function setGovernor(haldir: object, governor: Governor): void {
  Object.defineProperty(haldir, GOVERNOR, { value: governor })
}
