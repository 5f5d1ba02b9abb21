import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { ConfigError, createHaldir, currentCall, Denied, envKey, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { entriesOf, proves } from '../promises.ts'

const CANARY = 'HLDR-CANARY-"7f3a\n9c/ü+'
const KEY = envKey('KEY', { env: { KEY: Buffer.alloc(32, 7).toString('base64') } })

let folder: string
let printed: string[]
let haldir: ReturnType<typeof createHaldir>
const sink = memorySink()

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-secrets-'))
  printed = []
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => Boolean(printed.push(String(text))))
  }
  haldir = createHaldir({ store: sqliteStore(join(folder, 'haldir.db')), sinks: [sink], vault: { keys: [KEY] } })
  await haldir.vault.put('api_key', CANARY, { scope: 'spend', tools: ['pay', 'stream'] })
})

afterEach(async () => {
  vi.restoreAllMocks()
  await haldir.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Every way the canary may be written. */
function forms(): string[] {
  const bytes = Buffer.from(CANARY)
  const encoded = [0, 1, 2].map((pad) => Buffer.concat([Buffer.alloc(pad, 0x5a), bytes, Buffer.alloc(pad, 0x5a)]))
  return [
    CANARY,
    JSON.stringify(CANARY),
    encodeURIComponent(CANARY),
    encodeURIComponent(CANARY).replace(/%../g, (code) => code.toLowerCase()),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...encoded.flatMap((all) => [all.toString('base64'), all.toString('base64url')]),
  ]
}

/** What no output may hold: the canary's own tell-tale parts, in each encoding. */
const TELLING = [
  'HLDR-CANARY',
  Buffer.from('HLDR-CANARY').toString('hex'),
  'SExEUi1DQU5BUl',
  'hMRFItQ0FOQVJZ',
  'ITERSLUNBTkFSW',
]

function expectClean(what: unknown) {
  const text =
    typeof what === 'string' ? what : `${inspect(what, { depth: 12, showHidden: true })}${JSON.stringify(what)}`
  for (const part of TELLING) expect(text.toLowerCase().includes(part.toLowerCase()), part).toBe(false)
}

async function sessionAnd(run: () => unknown, name = 'pay') {
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
  const tool = governed(async () => run(), { name, scope: 'spend', cost: () => usd(1), secrets: ['api_key'] })
  return { session, call: () => session.run(() => tool()) }
}

const reveal = () => currentCall().secret('api_key').reveal()

describe('a revealed secret', () => {
  it('reaches the tool itself, exactly', async () => {
    proves('secrets-scoped')
    let seen = ''
    const { call } = await sessionAnd(() => {
      seen = reveal()
    })
    await call()
    expect(seen).toBe(CANARY)
  })

  it('is found nowhere afterwards, however a tool returns or throws it', async () => {
    proves('invariant-7', 'agents-never-see-keys')
    for (const form of forms()) {
      const places: (() => unknown)[] = [
        () => `before ${form} after`,
        () => ({ deep: [{ header: `Bearer ${form}` }], [`key ${form}`]: 1 }),
        () => new URL(`https://example.com/?key=${encodeURIComponent(CANARY)}`),
        () => {
          throw new Error(`401 for ${form}`, { cause: new Error('inner', { cause: { token: form } }) })
        },
        () => {
          throw Object.assign(new AggregateError([new Error(form)], form), { config: { headers: [form] } })
        },
        () => {
          throw `a text ${form}`
        },
      ]
      for (const place of places) {
        const { call } = await sessionAnd(() => {
          reveal()
          return place()
        })
        const [came] = await Promise.allSettled([call()])
        expectClean(came?.status === 'fulfilled' ? came.value : came?.reason)
        expectClean(came?.status === 'rejected' ? String((came.reason as Error)?.stack) : '')
      }
    }
    expectClean(sink.lines.join('\n'))
    expectClean(printed.join('\n'))
    expectClean(haldir.health())
  })

  it('is found in no yield, wherever it is cut', async () => {
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    for (let cut = 1; cut < CANARY.length; cut += 3) {
      const stream = governed(
        async function* () {
          const text = `key: ${reveal()}!`
          yield text.slice(0, cut)
          yield text.slice(cut)
          yield { whole: text }
        },
        { name: 'stream', scope: 'spend', cost: () => usd('0.01'), secrets: ['api_key'] },
      )
      const yields = await session.run(() => Array.fromAsync(stream()))
      expectClean(yields.filter((one) => typeof one === 'string').join(''))
      expectClean(yields)
    }
  })

  it('is taken out of what later calls of the session return, too', async () => {
    let kept = ''
    const { session, call } = await sessionAnd(() => {
      kept = reveal()
    })
    await call()
    const look = governed(async () => ({ kept }), { name: 'look', scope: [] })
    expectClean(await session.run(() => look()))
  })

  it('leaves a result without it the same reference, and refuses what can not be searched', async () => {
    const result = { nested: { list: [1, 'a'] } }
    const { call } = await sessionAnd(() => {
      reveal()
      return result
    })
    expect(await call()).toBe(result)

    const opaque = await sessionAnd(() => Buffer.from(reveal()))
    const error = await opaque.call().catch((caught) => caught)
    expect(error).toMatchObject({ code: 'unavailable' })
    expect((error as Error).message).toContain('the tool ran')
    expect(entriesOf(sink.lines).at(-1)).toMatchObject({ data: { ended: 'ok', withheld: true } })
    expectClean(error)
  })

  it('is given by name only, to the tool that names it, in a session that holds its scope, until the call ends', async () => {
    let late = () => ''
    const { call } = await sessionAnd(() => {
      expect(() => currentCall().secret('other')).toThrow(Denied)
      const secret = currentCall().secret('api_key')
      expectClean([secret, `${secret}`, JSON.stringify({ secret }), { ...secret }])
      late = () => secret.reveal()
    })
    await call()
    expect(() => late()).toThrow('the call has ended')

    const tool = vi.fn(async () => {})
    const wrongTool = governed(tool, { name: 'other_tool', scope: 'spend', cost: () => usd(1), secrets: ['api_key'] })
    const wrongScope = governed(tool, { name: 'pay', scope: 'read', secrets: ['api_key'] })
    const missing = governed(tool, { name: 'pay', scope: 'read', secrets: ['nothing'] })
    const rich = await haldir.createSession({ agent: 'bot', scopes: ['spend:50', 'read'] })
    const reader = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const otherTenant = await haldir.createSession({ agent: 'bot', tenant: 'b', scopes: ['read', 'spend:1'] })
    for (const refused of [
      rich.run(() => wrongTool()),
      reader.run(() => wrongScope()),
      rich.run(() => missing()),
      otherTenant.run(() => wrongScope()),
    ]) {
      await expect(refused).rejects.toMatchObject({ code: 'secret-unavailable' })
    }
    expect(tool).not.toHaveBeenCalled()
    expect(`${(await rich.budget())[0]?.left}`).toBe('50 USD')
    expect(entriesOf(sink.lines).at(-1)).toMatchObject({
      type: 'outcome',
      code: 'secret-unavailable',
      data: { ended: 'not-run' },
    })
  })
})

it('stands in the store sealed, and every reading of it in the trail', async () => {
  proves('secrets-sealed')
  const { call } = await sessionAnd(() => reveal().length)
  await call()
  for (const file of ['haldir.db', 'haldir.db-wal']) expectClean(readFileSync(join(folder, file), 'latin1'))
  const read = entriesOf(sink.lines).findLast(({ type }) => type === 'secret-read')
  expect(read).toMatchObject({ tool: 'pay', data: { secret: 'api_key', version: 1 } })
  expect(entriesOf(sink.lines)[1]).toMatchObject({ type: 'secret-put', tenant: 'default', data: { secret: 'api_key' } })
})

it('can not be put without a key, a scope, or under a name that is none', async () => {
  const bare = createHaldir({ sinks: [memorySink()] })
  await expect(bare.vault.put('a', 'b', { scope: 'spend' })).rejects.toSatisfy(ConfigError.isInstance)
  await expect(haldir.vault.put('a', 'b', {} as never)).rejects.toSatisfy(ConfigError.isInstance)
  await expect(haldir.vault.put('$digest', CANARY, { scope: 'spend' })).rejects.toSatisfy(ConfigError.isInstance)
  await bare.close()
})

it('of less than 8 bytes is stored, and health says that it is not redacted', async () => {
  await haldir.vault.put('pin', '1234', { scope: 'spend' })
  expect(haldir.health().warnings).toEqual(['the secret `pin` is too short to be redacted'])
})
