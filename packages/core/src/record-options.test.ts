import { describe, expect, it } from 'vitest'
import { ConfigError } from './errors.ts'
import { compileRecord, type RecordOptions } from './record-options.ts'
import { leadsTo, parseRecordPath } from './record-paths.ts'

const each = { each: true }

describe('a path', () => {
  it.each<[string, readonly unknown[]]>([
    ['amount', ['amount']],
    ['order.id', ['order', 'id']],
    ['items.*.sku', ['items', each, 'sku']],
    ['items[2].sku', ['items', 2, 'sku']],
    ['*.id', [each, 'id']],
    ['[0]', [0]],
    ['["odd key"].x', ['odd key', 'x']],
    ['a["*"]', ['a', '*']],
    ['a["0"]', ['a', '0']],
    ['$x-y_Z', ['$x-y_Z']],
  ])('%s leads there', (text, keys) => {
    expect(parseRecordPath(text, 'at')).toEqual(keys)
  })

  it.each([
    '',
    '.a',
    'a.',
    'a..b',
    'a b',
    'a.0',
    '0',
    'a[01]',
    'a[-1]',
    'a[*]',
    '**',
    'a*',
    'a["x]',
    'a["\\q"]',
    'a[x]',
    '__proto__',
    'a["__proto__"].b',
    'é',
    'a'.repeat(1_001),
    1,
    null,
  ])('%s is none', (text) => {
    expect(() => parseRecordPath(text, 'record.show.0')).toThrow(ConfigError)
  })

  it.each<[string, string, boolean]>([
    ['a', 'a.b', true],
    ['a', 'a', true],
    ['a.b', 'a', false],
    ['a', 'ab', false],
    ['a.*', 'a[0].b', true],
    ['a[0]', 'a.*.b', true],
    ['a[0]', 'a[1].b', false],
    ['a["*"]', 'a[0]', false],
  ])('%s leads to %s: %s', (outer, inner, expected) => {
    expect(leadsTo(parseRecordPath(outer, ''), parseRecordPath(inner, ''))).toBe(expected)
  })
})

describe('`record`', () => {
  it.each<[string, unknown, string]>([
    ['is an object', [], 'record'],
    ['has known keys', { shows: ['a'] }, 'record.shows'],
    ['names something', {}, 'record'],
    ['names something', { seal: [] }, 'record'],
    ['has lists', { show: 'everything' }, 'record.show'],
    ['has lists', { seal: 'a' }, 'record.seal'],
    ['has paths', { seal: ['a', 'a b'] }, 'record.seal.1'],
    ['takes nothing out of nothing', { redact: ['a'], seal: ['b'] }, 'record.redact'],
    ['shows nothing that is sealed', { show: ['a'], seal: ['a'] }, 'record.show.0'],
    ['shows nothing below what is sealed', { show: ['a.b'], seal: ['a'] }, 'record.show.0'],
    ['shows nothing below what is fingerprinted', { show: ['a.b'], fingerprint: ['a'] }, 'record.show.0'],
    ['shows nothing that is left out', { show: ['a[0]'], redact: ['a.*'] }, 'record.show.0'],
    ['seals nothing that is left out', { show: 'all', redact: ['a'], seal: ['a.b'] }, 'record.seal.0'],
    [
      'fingerprints nothing that is left out',
      { show: 'all', redact: ['a'], fingerprint: ['a'] },
      'record.fingerprint.0',
    ],
    ['seals nothing twice', { seal: ['a', 'a.b'] }, 'record.seal.1'],
    ['names nothing twice', { show: ['a', 'a'] }, 'record.show.0'],
    ['has one subject', { seal: ['a'], subject: 'ids.*' }, 'record.subject'],
    ['has a subject that is a path', { seal: ['a'], subject: '' }, 'record.subject'],
    ['has a subject that is a path', { seal: ['a'], subject: 7 }, 'record.subject'],
  ])('%s: %j', (_, options, path) => {
    expect(() => compileRecord(options as RecordOptions, undefined)).toThrow(expect.objectContaining({ path }))
  })

  it.each<[RecordOptions]>([
    [{ show: ['a'] }],
    [{ show: 'all' }],
    [{ show: 'all', redact: ['a', 'b.c'] }],
    [{ show: ['a'], redact: ['a.b'] }],
    [{ show: ['a', 'a.b'] }],
    [{ seal: ['a'], fingerprint: ['a'] }],
    [{ seal: ['a'], fingerprint: ['a.b'] }],
    [{ subject: 'customer.id' }],
    [{ seal: ['a'], subject: () => 'x' }],
  ])('takes %j', (options) => {
    expect(compileRecord(options, undefined)).toBeDefined()
  })

  it('is nothing when it is not there', () => {
    expect(compileRecord(undefined, undefined)).toBeUndefined()
  })

  const schema = {
    type: 'object',
    properties: {
      customer: { type: 'object', properties: { email: { type: 'string' } } },
      items: { type: 'array', items: { type: 'object', properties: { sku: { type: 'string' } } } },
    },
  }

  it.each<[RecordOptions, string, string]>([
    [{ seal: ['customer.emial'] }, 'record.seal.0', 'did you mean `email`?'],
    [{ show: ['items.*.sku', 'items.*.size'] }, 'record.show.1', 'items[].size'],
    [{ show: ['items.sku'] }, 'record.show.0', '`items.sku`'],
    [{ fingerprint: ['customer.*'] }, 'record.fingerprint.0', '`customer[]`'],
    [{ subject: 'customer.id' }, 'record.subject', '`customer.id`'],
  ])('names no argument that the tool does not have: %j', (options, path, told) => {
    expect(() => compileRecord(options, schema)).toThrow(
      expect.objectContaining({ path, code: 'invalid-option', message: expect.stringContaining(told) }),
    )
  })

  it('takes those it has', () => {
    expect(compileRecord({ seal: ['customer.email', 'items.*.sku'] }, schema)).toBeDefined()
    expect(compileRecord({ seal: ['customer', 'items[0]'] }, schema)).toBeDefined()
    expect(compileRecord({ seal: ['anything'] }, { type: 'object' })).toBeDefined()
  })
})
