/**
 * A sink for development: the trail as a person reads it, one line a call, in the terminal. It shows the time (UTC),
 * agent and tool, what came of the call, its cost, how far the session's budget is gone and how long the tool ran.
 * It keeps nothing: a trail needs another sink beside it.
 */
import { styleText } from 'node:util'
import { ConfigError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { cut, printable, wantsColour, widthOf } from '../printable.ts'
import { readEntry } from './pretty-entry.ts'
import { type Columns, Lines, type Tone } from './pretty-lines.ts'
import type { Sink } from './sink.ts'

/** What the lines are written to: `process.stderr`, a file, anything that takes text. */
export interface PrettyStream {
  write(text: string): unknown
  /** A terminal: only there is colour used unless `FORCE_COLOR` asks for it. */
  readonly isTTY?: boolean | undefined
  /** How many characters fit a line; more are cut off. Not given: nothing is cut. */
  readonly columns?: number | undefined
  on?(event: 'error', listener: (error: Error) => void): unknown
  off?(event: 'error', listener: (error: Error) => void): unknown
}

export interface PrettySinkOptions {
  /** `false` unless given: a terminal that is gone must not hold up a call. */
  readonly required?: boolean
  /** `process.stderr` unless given: what a program prints stays its own. */
  readonly stream?: PrettyStream
  /** Where `NO_COLOR`, `FORCE_COLOR` and `TERM` are read: `process.env` unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Below this many characters a bar is half as long, and columns stand closer together. */
const WIDE = 100
const STYLES: Record<Tone, Parameters<typeof styleText>[0]> = {
  good: 'green',
  bad: 'red',
  warn: 'yellow',
  dim: 'dim',
  bold: 'bold',
}

/**
 * Prints the trail while it is written. A session's budget is shown from its scopes, so only for sessions that begin
 * while the sink listens, and without what other processes spend of it. Colour is left out when `NO_COLOR` is set, on
 * what is no terminal, and where `TERM` is `dumb`; `FORCE_COLOR` wants it all the same. Throws `ConfigError`.
 */
export function prettySink(options: PrettySinkOptions = {}): Sink {
  checkKeys(options, ['required', 'stream', 'env'], 'options of `prettySink`')
  const { required = false, stream = process.stderr, env = process.env } = options
  if (typeof stream?.write !== 'function') {
    throw new ConfigError('invalid-option', 'stream', '`stream` is something to write to, such as `process.stderr`')
  }
  const coloured = wantsColour(stream, env)
  const lines = new Lines()
  let listening = false
  // A terminal that is gone does not come back, and what it has not shown must not be counted twice.
  let gone = false
  const leave = () => {
    gone = true
  }
  return {
    name: 'pretty',
    required,
    write(text) {
      if (gone) return false
      if (!listening) stream.on?.('error', leave)
      listening = true
      const columns = Number(stream.columns) > 0 ? Number(stream.columns) : Number.POSITIVE_INFINITY
      const shown = told(lines, text, columns, coloured)
      try {
        if (shown !== '') stream.write(shown)
      } catch {
        leave()
      }
      return !gone
    },
    close() {
      stream.off?.('error', leave)
      listening = false
    },
  }
}

/** The lines for a batch of entries. What can't be read is told of, and stops nothing. */
function told(lines: Lines, batch: string, columns: number, coloured: boolean): string {
  let text = ''
  for (const line of batch.split('\n')) {
    if (line === '') continue
    const entry = readEntry(line)
    const pieces = entry ? lines.of(entry, columns < WIDE ? 4 : 8) : UNREADABLE
    if (pieces) text += `${paint(pieces, columns, coloured)}\n`
  }
  return text
}

const UNREADABLE: Columns = [{ text: '! an entry that can not be read', tone: 'warn' }]

/** One line of text, no longer than the terminal is wide. */
function paint(columns: Columns, most: number, coloured: boolean): string {
  // Invariant: whatever a column holds, nothing that a terminal acts on gets past here.
  const safe = columns.flatMap((one) => (one ? [{ ...one, text: printable(one.text, Number.POSITIVE_INFINITY) }] : []))
  const last = safe.findLastIndex(({ text }) => text.trim() !== '')
  const gap = most < WIDE ? ' ' : '  '
  let left = most
  let line = ''
  for (const [index, { text, tone }] of safe.slice(0, last + 1).entries()) {
    const part = index === 0 ? text : gap + text
    const width = widthOf(part)
    // Where more follows, a character is left for the `…` that says so.
    const whole = index === last ? width <= left : width < left
    const fitting = whole ? part : cut(`${part}${index === last ? '' : gap}`, left)
    line += coloured && tone ? styleText(STYLES[tone], fitting, { validateStream: false }) : fitting
    if (!whole) break
    left -= width
  }
  return line
}
