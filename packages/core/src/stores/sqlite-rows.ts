/** Rows of the SQLite store, as the driver answers them, and what they mean. */
import type { ApprovalRow, ApprovalState } from './approvals.ts'
import type { Life } from './lineage.ts'
import type { HoldRow, HoldState, SealedSecret, SessionRow, StoredSecret, Suspension } from './store.ts'

export interface LifeRow {
  readonly expires_at: number
  readonly revoked_at: number | null
  readonly suspended_by: string | null
  readonly suspended_rule: string | null
}

export interface HeldRow {
  readonly session: string
  readonly state: HoldState
  readonly lease: number
  readonly parts: string
}

/** What a hold keeps of each charge: the row it is held on, and micro-units as text. */
export type Part = readonly [row: string, micros: string]

export function partsOf(hold: Pick<HeldRow, 'parts'> | undefined): readonly Part[] {
  return hold ? JSON.parse(hold.parts) : []
}

export interface MeterRow {
  readonly cap: bigint
  readonly used: bigint
  readonly held: bigint
}

export function isEnded(state: HoldState): boolean {
  return state === 'settled' || state === 'released'
}

export function lifeFrom(row: LifeRow | undefined): Life | undefined {
  if (!row) return undefined
  const { expires_at: expiresAt, revoked_at: revokedAt } = row
  return { expiresAt, ...(revokedAt === null ? {} : { revokedAt }), ...suspensionIn(row) }
}

function suspensionIn({ suspended_by: by, suspended_rule: rule }: LifeRow): { suspended?: Suspension } {
  return by === null ? {} : { suspended: { by, rule: rule ?? '' } }
}

export function holdFrom(row: Record<string, unknown> | undefined): HoldRow | undefined {
  if (!row) return undefined
  const { session, state, memo } = row as { session: string; state: HoldState; memo: string | null }
  return { session, state, ...(memo === null ? {} : { memo }) }
}

export function sessionFrom(row: Record<string, unknown>): SessionRow {
  const { id, token_hash, tenant, agent, scopes, attributes, chain, created_at, expires_at, revoked_at } = row
  return {
    id: id as string,
    tokenHash: token_hash as string,
    tenant: tenant as string,
    agent: agent as string,
    scopes: JSON.parse(scopes as string),
    attributes: JSON.parse(attributes as string),
    chain: JSON.parse(chain as string),
    createdAt: created_at as number,
    expiresAt: expires_at as number,
    ...(revoked_at === null ? {} : { revokedAt: revoked_at as number }),
    ...suspensionIn(row as unknown as LifeRow),
  }
}

export function secretFrom(row: Record<string, unknown> | undefined): SealedSecret | undefined {
  if (!row) return undefined
  const { tenant, name, version, key_id, wrapped, data } = row as Record<string, string>
  // What the row is filed under has the last word.
  return { ...JSON.parse(data as string), tenant, name, version: Number(version), keyId: key_id, wrapped }
}

export function storedSecretFrom(row: Record<string, unknown>): StoredSecret {
  const { created_at, used_at } = row as { created_at: number; used_at: number | null }
  const secret = secretFrom(row) as SealedSecret
  return { ...secret, createdAt: created_at, ...(used_at === null ? {} : { usedAt: used_at }) }
}

/** An approval, as it is kept. */
export interface KeptApproval {
  readonly row: number
  readonly id: string
  readonly version: number
  readonly state: ApprovalState
  readonly tenant: string
  readonly session: string
  readonly agent: string
  readonly tool: string
  readonly ref: string | null
  readonly binding: string
  readonly grant_binding: string | null
  readonly grant_until: number | null
  readonly created_at: number
  readonly expires_at: number
  readonly decided_at: number | null
  readonly used_by: string | null
  readonly used_at: number | null
  readonly data: string
}

export function approvalFrom(kept: KeptApproval): ApprovalRow {
  const { id, version, state, tenant, session, agent, tool, ref, binding, grant_binding, grant_until, data } = kept
  return {
    id,
    version,
    state,
    tenant,
    session,
    agent,
    tool,
    ...(ref === null ? {} : { ref }),
    binding,
    ...(grant_binding === null
      ? {}
      : { grant: { binding: grant_binding, ...(grant_until === null ? {} : { until: grant_until }) } }),
    createdAt: kept.created_at,
    expiresAt: kept.expires_at,
    ...(kept.decided_at === null ? {} : { decidedAt: kept.decided_at }),
    ...(kept.used_by === null ? {} : { usedBy: kept.used_by }),
    ...(kept.used_at === null ? {} : { usedAt: kept.used_at }),
    data: JSON.parse(data),
  }
}
