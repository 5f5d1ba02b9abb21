/** The table, at most 100 columns, and the line that shows that something is going on. */
import { stripVTControlCharacters, styleText } from 'node:util'

const COLUMNS = [43, 8, 8, 11, 15, 7, 8] as const

/** A claim about a row: what was found, what it must be, and whether it is. */
export interface Claim {
  readonly found: string
  /** Absent where a figure is only told. */
  readonly bar?: string
  readonly met?: boolean
}

// `styleText` looks at the stream and honours NO_COLOR, FORCE_COLOR and NODE_DISABLE_COLORS.
type Style = Parameters<typeof styleText>[0]
const paint = (style: Style, text: string) => styleText(style, text, { stream: process.stdout })

export function heading(text: string): void {
  console.log(`\n${paint('bold', text)}`)
}

export function columnNames(): void {
  console.log(paint('dim', line(['', 'p50 µs', 'p99 µs', 'calls/s', 'stands at', 'bar', ''])))
}

/** One row. Each claim beyond the first has a line of its own. */
export function row(name: string, figures: readonly string[], claims: readonly Claim[] = []): void {
  const [p50 = '', p99 = '', perSecond = ''] = figures
  const [first, ...more] = claims
  console.log(line([name, p50, p99, perSecond, ...cells(first)]))
  for (const claim of more) console.log(line(['', '', '', '', ...cells(claim)]))
}

export function note(text: string): void {
  console.log(paint('dim', text))
}

export function closing(met: number, of: number): void {
  console.log(`\n${paint(met === of ? 'green' : 'yellow', `${met} of ${of} bars met`)}`)
}

function cells(claim: Claim | undefined): string[] {
  if (!claim) return []
  if (claim.bar === undefined) return [claim.found]
  return [claim.found, claim.bar, claim.met ? paint('green', 'met') : paint('red', 'missed')]
}

/** The first column is flush left, the others flush right. */
function line(texts: readonly string[]): string {
  return COLUMNS.map((width, index) => {
    const text = texts[index] ?? ''
    const blank = ' '.repeat(Math.max(0, width - stripVTControlCharacters(text).length))
    return index === 0 ? text + blank : blank + text
  })
    .join('')
    .trimEnd()
}

export function number(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)
}

/** Says on stderr what is being measured: a line that is written over on a terminal, else one line for each thing. */
export function progressOf(what: string): { at: (done: number) => void; end: () => void } {
  const { stderr } = process
  if (!stderr.isTTY) {
    stderr.write(`measuring ${what} …\n`)
    return { at: () => {}, end: () => {} }
  }
  let shown = -1
  return {
    at(done) {
      const percent = Math.round(done * 100)
      if (percent === shown) return
      shown = percent
      stderr.write(`\r\x1b[Kmeasuring ${what} … ${percent} %`)
    },
    end: () => void stderr.write('\r\x1b[K'),
  }
}
