import { inspect } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import { ConfigError, type DenialCode, Denied, HaldirError, Unavailable } from './errors.ts'

const CODES: readonly DenialCode[] = [
  'no-session',
  'session-expired',
  'session-revoked',
  'scope-missing',
  'policy-denied',
  'budget-exceeded',
  'rate-exceeded',
  'quota-exceeded',
  'duplicate-call',
  'approval-denied',
  'approval-expired',
  'approval-pending',
  'approval-unavailable',
  'invalid-arguments',
  'secret-unavailable',
  'unavailable',
]

describe('a denial', () => {
  test.each(CODES)('%s says code, reason and its own next step, and does not invite a retry', (code) => {
    const denied = new Denied(code, 'the reason', 'call-1')
    expect(denied.message).toMatch(/^Denied \([a-z-]+\): the reason\. [A-Z].*\.$/)
    expect(denied.message).toContain(`(${code})`)
    expect(denied.message).not.toMatch(/\b(try again|retry later|please retry)\b/i)
    expect(denied.message).not.toMatch(/(?<!not )(?<!not re)\bretry this call/)
    expect(denied.message).not.toContain('\n')
    expect(denied).toMatchObject({ code, callId: 'call-1' })
  })

  test('only what time or a person can change is retryable', () => {
    const retryable = CODES.filter((code) => new Denied(code, 'r', 'c').retryable)
    expect(retryable).toEqual(['rate-exceeded', 'approval-pending'])
  })

  test('has a rule only when one is known', () => {
    expect(new Denied('scope-missing', 'r', 'c').rule).toBeUndefined()
    expect(new Denied('scope-missing', 'r', 'c', 'scope:read').rule).toBe('scope:read')
  })
})

describe('the family', () => {
  const members = [
    new HaldirError('no-session', 'a'),
    new Denied('no-session', 'a', 'c'),
    new ConfigError('invalid-option', 'ttl', 'a'),
    new Unavailable('a', { cause: new Error('b') }),
  ]

  test('each is an Error with its name, and shows its message alone as text', () => {
    for (const error of members) {
      expect(error).toBeInstanceOf(Error)
      expect(error).toBeInstanceOf(HaldirError)
      expect(String(error)).toBe(error.message)
      expect(`${error}`).toBe(error.message)
      expect(error.stack).toContain('errors.test.ts')
      expect(inspect(error)).toContain(error.message)
    }
    expect(members.map(({ name }) => name)).toEqual(['HaldirError', 'Denied', 'ConfigError', 'HaldirError'])
    expect((members[3] as Error).cause).toEqual(new Error('b'))
    expect(members[3]?.code).toBe('unavailable')
  })

  test('isInstance tells them apart', () => {
    expect(members.map(HaldirError.isInstance)).toEqual([true, true, true, true])
    expect(members.map(Denied.isInstance)).toEqual([false, true, false, false])
    expect(members.map(ConfigError.isInstance)).toEqual([false, false, true, false])
    const others = [undefined, null, 'Denied', new Error('Denied'), { name: 'Denied', code: 'no-session' }, {}, Denied]
    for (const other of others) expect(HaldirError.isInstance(other)).toBe(false)
  })

  test('isInstance holds for errors of another copy of the package, and for subclasses', async () => {
    vi.resetModules()
    const copy = await import('./errors.ts')
    expect(copy.Denied).not.toBe(Denied)
    const foreign = new copy.Denied('no-session', 'a', 'c')
    expect(foreign).not.toBeInstanceOf(Denied)
    expect(Denied.isInstance(foreign)).toBe(true)
    expect(HaldirError.isInstance(foreign)).toBe(true)
    expect(ConfigError.isInstance(foreign)).toBe(false)
    expect(Denied.isInstance(new (class Special extends Denied {})('no-session', 'a', 'c'))).toBe(true)
  })
})
