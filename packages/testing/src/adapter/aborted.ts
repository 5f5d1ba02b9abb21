/** Whoever ends a call reaches the running tool, and nothing long-lived keeps hold of calls that are over. */
import { getEventListeners } from 'node:events'
import { currentCall, Denied } from '@haldir/core'
import { expect } from 'vitest'
import { bodyOf, type Cases, gate, house } from './house.ts'

/** A body that runs until both of its signals have aborted, and answers why. */
function waiting(started: () => void) {
  return {
    name: 'waits',
    description: 'waits for the end',
    async run(_: unknown, frameworkSignal: () => AbortSignal | undefined) {
      const signals = [currentCall().signal, frameworkSignal()]
      started()
      const reasons = signals.map(async (signal) => {
        if (signal && !signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
        return signal?.reason
      })
      return { reasons: await Promise.all(reasons) }
    },
  }
}

export const aborted: Cases = {
  "the caller's signal reaches the running tool": async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const started = gate()
    const tool = driver.wrap(driver.build(waiting(started.open)), { name: 'waits', scope: 'read' }, { session })
    const caller = new AbortController()
    const running = driver.call(tool, {}, { signal: caller.signal })
    await started.opened
    const why = new Error('enough')
    caller.abort(why)
    expect((await running).value).toEqual({ reasons: [why, why] })
  },

  'revoking the session reaches the running tool': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const started = gate()
    const tool = driver.wrap(driver.build(waiting(started.open)), { name: 'waits', scope: 'read' }, { session })
    const running = driver.call(tool, {})
    await started.opened
    await session.revoke('stop')
    const { reasons } = (await running).value as { reasons: unknown[] }
    for (const reason of reasons) expect(Denied.isInstance(reason) && reason.code).toBe('session-revoked')
    expect(reasons).toHaveLength(2)
  },

  'a call whose caller gave up before it ran does not run': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const body = bodyOf('late', 1)
    const tool = driver.wrap(driver.build(body), { name: 'late', scope: 'read' }, { session })
    await driver.call(tool, {}, { signal: AbortSignal.abort(new Error('gone')) })
    expect(body.got).toEqual([])
    const [, outcome] = await home.entries({ tool: 'late' })
    expect(outcome?.data).toMatchObject({ ended: 'not-run' })
  },

  'listeners do not pile up on a signal that outlives its calls': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const caller = new AbortController()
    const long = [caller.signal, session.signal]
    let most = 0
    const body = bodyOf('looks', () => {
      for (const signal of [currentCall().signal, ...long])
        most = Math.max(most, getEventListeners(signal, 'abort').length)
    })
    const tool = driver.wrap(driver.build(body), { name: 'looks', scope: 'read' }, { session })
    for (let call = 0; call < 1_000; call++) await driver.call(tool, {}, { signal: caller.signal })
    expect(body.got).toHaveLength(1_000)
    expect(most).toBeLessThanOrEqual(1)
    for (const signal of long) expect(getEventListeners(signal, 'abort')).toEqual([])
  },

  'nor when a tool looks at its signal after its call has ended': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const caller = new AbortController()
    const later: (() => unknown)[] = []
    const body = {
      name: 'keeps',
      description: 'keeps its options',
      async run(_: unknown, frameworkSignal: () => AbortSignal | undefined) {
        const call = currentCall()
        later.push(frameworkSignal, () => call.signal)
      },
    }
    const tool = driver.wrap(driver.build(body), { name: 'keeps', scope: 'read' }, { session })
    await driver.call(tool, {}, { signal: caller.signal })
    for (const look of later) look()
    expect(later).toHaveLength(2)
    expect(getEventListeners(caller.signal, 'abort')).toEqual([])
  },
}
