/** The readable account: what is printed, kept too, so that the story can check what it showed. */
import { styleText } from 'node:util'
import type { Amount, Entry } from '@haldir/core'

/** What came of one tool call. */
export interface CallAccount {
  /** `charge(order 1001, amount 29.99)` */
  readonly call: string
  readonly verdict: Entry['verdict']
  /** Of a refusal. */
  readonly code: string | undefined
  readonly why: string
  readonly cost: string
  readonly left: Amount
  /** What the model reads next, as it reads it. */
  readonly reads: string
}

/** Puts together what came of a call: from its entries in the trail, and from what the model is about to read. */
export function accountOf(
  call: { readonly toolName: string; readonly input: unknown },
  entries: readonly Entry[],
  left: Amount,
  reads: string,
): CallAccount {
  const decided = entries.find(({ verdict }) => verdict !== undefined)
  const cost = entries.find(({ type }) => type === 'outcome')?.spent.map(({ amount, unit }) => `${amount} ${unit}`)
  const input = Object.entries(call.input as object).map(([name, value]) => `${name} ${value}`)
  return {
    call: `${call.toolName}(${input.join(', ')})`,
    verdict: decided?.verdict,
    code: decided?.code,
    why: decided ? whyOf(decided) : 'not in the trail',
    cost: cost?.join(' + ') || '–',
    left,
    reads,
  }
}

function whyOf({ code, rule, held }: Entry): string {
  if (code !== undefined) return rule === undefined ? code : `${code}, by the rule ${rule}`
  const [most] = held
  return most ? `within scope; ${most.amount} ${most.unit} was set aside first` : 'within scope'
}

// The terminal decides the width, within what is pleasant to read. `styleText` leaves colours out where they are not
// wanted: with NO_COLOR, and when the output is no terminal.
const WIDTH = Math.max(72, Math.min(process.stdout.columns ?? 80, 100))
const MARGIN = ' '.repeat(13)
const LONGEST = 4
type Style = Parameters<typeof styleText>[0]

/** The page that is being printed. */
export class Page {
  /** Everything printed so far. */
  text = ''
  #calls = 0

  line(text = ''): void {
    this.text += `${text}\n`
    console.log(text)
  }

  heading(text: string): void {
    this.line(`\n${styleText('bold', text)}`)
  }

  /** A fact with its name in front. */
  fact(name: string, text: string, style?: Style): void {
    const lines = wrap(text, WIDTH - MARGIN.length)
    for (const [index, line] of lines.entries()) {
      const label = styleText('dim', `  ${index === 0 ? name : ''}`.padEnd(MARGIN.length))
      this.line(label + (style ? styleText(style, line) : line))
    }
  }

  good(text: string): void {
    this.line(`  ${styleText('green', '✓')} ${text}`)
  }

  bad(text: string): void {
    this.line(`  ${styleText('red', '✗')} ${text}`)
  }

  /** Above the calls: what stands in which column. */
  columns(): void {
    this.line(styleText('dim', `   #  ${row('verdict', 'call', 'cost', 'budget left')}`))
    this.line(styleText('dim', `  ${'─'.repeat(WIDTH - 2)}`))
  }

  call({ call, verdict = 'none', why, cost, left, reads }: CallAccount): void {
    const allowed = verdict === 'allow'
    const number = String(++this.#calls).padStart(4)
    const [head, tail] = [verdict.padEnd(9), row('', call, cost, String(left)).slice(9)]
    this.line(`${number}  ${styleText(allowed ? 'green' : ['red', 'bold'], head)}${styleText('bold', tail)}`)
    this.#detail('why', why, allowed ? 'dim' : 'red')
    this.#detail('reads', reads, 'dim')
  }

  /** Two lists side by side, each under its heading. */
  pairs(left: readonly string[], right: readonly string[]): void {
    for (let i = 0; i < Math.max(left.length, right.length); i++) {
      const text = `  ${(left[i] ?? '').padEnd(38)}${right[i] ?? ''}`
      this.line(i === 0 ? styleText('dim', text) : text)
    }
  }

  /** Something that happened between two calls. */
  event(text: string): void {
    this.line(styleText('yellow', `   ─  ${text}`))
  }

  #detail(label: string, text: string, style: Style): void {
    const lines = wrap(text, WIDTH - MARGIN.length - 9)
    if (lines.length > LONGEST) lines.splice(LONGEST, lines.length, '…')
    for (const [index, line] of lines.entries()) {
      const name = index === 0 ? label : ''
      this.line(`${' '.repeat(15)}${styleText('dim', name.padEnd(7))}${styleText(style, line)}`)
    }
  }
}

function row(verdict: string, call: string, cost: string, left: string): string {
  return verdict.padEnd(9) + call.padEnd(WIDTH - 6 - 9 - 24) + cost.padStart(11) + left.padStart(13)
}

/** Breaks a text into lines, between words where it can. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (let word of text.split(' ')) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line)
      line = ''
    }
    for (; word.length > width; word = word.slice(width)) lines.push(word.slice(0, width))
    line = line ? `${line} ${word}` : word
  }
  return line ? [...lines, line] : lines
}
