/** Two processes on one SQLite file: what one does to a session or an approval is felt in the other while its call runs. */
import { createHaldir, type HaldirOptions } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { afterEach, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Program, pause, scratch } from './process.ts'
import type { WatchedInput } from './programs/watched.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** A haldir here, a session of it, and another process that acts as that session. */
async function housed(does: WatchedInput['does'], options: HaldirOptions = {}) {
  const folder = scratch()
  cleanup.push(folder.remove)
  const path = folder.path('haldir.db')
  const haldir = createHaldir({ store: sqliteStore(path), sinks: [memorySink()], ...options })
  cleanup.push(() => haldir.close())
  const session = await haldir.createSession({ agent: 'a', scopes: [] })
  const program = new Program('watched', { path, token: session.token, does } satisfies WatchedInput)
  cleanup.push(() => program.kill())
  return { haldir, session, program }
}

/** How the call in the other process has ended, and how long after a moment of this one. */
async function ending(program: Program, since: number) {
  expect(await program.ended).toBe(0)
  const [, at, how] = program.lines.find((line) => line.startsWith('ended'))?.split(' ') ?? []
  return { took: Number(at) - since, how, next: program.lines.at(-1) }
}

it('a revoke aborts the call that runs in another process, and nothing is admitted there afterwards', async () => {
  proves('instant-revoke', 'invariant-5')
  const { session, program } = await housed('run')
  await program.said('running')
  await pause(200)
  const since = Date.now()
  await session.revoke('enough')
  const { took, how, next } = await ending(program, since)
  console.info(`felt in another process after ${took} ms`)
  expect({ how, next }).toEqual({ how: 'session-revoked', next: 'next session-revoked true' })
  // Without hints it would be looked at after five seconds.
  expect(took).toBeLessThan(2_000)
})

it('what is decided here goes on in the process that waits for it', async () => {
  const { haldir, program } = await housed('wait', { policy: { default: 'ask', rules: [] }, approvals: {} })
  let asked: string | undefined
  while (asked === undefined) {
    asked = (await haldir.approvals.list({ state: 'pending' }))[0]?.id
    await pause(10)
  }
  await pause(200)
  const since = Date.now()
  await haldir.approvals.decide(asked, { approve: true, by: 'ann' })
  const { took, how } = await ending(program, since)
  console.info(`decided elsewhere, and gone on after ${took} ms`)
  expect(how).toBe('ran')
})
