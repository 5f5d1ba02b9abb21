/** People who follow decision links. */
import { createHash } from 'node:crypto'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { Board } from '../../../testing/src/approver-contract/board.ts'
import type { Approval } from './approver.ts'
import { type WebhookApproverOptions, type WebhookEvent, webhookApprover } from './webhook.ts'

const NEW = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const OLD = `whsec_${Buffer.alloc(32, 2).toString('base64')}`

function scene(options: Partial<WebhookApproverOptions> = {}, board: Board = new Board(fakeClock())) {
  let body = ''
  const approver = webhookApprover({
    url: 'https://hooks.example',
    secrets: [NEW, OLD],
    baseUrl: 'https://app.example',
    fetch: async (_, init) => {
      body = init.body
      return new Response(null)
    },
    ...options,
  })
  approver.open?.(board)
  const fetch = async (url: string, init?: RequestInit) => (await approver.fetch?.(new Request(url, init))) as Response
  return {
    board,
    approver,
    fetch,
    /** The links of an approval, for one of the approvers if there are. */
    async links(approval: Approval, by?: string) {
      await approver.show(board.of(approval.id), undefined, new AbortController().signal)
      const { data } = JSON.parse(body) as WebhookEvent
      const links = by === undefined ? data.links : data.approvers?.find((one) => one.by === by)?.links
      return links as { approve: string; deny: string }
    },
    post: (url: string, form: Record<string, string> = {}, more: RequestInit = {}) =>
      fetch(url, { method: 'POST', body: new URLSearchParams(form), ...more }),
    votes: ({ id }: Approval) => board.of(id).votes.map(({ by, approve, reason }) => ({ by, approve, reason })),
  }
}

describe('a decision link', () => {
  it('shows what is asked, whole, and one button; looking changes nothing', async () => {
    const { board, links, fetch } = scene()
    const approval = board.ask({ args: { order: 'o<7>', note: '\'"&' } })
    const { approve, deny } = await links(approval)
    const page = await fetch(approve)
    const html = await page.text()
    expect(page.status).toBe(200)
    for (const text of [
      'refund',
      'order-bot',
      '29.99 USD',
      '170.01 USD',
      'more than $20',
      '2026-01-01 00:05:00 UTC',
      approval.id,
    ]) {
      expect(html).toContain(text)
    }
    expect(html).toContain('&quot;order&quot;: &quot;o&lt;7&gt;&quot;')
    expect(html).toContain('&quot;note&quot;: &quot;&#39;\\&quot;&amp;&quot;')
    expect(html).toContain('<button>Approve</button>')
    expect(html.match(/<button/g)).toHaveLength(1)
    expect(await (await fetch(deny)).text()).toContain('<button>Deny</button>')
    const head = await fetch(approve, { method: 'HEAD' })
    expect([head.status, await head.text(), head.headers.get('content-type')]).toEqual([
      200,
      '',
      'text/html; charset=utf-8',
    ])
    expect(board.heard).toEqual([])
    expect(board.rejected).toEqual([])
  })

  it('is kept out of caches, frames, search engines, and whatever another page would learn', async () => {
    const { board, links, fetch } = scene()
    const { approve } = await links(board.ask({ args: { link: 'https://elsewhere.example/x.png' } }))
    const token = approve.split('/').at(-1) as string
    const page = await fetch(approve)
    const html = await page.text()
    expect(Object.fromEntries(page.headers)).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-robots-tag': 'noindex, nofollow, noarchive',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
    })
    const policy = page.headers.get('content-security-policy') as string
    const [, hash] = /style-src 'sha256-([^']+)'/.exec(policy) as RegExpExecArray
    const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(html) as RegExpExecArray
    expect(createHash('sha256').update(style).digest('base64')).toBe(hash)
    expect(policy.replace(/'sha256-[^']+'/, 'HASH')).toBe(
      "default-src 'none'; style-src HASH; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    )
    // Nothing is loaded, nothing runs, nothing leads anywhere, and the address stands nowhere in it.
    expect(html).not.toMatch(/<(script|img|link|iframe|a|object|base)\b|\bon\w+=|\bsrc=|\bhref=|action=/i)
    expect(html).not.toContain(token)
  })

  it('decides once, as whom it was made for, on what it was made for', async () => {
    const { board, links, post, votes } = scene({ approvers: ['alice', 'bob'] })
    const approval = board.ask()
    const { approve } = await links(approval, 'bob')
    const alice = await links(approval, 'alice')
    const done = await post(approve, { reason: '  looks right\r\n ' })
    expect([done.status, await done.text()]).toEqual([200, expect.stringContaining('<h1>Approved</h1>')])
    expect(board.heard).toMatchObject([
      { id: approval.id, say: { approve: true, by: 'webhook:bob', digest: approval.digest, reason: 'looks right' } },
    ])
    const again = await post(approve)
    expect([again.status, await again.text()]).toEqual([409, expect.stringContaining('it was approved by webhook:bob')])
    expect((await post(alice.deny)).status).toBe(409)
    expect(votes(approval)).toHaveLength(1)
  })

  it('decides as whoever holds it, when nobody is named', async () => {
    const { board, links, post, votes } = scene({ name: 'ops' })
    const approval = board.ask()
    const { deny } = await links(approval)
    expect(await (await post(deny, { reason: 'no' })).text()).toContain('<h1>Denied</h1>')
    expect(votes(approval)).toEqual([{ by: 'ops:link', approve: false, reason: 'no' }])
  })

  it('is one voice of several', async () => {
    const { board, links, post, votes } = scene({ approvers: ['alice', 'bob'] })
    const approval = board.ask({ terms: [{ rule: 'four-eyes', quorum: 2 }] })
    const alice = await links(approval, 'alice')
    expect(await (await post(alice.approve)).text()).toContain('Your answer counts')
    const twice = await post(alice.approve)
    expect([twice.status, await twice.text()]).toEqual([409, expect.stringContaining('You have said so already')])
    await post((await links(approval, 'bob')).approve)
    expect(votes(approval).map(({ by }) => by)).toEqual(['webhook:alice', 'webhook:bob'])
    expect(board.of(approval.id).state).toBe('approved')
  })

  it('names those who have decided, and not those who said the opposite', async () => {
    const { board, links, post } = scene({ approvers: ['alice', 'bob'] })
    const approval = board.ask({ terms: [{ rule: 'four-eyes', quorum: 2 }] })
    const bob = await links(approval, 'bob')
    await post((await links(approval, 'alice')).approve, { reason: 'sure' })
    const html = await (await post(bob.deny, { reason: 'never paid' })).text()
    expect(html).toContain('it was denied by webhook:bob at 2026-01-01 00:00:00 UTC: never paid')
    expect(html).not.toContain('alice')
  })

  it('gives a grant only where one may be given, and only when it is ticked', async () => {
    const { board, links, post, fetch } = scene()
    const plain = board.ask()
    await post((await links(plain)).approve, { grant: 'yes' })
    const granting = () => links(board.ask({ grant: { forMs: 900_000, args: ['order<'] } }))
    const [ticked, not, denied] = [await granting(), await granting(), await granting()]
    const html = await (await fetch(ticked.approve)).text()
    expect(html).toContain('Also for the next 15 minutes: calls of this tool with the same order&lt;')
    expect(await (await fetch(ticked.deny)).text()).not.toContain('checkbox')
    await post(ticked.approve, { grant: 'yes' })
    await post(not.approve, { grant: '' })
    await post(denied.deny, { grant: 'yes' })
    expect(board.heard.map(({ say }) => say.grant ?? false)).toEqual([true, true, false, false])
  })

  it('is over when the approval is, with a page that says how', async () => {
    const { board, links, fetch, post } = scene()
    for (const [state, says] of [
      ['approved', 'it was approved by elsewhere:somebody at 2026-01-01 00:00:00 UTC'],
      ['denied', 'it was denied by elsewhere:somebody'],
      ['expired', 'it expired: nobody decided in time'],
      ['withdrawn', 'it was withdrawn: the call does not wait any more'],
    ] as const) {
      const approval = board.ask()
      const { approve } = await links(approval)
      board.end(approval.id, state)
      const page = await fetch(approve)
      expect([page.status, await page.text()]).toEqual([410, expect.stringContaining(says)])
      const late = await post(approve)
      expect(late.status).toBe(state === 'expired' ? 410 : 409)
      expect(await late.text()).toContain(says)
    }
    const approval = board.ask()
    const { approve } = await links(approval)
    await board.clock.advance(300_000)
    expect([(await fetch(approve)).status, (await post(approve)).status]).toEqual([410, 410])
    expect(board.of(approval.id).votes).toEqual([])
  })

  it('is for nothing else than it was made for', async () => {
    const options = { approvers: ['alice', 'bob'] }
    const { board, links, post } = scene(options)
    const [one, other] = [board.ask(), board.ask()]
    const { approve, deny } = await links(one, 'alice')
    const token = (url: string) => url.split('/').at(-1) as string
    const elsewhere = approve.replace(one.id, other.id)
    expect((await post(elsewhere)).status).toBe(404)
    expect(
      new Set([approve, deny, (await links(one, 'bob')).approve, (await links(other, 'alice')).approve].map(token))
        .size,
    ).toBe(4)
    // The same approval, asked about something else, or until another time.
    for (const change of [{ digest: 'another' }, { expiresAt: new Date(one.expiresAt.getTime() + 1) }]) {
      const changed = scene(options, new Board(fakeClock()))
      changed.board.ask({ ...one, ...change })
      expect((await changed.post(approve)).status).toBe(404)
      expect(changed.board.heard).toEqual([])
    }
    // Another channel, or one that has other people or other secrets by now.
    const same = scene(options, board)
    expect((await same.fetch(approve)).status).toBe(200)
    const late = [
      { ...options, name: 'ops', path: '/haldir/webhook' },
      { approvers: ['bob'] },
      {},
      { ...options, secrets: [OLD] },
      { ...options, baseUrl: undefined as never },
    ]
    for (const more of late) expect((await scene(more, board).fetch(approve)).status, JSON.stringify(more)).toBe(404)
    expect(
      (await scene({ ...options, secrets: [OLD, NEW] }, board).fetch(approve)).status,
      'a secret that is still known',
    ).toBe(200)
    expect(board.heard).toEqual([])
  })

  it('that is not valid says so, and is put on record', async () => {
    const { board, links, fetch, post } = scene()
    const approval = board.ask()
    const { approve } = await links(approval)
    const base = 'https://app.example/haldir/webhook'
    const bad = [
      `${base}/${approval.id}/${'A'.repeat(43)}`,
      approve.slice(0, -1),
      `${approve}A`,
      `${base}/unknown/${approve.split('/').at(-1)}`,
      `${base}/${encodeURIComponent('../x\u0000')}/${'A'.repeat(43)}`,
    ]
    for (const url of bad) {
      for (const ask of [fetch, post]) {
        const page = await ask(url)
        expect([page.status, await page.text()]).toEqual([404, expect.stringContaining('This link is not valid')])
      }
    }
    expect(board.rejected).toEqual(Array.from({ length: 10 }, () => ({ why: 'a decision link is not valid' })))
    expect(board.heard).toEqual([])
    for (const odd of ['', '/', '/approval-1', '/%zz/x', `/${approval.id}/x/y`]) {
      expect((await fetch(`${base}${odd}`)).status, odd).toBe(404)
    }
  })

  it.each(['PUT', 'DELETE', 'OPTIONS', 'PATCH'])('does nothing for `%s`', async (method) => {
    const { board, links, fetch } = scene()
    const page = await fetch((await links(board.ask())).approve, { method })
    expect([page.status, page.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
    expect(board.heard).toEqual([])
  })

  it('says so when the answer can not be taken, and takes it later', async () => {
    const { board, links, fetch, post } = scene()
    const approval = board.ask()
    const { approve } = await links(approval)
    board.down = true
    expect([(await fetch(approve)).status, (await post(approve)).status]).toEqual([503, 503])
    board.down = false
    // The store is there to look, and not to write.
    const { say } = board
    board.say = () => Promise.reject(new Error('no'))
    const page = await post(approve)
    expect([page.status, await page.text()]).toEqual([503, expect.stringContaining('Nothing has changed')])
    board.say = say
    expect((await post(approve)).status).toBe(200)
  })

  it('does not take more than a reason, nor a body that somebody has read', async () => {
    const { board, approver, links, post } = scene()
    const approval = board.ask()
    const { approve } = await links(approval)
    expect((await post(approve, { reason: 'x'.repeat(20_000) })).status).toBe(413)
    const read = new Request(approve, { method: 'POST', body: 'reason=x' })
    await read.text()
    const parsed = new Request(approve, { method: 'POST', headers: { 'content-length': '8' } })
    // Express hands on what it has parsed as a stream that has ended: the reason would be lost.
    const ended = new Request(approve, { method: 'POST', body: new Blob([]).stream(), duplex: 'half' })
    ended.headers.set('content-length', '8')
    for (const request of [read, parsed, ended]) {
      const page = (await approver.fetch?.(request)) as Response
      const why = expect.stringContaining('mount `haldir.fetch` before what parses bodies')
      expect([page.status, await page.text()]).toEqual([400, why])
    }
    expect(board.heard).toEqual([])
    await post(approve, { reason: 'y'.repeat(900) })
    expect(board.heard[0]?.say.reason).toHaveLength(500)
  })

  it('is found wherever it is mounted', async () => {
    const { board, links, fetch } = scene()
    const { approve } = await links(board.ask())
    expect((await fetch(approve.replace('/haldir/', '/api/v1/haldir/'))).status).toBe(200)
    expect((await fetch(`${approve}?utm_source=mail`)).status).toBe(200)
    expect(await fetch(approve.replace('/haldir/', '/haldir-x/'))).toBe(undefined)
    expect(await fetch(approve.replace('/webhook/', '/webhooks/'))).toBe(undefined)
  })
})
