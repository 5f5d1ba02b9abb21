/** Sessions of the Redis store. */
import type { Cap, CapReached, NewMeter, NewSession, SessionRow, SessionVerbs } from '@haldir/core/store'
import { amount } from './charges.ts'
import type { Engine } from './engine.ts'
import { unexpected } from './failures.ts'
import { type Index, indexKey } from './keys.ts'
import { json, list, maybe, text, texts, whole } from './replies.ts'
import type { Tenants } from './tenants.ts'

/** How long what has ended is kept: as the scripts have it. */
const KEEP_MS = 7 * 86_400_000

/** What of a session never changes. */
type Fixed = Omit<SessionRow, 'createdAt' | 'expiresAt' | 'revokedAt' | 'suspended'>

export function redisSessions(engine: Engine, tenants: Tenants): SessionVerbs {
  const key = (index: Index, id: string) => indexKey(engine.prefix, index, id)

  /** Answers whether an id is free now, or was already claimed by a session that was never made. */
  async function claim(
    index: Index,
    id: string,
    value: string,
    ttlMs: number,
    isMade: (was: string) => Promise<boolean>,
  ) {
    const kept = String(Math.max(1, Math.floor(ttlMs)) + KEEP_MS)
    const was = maybe(await engine.plain('claim', key(index, id), [value, kept]), text)
    if (was === undefined) return true
    if (await isMade(was)) return false
    await engine.plain('write', key(index, id), [value, kept])
    return true
  }

  async function sessionIn(tenant: string, id: string): Promise<SessionRow | undefined> {
    const { rest } = await engine.ask('session', tenant, [id])
    return maybe(rest[0], sessionFrom)
  }

  async function byToken(hash: string): Promise<SessionRow | undefined> {
    const found = await tenants.look('token', hash)
    if (found === undefined) return undefined
    const [tenant, id] = texts(json(found))
    if (tenant === undefined || id === undefined) throw unexpected()
    const row = await sessionIn(tenant, id)
    if (row?.tokenHash !== hash) return undefined
    tenants.found(id, tenant)
    return row
  }

  async function create(
    { ttlMs, ...row }: NewSession,
    meters: readonly NewMeter[],
    caps: readonly Cap[] = [],
  ): Promise<SessionRow | CapReached> {
    const { id, tokenHash, tenant, agent, chain } = row
    const limits = meters.flatMap(({ key, limit }) => [key, amount(limit)])
    const counted = caps.flatMap(({ count, per, limit }) => [count, per, String(limit)])
    const body = [JSON.stringify(row), ...numbered(chain, 1), ...numbered(limits, 2), ...numbered(counted, 3)]
    const token = JSON.stringify([tenant, id])
    // First where it is found, then what is found: who finds nothing there yet is told that there is no such session.
    const [, free, unused] = await Promise.all([
      tenants.touch(tenant),
      claim('session', id, tenant, ttlMs, async (was) => (await sessionIn(was, id)) !== undefined),
      claim('token', tokenHash, token, ttlMs, async () => (await byToken(tokenHash)) !== undefined),
    ])
    const { said, rest } =
      free && unused
        ? await engine.ask('create', tenant, [id, tokenHash, agent, String(ttlMs), ...body])
        : { said: 'taken', rest: [] }
    if (said === 'ok') {
      tenants.found(id, tenant)
      for (const meter of meters) tenants.meters.set(meter.key, tenant)
      return sessionFrom(rest[0])
    }
    if (unused) await engine.plain('unclaim', key('token', tokenHash), [token])
    if (free && (await sessionIn(tenant, id)) === undefined) await engine.plain('unclaim', key('session', id), [tenant])
    if (said === 'orphan') throw new Error('an ancestor of this session is not known')
    if (said === 'taken') throw new Error('the id or the token of this session, or the key of a meter, is taken')
    const cap = said === 'cap' ? caps[whole(rest[0])] : undefined
    if (!cap) throw unexpected()
    return { refused: 'quota-exceeded', cap }
  }

  /** A verb on a session and all below it, which answers whom it changed. */
  async function tree(name: 'revoke' | 'suspend' | 'resume', id: string, ...args: readonly string[]) {
    const tenant = await tenants.ofSession(id)
    // Invariant: what is to end, ends: one that no index knows is looked for everywhere.
    const homes = tenant === undefined ? await tenants.all() : [tenant]
    const replies = await Promise.all(homes.map((home) => engine.ask(name, home, [id, ...args])))
    return replies.flatMap(({ rest }) => texts(rest[0]))
  }

  return {
    create,

    async get(by) {
      if ('tokenHash' in by) return byToken(by.tokenHash)
      const tenant = await tenants.ofSession(by.id)
      return tenant === undefined ? undefined : sessionIn(tenant, by.id)
    },

    async extend(id, ttlMs) {
      const tenant = await tenants.ofSession(id)
      if (tenant === undefined) return undefined
      // Where it is found stays as long as it may live: that is written before it lives longer.
      const most = String(Math.max(1, Math.floor(ttlMs)) + KEEP_MS)
      await engine.plain('holdOn', key('session', id), [tenant, most])
      const { now, rest } = await engine.ask('extend', tenant, [id, String(ttlMs)])
      const row = maybe(rest[0], sessionFrom)
      if (!row) return undefined
      const kept = String(Math.max(1, row.expiresAt - now) + KEEP_MS)
      await engine.plain('holdOn', key('token', row.tokenHash), [JSON.stringify([tenant, id]), kept])
      return row
    },

    revokeTree: (id) => tree('revoke', id),
    suspendTree: (id, rule) => tree('suspend', id, rule),
    resumeTree: (id) => tree('resume', id),
  }
}

/** A list after how many there are in it, each of so many arguments. */
function numbered(values: readonly string[], width: number): readonly string[] {
  return [String(values.length / width), ...values]
}

function sessionFrom(value: unknown): SessionRow {
  const [row, created, expires, revoked, by, rule] = list(value)
  const fixed = json<Fixed>(row)
  if (typeof fixed?.id !== 'string') throw unexpected()
  const revokedAt = maybe(revoked, whole)
  const suspendedBy = maybe(by, text)
  return {
    ...fixed,
    createdAt: whole(created),
    expiresAt: whole(expires),
    ...(revokedAt === undefined ? {} : { revokedAt }),
    ...(suspendedBy === undefined ? {} : { suspended: { by: suspendedBy, rule: text(rule) } }),
  }
}
