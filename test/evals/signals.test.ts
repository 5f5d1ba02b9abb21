/**
 * How many known anomalies are told of, and how often a signal is wrong. The defaults were chosen on other seeds (those
 * of `test/bench/signals.ts`); the floors here are below what was measured on these.
 */
import { hash } from 'node:crypto'
import type { Entry } from '@haldir/core'
import { detectSignals, type Signal } from '@haldir/core/signals'
import { describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { FOLDER, type RecordedCall, recorded } from './recorded.ts'
import { each, type Score, score } from './signals-score.ts'
import { entryOf, traffic } from './signals-traffic.ts'

if (!FOLDER) console.log('skipped: `HALDIR_EVALS` names no folder of recorded calls')

describe('generated traffic', () => {
  it('clear anomalies are told of, at most one false alarm for ten days of an agent', {
    timeout: 180_000,
  }, async () => {
    proves('signals-raised', 'signals-measured')
    const { found, falsePerAgentDay, falseAlarms } = await score([
      traffic(101, { perHabit: 1 }),
      traffic(202, { perHabit: 1 }),
    ])
    console.log(
      told(found),
      `${falsePerAgentDay.toFixed(3)} false alarms per agent and day`,
      Object.fromEntries(falseAlarms),
    )
    expect(found.size).toBe(12)
    const rows = [...found.values()]
    const sum = (what: 'of' | 'found') => rows.reduce((total, row) => total + row[what], 0)
    expect(sum('found') / sum('of')).toBeGreaterThanOrEqual(0.95)
    for (const [kind, row] of found) expect(row.found / row.of, kind).toBeGreaterThanOrEqual(0.8)
    expect(falsePerAgentDay).toBeLessThanOrEqual(0.1)
  })
})

describe.skipIf(!FOLDER)('recorded traces of agents that did what their users wanted', () => {
  it('raise hardly any signal, with everything that looks from the start', () => {
    proves('signals-measured')
    return benign()
  })
})

interface Trace {
  readonly calls: readonly RecordedCall[]
}

interface Suite {
  readonly user_tasks: readonly { readonly id: string; readonly calls: readonly RecordedCall[] }[]
}

/** One session each, a call every few seconds: what loops, bursts and denials would say of them. */
async function benign(): Promise<void> {
  const suites =
    recorded<{ versions: Record<string, Record<string, Suite>> }>('agentdojo.json.gz').versions['v1.2.2'] ?? {}
  const traces = Object.entries(suites).flatMap(([suite, { user_tasks }]) =>
    user_tasks.map(({ id, calls }) => ({ agent: suite, session: `${suite} ${id}`, calls })),
  )
  const dynamic = recorded<{ traces: readonly (Trace & { id: string; kind: string })[] }>('agentdyn.json.gz').traces
  const airline = recorded<{ trajectories: readonly (Trace & { task_id: string })[] }>('tau_airline.json.gz')
  traces.push(
    ...dynamic
      .filter(({ kind }) => kind !== 'attack_success')
      .map(({ id, calls }) => ({ agent: 'dailylife', session: id, calls })),
    ...airline.trajectories.map(({ task_id, calls }) => ({ agent: 'airline', session: `airline ${task_id}`, calls })),
  )
  let time = Date.parse('2026-01-05T09:00:00Z')
  const entries: Entry[] = []
  for (const { agent, session, calls } of traces) {
    for (const { function: tool, args } of calls) {
      time += 3_000
      const digest = hash('sha256', JSON.stringify([tool, args]), 'hex')
      for (const type of ['intent', 'outcome'] as const)
        entries.push(entryOf({ type, agent, session, spent: [], time, tool, digest }))
    }
    time += 60_000
  }
  const signals: Signal[] = []
  for await (const signal of detectSignals(each(entries))) signals.push(signal)
  console.log(`${signals.length} signals in ${traces.length} benign traces of ${entries.length / 2} calls`)
  expect(traces.length).toBeGreaterThan(400)
  expect(signals.length / traces.length).toBeLessThanOrEqual(0.02)
}

function told(found: Score['found']): string {
  return [...found].map(([kind, row]) => `${kind} ${row.found}/${row.of}`).join(', ')
}
