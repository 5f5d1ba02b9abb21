/** The engine against a second reading of the rules: slow, direct, working on the document as it was written. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compilePolicy, compileTree } from './compile.ts'
import { parseCondition } from './parse.ts'
import type { Condition, PolicyVerdict, Rule, Subject } from './policy.ts'
import { ABSENT, ERROR, FALSE, TRUE, type Truth } from './tree.ts'

type Json = Readonly<Record<string, unknown>>

const min = (truths: readonly Truth[]): Truth => Math.min(TRUE, ...truths) as Truth
const max = (truths: readonly Truth[]): Truth => Math.max(FALSE, ...truths) as Truth
const turned = (truth: Truth): Truth => (truth === TRUE ? FALSE : truth === FALSE ? TRUE : ERROR)
const yes = (holds: boolean): Truth => (holds ? TRUE : FALSE)
const typeName = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)

/** Plain data as text, the same for the same data. */
function sorted(value: unknown): string {
  const inOrder = (_: string, one: unknown) =>
    typeName(one) === 'object' ? Object.entries(one as Json).sort(([a], [b]) => (a < b ? -1 : 1)) : one
  return `${typeName(value)}${JSON.stringify(value, inOrder)}`
}

function lookUp(path: string, subject: Subject, item: unknown): unknown {
  const [root = '', ...names] = path.replace(/\[(\d+)\]/g, '.#$1').split('.')
  let value: unknown = root === 'item' ? item : (subject as unknown as Json)[root]
  for (const name of names) {
    const [map, list] = [typeName(value) === 'object', typeName(value) === 'array']
    const key = name.startsWith('#') ? name.slice(1) : name
    if (value === undefined || value === null) return undefined
    // Of no type, as what can't be read is in error for whatever is asked of it.
    if (!(name.startsWith('#') ? list : map)) return Symbol('misfit')
    if (!Object.keys(value as Json).includes(key)) return undefined
    value = (value as Json)[key]
  }
  return value
}

function compare(op: string, value: unknown, operand: unknown): Truth {
  const [type, other] = [typeName(value), typeName(operand)]
  if (typeof value === 'symbol' || typeof operand === 'symbol') return ERROR
  const equals = (a: unknown, b: unknown) => sorted(a) === sorted(b)
  const inList = (one: unknown, list: readonly unknown[]): Truth => {
    if (list.some((member) => equals(member, one))) return TRUE
    const types = list.map(typeName).filter((name) => name !== 'null')
    return one === null || types.length === 0 || types.includes(typeName(one)) ? FALSE : ERROR
  }
  switch (op) {
    case 'eq':
      return type === other ? yes(equals(value, operand)) : type === 'null' || other === 'null' ? FALSE : ERROR
    case 'ne':
      return turned(compare('eq', value, operand))
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte': {
      if (type !== other || (type !== 'number' && type !== 'string')) return ERROR
      const [a, b] = [value as number, operand as number]
      return yes({ gt: a > b, gte: a >= b, lt: a < b, lte: a <= b }[op])
    }
    case 'in':
      return other === 'array' ? inList(value, operand as unknown[]) : ERROR
    case 'notIn':
      return turned(compare('in', value, operand))
    case 'contains':
      if (type === 'array') return inList(operand, value as unknown[])
      return type === 'string' && other === 'string' ? yes((value as string).indexOf(operand as string) >= 0) : ERROR
    case 'subsetOf':
      if (type !== 'array' || other !== 'array') return ERROR
      return min((value as unknown[]).map((one) => inList(one, operand as unknown[])))
    case 'startsWith':
      return type === 'string' && other === 'string' ? yes((value as string).indexOf(operand as string) === 0) : ERROR
    default:
      throw new Error(`no meaning for ${op}`)
  }
}

function testOf(test: unknown, value: unknown, subject: Subject, item: unknown): Truth {
  if (typeName(test) !== 'object') return value === undefined ? ABSENT : compare('eq', value, test)
  return min(
    Object.entries(test as Json).map(([op, operand]): Truth => {
      if (op === 'all') return min((operand as unknown[]).map((part) => testOf(part, value, subject, item)))
      if (op === 'any') return max((operand as unknown[]).map((part) => testOf(part, value, subject, item)))
      if (op === 'not') return turned(testOf(operand, value, subject, item))
      if (op === 'exists') return yes((value !== undefined && typeof value !== 'symbol') === operand)
      if (op === 'size') {
        if (value === undefined) return testOf(operand, undefined, subject, item)
        const sizes: Record<string, () => number> = {
          string: () => [...(value as string)].length,
          array: () => (value as unknown[]).length,
          object: () => Object.keys(value as Json).length,
        }
        const size = sizes[typeName(value)]
        // What has no size is in error for whatever is asked of it.
        return size ? testOf(operand, size(), subject, item) : testOf(operand, Symbol('none'), subject, item)
      }
      if (value === undefined) return ABSENT
      if (op === 'every' || op === 'some') {
        if (!Array.isArray(value)) return ERROR
        const truths = value.map((one) => eachOf(operand, subject, one))
        return op === 'every' ? min(truths) : max(truths)
      }
      if (typeName(operand) !== 'object') return compare(op, value, operand)
      const other = lookUp((operand as { path: string }).path, subject, item)
      return other === undefined ? ERROR : compare(op, value, other)
    }),
  )
}

function eachOf(operand: unknown, subject: Subject, item: unknown): Truth {
  const about = typeName(operand) === 'object' && Object.keys(operand as Json).some((key) => /^(item|args)/.test(key))
  return about ? conditionOf(operand as Condition, subject, item) : testOf(operand, item, subject, item)
}

function conditionOf(condition: Condition, subject: Subject, item?: unknown): Truth {
  if (typeof condition === 'function') return yes(condition(subject))
  return min(
    Object.entries(condition).map(([key, given]): Truth => {
      const parts = given as readonly Condition[]
      if (key === 'all') return min(parts.map((part) => conditionOf(part, subject, item)))
      if (key === 'any') return max(parts.map((part) => conditionOf(part, subject, item)))
      if (key === 'not') return turned(conditionOf(given as Condition, subject, item))
      return testOf(given, lookUp(key, subject, item), subject, item)
    }),
  )
}

const scalar = fc.constantFrom<unknown>('a', 'b', 'ab', '', '😀', 0, 1, 2, -1, 0.5, true, false, null)
const value = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    { weight: 3, arbitrary: scalar },
    { weight: 1, arbitrary: fc.array(tie('node'), { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.dictionary(fc.constantFrom('a', 'b', 'x'), tie('node'), { maxKeys: 3 }) },
  ),
})).node
const args = fc.dictionary(fc.constantFrom('a', 'b', 'list', 'x'), value, { maxKeys: 4 })
const path = fc.constantFrom(
  'args',
  'args.a',
  'args.b',
  'args.list',
  'args.list[0]',
  'args.x.a',
  'args.x.b.a',
  'args.a[1].x',
)
const itemPath = fc.oneof(path, fc.constantFrom('item', 'item.a', 'item.x[0]'))
const list = fc.array(scalar, { maxLength: 3 })
const entry = (key: string, given: fc.Arbitrary<unknown>) => given.map((one) => ({ [key]: one }))
const pathed = (inner: boolean) => (inner ? itemPath : path).map((one) => ({ path: one }))

function tests(depth: number, inner: boolean): fc.Arbitrary<unknown> {
  const leaf = fc.oneof(
    scalar,
    ...['eq', 'ne'].map((op) => entry(op, fc.oneof(scalar, list, pathed(inner)))),
    ...['gt', 'gte', 'lt', 'lte'].map((op) => entry(op, fc.oneof(fc.constantFrom(0, 1, 'a', 'b'), pathed(inner)))),
    ...['in', 'notIn', 'subsetOf'].map((op) => entry(op, fc.oneof(list, pathed(inner)))),
    entry('contains', fc.oneof(scalar, pathed(inner))),
    entry('startsWith', fc.oneof(fc.constantFrom('', 'a'), pathed(inner))),
    entry('exists', fc.boolean()),
    entry(
      'size',
      fc.oneof(fc.nat({ max: 3 }), fc.record({ gt: fc.nat({ max: 2 }) }), fc.record({ not: fc.nat({ max: 2 }) })),
    ),
  )
  if (depth === 0) return leaf
  const part = tests(depth - 1, inner)
  const item = fc.oneof(tests(depth - 1, true), conditions(depth - 1, true))
  const some = fc.array(part, { minLength: 1, maxLength: 3 })
  return fc.oneof(
    leaf,
    entry('not', part),
    entry('all', some),
    entry('any', some),
    entry('every', item),
    entry('some', item),
  )
}

function conditions(depth: number, inner = false): fc.Arbitrary<Condition> {
  // Keys of a map inside a list tell paths from operators, so such a map is never joined from both.
  const leaf = fc.dictionary(inner ? itemPath : path, tests(depth, inner), { minKeys: 1, maxKeys: 2 })
  if (depth === 0 || inner) return leaf as fc.Arbitrary<Condition>
  const part = conditions(depth - 1)
  const several = fc.array(part, { minLength: 1, maxLength: 3 })
  return fc.oneof(leaf, entry('not', part), entry('all', several), entry('any', several)) as fc.Arbitrary<Condition>
}

const callOf = (given: unknown, agent = 'bot', tool = 'charge'): Subject => ({
  args: given,
  session: { id: 's', agent, tenant: 'acme', scopes: [], attributes: {}, depth: 0 },
  tool: {
    name: tool,
    framework: 'core',
    readOnly: false,
    destructive: true,
    idempotent: false,
    openWorld: true,
    labels: {},
  },
  now: 0,
})

const truthOf = (condition: Condition, subject: Subject) => compileTree(parseCondition(condition, 'when'))(subject)

describe('a condition', () => {
  test('comes to what its definition says', () => {
    const seen = new Set<Truth>()
    fc.assert(
      fc.property(conditions(2), args, (condition, given) => {
        const subject = callOf(given)
        const truth = truthOf(condition, subject)
        seen.add(truth)
        expect(truth).toBe(conditionOf(condition, subject))
      }),
      { numRuns: 5_000 },
    )
    expect(seen.size).toBe(4)
  })

  test('follows the laws of Kleene’s logic', () => {
    fc.assert(
      fc.property(conditions(1), conditions(1), conditions(1), args, (a, b, c, given) => {
        const of = (condition: Condition) => truthOf(condition, callOf(given))
        expect(of({ all: [a, b] })).toBe(of({ all: [b, a] }))
        expect(of({ any: [a, b] })).toBe(of({ any: [b, a] }))
        expect(of({ all: [a, { all: [b, c] }] })).toBe(of({ all: [a, b, c] }))
        expect(of({ any: [{ any: [a, b] }, c] })).toBe(of({ any: [a, b, c] }))
        expect(of({ all: [a, a] })).toBe(of(a))
        expect(of({ any: [a, a] })).toBe(of(a))
        expect(of({ all: [a, { any: [a, b] }] })).toBe(of(a))
        expect(of({ all: [a, { any: [b, c] }] })).toBe(of({ any: [{ all: [a, b] }, { all: [a, c] }] }))
        expect(of({ not: { all: [a, b] } })).toBe(of({ any: [{ not: a }, { not: b }] }))
        expect(of({ not: { any: [a, b] } })).toBe(of({ all: [{ not: a }, { not: b }] }))
        // Turned round twice, what was said stays said; what could not be said never becomes true.
        expect(of({ not: { not: a } })).toBe(of(a) === ABSENT ? ERROR : of(a))
      }),
      { numRuns: 1_000 },
    )
  })
})

const names = fc.constantFrom('charge', 'search', 'c*', '*', 'x*', 'bot', 'b*', 'other')
const some = fc.option(fc.oneof(names, fc.array(names, { minLength: 1, maxLength: 2 })), { nil: undefined })
const rules = fc.array(
  fc.record({
    tools: some,
    agents: some,
    when: fc.option(conditions(1), { nil: undefined }),
    unless: fc.option(conditions(1), { nil: undefined, freq: 2 }),
    verdict: fc.constantFrom<PolicyVerdict>('allow', 'ask', 'deny'),
  }),
  { maxLength: 5 },
)
type Drawn = typeof rules extends fc.Arbitrary<infer T> ? T : never

const written = (drawn: Drawn): Rule[] =>
  drawn.map(({ verdict, ...drawn }, index) => {
    const rule = Object.fromEntries(Object.entries(drawn).filter(([, part]) => part !== undefined))
    return { ...rule, id: `r${index}`, then: verdict } as Rule
  })
const policyOf = (own: readonly Rule[], fallback: PolicyVerdict = 'deny') =>
  compilePolicy({ default: fallback, ...(fallback === 'allow' && { allowByDefault: true }), rules: own })

function named(given: string | readonly string[] | undefined, name: string): boolean {
  return [given ?? '*'].flat().some((glob) => (glob.endsWith('*') ? name.startsWith(glob.slice(0, -1)) : name === glob))
}

function matching(own: readonly Rule[], subject: Subject): Rule[] {
  return own.filter((rule) => {
    if (!named(rule.tools, subject.tool.name) || !named(rule.agents, subject.session.agent)) return false
    const when = rule.when === undefined ? TRUE : conditionOf(rule.when, subject)
    const truth = Math.min(when, rule.unless === undefined ? TRUE : turned(conditionOf(rule.unless, subject)))
    return truth === TRUE || (truth === ERROR && rule.then !== 'allow')
  })
}

describe('a policy', () => {
  const fallback = fc.constantFrom<PolicyVerdict>('allow', 'ask', 'deny')

  test('judges as its rules say one by one', () => {
    fc.assert(
      fc.property(rules, fallback, args, fc.constantFrom('bot', 'eve'), (drawn, none, given, agent) => {
        const [own, subject] = [written(drawn), callOf(given, agent)]
        const matched = matching(own, subject)
        const verdict = (['deny', 'ask', 'allow'] as const).find((one) => matched.some(({ then }) => then === one))
        const decision = policyOf(own, none).forTool('charge').judge(subject)
        expect(decision.verdict).toBe(verdict ?? none)
        expect(decision.rule).toBe(matched.find(({ then }) => then === verdict)?.id ?? 'default')
        const asking = verdict === 'ask' ? matched.filter(({ then }) => then === 'ask') : []
        expect(decision.asking.map(({ id }) => id)).toEqual(asking.map(({ id }) => id))
      }),
      { numRuns: 3_000 },
    )
  })

  test('does not care in which order its rules stand', () => {
    const shuffled = rules.chain((drawn) => {
      const own = written(drawn)
      return fc.tuple(fc.constant(own), fc.shuffledSubarray(own, { minLength: own.length }))
    })
    fc.assert(
      fc.property(shuffled, args, ([own, mixed], given) => {
        const [one, other] = [own, mixed].map((some) => policyOf(some).forTool('charge').judge(callOf(given)))
        expect(other?.verdict).toBe(one?.verdict)
        expect(new Set(other?.asking.map(({ id }) => id))).toEqual(new Set(one?.asking.map(({ id }) => id)))
      }),
      { numRuns: 1_000 },
    )
  })

  test('never gets more lenient by a rule that denies, or that asks', () => {
    const strictness = { allow: 0, ask: 1, deny: 2 }
    fc.assert(
      fc.property(rules, conditions(1), fallback, args, (drawn, when, none, given) => {
        const own = written(drawn)
        const before = policyOf(own, none).forTool('charge').judge(callOf(given)).verdict
        const after = (then: PolicyVerdict) =>
          policyOf([...own, { id: 'more', when, then }], none)
            .forTool('charge')
            .judge(callOf(given)).verdict
        expect(strictness[after('deny')]).toBeGreaterThanOrEqual(strictness[before])
        // An asking rule may come before a default that denies; it never takes away what a rule denied.
        if (before === 'deny' && matching(own, callOf(given)).some(({ then }) => then === 'deny')) {
          expect(after('ask')).toBe('deny')
          expect(after('allow')).toBe('deny')
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
