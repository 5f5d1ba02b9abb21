/** Processes on one budget, kept in one Redis: together they spend exactly the limit, also when some are killed. */
import { createHaldir } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { redisStore } from '@haldir/redis'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { type RedisServer, redisProgram, startRedis } from '../servers/redis.ts'
import { Program, skipped } from './process.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

async function fleet(processes: number, calls: number, limit: number) {
  const server = (await startRedis()) as RedisServer
  cleanup.push(() => server.stop())
  const client = new Redis(server.url)
  cleanup.push(() => client.disconnect())
  const haldir = createHaldir({ store: redisStore(client), sinks: [memorySink()] })
  cleanup.push(() => haldir.close())
  const session = await haldir.createSession({ agent: 'fleet', scopes: [`spend:${limit}`] })
  const input = { url: server.url, token: session.token, calls }
  const programs = Array.from({ length: processes }, () => new Program('charge-redis', input))
  cleanup.push(() => Promise.all(programs.map((program) => program.kill())))
  await Promise.all(programs.map((program) => program.said('ready')))
  for (const program of programs) program.tell('go')
  const budget = async () => {
    const [line] = await session.budget()
    return { used: Number(line?.used.micros) / 1e6, held: Number(line?.held.micros) / 1e6 }
  }
  return { programs, budget }
}

interface Told {
  readonly ran: number
  readonly refused: Readonly<Record<string, number>>
}

const toldBy = ({ lines }: Program) => JSON.parse(lines.at(-1) as string) as Told

it('needs a server of our own', (context) => {
  if (!redisProgram()) skipped(context, 'there is neither `redis-server` nor `valkey-server`')
})

describe.skipIf(!redisProgram())('processes on one budget in Redis', { timeout: 240_000 }, () => {
  it('spend exactly the limit, when eight of them want four times as much', async () => {
    proves('invariant-3', 'per-session-budget')
    const { programs, budget } = await fleet(8, 500, 1_000)
    expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual(Array(8).fill(0))
    const told = programs.map(toldBy)
    expect(told.reduce((sum, { ran }) => sum + ran, 0)).toBe(1_000)
    expect(told.reduce((sum, { refused }) => sum + (refused['budget-exceeded'] ?? 0), 0)).toBe(3_000)
    expect(await budget()).toEqual({ used: 1_000, held: 0 })
  })

  it('spend no more than the limit when some are killed, and what those held stays held', async () => {
    proves('invariant-3', 'invariant-4')
    const { programs, budget } = await fleet(4, 2_000, 1_500)
    const dying = programs.slice(0, 2)
    await Promise.all(
      dying.map(async (program) => {
        await program.said('ran', 2)
        await program.kill()
      }),
    )
    const living = programs.slice(2)
    expect(await Promise.all(living.map(({ ended }) => ended))).toEqual([0, 0])
    const ran = living.map(toldBy).reduce((sum, one) => sum + one.ran, 0)
    const { used, held } = await budget()
    expect(used + held).toBe(1_500)
    expect(used).toBeGreaterThanOrEqual(ran)
    // Eight lanes each: no more can have been on their way.
    expect(held).toBeLessThanOrEqual(16)
  })
})
