/** Workers that die, and an engine that dies under workers, fifty times each: nothing is overspent or counted twice. */
import { createHaldir, type Session } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { verifyFiles } from '@haldir/core/verify'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { engineFor, POSTGRES, REDIS } from '../servers/engines.ts'
import { Program, pause, scratch } from './process.ts'
import { openStore } from './programs/store.ts'
import { callsWith, missing, recorded } from './records.ts'

const DEATHS = 50
/** Workers that die together, and those that live through the deaths of the engine. */
const DYING = 5
const LIVING = 2
/** Calls of one worker at a time. */
const LANES = 4
/** Between two calls of those that live: what they write is read at each start of the engine. */
const REST_MS = 20
const HOLD_MS = 60

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

const standing = async (session: Session) => {
  const [line] = await session.budget()
  return { used: Number(line?.used.decimal), held: Number(line?.held.decimal) }
}
/** Every line of theirs that begins with this word. */
const said = (programs: readonly Program[], word: string) =>
  programs.flatMap(({ lines }) => lines.filter((line) => line.startsWith(`${word} `)))

describe.each([REDIS, POSTGRES])('deaths around $name', { timeout: 240_000 }, (own) => {
  const { name, unable } = own
  const engine = engineFor(own)

  async function scene(limit: number) {
    const folder = scratch()
    cleanup.push(folder.remove)
    const place = engine().place()
    // A client may wait ten seconds for a server that reads its file, before it believes that it is there.
    const haldir = createHaldir({ store: await openStore(place), sinks: [memorySink()], deadline: '60s' })
    cleanup.push(() => haldir.close())
    const session = await haldir.createSession({ agent: 'worker', scopes: [`spend:${limit}`] })
    const audit = folder.path('audit')
    const hire = (holdFor: string, restMs = 0) => {
      const worker = new Program('work', { store: place, audit, token: session.token, holdFor, lanes: LANES, restMs })
      cleanup.push(() => worker.kill())
      return worker
    }
    return { haldir, session, audit, hire }
  }

  it.skipIf(unable)('of workers, fifty times: what they held is counted, and listed', async () => {
    proves('invariant-3', 'invariant-4', 'per-session-budget')
    // Gone before the last of them has died: the others are refused.
    const limit = 120
    const { haldir, session, audit, hire } = await scene(limit)
    const workers: Program[] = []
    for (let round = 0; round < DEATHS / DYING; round++) {
      const hired = Array.from({ length: DYING }, () => hire(`${HOLD_MS}ms`))
      workers.push(...hired)
      await Promise.all(
        hired.map(async (worker) => {
          await worker.said(/^(begun|denied) /)
          await pause(Math.random() * 20)
          expect(await worker.kill()).toBe('SIGKILL')
        }),
      )
    }
    await pause(HOLD_MS * 2)
    const orphans = (await haldir.sweep()).orphaned.length
    const { used, held } = await standing(session)
    const begun = said(workers, 'begun').length
    const entries = recorded(audit)
    const open = missing(callsWith(entries, 'intent'), callsWith(entries, 'outcome'))
    const swept = said(workers, 'ready, after').reduce((sum, line) => sum + Number(line.split(' ')[2]), orphans)
    console.info(`${name}: ${JSON.stringify({ deaths: workers.length, begun, used, open: open.length, swept })}`)
    expect(workers).toHaveLength(DEATHS)
    // Invariant 3, to the last: nothing was given back and nothing overspent, so what is refused finds it spent exactly.
    expect({ used, held }).toEqual({ used: limit, held: 0 })
    const refused = new Set(said(workers, 'denied').map((line) => line.split(' ')[2]))
    expect(refused).toEqual(new Set(['budget-exceeded']))
    expect(used).toBeGreaterThanOrEqual(callsWith(entries, 'intent').size)
    expect(begun).toBeGreaterThan(DEATHS)
    // Counted once each: a call is 1, and what was admitted without an intent is at most what each had in flight.
    expect(used).toBeLessThanOrEqual(callsWith(entries, 'intent').size + DEATHS * LANES)
    // What nobody can tell the end of was found by those who came after, or just now; all else was settled. Some of that
    // had no time left to put its outcome on record.
    const ended = callsWith(entries, 'outcome').size
    expect(swept).toBeGreaterThan(0)
    expect(used - swept).toBeGreaterThanOrEqual(ended)
    expect(used - swept).toBeLessThanOrEqual(ended + open.length)
    expect((await verifyFiles(audit)).orphans.map(({ call }) => call).sort()).toEqual(open.sort())
  })

  it.skipIf(unable)('of the engine, fifty times: what ran is counted, once, and work goes on', async () => {
    proves('invariant-3', 'invariant-4', 'invariant-6')
    const { session, haldir, audit, hire } = await scene(1_000_000)
    const workers = Array.from({ length: LIVING }, () => hire('1m', REST_MS))
    await Promise.all(workers.map((worker) => worker.said('ready')))
    for (let death = 0; death < DEATHS; death++) {
      const before = said(workers, 'done').length
      await pause(Math.random() * 40)
      await engine().server?.kill()
      await engine().server?.restart()
      // It heals by itself: somebody is served again before it dies the next time.
      while (said(workers, 'done').length === before) {
        expect(workers.filter(({ over }) => over)).toEqual([])
        await pause(5)
      }
    }
    for (const worker of workers) worker.tell('stop')
    expect(await Promise.all(workers.map(({ ended }) => ended))).toEqual(Array(LIVING).fill(0))
    const ran = said(workers, 'begun').length
    const refused = said(workers, 'denied').map((line) => line.split(' ')[2])
    console.info(`${name}: ${JSON.stringify({ deaths: DEATHS, ran, refused: refused.length })}`)
    expect(said(workers, 'done')).toHaveLength(ran)
    expect(said(workers, 'broken')).toEqual([])
    expect(new Set([...refused, 'unavailable'])).toEqual(new Set(['unavailable']))
    expect(await standing(session)).toEqual({ used: ran, held: 0 })
    expect((await haldir.sweep()).orphaned).toEqual([])
    expect(await verifyFiles(audit)).toMatchObject({ ok: true, orphans: [] })
  })
})
