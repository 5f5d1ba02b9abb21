/** `permitted`, as every adapter has it: of governed tools, those that a session could use at all. */
import { ConfigError } from '../errors.ts'
import { isSession, type Session } from '../gate/sessions.ts'
import { nameIn } from './wrap-each.ts'

/** What tells of one tool whether a session may use it; nothing, of a tool that is not governed. */
export type PermitsOf<T> = (tool: T) => ((session: Session) => boolean) | undefined

/** Of a set by name or a list, what is permitted, in the same order. Throws `ConfigError` for a tool that is not governed. */
export function permittedOf<T>(
  tools: Readonly<Record<string, T>> | readonly T[],
  session: Session,
  permitsOf: PermitsOf<T>,
  nameOf: (tool: T) => unknown = nameIn,
): Record<string, T> | T[] {
  if (typeof tools !== 'object' || tools === null) {
    throw new ConfigError('invalid-option', 'tools', '`tools` is an object or a list of governed tools')
  }
  if (!isSession(session)) {
    throw new ConfigError('invalid-option', 'session', '`session` is what `createSession` or `attach` answered')
  }
  const shown = ([name, tool]: readonly [string, T]): boolean => {
    const permits = permitsOf(tool)
    if (!permits) throw new ConfigError('ungovernable', name, `\`${name}\` is not governed`)
    return permits(session)
  }
  if (!Array.isArray(tools)) return Object.fromEntries(Object.entries(tools).filter(shown))
  return tools.filter((tool, index) => shown([String(nameOf(tool) ?? index), tool]))
}
