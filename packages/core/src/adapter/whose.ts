/** Whose call it is, and which haldir's: explicit, then by the framework's context, then ambient. */
import { currentFrame, onlyHaldir } from '../context.ts'
import { ConfigError, Denied } from '../errors.ts'
import { isSession, type Session } from '../gate/sessions.ts'
import { type CallRequest, type Governor, governorOf, type Identity, type NotRun, type Prepared } from '../governor.ts'
import type { Haldir } from '../haldir.ts'
import { checkKeys } from '../options.ts'

/** Where a wrapped tool's haldir and session come from when the call itself does not say. */
export interface Where {
  readonly haldir?: Haldir
  readonly session?: Session
}

/** A call as the adapter hands it over. `session` is what the framework's own context carried, whatever that is. */
export interface AdapterRequest extends CallRequest {
  readonly session?: unknown
}

export function checkWhere(where: Where): void {
  checkKeys(where, ['haldir', 'session'], 'places a tool can belong to')
  if (where.session !== undefined && !isSession(where.session)) {
    throw new ConfigError('invalid-option', 'session', '`session` is what `createSession` or `attach` answered')
  }
  if (where.haldir !== undefined && !governorOf(where.haldir)) {
    throw new ConfigError('invalid-option', 'haldir', '`haldir` is what `createHaldir` answered')
  }
}

/** The haldir that a tool belongs to, where that is known when it is wrapped. */
export function governorAt({ haldir, session }: Where): Governor | undefined {
  return (haldir && governorOf(haldir)) ?? session?.governor
}

/**
 * Whose call it is: explicit, then the framework's context, then ambient. Sources that disagree are refused: one of
 * them is wrong, and nobody can tell which.
 */
export function find(where: Where, carried: unknown): { governor: Governor | undefined; who: Identity } {
  const named = where.haldir && governorOf(where.haldir)
  const handles = [where.session, carried, currentFrame()?.session].filter(
    (handle) => handle !== undefined && handle !== null,
  )
  const [session] = handles
  if (session === undefined) return { governor: named ?? onlyHaldir(), who: 'there is no session' }
  // Only a handle counts: a string may have come from a client.
  if (!handles.every(isSession)) return { governor: named ?? onlyHaldir(), who: 'the context holds no session handle' }
  const { id, governor } = session as Session
  if (named && named !== governor) return { governor: named, who: 'the session belongs to another haldir' }
  if (handles.some((handle) => (handle as Session).id !== id)) return { governor, who: 'two different sessions apply' }
  return { governor, who: session as Session }
}

/** Takes a call to its governor. Without one there is nobody to record it, and it is refused. */
export function through<T>(
  where: Where,
  request: AdapterRequest,
  way: (governor: Governor, who: Identity) => Promise<T>,
): Promise<T | NotRun> {
  const { governor, who } = find(where, request.session)
  if (governor) return way(governor, who)
  return Promise.resolve({ status: 'denied', denial: new Denied('no-session', who as string, '') })
}

/** The same, for what is asked before the call. */
export function foretold(
  where: Where,
  request: AdapterRequest,
  way: (governor: Governor, who: Identity) => Promise<Prepared>,
): Promise<Prepared> {
  const { governor, who } = find(where, request.session)
  if (governor) return way(governor, who)
  return Promise.resolve({ verdict: 'deny', code: 'no-session', reason: who as string })
}

/** The session that a framework's own context carries, whatever stands there. */
export function carriedIn(context: unknown): unknown {
  return (context as { readonly haldirSession?: unknown } | null | undefined)?.haldirSession
}
