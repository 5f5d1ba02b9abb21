/** Telemetry of whole calls: what stands in spans and metrics, whatever becomes of a call. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createHaldir,
  governed,
  type Haldir,
  type HaldirOptions,
  type Policy,
  type Session,
  Suspended,
  type ToolOptions,
  usd,
} from '@haldir/core'
import { governTool } from '@haldir/core/adapter'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { openTelemetry } from '@haldir/core/telemetry'
import { fakeClock } from '@haldir/testing'
import { SpanStatusCode, trace } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { entriesOf } from '../promises.ts'
import { caughtBy, pendingOf } from './approval-scene.ts'
import { denial, told, turns } from './scene.ts'
import { type Seen, seen } from './telemetry-scene.ts'

let at: Seen
const open: Haldir[] = []
beforeEach(() => {
  at = seen()
})
afterEach(async () => {
  for (const haldir of open.splice(0)) await Promise.race([haldir.close(), turns(50)])
})

function house(options: HaldirOptions = {}) {
  const sink = memorySink()
  const telemetry = openTelemetry({ tracer: at.provider.getTracer('test'), meter: at.meters.getMeter('test') })
  const haldir = createHaldir({ sinks: [sink], telemetry, ...options })
  open.push(haldir)
  const entries = (type: string) => entriesOf(sink.lines).filter((entry) => entry.type === type)
  return { haldir, entries }
}

/** Something of the application's that has a span of its own. */
function spanned<T>(name: string, work: () => Promise<T>): Promise<T> {
  return at.provider.getTracer('app').startActiveSpan(name, async (span) => {
    try {
      return await work()
    } finally {
      span.end()
    }
  })
}

describe('a call that runs', () => {
  it('is a span under that of its caller and over those of its tool', async () => {
    const { haldir, entries } = house()
    const session = await haldir.createSession({ agent: 'order-bot', tenant: 'acme', scopes: ['spend:50'] })
    const pay = async ({ amount }: { amount: number }) => {
      await turns(2)
      await spanned('POST /charges', () => turns(2))
      return amount
    }
    const cost = ({ amount }: { amount: number }) => usd(amount)
    const charge = governed(pay, { name: 'charge', scope: 'spend', cost, actual: () => usd(3) }, { session })
    await spanned('agent', async () => {
      const active = trace.getActiveSpan()
      await charge({ amount: 5 })
      expect(trace.getActiveSpan()).toBe(active)
    })
    expect(at.tree()).toEqual(['agent', '  execute_tool charge', '    POST /charges'])
    expect(at.named('execute_tool charge').attributes).toEqual({
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'charge',
      'gen_ai.tool.type': 'function',
      'gen_ai.agent.name': 'order-bot',
      'haldir.decision.outcome': 'allow',
      'haldir.decision.rule': entries('intent')[0]?.rule,
      'haldir.call.id': entries('intent')[0]?.call,
      'haldir.session.id': session.id,
      'haldir.tenant': 'acme',
      'haldir.held': ['5 USD'],
      'haldir.spent': ['3 USD'],
    })
    const tool = { 'gen_ai.tool.name': 'charge' }
    expect(await at.points('haldir.decisions')).toEqual([{ ...tool, 'haldir.decision.outcome': 'allow', value: 1 }])
    expect(await at.points('haldir.spend')).toEqual([{ ...tool, 'haldir.unit': 'USD', value: 3 }])
    expect(await at.points('gen_ai.execute_tool.duration')).toHaveLength(1)
  })

  it('lasts as long as its tool, not as what follows, by the clock of the haldir', async () => {
    const clock = fakeClock()
    const memory = memoryStore({ clock })
    const settle: typeof memory.settle = async (request) => {
      await clock.advance(400)
      return memory.settle(request)
    }
    const { haldir } = house({ clock, store: { ...memory, settle } })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:1'] })
    const began = clock.now()
    const slow = governed(() => clock.advance(2_500), { name: 'slow', scope: 'spend', cost: () => usd(1) }, { session })
    await slow()
    expect(clock.now()).toBe(began + 2_900)
    const { startTime, endTime } = at.named('execute_tool slow')
    expect(startTime).toEqual([began / 1_000, 0])
    expect(endTime).toEqual([began / 1_000 + 2, 500_000_000])
    expect(await at.points('gen_ai.execute_tool.duration')).toMatchObject([{ value: { sum: 2.5 } }])
  })

  it('has the framework’s own id of it', async () => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const way = governTool({ framework: 'test', name: 'read', options: { scope: [] }, run: async () => 'ran' })
    await way.execute({ args: {}, ref: 'toolu_01', session })
    expect(at.named('execute_tool read').attributes['gen_ai.tool.call.id']).toBe('toolu_01')
  })

  it('may fail: then it is an error, of a class, without a word or an event', async () => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const fails = governed(async () => Promise.reject(new RangeError('no. 42')), { name: 'f', scope: [] }, { session })
    await expect(fails()).rejects.toThrow('no. 42')
    const { attributes, status, events } = at.named('execute_tool f')
    expect({ status, events, type: attributes['error.type'] }).toEqual({
      status: { code: SpanStatusCode.ERROR },
      events: [],
      type: 'RangeError',
    })
    expect(attributes['haldir.decision.outcome']).toBe('allow')
    expect(await at.points('gen_ai.execute_tool.duration')).toMatchObject([{ 'error.type': 'RangeError' }])
  })
})

describe('a call that answers with items', () => {
  const items = async function* () {
    for (const item of [1, 2, 3]) {
      await spanned(`make ${item}`, () => turns(1))
      yield item
    }
  }

  const generator = (session: Session) => governed(items, { name: 'list', scope: [] }, { session })()
  const promised = async (session: Session) => {
    const tool = { framework: 'test', name: 'list', options: { scope: [] }, run: async () => items() }
    const answer = await governTool(tool).executeOrStream({ args: {}, session })
    return (answer as { items: AsyncIterable<number> }).items
  }

  it.each([
    ['a generator', generator],
    ['what a promise stands for', promised],
  ])('%s: its span lasts until the last of them is out, and is the parent of what makes them', async (_, list) => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    await spanned('agent', async () => {
      for await (const item of await list(session)) {
        await spanned(`read ${item}`, () => turns(1))
        expect(at.spans().some(({ name }) => name === 'execute_tool list')).toBe(false)
      }
    })
    expect(at.tree()).toEqual([
      'agent',
      '  read 1',
      '  read 2',
      '  read 3',
      '  execute_tool list',
      '    make 1',
      '    make 2',
      '    make 3',
    ])
  })

  it('that nobody reads to the end has ended when its reader stops', async () => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const cleaning = async function* () {
      try {
        yield* items()
      } finally {
        await spanned('clean up', () => turns(1))
      }
    }
    const list = governed(cleaning, { name: 'list', scope: [] }, { session })
    for await (const item of list()) if (item === 2) break
    expect(at.tree()).toEqual(['execute_tool list', '  make 1', '  make 2', '  clean up'])
  })
})

describe('a call that does not run', () => {
  const policy: Policy = {
    default: 'allow',
    allowByDefault: true,
    rules: [{ id: 'no-wipe', tools: 'tool', when: { 'args.table': 'orders' }, then: 'deny' }],
  }
  type Case = readonly [code: string, scopes: readonly string[], object, args: object, rule: string | undefined]
  const CASES: readonly Case[] = [
    ['scope-missing', ['read'], { scope: 'admin' }, {}, 'scope:admin'],
    ['policy-denied', [], { scope: [] }, { table: 'orders' }, 'no-wipe'],
    ['budget-exceeded', ['spend:1'], { scope: 'spend', cost: () => usd(2) }, {}, 'budget:USD'],
    ['invalid-arguments', [], { scope: [] }, { made: new (class Odd {})() }, undefined],
    ['secret-unavailable', ['spend:1'], { scope: 'spend', cost: () => usd(1), secrets: ['key'] }, {}, 'secret:key'],
    ['unavailable', ['spend:1'], { scope: 'spend', cost: () => 'much' as never }, {}, undefined],
  ]

  it.each(CASES)('%s: a span of the decision and none of a run', async (code, scopes, options, args, rule) => {
    const { haldir } = house({ policy })
    const session = await haldir.createSession({ agent: 'bot', scopes })
    const named = { name: 'tool', ...options } as ToolOptions & { name: string }
    const tool = governed(async (_: object) => 'ran', named, { session })
    const refused = await spanned('agent', () => denial(tool(args)))
    expect(refused.code).toBe(code)
    expect(at.tree()).toEqual(['agent', '  haldir.decision tool'])
    const { attributes, status, events } = at.named('haldir.decision tool')
    expect(attributes).toMatchObject({
      'gen_ai.tool.name': 'tool',
      'haldir.decision.outcome': 'deny',
      'haldir.decision.code': code,
      'haldir.call.id': refused.callId,
    })
    if (rule) expect(attributes['haldir.decision.rule']).toBe(rule)
    expect(attributes['haldir.held']).toBeUndefined()
    expect(attributes['gen_ai.operation.name']).toBeUndefined()
    expect(status.code).toBe(code === 'unavailable' ? SpanStatusCode.ERROR : SpanStatusCode.UNSET)
    expect(events).toEqual([])
    expect(await at.points('haldir.decisions')).toEqual([
      { 'gen_ai.tool.name': 'tool', 'haldir.decision.outcome': 'deny', 'haldir.decision.code': code, value: 1 },
    ])
    expect(await at.points('gen_ai.execute_tool.duration')).toEqual([])
  })

  it('without a session: what is known of it', async () => {
    const { haldir } = house()
    const tool = governed(async () => 'ran', { name: 'tool', scope: [] }, { haldir })
    expect(await told(tool())).toBe('no-session')
    const { attributes } = at.named('haldir.decision tool')
    expect(attributes).toMatchObject({ 'haldir.decision.code': 'no-session' })
    expect(Object.keys(attributes)).not.toContain('haldir.session.id')
  })

  it('under a session of another haldir: that is not told', async () => {
    const [{ haldir }, other] = [house(), createHaldir({ sinks: [memorySink()] })]
    open.push(other)
    const session = await other.createSession({ agent: 'stranger', tenant: 'elsewhere', scopes: [] })
    const way = governTool(
      { framework: 'test', name: 'read', options: { scope: [] }, run: async () => 'ran' },
      { haldir },
    )
    await way.execute({ args: {}, session })
    const { attributes } = at.named('haldir.decision read')
    expect(attributes['haldir.decision.code']).toBe('no-session')
    for (const theirs of [session.id, 'stranger', 'elsewhere']) expect(Object.values(attributes)).not.toContain(theirs)
  })

  it('because its caller gave up: allowed, and aborted', async () => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const way = governTool({ framework: 'test', name: 'read', options: { scope: [] }, run: async () => 'ran' })
    await way.execute({ args: {}, session, signal: AbortSignal.abort() })
    expect(at.tree()).toEqual(['haldir.decision read'])
    const { attributes } = at.named('haldir.decision read')
    expect(attributes).toMatchObject({ 'haldir.decision.outcome': 'allow', 'haldir.aborted': true })
  })
})

describe('a call that a person decides on', () => {
  const policy: Policy = {
    default: 'allow',
    allowByDefault: true,
    rules: [{ id: 'big', tools: 'pay', then: 'ask', because: 'large payments' }],
  }

  async function scene(mode: 'wait' | 'suspend' | undefined) {
    const clock = fakeClock()
    const { haldir } = house({ clock, store: memoryStore({ clock }), policy, ...(mode && { approvals: { mode } }) })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:100'], ttl: '2d' })
    const pay = governed(async () => 'paid', { name: 'pay', scope: 'spend', cost: () => usd(50) }, { haldir, session })
    return { clock, haldir, pay }
  }
  const waits = () => at.points('haldir.approval.wait')

  it('and waits for: the wait is a span of the decision, before that of its run', async () => {
    const { clock, haldir, pay } = await scene('wait')
    const from = clock.now() / 1_000
    const calling = spanned('agent', () => pay())
    const { id } = await pendingOf(haldir)
    await clock.advance(45_000)
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    expect(await calling).toBe('paid')
    expect(at.tree()).toEqual(['agent', '  haldir.decision pay', '  execute_tool pay'])
    const decision = at.named('haldir.decision pay')
    expect([decision.startTime[0], decision.endTime[0]]).toEqual([from, from + 45])
    for (const { attributes } of [decision, at.named('execute_tool pay')]) {
      expect(attributes).toMatchObject({
        'haldir.decision.outcome': 'allow',
        'haldir.approval.id': id,
        'haldir.approval.by': ['alice'],
        'haldir.held': ['50 USD'],
      })
    }
    expect(await waits()).toMatchObject([{ 'haldir.approval.outcome': 'approved', value: { count: 1, sum: 45 } }])
    expect(await at.points('haldir.decisions')).toHaveLength(1)
  })

  it('and is denied', async () => {
    const { haldir, pay } = await scene('wait')
    const calling = denial(pay())
    const { id } = await pendingOf(haldir)
    await haldir.approvals.decide(id, { approve: false, by: 'alice', reason: 'a reason of hers' })
    expect((await calling).code).toBe('approval-denied')
    expect(at.tree()).toEqual(['haldir.decision pay'])
    const { attributes } = at.named('haldir.decision pay')
    expect(attributes).toMatchObject({
      'haldir.decision.outcome': 'deny',
      'haldir.decision.code': 'approval-denied',
      'haldir.decision.rule': 'big',
      'haldir.approval.id': id,
    })
    expect(JSON.stringify(attributes)).not.toContain('a reason of hers')
    expect(await waits()).toMatchObject([{ 'haldir.approval.outcome': 'denied' }])
  })

  it('in time, or not at all', async () => {
    const { clock, haldir, pay } = await scene('wait')
    const calling = caughtBy(pay())
    await pendingOf(haldir)
    for (let minute = 0; minute < 6; minute++) await clock.advance(60_000)
    expect(await calling).toMatchObject({ code: 'approval-expired' })
    expect(await waits()).toMatchObject([{ 'haldir.approval.outcome': 'expired', value: { count: 1 } }])
  })

  it('and is suspended for; what is resumed is a call of its own, with the same approval', async () => {
    const { haldir, pay } = await scene('suspend')
    const paused = await caughtBy(pay())
    expect(Suspended.isInstance(paused)).toBe(true)
    const id = (paused as Suspended).approvalId
    expect(at.tree()).toEqual(['haldir.decision pay'])
    expect(at.named('haldir.decision pay').attributes).toMatchObject({
      'haldir.decision.outcome': 'ask',
      'haldir.decision.code': 'approval-pending',
      'haldir.approval.id': id,
    })
    await caughtBy(pay())
    expect(at.spans().map(({ attributes }) => attributes['haldir.approval.id'])).toEqual([id, id])
    await haldir.approvals.decide(id, { approve: true, by: 'alice' })
    expect(await pay()).toBe('paid')
    expect(at.tree()).toEqual(['haldir.decision pay', 'haldir.decision pay', 'execute_tool pay'])
    expect(at.named('execute_tool pay').attributes['haldir.approval.id']).toBe(id)
    expect(await waits()).toMatchObject([{ 'haldir.approval.outcome': 'approved', value: { count: 1 } }])
  })

  it('and is resumed for after a no: its approval is named', async () => {
    const { haldir, pay } = await scene('suspend')
    const { approvalId: id } = (await caughtBy(pay())) as Suspended
    await haldir.approvals.decide(id, { approve: false, by: 'alice' })
    await haldir.approvals.resume(id).catch(() => {})
    expect(at.spans().at(-1)?.attributes).toMatchObject({
      'haldir.decision.code': 'approval-denied',
      'haldir.approval.id': id,
    })
  })

  it('when there is nobody to ask', async () => {
    const { pay } = await scene(undefined)
    expect((await denial(pay())).code).toBe('approval-unavailable')
    expect(at.named('haldir.decision pay').attributes['haldir.decision.outcome']).toBe('ask')
  })

  it('and its caller gives up meanwhile', async () => {
    const { haldir } = await scene('wait')
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const way = governTool({ framework: 'test', name: 'pay', options: { scope: [] }, run: async () => 'ran' })
    const stop = new AbortController()
    const calling = way.execute({ args: {}, session, signal: stop.signal })
    await pendingOf(haldir)
    stop.abort()
    await calling
    const { attributes } = at.named('haldir.decision pay')
    expect(attributes).toMatchObject({ 'haldir.decision.outcome': 'ask', 'haldir.aborted': true })
    expect(await waits()).toMatchObject([{ 'haldir.approval.outcome': 'withdrawn' }])
  })

  it('when a framework asks ahead: once, however often it looks', async () => {
    const { haldir } = await scene('suspend')
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const way = governTool({ framework: 'test', name: 'pay', options: { scope: [] }, run: async () => 'ran' })
    for (let look = 0; look < 3; look++) await way.askAhead({ args: {}, ref: 'call-1', session })
    expect(at.tree()).toEqual(['haldir.decision pay'])
    expect(at.named('haldir.decision pay').attributes).toMatchObject({
      'haldir.decision.outcome': 'ask',
      'haldir.approval.id': (await pendingOf(haldir)).id,
      'gen_ai.tool.call.id': 'call-1',
    })
  })
})

describe('shadow mode', () => {
  it('says what would have been decided of what runs', async () => {
    const { haldir } = house({ mode: 'shadow' })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const read = governed(async () => 'ran', { name: 'read', scope: 'read' }, { session })
    const wipe = governed(async () => 'ran', { name: 'wipe', scope: 'admin' }, { session })
    expect([await read(), await wipe()]).toEqual(['ran', 'ran'])
    expect(at.tree()).toEqual(['execute_tool read', 'execute_tool wipe'])
    expect(at.named('execute_tool read').attributes).toMatchObject({
      'haldir.decision.outcome': 'allow',
      'haldir.enforced': false,
    })
    expect(at.named('execute_tool wipe').attributes).toMatchObject({
      'haldir.decision.outcome': 'deny',
      'haldir.decision.code': 'scope-missing',
      'haldir.decision.rule': 'scope:admin',
      'haldir.enforced': false,
    })
    expect(await at.points('haldir.decisions')).toMatchObject([
      { 'haldir.decision.outcome': 'allow', 'haldir.enforced': false },
      { 'haldir.decision.code': 'scope-missing', 'haldir.enforced': false },
    ])
  })

  it('names nobody where there is no session', async () => {
    const { haldir } = house({ mode: 'shadow' })
    const standIn = await haldir.attach('no token')
    for (const where of [{ haldir }, { session: standIn }]) {
      expect(await governed(async () => 'ran', { name: 'read', scope: [] }, where)()).toBe('ran')
    }
    expect(at.tree()).toEqual(['execute_tool read', 'execute_tool read'])
    for (const { attributes } of at.spans()) {
      expect(attributes['haldir.decision.code']).toBe('no-session')
      expect(Object.keys(attributes)).not.toContain('haldir.session.id')
      expect(Object.keys(attributes)).not.toContain('gen_ai.agent.name')
    }
  })

  it('says of what is refused all the same that it was', async () => {
    const { haldir } = house({ mode: 'shadow' })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const tool = governed(async () => 'ran', { name: 'tool', scope: 'admin', secrets: ['key'] }, { session })
    expect(await told(tool())).toBe('secret-unavailable')
    const { attributes } = at.named('haldir.decision tool')
    expect(attributes).toMatchObject({ 'haldir.decision.code': 'secret-unavailable', 'haldir.enforced': true })
  })
})

describe('what is no tool call', () => {
  it('payments: the authorization is a decision, the capture is spending', async () => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    const held = await haldir.payments.authorize(session, { amount: usd(30), description: 'a chair' })
    await held.capture(usd(20))
    await denial(haldir.payments.authorize(session, { amount: usd(40), description: 'a table' }))
    const [allowed, denied, ...others] = at.spans()
    expect(others).toEqual([])
    expect(allowed).toMatchObject({ name: 'haldir.decision payments.authorize' })
    expect(allowed?.attributes).toMatchObject({
      'haldir.decision.outcome': 'allow',
      'haldir.held': ['30 USD'],
      'haldir.call.id': held.id,
    })
    expect(denied?.attributes).toMatchObject({ 'haldir.decision.code': 'budget-exceeded' })
    expect(JSON.stringify(at.spans().map(({ attributes }) => attributes))).not.toMatch(/chair|table/)
    expect(await at.points('haldir.spend')).toEqual([
      { 'gen_ai.tool.name': 'payments.authorize', 'haldir.unit': 'USD', value: 20 },
    ])
  })

  it('`session.charge` is spending', async () => {
    const { haldir } = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    await session.charge(usd('0.25'), 'tokens')
    expect(at.spans()).toEqual([])
    expect(await at.points('haldir.spend')).toMatchObject([{ 'gen_ai.tool.name': 'session.charge', value: 0.25 }])
  })

  it('`session.fetch` is a call as any other, and its URL is not told', async () => {
    const server = createServer((_, response) => response.end('fine'))
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    try {
      const { port } = server.address() as AddressInfo
      const { haldir } = house({ egress: { privateHosts: [`127.0.0.1:${port}`] } })
      const session = await haldir.createSession({ agent: 'bot', scopes: [] })
      expect(await (await session.fetch(`http://127.0.0.1:${port}/orders?key=42`)).text()).toBe('fine')
      expect(await told(session.fetch('http://127.0.0.1:1/'))).toBe('policy-denied')
      expect(at.tree()).toEqual(['execute_tool session.fetch', 'haldir.decision session.fetch'])
      expect(JSON.stringify(at.spans().map(({ attributes }) => attributes))).not.toMatch(/127\.0|orders/)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})

it('the trail is looked at when metrics are read', async () => {
  const lossy = { name: 'far', required: false, write: () => Promise.reject(new Error('down')) }
  const { haldir } = house({ name: 'shop', sinks: [memorySink(), lossy] })
  const session = await haldir.createSession({ agent: 'bot', scopes: [] })
  await governed(async () => 'ran', { name: 'read', scope: [] }, { session })()
  expect(await at.points('haldir.trail.waiting')).toEqual([{ 'haldir.name': 'shop', value: 0 }])
  const [dropped] = await at.points('haldir.trail.dropped')
  expect(dropped).toEqual({ 'haldir.name': 'shop', 'haldir.sink': 'far', value: haldir.health().trail.dropped.far })
})
