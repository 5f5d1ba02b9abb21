import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import type { Sink } from '../sinks/sink.ts'
import { Channel } from './channel.ts'

/** A sink whose writes end when the test says so. */
function slowSink() {
  const writes: { lines: string; accept(): void; refuse(): void }[] = []
  const accepted: string[] = []
  const sink: Sink = {
    name: 'slow',
    write: (lines) =>
      new Promise((resolve, reject) => {
        const accept = () => {
          accepted.push(lines)
          resolve(undefined)
        }
        writes.push({ lines, accept, refuse: () => reject(new Error('no')) })
      }),
  }
  return { sink, writes, accepted }
}

async function outcome(work: Promise<void> | undefined): Promise<string> {
  return (
    (await work?.then(
      () => 'accepted',
      () => 'refused',
    )) ?? 'accepted at once'
  )
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('Channel', () => {
  it('writes one batch at a time, in order: what comes during a write goes together', async () => {
    const { sink, writes, accepted } = slowSink()
    const channel = new Channel(sink, fakeClock(), 5_000)
    const answers = ['a\n', 'b\n', 'c\n'].map((line) => outcome(channel.accept(line)))
    expect(writes.map(({ lines }) => lines)).toEqual(['a\n'])
    writes[0]?.accept()
    await turn()
    expect(writes.map(({ lines }) => lines)).toEqual(['a\n', 'b\nc\n'])
    writes[1]?.accept()
    expect(await Promise.all(answers)).toEqual(['accepted', 'accepted', 'accepted'])
    expect(accepted.join('')).toBe('a\nb\nc\n')
    expect(channel.waiting).toBe(0)
  })

  it('keeps what was refused in front of what comes later', async () => {
    const { sink, writes, accepted } = slowSink()
    const channel = new Channel(sink, fakeClock(), 5_000)
    const first = outcome(channel.accept('a\n'))
    const second = outcome(channel.accept('b\n'))
    writes[0]?.refuse()
    expect(await first).toBe('refused')
    await turn()
    expect(writes[1]?.lines).toBe('a\nb\n')
    writes[1]?.accept()
    expect(await second).toBe('accepted')
    expect(accepted).toEqual(['a\nb\n'])
  })

  it('refuses everybody who waits when a write hangs, then at once, until the sink answers', async () => {
    const clock = fakeClock()
    const { sink, writes, accepted } = slowSink()
    const channel = new Channel(sink, clock, 5_000)
    const answers = ['a\n', 'b\n'].map((line) => outcome(channel.accept(line)))
    await clock.advance(4_999)
    await clock.advance(1)
    expect(await Promise.all(answers)).toEqual(['refused', 'refused'])
    expect(() => channel.accept('c\n')).toThrow('did not accept')

    // It had accepted after all: then only what came later is written, and nothing twice.
    writes[0]?.accept()
    await turn()
    const fourth = outcome(channel.accept('d\n'))
    writes[1]?.accept()
    expect(await fourth).toBe('accepted')
    expect(accepted.join('')).toBe('a\nb\nc\nd\n')
  })

  it('tries again for a sink that is not required, and drops the oldest beyond what it keeps', () => {
    let works = false
    const got: string[] = []
    const sink: Sink = {
      name: 'copy',
      required: false,
      write(lines) {
        if (!works) throw new Error('down')
        got.push(lines)
      },
    }
    const channel = new Channel(sink, fakeClock(), 5_000)
    return channel.open('w').then(() => {
      for (let n = 0; n < 1_100; n++) channel.offer(`${n}\n`)
      works = true
      channel.offer('last\n')
      expect(channel.dropped).toBe(101)
      expect(got.join('').split('\n').slice(0, 2)).toEqual(['101', '102'])
      expect(got.join('').endsWith('1099\nlast\n')).toBe(true)
      expect(channel.waiting).toBe(0)
    })
  })
})
