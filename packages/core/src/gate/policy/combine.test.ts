import { describe, expect, test } from 'vitest'
import { compilePolicy, compileTree } from './compile.ts'
import { globProblem } from './glob.ts'
import { parseCondition } from './parse.ts'
import type { Condition, Rule, Subject } from './policy.ts'
import { ABSENT, ERROR, FALSE, TRUE } from './tree.ts'

const truthOf = (when: Condition, args: unknown) =>
  compileTree(parseCondition(when, 'when'))({ args } as unknown as Subject)

describe('the size of a text', () => {
  test.each([
    '',
    'a',
    'ab',
    '\u{1f600}',
    'a\u{1f600}',
    '\u{1f600}a',
    '\u{1f600}\u{1f600}',
    '\u{10000}',
    '\u{10ffff}',
    '\ud800',
    'a\ud800',
    '\ud800a',
    '\ud800\ud800\udc00',
    '\udc00\udc00',
    '\ud7ff\udc00',
    '\udbff\ue000',
    '\ud800\udbff',
    '\ue000\udc00',
  ])('is what a person counts (%#)', (text) => {
    expect(truthOf({ 'args.a': { size: { eq: [...text].length } } }, { a: text })).toBe(TRUE)
  })

  test('is of texts, lists and plain objects; nothing else has one', () => {
    const one = (a: unknown) => truthOf({ 'args.a': { size: { eq: 1 } } }, { a })
    expect([one('a'), one(['a']), one({ a: 1 }), one([]), one({})]).toEqual([TRUE, TRUE, TRUE, FALSE, FALSE])
    expect([one(1), one(true), one(null), one(undefined)]).toEqual([ERROR, ERROR, ERROR, ABSENT])
  })
})

describe('what is joined', () => {
  /** Conditions that come to each truth. */
  const of = { true: { 'args.a': 1 }, false: { 'args.a': 2 }, absent: { 'args.b': 1 }, error: { 'args.a': 'x' } }
  const all = (...parts: (keyof typeof of)[]) => truthOf({ all: parts.map((one) => of[one]) }, { a: 1 })
  const any = (...parts: (keyof typeof of)[]) => truthOf({ any: parts.map((one) => of[one]) }, { a: 1 })

  test('by `all` is the least of its parts, in whatever order', () => {
    expect([all('true'), all('true', 'true'), all('true', 'true', 'true')]).toEqual([TRUE, TRUE, TRUE])
    expect([all('true', 'error'), all('error', 'true', 'true'), all('true', 'true', 'error')]).toEqual(
      Array(3).fill(ERROR),
    )
    expect([all('error', 'absent'), all('absent', 'error'), all('true', 'absent', 'error')]).toEqual(
      Array(3).fill(Math.min(ABSENT, ERROR)),
    )
    expect([all('error', 'false'), all('false', 'error', 'true'), all('absent', 'true', 'false')]).toEqual(
      Array(3).fill(FALSE),
    )
  })

  test('by `any` is the greatest', () => {
    expect([any('false'), any('false', 'false'), any('false', 'false', 'false')]).toEqual([FALSE, FALSE, FALSE])
    expect([any('false', 'true'), any('true', 'error'), any('absent', 'error', 'true')]).toEqual([TRUE, TRUE, TRUE])
    expect([any('error', 'absent'), any('absent', 'error'), any('false', 'absent', 'error')]).toEqual(
      Array(3).fill(Math.max(ABSENT, ERROR)),
    )
  })

  test('of the items of a list is the worst: a list of none is all, and none', () => {
    const items = (mode: 'every' | 'some', list: unknown) => truthOf({ 'args.a': { [mode]: { eq: 1 } } }, { a: list })
    expect(['every', 'some'].map((mode) => items(mode as 'some', []))).toEqual([TRUE, FALSE])
    expect(
      [
        [1, 'x'],
        ['x', 1],
      ].map((list) => items('every', list)),
    ).toEqual([ERROR, ERROR])
    expect(
      [
        [1, 2, 'x'],
        ['x', 2],
      ].map((list) => items('every', list)),
    ).toEqual([FALSE, FALSE])
    expect(
      [
        [2, 'x'],
        ['x', 2],
      ].map((list) => items('some', list)),
    ).toEqual([ERROR, ERROR])
    expect(
      [
        [2, 'x', 1],
        [1, 'x'],
      ].map((list) => items('some', list)),
    ).toEqual([TRUE, TRUE])
    expect([items('some', undefined), items('some', 'x'), items('every', { 0: 1 })]).toEqual([ABSENT, ERROR, ERROR])
  })
})

describe('a compiled policy', () => {
  const rules = [{ id: 'r', tools: 'a*', agents: ['x', 'y'], then: 'deny' }] as unknown as Rule[]
  const policy = compilePolicy({ default: 'deny', rules })

  test('remembers the rules of every tool it has met', () => {
    const [one, other] = [policy.forTool('a1'), policy.forTool('a2')]
    expect(policy.forTool('a1')).toBe(one)
    expect(policy.forTool('a2')).toBe(other)
  })

  test('has a rule apply to callers that can not be told', () => {
    const applies = (agent: string) => policy.rules[0]?.applies({ session: { agent } } as unknown as Subject)
    expect([applies('x'), applies('z')]).toEqual([true, false])
    const odd = {
      get session() {
        throw new Error('no')
      },
    }
    expect(policy.rules[0]?.applies(odd as unknown as Subject)).toBe(true)
    const all = compilePolicy({ default: 'deny', rules: [{ id: 'r', tools: 'a', then: 'deny' }] as Rule[] })
    expect(all.rules[0]?.applies(odd as unknown as Subject)).toBe(true)
  })
})

test('what is wrong with a glob', () => {
  expect(globProblem('')).toBe('is empty; `*` stands for everything')
  expect(globProblem('a'.repeat(1_000))).toBe(undefined)
  expect(globProblem('a'.repeat(1_001))).toBe('is longer than 1,000 characters')
  expect(globProblem('a\\b')).toBe('has a lone backslash; write `\\\\` for a backslash and `\\*` for a star')
  expect(globProblem('a\\')).toBe('has a lone backslash; write `\\\\` for a backslash and `\\*` for a star')
})
