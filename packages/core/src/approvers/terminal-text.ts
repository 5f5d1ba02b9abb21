/** What a terminal shows of approvals, and what it understands of answers. */
import { styleText } from 'node:util'
import { printableLines, wantsColour, widthOf } from '../printable.ts'
import type { Approval } from './approver.ts'
import { factsOf, shown } from './facts.ts'

/** What is written to: `process.stderr`, or anything that takes text. */
export interface TerminalOutput {
  write(text: string): unknown
  /** A terminal: only there is colour used unless `FORCE_COLOR` asks for it. */
  readonly isTTY?: boolean | undefined
  on?(event: 'error', listener: (error: Error) => void): unknown
  off?(event: 'error', listener: (error: Error) => void): unknown
}

const PROMPT = 'Approve? y or n, and why if you like:'
const HINT = 'Nothing is decided yet. Answer with y or n, such as `n the order was never paid`.'

export class Printer {
  readonly #output: TerminalOutput
  readonly #coloured: boolean
  #listening = false
  #gone = false

  constructor(output: TerminalOutput, env: Readonly<Record<string, string | undefined>>) {
    this.#output = output
    this.#coloured = wantsColour(output, env)
  }

  /** A terminal that is gone does not come back. */
  get gone(): boolean {
    return this.#gone
  }

  /** The whole question, and the prompt. */
  ask(approval: Approval): void {
    const facts = factsOf(approval)
    const width = Math.max(...facts.map(([label]) => widthOf(label)))
    const lines = facts.map(([label, text]) => `  ${this.#style('dim', label.padEnd(width))}  ${text}`)
    const args = printableLines(approval.argsText).replace(/^/gm, '    ')
    const title = this.#style('yellow', 'A call needs your approval')
    this.#write(`\n${title}\n${lines.join('\n')}\n  ${this.#style('dim', 'Arguments')}\n${args}\n${this.#prompt()}`)
  }

  /** What was typed was no answer. */
  again(why: string = HINT): void {
    this.#write(`  ${why}\n${this.#prompt()}`)
  }

  /** What came of the question that stands there. `typed`: the line is ended already. */
  end(text: string, typed: boolean): void {
    this.#write(`${typed ? '' : '\n'}  ${shown(text)}\n`)
  }

  /** What has become of something that was asked before. */
  news({ id, tool, agent }: Approval, text: string): void {
    this.#write(`  The call of ${shown(tool)} by ${shown(agent)} (approval ${shown(id)}): ${shown(text)}\n`)
  }

  leave(): void {
    this.#output.off?.('error', this.#left)
    this.#listening = false
  }

  #prompt(): string {
    return `${this.#style('bold', PROMPT)} `
  }

  #style(style: 'dim' | 'yellow' | 'bold', text: string): string {
    return this.#coloured ? styleText(style, text, { validateStream: false }) : text
  }

  #write(text: string): void {
    if (this.#gone) return
    if (!this.#listening) this.#output.on?.('error', this.#left)
    this.#listening = true
    try {
      this.#output.write(text)
    } catch {
      this.#gone = true
    }
  }

  readonly #left = (): void => {
    this.#gone = true
  }
}

export interface TypedAnswer {
  readonly approve: boolean
  readonly reason?: string
}

/** `y` or `n`, `yes` or `no`, with a reason behind it if there is one. `undefined`: nothing of that kind. */
export function readAnswer(line: string): TypedAnswer | undefined {
  const [, word, reason = ''] = /^\s*(y|yes|n|no)(?:[\s,.:;-]+(.*?))?\s*$/i.exec(line) ?? []
  // Invariant: an empty line, or anything that is not plainly a yes, approves nothing.
  if (word === undefined) return undefined
  const why = shown(reason).slice(0, 500)
  return { approve: word.toLowerCase().startsWith('y'), ...(why === '' ? {} : { reason: why }) }
}
