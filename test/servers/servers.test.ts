/** The engines that other tests need. */
import { expect, it } from 'vitest'
import { skipped } from '../crash/process.ts'
import { lacking } from './postgres.ts'
import { redisProgram } from './redis.ts'

it('are there, where nothing is left out', (context) => {
  if (process.env.CI === undefined) return skipped(context, 'not in CI, where what lacks an engine says so itself')
  expect({ redis: redisProgram() !== undefined, postgres: lacking() }).toEqual({ redis: true, postgres: undefined })
})
