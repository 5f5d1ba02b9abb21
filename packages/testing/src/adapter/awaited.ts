/** A person decides while the call waits: it runs after a yes, once, and after nothing else. */
import type { Session } from '@haldir/core'
import { expect } from 'vitest'
import { asking, payAndRead, pending } from './asking.ts'
import type { AdapterDriver, Loop, ScriptedCall } from './driver.ts'
import { CANARY, type Cases, expectDenial, house } from './house.ts'

export const awaited: Cases = {
  'what asks runs once, after a yes, and the others do not wait for it': async (driver) => {
    await using home = house({ policy: asking, approvals: {} })
    const session = await home.newSession('read', 'spend:50')
    const { pay, read, tools } = payAndRead(driver, home)
    const looping = going(driver, session, tools, [
      { tool: 'pay', args: { to: CANARY } },
      { tool: 'read', args: {} },
    ])
    const [asked] = await pending(home, 1)
    expect(asked).toMatchObject({ tool: 'pay', session: session.id, args: { to: CANARY } })
    expect(pay.got).toEqual([])
    await home.haldir.approvals.decide(asked!.id, { approve: true, by: 'alice' })
    const { answers, turns, text } = await looping
    expect([turns, text]).toEqual([2, 'done'])
    expect(answers.map(({ read }) => read)).toEqual([expect.stringContaining('paid'), expect.stringContaining('fine')])
    expect([pay.got, read.got]).toEqual([[{ to: CANARY }], [{}]])
    const used = await home.haldir.approvals.get(asked!.id)
    expect((await home.entries({ type: 'intent', tool: 'pay' })).map(({ call }) => call)).toEqual([used?.usedBy])
  },

  'what a person denies does not run: the model reads why, and the loop goes on': async (driver) => {
    await using home = house({ policy: asking, approvals: {} })
    const session = await home.newSession('read', 'spend:50')
    const { pay, tools } = payAndRead(driver, home)
    const looping = going(driver, session, tools, [{ tool: 'pay', args: { to: CANARY } }])
    const [asked] = await pending(home, 1)
    await home.haldir.approvals.decide(asked!.id, { approve: false, by: 'alice', reason: 'not this week' })
    const { answers, turns, text } = await looping
    expect([turns, text]).toEqual([2, 'done'])
    expectDenial(answers[0]!, 'approval-denied')
    expect(answers[0]?.read).toContain('not this week')
    expect(pay.got).toEqual([])
    expect((await session.budget())[0]?.left.decimal).toBe('50')
  },

  'of two equal calls, each is decided by itself': async (driver) => {
    await using home = house({ policy: asking, approvals: {} })
    const session = await home.newSession('read', 'spend:50')
    const { pay, tools } = payAndRead(driver, home)
    const looping = going(driver, session, tools, [
      { tool: 'pay', args: {} },
      { tool: 'pay', args: {} },
    ])
    // A framework may make its calls one after the other: then the second one asks when the first is over.
    for (const approve of [true, false]) {
      const [asked] = await pending(home, 1)
      await home.haldir.approvals.decide(asked!.id, { approve, by: 'alice' })
    }
    const { answers, text } = await looping
    expect(text).toBe('done')
    expect(answers.map(({ read }) => /^Denied \(approval-denied\)/.test(read)).sort()).toEqual([false, true])
    expect(pay.got).toHaveLength(1)
  },

  'when nobody answers in time it does not run, and the loop goes on': async (driver) => {
    await using home = house({ policy: asking, approvals: { timeout: 200 } })
    const session = await home.newSession('read', 'spend:50')
    const { pay, tools } = payAndRead(driver, home)
    const { answers, text } = await going(driver, session, tools, [{ tool: 'pay', args: {} }])
    expectDenial(answers[0]!, 'approval-expired')
    expect([text, pay.got]).toEqual(['done', []])
  },

  'a caller who gives up while it waits has it called off': async (driver) => {
    await using home = house({ policy: asking, approvals: {} })
    const session = await home.newSession('read', 'spend:50')
    const { pay, tools } = payAndRead(driver, home)
    const caller = new AbortController()
    const calling = session.run(() => driver.call(tools.pay, {}, { signal: caller.signal }))
    const [asked] = await pending(home, 1)
    caller.abort(new Error('enough'))
    await calling
    expect(pay.got).toEqual([])
    expect((await home.haldir.approvals.get(asked!.id))?.state).toBe('withdrawn')
    const late = home.haldir.approvals.decide(asked!.id, { approve: true, by: 'alice' })
    await expect(late).rejects.toMatchObject({ code: 'decided' })
    expect(pay.got).toEqual([])
  },

  'a session that is revoked while it waits has it refused, and the loop goes on': async (driver) => {
    await using home = house({ policy: asking, approvals: {} })
    const session = await home.newSession('read', 'spend:50')
    const { pay, tools } = payAndRead(driver, home)
    const looping = going(driver, session, tools, [{ tool: 'pay', args: {} }])
    await pending(home, 1)
    await session.revoke('stop')
    const { answers, text } = await looping
    expectDenial(answers[0]!, 'session-revoked')
    expect([text, pay.got]).toEqual(['done', []])
  },
}

/** A loop in the background. What goes wrong there is told where it is awaited. */
function going(
  driver: AdapterDriver,
  session: Session,
  tools: Record<string, object>,
  calls: readonly ScriptedCall[],
): Promise<Loop> {
  const looping = session.run(() => driver.loop(tools, calls))
  looping.catch(() => {})
  return looping
}
