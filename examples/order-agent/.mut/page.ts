/** The page the story is printed on: aligned, wrapped, in colour where colours are wanted. */
import { styleText } from 'node:util'
import type { CallAccount } from './account.ts'

// The terminal decides the width, within what is pleasant to read. `styleText` leaves colours out where they are not
// wanted: with NO_COLOR, and when the output is no terminal.
const WIDTH = Math.max(72, Math.min(process.stdout.columns ?? 80, 100))
const LABEL = 13
const INDENT = 15
const CALL = WIDTH - INDENT - 22
type Style = Parameters<typeof styleText>[0]

/** The page that is being printed. */
export class Page {
  /** Everything printed so far, so that the story can check what it showed. */
  text = ''
  #calls = 0

  line(text = ''): void {
    this.text += `${text}\n`
    console.log(text)
  }

  heading(text: string): void {
    this.line(`\n${styleText('bold', text)}\n`)
  }

  /** A fact with its name in front. */
  fact(name: string, text: string): void {
    this.#labelled(`  ${name}`, LABEL, text, 'reset')
  }

  good(text: string): void {
    this.line(`  ${styleText('green', '✓')} ${text}`)
  }

  bad(text: string): void {
    this.line(`  ${styleText('red', '✗')} ${text}`)
  }

  /** Above the calls: what stands in which column. */
  columns(): void {
    this.line(styleText('dim', `\n   #  verdict  ${columns('call', 'cost', 'budget left')}`))
    this.line(styleText('dim', `  ${'─'.repeat(WIDTH - 2)}`))
  }

  call({ call, verdict, why, cost, left, reads }: CallAccount): void {
    const colour: Style = verdict === 'allow' ? 'green' : 'red'
    const number = String(++this.#calls).padStart(4)
    const head = styleText([colour, 'bold'], verdict.padEnd(9))
    this.line(`${number}  ${head}${styleText('bold', columns(call, cost || '–', left))}`)
    this.#labelled(`${' '.repeat(INDENT)}why`, INDENT + 7, why, colour)
    this.#labelled(`${' '.repeat(INDENT)}reads`, INDENT + 7, reads, 'reset')
  }

  /** Something that happened between two calls. */
  event(text: string): void {
    this.line(styleText('yellow', `   ●  ${text}`))
  }

  /** Two lists side by side, each under its heading. */
  pairs(left: readonly string[], right: readonly string[]): void {
    for (let i = 0; i < Math.max(left.length, right.length); i++) {
      const text = `  ${(left[i] ?? '').padEnd(38)}${right[i] ?? ''}`
      this.line(i === 0 ? styleText('dim', text) : text)
    }
  }

  #labelled(label: string, width: number, text: string, style: Style): void {
    for (const [index, line] of wrap(text, WIDTH - width).entries()) {
      this.line(styleText('dim', (index === 0 ? label : '').padEnd(width)) + styleText(style, line))
    }
  }
}

function columns(call: string, cost: string, left: string): string {
  const short = call.length > CALL ? `${call.slice(0, CALL - 1)}…` : call
  return short.padEnd(CALL) + cost.padStart(9) + left.padStart(13)
}

/** Breaks a text into lines, between words where it can. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    // Customers wrote some of this: a control character could tell the terminal to do things.
    for (let word of paragraph.replace(/\p{Cc}/gu, ' ').split(' ')) {
      if (line && line.length + 1 + word.length > width) {
        lines.push(line)
        line = ''
      }
      for (; word.length > width; word = word.slice(width)) lines.push(word.slice(0, width))
      line = line ? `${line} ${word}` : word
    }
    lines.push(line)
  }
  return lines
}
