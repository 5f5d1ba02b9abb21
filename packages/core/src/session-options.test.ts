import { describe, expect, test } from 'vitest'
import { ConfigError } from './errors.ts'
import { checkSessionOptions, type SessionOptions } from './session-options.ts'

const check = (options: object) => checkSessionOptions({ agent: 'bot', scopes: ['read'], ...options } as SessionOptions)

function refusal(options: object): ConfigError {
  try {
    check(options)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

test('the defaults: tenant `default`, an hour, no attributes', () => {
  const { agent, tenant, ttlMs, attributes, grant } = check({})
  expect({ agent, tenant, ttlMs, attributes }).toEqual({
    agent: 'bot',
    tenant: 'default',
    ttlMs: 3_600_000,
    attributes: {},
  })
  expect(grant.scopes).toEqual(['read'])
})

test('what is given is taken', () => {
  const given = {
    agent: 'Order-bot_1.2:a@b/c',
    tenant: 'acme/eu',
    ttl: '5m',
    scopes: [],
    attributes: { user: { id: 7 } },
  }
  expect(check(given)).toMatchObject({
    agent: given.agent,
    tenant: 'acme/eu',
    ttlMs: 300_000,
    attributes: { user: { id: 7 } },
  })
})

test('attributes are a frozen copy: later changes reach no session', () => {
  const attributes = { user: { id: 7 } }
  const checked = check({ attributes }).attributes
  attributes.user.id = 8
  expect(checked).toEqual({ user: { id: 7 } })
  expect(Object.isFrozen(checked.user)).toBe(true)
})

describe.each(['agent', 'tenant'])('%s', (field) => {
  test.each<[unknown]>([
    [''],
    ['a b'],
    ['a|b'],
    ['a\n'],
    ['é'],
    ['a\u200b'],
    ['x'.repeat(129)],
    [null],
    [1],
    [['a']],
    [{}],
    [Object('a')],
    ['sk live secret'],
  ])('%j is refused by name, without the value', (value) => {
    const { code, path, message } = refusal({ [field]: value })
    expect({ code, path }).toEqual({ code: 'invalid-option', path: field })
    expect(message).toBe(`\`${field}\` is 1 to 128 letters, digits, \`_\`, \`.\`, \`:\`, \`@\`, \`/\` or \`-\``)
  })
})

test('an agent has to be given', () => {
  expect(refusal({ agent: undefined }).path).toBe('agent')
})

test.each<[object, string]>([
  [{ ttl: '0s' }, 'ttl'],
  [{ ttl: 'soon' }, 'ttl'],
  [{ ttl: null }, 'ttl'],
  [{ scopes: undefined }, 'scopes'],
  [{ scopes: 'read' }, 'scopes'],
  [{ scopes: ['read', 'spend'] }, 'scopes.1'],
  [{ scopes: ['spend:1', 'spend:2'] }, 'scopes.1'],
  [{ scope: ['read'] }, 'scope'],
  [{ attributes: null }, 'attributes'],
  [{ attributes: [] }, 'attributes'],
  [{ attributes: 'x' }, 'attributes'],
  [{ attributes: { f: () => 1 } }, 'attributes'],
  [{ attributes: new Map() }, 'attributes'],
  [{ attributes: JSON.parse('{"__proto__":{}}') }, 'attributes'],
  [
    {
      attributes: {
        get a() {
          return 1
        },
      },
    },
    'attributes',
  ],
])('%o is refused, naming %s', (options, path) => {
  expect(refusal(options).path).toBe(path)
})

test.each<[unknown]>([[undefined], [null], ['x'], [[]]])('options that are no object: %o', (options) => {
  expect(() => checkSessionOptions(options as SessionOptions)).toThrow(ConfigError)
})

test('a misspelt option is answered with the right one', () => {
  expect(refusal({ atributes: {} }).message).toContain('did you mean `attributes`?')
})
