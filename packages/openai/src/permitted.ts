/** `permitted`: of governed tools, those that a session could use at all. */
import type { Session } from '@haldir/core'
import { permitsOf, permittedOf } from '@haldir/core/adapter'
import { callbackOf, type GovernableTool, nameOf, shapeOf } from './shape.ts'

/**
 * The tools that the session could use with some arguments, by its scopes and the policy as they are now: what a model
 * is not shown it does not try. The answer has the type of the list or set, though tools may be missing from it. It is no
 * gate: each call is still judged. A session that is over is permitted nothing, and in shadow mode nothing is left out.
 * Throws `ConfigError` for a tool that did not come through `governed`.
 */
export function permitted<L extends readonly GovernableTool[]>(tools: L, session: Session): L
export function permitted<S extends Record<string, GovernableTool>>(tools: S, session: Session): S
export function permitted(tools: any, session: Session): unknown {
  return permittedOf<GovernableTool>(tools, session, permits, nameOf)
}

function permits(tool: GovernableTool): ((session: Session) => boolean) | undefined {
  const shape = shapeOf(tool)
  return permitsOf(tool, shape ? callbackOf(shape) : tool)
}
