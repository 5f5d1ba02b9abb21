/** Sessions of the PostgreSQL store. */
import type { Cap, CapReached, SessionRow, SessionVerbs } from '@haldir/core/store'
import { stateOf } from './client.ts'
import { type Answer, unavailable, type Verbs } from './verbs.ts'

export function postgresSessions({ call }: Verbs): SessionVerbs {
  async function ask(verb: string, body: Record<string, unknown>): Promise<Answer> {
    try {
      return await call(verb, body)
    } catch (error) {
      throw unavailable(error)
    }
  }

  return {
    async create({ ttlMs, scopes, attributes, ...rest }, meters, caps = []): Promise<SessionRow | CapReached> {
      const texts = { scopes: JSON.stringify(scopes), attributes: JSON.stringify(attributes) }
      const row = { ...rest, ...texts, ttl: Math.trunc(ttlMs) }
      const limits = meters.map(({ key, limit }) => ({ key, limit: String(limit) }))
      const counted = caps.map((cap, n) => ({ ...cap, n }))
      try {
        const answer = await call('create_session', { row, meters: limits, caps: counted })
        if (typeof answer.cap === 'number') return { refused: 'quota-exceeded', cap: caps[answer.cap] as Cap }
        return sessionFrom(answer.row as Answer)
      } catch (error) {
        const state = stateOf(error)
        if (state === '23505') throw new Error('the id, the token or a meter of this session is taken')
        if (state === 'HAL04') throw new Error('an ancestor of this session is not known')
        throw unavailable(error)
      }
    },
    async get(by) {
      const { row } = await ask('get_session', { ...by })
      return row ? sessionFrom(row as Answer) : undefined
    },
    async extend(id, ttlMs) {
      const { row } = await ask('extend', { id, ttl: Math.trunc(ttlMs) })
      return row ? sessionFrom(row as Answer) : undefined
    },
    revokeTree: async (id) => (await ask('revoke_tree', { id })).ids as string[],
    suspendTree: async (id, rule) => (await ask('suspend_tree', { id, rule })).ids as string[],
    resumeTree: async (id) => (await ask('resume_tree', { id })).ids as string[],
  }
}

function sessionFrom(row: Answer): SessionRow {
  const { id, tokenHash, tenant, agent, scopes, attributes, chain, createdAt, expiresAt, revokedAt, by, rule } = row
  return {
    id: id as string,
    tokenHash: tokenHash as string,
    tenant: tenant as string,
    agent: agent as string,
    scopes: JSON.parse(scopes as string),
    attributes: JSON.parse(attributes as string),
    chain: chain as string[],
    createdAt: createdAt as number,
    expiresAt: expiresAt as number,
    ...(revokedAt === null ? {} : { revokedAt: revokedAt as number }),
    ...(by === null ? {} : { suspended: { by: by as string, rule: rule as string } }),
  }
}
