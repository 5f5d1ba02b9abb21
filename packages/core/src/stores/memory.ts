/** A store for one process: exact and immediate, gone when the process ends. */

import { type Clock, steadyTime, systemClock } from '../clock.ts'
import { checkKeys } from '../options.ts'
import { MemoryApprovals } from './memory-approvals.ts'
import { type Hold, MemoryHolds } from './memory-holds.ts'
import { MemoryMeters, type Part } from './memory-meters.ts'
import { memorySecrets } from './memory-secrets.ts'
import { MemorySessions } from './memory-sessions.ts'
import type { Admission, AdmitRequest, Charge, Expired, HoldRow, Settlement, Store, WriterRow } from './store.ts'
import { Watchers } from './watchers.ts'

export interface MemoryStoreOptions {
  readonly clock?: Clock
}

export function memoryStore(options: MemoryStoreOptions = {}): Store {
  checkKeys(options, ['clock'], 'options of `memoryStore`')
  const { clock = systemClock } = options
  const now = steadyTime(clock)
  const watchers = new Watchers()
  const meters = new MemoryMeters()
  const sessions = new MemorySessions(now, meters, watchers)
  const approvals = new MemoryApprovals(now, sessions, watchers)
  const holds = new MemoryHolds()
  const writers = new Map<string, WriterRow>()

  function take(request: AdmitRequest, state: 'running' | 'reserved'): Admission {
    const at = now()
    const life = sessions.life(request.session, at)
    if (life === 'session-suspended') return sessions.still(request.session)
    if (typeof life === 'string') return { ok: false, refused: life }
    const consent = state === 'running' ? request.consent : undefined
    const refused = consent && approvals.refusal(consent, request, at)
    if (refused) return { ok: false, refused }
    const admission = hold(request, state, at)
    // Invariant: an approval is used by one call, and only by one that is admitted.
    if (consent && admission.ok) approvals.consume(consent, request.call, at)
    return admission
  }

  function hold(request: AdmitRequest, state: 'running' | 'reserved', at: number): Admission {
    const { call, charges, once } = request
    if (holds.ended(call)) return { ok: false, refused: 'unavailable' }
    const before = holds.get(call)
    if (before) return resume(before, request, state, at)
    if (once !== undefined && holds.taken(once, at)) return { ok: false, refused: 'duplicate-call' }
    if (state === 'running' && charges.length === 0 && once === undefined) return { ok: true, at }
    const parts = meters.take(charges, at)
    if ('refused' in parts) return parts
    holds.add(request, state, parts, at)
    return { ok: true, at }
  }

  /** The same call again: a repeated verb is the same hold, and an admit lets a reserved one run. */
  function resume(hold: Hold, { session, leaseMs }: AdmitRequest, state: string, at: number): Admission {
    const live = hold.state === 'running' || (hold.state === 'reserved' && hold.lease > at)
    if (!live || hold.session !== session) return { ok: false, refused: 'unavailable' }
    if (hold.state === 'reserved' && state === 'running') {
      hold.state = 'running'
      hold.lease = at + leaseMs
    }
    return { ok: true, at }
  }

  /** Replaces what a hold counts for by what was spent. Answers whether a meter is now over its limit. */
  function count(hold: Hold | undefined, spent: readonly Charge[] | undefined, at: number): boolean {
    const touched: Part['row'][] = []
    let over = false
    for (const { row, micros } of hold?.parts ?? []) {
      if (hold?.state === 'orphaned') row.used -= micros
      else row.held -= micros
      if (!spent) row.used += micros
      touched.push(row)
    }
    for (const { meter, micros } of spent ?? []) {
      if (meter.rate) {
        // What was admitted has been counted by its rates.
        if (!hold && meters.fill(meter, meter.rate, micros, at)) over = true
        continue
      }
      const row = meters.spend(meter, micros, hold?.parts.find(({ key }) => key === meter.key)?.row, at)
      // What a missing meter can't count is beyond it.
      if (row) touched.push(row)
      else over = true
    }
    return over || touched.some((row) => row.used + row.held > row.limit)
  }

  function giveBack({ parts }: Hold): void {
    for (const { row, micros } of parts) row.held -= micros
  }

  return {
    session: {
      create: (row, newMeters, caps) => sessions.create(row, newMeters, caps),
      get: (by) => sessions.get(by),
      extend: (id, ttlMs) => sessions.extend(id, ttlMs),
      revokeTree: (id) => sessions.revokeTree(id),
      suspendTree: (id, rule) => sessions.suspendTree(id, rule),
      resumeTree: (id) => sessions.resumeTree(id),
    },

    meters: {
      read(keys) {
        const at = now()
        return keys.map((key) => meters.read(key, at))
      },
    },

    hold: {
      get(call): HoldRow | undefined {
        const hold = holds.get(call) ?? holds.ended(call)
        if (!hold) return undefined
        const { session, state, memo } = hold
        return { session, state, ...(memo === undefined ? {} : { memo }) }
      },
    },

    admit: (request) => take(request, 'running'),
    reserve: (request) => take(request, 'reserved'),

    settle({ call, spent }): Settlement {
      const hold = holds.get(call)
      if (!hold) {
        const ended = holds.ended(call)
        if (ended || !spent?.length) return { state: ended?.state ?? 'unknown', overrun: false }
      }
      // What has not begun to run has spent nothing.
      if (hold?.state === 'reserved') return { state: 'reserved', overrun: false }
      const at = now()
      const overrun = count(hold, spent, at)
      holds.end(call, 'settled', at)
      return { state: 'settled', overrun }
    },

    cancel(call): Settlement {
      const hold = holds.get(call)
      // Invariant: an orphan stays counted; only a late settle may change it.
      const over = hold?.state === 'orphaned' ? hold : holds.ended(call)
      if (over) return { state: over.state, overrun: false }
      if (hold) giveBack(hold)
      holds.end(call, 'released', now())
      return { state: hold ? 'released' : 'unknown', overrun: false }
    },

    renew(calls, leaseMs) {
      const lease = now() + leaseMs
      for (const call of calls) {
        const hold = holds.get(call)
        if (hold?.state === 'running') hold.lease = Math.max(hold.lease, lease)
      }
    },

    expire(limit): Expired {
      const at = now()
      const released: string[] = []
      const orphaned: string[] = []
      for (const [call, hold] of holds.entries()) {
        if (released.length + orphaned.length >= limit) break
        if (hold.state === 'orphaned' || hold.lease > at) continue
        giveBack(hold)
        if (hold.state === 'reserved') {
          holds.end(call, 'released', at)
          released.push(call)
          continue
        }
        // Invariant: time never gives a running hold back. It may have been spent, so it is counted as spent.
        for (const { row, micros } of hold.parts) row.used += micros
        holds.orphan(call, hold, at)
        orphaned.push(call)
      }
      return { released, orphaned }
    },

    approval: {
      request: (approval, limits, channels) => approvals.request(approval, limits, channels),
      get: (id) => approvals.get(id),
      find: (query) => approvals.find(query),
      list: (filter) => approvals.list(filter),
      change: (id, version, change) => approvals.change(id, version, change),
      use: (id, call) => approvals.use(id, call),
      expire: (limit) => approvals.expire(limit),
      due: (channels, limit, leaseMs) => approvals.due(channels, limit, leaseMs),
      shown: (id, channel, version, note) => approvals.shown(id, channel, version, note),
      later: (id, channel, delayMs) => approvals.later(id, channel, delayMs),
      note: (id, channel) => approvals.deliveries.note(id, channel),
    },
    secret: memorySecrets(now),

    writer: {
      put: (row) => void writers.set(row.id, row),
      list: () => [...writers.values()],
    },

    watch: (listener) => watchers.add(listener),
  }
}
