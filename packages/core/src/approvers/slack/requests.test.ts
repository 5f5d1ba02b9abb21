/** Requests: which are Slack's own, and what those that are not are told. */
import { describe, expect, it } from 'vitest'
import { type Scene, slackScene as scene } from '../../../../../test/slack-scene.ts'
import { slackApprover } from '../slack.ts'

/** Nothing has come of it, it stands in the trail, and whoever sent it is told why. */
async function refused({ get, said, rejected, slack }: Scene, id: string, response: Response, status: number) {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toContain('text/plain')
  const why = await response.text()
  expect(rejected.at(-1)).toEqual({ why: why.trim() })
  expect([get(id).state, get(id).votes, said, slack.ephemerals]).toEqual(['pending', [], [], []])
  return why
}

describe('a request counts for nothing', () => {
  it.each([
    ['signed by somebody else', { secret: 'another-secret' }, 'does not fit the body'],
    ['301 seconds old', { age: 301 }, '300 seconds'],
    ['a day old', { age: 86_400 }, '300 seconds'],
    ['301 seconds in the future', { age: -301 }, '300 seconds'],
    ['a day in the future', { age: -86_400 }, '300 seconds'],
    ['not signed', { headers: { 'x-slack-signature': null } }, 'not signed'],
    ['not dated', { headers: { 'x-slack-request-timestamp': null } }, 'not signed'],
    ['dated with no integer', { headers: { 'x-slack-request-timestamp': '1767225600.5' } }, 'not signed'],
    ['signed in another version', { headers: { 'x-slack-signature': `v1=${'0'.repeat(64)}` } }, 'not signed'],
  ])('when it is %s', async (_, how, text) => {
    const there = scene()
    const { id, message } = await there.card()
    const response = await there.click(message, 'approve', { user: 'U123', ...how })
    expect(await refused(there, id, response, 401)).toContain(text)
    expect(there.rejected).toHaveLength(1)
    // The button still works.
    await there.click(message, 'approve')
    expect(there.get(id).state).toBe('approved')
  })

  it.each([300, -300])('but not when it is %i seconds away', async (age) => {
    const { card, click, get } = scene()
    const { id, message } = await card()
    expect((await click(message, 'approve', { user: 'U123', age })).status).toBe(200)
    expect(get(id).state).toBe('approved')
  })

  it('when a byte of it was changed', async () => {
    const there = scene()
    const { id, message } = await there.card()
    const response = await there.slack.click(message, 'haldir_approve', { user: 'U123' }, async (request) => {
      const body = (await request.text()).replace('U123', 'U124')
      return there.deliver(new Request(request.url, { method: 'POST', headers: request.headers, body }))
    })
    await refused(there, id, response, 401)
  })

  it('when it is replayed', async () => {
    const { card, click, get, said, slack, deliver, rejected, clock } = scene()
    const { id, message } = await card({ terms: [{ rule: 'two', quorum: 2 }] })
    await click(message, 'approve')
    for (const ms of [0, 1_000, 299_000]) {
      await clock.advance(ms)
      const response = await slack.resend(deliver)
      expect([response.status, await response.text()]).toEqual([401, 'the request has been received before\n'])
    }
    expect(rejected).toEqual(Array(3).fill({ why: 'the request has been received before' }))
    expect([get(id).votes.length, said.length]).toEqual([1, 1])
  })

  it('when Slack repeats it, and that is answered', async () => {
    const { card, click, said, slack, deliver, rejected, clock } = scene()
    const { message } = await card({ terms: [{ rule: 'two', quorum: 2 }] })
    await click(message, 'approve')
    for (const how of [{ retry: 1 }, { retry: 2, age: 0 }, { age: 0 }]) {
      await clock.advance(60_000)
      const response = await slack.resend(deliver, how)
      expect([response.status, await response.text()]).toEqual([200, ''])
    }
    expect([said.length, rejected, slack.ephemerals]).toEqual([1, [], []])
  })

  it('when two of the same come at once, but for one', async () => {
    const { card, slack, said, deliver } = scene()
    const { message } = await card({ terms: [{ rule: 'two', quorum: 2 }] })
    const statuses: number[] = []
    const twice = async (request: Request) => {
      const answers = await Promise.all([deliver(request.clone()), deliver(request)])
      statuses.push(...answers.map((answer) => answer?.status ?? 0))
      return answers[0]
    }
    await slack.click(message, 'haldir_approve', { user: 'U123' }, twice)
    expect([statuses, said.length]).toEqual([[200, 401], 1])
  })

  it('and does not get two people who click alike into each other’s way', async () => {
    const { card, click, get } = scene()
    const { id, message } = await card({ terms: [{ rule: 'two', quorum: 2 }] })
    await Promise.all([click(message, 'approve', 'U123'), click(message, 'approve', 'U456')])
    expect(get(id).state).toBe('approved')
  })

  it('when it is no form', async () => {
    const there = scene()
    const { id } = await there.card()
    for (const body of ['{"payload":"{}"}', 'payload', '%', 'ssl_check=1']) {
      await refused(there, id, await there.slack.send({}, there.deliver, { body }), 400)
    }
  })

  it.each(['', 'x', '[]x', '"text"', 'null', '{}', '{"type":1}', '{"type":"block_actions"}'])(
    'when its payload is %j, though it is signed',
    async (payload) => {
      const there = scene()
      const { id } = await there.card()
      const body = new URLSearchParams({ payload }).toString()
      const response = await there.slack.send({}, there.deliver, { body })
      expect(await refused(there, id, response, 400)).toContain('payload')
    },
  )

  it('when it clicks without saying who', async () => {
    const there = scene()
    const { id, message } = await there.card()
    const elements = message.blocks.at(-1)?.elements as object[]
    for (const user of [undefined, {}, { id: '' }, { id: 'B0BOT' }, { id: 'u123' }, { id: 'U123 ' }]) {
      const payload = { type: 'block_actions', user, actions: [elements[0]] }
      await refused(there, id, await there.slack.send(payload, there.deliver), 400)
    }
  })

  it.each([
    { type: 'view_closed', user: { id: 'U123' } },
    { type: 'shortcut', user: { id: 'U123' } },
    { type: 'block_actions', user: { id: 'U123' }, actions: [] },
    { type: 'block_actions', user: { id: 'U123' }, actions: [null, 1, { action_id: 'theirs', value: '{}' }] },
    { type: 'block_actions', user: { id: 'U123' }, actions: [{ action_id: '__proto__' }, { action_id: 'view' }] },
  ])('when it is of no concern to an approver, and that is answered (%#)', async (payload) => {
    const { slack, deliver, said, rejected } = scene()
    const response = await slack.send(payload, deliver)
    expect([response.status, await response.text(), said, rejected]).toEqual([200, '', [], []])
  })
})

describe('its body', () => {
  const sent = (body: string | ReadableStream | null, headers: Record<string, string> = {}) =>
    new Request('http://127.0.0.1/haldir/slack', { method: 'POST', headers, body, duplex: 'half' })

  it('that was read before is asked for raw', async () => {
    const there = scene()
    const { id } = await there.card()
    const read = sent('payload=x')
    await read.text()
    const locked = sent('payload=x')
    locked.body?.getReader()
    const broken = sent(
      new ReadableStream({
        pull() {
          throw new TypeError('Body is unusable')
        },
      }),
    )
    for (const request of [read, locked, sent(''), sent(null), sent(null, { 'content-length': '5' })]) {
      const response = (await there.deliver(request)) as Response
      expect(await refused(there, id, response, 400)).toContain('mount `haldir.fetch` before what parses bodies')
    }
    expect(await refused(there, id, (await there.deliver(broken)) as Response, 400)).toContain('did not come whole')
  })

  it('may not be larger than a megabyte, whatever it says of itself', async () => {
    const there = scene()
    const { id } = await there.card()
    let pulled = 0
    const endless = () =>
      new ReadableStream({
        pull(controller) {
          pulled += 1
          controller.enqueue(new Uint8Array(100_000))
        },
      })
    for (const request of [sent('x'.repeat(1_000_001)), sent(endless()), sent(endless(), { 'content-length': '5' })]) {
      await refused(there, id, (await there.deliver(request)) as Response, 413)
    }
    expect(pulled).toBeLessThan(40)
  })

  it('that does not come is not waited for', async () => {
    const there = scene()
    const { id } = await there.card()
    const work = there.deliver(sent(new ReadableStream({}))) as Promise<Response>
    await refused(there, id, await there.answered(work, 2_500), 408)
  })

  it('is not what a trail that hangs keeps waiting for', async () => {
    const there = scene()
    const approver = slackApprover({ token: 't', signingSecret: 's', channel: 'C1', approvers: ['U1'] })
    for (const reject of [() => new Promise<void>(() => {}), () => Promise.reject(new Error('no'))]) {
      approver.open?.({ ...there.port, reject })
      const work = approver.fetch?.(sent('payload=x')) as Promise<Response>
      expect((await there.answered(work, 2_500)).status).toBe(401)
      await approver.close?.()
    }
  })
})

describe('its path', () => {
  it('is the end of what was asked for, so that it can be mounted below another', async () => {
    const { slack, card, get, deliver } = scene()
    for (const url of ['https://app.test/haldir/slack', 'https://app.test/api/v1/haldir/slack?x=1#y']) {
      const { id, message } = await card()
      await slack.click(message, 'haldir_approve', { user: 'U123', url }, deliver)
      expect(get(id).state).toBe('approved')
    }
  })

  it('is nobody else’s', async () => {
    const { deliver, rejected } = scene()
    for (const path of [
      '/',
      '/haldir',
      '/haldir/slack/more',
      '/haldir/slackers',
      '/nothaldir/slack',
      '/x?/haldir/slack',
    ]) {
      expect(await deliver(new Request(`https://app.test${path}`, { method: 'POST', body: 'x' }))).toBeUndefined()
    }
    expect(rejected).toEqual([])
  })

  it('is the one that was given', async () => {
    const { slack, card, get, deliver } = scene({ path: '/hooks/payments' })
    const { id, message } = await card()
    const url = 'https://app.test/hooks/payments'
    await slack.click(message, 'haldir_approve', { user: 'U123', url }, deliver)
    expect(get(id).state).toBe('approved')
    expect(await deliver(new Request('https://app.test/haldir/slack', { method: 'POST' }))).toBeUndefined()
  })

  it.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])('is for POST alone: a %s decides nothing', async (method) => {
    const { deliver, rejected, said } = scene()
    const response = await deliver(new Request('https://app.test/haldir/slack', { method }))
    expect([response?.status, response?.headers.get('allow')]).toEqual([405, 'POST'])
    expect([rejected, said]).toEqual([[], []])
  })
})
