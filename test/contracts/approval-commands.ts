/** What a random run does to the approvals of a store and to those of the naive reference. */
import { expect } from 'vitest'
import type { Change, NewApproval, Query } from './approval-reference.ts'
import { command } from './store-commands.ts'

type Limits = { readonly session: number; readonly agent: number }

/** What a verb came to; `threw` when it did, now or later. */
async function outcome<T>(verb: () => T): Promise<Awaited<T> | 'threw'> {
  try {
    return await verb()
  } catch {
    return 'threw'
  }
}

export const request = command(
  'request',
  async (model, { store }, approval: NewApproval, limits: Limits, channels: readonly string[]) => {
    const requested = await outcome(() => store.approval.request(approval, limits, channels))
    const no = (refusal: object) => expect(requested).toEqual({ ok: false, ...refusal })
    const { id, agent, tenant, tool } = approval
    const session = model.session(approval.session)
    if (!session) return no({ refused: 'no-session' })
    if (session.revokedAt !== undefined) return no({ refused: 'session-revoked' })
    if (session.expiresAt <= model.time) return no({ refused: 'session-expired' })
    const before = model.approvals.get(id)?.row
    if (before && (before.session !== approval.session || before.tool !== tool)) return expect(requested).toBe('threw')
    if (before) return expect(requested).toEqual({ ok: true, row: before })
    const pending = [
      model.approvals.pending(model.time, (row) => row.session === approval.session),
      model.approvals.pending(model.time, (row) => row.agent === agent && row.tenant === tenant),
    ] as const
    if (pending[0] >= limits.session) return no({ refused: 'too-many', per: 'session' })
    if (pending[1] >= limits.agent) return no({ refused: 'too-many', per: 'agent' })
    const row = model.approvals.add(approval, session.expiresAt, channels, model.time)
    expect(requested).toEqual({ ok: true, row })
  },
)

/** Two decide at once, each on what he saw: `behind` is how many changes he missed. */
export const change = command(
  'change',
  async (model, { store }, id: string, changes: readonly { readonly behind: number; readonly change: Change }[]) => {
    const version = model.approvals.get(id)?.row.version ?? 1
    const told = await Promise.all(
      changes.map(async ({ behind, change: one }) => store.approval.change(id, version - behind, one)),
    )
    // They are heard in the order in which they spoke.
    const expected = changes.map(({ behind, change: one }) => {
      const row = model.approvals.change(id, version - behind, one, model.time)
      return row && { ...row }
    })
    expect(told).toEqual(expected)
  },
)

export const use = command('use', async (model, { store }, id: string, call: string) => {
  expect(await store.approval.use(id, call)).toBe(model.approvals.use(id, call, model.time))
})

export const expireApprovals = command('expireApprovals', async (model, { store }, limit: number) => {
  expect(await store.approval.expire(limit)).toEqual(model.approvals.expire(limit, model.time))
})

export const find = command('find', async (model, { store }, query: Query) => {
  expect(await store.approval.find(query)).toEqual(model.approvals.find(query, model.time))
})

export const due = command(
  'due',
  async (model, { store }, channels: readonly string[], limit: number, leaseMs: number) => {
    const handed = await store.approval.due(channels, limit, leaseMs)
    expect(handed).toEqual(model.approvals.due(channels, limit, leaseMs, model.time))
  },
)

export const shown = command(
  'shown',
  async (model, { store }, id: string, channel: string, behind: number, note: unknown) => {
    const version = model.approvals.get(id)?.row.version ?? 1
    await store.approval.shown(id, channel, version - behind, note)
    const told = model.approvals.told(id, channel)
    if (!told) return
    told.due = behind === 0 ? undefined : model.time
    if (note !== undefined) told.note = note
  },
)

export const later = command('later', async (model, { store }, id: string, channel: string, delayMs: number) => {
  await store.approval.later(id, channel, delayMs)
  const told = model.approvals.told(id, channel)
  if (told?.due !== undefined && told.attempt > 0) told.due = model.time + delayMs
})
