/** Two processes on one store: what one does to a session or an approval is felt in the other while its call runs. */
import { createHaldir, type HaldirOptions } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { engineFor, POSTGRES, REDIS, type RunningEngine, SQLITE } from '../servers/engines.ts'
import { Program, pause } from './process.ts'
import { openStore } from './programs/store.ts'
import type { WatchedInput } from './programs/watched.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** A haldir here, a session of it, and another process that acts as that session. */
async function housed(engine: RunningEngine, does: WatchedInput['does'], options: HaldirOptions = {}) {
  const store = engine.place()
  const haldir = createHaldir({ store: await openStore(store), sinks: [memorySink()], ...options })
  cleanup.push(() => haldir.close())
  const session = await haldir.createSession({ agent: 'a', scopes: [] })
  const program = new Program('watched', { store, token: session.token, does } satisfies WatchedInput)
  cleanup.push(() => program.kill())
  return { haldir, session, program }
}

/** How the call in the other process has ended, and how long after a moment of this one. */
async function ending(program: Program, since: number) {
  expect(await program.ended).toBe(0)
  const [, at, how] = program.lines.find((line) => line.startsWith('ended'))?.split(' ') ?? []
  return { took: Number(at) - since, how, next: program.lines.at(-1) }
}

describe.each([SQLITE, REDIS, POSTGRES])('through $name', { timeout: 60_000 }, (own) => {
  const { name, unable } = own
  const engine = engineFor(own)

  it.skipIf(unable)(
    'a revoke aborts the call that runs in another process, and nothing is admitted there afterwards',
    async () => {
      proves('instant-revoke', 'invariant-5')
      const { session, program } = await housed(engine(), 'run')
      await program.said('running')
      await pause(200)
      const since = Date.now()
      await session.revoke('enough')
      const { took, how, next } = await ending(program, since)
      console.info(`${name}: felt in another process after ${took} ms`)
      expect({ how, next }).toEqual({ how: 'session-revoked', next: 'next session-revoked true' })
      // Without hints it would be looked at after five seconds.
      expect(took).toBeLessThan(2_000)
    },
  )

  it.skipIf(unable)('what is decided here goes on in the process that waits for it', async () => {
    const { haldir, program } = await housed(engine(), 'wait', { policy: { default: 'ask', rules: [] }, approvals: {} })
    let asked: string | undefined
    while (asked === undefined) {
      asked = (await haldir.approvals.list({ state: 'pending' }))[0]?.id
      await pause(10)
    }
    await pause(200)
    const since = Date.now()
    await haldir.approvals.decide(asked, { approve: true, by: 'ann' })
    const { took, how } = await ending(program, since)
    console.info(`${name}: decided elsewhere, and gone on after ${took} ms`)
    expect(how).toBe('ran')
  })
})
