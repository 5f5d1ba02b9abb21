/** What goes wrong, in words that hold no value. */
import { HaldirError, Unavailable } from '@haldir/core/store'
import { OVERFLOW } from './lua/ground.ts'

/** A reply that this store's scripts never give. */
export function unexpected(): Unavailable {
  return new Unavailable('Redis did not answer as expected')
}

/**
 * What a client rejected with, as `Unavailable`. Its text may quote keys and arguments, and ioredis hangs the whole
 * command on its errors, so only the kind of error is kept.
 */
export function failure(error: unknown): HaldirError {
  if (HaldirError.isInstance(error)) return error
  const { message, code, name } = (error ?? {}) as Readonly<Record<'message' | 'code' | 'name', unknown>>
  if (String(message).includes(OVERFLOW))
    return new Unavailable('an amount is beyond what the Redis store counts exactly')
  if (/^(-?NOPERM\b|ERR ACL failure|ERR The user executing the script can't)/.test(String(message)))
    return new Unavailable('the user of Redis lacks a right that the store needs: `ACL LOG` has which')
  const known = [String(message).match(/^-?([A-Z]{2,20})\b/)?.[1], code].find(
    (kind) => typeof kind === 'string' && /^[A-Z_]{2,32}$/.test(kind),
  )
  // What ioredis calls it when it has given up: the reason was in its `error` events.
  const named = typeof name === 'string' && /^[A-Z][A-Za-z]{2,40}Error$/.test(name)
  if (!known && named) return new Unavailable(`Redis failed with \`${name}\``)
  return new Unavailable(known ? `Redis failed with \`${known}\`` : 'Redis failed, or its connection did')
}
