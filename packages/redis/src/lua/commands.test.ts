/** What a user of Redis may need, as the README has it. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { SCRIPTS } from './scripts.ts'

it('the README names the commands that scripts call, and no other', () => {
  const texts = Object.values(SCRIPTS).map(({ text }) => text)
  const called = texts.flatMap((text) => [...text.matchAll(/redis\.p?call\('(\w+)'/g)].map(([, name]) => name))
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const listed = /and what\s+scripts\s+call;[^:]*:([^.]*)\./.exec(readme)?.[1] ?? ''
  expect([...listed.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual([...new Set(called)].sort())
})
