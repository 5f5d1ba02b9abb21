import { fakeClock } from '@haldir/testing/clock'
import { afterEach, describe, expect, it } from 'vitest'
import {
  governTool,
  handleOf,
  leaveUngoverned,
  markWrapped,
  permitsOf,
  permittedOf,
  UNREADABLE,
  unknownTool,
} from './adapter.ts'
import { ConfigError } from './errors.ts'
import type { Session } from './gate/sessions.ts'
import { createHaldir, type Haldir } from './haldir.ts'
import type { HaldirOptions } from './haldir-options.ts'
import { usd } from './money.ts'
import { memorySink } from './sinks/memory.ts'
import type { Entry } from './watch/entry.ts'

const open: Haldir[] = []
afterEach(async () => {
  for (const haldir of open.splice(0)) await haldir.close()
})

function house(options: HaldirOptions = {}) {
  const haldir = createHaldir({ clock: fakeClock(), sinks: [memorySink()], ...options })
  open.push(haldir)
  return haldir
}

async function entriesOf(haldir: Haldir): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query()) found.push(entry)
  return found
}

const why = 'runs elsewhere'
const framework = 'test'

describe('unknownTool', () => {
  it.each<[called: unknown, named: string, reason: string]>([
    ['charge', 'charge', 'there is no tool `charge`'],
    ['server/tool:1', 'server/tool:1', 'there is no tool `server/tool:1`'],
    ['session.fetch', 'unknown', 'there is no tool of that name'],
    ['payments.authorize', 'unknown', 'there is no tool of that name'],
    ['', 'unknown', 'there is no tool of that name'],
    ['a b\n`c`', 'unknown', 'there is no tool of that name'],
    ['x'.repeat(129), 'unknown', 'there is no tool of that name'],
    ['cһarge', 'unknown', 'there is no tool of that name'],
    [undefined, 'unknown', 'there is no tool of that name'],
    [{ toString: () => 'charge' }, 'unknown', 'there is no tool of that name'],
  ])('refuses a call of %j, and records it', async (called, named, reason) => {
    const haldir = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const done = await unknownTool(framework, called).execute({ args: { a: 1 }, session, ref: 'ref' })
    expect(done).toMatchObject({ status: 'denied', denial: { code: 'invalid-arguments', rule: 'unknown-tool' } })
    expect((done as { denial: Error }).denial.message).toContain(`: ${reason}. `)
    const entry = (await entriesOf(haldir)).at(-1)
    expect(entry).toMatchObject({ type: 'refusal', tool: named, ref: 'ref', code: 'invalid-arguments' })
    // It is no tool, so it is not listed as one.
    expect(haldir.surface().tools).toEqual([])
  })

  it('has a session as every call does, and runs nothing in shadow mode either', async () => {
    const haldir = house()
    expect(await unknownTool(framework, 'x', { haldir }).execute({ args: {} })).toMatchObject({
      denial: { code: 'no-session' },
    })
    const shadow = house({ mode: 'shadow' })
    const session = await shadow.createSession({ agent: 'bot', scopes: [] })
    const done = await unknownTool(framework, 'x', { session }).execute({ args: {} })
    expect(done.status).toBe('failed')
    expect(ConfigError.isInstance((done as { error: unknown }).error)).toBe(true)
  })

  it('is refused whatever rules and scopes allow', async () => {
    const haldir = house({ policy: { version: '1', default: 'allow', allowByDefault: true, rules: [] } })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:*'] })
    expect(await unknownTool(framework, 'x').execute({ args: {}, session })).toMatchObject({ status: 'denied' })
  })
})

describe('a misfit that the framework has found', () => {
  const misfit = 'the arguments do not fit the tool: `amount` is missing'
  const handleFor = (session: Session, ran: unknown[]) => {
    const options = { scope: 'spend', cost: usd(2) }
    return governTool({ framework, name: 'pay', options, run: (args) => ran.push(args) }, { session })
  }

  it('refuses the call in its own words before anything is held, by every way', async () => {
    const haldir = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:5'] })
    const ran: unknown[] = []
    const handle = handleFor(session, ran)
    const request = { args: { note: 'readable' }, misfit }
    for (const way of ['execute', 'stream', 'executeOrStream', 'preempt'] as const) {
      const outcome = await handle[way](request)
      expect(outcome, way).toMatchObject({ status: 'denied', denial: { code: 'invalid-arguments' } })
      expect(String((outcome as { denial: unknown }).denial)).toContain(misfit)
    }
    expect(await handle.prepare(request)).toMatchObject({ verdict: 'deny', code: 'invalid-arguments', reason: misfit })
    const [line] = await session.budget()
    expect([ran, String(line?.left)]).toEqual([[], '5 USD'])
    const types = (await entriesOf(haldir)).filter(({ tool }) => tool === 'pay').map(({ type }) => type)
    expect(types).toEqual(['refusal', 'refusal', 'refusal', 'refusal'])
  })

  it('is recorded and let through in shadow mode, but for what could not be read', async () => {
    const haldir = house({ mode: 'shadow' })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:5'] })
    const ran: unknown[] = []
    const handle = handleFor(session, ran)
    expect(await handle.execute({ args: { note: 'readable' }, misfit })).toMatchObject({ status: 'ran' })
    expect(await handle.execute({ args: UNREADABLE, misfit })).toMatchObject({ status: 'denied' })
    expect(ran).toEqual([{ note: 'readable' }])
    expect(haldir.health().observed).toMatchObject({ 'invalid-arguments': 1 })
  })
})

describe('executeOrStream', () => {
  const handleFor = (run: () => unknown, session: Session) =>
    governTool({ framework, name: 'either', options: { scope: 'spend', cost: usd(2) }, run }, { session })
  const spent = async (session: Session) => {
    const [line] = await session.budget()
    return [String(line?.held), String(line?.used)]
  }

  it('answers a value where the tool does, and the call is over', async () => {
    const session = await house().createSession({ agent: 'bot', scopes: ['spend:5'] })
    expect(await handleFor(() => Promise.resolve('one'), session).executeOrStream({ args: {} })).toEqual({
      status: 'ran',
      value: 'one',
    })
    expect(await spent(session)).toEqual(['0 USD', '2 USD'])
  })

  it('answers items where the tool does, and the call is over after the last one', async () => {
    const haldir = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:5'] })
    const items = async function* () {
      yield 1
      yield 2
    }
    for (const run of [items, async () => items()]) {
      const before = await spent(session)
      const outcome = await handleFor(run, session).executeOrStream({ args: {} })
      if (!('items' in outcome)) throw new Error(`it ${outcome.status}`)
      expect((await spent(session))[0]).toBe('2 USD')
      const got: unknown[] = []
      for await (const item of outcome.items) got.push(item)
      expect(got).toEqual([1, 2])
      expect((await spent(session))[1]).not.toBe(before[1])
    }
    expect(await spent(session)).toEqual(['0 USD', '4 USD'])
    expect((await entriesOf(haldir)).filter(({ type }) => type === 'outcome')).toHaveLength(2)
  })

  it('counts what has run as run, though the session or the reader is gone before the first item', async () => {
    const ends: ((items: AsyncGenerator<unknown>) => Promise<unknown>)[] = [
      async (items) => (await items.next()).value,
      async (items) => (await items.return(undefined)).value,
    ]
    for (const end of ends) {
      const haldir = house()
      const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:5'] })
      let closed = 0
      const run = async () => {
        await session.revoke('meanwhile')
        const items = { next: async () => ({ done: false, value: 1 }), return: async () => ({ done: ++closed > 0 }) }
        return { [Symbol.asyncIterator]: () => items }
      }
      const outcome = await handleFor(run, session).executeOrStream({ args: {} })
      if (!('items' in outcome)) throw new Error(`it ${outcome.status}`)
      const value = await end(outcome.items as AsyncGenerator<unknown>)
      if (value !== undefined) await (outcome.items as AsyncGenerator<unknown>).return(undefined)
      expect(closed).toBe(1)
      const entry = (await entriesOf(haldir)).find(({ type }) => type === 'outcome')
      expect(entry).toMatchObject({ spent: [{ unit: 'USD', amount: '2' }], data: { ended: 'ok', stopped: true } })
    }
  })

  it('refuses, and tells of failures, as the others do', async () => {
    const session = await house().createSession({ agent: 'bot', scopes: ['spend:1'] })
    let ran = 0
    const poor = await handleFor(() => ++ran, session).executeOrStream({ args: {} })
    expect([poor.status, ran]).toEqual(['denied', 0])
    const rich = await house().createSession({ agent: 'bot', scopes: ['spend:9'] })
    const boom = new Error('boom')
    expect(await handleFor(() => Promise.reject(boom), rich).executeOrStream({ args: {} })).toEqual({
      status: 'failed',
      error: boom,
    })
    expect(await spent(rich)).toEqual(['0 USD', '2 USD'])
  })
})

describe('leaveUngoverned', () => {
  const rule = { scope: 'web', ungovernable: 'allow' } as const
  const definition = { framework, name: 'search', rule, why }

  it('throws unless the developer has said that it is all right', () => {
    for (const ungovernable of [undefined, true, 'yes', 'deny', 'ALLOW', {}] as never[]) {
      expect(() => leaveUngoverned({}, { ...definition, rule: { ...rule, ungovernable } })).toThrow(
        expect.objectContaining({ code: 'ungovernable', path: 'search', message: '`search` runs elsewhere' }),
      )
    }
    expect(() => leaveUngoverned({}, { ...definition, rule: { ...rule, scope: 'a b' } })).toThrow(ConfigError)
    expect(() => leaveUngoverned({}, { ...definition, name: 'session.fetch' })).toThrow(
      'of Haldir’s own'.replace('’', "'"),
    )
    expect(() => leaveUngoverned({}, definition, { haldir: {} as never })).toThrow(ConfigError)
  })

  it('lists the tool for as long as it exists, and with each haldir that it was left to', async () => {
    const [one, other] = [house(), house()]
    const tool = { type: 'provider' }
    expect(leaveUngoverned(tool, definition, { haldir: one })).toBe(tool)
    leaveUngoverned(tool, { ...definition, rule: { ...rule, scope: 'admin' } }, { haldir: other })
    await collected()
    for (const haldir of [one, other]) {
      expect(haldir.surface().tools.map(({ name }) => name)).toEqual(['search'])
    }
    const permits = permitsOf(tool)
    const sessions = [
      await one.createSession({ agent: 'bot', scopes: ['web'] }),
      await other.createSession({ agent: 'bot', scopes: ['web'] }),
      await other.createSession({ agent: 'bot', scopes: ['admin'] }),
      await house().createSession({ agent: 'bot', scopes: ['web', 'admin'] }),
      await house({ mode: 'shadow' }).createSession({ agent: 'bot', scopes: [] }),
    ]
    expect(sessions.map((session) => permits?.(session))).toEqual([true, false, true, false, true])
    expect(tool).toEqual({ type: 'provider' })
  })

  it('left to any haldir, it is permitted by the options it was left with last', async () => {
    const tool = {}
    leaveUngoverned(tool, definition)
    leaveUngoverned(tool, { ...definition, rule: { ...rule, scope: 'admin' } })
    const session = await house().createSession({ agent: 'bot', scopes: ['web'] })
    expect(permitsOf(tool)?.(session)).toBe(false)
  })
})

describe('permitsOf', () => {
  it('knows what was marked with a handle, or left alone, and nothing else', async () => {
    const handle = governTool({ framework, name: 'look', options: { scope: 'read' }, run: () => 1 })
    const execute = () => 1
    markWrapped(execute, handle)
    const marked = () => 2
    markWrapped(marked)
    const haldir = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    expect(permitsOf({}, execute)?.(session)).toBe(true)
    expect(permitsOf(execute)?.(session)).toBe(true)
    for (const unknown of [{}, () => 1, marked, undefined, null, 'look', 7]) {
      expect(permitsOf(unknown as never)).toBeUndefined()
      expect(handleOf(unknown)).toBeUndefined()
    }
    await session.revoke('done')
    expect(permitsOf(execute)?.(session)).toBe(false)
  })

  it('in sets and in lists: what is permitted, in the same order, under the same keys', async () => {
    const haldir = house()
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
    const toolOf = (name: string, scope: string) => {
      const tool = { name }
      markWrapped(tool, governTool({ framework, name, options: { scope }, run: () => 1 }))
      return tool
    }
    const [b, a, no] = [toolOf('b', 'read'), toolOf('a', 'read'), toolOf('no', 'write')]
    const ways = (tool: object | null) => permitsOf(tool as object)
    expect(permittedOf([b, no, a, b], session, ways)).toEqual([b, a, b])
    const set = permittedOf({ x: b, no, __proto__: a, constructor: a }, session, ways)
    expect(Object.entries(set)).toEqual([
      ['x', b],
      ['constructor', a],
    ])
    expect(permittedOf([], session, ways)).toEqual([])
    expect(() => permittedOf([b, null], session, ways)).toThrow(
      expect.objectContaining({ code: 'ungovernable', path: '1', message: '`1` is not governed' }),
    )
    expect(() => permittedOf({ b, bare: {} }, session, ways)).toThrow(expect.objectContaining({ path: 'bare' }))
    for (const nothing of [null, undefined, 'tools']) {
      expect(() => permittedOf(nothing as never, session, ways)).toThrow(expect.objectContaining({ path: 'tools' }))
    }
    for (const no of [undefined, null, session.id, { ...session }]) {
      expect(() => permittedOf([b], no as never, ways)).toThrow(expect.objectContaining({ path: 'session' }))
    }
  })
})

it('tools that are wrapped for each request leave no trace', async () => {
  const { tools } = (globalThis as unknown as Record<symbol, { tools: Set<unknown> }>)[Symbol.for('haldir.shared.v1')]!
  let most = 0
  for (let round = 0; round < 20; round++) {
    for (let request = 0; request < 500; request++) {
      governTool({ framework, name: 'gone', options: { scope: [] }, run: () => 1 })
    }
    await collected()
    most = Math.max(most, tools.size)
  }
  expect(most).toBeLessThan(5_000)
})

async function collected(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  ;(globalThis as { gc?: () => void }).gc?.()
  await new Promise((resolve) => setImmediate(resolve))
}
