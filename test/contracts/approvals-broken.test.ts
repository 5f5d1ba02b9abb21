/** The store contract notices a store that breaks any one of its promises about approvals. */
import type { Store } from '@haldir/core'
import { memoryStore } from '@haldir/core/stores/memory'
import { describe, expect, it } from 'vitest'
import { STORE_CHAPTERS } from '../../packages/testing/src/store-contract.ts'
import { type Break, later, run } from './store-breaking.ts'

type Approvals = Store['approval']
type Row = NonNullable<Awaited<ReturnType<Approvals['get']>>>
type Admit = Store['admit']

/** Does one or more of the verbs otherwise. */
const verbs =
  (wrong: (approval: Approvals, now: () => number) => Partial<Approvals>): Break =>
  (store, clock) => ({ approval: { ...store.approval, ...wrong(store.approval, () => clock.now()) } })

/** Sees every approval that is made otherwise than it is. */
const rows = (wrong: (row: Row, ttlMs: number) => Row): Break =>
  verbs((approval) => ({
    async request(asked, ...rest) {
      const made = await approval.request(asked, ...rest)
      return made.ok ? { ok: true, row: wrong(made.row, asked.ttlMs) } : made
    },
  }))

/** Admits otherwise what presents an approval. */
const consents =
  (
    wrong: (
      store: Store,
      request: Parameters<Admit>[0],
      consent: NonNullable<Parameters<Admit>[0]['consent']>,
    ) => ReturnType<Admit>,
  ): Break =>
  (store) => ({
    admit: (request) => (request.consent ? wrong(store, request, request.consent) : store.admit(request)),
  })

const withoutConsent = ({ consent: _, ...request }: Parameters<Admit>[0]): Parameters<Admit>[0] => request

const all = { limit: 1e6 } as const

/** What each does wrong, and a case that fails for it. */
const BROKEN: readonly (readonly [wrong: string, broken: Break, caught: string])[] = [
  [
    'loses what it was given to keep',
    rows((row) => ({ ...row, data: {} })),
    'an approval is pending as it was asked for, and is read by its id',
  ],
  [
    'lets an approval outlive its session',
    rows((row, ttlMs) => ({ ...row, expiresAt: row.createdAt + ttlMs })),
    'an approval ends no later than its session',
  ],
  [
    'asks people for sessions that are over',
    verbs((approval) => ({
      async request(asked, ...rest) {
        const made = await approval.request(asked, ...rest)
        if (made.ok || made.refused === 'too-many') return made
        const { ttlMs, ...row } = asked
        return { ok: true, row: { ...row, version: 1, state: 'pending', createdAt: 0, expiresAt: ttlMs } }
      },
    })),
    'nothing is asked for a session that is over, or not known',
  ],
  [
    'asks again when it is asked again',
    verbs((approval) => {
      let asked = 0
      return { request: ({ id, ...rest }, ...more) => approval.request({ ...rest, id: `${id}#${asked++}` }, ...more) }
    }),
    'the same id again is the same approval, however it stands by then',
  ],
  [
    'gives an approval to whoever knows its id',
    verbs((approval) => ({
      request: async (asked, ...rest) => {
        const row = await approval.get(asked.id)
        return row ? { ok: true, row } : approval.request(asked, ...rest)
      },
    })),
    'an id that another session has is nobody else’s: asking for it throws, and changes nothing',
  ],
  [
    'counts those that are over as pending',
    verbs((approval) => ({
      async request(asked, limits, channels) {
        const { length } = await approval.list({ session: asked.session, state: 'pending', ...all })
        return length >= limits.session
          ? { ok: false, refused: 'too-many', per: 'session' }
          : approval.request(asked, limits, channels)
      },
    })),
    'as many may be pending as the limit of the session says; those that are decided or over do not count',
  ],
  [
    'counts the sessions of an agent apart',
    verbs((approval) => ({
      async request(asked, limits, channels) {
        const { length } = await approval.list({ session: asked.session, agent: asked.agent, state: 'pending', ...all })
        return length >= limits.agent
          ? { ok: false, refused: 'too-many', per: 'agent' }
          : approval.request(asked, { ...limits, agent: 1e6 }, channels)
      },
    })),
    'as many may be pending as the limit of the agent says, in all its sessions of one tenant',
  ],
  [
    'counts first and asks later',
    verbs((approval) => ({
      async request(asked, limits, channels) {
        const pending = await later(approval.list({ session: asked.session, state: 'pending', ...all }))
        if (pending.length >= limits.session) return { ok: false, refused: 'too-many', per: 'session' }
        return later(approval.request(asked, { session: 1e6, agent: 1e6 }, channels))
      },
    })),
    'of a hundred asked for at once exactly as many are made as the limit says',
  ],
  [
    'tells everyone that he was heard',
    verbs((approval) => ({
      change: async (...change) => (await approval.change(...change)) ?? (await approval.get(change[0])),
    })),
    'of many who decide at once one is heard, and what he said stays',
  ],
  [
    'does not look at the version',
    verbs((approval) => ({
      change: (id, _, change) => approval.change(id, (approval.get(id) as Row | undefined)?.version ?? 0, change),
    })),
    'a vote leaves it pending, and of votes given at once none is lost',
  ],
  [
    'clears what a change does not name',
    verbs((approval) => ({ change: (id, version, change) => approval.change(id, version, { data: {}, ...change }) })),
    'a change changes what it names, and nothing else',
  ],
  [
    'gives a grant to whoever wants one',
    verbs((approval, now) => ({
      async change(id, version, { grantMs, ...change }) {
        const row = await approval.change(id, version, change)
        return row && grantMs !== undefined ? { ...row, grant: { binding: 'any', until: now() + grantMs } } : row
      },
    })),
    'no grant is given that was not asked for',
  ],
  [
    'lets people decide a millisecond too long',
    verbs((approval) => ({
      request: ({ ttlMs, ...rest }, ...more) => approval.request({ ...rest, ttlMs: ttlMs + 1 }, ...more),
    })),
    'nobody decides from its end on, to the millisecond: then it can only be ended, and not before as expired',
  ],
  [
    'follows a wall clock that is set back',
    (_, clock) => memoryStore({ clock: { ...clock, now: () => clock.now(), monotonic: () => 0 } }),
    'a wall clock set back does not lengthen an approval',
  ],
  [
    'keeps the object that it was given',
    verbs((approval) => {
      const given = new Map<string, Row['data']>()
      const keep = (id: string, data: Row['data'] | undefined) => data && given.set(id, data)
      const same = <T extends Row | undefined>(row: T) => row && { ...row, data: given.get(row.id) ?? row.data }
      return {
        async change(id, version, change) {
          keep(id, change.data)
          return same(await approval.change(id, version, change))
        },
        get: async (id) => same(await approval.get(id)),
      }
    }),
    'what was answered stays as it was, and nobody changes what is kept through it',
  ],
  [
    'changes the state before it looks at the data',
    verbs((approval) => ({
      async change(id, version, { data, ...change }) {
        const row = await approval.change(id, version, change)
        return row && data ? { ...row, data: JSON.parse(JSON.stringify(data)) } : row
      },
    })),
    'a change that can not be written, since it is no JSON, throws and is no change at all',
  ],
  [
    'lets an approval be used again and again',
    verbs((approval) => ({
      use: async (id, call) => (await approval.use(id, call)) || !!(await approval.get(id))?.usedBy,
    })),
    'a decided approval is used by one call, once; a pending one by none',
  ],
  [
    'does not find what was withdrawn',
    verbs((approval) => ({
      async find(query) {
        const row = await approval.find(query)
        return row?.state === 'withdrawn' ? undefined : row
      },
    })),
    'the newest with a `ref` is found, whatever has become of it',
  ],
  [
    'finds what was used',
    verbs((approval) => ({
      async find(query) {
        const found = await approval.find(query)
        if (found || !('binding' in query)) return found
        return (await approval.list({ session: query.session, ...all })).find(
          ({ binding, usedBy }) => usedBy && binding === query.binding,
        )
      },
    })),
    'by what the yes is for, the newest is found that has no `ref`, is not used and not over',
  ],
  [
    'takes a denial back when its time is over',
    verbs((approval, now) => ({
      async find(query) {
        const row = await approval.find(query)
        return row?.state === 'denied' && now() >= row.expiresAt ? undefined : row
      },
    })),
    'a denial is found by what it was for until it is used, also after its end',
  ],
  [
    'goes by what an approval was for at first',
    verbs((approval) => {
      const first = new Map<string, string>()
      return {
        request(asked, ...rest) {
          first.set(asked.id, asked.binding)
          return approval.request(asked, ...rest)
        },
        find: async (query) =>
          'binding' in query
            ? (await approval.list(all)).find(({ id }) => first.get(id) === query.binding)
            : approval.find(query),
      }
    }),
    'what the yes is for can be changed: it is found by what it is for now, and is no newer for it',
  ],
  [
    'finds a grant for ever',
    verbs((approval) => ({
      find: async (query) =>
        'grant' in query
          ? (await approval.list({ session: query.session, state: 'approved', ...all })).find(
              ({ grant }) => grant?.until && grant.binding === query.grant,
            )
          : approval.find(query),
    })),
    'a grant is found from when it is given until its end, to the millisecond, used or not',
  ],
  [
    'lists the approvals of every tenant',
    verbs((approval) => ({ list: ({ tenant: _, ...filter }) => approval.list(filter) })),
    'approvals are listed the newest first, no more than asked for, and only those that are meant',
  ],
  [
    'ends all that are over at once',
    verbs((approval) => ({ expire: () => approval.expire(1e6) })),
    'a thousand that are over are ended, the longest over first, no more at once than asked for',
  ],
  [
    'never forgets what an approval was',
    verbs((approval) => {
      const seen = new Map<string, Row>()
      return {
        async request(...asked) {
          const made = await approval.request(...asked)
          if (made.ok) seen.set(made.row.id, made.row)
          return made
        },
        get: async (id) => (await approval.get(id)) ?? seen.get(id),
      }
    }),
    'an approval is remembered for 30 days after it ended, and then forgotten with what channels noted',
  ],
  [
    'hands out the same to everyone who asks',
    verbs((approval) => ({ due: (channels, limit) => approval.due(channels, limit, 0) })),
    'each channel of an approval has to be told at once, and by one who has taken that on alone',
  ],
  [
    'hands out what other channels have to be told',
    verbs((approval) => ({ due: (_, limit, leaseMs) => approval.due(['slack', 'web'], limit, leaseMs) })),
    'what has to be told is handed out for the channels that are named alone',
  ],
  [
    'hands out what has just become due',
    verbs((approval) => ({
      due: async (channels, limit, leaseMs) =>
        [...(await approval.due(channels, 1e6, leaseMs))].reverse().slice(0, limit),
    })),
    'what has been due the longest is handed out first, no more than asked for',
  ],
  [
    'tells a channel of no change once it shows the approval',
    verbs((approval) => {
      const done = new Set<string>()
      return {
        due: async (...asked) =>
          (await approval.due(...asked)).filter(({ row, channel }) => !done.has(`${row.id} ${channel}`)),
        shown(id, channel, ...rest) {
          done.add(`${id} ${channel}`)
          return approval.shown(id, channel, ...rest)
        },
      }
    }),
    'a channel that shows it is told again when it has changed, and counted anew',
  ],
  [
    'takes whatever a channel shows for the newest',
    verbs((approval) => ({
      shown: async (id, channel, _, note) => approval.shown(id, channel, (await approval.get(id))?.version ?? 0, note),
    })),
    'a channel that shows it as it was before has to be told again at once',
  ],
  [
    'does not tell of those that expire',
    verbs((approval) => ({
      async expire(limit) {
        const ended = await approval.expire(limit)
        for (const { id, version } of ended) await approval.shown(id, 'slack', version)
        return ended
      },
    })),
    'every way an approval can end is told: decided, withdrawn, expired',
  ],
  [
    'forgets a note when there is no other',
    verbs((approval) => ({
      shown: (id, channel, version, note) => approval.shown(id, channel, version, note ?? null),
    })),
    'a channel’s note is kept until there is another, apart from what other channels noted',
  ],
  [
    'puts off what has changed since',
    verbs((approval) => ({
      async later(id, channel, delayMs) {
        await approval.due([channel], 1e6, 0)
        await approval.later(id, channel, delayMs)
      },
    })),
    'telling it can be put off, to the millisecond; what has changed since is not put off with it',
  ],
  [
    'keeps the notes of channels that it does not know',
    verbs((approval) => {
      const notes = new Map<string, unknown>()
      return {
        shown(id, channel, version, note) {
          notes.set(`${id} ${channel}`, note)
          return approval.shown(id, channel, version, note)
        },
        note: (id, channel) => notes.get(`${id} ${channel}`),
      }
    }),
    'what is said of an approval or a channel that is not known changes nothing',
  ],
  [
    'uses no approval up',
    consents(async (store, request, consent) => {
      const row = await store.approval.get(consent.id)
      if (row?.state !== 'approved') return store.admit(request)
      return store.admit(withoutConsent(request))
    }),
    'an approval lets one call run, and no other after it',
  ],
  [
    'looks first and uses later',
    consents(async (store, request, consent) => {
      const row = await later(store.approval.get(consent.id))
      if (row?.usedBy) return { ok: false, refused: 'approval-used' }
      const admitted = await later(store.admit(withoutConsent(request)))
      if (admitted.ok) await store.approval.use(consent.id, request.call)
      return admitted
    }),
    'of a hundred calls at once that present one approval exactly one is admitted',
  ],
  [
    'does not look at what an approval is for',
    consents(async (store, request, consent) => {
      const { binding = '' } = (await store.approval.get(consent.id)) ?? {}
      return store.admit({ ...request, consent: { ...consent, binding } })
    }),
    'an approval lets a call run only when it was approved, for this session and exactly this',
  ],
  [
    'lets an approval be used a millisecond too long',
    verbs((approval) => ({
      request: ({ ttlMs, ...rest }, ...more) => approval.request({ ...rest, ttlMs: ttlMs + 1 }, ...more),
    })),
    'an approval lets a call run up to its last millisecond, swept or not',
  ],
  [
    'uses an approval before it knows whether the call is admitted',
    consents(async (store, request, consent) => {
      const admitted = await store.admit(request)
      if (!admitted.ok) await store.approval.use(consent.id, request.call)
      return admitted
    }),
    'an admit that is refused for anything else does not use the approval',
  ],
  [
    'takes from the meters before it looks at the approval',
    consents(async (store, request) => {
      const taken = await store.admit(withoutConsent(request))
      return taken.ok ? store.admit(request) : taken
    }),
    'a call that its approval refuses takes nothing, and lets nothing run',
  ],
  [
    'uses no approval for a call that charges nothing',
    consents((store, request) => store.admit(request.charges.length === 0 ? withoutConsent(request) : request)),
    'a call that charges nothing uses its approval all the same, and is the same call again',
  ],
  [
    'does not know a call again that has used its approval',
    consents(async (store, request, consent) => {
      const row = await store.approval.get(consent.id)
      return row?.usedBy ? { ok: false, refused: 'approval-used' } : store.admit(request)
    }),
    'the same call with the same approval again is the same admission, also after the approval’s end',
  ],
  [
    'uses an approval for a hold that is only reserved',
    (store) => ({
      async reserve({ consent, ...request }) {
        const reserved = await store.reserve(request)
        if (reserved.ok && consent) await store.approval.use(consent.id, request.call)
        return reserved
      },
    }),
    'a reserved hold needs no approval; the admit that lets it run uses one',
  ],
  [
    'uses an approval for a hold that can not run any more',
    consents(async (store, request, consent) => {
      const admitted = await store.admit(request)
      const hold = await store.hold.get(request.call)
      if (!admitted.ok && hold?.state === 'reserved') await store.approval.use(consent.id, request.call)
      return admitted
    }),
    'a reserved hold whose lease is over does not use the approval it would have run with',
  ],
  [
    'looks at the approval before the session',
    consents(async (store, request, consent) => {
      const row = await store.approval.get(consent.id)
      return row?.state === 'pending' ? { ok: false, refused: 'approval-pending' } : store.admit(request)
    }),
    'a session that is over is the reason, whatever was approved in it; its approvals stay as they are',
  ],
  [
    'uses a grant up',
    consents(async (store, request, consent) => {
      const row = await store.approval.get(consent.id)
      if (consent.grant && row?.usedBy) return { ok: false, refused: 'approval-used' }
      const admitted = await store.admit(request)
      if (admitted.ok) await store.approval.use(consent.id, request.call)
      return admitted
    }),
    'a grant lets calls run until its end, to the millisecond, and is not used up',
  ],
  [
    'does not look at what a grant is for',
    consents(async (store, request, consent) => {
      const { grant } = (await store.approval.get(consent.id)) ?? {}
      return store.admit(
        consent.grant && grant ? { ...request, consent: { ...consent, binding: grant.binding } } : request,
      )
    }),
    'a grant lets nothing run that it is not for, and none that was not given',
  ],
  [
    'gives the approval of a call back when it is cancelled',
    (store) => {
      const back = new Set<string>()
      return {
        async cancel(call) {
          const used = (await store.approval.list(all)).find(({ usedBy }) => usedBy === call)
          if (used) back.add(used.id)
          return store.cancel(call)
        },
        admit: (request) => store.admit(back.has(request.consent?.id ?? '') ? withoutConsent(request) : request),
      }
    },
    'an approval that was used without a call, or by one that was cancelled, lets no other run',
  ],
]

describe('a store that', () => {
  it.each(BROKEN)('%s is noticed', async (_, broken, caught) => {
    expect(await run(broken, [caught])).toEqual([caught])
  })

  it('breaks any case about approvals is among these', () => {
    const chapters = Object.entries(STORE_CHAPTERS).filter(([name]) => name.includes('approval'))
    const titles = chapters.flatMap(([, cases]) => cases.map(({ title }) => title))
    expect(titles.length).toBeGreaterThan(40)
    expect(titles.filter((title) => !BROKEN.some(([, , caught]) => caught === title))).toEqual([])
  })
})
