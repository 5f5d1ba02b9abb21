/** What a person says reaches Haldir once, as theirs; what nobody said does not. */
import { expect } from 'vitest'
import { inTime } from '../suite.ts'
import type { ApproverCase } from './scene.ts'

export const DECIDING: readonly ApproverCase[] = [
  {
    title: 'a yes is handed over once, with who says it and what it was said of',
    needs: ['decide'],
    async run(scene) {
      const approval = await scene.asked()
      await scene.decide(approval, true)
      const [said, ...more] = scene.said(approval)
      expect(more).toEqual([])
      expect(said).toMatchObject({ approve: true, by: scene.person.by, digest: approval.digest })
      expect(said?.args, 'arguments that nobody has changed').toBe(undefined)
      expect(said?.grant ?? false, 'a grant that nobody has given').toBe(false)
      expect(scene.board.of(approval.id).state).toBe('approved')
      await scene.show(approval)
      expect(await scene.text(approval)).toMatch(/approved/i)
      expect(await scene.canApprove(approval)).toBe(false)
    },
  },
  {
    title: 'a no is handed over once, with its reason',
    needs: ['decide'],
    async run(scene) {
      const approval = await scene.asked()
      await scene.decide(approval, false, scene.person, 'the order was never paid')
      expect(scene.said(approval)).toMatchObject([
        { approve: false, by: scene.person.by, digest: approval.digest, reason: 'the order was never paid' },
      ])
      expect(scene.board.of(approval.id).state).toBe('denied')
    },
  },
  {
    title: 'one yes of two leaves it open for the other, who is somebody else',
    needs: ['decide', 'other'],
    async run(scene) {
      const approval = await scene.asked({ terms: [{ rule: 'four-eyes', quorum: 2 }] })
      await scene.decide(approval, true, scene.person)
      expect(scene.board.of(approval.id).state).toBe('pending')
      await scene.show(approval)
      await scene.decide(approval, true, scene.other)
      expect(scene.board.of(approval.id)).toMatchObject({
        state: 'approved',
        votes: [scene.person, scene.other].map(({ by }) => ({ by, approve: true })),
      })
    },
  },
  {
    title: 'who decides too late is told so, and changes nothing',
    needs: ['decide'],
    async run(scene) {
      const approval = await scene.asked()
      scene.board.end(approval.id, 'denied')
      await scene.decide(approval, true)
      expect(scene.board.of(approval.id)).toMatchObject({ state: 'denied', votes: [{ by: 'elsewhere:somebody' }] })
    },
  },
  {
    title: 'who may not decide is told so, differently from somebody who may, and nothing changes',
    needs: ['decide'],
    async run(scene) {
      const approval = await scene.asked({ terms: [{ rule: 'refunds', quorum: 1, approvers: ['elsewhere:chief'] }] })
      const told = await scene.decide(approval, true)
      scene.expectUntouched(approval)
      const allowed = await scene.asked()
      expect(told).not.toBe(await scene.decide(allowed, true))
    },
  },
  {
    title: 'a yes to arguments that have changed since does not count',
    needs: ['decide'],
    async run(scene) {
      const approval = await scene.asked()
      const { digest } = scene.board.edit(approval.id, { order: 'order-10017', amount: 9_999 })
      await scene.decide(approval, true)
      scene.expectUntouched(approval)
      for (const say of scene.said(approval)) expect(say.digest, 'what it was said of').not.toBe(digest)
    },
  },
  {
    title: 'what Haldir can not take the person learns of, and it counts when it is said again',
    needs: ['decide'],
    async run(scene) {
      const approval = await scene.asked()
      scene.board.down = true
      await scene.decide(approval, true)
      scene.expectUntouched(approval)
      scene.board.down = false
      await scene.decide(approval, true)
      expect(scene.board.of(approval.id).state).toBe('approved')
    },
  },
]

export const FORGED: readonly ApproverCase[] = [
  {
    title: 'what is forged changes nothing, and is put on record',
    needs: ['forgeries'],
    async run(scene) {
      const forgeries = Object.entries(scene.opened.forgeries ?? {})
      expect(forgeries.length, 'at least one forgery').toBeGreaterThan(0)
      for (const [wrong, forge] of forgeries) {
        const approval = await scene.asked()
        const { heard, rejected } = scene.board
        const before = [heard.length, rejected.length]
        await inTime(forge(approval.id), wrong)
        scene.expectUntouched(approval)
        expect([heard.length, rejected.length], wrong).toEqual([before[0], (before[1] as number) + 1])
        expect(rejected.at(-1)?.why.trim(), wrong).not.toBe('')
        // And it does not get in the way of the real one.
        await scene.decide(approval, true)
        expect(scene.board.of(approval.id).state, wrong).toBe('approved')
      }
    },
  },
  {
    title: 'what comes twice counts once',
    needs: ['replay'],
    async run(scene) {
      const approval = await scene.asked({ terms: [{ rule: 'four-eyes', quorum: 2 }] })
      await scene.decide(approval, true)
      const before = structuredClone(scene.board.of(approval.id).votes)
      for (let times = 0; times < 3; times++) await inTime(scene.opened.replay?.(), '`replay`')
      expect(scene.board.of(approval.id)).toMatchObject({ state: 'pending', votes: before })
      expect(scene.board.heard.filter(({ said }) => said.ok)).toHaveLength(1)
    },
  },
  {
    title: 'whoever only looks, as a preview does, changes nothing',
    needs: ['fetch'],
    async run(scene) {
      const approval = await scene.asked()
      const links = (await scene.shown(approval)).flatMap(({ text, raw = text }) => [...linksIn(text), ...linksIn(raw)])
      for (const link of new Set(links)) {
        for (const method of ['GET', 'HEAD', 'OPTIONS']) {
          await inTime(scene.approver.fetch?.(new Request(link, { method })), `\`${method}\``)
        }
      }
      scene.expectUntouched(approval)
      expect(scene.board.heard).toEqual([])
      await scene.decide(approval, true)
      expect(scene.board.of(approval.id).state).toBe('approved')
    },
  },
  {
    title: 'requests that are for others are left alone, unread',
    needs: ['fetch'],
    async run(scene) {
      for (const path of ['/', '/api/orders', '/haldir', '/haldir/', '/haldir/somebody-else/callback']) {
        const request = new Request(`https://app.example${path}`, { method: 'POST', body: 'payload={}' })
        expect(await inTime(scene.approver.fetch?.(request), '`fetch`'), path).toBe(undefined)
        expect(request.bodyUsed, path).toBe(false)
      }
      expect(scene.board.rejected).toEqual([])
    },
  },
]

function linksIn(text: string): readonly string[] {
  return [...text.matchAll(/https?:\/\/[^\s"'<>\\|)]+/g)].map(([link]) => link).filter((link) => URL.canParse(link))
}
