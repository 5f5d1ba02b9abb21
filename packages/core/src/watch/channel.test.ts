import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../clock.ts'
import { Unavailable } from '../errors.ts'
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

/** A sink that does at once what the test says: accepts, declines by answering `false`, or throws. */
function hastySink(options: Partial<Sink> = {}) {
  const mood: { now: 'accepts' | 'declines' | 'throws' } = { now: 'accepts' }
  const got: string[] = []
  const write = (lines: string) => {
    if (mood.now === 'throws') throw new Error('disk full')
    if (mood.now === 'declines') return false
    got.push(lines)
    return undefined
  }
  return { mood, got, sink: { name: 'hasty', write, ...options } satisfies Sink }
}

const told = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return error as Error
  }
}

describe('what is written at once', () => {
  it.each(['declines', 'throws'] as const)('is refused when the sink %s, and waits in front of the next', (how) => {
    const { sink, mood, got } = hastySink()
    const channel = new Channel(sink, fakeClock(), 5_000)
    expect([channel.retry(), got]).toEqual([true, []])
    expect(channel.accept('a\n')).toBe(undefined)
    mood.now = how
    const error = told(() => channel.accept('b\n')) as Error
    expect(error).toBeInstanceOf(Unavailable)
    expect(error.message).toBe('the sink `hasty` did not accept an entry')
    expect((error.cause as Error | undefined)?.message).toBe(how === 'throws' ? 'disk full' : undefined)
    expect(channel.waiting).toBe(1)
    mood.now = 'accepts'
    expect(channel.accept('c\n')).toBe(undefined)
    expect(got).toEqual(['a\n', 'b\nc\n'])
    expect(channel.waiting).toBe(0)
  })

  it('is crowded once a thousand lines wait for a sink that is down, until it takes them', () => {
    const { sink, mood } = hastySink()
    const channel = new Channel(sink, fakeClock(), 5_000)
    mood.now = 'declines'
    for (let count = 0; count < 999; count++) told(() => channel.accept('a\n'))
    expect(channel.crowded).toBe(false)
    told(() => channel.accept('a\n'))
    expect(channel.crowded).toBe(true)
    expect(channel.retry()).toBe(false)
    mood.now = 'accepts'
    expect(channel.retry()).toBe(true)
    expect([channel.crowded, channel.waiting, channel.retry()]).toEqual([false, 0, true])
  })
})

describe('what is written later', () => {
  it('does not make a sink crowded that is only busy', async () => {
    const { sink, writes } = slowSink()
    const channel = new Channel(sink, fakeClock(), 5_000)
    const answers = Array.from({ length: 1_200 }, () => outcome(channel.accept('a\n')))
    expect([channel.waiting, channel.crowded]).toEqual([1_200, false])
    writes[0]?.refuse()
    expect(await answers[0]).toBe('refused')
    expect(channel.crowded).toBe(true)
    writes[1]?.accept()
    await Promise.all(answers)
    expect(channel.crowded).toBe(false)
  })

  it('is refused with the reason, also for those whose batch is refused at once after it', async () => {
    const { sink, writes } = slowSink()
    let hasty = false
    const write = (lines: string) => {
      if (hasty) throw new Error('disk full')
      return sink.write(lines)
    }
    const channel = new Channel({ ...sink, write }, fakeClock(), 5_000)
    const answers = ['a\n', 'b\n', 'c\n'].map((line) => channel.accept(line)?.then(undefined, (error) => error))
    hasty = true
    writes[0]?.refuse()
    const causes = (await Promise.all(answers)).map((error) => [error.message, error.cause?.message ?? error.cause])
    const message = 'the sink `slow` did not accept an entry'
    expect(causes).toEqual([
      [message, 'no'],
      [message, 'disk full'],
      [message, 'disk full'],
    ])
    expect(channel.waiting).toBe(3)
  })

  it('is declined by answering `false`; what came meanwhile may be taken at once', async () => {
    const got: string[] = []
    const answers: ((value: unknown) => void)[] = []
    let later = true
    const write = (lines: string) => {
      if (later) return new Promise((resolve) => answers.push(resolve))
      got.push(lines)
      return undefined
    }
    const channel = new Channel({ name: 'odd', write }, fakeClock(), 5_000)
    const first = outcome(channel.accept('a\n'))
    const second = outcome(channel.accept('b\n'))
    later = false
    answers[0]?.(false)
    expect(await Promise.all([first, second])).toEqual(['refused', 'accepted'])
    expect(got).toEqual(['a\nb\n'])
  })

  it('leaves no timer behind, and none that keeps the process alive for a sink that is not required', async () => {
    const released: boolean[] = []
    const fake = fakeClock()
    const clock: Clock = {
      ...fake,
      setTimeout: (callback, ms) => {
        const index = released.push(false) - 1
        const unref = () => {
          released[index] = true
        }
        return Object.assign(fake.setTimeout(callback, ms) as object, { unref })
      },
    }
    for (const required of [true, false]) {
      const { sink, writes } = slowSink()
      const channel = new Channel({ ...sink, required }, clock, 5_000)
      await channel.open('w')
      channel.offer('a\n')
      expect(fake.timers).toBe(1)
      writes[0]?.accept()
      await turn()
      expect(fake.timers).toBe(0)
    }
    expect(released).toEqual([false, true])
  })
})

describe('trying again', () => {
  it('never writes while a write is under way, nor while one hangs', async () => {
    const clock = fakeClock()
    const { sink, writes } = slowSink()
    const channel = new Channel(sink, clock, 5_000)
    const first = outcome(channel.accept('a\n'))
    expect(channel.retry()).toBe(false)
    await clock.advance(5_000)
    expect(await first).toBe('refused')
    expect([channel.retry(), writes.length, channel.waiting]).toEqual([false, 1, 1])
    for (let count = 1; count < 1_000; count++) told(() => channel.accept('b\n'))
    expect([channel.waiting, channel.crowded]).toEqual([1_000, true])
    await expect(channel.flush()).rejects.toBeInstanceOf(Unavailable)
    writes[0]?.accept()
    await turn()
    // The line on its way has arrived; the others wait for the next write.
    expect([writes.length, channel.waiting, channel.crowded]).toEqual([1, 999, false])
  })

  it('knows only later whether a slow sink has taken it', async () => {
    const { sink, writes } = slowSink()
    const channel = new Channel(sink, fakeClock(), 5_000)
    const first = outcome(channel.accept('a\n'))
    writes[0]?.refuse()
    expect(await first).toBe('refused')
    expect(channel.retry()).toBe(false)
    expect(writes[1]?.lines).toBe('a\n')
    writes[1]?.accept()
    await turn()
    expect([channel.waiting, channel.retry()]).toEqual([0, true])
  })
})

describe('opening', () => {
  it('asks the sink once, hands on what it recovered, and needs no `open`', async () => {
    const recovered = [{ writer: 'x', file: 'f', bytes: 1 }]
    const writers: string[] = []
    const open = (writer: string) => {
      writers.push(writer)
      return { recovered }
    }
    const channel = new Channel(hastySink({ open }).sink, fakeClock(), 5_000)
    expect(await channel.open('w')).toBe(recovered)
    expect(await channel.open('w')).toEqual([])
    expect(writers).toEqual(['w'])
    expect(await new Channel(hastySink().sink, fakeClock(), 5_000).open('w')).toEqual([])
  })

  it('is refused when the sink fails, or does not answer in time, and may be tried again', async () => {
    const clock = fakeClock()
    let how: 'throws' | 'hangs' | 'opens' = 'throws'
    const open = () => {
      if (how === 'throws') throw new Error('no such folder')
      return how === 'hangs' ? new Promise<undefined>(() => {}) : undefined
    }
    const channel = new Channel(hastySink({ open }).sink, clock, 5_000)
    const message = 'the sink `hasty` did not accept an entry'
    await expect(channel.open('w')).rejects.toMatchObject({ message, cause: { message: 'no such folder' } })
    how = 'hangs'
    const hung = expect(channel.open('w')).rejects.toMatchObject({
      cause: { message: '`hasty` did not answer in time' },
    })
    await clock.advance(5_000)
    await hung
    how = 'opens'
    expect(await channel.open('w')).toEqual([])
  })

  it('of a sink that is not required comes with its first line, and again with the next until it works', async () => {
    let works = false
    const writers: string[] = []
    const open = (writer: string) => {
      writers.push(writer)
      if (!works) throw new Error('no such folder')
      return undefined
    }
    const { sink, got } = hastySink({ required: false, open })
    const channel = new Channel(sink, fakeClock(), 5_000)
    expect([channel.required, new Channel(hastySink().sink, fakeClock(), 5_000).required]).toEqual([false, true])
    channel.openLater('w')
    channel.offer('a\n')
    channel.offer('b\n')
    await turn()
    await expect(channel.flush()).rejects.toBeInstanceOf(Unavailable)
    works = true
    channel.offer('c\n')
    await turn()
    expect([writers, got]).toEqual([['w', 'w'], ['a\nb\nc\n']])
    channel.offer('d\n')
    expect(got.at(-1)).toBe('d\n')
  })
})

describe('a sink that is not required', () => {
  it('loses the oldest line that is not on its way', async () => {
    const { sink, writes } = slowSink()
    const channel = new Channel({ ...sink, required: false }, fakeClock(), 5_000)
    await channel.open('w')
    for (let count = 0; count <= 1_001; count++) channel.offer(`${count}\n`)
    expect([channel.dropped, channel.waiting]).toEqual([1, 1_001])
    writes[0]?.accept()
    await turn()
    expect(writes[1]?.lines.split('\n').slice(0, 2)).toEqual(['2', '3'])
    // Refused later: nobody is told, the lines wait.
    writes[1]?.refuse()
    await turn()
    channel.offer('last\n')
    expect(writes[2]?.lines.startsWith('3\n')).toBe(true)
    expect(channel.dropped).toBe(2)
  })
})

describe('flushing', () => {
  it('waits for a write under way and for all that waits, then for the sink', async () => {
    const order: string[] = []
    const { sink, writes } = slowSink()
    const flush = async () => void order.push('flush')
    const channel = new Channel({ ...sink, flush }, fakeClock(), 5_000)
    await channel.flush()
    expect(order).toEqual([])
    await channel.open('w')
    void channel.accept('a\n')
    void channel.accept('b\n')
    const flushed = channel.flush().then(() => order.push('flushed'))
    await turn()
    writes[0]?.accept()
    await turn()
    expect(order).toEqual([])
    writes[1]?.accept()
    await flushed
    expect(order).toEqual(['flush', 'flushed'])
    expect(writes.map(({ lines }) => lines)).toEqual(['a\n', 'b\n'])
  })

  it('rejects when lines are refused, a write hangs or the sink does, and not for ever', async () => {
    const clock = fakeClock()
    const { sink, mood } = hastySink({ flush: () => new Promise<void>(() => {}) })
    const channel = new Channel(sink, clock, 5_000)
    await channel.open('w')
    const hung = expect(channel.flush()).rejects.toMatchObject({ message: '`hasty` did not answer in time' })
    await clock.advance(5_000)
    await hung
    mood.now = 'throws'
    told(() => channel.accept('a\n'))
    await expect(channel.flush()).rejects.toMatchObject({ message: 'the sink `hasty` did not accept an entry' })

    const slow = new Channel({ name: 'slow', write: () => new Promise(() => {}) }, clock, 5_000)
    await slow.open('w')
    const first = outcome(slow.accept('a\n'))
    const flushed = expect(slow.flush()).rejects.toBeInstanceOf(Unavailable)
    await clock.advance(5_000)
    await flushed
    expect(await first).toBe('refused')
    await expect(slow.flush()).rejects.toMatchObject({ message: 'the sink `slow` did not accept an entry' })
  })

  it('closes the sink, but does not wait for ever', async () => {
    const clock = fakeClock()
    await new Channel(hastySink().sink, clock, 5_000).close()
    const channel = new Channel(hastySink({ close: () => new Promise<void>(() => {}) }).sink, clock, 5_000)
    const closed = expect(channel.close()).rejects.toMatchObject({ message: '`hasty` did not answer in time' })
    await clock.advance(5_000)
    await closed
  })
})

describe('a sink that gathers', () => {
  const gathering = () => {
    const slow = slowSink()
    return { ...slow, channel: new Channel({ ...slow.sink, gathers: true }, fakeClock(), 5_000) }
  }

  it('gets in one write what comes in one turn, also when those come again who were just answered', async () => {
    const { channel, writes } = gathering()
    const all = ['a', 'b', 'c'].map(async (line) => {
      await channel.accept(`${line}1\n`)
      await channel.accept(`${line}2\n`)
    })
    expect(writes).toEqual([])
    await turn()
    const late = channel.accept('d1\n')
    writes[0]?.accept()
    for (let turns = 0; turns < 3; turns++) await turn()
    writes[1]?.accept()
    await Promise.all([...all, late])
    expect(writes.map(({ lines }) => lines)).toEqual(['a1\nb1\nc1\n', 'd1\na2\nb2\nc2\n'])
  })

  it('is flushed, and found busy, while it waits for the end of the turn', async () => {
    const { channel, writes } = gathering()
    await channel.open('w')
    const accepted = outcome(channel.accept('a\n'))
    const flushed = channel.flush()
    const idle = channel.idle()
    expect(channel.retry()).toBe(false)
    await turn()
    expect(writes).toHaveLength(1)
    writes[0]?.accept()
    await Promise.all([accepted, flushed, idle])
    expect(channel.waiting).toBe(0)
  })

  it('tells everybody who waits for a write that it was refused, and is offered it again', async () => {
    const { channel, writes, accepted } = gathering()
    const answers = ['a\n', 'b\n'].map((line) => outcome(channel.accept(line)))
    await turn()
    writes[0]?.refuse()
    expect(await Promise.all(answers)).toEqual(['refused', 'refused'])
    const third = outcome(channel.accept('c\n'))
    await turn()
    writes[1]?.accept()
    expect([await third, accepted]).toEqual(['accepted', ['a\nb\nc\n']])
  })
})

describe('a sink that no longer knows what it has stored', () => {
  const ended = () => Object.assign(new Error('no'), { code: 'writer-ended' })

  it('ends its writer, also when it says so while it opens; any other failure does not', async () => {
    let ends = 0
    let failure: Error = ended()
    const fails = () => {
      throw failure
    }
    const channel = new Channel({ name: 's', open: fails, write: fails }, fakeClock(), 5_000, () => ends++)
    await expect(channel.open('w')).rejects.toThrow(Unavailable)
    expect(ends).toBe(1)
    expect(() => channel.accept('a\n')).toThrow(Unavailable)
    expect(ends).toBe(2)
    failure = new Error('full')
    await expect(channel.open('w')).rejects.toThrow(Unavailable)
    expect(() => channel.accept('b\n')).toThrow(Unavailable)
    expect(ends).toBe(2)
  })

  it('is opened again for the same writer when it is a copy, and offered what it did not accept', async () => {
    const opened: string[] = []
    const got: string[] = []
    let spoilt = true
    const sink: Sink = {
      name: 'copy',
      required: false,
      open: (writer) => {
        opened.push(writer)
        return undefined
      },
      write: (lines) => {
        if (spoilt) throw ended()
        got.push(lines)
      },
    }
    const channel = new Channel(sink, fakeClock(), 5_000, () => expect.unreachable())
    channel.openLater('w')
    channel.offer('a\n')
    await turn()
    spoilt = false
    channel.offer('b\n')
    await turn()
    expect([opened, got, channel.dropped]).toEqual([['w', 'w'], ['a\nb\n'], 0])
  })

  it('is told how to put on record what it lets go of', async () => {
    const retire = () => undefined
    const told: unknown[] = []
    const sink: Sink = { name: 's', open: (...given) => void told.push(given), write: () => {} }
    await new Channel(sink, fakeClock(), 5_000).open('w', retire)
    expect(told).toEqual([['w', retire]])
  })
})
