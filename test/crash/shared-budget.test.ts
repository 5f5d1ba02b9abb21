import { createHaldir } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { verifyFiles } from '@haldir/core/verify'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { engineFor, POSTGRES, REDIS, type RunningEngine, SQLITE } from '../servers/engines.ts'
import { Program, scratch } from './process.ts'
import { openStore } from './programs/store.ts'
import { callsWith, recorded } from './records.ts'

const PROCESSES = 8
const CALLS = 500

interface Told {
  readonly ran: number
  readonly allowed: number
  readonly refused: Readonly<Record<string, number>>
}

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** Eight processes charge $1 five hundred times each, on one session with this budget. */
async function race(engine: RunningEngine, limit: number) {
  const folder = scratch()
  cleanup.push(folder.remove)
  const place = engine.place()
  const haldir = createHaldir({ store: await openStore(place), sinks: [memorySink()] })
  cleanup.push(() => haldir.close())
  const session = await haldir.createSession({ agent: 'fleet', scopes: [`spend:${limit}`] })
  const input = {
    store: place,
    audit: folder.path('audit'),
    token: session.token,
    calls: CALLS,
    fresh: engine.place(),
  }
  const programs = Array.from({ length: PROCESSES }, () => new Program('charge', input))
  cleanup.push(() => Promise.all(programs.map((program) => program.kill())))
  await Promise.all(programs.map((program) => program.said('ready')))
  for (const program of programs) program.tell('go')
  expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual(Array(PROCESSES).fill(0))

  const told = programs.map(({ lines }) => JSON.parse(lines.at(-1) as string) as Told)
  const total = (count: (one: Told) => number) => told.reduce((sum, one) => sum + count(one), 0)
  const codes = new Set(told.flatMap(({ refused }) => Object.keys(refused)))
  const [line] = await session.budget()
  return {
    ran: total(({ ran }) => ran),
    allowed: total(({ allowed }) => allowed),
    refused: total(({ refused }) => refused['budget-exceeded'] ?? 0),
    codes: [...codes],
    budget: [line?.used.toString(), line?.held.toString()],
    audit: folder.path('audit'),
  }
}

describe.each([SQLITE, REDIS, POSTGRES])('eight processes on one budget in $name', { timeout: 240_000 }, (own) => {
  const { unable } = own
  const engine = engineFor(own)

  it.skipIf(unable)('spend exactly the limit, when they want four times as much', async () => {
    proves('invariant-3', 'per-session-budget')
    const { ran, allowed, refused, codes, budget, audit } = await race(engine(), 1_000)
    expect({ ran, allowed, refused, codes, budget }).toEqual({
      ran: 1_000,
      allowed: 1_000,
      refused: 3_000,
      codes: ['budget-exceeded'],
      budget: ['1000 USD', '0 USD'],
    })
    const entries = recorded(audit)
    const counts = ['intent', 'outcome', 'refusal'].map((type) => callsWith(entries, type).size)
    expect(counts).toEqual([1_000, 1_000, 3_000])
    const verified = await verifyFiles(audit)
    expect(verified).toMatchObject({ ok: true, problems: [], orphans: [] })
    expect(verified.writers.map(({ closed }) => closed)).toEqual(Array(PROCESSES).fill(true))
  })

  // On one engine: the contract holds the others to the same.
  if (own !== SQLITE) return
  it('all succeed, when everything fits', async () => {
    const { ran, allowed, refused, codes, budget } = await race(engine(), 4_000)
    expect({ ran, allowed, refused, codes, budget }).toEqual({
      ran: 4_000,
      allowed: 4_000,
      refused: 0,
      codes: [],
      budget: ['4000 USD', '0 USD'],
    })
  })
})
