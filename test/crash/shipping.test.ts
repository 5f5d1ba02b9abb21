/** Processes that ship their trail are killed, and the collector is not always there: every entry arrives, once. */
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { entrySchema } from '@haldir/core'
import { afterEach, describe, expect, it } from 'vitest'
import { Collector, Kept } from '../collectors/collector.ts'
import { proves } from '../promises.ts'
import { Program, pause, scratch } from './process.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** A port where nobody listens. */
async function freePort(): Promise<number> {
  const probe = await new Collector(() => ({ status: 200 })).listen()
  const { port } = probe
  await probe.close()
  return port
}

function ship(url: string, spool: string, calls: number): Program {
  const program = new Program('ship', { url, spool, calls })
  cleanup.push(() => program.kill())
  return program
}

/** What the programs have told of: each call that began has an intent there, each that was done an outcome. */
function expectArrived(programs: readonly Program[], kept: Kept): number {
  const entries = kept.all.map((line) => entrySchema.parse(JSON.parse(line)))
  const calls = (type: string) => new Set(entries.filter((one) => one.type === type).map(({ call }) => call))
  const [intents, outcomes] = [calls('intent'), calls('outcome')]
  let told = 0
  for (const line of programs.flatMap(({ lines }) => lines)) {
    const [word, call] = line.split(' ')
    if (word !== 'begun' && word !== 'done') continue
    told++
    expect((word === 'begun' ? intents : outcomes).has(call), line).toBe(true)
  }
  return told
}

/** Whole chains, from their first entry on, without a hole. */
function expectChains(kept: Kept): void {
  const heads = new Map<string, { seq: number; hash: string }>()
  for (const line of kept.all) {
    const { writer, seq, prev, hash } = entrySchema.parse(JSON.parse(line))
    const { seq: before, hash: head } = heads.get(writer) ?? { seq: -1, hash: '0'.repeat(64) }
    expect([writer, seq, prev]).toEqual([writer, before + 1, head])
    const bare = line.replace(`,"hash":"${hash}"`, '')
    expect(createHash('sha256').update(bare).digest('hex')).toBe(hash)
    heads.set(writer, { seq, hash })
  }
}

describe('a trail that is shipped', { timeout: 120_000 }, () => {
  it('arrives whole, each entry once, after its collector was down for all of the run and the processes were killed', async () => {
    proves('shipped-once')
    const folder = scratch()
    cleanup.push(folder.remove)
    const spool = folder.path('spool')
    const port = await freePort()
    const url = `http://127.0.0.1:${port}/in`
    const programs: Program[] = []
    for (let round = 0; round < 2; round++) {
      const two = [ship(url, spool, 1_000_000), ship(url, spool, 1_000_000)]
      programs.push(...two)
      await Promise.all(two.map((program) => program.said('done', 20)))
      await Promise.all(two.map((program) => program.kill()))
    }
    const kept = new Kept()
    const collector = await new Collector((received) => kept.add(received)).listen(port)
    cleanup.push(() => collector.close())
    const last = ship(url, spool, 5)
    await last.said('worked')
    last.tell('stop')
    expect(await last.ended).toBe(0)
    expect(last.lines.at(-1)).toBe('left 0')
    expect(expectArrived([...programs, last], kept)).toBeGreaterThan(160)
    expectChains(kept)
    expect(kept.doubled).toEqual([])
    expect(readdirSync(spool)).toEqual([])
  })

  it('arrives once, too, when processes are killed while they send, and answers get lost', async () => {
    proves('shipped-once')
    const folder = scratch()
    cleanup.push(folder.remove)
    const spool = folder.path('spool')
    const kept = new Kept()
    const collector = await new Collector((received) => kept.add(received)).listen()
    cleanup.push(() => collector.close())
    const programs: Program[] = []
    for (let round = 0; round < 4; round++) {
      const two = [ship(collector.url(), spool, 1_000_000), ship(collector.url(), spool, 1_000_000)]
      programs.push(...two)
      if (round % 2 === 0) collector.fail('lost', 'reset', 'lost', { status: 503 }, 'half')
      await Promise.all(
        two.map(async (program) => {
          await program.said('done', 5)
          await pause(Math.random() * 60)
          await program.kill()
        }),
      )
    }
    const last = ship(collector.url(), spool, 1)
    await last.said('worked')
    last.tell('stop')
    expect(await last.ended).toBe(0)
    const told = expectArrived([...programs, last], kept)
    console.info(`shipped: ${kept.all.length} entries of ${programs.length} killed processes, ${told} told of`)
    expectChains(kept)
    expect(kept.doubled).toEqual([])
    // Some requests did come twice, or nothing was shown.
    expect(collector.received.length).toBeGreaterThan(kept.requests.size)
    expect(readdirSync(spool)).toEqual([])
  })
})
