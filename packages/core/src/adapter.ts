/**
 * `@haldir/core/adapter`: for those who write an adapter for a framework; users never need it. An adapter describes a
 * tool once, hands over each call, and tells its framework what came of it. It cannot change the order of the path.
 */
import { type AdapterRequest, checkWhere, find, foretold, governorAt, through, type Where } from './adapter/whose.ts'
import {
  currentFrame,
  listTool,
  markWrapped,
  openHaldirs,
  refuseTwice,
  type WrappedTool,
  wrappedWith,
} from './context.ts'
import { ConfigError, type Denied } from './errors.ts'
import type { Session } from './gate/sessions.ts'
import type { ApprovalStatus, Executed, Governor, NotRun, Prepared, Spending, Streamed } from './governor.ts'
import type { Amount } from './money.ts'
import { checkKeys } from './options.ts'
import { compileTool, TOOL_NAME, type ToolDefinition, type ToolOptions } from './tool-options.ts'

export { copyTool } from './adapter/copy-tool.ts'
export { refuseForeign } from './adapter/frameworks.ts'
export { isGeneratorFunction, isIterable, lastItem, onlyItem, withoutItems } from './adapter/items.ts'
export { type Misfit, misfitFrom, misfitOf, UNREADABLE } from './adapter/misfit.ts'
export { type PermitsOf, permittedOf } from './adapter/permitted.ts'
export { type AdapterRequest, carriedIn, type Where } from './adapter/whose.ts'
export { nameIn, type Wrapping, wrapAny, wrapEach } from './adapter/wrap-each.ts'
export { keepFrame } from './context.ts'
export { isSession } from './gate/sessions.ts'
export {
  type ApprovalStatus,
  type Executed,
  type NotRun,
  type Prepared,
  type Spending,
  type Streamed,
  thrownFor,
} from './governor.ts'
export { jsonSchemaOf } from './json-schema.ts'
export type { Amounts, ToolAnnotations, ToolDefinition, ToolOptions } from './tool-options.ts'
export { checkKeys, markWrapped, refuseTwice }

/** What a tool is, for the hash in every entry: what the model is told of it, as far as that is plain data. */
export function definitionOf(tool: unknown, name: string, schema: unknown): object {
  const { description } = tool as { readonly description?: unknown }
  return { name, description: typeof description === 'string' ? description : undefined, inputSchema: schema }
}

/** The handle that something was marked as wrapped with. */
export function handleOf(tool: unknown): GovernedHandle | undefined {
  return wrappedWith(tool) as GovernedHandle | undefined
}

/** A governed tool, as its adapter uses it. None of these rejects but for a bug. */
export interface GovernedHandle {
  /** Whoever keeps the handle keeps the tool listed in `surface()`. */
  readonly listed: unknown
  execute(request: AdapterRequest): Promise<Executed>
  stream(request: AdapterRequest): Promise<Streamed>
  /** Where only what the tool answers tells which of the two it is: `items`, when that can be iterated. */
  executeOrStream(request: AdapterRequest): Promise<Executed | Streamed>
  /** The verdict before the call: mints no id, touches no meter, records nothing. */
  prepare(request: AdapterRequest): Promise<Prepared>
  /**
   * The verdict for a framework's own gate that turns denied calls away itself, so that none of the above is asked: a
   * denial is final and recorded. Anything else takes and records nothing, and the call is judged again when it comes.
   */
  preempt(request: AdapterRequest): Promise<Prepared | NotRun>
  /**
   * The same, for a framework's own gate that can do nothing but pause: where the answer is `ask` and `suspends`, people
   * have been asked. A denial is recorded when the call comes.
   */
  askAhead(request: AdapterRequest): Promise<Prepared>
  /**
   * What has become of the question about a call that its framework has paused: by its `ref` and its session. Nothing,
   * where nobody was asked. Rejects `Unavailable` when the store does not answer.
   */
  answered(request: AdapterRequest): Promise<ApprovalStatus | undefined>
  /** Whether calls are suspended where a person has to decide, as far as can be told before there is a session. */
  suspends(): boolean
  /**
   * Whether a session could make any call of this tool, as far as that can be told without arguments, meters, guards
   * and people. In doubt it could; what it may do is decided when it calls.
   */
  permits(session: Session): boolean
}

const OWN_TOOLS = new Set(['session.fetch', 'session.charge', 'payments.authorize'])

/** Compiles a tool's options and gives the three ways into the path. Throws `ConfigError` for what can't be governed. */
export function governTool(definition: ToolDefinition, where: Where = {}): GovernedHandle {
  const tool = compileTool(definition)
  checkName(tool.name)
  checkWhere(where)
  const { name, framework } = tool
  const governor = governorAt(where)
  // Where the haldir is known already, a policy that does not fit the tool is an error at once.
  governor?.check(tool)
  const { session } = where
  const listed: WrappedTool = { name, framework, tool, governor, ...(session ? { session: session.id } : {}) }
  listTool(listed)
  return {
    listed,
    execute: (request) => through(where, request, (governor, who) => governor.execute(tool, request, who)),
    stream: (request) => through(where, request, (governor, who) => governor.stream(tool, request, who)),
    executeOrStream: (request) =>
      through(where, request, (governor, who) => governor.executeOrStream(tool, request, who)),
    prepare: (request) => foretold(where, request, (governor, who) => governor.prepare(tool, request, who)),
    askAhead: (request) => foretold(where, request, (governor, who) => governor.askAhead(tool, request, who)),
    answered: async (request) => {
      const { governor, who } = find(where, request.session)
      return governor?.answered(name, request.ref, who)
    },
    suspends: () => {
      const governor = governorAt(where) ?? currentFrame()?.session.governor
      return (governor ? [governor] : openHaldirs()).some((one) => one.suspends(tool))
    },
    preempt: (request) => through(where, request, (governor, who) => governor.preempt(tool, request, who)),
    permits: (session) => {
      const governor = governorAt(where) ?? session.governor
      if (governor.shadow) return true
      // Calls under any other session, or of any other haldir, are refused.
      if (governor !== session.governor || (where.session && where.session.id !== session.id)) return false
      return governor.permits(tool, session)
    },
  }
}

/**
 * Sets aside what something that is no tool call will cost at most, such as a model's answer. Answers `Denied` when the
 * session is over or its budget does not reach; else what to tell when it is over. Never rejects but for a bug.
 */
export function spendAhead(session: Session, name: string, estimate: readonly Amount[]): Promise<Spending | Denied> {
  return session.governor.spend(session, name, estimate)
}

/**
 * The same as `answered` of a handle, where there is none: for a tool that was wrapped again by something else, by the
 * name that it is governed under. Rejects `Unavailable` when the store does not answer.
 */
export function answeredOf(session: Session, tool: string, ref: string): Promise<ApprovalStatus | undefined> {
  return session.governor.answered(tool, ref, session)
}

/** The session that code runs under, if there is one. */
export function ambientSession(): Session | undefined {
  return currentFrame()?.session
}

/** What a rule says besides, in every adapter. */
export interface Ungovernable {
  /**
   * `allow`: a tool that does not run in this process, where no call can be governed, is left as it is and listed in
   * `haldir.surface()`. Without it such a tool is an error.
   */
  readonly ungovernable?: 'allow'
}

/** A tool that nothing here can govern, and why. */
export interface Ungoverned {
  readonly framework: string
  readonly name: string
  readonly why: string
  readonly rule: Partial<ToolOptions> & Ungovernable
}

/**
 * Lists a tool whose calls can not be governed, because the developer has said that this is all right; it stays listed
 * for as long as it exists. Throws `ConfigError` when that was not said, and for options that can't work. Answers the
 * tool as it is.
 */
export function leaveUngoverned<T extends object>(
  tool: T,
  { framework, name, why, rule: { ungovernable, ...options } }: Ungoverned,
  where: Where = {},
): T {
  if (ungovernable !== 'allow') throw new ConfigError('ungovernable', name, `\`${name}\` ${why}`)
  const compiled = compileTool({ framework, name, options: { scope: [], ...options }, run: () => undefined })
  checkName(name)
  checkWhere(where)
  const governor = governorAt(where)
  const listed: WrappedTool = { name, framework, tool: undefined, governor }
  listTool(listed)
  // Whether the session could use it by its scopes and the policy: all that can be done about such a tool.
  const one: LeftTool = { listed, permits: (session) => session.governor.permits(compiled, session) }
  const ways = left.get(tool) ?? { of: new WeakMap(), anywhere: undefined }
  if (governor) ways.of.set(governor, one)
  else ways.anywhere = one
  left.set(tool, ways)
  return tool
}

interface LeftTool {
  readonly listed: WrappedTool
  permits(session: Session): boolean
}

/** The tool itself is left as it is, so several haldirs may have it, each with options of its own. */
const left = new WeakMap<object, { readonly of: WeakMap<Governor, LeftTool>; anywhere: LeftTool | undefined }>()

/**
 * What tells whether a session could use a tool at all: by the handle that the tool, or the part of it that is the
 * gate, was marked with. Nothing, of what did not come through `governed`.
 */
export function permitsOf(tool: object, gate: unknown = tool): ((session: Session) => boolean) | undefined {
  const handle = handleOf(gate)
  if (handle) return handle.permits
  const ways = left.get(tool)
  if (!ways) return undefined
  return (session) => {
    const { governor } = session
    const one = ways.of.get(governor) ?? ways.anywhere
    return one ? one.permits(session) : governor.shadow
  }
}

/**
 * The way to refuse a call of a tool that does not exist, so that it is on record: the name comes from the model, and
 * stands in the entry where it could be one. In shadow mode, too, there is nothing that could run.
 */
export function unknownTool(framework: string, called: unknown, where: Where = {}): Pick<GovernedHandle, 'execute'> {
  checkWhere(where)
  const known = typeof called === 'string' && TOOL_NAME.test(called) && !OWN_TOOLS.has(called)
  const name = known ? called : 'unknown'
  const reason = known ? `there is no tool \`${called}\`` : 'there is no tool of that name'
  const run = () => Promise.reject(new ConfigError('ungovernable', name, reason))
  const refuses = () => ({ code: 'invalid-arguments', reason, rule: 'unknown-tool' }) as const
  const tool = { ...compileTool({ framework, name, options: { scope: [] }, run }), refuses }
  return { execute: (request) => through(where, request, (governor, who) => governor.execute(tool, request, who)) }
}

/** What rules say of Haldir's own tools must not be said of another. */
function checkName(name: string): void {
  if (!OWN_TOOLS.has(name)) return
  throw new ConfigError('invalid-option', 'name', `\`${name}\` is the name of a tool of Haldir's own`)
}
