import { describe, expect, it } from 'vitest'
import { ConfigError } from '../errors.ts'
import { nameIn, wrapAny, wrapEach, wrapList } from './wrap-each.ts'

interface Named {
  readonly name: string
}

const wrap = (tool: unknown, name: string, options: object): any => ({ tool, name, options })
const problem = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    if (ConfigError.isInstance(error)) return [error.code, error.path, error.message]
    throw error
  }
  return undefined
}

describe('wrapEach', () => {
  it('wraps every tool under its key, with its options', () => {
    const tools = { b: 'B', a: 'A', 1: 'one' }
    const options = { a: { scope: 'a' }, b: { scope: 'b' }, 1: { scope: '1' } }
    const wrapped = wrapEach<any, object>(tools, options, wrap)
    expect(Object.keys(wrapped)).toEqual(Object.keys(tools))
    expect(wrapped.b).toEqual({ tool: 'B', name: 'b', options: { scope: 'b' } })
  })

  it('takes names that every object has for what they are', () => {
    const names = ['constructor', 'toString', '__proto__', 'hasOwnProperty']
    const tools = Object.fromEntries(names.map((name) => [name, name]))
    expect(problem(() => wrapEach<any, object>(tools, {}, wrap))).toEqual([
      'invalid-option',
      'constructor',
      '`constructor` has no options: at least a `scope`',
    ])
    const options = Object.fromEntries(names.map((name) => [name, { scope: name }]))
    expect(Object.keys(wrapEach<any, object>(tools, options, wrap))).toEqual(names)
  })

  it('refuses what is left out, on either side, and what is no set', () => {
    const some = { a: 'A' }
    const cases: [() => unknown, string[]][] = [
      [() => wrapEach<any, object>(some, {}, wrap), ['invalid-option', 'a']],
      [() => wrapEach<any, object>(some, { a: null as never }, wrap), ['invalid-option', 'a']],
      [() => wrapEach<any, object>(some, { a: {}, b: {} }, wrap), ['invalid-option', 'b']],
      [() => wrapEach<any, object>(null as never, {}, wrap), ['ungovernable', 'tools']],
      [() => wrapEach<any, object>('ab' as never, {}, wrap), ['ungovernable', 'tools']],
      [() => wrapEach<any, object>(some, undefined as never, wrap), ['invalid-option', 'options']],
    ]
    for (const [work, told] of cases) expect(problem(work)?.slice(0, 2)).toEqual(told)
  })

  it('says which tool an error is of', () => {
    const throwing = (path: string) => () => {
      throw new ConfigError('invalid-scope', path, 'is no scope')
    }
    const one = { a: 'A' }
    const rule = { a: {} }
    expect(problem(() => wrapEach<any, object>(one, rule, throwing('scope')))).toEqual([
      'invalid-scope',
      'a.scope',
      '`a`: is no scope',
    ])
    expect(problem(() => wrapEach<any, object>(one, rule, throwing('a')))).toEqual([
      'invalid-scope',
      'a',
      'is no scope',
    ])
    const other = new TypeError('a bug')
    expect(() =>
      wrapEach<any, object>(one, rule, () => {
        throw other
      }),
    ).toThrow(other)
  })
})

describe('wrapList', () => {
  it('keeps the order of the list, whatever its tools are called', () => {
    const tools = ['b', '10', 'a', '2', '__proto__'].map((name) => ({ name }))
    const options = Object.fromEntries(tools.map(({ name }) => [name, { scope: name }]))
    const wrapped = wrapList<Named, object>(tools, options, wrap) as unknown as ReturnType<typeof wrap>[]
    expect(wrapped.map(({ tool }) => tool)).toEqual(tools)
    expect(wrapped.map(({ options: rule }) => rule.scope)).toEqual(tools.map(({ name }) => name))
    expect(wrapList<Named, object>([], {}, wrap)).toEqual([])
  })

  it('refuses a name that stands twice, also of what is no tool', () => {
    const twice = [{ name: 'a' }, { name: 'b' }, { name: 'a' }]
    expect(problem(() => wrapList<Named, object>(twice, { a: {}, b: {} }, wrap))).toEqual([
      'invalid-option',
      'tools',
      '`a` stands twice in `tools`',
    ])
    const odd = [undefined, { name: '0' }] as unknown as Named[]
    expect(problem(() => wrapList<Named, object>(odd, { 0: {} }, wrap))?.[1]).toBe('tools')
  })

  it('hands what has no name to the wrapper, which says what it is instead', () => {
    const tools = [{ name: 'a' }, null, 5, { name: 7 }] as unknown as Named[]
    const seen: [unknown, string][] = []
    wrapList<Named, object>(tools, { a: {}, 1: {}, 2: {}, 3: {} }, (tool, name) => {
      seen.push([tool, name])
      return tool
    })
    expect(new Map(seen.map(([tool, name]) => [name, tool]))).toEqual(
      new Map<string, unknown>([
        ['a', tools[0]],
        ['1', null],
        ['2', 5],
        ['3', tools[3]],
      ]),
    )
  })
})

describe('wrapAny', () => {
  const isTool = (value: unknown) => typeof value === 'object' && value !== null && 'run' in value
  const one = { name: 'own', run: 1 }
  const governed = (target: unknown, options: unknown) =>
    wrapAny<any, any>(target, options, { own: '@haldir/x', isTool, wrap })
  const listed = (target: unknown, options: unknown) =>
    wrapAny<any, any>(target, options, { own: '@haldir/x', isTool, wrap, nameOf: nameIn })

  it('takes one tool, under the name that its options have', () => {
    expect(governed(one, { name: 'x', scope: 'a' })).toEqual({ tool: one, name: 'x', options: { scope: 'a' } })
    expect(problem(() => governed('text', { name: 'x' }))).toEqual([
      'ungovernable',
      'x',
      '`x` is not a tool that `@haldir/x` knows',
    ])
  })

  it('takes a set, also of a tool named `name`, and a list where there are lists', () => {
    expect(governed({ name: one }, { name: { scope: 'a' } })).toEqual({
      name: { tool: one, name: 'name', options: { scope: 'a' } },
    })
    expect(listed([one], { own: {} })).toEqual([{ tool: one, name: 'own', options: {} }])
    expect(problem(() => governed([one], { own: {} }))?.[0]).toBe('invalid-option')
  })

  it('says of a tool of another framework where it belongs, however it came', () => {
    // It has no name, and its rule another than its place.
    const other = { description: 'x', inputSchema: {}, execute: () => 1 }
    const rule = { pay: { scope: 'a' } }
    const cases: [string, () => unknown][] = [
      ['pay', () => governed(other, { name: 'pay' })],
      ['pay', () => governed({ pay: other }, rule)],
      ['wage', () => governed({ wage: other }, rule)],
      ['1', () => governed([one, other], { own: {}, ...rule })],
      ['0', () => listed([other], rule)],
      ['1', () => listed([one, other], { own: {}, ...rule })],
      ['tools', () => governed(other, { scope: 'a' })],
      ['pay', () => governed({ name: 'pay', ...other }, { scope: 'a' })],
    ]
    for (const [path, work] of cases) {
      const told = `\`${path}\` is a tool of the AI SDK: it is wrapped with \`governed\` of \`@haldir/ai-sdk\``
      expect(problem(work)).toEqual(['ungovernable', path, told])
    }
    // A set may have a tool of any name.
    expect(governed({ inputSchema: one }, { inputSchema: { scope: 'a' } })).toHaveProperty('inputSchema.tool', one)
  })

  it('says that a name is missing', () => {
    expect(problem(() => governed(one, { scope: 'a' }))?.slice(0, 2)).toEqual(['invalid-option', 'name'])
    expect(problem(() => governed(one, undefined))?.slice(0, 2)).toEqual(['invalid-option', 'name'])
  })
})
