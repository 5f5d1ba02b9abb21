import { fakeClock, fakeIds } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { memorySink } from '../sinks/memory.ts'
import { memoryStore } from '../stores/memory.ts'
import { NOBODY } from './chain.ts'
import { Notary } from './checkpoints.ts'
import { leafOf, Tree, toBase64 } from './merkle.ts'
import { createKeys, parseCheckpoint, type Signer, signerOf, splitNote } from './note.ts'
import { WrittenTrail } from './trail.ts'

const signer = signerOf(createKeys('a', () => new Uint8Array(32).fill(7)).signingKey) as Signer

function scene(own: Signer = signer, every = 3) {
  const clock = fakeClock()
  const sink = memorySink()
  const faults: string[] = []
  const fault = (part: string) => faults.push(part)
  const notary = new Notary({ signer: own, every, intervalMs: 60_000, witnesses: [], clock, deadlineMs: 1_000, fault })
  const registry = memoryStore({ clock }).writer
  const trail = new WrittenTrail({
    haldir: 'h',
    ids: fakeIds('w'),
    sinks: [sink],
    registry,
    clock,
    deadlineMs: 1_000,
    notary,
  })
  const record = () => trail.record({ type: 'refusal', session: NOBODY })
  const entries = () => sink.lines.map((line) => JSON.parse(line))
  /** What each checkpoint says, checked against what stands before it. */
  const made = () =>
    entries()
      .filter(({ type }) => type === 'checkpoint')
      .map(({ seq, prev, data }) => {
        const checkpoint = parseCheckpoint(splitNote(data.note)?.text ?? '')
        const tree = new Tree()
        for (const { hash } of entries().slice(0, seq)) tree.append(leafOf(hash))
        expect(checkpoint).toMatchObject({ size: seq, head: prev, root: toBase64(tree.root()) })
        return seq as number
      })
  return { clock, trail, notary, faults, record, entries, made }
}

describe('the notary', () => {
  it('signs nothing that has grown while it was being signed', async () => {
    let again = 0
    const own = {
      ...signer,
      sign(message: Uint8Array) {
        if (again-- > 0) void record()
        return signer.sign(message)
      },
    }
    const { record, made, faults, notary, trail } = scene(own)
    await record()
    again = 1
    await record()
    await record()
    // It would have covered four entries, and stood in the place of the sixth.
    expect(made()).toEqual([1])
    expect(faults).toEqual(['signer'])
    expect(notary.health()).toMatchObject({ made: 1, failed: 1, failing: true })
    for (let n = 0; n < 3; n++) await record()
    expect(made().length).toBeGreaterThan(1)
    await trail.close()
  })

  it('does not sign by the clock before it is time, and no more after it was stopped', async () => {
    const { record, made, clock, trail } = scene(signer, 100)
    await record()
    await clock.advance(59_999)
    expect(made()).toEqual([1])
    await clock.advance(60_001)
    expect(made()).toHaveLength(3)
    await trail.close()
    const count = made().length
    await clock.advance(600_000)
    expect(made()).toHaveLength(count)
    expect(clock.timers).toBe(0)
  })
})
