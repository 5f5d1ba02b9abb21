/**
 * `npm run bench:redis`: what admitting a call over Redis costs beside a PING on the same connection, and how many go
 * through at once beside three commands by hand, which are not even atomic. It reports and judges nothing.
 */
import { redisStore } from '@haldir/redis'
import { Redis } from 'ioredis'
import { NO_REDIS, startRedis } from '../servers/redis.ts'

const ROUNDS = 60
const BLOCK = 200
const FLIGHTS = 6
const FLIGHT = 10_000
const LANES = 64

const server = await startRedis()
if (server) {
  const client = new Redis(server.url)
  try {
    await main(client)
  } finally {
    client.disconnect()
    await server.stop()
  }
} else console.log(`skipped: ${NO_REDIS}`)

async function main(client: Redis): Promise<void> {
  const store = redisStore(client)
  const usd = { key: 't|session:s|USD|total|budget', window: 'total' } as const
  const quota = { key: 't|tenant:t|calls|month|quota', window: 'month', limit: 10n ** 15n } as const
  const about = { tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [], ttlMs: 3_600_000 }
  await store.session.create({ id: 's', tokenHash: 'h', ...about }, [{ ...usd, limit: 10n ** 15n }])
  let calls = 0
  const one = [{ meter: usd, micros: 1n }]
  const two = [...one, { meter: quota, micros: 1_000_000n }]
  const admit = async (charges: typeof two | typeof one) =>
    store.admit({ call: `c${calls++}`, session: 's', leaseMs: 60_000, charges })
  const cycle = async () => {
    const call = `c${calls}`
    await admit(one)
    await store.settle({ call })
  }
  const subjects = {
    PING: () => client.ping(),
    'admit, one meter': () => admit(one),
    'admit, two meters': () => admit(two),
    'admit and settle': cycle,
  }
  const blocks = new Map<string, number[]>(Object.keys(subjects).map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(subjects)) blocks.get(name)?.push(await serially(run))
  }
  console.log(`µs each, one after the other: p50 of blocks of ${BLOCK}, the median block and the best of ${ROUNDS}`)
  for (const [name, times] of blocks) {
    times.sort((a, b) => a - b)
    console.log(`  ${name.padEnd(20)} ${times[ROUNDS / 2]?.toFixed(1)}  ${times[0]?.toFixed(1)}`)
  }

  const byHand = async () => {
    const call = `b${calls++}`
    const held = Number((await client.get('bench:held')) ?? 0)
    if (held + 1 > 1e15) throw new Error('over the limit')
    await client.incrby('bench:held', 1)
    await client.hset(`bench:${call}`, 'state', 'running')
  }
  const rates = { 'admit, one meter': () => admit(one), 'three commands': byHand }
  console.log(`a second, ${LANES} in flight: the median and the best of ${FLIGHTS}`)
  for (const [name, run] of Object.entries(rates)) {
    const found: number[] = []
    for (let flight = 0; flight < FLIGHTS; flight++) found.push(await inFlight(run))
    found.sort((a, b) => a - b)
    console.log(`  ${name.padEnd(20)} ${Math.round(found[FLIGHTS / 2] ?? 0)}  ${Math.round(found.at(-1) ?? 0)}`)
  }
}

async function serially(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let turn = 0; turn < BLOCK; turn++) {
    const begun = performance.now()
    await run()
    times.push((performance.now() - begun) * 1_000)
  }
  return times.sort((a, b) => a - b)[BLOCK / 2] as number
}

async function inFlight(run: () => Promise<unknown>): Promise<number> {
  let left = FLIGHT
  const lane = async () => {
    while (left-- > 0) await run()
  }
  const begun = performance.now()
  await Promise.all(Array.from({ length: LANES }, lane))
  return (FLIGHT / (performance.now() - begun)) * 1_000
}
