/** How well detectors do on traffic whose anomalies are known. */
import type { Entry } from '@haldir/core'
import { detectSignals, type EngineOptions, type Signal } from '@haldir/core/signals'
import { DAY, MINUTE, type Traffic } from './signals-traffic.ts'

export interface Score {
  /** For each kind of anomaly: how many there were, and how many were told of. */
  readonly found: ReadonlyMap<string, { readonly of: number; readonly found: number; readonly daysUntil: number }>
  /** What nothing had been done for, by signal. */
  readonly falseAlarms: ReadonlyMap<string, number>
  readonly falsePerAgentDay: number
  /** Signals of another kind while something was done to the agent. */
  readonly beside: number
}

export async function score(traffics: readonly Traffic[], options?: EngineOptions): Promise<Score> {
  const found = new Map<string, { of: number; found: number; daysUntil: number }>()
  const falseAlarms = new Map<string, number>()
  let beside = 0
  let agentDays = 0
  for (const { entries, anomalies, agents, days } of traffics) {
    const signals: Signal[] = []
    for await (const signal of detectSignals(each(entries), options)) signals.push(signal)
    const during = ({ at, agent }: Signal) =>
      anomalies.filter((one) => one.agent === agent && at >= one.from && at <= one.until + 5 * MINUTE)
    for (const anomaly of anomalies) {
      const row = found.get(anomaly.kind) ?? { of: 0, found: 0, daysUntil: 0 }
      found.set(anomaly.kind, row)
      row.of++
      const first = signals.find((signal) => signal.signal === anomaly.signal && during(signal).includes(anomaly))
      if (!first) continue
      row.found++
      row.daysUntil = Math.max(row.daysUntil, (first.at - anomaly.from) / DAY)
    }
    for (const signal of signals) {
      const near = during(signal)
      if (near.some((one) => one.signal === signal.signal)) continue
      // A ramp lasts for weeks: what else is said meanwhile is wrong.
      if (near.some(({ kind }) => kind !== 'a slow ramp')) beside++
      else {
        const what = `${signal.signal} ${signal.kind ?? ''} ${signal.agent.split('-')[0]}`
        falseAlarms.set(what, (falseAlarms.get(what) ?? 0) + 1)
      }
    }
    agentDays += agents * days
  }
  const total = [...falseAlarms.values()].reduce((sum, count) => sum + count, 0)
  return { found, falseAlarms, falsePerAgentDay: total / agentDays, beside }
}

export async function* each(entries: readonly Entry[]): AsyncGenerator<Entry> {
  yield* entries
}
