import { chmodSync, chownSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import { envKey, fileKey } from './keys.ts'

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

describe('a key from a file', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'haldir-key-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  function file(content: string | Uint8Array, mode = 0o600): string {
    const path = join(folder, 'haldir.key')
    writeFileSync(path, content)
    chmodSync(path, mode)
    return path
  }

  test('is the same key raw, as base64, base64url and hex, with a line break at its end, and as an environment variable', async () => {
    const texts = [
      bytes,
      bytes.toString('base64'),
      `${bytes.toString('base64url')}\n`,
      `${bytes.toString('hex')}\r\n`,
      bytes.toString('hex').toUpperCase(),
    ]
    const keys = [...texts.map((text) => fileKey(file(text))), of(bytes.toString('hex'))]
    expect(new Set(keys.slice(0, -1).map(({ id }) => id)).size).toBe(1)
    for (const one of keys) {
      for (const other of keys) {
        expect(await other.unwrap(await one.wrap(dataKey, context), context)).toEqual(dataKey)
      }
    }
  })

  test('is known by its hash: the file may move, and its id shows nothing of it', () => {
    const key = fileKey(file(bytes))
    expect(key.id).toMatch(/^file:[0-9a-f]{8}$/)
    const moved = join(folder, 'elsewhere')
    writeFileSync(moved, bytes.toString('hex'), { mode: 0o400 })
    expect(fileKey(moved).id).toBe(key.id)
    expect(fileKey(file('ab'.repeat(32))).id).not.toBe(key.id)
    const shown = inspect(key, { depth: null, showHidden: true }) + JSON.stringify(key)
    expect(shown).not.toContain(bytes.toString('hex'))
  })

  test('of raw bytes that begin and end in blanks is taken as it is', async () => {
    const raw = Buffer.concat([Buffer.from(' \n'), Buffer.alloc(28, 0xe9), Buffer.from('\r\n')])
    const wrapped = await fileKey(file(raw)).wrap(dataKey, context)
    expect(await of(raw.toString('hex')).unwrap(wrapped, context)).toEqual(dataKey)
  })

  test.skipIf(!process.getuid).each([0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o777])(
    'that others may read, write or run (%o) is refused with its mode',
    (mode) => {
      const path = file(bytes.toString('hex'), mode)
      const { message } = refusal(() => fileKey(path))
      expect(message).toBe(`the key file \`${path}\` is open to others (mode 0${mode.toString(8)}); give it mode 0600`)
    },
  )

  test.skipIf(!process.getuid).each([0o600, 0o400, 0o700])('that its owner alone may use (%o) is taken', (mode) => {
    expect(fileKey(file(bytes, mode)).id).toMatch(/^file:/)
  })

  test.skipIf(process.getuid?.() !== 0)('of another user is refused, as it is when a link leads to it', () => {
    const path = file(bytes)
    chownSync(path, 4_242, 4_242)
    expect(refusal(() => fileKey(path)).message).toContain('belongs to another user')
    const link = join(folder, 'link')
    symlinkSync(path, link)
    expect(refusal(() => fileKey(link)).message).toContain('belongs to another user')
  })

  test('behind a link is judged by the file that it leads to', () => {
    const path = file(bytes)
    const link = join(folder, 'link')
    symlinkSync(path, link)
    expect(fileKey(link).id).toBe(fileKey(path).id)
    chmodSync(path, 0o644)
    expect(refusal(() => fileKey(link)).message).toContain('open to others')
  })

  test.each([
    ['nothing', ''],
    ['31 bytes', bytes.subarray(1)],
    ['33 bytes', Buffer.concat([bytes, Buffer.alloc(1)])],
    ['16 bytes as hex', bytes.subarray(16).toString('hex')],
    ['31 bytes as base64', bytes.subarray(1).toString('base64')],
    ['two keys', `${bytes.toString('hex')}\n${bytes.toString('hex')}`],
    ['a passphrase', 'correct horse battery staple'],
    ['a passphrase of 32 letters', 'correct horse battery staple 123'],
    ['a megabyte', Buffer.alloc(1_000_000, 0x61)],
  ])('that holds %s is refused without its content', (_, content) => {
    const error = refusal(() => fileKey(file(content)))
    expect(error.message).toContain('does not hold 32 bytes')
    const shown = `${error.message}${error.stack}`
    for (const encoding of ['hex', 'base64'] as const)
      expect(shown).not.toContain(bytes.subarray(16).toString(encoding))
    expect(shown).not.toContain('correct horse')
  })

  test('that is missing, a folder, or a device is refused', () => {
    expect(refusal(() => fileKey(join(folder, 'none'))).message).toContain('can not be read')
    expect(refusal(() => fileKey(folder)).message).toMatch(/is not a file|can not be read/)
    expect(refusal(() => fileKey('/dev/null')).message).toContain('is not a file')
  })

  test.each(['base64', 'base64url', 'hex'] as const)('given in place of its path is not repeated (%s)', (encoding) => {
    for (const key of [bytes, bytes.subarray(0, 16), bytes.subarray(0, 31)]) {
      const error = refusal(() => fileKey(key.toString(encoding)))
      expect(error.message + error.stack).not.toContain(key.toString(encoding))
    }
  })

  test.each([undefined, null, '', 1, 'a\0b', new URL('file:///haldir.key')])('%j is no path', (path) => {
    expect(refusal(() => fileKey(path as string)).message).toBe('`fileKey` takes the path of a file')
  })
})

test('a path of 43 letters is no key when there is such a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'haldir-key-'))
  const path = join(folder, 'x'.repeat(200)).slice(0, Math.max(43, folder.length + 2))
  try {
    writeFileSync(path, bytes, { mode: 0o600 })
    expect(fileKey(path).id).toMatch(/^file:/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a key that is too long or too short, given in place of a variable, is not repeated', () => {
  for (const text of [`ab${bytes.toString('hex')}`, 'deadbeefdeadbeef']) {
    const error = refusal(() => envKey(text, { env: {} }))
    expect(error.message + error.stack).not.toContain(text)
  }
})
