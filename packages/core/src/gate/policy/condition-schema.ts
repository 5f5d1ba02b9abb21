/** Conditions as JSON Schema, from the same tables that parse them: what an editor completes inside `when` and `unless`. */
import { OPERATORS, SIZE_OPERATORS } from './operands.ts'
import { FIELDS, type Field } from './paths.ts'
import type { Operator } from './tree.ts'

type Json = Readonly<Record<string, unknown>>

const ref = (name: string): Json => ({ $ref: `#/$defs/${name}` })
const described = (name: string, description: string): Json => ({ ...ref(name), description })

/** What `#/$defs/condition` rests on. */
export function conditionDefinitions(): Json {
  return {
    condition: {
      description: 'What must hold: paths and their tests, all of which must pass.',
      ...map('condition', fields()),
    },
    test: either('Operators, all of which must pass, or a value that is meant.', ref('scalar'), ref('operators')),
    operators: map('test', operators(), joined('test')),
    item: either('What must hold of an item: operators for itself, or paths that begin with `item`.', ref('scalar'), {
      ...map('item', { ...fields(), ...operators() }),
      patternProperties: { ...PATHS, [`^item${STEPS}$`]: described('test', 'The item, or what stands in it.') },
    }),
    size: either('How many.', { type: 'integer', minimum: 0 }, map('size', sizeOperators(), joined('size'))),
    scalar: { type: ['string', 'number', 'boolean', 'null'] },
    path: {
      type: 'object',
      properties: { path: { type: 'string', description: 'Another path of the call, such as `session.tenant`.' } },
      required: ['path'],
      additionalProperties: false,
    },
  }
}

/** The grammar of a path, from its root on. */
const STEPS = '(\\.(?!\\d+([.\\[]|$))[A-Za-z0-9_$-]+|\\[(0|[1-9]\\d{0,8})\\]|\\["([^"\\\\]|\\\\.)*"\\])*'

/** Paths whose names are not known before a call. */
const PATHS: Json = {
  [`^args${STEPS}$`]: described(
    'test',
    'An argument of the call: `args.amount`, `args.items[0].price`, `args["odd key"]`.',
  ),
  [`^(session\\.(attributes|scopes)|tool\\.labels)(?=[.\\[])${STEPS}$`]: ref('test'),
}

function map(part: string, properties: Json, more: Json = joined(part)): Json {
  const paths = part === 'condition' ? { patternProperties: PATHS } : {}
  return {
    type: 'object',
    minProperties: 1,
    properties: { ...more, ...properties },
    ...paths,
    additionalProperties: false,
  }
}

function joined(part: string): Json {
  return {
    all: { type: 'array', minItems: 1, items: ref(part), description: 'All of these hold.' },
    any: { type: 'array', minItems: 1, items: ref(part), description: 'At least one of these holds.' },
    not: described(part, 'This does not hold. Of what is absent nothing can be said: ask `exists`.'),
  }
}

function fields(): Json {
  const known = Object.entries(FIELDS).flatMap(([root, names]) =>
    Object.entries(names).map(([name, field]) => [`${root}.${name}`, either(field.says, ...fieldForms(field))]),
  )
  return Object.fromEntries(known)
}

/** What a known field can be compared with, written without an operator; and operators. */
function fieldForms({ kind, range, shape, one }: Field): readonly Json[] {
  if (kind === 'list' || kind === 'map') return [ref('operators')]
  if (one) return [{ enum: one }, ref('operators')]
  if (range) return [{ type: 'integer', minimum: range[0], maximum: range[1] }, ref('operators')]
  return [{ type: kind, ...(shape && { pattern: shape.source }) }, ref('operators')]
}

function operators(): Json {
  const own = Object.keys(OPERATORS).map((op) => [
    op,
    { description: OPERATORS[op as Operator].says, ...operand(op as Operator) },
  ])
  return {
    ...Object.fromEntries(own),
    size: described('size', 'How many characters, items or keys.'),
    every: described('item', 'This holds for every item of the list; for an empty one, too.'),
    some: described('item', 'This holds for at least one item of the list.'),
  }
}

function sizeOperators(): Json {
  const whole = { type: 'integer', minimum: 0 }
  return Object.fromEntries(
    SIZE_OPERATORS.map((op) => {
      const value = OPERATORS[op].one.length > 0 ? [whole] : []
      const list = value.length > 0 ? [] : [{ type: 'array', items: whole }]
      return [op, { description: OPERATORS[op].says, anyOf: [...value, ...list, ref('path')] }]
    }),
  )
}

function operand(op: Operator): Json {
  const { one, list, path } = OPERATORS[op]
  const forms: Json[] = []
  if (one.length > 0) forms.push({ type: one.length === 1 ? one[0] : one })
  const members = one.length > 0 ? { type: one.length === 1 ? one[0] : one } : ref('scalar')
  if (list !== undefined) forms.push({ type: 'array', items: members, ...(list > 0 && { minItems: list }) })
  if (path) forms.push(ref('path'))
  return forms.length === 1 ? (forms[0] as Json) : { anyOf: forms }
}

function either(description: string, ...forms: readonly Json[]): Json {
  return { description, anyOf: forms }
}
