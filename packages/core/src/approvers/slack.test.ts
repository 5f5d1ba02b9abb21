/** Cards: what is posted, how it is edited, what happens when Slack does not do as it should. */
import { inspect } from 'node:util'
import type { FakeSlack } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { desk } from '../../../../test/approver-port.ts'
import { slackScene as scene } from '../../../../test/slack-scene.ts'
import { amount, usd } from '../money.ts'
import type { Approval } from './approver.ts'
import { type SlackApproverOptions, slackApprover } from './slack.ts'

/** What a rejected `show` rejects with. */
async function failure(work: Promise<unknown>): Promise<Error & { code?: string; retryAfterMs?: number }> {
  return work.then(
    () => expect.fail('it did not reject'),
    (error) => error,
  )
}

describe('a card', () => {
  it('says who wants to do what, what it costs, what is left, how long there is, why, and with which arguments', async () => {
    const { ask, show, approver, slack } = scene()
    const { id, digest } = ask({
      cost: [usd('29.99'), amount('tokens', 900)],
      left: [usd('70.01')],
      requester: ['order-bot', 'carol'],
    })
    await show(approver)
    const message = slack.message()
    const shown = slack.textOf(message)
    expect(message.channel).toBe('C0PAY')
    expect(message.text).toBe('Approval needed: `order-bot` calls `charge` for `29.99 USD, 900 tokens`')
    expect(message.blocks[0]).toMatchObject({ type: 'header', text: { text: 'Approval needed' } })
    for (const line of [
      '*Agent*\n`order-bot`',
      '*Tool*\n`charge`',
      '*Cost*\n`29.99 USD, 900 tokens`',
      '*Budget left*\n`70.01 USD`',
      '*On behalf of*\n`carol`',
      '*Rule*\n`big-payments`',
      '*Expires*\n<!date^1767225900^{date_short_pretty} {time_secs}|2026-01-01 00:05:00 UTC>',
      '*Why*\n`payments need a person`',
      '```\n{\n  "amount": 29.99,\n  "to": "alice"\n}\n```',
      `Approval \`${id}\` · digest \`${digest.slice(0, 12)}\` · session \`session-1\``,
    ]) {
      expect(shown).toContain(line)
    }
    expect(slack.buttonsOf(message)).toEqual(['haldir_approve', 'haldir_deny', 'haldir_deny_reason'])
  })

  it('carries nothing in its buttons but which approval it is, and of what', async () => {
    const { ask, show, approver, slack } = scene()
    const { id, digest } = ask()
    await show(approver)
    const buttons = slack.message().blocks.flatMap(({ elements = [], type }) => (type === 'actions' ? elements : []))
    expect(buttons).toMatchObject([{ style: 'primary' }, { style: 'danger' }, {}])
    for (const { value } of buttons as { value: string }[]) expect(JSON.parse(value)).toEqual({ id, digest })
  })

  it('is posted so that Slack makes nothing of what stands in it', async () => {
    const { ask, show, approver, slack } = scene()
    const evil = '<!channel> <@U123> <https://evil.test|Approve> *x* ``` & \u202egnp.exe\u200b'
    ask({
      agent: evil,
      reason: evil,
      session: evil,
      terms: [{ rule: evil, quorum: 1 }],
      requester: [evil, `${evil}2`],
      args: evil,
      argsText: `${evil}\n${evil}`,
    })
    await show(approver)
    const { text, blocks } = slack.message()
    const shown = [text, slack.textOf(slack.message())].join('\n').replaceAll(/<!date\^[^>]*>/g, '')
    expect(shown).not.toMatch(/[<>\u202e\u200b]/)
    expect(shown).toContain('&lt;!channel&gt; &lt;@U123&gt;')
    expect(shown).toContain('\\u{202e}gnp.exe\\u{200b}')
    // Two fences: where the arguments begin, and where they end.
    expect(shown.match(/```/g)).toHaveLength(2)
    const texts = blocks.flatMap(({ text, fields = [], elements = [] }) => [text, fields, elements].flat())
    const marked = (texts as { type?: string }[]).filter((one) => one?.type === 'mrkdwn')
    expect(marked.length).toBeGreaterThan(8)
    for (const one of marked) expect(one).toMatchObject({ verbatim: true })
    expect(slack.calls[0]?.body).toMatchObject({
      parse: 'none',
      link_names: false,
      unfurl_links: false,
      unfurl_media: false,
    })
  })

  it.each(['', 'x', '&', '`', '\u202e', '\u{1f600}', '\ud800', '\n', '"', '\\'])(
    'is taken by Slack, also when everything in it is %j without end',
    async (one) => {
      const { ask, set, show, approver, slack } = scene()
      const long = one.repeat(20_000)
      const people = Array.from({ length: 50 }, (_, n) => ({ by: `${n}-${long}`, approve: true, at: new Date(0) }))
      const { id } = ask({
        agent: long,
        reason: long,
        session: long,
        requester: people.map(({ by }) => by),
        terms: people.map(() => ({ rule: long, quorum: 60 })),
        argsText: long,
        votes: people,
        grant: { forMs: 900_000, args: [long] },
        url: `https://console.test/${'x'.repeat(5_000)}`,
      })
      await show(approver)
      for (const state of ['approved', 'denied', 'expired', 'withdrawn'] as const) {
        const last = { by: long, approve: state === 'approved', at: new Date(0), reason: long }
        set(id, { state, votes: [...people, last], usedAt: new Date(0) })
        await show(approver)
      }
      expect(slack.calls.map(({ method, status, error }) => [method, status, error])).toEqual([
        ['chat.postMessage', 200, undefined],
        ...Array.from({ length: 4 }, () => ['chat.update', 200, undefined]),
      ])
    },
  )

  it('offers a yes for a while where the rule does, and names what has to stay the same', async () => {
    const { ask, show, approver, slack } = scene()
    ask({ grant: { forMs: 900_000, args: ['to', 'currency'] } })
    await show(approver)
    expect(slack.buttonsOf(slack.message())).toContain('haldir_grant')
    const shown = slack.textOf(slack.message())
    expect(shown).toContain('Approve for 15 min')
    expect(shown).toContain(
      'For 15 min, calls of charge by order-bot run without asking, if these arguments are the same: to, currency',
    )
  })

  it('offers no yes for a while when what it would be for can not all be said, nor when it holds already', async () => {
    const { ask, show, approver, slack } = scene()
    ask({ grant: { forMs: 900_000, args: Array.from({ length: 60 }, (_, n) => `argument-${n}`) } })
    ask({ grant: { forMs: 900_000, args: [], until: new Date(0) } })
    await show(approver)
    for (const message of slack.messages) {
      expect(slack.buttonsOf(message)).toEqual(['haldir_approve', 'haldir_deny', 'haldir_deny_reason'])
    }
  })

  it('leads to the full view where there is one', async () => {
    const { ask, show, approver, slack } = scene()
    ask({ url: 'https://console.test/approvals/1' })
    ask({ url: 'javascript:alert(1)' })
    await show(approver)
    const [first, second] = slack.messages
    expect(slack.buttonsOf(first!)).toContain('haldir_view')
    expect(JSON.stringify(first)).toContain('"url":"https://console.test/approvals/1"')
    expect(slack.buttonsOf(second!)).not.toContain('haldir_view')
  })
})

describe('arguments that do not all fit', () => {
  const url = 'https://console.test/approvals/1'

  it.each([
    ['one character too many', 'x'.repeat(2_893)],
    ['characters that get longer when they are shown', '\u202e'.repeat(400)],
    ['a megabyte', 'x'.repeat(1_000_000)],
  ])('can not be approved there: %s', async (_, argsText) => {
    const { ask, show, approver, slack } = scene()
    ask({ argsText, url, grant: { forMs: 900_000, args: [] } })
    await show(approver)
    expect(slack.buttonsOf(slack.message())).toEqual(['haldir_view', 'haldir_deny', 'haldir_deny_reason'])
    const shown = slack.textOf(slack.message())
    expect(shown).toContain('*Arguments*, the beginning of them')
    expect(shown).toContain('Not all arguments fit here, so it can be approved only in the full view')
  })

  it('can be approved when they just fit, and are not folded away', async () => {
    const { ask, show, approver, slack } = scene()
    ask({ argsText: 'x'.repeat(2_892) })
    await show(approver)
    expect(slack.buttonsOf(slack.message())).toContain('haldir_approve')
    const section = slack.message().blocks.find((block) => JSON.stringify(block).includes('xxx'))
    expect(section).toMatchObject({ expand: true })
  })

  it('are said to be seen elsewhere when nobody has said where', async () => {
    const { ask, show, approver, slack } = scene()
    ask({ argsText: 'x'.repeat(5_000) })
    await show(approver)
    expect(slack.buttonsOf(slack.message())).toEqual(['haldir_deny', 'haldir_deny_reason'])
    expect(slack.textOf(slack.message())).toContain('only where all of them can be seen')
  })

  it.each(['invalid_blocks', 'msg_blocks_too_long', 'msg_too_long'])(
    'are left out when Slack does not take them (%s)',
    async (error) => {
      const { ask, show, approver, slack } = scene()
      slack.fail('chat.postMessage', { error, times: 1 })
      ask({ url })
      await show(approver)
      expect(slack.messages).toHaveLength(1)
      expect(slack.buttonsOf(slack.message())).toEqual(['haldir_view', 'haldir_deny', 'haldir_deny_reason'])
      expect(slack.textOf(slack.message())).not.toContain('29.99')
    },
  )
})

describe('a card that was posted', () => {
  it('is edited as the votes come', async () => {
    const { ask, set, show, approver, slack } = scene()
    const { id } = ask({ terms: [{ rule: 'two-eyes', quorum: 2 }] })
    await show(approver)
    expect(slack.textOf(slack.message())).toContain('0 of 2 have approved')
    set(id, { votes: [{ by: 'slack:U123', approve: true, at: new Date(0) }] })
    await show(approver)
    expect(slack.messages).toHaveLength(1)
    expect(slack.textOf(slack.message())).toContain('1 of 2 have approved: <@U123>')
    expect(slack.buttonsOf(slack.message())).toContain('haldir_approve')
  })

  it('does not add up what several rules want', async () => {
    const { ask, set, show, approver, slack } = scene()
    const { id } = ask({ terms: ['money', 'night'].map((rule, at) => ({ rule, quorum: at + 1 })) })
    await show(approver)
    expect(slack.textOf(slack.message())).toContain('*Rule*\n`money, night (2 people)`')
    set(id, { votes: ['U1', 'U2'].map((user) => ({ by: `slack:${user}`, approve: true, at: new Date(0) })) })
    await show(approver)
    expect(slack.textOf(slack.message())).toContain('2 have approved: <@U1>, <@U2>')
  })

  it.each<[string, Partial<Approval>, string]>([
    ['approved', { votes: [{ by: 'slack:U123', approve: true, at: new Date(0) }] }, 'Approved by <@U123>'],
    [
      'approved',
      { votes: [{ by: 'alice', approve: true, at: new Date(0), reason: 'known <customer>' }] },
      'Approved by `alice`\n`known &lt;customer&gt;`',
    ],
    [
      'approved',
      { grant: { forMs: 900_000, args: [], until: new Date(900_000) }, usedAt: new Date(1_000) },
      'Calls like it run without asking until <!date^900^{date_short_pretty} {time_secs}|1970-01-01 00:15:00 UTC>\nUsed <!date^1^',
    ],
    [
      'denied',
      { votes: [{ by: 'slack:U9', approve: false, at: new Date(0), reason: 'too much' }] },
      'Denied by <@U9>\n`too much`',
    ],
    ['denied', {}, 'Denied'],
    ['expired', {}, 'Nobody decided in time'],
    ['withdrawn', {}, 'It was withdrawn'],
  ])('ends as %s, without buttons (%#)', async (state, more, said) => {
    const { ask, set, show, approver, slack } = scene()
    const { id } = ask()
    await show(approver)
    set(id, { state: state as Approval['state'], decidedAt: new Date(60_000), ...more })
    await show(approver)
    expect(slack.messages).toHaveLength(1)
    const message = slack.message()
    expect(slack.buttonsOf(message)).toEqual([])
    expect(message.blocks.some(({ type }) => type === 'actions')).toBe(false)
    expect(slack.textOf(message)).toContain(said)
    expect(slack.textOf(message)).toContain('*Ended*\n<!date^60^')
    expect(message.text.startsWith(`${state[0]?.toUpperCase()}${state.slice(1)}: `)).toBe(true)
  })

  it('says when an approver has changed the arguments', async () => {
    const { ask, set, show, approver, slack } = scene()
    const { id } = ask()
    await show(approver)
    const votes = [{ by: 'slack:U1', approve: true, at: new Date(0) }]
    set(id, {
      edited: true,
      argsText: '{ "amount": 5 }',
      digest: 'e'.repeat(64),
      votes,
      terms: [{ rule: 'x', quorum: 2 }],
    })
    await show(approver)
    expect(slack.textOf(slack.message())).toContain('1 of 2 have approved: <@U1>')
    expect(slack.textOf(slack.message())).toContain('*Arguments* (changed by an approver)\n```\n{ "amount": 5 }')
    expect(JSON.stringify(slack.message().blocks.at(-1))).toContain('e'.repeat(64))
  })

  it.each(['message_not_found', 'cant_update_message', 'edit_window_closed', 'channel_not_found', 'is_archived'])(
    'and is gone is not tried for ever (%s)',
    async (error) => {
      const { ask, set, show, approver, slack } = scene()
      const { id } = ask()
      await show(approver)
      slack.fail('chat.update', { error })
      set(id, { state: 'expired' })
      await show(approver)
      expect(slack.calls).toHaveLength(2)
    },
  )

  it('is not posted for what is over before anybody saw it', async () => {
    const { ask, show, approver, slack } = scene()
    for (const state of ['approved', 'denied', 'expired', 'withdrawn'] as const) ask({ state })
    await show(approver)
    expect(slack.calls).toEqual([])
  })

  it('is posted anew when the note of it makes no sense', async () => {
    const { ask, approver, slack } = scene()
    const { signal } = new AbortController()
    for (const note of ['C1', null, { channel: 'C1' }, { ts: 1, channel: 2 }]) {
      expect(await approver.show(ask(), note, signal)).toEqual({ channel: 'C0PAY', ts: slack.message().ts })
    }
  })
})

describe('when Slack does not do as it should, a card', () => {
  it.each<[string, Parameters<FakeSlack['fail']>[1], string]>([
    ['refuses', { error: 'not_in_channel' }, '`chat.postMessage` was refused: `not_in_channel`'],
    [
      'does not know the channel yet',
      { error: 'channel_not_found' },
      '`chat.postMessage` was refused: `channel_not_found`',
    ],
    ['refuses in words of no kind', { error: 'x<script>' }, '`chat.postMessage` was refused: `unknown_error`'],
    ['has trouble', { status: 503 }, '`chat.postMessage` has trouble'],
    ['wants to be left alone', { status: 429 }, '`chat.postMessage` asks to be left alone for a while'],
  ])('is tried again: it %s', async (_, failure_, message) => {
    const { ask, show, approver, slack } = scene()
    slack.fail('chat.postMessage', { ...failure_, times: 1 })
    ask()
    const error = await failure(show(approver))
    expect(error.code).toBe('unavailable')
    expect(error.message).toBe(message)
    await show(approver)
    expect(slack.messages).toHaveLength(1)
  })

  it('is tried again when there is time to, as Slack says it', async () => {
    const { ask, approver, slack, clock } = scene()
    const { signal } = new AbortController()
    const waits: unknown[] = []
    for (const retryAfter of [1, 30, 86_400]) {
      slack.fail('chat.postMessage', { status: 429, retryAfter, times: 1 })
      waits.push((await failure(Promise.resolve(approver.show(ask(), undefined, signal)))).retryAfterMs)
      await clock.advance(3_600_000)
    }
    expect(waits).toEqual([1_000, 30_000, 3_600_000])
  })

  it('waits with all the others, when Slack has said how long', async () => {
    const { ask, approver, slack, clock } = scene()
    const { signal } = new AbortController()
    const show = () => Promise.resolve(approver.show(ask(), undefined, signal))
    slack.fail('chat.postMessage', { status: 429, retryAfter: 30, times: 1 })
    await failure(show())
    await clock.advance(10_000)
    expect((await failure(show())).retryAfterMs).toBe(20_000)
    expect(slack.calls).toHaveLength(1)
    await clock.advance(20_000)
    await show()
    expect(slack.messages).toHaveLength(1)
  })

  it('is tried again when Slack can not be reached', async () => {
    const { ask, show, approver, slack } = scene()
    slack.down()
    ask()
    const error = await failure(show(approver))
    expect([error.code, error.message]).toEqual(['unavailable', '`chat.postMessage` could not be reached'])
    slack.up()
    await show(approver)
    expect(slack.messages).toHaveLength(1)
  })

  it('takes no longer than four seconds, also with a fetch that does not listen', async () => {
    for (const deaf of [false, true]) {
      const { ask, show, approver, slack, clock } = scene(deaf ? { fetch: () => new Promise(() => {}) } : {})
      slack.hang('chat.postMessage')
      ask()
      const work = failure(show(approver))
      await clock.advance(3_999)
      let over = false
      work.then(() => {
        over = true
      })
      await clock.advance(0)
      expect(over).toBe(false)
      await clock.advance(1)
      expect((await work).message).toBe('`chat.postMessage` did not answer in time')
      expect(clock.timers).toBe(0)
    }
  })

  it('is given up as soon as nobody waits for it', async () => {
    for (const deaf of [false, true]) {
      const { ask, show, approver, slack, clock } = scene(deaf ? { fetch: () => new Promise(() => {}) } : {})
      slack.hang('chat.postMessage')
      ask()
      const controller = new AbortController()
      const work = failure(show(approver, controller.signal))
      await clock.advance(1)
      controller.abort()
      expect((await work).code).toBe('unavailable')
      expect(clock.timers).toBe(0)
      expect((await failure(show(approver, controller.signal))).code).toBe('unavailable')
    }
  })

  it.each([
    ['no JSON', '<html>'],
    ['nothing', ''],
    ['null', 'null'],
    ['no place of the message', '{"ok":true}'],
    ['neither yes nor no', '{"ok":"yes","channel":"C1","ts":"1"}'],
  ])('is tried again when the answer is %s', async (_, body) => {
    const { ask, show, approver } = scene({ fetch: async () => new Response(body) })
    ask()
    expect((await failure(show(approver))).message).toBe('`chat.postMessage` answered nonsense')
  })

  it('goes over HTTP as well', async () => {
    const { token, slack, ask, set, show } = { token: 'xoxb-fake', ...scene() }
    const apiUrl = await slack.listen()
    const people = { ask, set, show }
    const approver = slackApprover({ token, signingSecret: 'x', apiUrl, channel: '#payments', approvers: ['U123'] })
    approver.open?.(desk().port)
    const { id } = people.ask()
    await people.show(approver)
    people.set(id, { state: 'withdrawn' })
    await people.show(approver)
    expect(slack.messages).toMatchObject([{ channel: 'CPAYMENTS', text: 'Withdrawn: `order-bot` calls `charge`' }])
    slack.down()
    people.ask()
    expect((await failure(people.show(approver))).message).toBe('`chat.postMessage` could not be reached')
  })
})

describe('slackApprover', () => {
  const sound = { token: 'xoxb-1', channel: 'C1', signingSecret: 'secret', approvers: ['U123', 'S0GROUP'] }
  const made = (more: object) => () => slackApprover({ ...sound, ...more } as SlackApproverOptions)

  it.each<[string, object]>([
    ['approvers', { approvers: undefined }],
    ['approvers', { approvers: [] }],
    ['approvers', { approvers: 'anyone' }],
    ['approvers.1', { approvers: ['U123', '@alice'] }],
    ['approvers.0', { approvers: ['C123'] }],
    ['approvers.0', { approvers: [{}] }],
    ['token', { token: undefined }],
    ['token', { token: 'xoxb\n1' }],
    ['signingSecret', { signingSecret: '' }],
    ['signingSecret', { signingSecret: undefined }],
    ['channel', { channel: '' }],
    ['channel', { channel: 'two words' }],
    ['apiUrl', { apiUrl: 'http://slack.com/api/' }],
    ['apiUrl', { apiUrl: 'ftp://127.0.0.1/' }],
    ['apiUrl', { apiUrl: 'https://me:word@slack.com/api/' }],
    ['apiUrl', { apiUrl: 'http://127.0.0.1.evil.test/' }],
    ['apiUrl', { apiUrl: 'nowhere' }],
    ['fetch', { fetch: 'yes' }],
    ['path', { path: 'haldir' }],
    ['path', { path: '/' }],
    ['name', { name: '' }],
    ['name', { name: 'slack:eu' }],
    ['signingsecret', { signingsecret: 'x' }],
  ])('names the option that is wrong: %s (%#)', (path, more) => {
    expect(made(more)).toThrow(expect.objectContaining({ name: 'ConfigError', code: 'invalid-option', path }))
  })

  it('says no value of an option when it is wrong', () => {
    for (const more of [{ token: 'xoxb 77' }, { signingSecret: 'xoxb 77' }, { approvers: ['xoxb 77'] }]) {
      expect(made(more)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('77') }))
    }
  })

  it('takes what is right', () => {
    for (const more of [
      { approvers: 'channel' },
      { approvers: ['slack:U123', 'W0', 'S1'] },
      { apiUrl: 'http://localhost:3000/api' },
      { apiUrl: 'http://[::1]:3000/api/' },
      { apiUrl: 'https://slack-gov.com/api/' },
      { path: '/slack', name: 'slack-eu', channel: '#payments' },
    ]) {
      expect(made(more)).not.toThrow()
    }
    expect([slackApprover(sound).name, made({ name: 'slack-eu' })().name]).toEqual(['slack', 'slack-eu'])
  })

  it('asks where Slack is, with the token, and follows no redirect', async () => {
    const asked: unknown[] = []
    const approver = slackApprover({
      ...sound,
      fetch: async (url, { method, headers, redirect }) => {
        asked.push({ url, method, headers, redirect })
        return Response.json({ ok: true, channel: 'C1', ts: '1.2' })
      },
    })
    const { port, ask, show } = desk()
    approver.open?.(port)
    ask()
    await show(approver)
    const headers = { authorization: 'Bearer xoxb-1', 'content-type': 'application/json; charset=utf-8' }
    expect(asked).toEqual([
      { url: 'https://slack.com/api/chat.postMessage', method: 'POST', headers, redirect: 'error' },
    ])
  })

  it('shows neither token nor signing secret to whoever prints it', () => {
    const approver = slackApprover({ ...sound, token: 'xoxb-hidden', signingSecret: 'hidden-too' })
    approver.open?.(desk().port)
    const printed = [inspect(approver, { depth: 9, showHidden: true }), JSON.stringify(approver), String(approver)]
    expect(printed.join()).not.toContain('hidden')
  })

  it('belongs to one haldir, and to none after it was closed', async () => {
    const approver = slackApprover(sound)
    approver.open?.(desk().port)
    expect(() => approver.open?.(desk().port)).toThrow(expect.objectContaining({ code: 'invalid-option' }))
    await approver.close?.()
    const { signal } = new AbortController()
    expect((await failure(Promise.resolve(approver.show(desk().ask(), undefined, signal)))).code).toBe('unavailable')
    const asked = new Request('http://127.0.0.1/haldir/slack', { method: 'POST', body: 'x' })
    expect((await approver.fetch?.(asked))?.status).toBe(503)
    approver.open?.(desk().port)
  })
})
