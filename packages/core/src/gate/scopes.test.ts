import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import { covers, parseGrant, parseRequired } from './scopes.ts'

function refusal(work: () => unknown): ConfigError {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).code).toBe('invalid-scope')
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

function allows(granted: string | readonly string[], required: string): boolean {
  return covers(parseGrant([granted].flat()), parseRequired(required))
}

describe('covering', () => {
  test.each([
    ['read', 'read', true],
    ['read', 'write', false],
    ['read', 'rea', false],
    ['read', 'reader', false],
    ['read', 'READ', false],
    ['gmail:read', 'gmail:read', true],
    ['gmail:read', 'gmail:delete', false],
    ['gmail:read', 'gmail', false],
    ['gmail', 'gmail:read', true],
    ['gmail', 'gmail:delete', true],
    ['gmail', 'gmail:read:inbox', true],
    ['gmail', 'gmailx:read', false],
    ['gmail:*', 'gmail:read', true],
    ['gmail:*', 'gmail:read:inbox', true],
    ['gmail:*', 'gmail', false],
    ['*', 'read', true],
    ['*', 'gmail:read:inbox', true],
    ['*', 'spend', false],
    ['*:read', 'gmail:read', true],
    ['*:read', 'gmail:delete', false],
    ['*:read', 'read', false],
    ['gmail:*:inbox', 'gmail:read:inbox', true],
    ['gmail:*:inbox', 'gmail:read:sent', false],
    ['gmail:*:inbox', 'gmail:inbox', false],
    ['*:*', 'gmail', false],
    ['*:*', 'gmail:read', true],
    ['spend:50', 'spend', true],
    ['spend:0', 'spend', true],
    ['spend:*', 'spend', true],
    ['spend:50', 'read', false],
    ['spend:*', 'read', false],
    ['payments:spend', 'spend', false],
    ['payments:spend', 'payments:spend', true],
  ])('%s covers %s: %s', (granted, required, expected) => {
    expect(allows(granted, required)).toBe(expected)
  })

  test('nothing is covered by no scopes, and one scope of several is enough', () => {
    expect(allows([], 'read')).toBe(false)
    expect(allows([], 'spend')).toBe(false)
    expect(allows(['write', 'gmail:read'], 'gmail:read')).toBe(true)
  })

  const segment = fc.constantFrom('a', 'b', 'gmail', 'read', 'spend')
  const required = fc.array(segment, { minLength: 1, maxLength: 4 }).filter(([first]) => first !== 'spend')
  const granted = fc.array(fc.oneof(segment, fc.constant('*')), { minLength: 1, maxLength: 4 })
  const grants = fc.array(
    granted.filter(([first]) => first !== 'spend'),
    { maxLength: 4 },
  )

  test('a granted scope covers exactly what begins with it, segment by segment, `*` standing for any one', () => {
    // The reference compares texts: every way to fill a granted scope's wildcards with the required segments.
    const reference = (pattern: readonly string[], wanted: readonly string[]): boolean => {
      if (pattern.length > wanted.length) return false
      const filled = pattern.map((part, index) => (part === '*' ? wanted[index] : part)).join(':')
      return `${wanted.join(':')}:`.startsWith(`${filled}:`)
    }
    fc.assert(
      fc.property(grants, required, (patterns, wanted) => {
        const scopes = patterns.map((pattern) => pattern.join(':'))
        const expected = patterns.some((pattern) => reference(pattern, wanted))
        expect(allows(scopes, wanted.join(':'))).toBe(expected)
      }),
      { numRuns: 1_000 },
    )
  })

  test('more scopes never cover less, and a longer required scope is never harder to cover', () => {
    fc.assert(
      fc.property(grants, grants, required, segment, (some, more, wanted, further) => {
        const text = (patterns: readonly (readonly string[])[]) => patterns.map((pattern) => pattern.join(':'))
        if (!allows(text(some), wanted.join(':'))) return
        expect(allows(text([...some, ...more]), wanted.join(':'))).toBe(true)
        expect(allows(text(some), [...wanted, further].join(':'))).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('no scope that does not begin with `spend` grants spending', () => {
    fc.assert(
      fc.property(grants, (patterns) => {
        const grant = parseGrant(patterns.map((pattern) => pattern.join(':')))
        expect(grant).toMatchObject({ spend: false, unlimited: false, budgets: [] })
        expect(covers(grant, ['spend'])).toBe(false)
      }),
    )
  })
})

describe('budgets', () => {
  test.each([
    ['spend:50', { unit: 'USD', limit: 50_000_000n, window: 'total' }],
    ['spend:0', { unit: 'USD', limit: 0n, window: 'total' }],
    ['spend:0.000001', { unit: 'USD', limit: 1n, window: 'total' }],
    ['spend:50:EUR', { unit: 'EUR', limit: 50_000_000n, window: 'total' }],
    ['spend:12.50:USD/day', { unit: 'USD', limit: 12_500_000n, window: 'day' }],
    ['spend:50:USD/hour', { unit: 'USD', limit: 50_000_000n, window: 'hour' }],
    ['spend:50:USD/month', { unit: 'USD', limit: 50_000_000n, window: 'month' }],
  ])('%s', (scope, budget) => {
    expect(parseGrant([scope])).toMatchObject({ budgets: [budget], spend: true, unlimited: false, patterns: [] })
  })

  test('no limit has to be said, and limits what is named beside it', () => {
    expect(parseGrant(['spend:*'])).toMatchObject({ budgets: [], spend: true, unlimited: true })
    expect(parseGrant(['spend:*', 'spend:5:EUR'])).toMatchObject({ budgets: [{ unit: 'EUR' }], unlimited: true })
  })

  test('several currencies and windows stand beside one another', () => {
    const { budgets } = parseGrant(['spend:50', 'read', 'spend:5:USD/day', 'spend:5:EUR'])
    expect(budgets.map(({ unit, window }) => `${unit}/${window}`)).toEqual(['USD/total', 'USD/day', 'EUR/total'])
  })

  test('the scopes are kept as they were written, and nobody can add to them', () => {
    const given = ['read', 'spend:50']
    const grant = parseGrant(given)
    given.push('admin')
    expect(grant.scopes).toEqual(['read', 'spend:50'])
    expect(Object.isFrozen(grant.scopes)).toBe(true)
    expect(covers(grant, ['admin'])).toBe(false)
  })
})

describe('refused scopes', () => {
  const bad = [
    'spend',
    'spend:',
    'spend:abc',
    'spend:-5',
    'spend:+5',
    'spend:nan',
    'spend:NaN',
    'spend:inf',
    'spend:Infinity',
    'spend:1e3',
    'spend:0x10',
    'spend: 5',
    'spend:5 ',
    'spend:05',
    'spend:5.',
    'spend:.5',
    'spend:1.1234567',
    'spend:9007199254.740992',
    'spend:99999999999999',
    'spend:1,5',
    'spend:50:',
    'spend:50:usd',
    'spend:50:US',
    'spend:50:EURO',
    'spend:50:*',
    'spend:*:USD',
    'spend:*:*',
    'spend:**',
    'spend:50:USD:x',
    'spend:50:USD/year',
    'spend:50:USD/',
    'spend:50:USD/total',
    'spend:50:USD/day/x',
    'spend:50:/day',
    'spend:50:USD/DAY',
    'spend::USD',
    'spend:50/day',
    '',
    ':',
    'a:',
    ':a',
    'a::b',
    ' a',
    'a ',
    'a b',
    'a\n',
    'é',
    'a/b',
    'a**',
    'a:b*',
    '*a',
    'a,b',
    'gmаil',
    'a\u200b',
    'a\0',
    'x'.repeat(257),
  ]

  test.each(bad)('%j', (scope) => {
    const { path, message } = refusal(() => parseGrant(['read', scope, 'write']))
    expect(path).toBe('scopes.1')
    expect(message).toContain('`scopes.1`')
  })

  test.each([undefined, null, 1, {}, [], ['read'], new String('read'), Symbol('read')])('%o', (scope) => {
    expect(refusal(() => parseGrant(['read', scope as never])).path).toBe('scopes.1')
    expect(refusal(() => parseRequired(scope as never)).path).toBe('scope')
  })

  test.each([undefined, null, 'read', { 0: 'read', length: 1 }, new Set(['read'])])(
    'a list that is none: %o',
    (scopes) => {
      expect(refusal(() => parseGrant(scopes as never)).path).toBe('scopes')
    },
  )

  test('a hole is not passed over', () => {
    expect(refusal(() => parseGrant(new Array(2))).path).toBe('scopes.0')
  })

  test.each([
    [['spend:50', 'read', 'spend:20']],
    [['spend:50', 'read', 'spend:50:USD']],
    [['spend:5:EUR/day', 'read', 'spend:9:EUR/day']],
  ])('a second limit on the same currency and window, naming both: %j', (scopes) => {
    const { path, message } = refusal(() => parseGrant(scopes))
    expect(path).toBe('scopes.2')
    expect(message).toContain('`scopes.0`')
    expect(message).not.toMatch(/USD|EUR|50|20|9/)
  })

  test('no message holds what was written', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Z0-9 ]{12,20}$/),
        fc.constantFrom('', 'spend:', 'spend:50:', 'spend:50:USD/'),
        (text, head) => {
          const { message, path } = refusal(() => parseGrant([`${head}${text} !`]))
          expect(path + message).not.toContain(text)
        },
      ),
    )
  })

  test('any text is a scope or a refusal, never another error', () => {
    const like = fc.stringMatching(/^(spend|gmail|\*)?(:[a-z0-9*./U]{0,4}){0,4}$/)
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), like), (text) => {
        try {
          const grant = parseGrant([text])
          expect(text).toMatch(/^[A-Za-z0-9_.\-*:/]+$/)
          expect(grant.patterns.length + grant.budgets.length + (grant.unlimited ? 1 : 0)).toBe(1)
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid-scope', path: 'scopes.0' })
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('required scopes', () => {
  test('are read once, as segments', () => {
    expect(parseRequired('gmail:read')).toEqual(['gmail', 'read'])
    expect(parseRequired('spend')).toEqual(['spend'])
  })

  test.each(['*', 'gmail:*', '*:read', 'spend:50', 'spend:*', 'spend:', 'spend:USD', '', 'a b', 'a::b'])(
    '%j is refused',
    (scope) => {
      expect(refusal(() => parseRequired(scope, 'scope.3')).path).toBe('scope.3')
    },
  )
})

describe('what is told of a scope that can not be', () => {
  test.each<[() => unknown, string]>([
    [() => parseGrant('read' as never), '`scopes` is an array of scopes'],
    [() => parseGrant([7] as never), '`scopes.0` is a string such as `gmail:read`'],
    [() => parseGrant(['a'.repeat(257)]), '`scopes.0` is longer than 256 characters'],
    [() => parseGrant(['a b']), '`scopes.0` is segments of letters, digits, `_`, `.`, `-` or `*`, joined by `:`'],
    [() => parseGrant(['spend:1:USD/year']), '`scopes.0` names a window other than hour, day, week, month'],
    [
      () => parseGrant(['spend']),
      '`scopes.0` is `spend:50`, `spend:50:EUR`, `spend:50:USD/day`, or `spend:*` for no limit',
    ],
    [() => parseGrant(['spend:1', 'spend:2']), '`scopes.1` limits the same currency and window as `scopes.0`'],
    [() => parseRequired('a:*'), '`scope` names one scope; `*` is for what a session is granted'],
    [() => parseRequired('spend:5'), '`scope` requires `spend` alone; how much a call spends is its `cost`'],
  ])('(%#)', (work, message) => {
    expect(refusal(work).message).toBe(message)
  })

  test('and 256 characters are not too long', () => {
    expect(parseRequired('a'.repeat(256))).toEqual(['a'.repeat(256)])
  })
})
