import { describe, expect, it } from 'vitest'
import { checkPolicy } from './check.ts'
import type { Condition } from './policy.ts'

const problems = (when: Condition) =>
  checkPolicy({ default: 'deny', rules: [{ id: 'r', tools: 'pay', when, then: 'deny' }] }).problems.filter(
    ({ code }) => code === 'literal-text',
  )

describe('a text that reads like something else', () => {
  it.each<[string, string, Condition]>([
    ['a path', '', { 'args.x': 'session.tenant' }],
    ['a path under an operator', '.ne', { 'args.x': { ne: 'session.attributes.customer' } }],
    ['a path with steps', '', { 'args.x': 'args.items[0]["odd key"]' }],
    ['a path in a list', '.in.1', { 'args.x': { in: ['a', 'tool.name'] } }],
    ['a template', '.eq', { 'args.x': { eq: '{{session.tenant}}' } }],
    ['another template', '.startsWith', { 'args.x': { startsWith: `x-\${tenant}` } }],
    ['a comparison', '', { 'args.x': '> 100' }],
    ['a comparison without a space', '', { 'args.x': '!=5' }],
    ['a number in quotes', '.gt', { 'args.x': { gt: '100' } }],
    ['a number as YAML 1.1 wrote it', '.lte', { 'args.x': { lte: '1_000' } }],
    ['an amount of money', '.gte', { 'args.x': { gte: '$1,000.50' } }],
    ['a power', '.gt', { 'args.x': { gt: '1e2' } }],
    ['infinity', '.lt', { 'args.x': { lt: 'Infinity' } }],
    ['no number', '.gt', { 'args.x': { gt: 'NaN' } }],
    ['a pattern in slashes', '.matches', { 'args.x': { matches: '/^rm/' } }],
    ['a pattern with flags', '.matches', { 'args.x': { matches: '/rm/i' } }],
    ['a glob with alternatives', '.glob', { 'args.x': { glob: '*.{exe,sh}' } }],
    ['a glob with a class', '.glob', { 'args.x': { glob: '[ab]*' } }],
    ['a glob with a single character', '.glob', { 'args.x': { glob: 'a?c' } }],
    ['a glob turned round', '.glob.1', { 'args.x': { glob: ['a', '!b*'] } }],
    ['an item', '.some.eq', { 'args.x': { some: { eq: 'session.id' } } }],
  ])('is told: %s', (_, at, when) => {
    const path = Object.keys(when)[0]
    expect(problems(when)).toMatchObject([{ level: 'warning', rule: 'r', at: `rules.0.when.${path}${at}` }])
  })

  it.each<[string, Condition]>([
    ['a path that is one', { 'args.x': { eq: { path: 'session.tenant' } } }],
    ['a domain', { 'args.x': 'time.example!' }],
    ['a word', { 'args.x': 'args' }],
    ['a number of an account', { 'args.x': { in: ['100', '1e2'] } }],
    ['a day', { 'args.x': { gte: '2026-01-01' } }],
    ['a time', { 'time.clock': { gte: '08:00' } }],
    ['an arrow', { 'args.x': '->' }],
    ['a tag', { 'args.x': { contains: '<b>' } }],
    ['a folder', { 'args.x': { matches: '/etc/' } }],
    ['a folder at the beginning', { 'args.x': { matches: '^/etc/' } }],
    ['a query', { 'args.x': { glob: 'https://a.b/?q=*' } }],
    ['stars', { 'args.x': { glob: '/srv/**' } }],
  ])('is not told: %s', (_, when) => {
    const [one] = problems(when)
    expect(one).toBe(undefined)
  })

  it('is not repeated', () => {
    const [problem] = problems({ 'args.x': { gt: '4111' } })
    expect(problem?.message).not.toContain('4111')
  })
})
