/** Drives `slackApprover` for the approver contract: people who look at cards and click, in a fake Slack. */
import { slackApprover } from '@haldir/core/approvers/slack'
import {
  type FakeClock,
  type FakeSlack,
  fakeSlack,
  type OpenedApprover,
  type Person,
  type PersonAnswer,
  type SlackMessage,
} from '@haldir/testing'

const people = [
  { name: 'U123', by: 'slack:U123' },
  { name: 'U124', by: 'slack:U124' },
] as const satisfies readonly [Person, Person]
const METHODS = ['chat.postMessage', 'chat.update', 'chat.postEphemeral', 'views.open', 'usergroups.users.list']

export function openSlack(clock: FakeClock): OpenedApprover {
  const slack = fakeSlack({ clock, groups: { S0FIN: [] } })
  const { token, signingSecret, apiUrl, fetch } = slack
  const approvers = [...people.map(({ name }) => name), 'S0FIN']
  const another = () => slackApprover({ token, signingSecret, apiUrl, fetch, channel: 'C0PAY', approvers })
  const approver = another()
  const deliver = async (request: Request) => approver.fetch?.(request)
  const cardOf = (id: string) => {
    // It can be there twice when a process died; the newest is what people see first.
    const found = slack.messages.findLast((message) => idOf(slack, message) === id)
    if (!found) throw new Error('there is no card')
    return found
  }
  const yes = (id: string, user: string, how: object = {}, to = deliver) =>
    slack.click(cardOf(id), 'haldir_approve', { user, ...how }, to)
  return {
    approver,
    another,
    people,
    shown: () =>
      slack.messages.map((message) => ({
        approval: idOf(slack, message),
        text: read(slack.textOf(message)),
        raw: JSON.stringify(message.blocks),
        canApprove: slack.buttonsOf(message).includes('haldir_approve'),
      })),
    async decide({ approval, approve, person, reason }: PersonAnswer) {
      const before = slack.ephemerals.length
      const by = { user: person.name }
      if (approve) await yes(approval, person.name)
      else if (reason === undefined) await slack.click(cardOf(approval), 'haldir_deny', by, deliver)
      else {
        await slack.click(cardOf(approval), 'haldir_deny_reason', by, deliver)
        const view = slack.views.at(-1)
        if (view) await slack.submit(view, { reason }, by, deliver)
      }
      return slack.ephemerals[before]?.text ?? 'the card is edited'
    },
    forgeries: {
      'another signing secret': async (id) => void (await yes(id, 'U123', { secret: 'somebody-elses' })),
      'no signature': async (id) => void (await yes(id, 'U123', { headers: { 'x-slack-signature': null } })),
      'five minutes old': async (id) => void (await yes(id, 'U123', { age: 301 })),
      'five minutes ahead': async (id) => void (await yes(id, 'U123', { age: -301 })),
      'signed as another body': async (id) => {
        await yes(id, 'U999', {}, async (request) => {
          const body = (await request.text()).replaceAll('U999', 'U123')
          return deliver(new Request(request.url, { method: 'POST', headers: request.headers, body }))
        })
      },
      'somebody who is not among the approvers': async (id) => void (await yes(id, 'U999')),
      'somebody who is called like an approver': async (id) => {
        const actions = [{ action_id: 'haldir_approve', value: carriedBy(cardOf(id)) }]
        const user = { id: 'U999', name: 'U123', username: 'U123' }
        await slack.send({ type: 'block_actions', user, actions }, deliver)
      },
    },
    async replay() {
      await slack.resend(deliver)
    },
    break(how) {
      if (how === 'down') slack.down()
      else for (const method of METHODS) slack.hang(method)
    },
    mend: () => slack.up(),
    secrets: () => [token, signingSecret],
    acts: ['<!channel', '<@', '<https:', '<script', '<form', '<b>'],
    close: () => slack.close(),
  }
}

/** Which approval a card is of: it says so below. */
function idOf(slack: FakeSlack, message: SlackMessage): string {
  return /^Approval `([^`]+)`/m.exec(slack.textOf(message))?.[1] ?? ''
}

/** What the button for a yes carries. */
function carriedBy({ blocks }: SlackMessage): unknown {
  const buttons = blocks.flatMap(({ elements = [] }) => elements as { action_id?: string; value?: string }[])
  return buttons.find(({ action_id: action }) => action === 'haldir_approve')?.value
}

/** What Slack makes of its markup. */
function read(text: string): string {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>' }
  return text
    .replace(/<!date\^[^|>]*\|([^>]*)>/g, '$1')
    .replace(/<@([A-Z0-9]+)>/g, '@$1')
    .replace(/&(amp|lt|gt);/g, (_, name) => entities[name] as string)
}
