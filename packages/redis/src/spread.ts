/** Verbs that end or hand out what is due, of all tenants, no more than asked for and the longest due first. */
import type { Engine } from './engine.ts'
import { texts, whole } from './replies.ts'
import type { Tenants } from './tenants.ts'

export interface Share {
  readonly tenant: string
  readonly count: number
  /** Whether there are approvals to be forgotten. */
  readonly stale: boolean
}

/**
 * How many of what is due now in these sets each tenant's slot is to take; only tenants that have something to do. Another
 * process may take some before.
 */
export async function spread(
  engine: Engine,
  tenants: Tenants,
  sets: readonly string[],
  limit: number,
): Promise<readonly Share[]> {
  if (limit <= 0 || sets.length === 0) return []
  const all = await tenants.all()
  if (all.length === 1) return all.map((tenant) => ({ tenant, count: limit, stale: true }))
  const since = await Promise.all(
    all.map(async (tenant) => {
      const { rest } = await engine.ask('since', tenant, [String(limit), ...sets])
      return { tenant, stale: whole(rest[1]) > 0, times: texts(rest[0]).map(whole) }
    }),
  )
  const longest = since
    .flatMap(({ tenant, times }) => times.map((time) => ({ tenant, time })))
    .sort((a, b) => a.time - b.time)
  const counts = new Map<string, number>()
  for (const { tenant } of longest.slice(0, limit)) counts.set(tenant, (counts.get(tenant) ?? 0) + 1)
  return since
    .map(({ tenant, stale }) => ({ tenant, count: counts.get(tenant) ?? 0, stale }))
    .filter(({ count, stale }) => count > 0 || stale)
}
