/** Every verb of a store passes through its health, with what it was given, and what it answered. */
import { describe, expect, it } from 'vitest'
import { ConfigError } from './errors.ts'
import { Faults } from './faults.ts'
import { type MindedStore, mindedStore, StoreHealth } from './store-health.ts'
import { memoryStore } from './stores/memory.ts'
import type { Store } from './stores/store.ts'

type Verbs = Record<string, (...args: unknown[]) => unknown>

const real = memoryStore() as unknown as Record<string, unknown>
const PARTS = Object.entries(real).flatMap(([name, found]) =>
  typeof found === 'function' ? name : Object.keys(found as object).map((verb) => `${name}.${verb}`),
)
const VERBS = PARTS.filter((part) => part !== 'watch' && part !== 'close')

/** A store whose one verb does as it is told. */
function scene(part: string, verb: (...args: unknown[]) => unknown) {
  const [group, name] = part.includes('.') ? (part.split('.') as [string, string]) : [undefined, part]
  const store = group === undefined ? { ...real, [name]: verb } : { ...real, [group]: { [name]: verb } }
  const faults = new Faults()
  const minded = mindedStore(store as unknown as Store, new StoreHealth(faults), async () => {})
  const verbs = (group === undefined ? minded : minded[group as keyof MindedStore]) as unknown as Verbs
  return { health: minded.health, faults, ask: async (...args: unknown[]) => verbs[name]?.(...args) }
}

describe.each(VERBS)('%s', (part) => {
  it('gets what it was asked with, and is answered for as it answers', async () => {
    const ways: ((...args: unknown[]) => unknown)[] = [
      () => Promise.reject(new Error('away')),
      async (...args) => args,
      () => {
        throw new Error('away')
      },
      (...args) => args,
    ]
    const { health, faults, ask } = scene(part, (...args) => ways.shift()?.(...args))
    // Verbs of no group are written out with what they take.
    const args = [{}, 'b', 3, []].slice(0, part.includes('.') ? 4 : part === 'renew' ? 2 : 1)
    for (let turn = 0; turn < 2; turn++) {
      await expect(ask()).rejects.toThrow('away')
      expect(health.ok).toBe(false)
      expect(await ask(...args)).toEqual(args)
      expect(health.ok).toBe(true)
    }
    expect(faults.list().map((fault) => [fault.part, fault.count])).toEqual([[`store.${part}`, 2]])
  })
})

it('what the developer wrote wrongly says nothing of the store, good or bad', async () => {
  const errors: Error[] = [
    new ConfigError('invalid-option', 'x', 'x'),
    new Error('away'),
    new ConfigError('invalid-option', 'x', 'x'),
  ]
  const { health, faults, ask } = scene('expire', () => {
    throw errors.shift()
  })
  const seen: boolean[] = []
  while (errors.length > 0) {
    await expect(ask()).rejects.toThrow()
    seen.push(health.ok)
  }
  expect(seen).toEqual([true, false, false])
  expect(faults.list()).toHaveLength(1)
})
