/** `permitted`: of a set of governed tools, those that a session could use at all. */
import { ConfigError, type Session } from '@haldir/core'
import { isSession } from '@haldir/core/adapter'
import { type GovernableTool, permitsOf } from './governed.ts'

/**
 * The tools that the session could use with some arguments, by its scopes and the policy as they are now: what a model
 * is not shown it does not try. The answer has the type of the set, so that results stay typed, though tools may be
 * missing from it. It is no gate: each call is still judged. A session that is over is permitted nothing, and in shadow
 * mode nothing is left out. Throws `ConfigError` for a tool that did not come through `governed`.
 */
export function permitted<S extends Record<string, GovernableTool>>(tools: S, session: Session): S {
  if (typeof tools !== 'object' || tools === null) {
    throw new ConfigError('invalid-option', 'tools', '`tools` is an object of governed tools')
  }
  if (!isSession(session)) {
    throw new ConfigError('invalid-option', 'session', '`session` is what `createSession` or `attach` answered')
  }
  const shown = Object.entries(tools).filter(([name, tool]) => {
    const permits = permitsOf(tool)
    if (!permits) throw new ConfigError('ungovernable', name, `\`${name}\` is not governed`)
    return permits(session)
  })
  return Object.fromEntries(shown) as S
}
