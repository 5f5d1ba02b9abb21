/** The store contract notices a store that breaks any one of these promises. */
import type { Store } from '@haldir/core'
import { memoryStore } from '@haldir/core/stores/memory'
import { describe, expect, it } from 'vitest'
import { REOPENING, STORE_CHAPTERS } from '../../packages/testing/src/store-contract.ts'
import { type Break, later, run } from './store-breaking.ts'

/** What each does wrong, and a case that fails for it. */
const BROKEN: readonly (readonly [wrong: string, broken: Break, caught: string])[] = [
  [
    'takes nothing',
    (store) => ({ admit: (request) => store.admit({ ...request, charges: [] }) }),
    'a budget of 50 admits fifty calls of 1, and refuses the next by its meter',
  ],
  [
    'looks first and takes later',
    (store) => ({
      async admit({ charges, ...request }) {
        const states = await later(store.meters.read(charges.map(({ meter }) => meter)))
        const full = charges.find(({ micros }, index) => {
          const { limit = 0n, used = 0n, held = 0n } = states[index] ?? {}
          return used + held + micros > limit
        })
        if (full) return { ok: false, refused: 'budget-exceeded', meter: full.meter.key }
        const admitted = await later(store.admit({ ...request, charges: [] }))
        if (admitted.ok) await store.settle({ call: request.call, spent: charges })
        return admitted
      },
    }),
    'of a hundred calls at once exactly fifty fit a budget of 50',
  ],
  [
    'takes from one meter after the other',
    (store) => ({
      async admit({ charges, call, ...request }) {
        let last: Awaited<ReturnType<Store['admit']>> = await store.admit({ ...request, call, charges: [] })
        for (const [index, charge] of charges.entries()) {
          last = await store.admit({ ...request, call: `${call}.${index}`, charges: [charge] })
          if (!last.ok) return last
        }
        return last
      },
    }),
    'a call takes from all its meters or from none, wherever the full one stands',
  ],
  [
    'takes a meter that is missing for an empty one',
    (store) => ({
      async admit({ charges, ...request }) {
        const states = await store.meters.read(charges.map(({ meter }) => meter))
        return store.admit({ ...request, charges: charges.filter((_, index) => states[index] !== undefined) })
      },
    }),
    'a meter that is missing is not zero: the call is refused as unavailable, and nothing is taken',
  ],
  [
    'takes the same call for another each time',
    (store) => {
      let admits = 0
      return { admit: ({ call, ...request }) => store.admit({ ...request, call: `${call}#${++admits}` }) }
    },
    'the same call again is the same hold',
  ],
  [
    'counts a settle each time it arrives',
    (store) => {
      let settles = 0
      return { settle: ({ call, ...rest }) => store.settle({ call: `${call}#${++settles}`, ...rest }) }
    },
    'a settle that arrives many times at once counts once',
  ],
  [
    'never gives back what was not spent',
    (store) => ({ settle: ({ call }) => store.settle({ call }) }),
    'settling lower gives the rest back',
  ],
  [
    'hides that more was spent than there was',
    (store) => ({ settle: async (request) => ({ ...(await store.settle(request)), overrun: false }) }),
    'settling higher is counted, reported, and blocks what comes later',
  ],
  [
    'forgets a cancel of what it does not know',
    (store) => ({
      async cancel(call) {
        const known = await store.hold.get(call)
        return known ? store.cancel(call) : { state: 'unknown', overrun: false }
      },
    }),
    'cancelling an unknown call refuses the admit that arrives late',
  ],
  [
    'gives back what ran when its lease is over',
    (store) => ({
      async expire(limit) {
        const expired = await store.expire(limit)
        for (const call of expired.orphaned) await store.settle({ call, spent: [] })
        return expired
      },
    }),
    'a running hold whose lease is over is counted as spent, never given back',
  ],
  [
    'suspends one session alone',
    (store) => ({
      session: {
        ...store.session,
        async suspendTree(id, rule) {
          const ids = await store.session.suspendTree(id, rule)
          for (const other of ids) if (other !== id) await store.session.resumeTree(other)
          return [id]
        },
      },
      async admit(request) {
        const row = await store.session.get({ id: request.session })
        const inherited = row?.suspended && row.suspended.by !== row.id
        return inherited ? { ok: true, at: row.createdAt } : store.admit(request)
      },
    }),
    'suspending reaches every descendant, names what stands still, and spares the others',
  ],
  [
    'takes a reserved call of a suspended session for one that may run',
    (store) => {
      const reserved = new Set<string>()
      return {
        async reserve(request) {
          const answer = await store.reserve(request)
          if (answer.ok) reserved.add(request.call)
          return answer
        },
        async admit(request) {
          const answer = await store.admit(request)
          const still = !answer.ok && answer.refused === 'session-suspended'
          return still && reserved.has(request.call) ? { ok: true, at: 0 } : answer
        },
      }
    },
    'what was reserved before is not admitted while its session is suspended, and is when it is resumed',
  ],
  [
    'lifts every suspension of a tree at once',
    (store) => ({
      session: {
        ...store.session,
        async resumeTree(id) {
          const ids = [...(await store.session.resumeTree(id))]
          for (const each of ['root', 'child', 'grandchild', 'sibling']) {
            const row = await store.session.get({ id: each })
            if (row?.suspended && (row.id === id || row.chain.includes(id)))
              ids.push(...(await store.session.resumeTree(row.suspended.by)))
          }
          return ids
        },
      },
    }),
    'resuming a session lifts nothing that an ancestor or a descendant is suspended for',
  ],
  [
    'does not say why a session stands still',
    (store) => ({
      async admit(request) {
        const answer = await store.admit(request)
        return !answer.ok && answer.refused === 'session-suspended' ? { ok: false, refused: answer.refused } : answer
      },
    }),
    'a suspended session admits and reserves nothing, and says by which rule',
  ],
  [
    'lets what is made from a suspended session act',
    (store) => ({
      session: {
        ...store.session,
        async create(row, meters, caps) {
          const made = await store.session.create({ ...row, chain: [] }, meters, caps)
          return 'refused' in made ? made : { ...made, chain: row.chain }
        },
      },
    }),
    'a session made from a suspended one stands still from the start, until that is resumed',
  ],
  [
    'revokes one session alone',
    (store) => {
      const gone = new Set<string>()
      return {
        session: {
          ...store.session,
          revokeTree(id) {
            gone.add(id)
            return [id]
          },
        },
        admit: (request) =>
          gone.has(request.session) ? { ok: false, refused: 'session-revoked' } : store.admit(request),
      }
    },
    'revoking reaches every descendant, names what it ended, and spares the others',
  ],
  [
    'remembers that a session lived',
    (store) => {
      const seen = new Map<string, Awaited<ReturnType<Store['admit']>>>()
      return {
        async admit(request) {
          const known = seen.get(request.session)
          if (known) return known
          const admitted = await store.admit(request)
          if (admitted.ok) seen.set(request.session, admitted)
          return admitted
        },
      }
    },
    'a session admits up to its last millisecond and nothing from then on',
  ],
  [
    'follows a wall clock that is set back',
    (_, clock) => memoryStore({ clock: { ...clock, now: () => clock.now(), monotonic: () => 0 } }),
    'a wall clock set back does not extend a session',
  ],
  [
    'does not look at `once`',
    (store) => ({ admit: ({ once: _, ...request }) => store.admit(request) }),
    'of a hundred calls at once with one `once` key exactly one is admitted',
  ],
  [
    'rounds as a number does',
    (store) => ({
      meters: {
        read: async (keys) =>
          (await store.meters.read(keys)).map(
            (state) => state && { ...state, used: BigInt(Math.fround(Number(state.used))) },
          ),
      },
    }),
    'amounts are exact up to 2^53 - 1 micro-units',
  ],
  [
    'overwrites a version of a secret',
    (store) => ({
      secret: {
        ...store.secret,
        async put(secret) {
          await store.secret.delete(secret.tenant, secret.name)
          return store.secret.put(secret)
        },
      },
    }),
    'a version that is taken is refused and stays as it was',
  ],
  [
    'lists the secrets of every tenant',
    (store) => ({ secret: { ...store.secret, list: () => store.secret.list() } }),
    'every version of a tenant is listed, and none of another tenant',
  ],
  [
    'makes more sessions than a cap allows, when they are made at once',
    (store) => ({
      session: {
        ...store.session,
        async create(row, meters, caps) {
          const made = caps?.[0] ? await later(undefined) : undefined
          return store.session.create(row, meters, made)
        },
      },
    }),
    'of many sessions made at once exactly as many are made as the cap allows',
  ],
]

describe('a store that', () => {
  it('keeps every promise passes every case', async () => {
    const kept = REOPENING.flatMap((chapter) => STORE_CHAPTERS[chapter] ?? []).map(({ title }) => title)
    expect((await run()).filter((title) => !kept.includes(title))).toEqual([])
  })

  it.each(BROKEN)('%s is noticed', async (_, broken, caught) => {
    expect(await run(broken, [caught])).toEqual([caught])
  })
})
