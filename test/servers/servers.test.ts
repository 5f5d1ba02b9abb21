/** The engines that other tests need. */
import { expect, it } from 'vitest'
import { lacking } from './postgres.ts'
import { redisProgram } from './redis.ts'

it('are there, where nothing is left out', (context) => {
  if (process.env.CI === undefined) return context.skip('not in CI: what lacks an engine says so itself')
  expect({ redis: redisProgram() !== undefined, postgres: lacking() }).toEqual({ redis: true, postgres: undefined })
})
