/** A verb that names windows does nothing when the server's time has other ones: before they begin, or after their end. */
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { skipped } from '../../../../test/crash/process.ts'
import { anyRedis, NO_REDIS } from '../../../../test/servers/redis.ts'
import { clockKey } from '../keys.ts'
import { SCRIPTS } from './scripts.ts'

const server = await anyRedis()
const client = (server && new Redis(server.url)) as Redis
afterAll(async () => {
  client?.disconnect()
  await server?.stop()
})

const charge = 'standing 1 9   month|t|tenant:t|calls|month|quota'
const VERBS = {
  admit: (window: string) => [`reserved 60000 ${window || ' '} `, 'c', 's', charge],
  admitMany: (window: string) => [window, '60000 1', 'c', 's', charge],
  settle: (window: string) => ['c', '1', 'all', window, charge],
  read: (window: string) => [window, charge],
} as const

describe.skipIf(!server).each(Object.entries(VERBS))('%s', (name, args) => {
  const verb = name as keyof typeof VERBS
  const NOW = 1_000_000

  async function said(window: string): Promise<{ readonly reply: unknown; readonly written: number }> {
    const prefix = server?.prefix() ?? ''
    const key = clockKey(prefix, 't')
    const session = key.replace(/clock$/, 's:s')
    await client.hset(session, 'open', String(NOW * 2), 'expires', String(NOW * 2))
    const reply = await client.eval(SCRIPTS[verb].text, 1, key, String(NOW), ...args(window))
    return { reply, written: (await client.keys(`${prefix}*:[mh]:*`)).length }
  }

  it.each([
    ['that begins a moment later', `${NOW + 1} ${NOW + 9}`],
    ['that ends at this moment', `${NOW - 9} ${NOW}`],
  ])('in a window %s is told the time, and writes nothing', async (_, window) => {
    expect(await said(window)).toEqual({ reply: ['edge', String(NOW)], written: 0 })
  })

  it.each([
    ['that begins at this moment', `${NOW} ${NOW + 1}`],
    ['that is not one', ''],
  ])('in a window %s does what it does', async (_, window) => {
    const { reply } = await said(window)
    expect(reply).not.toEqual(['edge', String(NOW)])
  })
})

it('needs a server', (context) => {
  if (!server) skipped(context, NO_REDIS)
})
