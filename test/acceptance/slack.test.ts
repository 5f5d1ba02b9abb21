/** A person decides in Slack: a real haldir, a real store, and a Slack that clicks. */
import {
  governed,
  type Haldir,
  type HaldirOptions,
  type Policy,
  type Rule,
  type Session,
  type Store,
  usd,
} from '@haldir/core'
import { type SlackApproverOptions, slackApprover } from '@haldir/core/approvers/slack'
import { type FakeClock, fakeClock, fakeSlack, type SlackMessage } from '@haldir/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { caughtBy, type Pay, pendingOf } from './approval-scene.ts'
import { fleet, type House, STORES } from './scene.ts'

const asks = (rule: Partial<Rule> = {}): Policy => ({
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', because: 'large', ...rule }],
})

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()))
})

interface Wanted {
  readonly rule?: Partial<Rule>
  readonly options?: HaldirOptions
  readonly slack?: Partial<SlackApproverOptions>
  readonly kind?: (typeof STORES)[number]
  readonly change?: (store: Store) => Partial<Store>
}

async function scene({ rule, options = {}, slack: more = {}, kind = 'memory', change }: Wanted = {}) {
  const clock = fakeClock()
  const shared = fleet(kind, clock)
  const slack = fakeSlack({ clock, groups: { S0FIN: ['U456'] } })
  closing.push(() => slack.close())
  const { token, signingSecret, apiUrl, fetch } = slack
  const approvers = ['U123', 'U124', 'S0FIN']
  const house = () => {
    const approver = slackApprover({ token, signingSecret, apiUrl, fetch, channel: 'C0PAY', approvers, ...more })
    return shared.house({ policy: asks(rule), approvers: [approver], ...options }, change)
  }
  const { haldir, entries } = house()
  const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:100'], ttl: '2d' })
  const paid: Pay[] = []
  const card = () => until(clock, () => slack.messages.at(-1))
  const click = (message: SlackMessage, action: string, user = 'U123', how: object = {}) =>
    slack.click(message, `haldir_${action}`, { user, ...how }, haldir.fetch.bind(haldir))
  const ended = (words: string) => until(clock, () => slack.textOf(slack.message()).includes(words) || undefined)
  return { clock, slack, house, haldir, entries, session, paid, pay: payer(haldir, session, paid), card, click, ended }
}

function payer(haldir: House['haldir'], session: Session, paid: Pay[]) {
  const run = async (args: Pay) => {
    paid.push(args)
    return `paid ${args.amount}`
  }
  return governed(run, { name: 'pay', scope: 'spend', cost: ({ amount }: Pay) => usd(amount) }, { haldir, session })
}

/** Ends it for whoever still waits. Closing looks at a clock that stands still, so only they are waited for. */
async function over(haldir: Haldir, calling: Promise<unknown>): Promise<void> {
  void haldir.close()
  expect(await calling).toMatchObject({ code: 'unavailable' })
}

/** Lets what waits for promises alone go on, until there is something. */
async function until<T>(clock: FakeClock, look: () => T | undefined): Promise<T> {
  for (let turn = 0; turn < 200; turn++) {
    const found = look()
    if (found !== undefined) return found
    await clock.advance(0)
  }
  return expect.fail('it did not happen')
}

describe.each(STORES)('a call that asks in Slack (%s)', (kind) => {
  it('shows what it wants, and runs, once, when somebody clicks Approve', async () => {
    const { pay, card, click, ended, paid, slack, entries } = await scene({ kind })
    const calling = pay({ amount: 29.99, to: 'alice' })
    const message = await card()
    const shown = slack.textOf(message)
    for (const line of [
      'Approval needed',
      '*Agent*\n`order-bot`',
      '*Tool*\n`pay`',
      '*Cost*\n`29.99 USD`',
      '*Budget left*\n`100 USD`',
      '2026-01-01 00:05:00 UTC',
      '`large`',
      '{\n  "amount": 29.99,\n  "to": "alice"\n}',
    ]) {
      expect(shown).toContain(line)
    }
    expect(paid).toEqual([])
    expect((await click(message, 'approve')).status).toBe(200)
    expect(await calling).toBe('paid 29.99')
    await ended('Approved by <@U123>')
    expect(slack.messages).toHaveLength(1)
    expect(slack.buttonsOf(slack.message())).toEqual([])
    expect(paid).toEqual([{ amount: 29.99, to: 'alice' }])
    expect(entries('approval-decided')[0]?.data).toMatchObject({ state: 'approved', by: ['slack:U123'] })
    // Whoever clicks on what they still see learns that it is over.
    await click(message, 'deny')
    expect(slack.ephemerals).toMatchObject([{ user: 'U123', text: 'This was approved already.' }])
    expect(paid).toHaveLength(1)
  })

  it('does not run when somebody clicks Deny', async () => {
    const { pay, card, click, ended, paid, slack } = await scene({ kind })
    const calling = caughtBy(pay({ amount: 29.99 }))
    await click(await card(), 'deny')
    expect(await calling).toMatchObject({ code: 'approval-denied', rule: 'big' })
    await ended('Denied by <@U123>')
    expect([slack.buttonsOf(slack.message()), paid]).toEqual([[], []])
  })

  it('tells the agent why, when somebody says why', async () => {
    const { pay, card, click, ended, haldir, slack } = await scene({ kind })
    const calling = caughtBy(pay({ amount: 29.99 }))
    await click(await card(), 'deny_reason')
    const [view] = slack.views
    const answer = await slack.submit(view!, { reason: 'not this supplier' }, 'U123', haldir.fetch.bind(haldir))
    expect([answer.status, await answer.text()]).toEqual([200, ''])
    expect(String(await calling)).toContain('a person has denied it: not this supplier')
    await ended('Denied by <@U123>\n`not this supplier`')
  })

  it('ends when nobody decides: the card says so, and a click comes too late', async () => {
    const { pay, card, click, ended, clock, paid, slack, entries, session } = await scene({ kind })
    const calling = caughtBy(pay({ amount: 29.99 }))
    const message = await card()
    await clock.advance(310_000)
    expect(await calling).toMatchObject({ code: 'approval-expired' })
    await ended('Nobody decided in time')
    expect(slack.buttonsOf(slack.message())).toEqual([])
    expect((await click(message, 'approve')).status).toBe(200)
    expect(slack.ephemerals).toMatchObject([{ user: 'U123', text: expect.stringContaining('expired') }])
    expect(entries('approval-rejected').at(-1)?.data).toMatchObject({ why: 'expired', by: 'slack:U123' })
    expect((await session.budget())[0]?.held.toString()).toBe('0 USD')
    expect(paid).toEqual([])
  })

  it('ends with its session, and is over when it is decided elsewhere', async () => {
    for (const end of ['revoked', 'decided']) {
      const { pay, card, click, ended, session, paid, slack, haldir } = await scene({ kind })
      const calling = caughtBy(pay({ amount: 29.99 }))
      const message = await card()
      const { id } = await pendingOf(haldir)
      if (end === 'revoked') await session.revoke('enough')
      else await haldir.approvals.decide(id, { approve: false, by: 'ann' })
      expect(await calling).toMatchObject({ code: end === 'revoked' ? 'session-revoked' : 'approval-denied' })
      await ended(end === 'revoked' ? 'It was withdrawn' : 'Denied by `ann`')
      expect(slack.buttonsOf(slack.message())).toEqual([])
      await click(message, 'approve')
      expect(slack.ephemerals).toHaveLength(1)
      expect(paid).toEqual([])
    }
  })

  it('wants two people where the rule does, and counts each of them once', async () => {
    const { pay, card, click, ended, paid, slack } = await scene({ kind, rule: { quorum: 2 } })
    const calling = pay({ amount: 29.99 })
    const message = await card()
    expect(slack.textOf(message)).toContain('0 of 2 have approved')
    await click(message, 'approve', 'U123')
    await ended('1 of 2 have approved: <@U123>')
    await click(message, 'approve', 'U123')
    expect(slack.ephemerals).toMatchObject([{ user: 'U123', text: expect.stringContaining('said so already') }])
    expect(paid).toEqual([])
    await click(slack.message(), 'approve', 'U124')
    expect(await calling).toBe('paid 29.99')
    await ended('Approved by <@U123>, <@U124>')
  })

  it('takes one decision of two that come at once', async () => {
    for (let round = 0; round < 5; round++) {
      const { pay, card, click, paid, slack, entries } = await scene({ kind })
      const calling = caughtBy(pay({ amount: 29.99 }))
      const message = await card()
      await Promise.all([
        click(message, 'approve', 'U123'),
        click(message, 'deny', 'U124'),
        click(message, 'approve', 'U456'),
      ])
      const error = await calling
      expect(entries('approval-decided')).toHaveLength(1)
      expect(paid).toHaveLength(error === undefined ? 1 : 0)
      expect(slack.ephemerals).toHaveLength(2)
    }
  })

  it('is decided in whichever process the click arrives, and replayed in none', async () => {
    const { pay, card, slack, house, paid, clock, haldir } = await scene({ kind, rule: { quorum: 2 } })
    const other = house().haldir
    const calling = pay({ amount: 29.99 })
    const message = await card()
    const there = (request: Request) => other.fetch(request)
    await slack.click(message, 'haldir_approve', { user: 'U123' }, there)
    // The other process knows nothing of that request; the store does.
    expect((await slack.resend((request) => haldir.fetch(request))).status).toBe(200)
    expect((await slack.resend(there)).status).toBe(401)
    expect((await pendingOf(haldir)).votes).toHaveLength(1)
    await slack.click(message, 'haldir_approve', { user: 'U124' }, there)
    let done: unknown
    calling.then((value) => {
      done = value
    })
    for (let seconds = 0; seconds < 20 && !done; seconds++) await clock.advance(1_000)
    expect([done, paid.length, slack.messages.length]).toEqual(['paid 29.99', 1, 1])
    expect(slack.textOf(slack.message())).toContain('Approved by <@U123>, <@U124>')
  })

  it('is suspended, decided days of work later by a click in another process, and run once', async () => {
    const {
      pay,
      card,
      slack,
      house,
      paid,
      clock,
      haldir,
      session: { token },
    } = await scene({
      kind,
      options: { approvals: { mode: 'suspend' } },
    })
    expect(await caughtBy(pay({ amount: 29.99 }))).toMatchObject({ code: 'approval-pending' })
    const message = await card()
    await haldir.close()
    await clock.advance(6 * 3_600_000)
    const later = house().haldir
    const again: Pay[] = []
    const session = await later.attach(token)
    payer(later, session, again)
    const results: unknown[] = []
    later.approvals.onDecided(async ({ id, state }) => {
      if (state === 'approved') results.push(await later.approvals.resume(id))
    })
    await slack.click(message, 'haldir_approve', { user: 'U123' }, (request) => later.fetch(request))
    await until(clock, () => results[0])
    expect([results, paid, again]).toEqual([['paid 29.99'], [], [{ amount: 29.99 }]])
    await later.sweep()
    expect([results.length, again.length]).toEqual([1, 1])
    expect(slack.textOf(slack.message())).toContain('Approved by <@U123>')
  })
})

describe('who may click', () => {
  it.each(['approve', 'deny', 'deny_reason'])('is nobody else: %s', async (action) => {
    const { pay, card, click, slack, paid, entries, haldir } = await scene()
    const calling = caughtBy(pay({ amount: 29.99 }))
    expect((await click(await card(), action, 'U999')).status).toBe(200)
    expect(slack.ephemerals).toEqual([
      { channel: 'C0PAY', user: 'U999', text: 'You are not among those who may decide this.' },
    ])
    expect(entries('approval-rejected').map(({ data, call }) => [data, call !== null])).toEqual([
      [
        {
          approval: (await pendingOf(haldir)).id,
          channel: 'slack',
          why: 'You are not among those who may decide this.',
          by: 'slack:U999',
        },
        true,
      ],
    ])
    expect([(await pendingOf(haldir)).votes, paid, slack.views]).toEqual([[], [], []])
    await over(haldir, calling)
  })

  it('are members of the group that the rule names', async () => {
    const { pay, card, click, slack, ended } = await scene({ rule: { approvers: ['slack:S0FIN'] } })
    const calling = pay({ amount: 29.99 })
    const message = await card()
    await click(message, 'approve', 'U123')
    expect(slack.ephemerals).toMatchObject([{ user: 'U123', text: 'You are not among those who may decide this.' }])
    await click(message, 'approve', 'U456')
    expect(await calling).toBe('paid 29.99')
    await ended('Approved by <@U456>')
  })

  it('is not whoever the agent acts for', async () => {
    const { haldir, card, click, slack, paid } = await scene()
    const own = await haldir.createSession({
      agent: 'order-bot',
      scopes: ['spend:100'],
      ttl: '1h',
      attributes: { requester: 'slack:U123' },
    })
    const calling = payer(haldir, own, paid)({ amount: 29.99 })
    const message = await card()
    expect(slack.textOf(message)).toContain('*On behalf of*\n`slack:U123`')
    await click(message, 'approve', 'U123')
    expect(slack.ephemerals).toMatchObject([{ text: 'Who asks for something does not approve it.' }])
    await click(message, 'approve', 'U124')
    expect(await calling).toBe('paid 29.99')
  })
})

describe('a click that is not what it seems', () => {
  it.each([
    ['signed by somebody else', { secret: 'stolen' }],
    ['old', { age: 301 }],
    ['of the future', { age: -301 }],
    ['not signed', { headers: { 'x-slack-signature': null } }],
  ])('changes nothing, is answered, and stands in the trail: %s', async (_, how) => {
    const { pay, card, click, paid, entries, haldir, slack } = await scene()
    const calling = caughtBy(pay({ amount: 29.99 }))
    const message = await card()
    const response = await click(message, 'approve', 'U123', how)
    const why = (await response.text()).trim()
    expect([response.status, why.length > 20]).toEqual([401, true])
    expect(entries('approval-rejected').map(({ data }) => data)).toEqual([{ channel: 'slack', why }])
    expect([(await pendingOf(haldir)).votes, slack.ephemerals, paid]).toEqual([[], [], []])
    await over(haldir, calling)
  })

  it('counts once when it is replayed or repeated', async () => {
    const { pay, card, click, haldir, slack, entries } = await scene({ rule: { quorum: 2 } })
    const calling = caughtBy(pay({ amount: 29.99 }))
    await click(await card(), 'approve')
    const deliver = (request: Request) => haldir.fetch(request)
    expect((await slack.resend(deliver)).status).toBe(401)
    expect((await slack.resend(deliver, { retry: 1 })).status).toBe(200)
    expect((await slack.resend(deliver, { retry: 2, age: 0 })).status).toBe(200)
    expect(entries('approval-voted')).toHaveLength(1)
    expect(entries('approval-rejected').map(({ data }) => data.why)).toEqual(['the request has been received before'])
    await over(haldir, calling)
  })

  it('leads nowhere at another path', async () => {
    const { pay, card, click, haldir, paid } = await scene()
    const calling = caughtBy(pay({ amount: 29.99 }))
    const response = await click(await card(), 'approve', 'U123', { url: 'https://app.test/haldir/webhook' })
    expect(response.status).toBe(404)
    expect(paid).toEqual([])
    await over(haldir, calling)
  })
})

describe('what a card shows', () => {
  it('is all arguments or no Approve, but a link to where they are', async () => {
    const { pay, card, click, ended, paid, slack, haldir } = await scene({
      options: { approvals: { url: 'https://console.test/approvals' } },
    })
    const calling = pay({ amount: 29.99, to: 'x'.repeat(5_000) })
    const message = await card()
    const { id, digest } = await pendingOf(haldir)
    expect(slack.buttonsOf(message)).toEqual(['haldir_view', 'haldir_deny', 'haldir_deny_reason'])
    expect(JSON.stringify(message)).toContain(`"url":"https://console.test/approvals/${id}"`)
    // A button of an earlier card, or of none at all.
    const value = JSON.stringify({ id, digest })
    const actions = [{ action_id: 'haldir_approve', value }]
    const deliver = (request: Request) => haldir.fetch(request)
    await slack.send({ type: 'block_actions', user: { id: 'U123' }, actions }, deliver)
    expect([paid, slack.ephemerals.length]).toEqual([[], 1])
    await haldir.approvals.decide(id, { approve: true, by: 'ann', digest })
    expect(await calling).toBe('paid 29.99')
    await ended('Approved by `ann`')
    await click(message, 'deny')
    expect(slack.ephemerals).toHaveLength(2)
  })

  it('hides nothing and turns nothing round', async () => {
    const { pay, card, slack, haldir } = await scene()
    const to = 'bob\u202egnp.\u200b<!channel>```*x*'
    const calling = caughtBy(pay({ amount: 29.99, to }))
    const message = await card()
    const shown = slack.textOf(message)
    expect(JSON.stringify(message)).not.toMatch(/[\u202e\u200b]|<!channel/)
    expect(shown).toContain('"to": "bob\\u{202e}gnp.\\u{200b}&lt;!channel&gt;\\u{60}\\u{60}\\u{60}*x*"')
    await over(haldir, calling)
  })

  it('is no secret that the session was given', async () => {
    proves('invariant-7')
    const secret = 'DE89370400440532013000'
    const key = {
      id: 'k',
      wrap: (bytes: Uint8Array) => bytes.map((byte) => byte ^ 7),
      unwrap: (bytes: Uint8Array) => bytes.map((byte) => byte ^ 7),
    }
    const { haldir, session, card, slack, click, ended } = await scene({ options: { vault: { keys: [key] } } })
    await haldir.vault.put('iban', secret, { scope: 'spend' })
    const run = async ({ to = '' }: Pay) => to === secret
    const options = { name: 'pay', scope: 'spend', cost: ({ amount }: Pay) => usd(amount), secrets: ['iban'] }
    const pay = governed(run, options, { haldir, session })
    // Once it was revealed, it is looked for in all that people are shown.
    await pay({ amount: 1 })
    const calling = pay({ amount: 50, to: secret })
    await click(await card(), 'approve')
    expect(await calling).toBe(true)
    await ended('Approved by')
    expect(slack.calls.length).toBeGreaterThan(1)
    expect(JSON.stringify(slack.calls)).not.toContain(secret)
  })

  it('is worth a while where the rule says so: calls like it ask nobody', async () => {
    const { pay, card, click, ended, paid, slack, clock } = await scene({
      rule: { grant: { for: '15m', args: ['to'] } },
    })
    const calling = pay({ amount: 20, to: 'alice' })
    const message = await card()
    expect(slack.buttonsOf(message)).toContain('haldir_grant')
    await click(message, 'grant')
    await calling
    await ended('Calls like it run without asking until')
    expect(await pay({ amount: 30, to: 'alice' })).toBe('paid 30')
    expect([slack.messages.length, paid.length]).toEqual([1, 2])
    await clock.advance(900_000)
    const asking = caughtBy(pay({ amount: 20, to: 'alice' }))
    await until(clock, () => slack.messages[1])
    await clock.advance(310_000)
    expect(await asking).toMatchObject({ code: 'approval-expired' })
  })
})

describe('an outage', () => {
  it('of Slack stalls no call past its timeout', async () => {
    for (const trouble of ['down', 'hangs', 'busy', 'broken']) {
      const { pay, clock, slack, paid } = await scene({ rule: { timeout: '2m' } })
      if (trouble === 'down') slack.down()
      else if (trouble === 'hangs') slack.hang('chat.postMessage')
      else slack.fail('chat.postMessage', trouble === 'busy' ? { status: 429, retryAfter: 600 } : { status: 500 })
      let told: unknown
      void caughtBy(pay({ amount: 29.99 })).then((error) => {
        told = error
      })
      await clock.advance(119_000)
      expect([told, paid]).toEqual([undefined, []])
      await clock.advance(6_000)
      expect(told).toMatchObject({ code: 'approval-expired' })
      slack.up()
      await clock.advance(3_600_000)
      expect([slack.messages, paid]).toEqual([[], []])
    }
  })

  it('of Slack that ends leads to one card, as soon as Slack wants it', async () => {
    const { pay, card, click, clock, slack } = await scene()
    slack.fail('chat.postMessage', { status: 429, retryAfter: 30 })
    const calling = pay({ amount: 29.99 })
    await clock.advance(29_000)
    expect(slack.calls).toHaveLength(1)
    slack.up()
    await clock.advance(6_000)
    await click(await card(), 'approve')
    expect(await calling).toBe('paid 29.99')
    expect(slack.messages).toHaveLength(1)
  })

  it('of Slack while it is decided is made up for afterwards', async () => {
    const { pay, card, click, ended, clock, slack } = await scene()
    const calling = pay({ amount: 29.99 })
    const message = await card()
    slack.fail('chat.update', { status: 503 })
    await click(message, 'approve')
    expect(await calling).toBe('paid 29.99')
    expect(slack.textOf(slack.message())).toContain('Approval needed')
    slack.up()
    await clock.advance(120_000)
    await ended('Approved by <@U123>')
  })

  it('of the store makes a click count for nothing, and is said', async () => {
    let broken = false
    const { pay, card, click, slack, haldir, paid } = await scene({
      change: (store) => ({
        approval: {
          ...store.approval,
          change: (...args) => {
            if (broken) throw new Error('disk on fire')
            return store.approval.change(...args)
          },
        },
      }),
    })
    const calling = pay({ amount: 29.99 })
    const message = await card()
    broken = true
    expect((await click(message, 'approve')).status).toBe(200)
    expect(slack.ephemerals).toMatchObject([{ user: 'U123', text: expect.stringContaining('could not be recorded') }])
    expect([(await pendingOf(haldir)).votes, paid]).toEqual([[], []])
    broken = false
    await click(message, 'approve')
    expect(await calling).toBe('paid 29.99')
  })
})
