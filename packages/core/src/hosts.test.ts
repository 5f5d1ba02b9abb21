import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { namesHost, parseHost } from './hosts.ts'

describe('a host that is named', () => {
  test.each([
    ['api.example.com', 'api.example.com'],
    ['API.Example.com', 'api.example.com'],
    ['api.example.com:8443', 'api.example.com:8443'],
    ['api.example.com:80', 'api.example.com:80'],
    ['api.example.com:443', 'api.example.com:443'],
    ['*.example.com', '*.example.com'],
    ['*.Example.com:8443', '*.example.com:8443'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['localhost', 'localhost'],
    ['127.0.0.1:8080', '127.0.0.1:8080'],
    ['0x7f.1', '127.0.0.1'],
    ['[::1]', '[::1]'],
    ['[0:0::1]:8443', '[::1]:8443'],
  ])('%s is %s', (text, host) => {
    expect(parseHost(text)).toBe(host)
  })

  test.each([
    '',
    '*',
    '*.',
    '*.com',
    '*.1.2.3.4',
    '*.[::1]',
    'a.*.com',
    '*.*.com',
    '*api.example.com',
    'https://api.example.com',
    'api.example.com/path',
    'api.example.com?x',
    'api.example.com#x',
    'user@api.example.com',
    'api.example.com:',
    'api.example.com:99999',
    'api.example.com:http',
    'api.example.com.',
    '.example.com',
    'api example.com',
    'api.example.com\n',
    'api%2eexample.com',
    '[::1',
    'a\\b',
    `${'a'.repeat(300)}.com`,
    1,
    null,
    undefined,
  ])('is not %j', (text) => {
    expect(parseHost(text)).toBeUndefined()
  })
})

describe('where a URL leads', () => {
  const names = (host: string, url: string) => namesHost([parseHost(host) ?? expect.fail(host)], new URL(url))

  test.each([
    ['api.example.com', 'https://api.example.com/v1'],
    ['api.example.com', 'https://API.EXAMPLE.COM:443/'],
    ['api.example.com:443', 'https://api.example.com/'],
    ['api.example.com:8443', 'https://api.example.com:8443/'],
    ['api.example.com:80', 'http://api.example.com/'],
    ['*.example.com', 'https://a.example.com/'],
    ['*.example.com', 'https://a.b.example.com/'],
    ['127.0.0.1:8080', 'http://2130706433:8080/'],
    ['[::1]:8080', 'http://[0:0:0::1]:8080/'],
    ['bücher.example', 'https://bücher.example/'],
  ])('%s names %s', (host, url) => {
    expect(names(host, url)).toBe(true)
  })

  test.each([
    ['api.example.com', 'https://example.com/'],
    ['api.example.com', 'https://api.example.com.evil.test/'],
    ['api.example.com', 'https://evil.test/api.example.com'],
    ['api.example.com', 'https://api.example.com@evil.test/'],
    ['api.example.com', 'https://xapi.example.com/'],
    ['api.example.com', 'https://api.example.com./'],
    ['api.example.com', 'https://api.example.com:8443/'],
    ['api.example.com', 'http://api.example.com/'],
    ['api.example.com', 'http://api.example.com:443/'],
    ['api.example.com:8443', 'https://api.example.com/'],
    ['*.example.com', 'https://example.com/'],
    ['*.example.com', 'https://badexample.com/'],
    ['*.example.com', 'https://a.example.com:8443/'],
    ['[::1]:8080', 'http://[::2]:8080/'],
  ])('%s does not name %s', (host, url) => {
    expect(names(host, url)).toBe(false)
  })

  test('no host is named by an empty list', () => {
    expect(namesHost([], new URL('https://api.example.com'))).toBe(false)
  })

  test('what is parsed names itself, and parsing it again changes nothing', () => {
    const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/)
    const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
    fc.assert(
      fc.property(host, fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }), (name, port) => {
        const text = port === undefined ? name : `${name}:${port}`
        const parsed = parseHost(text)
        if (parsed === undefined) return
        expect(parseHost(parsed)).toBe(parsed)
        expect(namesHost([parsed], new URL(`https://${parsed}/`))).toBe(true)
        // No `x`: before `n--` that would be punycode, and no host.
        expect(namesHost([parsed], new URL(`https://z${parsed}/`))).toBe(false)
      }),
    )
  })
})
