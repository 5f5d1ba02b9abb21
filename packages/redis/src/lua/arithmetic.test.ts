/** What Lua counts in strings is what whole numbers are, up to the bounds that are documented. */
import { leaked } from '@haldir/core/store'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { skipped } from '../../../../test/crash/process.ts'
import { anyRedis, NO_REDIS } from '../../../../test/servers/redis.ts'
import { DECIMAL, MINUS, RATES } from './ground.ts'

const server = await anyRedis()
const client = server && new Redis(server.url)
afterAll(async () => {
  client?.disconnect()
  await server?.stop()
})

const SUMS = `
local function whole(number) return string.format('%.0f', number) end
${DECIMAL}${MINUS}
local answers = {}
for index = 1, #ARGV, 2 do
  local a, b = ARGV[index], ARGV[index + 1]
  local sound, sum = pcall(add, a, b)
  answers[#answers + 1] = { sound and sum or 'refused', minus(a, b), less(a, b) and 1 or 0 }
end
return answers`

const LEAKS = `
local function whole(number) return string.format('%.0f', number) end
local now
local base = KEYS[1]
${DECIMAL}${MINUS}${RATES}
local answers = {}
for index = 1, #ARGV, 5 do
  now = tonumber(ARGV[index + 4])
  local level, at = leaked(ARGV[index], tonumber(ARGV[index + 1]), ARGV[index + 2], ARGV[index + 3])
  answers[#answers + 1] = { level, whole(at) }
end
return answers`

const MOST = 2n ** 63n - 1n
/** Whole numbers of every length, and those round the places where doubles or halves end. */
const edges = [0n, 1n, 10n ** 10n, 10n ** 15n, 10n ** 16n, 2n ** 53n, 10n ** 18n, MOST]
const near = fc
  .tuple(fc.constantFrom(...edges), fc.bigInt({ min: -9n, max: 9n }))
  .map(([edge, by]) => edge + by)
  .filter((value) => value >= 0n && value <= MOST)
const digits = fc
  .integer({ min: 1, max: 19 })
  .chain((length) => fc.bigInt({ min: 0n, max: 10n ** BigInt(length) - 1n }))
const amount = fc.oneof(near, digits, fc.bigInt({ min: 0n, max: MOST }))

describe.skipIf(!client)('amounts in Lua', () => {
  it('are added, taken away and compared as whole numbers are, up to 19 digits', async () => {
    const pairs = fc.array(fc.tuple(amount, amount), { minLength: 200, maxLength: 400 })
    const property = fc.asyncProperty(pairs, async (list) => {
      const answers = (await client?.eval(SUMS, 0, ...list.flat().map(String))) as unknown[]
      const expected = list.map(([a, b]) => {
        const sum = a + b < 10n ** 19n ? String(a + b) : 'refused'
        return [sum, String(a > b ? a - b : 0n), a < b ? 1 : 0]
      })
      expect(answers).toEqual(expected)
    })
    await fc.assert(property, { numRuns: 100 })
  })

  it('leak out of a bucket as core has it, to the micro-unit and the millisecond', async () => {
    const time = fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 4_000_000_000_000 }))
    const period = fc.oneof(
      fc.constantFrom(1, 3, 7, 1_000, 60_000, 86_400_000, 4_000_000_000_000),
      fc.integer({ min: 1, max: 4_000_000_000_000 }),
    )
    const buckets = fc.array(fc.tuple(amount, time, amount, period, time), { minLength: 100, maxLength: 200 })
    const property = fc.asyncProperty(buckets, async (list) => {
      const answers = (await client?.eval(LEAKS, 1, '', ...list.flat().map(String))) as unknown[]
      const expected = list.map(([level, at, limit, periodMs, now]) => {
        const left = leaked({ level, at }, { limit, periodMs, burst: 0n }, now)
        return [String(left.level), String(left.at)]
      })
      expect(answers).toEqual(expected)
    })
    await fc.assert(property, { numRuns: 100 })
  })
})

it('needs a server', (context) => {
  if (!client) skipped(context, NO_REDIS)
})
