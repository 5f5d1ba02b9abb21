/** Keys that checkpoints are signed with: they stay where they are, and in no message. */
import { randomBytes } from 'node:crypto'
import { ConfigError } from '../errors.ts'
import { readKeyFile } from '../key-file.ts'
import { createKeys, isKeyName, type Keys, type Signer, signerOf } from './note.ts'

/**
 * A new Ed25519 key for checkpoints. `name` is a URL without its scheme that is yours, such as `acme.example/haldir`: it
 * stands in every checkpoint. Throws `ConfigError` for another. Both texts are in the encoding of Go's `sumdb/note`.
 */
export function createSigningKey(name: string, random: (bytes: number) => Uint8Array = randomBytes): Keys {
  if (!isKeyName(name)) {
    throw new ConfigError('invalid-option', 'name', '`name` is a URL without its scheme, such as `acme.example/haldir`')
  }
  return createKeys(name, random)
}

/** The signing key in an environment variable. Throws `ConfigError` when there is none. */
export function envSigner(
  variable: string,
  { env = process.env }: { readonly env?: Readonly<Record<string, string | undefined>> } = {},
): Signer {
  // The key itself, given in place of its name, must not be repeated in a message.
  if (typeof variable !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(variable)) {
    throw refused('`envSigner` takes the name of an environment variable')
  }
  const text = Object.hasOwn(env, variable) ? env[variable] : undefined
  if (text === undefined || text === '') throw refused(`the environment variable \`${variable}\` is not set`)
  const signer = signerOf(String(text).trim())
  if (!signer) throw refused(`the environment variable \`${variable}\` does not hold a signing key`)
  return signer
}

/**
 * The signing key in a file that only its owner can read and write (mode 0600 or stricter). Throws `ConfigError` when the
 * file is missing, open to others, another user's, or holds no signing key.
 */
export function fileSigner(path: string): Signer {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw refused('`fileSigner` takes the path of a file')
  }
  const refuse = (what: string): never => {
    if (path.includes('PRIVATE+KEY')) throw refused(`\`fileSigner\` takes a path: this ${what}`)
    throw refused(`the key file \`${path}\` ${what}`)
  }
  const bytes = readKeyFile(path, MOST_BYTES, refuse)
  const signer = signerOf(bytes.toString('latin1').trim())
  bytes.fill(0)
  return signer ?? refuse('does not hold a signing key')
}

/** More than any signing key takes. */
const MOST_BYTES = 512

function refused(message: string): ConfigError {
  return new ConfigError('invalid-option', 'checkpoints.signer', message)
}
