import { describe, expect, test } from 'vitest'
import { ConfigError } from './errors.ts'
import { money, usd } from './money.ts'
import { compileTool, type ToolOptions } from './tool-options.ts'

const run = () => undefined
const compile = (options: object, name: unknown = 'charge', definition?: unknown) =>
  compileTool({ framework: 'function', name: name as string, options: options as ToolOptions, definition, run })

function refusal(work: () => unknown): ConfigError {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

describe('the name', () => {
  test.each(['charge', 'a', 'A.b_c:d/e-1', 'x'.repeat(128)])('%s is fine', (name) => {
    expect(compile({ scope: 'read' }, name).name).toBe(name)
  })

  test.each<[unknown]>([
    [''],
    ['a b'],
    ['a\n'],
    ['chargе'],
    ['a\u200b'],
    ['\u202ea'],
    ['a\0'],
    ['ａ'],
    ['x'.repeat(129)],
    [null],
    [1],
    [['a']],
  ])('%j is refused, without being repeated', (name) => {
    const { code, path, message } = refusal(() => compile({ scope: 'read' }, name))
    expect({ code, path }).toEqual({ code: 'invalid-option', path: 'name' })
    expect(message).toBe('`name` is 1 to 128 letters, digits, `_`, `.`, `:`, `/` or `-`')
  })
})

describe('the scope', () => {
  test.each<[ToolOptions['scope'], string[][]]>([
    ['read', [['read']]],
    ['gmail:read', [['gmail', 'read']]],
    [
      ['read', 'gmail:send'],
      [['read'], ['gmail', 'send']],
    ],
    [[], []],
  ])('%j', (scope, required) => {
    expect(compile({ scope }).required({}).scopes).toEqual(required)
  })

  test('can be read from the arguments, anew for each call', () => {
    const { required } = compile({ scope: ({ box }: { box: string }) => [`mail:${box}`, 'read'] })
    expect(required({ box: 'in' }).scopes).toEqual([['mail', 'in'], ['read']])
    expect(required({ box: 'out' }).scopes).toEqual([['mail', 'out'], ['read']])
    expect(() => required({ box: '*' })).toThrow(ConfigError)
    expect(() => required({ box: 'a:*' })).toThrow(ConfigError)
    expect(() => required({ box: '' })).toThrow(ConfigError)
  })

  test.each<[unknown]>([[undefined], [null], [''], ['*'], ['gmail:*'], ['spend:50'], [1], [{}], [['read', '']]])(
    '%j is refused at once',
    (scope) => {
      expect(refusal(() => compile({ scope, cost: usd(1) })).path).toMatch(/^scope/)
    },
  )

  test('that is missing is answered with how to say that none is needed', () => {
    expect(refusal(() => compile({})).message).toContain('`scope: []`')
  })

  test('`spend` without a cost is an error when the tool is wrapped', () => {
    for (const scope of ['spend', ['read', 'spend']]) {
      expect(refusal(() => compile({ scope }))).toMatchObject({ code: 'invalid-option', path: 'cost' })
      expect(compile({ scope, cost: usd(1) }).required({}).scopes).toContainEqual(['spend'])
    }
    // Read from the arguments it is an error of the call, which is then refused.
    expect(() => compile({ scope: () => 'spend' }).required({})).toThrow(ConfigError)
  })

  test('of a function that answers nothing fails, so that the call is refused', () => {
    for (const answer of [undefined, null, 1, {}]) {
      expect(() => compile({ scope: () => answer }).required({})).toThrow(ConfigError)
    }
  })
})

describe('the cost', () => {
  test('is fixed, several, or a function of the arguments', () => {
    expect(compile({ scope: [] }).cost).toBeUndefined()
    expect(compile({ scope: [], cost: usd(1) }).cost?.({})).toEqual([usd(1)])
    expect(compile({ scope: [], cost: [usd(1), money('EUR', 2), usd(3)] }).cost?.({})).toEqual([
      usd(4),
      money('EUR', 2),
    ])
    const cost = ({ amount }: { amount: number }) => usd(amount)
    expect(compile({ scope: [], cost }).cost).toBe(cost)
  })

  test.each<[unknown]>([[null], [1], ['1'], [{ unit: 'USD', micros: 1n }], [[usd(1), 2]], [{}]])(
    '%o is refused',
    (cost) => {
      expect(refusal(() => compile({ scope: [], cost }))).toMatchObject({ code: 'invalid-option', path: 'cost' })
    },
  )
})

test.each<[object, string]>([
  [{ actual: usd(1) }, 'actual'],
  [{ actual: null }, 'actual'],
  [{ secrets: 'stripe_key' }, 'secrets'],
  [{ secrets: [1] }, 'secrets'],
  [{ secrets: null }, 'secrets'],
  [{ onFailure: 'refund' }, 'onFailure'],
  [{ onFailure: null }, 'onFailure'],
  [{ unscanned: true }, 'unscanned'],
  [{ sope: 'read' }, 'sope'],
  [{ secret: ['a'] }, 'secret'],
])('%o is refused, naming %s', (options, path) => {
  expect(refusal(() => compile({ scope: 'read', ...options }))).toMatchObject({ code: 'invalid-option', path })
})

test.each<[unknown]>([[undefined], [null], ['read'], [[]]])('options that are no object: %o', (options) => {
  expect(() => compile(options as object)).toThrow(ConfigError)
})

test('the careful side is the default: a failure keeps what was held, and what can not be searched is refused', () => {
  expect(compile({ scope: [] })).toMatchObject({ releaseOnFailure: false, allowUnscanned: false, secrets: [] })
  const chosen = compile({ scope: [], onFailure: 'release', unscanned: 'allow', secrets: ['a'] })
  expect(chosen).toMatchObject({ releaseOnFailure: true, allowUnscanned: true, secrets: ['a'] })
})

test('options are read once: changing them later changes nothing', () => {
  const options = { scope: ['read'], secrets: ['a'] }
  const tool = compile(options)
  options.scope.push('write')
  options.secrets.push('b')
  expect(tool.required({}).scopes).toEqual([['read']])
  expect(tool.secrets).toEqual(['a'])
})

test('the hash of a definition does not depend on the order of its keys, and on everything else in it', () => {
  const of = (definition: unknown) => compile({ scope: [] }, 'charge', definition).fragment
  expect(of({ a: 1, b: { c: [1] } })).toBe(of({ b: { c: [1] }, a: 1 }))
  const different = [of({ a: 1 }), of({ a: 2 }), of({ b: 1 }), of([]), of(undefined)]
  expect(new Set(different).size).toBe(different.length)
})
