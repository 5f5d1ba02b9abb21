/** People see what they decide: all of it, and nothing else. */
import type { Approver } from '@haldir/core'
import { expect } from 'vitest'
import { inTime } from '../suite.ts'
import type { ApproverCase } from './scene.ts'

/** What a model may have written to mislead whoever reads it, or what displays it. */
const HOSTILE = [
  '<script>alert(1)</script><img src=x onerror=alert(1)>',
  '"><form action="https://evil.example"><b>approved</b>',
  '<!channel> <@U1> <https://evil.example|a link> *bold* `code` ```block```',
  '[a link](https://evil.example) @everyone',
  '\u001b[2J\u001b[31mapproved\u001b[0m\u0007',
  'refund \u202e99.92\u202c\u2066x\u2069\u200b\ufeff\u00ad',
  'first line\r\n\r\nAgent: somebody else\u2028y',
]
/** Controls but the end of a line, what turns text round, and what can't be seen. */
const UNSEEN = /(?!\n)\p{Cc}|[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u00ad]/u

export const SHOWING: readonly ApproverCase[] = [
  {
    title: 'a pending approval is shown whole: who asks for what, why, what it costs, and every argument',
    async run(scene) {
      const args = { order: 'order-10017', amount: 27.5, to: { iban: 'DE02120300000000202051', notes: ['a', 'bb-7'] } }
      const approval = await scene.asked({ args })
      const text = await scene.text(approval)
      const all = [
        'order-bot',
        'refund',
        '29.99',
        'more than $20',
        'order-10017',
        '27.5',
        'DE02120300000000202051',
        'bb-7',
      ]
      for (const part of [...all, 'order', 'amount', 'iban', 'notes']) expect(text).toContain(part)
    },
  },
  {
    title: 'what can not be shown whole can not be approved there',
    async run(scene) {
      const lines = Array.from({ length: 2_000 }, (_, index) => `line-${index}-${'x'.repeat(60)}`)
      const approval = await scene.asked({ args: { lines, last: 'the-last-argument' } })
      if (!(await scene.canApprove(approval))) return
      const text = await scene.text(approval)
      for (const part of [...lines, 'the-last-argument']) {
        expect(text.includes(part), `\`${part.slice(0, 20)}\` is shown, for the call can be approved`).toBe(true)
      }
    },
  },
  {
    title: 'what others have written neither acts where it is displayed, nor hides',
    async run(scene) {
      const [agent = '', reason = '', by = '', tenant = ''] = HOSTILE
      for (const text of HOSTILE) {
        const said = { by: `elsewhere:${by}`, approve: true, at: new Date(scene.board.clock.now()), reason: text }
        const approval = await scene.asked({
          args: { text, [text]: text },
          agent: `${agent}${text}`,
          tenant: `${tenant}${text}`,
          reason: `${reason}${text}`,
          requester: [`${text}@x`],
          votes: [said],
          terms: [{ rule: text, quorum: 2, approvers: [text, scene.person.by] }],
        })
        await expectTame(await scene.shown(approval), scene.opened.acts)
        scene.board.end(approval.id, 'denied')
        await scene.show(approval)
        await expectTame(await scene.shown(approval), scene.opened.acts)
      }
    },
  },
  {
    title: 'what it is shown holds no secret of the channel, nor does what it notes, nor what it prints of itself',
    async run(scene) {
      const approval = await scene.asked()
      await scene.show(approval)
      await scene.expectSecret(scene.board.notes, 'a note')
      await scene.expectSecret(scene.approver, 'what is printed of it')
      await scene.expectSecret(JSON.stringify(scene.approver), 'its JSON')
      for (const { text, raw = text } of await scene.shown(approval)) await scene.expectSecret(text + raw, 'a card')
    },
  },
  {
    title: 'showing does not wait for a person',
    async run(scene) {
      const approvals = [await scene.asked(), await scene.asked(), await scene.asked()]
      for (const approval of approvals) scene.expectUntouched(approval)
      expect(scene.board.heard).toEqual([])
    },
  },
  {
    title: 'what it notes is JSON data, by which another process can go on',
    async run(scene) {
      const approval = scene.board.ask()
      const note = await inTime(scene.approver.show(approval, undefined, new AbortController().signal), '`show`')
      if (note !== undefined) expect(JSON.parse(JSON.stringify(note))).toEqual(note)
    },
  },
  {
    title: 'shown again as it was noted, nothing is there twice, and nothing differs',
    async run(scene) {
      const approval = await scene.asked()
      const before = await scene.shown(approval)
      expect(before.length).toBeGreaterThan(0)
      for (let times = 0; times < 3; times++) await scene.show(approval)
      expect(await scene.shown(approval)).toEqual(before)
    },
  },
  {
    title: 'a process that died before it noted anything leaves an approval that can be shown, and decided, again',
    needs: ['decide'],
    async run(scene) {
      const approval = await scene.asked()
      scene.board.lose(approval.id)
      await scene.show(approval)
      await scene.decide(approval, true)
      expect(scene.board.of(approval.id).state).toBe('approved')
    },
  },
  {
    title: 'many at once are each decided for themselves',
    needs: ['decide'],
    async run(scene) {
      const approvals = Array.from({ length: 10 }, (_, index) => scene.board.ask({ args: { order: `order-${index}` } }))
      await Promise.all(approvals.map((approval) => scene.show(approval)))
      for (const [index, approval] of approvals.entries()) await scene.decide(approval, index % 3 === 0)
      expect(approvals.map(({ id }) => scene.board.of(id).state)).toEqual(
        approvals.map((_, index) => (index % 3 === 0 ? 'approved' : 'denied')),
      )
      for (const approval of approvals) {
        expect(scene.said(approval)).toMatchObject([{ digest: approval.digest, by: scene.person.by }])
      }
    },
  },
]

export const ENDS: readonly ApproverCase[] = [
  ...(['approved', 'denied', 'expired', 'withdrawn'] as const).map(
    (state): ApproverCase => ({
      title: `when it was ${state} elsewhere that is shown, once, and nobody can approve it any more`,
      async run(scene) {
        const approval = await scene.asked()
        scene.board.end(approval.id, state)
        await scene.show(approval)
        expect(await scene.canApprove(approval), 'whether it can be approved').toBe(false)
        const shown = await scene.shown(approval)
        expect(shown.map(({ text }) => text).join('\n')).toMatch(new RegExp(state, 'i'))
        for (let times = 0; times < 2; times++) await scene.show(approval)
        expect(await scene.shown(approval)).toEqual(shown)
        expect(scene.board.heard).toEqual([])
      },
    }),
  ),
  {
    title: 'what a process that is gone has asked, another one ends',
    needs: ['another'],
    async run(scene) {
      const approval = await scene.asked()
      const other = scene.opened.another?.() as Approver
      other.open?.(scene.board)
      const ended = scene.board.end(approval.id, 'withdrawn')
      const note = await scene.board.note(approval.id)
      await inTime(other.show(ended, note, new AbortController().signal), '`show`')
      expect(await scene.canApprove(approval), 'whether it can be approved').toBe(false)
      expect(await scene.text(approval)).toMatch(/withdrawn/i)
      await other.close?.()
    },
  },
  {
    title: 'what was over before it was ever shown is no question',
    async run(scene) {
      for (const state of ['approved', 'denied', 'expired', 'withdrawn'] as const) {
        const approval = scene.board.ask()
        scene.board.end(approval.id, state)
        await scene.show(approval)
        expect(await scene.canApprove(approval), state).toBe(false)
      }
    },
  },
  {
    title: 'when its time is over nobody can approve it, even before anyone has said so',
    needs: ['decide'],
    async run(scene) {
      const approval = await scene.asked()
      await scene.board.clock.advance(300_000)
      // Whether there is still something to press does not matter; what is said does not count.
      await scene.answer(approval, true)
      scene.expectUntouched(approval)
    },
  },
  {
    title: 'what was changed by an approver is shown as it is now',
    async run(scene) {
      const approval = await scene.asked()
      scene.board.edit(approval.id, { order: 'order-10017', amount: 5.25 })
      await scene.show(approval)
      expect(await scene.text(approval)).toContain('5.25')
    },
  },
]

/** Asserts that nothing in it acts or hides. */
async function expectTame(shown: readonly { text: string; raw?: string }[], acts: readonly string[] = []) {
  expect(shown.length).toBeGreaterThan(0)
  for (const { text, raw = text } of shown) {
    expect(UNSEEN.exec(text)?.[0].codePointAt(0)?.toString(16), 'what can not be seen, or turns text round').toBe(
      undefined,
    )
    for (const one of acts) expect(raw.includes(one), `\`${JSON.stringify(one)}\` stands there as it is`).toBe(false)
  }
}
