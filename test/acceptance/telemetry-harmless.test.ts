/** Telemetry gives nothing away, and takes nothing down. */
import { inspect } from 'node:util'
import { createHaldir, currentCall, envKey, governed, type Haldir, usd } from '@haldir/core'
import { governTool } from '@haldir/core/adapter'
import { memorySink } from '@haldir/core/sinks/memory'
import { type CallTelemetry, openTelemetry, type Telemetry } from '@haldir/core/telemetry'
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { entriesOf, proves } from '../promises.ts'
import { caughtBy, pendingOf } from './approval-scene.ts'
import { denial, told, turns } from './scene.ts'
import { type Seen, seen } from './telemetry-scene.ts'

const CANARY = 'HLDR-CANARY-"7xyq\n9c/ü+'
const KEY = envKey('KEY', { env: { KEY: Buffer.alloc(32, 7).toString('base64') } })

const open: Haldir[] = []
afterEach(async () => {
  for (const haldir of open.splice(0)) await Promise.race([haldir.close(), turns(50)])
})

describe('a secret', () => {
  let at: Seen
  let haldir: Haldir
  beforeEach(async () => {
    at = seen()
    haldir = createHaldir({
      sinks: [memorySink()],
      vault: { keys: [KEY] },
      telemetry: openTelemetry({ tracer: at.provider.getTracer('test'), meter: at.meters.getMeter('test') }),
      approvals: { mode: 'wait' },
      guards: [
        async ({ tool, args }) => {
          if (tool.name === 'guarded') return { verdict: 'deny', reason: `it holds ${JSON.stringify(args)} ${CANARY}` }
          return tool.name === 'asked' ? { verdict: 'ask', reason: `because of ${CANARY}` } : { verdict: 'allow' }
        },
      ],
    })
    open.push(haldir)
    await haldir.vault.put('api_key', CANARY, { scope: 'spend' })
  })

  /** What no span and no metric may hold, in any encoding. */
  const TELLING = ['HLDR-CANARY', Buffer.from('HLDR-CANARY').toString('hex'), 'SExEUi1DQU5BUl', 'hMRFItQ0FOQVJZ']

  it('that a tool reveals, returns, throws, or that stands in its arguments is in no span and in no metric', async () => {
    proves('invariant-7', 'telemetry-tells')
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const forms = [
      CANARY,
      JSON.stringify(CANARY),
      ...(['hex', 'base64'] as const).map((as) => Buffer.from(CANARY).toString(as)),
    ]
    class Named extends Error {
      override readonly name: string
      constructor(name: string) {
        super(name)
        this.name = name
      }
    }
    const options = { scope: 'spend', cost: () => usd(1), secrets: ['api_key'] } as const
    const reveal = () => currentCall().secret('api_key').reveal()
    for (const form of forms) {
      const bodies: (() => unknown)[] = [
        () => ({ header: form }),
        () => Promise.reject(new Error(`401 for ${form}`, { cause: new Error(form) })),
        () => Promise.reject(new Named(form)),
        () => Promise.reject(new Named(`${Buffer.from(CANARY).toString('hex').slice(0, 60)}`)),
        () => Promise.reject(form),
      ]
      for (const body of bodies) {
        const run = async (_: object) => {
          reveal()
          return body()
        }
        await Promise.allSettled([governed(run, { name: 'pay', ...options }, { session })({ note: form })])
      }
      const items = async function* (_: object) {
        reveal()
        yield form
        throw new Error(form)
      }
      const stream = governed(items, { name: 'stream', ...options }, { session })
      const read = async () => {
        for await (const _ of stream({ note: form }));
      }
      await caughtBy(read())
      await denial(governed(async (_: object) => 1, { name: 'guarded', scope: [] }, { session })({ note: form }))
      const asking = caughtBy(
        governed(async (_: object) => 1, { name: 'asked', scope: [] }, { session })({ note: form }),
      )
      await haldir.approvals.decide((await pendingOf(haldir)).id, { approve: false, by: 'alice', reason: form })
      await asking
      const ref = { framework: 'test', name: 'ref', options, run: async () => void reveal() }
      await governTool(ref).execute({ args: {}, ref: form, session })
      await told(haldir.payments.authorize(session, { amount: usd(1_000), description: `for ${form}` }))
    }
    expect(at.spans().length).toBeGreaterThan(30)
    const points = await Promise.all(
      ['haldir.decisions', 'gen_ai.execute_tool.duration', 'haldir.spend', 'haldir.approval.wait'].map(at.points),
    )
    for (const metric of points) expect(metric.length).toBeGreaterThan(0)
    const written = [
      ...at.spans().map(({ name, attributes, events, links, status }) => ({ name, attributes, events, links, status })),
      points,
    ]
    const text = `${inspect(written, { depth: 12 })}${JSON.stringify(written)}`.toLowerCase()
    for (const part of TELLING) expect(text.includes(part.toLowerCase()), part).toBe(false)
    // Nor is the error's name, where that is no name at all.
    expect(text).not.toContain('7xyq')
  })
})

/** What a call does, whatever its telemetry does. */
async function story(telemetry: unknown) {
  const sink = memorySink()
  const haldir = createHaldir({ sinks: [sink], telemetry: telemetry as Telemetry })
  open.push(haldir)
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
  const where = { session }
  let runs = 0
  const pay = async ({ amount }: { amount: number }) => {
    runs++
    if (amount === 3) throw new RangeError('three')
    return `paid ${amount} in ${currentCall().tool}`
  }
  const items = async function* () {
    runs++
    yield 1
    yield currentCall().tool
  }
  const cost = ({ amount }: { amount: number }) => usd(amount)
  const charge = governed(pay, { name: 'charge', scope: 'spend', cost }, where)
  const list = governed(items, { name: 'list', scope: [] }, where)
  const failed = await caughtBy(charge({ amount: 3 }))
  const answers = [
    await charge({ amount: 2 }),
    await told(charge({ amount: 200 })),
    failed instanceof RangeError,
    await Array.fromAsync(list()),
    (await session.budget())[0]?.used.decimal,
  ]
  const held = await haldir.payments.authorize(session, { amount: usd(5), description: 'x' })
  await held.capture()
  await session.charge(usd(1), 'tokens')
  const { faults } = haldir.health()
  await haldir.close()
  const types = entriesOf(sink.lines).map(({ type, code }) => (code ? `${type} ${code}` : type))
  return { told: { answers, runs, types }, faults }
}

const { told: sound } = await story(undefined)

it('a result that is withheld for a secret says so on the span of what ran', async () => {
  const at = seen()
  const telemetry = openTelemetry({ tracer: at.provider.getTracer('test') })
  const haldir = createHaldir({ sinks: [memorySink()], vault: { keys: [KEY] }, telemetry })
  open.push(haldir)
  await haldir.vault.put('api_key', CANARY, { scope: 'spend' })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1'] })
  const run = async () => {
    currentCall().secret('api_key').reveal()
    return new (class Handle {})()
  }
  await denial(governed(run, { name: 'pay', scope: 'spend', cost: () => usd(1), secrets: ['api_key'] }, { session })())
  expect(at.tree()).toEqual(['execute_tool pay'])
  expect(at.named('execute_tool pay').attributes).toMatchObject({
    'haldir.decision.outcome': 'allow',
    'haldir.result.withheld': true,
  })
})

describe('telemetry that is broken', () => {
  const boom = () => {
    throw new Error('telemetry is down')
  }
  const whole: CallTelemetry = { stopped() {}, began() {}, inside: (work) => work(), ended() {} }
  const parts: Telemetry = { call: () => whole, spent() {}, approvalEnded() {}, watch: () => () => {} }
  const twice = (work: () => void) => {
    work()
    work()
  }
  const thenBoom = (work: () => void) => {
    work()
    boom()
  }
  const later = (work: () => void) => void setImmediate(work)
  const CASES: readonly (readonly [string, unknown, faults?: boolean])[] = [
    ['sound, for comparison', parts, false],
    ['throws when a call comes', { ...parts, call: boom }],
    ['answers nothing when a call comes', { ...parts, call: () => undefined }, false],
    ['answers nonsense when a call comes', { ...parts, call: () => ({}) }],
    ['throws at every step', { ...parts, call: () => ({ stopped: boom, began: boom, inside: boom, ended: boom }) }],
    ['does not do the work', { ...parts, call: () => ({ ...whole, inside() {} }) }, false],
    ['does the work twice', { ...parts, call: () => ({ ...whole, inside: twice }) }, false],
    ['throws after the work', { ...parts, call: () => ({ ...whole, inside: thenBoom }) }],
    ['does the work later', { ...parts, call: () => ({ ...whole, inside: later }) }, false],
    ['rejects', { ...parts, call: () => ({ ...whole, began: async () => boom(), ended: async () => boom() }) }, false],
    [
      'hangs',
      { ...parts, call: () => ({ ...whole, ended: () => new Promise(() => {}) }), spent: () => new Promise(() => {}) },
      false,
    ],
    ['can not count', { ...parts, spent: boom, approvalEnded: boom }],
    ['can not watch', { ...parts, watch: boom }],
    ['can not stop watching', { ...parts, watch: () => boom }, false],
  ]

  it.each(CASES)('%s: the call goes as it would without', async (_, telemetry, faulty = true) => {
    proves('telemetry-harmless')
    const { told, faults } = await story(telemetry)
    expect(told).toEqual(sound)
    expect(faults.map(({ part }) => part)).toEqual(faulty ? ['telemetry'] : [])
  })

  it.each([
    ['a tracer that throws', { startSpan: boom, startActiveSpan: boom }],
    [
      'a tracer whose spans throw',
      { startSpan: () => ({ setAttribute: boom, setAttributes: boom, setStatus: boom, end: boom }) },
    ],
    ['a tracer that answers nothing', { startSpan: () => undefined }],
  ])('%s', async (_, tracer) => {
    const { told } = await story(openTelemetry({ tracer: tracer as never }))
    expect(told).toEqual(sound)
  })

  it('an exporter that never answers, or throws', async () => {
    for (const answer of [() => {}, boom]) {
      const exporter = { export: answer, shutdown: async () => {}, forceFlush: () => new Promise<void>(() => {}) }
      const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
      expect((await story(openTelemetry({ tracer: provider.getTracer('test') }))).told).toEqual(sound)
    }
  })

  it('a meter that throws leaves the spans', async () => {
    const at = seen()
    const broken = { createHistogram: boom, createObservableGauge: boom } as never
    const { told, faults } = await story(openTelemetry({ tracer: at.provider.getTracer('test'), meter: broken }))
    expect(told).toEqual(sound)
    expect(faults.map(({ part }) => part)).toEqual(['telemetry'])
    expect(at.tree().sort()).toEqual([
      'execute_tool charge',
      'execute_tool charge',
      'execute_tool list',
      'haldir.decision charge',
      'haldir.decision payments.authorize',
    ])
  })

  it('stops watching when its haldir closes', async () => {
    let watched = 0
    const watch = () => {
      watched++
      return () => void watched--
    }
    const haldir = createHaldir({ sinks: [memorySink()], telemetry: { ...parts, watch } })
    expect(watched).toBe(1)
    await haldir.close()
    expect(watched).toBe(0)
  })

  it('holds on to no haldir that nobody has closed', async () => {
    let read: (() => unknown) | undefined
    const watch = (_: string, given: () => unknown) => {
      read = given
      return () => {}
    }
    const trail = () => createHaldir({ sinks: [memorySink()], telemetry: { ...parts, watch } }).health().trail
    expect(trail()).toEqual(read?.())
    for (let tries = 0; tries < 50 && read?.() !== undefined; tries++) {
      await turns(2)
      globalThis.gc?.()
    }
    expect(read?.()).toBeUndefined()
  })

  it('is refused by name when it is none', () => {
    for (const telemetry of [{}, null, { ...parts, spent: 1 }]) {
      expect(() => createHaldir({ sinks: [memorySink()], telemetry: telemetry as never })).toThrow(
        expect.objectContaining({ code: 'invalid-option', path: 'telemetry' }),
      )
    }
  })
})
