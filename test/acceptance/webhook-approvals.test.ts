/** People and services decide over HTTP: a real haldir, its store on disk, a receiver on a port of this machine. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Denied, governed, type Haldir, type HaldirOptions, type Policy, usd } from '@haldir/core'
import { type WebhookApproverOptions, webhookApprover } from '@haldir/core/approvers/webhook'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { eventOf, linksOf, OLD_SECRET, type Receiver, receiver, SECRET, textIn } from '../contracts/webhook-driver.ts'
import { proves } from '../promises.ts'
import { caughtBy, type Pay } from './approval-scene.ts'
import { type Fleet, fleet } from './scene.ts'

const policy: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'big', tools: 'pay', when: { 'args.amount': { gt: 10 } }, then: 'ask', because: 'large payments' }],
}
const closing: (() => unknown)[] = []

afterEach(async () => {
  vi.useRealTimers()
  for (const close of closing.splice(0).reverse()) await close()
})

async function listening(): Promise<Receiver> {
  const there = await receiver()
  closing.push(there.close)
  return there
}

/** A process of the fleet that tells a receiver. */
async function scene(
  { there, house, ...webhook }: { there?: Receiver; house?: Fleet } & Partial<WebhookApproverOptions> = {},
  options: HaldirOptions = {},
) {
  const receiving = there ?? (await listening())
  const shared = house ?? fleet('sqlite')
  const approver = webhookApprover({
    url: receiving.url,
    secrets: [SECRET],
    baseUrl: 'https://app.example',
    ...webhook,
  })
  const { haldir, entries, lines } = shared.house({ policy, approvers: [approver], ...options })
  const paid: Pay[] = []
  const run = async (args: Pay) => {
    paid.push(args)
    return `paid ${args.amount}`
  }
  const pay = governed(run, { name: 'pay', scope: 'spend', cost: ({ amount }: Pay) => usd(amount) }, { haldir })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1000'], ttl: '2d' })
  return {
    there: receiving,
    fleet: shared,
    clock: shared.clock,
    haldir,
    entries,
    lines,
    session,
    paid,
    pay: (amount: number) => session.run(() => pay({ amount })),
    rejected: () => entries('approval-rejected').map(({ data }) => (data as { why: string }).why),
  }
}

/** The newest message that fits, as soon as it is there. */
async function told({ received }: Receiver, type: string, count = 1) {
  await vi.waitFor(() => expect(received.filter((one) => eventOf(one).type === type).length).toBe(count), 5_000)
  const found = received.findLast((one) => eventOf(one).type === type)
  if (!found) throw new Error(type)
  return { ...found, event: eventOf(found) }
}

const post = (haldir: Haldir, url: string | undefined, form: Record<string, string> = {}) =>
  haldir.fetch(new Request(url as string, { method: 'POST', body: new URLSearchParams(form) }))

/** A callback, signed by the package that receivers use. */
function callback(body: object, at: number, { secret = SECRET, id = `msg_${at}` } = {}): Request {
  const text = JSON.stringify(body)
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at / 1_000)),
    'webhook-signature': new Webhook(secret).sign(id, new Date(at), text),
  }
  return new Request('https://app.example/haldir/webhook/callback', { method: 'POST', body: text, headers })
}

describe('a decision link', () => {
  it('shows the call to whoever looks, lets whoever presses decide, once; the receiver is told', async () => {
    proves('invariant-8')
    const { there, haldir, pay, paid, entries, clock, rejected } = await scene()
    const calling = pay(29.99)
    const { event, headers, body } = await told(there, 'approval.requested')
    vi.useFakeTimers({ now: clock.now(), toFake: ['Date'] })
    expect(new Webhook(SECRET).verify(body, headers)).toEqual(JSON.parse(body))
    vi.useRealTimers()
    const { approval, links } = event.data
    expect(approval).toMatchObject({
      state: 'pending',
      agent: 'bot',
      tool: 'pay',
      args: { amount: 29.99 },
      reason: 'large payments',
    })
    const before = entries().length
    for (const url of [links?.approve, links?.deny]) {
      for (const method of ['GET', 'HEAD', 'GET']) {
        const page = await haldir.fetch(new Request(url as string, { method }))
        expect(page.status).toBe(200)
        if (method === 'GET') expect(textIn(await page.text())).toContain('"amount": 29.99')
      }
    }
    expect([entries().length, paid]).toEqual([before, []])
    expect((await haldir.approvals.get(approval.id))?.state).toBe('pending')

    expect((await post(haldir, links?.approve, { reason: 'fine' })).status).toBe(200)
    expect(await calling).toBe('paid 29.99')
    expect(paid).toEqual([{ amount: 29.99 }])
    const { event: ended } = await told(there, 'approval.approved')
    expect(ended.data.approval).toMatchObject({ votes: [{ by: 'webhook:link', approve: true, reason: 'fine' }] })
    expect(ended.data).not.toHaveProperty('links')
    for (const url of [links?.approve, links?.deny]) expect((await post(haldir, url)).status).toBe(409)
    expect(rejected()).toEqual(['decided', 'decided'])
    expect(paid).toHaveLength(1)
    await clock.advance(120_000)
    expect(there.received, 'each is told once').toHaveLength(2)
  })

  it('counts once of ten that press at the same moment', async () => {
    const { there, haldir, pay, paid } = await scene({ approvers: ['alice', 'bob'] })
    const calling = pay(20)
    const { event } = await told(there, 'approval.requested')
    const links = event.data.approvers?.flatMap(({ links }) => Array.from({ length: 5 }, () => links.approve)) ?? []
    const statuses = await Promise.all(links.map(async (link) => (await post(haldir, link)).status))
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(await calling).toBe('paid 20')
    expect(paid).toHaveLength(1)
  })

  it('is for those whom the rule lets decide, and for nobody who asks', async () => {
    const [rule] = policy.rules
    const rules = [{ ...rule, id: 'big', then: 'ask' as const, approvers: ['alice', 'webhook:carol'], quorum: 2 }]
    const options = { policy: { ...policy, rules } }
    const { there, haldir, pay, paid, rejected } = await scene({ approvers: ['alice', 'bob', 'bot', 'carol'] }, options)
    const calling = pay(20)
    const { event } = await told(there, 'approval.requested')
    const link = (by: string) => linksOf(there.received, event.data.approval.id, by)?.approve
    expect((await post(haldir, link('bob'))).status).toBe(403)
    expect((await post(haldir, link('bot'))).status).toBe(403)
    expect(await (await post(haldir, link('alice'))).text()).toContain('Your answer counts')
    expect((await told(there, 'approval.voted')).event.data.approval.votes).toMatchObject([{ by: 'webhook:alice' }])
    expect(paid).toEqual([])
    expect((await post(haldir, link('carol'))).status).toBe(200)
    expect(await calling).toBe('paid 20')
    expect(rejected()).toEqual(['not-approver', 'self-approval'])
  })

  it('is over with what it is for: revoked, expired', async () => {
    const { there, haldir, pay, paid, session, clock } = await scene()
    const expiring = caughtBy(pay(20))
    const first = await told(there, 'approval.requested')
    await clock.advance(301_000)
    expect(await expiring).toMatchObject({ code: 'approval-expired' })
    await told(there, 'approval.expired')
    const revoked = caughtBy(pay(30))
    const second = await told(there, 'approval.requested', 2)
    await session.revoke('stop')
    expect(await revoked).toMatchObject({ code: 'session-revoked' })
    await told(there, 'approval.withdrawn')
    for (const [{ event }, says] of [
      [first, 'it expired'],
      [second, 'it was withdrawn'],
    ] as const) {
      const page = await haldir.fetch(new Request(event.data.links?.approve as string))
      expect([page.status, textIn(await page.text())]).toEqual([410, expect.stringContaining(says)])
      expect((await post(haldir, event.data.links?.approve)).status).toBeGreaterThanOrEqual(409)
    }
    expect(paid).toEqual([])
  })

  it('stands in no store and no trail', async () => {
    const { there, haldir, pay, fleet: house, lines } = await scene()
    const calling = pay(20)
    const { event } = await told(there, 'approval.requested')
    await post(haldir, event.data.links?.approve)
    await calling
    await haldir.fetch(new Request(`${event.data.links?.approve}x`))
    await told(there, 'approval.approved')
    for (const url of Object.values(event.data.links ?? {})) {
      const token = url.split('/').at(-1) as string
      expect(token).toHaveLength(43)
      for (const text of [house.bytes(), lines.join('\n'), JSON.stringify(haldir.health())]) {
        for (const form of [token, Buffer.from(token, 'base64url').toString('hex')])
          expect(text.includes(form)).toBe(false)
      }
    }
  })
})

describe('a callback', () => {
  it('decides, signed by the package that receivers use', async () => {
    const { there, haldir, pay, paid, clock } = await scene()
    const calling = pay(20)
    const { event } = await told(there, 'approval.requested')
    const { id: approval, digest } = event.data.approval
    const answer = await haldir.fetch(callback({ approval, digest, decision: 'approve', by: 'alice' }, clock.now()))
    expect([answer.status, await answer.json()]).toEqual([200, { ok: true, state: 'approved' }])
    expect(await calling).toBe('paid 20')
    expect(paid).toEqual([{ amount: 20 }])
    expect((await haldir.approvals.get(approval))?.votes).toMatchObject([{ by: 'webhook:alice' }])
  })

  it('runs the call with the arguments that it says instead', async () => {
    const { there, haldir, pay, paid, clock } = await scene()
    const calling = pay(500)
    const { event } = await told(there, 'approval.requested')
    const { id: approval, digest } = event.data.approval
    const body = { approval, digest, decision: 'approve', by: 'alice', args: { amount: 50 } }
    expect((await haldir.fetch(callback(body, clock.now()))).status).toBe(200)
    expect(await calling).toBe('paid 50')
    expect(paid).toEqual([{ amount: 50 }])
    expect((await told(there, 'approval.approved')).event.data.approval).toMatchObject({
      edited: true,
      args: { amount: 50 },
    })
  })

  it('that is forged, old, of the future, a replay, or about something else changes nothing, and is on record', async () => {
    const { there, haldir, pay, paid, clock, rejected } = await scene()
    const calling = caughtBy(pay(20))
    const { event } = await told(there, 'approval.requested')
    const { id: approval, digest } = event.data.approval
    const yes = { approval, digest, decision: 'approve', by: 'alice' }
    const now = clock.now()
    const status = async (request: Request) => (await haldir.fetch(request)).status
    expect(await status(callback(yes, now, { secret: OLD_SECRET }))).toBe(401)
    expect(await status(callback(yes, now - 301_000))).toBe(401)
    expect(await status(callback(yes, now + 301_000))).toBe(401)
    expect(await status(callback({ ...yes, digest: 'another' }, now, { id: 'a' }))).toBe(409)
    expect(await status(callback({ ...yes, approval: 'another' }, now, { id: 'b' }))).toBe(404)
    expect(await status(callback({ ...yes, by: 'bot' }, now, { id: 'c' }))).toBe(403)
    expect((await haldir.approvals.get(approval))?.votes).toEqual([])
    expect(await status(callback({ ...yes, decision: 'deny' }, now, { id: 'd' }))).toBe(200)
    expect(await status(callback({ ...yes, decision: 'deny' }, now, { id: 'd' }))).toBe(409)
    expect(await calling).toMatchObject({ code: 'approval-denied' } satisfies Partial<Denied>)
    expect(paid).toEqual([])
    const old = 'its `webhook-timestamp` is more than five minutes from now'
    expect(rejected()).toEqual([
      'none of its signatures is right',
      old,
      old,
      'other-digest',
      'unknown',
      'self-approval',
      'the message was received before',
    ])
  })

  it('reaches it through a server, byte for byte; other paths are others’', async () => {
    const { there, haldir, pay, clock } = await scene()
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const { url, method = 'GET', headers } = request
      const body = method === 'POST' ? Buffer.concat(chunks) : null
      const answer = await haldir.fetch(
        new Request(`http://127.0.0.1${url}`, { method, headers: headers as Record<string, string>, body }),
      )
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closing.push(() => new Promise((resolve) => server.close(resolve)))
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const calling = pay(20)
    const { event } = await told(there, 'approval.requested')
    const { id: approval, digest } = event.data.approval
    const request = callback({ approval, digest, decision: 'approve', by: 'Zoë' }, clock.now())
    const { headers } = request
    const answer = await fetch(`${origin}/api/haldir/webhook/callback`, {
      method: 'POST',
      headers,
      body: await request.text(),
    })
    expect([answer.status, await answer.json()]).toEqual([200, { ok: true, state: 'approved' }])
    expect(await calling).toBe('paid 20')
    expect((await fetch(`${origin}/elsewhere`)).status).toBe(404)
  })
})

describe('a receiver', () => {
  it('that was down is told later, by the same message; the call waits no longer than people have', async () => {
    const { there, haldir, pay, clock } = await scene()
    there.answer(500)
    const calling = pay(20)
    await vi.waitFor(() => expect(there.received).toHaveLength(1))
    there.answer('down')
    const attempts = async () => {
      await clock.advance(1_000)
      // The request itself takes real time.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    for (let second = 0; second < 30; second++) await attempts()
    there.answer(204)
    while (there.received.length < 2) await attempts()
    const [first, second] = there.received
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
    expect(second?.body).toBe(first?.body)
    expect(Number(second?.headers['webhook-timestamp'])).toBeGreaterThan(Number(first?.headers['webhook-timestamp']))
    expect(haldir.health().faults).toContainEqual({
      part: 'approver webhook',
      count: expect.any(Number),
      last: expect.stringMatching(/reached/),
    })
    // The first message has the same links: whoever has dropped the second can follow them.
    await post(haldir, eventOf(first as never).data.links?.approve)
    expect(await calling).toBe('paid 20')
  })

  it('that says when it wants to be asked again is asked then', async () => {
    const { there, pay, clock, haldir } = await scene()
    there.answer(503)
    const calling = pay(20)
    await vi.waitFor(() => expect(there.received).toHaveLength(1))
    await vi.waitFor(() => expect(haldir.health().faults).toHaveLength(1))
    there.answer(204)
    // The receiver of these tests says `Retry-After: 7`.
    await clock.advance(6_900)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(there.received).toHaveLength(1)
    await clock.advance(200)
    const { event } = await told(there, 'approval.requested', 2)
    await post(haldir, event.data.links?.approve)
    expect(await calling).toBe('paid 20')
  })

  it('that hangs, or sends elsewhere, stalls no call, and nothing is sent elsewhere', async () => {
    const { there, pay, clock, paid } = await scene()
    there.answer('hang')
    const first = caughtBy(pay(20))
    await vi.waitFor(() => expect(there.received).toHaveLength(1))
    there.answer(302)
    for (let second = 0; second < 302; second++) await clock.advance(1_000)
    expect(await first).toMatchObject({ code: 'approval-expired' })
    expect(paid).toEqual([])
    await vi.waitFor(() => expect(there.received.length).toBeGreaterThan(1))
    expect(new Set(there.received.map(({ path }) => path))).toEqual(new Set(['/hooks']))
  })

  it('that changes its secret misses nothing: while both are in use each message is signed with both', async () => {
    const house = fleet('sqlite')
    const there = await listening()
    const old = await scene({ there, house, secrets: [OLD_SECRET] })
    const calling = old.pay(20)
    const { event } = await told(there, 'approval.requested')
    const both = await scene({ there, house, secrets: [SECRET, OLD_SECRET] })
    const again = both.pay(30)
    const { body, headers } = await told(there, 'approval.requested', 2)
    vi.useFakeTimers({ now: house.clock.now(), toFake: ['Date'] })
    for (const secret of [SECRET, OLD_SECRET]) expect(new Webhook(secret).verify(body, headers)).toBeTruthy()
    vi.useRealTimers()
    // A link that the old secret has made counts for as long as that is in use.
    const fresh = await scene({ there, house, secrets: [SECRET] })
    expect((await post(fresh.haldir, event.data.links?.approve)).status).toBe(404)
    expect((await post(both.haldir, event.data.links?.approve)).status).toBe(200)
    await house.clock.advance(1_000)
    expect(await calling).toBe('paid 20')
    const { id: approval, digest } = JSON.parse(body).data.approval
    const by = { approval, digest, decision: 'approve', by: 'alice' }
    expect((await both.haldir.fetch(callback(by, house.clock.now(), { secret: OLD_SECRET }))).status).toBe(200)
    expect(await again).toBe('paid 30')
  })
})

describe('another process', () => {
  it('delivers what a dead one owed, as the same message, and runs the call once', async () => {
    const house = fleet('sqlite')
    const there = await listening()
    there.answer(500)
    const first = await scene({ there, house }, { approvals: { mode: 'suspend' } })
    const suspended = await caughtBy(first.pay(20))
    expect(suspended).toMatchObject({ code: 'approval-pending' })
    await vi.waitFor(() => expect(there.received.length).toBeGreaterThan(0))
    // It goes without having told anybody.
    await first.haldir.close()
    const before = there.received.length
    there.answer(204)
    const second = await scene({ there, house }, { approvals: { mode: 'suspend' } })
    await vi.waitFor(async () => {
      await house.clock.advance(5_000)
      expect(there.received.length).toBeGreaterThan(before)
    }, 5_000)
    expect(new Set(there.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(new Set(there.received.map(({ body }) => body)).size).toBe(1)
    const { event } = await told(there, 'approval.requested', there.received.length)
    expect((await post(second.haldir, event.data.links?.approve)).status).toBe(200)
    const { id } = event.data.approval
    expect(await second.haldir.approvals.resume(id)).toBe('paid 20')
    expect(await caughtBy(second.haldir.approvals.resume(id))).toMatchObject({ code: 'duplicate-call' })
    expect([first.paid, second.paid]).toEqual([[], [{ amount: 20 }]])
  })

  it('answers a link that the first has sent', async () => {
    const house = fleet('sqlite')
    const there = await listening()
    const one = await scene({ there, house })
    const other = await scene({ there, house })
    const calling = one.pay(20)
    const { event } = await told(there, 'approval.requested')
    expect((await post(other.haldir, event.data.links?.deny, { reason: 'no' })).status).toBe(200)
    const refused = caughtBy(calling)
    await house.clock.advance(1_000)
    expect(await refused).toMatchObject({ code: 'approval-denied' })
  })
})
