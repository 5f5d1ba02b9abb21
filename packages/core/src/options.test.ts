import { describe, expect, test } from 'vitest'
import { ConfigError } from './errors.ts'
import { checkKeys } from './options.ts'

const KNOWN = ['agent', 'tenant', 'scopes', 'ttl'] as const

function refusal(options: unknown): ConfigError {
  try {
    checkKeys(options, KNOWN, 'options of `createSession`')
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

test.each<[object]>([[{}], [{ agent: 'a' }], [{ agent: undefined, ttl: 1 }], [Object.create({ inherited: 1 })]])(
  'known keys pass: %o',
  (options) => {
    expect(() => checkKeys(options, KNOWN, 'options')).not.toThrow()
  },
)

test.each<[unknown]>([[undefined], [null], ['agent'], [1], [true], [[]], [() => ({})], [Symbol('x')]])(
  'options that are no object: %o',
  (options) => {
    expect(refusal(options).message).toBe('the options of `createSession` are an object')
  },
)

describe('a key that is not known', () => {
  test.each([
    ['scope', 'did you mean `scopes`?'],
    ['scpoes', 'did you mean `scopes`?'],
    ['Agent', 'did you mean `agent`?'],
    ['TENANT', 'did you mean `tenant`?'],
    ['tll', 'did you mean `ttl`?'],
    ['agents_', 'did you mean `agent`?'],
    ['budget', 'known are `agent`, `tenant`, `scopes`, `ttl`'],
    ['', 'known are'],
    ['constructor', 'known are'],
    ['x'.repeat(1_000), 'known are'],
  ])('%s is named, with the way out', (key, hint) => {
    const error = refusal({ agent: 'a', [key]: 'a value nobody should see' })
    expect(error).toMatchObject({ code: 'invalid-option', path: key })
    expect(error.message).toContain(hint)
    expect(error.message).toContain('options of `createSession`')
    expect(error.message).not.toContain('nobody should see')
  })

  test('of JSON that means to reach the prototype is refused like any other', () => {
    expect(refusal(JSON.parse('{"__proto__":{"agent":"x"}}')).path).toBe('__proto__')
  })
})
