import { inspect } from 'node:util'
import { fakeClock } from '@haldir/testing'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, vi } from 'vitest'
import { Board } from '../../../testing/src/approver-contract/board.ts'
import type { Approval } from './approver.ts'
import { type PostFunction, type WebhookApproverOptions, type WebhookEvent, webhookApprover } from './webhook.ts'

const NEW = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const OLD = `whsec_${Buffer.alloc(32, 2).toString('base64')}`
const URL_ = 'https://hooks.example/haldir?team=7'

type Sent = { url: string; headers: Record<string, string>; body: string; redirect: string; signal: AbortSignal }

function scene(options: Partial<WebhookApproverOptions> = {}, clock = fakeClock()) {
  const board = new Board(clock)
  const sent: Sent[] = []
  let answer: (init: Sent) => Response | Promise<Response> = () => new Response(null, { status: 204 })
  const fetch: PostFunction = async (url, init) => {
    sent.push({ url, ...init, headers: { ...init.headers } })
    return answer(sent.at(-1) as Sent)
  }
  const approver = webhookApprover({
    url: URL_,
    secrets: [NEW, OLD],
    baseUrl: 'https://app.example',
    fetch,
    ...options,
  })
  approver.open?.(board)
  const signal = new AbortController().signal
  return {
    board,
    clock,
    sent,
    approver,
    answer(next: typeof answer) {
      answer = next
    },
    show: async (approval: Approval, note?: unknown, waiting: AbortSignal = signal): Promise<any> =>
      approver.show(approval, note, waiting),
    event: (at = -1) => JSON.parse(sent.at(at)?.body as string) as WebhookEvent,
  }
}

describe('an event', () => {
  it('tells everything that people are shown, signed with each secret', async () => {
    const { board, show, sent, event, clock } = scene()
    const approval = board.ask({ resume: { run: 7 } })
    await show(approval)
    expect(sent).toHaveLength(1)
    const [{ url, headers, body, redirect } = {} as Sent] = sent
    expect({ url, redirect, type: headers['content-type'] }).toEqual({
      url: URL_,
      redirect: 'manual',
      type: 'application/json',
    })
    vi.useFakeTimers({ now: clock.now(), toFake: ['Date'] })
    for (const secret of [NEW, OLD]) expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body))
    vi.useRealTimers()
    const { type, timestamp, data } = event()
    expect({ type, timestamp }).toEqual({ type: 'approval.requested', timestamp: '2026-01-01T00:00:00.000Z' })
    expect(data.approval).toEqual(JSON.parse(JSON.stringify(approval)))
    expect(data.approval).toMatchObject({
      cost: [{ unit: 'USD', amount: '29.99' }],
      expiresAt: '2026-01-01T00:05:00.000Z',
    })
    expect(Object.keys(data).sort()).toEqual(['approval', 'links'])
  })

  it('has links for each of the approvers, or one pair for whoever holds them', async () => {
    const all = [scene(), scene({ approvers: ['alice', 'bob'] })]
    for (const { board, show } of all) await show(board.ask())
    const [one, two] = all.map(({ event }) => event().data)
    expect(one?.links?.approve).toMatch(/^https:\/\/app\.example\/haldir\/webhook\/approval-1\/[A-Za-z0-9_-]{43}$/)
    expect(two).not.toHaveProperty('links')
    expect(two?.approvers?.map(({ by }) => by)).toEqual(['alice', 'bob'])
    const tokens = [one?.links, ...(two?.approvers ?? []).map(({ links }) => links)].flatMap((pair) => [
      pair?.approve,
      pair?.deny,
    ])
    expect(new Set(tokens).size).toBe(6)
  })

  it('without `baseUrl` has no links', async () => {
    const clock = fakeClock()
    const board = new Board(clock)
    let body = ''
    const approver = webhookApprover({
      url: URL_,
      secrets: [NEW],
      fetch: async (_, init) => {
        body = init.body
        return new Response(null)
      },
    })
    approver.open?.(board)
    await approver.show(board.ask(), undefined, new AbortController().signal)
    expect(Object.keys(JSON.parse(body).data)).toEqual(['approval'])
    expect(
      (await approver.fetch?.(new Request(`https://app.example/haldir/webhook/approval-1/${'a'.repeat(43)}`)))?.status,
    ).toBe(404)
  })

  it('keeps its id and its links when it is sent again, by whichever process; the time is that of the attempt', async () => {
    const first = scene()
    const approval = first.board.ask()
    first.answer(() => new Response(null, { status: 500 }))
    await expect(first.show(approval)).rejects.toMatchObject({ code: 'unavailable' })
    await first.clock.advance(61_000)
    await expect(first.show(approval)).rejects.toMatchObject({ code: 'unavailable' })
    const second = scene({}, first.clock)
    await second.show(approval)
    const [a, b, c] = [...first.sent, ...second.sent]
    expect(new Set([a, b, c].map((one) => one?.headers['webhook-id'])).size).toBe(1)
    expect(a?.body).toBe(b?.body)
    expect(a?.body).toBe(c?.body)
    expect(Number(b?.headers['webhook-timestamp']) - Number(a?.headers['webhook-timestamp'])).toBe(61)
  })

  it('has another id for everything else that is told, and is sent once for each', async () => {
    const { board, show, sent, event } = scene()
    const approval = board.ask({ terms: [{ rule: 'four-eyes', quorum: 3 }] })
    let note: unknown
    const told = async () => {
      for (let times = 0; times < 3; times++) note = (await show(board.of(approval.id), note)) ?? note
      return event()
    }
    const types = [(await told()).type]
    await board.say(approval.id, { approve: true, by: 'slack:U1' })
    types.push((await told()).type)
    await board.say(approval.id, { approve: true, by: 'slack:U2' })
    types.push((await told()).type)
    board.edit(approval.id, { amount: 1 })
    const edited = await told()
    types.push(edited.type)
    expect(edited.data.links).not.toEqual(event(0).data.links)
    board.end(approval.id, 'denied')
    const ended = await told()
    types.push(ended.type)
    expect(ended.data).not.toHaveProperty('links')
    expect(types).toEqual([
      'approval.requested',
      'approval.voted',
      'approval.voted',
      'approval.voted',
      'approval.denied',
    ])
    expect(new Set(sent.map(({ headers }) => headers['webhook-id'])).size).toBe(5)
    expect(sent).toHaveLength(5)
  })

  it.each(['approved', 'denied', 'expired', 'withdrawn'] as const)('tells that it was %s, and when', async (state) => {
    const { board, show, event, clock } = scene()
    const { id } = board.ask()
    await clock.advance(1_000)
    board.end(id, state)
    await clock.advance(60_000)
    await show(board.of(id))
    expect(event()).toMatchObject({ type: `approval.${state}`, timestamp: '2026-01-01T00:00:01.000Z' })
  })
})

describe('what the receiver answers', () => {
  const CASES = [
    200, 201, 204, 299, 300, 301, 302, 307, 308, 400, 401, 403, 404, 408, 410, 413, 422, 425, 429, 500, 502, 503,
  ]
  const final = [400, 404, 410, 413, 422]

  it.each(CASES)('%d', async (status) => {
    const { board, show, answer, sent } = scene()
    const { id } = board.ask()
    answer(() => new Response(null, { status, headers: { location: 'https://elsewhere.example/' } }))
    const taken = async () =>
      show(board.of(id)).then(
        (note) => note !== undefined,
        (error) => error.message,
      )
    const accepted = status < 300
    const refused = `\`webhook\` answered with status ${status}`
    expect(await taken()).toBe(accepted || refused)
    board.end(id, 'withdrawn')
    expect(await taken()).toBe(accepted || final.includes(status) || refused)
    // Nothing was sent anywhere else.
    expect(sent.map(({ url }) => url)).toEqual([URL_, URL_])
  })

  it.each([
    ['7', 7_000],
    ['Thu, 01 Jan 2026 00:02:00 GMT', 120_000],
    ['0', undefined],
    ['Wed, 31 Dec 2025 00:00:00 GMT', undefined],
    ['soon', undefined],
    ['-5', undefined],
  ])('`Retry-After: %s`', async (value, ms) => {
    const { board, show, answer } = scene()
    answer(() => new Response('busy', { status: 503, headers: { 'retry-after': value } }))
    const error = await show(board.ask()).catch((caught) => caught)
    expect(error.retryAfterMs).toBe(ms)
  })

  it('nothing, for 15 seconds, even if what sends does not listen', async () => {
    const { board, show, answer, clock, sent } = scene()
    answer(() => new Promise(() => {}))
    const showing = show(board.ask()).catch((caught) => caught)
    await clock.advance(14_999)
    expect(sent[0]?.signal.aborted).toBe(false)
    await clock.advance(1)
    expect(await showing).toMatchObject({ code: 'unavailable', message: '`webhook` did not answer in time' })
    expect(sent[0]?.signal.aborted).toBe(true)
    expect(clock.timers).toBe(0)
  })

  it('nothing before nobody waits any more; what it says later is dropped', async () => {
    const { board, show, answer, clock, sent } = scene()
    const late = Promise.withResolvers<Response>()
    answer(() => late.promise)
    const controller = new AbortController()
    const showing = show(board.ask(), undefined, controller.signal).catch((caught) => caught)
    await clock.advance(0)
    controller.abort(new Error('enough'))
    expect((await showing).message).toBe('`webhook` is not waited for any more')
    late.reject(new Error('too late'))
    await clock.advance(0)
    expect(clock.timers).toBe(0)
    await show(board.ask(), undefined, controller.signal).catch(() => {})
    expect(sent, 'nothing is sent when nobody waits from the start').toHaveLength(1)
  })

  it('an error, of which only the code goes on', async () => {
    const { board, show, answer } = scene()
    answer(({ body }) => {
      throw Object.assign(new TypeError(`could not send ${body}`), { cause: { code: 'ECONNREFUSED', body } })
    })
    const error = await show(board.ask({ args: { note: 'canary-1' } })).catch((caught) => caught)
    expect(error.message).toBe('`webhook` could not be reached: ECONNREFUSED')
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/canary-1|haldir\/webhook\//)
    answer(() => Promise.reject(undefined))
    expect((await show(board.ask()).catch((caught) => caught)).message).toBe('`webhook` could not be reached')
  })

  it('a body that is never read holds nothing up', async () => {
    const { board, show, answer } = scene()
    let cancelled = false
    const stream = new ReadableStream({
      cancel() {
        cancelled = true
        return new Promise(() => {})
      },
    })
    answer(() => new Response(stream))
    expect(await show(board.ask())).toMatchObject({ sent: expect.stringMatching(/^msg_[A-Za-z0-9_-]{43}$/) })
    expect(cancelled).toBe(true)
  })
})

describe('the options', () => {
  const good = { url: URL_, secrets: [NEW], baseUrl: 'https://app.example' }
  it.each([
    ['url', undefined],
    ['url', 'hooks.example'],
    ['url', 'ftp://hooks.example'],
    ['url', 'http://hooks.example'],
    ['url', 'http://127.0.0.1.evil.example'],
    ['url', 'http://localhost.evil.example'],
    ['url', 'https://user:pass@hooks.example'],
    ['url', 'https://user@hooks.example'],
    ['url', 'https://hooks.example/#x'],
    ['secrets', undefined],
    ['secrets', []],
    ['secrets', NEW],
    ['secrets', Array.from({ length: 9 }, () => NEW)],
    ['secrets.1', [NEW, 'whsec_short']],
    ['baseUrl', 'http://app.example'],
    ['baseUrl', 'https://app.example/?x=1'],
    ['baseUrl', 42],
    ['approvers', []],
    ['approvers', 'alice'],
    ['approvers.1', ['alice', 'slack:U123']],
    ['approvers.1', ['alice', 'alice']],
    ['approvers.0', ['a\u202eb']],
    ['approvers.0', [' alice']],
    ['name', ''],
    ['name', 'a:b'],
    ['name', 7],
    ['path', 'haldir'],
    ['path', '/'],
    ['path', '/a/'],
    ['path', '/a/../b'],
    ['path', '/a?b'],
    ['path', '/%61'],
    ['timeout', 'soon'],
    ['timeout', 0],
    ['timeout', '21s'],
    ['fetch', 'fetch'],
  ])('`%s` is not %j', (path, value) => {
    const options = { ...good, [path.split('.')[0] as string]: value }
    expect(() => webhookApprover(options as never)).toThrow(expect.objectContaining({ code: 'invalid-option', path }))
  })

  it('are known by name', () => {
    expect(() => webhookApprover({ ...good, secret: NEW } as never)).toThrow('did you mean `secrets`?')
    expect(() => webhookApprover(undefined as never)).toThrow('the options of `webhookApprover` are an object')
  })

  it.each([
    'http://localhost:8080/',
    'http://127.0.0.1:1/x',
    'http://[::1]:1/',
    'http://hooks.localhost/',
    'http://127.8.9.1/',
  ])('take %s, which does not leave the machine', (url) => {
    expect(webhookApprover({ ...good, url, baseUrl: url }).name).toBe('webhook')
  })

  it('put `baseUrl` and `path` together, whatever they end in', async () => {
    for (const [baseUrl, path, start] of [
      ['https://app.example/', '/haldir/webhook', 'https://app.example/haldir/webhook/'],
      ['https://app.example/api', '/a/b.c', 'https://app.example/api/a/b.c/'],
    ] as const) {
      const { board, show, event } = scene({ baseUrl, path })
      await show(board.ask())
      expect(event().data.links?.approve.startsWith(`${start}approval-1/`)).toBe(true)
    }
    const { board, show, event } = scene({ name: 'ops' })
    await show(board.ask())
    expect(event().data.links?.approve).toContain('/haldir/ops/')
  })
})

it('an approver of no haldir sends nothing, and answers nothing', async () => {
  const approver = webhookApprover({ url: URL_, secrets: [NEW] })
  const approval = new Board(fakeClock()).ask()
  await expect(approver.show(approval, undefined, new AbortController().signal)).rejects.toThrow('belongs to no haldir')
  await expect(approver.fetch?.(new Request('https://app.example/haldir/webhook/callback'))).rejects.toThrow(
    'belongs to no haldir',
  )
})

it('shows no secret of its own', () => {
  const { approver } = scene()
  const shown = inspect(approver, { depth: 9, showHidden: true }) + JSON.stringify(approver)
  expect(shown).not.toContain(NEW.slice(6))
  expect(shown).not.toContain('hooks.example')
})
