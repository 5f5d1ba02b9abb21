import { ConfigError, createHaldir, currentCall, Denied, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it, vi } from 'vitest'
import { proves } from '../promises.ts'

const house = (options: Parameters<typeof createHaldir>[0] = {}) => createHaldir({ sinks: [memorySink()], ...options })
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'ran',
    (error) => (Denied.isInstance(error) ? error.code : error),
  )

describe('which haldir and which session', () => {
  it('an explicit session, then the ambient one; two that differ are refused', async () => {
    await using haldir = house()
    const a = await haldir.createSession({ agent: 'a', scopes: ['read'] })
    const b = await haldir.createSession({ agent: 'b', scopes: ['read'] })
    const tool = async () => currentCall().session.agent
    const fixed = governed(tool, { name: 'who', scope: 'read' }, { session: a })
    const loose = governed(tool, { name: 'who', scope: 'read' })
    expect(await fixed()).toBe('a')
    expect(await b.run(() => loose())).toBe('b')
    expect(await a.run(() => fixed())).toBe('a')
    expect(await codeOf(b.run(() => fixed()))).toBe('no-session')
  })

  it('refuses a session of another haldir, and tells a haldir or session that is none at once', async () => {
    await using one = house()
    await using two = house()
    const session = await one.createSession({ agent: 'a', scopes: ['read'] })
    const tool = vi.fn(async () => {})
    expect(await codeOf(session.run(() => governed(tool, { name: 't', scope: 'read' }, { haldir: two })()))).toBe(
      'no-session',
    )
    expect(tool).not.toHaveBeenCalled()
    expect(() => governed(tool, { name: 't', scope: 'read' }, { session: 'ses-1' as never })).toThrow(ConfigError)
    expect(() => governed(tool, { name: 't', scope: 'read' }, { haldir: {} as never })).toThrow(ConfigError)
    expect(() => governed(tool, { name: 't', scope: 'read' }, { haldri: one } as never)).toThrow(/`haldir`/)
  })

  it('records a call without a session in the only haldir there is, and refuses it in any case', async () => {
    const tool = governed(async () => {}, { name: 't', scope: [] })
    expect(await codeOf(tool())).toBe('no-session')
    const sink = memorySink()
    const only = createHaldir({ sinks: [sink] })
    expect(await codeOf(tool())).toBe('no-session')
    expect(sink.lines.at(-1)).toContain('"refusal"')
    const other = house()
    const before = sink.lines.length
    expect(await codeOf(tool())).toBe('no-session')
    expect(sink.lines.length).toBe(before)
    await only.close()
    await other.close()
  })
})

describe('wrapping', () => {
  const tool = async () => {}
  it.each([
    ['name', { scope: 'read' }],
    ['name', { name: 'no blanks', scope: 'read' }],
    ['name', { name: 'ünïcode', scope: 'read' }],
    ['name', { name: 'a'.repeat(129), scope: 'read' }],
    ['scope', { name: 't' }],
    ['scope', { name: 't', scope: 'a b' }],
    ['scope', { name: 't', scope: '*' }],
    ['scope', { name: 't', scope: 'spend:50', cost: usd(1) }],
    ['cost', { name: 't', scope: 'spend' }],
    ['cost', { name: 't', scope: 'spend', cost: 5 }],
    ['actual', { name: 't', scope: 'read', actual: usd(1) }],
    ['secrets', { name: 't', scope: 'read', secrets: 'key' }],
    ['onFailure', { name: 't', scope: 'read', onFailure: 'ignore' }],
    ['unscanned', { name: 't', scope: 'read', unscanned: true }],
    ['scpoe', { name: 't', scpoe: 'read' }],
  ])('refuses a bad `%s`, naming it', (path, options) => {
    try {
      governed(tool, options as never)
      expect.fail('it was wrapped')
    } catch (error) {
      expect(ConfigError.isInstance(error) && error.path.startsWith(path)).toBe(true)
    }
  })

  it.each([
    ['store', { store: {} }],
    ['store', { store: { ...memoryStore(), approval: undefined } }],
    ['store', { store: { ...memoryStore(), approval: { ...memoryStore().approval, later: undefined } } }],
    ['sinks', { sinks: [] }],
    ['sinks', { sinks: [memorySink({ required: false })] }],
    ['sinks.0', { sinks: [{}] }],
    ['vault.keys', { vault: { keys: [] } }],
    ['vault.keys.0', { vault: { keys: ['secret'] } }],
    ['keys', { vault: {} }],
    ['mode', { mode: 'dry-run' }],
    ['deadline', { deadline: 'soon' }],
    ['clock.now', { clock: {} }],
    ['polcy', { polcy: {} }],
  ])('createHaldir refuses a bad `%s`', (path, options) => {
    try {
      createHaldir(options as never)
      expect.fail('it was made')
    } catch (error) {
      expect(ConfigError.isInstance(error)).toBe(true)
      expect((error as ConfigError).path === path || (error as ConfigError).path === 'vault.keys').toBe(true)
    }
  })
})

describe('leases', () => {
  it('are renewed while a call runs, however long, and orphan what died', async () => {
    proves('invariant-4')
    const clock = fakeClock()
    const store = memoryStore({ clock })
    const haldir = house({ clock, store, holdFor: '1m' })
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:50'], ttl: '1d' })
    let finish = () => {}
    const long = governed(
      () =>
        new Promise<void>((resolve) => {
          finish = resolve
        }),
      {
        name: 'long',
        scope: 'spend',
        cost: () => usd(10),
        actual: () => usd(1),
      },
    )
    const running = session.run(() => long())
    await clock.advance(600_000)
    expect(await haldir.sweep()).toEqual({ released: [], orphaned: [] })
    expect(`${(await session.budget())[0]?.held}`).toBe('10 USD')
    finish()
    await running
    expect(`${(await session.budget())[0]?.used}`).toBe('1 USD')

    // A call of a process that has died: nobody renews it.
    const charges = [
      {
        meter: { key: `default|session:${session.id}|USD|total|budget`, window: 'total' as const },
        micros: 20_000_000n,
      },
    ]
    await store.admit({ call: 'died', session: session.id, charges, leaseMs: 60_000 })
    await clock.advance(60_000)
    expect(await haldir.sweep()).toEqual({ released: [], orphaned: ['died'] })
    expect((await session.budget()).map(({ used, held }) => `${used}, ${held}`)).toEqual(['21 USD, 0 USD'])
    await haldir.close()
  })
})

describe('close', () => {
  it('waits for calls that run, takes no more, and is done once', async () => {
    const sink = memorySink()
    const haldir = createHaldir({ sinks: [sink] })
    const session = await haldir.createSession({ agent: 'a', scopes: ['read'] })
    let finish = () => {}
    const tool = governed(
      () =>
        new Promise<string>((resolve) => {
          finish = () => resolve('done')
        }),
      { name: 't', scope: 'read' },
    )
    const running = session.run(() => tool())
    await new Promise((resolve) => setImmediate(resolve))
    const closing = haldir.close()
    expect(await codeOf(session.run(() => tool()))).toBe('unavailable')
    finish()
    expect(await running).toBe('done')
    await closing
    await haldir.close()
    expect(sink.lines.at(-2)).toContain('"outcome"')
    expect(sink.lines.at(-1)).toContain('"writer-closed"')
    await expect(haldir.createSession({ agent: 'a', scopes: [] })).rejects.toMatchObject({ code: 'unavailable' })
    expect(haldir.health()).toMatchObject({ ok: false, open: false })
  })
})

it('a broken source of ids refuses', async () => {
  let broken = false
  let count = 0
  const haldir = house({ ids: () => (broken ? '"},{"' : `i${count++}`) })
  const session = await haldir.createSession({ agent: 'a', scopes: [] })
  const tool = vi.fn(async () => {})
  broken = true
  expect(await codeOf(session.run(() => governed(tool, { name: 't', scope: [] })()))).toBe('unavailable')
  expect(tool).not.toHaveBeenCalled()
  broken = false
  await haldir.close()
})
