/** Each encoder, against a receiver that takes, refuses and cuts as the real one does. */
import { cloudEvents, datadog, elasticBulk, jsonl, loki, ocsf, splunk } from '@haldir/core/sinks/encoders'
import type { HttpSink } from '@haldir/core/sinks/http'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it, vi } from 'vitest'
import { DatadogIntake } from '../collectors/datadog.ts'
import { ElasticBulk } from '../collectors/elastic.ts'
import { idOf, Lines, START } from '../collectors/lines.ts'
import { LokiPush } from '../collectors/loki.ts'
import { SplunkHec } from '../collectors/splunk.ts'
import { collector, folder, opened } from './shipping-scene.ts'

/** Waits until the sink says why nothing gets through. */
const failing = (sink: HttpSink, why: string) =>
  vi.waitFor(() => expect(sink.counts.failing).toBe(why), { timeout: 15_000, interval: 2 })

const bare = (lines: readonly string[]) => lines.map((line) => line.trim())

describe('CloudEvents', () => {
  it('is a batch of events whose data is the entry, character for character', async () => {
    const at = await collector(() => ({ status: 200 }))
    const sink = opened(at, { encoder: cloudEvents() })
    const lines = new Lines().take(3, { data: { text: 'Zoë\u2028🧾' } })
    sink.write(lines.join(''))
    await sink.flush()
    const { body = '', headers = {} as Record<string, string> } = at.received[0] ?? {}
    expect(headers['content-type']).toBe('application/cloudevents-batch+json; charset=utf-8')
    const events = JSON.parse(body) as Record<string, unknown>[]
    const { data, ...first } = events[0] as Record<string, unknown>
    expect(first).toEqual({
      specversion: '1.0',
      id: 'w1:0',
      source: '/haldir/shop',
      type: 'haldir.intent',
      time: '2026-01-01T00:00:00.000Z',
      subject: 'c0',
      datacontenttype: 'application/json',
    })
    expect(data).toEqual(JSON.parse(lines[0] as string))
    for (const line of bare(lines)) expect(body).toContain(`"data":${line}}`)
  })

  it('has a source that is one, whatever the haldir is called', async () => {
    const at = await collector(() => ({ status: 200 }))
    const sink = opened(at, { encoder: cloudEvents() })
    sink.write(new Lines().next({ haldir: 'a shop/\ud800 ö' }))
    await sink.flush()
    const [event] = JSON.parse(at.received[0]?.body ?? '') as Record<string, unknown>[]
    expect(event?.source).toBe('/haldir/a%20shop%2F%EF%BF%BD%20%C3%B6')
  })
})

describe('Splunk', () => {
  const scene = async (options: object = {}) => {
    const hec = new SplunkHec('token-1')
    const at = await collector(hec.handle)
    const spool = folder()
    const sink = opened(at.url('/services/collector/event'), {
      encoder: splunk({ token: 'token-1', ...options }),
      spool,
    })
    return { hec, at, sink }
  }

  it('gets objects one behind another, with the time in seconds', async () => {
    const { hec, sink } = await scene({ index: 'main', host: 'web-1' })
    const lines = new Lines().take(30, { data: { text: '} { "' } })
    sink.write(lines.join(''))
    await sink.flush()
    expect(hec.indexed.map(({ event }) => JSON.stringify(event))).toEqual(bare(lines))
    expect(hec.indexed[1]).toMatchObject({ time: START / 1_000 + 0.001, host: 'web-1', sourcetype: 'haldir:entry' })
  })

  it('gets what stands behind one that it refuses, and nothing twice', async () => {
    const { hec, sink } = await scene()
    const lines = new Lines().take(30)
    for (const index of [0, 11, 12, 29]) hec.blank.add(idOf(lines[index] as string))
    sink.write(lines.join(''))
    await sink.flush()
    expect(hec.indexed.map(({ event }) => event.id)).toEqual(lines.map(idOf).filter((id) => !hec.blank.has(id)))
    expect(sink.counts).toMatchObject({ sent: 26, rejected: 4, retried: 0 })
  })

  it.each([
    [
      'an index that the token may not write',
      splunk({ token: 'token-1', index: 'secret' }),
      'Splunk answered with code 7',
    ],
    ['a token that it does not know', splunk({ token: 'token-2' }), 'Splunk answered with code 4'],
  ])('keeps what is refused for %s: that is no fault of an entry', async (_, encoder, why) => {
    const { hec, at } = await scene()
    const sink = opened(at.url('/services/collector/event'), { encoder, deadline: 100 })
    sink.write(new Lines().take(3).join(''))
    await failing(sink, why)
    expect(sink.counts).toMatchObject({ queued: 3, rejected: 0, sent: 0 })
    expect(hec.indexed).toEqual([])
  })

  it('takes nobody’s word but a collector’s: 200 of a proxy is no answer', async () => {
    const at = await collector(() => ({ status: 200, body: '<html>Welcome</html>' }))
    const sink = opened(at, { encoder: splunk({ token: 't' }), deadline: 50 })
    sink.write(new Lines().next())
    await failing(sink, 'it did not answer as a collector does')
    expect(sink.counts.queued).toBe(1)
  })
})

describe('Datadog', () => {
  const scene = async (now: () => number = () => START) => {
    const intake = new DatadogIntake('key-1', now)
    const at = await collector(intake.handle)
    const clock = { ...fakeClock(), now, setTimeout }
    const encoder = datadog({ apiKey: 'key-1', tags: 'env:test', hostname: 'web-1' })
    const sink = opened(at.url('/api/v2/logs'), { encoder, spool: folder(), clock, batch: { bytes: 16_000_000 } })
    return { intake, at, sink }
  }

  it('gets each entry as the message of a log', async () => {
    const { intake, sink } = await scene()
    const lines = new Lines().take(10)
    sink.write(lines.join(''))
    await sink.flush()
    expect(intake.logs.map(({ message }) => message)).toEqual(bare(lines))
    const about = { ddsource: 'haldir', ddtags: 'env:test', hostname: 'web-1', service: 'haldir' }
    expect(intake.logs[1]).toMatchObject({ ...about, timestamp: '2026-01-01T00:00:00.001Z' })
  })

  it('cuts nothing off unseen: what it would cut is reduced to its place in the chain, and counted', async () => {
    const { intake, sink } = await scene()
    const lines = new Lines()
    const large = lines.next({ data: { text: 'ü"'.repeat(400_000) } })
    const next = lines.next()
    sink.write(large + next)
    await sink.flush()
    expect(intake.truncated).toBe(0)
    const { prev, hash } = JSON.parse(large) as { prev: string; hash: string }
    const kept = JSON.parse(intake.logs[0]?.message ?? '') as object
    expect(kept).toMatchObject({
      id: 'w1:0',
      type: 'intent',
      prev,
      hash,
      reduced: { whole: Buffer.byteLength(large) - 1 },
    })
    expect(JSON.parse(intake.logs[1]?.message ?? '')).toMatchObject({ prev: hash })
    expect(sink.counts).toMatchObject({ sent: 2, reduced: 1 })
  })

  it('gets no more than 5 MB at once', async () => {
    const { intake, at, sink } = await scene()
    sink.write(new Lines().take(12, { data: { text: 'x'.repeat(900_000) } }).join(''))
    await sink.flush()
    expect(intake.logs).toHaveLength(12)
    expect(at.received.every(({ body }) => body.length <= 5_000_000)).toBe(true)
    expect(sink.counts).toMatchObject({ sent: 12, retried: 0 })
  })

  it('loses none to its age: what is too old stands there at the time it came', async () => {
    const { intake, sink } = await scene(() => START + 20 * 3_600_000)
    sink.write(new Lines().next())
    await sink.flush()
    expect(intake).toMatchObject({ tooOld: 0, logs: [{ service: 'haldir' }] })
  })
})

describe('Loki', () => {
  const scene = async (now = START) => {
    const push = new LokiPush(() => now)
    const at = await collector(push.handle)
    const sink = opened(at.url('/loki/api/v1/push'), { encoder: loki({ labels: { env: 'test' } }), spool: folder() })
    return { push, at, sink }
  }

  it('gets times as text, few labels, the rest as metadata, and lines in the order of time', async () => {
    const { push, at, sink } = await scene()
    const lines = new Lines()
    const late = lines.next({ at: new Date(START + 5_000).toISOString() })
    const early = lines.next({ at: new Date(START).toISOString(), tool: undefined, code: 'x' })
    sink.write(late + early)
    await sink.flush()
    expect([...push.streams.keys()]).toEqual([JSON.stringify({ service_name: 'haldir', haldir: 'shop', env: 'test' })])
    const [stored = []] = push.streams.values()
    expect(stored.map(({ line }) => line)).toEqual(bare([early, late]))
    expect(stored[0]?.at).toBe(BigInt(START) * 1_000_000n)
    expect(stored[0]?.metadata).toMatchObject({ id: 'w1:1', agent: 'bot', call: 'c1', code: 'x' })
    expect(stored[0]?.metadata).not.toHaveProperty('tool')
    expect(JSON.parse(at.received[0]?.body ?? '').streams[0].values[0][0]).toBe(`${START}000000`)
  })

  it('keeps lines of one batch that are fine when one is too old, each once', async () => {
    const { push, sink } = await scene(START + 8 * 86_400_000)
    const lines = new Lines()
    const fresh = () => lines.next({ at: new Date(START + 8 * 86_400_000).toISOString() })
    sink.write(fresh() + lines.next() + fresh() + fresh())
    await sink.flush()
    const [stored = []] = push.streams.values()
    expect(stored.map(({ metadata }) => metadata.id)).toEqual(['w1:0', 'w1:2', 'w1:3'])
    expect(sink.counts).toMatchObject({ sent: 3, rejected: 1 })
  })
})

describe('Elasticsearch', () => {
  const scene = async () => {
    const bulk = new ElasticBulk()
    const at = await collector(bulk.handle)
    const sink = opened(at.url('/_bulk'), { encoder: elasticBulk({ index: 'haldir-trail' }), spool: folder() })
    return { bulk, at, sink, lines: new Lines().take(20) }
  }

  it('gets each entry under its id, once, also when the answer got lost', async () => {
    const { bulk, at, sink, lines } = await scene()
    at.fail('lost')
    sink.write(lines.join(''))
    await sink.flush()
    expect([...bulk.documents.keys()]).toEqual(lines.map(idOf))
    expect(bulk.conflicts).toBe(20)
    const { '@timestamp': time, ...entry } = bulk.documents.get('w1:3') ?? {}
    expect([time, JSON.stringify(entry)]).toEqual(['2026-01-01T00:00:00.003Z', (lines[3] as string).trim()])
    expect(sink.counts).toMatchObject({ sent: 20, rejected: 0 })
  })

  it('is asked again only for the items it was too busy for, and never for those it can not map', async () => {
    const { bulk, at, sink, lines } = await scene()
    const ids = lines.map(idOf)
    for (const index of [2, 3, 19]) bulk.busy.add(ids[index] as string)
    bulk.unmappable.add(ids[7] as string)
    sink.write(lines.join(''))
    await sink.flush()
    expect([...bulk.documents.keys()].sort()).toEqual(ids.filter((_, index) => index !== 7).sort())
    expect(bulk.conflicts).toBe(0)
    expect(at.received.map(({ body }) => body.split('\n').length - 1)).toEqual([40, 6])
    expect(sink.counts).toMatchObject({ sent: 19, rejected: 1, queued: 0 })
  })

  it('has to answer for each item', async () => {
    const at = await collector(() => ({ status: 200, body: '{"took":1,"errors":false,"items":[]}' }))
    const sink = opened(at, { encoder: elasticBulk({ index: 'x' }), deadline: 50 })
    sink.write(new Lines().next())
    await failing(sink, 'it did not answer for each item')
  })
})

describe('an encoder of somebody’s own', () => {
  it.each([
    ['a place that is none', { refused: [{ index: 3, why: 'x' }] }],
    ['half a place', { again: [0.5] }],
    ['a place twice', { refused: [{ index: 1, why: 'x' }], again: [1] }],
  ])('gives nothing up when it judges %s', async (_, judged) => {
    const at = await collector(() => ({ status: 200 }))
    let wrong = true
    const judge = () => (wrong ? ({ kind: 'taken', ...judged } as const) : undefined)
    const sink = opened(at, { encoder: { ...jsonl(), judge } })
    sink.write(new Lines().take(3).join(''))
    await failing(sink, 'the encoder failed')
    expect(sink.counts).toMatchObject({ queued: 3, sent: 0, rejected: 0 })
    wrong = false
    await sink.flush()
    expect(sink.counts).toMatchObject({ queued: 0, sent: 3 })
  })
})

describe('OCSF', () => {
  it('goes as one event a line', async () => {
    const at = await collector(() => ({ status: 200 }))
    const sink = opened(at, { encoder: ocsf() })
    sink.write(new Lines().take(3).join(''))
    await sink.flush()
    const events = (at.received[0]?.body ?? '').trim().split('\n')
    expect(events.map((text) => JSON.parse(text).type_uid)).toEqual([600399, 600399, 600399])
  })
})
