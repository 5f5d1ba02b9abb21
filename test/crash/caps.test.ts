import { sqliteStore } from '@haldir/core/stores/sqlite'
import { expect, it } from 'vitest'
import { Program, scratch } from './process.ts'

const PROCESSES = 8

it.each([
  ['sessions', [{ count: 'sessions', per: 'tenant', limit: 37 }], 37],
  ['sessions of each of five agents', [{ count: 'sessions', per: 'agent', limit: 6 }], 30],
] as const)(
  'eight processes that make sessions at once make exactly as many %s as the cap allows',
  {
    timeout: 240_000,
  },
  async (_, caps, allowed) => {
    const folder = scratch()
    const path = folder.path('haldir.db')
    const input = (n: number) => ({ path, caps, name: `p${n}`, sessions: 25 })
    const programs = Array.from({ length: PROCESSES }, (_, n) => new Program('create', input(n)))
    try {
      await Promise.all(programs.map((program) => program.said('ready')))
      for (const program of programs) program.tell('go')
      expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual(Array(PROCESSES).fill(0))
      const made = programs.flatMap(({ lines }) => JSON.parse(lines.at(-1) as string) as string[])
      expect(made).toHaveLength(allowed)
      // What they were told is what is there.
      const store = sqliteStore(path)
      for (const id of made) expect(await store.session.get({ id })).toMatchObject({ id })
      await store.close?.()
    } finally {
      await Promise.all(programs.map((program) => program.kill()))
      folder.remove()
    }
  },
)
