/** Approvals as naively as it can be: a list of all there ever were, looked through anew whenever anything is asked. */
import type { Store } from '@haldir/core'

const DAY = 86_400_000

type Verbs = Store['approval']
type Row = NonNullable<Awaited<ReturnType<Verbs['get']>>>
export type Query = Parameters<Verbs['find']>[0]
export type Change = Parameters<Verbs['change']>[2]
export type NewApproval = Parameters<Verbs['request']>[0]
export type Consent = NonNullable<Parameters<Store['admit']>[0]['consent']>

interface Told {
  readonly channel: string
  due: number | undefined
  attempt: number
  note: unknown
}

export type Asked = { -readonly [K in keyof Row]: Row[K] }

interface Kept {
  readonly row: Asked
  readonly told: Told[]
}

export class ApprovalReference {
  readonly kept: Kept[] = []

  get(id: string): Kept | undefined {
    return this.kept.find(({ row }) => row.id === id)
  }

  pending(at: number, of: (row: Row) => boolean): number {
    return this.kept.filter(({ row }) => row.state === 'pending' && at < row.expiresAt && of(row)).length
  }

  add({ ttlMs, ...asked }: NewApproval, sessionEnds: number, channels: readonly string[], at: number): Row {
    const expiresAt = Math.min(at + ttlMs, sessionEnds)
    const row: Asked = { ...asked, version: 1, state: 'pending', createdAt: at, expiresAt }
    const told = [...new Set(channels)].map((channel) => ({ channel, due: at, attempt: 0, note: undefined }))
    this.kept.push({ row, told })
    return row
  }

  change(id: string, version: number, change: Change, at: number): Row | undefined {
    const kept = this.get(id)
    if (kept?.row.state !== 'pending' || kept.row.version !== version) return undefined
    const over = kept.row.expiresAt <= at
    if (over && change.state !== 'expired' && change.state !== 'withdrawn') return undefined
    if (!over && change.state === 'expired') return undefined
    const { row } = kept
    row.version++
    if (change.state !== undefined) {
      row.state = change.state
      row.decidedAt = at
    }
    if (change.binding !== undefined) row.binding = change.binding
    if (change.data !== undefined) row.data = change.data
    if (change.grantMs !== undefined && row.grant) row.grant = { ...row.grant, until: at + change.grantMs }
    for (const told of kept.told) Object.assign(told, { due: at, attempt: 0 })
    return row
  }

  use(id: string, call: string, at: number): boolean {
    const row = this.get(id)?.row
    if (!row || row.state === 'pending' || row.usedBy !== undefined) return false
    Object.assign(row, { usedBy: call, usedAt: at })
    return true
  }

  expire(limit: number, at: number): Row[] {
    const over = this.kept.filter(({ row }) => row.state === 'pending' && row.expiresAt <= at)
    const ended = over.sort((a, b) => a.row.expiresAt - b.row.expiresAt).slice(0, limit)
    for (const { row } of ended) this.change(row.id, row.version, { state: 'expired' }, at)
    const forgotten = this.kept.filter(({ row }) => {
      const useful = row.state === 'approved' ? [row.expiresAt, row.grant?.until ?? 0] : []
      return row.state !== 'pending' && Math.max(row.decidedAt ?? 0, ...useful) + 30 * DAY < at
    })
    for (const gone of forgotten) this.kept.splice(this.kept.indexOf(gone), 1)
    return ended.map(({ row }) => row)
  }

  find(query: Query, at: number): Row | undefined {
    const fits = (row: Row): boolean => {
      if (row.session !== query.session) return false
      if ('ref' in query) return row.ref === query.ref && row.tool === query.tool
      if ('grant' in query)
        return row.state === 'approved' && row.grant?.binding === query.grant && (row.grant.until ?? 0) > at
      if (row.ref !== undefined || row.usedBy !== undefined || row.binding !== query.binding) return false
      if (row.state === 'denied') return true
      return row.expiresAt > at && ['pending', 'approved'].includes(row.state)
    }
    return this.kept.map(({ row }) => row).findLast(fits)
  }

  due(channels: readonly string[], limit: number, leaseMs: number, at: number): object[] {
    const due = [...new Set(channels)].flatMap((channel) =>
      this.kept.flatMap((kept, made) => {
        const told = kept.told.find((one) => one.channel === channel)
        return told?.due !== undefined && told.due <= at ? [{ kept, told, made, since: told.due }] : []
      }),
    )
    due.sort((a, b) => a.since - b.since || a.made - b.made)
    return due.slice(0, limit).map(({ kept, told }) => {
      told.due = at + leaseMs
      told.attempt++
      const { channel, attempt, note } = told
      return { row: kept.row, channel, attempt, ...(note === undefined ? {} : { note }) }
    })
  }

  told(id: string, channel: string): Told | undefined {
    return this.get(id)?.told.find((one) => one.channel === channel)
  }

  /** Why what a call presents does not let it run. */
  refusal({ id, binding, grant }: Consent, call: string, session: string, at: number): string | undefined {
    const row = this.get(id)?.row
    if (!row || row.session !== session) return 'approval-denied'
    if ((grant ? row.grant?.binding : row.binding) !== binding) return 'approval-denied'
    if (row.state === 'denied' || row.state === 'withdrawn') return 'approval-denied'
    const over = row.expiresAt <= at
    if (row.state === 'expired' || (row.state === 'pending' && over)) return 'approval-expired'
    if (row.state === 'pending') return 'approval-pending'
    if (grant) return (row.grant?.until ?? 0) > at ? undefined : 'approval-expired'
    if (row.usedBy === call) return undefined
    if (row.usedBy !== undefined) return 'approval-used'
    return over ? 'approval-expired' : undefined
  }
}
