// #region readme
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyProvider } from '@haldir/core'

/** What a key management service offers. The master key never leaves it; here it is in this process. */
export function kmsKey(id: string, masterKey: Buffer): KeyProvider {
  return {
    id: `kms:${id}`, // names the key, and stands in every secret it wraps
    async wrap(dataKey, context) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', masterKey, nonce)
      cipher.setAAD(context) // a service has a name of its own for this: additional data, encryption context
      return Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()])
    },
    async unwrap(wrapped, context) {
      const decipher = createDecipheriv('aes-256-gcm', masterKey, wrapped.subarray(0, 12), { authTagLength: 16 })
      decipher.setAAD(context)
      decipher.setAuthTag(wrapped.subarray(-16))
      return Buffer.concat([decipher.update(wrapped.subarray(12, -16)), decipher.final()])
    },
  }
}
// #endregion readme
