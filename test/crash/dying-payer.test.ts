import { existsSync, readFileSync } from 'node:fs'
import { createHaldir } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { verifyFiles } from '@haldir/core/verify'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Program, pause, scratch } from './process.ts'

/** More than ten lives can hold before their deaths, so that each of them dies as planned and the last finds some left. */
const BUDGET = 90
const POINTS = ['begun', 'paid', 'settled'] as const
/** Shorter than a process takes to start: whatever a dead one held is over before the next one pays. */
const HOLD_MS = 40

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

describe('a process that pays, dies and is started again', { timeout: 240_000 }, () => {
  it('never pays more than the budget, whatever expires in between', async () => {
    proves('invariant-3', 'invariant-4', 'per-session-budget')
    const folder = scratch()
    cleanup.push(folder.remove)
    const haldir = createHaldir({ store: sqliteStore(folder.path('haldir.db')), sinks: [memorySink()] })
    cleanup.push(() => haldir.close())
    const session = await haldir.createSession({ agent: 'payer', scopes: [`spend:${BUDGET}`] })
    const paid = () => {
      const file = folder.path('payments')
      return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
    }
    const live = async (die: { at: string; payment: number }) => {
      const program = new Program('pay', {
        store: folder.path('haldir.db'),
        audit: folder.path('audit'),
        token: session.token,
        payments: folder.path('payments'),
        holdFor: `${HOLD_MS}ms`,
        die,
      })
      cleanup.push(() => program.kill())
      let over = false
      program.ended.then(() => {
        over = true
      })
      // Another process sweeps the same store meanwhile, under the feet of the one that pays.
      while (!over) {
        await haldir.sweep()
        await pause(7)
      }
      expect(paid()).toBeLessThanOrEqual(BUDGET)
      await pause(HOLD_MS)
      return { ended: await program.ended, lines: program.lines }
    }

    for (let death = 0; death < 10; death++) {
      const at = POINTS[death % POINTS.length] as string
      const { ended } = await live({ at, payment: 1 + (death % 4) })
      expect(ended).toBe('SIGKILL')
    }
    await haldir.sweep()
    const [before] = await session.budget()
    // Nothing that was paid has been forgotten, and nothing of the dead is held any more.
    expect(Number(before?.used.micros) / 1e6).toBeGreaterThanOrEqual(paid())
    expect(before?.held.micros).toBe(0n)
    const made = paid()
    expect(made).toBeGreaterThan(10)

    const last = await live({ at: 'never', payment: 0 })
    expect(last.ended).toBe(0)
    expect(new Set(last.lines.slice(1))).toEqual(new Set(['refused budget-exceeded']))
    // The last one paid out exactly what was left, and not one of the amounts that nobody can tell the end of.
    expect(paid() - made).toBe(Number(before?.left.micros) / 1e6)
    const [after] = await session.budget()
    expect([after?.used.toString(), after?.held.toString()]).toEqual([`${BUDGET} USD`, '0 USD'])
    expect(paid()).toBeLessThanOrEqual(BUDGET)
    const { ok, orphans } = await verifyFiles(folder.path('audit'))
    expect(ok).toBe(true)
    expect(orphans.length).toBeGreaterThan(0)
  })
})
