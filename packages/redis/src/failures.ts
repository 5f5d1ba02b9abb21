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
  const { message, code } = (error ?? {}) as { readonly message?: unknown; readonly code?: unknown }
  if (String(message).includes(OVERFLOW))
    return new Unavailable('an amount is beyond what the Redis store counts exactly')
  const known = [String(message).match(/^-?([A-Z]{2,20})\b/)?.[1], code].find(
    (kind) => typeof kind === 'string' && /^[A-Z_]{2,32}$/.test(kind),
  )
  return new Unavailable(known ? `Redis failed with \`${known}\`` : 'Redis failed, or its connection did')
}
