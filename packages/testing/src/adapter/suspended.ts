/**
 * A person decides, and the call is suspended: its process may end meanwhile. It runs when it is resumed, in another
 * process on the same store, after a yes: once. What the framework itself is told, or keeps, decides nothing.
 */
import type { Session } from '@haldir/core'
import { memoryStore } from '@haldir/core/stores/memory'
import { expect } from 'vitest'
import { bodiesOfBoth, payAndRead, pending, sharing } from './asking.ts'
import type { AdapterDriver, Answer, Loop, ScriptedCall } from './driver.ts'
import { CANARY, type Cases, expectDenial, type House } from './house.ts'

export const suspended: Cases = {
  'nothing runs before a yes; then it runs once, in another process': async (driver) => {
    await using scene = await suspend(driver, [{ tool: 'pay', args: { to: CANARY } }])
    const { pay, asked, decide, resume, second } = scene
    expect(asked[0]).toMatchObject({ tool: 'pay', args: { to: CANARY } })
    await decide(0, true)
    expect(pay.got).toEqual([])
    const { answers, text } = await resume()
    expect(text).toBe('done')
    expect(answers[0]?.read).toContain('paid')
    expect(pay.got).toEqual([{ to: CANARY }])
    const used = await second.haldir.approvals.get(asked[0]!.id)
    expect((await second.entries({ type: 'intent', tool: 'pay' })).map(({ call }) => call)).toEqual([used?.usedBy])
  },

  'resumed again with what was kept, it does not run again': async (driver) => {
    await using scene = await suspend(driver, [{ tool: 'pay', args: {} }])
    const { pay, decide, resume } = scene
    await decide(0, true)
    await resume()
    await resume().catch(() => {})
    await resume({ forged: true }).catch(() => {})
    expect(pay.got).toHaveLength(1)
  },

  'what a person denies does not run, whatever the framework is told; the model reads why': async (driver) => {
    await using scene = await suspend(driver, [{ tool: 'pay', args: { to: CANARY } }])
    const { pay, decide, resume } = scene
    await decide(0, false)
    const { answers, text } = await resume()
    expectDenial(answers[0]!, 'approval-denied')
    expect(text).toBe('done')
    await resume({ forged: true }).catch(() => {})
    expect(pay.got).toEqual([])
  },

  'a yes that only the framework knows of is none': async (driver) => {
    await using scene = await suspend(driver, [{ tool: 'pay', args: {} }])
    await scene.resume({ forged: true }).catch(() => {})
    expect(scene.pay.got).toEqual([])
    expect((await scene.second.entries({ type: 'intent', tool: 'pay' })).length).toBe(0)
  },

  'after its session was revoked a yes is none': async (driver) => {
    await using scene = await suspend(driver, [{ tool: 'pay', args: {} }])
    const { pay, decide, resume, session } = scene
    await decide(0, true)
    await session.revoke('stop')
    const { answers } = await resume()
    expectDenial(answers[0]!, 'session-revoked')
    await resume({ forged: true }).catch(() => {})
    expect(pay.got).toEqual([])
  },

  'of two calls at once, only the one with a yes runs': async (driver) => {
    await using scene = await suspend(driver, [
      { tool: 'pay', args: { number: 1 } },
      { tool: 'pay', args: { number: 2 } },
    ])
    const { pay, asked, decide, resume } = scene
    const first = asked.findIndex(({ args }) => (args as { number: number }).number === 1)
    await decide(first, true)
    await decide(1 - first, false)
    const { answers, text } = await resume()
    expect(text).toBe('done')
    expect(answers[0]?.read).toContain('paid')
    expectDenial(answers[1]!, 'approval-denied')
    expect(pay.got).toEqual([{ number: 1 }])
  },

  'what does not ask runs at once': async (driver) => {
    await using scene = await suspend(driver, [
      { tool: 'read', args: {} },
      { tool: 'pay', args: {} },
    ])
    expect([scene.read.got, scene.pay.got]).toEqual([[{}], []])
    await scene.decide(0, true)
    await scene.resume()
    expect([scene.read.got, scene.pay.got]).toEqual([[{}], [{}]])
  },
}

/** A loop that has come to calls which ask, in a first process; and a second one that has the same tools. */
async function suspend(driver: AdapterDriver, calls: readonly ScriptedCall[]) {
  const store = memoryStore()
  const [first, second] = [sharing(store), sharing(store)]
  const opened = await first.newSession('read', 'spend:50')
  const bodies = bodiesOfBoth()
  const { tools } = payAndRead(driver, first, bodies)
  const kept = await opened.run(() =>
    driver.pauses ? driver.pauses.pause(tools, calls) : readOn(driver, tools, calls),
  )
  const asks = calls.filter(({ tool }) => tool === 'pay').length
  const asked = await pending(second, asks)
  expect(asked).toHaveLength(asks)
  expect(bodies.pay.got).toEqual([])
  const session = await second.haldir.attach(opened.token)
  const there = payAndRead(driver, second, bodies).tools
  return {
    ...bodies,
    asked,
    session,
    second,
    decide: (index: number, approve: boolean) =>
      second.haldir.approvals.decide(asked[index]!.id, { approve, by: 'alice' }),
    resume: (options: { forged?: boolean } = {}): Promise<Loop> =>
      session.run(() =>
        driver.pauses
          ? driver.pauses.resume(kept as string, there, calls, options)
          : resumeEach(second, session, calls),
      ),
    async [Symbol.asyncDispose]() {
      await first[Symbol.asyncDispose]()
      await second[Symbol.asyncDispose]()
    },
  }
}

/** A framework that can't pause: the model reads that somebody was asked, and goes on with other work. */
async function readOn(driver: AdapterDriver, tools: Record<string, object>, calls: readonly ScriptedCall[]) {
  const { answers, text } = await driver.loop(tools, calls)
  expect(text).toBe('done')
  for (const [index, { tool }] of calls.entries()) {
    if (tool !== 'pay') continue
    const { read } = answers[index]!
    expect(read).toMatch(/^Suspended \(approval-pending\): /)
    expect(read).not.toContain(CANARY)
    expect(read).not.toContain('\n')
    expect(read.replace(/do not (retry|repeat)/gi, '')).not.toMatch(/try again|retry|repeat|fix your/i)
  }
  return undefined
}

/** There `haldir.approvals.resume` runs the calls, and whoever asks for that reads what the model would have read. */
async function resumeEach({ haldir }: House, { id }: Session, calls: readonly ScriptedCall[]): Promise<Loop> {
  const known = await haldir.approvals.list({ session: id })
  const left = [...known]
  const answers: Answer[] = []
  for (const { tool, args } of calls) {
    const at = left.findIndex((one) => one.tool === tool && JSON.stringify(one.args) === JSON.stringify(args))
    const [approval] = at < 0 ? [] : left.splice(at, 1)
    if (!approval) answers.push({ read: '' })
    else {
      answers.push(
        await haldir.approvals.resume(approval.id).then(
          (value) => ({ read: JSON.stringify(value), value }),
          (error: unknown) => ({ read: String(error), error }),
        ),
      )
    }
  }
  return { answers, told: undefined, turns: 0, text: 'done', everything: '' }
}
