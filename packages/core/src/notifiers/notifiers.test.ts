/** Notifiers against servers that are real, and what becomes of those that fail. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fakeClock, fakeSlack } from '@haldir/testing'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import { Faults } from '../faults.ts'
import { Telling } from '../signals/telling.ts'
import type { Notice, Notifier } from './notifier.ts'
import { slackNotifier } from './slack.ts'
import { webhookNotifier } from './webhook.ts'

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const notice: Notice = {
  id: 'n-1',
  haldir: 'haldir',
  signal: 'loop',
  kind: '1',
  severity: 'medium',
  scope: 'session',
  value: 8,
  threshold: 8,
  windowMs: 600_000,
  at: Date.UTC(2026, 0, 1),
  tenant: 'acme',
  agent: 'bot <!channel>',
  session: 's-1',
  tool: 'read',
  reactions: ['record', 'notify', 'suspend'],
  text: 'bot <!channel>: the same call of read 8 times in a row',
}
const port = () => ({ clock: systemClock, signal: new AbortController().signal })

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  }
})

/** A receiver that answers with these statuses, one after the other, and remembers what came. */
async function receiver(...statuses: readonly number[]) {
  const got: { headers: IncomingHttpHeaders; body: string }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    got.push({ headers: request.headers, body })
    const status = statuses[got.length - 1] ?? 204
    response.writeHead(status, { location: 'http://127.0.0.1:1/', 'retry-after': '7' }).end()
  })
  servers.push(server)
  const reached = { times: 0 }
  server.on('connection', () => reached.times++)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { got, reached, host, url: `http://${host}/hook` }
}

describe('webhookNotifier', () => {
  it('posts the signal, signed as Standard Webhooks has it', async () => {
    const { got, host, url } = await receiver()
    await webhookNotifier({ url, secrets: [SECRET], privateHosts: [host] }).notify(notice, port())
    const [{ headers, body }] = got as [(typeof got)[number]]
    expect(headers['webhook-id']).toBe('n-1')
    const told = new Webhook(SECRET).verify(body, headers as Record<string, string>)
    const { at: _, ...data } = notice
    expect(told).toEqual({ type: 'signal.raised', timestamp: '2026-01-01T00:00:00.000Z', data })
  })

  it.each([
    [302, true, 7_000],
    [400, true, 7_000],
    [429, false, 7_000],
    [503, false, 7_000],
  ])('status %i rejects; final: %s', async (status, final, retryAfterMs) => {
    const { got, host, url } = await receiver(status)
    const sent = webhookNotifier({ url, secrets: [SECRET], privateHosts: [host] }).notify(notice, port())
    await expect(sent).rejects.toMatchObject({ final, retryAfterMs })
    expect(got).toHaveLength(1)
  })

  it('refuses what leads into the machine or its network, by name and by address', async () => {
    const { reached, host, url } = await receiver()
    for (const bad of [
      url,
      'https://10.0.0.1/',
      'https://alerts.internal/',
      'https://[::1]/',
      'https://169.254.169.254/',
    ])
      expect(() => webhookNotifier({ url: bad, secrets: [SECRET] })).toThrow('privateHosts')
    // A name that leads inside is found out when it is sent.
    const notifier = webhookNotifier({
      url: `https://rebound.example:${host.split(':')[1]}/`,
      secrets: [SECRET],
      lookup: () => ['127.0.0.1'],
    })
    await expect(notifier.notify(notice, port())).rejects.toThrow('could not be reached')
    expect(reached.times).toBe(0)
  })

  it('does not wait for ever, nor for one that nobody wants any more', async () => {
    const clock = fakeClock()
    const hangs = { url: 'https://alerts.example.com/', secrets: [SECRET], fetch: () => new Promise<never>(() => {}) }
    const late = webhookNotifier(hangs).notify(notice, { clock, signal: new AbortController().signal })
    const refused = expect(late).rejects.toThrow('did not answer in time')
    await clock.advance(10_000)
    await refused
    const stop = new AbortController()
    const left = webhookNotifier(hangs).notify(notice, { clock, signal: stop.signal })
    const given = expect(left).rejects.toThrow('not waited for')
    stop.abort()
    await given
    expect(clock.timers).toBe(0)
  })

  it.each([
    [{ url: 'ftp://x.example/' }, 'url'],
    [{ url: 'https://user@x.example/' }, 'url'],
    [{ url: 'http://x.example/' }, 'url'],
    [{ secrets: [] }, 'secrets'],
    [{ secrets: ['hunter2'] }, 'secrets.0'],
    [{ privateHosts: ['a/b'] }, 'privateHosts.0'],
    [{ timeout: 'soon' }, 'timeout'],
    [{ name: '' }, 'name'],
    [{ fetch: 7 }, 'fetch'],
    [{ secret: SECRET }, 'secret'],
  ])('%j is refused, and named', (wrong, path) => {
    const make = () => webhookNotifier({ url: 'https://x.example/', secrets: [SECRET], ...(wrong as object) })
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(expect.objectContaining({ path }))
    expect(make).not.toThrow('hunter2')
  })
})

describe('slackNotifier', () => {
  it('posts a message in which names mention nobody, and what is done', async () => {
    const slack = fakeSlack()
    const { token, apiUrl, fetch } = slack
    await slackNotifier({ token, channel: 'C1', apiUrl, fetch: fetch as never }).notify(notice, port())
    const text = slack.textOf(slack.message())
    expect(text).toContain('*loop* (medium)')
    expect(text).toContain('8 times in a row')
    expect(text).not.toContain('<!channel>')
    expect(text).toContain('The session is suspended until it is released.')
  })

  it('what Slack refuses for good is not tried again; what may pass is', async () => {
    const slack = fakeSlack()
    const { apiUrl, fetch } = slack
    const wrong = slackNotifier({ token: 'xoxb-other', channel: 'C1', apiUrl, fetch: fetch as never })
    await expect(wrong.notify(notice, port())).rejects.toMatchObject({ final: true })
    slack.down()
    const right = slackNotifier({ token: slack.token, channel: 'C1', apiUrl, fetch: fetch as never })
    const error = await Promise.resolve(right.notify(notice, port())).catch((caught) => caught)
    expect(error).not.toHaveProperty('final', true)
  })

  it.each([
    [{ token: '' }, 'token'],
    [{ channel: 'a b' }, 'channel'],
    [{ apiUrl: 'http://slack.example/' }, 'apiUrl'],
    [{ approvers: ['U1'] }, 'approvers'],
  ])('%j is refused, and named', (wrong, path) => {
    expect(() => slackNotifier({ token: 'xoxb-1', channel: 'C1', ...(wrong as object) })).toThrow(
      expect.objectContaining({ path }),
    )
  })
})

describe('telling', () => {
  const failing = (errors: readonly unknown[]) => {
    const tries: number[] = []
    const clock = fakeClock()
    const notifier: Notifier = {
      name: 'n',
      notify() {
        tries.push(clock.monotonic())
        const error = errors[tries.length - 1]
        if (error !== undefined) throw error
      },
    }
    const faults = new Faults()
    return { tries, clock, faults, telling: new Telling([notifier], clock, faults) }
  }

  it('tries four times, later each time; every failure is counted', async () => {
    const { tries, clock, faults, telling } = failing(Array(9).fill(new Error('x')))
    telling.tell(notice)
    await telling.tried()
    for (let turn = 0; turn < 60; turn++) await clock.advance(1_000)
    expect(tries).toEqual([0, 1_000, 5_000, 21_000])
    expect(faults.list()).toMatchObject([{ part: 'notifier n', count: 4 }])
    await telling.close()
  })

  it('is tried again when it has asked for that, and not when it is final', async () => {
    const { tries, clock, telling } = failing([{ retryAfterMs: 30_000 }, undefined])
    telling.tell(notice)
    for (let turn = 0; turn < 60; turn++) await clock.advance(1_000)
    expect(tries).toEqual([0, 30_000])
    const final = failing([{ final: true }])
    final.telling.tell(notice)
    await final.clock.advance(60_000)
    expect(final.tries).toEqual([0])
  })

  it('one that hangs holds up neither the others nor the end, and no more than so many wait', async () => {
    const clock = fakeClock()
    const faults = new Faults()
    let heard = 0
    const hangs: Notifier = { name: 'hangs', notify: () => new Promise(() => {}) }
    const hears: Notifier = { name: 'hears', notify: () => void heard++ }
    const telling = new Telling([hangs, hears], clock, faults)
    for (let turn = 0; turn < 60; turn++) {
      telling.tell(notice)
      await Promise.resolve()
      await new Promise((done) => setImmediate(done))
    }
    expect(heard).toBe(60)
    expect(faults.list()).toMatchObject([{ part: 'notifier hangs', count: 10 }])
    await telling.close()
    telling.tell(notice)
    expect(heard).toBe(60)
  })
})
