/** What another process does to a session or an approval is felt here while calls run, not only by the next call. */
import { createHaldir, currentCall, Denied, governed, type Hint, type Session, type Store } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { fleet, type House, reader, STORES, told, turns } from './scene.ts'

const MINUTE = 60_000

/** A call that runs until its signal aborts, or it is let go. */
function longCall(session: Session) {
  let signal: AbortSignal | undefined
  let release = (_: string) => {}
  const run = async () =>
    new Promise<string>((resolve, reject) => {
      signal = currentCall().signal
      release = resolve
      signal.addEventListener('abort', () => reject(signal?.reason), { once: true })
    })
  const tool = governed(run, { name: 'long', scope: [] }, { session })
  const ended = told(tool())
  return { ended, signal: () => signal, release: (answer = 'ran') => release(answer) }
}

/** A store that tells what a test says, and whose reads can be watched. */
function telling(store: Store) {
  const listeners = new Set<(hint: Hint) => void>()
  const reads: string[] = []
  const change = {
    session: {
      ...store.session,
      get(by: Parameters<Store['session']['get']>[0]) {
        if ('id' in by) reads.push(by.id)
        return store.session.get(by)
      },
    },
    watch(listener: (hint: Hint) => void) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
  const tell = (hint: unknown) => {
    for (const listener of listeners) listener(hint as Hint)
  }
  return { change, tell, reads, listeners }
}

/** A session that lives in one haldir and is known to another one. */
async function shared(kind: (typeof STORES)[number] = 'memory') {
  const clock = fakeClock()
  const { house } = fleet(kind, clock, { watching: true })
  const [here, there] = [house(), house()]
  const session = await here.haldir.createSession({ agent: 'a', scopes: [], ttl: '10m' })
  const elsewhere = await there.haldir.attach(session.token)
  return { clock, here, there, session, elsewhere, house }
}

describe.each(STORES)('in another process (%s)', (kind) => {
  it('a revoke aborts the calls that run here, and the signal of the session', async () => {
    proves('instant-revoke', 'invariant-5')
    const { clock, session, elsewhere } = await shared(kind)
    const call = longCall(session)
    const { signal } = session
    await turns()
    await elsewhere.revoke('enough')
    await clock.advance(25)
    expect(await call.ended).toBe('session-revoked')
    expect(signal.aborted).toBe(true)
    expect(Denied.isInstance(signal.reason) && signal.reason.code).toBe('session-revoked')
    expect(await told(reader(session)())).toBe('session-revoked')
  })

  it('a revoke reaches what was delegated from the session, also while that is being opened', async () => {
    const { clock, session, elsewhere, there } = await shared(kind)
    const child = await session.delegate({ agent: 'b', scopes: [] })
    const call = longCall(child)
    const late = session.delegate({ agent: 'c', scopes: [] })
    await elsewhere.revoke()
    await clock.advance(25)
    expect(await call.ended).toBe('session-revoked')
    const opened = await late.catch((error) => error)
    if (!Denied.isInstance(opened)) {
      await clock.advance(25)
      expect((opened as Session).signal.aborted).toBe(true)
    }
    expect(there.haldir.health().ok).toBe(true)
  })

  it('an extension is known here, and the call runs on', async () => {
    const { clock, session, elsewhere } = await shared(kind)
    const call = longCall(session)
    await clock.advance(5 * MINUTE)
    await elsewhere.extend('10m')
    await clock.advance(25)
    expect(session.expiresAt).toEqual(elsewhere.expiresAt)
    await clock.advance(6 * MINUTE)
    expect(call.signal()?.aborted).toBe(false)
    await clock.advance(4 * MINUTE)
    expect(await call.ended).toBe('session-expired')
  })

  it('a decision wakes who waits for it before he would look', async () => {
    const clock = fakeClock()
    const { house } = fleet(kind, clock, { watching: true })
    const options = { policy: { default: 'ask', rules: [] }, approvals: {} } as const
    const [here, there] = [house(options), house(options)]
    const session = await here.haldir.createSession({ agent: 'a', scopes: [] })
    const waiting = told(reader(session)())
    await clock.advance(600)
    const [asked] = await there.haldir.approvals.list({ state: 'pending' })
    await clock.advance(100)
    await there.haldir.approvals.decide(asked?.id as string, { approve: true, by: 'ann' })
    // He has looked when 500 ms were over, and would again when 1,000 ms are.
    await clock.advance(50)
    expect(await Promise.race([waiting, turns(200)])).toBe('ran')
    expect(here.entries('approval-used')).toHaveLength(1)
  })

  it('a suspension ends nothing here', async () => {
    const { clock, here, session } = await shared(kind)
    const call = longCall(session)
    await turns()
    await here.store.session.suspendTree(session.id, 'r')
    await clock.advance(50)
    expect([session.signal.aborted, call.signal()?.aborted]).toEqual([false, false])
    call.release()
    expect(await call.ended).toBe('ran')
  })
})

it('a decision that is told while its waiter reads the store is not missed', async () => {
  const clock = fakeClock()
  const store = memoryStore({ clock })
  const { change, tell } = telling(store)
  let slow: (() => void) | undefined
  const approval = {
    ...store.approval,
    async get(id: string) {
      const row = await store.approval.get(id)
      if (row?.state === 'pending' && slow) {
        slow()
        slow = undefined
        await turns(20)
      }
      return row
    },
  }
  const { house } = fleet('memory', clock)
  const here = house({ policy: { default: 'ask', rules: [] }, approvals: {}, store: { ...store, ...change, approval } })
  const session = await here.haldir.createSession({ agent: 'a', scopes: [] })
  const waiting = told(reader(session)())
  await turns(20)
  const [row] = await store.approval.list({ limit: 9 })
  const reading = new Promise<void>((resolve) => {
    slow = resolve
  })
  await clock.advance(500)
  await reading
  // It has read that nobody has decided yet, and does not know that it has.
  await store.approval.change(row?.id as string, row?.version as number, { state: 'denied' })
  tell({ about: 'approvals', ids: [row?.id] })
  expect(await Promise.race([waiting, turns(300)])).toBe('approval-denied')
})

it('fifty sessions that live here cost nothing while another process is busy', async () => {
  const clock = fakeClock()
  const { house } = fleet('sqlite', clock, { watching: true })
  let reads!: readonly string[]
  const [here, there] = [
    house({}, (store) => {
      const counting = telling(store)
      reads = counting.reads
      return { session: counting.change.session }
    }),
    house(),
  ]
  const sessions: Session[] = []
  for (let n = 0; n < 50; n++) sessions.push(await here.haldir.createSession({ agent: `a${n}`, scopes: [] }))
  const busy = await there.haldir.createSession({ agent: 'busy', scopes: [] })
  for (let n = 0; n < 40; n++) {
    await there.store.admit({ call: `c${n}`, session: busy.id, charges: [], leaseMs: 1, once: `k${n}` })
    await clock.advance(25)
  }
  await there.store.session.extend(busy.id, 99 * MINUTE)
  await there.store.session.suspendTree(sessions[7]?.id as string, 'r')
  await clock.advance(25)
  expect(reads).toEqual([sessions[7]?.id])
})

describe('where a store tells nothing, or not everything,', () => {
  it('the sessions of running calls are looked at every few seconds, each once', async () => {
    const clock = fakeClock()
    const { house } = fleet('memory', clock)
    let all!: readonly string[]
    const here = house({}, (store) => {
      const { change, reads } = telling(store)
      all = reads
      return { ...change, watch: () => () => {} }
    })
    const there = house()
    const session = await here.haldir.createSession({ agent: 'a', scopes: [] })
    const idle = await here.haldir.createSession({ agent: 'b', scopes: [] })
    const calls = [longCall(session), longCall(session), longCall(session)]
    await clock.advance(10_000)
    expect(all).toEqual([session.id, session.id])
    await (await there.haldir.attach(session.token)).revoke()
    await clock.advance(5_000)
    for (const call of calls) expect(await call.ended).toBe('session-revoked')
    await clock.advance(60_000)
    expect(all).toEqual([session.id, session.id, session.id])
    expect(idle.signal.aborted).toBe(false)
  })

  it('nothing is looked at while no call runs, and no timer is left', async () => {
    const clock = fakeClock()
    const { house } = fleet('memory', clock)
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'a', scopes: [] })
    for (let n = 0; n < 100; n++) await reader(session, {}, `r${n}`)()
    expect(clock.timers).toBe(1)
    await clock.advance(5_000)
    expect(clock.timers).toBe(0)
    await reader(session, {}, 'again')()
    await haldir.close()
    expect(clock.timers).toBe(0)
  })
})

describe('a store whose hints are not to be trusted', () => {
  /** A haldir on it, with a session whose call runs. */
  async function housed(change: (store: Store) => Partial<Store> = () => ({})) {
    const clock = fakeClock()
    const { house } = fleet('memory', clock)
    let tool!: ReturnType<typeof telling>
    const here = house({ deadline: '1s' }, (store) => {
      tool = telling(store)
      return { ...tool.change, ...change({ ...store, ...tool.change }) }
    })
    const session = await here.haldir.createSession({ agent: 'a', scopes: [] })
    const call = longCall(session)
    await turns()
    return { clock, here, session, call, ...tool }
  }
  const faultsOf = ({ haldir }: House) => haldir.health().faults.map(({ part }) => part)

  it('ends nothing by a hint alone: what stands in the store decides', async () => {
    const { here, session, call, tell, reads } = await housed()
    tell({ about: 'sessions', ids: [session.id, session.id, 'nobody', 7, null, {}] })
    tell({ about: 'everything' })
    await turns(20)
    expect([session.signal.aborted, reads.length >= 1 && reads.length <= 2]).toEqual([false, true])
    expect(faultsOf(here)).toEqual([])
    call.release()
    expect(await call.ended).toBe('ran')
  })

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a word', 'everything'],
    ['ids that are none', { about: 'sessions', ids: 'all' }],
    ['no ids', { about: 'approvals' }],
    ['what throws when it is looked at', Object.defineProperty({}, 'about', { get: () => expect.fail('boom') })],
  ])('goes on when it tells %s', async (_, hint) => {
    const { here, session, call, tell, clock } = await housed()
    tell(hint)
    await clock.advance(25)
    expect(session.signal.aborted).toBe(false)
    expect(faultsOf(here)).toEqual(['store.watch'])
    tell({ about: 'everything' })
    call.release()
    expect(await call.ended).toBe('ran')
  })

  it.each([
    ['throws', () => expect.fail('boom')],
    ['answers nothing', () => undefined],
    ['answers a promise that rejects', () => Promise.reject(new Error('boom'))],
  ])('has no say, when `watch` %s, in whether sessions are opened and calls run', async (_, watch) => {
    const { here, session, call, clock } = await housed(() => ({ watch: watch as unknown as () => () => void }))
    expect(faultsOf(here)).toEqual(['store.watch'])
    await here.store.session.revokeTree(session.id)
    await clock.advance(5_000)
    expect(await call.ended).toBe('session-revoked')
  })

  it('is asked again, less and less often, when a row can not be read, and believed when it can', async () => {
    let failing: 'throws' | 'hangs' | 'nonsense' | undefined
    let tries = 0
    const { clock, here, session, call, tell } = await housed((store) => ({
      session: {
        ...store.session,
        get(by) {
          if (failing) tries++
          if (failing === 'throws') throw new Error('boom')
          if (failing === 'hangs') return new Promise(() => {})
          const row = store.session.get(by) as Awaited<ReturnType<Store['session']['get']>>
          return failing === 'nonsense' && row ? { ...row, id: 'another', revokedAt: 1 } : row
        },
      },
    }))
    await here.store.session.extend(session.id, 99 * MINUTE)
    for (const how of ['throws', 'nonsense', 'hangs'] as const) {
      failing = how
      tries = 0
      tell({ about: 'sessions', ids: [session.id] })
      await clock.advance(60_000)
      expect([how, tries > 5, tries < 40]).toEqual([how, true, true])
      expect(session.signal.aborted).toBe(false)
    }
    expect(faultsOf(here)).toEqual(['store.session.get'])
    await here.store.session.revokeTree(session.id)
    failing = undefined
    await clock.advance(61_000)
    expect(await call.ended).toBe('session-revoked')
  })

  it('is asked again also while no call runs, after one second, two, four', async () => {
    let failing = false
    const tries: number[] = []
    const { clock, session, call, tell, here } = await housed((store) => ({
      session: {
        ...store.session,
        get(by) {
          if (failing) tries.push(clock.monotonic())
          if (failing) throw new Error('boom')
          return store.session.get(by)
        },
      },
    }))
    call.release()
    await call.ended
    await clock.advance(5_000)
    failing = true
    await here.store.session.revokeTree(session.id)
    tell({ about: 'sessions', ids: [session.id] })
    await clock.advance(10_000)
    expect(tries.map((at) => at - (tries[0] as number))).toEqual([0, 1_000, 3_000, 7_000])
    expect(session.signal.aborted).toBe(false)
    failing = false
    await clock.advance(5_000)
    expect(session.signal.aborted).toBe(true)
  })

  it('is asked about all sessions at most once a second, however often it says that anything may have changed', async () => {
    const { here, clock, tell, reads, session } = await housed()
    const others: Session[] = []
    for (let n = 0; n < 50; n++) others.push(await here.haldir.createSession({ agent: `a${n}`, scopes: [] }))
    reads.length = 0
    for (let n = 0; n < 1_000; n++) tell({ about: 'everything' })
    await turns(200)
    expect(reads).toHaveLength(51)
    for (let n = 0; n < 40; n++) {
      tell({ about: 'everything' })
      await clock.advance(25)
    }
    await turns(200)
    // The 41st session is still read once, and then once more a second later; the one call adds nothing.
    expect(reads).toHaveLength(102)
    expect(reads.filter((id) => id === session.id)).toHaveLength(2)
    expect(others.every(({ signal }) => !signal.aborted)).toBe(true)
  })

  it('is read by few at once', async () => {
    let reading = 0
    let most = 0
    const { here, tell } = await housed((store) => ({
      session: {
        ...store.session,
        async get(by) {
          most = Math.max(most, ++reading)
          await turns(2)
          reading--
          return store.session.get(by)
        },
      },
    }))
    const others: Session[] = []
    for (let n = 0; n < 50; n++) others.push(await here.haldir.createSession({ agent: `a${n}`, scopes: [] }))
    tell({ about: 'everything' })
    await turns(100)
    expect(most).toBe(8)
    expect(others).toHaveLength(50)
  })
})

it('in shadow mode a revoke elsewhere ends no call that runs', async () => {
  const clock = fakeClock()
  const { house } = fleet('memory', clock)
  const [here, there] = [house({ mode: 'shadow' }), house({ mode: 'shadow' })]
  const session = await here.haldir.createSession({ agent: 'a', scopes: [] })
  const call = longCall(session)
  await turns()
  await (await there.haldir.attach(session.token)).revoke()
  await clock.advance(60_000)
  expect(call.signal()?.aborted).toBe(false)
  // The session's own signal aborts, as it does for a revoke in this process.
  expect(session.signal.aborted).toBe(true)
  call.release()
  expect(await call.ended).toBe('ran')
})

describe('watching', () => {
  it('begins with the first session and ends when the haldir is closed', async () => {
    const { house } = fleet('memory', fakeClock())
    let tool!: ReturnType<typeof telling>
    const { haldir } = house({}, (store) => {
      tool = telling(store)
      return tool.change
    })
    expect(tool.listeners.size).toBe(0)
    const session = await haldir.createSession({ agent: 'a', scopes: [] })
    await haldir.attach(session.token)
    expect(tool.listeners.size).toBe(1)
    const close = haldir.close()
    await close
    expect(tool.listeners.size).toBe(0)
    tool.reads.length = 0
    tool.tell({ about: 'everything' })
    await turns()
    expect(tool.reads).toEqual([])
  })

  it('keeps no session, and no haldir that nobody uses any more', async () => {
    const store = memoryStore()
    const { change, listeners, tell, reads } = telling(store)
    const gone: WeakRef<object>[] = []
    await (async () => {
      const haldir = createHaldir({ store: { ...store, ...change }, sinks: [memorySink()] })
      for (let n = 0; n < 2_000; n++) {
        const session = await haldir.createSession({ agent: 'a', scopes: [] })
        await reader(session, {}, 'read')()
        if (n % 100 === 0) gone.push(new WeakRef(session))
      }
      await collected(() => gone.every((ref) => !ref.deref()))
      reads.length = 0
      tell({ about: 'everything' })
      await turns(20)
      // Those that are gone are not asked for.
      expect(reads.length).toBeLessThan(200)
      gone.push(new WeakRef(haldir))
    })()
    await collected(() => gone.every((ref) => !ref.deref()) && listeners.size === 0)
    expect(gone.flatMap((ref, at) => (ref.deref() ? [at] : []))).toEqual([])
    expect(listeners.size).toBe(0)
  })
})

/** Collects garbage until something is so, or a while has passed. */
async function collected(so: () => boolean): Promise<void> {
  for (let round = 0; round < 100 && !so(); round++) {
    // What was looked at through a weak reference stays until the turn is over.
    await turns(5)
    gc?.()
  }
}
