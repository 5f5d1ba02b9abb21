/** Sessions of the SQLite store. */
import { bornInto, extended, type Life } from './lineage.ts'
import type { SqliteMeters } from './sqlite-meters.ts'
import type { Statements } from './sqlite-open.ts'
import { type LifeRow, lifeFrom, sessionFrom } from './sqlite-rows.ts'
import type { Transactions } from './sqlite-transact.ts'
import type { Cap, CapReached, SessionRow, SessionVerbs } from './store.ts'

export function sqliteSessions(sql: Statements, meters: SqliteMeters, tx: Transactions): SessionVerbs {
  function lifeOf(session: string): Life | undefined {
    return lifeFrom(sql.sessionLife.get(session) as LifeRow | undefined)
  }

  /** How many there are of what a cap counts; no more are counted than the limit and one. */
  function count({ tenant, agent }: SessionRow, { count, per, limit }: Cap, at: number): number {
    const most = Math.max(0, limit) + 1
    if (per === 'tenant')
      return rows((count === 'agents' ? sql.agentsOfTenant : sql.sessionsOfTenant).get(tenant, at, most))
    const sessions = rows(sql.sessionsOfAgent.get(tenant, agent, at, most))
    return count === 'agents' ? Math.min(1, sessions) : sessions
  }

  return {
    create: ({ ttlMs, ...row }, newMeters, caps = []) =>
      tx.atomically(
        (at): SessionRow | CapReached => {
          const session = bornInto({ ...row, createdAt: at, expiresAt: at + ttlMs }, row.chain.map(lifeOf))
          const {
            id,
            tokenHash,
            tenant,
            agent,
            scopes,
            attributes,
            chain,
            expiresAt,
            revokedAt = null,
            suspended,
          } = session
          const json = [scopes, attributes, chain].map((part) => JSON.stringify(part))
          const still = [suspended?.by ?? null, suspended?.rule ?? null]
          sql.insertSession.run(id, tokenHash, tenant, agent, ...json, at, expiresAt, revokedAt, ...still)
          for (const ancestor of chain) sql.insertLineage.run(ancestor, id)
          for (const meter of newMeters) meters.make(meter)
          // The new one is counted with the others, and undone when that is one too many.
          const cap = caps.find((each) => count(session, each, at) > each.limit)
          return cap ? { refused: 'quota-exceeded', cap } : session
        },
        (made) => !('refused' in made),
      ),

    get: (by) =>
      tx.patiently(() => {
        const row = 'id' in by ? sql.sessionById.get(by.id) : sql.sessionByToken.get(by.tokenHash)
        return row && sessionFrom(row)
      }),

    extend: (id, ttlMs) =>
      tx.changing((at) => {
        const row = sql.sessionById.get(id)
        if (!row) return undefined
        const before = sessionFrom(row)
        const after = extended(before, ttlMs, before.chain.map(lifeOf), at)
        if (after !== before) sql.extendSession.run(after.expiresAt, id)
        return after
      }),

    revokeTree: (id) => tx.changing((at) => idsOf(sql.revokeTree.all(at, id, id))),

    // Invariant: a session stands still for the nearest of itself and its ancestors that was suspended, so lifting one
    // suspension never lifts another.
    suspendTree: (id, rule) =>
      tx.changing(() => {
        const row = sql.sessionById.get(id)
        if (row) sql.suspendNearer.run(id, rule, row.chain as string, id, id)
        return row ? idsOf(sql.suspendTree.all(id, rule, id, id)) : []
      }),

    resumeTree: (id) =>
      tx.changing(() => {
        const row = sql.sessionById.get(id)
        // The parent speaks for all ancestors; what it says holds for everything that was suspended with this session.
        const parent = row && lifeOf(sessionFrom(row).chain.at(-1) ?? '')?.suspended
        const ids = idsOf(sql.resumeTree.all(parent?.by ?? null, parent?.rule ?? null, id))
        return parent ? [] : ids
      }),
  }
}

function idsOf(found: readonly Record<string, unknown>[]): readonly string[] {
  return found.map(({ id }) => id as string)
}

function rows(row: Record<string, unknown> | undefined): number {
  return Number(row?.count)
}
