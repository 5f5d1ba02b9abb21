/** `permitted`: of governed tools, those that a session could use at all. */
import type { Session } from '@haldir/core'
import { permitsOf, permittedOf } from '@haldir/core/adapter'
import type { GovernableTool } from './governed.ts'

/**
 * The tools that the session could use with some arguments, by its scopes and the policy as they are now: what a model
 * is not shown it does not try. The answer to a set has its type, though tools may be missing from it. It is no gate:
 * each call is still judged. A session that is over is permitted nothing, and in shadow mode nothing is left out. Throws
 * `ConfigError` for a tool that did not come through `governed`.
 */
export function permitted<T extends GovernableTool>(tools: readonly T[], session: Session): T[]
export function permitted<S extends Record<string, GovernableTool>>(tools: S, session: Session): S
export function permitted(tools: any, session: Session): unknown {
  return permittedOf<GovernableTool>(tools, session, (tool) => permitsOf(tool, tool?.run))
}
