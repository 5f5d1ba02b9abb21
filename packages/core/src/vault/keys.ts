/** Wrapping keys: they never leave their provider, and wrap the data key of each secret. */
import { hash } from 'node:crypto'
import type { MaybePromise } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import { openBytes, sealBytes } from './cipher.ts'

/** Something that wraps data keys: a key in the environment, a key management service. */
export interface KeyProvider {
  /** Names the key, not its value; stands in every secret it wrapped. */
  readonly id: string
  /** Wraps a 32-byte data key, bound to `context`. */
  wrap(dataKey: Uint8Array, context: Uint8Array): MaybePromise<Uint8Array>
  /** The inverse; throws when the bytes or the context are not what was wrapped. */
  unwrap(wrapped: Uint8Array, context: Uint8Array): MaybePromise<Uint8Array>
}

export interface EnvKeyOptions {
  /** Where to look; `process.env` unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * A 256-bit key from an environment variable, as base64, base64url or hex (`openssl rand -base64 32`). Throws
 * `ConfigError` when it is missing or has another length. Its id holds the first 32 bits of the key's hash, so that a
 * changed variable is noticed instead of failing to decrypt.
 */
export function envKey(variable: string, { env = process.env }: EnvKeyOptions = {}): KeyProvider {
  // The key itself, given in place of its name, must not be repeated in a message.
  if (typeof variable !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(variable) || decode(variable)) {
    throw new ConfigError('invalid-option', 'vault.keys', '`envKey` takes the name of an environment variable')
  }
  const text = Object.hasOwn(env, variable) ? env[variable] : undefined
  if (text === undefined || text === '') {
    throw new ConfigError('invalid-option', 'vault.keys', `the environment variable \`${variable}\` is not set`)
  }
  const key = decode(String(text).trim())
  if (key?.length !== 32) {
    const shape = '32 bytes as base64, base64url or hex'
    throw new ConfigError('invalid-option', 'vault.keys', `the environment variable \`${variable}\` is not ${shape}`)
  }
  return {
    id: `env:${variable}:${hash('sha256', Buffer.concat([Buffer.from('haldir key id\0'), key]), 'hex').slice(0, 8)}`,
    // Random 96-bit nonces allow 2^32 wraps with one key (NIST SP 800-38D); a wrap is made per version of a secret.
    wrap: (dataKey, context) => sealBytes(key, dataKey, context),
    unwrap: (wrapped, context) => openBytes(key, wrapped, context),
  }
}

function decode(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, 'base64')
  return undefined
}
