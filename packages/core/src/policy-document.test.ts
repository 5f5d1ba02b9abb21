import { describe, expect, it, test } from 'vitest'
import { ConfigError } from './errors.ts'
import { PolicyDocument } from './policy-document.ts'

const read = (text: string, format: 'yaml' | 'json' = 'yaml') => new PolicyDocument(text, format, 'the policy').data

function refusal(text: string, format: 'yaml' | 'json' = 'yaml'): ConfigError {
  try {
    read(text, format)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).code).toBe('invalid-policy')
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

describe('YAML 1.2 of the core schema', () => {
  it.each<[string, unknown]>([
    ['no', 'no'],
    ['on', 'on'],
    ['yes', 'yes'],
    ['true', true],
    ['~', null],
    ['2026-11-23', '2026-11-23'],
    ['12:30', '12:30'],
    ['1e2', 100],
    ['0x1f', 31],
    ['0o17', 15],
    ['010', 10],
    ['-0', 0],
    ['1_000', '1_000'],
    ['1,000', '1,000'],
    ['100.5', 100.5],
    ['9007199254740991', 9007199254740991],
    ['!!str 5', '5'],
    ["'5'", '5'],
  ])('reads %s as %o', (text, value) => {
    expect(read(`a: ${text}\n`)).toEqual({ a: value })
  })

  it('reads keys as texts', () => {
    expect(read('1: a\ntrue: b\nnull: c\n')).toEqual({ 1: 'a', true: 'b', null: 'c' })
  })

  it('reads a document with a mark of its beginning and its end', () => {
    expect(read('\ufeff%YAML 1.2\n---\na: 1\n...\n')).toEqual({ a: 1 })
  })

  it('writes aliases out, each a copy of its own', () => {
    const { a, b } = read('a: &x { k: [1] }\nb: *x\n') as { a: { k: unknown }; b: { k: unknown } }
    expect(b).toEqual({ k: [1] })
    expect(b).not.toBe(a)
    expect(b.k).not.toBe(a.k)
  })

  it('takes the anchor that stands nearest before an alias', () => {
    expect(read('a: &x 1\nb: *x\nc: &x 2\nd: *x\n')).toEqual({ a: 1, b: 1, c: 2, d: 2 })
    expect(read('a: &x [&y 1]\nb: &y 2\nc: *x\nd: *y\n')).toEqual({ a: [1], b: 2, c: [1], d: 2 })
  })
})

const BROKEN: readonly [string, string, string, string][] = [
  ['a key that stands twice', 'a: 1\nb: 2\na: 3\n', 'twice', 'line 3, column 1'],
  ['a key that stands twice, once in quotes', 'a: 1\n"a": 3\n', 'twice', 'line 2, column 1'],
  ['several documents', 'a: 1\n---\nb: 1\n', 'one document', 'line '],
  ['text after the end', 'a: 1\n...\nb\n', 'one document', 'line '],
  ['a merge key', 'x: &x { a: 1 }\ny:\n  <<: *x\n', 'merge key', 'line 3, column 3'],
  ['a tag of one’s own', 'a: !env HOME\n', 'tag', 'line 1, column 4'],
  ['a tag of YAML 1.1', 'a: !!binary aGk=\n', 'tag', 'line 1, column 4'],
  ['a set', 'a: !!set { x }\n', 'tag', 'line 1, column 4'],
  ['another version', '%YAML 1.1\n---\na: no\n', 'another version', 'line 1'],
  ['an unknown directive', '%FOO bar\n---\na: no\n', 'directive', 'line 1'],
  ['a key that is a list', '? [a]\n: 1\n', 'no text', 'line 1'],
  ['a key that is an alias', 'a: &x b\n*x : 1\n', 'no text', 'line 2'],
  ['an integer that is no exact number', 'a: 1\nb: 9007199254740993\n', '2^53', 'line 2, column 4'],
  ['infinity', 'a: .inf\n', 'finite', 'line 1, column 4'],
  ['a number beyond all', 'a: 1e999\n', 'finite', 'line 1, column 4'],
  ['no number', 'a: .nan\n', 'finite', 'line 1, column 4'],
  ['an alias of nothing', 'a: *x\n', 'alias', 'line 1, column 4'],
  ['an alias before its anchor', 'a: *x\nb: &x 1\n', 'alias', 'line 1, column 4'],
  ['an anchor around itself', 'a: &x [*x]\n', 'levels deep', 'line 1'],
  ['a prototype', '__proto__: { a: 1 }\n', '__proto__', 'line 1, column 1'],
  ['a tab', 'a:\n\tb: 1\n', 'tab', 'line 2'],
  ['an open bracket', 'a: [1, 2\n', 'bracket', 'line '],
  ['uneven indentation', 'a:\n    b: 1\n  c: 2\n', 'indent', 'line 3'],
  ['a backslash that means nothing', 'a: "\\d+"\n', 'backslash', 'line 1'],
]

test.each(BROKEN)('refuses %s, with its line', (_, text, what, place) => {
  const { message } = refusal(text)
  expect(message).toContain(what)
  expect(message).toContain(place)
})

test.each(['', '# a comment\n', '\ufeff'])('refuses %o as empty', (text) => {
  expect(refusal(text).message).toContain('is empty')
})

test('refuses a bomb of aliases before it goes off', () => {
  const levels = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let level = 1; level < 12; level++)
    levels.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    )
  expect(refusal(levels.join('\n')).message).toContain('values, aliases written out')
})

test('refuses brackets without end, however it is nested', () => {
  for (const text of ['['.repeat(100_000), '- '.repeat(100_000), '{a: '.repeat(50_000)]) refusal(text)
  expect(refusal(`${'['.repeat(200)}1${']'.repeat(200)}`).message).toContain('levels deep')
})

test('reads a map of very many keys without comparing each with each', () => {
  const began = process.hrtime.bigint()
  const text = Array.from({ length: 50_000 }, (_, index) => `k${index}: 1`).join('\n')
  expect(Object.keys(read(text) as object)).toHaveLength(50_000)
  expect(Number(process.hrtime.bigint() - began)).toBeLessThan(10e9)
})

test('no message quotes the text', () => {
  for (const text of [
    'secret: [SECRET\n',
    'SECRET: 1\nSECRET: 2\n',
    'a: *SECRET\n',
    'a: !SECRET x\n',
    '"SECRET\n',
    'SECRET',
  ]) {
    try {
      expect(read(text)).toBe('SECRET')
    } catch (error) {
      expect(String((error as ConfigError).message)).not.toContain('SECRET')
    }
  }
})

describe('JSON', () => {
  it('reads what JSON is', () => {
    const text = '{\n\t"a": [1, -1.5e3, true, null, "\\u0041\\/\\n"],\r\n\t"b": { "c": "" }\n}\n'
    expect(read(text, 'json')).toEqual(JSON.parse(text))
  })

  it.each([
    ['YAML', 'a: 1\n'],
    ['a comment', '{} // none\n'],
    ['a trailing comma', '{"a": 1,}'],
    ['nothing', ''],
  ])('refuses %s', (_, text) => {
    expect(refusal(text, 'json').message).toContain('not valid JSON')
  })

  it('refuses what readers of JSON take differently, with its line', () => {
    expect(refusal('{"a": 1,\n "a": 2}', 'json').message).toContain('twice in one map, at line 2, column 2')
    expect(refusal('{"a": 9007199254740993}', 'json').message).toContain('2^53')
    expect(refusal('{"__proto__": {}}', 'json').message).toContain('__proto__')
  })
})

describe('a place in a document', () => {
  const text = 'rules:\n  - id: a\n    when:\n      args: { exists: true }\n      args.amount:\n        gt: 5\n'
  const document = new PolicyDocument(text, 'yaml', 'the policy')
  const placeOf = (path: string) =>
    (document.located(new ConfigError('invalid-policy', path, 'it')) as ConfigError).message

  it.each([
    ['', 'line 1, column 1'],
    ['rules', 'line 1, column 1'],
    ['rules.0', 'line 2, column 5'],
    ['rules.0.id', 'line 2, column 5'],
    ['rules.0.when.args.amount', 'line 5, column 7'],
    ['rules.0.when.args.amount.gt', 'line 6, column 9'],
    ['rules.0.when.args.exists', 'line 4, column 15'],
    ['rules.0.then', 'line 2, column 5'],
    ['rules.7.id', 'line 1, column 1'],
    ['elsewhere', 'line 1, column 1'],
  ])('%s is found, or what is around it', (path, place) => {
    expect(placeOf(path)).toBe(`${place} of the policy: it`)
  })

  it('is added to errors of ours alone', () => {
    const other = new TypeError('x')
    expect(document.located(other)).toBe(other)
  })
})
