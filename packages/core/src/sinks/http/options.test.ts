import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { cloudEvents, datadog, elasticBulk, jsonl, loki, ocsf, splunk } from '../encoders.ts'
import { type HttpSinkOptions, httpSink } from '../http.ts'
import { checkHeaders } from './headers.ts'
import { delayOf } from './sender.ts'

const url = 'https://collector.example.com/in'

describe('options of httpSink', () => {
  it.each<[object, string]>([
    [{ spol: 'x' }, 'spol'],
    [{ name: 'a.b' }, 'name'],
    [{ required: 'no' }, 'required'],
    [{ encoder: {} }, 'encoder'],
    [{ encoder: { name: 'own', encode: () => ({ body: '' }) } }, 'encoder'],
    [{ encoder: elasticBulk({ index: 'i' }), batch: { entries: 2_001 } }, 'batch.entries'],
    [{ spool: '' }, 'spool'],
    [{ headers: [] }, 'headers'],
    [{ headers: { 'x y': 'canary' } }, 'headers'],
    [{ headers: { authorization: 'canary\n' } }, 'headers.authorization'],
    [{ headers: { 'Content-Type': 'canary' } }, 'headers.content-type'],
    [{ headers: { 'webhook-id': 'canary' } }, 'headers.webhook-id'],
    [{ secret: 'whsec_canary' }, 'secret'],
    [{ secret: [] }, 'secret'],
    [{ secret: ['canary'] }, 'secret.0'],
    [{ immediate: true, spool: 'x' }, 'immediate'],
    [{ immediate: false }, 'immediate'],
    [{ immediate: 1 }, 'immediate'],
    [{ whenFull: 'drop-oldest' }, 'whenFull'],
    [{ required: false, whenFull: 'block' }, 'whenFull'],
    [{ batch: { entries: 0 } }, 'batch.entries'],
    [{ batch: { bytes: 1 } }, 'batch.bytes'],
    [{ batch: { every: 0 } }, 'batch.every'],
    [{ batch: { size: 3 } }, 'batch.size'],
    [{ encoder: datadog({ apiKey: 'k' }), batch: { entries: 1_001 } }, 'batch.entries'],
    [{ gzip: true }, 'gzip'],
    [{ queue: 1 }, 'queue'],
    [{ backoff: { first: -1 } }, 'backoff.first'],
    [{ backoff: { least: 1 } }, 'backoff.least'],
    [{ timeout: 'soon' }, 'timeout'],
    [{ deadline: 0 }, 'deadline'],
    [{ privateHosts: 'localhost' }, 'privateHosts'],
    [{ privateHosts: ['http://localhost'] }, 'privateHosts.0'],
    [{ fetch: {} }, 'fetch'],
    [{ lookup: 1 }, 'lookup'],
    [{ random: 0.5 }, 'random'],
  ])('%o can not work, and no secret is repeated', (options, path) => {
    const error = thrown(() => httpSink({ url, ...options } as HttpSinkOptions))
    expect(error).toMatchObject({ code: 'invalid-option', path })
    expect(inspect(error)).not.toContain('canary')
  })

  it('a private host has to be named with its port, and only then may it be http', () => {
    expect(() => httpSink({ url: 'http://127.0.0.1:8080/in', privateHosts: ['127.0.0.1:8080'] })).not.toThrow()
    expect(() => httpSink({ url: 'http://127.0.0.1:8081/in', privateHosts: ['127.0.0.1:8080'] })).toThrow(
      'private host',
    )
    expect(() => httpSink({ url: 'https://splunk:8088/', privateHosts: ['splunk:8088'] })).not.toThrow()
  })

  it('is required, and named `http`, unless told', () => {
    const sink = httpSink({ url })
    expect([sink.name, sink.required, sink.counts.queued]).toEqual(['http', true, 0])
    expect(inspect(httpSink({ url, headers: { authorization: 'canary' } }), { depth: 9 })).not.toContain('canary')
  })
})

it('a batch is no larger than an encoder may have it, unless told', () => {
  const encoder = { ...jsonl(), most: { entries: 20 } }
  expect(() => httpSink({ url, encoder })).not.toThrow()
  expect(() => httpSink({ url, encoder, batch: { entries: 21 } })).toThrow('from 1 to 20')
})

describe('options of encoders', () => {
  it.each<[() => unknown, string]>([
    [() => splunk({ token: 'can\nary' }), 'token'],
    [() => splunk({ token: 't', index: 7 } as never), 'index'],
    [() => datadog({ apiKey: '' }), 'apiKey'],
    [() => datadog({ apiKey: 'k', tags: '' }), 'tags'],
    [() => elasticBulk({ index: 'UPPER' }), 'index'],
    [() => loki({ labels: { 'a-b': 'x' } }), 'labels'],
    [() => cloudEvents({ source: 'a b' }), 'source'],
    [() => cloudEvents({ source: 'a"<b>' }), 'source'],
    [() => cloudEvents({ source: '/a%2' }), 'source'],
    [() => ocsf({ version: '1.0' } as never), 'version'],
  ])('%s can not work', (make, path) => {
    expect(thrown(make)).toMatchObject({ code: 'invalid-option', path })
  })
})

it('headers are known by lower case names', () => {
  expect(checkHeaders({ 'DD-API-KEY': 'x' }, 'headers')).toEqual({ 'dd-api-key': 'x' })
})

describe('how long to wait', () => {
  const backoff = { firstMs: 1_000, mostMs: 60_000 }

  it('grows, and never beyond its limit, however often it fails', () => {
    const waits = [1, 2, 3, 6, 7, 8, 5_000].map((failures) => delayOf(failures, backoff, () => 0.999_999))
    expect(waits).toEqual([999, 1_999, 3_999, 31_999, 59_999, 59_999, 59_999])
    expect(delayOf(9, backoff, () => 0)).toBe(0)
  })

  it('is at least what the receiver asks for, but not for ever', () => {
    expect(delayOf(1, backoff, () => 0, 5_000)).toBe(5_000)
    expect(delayOf(1, backoff, () => 0, 10 ** 12)).toBe(900_000)
  })
})

function thrown(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    expect(ConfigError.isInstance(error)).toBe(true)
    return error
  }
  throw new Error('nothing was thrown')
}
