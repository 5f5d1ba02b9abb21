/** A spool on a disk that is really full: entries are refused, and accepted again when the collector has made room. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { httpSink } from '@haldir/core/sinks/http'
import { afterEach, expect, it } from 'vitest'
import { Collector, Kept } from '../collectors/collector.ts'
import { Lines } from '../collectors/lines.ts'
import { scratch, skipped } from './process.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

it('a spool that has filled its disk takes entries again once what it holds is sent, each once', async (context) => {
  const folder = scratch()
  cleanup.push(folder.remove)
  const disk = folder.path('disk')
  mkdirSync(disk)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'haldir-test', disk])
  if (mounted.status !== 0) return skipped(context, `no file system can be mounted here: ${mounted.stderr}`)
  cleanup.push(() => spawnSync('umount', [disk]))
  const kept = new Kept()
  const collector = await new Collector((received) => kept.add(received)).listen()
  cleanup.push(() => collector.close())
  const sink = httpSink({
    url: collector.url(),
    privateHosts: [collector.host],
    spool: `${disk}/spool`,
    batch: { every: 5 },
    backoff: { first: 1, most: 20 },
    deadline: '10s',
  })
  cleanup.push(() => sink.close())
  sink.open?.('w1')
  const lines = new Lines()
  const accepted: string[] = []
  let line = lines.next()
  /** Until there is no room. */
  const fill = () => {
    for (let count = 0; count < 2_000; count++) {
      try {
        sink.write(line)
      } catch {
        return true
      }
      accepted.push(line)
      line = lines.next()
    }
    return false
  }
  for (let round = 1; round <= 4; round++) {
    collector.outage = { status: 503 }
    const before = accepted.length
    if (round === 1) writeFileSync(`${disk}/ballast`, Buffer.alloc(65_536))
    expect(fill(), `round ${round}`).toBe(true)
    // Somebody else makes room: what was left of a line must not stand in front of the next.
    rmSync(`${disk}/ballast`, { force: true })
    expect(fill(), `round ${round}`).toBe(true)
    expect(accepted.length - before, `round ${round}`).toBeGreaterThan(200)
    collector.outage = undefined
    await sink.flush()
  }
  expect(kept.all.map((text) => `${text}\n`)).toEqual(accepted)
  expect(kept.doubled).toEqual([])
  expect(sink.counts).toMatchObject({ dropped: 0, queued: 0 })
})
