/**
 * Messages signed as Standard Webhooks 1.0.0 has it (https://www.standardwebhooks.com): over `id.timestamp.body`, once
 * with each secret, so that one can be changed for another while messages are under way.
 */
import { createHmac, createPrivateKey, createPublicKey, sign, timingSafeEqual } from 'node:crypto'
import { ConfigError } from './errors.ts'

export interface SigningSecret {
  /** `v1`: HMAC-SHA256. `v1a`: Ed25519. */
  readonly version: 'v1' | 'v1a'
  sign(content: Uint8Array): Buffer
  /** A key of 32 bytes for something else than signing: what is made with it is no signature, and the other way round. */
  derive(purpose: string): Buffer
}

/** How far clocks may differ, in seconds and both ways, as in the specification's own libraries. */
export const TOLERANCE = 300

/**
 * `whsec_` and 24 to 64 bytes, or `whsk_` and a private Ed25519 key (its seed, or seed and public key), in base64. Throws
 * `ConfigError` that names `path`, and says nothing of what was given.
 */
export function parseSecret(text: unknown, path: string): SigningSecret {
  const [, kind, encoded = ''] =
    typeof text === 'string' ? (/^(whsec|whsk)_([A-Za-z0-9+/_-]+={0,2})$/.exec(text) ?? []) : []
  const bytes = Buffer.from(encoded, 'base64')
  if (kind === 'whsec' && bytes.length >= 24 && bytes.length <= 64) return symmetric(bytes)
  if (kind === 'whsk' && (bytes.length === 32 || bytes.length === 64)) return asymmetric(bytes, path)
  throw invalid(path, 'is `whsec_` with 24 to 64 bytes in base64, or `whsk_` with a private Ed25519 key')
}

function symmetric(key: Buffer): SigningSecret {
  const hmac = (content: string | Uint8Array) => createHmac('sha256', key).update(content).digest()
  return { version: 'v1', sign: hmac, derive: hmac }
}

/** What DER (RFC 8410) has before the 32 bytes of an Ed25519 seed. */
const SEED_IN_DER = Buffer.from('302e020100300506032b657004220420', 'hex')

function asymmetric(bytes: Buffer, path: string): SigningSecret {
  const seed = bytes.subarray(0, 32)
  const key = createPrivateKey({ key: Buffer.concat([SEED_IN_DER, seed]), format: 'der', type: 'pkcs8' })
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' })
  if (bytes.length === 64 && !bytes.subarray(32).equals(Buffer.from(x, 'base64url'))) {
    throw invalid(path, 'holds a public key that is not that of its private one')
  }
  return {
    version: 'v1a',
    sign: (content) => sign(null, content, key),
    derive: (purpose) => createHmac('sha256', seed).update(purpose).digest(),
  }
}

export interface Message {
  /** The same however often it is sent. Without a dot: those separate what is signed. */
  readonly id: string
  readonly body: string
}

/** The headers of a message that is sent now. */
export function signedHeaders(
  secrets: readonly SigningSecret[],
  message: Message,
  now: number,
): Record<string, string> {
  const timestamp = String(Math.floor(now / 1_000))
  const content = contentOf(message.id, timestamp, Buffer.from(message.body))
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': secrets.map(({ version, sign }) => `${version},${sign(content).toString('base64')}`).join(' '),
  }
}

/** `mark` is the same for the same message again, whatever else was signed beside it. */
export type Checked = { readonly ok: true; readonly mark: string } | { readonly ok: false; readonly why: string }

/** Whether a message was signed with one of the secrets, and about now. `body` as it came, byte for byte. */
export function checkSigned(
  secrets: readonly SigningSecret[],
  headers: Headers,
  body: Uint8Array,
  now: number,
): Checked {
  const id = headers.get('webhook-id') ?? ''
  const timestamp = headers.get('webhook-timestamp') ?? ''
  const signatures = headers.get('webhook-signature') ?? ''
  if (id === '' || timestamp === '' || signatures === '') return refused('the message is not signed')
  if (!/^[\x21-\x2d\x2f-\x7e]{1,256}$/.test(id))
    return refused('its `webhook-id` has a dot, a blank or more than 256 characters')
  // Invariant: neither an old message counts nor one from the future, which could be kept until it is wanted.
  const apart = /^\d{1,12}$/.test(timestamp) ? Math.abs(Math.floor(now / 1_000) - Number(timestamp)) : Number.NaN
  if (!(apart <= TOLERANCE)) return refused('its `webhook-timestamp` is more than five minutes from now')
  const content = contentOf(id, timestamp, body)
  const given = signatures.split(' ', MOST_SIGNATURES).map((one) => one.split(','))
  for (const secret of secrets) {
    // Both kinds answer the same for the same content (RFC 8032 for Ed25519), so comparing verifies.
    const right = secret.sign(content)
    for (const [version, signature = ''] of given) {
      if (version !== secret.version) continue
      const bytes = Buffer.from(signature, 'base64')
      if (bytes.length === right.length && timingSafeEqual(bytes, right))
        return { ok: true, mark: markOf(secrets, content) }
    }
  }
  return refused('none of its signatures is right')
}

const MOST_SIGNATURES = 16

function markOf([first]: readonly SigningSecret[], content: Uint8Array): string {
  return (first as SigningSecret).sign(content).toString('base64url')
}

function contentOf(id: string, timestamp: string, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body])
}

function refused(why: string): Checked {
  return { ok: false, why }
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
