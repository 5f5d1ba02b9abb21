/** Approvals of the SQLite store, and who has to be told of them. */
import { born, changed, forgetAt, same } from './approval-life.ts'
import {
  type ApprovalChange,
  type ApprovalQuery,
  type ApprovalRow,
  type ApprovalVerbs,
  type ConsentRefusal,
  consentRefusal,
  type Delivery,
  type Requested,
} from './approvals.ts'
import { refusedBy, stillBy } from './lineage.ts'
import type { Statements } from './sqlite-open.ts'
import { approvalFrom, type KeptApproval, type LifeRow, lifeFrom } from './sqlite-rows.ts'
import type { Transactions } from './sqlite-transact.ts'
import type { AdmitRequest } from './store.ts'

interface DueRow extends KeptApproval {
  readonly due: number
  readonly attempt: number
  readonly note: string | null
}

/** How many approvals are forgotten at once. */
const FORGET = 256

export function sqliteApprovals(sql: Statements, { atomically, changing, patiently }: Transactions): ApprovalVerbs {
  function read(id: string): KeptApproval | undefined {
    return sql.readApproval.get(id) as KeptApproval | undefined
  }

  function change(
    kept: KeptApproval,
    version: number,
    { data, ...rest }: ApprovalChange,
    at: number,
  ): ApprovalRow | undefined {
    const row = changed(approvalFrom(kept), version, rest, at)
    if (!row) return undefined
    const text = data === undefined ? kept.data : JSON.stringify(data)
    const { state, binding, grant, decidedAt = null } = row
    const ends = [grant?.until ?? null, decidedAt, forgetAt(row) ?? null]
    sql.changeApproval.run(row.version, state, binding, ...ends, text, kept.row)
    sql.tellAgain.run(at, kept.row)
    return { ...row, data: JSON.parse(text) }
  }

  function newest(query: ApprovalQuery, at: number): KeptApproval | undefined {
    const { session } = query
    if ('ref' in query) return sql.approvalByRef.get(session, query.tool, query.ref) as KeptApproval | undefined
    if ('grant' in query) return sql.approvalByGrant.get(session, query.grant, at) as KeptApproval | undefined
    return sql.approvalByBinding.get(session, query.binding, at) as KeptApproval | undefined
  }

  return {
    request: (approval, limits, channels) =>
      changing((at): Requested => {
        const { id, session, tenant, agent } = approval
        const life = lifeFrom(sql.sessionLife.get(session) as LifeRow | undefined)
        const over = refusedBy(life, at)
        if (life && over === 'session-suspended') return stillBy(life)
        if (!life || over) return { ok: false, refused: over ?? 'no-session' }
        const before = read(id)
        if (before) return { ok: true, row: same(approvalFrom(before), approval) }
        const pending = [sql.pendingOfSession.get(session, at), sql.pendingOfAgent.get(tenant, agent, at)].map(count)
        if ((pending[0] ?? 0) >= limits.session) return { ok: false, refused: 'too-many', per: 'session' }
        if ((pending[1] ?? 0) >= limits.agent) return { ok: false, refused: 'too-many', per: 'agent' }
        const { version, state, tool, ref = null, binding, grant, expiresAt } = born(approval, life.expiresAt, at)
        const about = [id, version, state, tenant, session, agent, tool, ref, binding, grant?.binding ?? null]
        const data = JSON.stringify(approval.data)
        const { lastInsertRowid } = sql.insertApproval.run(...about, at, expiresAt, data)
        for (const channel of channels) sql.insertDelivery.run(lastInsertRowid, channel, at)
        return { ok: true, row: approvalFrom(read(id) as KeptApproval) }
      }),

    get: (id) =>
      patiently(() => {
        const kept = read(id)
        return kept && approvalFrom(kept)
      }),

    find: (query) =>
      atomically((at) => {
        const kept = newest(query, at)
        return kept && approvalFrom(kept)
      }),

    list: ({ tenant = null, session = null, agent = null, state = null, limit }) =>
      patiently(() => {
        const whose = [tenant, tenant, agent, agent]
        if (session !== null) return found(sql.listOfSession.all(session, ...whose, state, state, limit))
        if (state === 'pending') return found(sql.listPending.all(...whose, limit))
        return found(sql.listApprovals.all(...whose, state, state, limit))
      }),

    change: (id, version, what) =>
      changing((at) => {
        const kept = read(id)
        return kept && change(kept, version, what, at)
      }),

    use: (id, call) => changing((at) => Number(sql.useApproval.run(call, at, id).changes) === 1),

    expire: (limit) =>
      changing((at) => {
        const over = sql.approvalsOver.all(at, limit) as unknown as KeptApproval[]
        const ended = over.flatMap((kept) => change(kept, kept.version, { state: 'expired' }, at) ?? [])
        for (const { row } of sql.forgetApprovals.all(at, FORGET) as { row: number }[]) sql.forgetDeliveries.run(row)
        return ended
      }),

    due: (channels, limit, leaseMs) =>
      atomically((at) => {
        const due = [...new Set(channels)].flatMap((channel) =>
          (sql.deliveriesDue.all(channel, at, limit) as unknown as DueRow[]).map((kept) => ({ channel, kept })),
        )
        due.sort((a, b) => a.kept.due - b.kept.due || a.kept.row - b.kept.row)
        return due.slice(0, limit).map(({ channel, kept }): Delivery => {
          sql.handOut.run(at + leaseMs, kept.row, channel)
          return { row: approvalFrom(kept), channel, attempt: kept.attempt + 1, ...noteFrom(kept.note) }
        })
      }),

    shown: (id, channel, version, note) =>
      atomically((at) => {
        const text = (JSON.stringify(note) as string | undefined) ?? null
        const told = sql.readDelivery.get(id, channel) as { row: number; version: number } | undefined
        if (told) sql.toldOf.run(told.version === version ? null : at, text, told.row, channel)
      }),

    later: (id, channel, delayMs) =>
      atomically((at) => {
        const told = sql.readDelivery.get(id, channel) as { row: number } | undefined
        if (told) sql.tellLater.run(at + delayMs, told.row, channel)
      }),

    note: (id, channel) =>
      patiently(() => noteFrom((sql.readDelivery.get(id, channel) as { note: string | null } | undefined)?.note).note),
  }
}

/**
 * Uses the approval that a call presents; answers why it can't, if so. Part of the transaction that admits the call:
 * when something else refuses the call, this is undone with all the rest.
 */
export function consume(sql: Statements, request: AdmitRequest, at: number): ConsentRefusal | undefined {
  const { call, consent } = request
  if (!consent) return undefined
  const kept = sql.readApproval.get(consent.id) as KeptApproval | undefined
  const refused = consentRefusal(kept && approvalFrom(kept), consent, request, at)
  if (!refused && !consent.grant) sql.useApproval.run(call, at, consent.id)
  return refused
}

function found(rows: unknown): readonly ApprovalRow[] {
  return (rows as KeptApproval[]).map(approvalFrom)
}

function noteFrom(note: string | null | undefined): { readonly note?: unknown } {
  return typeof note === 'string' ? { note: JSON.parse(note) } : {}
}

function count(row: Record<string, unknown> | undefined): number {
  return Number(row?.count)
}
