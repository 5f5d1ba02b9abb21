/** Credentials that nobody has put into the vault, found by the real rules: in results, errors, yields and arguments. */
import { spawnSync } from 'node:child_process'
import { createHaldir, currentCall, type Detector, envKey, governed, type HaldirOptions, usd } from '@haldir/core'
import { governTool } from '@haldir/core/adapter'
import { secretlint } from '@haldir/core/detect'
import { memorySink } from '@haldir/core/sinks/memory'
import { fakeClock } from '@haldir/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { entriesOf, proves } from '../promises.ts'
import { denial, misuse } from './scene.ts'
import { AWS_SECRET, TOKENS } from './tokens.ts'

const credentials = await secretlint()
const open: ReturnType<typeof createHaldir>[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((haldir) => haldir.close()))
})

type Detect = Partial<NonNullable<HaldirOptions['detect']>>

async function house(detect: Detect | undefined, options: HaldirOptions = {}) {
  const sink = memorySink()
  const clock = fakeClock()
  const haldir = createHaldir({
    clock,
    sinks: [sink],
    ...(detect && { detect: { credentials, ...detect } }),
    ...options,
  })
  open.push(haldir)
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'], ttl: '1d' })
  const last = (type: 'intent' | 'outcome' | 'refusal') =>
    entriesOf(sink.lines).findLast((entry) => entry.type === type)
  const call = <T>(run: (args?: any) => Promise<T>, args?: object) =>
    governed(run, { name: 'tool', scope: [] }, { session })(args)
  return { haldir, clock, session, last, call, lines: sink.lines }
}

/** Ways in which a result holds a text, and where. */
const SHAPES: readonly (readonly [at: string, wrap: (text: string) => unknown])[] = [
  ['(root)', (text) => `Here it is:\n${text}\nThat was it.`],
  ['content[0].text', (text) => ({ content: [{ type: 'text', text }], isError: false })],
  ['rows[1].note', (text) => ({ rows: [{ id: 1 }, { id: 2, note: `see ${text}` }] })],
  ['?', (text) => ({ [text]: true })],
]

describe('a credential in a result', () => {
  it.each(TOKENS)('%s: is taken out wherever it stands, and noted without its value', async (kind, text, secret) => {
    proves('credentials-found')
    const { call, last, lines } = await house({ results: 'redact' })
    for (const [at, wrap] of SHAPES) {
      const shown = JSON.stringify(await call(async () => wrap(text)))
      for (const part of [secret, secret.slice(0, 40), secret.slice(-30)]) {
        expect(shown).not.toContain(JSON.stringify(part).slice(1, -1))
        expect(lines.join('')).not.toContain(JSON.stringify(part).slice(1, -1))
      }
      expect(shown).toContain(`[redacted:${kind}]`)
      expect(last('outcome')?.data).toEqual({ ended: 'ok', detected: [{ kind, at }] })
    }
  })

  it.each(TOKENS)('%s: is flagged and goes on untouched, if that is what is asked for', async (kind, text, secret) => {
    const { call, last, lines } = await house({ results: 'flag' })
    for (const [at, wrap] of SHAPES) {
      const given = wrap(text)
      expect(await call(async () => given)).toBe(given)
      expect(last('outcome')?.data).toEqual({ ended: 'ok', detected: [{ kind, at }] })
    }
    expect(lines.join('')).not.toContain(secret.slice(0, 20))
  })

  it('is told by what its member is called, when it tells nothing by itself', async () => {
    const { call, last } = await house({ results: 'redact' })
    const key = { secretAccessKey: AWS_SECRET, region: 'eu-west-1' }
    expect(await call(async () => ({ key }))).toEqual({
      key: { secretAccessKey: '[redacted:aws]', region: 'eu-west-1' },
    })
    expect(last('outcome')?.data.detected).toEqual([{ kind: 'aws', at: 'key.secretAccessKey' }])
    expect(await call(async () => [AWS_SECRET])).toEqual([AWS_SECRET])
  })

  it('is found when it is spread over the lines of a list', async () => {
    const { call, last } = await house({ results: 'redact' })
    const pem = TOKENS.find(([kind]) => kind === 'privatekey')?.[1] as string
    const lines = ['$ cat key.pem', ...pem.trim().split('\n'), '$ exit']
    const shown = (await call(async () => ({ lines }))) as { lines: string[] }
    expect(shown.lines).toEqual(lines.map((line) => (line.startsWith('$') ? line : '[redacted:privatekey]')))
    expect(last('outcome')?.data.detected).toEqual([{ kind: 'privatekey', at: 'lines[1]' }])
  })

  it('is found whatever the text says about not looking', async () => {
    const { call } = await house({ results: 'redact' })
    const [, token] = TOKENS[2] as (typeof TOKENS)[number]
    expect(await call(async () => `// secretlint-disable\n${token} // secretlint-disable-line`)).toBe(
      '// secretlint-disable\n[redacted:github] // secretlint-disable-line',
    )
  })

  it('is taken out of errors and their causes; the error stays what it was', async () => {
    proves('credentials-found')
    const { call, last, lines } = await house({ results: 'redact' })
    const [, token] = TOKENS[2] as (typeof TOKENS)[number]
    const given = new RangeError(`401 for ${token}`, { cause: { headers: { authorization: `Bearer ${token}` } } })
    const error = await call(() => Promise.reject(given)).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(RangeError)
    expect((error as Error).message).toBe('401 for [redacted:github]')
    expect((error as Error).stack).not.toContain(token)
    expect((error as Error).cause).toEqual({ headers: { authorization: 'Bearer [redacted:github]' } })
    expect(last('outcome')?.data).toMatchObject({ ended: 'failed', error: 'RangeError' })
    expect(last('outcome')?.data.detected).toContainEqual({ kind: 'github', at: 'cause.headers.authorization' })
    expect(lines.join('')).not.toContain(token)
  })

  it('does not reach the trail as the name of an error', async () => {
    const { call, last, lines } = await house({ results: 'flag' })
    const [, token] = TOKENS[2] as (typeof TOKENS)[number]
    const given = Object.assign(new Error('no'), { name: token })
    expect(await call(() => Promise.reject(given)).catch((caught: unknown) => caught)).toBe(given)
    expect(last('outcome')?.data).toMatchObject({ error: 'Error' })
    expect(lines.join('')).not.toContain(token)
  })

  it('is found after the secrets of the vault were taken out', async () => {
    const keys = [envKey('KEY', { env: { KEY: Buffer.alloc(32, 9).toString('hex') } })]
    const { haldir, session, last } = await house({ results: 'redact' }, { vault: { keys } })
    const [, known] = TOKENS[2] as (typeof TOKENS)[number]
    const [, other] = TOKENS[6] as (typeof TOKENS)[number]
    await haldir.vault.put('ours', known, { scope: 'spend' })
    const run = async () => ({ ours: currentCall()?.secret('ours').reveal(), other })
    const tool = governed(run, { name: 'tool', scope: [], secrets: ['ours'] }, { session })
    expect(await tool()).toEqual({ ours: '[redacted:ours]', other: '[redacted:npm]' })
    expect(last('outcome')?.data.detected).toEqual([{ kind: 'npm', at: 'other' }])
  })

  it('stands in a place whose name is a secret of the vault: that is not told either', async () => {
    const keys = [envKey('KEY', { env: { KEY: Buffer.alloc(32, 9).toString('hex') } })]
    const { haldir, session, last, lines } = await house({ arguments: 'flag' }, { vault: { keys } })
    const [, token] = TOKENS[6] as (typeof TOKENS)[number]
    await haldir.vault.put('ours', 'correct-horse', { scope: 'spend' })
    const tool = governed(async (_: object) => '', { name: 'tool', scope: [], secrets: ['ours'] }, { session })
    await tool({})
    await tool({ 'correct-horse': token })
    expect(last('intent')?.data.detected).toEqual([{ kind: 'npm', at: '[redacted:ours]' }])
    expect(lines.join('')).not.toContain('correct-horse')
  })
})

describe('clean results', () => {
  it('are untouched, the same reference, and nothing of theirs is run', async () => {
    proves('credentials-found')
    const { call, last } = await house({ results: 'redact' })
    const cyclic: { self?: object; items: unknown[] } = { items: [1n, -0, null, undefined, Symbol('x'), () => 1] }
    cyclic.self = cyclic
    const never = () => expect.fail('it was run')
    const values: unknown[] = [
      cyclic,
      'AKIA is how an id begins; sk-… is a key; https://user@example.com; commit 0f1e2d3c4b5a69788796a5b4c3d2e1f0',
      // In a list: a promise that answers it would be asked for its `then`.
      [new Proxy({}, { get: never, ownKeys: never, getPrototypeOf: never, getOwnPropertyDescriptor: never })],
      Object.defineProperty({}, 'secret', { get: never, enumerable: true }),
      Buffer.from('bytes'),
      new Map([['a', 1]]),
      new Date(0),
      new URL('https://example.com/a?b=c'),
      Array.from({ length: 1_000 }, (_, id) => ({
        id,
        name: `Order ${id}`,
        total: '12.50',
        at: '2026-01-01T00:00:00Z',
      })),
      '',
      0,
      undefined,
    ]
    for (const value of values) {
      expect(await call(async () => value)).toBe(value)
      expect(last('outcome')?.data).toEqual({ ended: 'ok' })
    }
    const error = new Error('timeout after 30 s')
    expect(await call(() => Promise.reject(error)).catch((caught: unknown) => caught)).toBe(error)
    expect(last('outcome')?.data).toEqual({ ended: 'failed', error: 'Error' })
  })

  it('pass with arguments, too, and nobody looks unless told to', async () => {
    const [, token] = TOKENS[2] as (typeof TOKENS)[number]
    const both = await house({ results: 'redact', arguments: 'refuse' })
    expect(await both.call(async (args) => args.to, { to: 'ada@example.com' })).toBe('ada@example.com')
    expect(both.last('intent')?.data).toEqual({})
    const none = await house(undefined)
    expect(await none.call(async (args) => args.to, { to: token })).toBe(token)
    const results = await house({ results: 'flag' })
    await results.call(async () => '', { to: token })
    expect(results.last('intent')?.data).toEqual({})
    const args = await house({ arguments: 'flag' })
    expect(await args.call(async () => token)).toBe(token)
    expect(args.last('outcome')?.data).toEqual({ ended: 'ok' })
  })
})

describe('a credential in a yield', () => {
  const [, token] = TOKENS[2] as (typeof TOKENS)[number]
  const reading = async (items: AsyncIterable<unknown>) => {
    const read: unknown[] = []
    let error: unknown
    try {
      for await (const item of items) read.push(item)
    } catch (caught) {
      error = caught
    }
    return { read, error }
  }
  const clean = { id: 1 }
  const body = async function* (end?: Error) {
    yield clean
    yield `part ${token}`
    yield { text: token }
    yield 'done'
    if (end) throw end
  }

  it('is taken out of each; the others are the same reference', async () => {
    proves('credentials-found')
    const { session, last, lines } = await house({ results: 'redact' })
    const tool = governed(() => body(), { name: 'tool', scope: [], streaming: true }, { session })
    const { read, error } = await reading(tool())
    expect(error).toBeUndefined()
    expect(read).toEqual([clean, 'part [redacted:github]', { text: '[redacted:github]' }, 'done'])
    expect(read[0]).toBe(clean)
    expect(last('outcome')?.data).toEqual({
      ended: 'ok',
      detected: [
        { kind: 'github', at: '(root)' },
        { kind: 'github', at: 'text' },
      ],
    })
    expect(lines.join('')).not.toContain(token)
  })

  it('is flagged; an error at the end is searched as well', async () => {
    const { session, last } = await house({ results: 'flag' })
    const end = Object.assign(new Error('gone'), { sent: { token } })
    const tool = governed(() => body(end), { name: 'tool', scope: [], streaming: true }, { session })
    const { read, error } = await reading(tool())
    expect(read[2]).toEqual({ text: token })
    expect(error).toBe(end)
    expect(last('outcome')?.data).toMatchObject({ ended: 'failed' })
    expect(last('outcome')?.data.detected).toContainEqual({ kind: 'github', at: 'sent.token' })
  })

  it('of a stream that can not be searched: the reader gets no more, and the tool is closed', async () => {
    const detector: Detector = {
      name: 'mine',
      find: (text) => (text.includes('part') ? Promise.reject(new Error(token)) : []),
    }
    const { session, last, lines } = await house({ results: 'redact', credentials: detector })
    let closed = false
    const run = async function* () {
      try {
        yield* body()
      } finally {
        closed = true
      }
    }
    const { read, error } = await reading(governed(run, { name: 'tool', scope: [] }, { session })())
    expect(read).toEqual([clean])
    expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('searched for credentials') })
    expect(closed).toBe(true)
    expect(last('outcome')?.data).toEqual({ ended: 'ok', unscanned: 'failed', withheld: true })
    expect(lines.join('')).not.toContain(token)
  })
})

describe('a credential in arguments', () => {
  it.each(TOKENS)('%s: is refused by kind and place, and the tool does not run', async (kind, text, secret) => {
    proves('credentials-found')
    const { session, last, lines } = await house({ arguments: 'refuse' })
    const run = vi.fn(async () => 'ran')
    const cost = vi.fn(() => usd(1))
    const tool = governTool({ framework: 'test', name: 'pay', options: { scope: 'spend', cost }, run })
    const request = { args: { to: 'ada', body: { parts: ['', text] } }, session }
    const prepared = await tool.prepare(request)
    expect(prepared).toMatchObject({ verdict: 'deny', rule: `detect:${kind}` })
    const done = await tool.execute(request)
    const told = done.status === 'denied' ? done.denial : undefined
    expect(told).toMatchObject({ code: 'invalid-arguments', rule: `detect:${kind}`, retryable: false })
    expect(told?.message).toContain(`the arguments hold a credential (\`${kind}\`) at \`body.parts[1]\``)
    expect(run).not.toHaveBeenCalled()
    expect(cost).not.toHaveBeenCalled()
    expect(last('refusal')).toMatchObject({
      code: 'invalid-arguments',
      verdict: 'deny',
      rule: `detect:${kind}`,
      data: { detected: [{ kind, at: 'body.parts[1]' }] },
    })
    expect(told?.message + lines.join('') + JSON.stringify(prepared)).not.toContain(secret.slice(0, 20))
  })

  it('is flagged in the intent, and the tool gets what was judged', async () => {
    proves('credentials-found', 'invariant-2')
    const { call, last, lines } = await house({ arguments: 'flag' })
    const args = Object.fromEntries(TOKENS.map(([kind, text], index) => [`${kind}-${index}`, { text }]))
    const seen = await call(async (given) => given, args)
    expect(seen).toEqual(args)
    const detected = last('intent')?.data.detected as unknown[]
    // An entry names so many and no more.
    expect(detected).toHaveLength(16)
    expect(detected[2]).toEqual({ kind: 'github', at: 'github-2.text' })
    for (const [, , secret] of TOKENS) expect(lines.join('')).not.toContain(secret.slice(0, 20))
  })

  it('is not looked for in a call that is refused anyway, but before anybody is asked for its price', async () => {
    const find = vi.fn(() => [])
    const { session } = await house({ arguments: 'refuse', credentials: { name: 'mine', find } })
    const tool = governed(async () => '', { name: 'tool', scope: 'admin' }, { session })
    expect((await denial(tool())).code).toBe('scope-missing')
    expect(find).not.toHaveBeenCalled()
  })
})

describe('a detector that fails', () => {
  const span = (more: object) => () => [{ start: 0, end: 4, kind: 'x', ...more }] as never
  const failing: [string, Detector['find']][] = [
    ['throws', () => expect.unreachable(AWS_SECRET)],
    ['rejects', () => Promise.reject(new Error(AWS_SECRET))],
    ['hangs', () => new Promise(() => {})],
    ['answers nothing', () => undefined as never],
    ['answers a list of something else', () => ['x'] as never],
    ['answers no kind', span({ kind: undefined })],
    ['answers a kind that is a sentence', span({ kind: `it is ${AWS_SECRET}` })],
    ['answers an end before the start', span({ start: 4 })],
    ['answers a start before the text', span({ start: -1 })],
    ['answers an end beyond the text', span({ end: 1e6 })],
    ['answers half a unit', span({ end: 3.5 })],
  ]

  async function searched(detect: Detect, find: Detector['find'], options: HaldirOptions = {}) {
    const signals: AbortSignal[] = []
    const detector: Detector = {
      name: 'mine',
      find: (text, { signal }) => {
        signals.push(signal)
        return find(text, { signal })
      },
    }
    const rooms = await house({ ...detect, credentials: detector }, options)
    const run = vi.fn(async () => 'a result')
    const told = rooms.call(run, { text: 'an argument' }).catch((error: unknown) => error)
    for (let step = 0; step < 3; step++) await rooms.clock.advance(5_000)
    const faults = rooms.haldir.health().faults
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
    expect(JSON.stringify(faults) + rooms.lines.join('')).not.toContain(AWS_SECRET)
    return { ...rooms, told: await told, run, faults: faults.map(({ part, count }) => `${part} ${count}`) }
  }

  it.each(failing)('%s: a result is withheld where it would be redacted', async (_, find) => {
    proves('credentials-found', 'invariant-6')
    const { told, run, last, faults } = await searched({ results: 'redact' }, find)
    expect(told).toMatchObject({ code: 'unavailable' })
    expect(String(told)).toContain('the tool ran, but its result can not be searched for credentials and was withheld')
    expect(run).toHaveBeenCalledOnce()
    expect(last('outcome')?.data).toEqual({ ended: 'ok', unscanned: 'failed', withheld: true })
    expect(faults).toEqual(['detector mine 1'])
  })

  it.each(failing)('%s: arguments are refused where credentials would be', async (_, find) => {
    proves('credentials-found', 'invariant-6')
    const { told, run, last, faults } = await searched({ arguments: 'refuse' }, find)
    expect(told).toMatchObject({ code: 'unavailable' })
    expect(String(told)).toContain('the arguments could not be searched for credentials')
    expect(run).not.toHaveBeenCalled()
    expect(last('refusal')?.data).toMatchObject({ unscanned: 'failed' })
    expect(faults).toEqual(['detector mine 1'])
  })

  it.each(failing)('%s: where they are flagged it is noted, and the call goes on', async (_, find) => {
    const { told, last, faults } = await searched({ results: 'flag', arguments: 'flag' }, find)
    expect(told).toBe('a result')
    expect(last('intent')?.data).toEqual({ unscanned: 'failed' })
    expect(last('outcome')?.data).toEqual({ ended: 'ok', unscanned: 'failed' })
    expect(faults).toEqual(['detector mine 2'])
  })

  it.each(failing)('%s: stops nothing in shadow mode', async (_, find) => {
    proves('shadow-broken-parts')
    const { told, last } = await searched({ results: 'redact', arguments: 'refuse' }, find, { mode: 'shadow' })
    expect(told).toBe('a result')
    expect(last('outcome')?.data).toMatchObject({ ended: 'ok', unscanned: 'failed' })
    expect(last('refusal')).toMatchObject({ code: 'unavailable', enforced: false })
  })

  it('is not what one is that answers at once, in any order, or finds one thing twice', async () => {
    const find: Detector['find'] = (text) => {
      const at = text.indexOf('result')
      return [
        { start: at + 3, end: at + 6, kind: 'tail' },
        { start: at, end: at + 4, kind: 'head' },
        { start: at, end: at + 4, kind: 'head' },
      ]
    }
    const { told, last } = await searched({ results: 'redact' }, find)
    expect(told).toBe('a [redacted:head]')
    expect(last('outcome')?.data.detected).toHaveLength(2)
  })
})

describe('more text than is searched', () => {
  const [, token] = TOKENS[2] as (typeof TOKENS)[number]
  const result = { token, rest: 'x'.repeat(200) }

  it('is withheld where it would be redacted, refused where credentials would be, and else noted', async () => {
    const strict = await house({ results: 'redact', arguments: 'refuse', limit: 100 })
    expect((await denial(strict.call(async () => result))).message).toContain('withheld')
    expect(strict.last('outcome')?.data).toMatchObject({ unscanned: 'too-large', withheld: true })
    const { code } = await denial(strict.call(async () => '', { text: 'x'.repeat(200) }))
    expect(code).toBe('unavailable')
    expect(await strict.call(async () => 'short', { text: 'x' })).toBe('short')
    const { call, last } = await house({ results: 'flag', arguments: 'flag', limit: 100 })
    expect(await call(async () => result, { text: 'x'.repeat(200) })).toBe(result)
    expect(last('intent')?.data).toEqual({ unscanned: 'too-large' })
    const detected = [{ kind: 'github', at: 'token' }]
    expect(last('outcome')?.data).toEqual({ ended: 'ok', detected, unscanned: 'too-large' })
  })

  it('is more than 10 MB: that much is searched, all of it', async () => {
    const { call, last } = await house({ results: 'redact' })
    const rows = Array.from({ length: 50_000 }, (_, id) => ({ id, note: `Order ${id}: `.padEnd(200, 'two chairs ') }))
    expect(await call(async () => rows)).toBe(rows)
    const tokens = [...rows, { id: -1, note: token }]
    const shown = (await call(async () => tokens)) as typeof rows
    expect(shown.at(-1)).toEqual({ id: -1, note: '[redacted:github]' })
    expect(shown[0]).toBe(rows[0])
    expect(last('outcome')?.data.detected).toEqual([{ kind: 'github', at: '[50000].note' }])
  })
})

describe('shadow mode', () => {
  it('flags what it finds, records what it would refuse, and stops nothing', async () => {
    proves('shadow-runs')
    const [, token] = TOKENS[2] as (typeof TOKENS)[number]
    const { call, last, haldir } = await house({ results: 'redact', arguments: 'refuse' }, { mode: 'shadow' })
    const result = { token }
    expect(await call(async () => result, { key: token })).toBe(result)
    const detected = [{ kind: 'github', at: 'key' }]
    expect(last('refusal')).toMatchObject({ code: 'invalid-arguments', enforced: false, data: { detected } })
    expect(last('outcome')?.data).toMatchObject({ ended: 'ok', detected: [{ kind: 'github', at: 'token' }] })
    expect(haldir.health().observed).toEqual({ 'invalid-arguments': 1 })
  })
})

describe('what is written wrongly', () => {
  const wrong: [string, unknown, string][] = [
    ['a key that nobody knows', { credentials, result: 'flag' }, 'detect.result'],
    ['neither results nor arguments', { credentials }, 'detect'],
    ['no detector', { results: 'flag' }, 'detect.credentials'],
    ['a detector that finds nothing', { credentials: { name: 'x' }, results: 'flag' }, 'detect.credentials'],
    ['a detector without a name', { credentials: { find: () => [] }, results: 'flag' }, 'detect.credentials'],
    ['results that are refused', { credentials, results: 'refuse' }, 'detect.results'],
    ['arguments that are redacted', { credentials, arguments: 'redact' }, 'detect.arguments'],
    ['a limit of nothing', { credentials, arguments: 'flag', limit: 0 }, 'detect.limit'],
    ['no options at all', null, 'detect'],
  ]

  it.each(wrong)('%s is named', async (_, detect, path) => {
    const error = await misuse(() => createHaldir({ sinks: [memorySink()], detect: detect as never }))
    expect(error).toMatchObject({ code: 'invalid-option', path })
    expect(error.message).toContain('`')
  })

  // A module is made to be missing by hooks that Node has from 22.15 on.
  const hooked = 'registerHooks' in process.getBuiltinModule('node:module')
  const skipped = hooked ? '' : ' (skipped: this Node has no `registerHooks`)'
  it.skipIf(!hooked)(
    `the rules are not installed: said, naming the package, when the detector is made${skipped}`,
    async () => {
      const script = `
      import { registerHooks } from 'node:module'
      registerHooks({ resolve(name, context, next) {
        if (name.startsWith('@secretlint/')) throw Object.assign(new Error('absent'), { code: 'ERR_MODULE_NOT_FOUND' })
        return next(name, context)
      } })
      const { secretlint } = await import('@haldir/core/detect')
      await secretlint().catch((error) => console.log(error.name, error.message))`
      const args = ['--conditions=@haldir/source', '--input-type=module', '--eval', script]
      const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
      expect(stdout, stderr).toBe(
        'ConfigError `secretlint` needs the package `@secretlint/secretlint-rule-preset-recommend`\n',
      )
    },
  )
})
