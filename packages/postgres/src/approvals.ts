/** Approvals of the PostgreSQL store, and who has to be told of them. */
import type { ApprovalRow, ApprovalState, ApprovalVerbs, Requested } from '@haldir/core/store'
import { type Answer, unavailable, type Verbs } from './verbs.ts'

export function postgresApprovals({ call }: Verbs): ApprovalVerbs {
  async function ask(verb: string, body: Record<string, unknown>): Promise<Answer> {
    try {
      return await call(verb, body)
    } catch (error) {
      throw unavailable(error)
    }
  }
  const one = ({ row }: Answer): ApprovalRow | undefined => (row ? approvalFrom(row as Answer) : undefined)

  return {
    async request({ ttlMs, data, grant, ...rest }, limits, channels): Promise<Requested> {
      const approval = {
        ...rest,
        data: JSON.stringify(data),
        ttl: Math.trunc(ttlMs),
        ...(grant && { grant: grant.binding }),
      }
      const most = { perSession: limits.session, perAgent: limits.agent }
      const { refusal, row } = await ask('request_approval', { approval, ...most, channels })
      if (refusal) return { ok: false, ...(refusal as { refused: 'no-session' }) }
      const asked = approvalFrom(row as Answer)
      // Nothing may be decided for both.
      if (asked.session !== rest.session || asked.tool !== rest.tool) {
        throw new Error('an approval with this id exists already')
      }
      return { ok: true, row: asked }
    },
    get: async (id) => one(await ask('get_approval', { id })),
    find: async (query) => one(await ask('find_approval', { ...query })),
    async list(filter) {
      const { rows } = await ask('list_approvals', { ...filter })
      return (rows as Answer[]).map(approvalFrom)
    },
    async change(id, version, { state, binding, grantMs, data }) {
      const change = {
        version,
        ...(state === undefined ? {} : { state }),
        ...(binding === undefined ? {} : { binding }),
        ...(grantMs === undefined ? {} : { grantMs: Math.trunc(grantMs) }),
        ...(data === undefined ? {} : { data: JSON.stringify(data) }),
      }
      return one(await ask('change_approval', { id, change }))
    },
    use: async (id, by) => (await ask('use_approval', { id, call: by })).used as boolean,
    async expire(limit) {
      const { rows } = await ask('expire_approvals', { limit })
      return (rows as Answer[]).map(approvalFrom)
    },
    async due(channels, limit, leaseMs) {
      const { told } = await ask('due', { channels, limit, lease: Math.trunc(leaseMs) })
      return (told as Answer[]).map(({ row, channel, attempt, note }) => ({
        row: approvalFrom(row as Answer),
        channel: channel as string,
        attempt: attempt as number,
        ...(typeof note === 'string' ? { note: JSON.parse(note) } : {}),
      }))
    },
    async shown(id, channel, version, note) {
      const text = JSON.stringify(note) as string | undefined
      await ask('shown', { id, channel, version, ...(text === undefined ? {} : { note: text }) })
    },
    async later(id, channel, delayMs) {
      await ask('later', { id, channel, delay: Math.trunc(delayMs) })
    },
    async note(id, channel) {
      const { note } = await ask('note', { id, channel })
      return typeof note === 'string' ? JSON.parse(note) : undefined
    },
  }
}

function approvalFrom(kept: Answer): ApprovalRow {
  const { grantBinding, grantUntil, ref, decidedAt, usedBy, usedAt, data } = kept
  const until = grantUntil === null ? {} : { until: grantUntil as number }
  return {
    id: kept.id as string,
    version: kept.version as number,
    state: kept.state as ApprovalState,
    tenant: kept.tenant as string,
    session: kept.session as string,
    agent: kept.agent as string,
    tool: kept.tool as string,
    ...(ref === null ? {} : { ref: ref as string }),
    binding: kept.binding as string,
    ...(grantBinding === null ? {} : { grant: { binding: grantBinding as string, ...until } }),
    createdAt: kept.createdAt as number,
    expiresAt: kept.expiresAt as number,
    ...(decidedAt === null ? {} : { decidedAt: decidedAt as number }),
    ...(usedBy === null ? {} : { usedBy: usedBy as string }),
    ...(usedAt === null ? {} : { usedAt: usedAt as number }),
    data: JSON.parse(data as string),
  }
}
