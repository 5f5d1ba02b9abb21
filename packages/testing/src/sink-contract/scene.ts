import { inspect } from 'node:util'
import {
  createHaldir,
  type Haldir,
  type MaybePromise,
  type Sink,
  type StoredLine,
  type Verification,
} from '@haldir/core'
import { expect } from 'vitest'
import { type Case, inTime } from '../suite.ts'
import { CANARY, Pen } from './pen.ts'

/** What a test of the contract gets: a sink of its own, and ways to it that only its driver knows. */
export interface OpenedSink {
  readonly sink: Sink
  /** All that is kept, as text, found without the sink: the bytes of a file, the bodies a server got. */
  stored?(): MaybePromise<string>
  /** Another sink on the same data, as another process would make it; the first is still open, or has died. */
  reopen?(): MaybePromise<Sink>
  /** From now on nothing can be stored, as on a full disk or with the network down. */
  break?(): MaybePromise<void>
  /** It can again. */
  mend?(): MaybePromise<void>
  /** The sink no longer knows what it stores, as after a disk that did not confirm; `mend` ends that, too. May be left out. */
  spoil?(): MaybePromise<void>
  /** Checks what is kept by other means than the trail's own, such as `verifyFiles`. */
  verify?(): MaybePromise<Verification>
  /** Closes what was opened and removes the data. */
  close(): MaybePromise<void>
}

export type SinkCase = Case<SinkScene>

/** A sink under test, spoken to as the trail does: one write at a time, the next after the answer. */
export class SinkScene {
  readonly opened: OpenedSink
  readonly sink: Sink
  readonly pen: Pen = new Pen('w1')

  constructor(opened: OpenedSink) {
    this.opened = opened
    this.sink = opened.sink
  }

  async open(sink: Sink = this.sink, writer = 'w1'): Promise<void> {
    await inTime(sink.open?.(writer), '`open`')
  }

  /** Fails when the sink refuses. */
  async write(lines: string, sink: Sink = this.sink): Promise<void> {
    const answer = await inTime(sink.write(lines), '`write`')
    if (answer === false) throw new Error('`write` refused what it should accept')
  }

  /** Fails when the sink accepts. Answers the error, if that is how it refused. */
  async refused(lines: string): Promise<unknown> {
    let answer: unknown
    try {
      answer = await inTime(this.sink.write(lines), '`write`')
    } catch (error) {
      expect(inspect(error, { depth: 9 }), 'what an error says').not.toContain(CANARY)
      return error
    }
    expect(answer, 'what `write` answers when nothing can be stored').toBe(false)
    return undefined
  }

  async break(): Promise<void> {
    await this.opened.break?.()
  }

  async spoil(): Promise<void> {
    await this.opened.spoil?.()
  }

  async mend(): Promise<void> {
    await this.opened.mend?.()
  }

  async reopened(writer: string): Promise<Sink> {
    const sink = await (this.opened.reopen as () => MaybePromise<Sink>)()
    await this.open(sink, writer)
    return sink
  }

  /** Everything that the sink reads back. */
  async read(): Promise<StoredLine[]> {
    const read: StoredLine[] = []
    for await (const line of this.sink.read?.() ?? []) read.push(line)
    return read
  }

  /** All that is kept, in the order kept; nothing when nobody can look. */
  async kept(): Promise<string | undefined> {
    // A copy may be late, but not later than this.
    if (this.sink.required === false) await inTime(this.sink.flush?.(), '`flush`')
    if (this.opened.stored) return this.opened.stored()
    if (!this.sink.read) return undefined
    let text = ''
    for await (const { line, torn } of this.sink.read()) text += torn ? line : `${line}\n`
    return text
  }

  /** Asserts that exactly these lines are kept, byte for byte, where somebody can look. */
  async expectKept(lines: readonly string[]): Promise<void> {
    const kept = await this.kept()
    // Of a megabyte that differs somewhere, only where.
    if (kept !== undefined) expect(differenceOf(kept, lines.join(''))).toBeUndefined()
  }

  /** Whether what is kept is a trail: read by a haldir that wrote none of it. */
  async verified(): Promise<Verification | undefined> {
    const text = await this.kept()
    if (text === undefined) return undefined
    const read = this.sink.read?.bind(this.sink) ?? (() => linesOf(text))
    const reader = createHaldir({ sinks: [{ name: 'reader', write: () => false, read }] })
    try {
      return await reader.trail.verify()
    } finally {
      await reader.close()
    }
  }

  /** Asserts that what is kept is whole by every means there is. */
  async expectWhole(haldir?: Haldir): Promise<void> {
    const checks = [await haldir?.trail.verify(), await this.verified(), await this.opened.verify?.()]
    for (const found of checks) expect(found?.problems ?? []).toEqual([])
  }
}

/** Each line for the writer it names. */
async function* linesOf(text: string) {
  const parts = text.split('\n')
  for (const [index, line] of parts.entries()) {
    const last = index === parts.length - 1
    if (last && line === '') return
    yield { writer: /"writer":"([^"]*)"/.exec(line)?.[1] ?? '', place: `line ${index + 1}`, line, torn: last }
  }
}

/** Where two texts begin to differ, with what stands there. */
function differenceOf(found: string, wanted: string): object | undefined {
  if (found === wanted) return undefined
  let at = 0
  while (at < Math.min(found.length, wanted.length) && found[at] === wanted[at]) at++
  const around = (text: string) => text.slice(Math.max(0, at - 20), at + 60)
  return { at, found: around(found), wanted: around(wanted), lengths: [found.length, wanted.length] }
}
