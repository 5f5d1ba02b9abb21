import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import { envKey } from './keys.ts'

const bytes = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index * 7))
const dataKey = Buffer.alloc(32, 5)
const context = Buffer.from('context')
const of = (value: string) => envKey('HALDIR_KEY', { env: { HALDIR_KEY: value } })

function refusal(work: () => unknown): ConfigError {
  try {
    work()
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid-option', path: 'vault.keys' })
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

describe('a key from the environment', () => {
  test('is the same key as base64, base64url, hex in both cases, without padding and with blanks around it', async () => {
    const base64 = bytes.toString('base64')
    expect(base64).toMatch(/[+/]/)
    const texts = [
      base64,
      base64.replace('=', ''),
      bytes.toString('base64url'),
      bytes.toString('hex'),
      bytes.toString('hex').toUpperCase(),
      ` ${base64}\n`,
    ]
    const keys = texts.map(of)
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1)
    for (const one of keys) {
      for (const other of keys) {
        expect(await other.unwrap(await one.wrap(dataKey, context), context)).toEqual(dataKey)
      }
    }
  })

  test('wraps with a fresh nonce each time, bound to the context and to the key', async () => {
    const key = of(bytes.toString('hex'))
    const [one, other] = [await key.wrap(dataKey, context), await key.wrap(dataKey, context)]
    expect(Buffer.from(one)).not.toEqual(Buffer.from(other))
    expect(() => key.unwrap(one, Buffer.from('another'))).toThrow()
    expect(() => of('ab'.repeat(32)).unwrap(one, context)).toThrow()
    expect(() => key.unwrap(one.subarray(0, -1), context)).toThrow()
  })

  test('has an id that names the variable and changes with the key, and shows nothing of it', () => {
    const key = of(bytes.toString('base64'))
    expect(key.id).toMatch(/^env:HALDIR_KEY:[0-9a-f]{8}$/)
    expect(key.id).not.toBe(of('ab'.repeat(32)).id)
    const shown = inspect(key, { depth: null, showHidden: true }) + JSON.stringify(key)
    for (const encoding of ['base64', 'base64url', 'hex'] as const)
      expect(shown).not.toContain(bytes.toString(encoding))
  })

  test.each([undefined, ''])('that is not set (%j) is a ConfigError that names the variable', (value) => {
    expect(refusal(() => of(value as string)).message).toBe('the environment variable `HALDIR_KEY` is not set')
  })

  test('is not found on what the environment inherits', () => {
    expect(refusal(() => envKey('toString')).message).toContain('is not set')
    expect(refusal(() => envKey('constructor', { env: {} })).message).toContain('is not set')
  })

  test.each([
    ['16 bytes', bytes.subarray(16).toString('base64')],
    ['31 bytes', bytes.subarray(1).toString('base64')],
    ['33 bytes', Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64')],
    ['31 bytes as hex', bytes.subarray(1).toString('hex')],
    ['64 bytes as hex', Buffer.concat([bytes, bytes]).toString('hex')],
    ['an odd hex digit', bytes.toString('hex').slice(1)],
    ['a passphrase', 'correct horse battery staple'],
    ['a passphrase of 32 letters', 'correct-horse-battery-staple-123'],
    ['too much padding', `${bytes.toString('base64')}=`],
    ['a blank within', bytes.toString('base64').replace(/^(.{9})./, '$1 ')],
    ['nothing but blanks', '   '],
    ['quotes around it', `"${bytes.toString('base64')}"`],
  ])('of another length or shape is a ConfigError without the value: %s', (_, value) => {
    const { message } = refusal(() => of(value))
    expect(message).toBe('the environment variable `HALDIR_KEY` is not 32 bytes as base64, base64url or hex')
    expect(refusal(() => of(value)).stack).not.toContain(value.trim() || 'nothing')
  })

  test.each(['base64', 'base64url', 'hex'] as const)(
    'given in place of its name is not repeated in a message (%s)',
    (encoding) => {
      for (const key of [bytes, Buffer.alloc(32, 0xab), Buffer.alloc(32, 0x69)]) {
        const error = refusal(() => envKey(key.toString(encoding), { env: {} }))
        expect(error.message + error.stack).not.toContain(key.toString(encoding))
        expect(error.message).toContain('name of an environment variable')
      }
    },
  )

  test.each([undefined, null, '', 1, 'A B', 'A=B', '1A', 'A\n'])('%j is no name', (name) => {
    expect(refusal(() => envKey(name as string, { env: {} }))).toBeInstanceOf(ConfigError)
  })
})
