/** Entries on their way to a collector over HTTP: what is sent, what is sent again, and what becomes of the rest. */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createHaldir, governed } from '@haldir/core'
import { type HttpSink, httpSink } from '@haldir/core/sinks/http'
import { memorySink } from '@haldir/core/sinks/memory'
import { fakeClock } from '@haldir/testing'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, vi } from 'vitest'
import { idOf, Lines } from '../collectors/lines.ts'
import { proves } from '../promises.ts'
import { collector, folder, keeping, opened, textIn } from './shipping-scene.ts'

const until = (check: () => void) => vi.waitFor(check, { timeout: 15_000, interval: 2 })

describe('what is sent', () => {
  it('goes in batches of so many entries, in order, each once, compressed when that is worth it', async () => {
    const { at, kept } = await keeping()
    const sink = opened(at, { batch: { entries: 40, every: '1h' } })
    const lines = new Lines().take(100)
    sink.write(lines.slice(0, 30).join(''))
    expect(sink.counts.queued).toBe(30)
    for (const line of lines.slice(30)) sink.write(line)
    await sink.flush?.()
    expect(kept.all.map((line) => `${line}\n`)).toEqual(lines)
    expect(at.received.map(({ body }) => body.split('\n').length - 1)).toEqual([40, 40, 20])
    for (const { headers, wire, body } of at.received) {
      expect(headers).toMatchObject({ 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' })
      expect(wire).toBeLessThan(body.length)
    }
    expect(sink.counts).toEqual({ sent: 100, retried: 0, dropped: 0, rejected: 0, reduced: 0, queued: 0 })
  })

  it('goes when a batch is full, or an entry has waited so long', async () => {
    const { at, kept } = await keeping()
    const clock = fakeClock()
    const sink = opened(at, { clock, batch: { entries: 3, every: '1s' } })
    const lines = new Lines()
    sink.write(lines.take(3).join(''))
    await until(() => expect(sink.counts.sent).toBe(3))
    sink.write(lines.next())
    await clock.advance(999)
    expect(at.received).toHaveLength(1)
    await clock.advance(1)
    await until(() => expect(kept.all).toHaveLength(4))
    expect(at.received[1]?.headers['content-encoding']).toBeUndefined()
  })

  it('is no larger than a batch may be, and a line that is larger goes alone', async () => {
    const { at } = await keeping()
    const sink = opened(at, { batch: { bytes: 10_000, every: '1h' } })
    const lines = new Lines()
    const small = () => lines.next({ data: { text: 'x'.repeat(3_000) } })
    sink.write([small(), small(), small(), lines.next({ data: { text: 'ü'.repeat(100_000) } }), small()].join(''))
    await sink.flush?.()
    expect(at.received.map(({ body }) => body.split('\n').length - 1)).toEqual([2, 1, 1, 1])
  })

  it('is signed by each secret, over the body that a receiver reads', async () => {
    const secrets = [1, 2].map((fill) => `whsec_${Buffer.alloc(32, fill).toString('base64')}`)
    const { at } = await keeping()
    const sink = opened(at, { secret: secrets })
    sink.write(new Lines().take(20).join(''))
    await sink.flush?.()
    const { body = '', headers = {} as Record<string, string> } = at.received[0] ?? {}
    expect(headers['content-encoding']).toBe('gzip')
    for (const secret of secrets) expect(() => new Webhook(secret).verify(body, headers)).not.toThrow(/signature/)
    const other = `whsec_${Buffer.alloc(32, 3).toString('base64')}`
    expect(() => new Webhook(other).verify(body, headers)).toThrow(/signature/)
  })

  it('carries headers of one’s own, which are asked for each time and are never shown', async () => {
    const { at } = await keeping()
    let times = 0
    const sink = opened(at, { headers: () => ({ authorization: `Bearer canary-${++times}` }) })
    at.fail({ status: 500 })
    sink.write(new Lines().next())
    await sink.flush?.()
    expect(at.received.map(({ headers }) => headers.authorization)).toEqual(['Bearer canary-1', 'Bearer canary-2'])
    expect(inspect([sink, sink.counts], { depth: 9 })).not.toContain('canary')
  })
})

describe('what does not get through', () => {
  it.each([
    ['408', { status: 408 }],
    ['425', { status: 425 }],
    ['429', { status: 429 }],
    ['500', { status: 500 }],
    ['503', { status: 503 }],
    ['401, which a new token may mend', { status: 401 }],
    ['404, which says nothing of an entry', { status: 404 }],
    ['a redirect, which is not followed', { status: 307, headers: { location: '/elsewhere' } }],
    ['a broken connection', 'reset'],
    ['half an answer', 'half'],
    ['an answer that never comes', 'hang'],
    ['an answer that gets lost', 'lost'],
  ] as const)('is sent again after %s: the same request, and it arrives once', async (_, fault) => {
    const { at, kept } = await keeping()
    const sink = opened(at, { timeout: fault === 'hang' ? 200 : '10s', batch: { entries: 5 } })
    const lines = new Lines().take(10)
    at.fail(fault, fault)
    sink.write(lines.join(''))
    await sink.flush?.()
    expect(kept.all.map((line) => `${line}\n`)).toEqual(lines)
    expect(kept.doubled).toEqual([])
    expect(at.received.map(({ path }) => path)).toEqual(Array(4).fill('/in'))
    const ids = at.received.map(({ headers }) => headers['webhook-id'])
    expect([ids[0], ids[0]]).toEqual([ids[1], ids[2]])
    expect(ids[3]).not.toBe(ids[0])
    expect(new Set(at.received.map(({ body }) => body)).size).toBe(2)
    expect(sink.counts).toEqual({ sent: 10, retried: 2, dropped: 0, rejected: 0, reduced: 0, queued: 0 })
  })

  it.each([
    ['seconds', '30'],
    ['a date', new Date(Date.UTC(2026, 0, 1, 0, 0, 30)).toUTCString()],
  ])('waits as long as the receiver asks for, in %s', async (_, value) => {
    const { at, kept } = await keeping()
    const clock = fakeClock()
    const sink = opened(at, { clock, batch: { every: 1 } })
    at.fail({ status: 429, headers: { 'retry-after': value } })
    sink.write(new Lines().next())
    await clock.advance(1)
    await until(() => expect(sink.counts.failing).toBe('the receiver answered with status 429'))
    await clock.advance(29_000)
    expect(at.received).toHaveLength(1)
    await clock.advance(1_000)
    await until(() => expect(kept.all).toHaveLength(1))
    expect(sink.counts.failing).toBeUndefined()
  })

  it('waits longer each time, up to a limit, and by chance', async () => {
    const { at } = await keeping()
    const clock = fakeClock()
    const sink = opened(at, { clock, random: () => 0.5, batch: { every: 1 }, backoff: { first: '1s', most: '4s' } })
    at.outage = { status: 503 }
    sink.write(new Lines().next())
    await clock.advance(1)
    for (const [index, ms] of [500, 1_000, 2_000, 2_000].entries()) {
      await until(() => expect([at.received.length, clock.timers]).toEqual([index + 1, 1]))
      await clock.advance(ms - 1)
      expect(at.received).toHaveLength(index + 1)
      await clock.advance(1)
    }
    at.outage = undefined
    await until(() => expect(at.received).toHaveLength(5))
  })

  it.each([400, 413, 422])('is split after %s until it is known what is refused; the rest arrives', async (status) => {
    const lines = new Lines().take(50)
    const bad = new Set([lines[7], lines[31]].map((line) => idOf(line as string)))
    const taken: string[] = []
    const at = await collector(({ body }) => {
      const ids = body.trim().split('\n').map(idOf)
      if (ids.some((id) => bad.has(id))) return { status }
      taken.push(...ids)
      return { status: 200 }
    })
    const spool = folder()
    const sink = opened(at, { spool })
    sink.write(lines.join(''))
    await sink.flush?.()
    expect(taken).toEqual(lines.map(idOf).filter((id) => !bad.has(id)))
    expect(sink.counts).toMatchObject({ sent: 48, rejected: 2, queued: 0 })
    const set = readFileSync(join(spool, 'refused-http.jsonl'), 'utf8').trim().split('\n')
    const records = set.map((text) => JSON.parse(text) as { line: string; why: string })
    expect(records.map(({ line }) => `${line}\n`)).toEqual([lines[7], lines[31]])
    expect(records[0]?.why).toBe(`the receiver answered with status ${status}`)
  })

  it('is not waited for when an answer has no end: what it says is read so far and no further', async () => {
    let pulled = 0
    const fetch = async () =>
      new Response(
        new ReadableStream({
          pull: (to) => {
            pulled++
            to.enqueue(new Uint8Array(65_536))
          },
        }),
      )
    const sink = opened('http://127.0.0.1:1024/in', { fetch, timeout: '1h' })
    sink.write(new Lines().next())
    await sink.flush()
    expect(sink.counts).toMatchObject({ sent: 1, queued: 0 })
    expect(pulled).toBeLessThan(100)
  })

  it('keeps the process from nothing: a flush that can not be done says so within its deadline', async () => {
    const { at } = await keeping()
    at.outage = 'hang'
    const sink = opened(at, { deadline: 300, timeout: 20, headers: { authorization: 'canary' } })
    sink.write(new Lines().next())
    await until(() => expect(sink.counts.failing).toBeDefined())
    const error = await sink.flush?.().then(
      () => undefined,
      (reason) => reason,
    )
    expect(error).toMatchObject({ code: 'unavailable' })
    expect(error.message).toBe('`http` could not send all of its entries: the receiver did not answer in time')
    expect(inspect(error, { depth: 9 })).not.toMatch(/canary|127\.0\.0\.1/)
    expect(sink.counts.queued).toBe(1)
    await sink.close?.()
    expect(sink.counts).toMatchObject({ queued: 0, dropped: 1 })
    expect(() => sink.write('{}\n')).toThrow('is not open')
  })
})

describe('a queue that is full', () => {
  const fill = async (options: object) => {
    const { at, kept } = await keeping()
    at.outage = { status: 503 }
    const sink = opened(at, { queue: 10_000, batch: { entries: 1, every: '1h' }, ...options })
    const lines = new Lines().take(6, { data: { text: 'x'.repeat(2_600) } })
    return { at, kept, sink, lines }
  }

  it('drops the oldest, and counts them; what is under way is not among them', async () => {
    const { at, kept, sink, lines } = await fill({})
    sink.write(lines[0] as string)
    await until(() => expect(at.received).toHaveLength(1))
    for (const line of lines.slice(1)) sink.write(line)
    expect(sink.counts).toMatchObject({ dropped: 3, queued: 3 })
    at.outage = undefined
    await sink.flush?.()
    expect(kept.all.map((line) => `${line}\n`)).toEqual([lines[0], lines[4], lines[5]])
    expect(sink.lost).toBe(3)
  })

  it('drops the oldest in a spool, too', async () => {
    const { at, kept, sink, lines } = await fill({ spool: folder() })
    for (const line of lines) sink.write(line)
    expect(sink.counts.dropped).toBe(3)
    at.outage = undefined
    await sink.flush?.()
    expect(kept.all).toHaveLength(3)
    expect(kept.all.at(-1)).toBe((lines[5] as string).trim())
  })

  it('drops the newest, when told', async () => {
    const { at, kept, sink, lines } = await fill({ whenFull: 'drop-newest' })
    for (const line of lines) sink.write(line)
    at.outage = undefined
    await sink.flush?.()
    expect(kept.all.map((line) => `${line}\n`)).toEqual(lines.slice(0, 3))
    expect(sink.counts.dropped).toBe(3)
  })

  it('refuses, for a sink that is required, and accepts again when there is room', async () => {
    const { at, kept, sink, lines } = await fill({ required: true, spool: folder() })
    for (const line of lines.slice(0, 3)) sink.write(line)
    expect(() => sink.write(lines[3] as string)).toThrow('the queue of `http` is full')
    at.outage = undefined
    await sink.flush?.()
    for (const line of lines.slice(3)) sink.write(line)
    await sink.flush?.()
    expect(kept.all.map((line) => `${line}\n`)).toEqual(lines)
    expect(sink.counts.dropped).toBe(0)
  })
})

describe('immediate', () => {
  it('is how a required sink without a spool works: a write is accepted when the receiver has it', async () => {
    const { at, kept } = await keeping()
    const sink = opened(at, { required: true })
    const lines = new Lines()
    const line = lines.next()
    await sink.write(line)
    expect(kept.all).toEqual([line.trim()])
    at.outage = { status: 503 }
    const impatient = opened(at, { required: true, backoff: { first: '1h', most: '1h' }, random: () => 0.9 })
    const next = lines.take(2)
    await expect(impatient.write(next[0] as string)).rejects.toMatchObject({ code: 'unavailable' })
    at.outage = 'lost'
    await expect(impatient.write(next[0] as string)).rejects.toMatchObject({ code: 'unavailable' })
    at.outage = undefined
    // Offered again with what has come since: the request that may have arrived is the same one.
    await impatient.write(next.join(''))
    expect(kept.all.map((text) => `${text}\n`)).toEqual([line, ...next])
    expect(kept.doubled).toEqual([])
  })

  it('refuses what the receiver refuses, where nothing may get lost; a copy counts it', async () => {
    const at = await collector(({ body }) => ({ status: body.includes('bad') ? 422 : 200 }))
    const lines = new Lines()
    const three = [lines.next(), lines.next({ tool: 'bad' }), lines.next()].join('')
    await expect(opened(at, { required: true }).write(three)).rejects.toThrow('the receiver answered with status 422')
    const copy = opened(at, { immediate: true })
    await copy.write(three)
    expect(copy.counts).toMatchObject({ sent: 2, rejected: 1 })
    expect(copy.lost).toBe(1)
  })
})

describe('a spool', () => {
  it('keeps what could not be sent for the next sink, which sends it once and removes it', async () => {
    const { at, kept } = await keeping()
    const spool = folder()
    at.outage = 'lost'
    const lines = new Lines().take(250)
    const first = opened(at, { spool, deadline: 50 })
    for (const line of lines) first.write(line)
    await first.close?.()
    expect(readdirSync(spool)).toEqual(['http.w1.left'])
    expect(first.counts).toMatchObject({ queued: 250, dropped: 0 })
    at.outage = undefined
    const next = opened(at, { spool }, 'w2')
    expect(next.counts.queued).toBeGreaterThan(0)
    await next.flush?.()
    expect(kept.all.map((line) => `${line}\n`)).toEqual(lines)
    expect(kept.doubled).toEqual([])
    expect(readdirSync(spool).filter((name) => name.startsWith('http.w1'))).toEqual([])
    await next.close?.()
    expect(readdirSync(spool)).toEqual([])
  })

  it('leaves alone what a living sink holds, and what is another’s', async () => {
    const { at } = await keeping()
    const spool = folder()
    at.outage = { status: 500 }
    const one = opened(at, { spool, deadline: 20 })
    one.write(new Lines('a').next())
    const other = opened(at, { spool, deadline: 20, name: 'other' })
    expect(opened(at, { spool, deadline: 20 }, 'w2').counts.queued).toBe(0)
    await one.close?.()
    expect(other.counts.queued).toBe(0)
    expect(opened(at, { spool, deadline: 20, name: 'other' }, 'w3').counts.queued).toBe(0)
    expect(opened(at, { spool, deadline: 20 }, 'w4').counts.queued).toBe(1)
  })

  it('holds lines and nothing else: no header, no secret, no URL', async () => {
    const { at } = await keeping()
    const spool = folder()
    at.outage = { status: 400 }
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
    const sink = opened(at, { spool, secret, headers: { authorization: 'canary' }, deadline: '5s' })
    sink.write(new Lines().next())
    await sink.flush?.()
    expect(sink.counts.rejected).toBe(1)
    expect(textIn(spool)).not.toMatch(/canary|whsec|BwcHBw|127\.0\.0\.1/)
  })
})

describe('under a haldir', () => {
  const working = (sink: HttpSink, beside = memorySink()) => {
    const haldir = createHaldir({ sinks: [beside, sink], deadline: '5s' })
    const look = governed(async () => 'seen', { name: 'look', scope: 'read' }, { haldir })
    return { haldir, look, beside }
  }

  it('a copy holds no call up, and `health` counts what it had to drop', async () => {
    const { at } = await keeping()
    at.outage = { status: 503 }
    const sink = opened(at, { queue: 10_000, deadline: 20 })
    const { haldir, look } = working(sink)
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await session.run(async () => {
      for (let n = 0; n < 20; n++) expect(await look()).toBe('seen')
    })
    expect(sink.counts.dropped).toBeGreaterThan(10)
    expect(haldir.health().trail.dropped).toEqual({ http: sink.counts.dropped })
    await haldir.close()
  })

  it('nothing runs while a required collector without a spool is down; afterwards its chain is whole', async () => {
    proves('invariant-1', 'invariant-6')
    const { at, kept } = await keeping()
    const sink = opened(at, { required: true, backoff: { first: '1h', most: '1h' }, random: () => 0.9 })
    const { haldir, look, beside } = working(sink)
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await session.run(async () => {
      await look()
      at.outage = { status: 503 }
      await expect(look()).rejects.toMatchObject({ code: 'unavailable' })
      at.outage = undefined
      await look()
    })
    await haldir.close()
    expect(kept.all).toEqual(beside.lines)
    expect(kept.doubled).toEqual([])
  })

  it('with a spool calls go on, and what a spool has lost to somebody’s hand is counted', async () => {
    const { at } = await keeping()
    at.outage = { status: 503 }
    const spool = folder()
    const first = opened(at, { required: true, spool, deadline: 20 })
    const { haldir, look } = working(first)
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    await session.run(look)
    await haldir.close()
    const left = first.counts.queued
    expect(left).toBeGreaterThan(4)
    for (const name of readdirSync(spool)) rmSync(join(spool, name, '1.jsonl'))
    at.outage = undefined
    const next = opened(at, { spool }, 'next')
    next.write(new Lines().next())
    await next.flush()
    expect(next.counts).toMatchObject({ sent: 1, queued: 0 })
    expect(next.counts.dropped).toBeLessThanOrEqual(left)
  })
})

describe('a URL that leads inside', () => {
  it.each([
    'https://127.0.0.1/in',
    'https://2130706433/in',
    'https://0x7f.1/in',
    'https://[::1]/in',
    'https://[::ffff:10.0.0.1]/in',
    'https://10.1.2.3/in',
    'https://169.254.169.254/latest',
    'https://localhost/in',
    'https://splunk/in',
    'https://vault.internal/in',
    'https://printer.local./in',
  ])('is refused: %s', (url) => {
    const error = catching(() => httpSink({ url }))
    expect(error).toMatchObject({ code: 'invalid-option', path: 'url' })
    expect(error.message).toContain('private host')
  })

  it.each(['http://collector.example.com/in', 'ftp://collector.example.com', 'https://me:canary@example.com/', 'x', 7])(
    'is refused when it is not https, or carries a password: %s',
    (url) => {
      const error = catching(() => httpSink({ url: url as string }))
      expect(error).toMatchObject({ code: 'invalid-option', path: 'url' })
      expect(error.message).not.toContain('canary')
    },
  )

  it('is refused when its name leads there, also when only one of its addresses does, and nothing is sent', async () => {
    const { at } = await keeping()
    for (const addresses of [['127.0.0.1'], ['93.184.216.34', '10.0.0.1'], ['::ffff:127.0.0.1']]) {
      const sink = httpSink({
        url: `https://collector.example.com:${at.port}/in`,
        lookup: () => addresses,
        deadline: '2s',
        backoff: { first: '1h', most: '1h' },
        random: () => 0.9,
      })
      sink.open?.('w1')
      await expect(sink.write(new Lines().next())).rejects.toMatchObject({ code: 'unavailable' })
      expect(sink.counts.failing).toBe('the name of the receiver leads to a private address')
      await sink.close?.()
    }
    expect(at.received).toEqual([])
  })

  it('is connected to as it was resolved when it is meant, whatever its name says', async () => {
    const { at, kept } = await keeping()
    const asked: string[] = []
    const lookup = (name: string) => {
      asked.push(name)
      return ['127.0.0.1']
    }
    const sink = opened(`http://collector.example.com:${at.port}/in`, { lookup })
    sink.write(new Lines().next())
    await sink.flush?.()
    expect(kept.all).toHaveLength(1)
    expect(asked).toEqual(['collector.example.com'])
  })
})

function catching(work: () => unknown): Error {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
