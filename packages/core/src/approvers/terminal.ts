/**
 * An approver for local work: asks in the terminal, one question after the other. It asks whoever sits there, so it is
 * for a developer's own machine, and for one program at a time.
 */
import { userInfo } from 'node:os'
import { background } from '../clock.ts'
import { type Duration, parseDuration } from '../duration.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import { checkKeys } from '../options.ts'
import type { Approval, Approver, ApproverPort, Said } from './approver.ts'
import { endOf } from './facts.ts'
import { isName, NAME } from './name.ts'
import { Printer, readAnswer, type TerminalOutput, type TypedAnswer } from './terminal-text.ts'
import { type TerminalInput, TypedLines } from './typed-lines.ts'

export type { TerminalOutput } from './terminal-text.ts'
export type { TerminalInput } from './typed-lines.ts'

export interface TerminalApproverOptions {
  /** Where answers are typed; `process.stdin` unless given. A program that reads it for itself should not share it. */
  readonly input?: TerminalInput
  /** Where questions stand; `process.stderr` unless given: what a program prints stays its own. */
  readonly output?: TerminalOutput
  /** Who sits there, known as `terminal:<by>`: the user of the operating system unless given. */
  readonly by?: string
  /** How long a question stands before the next one has its turn; until its approval expires unless given. */
  readonly timeout?: Duration
  /** Where `NO_COLOR`, `FORCE_COLOR` and `TERM` are read: `process.env` unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

const KEYS = ['input', 'output', 'by', 'timeout', 'env'] as const

/** Throws `ConfigError`. Where no person can type, as in a service, it refuses what it is shown: nobody was asked. */
export function terminalApprover(options: TerminalApproverOptions = {}): Approver {
  checkKeys(options, KEYS, 'options of `terminalApprover`')
  const { input = process.stdin, output = process.stderr, by = userName(), timeout, env = process.env } = options
  if (typeof input?.on !== 'function' || typeof input.resume !== 'function') {
    throw invalid('input', 'is something to read from, such as `process.stdin`')
  }
  if (typeof output?.write !== 'function') throw invalid('output', 'is something to write to, such as `process.stderr`')
  if (!isName(by)) throw invalid('by', `is ${NAME}`)
  const timeoutMs = timeout === undefined ? Number.POSITIVE_INFINITY : parseDuration(timeout, 'timeout')
  return new TerminalApprover(input, new Printer(output, env), `terminal:${by}`, timeoutMs)
}

/** In a container there may be no name for whoever runs it. */
function userName(): string {
  try {
    const { username } = userInfo()
    return isName(username) ? username : 'somebody'
  } catch {
    return 'somebody'
  }
}

interface Question {
  approval: Approval
  stage: 'queued' | 'printed' | 'answered'
  /** Stops the timer that ends it. */
  stop(): void
}

class TerminalApprover implements Approver {
  readonly name = 'terminal'
  readonly #typed: TypedLines
  readonly #printer: Printer
  readonly #by: string
  readonly #timeoutMs: number
  #port: ApproverPort | undefined
  /** One after the other: the first of them is the one that stands there. */
  #questions: Question[] = []
  /** What was asked here and is done with: of what, and as what it was told. */
  readonly #done = new Map<string, { readonly digest: string; readonly state: Approval['state'] }>()

  constructor(input: TerminalInput, printer: Printer, by: string, timeoutMs: number) {
    const line = (text: string) => this.#heard(text)
    this.#typed = new TypedLines(input, line, () => this.#ended())
    this.#printer = printer
    this.#by = by
    this.#timeoutMs = timeoutMs
  }

  open(port: ApproverPort): void {
    this.#port = port
  }

  /** Puts the question, or closes it, and does not wait for an answer. Notes how it stood then. */
  async show(approval: Approval, note: unknown, signal: AbortSignal): Promise<unknown> {
    const { id, state, digest } = approval
    if (signal.aborted) throw new Unavailable('`terminal` is not waited for any more')
    const noted = (note ?? {}) as { readonly state?: unknown }
    const standing = this.#questions.find((question) => question.approval.id === id)
    const done = this.#done.get(id)
    if (state !== 'pending') {
      if (standing) this.#end(standing, endOf(approval), state)
      else if (noted.state !== undefined && noted.state !== state && done?.state !== state) {
        this.#printer.news(approval, endOf(approval))
      }
      this.#done.delete(id)
      return { state }
    }
    if (standing?.approval.digest === digest) standing.approval = approval
    else if (done?.digest !== digest) {
      if (standing) this.#end(standing, 'its arguments have changed; it is asked anew', 'pending')
      await this.#put(approval)
    }
    return { state }
  }

  close(): void {
    for (const { stop } of this.#questions) stop()
    this.#questions = []
    this.#typed.stop()
    this.#printer.leave()
  }

  async #put(approval: Approval): Promise<void> {
    // Invariant: where nobody can answer, nobody was asked.
    if (this.#typed.gone || this.#printer.gone) throw new Unavailable('`terminal` has nobody who could answer')
    const question: Question = { approval, stage: 'queued', stop: () => {} }
    this.#questions.push(question)
    if (this.#questions[0] === question) await this.#next()
    if (this.#typed.gone || this.#printer.gone) throw new Unavailable('`terminal` has nobody who could answer')
  }

  /** Prints the question whose turn it is, if it is not there already. */
  async #next(): Promise<void> {
    const [question] = this.#questions
    if (!question) return this.#typed.stop()
    if (question.stage !== 'queued') return
    await this.#typed.listen()
    if (this.#questions[0] !== question || question.stage !== 'queued') return
    question.stage = 'printed'
    this.#printer.ask(question.approval)
    this.#watch(question)
  }

  #watch(question: Question): void {
    const { clock } = this.#port as ApproverPort
    const left = question.approval.expiresAt.getTime() - clock.now()
    const ms = Math.max(0, Math.min(left, this.#timeoutMs))
    question.stop = background(clock, ms, () => this.#end(question, 'nobody has answered in time', 'pending'))
  }

  #heard(line: string): void {
    const [question] = this.#questions
    // Invariant: a line is an answer only to the question that stood there when it was typed.
    if (question?.stage !== 'printed') return
    const answer = readAnswer(line)
    if (answer) {
      question.stage = 'answered'
      question.stop()
      void this.#say(question, answer)
    } else this.#printer.again()
  }

  async #say(question: Question, { approve, reason }: TypedAnswer): Promise<void> {
    const { id, digest } = question.approval
    let said: Said
    try {
      const say = { approve, by: this.#by, digest, ...(reason === undefined ? {} : { reason }) }
      said = await (this.#port as ApproverPort).say(id, say)
    } catch {
      if (!this.#questions.includes(question)) return
      question.stage = 'printed'
      this.#printer.again('That could not be recorded, and nothing has changed. Answer again.')
      return this.#watch(question)
    }
    const { approval = question.approval } = said
    const counted = approval.state === 'pending' ? 'your answer counts; others have to say yes, too' : endOf(approval)
    this.#end(question, said.ok ? counted : said.why, approval.state)
  }

  /** Takes a question away, with the reason, and goes on to the next. */
  #end(question: Question, why: string, state: Approval['state']): void {
    if (!this.#questions.includes(question)) return
    this.#questions = this.#questions.filter((one) => one !== question)
    question.stop()
    const { id, digest } = question.approval
    if (question.stage !== 'queued') this.#printer.end(why, question.stage === 'answered')
    this.#done.set(id, { digest, state })
    // Nobody is asked again about these; more of them than that are never open.
    if (this.#done.size > 1_000) this.#done.delete(this.#done.keys().next().value as string)
    void this.#next()
  }

  /** Nobody can answer any more. What was asked stays as it is, until it expires. */
  #ended(): void {
    const [question] = this.#questions
    if (question && question.stage !== 'queued') this.#printer.end('the input has ended; nothing is decided', false)
    for (const { stop } of this.#questions) stop()
    this.#questions = []
  }
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
