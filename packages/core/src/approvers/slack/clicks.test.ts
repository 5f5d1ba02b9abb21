/** Clicks: who is heard, what is said to those who are not, and what is answered to Slack, and when. */
import type { SlackMessage } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { slackScene as scene } from '../../../../../test/slack-scene.ts'

describe('a click on', () => {
  it('Approve says yes to exactly what was shown', async () => {
    const { card, click, get, said, slack, show, approver } = scene()
    const { id, message } = await card()
    const response = await click(message, 'approve')
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(get(id).state).toBe('approved')
    expect(said.map(({ say }) => say)).toEqual([
      { approve: true, from: 'team T0FAKE', by: 'slack:U123', groups: [], digest: get(id).digest },
    ])
    expect(slack.ephemerals).toEqual([])
    // The card is edited when the row changes, not by the click.
    expect(slack.message()).toEqual(message)
    await show(approver)
    expect(slack.textOf(slack.message())).toContain('Approved by <@U123>')
  })

  it('Deny says no', async () => {
    const { card, click, get } = scene()
    const { id, message } = await card()
    await click(message, 'deny')
    expect(get(id)).toMatchObject({ state: 'denied', votes: [{ by: 'slack:U123', approve: false }] })
    expect(get(id).votes[0]).not.toHaveProperty('reason')
  })

  it('Approve for a while gives the grant', async () => {
    const { card, click, get, said } = scene()
    const { id, message } = await card({ grant: { forMs: 900_000, args: ['to'] } })
    await click(message, 'grant')
    expect(said[0]?.say).toMatchObject({ approve: true, grant: true })
    expect(get(id).grant?.until).toEqual(new Date(Date.UTC(2026, 0, 1, 0, 15)))
  })

  it('Deny with reason asks for it, and says no with it', async () => {
    const { card, click, get, slack, deliver, said } = scene()
    const { id, message } = await card()
    expect((await click(message, 'deny_reason')).status).toBe(200)
    expect([get(id).state, said]).toEqual(['pending', []])
    const [view] = slack.views
    expect(view).toMatchObject({ user: 'U123', callback_id: 'haldir_deny_reason' })
    expect(JSON.parse(view?.private_metadata ?? '')).toEqual({ id, digest: get(id).digest, channel: 'C0PAY' })
    const response = await slack.submit(view!, { reason: '  too much <money>  ' }, 'U123', deliver)
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(get(id)).toMatchObject({ state: 'denied', votes: [{ by: 'slack:U123', reason: 'too much <money>' }] })
  })

  it('the link to the full view decides nothing', async () => {
    const { card, click, said, rejected } = scene()
    const { message } = await card({ url: 'https://console.test/1' })
    expect((await click(message, 'view')).status).toBe(200)
    expect([said, rejected]).toEqual([[], []])
  })

  it.each(['approve', 'deny', 'deny_reason', 'grant'])('%s is not heard from anybody else', async (action) => {
    const { card, click, get, said, rejected, slack } = scene()
    const { id, message } = await card({ grant: { forMs: 900_000, args: [] } })
    const response = await click(message, action, 'U999')
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(get(id)).toMatchObject({ state: 'pending', votes: [] })
    expect(said).toEqual([])
    const why = 'You are not among those who may decide this.'
    expect(rejected).toEqual([{ why, id, by: 'slack:U999' }])
    expect(slack.ephemerals).toEqual([{ channel: 'C0PAY', user: 'U999', text: why }])
    expect(slack.views).toEqual([])
  })
})

describe('who may decide', () => {
  it('are users and members of user groups, and their groups are told', async () => {
    const { card, click, get, said } = scene()
    const { id, message } = await card()
    await click(message, 'approve', 'U456')
    expect(get(id).state).toBe('approved')
    expect(said[0]?.say).toMatchObject({ by: 'slack:U456', groups: ['slack:S0GROUP'] })
  })

  it('are also those of the groups that the asking rule names, if the channel lets them', async () => {
    const { card, click, said, slack } = scene({ approvers: ['U123', 'U789'] })
    slack.group('S1', ['U123'])
    slack.group('S2', ['U123', 'U789', 'U555'])
    slack.group('S3', [])
    const terms = [{ rule: 'money', approvers: ['S1', 'slack:S2', 'slack:S3', 'alice', 'slack:U9'], quorum: 2 }]
    const { message } = await card({ terms })
    await click(message, 'approve', 'U123')
    await click(message, 'approve', 'U789')
    await click(message, 'approve', 'U555')
    expect(said.map(({ say }) => [say.by, say.groups])).toEqual([
      ['slack:U123', ['slack:S1', 'slack:S2']],
      ['slack:U789', ['slack:S2']],
    ])
    const asked = slack.calls.filter(({ method }) => method === 'usergroups.users.list').map(({ body }) => body)
    expect(asked).toEqual([{ usergroup: 'S1' }, { usergroup: 'S2' }, { usergroup: 'S3' }])
  })

  it('may be whoever sees the card, when that is said', async () => {
    const { card, click, get } = scene({ approvers: 'channel' })
    const { id, message } = await card()
    await click(message, 'approve', 'U999')
    expect(get(id).state).toBe('approved')
  })

  it('are known by their id alone, whatever workspace they come from and whatever they are called', async () => {
    const { card, slack, deliver, get, click } = scene()
    const { id, message } = await card({ terms: [{ rule: 'r', quorum: 3 }] })
    await click(message, 'approve', { user: 'U123', team: 'T0OTHER' })
    expect(get(id).votes).toHaveLength(1)
    const action = message.blocks.at(-1) as unknown as { elements: object[] }
    const payload = (user: object) => ({ type: 'block_actions', user, actions: [action.elements[0]] })
    for (const user of [
      { id: 'U999', username: 'U123', name: 'U123' },
      { username: 'U123' },
      { id: ['U123'] },
      'U123',
    ]) {
      await slack.send(payload(user as object), deliver)
    }
    expect(get(id).votes).toHaveLength(1)
  })

  it('is asked of Slack once a minute', async () => {
    const { card, click, slack, clock, said } = scene({ approvers: ['S0GROUP'] })
    const { message } = await card({ terms: [{ rule: 'r', quorum: 9 }] })
    const asked = () => slack.calls.filter(({ method }) => method === 'usergroups.users.list').length
    await Promise.all(['U456', 'U1', 'U2'].map((user) => click(message, 'approve', user)))
    expect(asked()).toBe(1)
    await clock.advance(59_999)
    slack.group('S0GROUP', ['U1'])
    await click(message, 'deny_reason', 'U1')
    expect(asked()).toBe(1)
    await clock.advance(1)
    await click(message, 'approve', 'U1')
    expect(asked()).toBe(2)
    expect(said.map(({ say }) => say.by)).toEqual(['slack:U456', 'slack:U1'])
  })

  it.each([
    ['no_such_subteam', { error: 'no_such_subteam' }],
    ['missing_scope', { error: 'missing_scope' }],
    ['trouble', { status: 500 }],
    ['too many requests', { status: 429, retryAfter: 30 }],
  ])('is nobody of a group of which Slack says nothing (%s), and that is what they are told', async (_, failure) => {
    const { card, click, slack, get, said, clock } = scene()
    const { id, message } = await card()
    slack.fail('usergroups.users.list', failure)
    await click(message, 'approve', 'U456')
    expect(get(id).state).toBe('pending')
    expect(slack.ephemerals).toMatchObject([{ user: 'U456', text: expect.stringContaining('try again in a minute') }])
    // Those who are named are not held up by that.
    await click(message, 'approve', 'U123')
    expect(get(id).state).toBe('approved')
    expect(said).toHaveLength(1)
    // What Slack did not say is not remembered.
    slack.up()
    await clock.advance(30_000)
    const other = await card()
    await click(other.message, 'approve', 'U456')
    expect(get(other.id).state).toBe('approved')
  })

  it('is said so when the rule names a group of which Slack says nothing', async () => {
    const { card, click, slack } = scene()
    const { message } = await card({ terms: [{ rule: 'r', approvers: ['slack:S9'], quorum: 1 }] })
    await click(message, 'approve', 'U123')
    expect(slack.ephemerals[0]?.text).toBe(
      'The rule names others. Slack did not say which user groups you are in; try again in a minute.',
    )
  })
})

describe('a click in vain is answered, to the one who clicked alone:', () => {
  it.each([
    ['decided already', 'It has been decided already.', { state: 'denied' }],
    ['expired', 'Its time is over.', { state: 'expired' }],
    ['withdrawn', 'It has been decided already.', { state: 'withdrawn' }],
    ['changed since', 'It has been changed since it was shown to you.', { digest: 'f'.repeat(64) }],
    ['their own', 'Nobody decides on what they have asked for.', { requester: ['slack:U123'] }],
    [
      'voted on already',
      'You have decided already.',
      { votes: [{ by: 'slack:U123', approve: true, at: new Date(0) }] },
    ],
    ['for others', 'The rule names others.', { terms: [{ rule: 'r', approvers: ['U9'], quorum: 1 }] }],
  ] as const)('%s', async (_, text, change) => {
    for (const action of ['approve', 'deny']) {
      const { card, click, set, slack, get } = scene()
      const { id, message } = await card()
      set(id, change as object)
      const before = get(id)
      expect((await click(message, action)).status).toBe(200)
      expect(slack.ephemerals).toEqual([{ channel: 'C0PAY', user: 'U123', text }])
      expect(get(id)).toEqual(before)
    }
  })

  it('the first of two who click at once has decided, the second is told', async () => {
    const { card, click, get, slack } = scene()
    const { id, message } = await card()
    await Promise.all([click(message, 'approve', 'U123'), click(message, 'deny', 'U456')])
    expect(get(id).votes).toHaveLength(1)
    expect(slack.ephemerals).toHaveLength(1)
  })

  it('and the card shows it, also one that nobody has noted', async () => {
    let answers = 0
    const there = scene({
      async fetch(url, init) {
        const answer = await there.slack.fetch(url, init as RequestInit)
        if (++answers === 1) throw new TypeError('the connection was closed')
        return answer
      },
    })
    const { ask, show, approver, click, slack } = there
    ask()
    await show(approver).catch(() => {})
    await show(approver)
    const [unnoted, noted] = slack.messages as [SlackMessage, SlackMessage]
    const buttons = () => slack.messages.map((message) => slack.buttonsOf(message).length)
    await click(unnoted, 'approve')
    expect(buttons()).toEqual([0, 3])
    expect(slack.textOf(slack.messages[0]!)).toContain('Approved by <@U123>')
    // The noted one is edited as ever, and by nobody else.
    await click(noted, 'approve')
    expect(buttons()).toEqual([0, 3])
    await show(approver)
    expect(buttons()).toEqual([0, 0])
  })

  it('no form opens for what is decided already, or has been changed', async () => {
    for (const change of [{ state: 'expired' }, { state: 'approved' }, { digest: 'f'.repeat(64) }] as const) {
      const { card, click, set, slack } = scene()
      const { id, message } = await card()
      set(id, change)
      await click(message, 'deny_reason')
      expect([slack.views.length, slack.ephemerals.length]).toEqual([0, 1])
    }
  })

  it('an unknown approval', async () => {
    const here = scene()
    const elsewhere = scene()
    const { message } = await elsewhere.card()
    await here.click(message, 'approve')
    expect(here.slack.ephemerals).toMatchObject([{ text: 'There is no such approval.' }])
    expect(elsewhere.said).toEqual([])
  })

  it('a call of which not all arguments fit the card, whatever was clicked', async () => {
    for (const action of ['approve', 'grant']) {
      const { card, click, set, get, slack, rejected } = scene()
      const { id, message } = await card({ grant: { forMs: 900_000, args: [] } })
      set(id, { argsText: 'x'.repeat(3_000) })
      await click(message, action)
      expect([get(id).state, rejected.length, slack.ephemerals.length]).toEqual(['pending', 1, 1])
      expect(slack.ephemerals[0]?.text).toContain('can not be approved from here')
      await click(message, 'deny')
      expect(get(id).state).toBe('denied')
    }
  })

  it.each(['', 'x', '{}', '[]', 'null', '{"id":"a"}', '{"id":1,"digest":"d"}', '{"id":"","digest":"d"}'])(
    'a button that says nothing of use: %j',
    async (value) => {
      const { slack, deliver, said, rejected } = scene()
      for (const action of ['haldir_approve', 'haldir_deny', 'haldir_deny_reason', 'haldir_grant']) {
        const payload = { type: 'block_actions', user: { id: 'U123' }, actions: [{ action_id: action, value }] }
        expect((await slack.send(payload, deliver)).status).toBe(200)
      }
      expect(said).toEqual([])
      expect([rejected.length, slack.ephemerals.length]).toEqual([4, 4])
      // Nobody knows where it was clicked.
      expect(slack.ephemerals[0]).toMatchObject({ channel: 'C0PAY', user: 'U123' })
    },
  )

  it('in words that mention nobody', async () => {
    const { port, ask, approver, slack, deliver, show } = scene()
    await approver.close?.()
    const why = 'No <!channel> & no more.'
    approver.open?.({ ...port, say: async () => ({ ok: false, refused: 'invalid', why }) })
    ask()
    await show(approver)
    await slack.click(slack.message(), 'haldir_approve', { user: 'U123' }, deliver)
    expect(slack.ephemerals).toMatchObject([{ text: 'No &lt;!channel&gt; &amp; no more.' }])
  })

  it('where they clicked, if the card is seen elsewhere', async () => {
    const { card, click, slack } = scene()
    const { message } = await card()
    await click(message, 'approve', { user: 'U999', channel: 'C0SHARED' })
    expect(slack.ephemerals).toMatchObject([{ channel: 'C0SHARED', user: 'U999' }])
  })

  it('what can not be recorded', async () => {
    const { card, click, slack, get, fails } = scene()
    const { id, message } = await card()
    fails('refuses')
    for (const action of ['approve', 'deny']) {
      const response = await click(message, action)
      expect([response.status, await response.text()]).toEqual([200, ''])
    }
    expect(slack.ephemerals.map(({ text }) => text)).toEqual(
      Array(2).fill('Your decision could not be recorded. Nothing has changed; try again in a moment.'),
    )
    await click(message, 'deny_reason')
    expect(slack.ephemerals.at(-1)?.text).toContain('The form did not open.')
    fails(undefined)
    expect(get(id).state).toBe('pending')
    await click(message, 'approve')
    expect(get(id).state).toBe('approved')
  })

  it('a form that Slack does not open', async () => {
    const { card, click, slack, get } = scene()
    const { id, message } = await card()
    slack.fail('views.open', { error: 'expired_trigger_id', times: 1 })
    await click(message, 'deny_reason')
    expect(slack.ephemerals.at(-1)?.text).toBe('The form did not open. Try again, or deny without a reason.')
    expect(get(id).state).toBe('pending')
  })
})

describe('the form for a reason', () => {
  const opened = async () => {
    const there = scene()
    const { id, message } = await there.card()
    await there.click(message, 'deny_reason')
    return { ...there, id, view: there.slack.views[0]! }
  }

  it.each(['', '   ', 'x'.repeat(501)])('wants one: not %j', async (reason) => {
    const { id, view, slack, deliver, get, said } = await opened()
    const response = await slack.submit(view, { reason }, 'U123', deliver)
    expect(response.headers.get('content-type')).toContain('application/json')
    expect(await response.json()).toEqual({
      response_action: 'errors',
      errors: { reason: 'Say why, in up to 500 characters.' },
    })
    expect([get(id).state, said]).toEqual(['pending', []])
  })

  it('says when it comes too late, beside the card as well', async () => {
    const { id, view, slack, deliver, set } = await opened()
    set(id, { state: 'approved' })
    const response = await slack.submit(view, { reason: 'no' }, 'U123', deliver)
    const why = 'It has been decided already.'
    expect(await response.json()).toEqual({ response_action: 'errors', errors: { reason: why } })
    expect(slack.ephemerals).toEqual([{ channel: 'C0PAY', user: 'U123', text: why }])
  })

  it('is heard from nobody else', async () => {
    const { id, view, slack, deliver, get, rejected } = await opened()
    const response = await slack.submit(view, { reason: 'no' }, 'U999', deliver)
    expect(await response.json()).toMatchObject({ response_action: 'errors' })
    expect([get(id).state, rejected.length]).toEqual(['pending', 1])
  })

  it('says so when Slack takes no message, and in time when Slack hangs', async () => {
    for (const trouble of ['down', 'hangs']) {
      const { id, view, slack, deliver, set, answered } = await opened()
      set(id, { state: 'approved' })
      if (trouble === 'down') slack.down()
      else slack.hang('chat.postEphemeral')
      const response = await answered(slack.submit(view, { reason: 'no' }, 'U123', deliver), 600)
      expect(await response.json()).toMatchObject({ errors: { reason: 'It has been decided already.' } })
    }
  })

  it('tells beside the card, when nobody knows where that was, where its note says', async () => {
    const { id, view, slack, deliver, set } = await opened()
    set(id, { state: 'approved' })
    const { digest } = JSON.parse(view.private_metadata!)
    const other = { ...view, private_metadata: JSON.stringify({ id, digest }) }
    await slack.submit(other, { reason: 'no' }, 'U123', deliver)
    expect(slack.ephemerals).toMatchObject([{ channel: 'C0PAY' }])
  })

  it('of another app, or about nothing, changes nothing', async () => {
    const { view, slack, deliver, said, rejected } = await opened()
    const other = await slack.submit({ ...view, callback_id: 'other' }, { reason: 'no' }, 'U123', deliver)
    expect([other.status, await other.text()]).toEqual([200, ''])
    const nothing = await slack.submit({ ...view, private_metadata: 'x' }, { reason: 'no' }, 'U123', deliver)
    expect(await nothing.json()).toMatchObject({ response_action: 'errors' })
    expect([said, rejected.length]).toEqual([[], 1])
  })
})

describe('Slack is answered within three seconds', () => {
  it.each(['approve', 'deny', 'deny_reason'])('when the store hangs (%s)', async (action) => {
    const { card, click, answered, fails } = scene()
    const { message } = await card()
    fails('hangs')
    expect((await answered(click(message, action), 2_500)).status).toBe(200)
  })

  it('when the store hangs while a form is submitted', async () => {
    const { card, click, answered, fails, slack, deliver } = scene()
    const { message } = await card()
    await click(message, 'deny_reason')
    fails('hangs')
    const work = slack.submit(slack.views[0]!, { reason: 'no' }, 'U123', deliver)
    expect(await (await answered(work, 2_500)).text()).toBe('')
  })

  it('when Slack itself hangs, and the decision counts all the same', async () => {
    const { card, click, answered, slack, get, clock } = scene()
    const { id, message } = await card()
    slack.hang('usergroups.users.list')
    expect((await answered(click(message, 'approve', 'U123'), 2_500)).status).toBe(200)
    expect(get(id).state).toBe('pending')
    await clock.advance(2_000)
    expect(get(id).state).toBe('approved')
  })

  it('when whoever clicked in vain can not be told', async () => {
    for (const trouble of ['hangs', 'down']) {
      const { card, click, answered, slack, rejected } = scene({ approvers: ['U123'] })
      const { message } = await card()
      if (trouble === 'down') slack.down()
      else slack.hang('chat.postEphemeral')
      expect((await answered(click(message, 'approve', 'U999'), 2_500)).status).toBe(200)
      expect(rejected).toHaveLength(1)
    }
  })

  it('and nothing is left waiting afterwards', async () => {
    const { card, click, clock, fails, answered } = scene()
    const { message } = await card()
    await click(message, 'approve', 'U999')
    expect(clock.timers).toBe(0)
    fails('hangs')
    await answered(click(message, 'deny'), 2_500)
    await clock.advance(10_000)
    expect(clock.timers).toBe(0)
  })
})
