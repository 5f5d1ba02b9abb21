/** 361 known secrets, raw and encoded, through everything that leaves a call: none comes out. What is clean stays. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { governed as governedTool } from '@haldir/ai-sdk'
import { createHaldir, currentCall, Denied, envKey, governed, type Haldir, type Session } from '@haldir/core'
import { governTool } from '@haldir/core/adapter'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { generateText, isStepCount, streamText, tool } from 'ai'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { scriptedModel } from '../contracts/ai-sdk-model.ts'
import { proves } from '../promises.ts'
import { COUNT, cleanOutputs, coreOf, ENCODINGS, manySecrets } from './many-secrets-kinds.ts'

const secrets = manySecrets()
/** Of each secret: its name, itself, each of its encodings, and what no output may hold of each. */
const known = Array.from(secrets, ([name, secret]) => {
  const forms = Object.values(ENCODINGS).map((encode) => encode(secret))
  const cores = Object.keys(ENCODINGS).map((encoding) => coreOf(secret, encoding))
  // Nor most of one, where that is long enough to say anything.
  const most = cores.flatMap((core) => {
    const length = Math.ceil(core.length * 0.75)
    return length < 16 ? [] : [core.slice(0, length), core.slice(-length)]
  })
  return { name, secret, forms, telling: [...new Set(secret.length < 12 ? cores : [...most, ...cores])] }
})
type Known = (typeof known)[number]

const byBeginning = Map.groupBy(
  known.flatMap(({ name, telling }) => telling.map((one): [string, string] => [one, name])),
  ([one]) => one.slice(0, 8),
)

const KEY = envKey('KEY', { env: { KEY: Buffer.alloc(32, 7).toString('base64') } })
const folder = mkdtempSync(join(tmpdir(), 'haldir-many-secrets-'))
const lines = memorySink()
const printed: string[] = []
let haldir: Haldir
let session: Session
/** What a guard says of the next call. */
let objection: string | undefined

beforeAll(async () => {
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => Boolean(printed.push(String(text))))
  }
  haldir = createHaldir({
    store: memoryStore(),
    sinks: [lines, fileSink(join(folder, 'audit'))],
    vault: { keys: [KEY] },
    guards: [{ name: 'objector', decide: async () => (objection ? { verdict: 'deny', reason: objection } : 'allow') }],
  })
  for (const [name, secret] of secrets) await haldir.vault.put(name, secret, { scope: 'keys' })
  session = await haldir.createSession({ agent: 'bot', scopes: ['keys'], ttl: '1d' })
  await reveal()
})

afterAll(async () => {
  await haldir.close()
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

/** Has every secret revealed in the session, by tools that name nineteen of them each. */
async function reveal(): Promise<void> {
  const names = [...secrets.keys()]
  for (let from = 0; from < COUNT; from += 19) {
    const some = names.slice(from, from + 19)
    const sign = governed(
      async () => some.map((name) => currentCall().secret(name).reveal().length),
      { name: 'sign', scope: 'keys', secrets: some },
      { haldir },
    )
    expect(await session.run(() => sign())).toEqual(some.map((name) => secrets.get(name)?.length))
  }
}

/** Every text in a value: keys, members, what errors have beside them. */
function textsIn(value: unknown, met = new Set<unknown>()): string[] {
  if (typeof value !== 'object' || value === null) return [String(value)]
  if (met.has(value)) return []
  met.add(value)
  const shown = value instanceof Error ? [String(value), String(value.stack)] : []
  const own = Reflect.ownKeys(value).flatMap((key) => [
    String(key),
    ...textsIn(Object.getOwnPropertyDescriptor(value, key)?.value, met),
  ])
  return [...shown, ...own]
}

function expectClean(what: unknown, { name, telling }: Known): void {
  const text = textsIn(what).join('\0')
  const found = telling.filter((one) => text.includes(one))
  expect(found, `${name} in ${text.slice(0, 400)}`).toEqual([])
}

/** Answers what a tool of the session returns, or throws, as its caller sees it. */
async function seen(run: (args?: object) => unknown, args?: object): Promise<unknown> {
  const look = governed(async (given?: object) => run(given), { name: 'look', scope: [] }, { haldir })
  return session.run(() => look(args)).catch((error: unknown) => ({ caught: error }))
}

describe('361 secrets', () => {
  it('are all different, long enough, and found for what they are', () => {
    expect(secrets.size).toBe(361)
    expect(new Set(secrets.values()).size).toBe(361)
    for (const secret of secrets.values()) expect(Buffer.byteLength(secret)).toBeGreaterThanOrEqual(8)
    expect(Object.keys(ENCODINGS)).toHaveLength(14)
  })

  it('come out of no result: nested, as keys, in addresses, in lists of pairs', async () => {
    proves('invariant-7', 'agents-never-see-keys')
    for (const one of known) {
      const { name, secret, forms } = one
      const result = await seen(() => ({
        text: forms.map((form) => `before ${form} after`),
        deep: [{ header: { authorization: `Bearer ${forms[0]}` }, forms }],
        keys: Object.fromEntries(forms.map((form, at) => [`${at}: ${form}`, at])),
        pairs: forms.map((form) => [form, { form }]),
        url: new URL(`https://example.com/a?key=${encodeURIComponent(secret)}`),
        json: JSON.stringify({ answer: JSON.stringify({ secret }) }),
      }))
      expectClean(result, one)
      const { text } = result as { text: string[] }
      for (const shown of text) expect(shown).toContain(`[redacted:${name}]`)
      // A text alone, and in the call that reveals it.
      expectClean(await seen(() => forms.join(' ')), one)
      const sign = governed(
        async () => ({ signed: currentCall().secret(name).reveal() }),
        { name: 'sign', scope: 'keys', secrets: [name] },
        { haldir },
      )
      expect(await session.run(() => sign())).toEqual({ signed: `[redacted:${name}]` })
    }
  })

  it('come out of no error: message, cause, collected errors, members, a thrown text', async () => {
    for (const one of known) {
      const { forms, secret } = one
      const inner = forms.map((form) => Object.assign(new Error(`401 for ${form}`), { config: { headers: [form] } }))
      const cause = Object.assign(new TypeError(`inner ${secret}`), { cause: { token: forms } })
      for (const thrown of [
        new AggregateError(inner, `outer ${forms.join(' ')}`, { cause }),
        Object.assign(new Error('quiet'), { request: { [secret]: forms }, stack: `Error: at ${secret}` }),
        forms.join('\n'),
      ]) {
        const result = await seen(() => {
          throw thrown
        })
        expectClean(result, one)
        if (thrown instanceof Error) expect((result as { caught: unknown }).caught).toBeInstanceOf(Error)
      }
    }
  })

  it('come out of no call that repeats them: its tool reads them, nobody else does', async () => {
    const { execute } = governTool(
      { framework: 'test', name: 'echo', options: { scope: [] }, run: (args) => args },
      { haldir, session },
    )
    const forbidden = governTool(
      { framework: 'test', name: 'forbidden', options: { scope: 'admin' }, run: () => 'never' },
      { haldir, session },
    )
    for (const [number, one] of known.entries()) {
      const { name, secret, forms } = one
      let read: unknown
      const args = { note: forms, [secret]: secret }
      expectClean(
        await seen((given) => {
          read = given
          return given
        }, args),
        one,
      )
      expect(read).toEqual(args)
      // What a framework calls a call comes from the model.
      for (const ref of [secret, forms[number % forms.length]]) expectClean(await execute({ args: { ref }, ref }), one)
      expectClean(await forbidden.execute({ args, ref: `${'x'.repeat(110)}${secret}` }), one)
      // Hostile arguments are refused by a path that names keys.
      const hostile = await execute({ args: { [secret]: { [forms[3] as string]: new Map() } } })
      expectClean(hostile, one)
      expect(hostile.status).toBe('denied')
      objection = `no ${forms.join(', ')}`
      const denied = await execute({ args }).finally(() => {
        objection = undefined
      })
      expectClean(denied, one)
      if (denied.status !== 'denied') throw new Error('the guard was not asked')
      expect(denied.denial.message).toContain(`[redacted:${name}]`)
    }
  })

  it('come out of no yields: whole, cut at many places, letter by letter', async () => {
    let pieces: unknown[] = []
    const stream = governed(
      async function* () {
        yield* pieces
      },
      { name: 'stream', scope: [] },
      { haldir },
    )
    for (const [number, one] of known.entries()) {
      const { forms, name } = one
      pieces = []
      for (const [at, form] of forms.entries()) {
        const half = 1 + ((number * 7 + at * 3) % (form.length - 1))
        const third = Math.ceil(form.length / 3)
        pieces.push(`<${form}>`, `<${form.slice(0, half)}`, `${form.slice(half)}>`)
        pieces.push('<', form.slice(0, third), form.slice(third, -third), '', form.slice(-third), '>', { form })
        if (at === 0 || at === 1 + (number % (forms.length - 1))) pieces.push(...`<${form}>`, `<${form}>`)
      }
      const yields = await session.run(() => Array.fromAsync(stream()))
      expect(yields).toHaveLength(pieces.length)
      expectClean(yields, one)
      const text = yields.filter((item) => typeof item === 'string').join('')
      expectClean(text, one)
      // Each of them was found: whole, in two, in three, and twice beside and in letters.
      expect(text.split(`[redacted:${name}]`)).toHaveLength(1 + forms.length * 3 + 4)
    }
  })

  it('are told to no model of the AI SDK, whether a tool answers, fails, streams or is denied', async () => {
    const inputSchema = z.object({ from: z.number() })
    const some = (from: number) => known.slice(from, from + 40).flatMap(({ forms }) => forms)
    const context = z.object({ haldirSession: z.custom<Session>() })
    const given = { inputSchema, contextSchema: context }
    const tools = governedTool(
      {
        answer: tool({ ...given, execute: async ({ from }) => ({ forms: some(from) }) }),
        fail: tool({
          ...given,
          execute: async ({ from }): Promise<string> => {
            throw new Error(some(from).join(' '), { cause: some(from) })
          },
        }),
        flow: tool({
          ...given,
          execute: async function* ({ from }) {
            for (const form of some(from)) yield form
          },
        }),
      },
      { answer: { scope: [] }, fail: { scope: [] }, flow: { scope: [] } },
      { haldir, session },
    )
    const handle = { haldirSession: session }
    const toolsContext = { answer: handle, fail: handle, flow: handle }
    for (let from = 0; from < COUNT; from += 40) {
      const turns = (['answer', 'fail', 'flow'] as const).map((name) => [{ tool: name, args: { from } }])
      const told = scriptedModel(...turns)
      const options = { tools, toolsContext, prompt: 'go on', stopWhen: isStepCount(5) }
      const result = await generateText({ ...options, model: told })
      const streaming = scriptedModel(...turns)
      const parts = await Array.fromAsync(streamText({ ...options, model: streaming, onError: () => {} }).fullStream)
      expect(told.doGenerateCalls).toHaveLength(4)
      expect(streaming.doStreamCalls).toHaveLength(4)
      const prompts = [told.doGenerateCalls, streaming.doStreamCalls].map((calls) => calls.at(-1)?.prompt)
      expect(JSON.stringify(prompts)).toContain(`[redacted:${known[from]?.name}]`)
      const text = textsIn([prompts, result.steps.map(({ content }) => content), parts]).join('\0')
      expect(foundIn(text)).toEqual([])
    }
  })

  it('stand in no entry, neither in memory nor in the file, in nothing printed and not in health', async () => {
    proves('invariant-7')
    await haldir.flush()
    const files = readdirSync(join(folder, 'audit')).filter((name) => name.endsWith('.jsonl'))
    expect(files).toHaveLength(1)
    const onDisk = readFileSync(join(folder, 'audit', files[0] as string))
    expect(lines.lines.length).toBeGreaterThan(8_000)
    // The same bytes: what is not in the lines is not in the file either.
    expect(onDisk.equals(Buffer.from(`${lines.lines.join('\n')}\n`))).toBe(true)
    expect(foundIn(lines.lines.join('\n'))).toEqual([])
    expect(foundIn(printed.join('\n'))).toEqual([])
    expect(foundIn(textsIn(haldir.health()).join('\0'))).toEqual([])
    // Whoever looks for them like this would find one.
    const { name, telling } = known[200] as Known
    expect(foundIn(`x${telling.at(-1)}y`)).toContain(name)
  })
})

/** The names of all secrets of which a text holds something telling: looked up by its first eight letters. */
function foundIn(text: string): string[] {
  const found = new Set<string>()
  for (let at = 0; at + 8 <= text.length; at++) {
    for (const [one, name] of byBeginning.get(text.slice(at, at + 8)) ?? [])
      if (text.startsWith(one, at)) found.add(name)
  }
  return [...found]
}

describe('1,500 outputs without a secret, with all of the secrets revealed', () => {
  const outputs = cleanOutputs(1_500, [...secrets.values()])

  it('are the same reference as results, and the same as yields', async () => {
    const before = structuredClone(outputs.map((output) => textsIn(output)))
    let next: unknown
    const look = governed(async () => next, { name: 'look', scope: [] }, { haldir })
    for (const output of outputs) {
      next = output
      expect(Object.is(await session.run(() => look()), output)).toBe(true)
    }
    const stream = governed(
      async function* () {
        yield* outputs
      },
      { name: 'stream', scope: [] },
      { haldir },
    )
    const yields = await session.run(() => Array.fromAsync(stream()))
    expect(yields).toHaveLength(outputs.length)
    for (const [at, output] of outputs.entries()) expect(Object.is(yields[at], output)).toBe(true)
    expect(outputs.map((output) => textsIn(output))).toEqual(before)
  })

  it('are the same errors', async () => {
    for (const output of outputs) {
      const error = Object.assign(new Error(`failed: ${textsIn(output).join(' ')}`), { output })
      expect(await seen(() => Promise.reject(error))).toEqual({ caught: error })
      expect(Denied.isInstance(error)).toBe(false)
    }
  })
})
