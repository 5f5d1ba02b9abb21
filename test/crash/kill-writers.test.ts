/** Sixteen processes write into one folder, in small files, and are killed: over and over. */
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Acknowledged, compiled, expectWholeAfterNextStart } from './acknowledged.ts'
import { Program, pause, scratch } from './process.ts'
import type { RecordInput } from './programs/record.ts'
import { auditFiles } from './records.ts'

const WRITERS = 16
const ROUNDS = 7

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

describe(`kill -9, ${2 * ROUNDS * WRITERS} times`, { timeout: 480_000 }, () => {
  it.each([
    { mode: 'default', durable: false },
    { mode: 'durable', durable: true },
  ])('loses no acknowledged entry and leaves a trail that verifies: $mode', async ({ mode, durable }) => {
    proves('trail-survives', 'invariant-1', 'every-call-logged')
    const folder = scratch()
    cleanup.push(folder.remove)
    const audit = folder.path('audit')
    const input: RecordInput = { audit, sink: { durable, rotate: { size: '8KB' } }, lanes: 4, waits: true }
    const env = await compiled(folder)
    const acknowledged = new Acknowledged()
    for (let round = 0; round < ROUNDS; round++) {
      const writers = Array.from({ length: WRITERS }, () => new Program('record', input, { env }))
      cleanup.push(() => Promise.all(writers.map((writer) => writer.kill())))
      await Promise.all(writers.map((writer) => writer.said('waiting')))
      for (const writer of writers) writer.tell('go')
      await Promise.all(writers.map((writer) => killAtRandom(writer)))
      // Before anyone opens the folder again.
      for (const writer of writers) acknowledged.hear(writer.lines)
    }
    const entries = await expectWholeAfterNextStart(audit)
    acknowledged.expectIn(entries)
    const files = auditFiles(audit)
    const cut = entries.filter(({ type }) => type === 'recovery').length
    const totals = { kills: ROUNDS * WRITERS, files: files.length, entries: entries.length, cut }
    const { begun, done, refused } = acknowledged
    console.info(`${mode}: ${JSON.stringify({ ...totals, begun: begun.size, done: done.size, refused })}`)
    expect(refused).toBe(0)
    // Worth something only if many calls were cut off, and files often followed one another.
    expect(begun.size).toBeGreaterThan(200)
    expect(files.filter((name) => !name.endsWith('-1.jsonl')).length).toBeGreaterThan(10)
  })
})

/** Some die while they open their trail, most while they work. */
async function killAtRandom(writer: Program): Promise<void> {
  if (Math.random() < 0.2) await pause(Math.random() * 60)
  else {
    await writer.said('begun')
    await pause(Math.random() * 80)
  }
  expect(await writer.kill()).toBe('SIGKILL')
}
