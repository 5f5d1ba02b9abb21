/** A Slack approver between the fake Slack and a desk of approvals in memory. */
import { type ClickOptions, type FakeSlack, fakeSlack, type SlackMessage } from '@haldir/testing'
import { afterEach, expect } from 'vitest'
import type { Approval, Approver } from '../packages/core/src/approvers/approver.ts'
import { type SlackApproverOptions, slackApprover } from '../packages/core/src/approvers/slack.ts'
import { type Desk, desk } from './approver-port.ts'

const open: FakeSlack[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((slack) => slack.close()))
})

export interface Scene extends Desk {
  readonly slack: FakeSlack
  readonly approver: Approver
  readonly deliver: (request: Request) => Promise<Response | undefined>
  /** Asks, shows the card, and answers it. */
  card(what?: Partial<Approval>): Promise<{ readonly id: string; readonly message: SlackMessage }>
  /** Clicks the button `haldir_…`, as `U123` unless somebody else does. */
  click(message: SlackMessage, action: string, by?: ClickOptions | string): Promise<Response>
  /** Lets time pass until there is an answer. Fails when there is none by then. */
  answered(work: Promise<Response>, within: number): Promise<Response>
}

/** `U123` may decide, and so may `U456`, who is in the group `S0GROUP`. */
export function slackScene(more: Partial<SlackApproverOptions> = {}): Scene {
  const people = desk()
  const slack = fakeSlack({ clock: people.clock, groups: { S0GROUP: ['U456'] } })
  open.push(slack)
  const { token, signingSecret, apiUrl, fetch } = slack
  const approvers = ['U123', 'S0GROUP']
  const approver = slackApprover({ token, signingSecret, apiUrl, fetch, channel: 'C0PAY', approvers, ...more })
  approver.open?.(people.port)
  const deliver: Scene['deliver'] = async (request) => approver.fetch?.(request)
  return {
    ...people,
    slack,
    approver,
    deliver,
    async card(what = {}) {
      const { id } = people.ask(what)
      await people.show(approver)
      return { id, message: slack.message() }
    },
    click(message, action, by = 'U123') {
      return slack.click(message, `haldir_${action}`, typeof by === 'string' ? { user: by } : by, deliver)
    },
    async answered(work, within) {
      let answer: Response | undefined
      work.then((response) => {
        answer = response
      })
      await people.clock.advance(0)
      for (let ms = 0; ms < within && !answer; ms += 100) await people.clock.advance(100)
      return answer ?? expect.fail(`no answer within ${within} ms`)
    },
  }
}
