import { globSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { PROMISES } from './promises.ts'

const root = new URL('..', import.meta.url).pathname
const sources = globSync('{test,packages/*/src}/**/*.{test,contract}.ts', { cwd: root })
  .concat(globSync('packages/testing/src/*.ts', { cwd: root }))
  .map((path) => readFileSync(root + path, 'utf8'))
const named = new Set(
  sources
    .flatMap((text) => [...text.matchAll(/proves\(([^)]*)\)/g)])
    .flatMap(([, ids]) => [...(ids ?? '').matchAll(/'([^']+)'/g)].map(([, id]) => id)),
)

it.each(Object.entries(PROMISES))('%s is proved by a test: %s', (id) => {
  expect(named).toContain(id)
})

it('no test claims to prove a promise that nobody made', () => {
  expect([...named].filter((id) => !Object.hasOwn(PROMISES, id as string))).toEqual([])
})
