/** Services that call back. */
import { createHmac } from 'node:crypto'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { Board } from '../../../testing/src/approver-contract/board.ts'
import type { Approval, ApprovalTerm } from './approver.ts'
import { type WebhookApproverOptions, webhookApprover } from './webhook.ts'

const NEW = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const OLD = `whsec_${Buffer.alloc(32, 2).toString('base64')}`
const CALLBACK = 'https://app.example/haldir/webhook/callback'

function scene(options: Partial<WebhookApproverOptions> = {}) {
  const board = new Board(fakeClock())
  const approver = webhookApprover({ url: 'https://hooks.example', secrets: [NEW, OLD], ...options })
  approver.open?.(board)
  const fetch = async (url: string, init?: RequestInit) => (await approver.fetch?.(new Request(url, init))) as Response
  return { board, approver, fetch }
}

let count = 0
function signed(body: unknown, { secret = NEW, at = Date.UTC(2026, 0, 1), id = `m${count++}` } = {}): RequestInit {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const timestamp = String(at / 1_000)
  const key = Buffer.from(secret.slice(6), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64')
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
  return { method: 'POST', body: text, headers }
}

describe('a callback', () => {
  const decision = ({ id, digest }: Approval, more: object = {}) => ({
    approval: id,
    digest,
    decision: 'approve',
    by: 'alice',
    ...more,
  })
  const told = async (response: Response) => {
    const { status, headers } = response
    const body = (await response.json()) as Record<string, unknown>
    if (status === 200) expect(headers.get('content-type')).toBe('application/json')
    else {
      expect(headers.get('content-type')).toBe('application/problem+json')
      expect(body).toMatchObject({ type: 'about:blank', status, title: expect.any(String), detail: expect.any(String) })
    }
    expect(headers.get('cache-control')).toBe('no-store')
    const { code, detail, ...rest } = body
    return { status, code, detail, state: rest.state, ok: rest.ok }
  }

  it('hands over all that it says, known by its channel', async () => {
    const { board, fetch } = scene()
    const approval = board.ask({ grant: { forMs: 60_000, args: [] } })
    const body = decision(approval, { groups: ['finance'], reason: 'fine', args: { amount: 5 }, grant: true })
    expect(await told(await fetch(CALLBACK, signed(body)))).toMatchObject({ status: 200, ok: true, state: 'approved' })
    expect(board.heard.map(({ say }) => say)).toEqual([
      {
        approve: true,
        by: 'webhook:alice',
        groups: ['webhook:finance'],
        digest: approval.digest,
        reason: 'fine',
        args: { amount: 5 },
        grant: true,
      },
    ])
  })

  it('needs no more than who decides what', async () => {
    const { board, fetch } = scene({ approvers: ['alice'] })
    const approval = board.ask()
    const denied = await fetch(CALLBACK, signed(decision(approval, { decision: 'deny' }), { secret: OLD }))
    expect(await told(denied)).toMatchObject({ status: 200, ok: true, state: 'denied' })
    expect(board.heard[0]?.say).toEqual({ approve: false, by: 'webhook:alice', groups: [], digest: approval.digest })
  })

  it('is refused for what is wrong with it, in the words of HTTP', async () => {
    const terms: readonly ApprovalTerm[] = [{ rule: 'x', quorum: 2, approvers: ['alice', 'order-bot'] }]
    const { board, fetch } = scene()
    const answer = async (approval: Approval, more: object = {}) =>
      told(await fetch(CALLBACK, signed(decision(approval, more))))
    const [open, over, old] = [board.ask({ terms }), board.ask(), board.ask({ expiresAt: new Date(board.clock.now()) })]
    board.end(over.id, 'denied')
    expect(await answer(open)).toMatchObject({ status: 200, state: 'pending' })
    expect(await answer(open)).toMatchObject({ status: 409, code: 'voted', state: 'pending' })
    expect(await answer(open, { by: 'bob' })).toMatchObject({ status: 403, code: 'not-approver' })
    expect(await answer(open, { by: 'order-bot' })).toMatchObject({ status: 403, code: 'self-approval' })
    expect(await answer(open, { digest: 'another' })).toMatchObject({ status: 409, code: 'other-digest' })
    expect(await answer(open, { approval: 'unknown' })).toMatchObject({ status: 404, code: 'unknown' })
    expect(await answer(over)).toMatchObject({ status: 409, code: 'decided', state: 'denied' })
    expect(await answer(old)).toMatchObject({ status: 410, code: 'expired' })
  })

  it('nobody poses as somebody of another channel', async () => {
    const { board, fetch } = scene()
    const approval = board.ask({ terms: [{ rule: 'x', quorum: 1, approvers: ['slack:U1'] }] })
    for (const more of [{ by: 'slack:U1' }, { groups: ['slack:U1'] }, { groups: ['x', 'a:b'] }]) {
      expect((await fetch(CALLBACK, signed(decision(approval, more)))).status).toBe(400)
    }
    expect(board.of(approval.id).votes).toEqual([])
  })

  it('counts only for those who are named, if any are', async () => {
    const { board, fetch } = scene({ approvers: ['alice'] })
    const approval = board.ask()
    expect(await told(await fetch(CALLBACK, signed(decision(approval, { by: 'bob' }))))).toMatchObject({
      status: 403,
      code: 'not-approver',
    })
    expect(board.rejected).toEqual([{ why: expect.any(String), id: approval.id, by: 'webhook:bob' }])
    expect(board.heard).toEqual([])
  })

  it.each<string | object>([
    'nonsense',
    ' ',
    '[]',
    'null',
    '"text"',
    '{}',
    { approval: '' },
    { approval: 7 },
    { approval: 'x'.repeat(129) },
    { digest: undefined },
    { digest: '' },
    { decision: 'yes' },
    { decision: true },
    { by: '' },
    { by: undefined },
    { by: 'x'.repeat(129) },
    { by: 'a\u202eb' },
    { by: ' alice' },
    { groups: 'finance' },
    { groups: [7] },
    { reason: 7 },
    { reason: 'x'.repeat(1_001) },
    { grant: 'yes' },
    { arguments: { amount: 5 } },
    { __proto__: null, constructor: 1 },
  ])('%j is no decision', async (wrong) => {
    const { board, fetch } = scene()
    const approval = board.ask()
    const body = typeof wrong === 'string' ? wrong : decision(approval, wrong)
    const answer = await told(await fetch(CALLBACK, signed(body)))
    expect(answer.status).toBe(400)
    expect(board.heard).toEqual([])
    expect(board.rejected).toEqual([{ why: answer.detail }])
    // Nothing that came in is repeated.
    expect(String(answer.detail)).not.toMatch(/nonsense|xxx|amount|\u202e/)
  })

  it('that is not text is no decision', async () => {
    const { board, fetch } = scene()
    board.ask()
    const body = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])
    const key = Buffer.from(NEW.slice(6), 'base64')
    const time = String(Date.UTC(2026, 0, 1) / 1_000)
    const signature = createHmac('sha256', key)
      .update(Buffer.concat([Buffer.from(`m.${time}.`), body]))
      .digest('base64')
    const headers = { 'webhook-id': 'm', 'webhook-timestamp': time, 'webhook-signature': `v1,${signature}` }
    expect(await told(await fetch(CALLBACK, { method: 'POST', body, headers }))).toMatchObject({
      status: 400,
      detail: 'the body is not JSON',
    })
  })

  it('counts for nothing when it is not signed right; what is wrong is put on record, and asked of nobody', async () => {
    const { board, fetch } = scene()
    const approval = board.ask()
    const now = board.clock.now()
    const right = signed(decision(approval))
    const headers = (more: object) => ({ ...right, headers: { ...(right.headers as object), ...more } })
    const wrong = [
      signed(decision(approval), { secret: `whsec_${Buffer.alloc(32, 3).toString('base64')}` }),
      signed(decision(approval), { at: now - 301_000 }),
      signed(decision(approval), { at: now + 301_000 }),
      { method: 'POST', body: right.body as string },
      headers({ 'webhook-id': 'other' }),
      headers({
        'webhook-signature': (right.headers as Record<string, string>)['webhook-signature']?.replace('v1,', 'v0,'),
      }),
      { ...right, body: `${right.body} ` },
    ]
    for (const init of wrong) {
      const response = await fetch(CALLBACK, init)
      expect(response.headers.get('www-authenticate')).toBe('StandardWebhooks')
      expect(await told(response)).toMatchObject({ status: 401 })
    }
    expect(board.rejected).toHaveLength(wrong.length)
    expect(board.heard).toEqual([])
    expect((await fetch(CALLBACK, right)).status).toBe(200)
  })

  it('counts once, whatever is put around it; an honest second attempt is told how it stands', async () => {
    const { board, fetch } = scene()
    const approval = board.ask({ terms: [{ rule: 'four-eyes', quorum: 2 }] })
    const first = signed(decision(approval), { id: 'm' })
    expect((await fetch(CALLBACK, first)).status).toBe(200)
    const { headers } = first as { headers: Record<string, string> }
    const dressed = {
      ...first,
      headers: { ...headers, 'webhook-signature': `v1,x ${headers['webhook-signature']} v1,y` },
    }
    for (const again of [first, dressed]) {
      expect(await told(await fetch(CALLBACK, again))).toMatchObject({ status: 409, code: 'replayed' })
    }
    expect(board.rejected).toHaveLength(2)
    expect(board.heard).toHaveLength(1)
    await board.clock.advance(10_000)
    const retried = signed(decision(approval), { id: 'm', at: board.clock.now() })
    expect(await told(await fetch(CALLBACK, retried))).toMatchObject({ status: 409, code: 'voted', state: 'pending' })
    // For as long as its time lets it in, from whichever side of the clock.
    const ahead = signed(decision(approval, { by: 'bob', decision: 'deny' }), { at: board.clock.now() + 300_000 })
    expect((await fetch(CALLBACK, ahead)).status).toBe(200)
    await board.clock.advance(600_000)
    await fetch(CALLBACK, signed(decision(approval), { at: board.clock.now() }))
    expect(await told(await fetch(CALLBACK, ahead))).toMatchObject({ status: 409, code: 'replayed' })
  })

  it('keeps no more than so many in mind; what it has forgotten the store has not', async () => {
    const { board, fetch } = scene()
    const approval = board.ask({ terms: [{ rule: 'four-eyes', quorum: 2 }] })
    const first = signed(decision(approval))
    expect((await fetch(CALLBACK, first)).status).toBe(200)
    for (let times = 0; times < 9_999; times++) await fetch(CALLBACK, signed(decision(approval, { approval: 'x' })))
    expect(await told(await fetch(CALLBACK, first))).toMatchObject({ status: 409, code: 'replayed' })
    for (let times = 0; times < 2; times++) await fetch(CALLBACK, signed(decision(approval, { approval: 'x' })))
    expect(await told(await fetch(CALLBACK, first))).toMatchObject({ status: 409, code: 'voted' })
  })

  it('that could not be taken may come again as it was', async () => {
    const { board, fetch } = scene()
    const approval = board.ask()
    const init = signed(decision(approval))
    board.down = true
    expect(await told(await fetch(CALLBACK, init))).toMatchObject({ status: 503, code: 'unavailable' })
    board.down = false
    expect(await told(await fetch(CALLBACK, init))).toMatchObject({ status: 200, state: 'approved' })
  })

  it('is a `POST` of a body that nobody has read, and of a bearable size', async () => {
    const { board, approver, fetch } = scene()
    const approval = board.ask()
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
      const response = await fetch(CALLBACK, { method })
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
    }
    const large = decision(approval, { args: { text: 'x'.repeat(2 ** 20) } })
    expect((await fetch(CALLBACK, signed(large))).status).toBe(200)
    expect((await fetch(CALLBACK, signed('x'.repeat(2 ** 21)))).status).toBe(413)
    const read = new Request(CALLBACK, signed(decision(approval)))
    await read.json()
    const parsed = new Request(CALLBACK, {
      ...signed(decision(approval)),
      body: null,
      headers: { 'content-length': '2' },
    })
    const empty = new Request(CALLBACK, signed(''))
    for (const request of [read, parsed, empty]) {
      const answer = await told((await approver.fetch?.(request)) as Response)
      expect(answer).toMatchObject({ status: 400, detail: expect.stringContaining('before what parses bodies') })
    }
    expect(board.rejected).toHaveLength(4)
  })

  it('a body that never ends, or breaks off, does not get through', async () => {
    const { board, fetch } = scene()
    board.ask()
    let sent = 0
    const endless = new ReadableStream({
      pull(controller) {
        sent += 65_536
        controller.enqueue(new Uint8Array(65_536))
      },
    })
    const stream = (body: ReadableStream) => ({ method: 'POST', body, duplex: 'half' }) as RequestInit
    expect((await fetch(CALLBACK, stream(endless))).status).toBe(413)
    expect(sent).toBeLessThan(2 ** 21)
    const broken = new ReadableStream({
      pull(controller) {
        controller.error(new Error('gone'))
      },
    })
    expect(await told(await fetch(CALLBACK, stream(broken)))).toMatchObject({
      status: 400,
      detail: 'the body did not come whole',
    })
  })
})
