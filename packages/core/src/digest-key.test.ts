import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DigestKey } from './digest-key.ts'

const bytes = Buffer.alloc(32, 7)
const key = new DigestKey('key-1', bytes)

function byNode(secret: Uint8Array, message: string): string {
  return createHmac('sha256', secret).update(message).digest('hex')
}

describe('the digest', () => {
  test('is HMAC-SHA-256 over the name of the tool, a line break and the canonical text', () => {
    expect(key.digest('charge', '{"amount":1}')).toBe(byNode(bytes, 'charge\n{"amount":1}'))
  })

  test('whatever the key, the tool and the text are, short or long, in any script, one after the other', () => {
    const secret = fc.uint8Array({ minLength: 1, maxLength: 64 })
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.integer({ min: 5_300, max: 5_500 }).map((length) => '€'.repeat(length)),
      fc.integer({ min: 15_900, max: 16_500 }).map((length) => 'x'.repeat(length)),
      fc.constant('y'.repeat(1_048_576)),
    )
    fc.assert(
      fc.property(secret, fc.string(), fc.array(text, { minLength: 1, maxLength: 3 }), (secret, tool, texts) => {
        const key = new DigestKey('any', secret)
        for (const text of texts) {
          const message = `${tool}\n${text}`.toWellFormed()
          expect(key.digest(tool, text)).toBe(byNode(secret, message))
        }
      }),
    )
  })

  test('differs by tool, by arguments and by key', () => {
    const digests = [
      key.digest('charge', '{"amount":1}'),
      key.digest('refund', '{"amount":1}'),
      key.digest('charge', '{"amount":2}'),
      key.digest('charge', ''),
      new DigestKey('key-2', Buffer.alloc(32, 8)).digest('charge', '{"amount":1}'),
    ]
    expect(new Set(digests).size).toBe(digests.length)
  })

  test('does not show its key, and keeps its own copy of it', () => {
    const own = Buffer.alloc(32, 9)
    const kept = new DigestKey('key-3', own)
    const before = kept.digest('a', 'b')
    own.fill(0)
    expect(kept.digest('a', 'b')).toBe(before)
    expect(inspect(kept, { showHidden: true, depth: 9 })).not.toMatch(/36|5c|Buffer/)
    expect(JSON.stringify({ ...kept })).toBe('{"id":"key-3"}')
  })

  test('takes no key that would have to be hashed first', () => {
    expect(() => new DigestKey('long', Buffer.alloc(65))).toThrow(RangeError)
    expect(() => new DigestKey('none', Buffer.alloc(0))).toThrow(RangeError)
  })
})
