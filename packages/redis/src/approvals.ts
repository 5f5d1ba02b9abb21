/** Approvals of the Redis store: they lie with their session. */
import type { ApprovalQuery, ApprovalRow, ApprovalState, ApprovalVerbs, Delivery, Requested } from '@haldir/core/store'
import type { Engine } from './engine.ts'
import { unexpected } from './failures.ts'
import { optional } from './holds.ts'
import { indexKey } from './keys.ts'
import type { ScriptName } from './lua/scripts.ts'
import { hash, json, list, maybe, type Reply, text, whole } from './replies.ts'
import { spread } from './spread.ts'
import type { Tenants } from './tenants.ts'

/** How long the index of an approval is kept; without it every tenant's slot is asked. */
const INDEX_MS = 90 * 86_400_000
const REFUSALS: readonly string[] = [
  'no-session',
  'session-expired',
  'session-revoked',
  'session-suspended',
  'too-many',
]

export function redisApprovals(engine: Engine, tenants: Tenants): ApprovalVerbs {
  const key = (id: string) => indexKey(engine.prefix, 'approval', id)

  /** Asks where an approval is said to be, and everywhere when nobody knows it there. */
  async function ask(
    name: ScriptName,
    id: string,
    args: readonly string[],
    knows: (reply: Reply) => boolean,
  ): Promise<Reply | undefined> {
    const send = (tenant: string) => engine.ask(name, tenant, [id, ...args])
    const home = tenants.approvals.get(id) ?? (await tenants.look('approval', id))
    const reply = home === undefined ? undefined : await send(home)
    const found = reply && knows(reply) ? { tenant: home as string, reply } : await tenants.seek(send, knows)
    if (found) tenants.approvals.set(id, found.tenant)
    return found?.reply
  }

  return {
    async request(approval, limits, channels): Promise<Requested> {
      const { id, session, tenant, agent, tool, ref, binding, grant, ttlMs, data } = approval
      const written = JSON.stringify(data)
      const home = await tenants.ofSession(session)
      if (home === undefined) return { ok: false, refused: 'no-session' }
      const kept = String(Math.max(1, Math.floor(ttlMs)) + INDEX_MS)
      const about = [id, session, tenant, agent, tool, optional(ref), binding, optional(grant?.binding)]
      const rest = [String(ttlMs), written, String(limits.session), String(limits.agent), ...channels]
      // On one connection the index is there first; where it is not, everybody is asked.
      const [was, reply] = await Promise.all([
        engine.plain('claim', key(id), [home, kept]),
        engine.ask('request', home, [...about, ...rest]),
      ])
      if (reply.said === 'taken') throw new Error('an approval with this id exists already')
      if (reply.said === 'no') return refusalFrom(reply)
      if (maybe(was, text) !== undefined && was !== home) await engine.plain('write', key(id), [home, kept])
      tenants.approvals.set(id, home)
      return { ok: true, row: known(reply.rest[0]) }
    },

    async get(id) {
      const reply = await ask('approval', id, [], (reply) => approvalFrom(reply.rest[0]) !== undefined)
      return reply && approvalFrom(reply.rest[0])
    },

    async find(query) {
      const home = await tenants.ofSession(query.session)
      if (home === undefined) return undefined
      return approvalFrom((await engine.ask('find', home, [query.session, ...wanted(query)])).rest[0])
    },

    async list({ tenant, session, agent, state, limit }) {
      const args = [optional(session), optional(tenant), optional(agent), optional(state), String(limit)]
      const listed = async (home: string) => {
        const { rest } = await engine.ask('list', home, args)
        return list(rest[0]).map((row) => ({ row: known(row), number: whole(hash(row)?.get('number')) }))
      }
      if (session !== undefined || tenant !== undefined) {
        // An approval lies with its session, whose tenant it names.
        const home = session === undefined ? tenant : await tenants.ofSession(session)
        return home === undefined ? [] : (await listed(home)).map(({ row }) => row)
      }
      const found = (await Promise.all((await tenants.all()).map(listed))).flat()
      found.sort((a, b) => b.row.createdAt - a.row.createdAt || b.number - a.number)
      return found.slice(0, Math.max(0, limit)).map(({ row }) => row)
    },

    async change(id, version, { state, binding, grantMs, data }) {
      const written = data === undefined ? '' : JSON.stringify(data)
      const args = [
        String(version),
        state ?? '',
        optional(binding),
        grantMs === undefined ? '' : String(grantMs),
        written,
      ]
      const reply = await ask('change', id, args, ({ rest }) => whole(rest[1]) === 1)
      return reply && approvalFrom(reply.rest[0])
    },

    async use(id, call) {
      const reply = await ask('use', id, [call], ({ rest }) => whole(rest[1]) === 1)
      return reply !== undefined && whole(reply.rest[0]) === 1
    },

    async expire(limit) {
      const shares = await spread(engine, tenants, ['pending'], limit)
      const ended = await Promise.all(
        shares.map(async ({ tenant, count }) => {
          const { rest } = await engine.ask('end', tenant, [String(count)])
          return list(rest[0]).map(known)
        }),
      )
      const rows = ended.flat()
      return shares.length > 1 ? rows.sort((a, b) => a.expiresAt - b.expiresAt) : rows
    },

    async due(channels, limit, leaseMs) {
      const named = [...new Set(channels)]
      const sets = named.map((channel) => `due:${channel}`)
      const shares = await spread(engine, tenants, sets, limit)
      const handed = await Promise.all(
        shares.map(async ({ tenant, count }) => {
          if (count === 0) return []
          const { rest } = await engine.ask('due', tenant, [String(count), String(leaseMs), ...named])
          return list(rest[0]).map((one) => deliveryFrom(one))
        }),
      )
      const all = handed.flat()
      if (shares.length > 1) all.sort((a, b) => a.since - b.since)
      for (const { delivery } of all) {
        const home = tenants.sessions.get(delivery.row.session)
        if (home !== undefined) tenants.approvals.set(delivery.row.id, home)
      }
      return all.map(({ delivery }) => delivery)
    },

    async shown(id, channel, version, note) {
      const written = (JSON.stringify(note) as string | undefined) ?? ''
      await ask('shown', id, [channel, String(version), written], ({ rest }) => whole(rest[0]) === 1)
    },

    async later(id, channel, delayMs) {
      await ask('later', id, [channel, String(delayMs)], ({ rest }) => whole(rest[0]) === 1)
    },

    async note(id, channel) {
      const reply = await ask('note', id, [channel], ({ rest }) => whole(rest[1]) === 1)
      return maybe(reply?.rest[0], (value) => json<unknown>(value))
    },
  }
}

function wanted(query: ApprovalQuery): readonly string[] {
  if ('ref' in query) return ['ref', query.tool, query.ref]
  return 'grant' in query ? ['grant', query.grant] : ['binding', query.binding]
}

function refusalFrom({ rest }: Reply): Requested {
  const refused = text(rest[0])
  if (!REFUSALS.includes(refused)) throw unexpected()
  if (refused === 'session-suspended') return { ok: false, refused, rule: text(rest[1]) }
  if (refused === 'too-many') return { ok: false, refused, per: text(rest[1]) as 'session' | 'agent' }
  return { ok: false, refused: refused as 'no-session' }
}

function deliveryFrom(value: unknown): { readonly delivery: Delivery; readonly since: number } {
  const [row, channel, attempt, since, note] = list(value)
  const noted = maybe(note, (value) => ({ note: json<unknown>(value) }))
  const delivery = { row: known(row), channel: text(channel), attempt: whole(attempt), ...noted }
  return { delivery, since: whole(since) }
}

function known(value: unknown): ApprovalRow {
  const row = approvalFrom(value)
  if (!row) throw unexpected()
  return row
}

function approvalFrom(value: unknown): ApprovalRow | undefined {
  const fields = hash(value)
  if (!fields) return undefined
  const one = <T>(name: string, read: (value: unknown) => T) => maybe(fields.get(name), read)
  const [ref, grant, until] = [one('ref', text), one('gb', text), one('gu', whole)]
  const [decidedAt, usedBy, usedAt] = [one('decided', whole), one('usedBy', text), one('usedAt', whole)]
  return {
    id: text(fields.get('id')),
    version: whole(fields.get('version')),
    state: text(fields.get('state')) as ApprovalState,
    tenant: text(fields.get('tenant')),
    session: text(fields.get('session')),
    agent: text(fields.get('agent')),
    tool: text(fields.get('tool')),
    ...(ref === undefined ? {} : { ref }),
    binding: text(fields.get('binding')),
    ...(grant === undefined ? {} : { grant: { binding: grant, ...(until === undefined ? {} : { until }) } }),
    createdAt: whole(fields.get('created')),
    expiresAt: whole(fields.get('expires')),
    ...(decidedAt === undefined ? {} : { decidedAt }),
    ...(usedBy === undefined ? {} : { usedBy }),
    ...(usedAt === undefined ? {} : { usedAt }),
    data: json(fields.get('data')),
  }
}
