/** A governed tool is the same tool, but for the gate. */
import { expect } from 'vitest'
import type { ToolBody } from './driver.ts'
import { bodyOf, type Cases, house } from './house.ts'

const VALUES = {
  object: { a: 1, list: [{ b: null }] },
  text: 'plain text',
  zero: 0,
  no: false,
  nothing: null,
  list: [],
}

export const transparent: Cases = {
  'the model reads what it reads from the bare tools': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const bodies = Object.entries(VALUES).map(([name, value]) => bodyOf(name, value))
    const calls = bodies.map(({ name }) => ({ tool: name, args: { of: name } }))
    const bare = await driver.loop(
      set(bodies, (body) => driver.build(body)),
      calls,
    )
    const tools = set(bodies, (body) =>
      driver.wrap(driver.build(body), { name: body.name, scope: 'read' }, { haldir: home.haldir }),
    )
    const governed = await session.run(() => driver.loop(tools, calls))
    expect(governed.answers).toEqual(bare.answers)
    expect(governed.told).toEqual(bare.told)
    expect([governed.turns, governed.text]).toEqual([2, 'done'])
    // The same arguments reached both.
    for (const { got } of bodies) expect(got[1]).toEqual(got[0])
  },

  'a result that holds no secret is the same object': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const value = { a: { b: 1 } }
    const tool = driver.wrap(driver.build(bodyOf('same', value)), { name: 'same', scope: 'read' }, { session })
    const answer = await driver.call(tool, {})
    expect(answer.value).toBe(value)
    expect(Object.isFrozen(value)).toBe(false)
  },

  'every member that is not replaced stays as it is, hidden ones and accessors too': async (driver) => {
    const original = driver.build(bodyOf('full', 1))
    const marker = Symbol('marker')
    let reads = 0
    Object.defineProperty(original, 'hidden', { value: { mark: true }, enumerable: false, writable: false })
    Object.defineProperty(original, 'live', { get: () => ++reads, enumerable: true, configurable: true })
    Object.defineProperty(original, marker, { value: 'symbol', enumerable: true })
    const tool = driver.wrap(original, { name: 'full', scope: 'read' })
    expect(reads).toBe(0)
    expect(Object.getPrototypeOf(tool)).toBe(Object.getPrototypeOf(original))
    const kept = (of: object) => Reflect.ownKeys(of).filter((key) => !driver.replaces.includes(key))
    expect(kept(tool).sort(byText)).toEqual(kept(original).sort(byText))
    for (const key of Reflect.ownKeys(original)) {
      if (driver.replaces.includes(key)) continue
      expect(Object.getOwnPropertyDescriptor(tool, key), String(key)).toEqual(
        Object.getOwnPropertyDescriptor(original, key),
      )
      if (key !== 'live') expect(Reflect.get(tool, key), String(key)).toBe(Reflect.get(original, key))
    }
    expect(typeof tool).toBe(typeof original)
  },

  'the original is left as it was, and still runs ungoverned': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const original = driver.build(bodyOf('left', 'bare'))
    const before = portrait(original)
    const tool = driver.wrap(original, { name: 'left', scope: 'read' }, { session })
    expect(tool).not.toBe(original)
    await driver.call(tool, {})
    const after = portrait(original)
    expect(after).toHaveLength(before.length)
    expect(after.every((part, index) => Object.is(part, before[index]))).toBe(true)
    const entries = (await home.entries()).length
    expect((await driver.call(original, {})).value).toBe('bare')
    expect(await home.entries()).toHaveLength(entries)
  },

  'a frozen tool can be governed': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const original = Object.freeze(driver.build(bodyOf('frozen', 'solid')))
    const tool = driver.wrap(original, { name: 'frozen', scope: 'read' }, { session })
    expect((await driver.call(tool, {})).value).toBe('solid')
    expect(await home.entries({ type: 'outcome' })).toHaveLength(1)
  },

  'an instance of a class runs on itself, with its private fields and its getters': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const original = driver.buildInstance()
    const tool = driver.wrap(original, { name: 'instance', scope: 'read' }, { haldir: home.haldir })
    expect(tool).toBeInstanceOf(original.constructor)
    expect((tool as { label?: unknown }).label).toBe('from the prototype')
    expect((await session.run(() => driver.call(tool, {}))).value).toEqual({ kept: 'private' })
    const bare = await driver.loop({ instance: original }, [{ tool: 'instance', args: {} }])
    const governed = await session.run(() => driver.loop({ instance: tool }, [{ tool: 'instance', args: {} }]))
    expect(governed.answers).toEqual(bare.answers)
    expect(governed.told).toEqual(bare.told)
  },

  "the tool's own error goes through, the same object": async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const boom = Object.assign(new RangeError('the tool said no', { cause: new Error('deeper') }), { status: 503 })
    const body = bodyOf('fails', () => Promise.reject(boom))
    const call = { tool: 'fails', args: {} }
    const bare = await driver.loop({ fails: driver.build(body) }, [call])
    const tool = driver.wrap(driver.build(body), { name: 'fails', scope: 'read' }, { haldir: home.haldir })
    const governed = await session.run(() => driver.loop({ fails: tool }, [call]))
    expect(governed.answers[0]?.error).toBe(boom)
    expect(governed.answers[0]?.read).toBe(bare.answers[0]?.read)
    const [outcome] = await home.entries({ type: 'outcome' })
    expect(outcome?.data).toMatchObject({ ended: 'failed', error: 'RangeError' })
  },

  'a tool is not governed twice': async (driver) => {
    const tool = driver.wrap(driver.build(bodyOf('once', 1)), { name: 'once', scope: 'read' })
    const refusal = expect.objectContaining({ name: 'ConfigError', code: 'wrapped-twice', path: 'again' })
    expect(() => driver.wrap(tool, { name: 'again', scope: 'read' })).toThrow(refusal)
    // Nor is a copy of it that somebody spread.
    const spread = Object.create(Object.getPrototypeOf(tool), Object.getOwnPropertyDescriptors(tool))
    if (typeof tool !== 'function') expect(() => driver.wrap(spread, { name: 'again', scope: 'read' })).toThrow(refusal)
  },

  'a tool that does not run here is refused when it is wrapped': async (driver) => {
    expect(() => driver.wrap(driver.buildElsewhere(), { name: 'elsewhere', scope: 'read' })).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'ungovernable', path: 'elsewhere' }),
    )
  },
}

function set<Tool>(bodies: readonly ToolBody[], make: (body: ToolBody) => Tool): Record<string, Tool> {
  return Object.fromEntries(bodies.map((body) => [body.name, make(body)]))
}

function byText(a: PropertyKey, b: PropertyKey): number {
  return String(a) < String(b) ? -1 : 1
}

/** Every own member of an object, and of what it holds, to the fourth level: flags and values, one after the other. */
function portrait(value: unknown, depth = 4): unknown[] {
  if (depth === 0 || (typeof value !== 'object' && typeof value !== 'function') || value === null) return [value]
  const members = Reflect.ownKeys(value).flatMap((key) => {
    const { get, set, value: member, ...flags } = Object.getOwnPropertyDescriptor(value, key) as PropertyDescriptor
    return [key, get, set, JSON.stringify(flags), ...portrait(member, depth - 1)]
  })
  return [value, Object.getPrototypeOf(value), Object.isExtensible(value), ...members]
}
