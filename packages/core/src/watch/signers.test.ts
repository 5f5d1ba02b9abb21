import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { createKeys } from './note.ts'
import { createSigningKey, envSigner, fileSigner } from './signers.ts'

const KEYS = createKeys('acme.example/haldir', () => new Uint8Array(32).fill(7))

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-signers-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** What is said of a mistake never holds the key, nor part of it. */
function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    const { code, path, message } = error as { code: string; path: string; message: string }
    expect(code).toBe('invalid-option')
    expect(path).toBe('checkpoints.signer')
    expect(message).not.toContain('PRIVATE+KEY')
    expect(message).not.toContain('AQcHBwcH')
    return message
  }
  throw new Error('nothing was thrown')
}

describe('createSigningKey', () => {
  it('makes another key each time, and the same one of the same bytes', () => {
    expect(createSigningKey('a').signingKey).not.toBe(createSigningKey('a').signingKey)
    expect(createSigningKey('acme.example/haldir', () => new Uint8Array(32).fill(7))).toEqual(KEYS)
  })

  test.each(['', 'a b', 'a+b', undefined])('%j is no name', (name) => {
    expect(() => createSigningKey(name as string)).toThrow(
      expect.objectContaining({ code: 'invalid-option', path: 'name' }),
    )
  })
})

describe('envSigner', () => {
  it('reads a signing key, whatever blanks are around it', () => {
    expect(envSigner('KEY', { env: { KEY: ` ${KEYS.signingKey}\n` } })).toMatchObject({
      name: 'acme.example/haldir',
      publicKey: KEYS.publicKey,
    })
  })

  test.each([
    ['is not set', 'KEY', {}],
    ['is not set', 'KEY', { KEY: '' }],
    ['is not set', 'toString', {}],
    ['does not hold a signing key', 'KEY', { KEY: KEYS.publicKey }],
    ['does not hold a signing key', 'KEY', { KEY: KEYS.signingKey.slice(0, -1) }],
    ['takes the name of an environment variable', KEYS.signingKey, {}],
    ['takes the name of an environment variable', undefined, {}],
  ])('says %s', (said, variable, env) => {
    expect(refusal(() => envSigner(variable as string, { env }))).toContain(said)
  })
})

describe('fileSigner', () => {
  const write = (text: string, mode = 0o600) => {
    const path = join(folder, 'key')
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }

  it('reads a file that only its owner can read', () => {
    expect(fileSigner(write(`${KEYS.signingKey}\n`)).publicKey).toBe(KEYS.publicKey)
    expect(fileSigner(write(KEYS.signingKey, 0o400)).publicKey).toBe(KEYS.publicKey)
  })

  test.each([0o644, 0o640, 0o602, 0o660])('refuses a file of mode %o', (mode) => {
    expect(refusal(() => fileSigner(write(KEYS.signingKey, mode)))).toContain('is open to others')
  })

  it('refuses what is no file, no key, or not there', () => {
    expect(refusal(() => fileSigner(write(KEYS.publicKey)))).toContain('does not hold a signing key')
    expect(refusal(() => fileSigner(write(`${KEYS.signingKey}x`)))).toContain('does not hold a signing key')
    expect(refusal(() => fileSigner(write(`${' '.repeat(600)}${KEYS.signingKey}`)))).toContain('does not hold')
    expect(refusal(() => fileSigner(join(folder, 'none')))).toContain('can not be read')
    mkdirSync(join(folder, 'folder'), { mode: 0o700 })
    expect(refusal(() => fileSigner(join(folder, 'folder')))).toContain('is not a file')
    expect(refusal(() => fileSigner(KEYS.signingKey))).toContain('takes a path')
    for (const bad of ['', 1, 'a\0b']) expect(refusal(() => fileSigner(bad as string))).toContain('the path of a file')
  })
})
