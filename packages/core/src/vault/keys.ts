/** Wrapping keys: they never leave their provider, and wrap the data key of each secret. */
import { hash } from 'node:crypto'
import type { MaybePromise } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import { readKeyFile } from '../key-file.ts'
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
  if ((text === undefined || text === '') && looksLikeKey(variable)) {
    throw new ConfigError('invalid-option', 'vault.keys', '`envKey` takes the name of an environment variable')
  }
  if (text === undefined || text === '') {
    throw new ConfigError('invalid-option', 'vault.keys', `the environment variable \`${variable}\` is not set`)
  }
  const key = decode(String(text).trim())
  if (key?.length !== 32) {
    const shape = '32 bytes as base64, base64url or hex'
    throw new ConfigError('invalid-option', 'vault.keys', `the environment variable \`${variable}\` is not ${shape}`)
  }
  return keyProvider(`env:${variable}`, key)
}

/**
 * A 256-bit key from a file that only its owner can read and write (mode 0600 or stricter), as 32 raw bytes, base64,
 * base64url or hex. Throws `ConfigError` when the file is missing, open to others, another user's, or holds no such key.
 * Its id is made of the key's hash alone: the file may move. On Windows, which has no such modes, who may read the file
 * is not checked.
 */
export function fileKey(path: string): KeyProvider {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new ConfigError('invalid-option', 'vault.keys', '`fileKey` takes the path of a file')
  }
  const refuse = (what: string): never => {
    // The key itself, given in place of a path, must not be repeated in a message.
    if (looksLikeKey(path))
      throw new ConfigError('invalid-option', 'vault.keys', `\`fileKey\` takes a path: this ${what}`)
    throw new ConfigError('invalid-option', 'vault.keys', `the key file \`${path}\` ${what}`)
  }
  const bytes = readKeyFile(path, MOST_BYTES, refuse)
  try {
    const text = bytes.toString('latin1')
    // 32 characters are a passphrase, or a key half as long in hex; random bytes all but never look like that.
    const raw = bytes.length === 32 && !/^[\t\n\r -~]*$/.test(text)
    const key = raw ? Buffer.from(bytes) : decode(text.trim())
    if (key?.length !== 32) return refuse('does not hold 32 bytes, raw or as base64, base64url or hex')
    return keyProvider('file', key)
  } finally {
    bytes.fill(0)
  }
}

/** More than any spelling of a key takes. */
const MOST_BYTES = 256

function keyProvider(name: string, key: Buffer): KeyProvider {
  return {
    id: `${name}:${hash('sha256', Buffer.concat([Buffer.from('haldir key id\0'), key]), 'hex').slice(0, 8)}`,
    // Random 96-bit nonces allow 2^32 wraps with one key (NIST SP 800-38D); a wrap is made per version of a secret.
    wrap: (dataKey, context) => sealBytes(key, dataKey, context),
    unwrap: (wrapped, context) => openBytes(key, wrapped, context),
  }
}

/** A key, or what is left of one: nothing that anybody calls a file or a variable. */
function looksLikeKey(text: string): boolean {
  const bare = text.trim()
  if (/^[0-9a-fA-F]{16,}$/.test(bare) || decode(bare)) return true
  return /^[A-Za-z0-9+/_-]{20,}={0,2}$/.test(bare) && /[0-9]/.test(bare) && /[a-z]/.test(bare) && /[A-Z]/.test(bare)
}

function decode(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, 'base64')
  return undefined
}
