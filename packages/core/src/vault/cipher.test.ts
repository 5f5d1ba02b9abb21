import { createCipheriv, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openBytes, sealBytes } from './cipher.ts'

const key = Buffer.alloc(32, 1)
const context = Buffer.from('context')

test('what was sealed opens to the same bytes, whatever they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 50 }), (plain, bound) => {
      const sealed = sealBytes(key, plain, bound)
      expect(sealed).toHaveLength(12 + plain.length + 16)
      expect(openBytes(key, sealed, bound)).toEqual(Buffer.from(plain))
    }),
  )
})

test('is AES-256-GCM: nonce, ciphertext and tag, in this order', () => {
  const nonce = Buffer.alloc(12, 9)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(context)
  const expected = Buffer.concat([nonce, cipher.update('secret'), cipher.final(), cipher.getAuthTag()])
  expect(sealBytes(key, Buffer.from('secret'), context, () => nonce)).toEqual(expected)
})

test('a nonce is never used twice', () => {
  const nonces = Array.from({ length: 1_000 }, () => sealBytes(key, context, context).toString('hex', 0, 12))
  expect(new Set(nonces).size).toBe(1_000)
})

test('any change to any bit of the sealed bytes is noticed', () => {
  const sealed = sealBytes(key, Buffer.from('secret!!'), context)
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Buffer.from(sealed)
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    expect(() => openBytes(key, changed, context)).toThrow()
  }
})

test('bytes cut short or made longer at either end are refused, down to a tag of 4 bytes and to nothing', () => {
  const sealed = sealBytes(key, Buffer.from('secret!!'), context)
  for (let length = 0; length < sealed.length; length++) {
    expect(() => openBytes(key, sealed.subarray(0, length), context)).toThrow()
    expect(() => openBytes(key, sealed.subarray(sealed.length - length), context)).toThrow()
  }
  expect(() => openBytes(key, Buffer.concat([sealed, Buffer.alloc(1)]), context)).toThrow()
})

test('another key or another context opens nothing', () => {
  const sealed = sealBytes(key, Buffer.from('secret'), context)
  expect(() => openBytes(randomBytes(32), sealed, context)).toThrow()
  expect(() => openBytes(Buffer.alloc(16, 1), sealed, context)).toThrow()
  expect(() => openBytes(key, sealed, Buffer.from('contexT'))).toThrow()
  expect(() => openBytes(key, sealed, Buffer.alloc(0))).toThrow()
})

test('randomness of the wrong length seals nothing', () => {
  for (const length of [0, 8, 11, 13, 16]) {
    expect(() => sealBytes(key, context, context, () => Buffer.alloc(length))).toThrow('12 bytes')
  }
})

test('opens nothing that is too short to have been sealed', () => {
  for (const length of [0, 4, 12, 27]) {
    expect(() => openBytes(new Uint8Array(32), new Uint8Array(length), new Uint8Array())).toThrow(
      'the sealed bytes are too short',
    )
  }
  const nothing = sealBytes(new Uint8Array(32), new Uint8Array(), new Uint8Array())
  expect(nothing.length).toBe(28)
  expect(openBytes(new Uint8Array(32), nothing, new Uint8Array())).toEqual(Buffer.alloc(0))
})
