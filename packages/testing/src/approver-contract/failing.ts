/** A channel that can't be reached says so, and is reached again later. */
import { getEventListeners } from 'node:events'
import { inspect } from 'node:util'
import { expect } from 'vitest'
import { timersLeftBy } from '../suite.ts'
import type { ApproverCase } from './scene.ts'

const CANARY = 'canary-7f3a91'

export const FAILING: readonly ApproverCase[] = [
  {
    title: 'what can not be told is refused, without an argument or a secret in the reason, and told later',
    needs: ['break'],
    async run(scene) {
      const approval = scene.board.ask({ args: { note: CANARY } })
      await scene.opened.break?.('down')
      for (let times = 0; times < 3; times++) {
        const error = await scene.refused(approval)
        expect(inspect(error, { depth: 9 }), 'what an error says').not.toContain(CANARY)
        await scene.expectSecret(error, 'an error')
      }
      await scene.opened.mend?.()
      await scene.show(approval)
      expect(await scene.text(approval)).toContain(CANARY)
      expect(await scene.shown(approval), 'it is there once').toHaveLength(1)
    },
  },
  {
    title: 'an end that could not be told at first is told later',
    needs: ['break'],
    async run(scene) {
      const approval = await scene.asked()
      scene.board.end(approval.id, 'withdrawn')
      await scene.opened.break?.('down')
      // It may still be told where nobody could answer.
      await scene.show(approval).catch(() => {})
      await scene.opened.mend?.()
      await scene.show(approval)
      expect(await scene.text(approval)).toMatch(/withdrawn/i)
      expect(await scene.canApprove(approval)).toBe(false)
    },
  },
  {
    title: 'it gives up when nobody waits any more, leaves nothing behind on the signal, and goes on afterwards',
    needs: ['break'],
    async run(scene) {
      const approval = scene.board.ask()
      await scene.opened.break?.('hang')
      for (const when of ['before', 'meanwhile']) {
        const controller = new AbortController()
        if (when === 'before') controller.abort()
        const refused = scene.refused(approval, controller.signal)
        await new Promise((resolve) => setImmediate(resolve))
        controller.abort()
        await refused
        expect(getEventListeners(controller.signal, 'abort'), when).toEqual([])
      }
      await scene.opened.mend?.()
      const { signal } = new AbortController()
      await scene.show(approval, signal)
      expect(getEventListeners(signal, 'abort')).toEqual([])
      expect((await scene.shown(approval)).length).toBeGreaterThan(0)
    },
  },
  {
    title: 'it leaves no timer and no listener of the process when it is closed, and can be closed twice',
    async run(scene) {
      const listeners = () => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
      const before = listeners()
      const timers = await timersLeftBy(async () => {
        const approval = await scene.asked()
        await scene.asked()
        scene.board.end(approval.id, 'expired')
        await scene.show(approval)
        await scene.approver.close?.()
        await scene.approver.close?.()
      })
      const { clock } = scene.board
      expect({ timers, listeners: listeners(), clock: clock.timers }).toEqual({
        timers: 0,
        listeners: before,
        clock: 0,
      })
    },
  },
]
