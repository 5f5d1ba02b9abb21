import { expect, it } from 'vitest'
import { compilePolicy } from './compile.ts'
import { misfits } from './misfits.ts'
import type { Condition } from './policy.ts'

const schema = {
  type: 'object',
  properties: {
    amount: { type: 'number' },
    to: { type: 'array', items: { type: 'object', properties: { email: { type: 'string' } } } },
  },
}

function found(tools: string | string[] | undefined, when: Condition, unless?: Condition) {
  const rule = { id: 'r', ...(tools ? { tools } : {}), when, ...(unless ? { unless } : {}), then: 'deny' as const }
  return misfits(compilePolicy({ default: 'deny', rules: [rule] }), { name: 'refund', schema })
}

it('names the rule, the path, its place and the nearest argument', () => {
  expect(found('refund', { 'args.amuont': { gt: 5 } })).toEqual([
    {
      rule: 'r',
      path: 'args.amuont',
      at: 'rules.0.when.args.amuont.gt',
      message:
        'the rule `r` reads `args.amuont`, but the tool `refund` has no argument `amuont`; did you mean `amount`?',
    },
  ])
})

it.each<[string, Condition, Condition?]>([
  ['in `unless`', { 'args.amount': 1 }, { 'args.x': 1 }],
  ['as an operand', { 'session.agent': { eq: { path: 'args.x' } } }],
  ['under `not` and `any`', { not: { any: [{ 'args.x': 1 }] } }],
  ['of an item', { 'args.to': { some: { 'item.x': 'a' } } }],
  ['of an item in operators', { 'args.to': { every: { 'item.email': { ne: { path: 'item.x' } } } } }],
  ['of a list', { 'args.x': { every: { eq: 1 } } }],
  ['of a size', { 'args.x': { size: 1 } }],
  ['whose absence is asked for', { 'args.x': { exists: false } }],
])('finds a path %s', (_, when, unless) => {
  expect(found('refund', when, unless)).toHaveLength(1)
})

it.each<[string, Condition]>([
  ['exists', { 'args.amount': { gt: 5 }, 'args.to': { some: { 'item.email': 'a' } } }],
  ['is of the session', { 'session.attributes.amuont': 5 }],
  ['is of the session’s items', { 'session.scopes': { some: { eq: 'x' } } }],
])('is content with what %s', (_, when) => {
  expect(found('refund', when)).toEqual([])
})

it('is for rules that name the tool: a wildcard, or no name at all, means many tools', () => {
  const when = { 'args.amuont': 5 }
  expect(found(['other', 'refund'], when)).toHaveLength(1)
  for (const tools of [undefined, '*', 'ref*', 'other', ['ref*', 'other']]) expect(found(tools, when)).toEqual([])
})
