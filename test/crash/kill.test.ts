import { existsSync } from 'node:fs'
import { createHaldir } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { verifyFiles } from '@haldir/core/verify'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Program, pause, scratch } from './process.ts'
import { auditFiles, callsWith, missing, recorded } from './records.ts'

const ROUNDS = 5
const WORKERS = 2
/** Some phases are about the limit as well: their budget is gone before the last death. */
const BUDGETS = [10_000, 60, 10_000, 60, 10_000]
const HOLD_MS = 40

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

describe('kill -9 at random, fifty times', { timeout: 480_000 }, () => {
  it('loses no acknowledged entry, overspends nothing, and lists what nobody can tell the end of', async () => {
    proves('invariant-1', 'invariant-3', 'invariant-4', 'every-call-logged')
    const totals = { kills: 0, begun: 0, done: 0, denied: 0, orphans: 0, torn: 0 }
    for (const limit of BUDGETS) {
      const { begun, done, denied, orphans, torn, kills } = await runPhase(limit)
      totals.kills += kills
      totals.begun += begun
      totals.done += done
      totals.denied += denied
      totals.orphans += orphans
      totals.torn += torn
    }
    console.info(`kill -9: ${JSON.stringify(totals)}`)
    expect(totals.kills).toBe(BUDGETS.length * ROUNDS * WORKERS)
    // The test is worth something only if many calls were cut off in the middle, and some refused.
    expect(totals.orphans).toBeGreaterThan(20)
    expect(totals.done).toBeGreaterThan(200)
    expect(totals.denied).toBeGreaterThan(0)
  })
})

/** One session, one store and one audit folder, through ten deaths; two workers share them at a time. */
async function runPhase(limit: number) {
  const folder = scratch()
  cleanup.push(folder.remove)
  const [store, audit] = [folder.path('haldir.db'), folder.path('audit')]
  const haldir = createHaldir({ store: sqliteStore(store), sinks: [memorySink()] })
  cleanup.push(() => haldir.close())
  const session = await haldir.createSession({ agent: 'worker', scopes: [`spend:${limit}`] })
  const acknowledged = { begun: new Set<string>(), done: new Set<string>(), denied: new Map<string, string>() }
  const torn = new Set<string>()

  for (let round = 0; round < ROUNDS; round++) {
    const input = { store, audit, token: session.token, holdFor: `${HOLD_MS}ms` }
    const workers = Array.from({ length: WORKERS }, () => new Program('work', input))
    cleanup.push(() => Promise.all(workers.map((worker) => worker.kill())))
    await Promise.all(workers.map((worker) => killAtRandom(worker)))
    for (const line of workers.flatMap(({ lines }) => lines)) hear(line, acknowledged)
    if (!existsSync(audit)) continue

    const entries = recorded(audit)
    expect(missing(acknowledged.begun, callsWith(entries, 'intent'))).toEqual([])
    // Both may have died before either wrote a line: then there is a folder, and no chain in it.
    if (entries.length === 0) continue
    expect(missing(acknowledged.done, callsWith(entries, 'outcome'))).toEqual([])
    const refusals = new Map(entries.filter(({ type }) => type === 'refusal').map(({ call, code }) => [call, code]))
    for (const [call, code] of acknowledged.denied) expect(refusals.get(call)).toBe(code)
    expect(acknowledged.begun.size).toBeLessThanOrEqual(limit)
    // All that a dead process may leave behind is an unfinished last line.
    for (const { kind, writer } of (await verifyFiles(audit)).problems) {
      expect(kind).toBe('torn')
      torn.add(writer)
    }
  }

  // The next start puts that right, and says so.
  const next = createHaldir({ sinks: [fileSink(audit)] })
  await next.createSession({ agent: 'next', scopes: ['read'] })
  await next.close()
  const entries = recorded(audit)
  const verified = await verifyFiles(audit)
  expect(verified.problems).toEqual([])
  const recovered = entries.filter(({ type }) => type === 'recovery').map(({ data }) => data.writer as string)
  expect(missing(torn, new Set(recovered))).toEqual([])
  // A worker that was slow to start may have put right, before anyone looked, what the other of its round had left.
  expect(new Set(recovered).size).toBe(recovered.length)
  const files = auditFiles(audit)
  for (const writer of recovered) expect(files).toContainEqual(expect.stringContaining(writer))
  const open = missing(callsWith(entries, 'intent'), callsWith(entries, 'outcome'))
  expect(verified.orphans.map(({ call }) => call).sort()).toEqual(open.sort())

  // Whatever the dead held is counted as spent, never given back: what has begun is covered.
  await pause(HOLD_MS)
  await haldir.sweep()
  const [budget] = await session.budget()
  expect(budget?.held.micros).toBe(0n)
  expect(Number(budget?.used.micros) / 1e6).toBeLessThanOrEqual(limit)
  expect(Number(budget?.used.micros) / 1e6).toBeGreaterThanOrEqual(callsWith(entries, 'intent').size)
  const { begun, done, denied } = acknowledged
  const counts = { begun: begun.size, done: done.size, denied: denied.size }
  return { ...counts, orphans: open.length, torn: torn.size, kills: ROUNDS * WORKERS }
}

/** Most deaths come while it works; some while it still opens its store and its trail. */
async function killAtRandom(worker: Program): Promise<void> {
  if (Math.random() < 0.2) await pause(60 + Math.random() * 200)
  else {
    await worker.said('ready')
    await pause(Math.random() * 80)
  }
  expect(await worker.kill()).toBe('SIGKILL')
}

function hear(line: string, to: { begun: Set<string>; done: Set<string>; denied: Map<string, string> }): void {
  const [word, call = '', code = ''] = line.split(' ')
  if (word === 'begun') to.begun.add(call)
  else if (word === 'done') to.done.add(call)
  else if (word === 'denied') {
    expect(code).toBe('budget-exceeded')
    to.denied.set(call, code)
  } else expect(line).toMatch(/^ready/)
}
