/** A real haldir asks through it: calls wait for what people say. */
import { createHaldir, Denied, governed, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { expect } from 'vitest'
import { inTime } from '../suite.ts'
import type { ApproverCase, ApproverScene } from './scene.ts'

interface Call {
  readonly haldir: Haldir
  readonly session: Session
  /** What came of the call: what it answered, or the code of the denial. */
  outcome(): Promise<string>
  readonly ran: number[]
  /** The id of the approval, as soon as people have been asked. */
  asked(): Promise<string>
}

export const GOVERNED: readonly ApproverCase[] = [
  {
    title: 'a call runs after a yes, once, and people see what has become of it',
    needs: ['decide'],
    run: (scene) =>
      calling(scene, async ({ haldir, outcome, ran, asked }) => {
        const approval = await asked()
        expect(ran).toEqual([])
        await decide(scene, approval, true)
        expect(await outcome()).toBe('refunded')
        expect(ran).toEqual([29.99])
        expect(await haldir.approvals.get(approval)).toMatchObject({
          state: 'approved',
          votes: [{ by: scene.person.by, approve: true }],
        })
        await scene.until(async () => !(await scene.shownOf(approval)).some(({ canApprove }) => canApprove))
        expect((await scene.shownOf(approval)).map(({ text }) => text).join('\n')).toMatch(/approved/i)
      }),
  },
  {
    title: 'a call does not run after a no',
    needs: ['decide'],
    run: (scene) =>
      calling(scene, async ({ outcome, ran, asked }) => {
        await decide(scene, await asked(), false)
        expect([await outcome(), ran]).toEqual(['approval-denied', []])
      }),
  },
  {
    title: 'a call whose session is revoked meanwhile does not run, whatever people still say; they are told',
    needs: ['decide'],
    run: (scene) =>
      calling(scene, async ({ session, outcome, ran, asked }) => {
        const approval = await asked()
        await session.revoke('stop')
        expect(await outcome()).toBe('session-revoked')
        // Where there is still something to press.
        if ((await scene.shownOf(approval)).some(({ canApprove }) => canApprove)) await decide(scene, approval, true)
        await scene.until(async () => /withdrawn/i.test((await scene.shownOf(approval)).map(({ text }) => text).join()))
        expect(ran).toEqual([])
      }),
  },
  {
    title: 'a call waits no longer than people have time; they are told',
    run: (scene) =>
      calling(scene, async ({ outcome, ran, asked }) => {
        const approval = await asked()
        await scene.clock.advance(301_000)
        expect([await outcome(), ran]).toEqual(['approval-expired', []])
        await scene.until(async () => /expired/i.test((await scene.shownOf(approval)).map(({ text }) => text).join()))
      }),
  },
  {
    title: 'a call that nobody could be told of at first is told later, and decided in time',
    needs: ['decide', 'break'],
    async run(scene) {
      await scene.opened.break?.('down')
      await calling(scene, async ({ haldir, outcome, ran, asked }) => {
        await scene.until(async () => haldir.health().faults.some(({ part }) => part.startsWith('approver ')))
        await scene.opened.mend?.()
        const approval = await asked()
        await decide(scene, approval, true)
        expect([await outcome(), ran]).toEqual(['refunded', [29.99]])
      })
    },
  },
]

/** Makes a call that a person has to approve, and looks at what comes of it. */
async function calling(scene: ApproverScene, look: (call: Call) => Promise<void>): Promise<void> {
  const { approver, clock } = scene
  const policy = { default: 'deny' as const, rules: [{ id: 'refunds', then: 'ask' as const, because: 'refunds' }] }
  const haldir = createHaldir({ clock, sinks: [memorySink()], policy, approvers: [approver] })
  try {
    const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:100'] })
    const ran: number[] = []
    const run = async ({ amount }: { amount: number }) => {
      ran.push(amount)
      return 'refunded'
    }
    const options = { name: 'refund', scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }
    const refund = governed(run, options, { haldir, session })
    const called = refund({ amount: 29.99 }).catch((error: unknown) => {
      if (Denied.isInstance(error)) return error.code
      throw error
    })
    const asked = async () => {
      let id: string | undefined
      await scene.until(async () => {
        // A channel that was down is tried again after a pause.
        await clock.advance(100)
        id = (await scene.opened.shown())[0]?.approval
        return id !== undefined
      })
      return id as string
    }
    await look({ haldir, session, outcome: () => inTime(called, 'the call', 3_000), ran, asked })
  } finally {
    const closing = haldir.close()
    // It waits for calls that have just been woken, and time stands still.
    await clock.advance(1_000)
    await inTime(closing, '`close` of the haldir')
  }
}

async function decide(scene: ApproverScene, approval: string, approve: boolean): Promise<void> {
  await scene.opened.decide?.({ approval, approve, person: scene.person })
}
