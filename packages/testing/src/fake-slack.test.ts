import { describe, expect, it } from 'vitest'
import { fakeClock } from './clock.ts'
import { slackSignature } from './fake-slack/deliver.ts'
import { fakeSlack } from './fake-slack.ts'

type Body = Readonly<Record<string, unknown>>

function scene() {
  const clock = fakeClock()
  const slack = fakeSlack({ clock, groups: { S1: ['U1', 'U2'] } })
  const call = async (method: string, body: Body, headers: Record<string, string> = {}) => {
    const response = await slack.fetch(slack.apiUrl + method, {
      method: 'POST',
      headers: { authorization: `Bearer ${slack.token}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    return (await response.json()) as Body
  }
  const post = (blocks: unknown) => call('chat.postMessage', { channel: 'C1', text: 'x', blocks })
  return { clock, slack, call, post }
}

const plain = (text: string) => ({ type: 'plain_text', text })
const button = (more: object = {}) => ({ type: 'button', action_id: 'a', text: plain('A'), ...more })
const actions = (...elements: object[]) => ({ type: 'actions', elements })
const section = (text: string) => ({ type: 'section', text: { type: 'mrkdwn', text } })

describe('the API of a fake Slack', () => {
  it('posts, updates and remembers', async () => {
    const { slack, call, post } = scene()
    expect(() => slack.message()).toThrow('nothing was posted')
    const { channel, ts } = await post([section('one')])
    expect(slack.messages).toEqual([{ channel: 'C1', ts, text: 'x', blocks: [section('one')] }])
    expect(await call('chat.update', { channel, ts, text: 'y' })).toMatchObject({ ok: true, ts })
    expect(slack.message()).toMatchObject({ text: 'y', blocks: [section('one')] })
    await call('chat.update', { channel, ts, blocks: [] })
    expect(slack.message()).toMatchObject({ text: 'y', blocks: [] })
    expect(await call('chat.update', { channel, ts: '1.1' })).toEqual({ ok: false, error: 'message_not_found' })
    await call('chat.postEphemeral', { channel, user: 'U1', text: 'psst' })
    expect(slack.ephemerals).toEqual([{ channel: 'C1', user: 'U1', text: 'psst' }])
    expect(slack.calls.map(({ method, status, error }) => [method, status, error])).toEqual([
      ['chat.postMessage', 200, undefined],
      ['chat.update', 200, undefined],
      ['chat.update', 200, undefined],
      ['chat.update', 200, 'message_not_found'],
      ['chat.postEphemeral', 200, undefined],
    ])
  })

  it('wants a token, and knows the methods it knows', async () => {
    const { call } = scene()
    expect(await call('auth.test', {}, { authorization: 'Bearer other' })).toEqual({ ok: false, error: 'invalid_auth' })
    expect(await call('auth.test', {})).toMatchObject({ ok: true })
    expect(await call('chat.delete', {})).toEqual({ ok: false, error: 'unknown_method' })
    expect(await call('toString', {})).toEqual({ ok: false, error: 'unknown_method' })
  })

  it.each([
    ['51 blocks', Array.from({ length: 51 }, () => section('x'))],
    ['a section of 3,001 characters', [section('x'.repeat(3_001))]],
    ['an empty section', [section('')]],
    ['a field of 2,001 characters', [{ type: 'section', fields: [plain('x'.repeat(2_001))] }]],
    ['eleven fields', [{ type: 'section', fields: Array.from({ length: 11 }, () => plain('x')) }]],
    ['a header of 151 characters', [{ type: 'header', text: plain('x'.repeat(151)) }]],
    ['a header with markup', [{ type: 'header', text: { type: 'mrkdwn', text: 'x' } }]],
    ['a button of 76 characters', [actions(button({ text: plain('x'.repeat(76)) }))]],
    ['a value of 2,001 characters', [actions(button({ value: 'x'.repeat(2_001) }))]],
    ['a style of its own', [actions(button({ style: 'green' }))]],
    ['a link to nowhere', [actions(button({ url: 'nowhere' }))]],
    ['two buttons of one name', [actions(button(), button())]],
    ['no buttons', [actions()]],
    [
      'a question of 301 characters',
      [
        actions(
          button({
            confirm: { title: plain('x'), text: plain('x'.repeat(301)), confirm: plain('y'), deny: plain('n') },
          }),
        ),
      ],
    ],
    ['eleven texts in a context', [{ type: 'context', elements: Array.from({ length: 11 }, () => plain('x')) }]],
    ['a block of no kind', [{ type: 'button' }]],
    ['no list', { type: 'section' }],
  ])('takes no %s', async (_, blocks) => {
    const { slack, post } = scene()
    expect(await post(blocks)).toEqual({ ok: false, error: 'invalid_blocks' })
    expect(slack.messages).toEqual([])
  })

  it('takes what just fits, but not too much together', async () => {
    const { post } = scene()
    const confirm = { title: plain('x'), text: plain('x'.repeat(300)), confirm: plain('y'), deny: plain('n') }
    const fits = [
      { type: 'header', text: plain('x'.repeat(150)) },
      section('x'.repeat(3_000)),
      { type: 'section', fields: [plain('x'.repeat(2_000))] },
      { type: 'context', elements: [plain('x')] },
      actions(button({ value: 'x'.repeat(2_000), url: 'https://x.test/', style: 'danger', confirm })),
      { type: 'divider' },
    ]
    expect(await post(fits)).toMatchObject({ ok: true })
    expect(await post(Array.from({ length: 5 }, () => section('x'.repeat(3_000))))).toEqual({
      ok: false,
      error: 'msg_blocks_too_long',
    })
  })

  it('reads forms, where blocks are JSON in a field; lists of members are read in no other way', async () => {
    const { slack, call } = scene()
    const send = (method: string, fields: Record<string, string>) =>
      slack.fetch(slack.apiUrl + method, {
        method: 'POST',
        headers: { authorization: `Bearer ${slack.token}`, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(fields),
      })
    await send('chat.postMessage', { channel: '#pay-ments', text: 'x', blocks: JSON.stringify([section('x')]) })
    expect(slack.message()).toMatchObject({ channel: 'CPAYMENTS', blocks: [section('x')] })
    const told = await send('usergroups.users.list', { usergroup: 'S1' })
    expect(await told.json()).toEqual({ ok: true, users: ['U1', 'U2'] })
    expect(await call('usergroups.users.list', { usergroup: 'S1' })).toEqual({ ok: false, error: 'no_such_subteam' })
  })

  it('opens a form once for a click, within three seconds', async () => {
    const { slack, call, post, clock } = scene()
    await post([actions(button({ value: 'v' }))])
    const triggers: string[] = []
    const click = () =>
      slack.click(slack.message(), 'a', { user: 'U1' }, async (request) => {
        const form = new URLSearchParams(await request.text())
        triggers.push(JSON.parse(form.get('payload') ?? '').trigger_id)
        return new Response(null)
      })
    await click()
    await click()
    const view = { type: 'modal', title: plain('Why'), blocks: [section('x')], private_metadata: 'x' }
    expect(await call('views.open', { trigger_id: 'none', view })).toMatchObject({ error: 'invalid_trigger_id' })
    expect(await call('views.open', { trigger_id: triggers[0], view })).toMatchObject({ ok: true })
    expect(await call('views.open', { trigger_id: triggers[0], view })).toMatchObject({ ok: false })
    await clock.advance(3_001)
    expect(await call('views.open', { trigger_id: triggers[1], view })).toMatchObject({ error: 'expired_trigger_id' })
    expect(slack.views).toMatchObject([{ user: 'U1', private_metadata: 'x' }])
  })

  it('fails as it is told, until it works again', async () => {
    const { slack, call } = scene()
    slack.fail('auth.test', { status: 429, retryAfter: 7, times: 1 })
    const busy = await slack.fetch(`${slack.apiUrl}auth.test`, { method: 'POST' })
    expect([busy.status, busy.headers.get('retry-after'), await busy.json()]).toEqual([
      429,
      '7',
      { ok: false, error: 'ratelimited' },
    ])
    expect(await call('auth.test', {})).toMatchObject({ ok: true })
    slack.fail('auth.test', { error: 'account_inactive' })
    expect(await call('auth.test', {})).toEqual({ ok: false, error: 'account_inactive' })
    slack.down()
    await expect(call('auth.test', {})).rejects.toThrow('fetch failed')
    slack.up()
    slack.hang('auth.test')
    const controller = new AbortController()
    const hanging = slack.fetch(`${slack.apiUrl}auth.test`, { method: 'POST', signal: controller.signal })
    controller.abort()
    await expect(hanging).rejects.toThrow('aborted')
    slack.up()
    expect(await call('auth.test', {})).toMatchObject({ ok: true })
    expect(slack.calls.map(({ status }) => status)).toEqual([429, 200, 200, 0, 0, 200])
  })

  it('listens on this machine, and stops, also while somebody waits', async () => {
    const slack = fakeSlack()
    const url = await slack.listen()
    expect(await slack.listen()).toBe(url)
    expect(new URL(url).hostname).toBe('127.0.0.1')
    const ask = () =>
      fetch(`${url}auth.test`, { method: 'POST', headers: { authorization: `Bearer ${slack.token}` }, body: '' })
    expect(await (await ask()).json()).toMatchObject({ ok: true })
    slack.down()
    await expect(ask()).rejects.toThrow()
    slack.up()
    slack.hang('auth.test')
    const waiting = ask().catch(() => 'gone')
    while (slack.calls.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
    await slack.close()
    expect(await waiting).toBe('gone')
    await slack.close()
  })
})

describe('what a fake Slack sends', () => {
  it('is signed as Slack publishes it', () => {
    const body =
      'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
    expect(slackSignature('8f742231b10e8888abcd99yyyzzz85a5', '1531420618', body)).toBe(
      'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
    )
  })

  it('can be sent again, as it was and as Slack does it; and wrong in every way', async () => {
    const { slack, clock } = scene()
    const seen: { body: string; headers: Record<string, string> }[] = []
    const deliver = async (request: Request) => {
      seen.push({ body: await request.text(), headers: Object.fromEntries(request.headers) })
      return new Response(null)
    }
    await expect(slack.resend(deliver)).rejects.toThrow('nothing was sent')
    await slack.send({ type: 'x' }, deliver)
    await slack.resend(deliver)
    await slack.resend(deliver, { retry: 1 })
    await clock.advance(10_000)
    await slack.resend(deliver, { retry: 2, age: 0 })
    await slack.send({ type: 'x' }, deliver, { age: 60, secret: 'other', headers: { 'X-Slack-Signature': null } })
    const [first, same, retry, anew, wrong] = seen
    expect(same).toEqual(first)
    expect(retry?.headers).toEqual({
      ...first?.headers,
      'x-slack-retry-num': '1',
      'x-slack-retry-reason': 'http_timeout',
    })
    expect(anew?.body).toBe(first?.body)
    expect(Number(anew?.headers['x-slack-request-timestamp'])).toBe(
      Number(first?.headers['x-slack-request-timestamp']) + 10,
    )
    expect(anew?.headers['x-slack-signature']).not.toBe(first?.headers['x-slack-signature'])
    expect(wrong?.headers).not.toHaveProperty('x-slack-signature')
    expect(Number(wrong?.headers['x-slack-request-timestamp'])).toBe(clock.now() / 1_000 - 60)
  })

  it('clicks only what is there, and only where somebody answers', async () => {
    const { slack, post } = scene()
    await post([actions(button())])
    const nobody = async () => undefined
    await expect(slack.click(slack.message(), 'b', { user: 'U1' }, nobody)).rejects.toThrow('no button `b`')
    await expect(slack.click(slack.message(), 'a', { user: 'U1' }, nobody)).rejects.toThrow('nobody answers')
  })
})
