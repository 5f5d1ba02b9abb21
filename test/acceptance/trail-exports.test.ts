import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkExport, exportTrail, openTrail } from '@haldir/core/verify'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { usd } from '../../packages/core/src/money.ts'
import { Chain, callFragment, sessionFragment, toolFragment } from '../../packages/core/src/watch/chain.ts'
import { proves } from '../promises.ts'

const ENTRIES = 100_000
const WRITERS = 4

let folder: string
let lines: string[][]
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-large-'))
  const session = sessionFragment({ tenant: 'acme', agent: 'desk', id: 's', chain: [] })
  const tool = toolFragment({ name: 'pay', hash: 'e'.repeat(64) })
  lines = Array.from({ length: WRITERS }, (_, writer) => {
    const chain = new Chain(`w${writer}`, 'haldir')
    return Array.from({ length: ENTRIES / WRITERS }, (_, n) => {
      const call = callFragment({ id: `${writer}-${n >> 1}`, digest: 'd'.repeat(64) }, tool, 'acme.1')
      const amounts = [usd('0.01')]
      const what =
        n % 2 === 0 ? { type: 'intent' as const, held: amounts } : { type: 'outcome' as const, spent: amounts }
      return chain.append({ session, call, ...what }, Date.UTC(2026, 0, 1) + n * 1_000 + writer)
    })
  })
  for (const [writer, all] of lines.entries()) {
    // In two segments, the way files rotate.
    const half = all.length / 2
    writeFileSync(join(folder, `audit-w${writer}-1.jsonl`), all.slice(0, half).join(''))
    writeFileSync(join(folder, `audit-w${writer}-2.jsonl`), all.slice(half).join(''))
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What is alive while something works: looked at now and then, after everything that can go has gone. */
function watched() {
  const gc = globalThis.gc as () => void
  const alive = () => {
    gc()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return (heapUsed + arrayBuffers) / 1e6
  }
  const before = alive()
  let [most, looks, told] = [0, 0, 0]
  return {
    look: () => {
      if (told++ % 100 !== 0) return
      looks++
      most = Math.max(most, alive() - before)
    },
    most: () => ({ most, looks }),
  }
}

describe('a trail of 100,000 entries in eight files', () => {
  it.each(['jsonl', 'csv'] as const)('is exported as %s in little memory', async (format) => {
    proves('trail-export')
    const to = join(folder, `all.${format}`)
    const { look, most } = watched()
    const { entries, bytes, writers } = await exportTrail(folder, { to, format, progress: look })
    expect([entries, writers.length]).toEqual([ENTRIES, WRITERS])
    expect(bytes).toBeGreaterThan(30_000_000)
    expect(most().looks).toBeGreaterThan(4)
    expect(most().most).toBeLessThan(16)
    expect(await checkExport(to)).toMatchObject({ ok: true, problems: [] })
    if (format === 'jsonl') {
      const text = readFileSync(to, 'utf8')
      const merged = Array.from({ length: ENTRIES }, (_, n) => lines[n % WRITERS]?.[Math.floor(n / WRITERS)])
      expect(text === merged.join('')).toBe(true)
    } else {
      const rows = parse(readFileSync(to).subarray(0, 1_000_000), { columns: true, relax_column_count: true }) as {
        id: string
      }[]
      expect(rows.slice(0, 3).map(({ id }) => id)).toEqual(['w0:0', 'w1:0', 'w2:0'])
    }
  })

  it('is read and added up in little memory', async () => {
    proves('trail-spend')
    const { look, most } = watched()
    const trail = openTrail(folder)
    let count = 0
    for await (const _ of trail.query()) if (++count % 100 === 0) look()
    expect(count).toBe(ENTRIES)
    expect(most().most).toBeLessThan(16)
    expect(await trail.spend()).toEqual([{ unit: 'USD', spent: '500', outcomes: ENTRIES / 2, open: '0', openCalls: 0 }])
  })
})
