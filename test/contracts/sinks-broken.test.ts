/** The sink contract notices a sink that breaks any one of its promises. */
import type { MaybePromise, Sink, StoredLine } from '@haldir/core'
import { describe, expect, it } from 'vitest'
import { type OpenedSink, SinkScene } from '../../packages/testing/src/sink-contract/scene.ts'
import { SINK_CHAPTERS, sinkOffers } from '../../packages/testing/src/sink-contract.ts'
import { proves } from '../promises.ts'
import { failing } from './broken.ts'

/** A shelf that outlives the sinks on it, and can be full. */
interface Shelf {
  text: string
  full: boolean
  /** It takes lines and does not say whether it keeps them. */
  spoilt: boolean
}

type Whole = Required<Pick<Sink, 'open' | 'write' | 'flush' | 'close' | 'read'>> & Sink

/** A sink that keeps every promise. It answers later, as one over a network does. */
function goodSink(shelf: Shelf): Whole {
  let open: string | undefined
  let ended: string | undefined
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  return {
    name: 'shelf',
    async open(writer) {
      await turn()
      if (shelf.full) throw new Error('the shelf is full')
      open = writer
      return undefined
    },
    async write(lines) {
      await turn()
      if (open !== undefined && (shelf.spoilt || ended === open)) {
        ended = open
        throw Object.assign(new Error('the shelf does not answer'), { code: 'writer-ended' })
      }
      if (open === undefined || shelf.full) throw new Error('the shelf is full')
      shelf.text += lines
    },
    async *read(): AsyncGenerator<StoredLine> {
      const lines = shelf.text.split('\n').slice(0, -1)
      for (const [index, line] of lines.entries()) {
        await turn()
        yield { writer: writerOf(line), place: `shelf:${index + 1}`, line }
      }
    },
    flush() {},
    close() {
      open = undefined
    },
  }
}

const writerOf = (line: string) => /"writer":"([^"]*)"/.exec(line)?.[1] ?? ''

type Break = (sink: Whole, shelf: Shelf) => Partial<Whole>

function opened(broken: Break = () => ({})): OpenedSink {
  const shelf = { text: '', full: false, spoilt: false }
  const make = (): Sink => {
    const sink = goodSink(shelf)
    return { ...sink, ...broken(sink, shelf) }
  }
  return {
    sink: make(),
    stored: () => shelf.text,
    reopen: make,
    break() {
      shelf.full = true
    },
    spoil() {
      shelf.spoilt = true
    },
    mend() {
      shelf.full = false
      shelf.spoilt = false
    },
    close() {},
  }
}

const run = (broken?: Break, only?: readonly string[]) =>
  failing(
    SINK_CHAPTERS,
    async () => {
      const one = opened(broken)
      return { scene: new SinkScene(one), close: async () => one.close() }
    },
    sinkOffers,
    only,
  )

/** Reads lines the wrong way. */
function reading(change: (lines: StoredLine[]) => StoredLine[]): Break {
  return (sink) => ({
    async *read() {
      const lines: StoredLine[] = []
      for await (const line of sink.read()) lines.push(line)
      yield* change(lines)
    },
  })
}

let counter = 0
const kept: NodeJS.Timeout[] = []

/** What each does wrong, and a case that fails for it. */
const BROKEN: readonly (readonly [wrong: string, broken: Break, caught: string])[] = [
  [
    'swallows a write that fails',
    (sink) => ({ write: async (lines) => Promise.resolve(sink.write(lines)).catch(() => {}) }),
    'what can not be stored is refused, and not one byte of it is kept',
  ],
  [
    'answers before it has written',
    (sink) => ({ write: (lines) => void Promise.resolve(sink.write(lines)).catch(() => {}) }),
    'a line is kept when `write` has answered, not some time later',
  ],
  [
    'keeps half a line that was refused',
    (sink, shelf) => ({
      async write(lines) {
        if (shelf.full) shelf.text += lines.slice(0, lines.length / 2)
        await sink.write(lines)
      },
    }),
    'what can not be stored is refused, and not one byte of it is kept',
  ],
  [
    'keeps the first lines of a batch that was refused',
    (sink, shelf) => ({
      async write(lines) {
        if (shelf.full) shelf.text += lines.slice(0, lines.indexOf('\n') + 1)
        await sink.write(lines)
      },
    }),
    'several lines in one write are refused as a whole',
  ],
  [
    'keeps what it refused, and writes it later by itself',
    (sink) => {
      let waiting = ''
      return {
        async write(lines) {
          waiting += lines
          await sink.write(waiting)
          waiting = ''
        },
      }
    },
    'what was refused is accepted when it is offered again, with what has come since, and stands there once',
  ],
  [
    'is done for after its first failure',
    (sink) => {
      let dead = false
      return {
        async write(lines) {
          if (dead) throw new Error('dead')
          try {
            await sink.write(lines)
          } catch (error) {
            dead = true
            throw error
          }
        },
      }
    },
    'what was refused is accepted when it is offered again, with what has come since, and stands there once',
  ],
  [
    'refuses once and then takes what it can not store',
    (sink, shelf) => {
      let told = false
      return {
        async write(lines) {
          if (shelf.full && told) return
          told = shelf.full
          await sink.write(lines)
        },
      }
    },
    'it goes on refusing for as long as nothing can be stored',
  ],
  [
    'repeats the entry in its error',
    (sink) => ({
      async write(lines) {
        try {
          await sink.write(lines)
        } catch (cause) {
          throw new Error('could not be sent', { cause: Object.assign(cause as Error, { request: { body: lines } }) })
        }
      },
    }),
    'what can not be stored is refused, and not one byte of it is kept',
  ],
  [
    'writes the newest first',
    (sink, shelf) => ({
      async write(lines) {
        await sink.write('')
        shelf.text = lines + shelf.text
      },
    }),
    'lines are kept in the order written, byte for byte',
  ],
  [
    'writes only the first line of a batch',
    (sink) => ({ write: (lines) => sink.write(lines.slice(0, lines.indexOf('\n') + 1)) }),
    'several lines in one write are kept like the same lines one by one',
  ],
  [
    'leaves out lines it has seen',
    (sink) => {
      const seen = new Set<string>()
      return {
        async write(lines) {
          const { data } = JSON.parse(lines.slice(0, lines.indexOf('\n')))
          const key = JSON.stringify(data)
          if (!seen.has(key)) await sink.write(lines)
          seen.add(key)
        },
      }
    },
    'lines that are equal but for their place are all kept',
  ],
  [
    'serialises entries anew',
    (sink) => ({
      write: (lines) =>
        sink.write(
          lines
            .split('\n')
            .map((line) => (line === '' ? '' : JSON.stringify({ ...JSON.parse(line), sent: true })))
            .join('\n'),
        ),
    }),
    'lines are kept in the order written, byte for byte',
  ],
  [
    'writes Latin-1',
    (sink) => ({ write: (lines) => sink.write(Buffer.from(lines, 'latin1').toString('latin1')) }),
    'text of every script is kept, and what looks like the end of a line is none',
  ],
  [
    'takes other characters for the end of a line',
    (sink) => ({ write: (lines) => sink.write(lines.split(/\r\n|[\n\u2028\u2029\u0085]/).join('\n')) }),
    'text of every script is kept, and what looks like the end of a line is none',
  ],
  [
    'trims',
    (sink) => ({ write: (lines) => sink.write(`${lines.trim()}\n`.replace(/\ufeff/g, '')) }),
    'text of every script is kept, and what looks like the end of a line is none',
  ],
  [
    'cuts long lines',
    (sink) => ({ write: (lines) => sink.write(lines.length > 65_536 ? `${lines.slice(0, 65_535)}\n` : lines) }),
    'a line of a megabyte is kept, and so is the one after it',
  ],
  [
    'decodes chunks instead of lines',
    (sink) => ({
      async write(lines) {
        const bytes = Buffer.from(lines)
        let text = ''
        for (let at = 0; at < bytes.length; at += 65_536) text += bytes.toString('utf8', at, at + 65_536)
        await sink.write(text)
      },
    }),
    'a line of a megabyte is kept, and so is the one after it',
  ],
  [
    'takes at most 100 lines in a write',
    (sink) => ({
      write(lines) {
        const [first = ''] = /^(?:[^\n]*\n){0,100}/.exec(lines) ?? []
        return sink.write(first)
      },
    }),
    'a thousand lines in one write are kept',
  ],
  [
    'loses what it has when it is opened again',
    (sink, shelf) => ({
      async open(writer) {
        await sink.open(writer)
        shelf.text = ''
        return undefined
      },
    }),
    'what was accepted is there when the process has died, and the next writer leaves it alone',
  ],
  [
    'can be opened only once',
    (sink) => {
      let attempts = 0
      return {
        async open(writer) {
          if (++attempts > 1) throw new Error('opened already')
          return sink.open(writer)
        },
      }
    },
    'it may be opened again before its first line: an answer may have been lost',
  ],
  [
    'stays shut when it could not be opened at first',
    (sink) => {
      let opening: MaybePromise<unknown>
      return {
        open(writer) {
          opening ??= sink.open(writer)
          return opening as Promise<undefined>
        },
      }
    },
    'a sink that can not be opened says so, and can be opened later',
  ],
  ['writes on after it was closed', (sink) => ({ close() {}, write: sink.write }), 'after `close` a write is refused'],
  [
    'can not be closed twice',
    (sink) => {
      let closed = false
      return {
        close() {
          if (closed) throw new Error('closed already')
          closed = true
          return sink.close()
        },
      }
    },
    'closing twice is no error, nor is closing what was never opened',
  ],
  [
    'cuts off its end when it is closed',
    (sink, shelf) => ({
      close() {
        shelf.text = shelf.text.slice(0, -100)
        return sink.close()
      },
    }),
    'what was written is kept after `close`',
  ],
  [
    'forgets to write what waits when it is flushed',
    (sink) => ({
      flush() {
        throw new Error('nothing to flush')
      },
      write: sink.write,
    }),
    'what was written is kept after `flush`, and `flush` with nothing to do is no error',
  ],
  [
    'leaves a timer',
    (sink) => ({
      open(writer) {
        kept.push(setInterval(() => {}, 60_000))
        return sink.open(writer)
      },
    }),
    'no timer and no listener of the process is left after `close`',
  ],
  [
    'leaves a listener of the process',
    (sink) => ({
      open(writer) {
        process.on(`sink-${counter++ % 5}`, () => {})
        return sink.open(writer)
      },
    }),
    'no timer and no listener of the process is left after `close`',
  ],
  [
    'reads nothing back',
    reading(() => []),
    'every line is read back under its writer, in order, from a place of its own',
  ],
  [
    'reads the newest first',
    reading((lines) => lines.reverse()),
    'every line is read back under its writer, in order, from a place of its own',
  ],
  [
    'reads every line under one name',
    reading((lines) => lines.map((line) => ({ ...line, writer: 'audit' }))),
    'every line is read back under its writer, in order, from a place of its own',
  ],
  [
    'reads other bytes than it stores',
    reading((lines) => lines.map((line) => ({ ...line, line: line.line.normalize('NFKC') }))),
    'what is read back is what is stored',
  ],
  [
    'reads the end twice while somebody writes',
    (sink, shelf) => ({
      async *read() {
        const before = shelf.text.length
        yield* sink.read()
        if (shelf.text.length > before) yield* sink.read()
      },
    }),
    'reading and writing do not disturb each other, and a reader may stop early',
  ],
  [
    'lets a reader hold up writing for ever after it stopped early',
    (sink) => {
      let reading = false
      return {
        async *read() {
          reading = true
          yield* sink.read()
          reading = false
        },
        async write(lines) {
          if (reading) throw new Error('busy')
          await sink.write(lines)
        },
      }
    },
    'reading and writing do not disturb each other, and a reader may stop early',
  ],
  [
    'writes over what another writer wrote meanwhile',
    (sink, shelf) => {
      let mine = ''
      let began: string | undefined
      return {
        async write(lines) {
          await sink.write('')
          began ??= shelf.text
          mine += lines
          shelf.text = began + mine
        },
      }
    },
    'two writers at once keep a chain each',
  ],
  [
    'loses a line now and then',
    (sink) => {
      let writes = 0
      return { write: (lines) => (++writes % 5 === 0 ? undefined : sink.write(lines)) }
    },
    '200 calls at once do not get mixed up',
  ],
  [
    'loses the chain before when another begins',
    (sink, shelf) => {
      let writer: string | undefined
      return {
        async open(name) {
          if (writer !== undefined && name !== writer) shelf.text = ''
          writer = name
          return sink.open(name)
        },
      }
    },
    'opened for another writer while one is open, it keeps the chains of both apart and whole',
  ],
  [
    'stays with its first writer',
    (sink) => {
      let first: string | undefined
      return {
        async open(name) {
          first ??= name
          return sink.open(first)
        },
        async write(lines) {
          if (first !== undefined && writerOf(lines) !== first) throw new Error('not mine')
          await sink.write(lines)
        },
      }
    },
    'opened for another writer while one is open, it keeps the chains of both apart and whole',
  ],
  [
    'says that it is full when it does not know what it has stored',
    (sink, shelf) => ({
      async write(lines) {
        if (shelf.spoilt) throw new Error('the shelf is full')
        await sink.write(lines)
      },
    }),
    'once it does not know what it has stored it says so, and takes nothing more of that writer',
  ],
  [
    'believes that all is well when it is asked again',
    (sink, shelf) => {
      let asked = false
      return {
        async write(lines) {
          if (shelf.spoilt && asked) return
          asked = shelf.spoilt
          if (!shelf.spoilt) shelf.text += lines
          else await sink.write(lines)
        },
      }
    },
    'once it does not know what it has stored it says so, and takes nothing more of that writer',
  ],
  [
    'takes no other writer once one has ended',
    (sink) => {
      let over = false
      return {
        async write(lines) {
          if (over) throw Object.assign(new Error('over'), { code: 'writer-ended' })
          try {
            await sink.write(lines)
          } catch (error) {
            over = (error as { code?: unknown }).code === 'writer-ended'
            throw error
          }
        },
      }
    },
    'another writer begins where one has ended, and what that one had accepted stays',
  ],
  [
    'never says that a writer has ended',
    (sink) => ({
      async write(lines) {
        try {
          await sink.write(lines)
        } catch {
          throw new Error('no')
        }
      },
    }),
    'a haldir goes on by another writer, which names the one that has ended',
  ],
  [
    'lets calls run while it can store nothing',
    (sink) => ({
      async write(lines) {
        await Promise.resolve(sink.write(lines)).catch(() => {})
      },
    }),
    'while nothing can be stored nothing runs, and afterwards the trail is whole',
  ],
  [
    'drops outcomes that come while it is down',
    (sink, shelf) => ({
      async write(lines) {
        if (shelf.full && lines.includes('"type":"outcome"')) return
        await sink.write(lines)
      },
    }),
    'what a tool did is on record although nothing could be stored when it ended',
  ],
]

describe('a sink that', () => {
  it('keeps every promise passes every case', async () => {
    expect(await run()).toEqual([])
  })

  it.each(BROKEN)('%s is noticed', async (_, broken, caught) => {
    proves('parts-of-your-own')
    try {
      expect(await run(broken, [caught])).toEqual([caught])
    } finally {
      for (const timer of kept.splice(0)) clearInterval(timer)
      for (const name of process.eventNames()) {
        if (String(name).startsWith('sink-')) process.removeAllListeners(name)
      }
    }
  })
})

it('every case notices at least one of them', () => {
  const caught = new Set(BROKEN.map(([, , title]) => title))
  const all = Object.values(SINK_CHAPTERS).flatMap((cases) => cases.map(({ title }) => title))
  expect(all.filter((title) => !caught.has(title))).toEqual([
    'the trail of a haldir is kept as it was written, and is whole',
  ])
})
