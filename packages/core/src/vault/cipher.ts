/** AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce: nonce, ciphertext and 128-bit tag, in this order. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const NONCE = 12
const TAG = 16

export type Random = (bytes: number) => Uint8Array

export function sealBytes(
  key: Uint8Array,
  plain: Uint8Array,
  context: Uint8Array,
  random: Random = randomBytes,
): Buffer {
  const nonce = random(NONCE)
  if (nonce.length !== NONCE) throw new Error('the nonce is not 12 bytes')
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG })
  cipher.setAAD(context)
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** Throws when key, bytes or context are not those of the sealing. */
export function openBytes(key: Uint8Array, sealed: Uint8Array, context: Uint8Array): Buffer {
  if (sealed.length < NONCE + TAG) throw new Error('the sealed bytes are too short')
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE), { authTagLength: TAG })
  decipher.setAAD(context)
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG))
  const plain = decipher.update(sealed.subarray(NONCE, sealed.length - TAG))
  return Buffer.concat([plain, decipher.final()])
}
