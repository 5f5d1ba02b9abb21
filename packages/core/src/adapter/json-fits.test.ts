import { Validator } from '@cfworker/json-schema'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { quickFits } from './json-fits.ts'

const kind = fc.constantFrom('object', 'array', 'string', 'number', 'integer', 'boolean', 'null')
const bound = fc.integer({ min: -1, max: 3 })
const scalar = fc.constantFrom('a', '🧾', '', 0, 1, 2.5, -1, true, null, 'a@example.com')

const schemas = fc.letrec<{ schema: object | boolean }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.boolean(),
    fc.record({ type: fc.oneof(kind, fc.uniqueArray(kind, { maxLength: 3 })) }),
    fc.record({ type: kind, enum: fc.array(scalar, { maxLength: 3 }) }, { requiredKeys: [] }),
    fc.record({ const: scalar, format: fc.constantFrom('email', 'uri') }, { requiredKeys: [] }),
    fc.record(
      { minimum: bound, maximum: bound, exclusiveMinimum: bound, exclusiveMaximum: bound },
      { requiredKeys: [] },
    ),
    fc.record({ minLength: bound, maxLength: bound, minItems: bound, maxItems: bound }, { requiredKeys: [] }),
    fc.record(
      {
        type: fc.constant('object'),
        properties: fc.dictionary(fc.constantFrom('a', 'b', 'constructor'), tie('schema'), { maxKeys: 3 }),
        required: fc.uniqueArray(fc.constantFrom('a', 'toString'), { maxLength: 2 }),
        additionalProperties: tie('schema'),
      },
      { requiredKeys: [] },
    ),
    fc.record({ items: tie('schema') }),
    fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }),
    fc.record(
      { allOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }), type: kind },
      { requiredKeys: ['allOf'] },
    ),
    // What it does not look at.
    fc.record({ not: tie('schema') }),
    fc.record({ uniqueItems: fc.boolean() }),
  ),
})).schema

const values = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c', 'constructor', 'toString'), tie('value'), { maxKeys: 3 }),
  ),
})).value

it('says what the validator says', () => {
  let [looked, fit] = [0, 0]
  fc.assert(
    fc.property(schemas, fc.array(values, { minLength: 5, maxLength: 5 }), (schema, list) => {
      const fits = quickFits(schema)
      if (!fits) return
      const validator = new Validator(structuredClone(schema) as object, '2020-12', false)
      for (const value of list) {
        const { valid } = validator.validate(value)
        const quick = fits(value)
        looked++
        if (quick) fit++
        expect(quick).toBe(valid)
      }
    }),
    { numRuns: 5_000 },
  )
  expect(fit).toBeGreaterThan(1_000)
  expect(looked).toBeGreaterThan(fit)
})

it('looks no further at what JSON has no word for, and at schemas that say more', () => {
  expect([1n, undefined, () => 1, Symbol('x')].map((value) => quickFits({})?.(value))).toEqual([
    false,
    false,
    false,
    false,
  ])
  const more: unknown[] = [
    { not: {} },
    { $ref: '#' },
    { items: [{}] },
    { enum: [{}] },
    { const: [] },
    { minimum: '1' },
    { required: 'a' },
    { properties: { a: { pattern: 'a' } } },
    { properties: {}, additionalProperties: { if: {} } },
    { anyOf: {} },
    { constructor: {} },
    { format: 'constructor' },
    'object',
    null,
    undefined,
  ]
  for (const schema of more) expect(quickFits(schema), JSON.stringify(schema)).toBeUndefined()
})
