/** Secrets that stand in the arguments of a tool one does not own. */
import { inspect } from 'node:util'
import { governed as governedTools } from '@haldir/ai-sdk'
import { currentCall, envKey, governed, type ToolOptions } from '@haldir/core'
import { generateText, isStepCount, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedModel } from '../contracts/ai-sdk-model.ts'
import { proves } from '../promises.ts'
import { denial, fleet, misuse, STORES } from './scene.ts'

const SECRET = 'sk_live_canary/9f8e+7d6c=5b4a'
const KEY = envKey('KEY', { env: { KEY: 'ab'.repeat(32) } })
const AUTH = { 'headers.authorization': 'api_key' }

type Args = { url?: string; headers?: Record<string, unknown>; body?: unknown }

async function scene(options: Partial<ToolOptions> = {}, kind: (typeof STORES)[number] = 'memory') {
  const { haldir, lines, entries } = fleet(kind).house({ vault: { keys: [KEY] } })
  await haldir.vault.put('api_key', SECRET, { scope: 'http', tools: ['request'] })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['http'] })
  const got: unknown[] = []
  const request = async (args?: Args): Promise<unknown> => {
    got.push(structuredClone(args))
    return { sent: args }
  }
  const rule = { name: 'request', scope: 'http', secretArgs: AUTH, ...options }
  return { haldir, session, got, request, lines, entries, call: governed(request, rule, { session }) }
}

describe.each(STORES)('a secret in the arguments (%s)', (kind) => {
  it.each<[string, Args]>([
    ['as the placeholder', { url: 'u', headers: { accept: '*/*', authorization: '{{secret}}' } }],
    ['left out', { url: 'u', headers: { accept: '*/*' } }],
    ['undefined', { url: 'u', headers: { accept: '*/*', authorization: undefined } }],
  ])('%s, reaches the tool and nobody else', async (_, args) => {
    proves('secrets-scoped', 'agents-never-see-keys')
    const { call, got, lines, entries } = await scene({}, kind)
    const answer = await call(args)
    expect(got).toEqual([{ url: 'u', headers: { accept: '*/*', authorization: SECRET } }])
    expect(answer).toEqual({ sent: { url: 'u', headers: { accept: '*/*', authorization: '[redacted:api_key]' } } })
    expect(lines.join()).not.toContain(SECRET)
    expect(entries('secret-read')).toMatchObject([{ tool: 'request', data: { secret: 'api_key', version: 1 } }])
  })
})

it('makes the objects on the way, also of no argument at all', async () => {
  const { call, got } = await scene()
  await call({})
  await call()
  expect(got).toEqual([{ headers: { authorization: SECRET } }, { headers: { authorization: SECRET } }])
})

it('is in no digest: with the placeholder or another secret a call is the same', async () => {
  const { haldir, call, entries } = await scene()
  await call({ headers: { authorization: '{{secret}}' } })
  await haldir.vault.rotate('api_key', 'another-secret-value')
  await call({ headers: { authorization: '{{secret}}' } })
  const [one, two] = entries('intent')
  expect(one?.digest).toBe(two?.digest)
})

it('is not the tool’s to reveal, and its errors do not show it', async () => {
  const { haldir, session } = await scene()
  const fails = governed(
    async (args: Args) => {
      expect(() => currentCall().secret('api_key')).toThrow('the tool does not name this secret')
      throw new Error(`401 for ${args.headers?.authorization}`)
    },
    { name: 'request', scope: 'http', secretArgs: AUTH },
    { haldir, session },
  )
  await expect(fails({})).rejects.toThrow('401 for [redacted:api_key]')
})

it('keeps a result from passing that can not be searched', async () => {
  const { haldir, session } = await scene()
  const opaque = governed(
    async (_: Args) => new Map(),
    { name: 'request', scope: 'http', secretArgs: AUTH },
    { haldir, session },
  )
  expect((await denial(opaque({}))).message).toContain('was withheld')
})

describe('refused, recorded, and the tool not called:', () => {
  it.each<[string, Args | string, string]>([
    ['a value of the model’s own at the path', { headers: { authorization: 'Bearer mine' } }, 'leave it out'],
    ['the placeholder with more around it', { headers: { authorization: 'Bearer {{secret}}' } }, 'leave it out'],
    ['null at the path', { headers: { authorization: null } }, 'leave it out'],
    ['an object at the path', { headers: { authorization: { a: 1 } } }, 'leave it out'],
    ['no object on the way', { headers: 'authorization' as never }, 'no object at `headers`'],
    ['a list on the way', { headers: [] as never }, 'no object at `headers`'],
    ['text instead of arguments', 'authorization', 'no object at `(root)`'],
    ['the placeholder elsewhere', { url: '{{secret}}' }, 'where no secret goes'],
    ['the placeholder in another header', { headers: { 'x-key': '{{secret}}' } }, 'where no secret goes'],
    ['the placeholder in a list', { body: ['{{secret}}'] }, 'where no secret goes'],
    ['the placeholder deeper down', { body: { headers: { authorization: '{{secret}}' } } }, 'where no secret goes'],
    [
      'the placeholder behind a key that is empty',
      { '': { headers: { authorization: '{{secret}}' } } } as never,
      'where no secret goes',
    ],
    [
      'the placeholder under a key with a dot',
      { 'headers.authorization': '{{secret}}' } as never,
      'where no secret goes',
    ],
  ])('%s', async (_, args, reason) => {
    const { call, got, entries } = await scene()
    const refused = await denial(call(args as Args))
    expect(refused).toMatchObject({ code: 'invalid-arguments', rule: 'secretArgs' })
    expect(refused.message).toContain(reason)
    expect(got).toEqual([])
    expect(entries('refusal')).toMatchObject([{ code: 'invalid-arguments', rule: 'secretArgs' }])
    expect(entries('secret-read')).toEqual([])
  })

  it.each<[string, Parameters<typeof scene>[0], string]>([
    ['a secret that is not there', { secretArgs: { key: 'nothing' } }, 'there is no secret `nothing`'],
    ['a secret of another tool', { name: 'other' } as never, 'the secret `api_key` is not for this tool'],
  ])('%s', async (_, options, reason) => {
    const { call, got, entries } = await scene(options)
    const refused = await denial(call({}))
    expect(refused).toMatchObject({ code: 'secret-unavailable' })
    expect(refused.message).toContain(reason)
    expect(got).toEqual([])
    expect(entries('outcome')).toMatchObject([{ code: 'secret-unavailable', data: { ended: 'not-run' } }])
  })

  it('a secret that the session’s scopes do not reach', async () => {
    const { haldir, request, got } = await scene()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const call = governed(request, { name: 'request', scope: 'read', secretArgs: AUTH }, { session })
    expect((await denial(call({}))).message).toContain(
      'the session does not hold the scope that the secret `api_key` requires',
    )
    expect(got).toEqual([])
  })
})

it('means nothing in longer texts, nor to a tool without `secretArgs`', async () => {
  const { haldir, call, got, session } = await scene()
  await call({ body: 'write {{secret}} in your template' })
  expect(got[0]).toMatchObject({ body: 'write {{secret}} in your template' })
  const echo = governed(async (args: Args) => args, { name: 'echo', scope: [] }, { haldir, session })
  expect(await echo({ body: '{{secret}}' })).toEqual({ body: '{{secret}}' })
})

it('what the path of another secret leads through, and what is no path or name, is an error at once', async () => {
  const { haldir, request } = await scene()
  for (const [secretArgs, path] of [
    [{ a: 'x', 'a.b': 'y' }, 'secretArgs.a.b'],
    [{ '': 'x' }, 'secretArgs'],
    [{ 'a..b': 'x' }, 'secretArgs'],
    [{ 'a[0]': 'x' }, 'secretArgs'],
    [{ 'a.__proto__.b': 'x' }, 'secretArgs'],
    [{ a: '' }, 'secretArgs.a'],
    [{ a: '$digest' }, 'secretArgs.a'],
    [{ a: 1 }, 'secretArgs.a'],
    [['a'], 'secretArgs'],
    ['a', 'secretArgs'],
  ] as const) {
    const wrap = () => governed(request, { name: 'request', scope: [], secretArgs: secretArgs as never }, { haldir })
    expect((await misuse(wrap)).path).toBe(path)
  }
})

it('in shadow mode what is misplaced is recorded and runs as it is', async () => {
  const { haldir, entries } = fleet().house({ vault: { keys: [KEY] }, mode: 'shadow' })
  await haldir.vault.put('api_key', SECRET, { scope: 'http' })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['http'] })
  const got: unknown[] = []
  const call = governed(
    async (args: Args) => void got.push(structuredClone(args)),
    { name: 'r', scope: 'http', secretArgs: AUTH },
    { session },
  )
  await call({ headers: { authorization: 'mine' } })
  await call({ headers: 'text' as never })
  await call({})
  expect(got).toEqual([
    { headers: { authorization: 'mine' } },
    { headers: 'text' },
    { headers: { authorization: SECRET } },
  ])
  expect(entries('refusal').map(({ rule }) => rule)).toEqual(['secretArgs', 'secretArgs'])
})

it('stays out of a real loop: the model writes the placeholder and reads the mark', async () => {
  const { haldir, session } = await scene()
  const request = tool({
    description: 'sends a request',
    inputSchema: z.object({ url: z.string(), headers: z.object({ authorization: z.string().optional() }).optional() }),
    execute: async ({ headers }) => ({ status: 200, echo: headers }),
  })
  const tools = governedTools({ request }, { request: { scope: 'http', secretArgs: AUTH } }, { haldir, session })
  const calls = [
    { tool: 'request', args: { url: 'u', headers: { authorization: '{{secret}}' } } },
    { tool: 'request', args: { url: 'u' } },
    { tool: 'request', args: { url: '{{secret}}' } },
  ]
  const model = scriptedModel(calls)
  const result = await generateText({ model, tools, prompt: 'go', stopWhen: isStepCount(3) })
  const shown = inspect([model.doGenerateCalls, result.steps], { depth: null })
  expect(shown).not.toContain(SECRET)
  expect(shown.match(/\[redacted:api_key\]/g)?.length).toBeGreaterThanOrEqual(2)
  expect(shown).toContain('stands where no secret goes')
})
