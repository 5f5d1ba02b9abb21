import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { fieldAt, parsePath } from './paths.ts'

function refusal(text: string, allowItem = false): string {
  try {
    parsePath(text, 'here', allowItem)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ code: 'invalid-policy', path: 'here' })
    return (error as ConfigError).message
  }
  throw new Error('nothing was refused')
}

describe('a path', () => {
  test.each([
    ['args', 'args', []],
    ['args.amount', 'args', ['amount']],
    ['args.items[0].price', 'args', ['items', 0, 'price']],
    ['args["odd key"].x', 'args', ['odd key', 'x']],
    ['args["a.b[0]"]', 'args', ['a.b[0]']],
    ['args["say \\"hi\\""]["\\u00e9"]', 'args', ['say "hi"', 'é']],
    ['args["0"]', 'args', ['0']],
    ['args[0][12]', 'args', [0, 12]],
    ['args.$ref._x.content-type', 'args', ['$ref', '_x', 'content-type']],
    ['args.constructor.length', 'args', ['constructor', 'length']],
    ['session.attributes.team.name', 'session', ['attributes', 'team', 'name']],
    ['session.scopes[0]', 'session', ['scopes', 0]],
    ['tool.labels["my label"]', 'tool', ['labels', 'my label']],
    ['time.weekday', 'time', ['weekday']],
  ])('%s is read', (text, root, keys) => {
    expect(parsePath(text, 'here', false)).toEqual({ text, root, keys })
  })

  test('may begin with `item` only inside a list', () => {
    expect(parsePath('item.price', 'here', true)).toMatchObject({ root: 'item', keys: ['price'] })
    expect(refusal('item.price')).toContain('inside `every` and `some`')
  })

  test.each([
    ['amount', 'did you mean `args.amount`?'],
    ['arg.amount', 'did you mean `args.amount`?'],
    ['Args.amount', 'did you mean `args.amount`?'],
    ['session.agnet', 'did you mean `session.agent`?'],
    ['session.token', 'known are `session.id`'],
    ['session', 'names no field'],
    ['session.id.x', 'nothing stands below `session.id`'],
    ['session.scopes.length', 'nothing stands below `session.scopes`'],
    ['session.__proto__', '`__proto__`'],
    ['session.constructor', 'is not a path'],
    ['tool.readonly', 'did you mean `tool.readOnly`?'],
    ['time.weekdy', 'did you mean `time.weekday`?'],
    ['time[0]', 'is not a path'],
    ['args.0', 'write `[0]`'],
    ['args.items.0.price', 'write `[0]`'],
    ['args.__proto__.x', '`__proto__`'],
    ['args["__proto__"]', '`__proto__`'],
    ['', 'is not a path'],
    ['.args', 'is not a path'],
    ['args.', 'goes on with'],
    ['args..x', 'goes on with'],
    ['args.a b', 'goes on with'],
    ['args.x ', 'goes on with'],
    ['args[-1]', 'goes on with'],
    ['args[01]', 'goes on with'],
    ['args[*]', 'goes on with'],
    ["args['x']", 'goes on with'],
    ['args["x]', 'goes on with'],
    ['args["\\x"]', 'as JSON writes it'],
    ['args.é', 'goes on with'],
    ['args.amount > 100', 'goes on with'],
    [`args.${'x'.repeat(1_000)}`, 'longer than 1,000'],
  ])('%s is refused', (text, because) => {
    expect(refusal(text)).toContain(because)
  })

  test('whatever its keys, it can be written', () => {
    const key = fc.oneof(fc.nat({ max: 1_000 }), fc.string({ maxLength: 20 }))
    fc.assert(
      fc.property(fc.array(key, { maxLength: 6 }), (keys) => {
        fc.pre(!keys.includes('__proto__'))
        const text = `args${keys.map((one) => `[${JSON.stringify(one)}]`).join('')}`
        expect(parsePath(text, 'here', false).keys).toEqual(keys)
      }),
    )
  })

  test('any text is read or refused, and nothing else happens', () => {
    const piece = fc.constantFrom('args', 'session', 'time', '.', '[', ']', '"', '\\', '0', 'id', 'x', ' ', 'item')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const text = pieces.join('')
        try {
          expect(parsePath(text, 'here', false).text).toBe(text)
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

test('what a path holds is known of fields, and of nothing that a call brings', () => {
  const kindAt = (text: string) => fieldAt(parsePath(text, 'here', true))?.kind
  expect(['session.depth', 'tool.readOnly', 'session.scopes', 'session.scopes[0]', 'tool.labels'].map(kindAt)).toEqual([
    'number',
    'boolean',
    'list',
    'string',
    'map',
  ])
  expect(['args.x', 'item', 'session.attributes.x', 'tool.labels.x'].map(kindAt)).toEqual(Array(4).fill(undefined))
})
