/** `permitted`: of governed tools, those that a session could use at all. */
import type { Session } from '@haldir/core'
import { handleOf, permitsOf, permittedOf } from '@haldir/core/adapter'
import { gatesOf } from './gates.ts'
import type { GovernableTool } from './governed.ts'

/**
 * The tools that the session could use with some arguments, by its scopes and the policy as they are now, of a list or
 * a set: what a model is not shown it does not try. It is no gate: each call is still judged. A session that is over is
 * permitted nothing, and in shadow mode nothing is left out. Throws `ConfigError` for a tool that did not come through
 * `governed`.
 */
export function permitted<L extends readonly GovernableTool[]>(tools: L, session: Session): L[number][]
export function permitted<S extends Record<string, GovernableTool>>(tools: S, session: Session): S
export function permitted(tools: any, session: Session): unknown {
  return permittedOf(tools, session, permits)
}

/** What tells of a tool whether a session could use it; nothing, of one that is not governed. */
export function permits(tool: any): ((session: Session) => boolean) | undefined {
  if (typeof tool !== 'object' || tool === null) return undefined
  return permitsOf(tool, gatesOf(tool).find(handleOf))
}
