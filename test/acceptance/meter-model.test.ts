/** `meterModel` under the real loops of the AI SDK: one budget for tools and tokens, and the end of the loop with it. */
import type {
  LanguageModelV4GenerateResult as Answer,
  LanguageModelV2,
  LanguageModelV4StreamPart as Part,
  LanguageModelV4Usage as Usage,
} from '@ai-sdk/provider'
import { governed, meterModel, type Prices } from '@haldir/ai-sdk'
import { amount, createHaldir, Denied, type Entry, type Haldir, type Session, type Store, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { APICallError, generateText, isStepCount, streamText, ToolLoopAgent, tool } from 'ai'
import { convertArrayToReadableStream, MockLanguageModelV3, MockLanguageModelV4 } from 'ai/test'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'

/** A dollar a token in, ten a token out. */
const prices: Prices = { 'test/one': { input: 1_000_000, output: 10_000_000 } }
const prompt = 'go on'

let haldir: Haldir
let session: Session

beforeEach(async () => {
  haldir = createHaldir({ sinks: [memorySink()] })
  session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:1000'] })
})
afterEach(() => haldir.close())

function used(input: number | undefined, output: number | undefined): Usage {
  return {
    inputTokens: { total: input, noCache: input, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: output, text: output, reasoning: undefined },
  }
}

/** One step of a model: text, or the call of a tool. Afterwards it says `done`. */
type Step = { readonly usage?: Usage; readonly call?: { readonly tool: string; readonly args: unknown } }

/** A model that costs 30 a step (10 in, 2 out) unless told otherwise. */
function model(...steps: Step[]): MockLanguageModelV4 {
  let at = 0
  const next = () => {
    const { usage = used(10, 2), call } = steps[at++] ?? {}
    const input = JSON.stringify(call?.args)
    const content: Answer['content'] = call
      ? [{ type: 'tool-call', toolCallId: `call-${at}`, toolName: call.tool, input }]
      : [{ type: 'text', text: 'done' }]
    return { content, usage, finishReason: { unified: call ? 'tool-calls' : 'stop', raw: undefined } } as const
  }
  return new MockLanguageModelV4({
    provider: 'test.chat',
    modelId: 'one',
    doGenerate: async () => ({ ...next(), warnings: [] }),
    doStream: async () => {
      const { content, usage, finishReason } = next()
      const parts = content.flatMap((part): Part[] =>
        part.type === 'text' ? [...text(part.text)] : part.type === 'tool-call' ? [part] : [],
      )
      return { stream: convertArrayToReadableStream([...parts, { type: 'finish', usage, finishReason }]) }
    },
  })
}

function text(delta: string): Part[] {
  return [
    { type: 'text-start', id: '0' },
    { type: 'text-delta', id: '0', delta },
    { type: 'text-end', id: '0' },
  ]
}

/** A stream whose parts come as the test pushes them. Like a provider, it fails when the signal aborts, if it listens. */
function pushed(listens = true) {
  let controller!: ReadableStreamDefaultController<Part>
  let cancelled: unknown
  let pulls = 0
  const source = new ReadableStream<Part>(
    {
      start(own) {
        controller = own
      },
      pull() {
        pulls++
      },
      cancel(reason) {
        cancelled = reason
      },
    },
    { highWaterMark: 0 },
  )
  const mock = new MockLanguageModelV4({
    provider: 'test',
    modelId: 'one',
    doStream: async ({ abortSignal }) => {
      if (listens) abortSignal?.addEventListener('abort', () => controller.error(abortSignal.reason))
      return { stream: source }
    },
  })
  return { mock, push: (part: Part) => controller.enqueue(part), cancelled: () => cancelled, pulls: () => pulls }
}

async function left(of: Session = session, unit = 'USD'): Promise<string> {
  return (await of.budget()).find((line) => line.unit === unit)?.left.decimal as string
}

async function held(): Promise<string> {
  return (await session.budget())[0]?.held.decimal as string
}

async function entries(...types: Entry['type'][]): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({})) if (types.includes(entry.type)) found.push(entry)
  return found
}

const finish = (usage: Usage): Part => ({ type: 'finish', usage, finishReason: { unified: 'stop', raw: undefined } })
const asking = { prompt: [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'hi' }] }] }

/** Lets everything that waits for promises alone go on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('`generateText`', () => {
  it('is charged what the usage says, to the ambient session', async () => {
    const { text } = await session.run(() => generateText({ model: meterModel(model(), { prices }), prompt }))
    expect(text).toBe('done')
    expect(await left()).toBe('970')
    expect(await held()).toBe('0')
  })

  it('leaves an intent and an outcome, and nothing of the prompt', async () => {
    const metered = meterModel(model(), { prices, session })
    await generateText({ model: metered, prompt: 'the key is sk-live-123456', maxOutputTokens: 3 })
    const [intent, outcome] = await entries('intent', 'outcome')
    expect(intent).toMatchObject({ type: 'intent', tool: 'model:one', session: session.id, verdict: 'allow' })
    expect(intent?.held).toEqual([{ unit: 'USD', amount: expect.any(String) }])
    expect(Number(intent?.held?.[0]?.amount)).toBeGreaterThan(30)
    const spent = [
      { unit: 'USD', amount: '30' },
      { unit: 'tokens', amount: '12' },
    ]
    expect(outcome).toMatchObject({ tool: 'model:one', call: intent?.call, spent, data: { ended: 'ok' } })
    const all: Entry[] = []
    for await (const entry of haldir.trail.query({})) all.push(entry)
    expect(JSON.stringify(all)).not.toMatch(/sk-live|done/)
    expect(await haldir.trail.verify()).toMatchObject({ ok: true })
  })

  it('names the model in entries as a tool is named, whatever its id', async () => {
    const mock = new MockLanguageModelV4({
      modelId: `my model\n${'ü'.repeat(200)}`,
      doGenerate: model().doGenerate,
    })
    await meterModel(mock, { prices: { '*': { input: 1, output: 1 } }, session }).doGenerate(asking)
    const [outcome] = await entries('outcome')
    expect(outcome?.tool).toMatch(/^model:my-model-[-]{113}$/)
    expect(outcome?.tool).toHaveLength(128)
  })

  it('refuses before the provider is called when the budget is used up, and is not repeated', async () => {
    const poor = await haldir.createSession({ agent: 'a', scopes: ['spend:0'] })
    const mock = model()
    const asked = generateText({ model: meterModel(mock, { prices, session: poor }), prompt, maxRetries: 5 })
    await expect(asked).rejects.toSatisfy((error) => Denied.isInstance(error) && error.code === 'budget-exceeded')
    expect(mock.doGenerateCalls).toEqual([])
    expect(await entries('refusal')).toMatchObject([{ tool: 'model:one', code: 'budget-exceeded' }])
  })

  it('refuses a session that can not spend at all', async () => {
    const reader = await haldir.createSession({ agent: 'a', scopes: ['read'] })
    const mock = model()
    const asked = generateText({ model: meterModel(mock, { prices, session: reader }), prompt })
    await expect(asked).rejects.toMatchObject({ code: 'budget-exceeded' })
    expect(mock.doGenerateCalls).toEqual([])
  })

  it('records what goes beyond the estimate, and refuses the next call', async () => {
    const metered = meterModel(model({ usage: used(10, 200) }), { prices, session })
    await generateText({ model: metered, prompt })
    expect(await left()).toBe('0')
    const [outcome] = await entries('outcome')
    expect(outcome).toMatchObject({ spent: [{ amount: '2010' }, { amount: '210' }], data: { overrun: true } })
    await expect(generateText({ model: metered, prompt })).rejects.toMatchObject({ code: 'budget-exceeded' })
  })

  it('counts tokens where a meter limits them', async () => {
    await haldir.close()
    haldir = createHaldir({
      sinks: [memorySink()],
      meters: [{ unit: 'tokens', per: 'agent', limit: 40, window: 'day' }],
    })
    session = await haldir.createSession({ agent: 'a', scopes: ['spend:*'] })
    const metered = meterModel(model(), { prices, session, reserve: amount('tokens', 20) })
    await generateText({ model: metered, prompt })
    await generateText({ model: metered, prompt })
    expect(await left(session, 'tokens')).toBe('16')
    const careless = meterModel(model({ usage: used(16, 0) }), { prices, session, reserve: amount('tokens', 0) })
    await generateText({ model: careless, prompt })
    await expect(generateText({ model: careless, prompt })).rejects.toMatchObject({ code: 'quota-exceeded' })
    await expect(generateText({ model: metered, prompt })).rejects.toMatchObject({ code: 'quota-exceeded' })
  })
})

describe('a loop with governed tools', () => {
  const pay = () =>
    governed(
      { pay: tool({ inputSchema: z.object({ amount: z.number() }), execute: async ({ amount }) => `paid ${amount}` }) },
      { pay: { scope: 'spend', cost: ({ amount }) => usd(amount) } },
    )
  const paying = { call: { tool: 'pay', args: { amount: 100 } } }
  const reserve = usd(30)
  const stopWhen = isStepCount(20)

  it('has one budget for tools and tokens', async () => {
    const metered = meterModel(model(paying, paying), { prices, reserve })
    const { text } = await session.run(() => generateText({ model: metered, tools: pay(), prompt, stopWhen }))
    expect(text).toBe('done')
    expect(await left()).toBe('710')
  })

  it('ends when the budget is gone: `generateText` and `ToolLoopAgent` reject with the denial as it is', async () => {
    const endless = () => model(...Array.from({ length: 20 }, () => paying))
    const mock = endless()
    const looped = session.run(() =>
      generateText({ model: meterModel(mock, { prices, reserve }), tools: pay(), prompt, stopWhen }),
    )
    await expect(looped).rejects.toBeInstanceOf(Denied)
    // 7 steps of 130 are 910; the eighth leaves 60 and its tool is denied; a tenth finds nothing left.
    expect(mock.doGenerateCalls).toHaveLength(10)
    expect(await left()).toBe('0')
    const second = endless()
    const agent = new ToolLoopAgent({ model: meterModel(second, { prices, reserve }), tools: pay(), stopWhen })
    await expect(session.run(() => agent.generate({ prompt }))).rejects.toMatchObject({ code: 'budget-exceeded' })
    expect(second.doGenerateCalls).toEqual([])
  })

  it('`streamText` shows the denial as an error part and ends, although it is read outside of the session', async () => {
    const mock = model(...Array.from({ length: 20 }, () => paying))
    const errors: unknown[] = []
    const onError = ({ error }: { error: unknown }) => void errors.push(error)
    const metered = meterModel(mock, { prices, reserve })
    const { fullStream } = session.run(() => streamText({ model: metered, tools: pay(), prompt, stopWhen, onError }))
    const parts: { type: string }[] = []
    for await (const part of fullStream) parts.push(part)
    expect(mock.doStreamCalls).toHaveLength(10)
    expect(parts.filter(({ type }) => type === 'error')).toMatchObject([{ error: { code: 'budget-exceeded' } }])
    expect(errors).toMatchObject([{ code: 'budget-exceeded' }])
    expect(Denied.isInstance(errors[0])).toBe(true)
    expect(await left()).toBe('0')
    expect(await held()).toBe('0')
  })

  it('charges a model that a tool calls to the session of that tool', async () => {
    const inner = meterModel(model(), { prices })
    const ask = tool({
      inputSchema: z.object({}),
      execute: async () => (await generateText({ model: inner, prompt })).text,
    })
    const tools = governed({ ask }, { ask: { scope: 'read' } }, { session })
    const outer = meterModel(model({ call: { tool: 'ask', args: {} } }), { prices, session })
    await generateText({ model: outer, tools, prompt, stopWhen })
    expect(await left()).toBe('910')
  })
})

describe('whose budget it is', () => {
  it('refuses without a session, and the provider is not called', async () => {
    const mock = model()
    await expect(generateText({ model: meterModel(mock, { prices }), prompt })).rejects.toMatchObject({
      name: 'Denied',
      code: 'no-session',
    })
    expect(mock.doGenerateCalls).toEqual([])
  })

  it('refuses when the explicit session is not the ambient one: neither spends for the other', async () => {
    const child = await session.delegate({ agent: 'helper', scopes: ['spend:1'] })
    const mock = model()
    const metered = meterModel(mock, { prices, session })
    const asked = child.run(() => generateText({ model: metered, prompt }))
    await expect(asked).rejects.toMatchObject({ code: 'no-session' })
    await session.run(() => generateText({ model: metered, prompt }))
    expect(mock.doGenerateCalls).toHaveLength(1)
    expect(await left()).toBe('970')
  })

  it('charges every session that the payer was delegated from, and the smallest budget decides', async () => {
    const child = await session.delegate({ agent: 'helper', scopes: ['spend:50'] })
    const metered = meterModel(model(), { prices, session: child, reserve: usd(30) })
    await generateText({ model: metered, prompt })
    expect(await left()).toBe('970')
    await expect(generateText({ model: metered, prompt })).rejects.toMatchObject({ code: 'budget-exceeded' })
  })

  it('refuses a session that was revoked', async () => {
    await session.revoke()
    const mock = model()
    const asked = generateText({ model: meterModel(mock, { prices, session }), prompt })
    await expect(asked).rejects.toMatchObject({ code: 'session-revoked' })
    expect(mock.doGenerateCalls).toEqual([])
  })

  it('refuses when the trail does not accept the intent', async () => {
    let broken = false
    const inner = memorySink()
    const sink = {
      ...inner,
      write: (...args: Parameters<typeof inner.write>) => (broken ? fail() : inner.write(...args)),
    }
    const fail = () => Promise.reject(new Error('disk full'))
    const other = createHaldir({ sinks: [sink], deadline: '1s' })
    const payer = await other.createSession({ agent: 'a', scopes: ['spend:1000'] })
    broken = true
    const mock = model()
    const asked = generateText({ model: meterModel(mock, { prices, session: payer }), prompt })
    await expect(asked).rejects.toMatchObject({ code: 'unavailable' })
    expect(mock.doGenerateCalls).toEqual([])
    expect(await left(payer)).toBe('1000')
    broken = false
    await other.close()
  })

  it('in shadow mode stops nothing, also when the session is over', async () => {
    const shadow = createHaldir({ sinks: [memorySink()], mode: 'shadow' })
    const payer = await shadow.createSession({ agent: 'a', scopes: ['spend:1'] })
    const metered = meterModel(model(), { prices, session: payer })
    expect((await generateText({ model: metered, prompt })).text).toBe('done')
    await payer.revoke()
    expect((await generateText({ model: metered, prompt })).text).toBe('done')
    await shadow.close()
  })
})

describe('calls at the same time', () => {
  it('never spend more than the budget, where `reserve` is the most that they cost', async () => {
    const mock = model()
    const metered = meterModel(mock, { prices, session, reserve: () => usd(90) })
    const asked = await Promise.allSettled(Array.from({ length: 20 }, () => generateText({ model: metered, prompt })))
    // 11 holds of 90 fit.
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(11)
    expect(mock.doGenerateCalls).toHaveLength(11)
    expect(await left()).toBe('670')
  })

  it('leave no listener behind on the signals of the session and the caller', async () => {
    const caller = new AbortController()
    const counts = new Map<AbortSignal, number>()
    for (const signal of [session.signal, caller.signal]) {
      const { addEventListener: add, removeEventListener: remove } = signal
      const count = (by: number) => counts.set(signal, (counts.get(signal) ?? 0) + by)
      signal.addEventListener = (...args: any[]) => {
        count(1)
        Reflect.apply(add, signal, args)
      }
      signal.removeEventListener = (...args: any[]) => {
        count(-1)
        Reflect.apply(remove, signal, args)
      }
    }
    const metered = meterModel(model(), { prices, session, reserve: usd(30) })
    const params = { ...asking, abortSignal: caller.signal }
    await Promise.all(Array.from({ length: 12 }, () => metered.doGenerate(params)))
    const { stream } = await metered.doStream(params)
    expect([...counts.values()]).toEqual([1, 1])
    for await (const _ of stream);
    const { stream: stopped } = await metered.doStream(params)
    await stopped.cancel()
    expect([...counts.values()]).toEqual([0, 0])
  })
})

describe('a call that fails', () => {
  const failing = (error: unknown) =>
    new MockLanguageModelV4({ provider: 'test', modelId: 'one', doGenerate: () => Promise.reject(error) })
  const apiError = (statusCode: number | undefined) =>
    new APICallError({ message: 'no', url: 'http://x', requestBodyValues: {}, ...(statusCode && { statusCode }) })
  const attempt = async (error: unknown) => {
    const asked = meterModel(failing(error), { prices, session, reserve: usd(100) }).doGenerate(asking)
    await expect(asked).rejects.toBe(error)
    expect(await held()).toBe('0')
    return await left()
  }

  it.each([400, 401, 404, 422, 429, 503, 529])('with status %i was turned down and costs nothing', async (status) => {
    expect(await attempt(apiError(status))).toBe('1000')
    expect(await entries('outcome')).toHaveLength(1)
  })

  it.each([undefined, 200, 302, 408, 499, 500, 502, 504])(
    'with status %s may have cost what was set aside',
    async (status) => {
      expect(await attempt(apiError(status))).toBe('900')
      expect(await entries('outcome')).toMatchObject([{ spent: [{ amount: '100' }], data: { ended: 'failed' } }])
    },
  )

  it.each([new TypeError('fetch failed'), 'text', null, undefined])(
    'in any other way counts, too (%s)',
    async (error) => {
      expect(await attempt(error)).toBe('900')
    },
  )

  it('is repeated by the SDK as a call of its own, and a denial of that ends it', async () => {
    const error = apiError(500)
    // The SDK waits as long as the provider says.
    Object.assign(error, { responseHeaders: { 'retry-after-ms': '1' } })
    const mock = failing(error)
    const metered = meterModel(mock, { prices, session, reserve: usd(600) })
    const asked = generateText({ model: metered, prompt, maxRetries: 5 })
    await expect(asked).rejects.toMatchObject({ lastError: { code: 'budget-exceeded' } })
    expect(mock.doGenerateCalls).toHaveLength(1)
    expect(await left()).toBe('400')
  })

  it('before the provider was called costs nothing', async () => {
    const mock = model()
    const metered = meterModel(mock, { prices, session })
    const reason = new Error('the caller gave up')
    await expect(metered.doGenerate({ ...asking, abortSignal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(await entries('intent')).toEqual([])
    caller = new AbortController()
    const inner = memorySink()
    // While the intent is written.
    const write = (...args: Parameters<typeof inner.write>) => {
      if (metering) caller.abort(reason)
      return inner.write(...args)
    }
    let metering = false
    const other = createHaldir({ sinks: [{ ...inner, write }] })
    const payer = await other.createSession({ agent: 'a', scopes: ['spend:1000'] })
    metering = true
    const late = meterModel(mock, { prices, session: payer })
    await expect(late.doGenerate({ ...asking, abortSignal: caller.signal })).rejects.toBe(reason)
    expect((await payer.budget())[0]).toMatchObject({ used: usd(0), held: usd(0) })
    await other.close()
    expect(mock.doGenerateCalls).toEqual([])
  })

  it.each([
    ['the session', () => session.revoke(), 'session-revoked'],
    ['the caller', () => caller.abort(Object.assign(new Error('enough'), { code: 'enough' })), 'enough'],
  ])('because %s aborts it counts what was set aside, and the provider is told', async (_, stop, code) => {
    caller = new AbortController()
    const { promise: called, resolve: asked } = Promise.withResolvers<void>()
    const mock = new MockLanguageModelV4({
      provider: 'test',
      modelId: 'one',
      doGenerate: ({ abortSignal }) => {
        asked()
        return new Promise((_, reject) => abortSignal?.addEventListener('abort', () => reject(abortSignal.reason)))
      },
    })
    const metered = meterModel(mock, { prices, session, reserve: usd(100) })
    const answer = generateText({ model: metered, prompt, abortSignal: caller.signal })
    await Promise.all([expect(answer).rejects.toMatchObject({ code }), called.then(stop)])
    expect(await left()).toBe('900')
  })
  let caller: AbortController
})

describe('an answer without usage', () => {
  it('counts what was set aside', async () => {
    const usage = used(undefined, undefined)
    await meterModel(model({ usage }), { prices, session, reserve: usd(100) }).doGenerate(asking)
    expect(await left()).toBe('900')
    expect(await entries('outcome')).toMatchObject([{ data: { ended: 'ok' } }])
    const bare = new MockLanguageModelV4({ provider: 'test', modelId: 'one', doGenerate: async () => ({}) as Answer })
    await meterModel(bare, { prices, session, reserve: usd(100) }).doGenerate(asking)
    expect(await left()).toBe('800')
  })

  it('counts what is known, if that is more', async () => {
    await meterModel(model({ usage: used(400, undefined) }), { prices, session, reserve: usd(100) }).doGenerate(asking)
    expect(await left()).toBe('600')
  })

  it.each([Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY, '7', null])(
    'so does one with nonsense in it (%s)',
    async (n) => {
      const usage = used(n as number, n as number)
      await meterModel(model({ usage }), { prices, session, reserve: usd(100) }).doGenerate(asking)
      expect(await left()).toBe('900')
    },
  )

  it('counts what has come out, if that is more', async () => {
    const long = { type: 'text' as const, text: 'x'.repeat(90) }
    const finishReason = { unified: 'stop' as const, raw: undefined }
    const usage = used(undefined, undefined)
    const mock = new MockLanguageModelV4({
      provider: 'test',
      modelId: 'one',
      doGenerate: { content: [long], usage, finishReason, warnings: [] },
    })
    await meterModel(mock, { prices, session, reserve: usd(100) }).doGenerate(asking)
    // 90 bytes of text, and what is around them, are more than 30 tokens at 10; the prompt is 31 bytes.
    expect(Number(await left())).toBeLessThan(690)
    expect(Number(await left())).toBeGreaterThan(600)
  })

  it('counts what has come out of a stream, if that is more', async () => {
    const { mock, push } = pushed()
    const { stream } = await meterModel(mock, { prices, session, reserve: usd(100) }).doStream(asking)
    const reader = stream.getReader()
    for (const delta of ['x'.repeat(60), 'ö'.repeat(30)]) {
      push({ type: 'text-delta', id: '0', delta })
      await reader.read()
    }
    await reader.cancel()
    // 120 bytes are 40 tokens at 10; the prompt is 36 bytes.
    expect(Number(await left())).toBeLessThanOrEqual(600)
    expect(Number(await left())).toBeGreaterThan(570)
  })
})

describe('a stream', () => {
  it('is charged before its reader sees the `finish` part, and only once', async () => {
    const { mock, push } = pushed()
    const { stream } = await meterModel(mock, { prices, session, reserve: usd(100) }).doStream(asking)
    const reader = stream.getReader()
    expect(await held()).toBe('100')
    push(finish(used(10, 2)))
    await reader.read()
    expect([await left(), await held()]).toEqual(['970', '0'])
    push(finish(used(10, 2)))
    await reader.read()
    await reader.cancel()
    expect(await left()).toBe('970')
    expect(await entries('outcome')).toHaveLength(1)
  })

  it('meets what the one before it has left, also where the store takes its time', async () => {
    const inner = memoryStore()
    const settle: Store['settle'] = async (request) => {
      await settled()
      return inner.settle(request)
    }
    const other = createHaldir({ sinks: [memorySink()], store: { ...inner, settle } })
    const payer = await other.createSession({ agent: 'a', scopes: ['spend:60'] })
    // 40 held and 30 spent: with the first still held, the second would not fit.
    const metered = meterModel(model(), { prices, session: payer, reserve: usd(40) })
    const { stream } = await metered.doStream(asking)
    const reader = stream.getReader()
    while ((await reader.read()).value?.type !== 'finish');
    expect((await payer.budget())[0]).toMatchObject({ used: usd(30), held: usd(0) })
    const again = meterModel(model(), { prices, session: payer, reserve: usd(30) })
    await again.doGenerate(asking)
    expect((await payer.budget())[0]).toMatchObject({ used: usd(60), held: usd(0) })
    await other.close()
  })

  it('is asked for a part only when its reader asks', async () => {
    const { mock, push, pulls } = pushed()
    const { stream } = await meterModel(mock, { prices, session }).doStream(asking)
    await settled()
    expect(pulls()).toBe(0)
    const reader = stream.getReader()
    const first = reader.read()
    await settled()
    expect(pulls()).toBe(1)
    push({ type: 'text-start', id: '0' })
    expect(await first).toEqual({ done: false, value: { type: 'text-start', id: '0' } })
    await settled()
    expect(pulls()).toBe(1)
    await reader.cancel()
  })

  it('that its reader stops counts what was set aside', async () => {
    const { mock, push } = pushed()
    const { stream } = await meterModel(mock, { prices, session, reserve: usd(100) }).doStream(asking)
    push({ type: 'text-start', id: '0' })
    for await (const _ of stream) break
    expect([await left(), await held()]).toEqual(['900', '0'])
    await (await meterModel(pushed().mock, { prices, session, reserve: usd(100) }).doStream(asking)).stream.cancel(
      'why',
    )
    expect([await left(), await held()]).toEqual(['800', '0'])
  })

  it('hands its reason for stopping to the provider', async () => {
    const { mock, cancelled } = pushed()
    const { stream } = await meterModel(mock, { prices, session }).doStream(asking)
    await stream.cancel('why')
    expect(cancelled()).toBe('why')
  })

  it('that ends without `finish`, or with an error, counts what was set aside', async () => {
    const parts: Part[][] = [[], [{ type: 'error', error: new Error('overloaded') }]]
    for (const [index, some] of parts.entries()) {
      const mock = new MockLanguageModelV4({
        provider: 'test',
        modelId: 'one',
        doStream: { stream: convertArrayToReadableStream(some) },
      })
      const result = streamText({
        model: meterModel(mock, { prices, session, reserve: usd(100) }),
        prompt,
        onError: () => {},
      })
      await result.consumeStream()
      expect([await left(), await held()]).toEqual([`${900 - 100 * index}`, '0'])
    }
    const broken = new ReadableStream<Part>({ pull: (controller) => controller.error(new Error('reset')) })
    const mock = new MockLanguageModelV4({ provider: 'test', modelId: 'one', doStream: { stream: broken } })
    const { stream } = await meterModel(mock, { prices, session, reserve: usd(100) }).doStream(asking)
    await expect(stream.getReader().read()).rejects.toThrow('reset')
    expect([await left(), await held()]).toEqual(['700', '0'])
  })

  it('whose usage follows an error is charged by that', async () => {
    const parts: Part[] = [{ type: 'error', error: new Error('a bad chunk') }, finish(used(10, 2))]
    const mock = new MockLanguageModelV4({
      provider: 'test',
      modelId: 'one',
      doStream: { stream: convertArrayToReadableStream(parts) },
    })
    const metered = meterModel(mock, { prices, session, reserve: usd(100) })
    await streamText({ model: metered, prompt, onError: () => {} }).consumeStream()
    expect(await left()).toBe('970')
  })

  it('that the provider does not begin costs what any failed call does', async () => {
    const error = new APICallError({ message: 'no', url: 'http://x', requestBodyValues: {}, statusCode: 401 })
    const mock = new MockLanguageModelV4({ provider: 'test', modelId: 'one', doStream: () => Promise.reject(error) })
    await expect(meterModel(mock, { prices, session }).doStream(asking)).rejects.toBe(error)
    expect([await left(), await held()]).toEqual(['1000', '0'])
  })

  it.each([true, false])('ends with the session, and its hold with it (the provider listens: %s)', async (listens) => {
    const { mock, push, cancelled } = pushed(listens)
    const metered = meterModel(mock, { prices, session, reserve: usd(100) })
    const { fullStream, text } = streamText({ model: metered, prompt })
    const reader = fullStream.getReader()
    push({ type: 'text-start', id: '0' })
    push({ type: 'text-delta', id: '0', delta: 'he' })
    for (let part = await reader.read(); part.value?.type !== 'text-delta'; part = await reader.read());
    await session.revoke()
    await expect(reader.read()).rejects.toMatchObject({ name: 'Denied', code: 'session-revoked' })
    await expect(text).rejects.toMatchObject({ code: 'session-revoked' })
    if (!listens) expect(cancelled()).toMatchObject({ code: 'session-revoked' })
    // What has come out is counted as tokens, too.
    const spent = [{ amount: '100' }, { unit: 'tokens' }]
    expect(await entries('outcome')).toMatchObject([{ spent }])
  })

  it('that begins after the session has ended is stopped at once', async () => {
    const { mock, cancelled } = pushed(false)
    const begin = mock.doStream
    mock.doStream = async (params) => {
      const answer = await begin(params)
      await session.revoke()
      return answer
    }
    const { stream } = await meterModel(mock, { prices, session, reserve: usd(100) }).doStream(asking)
    await expect(stream.getReader().read()).rejects.toMatchObject({ code: 'session-revoked' })
    expect(cancelled()).toMatchObject({ code: 'session-revoked' })
    expect([await left(), await held()]).toEqual(['900', '0'])
  })

  it('that nobody reads any more ends when the session expires', async () => {
    const clock = fakeClock()
    const other = createHaldir({ sinks: [memorySink()], clock })
    const payer = await other.createSession({ agent: 'a', scopes: ['spend:1000'], ttl: '1m' })
    const { mock, cancelled } = pushed(false)
    await meterModel(mock, { prices, session: payer, reserve: usd(100) }).doStream(asking)
    await clock.advance(61_000)
    expect(cancelled()).toMatchObject({ code: 'session-expired' })
    expect(mock.doStreamCalls[0]?.abortSignal?.aborted).toBe(true)
    expect((await payer.budget())[0]).toMatchObject({ used: usd(100), held: usd(0) })
    await other.close()
  })

  it.each([
    ['the caller', () => caller.signal, () => caller.abort()],
    ['the session, whose signal the caller has passed on,', () => session.signal, () => session.revoke()],
  ])('that %s aborts ends with an `abort` part', async (_, signal, stop) => {
    caller = new AbortController()
    const { mock, push } = pushed()
    const metered = meterModel(mock, { prices, session, reserve: usd(100) })
    const { fullStream } = streamText({ model: metered, prompt, abortSignal: signal() })
    const types: string[] = []
    push({ type: 'text-start', id: '0' })
    for await (const { type } of fullStream) {
      types.push(type)
      if (type === 'text-start') void stop()
    }
    expect(types.at(-1)).toBe('abort')
    await settled()
    expect(await left()).toBe('900')
  })
  let caller: AbortController
})

describe('models of other versions of the specification', () => {
  it('are metered by the same table', async () => {
    Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })
    const two: LanguageModelV2 = {
      specificationVersion: 'v2',
      provider: 'test',
      modelId: 'one',
      supportedUrls: {},
      doStream: () => Promise.reject(new Error('not here')),
      doGenerate: async () => ({
        content: [{ type: 'text', text: 'done' }],
        finishReason: 'stop',
        usage: { inputTokens: 10, outputTokens: 2, totalTokens: 12 },
        warnings: [],
      }),
    }
    const three = new MockLanguageModelV3({
      provider: 'test',
      modelId: 'one',
      doGenerate: async () => ({
        content: [{ type: 'text', text: 'done' }],
        finishReason: { unified: 'stop', raw: undefined },
        usage: used(10, 2),
        warnings: [],
      }),
    })
    for (const model of [two, three]) {
      const { text } = await generateText({ model: meterModel(model, { prices, session }), prompt })
      expect(text).toBe('done')
    }
    expect(await left()).toBe('940')
  })
})

describe('what was set aside', () => {
  const heldBy = async (options: object, params: object = {}) => {
    await meterModel(model(), { prices, session, ...options }).doGenerate({ ...asking, ...params })
    return (await entries('intent')).at(-1)?.held?.[0]?.amount
  }

  it('is the size of the prompt, and the longest answer where the call says so', async () => {
    // `role user content type text text hi`: 31 bytes.
    const bare = Number(await heldBy({}))
    expect(bare).toBe(10)
    expect(Number(await heldBy({}, { maxOutputTokens: 7 }))).toBe(bare + 70)
    expect(Number(await heldBy({}, { maxOutputTokens: Number.NaN }))).toBe(bare)
    const tools = [{ type: 'function', name: 'pay', description: 'x'.repeat(300), inputSchema: {} }]
    expect(Number(await heldBy({}, { tools }))).toBeGreaterThan(bare + 100)
    const file = { type: 'file', mediaType: 'text/plain', data: { type: 'data', data: new Uint8Array(300) } }
    expect(Number(await heldBy({}, { prompt: [{ role: 'user', content: [file] }] }))).toBeGreaterThan(100)
  })

  it('is at least the smallest amount there is, unless the model costs nothing', async () => {
    expect(await heldBy({ reserve: usd(0) })).toBe('0.000001')
    const free = { '*': { input: 0, output: '0' } }
    const reader = await haldir.createSession({ agent: 'a', scopes: ['read'] })
    await meterModel(model(), { prices: free, session: reader }).doGenerate(asking)
    expect((await entries('outcome')).at(-1)?.spent).toEqual([
      { unit: 'USD', amount: '0' },
      { unit: 'tokens', amount: '12' },
    ])
  })

  it('is what `reserve` makes of the call', async () => {
    const reserve = ({ maxOutputTokens = 0 }) => [usd(maxOutputTokens), usd(1)]
    expect(await heldBy({ reserve }, { maxOutputTokens: 5 })).toBe('6')
  })

  it('comes to nothing when `reserve` fails: the provider is not called', async () => {
    for (const reserve of [() => undefined, () => 5, () => Promise.resolve(usd(1)), () => [usd(1), null]]) {
      const mock = model()
      const metered = meterModel(mock, { prices, session, reserve: reserve as never })
      await expect(metered.doGenerate(asking)).rejects.toMatchObject({ code: 'invalid-amount', path: 'reserve' })
      expect(mock.doGenerateCalls).toEqual([])
    }
  })
})
